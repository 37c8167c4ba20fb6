/* SPDX-License-Identifier: MIT */
/* kernel_avx2.c - kernels for AVX2, FMA and F16C: eight floats or 32 bytes at a time
 *
 * Sums over rows. Dot products and distances of every element type are one function, written once
 * and inlined with its operation and type as constants. Four running sums of eight lanes hide the
 * latency of the fused multiply-add. What is left of a row is loaded under a mask; lanes beyond the
 * end are 0 on both sides and add nothing.
 *
 * Int8. There is no signed-by-signed byte product, but |q| * sign(q)x = qx, and |q| is unsigned:
 * vpmaddubsw multiplies it by the signed x and adds neighbours. As all values are in -127..127 the
 * pairs are at most 2 * 127 * 127 = 32258 and do not saturate. Bytes beyond a row's end meet q = 0.
 * Rows go one by one: four at a time would save loads of q, but memory sets the time, and its
 * prefetcher follows one stream better than four (768 bytes a row: 49 ns, and 86 by fours).
 *
 * Matrix tile. 6 rows by 16 columns of sums in 12 registers, 2 for b and 2 for the broadcast a:
 * each element is one chain of fused multiply-adds, as in plain C, so results are equal to the last
 * bit.
 *
 * Analogy scores. One pass finds the maximum, one instruction per vector beyond the arithmetic; a
 * second one stops at the first score that equals it. Keeping indices in the first costs more. */
#if defined(__x86_64__)
#include "kernel/kernel.h"
#include <stdbool.h>
#include "kernel/x86/avx2.h"

enum operation { DOT, SQUARED, ABSOLUTE };

/* ---- sums over rows ----------------------------------------------------------------------- */

INLINE __m256 step(enum operation op, __m256 sum, __m256 x, __m256 y)
{
    __m256 d = _mm256_sub_ps(x, y);

    if (op == DOT)
        return _mm256_fmadd_ps(x, y, sum);
    if (op == SQUARED)
        return _mm256_fmadd_ps(d, d, sum);
    return _mm256_add_ps(sum, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), d));
}

INLINE double add_lanes_f64(__m256d v)
{
    __m128d s = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));

    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}

INLINE float sum_pairs(enum operation op, enum type type, const void *x, const float *y, size_t n)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;

    for (; i + 32 <= n; i += 32) {
        s0 = step(op, s0, load(type, x, i), _mm256_loadu_ps(y + i));
        s1 = step(op, s1, load(type, x, i + 8), _mm256_loadu_ps(y + i + 8));
        s2 = step(op, s2, load(type, x, i + 16), _mm256_loadu_ps(y + i + 16));
        s3 = step(op, s3, load(type, x, i + 24), _mm256_loadu_ps(y + i + 24));
    }
    for (; i + 8 <= n; i += 8)
        s0 = step(op, s0, load(type, x, i), _mm256_loadu_ps(y + i));
    if (i < n)
        s1 = step(op, s1, load_some(type, x, i, n - i), load_some(F32, y, i, n - i));
    return add_lanes(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3)));
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

static double sumsq_f32(const float *x, size_t n)
{
    __m256d s0 = _mm256_setzero_pd(), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;

    for (; i + 16 <= n; i += 16) {
        __m256d v0 = _mm256_cvtps_pd(_mm_loadu_ps(x + i));
        __m256d v1 = _mm256_cvtps_pd(_mm_loadu_ps(x + i + 4));
        __m256d v2 = _mm256_cvtps_pd(_mm_loadu_ps(x + i + 8));
        __m256d v3 = _mm256_cvtps_pd(_mm_loadu_ps(x + i + 12));
        s0 = _mm256_fmadd_pd(v0, v0, s0);
        s1 = _mm256_fmadd_pd(v1, v1, s1);
        s2 = _mm256_fmadd_pd(v2, v2, s2);
        s3 = _mm256_fmadd_pd(v3, v3, s3);
    }
    for (; i + 4 <= n; i += 4) {
        __m256d v = _mm256_cvtps_pd(_mm_loadu_ps(x + i));
        s0 = _mm256_fmadd_pd(v, v, s0);
    }
    s0 = _mm256_add_pd(_mm256_add_pd(s0, s1), _mm256_add_pd(s2, s3));
    return add_lanes_f64(s0) + wte__sumsq_f32_c(x + i, n - i);
}

