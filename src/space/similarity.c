/* SPDX-License-Identifier: MIT */
/* similarity.c - cosines, distances and means of a few rows
 *
 * These functions answer for single rows, so they can afford float64 sums: the result is the
 * correctly rounded float32 in all but a few cases, whatever the processor. Rows are read piece by
 * piece, widened on the stack, which keeps the pair functions free of allocation for any width.
 * Sums run over four independent partial sums in a fixed order; more would not help, since the
 * conversion from float32 is what takes the time.
 *
 * The lengths kept in the space are not used here: they are 0 for the later of two rows with the
 * same word, which a search must not find, but which still is a vector like any other.
 *
 * Source of the measures: gensim 4.2's KeyedVectors. It computes in float32, with which these agree
 * within 1e-6. One difference: where gensim gives NaN for the mean of rows of which one has no
 * direction, this is an error that names the row. */
#include "wte/similarity.h"
#include <math.h>
#include "space/geometry.h"

enum { PIECE = 512, ROWS_PER_BLOCK = 32 };

double wte__dot_f64(const float *x, const float *y, size_t n)
{
    double s[4] = {0, 0, 0, 0};
    size_t i = 0;

    for (; i + 4 <= n; i += 4)
        for (size_t j = 0; j < 4; j++)
            s[j] += (double)x[i + j] * (double)y[i + j];
    for (; i < n; i++)
        s[0] += (double)x[i] * (double)y[i];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

double wte__sqdist_f64(const float *x, const float *y, size_t n)
{
    double s[4] = {0, 0, 0, 0};
    size_t i = 0;

    for (; i + 4 <= n; i += 4)
        for (size_t j = 0; j < 4; j++) {
            double d = (double)x[i + j] - (double)y[i + j];

            s[j] += d * d;
        }
    for (; i < n; i++)
        s[0] += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
    return (s[0] + s[1]) + (s[2] + s[3]);
}

double wte__l1dist_f64(const float *x, const float *y, size_t n)
{
    double s[4] = {0, 0, 0, 0};
    size_t i = 0;

    for (; i + 4 <= n; i += 4)
        for (size_t j = 0; j < 4; j++)
            s[j] += fabs((double)x[i + j] - (double)y[i + j]);
    for (; i < n; i++)
        s[0] += fabs((double)x[i] - (double)y[i]);
    return (s[0] + s[1]) + (s[2] + s[3]);
}

void wte__read_piece(const wte__rows *rows, size_t i, size_t from, size_t n, float *out)
{
    wte__rows piece = *rows;

    piece.base += from * (rows->dtype == WTE_F32 ? sizeof(float) : sizeof(uint16_t));
    piece.dim = n;
    wte__row_to_f32(&piece, i, out);
}

static size_t piece_size(const wte__rows *rows, size_t from)
{
    return rows->dim - from < PIECE ? rows->dim - from : PIECE;
}

wte_status wte__check_ids(const wte_space *space, const uint32_t *ids, size_t n, wte_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] >= space->rows.n_rows)
            return wte__fail(err, WTE_E_RANGE, "row %u: %s has %u rows", ids[i], space->info.name,
                             space->rows.n_rows);
    return WTE_OK;
}

double wte__row_length(const wte_space *space, uint32_t id)
{
    float x[PIECE];
    double sum = 0;

    for (size_t from = 0; from < space->rows.dim; from += PIECE) {
        size_t n = piece_size(&space->rows, from);

        wte__read_piece(&space->rows, id, from, n, x);
        sum += wte__dot_f64(x, x, n);
    }
    return sqrt(sum);
}

static bool has_direction(double length)
{
    return length > 0 && isfinite(length);
}

static wte_status fail_undirected(const wte_space *space, uint32_t id, wte_error *err)
{
    size_t len = 0;
    const char *word = wte_space_word(space, id, &len);

    return wte__fail(err, WTE_E_RANGE, "row %u, '%.*s', has no direction: its length is %g", id,
                     (int)(len < 100 ? len : 100), word, wte__row_length(space, id));
}

wte_status wte__unit_row(const wte_space *space, uint32_t id, float *out, wte_error *err)
{
    double length = wte__row_length(space, id);

    if (!has_direction(length))
        return fail_undirected(space, id, err);
    wte__row_to_f32(&space->rows, id, out);
    for (size_t i = 0; i < space->rows.dim; i++)
        out[i] = (float)(out[i] / length);
    return WTE_OK;
}

/* What one pass over two rows gives. */
typedef struct pair_sums {
    double dot, xx, yy, sqdist, l1dist;
} pair_sums;

