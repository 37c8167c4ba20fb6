/* SPDX-License-Identifier: MIT */
/* lookup.c - drafts from the text itself
 *
 * Where the last tokens stood before, what followed them then is a good guess of what follows now:
 * summaries, code and a small model's repetitions copy much. A guess costs a search of the text;
 * the network then checks all its tokens in one pass, which costs little more than one token
 * because a pass reads the weights once. The longest match is best, of equally long ones the
 * latest.
 *
 * Source: Saxena 2023, prompt lookup decoding; Leviathan et al. 2023 for the check. A token is
 * drawn from the network's distribution whether or not the draft agrees, so the text is the same as
 * without drafts: there is nothing to reject by chance. */
#include "generate/search.h"

enum { LONGEST_MATCH = 3 };

size_t wte__lookup(const uint32_t *ids, size_t n, uint32_t *draft, size_t max)
{
    size_t best = 0, from = 0;

    for (size_t end = n - (n > 0); end > 0 && best < LONGEST_MATCH; end--) {
        size_t match = 0;

        while (match < LONGEST_MATCH && match < end && ids[end - 1 - match] == ids[n - 1 - match])
            match++;
        if (match > best)
            best = match, from = end;
    }
    if (best == 0)
        return 0;
    if (max > n - from)
        max = n - from;
    memcpy(draft, ids + from, max * sizeof *draft);
    return max;
}
