/* SPDX-License-Identifier: MIT */
/** wte/nearest.h - exact nearest neighbours and analogies in a space
 *
 * Neighbours are exact. Where the space has 8-bit codes, one pass over them (a quarter of the
 * bytes) gives each row an interval that provably holds its score; rows whose interval cannot reach
 * the k-th best are left, and float32 decides among the others. Without codes the rows themselves
 * are read. Either way the answer is the same to the last bit, for any number of threads. Ties go
 * to the lower id. A search reads the codes once: 3 million rows of 300 are 900 MB, so memory
 * bandwidth sets the time. Source of the measures: Mikolov et al. 2013, arXiv:1301.3781; Levy and
 * Goldberg 2014. */
#ifndef WTE_NEAREST_H
#define WTE_NEAREST_H
#include "wte/similarity.h"
WTE_BEGIN_DECLS

typedef struct wte_neighbor {
    uint32_t id;
    float score; /**< cosine: similarity; euclidean, cityblock: distance; cosmul: its product */
} wte_neighbor;

/** Options of a search; start from WTE_SEARCH_DEFAULTS. */
typedef struct wte_search_options {
    wte_metric metric;
    size_t k;                /**< how many results */
    uint32_t first_row;      /**< rows before this one are left out (gensim's clip_start) */
    uint32_t n_rows;         /**< rows from this id on are left out; 0: none (restrict_vocab) */
    const uint32_t *exclude; /**< [n_exclude] ids that may not be an answer */
    size_t n_exclude;
    int full_scan;            /**< do not use the codes */
    unsigned n_threads;       /**< 0: one per processor */
    wte_progress_fn progress; /**< or NULL */
    void *progress_data;
} wte_search_options;

#define WTE_SEARCH_DEFAULTS                                                                        \
    {                                                                                              \
        WTE_COSINE, 10, 0, 0, NULL, 0, 0, 0, NULL, NULL                                            \
    }

/** How a search went, for people who want to know. */
typedef struct wte_search_report {
    uint64_t n_rows;       /**< rows looked at */
    uint64_t n_candidates; /**< rows that the codes could not rule out, decided in float32 */
    int used_codes;        /**< the codes were scanned */
    int full_scan;         /**< the rows were scanned in float32 */
} wte_search_report;

/** Find the rows nearest to each of n queries, best first.
 *   queries  [n, dim]; of any length but 0 for WTE_COSINE
 *   out      [n, options->k]
 *   out_n    [n] receives how many of each row of `out` were written
 *   report   or NULL
 * Errors: E_RANGE (k is 0, a query has no direction or is not finite), E_NOMEM, E_CANCELLED. */
WTE_API wte_status wte_nearest(const wte_space *space, const float *queries, size_t n,
                               const wte_search_options *options, wte_neighbor *out, size_t *out_n,
                               wte_search_report *report, wte_error *err);

/** Find the rows with the highest 3CosMul score (Levy and Goldberg 2014): the product of
 * (1 + cos)/2 over the positive rows, divided by the product over the negative ones plus 0.000001,
 * which is gensim's most_similar_cosmul.
 *   positive, negative  ids [n_positive], [n_negative]
 *   options->metric is not used. Errors: E_RANGE, E_NOMEM. */
WTE_API wte_status wte_nearest_cosmul(const wte_space *space, const uint32_t *positive,
                                      size_t n_positive, const uint32_t *negative,
                                      size_t n_negative, const wte_search_options *options,
                                      wte_neighbor *out, size_t *out_n, wte_error *err);

/** Tell a row's place in the answer to a query: 1 for the nearest. Rows that tie count by lower id.
 * options->exclude and the row range apply to the rows counted. Reads all rows.
 *   ids    [n] rows asked about
 *   ranks  [n]; 0 for a row that cannot be found
 *   scores [n], or NULL
 * Errors: E_RANGE, E_NOMEM. */
WTE_API wte_status wte_rank(const wte_space *space, const float *query, const uint32_t *ids,
                            size_t n, const wte_search_options *options, uint64_t *ranks,
                            float *scores, wte_error *err);

typedef enum wte_analogy_method {
    WTE_ANALOGY_ADD, /**< 3CosAdd: nearest to unit(b) - unit(a) + unit(c) (gensim's most_similar) */
    WTE_ANALOGY_MUL, /**< 3CosMul */
    WTE_ANALOGY_RAW  /**< nearest to the rows' own b - a + c, not scaled first */
} wte_analogy_method;

/** a is to b as c is to what? Both answers at once: with the three words left out, and with all
 * rows.
 *   options        k, metric (RAW and ADD), row range; exclude is not used
 *   without, with  [options->k] each; either may be NULL
 *   query_ranks    [3] receives the ranks of a, b and c among all rows, or NULL
 * Errors: E_RANGE, E_NOMEM. */
WTE_API wte_status wte_analogy(const wte_space *space, uint32_t a, uint32_t b, uint32_t c,
                               wte_analogy_method method, const wte_search_options *options,
                               wte_neighbor *without, size_t *n_without, wte_neighbor *with,
                               size_t *n_with, uint64_t *query_ranks, wte_error *err);

WTE_END_DECLS
#endif
