/* SPDX-License-Identifier: MIT */
/* cmd_tokenize.c - text to token ids
 *
 * A text is an argument, all of standard input (-), a file, or with --jsonl a JSON string a line.
 * Long texts are cut over the threads by the library, which gives the same ids.
 *
 * In a text for BERT [MASK] is always that token, as in the originals; in a text for GPT-2
 * <|endoftext|> is plain text unless --special is given. The library reads special tokens and puts
 * [CLS] and [SEP] round a text by the same flag: where only the first is wanted, the two are taken
 * off again. */
#include "cli.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { LONG_TEXT = 1 << 20 }; /* from here on threads are worth their start */

static bool special, jsonl, counts, explain;
static const char *file;

static const struct option options[] = {
    {0, "special", OPT_FLAG, &special, NULL,
     "read special tokens in the text (<|endoftext|>); put [CLS] and [SEP] round it (BERT)", NULL},
    {0, "explain", OPT_FLAG, &explain, NULL,
     "tell why: the words the text is cut into, each merge with its rank, each longest match",
     NULL},
    {0, "counts", OPT_FLAG, &counts, NULL,
     "how many tokens each word is in each model, without and with a space before it", NULL},
    {0, "file", OPT_TEXT, &file, "FILE", "the text is what FILE holds", NULL},
    {0, "jsonl", OPT_FLAG, &jsonl, NULL,
     "each line of standard input or of --file is a JSON string; prints an object a line", NULL},
    {0, "threads", OPT_COUNT, &cli.threads, "N",
     "use N threads for a long text (one per processor); the ids never depend on it", NULL},
    OPTIONS_END};

static const struct example examples[] = {
    {"wte tokenize -m gpt2 'The theory of relativity is'", "pieces and ids"},
    {"wte tokenize -m gpt2 --explain ' theory'", "and why"},
    {"wte tokenize -m gpt2 --json 'The theory'", "for a program"},
    {"wte tokenize -m gpt2 -m bert --counts theory relativity", "tokens a word, model by model"},
    {"echo '\"The theory\"' | wte tokenize -m gpt2 --jsonl", "a JSON string a line"},
    {"wte tokenize -m gpt2 --file words.txt -o ids.npy", "ids of a file as an array of uint32"},
    {NULL, NULL}};

const struct page page_tokenize = {
    .usage = {"[OPTION]... TEXT...", "[OPTION]... -", "--jsonl [OPTION]...",
              "--counts -m MODEL -m MODEL... WORD..."},
    .about =
        "Cuts texts into the tokens of a GPT-2 or BERT model, exactly as the originals do. Each "
        "argument is a text of its own. For people: each piece with its id, spaces as ␣. Special "
        "tokens in a text are plain text unless --special is given; BERT always reads its own "
        "([MASK]).\n\n"
        "With - all of standard input is one text. In JSON a piece that is no UTF-8 is written "
        "with "
        "U+FFFD, and \\\"bytes\\\" has the bytes of such pieces.",
    .options = options,
    .writes = ".npy .json .tsv",
    .examples = examples,
    .json = "{\"ids\":[464,4583],\"tokens\":[\"The\",\" theory\"]}\n"
            "{\"models\":[\"gpt2\",\"bert\"],\n"
            " \"rows\":[{\"token\":\"theory\",\"counts\":[[2,1],[1,1]]}]}"};

struct step {
    wte_explain_kind kind;
    size_t begin, len, left_len; /* of the text kept in steps.text */
    uint32_t rank, id;
};

static struct steps {
    struct step *items;
    size_t n, capacity;
    struct out text;
} steps;

struct answer {
    const wte_tokenizer *tokenizer;
    const char *model;
    const uint32_t *ids;
    size_t n, text_len;
};

static const char *const kind_names[] = {
    [WTE_EXPLAIN_NORMALIZED] = "normalized", [WTE_EXPLAIN_WORD] = "word",
    [WTE_EXPLAIN_MERGE] = "merge",           [WTE_EXPLAIN_MATCH] = "match",
    [WTE_EXPLAIN_UNKNOWN] = "unknown",       [WTE_EXPLAIN_SPECIAL] = "special"};

