/* SPDX-License-Identifier: MIT */
/* kernel_nn.c - the plain C kernels of the networks
 *
 * As in kernel.c these versions define the answer. A product of a few rows with a matrix, and the
 * mix of attention, promise bits: each element is one chain of fused multiply-adds in ascending
 * order, written as such. The rest is computed in float64 with the C library's functions and
 * rounded once, so that a vector version can be judged against something better than itself. */
#include <math.h>
#include <stdbool.h>
#include "kernel/kernel.h"
#include "kernel/kernel_c.h"

enum type { F32, F16, BF16 };

static float element(enum type type, const void *p, size_t i)
{
    float v;

    if (type == F32)
        return wte__get_f32((const float *)p + i);
    if (type == F16)
        wte__f16_to_f32_c((const uint16_t *)p + i, &v, 1);
    else
        wte__bf16_to_f32_c((const uint16_t *)p + i, &v, 1);
    return v;
}

/* ---- products ----------------------------------------------------------------------------- */

static void gemm_tile_add_c(const float *a, const float *b, size_t k, float *c, size_t ldc)
{
    for (size_t i = 0; i < k; i++)
        for (size_t r = 0; r < WTE__GEMM_MR; r++) {
            float v = wte__get_f32(a + i * WTE__GEMM_MR + r);
            for (size_t j = 0; j < WTE__GEMM_NR; j++) {
                float *to = c + r * ldc + j;
                wte__put_f32(to, fmaf(v, b[i * WTE__GEMM_NR + j], wte__get_f32(to)));
            }
        }
}

static void few_in_out(enum type type, const void *w, size_t ldw, size_t n_in, size_t n,
                       const float *x, size_t ldx, size_t n_rows, float *y, size_t ldy)
{
    for (size_t i = 0; i < n_in; i++)
        for (size_t j = 0; j < n; j++) {
            float v = element(type, w, i * ldw + j);
            for (size_t r = 0; r < n_rows; r++) {
                float *to = y + r * ldy + j;
                wte__put_f32(to, fmaf(wte__get_f32(x + r * ldx + i), v, wte__get_f32(to)));
            }
        }
}

static void few_in_out_f32_c(const float *w, size_t ldw, size_t n_in, size_t n, const float *x,
                             size_t ldx, size_t n_rows, float *y, size_t ldy)
{
    few_in_out(F32, w, ldw, n_in, n, x, ldx, n_rows, y, ldy);
}

static void few_in_out_f16_c(const uint16_t *w, size_t ldw, size_t n_in, size_t n, const float *x,
                             size_t ldx, size_t n_rows, float *y, size_t ldy)
{
    few_in_out(F16, w, ldw, n_in, n, x, ldx, n_rows, y, ldy);
}

static void few_in_out_bf16_c(const uint16_t *w, size_t ldw, size_t n_in, size_t n, const float *x,
                              size_t ldx, size_t n_rows, float *y, size_t ldy)
{
    few_in_out(BF16, w, ldw, n_in, n, x, ldx, n_rows, y, ldy);
}

static void few_panels_bf16_c(const uint16_t *w, size_t n_in, size_t n_panels, const float *x,
                              size_t ldx, size_t n_rows, float *y, size_t ldy)
{
    for (size_t p = 0; p < n_panels; p++)
        for (size_t r = 0; r < n_rows; r++)
            for (size_t j = 0; j < WTE__PANEL; j++) {
                float sum = 0.0f;
                for (size_t i = 0; i < n_in; i++)
                    sum = fmaf(wte__get_f32(x + r * ldx + i),
                               element(BF16, w, (p * n_in + i) * WTE__PANEL + j), sum);
                wte__put_f32(y + r * ldy + p * WTE__PANEL + j, sum);
            }
}

/* The sum that dot_f32, dot_f16 and dot_bf16 of kernel.c make. */
static float dot(enum type type, const void *x, size_t at, const float *y, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += (double)element(type, x, at + i) * wte__get_f32(y + i);
    return (float)sum;
}

static void few_out_in(enum type type, const void *w, size_t ldw, size_t n, size_t n_in,
                       const float *x, size_t ldx, size_t n_rows, float *y, size_t ldy)
{
    for (size_t j = 0; j < n; j++)
        for (size_t r = 0; r < n_rows; r++)
            wte__put_f32(y + r * ldy + j, dot(type, w, j * ldw, x + r * ldx, n_in));
}

