/* SPDX-License-Identifier: MIT */
/* cka.c - centred kernel alignment
 *
 * Linear (Kornblith et al. 2019): with columns centred, CKA is XY / sqrt(XX YY), where XY is the
 * sum of squares of X'Y [p, q]: products in feature space, 768 x 768 of them for any number of
 * items. Where there are fewer items than columns the same number is the inner product of the
 * matrices XX' and YY' [n, n].
 *
 * Debiased (Song et al. 2012). In terms of the same sums, with s_i and t_i the squared lengths of
 * the centred rows,
 *
 *     XY - n / (n - 2) * sum s_i t_i + sum s * sum t / ((n - 1) (n - 2))
 *
 * takes the place of each. It is the unbiased estimator of HSIC times n (n - 3), whether or not the
 * kernels are centred first; the ratio may be negative.
 *
 * Gaussian kernels: exp(-d^2 / 2 s^2), s being a multiple of the root of the median squared
 * distance of each space. Both estimators follow from four sums, of K o L, of the product of the
 * row sums k and l, and of both matrices, so centred kernels are never made.
 *
 * Products of large inputs are of float32, summed in float64 every 256 items; smaller ones are of
 * float64 altogether. */
#include <math.h>
#include "compare/product.h"
#include "compare/rdm.h"

/* Multiplications above which float32 is worth its rounding: some 50 ms in float64. */
#define MANY 1e9

/* What the estimators need of a pair of kernels; n, and their row sums or squared lengths. */
typedef struct alignment {
    double xx, yy, xy;
} alignment;

static wte_status check(const wte_items *a, const wte_items *b, bool debiased, wte_error *err)
{
    const size_t least = debiased ? 4 : 2;
    const wte_items *both[] = {a, b};

    if (a->n != b->n)
        return wte__fail(err, WTE_E_SHAPE, "%zu of %s and %zu of %s, the same number expected",
                         a->n, wte__items_name(a), b->n, wte__items_name(b));
    if (a->n < least)
        return wte__fail(err, WTE_E_RANGE, "%zu of %s, at least %zu expected for %s CKA", a->n,
                         wte__items_name(a), least, debiased ? "debiased" : "biased");
    for (size_t s = 0; s < 2; s++) {
        wte_status status = wte__check_varied(both[s], err);

        if (status != WTE_OK)
            return status;
    }
    return WTE_OK;
}

static wte_status ratio(alignment v, double *out, wte_error *err)
{
    if (!(v.xx > 0) || !(v.yy > 0))
        return wte__fail(err, WTE_E_RANGE,
                         "the debiased self-similarity of the %s items is not above 0: too few "
                         "items, or too alike",
                         v.xx > 0 ? "second" : "first");
    *out = v.xy / sqrt(v.xx * v.yy);
    return WTE_OK;
}

/* ---- linear ------------------------------------------------------------------------------- */

typedef struct squares {
    bool upper;
    size_t n;
    double *sums; /* [n_stripes] */
} squares;

static void add_squares(void *ctx, size_t begin, size_t end, const double *c, size_t ldc)
{
    const squares *s = ctx;
    double total = 0;

    for (size_t i = begin; i < end; i++) {
        const double *row = c + (i - begin) * ldc;
        double sum = 0;

        for (size_t j = s->upper ? i + 1 : 0; j < s->n; j++)
            sum += row[j] * row[j];
        total += s->upper ? 2 * sum + row[i] * row[i] : sum;
    }
    s->sums[begin / WTE__STRIPE] = total;
}

/* Sum of squares of all products of a with b. */
static wte_status sum_squares(const wte__view *a, const wte__packed *b, bool upper,
                              unsigned n_threads, double *out, wte_error *err)
{
    const size_t n_stripes = (a->n + WTE__STRIPE - 1) / WTE__STRIPE;
    squares s = {upper, b->n, wte__calloc(n_stripes, sizeof *s.sums)};
    wte_status status;

    if (!s.sums)
        return wte__fail(err, WTE_E_NOMEM, "no memory for %zu sums", n_stripes);
    status = wte__products(a, b, upper, n_threads, NULL, add_squares, &s, err);
    *out = 0;
    for (size_t i = 0; i < n_stripes; i++)
        *out += s.sums[i];
    wte__free(s.sums);
    return status;
}

static wte_status in_feature_space(const wte_items *a, const wte_items *b, const double *means_a,
                                   const double *means_b, unsigned n_threads, alignment *out,
                                   wte_error *err)
{
    const double width = (double)a->dim + (double)b->dim;
    const bool single = (double)a->n * width * width / 2 > MANY;
    const wte__view x = {NULL, a->data, means_a, a->dim, a->n, 1, a->dim};
    const wte__view y = {NULL, b->data, means_b, b->dim, b->n, 1, b->dim};
    wte__packed packed = {0};
    wte_status status = wte__pack_b(&x, single, n_threads, &packed, err);

    if (status == WTE_OK)
        status = sum_squares(&x, &packed, true, n_threads, &out->xx, err);
    wte__packed_free(&packed);
    if (status == WTE_OK)
        status = wte__pack_b(&y, single, n_threads, &packed, err);
    if (status == WTE_OK)
        status = sum_squares(&y, &packed, true, n_threads, &out->yy, err);
    if (status == WTE_OK)
        status = sum_squares(&x, &packed, false, n_threads, &out->xy, err);
    wte__packed_free(&packed);
    return status;
}

