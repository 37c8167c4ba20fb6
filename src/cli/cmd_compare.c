/* SPDX-License-Identifier: MIT */
/* cmd_compare.c - how alike the words lie in two models, by several measures
 *
 * CKA, Procrustes and CCA ask how well one cloud of words can be laid over the other, each allowing
 * other ways of laying; neighbour overlap asks only who is near whom. A measure that is not defined
 * for these words (CCA needs more words than numbers) has no number, and the reason is told.
 *
 * The p-value is of linear CKA when the words of one model are shuffled. Linear CKA is the whitened
 * cosine of squared Euclidean distances, so that it is the test of wte_rsa(). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "figure.h"
#include "pairs.h"

enum { UNSET = INT32_MAX };

enum {
    CKA_LINEAR,
    CKA_LINEAR_DEBIASED,
    CKA_RBF,
    CKA_RBF_DEBIASED,
    PROCRUSTES,
    PROCRUSTES_DISPARITY,
    PROCRUSTES_ANGLE,
    CCA_MEAN,
    SVCCA_MEAN,
    PWCCA,
    NEIGHBOR_OVERLAP,
    RANK_BIASED_OVERLAP,
    N_MEASURES
};

/* `narrow` heads a column of many pairs. */
static const struct {
    const char *key, *label, *narrow, *about;
} measures[N_MEASURES] = {
    {"cka_linear", "linear CKA", "CKA", "0 to 1; near 1 for any few words of great width"},
    {"cka_linear_debiased", "linear CKA, debiased", "debiased", "0 where nothing is shared"},
    {"cka_rbf", "RBF CKA", "RBF", "0 to 1; more of what is near"},
    {"cka_rbf_debiased", "RBF CKA, debiased", NULL, "0 where nothing is shared"},
    {"procrustes", "Procrustes distance", "Procrustes", "0: one is the other turned; at most 1.41"},
    {"procrustes_disparity", "Procrustes disparity", NULL, "scipy's: 0 to 1"},
    {"procrustes_angle", "Procrustes angle", NULL, "radians, a metric"},
    {"cca_mean", "CCA, mean", "CCA", "0 to 1"},
    {"svcca_mean", "SVCCA, mean", "SVCCA", "CCA of the leading components"},
    {"pwcca", "PWCCA", "PWCCA", "CCA weighted by the first model's side"},
    {"neighbor_overlap", "neighbour overlap", "neighbours", "share of the k nearest in both"},
    {"rank_biased_overlap", "rank-biased overlap", NULL, "the same, the nearest counting most"}};

static size_t k, permutations = UNSET;
static float variance = 0.99f, bandwidth = 1, persistence = 0.9f;
static uint64_t seed;
static int measure = CKA_LINEAR_DEBIASED;

static const struct option options[] = {
    {'k', NULL, OPT_COUNT, &k, "N", "neighbours of a word (10; half of fewer than 20 words)", NULL},
    {0, "variance", OPT_REAL, &variance, "SHARE",
     "SVCCA keeps the components that reach this share of the variance (0.99)", NULL},
    {0, "bandwidth", OPT_REAL, &bandwidth, "X", "of RBF CKA, in median distances of each model (1)",
     NULL},
    {0, "persistence", OPT_REAL, &persistence, "P", "of rank-biased overlap (0.9)", NULL},
    {0, "permutations", OPT_SIZE, &permutations, "N",
     "shuffle the words N times for the p-value of linear CKA (1000); 0: none", NULL},
    {0, "seed", OPT_NUMBER, &seed, "N", "of the shuffles (0)", NULL},
    {0, "measure", OPT_CHOICE, &measure, "NAME",
     "the one of a heat map and of --layer: any key of the JSON (cka_linear_debiased)",
     "cka_linear|cka_linear_debiased|cka_rbf|cka_rbf_debiased|procrustes|procrustes_disparity|"
     "procrustes_angle|cca_mean|svcca_mean|pwcca|neighbor_overlap|rank_biased_overlap"},
    PYTHON_OPTION,
    OPTIONS_END};

