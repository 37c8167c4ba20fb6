/* SPDX-License-Identifier: MIT */
/* cmd_vocab.c - the tokens of a model, or the words of word vectors */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

static const struct example examples[] = {
    {"wte vocab -m gpt2", "every id and its token"},
    {"wte vocab -m gpt2 ' the'", "tokens that contain the text, with its space"},
    {"wte vocab -m gpt2 --json the", "an object a line"},
    {NULL, NULL}};

const struct page page_vocab = {
    .usage = {"[OPTION]... [TEXT]..."},
    .about =
        "Prints a line for each token: its id, a TAB, and the bytes it stands for, with spaces at "
        "its ends as ␣ and bytes that are no text as \\\\xNN; a token can be typed back as it is "
        "shown. With texts, only tokens that contain one of them. Of word vectors: rows and words.",
    .writes = ".json .tsv",
    .examples = examples,
    .json = "{\"id\":262,\"token\":\" the\"}"};

struct entry {
    const char *token;
    size_t len;
    uint32_t id;
};

static void write_entry(struct out *o, enum format format, const void *result)
{
    const struct entry *entry = result;

    if (format == JSON) {
        json_open(o, '{');
        json_key(o, "id");
        json_count(o, entry->id);
        json_word(o, "token", entry->token, entry->len);
        json_close(o, '}');
        json_line(o);
        return;
    }
    if (format == TSV && sink_first(o))
        out_text(o, "id\ttoken\n");
    out_format(o, "%u\t", entry->id);
    (format == TSV ? out_tsv : out_word)(o, entry->token, entry->len);
    out_text(o, "\n");
}

/* What is searched for: each text, and what it stands for if it was typed as it is shown. */
static bool is_wanted(const struct entry *entry, const struct field *texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (memmem(entry->token, entry->len, texts[i].text, texts[i].len))
            return true;
    return n == 0;
}

int cmd_vocab(void)
{
    struct field *texts = need_memory(2 * cli.words.n, sizeof *texts);
    const wte_tokenizer *tokenizer;
    const wte_space *space = NULL;
    size_t n_texts = 0;
    uint32_t n;
    wte_error err = {0};
    int status = open_model();

    if (status)
        goto out;
    if (wte_model_get_info(cli.model)->family == WTE_FAMILY_VECTORS) {
        if (wte_model_space(cli.model, WTE_EMBEDDINGS_INPUT, &space, &err) != WTE_OK) {
            status = fail_with(&err);
            goto out;
        }
        tokenizer = NULL;
        n = wte_space_get_info(space)->n_rows;
    } else {
        tokenizer = tokenizer_of(cli.model);
        if (!tokenizer) {
            status = EXIT_FAILED;
            goto out;
        }
        n = wte_tokenizer_get_info(tokenizer)->n_vocab;
    }
    for (size_t i = 0; i < cli.words.n; i++) {
        struct field meant = {strdup(cli.words.items[i]), strlen(cli.words.items[i])};

        texts[n_texts++] = meant;
        if (unshow(cli.words.items[i], strlen(cli.words.items[i]), &meant.text, &meant.len))
            texts[n_texts++] = meant;
    }
    sink_open();
    for (uint32_t id = 0; id < n; id++) {
        struct entry entry = {NULL, 0, id};

        entry.token = tokenizer ? wte_tokenizer_piece(tokenizer, id, &entry.len)
                                : wte_space_word(space, id, &entry.len);
        if (entry.token && is_wanted(&entry, texts, n_texts))
            sink_put(write_entry, &entry);
    }
    status = sink_close(NULL, 0);
    for (size_t i = 0; i < n_texts; i++)
        free(texts[i].text);
out:
    free(texts);
    return status;
}
