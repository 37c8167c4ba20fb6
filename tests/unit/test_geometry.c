/* SPDX-License-Identifier: MIT */
/* test_geometry.c - isotropy, neighbours and row correlations against numpy, and closed forms */
#include "compare.h"
#include "compare/neighbors.h"

static const char *const small = "golden/geometry_small.json";

static wte_isotropy_result measured(const wte_items *items, size_t k, size_t n_hub, uint64_t seed,
                                    unsigned n_threads)
{
    wte_isotropy_result out;
    wte_error err = {0};

    need_lapack();
    if (wte_isotropy(items, k, n_hub, seed, n_threads, &out, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return out;
}

/* The last two hold the trap of methods.md: eigenvectors are columns, not rows. */
static void a_small_space_is_numpys(void **state)
{
    json_t *json = test_json(test_file(small));
    wte_items a = test_items(json_object_get(json, "a"), "a");
    wte_isotropy_result r;
    (void)state;

    r = measured(&a, (size_t)test_number(json, "k"), 0, 0, 0);
    test_near("mean cosine", r.mean_cosine, test_number(json, "mean_cosine"), 1e-12);
    test_near("sd of cosines", r.sd_cosine, test_number(json, "sd_cosine"), 1e-12);
    assert_int_equal(r.pairs, a.n * (a.n - 1) / 2);
    test_near("IsoScore", r.iso_score, test_number(json, "iso_score"), 1e-12);
    test_near("participation", r.participation_ratio, test_number(json, "participation_ratio"),
              1e-12);
    test_near("effective rank", r.effective_rank, test_number(json, "effective_rank"), 1e-12);
    test_near("hubness", r.hubness, test_number(json, "hubness"), 1e-12);
    test_near("anti-hubs", r.anti_hubs, test_number(json, "anti_hubs"), 1e-12);
    assert_int_equal(r.hub_items, a.n);
    test_near("partition", r.partition, test_number(json, "partition"), 1e-12);
    assert_true(fabs(r.partition - test_number(json, "partition_of_rows")) > 0.01);
    test_items_end(&a);
    json_decref(json);
}

static void small_neighbourhoods_are_numpys(void **state)
{
    json_t *json = test_json(test_file(small));
    wte_items a = test_items(json_object_get(json, "a"), "a");
    wte_items b = test_items(json_object_get(json, "b"), "b");
    const size_t k = (size_t)test_number(json, "k");
    const double p = test_number(json, "p");
    double overlap = -1, rbo = -1, other = -1;
    (void)state;

    assert_int_equal(wte_neighbor_overlap(&a, &b, k, p, 0, &overlap, &rbo, NULL), WTE_OK);
    test_near("overlap", overlap, test_number(json, "overlap"), 1e-12);
    test_near("rank-biased overlap", rbo, test_number(json, "rbo"), 1e-12);
    assert_int_equal(wte_neighbor_overlap(&b, &a, k, p, 0, NULL, &other, NULL), WTE_OK);
    test_near("the same the other way round", other, rbo, 1e-12);
    assert_int_equal(wte_neighbor_overlap(&a, &b, k, 7, 0, &other, NULL, NULL), WTE_OK);
    test_near("overlap alone", other, overlap, 0);
    test_items_end(&b);
    test_items_end(&a);
    json_decref(json);
}

static void small_rows_correlate_as_scipys(void **state)
{
    json_t *json = test_json(test_file(small));
    wte_items a = test_items(json_object_get(json, "a"), "a");
    wte_items b = test_items(json_object_get(json, "b"), "b");
    size_t n;
    double *want = test_numbers(json_object_get(json, "pearson"), &n), got[64];
    (void)state;

    assert_int_equal(n, a.n);
    assert_int_equal(wte_row_correlations(&a, &b, got, NULL), WTE_OK);
    for (size_t i = 0; i < n; i++)
        test_near("r", got[i], want[i], 1e-12);
    free(want);
    test_items_end(&b);
    test_items_end(&a);
    json_decref(json);
}

static void reference_row_correlations_are_met(void **state)
{
    json_t *root = test_json(need_shared("golden/rsa.json"));
    const json_t *c = json_object_get(root, "per_word_pearson");
    size_t n;
    double *want = test_numbers(json_object_get(c, "r"), &n), got[200], sum = 0;
    test_pair pair = test_named_pair(c, 0);
    (void)state;

    assert_int_equal(pair.a.n, n);
    assert_int_equal(wte_row_correlations(&pair.a, &pair.b, got, NULL), WTE_OK);
    for (size_t i = 0; i < n; i++) {
        test_near("r", got[i], want[i], 1e-9);
        sum += got[i];
    }
    test_near("mean", sum / (double)n, test_number(c, "mean"), 1e-9);
    test_pair_end(&pair);
    free(want);
    json_decref(root);
}

/* ---- closed forms ------------------------------------------------------------------------- */

/* Plus and minus each axis: the covariance is a multiple of the identity, every direction the same. */
static void axes_are_isotropic(void **state)
{
    enum { DIM = 6 };
    float data[2 * DIM][DIM] = {{0}};
    const wte_items items = {data[0], 2 * DIM, DIM, "axes"};
    wte_isotropy_result r;
    (void)state;

    for (size_t i = 0; i < DIM; i++) {
        data[2 * i][i] = 3;
        data[2 * i + 1][i] = -3;
    }
    r = measured(&items, 2, 0, 0, 1);
    test_near("IsoScore", r.iso_score, 1, 1e-12);
    test_near("participation", r.participation_ratio, DIM, 1e-10);
    test_near("effective rank", r.effective_rank, DIM, 1e-10);
    test_near("partition", r.partition, 1, 1e-12);
    test_near("mean cosine", r.mean_cosine, -1.0 / (2 * DIM - 1), 1e-12);
}

static void a_line_is_not_isotropic(void **state)
{
    float data[5][4];
    const wte_items items = {data[0], 5, 4, "a line"};
    wte_isotropy_result r;
    (void)state;

    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < 4; j++)
            data[i][j] = (float)(i + 1) * (j == 2 ? 0.5f : 0.25f);
    r = measured(&items, 1, 0, 0, 1);
    test_near("IsoScore", r.iso_score, 0, 1e-7);
    test_near("participation", r.participation_ratio, 1, 1e-12);
    test_near("effective rank", r.effective_rank, 1, 1e-10);
    test_near("mean cosine", r.mean_cosine, 1, 1e-12);
    test_near("sd of cosines", r.sd_cosine, 0, 1e-7);
    /* all cosines are equal, so the first item is nearest to all others */
    test_near("anti-hubs", r.anti_hubs, 0.6, 1e-12);
}

/* Rows of length 3000, whose exp overflows, as hidden states have. */
static void long_rows_have_a_partition(void **state)
{
    const float data[4][2] = {{3000, 0}, {2999, 1}, {0, 1}, {1, -2}};
    const wte_items items = {data[0], 4, 2, "long rows"};
    wte_isotropy_result r;
    (void)state;

    r = measured(&items, 1, 0, 0, 1);
    assert_true(isfinite(r.partition) && r.partition >= 0 && r.partition < 1e-300);
}

static void normal_items_are_nearly_isotropic(void **state)
{
    uint64_t seed = 3;
    wte_items x = test_normal_items(3000, 12, &seed), turned;
    wte_isotropy_result r, s;
    (void)state;

    turned = test_rotated(&x, &seed);
    r = measured(&x, 5, 500, 0, 2);
    assert_true(r.iso_score > 0.97 && r.iso_score < 1);
    assert_true(fabs(r.mean_cosine) < 0.01);
    test_near("sd of cosines", r.sd_cosine, sqrt(1 / 12.0), 0.01);
    assert_true(r.participation_ratio > 11.8 && r.effective_rank > 11.9);
    assert_int_equal(r.hub_items, 500);
    s = measured(&turned, 5, 500, 0, 2);
    test_near("IsoScore turned", s.iso_score, r.iso_score, 1e-5);
    test_near("partition turned", s.partition, r.partition, 1e-4);
    test_near("mean cosine turned", s.mean_cosine, r.mean_cosine, 1e-6);
    test_items_end(&turned);
    test_items_end(&x);
}

/* ---- neighbours --------------------------------------------------------------------------- */

typedef struct candidate {
    double score;
    uint32_t id;
} candidate;

static int compare_candidates(const void *x, const void *y)
{
    const candidate *a = x, *b = y;

    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

static double dot(const float *x, const float *y, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)y[i];
    return sum;
}

/* All cosines, sorted. */
static void check_lists(const wte_items *x, const uint32_t *ids, size_t n, size_t k)
{
    uint32_t *got = malloc(n * k * sizeof *got);
    candidate *all = malloc(n * sizeof *all);
    wte_error err = {0};

    assert_true(got && all);
    if (wte__neighbor_lists(x, ids, n, k, 2, got, &err) != WTE_OK)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < n; i++) {
        const float *row = x->data + (ids ? ids[i] : i) * x->dim;
        size_t m = 0;

        for (size_t j = 0; j < n; j++) {
            const float *other = x->data + (ids ? ids[j] : j) * x->dim;

            if (j != i)
                all[m++] = (candidate){dot(row, other, x->dim) / sqrt(dot(other, other, x->dim)),
                                       (uint32_t)j};
        }
        qsort(all, m, sizeof *all, compare_candidates);
        for (size_t j = 0; j < k; j++) {
            const candidate *at = all;

            while (at->id != got[i * k + j])
                at++;
            if (at->id != all[j].id && fabs(at->score - all[j].score) > 1e-12)
                fail_msg("item %zu, neighbour %zu: %u, expected %u", i, j, at->id, all[j].id);
        }
    }
    free(all);
    free(got);
}

