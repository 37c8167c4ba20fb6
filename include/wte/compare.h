/* SPDX-License-Identifier: MIT */
/** wte/compare.h - two or more spaces over one list of words
 *
 * Everything here works on matrices of float32: row i of each is the same item (a word, a sentence) in
 * another space; widths may differ. Which words two spaces share is the bridge's business
 * (wte/bridge.h). All sums are in float64 and of fixed order: results do not depend on the number of
 * threads. Nothing of size n x n is kept for n over WTE_DENSE_LIMIT where a stream of tiles serves.
 *
 * A measure that is not defined for its input (a constant row, fewer items than it needs) is an error
 * that says which and why, never a NaN. */
#ifndef WTE_COMPARE_H
#define WTE_COMPARE_H
#include "wte/status.h"
WTE_BEGIN_DECLS

enum { WTE_DENSE_LIMIT = 20000 };

/** n items as the rows of a matrix. Borrowed. */
typedef struct wte_items {
    const float *data; /**< [n, dim] */
    size_t n, dim;
    const char *name; /**< for messages; may be NULL */
} wte_items;

/* ---- dissimilarity matrices ---------------------------------------------------------------- */

/** What a representational dissimilarity matrix holds (Kriegeskorte et al. 2008). */
typedef enum wte_rdm_metric {
    WTE_RDM_COSINE,      /**< 1 - cos(x_i, x_j) */
    WTE_RDM_CORRELATION, /**< 1 - Pearson r of the rows */
    WTE_RDM_EUCLIDEAN,   /**< |x_i - x_j| */
    WTE_RDM_SQEUCLIDEAN  /**< |x_i - x_j|^2 */
} wte_rdm_metric;

/** Compute the upper triangle, row by row without the diagonal.
 *   out  [n (n - 1) / 2]
 * Errors: E_RANGE (fewer than 2 items; a row without direction, named by number), E_NOMEM. */
WTE_API wte_status wte_rdm(const wte_items *items, wte_rdm_metric metric, unsigned n_threads,
                           double *out, wte_error *err);

/** How two RDMs are compared. */
typedef enum wte_comparator {
    WTE_COMPARE_PEARSON,
    WTE_COMPARE_COSINE, /**< S_c: sum(ab) / sqrt(sum(aa) sum(bb)); of the *similarity* triangles where
                             the metric is cosine, as the notebooks compute it */
    WTE_COMPARE_SPEARMAN, /**< Pearson r of mid-ranks (Spearman 1904) */
    WTE_COMPARE_RHO_A,    /**< expected Spearman under random tie breaking (Schuett et al. 2023) */
    WTE_COMPARE_TAU_A,    /**< (concordant - discordant) / all pairs of entries (Kendall 1938) */
    WTE_COMPARE_TAU_B,    /**< the same / the root of the pairs that are not tied in each list */
    WTE_COMPARE_WHITENED_COSINE /**< Diedrichsen et al. 2020; equals linear CKA for squared Euclidean
                                   RDMs */
} wte_comparator;
WTE_API const char *wte_comparator_name(wte_comparator comparator);

/** Compare two lists of the same length (for WHITENED_COSINE two upper triangles).
 * O(m log m) at most (Knight 1966 for tau). Errors: E_RANGE (fewer than 2; a constant list; a
 * number that is not finite; no upper triangle), E_NOMEM. */
WTE_API wte_status wte_compare_lists(const double *a, const double *b, size_t m,
                                     wte_comparator comparator, double *out, wte_error *err);

/* ---- representational similarity analysis -------------------------------------------------- */

