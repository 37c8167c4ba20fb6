/* SPDX-License-Identifier: MIT */
/* cca.c - canonical correlations
 *
 * They are the singular values of Qx'Qy, where Qx and Qy are orthonormal bases of the centred
 * columns (Bjoerck and Golub 1973). The bases here are left singular vectors, so cutting a side to
 * the principal components that hold a share of its variance, as SVCCA does (Raghu et al. 2017), is
 * taking the first of them.
 *
 * PWCCA (Morcos et al. 2018) weighs each correlation by how much of a's columns its variate
 * explains: the sum over columns x_j of |<h_i, x_j>|, with h_i = Qx u_i and u_i the left singular
 * vectors of Qx'Qy. */
#include <math.h>
#include "compare/product.h"
#include "compare/rdm.h"
#include "space/lapack.h"

/* Singular values, in parts of the largest, below which a column depends on others. */
#define DEPENDENT 1e-10

typedef struct basis {
    double *vectors; /* [n, rank], of which the first `kept` columns count */
    size_t rank, kept;
} basis;

static wte_status check(const wte_items *a, const wte_items *b, bool whole, wte_error *err)
{
    const size_t widest = a->dim > b->dim ? a->dim : b->dim;
    const wte_items *both[] = {a, b};

    if (a->n != b->n)
        return wte__fail(err, WTE_E_SHAPE, "%zu of %s and %zu of %s, the same number expected",
                         a->n, wte__items_name(a), b->n, wte__items_name(b));
    for (size_t s = 0; s < 2; s++) {
        wte_status status = wte__check_varied(both[s], err);

        if (status != WTE_OK)
            return status;
    }
    if (whole && a->n - 1 < widest)
        return wte__fail(err, WTE_E_RANGE,
                         "%zu items of %zu numbers: with fewer than %zu items every canonical "
                         "correlation is 1; keep principal components (SVCCA) or add items",
                         a->n, widest, widest + 1);
    return WTE_OK;
}

/* The fewest components whose variance reaches the share. */
static size_t components(const double *values, size_t n, double share)
{
    double all = 0, reached = 0;
    size_t kept = 0;

    for (size_t i = 0; i < n; i++)
        all += values[i] * values[i];
    while (kept < n && reached < share * all) {
        reached += values[kept] * values[kept];
        kept++;
    }
    return kept;
}

static wte_status basis_init(basis *out, const wte_items *items, double variance, wte_error *err)
{
    const size_t n = items->n, rank = n < items->dim ? n : items->dim;
    double *x = wte__centred(items), *values = wte__calloc(rank, sizeof *values);
    wte_status status = WTE_OK;

    out->vectors = wte__calloc(n, rank * sizeof *out->vectors);
    out->rank = out->kept = rank;
    if (!x || !values || !out->vectors)
        status =
            wte__fail(err, WTE_E_NOMEM, "no memory for %zu rows of %zu numbers", n, items->dim);
    if (status == WTE_OK)
        status = wte__singular(x, n, items->dim, values, out->vectors, err);
    if (status == WTE_OK && variance < 1)
        out->kept = components(values, rank, variance);
    else if (status == WTE_OK && !(values[rank - 1] > DEPENDENT * values[0]))
        status = wte__fail(err, WTE_E_RANGE,
                           "columns of %s depend on each other: keep principal components (SVCCA)",
                           wte__items_name(items));
    wte__free(values);
    wte__free(x);
    return status;
}

/* Correlations of two bases, and the left singular vectors [x->kept, least] where they are asked
 * for. */
static wte_status correlate(const basis *x, const basis *y, size_t n, double *correlations,
                            double *left, wte_error *err)
{
    const wte__view a = {x->vectors, NULL, NULL, x->kept, n, 1, x->rank};
    const wte__view b = {y->vectors, NULL, NULL, y->kept, n, 1, y->rank};
    const size_t least = x->kept < y->kept ? x->kept : y->kept;
    double *product = wte__calloc(x->kept, y->kept * sizeof *product);
    wte_status status = WTE_OK;

    if (!product)
        return wte__fail(err, WTE_E_NOMEM, "no memory for %zu x %zu products", x->kept, y->kept);
    status = wte__multiply(&a, &b, 0, product, err);
    if (status == WTE_OK)
        status = wte__singular(product, x->kept, y->kept, correlations, left, err);
    for (size_t i = 0; i < least && status == WTE_OK; i++)
        correlations[i] = correlations[i] < 1 ? correlations[i] : 1;
    wte__free(product);
    return status;
}

