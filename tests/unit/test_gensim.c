/* SPDX-License-Identifier: MIT */
/* test_gensim.c - the geometry against gensim 4.2's own answers
 *
 * A row of the reference is a call of a KeyedVectors method and its result or error. Calls that
 * wte's functions do not have in this form are expressed by those that it has: a word that is not
 * there is an error of wte_space_find(), words are removed by the caller for the Word Mover's
 * Distance, and so on. Every row must be understood: an unknown function fails the test. */
#include <jansson.h>
#include "spaces.h"
#include "wte/eval.h"
#include "wte/nearest.h"

enum { MAX_WORDS = 64, MAX_RESULTS = 2048 };

typedef struct words {
    uint32_t ids[MAX_WORDS];
    float weights[MAX_WORDS];
    size_t n;
    bool unknown;
} words;

static const json_t *argument(const json_t *row, const char *name, size_t place)
{
    const json_t *value = json_object_get(json_object_get(row, "kwargs"), name);

    return value ? value : json_array_get(json_object_get(row, "args"), place);
}

static void add_word(const wte_space *space, words *w, const json_t *item, float weight)
{
    const json_t *word = json_is_array(item) ? json_array_get(item, 0) : item;
    uint32_t id = 0;

    assert_true(w->n < MAX_WORDS);
    if (json_is_array(item))
        weight = (float)json_number_value(json_array_get(item, 1));
    if (wte_space_find(space, json_string_value(word), json_string_length(word), &id, NULL) !=
        WTE_OK) {
        w->unknown = true;
        return;
    }
    w->ids[w->n] = id;
    w->weights[w->n++] = weight;
}

static void add_words(const wte_space *space, words *w, const json_t *list, float weight)
{
    size_t i;
    json_t *item;

    if (json_is_string(list))
        add_word(space, w, list, weight);
    json_array_foreach(list, i, item) add_word(space, w, item, weight);
}

static bool is_word(const wte_space *space, uint32_t id, const json_t *word)
{
    size_t len = 0;
    const char *text = wte_space_word(space, id, &len);

    return len == json_string_length(word) && memcmp(text, json_string_value(word), len) == 0;
}

/* Compare an answer with [[word, score], ...]; words whose scores tie may change places. */
static void expect_neighbors(const wte_space *space, const json_t *want, const wte_neighbor *got,
                             size_t n)
{
    assert_int_equal(n, json_array_size(want));
    for (size_t i = 0; i < n; i++) {
        const json_t *pair = json_array_get(want, i);

        assert_float_equal(got[i].score, json_number_value(json_array_get(pair, 1)), 1e-6);
        if (!is_word(space, got[i].id, json_array_get(pair, 0))) {
            bool tie = false;

            for (size_t j = 0; j < n; j++)
                tie = tie || (is_word(space, got[j].id, json_array_get(pair, 0)) &&
                              fabsf(got[i].score - got[j].score) < 2e-7f);
            if (!tie)
                fail_msg("place %zu: row %u, expected %s", i, got[i].id,
                         json_string_value(json_array_get(pair, 0)));
        }
    }
}

static void check_most_similar(const wte_space *space, const json_t *row)
{
    const json_t *want = json_object_get(row, "result");
    bool by_word = !strcmp(json_string_value(json_object_get(row, "fn")), "similar_by_word");
    wte_search_options options = WTE_SEARCH_DEFAULTS;
    const json_t *topn = json_object_get(json_object_get(row, "kwargs"), "topn");
    const json_t *end = json_object_get(json_object_get(row, "kwargs"), "clip_end");
    const json_t *start = json_object_get(json_object_get(row, "kwargs"), "clip_start");
    const json_t *restricted = json_object_get(json_object_get(row, "kwargs"), "restrict_vocab");
    float *query = calloc(space->rows.dim, sizeof *query);
    wte_neighbor got[MAX_RESULTS];
    size_t n = 0;
    words w = {0};
    wte_status status;

    assert_non_null(query);
    add_words(space, &w, argument(row, "positive", 0), 1);
    if (!by_word)
        add_words(space, &w, argument(row, "negative", 1), -1);
    options.k = topn ? (size_t)json_integer_value(topn) : 10;
    options.first_row = restricted ? 0 : (uint32_t)json_integer_value(start);
    options.n_rows = (uint32_t)json_integer_value(restricted ? restricted : end);
    options.exclude = w.ids;
    options.n_exclude = w.n;
    assert_true(options.k <= MAX_RESULTS);
    status = wte_mean_vector(space, w.ids, w.weights, w.n, 1, query, NULL);
    if (status == WTE_OK)
        status = wte_nearest(space, query, 1, &options, got, &n, NULL, NULL);
    if (options.k == 0 && json_is_array(want)) {
        assert_int_equal(json_array_size(want), 0);
        assert_int_equal(status, WTE_E_RANGE);
    } else if (!want) {
        assert_true(w.unknown || status == WTE_E_RANGE);
    } else {
        assert_int_equal(status, WTE_OK);
        expect_neighbors(space, want, got, n);
    }
    free(query);
}

