/* SPDX-License-Identifier: MIT */
/* transform.c - spaces made from spaces
 *
 * The rows are widened into one float32 matrix, each transform works on that in place, and the
 * result becomes a space that shares its parent's words. Arithmetic inside a transform is float64;
 * between two transforms the matrix is float32, so "center" then "abtt:1" differs from "abtt:1"
 * (which centres too) in the last bits only.
 *
 * All-but-the-top: Mu and Viswanath 2018, arXiv:1702.01417. They take d about dim / 100. */
#include "wte/transform.h"
#include <math.h>
#include <stdlib.h>
#include "kernel/kernel.h"
#include "space/geometry.h"
#include "space/pca.h"

enum { ROWS_PER_BLOCK = 1024, MAX_NAME = 256 };

static const struct {
    const char *name;
    wte_transform_kind kind;
    bool counts; /* takes ":D" */
} kinds[] = {{"center", WTE_CENTER, false},
             {"abtt", WTE_ABTT, true},
             {"unit", WTE_UNIT, false},
             {"pca", WTE_PCA, true}};

enum { N_KINDS = sizeof kinds / sizeof *kinds };

static wte_status fail_unknown(const char *text, size_t n, wte_error *err)
{
    return wte__fail(err, WTE_E_RANGE,
                     "unknown transform '%.*s', expected center, abtt:D, unit or pca:D", (int)n,
                     text);
}

/* One transform, text[0..n). */
static wte_status parse_one(const char *text, size_t n, wte_transform *out, wte_error *err)
{
    const char *colon = memchr(text, ':', n);
    size_t length = colon ? (size_t)(colon - text) : n, d = 0;

    for (size_t i = 0; i < N_KINDS; i++) {
        if (strlen(kinds[i].name) != length || memcmp(kinds[i].name, text, length) != 0)
            continue;
        if (kinds[i].counts != (colon != NULL))
            break;
        for (size_t at = length + 1; at < n; at++) {
            if (text[at] < '0' || text[at] > '9' || d > SIZE_MAX / 10 - 1)
                return fail_unknown(text, n, err);
            d = 10 * d + (size_t)(text[at] - '0');
        }
        if (kinds[i].counts && d == 0)
            return wte__fail(err, WTE_E_RANGE, "'%.*s': at least 1 component expected", (int)n,
                             text);
        *out = (wte_transform){kinds[i].kind, d};
        return WTE_OK;
    }
    return fail_unknown(text, n, err);
}

wte_status wte_transform_parse(const char *text, wte_transform *out, size_t max, size_t *out_n,
                               wte_error *err)
{
    size_t n = 0;

    for (const char *next = text;; n++) {
        size_t length = strcspn(next, ",");
        wte_status status;

        if (n == max)
            return wte__fail(err, WTE_E_RANGE, "'%s': more than %zu transforms", text, max);
        status = parse_one(next, length, &out[n], err);
        if (status != WTE_OK)
            return status;
        next += length;
        if (*next++ == '\0')
            break;
    }
    *out_n = n + 1;
    return WTE_OK;
}

/* ---- applying ---------------------------------------------------------------------------- */

typedef struct work {
    const wte__rows *source; /* to copy from */
    float *matrix;           /* [n, dim] */
    float *narrower;         /* [n, d] of PCA */
    size_t n, dim, d;
    wte_transform_kind kind;
    const wte__components *c;
    float *scratch; /* [n_workers, dim] */
    double *row;    /* [n_workers, dim] */
    wte__progress *progress;
} work;

static size_t block_end(const work *w, size_t block)
{
    size_t begin = block * ROWS_PER_BLOCK;

    return w->n - begin < ROWS_PER_BLOCK ? w->n : begin + ROWS_PER_BLOCK;
}

static void copy_block(void *ctx, size_t block, unsigned worker)
{
    const work *w = ctx;

    (void)worker;
    for (size_t i = block * ROWS_PER_BLOCK; i < block_end(w, block); i++)
        wte__row_to_f32(w->source, i, w->matrix + i * w->dim);
}

