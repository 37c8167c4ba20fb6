/* SPDX-License-Identifier: MIT */
/* cmd_analogy.c - A is to B as C is to what? Told honestly
 *
 * The customary answer leaves out A, B and C. Without that, one of them is very often nearest,
 * which says how far the answer is from being where it should be. People see both answers side by
 * side, and where each of the three words stands among all. */
#include "cli.h"

#include <stdlib.h>

static size_t k = 10, restrict_vocab;
static int method = -1, metric = -1;
static bool include_query;

static const char *const metric_names[] = {"cosine", "euclidean", "cityblock"};
static const wte_metric metrics[] = {WTE_COSINE, WTE_EUCLIDEAN, WTE_CITYBLOCK};
static const char *const method_names[] = {"add", "mul", "raw"};
enum { ADD, MUL, RAW };

static const struct option options[] = {
    {'k', NULL, OPT_COUNT, &k, "N", "how many results (10)", NULL},
    {0, "method", OPT_CHOICE, &method, "METHOD",
     "add: nearest to unit(B) - unit(A) + unit(C), 3CosAdd (the default); mul: 3CosMul; raw: "
     "nearest to B - A + C of the rows as they are stored (the default for distances, and with "
     "--include-query on the tokens of GPT-2 and BERT)",
     "add|mul|raw"},
    {0, "metric", OPT_CHOICE, &metric, "METRIC",
     "cosine (similarity, the default), euclidean or cityblock (distances)",
     "cosine|euclidean|cityblock"},
    {0, "include-query", OPT_FLAG, &include_query, NULL,
     "for programs: neighbors holds the answer that may be A, B or C", NULL},
    {0, "restrict-vocab", OPT_COUNT, &restrict_vocab, "N", "search only the first N rows", NULL},
    OPTIONS_END};

static const struct example examples[] = {
    {"wte analogy man king woman", "man is to king as woman is to ..."},
    {"wte analogy --method mul -k 3 man king woman", "by products instead of sums"},
    {"wte analogy --json -k 1 man king woman", "for a program"},
    {"printf 'man\\tking\\twoman\\n' | wte analogy --tsv -k 1 -", "a question a line"},
    {NULL, NULL}};

const struct page page_analogy = {
    .usage = {"[OPTION]... A B C", "[OPTION]... -"},
    .about = "A is to B as C is to what? Prints the nearest words twice: with A, B and C left out, "
             "which "
             "is the customary answer, and with all words, where one of the three is often "
             "nearest; then "
             "the ranks of A, B and C among all words.\n\n"
             "With - each line of standard input is a question of three words with TABs between.",
    .options = options,
    .writes = ".json .tsv",
    .examples = examples,
    .json = "{\"metric\":\"cosine\",\"method\":\"add\",\n"
            " \"neighbors\":[{\"id\":310,\"token\":\"queen\",\"score\":0.6}],\n"
            " \"with_query\":[{\"id\":187,\"token\":\"king\",\"score\":0.8}],\n"
            " \"query_ranks\":[5,1,3]}"};

struct question {
    const uint32_t *ids; /* [3] */
    const wte_neighbor *without, *with;
    size_t n_without, n_with;
    uint64_t ranks[3];
};

static void write_neighbors(struct out *o, const char *key, const wte_neighbor *found, size_t n)
{
    json_key(o, key);
    json_open(o, '[');
    for (size_t i = 0; i < n; i++) {
        size_t len = 0;
        const char *word = id_word(found[i].id, &len);

        json_open(o, '{');
        json_key(o, "id");
        json_count(o, found[i].id);
        json_word(o, "token", word, len);
        json_key(o, "score");
        json_float(o, found[i].score);
        json_close(o, '}');
    }
    json_close(o, ']');
}

static void write_json(struct out *o, const struct question *q)
{
    json_open(o, '{');
    json_key(o, "metric");
    json_text(o, method == MUL ? "cosmul" : metric_names[metric]);
    json_key(o, "method");
    json_text(o, method_names[method]);
    json_words(o, "query", q->ids, 3);
    if (include_query) {
        write_neighbors(o, "neighbors", q->with, q->n_with);
        write_neighbors(o, "without_query", q->without, q->n_without);
    } else {
        write_neighbors(o, "neighbors", q->without, q->n_without);
        write_neighbors(o, "with_query", q->with, q->n_with);
    }
    json_key(o, "query_ranks");
    json_open(o, '[');
    for (size_t i = 0; i < 3; i++)
        json_count(o, q->ranks[i]);
    json_close(o, ']');
    json_close(o, '}');
    json_line(o);
}

