/* SPDX-License-Identifier: MIT */
/* test_nearest.c - wte/nearest.h: small spaces by hand, and codes against a full scan */
#include <jansson.h>
#include "spaces.h"
#include "wte/nearest.h"

static const float plane[6][2] = {{1, 0}, {0, 3}, {1, 1}, {0, 0}, {-2, 0}, {2, 0}};

static void best_first_ties_by_lower_id_and_without_the_zero_row(void **state)
{
    static const uint32_t want[] = {0, 5, 2, 1, 4};
    static const float scores[] = {1, 1, 0.70710678f, 0, -1};
    test_space t = test_space_of(plane[0], 6, 2);
    wte_search_options options = WTE_SEARCH_DEFAULTS;
    wte_search_report report;
    wte_neighbor got[10];
    size_t n = 0;
    (void)state;

    assert_int_equal(wte_nearest(t.space, plane[5], 1, &options, got, &n, &report, NULL), WTE_OK);
    assert_int_equal(n, 5);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(got[i].id, want[i]);
        assert_float_equal(got[i].score, scores[i], 1e-6);
    }
    assert_int_equal(report.n_rows, 6);
    assert_true(report.full_scan && !report.used_codes);
    test_space_end(&t);
}

static void distances_are_shown_and_smallest_first(void **state)
{
    static const uint32_t euclidean[] = {2, 0, 5, 1, 4};
    test_space t = test_space_of(plane[0], 6, 2);
    wte_search_options options = WTE_SEARCH_DEFAULTS;
    wte_neighbor got[10];
    size_t n = 0;
    (void)state;

    options.metric = WTE_EUCLIDEAN;
    assert_int_equal(wte_nearest(t.space, plane[2], 1, &options, got, &n, NULL, NULL), WTE_OK);
    assert_int_equal(n, 5);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(got[i].id, euclidean[i]);
    assert_float_equal(got[0].score, 0, 0);
    assert_false(signbit(got[0].score));
    assert_float_equal(got[2].score, 1.41421356f, 1e-6);
    assert_float_equal(got[4].score, 3.16227766f, 1e-6);
    options.metric = WTE_CITYBLOCK;
    assert_int_equal(wte_nearest(t.space, plane[2], 1, &options, got, &n, NULL, NULL), WTE_OK);
    assert_float_equal(got[4].score, 4, 1e-6);
    assert_int_equal(got[4].id, 4);
    /* a query of zeros has distances, though no direction */
    assert_int_equal(wte_nearest(t.space, plane[3], 1, &options, got, &n, NULL, NULL), WTE_OK);
    assert_int_equal(got[0].id, 0);
    test_space_end(&t);
}

static void range_and_excluded_rows_are_left_out(void **state)
{
    static const uint32_t exclude[] = {5, 0, 5, 77};
    test_space t = test_space_of(plane[0], 6, 2);
    wte_search_options options = WTE_SEARCH_DEFAULTS;
    wte_neighbor got[10];
    size_t n = 0;
    (void)state;

    options.exclude = exclude;
    options.n_exclude = 4;
    assert_int_equal(wte_nearest(t.space, plane[0], 1, &options, got, &n, NULL, NULL), WTE_OK);
    assert_int_equal(n, 3);
    assert_int_equal(got[0].id, 2);
    options.n_exclude = 0;
    options.first_row = 1;
    options.n_rows = 3;
    assert_int_equal(wte_nearest(t.space, plane[0], 1, &options, got, &n, NULL, NULL), WTE_OK);
    assert_int_equal(n, 2);
    assert_int_equal(got[0].id, 2);
    assert_int_equal(got[1].id, 1);
    options.first_row = 9;
    assert_int_equal(wte_nearest(t.space, plane[0], 1, &options, got, &n, NULL, NULL), WTE_OK);
    assert_int_equal(n, 0);
    test_space_end(&t);
}

