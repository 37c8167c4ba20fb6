/* SPDX-License-Identifier: MIT */
/** kernel/x86/avx2.h - what the files for AVX2 share: vectors of eight floats of every type
 *
 * Only for files that are compiled for AVX2, FMA and F16C. Loads and stores take any alignment; the
 * names from vec on are those that kernel_nn_vector.h builds upon. */
#ifndef WTE_KERNEL_AVX2_H
#define WTE_KERNEL_AVX2_H
#include <immintrin.h>
#include <stdbool.h>
#include "kernel/kernel_c.h"

#define INLINE static inline __attribute__((always_inline))

enum type { F32, F16, BF16 };
typedef __m256 vec;
enum { LANES = 8, SUMS = 12 /* of the 16 registers */ };

/** Fill the entries of kernel_avx2_nn.c. */
void wte__kernels_init_avx2_nn(wte__kernels *k);
/** Fill the entries of kernel_avx2_compare.c. */
void wte__kernels_init_avx2_compare(wte__kernels *k);

INLINE __m256 widen(enum type type, __m128i x)
{
    if (type == F16)
        return _mm256_cvtph_ps(x);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
}

INLINE __m256 load(enum type type, const void *x, size_t i)
{
    if (type == F32)
        return _mm256_loadu_ps((const float *)x + i);
    return widen(type, _mm_loadu_si128((const void *)((const uint16_t *)x + i)));
}

/* Two vectors from i on. Those of bfloat16 become floats without leaving their lanes, the even
 * numbers in the first vector and the odd ones in the second. */
INLINE void load_two(enum type type, const void *x, size_t i, vec out[2])
{
    if (type == BF16) {
        __m256i both = _mm256_loadu_si256((const void *)((const uint16_t *)x + i));
        __asm__("" : "+x"(both)); /* gcc would rather load it twice */
        out[0] = _mm256_castsi256_ps(_mm256_slli_epi32(both, 16));
        out[1] =
            _mm256_castsi256_ps(_mm256_and_si256(both, _mm256_set1_epi32((int32_t)0xFFFF0000u)));
    } else {
        out[0] = load(type, x, i);
        out[1] = load(type, x, i + LANES);
    }
}

/* Whether load_two parts even and odd numbers. */
INLINE bool parts(enum type type)
{
    return type == BF16;
}

/* The same with numbers in order, and back. */
INLINE void part(vec v[2])
{
    __m256 even = _mm256_shuffle_ps(v[0], v[1], _MM_SHUFFLE(2, 0, 2, 0)); /* 128-bit lanes mixed */
    __m256 odd = _mm256_shuffle_ps(v[0], v[1], _MM_SHUFFLE(3, 1, 3, 1));

    v[0] = _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(even), _MM_SHUFFLE(3, 1, 2, 0)));
    v[1] = _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(odd), _MM_SHUFFLE(3, 1, 2, 0)));
}

INLINE void join(vec v[2])
{
    __m256 low = _mm256_unpacklo_ps(v[0], v[1]), high = _mm256_unpackhi_ps(v[0], v[1]);

    v[0] = _mm256_permute2f128_ps(low, high, 0x20);
    v[1] = _mm256_permute2f128_ps(low, high, 0x31);
}

/* The first n (1..7) lanes are on. */
INLINE __m256i mask_of(size_t n)
{
    static const int32_t on[16] = {-1, -1, -1, -1, -1, -1, -1, -1};

    return _mm256_loadu_si256((const void *)(on + 8 - n));
}

/* n (1..7) halves from any address without touching what follows them. */
INLINE __m128i load_halves(const uint16_t *x, size_t n)
{
    uint64_t part[2] = {0, 0}, at = 0;
    uint32_t two;

    if (n & 4) {
        memcpy(&part[0], x, 8);
        x += 4;
        at = 1;
    }
    if (n & 1)
        part[at] = wte__get_u16(x + (n & 2));
    if (n & 2) {
        memcpy(&two, x, 4);
        part[at] = part[at] << 32 | two;
    }
    return _mm_set_epi64x((long long)part[1], (long long)part[0]);
}

INLINE __m256 load_some(enum type type, const void *x, size_t i, size_t n)
{
    if (type == F32)
        return _mm256_maskload_ps((const float *)x + i, mask_of(n));
    return widen(type, load_halves((const uint16_t *)x + i, n));
}

INLINE float add_lanes(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

INLINE vec v_set(float x)
{
    return _mm256_set1_ps(x);
}

INLINE void v_store(float *out, vec v)
{
    _mm256_storeu_ps(out, v);
}

/* The first n (1..7) lanes. */
INLINE void v_store_some(float *out, vec v, size_t n)
{
    _mm256_maskstore_ps(out, mask_of(n), v);
}

/* 0 in all lanes but the first n (1..7). */
INLINE vec v_first(vec v, size_t n)
{
    return _mm256_and_ps(v, _mm256_castsi256_ps(mask_of(n)));
}

INLINE vec v_add(vec a, vec b)
{
    return _mm256_add_ps(a, b);
}

INLINE vec v_sub(vec a, vec b)
{
    return _mm256_sub_ps(a, b);
}

INLINE vec v_mul(vec a, vec b)
{
    return _mm256_mul_ps(a, b);
}

INLINE vec v_div(vec a, vec b)
{
    return _mm256_div_ps(a, b);
}

/* a * b + c and c - a * b, rounded once. */
INLINE vec v_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}

INLINE vec v_fnma(vec a, vec b, vec c)
{
    return _mm256_fnmadd_ps(a, b, c);
}

/* The larger and the smaller; b where one of both is NaN. */
INLINE vec v_max(vec a, vec b)
{
    return _mm256_max_ps(a, b);
}

INLINE vec v_min(vec a, vec b)
{
    return _mm256_min_ps(a, b);
}

INLINE vec v_abs(vec a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}

/* The magnitude of a (not negative) with the sign of b. */
INLINE vec v_with_sign(vec a, vec b)
{
    return _mm256_or_ps(a, _mm256_and_ps(_mm256_set1_ps(-0.0f), b));
}

/* a < b ? x : y. */
INLINE vec v_if_less(vec a, vec b, vec x, vec y)
{
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}

INLINE vec v_round(vec a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* a * 2^n, n whole in -150..128: in two steps, as 2^n may be no float. */
INLINE vec v_scale(vec a, vec n)
{
    const __m256i one = _mm256_set1_epi32(127);
    __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    __m256i rest = _mm256_sub_epi32(whole, half);

    a = _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, one), 23)));
    return _mm256_mul_ps(a,
                         _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, one), 23)));
}

INLINE float v_sum(vec v)
{
    return add_lanes(v);
}

INLINE double v_sum_f64(vec v)
{
    __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(v));
    __m256d high = _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
    __m256d both = _mm256_add_pd(low, high);
    __m128d s = _mm_add_pd(_mm256_castpd256_pd128(both), _mm256_extractf128_pd(both, 1));

    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}

/* The sums of four vectors. */
INLINE void v_sum_four(vec a, vec b, vec c, vec d, float out[4])
{
    __m256 sums = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));

    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1)));
}

/* The largest lane; NaN is not looked for. */
INLINE float v_largest(vec v)
{
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}
#endif
