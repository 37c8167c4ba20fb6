/* SPDX-License-Identifier: MIT */
/* test_generate_golden.c - wte_generate() against transformers' generate(), row by row
 *
 * generate.jsonl of the reference data: ids must be equal, scores within 1e-4. Where a row says
 * what transformers 4.40 gives, that is expected. A mismatch names the row, the first new token
 * that differs and both candidates with their scores. */
#include "golden.h"
#include "wte/generate.h"

enum { MAX_IDS = 64, MAX_LISTS = 32 };

/* Options of a row and what they point to. */
typedef struct row_options {
    wte_generate_options o;
    uint32_t ids[MAX_LISTS][MAX_IDS];
    size_t n_lists;
    wte_ids bad_words[MAX_LISTS], choices[MAX_LISTS];
    wte_sequence_bias biases[MAX_LISTS];
    wte_forced_word forced[MAX_LISTS];
    size_t n_choices;
} row_options;

static wte_ids read_ids(row_options *r, const json_t *value)
{
    uint32_t *ids = r->ids[r->n_lists++];
    wte_ids out = {ids, 1};

    assert_in_range(r->n_lists, 1, MAX_LISTS);
    if (json_is_integer(value)) {
        ids[0] = (uint32_t)json_integer_value(value);
        return out;
    }
    out.n = json_array_size(value);
    assert_in_range(out.n, 1, MAX_IDS);
    for (size_t i = 0; i < out.n; i++)
        ids[i] = (uint32_t)json_integer_value(json_array_get(value, i));
    return out;
}

static void read_lists(row_options *r, const char *key, const json_t *value)
{
    const size_t n = json_array_size(value);

    assert_in_range(n, 1, MAX_LISTS);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(value, i);

        if (strcmp(key, "bad_words_ids") == 0) {
            r->bad_words[i] = read_ids(r, item);
        } else if (strcmp(key, "sequence_bias") == 0) {
            r->biases[i].sequence = read_ids(r, json_array_get(item, 0));
            r->biases[i].bias = (float)json_number_value(json_array_get(item, 1));
        } else {
            const bool nested = json_is_array(json_array_get(item, 0));
            const size_t n_choices = nested ? json_array_size(item) : 1;

            r->forced[i] = (wte_forced_word){r->choices + r->n_choices, n_choices};
            for (size_t j = 0; j < n_choices; j++)
                r->choices[r->n_choices++] = read_ids(r, nested ? json_array_get(item, j) : item);
        }
    }
    if (strcmp(key, "bad_words_ids") == 0)
        r->o.bad_words = r->bad_words, r->o.n_bad_words = n;
    else if (strcmp(key, "sequence_bias") == 0)
        r->o.sequence_bias = r->biases, r->o.n_sequence_bias = n;
    else
        r->o.force_words = r->forced, r->o.n_force_words = n;
}

static bool read_size(wte_generate_options *o, const char *key, size_t value)
{
    const struct {
        const char *key;
        size_t *to;
    } all[] = {{"max_new_tokens", &o->max_new_tokens},
               {"min_length", &o->min_length},
               {"min_new_tokens", &o->min_new_tokens},
               {"num_beams", &o->num_beams},
               {"num_beam_groups", &o->num_beam_groups},
               {"num_return_sequences", &o->num_return_sequences},
               {"no_repeat_ngram_size", &o->no_repeat_ngram_size},
               {"top_k", &o->top_k}};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(key, all[i].key) == 0) {
            *all[i].to = value;
            return true;
        }
    return false;
}

static bool read_float(wte_generate_options *o, const char *key, double value)
{
    const struct {
        const char *key;
        float *to;
    } all[] = {{"temperature", &o->temperature},
               {"top_p", &o->top_p},
               {"typical_p", &o->typical_p},
               {"epsilon_cutoff", &o->epsilon_cutoff},
               {"eta_cutoff", &o->eta_cutoff},
               {"penalty_alpha", &o->penalty_alpha},
               {"length_penalty", &o->length_penalty},
               {"diversity_penalty", &o->diversity_penalty},
               {"repetition_penalty", &o->repetition_penalty}};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(key, all[i].key) == 0) {
            *all[i].to = (float)value;
            return true;
        }
    return false;
}

