/* SPDX-License-Identifier: MIT */
/** generate/search.h - what the strategies share
 *
 *   generate.c     checks, prompts, one pass after the other, results
 *   track.c        sequences that are written alone
 *   plain.c        greedy search and sampling, with drafts that lookup.c finds
 *   beam.c         beam search, beam sampling, groups
 *   constrained.c  beams with forced words: banks
 *   contrastive.c  contrastive search
 *   stop.c         what ends a sequence
 *   trace.c        candidates of a step, for wte_trace_fn */
#ifndef WTE_GENERATE_SEARCH_H
#define WTE_GENERATE_SEARCH_H
#include "base/base.h"
#include "generate/generate_internal.h"
#include "kernel/kernel.h"
#include "wte/generate.h"

typedef struct wte__search wte__search;

/** A strategy. The search owns the sequences prompt * per_prompt... of the session. */
typedef struct wte__strategy {
    /** Take memory. Errors: E_NOMEM. */
    wte_status (*begin)(wte__search *s, wte_error *err);
    void (*end)(wte__search *s);
    /** A prompt ran as its first sequence; its last token is row `row` of that run. */
    wte_status (*first)(wte__search *s, size_t prompt, size_t row, wte_error *err);
    /** Add the rows of the next pass with wte__search_row(); none: the search is over. */
    void (*fill)(wte__search *s);
    /** Use the pass. */
    wte_status (*next)(wte__search *s, wte_error *err);
    /** Give the sequences that a prompt ends with; ids and token_scores are borrowed. */
    void (*result)(wte__search *s, size_t prompt, wte_generated *out);
} wte__strategy;

extern const wte__strategy wte__plain, wte__beams, wte__contrastive;

/** What was kept of the chain's work on the rows of one step. */
typedef struct wte__trace {
    size_t n_stages, n_slots;
    const char **stages; /* [n_stages] */
    float *scores;       /* [n_slots, n_stages, n_vocab] */
    double *shifts;      /* [n_slots, n_stages] log of the sum of exp */
    wte_candidate *list; /* [capacity] */
    float *stage_probs;  /* [capacity, n_stages] */
    size_t n, capacity;
} wte__trace;

/** The longest text that can tell whether a stop string ends in the newest token. */
typedef struct wte__stops {
    size_t longest;
    char *text; /* [capacity] */
    size_t capacity;
} wte__stops;

struct wte__search {
    wte_session *session;
    const wte_generate_options *o;
    const wte_ids *prompts;
    size_t n_prompts, per_prompt, n_return;
    size_t n_vocab, n_embd;
    size_t context;  /* tokens that a sequence may have */
    size_t capacity; /* tokens that the longest sequence will have */
    const wte__strategy *strategy;
    void *state;
    wte_chain *chain;
    wte_generator generator;
    wte__stops stops;
    wte__trace trace;
    int64_t end_ns; /* INT64_MAX: no limit of time */
    bool halted;    /* everything stops, because of `why` */
    wte_finish why;
    uint32_t *ids, *sequences; /* [max_rows] the pass to come */
    size_t n_rows, max_rows;
    size_t n_steps, n_accepted;
};

/** Tokens that a prompt may become at most, and what it is that ends it there. */
size_t wte__search_length(const wte__search *s, size_t prompt, wte_finish *why);
/** Add a row to the next pass; gives its number. */
size_t wte__search_row(wte__search *s, uint32_t sequence, uint32_t id);
void wte__search_halt(wte__search *s, wte_finish why);
/** log(sum(exp(logits))) */
double wte__log_sum(const float *x, size_t n);
/** Apply the whole chain, keeping what each member did in a slot of the trace if there is one. */
wte_status wte__search_apply(wte__search *s, const uint32_t *ids, size_t n, size_t n_prompt,
                             size_t sequence, size_t slot, float *scores, wte_error *err);

/* ---- stop.c ------------------------------------------------------------------------------- */