static const struct example examples[] = {
    {"wte compare -m demo -m gpt2 --pool mean king queen man woman bread water",
     "two models of different width"},
    {"wte compare -m demo -m demo --transform unit --match --limit 200 --json",
     "the words that both have"},
    {"wte compare -m gpt2 -m bert --layer all --measure cka_linear --pool mean --plot layers.svg "
     "king "
     "queen man woman bread water",
     "every layer of one with every layer of the other"},
    {NULL, NULL}};

const struct page page_compare = {
    .usage = {"-m A -m B [-m C]... [OPTION]... WORD...", "-m A -m B [OPTION]... --match",
              "-m A [-m B]... [OPTION]... --layer all WORD..."},
    .about =
        "Compares how words lie in two models: centred kernel alignment (CKA), orthogonal "
        "Procrustes, canonical correlations (CCA, SVCCA, PWCCA) and shared neighbours. Widths may "
        "differ. A measure that these words cannot have is null, and why is told.\n\n"
        "Biased CKA and CCA grow as words get fewer than numbers: with less than twice as many "
        "words as numbers trust the debiased ones.\n\n"
        "Several models give all pairs; --layer all gives every layer of one with every layer of "
        "the other, by one --measure.",
    .options = options,
    .writes = ".json .tsv .npy",
    .examples = examples,
    .json =
        "{\"cka_linear\":0.97,\"cka_linear_debiased\":0.96,\"cka_rbf\":0.98,\"procrustes\":0.18,"
        "\n \"cca_mean\":null,\"svcca_mean\":0.98,\"pwcca\":null,\"neighbor_overlap\":0.61,...,"
        "\n \"undefined\":{\"cca_mean\":\"why\"},\"p_value\":0.001}\n"
        "several models: {\"tokens\":[...],\"pairs\":[{\"a\":\"...\",\"b\":\"...\",...}]}\n"
        "layers: as wte rsa"};

struct numbers {
    double values[N_MEASURES]; /* NAN: undefined */
    char *why[N_MEASURES];
    size_t kept[2]; /* components of SVCCA */
};

struct results {
    struct pairs pairs;
    struct numbers *items; /* [pairs.n] */
    size_t k, permutations;
    size_t n_defined; /* pairs that have a number */
};

/* ---- computing -------------------------------------------------------------------------- */

/* An option's number as it was typed: 0.99, not the float32 beside it. */
static double typed(float value)
{
    char digits[32];

    snprintf(digits, sizeof digits, "%.7g", (double)value);
    return strtod(digits, NULL);
}

static size_t neighbors(const struct together *t)
{
    /* all but one of few words would always be the same */
    return k ? k : t->n > 20 ? 10 : t->n > 2 ? (t->n - 1) / 2 : 1;
}

/* Compute one measure, or those that are computed together with it. */
static wte_status compute_measure(const struct together *t, const wte_items *a, const wte_items *b,
                                  int which, struct numbers *out, wte_error *err)
{
    const unsigned threads = (unsigned)cli.threads;
    double *values = out->values;
    wte_procrustes_result shape;
    wte_status status;

    switch (which) {
    case CKA_LINEAR:
    case CKA_LINEAR_DEBIASED:
        return wte_cka(a, b, 0, which == CKA_LINEAR_DEBIASED, threads, &values[which], err);
    case CKA_RBF:
    case CKA_RBF_DEBIASED:
        return wte_cka(a, b, typed(bandwidth), which == CKA_RBF_DEBIASED, threads, &values[which],
                       err);
    case PROCRUSTES:
    case PROCRUSTES_DISPARITY:
    case PROCRUSTES_ANGLE:
        status = wte_procrustes(a, b, threads, &shape, err);
        if (status == WTE_OK)
            values[which] = which == PROCRUSTES             ? shape.distance
                            : which == PROCRUSTES_DISPARITY ? shape.disparity
                                                            : shape.angle;
        return status;
    case CCA_MEAN:
        return wte_cca(a, b, 1, NULL, &values[which], NULL, err);
    case SVCCA_MEAN:
        return wte_cca(a, b, typed(variance), NULL, &values[which], out->kept, err);
    case PWCCA:
        return wte_pwcca(a, b, &values[which], err);
    case NEIGHBOR_OVERLAP:
        return wte_neighbor_overlap(a, b, neighbors(t), typed(persistence), threads, &values[which],
                                    NULL, err);
    default:
        return wte_neighbor_overlap(a, b, neighbors(t), typed(persistence), threads, NULL,
                                    &values[which], err);
    }
}