static void read_option(row_options *r, const char *key, const json_t *value)
{
    wte_generate_options *o = &r->o;

    if (json_is_number(value) && read_float(o, key, json_number_value(value)))
        return;
    if (json_is_integer(value) && read_size(o, key, (size_t)json_integer_value(value)))
        return;
    if (strcmp(key, "pad_token_id") == 0) {
        o->pad_id = json_integer_value(value);
    } else if (strcmp(key, "eos_token_id") == 0) {
        o->eos = read_ids(r, value);
    } else if (strcmp(key, "forced_eos_token_id") == 0) {
        o->forced_eos = read_ids(r, value);
    } else if (strcmp(key, "suppress_tokens") == 0) {
        o->suppress = read_ids(r, value);
    } else if (strcmp(key, "begin_suppress_tokens") == 0) {
        o->begin_suppress = read_ids(r, value);
    } else if (strcmp(key, "do_sample") == 0) {
        o->do_sample = json_is_true(value);
    } else if (strcmp(key, "renormalize_logits") == 0) {
        o->renormalize_logits = json_is_true(value);
    } else if (strcmp(key, "early_stopping") == 0) {
        o->early_stopping = json_is_string(value) ? WTE_EARLY_STOPPING_NEVER
                            : json_is_true(value) ? WTE_EARLY_STOPPING_TRUE
                                                  : WTE_EARLY_STOPPING_FALSE;
    } else if (strcmp(key, "exponential_decay_length_penalty") == 0) {
        o->decay_start = (size_t)json_integer_value(json_array_get(value, 0));
        o->decay_factor = (float)json_number_value(json_array_get(value, 1));
    } else if (strcmp(key, "bad_words_ids") == 0 || strcmp(key, "sequence_bias") == 0 ||
               strcmp(key, "force_words_ids") == 0) {
        read_lists(r, key, value);
    } else {
        fail_msg("a parameter that this test does not know: %s", key);
    }
}

static void read_options(row_options *r, const json_t *row)
{
    const char *key;
    json_t *value;

    *r = (row_options){0};
    wte_generate_options_init(&r->o);
    r->o.seed = (uint64_t)json_integer_value(json_object_get(row, "seed"));
    json_object_foreach(json_object_get(row, "params"), key, value) read_option(r, key, value);
}

/* ---- what is expected -------------------------------------------------------------------- */

typedef struct expected {
    uint32_t ids[GOLDEN_TOKENS]; /* without padding */
    size_t n;
    const json_t *token_scores; /* NULL: not known */
    double score;
    bool has_score;
} expected;

static size_t count_padding(const json_t *row, size_t prompt)
{
    const json_t *mask = json_array_get(json_object_get(row, "attention_mask"), prompt);
    size_t n = 0;

    while (n < json_array_size(mask) && json_integer_value(json_array_get(mask, n)) == 0)
        n++;
    return n;
}

static bool is_eos(const wte_generate_options *o, uint32_t id)
{
    for (size_t i = 0; i < o->eos.n; i++)
        if (o->eos.ids[i] == id)
            return true;
    return false;
}

/* The i-th expected sequence; its tokens end with the first EOS after the prompt. */
static expected read_expected(const json_t *row, const wte_generate_options *o, size_t i)
{
    const json_t *alt = json_object_get(row, "alt");
    const json_t *from = json_object_get(alt, "sequences") ? alt : row;
    const json_t *scores = json_object_get(alt ? alt : row, "sequences_scores");
    const size_t prompt = i / o->num_return_sequences, padding = count_padding(row, prompt);
    const size_t n_prompt =
        json_array_size(json_array_get(json_object_get(row, "input_ids"), prompt));
    const json_t *ids = json_array_get(json_object_get(from, "sequences"), i);
    expected e = {0};

    for (size_t j = padding; j < json_array_size(ids); j++) {
        e.ids[e.n++] = (uint32_t)json_integer_value(json_array_get(ids, j));
        if (j >= n_prompt && is_eos(o, e.ids[e.n - 1]))
            break;
    }
    e.has_score = scores != NULL;
    e.score = json_number_value(json_array_get(scores, i));
    if (from == row)
        e.token_scores = json_array_get(json_object_get(row, "transition_scores"), i);
    return e;
}

