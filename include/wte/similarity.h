/* SPDX-License-Identifier: MIT */
/** wte/similarity.h - how alike two vectors of a space are
 *
 * Cosine similarity has no unit and lies in -1..1; distances are in the space's own unit. A cosine
 * says little without its baseline: in many spaces random pairs are far from 0, so the functions
 * here also place a value among the cosines of random pairs of the same space. */
#ifndef WTE_SIMILARITY_H
#define WTE_SIMILARITY_H
#include "wte/space.h"
WTE_BEGIN_DECLS

typedef enum wte_metric {
    WTE_COSINE,    /**< as a similarity: x.y / (|x| |y|); as a distance: 1 minus that */
    WTE_EUCLIDEAN, /**< |x - y| */
    WTE_CITYBLOCK  /**< sum of |x_i - y_i| */
} wte_metric;

/** Compute the cosine similarity of two rows, accumulated in float64. NaN if a row has no
 * direction. Errors: E_RANGE (an id is out of range). */
WTE_API wte_status wte_similarity(const wte_space *space, uint32_t a, uint32_t b, float *out,
                                  wte_error *err);

/** Compute a distance of two rows, accumulated in float64. Errors: E_RANGE. */
WTE_API wte_status wte_distance(const wte_space *space, uint32_t a, uint32_t b, wte_metric metric,
                                float *out, wte_error *err);

/** Compute the full symmetric matrix of n rows against each other.
 *   ids  [n]
 *   out  [n, n] row-major: similarities for WTE_COSINE, else distances
 * Errors: E_RANGE, E_NOMEM. */
WTE_API wte_status wte_matrix(const wte_space *space, const uint32_t *ids, size_t n,
                              wte_metric metric, float *out, wte_error *err);

/** Mean of rows, each first scaled to length 1 and then weighted, as gensim's get_mean_vector.
 *   ids, weights  [n]; weights may be NULL for 1 (a negative word has weight -1)
 *   unit_rows     0 takes the rows as they are
 *   out           [dim]: sum of weight * row, divided by the sum of |weight|
 * Errors: E_RANGE (n is 0 or an id is out of range). */
WTE_API wte_status wte_mean_vector(const wte_space *space, const uint32_t *ids,
                                   const float *weights, size_t n, int unit_rows, float *out,
                                   wte_error *err);

/** Compute the cosine of the means of two sets of words, as gensim's n_similarity: means of the
 * rows as they are, not scaled. Errors: E_RANGE (a set is empty or an id is out of range). */
WTE_API wte_status wte_set_similarity(const wte_space *space, const uint32_t *a, size_t n_a,
                                      const uint32_t *b, size_t n_b, float *out, wte_error *err);

/** Find the word that goes least with the others: the lowest cosine between a row scaled to length
 * 1 and the mean of them all, as gensim's doesnt_match. Ties: the later of the words given. ids [n]
 *   scores  [n] receives each word's cosine with the mean, or NULL
 *   odd     receives an index into ids
 * Errors: E_RANGE, E_NOMEM. */
WTE_API wte_status wte_odd_one_out(const wte_space *space, const uint32_t *ids, size_t n,
                                   float *scores, size_t *odd, wte_error *err);

/** Word Mover's Distance between two bags of words (Kusner et al. 2015): the least total Euclidean
 * distance that moves the normalised counts of one document onto the other's.
 *   a, b       ids with repetitions
 *   unit_rows  1 scales rows to length 1 first, as gensim does unless told not to
 * A document without words is infinitely far from any other. Cost: O(n^3) in the number of
 * distinct words. Errors: E_RANGE, E_NOMEM. */
WTE_API wte_status wte_word_movers_distance(const wte_space *space, const uint32_t *a, size_t n_a,
                                            const uint32_t *b, size_t n_b, int unit_rows,
                                            double *out, wte_error *err);

/** What cosines of random pairs of distinct rows look like; fixed seed, so always the same. */
typedef struct wte_baseline {
    size_t n_pairs; /**< drawn; fewer where the space has fewer pairs */
    float mean, sd, p05, p50, p95;
} wte_baseline;

/** Describe the cosines of random pairs of a space. Kept in the index, else computed once and
 * remembered. Errors: E_RANGE (fewer than two rows with a direction), E_NOMEM. */
WTE_API wte_status wte_space_baseline(const wte_space *space, wte_baseline *out, wte_error *err);

/** Place a cosine among random pairs: the share of them below it, in percent, ties counted half.
 * Errors: as wte_space_baseline(). */
WTE_API wte_status wte_space_percentile(const wte_space *space, float cosine, float *out,
                                        wte_error *err);

WTE_END_DECLS
#endif