/** Options of wte_rsa(); start from wte_rsa_options_init(). */
typedef struct wte_rsa_options {
    wte_rdm_metric metric;    /**< COSINE */
    wte_comparator statistic; /**< PEARSON: what permutations and bootstraps are made of */
    size_t permutations;      /**< 10000; 0: none. Of up to 7 items all orders, whatever it says */
    size_t bootstraps;        /**< 1000; 0: none */
    double level;             /**< 0.95 of the interval */
    int bca;       /**< 1: bias-corrected and accelerated (Efron 1987), else percentile */
    uint64_t seed; /**< 0 */
    const double *const *nuisance; /**< [n_nuisance] upper triangles that are regressed out of both
                                      (partial RSA): word lengths, token counts, frequency ranks.
                                      For PEARSON and SPEARMAN; residuals are permuted (Legendre
                                      2000) */
    size_t n_nuisance;             /**< at most 16 */
    unsigned n_threads;
    wte_progress_fn progress;
    void *progress_data;
} wte_rsa_options;
WTE_API void wte_rsa_options_init(wte_rsa_options *options);

typedef struct wte_rsa_result {
    size_t n, n_pairs;
    double pearson, cosine, spearman, rho_a, kendall_tau_a, kendall_tau_b, whitened_cosine;
    double statistic;    /**< the one that was asked for, partial where there are nuisances */
    double p_value;      /**< one-sided: (1 + #{permuted >= observed}) / (1 + permutations), where
                             within 1e-7 is equal; all n! are counted for n up to 7. NaN-free: 1
                             without permutations */
    size_t permutations; /**< that were made, beside the order observed: n! - 1 where exact */
    int exact;           /**< all of them */
    double ci[2];        /**< over items; bootstraps == 0: both are the statistic */
    size_t bootstraps;   /**< that were used */
    const char *warning; /**< "fewer than 8 items: ...", or "" */
} wte_rsa_result;

/** Compare two spaces by their RDMs. Items are permuted jointly (rows and columns); bootstrap draws
 * items with replacement and leaves out pairs of an item with itself; draws without a statistic are
 * made again. The same seed gives the same result on any number of threads. Memory is some 100
 * bytes a pair. Kendall's tau as the statistic is slow: every permutation sorts. Source: Mantel 1967;
 * Kriegeskorte et al. 2008; Nili et al. 2014. Errors: E_SHAPE (n differs), E_RANGE (n below 3, or
 * below 6 with permutations: 5! = 120 orders cannot reach p < 0.01; n over WTE_DENSE_LIMIT;
 * constant RDM; nothing left beside the nuisances), E_NOMEM, E_CANCELLED. */
WTE_API wte_status wte_rsa(const wte_items *a, const wte_items *b, const wte_rsa_options *options,
                           wte_rsa_result *out, wte_error *err);

/** Noise ceiling of replicates' RDMs (Nili et al. 2014): [n_rdms] triangles of length m.
 * Errors: E_RANGE (fewer than 2; a constant one), E_NOMEM. */
WTE_API wte_status wte_noise_ceiling(const double *const *rdms, size_t n_rdms, size_t m,
                                     wte_comparator comparator, double *lower, double *upper,
                                     wte_error *err);

/** Benjamini-Hochberg (1995): q[i] is the smallest false discovery rate at which test i is
 * significant. Errors: E_RANGE (a p outside 0..1), E_NOMEM. */
WTE_API wte_status wte_fdr(const double *p, size_t n, double *q, wte_error *err);

/* ---- alignment and kernels ------------------------------------------------------------------ */

/** Linear or RBF centred kernel alignment (Kornblith et al. 2019), biased or debiased (Song et al.
 * 2012). In feature space where n is larger than the widths.
 *   rbf  0: linear; else bandwidth as a multiple of the median distance (of squared distances):
 *        exp(-d^2 / (2 s^2)), s^2 = rbf^2 * median d^2 of each space
 * Debiased it may be negative. Biased, it nears 1 for anything where n is below twice the widths.
 * Errors: E_SHAPE, E_RANGE (n < 4 debiased, n < 2; constant items; n over WTE_DENSE_LIMIT for rbf),
 * E_NOMEM. */
WTE_API wte_status wte_cka(const wte_items *a, const wte_items *b, double rbf, int debiased,
                           unsigned n_threads, double *out, wte_error *err);

