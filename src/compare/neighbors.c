/* SPDX-License-Identifier: MIT */
/* neighbors.c - exact neighbours of all items at once, and how much two spaces share of them
 *
 * All n * n cosines are products of unit rows. They are made tile by tile in float32: a block of rows
 * stays in the cache while all others pass by, and each row keeps the best in a heap. A few more than
 * k are kept, and their cosines computed anew in float64, so that the order is that of float64 unless
 * more than SPARE others lie within a rounding error of float32 of the k-th.
 *
 * Neighbour overlap is the mean of |A_i and B_i| / k over items i. Rank-biased overlap (Webber, Moffat
 * and Zobel 2010) weighs depth d by p^d; the lists end at k, so their agreement there is taken to
 * go on (the paper's RBO_EXT, equation 30): X_k / k p^k + (1 - p) / p sum_d X_d / d p^d, with X_d the
 * number of items that the first d of both lists share. The same lists give 1 for any p. */
#include "compare/neighbors.h"
#include <math.h>
#include "compare/rdm.h"
#include "kernel/kernel.h"
#include "space/geometry.h"
#include "space/gemm.h"

enum {
    ROWS = 96,                /* of a block: whole panels */
    COLUMN_BYTES = 160 << 10, /* rows that pass by at once: they stay in the second-level cache */
    MAX_PANELS = 64,
    SPARE = 8
};

typedef struct search {
    const wte_items *items;
    const uint32_t *ids;
    size_t n, k, n_kept, n_panels; /* panels: that pass by at once */
    double *lengths;               /* [n] */
    float *panels;                 /* [panels of n, dim, WTE__GEMM_NR] unit rows */
    float *unit, *block;           /* [n_workers, ROWS, dim], as rows and as panels */
    float *tiles;                  /* [n_workers, ROWS, n_panels * WTE__GEMM_NR] */
    wte__ranked *kept;             /* [n_workers, ROWS, n_kept] */
    double *exact;                 /* [n_workers, n_kept] */
    uint32_t *out;
} search;

static const float *row_of(const search *s, size_t i)
{
    return s->items->data + (s->ids ? s->ids[i] : i) * s->items->dim;
}

static wte_status measure_rows(search *s, wte_error *err)
{
    for (size_t i = 0; i < s->n; i++) {
        const float *row = row_of(s, i);

        s->lengths[i] = sqrt(wte__dot_f64(row, row, s->items->dim));
        if (!(s->lengths[i] > 0) || !isfinite(s->lengths[i]))
            return wte__fail(err, WTE_E_RANGE, "row %zu of %s is %s: it has no direction",
                             s->ids ? s->ids[i] : i, wte__items_name(s->items),
                             s->lengths[i] == 0 ? "zero" : "not finite");
    }
    return WTE_OK;
}

/* Row i scaled to length 1; zeros beyond the last. */
static void unit_row(const search *s, size_t i, float *out, size_t step)
{
    const float *row = i < s->n ? row_of(s, i) : NULL;

    for (size_t j = 0; j < s->items->dim; j++)
        out[j * step] = row ? (float)((double)row[j] / s->lengths[i]) : 0;
}

static void pack_panel(void *ctx, size_t panel, unsigned worker)
{
    const search *s = ctx;

    (void)worker;
    for (size_t r = 0; r < WTE__GEMM_NR; r++)
        unit_row(s, panel * WTE__GEMM_NR + r, s->panels + panel * s->items->dim * WTE__GEMM_NR + r,
                 WTE__GEMM_NR);
}

/* Offer a row the columns first..first + n - 1. */
static void offer(wte__topk *best, const float *scores, size_t row, size_t first, size_t n)
{
    uint32_t places[MAX_PANELS * WTE__GEMM_NR];
    const size_t n_good = wte__kernel()->select_ge(scores, n, wte__topk_threshold(best), places);

    for (size_t i = 0; i < n_good; i++)
        if (first + places[i] != row)
            wte__topk_push(best, scores[places[i]], (uint32_t)(first + places[i]));
}

