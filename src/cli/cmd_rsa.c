/* SPDX-License-Identifier: MIT */
/* cmd_rsa.c - do two models find the same words alike?
 *
 * Every pair of words has a similarity in each model; representational similarity analysis compares
 * the two lists of similarities (Kriegeskorte, Mur and Bandettini 2008). The pairs are not
 * independent, so the p-value comes from shuffling the words of one model, and the interval from
 * drawing words. Neither says how large an agreement has to be to matter; the sentence at the end
 * says what they do say. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "figure.h"
#include "pairs.h"

enum { UNSET = INT32_MAX, GRID_PERMUTATIONS = 1000 };

static int metric, statistic, interval;
static size_t permutations = UNSET, bootstraps = UNSET;
static uint64_t seed;
static const char *nuisance_text;
static bool panels, replicates;

static const wte_comparator comparators[] = {
    WTE_COMPARE_PEARSON, WTE_COMPARE_COSINE, WTE_COMPARE_SPEARMAN,       WTE_COMPARE_RHO_A,
    WTE_COMPARE_TAU_A,   WTE_COMPARE_TAU_B,  WTE_COMPARE_WHITENED_COSINE};
static const wte_rdm_metric metrics[] = {WTE_RDM_COSINE, WTE_RDM_CORRELATION, WTE_RDM_EUCLIDEAN,
                                         WTE_RDM_SQEUCLIDEAN};
static const char *const metric_names[] = {"cosine", "correlation", "euclidean", "sqeuclidean"};

static const struct option options[] = {
    {0, "metric", OPT_CHOICE, &metric, "METRIC",
     "how unlike two words are in a model: cosine (the default), correlation, euclidean, "
     "sqeuclidean",
     "cosine|correlation|euclidean|sqeuclidean"},
    {0, "statistic", OPT_CHOICE, &statistic, "NAME",
     "what is tested: pearson (the default), cosine, spearman, rho-a, tau-a, tau-b, "
     "whitened-cosine",
     "pearson|cosine|spearman|rho-a|tau-a|tau-b|whitened-cosine"},
    {0, "permutations", OPT_SIZE, &permutations, "N",
     "shuffle the words N times for the p-value (10000; of layers 1000); 0: none", NULL},
    {0, "bootstraps", OPT_SIZE, &bootstraps, "N",
     "draw words N times for the 95 % interval (1000; of layers none); 0: none", NULL},
    {0, "interval", OPT_CHOICE, &interval, "HOW",
     "bca (bias-corrected and accelerated, the default) or percentile", "bca|percentile"},
    {0, "seed", OPT_NUMBER, &seed, "N", "of the shuffles and draws (0)", NULL},
    {0, "nuisance", OPT_TEXT, &nuisance_text, "NAME[,NAME...]",
     "partial RSA: regress out of both what pairs of words differ in: length (characters), tokens, "
     "rank (log of the row in the first model)",
     NULL},
    {0, "replicates", OPT_FLAG, &replicates, NULL,
     "the models are replicates, such as seeds: tell their noise ceiling, too", NULL},
    {0, "panels", OPT_FLAG, &panels, NULL,
     "--plot: A) B) both matrices of similarities and C) the scatter", NULL},
    PYTHON_OPTION,
    OPTIONS_END};

static const struct example examples[] = {
    {"wte rsa -m demo -m gpt2 --pool mean king queen man woman bread water",
     "six words, all orders of them"},
    {"wte rsa -m demo -m bert --pool mean --words words.txt --permutations 0 --json",
     "words of a file"},
    {"wte rsa -m demo -m demo --transform unit --match --limit 50 --plot rsa.svg --panels",
     "the words that both have, as a figure"},
    {"wte rsa -m gpt2 -m bert --layer all --pool mean king queen man woman bread water",
     "every layer of one with every layer of the other"},
    {NULL, NULL}};

const struct page page_rsa = {
    .usage = {"-m A -m B [-m C]... [OPTION]... WORD...", "-m A -m B [OPTION]... --match",
              "-m A [-m B]... [OPTION]... --layer all WORD..."},
    .about =
        "Compares models by which words are alike in them (representational similarity analysis): "
        "the similarities of all pairs of the words in one model are compared with those in the "
        "other. Widths may differ.\n\n"
        "The p-value is the share of shuffles of the words that agree as well: one-sided, joint in "
        "rows and columns, of all orders where there are up to 7 words. The interval is of words "
        "drawn with replacement. Several models give a table of all pairs with q-values (false "
        "discovery rates); --layer all gives every layer of one with every layer of the other.\n\n"
        "pearson, spearman, rho-a, kendall tau and the whitened cosine are of the dissimilarities; "
        "cosine (S_c), with --metric cosine, of the similarities.",
    .options = options,
    .writes = ".json .tsv .npy",
    .examples = examples,
    .json =
        "{\"tokens\":[...],\"n_pairs\":3160,\"pearson\":0.31,\"cosine\":0.62,\"spearman\":0.28,\n"
        " \"kendall_tau_a\":0.19,\"p_value\":0.0001,\"permutations\":10000,\"ci\":[0.2,0.42],\n"
        " \"bootstraps\":1000,...}\n"
        "several models: {\"tokens\":[...],\"pairs\":[{\"a\":\"...\",\"b\":\"...\",...}]}\n"
        "layers: {\"tokens\":[...],\"rows\":[{\"model\",\"layer\"}],\"columns\":[...],\n"
        " \"values\":[[...]],\"p_values\":[[...]],\"q_values\":[[...]]}"};

struct results {
    struct pairs pairs;
    wte_rsa_result *items; /* [pairs.n] */
    double ceiling[2];     /* of replicates */
};

