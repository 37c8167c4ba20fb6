/* SPDX-License-Identifier: MIT */
/* generate.c - prompts, passes and results, whatever the strategy
 *
 * A search is a loop of passes: a strategy says which tokens go through the network next, at most
 * one pass's worth, and then uses their logits. All prompts advance together, because a pass of
 * eight rows reads the weights as often as a pass of one.
 *
 * A prompt is run once, as the first of its sequences, and forked to the others. Prompts run
 * together where that cannot change a bit of their logits: up to WTE_SMALL_BATCH rows in any case;
 * more where products over the matrices sum in the same order for any number of rows, which is so
 * for GPT-2's [in, out], for panels and for 8-bit weights (network/linear.c) unless oneDNN takes
 * them, as long as no more than WTE_SMALL_BATCH of the rows go on to logits. Every prompt is a sequence of its own length: there
 * is no padding, and lengths are those of the prompt itself.
 *
 * Whatever ends a search early (time, a callback, wte_session_cancel()) leaves every sequence with
 * what it has. */
#include "generate/search.h"
#include <math.h>
#include "network/network_internal.h"

const char *wte_finish_name(wte_finish finish)
{
    static const char *const names[] = {"length", "eos",     "stop string",
                                        "time",   "context", "cancelled"};

    return (size_t)finish < sizeof names / sizeof *names ? names[finish] : "unknown";
}

/* ---- what strategies use ------------------------------------------------------------------ */

size_t wte__search_length(const wte__search *s, size_t prompt, wte_finish *why)
{
    const size_t wanted = wte__max_length(s->o, s->prompts[prompt].n);

    *why = wanted > s->context ? WTE_FINISH_CONTEXT : WTE_FINISH_LENGTH;
    return wanted > s->context ? s->context : wanted;
}

size_t wte__search_row(wte__search *s, uint32_t sequence, uint32_t id)
{
    s->sequences[s->n_rows] = sequence;
    s->ids[s->n_rows] = id;
    return s->n_rows++;
}

void wte__search_halt(wte__search *s, wte_finish why)
{
    if (!s->halted)
        s->why = why;
    s->halted = true;
}

double wte__log_sum(const float *x, size_t n)
{
    const wte__kernels *k = wte__kernel();
    const float max = k->max_f32(x, n);

    return isfinite(max) ? (double)max + log(k->sum_exp(x, n, max)) : (double)max;
}

wte_status wte__search_apply(wte__search *s, const uint32_t *ids, size_t n, size_t n_prompt,
                             size_t sequence, size_t slot, float *scores, wte_error *err)
{
    const size_t n_stages = wte_chain_length(s->chain);

    if (!wte__tracing(s))
        return wte_chain_apply(s->chain, ids, n, n_prompt, sequence, 0, n_stages, scores, err);
    for (size_t i = 0; i < n_stages; i++) {
        wte_status status =
            wte_chain_apply(s->chain, ids, n, n_prompt, sequence, i, i + 1, scores, err);

        if (status)
            return status;
        wte__trace_stage(s, slot, i, scores);
    }
    return WTE_OK;
}

/* ---- the loop ------------------------------------------------------------------------------ */

/* Run the rows of a pass. A cancelled one halts the search. */
static wte_status run(wte__search *s, const uint32_t *ids, size_t n, wte_logits logits,
                      wte_error *err)
{
    const wte_batch batch = {.ids = ids, .sequences = s->sequences, .n = n, .logits = logits};
    const wte_status status = wte_session_run(s->session, &batch, err);

    if (status != WTE_E_CANCELLED)
        return status;
    wte__search_halt(s, WTE_FINISH_CANCELLED);
    return WTE_OK;
}

static void check_time(wte__search *s)
{
    if (wte__now_ns() >= s->end_ns)
        wte__search_halt(s, WTE_FINISH_TIME);
}

/* Rows that prompts may share a pass in. */
static size_t shared_rows(const wte__search *s)
{
    const wte__linear *first = &wte_session_network(s->session)->layers[0].qkv[0];

    if (s->session->scratch.onednn_types >> first->type & 1)
        return WTE_SMALL_BATCH;
    if (first->orientation == WTE__OUT_IN && first->type != WTE__WEIGHT_INT8)
        return WTE_SMALL_BATCH;
    return s->session->max_rows;
}

/* Run prompts from `from` on in one pass and let the strategy begin with them. */
static wte_status run_prompts(wte__search *s, size_t from, size_t *end, wte_error *err)
{
    const size_t limit = shared_rows(s);
    size_t n = s->prompts[from].n, row = 0;
    wte_status status;

    for (*end = from + 1; *end < s->n_prompts && *end - from < WTE_SMALL_BATCH; ++*end) {
        if (n + s->prompts[*end].n > limit)
            break;
        n += s->prompts[*end].n;
    }
    s->n_rows = 0;
    for (size_t p = from; p < *end; p++)
        for (size_t i = 0; i < s->prompts[p].n; i++)
            wte__search_row(s, (uint32_t)(p * s->per_prompt), s->prompts[p].ids[i]);
    status = run(s, s->ids, n, WTE_LOGITS_LAST, err);
    for (size_t p = from; p < *end && !status && !s->halted; p++) {
        row += s->prompts[p].n;
        status = s->strategy->first(s, p, row - 1, err);
    }
    return status;
}

