/* SPDX-License-Identifier: MIT */
/* cmd_eval.c - evaluation sets: analogy questions and judged pairs
 *
 * In a model the words of the file are looked for among the tokens. With --pool those that are
 * several tokens join them: they become rows behind the vocabulary, so that a pair can have their
 * cosine and an analogy be asked with them and answered by them. */
#include "figure.h"

#include <math.h>
#include <stdlib.h>
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
    {"wte eval pairs -m gpt2 --prefix-space --pool mean wordsim353.tsv", "with every word"},
    {"wte eval pairs wordsim353.tsv --plot pairs.svg", "judgements and cosines as points"},
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
        "Both do what gensim's evaluate_word_analogies and evaluate_word_pairs do. In a GPT-2 or "
        "BERT model the words are looked for among its tokens, with --prefix-space among those "
        "that begin with a space. A word of several tokens is unknown; with --pool it becomes a "
        "row "
        "behind the vocabulary, beyond any smaller --restrict-vocab.",
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

/* ---- words of several tokens ------------------------------------------------------------ */

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Every word of the file once: of pairs two a line, of analogies four. */
static int read_distinct(const char *path, bool pairs, char ***out, size_t *out_n)
{
    struct field fields[4];
    struct lines lines;
    char **words = NULL, *line;
    size_t capacity = 0, n = 0, kept = 0, len;

    if (!lines_open(&lines, path))
        return EXIT_FAILED;
    while (lines_next(&lines, &line, &len)) {
        size_t wanted = pairs ? 2 : 4, found;

        if (len == 0 || *line == (pairs ? '#' : ':'))
            continue;
        found = split_fields(line, len, !pairs, fields, 4);
        words = need_more(words, &capacity, n + wanted, sizeof *words);
        for (size_t i = 0; i < wanted && i < found; i++)
            words[n++] = memcpy(need_memory(fields[i].len + 1, 1), fields[i].text, fields[i].len);
    }
    lines_close(&lines);
    if (n)
        qsort(words, n, sizeof *words, compare_texts);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || strcmp(words[kept - 1], words[i]) != 0)
            words[kept++] = words[i];
        else
            free(words[i]);
    *out = words;
    *out_n = kept;
    return cli.status;
}

/* The ids of the words that --pool made one vector of. */
static void pool_words(char *const *words, size_t n, uint32_t *ids, size_t *n_ids)
{
    wte_error err = {0};

    *n_ids = 0;
    for (size_t i = 0; i < n; i++)
        if (*words[i] && find_word(words[i], strlen(words[i]), &ids[*n_ids], &err) == WTE_OK &&
            is_pooled(ids[*n_ids]))
            ++*n_ids;
}

/* The space with more rows: what it borrows stays as long as the program. */
static int lengthen_space(const uint32_t *ids, size_t n)
{
    size_t dim = cli.info->dim, n_rows = cli.info->n_rows, total = n_rows + n;
    uint64_t *offsets = need_memory(total + 1, sizeof *offsets);
    float *matrix = need_memory(total, dim * sizeof *matrix);
    struct out words = {0};
    wte_space *space = NULL;
    wte_error err = {0};
    wte_status status = WTE_OK;

    for (size_t i = 0; i < total && status == WTE_OK; i++) {
        uint32_t id = i < n_rows ? (uint32_t)i : ids[i - n_rows];
        size_t len = 0;
        const char *word = id_word(id, &len);

        if (i >= n_rows && cli.prefix_space)
            out_text(&words, " ");
        out_bytes(&words, word, len);
        offsets[i + 1] = words.n;
        status = id_vector(id, matrix + i * dim, &err);
    }
    if (status == WTE_OK)
        status = wte_space_new(cli.info->name, words.data, offsets, matrix, WTE_F32,
                               (uint32_t)total, dim, dim, (unsigned)cli.threads, &space, &err);
    if (status != WTE_OK)
        return fail_with(&err);
    cli.space = space;
    cli.info = wte_space_get_info(space);
    return 0;
}

static int add_pooled_words(const char *path, bool pairs)
{
    char **words = NULL;
    uint32_t *ids = NULL;
    size_t n = 0, n_ids = 0;
    int status = read_distinct(path, pairs, &words, &n);

    if (status == 0) {
        ids = need_memory(n + 1, sizeof *ids);
        pool_words(words, n, ids, &n_ids);
        if (cli.verbose)
            note("%zu words of %s are several tokens", n_ids, path);
        if (n_ids)
            status = lengthen_space(ids, n_ids);
    }
    for (size_t i = 0; i < n; i++)
        free(words[i]);
    free(words);
    free(ids);
    return status;
}

/* ---- figures ---------------------------------------------------------------------------- */

/* Accuracy of each section with Wilson's interval of 95 %, which is inside 0 to 100 for few
 * questions, too (Wilson 1927). */