/* ---- what is regressed out -------------------------------------------------------------- */

enum { LENGTH, TOKENS, RANK, N_NUISANCES };
static const char *const nuisance_names[] = {"length", "tokens", "rank"};

struct nuisances {
    bool wanted[N_NUISANCES];
    double *triangles[N_NUISANCES + 1]; /* tokens: of both models */
    size_t n;
};

static int read_nuisances(struct nuisances *out)
{
    *out = (struct nuisances){0};
    for (const char *at = nuisance_text; at;) {
        size_t n = strcspn(at, ","), k = 0;

        while (k < N_NUISANCES &&
               (strlen(nuisance_names[k]) != n || memcmp(nuisance_names[k], at, n) != 0))
            k++;
        if (k == N_NUISANCES)
            return usage("--nuisance %s: expected length, tokens or rank, with commas between",
                         nuisance_text);
        out->wanted[k] = true;
        at = at[n] ? at + n + 1 : NULL;
    }
    return 0;
}

static double characters(const struct field *word)
{
    size_t n = 0;

    for (size_t i = 0; i < word->len; i++)
        n += ((unsigned char)word->text[i] & 0xC0) != 0x80;
    return (double)n;
}

/* Differences of one number of the words; false where it is the same of all. */
static bool add_differences(struct nuisances *s, const double *numbers, size_t n)
{
    double *triangle = need_memory(n * (n - 1) / 2 + 1, sizeof *triangle), *to = triangle;
    bool differ = false;

    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++) {
            *to = fabs(numbers[i] - numbers[j]);
            differ |= *to++ > 0;
        }
    if (differ)
        s->triangles[s->n++] = triangle;
    else
        free(triangle);
    return differ;
}

static int make_nuisances(struct nuisances *s, const struct together *t, size_t a, size_t b)
{
    double *numbers = need_memory(t->n, sizeof *numbers);
    const size_t partners[2] = {a, b};
    bool differ = false;
    int status = 0;

    for (size_t i = 0; i < t->n; i++)
        numbers[i] = characters(&t->words[i]);
    if (s->wanted[LENGTH] && !add_differences(s, numbers, t->n))
        status = fail("--nuisance length: all words have %g characters", numbers[0]);
    for (size_t p = 0; p < (a == b ? 1 : 2) && s->wanted[TOKENS]; p++) {
        for (size_t i = 0; i < t->n; i++)
            numbers[i] = (double)t->tokens[i * t->n_partners + partners[p]].n;
        differ |= add_differences(s, numbers, t->n);
    }
    if (status == 0 && s->wanted[TOKENS] && !differ)
        status = fail("--nuisance tokens: all words have the same number of tokens");
    for (size_t i = 0; i < t->n; i++) /* by rank, words are the rarer the further down (Zipf) */
        numbers[i] = log(1 + (double)t->ids[t->tokens[i * t->n_partners].first]);
    if (status == 0 && s->wanted[RANK] && !add_differences(s, numbers, t->n))
        status =
            fail("--nuisance rank: all words have the same row in %s", t->partners[0].info->name);
    free(numbers);
    return status;
}

