/* SPDX-License-Identifier: MIT */
/* test_chain.c - every member of the chain against its definition
 *
 * What transformers has is compared with it in test_warpers.c; here are the edges, worked out by
 * hand, the members that it has not, written out a second time in the plainest way, and random
 * distributions of all shapes, cut by sorting. */
#include "support.h"
#include <float.h>
#include <math.h>
#include "base/base.h"
#include "generate/chain.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))
#define IDS(...)                                                                                   \
    (wte_ids)                                                                                      \
    {                                                                                              \
        (const uint32_t[]){__VA_ARGS__}, LENGTH(((const uint32_t[]){__VA_ARGS__}))                 \
    }

static const float no = -INFINITY;

static wte_generate_options sampling(void)
{
    wte_generate_options o;

    wte_generate_options_init(&o);
    o.do_sample = 1;
    o.top_k = 0;
    return o;
}

static wte_chain *chain_of(const wte_generate_options *o, size_t n_vocab, size_t keep)
{
    wte_chain *chain = NULL;
    wte_error err = {0};

    if (wte_chain_new(o, n_vocab, keep, &chain, &err))
        fail_msg("%s", err.message);
    return chain;
}

/* Apply all members of a chain of its own. */
static wte_status apply(const wte_generate_options *o, wte_ids text, size_t n_prompt, float *scores,
                        size_t n_vocab, wte_error *err)
{
    wte_chain *chain = chain_of(o, n_vocab, o->num_beams > 1 ? 2 : 1);
    wte_status status = wte_chain_apply(chain, text.ids, text.n, n_prompt, 0, 0,
                                        wte_chain_length(chain), scores, err);

    wte_chain_free(chain);
    return status;
}

static void expect(const float *got, const float *want, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (got[i] != want[i] && !(fabsf(got[i] - want[i]) <= 1e-6f * fmaxf(1, fabsf(want[i]))))
            fail_msg("token %zu: %.9g, expected %.9g", i, (double)got[i], (double)want[i]);
}

#define expect_after(o, text, n_prompt, start, want)                                               \
    do {                                                                                           \
        float scores_[LENGTH(start)];                                                              \
        wte_error err_ = {0};                                                                      \
        memcpy(scores_, start, sizeof scores_);                                                    \
        if (apply(o, text, n_prompt, scores_, LENGTH(start), &err_))                               \
            fail_msg("%s", err_.message);                                                          \
        expect(scores_, want, LENGTH(start));                                                      \
    } while (0)

#define expect_error(o, text, n_prompt, start, message_)                                           \
    do {                                                                                           \
        float scores_[LENGTH(start)];                                                              \
        wte_error err_ = {0};                                                                      \
        memcpy(scores_, start, sizeof scores_);                                                    \
        assert_int_equal(apply(o, text, n_prompt, scores_, LENGTH(start), &err_), WTE_E_RANGE);    \
        assert_string_equal(err_.message, message_);                                               \
    } while (0)

/* ---- the chain -------------------------------------------------------------------------- */

static void allow_all(void *data, size_t sequence, const uint32_t *ids, size_t n, uint8_t *allowed)
{
    (void)sequence;
    (void)ids;
    (void)n;
    memset(allowed, 1, *(const size_t *)data);
}

static wte_generate_options everything(size_t *n_vocab)
{
    static const uint32_t one[] = {7}, three[] = {3}, pair[] = {1, 2};
    static const wte_ids bad[] = {{three, 1}};
    static const wte_sequence_bias bias[] = {{{pair, 2}, 1.0f}};
    wte_generate_options o = sampling();

    o.eos = o.suppress = o.begin_suppress = o.forced_eos = (wte_ids){one, 1};
    o.forced_bos_id = 4;
    o.max_new_tokens = 50;
    o.min_length = o.min_new_tokens = 2;
    o.repetition_penalty = 1.1f;
    o.no_repeat_ngram_size = 3;
    o.bad_words = bad;
    o.n_bad_words = 1;
    o.sequence_bias = bias;
    o.n_sequence_bias = 1;
    o.decay_start = 1;
    o.decay_factor = 1.01f;
    o.renormalize_logits = 1;
    o.remove_invalid_values = 1;
    o.prefix_allowed = allow_all;
    o.prefix_allowed_data = n_vocab;
    o.temperature = 0.9f;
    o.top_k = 50;
    o.top_p = 0.95f;
    o.min_p = 0.001f;
    o.typical_p = 0.95f;
    o.epsilon_cutoff = 1e-4f;
    o.eta_cutoff = 1e-4f;
    o.top_n_sigma = 3;
    o.xtc_probability = 0.5f;
    o.mirostat_tau = 5;
    o.dry_multiplier = 0.8f;
    return o;
}

static void members_stand_in_the_published_order(void **state)
{
    static const char *const want[] = {"sequence bias",
                                       "repetition penalty",
                                       "DRY",
                                       "no repeated n-gram",
                                       "bad words",
                                       "min length",
                                       "min new tokens",
                                       "prefix-allowed tokens",
                                       "forced BOS",
                                       "forced EOS",
                                       "remove invalid values",
                                       "exponential decay",
                                       "suppress",
                                       "begin suppress",
                                       "renormalise",
                                       "temperature",
                                       "top-n-sigma",
                                       "top-k",
                                       "top-p",
                                       "min-p",
                                       "typical-p",
                                       "epsilon",
                                       "eta",
                                       "XTC",
                                       "mirostat",
                                       "renormalise"};
    size_t n_vocab = 100;
    wte_generate_options o = everything(&n_vocab), beams;
    wte_chain *chain = chain_of(&o, n_vocab, 1);
    (void)state;

    assert_int_equal(wte_chain_length(chain), LENGTH(want));
    for (size_t i = 0; i < LENGTH(want); i++)
        assert_string_equal(wte_chain_name(chain, i), want[i]);
    assert_null(wte_chain_name(chain, LENGTH(want)));
    wte_chain_free(chain);

    wte_generate_options_init(&beams);
    chain = chain_of(&beams, n_vocab, 1);
    assert_int_equal(wte_chain_length(chain), 0); /* no warper without sampling */
    wte_chain_free(chain);
    beams.num_beams = 4;
    beams.num_beam_groups = 2;
    beams.diversity_penalty = 1;
    chain = chain_of(&beams, n_vocab, 2);
    assert_string_equal(wte_chain_name(chain, 0), "diversity");
    wte_chain_free(chain);
}

static void everything_at_once_leaves_a_distribution(void **state)
{
    enum { V = 3000 };
    static float scores[V];
    size_t n_vocab = V;
    wte_generate_options o = everything(&n_vocab);
    wte_chain *chain = chain_of(&o, V, 1);
    uint32_t text[40] = {9};
    uint64_t seed = 3;
    wte_generator g;
    wte_error err = {0};
    (void)state;

    wte_generator_seed(&g, 1);
    for (size_t n = 1; n < 40; n++) {
        for (size_t i = 0; i < V; i++)
            scores[i] = (float)(wte__random(&seed) >> 40) * 0x1p-21f - 4;
        if (wte_chain_apply(chain, text, n, 1, 0, 0, wte_chain_length(chain), scores, &err))
            fail_msg("%s", err.message);
        assert_int_equal(wte__draw(&g, scores, V, scores, &text[n], &err), WTE_OK);
        assert_true(scores[text[n]] > 0);
        wte__chain_drawn(chain, 0, scores[text[n]]);
    }
    wte_chain_free(chain);
}

