/* SPDX-License-Identifier: MIT */
/** kernel/kernel_nn_vector.h - the kernels of the networks, written once for every vector
 *
 * An instruction set's header (x86/avx2.h, x86/avx512.h, arm/neon.h) says what a vector is (vec,
 * LANES, SUMS, and the v_ functions); its kernel_*_nn.c includes that, then this, and adds what is
 * its own. So the sets differ in nothing but their instructions, and what is tested on one machine
 * says something about all. Vectors of sums are arrays with constant bounds, whose loops the
 * compiler unrolls: they live in registers.
 *
 * A few rows times [in, out]. The weights are read once and in order; time is what memory takes.
 * DEPTH rows of the matrix are taken together, a strip of SUMS vectors of columns at a time, so
 * that y is loaded and stored once for DEPTH rows. What comes next in each row is asked for early,
 * between the products of the first rows of x: all at once it would fill the queue to memory, and
 * nothing be multiplied meanwhile. At a row's end it is the beginning of the row DEPTH further
 * down, which hardware does not guess. Rows of x go by fours, twos and ones, which the weights, now
 * in the first-level cache, see once each: the order of each element's chain is the same in all of
 * them. Where two vectors of bfloat16 widen with fewer instructions into even and odd numbers
 * (load_two), y is brought into that order before all and back after all.
 *
 * A few rows times panels of 16 columns, which lie one behind the other. The sums of a panel stay
 * in registers from its first row to its last. One row of x takes four panels at once, for as many
 * chains as the multipliers need, two take two. More than four go over each panel several times,
 * which asks for the next one evenly: so memory and multipliers are both at work all the time.
 *
 * A few rows times [out, in]. A row of weights at a time, with four running sums for each row of x,
 * up to three rows of x together (twelve sums): the order is that of the dot product. That takes
 * more loads than multiplications. Many rows of x, therefore, pass WIDE rows of w four times, once
 * for each of the running sums: twelve products then share their loads, and still have the order of
 * the dot product. Memory is read less evenly then, which counts for more while rows are few.
 *
 * exp(x) = 2^n e^r, n the whole number next to x / ln 2, |r| <= ln 2 / 2; ln 2 in two parts, of
 * which n times the first is subtracted without loss. e^r = 1 + r + r^2 P(r), P of degree 4 with a
 * relative error of at most 3.8e-9. Below -104 it is 0, above 89 infinite.
 *
 * tanh(x) = x + x^3 P(x^2) below 0.625 (relative error 1.2e-8), else 1 - 2 / (exp(2x) + 1).
 * GELU's x / 2 (1 + tanh u) is x / (1 + exp(-2u)), exactly.
 *
 * erf: the normal distribution's tail h(a) = (1 - erf(a / sqrt 2)) / 2 is exp(a P(a)) / 2, and P,
 * whose logarithm is nearly straight, is a polynomial of degree 8 on 0..5.6; a h(a) is off by at
 * most 9e-9. Beyond, a h(a) is below 6.1e-8 and h taken as 0.
 *
 * The polynomials are minimax ones, by Remez exchange on these errors in 40 digits and then rounded
 * to float; the errors given are of the rounded coefficients. */
#ifndef WTE_KERNEL_NN_VECTOR_H
#define WTE_KERNEL_NN_VECTOR_H
#include <math.h>
#include <stdbool.h>

enum { LINE = 64 /* of the cache, in bytes */ };

INLINE size_t size_of(enum type type)
{
    return type == F32 ? sizeof(float) : sizeof(uint16_t);
}

INLINE const void *element_at(enum type type, const void *p, size_t i)
{
    return (const unsigned char *)p + i * size_of(type);
}

/* Rows of y into the order of load_two, or back. */
INLINE void reorder(bool back, size_t n, float *y, size_t ldy, size_t n_rows)
{
    for (size_t r = 0; r < n_rows; r++)
        for (float *at = y + r * ldy, *end = at + n / (2 * LANES) * (2 * LANES); at < end;
             at += 2 * LANES) {
            vec v[2] = {load(F32, at, 0), load(F32, at, LANES)};
            if (back)
                join(v);
            else
                part(v);
            v_store(at, v[0]);
            v_store(at + LANES, v[1]);
        }
}

/* ---- few rows times [in, out] ------------------------------------------------------------- */

/* y[r][0..n_vectors) += x[r][i] * w[i], for depth rows of w; `some` (0: all) lanes of one vector.
 * `next`, unless NULL: what will be read of the first of these rows; asked for between products. */
INLINE void in_out_tile(enum type type, size_t rows, size_t n_vectors, size_t some, const void *w,
                        const void *next, size_t ldw, size_t depth, const float *x, size_t ldx,
                        float *y, size_t ldy)
{
    const size_t bytes = n_vectors * LANES * size_of(type);
    vec sums[4][SUMS];

    UNROLLED (r, rows)
        UNROLLED (v, n_vectors)
            sums[r][v] =
                some ? load_some(F32, y + r * ldy, 0, some) : load(F32, y + r * ldy, v * LANES);
    for (size_t i = 0; i < depth; i++) {
        const void *row = element_at(type, w, i * ldw);
        vec kept[4]; /* the fewer of both, weights and factors */
        if (next)
            UNROLLED (line, (bytes + LINE - 1) / LINE)
                __builtin_prefetch((const unsigned char *)element_at(type, next, i * ldw) +
                                   line * LINE);
        if (n_vectors <= rows) {
            if (n_vectors == 2)
                load_two(type, row, 0, kept);
            else
                UNROLLED (v, n_vectors)
                    kept[v] = some ? load_some(type, row, 0, some) : load(type, row, v * LANES);
            UNROLLED (r, rows) {
                vec factor = v_set(wte__get_f32(x + r * ldx + i));
                UNROLLED (v, n_vectors)
                    sums[r][v] = v_fma(factor, kept[v], sums[r][v]);
            }
        } else {
            UNROLLED (r, rows)
                kept[r] = v_set(wte__get_f32(x + r * ldx + i));
            UNROLLED (pair, n_vectors / 2) {
                vec weights[2];
                load_two(type, row, 2 * pair * LANES, weights);
                UNROLLED (r, rows)
                    UNROLLED (v, 2)
                        sums[r][2 * pair + v] = v_fma(kept[r], weights[v], sums[r][2 * pair + v]);
            }
        }
    }
    UNROLLED (r, rows)
        UNROLLED (v, n_vectors)
            if (some)
                v_store_some(y + r * ldy, sums[r][v], some);
            else
                v_store(y + r * ldy + v * LANES, sums[r][v]);
}

