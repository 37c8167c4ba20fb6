/* SPDX-License-Identifier: MIT */
/** wte/generate.h - how the next token is chosen
 *
 * A chain of processors changes the scores of all tokens; a strategy then chooses: greedy,
 * sampling, beam search, beam sampling, diverse beam groups, beam search with forced words,
 * contrastive search. Names, defaults and order are those of transformers' GenerationConfig and
 * generate(), of version 4.40 and later, so that a parameter found in somebody's Python means the
 * same here.
 *
 * Order of the chain: sequence bias, diversity, repetition penalty, no repeated n-gram, bad words,
 * min length, min new tokens, prefix-allowed tokens, forced BOS, forced EOS, remove invalid values,
 * exponential decay, suppress, begin suppress, renormalise; then, when sampling, temperature,
 * top-k, top-p, min-p, typical-p, epsilon, eta, renormalise. What Hugging Face has not stands where
 * its authors put it: DRY after the repetition penalty, top-n-sigma before top-k, XTC and mirostat
 * after eta.
 *
 * Sampling draws from torch's CPU generator and by torch's recipe for multinomial, so that a seed
 * gives the tokens that generate() gives with a torch that does not draw through MKL. */
#ifndef WTE_GENERATE_H
#define WTE_GENERATE_H
#include "wte/network.h"
#include "wte/random.h"
#include "wte/tokenizer.h"
WTE_BEGIN_DECLS

/** A list of token ids that somebody else keeps. */
typedef struct wte_ids {
    const uint32_t *ids;
    size_t n;
} wte_ids;

/** A bias added to the score of the last of `ids` where the others stand before it. */
typedef struct wte_sequence_bias {
    wte_ids sequence;
    float bias;
} wte_sequence_bias;

/** Words that must appear: one of `choices`. */
typedef struct wte_forced_word {
    const wte_ids *choices;
    size_t n;
} wte_forced_word;

typedef enum wte_early_stopping {
    WTE_EARLY_STOPPING_FALSE, /**< stop when the best running beam can hardly win any more */
    WTE_EARLY_STOPPING_TRUE,  /**< stop as soon as there are num_beams finished hypotheses */
    WTE_EARLY_STOPPING_NEVER  /**< stop only when no running beam can win */
} wte_early_stopping;

/** Which tokens may follow: fill `allowed` [n_vocab], all 0 at first, with 1.
 *   sequence  which beam or prompt; ids [n] all tokens so far, the prompt included */
typedef void (*wte_prefix_allowed_fn)(void *data, size_t sequence, const uint32_t *ids, size_t n,
                                      uint8_t *allowed);

/** Called for each new token of greedy search and sampling, at once; of searches over beams for the
 * tokens of the best sequence when it is known. Not 0: stop, which ends with what there is. */
typedef int (*wte_token_fn)(void *data, size_t sequence, uint32_t id);

struct wte_trace_step;
/** Called for every step of a search. See wte_trace_step. Not 0: stop. */
typedef int (*wte_trace_fn)(void *data, const struct wte_trace_step *step);