/* ---- printing --------------------------------------------------------------------------- */

static const char *piece_of(const struct answer *a, size_t i, size_t *len)
{
    const char *piece = wte_tokenizer_piece(a->tokenizer, a->ids[i], len);

    if (!piece)
        *len = 0;
    return piece ? piece : "";
}

/* "bytes": null for pieces that are text; there only where one is not. */
static void write_piece_bytes(struct out *o, const struct answer *a)
{
    size_t len = 0;
    bool all = true;

    for (size_t i = 0; i < a->n && all; i++) {
        const char *piece = piece_of(a, i, &len);

        all = is_utf8(piece, len);
    }
    if (all)
        return;
    json_key(o, "bytes");
    json_open(o, '[');
    for (size_t i = 0; i < a->n; i++) {
        const char *piece = piece_of(a, i, &len);

        if (is_utf8(piece, len)) {
            json_nothing(o);
            continue;
        }
        json_open(o, '[');
        for (size_t j = 0; j < len; j++)
            json_count(o, (unsigned char)piece[j]);
        json_close(o, ']');
    }
    json_close(o, ']');
}

static void write_steps_json(struct out *o)
{
    json_key(o, "steps");
    json_open(o, '[');
    for (size_t i = 0; i < steps.n; i++) {
        const struct step *s = &steps.items[i];

        json_open(o, '{');
        json_key(o, "kind");
        json_text(o, kind_names[s->kind]);
        json_key(o, "text");
        json_bytes(o, steps.text.data + s->begin, s->len);
        if (s->kind == WTE_EXPLAIN_MERGE) {
            json_key(o, "left");
            json_bytes(o, steps.text.data + s->begin, s->left_len);
            json_key(o, "rank");
            json_count(o, s->rank);
        } else if (s->kind >= WTE_EXPLAIN_MATCH) {
            json_key(o, "id");
            json_count(o, s->id);
        }
        json_close(o, '}');
    }
    json_close(o, ']');
}

static void write_json(struct out *o, const struct answer *a)
{
    size_t len = 0;

    json_open(o, '{');
    json_key(o, "ids");
    json_open(o, '[');
    for (size_t i = 0; i < a->n; i++)
        json_count(o, a->ids[i]);
    json_close(o, ']');
    json_key(o, "tokens");
    json_open(o, '[');
    for (size_t i = 0; i < a->n; i++) {
        const char *piece = piece_of(a, i, &len);

        json_bytes(o, piece, len);
    }
    json_close(o, ']');
    write_piece_bytes(o, a);
    if (explain)
        write_steps_json(o);
    json_close(o, '}');
    json_line(o);
}

static void write_tsv(struct out *o, const struct answer *a)
{
    size_t len = 0;

    if (sink_first(o))
        out_text(o, "position\tid\ttoken\n");
    for (size_t i = 0; i < a->n; i++) {
        const char *piece = piece_of(a, i, &len);

        out_format(o, "%zu\t%u\t", i, a->ids[i]);
        out_tsv(o, piece, len);
        out_text(o, "\n");
    }
}