static wte_status sum_pair(const wte_space *space, uint32_t a, uint32_t b, pair_sums *out,
                           wte_error *err)
{
    const uint32_t ids[2] = {a, b};
    wte_status status = wte__check_ids(space, ids, 2, err);
    pair_sums s = {0, 0, 0, 0, 0};
    float x[PIECE], y[PIECE];

    if (status != WTE_OK)
        return status;
    for (size_t from = 0; from < space->rows.dim; from += PIECE) {
        size_t n = piece_size(&space->rows, from);

        wte__read_piece(&space->rows, a, from, n, x);
        wte__read_piece(&space->rows, b, from, n, y);
        s.dot += wte__dot_f64(x, y, n);
        s.xx += wte__dot_f64(x, x, n);
        s.yy += wte__dot_f64(y, y, n);
        s.sqdist += wte__sqdist_f64(x, y, n);
        s.l1dist += wte__l1dist_f64(x, y, n);
    }
    *out = s;
    return WTE_OK;
}

/* x.y / (|x| |y|), NaN if one of them has no direction. Rounding may not carry it beyond 1. */
static double cosine(double dot, double length_x, double length_y)
{
    double c;

    if (!has_direction(length_x) || !has_direction(length_y))
        return NAN;
    c = dot / (length_x * length_y);
    return c > 1 ? 1 : c < -1 ? -1 : c;
}

wte_status wte_similarity(const wte_space *space, uint32_t a, uint32_t b, float *out,
                          wte_error *err)
{
    pair_sums s;
    wte_status status = sum_pair(space, a, b, &s, err);

    if (status != WTE_OK)
        return status;
    *out = (float)cosine(s.dot, sqrt(s.xx), sqrt(s.yy));
    return WTE_OK;
}

wte_status wte_distance(const wte_space *space, uint32_t a, uint32_t b, wte_metric metric,
                        float *out, wte_error *err)
{
    pair_sums s;
    wte_status status = sum_pair(space, a, b, &s, err);

    if (status != WTE_OK)
        return status;
    switch (metric) {
    case WTE_COSINE:
        *out = (float)(1 - cosine(s.dot, sqrt(s.xx), sqrt(s.yy)));
        return WTE_OK;
    case WTE_EUCLIDEAN:
        *out = (float)sqrt(s.sqdist);
        return WTE_OK;
    case WTE_CITYBLOCK:
        *out = (float)s.l1dist;
        return WTE_OK;
    }
    return wte__fail(err, WTE_E_RANGE, "unknown metric %d", (int)metric);
}

/* ---- the matrix of all pairs ------------------------------------------------------------- */

typedef struct matrix_job {
    const float *x;        /* [n, dim] */
    const double *lengths; /* [n] */
    size_t n, dim;
    wte_metric metric;
    float *out; /* [n, n] */
} matrix_job;

static float matrix_entry(const matrix_job *m, size_t i, size_t j)
{
    const float *x = m->x + i * m->dim, *y = m->x + j * m->dim;

    switch (m->metric) {
    case WTE_EUCLIDEAN:
        return (float)sqrt(wte__sqdist_f64(x, y, m->dim));
    case WTE_CITYBLOCK:
        return (float)wte__l1dist_f64(x, y, m->dim);
    case WTE_COSINE:
        break;
    }
    return (float)cosine(wte__dot_f64(x, y, m->dim), m->lengths[i], m->lengths[j]);
}

/* One block of rows against all columns at or after it, and their mirror images: every entry is
 * written by one block only. A block of rows stays in the cache while the columns go by. */
static void matrix_block(void *ctx, size_t block, unsigned worker)
{
    const matrix_job *m = ctx;
    size_t begin = block * ROWS_PER_BLOCK;
    size_t end = m->n - begin < ROWS_PER_BLOCK ? m->n : begin + ROWS_PER_BLOCK;

    (void)worker;
    for (size_t j = begin; j < m->n; j++)
        for (size_t i = begin; i < end && i <= j; i++)
            m->out[i * m->n + j] = m->out[j * m->n + i] = matrix_entry(m, i, j);
}

wte_status wte_matrix(const wte_space *space, const uint32_t *ids, size_t n, wte_metric metric,
                      float *out, wte_error *err)
{
    const size_t dim = space->rows.dim;
    wte_status status = wte__check_ids(space, ids, n, err);
    float *x = NULL;
    double *lengths = NULL;
    size_t size, n_blocks = (n + ROWS_PER_BLOCK - 1) / ROWS_PER_BLOCK;

    if (status != WTE_OK)
        return status;
    if (metric != WTE_COSINE && metric != WTE_EUCLIDEAN && metric != WTE_CITYBLOCK)
        return wte__fail(err, WTE_E_RANGE, "unknown metric %d", (int)metric);
    if (!wte__mul_overflows(n, dim, &size)) {
        x = wte__calloc(size ? size : 1, sizeof *x);
        lengths = wte__calloc(n ? n : 1, sizeof *lengths);
    }
    if (!x || !lengths) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for %zu rows of %zu numbers", n, dim);
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        wte__row_to_f32(&space->rows, ids[i], x + i * dim);
        lengths[i] = sqrt(wte__dot_f64(x + i * dim, x + i * dim, dim));
    }
    wte__parallel(n_blocks, n < 256 ? 1 : wte__threads(0, n_blocks), matrix_block,
                  &(matrix_job){x, lengths, n, dim, metric, out});