static void free_nuisances(struct nuisances *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->triangles[i]);
    s->n = 0;
}

/* ---- computing -------------------------------------------------------------------------- */

static int compute_pair(const struct results *r, size_t i, wte_rsa_result *out)
{
    const struct together *t = r->pairs.t;
    const struct pair_test *pair = &r->pairs.items[i];
    const bool many = r->pairs.shape == LAYERS;
    const wte_items a = sheet_items(t, pair->a), b = sheet_items(t, pair->b);
    struct nuisances nuisances;
    wte_rsa_options o;
    wte_error err = {0};
    int status = read_nuisances(&nuisances);

    wte_rsa_options_init(&o);
    o.metric = metrics[metric];
    o.statistic = comparators[statistic];
    o.permutations = permutations != UNSET ? permutations : many ? GRID_PERMUTATIONS : 10000;
    o.bootstraps = bootstraps != UNSET ? bootstraps : many ? 0 : 1000;
    o.bca = interval == 0;
    o.seed = seed;
    o.n_threads = (unsigned)cli.threads;
    o.progress = r->pairs.n == 1 ? show_progress : NULL;
    if (status == 0 && nuisance_text)
        status =
            make_nuisances(&nuisances, t, t->sheets[pair->a].partner, t->sheets[pair->b].partner);
    o.nuisance = (const double *const *)nuisances.triangles;
    o.n_nuisance = nuisances.n;
    if (status == 0 && wte_rsa(&a, &b, &o, out, &err) != WTE_OK)
        status = fail_with(&err);
    free_nuisances(&nuisances);
    return status;
}

/* The noise ceiling of all sheets' matrices. */
static int compute_ceiling(struct results *r)
{
    const struct together *t = r->pairs.t;
    const size_t m = t->n * (t->n - 1) / 2;
    double **rdms = need_memory(t->n_sheets, sizeof *rdms);
    wte_error err = {0};
    wte_status status = WTE_OK;

    for (size_t s = 0; s < t->n_sheets && status == WTE_OK; s++) {
        const wte_items items = sheet_items(t, s);

        rdms[s] = need_memory(m, sizeof **rdms);
        status = wte_rdm(&items, metrics[metric], (unsigned)cli.threads, rdms[s], &err);
    }
    if (status == WTE_OK)
        status = wte_noise_ceiling((const double *const *)rdms, t->n_sheets, m,
                                   comparators[statistic], &r->ceiling[0], &r->ceiling[1], &err);
    for (size_t s = 0; s < t->n_sheets; s++)
        free(rdms[s]);
    free(rdms);
    return status == WTE_OK ? 0 : fail_with(&err);
}

static int compute(struct results *r)
{
    int status = 0;

    signals_wait(true);
    for (size_t i = 0; i < r->pairs.n && status == 0; i++) {
        status = compute_pair(r, i, &r->items[i]);
        r->pairs.items[i].value = r->items[i].statistic;
        r->pairs.items[i].p = r->items[i].p_value;
        if (status == 0 && r->pairs.n > 1 &&
            show_progress(NULL, "comparing pairs", i + 1, r->pairs.n))
            status = 128 + signals_caught();
    }
    status = signals_end(status);
    if (status == 0 && replicates)
        status = compute_ceiling(r);
    return status ? status : correct_pairs(&r->pairs);
}

/* ---- JSON and TSV ----------------------------------------------------------------------- */

