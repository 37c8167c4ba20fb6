/* SPDX-License-Identifier: MIT */
/* cmd_odd.c - the word that goes least with the others */
#include "cli.h"

#include <stdlib.h>

static const struct example examples[] = {
    {"wte odd breakfast dinner supper horse", "which of these does not belong?"},
    {"printf 'red\\tblue\\tgreen\\thorse\\n' | wte odd --json -", "a set a line"},
    {NULL, NULL}};

const struct page page_odd = {
    .usage = {"[OPTION]... WORD WORD WORD...", "[OPTION]... -"},
    .about =
        "Scales the words' rows to length 1, takes their mean, and prints each word's cosine with "
        "it: the lowest is the odd one.\n\n"
        "With - each line of standard input is a set of words with TABs between.",
    .writes = ".json .tsv",
    .examples = examples,
    .json = "{\"odd\":\"horse\",\"scores\":[{\"id\":7,\"token\":\"breakfast\",\"score\":0.9}]}"};

struct set {
    const uint32_t *ids;
    const float *scores; /* [n] */
    size_t n, odd;
};

static void write_json(struct out *o, const struct set *set)
{
    size_t len = 0;
    const char *word = id_word(set->ids[set->odd], &len);

    json_open(o, '{');
    json_word(o, "odd", word, len);
    json_key(o, "scores");
    json_open(o, '[');
    for (size_t i = 0; i < set->n; i++) {
        word = id_word(set->ids[i], &len);
        json_open(o, '{');
        json_key(o, "id");
        json_id(o, set->ids[i]);
        json_word(o, "token", word, len);
        json_key(o, "score");
        json_float(o, set->scores[i]);
        json_close(o, '}');
    }
    json_close(o, ']');
    json_close(o, '}');
    json_line(o);
}

static void write_tsv(struct out *o, const struct set *set)
{
    if (sink_first(o))
        out_text(o, "odd\ttoken\tscore\n");
    for (size_t i = 0; i < set->n; i++) {
        size_t len = 0;
        const char *word = id_word(set->ids[i], &len);

        out_text(o, i == set->odd ? "1\t" : "0\t");
        out_tsv(o, word, len);
        out_text(o, "\t");
        out_float(o, set->scores[i]);
        out_text(o, "\n");
    }
}

static void write_people(struct out *o, const struct set *set)
{
    struct table table;
    size_t len = 0;
    const char *word = id_word(set->ids[set->odd], &len);

    if (!sink_first(o))
        out_text(o, "\n");
    out_style(o, BOLD);
    out_word(o, word, len);
    out_style(o, PLAIN);
    out_text(o, " is the odd one\n");
    table_begin(&table, "llrl", true);
    table_cell(&table, "%s", "");
    table_cell(&table, "word");
    table_cell(&table, "cosine with the mean");
    table_cell(&table, "%s", "");
    for (size_t i = 0; i < set->n; i++) {
        word = id_word(set->ids[i], &len);
        table_cell(&table, "%s", "");
        table_word(&table, word, len);
        table_cell(&table, "%.4f", (double)set->scores[i]);
        table_cell(&table, "%s", i == set->odd ? "<" : "");
    }
    table_end(&table, o);
}

static void write_set(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct set *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[format](o, result);
}

static void answer(const uint32_t *ids, size_t n, uint64_t line)
{
    float *scores = need_memory(n, sizeof *scores);
    struct set set = {ids, scores, n, 0};
    struct rows rows;
    wte_error err = {0};
    wte_status status = rows_of(ids, n, &rows, &err);

    if (status == WTE_OK) {
        status = wte_odd_one_out(rows.space, rows.ids, n, scores, &set.odd, &err);
        rows_free(&rows);
    }
    if (status == WTE_OK)
        sink_put(write_set, &set);
    else
        fail_query(line, err.message);
    free(scores);
}

int cmd_odd(void)
{
    return answer_queries(2, SIZE_MAX, answer);
}
