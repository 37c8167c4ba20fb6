/* SPDX-License-Identifier: MIT */
/* cmd_embedding.c - a seeded nn.Embedding, equal to torch's */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

static size_t n_vocab, dim;
static uint64_t seed;
static const char *ids_text, *padding_text;

static const struct option options[] = {
    {0, "vocab", OPT_COUNT, &n_vocab, "V", "how many rows the layer has", NULL},
    {0, "dim", OPT_COUNT, &dim, "D", "their width", NULL},
    {0, "seed", OPT_NUMBER, &seed, "S", "seed of the generator (0)", NULL},
    {0, "ids", OPT_TEXT, &ids_text, "ID[,ID...]", "look up these rows instead of printing all",
     NULL},
    {0, "padding-idx", OPT_TEXT, &padding_text, "P", "this row is zeros", NULL},
    OPTIONS_END};

static const struct example examples[] = {
    {"wte embedding --vocab 10 --dim 3 --seed 42", "all rows"},
    {"wte embedding --vocab 10 --dim 3 --seed 42 --ids 2,3,5,1 --json", "four rows looked up"},
    {"wte embedding --vocab 1000 --dim 64 --seed 7 -o layer.npy", "an array for numpy"},
    {NULL, NULL}};

const struct page page_embedding = {
    .usage = {"--vocab V --dim D [--seed S] [--ids ID,...] [OPTION]..."},
    .about =
        "Prints the weights of torch.nn.Embedding(V, D) after torch.manual_seed(S), equal to the "
        "last bit to torch on a CPU, or the rows that a lookup of --ids gives.",
    .options = options,
    .writes = ".npy .json .tsv",
    .examples = examples,
    .json = "{\"shape\":[4,3],\"data\":[[0.1,-1.2,0.7],...]}"};

struct layer {
    const float *data; /* [n, dim] */
    size_t n;
};

enum { EDGE = 3, WHOLE = 1000 }; /* more numbers than WHOLE: only EDGE at each end, as torch does */

static void write_json(struct out *o, const struct layer *layer)
{
    json_open(o, '{');
    json_key(o, "shape");
    json_open(o, '[');
    json_count(o, layer->n);
    json_count(o, dim);
    json_close(o, ']');
    json_key(o, "data");
    json_open(o, '[');
    for (size_t i = 0; i < layer->n; i++)
        json_floats(o, layer->data + i * dim, dim);
    json_close(o, ']');
    json_close(o, '}');
    json_line(o);
}

static void write_tsv(struct out *o, const struct layer *layer)
{
    for (size_t j = 0; j < dim; j++)
        out_format(o, j ? "\t%zu" : "%zu", j);
    out_text(o, "\n");
    for (size_t i = 0; i < layer->n; i++) {
        for (size_t j = 0; j < dim; j++) {
            out_text(o, j ? "\t" : "");
            out_float(o, layer->data[i * dim + j]);
        }
        out_text(o, "\n");
    }
}

static void write_people_row(struct out *o, const float *row, bool cut)
{
    for (size_t j = 0; j < dim; j++) {
        if (cut && dim > 2 * EDGE && j == EDGE) {
            out_text(o, ", ...");
            j = dim - EDGE;
        }
        out_format(o, j ? ", %7.4f" : "%7.4f", (double)row[j]);
    }
}

static void write_people(struct out *o, const struct layer *layer)
{
    bool cut = layer->n * dim > WHOLE;

    for (size_t i = 0; i < layer->n; i++) {
        if (cut && layer->n > 2 * EDGE && i == EDGE) {
            out_text(o, " ...,\n");
            i = layer->n - EDGE;
        }
        out_text(o, i ? " [" : "[[");
        write_people_row(o, layer->data + i * dim, cut);
        out_text(o, i + 1 < layer->n ? "],\n" : "]]");
    }
    out_style(o, DIM);
    out_format(o, "  [%zu, %zu]\n", layer->n, dim);
    out_style(o, PLAIN);
}

static void write_layer(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct layer *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[format](o, result);
}

/* Read "2,3,5,1". */
static int read_ids(size_t **ids, size_t *n)
{
    size_t capacity = 0;
    char *text = strdup(ids_text), *next = text, *item;
    int status = 0;

    while (status == 0 && text && (item = strsep(&next, ",")) != NULL) {
        uint64_t id = 0;

        if (!parse_number(item, UINT64_MAX, &id))
            status = usage("--ids %s: expected row numbers with commas between", ids_text);
        else if (id >= n_vocab)
            status = fail("--ids: row %s, the layer has %zu", item, n_vocab);
        *ids = need_more(*ids, &capacity, *n + 1, sizeof **ids);
        (*ids)[(*n)++] = (size_t)id;
    }
    free(text);
    return status;
}

static int print_layer(const float *weights, const size_t *ids, size_t n)
{
    struct layer layer = {weights, n_vocab};
    float *rows = NULL;
    int status;

    if (ids) {
        rows = need_memory(n * dim, sizeof *rows);
        for (size_t i = 0; i < n; i++)
            memcpy(rows + i * dim, weights + ids[i] * dim, dim * sizeof *rows);
        layer = (struct layer){rows, n};
    }
    sink_open();
    sink_put(write_layer, &layer);
    sink_numbers(layer.data, layer.n * dim);
    status = sink_close((size_t[]){layer.n, dim}, 2);
    free(rows);
    return status;
}

int cmd_embedding(void)
{
    size_t *ids = NULL, n = 0, n_weights;
    uint64_t padding = 0;
    float *weights = NULL;
    wte_error err = {0};
    int status = 0;

    if (cli.words.n)
        return usage("'%s' is not expected", cli.words.items[0]);
    if (!n_vocab || !dim)
        return usage("%s is missing", n_vocab ? "--dim D" : "--vocab V");
    if (padding_text && !parse_number(padding_text, INT64_MAX, &padding))
        return usage("--padding-idx %s: expected a row number", padding_text);
    if (ids_text)
        status = read_ids(&ids, &n);
    if (status)
        goto out;
    if (__builtin_mul_overflow(n_vocab, dim, &n_weights)) {
        status = fail("%zu x %zu numbers are too many", n_vocab, dim);
        goto out;
    }
    weights = need_memory(n_weights, sizeof *weights);
    if (wte_embedding_init(seed, n_vocab, dim, padding_text ? (int64_t)padding : -1, weights,
                           &err) != WTE_OK)
        status = fail_with(&err);
    else
        status = print_layer(weights, ids, n);
out:
    free(weights);
    free(ids);
    return status;
}
