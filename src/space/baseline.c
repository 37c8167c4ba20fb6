/* SPDX-License-Identifier: MIT */
/* baseline.c - what cosines of random pairs look like
 *
 * A cosine of 0.9 means much in a space whose random pairs lie about 0.0, and nothing in one where
 * they lie about 0.9. So a few thousand random pairs are drawn once per space, with a fixed seed,
 * and their sorted cosines kept: mean, spread and any percentile follow. An index brings them
 * along; else the first call computes them, while other threads that ask at the same time wait.
 *
 * Source: Ethayarajh 2019, arXiv:1909.00512, whose measure of anisotropy the mean is. */
#include <math.h>
#include "space/geometry.h"

/* The sorted cosines of the space: at least one, or an error. */
static wte_status get_baseline(const wte_space *space, const float **cosines, size_t *n,
                               wte_error *err)
{
    /* may change after the space was made, under its lock */
    wte_space *s = (wte_space *)(uintptr_t)space;
    wte_status status = wte__space_measure(space, 0, err);

    if (status != WTE_OK)
        return status;
    pthread_mutex_lock(&s->lock);
    if (!s->baseline) {
        float *drawn = wte__calloc(WTE__N_BASELINE, sizeof *drawn);

        if (!drawn) {
            status = wte__fail(err, WTE_E_NOMEM, "no memory for %d cosines", (int)WTE__N_BASELINE);
        } else {
            s->n_baseline = wte__baseline_sample(space, drawn);
            s->baseline = drawn;
        }
    }
    if (status == WTE_OK && s->n_baseline == 0)
        status = wte__fail(err, WTE_E_RANGE,
                           "%s has fewer than two rows with a direction: no random pairs",
                           space->info.name);
    *cosines = s->baseline;
    *n = s->n_baseline;
    pthread_mutex_unlock(&s->lock);
    return status;
}

/* A quantile of ascending values, interpolated linearly between the two nearest. */
static float quantile(const float *x, size_t n, double q)
{
    double at = q * (double)(n - 1);
    size_t low = (size_t)at;
    double part = at - (double)low;

    if (low + 1 >= n)
        return x[n - 1];
    return (float)((1 - part) * (double)x[low] + part * (double)x[low + 1]);
}

wte_status wte_space_baseline(const wte_space *space, wte_baseline *out, wte_error *err)
{
    const float *x = NULL;
    size_t n = 0;
    double mean = 0, squares = 0;
    wte_status status = get_baseline(space, &x, &n, err);

    if (status != WTE_OK)
        return status;
    for (size_t i = 0; i < n; i++)
        mean += (double)x[i];
    mean /= (double)n;
    for (size_t i = 0; i < n; i++)
        squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    *out = (wte_baseline){.n_pairs = n,
                          .mean = (float)mean,
                          .sd = (float)(n > 1 ? sqrt(squares / (double)(n - 1)) : 0),
                          .p05 = quantile(x, n, 0.05),
                          .p50 = quantile(x, n, 0.50),
                          .p95 = quantile(x, n, 0.95)};
    return WTE_OK;
}

/* How many of the ascending values lie below `value`; with `or_equal`, at or below it. */
static size_t count_below(const float *x, size_t n, float value, bool or_equal)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (x[middle] < value || (or_equal && x[middle] == value))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

wte_status wte_space_percentile(const wte_space *space, float cosine, float *out, wte_error *err)
{
    const float *x = NULL;
    size_t n = 0;
    wte_status status = get_baseline(space, &x, &n, err);

    if (status != WTE_OK)
        return status;
    *out = (float)(50.0 *
                   (double)(count_below(x, n, cosine, false) + count_below(x, n, cosine, true)) /
                   (double)n);
    return WTE_OK;
}
