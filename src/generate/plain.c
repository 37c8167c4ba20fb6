/* SPDX-License-Identifier: MIT */
/* plain.c - greedy search and sampling, one token after the other or several at once
 *
 * A step takes the logits after the newest token, lets the chain change them and takes the largest
 * or draws one. With prompt lookup a pass also runs a draft of the tokens to come (lookup.c): the
 * row of each token says what follows it, so rows are used in order for as long as the draft was
 * right, and what the session holds beyond is cut off. A pass of up to WTE_SMALL_BATCH rows gives a
 * row the same bits as a pass of its own, and a token is chosen, and the generator used, once for
 * each token of the text; so drafts cannot change the text. Several samples draw in turns from one
 * generator, which drafts would upset: they run without.
 *
 * As in transformers, samples that have ended still take their share of random numbers while others
 * go on. */
#include "generate/search.h"
#include <math.h>

enum { SHOWN = 10 }; /* candidates of the network, and of the chain, in a trace */

typedef struct plain {
    wte__tracks tracks;
    float *scores, *probs; /* [n_vocab] */
} plain;

static void end_plain(wte__search *s)
{
    plain *g = s->state;

    if (!g)
        return;
    wte__tracks_free(&g->tracks);
    wte__free(g->scores);
    wte__free(g->probs);
    wte__free(g);
    s->state = NULL;
}

static wte_status begin_plain(wte__search *s, wte_error *err)
{
    plain *g = s->state = wte__calloc(1, sizeof *g);

    if (!g || !wte__tracks_new(&g->tracks, s))
        goto nomem;
    g->scores = wte__calloc(s->n_vocab, sizeof *g->scores);
    g->probs = wte__calloc(s->n_vocab, sizeof *g->probs);
    if (!g->scores || !g->probs)
        goto nomem;
    return wte__trace_new(s, 1, 2 * SHOWN + 1, err);
nomem:
    return wte__fail(err, WTE_E_NOMEM, "no memory for %zu sequences of %zu tokens",
                     s->n_prompts * s->n_return, s->capacity);
}

static uint32_t sequence_of(const wte__search *s, size_t index)
{
    return (uint32_t)(index / s->n_return * s->per_prompt + index % s->n_return);
}

/* ---- one token ----------------------------------------------------------------------------- */

static bool listed(const uint32_t *ids, size_t n, uint32_t id)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] == id)
            return true;
    return false;
}

/* Show the best of the chain, the best of the network and the chosen one, by the chain's scores. */
static void trace_token(wte__search *s, size_t index, const float *logits, double shift,
                        const float *scores, uint32_t chosen)
{
    plain *g = s->state;
    const wte__track *t = &g->tracks.items[index];
    const size_t shown = s->n_vocab < SHOWN ? s->n_vocab : SHOWN;
    uint32_t ids[2 * SHOWN + 1], raw[SHOWN];
    size_t n = shown;

    wte_best(scores, s->n_vocab, shown, ids);
    wte_best(logits, s->n_vocab, shown, raw);
    for (size_t i = 0; i <= shown; i++) {
        const uint32_t id = i < shown ? raw[i] : chosen;
        size_t at = n;

        if (listed(ids, n, id))
            continue;
        while (at > shown && scores[ids[at - 1]] < scores[id])
            at--;
        memmove(ids + at + 1, ids + at, (n - at) * sizeof *ids);
        ids[at] = id;
        n++;
    }
    for (size_t i = 0; i < n; i++) {
        wte_candidate *c =
            wte__trace_add(s, 0, (uint32_t)(index % s->n_return), ids[i], logits, shift);

        c->score = (double)scores[ids[i]];
        if (ids[i] == chosen)
            c->chosen = t->running ? 1 : 2;
        c->next_beam = c->beam;
    }
    wte__trace_end(s, t->n - t->n_prompt - 1, index / s->n_return);
}