/* A strip of columns for some rows of x. */
INLINE void in_out_strip(enum type type, size_t rows, const void *w, const void *next, size_t ldw,
                         size_t depth, size_t n, const float *x, size_t ldx, float *y, size_t ldy)
{
    /* two at a time; the mask that parts them wants a register too */
    const size_t n_vectors = parts(type) && rows > 1 ? (SUMS - 1) / rows / 2 * 2 : SUMS / rows;
    const size_t width = n_vectors * LANES;
    size_t j = 0;

    for (; j + width <= n; j += width)
        in_out_tile(type, rows, n_vectors, 0, element_at(type, w, j),
                    next ? element_at(type, next, j) : NULL, ldw, depth, x, ldx, y + j, ldy);
    for (; parts(type) && j + 2 * LANES <= n; j += 2 * LANES)
        in_out_tile(type, rows, 2, 0, element_at(type, w, j), NULL, ldw, depth, x, ldx, y + j, ldy);
    for (; j + LANES <= n; j += LANES)
        in_out_tile(type, rows, 1, 0, element_at(type, w, j), NULL, ldw, depth, x, ldx, y + j, ldy);
    if (j < n)
        in_out_tile(type, rows, 1, n - j, element_at(type, w, j), NULL, ldw, depth, x, ldx, y + j,
                    ldy);
}

/* The same for all rows of x, the first ones of which ask for what comes next. */
INLINE void in_out_block(enum type type, const void *w, const void *next, size_t ldw, size_t depth,
                         size_t n, const float *x, size_t ldx, size_t n_rows, float *y, size_t ldy)
{
    size_t r = 0;

    for (; r + 4 <= n_rows; r += 4, next = NULL)
        in_out_strip(type, 4, w, next, ldw, depth, n, x + r * ldx, ldx, y + r * ldy, ldy);
    if (r + 2 <= n_rows) {
        in_out_strip(type, 2, w, next, ldw, depth, n, x + r * ldx, ldx, y + r * ldy, ldy);
        r += 2;
        next = NULL;
    }
    if (r < n_rows)
        in_out_strip(type, 1, w, next, ldw, depth, n, x + r * ldx, ldx, y + r * ldy, ldy);
}

INLINE void few_in_out(enum type type, const void *w, size_t ldw, size_t n_in, size_t n,
                       const float *x, size_t ldx, size_t n_rows, float *y, size_t ldy)
{
    enum { DEPTH = 16, STRIP = SUMS * LANES, AHEAD = 1 };

    if (parts(type))
        reorder(false, n, y, ldy, n_rows);
    for (size_t i = 0; i < n_in; i += DEPTH) {
        const void *block = element_at(type, w, i * ldw);
        size_t depth = n_in - i < DEPTH ? n_in - i : DEPTH;

        for (size_t j = 0; j < n; j += STRIP) {
            const void *strip = element_at(type, block, j);
            size_t width = n - j < STRIP ? n - j : STRIP, next = j + AHEAD * STRIP;
            const void *ahead = element_at(type, block, next < n ? next : DEPTH * ldw + (next - n));
            in_out_block(type, strip, ahead, ldw, depth, width, x + i, ldx, n_rows, y + j, ldy);
        }
    }
    if (parts(type))
        reorder(true, n, y, ldy, n_rows);
}

static void few_in_out_f32(const float *w, size_t ldw, size_t n_in, size_t n, const float *x,
                           size_t ldx, size_t n_rows, float *y, size_t ldy)
{
    few_in_out(F32, w, ldw, n_in, n, x, ldx, n_rows, y, ldy);
}

static void few_in_out_f16(const uint16_t *w, size_t ldw, size_t n_in, size_t n, const float *x,
                           size_t ldx, size_t n_rows, float *y, size_t ldy)
{
    few_in_out(F16, w, ldw, n_in, n, x, ldx, n_rows, y, ldy);
}

static void few_in_out_bf16(const uint16_t *w, size_t ldw, size_t n_in, size_t n, const float *x,
                            size_t ldx, size_t n_rows, float *y, size_t ldy)
{
    few_in_out(BF16, w, ldw, n_in, n, x, ldx, n_rows, y, ldy);
}

/* ---- few rows times panels ---------------------------------------------------------------- */

enum {
    VECTORS = WTE__PANEL / LANES,                           /* of a row of a panel */
    PER_LINE = LINE / (int)(WTE__PANEL * sizeof(uint16_t)), /* rows of it */
    PANEL_ROWS = 4,  /* of x at a time: with two vectors of weights in registers */
    PANELS = 4,      /* at a time at most */
    PANEL_AHEAD = 64 /* rows */
};

/* A row of a panel; pairs of vectors may come parted. */
INLINE void load_panel(const uint16_t *w, vec out[VECTORS])
{
    UNROLLED (v, VECTORS)
        if (VECTORS == 1)
            out[v] = load(BF16, w, 0);
        else if (v % 2 == 0)
            load_two(BF16, w, v * LANES, out + v);
}