static void json_numbers_of(struct out *o, const wte_rsa_result *r)
{
    const struct {
        const char *key;
        double value;
    } numbers[] = {{"pearson", r->pearson},
                   {"cosine", r->cosine},
                   {"spearman", r->spearman},
                   {"rho_a", r->rho_a},
                   {"kendall_tau_a", r->kendall_tau_a},
                   {"kendall_tau_b", r->kendall_tau_b},
                   {"whitened_cosine", r->whitened_cosine},
                   {"value", r->statistic},
                   {"p_value", r->p_value}};

    json_key(o, "n_pairs");
    json_count(o, r->n_pairs);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        json_key(o, numbers[i].key);
        json_double(o, numbers[i].value);
    }
    json_key(o, "permutations");
    json_count(o, r->permutations);
    json_key(o, "exact");
    json_bool(o, r->exact != 0);
    json_key(o, "ci");
    json_open(o, '[');
    json_double(o, r->ci[0]);
    json_double(o, r->ci[1]);
    json_close(o, ']');
    json_key(o, "bootstraps");
    json_count(o, r->bootstraps);
}

static void json_names(struct out *o, const struct results *r, size_t i)
{
    json_key(o, "a");
    json_text(o, r->pairs.t->sheets[r->pairs.items[i].a].name);
    json_key(o, "b");
    json_text(o, r->pairs.t->sheets[r->pairs.items[i].b].name);
}

static void write_json(struct out *o, const struct results *r)
{
    json_open(o, '{');
    json_list(o, r->pairs.t);
    json_key(o, "metric");
    json_text(o, metric_names[metric]);
    json_key(o, "statistic");
    json_text(o, wte_comparator_name(comparators[statistic]));
    if (nuisance_text) {
        json_key(o, "nuisance");
        json_text(o, nuisance_text);
    }
    json_key(o, "seed");
    json_count(o, seed);
    if (replicates) {
        json_key(o, "noise_ceiling");
        json_open(o, '[');
        json_double(o, r->ceiling[0]);
        json_double(o, r->ceiling[1]);
        json_close(o, ']');
    }
    if (r->pairs.shape == ONE_PAIR) {
        json_names(o, r, 0);
        json_numbers_of(o, &r->items[0]);
    } else if (r->pairs.shape == ALL_PAIRS) {
        json_key(o, "pairs");
        json_open(o, '[');
        for (size_t i = 0; i < r->pairs.n; i++) {
            json_open(o, '{');
            json_names(o, r, i);
            json_numbers_of(o, &r->items[i]);
            json_key(o, "q_value");
            json_double(o, r->pairs.items[i].q);
            json_close(o, '}');
        }
        json_close(o, ']');
    } else {
        json_grid(o, &r->pairs);
        json_key(o, "permutations");
        json_count(o, r->items[0].permutations);
    }
    json_lost(o, r->pairs.t);
    json_close(o, '}');
    json_line(o);
}

static void write_tsv(struct out *o, const struct results *r)
{
    if (r->pairs.shape == LAYERS) {
        tsv_grid(o, &r->pairs);
        return;
    }
    out_text(o, "a\tb\tn\tn_pairs\tpearson\tcosine\tspearman\trho_a\tkendall_tau_a\tkendall_tau_b\t"
                "whitened_cosine\tstatistic\tvalue\tp_value\tq_value\tlow\thigh\n");
    for (size_t i = 0; i < r->pairs.n; i++) {
        const wte_rsa_result *x = &r->items[i];
        const double numbers[] = {x->pearson,       x->cosine,        x->spearman,       x->rho_a,
                                  x->kendall_tau_a, x->kendall_tau_b, x->whitened_cosine};
        const double tested[] = {x->statistic, x->p_value, r->pairs.items[i].q, x->ci[0], x->ci[1]};
        const size_t sheets[] = {r->pairs.items[i].a, r->pairs.items[i].b};

        for (size_t k = 0; k < 2; k++) {
            const char *name = r->pairs.t->sheets[sheets[k]].name;

            out_tsv(o, name, strlen(name));
            out_text(o, "\t");
        }
        out_format(o, "%zu\t%zu", x->n, x->n_pairs);
        for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) {
            out_text(o, "\t");
            out_double(o, numbers[k]);
        }
        out_format(o, "\t%s", wte_comparator_name(comparators[statistic]));
        for (size_t k = 0; k < sizeof tested / sizeof *tested; k++) {
            out_text(o, "\t");
            out_double(o, tested[k]);
        }
        out_text(o, "\n");
    }
}

