/* SPDX-License-Identifier: MIT */
/* cmd_similarity.c - the cosine of two words, and what it is worth in this space */
#include "figure.h"

#include <math.h>
#include <stdlib.h>

static const struct example examples[] = {
    {"wte similarity king queen", "the cosine, and how many random pairs lie below it"},
    {"wte similarity --json king queen", "the same for a program"},
    {"printf 'king\\tqueen\\nbread\\twater\\n' | wte similarity -", "a pair a line"},
    {"wte similarity --transform center,abtt:3 king queen", "after all-but-the-top"},
    {"printf 'king\\tqueen\\nbread\\twater\\n' | wte similarity - --plot pairs.svg",
     "bars, beside what random pairs have"},
    {NULL, NULL}};

const struct page page_similarity = {
    .usage = {"[OPTION]... A B", "[OPTION]... -"},
    .about =
        "Prints the cosine similarity of two words, -1 to 1, and its place among random pairs of "
        "the "
        "same space (4096 pairs, always the same ones): the share of them that is lower, and their "
        "mean and standard deviation. In many spaces random pairs are far from 0, and a cosine "
        "says "
        "nothing without them.\n\n"
        "With - each line of standard input is a pair with a TAB between. A line that cannot be "
        "answered is reported on standard error, the others are answered, and the exit status is "
        "1.",
    .writes = ".npy .json .tsv",
    .examples = examples,
    .json = "{\"a\":\"king\",\"b\":\"queen\",\"similarity\":0.61,\"percentile\":99.9,"
            "\"baseline\":{\"mean\":0.05,\"sd\":0.1,\"pairs\":4096}}"};

struct cosine {
    struct pair pair;
    float percentile;
    const wte_baseline *baseline;
    bool placed; /* percentile and baseline are there */
};

static void write_people(struct out *o, const struct cosine *c)
{
    show_pair(o, &c->pair);
    out_format(o, "  %.7f", (double)c->pair.value);
    if (c->placed) {
        out_style(o, DIM);
        if (c->percentile >= 100)
            out_format(o, "   higher than all of %zu random pairs", c->baseline->n_pairs);
        else
            out_format(o, "   higher than %.2f %% of random pairs", (double)c->percentile);
        out_format(o, " (%.2f ± %.2f)", (double)c->baseline->mean, (double)c->baseline->sd);
        out_style(o, PLAIN);
    }
    out_text(o, "\n");
}

static void write_json(struct out *o, const struct cosine *c)
{
    json_open(o, '{');
    json_pair(o, &c->pair);
    json_key(o, "similarity");
    json_float(o, c->pair.value);
    if (c->placed) {
        json_key(o, "percentile");
        json_float(o, c->percentile);
        json_key(o, "baseline");
        json_open(o, '{');
        json_key(o, "mean");
        json_float(o, c->baseline->mean);
        json_key(o, "sd");
        json_float(o, c->baseline->sd);
        json_key(o, "pairs");
        json_count(o, c->baseline->n_pairs);
        json_close(o, '}');
    }
    json_close(o, '}');
    json_line(o);
}

static void write_tsv(struct out *o, const struct cosine *c)
{
    if (sink_first(o))
        out_text(o, "a\tb\tsimilarity\tpercentile\n");
    tsv_pair(o, &c->pair);
    out_float(o, c->pair.value);
    out_text(o, "\t");
    if (c->placed)
        out_float(o, c->percentile);
    out_text(o, "\n");
}

static void write_pair(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct cosine *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[format](o, result);
}

/* The same for every query: asked for once. NULL where the space has no random pairs. */
static const wte_baseline *baseline(void)
{
    static wte_baseline known;
    static bool asked, there;

    if (!asked)
        there = wte_space_baseline(cli.space, &known, NULL) == WTE_OK;
    asked = true;
    return there ? &known : NULL;
}

/* ---- the figure: a bar a pair, and one of random pairs with their standard deviation --------- */

static struct {
    char **labels;
    double *values;
    size_t n, labels_capacity, values_capacity;
} drawn;

static void keep_bar(const struct cosine *c)
{
    struct out label = {0};

    out_word(&label, c->pair.words[0], c->pair.lens[0]);
    out_text(&label, " \u2013 ");
    out_word(&label, c->pair.words[1], c->pair.lens[1]);
    drawn.labels =
        need_more(drawn.labels, &drawn.labels_capacity, drawn.n + 2, sizeof *drawn.labels);
    drawn.values =
        need_more(drawn.values, &drawn.values_capacity, drawn.n + 2, sizeof *drawn.values);
    drawn.labels[drawn.n] = label.data;
    drawn.values[drawn.n++] = (double)c->pair.value;
}

static int draw(void)
{
    wte_axes axes = figure_axes(NULL, "cosine similarity", NULL);
    const wte_baseline *random = baseline();
    double *low, *high;
    wte_figure *figure;
    wte_error err = {0};
    size_t n = drawn.n;
    int status;

    if (n == 0)
        return fail("there is nothing to draw");
    low = need_memory(n + 1, 2 * sizeof *low);
    high = low + n + 1;
    for (size_t i = 0; i < n; i++)
        low[i] = high[i] = NAN;
    if (random) {
        drawn.labels[n] = figure_word("random pairs", 12);
        drawn.values[n] = (double)random->mean;
        low[n] = (double)random->mean - (double)random->sd;
        high[n++] = (double)random->mean + (double)random->sd;
    }
    figure = figure_begin(cli.info->name);
    figure_limits(&axes.x_min, &axes.x_max);
    if (figure && wte_figure_panel(figure, &axes, 0, &err) == WTE_OK)
        wte_figure_bars(figure, drawn.values, (const char *const *)drawn.labels, n, NULL, NULL, low,
                        high, 1, &err);
    status = figure_end(figure, &err);
    figure_labels_free(drawn.labels, n);
    free(drawn.values);
    free(low);
    return status;
}

static void answer(const uint32_t *ids, size_t n, uint64_t line)
{
    struct cosine c = {0};
    (void)n;

    if (!measure_pair(ids, line, wte_similarity, &c.pair))
        return;
    /* a row without direction has no place among random pairs */
    c.baseline = baseline();
    c.placed = c.baseline && !isnan(c.pair.value) &&
               wte_space_percentile(cli.space, c.pair.value, &c.percentile, NULL) == WTE_OK;
    sink_numbers(&c.pair.value, 1);
    if (figure_wanted())
        keep_bar(&c);
    sink_put(write_pair, &c);
}

int cmd_similarity(void)
{
    int status = answer_queries(2, 2, answer);

    return status == 0 && figure_wanted() ? draw() : status;
}
