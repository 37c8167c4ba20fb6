/* SPDX-License-Identifier: MIT */
/** generate/chain.h - what the members of a chain share
 *
 * Processors change the scores of single tokens and rule tokens out: they work on all scores as the
 * caller gave them. Warpers look at the distribution as a whole and work on the tokens that are
 * left, which are copied close together as soon as they are few. */
#ifndef WTE_CHAIN_H
#define WTE_CHAIN_H
#include "base/base.h"
#include "generate/generate_internal.h"
#include "generate/passes.h"
#include "kernel/kernel.h"

enum { WTE__MAX_MEMBERS = 32 };

/** The text so far. */
typedef struct wte__text {
    const uint32_t *ids; /* [n] */
    size_t n, n_prompt, sequence;
} wte__text;

/** One step of the chain. On failure the message names the member. */
typedef wte_status (*wte__member_fn)(wte_chain *chain, const wte__text *text, wte_error *err);
typedef struct wte__member {
    const char *name;
    wte__member_fn apply;
    bool (*wanted)(const wte_chain *chain);
    bool warper;
} wte__member;

/** A sequence whose last token gets a bias where the others stand before it. */
typedef struct wte__bias {
    const uint32_t *ids; /* [n], n > 0 */
    size_t n, order;     /* order: as given */
    float bias;
} wte__bias;
typedef struct wte__biases {
    wte__bias *items; /* [n] by last token, of equal ones single tokens first, then as given */
    size_t n;
} wte__biases;

/** The tokens that are left, in ascending order of id. Some may be ruled out all the same: their
 * score is -INFINITY and their probability 0. */
typedef struct wte__left {
    float *scores; /* [n] the caller's while all */
    float *probs; /* [n] softmax of the scores when has_probs was set, since then only taken from */
    uint32_t *ids; /* [n] unless all */
    size_t n;
    bool all, has_probs;
    double mass; /* sum of probs */
} wte__left;

/** Mirostat's state for a sequence. */
typedef struct wte__mirostat {
    double mu;
    double kept; /* share of the mass that it let through last */
} wte__mirostat;

struct wte_chain {
    wte_generate_options options; /* its arrays are the caller's */
    size_t n_vocab, keep;
    const wte__kernels *kernels;
    const wte__passes *passes;
    const wte__member *members[WTE__MAX_MEMBERS];
    size_t n, at; /* at: the member at work */
    wte__biases biases, bad_words;
    const uint32_t *previous; /* [n_previous] what earlier groups chose */
    size_t n_previous;

    float *scores; /* the caller's, during a call */
    wte__left left;

    /* scratch, each [n_vocab] */
    uint32_t *per_token; /* all 0 between two uses */
    uint32_t *positions;
    float *probs, *keys, *work_keys, *work_weights;
    float *few_scores; /* of `left` when it is not all */
    uint32_t *few_ids;
    uint8_t *allowed;
    /* grow with the text and the number of sequences */
    uint32_t *matches;
    size_t matches_capacity;
    wte__mirostat *mirostat;
    size_t mirostat_capacity, n_mirostat;
};