static double inner(const double *x, const double *y, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

static wte_status in_item_space(const wte_items *a, const wte_items *b, unsigned n_threads,
                                alignment *out, wte_error *err)
{
    const wte_items *both[] = {a, b};
    const size_t n = a->n;
    double *centred[2] = {NULL}, *gram[2] = {NULL};
    wte_status status = WTE_OK;

    for (size_t s = 0; s < 2 && status == WTE_OK; s++) {
        centred[s] = wte__centred(both[s]);
        gram[s] = wte__calloc(n, n * sizeof *gram[s]);
        if (!centred[s] || !gram[s]) {
            status = wte__fail(err, WTE_E_NOMEM, "no memory for products of %zu items", n);
            break;
        }
        const size_t dim = both[s]->dim;
        const wte__view rows = {centred[s], NULL, NULL, n, dim, dim, 1};

        status = wte__multiply(&rows, &rows, n_threads, gram[s], err);
    }
    if (status == WTE_OK) {
        out->xx = inner(gram[0], gram[0], n * n);
        out->yy = inner(gram[1], gram[1], n * n);
        out->xy = inner(gram[0], gram[1], n * n);
    }
    for (size_t s = 0; s < 2; s++) {
        wte__free(gram[s]);
        wte__free(centred[s]);
    }
    return status;
}

/* Squared lengths of the rows less the means. */
typedef struct lengths {
    const wte_items *items;
    const double *means;
    double *out; /* [n] */
} lengths;

enum { ROWS = 256 /* that a thread takes at once */ };

static void add_lengths(void *ctx, size_t block, unsigned worker)
{
    const lengths *l = ctx;
    const size_t dim = l->items->dim, n = l->items->n;
    const size_t end = n - block * ROWS < ROWS ? n : (block + 1) * ROWS;

    (void)worker;
    for (size_t i = block * ROWS; i < end; i++) {
        const float *row = l->items->data + i * dim;
        double sum = 0;

        for (size_t j = 0; j < dim; j++)
            sum += ((double)row[j] - l->means[j]) * ((double)row[j] - l->means[j]);
        l->out[i] = sum;
    }
}

static void squared_lengths(const wte_items *items, const double *means, unsigned n_threads,
                            double *out)
{
    const size_t n_blocks = (items->n + ROWS - 1) / ROWS;
    lengths l = {items, means, out};

    wte__parallel(n_blocks, wte__threads(n_threads, n_blocks), add_lengths, &l);
}

static double total(const double *x, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

static double debias(double xy, const double *s, const double *t, size_t items)
{
    const double n = (double)items;

    return xy - n / (n - 2) * inner(s, t, items) +
           total(s, items) * total(t, items) / ((n - 1) * (n - 2));
}

static wte_status linear(const wte_items *a, const wte_items *b, bool debiased, unsigned n_threads,
                         alignment *out, wte_error *err)
{
    const size_t n = a->n;
    double *means_a = wte__calloc(a->dim, sizeof *means_a);
    double *means_b = wte__calloc(b->dim, sizeof *means_b);
    double *s = wte__calloc(n, sizeof *s), *t = wte__calloc(n, sizeof *t);
    wte_status status = WTE_OK;

    if (!means_a || !means_b || !s || !t) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for means of %zu and %zu numbers", a->dim,
                           b->dim);
        goto done;
    }
    wte__column_means(a, means_a);
    wte__column_means(b, means_b);
    if (n < (a->dim + b->dim) / 2)
        status = in_item_space(a, b, n_threads, out, err);
    else
        status = in_feature_space(a, b, means_a, means_b, n_threads, out, err);
    if (status == WTE_OK && debiased) {
        squared_lengths(a, means_a, n_threads, s);
        squared_lengths(b, means_b, n_threads, t);
        out->xx = debias(out->xx, s, s, n);
        out->yy = debias(out->yy, t, t, n);
        out->xy = debias(out->xy, s, t, n);
    }
done:
    wte__free(t);
    wte__free(s);
    wte__free(means_b);
    wte__free(means_a);
    return status;
}

/* ---- Gaussian ----------------------------------------------------------------------------- */

/* The number that k of m numbers, none negative, are smaller than or equal to: their bits are in
 * their order, and are found 16 at a time. */
static double kth(const double *x, size_t m, size_t k, size_t *histogram)
{
    uint64_t found = 0;
    double value;

    for (int shift = 48; shift >= 0; shift -= 16) {
        size_t digit = 0;

        memset(histogram, 0, 65536 * sizeof *histogram);
        for (size_t i = 0; i < m; i++) {
            uint64_t bits;

            memcpy(&bits, &x[i], sizeof bits);
            if (shift == 48 || bits >> (shift + 16) == found)
                histogram[(bits >> shift) & 65535]++;
        }
        for (; k >= histogram[digit]; digit++)
            k -= histogram[digit];
        found = found << 16 | digit;
    }
    memcpy(&value, &found, sizeof value);
    return value;
}