static void every_allocation_may_fail(void **state)
{
    size_t n_vocab = 100;
    wte_generate_options o = everything(&n_vocab);
    wte_chain *chain = NULL;
    float scores[100];
    const uint32_t text[] = {1, 2, 1, 2};
    long nth = 0;
    (void)state;

    for (;; nth++) {
        wte_status status;

        wte__fail_alloc(nth);
        status = wte_chain_new(&o, n_vocab, 1, &chain, NULL);
        if (!status)
            break;
        assert_int_equal(status, WTE_E_NOMEM);
        assert_null(chain);
    }
    assert_int_equal(nth, 12);
    for (nth = 0;; nth++) {
        wte_status status;

        for (size_t i = 0; i < 100; i++)
            scores[i] = (float)(i % 10);
        wte__fail_alloc(nth);
        status = wte_chain_apply(chain, text, 4, 1, 5, 0, wte_chain_length(chain), scores, NULL);
        if (!status)
            break;
        assert_int_equal(status, WTE_E_NOMEM);
    }
    assert_int_equal(nth, 2); /* DRY's matches, mirostat's state */
    for (size_t i = 0; i < 100; i++)
        scores[i] = (float)(i % 10);
    wte__fail_alloc(0); /* from now on none is taken */
    assert_int_equal(
        wte_chain_apply(chain, text, 4, 1, 5, 0, wte_chain_length(chain), scores, NULL), WTE_OK);
    wte__fail_alloc(-1);
    wte_chain_free(chain);
}

/* ---- processors ------------------------------------------------------------------------- */

static void biases_add_up_where_their_prefix_stands(void **state)
{
    const wte_sequence_bias bias[] = {
        {{(const uint32_t[]){1}, 1}, 2.0f},      {{(const uint32_t[]){2, 1}, 2}, 10.0f},
        {{(const uint32_t[]){3, 1}, 2}, 100.0f}, {{(const uint32_t[]){0, 2, 4}, 3}, 5.0f},
        {{(const uint32_t[]){1}, 1}, 3.0f},      {{(const uint32_t[]){2, 0}, 2}, -INFINITY},
    };
    static const float start[] = {0, 1, 2, 3, 4};
    wte_generate_options o;
    (void)state;

    wte_generate_options_init(&o);
    o.sequence_bias = bias;
    o.n_sequence_bias = LENGTH(bias);
    /* of [1] the last bias counts; [3, 1] does not match */
    expect_after(&o, IDS(4, 2), 1, start, ((float[]){no, 14, 2, 3, 4}));
    expect_after(&o, IDS(1, 0, 2), 1, start, ((float[]){no, 14, 2, 3, 9}));
    /* one token of text and a sequence of two: not looked at, though the prefix is there */
    expect_after(&o, IDS(2), 1, start, ((float[]){0, 4, 2, 3, 4}));
}

static void bad_words_are_ruled_out_but_an_eos_is_not(void **state)
{
    const wte_ids bad[] = {
        {(const uint32_t[]){3}, 1}, {(const uint32_t[]){4}, 1}, {(const uint32_t[]){1, 2}, 2}};
    static const float start[] = {0, 1, 2, 3, 4};
    wte_generate_options o;
    (void)state;

    wte_generate_options_init(&o);
    o.bad_words = bad;
    o.n_bad_words = 3;
    o.eos = IDS(3);
    expect_after(&o, IDS(0, 1), 1, start, ((float[]){0, 1, no, 3, no}));
    expect_after(&o, IDS(1, 0), 1, start, ((float[]){0, 1, 2, 3, no}));
}

static void repetition_is_punished_once_and_towards_minus(void **state)
{
    static const float start[] = {2, -2, 2, 0, no};
    wte_generate_options o;
    (void)state;

    wte_generate_options_init(&o);
    o.repetition_penalty = 2;
    expect_after(&o, IDS(0, 1, 0, 0, 3, 4), 2, start, ((float[]){1, -4, 2, 0, no}));
}

static void earlier_groups_are_avoided_by_how_often_they_chose(void **state)
{
    static const uint32_t chosen[] = {1, 3, 1};
    float scores[] = {1, 2, 3, no};
    wte_generate_options o;
    wte_chain *chain;
    (void)state;

    wte_generate_options_init(&o);
    o.num_beams = o.num_beam_groups = 4;
    o.diversity_penalty = 0.5f;
    chain = chain_of(&o, 4, 2);
    assert_int_equal(wte_chain_apply(chain, NULL, 0, 0, 0, 0, 1, scores, NULL), WTE_OK);
    expect(scores, (float[]){1, 2, 3, no}, 4);
    wte__chain_set_diversity(chain, chosen, 3);
    assert_int_equal(wte_chain_apply(chain, NULL, 0, 0, 0, 0, 1, scores, NULL), WTE_OK);
    expect(scores, (float[]){1, 1, 3, no}, 4);
    assert_int_equal(wte_chain_apply(chain, NULL, 0, 0, 0, 0, 1, scores, NULL), WTE_OK);
    expect(scores, (float[]){1, 0, 3, no}, 4);
    wte__chain_set_diversity(chain, NULL, 0);
    assert_int_equal(wte_chain_apply(chain, NULL, 0, 0, 0, 0, 1, scores, NULL), WTE_OK);
    expect(scores, (float[]){1, 0, 3, no}, 4);
    wte_chain_free(chain);
}

static void an_eos_waits_for_the_length(void **state)
{
    static const float start[] = {1, 2, 3};
    wte_generate_options o;
    (void)state;

    wte_generate_options_init(&o);
    o.eos = IDS(1, 2);
    o.min_length = 4;
    expect_after(&o, IDS(0, 0, 0), 2, start, ((float[]){1, no, no}));
    expect_after(&o, IDS(0, 0, 0, 0), 2, start, ((float[]){1, 2, 3}));
    o.min_length = 0;
    o.min_new_tokens = 2;
    expect_after(&o, IDS(0, 0, 0, 0), 3, start, ((float[]){1, no, no}));
    expect_after(&o, IDS(0, 0, 0, 0), 2, start, ((float[]){1, 2, 3}));
}

static void forced_tokens_come_at_their_place(void **state)
{
    static const float start[] = {1, 2, no};
    wte_generate_options o;
    (void)state;

    wte_generate_options_init(&o);
    o.forced_bos_id = 2;
    o.forced_eos = IDS(0, 2);
    o.max_length = 4;
    expect_after(&o, IDS(1), 1, start, ((float[]){no, no, 0}));
    expect_after(&o, IDS(1, 1), 1, start, ((float[]){1, 2, no}));
    expect_after(&o, IDS(1, 1, 1), 1, start, ((float[]){0, no, 0}));
    expect_after(&o, IDS(1, 1, 1, 1), 1, start, ((float[]){1, 2, no}));
    o.max_new_tokens = 2; /* counts from the prompt */
    expect_after(&o, IDS(1, 1, 1, 1, 1), 4, start, ((float[]){0, no, 0}));
}

