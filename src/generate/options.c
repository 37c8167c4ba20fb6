/* SPDX-License-Identifier: MIT */
/* options.c - defaults of generate(), and which options contradict each other
 *
 * The defaults are those of transformers' GenerationConfig. Where transformers warns and goes on
 * with one of two contradictory wishes, here is an error: nobody reads a warning, and a search that
 * is not the one that was asked for looks like any other. Sampling's own parameters without
 * do_sample are no contradiction there and none here: GenerationConfig carries them always (top_k
 * is 50). */
#include <math.h>
#include "base/base.h"
#include "generate/generate_internal.h"

void wte_generate_options_init(wte_generate_options *options)
{
    *options = (wte_generate_options){
        .max_length = 20,
        .pad_id = -1,
        .num_beams = 1,
        .num_beam_groups = 1,
        .num_return_sequences = 1,
        .length_penalty = 1,
        .early_stopping = WTE_EARLY_STOPPING_FALSE,
        .repetition_penalty = 1,
        .forced_bos_id = -1,
        .temperature = 1,
        .top_k = 50,
        .top_p = 1,
        .typical_p = 1,
        .xtc_threshold = 0.1f,
        .mirostat_eta = 0.1f,
        .dry_base = 1.75f,
        .dry_allowed_length = 2,
    };
}

/* ---- numbers on their own --------------------------------------------------------------- */

/* A number and where it may lie. A bound is `open` where it is not allowed itself. */
typedef struct limits {
    const char *name, *allowed;
    double value, low, high;
    bool open_low, open_high;
} limits;

static wte_status check_numbers(const wte_generate_options *o, wte_error *err)
{
    const double inf = INFINITY;
    const limits all[] = {
        {"max_time", "a number of seconds, 0 for no limit", o->max_time, 0, inf, false, true},
        {"diversity_penalty", "a number from 0 up", (double)o->diversity_penalty, 0, inf, false,
         true},
        {"length_penalty", "a finite number", (double)o->length_penalty, -inf, inf, true, true},
        {"penalty_alpha", "0 to 1", (double)o->penalty_alpha, 0, 1, false, false},
        {"repetition_penalty", "a number above 0", (double)o->repetition_penalty, 0, inf, true,
         true},
        {"exponential_decay_length_penalty", "a factor above 0, or 0 for none",
         (double)o->decay_factor, 0, inf, false, true},
        {"temperature", "a number above 0", (double)o->temperature, 0, inf, true, true},
        {"top_p", "0 to 1", (double)o->top_p, 0, 1, false, false},
        {"min_p", "0 to 1", (double)o->min_p, 0, 1, false, false},
        {"typical_p", "above 0, to 1", (double)o->typical_p, 0, 1, true, false},
        {"epsilon_cutoff", "0 to below 1", (double)o->epsilon_cutoff, 0, 1, false, true},
        {"eta_cutoff", "0 to below 1", (double)o->eta_cutoff, 0, 1, false, true},
        {"top_n_sigma", "a number from 0 up", (double)o->top_n_sigma, 0, inf, false, true},
        {"xtc_probability", "0 to 1", (double)o->xtc_probability, 0, 1, false, false},
        {"xtc_threshold", "0 to 0.5", (double)o->xtc_threshold, 0, 0.5, false, false},
        {"mirostat_tau", "a number from 0 up", (double)o->mirostat_tau, 0, inf, false, true},
        {"mirostat_eta", "a number from 0 up", (double)o->mirostat_eta, 0, inf, false, true},
        {"dry_multiplier", "a number from 0 up", (double)o->dry_multiplier, 0, inf, false, true},
        {"dry_base", "a number from 1 up", (double)o->dry_base, 1, inf, false, true},
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const limits *l = &all[i];
        bool low = l->open_low ? l->value > l->low : l->value >= l->low;
        bool high = l->open_high ? l->value < l->high : l->value <= l->high;

        if (!low || !high)
            return wte__fail(err, WTE_E_RANGE, "%s is %g, expected %s", l->name, l->value,
                             l->allowed);
    }
    return WTE_OK;
}

/* ---- lists ------------------------------------------------------------------------------ */

