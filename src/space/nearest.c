/* SPDX-License-Identifier: MIT */
/* nearest.c - exact nearest neighbours
 *
 * With 8-bit codes a search is one pass over a quarter of the bytes. Every row gets an interval
 * that holds its score (bounds.c). Each thread keeps the k best lower ends that it has seen: the
 * k-th of them, t, is a score that k rows reach for certain, so a row whose upper end is below t is
 * out. The others are noted as candidates. t only rises, so when all threads are done their lower
 * ends are merged, the candidates filtered once more by the common t, and what is left, usually
 * some tens to some thousands of rows, gets its float32 score, from the same function as in a full
 * scan. Nothing can be lost, and the answer is the same to the last bit.
 *
 * In a space where the codes cannot tell rows apart (many rows within the codes' error of each
 * other) the candidates grow too many. Beyond an eighth of the rows reading them one by one costs
 * more than a scan, so the search then starts over with the rows themselves.
 *
 * Up to WTE__GROUP queries share one pass: the codes of a block stay in the second-level cache
 * while each query meets them. Scratch memory is allocated once per call. */
#include "wte/nearest.h"
#include <math.h>
#include "space/geometry.h"
#include "space/once.h"

enum { CANDIDATES_MIN = 4096, CANDIDATES_SHARE = 8 };

typedef struct candidate {
    uint32_t id;
    float upper;
} candidate;

/* What one thread has found for one query. */
typedef struct finding {
    wte__topk lower; /* the k best lower ends */
    float threshold; /* the k-th of them */
    candidate *list; /* [capacity] rows that could be among the k best */
    size_t n;
    bool overflow; /* there were more */
} finding;

typedef struct code_scan {
    const wte__range *range;
    const wte__bounds *bounds; /* [n] */
    size_t n, k, block_rows, capacity;
    finding *findings;         /* [n_workers, n] */
    wte__bounds_block *blocks; /* [n_workers] */
    wte__progress *progress;
} code_scan;

/* Keep the candidates that are still possible. */
static void sift(finding *f, float threshold)
{
    size_t n = 0;

    for (size_t i = 0; i < f->n; i++)
        if (f->list[i].upper >= threshold)
            f->list[n++] = f->list[i];
    f->n = n;
}

static void note(const code_scan *s, finding *f, candidate c, float lower)
{
    wte__topk_push(&f->lower, lower, c.id);
    f->threshold = wte__topk_threshold(&f->lower);
    if (f->n == s->capacity) {
        sift(f, f->threshold);
        /* a list that stays nearly full would be sifted again and again */
        f->overflow = f->n > s->capacity - s->capacity / 4;
    }
    if (!f->overflow)
        f->list[f->n++] = c;
}

static void code_block(void *ctx, size_t block, unsigned worker)
{
    const code_scan *s = ctx;
    wte__bounds_block *b = &s->blocks[worker];
    size_t begin = s->range->first + block * s->block_rows;
    size_t end = s->range->end - begin < s->block_rows ? s->range->end : begin + s->block_rows;

    if (wte__progress_add(s->progress, 0, worker))
        return;
    for (size_t q = 0; q < s->n; q++) {
        finding *f = &s->findings[worker * s->n + q];
        size_t n;

        if (f->overflow)
            continue;
        wte__bounds_compute(&s->bounds[q], begin, end - begin, b);
        n = wte__kernel()->select_ge(b->upper, end - begin, f->threshold, b->selected);
        for (size_t i = 0; i < n && !f->overflow; i++) {
            uint32_t at = b->selected[i];

            if (b->upper[at] >= f->threshold && wte__range_allows(s->range, begin + at))
                note(s, f, (candidate){(uint32_t)(begin + at), b->upper[at]}, b->lower[at]);
        }
    }
    wte__progress_add(s->progress, (end - begin) * s->n, worker);
}

/* A group of queries on its way to its answers. */
typedef struct group {
    const wte__range *range;
    size_t n, k;
    wte_metric metric;
    unsigned n_threads;
    wte__scorer scorers[WTE__GROUP];
    wte__bounds bounds[WTE__GROUP];
    float *vectors;     /* [WTE__GROUP, dim] */
    int8_t *codes;      /* [WTE__GROUP, padded dim] */
    wte__ranked *items; /* [WTE__GROUP, k] */
    wte__topk found[WTE__GROUP];
    bool answered[WTE__GROUP];
    wte__progress progress;
    wte_search_report report;
} group;

