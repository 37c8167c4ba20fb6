/* SPDX-License-Identifier: MIT */
/* chain.c - processors and warpers in their order
 *
 * One table holds every member that there is, in the order of application; a chain is the list of
 * those that the options ask for. The order is that of transformers 4.40 with what it has not put
 * where its authors put it, and transformers' own rule that renormalising comes last, once after
 * the processors and once after the warpers.
 *
 * A chain owns its scratch, so a call allocates nothing (mirostat and DRY grow with the number of
 * sequences and the length of the text). Each call checks the scores once for NaN. That every token
 * was ruled out is noticed by a witness: one token that is still possible. Only when a processor
 * rules out the witness are the scores searched for another one, so the check costs next to
 * nothing, and the member that took the last is known. Warpers always leave a token. */
#include <math.h>
#include <stdarg.h>
#include "generate/chain.h"

/* ---- which members there are ------------------------------------------------------------ */

#define WANTED(name, condition)                                                                    \
    static bool wants_##name(const wte_chain *chain)                                               \
    {                                                                                              \
        const wte_generate_options *o = &chain->options;                                           \
        return condition;                                                                          \
    }
WANTED(sequence_bias, o->n_sequence_bias > 0)
WANTED(diversity, o->num_beam_groups > 1)
WANTED(repetition_penalty, o->repetition_penalty != 1)
WANTED(dry, o->dry_multiplier > 0)
WANTED(no_repeat_ngram, o->no_repeat_ngram_size > 0)
WANTED(bad_words, o->n_bad_words > 0)
WANTED(min_length, o->min_length > 0 && o->eos.n > 0)
WANTED(min_new_tokens, o->min_new_tokens > 0 && o->eos.n > 0)
WANTED(prefix_allowed, o->prefix_allowed)
WANTED(forced_bos, o->forced_bos_id >= 0)
WANTED(forced_eos, o->forced_eos.n > 0)
WANTED(remove_invalid, o->remove_invalid_values)
WANTED(exponential_decay, o->decay_factor > 0)
WANTED(suppress, o->suppress.n > 0)
WANTED(begin_suppress, o->begin_suppress.n > 0)
WANTED(renormalise, o->renormalize_logits)
WANTED(temperature, o->temperature != 1)
WANTED(top_n_sigma, o->top_n_sigma > 0)
WANTED(top_k, o->top_k > 0)
WANTED(top_p, o->top_p < 1)
WANTED(min_p, o->min_p > 0)
WANTED(typical_p, o->typical_p < 1)
WANTED(epsilon, o->epsilon_cutoff > 0)
WANTED(eta, o->eta_cutoff > 0)
WANTED(xtc, o->xtc_probability > 0)
WANTED(mirostat_2, o->mirostat_tau > 0)
#undef WANTED

#define PROCESSOR(name, title)                                                                     \
    {                                                                                              \
        title, wte__##name, wants_##name, false                                                    \
    }
#define WARPER(name, title)                                                                        \
    {                                                                                              \
        title, wte__##name, wants_##name, true                                                     \
    }
static const wte__member all_members[] = {
    PROCESSOR(sequence_bias, "sequence bias"),
    PROCESSOR(diversity, "diversity"),
    PROCESSOR(repetition_penalty, "repetition penalty"),
    PROCESSOR(dry, "DRY"),
    PROCESSOR(no_repeat_ngram, "no repeated n-gram"),
    PROCESSOR(bad_words, "bad words"),
    PROCESSOR(min_length, "min length"),
    PROCESSOR(min_new_tokens, "min new tokens"),
    PROCESSOR(prefix_allowed, "prefix-allowed tokens"),
    PROCESSOR(forced_bos, "forced BOS"),
    PROCESSOR(forced_eos, "forced EOS"),
    PROCESSOR(remove_invalid, "remove invalid values"),
    PROCESSOR(exponential_decay, "exponential decay"),
    PROCESSOR(suppress, "suppress"),
    PROCESSOR(begin_suppress, "begin suppress"),
    PROCESSOR(renormalise, "renormalise"),
    WARPER(temperature, "temperature"),
    WARPER(top_n_sigma, "top-n-sigma"),
    WARPER(top_k, "top-k"),
    WARPER(top_p, "top-p"),
    WARPER(min_p, "min-p"),
    WARPER(typical_p, "typical-p"),
    WARPER(epsilon, "epsilon"),
    WARPER(eta, "eta"),
    WARPER(xtc, "XTC"),
    WARPER(mirostat_2, "mirostat"),
    WARPER(renormalise, "renormalise"),
};
_Static_assert(sizeof all_members / sizeof *all_members <= WTE__MAX_MEMBERS, "room for all");

