/* SPDX-License-Identifier: MIT */
/* test_generate.c - wte_generate(): what must hold whatever the weights
 *
 * On networks of random weights. That the tokens are the right ones is test_generate_golden's
 * matter; here searches are compared among themselves (alone and in a batch, with drafts and
 * without, on few threads and many) and with a plain computation of what they report. */
#include "small_gpt2.h"
#include "generate/search.h"
#include "wte/generate.h"

enum { EOS = 7 };

static wte_session *session_of(size_t n_sequences, unsigned n_threads)
{
    wte_session_options options = WTE_SESSION_DEFAULTS;

    options.n_sequences = n_sequences;
    options.n_threads = n_threads;
    return test_session(&gpt2, options);
}

/* ---- strategies -------------------------------------------------------------------------- */

static const uint32_t EOS_IDS[] = {EOS, 11};
static const uint32_t PROMPTS[4][12] = {
    {5, 9, 5, 9, 5}, {3}, {1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 13, 14}, {60, 1, 60}};
static const wte_ids ALL[4] = {{PROMPTS[0], 5}, {PROMPTS[1], 1}, {PROMPTS[2], 12}, {PROMPTS[3], 3}};
static const uint32_t WORD_A[] = {20, 21, 22}, WORD_B[] = {20, 23}, WORD_C[] = {30};
static const wte_ids CHOICES[] = {{WORD_A, 3}, {WORD_B, 2}}, ONE[] = {{WORD_C, 1}};
static const wte_forced_word FORCED[] = {{CHOICES, 2}, {ONE, 1}};

static void set_greedy(wte_generate_options *o)
{
    o->repetition_penalty = 1.1f;
}

static void set_sample(wte_generate_options *o)
{
    o->do_sample = 1;
    o->seed = 5;
    o->top_p = 0.9f;
    o->temperature = 1.5f;
}

static void set_mirostat(wte_generate_options *o)
{
    o->do_sample = 1;
    o->seed = 6;
    o->top_k = 0;
    o->mirostat_tau = 3;
}

static void set_beams(wte_generate_options *o)
{
    o->num_beams = 4;
    o->num_return_sequences = 3;
    o->eos = (wte_ids){EOS_IDS, 2};
}

static void set_beam_sample(wte_generate_options *o)
{
    o->num_beams = 3;
    o->do_sample = 1;
    o->seed = 9;
}

static void set_groups(wte_generate_options *o)
{
    o->num_beams = 4;
    o->num_beam_groups = 2;
    o->num_return_sequences = 4;
    o->diversity_penalty = 1;
    o->eos = (wte_ids){EOS_IDS, 1};
}

static void set_forced(wte_generate_options *o)
{
    o->num_beams = 4;
    o->force_words = FORCED;
    o->n_force_words = 2;
    o->eos = (wte_ids){EOS_IDS, 1};
}

static void set_contrastive(wte_generate_options *o)
{
    o->penalty_alpha = 0.6f;
    o->top_k = 4;
}

static const struct {
    const char *name;
    void (*set)(wte_generate_options *o);
} STRATEGIES[] = {{"greedy", set_greedy},           {"sample", set_sample},
                  {"mirostat", set_mirostat},       {"beams", set_beams},
                  {"groups", set_groups},           {"beam sample", set_beam_sample},
                  {"contrastive", set_contrastive}, {"forced", set_forced}};

enum { N_STRATEGIES = sizeof STRATEGIES / sizeof *STRATEGIES };

static wte_generate_options options_of(size_t strategy, size_t max_new_tokens)
{
    wte_generate_options o;

    wte_generate_options_init(&o);
    o.max_new_tokens = max_new_tokens;
    STRATEGIES[strategy].set(&o);
    return o;
}

static wte_generation generate_in(wte_session *session, const wte_ids *prompts, size_t n,
                                  const wte_generate_options *o)
{
    wte_generation g = {0};
    wte_error err = {0};

    if (wte_generate(session, prompts, n, o, &g, &err) != WTE_OK)
        fail_msg("%s", err.message);
    assert_int_equal(g.n, n * o->num_return_sequences);
    return g;
}

