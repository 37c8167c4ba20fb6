/* SPDX-License-Identifier: MIT */
/* kernel_avx2_compare.c - the kernels of comparisons for AVX2
 *
 * Matrix tile. As that of float32, 6 rows by two vectors of sums, of four lanes each.
 *
 * Woven columns. A product with the columns of a matrix in another order would be a gather: one
 * load for every number. Where the numbers that eight rows have in a column lie side by side they
 * are one load; the eight rows that meet them are transposed in registers, four columns at a time,
 * which takes a shuffle for four numbers. */
#if defined(__x86_64__)
#include "kernel/kernel.h"
#include "kernel/x86/avx2.h"

/* ---- matrix tile -------------------------------------------------------------------------- */

/* One row of the tile: add a[r] times the 8 values of b. */
#define ROW(r)                                                                                     \
    do {                                                                                           \
        __m256d v = _mm256_broadcast_sd(a + (r));                                                  \
        left##r = _mm256_fmadd_pd(v, b0, left##r);                                                 \
        right##r = _mm256_fmadd_pd(v, b1, right##r);                                               \
    } while (0)

static void gemm_tile_f64(const double *a, const double *b, size_t k, double *c, size_t ldc)
{
    double *c1 = c + ldc, *c2 = c1 + ldc, *c3 = c2 + ldc, *c4 = c3 + ldc, *c5 = c4 + ldc;
    __m256d left0 = _mm256_loadu_pd(c), right0 = _mm256_loadu_pd(c + 4);
    __m256d left1 = _mm256_loadu_pd(c1), right1 = _mm256_loadu_pd(c1 + 4);
    __m256d left2 = _mm256_loadu_pd(c2), right2 = _mm256_loadu_pd(c2 + 4);
    __m256d left3 = _mm256_loadu_pd(c3), right3 = _mm256_loadu_pd(c3 + 4);
    __m256d left4 = _mm256_loadu_pd(c4), right4 = _mm256_loadu_pd(c4 + 4);
    __m256d left5 = _mm256_loadu_pd(c5), right5 = _mm256_loadu_pd(c5 + 4);

    for (; k > 0; k--, a += WTE__GEMM_MR, b += WTE__GEMM_NR_F64) {
        __m256d b0 = _mm256_loadu_pd(b), b1 = _mm256_loadu_pd(b + 4);
        ROW(0);
        ROW(1);
        ROW(2);
        ROW(3);
        ROW(4);
        ROW(5);
    }
    _mm256_storeu_pd(c, left0), _mm256_storeu_pd(c + 4, right0);
    _mm256_storeu_pd(c1, left1), _mm256_storeu_pd(c1 + 4, right1);
    _mm256_storeu_pd(c2, left2), _mm256_storeu_pd(c2 + 4, right2);
    _mm256_storeu_pd(c3, left3), _mm256_storeu_pd(c3 + 4, right3);
    _mm256_storeu_pd(c4, left4), _mm256_storeu_pd(c4 + 4, right4);
    _mm256_storeu_pd(c5, left5), _mm256_storeu_pd(c5 + 4, right5);
}

/* ---- weighted sums ------------------------------------------------------------------------ */

INLINE double add_four(__m256d v)
{
    __m128d pair = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));

    return _mm_cvtsd_f64(_mm_add_sd(pair, _mm_unpackhi_pd(pair, pair)));
}