static void few_out_in_f32_c(const float *w, size_t ldw, size_t n, size_t n_in, const float *x,
                             size_t ldx, size_t n_rows, float *y, size_t ldy)
{
    few_out_in(F32, w, ldw, n, n_in, x, ldx, n_rows, y, ldy);
}

static void few_out_in_f16_c(const uint16_t *w, size_t ldw, size_t n, size_t n_in, const float *x,
                             size_t ldx, size_t n_rows, float *y, size_t ldy)
{
    few_out_in(F16, w, ldw, n, n_in, x, ldx, n_rows, y, ldy);
}

static void few_out_in_bf16_c(const uint16_t *w, size_t ldw, size_t n, size_t n_in, const float *x,
                              size_t ldx, size_t n_rows, float *y, size_t ldy)
{
    few_out_in(BF16, w, ldw, n, n_in, x, ldx, n_rows, y, ldy);
}

static void many_i8_c(const int8_t *w, size_t stride, size_t n, const int8_t *x, size_t ldx,
                      size_t n_rows, size_t dim, int32_t *out, size_t ldo)
{
    for (size_t r = 0; r < n_rows; r++)
        for (size_t j = 0; j < n; j++) {
            int32_t sum = 0;
            for (size_t i = 0; i < dim; i++)
                sum += w[j * stride + i] * x[r * ldx + i];
            wte__put_u32(out + r * ldo + j, (uint32_t)sum);
        }
}

/* ---- norms and activations ---------------------------------------------------------------- */

static void layer_norm_c(const float *x, const float *weight, const float *bias, float epsilon,
                         size_t n, float *out)
{
    double mean = 0.0, variance = 0.0, scale;

    for (size_t i = 0; i < n; i++)
        mean += wte__get_f32(x + i);
    mean /= (double)n;
    for (size_t i = 0; i < n; i++) {
        double d = wte__get_f32(x + i) - mean;
        variance += d * d;
    }
    scale = 1.0 / sqrt(variance / (double)n + epsilon);
    for (size_t i = 0; i < n; i++) {
        double v = (wte__get_f32(x + i) - mean) * scale;
        wte__put_f32(out + i, (float)(v * wte__get_f32(weight + i) + wte__get_f32(bias + i)));
    }
}

static void gelu_tanh_c(float *x, size_t n)
{
    const double factor = 0.79788456080286535588; /* sqrt(2 / pi) */

    for (size_t i = 0; i < n; i++) {
        double v = wte__get_f32(x + i);
        wte__put_f32(x + i, (float)(v / 2 * (1 + tanh(factor * (v + 0.044715 * v * v * v)))));
    }
}

static void gelu_erf_c(float *x, size_t n)
{
    const double root_half = 0.70710678118654752440;

    for (size_t i = 0; i < n; i++) {
        double v = wte__get_f32(x + i);
        wte__put_f32(x + i, (float)(v / 2 * (1 + erf(v * root_half))));
    }
}

static void tanh_f32_c(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        wte__put_f32(x + i, (float)tanh(wte__get_f32(x + i)));
}

float wte__max_f32_c(const float *x, size_t n)
{
    float max = -INFINITY;

    for (size_t i = 0; i < n; i++) {
        float v = wte__get_f32(x + i);
        if (isnan(v))
            return v;
        max = v > max ? v : max;
    }
    return max;
}

static void softmax_c(float *x, size_t n)
{
    double max = wte__max_f32_c(x, n), sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += exp(wte__get_f32(x + i) - max);
    for (size_t i = 0; i < n; i++)
        wte__put_f32(x + i, (float)(exp(wte__get_f32(x + i) - max) / sum));
}

static double sum_exp_c(const float *x, size_t n, float shift)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += exp((double)wte__get_f32(x + i) - shift);
    return sum;
}

/* ---- attention ---------------------------------------------------------------------------- */

static void attend_scores(enum type type, const float *query, const void *keys,
                          const uint32_t *cells, size_t n, size_t dim, float *scores)
{
    for (size_t i = 0; i < n; i++)
        wte__put_f32(scores + i, dot(type, keys, wte__get_u32(cells + i) * dim, query, dim));
}

static void attend_scores_f32_c(const float *query, const float *keys, const uint32_t *cells,
                                size_t n, size_t dim, float *scores)
{
    attend_scores(F32, query, keys, cells, n, dim, scores);
}

static void attend_scores_f16_c(const float *query, const uint16_t *keys, const uint32_t *cells,
                                size_t n, size_t dim, float *scores)
{
    attend_scores(F16, query, keys, cells, n, dim, scores);
}