static wte_generation generate(const wte_ids *prompts, size_t n, const wte_generate_options *o,
                               unsigned n_threads)
{
    wte_session *session = session_of(wte_generate_sequences(o, n), n_threads);
    wte_generation g = generate_in(session, prompts, n, o);

    wte_session_free(session);
    return g;
}

static void assert_same(const char *name, const wte_generated *a, const wte_generated *b)
{
    if (a->n != b->n || memcmp(a->ids, b->ids, a->n * sizeof *a->ids) != 0) {
        size_t at = 0;

        while (at < a->n && at < b->n && a->ids[at] == b->ids[at])
            at++;
        fail_msg("%s: token %zu of %zu is %u, expected %u of %zu", name, at, a->n, a->ids[at],
                 b->ids[at], b->n);
    }
    assert_int_equal(a->finish, b->finish);
    assert_int_equal(a->n_prompt, b->n_prompt);
    test_same_bits(name, a->token_scores, b->token_scores, a->n - a->n_prompt);
    assert_true(a->score == b->score && a->sum_log_prob == b->sum_log_prob);
}

/* ---- agreement --------------------------------------------------------------------------- */

static void a_batch_gives_what_its_prompts_give_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_STRATEGIES; i++) {
        const wte_generate_options o = options_of(i, 10);
        const size_t n = wte_generate_sequences(&o, 1) > 2 ? 2 : 4; /* WTE_SMALL_BATCH rows */
        wte_generation batch;

        if (o.do_sample) /* prompts share the generator */
            continue;
        batch = generate(ALL, n, &o, 1);
        for (size_t p = 0; p < n; p++) {
            wte_generation one = generate(&ALL[p], 1, &o, 1);

            for (size_t j = 0; j < o.num_return_sequences; j++)
                assert_same(STRATEGIES[i].name, &batch.sequences[p * o.num_return_sequences + j],
                            &one.sequences[j]);
            wte_generation_free(&one);
        }
        wte_generation_free(&batch);
    }
}

static void any_number_of_threads_gives_the_same_tokens(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_STRATEGIES; i++) {
        const wte_generate_options o = options_of(i, 12);
        wte_generation one = generate(ALL, 4, &o, 1);

        for (unsigned n_threads = 2; n_threads <= 7; n_threads += 5) {
            wte_generation many = generate(ALL, 4, &o, n_threads);

            for (size_t j = 0; j < one.n; j++)
                assert_same(STRATEGIES[i].name, &many.sequences[j], &one.sequences[j]);
            wte_generation_free(&many);
        }
        wte_generation_free(&one);
    }
}

/* Drafts are found in texts that repeat themselves: a small temperature, a long text. */
static void drafts_change_no_token_and_save_passes(void **state)
{
    size_t n_saved = 0;
    (void)state;

    for (int which = 0; which < 5; which++) {
        wte_generate_options o = options_of(which == 4 ? 2 : which > 0, 30);
        wte_generation plain, drafted;
        const size_t n = which == 0 ? 3 : 1;

        o.repetition_penalty = which ? 1 : 0.8f;
        o.temperature = which == 1 ? 0.2f : which == 2 ? 0.5f : 1;
        o.eos = (wte_ids){EOS_IDS, which == 3};
        o.max_new_tokens = 28;
        plain = generate(ALL, n, &o, 1);
        for (o.prompt_lookup_num_tokens = 1; o.prompt_lookup_num_tokens < 12;
             o.prompt_lookup_num_tokens += 3) {
            drafted = generate(ALL, n, &o, 1);
            for (size_t j = 0; j < plain.n; j++)
                assert_same("drafts", &drafted.sequences[j], &plain.sequences[j]);
            assert_true(drafted.n_steps + drafted.n_accepted >= plain.n_steps);
            assert_true(drafted.n_steps <= plain.n_steps);
            if (n == 1)
                assert_int_equal(drafted.n_steps + drafted.n_accepted, plain.n_steps);
            n_saved += plain.n_steps - drafted.n_steps;
            wte_generation_free(&drafted);
        }
        wte_generation_free(&plain);
    }
    assert_true(n_saved > 20);
}