static int test_pair(const struct results *r, struct pair_test *pair, const wte_items *a,
                     const wte_items *b)
{
    wte_rsa_options o;
    wte_rsa_result tested;
    wte_error err = {0};

    if (r->permutations == 0)
        return 0;
    wte_rsa_options_init(&o);
    o.metric = WTE_RDM_SQEUCLIDEAN;
    o.statistic = WTE_COMPARE_WHITENED_COSINE;
    o.permutations = r->permutations;
    o.bootstraps = 0;
    o.seed = seed;
    o.n_threads = (unsigned)cli.threads;
    o.progress = r->pairs.n == 1 ? show_progress : NULL;
    if (wte_rsa(a, b, &o, &tested, &err) != WTE_OK)
        return fail_with(&err);
    pair->p = tested.p_value;
    return 0;
}

/* All measures, or the one of the layers' grid. */
static int compute_pair(struct results *r, size_t i)
{
    const struct together *t = r->pairs.t;
    struct pair_test *pair = &r->pairs.items[i];
    const bool one = r->pairs.shape == LAYERS;
    const wte_items a = sheet_items(t, pair->a), b = sheet_items(t, pair->b);
    struct numbers *out = &r->items[i];
    size_t n_undefined = 0;
    wte_error err = {0};

    for (int m = one ? measure : 0; m < (one ? measure + 1 : N_MEASURES); m++) {
        const wte_status status = compute_measure(t, &a, &b, m, out, &err);

        if (status == WTE_OK)
            continue;
        if (status == WTE_E_NOMEM || status == WTE_E_CANCELLED)
            return fail_with(&err);
        out->values[m] = NAN;
        out->why[m] = figure_word(err.message, strlen(err.message));
        n_undefined++;
    }
    pair->value = out->values[measure];
    if (n_undefined == (one ? 1 : N_MEASURES))
        return 0;
    r->n_defined++;
    return test_pair(r, pair, &a, &b);
}

static int compute(struct results *r)
{
    int status = 0;

    signals_wait(true);
    for (size_t i = 0; i < r->pairs.n && status == 0; i++) {
        status = compute_pair(r, i);
        if (status == 0 && r->pairs.n > 1 &&
            show_progress(NULL, "comparing pairs", i + 1, r->pairs.n))
            status = 128 + signals_caught();
    }
    status = signals_end(status);
    if (status == 0 && r->n_defined == 0)
        status = fail("%s", r->items[0].why[r->pairs.shape == LAYERS ? measure : 0]);
    return status ? status : correct_pairs(&r->pairs);
}

/* ---- JSON and TSV ----------------------------------------------------------------------- */

static void json_pair_of(struct out *o, const struct results *r, size_t i)
{
    const struct numbers *x = &r->items[i];
    const struct pair_test *pair = &r->pairs.items[i];

    for (int m = 0; m < N_MEASURES; m++) {
        json_key(o, measures[m].key);
        json_double(o, x->values[m]);
    }
    json_key(o, "undefined");
    json_open(o, '{');
    for (int m = 0; m < N_MEASURES; m++)
        if (x->why[m]) {
            json_key(o, measures[m].key);
            json_text(o, x->why[m]);
        }
    json_close(o, '}');
    json_key(o, "svcca_kept");
    json_open(o, '[');
    json_count(o, x->kept[0]);
    json_count(o, x->kept[1]);
    json_close(o, ']');
    json_key(o, "p_value");
    json_double(o, r->permutations ? pair->p : NAN);
    if (r->pairs.n > 1) {
        json_key(o, "q_value");
        json_double(o, r->permutations ? pair->q : NAN);
    }
    json_key(o, "a");
    json_text(o, r->pairs.t->sheets[pair->a].name);
    json_key(o, "b");
    json_text(o, r->pairs.t->sheets[pair->b].name);
}