/* One row of each panel, the first of which is at w, and a number of each row of x. */
INLINE void panels_row(size_t rows, size_t panels, const uint16_t *w, size_t n_in, const float *x,
                       size_t ldx, vec sums[PANELS][PANEL_ROWS][VECTORS])
{
    UNROLLED (p, panels) {
        vec weights[VECTORS];
        load_panel(w + p * n_in * WTE__PANEL, weights);
        UNROLLED (r, rows) {
            vec factor = v_set(wte__get_f32(x + r * ldx));
            UNROLLED (v, VECTORS)
                sums[p][r][v] = v_fma(factor, weights[v], sums[p][r][v]);
        }
    }
}

/* Some rows of x with some panels, side by side. What will be read is asked for: either of each
 * panel what comes PANEL_AHEAD rows later, which is the next ones' beginning at its end, or, where
 * a panel passes several times (`shared`), a part of the next one: from `next` on, `step` numbers
 * for each line of this. */
INLINE void panels_tile(size_t rows, size_t panels, const uint16_t *w, size_t n_in, bool shared,
                        const uint16_t *next, size_t step, const float *x, size_t ldx, float *y,
                        size_t ldy)
{
    vec sums[PANELS][PANEL_ROWS][VECTORS];
    size_t left = n_in;

    UNROLLED (p, panels)
        UNROLLED (r, rows)
            UNROLLED (v, VECTORS)
                sums[p][r][v] = v_set(0.0f);
    for (; left >= PER_LINE; left -= PER_LINE, w += PER_LINE * WTE__PANEL, x += PER_LINE) {
        if (shared) {
            __builtin_prefetch(next, 0, 2);
            next += step;
        } else {
            size_t ahead = PANEL_AHEAD + (left > PANEL_AHEAD ? 0 : (panels - 1) * n_in);
            UNROLLED (p, panels)
                __builtin_prefetch(w + (p * n_in + ahead) * WTE__PANEL);
        }
        UNROLLED (row, PER_LINE)
            panels_row(rows, panels, w + row * WTE__PANEL, n_in, x + row, ldx, sums);
    }
    for (; left > 0; left--, w += WTE__PANEL, x++)
        panels_row(rows, panels, w, n_in, x, ldx, sums);
    UNROLLED (p, panels)
        UNROLLED (r, rows) {
            UNROLLED (v, VECTORS)
                if (parts(BF16) && v % 2 == 1)
                    join(sums[p][r] + v - 1);
            UNROLLED (v, VECTORS)
                v_store(y + r * ldy + p * WTE__PANEL + v * LANES, sums[p][r][v]);
        }
}

/* Up to PANEL_ROWS rows of x with one panel. */
INLINE void panel_pass(size_t rows, const uint16_t *w, size_t n_in, bool shared,
                       const uint16_t *next, size_t step, const float *x, size_t ldx, float *y,
                       size_t ldy)
{
    if (rows == 4)
        panels_tile(4, 1, w, n_in, shared, next, step, x, ldx, y, ldy);
    else if (rows == 3)
        panels_tile(3, 1, w, n_in, shared, next, step, x, ldx, y, ldy);
    else if (rows == 2)
        panels_tile(2, 1, w, n_in, shared, next, step, x, ldx, y, ldy);
    else
        panels_tile(1, 1, w, n_in, shared, next, step, x, ldx, y, ldy);
}

/* All rows of x with one panel, in passes of about the same number of rows. */
INLINE void panel_passes(const uint16_t *w, size_t n_in, const float *x, size_t ldx, size_t n_rows,
                         float *y, size_t ldy)
{
    const size_t n_passes = (n_rows + PANEL_ROWS - 1) / PANEL_ROWS;
    const size_t step = PER_LINE * WTE__PANEL / n_passes;
    const uint16_t *next = w + n_in * WTE__PANEL;

    if (n_rows <= PANEL_ROWS) {
        panel_pass(n_rows, w, n_in, false, NULL, 0, x, ldx, y, ldy);
        return;
    }
    for (size_t pass = 0, r = 0, rows; pass < n_passes; pass++, r += rows) {
        rows = (n_rows - r + n_passes - pass - 1) / (n_passes - pass);
        panel_pass(rows, w, n_in, true, next + n_in * WTE__PANEL / n_passes * pass, step,
                   x + r * ldx, ldx, y + r * ldy, ldy);
    }
}

static void few_panels_bf16(const uint16_t *w, size_t n_in, size_t n_panels, const float *x,
                            size_t ldx, size_t n_rows, float *y, size_t ldy)
{
    size_t p = 0;

    for (; n_rows == 1 && p + 4 <= n_panels; p += 4)
        panels_tile(1, 4, w + p * n_in * WTE__PANEL, n_in, false, NULL, 0, x, ldx,
                    y + p * WTE__PANEL, ldy);
    for (; n_rows == 2 && p + 2 <= n_panels; p += 2)
        panels_tile(2, 2, w + p * n_in * WTE__PANEL, n_in, false, NULL, 0, x, ldx,
                    y + p * WTE__PANEL, ldy);
    for (; p < n_panels; p++)
        panel_passes(w + p * n_in * WTE__PANEL, n_in, x, ldx, n_rows, y + p * WTE__PANEL, ldy);
}

/* ---- few rows times [out, in] ------------------------------------------------------------- */

