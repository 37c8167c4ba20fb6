/* SPDX-License-Identifier: MIT */
/* cmd_detokenize.c - token ids to text */
#include "prompt.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static bool jsonl, skip_special, clean_up, no_clean_up;
static const char *file;

static const struct option options[] = {
    {0, "skip-special", OPT_FLAG, &skip_special, NULL, "leave special tokens out", NULL},
    {0, "clean-up", OPT_FLAG, &clean_up, NULL,
     "undo spaces before punctuation (done for BERT unless --no-clean-up)", NULL},
    {0, "no-clean-up", OPT_FLAG, &no_clean_up, NULL, "keep them", NULL},
    {0, "file", OPT_TEXT, &file, "FILE", "read the ids from FILE", NULL},
    {0, "jsonl", OPT_FLAG, &jsonl, NULL,
     "each line of standard input or of --file is an array of ids; prints an object a line", NULL},
    OPTIONS_END};

static const struct example examples[] = {
    {"wte detokenize -m gpt2 262 40", "the text of two tokens"},
    {"echo '[262,40]' | wte detokenize -m gpt2 --jsonl", "an array a line"},
    {NULL, NULL}};

const struct page page_detokenize = {
    .usage = {"[OPTION]... ID...", "[OPTION]... -", "[OPTION]... --jsonl"},
    .about =
        "Turns token ids back into text. Ids stand one by one or with commas between; with - they "
        "are read from standard input. Ids that end inside a character give bytes that are no "
        "UTF-8: they are printed as they are, in JSON as U+FFFD.",
    .options = options,
    .writes = ".json .tsv",
    .examples = examples,
    .json = "{\"text\":\"The theory\"}"};

struct answer {
    const char *text;
    size_t len;
};

static const wte_tokenizer *tokenizer;

static void write_answer(struct out *o, enum format format, const void *result)
{
    const struct answer *answer = result;

    if (format == JSON || jsonl) {
        json_open(o, '{');
        json_key(o, "text");
        json_bytes(o, answer->text, answer->len);
        json_close(o, '}');
        json_line(o);
        return;
    }
    if (format == TSV) {
        if (sink_first(o))
            out_text(o, "text\n");
        out_tsv(o, answer->text, answer->len);
    } else {
        out_bytes(o, answer->text, answer->len);
    }
    out_text(o, "\n");
}

static void answer_ids(const struct ids *ids, uint64_t line)
{
    wte_error err = {0};
    struct answer answer;
    char *text = NULL;
    unsigned flags = (cli.json || jsonl ? WTE_DECODE_REPLACE : 0u);
    bool bert = wte_tokenizer_get_info(tokenizer)->kind == WTE_TOKENIZER_BERT;

    if (skip_special)
        flags |= WTE_DECODE_SKIP_SPECIAL;
    if (clean_up || (bert && !no_clean_up))
        flags |= WTE_DECODE_CLEAN_UP;
    if (wte_decode(tokenizer, ids->items, ids->n, flags, &text, &answer.len, &err) != WTE_OK) {
        fail_query(line, err.message);
        return;
    }
    answer.text = text;
    sink_put(write_answer, &answer);
    wte_text_free(text);
}

/* One JSON array of whole numbers. */
static void answer_array(const char *line, size_t len, uint64_t number)
{
    json_error_t why;
    json_t *array = json_loadb(line, len, 0, &why);
    char message[256];
    struct ids ids = {0};

    if (!json_is_array(array)) {
        snprintf(message, sizeof message, "expected an array of ids%s%.160s", array ? "" : ": ",
                 array ? "" : why.text);
        fail_query(number, message);
        goto out;
    }
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *id = json_array_get(array, i);

        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) > UINT32_MAX) {
            snprintf(message, sizeof message, "element %zu is no id", i);
            fail_query(number, message);
            goto out;
        }
        ids.items = need_more(ids.items, &ids.capacity, ids.n + 1, sizeof *ids.items);
        ids.items[ids.n++] = (uint32_t)json_integer_value(id);
    }
    answer_ids(&ids, number);
out:
    free(ids.items);
    json_decref(array);
}

static int answer_lines_of(const char *path)
{
    struct lines lines;
    char *line;
    size_t len;

    if (!lines_open(&lines, path))
        return EXIT_FAILED;
    while (lines_next(&lines, &line, &len))
        if (len)
            answer_array(line, len, lines.number);
    lines_close(&lines);
    return 0;
}

static int answer_words(void)
{
    struct ids ids = {0};
    wte_error err = {0};
    char *text = NULL;
    size_t len = 0;
    bool ok = true;

    if (file || reads_queries()) {
        if (!read_all(file ? file : "-", &text, &len))
            return EXIT_FAILED;
        ok = add_ids(&ids, text, len, &err);
        free(text);
    }
    for (size_t i = 0; ok && !file && !reads_queries() && i < cli.words.n; i++)
        ok = add_ids(&ids, cli.words.items[i], strlen(cli.words.items[i]), &err);
    if (ok)
        answer_ids(&ids, 0);
    else
        fail_query(0, err.message);
    free(ids.items);
    return ok ? 0 : EXIT_FAILED;
}

int cmd_detokenize(void)
{
    int status;

    if (cli.words.n == 0 && !jsonl && !file)
        return usage("ids are missing, as in 'wte detokenize -m gpt2 464 4583'");
    tokenizer = need_tokenizer(&status);
    if (!tokenizer)
        return status;
    sink_open();
    status = jsonl ? answer_lines_of(file ? file : "-") : answer_words();
    if (status || (cli.status && !jsonl))
        return status ? status : cli.status;
    status = sink_close(NULL, 0);
    return status ? status : cli.status;
}
