/* SPDX-License-Identifier: MIT */
/* test_eval.c - wte/eval.h: counting by hand, statistics against scipy, bad files */
#include "spaces.h"
#include "space/eval_internal.h"
#include "space/fold.h"
#include "wte/eval.h"
#include "wte/nearest.h"

/* ---- case -------------------------------------------------------------------------------- */

static void words_are_upper_cased_as_in_python(void **state)
{
    /* str.upper of Python 3.11 */
    static const char *const cases[][2] = {
        {"", ""},
        {"Word_2-x", "WORD_2-X"},
        {"stra\xC3\x9F\x65", "STRASSE"},
        {"caf\xC3\xA9", "CAF\xC3\x89"},
        {"\xEF\xAC\x83x", "FFIX"},                /* ligature ffi */
        {"\xC5\x89", "\xCA\xBCN"},                /* n preceded by apostrophe */
        {"\xCE\x90", "\xCE\x99\xCC\x88\xCC\x81"}, /* iota with dialytika and tonos */
        {"\xC7\x86", "\xC7\x84"},                 /* dz with caron */
        {"\xCF\x82\xCF\x83", "\xCE\xA3\xCE\xA3"}, /* both small sigmas */
        {"\xC4\xB1\xC3\xBF", "I\xC5\xB8"},        /* dotless i, y with diaeresis */
        {"\xF0\x90\x90\xA8", "\xF0\x90\x90\x80"}, /* Deseret */
        {"a\xFF\x80z", "A\xFF\x80Z"},             /* no UTF-8 */
        {"\xE6\xBC\xA2", "\xE6\xBC\xA2"}};
    char got[64];
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = wte__fold_upper(cases[i][0], strlen(cases[i][0]), got);

        assert_int_equal(n, strlen(cases[i][1]));
        assert_memory_equal(got, cases[i][1], n);
    }
}

static void the_first_of_equal_words_stands_for_all(void **state)
{
    static const float rows[4][1] = {{1}, {2}, {3}, {4}};
    static const char words[] = "aBAbbab";
    static const uint64_t offsets[] = {0, 2, 4, 5, 7};
    wte_space *space = NULL;
    wte__folded f;
    uint32_t row = 0;
    (void)state;

    assert_int_equal(wte_space_new("x", words, offsets, rows, WTE_F32, 4, 1, 1, 0, &space, NULL),
                     WTE_OK);
    assert_int_equal(wte__folded_init(&f, space, 4, false, NULL), WTE_OK);
    assert_int_equal(f.first[0], 0);
    assert_int_equal(f.first[1], 0);
    assert_int_equal(f.first[2], 2);
    assert_int_equal(f.first[3], 0);
    assert_int_equal(wte__folded_find(&f, "B", 1, &row, NULL), WTE_OK);
    assert_int_equal(row, 2);
    assert_int_equal(wte__folded_find(&f, "c", 1, &row, NULL), WTE_OK);
    assert_int_equal(row, UINT32_MAX);
    wte__folded_free(&f);
    assert_int_equal(wte__folded_init(&f, space, 2, true, NULL), WTE_OK);
    assert_int_equal(wte__folded_find(&f, "Ab", 2, &row, NULL), WTE_OK);
    assert_int_equal(row, 1);
    assert_int_equal(wte__folded_find(&f, "ab", 2, &row, NULL), WTE_OK);
    assert_int_equal(row, UINT32_MAX);
    wte__folded_free(&f);
    wte_space_free(space);
}

/* ---- statistics -------------------------------------------------------------------------- */

static void p_values_as_scipys(void **state)
{
    /* 2 * scipy.stats.t.sf(abs(r) * sqrt((n - 2) / ((1 - r) * (1 + r))), n - 2), scipy 1.10.1 */
    static const struct {
        double r;
        size_t n;
        double p;
    } cases[] = {
        {0.5, 10, 0.14111328125000003},    {-0.5, 10, 0.14111328125000003},
        {0.1, 100, 0.32221736303061965},   {0.7, 353, 2.8918367552388526e-53},
        {0.999, 5, 3.795497437340144e-05}, {0.0, 20, 1.0},
        {1e-9, 20, 0.9999999966615296},    {1.0, 20, 0.0},
        {0.3, 3, 0.8060266319586434},      {0.01, 100000, 0.0015651897452783135},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double got = wte__correlation_p(cases[i].r, cases[i].n);

        if (fabs(got - cases[i].p) > 1e-10 * cases[i].p)
            fail_msg("r %g, n %zu: %.17g, expected %.17g", cases[i].r, cases[i].n, got, cases[i].p);
    }
    assert_true(isnan(wte__correlation_p(0.5, 2)));
    assert_true(isnan(wte__correlation_p(NAN, 9)));
}

