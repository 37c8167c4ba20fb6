/* SPDX-License-Identifier: MIT */
/* contrastive.c - contrastive search: likely, and unlike what was said
 *
 * Of the top_k most likely tokens v the one is taken whose (1 - alpha) * p(v) - alpha * s(v) is
 * largest, where s(v) is the largest cosine between the hidden state that v would have and those of
 * all tokens before it, after the final layer norm. To know the hidden state v must be run: all
 * candidates go through the network as one pass, each as a fork of the text, and the winner's fork
 * is the text from then on, with the logits of the next step already there.
 *
 * Hidden states are kept divided by their length, [tokens, n_embd], so that a cosine is a product.
 *
 * Source: Su et al. 2022, arXiv:2202.06417; ties go to the likelier candidate. */
#include "generate/search.h"
#include <math.h>

/* A token that may be next. */
typedef struct choice {
    uint32_t id;
    float prob, score; /* after the chain */
    double log_prob;   /* of the network */
} choice;

typedef struct contrastive {
    wte__tracks tracks;
    size_t top_k;
    uint32_t *best;         /* [top_k] */
    float *hidden;          /* [n_tracks, capacity, n_embd] of length 1 */
    choice *choices;        /* [n_tracks, top_k] */
    float *scores, *probs;  /* [n_vocab] */
    float *next_hidden;     /* [top_k, n_embd] of length 1 */
    float *cosines, *ranks; /* [capacity], [top_k] */
    float *logits;          /* [n_tracks, n_vocab] of a trace, else NULL */
} contrastive;

static void end_contrastive(wte__search *s)
{
    contrastive *g = s->state;

    if (!g)
        return;
    wte__tracks_free(&g->tracks);
    wte__free(g->best);
    wte__free(g->hidden);
    wte__free(g->choices);
    wte__free(g->scores);
    wte__free(g->probs);
    wte__free(g->next_hidden);
    wte__free(g->cosines);
    wte__free(g->ranks);
    wte__free(g->logits);
    wte__free(g);
    s->state = NULL;
}

static bool take_memory(wte__search *s, contrastive *g)
{
    size_t floats;

    if (!wte__tracks_new(&g->tracks, s) ||
        wte__mul_overflows(g->tracks.n * s->capacity, s->n_embd, &floats))
        return false;
    g->hidden = wte__calloc(floats, sizeof *g->hidden);
    g->choices = wte__calloc(g->tracks.n, g->top_k * sizeof *g->choices);
    g->best = wte__calloc(g->top_k, sizeof *g->best);
    g->scores = wte__calloc(s->n_vocab, sizeof *g->scores);
    g->probs = wte__calloc(s->n_vocab, sizeof *g->probs);
    g->next_hidden = wte__calloc(g->top_k, s->n_embd * sizeof *g->next_hidden);
    g->cosines = wte__calloc(s->capacity, sizeof *g->cosines);
    g->ranks = wte__calloc(g->top_k, sizeof *g->ranks);
    if (wte__tracing(s))
        g->logits = wte__calloc(g->tracks.n, s->n_vocab * sizeof *g->logits);
    return g->hidden && g->choices && g->best && g->scores && g->probs && g->next_hidden &&
           g->cosines && g->ranks && (g->logits || !wte__tracing(s));
}

static wte_status begin_contrastive(wte__search *s, wte_error *err)
{
    contrastive *g = s->state = wte__calloc(1, sizeof *g);

    if (!g)
        goto nomem;
    g->top_k = s->o->top_k < s->n_vocab ? s->o->top_k : s->n_vocab;
    if (!take_memory(s, g))
        goto nomem;
    return wte__trace_new(s, g->tracks.n, g->top_k, err);
nomem:
    return wte__fail(err, WTE_E_NOMEM, "no memory for contrastive search over %zu tokens",
                     s->capacity);
}

/* The hidden states of a track's tokens. */
static float *hidden_of(const wte__search *s, size_t index)
{
    const contrastive *g = s->state;

    return g->hidden + index * s->capacity * s->n_embd;
}

/* The tokens that may be next. */
static choice *choices_of(const wte__search *s, size_t index)
{
    const contrastive *g = s->state;

    return g->choices + index * g->top_k;
}

/* The first of the session's sequences that a track has. */
static uint32_t sequence_of(const wte__search *s, size_t index)
{
    return (uint32_t)(index / s->n_return * s->per_prompt + index % s->n_return * s->o->top_k);
}

static void make_unit(const float *hidden, size_t n, float *out)
{
    const double length = sqrt(wte__kernel()->sumsq_f32(hidden, n));
    const float scale = length > 0 ? (float)(1 / length) : 0;

    for (size_t i = 0; i < n; i++)
        out[i] = hidden[i] * scale;
}

/* Find the likeliest tokens after a text. */
static wte_status find_choices(wte__search *s, size_t index, const float *logits, wte_error *err)
{
    contrastive *g = s->state;
    const wte__track *t = &g->tracks.items[index];
    choice *choices = choices_of(s, index);
    const double shift = wte__log_sum(logits, s->n_vocab);
    wte_status status;

    memcpy(g->scores, logits, s->n_vocab * sizeof *g->scores);
    if (g->logits)
        memcpy(g->logits + index * s->n_vocab, logits, s->n_vocab * sizeof *g->logits);
    status = wte__search_apply(s, t->ids, t->n, t->n_prompt, index, index, g->scores, err);
    if (status)
        return status;
    wte_softmax(g->scores, s->n_vocab, g->probs);
    wte_best(g->probs, s->n_vocab, g->top_k, g->best);
    for (size_t i = 0; i < g->top_k; i++) {
        const uint32_t id = g->best[i];

        choices[i] = (choice){id, g->probs[id], g->scores[id], (double)logits[id] - shift};
    }
    return WTE_OK;
}

