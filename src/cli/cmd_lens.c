/* SPDX-License-Identifier: MIT */
/* cmd_lens.c - what each layer would predict
 *
 * The logit lens (nostalgebraist 2020): the residual stream of a layer goes through the final norm
 * and the output matrix, as if the layers ended there; of BERT through the head of its masked
 * language model. The last layer's row is what the network says.
 *
 * For each layer and position: the best tokens; the entropy of the distribution; the divergence
 * KL(last || layer) = sum p_last * (log p_last - log p_layer), which is 0 where the layer already
 * says what the last does; and the rank that the last layer's best token has here. All are computed
 * for the positions that are shown, BLOCK at a time, so that memory holds the logits of one block
 * for two layers. Sums in float64. */
#include "prompt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 16, CELL = 17, LABEL = 9, SIDE = 28 };

static size_t k = 1;
static const char *position_text;

static const struct option options[] = {
    {'k', NULL, OPT_COUNT, &k, "N", "how many tokens at each place (1)", NULL},
    {0, "position", OPT_TEXT, &position_text, "N[,N...]",
     "only these positions, counted from 0; people see the last that fit otherwise", NULL},
    OPTIONS_END};

static const struct example examples[] = {
    {"wte lens -m gpt2 'the theory of theories'", "layers by positions"},
    {"wte lens -m gpt2 -k 5 --position 1 'the theory of'", "more tokens of one position"},
    {"wte lens -m bert --json 'the [MASK] is'", "for a program"},
    {"wte lens -m gpt2 'the theory of theories' --plot lens.svg", "the same as a heat map"},
    {NULL, NULL}};

const struct page page_lens = {
    .usage = {"[OPTION]... TEXT", "[OPTION]... --ids ID,...", "[OPTION]... -"},
    .about =
        "Shows what each layer would predict if it were the last: its residual stream through the "
        "final layer norm and the output matrix (logit lens); of BERT through the head of the "
        "masked language model. GPT-2's positions predict the token behind them, BERT's the one at "
        "them. Layer 0 is the sum of the embeddings; the last row is what 'wte logits' gives.\n\n"
        "Beside it, as means over the positions: the entropy of the prediction; KL, the divergence "
        "of the layer from the last one, KL(last || layer), both in bits (nats in JSON, too); and "
        "rank, the place of the last layer's best token at this layer, 1 being the first.",
    .options = options,
    .writes = ".json .tsv",
    .examples = examples,
    .json = "{\"ids\":[464,4583],\"position\":[0,1],\"layers\":[{\"layer\":0,\n"
            " \"positions\":[[{\"id\":286,\"token\":\" of\",\"prob\":0.4},...],...],\n"
            " \"entropy_nats\":[7.1,...],\"entropy_bits\":[10.2,...],\"kl_nats\":[3.2,...],\n"
            " \"kl_bits\":[4.6,...],\"rank\":[12,...]},...]}"};

struct lens {
    const struct prompt *prompt;
    size_t *positions; /* [n] */
    size_t n, capacity, n_layers, k;
    float *states;        /* [n_layers, n, n_embd] */
    struct scored *best;  /* [n_layers, n, k], whose .logit becomes the log-probability */
    double *entropy, *kl; /* [n_layers, n] nats */
    uint32_t *rank;       /* [n_layers, n] */
};

static const struct scored *best_of(const struct lens *l, size_t layer, size_t i)
{
    return l->best + (layer * l->n + i) * l->k;
}

static double bits(double nats)
{
    return nats / 0.69314718055994530942;
}

static double mean(const double *values, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += values[i];
    return sum / (double)n;
}

/* ---- printing --------------------------------------------------------------------------- */

static void json_values(struct out *o, const char *key, const double *values, size_t n,
                        bool as_bits)
{
    json_key(o, key);
    json_open(o, '[');
    for (size_t i = 0; i < n; i++)
        json_float(o, (float)(as_bits ? bits(values[i]) : values[i]));
    json_close(o, ']');
}

