/* SPDX-License-Identifier: MIT */
/* permute.c - the permutation test of two triangles (Mantel 1967)
 *
 * Items are relabelled, so rows and columns move together. Mean, norm and ranks of a triangle do
 * not change by that. So for all statistics but Kendall's the test needs one sum an order,
 *
 *     sum over i, j of A[i][j] * B[order[i]][order[j]],
 *
 * where A and B are scaled so that it is the statistic itself. Both triangles are gone through,
 * off-diagonals at half their size: 1e10 products for 1,000 items and 10,000 orders, each with a
 * number of B from another place, and what they cost is fetching that number. So B lies woven,
 *
 *     woven  [block of 8 rows][column][row of the block],
 *
 * in which the eight numbers of column order[j] are one load; they meet column j of the eight rows
 * of A that come to stand there, which are read in order and transposed on the way (dot_woven). A
 * batch of orders goes through a block together while it is in the cache. Products are of float32,
 * summed in float64 after chains of 64: the statistic is off by some 1e-8 at most, and orders
 * within MARGIN of the one observed count as ties.
 *
 * Only whether an order reaches the statistic observed counts. After each block the rows that are
 * left can add at most the product of their lengths on both sides (Cauchy and Schwarz), so an order
 * that cannot get there any more is given up. Where two spaces are much alike that is soon, after a
 * tenth of the rows for r = 0.9; where they have nothing in common it is near the end.
 *
 * Partial statistics. Legendre (2000), permutation of residuals: A and B are the residuals of the
 * lists after the nuisances; the permuted B is regressed anew, for which its products with an
 * orthonormal basis Q of the nuisances suffice: r = <A, B'> / sqrt(1 - sum <Q_k, B'>^2).
 *
 * Kendall's tau has to count anew: the places of a are in order, so a merge sort of the permuted
 * groups of b tells. That is some hundred times slower. */
#include "compare/permute.h"
#include <math.h>
#include "compare/rdm.h"
#include "kernel/kernel.h"

enum { WEAVE = WTE__WEAVE, BATCH = 16, MAX_BASES = 1 + WTE__MAX_NUISANCES };

#define MARGIN 1e-7

struct wte__permuter {
    const wte__comparison *c;
    size_t n, n_blocks;
    /* products */
    size_t n_bases;
    float *bases[MAX_BASES]; /* [n + 1, n] of a, then of the nuisances; with a row of zeros */
    float *woven;            /* [n_blocks, n, WEAVE] of b */
    double *squares;         /* [n] of a's rows */
    double *left;            /* [n_blocks + 1] of b's rows from a block on */
    /* Kendall */
    uint32_t *groups; /* [n, n] of b's entries */
};

static bool counts_pairs(const wte__comparison *c)
{
    return c->comparator == WTE_COMPARE_TAU_A || c->comparator == WTE_COMPARE_TAU_B;
}

/* ---- preparation -------------------------------------------------------------------------- */

static double dot(const double *x, const double *y, size_t m)
{
    double sum = 0;

    for (size_t i = 0; i < m; i++)
        sum += x[i] * y[i];
    return sum;
}

static void centre(double *x, size_t m)
{
    double mean = 0;

    for (size_t i = 0; i < m; i++)
        mean += x[i];
    mean /= (double)m;
    for (size_t i = 0; i < m; i++)
        x[i] -= mean;
}

/* Make x orthogonal to the lists before it and of length 1; false if nothing is left of it. Twice
 * is enough for rounding. */
static bool orthonormalise(double *x, double *const *bases, size_t n_bases, size_t m)
{
    const double before = dot(x, x, m);
    double length;

    for (int pass = 0; pass < 2; pass++)
        for (size_t b = 0; b < n_bases; b++) {
            const double along = dot(x, bases[b], m);

            for (size_t i = 0; i < m; i++)
                x[i] -= along * bases[b][i];
        }
    length = sqrt(dot(x, x, m));
    if (!(length > 1e-6 * sqrt(before)))
        return false;
    for (size_t i = 0; i < m; i++)
        x[i] /= length;
    return true;
}