/* Order what was kept by float64 and write the k best. */
static void finish_row(const search *s, size_t row, const wte__topk *best, double *exact)
{
    wte__ranked *kept = best->items;

    for (size_t i = 0; i < best->n; i++) {
        const uint32_t id = kept[i].id;
        const double score =
            wte__dot_f64(row_of(s, row), row_of(s, id), s->items->dim) / s->lengths[id];
        size_t at = i;

        for (;
             at > 0 && (exact[at - 1] < score || (exact[at - 1] == score && kept[at - 1].id > id));
             at--) {
            exact[at] = exact[at - 1];
            kept[at] = kept[at - 1];
        }
        exact[at] = score;
        kept[at].id = id;
    }
    for (size_t i = 0; i < s->k; i++)
        s->out[row * s->k + i] = kept[i].id;
}

static void search_block(void *ctx, size_t block, unsigned worker)
{
    const search *s = ctx;
    const size_t dim = s->items->dim, first = block * ROWS, ldc = s->n_panels * WTE__GEMM_NR;
    const size_t n = s->n - first < ROWS ? s->n - first : ROWS;
    const size_t all = wte__panels(s->n, WTE__GEMM_NR);
    float *unit = s->unit + worker * ROWS * dim, *packed = s->block + worker * ROWS * dim;
    float *tile = s->tiles + worker * ROWS * ldc;
    wte__ranked *kept = s->kept + worker * ROWS * s->n_kept;
    wte__topk best[ROWS];

    for (size_t i = 0; i < n; i++) {
        wte__topk_init(&best[i], kept + i * s->n_kept, s->n_kept);
        unit_row(s, first + i, unit + i * dim, 1);
    }
    wte__pack_a(unit, n, dim, packed);
    for (size_t panel = 0; panel < all; panel += s->n_panels) {
        const size_t n_b = all - panel < s->n_panels ? all - panel : s->n_panels;
        const size_t column = panel * WTE__GEMM_NR, left = s->n - column;

        wte__gemm(packed, wte__panels(n, WTE__GEMM_MR), s->panels + column * dim, n_b, dim, tile,
                  ldc);
        for (size_t i = 0; i < n; i++)
            offer(&best[i], tile + i * ldc, first + i, column,
                  left < n_b * WTE__GEMM_NR ? left : n_b * WTE__GEMM_NR);
    }
    for (size_t i = 0; i < n; i++)
        finish_row(s, first + i, &best[i], s->exact + worker * s->n_kept);
}

static bool make_room(search *s, unsigned n_workers)
{
    const size_t dim = s->items->dim, columns = s->n_panels * WTE__GEMM_NR;
    size_t size;

    if (wte__mul_overflows(wte__panels(s->n, WTE__GEMM_NR) * WTE__GEMM_NR, dim, &size))
        return false;
    s->panels = wte__alloc_aligned(size, sizeof *s->panels);
    s->unit = wte__calloc(n_workers * ROWS, dim * sizeof *s->unit);
    s->block = wte__alloc_aligned(n_workers * ROWS, dim * sizeof *s->block);
    s->tiles = wte__alloc_aligned(n_workers * ROWS, columns * sizeof *s->tiles);
    s->kept = wte__calloc(n_workers * ROWS, s->n_kept * sizeof *s->kept);
    s->exact = wte__calloc(n_workers, s->n_kept * sizeof *s->exact);
    return s->panels && s->unit && s->block && s->tiles && s->kept && s->exact;
}

wte_status wte__neighbor_lists(const wte_items *items, const uint32_t *ids, size_t n, size_t k,
                               unsigned n_threads, uint32_t *out, wte_error *err)
{
    search s = {.items = items, .ids = ids, .n = n, .k = k, .out = out};
    const size_t n_blocks = (n + ROWS - 1) / ROWS, panels = wte__panels(n, WTE__GEMM_NR);
    const unsigned n_workers = wte__threads(n_threads, n_blocks);
    wte_status status = WTE_OK;

    if (n < 2 || k == 0 || k > n - 1)
        return wte__fail(err, WTE_E_RANGE, "%zu nearest of %zu of %s, 1 to %zu expected", k, n,
                         wte__items_name(items), n < 2 ? 0 : n - 1);
    if (n > UINT32_MAX - WTE__GEMM_NR)
        return wte__fail(err, WTE_E_RANGE, "%zu of %s are too many for neighbours", n,
                         wte__items_name(items));
    if (items->dim == 0)
        return wte__fail(err, WTE_E_SHAPE, "rows of %s have no numbers", wte__items_name(items));
    s.n_kept = k < n - 1 - (SPARE < n - 1 ? SPARE : n - 1) ? k + SPARE : n - 1;
    s.n_panels = COLUMN_BYTES / (items->dim * sizeof(float)) / WTE__GEMM_NR;
    s.n_panels = s.n_panels < 1 ? 1 : s.n_panels > MAX_PANELS ? MAX_PANELS : s.n_panels;
    s.lengths = wte__calloc(n, sizeof *s.lengths);
    if (!s.lengths || !make_room(&s, n_workers)) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for the neighbours of %zu of %s", n,
                           wte__items_name(items));
        goto done;
    }
    status = measure_rows(&s, err);
    if (status != WTE_OK)
        goto done;
    wte__parallel(panels, wte__threads(n_threads, panels), pack_panel, &s);
    wte__parallel(n_blocks, n_workers, search_block, &s);