static void a_draft_is_what_followed_the_longest_match(void **state)
{
    static const uint32_t ids[] = {1, 2, 3, 4, 9, 3, 5, 2, 3, 6, 1, 2, 3};
    static const uint32_t latest[] = {3, 4, 3, 5, 3};
    uint32_t draft[8];
    (void)state;

    assert_int_equal(wte__lookup(ids, 13, draft, 8), 8);
    assert_int_equal(draft[0], 4);
    assert_int_equal(wte__lookup(ids, 9, draft, 8), 6); /* ...2 3 stood at the begin */
    assert_int_equal(draft[0], 4);
    assert_int_equal(wte__lookup(ids, 6, draft, 8), 3); /* ...3 4 9 3 */
    assert_int_equal(draft[1], 9);
    assert_int_equal(wte__lookup(latest, 5, draft, 8), 2); /* not the 4 that followed 3 first */
    assert_int_equal(draft[0], 5);
    assert_int_equal(wte__lookup(ids, 4, draft, 8), 0);
    assert_int_equal(wte__lookup(ids, 1, draft, 8), 0);
    assert_int_equal(wte__lookup(ids, 0, draft, 8), 0);
}

/* One generator for all: what a sample draws does not depend on when another ended. */
static void a_sample_that_ends_leaves_the_others_as_they_were(void **state)
{
    wte_generate_options o = options_of(1, 12);
    wte_generation free_running, ended;
    uint32_t eos = V;
    (void)state;

    o.num_return_sequences = 2;
    free_running = generate(ALL, 1, &o, 1);
    for (size_t i = 5; i < 12 && eos == V; i++) { /* a token of the first that the second has not */
        eos = free_running.sequences[0].ids[i];
        for (size_t j = 5; j < 17; j++)
            if (free_running.sequences[1].ids[j] == eos) {
                eos = V;
                break;
            }
    }
    assert_true(eos < V);
    o.eos = (wte_ids){&eos, 1};
    ended = generate(ALL, 1, &o, 1);
    assert_int_equal(ended.sequences[0].finish, WTE_FINISH_EOS);
    assert_true(ended.sequences[0].n < 17);
    assert_same("the other sample", &ended.sequences[1], &free_running.sequences[1]);
    wte_generation_free(&ended);
    wte_generation_free(&free_running);
}

/* ---- what is reported -------------------------------------------------------------------- */

/* The sum of log-probabilities that the network itself gives, from one run of the whole. */
static double naive_sum(const wte_generated *g)
{
    wte_session *s = session_of(1, 1);
    float log_probs[V];
    double sum = 0;

    test_run_ids(s, g->ids, g->n, WTE_LOGITS_ALL);
    for (size_t i = g->n_prompt; i < g->n; i++) {
        wte_log_softmax(wte_session_logits(s, i - 1), V, log_probs);
        sum += (double)log_probs[g->ids[i]];
    }
    wte_session_free(s);
    return sum;
}

static void sums_of_log_probs_are_the_networks_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_STRATEGIES; i++) {
        wte_generate_options o = options_of(i, 9);
        wte_generation g;

        o.eos.n = o.eos.n > 1 ? 1 : o.eos.n; /* of several the first is shown */
        g = generate(ALL, 4, &o, 1);
        for (size_t j = 0; j < g.n; j++) {
            assert_float_equal(g.sequences[j].sum_log_prob, naive_sum(&g.sequences[j]), 1e-3);
            if (o.num_beams == 1)
                assert_true(g.sequences[j].score == g.sequences[j].sum_log_prob);
        }
        wte_generation_free(&g);
    }
}

/* Contrastive search's scores from their definition, with one run for each candidate. */
typedef struct contrasted {
    uint32_t ids[CTX];
    size_t n, n_compared;
    float alpha;
} contrasted;

static double cosine(const float *x, const float *y)
{
    double xy = 0, xx = 0, yy = 0;

    for (size_t i = 0; i < E; i++) {
        xy += (double)x[i] * (double)y[i];
        xx += (double)x[i] * (double)x[i];
        yy += (double)y[i] * (double)y[i];
    }
    return xy / sqrt(xx * yy);
}