static wte_status search(wte__search *s, wte_error *err)
{
    wte_status status = WTE_OK;

    for (size_t p = 0; p < s->n_prompts && !s->halted && !status;) {
        status = run_prompts(s, p, &p, err);
        check_time(s);
    }
    while (!s->halted && !status) {
        s->n_rows = 0;
        s->strategy->fill(s);
        if (s->n_rows == 0)
            break;
        status = run(s, s->ids, s->n_rows, WTE_LOGITS_ALL, err);
        if (status || s->halted)
            break;
        s->n_steps++;
        status = s->strategy->next(s, err);
        check_time(s);
    }
    return status;
}

/* ---- checks -------------------------------------------------------------------------------- */

static const wte__strategy *choose_strategy(const wte_generate_options *o)
{
    if (o->penalty_alpha > 0)
        return &wte__contrastive;
    return o->num_beams > 1 ? &wte__beams : &wte__plain;
}

size_t wte_generate_sequences(const wte_generate_options *o, size_t n_prompts)
{
    size_t n = o->num_beams > o->num_return_sequences ? o->num_beams : o->num_return_sequences;

    if (n == 0)
        n = 1;
    if (o->penalty_alpha > 0 && o->top_k > 0 && wte__mul_overflows(n, o->top_k, &n))
        return SIZE_MAX;
    return wte__mul_overflows(n, n_prompts, &n) ? SIZE_MAX : n;
}

static wte_status check_ids(const wte_ids *ids, const char *what, size_t n_vocab, wte_error *err)
{
    for (size_t i = 0; i < ids->n; i++)
        if (ids->ids[i] >= n_vocab)
            return wte__fail(err, WTE_E_RANGE, "%s: token %zu has id %u: ids go to %zu", what, i,
                             ids->ids[i], n_vocab - 1);
    return WTE_OK;
}

static wte_status check_prompts(const wte__search *s, wte_error *err)
{
    for (size_t p = 0; p < s->n_prompts; p++) {
        const wte_ids *prompt = &s->prompts[p];
        char name[32];
        wte_status status;

        snprintf(name, sizeof name, "prompt %zu", p);
        if (prompt->n == 0)
            return wte__fail(err, WTE_E_RANGE, "%s has no tokens: it needs one to go on from",
                             name);
        status = check_ids(prompt, name, s->n_vocab, err);
        if (status)
            return status;
        if (prompt->n >= s->context)
            return wte__fail(err, WTE_E_RANGE,
                             "%s has %zu tokens: a context of %zu has no room "
                             "for another",
                             name, prompt->n, s->context);
        if (s->o->max_new_tokens == 0 && prompt->n >= s->o->max_length)
            return wte__fail(
                err, WTE_E_RANGE,
                "%s has %zu tokens: max_length %zu, which counts them, allows no other", name,
                prompt->n, s->o->max_length);
    }
    return WTE_OK;
}

/* Find out sizes and check what the options cannot know. */
static wte_status prepare(wte__search *s, wte_error *err)
{
    const wte_network_info *info = wte_network_get_info(wte_session_network(s->session));
    const size_t n_sequences = wte_generate_sequences(s->o, s->n_prompts);
    wte_finish why;
    wte_status status;

    if (info->architecture != WTE_ARCHITECTURE_GPT2)
        return wte__fail(err, WTE_E_UNSUPPORTED, "only GPT-2 generates: this network is a BERT");
    if (s->n_prompts == 0)
        return wte__fail(err, WTE_E_RANGE, "no prompts");
    if (n_sequences > s->session->n_sequences)
        return wte__fail(err, WTE_E_RANGE, "a session of %zu sequences: this search needs %zu",
                         s->session->n_sequences, n_sequences);
    s->per_prompt = n_sequences / s->n_prompts;
    s->n_return = s->o->num_return_sequences ? s->o->num_return_sequences : 1;
    s->n_vocab = info->n_vocab;
    s->n_embd = info->n_embd;
    s->context = s->session->max_tokens;
    status = check_prompts(s, err);
    if (!status)
        status = check_ids(&s->o->eos, "eos", s->n_vocab, err);
    for (size_t i = 0; i < s->o->n_force_words && !status; i++)
        for (size_t j = 0; j < s->o->force_words[i].n && !status; j++)
            status = check_ids(&s->o->force_words[i].choices[j], "forced word", s->n_vocab, err);
    if (status)
        return status;
    s->max_rows = n_sequences > WTE_SMALL_BATCH ? n_sequences : WTE_SMALL_BATCH;
    if (s->max_rows < shared_rows(s))
        s->max_rows = shared_rows(s);
    for (size_t p = 0; p < s->n_prompts; p++) {
        const size_t n = wte__search_length(s, p, &why);

        if (n > s->capacity)
            s->capacity = n;
        if (s->prompts[p].n > s->max_rows)
            s->max_rows = s->prompts[p].n;
    }
    s->end_ns = INT64_MAX;
    if (s->o->max_time > 0 && s->o->max_time < 1e9)
        s->end_ns = wte__now_ns() + (int64_t)(s->o->max_time * 1e9);
    return WTE_OK;
}

