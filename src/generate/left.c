/* SPDX-License-Identifier: MIT */
/* left.c - the tokens that are left, and how to cut them without sorting
 *
 * Every warper keeps the tokens above some threshold of some key: the score, the probability, the
 * distance from the entropy. Where the threshold depends on a running sum (top-p, typical-p) or a
 * count (top-k), a sort of the vocabulary would give it, in some milliseconds; here the interval in
 * which it lies is narrowed until few keys are left in it, and only these are sorted:
 *
 *     weight(keys >= high) < target <= weight(keys >= low)
 *
 * Each step is one pass that adds up weights, and as soon as three quarters of the keys are
 * outside, those inside are copied close together, so the passes cost some four readings of all
 * keys in sum. Where the target is no small part of the whole, the first two values tried are those
 * of a sample; then the interval is halved by value, which is fast for scores that lie like a bell.
 * If that has not ended after a while, every other step halves by the float's bits, which ends for
 * any scores.
 *
 * Probabilities are made once. Taking tokens away scales the others all alike, so `mass` is all
 * that changes, and thresholds are multiplied by it. */
#include <math.h>
#include <stdlib.h>
#include "generate/chain.h"

enum {
    SAMPLE = 128,
    MANY = 16 * SAMPLE, /* keys of which a sample is worth its while */
    BY_VALUE = 16,      /* steps, before the bits are tried */
    FEW = 48,           /* keys that are sorted */
    SPARSE = 4 /* tokens are copied close together when no more than 1 / SPARSE of all are left */
};

double wte__meant(float x)
{
    char text[32];
    double value = (double)x;

    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)x);
        value = strtod(text, NULL);
        if ((float)value == x)
            break;
    }
    return value;
}

/* ---- the list --------------------------------------------------------------------------- */

void wte__left_begin(wte_chain *chain, float *scores)
{
    chain->scores = scores;
    chain->left = (wte__left){
        .scores = scores,
        .probs = chain->probs,
        .ids = chain->few_ids,
        .n = chain->n_vocab,
        .all = true,
    };
}

void wte__left_end(wte_chain *chain)
{
    const wte__left *left = &chain->left;

    if (left->all)
        return;
    for (size_t i = 0; i < chain->n_vocab; i++)
        chain->scores[i] = -INFINITY;
    for (size_t i = 0; i < left->n; i++)
        chain->scores[left->ids[i]] = left->scores[i];
}

void wte__left_need_probs(wte_chain *chain)
{
    wte__left *left = &chain->left;

    if (left->has_probs)
        return;
    memcpy(left->probs, left->scores, left->n * sizeof *left->probs);
    chain->kernels->softmax(left->probs, left->n);
    left->has_probs = true;
    left->mass = chain->passes->sum(left->probs, left->n);
}

static void gather(wte_chain *chain, size_t n)
{
    wte__left *left = &chain->left;
    const uint32_t *positions = chain->positions;

    /* Positions ascend, so what is written has been read. */
    for (size_t i = 0; i < n; i++) {
        chain->few_scores[i] = left->scores[positions[i]];
        left->ids[i] = left->all ? positions[i] : left->ids[positions[i]];
    }
    if (left->has_probs)
        for (size_t i = 0; i < n; i++)
            left->probs[i] = left->probs[positions[i]];
    left->scores = chain->few_scores;
    left->all = false;
    left->n = n;
}

size_t wte__left_keep(wte_chain *chain, const float *keys, float threshold)
{
    wte__left *left = &chain->left;
    size_t n = chain->passes->count_ge(keys, left->n, threshold);

    if (n == left->n)
        return n;
    if (left->all && n > left->n / SPARSE) {
        chain->passes->mask(keys, threshold, left->n, left->scores,
                            left->has_probs ? left->probs : NULL);
    } else {
        chain->kernels->select_ge(keys, left->n, threshold, chain->positions);
        gather(chain, n);
    }
    if (left->has_probs)
        left->mass = chain->passes->sum(left->probs, left->n);
    return n;
}

void wte__left_drop(wte_chain *chain, size_t position)
{
    wte__left *left = &chain->left;

    left->scores[position] = -INFINITY;
    if (left->has_probs) {
        left->mass -= (double)left->probs[position];
        left->probs[position] = 0;
    }
}

double wte__left_log_sum(const wte_chain *chain)
{
    const wte__left *left = &chain->left;
    double score = (double)chain->kernels->max_f32(left->scores, left->n);
    double prob = (double)chain->kernels->max_f32(left->probs, left->n);

    return score - log(prob / left->mass);
}

/* ---- the boundary ----------------------------------------------------------------------- */

/* Keys in [low, high) and what lies above them. */
typedef struct interval {
    const float *keys, *weights; /* [n] */
    size_t n;                    /* of which some are outside */
    size_t inside;
    float low, high;
    double above; /* weight of keys >= high */
} interval;

/* Floats as integers of the same order. */
static int64_t rank_of(float x)
{
    int32_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits < 0 ? -(int64_t)(bits & 0x7fffffff) : bits;
}