static void suppressed_at_the_beginning_only(void **state)
{
    static const float start[] = {1, 2, 3};
    wte_generate_options o;
    (void)state;

    wte_generate_options_init(&o);
    o.suppress = IDS(0);
    o.begin_suppress = IDS(1);
    expect_after(&o, IDS(0, 0), 2, start, ((float[]){no, no, 3}));
    expect_after(&o, IDS(0, 0), 1, start, ((float[]){no, 2, 3}));
    o.forced_bos_id = 2; /* behind a single token: one later */
    expect_after(&o, IDS(0, 2), 1, start, ((float[]){no, no, 3}));
}

static void decay_favours_the_eos_more_and_more(void **state)
{
    static const float start[] = {-2, 4, 1}, out[] = {no, 4, 1};
    wte_generate_options o;
    (void)state;

    wte_generate_options_init(&o);
    o.eos = IDS(0, 1);
    o.decay_start = 1;
    o.decay_factor = 1.5f;
    expect_after(&o, IDS(2, 2), 1, start, start);
    expect_after(&o, IDS(2, 2, 2), 1, start, ((float[]){-1, 6, 1}));
    expect_after(&o, IDS(2, 2, 2, 2), 1, start, ((float[]){0.5f, 9, 1}));
    expect_after(&o, IDS(2, 2, 2), 1, out, ((float[]){no, 6, 1}));
    o.decay_factor = 1e30f; /* over float32's end: the largest number, not infinity */
    expect_after(&o, IDS(2, 2, 2, 2), 1, start, ((float[]){FLT_MAX, FLT_MAX, 1}));
}

static void only_even(void *data, size_t sequence, const uint32_t *ids, size_t n, uint8_t *allowed)
{
    assert_int_equal(sequence, 0);
    assert_int_equal(ids[n - 1], 2);
    for (size_t i = 0; i < *(const size_t *)data; i += 2)
        allowed[i] = 1;
}

static void prefix_allows_what_it_fills(void **state)
{
    static const float start[] = {1, 2, 3, 4, 5};
    size_t n_vocab = 5;
    wte_generate_options o;
    (void)state;

    wte_generate_options_init(&o);
    o.prefix_allowed = only_even;
    o.prefix_allowed_data = &n_vocab;
    expect_after(&o, IDS(1, 2), 1, start, ((float[]){1, no, 3, no, 5}));
}

static void renormalised_scores_are_log_probabilities(void **state)
{
    static const float start[] = {0, 0.69314718f, no}; /* 1 : 2 : 0 */
    wte_generate_options o;
    (void)state;

    wte_generate_options_init(&o);
    o.renormalize_logits = 1;
    expect_after(&o, IDS(0), 1, start, ((float[]){-1.09861229f, -0.40546511f, no}));
}

/* ---- repeats ---------------------------------------------------------------------------- */

static size_t match_before(const uint32_t *ids, size_t n, size_t i)
{
    size_t length = 0;

    while (length < i && ids[i - 1 - length] == ids[n - 1 - length])
        length++;
    return length;
}

static void matches_equal_those_counted_one_by_one(void **state)
{
    uint32_t ids[64], got[64];
    uint64_t seed = 11;
    (void)state;

    for (int round = 0; round < 3000; round++) {
        size_t n = wte__random(&seed) % 65, alphabet = 1 + wte__random(&seed) % 4;

        for (size_t i = 0; i < n; i++)
            ids[i] = (uint32_t)(wte__random(&seed) % alphabet);
        wte__suffix_matches(ids, n, got);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(got[i], match_before(ids, n, i));
    }
}

static void no_ngram_stands_twice(void **state)
{
    enum { V = 4 };
    uint64_t seed = 12;
    (void)state;

    for (int round = 0; round < 1000; round++) {
        uint32_t ids[24];
        size_t n = 1 + wte__random(&seed) % 24, size = 1 + wte__random(&seed) % 4;
        float scores[V + 1] = {0}, want[V + 1] = {0};
        wte_generate_options o;

        wte_generate_options_init(&o);
        o.no_repeat_ngram_size = size;
        for (size_t i = 0; i < n; i++)
            ids[i] = (uint32_t)(wte__random(&seed) % V);
        for (size_t i = 0; i + size <= n;
             i++) /* an n-gram that stands there, and begins as we end */
            if (memcmp(ids + i, ids + n + 1 - size, (size - 1) * sizeof *ids) == 0)
                want[ids[i + size - 1]] = no;
        assert_int_equal(apply(&o, (wte_ids){ids, n}, 1, scores, V + 1, NULL), WTE_OK);
        expect(scores, want, V + 1);
    }
}

/* p-e-w's loop: from each place that holds the last token extend the match backwards. */
static void dry_by_definition(const uint32_t *ids, size_t n, const wte_generate_options *o,
                              float *scores)
{
    size_t longest[8] = {0};

    for (size_t i = 0; i + 1 < n; i++) {
        size_t length = 0;
        bool next_breaks = false;

        for (; length <= i && ids[i - length] == ids[n - 1 - length]; length++) {
            bool breaker = false;
            for (size_t b = 0; b < o->dry_breakers.n; b++)
                breaker |= ids[i - length] == o->dry_breakers.ids[b];
            if (breaker)
                break;
        }
        for (size_t b = 0; b < o->dry_breakers.n; b++)
            next_breaks |= ids[i + 1] == o->dry_breakers.ids[b];
        if (!next_breaks && length > longest[ids[i + 1]])
            longest[ids[i + 1]] = length;
    }
    for (size_t t = 0; t < 8; t++)
        if (longest[t] >= o->dry_allowed_length)
            scores[t] -=
                o->dry_multiplier * powf(o->dry_base, (float)(longest[t] - o->dry_allowed_length));
}

static void dry_equals_its_definition(void **state)
{
    enum { V = 8 };
    uint64_t seed = 13;
    (void)state;

    for (int round = 0; round < 3000; round++) {
        uint32_t ids[40];
        static const uint32_t breakers[] = {2, 0};
        size_t n = 1 + wte__random(&seed) % 40, alphabet = 2 + wte__random(&seed) % 3, from = 0;
        float got[V] = {0}, want[V] = {0};
        wte_generate_options o;

        wte_generate_options_init(&o);
        o.dry_multiplier = 0.8f;
        o.dry_base = 1.2f;
        o.dry_allowed_length = 1 + wte__random(&seed) % 3;
        o.dry_range = round % 3 == 0 ? 1 + wte__random(&seed) % 20 : 0;
        o.dry_breakers = (wte_ids){breakers, wte__random(&seed) % 3};
        for (size_t i = 0; i < n; i++)
            ids[i] = (uint32_t)(wte__random(&seed) % alphabet);
        if (o.dry_range > 0 && n > o.dry_range)
            from = n - o.dry_range;
        dry_by_definition(ids + from, n - from, &o, want);
        assert_int_equal(apply(&o, (wte_ids){ids, n}, 1, got, V, NULL), WTE_OK);
        for (size_t t = 0; t < V; t++)
            assert_true(fabsf(got[t] - want[t]) <= 1e-5f * fmaxf(1, fabsf(want[t])));
    }
}