static void neighbours_are_those_of_all_cosines(void **state)
{
    uint64_t seed = 9;
    static const size_t sizes[][3] = {{2, 3, 1},   {17, 5, 16},   {96, 7, 3},    {97, 33, 10},
                                      {300, 1, 4}, {1200, 20, 9}, {200, 3000, 5}};
    (void)state;

    for (size_t c = 0; c < sizeof sizes / sizeof *sizes; c++) {
        wte_items x = test_normal_items(sizes[c][0], sizes[c][1], &seed);

        check_lists(&x, NULL, x.n, sizes[c][2]);
        test_items_end(&x);
    }
}

/* Cosines that differ by less than float32 can tell apart keep their order. */
static void the_order_is_that_of_float64(void **state)
{
    float data[12][2];
    const wte_items x = {data[0], 12, 2, "a fan"};
    uint32_t got[12 * 11];
    (void)state;

    for (size_t i = 0; i < 12; i++) {
        data[i][0] = 1;
        data[i][1] = i == 0 ? 0 : 1e-5f * (float)(12 - i);
    }
    assert_int_equal(wte__neighbor_lists(&x, NULL, 12, 11, 1, got, NULL), WTE_OK);
    for (uint32_t j = 0; j < 11; j++)
        assert_int_equal(got[j], 11 - j);
}