/* One row of weights with 1 to 3 rows of x, each in the order of the dot product. */
INLINE void out_in_dots(enum type type, size_t rows, const void *w, size_t n, const float *x,
                        size_t ldx, float *y, size_t ldy)
{
    vec sums[3][4];
    size_t i = 0;

    UNROLLED (r, rows)
        UNROLLED (v, 4)
            sums[r][v] = v_set(0.0f);
    for (; i + 4 * LANES <= n; i += 4 * LANES)
        UNROLLED (v, 4) {
            vec weights = load(type, w, i + v * LANES);
            UNROLLED (r, rows)
                sums[r][v] = v_fma(weights, load(F32, x + r * ldx, i + v * LANES), sums[r][v]);
        }
    for (; i + LANES <= n; i += LANES)
        UNROLLED (r, rows)
            sums[r][0] = v_fma(load(type, w, i), load(F32, x + r * ldx, i), sums[r][0]);
    UNROLLED (r, rows) {
        if (i < n)
            sums[r][1] = v_fma(load_some(type, w, i, n - i), load_some(F32, x + r * ldx, i, n - i),
                               sums[r][1]);
        wte__put_f32(y + r * ldy,
                     v_sum(v_add(v_add(sums[r][0], sums[r][1]), v_add(sums[r][2], sums[r][3]))));
    }
}

/* The same with all rows of x. */
INLINE void out_in_row(enum type type, const void *w, size_t n, const float *x, size_t ldx,
                       size_t n_rows, float *y, size_t ldy)
{
    size_t r = 0;

    for (; r + 3 <= n_rows; r += 3)
        out_in_dots(type, 3, w, n, x + r * ldx, ldx, y + r * ldy, ldy);
    if (r + 2 == n_rows)
        out_in_dots(type, 2, w, n, x + r * ldx, ldx, y + r * ldy, ldy);
    else if (r < n_rows)
        out_in_dots(type, 1, w, n, x + r * ldx, ldx, y + r * ldy, ldy);
}

/* Of the four running sums of each product of WIDE rows of w with some of x, one at a time: a tile
 * of sums shares its loads. n is a multiple of 4 * LANES. `next`, unless NULL: a row of w that will
 * be read soon. */
enum { WIDE = 3, WIDE_ROWS = 4 };

INLINE void out_in_sums(enum type type, size_t rows, const void *w, size_t ldw, size_t n,
                        const void *next, const float *x, size_t ldx, vec sums[WIDE_ROWS][WIDE])
{
    UNROLLED (r, rows)
        UNROLLED (c, WIDE)
            sums[r][c] = v_set(0.0f);
    for (size_t i = 0; i < n; i += 4 * LANES) {
        vec weights[WIDE];
        if (next)
            for (size_t b = 0; b < 4 * LANES * size_of(type); b += LINE)
                __builtin_prefetch((const unsigned char *)element_at(type, next, i) + b);
        UNROLLED (c, WIDE)
            weights[c] = load(type, w, c * ldw + i);
        UNROLLED (r, rows) {
            vec factor = load(F32, x + r * ldx, i);
            UNROLLED (c, WIDE)
                sums[r][c] = v_fma(weights[c], factor, sums[r][c]);
        }
    }
}

/* WIDE rows of w with some of x, to the bits of out_in_dots. The first three times over the rows
 * ask for those that come next. */
INLINE void out_in_tile(enum type type, size_t rows, const void *w, size_t ldw, size_t n,
                        const void *next, const float *x, size_t ldx, float *y, size_t ldy)
{
    const size_t whole = n / (4 * LANES) * (4 * LANES);
    vec sums[4][WIDE_ROWS][WIDE];

    UNROLLED (s, 4) {
        vec part[WIDE_ROWS][WIDE];
        out_in_sums(type, rows, element_at(type, w, s * LANES), ldw, whole,
                    next && s < WIDE ? element_at(type, next, s * ldw) : NULL, x + s * LANES, ldx,
                    part);
        UNROLLED (r, rows)
            UNROLLED (c, WIDE)
                sums[s][r][c] = part[r][c];
    }
    for (size_t i = whole; i + LANES <= n; i += LANES)
        UNROLLED (r, rows)
            UNROLLED (c, WIDE)
                sums[0][r][c] =
                    v_fma(load(type, w, c * ldw + i), load(F32, x + r * ldx, i), sums[0][r][c]);
    if (n % LANES) {
        const size_t i = n - n % LANES;
        UNROLLED (r, rows)
            UNROLLED (c, WIDE)
                sums[1][r][c] = v_fma(load_some(type, w, c * ldw + i, n - i),
                                      load_some(F32, x + r * ldx, i, n - i), sums[1][r][c]);
    }
    UNROLLED (r, rows)
        UNROLLED (c, WIDE)
            wte__put_f32(y + r * ldy + c, v_sum(v_add(v_add(sums[0][r][c], sums[1][r][c]),
                                                      v_add(sums[2][r][c], sums[3][r][c]))));
}

/* The same with all rows of x (4 at least). */
INLINE void out_in_tiles(enum type type, const void *w, size_t ldw, size_t n, const float *x,
                         size_t ldx, size_t n_rows, float *y, size_t ldy)
{
    const void *next = element_at(type, w, WIDE * ldw);

    for (size_t r = 0, rows; r < n_rows; r += rows, next = NULL) {
        const float *from = x + r * ldx;
        float *to = y + r * ldy;

        rows = n_rows - r;
        if (rows == 2) {
            out_in_tile(type, 2, w, ldw, n, next, from, ldx, to, ldy);
        } else if (rows == 3 || rows == 5 || rows == 6) {
            rows = 3;
            out_in_tile(type, 3, w, ldw, n, next, from, ldx, to, ldy);
        } else {
            rows = 4;
            out_in_tile(type, 4, w, ldw, n, next, from, ldx, to, ldy);
        }
    }
}

/* Whether tiles are faster than a row of w after the other, which memory likes better. */
INLINE bool worth_tiles(enum type type, size_t n_rows)
{
    return n_rows > 8 || (type != F32 && (n_rows == 4 || n_rows > 6));
}

INLINE void few_out_in(enum type type, const void *w, size_t ldw, size_t n, size_t n_in,
                       const float *x, size_t ldx, size_t n_rows, float *y, size_t ldy)
{
    size_t j = 0;

    if (worth_tiles(type, n_rows))
        for (; j + WIDE <= n; j += WIDE, w = element_at(type, w, WIDE * ldw))
            out_in_tiles(type, w, ldw, n_in, x, ldx, n_rows, y + j, ldy);
    for (; j < n; j++, w = element_at(type, w, ldw)) {
        wte__prefetch_ahead(w, n_in * size_of(type));
        out_in_row(type, w, n_in, x, ldx, n_rows, y + j, ldy);
    }
}