typedef struct wte_procrustes_result {
    double distance;  /**< sqrt(2 - 2 |A'B|_*) of centred matrices of Frobenius norm 1 */
    double disparity; /**< 1 - |A'B|_*^2, scipy's */
    double angle;     /**< arccos(|A'B|_*): a metric (Williams et al. 2021), radians */
} wte_procrustes_result;
/** Orthogonal Procrustes (Schoenemann 1966); the narrower one is padded with zeros. Errors:
 * E_SHAPE, E_RANGE (constant items), E_UNSUPPORTED (no LAPACK), E_NOMEM. */
WTE_API wte_status wte_procrustes(const wte_items *a, const wte_items *b, unsigned n_threads,
                                  wte_procrustes_result *out, wte_error *err);

/** Canonical correlations: min(p, q) of them, descending, and their mean. With `variance` below 1 each
 * side is first cut to the principal components that reach it (SVCCA, Raghu et al. 2017).
 *   correlations  [min(p, q)] or NULL: the first min(kept) are written, the others are 0
 *   mean          over min(kept), or NULL
 *   kept          [2] components left on each side, or NULL
 * Source: Hotelling 1936; Bjoerck and Golub 1973. Errors: E_SHAPE, E_RANGE (variance is 1 and
 * n - 1 < max(p, q): every correlation would be 1; or columns depend on each other), E_UNSUPPORTED (no
 * LAPACK), E_NOMEM. */
WTE_API wte_status wte_cca(const wte_items *a, const wte_items *b, double variance,
                           double *correlations, double *mean, size_t kept[2], wte_error *err);
/** Projection-weighted CCA (Morcos et al. 2018), weighted by a's side: not symmetric. Errors: as
 * wte_cca(). */
WTE_API wte_status wte_pwcca(const wte_items *a, const wte_items *b, double *out, wte_error *err);

/** Mean share of each item's k nearest (cosine, itself left out, ties by lower number) that are the
 * same in both; and mean rank-biased overlap of the lists (Webber et al. 2010, extrapolated from depth
 * k as in their equation 30: 1 for the same lists) with persistence p, above 0 and below 1. Either
 * output may be NULL. Errors: E_SHAPE (n differs), E_RANGE (k is 0 or not below n; p; a row without
 * direction), E_NOMEM. */
WTE_API wte_status wte_neighbor_overlap(const wte_items *a, const wte_items *b, size_t k, double p,
                                        unsigned n_threads, double *overlap, double *rbo,
                                        wte_error *err);

/** Pearson r of each pair of rows. out [n]. Errors: E_SHAPE (widths differ: both are said), E_RANGE (a
 * constant row). */
WTE_API wte_status wte_row_correlations(const wte_items *a, const wte_items *b, double *out,
                                        wte_error *err);

/* ---- isotropy ------------------------------------------------------------------------------- */

typedef struct wte_isotropy_result {
    double mean_cosine,
        sd_cosine; /**< of all pairs of different items (Ethayarajh 2019 draws some) */
    size_t pairs;
    double iso_score;           /**< Rudman et al. 2022: 1 isotropic, 0 one direction */
    double participation_ratio; /**< (sum l)^2 / sum l^2 of the covariance's eigenvalues */
    double effective_rank;      /**< exp of their entropy (Roy and Vetterli 2007) */
    double partition;           /**< min Z(c) / max Z(c) over the eigenvectors of X'X and their
                                   opposites (Mu and Viswanath 2018) */
    double hubness;             /**< skewness of k-occurrence (Radovanovic et al. 2010) */
    double anti_hubs;           /**< share of items in nobody's k nearest */
    size_t hub_items;           /**< that these two were counted over */
} wte_isotropy_result;
/** Measure a space. Hubness needs all n^2 cosines, which are not kept: over n_hub items, drawn by the
 * seed, where n is more; 0: all.
 *   k  of the k-occurrence, below the number of items
 * Errors: E_SHAPE (empty rows), E_RANGE (k; fewer than 2 items, all equal, a row that is zero or not
 * finite; rows of 1 number), E_UNSUPPORTED (no LAPACK), E_NOMEM. */
WTE_API wte_status wte_isotropy(const wte_items *items, size_t k, size_t n_hub, uint64_t seed,
                                unsigned n_threads, wte_isotropy_result *out, wte_error *err);

WTE_END_DECLS
#endif
