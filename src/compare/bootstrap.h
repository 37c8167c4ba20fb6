/* SPDX-License-Identifier: MIT */
/** compare/bootstrap.h - intervals of a comparison by drawing items with replacement */
#ifndef WTE_COMPARE_BOOTSTRAP_H
#define WTE_COMPARE_BOOTSTRAP_H
#include "compare/comparison.h"

typedef struct wte__interval {
    double low, high;
    size_t used; /* draws */
} wte__interval;

/** Compute an interval for the statistic of a triangle's items.
 *   level  above 0 and below 1
 *   bca    bias-corrected and accelerated, else percentiles
 *   progress  counts draws and, for bca, items; or NULL
 * A draw for which the statistic is not defined is made again. Errors: E_RANGE (no draw is),
 * E_NOMEM, E_CANCELLED. The same for any number of threads. */
wte_status wte__bootstrap(const wte__comparison *c, double statistic, size_t n_draws, double level,
                          bool bca, uint64_t seed, unsigned n_threads, wte__progress *progress,
                          wte__interval *out, wte_error *err);
#endif