static void few_out_in_f32(const float *w, size_t ldw, size_t n, size_t n_in, const float *x,
                           size_t ldx, size_t n_rows, float *y, size_t ldy)
{
    few_out_in(F32, w, ldw, n, n_in, x, ldx, n_rows, y, ldy);
}

static void few_out_in_f16(const uint16_t *w, size_t ldw, size_t n, size_t n_in, const float *x,
                           size_t ldx, size_t n_rows, float *y, size_t ldy)
{
    few_out_in(F16, w, ldw, n, n_in, x, ldx, n_rows, y, ldy);
}

static void few_out_in_bf16(const uint16_t *w, size_t ldw, size_t n, size_t n_in, const float *x,
                            size_t ldx, size_t n_rows, float *y, size_t ldy)
{
    few_out_in(BF16, w, ldw, n, n_in, x, ldx, n_rows, y, ldy);
}

/* ---- functions ---------------------------------------------------------------------------- */

INLINE vec exp_of(vec x)
{
    /* limits before values: where a value is NaN it is the second that remains */
    x = v_min(v_set(89.0f), v_max(v_set(-104.0f), x));
    vec n = v_round(v_mul(x, v_set(0x1.715476p+0f))); /* 1 / ln 2 */
    vec r = v_fnma(n, v_set(0x1.62e43p-1f), x);
    r = v_fnma(n, v_set(-0x1.05c610p-29f), r);
    vec p = v_set(0x1.6a2434p-10f);
    p = v_fma(p, r, v_set(0x1.1239e2p-7f));
    p = v_fma(p, r, v_set(0x1.5558f2p-5f));
    p = v_fma(p, r, v_set(0x1.555492p-3f));
    p = v_fma(p, r, v_set(0x1.fffffcp-2f));
    return v_scale(v_add(v_fma(v_mul(r, r), p, r), v_set(1.0f)), n);
}

INLINE vec tanh_of(vec x)
{
    vec a = v_abs(x), z = v_mul(x, x);
    vec e = exp_of(v_add(a, a));
    vec large = v_sub(v_set(1.0f), v_div(v_set(2.0f), v_add(e, v_set(1.0f))));
    vec p = v_set(-0x1.722d54p-8f);
    p = v_fma(p, z, v_set(0x1.5158c8p-6f));
    p = v_fma(p, z, v_set(-0x1.b81deep-5f));
    p = v_fma(p, z, v_set(0x1.110648p-3f));
    p = v_fma(p, z, v_set(-0x1.55552ep-2f));
    return v_if_less(a, v_set(0.625f), v_fma(v_mul(x, z), p, x), v_with_sign(large, x));
}

INLINE vec gelu_tanh_of(vec x)
{
    /* -2 sqrt(2 / pi), and that times 0.044715 */
    vec u = v_fma(v_mul(x, x), v_set(-0x1.2444c6p-4f), v_set(-0x1.988454p+0f));

    return v_div(x, v_add(v_set(1.0f), exp_of(v_mul(x, u))));
}

INLINE vec gelu_erf_of(vec x)
{
    vec a = v_abs(x), p = v_set(0x1.b43472p-23f);
    p = v_fma(p, a, v_set(-0x1.1eb20ep-18f));
    p = v_fma(p, a, v_set(0x1.35be8ap-15f));
    p = v_fma(p, a, v_set(-0x1.311226p-13f));
    p = v_fma(p, a, v_set(-0x1.862f90p-14f));
    p = v_fma(p, a, v_set(0x1.42e816p-8f));
    p = v_fma(p, a, v_set(-0x1.2a6ca8p-5f));
    p = v_fma(p, a, v_set(-0x1.45eacap-2f));
    p = v_fma(p, a, v_set(-0x1.9884e0p-1f));
    vec tail = v_mul(v_set(0.5f), exp_of(v_mul(a, p)));
    tail = v_if_less(a, v_set(5.6f), tail, v_set(0.0f));
    return v_mul(x, v_if_less(x, v_set(0.0f), tail, v_sub(v_set(1.0f), tail)));
}

INLINE void in_place(float *x, size_t n, vec (*of)(vec))
{
    size_t i = 0;

    for (; i + LANES <= n; i += LANES)
        v_store(x + i, of(load(F32, x, i)));
    if (i < n)
        v_store_some(x + i, of(load_some(F32, x, i, n - i)), n - i);
}

static void gelu_tanh(float *x, size_t n)
{
    in_place(x, n, gelu_tanh_of);
}

static void gelu_erf(float *x, size_t n)
{
    in_place(x, n, gelu_erf_of);
}

static void tanh_f32(float *x, size_t n)
{
    in_place(x, n, tanh_of);
}

/* ---- softmax ------------------------------------------------------------------------------ */

/* NaN stays, everything else is brought into -1..1: sums of these are NaN only if there was one. */
INLINE vec small_or_nan(vec v)
{
    return v_max(v_set(-1.0f), v_min(v_set(1.0f), v));
}

static float max_f32(const float *x, size_t n)
{
    vec m0 = v_set(-INFINITY), m1 = m0, s0 = v_set(0.0f), s1 = s0;
    size_t i = 0;

    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        vec a = load(F32, x, i), b = load(F32, x, i + LANES);
        m0 = v_max(m0, a);
        m1 = v_max(m1, b);
        s0 = v_add(s0, small_or_nan(a));
        s1 = v_add(s1, small_or_nan(b));
    }
    float max = v_largest(v_max(m0, m1)), rest = wte__max_f32_c(x + i, n - i);
    float sum = v_sum(v_add(s0, s1));
    return isnan(sum) ? sum : rest <= max ? max : rest;
}