static void bad_queries_are_refused(void **state)
{
    static const float bad[2] = {1, NAN};
    test_space t = test_space_of(plane[0], 6, 2);
    wte_search_options options = WTE_SEARCH_DEFAULTS;
    wte_neighbor got[10];
    wte_error err = {0};
    size_t n = 99;
    (void)state;

    assert_int_equal(wte_nearest(t.space, plane[3], 1, &options, got, &n, NULL, &err), WTE_E_RANGE);
    assert_non_null(strstr(err.message, "direction"));
    assert_int_equal(wte_nearest(t.space, bad, 1, &options, got, &n, NULL, &err), WTE_E_RANGE);
    assert_non_null(strstr(err.message, "not finite"));
    options.k = 0;
    assert_int_equal(wte_nearest(t.space, plane[0], 1, &options, got, &n, NULL, &err), WTE_E_RANGE);
    assert_int_equal(n, 99);
    options.k = 1;
    options.metric = (wte_metric)17;
    assert_int_equal(wte_nearest(t.space, plane[0], 1, &options, got, &n, NULL, &err), WTE_E_RANGE);
    test_space_end(&t);
}

/* ---- codes against a full scan ----------------------------------------------------------- */

enum hostility {
    NORMAL,
    HUGE_DIMENSION,
    MIXED_LENGTHS,
    DUPLICATES,
    NEARLY_EQUAL,
    EXTREME,
    N_HOSTILE
};

static void make_row(enum hostility h, float *row, size_t dim, uint64_t *seed, const float *first)
{
    for (size_t i = 0; i < dim; i++)
        row[i] = test_normal(seed);
    switch (h) {
    case HUGE_DIMENSION:
        row[0] *= 1e4f;
        break;
    case MIXED_LENGTHS: {
        float length = powf(10, (float)(wte__random(seed) % 13) - 6);

        for (size_t i = 0; i < dim; i++)
            row[i] = wte__random(seed) % 20 == 0 ? 0 : row[i] * length;
        break;
    }
    case DUPLICATES:
        for (size_t i = 0; i < dim; i++)
            row[i] = wte__random(seed) % 4 ? rintf(row[i]) : 0;
        if (wte__random(seed) % 4 == 0)
            memset(row, 0, dim * sizeof *row);
        break;
    case NEARLY_EQUAL:
        for (size_t i = 0; i < dim; i++)
            row[i] = first[i] + row[i] * 1e-4f;
        break;
    case EXTREME: {
        static const float scales[] = {1e-42f, 1e-35f, 1e-22f, 1, 1e15f, 1e19f, 1e30f, 1e37f};
        float scale = scales[wte__random(seed) % 8];

        for (size_t i = 0; i < dim; i++)
            row[i] *= scale;
        break;
    }
    default:
        break;
    }
}

static void expect_same(const wte_space *space, const float *queries, size_t n_queries,
                        const wte_search_options *options, const char *what)
{
    wte_search_options full = *options;
    wte_neighbor *a = calloc(n_queries * options->k, sizeof *a);
    wte_neighbor *b = calloc(n_queries * options->k, sizeof *b);
    size_t *n_a = calloc(n_queries, sizeof *n_a), *n_b = calloc(n_queries, sizeof *n_b);
    wte_error err = {0};
    wte_status status_a, status_b;

    assert_true(a && b && n_a && n_b);
    full.full_scan = 1;
    full.n_threads = 1;
    status_a = wte_nearest(space, queries, n_queries, options, a, n_a, NULL, &err);
    status_b = wte_nearest(space, queries, n_queries, &full, b, n_b, NULL, &err);
    assert_int_equal(status_a, status_b);
    for (size_t q = 0; q < n_queries && status_a == WTE_OK; q++) {
        assert_int_equal(n_a[q], n_b[q]);
        for (size_t i = q * options->k; i < q * options->k + n_a[q]; i++)
            if (a[i].id != b[i].id || memcmp(&a[i].score, &b[i].score, sizeof(float)) != 0)
                fail_msg("%s, query %zu, place %zu: codes %u %.9g, full scan %u %.9g", what, q,
                         i - q * options->k, a[i].id, (double)a[i].score, b[i].id,
                         (double)b[i].score);
    }
    free(n_b);
    free(n_a);
    free(b);
    free(a);
}

