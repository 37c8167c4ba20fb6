/* SPDX-License-Identifier: MIT */
/** token/gpt2_scan.h - where GPT-2's pre-tokens begin
 *
 * The pattern '(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ of Radford et
 * al. 2019, 64 bytes of text at a time. */
#ifndef WTE_TOKEN_GPT2_SCAN_H
#define WTE_TOKEN_GPT2_SCAN_H
#include "base/base.h"

enum {
    WTE__SCAN_BLOCKS = 32,
    WTE__SCAN_STARTS = 64 * WTE__SCAN_BLOCKS, /* the most that one call can give */
    WTE__SCAN_SPARE = 16                      /* and what it may write behind them */
};

typedef struct wte__scan {
    const char *text;
    const uint64_t *seams;
    size_t pos, end;
    uint64_t letter, number, other, space, blank; /* class of the last byte, 0 or 1 each */
    uint64_t clear, set; /* what a contraction at the end of the last block asks of the next */
    bool bad;            /* ill-formed UTF-8 has been seen; each subpart counts as U+FFFD */
} wte__scan;

/** Begin at text[begin], which begins a pre-token; end is below 2^32.
 *   seams  NULL, or bits for pairs of bytes (first + 256 * second): pre-tokens are cut between
 *          characters above ASCII whose bytes have none. Of no use once the text is bad. */
void wte__scan_begin(wte__scan *s, const char *text, size_t begin, size_t end,
                     const uint64_t *seams);
/** Find where pre-tokens begin in the next few blocks.
 *   starts  [WTE__SCAN_STARTS + WTE__SCAN_SPARE] receives byte numbers of the text, ascending
 * Returns how many; the text is at its end when s->pos is s->end. */
size_t wte__scan_next(wte__scan *s, uint32_t *starts);
#endif
