/* SPDX-License-Identifier: MIT */
/* test_warpers.c - the chain against transformers, member by member
 *
 * Each row has logits, a text, parameters of generate(), the scores after each of transformers'
 * processors and warpers, and the probabilities at the end. The project's own rows are kept with
 * only the entries that are left; the larger reference file has them all. */
#include "support.h"
#include <jansson.h>
#include <math.h>
#include "wte/generate.h"

enum { MAX_IDS = 512, MAX_WORDS = 8 };

/* What a row's parameters point to. */
typedef struct row {
    wte_generate_options options;
    uint32_t ids[MAX_WORDS + 3][MAX_IDS];
    wte_ids words[MAX_WORDS];
    wte_sequence_bias biases[MAX_WORDS];
} row;

static wte_ids read_ids(const json_t *value, uint32_t *out)
{
    size_t n = 0;

    if (json_is_integer(value)) {
        out[n++] = (uint32_t)json_integer_value(value);
    } else {
        assert_true(json_is_array(value) && json_array_size(value) <= MAX_IDS);
        for (; n < json_array_size(value); n++)
            out[n] = (uint32_t)json_integer_value(json_array_get(value, n));
    }
    return (wte_ids){out, n};
}

static void set_number(wte_generate_options *o, const char *key, double value)
{
    const struct {
        const char *key;
        float *to;
    } floats[] = {
        {"temperature", &o->temperature},
        {"top_p", &o->top_p},
        {"typical_p", &o->typical_p},
        {"epsilon_cutoff", &o->epsilon_cutoff},
        {"eta_cutoff", &o->eta_cutoff},
        {"min_p", &o->min_p},
        {"repetition_penalty", &o->repetition_penalty},
    };
    const struct {
        const char *key;
        size_t *to;
    } sizes[] = {
        {"top_k", &o->top_k},
        {"num_beams", &o->num_beams},
        {"min_length", &o->min_length},
        {"min_new_tokens", &o->min_new_tokens},
        {"no_repeat_ngram_size", &o->no_repeat_ngram_size},
    };

    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
        if (strcmp(key, floats[i].key) == 0) {
            *floats[i].to = (float)value;
            return;
        }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (strcmp(key, sizes[i].key) == 0) {
            *sizes[i].to = (size_t)value;
            return;
        }
    fail_msg("parameter '%s' is not known to the test", key);
}

static void read_params(const json_t *params, row *r)
{
    wte_generate_options *o = &r->options;
    const char *key;
    json_t *value;

    wte_generate_options_init(o);
    o->do_sample = 1;
    o->max_length = 1000;
    json_object_foreach((json_t *)params, key, value)
    {
        if (strcmp(key, "eos_token_id") == 0) {
            o->eos = read_ids(value, r->ids[0]);
        } else if (strcmp(key, "suppress_tokens") == 0) {
            o->suppress = read_ids(value, r->ids[1]);
        } else if (strcmp(key, "renormalize_logits") == 0) {
            o->renormalize_logits = json_is_true(value);
        } else if (strcmp(key, "exponential_decay_length_penalty") == 0) {
            o->decay_start = (size_t)json_integer_value(json_array_get(value, 0));
            o->decay_factor = (float)json_number_value(json_array_get(value, 1));
        } else if (strcmp(key, "bad_words_ids") == 0) {
            for (size_t i = 0; i < json_array_size(value); i++)
                r->words[i] = read_ids(json_array_get(value, i), r->ids[3 + i]);
            o->bad_words = r->words;
            o->n_bad_words = json_array_size(value);
        } else if (strcmp(key, "sequence_bias") == 0) {
            for (size_t i = 0; i < json_array_size(value); i++) {
                const json_t *pair = json_array_get(value, i);

                r->biases[i].sequence = read_ids(json_array_get(pair, 0), r->ids[3 + i]);
                r->biases[i].bias = (float)json_number_value(json_array_get(pair, 1));
            }
            o->sequence_bias = r->biases;
            o->n_sequence_bias = json_array_size(value);
        } else {
            set_number(o, key, json_number_value(value));
        }
    }
}

static double number(const json_t *value)
{
    const char *s = json_string_value(value);

    if (!s)
        return json_number_value(value);
    return strcmp(s, "-inf") == 0 ? -INFINITY : strcmp(s, "inf") == 0 ? INFINITY : NAN;
}

/* All numbers, or {"id": number} of those that differ from `rest`. */
static void read_numbers(const json_t *value, size_t n, float rest, float *out)
{
    const char *key;
    json_t *item;

    assert_true(json_is_object(value) || json_array_size(value) == n);
    for (size_t i = 0; i < n; i++)
        out[i] = json_is_object(value) ? rest : (float)number(json_array_get(value, i));
    json_object_foreach((json_t *)value, key, item) out[strtoul(key, NULL, 10)] =
        (float)number(item);
}