/* ---- rows -------------------------------------------------------------------------------- */

/* What a trace tells of the candidates, to name them. */
typedef struct seen {
    char text[1 << 16];
    size_t used, step, prompt;
} seen;

static int remember(void *data, const wte_trace_step *step)
{
    seen *s = data;

    if (step->step != s->step || step->prompt != s->prompt)
        return 0;
    for (size_t i = 0; i < step->n && s->used < sizeof s->text - 200; i++)
        s->used +=
            (size_t)snprintf(s->text + s->used, 200, "\n  beam %u token %u score %.9g%s",
                             step->candidates[i].beam, step->candidates[i].id,
                             step->candidates[i].score, step->candidates[i].chosen ? " *" : "");
    return 0;
}

static void fail_ids(wte_session *session, const wte_ids *prompts, size_t n_prompts,
                     wte_generate_options o, const char *label, size_t i, const wte_generated *got,
                     const expected *want)
{
    static seen s;
    wte_generation again = {0};
    size_t at = 0;

    while (at < got->n && at < want->n && got->ids[at] == want->ids[at])
        at++;
    s = (seen){.step = at - got->n_prompt, .prompt = i / o.num_return_sequences};
    o.on_step = remember;
    o.on_step_data = &s;
    wte_generate(session, prompts, n_prompts, &o, &again, NULL);
    wte_generation_free(&again);
    fail_msg("%s: sequence %zu: new token %zu is %lld (score %.7g), expected %lld; lengths %zu and "
             "%zu; score %.7g, expected %.7g; candidates of that step:%s",
             label, i, at - got->n_prompt, at < got->n ? (long long)got->ids[at] : -1LL,
             at < got->n ? (double)got->token_scores[at - got->n_prompt] : NAN,
             at < want->n ? (long long)want->ids[at] : -1LL, got->n, want->n, got->score,
             want->score, s.text);
}

static bool close(double got, double want)
{
    return fabs(got - want) <= 1e-4 + 1e-6 * fabs(want);
}

static void compare_scores(const char *label, size_t i, const wte_generate_options *o,
                           const wte_generated *got, const expected *want)
{
    const size_t n_new = got->n - got->n_prompt;
    double sum = 0;

    if (want->has_score && !close(got->score, want->score))
        fail_msg("%s: sequence %zu: score %.9g, expected %.9g", label, i, got->score, want->score);
    for (size_t j = 0; j < n_new; j++)
        sum += (double)got->token_scores[j];
    if (want->has_score && !close(sum / pow((double)n_new, (double)o->length_penalty), want->score))
        fail_msg("%s: sequence %zu: scores of the tokens do not add up to %.9g", label, i,
                 want->score);
    /* With groups, transformers looks scores up by the number of a beam within its group: they are
     * those of other beams, and do not add up to the sequence's score. */
    for (size_t j = 0; j < n_new && want->token_scores && o->num_beam_groups == 1; j++) {
        const double score = json_number_value(json_array_get(want->token_scores, j));

        /* A hypothesis that ended in another EOS than the first has that one's score there. */
        if (j + 1 == n_new && o->num_beams > 1 && o->eos.n > 1)
            break;
        if (!close((double)got->token_scores[j], score))
            fail_msg("%s: sequence %zu: new token %zu has score %.9g, expected %.9g", label, i, j,
                     (double)got->token_scores[j], score);
    }
}

