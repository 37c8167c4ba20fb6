/* SPDX-License-Identifier: MIT */
/* cmd_isotropy.c - does a space use all its directions?
 *
 * Without words it is the whole space that is measured, or a sample of its rows where there are
 * many; with words, or with --layer, the rows of these. Rows without a direction are left out. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "figure.h"
#include "together.h"

static size_t k = 10, sample = 100000, hub_rows = 10000;
static uint64_t seed;

static const struct option options[] = {
    {'k', NULL, OPT_COUNT, &k, "N", "neighbours of a row, for hubness (10)", NULL},
    {0, "sample", OPT_SIZE, &sample, "N",
     "measure at most N rows of a space, drawn by the seed (100000); 0: all", NULL},
    {0, "hub-rows", OPT_COUNT, &hub_rows, "N",
     "hubness compares all rows with all: of at most N of them (10000)", NULL},
    {0, "seed", OPT_NUMBER, &seed, "N", "of the rows and pairs that are drawn (0)", NULL},
    PYTHON_OPTION,
    OPTIONS_END};

static const struct example examples[] = {
    {"wte isotropy -m demo", "a whole space"},
    {"wte isotropy -m demo -m gpt2 -m bert --json", "several, one object a line"},
    {"wte isotropy -m bert --layer all --words words.txt -k 2", "words, layer by layer"},
    {NULL, NULL}};

const struct page page_isotropy = {
    .usage = {"-m MODEL [-m MODEL]... [OPTION]...",
              "-m MODEL... --layer L|all [OPTION]... WORD..."},
    .about =
        "Tells whether the rows of a space point in all directions alike.\n\n"
        "mean cosine: of random pairs of rows, about 0 where no direction is preferred. IsoScore: "
        "1 "
        "isotropic, 0 one direction. Participation ratio and effective rank: how many dimensions "
        "the variance is spread over. Partition: least over greatest sum of exp(row . "
        "eigenvector), "
        "1 isotropic. Hubness: skewness of how often a row is among the k nearest of others, about "
        "0 "
        "without hubs; anti-hubs: the share of rows that are nobody's neighbour.",
    .options = options,
    .writes = ".json .tsv",
    .examples = examples,
    .json = "{\"model\":\"gpt2\",\"layer\":null,\"n\":50257,\"dim\":768,\"mean_cosine\":0.27,"
            "\"sd_cosine\":0.06,\n \"pairs\":100000,\"iso_score\":0.1,\"participation_ratio\":57.2,"
            "\"effective_rank\":305,\n \"partition\":0.4,\"hubness\":4.1,\"anti_hubs\":0.02,...}"};

struct measured {
    const char *name; /* of the sheet */
    const char *model;
    int layer; /* -1: the space */
    size_t n, dim;
    uint64_t undirected, of; /* rows left out; rows of the space */
    wte_isotropy_result result;
};

struct results {
    struct measured *items;
    size_t n;
};

static const struct {
    const char *key, *label, *about;
} rows[] = {
    {"mean_cosine", "mean cosine", "of random pairs; 0: no direction is preferred"},
    {"sd_cosine", "its deviation", "1 / sqrt(numbers) where isotropic"},
    {"iso_score", "IsoScore", "1: isotropic, 0: one direction"},
    {"participation_ratio", "participation ratio", "dimensions the variance is spread over"},
    {"effective_rank", "effective rank", "the same, by entropy"},
    {"partition", "partition", "1: isotropic"},
    {"hubness", "hubness", "skewness of k-occurrence; 0: no hubs"},
    {"anti_hubs", "anti-hubs", "share of rows that are nobody's neighbour"}};
enum { N_ROWS = sizeof rows / sizeof *rows };

static double value_of(const struct measured *m, size_t row)
{
    const wte_isotropy_result *r = &m->result;
    const double values[N_ROWS] = {
        r->mean_cosine,    r->sd_cosine, r->iso_score, r->participation_ratio,
        r->effective_rank, r->partition, r->hubness,   r->anti_hubs};

    return values[row];
}

/* ---- text ------------------------------------------------------------------------------- */

static void write_json(struct out *o, const struct results *r)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct measured *m = &r->items[i];

        json_open(o, '{');
        json_key(o, "model");
        json_text(o, m->model);
        json_key(o, "layer");
        if (m->layer < 0)
            json_nothing(o);
        else
            json_count(o, (uint64_t)m->layer);
        json_key(o, "n");
        json_count(o, m->n);
        json_key(o, "dim");
        json_count(o, m->dim);
        for (size_t row = 0; row < N_ROWS; row++) {
            json_key(o, rows[row].key);
            json_double(o, value_of(m, row));
        }
        json_key(o, "pairs");
        json_count(o, m->result.pairs);
        json_key(o, "k");
        json_count(o, k);
        json_key(o, "hub_rows");
        json_count(o, m->n < hub_rows ? m->n : hub_rows);
        json_key(o, "undirected");
        json_count(o, m->undirected);
        json_key(o, "seed");
        json_count(o, seed);
        json_close(o, '}');
        json_line(o);
    }
}