/* ---- results ------------------------------------------------------------------------------- */

void wte_generation_free(wte_generation *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->n && g->sequences; i++) {
        wte__free(g->sequences[i].ids);
        wte__free(g->sequences[i].token_scores);
    }
    wte__free(g->sequences);
    *g = (wte_generation){0};
}

/* Turn borrowed arrays into owned ones. */
static bool keep(wte_generated *out, const wte_generated *from)
{
    const size_t n_new = from->n - from->n_prompt;

    *out = *from;
    out->ids = wte__calloc(from->n, sizeof *out->ids);
    out->token_scores = wte__calloc(n_new ? n_new : 1, sizeof *out->token_scores);
    if (!out->ids || !out->token_scores)
        return false;
    memcpy(out->ids, from->ids, from->n * sizeof *out->ids);
    if (n_new)
        memcpy(out->token_scores, from->token_scores, n_new * sizeof *out->token_scores);
    return true;
}

static wte_status collect(wte__search *s, wte_generated *borrowed, wte_generation *out,
                          wte_error *err)
{
    out->sequences = wte__calloc(s->n_prompts, s->n_return * sizeof *out->sequences);
    if (!out->sequences)
        return wte__fail(err, WTE_E_NOMEM, "no memory for the sequences");
    out->n = s->n_prompts * s->n_return;
    for (size_t p = 0; p < s->n_prompts; p++) {
        s->strategy->result(s, p, borrowed);
        for (size_t i = 0; i < s->n_return; i++)
            if (!keep(&out->sequences[p * s->n_return + i], &borrowed[i]))
                return wte__fail(err, WTE_E_NOMEM, "no memory for the sequences");
    }
    out->n_steps = s->n_steps;
    out->n_accepted = s->n_accepted;
    return WTE_OK;
}

/* Searches over beams know their tokens at the end only. */
static void tell_best(const wte__search *s, const wte_generation *g)
{
    for (size_t p = 0; p < s->n_prompts; p++) {
        const wte_generated *best = &g->sequences[p * s->n_return];

        for (size_t i = best->n_prompt; i < best->n; i++)
            if (s->o->on_token(s->o->on_token_data, p * s->n_return, best->ids[i]))
                return;
    }
}

wte_status wte_generate(wte_session *session, const wte_ids *prompts, size_t n,
                        const wte_generate_options *o, wte_generation *out, wte_error *err)
{
    wte__search s = {.session = session, .o = o, .prompts = prompts, .n_prompts = n};
    wte_generation result = {0};
    wte_generated *borrowed = NULL;
    wte_status status = wte_generate_options_check(o, err);

    if (status)
        return status;
    status = prepare(&s, err);
    if (status)
        return status;
    s.strategy = choose_strategy(o);
    wte_generator_seed(&s.generator, o->seed);
    s.ids = wte__calloc(s.max_rows, sizeof *s.ids);
    s.sequences = wte__calloc(s.max_rows, sizeof *s.sequences);
    borrowed = wte__calloc(s.n_return, sizeof *borrowed);
    if (!s.ids || !s.sequences || !borrowed) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for a search");
        goto end;
    }
    status = wte_chain_new(o, s.n_vocab, o->num_beams > 1 ? 2 : 1, &s.chain, err);
    if (!status)
        status = wte__stops_new(&s.stops, o, err);
    if (!status)
        status = s.strategy->begin(&s, err);
    if (status)
        goto end;
    for (size_t i = 0; i < n * s.per_prompt; i++)
        wte_session_truncate(session, (uint32_t)i, 0);
    status = search(&s, err);
    if (!status)
        status = collect(&s, borrowed, &result, err);
    if (status)
        goto end;
    if (s.strategy == &wte__beams && o->on_token)
        tell_best(&s, &result);
    *out = result;
    result = (wte_generation){0};
end:
    wte_generation_free(&result);
    s.strategy->end(&s);
    wte__trace_free(&s.trace);
    wte__stops_free(&s.stops);
    wte_chain_free(s.chain);
    wte__free(borrowed);
    wte__free(s.sequences);
    wte__free(s.ids);
    return status;
}