/* Sum of exp(x - shift), which is written to out unless that is NULL. Float sums of BLOCK numbers
 * at most are added up in float64. */
INLINE double exp_and_sum(const float *x, size_t n, float shift, float *out)
{
    enum { BLOCK = 128 };
    const vec by = v_set(shift);
    double total = 0.0;

    for (size_t begin = 0; begin < n; begin += BLOCK) {
        size_t end = n - begin < BLOCK ? n : begin + BLOCK, i = begin;
        vec sum = v_set(0.0f);
        for (; i + LANES <= end; i += LANES) {
            vec e = exp_of(v_sub(load(F32, x, i), by));
            if (out)
                v_store(out + i, e);
            sum = v_add(sum, e);
        }
        if (i < end) {
            vec e = exp_of(v_sub(load_some(F32, x, i, end - i), by));
            if (out)
                v_store_some(out + i, e, end - i);
            sum = v_add(sum, v_first(e, end - i));
        }
        total += v_sum_f64(sum);
    }
    return total;
}

static void softmax(float *x, size_t n)
{
    vec factor = v_set((float)(1.0 / exp_and_sum(x, n, max_f32(x, n), x)));
    size_t i = 0;

    for (; i + LANES <= n; i += LANES)
        v_store(x + i, v_mul(load(F32, x, i), factor));
    if (i < n)
        v_store_some(x + i, v_mul(load_some(F32, x, i, n - i), factor), n - i);
}

static double sum_exp(const float *x, size_t n, float shift)
{
    return exp_and_sum(x, n, shift, NULL);
}

/* ---- layer norm --------------------------------------------------------------------------- */

/* Sum of x - by, or of its squares. */
INLINE float moment(const float *x, size_t n, float by, bool squared)
{
    vec sums[4] = {v_set(0.0f), v_set(0.0f), v_set(0.0f), v_set(0.0f)};
    const vec mean = v_set(by);
    size_t i = 0;

    for (; i + 4 * LANES <= n; i += 4 * LANES)
        UNROLLED (v, 4) {
            vec d = v_sub(load(F32, x, i + v * LANES), mean);
            sums[v] = squared ? v_fma(d, d, sums[v]) : v_add(sums[v], d);
        }
    for (; i < n; i += LANES) {
        vec d = n - i < LANES ? v_first(v_sub(load_some(F32, x, i, n - i), mean), n - i)
                              : v_sub(load(F32, x, i), mean);
        sums[0] = squared ? v_fma(d, d, sums[0]) : v_add(sums[0], d);
    }
    return v_sum(v_add(v_add(sums[0], sums[1]), v_add(sums[2], sums[3])));
}

static void layer_norm(const float *x, const float *weight, const float *bias, float epsilon,
                       size_t n, float *out)
{
    float mean = moment(x, n, 0.0f, false) / (float)n;
    float variance = moment(x, n, mean, true) / (float)n;
    vec by = v_set(mean), scale = v_set(1.0f / sqrtf(variance + epsilon));
    size_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        vec v = v_mul(v_sub(load(F32, x, i), by), scale);
        v_store(out + i, v_fma(v, load(F32, weight, i), load(F32, bias, i)));
    }
    if (i < n) {
        vec v = v_mul(v_sub(load_some(F32, x, i, n - i), by), scale);
        v = v_fma(v, load_some(F32, weight, i, n - i), load_some(F32, bias, i, n - i));
        v_store_some(out + i, v, n - i);
    }
}

/* ---- attention ---------------------------------------------------------------------------- */

/* Four cells at a time, each with two running sums; the last ones stand in for those that are
 * missing, so that a score does not depend on how many there are. */
INLINE void attend_scores(enum type type, const float *query, const void *keys,
                          const uint32_t *cells, size_t n, size_t dim, float *scores)
{
    for (size_t i = 0; i < n; i += 4) {
        size_t count = n - i < 4 ? n - i : 4, d = 0;
        vec sums[4][2];
        float out[4];
        const void *rows[4];

        UNROLLED (c, 4) {
            size_t at = i + (c < count ? c : count - 1);
            rows[c] = element_at(type, keys, wte__get_u32(cells + at) * dim);
            sums[c][0] = sums[c][1] = v_set(0.0f);
        }
        for (; d + 2 * LANES <= dim; d += 2 * LANES) {
            vec q0 = load(F32, query, d), q1 = load(F32, query, d + LANES);
            UNROLLED (c, 4) {
                sums[c][0] = v_fma(load(type, rows[c], d), q0, sums[c][0]);
                sums[c][1] = v_fma(load(type, rows[c], d + LANES), q1, sums[c][1]);
            }
        }
        for (; d < dim; d += LANES) {
            bool whole = d + LANES <= dim;
            vec q = whole ? load(F32, query, d) : load_some(F32, query, d, dim - d);
            UNROLLED (c, 4) {
                vec row = whole ? load(type, rows[c], d) : load_some(type, rows[c], d, dim - d);
                sums[c][0] = v_fma(row, q, sums[c][0]);
            }
        }
        v_sum_four(v_add(sums[0][0], sums[0][1]), v_add(sums[1][0], sums[1][1]),
                   v_add(sums[2][0], sums[2][1]), v_add(sums[3][0], sums[3][1]), out);
        memcpy(scores + i, out, count * sizeof *out);
    }
}

static void attend_scores_f32(const float *query, const float *keys, const uint32_t *cells,
                              size_t n, size_t dim, float *scores)
{
    attend_scores(F32, query, keys, cells, n, dim, scores);
}

static void attend_scores_f16(const float *query, const uint16_t *keys, const uint32_t *cells,
                              size_t n, size_t dim, float *scores)
{
    attend_scores(F16, query, keys, cells, n, dim, scores);
}

