/* SPDX-License-Identifier: MIT */
/* cmd_next.c - the tokens that a GPT-2 expects next
 *
 * The logits of the last position and their softmax over the whole vocabulary, nothing cut off or
 * scaled. Bars are drawn in eighths of a column; a full bar is the largest probability shown. */
#include "sampling.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t k = 10;
static bool distribution;

static const struct option options[] = {
    {'k', NULL, OPT_COUNT, &k, "N", "how many tokens (10)", NULL},
    {0, "distribution", OPT_FLAG, &distribution, NULL,
     "what would be sampled from: the options below are applied (50 for --top-k), and what each "
     "did "
     "is told; programs get all tokens left",
     NULL},
    OPTIONS_END};

static const struct example examples[] = {
    {"wte next -m gpt2 'The theory of'", "the ten most probable tokens"},
    {"wte next -m gpt2 -k 3 --json 'The theory'", "for a program"},
    {"wte next -m gpt2 --ids 262,261 --tsv", "of token ids"},
    {"wte next -m gpt2 --distribution --temperature 0.7 --top-p 0.9 'The theory'",
     "what sampling would draw from"},
    {"echo 'the theory' | wte next -m gpt2 -", "of standard input"},
    {"wte next -m gpt2 'The theory of' --plot next.svg", "bars as a figure"},
    {NULL, NULL}};

const struct page page_next = {
    .usage = {"[OPTION]... TEXT", "[OPTION]... --ids ID,...", "[OPTION]... -"},
    .about =
        "Runs a GPT-2 over the prompt and prints the tokens that it holds most probable next, with "
        "their logits and probabilities: the softmax over all tokens, as the network gives it, at "
        "temperature 1. A token's spaces are shown as ␣; bars are in proportion to the first. Ties "
        "go to the lower id. -o FILE.npy writes the logits of all tokens.",
    .options = options,
    .writes = ".npy .json .tsv",
    .examples = examples,
    .json = "{\"next\":[{\"id\":286,\"token\":\" of\",\"logit\":-31.2,\"prob\":0.41},...]}\n"
            "--distribution: \"next\" has all tokens left, \"prob\" is that at the end of the "
            "chain, and\n"
            "\"stages\":[{\"name\",\"tokens\",\"mass\",\"entropy\",\"top\":{\"id\",\"token\","
            "\"prob\"}},...]",
    .begin = sampling_begin};

enum { BAR = 24 };

struct answer {
    const struct prompt *prompt;
    const struct scored *best; /* [n] */
    const float *log_probs;    /* [n_vocab] */
    size_t n;
};

static double prob(const struct answer *a, size_t i)
{
    return exp((double)a->log_probs[a->best[i].id]);
}

static void write_json(struct out *o, const struct answer *a)
{
    json_open(o, '{');
    json_ids(o, a->prompt);
    json_key(o, "next");
    json_open(o, '[');
    for (size_t i = 0; i < a->n; i++) {
        json_open(o, '{');
        json_token(o, a->prompt, a->best[i].id);
        json_key(o, "logit");
        json_float(o, a->best[i].logit);
        json_key(o, "prob");
        json_float(o, (float)prob(a, i));
        json_close(o, '}');
    }
    json_close(o, ']');
    json_close(o, '}');
    json_line(o);
}

static void write_tsv(struct out *o, const struct answer *a)
{
    out_text(o, "id\ttoken\tlogit\tprob\n");
    for (size_t i = 0; i < a->n; i++) {
        struct token token;

        token_text(a->prompt, a->best[i].id, &token);
        out_format(o, "%u\t", a->best[i].id);
        out_tsv(o, token.text, token.len);
        out_text(o, "\t");
        out_float(o, a->best[i].logit);
        out_text(o, "\t");
        out_float(o, (float)prob(a, i));
        out_text(o, "\n");
    }
}

/* Whole columns, then one of seven parts of a column. */
static void draw_bar(char bar[4 * BAR + 4], double share)
{
    static const char *const parts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    size_t eighths = (size_t)(share * BAR * 8 + 0.5);

    bar[0] = 0;
    for (; eighths >= 8; eighths -= 8)
        strcat(bar, "█");
    strcat(bar, parts[eighths]);
}