static int compare_contrast(void *data, const wte_trace_step *step)
{
    contrasted *c = data;
    wte_session *s = session_of(1, 1);
    double best = -INFINITY;
    uint32_t chosen = V, want = V;

    for (size_t i = 0; i < step->n; i++) {
        const wte_candidate *one = &step->candidates[i];
        double likest = -1, score;

        wte_session_truncate(s, 0, 0);
        c->ids[c->n] = one->id;
        test_run_ids(s, c->ids, c->n + 1, WTE_LOGITS_NONE);
        for (size_t j = 0; j < c->n; j++)
            likest = fmax(likest, cosine(wte_session_hidden(s, j), wte_session_hidden(s, c->n)));
        score = (1 - (double)c->alpha) * (double)one->processed - (double)c->alpha * likest;
        assert_float_equal(one->score, score, 1e-5);
        if (score > best)
            best = score, want = one->id;
        if (one->chosen)
            chosen = one->id;
        c->n_compared++;
    }
    assert_int_equal(chosen, want);
    c->ids[c->n++] = chosen;
    wte_session_free(s);
    return 0;
}

static void contrastive_scores_are_those_of_the_paper(void **state)
{
    wte_generate_options o = options_of(6, 10);
    contrasted c = {.n = ALL[2].n, .alpha = 0.6f};
    wte_generation g;
    (void)state;

    memcpy(c.ids, ALL[2].ids, c.n * sizeof *c.ids);
    o.on_step = compare_contrast;
    o.on_step_data = &c;
    g = generate(&ALL[2], 1, &o, 1);
    assert_int_equal(c.n_compared, 40);
    assert_memory_equal(g.sequences[0].ids, c.ids, g.sequences[0].n * sizeof(uint32_t));
    wte_generation_free(&g);
}

static void forced_words_appear(void **state)
{
    const wte_generate_options o = options_of(7, 14);
    wte_generation g = generate(ALL, 4, &o, 1);
    (void)state;

    for (size_t i = 0; i < g.n; i++) {
        const wte_generated *s = &g.sequences[i];
        int words = 0;

        for (size_t j = s->n_prompt; j < s->n; j++) {
            words |= s->ids[j] == 30 ? 1 : 0;
            words |= j + 1 < s->n && s->ids[j] == 20 && s->ids[j + 1] == 23 ? 2 : 0;
            words |= j + 2 < s->n && memcmp(s->ids + j, WORD_A, sizeof WORD_A) == 0 ? 2 : 0;
        }
        assert_int_equal(words, 3);
    }
    wte_generation_free(&g);
}

typedef struct told {
    uint32_t ids[4][CTX];
    size_t n[4], total, stop_at;
} told;

static int tell(void *data, size_t sequence, uint32_t id)
{
    told *t = data;

    assert_in_range(sequence, 0, 3);
    t->ids[sequence][t->n[sequence]++] = id;
    return ++t->total == t->stop_at;
}

static void tokens_are_told_as_they_come(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_STRATEGIES; i++) {
        wte_generate_options o = options_of(i, 9);
        told t = {0};
        wte_generation g;

        o.num_return_sequences = i == 1 ? 2 : 1;
        o.on_token = tell;
        o.on_token_data = &t;
        g = generate(ALL, 2, &o, 1);
        for (size_t j = 0; j < g.n; j++) {
            assert_int_equal(t.n[j], g.sequences[j].n - g.sequences[j].n_prompt);
            assert_memory_equal(t.ids[j], g.sequences[j].ids + g.sequences[j].n_prompt,
                                t.n[j] * sizeof(uint32_t));
        }
        wte_generation_free(&g);
    }
}

/* ---- the trace --------------------------------------------------------------------------- */

typedef struct watched {
    const wte_generate_options *o;
    size_t n_steps[4], stop_at, total;
    double last_sum; /* of the best that goes on */
    bool penalty_seen;
} watched;