/* Six sums hide the latency of each other. */
static void moments(const double *w, const double *x, const double *y, const double *shift,
                    size_t n, double *out)
{
    const __m256d shift_x = _mm256_set1_pd(shift[0]), shift_y = _mm256_set1_pd(shift[1]);
    __m256d s = _mm256_setzero_pd(), sx = s, sy = s, xx = s, yy = s, xy = s;
    size_t j = 0;

    for (; j + 4 <= n; j += 4) {
        __m256d count = _mm256_loadu_pd(w + j);
        __m256d u = _mm256_sub_pd(_mm256_loadu_pd(x + j), shift_x);
        __m256d v = _mm256_sub_pd(_mm256_loadu_pd(y + j), shift_y);
        __m256d wu = _mm256_mul_pd(count, u), wv = _mm256_mul_pd(count, v);

        s = _mm256_add_pd(s, count);
        sx = _mm256_add_pd(sx, wu);
        sy = _mm256_add_pd(sy, wv);
        xx = _mm256_fmadd_pd(wu, u, xx);
        yy = _mm256_fmadd_pd(wv, v, yy);
        xy = _mm256_fmadd_pd(wu, v, xy);
    }
    out[0] = add_four(s);
    out[1] = add_four(sx);
    out[2] = add_four(sy);
    out[3] = add_four(xx);
    out[4] = add_four(yy);
    out[5] = add_four(xy);
    for (; j < n; j++) {
        double u = x[j] - shift[0], v = y[j] - shift[1];

        out[0] += w[j];
        out[1] += w[j] * u;
        out[2] += w[j] * v;
        out[3] += w[j] * u * u;
        out[4] += w[j] * v * v;
        out[5] += w[j] * u * v;
    }
}

/* ---- woven columns ------------------------------------------------------------------------ */

/* Four numbers of a row in the low half, four of another in the high half. */
INLINE __m256 halves(const float *low, const float *high)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(low)), _mm_loadu_ps(high), 1);
}

INLINE __m256 step(__m256 sum, __m256d column, const float *b, uint32_t at)
{
    return _mm256_fmadd_ps(_mm256_castpd_ps(column), _mm256_load_ps(b + (size_t)at * WTE__WEAVE),
                           sum);
}

INLINE __m256d widened(__m256 x)
{
    return _mm256_add_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(x)),
                         _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)));
}

static double dot_woven(const float *const *rows, const float *b, const uint32_t *at, size_t n)
{
    enum { BLOCK = 256 };
    /* named, as compilers would read them from memory in every step */
    const float *row0 = rows[0], *row1 = rows[1], *row2 = rows[2], *row3 = rows[3];
    const float *row4 = rows[4], *row5 = rows[5], *row6 = rows[6], *row7 = rows[7];
    __m256d total = _mm256_setzero_pd();
    double rest = 0;
    size_t j = 0;

    while (n - j >= 4) {
        const size_t end = n - j < BLOCK ? n : j + BLOCK;
        __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;

        for (; j + 4 <= end; j += 4) {
            __m256 x0 = halves(row0 + j, row4 + j), x1 = halves(row1 + j, row5 + j);
            __m256 x2 = halves(row2 + j, row6 + j), x3 = halves(row3 + j, row7 + j);
            __m256d low01 = _mm256_castps_pd(_mm256_unpacklo_ps(x0, x1));
            __m256d low23 = _mm256_castps_pd(_mm256_unpacklo_ps(x2, x3));
            __m256d high01 = _mm256_castps_pd(_mm256_unpackhi_ps(x0, x1));
            __m256d high23 = _mm256_castps_pd(_mm256_unpackhi_ps(x2, x3));

            s0 = step(s0, _mm256_unpacklo_pd(low01, low23), b, at[j]);
            s1 = step(s1, _mm256_unpackhi_pd(low01, low23), b, at[j + 1]);
            s2 = step(s2, _mm256_unpacklo_pd(high01, high23), b, at[j + 2]);
            s3 = step(s3, _mm256_unpackhi_pd(high01, high23), b, at[j + 3]);
        }
        total = _mm256_add_pd(total, _mm256_add_pd(widened(s0), widened(s1)));
        total = _mm256_add_pd(total, _mm256_add_pd(widened(s2), widened(s3)));
    }
    for (; j < n; j++)
        for (size_t r = 0; r < WTE__WEAVE; r++)
            rest += (double)(rows[r][j] * b[(size_t)at[j] * WTE__WEAVE + r]);
    return add_four(total) + rest;
}

void wte__kernels_init_avx2_compare(wte__kernels *k)
{
    k->gemm_tile_f64 = gemm_tile_f64;
    k->moments = moments;
    k->dot_woven = dot_woven;
}
#else
typedef int wte__no_avx2_compare;
#endif