wte_status wte__stops_new(wte__stops *stops, const wte_generate_options *o, wte_error *err);
void wte__stops_free(wte__stops *stops);
bool wte__is_eos(const wte_generate_options *o, uint32_t id);
/** Whether token `id` after ids [n] ends a sequence, and why. */
bool wte__ends(wte__search *s, const uint32_t *ids, size_t n, uint32_t id, wte_finish *why);

/* ---- track.c ------------------------------------------------------------------------------ */

/** A sequence that is written alone. */
typedef struct wte__track {
    uint32_t *ids;       /* [capacity] */
    float *token_scores; /* [capacity] of new tokens */
    size_t n, n_prompt, length;
    wte_finish finish, finish_at_length;
    double sum_log_prob;
    bool running;
    size_t row, n_draft; /* in the pass: its first row, and the guessed tokens behind */
} wte__track;

typedef struct wte__tracks {
    wte__track *items; /* [n_prompts * n_return] */
    uint32_t *ids;
    float *token_scores;
    size_t n, n_running;
} wte__tracks;

/** Make a track for each text that is to be returned, with its prompt. False: no memory; free what
 * there is all the same.
 *   tracks  of zeros */
bool wte__tracks_new(wte__tracks *tracks, const wte__search *s);
void wte__tracks_free(wte__tracks *tracks);
/** Append a token, see what it ends, and tell on_token.
 *   score     after the chain; log_prob  of the network */
void wte__track_append(wte__search *s, wte__tracks *tracks, size_t index, uint32_t id, float score,
                       double log_prob);
/** Give the tracks of a prompt, as a strategy's result(). */
void wte__tracks_result(const wte__search *s, const wte__tracks *tracks, size_t prompt,
                        wte_generated *out);

/* ---- lookup.c ------------------------------------------------------------------------------ */

/** Copy what followed the last place where the end of the text stood before.
 *   draft  [max]
 * Returns how many tokens. */
size_t wte__lookup(const uint32_t *ids, size_t n, uint32_t *draft, size_t max);

/* ---- trace.c ------------------------------------------------------------------------------- */

/** Make a trace, if there is somebody to tell, of steps of n_slots rows and `capacity` candidates.
 */
wte_status wte__trace_new(wte__search *s, size_t n_slots, size_t capacity, wte_error *err);
void wte__trace_free(wte__trace *trace);
static inline bool wte__tracing(const wte__search *s)
{
    return s->o->on_step != NULL;
}
/** Keep the scores of a row after a stage. */
void wte__trace_stage(wte__search *s, size_t slot, size_t stage, const float *scores);
/** Add a candidate of the row in `slot`; it is returned to be filled in further, and stays
 * where it is until the step ends.
 *   logits  the row; shift  its wte__log_sum() */
wte_candidate *wte__trace_add(wte__search *s, size_t slot, uint32_t beam, uint32_t id,
                              const float *logits, double shift);
/** Give the step to on_step; the next one begins. */
void wte__trace_end(wte__search *s, size_t step, size_t prompt);

/* ---- constrained.c ------------------------------------------------------------------------- */

/** A candidate of a beam search. */
typedef struct wte__candidate {
    float total, processed;
    uint32_t beam, id; /* of the group: the first is 0 */
    uint32_t rank;     /* among the candidates of the trace */
} wte__candidate;

typedef struct wte__forced wte__forced;
/** Make what forced words need for groups of n_beams. */
wte_status wte__forced_new(const wte_generate_options *o, size_t n_beams, wte__forced **out,
                           wte_error *err);
void wte__forced_free(wte__forced *f);
/** Whether all forced words appear in a text. */
bool wte__forced_complete(wte__forced *f, const uint32_t *ids, size_t n);
/** Let the n_beams candidates that were chosen compete with those that make progress with a word.
 *   ids     [n_beams, stride] the running beams, each of n tokens
 *   scores  [n_beams, n_vocab] processed
 *   sums    [n_beams] of the running beams
 *   chosen  [n_beams] best first; what comes in has rank UINT32_MAX */
void wte__forced_choose(wte__forced *f, const uint32_t *ids, size_t stride, size_t n,
                        const float *scores, size_t n_vocab, const float *sums,
                        wte__candidate *chosen);
#endif