static void write_tsv(struct out *o, const struct results *r)
{
    out_text(o, "model\tlayer\tn\tdim");
    for (size_t row = 0; row < N_ROWS; row++)
        out_format(o, "\t%s", rows[row].key);
    out_text(o, "\n");
    for (size_t i = 0; i < r->n; i++) {
        const struct measured *m = &r->items[i];

        out_tsv(o, m->model, strlen(m->model));
        if (m->layer >= 0)
            out_format(o, "\t%d", m->layer);
        else
            out_text(o, "\t");
        out_format(o, "\t%zu\t%zu", m->n, m->dim);
        for (size_t row = 0; row < N_ROWS; row++) {
            out_text(o, "\t");
            out_double(o, value_of(m, row));
        }
        out_text(o, "\n");
    }
}

/* One space: a line each with what the number means. */
static void show_one(struct out *o, const struct measured *m)
{
    struct table table;
    char count[32], of[32];

    out_style(o, BOLD);
    out_text(o, m->name);
    out_style(o, PLAIN);
    out_format(o, ": %s rows", show_count(m->n, count));
    if (m->n + m->undirected < m->of)
        out_format(o, ", drawn from %s,", show_count(m->of, of));
    out_format(o, " of %zu numbers\n", m->dim);
    if (m->undirected)
        out_format(o, "%s rows without a direction are left out\n",
                   show_count(m->undirected, count));
    table_begin(&table, "lrl", false);
    for (size_t row = 0; row < N_ROWS; row++) {
        table_cell(&table, "%s", rows[row].label);
        table_cell(&table, "%.4g", value_of(m, row));
        table_cell(&table, "%s", rows[row].about);
    }
    table_end(&table, o);
}

static void show_many(struct out *o, const struct results *r)
{
    char columns[N_ROWS + 3] = "lr";
    struct table table;

    memset(columns + 2, 'r', N_ROWS);
    table_begin(&table, columns, true);
    table_cell(&table, "%s", "");
    table_cell(&table, "rows");
    for (size_t row = 0; row < N_ROWS; row++)
        table_cell(&table, "%s", rows[row].label);
    for (size_t i = 0; i < r->n; i++) {
        table_cell(&table, "%s", r->items[i].name);
        table_cell(&table, "%zu", r->items[i].n);
        for (size_t row = 0; row < N_ROWS; row++)
            table_cell(&table, "%.4g", value_of(&r->items[i], row));
    }
    table_end(&table, o);
}

static void write_people(struct out *o, const struct results *r)
{
    char count[32];

    if (r->n == 1)
        show_one(o, &r->items[0]);
    else
        show_many(o, r);
    out_style(o, DIM);
    out_format(o, "hubness: the %zu nearest among at most %s rows; seed %llu\n", k,
               show_count(hub_rows, count), (unsigned long long)seed);
    out_style(o, PLAIN);
}

static void write_results(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct results *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[format](o, result);
}

/* ---- the figure ------------------------------------------------------------------------- */

/* Layers as lines, one for each model. */
static void plot_lines(wte_figure *figure, const struct results *r, size_t row, wte_error *err)
{
    double *x = need_memory(r->n, 2 * sizeof *x), *y = x + r->n;

    for (size_t first = 0, n; first < r->n && err->status == WTE_OK; first += n) {
        for (n = 0; first + n < r->n && r->items[first + n].model == r->items[first].model; n++) {
            x[n] = (double)n;
            y[n] = value_of(&r->items[first + n], row);
        }
        if (n == 1)
            wte_figure_points(figure, x, y, n, NULL, r->items[first].model, err);
        else
            wte_figure_line(figure, x, y, n, r->items[first].model, err);
    }
    free(x);
}

static int plot(const struct results *r, bool layers)
{
    static const size_t shown[] = {0, 2, 6}; /* of `rows` */
    const char **labels = need_memory(r->n, sizeof *labels);
    double *heights = need_memory(r->n, sizeof *heights);
    wte_figure *figure;
    wte_error err = {0};
    int status;

    figure_seed(seed);
    figure = figure_begin(NULL);
    for (size_t i = 0; i < 3 && figure && err.status == WTE_OK; i++) {
        wte_axes axes = figure_axes(rows[shown[i]].label, layers ? "layer" : NULL, NULL);

        for (size_t j = 0; j < r->n; j++) {
            labels[j] = r->items[j].name;
            heights[j] = value_of(&r->items[j], shown[i]);
        }
        if (wte_figure_panel(figure, &axes, 0, &err) != WTE_OK)
            break;
        if (layers)
            plot_lines(figure, r, shown[i], &err);
        else
            wte_figure_bars(figure, heights, labels, r->n, NULL, NULL, NULL, NULL, 0, &err);
    }
    status = figure_end(figure, &err);
    free(heights);
    free(labels);
    return status;
}