static void write_json_layer(struct out *o, const struct lens *l, size_t layer)
{
    json_open(o, '{');
    json_key(o, "layer");
    json_count(o, layer);
    json_key(o, "positions");
    json_open(o, '[');
    for (size_t i = 0; i < l->n; i++) {
        json_open(o, '[');
        for (size_t j = 0; j < l->k; j++) {
            const struct scored *s = best_of(l, layer, i) + j;

            json_open(o, '{');
            json_token(o, l->prompt, s->id);
            json_key(o, "prob");
            json_float(o, expf(s->logit));
            json_close(o, '}');
        }
        json_close(o, ']');
    }
    json_close(o, ']');
    json_values(o, "entropy_nats", l->entropy + layer * l->n, l->n, false);
    json_values(o, "entropy_bits", l->entropy + layer * l->n, l->n, true);
    json_values(o, "kl_nats", l->kl + layer * l->n, l->n, false);
    json_values(o, "kl_bits", l->kl + layer * l->n, l->n, true);
    json_key(o, "rank");
    json_open(o, '[');
    for (size_t i = 0; i < l->n; i++)
        json_count(o, l->rank[layer * l->n + i]);
    json_close(o, ']');
    json_close(o, '}');
}

static void write_json(struct out *o, const struct lens *l)
{
    json_open(o, '{');
    json_ids(o, l->prompt);
    json_key(o, "position");
    json_open(o, '[');
    for (size_t i = 0; i < l->n; i++)
        json_count(o, l->positions[i]);
    json_close(o, ']');
    json_key(o, "layers");
    json_open(o, '[');
    for (size_t layer = 0; layer < l->n_layers; layer++)
        write_json_layer(o, l, layer);
    json_close(o, ']');
    json_close(o, '}');
    json_line(o);
}

static void write_tsv(struct out *o, const struct lens *l)
{
    out_text(o, "layer\tposition\tplace\tid\ttoken\tprob\tentropy_bits\tkl_bits\trank\n");
    for (size_t layer = 0; layer < l->n_layers; layer++)
        for (size_t i = 0; i < l->n; i++)
            for (size_t j = 0; j < l->k; j++) {
                const struct scored *s = best_of(l, layer, i) + j;
                const size_t at = layer * l->n + i;
                struct token token;

                token_text(l->prompt, s->id, &token);
                out_format(o, "%zu\t%zu\t%zu\t%u\t", layer, l->positions[i], j + 1, s->id);
                out_tsv(o, token.text, token.len);
                out_text(o, "\t");
                out_float(o, expf(s->logit));
                out_text(o, "\t");
                out_float(o, (float)bits(l->entropy[at]));
                out_text(o, "\t");
                out_float(o, (float)bits(l->kl[at]));
                out_format(o, "\t%u\n", l->rank[at]);
            }
}

static void write_cell(struct table *table, const struct lens *l, const struct scored *s)
{
    struct out cell = {0};

    out_label(&cell, l->prompt, s->id, LABEL);
    out_format(&cell, " %.0f %%", 100 * exp((double)s->logit));
    table_cell(table, "%s", cell.data);
    out_free(&cell);
}

static void write_sides(struct table *table, double entropy, double kl, double rank)
{
    table_cell(table, "%.2f", bits(entropy));
    table_cell(table, "%.2f", bits(kl));
    table_cell(table, rank < 9.95 ? "%.1f" : "%.0f", rank);
}