/** Options; start from wte_generate_options_init(), Hugging Face's. Borrowed for the call. */
typedef struct wte_generate_options {
    /* how long */
    size_t max_length;     /**< tokens, the prompt included; used where max_new_tokens is 0 */
    size_t max_new_tokens; /**< 0: not set */
    size_t min_length;     /**< below it no EOS */
    size_t min_new_tokens;
    double max_time;                 /**< seconds, 0: no limit */
    const char *const *stop_strings; /**< one that ends in the newest token ends a sequence; of
                                        beams each by itself, as an EOS does */
    size_t n_stop_strings;
    const wte_tokenizer *tokenizer; /**< needed for stop_strings only */
    wte_ids eos;                    /**< any of them ends a sequence */
    int64_t pad_id;                 /**< fills finished sequences of a batch; -1: the first EOS */

    /* strategy */
    int do_sample;
    size_t num_beams, num_beam_groups, num_return_sequences;
    float diversity_penalty, length_penalty;
    wte_early_stopping early_stopping;
    float penalty_alpha;                /**< above 0, with top_k: contrastive search */
    const wte_forced_word *force_words; /**< [n_force_words] beam search with forced words */
    size_t n_force_words;
    size_t prompt_lookup_num_tokens; /**< draft tokens copied from the text so far; 0: off. It
                                        changes the speed, never the tokens. Greedy search and one
                                        sample; others run without */
    uint64_t seed;

    /* processors */
    float repetition_penalty;
    size_t no_repeat_ngram_size;
    const wte_ids *bad_words; /**< [n_bad_words] */
    size_t n_bad_words;
    const wte_sequence_bias *sequence_bias; /**< [n_sequence_bias] */
    size_t n_sequence_bias;
    wte_ids suppress, begin_suppress;
    int64_t forced_bos_id; /**< -1: none */
    wte_ids forced_eos;    /**< only these at max_length */
    size_t decay_start;    /**< exponential_decay_length_penalty: new tokens before it begins */
    float decay_factor;    /**< 0: off */
    int renormalize_logits;
    int remove_invalid_values; /**< NaN becomes 0, infinities the largest numbers */
    wte_prefix_allowed_fn prefix_allowed;
    void *prefix_allowed_data;

    /* warpers, when sampling */
    float temperature;
    size_t top_k; /**< 0: off */
    float top_p, min_p, typical_p, epsilon_cutoff, eta_cutoff;

    /* beyond Hugging Face */
    float top_n_sigma;                    /**< 0: off (Tang et al. 2024) */
    float xtc_probability, xtc_threshold; /**< 0: off; threshold at most 0.5 */
    float mirostat_tau, mirostat_eta;     /**< mirostat 2; tau 0: off (Basu et al. 2021) */
    float dry_multiplier, dry_base;       /**< multiplier 0: off */
    size_t dry_allowed_length, dry_range; /**< range 0: the whole text */
    wte_ids dry_breakers;                 /**< tokens over which a match does not reach */

    wte_token_fn on_token;
    void *on_token_data;
    wte_trace_fn on_step;
    void *on_step_data;
} wte_generate_options;

/** Hugging Face's defaults: greedy, 20 tokens, top_k 50 when sampling. */
WTE_API void wte_generate_options_init(wte_generate_options *options);

/** Find contradictions. Errors: E_RANGE, which names the option, what it is and what is allowed. */
WTE_API wte_status wte_generate_options_check(const wte_generate_options *options, wte_error *err);

typedef enum wte_finish {
    WTE_FINISH_LENGTH,
    WTE_FINISH_EOS,
    WTE_FINISH_STOP_STRING,
    WTE_FINISH_TIME,
    WTE_FINISH_CONTEXT,  /**< the context is full */
    WTE_FINISH_CANCELLED /**< on_token or on_step asked for it, or wte_session_cancel() */
} wte_finish;
/** "length", "eos", "stop string", "time", "context", "cancelled". */
WTE_API const char *wte_finish_name(wte_finish finish);

typedef struct wte_generated {
    uint32_t *ids; /**< [n] prompt and new tokens, without padding */
    size_t n, n_prompt;
    double score; /**< beam modes: Hugging Face's sequences_scores, the sum of processed scores
                     / n_new^length_penalty; else the same as sum_log_prob */
    double sum_log_prob; /**< sum of the network's own log-probabilities of the new tokens, before
                            any processor and without length penalty; NaN where not known */
    float
        *token_scores; /**< [n - n_prompt] processed score of each new token (transition_scores) */
    wte_finish finish;
} wte_generated;

typedef struct wte_generation {
    wte_generated *sequences; /**< [n] num_return_sequences for each prompt, best first */
    size_t n;
    size_t n_steps;    /**< passes through the network after the prompts' */
    size_t n_accepted; /**< tokens of accepted drafts of prompt lookup */
} wte_generation;

