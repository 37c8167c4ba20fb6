/* SPDX-License-Identifier: MIT */
/* cmd_attention.c - which tokens look at which
 *
 * The weights are those of the softmax, [n_layer, n_head, T, T]: a row is a token that looks, a
 * column one that is looked at, and a row's weights add up to 1. Layers and heads count from 0, as
 * in Hugging Face's attentions. A map of blocks has five shades, because terminals have no more;
 * the legend says which weight is which. */
#include "prompt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NOT_GIVEN UINT64_MAX

static uint64_t layer = NOT_GIVEN, head = NOT_GIVEN;

static const struct option options[] = {
    {0, "layer", OPT_NUMBER, &layer, "L", "only layer L, counted from 0", NULL},
    {0, "head", OPT_NUMBER, &head, "H", "only head H, counted from 0", NULL},
    OPTIONS_END};

static const struct example examples[] = {
    {"wte attention -m gpt2 'the theory of theories'", "a map of the last layer's mean"},
    {"wte attention -m bert --layer 0 --head 1 'the theory'", "of one head"},
    {"wte attention -m gpt2 'the theory' -o attention.npy", "all layers and heads for numpy"},
    {"wte attention -m gpt2 --layer 0 'the theory' --plot heads.svg", "every head of a layer"},
    {"wte attention -m gpt2 --json --layer 0 --head 0 'the theory'", "an array [T, T]"},
    {NULL, NULL}};

const struct page page_attention = {
    .usage = {"[OPTION]... TEXT", "[OPTION]... --ids ID,...", "[OPTION]... -"},
    .about =
        "Prints the attention weights, after the softmax: each token's row says how much of its "
        "value every token gives to it, and adds up to 1. Layers and heads count from 0, so that "
        "--layer 0 reads the embeddings' sum (Hugging Face's attentions[0]). GPT-2's tokens look "
        "at themselves and back, BERT's at all.\n\n"
        "People see a map of blocks: of --layer (the last) and --head (the mean over all heads). "
        "--json, --tsv and -o give the numbers: [n_layer, n_head, T, T], without the first "
        "dimension where --layer is given, without the second where --head is.",
    .options = options,
    .writes = ".npy .json .tsv",
    .examples = examples,
    .json = "{\"ids\":[464,4583],\"shape\":[12,12,2,2],\"data\":[[[[1,0],[0.7,0.3]],...]]}"};

struct maps {
    const struct prompt *prompt;
    size_t n;                     /* tokens */
    size_t first_layer, n_layers; /* kept */
    size_t n_heads, first_head;   /* kept */
    float *data;                  /* [n_layers, n_heads, n, n] */
};

static float *map_of(const struct maps *m, size_t l, size_t h)
{
    return m->data + (l * m->n_heads + h) * m->n * m->n;
}

/* Rows of a piece: [n_head, rows, keys] with as many keys as there are tokens so far. */
static wte_status keep_rows(wte_session *session, size_t first, size_t n, void *data,
                            wte_error *err)
{
    struct maps *m = data;

    for (size_t l = 0; l < m->n_layers; l++) {
        wte_array a;
        char name[48];
        wte_status status;

        snprintf(name, sizeof name, "attentions.%zu", m->first_layer + l);
        status = wte_session_tapped(session, name, &a, err);
        if (status != WTE_OK)
            return status;
        for (size_t h = 0; h < m->n_heads; h++)
            for (size_t i = 0; i < n; i++)
                memcpy(map_of(m, l, h) + (first + i) * m->n,
                       a.data + ((m->first_head + h) * a.shape[1] + i) * a.shape[2],
                       (a.shape[2] < m->n ? a.shape[2] : m->n) * sizeof *a.data);
    }
    return WTE_OK;
}

/* Dimensions that an option chose are left out. */
static size_t shape_of(const struct maps *m, size_t shape[4])
{
    size_t n = 0;

    if (layer == NOT_GIVEN)
        shape[n++] = m->n_layers;
    if (head == NOT_GIVEN)
        shape[n++] = m->n_heads;
    shape[n++] = m->n;
    shape[n++] = m->n;
    return n;
}