/* Choose the token that follows a sequence. */
static wte_status choose(wte__search *s, size_t index, const float *logits, wte_error *err)
{
    plain *g = s->state;
    const wte__track *t = &g->tracks.items[index];
    const float *scores = logits;
    const double shift = wte__log_sum(logits, s->n_vocab);
    uint32_t id;
    wte_status status;

    if (wte_chain_length(s->chain)) {
        memcpy(g->scores, logits, s->n_vocab * sizeof *g->scores);
        scores = g->scores;
        status = wte__search_apply(s, t->ids, t->n, t->n_prompt, index, 0, g->scores, err);
        if (status)
            return status;
    }
    if (s->o->do_sample) {
        status = wte__draw(&s->generator, scores, s->n_vocab, g->probs, &id, err);
        if (status)
            return status;
        wte__chain_drawn(s->chain, index, g->probs[id]);
    } else {
        wte_best(scores, s->n_vocab, 1, &id);
    }
    wte__track_append(s, &g->tracks, index, id, scores[id], (double)logits[id] - shift);
    if (wte__tracing(s))
        trace_token(s, index, logits, shift, scores, id);
    return WTE_OK;
}

/* ---- passes -------------------------------------------------------------------------------- */

static wte_status first_plain(wte__search *s, size_t prompt, size_t row, wte_error *err)
{
    plain *g = s->state;
    const float *logits = wte_session_logits(s->session, row);

    for (size_t i = prompt * s->n_return; i < (prompt + 1) * s->n_return && !s->halted; i++) {
        wte_status status = choose(s, i, logits, err);

        if (status)
            return status;
        if (g->tracks.items[i].running)
            wte_session_fork(s->session, sequence_of(s, prompt * s->n_return), sequence_of(s, i));
    }
    if (!g->tracks.items[prompt * s->n_return].running)
        wte_session_truncate(s->session, sequence_of(s, prompt * s->n_return), 0);
    return WTE_OK;
}

static size_t find_draft(const wte__search *s, const wte__track *t, size_t room, uint32_t *draft)
{
    size_t max = s->o->prompt_lookup_num_tokens;

    if (max > room)
        max = room;
    if (max > t->length - t->n - 1) /* the pass itself gives the last one */
        max = t->length - t->n - 1;
    return max ? wte__lookup(t->ids, t->n, draft, max) : 0;
}

static void fill_plain(wte__search *s)
{
    plain *g = s->state;
    size_t room = g->tracks.n_running < WTE_SMALL_BATCH ? WTE_SMALL_BATCH - g->tracks.n_running : 0;

    if (s->o->prompt_lookup_num_tokens == 0 || (s->o->do_sample && g->tracks.n > 1))
        room = 0;
    for (size_t i = 0; i < g->tracks.n; i++) {
        wte__track *t = &g->tracks.items[i];
        uint32_t draft[WTE_SMALL_BATCH];

        if (!t->running)
            continue;
        t->row = wte__search_row(s, sequence_of(s, i), t->ids[t->n - 1]);
        t->n_draft = find_draft(s, t, room, draft);
        for (size_t j = 0; j < t->n_draft; j++)
            wte__search_row(s, sequence_of(s, i), draft[j]);
        room -= t->n_draft;
    }
}

/* A sample that has ended takes as many numbers as one that goes on. */
static void skip_draw(wte__search *s)
{
    for (size_t i = 0; i < s->n_vocab; i++)
        wte_generator_u64(&s->generator);
}

static wte_status next_plain(wte__search *s, wte_error *err)
{
    plain *g = s->state;

    for (size_t i = 0; i < g->tracks.n && !s->halted; i++) {
        wte__track *t = &g->tracks.items[i];
        const uint32_t *draft = s->ids + t->row + 1;
        wte_status status;

        if (!t->running) {
            if (s->o->do_sample)
                skip_draw(s);
            continue;
        }
        for (size_t j = 0;; j++) {
            status = choose(s, i, wte_session_logits(s->session, t->row + j), err);
            if (status)
                return status;
            if (j == t->n_draft || !t->running || s->halted || t->ids[t->n - 1] != draft[j])
                break;
            s->n_accepted++;
        }
        wte_session_truncate(s->session, sequence_of(s, i), t->running ? t->n - 1 : 0);
    }
    return WTE_OK;
}

static void result_plain(wte__search *s, size_t prompt, wte_generated *out)
{
    const plain *g = s->state;

    wte__tracks_result(s, &g->tracks, prompt, out);
}

const wte__strategy wte__plain = {.begin = begin_plain,
                                  .end = end_plain,
                                  .first = first_plain,
                                  .fill = fill_plain,
                                  .next = next_plain,
                                  .result = result_plain};
