/* SPDX-License-Identifier: MIT */
/* test_embedding.c - wte/embedding.h against what torch drew, to the last bit
 *
 * Each test reads the project's own subset and, where it is there, the larger reference file. */
#include "support.h"
#include <jansson.h>
#include <math.h>
#include "base/base.h"
#include "base/random_internal.h"
#include "wte/embedding.h"

static uint32_t bits(float x)
{
    uint32_t b;

    memcpy(&b, &x, sizeof b);
    return b;
}

#define assert_same_bits(got, want) assert_int_equal(bits(got), bits(want))

/* ---- reading the references ------------------------------------------------------------- */

static json_t *load(const char *path)
{
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);

    if (!root)
        fail_msg("%s:%d: %s", path, error.line, error.text);
    return root;
}

static json_t *member(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);

    if (!value)
        fail_msg("no '%s' in the reference", key);
    return value;
}

static size_t count(const json_t *object, const char *key)
{
    return (size_t)json_integer_value(member(object, key));
}

static uint64_t seed_of(const json_t *object)
{
    return strtoull(json_string_value(member(object, "seed")), NULL, 10);
}

static double number(const json_t *array, size_t i)
{
    return json_number_value(json_array_get(array, i));
}

/* Run a check over both files; the shared one only where it is there. */
static void each_file(void (*check)(const json_t *root))
{
    const char *shared = shared_file("golden/torch_embedding.json");
    json_t *root = load(test_file("golden/torch_embedding.json"));

    check(root);
    json_decref(root);
    if (!shared)
        return;
    root = load(shared);
    check(root);
    json_decref(root);
}

/* ---- layers ----------------------------------------------------------------------------- */

/* Compare rows [first, first + size of rows) of a layer with the reference. */
static void expect_rows(const float *got, size_t first, size_t dim, const json_t *rows)
{
    for (size_t r = 0; r < json_array_size(rows); r++)
        for (size_t i = 0; i < dim; i++)
            assert_same_bits(got[(first + r) * dim + i], (float)number(json_array_get(rows, r), i));
}

static void check_layer(const json_t *e)
{
    size_t n_vocab = count(e, "num_embeddings"), dim = count(e, "embedding_dim");
    const json_t *padding = json_object_get(e, "padding_idx"), *rows;
    float *got = malloc(n_vocab * dim * sizeof *got);

    assert_non_null(got);
    assert_int_equal(wte_embedding_init(seed_of(e), n_vocab, dim,
                                        padding ? json_integer_value(padding) : -1, got, NULL),
                     WTE_OK);
    if ((rows = json_object_get(e, "weight")))
        expect_rows(got, 0, dim, rows);
    if ((rows = json_object_get(e, "first_rows")))
        expect_rows(got, 0, dim, rows);
    if ((rows = json_object_get(e, "last_rows")))
        expect_rows(got, n_vocab - json_array_size(rows), dim, rows);
    if (json_object_get(e, "bits_xor")) {
        uint32_t all = 0;

        for (size_t i = 0; i < n_vocab * dim; i++)
            all ^= bits(got[i]);
        assert_int_equal(all, json_integer_value(member(e, "bits_xor")));
    }
    free(got);
}

static void check_layers(const json_t *root)
{
    size_t i;
    json_t *e;

    assert_true(json_array_size(member(root, "embedding")) >= 10);
    json_array_foreach(member(root, "embedding"), i, e) check_layer(e);
    json_array_foreach(member(root, "embedding_padding_idx"), i, e) check_layer(e);
}

static void layers_equal_torchs_to_the_last_bit(void **state)
{
    (void)state;
    each_file(check_layers);
}

static void only_the_low_32_bits_of_a_seed_count(void **state)
{
    float a[20], b[20];
    (void)state;

    assert_int_equal(wte_embedding_init(7, 5, 4, -1, a, NULL), WTE_OK);
    assert_int_equal(wte_embedding_init((UINT64_C(123) << 32) + 7, 5, 4, -1, b, NULL), WTE_OK);
    assert_memory_equal(a, b, sizeof a);
}

static void impossible_layers_are_refused(void **state)
{
    float out[6] = {1, 1, 1, 1, 1, 1};
    wte_error err;
    (void)state;

    assert_int_equal(wte_embedding_init(1, 0, 3, -1, out, &err), WTE_E_SHAPE);
    assert_int_equal(wte_embedding_init(1, 3, 0, -1, out, &err), WTE_E_SHAPE);
    assert_int_equal(wte_embedding_init(1, SIZE_MAX / 4, 5, -1, out, &err), WTE_E_SHAPE);
    assert_int_equal(wte_embedding_init(1, SIZE_MAX / 4, 2, -1, out, &err), WTE_E_SHAPE);
    assert_int_equal(wte_embedding_init(1, 2, 3, 2, out, &err), WTE_E_RANGE);
    assert_string_equal(err.message, "padding index 2, expected -1 or a row below 2");
    assert_int_equal(wte_embedding_init(1, 2, 3, -2, out, &err), WTE_E_RANGE);
    for (int i = 0; i < 6; i++)
        assert_same_bits(out[i], 1.0f);
}

