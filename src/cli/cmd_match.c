/* SPDX-License-Identifier: MIT */
/* cmd_match.c - the words that models share, and those that they do not */
#include <stdlib.h>
#include <string.h>

#include "figure.h"
#include "together.h"

enum { SHOWN = 20 };

static size_t shown = SHOWN;

static const struct option options[] = {
    {'k', NULL, OPT_COUNT, &shown, "N", "show people N matches (20); programs get all", NULL},
    PYTHON_OPTION,
    OPTIONS_END};

static const struct example examples[] = {
    {"wte match -m demo -m gpt2", "words that are whole tokens of the other, too"},
    {"wte match -m demo -m bert --length 6 --limit 100 --json",
     "the first hundred of six characters"},
    {"wte match -m demo -m gpt2 --prefix-space-b -o bridge.tsv", "a bridge, for rsa --bridge"},
    {NULL, NULL}};

const struct page page_match = {
    .usage = {"-m A -m B [-m C]... [OPTION]..."},
    .about =
        "Lists the words of the first model that the others have, too, in its order, and tells "
        "how many were left out and why.\n\n"
        "A word matches by its exact bytes: \"the\" is not the token \" the\" of a GPT-2, which "
        "--prefix-space-b asks for, nor \"The\", which --any-case takes where there is no "
        "\"the\". With --pool a word may be several tokens.\n\n"
        "-o bridge.tsv keeps the matches for rsa, compare and correlate (--bridge).",
    .options = options,
    .writes = ".tsv .json",
    .examples = examples,
    .json = "{\"matches\":[{\"token\":\"the\",\"ids\":[11,1169]}],\n"
            " \"lost\":[{\"why\":\"not in B\",\"count\":3,\"examples\":[\"...\"]}]}\n"
            "an id is an array where a word is several tokens"};

/* ---- text ------------------------------------------------------------------------------- */

static void write_json(struct out *o, const struct together *t)
{
    json_open(o, '{');
    json_key(o, "matches");
    json_open(o, '[');
    for (size_t i = 0; i < t->n; i++) {
        json_open(o, '{');
        json_word(o, "token", t->words[i].text, t->words[i].len);
        json_key(o, "ids");
        json_open(o, '[');
        for (size_t p = 0; p < t->n_partners; p++) {
            const struct tokens *k = &t->tokens[i * t->n_partners + p];

            if (k->n > 1)
                json_open(o, '[');
            for (size_t j = 0; j < k->n; j++)
                json_count(o, t->ids[k->first + j]);
            if (k->n > 1)
                json_close(o, ']');
        }
        json_close(o, ']');
        json_close(o, '}');
    }
    json_close(o, ']');
    json_lost(o, t);
    json_close(o, '}');
    json_line(o);
}

static void write_ids(struct out *o, const struct together *t, size_t i, size_t p)
{
    const struct tokens *k = &t->tokens[i * t->n_partners + p];

    for (size_t j = 0; j < k->n; j++)
        out_format(o, "%s%u", j ? " " : "", t->ids[k->first + j]);
}

static void write_tsv(struct out *o, const struct together *t)
{
    out_text(o, "token");
    for (size_t p = 0; p < t->n_partners; p++) {
        out_text(o, "\t");
        out_tsv(o, t->partners[p].info->name, strlen(t->partners[p].info->name));
    }
    out_text(o, "\n");
    for (size_t i = 0; i < t->n; i++) {
        out_tsv(o, t->words[i].text, t->words[i].len);
        for (size_t p = 0; p < t->n_partners; p++) {
            out_text(o, "\t");
            write_ids(o, t, i, p);
        }
        out_text(o, "\n");
    }
}

static void show_matches(struct out *o, const struct together *t)
{
    char *columns = need_memory(t->n_partners + 2, 1), count[32];
    struct table table;

    memset(columns, 'r', t->n_partners + 1);
    columns[0] = 'l';
    table_begin(&table, columns, true);
    table_cell(&table, "word");
    for (size_t p = 0; p < t->n_partners; p++)
        table_cell(&table, "%s", t->partners[p].info->name);
    for (size_t i = 0; i < t->n && i < shown; i++) {
        table_word(&table, t->words[i].text, t->words[i].len);
        for (size_t p = 0; p < t->n_partners; p++) {
            struct out ids = {0};

            write_ids(&ids, t, i, p);
            table_cell(&table, "%s", ids.data);
            out_free(&ids);
        }
    }
    table_end(&table, o);
    if (t->n > shown)
        out_format(o, "... %s more\n", show_count(t->n - shown, count));
    free(columns);
}

