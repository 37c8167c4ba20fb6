/* SPDX-License-Identifier: MIT */
/* comparison.c - Pearson, Spearman, Kendall and the rest, of two triangles or of a sample of them
 *
 * A bootstrap asks for the same number thousands of times, of samples in which every item has a
 * count. Nothing is copied for that: sums go over the triangle's rows with the counts as weights,
 * skipping the third of the items that is not in the sample. Ranks are of the sample, too: the
 * whole list is sorted once, and a pass in that order gives the mid-ranks of any sample.
 *
 * Pearson, Spearman and their partial forms are one function. It sums the covariances of all lists
 * and takes out the nuisances by Gauss's elimination, which leaves the covariance of the residuals
 * (a Schur complement); a nuisance that the others explain is passed over. rho-a is Schuett et al.
 * 2023's: the mean of Spearman's over all ways of breaking ties.
 *
 * The whitened cosine (Diedrichsen et al. 2020, unit noise covariance) is the cosine of -d/2 after
 * the means of rows and columns are taken away, off-diagonals counting twice: linear CKA, where d
 * is squared distance. In a sample the means are over the pairs that are left and the diagonal. */
#include "compare/comparison.h"
#include <math.h>
#include "compare/rdm.h"
#include "kernel/kernel.h"

/* What is left of a variance, in parts of it, where there is nothing but rounding. */
#define NOTHING 1e-12

static bool uses_ranks(wte_comparator comparator)
{
    return comparator == WTE_COMPARE_SPEARMAN || comparator == WTE_COMPARE_RHO_A ||
           comparator == WTE_COMPARE_TAU_A || comparator == WTE_COMPARE_TAU_B;
}

static bool is_tau(wte_comparator comparator)
{
    return comparator == WTE_COMPARE_TAU_A || comparator == WTE_COMPARE_TAU_B;
}

const char *wte_comparator_name(wte_comparator comparator)
{
    static const char *const names[] = {
        [WTE_COMPARE_PEARSON] = "pearson",
        [WTE_COMPARE_COSINE] = "cosine",
        [WTE_COMPARE_SPEARMAN] = "spearman",
        [WTE_COMPARE_RHO_A] = "rho-a",
        [WTE_COMPARE_TAU_A] = "kendall tau-a",
        [WTE_COMPARE_TAU_B] = "kendall tau-b",
        [WTE_COMPARE_WHITENED_COSINE] = "whitened cosine",
    };
    const size_t at = (size_t)comparator;

    return at < sizeof names / sizeof *names ? names[at] : "unknown comparator";
}

