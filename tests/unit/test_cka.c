/* SPDX-License-Identifier: MIT */
/* test_cka.c - kernel alignment, Procrustes and canonical correlations: against numpy and scipy,
 * and by closed forms */
#include "compare.h"
#include "compare/product.h"

static double cka(const wte_items *a, const wte_items *b, double rbf, int debiased)
{
    wte_error err = {0};
    double out = NAN;

    if (wte_cka(a, b, rbf, debiased, 2, &out, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return out;
}

static wte_procrustes_result procrustes(const wte_items *a, const wte_items *b)
{
    wte_procrustes_result out = {0};
    wte_error err = {0};

    if (wte_procrustes(a, b, 2, &out, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return out;
}

static double cca(const wte_items *a, const wte_items *b, double variance, double *correlations,
                  size_t kept[2])
{
    wte_error err = {0};
    double out = NAN;

    if (wte_cca(a, b, variance, correlations, &out, kept, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return out;
}

static double pwcca(const wte_items *a, const wte_items *b)
{
    wte_error err = {0};
    double out = NAN;

    if (wte_pwcca(a, b, &out, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return out;
}

/* ---- references --------------------------------------------------------------------------- */

static void alignments_are_those_of_gram_matrices(void **state)
{
    const test_small *s = *state;

    test_near("linear", cka(&s->a, &s->b, 0, 0), test_number(s->json, "cka_linear"), 1e-12);
    test_near("debiased", cka(&s->a, &s->b, 0, 1), test_number(s->json, "cka_linear_debiased"),
              1e-12);
    test_near("rbf", cka(&s->a, &s->b, 1, 0), test_number(s->json, "cka_rbf"), 1e-12);
    test_near("rbf, half", cka(&s->a, &s->b, 0.5, 0), test_number(s->json, "cka_rbf_half"), 1e-12);
    test_near("rbf, debiased", cka(&s->a, &s->b, 1, 1), test_number(s->json, "cka_rbf_debiased"),
              1e-12);
}

static void procrustes_is_scipys(void **state)
{
    const test_small *s = *state;

    need_lapack();
    for (int turned = 0; turned < 2; turned++) {
        const wte_procrustes_result r =
            turned ? procrustes(&s->b, &s->a) : procrustes(&s->a, &s->b);

        test_near("distance", r.distance, test_number(s->json, "procrustes_distance"), 1e-12);
        test_near("angle", r.angle, test_number(s->json, "procrustes_angle"), 1e-12);
        test_near("disparity", r.disparity, test_number(s->json, "procrustes_disparity"), 1e-12);
    }
}

static void canonical_correlations_are_numpys(void **state)
{
    const test_small *s = *state;
    double got[4];
    size_t n, kept[2];
    double *want = test_numbers(json_object_get(s->json, "cca"), &n), sum = 0;
    double *half = test_numbers(json_object_get(s->json, "svcca_half"), &kept[0]);

    need_lapack();
    assert_int_equal(n, 4);
    sum = cca(&s->a, &s->b, 1, got, kept);
    assert_true(kept[0] == 5 && kept[1] == 4);
    for (size_t i = 0; i < n; i++) {
        test_near("correlation", got[i], want[i], 1e-12);
        sum -= want[i] / 4;
    }
    test_near("mean", sum, 0, 1e-12);
    test_near("half", cca(&s->a, &s->b, 0.5, got, kept), half[0], 1e-12);
    assert_true(kept[0] == 2 && kept[1] == 1 && got[1] == 0 && got[3] == 0);
    test_near("pwcca", pwcca(&s->a, &s->b), test_number(s->json, "pwcca"), 1e-12);
    test_near("pwcca of b", pwcca(&s->b, &s->a), test_number(s->json, "pwcca_reversed"), 1e-12);
    free(half);
    free(want);
}

static void check_svcca(const test_pair *pair, const char *key, double variance)
{
    const json_t *want = json_object_get(pair->json, key), *n = json_object_get(want, "kept");
    size_t kept[2];

    test_near(key, cca(&pair->a, &pair->b, variance, NULL, kept), test_number(want, "mean"), 1e-6);
    assert_int_equal(kept[0], json_integer_value(json_array_get(n, 0)));
    assert_int_equal(kept[1], json_integer_value(json_array_get(n, 1)));
}

static void check_pair(const test_pair *pair)
{
    const json_t *c = pair->json;
    const wte_procrustes_result r = procrustes(&pair->a, &pair->b);
    double mean = 7;
    wte_error err = {0};

    test_near("linear_cka", cka(&pair->a, &pair->b, 0, 0), test_number(c, "linear_cka"), 1e-6);
    test_near("linear_cka_unbiased", cka(&pair->a, &pair->b, 0, 1),
              test_number(c, "linear_cka_unbiased"), 1e-6);
    test_near("rbf_cka", cka(&pair->a, &pair->b, 1, 0), test_number(c, "rbf_cka"), 1e-6);
    test_near("distance", r.distance, test_number(c, "procrustes_distance"), 1e-6);
    test_near("disparity", r.disparity, test_number(c, "procrustes_disparity"), 1e-6);
    check_svcca(pair, "svcca_0.5", 0.5);
    check_svcca(pair, "svcca_0.9", 0.9);
    check_svcca(pair, "svcca_0.99", 0.99);
    if (json_is_null(json_object_get(c, "cca_mean"))) {
        assert_int_equal(wte_cca(&pair->a, &pair->b, 1, NULL, &mean, NULL, &err), WTE_E_RANGE);
        assert_non_null(strstr(err.message, "every canonical correlation is 1"));
        assert_int_equal(wte_pwcca(&pair->a, &pair->b, &mean, NULL), WTE_E_RANGE);
        assert_true(mean == 7);
    } else {
        size_t n;
        double *want = test_numbers(json_object_get(c, "cca_correlations"), &n);
        double *got = calloc(n, sizeof *got);

        assert_non_null(got);
        test_near("cca_mean", cca(&pair->a, &pair->b, 1, got, NULL), test_number(c, "cca_mean"),
                  1e-6);
        for (size_t i = 0; i < n; i++)
            test_near("correlation", got[i], want[i], 1e-6);
        free(got);
        free(want);
    }
}

static void reference_spaces_are_met(void **state)
{
    (void)state;
    need_lapack();
    test_each_pair(check_pair);
}

/* ---- closed forms ------------------------------------------------------------------------- */

static void a_space_is_like_itself_however_it_is_turned(void **state)
{
    /* fewer items than columns, more, and as many */
    static const size_t shapes[][2] = {{12, 20}, {60, 9}, {17, 17}};
    uint64_t seed = 1;
    (void)state;

    for (size_t k = 0; k < 3; k++) {
        wte_items x = test_normal_items(shapes[k][0], shapes[k][1], &seed);
        wte_items turned = test_rotated(&x, &seed);

        for (size_t s = 0; s < 2; s++) {
            const wte_items *y = s ? &turned : &x;

            test_near("linear", cka(&x, y, 0, 0), 1, 1e-10);
            test_near("debiased", cka(&x, y, 0, 1), 1, 1e-10);
            test_near("rbf", cka(&x, y, 1, 0), 1, 1e-6);
            test_near("rbf, debiased", cka(&x, y, 1, 1), 1, 1e-6);
        }
        test_items_end(&turned);
        test_items_end(&x);
    }
}

static void a_turned_space_lies_at_distance_zero(void **state)
{
    uint64_t seed = 2;
    (void)state;

    need_lapack();
    for (size_t n = 10; n <= 70; n += 30) {
        wte_items x = test_normal_items(n, 25, &seed), turned = test_rotated(&x, &seed);
        const wte_procrustes_result same = procrustes(&x, &x), r = procrustes(&x, &turned);

        test_near("same", same.distance, 0, 1e-7);
        test_near("turned", r.distance, 0, 1e-6);
        test_near("angle", r.angle, 0, 1e-6);
        test_near("disparity", r.disparity, 0, 1e-12);
        test_items_end(&turned);
        test_items_end(&x);
    }
}

/* Correlations do not change by any invertible map; PWCCA's weights are those of a's own
 * columns. */
static void canonical_correlations_ignore_linear_maps(void **state)
{
    enum { N = 50, P = 6 };
    uint64_t seed = 3;
    wte_items x = test_normal_items(N, P, &seed), y = test_normal_items(N, 4, &seed);
    float mapped[N * P];
    const wte_items z = {mapped, N, P, NULL};
    (void)state;

    need_lapack();
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < P; j++) /* triangular with a diagonal: invertible */
            mapped[i * P + j] = 3 * x.data[i * P + j] + (j ? x.data[i * P + j - 1] : 7) + 100;
    test_near("mean", cca(&x, &z, 1, NULL, NULL), 1, 1e-9);
    test_near("pwcca", pwcca(&x, &z), 1, 1e-9);
    test_near("with y", cca(&z, &y, 1, NULL, NULL), cca(&x, &y, 1, NULL, NULL), 1e-6);
    assert_true(fabs(pwcca(&x, &y) - pwcca(&z, &y)) > 1e-4);
    test_near("weighted by a", pwcca(&y, &x), pwcca(&y, &z), 1e-6);
    test_items_end(&y);
    test_items_end(&x);
}

/* Independent normals: linear CKA is what chance gives, by E|X'Y|^2 = n p
 * q and E|X'X|^2 = n p (n + p + 1), to the first order, n being one less for the mean. Debiased it
 * is 0 within its error. */
static void independence_has_the_known_bias_and_debiased_none(void **state)
{
    static const struct {
        size_t n, p, q, repeats;
    } cases[] = {{32, 8, 8, 300}, {60, 30, 20, 200}, {20, 50, 70, 200}, {256, 8, 8, 100}};
    uint64_t seed = 4;
    (void)state;

    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const double n = (double)cases[k].n - 1, p = (double)cases[k].p, q = (double)cases[k].q;
        const double repeats = (double)cases[k].repeats;
        const double bias = sqrt(p * q) / sqrt((n + p + 1) * (n + q + 1));
        double sums[3] = {0}, squares[3] = {0};

        for (size_t r = 0; r < cases[k].repeats; r++) {
            wte_items x = test_normal_items(cases[k].n, cases[k].p, &seed);
            wte_items y = test_normal_items(cases[k].n, cases[k].q, &seed);
            const double values[3] = {cka(&x, &y, 0, 0), cka(&x, &y, 0, 1), cka(&x, &y, 1, 1)};

            for (size_t i = 0; i < 3; i++) {
                sums[i] += values[i];
                squares[i] += values[i] * values[i];
            }
            test_items_end(&y);
            test_items_end(&x);
        }
        test_near("biased", sums[0] / repeats, bias, 0.02 * bias);
        for (size_t i = 1; i < 3; i++) {
            const double mean = sums[i] / repeats;
            const double error = sqrt((squares[i] / repeats - mean * mean) / repeats);

            test_near("debiased", mean, 0, 4 * error);
            assert_true(error < 0.02);
        }
    }
}

/* The same spaces by both ways: in feature space, where there are more items than columns, and in
 * item space; and with the columns far from 0. */
static void both_ways_and_a_large_mean_agree(void **state)
{
    enum { N = 40, P = 30, WIDE = 300 };
    uint64_t seed = 5;
    wte_items x = test_normal_items(N, P, &seed), y = test_normal_items(N, P, &seed);
    float *wide = calloc((size_t)N * WIDE, sizeof *wide), moved[N * P];
    wte_items padded = {wide, N, WIDE, NULL}, far_off = {moved, N, P, NULL};
    (void)state;

    assert_non_null(wide);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < P; j++) {
            wide[i * WIDE + j] = x.data[i * P + j];
            moved[i * P + j] = x.data[i * P + j] + 1000;
        }
    for (int debiased = 0; debiased < 2; debiased++) {
        test_near("both ways", cka(&padded, &y, 0, debiased), cka(&x, &y, 0, debiased), 1e-12);
        test_near("moved", cka(&far_off, &y, 0, debiased), cka(&x, &y, 0, debiased), 1e-5);
    }
    free(wide);
    test_items_end(&y);
    test_items_end(&x);
}

/* Enough multiplications that products are of float32: against float64 sums written out. */
static void large_spaces_in_float32_are_as_exact(void **state)
{
    enum { N = 3000, P = 420, Q = 400 };
    uint64_t seed = 6;
    wte_items x = test_normal_items(N, P, &seed), y = test_normal_items(N, Q, &seed);
    float *data = (float *)(uintptr_t)y.data;
    double *gram[2], xx = 0, yy = 0, xy = 0;
    (void)state;

    for (size_t i = 0; i < N; i++) /* something in common, and a mean */
        for (size_t j = 0; j < Q; j++)
            data[i * Q + j] += 0.5f * x.data[i * P + j % 40] + 3;
    for (size_t s = 0; s < 2; s++) {
        const wte_items *items = s ? &y : &x;
        const size_t dim = items->dim;
        double *mean = calloc(dim, sizeof *mean);

        gram[s] = calloc(dim * N, sizeof **gram);
        assert_true(gram[s] && mean);
        for (size_t i = 0; i < N * dim; i++)
            mean[i % dim] += (double)items->data[i] / N;
        for (size_t i = 0; i < N * dim; i++)
            gram[s][i] = (double)items->data[i] - mean[i % dim];
        free(mean);
    }
    const wte__view a = {gram[0], NULL, NULL, P, N, 1, P}, b = {gram[1], NULL, NULL, Q, N, 1, Q};
    double *products = calloc((size_t)P * P, sizeof *products);

    assert_non_null(products);
    assert_int_equal(wte__multiply(&a, &a, 2, products, NULL), WTE_OK);
    for (size_t i = 0; i < (size_t)P * P; i++)
        xx += products[i] * products[i];
    assert_int_equal(wte__multiply(&b, &b, 2, products, NULL), WTE_OK);
    for (size_t i = 0; i < (size_t)Q * Q; i++)
        yy += products[i] * products[i];
    assert_int_equal(wte__multiply(&a, &b, 2, products, NULL), WTE_OK);
    for (size_t i = 0; i < (size_t)P * Q; i++)
        xy += products[i] * products[i];
    test_near("float32", cka(&x, &y, 0, 0), xy / sqrt(xx * yy), 1e-8);
    free(products);
    free(gram[1]);
    free(gram[0]);
    test_items_end(&y);
    test_items_end(&x);
}

/* Products of every shape of panels against sums written out, with and without float32. */
static void products_are_sums(void **state)
{
    static const size_t shapes[][3] = {{1, 1, 1},    {6, 8, 256},    {7, 9, 257},  {48, 16, 3},
                                       {49, 17, 30}, {100, 33, 600}, {97, 97, 513}};
    uint64_t seed = 7;
    (void)state;

    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        const size_t n = shapes[k][0], m = shapes[k][1], depth = shapes[k][2];
        double *a = calloc(n * depth, sizeof *a), *b = calloc(m * depth, sizeof *b);
        double *got = calloc(n * m, sizeof *got);

        assert_true(a && b && got);
        for (size_t i = 0; i < n * depth; i++)
            a[i] = (double)test_normal(&seed);
        for (size_t i = 0; i < m * depth; i++)
            b[i] = (double)test_normal(&seed);
        /* a's vectors are rows, b's are columns */
        const wte__view x = {a, NULL, NULL, n, depth, depth, 1};
        const wte__view y = {b, NULL, NULL, m, depth, 1, m};

        assert_int_equal(wte__multiply(&x, &y, 3, got, NULL), WTE_OK);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < m; j++) {
                double want = 0;

                for (size_t t = 0; t < depth; t++)
                    want += a[i * depth + t] * b[t * m + j];
                test_near("product", got[i * m + j], want, 1e-11);
            }
        free(got);
        free(b);
        free(a);
    }
}

/* ---- what cannot be done ------------------------------------------------------------------ */

static void bad_input_is_named(void **state)
{
    uint64_t seed = 8;
    wte_items x = test_normal_items(10, 3, &seed), y = test_normal_items(10, 4, &seed);
    float same[40], *data = (float *)(uintptr_t)y.data;
    wte_items constant = {same, 10, 4, "word2vec"}, few = x;
    wte_procrustes_result procrustes_out = {.distance = 7};
    double out = 7;
    wte_error err = {0};
    (void)state;

    for (size_t i = 0; i < 40; i++)
        same[i] = (float)(i % 4);
    few.n = 3;
    assert_int_equal(wte_cka(&x, &few, 0, 0, 1, &out, &err), WTE_E_SHAPE);
    assert_non_null(strstr(err.message, "10 of normal items and 3 of"));
    assert_int_equal(wte_cka(&few, &few, 0, 1, 1, &out, &err), WTE_E_RANGE);
    assert_non_null(strstr(err.message, "at least 4 expected for debiased CKA"));
    few.n = 1;
    assert_int_equal(wte_cka(&few, &few, 0, 0, 1, &out, &err), WTE_E_RANGE);
    assert_int_equal(wte_cka(&x, &constant, 0, 0, 1, &out, &err), WTE_E_RANGE);
    assert_non_null(strstr(err.message, "all 10 rows of word2vec are the same"));
    assert_int_equal(wte_cka(&x, &y, -1, 0, 1, &out, &err), WTE_E_RANGE);
    assert_int_equal(wte_cka(&x, &y, (double)NAN, 0, 1, &out, &err), WTE_E_RANGE);
    same[0] = 5; /* one row of ten differs: most pairs are equal */
    assert_int_equal(wte_cka(&x, &constant, 1, 0, 1, &out, &err), WTE_E_RANGE);
    assert_non_null(strstr(err.message, "more than half of the pairs of word2vec are equal"));
    data[6] = INFINITY;
    assert_int_equal(wte_cka(&x, &y, 0, 0, 1, &out, &err), WTE_E_RANGE);
    assert_non_null(strstr(err.message, "row 1 of normal items is not finite"));
    assert_true(out == 7);
    need_lapack();
    same[0] = 0;
    few.n = 3;
    assert_int_equal(wte_procrustes(&x, &few, 1, &procrustes_out, &err), WTE_E_SHAPE);
    assert_int_equal(wte_procrustes(&x, &constant, 1, &procrustes_out, &err), WTE_E_RANGE);
    assert_int_equal(wte_procrustes(&x, &y, 1, &procrustes_out, &err), WTE_E_RANGE);
    assert_true(procrustes_out.distance == 7);
    data[6] = 1;
    assert_int_equal(wte_cca(&x, &few, 1, NULL, &out, NULL, &err), WTE_E_SHAPE);
    assert_int_equal(wte_cca(&x, &y, 0, NULL, &out, NULL, &err), WTE_E_RANGE);
    assert_int_equal(wte_cca(&x, &y, 1.5, NULL, &out, NULL, &err), WTE_E_RANGE);
    for (size_t i = 0; i < 10; i++)
        data[i * 4 + 3] = data[i * 4] - data[i * 4 + 1];
    for (size_t i = 0; i < 40; i++)
        data[i] = roundf(data[i] * 16) / 16;
    for (size_t i = 0; i < 10; i++)
        data[i * 4 + 3] = data[i * 4] - data[i * 4 + 1];
    assert_int_equal(wte_cca(&x, &y, 1, NULL, &out, NULL, &err), WTE_E_RANGE);
    assert_non_null(strstr(err.message, "depend on each other"));
    assert_int_equal(wte_cca(&x, &y, 0.999, NULL, &out, NULL, &err), WTE_OK);
    test_items_end(&y);
    test_items_end(&x);
}

static void every_allocation_may_fail(void **state)
{
    uint64_t seed = 9;
    wte_items x = test_normal_items(20, 3, &seed), y = test_normal_items(20, 4, &seed);
    wte_items wide = test_normal_items(20, 30, &seed);
    (void)state;

    need_lapack();
    for (int k = 0; k < 6; k++) {
        wte_status status = WTE_E_NOMEM;
        wte_procrustes_result r;
        double out;
        long nth = 0;

        for (; status == WTE_E_NOMEM && nth < 200; nth++) {
            wte__fail_alloc(nth);
            status = k == 0   ? wte_cka(&x, &y, 0, 1, 1, &out, NULL)
                     : k == 1 ? wte_cka(&wide, &y, 0, 1, 1, &out, NULL)
                     : k == 2 ? wte_cka(&x, &y, 1, 1, 1, &out, NULL)
                     : k == 3 ? wte_procrustes(&x, &wide, 1, &r, NULL)
                     : k == 4 ? wte_cca(&x, &y, 0.9, NULL, &out, NULL, NULL)
                              : wte_pwcca(&x, &y, &out, NULL);
        }
        wte__fail_alloc(-1);
        assert_int_equal(status, WTE_OK);
        assert_true(nth > 5);
    }
    test_items_end(&wide);
    test_items_end(&y);
    test_items_end(&x);
}

#define small_test(f) cmocka_unit_test_setup_teardown(f, test_small_open, test_small_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        small_test(alignments_are_those_of_gram_matrices),
        small_test(procrustes_is_scipys),
        small_test(canonical_correlations_are_numpys),
        cmocka_unit_test(reference_spaces_are_met),
        cmocka_unit_test(a_space_is_like_itself_however_it_is_turned),
        cmocka_unit_test(a_turned_space_lies_at_distance_zero),
        cmocka_unit_test(canonical_correlations_ignore_linear_maps),
        cmocka_unit_test(independence_has_the_known_bias_and_debiased_none),
        cmocka_unit_test(both_ways_and_a_large_mean_agree),
        cmocka_unit_test(large_spaces_in_float32_are_as_exact),
        cmocka_unit_test(products_are_sums),
        cmocka_unit_test(bad_input_is_named),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
