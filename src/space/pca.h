/* SPDX-License-Identifier: MIT */
/** space/pca.h - means and principal components of rows, in float64 */
#ifndef WTE_SPACE_PCA_H
#define WTE_SPACE_PCA_H
#include "space/space_internal.h"

/** Chosen rows, or all. Rows that are not finite take no part. */
typedef struct wte__sample {
    const wte__rows *rows;
    const uint32_t *ids; /* [n], or NULL for all */
    size_t n;
    unsigned n_threads;
    wte__progress *progress; /* or NULL */
} wte__sample;

typedef struct wte__components {
    size_t n_used;    /* finite rows */
    double *mean;     /* [dim] */
    double *vectors;  /* [d, dim], NULL where only the mean was wanted */
    double *variance; /* [d] */
    double total;     /* variance of all dimensions together */
} wte__components;

/** Widen a row to float64 less a mean (or NULL); false if it is not finite.
 *   scratch  [dim] */
bool wte__centred_row(const wte__rows *rows, size_t row, const double *mean, float *scratch,
                      double *out);

/** Compute the mean and, for d > 0, the d first components. The same for any number of threads.
 * Errors: E_NOMEM, E_RANGE (d is more than rows or dimensions allow, or no row is finite),
 * E_UNSUPPORTED, E_CANCELLED. */
wte_status wte__components_init(wte__components *c, const wte__sample *sample, size_t d,
                                wte_error *err);
void wte__components_free(wte__components *c);
#endif