static void dry_discourages_however_long_the_match(void **state)
{
    static uint32_t ids[2000];
    float scores[] = {1, 1};
    wte_generate_options o;
    (void)state;

    wte_generate_options_init(&o);
    o.dry_multiplier = 1;
    assert_int_equal(apply(&o, (wte_ids){ids, 2000}, 1, scores, 2, NULL), WTE_OK);
    assert_true(scores[0] == -FLT_MAX);
    assert_true(scores[1] == 1);
}

/* ---- warpers against sorting ------------------------------------------------------------ */

enum { MAX_VOCAB = 4000 };

typedef struct sorted {
    double key, prob;
    uint32_t id;
} sorted;

static int descending(const void *x, const void *y)
{
    const sorted *a = x, *b = y;

    if (a->key != b->key)
        return a->key > b->key ? -1 : 1;
    return a->id > b->id ? -1 : a->id < b->id; /* of equal ones the higher id */
}

/* Probabilities in float64 of what is not ruled out; gives the entropy. */
static double probabilities(const float *scores, size_t n, double *probs)
{
    double max = -INFINITY, total = 0, entropy = 0;

    for (size_t i = 0; i < n; i++)
        max = fmax(max, (double)scores[i]);
    for (size_t i = 0; i < n; i++)
        total += probs[i] = exp((double)scores[i] - max);
    for (size_t i = 0; i < n; i++) {
        probs[i] /= total;
        entropy -= probs[i] > 0 ? probs[i] * log(probs[i]) : 0;
    }
    return entropy;
}

/* Which tokens stay, going down by `keys` until the mass of those passed reaches the target; ties
 * with the last one stay if `ties`. */
static void cut_by_mass(const double *keys, const double *probs, size_t n, double target, bool ties,
                        bool *stays)
{
    static sorted list[MAX_VOCAB];
    double passed = 0, last = NAN;

    for (size_t i = 0; i < n; i++)
        list[i] = (sorted){keys[i], probs[i], (uint32_t)i};
    qsort(list, n, sizeof *list, descending);
    for (size_t i = 0; i < n; i++) {
        bool stay = i == 0 || passed < target || (ties && list[i].key == last);

        stays[list[i].id] = stay && probs[list[i].id] > 0;
        if (passed < target)
            last = list[i].key;
        passed += list[i].prob;
    }
}

/* All shapes that a distribution has: a bell, a peak, flat, few values, holes. */
static void make_scores(uint64_t *seed, int shape, float *scores, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double u = 0;

        for (int j = 0; j < 6; j++)
            u += (double)(wte__random(seed) >> 11) * 0x1p-53 - 0.5;
        scores[i] = shape == 0   ? (float)(3 * u)
                    : shape == 1 ? (float)(30 * u)
                    : shape == 2 ? 1.5f
                    : shape == 3 ? (float)(int)(4 * u)
                    : shape == 4 ? (u < 0 ? no : (float)(2 * u))
                                 : (float)(u * 1e-4 - (i % 97 == 5 ? 1e30 : 0));
    }
    scores[wte__random(seed) % n] = 4;
}

typedef enum { TOP_K, TOP_P, MIN_P, TYPICAL, EPSILON, ETA, SIGMA, N_CUTS } cut;

/* The tokens that a cut keeps when its bound is moved by `slack`. */
static void cut_by_definition(cut kind, double value, const float *scores, size_t n, double slack,
                              bool *stays)
{
    static double probs[MAX_VOCAB], keys[MAX_VOCAB], ones[MAX_VOCAB];
    double entropy = probabilities(scores, n, probs), best = 0, mean = 0, variance = 0, count = 0;
    double bound = 0, max = -INFINITY;

    for (size_t i = 0; i < n; i++) {
        best = fmax(best, probs[i]);
        max = fmax(max, (double)scores[i]);
        keys[i] = (double)scores[i];
        ones[i] = scores[i] > no;
        if (scores[i] > no) {
            mean += (double)scores[i];
            count++;
        }
    }
    mean /= count;
    for (size_t i = 0; i < n; i++)
        if (scores[i] > no)
            variance += ((double)scores[i] - mean) * ((double)scores[i] - mean) / count;
    if (kind == TOP_K) {
        cut_by_mass(keys, ones, n, value, true, stays);
        return;
    }
    if (kind == TOP_P) {
        cut_by_mass(keys, probs, n, value + slack, false, stays);
        return;
    }
    if (kind == TYPICAL) {
        for (size_t i = 0; i < n; i++)
            keys[i] = -fabs(-log(probs[i]) - entropy);
        cut_by_mass(keys, probs, n, value + slack, true, stays);
        return;
    }
    bound = kind == MIN_P     ? value * best
            : kind == EPSILON ? value
            : kind == ETA     ? fmin(value, sqrt(value) * exp(-entropy))
                              : max - value * sqrt(variance);
    for (size_t i = 0; i < n; i++) {
        double key = kind == SIGMA ? (double)scores[i] : probs[i];
        double scale = kind == SIGMA ? fmax(1, fabs(bound)) : bound;

        stays[i] =
            scores[i] > no && (key >= bound - slack * scale || key >= (kind == SIGMA ? max : best));
    }
}

static void cuts_equal_those_by_sorting(void **state)
{
    static float scores[MAX_VOCAB], start[MAX_VOCAB];
    static bool least[MAX_VOCAB], most[MAX_VOCAB];
    static const double values[N_CUTS][3] = {
        {1, 20, 300},         {0.1, 0.63, 0.97},   {0.01, 0.2, 0.9}, {0.2, 0.55, 0.93},
        {0.0003, 0.003, 0.4}, {0.0003, 0.01, 0.5}, {0.5, 1.1, 2.3}};
    uint64_t seed = 14;
    (void)state;

    for (int round = 0; round < 1200 / (TEST_FEWER ? 10 : 1); round++) {
        cut kind = (cut)(round % N_CUTS);
        int shape = (int)(wte__random(&seed) % 6);
        size_t n = 1 + wte__random(&seed) % (round % 4 == 0 ? 20 : MAX_VOCAB);
        double value = values[kind][wte__random(&seed) % 3];
        wte_generate_options o = sampling();

        make_scores(&seed, shape, start, n);
        memcpy(scores, start, n * sizeof *scores);
        o.top_k = kind == TOP_K ? (size_t)value : 0;
        o.top_p = kind == TOP_P ? (float)value : 1;
        o.min_p = kind == MIN_P ? (float)value : 0;
        o.typical_p = kind == TYPICAL ? (float)value : 1;
        o.epsilon_cutoff = kind == EPSILON ? (float)value : 0;
        o.eta_cutoff = kind == ETA ? (float)value : 0;
        o.top_n_sigma = kind == SIGMA ? (float)value : 0;
        assert_int_equal(apply(&o, IDS(0), 1, scores, n, NULL), WTE_OK);
        cut_by_definition(kind, value, start, n, -3e-6, least);
        cut_by_definition(kind, value, start, n, 3e-6, most);
        for (size_t i = 0; i < n; i++) {
            /* At distances from the entropy that differ by rounding only, neighbours may too. */
            bool near = kind == TYPICAL && shape != 1 && shape != 0 && shape != 4;

            if ((scores[i] == no && least[i] && !near) || (scores[i] != no && !most[i] && !near))
                fail_msg("round %d, cut %d of %g, shape %d, %zu tokens: token %zu %s", round,
                         (int)kind, value, shape, n, i, scores[i] == no ? "went" : "stayed");
            assert_true(scores[i] == no || scores[i] == start[i]);
        }
    }
}