INLINE __m256i max_magnitude(__m256i max, const float *x)
{
    __m256i v = _mm256_loadu_si256((const void *)x);

    return _mm256_max_epi32(max, _mm256_and_si256(v, _mm256_set1_epi32(0x7FFFFFFF)));
}

/* In the order of the bits, as in plain C: NaN is the largest of all. */
static float maxabs_f32(const float *x, size_t n)
{
    __m256i m0 = _mm256_setzero_si256(), m1 = m0;
    size_t i = 0;

    if (n < 8)
        return wte__maxabs_f32_c(x, n);
    for (; i + 16 <= n; i += 16) {
        m0 = max_magnitude(m0, x + i);
        m1 = max_magnitude(m1, x + i + 8);
    }
    if (i + 8 <= n)
        m0 = max_magnitude(m0, x + i);
    m0 = _mm256_max_epi32(max_magnitude(m0, x + n - 8), m1);
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(m0), _mm256_extracti128_si256(m0, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, _MM_SHUFFLE(1, 0, 3, 2)));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, _MM_SHUFFLE(2, 3, 0, 1)));
    return _mm_cvtss_f32(_mm_castsi128_ps(m));
}

/* ---- conversion --------------------------------------------------------------------------- */

/* In these loops the last vector ends where the row ends, and may do again what was done before. */

static void f16_to_f32(const uint16_t *x, float *out, size_t n)
{
    if (n < 8) {
        wte__f16_to_f32_c(x, out, n);
        return;
    }
    for (size_t i = 0; i + 8 < n; i += 8)
        _mm256_storeu_ps(out + i, load(F16, x, i));
    _mm256_storeu_ps(out + n - 8, load(F16, x, n - 8));
}

static void bf16_to_f32(const uint16_t *x, float *out, size_t n)
{
    if (n < 8) {
        wte__bf16_to_f32_c(x, out, n);
        return;
    }
    for (size_t i = 0; i + 8 < n; i += 8)
        _mm256_storeu_ps(out + i, load(BF16, x, i));
    _mm256_storeu_ps(out + n - 8, load(BF16, x, n - 8));
}