static void write_tsv(struct out *o, const struct question *q)
{
    const wte_neighbor *found = include_query ? q->with : q->without;
    size_t n = include_query ? q->n_with : q->n_without;

    if (sink_first(o))
        out_text(o, "a\tb\tc\trank\tid\ttoken\tscore\n");
    for (size_t i = 0; i < n; i++) {
        size_t len = 0;
        const char *word;

        for (size_t j = 0; j < 3; j++) {
            word = id_word(q->ids[j], &len);
            out_tsv(o, word, len);
            out_text(o, "\t");
        }
        out_format(o, "%zu\t%u\t", i + 1, found[i].id);
        word = id_word(found[i].id, &len);
        out_tsv(o, word, len);
        out_text(o, "\t");
        out_float(o, found[i].score);
        out_text(o, "\n");
    }
}

static void write_half(struct table *table, const wte_neighbor *found, size_t i, size_t n)
{
    size_t len = 0;
    const char *word;

    if (i >= n) {
        table_cell(table, "%s", "");
        table_cell(table, "%s", "");
        return;
    }
    word = id_word(found[i].id, &len);
    table_word(table, word, len);
    table_cell(table, method == MUL || metric == 0 ? "%.4f" : "%.6g", (double)found[i].score);
}

static void write_people(struct out *o, const struct question *q)
{
    static const char *const joints[] = {" is to ", " as ", " is to ..."};
    const char *score = method == MUL ? "3CosMul" : metric_names[metric];
    struct table table;
    size_t n = q->n_without > q->n_with ? q->n_without : q->n_with;

    if (!sink_first(o))
        out_text(o, "\n");
    for (size_t i = 0; i < 3; i++) {
        size_t len = 0;
        const char *word = id_word(q->ids[i], &len);

        out_style(o, BOLD);
        out_word(o, word, len);
        out_style(o, PLAIN);
        out_text(o, joints[i]);
    }
    out_text(o, "\n");
    table_begin(&table, "rlrllr", true);
    table_cell(&table, "%s", "");
    table_cell(&table, "the three left out");
    table_cell(&table, "%s", score);
    table_cell(&table, "%s", "|");
    table_cell(&table, "all words");
    table_cell(&table, "%s", score);
    for (size_t i = 0; i < n; i++) {
        table_cell(&table, "%zu", i + 1);
        write_half(&table, q->without, i, q->n_without);
        table_cell(&table, "%s", "|");
        write_half(&table, q->with, i, q->n_with);
    }
    table_end(&table, o);
    out_style(o, DIM);
    out_text(o, "ranks among all words:");
    for (size_t i = 0; i < 3; i++) {
        size_t len = 0;
        const char *word = id_word(q->ids[i], &len);

        out_text(o, i ? ", " : " ");
        out_word(o, word, len);
        if (q->ranks[i])
            out_format(o, " %llu", (unsigned long long)q->ranks[i]);
        else
            out_text(o, " not found");
    }
    out_style(o, PLAIN);
    out_text(o, "\n");
}

static void write_question(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct question *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[format](o, result);
}

static void answer(const uint32_t *ids, size_t n, uint64_t line)
{
    static const wte_analogy_method methods[] = {WTE_ANALOGY_ADD, WTE_ANALOGY_MUL, WTE_ANALOGY_RAW};
    wte_search_options search = WTE_SEARCH_DEFAULTS;
    wte_neighbor *found;
    struct question q = {.ids = ids};
    uint32_t rows[3];
    wte_error err = {0};

    for (size_t i = 0; i < n; i++)
        if (id_row(ids[i], &rows[i], &err) != WTE_OK) {
            fail_query(line, err.message);
            return;
        }
    search.k = k < cli.info->n_rows ? k : cli.info->n_rows;
    search.metric = metrics[metric];
    search.n_rows = restrict_vocab < cli.info->n_rows ? (uint32_t)restrict_vocab : 0;
    search.n_threads = (unsigned)cli.threads;
    search.progress = show_progress;
    found = need_memory(2 * search.k, sizeof *found);
    q.without = found;
    q.with = found + search.k;
    if (wte_analogy(cli.space, rows[0], rows[1], rows[2], methods[method], &search, found,
                    &q.n_without, found + search.k, &q.n_with, q.ranks, &err) == WTE_OK)
        sink_put(write_question, &q);
    else
        fail_query(line, err.message);
    free(found);
}

int cmd_analogy(void)
{
    bool tokens = wte_model_get_info(cli.model)->family != WTE_FAMILY_VECTORS;

    if (method == MUL && metric > 0)
        return usage("--method mul has a measure of its own and takes no --metric %s",
                     metric_names[metric]);
    if (method < 0)
        method = metric > 0 || (tokens && include_query) ? RAW : ADD;
    if (metric < 0)
        metric = 0;
    return answer_queries(3, 3, answer);
}