/* ---- making one ------------------------------------------------------------------------- */

static wte_status check_ids(const char *what, const uint32_t *ids, size_t n, size_t n_vocab,
                            wte_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] >= n_vocab)
            return wte__fail(err, WTE_E_RANGE, "%s: token %u, the vocabulary has %zu", what, ids[i],
                             n_vocab);
    return WTE_OK;
}

static wte_status check_all_ids(const wte_generate_options *o, size_t n_vocab, wte_error *err)
{
    const struct {
        const char *name;
        wte_ids ids;
    } lists[] = {
        {"eos_token_id", o->eos},
        {"suppress_tokens", o->suppress},
        {"begin_suppress_tokens", o->begin_suppress},
        {"forced_eos_token_id", o->forced_eos},
        {"dry_breakers", o->dry_breakers},
    };
    wte_status status = WTE_OK;

    for (size_t i = 0; i < sizeof lists / sizeof *lists && !status; i++)
        status = check_ids(lists[i].name, lists[i].ids.ids, lists[i].ids.n, n_vocab, err);
    for (size_t i = 0; i < o->n_bad_words && !status; i++)
        status = check_ids("bad_words_ids", o->bad_words[i].ids, o->bad_words[i].n, n_vocab, err);
    for (size_t i = 0; i < o->n_sequence_bias && !status; i++)
        status = check_ids("sequence_bias", o->sequence_bias[i].sequence.ids,
                           o->sequence_bias[i].sequence.n, n_vocab, err);
    if (!status && o->forced_bos_id >= 0 && (uint64_t)o->forced_bos_id >= n_vocab)
        return wte__fail(err, WTE_E_RANGE,
                         "forced_bos_token_id: token %lld, the vocabulary has %zu",
                         (long long)o->forced_bos_id, n_vocab);
    return status;
}

static void list_members(wte_chain *chain)
{
    for (size_t i = 0; i < sizeof all_members / sizeof *all_members; i++) {
        const wte__member *m = &all_members[i];

        if ((m->warper && !chain->options.do_sample) || !m->wanted(chain))
            continue;
        chain->members[chain->n++] = m;
    }
}

wte_status wte_chain_new(const wte_generate_options *options, size_t n_vocab, size_t keep,
                         wte_chain **out, wte_error *err)
{
    wte_chain *chain = NULL;
    wte_status status = wte_generate_options_check(options, err);

    if (status)
        return status;
    if (n_vocab == 0 || n_vocab > UINT32_MAX || keep == 0)
        return wte__fail(err, WTE_E_RANGE,
                         "a chain for %zu tokens that keeps %zu, expected 1 or more", n_vocab,
                         keep);
    status = check_all_ids(options, n_vocab, err);
    if (status)
        return status;
    chain = wte__calloc(1, sizeof *chain);
    if (!chain)
        goto nomem;
    chain->options = *options;
    chain->n_vocab = n_vocab;
    chain->keep = keep;
    chain->kernels = wte__kernel();
    chain->passes = wte__passes_of_machine();
    list_members(chain);
    chain->per_token = wte__calloc(n_vocab, sizeof *chain->per_token);
    chain->positions = wte__alloc_aligned(n_vocab, sizeof *chain->positions);
    chain->probs = wte__alloc_aligned(n_vocab, sizeof *chain->probs);
    chain->keys = wte__alloc_aligned(n_vocab, sizeof *chain->keys);
    chain->work_keys = wte__alloc_aligned(n_vocab, sizeof *chain->work_keys);
    chain->work_weights = wte__alloc_aligned(n_vocab, sizeof *chain->work_weights);
    chain->few_scores = wte__alloc_aligned(n_vocab, sizeof *chain->few_scores);
    chain->few_ids = wte__alloc_aligned(n_vocab, sizeof *chain->few_ids);
    chain->allowed = wte__calloc(n_vocab, sizeof *chain->allowed);
    if (!chain->per_token || !chain->positions || !chain->probs || !chain->keys ||
        !chain->work_keys || !chain->work_weights || !chain->few_scores || !chain->few_ids ||
        !chain->allowed)
        goto nomem;
    status = wte__biases_of(options, &chain->biases, err);
    if (!status)
        status = wte__bad_words_of(options, &chain->bad_words, err);
    if (status) {
        wte_chain_free(chain);
        return status;
    }
    *out = chain;
    return WTE_OK;
nomem:
    wte_chain_free(chain);
    return wte__fail(err, WTE_E_NOMEM, "no memory for a chain over %zu tokens", n_vocab);
}

