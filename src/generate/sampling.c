/* SPDX-License-Identifier: MIT */
/* sampling.c - softmax, the best few, and a draw
 *
 * The best k of a vocabulary are kept in a heap of ids, in the caller's own array, the worst on
 * top; blocks of scores without any that beats it are passed over with one comparison. */
#include <math.h>
#include "base/base.h"
#include "base/random_internal.h"
#include "generate/generate_internal.h"
#include "kernel/kernel.h"

enum {
    BLOCK = 64,
    FEW = 1024 /* tokens that are worth a softmax of their own */
};

void wte_softmax(const float *scores, size_t n, float *probs)
{
    if (probs != scores)
        memmove(probs, scores, n * sizeof *probs);
    wte__kernel()->softmax(probs, n);
}

/* NaN is worse than anything. */
static bool worse(const float *scores, uint32_t a, uint32_t b)
{
    float x = scores[a], y = scores[b];

    if (isnan(x) || isnan(y))
        return isnan(x) && isnan(y) ? a > b : isnan(x);
    return x < y || (x == y && a > b);
}

static void sink(const float *scores, uint32_t *ids, size_t n, uint32_t id)
{
    size_t at = 0;

    for (size_t child = 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && worse(scores, ids[child + 1], ids[child]))
            child++;
        if (!worse(scores, ids[child], id))
            break;
        ids[at] = ids[child];
        at = child;
    }
    ids[at] = id;
}

static void rise(const float *scores, uint32_t *ids, size_t at)
{
    uint32_t id = ids[at];

    while (at > 0 && worse(scores, id, ids[(at - 1) / 2])) {
        ids[at] = ids[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    ids[at] = id;
}

/* Whether any score of the block may be better than the bound; a bound of NaN lets all pass. */
static bool any_better(const float *scores, size_t n, float bound)
{
    uint32_t any = 0;

    for (size_t i = 0; i < n; i++)
        any |= (uint32_t) !(scores[i] <= bound);
    return any;
}

void wte_best(const float *scores, size_t n, size_t k, uint32_t *ids)
{
    size_t i = 0;

    if (k > n)
        k = n;
    if (k == 0)
        return;
    for (; i < k; i++) {
        ids[i] = (uint32_t)i;
        rise(scores, ids, i);
    }
    while (i < n) {
        size_t end = n - i < BLOCK ? n : i + BLOCK;

        if (!any_better(scores + i, end - i, scores[ids[0]])) {
            i = end;
            continue;
        }
        for (; i < end; i++)
            if (worse(scores, ids[0], (uint32_t)i))
                sink(scores, ids, k, (uint32_t)i);
    }
    for (size_t m = k; m > 1; m--) {
        uint32_t worst = ids[0];

        sink(scores, ids, m - 1, ids[m - 1]);
        ids[m - 1] = worst;
    }
}

/* Find the tokens that are possible, if there are at most FEW: else FEW + 1. */
static size_t find_few(const float *scores, size_t n, uint32_t *ids)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i += BLOCK) {
        size_t end = n - i < BLOCK ? n : i + BLOCK;

        if (!any_better(scores + i, end - i, -INFINITY))
            continue;
        for (size_t j = i; j < end; j++)
            if (!(scores[j] <= -INFINITY)) {
                if (found == FEW)
                    return FEW + 1;
                ids[found++] = (uint32_t)j;
            }
    }
    return found;
}

wte_status wte__draw(wte_generator *g, const float *scores, size_t n, float *probs, uint32_t *id,
                     wte_error *err)
{
    uint32_t ids[FEW];
    float few[FEW];
    size_t m = find_few(scores, n, ids);

    if (m > FEW || m == 0) {
        wte_softmax(scores, n, probs);
        return wte_generator_multinomial(g, probs, n, 1, 0, id, err);
    }
    for (size_t i = 0; i < m; i++)
        few[i] = scores[ids[i]];
    wte__kernel()->softmax(few, m);
    if (isnan(few[0]))
        return wte__fail(err, WTE_E_RANGE, "no distribution to draw from: a score is nan or inf");
    memset(probs, 0, n * sizeof *probs);
    for (size_t i = 0; i < m; i++)
        probs[ids[i]] = few[i];
    *id = ids[wte__generator_pick(g, ids, few, m, n)];
    return WTE_OK;
}