static void write_json(struct out *o, const struct maps *m)
{
    size_t shape[4], n_dims = shape_of(m, shape);

    json_open(o, '{');
    json_ids(o, m->prompt);
    json_shape(o, shape, n_dims);
    json_key(o, "data");
    json_numbers(o, m->data, shape, n_dims);
    json_close(o, '}');
    json_line(o);
}

static void write_tsv(struct out *o, const struct maps *m)
{
    out_text(o, "layer\thead\tposition");
    for (size_t i = 0; i < m->n; i++)
        out_format(o, "\t%zu", i);
    out_text(o, "\n");
    for (size_t l = 0; l < m->n_layers; l++)
        for (size_t h = 0; h < m->n_heads; h++)
            for (size_t i = 0; i < m->n; i++) {
                out_format(o, "%zu\t%zu\t%zu", m->first_layer + l, m->first_head + h, i);
                for (size_t j = 0; j < m->n; j++) {
                    out_text(o, "\t");
                    out_float(o, map_of(m, l, h)[i * m->n + j]);
                }
                out_text(o, "\n");
            }
}

enum { LABEL = 14, MARGIN = LABEL + 8 };

static void draw_map(struct out *o, const struct maps *m, const float *map)
{
    static const char *const shades[] = {"  ", "░░", "▒▒", "▓▓", "██"};
    static const float from[] = {0.05f, 0.2f, 0.4f, 0.7f};
    const size_t fit = (terminal_width() - MARGIN) / 2;
    const size_t first = m->n > fit ? m->n - fit : 0;

    out_style(o, DIM);
    out_format(o, "%*s", LABEL + 7, "");
    for (size_t j = first; j < m->n; j++)
        out_format(o, "%2zu", j % 10);
    out_text(o, "\n");
    for (size_t i = first; i < m->n; i++) {
        struct out label = {0};

        out_label(&label, m->prompt, m->prompt->ids[i], LABEL);
        out_style(o, DIM);
        out_format(o, "%4zu  ", i);
        out_style(o, PLAIN);
        out_bytes(o, label.data, label.n);
        out_format(o, "%*s", (int)(LABEL + 1 - display_width(label.data, label.n)), "");
        for (size_t j = first; j < m->n; j++) {
            size_t shade = 0;

            while (shade < 4 && map[i * m->n + j] >= from[shade])
                shade++;
            out_text(o, shades[shade]);
        }
        while (o->data[o->n - 1] == ' ')
            o->n--;
        out_text(o, "\n");
        out_free(&label);
    }
    out_style(o, DIM);
    out_text(o, "weights: ░░ from 0.05, ▒▒ from 0.2, ▓▓ from 0.4, ██ from 0.7");
    out_text(o, first ? "; the last tokens, as many as fit (--tsv, --json and -o give all)\n"
                      : "; rows look at columns\n");
    out_style(o, PLAIN);
}

static void write_people(struct out *o, const struct maps *m)
{
    const size_t l = m->n_layers - 1, size = m->n * m->n;
    float *mean = need_memory(size, sizeof *mean);

    for (size_t i = 0; i < size; i++) {
        double sum = 0;

        for (size_t h = 0; h < m->n_heads; h++)
            sum += (double)map_of(m, l, h)[i];
        mean[i] = (float)(sum / (double)m->n_heads);
    }
    out_style(o, DIM);
    out_format(o, "attention in %s, layer %zu of 0 to %zu, ", m->prompt->model, m->first_layer + l,
               m->prompt->info->n_layer - 1);
    if (head == NOT_GIVEN)
        out_format(o, "mean of its %zu heads\n", m->n_heads);
    else
        out_format(o, "head %zu of 0 to %zu\n", m->first_head, m->prompt->info->n_head - 1);
    draw_map(o, m, mean);
    free(mean);
}

static void write_maps(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct maps *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[format](o, result);
}