/* ---- measuring -------------------------------------------------------------------------- */

static int measure(struct measured *m, const wte_items *items)
{
    wte_error err = {0};

    m->n = items->n;
    m->dim = items->dim;
    if (items->n <= k)
        return fail("%zu rows of %s: -k %zu needs more than that", items->n, m->name, k);
    if (wte_isotropy(items, k, hub_rows, seed, (unsigned)cli.threads, &m->result, &err) != WTE_OK)
        return fail_with(&err);
    return 0;
}

/* Draw at most `sample` of a space's rows, in their order (Knuth's selection sampling). */
static int measure_space(const struct partner *p, struct measured *m)
{
    const wte_space_info *info = wte_space_get_info(p->space);
    const size_t most = sample && sample < info->n_rows ? sample : info->n_rows;
    float *data = NULL;
    wte_generator g;
    wte_items items = {NULL, 0, info->dim, p->info->name};
    size_t n_numbers = 0, taken = 0;
    wte_error err = {0};
    wte_status done = WTE_OK;
    int status = 0;

    if (__builtin_mul_overflow(most, info->dim, &n_numbers))
        return fail("%zu rows of %zu numbers are too many", most, info->dim);
    data = need_memory(n_numbers, sizeof *data);
    wte_generator_seed(&g, seed);
    for (uint32_t id = 0; id < info->n_rows && done == WTE_OK; id++) {
        const float norm = wte_space_norm(p->space, id);
        const uint64_t left = info->n_rows - id, wanted = most - taken;

        if (wanted < left && wte_generator_u64(&g) % left >= wanted)
            continue;
        taken++;
        if (!(norm > 0) || !isfinite(norm))
            m->undirected++;
        else
            done = wte_space_vector(p->space, id, data + items.n++ * info->dim, &err);
    }
    items.data = data;
    m->of = info->n_rows;
    status = done == WTE_OK ? measure(m, &items) : fail_with(&err);
    free(data);
    return status;
}

static int run(struct together *t)
{
    const bool words = together_has_words();
    struct results r = {0};
    int status = 0;

    if (asked.layer && !words)
        return usage("--layer needs words to run: give them, or --words FILE");
    if (words) {
        status = together_words(t);
        if (status == 0)
            status = together_sheets(t);
        if (status == 0)
            status = together_check(t, false);
        if (status)
            return status;
    }
    r.n = words ? t->n_sheets : t->n_partners;
    r.items = need_memory(r.n, sizeof *r.items);
    for (size_t i = 0; i < r.n && status == 0; i++) {
        const struct partner *p = &t->partners[words ? t->sheets[i].partner : i];

        r.items[i].model = p->info->name;
        r.items[i].name = words ? t->sheets[i].name : p->info->name;
        r.items[i].layer = words ? t->sheets[i].layer : -1;
        if (words) {
            const wte_items items = sheet_items(t, i);

            r.items[i].of = t->n;
            status = measure(&r.items[i], &items);
        } else {
            status = measure_space(p, &r.items[i]);
        }
    }
    if (status == 0 && figure_wanted())
        status = plot(&r, asked.layer != NULL);
    if (status == 0) {
        sink_open();
        sink_put(write_results, &r);
        status = sink_close(NULL, 0);
    }
    free(r.items);
    return status;
}

static int show_python(const struct together *t)
{
    return print_python(
        t, "",
        "\nfor name, x in spaces.items():\n"
        "    rng = np.random.default_rng(0)  # other pairs than wte's\n"
        "    unit = x / np.linalg.norm(x, axis=1, keepdims=True)\n"
        "    i, j = rng.integers(len(x), size=(2, 100000))\n"
        "    cosines = (unit[i] * unit[j]).sum(1)[i != j]\n"
        "    print(name, \"mean_cosine\", cosines.mean())\n"
        "    l = np.clip(np.linalg.eigvalsh(np.cov(x.T.astype(np.float64))), 0, None)\n"
        "    print(name, \"participation_ratio\", l.sum() ** 2 / (l**2).sum())\n"
        "    p = l[l > 0] / l.sum()\n"
        "    print(name, \"effective_rank\", np.exp(-(p * np.log(p)).sum()))\n"
        "    n = x.shape[1]\n"
        "    d = l / np.linalg.norm(l) * np.sqrt(n)\n"
        "    defect = np.linalg.norm(d - 1) / np.sqrt(2 * (n - np.sqrt(n)))\n"
        "    share = (n - defect**2 * (n - np.sqrt(n))) ** 2 / n**2\n"
        "    print(name, \"iso_score\", (n * share - 1) / (n - 1))\n",
        together_has_words());
}

int cmd_isotropy(void)
{
    struct together t;
    int status = together_open(&t, 1, 64);

    if (status == 0)
        status = asked.python ? show_python(&t) : run(&t);
    together_free(&t);
    return status;
}