static void write_json(struct out *o, const struct results *r)
{
    json_open(o, '{');
    json_list(o, r->pairs.t);
    json_key(o, "k");
    json_count(o, r->k);
    json_key(o, "permutations");
    json_count(o, r->permutations);
    json_key(o, "seed");
    json_count(o, seed);
    if (r->pairs.shape == ONE_PAIR) {
        json_pair_of(o, r, 0);
    } else if (r->pairs.shape == ALL_PAIRS) {
        json_key(o, "pairs");
        json_open(o, '[');
        for (size_t i = 0; i < r->pairs.n; i++) {
            json_open(o, '{');
            json_pair_of(o, r, i);
            json_close(o, '}');
        }
        json_close(o, ']');
    } else {
        json_key(o, "measure");
        json_text(o, measures[measure].key);
        json_grid(o, &r->pairs);
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
    out_text(o, "a\tb");
    for (int m = 0; m < N_MEASURES; m++)
        out_format(o, "\t%s", measures[m].key);
    out_text(o, "\tp_value\tq_value\n");
    for (size_t i = 0; i < r->pairs.n; i++) {
        const struct pair_test *pair = &r->pairs.items[i];
        const char *names[] = {r->pairs.t->sheets[pair->a].name, r->pairs.t->sheets[pair->b].name};

        out_tsv(o, names[0], strlen(names[0]));
        out_text(o, "\t");
        out_tsv(o, names[1], strlen(names[1]));
        for (int m = 0; m < N_MEASURES; m++) {
            out_text(o, "\t");
            out_double(o, r->items[i].values[m]);
        }
        out_text(o, "\t");
        out_double(o, pair->p);
        out_text(o, "\t");
        out_double(o, pair->q);
        out_text(o, "\n");
    }
}

/* ---- for people ------------------------------------------------------------------------- */

static void show_one(struct out *o, const struct results *r)
{
    const struct together *t = r->pairs.t;
    const struct pair_test *pair = &r->pairs.items[0];
    const struct numbers *x = &r->items[0];
    const size_t widths[2] = {t->sheets[pair->a].dim, t->sheets[pair->b].dim};
    const size_t widest = widths[0] > widths[1] ? widths[0] : widths[1];
    struct table table;
    char count[32];

    out_style(o, BOLD);
    out_format(o, "%s and %s", t->sheets[pair->a].name, t->sheets[pair->b].name);
    out_style(o, PLAIN);
    out_format(o, ": %zu words, %zu and %zu numbers each\n", t->n, widths[0], widths[1]);
    show_lost(o, t);
    table_begin(&table, "lrl", false);
    for (int m = 0; m < N_MEASURES; m++) {
        table_cell(&table, "%s", measures[m].label);
        if (isfinite(x->values[m]))
            table_cell(&table, "%.4f", x->values[m]);
        else
            table_cell(&table, "-");
        if (x->why[m])
            table_cell(&table, "%s", x->why[m]);
        else if (m == SVCCA_MEAN)
            table_cell(&table, "CCA of %zu and %zu components", x->kept[0], x->kept[1]);
        else if (m == NEIGHBOR_OVERLAP)
            table_cell(&table, "share of the %zu nearest in both", r->k);
        else
            table_cell(&table, "%s", measures[m].about);
    }
    table_end(&table, o);
    if (r->permutations)
        out_format(o, "p = %.3g of linear CKA: %s shuffles of the words, seed %llu\n", pair->p,
                   show_count(r->permutations, count), (unsigned long long)seed);
    if (t->n < 2 * widest)
        out_format(o, "fewer than twice as many words as numbers: trust the debiased measures\n");
}

static void show_many(struct out *o, const struct results *r)
{
    char columns[N_MEASURES + 8] = "ll";
    struct table table;
    bool undefined = false;

    for (int m = 0; m < N_MEASURES; m++)
        if (measures[m].narrow)
            strcat(columns, "r");
    strcat(columns, r->permutations ? "rr" : "");
    out_format(o, "%zu words\n", r->pairs.t->n);
    show_lost(o, r->pairs.t);
    table_begin(&table, columns, true);
    table_cell(&table, "a");
    table_cell(&table, "b");
    for (int m = 0; m < N_MEASURES; m++)
        if (measures[m].narrow)
            table_cell(&table, "%s", measures[m].narrow);
    if (r->permutations) {
        table_cell(&table, "p");
        table_cell(&table, "q");
    }
    for (size_t i = 0; i < r->pairs.n; i++) {
        const struct pair_test *pair = &r->pairs.items[i];

        table_cell(&table, "%s", r->pairs.t->sheets[pair->a].name);
        table_cell(&table, "%s", r->pairs.t->sheets[pair->b].name);
        for (int m = 0; m < N_MEASURES; m++) {
            undefined |= measures[m].narrow && r->items[i].why[m];
            if (measures[m].narrow && r->items[i].why[m])
                table_cell(&table, "-");
            else if (measures[m].narrow)
                table_cell(&table, "%.3f", r->items[i].values[m]);
        }
        if (r->permutations) {
            table_cell(&table, "%.2g", pair->p);
            table_cell(&table, "%.2g", pair->q);
        }
    }
    table_end(&table, o);
    if (undefined)
        out_text(o, "- is not defined for so few words; --json says why\n");
    if (r->permutations)
        out_format(o, "p and q of linear CKA: %zu shuffles of the words, seed %llu\n",
                   r->permutations, (unsigned long long)seed);
}

static void write_people(struct out *o, const struct results *r)
{
    if (r->pairs.shape == ONE_PAIR) {
        show_one(o, r);
    } else if (r->pairs.shape == ALL_PAIRS) {
        show_many(o, r);
    } else {
        show_grid(o, &r->pairs, measures[measure].label);
        show_lost(o, r->pairs.t);
        out_style(o, DIM);
        out_format(o, "p and q of linear CKA: %zu shuffles of the words, seed %llu\n",
                   r->permutations, (unsigned long long)seed);
        out_style(o, PLAIN);
    }
}

static void write_results(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct results *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[format](o, result);
}

/* ---- the figure ------------------------------------------------------------------------- */

/* Bars of those measures of which more is more alike. */
static int plot_measures(const struct results *r)
{
    const struct numbers *x = &r->items[0];
    const char *labels[N_MEASURES];
    double heights[N_MEASURES];
    char title[300];
    wte_axes axes = figure_axes(NULL, NULL, NULL);
    wte_error err = {0};
    wte_figure *figure;
    size_t n = 0;

    for (int m = 0; m < N_MEASURES; m++) {
        if (m == PROCRUSTES || m == PROCRUSTES_ANGLE || x->why[m])
            continue;
        labels[n] = m == PROCRUSTES_DISPARITY ? "Procrustes (1 - disparity)" : measures[m].label;
        heights[n++] = m == PROCRUSTES_DISPARITY ? 1 - x->values[m] : x->values[m];
    }
    snprintf(title, sizeof title, "%.110s and %.110s, %zu words",
             r->pairs.t->sheets[r->pairs.items[0].a].name,
             r->pairs.t->sheets[r->pairs.items[0].b].name, r->pairs.t->n);
    axes.x_max = 1;
    figure_limits(&axes.x_min, &axes.x_max);
    figure = figure_begin(title);
    if (figure && wte_figure_panel(figure, &axes, 0, &err) == WTE_OK)
        wte_figure_bars(figure, heights, labels, n, NULL, NULL, NULL, NULL, 1, &err);
    return figure_end(figure, &err);
}

static int plot(const struct results *r)
{
    figure_seed(seed);
    if (r->pairs.shape == ONE_PAIR)
        return plot_measures(r);
    return plot_grid(&r->pairs, measures[measure].label, NAN, NAN);
}

/* ---- Python ----------------------------------------------------------------------------- */

static int show_python(const struct together *t)
{
    static const char code[] =
        "\n\ndef centred(x):\n"
        "    return x - x.mean(0)\n\n\n"
        "def cka(k, l):\n"
        "    return (k * l).sum() / np.sqrt((k * k).sum() * (l * l).sum())\n\n\n"
        "def hsic(k, l):  # unbiased, Song et al. 2012\n"
        "    n = len(k)\n"
        "    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))\n"
        "    return ((k * l).sum() + k.sum() * l.sum() / (n - 1) / (n - 2)\n"
        "            - 2 / (n - 2) * (k.sum(0) @ l.sum(0))) / n / (n - 3)\n\n\n"
        "def rbf(x):\n"
        "    d = scipy.spatial.distance.pdist(x, \"sqeuclidean\")\n"
        "    k = scipy.spatial.distance.squareform(d)\n"
        "    k = np.exp(-k / (2 * %.9g ** 2 * np.median(d)))\n"
        "    h = np.eye(len(k)) - 1 / len(k)\n"
        "    return h @ k @ h\n\n\n"
        "def nearest(x, k):\n"
        "    x = x / np.linalg.norm(x, axis=1, keepdims=True)\n"
        "    s = x @ x.T\n"
        "    np.fill_diagonal(s, -np.inf)\n"
        "    return np.argsort(-s, axis=1, kind=\"stable\")[:, :k]\n\n\n"
        "def cca(x, y):\n"
        "    bases = [np.linalg.svd(centred(z), full_matrices=False)[0] for z in (x, y)]\n"
        "    return np.linalg.svd(bases[0].T @ bases[1], compute_uv=False).mean()\n\n\n"
        "def leading(x, share):\n"
        "    u, s, _ = np.linalg.svd(centred(x), full_matrices=False)\n"
        "    n = np.searchsorted(np.cumsum(s**2) / (s**2).sum(), share) + 1\n"
        "    return u[:, :n] * s[:n]\n\n\n"
        "for (a, x), (b, y) in itertools.combinations(spaces.items(), 2):\n"
        "    print(a, b, len(words), \"words\")\n"
        "    xc, yc = centred(x), centred(y)\n"
        "    kx, ky = x @ x.T, y @ y.T\n"
        "    print(\"cka_linear\", cka(xc @ xc.T, yc @ yc.T))\n"
        "    print(\"cka_linear_debiased\", hsic(kx, ky) / np.sqrt(hsic(kx, kx) * hsic(ky, ky)))\n"
        "    print(\"cka_rbf\", cka(rbf(x), rbf(y)))\n"
        "    xn, yn = xc / np.linalg.norm(xc), yc / np.linalg.norm(yc)\n"
        "    nuclear = np.linalg.svd(xn.T @ yn, compute_uv=False).sum()\n"
        "    print(\"procrustes\", np.sqrt(2 - 2 * nuclear))\n"
        "    if len(words) - 1 >= max(x.shape[1], y.shape[1]):\n"
        "        print(\"cca_mean\", cca(x, y))\n"
        "    print(\"svcca_mean\", cca(leading(x, %.9g), leading(y, %.9g)))\n"
        "    k = %s\n"
        "    shared = [len(set(p) & set(q)) for p, q in zip(nearest(x, k), nearest(y, k))]\n"
        "    print(\"neighbor_overlap\", np.mean(shared) / k)\n";
    struct out text = {0};
    char given[32];
    int status;

    snprintf(given, sizeof given, "%zu", k);
    out_format(&text, code, typed(bandwidth), typed(variance), typed(variance),
               k ? given : "10 if len(words) > 20 else max(1, (len(words) - 1) // 2)");
    status = print_python(t, "import scipy.spatial\n", text.data, true);
    out_free(&text);
    return status;
}

/* ---- running ---------------------------------------------------------------------------- */

static int run(const struct together *t)
{
    struct results r = {0};
    int status = list_pairs(t, &r.pairs);

    if (status)
        goto out;
    r.k = neighbors(t);
    r.permutations = permutations != UNSET ? permutations : t->n < 6 ? 0 : 1000;
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
    for (size_t i = 0; i < r.pairs.n && r.items; i++)
        for (int m = 0; m < N_MEASURES; m++)
            free(r.items[i].why[m]);
    free(r.items);
    free(r.pairs.items);
    return status;
}

int cmd_compare(void)
{
    if (!(variance > 0 && variance <= 1))
        return usage("--variance %g: expected a share above 0, at most 1", (double)variance);
    if (!(bandwidth > 0))
        return usage("--bandwidth %g: expected a number above 0", (double)bandwidth);
    if (!(persistence > 0 && persistence < 1))
        return usage("--persistence %g: expected a number between 0 and 1", (double)persistence);
    return together_run(false, show_python, NULL, run);
}
