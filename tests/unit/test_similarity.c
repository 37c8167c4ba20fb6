/* SPDX-License-Identifier: MIT */
/* test_similarity.c - wte/similarity.h against values worked out by hand */
#include "spaces.h"
#include "wte/similarity.h"

static const float plane[6][2] = {{1, 0}, {0, 3}, {1, 1}, {0, 0}, {-2, 0}, {3, 4}};

static int setup(void **state)
{
    test_space *t = calloc(1, sizeof *t);

    assert_non_null(t);
    *t = test_space_of(plane[0], 6, 2);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    test_space_end(*state);
    free(*state);
    return 0;
}

static const wte_space *space_of(void **state)
{
    return ((test_space *)*state)->space;
}

static void cosines_and_distances_of_pairs(void **state)
{
    const wte_space *space = space_of(state);
    float got = 0;

    assert_int_equal(wte_similarity(space, 0, 2, &got, NULL), WTE_OK);
    assert_true(got == 0.70710678f);
    assert_int_equal(wte_similarity(space, 0, 4, &got, NULL), WTE_OK);
    assert_true(got == -1);
    assert_int_equal(wte_similarity(space, 5, 1, &got, NULL), WTE_OK);
    assert_true(got == 0.8f);
    assert_int_equal(wte_similarity(space, 5, 3, &got, NULL), WTE_OK);
    assert_true(isnan(got));
    assert_int_equal(wte_distance(space, 5, 1, WTE_COSINE, &got, NULL), WTE_OK);
    assert_true(got == 0.2f);
    assert_int_equal(wte_distance(space, 5, 3, WTE_EUCLIDEAN, &got, NULL), WTE_OK);
    assert_true(got == 5);
    assert_int_equal(wte_distance(space, 5, 4, WTE_CITYBLOCK, &got, NULL), WTE_OK);
    assert_true(got == 9);
}

static void ids_out_of_range_are_named(void **state)
{
    const wte_space *space = space_of(state);
    const uint32_t ids[] = {0, 6};
    wte_error err = {0};
    float got[4], vector[2];
    size_t odd = 0;
    double d;

    assert_int_equal(wte_similarity(space, 0, 6, got, &err), WTE_E_RANGE);
    assert_string_equal(err.message, "row 6: test has 6 rows");
    assert_int_equal(wte_distance(space, 6, 0, WTE_COSINE, got, NULL), WTE_E_RANGE);
    assert_int_equal(wte_distance(space, 0, 0, (wte_metric)9, got, NULL), WTE_E_RANGE);
    assert_int_equal(wte_matrix(space, ids, 2, WTE_COSINE, got, NULL), WTE_E_RANGE);
    assert_int_equal(wte_matrix(space, ids, 1, (wte_metric)9, got, NULL), WTE_E_RANGE);
    assert_int_equal(wte_mean_vector(space, ids, NULL, 2, 1, vector, NULL), WTE_E_RANGE);
    assert_int_equal(wte_mean_vector(space, ids, NULL, 0, 1, vector, NULL), WTE_E_RANGE);
    assert_int_equal(wte_set_similarity(space, ids, 1, ids, 2, got, NULL), WTE_E_RANGE);
    assert_int_equal(wte_set_similarity(space, ids, 0, ids, 1, got, NULL), WTE_E_RANGE);
    assert_int_equal(wte_odd_one_out(space, ids, 2, NULL, &odd, NULL), WTE_E_RANGE);
    assert_int_equal(wte_odd_one_out(space, ids, 0, NULL, &odd, NULL), WTE_E_RANGE);
    assert_int_equal(wte_word_movers_distance(space, ids, 2, ids, 1, 1, &d, NULL), WTE_E_RANGE);
    assert_int_equal(wte_word_movers_distance(space, ids, 1, ids, 2, 1, &d, NULL), WTE_E_RANGE);
}

static void a_row_without_direction_has_no_mean(void **state)
{
    const wte_space *space = space_of(state);
    const uint32_t ids[] = {0, 3};
    wte_error err = {0};
    float mean[2];

    assert_int_equal(wte_mean_vector(space, ids, NULL, 2, 1, mean, &err), WTE_E_RANGE);
    assert_non_null(strstr(err.message, "'w3'"));
    assert_int_equal(wte_mean_vector(space, ids, NULL, 2, 0, mean, NULL), WTE_OK);
    assert_true(mean[0] == 0.5f && mean[1] == 0);
}