/* ---- for people ------------------------------------------------------------------------- */

static void show_test(struct out *o, const wte_rsa_result *x)
{
    char count[32], times[32];

    if (x->permutations)
        out_format(o, "p = %.3g, one-sided: %s shuffles of the words%s\n", x->p_value,
                   show_count(x->permutations, count), x->exact ? ", all there are" : "");
    if (x->bootstraps)
        out_format(o, "95 %% interval %.4f to %.4f: words drawn %s times, %s\n", x->ci[0], x->ci[1],
                   show_count(x->bootstraps, times), interval == 0 ? "BCa" : "percentile");
    if (x->permutations || x->bootstraps)
        out_format(o, "seed %llu\n", (unsigned long long)seed);
    if (*x->warning)
        out_format(o, "%s\n", x->warning);
}

/* How many of the shuffles agreed as well, in words. */
static void show_shuffles(struct out *o, const wte_rsa_result *x)
{
    /* p counts the words' own order, too */
    const double times = x->p_value * (double)(x->permutations + 1) - 1;
    char some[32], all[32];

    show_count(x->permutations, all);
    if (times < 0.5)
        out_format(o, "none of %s shuffles of the words agrees", all);
    else
        out_format(o, "%s of %s shuffles of the words agree%s",
                   show_count((uint64_t)(times + 0.5), some), all, times < 1.5 ? "s" : "");
    out_text(o, " at least as well");
}

/* One sentence that says what the numbers mean. */
static void show_meaning(struct out *o, const struct results *r)
{
    static const char *const nuisances = " once that is taken out";
    const wte_rsa_result *x = &r->items[0];
    const char *a = r->pairs.t->sheets[r->pairs.items[0].a].name;
    const char *b = r->pairs.t->sheets[r->pairs.items[0].b].name;
    const char *rest = nuisance_text ? nuisances : "";
    const char *much = x->statistic < 0.1   ? "barely"
                       : x->statistic < 0.3 ? "a little"
                       : x->statistic < 0.6 ? "in part"
                       : x->statistic < 0.9 ? "largely"
                                            : "almost wholly";

    out_text(o, "\n");
    if (x->permutations == 0) {
        out_format(
            o,
            "Without permutations nothing says how often chance alone agrees at least as well.\n");
    } else if (x->p_value <= 0.05) {
        out_format(o, "%s and %s agree %s on which words are alike%s: ", a, b, much, rest);
        show_shuffles(o, x);
        out_text(o, ".\n");
    } else {
        out_format(o,
                   "These words do not show that %s and %s agree on which words are alike%s: ", a,
                   b, rest);
        show_shuffles(o, x);
        out_text(o, ", which is no proof that they disagree either.\n");
    }
}