static float of_rank(int64_t rank)
{
    uint32_t bits = rank < 0 ? (uint32_t)-rank | 0x80000000u : (uint32_t)rank;
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

/* A value in (low, high), or low where there is none. */
static float middle(float low, float high, bool by_bits)
{
    int64_t a = rank_of(low), b = rank_of(high);
    float by_value = low / 2 + high / 2;

    if (a + 1 >= b)
        return low;
    if (!by_bits && by_value > low && by_value < high)
        return by_value;
    return of_rank(a + (b - a) / 2);
}

/* Copy the keys inside close together, into the chain's own arrays, which may be where they are. */
static void shrink(wte_chain *chain, interval *in)
{
    float *keys = chain->work_keys, *weights = chain->work_weights;
    size_t n = in->n, m = 0;
    bool bounded = in->high < INFINITY;

    if (!bounded) /* those above low are few: let them be selected */
        n = chain->kernels->select_ge(in->keys, in->n, in->low, chain->positions);
    for (size_t i = 0; i < n; i++) {
        size_t at = bounded ? i : chain->positions[i];
        float key = in->keys[at], weight = in->weights ? in->weights[at] : 0;

        keys[m] = key;
        weights[m] = weight;
        m += (size_t)(key >= in->low) & (size_t)(key < in->high);
    }
    in->keys = keys;
    in->weights = in->weights ? weights : NULL;
    in->n = m;
}

/* Put a key behind the n that are sorted, largest first. */
static inline void insert(float *keys, float *weights, size_t n, float key, float weight)
{
    for (; n > 0 && keys[n - 1] < key; n--) {
        keys[n] = keys[n - 1];
        weights[n] = weights[n - 1];
    }
    keys[n] = key;
    weights[n] = weight;
}

/* Guess two values with the boundary between them from every so-manieth key. */
static void guess(const interval *in, double share, float *guesses)
{
    float keys[SAMPLE], weights[SAMPLE];
    size_t n = 0;
    double total = 0, passed = 0, margin = 2 * sqrt(share * (1 - share) / SAMPLE);

    for (size_t s = 0; s < SAMPLE; s++) {
        const size_t from = s * (in->n / SAMPLE);
        float key = in->keys[from], weight = in->weights ? in->weights[from] : 1;

        if (key == -INFINITY)
            continue;
        insert(keys, weights, n++, key, weight);
        total += (double)weight;
    }
    guesses[0] = guesses[1] = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (passed <= (share - margin) * total)
            guesses[0] = keys[i];
        if (passed <= (share + margin) * total)
            guesses[1] = keys[i];
        passed += (double)weights[i];
    }
}

/* Sort the few keys of [low, high), largest first, and go down to the target. */
static float walk(const interval *in, double target, double *above)
{
    float keys[FEW], weights[FEW];
    double passed = in->above;
    size_t n = 0;

    for (size_t i = 0; i < in->n; i++) {
        float key = in->keys[i], weight = in->weights ? in->weights[i] : 1;

        if (!(key >= in->low && key < in->high))
            continue;
        insert(keys, weights, n++, key, weight);
    }
    *above = in->above;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && keys[i] != keys[i - 1])
            *above = passed;
        passed += (double)weights[i];
        if (passed >= target || i + 1 == n)
            return keys[i];
    }
    return in->low;
}

float wte__boundary(wte_chain *chain, const float *keys, const float *weights, size_t n,
                    double target, double total, double *above)
{
    interval in = {keys, weights, n, 0, 0, INFINITY, 0};
    float largest, guesses[2];
    size_t n_guesses = 0;
    double dummy;

    above = above ? above : &dummy;
    *above = 0;
    chain->passes->ends(keys, n, &in.low, &largest);
    if (largest == -INFINITY)
        return -INFINITY;
    in.inside = chain->passes->count_ge(keys, n, in.low);
    if (!weights)
        total = (double)in.inside;
    if (total < target) {
        *above = total;
        return -INFINITY;
    }
    if (n >= MANY && target > total / 32) {
        guess(&in, target / total, guesses);
        n_guesses = 2;
    }
    for (size_t step = 0; in.inside > FEW; step++) {
        float at;
        double weight;
        size_t count;

        if (step < n_guesses)
            at = guesses[step];
        else
            at = middle(in.low, in.high < INFINITY ? in.high : largest,
                        step > BY_VALUE && (step & 1));
        if (step < n_guesses && !(at > in.low && at < in.high))
            continue;
        if (at == in.low) {
            if (in.high < INFINITY || in.low == largest) {
                *above = in.above; /* all keys inside are equal */
                return in.low;
            }
            at = largest;
        }
        weight = chain->passes->weigh(in.keys, in.weights, in.n, at, in.high, &count);
        if (in.above + weight >= target) {
            in.low = at;
            in.inside = count;
        } else {
            in.high = at;
            in.above += weight;
            in.inside -= count;
        }
        if (in.inside < in.n / SPARSE)
            shrink(chain, &in);
    }
    return walk(&in, target, above);
}