static void equal_rows_come_by_number(void **state)
{
    float data[40][3];
    const wte_items x = {data[0], 40, 3, "equal rows"};
    uint32_t got[40 * 4];
    (void)state;

    for (size_t i = 0; i < 40; i++)
        memcpy(data[i], (const float[]){0.3f, -0.1f, 0.7f}, sizeof data[i]);
    assert_int_equal(wte__neighbor_lists(&x, NULL, 40, 4, 1, got, NULL), WTE_OK);
    for (uint32_t j = 0; j < 4; j++) {
        assert_int_equal(got[j], j + 1);
        assert_int_equal(got[30 * 4 + j], j);
    }
}

static void a_space_shares_all_neighbours_with_itself(void **state)
{
    uint64_t seed = 2;
    wte_items x = test_normal_items(200, 6, &seed), turned = test_rotated(&x, &seed);
    wte_items y = test_normal_items(200, 6, &seed);
    double overlap, rbo;
    (void)state;

    assert_int_equal(wte_neighbor_overlap(&x, &x, 10, 0.9, 0, &overlap, &rbo, NULL), WTE_OK);
    test_near("overlap", overlap, 1, 0);
    test_near("rank-biased overlap", rbo, 1, 1e-12);
    assert_int_equal(wte_neighbor_overlap(&x, &turned, 10, 0.9, 0, &overlap, &rbo, NULL), WTE_OK);
    assert_true(overlap > 0.999 && rbo > 0.999);
    assert_int_equal(wte_neighbor_overlap(&x, &y, 10, 0.9, 0, &overlap, &rbo, NULL), WTE_OK);
    test_near("of chance k / (n - 1) is shared", overlap, 10 / 199.0, 0.02);
    test_items_end(&y);
    test_items_end(&turned);
    test_items_end(&x);
}

