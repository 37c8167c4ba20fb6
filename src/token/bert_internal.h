/* SPDX-License-Identifier: MIT */
/** token/bert_internal.h - the tables of BERT's WordPiece
 *
 * Flat arrays without pointers inside, so that they can be built in memory or mapped from a file.
 */
#ifndef WTE_TOKEN_BERT_INTERNAL_H
#define WTE_TOKEN_BERT_INTERNAL_H
#include "token/token_internal.h"

enum {
    WTE__BERT_FILTER_LOG2 = 18, /* bits that say which hashes no piece has: 32 KiB */
    WTE__BERT_FILTER_WORDS = (1 << WTE__BERT_FILTER_LOG2) / 64,
    WTE__BERT_DECODED = 16 /* bytes of an entry for decoding */
};

/** A slot of the table of pieces; id is UINT32_MAX in a free one. */
typedef struct wte__bert_slot {
    uint32_t tag, id;
} wte__bert_slot;

/** What a piece adds to a decoded text: with its space before it, or without its ##. */
typedef struct wte__bert_decoded {
    char text[WTE__BERT_DECODED - 1];
    uint8_t length; /* or one of bert.c's DECODE_... */
} wte__bert_decoded;

typedef struct wte__bert_tables {
    const wte__bert_slot *slots;      /* [n_slots] */
    const uint64_t *filter;           /* [WTE__BERT_FILTER_WORDS] */
    const wte__bert_decoded *decoded; /* [n_vocab + 1]: a copy may start late and run over */
    size_t n_slots;                   /* a power of two */
    size_t longest;                   /* bytes of the longest piece, without ## */
} wte__bert_tables;

/** The tables of a BERT tokenizer, which keeps them. */
void wte__bert_get_tables(const wte_tokenizer *t, wte__bert_tables *out);
/** Take tables that were built before and are kept elsewhere. The vocabulary and the options are
 * already there. Every number is checked, so that no table can lead outside another.
 *   tables  copied; its arrays are borrowed and must outlive t
 * Fills t->ops and t->family. Errors: E_NOMEM, E_FORMAT. */
wte_status wte__bert_attach(wte_tokenizer *t, const wte__bert_tables *tables, wte_error *err);
#endif