static wte_status check_words(const wte_generate_options *o, wte_error *err)
{
    for (size_t i = 0; i < o->n_stop_strings; i++)
        if (!o->stop_strings[i] || !*o->stop_strings[i])
            return wte__fail(err, WTE_E_RANGE, "stop_strings: string %zu is empty", i);
    for (size_t i = 0; i < o->n_bad_words; i++)
        if (o->bad_words[i].n == 0)
            return wte__fail(err, WTE_E_RANGE, "bad_words_ids: word %zu has no tokens", i);
    for (size_t i = 0; i < o->n_sequence_bias; i++) {
        float bias = o->sequence_bias[i].bias;

        if (o->sequence_bias[i].sequence.n == 0)
            return wte__fail(err, WTE_E_RANGE, "sequence_bias: sequence %zu has no tokens", i);
        if (!(bias < INFINITY))
            return wte__fail(err, WTE_E_RANGE,
                             "sequence_bias: bias %zu is %g, expected a number below infinity", i,
                             (double)bias);
    }
    for (size_t i = 0; i < o->n_force_words; i++) {
        if (o->force_words[i].n == 0)
            return wte__fail(err, WTE_E_RANGE, "force_words_ids: word %zu has no choices", i);
        for (size_t j = 0; j < o->force_words[i].n; j++)
            if (o->force_words[i].choices[j].n == 0)
                return wte__fail(err, WTE_E_RANGE,
                                 "force_words_ids: choice %zu of word %zu has no tokens", j, i);
    }
    if (o->n_stop_strings > 0 && !o->tokenizer)
        return wte__fail(err, WTE_E_RANGE, "stop_strings needs a tokenizer");
    return WTE_OK;
}

/* ---- one with another ------------------------------------------------------------------- */

static wte_status check_lengths(const wte_generate_options *o, wte_error *err)
{
    if (o->max_new_tokens == 0 && o->max_length == 0)
        return wte__fail(err, WTE_E_RANGE,
                         "max_length is 0, expected 1 or more (or max_new_tokens)");
    if (o->max_new_tokens == 0 && o->min_length > o->max_length)
        return wte__fail(err, WTE_E_RANGE, "min_length is %zu, but max_length is %zu",
                         o->min_length, o->max_length);
    if (o->max_new_tokens > 0 && o->min_new_tokens > o->max_new_tokens)
        return wte__fail(err, WTE_E_RANGE, "min_new_tokens is %zu, but max_new_tokens is %zu",
                         o->min_new_tokens, o->max_new_tokens);
    if (o->decay_factor > 0 && o->eos.n == 0)
        return wte__fail(
            err, WTE_E_RANGE,
            "exponential_decay_length_penalty needs eos_token_id: it is what it favours");
    return WTE_OK;
}

static wte_status check_beams(const wte_generate_options *o, wte_error *err)
{
    if (o->num_beams == 0 || o->num_beam_groups == 0 || o->num_return_sequences == 0)
        return wte__fail(err, WTE_E_RANGE, "%s is 0, expected 1 or more",
                         o->num_beams == 0         ? "num_beams"
                         : o->num_beam_groups == 0 ? "num_beam_groups"
                                                   : "num_return_sequences");
    if (o->num_beam_groups > o->num_beams || o->num_beams % o->num_beam_groups)
        return wte__fail(
            err, WTE_E_RANGE,
            "num_beams is %zu and num_beam_groups %zu, expected a number of groups that "
            "divides the beams",
            o->num_beams, o->num_beam_groups);
    if (o->num_beam_groups > 1 && o->do_sample)
        return wte__fail(err, WTE_E_RANGE,
                         "num_beam_groups is %zu with do_sample, expected 1: groups do not sample",
                         o->num_beam_groups);
    if (o->num_beam_groups > 1 && o->diversity_penalty == 0)
        return wte__fail(
            err, WTE_E_RANGE,
            "diversity_penalty is 0, expected a number above 0: without it all %zu groups "
            "find the same",
            o->num_beam_groups);
    if (o->num_beam_groups == 1 && o->diversity_penalty > 0)
        return wte__fail(
            err, WTE_E_RANGE,
            "diversity_penalty is %g, but num_beam_groups is 1: there is no other group "
            "to differ from",
            (double)o->diversity_penalty);
    if (o->num_beams > 1 && o->num_return_sequences > o->num_beams)
        return wte__fail(
            err, WTE_E_RANGE,
            "num_return_sequences is %zu, but num_beams is %zu: a search returns at most "
            "its beams",
            o->num_return_sequences, o->num_beams);
    if (o->num_beams == 1 && !o->do_sample && o->num_return_sequences > 1)
        return wte__fail(
            err, WTE_E_RANGE,
            "num_return_sequences is %zu, expected 1: without do_sample or num_beams all "
            "would be the same",
            o->num_return_sequences);
    return WTE_OK;
}