bool wte__is_constant(const double *x, size_t m, double rounding)
{
    double low = INFINITY, high = -INFINITY;

    for (size_t i = 0; i < m; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    return !(high - low > rounding);
}

/* ---- preparation -------------------------------------------------------------------------- */

static void moments_of(const double *x, size_t m, double *mean, double *deviation)
{
    double sum = 0, squares = 0;

    for (size_t i = 0; i < m; i++)
        sum += x[i];
    *mean = sum / (double)m;
    for (size_t i = 0; i < m; i++)
        squares += (x[i] - *mean) * (x[i] - *mean);
    *deviation = sqrt(squares / (double)m);
}

/* Which items an entry is of. */
static bool list_pairs(wte__comparison *c)
{
    c->first = wte__calloc(c->m, sizeof *c->first);
    c->second = wte__calloc(c->m, sizeof *c->second);
    if (!c->first || !c->second)
        return false;
    for (size_t i = 0, at = 0; i < c->n; i++)
        for (size_t j = i + 1; j < c->n; j++, at++) {
            c->first[at] = (uint32_t)i;
            c->second[at] = (uint32_t)j;
        }
    return true;
}

wte_status wte__comparison_init(wte__comparison *c, wte_comparator comparator, size_t n, size_t m,
                                const double *const *lists, size_t n_lists, wte_error *err)
{
    wte_status status = WTE_OK;

    *c = (wte__comparison){.comparator = comparator, .n = n, .m = m, .n_lists = n_lists};
    for (size_t l = 0; l < n_lists; l++) {
        c->lists[l] = lists[l];
        moments_of(lists[l], m, &c->shift[l], &c->scale[l]);
    }
    for (size_t l = 0; l < n_lists && uses_ranks(comparator) && status == WTE_OK; l++)
        status = wte__ranking_init(&c->rankings[l], lists[l], m, err);
    if (status == WTE_OK && uses_ranks(comparator) && n > 0 && !list_pairs(c))
        status = wte__fail(err, WTE_E_NOMEM, "no memory for %zu pairs", m);
    if (status != WTE_OK)
        wte__comparison_free(c);
    return status;
}

void wte__comparison_free(wte__comparison *c)
{
    for (size_t l = 0; l < c->n_lists; l++)
        wte__ranking_free(&c->rankings[l]);
    wte__free(c->second);
    wte__free(c->first);
    c->first = c->second = NULL;
}

wte_status wte__comparing_init(wte__comparing *s, const wte__comparison *c, wte_error *err)
{
    const wte_comparator comparator = c->comparator;
    bool there;

    *s = (wte__comparing){0};
    there = (s->shares = wte__calloc(c->n, sizeof *s->shares));
    if (uses_ranks(comparator))
        there = there && (s->weights = wte__calloc(c->m, sizeof *s->weights));
    if (comparator == WTE_COMPARE_SPEARMAN || comparator == WTE_COMPARE_RHO_A)
        there = there && (s->ranks = wte__calloc(c->n_lists, c->m * sizeof *s->ranks));
    if (is_tau(comparator))
        there = there && (s->entries = wte__calloc(2, c->m * sizeof *s->entries));
    if (comparator == WTE_COMPARE_WHITENED_COSINE)
        there = there && (s->means = wte__calloc(2, c->n * sizeof *s->means));
    if (there)
        return WTE_OK;
    wte__comparing_free(s);
    return wte__fail(err, WTE_E_NOMEM, "no memory to compare lists of %zu numbers", c->m);
}

void wte__comparing_free(wte__comparing *s)
{
    wte__free(s->shares);
    wte__free(s->means);
    wte__free(s->entries);
    wte__free(s->ranks);
    wte__free(s->weights);
    *s = (wte__comparing){0};
}

/* ---- sums over pairs ---------------------------------------------------------------------- */

/* Weights and sums of products of two lists less their shifts. */
typedef struct sums {
    double w, x, y, xx, yy, xy;
} sums;

static void add_row(sums *s, const double *x, const double *y, const double shift[2],
                    const double *counts, double weight, size_t n)
{
    double row[6];

    wte__kernel()->moments(counts, x, y, shift, n, row);
    s->w += weight * row[0];
    s->x += weight * row[1];
    s->y += weight * row[2];
    s->xx += weight * row[3];
    s->yy += weight * row[4];
    s->xy += weight * row[5];
}

/* `shares`: the items' counts, or NULL. */
static sums sum_pairs(const wte__comparison *c, const double *x, const double *y,
                      const double shift[2], const double *shares)
{
    enum { BLOCK = 256 };
    double ones[BLOCK];
    sums s = {0};

    for (size_t i = 0; i + 1 < c->n && shares; i++)
        if (shares[i] > 0) {
            const size_t at = wte__pair(c->n, i, i + 1);

            add_row(&s, x + at, y + at, shift, shares + i + 1, shares[i], c->n - i - 1);
        }
    if (shares)
        return s;
    for (size_t i = 0; i < BLOCK; i++)
        ones[i] = 1;
    for (size_t at = 0; at < c->m; at += BLOCK)
        add_row(&s, x + at, y + at, shift, ones, 1, c->m - at < BLOCK ? c->m - at : BLOCK);
    return s;
}

/* Correlation of the residuals, from the covariances of all lists; false where nothing is left. */
static bool partial(double covariance[WTE__MAX_LISTS][WTE__MAX_LISTS], size_t n_lists,
                    const double *scale, double *out)
{
    double variance[2], product;

    for (size_t z = n_lists; z-- > 2;) {
        const double pivot = covariance[z][z];

        if (!(pivot > NOTHING * scale[z] * scale[z]))
            continue;
        for (size_t i = 0; i < z; i++)
            for (size_t j = 0; j < z; j++)
                covariance[i][j] -= covariance[i][z] * covariance[z][j] / pivot;
    }
    variance[0] = covariance[0][0];
    variance[1] = covariance[1][1];
    if (!(variance[0] > NOTHING * scale[0] * scale[0]) ||
        !(variance[1] > NOTHING * scale[1] * scale[1]))
        return false;
    product = covariance[0][1] / sqrt(variance[0] * variance[1]);
    *out = product > 1 ? 1 : product < -1 ? -1 : product;
    return true;
}

static bool correlate(const wte__comparison *c, const double *const *lists, const double *shift,
                      const double *scale, const double *shares, double *out)
{
    double covariance[WTE__MAX_LISTS][WTE__MAX_LISTS];

    for (size_t i = 0; i < c->n_lists; i++)
        for (size_t j = i + 1; j < c->n_lists; j++) {
            const double both[2] = {shift[i], shift[j]};
            const sums s = sum_pairs(c, lists[i], lists[j], both, shares);

            if (!(s.w > 1))
                return false;
            covariance[i][j] = covariance[j][i] = s.xy / s.w - s.x / s.w * (s.y / s.w);
            covariance[i][i] = s.xx / s.w - s.x / s.w * (s.x / s.w);
            covariance[j][j] = s.yy / s.w - s.y / s.w * (s.y / s.w);
        }
    return partial(covariance, c->n_lists, scale, out);
}

static bool cosine(const wte__comparison *c, const double *shares, double *out)
{
    const double zero[2] = {0};
    const sums s = sum_pairs(c, c->lists[0], c->lists[1], zero, shares);

    if (!(s.xx > 0) || !(s.yy > 0))
        return false;
    *out = s.xy / sqrt(s.xx * s.yy);
    return true;
}

/* ---- ranks -------------------------------------------------------------------------------- */

static const uint32_t *weigh(const wte__comparison *c, const uint32_t *counts, wte__comparing *s)
{
    if (!counts)
        return NULL;
    for (size_t i = 0, at = 0; i < c->n; i++)
        for (size_t j = i + 1; j < c->n; j++)
            s->weights[at++] = counts[i] * counts[j];
    return s->weights;
}

static double total_weight(const uint32_t *weights, size_t m)
{
    double total = 0;

    for (size_t i = 0; i < m && weights; i++)
        total += (double)weights[i];
    return weights ? total : (double)m;
}

static bool correlate_ranks(const wte__comparison *c, const uint32_t *counts, wte__comparing *s,
                            const double *shares, double *out)
{
    const uint32_t *weights = weigh(c, counts, s);
    const double w = total_weight(weights, c->m), middle = (w + 1) / 2;
    const double *lists[WTE__MAX_LISTS];
    double shift[WTE__MAX_LISTS], scale[WTE__MAX_LISTS];

    for (size_t l = 0; l < c->n_lists; l++) {
        wte__weighted_ranks(&c->rankings[l], weights, s->ranks + l * c->m);
        lists[l] = s->ranks + l * c->m;
        shift[l] = middle;
        scale[l] = w;
    }
    if (c->comparator == WTE_COMPARE_RHO_A) {
        const sums sum = sum_pairs(c, lists[0], lists[1], shift, shares);

        if (!(w > 1))
            return false;
        *out = 12 * sum.xy / (w * w * w - w);
        return true;
    }
    return correlate(c, lists, shift, scale, shares, out);
}

wte__concordance wte__kendall(const wte__comparison *c, const uint32_t *counts, wte__comparing *s)
{
    const uint32_t *weights = weigh(c, counts, s);
    const wte__ranking *a = &c->rankings[0], *b = &c->rankings[1];
    size_t n = 0;

    for (size_t i = 0; i < c->m; i++) {
        const uint32_t at = a->order[i], weight = weights ? weights[at] : 1;

        if (weight > 0)
            s->entries[n++] = (wte__entry){a->group[at], b->group[at], weight};
    }
    return wte__count_concordance(s->entries, s->entries + c->m, n);
}

bool wte__tau(const wte__concordance *counted, bool tau_b, double *out)
{
    const double a = counted->pairs - counted->tied[0], b = counted->pairs - counted->tied[1];
    const double untied = tau_b ? sqrt(a) * sqrt(b) : counted->pairs;

    if (!(untied > 0))
        return false;
    *out = counted->score / untied;
    return true;
}

static bool kendall(const wte__comparison *c, const uint32_t *counts, wte__comparing *s,
                    double *out)
{
    const wte__concordance counted = wte__kendall(c, counts, s);

    return wte__tau(&counted, c->comparator == WTE_COMPARE_TAU_B, out);
}

/* ---- whitened cosine ---------------------------------------------------------------------- */

static double share(const double *shares, size_t i)
{
    return shares ? shares[i] : 1;
}

/* Means of the rows of -d/2, a diagonal of 0 among them; returns that of all. */
static double row_means(const double *triangle, size_t n, const double *shares, double *means)
{
    double total = 0, entries = 0, all = 0;

    memset(means, 0, n * sizeof *means);
    for (size_t i = 0, at = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++, at++) {
            means[i] -= share(shares, j) * triangle[at] / 2;
            means[j] -= share(shares, i) * triangle[at] / 2;
        }
    for (size_t i = 0; i < n; i++)
        all += share(shares, i);
    for (size_t i = 0; i < n; i++) {
        const double count = share(shares, i), there = all - count + 1;

        total += count * means[i];
        entries += count * there;
        means[i] /= there;
    }
    return total / entries;
}

static bool whitened(const wte__comparison *c, const double *shares, wte__comparing *s, double *out)
{
    const double *x = c->lists[0], *y = c->lists[1];
    double *mean_x = s->means, *mean_y = s->means + c->n;
    const double all_x = row_means(x, c->n, shares, mean_x);
    const double all_y = row_means(y, c->n, shares, mean_y);
    double xx = 0, yy = 0, xy = 0;

    for (size_t i = 0, at = 0; i < c->n; i++) {
        const double count = share(shares, i);
        const double g = all_x - 2 * mean_x[i], h = all_y - 2 * mean_y[i];

        xx += count * g * g;
        yy += count * h * h;
        xy += count * g * h;
        for (size_t j = i + 1; j < c->n; j++, at++) {
            const double weight = 2 * count * share(shares, j);
            const double u = -x[at] / 2 - mean_x[i] - mean_x[j] + all_x;
            const double v = -y[at] / 2 - mean_y[i] - mean_y[j] + all_y;

            xx += weight * u * u;
            yy += weight * v * v;
            xy += weight * u * v;
        }
    }
    if (!(xx > 0) || !(yy > 0))
        return false;
    *out = xy / sqrt(xx * yy);
    return true;
}

void wte__double_centre(const double *triangle, size_t n, double *out)
{
    for (size_t i = 0; i < n; i++) {
        out[i * n + i] = 0;
        for (size_t j = i + 1; j < n; j++)
            out[i * n + j] = out[j * n + i] = -triangle[wte__pair(n, i, j)] / 2;
    }
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < n; i++) {
            double mean = 0;

            for (size_t j = 0; j < n; j++)
                mean += pass ? out[j * n + i] : out[i * n + j];
            mean /= (double)n;
            for (size_t j = 0; j < n; j++)
                out[pass ? j * n + i : i * n + j] -= mean;
        }
}

