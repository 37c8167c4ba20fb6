/* SPDX-License-Identifier: MIT */
/* cmd_eval.c - evaluation sets: analogy questions and judged pairs */
#include "cli.h"

#include <math.h>
#include <string.h>

static wte_eval_options set = WTE_EVAL_DEFAULTS;
static size_t restrict_vocab = 300000;
static bool case_sensitive, dummy4unknown;
static int method;

static const struct option options[] = {
    {0, "restrict-vocab", OPT_COUNT, &restrict_vocab, "N",
     "only the first N rows take part (300000)", NULL},
    {0, "case-sensitive", OPT_FLAG, &case_sensitive, NULL,
     "take words as they are; else questions and words are upper-cased, the first row wins", NULL},
    {0, "dummy4unknown", OPT_FLAG, &dummy4unknown, NULL,
     "a question with an unknown word counts as wrong, a pair as similarity 0; else it is left out",
     NULL},
    {0, "method", OPT_CHOICE, &method, "METHOD", "add: 3CosAdd (the default); mul: 3CosMul",
     "add|mul"},
    OPTIONS_END};

static const struct example examples[] = {
    {"wte eval analogies questions-words.txt", "accuracy by section"},
    {"wte eval pairs wordsim353.tsv", "correlation with people's judgements"},
    {"wte eval analogies --json --method mul questions-words.txt", "for a program"},
    {NULL, NULL}};

const struct page page_eval = {
    .usage = {"analogies [OPTION]... FILE", "pairs [OPTION]... FILE"},
    .about =
        "analogies answers every question of a file in the form of word2vec's questions-words.txt "
        "(\": section\" lines and four words a line) and counts. Sections whose name begins with "
        "\"gram\" are summed up as syntactic, the others as semantic.\n\n"
        "pairs correlates the cosines with people's judgements: lines of two words and a number "
        "with "
        "TABs between, # begins a comment.\n\n"
        "Both do what gensim's evaluate_word_analogies and evaluate_word_pairs do.",
    .options = options,
    .writes = ".json .tsv",
    .examples = examples,
    .json =
        "{\"sections\":[{\"section\":\"family\",\"correct\":300,\"incorrect\":80,\"skipped\":126,\n"
        "  "
        "\"accuracy\":0.79}],\"correct\":300,\"incorrect\":80,\"skipped\":126,\"accuracy\":0.79,\n"
        " \"semantic\":{...},\"syntactic\":{...}}\n"
        "{\"pearson\":0.6,\"pearson_p\":1e-30,\"spearman\":0.6,\"spearman_p\":1e-31,\n"
        " \"oov_ratio\":2.5,\"pairs\":344,\"oov\":9}"};

struct counts {
    uint64_t correct, incorrect, skipped;
};

static double accuracy(const struct counts *c)
{
    uint64_t n = c->correct + c->incorrect;

    return n ? (double)c->correct / (double)n : (double)NAN;
}

static struct counts counts_of(const wte_eval_section *section)
{
    return (struct counts){section->correct, section->incorrect, section->skipped};
}

static bool is_syntactic(const wte_eval_section *section)
{
    return strncmp(section->name, "gram", 4) == 0;
}

static struct counts sum_of(const wte_eval_analogies_result *r, bool syntactic)
{
    struct counts sum = {0};

    for (size_t i = 0; i < r->n_sections; i++) {
        if (is_syntactic(&r->sections[i]) != syntactic)
            continue;
        sum.correct += r->sections[i].correct;
        sum.incorrect += r->sections[i].incorrect;
        sum.skipped += r->sections[i].skipped;
    }
    return sum;
}

static void write_counts(struct out *o, const struct counts *c)
{
    json_key(o, "correct");
    json_count(o, c->correct);
    json_key(o, "incorrect");
    json_count(o, c->incorrect);
    json_key(o, "skipped");
    json_count(o, c->skipped);
    json_key(o, "accuracy");
    json_double(o, accuracy(c));
}

static void write_group(struct out *o, const char *key, const struct counts *c)
{
    json_key(o, key);
    json_open(o, '{');
    write_counts(o, c);
    json_close(o, '}');
}

struct totals {
    const wte_eval_analogies_result *result;
    struct counts all, semantic, syntactic;
};

static void write_analogies_json(struct out *o, const struct totals *t)
{
    json_open(o, '{');
    json_key(o, "sections");
    json_open(o, '[');
    for (size_t i = 0; i < t->result->n_sections; i++) {
        struct counts c = counts_of(&t->result->sections[i]);

        json_open(o, '{');
        json_key(o, "section");
        json_text(o, t->result->sections[i].name);
        write_counts(o, &c);
        json_close(o, '}');
    }
    json_close(o, ']');
    write_counts(o, &t->all);
    write_group(o, "semantic", &t->semantic);
    write_group(o, "syntactic", &t->syntactic);
    json_key(o, "method");
    json_text(o, method ? "mul" : "add");
    json_key(o, "restrict_vocab");
    json_count(o, restrict_vocab);
    json_close(o, '}');
    json_line(o);
}

static void write_analogies_tsv(struct out *o, const struct totals *t)
{
    out_text(o, "section\tcorrect\tincorrect\tskipped\taccuracy\n");
    for (size_t i = 0; i <= t->result->n_sections; i++) {
        bool last = i == t->result->n_sections;
        struct counts c = last ? t->all : counts_of(&t->result->sections[i]);
        const char *name = last ? "total" : t->result->sections[i].name;

        out_tsv(o, name, strlen(name));
        out_format(o, "\t%llu\t%llu\t%llu\t", (unsigned long long)c.correct,
                   (unsigned long long)c.incorrect, (unsigned long long)c.skipped);
        out_double(o, accuracy(&c));
        out_text(o, "\n");
    }
}

