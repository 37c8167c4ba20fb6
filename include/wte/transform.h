/* SPDX-License-Identifier: MIT */
/** wte/transform.h - space to space: centre, all-but-the-top, unit length, principal components
 *
 * A transform makes a new space over the same words with a float32 matrix of its own in memory. */
#ifndef WTE_TRANSFORM_H
#define WTE_TRANSFORM_H
#include "wte/space.h"
WTE_BEGIN_DECLS

typedef enum wte_transform_kind {
    WTE_CENTER, /**< x - mean of the rows */
    WTE_ABTT,   /**< centre, then remove the d first principal components (Mu and Viswanath 2018,
                   arXiv:1702.01417) */
    WTE_UNIT,   /**< x / |x|; rows without direction stay as they are */
    WTE_PCA     /**< centre, then the coordinates on the d first principal components */
} wte_transform_kind;

typedef struct wte_transform {
    wte_transform_kind kind;
    size_t d; /**< of ABTT and PCA */
} wte_transform;

/** Read a list such as "center,abtt:3,unit".
 *   out    [max]
 *   out_n  receives how many there are
 * Errors: E_RANGE, with what is allowed in the message. */
WTE_API wte_status wte_transform_parse(const char *text, wte_transform *out, size_t max,
                                       size_t *out_n, wte_error *err);

/** Apply transforms, one after another, and make a new space.
 *   space  borrowed: it must outlive *out, which shares its words
 * Rows that are not finite take no part in means and components and stay as they are.
 * Errors: E_RANGE (d is 0 or over the width), E_NOMEM, E_CANCELLED. */
WTE_API wte_status wte_space_transform(const wte_space *space, const wte_transform *transforms,
                                       size_t n, const wte_open_options *options, wte_space **out,
                                       wte_error *err);

/** Principal components of chosen rows, or of all.
 *   ids      [n] rows, or NULL for all rows (n is not used then)
 *   d        how many components, at most min(rows - 1, dim)
 *   points   [n or n_rows, d] coordinates, or NULL
 *   components  [d, dim] rows of length 1, sign such that the entry of largest size is positive, or
 *            NULL
 *   mean     [dim], or NULL
 *   variance [d] explained variance, s^2/(n-1), or NULL
 *   ratio    [d] share of the total variance, or NULL
 * Computed in float64 (covariance and LAPACK's dsyevr). Source: as sklearn.decomposition.PCA.
 * Errors: E_RANGE, E_NOMEM, E_UNSUPPORTED (LAPACK is not installed). */
WTE_API wte_status wte_space_pca(const wte_space *space, const uint32_t *ids, size_t n, size_t d,
                                 float *points, float *components, float *mean, double *variance,
                                 double *ratio, wte_error *err);

WTE_END_DECLS
#endif
