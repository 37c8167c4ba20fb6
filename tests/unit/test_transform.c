/* SPDX-License-Identifier: MIT */
/* test_transform.c - wte/transform.h by hand, against its definitions, and against scikit-learn */
#include <jansson.h>
#include "need_lapack.h"
#include "spaces.h"
#include "wte/transform.h"

static void lists_are_read(void **state)
{
    wte_transform got[4];
    size_t n = 0;
    (void)state;

    assert_int_equal(wte_transform_parse("center,abtt:3,unit,pca:12", got, 4, &n, NULL), WTE_OK);
    assert_int_equal(n, 4);
    assert_int_equal(got[0].kind, WTE_CENTER);
    assert_int_equal(got[1].kind, WTE_ABTT);
    assert_int_equal(got[1].d, 3);
    assert_int_equal(got[2].kind, WTE_UNIT);
    assert_int_equal(got[3].kind, WTE_PCA);
    assert_int_equal(got[3].d, 12);
}

static void bad_lists_are_refused_and_say_what_is_allowed(void **state)
{
    static const char *const bad[] = {
        "",      "centre", "center,", ",unit",    "abtt",
        "abtt:", "abtt:0", "pca:-1",  "pca:x",    "unit:3",
        " unit", "pca:1 ", "PCA:2",   "abtt:3:4", "pca:99999999999999999999999"};
    wte_transform got[4];
    wte_error err = {0};
    size_t n = 77;
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(wte_transform_parse(bad[i], got, 4, &n, &err), WTE_E_RANGE);
        assert_non_null(strstr(err.message, "expected"));
    }
    assert_int_equal(n, 77);
    assert_int_equal(wte_transform_parse("unit,unit", got, 1, &n, &err), WTE_E_RANGE);
    assert_non_null(strstr(err.message, "more than 1"));
}