/* ---- the generator ---------------------------------------------------------------------- */

static double uniform_f64(wte_generator *g)
{
    return (double)(wte_generator_u64(g) & ((UINT64_C(1) << 53) - 1)) * 0x1p-53;
}

/* torch's block scheme in float64, which the library has no need of, from its 64-bit draws. */
static void normals_f64(wte_generator *g, double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = uniform_f64(g);
    for (size_t i = 0; i < n; i += 16) {
        double *d = x + i;

        if (i + 16 > n) {
            d = x + n - 16;
            for (int j = 0; j < 16; j++)
                d[j] = uniform_f64(g);
        }
        for (int j = 0; j < 8; j++) {
            double radius = sqrt(-2 * log(1 - d[j])), theta = 2 * 3.14159265358979323846 * d[j + 8];

            d[j] = radius * cos(theta);
            d[j + 8] = radius * sin(theta);
        }
    }
}

/* One call of a sequence; those that the library does not offer are composed from its draws, so
 * that the stream stays in step. */
static void check_call(wte_generator *g, const json_t *call)
{
    const char *fn = json_string_value(member(call, "fn"));
    const json_t *arg = member(call, "arg"), *want = member(call, "out");
    size_t n = json_array_size(want);
    float got[64];
    double wide[64];

    assert_true(n <= 64);
    if (strcmp(fn, "rand") == 0) {
        wte_generator_uniform(g, got, n);
    } else if (strcmp(fn, "randn") == 0) {
        wte_generator_normal(g, got, n, 0, 1);
    } else if (strcmp(fn, "normal") == 0) {
        wte_generator_normal(g, got, n, (float)number(arg, 0), (float)number(arg, 1));
    } else if (strcmp(fn, "exponential") == 0) {
        wte_generator_exponential(g, got, n);
    } else if (strcmp(fn, "uniform") == 0) {
        float low = (float)number(arg, 0), high = (float)number(arg, 1);

        wte_generator_uniform(g, got, n);
        for (size_t i = 0; i < n; i++)
            got[i] = got[i] * (high - low) + low;
    } else if (strcmp(fn, "randn64") == 0 && n < 16) {
        wte_generator_normal(g, got, n, 0, 1);
    } else if (strcmp(fn, "randn64") == 0) {
        normals_f64(g, wide, n);
        for (size_t i = 0; i < n; i++)
            got[i] = (float)wide[i];
    } else if (strcmp(fn, "rand64") == 0) {
        for (size_t i = 0; i < n; i++)
            assert_true(uniform_f64(g) == number(want, i));
        return;
    } else if (strcmp(fn, "randint") == 0) {
        for (size_t i = 0; i < n; i++)
            assert_int_equal(wte_generator_u32(g) % (uint32_t)number(arg, 1),
                             (uint32_t)number(want, i));
        return;
    } else if (strcmp(fn, "randint_big") == 0) {
        for (size_t i = 0; i < n; i++)
            assert_int_equal(wte_generator_u64(g) % (uint64_t)number(arg, 1),
                             (uint64_t)number(want, i));
        return;
    } else if (strcmp(fn, "randperm") == 0) {
        uint32_t p[64];

        for (uint32_t i = 0; i < n; i++)
            p[i] = i;
        for (uint32_t i = 0; i + 1 < n; i++) {
            uint32_t j = i + wte_generator_u32(g) % (uint32_t)(n - i), t = p[i];

            p[i] = p[j];
            p[j] = t;
        }
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], (uint32_t)number(want, i));
        return;
    } else if (strcmp(fn, "bernoulli") == 0) {
        for (size_t i = 0; i < n; i++)
            assert_int_equal(uniform_f64(g) < number(arg, 0), (int)number(want, i));
        return;
    } else {
        fail_msg("unknown call '%s' in the reference", fn);
    }
    for (size_t i = 0; i < n; i++)
        assert_same_bits(got[i], (float)number(want, i));
}

