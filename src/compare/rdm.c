/* SPDX-License-Identifier: MIT */
/* rdm.c - representational dissimilarity matrices
 *
 * All four metrics are inner products of prepared rows: of rows scaled to length 1 for the cosine,
 * centred first for the correlation, and |x|^2 + |y|^2 - 2xy for distances, with the mean of all
 * items taken away from each, which changes no distance. Products are of float64. What is close to
 * nothing beside the lengths is computed anew from the differences, so that equal rows are at
 * distance 0 and not at the root of a rounding error.
 *
 * Source: Kriegeskorte, Mur and Bandettini 2008. */
#include "compare/rdm.h"
#include <float.h>
#include <math.h>
#include "compare/product.h"

typedef struct distances {
    const double *rows;    /* [n, dim] prepared */
    const double *squares; /* [n] squared lengths, of distances */
    size_t n, dim;
    wte_rdm_metric metric;
    double *out;
} distances;

const char *wte__items_name(const wte_items *items)
{
    return items->name ? items->name : "the items";
}

static double length_of(const double *x, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

static void subtract_mean(double *x, size_t n)
{
    double mean = 0;

    for (size_t i = 0; i < n; i++)
        mean += x[i];
    mean /= (double)n;
    for (size_t i = 0; i < n; i++)
        x[i] -= mean;
}

static wte_status check_finite(const wte_items *items, wte_error *err)
{
    for (size_t i = 0; i < items->n; i++)
        for (size_t j = 0; j < items->dim; j++)
            if (!isfinite(items->data[i * items->dim + j]))
                return wte__fail(err, WTE_E_RANGE, "row %zu of %s is not finite", i,
                                 wte__items_name(items));
    return WTE_OK;
}

static wte_status check(const wte_items *items, wte_error *err)
{
    if (items->n < 2)
        return wte__fail(err, WTE_E_RANGE, "%zu of %s, at least 2 expected to compare", items->n,
                         wte__items_name(items));
    if (items->dim == 0)
        return wte__fail(err, WTE_E_SHAPE, "rows of %s have no numbers", wte__items_name(items));
    return check_finite(items, err);
}

wte_status wte__check_varied(const wte_items *items, wte_error *err)
{
    wte_status status = check(items, err);

    if (status != WTE_OK)
        return status;
    for (size_t i = 1; i < items->n; i++)
        for (size_t j = 0; j < items->dim; j++)
            if (items->data[i * items->dim + j] != items->data[j])
                return WTE_OK;
    return wte__fail(err, WTE_E_RANGE,
                     "all %zu rows of %s are the same: there is nothing to compare", items->n,
                     wte__items_name(items));
}

void wte__column_means(const wte_items *items, double *means)
{
    const size_t dim = items->dim;

    memset(means, 0, dim * sizeof *means);
    for (size_t i = 0; i < items->n; i++)
        for (size_t j = 0; j < dim; j++)
            means[j] += (double)items->data[i * dim + j];
    for (size_t j = 0; j < dim; j++)
        means[j] /= (double)items->n;
}

double *wte__centred(const wte_items *items)
{
    const size_t dim = items->dim;
    double *means = wte__calloc(dim, sizeof *means), *out = NULL;
    size_t size;

    if (means && !wte__mul_overflows(items->n, dim, &size))
        out = wte__calloc(size, sizeof *out);
    if (out) {
        wte__column_means(items, means);
        for (size_t i = 0; i < items->n; i++)
            for (size_t j = 0; j < dim; j++)
                out[i * dim + j] = (double)items->data[i * dim + j] - means[j];
    }
    wte__free(means);
    return out;
}

/* Rows of length 1, those of a correlation with their mean taken away. A row whose rest is within
 * the rounding of its float32 numbers is constant. */
static wte_status unit_rows(const wte_items *items, wte_rdm_metric metric, double *out,
                            wte_error *err)
{
    for (size_t i = 0; i < items->n; i++) {
        double *row = out + i * items->dim, before, length;

        for (size_t j = 0; j < items->dim; j++)
            row[j] = (double)items->data[i * items->dim + j];
        before = length_of(row, items->dim);
        if (metric == WTE_RDM_CORRELATION)
            subtract_mean(row, items->dim);
        length = length_of(row, items->dim);
        if (before > 0 && !(length > 1e-12 * before))
            return wte__fail(err, WTE_E_RANGE,
                             "row %zu of %s is constant: it correlates with nothing", i,
                             wte__items_name(items));
        if (!(length > 0))
            return wte__fail(err, WTE_E_RANGE, "row %zu of %s is zero: it has no direction", i,
                             wte__items_name(items));
        for (size_t j = 0; j < items->dim; j++)
            row[j] /= length;
    }
    return WTE_OK;
}

static double squared_distance(const distances *d, size_t i, size_t j, double product)
{
    const double *x = d->rows + i * d->dim, *y = d->rows + j * d->dim;
    const double lengths = d->squares[i] + d->squares[j];
    double squared = lengths - 2 * product;

    if (squared > 1e-6 * lengths)
        return squared;
    squared = 0;
    for (size_t k = 0; k < d->dim; k++)
        squared += (x[k] - y[k]) * (x[k] - y[k]);
    return squared;
}

static double distance(const distances *d, size_t i, size_t j, double product)
{
    enum { ROUNDING = 16 }; /* of a product of unit rows */

    if (d->metric == WTE_RDM_EUCLIDEAN)
        return sqrt(squared_distance(d, i, j, product));
    if (d->metric == WTE_RDM_SQEUCLIDEAN)
        return squared_distance(d, i, j, product);
    return 1 - product < ROUNDING * DBL_EPSILON ? 0 : 1 - product;
}

static void take(void *ctx, size_t begin, size_t end, const double *c, size_t ldc)
{
    const distances *d = ctx;

    for (size_t i = begin; i < end; i++)
        for (size_t j = i + 1; j < d->n; j++)
            d->out[wte__pair(d->n, i, j)] = distance(d, i, j, c[(i - begin) * ldc + j]);
}

wte_status wte_rdm(const wte_items *items, wte_rdm_metric metric, unsigned n_threads, double *out,
                   wte_error *err)
{
    const bool unit = metric == WTE_RDM_COSINE || metric == WTE_RDM_CORRELATION;
    distances d = {.n = items->n, .dim = items->dim, .metric = metric, .out = out};
    double *rows = NULL, *squares = NULL;
    wte__packed packed = {0};
    size_t size;
    wte_status status = check(items, err);

    if (status != WTE_OK)
        return status;
    if (unit) {
        rows = wte__mul_overflows(items->n, items->dim, &size) ? NULL
                                                               : wte__calloc(size, sizeof *rows);
    } else {
        rows = wte__centred(items);
    }
    squares = wte__calloc(items->n, sizeof *squares);
    if (!rows || !squares) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for %zu rows of %zu numbers", items->n,
                           items->dim);
        goto done;
    }
    if (unit) {
        status = unit_rows(items, metric, rows, err);
        if (status != WTE_OK)
            goto done;
    } else {
        for (size_t i = 0; i < items->n; i++) {
            double length = length_of(rows + i * items->dim, items->dim);

            squares[i] = length * length;
        }
    }
    d.rows = rows;
    d.squares = squares;
    const wte__view view = {rows, NULL, NULL, items->n, items->dim, items->dim, 1};

    status = wte__pack_b(&view, false, n_threads, &packed, err);
    if (status == WTE_OK)
        status = wte__products(&view, &packed, true, n_threads, NULL, take, &d, err);
done:
    wte__packed_free(&packed);
    wte__free(squares);
    wte__free(rows);
    return status;
}
