/* SPDX-License-Identifier: MIT */
/* kernel_compare.c - the plain C kernels of comparisons
 *
 * The float64 tile promises bits. dot_woven promises an error: its chains are those of the vector
 * version, four for each row, cut every 256 columns. */
#include <math.h>
#include "kernel/kernel.h"
#include "kernel/kernel_c.h"

static void gemm_tile_f64_c(const double *a, const double *b, size_t k, double *c, size_t ldc)
{
    for (size_t i = 0; i < k; i++)
        for (size_t r = 0; r < WTE__GEMM_MR; r++) {
            double v = a[i * WTE__GEMM_MR + r];
            for (size_t j = 0; j < WTE__GEMM_NR_F64; j++)
                c[r * ldc + j] = fma(v, b[i * WTE__GEMM_NR_F64 + j], c[r * ldc + j]);
        }
}

static void moments_c(const double *w, const double *x, const double *y, const double *shift,
                      size_t n, double *out)
{
    double sums[6] = {0};

    for (size_t j = 0; j < n; j++) {
        double u = x[j] - shift[0], v = y[j] - shift[1];

        sums[0] += w[j];
        sums[1] += w[j] * u;
        sums[2] += w[j] * v;
        sums[3] += w[j] * u * u;
        sums[4] += w[j] * v * v;
        sums[5] += w[j] * u * v;
    }
    memcpy(out, sums, sizeof sums);
}

static double dot_woven_c(const float *const *rows, const float *b, const uint32_t *at, size_t n)
{
    enum { CHAINS = 4, BLOCK = 64 * CHAINS };
    double total = 0;

    for (size_t begin = 0; begin < n; begin += BLOCK) {
        size_t end = n - begin < BLOCK ? n : begin + BLOCK;
        float sums[CHAINS][WTE__WEAVE] = {{0}};

        for (size_t j = begin; j < end; j++)
            for (size_t r = 0; r < WTE__WEAVE; r++)
                sums[j % CHAINS][r] += rows[r][j] * b[(size_t)at[j] * WTE__WEAVE + r];
        for (size_t s = 0; s < CHAINS; s++)
            for (size_t r = 0; r < WTE__WEAVE; r++)
                total += (double)sums[s][r];
    }
    return total;
}

void wte__kernels_init_c_compare(wte__kernels *k)
{
    k->gemm_tile_f64 = gemm_tile_f64_c;
    k->moments = moments_c;
    k->dot_woven = dot_woven_c;
}
