/* SPDX-License-Identifier: MIT */
/* cmd_hidden.c - hidden states, and spaces made of them
 *
 * Layers are numbered as in Hugging Face's hidden_states: 0 is what goes into the first block,
 * n_layer what comes out of the last, after the final layer norm; those between are residual
 * streams before any norm. GPT-2's n_layer therefore differs from its neighbours by more than a
 * block, which the output says.
 *
 * --save-space runs a list of words or sentences, BATCH of them at once, and makes one row of each:
 * of its own tokens, without [CLS] and [SEP], unless the row of [CLS] is asked for. */
#include "prompt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum pool { POOL_MEAN, POOL_FIRST, POOL_LAST, POOL_CLS };
enum { BATCH = 32, BATCH_ROWS = 512, SHOWN = 6 };

static const char *layer_text, *tap, *space_file;
static int pool;
static bool prefix_space;

static const struct option options[] = {
    {0, "layer", OPT_TEXT, &layer_text, "L",
     "0 (the sum of the embeddings) to the number of blocks (the default: after the final layer "
     "norm), or all",
     NULL},
    {0, "tap", OPT_TEXT, &tap, "NAME",
     "another value by name: layer.N.in, layer.N.mid, layer.N.out (blocks from 0), embeddings, "
     "last "
     "(before the final norm), norm, pooler (BERT)",
     NULL},
    {0, "save-space", OPT_TEXT, &space_file, "FILE",
     "make a space of many texts, one row each, for nearest and the rest; .safetensors, .bin, .txt",
     NULL},
    {0, "pool", OPT_CHOICE, &pool, "HOW",
     "--save-space: the row of a text is the mean of its tokens (the default), the first or last "
     "of "
     "them, or that of [CLS]",
     "mean|first|last|cls"},
    {0, "prefix-space", OPT_FLAG, &prefix_space, NULL,
     "--save-space: put a space before each text before it is tokenised", NULL},
    OPTIONS_END};

static const struct example examples[] = {
    {"wte hidden -m gpt2 'the theory of theories'", "the last hidden states"},
    {"wte hidden -m gpt2 --layer 0 --json 'the theory'", "the embeddings' sum"},
    {"wte hidden -m bert --layer all 'the theory' -o states.npy", "[layers + 1, tokens, width]"},
    {"wte hidden -m bert --words words.txt --save-space states.safetensors",
     "a row for each line of a file"},
    {"wte nearest -m states.safetensors king", "and what is near to what in it"},
    {NULL, NULL}};

const struct page page_hidden = {
    .usage = {"[OPTION]... TEXT", "[OPTION]... --ids ID,...", "[OPTION]... -",
              "--save-space FILE [OPTION]... [TEXT]..."},
    .about =
        "Prints the hidden states of a prompt's tokens. Layers have Hugging Face's numbers: 0 is "
        "the sum of the embeddings (BERT: after its layer norm), L the residual stream after block "
        "L, and the last one, which is the default, is after the final layer norm of GPT-2 too "
        "(last_hidden_state). What a layer is, is said with the numbers.\n\n"
        "People see each token's length and first numbers; --json, --tsv and -o give all. "
        "--save-space makes a space of the texts given and of those in --words, one a line, at "
        "--layer.",
    .options = options,
    .writes = ".npy .json .tsv",
    .examples = examples,
    .json = "{\"ids\":[464,4583],\"layer\":12,\"shape\":[2,768],\"data\":[[-0.01,...],[...]]}"};

struct states {
    const struct prompt *prompt;
    size_t layer, n_layers; /* first, and how many */
    const char *name;       /* of a tap, else NULL */
    size_t n, dim;
    float *data; /* [n_layers, n, dim] */
};

static void tap_name(const struct states *s, size_t i, char name[48])
{
    if (s->name)
        snprintf(name, 48, "%s", s->name);
    else
        snprintf(name, 48, "hidden_states.%zu", s->layer + i);
}

/* ---- one prompt ------------------------------------------------------------------------- */