/* n_vectors of the output; `some` (0: all) lanes of one. */
INLINE void mix(enum type type, size_t n_vectors, size_t some, const float *weights,
                const void *values, const uint32_t *cells, size_t n, size_t dim, float *out)
{
    vec sums[SUMS];

    UNROLLED (v, n_vectors)
        sums[v] = v_set(0.0f);
    for (size_t i = 0; i < n; i++) {
        const void *row = element_at(type, values, wte__get_u32(cells + i) * dim);
        vec weight = v_set(wte__get_f32(weights + i));
        UNROLLED (v, n_vectors)
            sums[v] = v_fma(
                weight, some ? load_some(type, row, 0, some) : load(type, row, v * LANES), sums[v]);
    }
    UNROLLED (v, n_vectors)
        if (some)
            v_store_some(out, sums[v], some);
        else
            v_store(out + v * LANES, sums[v]);
}

INLINE void attend_mix(enum type type, const float *weights, const void *values,
                       const uint32_t *cells, size_t n, size_t dim, float *out)
{
    size_t d = 0;

    for (; d + 8 * LANES <= dim; d += 8 * LANES) /* heads of 64 are the usual ones */
        mix(type, 8, 0, weights, element_at(type, values, d), cells, n, dim, out + d);
    if (d + 4 * LANES <= dim) {
        mix(type, 4, 0, weights, element_at(type, values, d), cells, n, dim, out + d);
        d += 4 * LANES;
    }
    for (; d + LANES <= dim; d += LANES)
        mix(type, 1, 0, weights, element_at(type, values, d), cells, n, dim, out + d);
    if (d < dim)
        mix(type, 1, dim - d, weights, element_at(type, values, d), cells, n, dim, out + d);
}

static void attend_mix_f32(const float *weights, const float *values, const uint32_t *cells,
                           size_t n, size_t dim, float *out)
{
    attend_mix(F32, weights, values, cells, n, dim, out);
}

static void attend_mix_f16(const float *weights, const uint16_t *values, const uint32_t *cells,
                           size_t n, size_t dim, float *out)
{
    attend_mix(F16, weights, values, cells, n, dim, out);
}

/* Several queries over the same cells, in tiles whose loads are shared: */
enum {
    SCORE_ROWS = 3,   /* queries by 4 cells: as many sums as a quarter of the registers leaves */
    SCORE_CELLS = 64, /* that meet all queries while they lie in the first-level cache */
    MIX_ROWS = 6      /* queries by two vectors of the output */
};

/* One of the two running sums of each score, or of numbers from `first` on every `step`th. */
INLINE void score_sums(enum type type, size_t rows, const float *queries, size_t ldq,
                       const void *const keys[4], size_t first, size_t step, size_t end,
                       vec sums[SCORE_ROWS][4])
{
    for (size_t d = first; d + LANES <= end; d += step) {
        vec q[SCORE_ROWS];
        UNROLLED (r, rows)
            q[r] = load(F32, queries + r * ldq, d);
        UNROLLED (c, 4) {
            vec row = load(type, keys[c], d);
            UNROLLED (r, rows)
                sums[r][c] = v_fma(row, q[r], sums[r][c]);
        }
    }
}

/* The scores of some queries with four cells, to the bits of attend_scores. */
INLINE void score_tile(enum type type, size_t rows, const float *queries, size_t ldq,
                       const void *const keys[4], size_t count, size_t dim, float *scores,
                       size_t lds)
{
    const size_t pairs = dim / (2 * LANES) * (2 * LANES), whole = dim / LANES * LANES;
    vec even[SCORE_ROWS][4], odd[SCORE_ROWS][4];

    UNROLLED (r, rows)
        UNROLLED (c, 4)
            odd[r][c] = v_set(0.0f);
    score_sums(type, rows, queries, ldq, keys, LANES, 2 * LANES, pairs, odd);
    UNROLLED (r, rows)
        UNROLLED (c, 4)
            even[r][c] = v_set(0.0f);
    score_sums(type, rows, queries, ldq, keys, 0, 2 * LANES, whole, even);
    if (whole < dim)
        UNROLLED (r, rows) {
            vec q = load_some(F32, queries + r * ldq, whole, dim - whole);
            UNROLLED (c, 4)
                even[r][c] = v_fma(load_some(type, keys[c], whole, dim - whole), q, even[r][c]);
        }
    UNROLLED (r, rows) {
        float out[4];
        v_sum_four(v_add(even[r][0], odd[r][0]), v_add(even[r][1], odd[r][1]),
                   v_add(even[r][2], odd[r][2]), v_add(even[r][3], odd[r][3]), out);
        memcpy(scores + r * lds, out, count * sizeof *out);
    }
}

INLINE void attend_scores_many(enum type type, const float *queries, size_t ldq, size_t n_rows,
                               const void *keys, const uint32_t *cells, size_t n, size_t dim,
                               float *scores, size_t lds)
{
    for (size_t begin = 0; begin < n; begin += SCORE_CELLS) {
        const size_t end = n - begin < SCORE_CELLS ? n : begin + SCORE_CELLS;

        for (size_t r = 0, rows; r < n_rows; r += rows) {
            rows = n_rows - r < SCORE_ROWS ? 1 : SCORE_ROWS;
            for (size_t i = begin; i < end; i += 4) {
                const size_t count = end - i < 4 ? end - i : 4;
                const void *four[4];

                UNROLLED (c, 4)
                    four[c] = element_at(
                        type, keys, wte__get_u32(cells + i + (c < count ? c : count - 1)) * dim);
                if (rows == 1)
                    score_tile(type, 1, queries + r * ldq, ldq, four, count, dim,
                               scores + r * lds + i, lds);
                else
                    score_tile(type, SCORE_ROWS, queries + r * ldq, ldq, four, count, dim,
                               scores + r * lds + i, lds);
            }
        }
    }
}

