/* SPDX-License-Identifier: MIT */
/* cmd_similarity.c - the cosine of two words, and what it is worth in this space */
#include "cli.h"

#include <math.h>

static const struct example examples[] = {
    {"wte similarity king queen", "the cosine, and how many random pairs lie below it"},
    {"wte similarity --json king queen", "the same for a program"},
    {"printf 'king\\tqueen\\nbread\\twater\\n' | wte similarity -", "a pair a line"},
    {"wte similarity --transform center,abtt:3 king queen", "after all-but-the-top"},
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

struct pair {
    const char *words[2];
    size_t lens[2];
    float similarity, percentile;
    const wte_baseline *baseline;
    bool placed; /* percentile and baseline are there */
};

static void write_people(struct out *o, const struct pair *pair)
{
    out_style(o, BOLD);
    out_word(o, pair->words[0], pair->lens[0]);
    out_text(o, "  ");
    out_word(o, pair->words[1], pair->lens[1]);
    out_style(o, PLAIN);
    out_format(o, "  %.7f", (double)pair->similarity);
    if (pair->placed) {
        out_style(o, DIM);
        if (pair->percentile >= 100)
            out_format(o, "   higher than all of %zu random pairs", pair->baseline->n_pairs);
        else
            out_format(o, "   higher than %.2f %% of random pairs", (double)pair->percentile);
        out_format(o, " (%.2f ± %.2f)", (double)pair->baseline->mean, (double)pair->baseline->sd);
        out_style(o, PLAIN);
    }
    out_text(o, "\n");
}

static void write_json(struct out *o, const struct pair *pair)
{
    json_open(o, '{');
    json_word(o, "a", pair->words[0], pair->lens[0]);
    json_word(o, "b", pair->words[1], pair->lens[1]);
    json_key(o, "similarity");
    json_float(o, pair->similarity);
    if (pair->placed) {
        json_key(o, "percentile");
        json_float(o, pair->percentile);
        json_key(o, "baseline");
        json_open(o, '{');
        json_key(o, "mean");
        json_float(o, pair->baseline->mean);
        json_key(o, "sd");
        json_float(o, pair->baseline->sd);
        json_key(o, "pairs");
        json_count(o, pair->baseline->n_pairs);
        json_close(o, '}');
    }
    json_close(o, '}');
    json_line(o);
}

static void write_tsv(struct out *o, const struct pair *pair)
{
    if (sink_first(o))
        out_text(o, "a\tb\tsimilarity\tpercentile\n");
    out_tsv(o, pair->words[0], pair->lens[0]);
    out_text(o, "\t");
    out_tsv(o, pair->words[1], pair->lens[1]);
    out_text(o, "\t");
    out_float(o, pair->similarity);
    out_text(o, "\t");
    if (pair->placed)
        out_float(o, pair->percentile);
    out_text(o, "\n");
}

static void write_pair(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct pair *) = {
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
        status = wte_similarity(rows.space, rows.ids[0], rows.ids[1], &pair.similarity, &err);
        rows_free(&rows);
    }
    if (status != WTE_OK) {
        fail_query(line, err.message);
        return;
    }
    /* a row without direction has no place among random pairs */
    pair.baseline = baseline();
    pair.placed =
        pair.baseline && !isnan(pair.similarity) &&
        wte_space_percentile(cli.space, pair.similarity, &pair.percentile, NULL) == WTE_OK;
    sink_numbers(&pair.similarity, 1);
    sink_put(write_pair, &pair);
}

int cmd_similarity(void)
{
    return answer_queries(2, 2, answer);
}
