/* SPDX-License-Identifier: MIT */
/* rsa.c - representational similarity analysis with its statistics
 *
 * Two spaces become two triangles of dissimilarities; every comparator is computed of them once,
 * and one of them, the statistic, is permuted and bootstrapped. The cosine is that of similarities,
 * 1 - d, where d is 1 - cos: the S_c of the notebooks; a cosine of dissimilarities would be near 1
 * for anything.
 *
 * Random numbers of permutations and of bootstraps come from the same seed through different keys,
 * so more of one does not change the other.
 *
 * Source: Kriegeskorte, Mur and Bandettini 2008; Nili et al. 2014; Legendre 2000 (partial). */
#include <float.h>
#include <math.h>
#include "compare/bootstrap.h"
#include "compare/permute.h"
#include "compare/rdm.h"

enum { MIN_ITEMS = 3, MIN_PERMUTED = 6, FEW = 8 };

void wte_rsa_options_init(wte_rsa_options *options)
{
    *options = (wte_rsa_options){
        .metric = WTE_RDM_COSINE,
        .statistic = WTE_COMPARE_PEARSON,
        .permutations = 10000,
        .bootstraps = 1000,
        .level = 0.95,
        .bca = 1,
    };
}

/* ---- checks ------------------------------------------------------------------------------- */

static wte_status check_options(const wte_rsa_options *o, size_t n_pairs, wte_error *err)
{
    const bool partial = o->n_nuisance > 0;

    if (o->bootstraps > 0 && !(o->level > 0 && o->level < 1))
        return wte__fail(err, WTE_E_RANGE, "an interval of level %g, between 0 and 1 expected",
                         o->level);
    if (o->n_nuisance > WTE__MAX_NUISANCES)
        return wte__fail(err, WTE_E_RANGE, "%zu nuisances, at most %d expected", o->n_nuisance,
                         WTE__MAX_NUISANCES);
    if (partial && o->statistic != WTE_COMPARE_PEARSON && o->statistic != WTE_COMPARE_SPEARMAN)
        return wte__fail(err, WTE_E_RANGE,
                         "nuisances are regressed out of pearson and spearman, not of the %s",
                         wte_comparator_name(o->statistic));
    for (size_t k = 0; k < o->n_nuisance; k++)
        for (size_t i = 0; i < n_pairs; i++)
            if (!isfinite(o->nuisance[k][i]))
                return wte__fail(err, WTE_E_RANGE, "number %zu of nuisance %zu is not finite", i,
                                 k);
    return WTE_OK;
}

static wte_status check(const wte_items *a, const wte_items *b, const wte_rsa_options *o,
                        wte_error *err)
{
    if (a->n != b->n)
        return wte__fail(err, WTE_E_SHAPE, "%zu of %s and %zu of %s, the same number expected",
                         a->n, wte__items_name(a), b->n, wte__items_name(b));
    if (a->n < MIN_ITEMS)
        return wte__fail(err, WTE_E_RANGE, "%zu of %s, at least %d expected to compare their pairs",
                         a->n, wte__items_name(a), MIN_ITEMS);
    if (o->permutations > 0 && a->n < MIN_PERMUTED)
        return wte__fail(err, WTE_E_RANGE,
                         "%zu items: a permutation test needs at least %d, as the 120 orders of 5 "
                         "cannot reach p < 0.01",
                         a->n, MIN_PERMUTED);
    if (a->n > WTE_DENSE_LIMIT)
        return wte__fail(err, WTE_E_RANGE,
                         "%zu items have %zu pairs: at most %d items expected, take a sample", a->n,
                         a->n * (a->n - 1) / 2, WTE_DENSE_LIMIT);
    return check_options(o, a->n * (a->n - 1) / 2, err);
}

/* The triangle of a space, which has to differ somewhere by more than rounding. */
static wte_status triangle(const wte_items *items, const wte_rsa_options *o, double *out,
                           wte_error *err)
{
    const bool bounded = o->metric == WTE_RDM_COSINE || o->metric == WTE_RDM_CORRELATION;
    const size_t m = items->n * (items->n - 1) / 2;
    double largest = bounded ? 1 : 0;
    wte_status status = wte_rdm(items, o->metric, o->n_threads, out, err);

    if (status != WTE_OK)
        return status;
    for (size_t i = 0; i < m && !bounded; i++)
        largest = out[i] > largest ? out[i] : largest;
    if (wte__is_constant(out, m, 1e-12 * largest))
        return wte__fail(err, WTE_E_RANGE,
                         "all %zu dissimilarities of %s are the same: there is nothing to compare",
                         m, wte__items_name(items));
    return WTE_OK;
}