done:
    wte__free(s.exact);
    wte__free(s.kept);
    wte__free(s.tiles);
    wte__free(s.block);
    wte__free(s.unit);
    wte__free(s.panels);
    wte__free(s.lengths);
    return status;
}

/* ---- what two spaces share ---------------------------------------------------------------- */

/* Items that the first d of both lists share, for each d from 1 to k, go through `depth`; marks [2, n]
 * hold the number of the pair in which an item was last seen. */
static void compare_lists(const uint32_t *a, const uint32_t *b, size_t k, double p, uint32_t mark,
                          uint32_t *const marks[2], double *shared, double *rbo)
{
    double weight = 1, sum = 0;
    size_t x = 0;

    for (size_t d = 0; d < k; d++) {
        x += marks[1][a[d]] == mark;
        marks[0][a[d]] = mark;
        x += marks[0][b[d]] == mark;
        marks[1][b[d]] = mark;
        sum += weight * (double)x / (double)(d + 1);
        weight *= p;
    }
    *shared = (double)x / (double)k;
    *rbo = *shared * weight + (1 - p) * sum;
}

wte_status wte_neighbor_overlap(const wte_items *a, const wte_items *b, size_t k, double p,
                                unsigned n_threads, double *overlap, double *rbo, wte_error *err)
{
    const size_t n = a->n;
    uint32_t *lists[2] = {NULL, NULL}, *marks[2] = {NULL, NULL};
    const wte_items *const sides[2] = {a, b};
    double sums[2] = {0, 0};
    wte_status status = WTE_OK;

    if (a->n != b->n)
        return wte__fail(err, WTE_E_SHAPE, "%zu of %s and %zu of %s, the same number expected",
                         a->n, wte__items_name(a), b->n, wte__items_name(b));
    if (n < 2 || k == 0 || k > n - 1)
        return wte__fail(err, WTE_E_RANGE, "%zu nearest of %zu items, 1 to %zu expected", k, n,
                         n < 2 ? 0 : n - 1);
    if (rbo && !(p > 0 && p < 1))
        return wte__fail(err, WTE_E_RANGE, "a persistence of %g, between 0 and 1 expected", p);
    for (size_t side = 0; side < 2 && status == WTE_OK; side++) {
        lists[side] = wte__calloc(n, k * sizeof *lists[side]);
        marks[side] = wte__calloc(n, sizeof *marks[side]);
        status =
            lists[side] && marks[side]
                ? wte__neighbor_lists(sides[side], NULL, n, k, n_threads, lists[side], err)
                : wte__fail(err, WTE_E_NOMEM, "no memory for %zu neighbours of %zu items", k, n);
    }
    for (size_t i = 0; i < n && status == WTE_OK; i++) {
        double shared, biased;

        compare_lists(lists[0] + i * k, lists[1] + i * k, k, p, (uint32_t)i + 1, marks, &shared,
                      &biased);
        sums[0] += shared;
        sums[1] += biased;
    }
    if (status == WTE_OK && overlap)
        *overlap = sums[0] / (double)n;
    if (status == WTE_OK && rbo)
        *rbo = sums[1] / (double)n;
    for (size_t side = 0; side < 2; side++) {
        wte__free(marks[side]);
        wte__free(lists[side]);
    }
    return status;
}