static void ties_share_the_mean_of_their_ranks(void **state)
{
    static const double x[] = {3, 1, 3, 2, 3, -1};
    static const double want[] = {5, 2, 5, 3, 5, 1};
    double got[6];
    wte__placed scratch[6];
    (void)state;

    wte__mid_ranks(x, 6, scratch, got);
    assert_memory_equal(got, want, sizeof want);
    assert_true(wte__pearson(x, x, 6) > 1 - 1e-15);
    assert_true(isnan(wte__pearson(x, (const double[]){2, 2, 2, 2, 2, 2}, 6)));
}

/* ---- analogies --------------------------------------------------------------------------- */

static const float grid[6][2] = {{1, 0}, {0, 1}, {1, 1}, {-1, 0}, {0, 0}, {1, -1}};

static wte_status eval_text(const wte_space *space, const char *text, size_t n,
                            const wte_eval_options *options, wte_eval_analogies_result *out,
                            wte_error *err)
{
    return wte_eval_analogies(space, write_file("questions.txt", text, n), options, out, err);
}

static void sections_and_skipped_questions_are_counted(void **state)
{
    static const char text[] = "\xEF\xBB\xBF: \xC3\xA9t\xC3\xA9 one \r\n"
                               "w0 w1 w2 w3\r\n"
                               "w0 nothing w2 w3\n"
                               "w0 w1 w2\n"
                               "\n"
                               "W0\tW1\xC2\xA0w4 w3\n" /* w4 has no direction; no-break space */
                               ": empty\n"
                               ": one more\n"
                               "w0 w1 w2 w3 w5";
    test_space t = test_space_of(grid[0], 6, 2);
    wte_eval_options options = WTE_EVAL_DEFAULTS;
    wte_eval_analogies_result got;
    (void)state;

    assert_int_equal(eval_text(t.space, text, sizeof text - 1, NULL, &got, NULL), WTE_OK);
    assert_int_equal(got.n_sections, 3);
    assert_string_equal(got.sections[0].name, "\xC3\xA9t\xC3\xA9 one");
    /* w1 - w0 + w2 is nearest to w3 but for the words themselves? (0,1)-(1,0)+(.7,.7) = (-.3,1.7):
     * of w3 (-1,0) and w5 (1,-1) the first */
    assert_int_equal(got.sections[0].correct, 1);
    assert_int_equal(got.sections[0].incorrect, 1);
    assert_int_equal(got.sections[0].skipped, 1);
    assert_string_equal(got.sections[1].name, "empty");
    assert_int_equal(got.sections[2].correct + got.sections[2].incorrect, 0);
    assert_int_equal(got.correct, 1);
    assert_true(got.accuracy == 0.5);
    wte_eval_analogies_free(&got);

    options.dummy4unknown = 1;
    assert_int_equal(eval_text(t.space, text, sizeof text - 1, &options, &got, NULL), WTE_OK);
    assert_int_equal(got.incorrect, 2);
    assert_int_equal(got.skipped, 0);
    wte_eval_analogies_free(&got);
    options = (wte_eval_options)WTE_EVAL_DEFAULTS;
    options.case_sensitive = 1;
    assert_int_equal(eval_text(t.space, text, sizeof text - 1, &options, &got, NULL), WTE_OK);
    assert_int_equal(got.skipped, 2);
    wte_eval_analogies_free(&got);
    options.restrict_vocab = 3;
    assert_int_equal(eval_text(t.space, text, sizeof text - 1, &options, &got, NULL), WTE_OK);
    assert_int_equal(got.skipped, 3);
    assert_true(isnan(got.accuracy));
    wte_eval_analogies_free(&got);
    test_space_end(&t);
}

static void bad_question_files_are_named_with_the_line(void **state)
{
    static const struct {
        const char *text, *message;
        wte_status status;
    } cases[] = {{"\n\nw0 w1 w2 w3\n", "line 3 comes before the first section", WTE_E_FORMAT},
                 {"", "no section", WTE_E_FORMAT},
                 {":x\n", "line 1 comes before", WTE_E_FORMAT},
                 {": x\nw0 \xFFw1 w2 w3\n", "line 2 is not UTF-8", WTE_E_FORMAT}};
    test_space t = test_space_of(grid[0], 6, 2);
    wte_eval_options options = WTE_EVAL_DEFAULTS;
    wte_eval_analogies_result got;
    wte_error err = {0};
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(eval_text(t.space, cases[i].text, strlen(cases[i].text), NULL, &got, &err),
                         cases[i].status);
        assert_non_null(strstr(err.message, cases[i].message));
    }
    assert_int_equal(wte_eval_analogies(t.space, "/nonexistent/questions", NULL, &got, &err),
                     WTE_E_IO);
    options.method = WTE_ANALOGY_RAW;
    assert_int_equal(eval_text(t.space, ": x\n", 4, &options, &got, &err), WTE_E_RANGE);
    test_space_end(&t);
}