/* ---- numbers ------------------------------------------------------------------------------ */

/* Both triangles, and as similarities for the cosine. */
typedef struct triangles {
    double *a, *b;
    const double *cosine_a, *cosine_b;
    double *similar_a, *similar_b; /* NULL where the metric is another */
} triangles;

static wte_status triangles_init(triangles *t, const wte_items *a, const wte_items *b,
                                 const wte_rsa_options *o, wte_error *err)
{
    const size_t m = a->n * (a->n - 1) / 2;
    const bool similar = o->metric == WTE_RDM_COSINE;
    wte_status status;

    t->a = wte__calloc(m, sizeof *t->a);
    t->b = wte__calloc(m, sizeof *t->b);
    if (similar) {
        t->similar_a = wte__calloc(m, sizeof *t->similar_a);
        t->similar_b = wte__calloc(m, sizeof *t->similar_b);
    }
    if (!t->a || !t->b || (similar && (!t->similar_a || !t->similar_b)))
        return wte__fail(err, WTE_E_NOMEM, "no memory for %zu dissimilarities", m);
    status = triangle(a, o, t->a, err);
    if (status == WTE_OK)
        status = triangle(b, o, t->b, err);
    if (status != WTE_OK)
        return status;
    for (size_t i = 0; i < m && similar; i++) {
        t->similar_a[i] = 1 - t->a[i];
        t->similar_b[i] = 1 - t->b[i];
    }
    t->cosine_a = similar ? t->similar_a : t->a;
    t->cosine_b = similar ? t->similar_b : t->b;
    return WTE_OK;
}

static void triangles_free(triangles *t)
{
    wte__free(t->similar_b);
    wte__free(t->similar_a);
    wte__free(t->b);
    wte__free(t->a);
}

static wte_status prepare(wte__comparison *c, const triangles *t, wte_comparator comparator,
                          size_t n, const wte_rsa_options *o, wte_error *err)
{
    const bool cosine = comparator == WTE_COMPARE_COSINE;
    const double *lists[WTE__MAX_LISTS] = {cosine ? t->cosine_a : t->a,
                                           cosine ? t->cosine_b : t->b};
    const size_t n_nuisance = o ? o->n_nuisance : 0;

    for (size_t k = 0; k < n_nuisance; k++)
        lists[2 + k] = o->nuisance[k];
    return wte__comparison_init(c, comparator, n, n * (n - 1) / 2, lists, 2 + n_nuisance, err);
}

static wte_status value_of(const wte__comparison *c, double *out, wte_error *err)
{
    wte__comparing s;
    wte_status status = wte__comparing_init(&s, c, err);

    if (status != WTE_OK)
        return status;
    if (!wte__compare(c, NULL, &s, out))
        status = wte__fail(err, WTE_E_RANGE, "the %s of the dissimilarities is not defined%s",
                           wte_comparator_name(c->comparator),
                           c->n_lists > 2 ? ": the nuisances explain them" : "");
    wte__comparing_free(&s);
    return status;
}

/* Every comparator, of lists that are sorted once; each is a block of work. */
typedef struct numbers {
    const wte__comparison *ranked; /* with its lists sorted */
    const triangles *t;
    wte_rsa_result *out;
    wte_status status[6];
    wte_error err[6];
} numbers;

static void both_taus(numbers *v, size_t block)
{
    wte__comparing s;
    wte__concordance counted;

    v->status[block] = wte__comparing_init(&s, v->ranked, &v->err[block]);
    if (v->status[block] != WTE_OK)
        return;
    counted = wte__kendall(v->ranked, NULL, &s);
    wte__tau(&counted, false, &v->out->kendall_tau_a);
    wte__tau(&counted, true, &v->out->kendall_tau_b);
    wte__comparing_free(&s);
}

static void compute(void *ctx, size_t block, unsigned worker)
{
    numbers *v = ctx;
    const struct {
        wte_comparator comparator;
        double *to;
    } values[] = {
        {WTE_COMPARE_TAU_A, NULL}, /* the longest first */
        {WTE_COMPARE_SPEARMAN, &v->out->spearman},
        {WTE_COMPARE_RHO_A, &v->out->rho_a},
        {WTE_COMPARE_WHITENED_COSINE, &v->out->whitened_cosine},
        {WTE_COMPARE_PEARSON, &v->out->pearson},
        {WTE_COMPARE_COSINE, &v->out->cosine},
    };
    wte__comparison c = *v->ranked;

    (void)worker;
    c.comparator = values[block].comparator;
    if (c.comparator == WTE_COMPARE_COSINE) {
        c.lists[0] = v->t->cosine_a;
        c.lists[1] = v->t->cosine_b;
    }
    if (c.comparator == WTE_COMPARE_TAU_A)
        both_taus(v, block);
    else
        v->status[block] = value_of(&c, values[block].to, &v->err[block]);
}