/* ---- passes -------------------------------------------------------------------------------- */

static wte_status first_contrastive(wte__search *s, size_t prompt, size_t row, wte_error *err)
{
    contrastive *g = s->state;
    const float *logits = wte_session_logits(s->session, row);
    const uint32_t from = sequence_of(s, prompt * s->n_return);

    for (size_t i = prompt * s->n_return; i < (prompt + 1) * s->n_return; i++) {
        const wte__track *t = &g->tracks.items[i];
        wte_status status = find_choices(s, i, logits, err);

        if (status)
            return status;
        for (size_t j = 0; j < t->n; j++)
            make_unit(wte_session_hidden(s->session, row + 1 - t->n + j), s->n_embd,
                      hidden_of(s, i) + j * s->n_embd);
        for (size_t j = 0; j < g->top_k; j++)
            wte_session_fork(s->session, from, sequence_of(s, i) + (uint32_t)j);
    }
    return WTE_OK;
}

static void fill_contrastive(wte__search *s)
{
    contrastive *g = s->state;

    for (size_t i = 0; i < g->tracks.n; i++) {
        wte__track *t = &g->tracks.items[i];

        t->row = s->n_rows;
        for (size_t j = 0; j < g->top_k && t->running; j++)
            wte__search_row(s, sequence_of(s, i) + (uint32_t)j, choices_of(s, i)[j].id);
    }
}

/* Rank the candidates whose rows the pass gave. Returns the best. */
static size_t rank(wte__search *s, size_t index)
{
    const wte__kernels *k = wte__kernel();
    contrastive *g = s->state;
    const wte__track *t = &g->tracks.items[index];
    const choice *choices = choices_of(s, index);
    const float alpha = s->o->penalty_alpha;
    size_t best = 0;

    for (size_t j = 0; j < g->top_k; j++) {
        float *unit = g->next_hidden + j * s->n_embd;

        make_unit(wte_session_hidden(s->session, t->row + j), s->n_embd, unit);
        k->dot_f32_rows((const unsigned char *)hidden_of(s, index), NULL, s->n_embd * sizeof(float),
                        t->n, unit, s->n_embd, g->cosines);
        g->ranks[j] = (1 - alpha) * choices[j].prob - alpha * k->max_f32(g->cosines, t->n);
        if (g->ranks[j] > g->ranks[best])
            best = j;
    }
    return best;
}

static void trace_choices(wte__search *s, size_t index, size_t chosen)
{
    contrastive *g = s->state;
    const wte__track *t = &g->tracks.items[index];
    const choice *choices = choices_of(s, index);
    const float *logits = g->logits + index * s->n_vocab;
    const double shift = wte__log_sum(logits, s->n_vocab);
    const uint32_t beam = (uint32_t)(index % s->n_return);

    wte_best(g->ranks, g->top_k, g->top_k, g->best);
    for (size_t i = 0; i < g->top_k; i++) {
        const uint32_t j = g->best[i];
        wte_candidate *c = wte__trace_add(s, index, beam, choices[j].id, logits, shift);

        c->score = (double)g->ranks[j];
        c->next_beam = beam;
        if (j == chosen)
            c->chosen = t->running ? 1 : 2;
    }
    wte__trace_end(s, t->n - t->n_prompt - 1, index / s->n_return);
}

static wte_status next_contrastive(wte__search *s, wte_error *err)
{
    contrastive *g = s->state;

    for (size_t i = 0; i < g->tracks.n && !s->halted; i++) {
        const wte__track *t = &g->tracks.items[i];
        const choice *c;
        size_t best;
        uint32_t winner;

        if (!t->running)
            continue;
        best = rank(s, i);
        c = &choices_of(s, i)[best];
        memcpy(hidden_of(s, i) + t->n * s->n_embd, g->next_hidden + best * s->n_embd,
               s->n_embd * sizeof *g->hidden);
        wte__track_append(s, &g->tracks, i, c->id, c->score, c->log_prob);
        if (wte__tracing(s))
            trace_choices(s, i, best);
        winner = sequence_of(s, i) + (uint32_t)best;
        for (uint32_t q = sequence_of(s, i); q < sequence_of(s, i) + g->top_k; q++) {
            if (!t->running)
                wte_session_truncate(s->session, q, 0);
            else
                wte_session_fork(s->session, winner, q);
        }
        if (t->running && !s->halted) {
            wte_status status =
                find_choices(s, i, wte_session_logits(s->session, t->row + best), err);

            if (status)
                return status;
        }
    }
    return WTE_OK;
}

static void result_contrastive(wte__search *s, size_t prompt, wte_generated *out)
{
    const contrastive *g = s->state;

    wte__tracks_result(s, &g->tracks, prompt, out);
}

const wte__strategy wte__contrastive = {.begin = begin_contrastive,
                                        .end = end_contrastive,
                                        .first = first_contrastive,
                                        .fill = fill_contrastive,
                                        .next = next_contrastive,
                                        .result = result_contrastive};