/* Strategies that leave no room for another. */
static wte_status check_strategy(const wte_generate_options *o, wte_error *err)
{
    const char *other = o->do_sample                      ? "do_sample"
                        : o->num_beams > 1                ? "num_beams above 1"
                        : o->n_force_words > 0            ? "force_words_ids"
                        : o->prompt_lookup_num_tokens > 0 ? "prompt_lookup_num_tokens"
                                                          : NULL;

    if (o->penalty_alpha > 0 && o->top_k < 2)
        return wte__fail(
            err, WTE_E_RANGE,
            "penalty_alpha is %g, but top_k is %zu: contrastive search chooses among top_k "
            "tokens, expected 2 or more",
            (double)o->penalty_alpha, o->top_k);
    if (o->penalty_alpha > 0 && other)
        return wte__fail(
            err, WTE_E_RANGE,
            "penalty_alpha is %g with %s: contrastive search has neither beams nor draws",
            (double)o->penalty_alpha, other);
    if (o->n_force_words > 0 && (o->num_beams == 1 || o->do_sample || o->num_beam_groups > 1))
        return wte__fail(
            err, WTE_E_RANGE,
            "force_words_ids with %s: expected num_beams above 1, without sampling and "
            "groups",
            o->num_beams == 1 ? "num_beams 1"
            : o->do_sample    ? "do_sample"
                              : "num_beam_groups");
    if (o->prompt_lookup_num_tokens > 0 && o->num_beams > 1)
        return wte__fail(
            err, WTE_E_RANGE,
            "prompt_lookup_num_tokens is %zu, but num_beams is %zu, expected 1: drafts are "
            "for greedy search and sampling",
            o->prompt_lookup_num_tokens, o->num_beams);
    return WTE_OK;
}

static wte_status check_own_warpers(const wte_generate_options *o, wte_error *err)
{
    const char *name = o->mirostat_tau > 0      ? "mirostat_tau"
                       : o->xtc_probability > 0 ? "xtc_probability"
                       : o->top_n_sigma > 0     ? "top_n_sigma"
                                                : NULL;

    if (name && !o->do_sample)
        return wte__fail(err, WTE_E_RANGE, "%s needs do_sample", name);
    if (o->mirostat_tau > 0 && o->num_beams > 1)
        return wte__fail(
            err, WTE_E_RANGE,
            "mirostat_tau is %g, but num_beams is %zu, expected 1: it follows the surprise "
            "of one text",
            (double)o->mirostat_tau, o->num_beams);
    if (o->xtc_probability > 0 && o->xtc_threshold == 0)
        return wte__fail(err, WTE_E_RANGE,
                         "xtc_threshold is 0, expected above 0, to 0.5, with xtc_probability");
    if (o->dry_multiplier > 0 && o->dry_allowed_length == 0)
        return wte__fail(err, WTE_E_RANGE, "dry_allowed_length is 0, expected 1 or more");
    return WTE_OK;
}

wte_status wte_generate_options_check(const wte_generate_options *options, wte_error *err)
{
    static wte_status (*const checks[])(const wte_generate_options *, wte_error *) = {
        check_numbers, check_words, check_lengths, check_beams, check_strategy, check_own_warpers,
    };

    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        wte_status status = checks[i](options, err);

        if (status)
            return status;
    }
    return WTE_OK;
}

size_t wte__max_length(const wte_generate_options *options, size_t n_prompt)
{
    size_t n;

    if (options->max_new_tokens == 0)
        return options->max_length;
    return __builtin_add_overflow(n_prompt, options->max_new_tokens, &n) ? SIZE_MAX : n;
}