static void check_cosmul(const wte_space *space, const json_t *row)
{
    const json_t *want = json_object_get(row, "result");
    const json_t *topn = json_object_get(json_object_get(row, "kwargs"), "topn");
    wte_search_options options = WTE_SEARCH_DEFAULTS;
    wte_neighbor got[MAX_RESULTS];
    size_t n = 0, n_positive;
    words w = {0};
    wte_status status;

    add_words(space, &w, argument(row, "positive", 0), 1);
    n_positive = w.n;
    add_words(space, &w, argument(row, "negative", 1), -1);
    options.k = topn ? (size_t)json_integer_value(topn) : 10;
    /* gensim 4.2 accepts restrict_vocab here and does not use it */
    options.exclude = w.ids;
    options.n_exclude = w.n;
    status = wte_nearest_cosmul(space, w.ids, n_positive, w.ids + n_positive, w.n - n_positive,
                                &options, got, &n, NULL);
    if (!want) {
        assert_true(w.unknown || status == WTE_E_RANGE);
        return;
    }
    if (options.k == 0) {
        assert_int_equal(status, WTE_E_RANGE);
        return;
    }
    assert_int_equal(status, WTE_OK);
    expect_neighbors(space, want, got, n);
}

static void check_pair(const wte_space *space, const json_t *row)
{
    const json_t *want = json_object_get(row, "result");
    const char *fn = json_string_value(json_object_get(row, "fn"));
    words w = {0};
    float got = 0;

    add_words(space, &w, json_object_get(row, "args"), 1);
    if (!want) {
        assert_true(w.unknown);
        return;
    }
    assert_int_equal(w.n, 2);
    if (!strcmp(fn, "similarity")) {
        assert_int_equal(wte_similarity(space, w.ids[0], w.ids[1], &got, NULL), WTE_OK);
    } else if (!strcmp(fn, "distance")) {
        assert_int_equal(wte_distance(space, w.ids[0], w.ids[1], WTE_COSINE, &got, NULL), WTE_OK);
    } else {
        wte_search_options options = WTE_SEARCH_DEFAULTS;
        float *query = calloc(space->rows.dim, sizeof *query);
        uint64_t rank = 0;

        assert_non_null(query);
        assert_int_equal(wte_space_vector(space, w.ids[0], query, NULL), WTE_OK);
        options.exclude = w.ids;
        options.n_exclude = 1;
        assert_int_equal(wte_rank(space, query, w.ids + 1, 1, &options, &rank, NULL, NULL), WTE_OK);
        free(query);
        got = (float)rank;
        if (w.ids[0] == w.ids[1])
            return; /* gensim counts nothing before a word itself, or rounding */
    }
    assert_float_equal(got, json_number_value(want), 1e-6);
}

static void check_closer_than(const wte_space *space, const json_t *row)
{
    const json_t *want = json_object_get(row, "result");
    size_t n_want = json_array_size(want), n = 0, i;
    wte_search_options options = WTE_SEARCH_DEFAULTS;
    wte_neighbor got[MAX_RESULTS];
    float *query = calloc(space->rows.dim, sizeof *query);
    json_t *word;
    words w = {0};

    assert_non_null(query);
    add_words(space, &w, json_object_get(row, "args"), 1);
    assert_int_equal(w.n, 2);
    assert_int_equal(wte_space_vector(space, w.ids[0], query, NULL), WTE_OK);
    options.k = n_want + 1;
    options.exclude = w.ids;
    options.n_exclude = 1;
    assert_true(options.k <= MAX_RESULTS);
    assert_int_equal(wte_nearest(space, query, 1, &options, got, &n, NULL, NULL), WTE_OK);
    assert_int_equal(n, n_want + 1);
    assert_int_equal(got[n_want].id, w.ids[1]);
    json_array_foreach(want, i, word)
    {
        bool found = false;

        for (size_t j = 0; j < n_want; j++)
            found = found || is_word(space, got[j].id, word);
        assert_true(found);
    }
    free(query);
}

