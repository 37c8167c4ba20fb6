/* SPDX-License-Identifier: MIT */
/* test_once.c - spaces that are measured when something first needs it
 *
 * Each function is asked in a fresh unmeasured space, so that it is the first to come, and answers
 * what it answers in a space that was measured when it was made. */
#include "spaces.h"
#include "wte/eval.h"
#include "wte/nearest.h"
#include "wte/transform.h"

enum { N = 3000, DIM = 24, ZERO = 7, INFINITE = 8, NOT_A_NUMBER = 9, TWIN = 1500, FIRST_TWIN = 20 };

/* Random rows, some spoiled; a measured and an unmeasured space over them. */
typedef struct twins {
    float *matrix;
    char *words;
    uint64_t *offsets;
    wte_space *measured, *fresh;
} twins;

static void refresh(twins *t, wte_dtype dtype, const void *matrix, unsigned n_threads)
{
    wte_space_free(t->fresh);
    t->fresh = NULL;
    assert_int_equal(wte__space_new_unmeasured("twin", t->words, t->offsets, matrix, dtype, N, DIM,
                                               DIM, n_threads, &t->fresh, NULL),
                     WTE_OK);
    assert_true(t->fresh->unmeasured);
}

/* Names "w0" ...; with `duplicate` row TWIN is called as row FIRST_TWIN and has its vector. */
static twins make_twins(bool duplicate)
{
    twins t = {0};
    size_t used = 0;
    uint64_t seed = 5;

    t.matrix = malloc(sizeof *t.matrix * N * DIM);
    t.words = malloc(12 * (size_t)N);
    t.offsets = calloc(N + 1, sizeof *t.offsets);
    assert_true(t.matrix && t.words && t.offsets);
    for (size_t i = 0; i < (size_t)N * DIM; i++)
        t.matrix[i] = test_normal(&seed);
    memset(t.matrix + ZERO * DIM, 0, sizeof *t.matrix * DIM);
    t.matrix[INFINITE * DIM + 3] = INFINITY;
    t.matrix[NOT_A_NUMBER * DIM + 5] = NAN;
    for (uint32_t i = 0; i < N; i++) {
        used += (size_t)sprintf(t.words + used, "w%u", duplicate && i == TWIN ? FIRST_TWIN : i);
        t.offsets[i + 1] = used;
    }
    if (duplicate)
        memcpy(t.matrix + TWIN * DIM, t.matrix + FIRST_TWIN * DIM, sizeof *t.matrix * DIM);
    assert_int_equal(wte_space_new("twin", t.words, t.offsets, t.matrix, WTE_F32, N, DIM, DIM, 0,
                                   &t.measured, NULL),
                     WTE_OK);
    refresh(&t, WTE_F32, t.matrix, 0);
    return t;
}

static void end_twins(twins *t)
{
    wte_space_free(t->measured);
    wte_space_free(t->fresh);
    free(t->matrix);
    free(t->words);
    free(t->offsets);
}

static void same_neighbours(const wte_space *a, const wte_space *b, const float *query,
                            const wte_search_options *options)
{
    wte_neighbor want[128], got[128];
    size_t n_want = 0, n_got = 0;

    assert_true(options->k <= 128);
    assert_int_equal(wte_nearest(a, query, 1, options, want, &n_want, NULL, NULL), WTE_OK);
    assert_int_equal(wte_nearest(b, query, 1, options, got, &n_got, NULL, NULL), WTE_OK);
    assert_int_equal(n_got, n_want);
    assert_memory_equal(got, want, n_want * sizeof *got);
}

static void a_first_search_finds_the_same_without_measuring(void **state)
{
    static const size_t ks[] = {1, 11, 64};
    const uint32_t exclude[] = {3, 4, FIRST_TWIN};
    twins t = make_twins(false);
    (void)state;

    for (int metric = WTE_COSINE; metric <= WTE_CITYBLOCK; metric++)
        for (size_t i = 0; i < 3; i++)
            for (unsigned n_threads = 1; n_threads <= 3; n_threads++) {
                wte_search_options options = WTE_SEARCH_DEFAULTS;

                options.metric = (wte_metric)metric;
                options.k = ks[i];
                options.n_threads = n_threads;
                if (i == 1) {
                    options.exclude = exclude;
                    options.n_exclude = 3;
                    options.first_row = 2;
                    options.n_rows = N - 10;
                }
                refresh(&t, WTE_F32, t.matrix, n_threads);
                same_neighbours(t.measured, t.fresh, t.matrix + FIRST_TWIN * DIM, &options);
                assert_true(t.fresh->unmeasured);
                same_neighbours(t.measured, t.fresh, t.matrix + 33 * DIM, &options);
                assert_false(t.fresh->unmeasured); /* whoever asks again has it measured */
            }
    end_twins(&t);
}