static void expect_same_ranks(const wte_space *space, const float *query,
                              const wte_search_options *options, uint64_t *seed)
{
    wte_search_options full = *options;
    uint32_t ids[20];
    uint64_t a[20], b[20];
    wte_status status;

    for (size_t i = 0; i < 20; i++)
        ids[i] = (uint32_t)(wte__random(seed) % space->rows.n_rows);
    ids[3] = ids[4]; /* the same twice */
    full.full_scan = 1;
    full.n_threads = 1;
    status = wte_rank(space, query, ids, 20, options, a, NULL, NULL);
    assert_int_equal(wte_rank(space, query, ids, 20, &full, b, NULL, NULL), status);
    if (status == WTE_OK)
        assert_memory_equal(a, b, sizeof a);
}

static void codes_lose_nothing(void **state)
{
    static const size_t dims[] = {1, 3, 16, 50, 63, 64, 65, 300};
    uint64_t seed = 20240607;
    (void)state;

    for (int h = 0; h < N_HOSTILE; h++)
        for (size_t d = 0; d < sizeof dims / sizeof *dims; d += TEST_FEWER ? 3 : 1) {
            const size_t dim = dims[d];
            const uint32_t n = dim > 100 ? 3000 : 1 + (uint32_t)(wte__random(&seed) % 9000);
            float *matrix = calloc((size_t)n * dim, sizeof *matrix);
            float *queries = calloc(11 * dim, sizeof *queries);
            uint32_t exclude[30];
            wte_search_options options = WTE_SEARCH_DEFAULTS;
            char what[64];
            test_space t;

            assert_true(matrix && queries);
            for (uint32_t i = 0; i < n; i++)
                make_row((enum hostility)h, matrix + i * dim, dim, &seed, matrix);
            for (size_t q = 0; q < 11; q++)
                if (q % 2)
                    memcpy(queries + q * dim, matrix + (wte__random(&seed) % n) * dim,
                           dim * sizeof *queries);
                else
                    make_row((enum hostility)h, queries + q * dim, dim, &seed, matrix);
            t = test_space_of(matrix, n, dim);
            test_space_add_codes(&t);
            for (size_t i = 0; i < 30; i++)
                exclude[i] = (uint32_t)(wte__random(&seed) % n);
            for (int metric = WTE_COSINE; metric <= WTE_EUCLIDEAN; metric++)
                for (int variant = 0; variant < 4; variant++) {
                    options.metric = (wte_metric)metric;
                    options.k = variant == 0   ? 1
                                : variant == 1 ? 10
                                : variant == 2 ? n / 9 + 1
                                               : n + 5;
                    options.exclude = exclude;
                    options.n_exclude = variant == 1 ? 30 : 0;
                    options.first_row = variant == 1 ? n / 7 : 0;
                    options.n_rows = variant == 1 ? n - n / 5 : 0;
                    options.n_threads = variant == 3 ? 1 : 3;
                    snprintf(what, sizeof what, "kind %d, [%u, %zu], metric %d, k %zu", h, n, dim,
                             metric, options.k);
                    for (size_t q = 0; q < 11; q++)
                        expect_same(t.space, queries + q * dim, 1, &options, what);
                    expect_same(t.space, queries, 11, &options, what);
                    expect_same_ranks(t.space, queries + dim, &options, &seed);
                }
            test_space_end(&t);
            free(queries);
            free(matrix);
        }
}

static void codes_rule_out_nearly_all_rows(void **state)
{
    enum { N = 20000, DIM = 100 };
    float *matrix = calloc((size_t)N * DIM, sizeof *matrix);
    wte_search_options options = WTE_SEARCH_DEFAULTS;
    wte_search_report report;
    wte_neighbor got[10];
    uint64_t seed = 5;
    size_t n = 0;
    test_space t;
    (void)state;

    assert_non_null(matrix);
    for (size_t i = 0; i < (size_t)N * DIM; i++)
        matrix[i] = test_normal(&seed);
    t = test_space_of(matrix, N, DIM);
    test_space_add_codes(&t);
    assert_int_equal(wte_nearest(t.space, matrix, 1, &options, got, &n, &report, NULL), WTE_OK);
    assert_true(report.used_codes && !report.full_scan);
    assert_int_equal(report.n_rows, N);
    assert_true(report.n_candidates >= 10 && report.n_candidates < N / 50);
    free(matrix);
    test_space_end(&t);
}

