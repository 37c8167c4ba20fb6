/* SPDX-License-Identifier: MIT */
/* bootstrap.c - intervals by drawing items with replacement
 *
 * A draw is a count for each item; comparison.c computes the statistic of counted items, pairs of
 * an item with itself left out. Draws in which fewer than three items are different, or in which a
 * triangle is constant, have no statistic and are made again, so no NaN gets into an interval.
 *
 * BCa (Efron 1987): the percentiles to read are moved by the bias z0, the normal quantile of the
 * share of draws below the statistic, and by the acceleration, the skewness of the jackknife over
 * items:
 *
 *     a_level = Phi(z0 + (z0 + z) / (1 - acceleration * (z0 + z)))
 *
 * The share is kept half a draw away from 0 and 1, and the formula from its pole, so the result is
 * always a number. Where all draws are the same, so are the ends of the interval. */
#include "compare/bootstrap.h"
#include <math.h>
#include <stdlib.h>

enum { BATCH = 8, MAX_TRIES = 100 };

typedef struct drawing {
    const wte__comparison *c;
    uint64_t seed;
    bool jackknife;
    size_t n_draws;
    wte__progress *progress;
    wte__comparing *scratches; /* [n_threads] */
    uint32_t *counts;          /* [n_threads, n] */
    double *out;               /* [n_draws], NaN: not defined */
} drawing;

static void draw(uint64_t *state, size_t n, uint32_t *counts)
{
    memset(counts, 0, n * sizeof *counts);
    for (size_t i = 0; i < n; i++)
        counts[((wte__random(state) >> 32) * n) >> 32]++;
}

static double one(const drawing *d, size_t number, uint32_t *counts, wte__comparing *s)
{
    const size_t n = d->c->n;
    const uint64_t key = number;
    uint64_t state = wte__hash_seeded(&key, sizeof key, d->seed);
    double value = NAN;

    if (d->jackknife) {
        for (size_t i = 0; i < n; i++)
            counts[i] = i != number;
        wte__compare(d->c, counts, s, &value);
        return value;
    }
    for (int tries = 0; tries < MAX_TRIES; tries++) {
        draw(&state, n, counts);
        if (wte__compare(d->c, counts, s, &value))
            break;
    }
    return value;
}

static void draw_batch(void *ctx, size_t block, unsigned worker)
{
    const drawing *d = ctx;
    const size_t begin = block * BATCH;
    const size_t end = d->n_draws - begin < BATCH ? d->n_draws : begin + BATCH;

    if (d->progress && wte__progress_add(d->progress, end - begin, worker))
        return;
    for (size_t i = begin; i < end; i++)
        d->out[i] = one(d, i, d->counts + worker * d->c->n, &d->scratches[worker]);
}

/* Fill d->out and move the values that are defined to its front; *used of them. */
static wte_status run(drawing *d, unsigned n_threads, size_t *used, wte_error *err)
{
    const size_t n_batches = (d->n_draws + BATCH - 1) / BATCH;
    const unsigned threads = wte__threads(n_threads, n_batches);
    wte_status status = WTE_OK;

    d->scratches = wte__calloc(threads, sizeof *d->scratches);
    d->counts = wte__calloc(threads, d->c->n * sizeof *d->counts);
    if (!d->scratches || !d->counts) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory to draw %zu items", d->c->n);
        goto done;
    }
    for (unsigned i = 0; i < threads && status == WTE_OK; i++)
        status = wte__comparing_init(&d->scratches[i], d->c, err);
    if (status != WTE_OK)
        goto done;
    wte__parallel(n_batches, threads, draw_batch, d);
    if (d->progress && wte__progress_add(d->progress, 0, 0)) {
        status = wte__fail(err, WTE_E_CANCELLED, "bootstrap cancelled");
        goto done;
    }
    *used = 0;
    for (size_t i = 0; i < d->n_draws; i++)
        if (!isnan(d->out[i]))
            d->out[(*used)++] = d->out[i];
