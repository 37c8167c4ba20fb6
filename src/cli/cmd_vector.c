/* SPDX-License-Identifier: MIT */
/* cmd_vector.c - the numbers of words */
#include "figure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct example examples[] = {
    {"wte vector king", "length, first numbers and a sketch of them all"},
    {"wte vector --json king queen", "an object for each word, every digit"},
    {"wte vector king queen -o royals.npy", "an array [2, width] for numpy"},
    {"wte vector --words words.txt -o few.bin", "some words as a word2vec file"},
    {"wte vector king queen --plot royals.svg", "the two vectors as lines"},
    {NULL, NULL}};

const struct page page_vector = {
    .usage = {"[OPTION]... WORD...", "[OPTION]... -"},
    .about =
        "Prints the rows of words. For people: the row's length, its smallest and largest number, "
        "and a sketch. --json and --tsv give all numbers with the digits that restore the "
        "float32; numbers that are not finite are null in JSON.\n\n"
        "With - the words are read from standard input, one a line.",
    .writes = ".npy .json .tsv .safetensors .bin .txt",
    .examples = examples,
    .json = "{\"token\":\"king\",\"id\":187,\"shape\":[96],\"data\":[0.1,...]}"};

struct row {
    const char *word;
    size_t len, dim;
    uint32_t id;
    const float *data;
};

static void write_json(struct out *o, const struct row *row)
{
    json_open(o, '{');
    json_word(o, "token", row->word, row->len);
    json_key(o, "id");
    json_id(o, row->id);
    json_key(o, "shape");
    json_open(o, '[');
    json_count(o, row->dim);
    json_close(o, ']');
    json_key(o, "data");
    json_floats(o, row->data, row->dim);
    json_close(o, '}');
    json_line(o);
}

static void write_tsv(struct out *o, const struct row *row)
{
    if (sink_first(o)) {
        out_text(o, "token");
        for (size_t i = 0; i < row->dim; i++)
            out_format(o, "\t%zu", i);
        out_text(o, "\n");
    }
    out_tsv(o, row->word, row->len);
    for (size_t i = 0; i < row->dim; i++) {
        out_text(o, "\t");
        out_float(o, row->data[i]);
    }
    out_text(o, "\n");
}

/* One bar a number, at most 64: several numbers share a bar by their mean. */
static void write_sketch(struct out *o, const struct row *row, float low, float high)
{
    static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    size_t n = row->dim < 64 ? row->dim : 64;

    for (size_t i = 0; i < n; i++) {
        size_t first = i * row->dim / n, end = (i + 1) * row->dim / n;
        double sum = 0, at;

        for (size_t j = first; j < end; j++)
            sum += (double)row->data[j];
        at = (sum / (double)(end - first) - (double)low) / ((double)high - (double)low);
        out_text(o, bars[at > 0 && at < 1 ? (int)(at * 8) : at >= 1 ? 7 : 0]);
    }
    out_text(o, "\n");
}

static double length(const struct row *row)
{
    double sum = 0;

    for (size_t i = 0; i < row->dim; i++)
        sum += (double)row->data[i] * (double)row->data[i];
    return sqrt(sum);
}

static void write_people(struct out *o, const struct row *row)
{
    size_t low = 0, high = 0, n = row->dim < 8 ? row->dim : 8;

    for (size_t i = 1; i < row->dim; i++) {
        low = row->data[i] < row->data[low] ? i : low;
        high = row->data[i] > row->data[high] ? i : high;
    }
    if (!sink_first(o))
        out_text(o, "\n");
    out_style(o, BOLD);
    out_word(o, row->word, row->len);
    out_style(o, DIM);
    if (is_pooled(row->id))
        out_text(o, "  of several tokens");
    else
        out_format(o, "  id %u", row->id);
    out_format(o, ", %zu numbers, length %.6g, from %.4f (at %zu) to %.4f (at %zu)", row->dim,
               length(row), (double)row->data[low], low, (double)row->data[high], high);
    out_style(o, PLAIN);
    out_text(o, "\n ");
    for (size_t i = 0; i < n; i++)
        out_format(o, " %.4f", (double)row->data[i]);
    out_text(o, n < row->dim ? " ...\n" : "\n");
    if (isfinite(row->data[low]) && isfinite(row->data[high]) && row->data[high] > row->data[low]) {
        out_text(o, "  ");
        write_sketch(o, row, row->data[low], row->data[high]);
    }
}

static void write_row(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct row *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[format](o, result);
}

/* Each vector is a line. */
static int draw(const uint32_t *ids, const float *rows, size_t n)
{
    enum { MOST = 12 };
    const size_t dim = cli.info->dim;
    double *values = need_memory(dim, sizeof *values);
    char **labels = figure_labels(ids, n);
    wte_axes axes = figure_axes(NULL, "dimension", "value");
    wte_figure *figure = NULL;
    wte_error err = {0};
    int status = EXIT_FAILED;

    if (n > MOST) {
        status = fail("%zu lines in one figure cannot be told apart: at most %d words", n, MOST);
        goto out;
    }
    figure = figure_begin(cli.info->name);
    figure_limits(&axes.y_min, &axes.y_max);
    if (figure)
        wte_figure_panel(figure, &axes, 0, &err);
    for (size_t i = 0; figure && err.status == WTE_OK && i < n; i++) {
        for (size_t j = 0; j < dim; j++)
            values[j] = (double)rows[i * dim + j];
        wte_figure_line(figure, NULL, values, dim, labels[i], &err);
    }
    status = figure_end(figure, &err);
out:
    figure_labels_free(labels, n);
    free(values);
    return status;
}

static int write_rows(const uint32_t *ids, size_t n)
{
    size_t dim = cli.info->dim, shape[2] = {n, dim};
    float *rows = need_memory(n * dim, sizeof *rows);
    wte_space_format format = WTE_LAYOUT;
    wte_error err = {0};
    int status = 0;

    for (size_t i = 0; status == 0 && i < n; i++)
        if (id_vector(ids[i], rows + i * dim, &err) != WTE_OK)
            status = fail_with(&err);
    if (status == 0 && figure_wanted())
        status = draw(ids, rows, n);
    if (status)
        goto out;
    sink_open();
    if (sink_wants_vectors(&format))
        status = save_vectors(ids, rows, n, dim, format);
    for (size_t i = 0; status == 0 && i < n; i++) {
        struct row row = {.dim = dim, .id = ids[i], .data = rows + i * dim};

        row.word = id_word(ids[i], &row.len);
        sink_put(write_row, &row);
    }
    sink_numbers(rows, n * dim);
    if (status == 0)
        status = sink_close(shape, 2);
out:
    free(rows);
    return status;
}

int cmd_vector(void)
{
    uint32_t *ids = NULL;
    size_t n;
    int status;

    if (cli.words.n == 0 && !cli.words_file)
        return usage("a word is missing, as in 'wte vector king'");
    status = find_words(&ids, &n);
    if (status == 0 && n == 0)
        status = fail("no words given");
    if (status == 0)
        status = write_rows(ids, n);
    free(ids);
    return status;
}
