/* SPDX-License-Identifier: MIT */
/* constrained.c - beam search in which given words must appear
 *
 * A text is read from its first token, the prompt's, by a small machine. It works on one word at a
 * time: a token that begins one of the pending words starts it, of several the first; the next
 * token continues it, completes it, or throws it back to the end of the pending ones. A word with
 * several choices is a tree of tokens and is complete at a leaf.
 *
 * Progress is counted in banks: the longest word's length for every complete word, and of the one
 * under way the same less what remains. After the usual choice of B continuations each running beam
 * offers those tokens that make progress. All are ordered by bank, then by score, and taken in
 * turns: the best of each bank, then the second of each... so that beams with little progress but
 * likely text run beside those that are nearly complete. An end is accepted from complete texts
 * only.
 *
 * Source: Anderson et al. 2017; Post and Vilar 2018 (banks by number of tokens); Hu et al. 2019;
 * the order of events is that of transformers' ConstrainedBeamSearchScorer: banks and scores are
 * ordered by bank * 100 + score in float32. */
#include "generate/search.h"

/* How far a text has come. A word under way is known by its last token's place in one choice. */
typedef struct state {
    uint32_t *pending; /* [n_words] indices of words, in order */
    size_t n_pending, n_complete;
    bool under_way, complete;
    uint32_t word, choice;
    size_t done; /* tokens of it */
} state;

/* A candidate, with how far it would come. */
typedef struct option {
    wte__candidate candidate;
    size_t bank;
    float key;    /* bank * 100 + score */
    size_t turn;  /* its place in its bank */
    size_t order; /* in which it came */
} option;

struct wte__forced {
    const wte_forced_word *words;
    size_t n_words, n_beams, longest;
    state now, next;
    uint32_t *pending;
    option *options; /* [n_beams * (1 + choices of all words)] */
};

wte_status wte__forced_new(const wte_generate_options *o, size_t n_beams, wte__forced **out,
                           wte_error *err)
{
    wte__forced *f = wte__calloc(1, sizeof *f);
    size_t n_options = 1;

    if (!f)
        goto nomem;
    f->words = o->force_words;
    f->n_words = o->n_force_words;
    f->n_beams = n_beams;
    for (size_t i = 0; i < f->n_words; i++) {
        n_options += f->words[i].n;
        for (size_t j = 0; j < f->words[i].n; j++)
            if (f->words[i].choices[j].n > f->longest)
                f->longest = f->words[i].choices[j].n;
    }
    f->pending = wte__calloc(f->n_words, 2 * sizeof *f->pending);
    f->options = wte__calloc(n_beams, n_options * sizeof *f->options);
    if (!f->pending || !f->options)
        goto nomem;
    f->now.pending = f->pending;
    f->next.pending = f->pending + f->n_words;
    *out = f;
    return WTE_OK;
nomem:
    wte__forced_free(f);
    return wte__fail(err, WTE_E_NOMEM, "no memory for %zu forced words", o->n_force_words);
}

void wte__forced_free(wte__forced *f)
{
    if (!f)
        return;
    wte__free(f->pending);
    wte__free(f->options);
    wte__free(f);
}

/* ---- one word ------------------------------------------------------------------------------ */

/* Whether a choice begins with the first n tokens of another. */
static bool begins_with(const wte_ids *choice, const wte_ids *other, size_t n)
{
    return choice->n >= n &&
           (n == 0 || memcmp(choice->ids, other->ids, n * sizeof *other->ids) == 0);
}

/* Find the choice that goes on with a token after `done` tokens of choice `with`. */
static bool find_step(const wte_forced_word *w, size_t with, size_t done, uint32_t id,
                      uint32_t *choice)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->choices[i].n > done && begins_with(&w->choices[i], &w->choices[with], done) &&
            w->choices[i].ids[done] == id) {
            *choice = (uint32_t)i;
            return true;
        }
    return false;
}

/* Whether no choice goes on after `done` tokens of choice `with`. */
static bool is_leaf(const wte_forced_word *w, size_t with, size_t done)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->choices[i].n > done && begins_with(&w->choices[i], &w->choices[with], done))
            return false;
    return true;
}

static size_t height(const wte_forced_word *w)
{
    size_t n = 0;

    for (size_t i = 0; i < w->n; i++)
        if (w->choices[i].n > n)
            n = w->choices[i].n;
    return n;
}

/* ---- a text -------------------------------------------------------------------------------- */

static void reset(const wte__forced *f, state *st)
{
    for (size_t i = 0; i < f->n_words; i++)
        st->pending[i] = (uint32_t)i;
    st->n_pending = f->n_words;
    st->n_complete = 0;
    st->under_way = st->complete = false;
}

/* One more token of the word under way is there. */
static void advance(const wte__forced *f, state *st, uint32_t choice)
{
    st->choice = choice;
    st->done++;
    if (!is_leaf(&f->words[st->word], choice, st->done))
        return;
    st->under_way = false;
    st->n_complete++;
    st->complete = st->n_pending == 0;
}