/* What all items have in common makes hubs of those that have most of it. */
static void hubness_grows_with_a_common_offset(void **state)
{
    uint64_t seed = 4;
    wte_items x = test_normal_items(900, 40, &seed);
    float *data = (float *)(uintptr_t)x.data;
    wte_isotropy_result r;
    (void)state;

    r = measured(&x, 5, 0, 0, 2);
    assert_true(r.hubness > 0 && r.hubness < 0.5 && r.anti_hubs < 0.01);
    for (size_t i = 0; i < x.n * x.dim; i++)
        data[i] += 0.6f;
    r = measured(&x, 5, 0, 0, 2);
    assert_true(r.hubness > 1.5 && r.anti_hubs > 0.05);
    test_items_end(&x);
}

static void hubness_is_over_a_sample(void **state)
{
    uint64_t seed = 4;
    wte_items x = test_normal_items(900, 40, &seed);
    wte_isotropy_result all, some, again, other;
    (void)state;

    all = measured(&x, 5, 0, 0, 2);
    some = measured(&x, 5, 700, 1, 2);
    again = measured(&x, 5, 700, 1, 1);
    other = measured(&x, 5, 700, 2, 2);
    assert_int_equal(all.hub_items, 900);
    assert_int_equal(some.hub_items, 700);
    test_near("of a sample", some.hubness, all.hubness, 0.3);
    assert_true(some.hubness == again.hubness && some.anti_hubs == again.anti_hubs);
    assert_true(some.partition == again.partition && some.mean_cosine == again.mean_cosine);
    assert_true(some.hubness != other.hubness);
    assert_true(some.iso_score == other.iso_score);
    test_items_end(&x);
}

/* ---- what cannot be done ------------------------------------------------------------------ */

static void says(const wte_error *err, wte_status status, wte_status want, const char *what)
{
    assert_int_equal(status, want);
    if (!strstr(err->message, what))
        fail_msg("\"%s\" does not say \"%s\"", err->message, what);
}