static void check_distances(const wte_space *space, const json_t *row)
{
    const json_t *all = json_object_get(row, "first_20"), *want = json_object_get(row, "result");
    words w = {0};
    float got = 0;

    add_word(space, &w, json_array_get(json_object_get(row, "args"), 0), 1);
    add_words(space, &w, json_array_get(json_object_get(row, "args"), 1), 1);
    if (!all && !want) {
        assert_true(w.unknown);
        return;
    }
    for (size_t i = 0; i < json_array_size(all ? all : want); i++) {
        uint32_t other = all ? (uint32_t)i : w.ids[1 + i];

        assert_int_equal(wte_distance(space, w.ids[0], other, WTE_COSINE, &got, NULL), WTE_OK);
        assert_float_equal(got, json_number_value(json_array_get(all ? all : want, i)), 1e-6);
    }
}

static void check_n_similarity(const wte_space *space, const json_t *row)
{
    const json_t *want = json_object_get(row, "result");
    words a = {0}, b = {0};
    float got = 0;
    wte_status status;

    add_words(space, &a, json_array_get(json_object_get(row, "args"), 0), 1);
    add_words(space, &b, json_array_get(json_object_get(row, "args"), 1), 1);
    status = wte_set_similarity(space, a.ids, a.n, b.ids, b.n, &got, NULL);
    if (!want) {
        assert_true(status == WTE_E_RANGE || a.unknown || b.unknown);
        return;
    }
    if (a.n == 0 || b.n == 0) { /* all words unknown: the mean of nothing is 0 for gensim */
        assert_int_equal(status, WTE_E_RANGE);
        assert_float_equal(json_number_value(want), 0, 0);
        return;
    }
    assert_int_equal(status, WTE_OK);
    assert_float_equal(got, json_number_value(want), 1e-6);
}

static void check_doesnt_match(const wte_space *space, const json_t *row)
{
    const json_t *want = json_object_get(row, "result");
    words w = {0};
    size_t odd = 0;
    wte_error err = {0};
    wte_status status;

    add_words(space, &w, json_array_get(json_object_get(row, "args"), 0), 1);
    status = wte_odd_one_out(space, w.ids, w.n, NULL, &odd, &err);
    if (!want) {
        assert_int_equal(status, WTE_E_RANGE);
        return;
    }
    if (status != WTE_OK)
        fail_msg("%s", err.message);
    assert_true(is_word(space, w.ids[odd], want));
}

static void check_wmdistance(const wte_space *space, const json_t *row)
{
    const json_t *want = json_object_get(row, "result");
    const json_t *norm = json_object_get(json_object_get(row, "kwargs"), "norm");
    words a = {0}, b = {0};
    double got = -1;

    add_words(space, &a, json_array_get(json_object_get(row, "args"), 0), 1);
    add_words(space, &b, json_array_get(json_object_get(row, "args"), 1), 1);
    assert_int_equal(
        wte_word_movers_distance(space, a.ids, a.n, b.ids, b.n, !json_is_false(norm), &got, NULL),
        WTE_OK);
    if (json_is_string(want))
        assert_true(isinf(got));
    else /* pyemd rounds each cost to a millionth of the largest */
        assert_true(fabs(got - json_number_value(want)) < 2e-6 * fmax(1, got));
}

static void check_vector(const wte_space *space, const json_t *row)
{
    const json_t *want = json_object_get(row, "result"), *kwargs = json_object_get(row, "kwargs");
    const json_t *weights = json_object_get(kwargs, "weights");
    bool mean = !strcmp(json_string_value(json_object_get(row, "fn")), "get_mean_vector");
    bool unit = mean ? !json_is_false(json_object_get(kwargs, "pre_normalize"))
                     : json_is_true(json_object_get(kwargs, "norm"));
    float *got = calloc(space->rows.dim, sizeof *got);
    double length = 0;
    words w = {0};
    wte_status status;

    assert_non_null(got);
    add_words(space, &w, json_array_get(json_object_get(row, "args"), 0), 1);
    for (size_t i = 0; i < json_array_size(weights) && i < w.n; i++)
        w.weights[i] = (float)json_number_value(json_array_get(weights, i));
    status = wte_mean_vector(space, w.ids, w.weights, w.n, unit, got, NULL);
    if (!want) {
        assert_true(w.unknown || status == WTE_E_RANGE ||
                    json_array_size(weights) != json_array_size(argument(row, "keys", 0)));
        free(got);
        return;
    }
    assert_int_equal(status, WTE_OK);
    assert_int_equal(json_array_size(want), space->rows.dim);
    for (size_t i = 0; i < space->rows.dim; i++)
        length += (double)got[i] * (double)got[i];
    length = json_is_true(json_object_get(kwargs, "post_normalize")) ? sqrt(length) : 1;
    for (size_t i = 0; i < space->rows.dim; i++)
        assert_float_equal((float)(got[i] / length), json_number_value(json_array_get(want, i)),
                           1e-6);
    free(got);
}

