/* SPDX-License-Identifier: MIT */
/* wmd.c - Word Mover's Distance
 *
 * Two documents are bags of words. One unit of mass lies evenly on the words of the first and has
 * to be moved to where the words of the second are; moving mass m from word i to word j costs m
 * times their Euclidean distance. The cheapest plan is a transportation problem.
 *
 * It is solved exactly by successive shortest paths with potentials (Ahuja, Magnanti and Orlin
 * 1993, chapter 9; the dense form is Jonker and Volgenant's): from each word of the first document
 * that still has mass, Dijkstra's algorithm finds the cheapest way to a word of the second that
 * still lacks some, perhaps by way of moves already planned, which it then partly takes back.
 * Masses are integers, repetitions times the other document's length, so nothing is left over by
 * rounding and the loop ends. Words in both documents keep what they have in common: distance is a
 * metric, so that is never worse.
 *
 * Source: Kusner et al. 2015. gensim solves it through pyemd, whose costs are rounded to six
 * digits; and it calls the distance infinite where all words lie on one point, which is 0 here. */
#include <math.h>
#include <stdlib.h>
#include "space/geometry.h"

/* A word of one document with the mass that is still to move. */
typedef struct mass {
    uint32_t id;
    uint64_t amount;
} mass;

typedef struct transport {
    size_t n, m;
    mass *supply;   /* [n] */
    mass *demand;   /* [m] */
    double *cost;   /* [n, m] */
    uint64_t *plan; /* [n, m] mass moved from i to j */
    double *u, *v;  /* [n], [m] potentials: cost - u - v >= 0, and 0 where mass moves */
    double *source_distance, *sink_distance; /* [n], [m] of the current search */
    size_t *via_source;                      /* [m] the source from which a sink was reached */
    size_t *via_sink;                        /* [n] the sink from which a source was reached */
    bool *source_done, *sink_done;           /* [n], [m] */
} transport;

static int compare_ids(const void *a, const void *b)
{
    uint32_t x = ((const mass *)a)->id, y = ((const mass *)b)->id;

    return (x > y) - (x < y);
}

/* Distinct ids with their counts, ascending; returns how many. */
static size_t count_words(const uint32_t *ids, size_t n, uint64_t unit, mass *out)
{
    size_t n_out = 0;

    for (size_t i = 0; i < n; i++)
        out[i] = (mass){ids[i], unit};
    qsort(out, n, sizeof *out, compare_ids);
    for (size_t i = 0; i < n; i++) {
        if (n_out > 0 && out[n_out - 1].id == out[i].id)
            out[n_out - 1].amount += unit;
        else
            out[n_out++] = out[i];
    }
    return n_out;
}

/* Let common words keep what both documents have of them; drop words without mass. */
static void cancel_common(transport *t)
{
    size_t n = 0, m = 0;

    for (size_t i = 0, j = 0; i < t->n && j < t->m;) {
        if (t->supply[i].id == t->demand[j].id) {
            uint64_t common = t->supply[i].amount < t->demand[j].amount ? t->supply[i].amount
                                                                        : t->demand[j].amount;

            t->supply[i++].amount -= common;
            t->demand[j++].amount -= common;
        } else if (t->supply[i].id < t->demand[j].id) {
            i++;
        } else {
            j++;
        }
    }
    for (size_t i = 0; i < t->n; i++)
        if (t->supply[i].amount > 0)
            t->supply[n++] = t->supply[i];
    for (size_t j = 0; j < t->m; j++)
        if (t->demand[j].amount > 0)
            t->demand[m++] = t->demand[j];
    t->n = n;
    t->m = m;
}

/* Reach every sink from a source at `distance` where that is cheaper than before. */
static void relax(transport *t, size_t source, double distance)
{
    const double *cost = t->cost + source * t->m;

    for (size_t j = 0; j < t->m; j++) {
        double d = distance + cost[j] - t->u[source] - t->v[j];

        if (!t->sink_done[j] && d < t->sink_distance[j]) {
            t->sink_distance[j] = d;
            t->via_source[j] = source;
        }
    }
}

static size_t nearest_sink(const transport *t)
{
    size_t best = t->m;

    for (size_t j = 0; j < t->m; j++)
        if (!t->sink_done[j] && (best == t->m || t->sink_distance[j] < t->sink_distance[best]))
            best = j;
    return best;
}

/* Find the cheapest way from `start` to a sink that lacks mass, and make it free of reduced cost.
 */
static size_t find_path(transport *t, size_t start)
{
    size_t sink;
    double end;

    for (size_t j = 0; j < t->m; j++) {
        t->sink_distance[j] = INFINITY;
        t->sink_done[j] = false;
    }
    for (size_t i = 0; i < t->n; i++)
        t->source_done[i] = false;
    t->source_done[start] = true;
    t->source_distance[start] = 0;
    relax(t, start, 0);
    for (;;) {
        sink = nearest_sink(t); /* there always is one: supply and demand are equal */
        if (t->demand[sink].amount > 0)
            break;
        t->sink_done[sink] = true;
        for (size_t i = 0; i < t->n; i++)
            if (!t->source_done[i] && t->plan[i * t->m + sink] > 0) {
                t->source_done[i] = true;
                t->source_distance[i] = t->sink_distance[sink];
                t->via_sink[i] = sink;
                relax(t, i, t->source_distance[i]);
            }
    }
    end = t->sink_distance[sink];
    for (size_t i = 0; i < t->n; i++)
        if (t->source_done[i])
            t->u[i] += end - t->source_distance[i];
    for (size_t j = 0; j < t->m; j++)
        if (t->sink_done[j])
            t->v[j] -= end - t->sink_distance[j];
    return sink;
}

