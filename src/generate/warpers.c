/* SPDX-License-Identifier: MIT */
/* warpers.c - what cuts the distribution before a token is drawn
 *
 * Each keeps the tokens above a threshold, as transformers' warpers do, ties and all:
 *
 *   top-k        score of the k-th best; ties with it are kept
 *   top-p        going up from the least likely, tokens go while their sum is at most 1 - p. Of
 *                equal tokens at the edge those with the lower ids go, because torch sorts upwards
 *                and keeps the order of equals
 *   min-p        p times the largest probability
 *   typical-p    distance of -log(prob) from the entropy: the least distant, up to the first with
 *                which their mass reaches p
 *   epsilon      the cutoff; eta: min(cutoff, sqrt(cutoff) * exp(-entropy))
 *   top-n-sigma  largest score - n * standard deviation of the scores that are not ruled out. A
 *                temperature before it changes nothing
 *   XTC          with its probability: all tokens over the threshold but the least likely of them
 *                go. The chance is a hash of the seed, the sequence and the place in the text, not a
 *                draw, so that the sampler's stream and a repeated call stay what they are
 *   mirostat 2   2^-mu; mu begins at 2 tau and then follows the surprise of what was drawn
 *
 * At least `keep` tokens stay. The cutoffs are compared as torch compares: a float with the float
 * nearest to Python's number.
 *
 * Source: Fan et al. 2018 (top-k); Holtzman et al. 2020 (top-p); Nguyen et al. 2024,
 * arXiv:2407.01082 (min-p); Meister et al. 2023, arXiv:2202.00666 (typical); Hewitt et al. 2022,
 * arXiv:2210.15191 (epsilon, eta); Tang et al. 2024, arXiv:2411.07641 (top-n-sigma); p-e-w,
 * text-generation-webui pull request 6335, 2024 (XTC); Basu et al. 2021, arXiv:2007.14966
 * (mirostat). Left out: mirostat 1, whose estimate of Zipf's exponent its authors dropped. */
#include <math.h>
#include "generate/chain.h"

/* The k-th best of the values that are left; -INFINITY if there are fewer. */
static float kth(wte_chain *chain, const float *values, size_t k)
{
    if (k == 1)
        return chain->kernels->max_f32(values, chain->left.n);
    return wte__boundary(chain, values, NULL, chain->left.n, (double)k, 0, NULL);
}

/* ---- the whole distribution ------------------------------------------------------------- */

wte_status wte__renormalise(wte_chain *chain, const wte__text *text, wte_error *err)
{
    wte__left *left = &chain->left;
    float max = chain->kernels->max_f32(left->scores, left->n);
    float log_sum = (float)log(chain->kernels->sum_exp(left->scores, left->n, max));
    (void)text;
    (void)err;

    chain->passes->subtract(left->scores, left->n, max, log_sum);
    return WTE_OK;
}

wte_status wte__temperature(wte_chain *chain, const wte__text *text, wte_error *err)
{
    wte__left *left = &chain->left;
    float t = chain->options.temperature, max;
    (void)text;

    chain->passes->divide(left->scores, left->n, t);
    left->has_probs = false;
    max = chain->kernels->max_f32(left->scores, left->n);
    if (!isfinite(max))
        return wte__member_fail(chain, err, "%g makes the largest score %g, expected a number",
                                (double)t, (double)max);
    return WTE_OK;
}

/* ---- cuts by score ---------------------------------------------------------------------- */

wte_status wte__top_k(wte_chain *chain, const wte__text *text, wte_error *err)
{
    wte__left *left = &chain->left;
    size_t k = chain->options.top_k > chain->keep ? chain->options.top_k : chain->keep;
    (void)text;
    (void)err;

    if (k < left->n)
        wte__left_keep(chain, left->scores, kth(chain, left->scores, k));
    return WTE_OK;
}