static void rows_in_ascending_order_of_score_are_found_too(void **state)
{
    enum { N = TEST_FEWER ? 6000 : 60000, DIM = 2 };
    float *matrix = calloc((size_t)N * DIM, sizeof *matrix);
    static const float query[DIM] = {1, 0};
    wte_search_options options = WTE_SEARCH_DEFAULTS;
    test_space t;
    (void)state;

    /* each row is better than all before it: every one is a candidate when it is met */
    assert_non_null(matrix);
    for (size_t i = 0; i < N; i++) {
        double angle = 3.0 * (double)(N - i) / N;

        matrix[i * DIM] = (float)cos(angle);
        matrix[i * DIM + 1] = (float)sin(angle);
    }
    t = test_space_of(matrix, N, DIM);
    test_space_add_codes(&t);
    for (options.n_threads = 1; options.n_threads < 4; options.n_threads++)
        expect_same(t.space, query, 1, &options, "ascending");
    free(matrix);
    test_space_end(&t);
}

static void half_precision_rows_give_the_same_by_codes_and_scan(void **state)
{
    enum { N = 2000, DIM = 37 };
    float *matrix = calloc((size_t)N * DIM, sizeof *matrix);
    uint16_t *half = calloc((size_t)N * DIM, sizeof *half);
    wte_search_options options = WTE_SEARCH_DEFAULTS;
    uint64_t seed = 7;
    (void)state;

    assert_true(matrix && half);
    for (int type = WTE_F16; type <= WTE_BF16; type++) {
        test_space t;
        wte_space *space = NULL;

        for (size_t i = 0; i < (size_t)N * DIM; i++)
            matrix[i] = test_normal(&seed);
        if (type == WTE_F16) {
            wte__kernel()->f32_to_f16(matrix, half, (size_t)N * DIM);
            wte__kernel()->f16_to_f32(half, matrix, (size_t)N * DIM);
        } else {
            wte__kernel()->f32_to_bf16(matrix, half, (size_t)N * DIM);
            wte__kernel()->bf16_to_f32(half, matrix, (size_t)N * DIM);
        }
        t = test_space_of(matrix, N, DIM);
        test_space_add_codes(&t);
        assert_int_equal(wte_space_new("half", t.words, t.offsets, half, (wte_dtype)type, N, DIM,
                                       DIM, 0, &space, NULL),
                         WTE_OK);
        for (int metric = WTE_COSINE; metric <= WTE_CITYBLOCK; metric++) {
            wte_neighbor a[10], b[10];
            size_t n_a = 0, n_b = 0;

            options.metric = (wte_metric)metric;
            space->codes = t.space->codes;
            expect_same(space, matrix, 5, &options, "half precision");
            /* and the same rows as the widened matrix gives */
            assert_int_equal(wte_nearest(space, matrix, 1, &options, a, &n_a, NULL, NULL), WTE_OK);
            assert_int_equal(wte_nearest(t.space, matrix, 1, &options, b, &n_b, NULL, NULL),
                             WTE_OK);
            for (size_t i = 0; i < 10; i++) {
                assert_int_equal(a[i].id, b[i].id);
                assert_float_equal(a[i].score, b[i].score, 1e-4);
            }
        }
        wte_space_free(space);
        test_space_end(&t);
    }
    free(half);
    free(matrix);
}

/* ---- ranks, products, analogies ---------------------------------------------------------- */

