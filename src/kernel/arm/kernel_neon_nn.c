/* SPDX-License-Identifier: MIT */
/* kernel_neon_nn.c - the kernels of the networks for 64-bit Arm
 *
 * All but one come from kernel_nn_vector.h. Products of codes are a register tile of 4 rows of x by
 * 2 rows of w: 32 bytes at a time become products of 16 bits, two of which are added before they go
 * to the 32-bit sums (see kernel_neon.c). */
#if defined(__aarch64__)
#include "kernel/kernel.h"
#include "kernel/arm/neon.h"
#include "kernel/kernel_nn_vector.h"

enum { TILE_X = 4, TILE_W = 2 };

INLINE void i8_tile(size_t rows, size_t columns, const int8_t *w, size_t stride, const int8_t *x,
                    size_t ldx, size_t dim, int32_t *out, size_t ldo)
{
    int32x4_t sums[TILE_W][TILE_X];

    UNROLLED (c, columns)
        UNROLLED (r, rows)
            sums[c][r] = vdupq_n_s32(0);
    for (size_t i = 0; i < dim; i += 32)
        UNROLLED (r, rows) {
            int8x16_t v0 = vld1q_s8(x + r * ldx + i), v1 = vld1q_s8(x + r * ldx + i + 16);
            UNROLLED (c, columns) {
                int8x16_t w0 = vld1q_s8(w + c * stride + i);
                int8x16_t w1 = vld1q_s8(w + c * stride + i + 16);
                int16x8_t low = vmull_s8(vget_low_s8(w0), vget_low_s8(v0));
                int16x8_t high = vmull_high_s8(w0, v0);
                low = vmlal_s8(low, vget_low_s8(w1), vget_low_s8(v1));
                high = vmlal_high_s8(high, w1, v1);
                sums[c][r] = vpadalq_s16(vpadalq_s16(sums[c][r], low), high);
            }
        }
    UNROLLED (c, columns)
        UNROLLED (r, rows)
            wte__put_u32(out + r * ldo + c, (uint32_t)vaddvq_s32(sums[c][r]));
}

#include "kernel/kernel_nn_i8.h"

void wte__kernels_init_neon_nn(wte__kernels *k)
{
    init_vector(k);
    k->many_i8 = many_i8;
}
#else
typedef int wte__no_neon_nn;
#endif
