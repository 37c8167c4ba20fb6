/* SPDX-License-Identifier: MIT */
/* kernel_vnni.c - int8 dot products with AVX512_VNNI
 *
 * vpdpbusd multiplies four unsigned bytes by four signed ones and adds the products to an int32, in
 * one instruction where AVX-512 alone takes three. To make codes unsigned their top bit is flipped,
 * which adds 128: sum (x + 128) q = xq + 128 sum q, and the last term is the same for every row.
 * For many rows of x it is x that is made unsigned: sum (x + 128) w = xw + 128 sum w, whose last
 * term serves all rows of x of a tile; where x ends and is 0, what w holds is in both terms.
 * All sums are exact: 65536 * 255 * 127 is below 2^31. Bytes beyond a row's end meet q = 0. */
#if defined(__x86_64__)
#include "kernel/kernel.h"
#include <immintrin.h>
#include "kernel/kernel_c.h"

#define INLINE static inline __attribute__((always_inline))

/* Add 64 products to sixteen sums. */
INLINE __m512i add_products(__m512i sum, const int8_t *codes, __m512i q)
{
    __m512i x = _mm512_xor_si512(_mm512_loadu_si512(codes), _mm512_set1_epi8(-128));

    return _mm512_dpbusd_epi32(sum, x, q);
}

static void dot_i8_rows(const int8_t *codes, size_t stride, size_t n_rows, const int8_t *query,
                        size_t dim, int32_t *out)
{
    enum { AHEAD = 1024 }; /* bytes: more than a row, less than a page */
    __m512i q_sum = _mm512_setzero_si512();
    int32_t excess;

    for (size_t i = 0; i < dim; i += 64)
        q_sum = _mm512_dpbusd_epi32(q_sum, _mm512_set1_epi8(1), _mm512_load_si512(query + i));
    excess = 128 * _mm512_reduce_add_epi32(q_sum);

    for (size_t r = 0; r < n_rows; r++, codes += stride) {
        __m512i sum = _mm512_setzero_si512();
        for (size_t i = 0; i < dim; i += 64) {
            _mm_prefetch((const char *)codes + i + AHEAD, _MM_HINT_T0);
            sum = add_products(sum, codes + i, _mm512_load_si512(query + i));
        }
        wte__put_u32(out + r, (uint32_t)(_mm512_reduce_add_epi32(sum) - excess));
    }
}

enum { TILE_X = 4, TILE_W = 4 };

INLINE void i8_tile(size_t rows, size_t columns, const int8_t *w, size_t stride, const int8_t *x,
                    size_t ldx, size_t dim, int32_t *out, size_t ldo)
{
    const __m512i flip = _mm512_set1_epi8(-128), one = _mm512_set1_epi8(1);
    __m512i sums[TILE_W][TILE_X], w_sums[TILE_W];

    UNROLLED (c, columns) {
        w_sums[c] = _mm512_setzero_si512();
        UNROLLED (r, rows)
            sums[c][r] = _mm512_setzero_si512();
    }
    for (size_t i = 0; i < dim; i += 64) {
        __m512i v[TILE_X];
        UNROLLED (r, rows)
            v[r] = _mm512_xor_si512(_mm512_load_si512(x + r * ldx + i), flip);
        UNROLLED (c, columns) {
            __m512i codes = _mm512_loadu_si512(w + c * stride + i);
            w_sums[c] = _mm512_dpbusd_epi32(w_sums[c], one, codes);
            UNROLLED (r, rows)
                sums[c][r] = _mm512_dpbusd_epi32(sums[c][r], v[r], codes);
        }
    }
    UNROLLED (c, columns) {
        int32_t excess = 128 * _mm512_reduce_add_epi32(w_sums[c]);
        UNROLLED (r, rows) {
            int32_t sum = _mm512_reduce_add_epi32(sums[c][r]) - excess;
            wte__put_u32(out + r * ldo + c, (uint32_t)sum);
        }
    }
}

#include "kernel/kernel_nn_i8.h"

void wte__kernels_init_vnni(wte__kernels *k, unsigned cpu_flags)
{
    if (!(cpu_flags & WTE_CPU_VNNI))
        return;
    k->name = "vnni";
    k->dot_i8_rows = dot_i8_rows;
    k->many_i8 = many_i8;
}
#else
typedef int wte__no_vnni;
#endif