/* The lists as vectors of length 1 whose inner product is the statistic: out [n_lists][m], first
 * the nuisances that are not explained by others, *n_nuisances of them, then a and b. */
static wte_status scaled_lists(const wte__comparison *c, double *const *out, size_t *n_nuisances,
                               wte_error *err)
{
    const bool ranks = c->comparator == WTE_COMPARE_SPEARMAN || c->comparator == WTE_COMPARE_RHO_A;
    const double m = (double)c->m;
    size_t kept = 0;

    for (size_t l = 0; l < c->n_lists; l++) {
        const size_t list = l + 2 < c->n_lists ? l + 2 : l + 2 - c->n_lists;
        double *x = out[list < 2 ? kept + list : kept];

        if (ranks)
            wte__weighted_ranks(&c->rankings[list], NULL, x);
        else
            memcpy(x, c->lists[list], c->m * sizeof *x);
        if (c->comparator != WTE_COMPARE_COSINE)
            centre(x, c->m);
        if (c->comparator == WTE_COMPARE_RHO_A) {
            for (size_t i = 0; i < c->m; i++)
                x[i] *= sqrt(12 / (m * m * m - m));
        } else if (!orthonormalise(x, out, kept, c->m)) {
            if (list < 2)
                return wte__fail(err, WTE_E_RANGE,
                                 "nothing is left of the %s dissimilarities beside the nuisances",
                                 list ? "second" : "first");
        } else if (list >= 2) {
            kept++;
        }
    }
    *n_nuisances = kept;
    return WTE_OK;
}

static void fill(const double *triangle, size_t n, double *full)
{
    for (size_t i = 0; i < n; i++) {
        full[i * n + i] = 0;
        for (size_t j = i + 1; j < n; j++)
            full[i * n + j] = full[j * n + i] = triangle[wte__pair(n, i, j)];
    }
}

static void weave(const double *full, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            out[(i / WEAVE * n + j) * WEAVE + i % WEAVE] = (float)full[i * n + j];
}

/* A whitened matrix has length 1 as a whole; of the others each half has. */
static double whole(const wte__comparison *c, const double *full)
{
    if (c->comparator != WTE_COMPARE_WHITENED_COSINE)
        return 1;
    return sqrt(dot(full, full, c->n * c->n));
}

static wte_status add_base(wte__permuter *p, const double *full, wte_error *err)
{
    const size_t n = p->n;
    const double half = p->c->comparator == WTE_COMPARE_WHITENED_COSINE ? 1 : 0.5;
    const double length = whole(p->c, full);
    float *base = wte__alloc_aligned(n + 1, n * sizeof *base);

    if (!base)
        return wte__fail(err, WTE_E_NOMEM, "no memory to permute %zu items", n);
    memset(base + n * n, 0, n * sizeof *base);
    for (size_t i = 0; i < n * n; i++)
        base[i] = (float)(half * full[i] / length);
    p->bases[p->n_bases++] = base;
    return WTE_OK;
}

static wte_status prepare_products(wte__permuter *p, wte_error *err)
{
    const wte__comparison *c = p->c;
    const bool whitened = c->comparator == WTE_COMPARE_WHITENED_COSINE;
    const size_t n = p->n;
    double *lists[WTE__MAX_LISTS] = {NULL}, *storage = NULL, *full = NULL;
    size_t n_nuisances = 0;
    wte_status status = WTE_OK;

    storage = wte__calloc(c->n_lists, c->m * sizeof *storage);
    full = wte__calloc(n, n * sizeof *full);
    p->woven = wte__alloc_aligned(p->n_blocks * WEAVE, n * sizeof *p->woven);
    p->squares = wte__calloc(n, sizeof *p->squares);
    p->left = wte__calloc(p->n_blocks + 1, sizeof *p->left);
    if (!storage || !full || !p->woven || !p->squares || !p->left) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory to permute %zu items", n);
        goto done;
    }
    memset(p->woven, 0, p->n_blocks * WEAVE * n * sizeof *p->woven);
    for (size_t l = 0; l < c->n_lists; l++)
        lists[l] = storage + l * c->m;
    if (!whitened)
        status = scaled_lists(c, lists, &n_nuisances, err);
    for (size_t l = 0; l <= n_nuisances + 1 && status == WTE_OK; l++) {
        /* a first, then the nuisances, then b */
        const size_t list = l == 0 ? n_nuisances : l <= n_nuisances ? l - 1 : n_nuisances + 1;

        if (whitened)
            wte__double_centre(c->lists[list], n, full);
        else
            fill(lists[list], n, full);
        if (list <= n_nuisances) {
            status = add_base(p, full, err);
        } else {
            const double length = whole(c, full);

            for (size_t i = 0; i < n * n; i++)
                full[i] /= length;
            weave(full, n, p->woven);
            for (size_t block = p->n_blocks; block-- > 0;) {
                const size_t row = block * WEAVE, end = n - row < WEAVE ? n : row + WEAVE;

                p->left[block] =
                    p->left[block + 1] + dot(full + row * n, full + row * n, (end - row) * n);
            }
        }
    }
    for (size_t i = 0; i < n && status == WTE_OK; i++)
        for (size_t j = 0; j < n; j++)
            p->squares[i] += (double)p->bases[0][i * n + j] * (double)p->bases[0][i * n + j];
