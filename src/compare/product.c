/* SPDX-License-Identifier: MIT */
/* product.c - a matrix product that hands out its rows in stripes
 *
 * The right factor is packed once, the left one as it is needed. Both are cut along the vectors
 * into chunks of DEPTH numbers:
 *
 *     b  [chunk][panel of 8 or 16 vectors][number of the chunk][vector of the panel]
 *     a  [panel of 6 vectors][number of the chunk][vector of the panel], a stripe's, one chunk
 *
 * A panel of b's chunk (16 KB) stays in the first-level cache while it meets all panels of the
 * stripe, whose chunk stays in the second level. In float64 the tile adds to the stripe's products;
 * in float32 a tile's chunk is computed apart and added to them in float64, so that no chain of
 * float32 sums is longer than DEPTH. Missing vectors of a last panel are 0. */
#include "compare/product.h"
#include "kernel/kernel.h"

enum { DEPTH = 256, MR = WTE__GEMM_MR, A_PANELS = WTE__STRIPE / MR };

static size_t width(bool single)
{
    return single ? WTE__GEMM_NR : WTE__GEMM_NR_F64;
}

static size_t panels(const wte__packed *b)
{
    return (b->n + width(b->single) - 1) / width(b->single);
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static double number(const wte__view *v, size_t i, size_t t)
{
    const size_t at = i * v->vector + t * v->step;

    return (v->f64 ? v->f64[at] : (double)v->f32[at]) - (v->shift ? v->shift[i] : 0);
}

/* Columns of a float32 matrix as vectors, whose numbers lie together: the common large case. The
 * shift is taken away in two float32 steps, which round no more than one of float64 would. */
static inline void pack_columns(const wte__view *v, size_t first, size_t size, size_t begin,
                                size_t depth, float *out)
{
    float high[WTE__GEMM_NR] = {0}, low[WTE__GEMM_NR] = {0};

    for (size_t r = 0; r < size && v->shift; r++) {
        high[r] = (float)v->shift[first + r];
        low[r] = (float)(v->shift[first + r] - (double)high[r]);
    }
    for (size_t t = 0; t < depth; t++) {
        const float *x = v->f32 + (begin + t) * v->step + first;

        for (size_t r = 0; r < size; r++)
            out[t * size + r] = (x[r] - high[r]) - low[r];
    }
}

/* Interleave `size` vectors from `first` on, `depth` numbers from `begin` on. */
static void pack_panel(const wte__view *v, size_t first, size_t size, size_t begin, size_t depth,
                       bool single, void *out)
{
    const size_t there = first < v->n ? min_size(size, v->n - first) : 0;
    double *wide = out;
    float *narrow = out;

    if (single && v->f32 && v->vector == 1 && there == size) {
        if (size == MR)
            pack_columns(v, first, MR, begin, depth, narrow);
        else
            pack_columns(v, first, WTE__GEMM_NR, begin, depth, narrow);
        return;
    }
    for (size_t t = 0; t < depth; t++)
        for (size_t r = 0; r < size; r++) {
            double x = r < there ? number(v, first + r, begin + t) : 0;

            if (single)
                narrow[t * size + r] = (float)x;
            else
                wide[t * size + r] = x;
        }
}

static size_t element(bool single)
{
    return single ? sizeof(float) : sizeof(double);
}

/* ---- the right factor --------------------------------------------------------------------- */

typedef struct packing {
    const wte__view *view;
    wte__packed *out;
} packing;

static unsigned char *panel_of(const wte__packed *b, size_t begin, size_t depth, size_t panel)
{
    const size_t padded = panels(b) * width(b->single);

    return (unsigned char *)b->data +
           (begin * padded + panel * depth * width(b->single)) * element(b->single);
}

static void pack_chunk(void *ctx, size_t block, unsigned worker)
{
    const packing *p = ctx;
    const size_t begin = block * DEPTH, depth = min_size(DEPTH, p->view->k - begin);
    const size_t size = width(p->out->single);

    (void)worker;
    for (size_t panel = 0; panel < panels(p->out); panel++)
        pack_panel(p->view, panel * size, size, begin, depth, p->out->single,
                   panel_of(p->out, begin, depth, panel));
}

wte_status wte__pack_b(const wte__view *view, bool single, unsigned n_threads, wte__packed *out,
                       wte_error *err)
{
    wte__packed packed = {NULL, view->n, view->k, single};
    packing p = {view, &packed};
    const size_t n_chunks = (view->k + DEPTH - 1) / DEPTH;
    size_t size = 0;

    if (!wte__mul_overflows(panels(&packed) * width(single), view->k, &size))
        packed.data = wte__alloc_aligned(size ? size : 1, element(single));
    if (!packed.data)
        return wte__fail(err, WTE_E_NOMEM, "no memory to multiply %zu vectors of %zu numbers",
                         view->n, view->k);
    wte__parallel(n_chunks, wte__threads(n_threads, n_chunks), pack_chunk, &p);
    *out = packed;
    return WTE_OK;
}

void wte__packed_free(wte__packed *packed)
{
    wte__free(packed->data);
    packed->data = NULL;
}

/* ---- products ----------------------------------------------------------------------------- */

typedef struct multiplication {
    const wte__view *a;
    const wte__packed *b;
    bool upper;
    wte__progress *progress;
    wte__stripe_fn fn;
    void *ctx;
    unsigned char *chunks; /* [n_threads] a stripe's chunk of a */
    double *stripes;       /* [n_threads, WTE__STRIPE, ldc] */
    size_t ldc;
} multiplication;

static size_t chunk_bytes(bool single)
{
    return WTE__STRIPE * DEPTH * element(single);
}

static void add_single(const float *a, const float *b, size_t depth, double *c, size_t ldc)
{
    float tile[MR * WTE__GEMM_NR];

    wte__kernel()->gemm_tile(a, b, depth, tile, WTE__GEMM_NR);
    for (size_t r = 0; r < MR; r++)
        for (size_t j = 0; j < WTE__GEMM_NR; j++)
            c[r * ldc + j] += (double)tile[r * WTE__GEMM_NR + j];
}

static void multiply_stripe(void *ctx, size_t stripe, unsigned worker)
{
    const multiplication *m = ctx;
    const bool single = m->b->single;
    const size_t first = stripe * WTE__STRIPE, end = min_size(first + WTE__STRIPE, m->a->n);
    const size_t n_a = (end - first + MR - 1) / MR, nr = width(single), n_b = panels(m->b);
    unsigned char *chunk = m->chunks + worker * chunk_bytes(single);
    double *c = m->stripes + worker * WTE__STRIPE * m->ldc;

    if (m->progress && wte__progress_add(m->progress, 1, worker))
        return;
    memset(c, 0, WTE__STRIPE * m->ldc * sizeof *c);
    for (size_t begin = 0; begin < m->a->k; begin += DEPTH) {
        const size_t depth = min_size(DEPTH, m->a->k - begin), panel_a = MR * depth;

        for (size_t i = 0; i < n_a; i++)
            pack_panel(m->a, first + i * MR, MR, begin, depth, single,
                       chunk + i * panel_a * element(single));
        for (size_t j = m->upper ? first / nr : 0; j < n_b; j++)
            for (size_t i = 0; i < n_a; i++) {
                const void *x = chunk + i * panel_a * element(single);
                const void *y = panel_of(m->b, begin, depth, j);
                double *at = c + i * MR * m->ldc + j * nr;

                if (single)
                    add_single(x, y, depth, at, m->ldc);
                else
                    wte__kernel()->gemm_tile_f64(x, y, depth, at, m->ldc);
            }
    }
    m->fn(m->ctx, first, end, c, m->ldc);
}

wte_status wte__products(const wte__view *a, const wte__packed *b, bool upper, unsigned n_threads,
                         wte__progress *progress, wte__stripe_fn fn, void *ctx, wte_error *err)
{
    const size_t n_stripes = (a->n + WTE__STRIPE - 1) / WTE__STRIPE;
    const unsigned threads = wte__threads(n_threads, n_stripes);
    multiplication m = {a, b, upper, progress, fn, ctx, NULL, NULL, panels(b) * width(b->single)};
    wte_status status = WTE_OK;

    m.chunks = wte__alloc_aligned(threads, chunk_bytes(b->single));
    m.stripes = wte__alloc_aligned(threads * WTE__STRIPE, m.ldc * sizeof *m.stripes);
    if (!m.chunks || !m.stripes) {
        status =
            wte__fail(err, WTE_E_NOMEM, "no memory to multiply %zu with %zu vectors", a->n, b->n);
        goto done;
    }
    wte__parallel(n_stripes, threads, multiply_stripe, &m);
    if (progress && wte__progress_add(progress, 0, 0))
        status = wte__fail(err, WTE_E_CANCELLED, "cancelled");
done:
    wte__free(m.stripes);
    wte__free(m.chunks);
    return status;
}

typedef struct collected {
    double *out;
    size_t n;
} collected;

static void collect(void *ctx, size_t begin, size_t end, const double *c, size_t ldc)
{
    const collected *to = ctx;

    for (size_t i = begin; i < end; i++)
        memcpy(to->out + i * to->n, c + (i - begin) * ldc, to->n * sizeof *c);
}

wte_status wte__multiply(const wte__view *a, const wte__view *b, unsigned n_threads, double *out,
                         wte_error *err)
{
    collected to = {out, b->n};
    wte__packed packed;
    wte_status status = wte__pack_b(b, false, n_threads, &packed, err);

    if (status != WTE_OK)
        return status;
    status = wte__products(a, &packed, false, n_threads, NULL, collect, &to, err);
    wte__packed_free(&packed);
    return status;
}