static int watch(void *data, const wte_trace_step *step)
{
    watched *w = data;
    const bool beams = w->o->num_beams > 1;
    size_t n_chosen = 0;

    assert_in_range(step->prompt, 0, 3);
    assert_true(step->step <= w->n_steps[step->prompt]);
    w->n_steps[step->prompt] = step->step + 1;
    assert_true(step->n > 0);
    for (size_t i = 0; i < step->n; i++) {
        const wte_candidate *c = &step->candidates[i];
        double last = (double)c->prob;

        assert_true(c->id < V && c->prob >= 0 && c->prob <= 1);
        n_chosen += c->chosen != 0;
        for (size_t j = 0; j < step->n_stages; j++)
            last = (double)step->stage_probs[i * step->n_stages + j];
        assert_true((double)c->processed == last);
        w->penalty_seen |= c->processed != c->prob;
        if (i > 0 && w->o->num_beam_groups == 1 && w->o->n_force_words == 0)
            assert_true(c->score <= c[-1].score);
        if (c->chosen == 1)
            assert_true(c->next_beam < w->o->num_beams * w->o->num_return_sequences);
    }
    assert_true(beams ? n_chosen > 0 : n_chosen == 1);
    return ++w->total == w->stop_at;
}

static void a_trace_tells_every_step_and_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_STRATEGIES; i++) {
        wte_generate_options o = options_of(i, 9);
        wte_generation untraced = generate(ALL, 2, &o, 1), traced;
        watched w = {.o = &o};

        o.on_step = watch;
        o.on_step_data = &w;
        traced = generate(ALL, 2, &o, 1);
        for (size_t j = 0; j < traced.n; j++) {
            const wte_generated *s = &traced.sequences[j];

            assert_same(STRATEGIES[i].name, s, &untraced.sequences[j]);
            assert_true(w.n_steps[j / o.num_return_sequences] >= s->n - s->n_prompt);
        }
        assert_int_equal(w.penalty_seen, i < 3 || i == 4 || i == 5);
        wte_generation_free(&traced);
        wte_generation_free(&untraced);
    }
}

/* ---- ends -------------------------------------------------------------------------------- */

static void a_full_context_is_an_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_STRATEGIES; i++) {
        wte_generate_options o = options_of(i, 1000);
        wte_generation g;

        o.eos.n = 0;
        o.early_stopping = WTE_EARLY_STOPPING_NEVER;
        g = generate(ALL, 4, &o, 1);
        for (size_t j = 0; j < g.n; j++) {
            assert_int_equal(g.sequences[j].finish, WTE_FINISH_CONTEXT);
            assert_int_equal(g.sequences[j].n, CTX);
        }
        wte_generation_free(&g);
        o.max_new_tokens = 0;
        o.max_length = CTX;
        g = generate(ALL, 4, &o, 1);
        assert_int_equal(g.sequences[0].finish, WTE_FINISH_LENGTH);
        wte_generation_free(&g);
    }
}

static void searches_can_be_stopped_and_keep_what_they_have(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_STRATEGIES; i++) {
        wte_generate_options o = options_of(i, 20);
        wte_session *session = session_of(wte_generate_sequences(&o, 2), 1);
        watched w = {.o = &o, .stop_at = 9};
        told t = {.stop_at = 5};
        wte_generation g;

        o.eos.n = 0;
        wte_session_cancel(session); /* before the first prompt is through */
        g = generate_in(session, ALL, 2, &o);
        for (size_t j = 0; j < g.n; j++) {
            assert_int_equal(g.sequences[j].finish, WTE_FINISH_CANCELLED);
            assert_int_equal(g.sequences[j].n, g.sequences[j].n_prompt);
            assert_true(g.sequences[j].score == 0 && g.sequences[j].sum_log_prob == 0);
        }
        wte_generation_free(&g);
        o.on_step = watch;
        o.on_step_data = &w;
        g = generate_in(session, ALL, 2, &o);
        assert_int_equal(w.total, 9);
        assert_int_equal(g.sequences[0].finish, WTE_FINISH_CANCELLED);
        assert_true(g.sequences[0].n > g.sequences[0].n_prompt);
        wte_generation_free(&g);
        o.on_step = NULL;
        o.on_token = tell;
        o.on_token_data = &t;
        g = generate_in(session, ALL, 2, &o);
        assert_int_equal(t.total, 5);
        wte_generation_free(&g);
        o.on_token = NULL;
        o.max_time = 1e-9;
        g = generate_in(session, ALL, 2, &o);
        assert_int_equal(g.sequences[0].finish, WTE_FINISH_TIME);
        wte_generation_free(&g);
        wte_session_free(session);
    }
}