static double coordinate(const work *w, const double *row, size_t component)
{
    const double *u = w->c->vectors + component * w->dim;
    double sum = 0;

    for (size_t i = 0; i < w->dim; i++)
        sum += row[i] * u[i];
    return sum;
}

/* x less its mean and its part along the components. */
static void remove_components(const work *w, double *row, float *out)
{
    for (size_t c = 0; c < w->d; c++) {
        const double *u = w->c->vectors + c * w->dim;
        double along = coordinate(w, row, c);

        for (size_t i = 0; i < w->dim; i++)
            row[i] -= along * u[i];
    }
    for (size_t i = 0; i < w->dim; i++)
        out[i] = (float)row[i];
}

static void scale_row(float *x, size_t dim)
{
    double length = sqrt(wte__dot_f64(x, x, dim));

    if (!(length > 0) || !isfinite(length))
        return;
    for (size_t i = 0; i < dim; i++)
        x[i] = (float)(x[i] / length);
}

static wte__rows rows_of(const work *w)
{
    return (wte__rows){(const unsigned char *)w->matrix,
                       NULL,
                       w->dim * sizeof(float),
                       WTE_F32,
                       (uint32_t)w->n,
                       w->dim};
}

static void apply_block(void *ctx, size_t block, unsigned worker)
{
    const work *w = ctx;
    const wte__rows rows = rows_of(w);
    float *scratch = w->scratch + worker * w->dim;
    double *row = w->row + worker * w->dim;

    if (wte__progress_add(w->progress, 0, worker))
        return;
    for (size_t i = block * ROWS_PER_BLOCK; i < block_end(w, block); i++) {
        float *x = w->matrix + i * w->dim;

        if (w->kind == WTE_UNIT) {
            scale_row(x, w->dim);
        } else {
            bool finite = wte__centred_row(&rows, i, w->c->mean, scratch, row);

            if (w->kind == WTE_PCA)
                for (size_t j = 0; j < w->d; j++)
                    w->narrower[i * w->d + j] = finite ? (float)coordinate(w, row, j) : NAN;
            else if (finite)
                remove_components(w, row, x);
        }
    }
    wte__progress_add(w->progress, block_end(w, block) - block * ROWS_PER_BLOCK, worker);
}

/* Apply one transform to the matrix of w, which may become another, narrower one. */
static wte_status apply(work *w, const wte_transform *t, unsigned n_threads,
                        wte__progress *progress, wte_error *err)
{
    const wte__rows rows = rows_of(w);
    const wte__sample sample = {&rows, NULL, w->n, n_threads, progress};
    const size_t n_blocks = (w->n + ROWS_PER_BLOCK - 1) / ROWS_PER_BLOCK;
    const unsigned n_workers = wte__threads(n_threads, n_blocks);
    wte__components c = {0};
    wte_status status = WTE_OK;

    w->kind = t->kind;
    w->d = t->kind == WTE_ABTT || t->kind == WTE_PCA ? t->d : 0;
    w->c = &c;
    w->scratch = NULL;
    w->row = NULL;
    w->narrower = NULL;
    if (t->kind != WTE_UNIT)
        status = wte__components_init(&c, &sample, w->d, err);
    if (status != WTE_OK)
        return status;
    w->scratch = wte__calloc(n_workers, w->dim * sizeof *w->scratch);
    w->row = wte__calloc(n_workers, w->dim * sizeof *w->row);
    if (t->kind == WTE_PCA)
        w->narrower = wte__alloc_aligned(w->n + 1, w->d * sizeof *w->narrower);
    if (!w->scratch || !w->row || (t->kind == WTE_PCA && !w->narrower)) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory to transform rows of %zu numbers", w->dim);
        goto done;
    }
    wte__parallel(n_blocks, n_workers, apply_block, w);
    if (wte__progress_add(progress, 0, 0)) {
        status = wte__fail(err, WTE_E_CANCELLED, "transform cancelled");
        goto done;
    }
    if (t->kind == WTE_PCA) {
        wte__free(w->matrix);
        w->matrix = w->narrower;
        w->narrower = NULL;
        w->dim = w->d;
    }
