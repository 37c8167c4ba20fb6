/* SPDX-License-Identifier: MIT */
/* pca.c - principal components
 *
 * The covariance of the rows is summed in float64, then LAPACK finds its first eigenvectors. With
 * the mean taken away first that is as exact as the singular value decomposition for every
 * component that is worth having (relative error about 1e-16 times the ratio of the largest to its
 * variance), and needs memory for dim x dim numbers instead of all rows.
 *
 * Rows are dealt out in stripes: stripe s takes the chunks s, s + n_stripes, ... and sums them into
 * a matrix of its own; the stripes are added up in order at the end. Their number follows from the
 * shape alone, so the sums, and every bit of the result, are the same for any number of threads.
 *
 * An eigenvector's sign is arbitrary. Here the entry of largest size is positive, the first of them
 * on a tie; scikit-learn, whose definitions of variance these are, has another rule. */
#include "space/pca.h"
#include <math.h>
#include "kernel/kernel.h"
#include "space/geometry.h"
#include "space/lapack.h"
#include "wte/transform.h"

enum { CHUNK = 256, MAX_STRIPES = 8, STRIPE_BYTES = 128 << 20 };

typedef struct striped {
    const wte__sample *sample;
    const double *mean; /* NULL while it is being computed */
    size_t n_stripes, n_chunks, size;
    double *sums;   /* [n_stripes, size]: dim, or dim * dim */
    size_t *n_used; /* [n_stripes] */
    float *scratch; /* [n_stripes, dim] */
    double *chunks; /* [n_stripes, CHUNK, dim] */
} striped;

bool wte__centred_row(const wte__rows *rows, size_t row, const double *mean, float *scratch,
                      double *out)
{
    wte__row_to_f32(rows, row, scratch);
    if (!isfinite(wte__kernel()->maxabs_f32(scratch, rows->dim)))
        return false;
    for (size_t i = 0; i < rows->dim; i++)
        out[i] = mean ? (double)scratch[i] - mean[i] : (double)scratch[i];
    return true;
}

static void add_rows(const double *x, size_t n, size_t dim, double *sum)
{
    for (size_t r = 0; r < n; r++)
        for (size_t i = 0; i < dim; i++)
            sum[i] += x[r * dim + i];
}

static void sum_stripe(void *ctx, size_t stripe, unsigned worker)
{
    striped *s = ctx;
    const wte__sample *sample = s->sample;
    const size_t dim = sample->rows->dim;
    double *chunk = s->chunks + stripe * CHUNK * dim, *sums = s->sums + stripe * s->size;
    float *scratch = s->scratch + stripe * dim;

    for (size_t c = stripe; c < s->n_chunks; c += s->n_stripes) {
        size_t begin = c * CHUNK, end = sample->n - begin < CHUNK ? sample->n : begin + CHUNK;
        size_t n = 0;

        if (sample->progress && wte__progress_add(sample->progress, end - begin, worker))
            return;
        for (size_t i = begin; i < end; i++)
            n += wte__centred_row(sample->rows, sample->ids ? sample->ids[i] : i, s->mean, scratch,
                                  chunk + n * dim);
        s->n_used[stripe] += n;
        if (s->mean)
            wte__rank_k_update(chunk, n, dim, sums);
        else
            add_rows(chunk, n, dim, sums);
    }
}

/* Sum rows, or their products where there is a mean, into `out` [size]. */
static wte_status sum_rows(const wte__sample *sample, const double *mean, double *out, size_t size,
                           size_t *n_used, wte_error *err)
{
    const size_t dim = sample->rows->dim;
    striped s = {.sample = sample, .mean = mean, .size = size};
    wte_status status = WTE_OK;

    s.n_chunks = (sample->n + CHUNK - 1) / CHUNK;
    s.n_stripes = STRIPE_BYTES / (size * sizeof *s.sums);
    s.n_stripes = s.n_stripes > MAX_STRIPES ? MAX_STRIPES : s.n_stripes;
    s.n_stripes = s.n_stripes > s.n_chunks ? s.n_chunks : s.n_stripes;
    s.n_stripes = s.n_stripes ? s.n_stripes : 1;
    s.sums = wte__calloc(s.n_stripes, size * sizeof *s.sums);
    s.n_used = wte__calloc(s.n_stripes, sizeof *s.n_used);
    s.scratch = wte__calloc(s.n_stripes, dim * sizeof *s.scratch);
    s.chunks = wte__calloc(s.n_stripes, CHUNK * dim * sizeof *s.chunks);
    if (!s.sums || !s.n_used || !s.scratch || !s.chunks) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for sums over rows of %zu numbers", dim);
        goto done;
    }
    wte__parallel(s.n_stripes, wte__threads(sample->n_threads, s.n_stripes), sum_stripe, &s);
    if (sample->progress && wte__progress_add(sample->progress, 0, 0)) {
        status = wte__fail(err, WTE_E_CANCELLED, "principal components cancelled");
        goto done;
    }
    *n_used = 0;
    for (size_t stripe = 0; stripe < s.n_stripes; stripe++) {
        *n_used += s.n_used[stripe];
        for (size_t i = 0; i < size; i++)
            out[i] += s.sums[stripe * size + i];
    }
done:
    wte__free(s.chunks);
    wte__free(s.scratch);
    wte__free(s.n_used);
    wte__free(s.sums);
    return status;
}