static void ranks_count_rows_that_are_nearer(void **state)
{
    static const uint32_t ids[] = {4, 5, 0, 3, 1, 2};
    static const uint64_t want[] = {5, 2, 1, 0, 4, 3};
    static const uint32_t exclude[] = {0};
    test_space t = test_space_of(plane[0], 6, 2);
    wte_search_options options = WTE_SEARCH_DEFAULTS;
    uint64_t got[6];
    float scores[6];
    wte_error err = {0};
    (void)state;

    assert_int_equal(wte_rank(t.space, plane[0], ids, 6, &options, got, scores, NULL), WTE_OK);
    assert_memory_equal(got, want, sizeof got);
    assert_float_equal(scores[0], -1, 1e-6);
    assert_true(isnan(scores[3]));
    options.exclude = exclude;
    options.n_exclude = 1;
    assert_int_equal(wte_rank(t.space, plane[0], ids, 2, &options, got, NULL, NULL), WTE_OK);
    assert_int_equal(got[0], 4);
    assert_int_equal(got[1], 1);
    options.metric = WTE_EUCLIDEAN;
    assert_int_equal(wte_rank(t.space, plane[0], ids, 1, &options, got, scores, NULL), WTE_OK);
    assert_float_equal(scores[0], 3, 1e-6);
    assert_int_equal(wte_rank(t.space, plane[0], (uint32_t[]){6}, 1, &options, got, NULL, &err),
                     WTE_E_RANGE);
    assert_string_equal(err.message, "row 6: test has 6 rows");
    test_space_end(&t);
}

static void cosmul_multiplies_shifted_cosines(void **state)
{
    static const uint32_t positive[] = {0}, negative[] = {1};
    test_space t = test_space_of(plane[0], 6, 2);
    wte_search_options options = WTE_SEARCH_DEFAULTS;
    wte_neighbor got[10];
    size_t n = 0;
    (void)state;

    assert_int_equal(wte_nearest_cosmul(t.space, positive, 1, negative, 1, &options, got, &n, NULL),
                     WTE_OK);
    assert_int_equal(n, 5);
    /* row 0: (1 + 1)/2 / ((1 + 0)/2); row 2: both factors (1 + sqrt(1/2))/2 */
    assert_int_equal(got[0].id, 0);
    assert_float_equal(got[0].score, 2, 1e-5);
    assert_int_equal(got[1].id, 5);
    assert_int_equal(got[2].id, 2);
    assert_float_equal(got[2].score, 1, 1e-5);
    assert_int_equal(wte_nearest_cosmul(t.space, NULL, 0, negative, 1, &options, got, &n, NULL),
                     WTE_E_RANGE);
    assert_int_equal(
        wte_nearest_cosmul(t.space, (uint32_t[]){3}, 1, negative, 1, &options, got, &n, NULL),
        WTE_E_RANGE);
    test_space_end(&t);
}

static void analogy_gives_both_answers_and_the_words_own_ranks(void **state)
{
    /* man 0, king 1, woman 2, queen 3, and two others */
    static const float rows[6][3] = {{1, 0, 0},          {1, 0, 1},  {0.8f, 0.6f, 0},
                                     {0.8f, 0.6f, 0.7f}, {0, 0, -1}, {0, -1, 0}};
    test_space t = test_space_of(rows[0], 6, 3);
    (void)state;

    for (int method = WTE_ANALOGY_ADD; method <= WTE_ANALOGY_RAW; method++) {
        wte_search_options options = WTE_SEARCH_DEFAULTS;
        wte_neighbor without[2], with[2];
        size_t n_without = 0, n_with = 0;
        uint64_t ranks[3];

        options.k = 2;
        assert_int_equal(wte_analogy(t.space, 0, 1, 2, (wte_analogy_method)method, &options,
                                     without, &n_without, with, &n_with, ranks, NULL),
                         WTE_OK);
        assert_int_equal(n_without, 2);
        assert_int_equal(n_with, 2);
        assert_int_equal(without[0].id, 3);
        assert_int_equal(with[0].id, 3);
        assert_int_not_equal(without[1].id, with[1].id);
        assert_true(ranks[1] == 2 || ranks[2] == 2);
        assert_true(ranks[0] > 1 && ranks[0] <= 6);
        if (with[1].id == 1)
            assert_int_equal(ranks[1], 2);
    }
    assert_int_equal(wte_analogy(t.space, 0, 1, 6, WTE_ANALOGY_ADD,
                                 &(wte_search_options)WTE_SEARCH_DEFAULTS, NULL, NULL, NULL, NULL,
                                 NULL, NULL),
                     WTE_E_RANGE);
    test_space_end(&t);
}