static void show_ledger(struct out *o, const struct together *t)
{
    struct table table;
    char count[32];

    table_begin(&table, "rll", false);
    for (size_t l = 0; l < t->n_ledger; l++) {
        const wte_ledger_line *line = &t->ledger[l];
        struct out words = {0};

        if (!line->count && l > 0)
            continue;
        for (size_t i = 0; i < line->n_examples; i++) {
            if (i)
                out_text(&words, " ");
            out_word(&words, line->examples[i], strlen(line->examples[i]));
        }
        if (line->count > line->n_examples)
            out_text(&words, " ...");
        table_cell(&table, "%s", show_count(line->count, count));
        table_cell(&table, "%s", line->why);
        table_cell(&table, "%s", words.data);
        out_free(&words);
    }
    table_end(&table, o);
}

static void write_people(struct out *o, const struct together *t)
{
    char count[32];

    out_style(o, DIM);
    out_format(o, "%s words of %s, looked for in ",
               show_count(t->partners[0].space_info->n_rows, count), t->partners[0].info->name);
    for (size_t p = 1; p < t->n_partners; p++)
        out_format(o, "%s%s", p > 1 ? ", " : "", t->partners[p].info->name);
    out_text(o, "\n");
    out_style(o, PLAIN);
    if (t->n)
        show_matches(o, t);
    show_ledger(o, t);
}

static void write_matches(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct together *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[format](o, result);
}

/* ---- the figure ------------------------------------------------------------------------- */

static int plot(const struct together *t)
{
    double *counts = need_memory(t->n_ledger + 1, sizeof *counts);
    const char **labels = need_memory(t->n_ledger + 1, sizeof *labels);
    wte_axes axes = figure_axes(NULL, "words", NULL);
    struct out title = {0};
    wte_figure *figure;
    wte_error err = {0};
    size_t n = 0;
    int status;

    for (size_t l = 0; l < t->n_ledger; l++)
        if (t->ledger[l].count) {
            counts[n] = (double)t->ledger[l].count;
            labels[n++] = t->ledger[l].why;
        }
    out_format(&title, "words of %s in", t->partners[0].info->name);
    for (size_t p = 1; p < t->n_partners; p++)
        out_format(&title, "%s %s", p > 1 ? "," : "", t->partners[p].info->name);
    figure = figure_begin(title.data);
    if (figure && wte_figure_panel(figure, &axes, 0, &err) == WTE_OK)
        wte_figure_bars(figure, counts, labels, n, NULL, NULL, NULL, NULL, 1, &err);
    status = figure_end(figure, &err);
    out_free(&title);
    free(labels);
    free(counts);
    return status;
}

/* ---- running ---------------------------------------------------------------------------- */

static int run(struct together *t)
{
    const bool bridge = cli.output && has_ending(cli.output, ".tsv");
    wte_error err = {0};
    int status;

    status = together_match(t);
    if (status == 0 && figure_wanted())
        status = plot(t);
    if (status == 0 && bridge) {
        if (wte_bridge_save(t->bridge, cli.output, &err) != WTE_OK)
            return fail_with(&err);
        cli.output = NULL;
        if (!cli.json && !cli.tsv) {
            note("%zu words that %zu models share", t->n, t->n_partners);
            return 0;
        }
    }
    if (status)
        return status;
    sink_open();
    sink_put(write_matches, t);
    return sink_close(NULL, 0);
}

int cmd_match(void)
{
    struct together t;
    int status;

    if (cli.words.n)
        return usage("expected no words, found '%s': words are those of the models",
                     cli.words.items[0]);
    asked.match = true;
    status = together_open(&t, 2, 64);
    if (status == 0 && asked.python)
        status = print_python(&t, "", "print(len(words), words[:20])\n", true);
    else if (status == 0)
        status = run(&t);
    together_free(&t);
    return status;
}