static void write_step(struct out *o, const struct step *s)
{
    const char *text = steps.text.data + s->begin;

    switch (s->kind) {
    case WTE_EXPLAIN_NORMALIZED:
        out_text(o, "normalized  ");
        out_word(o, text, s->len);
        break;
    case WTE_EXPLAIN_WORD:
        out_text(o, "word  ");
        out_style(o, BOLD);
        out_word(o, text, s->len);
        out_style(o, DIM);
        out_text(o, "  bytes");
        for (size_t i = 0; i < s->len; i++)
            out_format(o, " %02X", (unsigned char)text[i]);
        out_style(o, PLAIN);
        break;
    case WTE_EXPLAIN_MERGE:
        out_text(o, "  merge ");
        out_word(o, text, s->left_len);
        out_text(o, " + ");
        out_word(o, text + s->left_len, s->len - s->left_len);
        out_style(o, DIM);
        out_format(o, "  rank %u", s->rank);
        out_style(o, PLAIN);
        break;
    case WTE_EXPLAIN_MATCH:
    case WTE_EXPLAIN_UNKNOWN:
    case WTE_EXPLAIN_SPECIAL:
        out_format(o, "  %s ",
                   s->kind == WTE_EXPLAIN_MATCH     ? "longest match"
                   : s->kind == WTE_EXPLAIN_UNKNOWN ? "no match, so unknown:"
                                                    : "special token");
        out_word(o, text, s->len);
        out_style(o, DIM);
        out_format(o, "  id %u", s->id);
        out_style(o, PLAIN);
        break;
    }
    out_text(o, "\n");
}

static void write_people(struct out *o, const struct answer *a)
{
    char tokens[32], bytes[32];
    struct table table;
    size_t len = 0;

    if (!sink_first(o))
        out_text(o, "\n");
    for (size_t i = 0; explain && i < steps.n; i++)
        write_step(o, &steps.items[i]);
    if (explain)
        out_text(o, "\n");
    table_begin(&table, "rl", true);
    table_cell(&table, "id");
    table_cell(&table, "token");
    for (size_t i = 0; i < a->n; i++) {
        const char *piece = piece_of(a, i, &len);

        table_cell(&table, "%u", a->ids[i]);
        table_word(&table, piece, len);
    }
    table_end(&table, o);
    out_style(o, DIM);
    out_format(o, "%s token%s in %s, %s byte%s of text\n", show_count(a->n, tokens),
               a->n == 1 ? "" : "s", a->model, show_count(a->text_len, bytes),
               a->text_len == 1 ? "" : "s");
    out_style(o, PLAIN);
}

static void write_answer(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct answer *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[jsonl && format == PEOPLE ? JSON : format](o, result);
}

/* ---- encoding --------------------------------------------------------------------------- */

static const wte_tokenizer *tokenizer;
static wte_encoder *encoder;

static void keep_step(void *data, const wte_explain_step *step)
{
    struct step s = {step->kind, steps.text.n, step->len, step->left_len, step->rank, step->id};

    (void)data;
    out_bytes(&steps.text, step->text, step->len);
    steps.items = need_more(steps.items, &steps.capacity, steps.n + 1, sizeof *steps.items);
    steps.items[steps.n++] = s;
}

/* Take [CLS] and [SEP] off what was encoded with them. */
static void take_off_round(struct answer *a)
{
    const wte_tokenizer_info *info = wte_tokenizer_get_info(tokenizer);

    if (info->cls >= 0 && a->n) {
        a->ids++;
        a->n--;
        if (steps.n && steps.items[0].kind == WTE_EXPLAIN_SPECIAL)
            memmove(steps.items, steps.items + 1, --steps.n * sizeof *steps.items);
    }
    if (info->sep >= 0 && a->n) {
        a->n--;
        if (steps.n && steps.items[steps.n - 1].kind == WTE_EXPLAIN_SPECIAL)
            steps.n--;
    }
}

static void answer_text(const char *text, size_t len, uint64_t line)
{
    const bool bert = wte_tokenizer_get_info(tokenizer)->kind == WTE_TOKENIZER_BERT;
    const unsigned flags = special || bert ? WTE_ENCODE_SPECIAL : 0;
    struct answer a = {tokenizer, wte_model_get_info(cli.model)->name, NULL, 0, len};
    wte_encoding encoding = {NULL, NULL, 0};
    uint32_t *own = NULL;
    wte_error err = {0};
    wte_status status = WTE_OK;

    steps.n = steps.text.n = 0;
    if (explain)
        status = wte_encode_explain(encoder, text, len, flags, keep_step, NULL, &err);
    if (status == WTE_OK && len >= LONG_TEXT) {
        status = wte_encode_parallel(tokenizer, text, len, flags, (unsigned)cli.threads, &own, &a.n,
                                     &err);
        a.ids = own;
    } else if (status == WTE_OK) {
        status = wte_encode(encoder, text, len, flags, &encoding, &err);
        a.ids = encoding.ids;
        a.n = encoding.n;
    }
    if (status == WTE_OK) {
        if (bert && !special)
            take_off_round(&a);
        sink_ids(a.ids, a.n);
        sink_put(write_answer, &a);
    } else {
        fail_query(line, err.message);
    }
    wte_ids_free(own);
}

