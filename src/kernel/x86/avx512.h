/* SPDX-License-Identifier: MIT */
/** kernel/x86/avx512.h - what the files for AVX-512 share: vectors of sixteen floats of every type
 *
 * Only for files that are compiled for AVX-512 F, BW, DQ and VL. Loads and stores take any
 * alignment; the names from vec on are those that kernel_nn_vector.h builds upon. */
#ifndef WTE_KERNEL_AVX512_H
#define WTE_KERNEL_AVX512_H
#include <immintrin.h>
#include <stdbool.h>
#include "kernel/kernel_c.h"

#define INLINE static inline __attribute__((always_inline))

enum type { F32, F16, BF16 };
typedef __m512 vec;
enum { LANES = 16, SUMS = 12 /* of the 32 registers */ };

/** Fill the entries of kernel_avx512_nn.c. */
void wte__kernels_init_avx512_nn(wte__kernels *k);

/* The first n lanes, all 16 for any larger n. */
INLINE __mmask16 lanes(size_t n)
{
    unsigned first = n >= 16 ? 0xFFFFu : (1u << n) - 1;

    return (__mmask16)first;
}

INLINE __m512 widen(enum type type, __m256i x)
{
    if (type == F16)
        return _mm512_cvtph_ps(x);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
}

INLINE __m512 load(enum type type, const void *x, size_t i)
{
    if (type == F32)
        return _mm512_loadu_ps((const float *)x + i);
    return widen(type, _mm256_loadu_si256((const void *)((const uint16_t *)x + i)));
}

/* Two vectors from i on. Those of bfloat16 become floats without leaving their lanes, the even
 * numbers in the first vector and the odd ones in the second. */
INLINE void load_two(enum type type, const void *x, size_t i, vec out[2])
{
    if (type == BF16) {
        __m512i both = _mm512_loadu_si512((const uint16_t *)x + i);
        out[0] = _mm512_castsi512_ps(_mm512_slli_epi32(both, 16));
        out[1] =
            _mm512_castsi512_ps(_mm512_and_si512(both, _mm512_set1_epi32((int32_t)0xFFFF0000u)));
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
    const __m512i even =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    __m512 first = _mm512_permutex2var_ps(v[0], even, v[1]);

    v[1] = _mm512_permutex2var_ps(v[0], odd, v[1]);
    v[0] = first;
}

INLINE void join(vec v[2])
{
    const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    __m512 first = _mm512_permutex2var_ps(v[0], low, v[1]);

    v[1] = _mm512_permutex2var_ps(v[0], high, v[1]);
    v[0] = first;
}

INLINE __m512 load_masked(enum type type, const void *x, size_t i, __mmask16 mask)
{
    if (type == F32)
        return _mm512_maskz_loadu_ps(mask, (const float *)x + i);
    return widen(type, _mm256_maskz_loadu_epi16(mask, (const uint16_t *)x + i));
}

/* The first n (1..15) lanes, the rest 0. */
INLINE vec load_some(enum type type, const void *x, size_t i, size_t n)
{
    return load_masked(type, x, i, lanes(n));
}

INLINE vec v_set(float x)
{
    return _mm512_set1_ps(x);
}

INLINE void v_store(float *out, vec v)
{
    _mm512_storeu_ps(out, v);
}

/* The first n (1..15) lanes. */
INLINE void v_store_some(float *out, vec v, size_t n)
{
    _mm512_mask_storeu_ps(out, lanes(n), v);
}

/* 0 in all lanes but the first n (1..15). */
INLINE vec v_first(vec v, size_t n)
{
    return _mm512_maskz_mov_ps(lanes(n), v);
}

INLINE vec v_add(vec a, vec b)
{
    return _mm512_add_ps(a, b);
}

INLINE vec v_sub(vec a, vec b)
{
    return _mm512_sub_ps(a, b);
}

INLINE vec v_mul(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}

INLINE vec v_div(vec a, vec b)
{
    return _mm512_div_ps(a, b);
}

/* a * b + c and c - a * b, rounded once. */
INLINE vec v_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}

INLINE vec v_fnma(vec a, vec b, vec c)
{
    return _mm512_fnmadd_ps(a, b, c);
}

/* The larger and the smaller; b where one of both is NaN. */
INLINE vec v_max(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}

INLINE vec v_min(vec a, vec b)
{
    return _mm512_min_ps(a, b);
}

INLINE vec v_abs(vec a)
{
    return _mm512_abs_ps(a);
}

/* The magnitude of a (not negative) with the sign of b. */
INLINE vec v_with_sign(vec a, vec b)
{
    return _mm512_or_ps(a, _mm512_and_ps(_mm512_set1_ps(-0.0f), b));
}

/* a < b ? x : y. */
INLINE vec v_if_less(vec a, vec b, vec x, vec y)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
}

INLINE vec v_round(vec a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* a * 2^n, n whole in -150..128. */
INLINE vec v_scale(vec a, vec n)
{
    return _mm512_scalef_ps(a, n);
}

INLINE float v_sum(vec v)
{
    return _mm512_reduce_add_ps(v);
}

INLINE double v_sum_f64(vec v)
{
    __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(v));
    __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));

    return _mm512_reduce_add_pd(_mm512_add_pd(low, high));
}

/* The sums of four vectors. */
INLINE void v_sum_four(vec a, vec b, vec c, vec d, float out[4])
{
    __m256 a8 = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m256 b8 = _mm256_add_ps(_mm512_castps512_ps256(b), _mm512_extractf32x8_ps(b, 1));
    __m256 c8 = _mm256_add_ps(_mm512_castps512_ps256(c), _mm512_extractf32x8_ps(c, 1));
    __m256 d8 = _mm256_add_ps(_mm512_castps512_ps256(d), _mm512_extractf32x8_ps(d, 1));
    __m256 sums = _mm256_hadd_ps(_mm256_hadd_ps(a8, b8), _mm256_hadd_ps(c8, d8));

    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1)));
}

/* The largest lane; NaN is not looked for. */
INLINE float v_largest(vec v)
{
    return _mm512_reduce_max_ps(v);
}
#endif