static void attend_scores_many_f32(const float *queries, size_t ldq, size_t n_rows,
                                   const float *keys, const uint32_t *cells, size_t n, size_t dim,
                                   float *scores, size_t lds)
{
    attend_scores_many(F32, queries, ldq, n_rows, keys, cells, n, dim, scores, lds);
}

static void attend_scores_many_f16(const float *queries, size_t ldq, size_t n_rows,
                                   const uint16_t *keys, const uint32_t *cells, size_t n,
                                   size_t dim, float *scores, size_t lds)
{
    attend_scores_many(F16, queries, ldq, n_rows, keys, cells, n, dim, scores, lds);
}

/* n_vectors of the outputs of some queries; `some` (0: all) lanes of one. The cells that all see,
 * then what each sees beyond. */
INLINE void mix_tile(enum type type, size_t rows, size_t n_vectors, size_t some,
                     const float *weights, size_t ldw, const void *values, const uint32_t *cells,
                     const uint32_t *n_keys, size_t dim, float *out, size_t ldo)
{
    vec sums[MIX_ROWS][2];
    size_t common = wte__get_u32(n_keys);

    UNROLLED (r, rows) {
        common = wte__get_u32(n_keys + r) < common ? wte__get_u32(n_keys + r) : common;
        UNROLLED (v, n_vectors)
            sums[r][v] = v_set(0.0f);
    }
    for (size_t i = 0; i < common; i++) {
        const void *row = element_at(type, values, wte__get_u32(cells + i) * dim);
        vec numbers[2];
        UNROLLED (v, n_vectors)
            numbers[v] = some ? load_some(type, row, 0, some) : load(type, row, v * LANES);
        UNROLLED (r, rows) {
            vec weight = v_set(wte__get_f32(weights + r * ldw + i));
            UNROLLED (v, n_vectors)
                sums[r][v] = v_fma(weight, numbers[v], sums[r][v]);
        }
    }
    UNROLLED (r, rows)
        for (size_t i = common; i < wte__get_u32(n_keys + r); i++) {
            const void *row = element_at(type, values, wte__get_u32(cells + i) * dim);
            vec weight = v_set(wte__get_f32(weights + r * ldw + i));
            UNROLLED (v, n_vectors)
                sums[r][v] =
                    v_fma(weight, some ? load_some(type, row, 0, some) : load(type, row, v * LANES),
                          sums[r][v]);
        }
    UNROLLED (r, rows)
        UNROLLED (v, n_vectors)
            if (some)
                v_store_some(out + r * ldo, sums[r][v], some);
            else
                v_store(out + r * ldo + v * LANES, sums[r][v]);
}

INLINE void attend_mix_many(enum type type, const float *weights, size_t ldw, size_t n_rows,
                            const void *values, const uint32_t *cells, const uint32_t *n_keys,
                            size_t dim, float *out, size_t ldo)
{
    size_t r = 0;

    for (; r + MIX_ROWS <= n_rows; r += MIX_ROWS) {
        const float *from = weights + r * ldw;
        float *to = out + r * ldo;
        size_t d = 0;

        for (; d + 2 * LANES <= dim; d += 2 * LANES)
            mix_tile(type, MIX_ROWS, 2, 0, from, ldw, element_at(type, values, d), cells,
                     n_keys + r, dim, to + d, ldo);
        for (; d + LANES <= dim; d += LANES)
            mix_tile(type, MIX_ROWS, 1, 0, from, ldw, element_at(type, values, d), cells,
                     n_keys + r, dim, to + d, ldo);
        if (d < dim)
            mix_tile(type, MIX_ROWS, 1, dim - d, from, ldw, element_at(type, values, d), cells,
                     n_keys + r, dim, to + d, ldo);
    }
    for (; r < n_rows; r++)
        attend_mix(type, weights + r * ldw, values, cells, wte__get_u32(n_keys + r), dim,
                   out + r * ldo);
}

static void attend_mix_many_f32(const float *weights, size_t ldw, size_t n_rows,
                                const float *values, const uint32_t *cells, const uint32_t *n_keys,
                                size_t dim, float *out, size_t ldo)
{
    attend_mix_many(F32, weights, ldw, n_rows, values, cells, n_keys, dim, out, ldo);
}

static void attend_mix_many_f16(const float *weights, size_t ldw, size_t n_rows,
                                const uint16_t *values, const uint32_t *cells,
                                const uint32_t *n_keys, size_t dim, float *out, size_t ldo)
{
    attend_mix_many(F16, weights, ldw, n_rows, values, cells, n_keys, dim, out, ldo);
}

static void init_vector(wte__kernels *k)
{
    k->few_in_out_f32 = few_in_out_f32;
    k->few_in_out_f16 = few_in_out_f16;
    k->few_in_out_bf16 = few_in_out_bf16;
    k->few_panels_bf16 = few_panels_bf16;
    k->few_out_in_f32 = few_out_in_f32;
    k->few_out_in_f16 = few_out_in_f16;
    k->few_out_in_bf16 = few_out_in_bf16;
    k->layer_norm = layer_norm;
    k->gelu_tanh = gelu_tanh;
    k->gelu_erf = gelu_erf;
    k->tanh_f32 = tanh_f32;
    k->softmax = softmax;
    k->max_f32 = max_f32;
    k->sum_exp = sum_exp;
    k->attend_scores_f32 = attend_scores_f32;
    k->attend_scores_f16 = attend_scores_f16;
    k->attend_mix_f32 = attend_mix_f32;
    k->attend_mix_f16 = attend_mix_f16;
    k->attend_scores_many_f32 = attend_scores_many_f32;
    k->attend_scores_many_f16 = attend_scores_many_f16;
    k->attend_mix_many_f32 = attend_mix_many_f32;
    k->attend_mix_many_f16 = attend_mix_many_f16;
}
#endif