/** Fail with a message that begins with the name of the member at work. */
wte_status wte__member_fail(const wte_chain *chain, wte_error *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- processors ------------------------------------------------------------------------- */

wte_status wte__sequence_bias(wte_chain *chain, const wte__text *text, wte_error *err);
wte_status wte__diversity(wte_chain *chain, const wte__text *text, wte_error *err);
wte_status wte__repetition_penalty(wte_chain *chain, const wte__text *text, wte_error *err);
wte_status wte__dry(wte_chain *chain, const wte__text *text, wte_error *err);
wte_status wte__no_repeat_ngram(wte_chain *chain, const wte__text *text, wte_error *err);
wte_status wte__bad_words(wte_chain *chain, const wte__text *text, wte_error *err);
wte_status wte__min_length(wte_chain *chain, const wte__text *text, wte_error *err);
wte_status wte__min_new_tokens(wte_chain *chain, const wte__text *text, wte_error *err);
wte_status wte__prefix_allowed(wte_chain *chain, const wte__text *text, wte_error *err);
wte_status wte__forced_bos(wte_chain *chain, const wte__text *text, wte_error *err);
wte_status wte__forced_eos(wte_chain *chain, const wte__text *text, wte_error *err);
wte_status wte__remove_invalid(wte_chain *chain, const wte__text *text, wte_error *err);
wte_status wte__exponential_decay(wte_chain *chain, const wte__text *text, wte_error *err);
wte_status wte__suppress(wte_chain *chain, const wte__text *text, wte_error *err);
wte_status wte__begin_suppress(wte_chain *chain, const wte__text *text, wte_error *err);

/** Sort biases and drop those that are given again later, as a Python dict does. Errors: E_NOMEM.
 */
wte_status wte__biases_of(const wte_generate_options *options, wte__biases *out, wte_error *err);
wte_status wte__bad_words_of(const wte_generate_options *options, wte__biases *out, wte_error *err);

/** For each place i of a text, how many tokens before i equal those before its end, counted
 * backwards.
 *   ids  [n]; matches [n] filled. Linear. */
void wte__suffix_matches(const uint32_t *ids, size_t n, uint32_t *matches);

/* ---- warpers ---------------------------------------------------------------------------- */

wte_status wte__renormalise(wte_chain *chain, const wte__text *text, wte_error *err);
wte_status wte__temperature(wte_chain *chain, const wte__text *text, wte_error *err);
wte_status wte__top_n_sigma(wte_chain *chain, const wte__text *text, wte_error *err);
wte_status wte__top_k(wte_chain *chain, const wte__text *text, wte_error *err);
wte_status wte__top_p(wte_chain *chain, const wte__text *text, wte_error *err);
wte_status wte__min_p(wte_chain *chain, const wte__text *text, wte_error *err);
wte_status wte__typical_p(wte_chain *chain, const wte__text *text, wte_error *err);
wte_status wte__epsilon(wte_chain *chain, const wte__text *text, wte_error *err);
wte_status wte__eta(wte_chain *chain, const wte__text *text, wte_error *err);
wte_status wte__xtc(wte_chain *chain, const wte__text *text, wte_error *err);
wte_status wte__mirostat_2(wte_chain *chain, const wte__text *text, wte_error *err);

/* ---- the tokens that are left ----------------------------------------------------------- */

/** All of the caller's scores are left. */
void wte__left_begin(wte_chain *chain, float *scores);
/** Write what is left back to the caller's scores, -INFINITY elsewhere. */
void wte__left_end(wte_chain *chain);
/** Make sure that there are probabilities. */
void wte__left_need_probs(wte_chain *chain);
/** Keep the tokens whose key is at least `threshold`; returns how many.
 *   keys  [n] for each token that is left: its scores, its probs or chain->keys */
size_t wte__left_keep(wte_chain *chain, const float *keys, float threshold);
/** Forget a token that is left. */
void wte__left_drop(wte_chain *chain, size_t position);
/** log(sum(exp(scores))) over what is left. Needs probabilities. */
double wte__left_log_sum(const wte_chain *chain);

/** Go down the keys until the weight of those passed reaches `target`, and give the key at which it
 * does: weight(keys > result) < target <= weight(keys >= result). -INFINITY if it never does.
 *   keys     [n] -INFINITY counts for nothing; no NaN
 *   weights  [n] not negative; NULL: each 1
 *   total    sum of the weights; not looked at where they are 1
 *   above    receives weight(keys > result), unless NULL
 * A few passes over the keys, most of them over a small part: no sort. */
float wte__boundary(wte_chain *chain, const float *keys, const float *weights, size_t n,
                    double target, double total, double *above);

/** The double that a person meant by a float: the one nearest to its shortest decimal, so that 0.9f
 * compares as Python's 0.9. */
double wte__meant(float x);
#endif