static void fix_sign(double *vector, size_t dim)
{
    size_t largest = 0;

    for (size_t i = 1; i < dim; i++)
        if (fabs(vector[i]) > fabs(vector[largest]))
            largest = i;
    if (vector[largest] < 0)
        for (size_t i = 0; i < dim; i++)
            vector[i] = -vector[i];
}

static wte_status find_components(wte__components *c, const wte__sample *sample, size_t d,
                                  wte_error *err)
{
    const size_t dim = sample->rows->dim;
    double *covariance = NULL;
    size_t size = 0;
    wte_status status = wte__lapack_load(err);

    if (status != WTE_OK)
        return status;
    if (!wte__mul_overflows(dim, dim, &size))
        covariance = wte__calloc(size, sizeof *covariance);
    c->vectors = wte__calloc(d, dim * sizeof *c->vectors);
    c->variance = wte__calloc(dim, sizeof *c->variance);
    if (!covariance || !c->vectors || !c->variance) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for a [%zu, %zu] covariance", dim, dim);
        goto done;
    }
    status = sum_rows(sample, c->mean, covariance, size, &c->n_used, err);
    if (status != WTE_OK)
        goto done;
    for (size_t i = 0; i < size; i++)
        covariance[i] /= (double)(c->n_used - 1);
    for (size_t i = 0; i < dim; i++)
        c->total += covariance[i * dim + i];
    status = wte__eigen(covariance, dim, d, c->variance, c->vectors, err);
    for (size_t i = 0; i < d && status == WTE_OK; i++) {
        c->variance[i] = c->variance[i] > 0 ? c->variance[i] : 0;
        fix_sign(c->vectors + i * dim, dim);
    }
done:
    wte__free(covariance);
    return status;
}

wte_status wte__components_init(wte__components *c, const wte__sample *sample, size_t d,
                                wte_error *err)
{
    const size_t dim = sample->rows->dim;
    wte_status status;

    *c = (wte__components){0};
    c->mean = wte__calloc(dim, sizeof *c->mean);
    if (!c->mean)
        return wte__fail(err, WTE_E_NOMEM, "no memory for a mean of %zu numbers", dim);
    status = sum_rows(sample, NULL, c->mean, dim, &c->n_used, err);
    if (status != WTE_OK)
        goto failed;
    if (c->n_used == 0) {
        status = wte__fail(err, WTE_E_RANGE, "no row is finite: there is no mean");
        goto failed;
    }
    for (size_t i = 0; i < dim; i++)
        c->mean[i] /= (double)c->n_used;
    if (d == 0)
        return WTE_OK;
    if (d > dim || d > c->n_used - 1) {
        status = wte__fail(err, WTE_E_RANGE,
                           "%zu components of %zu rows of %zu numbers, at most %zu expected", d,
                           c->n_used, dim, c->n_used - 1 < dim ? c->n_used - 1 : dim);
        goto failed;
    }
    status = find_components(c, sample, d, err);
    if (status == WTE_OK)
        return WTE_OK;
failed:
    wte__components_free(c);
    return status;
}

void wte__components_free(wte__components *c)
{
    wte__free(c->variance);
    wte__free(c->vectors);
    wte__free(c->mean);
    *c = (wte__components){0};
}

/* [n, d] coordinates of rows; NaN for a row that is not finite. */
static wte_status project(const wte__sample *sample, const wte__components *c, size_t d,
                          float *points, wte_error *err)
{
    const size_t dim = sample->rows->dim;
    float *scratch = wte__calloc(dim, sizeof *scratch);
    double *row = wte__calloc(dim, sizeof *row);
    wte_status status = WTE_OK;

    if (!scratch || !row) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for a row of %zu numbers", dim);
        goto done;
    }
    for (size_t i = 0; i < sample->n; i++) {
        size_t at = sample->ids ? sample->ids[i] : i;
        bool finite = wte__centred_row(sample->rows, at, c->mean, scratch, row);

        for (size_t j = 0; j < d; j++) {
            double sum = 0;

            for (size_t k = 0; k < dim && finite; k++)
                sum += row[k] * c->vectors[j * dim + k];
            points[i * d + j] = finite ? (float)sum : NAN;
        }
    }
done:
    wte__free(row);
    wte__free(scratch);
    return status;
}

wte_status wte_space_pca(const wte_space *space, const uint32_t *ids, size_t n, size_t d,
                         float *points, float *components, float *mean, double *variance,
                         double *ratio, wte_error *err)
{
    const size_t dim = space->rows.dim;
    const wte__sample sample = {&space->rows, ids, ids ? n : space->rows.n_rows, 0, NULL};
    wte__components c = {0};
    wte_status status = ids ? wte__check_ids(space, ids, n, err) : WTE_OK;

    if (status != WTE_OK)
        return status;
    if (d == 0)
        return wte__fail(err, WTE_E_RANGE, "0 components asked for, at least 1 expected");
    status = wte__components_init(&c, &sample, d, err);
    if (status == WTE_OK && points)
        status = project(&sample, &c, d, points, err);
    if (status != WTE_OK)
        goto done;
    for (size_t i = 0; i < d * dim && components; i++)
        components[i] = (float)c.vectors[i];
    for (size_t i = 0; i < dim && mean; i++)
        mean[i] = (float)c.mean[i];
    for (size_t i = 0; i < d && variance; i++)
        variance[i] = c.variance[i];
    for (size_t i = 0; i < d && ratio; i++)
        ratio[i] = c.variance[i] / c.total;
done:
    wte__components_free(&c);
    return status;
}