static wte_status keep_rows(wte_session *session, size_t first, size_t n, void *data,
                            wte_error *err)
{
    struct states *s = data;

    for (size_t l = 0; l < s->n_layers; l++) {
        wte_array a;
        char name[48];
        wte_status status;

        tap_name(s, l, name);
        status = wte_session_tapped(session, name, &a, err);
        if (status != WTE_OK)
            return status;
        if (s->name && a.shape[0] != n) { /* the pooler has a row a sequence */
            s->n = a.shape[0];
            n = a.shape[0];
        }
        memcpy(s->data + (l * s->n + first) * s->dim, a.data, n * s->dim * sizeof *a.data);
    }
    return WTE_OK;
}

static size_t shape_of(const struct states *s, size_t shape[3])
{
    size_t n = 0;

    if (s->n_layers > 1 || (layer_text && strcmp(layer_text, "all") == 0))
        shape[n++] = s->n_layers;
    shape[n++] = s->n;
    shape[n++] = s->dim;
    return n;
}

static void write_json(struct out *o, const struct states *s)
{
    size_t shape[3], n_dims = shape_of(s, shape);

    json_open(o, '{');
    json_ids(o, s->prompt);
    if (s->name) {
        json_key(o, "tap");
        json_text(o, s->name);
    } else if (n_dims == 2) {
        json_key(o, "layer");
        json_count(o, s->layer);
    }
    json_shape(o, shape, n_dims);
    json_key(o, "data");
    json_numbers(o, s->data, shape, n_dims);
    json_close(o, '}');
    json_line(o);
}

static void write_tsv(struct out *o, const struct states *s)
{
    out_text(o, "layer\tposition\tid\ttoken");
    for (size_t i = 0; i < s->dim; i++)
        out_format(o, "\t%zu", i);
    out_text(o, "\n");
    for (size_t l = 0; l < s->n_layers; l++)
        for (size_t i = 0; i < s->n; i++) {
            struct token token;

            token_text(s->prompt, s->prompt->ids[i], &token);
            if (s->name)
                out_text(o, s->name);
            else
                out_format(o, "%zu", s->layer + l);
            out_format(o, "\t%zu\t%u\t", i, s->prompt->ids[i]);
            out_tsv(o, token.text, token.len);
            for (size_t j = 0; j < s->dim; j++) {
                out_text(o, "\t");
                out_float(o, s->data[(l * s->n + i) * s->dim + j]);
            }
            out_text(o, "\n");
        }
}

static double length(const float *row, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)row[i] * (double)row[i];
    return sqrt(sum);
}

static void write_numbers(struct table *table, const float *row, size_t n)
{
    struct out numbers = {0};

    for (size_t i = 0; i < n && i < SHOWN; i++)
        out_format(&numbers, "%s%.4f", i ? " " : "", (double)row[i]);
    out_text(&numbers, n > SHOWN ? " ..." : "");
    table_cell(table, "%.6g", length(row, n));
    table_cell(table, "%s", numbers.data);
    out_free(&numbers);
}

static void write_layer(struct out *o, const struct states *s)
{
    struct table table;

    table_begin(&table, "rlrl", true);
    table_cell(&table, "%s", "");
    table_cell(&table, "token");
    table_cell(&table, "length");
    table_cell(&table, "first numbers");
    for (size_t i = 0; i < s->n; i++) {
        table_cell(&table, "%zu", i);
        table_token(&table, s->prompt, s->prompt->ids[i]);
        write_numbers(&table, s->data + i * s->dim, s->dim);
    }
    table_end(&table, o);
}

/* Of all layers only the last token's rows: the others are for programs. */
static void write_layers(struct out *o, const struct states *s)
{
    struct table table;

    out_text(o, "the last token, ");
    out_label(o, s->prompt, s->prompt->ids[s->n - 1], 24);
    out_text(o, ", layer by layer\n");
    table_begin(&table, "rrl", true);
    table_cell(&table, "layer");
    table_cell(&table, "length");
    table_cell(&table, "first numbers");
    for (size_t l = 0; l < s->n_layers; l++) {
        table_cell(&table, "%zu", s->layer + l);
        write_numbers(&table, s->data + (l * s->n + s->n - 1) * s->dim, s->dim);
    }
    table_end(&table, o);
}

