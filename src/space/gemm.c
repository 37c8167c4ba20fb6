/* SPDX-License-Identifier: MIT */
/* gemm.c - a matrix product for thousands of words against blocks of rows
 *
 * The register tile reads both factors as panels in the order in which it needs them. The product
 * goes panel by panel of A, which is then in the first-level cache, over all panels of B, which the
 * caller keeps small enough for the second level. There is no blocking of k: a tile is one chain of
 * fused multiply-adds over the whole width, which makes every element independent of how the work
 * was cut, and rows of embeddings are short. */
#include "space/gemm.h"
#include <math.h>

void wte__pack_a(const float *x, size_t n, size_t k, float *out)
{
    for (size_t panel = 0; panel < wte__panels(n, WTE__GEMM_MR); panel++)
        for (size_t i = 0; i < k; i++)
            for (size_t r = 0; r < WTE__GEMM_MR; r++) {
                size_t row = panel * WTE__GEMM_MR + r;

                *out++ = row < n ? x[row * k + i] : 0;
            }
}

static void pack_panel(const wte_space *space, const uint32_t *ids, size_t n, float *scratch,
                       float *out)
{
    const size_t dim = space->rows.dim;
    float scale[WTE__GEMM_NR];

    for (size_t r = 0; r < WTE__GEMM_NR; r++) {
        float norm = r < n ? space->norms[ids[r]] : 0;

        scale[r] = norm > 0 ? 1 / norm : NAN;
        if (norm > 0)
            wte__row_to_f32(&space->rows, ids[r], scratch + r * dim);
        else
            memset(scratch + r * dim, 0, dim * sizeof *scratch);
    }
    for (size_t i = 0; i < dim; i++)
        for (size_t r = 0; r < WTE__GEMM_NR; r++)
            out[i * WTE__GEMM_NR + r] = scratch[r * dim + i] * scale[r];
}

void wte__pack_unit_rows(const wte_space *space, const uint32_t *ids, size_t n, float *scratch,
                         float *out)
{
    for (size_t at = 0; at < n; at += WTE__GEMM_NR)
        pack_panel(space, ids + at, n - at < WTE__GEMM_NR ? n - at : WTE__GEMM_NR, scratch,
                   out + at * space->rows.dim);
}

void wte__gemm(const float *a, size_t n_a, const float *b, size_t n_b, size_t k, float *c,
               size_t ldc)
{
    for (size_t i = 0; i < n_a; i++)
        for (size_t j = 0; j < n_b; j++)
            wte__kernel()->gemm_tile(a + i * k * WTE__GEMM_MR, b + j * k * WTE__GEMM_NR, k,
                                     c + i * WTE__GEMM_MR * ldc + j * WTE__GEMM_NR, ldc);
}