wte_status wte__top_n_sigma(wte_chain *chain, const wte__text *text, wte_error *err)
{
    wte__left *left = &chain->left;
    float max = chain->kernels->max_f32(left->scores, left->n), threshold, least;
    double sum, squares, n, variance;
    (void)text;
    (void)err;

    /* Differences from the largest, a few deviations off: in float64 nothing cancels. */
    n = (double)chain->passes->moments(left->scores, left->n, max, &sum, &squares);
    variance = fmax(squares / n - sum / n * (sum / n), 0);
    threshold = (float)((double)max - (double)chain->options.top_n_sigma * sqrt(variance));
    least = kth(chain, left->scores, chain->keep);
    wte__left_keep(chain, left->scores, threshold < least ? threshold : least);
    return WTE_OK;
}

/* ---- cuts by probability ---------------------------------------------------------------- */

/* Keep tokens of at least this probability, and the best in any case. */
static void keep_probable(wte_chain *chain, double prob)
{
    wte__left *left = &chain->left;
    float threshold = (float)(prob * left->mass);

    if (!(threshold > 0))
        return;
    if (kth(chain, left->probs, chain->keep) >= threshold)
        wte__left_keep(chain, left->probs, threshold);
    else
        wte__left_keep(chain, left->scores, kth(chain, left->scores, chain->keep));
}

/* Of the tokens with this score let the first n go: those with the lowest ids. */
static void drop_ties(wte_chain *chain, float score, size_t n)
{
    for (size_t i = 0; n > 0 && i < chain->left.n; i++)
        if (chain->left.scores[i] == score) {
            wte__left_drop(chain, i);
            n--;
        }
}

/* How many of the ties at the edge stay: those whose mass above them is below the target. */
static size_t ties_to_keep(const wte__left *left, float edge, size_t ties, double room)
{
    double each = 0, n;

    for (size_t i = 0; i < left->n && each == 0; i++)
        each = left->scores[i] == edge ? (double)left->probs[i] : 0;
    n = each > 0 ? ceil(room / each) : (double)ties;
    return n <= 0 ? 0 : n < (double)ties ? (size_t)n : ties;
}

wte_status wte__top_p(wte_chain *chain, const wte__text *text, wte_error *err)
{
    wte__left *left = &chain->left;
    double above, target;
    float edge, least, lower;
    size_t above_edge, ties, stay = 0;
    (void)text;
    (void)err;

    wte__left_need_probs(chain);
    /* A token stays if the mass of those above it is below the target. */
    target = left->mass * (1 - (double)(float)(1 - wte__meant(chain->options.top_p)));
    edge = wte__boundary(chain, left->scores, left->probs, left->n, target, left->mass, &above);
    least = kth(chain, left->scores, chain->keep);
    if (edge == -INFINITY || least == -INFINITY)
        return WTE_OK;
    lower = edge < least ? edge : least;
    ties = wte__left_keep(chain, left->scores, lower);
    above_edge = chain->passes->count_ge(left->scores, left->n, nextafterf(lower, INFINITY));
    ties -= above_edge;
    if (edge <= least)
        stay = ties_to_keep(left, edge, ties, target - above);
    if (above_edge + stay < chain->keep)
        stay = chain->keep - above_edge;
    drop_ties(chain, lower, ties - stay);
    return WTE_OK;
}

wte_status wte__min_p(wte_chain *chain, const wte__text *text, wte_error *err)
{
    wte__left *left = &chain->left;
    (void)text;
    (void)err;

    wte__left_need_probs(chain);
    keep_probable(chain, (double)chain->options.min_p *
                             (double)chain->kernels->max_f32(left->probs, left->n) / left->mass);
    return WTE_OK;
}

/* -sum of p * log(p), with log(p) = score - log_sum. */
static double entropy(const wte_chain *chain, double log_sum)
{
    const wte__left *left = &chain->left;

    return chain->passes->surprise(left->scores, left->probs, left->n, (float)log_sum) / left->mass;
}

wte_status wte__typical_p(wte_chain *chain, const wte__text *text, wte_error *err)
{
    wte__left *left = &chain->left;
    float *keys = chain->keys, surprise_shift, edge, least;
    double log_sum;
    (void)text;
    (void)err;

    wte__left_need_probs(chain);
    log_sum = wte__left_log_sum(chain);
    /* |-log(p) - H| = |log_sum - score - H| */
    surprise_shift = (float)(log_sum - entropy(chain, log_sum));
    chain->passes->distances(left->scores, left->n, surprise_shift, keys);
    edge = wte__boundary(chain, keys, left->probs, left->n,
                         left->mass * wte__meant(chain->options.typical_p), left->mass, NULL);
    least = kth(chain, keys, chain->keep);
    wte__left_keep(chain, keys, edge < least ? edge : least);
    return WTE_OK;
}