static void write_people(struct out *o, const struct states *s)
{
    size_t shape[3], n_dims = shape_of(s, shape);
    char meaning[128];

    out_style(o, DIM);
    out_format(o, "hidden states in %s: [", s->prompt->model);
    for (size_t i = 0; i < n_dims; i++)
        out_format(o, "%s%zu", i ? ", " : "", shape[i]);
    out_text(o, "]\n");
    out_style(o, PLAIN);
    if (n_dims == 3)
        write_layers(o, s);
    else
        write_layer(o, s);
    out_style(o, DIM);
    if (s->name)
        out_format(o, "tap %s\n", s->name);
    for (size_t l = 0; !s->name && l < s->n_layers; l++)
        if (n_dims == 2 || l == 0 || l == s->n_layers - 1)
            out_format(o, "layer %zu: %s\n", s->layer + l,
                       layer_meaning(s->prompt, s->layer + l, meaning));
    out_style(o, PLAIN);
}

static void write_states(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct states *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[format](o, result);
}

static int choose_layer(const struct prompt *p, struct states *s)
{
    uint64_t number = p->info->n_layer;

    s->prompt = p;
    s->n = p->n;
    s->dim = p->info->n_embd;
    s->name = tap;
    s->n_layers = 1;
    if (tap && (strstr(tap, "attention") || strcmp(tap, "logits") == 0 ||
                strcmp(tap, "next_sentence") == 0))
        return fail("--tap %s: no hidden state; see 'wte attention' and 'wte logits'", tap);
    if (layer_text && strcmp(layer_text, "all") == 0)
        s->n_layers = p->info->n_layer + 1;
    else if (layer_text && !parse_number(layer_text, UINT32_MAX, &number))
        return usage("--layer %s: expected a number from 0, or all", layer_text);
    if (number > p->info->n_layer)
        return fail("--layer %s: %s has layers 0 (embeddings) to %zu", layer_text, p->model,
                    p->info->n_layer);
    s->layer = s->n_layers == 1 ? (size_t)number : 0;
    return 0;
}

static int tap_layers(const struct states *s, wte_session *session)
{
    wte_error err = {0};

    for (size_t l = 0; l < s->n_layers; l++) {
        char name[48];

        tap_name(s, l, name);
        if (wte_session_tap(session, name, &err) != WTE_OK)
            return s->name ? usage("--tap %s: %s", s->name, err.message) : fail_with(&err);
    }
    return 0;
}

static int show_states(void)
{
    struct prompt p;
    struct states s = {0};
    wte_session *session = NULL;
    size_t n_numbers = 0, shape[3], n_dims;
    int status = open_prompt(&p, 0);

    if (status == 0)
        status = choose_layer(&p, &s);
    if (status == 0)
        status = open_session(p.network, p.n, 1, &session);
    if (status == 0)
        status = tap_layers(&s, session);
    if (status == 0 && __builtin_mul_overflow(s.n * s.dim, s.n_layers, &n_numbers))
        status = fail("%zu layers of %zu x %zu numbers are too many", s.n_layers, s.n, s.dim);
    if (status)
        goto out;
    s.data = need_memory(n_numbers, sizeof *s.data);
    status = run_prompt(&p, session, WTE_LOGITS_NONE, keep_rows, &s);
    if (status)
        goto out;
    sink_open();
    sink_put(write_states, &s);
    sink_numbers(s.data, s.n_layers * s.n * s.dim);
    n_dims = shape_of(&s, shape);
    status = sink_close(shape, n_dims);
out:
    free(s.data);
    close_session(session);
    close_prompt(&p);
    return status;
}

/* ---- a space of many texts -------------------------------------------------------------- */

struct text {
    size_t begin, n;      /* of the ids */
    size_t before, after; /* [CLS] and [SEP] among them */
};

struct texts_of {
    struct out words; /* one behind the other */
    uint64_t *offsets;
    struct text *items; /* [n] */
    size_t n, capacity, offsets_capacity;
    struct ids ids;
};

