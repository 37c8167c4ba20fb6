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
 * pieces of DEPTH_I8, the sums of later pieces being added to what out holds.
 *
 * Up to FEW_X rows of x are bound by memory, which must not pause while one multiplies: rows of w
 * are then widened on their way into the registers, each pair of them for all rows of x, and those
 * that come FEW_AHEAD rows later are asked for meanwhile. Rows are cut so that what was widened of x
 * (FEW_CODES numbers) stays in the first-level cache. */
#if defined(__x86_64__)
#include "kernel/kernel.h"
#include "kernel/x86/avx2.h"
#include "kernel/kernel_nn_vector.h"

enum { TILE_X = 4, TILE_W = 2, BLOCK_X = 12, BLOCK_W = 48, DEPTH_I8 = 768 };
enum { FEW_X = 8, FEW_CODES = 12288, FEW_AHEAD = 4 /* rows of w */ };

INLINE __m256i widen_codes(const int8_t *codes)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)codes));
}

/* [n_rows, ldo] */
INLINE void widen_rows(const int8_t *codes, size_t stride, size_t n_rows, size_t depth,
                       int16_t *out, size_t ldo)
{
    for (size_t r = 0; r < n_rows; r++)
        for (size_t i = 0; i < depth; i += 16)
            _mm256_store_si256((void *)(out + r * ldo + i), widen_codes(codes + r * stride + i));
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

/* Sixteen codes of each row. */
INLINE void i8_step(size_t rows, size_t columns, const __m256i codes[TILE_W], const int16_t *x,
                    size_t ldx, __m256i sums[TILE_W][TILE_X])
{
    UNROLLED (r, rows) {
        __m256i v = kept(x + r * ldx);
        UNROLLED (c, columns) {
            sums[c][r] = _mm256_add_epi32(sums[c][r], _mm256_madd_epi16(codes[c], v));
            __asm__("" : "+x"(sums[c][r])); /* stays where it is */
        }
    }
}

/* Write a tile, or add it to what is there. */
INLINE void i8_put(size_t rows, size_t columns, __m256i sums[TILE_W][TILE_X], int32_t *out,
                   size_t ldo, bool add)
{
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
        i8_step(rows, columns, codes, x + i, DEPTH_I8, sums);
    }
    i8_put(rows, columns, sums, out, ldo, add);
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
        widen_rows(w + first * stride, stride, columns, depth, wide_w, DEPTH_I8);
        for (size_t r = 0; r < n_rows; r += BLOCK_X) {
            size_t rows = n_rows - r < BLOCK_X ? n_rows - r : BLOCK_X, j = 0;
            int32_t *to = out + r * ldo + first;
            widen_rows(x + r * ldx, ldx, rows, depth, wide_x, DEPTH_I8);
            for (; j + TILE_W <= columns; j += TILE_W)
                i8_columns(TILE_W, wide_w + j * DEPTH_I8, wide_x, rows, depth, to + j, ldo, add);
            if (j < columns)
                i8_columns(1, wide_w + j * DEPTH_I8, wide_x, rows, depth, to + j, ldo, add);
        }
    }
}

/* Rows of w (TILE_W or 1) with some of x, as they come from memory; those that come FEW_AHEAD rows
 * later are asked for. depth is a multiple of 64. */
INLINE void i8_few_tile(size_t rows, size_t columns, const int8_t *w, size_t stride, bool ask,
                        const int16_t *x, size_t depth, int32_t *out, size_t ldo, bool add)
{
    __m256i sums[TILE_W][TILE_X];

    UNROLLED (c, columns)
        UNROLLED (r, rows)
            sums[c][r] = _mm256_setzero_si256();
    for (size_t i = 0; i < depth; i += 64) {
        if (ask)
            UNROLLED (c, columns)
                __builtin_prefetch(w + (c + FEW_AHEAD) * stride + i);
        UNROLLED (step, 4) {
            __m256i codes[TILE_W];
            UNROLLED (c, columns)
                codes[c] = widen_codes(w + c * stride + i + step * 16);
            i8_step(rows, columns, codes, x + i + step * 16, depth, sums);
        }
    }
    i8_put(rows, columns, sums, out, ldo, add);
}

/* The same with all rows of x, which are at most FEW_X. */
INLINE void i8_few_rows(size_t columns, const int8_t *w, size_t stride, const int16_t *x,
                        size_t n_rows, size_t depth, int32_t *out, size_t ldo, bool add)
{
    size_t r = 0;

    for (; r + TILE_X <= n_rows; r += TILE_X)
        i8_few_tile(TILE_X, columns, w, stride, r == 0, x + r * depth, depth, out + r * ldo, ldo,
                    add);
    if (r + 2 <= n_rows) {
        i8_few_tile(2, columns, w, stride, r == 0, x + r * depth, depth, out + r * ldo, ldo, add);
        r += 2;
    }
    if (r < n_rows)
        i8_few_tile(1, columns, w, stride, r == 0, x + r * depth, depth, out + r * ldo, ldo, add);
}

/* n_rows <= FEW_X; padded is a multiple of 64. */
static void few_i8(const int8_t *w, size_t stride, size_t n, const int8_t *x, size_t ldx,
                   size_t n_rows, size_t padded, int32_t *out, size_t ldo)
{
    _Alignas(64) int16_t wide_x[FEW_CODES];
    const size_t most = FEW_CODES / n_rows / 64 * 64;
    const size_t n_pieces = (padded + most - 1) / most;
    const size_t piece = (padded / n_pieces + 63) / 64 * 64;

    for (size_t i = 0; i < padded; i += piece) {
        const size_t depth = padded - i < piece ? padded - i : piece;
        size_t j = 0;

        widen_rows(x + i, ldx, n_rows, depth, wide_x, depth);
        for (; j + TILE_W <= n; j += TILE_W)
            i8_few_rows(TILE_W, w + j * stride + i, stride, wide_x, n_rows, depth, out + j, ldo,
                        i > 0);
        if (j < n)
            i8_few_rows(1, w + j * stride + i, stride, wide_x, n_rows, depth, out + j, ldo, i > 0);
    }
}

static void many_i8(const int8_t *w, size_t stride, size_t n, const int8_t *x, size_t ldx,
                    size_t n_rows, size_t dim, int32_t *out, size_t ldo)
{
    size_t padded = (dim + WTE__QUERY_PAD - 1) / WTE__QUERY_PAD * WTE__QUERY_PAD, i = 0;

    if (padded > 0 && n_rows > 0 && n_rows <= FEW_X) {
        few_i8(w, stride, n, x, ldx, n_rows, padded, out, ldo);
        return;
    }
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