/* Merge what the threads found for one query; true if the candidates are few enough to decide. */
static bool merge_findings(const code_scan *s, size_t n_workers, size_t q, wte__topk *lower)
{
    size_t n_candidates = 0;
    float threshold;

    for (size_t w = 0; w < n_workers; w++) {
        const finding *f = &s->findings[w * s->n + q];

        if (f->overflow)
            return false;
        for (size_t i = 0; i < f->lower.n; i++)
            wte__topk_push(lower, f->lower.items[i].score, f->lower.items[i].id);
    }
    threshold = wte__topk_threshold(lower);
    for (size_t w = 0; w < n_workers; w++) {
        finding *f = &s->findings[w * s->n + q];

        sift(f, threshold);
        n_candidates += f->n;
    }
    return n_candidates <= s->capacity;
}

static void rescore(group *g, const code_scan *s, size_t n_workers, size_t q)
{
    wte__topk *best = &g->found[q];

    wte__topk_init(best, g->items + q * g->k, g->k);
    for (size_t w = 0; w < n_workers; w++) {
        const finding *f = &s->findings[w * s->n + q];

        for (size_t i = 0; i < f->n; i++)
            wte__topk_push(best, g->scorers[q].score(&g->scorers[q], f->list[i].id), f->list[i].id);
        g->report.n_candidates += f->n;
    }
    wte__topk_sort(best);
    g->answered[q] = true;
}

/* Answer what the codes can answer. */
static wte_status scan_codes(group *g, wte_error *err)
{
    const wte_space *space = g->range->space;
    const size_t n_rows = g->range->end - g->range->first;
    code_scan s = {.range = g->range, .bounds = g->bounds, .n = g->n, .k = g->k};
    wte__ranked *lowers = NULL;
    candidate *candidates = NULL;
    size_t n_blocks, n_workers, n_findings, useful;
    wte_status status = WTE_OK;

    s.progress = &g->progress;
    s.block_rows = wte__bounds_rows(space);
    s.capacity = n_rows / CANDIDATES_SHARE;
    s.capacity = s.capacity < CANDIDATES_MIN ? CANDIDATES_MIN : s.capacity;
    n_blocks = (n_rows + s.block_rows - 1) / s.block_rows;
    useful = n_rows * space->codes.stride * g->n / WTE__THREAD_BYTES;
    n_workers = wte__threads(g->n_threads, useful < n_blocks ? useful : n_blocks);
    n_findings = n_workers * g->n;
    s.findings = wte__calloc(n_findings, sizeof *s.findings);
    s.blocks = wte__alloc_aligned(n_workers, sizeof *s.blocks);
    lowers = wte__calloc(n_findings + 1, g->k * sizeof *lowers);
    candidates = wte__calloc(n_findings, s.capacity * sizeof *candidates);
    if (!s.findings || !s.blocks || !lowers || !candidates) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for the candidates of %zu queries", g->n);
        goto done;
    }
    for (size_t i = 0; i < n_findings; i++) {
        wte__topk_init(&s.findings[i].lower, lowers + i * g->k, g->k);
        s.findings[i].threshold = -INFINITY;
        s.findings[i].list = candidates + i * s.capacity;
    }
    wte__parallel(n_blocks, (unsigned)n_workers, code_block, &s);
    for (size_t q = 0; q < g->n; q++) {
        wte__topk lower;

        wte__topk_init(&lower, lowers + n_findings * g->k, g->k);
        if (merge_findings(&s, n_workers, q, &lower))
            rescore(g, &s, n_workers, q);
    }
    g->report.used_codes = 1;
done:
    wte__free(candidates);
    wte__free(lowers);
    wte__free(s.blocks);
    wte__free(s.findings);
    return status;
}

