/* SPDX-License-Identifier: MIT */
/* linear.c - x * W + b, shared by all workers of a team
 *
 * Four ways. Which one is taken depends on the number of rows and the type of the weights, and the
 * last one on the processor:
 *
 *   few    up to STREAM_ROWS rows: bound by memory or nearly so. W is read once, in order, as it
 *          lies in the file; the workers take runs of columns that are long enough for memory to
 *          stream. A matrix that was converted lies as panels, each of which is such a run.
 *   many   more rows: bound by arithmetic. x is packed once into strips of WTE__GEMM_MR rows; then
 *          the workers take blocks of columns. Of its block a worker packs a piece of W at a time,
 *          widened, into panels of WTE__GEMM_NR columns:
 *
 *            packed x  [strips][n_in][MR]     shared
 *            panels    [COLUMNS / NR][piece of n_in][NR]     of the worker
 *            tile      [rows of a group][COLUMNS]            of the worker, the sums
 *
 *          A piece of a strip stays in the first-level cache while it meets all panels, which stay
 *          in the second, as does the tile. Rows come in groups so that this holds for any number.
 *          Meanwhile memory brings the next piece of W, a run at a time: packing it then waits for
 *          nothing.
 *
 *   int8   x is quantised by rows. The sums are exact, so nothing depends on any order.
 *
 *   oneDNN many rows of bfloat16 in a session of bfloat16, where the processor multiplies these
 *          (see onednn.c): x is rounded to bfloat16 once, then the workers take blocks of 64
 *          columns and up to 256 rows, of which oneDNN gives the sums in an order of its own.
 *
 * In all others an element's sum starts from 0 and goes over n_in in a fixed order (few and many
 * over [in, out] and panels, and many over [out, in]: one chain of fused multiply-adds in ascending
 * order; few over [out, in]: the order of a dot product); then come the bias, the activation and
 * the residual. Blocks begin at multiples of 16 columns, so that an activation's vectors hold the
 * same columns however the work is cut. */
#include <assert.h>
#include <math.h>
#include "network/network_internal.h"
#include "network/onednn.h"

enum {
    CACHE_LINE = 64,
    PIECE = 256,                           /* of n_in at a time */
    COLUMNS = 96,                          /* of a block */
    GROUP = 44,                            /* strips of a group at most: 264 rows */
    TILE = GROUP * WTE__GEMM_MR * COLUMNS, /* floats */
    STREAM_ROWS = 24,                      /* above, packing W is worth its time */
    FEW_COLUMNS = TILE / STREAM_ROWS,      /* that few rows may take at a time */
    FEW_BYTES = 2048,                      /* of a row of W that are worth reading alone */
    FEW_BLOCKS = 4,                        /* for each worker at most */
    FEW_OUTPUTS = 64,                      /* of [out, in] and of panels at a time */
    I8_OUTPUTS = 64,
    I8_ROWS = 64
};

struct wte__product_own {
    uint32_t n_products;    /* that this worker has begun */
    _Atomic uint64_t taken; /* the number of a product << 32 | blocks of its run that were taken */
    _Alignas(64) float panels[PIECE * COLUMNS];
    _Alignas(64) float tile[TILE];
    _Alignas(64) float widened[WTE__GEMM_NR * PIECE];
    _Alignas(64) int32_t sums[I8_ROWS * I8_OUTPUTS];
    float *columns; /* [widest, WTE__ONEDNN_COLUMNS] of panels as oneDNN takes them, or NULL */
};