/* ---- the reference: neighbours in a GPT-2 embedding --------------------------------------- */

/* Read one float32 matrix of a safetensors file. */
static test_space space_of_tensor(const char *path, const char *name)
{
    FILE *f = fopen(path, "rb");
    uint64_t header = 0;
    char *text;
    json_t *root;
    const json_t *tensor, *shape;
    uint32_t n;
    size_t dim;
    float *matrix;
    test_space t;

    assert_non_null(f);
    assert_int_equal(fread(&header, sizeof header, 1, f), 1);
    text = malloc(header);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, header, f), header);
    root = json_loadb(text, header, 0, NULL);
    tensor = json_object_get(root, name);
    assert_non_null(tensor);
    shape = json_object_get(tensor, "shape");
    n = (uint32_t)json_integer_value(json_array_get(shape, 0));
    dim = (size_t)json_integer_value(json_array_get(shape, 1));
    assert_string_equal(json_string_value(json_object_get(tensor, "dtype")), "F32");
    matrix = malloc(n * dim * sizeof *matrix);
    assert_non_null(matrix);
    fseek(f,
          (long)(8 + header) +
              (long)json_integer_value(json_array_get(json_object_get(tensor, "data_offsets"), 0)),
          SEEK_SET);
    assert_int_equal(fread(matrix, sizeof *matrix, n * dim, f), n * dim);
    fclose(f);
    t = test_space_of(matrix, n, dim);
    free(matrix);
    free(text);
    json_decref(root);
    return t;
}

static void expect_answers(const json_t *want, const wte_neighbor *got, size_t n)
{
    size_t i;
    json_t *answer;

    assert_true(json_array_size(want) > 0 && json_array_size(want) <= n);
    json_array_foreach(want, i, answer)
    {
        assert_float_equal(got[i].score, json_number_value(json_object_get(answer, "value")), 2e-6);
        assert_int_equal(got[i].id, json_integer_value(json_object_get(answer, "id")));
    }
}

static void gpt2_neighbours_and_analogies_as_the_reference(void **state)
{
    enum { MOST = 64 };
    json_t *root = json_load_file(need_shared("golden/nearest.json"), 0, NULL);
    const char *path = need_shared("golden/gpt2_tiny/model.safetensors");
    size_t i;
    json_t *row;
    test_space t;
    (void)state;

    assert_non_null(root);
    t = space_of_tensor(path, "transformer.wte.weight");
    test_space_add_codes(&t);
    for (int metric = WTE_COSINE; metric <= WTE_EUCLIDEAN; metric++) {
        const char *name = metric == WTE_COSINE ? "cosine" : "euclidean";
        wte_search_options options = WTE_SEARCH_DEFAULTS;
        wte_neighbor got[MOST];
        size_t n = 0;

        options.metric = (wte_metric)metric;
        json_array_foreach(json_object_get(root, "nearest"), i, row)
        {
            const json_t *want = json_object_get(row, name);
            const json_t *id = json_object_get(row, "id"), *vector = json_object_get(row, "vector");
            float query[MOST];

            options.k = json_array_size(want);
            assert_true(options.k <= MOST && t.space->rows.dim <= MOST);
            for (size_t j = 0; j < t.space->rows.dim; j++)
                query[j] = json_is_null(id)
                               ? (float)json_number_value(json_array_get(vector, j))
                               : t.matrix[(size_t)json_integer_value(id) * t.space->rows.dim + j];
            assert_int_equal(wte_nearest(t.space, query, 1, &options, got, &n, NULL, NULL), WTE_OK);
            expect_answers(want, got, n);
        }
        json_array_foreach(json_object_get(root, "analogies"), i, row)
        {
            const json_t *ids = json_object_get(row, "ids"), *want = json_object_get(row, name);

            if (!want)
                continue;
            options.k = json_array_size(want);
            /* the reference computes ids[0] - ids[1] + ids[2]: ids[1] is to ids[0] as ids[2] is to
             */
            assert_int_equal(
                wte_analogy(t.space, (uint32_t)json_integer_value(json_array_get(ids, 1)),
                            (uint32_t)json_integer_value(json_array_get(ids, 0)),
                            (uint32_t)json_integer_value(json_array_get(ids, 2)), WTE_ANALOGY_RAW,
                            &options, NULL, NULL, got, &n, NULL, NULL),
                WTE_OK);
            expect_answers(want, got, n);
        }
    }
    test_space_end(&t);
    json_decref(root);
}