static void show_pair_of(struct out *o, const struct results *r)
{
    const wte_rsa_result *x = &r->items[0];
    const struct {
        const char *name;
        double value;
        wte_comparator comparator;
    } rows[] = {{"Pearson r", x->pearson, WTE_COMPARE_PEARSON},
                {metric == 0 ? "cosine S_c" : "cosine", x->cosine, WTE_COMPARE_COSINE},
                {"Spearman", x->spearman, WTE_COMPARE_SPEARMAN},
                {"rho-a", x->rho_a, WTE_COMPARE_RHO_A},
                {"Kendall tau-a", x->kendall_tau_a, WTE_COMPARE_TAU_A},
                {"Kendall tau-b", x->kendall_tau_b, WTE_COMPARE_TAU_B},
                {"whitened cosine", x->whitened_cosine, WTE_COMPARE_WHITENED_COSINE}};
    struct table table;
    char pairs[32];

    out_style(o, BOLD);
    out_format(o, "%s and %s", r->pairs.t->sheets[r->pairs.items[0].a].name,
               r->pairs.t->sheets[r->pairs.items[0].b].name);
    out_style(o, PLAIN);
    out_format(o, ": %zu words, %s pairs, %s\n", x->n, show_count(x->n_pairs, pairs),
               metric_names[metric]);
    show_lost(o, r->pairs.t);
    table_begin(&table, "lrl", false);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        table_cell(&table, "%s", rows[i].name);
        table_cell(&table, "%.4f", rows[i].value);
        table_cell(&table, "%s",
                   rows[i].comparator == comparators[statistic] && !nuisance_text ? "tested" : "");
    }
    if (nuisance_text) {
        table_cell(&table, "partial %s", wte_comparator_name(comparators[statistic]));
        table_cell(&table, "%.4f", x->statistic);
        table_cell(&table, "tested, without %s", nuisance_text);
    }
    table_end(&table, o);
    show_test(o, x);
    if (replicates)
        out_format(o, "noise ceiling %.4f to %.4f\n", r->ceiling[0], r->ceiling[1]);
    show_meaning(o, r);
}

static void show_all_pairs(struct out *o, const struct results *r)
{
    const wte_rsa_result *first = &r->items[0];
    struct table table;
    size_t n_good = 0;

    out_format(o, "%zu words, %zu pairs of them, %s, %s%s%s\n", first->n, first->n_pairs,
               metric_names[metric], wte_comparator_name(comparators[statistic]),
               nuisance_text ? " without " : "", nuisance_text ? nuisance_text : "");
    show_lost(o, r->pairs.t);
    table_begin(&table, "llrrrl", true);
    table_cell(&table, "a");
    table_cell(&table, "b");
    table_cell(&table, "agreement");
    table_cell(&table, "p");
    table_cell(&table, "q");
    table_cell(&table, "%s", first->bootstraps ? "95 % interval" : "");
    for (size_t i = 0; i < r->pairs.n; i++) {
        const wte_rsa_result *x = &r->items[i];

        n_good += r->pairs.items[i].q <= 0.05;
        table_cell(&table, "%s", r->pairs.t->sheets[r->pairs.items[i].a].name);
        table_cell(&table, "%s", r->pairs.t->sheets[r->pairs.items[i].b].name);
        table_cell(&table, "%.4f", x->statistic);
        table_cell(&table, "%.2g", x->p_value);
        table_cell(&table, "%.2g", r->pairs.items[i].q);
        if (x->bootstraps)
            table_cell(&table, "%.4f to %.4f", x->ci[0], x->ci[1]);
        else
            table_cell(&table, "%s", "");
    }
    table_end(&table, o);
    if (replicates)
        out_format(o, "noise ceiling %.4f to %.4f\n", r->ceiling[0], r->ceiling[1]);
    out_format(o, "%zu permutations, %zu bootstraps, seed %llu\n\n", first->permutations,
               first->bootstraps, (unsigned long long)seed);
    if (first->permutations)
        out_format(o,
                   "%zu of %zu pairs of models agree on which words are alike more than shuffled "
                   "words do (false discovery rate 5 %%).\n",
                   n_good, r->pairs.n);
    else
        out_text(
            o,
            "Without permutations nothing says how often chance alone agrees at least as well.\n");
}

static void measure_name(char name[96])
{
    snprintf(name, 96, "RSA, %s of %s%s", wte_comparator_name(comparators[statistic]),
             metric_names[metric], nuisance_text ? ", partial" : "");
}

static void write_people(struct out *o, const struct results *r)
{
    char name[96];

    if (r->pairs.shape == ONE_PAIR) {
        show_pair_of(o, r);
    } else if (r->pairs.shape == ALL_PAIRS) {
        show_all_pairs(o, r);
    } else {
        measure_name(name);
        show_grid(o, &r->pairs, name);
        show_lost(o, r->pairs.t);
        if (replicates)
            out_format(o, "noise ceiling %.4f to %.4f\n", r->ceiling[0], r->ceiling[1]);
        out_style(o, DIM);
        out_format(o, "%zu permutations, seed %llu\n", r->items[0].permutations,
                   (unsigned long long)seed);
        out_style(o, PLAIN);
    }
}