/* Answer the queries that are still open by reading the rows. */
static wte_status scan_rows(group *g, bool counted, wte_error *err)
{
    wte__scorer open[WTE__GROUP];
    wte__topk found[WTE__GROUP];
    size_t n = 0;
    wte__ranked *items;
    wte_status status;

    for (size_t q = 0; q < g->n; q++)
        if (!g->answered[q])
            open[n++] = g->scorers[q];
    if (n == 0)
        return WTE_OK;
    items = wte__calloc(n, g->k * sizeof *items);
    if (!items)
        return wte__fail(err, WTE_E_NOMEM, "no memory for %zu neighbours", g->k);
    status = wte__scan(g->range, open, n, g->k, g->n_threads, counted ? NULL : &g->progress, items,
                       found, err);
    for (size_t q = 0, i = 0; q < g->n && status == WTE_OK; q++) {
        if (g->answered[q])
            continue;
        wte__topk_init(&g->found[q], g->items + q * g->k, g->k);
        g->found[q].n = found[i].n;
        memcpy(g->found[q].items, found[i].items, found[i].n * sizeof *items);
        i++;
    }
    g->report.full_scan = 1;
    wte__free(items);
    return status;
}

static wte_status answer_group(group *g, const float *queries, const wte_search_options *options,
                               wte_error *err)
{
    const wte_space *space = g->range->space;
    const size_t dim = space->rows.dim, n_rows = g->range->end - g->range->first;
    const size_t padded = (dim + WTE__QUERY_PAD - 1) / WTE__QUERY_PAD * WTE__QUERY_PAD;
    bool use_codes = !options->full_scan && g->k <= n_rows / CANDIDATES_SHARE;
    wte_status status = WTE_OK;

    for (size_t q = 0; q < g->n; q++) {
        double length;

        g->answered[q] = false;
        status = wte__scorer_init(&g->scorers[q], space, g->metric, queries + q * dim,
                                  g->vectors + q * dim, &length, err);
        if (status != WTE_OK)
            return status;
        g->bounds[q].query = g->codes + q * padded;
        use_codes = use_codes && wte__bounds_init(&g->bounds[q], &g->scorers[q], g->metric);
    }
    g->report.n_rows += n_rows * g->n;
    if (use_codes)
        status = scan_codes(g, err);
    if (status == WTE_OK)
        status = scan_rows(g, use_codes, err);
    return status;
}

static void write_answer(const wte__topk *found, wte_metric metric, wte_neighbor *out,
                         size_t *out_n)
{
    for (size_t i = 0; i < found->n; i++) {
        float score = found->items[i].score;

        out[i] = (wte_neighbor){found->items[i].id, metric == WTE_COSINE ? score : 0.0f - score};
    }
    *out_n = found->n;
}

static bool searched_before(const wte_space *space)
{
    return atomic_exchange(&((wte_space *)(uintptr_t)space)->searched, true);
}

/* One query in an unmeasured space, which is read once for it. */
static wte_status answer_once(const wte_space *space, const float *query,
                              const wte_search_options *options, wte_neighbor *out, size_t *out_n,
                              wte_search_report *report, bool *answered, wte_error *err)
{
    const uint32_t n_rows = space->rows.n_rows;
    const size_t k = options->k < n_rows ? options->k : n_rows;
    wte__topk found;
    wte__ranked *items = wte__calloc(k + 1, sizeof *items);
    wte_status status;

    if (!items)
        return wte__fail(err, WTE_E_NOMEM, "no memory for %zu neighbours", k);
    wte__topk_init(&found, items, k ? k : 1);
    status = wte__nearest_once(space, query, options, &found, answered, err);
    if (status == WTE_OK && *answered) {
        write_answer(&found, options->metric, out, out_n);
        if (report)
            *report = (wte_search_report){.n_rows = n_rows, .full_scan = 1};
    }
    wte__free(items);
    return status;
}

static wte_status check_options(const wte_search_options *options, wte_error *err)
{
    if (options->k == 0)
        return wte__fail(err, WTE_E_RANGE, "0 neighbours asked for, at least 1 expected");
    return WTE_OK;
}