static int answer_lines_of(const char *path)
{
    struct lines lines;
    char *line, message[256];
    size_t len;

    if (!lines_open(&lines, path))
        return EXIT_FAILED;
    while (lines_next(&lines, &line, &len)) {
        json_error_t why;
        json_t *text = len ? json_loadb(line, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why) : NULL;

        if (json_is_string(text)) {
            answer_text(json_string_value(text), json_string_length(text), lines.number);
        } else if (len) {
            snprintf(message, sizeof message, "expected a JSON string%s%.160s", text ? "" : ": ",
                     text ? "" : why.text);
            fail_query(lines.number, message);
        }
        json_decref(text);
    }
    lines_close(&lines);
    return 0;
}

static int answer_file(const char *path)
{
    char *text;
    size_t len;

    if (!read_all(path, &text, &len))
        return EXIT_FAILED;
    answer_text(text, len, 0);
    free(text);
    return 0;
}

static int tokenize(void)
{
    wte_error err = {0};
    int status;

    tokenizer = need_tokenizer(&status);
    if (!tokenizer)
        return status;
    if (wte_encoder_new(tokenizer, &encoder, &err) != WTE_OK)
        return fail_with(&err);
    sink_open();
    if (jsonl)
        status = answer_lines_of(file ? file : "-");
    else if (file || reads_queries())
        status = answer_file(file ? file : "-");
    for (size_t i = 0; !jsonl && !file && !reads_queries() && i < cli.words.n; i++)
        answer_text(cli.words.items[i], strlen(cli.words.items[i]), 0);
    wte_encoder_free(encoder);
    if (status || (cli.status && !jsonl))
        return status ? status : cli.status;
    status = sink_close(NULL, 0);
    return status ? status : cli.status;
}

/* ---- counts ----------------------------------------------------------------------------- */

struct counted {
    const char *const *names; /* [n_models] */
    size_t n_models;
    const size_t *counts; /* [n words, n_models, 2] */
};

static void write_counts_json(struct out *o, const struct counted *c)
{
    json_open(o, '{');
    json_key(o, "models");
    json_open(o, '[');
    for (size_t m = 0; m < c->n_models; m++)
        json_text(o, c->names[m]);
    json_close(o, ']');
    json_key(o, "rows");
    json_open(o, '[');
    for (size_t i = 0; i < cli.words.n; i++) {
        json_open(o, '{');
        json_word(o, "token", cli.words.items[i], strlen(cli.words.items[i]));
        json_key(o, "counts");
        json_open(o, '[');
        for (size_t m = 0; m < c->n_models; m++) {
            json_open(o, '[');
            json_count(o, c->counts[(i * c->n_models + m) * 2]);
            json_count(o, c->counts[(i * c->n_models + m) * 2 + 1]);
            json_close(o, ']');
        }
        json_close(o, ']');
        json_close(o, '}');
    }
    json_close(o, ']');
    json_close(o, '}');
    json_line(o);
}

static void write_counts_tsv(struct out *o, const struct counted *c)
{
    out_text(o, "token");
    for (size_t m = 0; m < c->n_models; m++)
        for (size_t spaced = 0; spaced < 2; spaced++) {
            out_text(o, "\t");
            out_tsv(o, c->names[m], strlen(c->names[m]));
            out_text(o, spaced ? " with space" : "");
        }
    out_text(o, "\n");
    for (size_t i = 0; i < cli.words.n; i++) {
        out_tsv(o, cli.words.items[i], strlen(cli.words.items[i]));
        for (size_t m = 0; m < 2 * c->n_models; m++)
            out_format(o, "\t%zu", c->counts[i * c->n_models * 2 + m]);
        out_text(o, "\n");
    }
}