INLINE void narrow_f16(const float *x, uint16_t *out)
{
    __m256 v = _mm256_loadu_ps(x);

    _mm_storeu_si128((void *)out,
                     _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

static void f32_to_f16(const float *x, uint16_t *out, size_t n)
{
    if (n < 8) {
        wte__f32_to_f16_c(x, out, n);
        return;
    }
    for (size_t i = 0; i + 8 < n; i += 8)
        narrow_f16(x + i, out + i);
    narrow_f16(x + n - 8, out + n - 8);
}

/* Eight floats to bfloat16 in the low half of each 32-bit lane. */
INLINE __m256i round_to_bf16(__m256 x)
{
    __m256i u = _mm256_castps_si256(x), high = _mm256_srli_epi32(u, 16);
    __m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
    __m256i sum = _mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
    __m256i nan = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
    __m256 is_nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);

    return _mm256_blendv_epi8(_mm256_srli_epi32(sum, 16), nan, _mm256_castps_si256(is_nan));
}

INLINE void narrow_bf16(const float *x, uint16_t *out)
{
    __m256i low = round_to_bf16(_mm256_loadu_ps(x)), high = round_to_bf16(_mm256_loadu_ps(x + 8));
    __m256i both = _mm256_packus_epi32(low, high); /* by 128-bit lanes: 0 2 1 3 */

    both = _mm256_permute4x64_epi64(both, _MM_SHUFFLE(3, 1, 2, 0));
    _mm256_storeu_si256((void *)out, both);
}

static void f32_to_bf16(const float *x, uint16_t *out, size_t n)
{
    if (n < 16) {
        wte__f32_to_bf16_c(x, out, n);
        return;
    }
    for (size_t i = 0; i + 16 < n; i += 16)
        narrow_bf16(x + i, out + i);
    narrow_bf16(x + n - 16, out + n - 16);
}

/* ---- int8 codes --------------------------------------------------------------------------- */

/* The codes of eight values as whole numbers; their squared residuals are added to a sum. */
INLINE __m256i quantize_8(__m256 v, __m256 inverse, __m256 *sum)
{
    const __m256 limit = _mm256_set1_ps(127.0f), lower = _mm256_set1_ps(-127.0f);
    __m256 scaled = _mm256_mul_ps(v, inverse);
    __m256 code = _mm256_max_ps(scaled, lower); /* NaN becomes the lower one */
    __m256i whole = _mm256_cvtps_epi32(_mm256_min_ps(code, limit));
    __m256 rest = _mm256_sub_ps(scaled, _mm256_cvtepi32_ps(whole));

    *sum = _mm256_fmadd_ps(rest, rest, *sum);
    return whole;
}

static float quantize_i8(const float *x, size_t n, float inverse, int8_t *out)
{
    const __m256 factor = _mm256_set1_ps(inverse);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;

    for (; i + 32 <= n; i += 32) {
        __m256i a = quantize_8(_mm256_loadu_ps(x + i), factor, &s0);
        __m256i b = quantize_8(_mm256_loadu_ps(x + i + 8), factor, &s1);
        __m256i c = quantize_8(_mm256_loadu_ps(x + i + 16), factor, &s2);
        __m256i d = quantize_8(_mm256_loadu_ps(x + i + 24), factor, &s3);
        /* packs works by 128-bit lanes: a0 b0 c0 d0 a1 b1 c1 d1 */
        __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
        _mm256_storeu_si256((void *)(out + i), _mm256_permutevar8x32_epi32(bytes, order));
    }
    while (i < n) { /* lanes beyond the end: 0, no residual */
        size_t rest = n - i < 8 ? n - i : 8;
        __m256 v = rest == 8 ? _mm256_loadu_ps(x + i) : load_some(F32, x, i, rest);
        __m256i whole = quantize_8(v, factor, &s0);
        __m128i words =
            _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
        uint64_t codes = (uint64_t)_mm_cvtsi128_si64(_mm_packs_epi16(words, words));
        if (rest == 8)
            memcpy(out + i, &codes, 8);
        else
            for (size_t j = 0; j < rest; j++)
                out[i + j] = (int8_t)(uint8_t)(codes >> (8 * j));
        i += rest;
    }
    return add_lanes(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3)));
}

/* Add 32 products to eight sums. */
INLINE __m256i add_products(__m256i sum, const int8_t *codes, __m256i q)
{
    __m256i x = _mm256_sign_epi8(_mm256_loadu_si256((const void *)codes), q);
    __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(q), x);

    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

static void dot_i8_rows(const int8_t *codes, size_t stride, size_t n_rows, const int8_t *query,
                        size_t dim, int32_t *out)
{
    enum { AHEAD = 1024 }; /* bytes: more than a row, less than a page */

    for (size_t r = 0; r < n_rows; r++, codes += stride) {
        __m256i s0 = _mm256_setzero_si256(), s1 = s0;
        for (size_t i = 0; i < dim; i += 64) {
            _mm_prefetch((const char *)codes + i + AHEAD, _MM_HINT_T0);
            s0 = add_products(s0, codes + i, _mm256_load_si256((const void *)(query + i)));
            s1 =
                add_products(s1, codes + i + 32, _mm256_load_si256((const void *)(query + i + 32)));
        }
        s0 = _mm256_add_epi32(s0, s1);
        __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(s0), _mm256_extracti128_si256(s0, 1));
        sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, _MM_SHUFFLE(1, 0, 3, 2)));
        sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, _MM_SHUFFLE(2, 3, 0, 1)));
        wte__put_u32(out + r, (uint32_t)_mm_cvtsi128_si32(sum));
    }
}

/* ---- blocks of scores --------------------------------------------------------------------- */

/* One row of the tile: add a[r] times the 16 values of b. */
#define ROW(r)                                                                                     \
    do {                                                                                           \
        __m256 v = _mm256_set1_ps(wte__get_f32(a + (r)));                                          \
        left##r = _mm256_fmadd_ps(v, b0, left##r);                                                 \
        right##r = _mm256_fmadd_ps(v, b1, right##r);                                               \
    } while (0)