void wte_chain_free(wte_chain *chain)
{
    if (!chain)
        return;
    wte__free(chain->per_token);
    wte__free(chain->positions);
    wte__free(chain->probs);
    wte__free(chain->keys);
    wte__free(chain->work_keys);
    wte__free(chain->work_weights);
    wte__free(chain->few_scores);
    wte__free(chain->few_ids);
    wte__free(chain->allowed);
    wte__free(chain->biases.items);
    wte__free(chain->bad_words.items);
    wte__free(chain->matches);
    wte__free(chain->mirostat);
    wte__free(chain);
}

size_t wte_chain_length(const wte_chain *chain)
{
    return chain->n;
}

const char *wte_chain_name(const wte_chain *chain, size_t i)
{
    return i < chain->n ? chain->members[i]->name : NULL;
}

void wte__chain_set_diversity(wte_chain *chain, const uint32_t *tokens, size_t n)
{
    chain->previous = tokens;
    chain->n_previous = n;
}

/* ---- applying it ------------------------------------------------------------------------ */

wte_status wte__member_fail(const wte_chain *chain, wte_error *err, const char *fmt, ...)
{
    char detail[256];
    va_list args;

    va_start(args, fmt);
    vsnprintf(detail, sizeof detail, fmt, args);
    va_end(args);
    return wte__fail(err, WTE_E_RANGE, "%s %s", chain->members[chain->at]->name, detail);
}

/* The scores must be numbers, one of them possible. */
static wte_status check_scores(const wte_chain *chain, const float *scores, wte_error *err)
{
    float max = chain->kernels->max_f32(scores, chain->n_vocab);

    if (max == -INFINITY)
        return wte__fail(err, WTE_E_RANGE, "every token is ruled out already: all scores are -inf");
    if (max < INFINITY)
        return WTE_OK;
    for (size_t i = 0; i < chain->n_vocab; i++)
        if (!(scores[i] < INFINITY))
            return wte__fail(err, WTE_E_RANGE,
                             "token %zu has the score %g, expected a number (remove_invalid_values "
                             "replaces such scores)",
                             i, (double)scores[i]);
    return WTE_OK;
}

/* Find a token that is possible, from `from` on and then from the start; n_vocab: none. */
static size_t find_possible(const wte_chain *chain, size_t from)
{
    for (size_t i = 0; i < chain->n_vocab; i++) {
        size_t at = from + i < chain->n_vocab ? from + i : from + i - chain->n_vocab;

        if (chain->scores[at] != -INFINITY)
            return at;
    }
    return chain->n_vocab;
}

static wte_status check_text(const wte_chain *chain, const wte__text *text, wte_error *err)
{
    if (text->n_prompt > text->n)
        return wte__fail(err, WTE_E_RANGE, "a prompt of %zu tokens in a text of %zu",
                         text->n_prompt, text->n);
    return check_ids("text", text->ids, text->n, chain->n_vocab, err);
}

/* Until invalid values are removed there may be some. */
static bool may_be_invalid(const wte_chain *chain, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++)
        if (chain->members[i]->apply == wte__remove_invalid)
            return true;
    return false;
}

wte_status wte_chain_apply(wte_chain *chain, const uint32_t *ids, size_t n, size_t n_prompt,
                           size_t sequence, size_t first, size_t end, float *scores, wte_error *err)
{
    const wte__text text = {ids, n, n_prompt, sequence};
    wte_status status;
    size_t possible;

    if (first > end || end > chain->n)
        return wte__fail(err, WTE_E_RANGE, "members %zu to %zu, the chain has %zu", first, end,
                         chain->n);
    status = check_text(chain, &text, err);
    if (!status && !may_be_invalid(chain, first, end))
        status = check_scores(chain, scores, err);
    if (status)
        return status;
    wte__left_begin(chain, scores);
    possible = find_possible(chain, 0);
    for (size_t i = first; i < end; i++) {
        chain->at = i;
        status = chain->members[i]->apply(chain, &text, err);
        if (!status && !chain->members[i]->warper && possible < chain->n_vocab &&
            scores[possible] == -INFINITY) {
            possible = find_possible(chain, possible);
            if (possible == chain->n_vocab)
                status = wte__member_fail(chain, err, "ruled out every token that was left");
        }
        if (!status && chain->members[i]->apply == wte__remove_invalid) {
            status = check_scores(chain, scores, err);
            possible = 0;
        }
        if (status)
            break;
    }
    if (!status)
        wte__left_end(chain);
    return status;
}