/* Layers by the columns `from` to `to` of positions, or with -k of one position's best tokens. */
static void write_table(struct out *o, const struct lens *l, size_t from, size_t to, bool many)
{
    const size_t n_columns = many ? l->k : to - from;
    char *columns = need_memory(n_columns + 5, 1);
    struct table table;

    columns[0] = 'r';
    memset(columns + 1, 'l', n_columns);
    memset(columns + 1 + n_columns, 'r', 3);
    table_begin(&table, columns, true);
    table_cell(&table, "layer");
    for (size_t i = 0; i < n_columns; i++) {
        struct out title = {0};

        if (many) {
            table_cell(&table, "%zu", i + 1);
            continue;
        }
        out_format(&title, "%zu ", l->positions[from + i]);
        out_label(&title, l->prompt, l->prompt->ids[l->positions[from + i]], LABEL);
        table_cell(&table, "%s", title.data);
        out_free(&title);
    }
    table_cell(&table, "entropy");
    table_cell(&table, "KL");
    table_cell(&table, "rank");
    for (size_t layer = 0; layer < l->n_layers; layer++) {
        const size_t at = layer * l->n + from;
        double rank = 0;

        table_cell(&table, "%zu", layer);
        for (size_t i = 0; i < n_columns; i++)
            write_cell(&table, l, many ? best_of(l, layer, from) + i : best_of(l, layer, from + i));
        for (size_t i = from; i < to; i++)
            rank += l->rank[layer * l->n + i];
        write_sides(&table, mean(l->entropy + at, to - from), mean(l->kl + at, to - from),
                    rank / (double)(to - from));
    }
    table_end(&table, o);
    free(columns);
}

static size_t columns_that_fit(void)
{
    const size_t width = terminal_width();

    return width > SIDE + CELL ? (width - SIDE) / CELL : 1;
}

static void write_people(struct out *o, const struct lens *l)
{
    const bool bert = l->prompt->info->architecture == WTE_ARCHITECTURE_BERT;

    out_style(o, DIM);
    out_format(o, "what each layer of %s would predict %s the tokens\n", l->prompt->model,
               bert ? "in the place of" : "behind");
    out_style(o, PLAIN);
    if (l->k == 1) {
        write_table(o, l, 0, l->n, false);
    } else {
        for (size_t i = 0; i < l->n; i++) {
            out_format(o, "%s%zu ", i ? "\n" : "", l->positions[i]);
            out_label(o, l->prompt, l->prompt->ids[l->positions[i]], 24);
            out_text(o, "\n");
            write_table(o, l, i, i + 1, true);
        }
    }
    out_style(o, DIM);
    out_format(o, "entropy and KL(last || layer) in bits, rank of the last layer's token%s\n",
               l->k == 1 && l->n > 1 ? ": means over the columns" : "");
    if (l->n < l->prompt->n && !position_text)
        out_format(o, "the last %zu of %zu positions; --position shows others, --json all\n", l->n,
                   l->prompt->n);
    out_style(o, PLAIN);
}

static void write_lens(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct lens *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[format](o, result);
}

/* Layers by positions, the last layer on top; a cell's colour is the probability of its best token,
 * which is written in it. */
static int draw(const struct lens *l)
{
    const size_t n_cells = l->n_layers * l->n;
    uint32_t *ids = need_memory(n_cells, sizeof *ids);
    double *values = need_memory(n_cells, sizeof *values), low = 0, high = 1;
    char **layers = need_memory(l->n_layers, sizeof *layers), **columns, **texts;
    wte_axes axes = figure_axes(NULL, NULL, "layer");
    wte_figure *figure = figure_begin(l->prompt->model);
    wte_error err = {0};

    for (size_t i = 0; i < l->n; i++)
        ids[i] = l->prompt->ids[l->positions[i]];
    columns = token_labels(l->prompt, ids, l->n);
    for (size_t row = 0; row < l->n_layers; row++) {
        const size_t layer = l->n_layers - 1 - row;

        if (asprintf(&layers[row], "%zu", layer) < 0)
            layers[row] = NULL;
        for (size_t i = 0; i < l->n; i++) {
            const struct scored *best = best_of(l, layer, i);

            ids[row * l->n + i] = best->id;
            values[row * l->n + i] = exp((double)best->logit);
        }
    }
    texts = token_labels(l->prompt, ids, n_cells);
    figure_limits(&low, &high);
    if (figure && wte_figure_panel(figure, &axes, 0, &err) == WTE_OK)
        wte_figure_heatmap(figure, values, l->n_layers, l->n, (const char *const *)layers,
                           (const char *const *)columns, low, high, (const char *const *)texts,
                           "probability of the best token", &err);
    figure_labels_free(texts, n_cells);
    figure_labels_free(columns, l->n);
    figure_labels_free(layers, l->n_layers);
    free(values);
    free(ids);
    return figure_end(figure, &err);
}

