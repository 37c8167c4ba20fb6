/* SPDX-License-Identifier: MIT */
/* processors.c - what changes the scores of single tokens
 *
 * Each function is one of transformers' logits processors, with its arithmetic in float32 where
 * torch has it so, and its edges: a penalty above 1 divides scores from 0 up and multiplies those
 * below; a sequence that is as long as the text or longer by one never matches, though its prefix
 * would; bad words are biases of -infinity, and a bad word that is just an EOS is forgotten; scores
 * that are ruled out stay so (there |-inf| * 0.1 - inf is NaN). In beam modes the scores are
 * log-probabilities, so that a repetition penalty always multiplies.
 *
 * Source: Keskar et al. 2019, "CTRL" (repetition penalty); Vijayakumar et al. 2016, "Diverse beam
 * search" (Hamming diversity); the rest is transformers' own. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include "generate/chain.h"

/* Set the score of a token; it must be a number unless invalid ones are removed later. */
static wte_status put(wte_chain *chain, uint32_t id, float score, wte_error *err)
{
    chain->scores[id] = score;
    if (score < INFINITY || chain->options.remove_invalid_values)
        return WTE_OK;
    return wte__member_fail(chain, err, "gave token %u the score %g, expected a number", id,
                            (double)score);
}

static void rule_out(wte_chain *chain, wte_ids list)
{
    for (size_t i = 0; i < list.n; i++)
        chain->scores[list.ids[i]] = -INFINITY;
}

/* All but these are ruled out; these get 0. */
static void allow_only(wte_chain *chain, const uint32_t *ids, size_t n)
{
    for (size_t i = 0; i < chain->n_vocab; i++)
        chain->scores[i] = -INFINITY;
    for (size_t i = 0; i < n; i++)
        chain->scores[ids[i]] = 0;
}

/* ---- biases ----------------------------------------------------------------------------- */

