/* SPDX-License-Identifier: MIT */
/** space/gemm.h - panels for the matrix product's register tile
 *
 * The tile (kernel.h, gemm_tile) multiplies a panel of WTE__GEMM_MR vectors, interleaved as
 * [k, WTE__GEMM_MR], with a panel of WTE__GEMM_NR vectors, [k, WTE__GEMM_NR]. */
#ifndef WTE_SPACE_GEMM_H
#define WTE_SPACE_GEMM_H
#include "kernel/kernel.h"
#include "space/space_internal.h"

/** Panels that n vectors fill. */
static inline size_t wte__panels(size_t n, size_t width)
{
    return (n + width - 1) / width;
}

/** Interleave vectors into panels; missing vectors of the last panel are 0.
 *   x    [n, k]
 *   out  [wte__panels(n, WTE__GEMM_MR), k, WTE__GEMM_MR] */
void wte__pack_a(const float *x, size_t n, size_t k, float *out);

/** Interleave rows of a space, scaled to length 1, into panels. Rows without direction, and missing
 * ones of the last panel, are NaN: their scores win nothing.
 *   ids      [n]
 *   scratch  [WTE__GEMM_NR, dim]
 *   out      [wte__panels(n, WTE__GEMM_NR), dim, WTE__GEMM_NR] */
void wte__pack_unit_rows(const wte_space *space, const uint32_t *ids, size_t n, float *scratch,
                         float *out);

/** Multiply packed panels: c[i * ldc + j] = a_i . b_j. c has room for whole panels.
 *   a  [n_a panels], b  [n_b panels], aligned to 64 */
void wte__gemm(const float *a, size_t n_a, const float *b, size_t n_b, size_t k, float *c,
               size_t ldc);
#endif