static wte_status both_bases(const wte_items *a, const wte_items *b, double variance, basis *x,
                             basis *y, wte_error *err)
{
    wte_status status = wte__lapack_load(err);

    if (status == WTE_OK)
        status = basis_init(x, a, variance, err);
    if (status == WTE_OK)
        status = basis_init(y, b, variance, err);
    return status;
}

wte_status wte_cca(const wte_items *a, const wte_items *b, double variance, double *correlations,
                   double *mean, size_t kept[2], wte_error *err)
{
    const size_t most = a->dim < b->dim ? a->dim : b->dim;
    double *found = NULL, sum = 0;
    basis x = {0}, y = {0};
    size_t least;
    wte_status status;

    if (!(variance > 0 && variance <= 1))
        return wte__fail(err, WTE_E_RANGE,
                         "a share of variance of %g, above 0 and at most 1 "
                         "expected",
                         variance);
    status = check(a, b, variance == 1, err);
    if (status != WTE_OK)
        return status;
    status = both_bases(a, b, variance, &x, &y, err);
    if (status != WTE_OK)
        goto done;
    least = x.kept < y.kept ? x.kept : y.kept;
    found = wte__calloc(most, sizeof *found);
    if (!found) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for %zu correlations", most);
        goto done;
    }
    status = correlate(&x, &y, a->n, found, NULL, err);
    if (status != WTE_OK)
        goto done;
    for (size_t i = 0; i < least; i++)
        sum += found[i];
    if (correlations)
        memcpy(correlations, found, most * sizeof *found);
    if (mean)
        *mean = sum / (double)least;
    if (kept) {
        kept[0] = x.kept;
        kept[1] = y.kept;
    }
done:
    wte__free(found);
    wte__free(y.vectors);
    wte__free(x.vectors);
    return status;
}

/* Weights of the variates: sums of |X'h_i| over the columns of X. */
static wte_status weigh(const wte_items *a, const basis *x, const double *left, size_t least,
                        double *weights, wte_error *err)
{
    const size_t n = a->n, dim = a->dim;
    double *columns = wte__centred(a), *projected = NULL, *explained = NULL;
    wte_status status = WTE_OK;

    projected = wte__calloc(dim, x->kept * sizeof *projected);
    explained = wte__calloc(dim, least * sizeof *explained);
    if (!columns || !projected || !explained) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory to weigh %zu correlations", least);
        goto done;
    }
    const wte__view centred = {columns, NULL, NULL, dim, n, 1, dim};
    const wte__view vectors = {x->vectors, NULL, NULL, x->kept, n, 1, x->rank};
    const wte__view along = {projected, NULL, NULL, dim, x->kept, x->kept, 1};
    const wte__view variates = {left, NULL, NULL, least, x->kept, 1, least};

    status = wte__multiply(&centred, &vectors, 0, projected, err);
    if (status == WTE_OK)
        status = wte__multiply(&along, &variates, 0, explained, err);
    for (size_t j = 0; j < dim && status == WTE_OK; j++)
        for (size_t i = 0; i < least; i++)
            weights[i] += fabs(explained[j * least + i]);
done:
    wte__free(explained);
    wte__free(projected);
    wte__free(columns);
    return status;
}

wte_status wte_pwcca(const wte_items *a, const wte_items *b, double *out, wte_error *err)
{
    const size_t least = a->dim < b->dim ? a->dim : b->dim;
    double *correlations = NULL, *left = NULL, *weights = NULL, sum = 0, all = 0;
    basis x = {0}, y = {0};
    wte_status status = check(a, b, true, err);

    if (status != WTE_OK)
        return status;
    correlations = wte__calloc(least, sizeof *correlations);
    weights = wte__calloc(least, sizeof *weights);
    left = wte__calloc(a->dim, least * sizeof *left);
    if (!correlations || !weights || !left) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for %zu correlations", least);
        goto done;
    }
    status = both_bases(a, b, 1, &x, &y, err);
    if (status == WTE_OK)
        status = correlate(&x, &y, a->n, correlations, left, err);
    if (status == WTE_OK)
        status = weigh(a, &x, left, least, weights, err);
    if (status != WTE_OK)
        goto done;
    for (size_t i = 0; i < least; i++) {
        sum += weights[i] * correlations[i];
        all += weights[i];
    }
    *out = sum / all;
done:
    wte__free(left);
    wte__free(weights);
    wte__free(correlations);
    wte__free(y.vectors);
    wte__free(x.vectors);
    return status;
}
