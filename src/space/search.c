/* SPDX-License-Identifier: MIT */
/* search.c - scores, and the scan that gives every row one
 *
 * A scan reads the rows once, in blocks that threads take in turn, and scores each row for all
 * queries of a group while it is in the cache. Each thread keeps the k best of what it saw in a
 * heap per query; the heaps are merged at the end. The order of results is total (score, then id),
 * so which thread saw which row does not matter.
 *
 * The score of a cosine is dot / norm with a query of length 1, in float32, as gensim computes it.
 * Distances are ranked by the number that is shown, after the square root, so that two rows that
 * show the same distance are in order of their ids. */
#include "space/search.h"
#include <math.h>
#include <stdlib.h>
#include "space/geometry.h"

enum {
    SMALLEST_BLOCK = 1 << 18, /* bytes */
    LARGEST_BLOCK = 1 << 22,
    BLOCKS = 64, /* in between, so many blocks: enough for threads to share */
    PIECE = 512,
    STRIP = 64,           /* rows scored in one call at most */
    STRIP_BYTES = 1 << 17 /* and at least one row; a strip stays in the second-level cache */
};

/* ---- scores ------------------------------------------------------------------------------ */

static float score_cosine(const wte__scorer *s, size_t row)
{
    return wte__row_dot(&s->space->rows, row, s->vectors) / s->space->norms[row];
}

/* The same for n rows of float32 from `row` on: one call of a kernel. */
static void score_rows_cosine_f32(const wte__scorer *s, size_t row, size_t n, float *scores)
{
    const wte__rows *rows = &s->space->rows;
    const float *norms = s->space->norms + row;

    wte__kernel()->dot_f32_rows(rows->base + (rows->offsets ? 0 : row * rows->stride),
                                rows->offsets ? rows->offsets + row : NULL, rows->stride, n,
                                s->vectors, rows->dim, scores);
    for (size_t i = 0; i < n; i++)
        scores[i] /= norms[i];
}

static float score_euclidean(const wte__scorer *s, size_t row)
{
    return -sqrtf(wte__row_sqdist(&s->space->rows, row, s->vectors));
}

static float score_cityblock(const wte__scorer *s, size_t row)
{
    const wte__rows *rows = &s->space->rows;
    float x[PIECE], sum = 0;

    if (rows->dtype == WTE_F32)
        return -wte__kernel()->l1dist_f32(wte__row(rows, row), s->vectors, rows->dim);
    for (size_t from = 0; from < rows->dim; from += PIECE) {
        size_t n = rows->dim - from < PIECE ? rows->dim - from : PIECE;

        wte__read_piece(rows, row, from, n, x);
        sum += wte__kernel()->l1dist_f32(x, s->vectors + from, n);
    }
    return -sum;
}

wte_status wte__scorer_init(wte__scorer *s, const wte_space *space, wte_metric metric,
                            const float *query, float *vector, double *length, wte_error *err)
{
    const size_t dim = space->rows.dim;

    *s = (wte__scorer){.space = space, .vectors = vector, .n_positive = 1};
    *length = sqrt(wte__dot_f64(query, query, dim));
    for (size_t i = 0; i < dim; i++)
        if (!isfinite(query[i]))
            return wte__fail(err, WTE_E_RANGE, "number %zu of the query is %g, not finite", i,
                             (double)query[i]);
    switch (metric) {
    case WTE_COSINE:
        if (!(*length > 0))
            return wte__fail(err, WTE_E_RANGE, "the query has no direction: its length is 0");
        s->score = score_cosine;
        if (space->rows.dtype == WTE_F32)
            s->score_rows = score_rows_cosine_f32;
        for (size_t i = 0; i < dim; i++)
            vector[i] = (float)(query[i] / *length);
        return WTE_OK;
    case WTE_EUCLIDEAN:
        s->score = score_euclidean;
        break;
    case WTE_CITYBLOCK:
        s->score = score_cityblock;
        break;
    default:
        return wte__fail(err, WTE_E_RANGE, "unknown metric %d", (int)metric);
    }
    memcpy(vector, query, dim * sizeof *vector);
    return WTE_OK;
}

/* ---- which rows -------------------------------------------------------------------------- */

static int compare_ids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

wte_status wte__range_init(wte__range *r, const wte_space *space, const wte_search_options *options,
                           wte_error *err)
{
    const uint32_t n_rows = space->rows.n_rows;

    *r = (wte__range){.space = space, .first = options->first_row, .end = n_rows};
    if (options->n_rows && options->n_rows < n_rows)
        r->end = options->n_rows;
    if (r->first > r->end)
        r->first = r->end;
    if (options->n_exclude == 0)
        return WTE_OK;
    r->exclude = wte__calloc(options->n_exclude, sizeof *r->exclude);
    if (!r->exclude)
        return wte__fail(err, WTE_E_NOMEM, "no memory to exclude %zu rows", options->n_exclude);
    memcpy(r->exclude, options->exclude, options->n_exclude * sizeof *r->exclude);
    r->n_exclude = options->n_exclude;
    qsort(r->exclude, r->n_exclude, sizeof *r->exclude, compare_ids);
    return WTE_OK;
}