/* What the header promises, one question at a time by the public search. */
static bool answer_is_right(const wte_space *space, const uint32_t *q, wte_analogy_method method,
                            uint32_t n_rows)
{
    wte_search_options options = WTE_SEARCH_DEFAULTS;
    wte_neighbor got[5];
    size_t n = 0;

    options.k = 5;
    options.n_rows = n_rows;
    assert_int_equal(
        wte_analogy(space, q[0], q[1], q[2], method, &options, got, &n, NULL, NULL, NULL, NULL),
        WTE_OK);
    return n > 0 && got[0].id == q[3];
}

static void many_questions_are_answered_as_one_by_one(void **state)
{
    enum { N = 1000, DIM = 20, WORDS = 40, QUESTIONS = 700 };
    float *matrix = calloc(N * DIM, sizeof *matrix);
    char *text = malloc(40 * QUESTIONS + 100);
    size_t used = 0;
    uint64_t seed = 77;
    test_space t;
    (void)state;

    assert_true(matrix && text);
    /* words in pairs with a common offset, so that part of the questions is answered rightly */
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < DIM; j++)
            matrix[i * DIM + j] = i < WORDS && i % 2 ? matrix[(i - 1) * DIM + j] + (j < 5) * 2.0f +
                                                           0.3f * test_normal(&seed)
                                                     : test_normal(&seed);
    memset(matrix + 500 * DIM, 0, DIM * sizeof *matrix);
    t = test_space_of(matrix, N, DIM);
    for (int method = WTE_ANALOGY_ADD; method <= WTE_ANALOGY_MUL; method++)
        for (int restricted = 0; restricted < 2; restricted++) {
            wte_eval_options options = WTE_EVAL_DEFAULTS;
            wte_eval_analogies_result got[2];
            uint32_t right = 0;

            options.method = (wte_analogy_method)method;
            options.restrict_vocab = restricted ? 333 : 0;
            used = (size_t)sprintf(text, ": all\n");
            for (int i = 0; i < QUESTIONS; i++) {
                uint32_t x = 2 * (uint32_t)(wte__random(&seed) % (WORDS / 2));
                uint32_t y = 2 * (uint32_t)(wte__random(&seed) % (WORDS / 2));
                uint32_t q[4] = {x, x + 1, y, y + 1};

                if (x == y)
                    continue;
                used += (size_t)sprintf(text + used, "w%u w%u w%u w%u\n", q[0], q[1], q[2], q[3]);
                right += answer_is_right(t.space, q, options.method, options.restrict_vocab);
            }
            for (unsigned threads = 1; threads <= 3; threads += 2) {
                options.n_threads = threads;
                assert_int_equal(eval_text(t.space, text, used, &options, &got[threads / 2], NULL),
                                 WTE_OK);
            }
            assert_int_equal(got[0].correct, right);
            assert_int_equal(got[1].correct, right);
            assert_true(right > 0 && got[0].incorrect > 0);
            wte_eval_analogies_free(&got[0]);
            wte_eval_analogies_free(&got[1]);
        }
    test_space_end(&t);
    free(text);
    free(matrix);
}

static int stop(void *data, const char *what, uint64_t done, uint64_t total)
{
    (void)data, (void)what, (void)done, (void)total;
    return 1;
}

static void an_evaluation_can_be_cancelled(void **state)
{
    test_space t = test_space_of(grid[0], 6, 2);
    wte_eval_options options = WTE_EVAL_DEFAULTS;
    wte_eval_analogies_result got;
    static const char text[] = ": x\nw0 w1 w2 w3\n";
    (void)state;

    options.progress = stop;
    assert_int_equal(eval_text(t.space, text, sizeof text - 1, &options, &got, NULL),
                     WTE_E_CANCELLED);
    test_space_end(&t);
}

/* ---- pairs ------------------------------------------------------------------------------- */

static wte_status pairs_text(const wte_space *space, const char *text,
                             const wte_eval_options *options, wte_eval_pairs_result *out,
                             wte_error *err)
{
    return wte_eval_pairs(space, write_file("pairs.tsv", text, strlen(text)), options, out, err);
}