static void write_people(struct out *o, const struct answer *a)
{
    struct table table;
    double all = 0;

    out_style(o, DIM);
    out_format(o, "next after %zu token%s, the last of them ", a->prompt->n,
               a->prompt->n == 1 ? "" : "s");
    out_label(o, a->prompt, a->prompt->ids[a->prompt->n - 1], 24);
    out_format(o, "  in %s\n", a->prompt->model);
    out_style(o, PLAIN);
    table_begin(&table, "rlrrrl", true);
    table_cell(&table, "%s", "");
    table_cell(&table, "token");
    table_cell(&table, "id");
    table_cell(&table, "logit");
    table_cell(&table, "prob");
    table_cell(&table, "%s", "");
    for (size_t i = 0; i < a->n; i++) {
        char bar[4 * BAR + 4], percent[16];

        draw_bar(bar, prob(a, i) / prob(a, 0));
        table_cell(&table, "%zu", i + 1);
        table_token(&table, a->prompt, a->best[i].id);
        table_cell(&table, "%u", a->best[i].id);
        table_cell(&table, "%.4f", (double)a->best[i].logit);
        table_cell(&table, "%s", show_prob(prob(a, i), percent));
        table_cell(&table, "%s", bar);
        all += prob(a, i);
    }
    table_end(&table, o);
    out_style(o, DIM);
    out_format(o, "together %.1f %%, all other tokens %.1f %%\n", 100 * all,
               100 * (all < 1 ? 1 - all : 0));
    out_style(o, PLAIN);
}

static void write_answer(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct answer *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[format](o, result);
}

static int draw(const struct answer *a)
{
    wte_axes axes = figure_axes(NULL, "probability", NULL);
    uint32_t *ids = need_memory(a->n, sizeof *ids);
    double *values = need_memory(a->n, sizeof *values);
    wte_figure *figure = figure_begin(a->prompt->model);
    wte_error err = {0};
    char **labels;

    for (size_t i = 0; i < a->n; i++) {
        ids[i] = a->best[i].id;
        values[i] = prob(a, i);
    }
    labels = token_labels(a->prompt, ids, a->n);
    figure_limits(&axes.x_min, &axes.x_max);
    if (figure && wte_figure_panel(figure, &axes, 0, &err) == WTE_OK)
        wte_figure_bars(figure, values, (const char *const *)labels, a->n, NULL, NULL, NULL, NULL,
                        1, &err);
    figure_labels_free(labels, a->n);
    free(values);
    free(ids);
    return figure_end(figure, &err);
}

/* The options of the chain, before the network runs. */
static int ready(const struct prompt *p)
{
    wte_error err = {0};
    int status = sampling_ready(wte_model_get_info(cli.model)->config, p->info->n_vocab);

    sampling.do_sample = 1;
    if (status == 0 && wte_generate_options_check(&sampling, &err) != WTE_OK)
        status = usage("%s", err.message);
    return status;
}

int cmd_next(void)
{
    struct prompt p;
    struct answer a = {0};
    struct scored *best = NULL;
    float *log_probs = NULL;
    wte_session *session = NULL;
    const float *logits;
    int status;

    if (distribution && figure_wanted())
        return usage("--plot draws the network's own probabilities: without --distribution");
    if (!distribution && sampling_given())
        return usage("options of the chain need --distribution");
    status = open_prompt(&p, WANTS_LOGITS | WANTS_GPT2);
    if (status == 0 && distribution)
        status = ready(&p);
    if (status == 0)
        status = open_session(p.network, p.n, 1, &session);
    if (status == 0)
        status = run_prompt(&p, session, WTE_LOGITS_LAST, NULL, NULL);
    if (status)
        goto out;
    logits = wte_session_logits(session, last_row(&p));
    if (distribution) {
        status = show_distribution(&p, logits, k);
        goto out;
    }
    best = need_memory(k < p.info->n_vocab ? k : p.info->n_vocab, sizeof *best);
    log_probs = need_memory(p.info->n_vocab, sizeof *log_probs);
    wte_log_softmax(logits, p.info->n_vocab, log_probs);
    a = (struct answer){&p, best, log_probs, top_logits(logits, p.info->n_vocab, k, best)};
    if (figure_wanted() && (status = draw(&a)) != 0)
        goto out;
    sink_open();
    sink_put(write_answer, &a);
    sink_numbers(logits, p.info->n_vocab);
    status = sink_close((size_t[]){p.info->n_vocab}, 1);
out:
    free(best);
    free(log_probs);
    close_session(session);
    close_prompt(&p);
    return status;
}