void wte__range_free(wte__range *r)
{
    wte__free(r->exclude);
    r->exclude = NULL;
}

bool wte__range_allows(const wte__range *r, size_t row)
{
    uint32_t id = (uint32_t)row;

    if (!(r->space->norms[row] > 0))
        return false;
    return r->n_exclude == 0 ||
           !bsearch(&id, r->exclude, r->n_exclude, sizeof *r->exclude, compare_ids);
}

/* ---- the k best -------------------------------------------------------------------------- */

typedef struct scan {
    const wte__range *range;
    const wte__scorer *scorers;
    size_t n, block_rows;
    wte__topk *best;   /* [n_workers, n] */
    float *thresholds; /* [n_workers, n] what a score must reach to enter */
    wte__progress *progress;
} scan;

static size_t bytes_per_row(const wte__rows *rows)
{
    return rows->dim * (rows->dtype == WTE_F32 ? sizeof(float) : sizeof(uint16_t));
}

/* Rows of a block. Each block starts anew what the processor reads ahead, so large ones are faster;
 * on 3,000,000 rows of 300 by a tenth over blocks of 256 KiB. */
static size_t rows_per_block(const wte__range *range)
{
    size_t row_bytes = bytes_per_row(&range->space->rows);
    size_t bytes = (range->end - range->first) * row_bytes / BLOCKS, n;

    bytes = bytes < SMALLEST_BLOCK ? SMALLEST_BLOCK : bytes > LARGEST_BLOCK ? LARGEST_BLOCK : bytes;
    n = bytes / row_bytes;
    return n < 16 ? 16 : n;
}

static size_t rows_per_strip(const wte__rows *rows)
{
    size_t n = STRIP_BYTES / bytes_per_row(rows);

    return n < 1 ? 1 : n > STRIP ? STRIP : n;
}

/* Threads for a scan that reads `bytes` in n_blocks: starting one has to be worth it. */
static unsigned scan_threads(unsigned wanted, size_t n_blocks, size_t block_bytes)
{
    size_t useful = n_blocks * block_bytes / WTE__THREAD_BYTES;

    return wte__threads(wanted, useful < n_blocks ? useful : n_blocks);
}

/* Rows with length 0 get any score: no range allows them. */
static void score_strip(const wte__scorer *s, size_t row, size_t n, float *scores)
{
    if (s->score_rows) {
        s->score_rows(s, row, n, scores);
        return;
    }
    for (size_t i = 0; i < n; i++)
        scores[i] = s->space->norms[row + i] > 0 ? s->score(s, row + i) : NAN;
}

static void scan_block(void *ctx, size_t block, unsigned worker)
{
    const scan *s = ctx;
    const size_t strip_rows = rows_per_strip(&s->range->space->rows);
    wte__topk *best = s->best + worker * s->n;
    float *thresholds = s->thresholds + worker * s->n, scores[STRIP];
    size_t begin = s->range->first + block * s->block_rows;
    size_t end = s->range->end - begin < s->block_rows ? s->range->end : begin + s->block_rows;

    if (s->progress && wte__progress_add(s->progress, 0, worker))
        return;
    for (size_t row = begin, n; row < end; row += n) {
        n = end - row < strip_rows ? end - row : strip_rows;
        for (size_t q = 0; q < s->n; q++) {
            score_strip(&s->scorers[q], row, n, scores);
            for (size_t i = 0; i < n; i++)
                if (scores[i] >= thresholds[q] && wte__range_allows(s->range, row + i)) {
                    wte__topk_push(&best[q], scores[i], (uint32_t)(row + i));
                    thresholds[q] = wte__topk_threshold(&best[q]);
                }
        }
    }
    if (s->progress)
        wte__progress_add(s->progress, (end - begin) * s->n, worker);
}

wte_status wte__scan(const wte__range *range, const wte__scorer *scorers, size_t n, size_t k,
                     unsigned n_threads, wte__progress *progress, wte__ranked *items,
                     wte__topk *found, wte_error *err)
{
    scan s = {.range = range, .scorers = scorers, .n = n, .progress = progress};
    const size_t n_rows = range->end - range->first;
    size_t n_blocks, n_lists;
    unsigned n_workers;
    wte__ranked *lists = NULL;
    wte_status status = WTE_OK;

    s.block_rows = rows_per_block(range);
    n_blocks = (n_rows + s.block_rows - 1) / s.block_rows;
    n_workers = scan_threads(n_threads, n_blocks, SMALLEST_BLOCK * n);
    n_lists = n_workers * n;
    s.best = wte__calloc(n_lists, sizeof *s.best);
    s.thresholds = wte__calloc(n_lists, sizeof *s.thresholds);
    /* the first worker's lists are the caller's */
    lists = wte__calloc((n_lists - n) * k + 1, sizeof *lists);
    if (!s.best || !s.thresholds || !lists) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for the %zu best of %zu rows", k, n_rows);
        goto done;
    }
    for (size_t i = 0; i < n_lists; i++) {
        wte__topk_init(&s.best[i], i < n ? items + i * k : lists + (i - n) * k, k);
        s.thresholds[i] = -INFINITY;
    }
    wte__parallel(n_blocks, n_workers, scan_block, &s);
    for (size_t q = 0; q < n; q++) {
        for (size_t other = q + n; other < n_lists; other += n)
            for (size_t i = 0; i < s.best[other].n; i++)
                wte__topk_push(&s.best[q], s.best[other].items[i].score, s.best[other].items[i].id);
        wte__topk_sort(&s.best[q]);
        found[q] = s.best[q];
    }