static void write_results(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct results *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[format](o, result);
}

/* ---- figures ---------------------------------------------------------------------------- */

/* The similarities of all pairs, or, where the metric has none, the distances. */
static double *similarities(const struct together *t, size_t sheet, wte_error *err)
{
    const size_t m = t->n * (t->n - 1) / 2;
    const wte_items items = sheet_items(t, sheet);
    double *out = need_memory(m, sizeof *out);

    if (wte_rdm(&items, metrics[metric], (unsigned)cli.threads, out, err) != WTE_OK) {
        free(out);
        return NULL;
    }
    for (size_t i = 0; i < m && metric < 2; i++)
        out[i] = 1 - out[i];
    return out;
}

static void plot_matrix(wte_figure *figure, const struct together *t, size_t sheet,
                        const double *triangle, wte_error *err)
{
    double *matrix = need_memory(t->n, t->n * sizeof *matrix), low = NAN, high = NAN;
    wte_axes axes = figure_axes(t->sheets[sheet].name, NULL, NULL);

    for (size_t i = 0, k = 0; i < t->n; i++) {
        matrix[i * t->n + i] = metric < 2;
        for (size_t j = i + 1; j < t->n; j++, k++)
            matrix[i * t->n + j] = matrix[j * t->n + i] = triangle[k];
    }
    figure_limits(&low, &high);
    if (wte_figure_panel(figure, &axes, 0, err) == WTE_OK)
        wte_figure_heatmap(figure, matrix, t->n, t->n, (const char *const *)t->labels,
                           (const char *const *)t->labels, low, high, NULL,
                           metric == 0   ? "cosine similarity"
                           : metric == 1 ? "correlation"
                                         : metric_names[metric],
                           err);
    free(matrix);
}

static int plot_pair(const struct results *r)
{
    static const char minus[] = "\xE2\x88\x92"; /* U+2212, as at the ticks */
    const struct together *t = r->pairs.t;
    const struct pair_test *pair = &r->pairs.items[0];
    const char *what = metric == 0   ? "cosine similarity"
                       : metric == 1 ? "correlation"
                                     : metric_names[metric];
    wte_error err = {0};
    double *x = similarities(t, pair->a, &err), *y = x ? similarities(t, pair->b, &err) : NULL;
    char title[128], note_text[128], pairs[32], x_label[300], y_label[300];
    wte_figure *figure;
    wte_axes axes;
    int status;

    snprintf(title, sizeof title, "%zu words, %s pairs", t->n,
             show_count(r->items[0].n_pairs, pairs));
    snprintf(note_text, sizeof note_text, "r = %s%.3f, S_c = %s%.3f",
             r->items[0].pearson < 0 ? minus : "", fabs(r->items[0].pearson),
             r->items[0].cosine < 0 ? minus : "", fabs(r->items[0].cosine));
    snprintf(x_label, sizeof x_label, "%s in %.200s", what, t->sheets[pair->a].name);
    snprintf(y_label, sizeof y_label, "%s in %.200s", what, t->sheets[pair->b].name);
    figure = figure_begin(title);
    if (figure && y && panels) {
        plot_matrix(figure, t, pair->a, x, &err);
        if (err.status == WTE_OK)
            plot_matrix(figure, t, pair->b, y, &err);
    }
    axes = figure_axes(panels ? "all pairs" : NULL, x_label, y_label);
    axes.note = note_text;
    if (!panels)
        figure_limits(&axes.y_min, &axes.y_max);
    if (figure && y && err.status == WTE_OK && wte_figure_panel(figure, &axes, 0, &err) == WTE_OK)
        wte_figure_points(figure, x, y, r->items[0].n_pairs, NULL, NULL, &err);
    status = figure_end(figure, &err);
    free(x);
    free(y);
    return status;
}