static void any_of_several_eos_ends_a_sequence(void **state)
{
    wte_generate_options o = options_of(0, 12);
    wte_generation g = generate(ALL, 1, &o, 1), ended;
    uint32_t eos[2];
    (void)state;

    eos[0] = V - 1, eos[1] = g.sequences[0].ids[8];
    o.eos = (wte_ids){eos, 2};
    ended = generate(ALL, 1, &o, 1);
    assert_int_equal(ended.sequences[0].finish, WTE_FINISH_EOS);
    assert_true(ended.sequences[0].n <= 9);
    assert_int_equal(ended.sequences[0].ids[ended.sequences[0].n - 1], eos[1]);
    wte_generation_free(&g);
    wte_generation_free(&ended);
}

/* At the last token only EOS are possible: fewer continuations than a step looks at. */
static void a_forced_eos_ends_every_search(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_STRATEGIES; i++) {
        wte_generate_options o = options_of(i, 5);
        wte_generation g;

        o.eos = o.forced_eos = (wte_ids){EOS_IDS, 1};
        o.min_new_tokens = 4;
        o.n_force_words = 0;
        g = generate(ALL, 4, &o, 1);
        for (size_t j = 0; j < g.n; j++) {
            assert_int_equal(g.sequences[j].finish, WTE_FINISH_EOS);
            assert_int_equal(g.sequences[j].n, g.sequences[j].n_prompt + 5);
            assert_int_equal(g.sequences[j].ids[g.sequences[j].n - 1], EOS);
        }
        wte_generation_free(&g);
    }
}

/* The small tokenizer's ids below 256 are single bytes. */
static void a_stop_string_may_cross_tokens_and_begin_in_the_prompt(void **state)
{
    wte_tokenizer *tokenizer = NULL;
    char text[CTX * 8] = "";
    const char *stops[] = {"no such text", text};
    wte_error err = {0};
    (void)state;

    if (wte_tokenizer_open(test_file("golden/models/gpt2"), &tokenizer, &err) != WTE_OK)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < N_STRATEGIES; i++) {
        wte_generate_options o = options_of(i, 12);
        wte_generation g, ended;
        size_t len = 0;

        o.num_return_sequences = 1;
        o.eos.n = 0;
        g = generate(ALL, 1, &o, 1);
        for (size_t j = 3; j < 9; j++) { /* two tokens of the prompt, four new ones */
            size_t n;
            const char *piece = wte_tokenizer_piece(tokenizer, g.sequences[0].ids[j], &n);

            assert_true(n > 0 && len + n < sizeof text);
            memcpy(text + len, piece, n);
            len += n;
        }
        text[len] = '\0';
        o.tokenizer = tokenizer;
        o.stop_strings = stops;
        o.n_stop_strings = 2;
        ended = generate(ALL, 1, &o, 1);
        if (o.num_beams == 1) {
            assert_int_equal(ended.sequences[0].finish, WTE_FINISH_STOP_STRING);
            assert_int_equal(ended.sequences[0].n, 9);
            assert_memory_equal(ended.sequences[0].ids, g.sequences[0].ids, 9 * sizeof(uint32_t));
        }
        wte_generation_free(&ended);
        wte_generation_free(&g);
    }
    wte_tokenizer_free(tokenizer);
}

/* Every token is a stop string: nothing can go on after the first. */
static void beams_that_all_end_in_stop_strings_are_done(void **state)
{
    wte_tokenizer *tokenizer = NULL;
    char texts[V][8] = {{0}};
    const char *stops[V];
    (void)state;

    assert_int_equal(wte_tokenizer_open(test_file("golden/models/gpt2"), &tokenizer, NULL), WTE_OK);
    for (uint32_t id = 0; id < V; id++) {
        size_t n;
        const char *piece = wte_tokenizer_piece(tokenizer, id, &n);

        assert_in_range(n, 1, 7);
        memcpy(texts[id], piece, n);
        stops[id] = texts[id];
    }
    for (size_t i = 0; i < N_STRATEGIES; i++) {
        wte_generate_options o = options_of(i, 12);
        wte_generation g;

        o.eos.n = 0;
        o.n_force_words = 0;
        o.tokenizer = tokenizer;
        o.stop_strings = stops;
        o.n_stop_strings = V;
        g = generate(ALL, 1, &o, 1);
        for (size_t j = 0; j < g.n; j++) {
            assert_int_equal(g.sequences[j].finish, WTE_FINISH_STOP_STRING);
            assert_int_equal(g.sequences[j].n, g.sequences[j].n_prompt + 1);
            assert_true(isfinite(g.sequences[j].score));
        }
        wte_generation_free(&g);
    }
    wte_tokenizer_free(tokenizer);
}