/* ---- all ---------------------------------------------------------------------------------- */

static size_t different(const uint32_t *counts, size_t n)
{
    size_t there = 0;

    for (size_t i = 0; i < n; i++)
        there += counts[i] > 0;
    return there;
}

bool wte__compare(const wte__comparison *c, const uint32_t *counts, wte__comparing *s, double *out)
{
    const double *shares = counts ? s->shares : NULL;

    if (counts && different(counts, c->n) < 3)
        return false;
    for (size_t i = 0; i < c->n && counts; i++)
        s->shares[i] = (double)counts[i];
    switch (c->comparator) {
    case WTE_COMPARE_PEARSON:
        return correlate(c, c->lists, c->shift, c->scale, shares, out);
    case WTE_COMPARE_COSINE:
        return cosine(c, shares, out);
    case WTE_COMPARE_SPEARMAN:
    case WTE_COMPARE_RHO_A:
        return correlate_ranks(c, counts, s, shares, out);
    case WTE_COMPARE_TAU_A:
    case WTE_COMPARE_TAU_B:
        return kendall(c, counts, s, out);
    case WTE_COMPARE_WHITENED_COSINE:
        return whitened(c, shares, s, out);
    }
    return false;
}

/* Items of a triangle of m entries, 0 if there is none of that length. */
static size_t items_of(size_t m)
{
    size_t n = (size_t)((1 + sqrt(1 + 8 * (double)m)) / 2);

    while (n * (n - 1) / 2 < m)
        n++;
    return n * (n - 1) / 2 == m ? n : 0;
}