static int plot(const struct results *r)
{
    char name[96];

    figure_seed(seed);
    if (r->pairs.shape == ONE_PAIR)
        return plot_pair(r);
    measure_name(name);
    return plot_grid(&r->pairs, name, NAN, NAN);
}

/* ---- Python ----------------------------------------------------------------------------- */

static int show_python(const struct together *t)
{
    static const char *const rdms[] = {
        ("    x = x / np.linalg.norm(x, axis=1, keepdims=True)\n"
         "    return 1 - (x @ x.T)[np.triu_indices(len(x), 1)]\n"),
        "    return 1 - np.corrcoef(x)[np.triu_indices(len(x), 1)]\n",
        "    return scipy.spatial.distance.pdist(x)\n",
        "    return scipy.spatial.distance.pdist(x, \"sqeuclidean\")\n"};
    static const char *const statistics[] = {"np.corrcoef(x, y)[0, 1]",
                                             "cosine(x, y)",
                                             "scipy.stats.spearmanr(x, y)[0]",
                                             NULL,
                                             NULL,
                                             "scipy.stats.kendalltau(x, y)[0]",
                                             NULL};
    struct out code = {0};
    int status;

    if (nuisance_text || replicates)
        return fail("--as-python writes no --nuisance and no --replicates");
    if (!statistics[statistic])
        return fail("--as-python has no %s: scipy has none",
                    wte_comparator_name(comparators[statistic]));
    out_format(&code,
               "\n\ndef rdm(x):\n%s\n\n"
               "def cosine(x, y):\n"
               "%s"
               "    return x @ y / np.sqrt((x @ x) * (y @ y))\n\n\n"
               "def statistic(x, y):\n"
               "    return %s\n\n\n"
               "rng = np.random.default_rng(%llu)  # other shuffles than wte's\n"
               "for (a, x), (b, y) in itertools.combinations(spaces.items(), 2):\n"
               "    d, e = rdm(x), rdm(y)\n"
               "    print(a, b, len(words), \"words\", len(d), \"pairs\")\n"
               "    print(\"pearson\", np.corrcoef(d, e)[0, 1])\n"
               "    print(\"cosine\", cosine(d, e))\n"
               "    print(\"spearman\", scipy.stats.spearmanr(d, e)[0])\n"
               "    print(\"kendall_tau_b\", scipy.stats.kendalltau(d, e)[0])\n"
               "    value, n = statistic(d, e), %zu\n"
               "    shuffles = (statistic(d, rdm(y[rng.permutation(len(y))])) for _ in range(n))\n"
               "    print(\"p_value\", (1 + sum(s >= value for s in shuffles)) / (n + 1))\n",
               rdms[metric], metric == 0 ? "    x, y = 1 - x, 1 - y  # of similarities\n" : "",
               statistics[statistic], (unsigned long long)seed,
               permutations != UNSET ? permutations : 10000);
    status = print_python(t, "import scipy.spatial\nimport scipy.stats\n", code.data, true);
    out_free(&code);
    return status;
}

/* ---- running ---------------------------------------------------------------------------- */

static int run(const struct together *t)
{
    struct results r = {0};
    int status = list_pairs(t, &r.pairs);

    if (status)
        goto out;
    if (panels && (r.pairs.shape != ONE_PAIR || !figure_wanted())) {
        status = usage("--panels goes with --plot and two models");
        goto out;
    }
    r.items = need_memory(r.pairs.n, sizeof *r.items);
    status = compute(&r);
    if (status == 0 && figure_wanted())
        status = plot(&r);
    if (status)
        goto out;
    sink_open();
    sink_put(write_results, &r);
    status = close_grid(&r.pairs);
out:
    free(r.items);
    free(r.pairs.items);
    return status;
}

static int enough_words(const struct together *t)
{
    if (t->n >= 3)
        return 0;
    return fail("%zu %s: pairs of words are compared, which needs at least 3 words", t->n,
                t->n == 1 ? "word" : "words");
}

int cmd_rsa(void)
{
    struct nuisances nuisances;
    int status = read_nuisances(&nuisances);

    return status ? status : together_run(metric == 1, show_python, enough_words, run);
}
