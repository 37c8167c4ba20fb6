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

struct pair {
    const char *words[2];
    size_t lens[2];
    float distance;
};

static void write_pair(struct out *o, enum format format, const void *result)
{
    const struct pair *pair = result;

    if (format == JSON) {
        json_open(o, '{');
        json_word(o, "a", pair->words[0], pair->lens[0]);
        json_word(o, "b", pair->words[1], pair->lens[1]);
        json_key(o, "metric");
        json_text(o, names[metric]);
        json_key(o, "distance");
        json_float(o, pair->distance);
        json_close(o, '}');
        json_line(o);
        return;
    }
    if (format == TSV) {
        if (sink_first(o))
            out_format(o, "a\tb\t%s\n", names[metric]);
        out_tsv(o, pair->words[0], pair->lens[0]);
        out_text(o, "\t");
        out_tsv(o, pair->words[1], pair->lens[1]);
        out_text(o, "\t");
        out_float(o, pair->distance);
        out_text(o, "\n");
        return;
    }
    out_style(o, BOLD);
    out_word(o, pair->words[0], pair->lens[0]);
    out_text(o, "  ");
    out_word(o, pair->words[1], pair->lens[1]);
    out_style(o, PLAIN);
    out_format(o, "  %.7g  ", (double)pair->distance);
    out_style(o, DIM);
    out_format(o, " %s distance", names[metric]);
    out_style(o, PLAIN);
    out_text(o, "\n");
}

static void answer(const uint32_t *ids, size_t n, uint64_t line)
{
    struct pair pair = {0};
    struct rows rows;
    wte_error err = {0};
    wte_status status;

    for (size_t i = 0; i < n; i++)
        pair.words[i] = id_word(ids[i], &pair.lens[i]);
    status = rows_of(ids, n, &rows, &err);
    if (status == WTE_OK) {
        status = wte_distance(rows.space, rows.ids[0], rows.ids[1], metrics[metric], &pair.distance,
                              &err);
        rows_free(&rows);
    }
    if (status != WTE_OK) {
        fail_query(line, err.message);
        return;
    }
    sink_numbers(&pair.distance, 1);
    sink_put(write_pair, &pair);
}

int cmd_distance(void)
{
    return answer_queries(2, 2, answer);
}