/* ---- computing -------------------------------------------------------------------------- */

static void tap_name(size_t layer, char name[48])
{
    if (layer == 0)
        snprintf(name, 48, "embeddings");
    else
        snprintf(name, 48, "layer.%zu.out", layer - 1);
}

static wte_status keep_rows(wte_session *session, size_t first, size_t n, void *data,
                            wte_error *err)
{
    struct lens *l = data;
    const size_t dim = l->prompt->info->n_embd;

    for (size_t layer = 0; layer < l->n_layers; layer++) {
        wte_array a;
        char name[48];
        wte_status status;

        tap_name(layer, name);
        status = wte_session_tapped(session, name, &a, err);
        if (status != WTE_OK)
            return status;
        for (size_t i = 0; i < l->n; i++)
            if (l->positions[i] >= first && l->positions[i] < first + n)
                memcpy(l->states + (layer * l->n + i) * dim,
                       a.data + (l->positions[i] - first) * dim, dim * sizeof *a.data);
    }
    return WTE_OK;
}

/* What is kept of one distribution; log_last and last are the last layer's. */
static void measure(struct lens *l, size_t at, float *logits, const float *log_last,
                    const float *last, uint32_t winner)
{
    const size_t n_vocab = l->prompt->info->n_vocab;
    struct scored *best = l->best + at * l->k;
    double entropy = 0, kl = 0;
    uint32_t rank = 1;

    top_logits(logits, n_vocab, l->k, best);
    for (uint32_t i = 0; i < n_vocab; i++)
        rank += logits[i] > logits[winner] || (i < winner && !(logits[i] < logits[winner]));
    wte_log_softmax(logits, n_vocab, logits);
    for (size_t i = 0; i < n_vocab; i++) {
        entropy -= (double)expf(logits[i]) * (double)logits[i];
        kl += (double)last[i] * ((double)log_last[i] - (double)logits[i]);
    }
    for (size_t j = 0; j < l->k; j++)
        best[j].logit = logits[best[j].id];
    l->entropy[at] = entropy;
    l->kl[at] = kl > 0 ? kl : 0; /* rounding alone makes it negative */
    l->rank[at] = rank;
}

static int compute(struct lens *l, wte_session *session)
{
    const size_t n_vocab = l->prompt->info->n_vocab, dim = l->prompt->info->n_embd;
    const size_t end = l->n_layers - 1;
    float *log_last = need_memory(BLOCK * n_vocab, sizeof *log_last);
    float *last = need_memory(BLOCK * n_vocab, sizeof *last);
    float *logits = need_memory(BLOCK * n_vocab, sizeof *logits);
    uint32_t winner[BLOCK];
    wte_error err = {0};
    int status = 0;

    signals_wait(true);
    for (size_t from = 0; from < l->n && status == 0; from += BLOCK) {
        const size_t n = l->n - from < BLOCK ? l->n - from : BLOCK;

        for (size_t step = 0; step < l->n_layers && status == 0; step++) {
            const size_t layer = end - step; /* the last one first: others are compared with it */

            if (wte_session_unembed(session, l->states + (layer * l->n + from) * dim, n, 0, logits,
                                    &err) != WTE_OK) {
                status = fail_with(&err);
                break;
            }
            for (size_t i = 0; i < n; i++) {
                if (layer == end) {
                    struct scored first;

                    top_logits(logits + i * n_vocab, n_vocab, 1, &first);
                    winner[i] = first.id;
                    wte_log_softmax(logits + i * n_vocab, n_vocab, log_last + i * n_vocab);
                    for (size_t j = i * n_vocab; j < (i + 1) * n_vocab; j++)
                        last[j] = expf(log_last[j]);
                }
                measure(l, layer * l->n + from + i, logits + i * n_vocab, log_last + i * n_vocab,
                        last + i * n_vocab, winner[i]);
            }
            if (show_progress(NULL, "reading layers", from * l->n_layers + (step + 1) * n,
                              l->n * l->n_layers))
                status = 128 + signals_caught();
        }
    }
    status = signals_end(status);
    free(log_last);
    free(last);
    free(logits);
    return status;
}

