/* SPDX-License-Identifier: MIT */
/** compare.h - items for the tests of comparisons: from the reference files, and random */
#ifndef WTE_TEST_COMPARE_H
#define WTE_TEST_COMPARE_H
#include <jansson.h>
#include "need_lapack.h"
#include "spaces.h"
#include "wte/compare.h"
#include "wte/model.h"

static inline json_t *test_json(const char *path)
{
    json_error_t why;
    json_t *root = json_load_file(path, 0, &why);

    if (!root)
        fail_msg("%s: %s", path, why.text);
    return root;
}

/** An array of numbers; free it. */
static inline double *test_numbers(const json_t *array, size_t *n)
{
    double *out;

    if (!json_is_array(array))
        fail_msg("an array expected");
    *n = json_array_size(array);
    out = calloc(*n + 1, sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < *n; i++)
        out[i] = json_number_value(json_array_get(array, i));
    return out;
}

static inline double test_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_number(value))
        fail_msg("no number \"%s\"", key);
    return json_number_value(value);
}

/** Items over an array of arrays; free their data. */
static inline wte_items test_items(const json_t *rows, const char *name)
{
    wte_items out = {NULL, json_array_size(rows), json_array_size(json_array_get(rows, 0)), name};
    float *data = malloc((out.n * out.dim + 1) * sizeof *data);

    assert_non_null(data);
    for (size_t i = 0; i < out.n; i++)
        for (size_t j = 0; j < out.dim; j++)
            data[i * out.dim + j] =
                (float)json_number_value(json_array_get(json_array_get(rows, i), j));
    out.data = data;
    return out;
}

static inline void test_items_end(wte_items *items)
{
    free((void *)(uintptr_t)items->data);
    items->data = NULL;
}

/** Items of independent normal numbers; free their data. */
static inline wte_items test_normal_items(size_t n, size_t dim, uint64_t *seed)
{
    wte_items out = {NULL, n, dim, "normal items"};
    float *data = malloc((n * dim + 1) * sizeof *data);

    assert_non_null(data);
    for (size_t i = 0; i < n * dim; i++)
        data[i] = test_normal(seed);
    out.data = data;
    return out;
}

/** x turned by a random rotation, built from plane rotations; free its data. */
static inline wte_items test_rotated(const wte_items *x, uint64_t *seed)
{
    wte_items out = {NULL, x->n, x->dim, "rotated items"};
    double *turned = malloc((x->n * x->dim + 1) * sizeof *turned);
    float *data = malloc((x->n * x->dim + 1) * sizeof *data);

    assert_true(turned && data);
    for (size_t i = 0; i < x->n * x->dim; i++)
        turned[i] = (double)x->data[i];
    for (size_t p = 0; p < x->dim; p++)
        for (size_t q = p + 1; q < x->dim; q++) {
            const double angle = (double)test_normal(seed), c = cos(angle), s = sin(angle);

            for (size_t i = 0; i < x->n; i++) {
                double *row = turned + i * x->dim;
                const double u = row[p], v = row[q];

                row[p] = c * u - s * v;
                row[q] = s * u + c * v;
            }
        }
    for (size_t i = 0; i < x->n * x->dim; i++)
        data[i] = (float)turned[i];
    free(turned);
    out.data = data;
    return out;
}

/** Fails unless two numbers agree. */
static inline void test_near(const char *what, double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%s: %.12g, expected %.12g", what, got, want);
}

/** The two small spaces of compare_small.json, and what numpy and scipy say of them: a fixture. */
typedef struct test_small {
    json_t *json;
    wte_items a, b;
} test_small;

static inline int test_small_open(void **state)
{
    test_small *s = calloc(1, sizeof *s);

    assert_non_null(s);
    s->json = test_json(test_file("golden/compare_small.json"));
    s->a = test_items(json_object_get(s->json, "a"), "a");
    s->b = test_items(json_object_get(s->json, "b"), "b");
    *state = s;
    return 0;
}

static inline int test_small_close(void **state)
{
    test_small *s = *state;

    test_items_end(&s->a);
    test_items_end(&s->b);
    json_decref(s->json);
    free(s);
    return 0;
}

/* ---- rsa.json ----------------------------------------------------------------------------- */

/** The two spaces of one case. */
typedef struct test_pair {
    const json_t *json;
    wte_items a, b;
} test_pair;

static inline void test_pair_end(test_pair *pair)
{
    test_items_end(&pair->a);
    test_items_end(&pair->b);
}