static int draw_analogies(const struct totals *t)
{
    const size_t n = t->result->n_sections + 1;
    const double z = 1.959963984540054;
    double *heights = need_memory(n, 3 * sizeof *heights), *low = heights + n, *high = low + n;
    const char **labels = need_memory(n, sizeof *labels);
    wte_axes axes = figure_axes(NULL, "correct (%), with intervals of 95 %", NULL);
    wte_figure *figure = figure_begin(cli.info->name);
    wte_error err = {0};

    for (size_t i = 0; i < n; i++) {
        const struct counts c = i + 1 == n ? t->all : counts_of(&t->result->sections[i]);
        const double total = (double)(c.correct + c.incorrect);
        const double share = total > 0 ? accuracy(&c) : 0, all = total + z * z;
        const double middle = (total * share + z * z / 2) / all;
        const double half = z / all * sqrt(total * share * (1 - share) + z * z / 4);

        labels[i] = i + 1 == n ? "total" : t->result->sections[i].name;
        heights[i] = 100 * share;
        low[i] = 100 * (middle - half);
        high[i] = 100 * (middle + half);
        if (!(total > 0))
            heights[i] = low[i] = high[i] = 0;
    }
    axes.x_min = 0;
    axes.x_max = 100;
    figure_limits(&axes.x_min, &axes.x_max);
    if (figure && wte_figure_panel(figure, &axes, 0, &err) == WTE_OK)
        wte_figure_bars(figure, heights, labels, n, NULL, NULL, low, high, 1, &err);
    free(labels);
    free(heights);
    return figure_end(figure, &err);
}

struct judged {
    double *x, *y;
    char **labels;
    size_t n, x_capacity, y_capacity, labels_capacity;
};

static void keep_pair(void *data, const wte_eval_pair *pair)
{
    struct judged *j = data;
    struct out label = {0};

    out_word(&label, pair->a, pair->a_len);
    out_text(&label, " – ");
    out_word(&label, pair->b, pair->b_len);
    out_bytes(&label, "", 1);
    j->x = need_more(j->x, &j->x_capacity, j->n + 1, sizeof *j->x);
    j->y = need_more(j->y, &j->y_capacity, j->n + 1, sizeof *j->y);
    j->labels = need_more(j->labels, &j->labels_capacity, j->n + 1, sizeof *j->labels);
    j->x[j->n] = pair->judged;
    j->y[j->n] = pair->similarity;
    j->labels[j->n++] = label.data;
}

static int draw_pairs(const struct judged *j, const wte_eval_pairs_result *r)
{
    enum { LABELLED = 60 };
    const char *const *labels = j->n <= LABELLED ? (const char *const *)j->labels : NULL;
    wte_axes axes = figure_axes(NULL, "people's judgement", "cosine similarity");
    wte_figure *figure = figure_begin(cli.info->name);
    wte_error err = {0};
    char text[96];

    snprintf(text, sizeof text, "Spearman %.3f, Pearson %.3f, n = %u", r->spearman, r->pearson,
             r->pairs);
    axes.note = text;
    figure_limits(&axes.y_min, &axes.y_max);
    if (figure && wte_figure_panel(figure, &axes, 0, &err) == WTE_OK)
        wte_figure_points(figure, j->x, j->y, j->n, labels, NULL, &err);
    return figure_end(figure, &err);
}

/* ---- running ---------------------------------------------------------------------------- */

static int run_analogies(const char *path)
{
    wte_eval_analogies_result result = {0};
    struct totals totals;
    wte_error err = {0};
    int status;

    signals_wait(true);
    wte_eval_analogies(cli.space, path, &set, &result, &err);
    signals_wait(false);
    if (err.status != WTE_OK)
        return fail_with(&err);
    clear_progress();
    totals = (struct totals){&result,
                             {result.correct, result.incorrect, result.skipped},
                             sum_of(&result, false),
                             sum_of(&result, true)};
    status = figure_wanted() ? draw_analogies(&totals) : 0;
    if (status == 0) {
        sink_open();
        sink_put(write_analogies, &totals);
        status = sink_close(NULL, 0);
    }
    wte_eval_analogies_free(&result);
    return status;
}

static int run_pairs(const char *path)
{
    wte_eval_pairs_result result = {0};
    struct judged judged = {0};
    wte_error err = {0};
    int status = 0;

    if (figure_wanted()) {
        set.on_pair = keep_pair;
        set.on_pair_data = &judged;
    }
    if (wte_eval_pairs(cli.space, path, &set, &result, &err) != WTE_OK)
        status = fail_with(&err);
    else if (figure_wanted())
        status = draw_pairs(&judged, &result);
    if (status == 0) {
        sink_open();
        sink_put(write_pairs, &result);
        status = sink_close(NULL, 0);
    }
    figure_labels_free(judged.labels, judged.n);
    free(judged.x);
    free(judged.y);
    return status;
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
    if (wte_model_tokenizer(cli.model)) {
        int status = 0;

        set.prefix_space = cli.prefix_space;
        if (cli.pool != WTE_POOL_NONE)
            status = add_pooled_words(cli.words.items[1], *kind == 'p');
        if (status)
            return status;
    }
    return *kind == 'a' ? run_analogies(cli.words.items[1]) : run_pairs(cli.words.items[1]);
}
