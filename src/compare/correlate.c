/* SPDX-License-Identifier: MIT */
/* correlate.c - Pearson's r of each item's two vectors
 *
 * The number says something only where the dimensions of both spaces mean the same: of two layers of
 * one model, or after an alignment. Moments are about the means, in float64. */
#include <math.h>
#include "compare/rdm.h"

/* Mean and length of what differs from it; false for a row that is constant within the rounding of
 * its own numbers. */
static bool measure(const float *x, size_t n, double *mean, double *length)
{
    double sum = 0, squares = 0, all = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i];
    *mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) {
        const double d = (double)x[i] - *mean;

        squares += d * d;
        all += (double)x[i] * (double)x[i];
    }
    *length = sqrt(squares);
    return *length > 1e-12 * sqrt(all);
}

static wte_status check_row(const wte_items *items, size_t i, double *mean, double *length,
                            wte_error *err)
{
    const bool varied = measure(items->data + i * items->dim, items->dim, mean, length);

    if (!isfinite(*mean) || !isfinite(*length))
        return wte__fail(err, WTE_E_RANGE, "row %zu of %s is not finite", i,
                         wte__items_name(items));
    return varied ? WTE_OK
                  : wte__fail(err, WTE_E_RANGE,
                              "row %zu of %s is constant: it correlates with nothing", i,
                              wte__items_name(items));
}

wte_status wte_row_correlations(const wte_items *a, const wte_items *b, double *out, wte_error *err)
{
    double mean[2], length[2];

    if (a->n != b->n)
        return wte__fail(err, WTE_E_SHAPE, "%zu of %s and %zu of %s, the same number expected",
                         a->n, wte__items_name(a), b->n, wte__items_name(b));
    if (a->dim != b->dim)
        return wte__fail(err, WTE_E_SHAPE,
                         "rows of %s have %zu numbers, those of %s %zu: the same width expected",
                         wte__items_name(a), a->dim, wte__items_name(b), b->dim);
    for (size_t i = 0; i < a->n; i++) {
        wte_status status = check_row(a, i, &mean[0], &length[0], err);

        if (status == WTE_OK)
            status = check_row(b, i, &mean[1], &length[1], err);
        if (status != WTE_OK)
            return status;
    }
    for (size_t i = 0; i < a->n; i++) {
        const float *x = a->data + i * a->dim, *y = b->data + i * a->dim;
        double sum = 0, r;

        measure(x, a->dim, &mean[0], &length[0]);
        measure(y, a->dim, &mean[1], &length[1]);
        for (size_t j = 0; j < a->dim; j++)
            sum += ((double)x[j] - mean[0]) * ((double)y[j] - mean[1]);
        r = sum / length[0] / length[1];
        out[i] = r > 1 ? 1 : r < -1 ? -1 : r;
    }
    return WTE_OK;
}