static wte_status all_values(const triangles *t, size_t n, unsigned n_threads, wte_rsa_result *out,
                             wte_error *err)
{
    enum { BLOCKS = 6 };
    wte__comparison ranked;
    numbers v = {.ranked = &ranked, .t = t, .out = out};
    wte_status status = prepare(&ranked, t, WTE_COMPARE_TAU_A, n, NULL, err);

    if (status != WTE_OK)
        return status;
    wte__parallel(BLOCKS, wte__threads(n_threads, BLOCKS), compute, &v);
    wte__comparison_free(&ranked);
    for (size_t i = 0; i < BLOCKS; i++)
        if (v.status[i] != WTE_OK) {
            if (err)
                *err = v.err[i];
            return v.status[i];
        }
    return WTE_OK;
}

/* ---- inference ---------------------------------------------------------------------------- */

static wte_status permute(const wte__comparison *c, const wte_rsa_options *o, wte_rsa_result *out,
                          wte_error *err)
{
    wte__permuter *permuter = NULL;
    wte__permutation_test test;
    wte__progress progress;
    wte_status status = wte__permuter_new(c, &permuter, err);

    if (status != WTE_OK)
        return status;
    wte__progress_begin(&progress, o->progress, o->progress_data, "permuting", o->permutations);
    status =
        wte__permutation_p(permuter, o->permutations, o->seed, o->n_threads, &progress, &test, err);
    if (status == WTE_OK && wte__progress_end(&progress))
        status = wte__fail(err, WTE_E_CANCELLED, "permutations cancelled");
    wte__permuter_free(permuter);
    if (status != WTE_OK)
        return status;
    out->p_value = test.p_value;
    out->permutations = test.permutations;
    out->exact = test.exact;
    return WTE_OK;
}

static wte_status bootstrap(const wte__comparison *c, const wte_rsa_options *o, wte_rsa_result *out,
                            wte_error *err)
{
    static const char key[] = "bootstrap";
    wte__interval interval;
    wte__progress progress;
    wte_status status;

    wte__progress_begin(&progress, o->progress, o->progress_data, "drawing items",
                        o->bootstraps + (o->bca ? c->n : 0));
    status = wte__bootstrap(c, out->statistic, o->bootstraps, o->level, o->bca != 0,
                            wte__hash_seeded(key, sizeof key, o->seed), o->n_threads, &progress,
                            &interval, err);
    if (status == WTE_OK && wte__progress_end(&progress))
        status = wte__fail(err, WTE_E_CANCELLED, "bootstrap cancelled");
    if (status != WTE_OK)
        return status;
    out->ci[0] = interval.low;
    out->ci[1] = interval.high;
    out->bootstraps = interval.used;
    return WTE_OK;
}

wte_status wte_rsa(const wte_items *a, const wte_items *b, const wte_rsa_options *options,
                   wte_rsa_result *out, wte_error *err)
{
    wte_rsa_result result = {.n = a->n, .n_pairs = a->n * (a->n - 1) / 2, .p_value = 1};
    wte__comparison c = {0};
    triangles t = {0};
    wte_status status = check(a, b, options, err);

    if (status != WTE_OK)
        return status;
    status = triangles_init(&t, a, b, options, err);
    if (status == WTE_OK)
        status = all_values(&t, a->n, options->n_threads, &result, err);
    if (status == WTE_OK)
        status = prepare(&c, &t, options->statistic, a->n, options, err);
    if (status == WTE_OK)
        status = value_of(&c, &result.statistic, err);
    if (status != WTE_OK)
        goto done;
    result.ci[0] = result.ci[1] = result.statistic;
    result.warning = a->n < FEW ? "fewer than 8 items: the p-value is coarse and the interval is "
                                  "not to be trusted"
                                : "";
    if (options->permutations > 0)
        status = permute(&c, options, &result, err);
    if (status == WTE_OK && options->bootstraps > 0)
        status = bootstrap(&c, options, &result, err);
    if (status == WTE_OK)
        *out = result;
done:
    wte__comparison_free(&c);
    triangles_free(&t);
    return status;
}
