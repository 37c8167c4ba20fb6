/* SPDX-License-Identifier: MIT */
/* kernel_neon.c - kernels for 64-bit Arm: four floats or 16 bytes at a time
 *
 * Every AArch64 processor has these instructions, half precision conversion among them. The plan is
 * that of the AVX2 file: sums over rows are one function with operation and type as constants and
 * four running sums, the end of a row is loaded into a vector of zeros, the matrix tile keeps its 6
 * rows by 16 columns in 24 of the 32 registers.
 *
 * Int8 without the dot product extension: smull multiplies eight pairs of bytes to 16 bits, smlal
 * adds eight more (at most 2 * 127 * 127 = 32258), sadalp adds neighbours to 32 bits.
 *
 * All loads are of bytes and then reinterpreted, which asks for no alignment. */
#if defined(__aarch64__)
#include "kernel/kernel.h"
#include <stdbool.h>
#include "kernel/arm/neon.h"

enum operation { DOT, SQUARED, ABSOLUTE };

/* ---- sums over rows ----------------------------------------------------------------------- */

INLINE float32x4_t step(enum operation op, float32x4_t sum, float32x4_t x, float32x4_t y)
{
    float32x4_t d = vsubq_f32(x, y);

    if (op == DOT)
        return vfmaq_f32(sum, x, y);
    if (op == SQUARED)
        return vfmaq_f32(sum, d, d);
    return vaddq_f32(sum, vabsq_f32(d));
}

INLINE float sum_pairs(enum operation op, enum type type, const void *x, const float *y, size_t n)
{
    float32x4_t s0 = vdupq_n_f32(0.0f), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;

    for (; i + 16 <= n; i += 16) {
        s0 = step(op, s0, load(type, x, i), load_f32(y + i));
        s1 = step(op, s1, load(type, x, i + 4), load_f32(y + i + 4));
        s2 = step(op, s2, load(type, x, i + 8), load_f32(y + i + 8));
        s3 = step(op, s3, load(type, x, i + 12), load_f32(y + i + 12));
    }
    for (; i + 4 <= n; i += 4)
        s0 = step(op, s0, load(type, x, i), load_f32(y + i));
    if (i < n)
        s1 = step(op, s1, load_some(type, x, i, n - i), load_some(F32, y, i, n - i));
    return vaddvq_f32(vaddq_f32(vaddq_f32(s0, s1), vaddq_f32(s2, s3)));
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
    float64x2_t s0 = vdupq_n_f64(0.0), s1 = s0;
    size_t i = 0;

    for (; i + 4 <= n; i += 4) {
        float32x4_t v = load_f32(x + i);
        float64x2_t v0 = vcvt_f64_f32(vget_low_f32(v)), v1 = vcvt_high_f64_f32(v);
        s0 = vfmaq_f64(s0, v0, v0);
        s1 = vfmaq_f64(s1, v1, v1);
    }
    return vaddvq_f64(vaddq_f64(s0, s1)) + wte__sumsq_f32_c(x + i, n - i);
}

INLINE uint32x4_t max_magnitude(uint32x4_t max, const float *x)
{
    uint32x4_t v = vreinterpretq_u32_f32(load_f32(x));

    return vmaxq_u32(max, vandq_u32(v, vdupq_n_u32(0x7FFFFFFF)));
}

/* In the order of the bits, as in plain C: NaN is the largest of all. */
static float maxabs_f32(const float *x, size_t n)
{
    uint32x4_t m0 = vdupq_n_u32(0), m1 = m0;
    size_t i = 0;

    if (n < 4)
        return wte__maxabs_f32_c(x, n);
    for (; i + 8 < n; i += 8) {
        m0 = max_magnitude(m0, x + i);
        m1 = max_magnitude(m1, x + i + 4);
    }
    if (i + 4 < n)
        m0 = max_magnitude(m0, x + i);
    m1 = max_magnitude(m1, x + n - 4); /* the last four, perhaps for a second time */
    uint32_t bits = vmaxvq_u32(vmaxq_u32(m0, m1));
    return wte__get_f32(&bits);
}

/* ---- conversion --------------------------------------------------------------------------- */