static void check_sequences(const json_t *root)
{
    size_t i, j;
    json_t *sequence, *call;

    assert_true(json_array_size(member(root, "call_sequences")) >= 1);
    json_array_foreach(member(root, "call_sequences"), i, sequence)
    {
        wte_generator g;

        wte_generator_seed(&g, seed_of(sequence));
        json_array_foreach(member(sequence, "calls"), j, call) check_call(&g, call);
    }
}

static void mixed_calls_keep_in_step_with_torch(void **state)
{
    (void)state;
    each_file(check_sequences);
}

static void check_multinomial(const json_t *root)
{
    size_t i, turn, row;
    json_t *e, *turns, *rows;

    assert_true(json_array_size(member(root, "multinomial")) >= 5);
    json_array_foreach(member(root, "multinomial"), i, e)
    {
        int replacement = json_is_true(member(e, "replacement"));
        size_t n_samples = count(e, "num_samples");
        wte_generator g;

        wte_generator_seed(&g, seed_of(e));
        json_array_foreach(member(e, "three_consecutive_calls"), turn, turns)
            json_array_foreach(turns, row, rows)
        {
            const json_t *weights = json_array_get(member(e, "probs"), row);
            size_t n = json_array_size(weights);
            float p[256];
            uint32_t got[64];

            assert_true(n <= 256 && n_samples <= 64);
            for (size_t j = 0; j < n; j++)
                p[j] = (float)number(weights, j);
            assert_int_equal(wte_generator_multinomial(&g, p, n, n_samples, replacement, got, NULL),
                             WTE_OK);
            for (size_t j = 0; j < n_samples; j++)
                assert_int_equal(got[j], (uint32_t)number(rows, j));
        }
    }
}

static void multinomial_draws_what_torch_draws(void **state)
{
    (void)state;
    each_file(check_multinomial);
}

static void impossible_draws_are_refused(void **state)
{
    static const float good[3] = {0.5f, 0, 0.5f}, zero[3] = {0, 0, 0};
    const float negative[3] = {1, -1, 1}, broken[3] = {1, NAN, 1}, endless[3] = {1, INFINITY, 1};
    const float too_much[2] = {3e38f, 3e38f};
    uint32_t out[3] = {9, 9, 9};
    wte_generator g;
    wte_error err;
    (void)state;

    wte_generator_seed(&g, 1);
    assert_int_equal(wte_generator_multinomial(&g, good, 0, 1, 0, out, &err), WTE_E_RANGE);
    assert_int_equal(wte_generator_multinomial(&g, good, 3, 0, 0, out, &err), WTE_E_RANGE);
    assert_int_equal(wte_generator_multinomial(&g, zero, 3, 1, 1, out, &err), WTE_E_RANGE);
    assert_int_equal(wte_generator_multinomial(&g, negative, 3, 1, 1, out, &err), WTE_E_RANGE);
    assert_int_equal(wte_generator_multinomial(&g, broken, 3, 1, 0, out, &err), WTE_E_RANGE);
    assert_int_equal(wte_generator_multinomial(&g, endless, 3, 1, 0, out, &err), WTE_E_RANGE);
    assert_string_equal(err.message, "weight 1 is inf, expected a finite number not below 0");
    assert_int_equal(wte_generator_multinomial(&g, too_much, 2, 1, 1, out, &err), WTE_E_RANGE);
    assert_int_equal(wte_generator_multinomial(&g, good, 3, 3, 0, out, &err), WTE_E_RANGE);
    assert_int_equal(out[0], 9);
    assert_int_equal(wte_generator_multinomial(&g, good, 3, 2, 0, out, &err), WTE_OK);
    assert_int_equal(out[0] + out[1], 2);
    assert_int_equal(wte_generator_multinomial(&g, good, 3, 3, 1, out, &err), WTE_OK);
}

static void every_allocation_may_fail(void **state)
{
    float p[100];
    uint32_t out[70] = {9, 9};
    (void)state;

    for (size_t i = 0; i < 100; i++)
        p[i] = 1.0f + (float)i;
    for (int replacement = 0; replacement < 2; replacement++) {
        wte_generator g;

        wte_generator_seed(&g, 1);
        wte__fail_alloc(0);
        assert_int_equal(wte_generator_multinomial(&g, p, 100, 70, replacement, out, NULL),
                         WTE_E_NOMEM);
        assert_int_equal(out[0], 9);
    }
    wte__fail_alloc(-1);
}

/* The quotients one by one, as the recipe says, without any short cut. */
static void draw_by_the_recipe(wte_generator *g, const float *p, size_t n, size_t k, uint32_t *out)
{
    float *quotients = malloc(n * sizeof *quotients);

    assert_non_null(quotients);
    for (size_t i = 0; i < n; i++)
        quotients[i] = p[i] / (float)-log1p(-uniform_f64(g));
    for (size_t s = 0; s < k; s++) {
        size_t best = 0;

        for (size_t i = 1; i < n; i++)
            if (quotients[i] > quotients[best])
                best = i;
        out[s] = (uint32_t)best;
        quotients[best] = -1;
    }
    free(quotients);
}

