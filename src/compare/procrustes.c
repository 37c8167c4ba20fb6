/* SPDX-License-Identifier: MIT */
/* procrustes.c - the rotation that brings two spaces together, and what is left between them
 *
 * Columns are centred and matrices scaled to Frobenius norm 1. The orthogonal Q that brings AQ
 * nearest to B (Schoenemann 1966) comes from the singular values of A'B, and all three results from
 * their sum, the nuclear norm: |AQ - B|^2 = 2 - 2 |A'B|_*. Columns of zeros, which would pad the
 * narrower side, change no singular value. Where there are fewer items than columns a side is first
 * turned into its principal axes, at most as many as items; a rotation, which changes nothing
 * either.
 *
 * Everything is of float64: near 1 the nuclear norm's rounding errors come out of the distance as
 * their square root. */
#include <math.h>
#include "compare/product.h"
#include "compare/rdm.h"
#include "space/lapack.h"

/* Centred, of norm 1, in at most n columns. */
typedef struct side {
    double *data; /* [n, dim] */
    size_t dim;
} side;

static void scale(double *x, size_t n)
{
    double squares = 0, length;

    for (size_t i = 0; i < n; i++)
        squares += x[i] * x[i];
    length = sqrt(squares);
    for (size_t i = 0; i < n; i++)
        x[i] /= length;
}

/* Coordinates on the principal axes. */
static wte_status turn(side *s, size_t n, wte_error *err)
{
    double *values = wte__calloc(n, sizeof *values), *left = wte__calloc(n, n * sizeof *left);
    wte_status status;

    if (!values || !left) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory to turn %zu items", n);
        goto done;
    }
    status = wte__singular(s->data, n, s->dim, values, left, err);
    if (status != WTE_OK)
        goto done;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            left[i * n + j] *= values[j];
    wte__free(s->data);
    s->data = left;
    s->dim = n;
    left = NULL;
done:
    wte__free(left);
    wte__free(values);
    return status;
}

static wte_status prepare(const wte_items *items, side *s, wte_error *err)
{
    wte_status status = wte__check_varied(items, err);

    if (status != WTE_OK)
        return status;
    s->data = wte__centred(items);
    s->dim = items->dim;
    if (!s->data)
        return wte__fail(err, WTE_E_NOMEM, "no memory for %zu rows of %zu numbers", items->n,
                         items->dim);
    scale(s->data, items->n * items->dim);
    return items->n < items->dim ? turn(s, items->n, err) : WTE_OK;
}

static wte_status nuclear_norm(const side *a, const side *b, size_t n, unsigned n_threads,
                               double *out, wte_error *err)
{
    const wte__view x = {a->data, NULL, NULL, a->dim, n, 1, a->dim};
    const wte__view y = {b->data, NULL, NULL, b->dim, n, 1, b->dim};
    const size_t least = a->dim < b->dim ? a->dim : b->dim;
    double *product = wte__calloc(a->dim, b->dim * sizeof *product);
    double *values = wte__calloc(least, sizeof *values);
    wte_status status = WTE_OK;

    if (!product || !values)
        status = wte__fail(err, WTE_E_NOMEM, "no memory for %zu x %zu products", a->dim, b->dim);
    if (status == WTE_OK)
        status = wte__multiply(&x, &y, n_threads, product, err);
    if (status == WTE_OK)
        status = wte__singular(product, a->dim, b->dim, values, NULL, err);
    if (status == WTE_OK) {
        double sum = 0;

        for (size_t i = 0; i < least; i++)
            sum += values[i];
        *out = sum < 1 ? sum : 1;
    }
    wte__free(values);
    wte__free(product);
    return status;
}

wte_status wte_procrustes(const wte_items *a, const wte_items *b, unsigned n_threads,
                          wte_procrustes_result *out, wte_error *err)
{
    side x = {0}, y = {0};
    double norm = 0;
    wte_status status = WTE_OK;

    if (a->n != b->n)
        return wte__fail(err, WTE_E_SHAPE, "%zu of %s and %zu of %s, the same number expected",
                         a->n, wte__items_name(a), b->n, wte__items_name(b));
    status = wte__lapack_load(err);
    if (status == WTE_OK)
        status = prepare(a, &x, err);
    if (status == WTE_OK)
        status = prepare(b, &y, err);
    if (status == WTE_OK)
        status = nuclear_norm(&x, &y, a->n, n_threads, &norm, err);
    if (status == WTE_OK)
        *out = (wte_procrustes_result){sqrt(2 - 2 * norm), 1 - norm * norm, acos(norm)};
    wte__free(y.data);
    wte__free(x.data);
    return status;
}