static void of_equal_tokens_top_p_keeps_those_with_higher_ids(void **state)
{
    static const float flat[] = {1, 1, 1, 1}, two[] = {2, 0, 0, 0, 0};
    wte_generate_options o = sampling();
    (void)state;

    o.top_p = 0.6f; /* a quarter each: the mass above must be below 0.6 */
    expect_after(&o, IDS(0), 1, flat, ((float[]){no, 1, 1, 1}));
    o.top_p = 0; /* the last in order stays */
    expect_after(&o, IDS(0), 1, flat, ((float[]){no, no, no, 1}));
    o.num_beams = 2; /* two stay */
    expect_after(&o, IDS(0), 1, flat, ((float[]){no, no, 1, 1}));
    expect_after(&o, IDS(0), 1, two, ((float[]){2, no, no, no, 0}));
}

static void top_k_keeps_ties(void **state)
{
    static const float start[] = {3, 1, 2, 2, 0};
    wte_generate_options o = sampling();
    (void)state;

    o.top_k = 2;
    expect_after(&o, IDS(0), 1, start, ((float[]){3, no, 2, 2, no}));
    o.top_k = 9;
    expect_after(&o, IDS(0), 1, start, start);
    o.top_k = 1;
    expect_after(&o, IDS(0), 1, start, ((float[]){3, no, no, no, no}));
    o.num_beams = 2; /* two stay, and the tie */
    expect_after(&o, IDS(0), 1, start, ((float[]){3, no, 2, 2, no}));
}

static void temperature_divides(void **state)
{
    static const float start[] = {3, -1, no}, great[] = {3e38f, 0}, small[] = {-3e38f, -2e38f};
    wte_generate_options o = sampling();
    (void)state;

    o.temperature = 0.5f;
    expect_after(&o, IDS(0), 1, start, ((float[]){6, -2, no}));
    expect_error(&o, IDS(0), 1, great,
                 "temperature 0.5 makes the largest score inf, expected a number");
    expect_error(&o, IDS(0), 1, small,
                 "temperature 0.5 makes the largest score -inf, expected a number");
}

/* ---- beyond transformers ---------------------------------------------------------------- */

static void sigma_does_not_depend_on_the_temperature(void **state)
{
    static const float start[] = {4, 3, 0, -1, -6}; /* mean 0, variance 12.4, deviation 3.52 */
    wte_generate_options o = sampling();
    (void)state;

    o.top_n_sigma = 1;
    expect_after(&o, IDS(0), 1, start, ((float[]){4, 3, no, no, no}));
    o.temperature = 4;
    expect_after(&o, IDS(0), 1, start, ((float[]){1, 0.75f, no, no, no}));
    o.temperature = 1;
    o.top_n_sigma = 1.2f; /* 4 - 4.23 */
    expect_after(&o, IDS(0), 1, start, ((float[]){4, 3, 0, no, no}));
}

static void xtc_leaves_the_least_likely_of_the_top_choices(void **state)
{
    /* probabilities 0.4, 0.3, 0.2, 0.1 */
    const float start[] = {logf(4), logf(3), logf(2), logf(1)};
    const float after[] = {no, no, start[2], start[3]};
    wte_generate_options o = sampling();
    (void)state;

    o.xtc_probability = 1;
    o.xtc_threshold = 0.15f;
    expect_after(&o, IDS(0), 1, start, after);
    o.xtc_threshold = 0.35f; /* only one: nothing happens */
    expect_after(&o, IDS(0), 1, start, start);
    o.xtc_threshold = 0.05f; /* all: one is left */
    expect_after(&o, IDS(0), 1, start, ((float[]){no, no, no, start[3]}));
    o.num_beams = 2; /* two must be left */
    expect_after(&o, IDS(0), 1, start, start);
}

static void xtc_comes_as_often_as_asked_and_the_same_when_asked_again(void **state)
{
    static uint32_t ids[4000];
    wte_generate_options o = sampling();
    wte_chain *chain;
    int n = 0;
    (void)state;

    o.xtc_probability = 0.3f;
    o.seed = 5;
    chain = chain_of(&o, 2, 1);
    for (size_t i = 1; i < 4000; i++) {
        float first[] = {1, 1.5f}, again[] = {1, 1.5f};

        assert_int_equal(wte_chain_apply(chain, ids, i, 1, 0, 0, 1, first, NULL), WTE_OK);
        assert_int_equal(wte_chain_apply(chain, ids, i, 1, 0, 0, 1, again, NULL), WTE_OK);
        assert_memory_equal(first, again, sizeof first);
        n += first[1] == no;
    }
    assert_in_range(n, 1100, 1300); /* 1200 +- 3.4 deviations of 29 */
    wte_chain_free(chain);
}

static void mirostat_follows_the_surprise(void **state)
{
    /* probabilities 1/2, 1/4, 1/8, 1/8: surprises of 1, 2, 3, 3 bits */
    const float start[] = {logf(4), logf(2), 0, 0};
    float scores[4];
    wte_generate_options o = sampling();
    wte_chain *chain;
    (void)state;

    o.mirostat_tau = 1.2f; /* mu begins at 2.4 */
    o.mirostat_eta = 0.5f;
    o.renormalize_logits = 1;
    chain = chain_of(&o, 4, 1);
    for (size_t sequence = 0; sequence < 2; sequence++) {
        memcpy(scores, start, sizeof scores);
        assert_int_equal(wte_chain_apply(chain, NULL, 0, 0, sequence, 0, 3, scores, NULL), WTE_OK);
        expect(scores, (float[]){logf(2.0f / 3), logf(1.0f / 3), no, no}, 4);
    }
    /* 1/4 of the whole, though 1/3 of what was left: 2 bits, mu = 2.4 - 0.5 * (2 - 1.2) = 2 */
    wte__chain_drawn(chain, 0, 1.0f / 3);
    assert_true(fabs(chain->mirostat[0].mu - 2.0) < 1e-6);
    assert_true(fabs(chain->mirostat[1].mu - 2.4) < 1e-6); /* each sequence has its own */
    wte__chain_drawn(chain, 0, 1.0f / 3); /* mu 1.6: only the first token has at most 1.6 bits */
    memcpy(scores, start, sizeof scores);
    assert_int_equal(wte_chain_apply(chain, NULL, 0, 0, 0, 0, 3, scores, NULL), WTE_OK);
    expect(scores, (float[]){0, no, no, no}, 4);
    for (int i = 0; i < 20; i++) /* below one bit a token stays all the same */
        wte__chain_drawn(chain, 0, 0.01f);
    assert_true(chain->mirostat[0].mu < 0);
    memcpy(scores, start, sizeof scores);
    assert_int_equal(wte_chain_apply(chain, NULL, 0, 0, 0, 0, 3, scores, NULL), WTE_OK);
    expect(scores, (float[]){0, no, no, no}, 4);
    wte_chain_free(chain);
}

/* ---- errors ----------------------------------------------------------------------------- */