static inline wte_space *test_open(const char *path)
{
    wte_open_options options = WTE_OPEN_DEFAULTS;
    wte_space *space = NULL;
    wte_error err = {0};

    options.cache = WTE_CACHE_NEVER;
    if (wte_space_open(path, &options, &space, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return space;
}

/** Rows of a space as items; free their data. */
static inline wte_items test_rows(const wte_space *space, const uint32_t *ids, size_t n)
{
    wte_items out = {NULL, n, wte_space_get_info(space)->dim, wte_space_get_info(space)->name};
    float *data = malloc((n * out.dim + 1) * sizeof *data);

    assert_non_null(data);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(wte_space_vector(space, ids[i], data + i * out.dim, NULL), WTE_OK);
    out.data = data;
    out.name = "rows";
    return out;
}

/** Words of random-2000x50 that rsa-b has: the first n, or those named; b's rows rolled by
 * `roll`. */
static inline test_pair test_random_pair(const json_t *words, size_t n, size_t roll)
{
    enum { MOST = 200 };
    wte_space *a = test_open(need_shared("golden/random-2000x50.txt"));
    wte_space *b = test_open(need_shared("golden/rsa-b.txt"));
    uint32_t ids[2][MOST], rolled[MOST];
    test_pair pair = {0};
    size_t found = 0;

    for (uint32_t i = 0; i < wte_space_get_info(a)->n_rows && found < n; i++) {
        size_t len;
        const char *word = wte_space_word(a, i, &len);
        uint32_t id;

        if (wte_space_find(b, word, len, &id, NULL) != WTE_OK)
            continue;
        if (words) {
            assert_int_equal(json_string_length(json_array_get(words, found)), len);
            assert_memory_equal(json_string_value(json_array_get(words, found)), word, len);
        }
        ids[0][found] = i;
        ids[1][found++] = id;
    }
    assert_int_equal(found, n);
    for (size_t i = 0; i < n; i++)
        rolled[(i + roll) % n] = ids[1][i];
    pair.a = test_rows(a, ids[0], n);
    pair.b = test_rows(b, rolled, n);
    wte_space_free(b);
    wte_space_free(a);
    return pair;
}

/** The pair of a permutation test, whose words are named. */
static inline test_pair test_named_pair(const json_t *c, size_t roll)
{
    const json_t *words = json_object_get(c, "words");

    return test_random_pair(words, json_array_size(words), roll);
}

/** Words of google-news-1000 that are whole tokens of GPT-2, with their rows in gpt2_tiny. */
static inline test_pair test_news_pair(const json_t *c, const json_t *vocab, const wte_space *news,
                                       const wte_space *tokens)
{
    enum { MOST = 200 };
    const json_t *letters = json_object_get(c, "letters");
    const bool space = strcmp(json_string_value(json_object_get(c, "prefix")), " ") == 0;
    const size_t limit = (size_t)json_integer_value(json_object_get(c, "limit"));
    uint32_t ids[2][MOST];
    test_pair pair = {0};
    size_t found = 0;

    for (uint32_t i = 0; i < wte_space_get_info(news)->n_rows && found < limit; i++) {
        size_t len;
        const char *word = wte_space_word(news, i, &len);
        const json_t *id;
        char key[128];

        if (len > 100 || (json_is_integer(letters) && len != (size_t)json_integer_value(letters)))
            continue;
        snprintf(key, sizeof key, "%s%.*s", space ? "\xC4\xA0" : "", (int)len, word);
        id = json_object_get(vocab, key);
        if (!id)
            continue;
        ids[0][found] = i;
        ids[1][found++] = (uint32_t)json_integer_value(id);
    }
    assert_int_equal(found, json_integer_value(json_object_get(c, "n")));
    pair.a = test_rows(news, ids[0], found);
    pair.b = test_rows(tokens, ids[1], found);
    return pair;
}

/** Call for every pair of spaces of rsa.json; skips without it. */
static inline void test_each_pair(void (*check)(const test_pair *))
{
    json_t *json = test_json(need_shared("golden/rsa.json"));
    json_t *vocab = test_json(need_shared("data/gpt2/vocab.json"));
    wte_space *news = test_open(need_shared("data/google-news-1000.bin"));
    const json_t *cases = json_object_get(json, "google_news_vs_gpt2_tiny");
    const wte_space *tokens = NULL;
    wte_model *model = NULL;
    wte_error err = {0};

    if (wte_model_open(need_shared("golden/gpt2_tiny"), NULL, &model, &err) != WTE_OK ||
        wte_model_space(model, WTE_EMBEDDINGS_INPUT, &tokens, &err) != WTE_OK)
        fail_msg("%s", err.message);
    assert_true(json_array_size(cases) > 0);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        test_pair pair = test_news_pair(json_array_get(cases, i), vocab, news, tokens);

        pair.json = json_array_get(cases, i);
        check(&pair);
        test_pair_end(&pair);
    }
    cases = json_object_get(json, "random_vs_rsa_b");
    assert_true(json_array_size(cases) > 0);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i);
        test_pair pair =
            test_random_pair(NULL, (size_t)json_integer_value(json_object_get(c, "n")), 0);

        pair.json = c;
        check(&pair);
        test_pair_end(&pair);
    }
    wte_model_free(model);
    wte_space_free(news);
    json_decref(vocab);
    json_decref(json);
}
#endif