static wte_space *transformed(const wte_space *space, const char *list)
{
    wte_transform transforms[8];
    wte_space *out = NULL;
    wte_error err = {0};
    size_t n = 0;

    assert_int_equal(wte_transform_parse(list, transforms, 8, &n, NULL), WTE_OK);
    if (wte_space_transform(space, transforms, n, NULL, &out, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return out;
}

static void expect_row(const wte_space *space, uint32_t id, const float *want)
{
    float got[8];

    assert_true(wte_space_get_info(space)->dim <= 8);
    assert_int_equal(wte_space_vector(space, id, got, NULL), WTE_OK);
    for (size_t i = 0; i < wte_space_get_info(space)->dim; i++)
        if (isnan(want[i]))
            assert_true(isnan(got[i]));
        else
            assert_float_equal(got[i], want[i], 1e-6);
}

static void center_and_unit_by_hand(void **state)
{
    static const float rows[4][2] = {{1, 2}, {3, 6}, {INFINITY, 0}, {2, 1}};
    static const float centred[4][2] = {{-1, -1}, {1, 3}, {INFINITY, 0}, {0, -2}};
    test_space t = test_space_of(rows[0], 4, 2);
    wte_space *got = transformed(t.space, "center");
    uint32_t id = 9;
    (void)state;

    for (uint32_t i = 0; i < 4; i++)
        expect_row(got, i, centred[i]);
    assert_int_equal(wte_space_find(got, "w2", 2, &id, NULL), WTE_OK);
    assert_int_equal(id, 2);
    assert_float_equal(wte_space_norm(got, 1), 3.1622776, 1e-6);
    assert_float_equal(wte_space_norm(got, 2), 0, 0);
    assert_non_null(strstr(wte_space_get_info(got)->note, "center"));
    wte_space_free(got);

    got = transformed(t.space, "center,unit");
    expect_row(got, 0, (const float[]){-0.70710678f, -0.70710678f});
    expect_row(got, 2, centred[2]);
    expect_row(got, 3, (const float[]){0, -1});
    wte_space_free(got);
    test_space_end(&t);
}

/* Rows that vary much along (1, 1)/sqrt(2), less along (1, -1)/sqrt(2). */
static const float ellipse[4][2] = {{13, 13}, {7, 7}, {11, 9}, {9, 11}};

static void components_of_an_ellipse_by_hand(void **state)
{
    test_space t = test_space_of(ellipse[0], 4, 2);
    const float r = 0.70710678f;
    wte_space *got;
    (void)state;

    need_lapack();
    got = transformed(t.space, "pca:2");
    expect_row(got, 0, (const float[]){6 * r, 0});
    expect_row(got, 1, (const float[]){-6 * r, 0});
    expect_row(got, 2, (const float[]){0, 2 * r});
    wte_space_free(got);
    got = transformed(t.space, "abtt:1");
    expect_row(got, 0, (const float[]){0, 0});
    expect_row(got, 2, (const float[]){1, -1});
    wte_space_free(got);
    got = transformed(t.space, "abtt:2");
    expect_row(got, 2, (const float[]){0, 0});
    wte_space_free(got);
    /* 18 of 20 along the first */
    {
        const uint32_t ids[] = {0, 1, 2, 3};
        float points[4], components[2], mean[2];
        double variance, ratio;

        assert_int_equal(
            wte_space_pca(t.space, ids, 4, 1, points, components, mean, &variance, &ratio, NULL),
            WTE_OK);
        assert_float_equal(mean[1], 10, 1e-6);
        assert_float_equal(components[0], r, 1e-6);
        assert_float_equal(components[1], r, 1e-6);
        assert_true(fabs(variance - 12) < 1e-12 * 12 + 1e-12);
        assert_true(fabs(ratio - 0.9) < 1e-12);
        assert_float_equal(points[1], -6 * r, 1e-6);
    }
    test_space_end(&t);
}

static void rows_that_are_not_finite_become_nan_coordinates(void **state)
{
    static const float rows[5][2] = {{13, 13}, {7, 7}, {NAN, 1}, {11, 9}, {9, 11}};
    test_space t = test_space_of(rows[0], 5, 2);
    wte_space *got;
    float points[5];
    (void)state;

    need_lapack();
    got = transformed(t.space, "pca:1");
    expect_row(got, 0, (const float[]){6 * 0.70710678f});
    expect_row(got, 2, (const float[]){NAN});
    assert_int_equal(wte_space_pca(t.space, NULL, 0, 1, points, NULL, NULL, NULL, NULL, NULL),
                     WTE_OK);
    assert_true(isnan(points[2]));
    assert_float_equal(points[1], -6 * 0.70710678f, 1e-6);
    wte_space_free(got);
    test_space_end(&t);
}

static void too_many_components_are_refused(void **state)
{
    test_space t = test_space_of(ellipse[0], 4, 2);
    const uint32_t ids[] = {0, 1, 9};
    float points[8];
    wte_space *out = NULL;
    wte_error err = {0};
    (void)state;

    assert_int_equal(
        wte_space_transform(t.space, &(wte_transform){WTE_PCA, 3}, 1, NULL, &out, &err),
        WTE_E_RANGE);
    assert_non_null(strstr(err.message, "1..2 expected"));
    assert_int_equal(
        wte_space_transform(t.space, &(wte_transform){WTE_ABTT, 0}, 1, NULL, &out, NULL),
        WTE_E_RANGE);
    assert_int_equal(wte_space_transform(t.space, &(wte_transform){(wte_transform_kind)12, 1}, 1,
                                         NULL, &out, NULL),
                     WTE_E_RANGE);
    assert_null(out);
    assert_int_equal(wte_space_pca(t.space, ids, 2, 2, points, NULL, NULL, NULL, NULL, &err),
                     WTE_E_RANGE);
    assert_non_null(strstr(err.message, "at most 1 expected"));
    assert_int_equal(wte_space_pca(t.space, ids, 3, 1, points, NULL, NULL, NULL, NULL, NULL),
                     WTE_E_RANGE);
    assert_int_equal(wte_space_pca(t.space, ids, 2, 0, points, NULL, NULL, NULL, NULL, NULL),
                     WTE_E_RANGE);
    assert_int_equal(wte_space_pca(t.space, ids, 0, 1, points, NULL, NULL, NULL, NULL, NULL),
                     WTE_E_RANGE);
    test_space_end(&t);
}

static test_space random_space(uint32_t n, size_t dim)
{
    float *matrix = calloc(n * dim, sizeof *matrix);
    uint64_t seed = 42;
    test_space t;

    assert_non_null(matrix);
    for (size_t i = 0; i < n * dim; i++)
        matrix[i] = test_normal(&seed) * (1 + (float)(i % dim)) + 3;
    t = test_space_of(matrix, n, dim);
    free(matrix);
    return t;
}

static void same_result_for_any_number_of_threads(void **state)
{
    enum { N = 5000, DIM = 24 };
    test_space t = random_space(N, DIM);
    wte_transform transforms[4];
    wte_open_options options = WTE_OPEN_DEFAULTS;
    wte_space *one = NULL, *many = NULL;
    size_t n = 0;
    float a[DIM], b[DIM];
    (void)state;

    need_lapack();
    assert_int_equal(wte_transform_parse("center,abtt:2,unit,pca:20", transforms, 4, &n, NULL),
                     WTE_OK);
    options.n_threads = 1;
    assert_int_equal(wte_space_transform(t.space, transforms, n, &options, &one, NULL), WTE_OK);
    options.n_threads = 5;
    assert_int_equal(wte_space_transform(t.space, transforms, n, &options, &many, NULL), WTE_OK);
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(wte_space_vector(one, i, a, NULL), WTE_OK);
        assert_int_equal(wte_space_vector(many, i, b, NULL), WTE_OK);
        assert_memory_equal(a, b, 20 * sizeof *a);
    }
    wte_space_free(many);
    wte_space_free(one);
    test_space_end(&t);
}

static void components_are_orthonormal_and_remove_what_they_carry(void **state)
{
    enum { N = 700, DIM = 24, D = 5 };
    test_space t = random_space(N, DIM);
    float components[D * DIM];
    double variance[D], ratio[D];
    wte_space *rest;
    (void)state;

    need_lapack();
    assert_int_equal(
        wte_space_pca(t.space, NULL, 0, D, NULL, components, NULL, variance, ratio, NULL), WTE_OK);
    for (size_t i = 0; i < D; i++)
        for (size_t j = 0; j < D; j++) {
            double sum = 0;

            for (size_t k = 0; k < DIM; k++)
                sum += (double)components[i * DIM + k] * (double)components[j * DIM + k];
            assert_true(fabs(sum - (i == j)) < 1e-6);
            assert_true(i == 0 || variance[i] <= variance[i - 1]);
        }
    rest = transformed(t.space, "abtt:5");
    for (uint32_t i = 0; i < N; i++) {
        float row[DIM];

        assert_int_equal(wte_space_vector(rest, i, row, NULL), WTE_OK);
        for (size_t c = 0; c < D; c++) {
            double sum = 0;

            for (size_t k = 0; k < DIM; k++)
                sum += (double)row[k] * (double)components[c * DIM + k];
            assert_true(fabs(sum) < 1e-4);
        }
    }
    wte_space_free(rest);
    test_space_end(&t);
}

/* ---- scikit-learn ------------------------------------------------------------------------ */

static void check_case(const wte_space *space, const json_t *c)
{
    const json_t *words = json_object_get(c, "words"), *projected, *want;
    const json_t *variances = json_object_get(c, "explained_variance");
    size_t d = (size_t)json_integer_value(json_object_get(c, "n_components"));
    size_t n = json_array_size(words), dim = wte_space_get_info(space)->dim;
    size_t n_points = n ? n : wte_space_get_info(space)->n_rows;
    uint32_t *ids = calloc(n + 1, sizeof *ids);
    float *points = calloc(n_points * d, sizeof *points), *mean = calloc(dim, sizeof *mean);
    float *components = calloc(d * dim, sizeof *components);
    double *variance = calloc(d, sizeof *variance), *ratio = calloc(d, sizeof *ratio);
    bool whiten = json_is_true(json_object_get(c, "whiten"));
    wte_error err = {0};

    assert_true(ids && points && mean && components && variance && ratio);
    for (size_t i = 0; i < n; i++)
        ids[i] = test_id(space, json_string_value(json_array_get(words, i)));
    if (wte_space_pca(space, n ? ids : NULL, n, d, points, components, mean, variance, ratio,
                      &err) != WTE_OK)
        fail_msg("%s", err.message);
    want = json_object_get(c, "mean");
    for (size_t i = 0; i < dim; i++)
        assert_float_equal(mean[i], json_number_value(json_array_get(want, i)), 1e-6);
    for (size_t i = 0; i < d; i++) {
        double w = json_number_value(json_array_get(variances, i));

        assert_true(fabs(variance[i] - w) < 1e-6 * fmax(1, w));
        w = json_number_value(json_array_get(json_object_get(c, "explained_variance_ratio"), i));
        assert_true(fabs(ratio[i] - w) < 1e-6);
        want = json_array_get(json_object_get(c, "components"), i);
        for (size_t j = 0; j < dim; j++)
            assert_float_equal(components[i * dim + j], json_number_value(json_array_get(want, j)),
                               1e-6);
    }
    projected = json_object_get(c, "projected_words");
    for (size_t p = 0; p < json_array_size(projected); p++) {
        size_t at = 0;
        uint32_t id = test_id(space, json_string_value(json_array_get(projected, p)));

        for (at = 0; n && ids[at] != id; at++)
            assert_true(at + 1 < n);
        want = json_array_get(json_object_get(c, "projections"), p);
        for (size_t i = 0; i < d; i++) {
            double scale = whiten ? sqrt(variance[i]) : 1;

            assert_float_equal((float)(points[(n ? at : id) * d + i] / scale),
                               json_number_value(json_array_get(want, i)), 2e-6);
        }
    }
    free(ratio);
    free(variance);
    free(components);
    free(mean);
    free(points);
    free(ids);
}

static void components_as_scikit_learns(void **state)
{
    json_t *root = json_load_file(need_shared("golden/pca.json"), 0, NULL);
    test_space news = test_space_from_bin(need_shared("data/google-news-1000.bin"));
    test_space random = test_space_from_bin(need_shared("golden/random-2000x50.bin"));
    size_t i;
    json_t *c;
    (void)state;

    need_lapack();
    assert_non_null(root);
    assert_true(json_array_size(json_object_get(root, "cases")) > 0);
    json_array_foreach(json_object_get(root, "cases"), i, c)
    {
        const char *vectors = json_string_value(json_object_get(c, "vectors"));

        check_case(strcmp(vectors, "random-2000x50") ? news.space : random.space, c);
    }
    test_space_end(&random);
    test_space_end(&news);
    json_decref(root);
}

static int stop(void *data, const char *what, uint64_t done, uint64_t total)
{
    (void)data, (void)what, (void)done, (void)total;
    return 1;
}

static void a_transform_can_be_cancelled(void **state)
{
    test_space t = random_space(3000, 8);
    wte_open_options options = WTE_OPEN_DEFAULTS;
    wte_space *out = NULL;
    (void)state;

    need_lapack();
    options.progress = stop;
    assert_int_equal(
        wte_space_transform(t.space, &(wte_transform){WTE_ABTT, 1}, 1, &options, &out, NULL),
        WTE_E_CANCELLED);
    assert_null(out);
    test_space_end(&t);
}

static void every_allocation_may_fail(void **state)
{
    test_space t = random_space(50, 4);
    wte_transform transforms[3];
    size_t n = 0;
    wte_status status = WTE_E_NOMEM;
    float points[50];
    long nth = 0;
    (void)state;

    need_lapack();
    assert_int_equal(wte_transform_parse("abtt:1,unit,pca:2", transforms, 3, &n, NULL), WTE_OK);
    for (; status != WTE_OK && nth < 300; nth++) {
        wte_space *out = NULL;

        wte__fail_alloc(nth);
        status = wte_space_transform(t.space, transforms, n, NULL, &out, NULL);
        assert_true(status == WTE_OK || (status == WTE_E_NOMEM && !out));
        wte_space_free(out);
    }
    assert_true(nth > 10 && nth < 300);
    status = WTE_E_NOMEM;
    for (nth = 0; status != WTE_OK && nth < 100; nth++) {
        wte__fail_alloc(nth);
        status = wte_space_pca(t.space, NULL, 0, 1, points, NULL, NULL, NULL, NULL, NULL);
        assert_true(status == WTE_OK || status == WTE_E_NOMEM);
    }
    wte__fail_alloc(-1);
    assert_true(nth > 5 && nth < 100);
    test_space_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_read),
        cmocka_unit_test(bad_lists_are_refused_and_say_what_is_allowed),
        cmocka_unit_test(center_and_unit_by_hand),
        cmocka_unit_test(components_of_an_ellipse_by_hand),
        cmocka_unit_test(rows_that_are_not_finite_become_nan_coordinates),
        cmocka_unit_test(too_many_components_are_refused),
        cmocka_unit_test(same_result_for_any_number_of_threads),
        cmocka_unit_test(components_are_orthonormal_and_remove_what_they_carry),
        cmocka_unit_test(components_as_scikit_learns),
        cmocka_unit_test(a_transform_can_be_cancelled),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
