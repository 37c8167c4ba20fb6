/* SPDX-License-Identifier: MIT */
/* test_rsa.c - dissimilarities, comparators and their statistics: against numpy and scipy, by
 * closed forms, and by simulation */
#include "compare.h"
#include "compare/permute.h"
#include "compare/rdm.h"

/* ---- small spaces ------------------------------------------------------------------------- */

static void triangle(const wte_items *items, wte_rdm_metric metric, double *out)
{
    wte_error err = {0};

    if (wte_rdm(items, metric, 1, out, &err) != WTE_OK)
        fail_msg("%s", err.message);
}

static double compared(const double *a, const double *b, size_t m, wte_comparator comparator)
{
    wte_error err = {0};
    double out = NAN;

    if (wte_compare_lists(a, b, m, comparator, &out, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return out;
}

static const wte_comparator by_name[] = {WTE_COMPARE_PEARSON,  WTE_COMPARE_COSINE,
                                         WTE_COMPARE_SPEARMAN, WTE_COMPARE_RHO_A,
                                         WTE_COMPARE_TAU_A,    WTE_COMPARE_TAU_B};

enum { N_BY_NAME = sizeof by_name / sizeof *by_name, SMALL_PAIRS = 14 * 13 / 2 };

static void dissimilarities_are_scipys(void **state)
{
    static const char *const names[] = {"cosine", "correlation", "euclidean", "sqeuclidean"};
    const test_small *s = *state;
    double got[SMALL_PAIRS];

    for (size_t k = 0; k < 4; k++) {
        size_t m;
        double *want =
            test_numbers(json_object_get(json_object_get(s->json, "rdm_a"), names[k]), &m);

        assert_int_equal(m, SMALL_PAIRS);
        triangle(&s->a, (wte_rdm_metric)k, got);
        for (size_t i = 0; i < m; i++)
            test_near(names[k], got[i], want[i], 1e-12);
        free(want);
    }
}

static void comparators_are_scipys(void **state)
{
    const test_small *s = *state;
    const json_t *ties = json_object_get(s->json, "ties");
    double a[SMALL_PAIRS], b[SMALL_PAIRS];
    size_t m, n;
    double *x = test_numbers(json_object_get(ties, "x"), &m);
    double *y = test_numbers(json_object_get(ties, "y"), &n);

    assert_int_equal(m, n);
    triangle(&s->a, WTE_RDM_COSINE, a);
    triangle(&s->b, WTE_RDM_COSINE, b);
    for (size_t k = 0; k < N_BY_NAME; k++) {
        const char *name = wte_comparator_name(by_name[k]);

        test_near(name, compared(a, b, SMALL_PAIRS, by_name[k]),
                  test_number(json_object_get(s->json, "comparators"), name), 1e-12);
        test_near(name, compared(x, y, m, by_name[k]),
                  test_number(json_object_get(ties, "values"), name), 1e-12);
    }
    free(y);
    free(x);
}

static void the_whitened_cosine_is_that_of_centred_kernels(void **state)
{
    static const char *const names[] = {"cosine", "correlation", "euclidean", "sqeuclidean"};
    const test_small *s = *state;
    double a[SMALL_PAIRS], b[SMALL_PAIRS];

    for (size_t k = 0; k < 4; k++) {
        triangle(&s->a, (wte_rdm_metric)k, a);
        triangle(&s->b, (wte_rdm_metric)k, b);
        test_near(names[k], compared(a, b, SMALL_PAIRS, WTE_COMPARE_WHITENED_COSINE),
                  test_number(json_object_get(s->json, "whitened"), names[k]), 1e-12);
    }
    /* of squared distances it is linear CKA */
    test_near("CKA", compared(a, b, SMALL_PAIRS, WTE_COMPARE_WHITENED_COSINE),
              test_number(s->json, "cka_linear"), 1e-12);
}

static wte_rsa_result analysed(const wte_items *a, const wte_items *b, const wte_rsa_options *o)
{
    wte_rsa_result out;
    wte_error err = {0};

    if (wte_rsa(a, b, o, &out, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return out;
}

static void a_small_analysis_has_every_number(void **state)
{
    const test_small *s = *state;
    const json_t *want = json_object_get(s->json, "comparators");
    wte_rsa_options o;
    wte_rsa_result r;

    wte_rsa_options_init(&o);
    o.permutations = 200;
    o.bootstraps = 200;
    r = analysed(&s->a, &s->b, &o);
    assert_int_equal(r.n, 14);
    assert_int_equal(r.n_pairs, SMALL_PAIRS);
    test_near("pearson", r.pearson, test_number(want, "pearson"), 1e-12);
    test_near("cosine", r.cosine, test_number(s->json, "cosine_of_similarities"), 1e-12);
    test_near("spearman", r.spearman, test_number(want, "spearman"), 1e-12);
    test_near("rho-a", r.rho_a, test_number(want, "rho-a"), 1e-12);
    test_near("tau-a", r.kendall_tau_a, test_number(want, "kendall tau-a"), 1e-12);
    test_near("tau-b", r.kendall_tau_b, test_number(want, "kendall tau-b"), 1e-12);
    test_near("whitened", r.whitened_cosine,
              test_number(json_object_get(s->json, "whitened"), "cosine"), 1e-12);
    assert_true(r.statistic == r.pearson);
    assert_int_equal(r.permutations, 200);
    assert_int_equal(r.exact, 0);
    assert_true(r.p_value >= 1.0 / 201 && r.p_value < 0.1);
    assert_true(r.ci[0] < r.statistic && r.statistic < r.ci[1]);
    assert_int_equal(r.bootstraps, 200);
    assert_string_equal(r.warning, "");
}

static void nuisances_are_regressed_out(void **state)
{
    const test_small *s = *state;
    const json_t *lists = json_object_get(s->json, "nuisance");
    const double *nuisance[3];
    size_t m;
    wte_rsa_options o;
    wte_rsa_result r;

    for (size_t k = 0; k < 2; k++)
        nuisance[k] = test_numbers(json_array_get(lists, k), &m);
    nuisance[2] = nuisance[0]; /* said twice changes nothing */
    wte_rsa_options_init(&o);
    o.nuisance = nuisance;
    o.n_nuisance = 2;
    r = analysed(&s->a, &s->b, &o);
    test_near("partial pearson", r.statistic, test_number(s->json, "partial_pearson"), 1e-10);
    test_near("pearson", r.pearson, test_number(json_object_get(s->json, "comparators"), "pearson"),
              1e-12);
    assert_true(r.p_value < 0.1 && r.ci[0] < r.statistic && r.statistic < r.ci[1]);
    o.n_nuisance = 3;
    test_near("twice", analysed(&s->a, &s->b, &o).statistic, r.statistic, 1e-10);
    o.statistic = WTE_COMPARE_SPEARMAN;
    o.n_nuisance = 2;
    test_near("partial spearman", analysed(&s->a, &s->b, &o).statistic,
              test_number(s->json, "partial_spearman"), 1e-10);
    for (size_t k = 0; k < 2; k++)
        free((void *)(uintptr_t)nuisance[k]);
}

static void up_to_seven_items_all_orders_are_counted(void **state)
{
    const test_small *s = *state;
    wte_items a = s->a, b = s->b;
    wte_rsa_options o;
    wte_rsa_result r;

    wte_rsa_options_init(&o);
    o.permutations = 10;
    a.n = b.n = 6;
    r = analysed(&a, &b, &o);
    assert_int_equal(r.exact, 1);
    assert_int_equal(r.permutations, 719);
    test_near("p of 6", r.p_value, test_number(s->json, "exact_p_6"), 1e-12);
    assert_non_null(strstr(r.warning, "fewer than 8"));
    a.n = b.n = 7;
    r = analysed(&a, &b, &o);
    assert_int_equal(r.permutations, 5039);
    test_near("p of 7", r.p_value, test_number(s->json, "exact_p_7"), 1e-12);
    a.n = b.n = 8;
    r = analysed(&a, &b, &o);
    assert_int_equal(r.exact, 0);
    assert_int_equal(r.permutations, 10);
    assert_string_equal(r.warning, "");
}

static void ceilings_are_means_over_replicates(void **state)
{
    static const struct {
        const char *key;
        wte_comparator comparator;
    } cases[] = {{"ceiling_pearson", WTE_COMPARE_PEARSON},
                 {"ceiling_cosine", WTE_COMPARE_COSINE},
                 {"ceiling_spearman", WTE_COMPARE_SPEARMAN}};
    const test_small *s = *state;
    double *rdms[3];
    size_t m = 0, two;

    for (size_t r = 0; r < 3; r++)
        rdms[r] = test_numbers(json_array_get(json_object_get(s->json, "replicates"), r), &m);
    for (size_t k = 0; k < 3; k++) {
        double lower, upper, *want = test_numbers(json_object_get(s->json, cases[k].key), &two);

        assert_int_equal(wte_noise_ceiling((const double *const *)rdms, 3, m, cases[k].comparator,
                                           &lower, &upper, NULL),
                         WTE_OK);
        test_near("lower", lower, want[0], 1e-12);
        test_near("upper", upper, want[1], 1e-12);
        free(want);
    }
    double lower = 7, upper = 7;
    wte_error err = {0};

    assert_int_equal(wte_noise_ceiling((const double *const *)rdms, 1, m, WTE_COMPARE_PEARSON,
                                       &lower, &upper, &err),
                     WTE_E_RANGE);
    assert_non_null(strstr(err.message, "at least 2"));
    assert_true(lower == 7 && upper == 7);
    for (size_t r = 0; r < 3; r++)
        free(rdms[r]);
}

static void false_discovery_rates_are_benjamini_and_hochbergs(void **state)
{
    const test_small *s = *state;
    size_t n;
    double *p = test_numbers(json_object_get(s->json, "p_values"), &n);
    double *q = test_numbers(json_object_get(s->json, "q_values"), &n);
    double *got = calloc(n, sizeof *got);
    wte_error err = {0};

    assert_non_null(got);
    assert_int_equal(wte_fdr(p, n, got, NULL), WTE_OK);
    for (size_t i = 0; i < n; i++)
        test_near("q", got[i], q[i], 1e-15);
    p[2] = 1.5;
    assert_int_equal(wte_fdr(p, n, got, &err), WTE_E_RANGE);
    assert_string_equal(err.message, "p-value 2 is 1.5, between 0 and 1 expected");
    p[2] = (double)NAN;
    assert_int_equal(wte_fdr(p, n, got, NULL), WTE_E_RANGE);
    assert_int_equal(wte_fdr(p, 0, got, NULL), WTE_OK);
    free(got);
    free(q);
    free(p);
}

/* ---- rsa.json ----------------------------------------------------------------------------- */

static const struct {
    const char *name;
    wte_rdm_metric metric;
} metrics[] = {{"cosine", WTE_RDM_COSINE},
               {"correlation", WTE_RDM_CORRELATION},
               {"euclidean", WTE_RDM_EUCLIDEAN}};

static void check_case(const test_pair *pair)
{
    const json_t *c = pair->json;
    const size_t m = pair->a.n * (pair->a.n - 1) / 2;
    const wte_items *sides[] = {&pair->a, &pair->b};
    static const char *const first[] = {"upper_a_first", "upper_b_first"};
    static const char *const sums[] = {"upper_a_checksum", "upper_b_checksum"};
    double *triangles = calloc(2 * m, sizeof *triangles);
    wte_rsa_options o;

    assert_non_null(triangles);
    wte_rsa_options_init(&o);
    o.permutations = o.bootstraps = 0;
    for (size_t k = 0; k < 3; k++) {
        char key[64];
        wte_rsa_result r;

        o.metric = metrics[k].metric;
        r = analysed(&pair->a, &pair->b, &o);
        snprintf(key, sizeof key, "rdm_%s_pearson", metrics[k].name);
        test_near(key, r.pearson, test_number(c, key), 1e-6);
        snprintf(key, sizeof key, "rdm_%s_spearman", metrics[k].name);
        test_near(key, r.spearman, test_number(c, key), 1e-6);
        if (k > 0)
            continue;
        test_near("pearson", r.pearson, test_number(c, "pearson"), 1e-6);
        test_near("cosine_sc", r.cosine, test_number(c, "cosine_sc"), 1e-6);
        test_near("spearman", r.spearman, test_number(c, "spearman"), 1e-6);
        test_near("tau-a", r.kendall_tau_a, test_number(c, "kendall_tau_a"), 1e-6);
        test_near("tau-b", r.kendall_tau_b, test_number(c, "kendall_tau_b"), 1e-6);
        assert_true(r.p_value == 1 && r.ci[0] == r.statistic && r.ci[1] == r.statistic);
    }
    for (size_t s = 0; s < 2; s++) {
        size_t n;
        double *want = test_numbers(json_object_get(c, first[s]), &n), *got = triangles + s * m;
        double sum = 0, squares = 0, weighted = 0;

        triangle(sides[s], WTE_RDM_COSINE, got);
        for (size_t i = 0; i < m; i++) {
            got[i] = 1 - got[i];
            sum += got[i];
            squares += got[i] * got[i];
            weighted += got[i] * (double)(i % 1009 + 1);
        }
        for (size_t i = 0; i < n; i++)
            test_near(first[s], got[i], want[i], 1e-6);
        const json_t *check = json_object_get(c, sums[s]);

        test_near("sum", sum, test_number(check, "sum"), 1e-6);
        test_near("sq_sum", squares, test_number(check, "sq_sum"), 1e-6);
        test_near("weighted_sum", weighted, test_number(check, "weighted_sum"), 1e-4);
        free(want);
    }
    free(triangles);
}

static void reference_analyses_are_met(void **state)
{
    (void)state;
    test_each_pair(check_case);
}

/* Orders and statistics of a permutation test are given: each is met, and so is the p-value. */
static void reference_permutations_are_met(void **state)
{
    json_t *json = test_json(need_shared("golden/rsa.json"));
    const json_t *cases = json_object_get(json, "permutation_test");
    (void)state;

    assert_true(json_array_size(cases) > 0);
    for (size_t k = 0; k < json_array_size(cases); k++) {
        const json_t *c = json_array_get(cases, k), *given = json_object_get(c, "permutations");
        const size_t n_orders = json_array_size(given);
        test_pair pair = test_named_pair(c, k == 1 ? 7 : 0);
        const size_t n = pair.a.n, m = n * (n - 1) / 2;
        double *lists[2] = {calloc(m, sizeof(double)), calloc(m, sizeof(double))};
        uint32_t *orders = calloc(n_orders * n, sizeof *orders);
        double *got = calloc(n_orders, sizeof *got);
        wte__comparison comparison;
        wte__permuter *permuter = NULL;
        size_t at_least = 0;

        assert_true(lists[0] && lists[1] && orders && got);
        triangle(&pair.a, WTE_RDM_COSINE, lists[0]);
        triangle(&pair.b, WTE_RDM_COSINE, lists[1]);
        test_near("observed", compared(lists[0], lists[1], m, WTE_COMPARE_PEARSON),
                  test_number(c, "observed"), 1e-6);
        for (size_t o = 0; o < n_orders; o++)
            for (size_t i = 0; i < n; i++)
                orders[o * n + i] =
                    (uint32_t)json_integer_value(json_array_get(json_array_get(given, o), i));
        assert_int_equal(wte__comparison_init(&comparison, WTE_COMPARE_PEARSON, n, m,
                                              (const double *const *)lists, 2, NULL),
                         WTE_OK);
        assert_int_equal(wte__permuter_new(&comparison, &permuter, NULL), WTE_OK);
        assert_int_equal(wte__permuted(permuter, orders, n_orders, 2, got, NULL), WTE_OK);
        for (size_t o = 0; o < n_orders; o++) {
            test_near("permuted", got[o],
                      json_number_value(json_array_get(json_object_get(c, "values"), o)), 1e-6);
            at_least += got[o] >= test_number(c, "observed");
        }
        test_near("p", (1 + (double)at_least) / (1 + (double)n_orders), test_number(c, "p_value"),
                  1e-12);
        wte__permuter_free(permuter);
        wte__comparison_free(&comparison);
        free(got);
        free(orders);
        free(lists[1]);
        free(lists[0]);
        test_pair_end(&pair);
    }
    json_decref(json);
}

static void reference_ties_are_met(void **state)
{
    json_t *json = test_json(need_shared("golden/rsa.json"));
    const json_t *ties = json_object_get(json, "rank_correlations_with_ties");
    size_t m;
    double *x = test_numbers(json_object_get(ties, "x"), &m);
    double *y = test_numbers(json_object_get(ties, "y"), &m);
    (void)state;

    test_near("pearson", compared(x, y, m, WTE_COMPARE_PEARSON), test_number(ties, "pearson"),
              1e-6);
    test_near("spearman", compared(x, y, m, WTE_COMPARE_SPEARMAN), test_number(ties, "spearman"),
              1e-6);
    test_near("tau-a", compared(x, y, m, WTE_COMPARE_TAU_A), test_number(ties, "kendall_tau_a"),
              1e-6);
    test_near("tau-b", compared(x, y, m, WTE_COMPARE_TAU_B), test_number(ties, "kendall_tau_b"),
              1e-6);
    free(y);
    free(x);
    json_decref(json);
}

/* ---- closed forms ------------------------------------------------------------------------- */

static void a_space_is_like_itself_however_it_is_turned_or_scaled(void **state)
{
    uint64_t seed = 1;
    wte_items x = test_normal_items(40, 7, &seed), turned = test_rotated(&x, &seed);
    wte_rsa_options o;
    (void)state;

    wte_rsa_options_init(&o);
    o.permutations = 99;
    o.bootstraps = 50;
    for (size_t s = 0; s < 2; s++)
        for (unsigned metric = 0; metric < 4; metric++) {
            wte_rsa_result r;

            if (s == 1 && metric == WTE_RDM_CORRELATION)
                continue; /* a rotation moves the mean of a row */
            o.metric = (wte_rdm_metric)metric;
            r = analysed(&x, s ? &turned : &x, &o);
            test_near("pearson", r.pearson, 1, 1e-9);
            test_near("cosine", r.cosine, 1, 1e-9);
            test_near("spearman", r.spearman, 1, 1e-6);
            test_near("rho-a", r.rho_a, 1, 1e-6);
            test_near("tau-a", r.kendall_tau_a, 1, 1e-4);
            test_near("tau-b", r.kendall_tau_b, 1, 1e-4);
            test_near("whitened", r.whitened_cosine, 1, 1e-9);
            test_near("p", r.p_value, 0.01, 1e-12);
            test_near("lower end", r.ci[0], 1, 1e-9);
            test_near("upper end", r.ci[1], 1, 1e-9);
        }
    test_items_end(&turned);
    test_items_end(&x);
}

static void equal_items_are_at_distance_zero(void **state)
{
    float data[3][4] = {{1000.1f, 2000.2f, -3000.3f, 7}, {1, 2, 3, 5}, {0}};
    const wte_items items = {data[0], 3, 4, NULL};
    double d[3];
    (void)state;

    memcpy(data[2], data[0], sizeof data[0]);
    for (unsigned metric = 0; metric < 4; metric++) {
        triangle(&items, (wte_rdm_metric)metric, d);
        assert_true(d[1] == 0);
        assert_true(d[0] == d[2] && d[0] > 0);
    }
}

/* rho-a is the mean of Spearman's over all ways of breaking ties; one tie in each list here. */
static void rho_a_is_the_mean_over_broken_ties(void **state)
{
    const double x[] = {1, 2, 2, 4, 5}, y[] = {3, 3, 1, 5, 4};
    double sum = 0;
    (void)state;

    for (int i = 0; i < 4; i++) {
        double u[5], v[5];

        memcpy(u, x, sizeof x);
        memcpy(v, y, sizeof y);
        u[1 + i / 2] += 0.5;
        v[i % 2] += 0.5;
        sum += compared(u, v, 5, WTE_COMPARE_SPEARMAN);
    }
    test_near("rho-a", compared(x, y, 5, WTE_COMPARE_RHO_A), sum / 4, 1e-12);
}

/* Kendall's counts of long lists with many ties against all pairs. */
static void concordance_is_that_of_all_pairs(void **state)
{
    enum { M = 700 };
    double x[M], y[M], score = 0, ties[2] = {0};
    uint64_t seed = 5;
    (void)state;

    for (size_t i = 0; i < M; i++) {
        x[i] = (double)(wte__random(&seed) % 60);
        y[i] = floor(x[i] / 7) + (double)(wte__random(&seed) % 9);
    }
    for (size_t i = 0; i < M; i++)
        for (size_t j = 0; j < i; j++) {
            double product = (x[i] - x[j]) * (y[i] - y[j]);

            score += (product > 0) - (product < 0);
            ties[0] += x[i] == x[j];
            ties[1] += y[i] == y[j];
        }
    const double pairs = (double)M * (M - 1) / 2;

    test_near("tau-a", compared(x, y, M, WTE_COMPARE_TAU_A), score / pairs, 1e-13);
    test_near("tau-b", compared(x, y, M, WTE_COMPARE_TAU_B),
              score / sqrt((pairs - ties[0]) * (pairs - ties[1])), 1e-13);
}

/* A sample in which items are counted is the sample written out, pairs of copies left out. */
static void counted_items_are_those_written_out(void **state)
{
    static const wte_comparator all[] = {WTE_COMPARE_PEARSON,  WTE_COMPARE_COSINE,
                                         WTE_COMPARE_SPEARMAN, WTE_COMPARE_RHO_A,
                                         WTE_COMPARE_TAU_A,    WTE_COMPARE_TAU_B};
    const test_small *s = *state;
    const uint32_t counts[14] = {2, 0, 1, 3, 0, 0, 1, 1, 2, 1, 0, 2, 0, 1};
    double a[SMALL_PAIRS], b[SMALL_PAIRS], out_a[SMALL_PAIRS], out_b[SMALL_PAIRS];
    const double *const lists[2] = {a, b};
    uint32_t items[14];
    size_t n = 0, m = 0;

    triangle(&s->a, WTE_RDM_COSINE, a);
    triangle(&s->b, WTE_RDM_COSINE, b);
    for (uint32_t i = 0; i < 14; i++)
        for (uint32_t k = 0; k < counts[i]; k++)
            items[n++] = i;
    assert_int_equal(n, 14);
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++)
            if (items[i] != items[j]) {
                out_a[m] = a[wte__pair(14, items[i], items[j])];
                out_b[m++] = b[wte__pair(14, items[i], items[j])];
            }
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        wte__comparison c;
        wte__comparing scratch;
        double got = NAN;

        assert_int_equal(wte__comparison_init(&c, all[k], 14, SMALL_PAIRS, lists, 2, NULL), WTE_OK);
        assert_int_equal(wte__comparing_init(&scratch, &c, NULL), WTE_OK);
        assert_true(wte__compare(&c, counts, &scratch, &got));
        test_near(wte_comparator_name(all[k]), got, compared(out_a, out_b, m, all[k]), 1e-12);
        wte__comparing_free(&scratch);
        wte__comparison_free(&c);
    }
}

/* Each comparator's permutations against comparing the permuted triangle. */
static void permuted_statistics_are_those_of_permuted_triangles(void **state)
{
    enum { N = 21, M = N * (N - 1) / 2, ORDERS = 37 };
    uint64_t seed = 3;
    wte_items x = test_normal_items(N, 4, &seed), y = test_normal_items(N, 6, &seed);
    double a[M], b[M], moved[M], z[2][M], got[ORDERS];
    const double *lists[4] = {a, b, z[0], z[1]};
    uint32_t orders[ORDERS][N];
    (void)state;

    triangle(&x, WTE_RDM_EUCLIDEAN, a);
    triangle(&y, WTE_RDM_EUCLIDEAN, b);
    for (size_t i = 0; i < M; i++) {
        b[i] += a[i];
        a[i] = round(4 * a[i]); /* ties */
        z[0][i] = (double)test_normal(&seed) + 0.3 * a[i];
        z[1][i] = (double)(i % 7);
    }
    for (size_t o = 0; o < ORDERS; o++)
        for (size_t i = 0; i < N; i++) {
            size_t j = o ? (size_t)(wte__random(&seed) % (i + 1)) : i;

            orders[o][i] = orders[o][j];
            orders[o][j] = (uint32_t)i;
        }
    for (unsigned k = 0; k <= WTE_COMPARE_WHITENED_COSINE; k++) {
        wte__comparison c;
        wte__permuter *p = NULL;

        assert_int_equal(wte__comparison_init(&c, (wte_comparator)k, N, M, lists, 2, NULL), WTE_OK);
        assert_int_equal(wte__permuter_new(&c, &p, NULL), WTE_OK);
        assert_int_equal(wte__permuted(p, orders[0], ORDERS, 2, got, NULL), WTE_OK);
        for (size_t o = 0; o < ORDERS; o++) {
            for (size_t i = 0; i < N; i++)
                for (size_t j = i + 1; j < N; j++) {
                    size_t u = orders[o][i], v = orders[o][j];

                    moved[wte__pair(N, i, j)] = b[u < v ? wte__pair(N, u, v) : wte__pair(N, v, u)];
                }
            test_near(wte_comparator_name((wte_comparator)k), got[o],
                      compared(a, moved, M, (wte_comparator)k), 1e-7);
        }
        wte__permuter_free(p);
        wte__comparison_free(&c);
    }
    /* partial: the order as it is gives the partial correlation */
    wte__comparison c;
    wte__comparing scratch;
    wte__permuter *p = NULL;
    double want = NAN;

    assert_int_equal(wte__comparison_init(&c, WTE_COMPARE_PEARSON, N, M, lists, 4, NULL), WTE_OK);
    assert_int_equal(wte__comparing_init(&scratch, &c, NULL), WTE_OK);
    assert_true(wte__compare(&c, NULL, &scratch, &want));
    assert_int_equal(wte__permuter_new(&c, &p, NULL), WTE_OK);
    assert_int_equal(wte__permuted(p, orders[0], 1, 1, got, NULL), WTE_OK);
    test_near("partial", got[0], want, 1e-7);
    wte__permuter_free(p);
    wte__comparing_free(&scratch);
    wte__comparison_free(&c);
    test_items_end(&y);
    test_items_end(&x);
}

/* The test gives up orders that cannot reach the statistic: it has to count as many as there
 * are. */
static void orders_given_up_change_no_p_value(void **state)
{
    enum { N = 40, M = N * (N - 1) / 2, ORDERS = 400 };
    static const float shares[] = {0, 0.1f, 0.3f, 1}; /* of the other space: unrelated to alike */
    uint64_t seed = 31;
    double a[M], b[M], got[ORDERS];
    const double *lists[2] = {a, b};
    uint32_t *orders = calloc((size_t)ORDERS * N, sizeof *orders);
    (void)state;

    assert_non_null(orders);
    for (size_t k = 0; k < 4 * WTE_COMPARE_WHITENED_COSINE; k += TEST_FEWER ? 5 : 1) {
        wte_items x = test_normal_items(N, 4, &seed), y = test_normal_items(N, 4, &seed);
        float *data = (float *)(uintptr_t)y.data;
        wte__comparison c;
        wte__permuter *p = NULL;
        wte__permutation_test test;
        double observed;
        size_t at_least = 0;

        for (size_t i = 0; i < N * 4; i++)
            data[i] += 3 * shares[k % 4] * x.data[i];
        triangle(&x, WTE_RDM_EUCLIDEAN, a);
        triangle(&y, WTE_RDM_EUCLIDEAN, b);
        assert_int_equal(wte__comparison_init(&c, (wte_comparator)(k / 4), N, M, lists, 2, NULL),
                         WTE_OK);
        assert_int_equal(wte__permuter_new(&c, &p, NULL), WTE_OK);
        assert_int_equal(wte__permutation_p(p, ORDERS, k, 2, NULL, &test, NULL), WTE_OK);
        for (size_t i = 0; i < N; i++)
            orders[i] = (uint32_t)i;
        assert_int_equal(wte__permuted(p, orders, 1, 1, &observed, NULL), WTE_OK);
        for (size_t o = 0; o < ORDERS; o++)
            wte__permuter_draw(k, o, N, orders + o * N);
        assert_int_equal(wte__permuted(p, orders, ORDERS, 2, got, NULL), WTE_OK);
        for (size_t o = 0; o < ORDERS; o++)
            at_least += got[o] >= observed - 1e-7;
        test_near("p", test.p_value, (1 + (double)at_least) / (1 + ORDERS), 1e-12);
        wte__permuter_free(p);
        wte__comparison_free(&c);
        test_items_end(&y);
        test_items_end(&x);
    }
    free(orders);
}

/* ---- simulations -------------------------------------------------------------------------- */

/* Under the null p-values are uniform: their empirical distribution stays within the 0.1 % bound of
 * Kolmogorov and Smirnov, 1.95 / sqrt(n). */
static void p_values_are_uniform_under_the_null(void **state)
{
    enum { REPEATS = TEST_FEWER ? 100 : 1000, PERMUTATIONS = 199, BINS = 20 };
    static const wte_comparator statistics[] = {WTE_COMPARE_PEARSON, WTE_COMPARE_SPEARMAN,
                                                WTE_COMPARE_WHITENED_COSINE};
    uint64_t seed = 17;
    wte_rsa_options o;
    (void)state;

    wte_rsa_options_init(&o);
    o.permutations = PERMUTATIONS;
    o.bootstraps = 0;
    o.n_threads = 1;
    for (size_t k = 0; k < 3; k++) {
        size_t below[BINS + 1] = {0};

        o.statistic = statistics[k];
        for (size_t r = 0; r < REPEATS; r++) {
            wte_items x = test_normal_items(12, 3, &seed), y = test_normal_items(12, 5, &seed);
            double p;

            o.seed = r;
            p = analysed(&x, &y, &o).p_value;
            for (size_t b = 1; b <= BINS; b++)
                below[b] += p <= (double)b / BINS + 1e-9;
            test_items_end(&y);
            test_items_end(&x);
        }
        for (size_t b = 1; b <= BINS; b++)
            test_near("share of p-values", (double)below[b] / REPEATS, (double)b / BINS,
                      1.95 / sqrt(REPEATS));
    }
}

/* Items with three coordinates, seen by two spaces with noise of their own. */
static void make_related(size_t n, uint64_t *seed, float *a, float *b)
{
    for (size_t i = 0; i < n; i++) {
        float z[3];

        for (size_t j = 0; j < 3; j++)
            z[j] = test_normal(seed);
        for (size_t j = 0; j < 6; j++) {
            a[i * 6 + j] = z[j % 3] * (j < 3 ? 1.0f : 0.5f) + 0.6f * test_normal(seed);
            b[i * 6 + j] = z[(j + 1) % 3] * (j < 3 ? 0.7f : 1.2f) + 0.6f * test_normal(seed);
        }
    }
}

/* The value that intervals of small samples should contain is that of a large one. */
static void intervals_cover_at_their_level(void **state)
{
    enum { LARGE = 3000, N = 50, REPEATS = TEST_FEWER ? 50 : 1000 };
    uint64_t seed = 23;
    float *a = malloc(LARGE * 6 * sizeof *a), *b = malloc(LARGE * 6 * sizeof *b);
    wte_items x = {a, LARGE, 6, NULL}, y = {b, LARGE, 6, NULL};
    wte_rsa_options o;
    double truth;
    (void)state;

    assert_true(a && b);
    wte_rsa_options_init(&o);
    o.metric = WTE_RDM_EUCLIDEAN;
    o.permutations = o.bootstraps = 0;
    make_related(LARGE, &seed, a, b);
    truth = analysed(&x, &y, &o).statistic;
    x.n = y.n = N;
    o.bootstraps = 400;
    o.n_threads = 1;
    for (int bca = 0; bca < 2; bca++) {
        size_t covered = 0, missed_low = 0;

        o.bca = bca;
        for (size_t r = 0; r < REPEATS; r++) {
            wte_rsa_result result;

            make_related(N, &seed, a, b);
            o.seed = r;
            result = analysed(&x, &y, &o);
            covered += result.ci[0] <= truth && truth <= result.ci[1];
            missed_low += truth < result.ci[0];
        }
        print_message("coverage of 95 %% intervals, %s: %.1f %%, truth below: %.1f %%\n",
                      bca ? "BCa" : "percentile", 100.0 * (double)covered / REPEATS,
                      100.0 * (double)missed_low / REPEATS);
        test_near("coverage", (double)covered / REPEATS, 0.95, TEST_FEWER ? 0.1 : 0.025);
    }
    free(b);
    free(a);
}

/* ---- results depend on the input alone ---------------------------------------------------- */

static void threads_change_nothing_and_seeds_do(void **state)
{
    uint64_t seed = 9;
    wte_items x = test_normal_items(60, 9, &seed), y = test_normal_items(60, 8, &seed);
    wte_rsa_options o;
    wte_rsa_result one, many, other;
    (void)state;

    wte_rsa_options_init(&o);
    o.permutations = 300;
    o.bootstraps = 100;
    o.n_threads = 1;
    one = analysed(&x, &y, &o);
    o.n_threads = 7;
    many = analysed(&x, &y, &o);
    assert_true(one.p_value == many.p_value && one.pearson == many.pearson);
    assert_true(one.ci[0] == many.ci[0] && one.ci[1] == many.ci[1]);
    assert_true(one.spearman == many.spearman && one.kendall_tau_b == many.kendall_tau_b);
    o.seed = 1;
    other = analysed(&x, &y, &o);
    assert_true(other.pearson == one.pearson);
    assert_true(other.ci[0] != one.ci[0]);
    test_items_end(&y);
    test_items_end(&x);
}

/* ---- what cannot be done ------------------------------------------------------------------ */

static void refuse(const wte_items *a, const wte_items *b, const wte_rsa_options *o,
                   wte_status status, const char *what)
{
    wte_rsa_result out = {.n = 77};
    wte_error err = {0};

    assert_int_equal(wte_rsa(a, b, o, &out, &err), status);
    if (!strstr(err.message, what))
        fail_msg("\"%s\" does not say \"%s\"", err.message, what);
    assert_int_equal(out.n, 77);
}

static void bad_input_is_named(void **state)
{
    uint64_t seed = 2;
    wte_items x = test_normal_items(10, 3, &seed), y = test_normal_items(10, 3, &seed);
    float *data = (float *)(uintptr_t)y.data;
    double nuisance[45] = {0};
    const double *const nuisances[] = {nuisance};
    wte_items few = x;
    wte_rsa_options o;
    (void)state;

    wte_rsa_options_init(&o);
    x.name = "word2vec";
    y.name = "gpt2";
    few.n = 5;
    refuse(&few, &x, &o, WTE_E_SHAPE, "5 of normal items and 10 of word2vec");
    refuse(&few, &few, &o, WTE_E_RANGE, "5 items: a permutation test needs at least 6");
    few.n = 2;
    o.permutations = 0;
    refuse(&few, &few, &o, WTE_E_RANGE, "at least 3");
    o.level = 1;
    refuse(&x, &y, &o, WTE_E_RANGE, "level 1");
    wte_rsa_options_init(&o);
    o.nuisance = nuisances;
    o.n_nuisance = 1;
    o.statistic = WTE_COMPARE_TAU_A;
    refuse(&x, &y, &o, WTE_E_RANGE, "not of the kendall tau-a");
    o.statistic = WTE_COMPARE_PEARSON;
    triangle(&x, WTE_RDM_COSINE, nuisance);
    refuse(&x, &y, &o, WTE_E_RANGE, "nuisances explain them");
    nuisance[3] = INFINITY;
    refuse(&x, &y, &o, WTE_E_RANGE, "number 3 of nuisance 0");
    wte_rsa_options_init(&o);
    data[3 * 4] = data[3 * 4 + 1] = data[3 * 4 + 2] = 2.5f;
    o.metric = WTE_RDM_CORRELATION;
    refuse(&x, &y, &o, WTE_E_RANGE, "row 4 of gpt2 is constant");
    o.metric = WTE_RDM_COSINE;
    data[3 * 4] = data[3 * 4 + 1] = data[3 * 4 + 2] = 0;
    refuse(&x, &y, &o, WTE_E_RANGE, "row 4 of gpt2 is zero");
    data[3 * 4] = NAN;
    refuse(&x, &y, &o, WTE_E_RANGE, "row 4 of gpt2 is not finite");
    for (size_t i = 0; i < 30; i++)
        data[i] = (float)(i % 3) + 1;
    refuse(&x, &y, &o, WTE_E_RANGE, "all 45 dissimilarities of gpt2 are the same");
    o.metric = WTE_RDM_SQEUCLIDEAN;
    refuse(&x, &y, &o, WTE_E_RANGE, "all 45 dissimilarities of gpt2 are the same");
    x.n = y.n = WTE_DENSE_LIMIT + 1;
    refuse(&x, &y, &o, WTE_E_RANGE, "take a sample");
    x.n = y.n = 10;
    test_items_end(&y);
    test_items_end(&x);
}

static void bad_lists_are_named(void **state)
{
    const double x[] = {1, 2, 3, 4}, same[] = {2, 2, 2, 2}, bad[] = {1, (double)INFINITY, 3, 4};
    double out = 7;
    wte_error err = {0};
    (void)state;

    assert_int_equal(wte_compare_lists(x, x, 1, WTE_COMPARE_PEARSON, &out, &err), WTE_E_RANGE);
    assert_int_equal(wte_compare_lists(x, same, 4, WTE_COMPARE_TAU_B, &out, &err), WTE_E_RANGE);
    assert_non_null(strstr(err.message, "second list are the same"));
    assert_int_equal(wte_compare_lists(bad, x, 4, WTE_COMPARE_PEARSON, &out, &err), WTE_E_RANGE);
    assert_non_null(strstr(err.message, "number 1 of the first list"));
    assert_int_equal(wte_compare_lists(x, x, 4, WTE_COMPARE_WHITENED_COSINE, &out, &err),
                     WTE_E_RANGE);
    assert_non_null(strstr(err.message, "no upper triangle"));
    assert_true(out == 7);
    assert_string_equal(wte_comparator_name((wte_comparator)99), "unknown comparator");
}

/* An interval of three items has draws of one or two, which have no statistic: they are drawn
 * again, and the ends are numbers. */
static void intervals_of_few_items_are_numbers(void **state)
{
    uint64_t seed = 4;
    wte_rsa_options o;
    (void)state;

    wte_rsa_options_init(&o);
    o.permutations = 0;
    o.bootstraps = 100;
    for (size_t n = 3; n < 9; n++) {
        wte_items x = test_normal_items(n, 4, &seed), y = test_normal_items(n, 4, &seed);

        for (unsigned k = 0; k <= WTE_COMPARE_WHITENED_COSINE; k++) {
            wte_rsa_result r;

            o.statistic = (wte_comparator)k;
            r = analysed(&x, &y, &o);
            assert_true(isfinite(r.ci[0]) && isfinite(r.ci[1]) && r.ci[0] <= r.ci[1]);
            assert_int_equal(r.bootstraps, 100);
        }
        test_items_end(&y);
        test_items_end(&x);
    }
}

static int cancel(void *data, const char *what, uint64_t done, uint64_t total)
{
    (void)what, (void)done, (void)total;
    ++*(int *)data;
    return 1;
}

static void an_analysis_can_be_cancelled(void **state)
{
    uint64_t seed = 6;
    wte_items x = test_normal_items(30, 4, &seed), y = test_normal_items(30, 4, &seed);
    int calls = 0;
    wte_rsa_options o;
    (void)state;

    wte_rsa_options_init(&o);
    o.progress = cancel;
    o.progress_data = &calls;
    refuse(&x, &y, &o, WTE_E_CANCELLED, "cancelled");
    assert_int_equal(calls, 1);
    o.permutations = 0;
    refuse(&x, &y, &o, WTE_E_CANCELLED, "bootstrap cancelled");
    test_items_end(&y);
    test_items_end(&x);
}

static void every_allocation_may_fail(void **state)
{
    static const wte_comparator statistics[] = {WTE_COMPARE_PEARSON, WTE_COMPARE_TAU_B,
                                                WTE_COMPARE_WHITENED_COSINE};
    uint64_t seed = 8;
    wte_items x = test_normal_items(9, 3, &seed), y = test_normal_items(9, 3, &seed);
    wte_rsa_options o;
    (void)state;

    wte_rsa_options_init(&o);
    o.permutations = 20;
    o.bootstraps = 20;
    o.n_threads = 1;
    for (size_t k = 0; k < 3; k++) {
        wte_status status = WTE_E_NOMEM;
        long nth = 0;

        o.statistic = statistics[k];
        for (; status == WTE_E_NOMEM && nth < 500; nth++) {
            wte_rsa_result out;

            wte__fail_alloc(nth);
            status = wte_rsa(&x, &y, &o, &out, NULL);
        }
        wte__fail_alloc(-1);
        assert_int_equal(status, WTE_OK);
        assert_true(nth > 20);
    }
    test_items_end(&y);
    test_items_end(&x);
}

#define small_test(f) cmocka_unit_test_setup_teardown(f, test_small_open, test_small_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        small_test(dissimilarities_are_scipys),
        small_test(comparators_are_scipys),
        small_test(the_whitened_cosine_is_that_of_centred_kernels),
        small_test(a_small_analysis_has_every_number),
        small_test(nuisances_are_regressed_out),
        small_test(up_to_seven_items_all_orders_are_counted),
        small_test(ceilings_are_means_over_replicates),
        small_test(false_discovery_rates_are_benjamini_and_hochbergs),
        small_test(counted_items_are_those_written_out),
        cmocka_unit_test(reference_analyses_are_met),
        cmocka_unit_test(reference_permutations_are_met),
        cmocka_unit_test(reference_ties_are_met),
        cmocka_unit_test(a_space_is_like_itself_however_it_is_turned_or_scaled),
        cmocka_unit_test(equal_items_are_at_distance_zero),
        cmocka_unit_test(rho_a_is_the_mean_over_broken_ties),
        cmocka_unit_test(concordance_is_that_of_all_pairs),
        cmocka_unit_test(permuted_statistics_are_those_of_permuted_triangles),
        cmocka_unit_test(orders_given_up_change_no_p_value),
        cmocka_unit_test(p_values_are_uniform_under_the_null),
        cmocka_unit_test(intervals_cover_at_their_level),
        cmocka_unit_test(threads_change_nothing_and_seeds_do),
        cmocka_unit_test(bad_input_is_named),
        cmocka_unit_test(bad_lists_are_named),
        cmocka_unit_test(intervals_of_few_items_are_numbers),
        cmocka_unit_test(an_analysis_can_be_cancelled),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