done:
    for (unsigned i = 0; i < threads && d->scratches; i++)
        wte__comparing_free(&d->scratches[i]);
    wte__free(d->counts);
    wte__free(d->scratches);
    return status;
}

/* ---- quantiles ---------------------------------------------------------------------------- */

static double normal_share(double z)
{
    return erfc(-z / sqrt(2)) / 2;
}

/* The z below which a normal lies with probability p, by halving. */
static double normal_quantile(double p)
{
    double low = -40, high = 40;

    for (int i = 0; i < 100; i++) {
        const double middle = (low + high) / 2;

        if (normal_share(middle) < p)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Between the two nearest of sorted values, as numpy's default. */
static double percentile(const double *sorted, size_t n, double p)
{
    const double at = p * (double)(n - 1);
    const size_t below = (size_t)at, above = below + 1 < n ? below + 1 : below;

    return sorted[below] + (at - (double)below) * (sorted[above] - sorted[below]);
}

/* The skewness of the jackknife values, a sixth of it. */
static double acceleration(const double *values, size_t n)
{
    double mean = 0, squares = 0, cubes = 0;

    for (size_t i = 0; i < n; i++)
        mean += values[i];
    mean /= n ? (double)n : 1;
    for (size_t i = 0; i < n; i++) {
        const double d = mean - values[i];

        squares += d * d;
        cubes += d * d * d;
    }
    return squares > 0 ? cubes / (6 * squares * sqrt(squares)) : 0;
}

static double bias(const double *sorted, size_t n, double statistic)
{
    const double half = 0.5 / (double)n;
    double share = 0;

    for (size_t i = 0; i < n; i++)
        share += sorted[i] < statistic ? 1 : sorted[i] == statistic ? 0.5 : 0;
    share /= (double)n;
    share = share < half ? half : share > 1 - half ? 1 - half : share;
    return normal_quantile(share);
}

static double moved(double p, double z0, double a)
{
    const double z = z0 + normal_quantile(p), left = 1 - a * z;

    /* beyond the pole the level would turn round: it stays at the end where it was going */
    if (!(left > 0))
        return z > 0 ? 1 : 0;
    return normal_share(z0 + z / left);
}

wte_status wte__bootstrap(const wte__comparison *c, double statistic, size_t n_draws, double level,
                          bool bca, uint64_t seed, unsigned n_threads, wte__progress *progress,
                          wte__interval *out, wte_error *err)
{
    drawing d = {.c = c, .seed = seed, .n_draws = n_draws, .progress = progress};
    drawing jackknife = {.c = c, .jackknife = true, .n_draws = c->n, .progress = progress};
    double low = (1 - level) / 2, high = 1 - low;
    size_t used = 0, n_values = 0;
    wte_status status;

    d.out = wte__calloc(n_draws, sizeof *d.out);
    jackknife.out = wte__calloc(c->n, sizeof *jackknife.out);
    if (!d.out || !jackknife.out) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for %zu draws", n_draws);
        goto done;
    }
    status = run(&d, n_threads, &used, err);
    if (status == WTE_OK && used == 0)
        status = wte__fail(err, WTE_E_RANGE,
                           "no draw of %zu items has a defined %s: there is no interval", c->n,
                           wte_comparator_name(c->comparator));
    if (status == WTE_OK && bca)
        status = run(&jackknife, n_threads, &n_values, err);
    if (status != WTE_OK)
        goto done;
    qsort(d.out, used, sizeof *d.out, ascending);
    if (bca) {
        const double z0 = bias(d.out, used, statistic);
        const double a = acceleration(jackknife.out, n_values);

        low = moved(low, z0, a);
        high = moved(high, z0, a);
    }
    out->low = percentile(d.out, used, low);
    out->high = percentile(d.out, used, high);
    out->used = used;
done:
    wte__free(jackknife.out);
    wte__free(d.out);
    return status;
}
