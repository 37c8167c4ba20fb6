/* SPDX-License-Identifier: MIT */
/** token/token_internal.h - what the two families of tokenizers share
 *
 * tokenizer.c opens files, finds special tokens in texts and hands the stretches between them to a
 * family: gpt2.c or bert.c. A family appends ids to an encoder. */
#ifndef WTE_TOKEN_INTERNAL_H
#define WTE_TOKEN_INTERNAL_H
#include "base/base.h"
#include "wte/tokenizer.h"

enum { WTE__VOCAB_SPARE = 16 }; /* bytes after the last string, so that 16 may be copied of any */

/** A vocabulary: strings by id and ids by string. Ids that are not in use have length 0 strings and
 * used[id] 0. Strings may hold any bytes. */
typedef struct wte__vocab {
    const char *bytes;       /* all strings, one after another, and WTE__VOCAB_SPARE bytes */
    const uint32_t *offsets; /* [n + 1] */
    const uint8_t *used;     /* [n] */
    uint32_t n;              /* highest id + 1 */
    const uint64_t *hash; /* [hash_mask + 1] slots: tag << 32 | id, or UINT64_MAX when free; NULL:
                             none */
    uint32_t hash_mask;
    void *owned; /* one block that holds all the arrays, or NULL: they are borrowed */
} wte__vocab;

/** Slots that may be passed over while n things enter a table that is at most half full: a few for
 * each, were they not made to collide. Files where it is more are refused, as nothing would end in
 * any useful time with them. */
static inline uint64_t wte__steps_allowed(uint64_t n)
{
    return 16 * n + 4096;
}

/** Make a vocabulary of n strings: item i is strings[offsets[i]] to strings[offsets[i + 1]].
 *   used  [n] or NULL for all. Everything is copied. Errors: E_NOMEM, E_FORMAT (over 4 GiB,
 * strings made to collide). */
wte_status wte__vocab_make(const char *strings, const uint64_t *offsets, const uint8_t *used,
                           uint32_t n, wte__vocab *out, wte_error *err);
void wte__vocab_free(wte__vocab *vocab);
/** Find an id, UINT32_MAX if there is none. */
uint32_t wte__vocab_find(const wte__vocab *vocab, const char *s, size_t len);

typedef struct wte__special {
    char *text; /* as it stands in a text: "<|endoftext|>", "[MASK]" */
    size_t len;
    uint32_t id;
    int lstrip, rstrip, single_word, normalized; /* as tokenizer.json's added_tokens say */
} wte__special;

struct wte_encoder {
    const wte_tokenizer *tokenizer;
    uint32_t *ids;
    wte_span *spans; /* kept in step with ids when flags ask for it */
    size_t n, capacity, span_capacity;
    void *state; /* the family's own: caches, scratch */
};

/** What a family does. Texts here hold no special tokens. */
typedef struct wte__family_ops {
    wte_status (*state_new)(const wte_tokenizer *t, void **state, wte_error *err);
    void (*state_free)(void *state);
    /** Append the ids of text[begin .. end); spans count from text. */
    wte_status (*encode)(wte_encoder *e, const char *text, size_t begin, size_t end, unsigned flags,
                         wte_error *err);
    wte_status (*explain)(wte_encoder *e, const char *text, size_t begin, size_t end,
                          wte_explain_fn fn, void *data, wte_error *err);
    /** Append the text of ids (special ones already left out if asked) to a growing buffer.
     * Errors: E_RANGE (wte__bad_id()), E_NOMEM. */
    wte_status (*decode)(const wte_tokenizer *t, const uint32_t *ids, size_t n, unsigned flags,
                         char **out, size_t *len, size_t *capacity, wte_error *err);
    void (*family_free)(void *family);
} wte__family_ops;

struct wte_tokenizer {
    wte_tokenizer_info info;
    wte__vocab spelling; /* as the vocabulary file spells tokens */
    wte__vocab piece;    /* the bytes that tokens stand for; for BERT the same arrays, borrowed */
    wte__special *specials;
    size_t n_specials;
    const wte__family_ops *ops;
    void *family;      /* wte__gpt2 or bert.c's own */
    wte__map compiled; /* what the arrays are borrowed from, if they are */
};

/** GPT-2: merges [n] pairs of ids and what they become, by rank. Fills t->ops and t->family.
 * The vocabulary is already there. Errors: E_NOMEM, E_FORMAT (no token for one of the 256 bytes).
 */
typedef struct wte__merge {
    uint32_t left, right, result;
} wte__merge;
wte_status wte__gpt2_init(wte_tokenizer *t, const wte__merge *merges, uint32_t n, wte_error *err);

/** BERT: t->info's options and the vocabulary are already there. Fills t->ops and t->family.
 * Errors: E_NOMEM, E_FORMAT (no [UNK]). */
wte_status wte__bert_init(wte_tokenizer *t, wte_error *err);

/** Fail as an id that is to be decoded is not in use. */
wte_status wte__bad_id(const wte_tokenizer *t, const uint32_t *ids, size_t n, size_t i,
                       wte_error *err);

/** Append one id (and its span) to an encoder. False if there is no memory. */
bool wte__encoder_add(wte_encoder *e, uint32_t id, size_t begin, size_t end, unsigned flags);
#endif