done:
    wte__free(lists);
    wte__free(s.thresholds);
    wte__free(s.best);
    return status;
}

/* ---- ranks ------------------------------------------------------------------------------- */

/* Asked rows in the order of the answer. A row that outranks asked row p but not p - 1 is counted
 * in counts[p]; the rank of p then is 1 + counts[0] + ... + counts[p]. */
typedef struct asked {
    float score;
    uint32_t id;
    size_t place; /* in the caller's arrays */
} asked;

typedef struct ranking {
    const wte__range *range;
    const wte__scorer *scorer;
    const wte__bounds *bounds;
    const asked *asked; /* [n] best first */
    size_t n, block_rows;
    uint64_t *counts;          /* [n_workers, n + 1] */
    wte__bounds_block *blocks; /* [n_workers], NULL without bounds */
} ranking;

static int compare_asked(const void *a, const void *b)
{
    const asked *x = a, *y = b;

    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* The first asked row that a row with this score outranks; a row does not outrank itself. */
static size_t first_outranked(const ranking *r, float score, uint32_t id)
{
    size_t low = 0, high = r->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const asked *a = &r->asked[middle];

        if (a->score > score || (a->score == score && a->id <= id))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void rank_block(void *ctx, size_t block, unsigned worker)
{
    const ranking *r = ctx;
    uint64_t *counts = r->counts + worker * (r->n + 1);
    wte__bounds_block *b = r->blocks ? &r->blocks[worker] : NULL;
    size_t begin = r->range->first + block * r->block_rows;
    size_t end = r->range->end - begin < r->block_rows ? r->range->end : begin + r->block_rows;

    if (b)
        wte__bounds_compute(r->bounds, begin, end - begin, b);
    for (size_t row = begin; row < end; row++) {
        float score;

        if (!wte__range_allows(r->range, row))
            continue;
        if (b) {
            /* decided where no asked row's score lies between the bounds, the ends included */
            size_t from = first_outranked(r, b->upper[row - begin], 0);

            if (b->lower[row - begin] <= b->upper[row - begin] &&
                from == first_outranked(r, b->lower[row - begin], UINT32_MAX) &&
                (from == 0 || r->asked[from - 1].score > b->upper[row - begin])) {
                counts[from]++;
                continue;
            }
        }
        score = r->scorer->score(r->scorer, row);
        if (!isnan(score))
            counts[first_outranked(r, score, (uint32_t)row)]++;
    }
}

wte_status wte__rank(const wte__range *range, const wte__scorer *scorer, const wte__bounds *bounds,
                     const uint32_t *ids, size_t n, unsigned n_threads, uint64_t *ranks,
                     float *scores, wte_error *err)
{
    ranking r = {.range = range, .scorer = scorer, .bounds = bounds};
    const wte_space *space = range->space;
    const size_t n_rows = range->end - range->first;
    asked *list = NULL;
    size_t n_blocks;
    unsigned n_workers;
    uint64_t ahead = 0;
    wte_status status = wte__check_ids(space, ids, n, err);

    if (status != WTE_OK)
        return status;
    r.block_rows = bounds ? wte__bounds_rows(space) : rows_per_block(range);
    n_blocks = (n_rows + r.block_rows - 1) / r.block_rows;
    n_workers = scan_threads(n_threads, n_blocks, bounds ? SMALLEST_BLOCK / 2 : SMALLEST_BLOCK);
    list = wte__calloc(n + 1, sizeof *list);
    r.counts = wte__calloc(n_workers, (n + 1) * sizeof *r.counts);
    if (bounds)
        r.blocks = wte__alloc_aligned(n_workers, sizeof *r.blocks);
    if (!list || !r.counts || (bounds && !r.blocks)) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory to rank %zu rows", n);
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        float score = space->norms[ids[i]] > 0 ? scorer->score(scorer, ids[i]) : NAN;

        ranks[i] = 0;
        if (scores)
            scores[i] = score;
        if (!isnan(score))
            list[r.n++] = (asked){score, ids[i], i};
    }
    qsort(list, r.n, sizeof *list, compare_asked);
    r.asked = list;
    /* the stride of counts follows r.n, which is at most n */
    if (r.n > 0)
        wte__parallel(n_blocks, n_workers, rank_block, &r);
    for (size_t p = 0; p < r.n; p++) {
        for (unsigned w = 0; w < n_workers; w++)
            ahead += r.counts[w * (r.n + 1) + p];
        ranks[list[p].place] = ahead + 1;
    }
done:
    wte__free(r.blocks);
    wte__free(r.counts);
    wte__free(list);
    return status;
}
