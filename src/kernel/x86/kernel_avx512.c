/* SPDX-License-Identifier: MIT */
/* kernel_avx512.c - kernels for AVX-512 (F, BW, DQ, VL): sixteen floats or 64 bytes at a time
 *
 * The plan is kernel_avx2.c's. What differs:
 *
 * Tails. Loads and stores take a mask and touch no byte whose bit is 0, so every loop handles its
 * own tail, and nothing falls back to plain C.
 *
 * Int8. There is no vpsignb for 512 bits. Where q is negative, x is subtracted from 0 under a mask.
 *
 * Matrix tile. A row of 16 sums is one register, so there are six independent chains of fused
 * multiply-adds, which is fewer than the latency could hide. Splitting k in two would hide it and
 * change the last bit of results; equal bits on all machines are worth more here. */
#if defined(__x86_64__)
#include "kernel/kernel.h"
#include <stdbool.h>
#include "kernel/x86/avx512.h"

enum operation { DOT, SQUARED, ABSOLUTE };

/* ---- sums over rows ----------------------------------------------------------------------- */

INLINE __m512 step(enum operation op, __m512 sum, __m512 x, __m512 y)
{
    __m512 d = _mm512_sub_ps(x, y);

    if (op == DOT)
        return _mm512_fmadd_ps(x, y, sum);
    if (op == SQUARED)
        return _mm512_fmadd_ps(d, d, sum);
    return _mm512_add_ps(sum, _mm512_abs_ps(d));
}

INLINE float sum_pairs(enum operation op, enum type type, const void *x, const float *y, size_t n)
{
    __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;

    for (; i + 64 <= n; i += 64) {
        s0 = step(op, s0, load(type, x, i), _mm512_loadu_ps(y + i));
        s1 = step(op, s1, load(type, x, i + 16), _mm512_loadu_ps(y + i + 16));
        s2 = step(op, s2, load(type, x, i + 32), _mm512_loadu_ps(y + i + 32));
        s3 = step(op, s3, load(type, x, i + 48), _mm512_loadu_ps(y + i + 48));
    }
    for (; i + 16 <= n; i += 16)
        s0 = step(op, s0, load(type, x, i), _mm512_loadu_ps(y + i));
    if (i < n)
        s1 = step(op, s1, load_some(type, x, i, n - i), load_some(F32, y, i, n - i));
    return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3)));
}

static float dot_f32(const float *x, const float *y, size_t n)
{
    return sum_pairs(DOT, F32, x, y, n);
}

static void dot_f32_rows(const unsigned char *base, const uint64_t *offsets, size_t stride,
                         size_t n_rows, const float *y, size_t dim, float *out)
{
    for (size_t r = 0; r < n_rows; r++) {
        const unsigned char *x = base + (offsets ? offsets[r] : r * stride);

        wte__prefetch_ahead(x, dim * sizeof *y);
        out[r] = sum_pairs(DOT, F32, x, y, dim);
    }
}

static float dot_f16(const uint16_t *x, const float *y, size_t n)
{
    return sum_pairs(DOT, F16, x, y, n);
}

static float dot_bf16(const uint16_t *x, const float *y, size_t n)
{
    return sum_pairs(DOT, BF16, x, y, n);
}

static float sqdist_f32(const float *x, const float *y, size_t n)
{
    return sum_pairs(SQUARED, F32, x, y, n);
}

static float sqdist_f16(const uint16_t *x, const float *y, size_t n)
{
    return sum_pairs(SQUARED, F16, x, y, n);
}

static float sqdist_bf16(const uint16_t *x, const float *y, size_t n)
{
    return sum_pairs(SQUARED, BF16, x, y, n);
}

static float l1dist_f32(const float *x, const float *y, size_t n)
{
    return sum_pairs(ABSOLUTE, F32, x, y, n);
}

/* Both halves of 16 floats as doubles. */
INLINE __m512d low_half(__m512 v)
{
    return _mm512_cvtps_pd(_mm512_castps512_ps256(v));
}

INLINE __m512d high_half(__m512 v)
{
    return _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
}

static double sumsq_f32(const float *x, size_t n)
{
    __m512d s0 = _mm512_setzero_pd(), s1 = s0;

    for (size_t i = 0; i < n; i += 16) {
        __m512 v = _mm512_maskz_loadu_ps(lanes(n - i), x + i);
        __m512d v0 = low_half(v), v1 = high_half(v);
        s0 = _mm512_fmadd_pd(v0, v0, s0);
        s1 = _mm512_fmadd_pd(v1, v1, s1);
    }
    return _mm512_reduce_add_pd(_mm512_add_pd(s0, s1));
}