static void compare_row(const test_network *network, const json_t *row)
{
    const char *label = json_string_value(json_object_get(row, "id"));
    const json_t *input = json_object_get(row, "input_ids");
    const size_t n = json_array_size(input);
    wte_session_options session_options = WTE_SESSION_DEFAULTS;
    static row_options r;
    wte_generation g = {0};
    uint32_t ids[8][GOLDEN_TOKENS];
    wte_ids prompts[8];
    wte_session *session;
    wte_error err = {0};

    read_options(&r, row);
    assert_in_range(n, 1, 8);
    for (size_t p = 0; p < n; p++) {
        const size_t padding = count_padding(row, p);

        prompts[p] = (wte_ids){ids[p] + padding, golden_ids(json_array_get(input, p), ids[p])};
        prompts[p].n -= padding;
    }
    session_options.n_sequences = wte_generate_sequences(&r.o, n);
    session_options.n_threads = 1;
    session = test_session(network, session_options);
    if (wte_generate(session, prompts, n, &r.o, &g, &err) != WTE_OK)
        fail_msg("%s: %s", label, err.message);
    assert_int_equal(g.n, n * r.o.num_return_sequences);
    for (size_t i = 0; i < g.n; i++) {
        const expected want = read_expected(row, &r.o, i);

        assert_int_equal(g.sequences[i].n_prompt, prompts[i / r.o.num_return_sequences].n);
        if (g.sequences[i].n != want.n ||
            memcmp(g.sequences[i].ids, want.ids, want.n * sizeof *want.ids) != 0)
            fail_ids(session, prompts, n, r.o, label, i, &g.sequences[i], &want);
        compare_scores(label, i, &r.o, &g.sequences[i], &want);
    }
    wte_generation_free(&g);
    wte_session_free(session);
}

static void compare_group(const char *group)
{
    const char *path = need_shared("golden/generate.jsonl");
    test_network networks[2] = {{0}};
    static char line[1 << 16];
    size_t n = 0;
    FILE *f = fopen(path, "r");

    assert_non_null(f);
    networks[0] = test_network_open(need_shared("golden/gpt2_small_vocab"), WTE_PRECISION_F32);
    networks[1] = test_network_open(need_shared("golden/gpt2_tiny"), WTE_PRECISION_F32);
    while (fgets(line, sizeof line, f)) {
        json_t *row = json_loads(line, 0, NULL);
        const char *name = json_string_value(json_object_get(row, "group"));
        const char *model = json_string_value(json_object_get(row, "model"));

        assert_non_null(row);
        if (strncmp(name, group, strlen(group)) == 0 &&
            (name[strlen(group)] == '\0' || strcmp(group, "greedy") == 0)) {
            compare_row(&networks[strcmp(model, "gpt2_tiny") == 0], row);
            n++;
        }
        json_decref(row);
    }
    fclose(f);
    assert_true(n > 0);
    print_message("%zu rows of %s\n", n, group);
    test_network_close(&networks[0]);
    test_network_close(&networks[1]);
}

#define AGREES(group)                                                                              \
    static void group##_agrees_with_transformers(void **state)                                     \
    {                                                                                              \
        (void)state;                                                                               \
        compare_group(#group);                                                                     \
    }

AGREES(greedy)
AGREES(sample)
AGREES(beam)
AGREES(beam_full)
AGREES(beam_processors)
AGREES(beam_sample)
AGREES(diverse)
AGREES(constrained)
AGREES(contrastive)
AGREES(batch)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_agrees_with_transformers),
        cmocka_unit_test(sample_agrees_with_transformers),
        cmocka_unit_test(beam_agrees_with_transformers),
        cmocka_unit_test(beam_full_agrees_with_transformers),
        cmocka_unit_test(beam_processors_agrees_with_transformers),
        cmocka_unit_test(beam_sample_agrees_with_transformers),
        cmocka_unit_test(diverse_agrees_with_transformers),
        cmocka_unit_test(constrained_agrees_with_transformers),
        cmocka_unit_test(contrastive_agrees_with_transformers),
        cmocka_unit_test(batch_agrees_with_transformers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