static int by_ids(const void *x, const void *y)
{
    const wte__bias *a = x, *b = y;

    for (size_t i = 0; i < a->n && i < b->n; i++)
        if (a->ids[i] != b->ids[i])
            return a->ids[i] < b->ids[i] ? -1 : 1;
    if (a->n != b->n)
        return a->n < b->n ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static int by_last(const void *x, const void *y)
{
    const wte__bias *a = x, *b = y;
    uint32_t last_a = a->ids[a->n - 1], last_b = b->ids[b->n - 1];

    if (last_a != last_b)
        return last_a < last_b ? -1 : 1;
    if ((a->n == 1) != (b->n == 1))
        return a->n == 1 ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static bool same_ids(const wte__bias *a, const wte__bias *b)
{
    return a->n == b->n && memcmp(a->ids, b->ids, a->n * sizeof *a->ids) == 0;
}

static void sort_biases(wte__biases *biases)
{
    size_t n = 0;

    if (biases->n == 0)
        return;
    qsort(biases->items, biases->n, sizeof *biases->items, by_ids);
    for (size_t i = 0; i < biases->n; i++)
        if (i + 1 == biases->n || !same_ids(&biases->items[i], &biases->items[i + 1]))
            biases->items[n++] = biases->items[i];
    biases->n = n;
    qsort(biases->items, n, sizeof *biases->items, by_last);
}

static wte_status allocate(wte__biases *out, size_t n, wte_error *err)
{
    *out = (wte__biases){NULL, 0};
    if (n == 0)
        return WTE_OK;
    out->items = wte__calloc(n, sizeof *out->items);
    if (!out->items)
        return wte__fail(err, WTE_E_NOMEM, "no memory for %zu sequences", n);
    return WTE_OK;
}

wte_status wte__biases_of(const wte_generate_options *options, wte__biases *out, wte_error *err)
{
    wte_status status = allocate(out, options->n_sequence_bias, err);

    if (status)
        return status;
    for (size_t i = 0; i < options->n_sequence_bias; i++) {
        const wte_sequence_bias *from = &options->sequence_bias[i];

        out->items[out->n++] = (wte__bias){from->sequence.ids, from->sequence.n, i, from->bias};
    }
    sort_biases(out);
    return WTE_OK;
}

static bool contains(wte_ids list, uint32_t id)
{
    for (size_t i = 0; i < list.n; i++)
        if (list.ids[i] == id)
            return true;
    return false;
}

wte_status wte__bad_words_of(const wte_generate_options *options, wte__biases *out, wte_error *err)
{
    wte_status status = allocate(out, options->n_bad_words, err);

    if (status)
        return status;
    for (size_t i = 0; i < options->n_bad_words; i++) {
        wte_ids word = options->bad_words[i];

        if (word.n > 1 || !contains(options->eos, word.ids[0]))
            out->items[out->n++] = (wte__bias){word.ids, word.n, i, -INFINITY};
    }
    sort_biases(out);
    return WTE_OK;
}

static bool matches(const wte__bias *bias, const wte__text *text)
{
    size_t prefix = bias->n - 1;

    if (prefix == 0)
        return true;
    if (bias->n > text->n)
        return false;
    return memcmp(bias->ids, text->ids + text->n - prefix, prefix * sizeof *bias->ids) == 0;
}

/* Biases on one token are added up first, then to its score. */
static wte_status add_biases(wte_chain *chain, const wte__biases *biases, const wte__text *text,
                             wte_error *err)
{
    for (size_t i = 0; i < biases->n;) {
        const wte__bias *first = &biases->items[i];
        uint32_t last = first->ids[first->n - 1];
        float sum = 0;
        bool any = false;
        wte_status status;

        for (; i < biases->n && biases->items[i].ids[biases->items[i].n - 1] == last; i++)
            if (matches(&biases->items[i], text)) {
                sum += biases->items[i].bias;
                any = true;
            }
        if (!any)
            continue;
        status = put(chain, last, chain->scores[last] + sum, err);
        if (status)
            return status;
    }
    return WTE_OK;
}

wte_status wte__sequence_bias(wte_chain *chain, const wte__text *text, wte_error *err)
{
    return add_biases(chain, &chain->biases, text, err);
}

wte_status wte__bad_words(wte_chain *chain, const wte__text *text, wte_error *err)
{
    return add_biases(chain, &chain->bad_words, text, err);
}

/* ---- penalties -------------------------------------------------------------------------- */

wte_status wte__diversity(wte_chain *chain, const wte__text *text, wte_error *err)
{
    wte_status status = WTE_OK;
    (void)text;

    for (size_t i = 0; i < chain->n_previous; i++)
        if (chain->previous[i] >= chain->n_vocab)
            return wte__member_fail(chain, err, "was given token %u, the vocabulary has %zu",
                                    chain->previous[i], chain->n_vocab);
    for (size_t i = 0; i < chain->n_previous; i++)
        chain->per_token[chain->previous[i]]++;
    for (size_t i = 0; i < chain->n_previous; i++) {
        uint32_t id = chain->previous[i];
        float penalty = chain->options.diversity_penalty * (float)chain->per_token[id];

        chain->per_token[id] = 0; /* of a token that stands there again nothing is left to take */
        if (!status)
            status = put(chain, id, chain->scores[id] - penalty, err);
    }
    return status;
}

wte_status wte__repetition_penalty(wte_chain *chain, const wte__text *text, wte_error *err)
{
    float penalty = chain->options.repetition_penalty;
    wte_status status = WTE_OK;

    for (size_t i = 0; i < text->n; i++) {
        uint32_t id = text->ids[i];
        float score = chain->scores[id];

        if (chain->per_token[id]++ > 0 || status)
            continue;
        status = put(chain, id, score < 0 ? score * penalty : score / penalty, err);
    }
    for (size_t i = 0; i < text->n; i++)
        chain->per_token[text->ids[i]] = 0;
    return status;
}

wte_status wte__exponential_decay(wte_chain *chain, const wte__text *text, wte_error *err)
{
    const wte_generate_options *o = &chain->options;
    size_t n_new = text->n - text->n_prompt;
    double factor;

    if (n_new <= o->decay_start)
        return WTE_OK;
    factor = pow(wte__meant(o->decay_factor), (double)(n_new - o->decay_start)) - 1;
    if (factor > (double)FLT_MAX)
        factor = (double)FLT_MAX;
    for (size_t i = 0; i < o->eos.n; i++) {
        uint32_t id = o->eos.ids[i];
        float score = chain->scores[id], more = fabsf(score) * (float)factor;
        wte_status status;

        if (score == -INFINITY)
            continue;
        /* After thousands of tokens the sum leaves float32: the largest number says it as well. */
        if (score + more > FLT_MAX)
            more = FLT_MAX - score;
        status = put(chain, id, score + more, err);
        if (status)
            return status;
    }
    return WTE_OK;
}

/* ---- what may not be -------------------------------------------------------------------- */

wte_status wte__min_length(wte_chain *chain, const wte__text *text, wte_error *err)
{
    (void)err;
    if (text->n < chain->options.min_length)
        rule_out(chain, chain->options.eos);
    return WTE_OK;
}

wte_status wte__min_new_tokens(wte_chain *chain, const wte__text *text, wte_error *err)
{
    (void)err;
    if (text->n - text->n_prompt < chain->options.min_new_tokens)
        rule_out(chain, chain->options.eos);
    return WTE_OK;
}

wte_status wte__suppress(wte_chain *chain, const wte__text *text, wte_error *err)
{
    (void)text;
    (void)err;
    rule_out(chain, chain->options.suppress);
    return WTE_OK;
}

/* At the first new token; where a BOS is forced behind a single token, at the one after it. */
wte_status wte__begin_suppress(wte_chain *chain, const wte__text *text, wte_error *err)
{
    size_t begin = text->n_prompt;
    (void)err;

    if (begin <= 1 && chain->options.forced_bos_id >= 0)
        begin++;
    if (text->n == begin)
        rule_out(chain, chain->options.begin_suppress);
    return WTE_OK;
}

wte_status wte__prefix_allowed(wte_chain *chain, const wte__text *text, wte_error *err)
{
    (void)err;
    memset(chain->allowed, 0, chain->n_vocab);
    chain->options.prefix_allowed(chain->options.prefix_allowed_data, text->sequence, text->ids,
                                  text->n, chain->allowed);
    chain->passes->allow(chain->allowed, chain->n_vocab, chain->scores);
    return WTE_OK;
}

wte_status wte__forced_bos(wte_chain *chain, const wte__text *text, wte_error *err)
{
    uint32_t id = (uint32_t)chain->options.forced_bos_id;
    (void)err;

    if (text->n == 1)
        allow_only(chain, &id, 1);
    return WTE_OK;
}

wte_status wte__forced_eos(wte_chain *chain, const wte__text *text, wte_error *err)
{
    const wte_generate_options *o = &chain->options;
    (void)err;

    if (text->n + 1 == wte__max_length(o, text->n_prompt))
        allow_only(chain, o->forced_eos.ids, o->forced_eos.n);
    return WTE_OK;
}

wte_status wte__remove_invalid(wte_chain *chain, const wte__text *text, wte_error *err)
{
    (void)text;
    (void)err;
    chain->passes->make_finite(chain->scores, chain->n_vocab);
    return WTE_OK;
}
