/* SPDX-License-Identifier: MIT */
/** kernel/kernel_nn_i8.h - products of many rows of codes, cut into register tiles
 *
 * Included by the files of the instruction sets behind TILE_X, TILE_W and
 *     i8_tile(rows, columns, w, stride, x, ldx, dim, out, ldo)
 * which fills rows <= TILE_X by columns <= TILE_W results, both known when it is compiled. Rows of
 * x are taken in blocks that stay in the first-level cache while w passes by, TILE_W rows at once.
 */
#ifndef WTE_KERNEL_NN_I8_H
#define WTE_KERNEL_NN_I8_H

INLINE void i8_columns(size_t columns, const int8_t *w, size_t stride, const int8_t *x, size_t ldx,
                       size_t n_rows, size_t dim, int32_t *out, size_t ldo)
{
    size_t r = 0;

    for (; r + TILE_X <= n_rows; r += TILE_X)
        i8_tile(TILE_X, columns, w, stride, x + r * ldx, ldx, dim, out + r * ldo, ldo);
    for (; r < n_rows; r++)
        i8_tile(1, columns, w, stride, x + r * ldx, ldx, dim, out + r * ldo, ldo);
}

static void many_i8(const int8_t *w, size_t stride, size_t n, const int8_t *x, size_t ldx,
                    size_t n_rows, size_t dim, int32_t *out, size_t ldo)
{
    enum { BLOCK_BYTES = 24 << 10 };
    size_t fit = ldx ? BLOCK_BYTES / ldx / TILE_X * TILE_X : TILE_X;
    size_t block = fit < TILE_X ? TILE_X : fit;

    for (size_t r = 0; r < n_rows; r += block) {
        size_t rows = n_rows - r < block ? n_rows - r : block, j = 0;
        for (; j + TILE_W <= n; j += TILE_W)
            i8_columns(TILE_W, w + j * stride, stride, x + r * ldx, ldx, rows, dim,
                       out + r * ldo + j, ldo);
        for (; j < n; j++)
            i8_columns(1, w + j * stride, stride, x + r * ldx, ldx, rows, dim, out + r * ldo + j,
                       ldo);
    }
}
#endif