done:
    wte__free(full);
    wte__free(storage);
    return status;
}

static wte_status prepare_counts(wte__permuter *p, wte_error *err)
{
    const size_t n = p->n;

    p->groups = wte__calloc(n, n * sizeof *p->groups);
    if (!p->groups)
        return wte__fail(err, WTE_E_NOMEM, "no memory to permute %zu items", n);
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++)
            p->groups[i * n + j] = p->groups[j * n + i] =
                p->c->rankings[1].group[wte__pair(n, i, j)];
    return WTE_OK;
}

wte_status wte__permuter_new(const wte__comparison *c, wte__permuter **out, wte_error *err)
{
    wte__permuter *p = wte__calloc(1, sizeof *p);
    wte_status status;

    if (!p)
        return wte__fail(err, WTE_E_NOMEM, "no memory to permute %zu items", c->n);
    p->c = c;
    p->n = c->n;
    p->n_blocks = (c->n + WEAVE - 1) / WEAVE;
    status = counts_pairs(c) ? prepare_counts(p, err) : prepare_products(p, err);
    if (status == WTE_OK)
        *out = p;
    else
        wte__permuter_free(p);
    return status;
}

void wte__permuter_free(wte__permuter *p)
{
    if (!p)
        return;
    for (size_t b = 0; b < p->n_bases; b++)
        wte__free(p->bases[b]);
    wte__free(p->groups);
    wte__free(p->left);
    wte__free(p->squares);
    wte__free(p->woven);
    wte__free(p);
}

/* ---- statistics of orders ----------------------------------------------------------------- */

/* What a thread works with. */
typedef struct scratch {
    uint32_t *orders;    /* [BATCH, n] */
    uint32_t *places;    /* [BATCH, n] where an item of b comes to stand */
    wte__entry *entries; /* [2, m] of Kendall */
} scratch;

static bool scratch_init(scratch *s, const wte__permuter *p)
{
    s->orders = wte__calloc(BATCH, p->n * sizeof *s->orders);
    s->places = wte__calloc(BATCH, p->n * sizeof *s->places);
    if (counts_pairs(p->c))
        s->entries = wte__calloc(2, p->c->m * sizeof *s->entries);
    return s->orders && s->places && (s->entries || !counts_pairs(p->c));
}

static void scratch_free(scratch *s)
{
    wte__free(s->entries);
    wte__free(s->places);
    wte__free(s->orders);
}

/* Add the products of one block of b's rows for an order. Returns the squares of a's rows there. */
static double add_block(const wte__permuter *p, const uint32_t *order, const uint32_t *places,
                        size_t block, double sums[MAX_BASES])
{
    const size_t n = p->n;
    double squares = 0;

    for (size_t b = 0; b < p->n_bases; b++) {
        const float *rows[WEAVE];

        for (size_t r = 0; r < WEAVE; r++) {
            const size_t i = block * WEAVE + r;

            rows[r] = p->bases[b] + (i < n ? places[i] : n) * n;
            squares += b == 0 && i < n ? p->squares[places[i]] : 0;
        }
        sums[b] += wte__kernel()->dot_woven(rows, p->woven + block * n * WEAVE, order, n);
    }
    return squares;
}

