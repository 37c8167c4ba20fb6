/* SPDX-License-Identifier: MIT */
/* gpt2_decode.c - ids to bytes
 *
 * A piece is found by two neighbouring offsets and copied as 16 bytes, more than most have: the
 * next piece overwrites what is too much. Room for a group of the longest pieces is made before
 * it, at first for all ids at the usual length. Empty pieces and ids that are not in use look the
 * same, so only they are asked about. */
#include "token/gpt2_internal.h"

enum {
    WIDE = WTE__VOCAB_SPARE,
    GROUP = 256,  /* ids between two looks at the room */
    USUAL = 1024, /* bytes; with longer pieces one id is a group */
    EXPECTED = 5  /* bytes of a piece in usual text */
};

/* transformers' clean-up: ten replacements, one after the other, each over the whole text. In
 * place; returns the new length. */
static size_t clean_up(char *text, size_t len)
{
    static const struct {
        const char *from, *to;
    } steps[] = {{" .", "."},     {" ?", "?"},   {" !", "!"},   {" ,", ","},     {" ' ", "'"},
                 {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};

    for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
        size_t from = strlen(steps[k].from), to = strlen(steps[k].to), n = 0;

        for (size_t i = 0; i < len;) {
            if (text[i] == ' ' && len - i >= from && memcmp(text + i, steps[k].from, from) == 0) {
                memcpy(text + n, steps[k].to, to);
                n += to;
                i += from;
            } else {
                text[n++] = text[i++];
            }
        }
        len = n;
    }
    return len;
}

/* Copy n pieces, for which there is room. Returns how many were good. */
static size_t copy_pieces(const wte__vocab *v, const uint32_t *ids, size_t n, char **to)
{
    const uint32_t *offsets = v->offsets, n_vocab = v->n;
    const char *bytes = v->bytes;
    char *p = *to;
    size_t i = 0;

    for (; i < n; i++) {
        const char *piece;
        uint32_t length;

        if (__builtin_expect(ids[i] >= n_vocab, 0))
            break;
        piece = bytes + offsets[ids[i]];
        length = offsets[ids[i] + 1] - offsets[ids[i]];
        memcpy(p, piece, WIDE);
        if (__builtin_expect(length - 1 >= WIDE, 0)) {
            if (length == 0 && !v->used[ids[i]])
                break;
            for (uint32_t at = WIDE; at < length; at += WIDE)
                memcpy(p + at, piece + at, WIDE);
        }
        p += length;
    }
    *to = p;
    return i;
}

wte_status wte__gpt2_decode(const wte_tokenizer *t, const uint32_t *ids, size_t n, unsigned flags,
                            char **out, size_t *len, size_t *capacity, wte_error *err)
{
    const wte__gpt2 *g = t->family;
    const size_t group = g->max_piece > USUAL ? 1 : GROUP;
    size_t at = *len, wanted;

    if (!*out && !wte__mul_overflows(n, EXPECTED, &wanted)) {
        *out = wte__alloc_aligned(wanted, 1);
        *capacity = *out ? wanted : 0;
    }
    for (size_t i = 0; i < n;) {
        size_t count = n - i < group ? n - i : group, good;
        char *p;

        if (!wte__grow((void **)out, capacity, at + count * g->max_piece + WIDE + 1, 1))
            return wte__fail(err, WTE_E_NOMEM, "no memory for the text of %zu tokens", n);
        p = *out + at;
        good = copy_pieces(&t->piece, ids + i, count, &p);
        if (good < count)
            return wte__bad_id(t, ids, n, i + good, err);
        at = (size_t)(p - *out);
        i += count;
    }
    if (flags & WTE_DECODE_CLEAN_UP && at > *len)
        at = *len + clean_up(*out + *len, at - *len);
    *len = at;
    return WTE_OK;
}