static int add_line(const struct prompt *p, struct texts_of *t, const char *text, size_t len,
                    uint64_t line)
{
    struct text item = {t->ids.n, 0, 0, 0};
    struct out spaced = {0};
    wte_error err = {0};
    char what[64];
    int status = 0;

    if (line)
        snprintf(what, sizeof what, "line %llu", (unsigned long long)line);
    else
        snprintf(what, sizeof what, "text %zu", t->n + 1);
    if (prefix_space)
        out_text(&spaced, " ");
    out_bytes(&spaced, text, len);
    if (encode_text(p, spaced.data, spaced.n, &t->ids, &item.before, &item.after, &err) != WTE_OK)
        status = fail("%s: %s", what, err.message);
    out_free(&spaced);
    item.n = t->ids.n - item.begin;
    if (status == 0 && item.n <= item.before + item.after)
        status = fail("%s has no tokens", what);
    if (status == 0 && item.n > p->info->n_ctx)
        status = too_long(p, item.n, what, "");
    if (status)
        return status;
    t->items = need_more(t->items, &t->capacity, t->n + 1, sizeof *t->items);
    t->offsets = need_more(t->offsets, &t->offsets_capacity, t->n + 2, sizeof *t->offsets);
    t->offsets[0] = 0;
    out_bytes(&t->words, text, len);
    t->offsets[t->n + 1] = t->words.n;
    t->items[t->n++] = item;
    return 0;
}

static int add_lines(const struct prompt *p, struct texts_of *t, const char *path)
{
    struct lines lines;
    char *word;
    size_t len;
    int status = 0;

    if (!lines_open(&lines, path))
        return EXIT_FAILED;
    while (status == 0 && lines_next_word(&lines, &word, &len))
        status = add_line(p, t, word, len, lines.number);
    if (status == 0)
        status = cli.status;
    lines_close(&lines);
    return status;
}

/* Make one row of a text's rows. */
static void pool_rows(const float *rows, const struct text *text, size_t dim, float *out)
{
    const size_t first = text->before, n = text->n - text->before - text->after;
    const size_t row = pool == POOL_CLS ? 0 : pool == POOL_LAST ? first + n - 1 : first;

    if (pool != POOL_MEAN) {
        memcpy(out, rows + row * dim, dim * sizeof *out);
        return;
    }
    for (size_t j = 0; j < dim; j++) {
        double sum = 0;

        for (size_t i = 0; i < n; i++)
            sum += (double)rows[(first + i) * dim + j];
        out[j] = (float)(sum / (double)n);
    }
}

/* Run texts from `first` on as sequences of one batch; returns how many, 0 after a message. */
static size_t run_batch(const struct prompt *p, const struct states *s, const struct texts_of *t,
                        size_t first, wte_session *session, float *out, int *status)
{
    const size_t begin = t->items[first].begin;
    uint32_t *sequences = need_memory(BATCH_ROWS + p->info->n_ctx, sizeof *sequences);
    wte_batch batch = {t->ids.items + begin, sequences, NULL, NULL, NULL, 0, WTE_LOGITS_NONE};
    wte_array a;
    char name[48];
    wte_error err = {0};
    size_t n = 0;

    for (; first + n < t->n && n < BATCH; n++) {
        const size_t len = t->items[first + n].n;

        if (n && batch.n + len > BATCH_ROWS)
            break;
        for (size_t i = 0; i < len; i++)
            sequences[batch.n + i] = (uint32_t)n;
        batch.n += len;
        wte_session_truncate(session, (uint32_t)n, 0);
    }
    tap_name(s, 0, name);
    if (wte_session_run(session, &batch, &err) != WTE_OK ||
        wte_session_tapped(session, name, &a, &err) != WTE_OK) {
        *status = fail_with(&err);
        n = 0;
    }
    for (size_t i = 0; i < n; i++)
        pool_rows(a.data + (t->items[first + i].begin - begin) * s->dim, &t->items[first + i],
                  s->dim, out + i * s->dim);
    free(sequences);
    return n;
}

static int run_texts(const struct prompt *p, const struct states *s, const struct texts_of *t,
                     float *rows)
{
    wte_session *session = NULL;
    size_t longest = 0, done = 0;
    int status;

    for (size_t i = 0; i < t->n; i++)
        longest = t->items[i].n > longest ? t->items[i].n : longest;
    status = open_session(p->network, longest, t->n < BATCH ? t->n : BATCH, &session);
    if (status == 0)
        status = tap_layers(s, session);
    signals_wait(true);
    while (status == 0 && done < t->n) {
        done += run_batch(p, s, t, done, session, rows + done * s->dim, &status);
        if (status == 0 && show_progress(NULL, "running texts", done, t->n))
            status = 128 + signals_caught();
    }
    status = signals_end(status);
    close_session(session);
    return status;
}