static void a_first_search_in_half_precision_finds_the_same(void **state)
{
    twins t = make_twins(false);
    uint16_t *half = malloc(sizeof *half * N * DIM);
    (void)state;

    assert_non_null(half);
    for (int dtype = WTE_F16; dtype <= WTE_BF16; dtype++) {
        wte_search_options options = WTE_SEARCH_DEFAULTS;
        wte_space *measured = NULL;

        (dtype == WTE_F16 ? wte__kernel()->f32_to_f16
                          : wte__kernel()->f32_to_bf16)(t.matrix, half, (size_t)N * DIM);
        assert_int_equal(wte_space_new("half", t.words, t.offsets, half, (wte_dtype)dtype, N, DIM,
                                       DIM, 0, &measured, NULL),
                         WTE_OK);
        for (int metric = WTE_COSINE; metric <= WTE_CITYBLOCK; metric++) {
            options.metric = (wte_metric)metric;
            refresh(&t, (wte_dtype)dtype, half, 2);
            same_neighbours(measured, t.fresh, t.matrix + 77 * DIM, &options);
            assert_true(t.fresh->unmeasured);
        }
        wte_space_free(measured);
    }
    free(half);
    end_twins(&t);
}

static void a_row_named_as_an_earlier_one_is_never_found(void **state)
{
    twins t = make_twins(true);
    wte_search_options options = WTE_SEARCH_DEFAULTS;
    (void)state;

    options.metric = WTE_EUCLIDEAN;
    same_neighbours(t.measured, t.fresh, t.matrix + TWIN * DIM, &options);
    assert_false(t.fresh->unmeasured); /* the twin was among the nearest: it had to be measured */
    refresh(&t, WTE_F32, t.matrix, 0);
    options.k = 1;
    same_neighbours(t.measured, t.fresh, t.matrix + 40 * DIM, &options);
    assert_true(t.fresh->unmeasured); /* no twin among the answers: nothing to measure for */
    end_twins(&t);
}

static void many_neighbours_or_queries_have_the_space_measured(void **state)
{
    twins t = make_twins(false);
    wte_search_options options = WTE_SEARCH_DEFAULTS;
    wte_neighbor found[20];
    size_t n_found[2];
    (void)state;

    options.k = 65;
    same_neighbours(t.measured, t.fresh, t.matrix, &options);
    assert_false(t.fresh->unmeasured);
    refresh(&t, WTE_F32, t.matrix, 0);
    options.k = 10;
    assert_int_equal(wte_nearest(t.fresh, t.matrix, 2, &options, found, n_found, NULL, NULL),
                     WTE_OK);
    assert_false(t.fresh->unmeasured);
    end_twins(&t);
}

static void a_bad_query_is_refused_all_the_same(void **state)
{
    twins t = make_twins(false);
    wte_search_options options = WTE_SEARCH_DEFAULTS;
    wte_neighbor found[10];
    size_t n_found = 99;
    (void)state;

    assert_int_equal(
        wte_nearest(t.fresh, t.matrix + ZERO * DIM, 1, &options, found, &n_found, NULL, NULL),
        WTE_E_RANGE);
    refresh(&t, WTE_F32, t.matrix, 0);
    options.metric = WTE_EUCLIDEAN;
    assert_int_equal(wte_nearest(t.fresh, t.matrix + NOT_A_NUMBER * DIM, 1, &options, found,
                                 &n_found, NULL, NULL),
                     WTE_E_RANGE);
    assert_int_equal(n_found, 99);
    end_twins(&t);
}

/* Every other function that needs lengths or words, each the first to come. */
static void all_functions_measure_what_they_need(void **state)
{
    const uint32_t ids[] = {30, 20, 10};
    twins t = make_twins(true);
    const wte_space *spaces[2];
    uint64_t ranks[2][3];
    wte_neighbor found[2][10];
    size_t n_found[2];
    wte_baseline baselines[2];
    float percentiles[2];
    wte_transform unit = {WTE_UNIT, 0};
    uint32_t rows[2], like[2][5];
    wte_search_options options = WTE_SEARCH_DEFAULTS;
    (void)state;

#define BOTH(call)                                                                                 \
    refresh(&t, WTE_F32, t.matrix, 1);                                                             \
    spaces[0] = t.measured;                                                                        \
    spaces[1] = t.fresh;                                                                           \
    for (int s = 0; s < 2; s++)                                                                    \
    call
#define SAME(what) assert_memory_equal(&(what)[1], &(what)[0], sizeof(what)[0])

    BOTH(assert_int_equal(wte_space_find(spaces[s], "w20", 3, &rows[s], NULL), WTE_OK));
    SAME(rows);
    BOTH(assert_int_equal(wte_space_find(spaces[s], "w1500", 5, &rows[s], NULL), WTE_E_NOTFOUND));
    BOTH(wte_space_suggest(spaces[s], "W21", 3, 5, like[s], &n_found[s]));
    SAME(n_found);
    assert_memory_equal(like[1], like[0], n_found[0] * sizeof **like);
    for (uint32_t i = 0; i < N; i += i < 40 ? 1 : 365) {
        float norms[2];

        BOTH(norms[s] = wte_space_norm(spaces[s], i));
        SAME(norms);
    }
    BOTH(assert_int_equal(wte_rank(spaces[s], t.matrix, ids, 3, &options, ranks[s], NULL, NULL),
                          WTE_OK));
    SAME(ranks);
    BOTH(assert_int_equal(
        wte_nearest_cosmul(spaces[s], ids, 2, ids + 2, 1, &options, found[s], &n_found[s], NULL),
        WTE_OK));
    SAME(found);
    for (int method = WTE_ANALOGY_ADD; method <= WTE_ANALOGY_RAW; method++) {
        BOTH(assert_int_equal(wte_analogy(spaces[s], 30, 20, 10, (wte_analogy_method)method,
                                          &options, found[s], &n_found[s], NULL, NULL, ranks[s],
                                          NULL),
                              WTE_OK));
        SAME(found);
        SAME(ranks);
    }
    BOTH(assert_int_equal(wte_space_baseline(spaces[s], &baselines[s], NULL), WTE_OK));
    assert_int_equal(baselines[1].n_pairs, baselines[0].n_pairs);
    assert_memory_equal(&baselines[1].mean, &baselines[0].mean, 5 * sizeof(float));
    BOTH(assert_int_equal(wte_space_percentile(spaces[s], 0.1f, &percentiles[s], NULL), WTE_OK));
    SAME(percentiles);
    BOTH({
        wte_space *made = NULL;

        assert_int_equal(wte_space_transform(spaces[s], &unit, 1, NULL, &made, NULL), WTE_OK);
        assert_int_equal(wte_nearest(made, t.matrix + TWIN * DIM, 1, &options, found[s],
                                     &n_found[s], NULL, NULL),
                         WTE_OK);
        wte_space_free(made);
    });
    SAME(found);
#undef BOTH
#undef SAME
    end_twins(&t);
}

