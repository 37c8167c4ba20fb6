/* SPDX-License-Identifier: MIT */
/* load_gguf.c - the tokenizer inside a GGUF file
 *
 * tokenizer.ggml.tokens has the spellings by id and tokenizer.ggml.merges the merges, "left right",
 * by rank: what vocab.json and merges.txt hold. tokenizer.ggml.model says "gpt2" for every
 * byte-level BPE; tokenizer.ggml.pre, where it is there, says which pre-tokeniser, and only GPT-2's
 * is ours. Token type 3 marks control tokens, which are special here. */
#include "format/gguf.h"
#include "token/load.h"
#include "wte/checkpoint.h"

enum { CONTROL_TOKEN = 3 };

static wte_status check_kind(const wte_checkpoint *c, const char *path, wte_error *err)
{
    const char *model = wte_checkpoint_metadata(c, "tokenizer.ggml.model");
    const char *pre = wte_checkpoint_metadata(c, "tokenizer.ggml.pre");

    if (!model)
        return wte__fail(err, WTE_E_NOTFOUND, "%s: has no tokenizer in it", path);
    if (strcmp(model, "gpt2") != 0)
        return wte__fail(err, WTE_E_UNSUPPORTED,
                         "%s: its tokenizer is '%s', only byte-level BPE ('gpt2') is known", path,
                         model);
    if (pre && strcmp(pre, "gpt-2") != 0 && strcmp(pre, "gpt2") != 0 && strcmp(pre, "default") != 0)
        return wte__fail(err, WTE_E_UNSUPPORTED,
                         "%s: its pre-tokenizer is '%s', only GPT-2's is known", path, pre);
    return WTE_OK;
}

static wte_status add_merges(wte__builder *b, const char *strings, const uint64_t *offsets,
                             size_t n, const char *path, wte_error *err)
{
    wte_status status = WTE_OK;

    for (size_t i = 0; i < n && status == WTE_OK; i++) {
        const char *line = strings + offsets[i];
        size_t len = (size_t)(offsets[i + 1] - offsets[i]);
        const char *space = len ? memchr(line, ' ', len) : NULL;
        size_t left = space ? (size_t)(space - line) : 0;

        if (!space || left == 0 || left + 1 == len)
            return wte__fail(err, WTE_E_FORMAT,
                             "%s: merge %zu is '%.*s', expected two pieces with a space between",
                             path, i + 1, len > 80 ? 80 : (int)len, line);
        status = wte__builder_merge(b, line, left, space + 1, len - left - 1, i + 1, err);
    }
    return status;
}

static wte_status add_specials(wte__builder *b, const wte_checkpoint *c, const char *strings,
                               const uint64_t *offsets, size_t n, wte_error *err)
{
    int64_t *types = NULL, id;
    size_t n_types = 0;
    wte_status status = wte__gguf_integers(c, "tokenizer.ggml.token_type", &types, &n_types, err);

    if (status == WTE_E_NOTFOUND)
        status = WTE_OK;
    for (size_t i = 0; i < n && i < n_types && status == WTE_OK; i++)
        if (types[i] == CONTROL_TOKEN && offsets[i + 1] > offsets[i])
            status =
                wte__builder_special(b, strings + offsets[i], (size_t)(offsets[i + 1] - offsets[i]),
                                     (uint32_t)i, 0, 0, 0, 0, err);
    wte__free(types);
    if (wte__gguf_integer(c, "tokenizer.ggml.bos_token_id", &id) && id >= 0 && (uint64_t)id < n)
        b->t->info.bos = id;
    if (wte__gguf_integer(c, "tokenizer.ggml.eos_token_id", &id) && id >= 0 && (uint64_t)id < n)
        b->t->info.eos = id;
    return status;
}

wte_status wte__tokenizer_load_gguf(const char *path, wte_tokenizer **out, wte_error *err)
{
    wte_checkpoint *c = NULL;
    wte__builder b = {0};
    char *tokens = NULL, *merges = NULL;
    uint64_t *token_offsets = NULL, *merge_offsets = NULL;
    size_t n_tokens = 0, n_merges = 0;
    wte_status status = wte_checkpoint_open(path, &c, err);

    if (status == WTE_OK)
        status = check_kind(c, path, err);
    if (status == WTE_OK)
        status =
            wte__gguf_strings(c, "tokenizer.ggml.tokens", &tokens, &token_offsets, &n_tokens, err);
    if (status == WTE_OK)
        status =
            wte__gguf_strings(c, "tokenizer.ggml.merges", &merges, &merge_offsets, &n_merges, err);
    if (status == WTE_OK && n_tokens > UINT32_MAX - 1)
        status = wte__fail(err, WTE_E_FORMAT, "%s: %zu tokens are too many", path, n_tokens);
    if (status == WTE_OK)
        status = wte__builder_begin(&b, WTE_TOKENIZER_GPT2, path, "GGUF", tokens, token_offsets,
                                    NULL, (uint32_t)n_tokens, err);
    if (status == WTE_OK)
        status = add_merges(&b, merges, merge_offsets, n_merges, path, err);
    if (status == WTE_OK)
        status = add_specials(&b, c, tokens, token_offsets, n_tokens, err);
    if (status == WTE_OK)
        status = wte__builder_end(&b, out, err);
    wte__builder_free(&b);
    wte__free(tokens);
    wte__free(merges);
    wte__free(token_offsets);
    wte__free(merge_offsets);
    wte_checkpoint_free(c);
    return status;
}