done:
    wte__free(w->narrower);
    wte__free(w->row);
    wte__free(w->scratch);
    wte__components_free(&c);
    return status;
}

static wte_status check(const wte_transform *transforms, size_t n, size_t dim, wte_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (transforms[i].kind == WTE_CENTER || transforms[i].kind == WTE_UNIT)
            continue;
        if (transforms[i].kind != WTE_ABTT && transforms[i].kind != WTE_PCA)
            return wte__fail(err, WTE_E_RANGE, "unknown transform %d", (int)transforms[i].kind);
        if (transforms[i].d == 0 || transforms[i].d > dim)
            return wte__fail(err, WTE_E_RANGE, "%zu components of %zu dimensions, 1..%zu expected",
                             transforms[i].d, dim, dim);
        if (transforms[i].kind == WTE_PCA)
            dim = transforms[i].d;
    }
    return WTE_OK;
}

/* "center,abtt:3", for people. */
static void describe(const wte_transform *transforms, size_t n, char *out, size_t size)
{
    size_t used = 0;

    *out = '\0';
    for (size_t i = 0; i < n && used < size; i++) {
        const char *name = "";
        int length;

        for (size_t k = 0; k < N_KINDS; k++)
            if (kinds[k].kind == transforms[i].kind)
                name = kinds[k].name;
        if (transforms[i].kind == WTE_ABTT || transforms[i].kind == WTE_PCA)
            length = snprintf(out + used, size - used, "%s%s:%zu", i ? "," : "transformed: ", name,
                              transforms[i].d);
        else
            length = snprintf(out + used, size - used, "%s%s", i ? "," : "transformed: ", name);
        used += length > 0 ? (size_t)length : 0;
    }
}

/* Passes over the rows that a list of transforms takes. */
static uint64_t count_passes(const wte_transform *transforms, size_t n)
{
    uint64_t passes = 0;

    for (size_t i = 0; i < n; i++)
        passes += transforms[i].kind == WTE_UNIT ? 1 : transforms[i].kind == WTE_CENTER ? 2 : 3;
    return passes;
}

wte_status wte_space_transform(const wte_space *space, const wte_transform *transforms, size_t n,
                               const wte_open_options *options, wte_space **out, wte_error *err)
{
    const wte_open_options defaults = WTE_OPEN_DEFAULTS;
    work w = {.source = &space->rows, .n = space->rows.n_rows, .dim = space->rows.dim};
    const size_t n_blocks = (w.n + ROWS_PER_BLOCK - 1) / ROWS_PER_BLOCK;
    char note[MAX_NAME];
    wte__progress progress;
    size_t size = 0;
    wte_status status = check(transforms, n, w.dim, err);

    if (status != WTE_OK)
        return status;
    options = options ? options : &defaults;
    if (!wte__mul_overflows(w.n, w.dim, &size))
        w.matrix = wte__alloc_aligned(size + 1, sizeof *w.matrix);
    if (!w.matrix)
        return wte__fail(err, WTE_E_NOMEM, "no memory for a matrix [%zu, %zu]", w.n, w.dim);
    wte__progress_begin(&progress, options->progress, options->progress_data, "transforming rows",
                        w.n * count_passes(transforms, n));
    w.progress = &progress;
    wte__parallel(n_blocks, wte__threads(options->n_threads, n_blocks), copy_block, &w);
    for (size_t i = 0; i < n && status == WTE_OK; i++)
        status = apply(&w, &transforms[i], options->n_threads, &progress, err);
    if (wte__progress_end(&progress) && status == WTE_OK)
        status = wte__fail(err, WTE_E_CANCELLED, "transform cancelled");
    if (status != WTE_OK) {
        wte__free(w.matrix);
        return status;
    }
    describe(transforms, n, note, sizeof note);
    status = wte__space_derive(space, w.matrix, w.dim, note, options->n_threads, out, err);
    if (status != WTE_OK)
        wte__free(w.matrix);
    return status;
}
