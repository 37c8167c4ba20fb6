/* SPDX-License-Identifier: MIT */
/* words.c - from words to rows
 *
 * A word of word vectors is its row. A word of a model is tokenised as text is, by itself or with a
 * space before it, and is one row where that gives one token. Where it gives several, the bytes may
 * still be those of one token that no text is ever cut into ("<|endoftext|>", "##ing", half of a
 * UTF-8 character): a vocabulary's names can always be typed. Without a tokenizer the ids in
 * decimal are the words. */
#include <stdlib.h>
#include "model/model_internal.h"
#include "space/backing.h"

enum { SHOWN_PIECES = 12 };

static wte_status find_in_space(wte_model *m, const char *word, size_t len, uint32_t *ids,
                                size_t max, size_t *n, wte_error *err)
{
    const wte_space *space;
    uint32_t id;
    wte_status status = wte_model_space(m, WTE_EMBEDDINGS_INPUT, &space, err);

    if (status == WTE_OK)
        status = wte_space_find(space, word, len, &id, err);
    if (status != WTE_OK)
        return status;
    if (max)
        ids[0] = id;
    *n = 1;
    return WTE_OK;
}

/* Tokenise under the lock: the model has one encoder. */
static wte_status encode(wte_model *m, const char *text, size_t len, uint32_t *ids, size_t max,
                         size_t *n, wte_error *err)
{
    wte_encoding e = {NULL, NULL, 0};
    wte_status status = WTE_OK;

    pthread_mutex_lock(&m->lock);
    if (!m->encoder)
        status = wte_encoder_new(m->tokenizer, &m->encoder, err);
    if (status == WTE_OK)
        status = wte_encode(m->encoder, text, len, 0, &e, err);
    if (status == WTE_OK) {
        *n = e.n;
        if (e.n && max)
            memcpy(ids, e.ids, (e.n < max ? e.n : max) * sizeof *ids);
    }
    pthread_mutex_unlock(&m->lock);
    return status;
}

wte_status wte_model_word_ids(wte_model *m, const char *word, size_t len,
                              const wte_word_options *options, uint32_t *ids, size_t max, size_t *n,
                              wte_error *err)
{
    char *spaced = NULL;
    uint32_t id;
    size_t found = 0;
    wte_status status;

    if (len == 0)
        return wte__fail(err, WTE_E_RANGE, "an empty word has no tokens");
    if (!m->tokenizer)
        return find_in_space(m, word, len, ids, max, n, err);
    if (options && options->prefix_space) {
        spaced = wte__calloc(len + 1, 1);
        if (!spaced)
            return wte__fail(err, WTE_E_NOMEM, "no memory for a word of %zu bytes", len);
        spaced[0] = ' ';
        memcpy(spaced + 1, word, len++);
        word = spaced;
    }
    status = encode(m, word, len, ids, max, &found, err);
    if (status == WTE_OK && (found != 1 || !wte__utf8_valid(word, len)) &&
        wte_tokenizer_find(m->tokenizer, word, len, &id, NULL) == WTE_OK) {
        found = 1;
        if (max)
            ids[0] = id;
    }
    if (status == WTE_OK && found == 0)
        status = wte__fail(err, WTE_E_RANGE, "the word has no tokens in %s", m->name);
    if (status == WTE_OK)
        *n = found;
    wte__free(spaced);
    return status;
}

/* Append text to a message, as much as fits. */
static void append(char *out, size_t size, const char *text)
{
    size_t n = strlen(out);

    snprintf(out + n, size - n, "%s", text);
}

/* Spaces at a piece's ends are shown as an open box. */
static void append_piece(const wte_model *m, uint32_t id, char *out, size_t size)
{
    size_t len = 0, begin, end;
    const char *piece = wte_tokenizer_piece(m->tokenizer, id, &len);
    char shown[80];

    begin = len && piece[0] == ' ';
    end = len > 1 && piece[len - 1] == ' ';
    append(out, size, " '");
    append(out, size, begin ? "\xE2\x90\xA3" : "");
    append(out, size, wte__show_word(piece + begin, len - begin - end, shown, sizeof shown));
    append(out, size, end ? "\xE2\x90\xA3'" : "'");
}

static wte_status several(wte_model *m, const char *word, size_t len,
                          const wte_word_options *options, const uint32_t *ids, size_t n,
                          wte_error *err)
{
    wte_word_options other = {!(options && options->prefix_space), WTE_POOL_NONE};
    char shown[80], pieces[256] = "";
    size_t n_other = 0;
    uint32_t id;

    for (size_t i = 0; i < n && i < SHOWN_PIECES; i++)
        append_piece(m, ids[i], pieces, sizeof pieces);
    if (n > SHOWN_PIECES)
        append(pieces, sizeof pieces, " ...");
    wte__show_word(word, len, shown, sizeof shown);
    if (other.prefix_space && m->info.family == WTE_FAMILY_GPT2 &&
        wte_model_word_ids(m, word, len, &other, &id, 1, &n_other, NULL) == WTE_OK && n_other < n)
        return wte__fail(err, WTE_E_SHAPE,
                         "'%s' is %zu tokens in %.60s:%s; use --pool, or --prefix-space (%zu "
                         "token%s)",
                         shown, n, m->name, pieces, n_other, n_other == 1 ? "" : "s");
    return wte__fail(err, WTE_E_SHAPE, "'%s' is %zu tokens in %.60s:%s; use --pool", shown, n,
                     m->name, pieces);
}

wte_status wte_model_word_id(wte_model *m, const char *word, size_t len,
                             const wte_word_options *options, uint32_t *id, wte_error *err)
{
    const wte_pool pool = options ? options->pool : WTE_POOL_NONE;
    uint32_t few[SHOWN_PIECES], *ids = few, found;
    size_t n = 0;
    wte_status status = wte_model_word_ids(m, word, len, options, few, SHOWN_PIECES, &n, err);

    if (status != WTE_OK)
        return status;
    found = ids[0];
    if (n > 1 && (pool == WTE_POOL_NONE || pool == WTE_POOL_MEAN))
        return several(m, word, len, options, ids, n, err);
    if (n > SHOWN_PIECES && pool == WTE_POOL_LAST) {
        size_t again = 0;

        ids = wte__calloc(n, sizeof *ids);
        if (!ids)
            return wte__fail(err, WTE_E_NOMEM, "no memory for a word of %zu tokens", n);
        status = wte_model_word_ids(m, word, len, options, ids, n, &again, err);
        n = again;
    }
    if (status == WTE_OK && pool == WTE_POOL_LAST)
        found = ids[n - 1];
    if (ids != few)
        wte__free(ids);
    if (status == WTE_OK && m->info.has_weights && found >= m->info.n_vocab)
        return wte__fail(err, WTE_E_RANGE, "token %u has no row in %s, which has %u", found,
                         m->name, m->info.n_vocab);
    if (status == WTE_OK)
        *id = found;
    return status;
}
