/* SPDX-License-Identifier: MIT */
/** space/search.h - scans over all rows, for any score */
#ifndef WTE_SPACE_SEARCH_H
#define WTE_SPACE_SEARCH_H
#include "kernel/kernel.h"
#include "space/space_internal.h"
#include "wte/nearest.h"

enum { WTE__GROUP = 8 }; /* queries that share one reading of the rows */

/** A way to score rows. The score of a row depends on nothing but the scorer and the row, so
 * candidates chosen by the codes and a full scan get the same bits. Higher is better: distances are
 * negative here. NaN: the row is no answer. */
typedef struct wte__scorer wte__scorer;
struct wte__scorer {
    float (*score)(const wte__scorer *s, size_t row);
    const wte_space *space;
    const float *vectors; /* [n_positive + n_negative, dim] */
    size_t n_positive, n_negative;
    /* The scores of rows row to row + n, where one call for many is faster; else NULL. */
    void (*score_rows)(const wte__scorer *s, size_t row, size_t n, float *scores);
};

/** Prepare a query for a metric.
 *   query   [dim]
 *   vector  [dim], filled: what the scorer reads; must live as long as it
 *   length  receives the query's length
 * Errors: E_RANGE (no direction, not finite, unknown metric). */
wte_status wte__scorer_init(wte__scorer *s, const wte_space *space, wte_metric metric,
                            const float *query, float *vector, double *length, wte_error *err);

/** The rows that may be an answer. */
typedef struct wte__range {
    const wte_space *space;
    size_t first, end;
    uint32_t *exclude; /* [n_exclude] ascending */
    size_t n_exclude;
} wte__range;

/** Read the range and the excluded rows of the options. Errors: E_NOMEM. */
wte_status wte__range_init(wte__range *r, const wte_space *space, const wte_search_options *options,
                           wte_error *err);
void wte__range_free(wte__range *r);
/** Tell whether a row of the range may be an answer. */
bool wte__range_allows(const wte__range *r, size_t row);

/** Find the k best rows of a range for each of n scorers, n at most WTE__GROUP, by reading all rows.
 *   items    [n, k]
 *   found    [n] lists over `items`, best first
 * Errors: E_NOMEM. Stops early when the progress is cancelled. */
wte_status wte__scan(const wte__range *range, const wte__scorer *scorers, size_t n, size_t k,
                     unsigned n_threads, wte__progress *progress, wte__ranked *items,
                     wte__topk *found, wte_error *err);

/** Scores that a row's true score lies between, for a block of rows. */
typedef struct wte__bounds wte__bounds;

/** Find ranks. bounds NULL: by reading all rows; else only rows whose bounds leave it open. As
 * wte_rank otherwise. */
wte_status wte__rank(const wte__range *range, const wte__scorer *scorer, const wte__bounds *bounds,
                     const uint32_t *ids, size_t n, unsigned n_threads, uint64_t *ranks,
                     float *scores, wte_error *err);

enum { WTE__BOUNDS_ROWS = 1024 };

/** What one worker needs to compute bounds; [rows] each. */
typedef struct wte__bounds_block {
    int32_t dots[WTE__BOUNDS_ROWS];
    float upper[WTE__BOUNDS_ROWS], lower[WTE__BOUNDS_ROWS];
    uint32_t selected[WTE__BOUNDS_ROWS];
} wte__bounds_block;

/** A query in 8 bits, and how far its dot products can be from the truth. See bounds.c. */
struct wte__bounds {
    const wte_space *space;
    wte_metric metric;
    int8_t *query; /* [dim rounded up to WTE__QUERY_PAD], aligned to 64 */
    float scale;
    float residual; /* upper bound of |vector - scale * query| */
    float length;   /* of the vector */
    float slack;    /* relative rounding of everything computed in float32 */
};

/** Quantise a scorer's vector; b->query is the caller's. False where bounds would prove nothing: no
 * codes, no bounds for the metric, or magnitudes at the ends of float32. */
bool wte__bounds_init(wte__bounds *b, const wte__scorer *s, wte_metric metric);
/** Fill upper and lower for rows first .. first + n, n at most WTE__BOUNDS_ROWS. Rows without
 * direction may have any bounds, NaN as well. */
void wte__bounds_compute(const wte__bounds *b, size_t first, size_t n, wte__bounds_block *block);
/** Rows in a block such that the codes of a block stay in the second-level cache. */
size_t wte__bounds_rows(const wte_space *space);

/** Bytes that a thread should read at least; below, one thread does it all. */
enum { WTE__THREAD_BYTES = 1 << 19 };
#endif
