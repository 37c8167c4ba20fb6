/* SPDX-License-Identifier: MIT */
/** compare/product.h - products of many vectors with many, stripe by stripe
 *
 * The products of n_a with n_b vectors of k numbers are handed out in stripes of rows, so that
 * nobody needs to hold all of them. Each product is summed in one order, whatever the number of
 * threads. */
#ifndef WTE_COMPARE_PRODUCT_H
#define WTE_COMPARE_PRODUCT_H
#include "base/base.h"

enum { WTE__STRIPE = 48 /* rows of products that are handed out at once */ };

/** n vectors of k numbers: number t of vector i is x[i * vector + t * step], less shift[i] where
 * there is a shift. One of the two sources is there. Borrowed. */
typedef struct wte__view {
    const double *f64;
    const float *f32;
    const double *shift; /* [n] or NULL */
    size_t n, k, vector, step;
} wte__view;

/** Vectors laid out for the register tiles. */
typedef struct wte__packed {
    void *data;
    size_t n, k;
    bool single;
} wte__packed;

/** Pack vectors. With `single` products are of float32, summed in float64 every 256 numbers; it is
 * twice as fast. Errors: E_NOMEM. */
wte_status wte__pack_b(const wte__view *view, bool single, unsigned n_threads, wte__packed *out,
                       wte_error *err);
void wte__packed_free(wte__packed *packed);

/** Take products (i, j) of a stripe: c[(i - begin) * ldc + j] for i in begin..end - 1 and all j;
 * with `upper` for all j >= begin. Called from several threads at once; begin / WTE__STRIPE numbers
 * the stripes. */
typedef void (*wte__stripe_fn)(void *ctx, size_t begin, size_t end, const double *c, size_t ldc);

/** Multiply a's vectors with b's.
 *   upper  a is what b was packed from, and the products below the diagonal are not wanted
 * Errors: E_NOMEM, E_CANCELLED.
 *   progress  counts stripes; or NULL */
wte_status wte__products(const wte__view *a, const wte__packed *b, bool upper, unsigned n_threads,
                         wte__progress *progress, wte__stripe_fn fn, void *ctx, wte_error *err);

/** All products of a with b, in float64: out [a->n, b->n]. Errors: E_NOMEM. */
wte_status wte__multiply(const wte__view *a, const wte__view *b, unsigned n_threads, double *out,
                         wte_error *err);
#endif