static void f16_to_f32(const uint16_t *x, float *out, size_t n)
{
    size_t i = 0;

    for (; i + 4 <= n; i += 4)
        store_f32(out + i, load(F16, x, i));
    wte__f16_to_f32_c(x + i, out + i, n - i);
}

static void bf16_to_f32(const uint16_t *x, float *out, size_t n)
{
    size_t i = 0;

    for (; i + 4 <= n; i += 4)
        store_f32(out + i, load(BF16, x, i));
    wte__bf16_to_f32_c(x + i, out + i, n - i);
}

static void f32_to_f16(const float *x, uint16_t *out, size_t n)
{
    size_t i = 0;

    for (; i + 4 <= n; i += 4)
        store_u16(out + i, vreinterpret_u16_f16(vcvt_f16_f32(load_f32(x + i))));
    wte__f32_to_f16_c(x + i, out + i, n - i);
}

static void f32_to_bf16(const float *x, uint16_t *out, size_t n)
{
    size_t i = 0;

    for (; i + 4 <= n; i += 4) {
        float32x4_t v = load_f32(x + i);
        uint32x4_t u = vreinterpretq_u32_f32(v), high = vshrq_n_u32(u, 16);
        uint32x4_t odd = vandq_u32(high, vdupq_n_u32(1));
        uint32x4_t sum = vaddq_u32(u, vaddq_u32(odd, vdupq_n_u32(0x7FFF)));
        uint32x4_t quiet = vorrq_u32(high, vdupq_n_u32(0x40));
        store_u16(out + i, vmovn_u32(vbslq_u32(vceqq_f32(v, v), vshrq_n_u32(sum, 16), quiet)));
    }
    wte__f32_to_bf16_c(x + i, out + i, n - i);
}

/* ---- int8 codes --------------------------------------------------------------------------- */

/* The codes of four values as whole numbers; their squared residuals are added to a sum. */
INLINE int32x4_t quantize_4(float32x4_t v, float inverse, float32x4_t *sum)
{
    float32x4_t scaled = vmulq_n_f32(v, inverse);
    float32x4_t code = vmaxnmq_f32(scaled, vdupq_n_f32(-127.0f)); /* NaN becomes the lower one */

    code = vrndnq_f32(vminnmq_f32(code, vdupq_n_f32(127.0f)));
    float32x4_t rest = vsubq_f32(scaled, code);
    *sum = vfmaq_f32(*sum, rest, rest);
    return vcvtq_s32_f32(code);
}

static float quantize_i8(const float *x, size_t n, float inverse, int8_t *out)
{
    float32x4_t s0 = vdupq_n_f32(0.0f), s1 = s0;
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        int32x4_t low = quantize_4(load_f32(x + i), inverse, &s0);
        int32x4_t high = quantize_4(load_f32(x + i + 4), inverse, &s1);
        vst1_s8(out + i, vmovn_s16(vcombine_s16(vmovn_s32(low), vmovn_s32(high))));
    }
    for (; i < n; i += 4) { /* lanes beyond the end: 0, no residual */
        size_t rest = n - i < 4 ? n - i : 4;
        int32_t codes[4];
        vst1q_s32(codes, quantize_4(rest < 4 ? load_some(F32, x, i, rest) : load_f32(x + i),
                                    inverse, &s0));
        for (size_t j = 0; j < rest; j++)
            out[i + j] = (int8_t)codes[j];
    }
    return vaddvq_f32(vaddq_f32(s0, s1));
}

/* Add 32 products to four sums. */
INLINE int32x4_t add_products(int32x4_t sum, const int8_t *codes, const int8_t *query)
{
    int8x16_t x0 = vld1q_s8(codes), x1 = vld1q_s8(codes + 16);
    int8x16_t q0 = vld1q_s8(query), q1 = vld1q_s8(query + 16);
    int16x8_t low = vmull_s8(vget_low_s8(x0), vget_low_s8(q0));
    int16x8_t high = vmull_high_s8(x0, q0);

    low = vmlal_s8(low, vget_low_s8(x1), vget_low_s8(q1));
    high = vmlal_high_s8(high, x1, q1);
    return vpadalq_s16(vpadalq_s16(sum, low), high);
}