static void means_are_weighted_by_size(void **state)
{
    const uint32_t ids[] = {1, 5};
    const float weights[] = {2, -1};
    const float none[] = {0, 0};
    float mean[2];

    assert_int_equal(wte_mean_vector(space_of(state), ids, weights, 2, 1, mean, NULL), WTE_OK);
    assert_float_equal(mean[0], -0.6 / 3, 1e-7);
    assert_float_equal(mean[1], (2 - 0.8) / 3, 1e-7);
    assert_int_equal(wte_mean_vector(space_of(state), ids, none, 2, 1, mean, NULL), WTE_OK);
    assert_true(mean[0] == 0 && mean[1] == 0);
}

static void matrix_holds_every_pair_twice(void **state)
{
    const uint32_t ids[] = {5, 3, 0, 5};
    float got[16];

    for (int metric = WTE_COSINE; metric <= WTE_CITYBLOCK; metric++) {
        assert_int_equal(wte_matrix(space_of(state), ids, 4, (wte_metric)metric, got, NULL),
                         WTE_OK);
        for (size_t i = 0; i < 4; i++)
            for (size_t j = 0; j < 4; j++) {
                float want = 0;

                if (metric == WTE_COSINE)
                    wte_similarity(space_of(state), ids[i], ids[j], &want, NULL);
                else
                    wte_distance(space_of(state), ids[i], ids[j], (wte_metric)metric, &want, NULL);
                if (isnan(want))
                    assert_true(isnan(got[4 * i + j]));
                else
                    assert_true(got[4 * i + j] == want);
            }
    }
}

static void a_large_matrix_equals_its_pairs(void **state)
{
    enum { N = 301, DIM = 21 };
    float *matrix = calloc(N * DIM, sizeof *matrix), *got = calloc(N * N, sizeof *got);
    uint32_t ids[N];
    uint64_t seed = 3;
    test_space t;
    (void)state;

    assert_true(matrix && got);
    for (size_t i = 0; i < N * DIM; i++)
        matrix[i] = test_normal(&seed);
    for (uint32_t i = 0; i < N; i++)
        ids[i] = N - 1 - i;
    t = test_space_of(matrix, N, DIM);
    assert_int_equal(wte_matrix(t.space, ids, N, WTE_COSINE, got, NULL), WTE_OK);
    for (size_t i = 0; i < N; i += 7)
        for (size_t j = 0; j < N; j++) {
            float want = 0;

            assert_int_equal(wte_similarity(t.space, ids[i], ids[j], &want, NULL), WTE_OK);
            assert_true(got[i * N + j] == want && got[j * N + i] == want);
        }
    test_space_end(&t);
    free(got);
    free(matrix);
}

static void set_similarity_is_the_cosine_of_the_rows_means(void **state)
{
    const uint32_t a[] = {0, 1}, b[] = {5}, opposite[] = {0, 0, 4};
    float got = 0;

    assert_int_equal(wte_set_similarity(space_of(state), a, 2, b, 1, &got, NULL), WTE_OK);
    /* mean (0.5, 1.5) with (3, 4): 7.5 / (sqrt(2.5) * 5) */
    assert_float_equal(got, 0.9486833, 1e-6);
    assert_int_equal(wte_set_similarity(space_of(state), a, 2, opposite, 3, &got, NULL), WTE_OK);
    assert_true(isnan(got)); /* that mean is 0 */
}

static void the_odd_one_is_farthest_from_the_mean(void **state)
{
    const uint32_t ids[] = {2, 5, 4, 1}, same[] = {0, 0, 0}, opposite[] = {0, 4};
    float scores[4];
    size_t odd = 9;

    assert_int_equal(wte_odd_one_out(space_of(state), ids, 4, scores, &odd, NULL), WTE_OK);
    assert_int_equal(odd, 2);
    assert_true(scores[2] < scores[0] && scores[2] < scores[1] && scores[2] < scores[3]);
    assert_int_equal(wte_odd_one_out(space_of(state), same, 3, NULL, &odd, NULL), WTE_OK);
    assert_int_equal(odd, 2);
    assert_int_equal(wte_odd_one_out(space_of(state), opposite, 2, scores, &odd, NULL), WTE_OK);
    assert_int_equal(odd, 1);
    assert_true(scores[0] == 0);
}

/* ---- Word Mover's Distance --------------------------------------------------------------- */