static const struct {
    const char *fn;
    void (*check)(const wte_space *space, const json_t *row);
} checks[] = {{"most_similar", check_most_similar},
              {"similar_by_word", check_most_similar},
              {"most_similar_cosmul", check_cosmul},
              {"similarity", check_pair},
              {"distance", check_pair},
              {"rank", check_pair},
              {"closer_than", check_closer_than},
              {"distances", check_distances},
              {"n_similarity", check_n_similarity},
              {"doesnt_match", check_doesnt_match},
              {"wmdistance", check_wmdistance},
              {"get_mean_vector", check_vector},
              {"get_vector", check_vector}};

static void check_rows(const wte_space *space, const json_t *rows)
{
    size_t i;
    json_t *row;

    assert_true(json_array_size(rows) > 0);
    json_array_foreach(rows, i, row)
    {
        const char *fn = json_string_value(json_object_get(row, "fn"));
        size_t c = 0;

        while (c < sizeof checks / sizeof *checks && strcmp(checks[c].fn, fn) != 0)
            c++;
        assert_true(c < sizeof checks / sizeof *checks);
        checks[c].check(space, row);
    }
}

static wte_eval_options eval_options(const json_t *kwargs)
{
    wte_eval_options options = WTE_EVAL_DEFAULTS;
    const json_t *restricted = json_object_get(kwargs, "restrict_vocab");

    if (restricted)
        options.restrict_vocab = (uint32_t)json_integer_value(restricted);
    options.case_sensitive = json_is_false(json_object_get(kwargs, "case_insensitive"));
    options.dummy4unknown = json_is_true(json_object_get(kwargs, "dummy4unknown"));
    /* "similarity_function" has no effect in gensim 4.2 */
    return options;
}

static void check_analogies(const wte_space *space, const json_t *row, const char *path)
{
    const json_t *sections = json_object_get(row, "sections");
    wte_eval_options options = eval_options(json_object_get(row, "kwargs"));
    wte_eval_analogies_result got;
    wte_error err = {0};
    size_t n = json_array_size(sections);

    if (wte_eval_analogies(space, path, &options, &got, &err) != WTE_OK)
        fail_msg("%s", err.message);
    /* gensim adds the total as a section */
    if (!strcmp(json_string_value(json_object_get(json_array_get(sections, n - 1), "section")),
                "Total accuracy"))
        n--;
    assert_int_equal(got.n_sections, n);
    for (size_t s = 0; s < n; s++) {
        const json_t *want = json_array_get(sections, s);

        assert_string_equal(got.sections[s].name,
                            json_string_value(json_object_get(want, "section")));
        assert_int_equal(got.sections[s].correct,
                         json_integer_value(json_object_get(want, "correct")));
        assert_int_equal(got.sections[s].incorrect,
                         json_integer_value(json_object_get(want, "incorrect")));
    }
    assert_float_equal(got.accuracy, json_number_value(json_object_get(row, "accuracy")), 1e-12);
    wte_eval_analogies_free(&got);
}

static void check_pairs(const wte_space *space, const json_t *row, const char *path)
{
    const json_t *pearson = json_object_get(row, "pearson");
    const json_t *spearman = json_object_get(row, "spearman");
    wte_eval_options options = eval_options(json_object_get(row, "kwargs"));
    wte_eval_pairs_result got;
    wte_error err = {0};

    if (wte_eval_pairs(space, path, &options, &got, &err) != WTE_OK)
        fail_msg("%s", err.message);
    assert_float_equal(got.pearson, json_number_value(json_array_get(pearson, 0)), 1e-6);
    assert_float_equal(got.pearson_p, json_number_value(json_array_get(pearson, 1)), 1e-6);
    assert_float_equal(got.spearman, json_number_value(json_array_get(spearman, 0)), 1e-6);
    assert_float_equal(got.spearman_p, json_number_value(json_array_get(spearman, 1)), 1e-6);
    assert_float_equal(got.oov_ratio, json_number_value(json_object_get(row, "oov_ratio_percent")),
                       1e-9);
}