wte_status wte_compare_lists(const double *a, const double *b, size_t m, wte_comparator comparator,
                             double *out, wte_error *err)
{
    const double *const lists[2] = {a, b};
    wte__comparison c = {0};
    wte__comparing s = {0};
    size_t n = 0;
    wte_status status;

    if (m < 2)
        return wte__fail(err, WTE_E_RANGE, "a list of %zu numbers, at least 2 expected to compare",
                         m);
    for (size_t l = 0; l < 2; l++) {
        for (size_t i = 0; i < m; i++)
            if (!isfinite(lists[l][i]))
                return wte__fail(err, WTE_E_RANGE, "number %zu of the %s list is not finite", i,
                                 l ? "second" : "first");
        if (wte__is_constant(lists[l], m, 0))
            return wte__fail(err, WTE_E_RANGE,
                             "all %zu numbers of the %s list are the same: there is no %s", m,
                             l ? "second" : "first", wte_comparator_name(comparator));
    }
    if (comparator == WTE_COMPARE_WHITENED_COSINE && (n = items_of(m)) == 0)
        return wte__fail(err, WTE_E_RANGE,
                         "%zu numbers are no upper triangle, which the whitened cosine needs", m);
    status = wte__comparison_init(&c, comparator, n, m, lists, 2, err);
    if (status != WTE_OK)
        return status;
    status = wte__comparing_init(&s, &c, err);
    if (status == WTE_OK && !wte__compare(&c, NULL, &s, out))
        status = wte__fail(err, WTE_E_RANGE, "the %s of these lists is not defined",
                           wte_comparator_name(comparator));
    wte__comparing_free(&s);
    wte__comparison_free(&c);
    return status;
}