static void broken_scores_are_named(void **state)
{
    static const float nan_[] = {1, NAN, 2}, inf_[] = {1, 2, INFINITY}, none[] = {no, no, no};
    wte_generate_options o = sampling();
    (void)state;

    o.top_p = 0.5f;
    expect_error(
        &o, IDS(0), 1, nan_,
        "token 1 has the score nan, expected a number (remove_invalid_values replaces such "
        "scores)");
    expect_error(
        &o, IDS(0), 1, inf_,
        "token 2 has the score inf, expected a number (remove_invalid_values replaces such "
        "scores)");
    expect_error(&o, IDS(0), 1, none, "every token is ruled out already: all scores are -inf");
    expect_error(&o, IDS(0, 3), 1, inf_, "text: token 3, the vocabulary has 3");
    expect_error(&o, IDS(0), 2, inf_, "a prompt of 2 tokens in a text of 1");
    o = sampling();
    o.remove_invalid_values = 1;
    expect_after(&o, IDS(0), 1, nan_, ((float[]){1, 0, 2}));
    expect_after(&o, IDS(0), 1, inf_, ((float[]){1, 2, FLT_MAX}));
    expect_after(&o, IDS(0), 1, none, ((float[]){-FLT_MAX, -FLT_MAX, -FLT_MAX}));
}

static void allow_none(void *data, size_t sequence, const uint32_t *ids, size_t n, uint8_t *allowed)
{
    (void)data;
    (void)sequence;
    (void)ids;
    (void)n;
    (void)allowed;
}

static void who_ruled_out_the_last_token_is_named(void **state)
{
    static const float start[] = {1, 2, 3};
    const wte_ids bad[] = {
        {(const uint32_t[]){0}, 1}, {(const uint32_t[]){1}, 1}, {(const uint32_t[]){2}, 1}};
    wte_generate_options o;
    (void)state;

    wte_generate_options_init(&o);
    o.no_repeat_ngram_size = 1;
    o.suppress = IDS(0, 1);
    expect_error(&o, IDS(0, 1, 2), 1, start,
                 "no repeated n-gram ruled out every token that was left");
    expect_error(&o, IDS(2), 1, start, "suppress ruled out every token that was left");
    expect_after(&o, IDS(0), 1, start, ((float[]){no, no, 3}));
    wte_generate_options_init(&o);
    o.bad_words = bad;
    o.n_bad_words = 3;
    expect_error(&o, IDS(0), 1, start, "bad words ruled out every token that was left");
    wte_generate_options_init(&o);
    o.prefix_allowed = allow_none;
    expect_error(&o, IDS(0), 1, start, "prefix-allowed tokens ruled out every token that was left");
    wte_generate_options_init(&o);
    o.eos = IDS(0, 1, 2);
    o.min_length = 5;
    expect_error(&o, IDS(0), 1, start, "min length ruled out every token that was left");
}

static void scores_that_leave_the_numbers_are_named(void **state)
{
    static const float start[] = {1, 2e38f};
    const wte_sequence_bias bias[] = {{{(const uint32_t[]){1}, 1}, 3e38f}};
    wte_generate_options o;
    (void)state;

    wte_generate_options_init(&o);
    o.repetition_penalty = 0.1f;
    expect_error(&o, IDS(1), 1, start,
                 "repetition penalty gave token 1 the score inf, expected a number");
    wte_generate_options_init(&o);
    o.sequence_bias = bias;
    o.n_sequence_bias = 1;
    expect_error(&o, IDS(1), 1, start,
                 "sequence bias gave token 1 the score inf, expected a number");
}

static void impossible_chains_are_refused(void **state)
{
    const wte_ids word[] = {{(const uint32_t[]){9}, 1}};
    const wte_sequence_bias bias[] = {{{(const uint32_t[]){0, 9}, 2}, 1}};
    wte_generate_options o;
    wte_chain *chain = NULL;
    wte_error err;
    float scores[4] = {0};
    (void)state;

#define expect_refused(change, message_)                                                           \
    do {                                                                                           \
        wte_generate_options_init(&o);                                                             \
        change;                                                                                    \
        assert_int_equal(wte_chain_new(&o, 9, 1, &chain, &err), WTE_E_RANGE);                      \
        assert_string_equal(err.message, message_);                                                \
        assert_null(chain);                                                                        \
    } while (0)
    expect_refused(o.eos = IDS(9), "eos_token_id: token 9, the vocabulary has 9");
    expect_refused(o.suppress = IDS(1, 10), "suppress_tokens: token 10, the vocabulary has 9");
    expect_refused(o.begin_suppress = IDS(9),
                   "begin_suppress_tokens: token 9, the vocabulary has 9");
    expect_refused(o.forced_eos = IDS(9), "forced_eos_token_id: token 9, the vocabulary has 9");
    expect_refused(o.forced_bos_id = 9, "forced_bos_token_id: token 9, the vocabulary has 9");
    expect_refused(o.dry_breakers = IDS(9), "dry_breakers: token 9, the vocabulary has 9");
    expect_refused((o.bad_words = word, o.n_bad_words = 1),
                   "bad_words_ids: token 9, the vocabulary has 9");
    expect_refused((o.sequence_bias = bias, o.n_sequence_bias = 1),
                   "sequence_bias: token 9, the vocabulary has 9");
    expect_refused(o.temperature = 0, "temperature is 0, expected a number above 0");
#undef expect_refused
    wte_generate_options_init(&o);
    assert_int_equal(wte_chain_new(&o, 0, 1, &chain, &err), WTE_E_RANGE);
    assert_int_equal(wte_chain_new(&o, 9, 0, &chain, &err), WTE_E_RANGE);
    chain = chain_of(&o, 4, 1);
    assert_int_equal(wte_chain_apply(chain, NULL, 0, 0, 0, 0, 1, scores, &err), WTE_E_RANGE);
    assert_string_equal(err.message, "members 0 to 1, the chain has 0");
    wte_chain_free(chain);
    wte_chain_free(NULL);
}

/* ---- options ---------------------------------------------------------------------------- */

static void defaults_are_consistent(void **state)
{
    wte_generate_options o;
    (void)state;

    wte_generate_options_init(&o);
    assert_int_equal(wte_generate_options_check(&o, NULL), WTE_OK);
    assert_int_equal(o.max_length, 20);
    assert_int_equal(o.top_k, 50);
    assert_int_equal(wte__max_length(&o, 7), 20);
    o.max_new_tokens = 3;
    assert_int_equal(wte__max_length(&o, 7), 10);
    o.max_new_tokens = SIZE_MAX;
    assert_true(wte__max_length(&o, 7) == SIZE_MAX);
}