/** Continue prompts.
 *   session  of a GPT-2 with at least wte_generate_sequences() sequences: prompts times the larger
 *            of num_beams and num_return_sequences (contrastive search: times top_k); they are
 *            overwritten
 *   prompts  [n] at least one token each
 *   out      free with wte_generation_free()
 * Errors: E_RANGE (options contradict each other, ids out of range, the session has too few
 * sequences; all tokens were ruled out; a prompt that fills the context), E_UNSUPPORTED (BERT),
 * E_NOMEM. */
WTE_API wte_status wte_generate(wte_session *session, const wte_ids *prompts, size_t n,
                                const wte_generate_options *options, wte_generation *out,
                                wte_error *err);
WTE_API void wte_generation_free(wte_generation *generation);
/** Sequences that a session needs for so many prompts. */
WTE_API size_t wte_generate_sequences(const wte_generate_options *options, size_t n_prompts);

/* ---- the search made visible ------------------------------------------------------------- */

/** A token that a step considered. */
typedef struct wte_candidate {
    uint32_t id;
    uint32_t beam;      /**< which running sequence it would continue */
    float logit;        /**< of the network */
    float prob;         /**< of the network's own distribution */
    float processed;    /**< probability after the whole chain, 0 where ruled out */
    double score;       /**< what candidates are ranked by: beams: the running sum */
    int chosen;         /**< 1: continues a beam; 2: ends a hypothesis; 0: dropped */
    uint32_t next_beam; /**< chosen 1: the sequence that it becomes */
} wte_candidate;

/** One step: the best candidates of every running sequence, best first; of beams those that were
 * looked at. Greedy search, sampling and contrastive search tell each sequence's step by itself,
 * its number as `beam`: then also the network's best that the chain ruled out, by the chain's
 * score. */
typedef struct wte_trace_step {
    size_t step;   /**< from 0 */
    size_t prompt; /**< which of the prompts */
    const wte_candidate *candidates;
    size_t n;
    const char *const *stages; /**< [n_stages] names of the chain's members that are switched on */
    size_t n_stages;
    const float *stage_probs; /**< [n, n_stages] each candidate's probability after each stage */
} wte_trace_step;

/* ---- pieces, for a strategy of one's own ---------------------------------------------------- */

typedef struct wte_chain wte_chain;

/** Make the chain of processors (and, when sampling, warpers) that the options ask for.
 *   options  copied; what it points to must outlive the chain
 *   n_vocab  length of the scores
 *   keep     tokens that warpers leave at least: 1, or 2 when num_beams > 1
 * Errors: E_RANGE, E_NOMEM. */
WTE_API wte_status wte_chain_new(const wte_generate_options *options, size_t n_vocab, size_t keep,
                                 wte_chain **out, wte_error *err);
WTE_API void wte_chain_free(wte_chain *chain);
/** Names of the members that are switched on, in order: "repetition penalty", "top-k"... */
WTE_API size_t wte_chain_length(const wte_chain *chain);
WTE_API const char *wte_chain_name(const wte_chain *chain, size_t i);

/** Change scores in place. Not from two threads at once.
 *   ids       [n] all tokens so far; the first n_prompt of them are the prompt
 *   scores    [n_vocab] logits, or log-probabilities in beam modes
 *   sequence  for prefix_allowed
 *   first, end  members to apply: 0, wte_chain_length() for all
 * Errors: E_RANGE (a NaN or infinity; every token was ruled out: the member that did it is named),
 * after which the scores are useless; E_NOMEM (a text or a sequence beyond all before it). */
WTE_API wte_status wte_chain_apply(wte_chain *chain, const uint32_t *ids, size_t n, size_t n_prompt,
                                   size_t sequence, size_t first, size_t end, float *scores,
                                   wte_error *err);

/** Softmax in float32, as torch computes it on the CPU within 1e-7. scores may be probs. To draw
 * from it: wte_generator_multinomial() in wte/random.h. */
WTE_API void wte_softmax(const float *scores, size_t n, float *probs);

/** The k best of n scores, best first, of equal ones the lower id. */
WTE_API void wte_best(const float *scores, size_t n, size_t k, uint32_t *ids);

WTE_END_DECLS
#endif
