/* SPDX-License-Identifier: MIT */
/** compare/permute.h - the permutation test: the statistic with one side's items in another
 * order */
#ifndef WTE_COMPARE_PERMUTE_H
#define WTE_COMPARE_PERMUTE_H
#include "compare/comparison.h"

typedef struct wte__permuter wte__permuter;

/** Prepare. The comparison is borrowed, and has to be of a triangle. Errors: E_NOMEM, E_RANGE
 * (nothing is left beside the nuisances). */
wte_status wte__permuter_new(const wte__comparison *c, wte__permuter **out, wte_error *err);
void wte__permuter_free(wte__permuter *p);

/** Compute the statistic with item i of b replaced by item order[i], for several orders.
 *   orders [n_orders, n], out [n_orders]. Errors: E_NOMEM. */
wte_status wte__permuted(const wte__permuter *p, const uint32_t *orders, size_t n_orders,
                         unsigned n_threads, double *out, wte_error *err);

/** Draw order `number` of a test: order [n]. */
void wte__permuter_draw(uint64_t seed, uint64_t number, size_t n, uint32_t *order);

typedef struct wte__permutation_test {
    double p_value;
    size_t permutations; /* beside the order as it is */
    bool exact;
} wte__permutation_test;

enum { WTE__MAX_EXACT = 7 /* items of which all orders are gone through */ };

/** Count orders whose statistic is not below that of the order as it is, nearly equal ones among
 * them. Up to WTE__MAX_EXACT items all orders, else n_orders of them, drawn by the seed; the same
 * for any number of threads. Errors: E_NOMEM, E_CANCELLED.
 *   progress  counts orders; or NULL */
wte_status wte__permutation_p(const wte__permuter *p, size_t n_orders, uint64_t seed,
                              unsigned n_threads, wte__progress *progress,
                              wte__permutation_test *out, wte_error *err);
#endif