static void moving_words_on_a_line(void **state)
{
    static const float line[6][1] = {{0}, {1}, {2}, {4}, {7}, {4}};
    test_space t = test_space_of(line[0], 6, 1);
    static const uint32_t a[] = {0, 1}, b[] = {3}, c[] = {1, 2}, d[] = {0, 0, 0, 4}, e[] = {4, 3},
                          f[] = {5};
    double got = -1;
    (void)state;

    /* half of the mass goes 4, half goes 3 */
    assert_int_equal(wte_word_movers_distance(t.space, a, 2, b, 1, 0, &got, NULL), WTE_OK);
    assert_float_equal(got, 3.5, 1e-12);
    /* on a line the plan of least cost keeps the order: (0,1) to (1,2) costs 1, moving 0 to 2 and
     * keeping 1 costs the same */
    assert_int_equal(wte_word_movers_distance(t.space, a, 2, c, 2, 0, &got, NULL), WTE_OK);
    assert_float_equal(got, 1, 1e-12);
    /* 3/4 at 0, 1/4 at 7 to 1/2 at 7, 1/2 at 4: 1/4 goes 7, 1/2 goes 4 */
    assert_int_equal(wte_word_movers_distance(t.space, d, 4, e, 2, 0, &got, NULL), WTE_OK);
    assert_float_equal(got, 3.75, 1e-12);
    assert_int_equal(wte_word_movers_distance(t.space, e, 2, d, 4, 0, &got, NULL), WTE_OK);
    assert_float_equal(got, 3.75, 1e-12);
    assert_int_equal(wte_word_movers_distance(t.space, a, 2, a, 2, 0, &got, NULL), WTE_OK);
    assert_true(got == 0);
    /* two words on one point */
    assert_int_equal(wte_word_movers_distance(t.space, b, 1, f, 1, 0, &got, NULL), WTE_OK);
    assert_true(got == 0);
    assert_int_equal(wte_word_movers_distance(t.space, b, 0, f, 1, 0, &got, NULL), WTE_OK);
    assert_true(isinf(got));
    /* of length 1 all but row 0 are the same, and row 0 has no length */
    assert_int_equal(wte_word_movers_distance(t.space, b, 1, e, 2, 1, &got, NULL), WTE_OK);
    assert_true(got == 0);
    assert_int_equal(wte_word_movers_distance(t.space, a, 2, b, 1, 1, &got, NULL), WTE_E_RANGE);
    test_space_end(&t);
}

static double permutation_cost(const double *cost, size_t n, unsigned used, size_t i)
{
    double best = INFINITY;

    if (i == n)
        return 0;
    for (size_t j = 0; j < n; j++)
        if (!(used & 1u << j))
            best = fmin(best, cost[i * n + j] + permutation_cost(cost, n, used | 1u << j, i + 1));
    return best;
}

/* With n different words on each side, all of equal weight, an optimal plan is a permutation
 * (Birkhoff), so trying all of them gives the truth. */
static void random_documents_move_at_the_least_cost(void **state)
{
    enum { N = 7, DIM = 3 };
    uint64_t seed = 99;
    (void)state;

    for (int trial = 0; trial < 50; trial++) {
        float matrix[2 * N * DIM];
        double cost[N * N], got = -1;
        uint32_t a[N], b[N];
        test_space t;

        for (size_t i = 0; i < 2 * N * DIM; i++)
            matrix[i] = test_normal(&seed);
        for (uint32_t i = 0; i < N; i++) {
            a[i] = i;
            b[i] = N + i;
        }
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < N; j++) {
                double sum = 0;

                for (size_t k = 0; k < DIM; k++)
                    sum += pow((double)matrix[i * DIM + k] - (double)matrix[(N + j) * DIM + k], 2);
                cost[i * N + j] = sqrt(sum);
            }
        t = test_space_of(matrix, 2 * N, DIM);
        assert_int_equal(wte_word_movers_distance(t.space, a, N, b, N, 0, &got, NULL), WTE_OK);
        assert_true(fabs(got - permutation_cost(cost, N, 0, 0) / N) < 1e-9);
        test_space_end(&t);
    }
}

/* ---- baseline ---------------------------------------------------------------------------- */