/* ---- failures ---------------------------------------------------------------------------- */

static int stop(void *data, const char *what, uint64_t done, uint64_t total)
{
    (void)what, (void)done, (void)total;
    ++*(int *)data;
    return 1;
}

static void a_search_can_be_cancelled(void **state)
{
    enum { N = 3000 };
    test_space t;
    float *matrix = calloc(N * 2, sizeof *matrix);
    wte_search_options options = WTE_SEARCH_DEFAULTS;
    wte_neighbor got[10];
    size_t n = 0;
    int calls = 0;
    (void)state;

    assert_non_null(matrix);
    for (size_t i = 0; i < N; i++) {
        matrix[2 * i] = (float)i;
        matrix[2 * i + 1] = 1;
    }
    t = test_space_of(matrix, N, 2);
    options.progress = stop;
    options.progress_data = &calls;
    assert_int_equal(wte_nearest(t.space, plane[0], 1, &options, got, &n, NULL, NULL),
                     WTE_E_CANCELLED);
    assert_true(calls > 0);
    free(matrix);
    test_space_end(&t);
}

static void every_allocation_may_fail(void **state)
{
    test_space t = test_space_of(plane[0], 6, 2);
    static const uint32_t exclude[] = {1};
    wte_search_options options = WTE_SEARCH_DEFAULTS;
    wte_neighbor got[10];
    uint64_t ranks[3];
    size_t n = 0;
    (void)state;

    options.k = 3; /* more than an eighth of six rows, so codes need k = 1 and more rows */
    options.exclude = exclude;
    options.n_exclude = 1;
    for (int what = 0; what < 3; what++) {
        wte_status status = WTE_E_NOMEM;
        long nth = 0;

        for (; status != WTE_OK && nth < 100; nth++) {
            wte__fail_alloc(nth);
            if (what == 0)
                status = wte_nearest(t.space, plane[0], 1, &options, got, &n, NULL, NULL);
            else if (what == 1)
                status = wte_analogy(t.space, 0, 1, 2, WTE_ANALOGY_MUL, &options, got, &n, NULL,
                                     NULL, ranks, NULL);
            else
                status = wte_analogy(t.space, 0, 1, 2, WTE_ANALOGY_ADD, &options, got, &n, NULL,
                                     NULL, ranks, NULL);
            assert_true(status == WTE_OK || status == WTE_E_NOMEM);
        }
        wte__fail_alloc(-1);
        assert_true(nth > 3 && nth < 100);
    }
    test_space_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(best_first_ties_by_lower_id_and_without_the_zero_row),
        cmocka_unit_test(distances_are_shown_and_smallest_first),
        cmocka_unit_test(range_and_excluded_rows_are_left_out),
        cmocka_unit_test(bad_queries_are_refused),
        cmocka_unit_test(codes_lose_nothing),
        cmocka_unit_test(codes_rule_out_nearly_all_rows),
        cmocka_unit_test(rows_in_ascending_order_of_score_are_found_too),
        cmocka_unit_test(half_precision_rows_give_the_same_by_codes_and_scan),
        cmocka_unit_test(ranks_count_rows_that_are_nearer),
        cmocka_unit_test(cosmul_multiplies_shifted_cosines),
        cmocka_unit_test(analogy_gives_both_answers_and_the_words_own_ranks),
        cmocka_unit_test(gpt2_neighbours_and_analogies_as_the_reference),
        cmocka_unit_test(a_search_can_be_cancelled),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