static void attend_mix(enum type type, const float *weights, const void *values,
                       const uint32_t *cells, size_t n, size_t dim, float *out)
{
    for (size_t d = 0; d < dim; d++) {
        float sum = 0.0f;
        for (size_t i = 0; i < n; i++)
            sum = fmaf(wte__get_f32(weights + i),
                       element(type, values, wte__get_u32(cells + i) * dim + d), sum);
        wte__put_f32(out + d, sum);
    }
}

static void attend_mix_f32_c(const float *weights, const float *values, const uint32_t *cells,
                             size_t n, size_t dim, float *out)
{
    attend_mix(F32, weights, values, cells, n, dim, out);
}

static void attend_mix_f16_c(const float *weights, const uint16_t *values, const uint32_t *cells,
                             size_t n, size_t dim, float *out)
{
    attend_mix(F16, weights, values, cells, n, dim, out);
}

static void attend_scores_many(enum type type, const float *queries, size_t ldq, size_t n_rows,
                               const void *keys, const uint32_t *cells, size_t n, size_t dim,
                               float *scores, size_t lds)
{
    for (size_t r = 0; r < n_rows; r++)
        attend_scores(type, queries + r * ldq, keys, cells, n, dim, scores + r * lds);
}

static void attend_scores_many_f32_c(const float *queries, size_t ldq, size_t n_rows,
                                     const float *keys, const uint32_t *cells, size_t n, size_t dim,
                                     float *scores, size_t lds)
{
    attend_scores_many(F32, queries, ldq, n_rows, keys, cells, n, dim, scores, lds);
}

static void attend_scores_many_f16_c(const float *queries, size_t ldq, size_t n_rows,
                                     const uint16_t *keys, const uint32_t *cells, size_t n,
                                     size_t dim, float *scores, size_t lds)
{
    attend_scores_many(F16, queries, ldq, n_rows, keys, cells, n, dim, scores, lds);
}

static void attend_mix_many(enum type type, const float *weights, size_t ldw, size_t n_rows,
                            const void *values, const uint32_t *cells, const uint32_t *n_keys,
                            size_t dim, float *out, size_t ldo)
{
    for (size_t r = 0; r < n_rows; r++)
        attend_mix(type, weights + r * ldw, values, cells, n_keys[r], dim, out + r * ldo);
}

static void attend_mix_many_f32_c(const float *weights, size_t ldw, size_t n_rows,
                                  const float *values, const uint32_t *cells,
                                  const uint32_t *n_keys, size_t dim, float *out, size_t ldo)
{
    attend_mix_many(F32, weights, ldw, n_rows, values, cells, n_keys, dim, out, ldo);
}

static void attend_mix_many_f16_c(const float *weights, size_t ldw, size_t n_rows,
                                  const uint16_t *values, const uint32_t *cells,
                                  const uint32_t *n_keys, size_t dim, float *out, size_t ldo)
{
    attend_mix_many(F16, weights, ldw, n_rows, values, cells, n_keys, dim, out, ldo);
}

void wte__kernels_init_c_nn(wte__kernels *k)
{
    k->gemm_tile_add = gemm_tile_add_c;
    k->few_in_out_f32 = few_in_out_f32_c;
    k->few_in_out_f16 = few_in_out_f16_c;
    k->few_in_out_bf16 = few_in_out_bf16_c;
    k->few_panels_bf16 = few_panels_bf16_c;
    k->few_out_in_f32 = few_out_in_f32_c;
    k->few_out_in_f16 = few_out_in_f16_c;
    k->few_out_in_bf16 = few_out_in_bf16_c;
    k->many_i8 = many_i8_c;
    k->layer_norm = layer_norm_c;
    k->gelu_tanh = gelu_tanh_c;
    k->gelu_erf = gelu_erf_c;
    k->tanh_f32 = tanh_f32_c;
    k->softmax = softmax_c;
    k->max_f32 = wte__max_f32_c;
    k->sum_exp = sum_exp_c;
    k->attend_scores_f32 = attend_scores_f32_c;
    k->attend_scores_f16 = attend_scores_f16_c;
    k->attend_mix_f32 = attend_mix_f32_c;
    k->attend_mix_f16 = attend_mix_f16_c;
    k->attend_scores_many_f32 = attend_scores_many_f32_c;
    k->attend_scores_many_f16 = attend_scores_many_f16_c;
    k->attend_mix_many_f32 = attend_mix_many_f32_c;
    k->attend_mix_many_f16 = attend_mix_many_f16_c;
}
