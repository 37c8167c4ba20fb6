/* SPDX-License-Identifier: MIT */
/** wte/tokenizer.h - text to token ids and back, exactly as the originals do it
 *
 * Two families: GPT-2's byte-level byte-pair encoding (Radford et al. 2019) and BERT's WordPiece
 * (Devlin et al. 2018). A tokenizer never changes: threads may share it. What an encoding remembers
 * from word to word lives in an encoder, one per thread. Text is bytes and should be UTF-8; bytes
 * that are not are what the originals see after decoding with replacement: U+FFFD. */
#ifndef WTE_TOKENIZER_H
#define WTE_TOKENIZER_H
#include "wte/status.h"
WTE_BEGIN_DECLS

typedef struct wte_tokenizer wte_tokenizer;
typedef struct wte_encoder wte_encoder;

typedef enum wte_tokenizer_kind { WTE_TOKENIZER_GPT2, WTE_TOKENIZER_BERT } wte_tokenizer_kind;

typedef struct wte_tokenizer_info {
    wte_tokenizer_kind kind;
    const char *source; /**< "vocab.json and merges.txt", "vocab.txt", "tokenizer.json", "GGUF" */
    uint32_t n_vocab;   /**< highest id + 1 */
    uint32_t n_holes;   /**< ids below n_vocab that have no token */
    uint32_t n_merges;  /**< GPT-2 */
    uint32_t n_special;
    int do_lower_case; /**< BERT, as the next two */
    int strip_accents;
    int tokenize_chinese_chars;
    int add_prefix_space; /**< GPT-2: a space is put before a text that does not begin with one */
    int compiled;         /**< opened from the cache folder */
    int64_t unk, cls, sep, pad, mask, bos, eos; /**< ids, -1 where there is none */
} wte_tokenizer_info;

/** Open the tokenizer of a folder or a single file.
 *   path  a folder with vocab.json + merges.txt, vocab.txt or tokenizer.json
 *         (tokenizer_config.json, special_tokens_map.json and added_tokens.json are read for their
 *         options and tokens), or one of vocab.json, vocab.txt, tokenizer.json; or a GGUF
 *   out   free with wte_tokenizer_free()
 * Errors: E_IO, E_FORMAT, E_NOTFOUND (which says what is missing), E_NOMEM. */
WTE_API wte_status wte_tokenizer_open(const char *path, wte_tokenizer **out, wte_error *err);
/** The same, by way of the cache folder: of a large vocabulary what had to be computed is kept in a
 * file there and mapped the next time. A kept file that is stale or damaged is noticed and
 * replaced; where there is no folder, or it cannot be written, this is wte_tokenizer_open().
 *   cache_dir  NULL: $WTE_CACHE, $XDG_CACHE_HOME/wte, ~/.cache/wte, in this order */
WTE_API wte_status wte_tokenizer_open_cached(const char *path, const char *cache_dir,
                                             wte_tokenizer **out, wte_error *err);
WTE_API void wte_tokenizer_free(wte_tokenizer *tokenizer);
WTE_API const wte_tokenizer_info *wte_tokenizer_get_info(const wte_tokenizer *tokenizer);

/** The bytes that a token stands for: of GPT-2 decoded from its byte alphabet (" theory"), of BERT
 * as in vocab.txt ("##ing"). Not terminated; NULL where the id is not in use. */
WTE_API const char *wte_tokenizer_piece(const wte_tokenizer *tokenizer, uint32_t id, size_t *len);
/** The token as its vocabulary file spells it ("Ġtheory", "##ing"), UTF-8. NULL as above. */
WTE_API const char *wte_tokenizer_spelling(const wte_tokenizer *tokenizer, uint32_t id,
                                           size_t *len);
/** Find the token that stands for exactly these bytes. Errors: E_NOTFOUND. */
WTE_API wte_status wte_tokenizer_find(const wte_tokenizer *tokenizer, const char *piece, size_t len,
                                      uint32_t *id, wte_error *err);
/** True for special tokens ([CLS], <|endoftext|>). */
WTE_API int wte_tokenizer_is_special(const wte_tokenizer *tokenizer, uint32_t id);

enum {
    WTE_ENCODE_SPECIAL =
        1,               /**< read special tokens in the text; BERT: put [CLS] and [SEP] round it */
    WTE_ENCODE_SPANS = 2 /**< also where in the text each token comes from */
};

typedef struct wte_span {
    size_t begin, end; /**< bytes of the text */
} wte_span;

/** Ids of one text, as kept by the encoder until its next call. */
typedef struct wte_encoding {
    const uint32_t *ids;   /**< [n] */
    const wte_span *spans; /**< [n], NULL unless asked for */
    size_t n;
} wte_encoding;