static void pairs_are_correlated_with_their_scores(void **state)
{
    /* cosines 0, 0.7071, -1, -0.7071 */
    static const char text[] = "# comment\t\t1\n"
                               "word 1\tword 2\tscore\n"
                               "w0\tw1\t 5.0\r\n"
                               "W0\tw2\t9e0\n"
                               "w0\tw3\t1\n"
                               "w1\tw5\t2.5\n"
                               "w0\tunknown\t3\n"
                               "w0\tw1\t0x10\n"
                               "w0\tw1\tnan\n"
                               "w0\tw1\t\n"
                               "w0\tw1\t1 2\n"
                               "w0\tw1\n";
    test_space t = test_space_of(grid[0], 6, 2);
    wte_eval_options options = WTE_EVAL_DEFAULTS;
    wte_eval_pairs_result got;
    wte_error err = {0};
    (void)state;

    assert_int_equal(pairs_text(t.space, text, NULL, &got, &err), WTE_OK);
    assert_int_equal(got.pairs, 4);
    assert_int_equal(got.oov, 1);
    assert_true(got.oov_ratio == 20);
    assert_true(got.spearman == 1 && got.spearman_p == 0);
    assert_true(got.pearson > 0.97 && got.pearson < 1);
    options.dummy4unknown = 1;
    assert_int_equal(pairs_text(t.space, text, &options, &got, &err), WTE_OK);
    assert_int_equal(got.pairs, 5);
    assert_true(got.oov_ratio == 20);
    assert_true(got.spearman < 1);
    test_space_end(&t);
}

static void files_without_pairs_are_refused(void **state)
{
    test_space t = test_space_of(grid[0], 6, 2);
    wte_eval_pairs_result got;
    wte_error err = {0};
    (void)state;

    assert_int_equal(pairs_text(t.space, "", NULL, &got, &err), WTE_E_FORMAT);
    assert_int_equal(pairs_text(t.space, "w0 w1 3\n", NULL, &got, &err), WTE_E_FORMAT);
    assert_non_null(strstr(err.message, "none of its 1 lines"));
    assert_int_equal(pairs_text(t.space, "w0\tx\t3\n", NULL, &got, &err), WTE_E_RANGE);
    assert_int_equal(pairs_text(t.space, "w0\tw1\t3\n", NULL, &got, &err), WTE_E_RANGE);
    assert_non_null(strstr(err.message, "at least 2 expected"));
    assert_int_equal(pairs_text(t.space, "w0\t\xC0\t3\n", NULL, &got, &err), WTE_E_FORMAT);
    assert_int_equal(wte_eval_pairs(t.space, "/nonexistent/pairs", NULL, &got, &err), WTE_E_IO);
    /* two pairs: a line, of which scipy makes p = 1 for r and nothing for rho */
    assert_int_equal(pairs_text(t.space, "w0\tw1\t3\nw0\tw2\t4\n", NULL, &got, &err), WTE_OK);
    assert_true(got.pearson == 1 && got.pearson_p == 1);
    assert_true(got.spearman == 1 && isnan(got.spearman_p));
    test_space_end(&t);
}

static void every_allocation_may_fail(void **state)
{
    test_space t = test_space_of(grid[0], 6, 2);
    static const char questions[] = ": x\nw0 w1 w2 w3\nw1 w0 w2 w3\n",
                      pairs[] = "w0\tw1\t3\nw0\tw2\t4\n";
    wte_eval_options options = WTE_EVAL_DEFAULTS;
    (void)state;

    options.n_threads = 1;
    for (int what = 0; what < 2; what++) {
        const char *path = write_file("set", what ? pairs : questions,
                                      what ? sizeof pairs - 1 : sizeof questions - 1);
        wte_status status = WTE_E_NOMEM;
        long nth = 0;

        for (; status != WTE_OK && nth < 200; nth++) {
            wte__fail_alloc(nth);
            if (what) {
                wte_eval_pairs_result got;

                status = wte_eval_pairs(t.space, path, &options, &got, NULL);
            } else {
                wte_eval_analogies_result got;

                status = wte_eval_analogies(t.space, path, &options, &got, NULL);
                if (status == WTE_OK)
                    wte_eval_analogies_free(&got);
            }
            assert_true(status == WTE_OK || status == WTE_E_NOMEM);
        }
        wte__fail_alloc(-1);
        assert_true(nth > 5 && nth < 200);
    }
    test_space_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_upper_cased_as_in_python),
        cmocka_unit_test(the_first_of_equal_words_stands_for_all),
        cmocka_unit_test(p_values_as_scipys),
        cmocka_unit_test(ties_share_the_mean_of_their_ranks),
        cmocka_unit_test(sections_and_skipped_questions_are_counted),
        cmocka_unit_test(bad_question_files_are_named_with_the_line),
        cmocka_unit_test(many_questions_are_answered_as_one_by_one),
        cmocka_unit_test(an_evaluation_can_be_cancelled),
        cmocka_unit_test(pairs_are_correlated_with_their_scores),
        cmocka_unit_test(files_without_pairs_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