static void evaluations_are_the_same(void **state)
{
    twins t = make_twins(true);
    const wte_space *spaces[2] = {t.measured, t.fresh};
    wte_eval_analogies_result results[2];
    static const char questions[] = ": s\nw1 w2 w3 w4\nw20 w1500 w5 w6\n";
    const char *path = write_file("questions.txt", questions, strlen(questions));
    (void)state;

    for (int s = 0; s < 2; s++)
        assert_int_equal(wte_eval_analogies(spaces[s], path, NULL, &results[s], NULL), WTE_OK);
    assert_int_equal(results[0].correct + results[0].incorrect, 1);
    assert_int_equal(results[1].correct, results[0].correct);
    assert_int_equal(results[1].incorrect, results[0].incorrect);
    assert_int_equal(results[1].skipped, results[0].skipped);
    for (int s = 0; s < 2; s++)
        wte_eval_analogies_free(&results[s]);
    end_twins(&t);
}

static void ask(void *ctx, size_t block, unsigned worker)
{
    const twins *t = ctx;
    wte_search_options options = WTE_SEARCH_DEFAULTS;
    uint32_t row = 0;
    (void)worker;

    options.n_threads = 1;
    if (block % 2)
        same_neighbours(t->measured, t->fresh, t->matrix + (50 + block) * DIM, &options);
    else if (wte_space_find(t->fresh, "w123", 4, &row, NULL) != WTE_OK || row != 123)
        fail();
}

static void threads_may_come_at_the_same_time(void **state)
{
    twins t = make_twins(false);
    (void)state;

    wte__parallel(8, 4, ask, &t);
    end_twins(&t);
}

static void every_allocation_may_fail(void **state)
{
    twins t = make_twins(false);
    wte_search_options options = WTE_SEARCH_DEFAULTS;
    wte_neighbor found[10];
    wte_status status = WTE_E_NOMEM;
    size_t n_found = 0;
    uint32_t row = 0;
    (void)state;

    options.n_threads = 1;
    for (long nth = 0; status != WTE_OK; nth++) {
        refresh(&t, WTE_F32, t.matrix, 1);
        wte__fail_alloc(nth);
        status = wte_nearest(t.fresh, t.matrix, 1, &options, found, &n_found, NULL, NULL);
        wte__fail_alloc(-1);
        assert_true(status == WTE_OK || (status == WTE_E_NOMEM && nth < 20));
    }
    status = WTE_E_NOMEM;
    refresh(&t, WTE_F32, t.matrix,
            1); /* one space for all: a measuring that failed left no trace */
    for (long nth = 0; status != WTE_OK; nth++) {
        wte__fail_alloc(nth);
        status = wte_space_find(t.fresh, "w5", 2, &row, NULL);
        wte__fail_alloc(-1);
        assert_true(status == WTE_OK || (status == WTE_E_NOMEM && nth < 40));
    }
    assert_int_equal(row, 5);
    end_twins(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_search_finds_the_same_without_measuring),
        cmocka_unit_test(a_first_search_in_half_precision_finds_the_same),
        cmocka_unit_test(a_row_named_as_an_earlier_one_is_never_found),
        cmocka_unit_test(many_neighbours_or_queries_have_the_space_measured),
        cmocka_unit_test(a_bad_query_is_refused_all_the_same),
        cmocka_unit_test(all_functions_measure_what_they_need),
        cmocka_unit_test(evaluations_are_the_same),
        cmocka_unit_test(threads_may_come_at_the_same_time),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