static const char *our_name(const char *name)
{
    static const char *const pairs[][2] = {
        {"SequenceBiasLogitsProcessor", "sequence bias"},
        {"RepetitionPenaltyLogitsProcessor", "repetition penalty"},
        {"NoRepeatNGramLogitsProcessor", "no repeated n-gram"},
        {"NoBadWordsLogitsProcessor", "bad words"},
        {"MinLengthLogitsProcessor", "min length"},
        {"MinNewTokensLengthLogitsProcessor", "min new tokens"},
        {"ExponentialDecayLengthPenalty", "exponential decay"},
        {"SuppressTokensLogitsProcessor", "suppress"},
        {"LogitNormalization", "renormalise"},
        {"TemperatureLogitsWarper", "temperature"},
        {"TopKLogitsWarper", "top-k"},
        {"TopPLogitsWarper", "top-p"},
        {"TypicalLogitsWarper", "typical-p"},
        {"EpsilonLogitsWarper", "epsilon"},
        {"EtaLogitsWarper", "eta"},
    };

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (strcmp(name, pairs[i][0]) == 0)
            return pairs[i][1];
    fail_msg("'%s' is not known to the test", name);
    return NULL;
}

static void expect_scores(const char *id, const char *step, const float *got, const float *want,
                          size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (isinf(got[i]) != isinf(want[i]))
            fail_msg("%s, %s: token %zu has %g, expected %g", id, step, i, (double)got[i],
                     (double)want[i]);
        if (!isinf(want[i]) && !(fabsf(got[i] - want[i]) <= 2e-6f * fmaxf(1, fabsf(want[i]))))
            fail_msg("%s, %s: token %zu has %.9g, expected %.9g", id, step, i, (double)got[i],
                     (double)want[i]);
    }
}

static void expect_probs(const char *id, const float *got, const float *want, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((got[i] > 0) != (want[i] > 0) || !(fabsf(got[i] - want[i]) <= 1e-6f))
            fail_msg("%s: token %zu has probability %.9g, expected %.9g", id, i, (double)got[i],
                     (double)want[i]);
}

static void check_row(const json_t *json)
{
    static row r;
    static uint32_t text[MAX_IDS];
    const char *id = json_string_value(json_object_get(json, "id"));
    const json_t *logits = json_object_get(json, "logits"), *steps = json_object_get(json, "steps");
    size_t n = json_array_size(logits), i, n_prompt;
    float *scores = malloc(3 * n * sizeof *scores), *want, *once;
    wte_ids ids = read_ids(json_object_get(json, "input_ids"), text);
    wte_chain *chain = NULL;
    wte_error err = {0};
    json_t *step;

    assert_non_null(scores);
    want = scores + n;
    once = want + n;
    read_params(json_object_get(json, "params"), &r);
    n_prompt = (size_t)json_integer_value(json_object_get(json, "prompt_len"));
    if (wte_chain_new(&r.options, n, r.options.num_beams > 1 ? 2 : 1, &chain, &err))
        fail_msg("%s: %s", id, err.message);
    assert_int_equal(wte_chain_length(chain), json_array_size(steps));
    read_numbers(logits, n, 0, scores);
    memcpy(once, scores, n * sizeof *once);
    json_array_foreach(steps, i, step)
    {
        const char *name = json_string_value(json_object_get(step, "name"));

        assert_string_equal(wte_chain_name(chain, i), our_name(name));
        if (wte_chain_apply(chain, ids.ids, ids.n, n_prompt, 0, i, i + 1, scores, &err))
            fail_msg("%s: %s", id, err.message);
        read_numbers(json_object_get(step, "scores"), n, -INFINITY, want);
        expect_scores(id, name, scores, want, n);
    }
    wte_softmax(scores, n, scores);
    read_numbers(json_object_get(json, "probs"), n, 0, want);
    expect_probs(id, scores, want, n);

    /* All members in one call share their probabilities; the result is the same. */
    assert_int_equal(
        wte_chain_apply(chain, ids.ids, ids.n, n_prompt, 0, 0, wte_chain_length(chain), once, &err),
        WTE_OK);
    wte_softmax(once, n, once);
    expect_probs(id, once, want, n);
    wte_chain_free(chain);
    free(scores);
}

static size_t check_file(const char *path)
{
    FILE *f = fopen(path, "r");
    json_error_t error;
    json_t *json;
    size_t n = 0;

    assert_non_null(f);
    while ((json = json_loadf(f, JSON_DISABLE_EOF_CHECK, &error))) {
        check_row(json);
        json_decref(json);
        n++;
    }
    if (!feof(f) && n == 0)
        fail_msg("%s: %s", path, error.text);
    fclose(f);
    return n;
}

static void members_equal_transformers_in_the_small_file(void **state)
{
    (void)state;
    assert_int_equal(check_file(test_file("golden/warpers_small.jsonl")), 2);
}

static void members_equal_transformers_in_every_row(void **state)
{
    (void)state;
    assert_int_equal(check_file(need_shared("golden/warpers.jsonl")), 76);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_equal_transformers_in_the_small_file),
        cmocka_unit_test(members_equal_transformers_in_every_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