static void write_counts_people(struct out *o, const struct counted *c)
{
    char *columns = need_memory(2 * c->n_models + 2, 1);
    struct table table;

    memset(columns, 'r', 2 * c->n_models + 1);
    columns[0] = 'l';
    out_style(o, DIM);
    out_text(o, "tokens of a word, without and with a space before it\n");
    out_style(o, PLAIN);
    table_begin(&table, columns, true);
    table_cell(&table, "word");
    for (size_t m = 0; m < c->n_models; m++) {
        table_word(&table, c->names[m], strlen(c->names[m]));
        table_cell(&table, "␣");
    }
    for (size_t i = 0; i < cli.words.n; i++) {
        table_word(&table, cli.words.items[i], strlen(cli.words.items[i]));
        for (size_t m = 0; m < 2 * c->n_models; m++)
            table_cell(&table, "%zu", c->counts[i * c->n_models * 2 + m]);
    }
    table_end(&table, o);
    free(columns);
}

static void write_counts(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct counted *) = {
        [PEOPLE] = write_counts_people, [TSV] = write_counts_tsv, [JSON] = write_counts_json};

    writers[format](o, result);
}

/* Count for one model. */
static int count_in(const wte_model *model, size_t m, size_t n_models, size_t *out)
{
    const wte_tokenizer *own = tokenizer_of(model);
    wte_encoder *e = NULL;
    wte_error err = {0};
    wte_status status;

    if (!own)
        return EXIT_FAILED;
    status = wte_encoder_new(own, &e, &err);
    for (size_t i = 0; i < cli.words.n && status == WTE_OK; i++) {
        struct out spaced = {0};

        out_text(&spaced, " ");
        out_text(&spaced, cli.words.items[i]);
        for (size_t with = 0; with < 2 && status == WTE_OK; with++) {
            wte_encoding encoding = {NULL, NULL, 0};

            status = wte_encode(e, spaced.data + 1 - with, spaced.n - 1 + with,
                                special ? WTE_ENCODE_SPECIAL : 0, &encoding, &err);
            out[(i * n_models + m) * 2 + with] = encoding.n;
        }
        out_free(&spaced);
    }
    wte_encoder_free(e);
    return status == WTE_OK ? 0 : fail_with(&err);
}

static int count_all(void)
{
    size_t n = cli.models.n ? cli.models.n : 1;
    const char **names = need_memory(n, sizeof *names);
    wte_model **models = need_memory(n, sizeof *models);
    size_t *numbers = need_memory(cli.words.n * n * 2, sizeof *numbers);
    struct counted c = {names, n, numbers};
    int status = 0;

    if (cli.output && has_ending(cli.output, ".npy"))
        status = usage("-o %s: --counts writes .json and .tsv", cli.output);
    for (size_t m = 0; m < n && status == 0; m++) {
        status = open_named_model(cli.models.n ? cli.models.items[m] : NULL, &models[m]);
        if (status == 0) {
            names[m] = wte_model_get_info(models[m])->name;
            status = count_in(models[m], m, n, numbers);
        }
    }
    if (status == 0) {
        sink_open();
        sink_put(write_counts, &c);
        status = sink_close(NULL, 0);
    }
    for (size_t m = 0; m < n; m++)
        wte_model_free(models[m]);
    free(models);
    free(numbers);
    free(names);
    return status;
}

int cmd_tokenize(void)
{
    if (cli.words.n == 0 && !jsonl && !file)
        return usage("a text is missing, as in 'wte tokenize -m gpt2 \"The theory\"'");
    return counts ? count_all() : tokenize();
}
