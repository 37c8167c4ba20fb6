/* SPDX-License-Identifier: MIT */
/* repeats.c - tokens that would repeat what stands in the text already
 *
 * Both members ask the same of each place i: how many tokens before i equal the last ones of the
 * text? Read backwards, that is the Z array of the reversed text, which Gusfield's algorithm makes
 * in linear time: while a match [left, right) that reaches furthest is known, what lies inside it
 * is copied from its own beginning.
 *
 *   text     a b c d | a b c d | a b c     matches at the second d: 3 (a b c), at the second b: 0
 *
 * No repeated n-gram rules out the token at i where the match has n - 1 tokens or more. DRY takes
 * multiplier * base^(match - allowed length) from the score of the token at i, the longest match of
 * a token counting. A match does not reach over a breaker, a breaker itself is never penalised, and
 * a text that ends in one begins anew.
 *
 * Source: Gusfield 1997, "Algorithms on strings, trees and sequences", 1.3-1.4; transformers'
 * NoRepeatNGramLogitsProcessor; DRY by p-e-w, text-generation-webui pull request 5677, 2024. */
#include <float.h>
#include <math.h>
#include "generate/chain.h"

static uint32_t from_end(const uint32_t *ids, size_t n, size_t i)
{
    return ids[n - 1 - i];
}

/* matches[i] belongs to place n - z in the reversed text, z = n - i: the suffix that ends before i.
 */
void wte__suffix_matches(const uint32_t *ids, size_t n, uint32_t *matches)
{
    size_t left = 0, right = 0;

    if (n == 0)
        return;
    matches[0] = 0; /* nothing stands before the first token */
    for (size_t z = 1; z < n; z++) {
        size_t length = 0;

        if (z < right) {
            /* The reversed text from z on equals that from z - left on, up to right. */
            length = matches[n - (z - left)];
            if (length > right - z)
                length = right - z;
        }
        while (z + length < n && from_end(ids, n, length) == from_end(ids, n, z + length))
            length++;
        if (z + length > right) {
            left = z;
            right = z + length;
        }
        matches[n - z] = (uint32_t)length;
    }
}

static wte_status find_matches(wte_chain *chain, const uint32_t *ids, size_t n, wte_error *err)
{
    if (!wte__grow((void **)&chain->matches, &chain->matches_capacity, n, sizeof *chain->matches))
        return wte__fail(err, WTE_E_NOMEM, "no memory to compare a text of %zu tokens", n);
    wte__suffix_matches(ids, n, chain->matches);
    return WTE_OK;
}

wte_status wte__no_repeat_ngram(wte_chain *chain, const wte__text *text, wte_error *err)
{
    size_t size = chain->options.no_repeat_ngram_size;
    wte_status status;

    if (text->n + 1 < size || text->n == 0)
        return WTE_OK;
    status = find_matches(chain, text->ids, text->n, err);
    if (status)
        return status;
    for (size_t i = 0; i < text->n; i++)
        if (chain->matches[i] >= size - 1)
            chain->scores[text->ids[i]] = -INFINITY;
    return WTE_OK;
}

static bool breaks(const wte_chain *chain, uint32_t id)
{
    wte_ids list = chain->options.dry_breakers;

    for (size_t i = 0; i < list.n; i++)
        if (list.ids[i] == id)
            return true;
    return false;
}

wte_status wte__dry(wte_chain *chain, const wte__text *text, wte_error *err)
{
    const wte_generate_options *o = &chain->options;
    size_t n = text->n, reach = 0;
    const uint32_t *ids = text->ids;
    wte_status status;

    if (o->dry_range > 0 && n > o->dry_range) {
        ids += n - o->dry_range;
        n = o->dry_range;
    }
    while (reach < n && !breaks(chain, ids[n - 1 - reach]))
        reach++;
    if (reach < o->dry_allowed_length)
        return WTE_OK;
    status = find_matches(chain, ids, n, err);
    if (status)
        return status;
    for (size_t i = 0; i < n; i++) {
        uint32_t length = chain->matches[i] < reach ? chain->matches[i] : (uint32_t)reach;

        if (length > chain->per_token[ids[i]])
            chain->per_token[ids[i]] = length;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t id = ids[i], length = chain->per_token[id];
        double penalty;

        chain->per_token[id] = 0;
        if (length < o->dry_allowed_length || breaks(chain, id))
            continue;
        penalty = (double)o->dry_multiplier *
                  pow((double)o->dry_base, (double)(length - o->dry_allowed_length));
        /* A penalty discourages; it never rules out. */
        if (chain->scores[id] != -INFINITY) {
            double score = (double)chain->scores[id] - penalty;
            chain->scores[id] = score > (double)-FLT_MAX ? (float)score : -FLT_MAX;
        }
    }
    return WTE_OK;
}