done:
    wte__free(lengths);
    wte__free(x);
    return status;
}

/* ---- means ------------------------------------------------------------------------------- */

wte_status wte_mean_vector(const wte_space *space, const uint32_t *ids, const float *weights,
                           size_t n, int unit_rows, float *out, wte_error *err)
{
    const size_t dim = space->rows.dim;
    wte_status status = wte__check_ids(space, ids, n, err);
    double total = 0;

    if (status != WTE_OK)
        return status;
    if (n == 0)
        return wte__fail(err, WTE_E_RANGE, "a mean of no rows");
    for (size_t i = 0; i < n; i++) {
        if (unit_rows && !has_direction(wte__row_length(space, ids[i])))
            return fail_undirected(space, ids[i], err);
        total += weights ? fabs((double)weights[i]) : 1;
    }
    for (size_t from = 0; from < dim; from += PIECE) {
        size_t size = piece_size(&space->rows, from);
        double sum[PIECE] = {0};
        float x[PIECE];

        for (size_t i = 0; i < n; i++) {
            double weight = weights ? (double)weights[i] : 1;

            if (unit_rows)
                weight /= wte__row_length(space, ids[i]);
            wte__read_piece(&space->rows, ids[i], from, size, x);
            for (size_t j = 0; j < size; j++)
                sum[j] += weight * (double)x[j];
        }
        /* gensim: weights that are all 0 divide nothing */
        for (size_t j = 0; j < size; j++)
            out[from + j] = (float)(total > 0 ? sum[j] / total : sum[j]);
    }
    return WTE_OK;
}

static void mean_piece(const wte_space *space, const uint32_t *ids, size_t n, size_t from,
                       size_t size, double *mean)
{
    float x[PIECE];

    for (size_t j = 0; j < size; j++)
        mean[j] = 0;
    for (size_t i = 0; i < n; i++) {
        wte__read_piece(&space->rows, ids[i], from, size, x);
        for (size_t j = 0; j < size; j++)
            mean[j] += (double)x[j];
    }
    for (size_t j = 0; j < size; j++)
        mean[j] /= (double)n;
}

wte_status wte_set_similarity(const wte_space *space, const uint32_t *a, size_t n_a,
                              const uint32_t *b, size_t n_b, float *out, wte_error *err)
{
    wte_status status;
    double dot = 0, xx = 0, yy = 0;

    if (n_a == 0 || n_b == 0)
        return wte__fail(err, WTE_E_RANGE, "a set of words is empty");
    status = wte__check_ids(space, a, n_a, err);
    if (status == WTE_OK)
        status = wte__check_ids(space, b, n_b, err);
    if (status != WTE_OK)
        return status;
    for (size_t from = 0; from < space->rows.dim; from += PIECE) {
        size_t size = piece_size(&space->rows, from);
        double x[PIECE], y[PIECE];

        mean_piece(space, a, n_a, from, size, x);
        mean_piece(space, b, n_b, from, size, y);
        for (size_t j = 0; j < size; j++) {
            dot += x[j] * y[j];
            xx += x[j] * x[j];
            yy += y[j] * y[j];
        }
    }
    *out = (float)cosine(dot, sqrt(xx), sqrt(yy));
    return WTE_OK;
}

wte_status wte_odd_one_out(const wte_space *space, const uint32_t *ids, size_t n, float *scores,
                           size_t *odd, wte_error *err)
{
    const size_t dim = space->rows.dim;
    wte_status status;
    float *mean = NULL, *row = NULL;
    double length, lowest = INFINITY;

    mean = wte__calloc(dim, sizeof *mean);
    row = wte__calloc(dim, sizeof *row);
    if (!mean || !row) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for rows of %zu numbers", dim);
        goto done;
    }
    status = wte_mean_vector(space, ids, NULL, n, 1, mean, err);
    if (status != WTE_OK)
        goto done;
    length = sqrt(wte__dot_f64(mean, mean, dim));
    for (size_t i = 0; i < n; i++) {
        double c;

        status = wte__unit_row(space, ids[i], row, err);
        if (status != WTE_OK)
            goto done;
        c = cosine(wte__dot_f64(row, mean, dim), 1, length);
        /* words that cancel each other out have no middle: none is odder than the others */
        c = isnan(c) ? 0 : c;
        if (scores)
            scores[i] = (float)c;
        if (c <= lowest) {
            lowest = c;
            *odd = i;
        }
    }
done:
    wte__free(row);
    wte__free(mean);
    return status;
}
