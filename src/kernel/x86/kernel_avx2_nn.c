/* SPDX-License-Identifier: MIT */
/* kernel_avx2_nn.c - the kernels of the networks for AVX2
 *
 * All but one come from kernel_nn_vector.h.
 *
 * Products of codes. The byte product of kernel_avx2.c takes three instructions for 32 products
 * that share two of the four vector units (vpsignb, vpmaddubsw, vpmaddwd). Codes widened to 16 bits
 * take two vpmaddwd for as many, and the additions go to the other units, so this is faster once
 * the widening is shared: BLOCK_X rows of x are widened into a block that lies in the first-level
 * cache, then pairs of rows of w, each for all of that block. A register tile is 4 rows of x by 2
 * of w. BLOCK_W rows of w stay in the second-level cache for all blocks of x; rows are cut in
 * pieces of DEPTH_I8, the sums of later pieces being added to what out holds. */
#if defined(__x86_64__)
#include "kernel/kernel.h"
#include "kernel/x86/avx2.h"
#include "kernel/kernel_nn_vector.h"

enum { TILE_X = 4, TILE_W = 2, BLOCK_X = 12, BLOCK_W = 48, DEPTH_I8 = 768 };

/* [n_rows, DEPTH_I8] */
INLINE void widen_rows(const int8_t *codes, size_t stride, size_t n_rows, size_t depth,
                       int16_t *out)
{
    for (size_t r = 0; r < n_rows; r++)
        for (size_t i = 0; i < depth; i += 16) {
            __m128i bytes = _mm_loadu_si128((const void *)(codes + r * stride + i));
            _mm256_store_si256((void *)(out + r * DEPTH_I8 + i), _mm256_cvtepi8_epi16(bytes));
        }
}

/* Loaded once and kept in a register, where gcc would rather load it for each of its uses. */
INLINE __m256i kept(const int16_t *x)
{
    __m256i v = _mm256_load_si256((const void *)x);

    __asm__("" : "+x"(v));
    return v;
}

/* The sums of both halves: two numbers of one row, two of the next. */
INLINE void put_four(__m256i halves, int32_t *row, int32_t *next, bool add)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));

    if (add) {
        __m128i low = _mm_loadl_epi64((const void *)row),
                high = _mm_loadl_epi64((const void *)next);
        s = _mm_add_epi32(s, _mm_unpacklo_epi64(low, high));
    }
    _mm_storel_epi64((void *)row, s);
    _mm_storel_epi64((void *)next, _mm_unpackhi_epi64(s, s));
}

INLINE void i8_tile(size_t rows, size_t columns, const int16_t *w, const int16_t *x, size_t depth,
                    int32_t *out, size_t ldo, bool add)
{
    __m256i sums[TILE_W][TILE_X];

    UNROLLED (c, columns)
        UNROLLED (r, rows)
            sums[c][r] = _mm256_setzero_si256();
    for (size_t i = 0; i < depth; i += 16) {
        __m256i codes[TILE_W];
        UNROLLED (c, columns)
            codes[c] = kept(w + c * DEPTH_I8 + i);
        UNROLLED (r, rows) {
            __m256i v = kept(x + r * DEPTH_I8 + i);
            UNROLLED (c, columns) {
                sums[c][r] = _mm256_add_epi32(sums[c][r], _mm256_madd_epi16(codes[c], v));
                __asm__("" : "+x"(sums[c][r])); /* stays where it is */
            }
        }
    }
    if (columns == 2 && rows % 2 == 0) {
        UNROLLED (half, rows / 2) {
            const size_t r = 2 * half;
            put_four(_mm256_hadd_epi32(_mm256_hadd_epi32(sums[0][r], sums[1][r]),
                                       _mm256_hadd_epi32(sums[0][r + 1], sums[1][r + 1])),
                     out + r * ldo, out + (r + 1) * ldo, add);
        }
        return;
    }
    UNROLLED (c, columns)
        UNROLLED (r, rows) {
            __m256i sum = _mm256_hadd_epi32(sums[c][r], sums[c][r]);
            sum = _mm256_hadd_epi32(sum, sum);
            __m128i s =
                _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
            int32_t *to = out + r * ldo + c;
            uint32_t before = add ? wte__get_u32(to) : 0;
            wte__put_u32(to, before + (uint32_t)_mm_cvtsi128_si32(s));
        }
}

/* A block of x (rows <= BLOCK_X) with a few rows of w. */
INLINE void i8_columns(size_t columns, const int16_t *w, const int16_t *x, size_t rows,
                       size_t depth, int32_t *out, size_t ldo, bool add)
{
    size_t r = 0;

    for (; r + TILE_X <= rows; r += TILE_X)
        i8_tile(TILE_X, columns, w, x + r * DEPTH_I8, depth, out + r * ldo, ldo, add);
    if (r + 2 <= rows) {
        i8_tile(2, columns, w, x + r * DEPTH_I8, depth, out + r * ldo, ldo, add);
        r += 2;
    }
    if (r < rows)
        i8_tile(1, columns, w, x + r * DEPTH_I8, depth, out + r * ldo, ldo, add);
}

/* One piece of the rows: depth <= DEPTH_I8, a multiple of 64. */
static void i8_piece(const int8_t *w, size_t stride, size_t n, const int8_t *x, size_t ldx,
                     size_t n_rows, size_t depth, int32_t *out, size_t ldo, bool add)
{
    _Alignas(64) int16_t wide_x[BLOCK_X * DEPTH_I8], wide_w[BLOCK_W * DEPTH_I8];

    for (size_t first = 0; first < n; first += BLOCK_W) {
        size_t columns = n - first < BLOCK_W ? n - first : BLOCK_W;
        widen_rows(w + first * stride, stride, columns, depth, wide_w);
        for (size_t r = 0; r < n_rows; r += BLOCK_X) {
            size_t rows = n_rows - r < BLOCK_X ? n_rows - r : BLOCK_X, j = 0;
            int32_t *to = out + r * ldo + first;
            widen_rows(x + r * ldx, ldx, rows, depth, wide_x);
            for (; j + TILE_W <= columns; j += TILE_W)
                i8_columns(TILE_W, wide_w + j * DEPTH_I8, wide_x, rows, depth, to + j, ldo, add);
            if (j < columns)
                i8_columns(1, wide_w + j * DEPTH_I8, wide_x, rows, depth, to + j, ldo, add);
        }
    }
}

static void many_i8(const int8_t *w, size_t stride, size_t n, const int8_t *x, size_t ldx,
                    size_t n_rows, size_t dim, int32_t *out, size_t ldo)
{
    size_t padded = (dim + WTE__QUERY_PAD - 1) / WTE__QUERY_PAD * WTE__QUERY_PAD, i = 0;

    do {
        size_t depth = padded - i < DEPTH_I8 ? padded - i : DEPTH_I8;
        i8_piece(w + i, stride, n, x + i, ldx, n_rows, depth, out, ldo, i > 0);
        i += DEPTH_I8;
    } while (i < padded);
}

void wte__kernels_init_avx2_nn(wte__kernels *k)
{
    init_vector(k);
    k->many_i8 = many_i8;
}
#else
typedef int wte__no_avx2_nn;
#endif