static void check_evaluation(const wte_space *space, const json_t *row, const char *path)
{
    if (!strcmp(json_string_value(json_object_get(row, "fn")), "evaluate_word_analogies"))
        check_analogies(space, row, path);
    else
        check_pairs(space, row, path);
}

static json_t *load_json(const char *path)
{
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);

    if (!root)
        fail_msg("%s: %s", path, error.text);
    return root;
}

static void reference_rows(const char *vectors, const char *key, bool codes)
{
    json_t *root = load_json(need_shared("golden/gensim.json"));
    test_space t = test_space_from_bin(need_shared(vectors));

    if (codes)
        test_space_add_codes(&t);
    check_rows(t.space, json_object_get(root, key));
    test_space_end(&t);
    json_decref(root);
}

static void google_news_answers_as_in_gensim(void **state)
{
    (void)state;
    reference_rows("data/google-news-1000.bin", "google-news-1000", false);
}

static void google_news_answers_as_in_gensim_through_codes(void **state)
{
    (void)state;
    reference_rows("data/google-news-1000.bin", "google-news-1000", true);
}

static void random_vectors_answer_as_in_gensim(void **state)
{
    (void)state;
    reference_rows("golden/random-2000x50.bin", "random-2000x50", false);
}

static void evaluations_count_as_gensims(void **state)
{
    json_t *root = load_json(need_shared("golden/gensim.json"));
    test_space t = test_space_from_bin(need_shared("data/google-news-1000.bin"));
    const json_t *rows = json_object_get(root, "evaluation");
    size_t i;
    json_t *row;
    (void)state;

    assert_true(json_array_size(rows) > 0);
    json_array_foreach(rows, i, row)
    {
        const char *file = json_string_value(json_object_get(row, "file"));
        char path[300];

        assert_string_equal(json_string_value(json_object_get(row, "vectors")), "google-news-1000");
        snprintf(path, sizeof path, "data/%s", file);
        if (!shared_file(path))
            snprintf(path, sizeof path, "golden/%s", file);
        check_evaluation(t.space, row, need_shared(path));
    }
    test_space_end(&t);
    json_decref(root);
}

/* ---- the project's own small reference: tests/golden/gensim_small.py made it -------------- */

static test_space small_space(const json_t *root)
{
    const json_t *list = json_object_get(root, "words"),
                 *vectors = json_object_get(root, "vectors");
    size_t n = json_array_size(list), dim = json_array_size(json_array_get(vectors, 0)), used = 0;
    test_space t = {0};

    t.matrix = malloc(n * dim * sizeof *t.matrix);
    t.words = malloc(100 * n);
    t.offsets = calloc(n + 1, sizeof *t.offsets);
    assert_true(t.matrix && t.words && t.offsets);
    for (size_t i = 0; i < n; i++) {
        const json_t *word = json_array_get(list, i);

        memcpy(t.words + used, json_string_value(word), json_string_length(word));
        used += json_string_length(word);
        t.offsets[i + 1] = used;
        for (size_t j = 0; j < dim; j++)
            t.matrix[i * dim + j] =
                (float)json_number_value(json_array_get(json_array_get(vectors, i), j));
    }
    test_space_make(&t, (uint32_t)n, dim);
    return t;
}

static void small_space_answers_as_in_gensim(void **state)
{
    json_t *root = load_json(test_file("golden/gensim_small.json"));
    test_space t = small_space(root);
    (void)state;

    check_rows(t.space, json_object_get(root, "rows"));
    test_space_add_codes(&t);
    check_rows(t.space, json_object_get(root, "rows"));
    test_space_end(&t);
    json_decref(root);
}

static void small_evaluations_count_as_gensims(void **state)
{
    json_t *root = load_json(test_file("golden/gensim_small.json"));
    const json_t *rows = json_object_get(root, "evaluation");
    test_space t = small_space(root);
    size_t i;
    json_t *row;
    (void)state;

    assert_true(json_array_size(rows) > 0);
    json_array_foreach(rows, i, row)
    {
        const json_t *text = json_object_get(row, "text");

        check_evaluation(t.space, row,
                         write_file("set.txt", json_string_value(text), json_string_length(text)));
    }
    test_space_end(&t);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(google_news_answers_as_in_gensim),
        cmocka_unit_test(google_news_answers_as_in_gensim_through_codes),
        cmocka_unit_test(random_vectors_answer_as_in_gensim),
        cmocka_unit_test(evaluations_count_as_gensims),
        cmocka_unit_test(small_space_answers_as_in_gensim),
        cmocka_unit_test(small_evaluations_count_as_gensims),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
