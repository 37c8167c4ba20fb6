/* SPDX-License-Identifier: MIT */
/* inference.c - noise ceilings and false discovery rates
 *
 * Noise ceiling (Nili et al. 2014). The triangle that is most like all replicates is their mean,
 * after each has been scaled to what its comparator sees: deviations for Pearson, root mean square
 * for the cosines, mid-ranks for those of ranks (for Kendall's tau the mean rank is only nearly the
 * best). The upper bound compares each replicate with the mean of all, itself included, the lower
 * with the mean of the others.
 *
 * False discovery rate (Benjamini and Hochberg 1995): with p sorted ascending, q of the i-th of n
 * is the least of n p_j / j over all j >= i. */
#include <math.h>
#include "compare/comparison.h"

/* ---- noise ceiling ------------------------------------------------------------------------ */

static void scale_deviations(double *x, size_t m)
{
    double mean = 0, squares = 0;

    for (size_t i = 0; i < m; i++)
        mean += x[i];
    mean /= (double)m;
    for (size_t i = 0; i < m; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    for (size_t i = 0; i < m; i++)
        x[i] = (x[i] - mean) / sqrt(squares / (double)m);
}

static void scale_squares(double *x, size_t m)
{
    double squares = 0;

    for (size_t i = 0; i < m; i++)
        squares += x[i] * x[i];
    for (size_t i = 0; i < m; i++)
        x[i] /= sqrt(squares / (double)m);
}

static wte_status pooled(const double *rdm, size_t m, wte_comparator comparator, double *out,
                         wte_error *err)
{
    wte__ranking ranking;
    wte_status status;

    memcpy(out, rdm, m * sizeof *out);
    switch (comparator) {
    case WTE_COMPARE_PEARSON:
        scale_deviations(out, m);
        return WTE_OK;
    case WTE_COMPARE_COSINE:
    case WTE_COMPARE_WHITENED_COSINE:
        scale_squares(out, m);
        return WTE_OK;
    default:
        status = wte__ranking_init(&ranking, rdm, m, err);
        if (status != WTE_OK)
            return status;
        wte__weighted_ranks(&ranking, NULL, out);
        wte__ranking_free(&ranking);
        return WTE_OK;
    }
}

static wte_status check_replicates(const double *const *rdms, size_t n_rdms, size_t m,
                                   wte_error *err)
{
    if (n_rdms < 2)
        return wte__fail(err, WTE_E_RANGE, "%zu replicate, at least 2 expected for a noise ceiling",
                         n_rdms);
    for (size_t r = 0; r < n_rdms; r++) {
        for (size_t i = 0; i < m; i++)
            if (!isfinite(rdms[r][i]))
                return wte__fail(err, WTE_E_RANGE, "number %zu of replicate %zu is not finite", i,
                                 r);
        if (m < 2 || wte__is_constant(rdms[r], m, 0))
            return wte__fail(err, WTE_E_RANGE, "all %zu dissimilarities of replicate %zu are equal",
                             m, r);
    }
    return WTE_OK;
}

wte_status wte_noise_ceiling(const double *const *rdms, size_t n_rdms, size_t m,
                             wte_comparator comparator, double *lower, double *upper,
                             wte_error *err)
{
    double *all = NULL, *own = NULL, *others = NULL, sums[2] = {0};
    wte_status status = check_replicates(rdms, n_rdms, m, err);

    if (status != WTE_OK)
        return status;
    all = wte__calloc(m, sizeof *all);
    own = wte__calloc(m, sizeof *own);
    others = wte__calloc(m, sizeof *others);
    if (!all || !own || !others) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for triangles of %zu numbers", m);
        goto done;
    }
    for (size_t r = 0; r < n_rdms; r++) {
        status = pooled(rdms[r], m, comparator, own, err);
        if (status != WTE_OK)
            goto done;
        for (size_t i = 0; i < m; i++)
            all[i] += own[i];
    }
    for (size_t r = 0; r < n_rdms; r++) {
        double with = 0, without = 0;

        status = pooled(rdms[r], m, comparator, own, err);
        for (size_t i = 0; i < m && status == WTE_OK; i++)
            others[i] = all[i] - own[i];
        if (status == WTE_OK)
            status = wte_compare_lists(all, rdms[r], m, comparator, &with, err);
        if (status == WTE_OK)
            status = wte_compare_lists(others, rdms[r], m, comparator, &without, err);
        if (status != WTE_OK)
            goto done;
        sums[0] += without;
        sums[1] += with;
    }
    *lower = sums[0] / (double)n_rdms;
    *upper = sums[1] / (double)n_rdms;
done:
    wte__free(others);
    wte__free(own);
    wte__free(all);
    return status;
}

/* ---- false discovery rate ----------------------------------------------------------------- */

wte_status wte_fdr(const double *p, size_t n, double *q, wte_error *err)
{
    wte__ranking ranking;
    double least = 1;
    wte_status status;

    for (size_t i = 0; i < n; i++)
        if (!(p[i] >= 0 && p[i] <= 1))
            return wte__fail(err, WTE_E_RANGE, "p-value %zu is %g, between 0 and 1 expected", i,
                             p[i]);
    status = wte__ranking_init(&ranking, p, n, err);
    if (status != WTE_OK)
        return status;
    for (size_t i = n; i-- > 0;) {
        const uint32_t at = ranking.order[i];
        const double rate = (double)n * p[at] / (double)(i + 1);

        least = rate < least ? rate : least;
        q[at] = least;
    }
    wte__ranking_free(&ranking);
    return WTE_OK;
}