static void add_token(const wte__forced *f, state *st, uint32_t id)
{
    uint32_t choice;

    if (st->complete)
        return;
    if (st->under_way) {
        if (find_step(&f->words[st->word], st->choice, st->done, id, &choice)) {
            advance(f, st, choice);
        } else {
            st->pending[st->n_pending++] = st->word;
            st->under_way = false;
        }
        return;
    }
    for (size_t i = 0; i < st->n_pending; i++) {
        const uint32_t word = st->pending[i];

        if (!find_step(&f->words[word], 0, 0, id, &choice))
            continue;
        memmove(st->pending + i, st->pending + i + 1, (--st->n_pending - i) * sizeof *st->pending);
        st->under_way = true;
        st->word = word;
        st->done = 0;
        advance(f, st, choice);
        return;
    }
}

static void read_text(const wte__forced *f, state *st, const uint32_t *ids, size_t n)
{
    reset(f, st);
    for (size_t i = 0; i < n && !st->complete; i++)
        add_token(f, st, ids[i]);
}

bool wte__forced_complete(wte__forced *f, const uint32_t *ids, size_t n)
{
    read_text(f, &f->now, ids, n);
    return f->now.complete;
}

static size_t bank_of(const wte__forced *f, const state *st)
{
    size_t bank = st->n_complete * f->longest;

    if (st->under_way)
        bank += f->longest - (height(&f->words[st->word]) - st->done);
    return bank;
}

static void copy_state(state *to, const state *from)
{
    uint32_t *pending = to->pending;

    *to = *from;
    to->pending = pending;
    memcpy(to->pending, from->pending, from->n_pending * sizeof *pending);
}

/* ---- candidates ---------------------------------------------------------------------------- */

/* What the options come from: the running beams of n tokens. */
typedef struct running {
    const uint32_t *ids;
    size_t stride, n, n_vocab;
    const float *scores, *sums;
} running;

static bool same_text(const running *r, const wte__candidate *c, uint32_t beam, uint32_t id)
{
    return c->id == id &&
           (c->beam == beam || memcmp(r->ids + c->beam * r->stride, r->ids + beam * r->stride,
                                      r->n * sizeof *r->ids) == 0);
}

/* Offer a beam's continuation by a token, unless another is the same text. */
static size_t offer(wte__forced *f, const running *r, uint32_t beam, uint32_t id, size_t n)
{
    const float processed = r->scores[beam * r->n_vocab + id];

    for (size_t i = 0; i < n; i++)
        if (same_text(r, &f->options[i].candidate, beam, id))
            return n;
    copy_state(&f->next, &f->now);
    add_token(f, &f->next, id);
    f->options[n].candidate = (wte__candidate){.total = processed + r->sums[beam],
                                               .processed = processed,
                                               .beam = beam,
                                               .id = id,
                                               .rank = UINT32_MAX};
    f->options[n].bank = bank_of(f, &f->next);
    return n + 1;
}

/* Offer all tokens that make progress with a word of which `done` tokens of a choice are there. */
static size_t offer_word(wte__forced *f, const running *r, uint32_t beam, size_t word, size_t with,
                         size_t done, size_t n)
{
    const wte_forced_word *w = &f->words[word];

    for (size_t i = 0; i < w->n; i++)
        if (w->choices[i].n > done && begins_with(&w->choices[i], &w->choices[with], done))
            n = offer(f, r, beam, w->choices[i].ids[done], n);
    return n;
}

static bool by_key(const option *a, const option *b)
{
    return a->key != b->key ? a->key > b->key : a->order < b->order;
}

static bool by_turn(const option *a, const option *b)
{
    return a->turn != b->turn ? a->turn < b->turn : a->order < b->order;
}

/* There are few. */
static void sort_options(option *o, size_t n, bool (*before)(const option *, const option *))
{
    for (size_t i = 1; i < n; i++) {
        const option one = o[i];
        size_t at = i;

        for (; at > 0 && before(&one, &o[at - 1]); at--)
            o[at] = o[at - 1];
        o[at] = one;
    }
    for (size_t i = 0; i < n; i++)
        o[i].order = i;
}

void wte__forced_choose(wte__forced *f, const uint32_t *ids, size_t stride, size_t n_ids,
                        const float *scores, size_t n_vocab, const float *sums,
                        wte__candidate *chosen)
{
    const running r = {ids, stride, n_ids, n_vocab, scores, sums};
    option *o = f->options;
    size_t n = f->n_beams;

    for (size_t i = 0; i < n; i++) {
        read_text(f, &f->now, ids + chosen[i].beam * stride, n_ids);
        add_token(f, &f->now, chosen[i].id);
        o[i].candidate = chosen[i];
        o[i].bank = bank_of(f, &f->now);
    }
    for (uint32_t b = 0; b < f->n_beams; b++) {
        read_text(f, &f->now, ids + b * stride, n_ids);
        if (f->now.complete)
            continue;
        if (f->now.under_way)
            n = offer_word(f, &r, b, f->now.word, f->now.choice, f->now.done, n);
        else
            for (size_t i = 0; i < f->now.n_pending; i++)
                n = offer_word(f, &r, b, f->now.pending[i], 0, 0, n);
    }
    if (n == f->n_beams)
        return;
    for (size_t i = 0; i < n; i++) {
        o[i].key = (float)o[i].bank * 100.0f + o[i].candidate.total;
        o[i].order = i;
    }
    sort_options(o, n, by_key);
    for (size_t i = 0; i < n; i++)
        o[i].turn = i > 0 && o[i].bank == o[i - 1].bank ? o[i - 1].turn + 1 : 0;
    sort_options(o, n, by_turn);
    for (size_t i = 0; i < f->n_beams; i++)
        chosen[i] = o[i].candidate;
}