static void add_row(struct table *table, const char *name, const struct counts *c)
{
    char count[32];

    table_word(table, name, strlen(name));
    if (c->correct + c->incorrect)
        table_cell(table, "%.1f %%", 100 * accuracy(c));
    else
        table_cell(table, "-");
    table_cell(table, "%s", show_count(c->correct, count));
    table_cell(table, "of %s", show_count(c->correct + c->incorrect, count));
    table_cell(table, "%s", show_count(c->skipped, count));
}

static void write_analogies_people(struct out *o, const struct totals *t)
{
    struct table table;

    out_style(o, DIM);
    out_format(o, "%s, %s, %s; questions with an unknown word are %s\n", cli.info->name,
               method ? "3CosMul" : "3CosAdd", case_sensitive ? "case matters" : "case ignored",
               dummy4unknown ? "wrong" : "left out");
    out_style(o, PLAIN);
    table_begin(&table, "lrrrr", true);
    table_cell(&table, "section");
    table_cell(&table, "accuracy");
    table_cell(&table, "correct");
    table_cell(&table, "%s", "");
    table_cell(&table, "left out");
    for (size_t i = 0; i < t->result->n_sections; i++) {
        struct counts c = counts_of(&t->result->sections[i]);

        add_row(&table, t->result->sections[i].name, &c);
    }
    add_row(&table, "semantic", &t->semantic);
    add_row(&table, "syntactic", &t->syntactic);
    add_row(&table, "total", &t->all);
    table_end(&table, o);
}

static void write_analogies(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *,
                                   const struct totals *) = {[PEOPLE] = write_analogies_people,
                                                             [TSV] = write_analogies_tsv,
                                                             [JSON] = write_analogies_json};

    writers[format](o, result);
}

static void write_pairs(struct out *o, enum format format, const void *result)
{
    const wte_eval_pairs_result *r = result;

    if (format == JSON) {
        const struct {
            const char *key;
            double value;
        } numbers[] = {{"pearson", r->pearson},
                       {"pearson_p", r->pearson_p},
                       {"spearman", r->spearman},
                       {"spearman_p", r->spearman_p},
                       {"oov_ratio", r->oov_ratio}};

        json_open(o, '{');
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            json_key(o, numbers[i].key);
            json_double(o, numbers[i].value);
        }
        json_key(o, "pairs");
        json_count(o, r->pairs);
        json_key(o, "oov");
        json_count(o, r->oov);
        json_close(o, '}');
        json_line(o);
        return;
    }
    if (format == TSV) {
        out_text(o, "measure\tvalue\tp\npearson\t");
        out_double(o, r->pearson);
        out_text(o, "\t");
        out_double(o, r->pearson_p);
        out_text(o, "\nspearman\t");
        out_double(o, r->spearman);
        out_text(o, "\t");
        out_double(o, r->spearman_p);
        out_text(o, "\n");
        return;
    }
    out_format(o, "Spearman  %.4f   p = %.3g\nPearson   %.4f   p = %.3g\n", r->spearman,
               r->spearman_p, r->pearson, r->pearson_p);
    out_style(o, DIM);
    out_format(o, "%u pairs; %u with an unknown word (%.1f %%) %s\n", r->pairs, r->oov,
               r->oov_ratio, dummy4unknown ? "count as similarity 0" : "left out");
    out_style(o, PLAIN);
}

static int run_analogies(const char *path)
{
    wte_eval_analogies_result result = {0};
    struct totals totals;
    wte_error err = {0};
    wte_status status;

    signals_wait(true);
    status = wte_eval_analogies(cli.space, path, &set, &result, &err);
    signals_wait(false);
    if (status != WTE_OK)
        return fail_with(&err);
    clear_progress();
    totals = (struct totals){&result,
                             {result.correct, result.incorrect, result.skipped},
                             sum_of(&result, false),
                             sum_of(&result, true)};
    sink_open();
    sink_put(write_analogies, &totals);
    wte_eval_analogies_free(&result);
    return sink_close(NULL, 0);
}

static int run_pairs(const char *path)
{
    wte_eval_pairs_result result = {0};
    wte_error err = {0};

    if (wte_eval_pairs(cli.space, path, &set, &result, &err) != WTE_OK)
        return fail_with(&err);
    sink_open();
    sink_put(write_pairs, &result);
    return sink_close(NULL, 0);
}

int cmd_eval(void)
{
    const char *kind = cli.words.n ? cli.words.items[0] : "";

    if (strcmp(kind, "analogies") != 0 && strcmp(kind, "pairs") != 0)
        return usage("expected 'analogies' or 'pairs'%s%s%s", *kind ? ", found '" : "", kind,
                     *kind ? "'" : "");
    if (cli.words.n != 2)
        return usage("expected one FILE behind '%s'", kind);
    set.restrict_vocab = (uint32_t)restrict_vocab;
    set.case_sensitive = case_sensitive;
    set.dummy4unknown = dummy4unknown;
    set.method = method ? WTE_ANALOGY_MUL : WTE_ANALOGY_ADD;
    set.n_threads = (unsigned)cli.threads;
    set.progress = show_progress;
    return *kind == 'a' ? run_analogies(cli.words.items[1]) : run_pairs(cli.words.items[1]);
}