/* [n_orders] statistics of at most BATCH orders; -INFINITY for those that are seen not to reach
 * what is needed. */
static void multiply(const wte__permuter *p, const uint32_t *orders, size_t n_orders, double needed,
                     scratch *s, double *out)
{
    const size_t n = p->n;
    double sums[BATCH][MAX_BASES] = {{0}}, left[BATCH];
    bool given_up[BATCH] = {false};

    for (size_t o = 0; o < n_orders; o++) {
        left[o] = 0;
        for (size_t i = 0; i < n; i++) {
            s->places[o * n + orders[o * n + i]] = (uint32_t)i;
            left[o] += p->squares[i];
        }
    }
    for (size_t block = 0; block < p->n_blocks; block++)
        for (size_t o = 0; o < n_orders; o++) {
            double most;

            if (given_up[o])
                continue;
            left[o] -= add_block(p, orders + o * n, s->places + o * n, block, sums[o]);
            most = sums[o][0] + sqrt((left[o] > 0 ? left[o] : 0) * p->left[block + 1]);
            /* a partial statistic grows by what the nuisances take */
            given_up[o] = p->n_bases == 1 && most < needed - MARGIN;
        }
    for (size_t o = 0; o < n_orders; o++) {
        double rest = 1;

        for (size_t b = 1; b < p->n_bases; b++)
            rest -= sums[o][b] * sums[o][b];
        /* b cannot lie in the nuisances altogether but by rounding */
        out[o] = given_up[o] ? -INFINITY : sums[o][0] / sqrt(rest > MARGIN ? rest : MARGIN);
    }
}

static double count(const wte__permuter *p, const uint32_t *order, scratch *s)
{
    const wte__comparison *c = p->c;
    const wte__ranking *a = &c->rankings[0];
    wte__concordance counted;
    double tau = 0;

    for (size_t i = 0; i < c->m; i++) {
        const uint32_t at = a->order[i];
        const size_t row = order[c->first[at]], column = order[c->second[at]];

        s->entries[i] = (wte__entry){a->group[at], p->groups[row * c->n + column], 1};
    }
    counted = wte__count_concordance(s->entries, s->entries + c->m, c->m);
    wte__tau(&counted, c->comparator == WTE_COMPARE_TAU_B, &tau);
    return tau;
}

static void statistics(const wte__permuter *p, const uint32_t *orders, size_t n_orders,
                       double needed, scratch *s, double *out)
{
    if (!counts_pairs(p->c)) {
        multiply(p, orders, n_orders, needed, s, out);
        return;
    }
    for (size_t o = 0; o < n_orders; o++)
        out[o] = count(p, orders + o * p->n, s);
}

/* ---- many orders -------------------------------------------------------------------------- */

typedef struct test {
    const wte__permuter *p;
    const uint32_t *given; /* orders, or NULL: drawn, or all */
    bool all;
    uint64_t seed;
    size_t n_orders;
    double needed; /* statistics below it need not be exact */
    wte__progress *progress;
    scratch *scratches; /* [n_threads] */
    double *out;        /* [n_orders] */
} test;

/* Fisher and Yates; each draw has a stream of its own, so that threads do not matter. */
void wte__permuter_draw(uint64_t seed, uint64_t number, size_t n, uint32_t *order)
{
    uint64_t state = wte__hash_seeded(&number, sizeof number, seed);

    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    for (size_t i = n; i-- > 1;) {
        const uint64_t high = wte__random(&state) >> 32;
        const size_t j = (size_t)((high * (i + 1)) >> 32);
        const uint32_t moved = order[i];

        order[i] = order[j];
        order[j] = moved;
    }
}