INLINE void tile(const float *a, const float *b, size_t k, float *c, size_t ldc, bool add)
{
    /* named, not in arrays: compilers keep such arrays in memory before and after the loop */
    const __m256 zero = _mm256_setzero_ps();
    __m256 left0 = zero, left1 = zero, left2 = zero, left3 = zero, left4 = zero, left5 = zero;
    __m256 right0 = zero, right1 = zero, right2 = zero, right3 = zero, right4 = zero, right5 = zero;

    if (add) {
        left0 = _mm256_loadu_ps(c);
        right0 = _mm256_loadu_ps(c + 8);
        left1 = _mm256_loadu_ps(c + ldc);
        right1 = _mm256_loadu_ps(c + ldc + 8);
        left2 = _mm256_loadu_ps(c + 2 * ldc);
        right2 = _mm256_loadu_ps(c + 2 * ldc + 8);
        left3 = _mm256_loadu_ps(c + 3 * ldc);
        right3 = _mm256_loadu_ps(c + 3 * ldc + 8);
        left4 = _mm256_loadu_ps(c + 4 * ldc);
        right4 = _mm256_loadu_ps(c + 4 * ldc + 8);
        left5 = _mm256_loadu_ps(c + 5 * ldc);
        right5 = _mm256_loadu_ps(c + 5 * ldc + 8);
    }
    for (; k > 0; k--, a += WTE__GEMM_MR, b += WTE__GEMM_NR) {
        __m256 b0 = _mm256_load_ps(b), b1 = _mm256_load_ps(b + 8);
        ROW(0);
        ROW(1);
        ROW(2);
        ROW(3);
        ROW(4);
        ROW(5);
    }
    _mm256_storeu_ps(c, left0);
    _mm256_storeu_ps(c + 8, right0);
    _mm256_storeu_ps(c + ldc, left1);
    _mm256_storeu_ps(c + ldc + 8, right1);
    _mm256_storeu_ps(c + 2 * ldc, left2);
    _mm256_storeu_ps(c + 2 * ldc + 8, right2);
    _mm256_storeu_ps(c + 3 * ldc, left3);
    _mm256_storeu_ps(c + 3 * ldc + 8, right3);
    _mm256_storeu_ps(c + 4 * ldc, left4);
    _mm256_storeu_ps(c + 4 * ldc + 8, right4);
    _mm256_storeu_ps(c + 5 * ldc, left5);
    _mm256_storeu_ps(c + 5 * ldc + 8, right5);
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
    const __m256 t = _mm256_set1_ps(threshold);
    size_t i = 0, found = 0;

    for (; i + 32 <= n; i += 32) {
        __m256 m0 = _mm256_cmp_ps(_mm256_loadu_ps(x + i), t, _CMP_GE_OQ);
        __m256 m1 = _mm256_cmp_ps(_mm256_loadu_ps(x + i + 8), t, _CMP_GE_OQ);
        __m256 m2 = _mm256_cmp_ps(_mm256_loadu_ps(x + i + 16), t, _CMP_GE_OQ);
        __m256 m3 = _mm256_cmp_ps(_mm256_loadu_ps(x + i + 24), t, _CMP_GE_OQ);
        __m256 any = _mm256_or_ps(_mm256_or_ps(m0, m1), _mm256_or_ps(m2, m3));
        if (!_mm256_movemask_ps(any))
            continue;
        uint32_t bits = (uint32_t)_mm256_movemask_ps(m0) | (uint32_t)_mm256_movemask_ps(m1) << 8 |
                        (uint32_t)_mm256_movemask_ps(m2) << 16 |
                        (uint32_t)_mm256_movemask_ps(m3) << 24;
        for (; bits; bits &= bits - 1)
            wte__put_u32(out + found++, (uint32_t)i + (uint32_t)__builtin_ctz(bits));
    }
    for (; i < n; i++)
        if (wte__get_f32(x + i) >= threshold)
            wte__put_u32(out + found++, (uint32_t)i);
    return found;
}

void wte__kernels_init_avx2(wte__kernels *k, unsigned cpu_flags)
{
    if (!(cpu_flags & WTE_CPU_AVX2))
        return;
    k->name = "avx2";
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
    wte__kernels_init_avx2_nn(k);
    wte__kernels_init_avx2_compare(k);
}
#else
typedef int wte__no_avx2;
#endif
