/* SPDX-License-Identifier: MIT */
/** kernel/arm/neon.h - what the files for 64-bit Arm share: vectors of four floats of every type
 *
 * All loads are of bytes and then reinterpreted, which asks for no alignment. The names from vec on
 * are those that kernel_nn_vector.h builds upon. */
#ifndef WTE_KERNEL_NEON_H
#define WTE_KERNEL_NEON_H
#include <arm_neon.h>
#include <stdbool.h>
#include "kernel/kernel_c.h"

#define INLINE static inline __attribute__((always_inline))

enum type { F32, F16, BF16 };
typedef float32x4_t vec;
enum { LANES = 4, SUMS = 16 /* of the 32 registers */ };

/** Fill the entries of kernel_neon_nn.c. */
void wte__kernels_init_neon_nn(wte__kernels *k);

INLINE float32x4_t load_f32(const float *x)
{
    return vreinterpretq_f32_u8(vld1q_u8((const uint8_t *)x));
}

INLINE void store_f32(float *out, float32x4_t v)
{
    vst1q_u8((uint8_t *)out, vreinterpretq_u8_f32(v));
}

INLINE uint16x4_t load_u16(const uint16_t *x)
{
    return vreinterpret_u16_u8(vld1_u8((const uint8_t *)x));
}

INLINE void store_u16(uint16_t *out, uint16x4_t v)
{
    vst1_u8((uint8_t *)out, vreinterpret_u8_u16(v));
}

INLINE float32x4_t widen(enum type type, uint16x4_t x)
{
    if (type == F16)
        return vcvt_f32_f16(vreinterpret_f16_u16(x));
    return vreinterpretq_f32_u32(vshll_n_u16(x, 16));
}

INLINE float32x4_t load(enum type type, const void *x, size_t i)
{
    if (type == F32)
        return load_f32((const float *)x + i);
    return widen(type, load_u16((const uint16_t *)x + i));
}

/* Two vectors from i on. */
INLINE void load_two(enum type type, const void *x, size_t i, vec out[2])
{
    out[0] = load(type, x, i);
    out[1] = load(type, x, i + LANES);
}

/* Whether load_two parts even and odd numbers, as it does elsewhere, and what then goes from one
 * order to the other. */
INLINE bool parts(enum type type)
{
    (void)type;
    return false;
}

INLINE void part(vec v[2])
{
    (void)v;
}

INLINE void join(vec v[2])
{
    (void)v;
}

/* n (1..3) elements, the rest 0. */
INLINE float32x4_t load_some(enum type type, const void *x, size_t i, size_t n)
{
    float f[4] = {0};
    uint16_t h[4] = {0};

    for (size_t j = 0; j < n; j++)
        if (type == F32)
            f[j] = wte__get_f32((const float *)x + i + j);
        else
            h[j] = wte__get_u16((const uint16_t *)x + i + j);
    return type == F32 ? load_f32(f) : widen(type, load_u16(h));
}

INLINE vec v_set(float x)
{
    return vdupq_n_f32(x);
}

INLINE void v_store(float *out, vec v)
{
    store_f32(out, v);
}

/* The first n (1..3) lanes. */
INLINE void v_store_some(float *out, vec v, size_t n)
{
    float lanes[4];

    vst1q_f32(lanes, v);
    memcpy(out, lanes, n * sizeof *lanes);
}

/* 0 in all lanes but the first n (1..3). */
INLINE vec v_first(vec v, size_t n)
{
    const uint32_t at[4] = {0, 1, 2, 3};
    uint32x4_t on = vcltq_u32(vld1q_u32(at), vdupq_n_u32((uint32_t)n));

    return vreinterpretq_f32_u32(vandq_u32(on, vreinterpretq_u32_f32(v)));
}

INLINE vec v_add(vec a, vec b)
{
    return vaddq_f32(a, b);
}

INLINE vec v_sub(vec a, vec b)
{
    return vsubq_f32(a, b);
}

INLINE vec v_mul(vec a, vec b)
{
    return vmulq_f32(a, b);
}

INLINE vec v_div(vec a, vec b)
{
    return vdivq_f32(a, b);
}

/* a * b + c and c - a * b, rounded once. */
INLINE vec v_fma(vec a, vec b, vec c)
{
    return vfmaq_f32(c, a, b);
}

INLINE vec v_fnma(vec a, vec b, vec c)
{
    return vfmsq_f32(c, a, b);
}

/* The larger and the smaller; NaN where one of both is. */
INLINE vec v_max(vec a, vec b)
{
    return vmaxq_f32(a, b);
}

INLINE vec v_min(vec a, vec b)
{
    return vminq_f32(a, b);
}

INLINE vec v_abs(vec a)
{
    return vabsq_f32(a);
}

/* The magnitude of a (not negative) with the sign of b. */
INLINE vec v_with_sign(vec a, vec b)
{
    return vbslq_f32(vdupq_n_u32(0x80000000u), b, a);
}

/* a < b ? x : y. */
INLINE vec v_if_less(vec a, vec b, vec x, vec y)
{
    return vbslq_f32(vcltq_f32(a, b), x, y);
}

INLINE vec v_round(vec a)
{
    return vrndnq_f32(a);
}

/* a * 2^n, n whole in -150..128: in two steps, as 2^n may be no float. */
INLINE vec v_scale(vec a, vec n)
{
    const int32x4_t one = vdupq_n_s32(127);
    int32x4_t whole = vcvtq_s32_f32(n), half = vshrq_n_s32(whole, 1);
    int32x4_t rest = vsubq_s32(whole, half);

    a = vmulq_f32(a, vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(half, one), 23)));
    return vmulq_f32(a, vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(rest, one), 23)));
}

INLINE float v_sum(vec v)
{
    return vaddvq_f32(v);
}

INLINE double v_sum_f64(vec v)
{
    return vaddvq_f64(vaddq_f64(vcvt_f64_f32(vget_low_f32(v)), vcvt_high_f64_f32(v)));
}

/* The sums of four vectors. */
INLINE void v_sum_four(vec a, vec b, vec c, vec d, float out[4])
{
    vst1q_f32(out, vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d)));
}

/* The largest lane. */
INLINE float v_largest(vec v)
{
    return vmaxvq_f32(v);
}
#endif