static void dot_i8_rows(const int8_t *codes, size_t stride, size_t n_rows, const int8_t *query,
                        size_t dim, int32_t *out)
{
    for (size_t r = 0; r < n_rows; r++, codes += stride) {
        int32x4_t s0 = vdupq_n_s32(0), s1 = s0;
        for (size_t i = 0; i < dim; i += 64) {
            s0 = add_products(s0, codes + i, query + i);
            s1 = add_products(s1, codes + i + 32, query + i + 32);
        }
        wte__put_u32(out + r, (uint32_t)vaddvq_s32(vaddq_s32(s0, s1)));
    }
}

/* ---- blocks of scores --------------------------------------------------------------------- */

/* Add one value of a, a lane of v, times the 16 values of b to row r. */
#define ROW(r, fma, v, lane)                                                                       \
    do {                                                                                           \
        c##r##0 = fma(c##r##0, b0, v, lane);                                                       \
        c##r##1 = fma(c##r##1, b1, v, lane);                                                       \
        c##r##2 = fma(c##r##2, b2, v, lane);                                                       \
        c##r##3 = fma(c##r##3, b3, v, lane);                                                       \
    } while (0)
#define BEGIN_AT(r, j) (add ? load_f32(c + (r)*ldc + (j)) : vdupq_n_f32(0.0f))
#define BEGIN(r)                                                                                   \
    float32x4_t c##r##0 = BEGIN_AT(r, 0), c##r##1 = BEGIN_AT(r, 4), c##r##2 = BEGIN_AT(r, 8),      \
                c##r##3 = BEGIN_AT(r, 12)
#define STORE(r)                                                                                   \
    do {                                                                                           \
        store_f32(c + (r)*ldc, c##r##0);                                                           \
        store_f32(c + (r)*ldc + 4, c##r##1);                                                       \
        store_f32(c + (r)*ldc + 8, c##r##2);                                                       \
        store_f32(c + (r)*ldc + 12, c##r##3);                                                      \
    } while (0)

INLINE void tile(const float *a, const float *b, size_t k, float *c, size_t ldc, bool add)
{
    BEGIN(0);
    BEGIN(1);
    BEGIN(2);
    BEGIN(3);
    BEGIN(4);
    BEGIN(5);

    for (; k > 0; k--, a += WTE__GEMM_MR, b += WTE__GEMM_NR) {
        float32x4_t b0 = vld1q_f32(b), b1 = vld1q_f32(b + 4);
        float32x4_t b2 = vld1q_f32(b + 8), b3 = vld1q_f32(b + 12);
        float32x4_t a0 = load_f32(a);
        float32x2_t a4 = vreinterpret_f32_u8(vld1_u8((const uint8_t *)(a + 4)));
        ROW(0, vfmaq_laneq_f32, a0, 0);
        ROW(1, vfmaq_laneq_f32, a0, 1);
        ROW(2, vfmaq_laneq_f32, a0, 2);
        ROW(3, vfmaq_laneq_f32, a0, 3);
        ROW(4, vfmaq_lane_f32, a4, 0);
        ROW(5, vfmaq_lane_f32, a4, 1);
    }
    STORE(0);
    STORE(1);
    STORE(2);
    STORE(3);
    STORE(4);
    STORE(5);
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
    const float32x4_t t = vdupq_n_f32(threshold);
    size_t i = 0, found = 0;

    for (; i + 8 <= n; i += 8) {
        uint16x4_t low = vmovn_u32(vcgeq_f32(load_f32(x + i), t));
        uint16x4_t high = vmovn_u32(vcgeq_f32(load_f32(x + i + 4), t));
        uint8x8_t mask = vmovn_u16(vcombine_u16(low, high)); /* a byte for each value */
        uint64_t bits = vget_lane_u64(vreinterpret_u64_u8(mask), 0) & 0x0101010101010101u;
        for (; bits; bits &= bits - 1)
            wte__put_u32(out + found++, (uint32_t)i + (uint32_t)__builtin_ctzll(bits) / 8);
    }
    for (; i < n; i++)
        if (wte__get_f32(x + i) >= threshold)
            wte__put_u32(out + found++, (uint32_t)i);
    return found;
}

void wte__kernels_init_neon(wte__kernels *k, unsigned cpu_flags)
{
    if (!(cpu_flags & WTE_CPU_NEON))
        return;
    k->name = "neon";
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
    wte__kernels_init_neon_nn(k);
}
#else
typedef int wte__no_neon;
#endif