static void contradictions_are_named(void **state)
{
    static const wte_forced_word word[] = {{NULL, 0}};
    const wte_ids empty[] = {{NULL, 0}}, one[] = {{(const uint32_t[]){1}, 1}};
    const wte_forced_word hollow[] = {{empty, 1}}, good[] = {{one, 1}};
    const wte_sequence_bias endless[] = {{{(const uint32_t[]){1}, 1}, INFINITY}};
    static const char *const no_text[] = {""}, *const text[] = {"."};
    wte_generate_options o;
    wte_error err;
    (void)state;

#define expect_contradiction(change, message_)                                                     \
    do {                                                                                           \
        wte_generate_options_init(&o);                                                             \
        change;                                                                                    \
        assert_int_equal(wte_generate_options_check(&o, &err), WTE_E_RANGE);                       \
        assert_non_null(strstr(err.message, message_));                                            \
    } while (0)
    expect_contradiction(o.temperature = -1, "temperature is -1, expected a number above 0");
    expect_contradiction(o.temperature = NAN, "temperature is nan");
    expect_contradiction(o.temperature = INFINITY, "temperature is inf");
    expect_contradiction(o.top_p = 1.5f, "top_p is 1.5, expected 0 to 1");
    expect_contradiction(o.top_p = -0.1f, "top_p is -0.1");
    expect_contradiction(o.min_p = 2, "min_p is 2, expected 0 to 1");
    expect_contradiction(o.typical_p = 0, "typical_p is 0, expected above 0, to 1");
    expect_contradiction(o.epsilon_cutoff = 1, "epsilon_cutoff is 1, expected 0 to below 1");
    expect_contradiction(o.eta_cutoff = -1, "eta_cutoff is -1, expected 0 to below 1");
    expect_contradiction(o.repetition_penalty = 0, "repetition_penalty is 0");
    expect_contradiction(o.length_penalty = NAN, "length_penalty is nan, expected a finite number");
    expect_contradiction(o.max_time = -1, "max_time is -1");
    expect_contradiction(o.penalty_alpha = 1.1f, "penalty_alpha is 1.1, expected 0 to 1");
    expect_contradiction(o.diversity_penalty = -1, "diversity_penalty is -1");
    expect_contradiction(o.decay_factor = -1, "exponential_decay_length_penalty is -1");
    expect_contradiction(o.xtc_threshold = 0.6f, "xtc_threshold is 0.6, expected 0 to 0.5");
    expect_contradiction(o.xtc_probability = 2, "xtc_probability is 2, expected 0 to 1");
    expect_contradiction(o.top_n_sigma = -1, "top_n_sigma is -1");
    expect_contradiction(o.mirostat_tau = -1, "mirostat_tau is -1");
    expect_contradiction(o.mirostat_eta = -1, "mirostat_eta is -1");
    expect_contradiction(o.dry_multiplier = -1, "dry_multiplier is -1");
    expect_contradiction(o.dry_base = 0.5f, "dry_base is 0.5, expected a number from 1 up");
    expect_contradiction((o.dry_multiplier = 1, o.dry_allowed_length = 0),
                         "dry_allowed_length is 0");
    expect_contradiction((o.stop_strings = no_text, o.n_stop_strings = 1), "string 0 is empty");
    expect_contradiction((o.stop_strings = text, o.n_stop_strings = 1), "needs a tokenizer");
    expect_contradiction((o.bad_words = empty, o.n_bad_words = 1), "word 0 has no tokens");
    expect_contradiction((o.sequence_bias = endless, o.n_sequence_bias = 1), "bias 0 is inf");
    expect_contradiction((o.force_words = word, o.n_force_words = 1, o.num_beams = 2),
                         "word 0 has no choices");
    expect_contradiction((o.force_words = hollow, o.n_force_words = 1, o.num_beams = 2),
                         "choice 0 of word 0 has no tokens");
    expect_contradiction((o.force_words = good, o.n_force_words = 1),
                         "force_words_ids with num_beams 1");
    expect_contradiction(
        (o.force_words = good, o.n_force_words = 1, o.num_beams = 2, o.do_sample = 1),
        "force_words_ids with do_sample");
    expect_contradiction(o.max_length = 0, "max_length is 0");
    expect_contradiction(o.min_length = 21, "min_length is 21, but max_length is 20");
    expect_contradiction((o.max_new_tokens = 3, o.min_new_tokens = 4),
                         "min_new_tokens is 4, but max_new_tokens is 3");
    expect_contradiction(o.decay_factor = 1.1f, "needs eos_token_id");
    expect_contradiction(o.num_beams = 0, "num_beams is 0");
    expect_contradiction(o.num_beam_groups = 0, "num_beam_groups is 0");
    expect_contradiction(o.num_return_sequences = 0, "num_return_sequences is 0");
    expect_contradiction((o.num_beams = 3, o.num_beam_groups = 2, o.diversity_penalty = 1),
                         "num_beams is 3 and num_beam_groups 2");
    expect_contradiction((o.num_beams = 2, o.num_beam_groups = 2), "diversity_penalty is 0");
    expect_contradiction((o.num_beams = 2, o.diversity_penalty = 1), "num_beam_groups is 1");
    expect_contradiction(
        (o.num_beams = 2, o.num_beam_groups = 2, o.diversity_penalty = 1, o.do_sample = 1),
        "groups do not sample");
    expect_contradiction((o.num_beams = 2, o.num_return_sequences = 3),
                         "num_return_sequences is 3, but num_beams is 2");
    expect_contradiction(o.num_return_sequences = 3, "num_return_sequences is 3, expected 1");
    expect_contradiction((o.penalty_alpha = 0.6f, o.top_k = 0), "top_k is 0");
    expect_contradiction((o.penalty_alpha = 0.6f, o.do_sample = 1), "with do_sample");
    expect_contradiction((o.penalty_alpha = 0.6f, o.num_beams = 2), "with num_beams above 1");
    expect_contradiction((o.prompt_lookup_num_tokens = 3, o.num_beams = 2), "num_beams is 2");
    expect_contradiction(o.mirostat_tau = 5, "mirostat_tau needs do_sample");
    expect_contradiction((o.mirostat_tau = 5, o.do_sample = 1, o.num_beams = 2), "num_beams is 2");
    expect_contradiction(o.xtc_probability = 0.5f, "xtc_probability needs do_sample");
    expect_contradiction((o.xtc_probability = 0.5f, o.do_sample = 1, o.xtc_threshold = 0),
                         "xtc_threshold is 0");
    expect_contradiction(o.top_n_sigma = 1, "top_n_sigma needs do_sample");
#undef expect_contradiction
}

/* ---- pieces ----------------------------------------------------------------------------- */