static wte_status median(const double *x, size_t m, double *out, wte_error *err)
{
    size_t *histogram = wte__calloc(65536, sizeof *histogram);

    if (!histogram)
        return wte__fail(err, WTE_E_NOMEM, "no memory for a median of %zu numbers", m);
    *out = (kth(x, m, (m - 1) / 2, histogram) + kth(x, m, m / 2, histogram)) / 2;
    wte__free(histogram);
    return WTE_OK;
}

typedef struct exponents {
    double *x;
    size_t m;
    double factor;
} exponents;

enum { NUMBERS = 1 << 14 };

static void exponentiate(void *ctx, size_t block, unsigned worker)
{
    const exponents *e = ctx;
    const size_t end = e->m - block * NUMBERS < NUMBERS ? e->m : (block + 1) * NUMBERS;

    (void)worker;
    for (size_t i = block * NUMBERS; i < end; i++)
        e->x[i] = exp(e->factor * e->x[i]);
}

/* The upper triangle of a Gaussian kernel. */
static wte_status kernel(const wte_items *items, double multiple, unsigned n_threads, double *out,
                         wte_error *err)
{
    const size_t m = items->n * (items->n - 1) / 2, n_blocks = (m + NUMBERS - 1) / NUMBERS;
    exponents e = {out, m, 0};
    double middle = 0;
    wte_status status = wte_rdm(items, WTE_RDM_SQEUCLIDEAN, n_threads, out, err);

    if (status == WTE_OK)
        status = median(out, m, &middle, err);
    if (status != WTE_OK)
        return status;
    if (!(middle > 0))
        return wte__fail(err, WTE_E_RANGE,
                         "more than half of the pairs of %s are equal: a bandwidth by the median "
                         "distance is 0",
                         wte__items_name(items));
    e.factor = -1 / (2 * multiple * multiple * middle);
    wte__parallel(n_blocks, wte__threads(n_threads, n_blocks), exponentiate, &e);
    return WTE_OK;
}

static void row_sums(const double *triangle, size_t n, double diagonal, double *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = diagonal;
    for (size_t i = 0, at = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++, at++) {
            out[i] += triangle[at];
            out[j] += triangle[at];
        }
}

/* HSIC of two kernels, up to a factor that is the same for all of n items. */
static double hsic(const double *x, const double *y, const double *k, const double *l, size_t items,
                   bool debiased)
{
    const double n = (double)items, both = total(k, items) * total(l, items);
    const double off = 2 * inner(x, y, items * (items - 1) / 2);

    if (debiased)
        return off + both / ((n - 1) * (n - 2)) - 2 / (n - 2) * inner(k, l, items);
    return off + n - 2 / n * inner(k, l, items) + both / (n * n);
}

static wte_status gaussian(const wte_items *a, const wte_items *b, double multiple, bool debiased,
                           unsigned n_threads, alignment *out, wte_error *err)
{
    const size_t n = a->n, m = n * (n - 1) / 2;
    double *x = NULL, *y = NULL, *k = NULL, *l = NULL;
    wte_status status;

    if (n > WTE_DENSE_LIMIT)
        return wte__fail(err, WTE_E_RANGE,
                         "%zu items, at most %d expected for a Gaussian kernel: take a sample", n,
                         WTE_DENSE_LIMIT);
    x = wte__calloc(m, sizeof *x);
    y = wte__calloc(m, sizeof *y);
    k = wte__calloc(n, sizeof *k);
    l = wte__calloc(n, sizeof *l);
    if (!x || !y || !k || !l) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for kernels of %zu items", n);
        goto done;
    }
    status = kernel(a, multiple, n_threads, x, err);
    if (status == WTE_OK)
        status = kernel(b, multiple, n_threads, y, err);
    if (status != WTE_OK)
        goto done;
    row_sums(x, n, debiased ? 0 : 1, k);
    row_sums(y, n, debiased ? 0 : 1, l);
    out->xx = hsic(x, x, k, k, n, debiased);
    out->yy = hsic(y, y, l, l, n, debiased);
    out->xy = hsic(x, y, k, l, n, debiased);
done:
    wte__free(l);
    wte__free(k);
    wte__free(y);
    wte__free(x);
    return status;
}

wte_status wte_cka(const wte_items *a, const wte_items *b, double rbf, int debiased,
                   unsigned n_threads, double *out, wte_error *err)
{
    alignment v = {0};
    wte_status status = check(a, b, debiased != 0, err);

    if (status == WTE_OK && !(rbf >= 0 && isfinite(rbf)))
        status = wte__fail(err, WTE_E_RANGE, "a bandwidth of %g medians, above 0 expected", rbf);
    if (status == WTE_OK && rbf > 0)
        status = gaussian(a, b, rbf, debiased != 0, n_threads, &v, err);
    else if (status == WTE_OK)
        status = linear(a, b, debiased != 0, n_threads, &v, err);
    return status == WTE_OK ? ratio(v, out, err) : status;
}