static void baseline_of_few_rows_is_all_their_pairs(void **state)
{
    static const float rows[4][2] = {{1, 0}, {0, 1}, {-1, 0}, {0, 0}};
    test_space t = test_space_of(rows[0], 4, 2);
    wte_baseline b;
    float p = -1;
    (void)state;

    /* cosines 0, -1, 0 */
    assert_int_equal(wte_space_baseline(t.space, &b, NULL), WTE_OK);
    assert_int_equal(b.n_pairs, 3);
    assert_float_equal(b.mean, -1.0 / 3, 1e-6);
    assert_float_equal(b.sd, 0.5773503, 1e-6);
    assert_float_equal(b.p05, -0.9, 1e-6);
    assert_float_equal(b.p50, 0, 1e-6);
    assert_int_equal(wte_space_percentile(t.space, 0.5f, &p, NULL), WTE_OK);
    assert_float_equal(p, 100, 0);
    assert_int_equal(wte_space_percentile(t.space, 0, &p, NULL), WTE_OK);
    assert_float_equal(p, 66.66667, 1e-4); /* one below, two ties counted half */
    assert_int_equal(wte_space_percentile(t.space, -1, &p, NULL), WTE_OK);
    assert_float_equal(p, 16.66667, 1e-4);
    test_space_end(&t);
}

static void a_space_without_pairs_has_no_baseline(void **state)
{
    static const float rows[2][2] = {{1, 0}, {0, 0}};
    test_space t = test_space_of(rows[0], 2, 2);
    wte_baseline b;
    wte_error err = {0};
    float p;
    (void)state;

    assert_int_equal(wte_space_baseline(t.space, &b, &err), WTE_E_RANGE);
    assert_non_null(strstr(err.message, "fewer than two rows"));
    assert_int_equal(wte_space_percentile(t.space, 0, &p, NULL), WTE_E_RANGE);
    test_space_end(&t);
}

static void ask_baseline(void *ctx, size_t block, unsigned worker)
{
    (void)block, (void)worker;
    wte_baseline b;

    assert_int_equal(wte_space_baseline(ctx, &b, NULL), WTE_OK);
    assert_int_equal(b.n_pairs, WTE__N_BASELINE);
}

static void threads_may_ask_for_the_baseline_at_once(void **state)
{
    enum { N = 500, DIM = 8 };
    float *matrix = calloc(N * DIM, sizeof *matrix);
    uint64_t seed = 1;
    test_space t;
    (void)state;

    assert_non_null(matrix);
    for (size_t i = 0; i < N * DIM; i++)
        matrix[i] = test_normal(&seed);
    t = test_space_of(matrix, N, DIM);
    wte__parallel(8, 4, ask_baseline, t.space);
    test_space_end(&t);
    free(matrix);
}

static void every_allocation_may_fail(void **state)
{
    const wte_space *space = space_of(state);
    const uint32_t a[] = {0, 1, 2}, b[] = {4, 5};
    float got[9];
    size_t odd;
    double d;
    wte_baseline baseline;

    for (int what = 0; what < 4; what++) {
        wte_status status = WTE_E_NOMEM;
        long nth = 0;

        for (; status != WTE_OK && nth < 100; nth++) {
            wte__fail_alloc(nth);
            status = what == 0   ? wte_matrix(space, a, 3, WTE_COSINE, got, NULL)
                     : what == 1 ? wte_odd_one_out(space, a, 3, got, &odd, NULL)
                     : what == 2 ? wte_word_movers_distance(space, a, 3, b, 2, 1, &d, NULL)
                                 : wte_space_baseline(space, &baseline, NULL);
            assert_true(status == WTE_OK || status == WTE_E_NOMEM);
        }
        wte__fail_alloc(-1);
        assert_true(nth > 1 && nth < 100);
    }
}

#define WITH_PLANE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PLANE(cosines_and_distances_of_pairs),
        WITH_PLANE(ids_out_of_range_are_named),
        WITH_PLANE(a_row_without_direction_has_no_mean),
        WITH_PLANE(means_are_weighted_by_size),
        WITH_PLANE(matrix_holds_every_pair_twice),
        cmocka_unit_test(a_large_matrix_equals_its_pairs),
        WITH_PLANE(set_similarity_is_the_cosine_of_the_rows_means),
        WITH_PLANE(the_odd_one_is_farthest_from_the_mean),
        cmocka_unit_test(moving_words_on_a_line),
        cmocka_unit_test(random_documents_move_at_the_least_cost),
        cmocka_unit_test(baseline_of_few_rows_is_all_their_pairs),
        cmocka_unit_test(a_space_without_pairs_has_no_baseline),
        cmocka_unit_test(threads_may_ask_for_the_baseline_at_once),
        WITH_PLANE(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