wte_status wte__epsilon(wte_chain *chain, const wte__text *text, wte_error *err)
{
    (void)text;
    (void)err;
    wte__left_need_probs(chain);
    keep_probable(chain, (double)chain->options.epsilon_cutoff);
    return WTE_OK;
}

wte_status wte__eta(wte_chain *chain, const wte__text *text, wte_error *err)
{
    double cutoff = (double)chain->options.eta_cutoff;
    (void)text;
    (void)err;

    wte__left_need_probs(chain);
    keep_probable(chain,
                  fmin(cutoff, sqrt(cutoff) * exp(-entropy(chain, wte__left_log_sum(chain)))));
    return WTE_OK;
}

/* ---- beyond transformers ---------------------------------------------------------------- */

/* A number in [0, 1) for this place of this text. */
static double chance(uint64_t seed, const wte__text *text)
{
    uint64_t state = seed;

    state = wte__random(&state) ^ text->sequence;
    state = wte__random(&state) ^ text->n;
    return (double)(wte__random(&state) >> 11) * 0x1p-53;
}

wte_status wte__xtc(wte_chain *chain, const wte__text *text, wte_error *err)
{
    wte__left *left = &chain->left;
    float threshold;
    size_t n, least = 0, others = 0;
    (void)err;

    if (chance(chain->options.seed, text) >= (double)chain->options.xtc_probability)
        return WTE_OK;
    wte__left_need_probs(chain);
    threshold = (float)((double)chain->options.xtc_threshold * left->mass);
    n = chain->kernels->select_ge(left->probs, left->n, threshold, chain->positions);
    if (n < 2)
        return WTE_OK;
    for (size_t i = 1; i < n; i++) /* of equal ones the last is the least */
        if (left->scores[chain->positions[i]] <= left->scores[chain->positions[least]])
            least = i;
    for (size_t i = 0; i < left->n; i++)
        others += left->scores[i] != -INFINITY;
    if (others - (n - 1) < chain->keep)
        return WTE_OK;
    for (size_t i = 0; i < n; i++)
        if (i != least)
            wte__left_drop(chain, chain->positions[i]);
    return WTE_OK;
}

static wte_status state_of(wte_chain *chain, size_t sequence, wte__mirostat **out, wte_error *err)
{
    if (sequence >= chain->n_mirostat) {
        if (sequence == SIZE_MAX || !wte__grow((void **)&chain->mirostat, &chain->mirostat_capacity,
                                               sequence + 1, sizeof *chain->mirostat))
            return wte__fail(err, WTE_E_NOMEM, "no memory for mirostat's state of sequence %zu",
                             sequence);
        for (; chain->n_mirostat <= sequence; chain->n_mirostat++)
            chain->mirostat[chain->n_mirostat] =
                (wte__mirostat){2 * (double)chain->options.mirostat_tau, 1};
    }
    *out = &chain->mirostat[sequence];
    return WTE_OK;
}

wte_status wte__mirostat_2(wte_chain *chain, const wte__text *text, wte_error *err)
{
    wte__mirostat *state = NULL;
    wte_status status = state_of(chain, text->sequence, &state, err);
    double before;

    if (status)
        return status;
    wte__left_need_probs(chain);
    before = chain->left.mass;
    keep_probable(chain, exp2(-state->mu));
    state->kept = chain->left.mass / before;
    return WTE_OK;
}

/* Of the distribution that mirostat was given, the token had prob times what it let through. */
void wte__chain_drawn(wte_chain *chain, size_t sequence, float prob)
{
    const wte_generate_options *o = &chain->options;
    wte__mirostat *state;
    double surprise;

    if (!(o->mirostat_tau > 0) || sequence >= chain->n_mirostat || !(prob > 0))
        return;
    state = &chain->mirostat[sequence];
    surprise = -log2((double)prob * state->kept);
    state->mu -= (double)o->mirostat_eta * (surprise - (double)o->mirostat_tau);
}
