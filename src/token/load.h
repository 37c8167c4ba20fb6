/* SPDX-License-Identifier: MIT */
/** token/load.h - tokenizers made from what files hold
 *
 * A builder takes a vocabulary, then merges and special tokens, and becomes a tokenizer. The
 * readers of vocab.json, merges.txt, vocab.txt and tokenizer.json use it, and so does whoever finds
 * a tokenizer inside another file (GGUF). */
#ifndef WTE_TOKEN_LOAD_H
#define WTE_TOKEN_LOAD_H
#include "token/token_internal.h"

typedef struct wte__builder {
    wte_tokenizer *t;
    const char *name; /* for messages; borrowed */
    wte__merge *merges;
    size_t n_merges, merges_capacity, specials_capacity;
    size_t first_merge; /* how many are before these, elsewhere */
} wte__builder;

/** Start with a vocabulary as its file spells it.
 *   name     of the file, for messages; borrowed until the builder is freed
 *   source   for info->source; a string that outlives the tokenizer
 *   strings  item i is strings[offsets[i]] to strings[offsets[i + 1]], i < n
 *   used     [n] or NULL for all
 * Errors: E_NOMEM, E_FORMAT (two ids have the same spelling). Free the builder in any case. */
wte_status wte__builder_begin(wte__builder *b, wte_tokenizer_kind kind, const char *name,
                              const char *source, const char *strings, const uint64_t *offsets,
                              const uint8_t *used, uint32_t n, wte_error *err);
/** Add the next merge, by spelling. `where` is its line or number, from 1, for messages. Errors:
 * E_NOMEM, E_FORMAT (a piece that is not in the vocabulary). */
wte_status wte__builder_merge(wte__builder *b, const char *left, size_t left_len, const char *right,
                              size_t right_len, size_t where, wte_error *err);
/** Say that a token is special; if it is already, its rules are replaced. The text is copied.
 * Errors: E_NOMEM, E_FORMAT (an id without a token, an empty text). */
wte_status wte__builder_special(wte__builder *b, const char *text, size_t len, uint32_t id,
                                int lstrip, int rstrip, int single_word, int normalized,
                                wte_error *err);
/** Finish. Errors: as wte__gpt2_init() and wte__bert_init(). */
wte_status wte__builder_end(wte__builder *b, wte_tokenizer **out, wte_error *err);
void wte__builder_free(wte__builder *b);

/** Names of the files of a folder that are read, if they are there. */
enum { WTE__N_TOKENIZER_FILES = 7 };
extern const char *const wte__tokenizer_files[WTE__N_TOKENIZER_FILES];
/** The folder of a file, or the path itself if it is one. Free with wte__free(); NULL if there is
 * no memory. */
char *wte__folder_of(const char *path, bool is_folder);

/** Open the tokenizer of a folder or file; wte_tokenizer_open() is this. */
wte_status wte__tokenizer_load(const char *path, wte_tokenizer **out, wte_error *err);

/** Open the tokenizer inside a GGUF. Errors: E_NOTFOUND (it has none), E_UNSUPPORTED (not GPT-2's),
 * as wte_checkpoint_open() and wte_tokenizer_open(). */
wte_status wte__tokenizer_load_gguf(const char *path, wte_tokenizer **out, wte_error *err);

/** Find the token that stands for these bytes; UINT32_MAX if there is none. Errors: E_NOMEM. */
wte_status wte__piece_find(const wte_tokenizer *t, const char *piece, size_t len, uint32_t *id,
                           wte_error *err);

/** A vocabulary whose arrays are still to be filled. */
typedef struct wte__vocab_room {
    uint64_t *hash;
    uint32_t *offsets;
    uint8_t *used;
    char *bytes; /* [n_bytes], and the spare bytes after them are 0 */
} wte__vocab_room;
/** Make room for a vocabulary of n strings. Without a hash wte__vocab_find() finds none of them.
 * Errors: E_NOMEM, E_FORMAT (over 4 GiB). */
wte_status wte__vocab_new(uint32_t n, uint64_t n_bytes, bool with_hash, wte__vocab *out,
                          wte__vocab_room *room, wte_error *err);

/** As wte__vocab_make(); two equal strings are told in pair, whose ids are equal where there are
 * none. */
wte_status wte__vocab_make_unique(const char *strings, const uint64_t *offsets, const uint8_t *used,
                                  uint32_t n, wte__vocab *out, uint32_t pair[2], wte_error *err);
/** wte__vocab_find() in two steps, so that many searches can wait for memory at once: begin gives
 * the hash and fetches, end finds. */
uint64_t wte__vocab_find_begin(const wte__vocab *vocab, const char *s, size_t len);
uint32_t wte__vocab_find_end(const wte__vocab *vocab, const char *s, size_t len, uint64_t hash);
#endif