/* Move as much as the way allows along the path that ends in `sink`. */
static void move_mass(transport *t, size_t start, size_t sink)
{
    uint64_t amount = t->supply[start].amount;

    if (t->demand[sink].amount < amount)
        amount = t->demand[sink].amount;
    for (size_t j = sink, i = t->via_source[j]; i != start; i = t->via_source[j]) {
        j = t->via_sink[i];
        if (t->plan[i * t->m + j] < amount)
            amount = t->plan[i * t->m + j];
    }
    t->supply[start].amount -= amount;
    t->demand[sink].amount -= amount;
    for (size_t j = sink;;) {
        size_t i = t->via_source[j];

        t->plan[i * t->m + j] += amount;
        if (i == start)
            break;
        j = t->via_sink[i];
        t->plan[i * t->m + j] -= amount;
    }
}

/* [n, m] distances between the words that have mass left. */
static wte_status fill_costs(const wte_space *space, transport *t, int unit_rows, wte_error *err)
{
    const size_t dim = space->rows.dim;
    float *x = wte__calloc(t->n * dim, sizeof *x);
    float *y = wte__calloc(dim, sizeof *y);
    wte_status status = WTE_OK;

    if (!x || !y)
        status = wte__fail(err, WTE_E_NOMEM, "no memory for %zu rows of %zu numbers", t->n, dim);
    for (size_t i = 0; i < t->n && status == WTE_OK; i++) {
        if (unit_rows)
            status = wte__unit_row(space, t->supply[i].id, x + i * dim, err);
        else
            wte__row_to_f32(&space->rows, t->supply[i].id, x + i * dim);
    }
    for (size_t j = 0; j < t->m && status == WTE_OK; j++) {
        if (unit_rows)
            status = wte__unit_row(space, t->demand[j].id, y, err);
        else
            wte__row_to_f32(&space->rows, t->demand[j].id, y);
        for (size_t i = 0; i < t->n && status == WTE_OK; i++) {
            double d = sqrt(wte__sqdist_f64(x + i * dim, y, dim));

            if (!isfinite(d))
                status = wte__fail(err, WTE_E_RANGE, "rows %u and %u have no distance: not finite",
                                   t->supply[i].id, t->demand[j].id);
            t->cost[i * t->m + j] = d;
        }
    }
    wte__free(y);
    wte__free(x);
    return status;
}

wte_status wte_word_movers_distance(const wte_space *space, const uint32_t *a, size_t n_a,
                                    const uint32_t *b, size_t n_b, int unit_rows, double *out,
                                    wte_error *err)
{
    transport t = {0};
    wte_status status = wte__check_ids(space, a, n_a, err);
    double total = 0;
    size_t n_cells = 0, mass_product;

    if (status == WTE_OK)
        status = wte__check_ids(space, b, n_b, err);
    if (status != WTE_OK)
        return status;
    if (n_a == 0 || n_b == 0) {
        *out = INFINITY;
        return WTE_OK;
    }
    if (wte__mul_overflows(n_a, n_b, &mass_product))
        return wte__fail(err, WTE_E_RANGE, "documents of %zu and %zu words are too long", n_a, n_b);
    status = WTE_E_NOMEM;
    t.supply = wte__calloc(n_a, sizeof *t.supply);
    t.demand = wte__calloc(n_b, sizeof *t.demand);
    if (!t.supply || !t.demand)
        goto done;
    t.n = count_words(a, n_a, n_b, t.supply);
    t.m = count_words(b, n_b, n_a, t.demand);
    cancel_common(&t);
    if (t.n == 0) {
        *out = 0;
        status = WTE_OK;
        goto done;
    }
    n_cells = t.n * t.m;
    t.cost = wte__calloc(n_cells, sizeof *t.cost);
    t.plan = wte__calloc(n_cells, sizeof *t.plan);
    t.u = wte__calloc(t.n, sizeof *t.u);
    t.v = wte__calloc(t.m, sizeof *t.v);
    t.source_distance = wte__calloc(t.n, sizeof *t.source_distance);
    t.sink_distance = wte__calloc(t.m, sizeof *t.sink_distance);
    t.via_source = wte__calloc(t.m, sizeof *t.via_source);
    t.via_sink = wte__calloc(t.n, sizeof *t.via_sink);
    t.source_done = wte__calloc(t.n, sizeof *t.source_done);
    t.sink_done = wte__calloc(t.m, sizeof *t.sink_done);
    if (!t.cost || !t.plan || !t.u || !t.v || !t.source_distance || !t.sink_distance ||
        !t.via_source || !t.via_sink || !t.source_done || !t.sink_done)
        goto done;
    status = fill_costs(space, &t, unit_rows, err);
    if (status != WTE_OK)
        goto done;
    for (size_t i = 0; i < t.n; i++)
        while (t.supply[i].amount > 0)
            move_mass(&t, i, find_path(&t, i));
    for (size_t c = 0; c < n_cells; c++)
        total += (double)t.plan[c] * t.cost[c];
    *out = total / (double)mass_product;
done:
    if (status == WTE_E_NOMEM)
        wte__fail(err, WTE_E_NOMEM, "no memory to compare documents of %zu and %zu words", n_a,
                  n_b);
    wte__free(t.sink_done);
    wte__free(t.source_done);
    wte__free(t.via_sink);
    wte__free(t.via_source);
    wte__free(t.sink_distance);
    wte__free(t.source_distance);
    wte__free(t.v);
    wte__free(t.u);
    wte__free(t.plan);
    wte__free(t.cost);
    wte__free(t.demand);
    wte__free(t.supply);
    return status;
}