static bool ends_with(const wte_tokenizer *tokenizer, const char *stop, const char *const *pieces,
                      size_t n)
{
    const char *const stops[] = {"xxxx", stop};
    wte_generate_options o;
    wte__search s = {.o = &o};
    uint32_t ids[8];
    wte_finish why;
    bool ends;

    wte_generate_options_init(&o);
    o.tokenizer = tokenizer;
    o.stop_strings = stops;
    o.n_stop_strings = 2;
    assert_int_equal(wte__stops_new(&s.stops, &o, NULL), WTE_OK);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(wte_tokenizer_find(tokenizer, pieces[i], strlen(pieces[i]), &ids[i], NULL),
                         WTE_OK);
    ends = wte__ends(&s, ids, n - 1, ids[n - 1], &why);
    wte__stops_free(&s.stops);
    return ends;
}

static void a_stop_string_counts_where_it_ends_in_the_newest_token(void **state)
{
    static const char *const pieces[] = {"a", "b", "c", "d"};
    wte_tokenizer *t = NULL;
    (void)state;

    assert_int_equal(wte_tokenizer_open(test_file("golden/models/gpt2"), &t, NULL), WTE_OK);
    assert_true(ends_with(t, "d", pieces, 4));
    assert_true(ends_with(t, "cd", pieces, 4));
    assert_true(ends_with(t, "abcd", pieces, 4));
    assert_false(ends_with(t, "bc", pieces, 4));
    assert_false(ends_with(t, "abc", pieces, 4));
    assert_false(ends_with(t, "c", pieces, 4));
    assert_false(ends_with(t, "xabcd", pieces, 4));
    assert_false(ends_with(t, "de", pieces, 4));
    assert_true(ends_with(t, "a", pieces, 1));
    assert_false(ends_with(t, "ab", pieces, 1));
    wte_tokenizer_free(t);
}

/* ---- failures ---------------------------------------------------------------------------- */

static void assert_fails(wte_session *session, const wte_ids *prompts, size_t n,
                         const wte_generate_options *o, wte_status status, const char *says)
{
    wte_generation g = {0};
    wte_error err = {0};

    assert_int_equal(wte_generate(session, prompts, n, o, &g, &err), status);
    if (!strstr(err.message, says))
        fail_msg("\"%s\" does not say \"%s\"", err.message, says);
    assert_null(g.sequences);
}

static void what_cannot_be_is_refused(void **state)
{
    static const uint32_t too_high[] = {3, V};
    uint32_t long_ids[CTX] = {0};
    wte_session *session = session_of(4, 1), *bert;
    wte_generate_options o = options_of(0, 5);
    test_network other;
    (void)state;

    assert_fails(session, ALL, 0, &o, WTE_E_RANGE, "no prompts");
    assert_fails(session, &(wte_ids){too_high, 2}, 1, &o, WTE_E_RANGE, "token 1 has id 61");
    assert_fails(session, &(wte_ids){too_high, 0}, 1, &o, WTE_E_RANGE, "no tokens");
    assert_fails(session, &(wte_ids){long_ids, CTX}, 1, &o, WTE_E_RANGE, "40 tokens");
    o.num_beams = 5;
    assert_fails(session, ALL, 1, &o, WTE_E_RANGE, "this search needs 5");
    o = options_of(0, 0);
    o.max_length = 5;
    assert_fails(session, ALL, 1, &o, WTE_E_RANGE, "max_length 5");
    o.eos = (wte_ids){too_high + 1, 1};
    assert_fails(session, &ALL[1], 1, &o, WTE_E_RANGE, "id 61");
    other = test_network_open(test_network_write("bert", &BERT, SIZE_MAX), WTE_PRECISION_F32);
    bert = test_session(&other, (wte_session_options)WTE_SESSION_DEFAULTS);
    o = options_of(0, 5);
    assert_fails(bert, ALL, 1, &o, WTE_E_UNSUPPORTED, "BERT");
    wte_session_free(bert);
    test_network_close(&other);
    wte_session_free(session);
}