static void the_short_cut_draws_what_the_recipe_draws(void **state)
{
    enum { N = 3001 };
    static float p[N];
    static const size_t samples[] = {1, 2, 8, 64, 65, 700};
    uint64_t seed = 5;
    (void)state;

    for (int round = 0; round < 400 / (TEST_FEWER ? 10 : 1); round++) {
        size_t n = 1 + wte__random(&seed) % N, k = samples[round % 6], n_possible = 0;
        uint32_t got[700], want[700];
        wte_generator a, b;

        for (size_t i = 0; i < n; i++) { /* flat, steep, or mostly 0 */
            double u = (double)(wte__random(&seed) >> 11) * 0x1p-53;

            p[i] = round % 3 == 0   ? 1.0f / (float)n
                   : round % 3 == 1 ? (float)exp(-40 * u)
                                    : (float)(u < 0.03 ? u : 0);
            n_possible += p[i] > 0;
        }
        if (k > n_possible)
            k = n_possible;
        if (k == 0)
            continue;
        wte_generator_seed(&a, (uint64_t)round);
        if (round & 1) /* pairs of words that cross the end of the generator's block */
            (void)wte_generator_u32(&a);
        b = a;
        assert_int_equal(wte_generator_multinomial(&a, p, n, k, 0, got, NULL), WTE_OK);
        draw_by_the_recipe(&b, p, n, k, want);
        assert_memory_equal(got, want, k * sizeof *got);
        assert_int_equal(wte_generator_u32(&a), wte_generator_u32(&b));
    }
}

static void a_copy_of_a_generator_draws_the_same(void **state)
{
    wte_generator a, b;
    float x[5], y[5];
    (void)state;

    wte_generator_seed(&a, 42);
    wte_generator_normal(&a, x, 3, 0, 1); /* leaves a normal waiting */
    b = a;
    wte_generator_normal(&a, x, 5, 0, 1);
    wte_generator_normal(&b, y, 5, 0, 1);
    assert_memory_equal(x, y, sizeof x);
}

static void mt19937_starts_as_published(void **state)
{
    wte_generator g;
    uint32_t last = 0;
    (void)state;

    /* C++11 fixes the 10000th output of mt19937 with its default seed 5489. */
    wte_generator_seed(&g, 5489);
    for (int i = 0; i < 10000; i++)
        last = wte_generator_u32(&g);
    assert_int_equal(last, 4123659995u);
}

static void vectorised_normals_have_the_bits_of_plain_c(void **state)
{
    enum { N = 16 * 20000 };
    float *a = malloc((N + 1) * sizeof *a), *b = malloc((N + 1) * sizeof *b);
    static const float edges[] = {0, 0x1p-24f, 0.25f, 0.5f, 0.75f, 0.29289323f, 1 - 0x1p-24f};
    wte_generator g;
    (void)state;

    assert_true(a && b);
    wte_generator_seed(&g, 3);
    wte_generator_uniform(&g, a, N);
    for (size_t i = 0; i < 7; i++) /* every pair of edge values */
        for (size_t j = 0; j < 7; j++) {
            a[16 * (7 * i + j)] = edges[i];
            a[16 * (7 * i + j) + 8] = edges[j];
        }
    memcpy(b + 1, a, N * sizeof *a); /* at another alignment, too */
    wte__normal_blocks(a, N / 16, 0.5f, 0.02f, false);
    wte__normal_blocks(b + 1, N / 16, 0.5f, 0.02f, wte__random_has_vectors());
    assert_memory_equal(a, b + 1, N * sizeof *a);
    for (size_t i = 0; i < N; i++)
        assert_true(isfinite(a[i]));
    free(a);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_equal_torchs_to_the_last_bit),
        cmocka_unit_test(only_the_low_32_bits_of_a_seed_count),
        cmocka_unit_test(impossible_layers_are_refused),
        cmocka_unit_test(mixed_calls_keep_in_step_with_torch),
        cmocka_unit_test(multinomial_draws_what_torch_draws),
        cmocka_unit_test(impossible_draws_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(the_short_cut_draws_what_the_recipe_draws),
        cmocka_unit_test(a_copy_of_a_generator_draws_the_same),
        cmocka_unit_test(mt19937_starts_as_published),
        cmocka_unit_test(vectorised_normals_have_the_bits_of_plain_c),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