static int choose_positions(struct lens *l)
{
    const bool all = cli.json || cli.tsv || cli.output || figure_wanted();
    const size_t n = l->prompt->n, fit = k > 1 ? 1 : columns_that_fit();
    struct ids given = {0};
    wte_error err = {0};
    int status = 0;

    if (!position_text) {
        l->n = all || n < fit ? n : fit;
        l->positions = need_memory(l->n, sizeof *l->positions);
        for (size_t i = 0; i < l->n; i++)
            l->positions[i] = n - l->n + i;
        return 0;
    }
    if (!add_ids(&given, position_text, strlen(position_text), &err) || given.n == 0)
        status = usage("--position %s: expected numbers from 0 with commas between", position_text);
    l->positions = need_memory(given.n, sizeof *l->positions);
    for (size_t i = 0; i < given.n && status == 0; i++) {
        l->positions[l->n++] = given.items[i];
        if (given.items[i] >= n)
            status =
                fail("--position %u: the prompt has positions 0 to %zu", given.items[i], n - 1);
    }
    free(given.items);
    return status;
}

static int take_memory(struct lens *l)
{
    size_t n_cells, n_best, n_states;

    l->n_layers = l->prompt->info->n_layer + 1;
    l->k = k < l->prompt->info->n_vocab ? k : l->prompt->info->n_vocab;
    if (__builtin_mul_overflow(l->n_layers, l->n, &n_cells) ||
        __builtin_mul_overflow(n_cells, l->k, &n_best) ||
        __builtin_mul_overflow(n_cells, l->prompt->info->n_embd, &n_states))
        return fail("-k %zu is too many", k);
    l->states = need_memory(n_states, sizeof *l->states);
    l->best = need_memory(n_best, sizeof *l->best);
    l->entropy = need_memory(n_cells, sizeof *l->entropy);
    l->kl = need_memory(n_cells, sizeof *l->kl);
    l->rank = need_memory(n_cells, sizeof *l->rank);
    return 0;
}

int cmd_lens(void)
{
    struct prompt p;
    struct lens l = {0};
    wte_session *session = NULL;
    wte_error err = {0};
    int status = open_prompt(&p, WANTS_LOGITS);

    l.prompt = &p;
    if (status == 0)
        status = choose_positions(&l);
    if (status == 0)
        status = take_memory(&l);
    if (status == 0)
        status = open_session(p.network, p.n, 1, &session);
    for (size_t layer = 0; status == 0 && layer < l.n_layers; layer++) {
        char name[48];

        tap_name(layer, name);
        if (wte_session_tap(session, name, &err) != WTE_OK)
            status = fail_with(&err);
    }
    if (status == 0)
        status = run_prompt(&p, session, WTE_LOGITS_NONE, keep_rows, &l);
    if (status == 0)
        status = compute(&l, session);
    if (status == 0 && figure_wanted())
        status = draw(&l);
    if (status == 0) {
        sink_open();
        sink_put(write_lens, &l);
        status = sink_close(NULL, 0);
    }
    free(l.positions);
    free(l.states);
    free(l.best);
    free(l.entropy);
    free(l.kl);
    free(l.rank);
    close_session(session);
    close_prompt(&p);
    return status;
}