static void all_tokens_ruled_out_is_an_error_not_a_hang(void **state)
{
    uint32_t all[V];
    wte_session *session = session_of(4, 1);
    (void)state;

    for (uint32_t i = 0; i < V; i++)
        all[i] = i;
    for (size_t i = 0; i < 2; i++) {
        wte_generate_options o = options_of(i, 5);

        o.suppress = (wte_ids){all, V};
        assert_fails(session, ALL, 1, &o, WTE_E_RANGE, "suppress");
    }
    wte_session_free(session);
}

/* From the third token or step to the eighth every allocation fails. */
static int forbid(void *data, size_t sequence, uint32_t id)
{
    size_t *n = data;
    (void)sequence, (void)id;

    wte__fail_alloc(++*n >= 3 && *n < 8 ? 0 : -1);
    return 0;
}

static int forbid_step(void *data, const wte_trace_step *step)
{
    return forbid(data, step->prompt, 0);
}

static void steps_allocate_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_STRATEGIES; i++) {
        wte_generate_options o = options_of(i, 9);
        size_t n = 0;
        wte_generation g;

        o.eos.n = 0;
        if (o.num_beams > 1)
            o.on_step = forbid_step, o.on_step_data = &n;
        else
            o.on_token = forbid, o.on_token_data = &n;
        g = generate(ALL, 1, &o, 1);
        assert_int_equal(n, 9);
        wte_generation_free(&g);
    }
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_STRATEGIES; i++) {
        wte_generate_options o = options_of(i, 4);
        wte_session *session = session_of(wte_generate_sequences(&o, 2), 1);
        watched w = {.o = &o};
        wte_generation g = {0};
        wte_error err = {0};
        wte_status status = WTE_E_NOMEM;
        long nth;

        o.on_step = watch;
        o.on_step_data = &w;
        for (nth = 0; status == WTE_E_NOMEM; nth++) {
            assert_null(g.sequences);
            assert_in_range(nth, 0, 1000);
            w = (watched){.o = &o};
            wte__fail_alloc(nth);
            status = wte_generate(session, ALL, 2, &o, &g, &err);
            wte__fail_alloc(-1);
        }
        assert_int_equal(status, WTE_OK);
        assert_true(nth > 8);
        wte_generation_free(&g);
        wte_session_free(session);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_gives_what_its_prompts_give_alone),
        cmocka_unit_test(any_number_of_threads_gives_the_same_tokens),
        cmocka_unit_test(drafts_change_no_token_and_save_passes),
        cmocka_unit_test(a_draft_is_what_followed_the_longest_match),
        cmocka_unit_test(sums_of_log_probs_are_the_networks_own),
        cmocka_unit_test(a_sample_that_ends_leaves_the_others_as_they_were),
        cmocka_unit_test(contrastive_scores_are_those_of_the_paper),
        cmocka_unit_test(forced_words_appear),
        cmocka_unit_test(tokens_are_told_as_they_come),
        cmocka_unit_test(a_trace_tells_every_step_and_changes_nothing),
        cmocka_unit_test(a_full_context_is_an_end),
        cmocka_unit_test(searches_can_be_stopped_and_keep_what_they_have),
        cmocka_unit_test(any_of_several_eos_ends_a_sequence),
        cmocka_unit_test(a_forced_eos_ends_every_search),
        cmocka_unit_test(a_stop_string_may_cross_tokens_and_begin_in_the_prompt),
        cmocka_unit_test(beams_that_all_end_in_stop_strings_are_done),
        cmocka_unit_test(a_stop_string_counts_where_it_ends_in_the_newest_token),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(all_tokens_ruled_out_is_an_error_not_a_hang),
        cmocka_unit_test(steps_allocate_nothing),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, open_gpt2, close_gpt2);
}
