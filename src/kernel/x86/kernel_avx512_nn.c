/* SPDX-License-Identifier: MIT */
/* kernel_avx512_nn.c - the kernels of the networks for AVX-512
 *
 * All but one come from kernel_nn_vector.h. Products of codes are those of kernel_avx2_nn.c with
 * vectors twice as wide; the sign of w reaches x by a subtraction under a mask. */
#if defined(__x86_64__)
#include "kernel/kernel.h"
#include "kernel/x86/avx512.h"
#include "kernel/kernel_nn_vector.h"

enum { TILE_X = 4, TILE_W = 2 };

INLINE void i8_tile(size_t rows, size_t columns, const int8_t *w, size_t stride, const int8_t *x,
                    size_t ldx, size_t dim, int32_t *out, size_t ldo)
{
    const __m512i ones = _mm512_set1_epi16(1), zero = _mm512_setzero_si512();
    __m512i sums[TILE_W][TILE_X];

    UNROLLED (c, columns)
        UNROLLED (r, rows)
            sums[c][r] = zero;
    for (size_t i = 0; i < dim; i += 64)
        UNROLLED (c, columns) {
            __m512i codes = _mm512_loadu_si512(w + c * stride + i);
            __m512i magnitude = _mm512_abs_epi8(codes);
            __mmask64 negative = _mm512_movepi8_mask(codes);
            UNROLLED (r, rows) {
                __m512i v = _mm512_load_si512(x + r * ldx + i);
                __m512i signed_v = _mm512_mask_sub_epi8(v, negative, zero, v);
                __m512i pairs = _mm512_maddubs_epi16(magnitude, signed_v);
                sums[c][r] = _mm512_add_epi32(sums[c][r], _mm512_madd_epi16(pairs, ones));
            }
        }
    UNROLLED (c, columns)
        UNROLLED (r, rows)
            wte__put_u32(out + r * ldo + c, (uint32_t)_mm512_reduce_add_epi32(sums[c][r]));
}

#include "kernel/kernel_nn_i8.h"

void wte__kernels_init_avx512_nn(wte__kernels *k)
{
    init_vector(k);
    k->many_i8 = many_i8;
}
#else
typedef int wte__no_avx512_nn;
#endif
