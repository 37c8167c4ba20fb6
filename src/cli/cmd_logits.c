/* SPDX-License-Identifier: MIT */
/* cmd_logits.c - the score of every token at every position
 *
 * GPT-2's row of a position is about the token behind it, BERT's about the token at it. All rows
 * are computed before anything is written, so that a failure leaves nothing on stdout. */
#include "prompt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool only_last;

static const struct option options[] = {
    {0, "last", OPT_FLAG, &only_last, NULL, "only the row of the last token", NULL}, OPTIONS_END};

static const struct example examples[] = {
    {"wte logits -m gpt2 'The theory of'", "the best token at each position"},
    {"wte logits -m gpt2 --last 'The theory' -o last.npy", "an array [1, tokens] for numpy"},
    {"wte logits -m bert --json 'the theory'", "scores of a masked language model"},
    {NULL, NULL}};

const struct page page_logits = {
    .usage = {"[OPTION]... TEXT", "[OPTION]... --ids ID,...", "[OPTION]... -"},
    .about =
        "Prints the logits: of each position a score for every token of the vocabulary, before any "
        "softmax. GPT-2's row of a position scores the token that comes behind it, BERT's the "
        "token "
        "that stands there. People see the best token of each position; --json, --tsv and -o give "
        "all numbers.",
    .options = options,
    .writes = ".npy .json .tsv",
    .examples = examples,
    .json = "{\"ids\":[464,4583],\"shape\":[2,50257],\"data\":[[-33.07,...],[...]]}"};

struct logits {
    const struct prompt *prompt;
    float *rows;  /* [n, n_vocab] */
    size_t first; /* position of the first row */
    size_t n, n_vocab;
    size_t at; /* the row that is written now */
};

static wte_status keep_rows(wte_session *session, size_t first, size_t n, void *data,
                            wte_error *err)
{
    struct logits *l = data;

    (void)err;
    for (size_t i = 0; i < n; i++)
        if (first + i >= l->first)
            memcpy(l->rows + (first + i - l->first) * l->n_vocab, wte_session_logits(session, i),
                   l->n_vocab * sizeof *l->rows);
    return WTE_OK;
}

static void write_json(struct out *o, const struct logits *l)
{
    if (l->at == 0) {
        json_open(o, '{');
        json_ids(o, l->prompt);
        json_shape(o, (size_t[]){l->n, l->n_vocab}, 2);
        json_key(o, "data");
        json_open(o, '[');
    }
    json_floats(o, l->rows + l->at * l->n_vocab, l->n_vocab);
    if (l->at + 1 == l->n) {
        json_close(o, ']');
        json_close(o, '}');
        json_line(o);
    }
}

static void write_tsv(struct out *o, const struct logits *l)
{
    const float *row = l->rows + l->at * l->n_vocab;

    if (l->at == 0) {
        out_text(o, "position\tid");
        for (size_t i = 0; i < l->n_vocab; i++)
            out_format(o, "\t%zu", i);
        out_text(o, "\n");
    }
    out_format(o, "%zu\t%u", l->first + l->at, l->prompt->ids[l->first + l->at]);
    for (size_t i = 0; i < l->n_vocab; i++) {
        out_text(o, "\t");
        out_float(o, row[i]);
    }
    out_text(o, "\n");
}

/* The whole table at once, with the first row. */
static void write_people(struct out *o, const struct logits *l)
{
    const struct prompt *p = l->prompt;
    const bool bert = p->info->architecture == WTE_ARCHITECTURE_BERT;
    float *log_probs = need_memory(l->n_vocab, sizeof *log_probs);
    struct table table;
    char percent[16];

    if (l->at)
        goto out;
    out_style(o, DIM);
    out_format(o, "logits in %s: [%zu, %zu]; of each position the best token %s\n", p->model, l->n,
               l->n_vocab, bert ? "in its place" : "to come behind it");
    out_style(o, PLAIN);
    table_begin(&table, "rllrrrr", true);
    table_cell(&table, "%s", "");
    table_cell(&table, "token");
    table_cell(&table, "best");
    table_cell(&table, "id");
    table_cell(&table, "logit");
    table_cell(&table, "prob");
    table_cell(&table, "lowest");
    for (size_t i = 0; i < l->n; i++) {
        const float *row = l->rows + i * l->n_vocab;
        struct scored best;
        float low = row[0];

        top_logits(row, l->n_vocab, 1, &best);
        wte_log_softmax(row, l->n_vocab, log_probs);
        for (size_t j = 1; j < l->n_vocab; j++)
            low = row[j] < low ? row[j] : low;
        table_cell(&table, "%zu", l->first + i);
        table_token(&table, p, p->ids[l->first + i]);
        table_token(&table, p, best.id);
        table_cell(&table, "%u", best.id);
        table_cell(&table, "%.4f", (double)best.logit);
        table_cell(&table, "%s", show_prob(exp((double)log_probs[best.id]), percent));
        table_cell(&table, "%.4f", (double)low);
    }
    table_end(&table, o);
out:
    free(log_probs);
}

static void write_logits(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct logits *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[format](o, result);
}

int cmd_logits(void)
{
    struct prompt p;
    struct logits l = {0};
    wte_session *session = NULL;
    size_t n_numbers;
    int status = open_prompt(&p, WANTS_LOGITS);

    if (status == 0)
        status = open_session(p.network, p.n, 1, &session);
    if (status)
        goto out;
    l.prompt = &p;
    l.n = only_last ? 1 : p.n;
    l.first = p.n - l.n;
    l.n_vocab = p.info->n_vocab;
    if (__builtin_mul_overflow(l.n, l.n_vocab, &n_numbers)) {
        status = fail("%zu rows of %zu numbers are too many", l.n, l.n_vocab);
        goto out;
    }
    l.rows = need_memory(n_numbers, sizeof *l.rows);
    status = run_prompt(&p, session, only_last ? WTE_LOGITS_LAST : WTE_LOGITS_ALL, keep_rows, &l);
    if (status)
        goto out;
    sink_open();
    for (l.at = 0; l.at < l.n; l.at++) {
        sink_put(write_logits, &l);
        sink_numbers(l.rows + l.at * l.n_vocab, l.n_vocab);
    }
    status = sink_close((size_t[]){l.n, l.n_vocab}, 2);
out:
    free(l.rows);
    close_session(session);
    close_prompt(&p);
    return status;
}
