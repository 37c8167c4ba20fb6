/* SPDX-License-Identifier: MIT */
/* cmd_distance.c - how far apart two words are */
#include "cli.h"

static int metric; /* index into names */

static const char *const names[] = {"euclidean", "cosine", "cityblock"};
static const wte_metric metrics[] = {WTE_EUCLIDEAN, WTE_COSINE, WTE_CITYBLOCK};

static const struct option options[] = {
    {0, "metric", OPT_CHOICE, &metric, "METRIC",
     "euclidean |x - y| (the default), cosine 1 - cos(x, y), or cityblock, the sum of |x_i - y_i|",
     "euclidean|cosine|cityblock"},
    OPTIONS_END};

static const struct example examples[] = {
    {"wte distance king queen", "the Euclidean distance of the rows as they are stored"},
    {"wte distance --metric cosine king queen", "1 minus the cosine"},
    {"printf 'king\\tqueen\\nbread\\twater\\n' | wte distance --tsv -", "a pair a line, as TSV"},
    {NULL, NULL}};

const struct page page_distance = {
    .usage = {"[OPTION]... A B", "[OPTION]... -"},
    .about =
        "Prints the distance of two words' rows, in the space's own unit. The rows are taken as "
        "they are stored; --transform unit scales them to length 1 first.\n\n"
        "With - each line of standard input is a pair with a TAB between.",
    .options = options,
    .writes = ".npy .json .tsv",
    .examples = examples,
    .json = "{\"a\":\"king\",\"b\":\"queen\",\"metric\":\"euclidean\",\"distance\":2.5}"};

static void write_pair(struct out *o, enum format format, const void *result)
{
    const struct pair *pair = result;

    if (format == JSON) {
        json_open(o, '{');
        json_pair(o, pair);
        json_key(o, "metric");
        json_text(o, names[metric]);
        json_key(o, "distance");
        json_float(o, pair->value);
        json_close(o, '}');
        json_line(o);
        return;
    }
    if (format == TSV) {
        if (sink_first(o))
            out_format(o, "a\tb\t%s\n", names[metric]);
        tsv_pair(o, pair);
        out_float(o, pair->value);
        out_text(o, "\n");
        return;
    }
    show_pair(o, pair);
    out_format(o, "  %.7g  ", (double)pair->value);
    out_style(o, DIM);
    out_format(o, " %s distance", names[metric]);
    out_style(o, PLAIN);
    out_text(o, "\n");
}

static wte_status distance(const wte_space *space, uint32_t a, uint32_t b, float *out,
                           wte_error *err)
{
    return wte_distance(space, a, b, metrics[metric], out, err);
}

static void answer(const uint32_t *ids, size_t n, uint64_t line)
{
    struct pair pair = {0};
    (void)n;

    if (!measure_pair(ids, line, distance, &pair))
        return;
    sink_numbers(&pair.value, 1);
    sink_put(write_pair, &pair);
}

int cmd_distance(void)
{
    return answer_queries(2, 2, answer);
}