static size_t round_up(size_t n, size_t step)
{
    return (n + step - 1) / step * step;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

wte_status wte__scratch_new(wte__scratch *s, size_t max_rows, size_t widest, unsigned n_workers,
                            bool rounded, wte_error *err)
{
    /* of oneDNN, whose rows come in groups that are filled up */
    const size_t n_groups = (max_rows + WTE__ONEDNN_ROWS - 1) / WTE__ONEDNN_ROWS;
    const unsigned types = wte__onednn_types() & ~(rounded ? 0u : 1u << WTE__WEIGHT_BF16);
    const size_t n_more = types ? n_groups * WTE__ONEDNN_STEP : 0;
    const size_t n_codes = max_rows + (size_t)n_workers * WTE__FEW_ROWS;

    *s = (wte__scratch){.max_rows = max_rows};
    if (max_rows > PTRDIFF_MAX / 8 || widest > PTRDIFF_MAX / 8) /* no sum below overflows */
        goto nomem;
    s->packed_x =
        wte__alloc_aligned(round_up(max_rows + n_more, WTE__GEMM_MR), widest * sizeof(float));
    s->codes = wte__alloc_aligned(n_codes, round_up(widest, WTE__QUERY_PAD));
    s->scales = wte__calloc(n_codes, sizeof *s->scales);
    s->own = wte__calloc(n_workers, sizeof(struct wte__product_own *));
    if (!s->packed_x || !s->codes || !s->scales || !s->own)
        goto nomem;
    for (unsigned i = 0; i < n_workers; i++) {
        if (!(s->own[i] = wte__alloc_aligned(1, sizeof *s->own[i])))
            goto nomem;
        s->own[i]->n_products = 0;
        atomic_init(&s->own[i]->taken, 0);
        s->own[i]->columns =
            types ? wte__alloc_aligned(widest, WTE__ONEDNN_COLUMNS * sizeof(float)) : NULL;
        if (types && !s->own[i]->columns)
            goto nomem;
    }
    s->onednn_types = types;
    if (types && !(s->onednn = wte__onednn_new(n_workers)))
        goto nomem;
    return WTE_OK;
nomem:
    wte__scratch_free(s, n_workers);
    return wte__fail(err, WTE_E_NOMEM, "no memory to multiply %zu rows of %zu", max_rows, widest);
}

void wte__scratch_free(wte__scratch *s, unsigned n_workers)
{
    for (unsigned i = 0; s->own && i < n_workers; i++) {
        if (s->own[i])
            wte__free(s->own[i]->columns);
        wte__free(s->own[i]);
    }
    wte__onednn_free(s->onednn);
    wte__free(s->own);
    wte__free(s->scales);
    wte__free(s->codes);
    wte__free(s->packed_x);
    *s = (wte__scratch){0};
}

/* Where element [row, column] of a stored matrix lies, [panel, number] of one in panels; at any
 * alignment. */
static const void *element(const wte__linear *l, size_t row, size_t column)
{
    size_t size = l->type == WTE__WEIGHT_F32 ? 4 : l->type == WTE__WEIGHT_INT8 ? 1 : 2;

    return (const unsigned char *)l->weight + (row * l->stride + column) * size;
}

/* What follows the sums: n columns of one row, from `column` on. */
static void finish(const wte__product *p, size_t row, size_t column, size_t n, float *sums)
{
    const wte__kernels *k = wte__kernel();
    float *y = p->y + row * p->ldy + column;

    if (p->linear->bias)
        for (size_t j = 0; j < n; j++)
            sums[j] += p->linear->bias[column + j];
    switch (p->activation) {
    case WTE__ACTIVATION_NONE:
        break;
    case WTE__ACTIVATION_GELU_TANH:
        k->gelu_tanh(sums, n);
        break;
    case WTE__ACTIVATION_GELU_ERF:
        k->gelu_erf(sums, n);
        break;
    case WTE__ACTIVATION_RELU:
        for (size_t j = 0; j < n; j++)
            sums[j] = sums[j] < 0 ? 0 : sums[j]; /* NaN stays */
        break;
    case WTE__ACTIVATION_TANH:
        k->tanh_f32(sums, n);
        break;
    }
    if (p->residual) {
        const float *residual = p->residual + row * p->ldy + column;

        for (size_t j = 0; j < n; j++)
            y[j] = sums[j] + residual[j];
    } else {
        memcpy(y, sums, n * sizeof *y);
    }
}

/* ---- blocks ------------------------------------------------------------------------------ */

/* Each worker has a run of blocks, which it takes in order, so that memory is read in order and what
 * is asked for ahead is its own; then it helps others with theirs. Which product it is stands beside
 * what was taken, so that nobody has to wait for the others to begin. */
typedef struct turn {
    const wte__scratch *scratch;
    size_t n_blocks;
    unsigned n_workers, worker;
    unsigned n_done; /* runs that are known to be taken, from the worker's own on */
} turn;

static turn begin_blocks(const wte__scratch *s, wte__team *team, unsigned worker, size_t n_blocks)
{
    s->own[worker]->n_products++;
    return (turn){s, n_blocks, wte__team_size(team), worker, 0};
}

/* False: all blocks are taken. */
static bool next_block(turn *t, size_t *block)
{
    const uint32_t product = t->scratch->own[t->worker]->n_products;

    for (; t->n_done < t->n_workers; t->n_done++) {
        const unsigned of = (t->worker + t->n_done) % t->n_workers;
        const size_t first = t->n_blocks * of / t->n_workers;
        const size_t n = t->n_blocks * (of + 1) / t->n_workers - first;
        _Atomic uint64_t *taken = &t->scratch->own[of]->taken;
        uint64_t known = atomic_load_explicit(taken, memory_order_relaxed);

        for (;;) {
            const uint32_t i = known >> 32 == product ? (uint32_t)known : 0;

            if (i >= n)
                break;
            if (atomic_compare_exchange_weak_explicit(taken, &known,
                                                      (uint64_t)product << 32 | (i + 1),
                                                      memory_order_relaxed, memory_order_relaxed)) {
                *block = first + i;
                return true;
            }
        }
    }
    return false;
}

/* ---- few rows ---------------------------------------------------------------------------- */

/* Sums of n columns from `column` on: [n_rows, ld]. */
static void few_sums(const wte__product *p, size_t column, size_t n, float *sums, size_t ld)
{
    const wte__kernels *k = wte__kernel();
    const wte__linear *l = p->linear;
    const void *w = l->orientation == WTE__IN_OUT ? element(l, 0, column) : element(l, column, 0);

    if (l->orientation == WTE__PANELS) {
        k->few_panels_bf16(element(l, column / WTE__PANEL, 0), l->n_in,
                           (n + WTE__PANEL - 1) / WTE__PANEL, p->x, p->ldx, p->n_rows, sums, ld);
        return;
    }
    if (l->orientation == WTE__IN_OUT)
        memset(sums, 0, p->n_rows * ld * sizeof *sums);
    if (l->orientation == WTE__IN_OUT && l->type == WTE__WEIGHT_F32)
        k->few_in_out_f32(w, l->stride, l->n_in, n, p->x, p->ldx, p->n_rows, sums, ld);
    else if (l->orientation == WTE__IN_OUT && l->type == WTE__WEIGHT_F16)
        k->few_in_out_f16(w, l->stride, l->n_in, n, p->x, p->ldx, p->n_rows, sums, ld);
    else if (l->orientation == WTE__IN_OUT)
        k->few_in_out_bf16(w, l->stride, l->n_in, n, p->x, p->ldx, p->n_rows, sums, ld);
    else if (l->type == WTE__WEIGHT_F32)
        k->few_out_in_f32(w, l->stride, n, l->n_in, p->x, p->ldx, p->n_rows, sums, ld);
    else if (l->type == WTE__WEIGHT_F16)
        k->few_out_in_f16(w, l->stride, n, l->n_in, p->x, p->ldx, p->n_rows, sums, ld);
    else
        k->few_out_in_bf16(w, l->stride, n, l->n_in, p->x, p->ldx, p->n_rows, sums, ld);
}

/* Columns of a block: of [in, out], whose rows are read in pieces, as many as leave FEW_BYTES of
 * each, with the same number of blocks of the same width for each worker. */
static size_t few_columns(const wte__linear *l, unsigned n_workers)
{
    const size_t size = l->type == WTE__WEIGHT_F32 ? sizeof(float) : sizeof(uint16_t);
    size_t each = (l->n_out + n_workers - 1) / n_workers;
    size_t n = smaller(each * size / FEW_BYTES, FEW_BLOCKS);

    if (l->orientation != WTE__IN_OUT)
        return FEW_OUTPUTS;
    while (n > 1 && l->n_out % (n_workers * n * COLUMNS) != 0)
        n--;
    if (n > 1)
        each /= n;
    return smaller(round_up(each, WTE__GEMM_NR), FEW_COLUMNS / COLUMNS * COLUMNS);
}

static void few(const wte__product *p, const wte__scratch *s, wte__team *team, unsigned worker)
{
    const size_t n_out = p->linear->n_out, width = few_columns(p->linear, wte__team_size(team));
    turn t = begin_blocks(s, team, worker, (n_out + width - 1) / width);
    float *sums = s->own[worker]->tile;

    for (size_t block; next_block(&t, &block);) {
        const size_t at = block * width, n = smaller(n_out - at, width);

        few_sums(p, at, n, sums, width);
        for (size_t r = 0; r < p->n_rows; r++)
            finish(p, r, at, n, sums + r * width);
    }
}

/* ---- many rows --------------------------------------------------------------------------- */

/* Interleave rows of x into a strip [n_in, MR]; rows that are missing are 0. */
static void pack_strip(const wte__product *p, size_t strip, float *out)
{
    const size_t n_in = p->linear->n_in, first = strip * WTE__GEMM_MR;
    const size_t n = smaller(p->n_rows - first, WTE__GEMM_MR);
    const float *x = p->x + first * p->ldx;

    for (size_t r = 0; r < WTE__GEMM_MR; r++)
        for (size_t i = 0; i < n_in; i++)
            out[i * WTE__GEMM_MR + r] = r < n ? x[r * p->ldx + i] : 0;
}

static void widen(const wte__linear *l, const void *w, size_t n, float *out)
{
    const wte__kernels *k = wte__kernel();

    if (l->type == WTE__WEIGHT_F32)
        memcpy(out, w, n * sizeof *out);
    else if (l->type == WTE__WEIGHT_F16)
        k->f16_to_f32(w, out, n);
    else
        k->bf16_to_f32(w, out, n);
}

/* Pack rows i..i+n_i of W [in, out], n columns from `column` on, into panels [n_i, NR]. */
static void pack_in_out(const wte__linear *l, size_t i, size_t n_i, size_t column, size_t n,
                        float *panels)
{
    const bool direct = l->type == WTE__WEIGHT_F32 && n % WTE__GEMM_NR == 0;
    float row[COLUMNS + WTE__GEMM_NR] = {0};

    for (size_t r = 0; r < n_i; r++) {
        const void *w = element(l, i + r, column);
        const float *from = direct ? w : row; /* read by memcpy only: at any alignment */

        if (!direct)
            widen(l, w, n, row);
        for (size_t j = 0; j < n; j += WTE__GEMM_NR)
            memcpy(panels + j * n_i + r * WTE__GEMM_NR, from + j, WTE__GEMM_NR * sizeof *row);
    }
}

/* The same of panels, which only have to be widened. */
static void pack_panels(const wte__linear *l, size_t i, size_t n_i, size_t column, size_t n,
                        float *panels)
{
    for (size_t j = 0; j < n; j += WTE__PANEL)
        widen(l, element(l, (column + j) / WTE__PANEL, i * WTE__PANEL), n_i * WTE__PANEL,
              panels + j * n_i);
}

/* The same of W [out, in]. */
static void pack_out_in(const wte__linear *l, size_t i, size_t n_i, size_t column, size_t n,
                        float *widened, float *panels)
{
    for (size_t j = 0; j < n; j += WTE__GEMM_NR, panels += WTE__GEMM_NR * n_i) {
        const size_t n_j = smaller(n - j, WTE__GEMM_NR);

        for (size_t c = 0; c < n_j; c++)
            widen(l, element(l, column + j + c, i), n_i, widened + c * PIECE);
        memset(widened + n_j * PIECE, 0, (WTE__GEMM_NR - n_j) * PIECE * sizeof *widened);
        for (size_t r = 0; r < n_i; r++)
            for (size_t c = 0; c < WTE__GEMM_NR; c++)
                panels[r * WTE__GEMM_NR + c] = widened[c * PIECE + r];
    }
}

/* What is packed at a time: n_i of n_in from i on, n columns from `column` on. */
typedef struct piece {
    size_t i, n_i, column, n;
} piece;

/* Nothing where the column is none of W. */
static piece piece_at(const wte__linear *l, size_t i, size_t depth, size_t column)
{
    if (column >= l->n_out)
        return (piece){0, 0, 0, 0};
    return (piece){i, smaller(l->n_in - i, depth), column, smaller(l->n_out - column, COLUMNS)};
}

/* Runs of numbers that a piece of W is stored as. Those of panels are cut into as many as there are
 * rows. */
static size_t runs(const wte__linear *l, const piece *w)
{
    return l->orientation == WTE__OUT_IN ? w->n : w->n_i;
}

/* Ask for one run: each lies in another page, where the processor does not look ahead by itself.
 * Inlined by all means: of a function that does nothing else gcc thinks that it does nothing at
 * all, and drops the calls. */
static inline __attribute__((always_inline)) void prefetch_run(const wte__linear *l, const piece *w,
                                                               size_t run)
{
    const bool in_out = l->orientation == WTE__IN_OUT;
    const unsigned char *from, *end;

    if (run >= runs(l, w))
        return;
    if (l->orientation == WTE__PANELS) {
        for (size_t j = 0; j < w->n; j += WTE__PANEL)
            __builtin_prefetch(element(l, (w->column + j) / WTE__PANEL, (w->i + run) * WTE__PANEL),
                               0, 2);
        return;
    }
    from = in_out ? element(l, w->i + run, w->column) : element(l, w->column + run, w->i);
    end = from + ((const unsigned char *)element(l, 0, in_out ? w->n : w->n_i) -
                  (const unsigned char *)element(l, 0, 0));
    for (; from < end; from += CACHE_LINE)
        __builtin_prefetch(from, 0, 2);
}

/* Multiply the strips of a group with a piece of W that is packed, and meanwhile have the next one
 * brought into the second-level cache. */
static void multiply(const wte__product *p, const float *x, size_t n_strips, const piece *w,
                     const piece *next, struct wte__product_own *own)
{
    const wte__kernels *k = wte__kernel();
    const size_t n_steps = n_strips * ((w->n + WTE__GEMM_NR - 1) / WTE__GEMM_NR);
    const size_t each = (runs(p->linear, next) + n_steps - 1) / n_steps;
    size_t run = 0;

    for (size_t strip = 0; strip < n_strips; strip++) {
        const float *a = x + strip * WTE__GEMM_MR * p->linear->n_in;
        float *tile = own->tile + strip * WTE__GEMM_MR * COLUMNS;

        for (size_t j = 0; j < w->n; j += WTE__GEMM_NR) {
            for (size_t end = run + each; run < end; run++)
                prefetch_run(p->linear, next, run);
            (w->i == 0 ? k->gemm_tile : k->gemm_tile_add)(a, own->panels + j * w->n_i, w->n_i,
                                                          tile + j, COLUMNS);
        }
    }
}

/* A block of columns for a group of strips; `next`: the column where the worker probably goes on.
 */
static void block(const wte__product *p, const wte__scratch *s, size_t strip, size_t n_strips,
                  size_t column, size_t next, struct wte__product_own *own)
{
    const wte__linear *l = p->linear;
    const size_t n_pieces = (l->n_in + PIECE - 1) / PIECE;
    const size_t depth = n_pieces ? (l->n_in + n_pieces - 1) / n_pieces : 0;
    const size_t first = strip * WTE__GEMM_MR, n = smaller(l->n_out - column, COLUMNS);
    const size_t n_rows = smaller(p->n_rows - first, n_strips * WTE__GEMM_MR);

    if (l->n_in == 0)
        memset(own->tile, 0, sizeof own->tile);
    for (size_t i = 0; i < l->n_in; i += depth) {
        const piece w = piece_at(l, i, depth, column);
        const piece after = i + depth < l->n_in ? piece_at(l, i + depth, depth, column)
                                                : piece_at(l, 0, depth, next);

        if (l->orientation == WTE__IN_OUT)
            pack_in_out(l, i, w.n_i, column, n, own->panels);
        else if (l->orientation == WTE__PANELS)
            pack_panels(l, i, w.n_i, column, n, own->panels);
        else
            pack_out_in(l, i, w.n_i, column, n, own->widened, own->panels);
        multiply(p, s->packed_x + first * l->n_in + i * WTE__GEMM_MR, n_strips, &w, &after, own);
    }
    for (size_t r = 0; r < n_rows; r++)
        finish(p, first + r, column, n, own->tile + r * COLUMNS);
}

static void many(const wte__product *p, const wte__scratch *s, wte__team *team, unsigned worker)
{
    const size_t n_out = p->linear->n_out;
    const size_t n_strips = (p->n_rows + WTE__GEMM_MR - 1) / WTE__GEMM_MR;
    const size_t n_groups = (n_strips + GROUP - 1) / GROUP;
    const size_t group = (n_strips + n_groups - 1) / n_groups;
    const size_t n_blocks = (n_out + COLUMNS - 1) / COLUMNS;

    for (size_t strip; (strip = wte__team_claim(team)) < n_strips;)
        pack_strip(p, strip, s->packed_x + strip * WTE__GEMM_MR * p->linear->n_in);
    wte__team_barrier(team);
    for (size_t at; (at = wte__team_claim(team)) < n_blocks * n_groups;) {
        const size_t column = at / n_groups * COLUMNS, strip = at % n_groups * group;
        const size_t next = (at + wte__team_size(team)) / n_groups * COLUMNS;

        block(p, s, strip, smaller(n_strips - strip, group), column, next, s->own[worker]);
    }
}

/* ---- many rows by oneDNN ------------------------------------------------------------------- */

_Static_assert((int)WTE__ONEDNN_ROWS *WTE__ONEDNN_COLUMNS <= TILE, "a block fits the tile");

/* Whether a product is for oneDNN, which wants its numbers aligned. */
static bool is_for_onednn(const wte__product *p, const wte__scratch *s)
{
    const wte__linear *l = p->linear;
    const size_t size = l->type == WTE__WEIGHT_BF16 ? sizeof(uint16_t) : sizeof(float);

    return (s->onednn_types >> l->type & 1) && p->n_rows > WTE__FEW_ROWS && l->n_in > 0 &&
           (uintptr_t)l->weight % size == 0;
}

/* Give row r as oneDNN takes it: in the type of the weights, or zeros behind the last. */
static void give_row(const wte__product *p, size_t r, unsigned char *out)
{
    const size_t n = p->linear->n_in;
    const float *x = p->x + r * p->ldx;
    const bool halves = p->linear->type == WTE__WEIGHT_BF16;

    if (r >= p->n_rows)
        memset(out, 0, n * (halves ? sizeof(uint16_t) : sizeof *x));
    else if (halves)
        wte__kernel()->f32_to_bf16(x, (uint16_t *)out, n);
    else
        memcpy(out, x, n * sizeof *x);
}

/* What oneDNN is told of a matrix: of panels, that a block of columns lies by rows. */
static wte__linear for_onednn(const wte__linear *l)
{
    wte__linear told = *l;

    if (l->orientation == WTE__PANELS) {
        told.orientation = WTE__IN_OUT;
        told.stride = WTE__ONEDNN_COLUMNS;
    }
    return told;
}

/* Copy n columns of panels so. */
static void unfold_panels(const wte__linear *l, size_t column, size_t n, void *out)
{
    const size_t size = l->type == WTE__WEIGHT_BF16 ? sizeof(uint16_t) : sizeof(float);

    for (size_t j = 0; j < n; j += WTE__PANEL) {
        const unsigned char *from = element(l, (column + j) / WTE__PANEL, 0);
        unsigned char *to = (unsigned char *)out + j * size;

        for (size_t i = 0; i < l->n_in; i++)
            memcpy(to + i * WTE__ONEDNN_COLUMNS * size, from + i * WTE__PANEL * size,
                   WTE__PANEL * size);
    }
}

/* A block of columns of one group of rows. */
static void block_onednn(const wte__product *p, const wte__scratch *s, const void *x, size_t first,
                         size_t group, size_t column, unsigned worker)
{
    const size_t n_rows = smaller(p->n_rows - first, group);
    const size_t n = smaller(p->linear->n_out - column, WTE__ONEDNN_COLUMNS);
    float *sums = s->own[worker]->tile;
    wte__linear told = for_onednn(p->linear);
    size_t at = column;

    if (p->linear->orientation == WTE__PANELS) { /* the block alone */
        unfold_panels(p->linear, column, n, s->own[worker]->columns);
        told.weight = s->own[worker]->columns;
        told.n_out = n;
        at = 0;
    }
    if (!wte__onednn_multiply(s->onednn, worker, &told, x, at, sums))
        for (size_t i = 0; i < n_rows * n; i++)
            sums[i] = NAN; /* a pass that has one fails */
    for (size_t r = 0; r < n_rows; r++)
        finish(p, first + r, column, n, sums + r * n);
}

/* False: oneDNN cannot be used, and nothing was done. */
static bool many_onednn(const wte__product *p, const wte__scratch *s, wte__team *team,
                        unsigned worker)
{
    const wte__linear *l = p->linear;
    const size_t row = l->n_in * (l->type == WTE__WEIGHT_BF16 ? sizeof(uint16_t) : sizeof(float));
    const size_t n_groups = (p->n_rows + WTE__ONEDNN_ROWS - 1) / WTE__ONEDNN_ROWS;
    const size_t group = round_up((p->n_rows + n_groups - 1) / n_groups, WTE__ONEDNN_STEP);
    const size_t n_blocks = (l->n_out + WTE__ONEDNN_COLUMNS - 1) / WTE__ONEDNN_COLUMNS;
    unsigned char *x = (unsigned char *)s->packed_x;
    int threads;

    if (worker == 0) {
        const wte__linear told = for_onednn(l);

        wte__onednn_prepare(s->onednn, &told, group);
    }
    for (size_t r; (r = wte__team_claim(team)) < n_groups * group;)
        give_row(p, r, x + r * row);
    wte__team_barrier(team);
    if (!wte__onednn_ready(s->onednn))
        return false;
    threads = wte__onednn_begin();
    for (size_t at; (at = wte__team_claim(team)) < n_blocks * n_groups;) {
        const size_t first = at % n_groups * group;

        block_onednn(p, s, x + first * row, first, group, at / n_groups * WTE__ONEDNN_COLUMNS,
                     worker);
    }
    wte__onednn_end(threads);
    return true;
}

/* ---- 8 bits ------------------------------------------------------------------------------ */

/* Quantise a row. What is not finite makes the whole row NaN; a row whose largest number is too
 * small for 127 / it to be finite counts as zeros. */
static float quantize(const float *x, size_t n, int8_t *codes)
{
    const wte__kernels *k = wte__kernel();
    const float largest = k->maxabs_f32(x, n), inverse = 127 / largest;

    memset(codes + n, 0, round_up(n, WTE__QUERY_PAD) - n);
    if (isfinite(largest) && isfinite(inverse)) {
        k->quantize_i8(x, n, inverse, codes);
        return largest / 127;
    }
    memset(codes, 0, n);
    return isfinite(largest) ? 0 : NAN;
}

/* A block of outputs of all rows. */
static void block_i8(const wte__product *p, const int8_t *codes, const float *scales, size_t at,
                     size_t n, struct wte__product_own *own)
{
    const wte__kernels *k = wte__kernel();
    const wte__linear *l = p->linear;
    const size_t width = round_up(l->n_in, WTE__QUERY_PAD);
    const int8_t *w = element(l, at, 0);

    for (size_t row = 0; row < p->n_rows; row += I8_ROWS) {
        const size_t n_rows = smaller(p->n_rows - row, I8_ROWS);
        const int8_t *x = codes + row * width;

        if (n_rows == 1)
            k->dot_i8_rows(w, l->stride, n, x, l->n_in, own->sums);
        else
            k->many_i8(w, l->stride, n, x, width, n_rows, l->n_in, own->sums, I8_OUTPUTS);
        for (size_t r = 0; r < n_rows; r++) {
            for (size_t j = 0; j < n; j++)
                own->tile[j] =
                    (float)own->sums[r * I8_OUTPUTS + j] * scales[row + r] * l->scales[at + j];
            finish(p, row + r, at, n, own->tile);
        }
    }
}

static void int8(const wte__product *p, const wte__scratch *s, wte__team *team, unsigned worker)
{
    const wte__linear *l = p->linear;
    const size_t width = round_up(l->n_in, WTE__QUERY_PAD);
    const bool alone = p->n_rows <= WTE__FEW_ROWS; /* quantising costs less than a barrier */
    const size_t at = alone ? s->max_rows + (size_t)worker * WTE__FEW_ROWS : 0;
    int8_t *codes = s->codes + at * width;
    float *scales = s->scales + at;
    turn t;

    for (size_t r = 0; (r = alone ? r : wte__team_claim(team)) < p->n_rows; r++)
        scales[r] = quantize(p->x + r * p->ldx, l->n_in, codes + r * width);
    if (!alone)
        wte__team_barrier(team);
    t = begin_blocks(s, team, worker, (l->n_out + I8_OUTPUTS - 1) / I8_OUTPUTS);
    for (size_t block; next_block(&t, &block);) {
        const size_t j = block * I8_OUTPUTS;

        block_i8(p, codes, scales, j, smaller(l->n_out - j, I8_OUTPUTS), s->own[worker]);
    }
}

void wte__product_run(const wte__product *p, const wte__scratch *s, wte__team *team,
                      unsigned worker)
{
    assert(p->n_rows <= s->max_rows);
    if (p->linear->type == WTE__WEIGHT_INT8)
        int8(p, s, team, worker);
    else if (is_for_onednn(p, s) && many_onednn(p, s, team, worker))
        ;
    else if (p->n_rows <= STREAM_ROWS)
        few(p, s, team, worker);
    else
        many(p, s, team, worker);
    wte__team_barrier(team);
}