static void bad_input_is_named(void **state)
{
    uint64_t seed = 2;
    wte_items x = test_normal_items(9, 4, &seed), y = test_normal_items(9, 4, &seed), few = x;
    float *data = (float *)(uintptr_t)y.data;
    double out[9] = {7}, overlap = 7;
    wte_isotropy_result r = {.pairs = 7};
    wte_error err = {0};
    (void)state;

    x.name = "word2vec";
    y.name = "gpt2";
    few.n = 5;
    says(&err, wte_row_correlations(&few, &x, out, &err), WTE_E_SHAPE, "5 of normal items and 9");
    says(&err, wte_neighbor_overlap(&few, &x, 1, 0.5, 0, &overlap, NULL, &err), WTE_E_SHAPE,
         "5 of normal items and 9 of word2vec");
    few.n = 9;
    few.dim = 3;
    says(&err, wte_row_correlations(&few, &x, out, &err), WTE_E_SHAPE,
         "rows of normal items have 3 numbers, those of word2vec 4");
    says(&err, wte_neighbor_overlap(&x, &y, 9, 0.5, 0, &overlap, NULL, &err), WTE_E_RANGE,
         "9 nearest of 9 items, 1 to 8 expected");
    says(&err, wte_neighbor_overlap(&x, &y, 0, 0.5, 0, &overlap, NULL, &err), WTE_E_RANGE,
         "0 nearest");
    says(&err, wte_neighbor_overlap(&x, &y, 2, 1, 0, NULL, &overlap, &err), WTE_E_RANGE,
         "a persistence of 1");
    data[8] = data[9] = data[10] = data[11] = 2.5f;
    says(&err, wte_row_correlations(&x, &y, out, &err), WTE_E_RANGE, "row 2 of gpt2 is constant");
    data[8] = data[9] = data[10] = data[11] = 0;
    says(&err, wte_row_correlations(&x, &y, out, &err), WTE_E_RANGE, "row 2 of gpt2 is constant");
    says(&err, wte_neighbor_overlap(&x, &y, 2, 0.5, 0, &overlap, NULL, &err), WTE_E_RANGE,
         "row 2 of gpt2 is zero");
    says(&err, wte_isotropy(&y, 2, 0, 0, 0, &r, &err), WTE_E_RANGE, "row 2 of gpt2 is zero");
    data[8] = NAN;
    says(&err, wte_row_correlations(&x, &y, out, &err), WTE_E_RANGE, "row 2 of gpt2 is not finite");
    says(&err, wte_neighbor_overlap(&x, &y, 2, 0.5, 0, &overlap, NULL, &err), WTE_E_RANGE,
         "row 2 of gpt2 is not finite");
    says(&err, wte_isotropy(&y, 2, 0, 0, 0, &r, &err), WTE_E_RANGE, "row 2 of gpt2 is not finite");
    few = x;
    few.n = 1;
    says(&err, wte_isotropy(&few, 2, 0, 0, 0, &r, &err), WTE_E_RANGE, "1 of word2vec");
    few.n = 9;
    few.dim = 1;
    says(&err, wte_isotropy(&few, 2, 0, 0, 0, &r, &err), WTE_E_RANGE, "rows of word2vec have 1");
    for (size_t i = 0; i < 36; i++)
        data[i] = (float)(i % 4) + 1;
    says(&err, wte_isotropy(&y, 2, 0, 0, 0, &r, &err), WTE_E_RANGE, "all 9 rows of gpt2 are the");
    need_lapack();
    says(&err, wte_isotropy(&x, 9, 0, 0, 0, &r, &err), WTE_E_RANGE, "9 nearest of 9 of word2vec");
    says(&err, wte_isotropy(&x, 4, 4, 0, 0, &r, &err), WTE_E_RANGE, "4 nearest of 4 of word2vec");
    assert_true(out[0] == 7 && overlap == 7 && r.pairs == 7);
    test_items_end(&y);
    test_items_end(&x);
}

static void every_allocation_may_fail(void **state)
{
    uint64_t seed = 8;
    wte_items x = test_normal_items(20, 3, &seed), y = test_normal_items(20, 3, &seed);
    (void)state;

    need_lapack();
    for (int what = 0; what < 2; what++) {
        wte_status status = WTE_E_NOMEM;
        long nth = 0;

        for (; status == WTE_E_NOMEM && nth < 500; nth++) {
            wte_isotropy_result r;
            double overlap, rbo;

            wte__fail_alloc(nth);
            status = what ? wte_neighbor_overlap(&x, &y, 3, 0.9, 1, &overlap, &rbo, NULL)
                          : wte_isotropy(&x, 3, 10, 0, 1, &r, NULL);
        }
        wte__fail_alloc(-1);
        assert_int_equal(status, WTE_OK);
        assert_true(nth > 15);
    }
    test_items_end(&y);
    test_items_end(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_space_is_numpys),
        cmocka_unit_test(small_neighbourhoods_are_numpys),
        cmocka_unit_test(small_rows_correlate_as_scipys),
        cmocka_unit_test(reference_row_correlations_are_met),
        cmocka_unit_test(axes_are_isotropic),
        cmocka_unit_test(a_line_is_not_isotropic),
        cmocka_unit_test(long_rows_have_a_partition),
        cmocka_unit_test(normal_items_are_nearly_isotropic),
        cmocka_unit_test(neighbours_are_those_of_all_cosines),
        cmocka_unit_test(the_order_is_that_of_float64),
        cmocka_unit_test(equal_rows_come_by_number),
        cmocka_unit_test(a_space_shares_all_neighbours_with_itself),
        cmocka_unit_test(hubness_grows_with_a_common_offset),
        cmocka_unit_test(hubness_is_over_a_sample),
        cmocka_unit_test(bad_input_is_named),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