/* In the order of the bits, as in plain C: NaN is the largest of all. */
static float maxabs_f32(const float *x, size_t n)
{
    const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF);
    __m512i max = _mm512_setzero_si512();
    uint32_t bits;
    float value;

    for (size_t i = 0; i < n; i += 16) {
        __m512i v = _mm512_maskz_loadu_epi32(lanes(n - i), x + i);
        max = _mm512_max_epi32(max, _mm512_and_si512(v, magnitude));
    }
    bits = (uint32_t)_mm512_reduce_max_epi32(max);
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- conversion --------------------------------------------------------------------------- */

static void f16_to_f32(const uint16_t *x, float *out, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = lanes(n - i);
        _mm512_mask_storeu_ps(out + i, mask, load_masked(F16, x, i, mask));
    }
}

static void bf16_to_f32(const uint16_t *x, float *out, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = lanes(n - i);
        _mm512_mask_storeu_ps(out + i, mask, load_masked(BF16, x, i, mask));
    }
}

static void f32_to_f16(const float *x, uint16_t *out, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = lanes(n - i);
        __m512 v = _mm512_maskz_loadu_ps(mask, x + i);
        __m256i half =
            _mm512_maskz_cvtps_ph(mask, v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        _mm256_mask_storeu_epi16(out + i, mask, half);
    }
}

static void f32_to_bf16(const float *x, uint16_t *out, size_t n)
{
    const __m512i one = _mm512_set1_epi32(1), bias = _mm512_set1_epi32(0x7FFF);
    const __m512i quiet = _mm512_set1_epi32(0x40);

    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = lanes(n - i);
        __m512 v = _mm512_maskz_loadu_ps(mask, x + i);
        __m512i u = _mm512_castps_si512(v), high = _mm512_srli_epi32(u, 16);
        __m512i sum = _mm512_add_epi32(u, _mm512_add_epi32(bias, _mm512_and_si512(high, one)));
        __m512i rounded = _mm512_srli_epi32(sum, 16);
        __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
        rounded = _mm512_mask_or_epi32(rounded, nan, high, quiet);
        _mm256_mask_storeu_epi16(out + i, mask, _mm512_cvtepi32_epi16(rounded));
    }
}

/* ---- int8 codes --------------------------------------------------------------------------- */

static float quantize_i8(const float *x, size_t n, float inverse, int8_t *out)
{
    const __m512 factor = _mm512_set1_ps(inverse), limit = _mm512_set1_ps(127.0f);
    const __m512 lower = _mm512_set1_ps(-127.0f);
    __m512 sum = _mm512_setzero_ps();

    for (size_t i = 0; i < n; i += 16) { /* lanes beyond the end: 0, no residual */
        __mmask16 mask = lanes(n - i);
        __m512 scaled = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), factor);
        __m512 code = _mm512_max_ps(scaled, lower); /* NaN becomes the lower one */
        __m512i whole = _mm512_cvtps_epi32(_mm512_min_ps(code, limit));
        _mm_mask_storeu_epi8(out + i, mask, _mm512_cvtepi32_epi8(whole));
        __m512 rest = _mm512_sub_ps(scaled, _mm512_cvtepi32_ps(whole));
        sum = _mm512_fmadd_ps(rest, rest, sum);
    }
    return _mm512_reduce_add_ps(sum);
}

/* Add 64 products to sixteen sums. */
INLINE __m512i add_products(__m512i sum, const int8_t *codes, __m512i q)
{
    __m512i x = _mm512_loadu_si512(codes);
    __m512i signed_x = _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(q), _mm512_setzero_si512(), x);
    __m512i pairs = _mm512_maddubs_epi16(_mm512_abs_epi8(q), signed_x);

    return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
}

static void dot_i8_rows(const int8_t *codes, size_t stride, size_t n_rows, const int8_t *query,
                        size_t dim, int32_t *out)
{
    enum { AHEAD = 1024 }; /* bytes: more than a row, less than a page */

    for (size_t r = 0; r < n_rows; r++, codes += stride) {
        __m512i sum = _mm512_setzero_si512();
        for (size_t i = 0; i < dim; i += 64) {
            _mm_prefetch((const char *)codes + i + AHEAD, _MM_HINT_T0);
            sum = add_products(sum, codes + i, _mm512_load_si512(query + i));
        }
        wte__put_u32(out + r, (uint32_t)_mm512_reduce_add_epi32(sum));
    }
}