/* The order of a number in the lexical list of all; 0 is the order as it is. */
static void nth_order(size_t number, size_t n, uint32_t *order)
{
    size_t left[WTE__MAX_EXACT], factorial = 1;

    for (size_t i = 0; i < n; i++) {
        left[i] = i;
        factorial *= i + 1;
    }
    for (size_t i = 0; i < n; i++) {
        size_t at;

        factorial /= n - i;
        at = number / factorial;
        number %= factorial;
        order[i] = (uint32_t)left[at];
        memmove(left + at, left + at + 1, (n - i - at - 1) * sizeof *left);
    }
}

static void run_batch(void *ctx, size_t block, unsigned worker)
{
    const test *t = ctx;
    const size_t begin = block * BATCH, n = t->p->n;
    const size_t n_orders = t->n_orders - begin < BATCH ? t->n_orders - begin : BATCH;
    scratch *s = &t->scratches[worker];

    if (t->progress && wte__progress_add(t->progress, n_orders, worker))
        return;
    for (size_t o = 0; o < n_orders && !t->given; o++)
        if (t->all)
            nth_order(begin + o, n, s->orders + o * n);
        else
            wte__permuter_draw(t->seed, begin + o, n, s->orders + o * n);
    statistics(t->p, t->given ? t->given + begin * n : s->orders, n_orders, t->needed, s,
               t->out + begin);
}

static wte_status run(test *t, unsigned n_threads, wte_error *err)
{
    const size_t n_batches = (t->n_orders + BATCH - 1) / BATCH;
    const unsigned threads = wte__threads(n_threads, n_batches);
    wte_status status = WTE_OK;
    bool there;

    t->scratches = wte__calloc(threads, sizeof *t->scratches);
    there = t->scratches;
    for (unsigned i = 0; i < threads && there; i++)
        there = scratch_init(&t->scratches[i], t->p);
    if (there)
        wte__parallel(n_batches, threads, run_batch, t);
    else
        status = wte__fail(err, WTE_E_NOMEM, "no memory to permute %zu items", t->p->n);
    for (unsigned i = 0; i < threads && t->scratches; i++)
        scratch_free(&t->scratches[i]);
    wte__free(t->scratches);
    if (status == WTE_OK && t->progress && wte__progress_add(t->progress, 0, 0))
        status = wte__fail(err, WTE_E_CANCELLED, "permutations cancelled");
    return status;
}

wte_status wte__permuted(const wte__permuter *p, const uint32_t *orders, size_t n_orders,
                         unsigned n_threads, double *out, wte_error *err)
{
    test t = {.p = p, .given = orders, .n_orders = n_orders, .needed = -INFINITY, .out = out};

    return run(&t, n_threads, err);
}

wte_status wte__permutation_p(const wte__permuter *p, size_t n_orders, uint64_t seed,
                              unsigned n_threads, wte__progress *progress,
                              wte__permutation_test *out, wte_error *err)
{
    const bool exact = p->n <= WTE__MAX_EXACT;
    test t = {.p = p, .all = exact, .seed = seed, .n_orders = n_orders, .progress = progress};
    uint32_t *identity = NULL;
    double observed = 0;
    size_t at_least = 0;
    wte_status status = WTE_OK;

    if (exact) {
        t.n_orders = 1;
        for (size_t i = 2; i <= p->n; i++)
            t.n_orders *= i;
    }
    t.out = wte__calloc(t.n_orders, sizeof *t.out);
    identity = wte__calloc(p->n, sizeof *identity);
    if (!t.out || !identity) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for %zu permutations", t.n_orders);
        goto done;
    }
    for (size_t i = 0; i < p->n; i++)
        identity[i] = (uint32_t)i;
    status = wte__permuted(p, identity, 1, 1, &observed, err);
    t.needed = observed - (counts_pairs(p->c) ? 0 : MARGIN);
    if (status == WTE_OK)
        status = run(&t, n_threads, err);
    if (status != WTE_OK)
        goto done;
    /* of all orders the first is the one observed */
    for (size_t i = exact; i < t.n_orders; i++)
        at_least += t.out[i] >= t.needed;
    out->permutations = t.n_orders - exact;
    out->p_value = (1 + (double)at_least) / (1 + (double)out->permutations);
    out->exact = exact;
done:
    wte__free(identity);
    wte__free(t.out);
    return status;
}
