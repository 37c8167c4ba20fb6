/* SPDX-License-Identifier: MIT */
/* kernel_dotprod.c - int8 dot products with the Arm dot product extension
 *
 * sdot multiplies four signed bytes by four signed bytes and adds the products to an int32: the
 * whole of the inner loop in one instruction. Bytes beyond a row's end meet q = 0. */
#if defined(__aarch64__)
#include "kernel/kernel.h"
#include <arm_neon.h>
#include "kernel/kernel_c.h"

#define INLINE static inline __attribute__((always_inline))

static void dot_i8_rows(const int8_t *codes, size_t stride, size_t n_rows, const int8_t *query,
                        size_t dim, int32_t *out)
{
    for (size_t r = 0; r < n_rows; r++, codes += stride) {
        int32x4_t s0 = vdupq_n_s32(0), s1 = s0, s2 = s0, s3 = s0;
        for (size_t i = 0; i < dim; i += 64) {
            s0 = vdotq_s32(s0, vld1q_s8(codes + i), vld1q_s8(query + i));
            s1 = vdotq_s32(s1, vld1q_s8(codes + i + 16), vld1q_s8(query + i + 16));
            s2 = vdotq_s32(s2, vld1q_s8(codes + i + 32), vld1q_s8(query + i + 32));
            s3 = vdotq_s32(s3, vld1q_s8(codes + i + 48), vld1q_s8(query + i + 48));
        }
        s0 = vaddq_s32(vaddq_s32(s0, s1), vaddq_s32(s2, s3));
        wte__put_u32(out + r, (uint32_t)vaddvq_s32(s0));
    }
}

enum { TILE_X = 4, TILE_W = 4 };

INLINE void i8_tile(size_t rows, size_t columns, const int8_t *w, size_t stride, const int8_t *x,
                    size_t ldx, size_t dim, int32_t *out, size_t ldo)
{
    int32x4_t sums[TILE_W][TILE_X];

    UNROLLED (c, columns)
        UNROLLED (r, rows)
            sums[c][r] = vdupq_n_s32(0);
    for (size_t i = 0; i < dim; i += 16) {
        int8x16_t v[TILE_X];
        UNROLLED (r, rows)
            v[r] = vld1q_s8(x + r * ldx + i);
        UNROLLED (c, columns) {
            int8x16_t codes = vld1q_s8(w + c * stride + i);
            UNROLLED (r, rows)
                sums[c][r] = vdotq_s32(sums[c][r], codes, v[r]);
        }
    }
    UNROLLED (c, columns)
        UNROLLED (r, rows)
            wte__put_u32(out + r * ldo + c, (uint32_t)vaddvq_s32(sums[c][r]));
}

#include "kernel/kernel_nn_i8.h"

void wte__kernels_init_dotprod(wte__kernels *k, unsigned cpu_flags)
{
    if (!(cpu_flags & WTE_CPU_DOTPROD))
        return;
    k->name = "dotprod";
    k->dot_i8_rows = dot_i8_rows;
    k->many_i8 = many_i8;
}
#else
typedef int wte__no_dotprod;
#endif