/* ---- blocks of scores --------------------------------------------------------------------- */

/* Add a[r] times the 16 values of b to row r. */
#define ROW(r) sum##r = _mm512_fmadd_ps(_mm512_set1_ps(wte__get_f32(a + (r))), row, sum##r)

INLINE void tile(const float *a, const float *b, size_t k, float *c, size_t ldc, bool add)
{
    __m512 sum0 = _mm512_setzero_ps(), sum1 = sum0, sum2 = sum0, sum3 = sum0, sum4 = sum0;
    __m512 sum5 = sum0;

    if (add) {
        sum0 = _mm512_loadu_ps(c);
        sum1 = _mm512_loadu_ps(c + ldc);
        sum2 = _mm512_loadu_ps(c + 2 * ldc);
        sum3 = _mm512_loadu_ps(c + 3 * ldc);
        sum4 = _mm512_loadu_ps(c + 4 * ldc);
        sum5 = _mm512_loadu_ps(c + 5 * ldc);
    }
    for (; k > 0; k--, a += WTE__GEMM_MR, b += WTE__GEMM_NR) {
        __m512 row = _mm512_load_ps(b);
        ROW(0);
        ROW(1);
        ROW(2);
        ROW(3);
        ROW(4);
        ROW(5);
    }
    _mm512_storeu_ps(c, sum0);
    _mm512_storeu_ps(c + ldc, sum1);
    _mm512_storeu_ps(c + 2 * ldc, sum2);
    _mm512_storeu_ps(c + 3 * ldc, sum3);
    _mm512_storeu_ps(c + 4 * ldc, sum4);
    _mm512_storeu_ps(c + 5 * ldc, sum5);
}

static void gemm_tile(const float *a, const float *b, size_t k, float *c, size_t ldc)
{
    tile(a, b, k, c, ldc, false);
}

static void gemm_tile_add(const float *a, const float *b, size_t k, float *c, size_t ldc)
{
    tile(a, b, k, c, ldc, true);
}

static size_t select_ge(const float *x, size_t n, float threshold, uint32_t *out)
{
    const __m512i counting =
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512 t = _mm512_set1_ps(threshold);
    size_t found = 0;

    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = lanes(n - i);
        __m512 v = _mm512_maskz_loadu_ps(mask, x + i);
        __mmask16 ge = _mm512_mask_cmp_ps_mask(mask, v, t, _CMP_GE_OQ);
        if (!ge)
            continue;
        /* Compressed in a register and stored from there: stores that compress are slow on some. */
        __m512i at = _mm512_add_epi32(counting, _mm512_set1_epi32((int32_t)i));
        size_t count = (size_t)__builtin_popcount(ge);
        _mm512_mask_storeu_epi32(out + found, lanes(count), _mm512_maskz_compress_epi32(ge, at));
        found += count;
    }
    return found;
}

void wte__kernels_init_avx512(wte__kernels *k, unsigned cpu_flags)
{
    if (!(cpu_flags & WTE_CPU_AVX512))
        return;
    k->name = "avx512";
    k->dot_f32 = dot_f32;
    k->dot_f32_rows = dot_f32_rows;
    k->dot_f16 = dot_f16;
    k->dot_bf16 = dot_bf16;
    k->sqdist_f32 = sqdist_f32;
    k->sqdist_f16 = sqdist_f16;
    k->sqdist_bf16 = sqdist_bf16;
    k->l1dist_f32 = l1dist_f32;
    k->sumsq_f32 = sumsq_f32;
    k->maxabs_f32 = maxabs_f32;
    k->f16_to_f32 = f16_to_f32;
    k->bf16_to_f32 = bf16_to_f32;
    k->f32_to_f16 = f32_to_f16;
    k->f32_to_bf16 = f32_to_bf16;
    k->quantize_i8 = quantize_i8;
    k->dot_i8_rows = dot_i8_rows;
    k->gemm_tile = gemm_tile;
    k->gemm_tile_add = gemm_tile_add;
    k->select_ge = select_ge;
    wte__kernels_init_avx512_nn(k);
}
#else
typedef int wte__no_avx512;
#endif