static int best_first(const void *x, const void *y)
{
    const sorted *a = x, *b = y;

    if (a->key != b->key)
        return a->key > b->key ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

static void the_best_are_those_of_a_sort(void **state)
{
    static float scores[MAX_VOCAB];
    static sorted list[MAX_VOCAB];
    static uint32_t got[MAX_VOCAB];
    uint64_t seed = 15;
    (void)state;

    for (int round = 0; round < 300; round++) {
        size_t n = 1 + wte__random(&seed) % 1000, k = wte__random(&seed) % (n + 1);

        make_scores(&seed, round % 6, scores, n);
        for (size_t i = 0; i < n; i++)
            list[i] = (sorted){(double)scores[i], 0, (uint32_t)i};
        qsort(list, n, sizeof *list, best_first);
        wte_best(scores, n, k, got);
        for (size_t i = 0; i < k; i++)
            assert_int_equal(got[i], list[i].id);
    }
    scores[0] = NAN;
    scores[1] = no;
    scores[2] = 1;
    wte_best(scores, 3, 5, got); /* more than there are: all */
    assert_int_equal(got[0], 2);
    assert_int_equal(got[1], 1);
    assert_int_equal(got[2], 0);
}

static void softmax_is_that_of_float64(void **state)
{
    static float scores[MAX_VOCAB];
    static double want[MAX_VOCAB];
    uint64_t seed = 16;
    (void)state;

    for (int round = 0; round < 60; round++) {
        size_t n = 1 + wte__random(&seed) % MAX_VOCAB;

        make_scores(&seed, round % 6, scores, n);
        probabilities(scores, n, want);
        wte_softmax(scores, n, scores);
        for (size_t i = 0; i < n; i++)
            assert_true(fabs((double)scores[i] - want[i]) <= 1e-7);
    }
}

static void a_draw_from_few_is_the_draw_from_all(void **state)
{
    enum { N = 5000 };
    static float scores[N], probs[N], want[N];
    uint64_t seed = 17;
    wte_generator a, b;
    (void)state;

    wte_generator_seed(&a, 3);
    for (int round = 0; round < 200; round++) {
        size_t n = 1 + wte__random(&seed) % N, few = 1 + wte__random(&seed) % 60;
        uint32_t got, expected;

        for (size_t i = 0; i < n; i++)
            scores[i] = round % 4 == 0 ? (float)(i % 7) : no; /* every fourth time all */
        for (size_t i = 0; i < few; i++)
            scores[wte__random(&seed) % n] = (float)(i % 5);
        if (round % 3 == 0)
            (void)wte_generator_u32(&a);
        b = a;
        wte_softmax(scores, n, want);
        assert_int_equal(wte_generator_multinomial(&b, want, n, 1, 0, &expected, NULL), WTE_OK);
        assert_int_equal(wte__draw(&a, scores, n, probs, &got, NULL), WTE_OK);
        assert_int_equal(got, expected);
        assert_int_equal(wte_generator_u32(&a), wte_generator_u32(&b));
        for (size_t i = 0; i < n; i++)
            assert_true(fabsf(probs[i] - want[i]) <= 1e-7f && (probs[i] > 0) == (want[i] > 0));
    }
    scores[0] = NAN;
    assert_int_equal(wte__draw(&a, scores, 1, probs, (uint32_t[1]){0}, NULL), WTE_E_RANGE);
    scores[0] = no;
    assert_int_equal(wte__draw(&a, scores, 1, probs, (uint32_t[1]){0}, NULL), WTE_E_RANGE);
}

static void both_ways_of_compiling_give_the_same_bits(void **state)
{
    static float x[MAX_VOCAB], p[MAX_VOCAB], y[2][MAX_VOCAB], q[2][MAX_VOCAB];
    const wte__passes *both[] = {&wte__passes_c, wte__passes_of_machine()};
    uint64_t seed = 18;
    (void)state;

    for (int round = 0; round < 200; round++) {
        size_t n = 1 + wte__random(&seed) % (round % 2 ? 40 : MAX_VOCAB), counts[2][3];
        double sums[2][5];
        float bounds[2][2];

        make_scores(&seed, round % 6, x, n);
        wte_softmax(x, n, p);
        for (int i = 0; i < 2; i++) {
            memcpy(y[i], x, n * sizeof *x);
            memcpy(q[i], p, n * sizeof *p);
            sums[i][0] = both[i]->sum(p, n);
            sums[i][1] = both[i]->weigh(x, p, n, -1, 2, &counts[i][0]);
            sums[i][2] = both[i]->surprise(x, p, n, 3);
            counts[i][1] = both[i]->moments(x, n, 2, &sums[i][3], &sums[i][4]);
            counts[i][2] = both[i]->count_ge(x, n, 0.5f);
            both[i]->ends(x, n, &bounds[i][0], &bounds[i][1]);
            both[i]->mask(y[i], 0.5f, n, y[i], q[i]);
            both[i]->subtract(y[i], n, 1, 2);
            both[i]->divide(y[i], n, 3);
            both[i]->distances(q[i], n, 0.1f, q[i]);
            both[i]->make_finite(y[i], n);
        }
        assert_memory_equal(sums[0], sums[1], sizeof sums[0]);
        assert_memory_equal(counts[0], counts[1], sizeof counts[0]);
        assert_memory_equal(bounds[0], bounds[1], sizeof bounds[0]);
        assert_memory_equal(y[0], y[1], n * sizeof *x);
        assert_memory_equal(q[0], q[1], n * sizeof *x);
    }
}

static void a_float_is_read_as_it_was_typed(void **state)
{
    (void)state;
    assert_true(wte__meant(0.9f) == 0.9);
    assert_true(wte__meant(0.95f) == 0.95);
    assert_true(wte__meant(1.2f) == 1.2);
    assert_true(wte__meant(3e-4f) == 3e-4);
    assert_true(wte__meant(0.811f) == 0.811);
    assert_true((float)wte__meant(0x1.234566p-3f) == 0x1.234566p-3f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_stand_in_the_published_order),
        cmocka_unit_test(everything_at_once_leaves_a_distribution),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(biases_add_up_where_their_prefix_stands),
        cmocka_unit_test(bad_words_are_ruled_out_but_an_eos_is_not),
        cmocka_unit_test(repetition_is_punished_once_and_towards_minus),
        cmocka_unit_test(earlier_groups_are_avoided_by_how_often_they_chose),
        cmocka_unit_test(an_eos_waits_for_the_length),
        cmocka_unit_test(forced_tokens_come_at_their_place),
        cmocka_unit_test(suppressed_at_the_beginning_only),
        cmocka_unit_test(decay_favours_the_eos_more_and_more),
        cmocka_unit_test(prefix_allows_what_it_fills),
        cmocka_unit_test(renormalised_scores_are_log_probabilities),
        cmocka_unit_test(matches_equal_those_counted_one_by_one),
        cmocka_unit_test(no_ngram_stands_twice),
        cmocka_unit_test(dry_equals_its_definition),
        cmocka_unit_test(dry_discourages_however_long_the_match),
        cmocka_unit_test(cuts_equal_those_by_sorting),
        cmocka_unit_test(of_equal_tokens_top_p_keeps_those_with_higher_ids),
        cmocka_unit_test(top_k_keeps_ties),
        cmocka_unit_test(temperature_divides),
        cmocka_unit_test(sigma_does_not_depend_on_the_temperature),
        cmocka_unit_test(xtc_leaves_the_least_likely_of_the_top_choices),
        cmocka_unit_test(xtc_comes_as_often_as_asked_and_the_same_when_asked_again),
        cmocka_unit_test(mirostat_follows_the_surprise),
        cmocka_unit_test(broken_scores_are_named),
        cmocka_unit_test(who_ruled_out_the_last_token_is_named),
        cmocka_unit_test(scores_that_leave_the_numbers_are_named),
        cmocka_unit_test(impossible_chains_are_refused),
        cmocka_unit_test(defaults_are_consistent),
        cmocka_unit_test(contradictions_are_named),
        cmocka_unit_test(the_best_are_those_of_a_sort),
        cmocka_unit_test(softmax_is_that_of_float64),
        cmocka_unit_test(a_draw_from_few_is_the_draw_from_all),
        cmocka_unit_test(both_ways_of_compiling_give_the_same_bits),
        cmocka_unit_test(a_float_is_read_as_it_was_typed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