wte_status wte_nearest(const wte_space *space, const float *queries, size_t n,
                       const wte_search_options *options, wte_neighbor *out, size_t *out_n,
                       wte_search_report *report, wte_error *err)
{
    const size_t dim = space->rows.dim;
    const size_t padded = (dim + WTE__QUERY_PAD - 1) / WTE__QUERY_PAD * WTE__QUERY_PAD;
    wte__range range = {0};
    group *g = NULL;
    size_t n_rows, together;
    wte_status status = check_options(options, err);
    bool answered = false;

    if (status == WTE_OK && n == 1 && space->unmeasured && !searched_before(space))
        status = answer_once(space, queries, options, out, out_n, report, &answered, err);
    if (status == WTE_OK && !answered)
        status = wte__space_measure(space, options->n_threads, err);
    if (status == WTE_OK && !answered)
        status = wte__range_init(&range, space, options, err);
    if (status != WTE_OK || answered)
        return status;
    n_rows = range.end - range.first;
    together = n < WTE__GROUP ? n : WTE__GROUP;
    g = wte__calloc(1, sizeof *g);
    if (!g)
        goto nomem;
    g->range = &range;
    g->k = options->k < n_rows ? options->k : n_rows;
    g->k = g->k ? g->k : 1;
    g->metric = options->metric;
    g->n_threads = options->n_threads;
    g->vectors = wte__calloc(together + 1, dim * sizeof *g->vectors);
    g->codes = wte__alloc_aligned(together + 1, padded);
    g->items = wte__calloc(together + 1, g->k * sizeof *g->items);
    if (!g->vectors || !g->codes || !g->items)
        goto nomem;
    wte__progress_begin(&g->progress, options->progress, options->progress_data, "searching",
                        (uint64_t)n_rows * n);
    for (size_t first = 0; first < n && status == WTE_OK; first += g->n) {
        g->n = n - first < WTE__GROUP ? n - first : WTE__GROUP;
        status = answer_group(g, queries + first * dim, options, err);
        if (status == WTE_OK && wte__progress_add(&g->progress, 0, 0))
            status = wte__fail(err, WTE_E_CANCELLED, "search cancelled");
        for (size_t q = 0; q < g->n && status == WTE_OK; q++)
            write_answer(&g->found[q], g->metric, out + (first + q) * options->k,
                         &out_n[first + q]);
    }
    if (status == WTE_OK && wte__progress_end(&g->progress))
        status = wte__fail(err, WTE_E_CANCELLED, "search cancelled");
    if (status == WTE_OK && report)
        *report = g->report;
    goto done;
nomem:
    status = wte__fail(err, WTE_E_NOMEM, "no memory for %zu neighbours of %zu queries", options->k,
                       together);
done:
    if (g) {
        wte__free(g->items);
        wte__free(g->codes);
        wte__free(g->vectors);
    }
    wte__free(g);
    wte__range_free(&range);
    return status;
}

wte_status wte_rank(const wte_space *space, const float *query, const uint32_t *ids, size_t n,
                    const wte_search_options *options, uint64_t *ranks, float *scores,
                    wte_error *err)
{
    const size_t dim = space->rows.dim;
    wte__range range = {0};
    wte__scorer scorer;
    wte__bounds bounds;
    double length;
    bool use_codes;
    float *vector = wte__calloc(dim, sizeof *vector);
    wte_status status;

    bounds.query = wte__alloc_aligned(dim + WTE__QUERY_PAD, 1);
    if (!vector || !bounds.query) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for a query of %zu numbers", dim);
        goto done;
    }
    status = wte__space_measure(space, options->n_threads, err);
    if (status != WTE_OK)
        goto done;
    status = wte__scorer_init(&scorer, space, options->metric, query, vector, &length, err);
    if (status != WTE_OK)
        goto done;
    status = wte__range_init(&range, space, options, err);
    if (status != WTE_OK)
        goto done;
    use_codes = !options->full_scan && wte__bounds_init(&bounds, &scorer, options->metric);
    status = wte__rank(&range, &scorer, use_codes ? &bounds : NULL, ids, n, options->n_threads,
                       ranks, scores, err);
    for (size_t i = 0; i < n && scores && status == WTE_OK && options->metric != WTE_COSINE; i++)
        scores[i] = 0.0f - scores[i];
done:
    wte__range_free(&range);
    wte__free(bounds.query);
    wte__free(vector);
    return status;
}