/** Make what one thread needs to encode. The tokenizer must outlive it. Errors: E_NOMEM. */
WTE_API wte_status wte_encoder_new(const wte_tokenizer *tokenizer, wte_encoder **out,
                                   wte_error *err);
WTE_API void wte_encoder_free(wte_encoder *encoder);

/** Encode a text. Near linear time for any text.
 *   text   [len] bytes
 *   flags  WTE_ENCODE_...
 *   out    valid until the next call with this encoder
 * Errors: E_NOMEM, E_RANGE (over 4 GiB at once). */
WTE_API wte_status wte_encode(wte_encoder *encoder, const char *text, size_t len, unsigned flags,
                              wte_encoding *out, wte_error *err);

/** Encode a long text on several threads: cut at places that cannot change the result.
 *   out_ids  receives [*out_n] ids, free with wte_ids_free()
 * Errors: as wte_encode(). */
WTE_API wte_status wte_encode_parallel(const wte_tokenizer *tokenizer, const char *text, size_t len,
                                       unsigned flags, unsigned n_threads, uint32_t **out_ids,
                                       size_t *out_n, wte_error *err);
WTE_API void wte_ids_free(uint32_t *ids);

/** Encode one text or two as BERT reads them: [CLS] a [SEP] or [CLS] a [SEP] b [SEP]. Special
 * tokens in the texts are read as such.
 *   a, b        [len_a], [len_b] bytes; b is NULL for one text
 *   max_length  0, or how many ids there may be: more are cut off one at a time from the end of the
 *               text that has more of them ("longest_first"), of b where both have the same
 *   out_ids     receives [*out_n] ids, free with wte_ids_free()
 *   out_types   receives [*out_n] token types, 0 up to the first [SEP] and 1 after it; part of
 *               *out_ids, and freed with them
 * Errors: as wte_encode(), E_RANGE (max_length has no room for the special tokens), E_UNSUPPORTED
 * (not a BERT tokenizer). */
WTE_API wte_status wte_encode_pair(wte_encoder *encoder, const char *a, size_t len_a, const char *b,
                                   size_t len_b, size_t max_length, uint32_t **out_ids,
                                   uint8_t **out_types, size_t *out_n, wte_error *err);

enum {
    WTE_DECODE_SKIP_SPECIAL = 1, /**< leave special tokens out */
    WTE_DECODE_CLEAN_UP = 2,     /**< undo spaces before punctuation, as transformers' clean-up */
    WTE_DECODE_REPLACE = 4 /**< ill-formed UTF-8 becomes U+FFFD, one for each maximal subpart */
};

/** Turn ids back into text.
 *   ids  [n]
 *   out  receives [*out_len] bytes and a terminating 0, free with wte_text_free()
 * Errors: E_RANGE (an id that is not in use, by position), E_NOMEM. */
WTE_API wte_status wte_decode(const wte_tokenizer *tokenizer, const uint32_t *ids, size_t n,
                              unsigned flags, char **out, size_t *out_len, wte_error *err);
WTE_API void wte_text_free(char *text);

/** What happened while a text was encoded, step by step. */
typedef enum wte_explain_kind {
    WTE_EXPLAIN_NORMALIZED, /**< BERT: the text after cleaning, lower-casing, accent stripping */
    WTE_EXPLAIN_WORD,       /**< a pre-token begins: its bytes */
    WTE_EXPLAIN_MERGE,      /**< GPT-2: two pieces are merged (text is the result), with the rank */
    WTE_EXPLAIN_MATCH,      /**< BERT: the longest piece that matches at this place */
    WTE_EXPLAIN_UNKNOWN,    /**< BERT: no piece matches, or the word is too long: [UNK] */
    WTE_EXPLAIN_SPECIAL     /**< a special token */
} wte_explain_kind;

typedef struct wte_explain_step {
    wte_explain_kind kind;
    const char *text; /**< [len] bytes, valid during the call */
    size_t len;
    size_t left_len; /**< MERGE: how much of the text was the left piece */
    uint32_t rank;   /**< MERGE: line of merges.txt, from 0 */
    uint32_t id;     /**< MATCH, UNKNOWN, SPECIAL */
} wte_explain_step;

typedef void (*wte_explain_fn)(void *data, const wte_explain_step *step);

/** Encode a text step by step, telling each. Slow, and the ids equal those of wte_encode(). */
WTE_API wte_status wte_encode_explain(wte_encoder *encoder, const char *text, size_t len,
                                      unsigned flags, wte_explain_fn fn, void *data,
                                      wte_error *err);

WTE_END_DECLS
#endif