/* A panel for each head that was asked for, all with the same colours. Rows look at columns. */
static int draw(const struct maps *m)
{
    enum { MOST = 32 };
    const size_t size = m->n * m->n, l = m->n_layers - 1;
    double *values = need_memory(size, sizeof *values), low = 0, high = 1;
    char **labels = token_labels(m->prompt, m->prompt->ids, m->n);
    const char *const *tokens = (const char *const *)labels;
    const size_t in_a_row = m->n_heads < 5 ? m->n_heads : 4;
    wte_error err = {0};
    wte_figure *figure;
    char title[160];

    snprintf(title, sizeof title, "%s, layer %zu", m->prompt->model, m->first_layer + l);
    if (m->n_heads > MOST)
        note("%zu heads: the first %d are drawn; --head chooses one", m->n_heads, MOST);
    figure_limits(&low, &high);
    figure = figure_begin(title);
    for (size_t h = 0; figure && err.status == WTE_OK && h < m->n_heads && h < MOST; h++) {
        wte_axes axes = figure_axes(title, NULL, NULL);

        snprintf(title, sizeof title, "head %zu", m->first_head + h);
        for (size_t i = 0; i < size; i++)
            values[i] = (double)map_of(m, l, h)[i];
        if (wte_figure_panel(figure, &axes, h && h % in_a_row == 0, &err) == WTE_OK)
            wte_figure_heatmap(figure, values, m->n, m->n, tokens, tokens, low, high, NULL,
                               "attention weight", &err);
    }
    figure_labels_free(labels, m->n);
    free(values);
    return figure_end(figure, &err);
}

/* Which maps to keep; people alone see no more than one layer. */
static int choose(const struct prompt *p, struct maps *m, size_t *n_numbers)
{
    const bool all = cli.json || cli.tsv || cli.output;
    const wte_network_info *info = p->info;

    if (info->n_layer == 0)
        return fail("%s has no layers", p->model);
    if (layer != NOT_GIVEN && layer >= info->n_layer)
        return fail("--layer %llu: %s has layers 0 to %zu", (unsigned long long)layer, p->model,
                    info->n_layer - 1);
    if (head != NOT_GIVEN && head >= info->n_head)
        return fail("--head %llu: %s has heads 0 to %zu", (unsigned long long)head, p->model,
                    info->n_head - 1);
    m->prompt = p;
    m->n = p->n;
    m->first_layer = layer != NOT_GIVEN ? (size_t)layer : all ? 0 : info->n_layer - 1;
    m->n_layers = layer == NOT_GIVEN && all ? info->n_layer : 1;
    m->first_head = head != NOT_GIVEN ? (size_t)head : 0;
    m->n_heads = head != NOT_GIVEN ? 1 : info->n_head;
    if (__builtin_mul_overflow(m->n * m->n, m->n_layers * m->n_heads, n_numbers))
        return fail("%zu maps of %zu x %zu are too many", m->n_layers * m->n_heads, m->n, m->n);
    return 0;
}

int cmd_attention(void)
{
    struct prompt p;
    struct maps m = {0};
    wte_session *session = NULL;
    wte_error err = {0};
    size_t n_numbers = 0, shape[4], n_dims;
    int status = open_prompt(&p, 0);

    if (status == 0)
        status = choose(&p, &m, &n_numbers);
    if (status == 0)
        status = open_session(p.network, p.n, 1, &session);
    for (size_t l = 0; status == 0 && l < m.n_layers; l++) {
        char name[48];

        snprintf(name, sizeof name, "attentions.%zu", m.first_layer + l);
        if (wte_session_tap(session, name, &err) != WTE_OK)
            status = fail_with(&err);
    }
    if (status)
        goto out;
    m.data = need_memory(n_numbers, sizeof *m.data);
    status = run_prompt(&p, session, WTE_LOGITS_NONE, keep_rows, &m);
    if (status)
        goto out;
    if (figure_wanted() && (status = draw(&m)) != 0)
        goto out;
    sink_open();
    sink_put(write_maps, &m);
    sink_numbers(m.data, n_numbers);
    n_dims = shape_of(&m, shape);
    status = sink_close(shape, n_dims);
out:
    free(m.data);
    close_session(session);
    close_prompt(&p);
    return status;
}