static int write_space(const struct prompt *p, const struct states *s, const struct texts_of *t,
                       const float *rows)
{
    static const char *const pools[] = {"mean", "first", "last", "cls"};
    wte_open_options how = open_options();
    const wte_space_format format = has_ending(space_file, ".bin")   ? WTE_WORD2VEC_BIN
                                    : has_ending(space_file, ".txt") ? WTE_WORD2VEC_TEXT
                                                                     : WTE_LAYOUT;
    char name[256], meaning[128];
    wte_space *space = NULL;
    wte_error err = {0};
    int status = 0;

    snprintf(name, sizeof name, "%.200s-layer%zu-%s", p->model, s->layer, pools[pool]);
    signals_wait(true);
    if (wte_space_new(name, t->words.data, t->offsets, rows, WTE_F32, (uint32_t)t->n, s->dim,
                      s->dim, (unsigned)cli.threads, &space, &err) != WTE_OK ||
        wte_space_save(space, space_file, format, &how, &err) != WTE_OK)
        status = fail_with(&err);
    clear_progress();
    signals_wait(false);
    wte_space_free(space);
    if (status == 0)
        note("%s: %zu rows of width %zu, layer %zu (%s), %s%s", space_file, t->n, s->dim, s->layer,
             layer_meaning(p, s->layer, meaning),
             pool == POOL_MEAN    ? "mean of each text's tokens"
             : pool == POOL_CLS   ? "the row of [CLS]"
             : pool == POOL_FIRST ? "each text's first token"
                                  : "each text's last token",
             p->info->architecture == WTE_ARCHITECTURE_BERT && pool != POOL_CLS
                 ? " without [CLS] and [SEP]"
                 : "");
    return status;
}

static int save_space(void)
{
    struct prompt p;
    struct states s = {0};
    struct texts_of t = {0};
    float *rows = NULL;
    size_t n_numbers = 0;
    int status;

    if (!has_ending(space_file, ".safetensors .bin .txt"))
        return usage("--save-space %s: the ending must be one of .safetensors .bin .txt",
                     space_file);
    if (tap || cli.output || cli.json || cli.tsv)
        return usage("--save-space writes a space and nothing else: without --tap, -o, --json, "
                     "--tsv");
    if (cli.words.n == 0 && !cli.words_file)
        return usage("--save-space needs texts, as arguments or with --words FILE");
    status = open_runner(&p, 0);
    if (status == 0 && !p.tokenizer)
        status = fail("%s has no tokenizer files, so that it takes no text", p.model);
    if (status == 0)
        status = choose_layer(&p, &s);
    if (status == 0 && s.n_layers > 1)
        status = usage("--save-space needs one --layer");
    if (status == 0 && pool == POOL_CLS &&
        wte_tokenizer_get_info(p.tokenizer)->kind != WTE_TOKENIZER_BERT)
        status = fail("--pool cls: %s has no [CLS]", p.model);
    if (status == 0 && reads_queries())
        status = add_lines(&p, &t, "-");
    for (size_t i = 0; status == 0 && !reads_queries() && i < cli.words.n; i++)
        status = add_line(&p, &t, cli.words.items[i], strlen(cli.words.items[i]), 0);
    if (status == 0 && cli.words_file)
        status = add_lines(&p, &t, cli.words_file);
    if (status == 0 && t.n == 0)
        status = fail("there are no texts to run");
    if (status == 0 && (t.n >= UINT32_MAX || __builtin_mul_overflow(t.n, s.dim, &n_numbers)))
        status = fail("%zu texts are too many", t.n);
    if (status == 0) {
        rows = need_memory(n_numbers, sizeof *rows);
        status = run_texts(&p, &s, &t, rows);
    }
    if (status == 0)
        status = write_space(&p, &s, &t, rows);
    free(rows);
    free(t.items);
    free(t.offsets);
    free(t.ids.items);
    out_free(&t.words);
    close_prompt(&p);
    return status;
}

int cmd_hidden(void)
{
    if (tap && layer_text)
        return usage("--layer and --tap choose the same: give one of them");
    if (space_file)
        return save_space();
    if (pool != POOL_MEAN || prefix_space || cli.words_file)
        return usage("--pool, --prefix-space and --words go with --save-space");
    return show_states();
}
