/* SPDX-License-Identifier: MIT */
/* together.c - one list of words in several models
 *
 * A word is found in each model as the other commands find it: of word vectors its row, of a model
 * its tokens, of which --pool makes one vector. Words come from the command line, where one that is
 * missing anywhere is an error unless --skip-missing lets it go; from --match, the words that all
 * models have; or from a bridge that wte match wrote. What was left out is kept as a ledger, since a
 * comparison of the words that happened to be there is worth what it left out.
 *
 * Words are matched by the library. With --pool those that are no row of a model have a place, too,
 * and are tokenised here.
 *
 * A sheet is the matrix that comparisons work on: row i is word i. Without --layer it is copied from
 * the model's space; with it the words are run, each by itself, BERT's between [CLS] and [SEP], a
 * batch at a time and all layers at once, and the rows of a word's own tokens are pooled. Word
 * vectors have no layers: they stand beside the others as they are. */
#include "together.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "figure.h"
#include "prompt.h"

enum { MAX_TOKENS = 4096, BATCH = 32, BATCH_ROWS = 512 };

struct asked asked;

const struct option several_options[] = {
    {'m', "model", OPT_LIST, &cli.models, "MODEL",
     "name, folder or file of a model; once for each model", NULL},
    {0, "embeddings", OPT_CHOICE, &cli.embeddings, "MATRIX",
     "which matrix of a GPT-2 or BERT model is its space: input (the default) or output",
     "input|output"},
    {0, "transform", OPT_TEXT, &cli.transform, "T[,T...]",
     "apply to each space first: center, abtt:D (all but the top D components), unit, pca:D", NULL},
    {0, "no-cache", OPT_FLAG, &cli.no_cache, NULL,
     "neither use nor keep anything of the models' files in the cache folder", NULL},
    {0, "threads", OPT_COUNT, &cli.threads, "N",
     "use N threads (one per processor); answers never depend on it", NULL},
    OPTIONS_END};

const struct option matching_options[] = {
    {0, "length", OPT_SIZE, &asked.length, "N", "matching: only words of N characters", NULL},
    {0, "limit", OPT_SIZE, &asked.limit, "N",
     "matching: only the first N, in the first model's order", NULL},
    {0, "any-case", OPT_FLAG, &asked.any_case, NULL,
     "matching: also \"Paris\" for \"paris\" where there is no such word", NULL},
    {0, "prefix-space", OPT_FLAG, &cli.prefix_space, NULL,
     "put a space before each word where GPT-2 models tokenise it, as within a text", NULL},
    {0, "prefix-space-a", OPT_FLAG, &asked.prefix_a, NULL, "the same in the first model only",
     NULL},
    {0, "prefix-space-b", OPT_FLAG, &asked.prefix_b, NULL, "the same in the second model only",
     NULL},
    {0, "pool", OPT_CHOICE, &cli.pool, "HOW",
     "make one vector of a word of several tokens: first, last, or their mean; without it such a "
     "word is an error, and does not match",
     "none|first|mean|last"},
    OPTIONS_END};

const struct option list_options[] = {
    {0, "words", OPT_TEXT, &cli.words_file, "FILE",
     "more words from a file, one a line (the first column of a TSV); - is standard input", NULL},
    {0, "match", OPT_FLAG, &asked.match, NULL,
     "compare the words that the models share (see wte match)", NULL},
    {0, "bridge", OPT_TEXT, &asked.bridge, "FILE", "compare the words of a bridge (wte match -o)",
     NULL},
    {0, "skip-missing", OPT_FLAG, &asked.skip_missing, NULL,
     "leave out words that a model lacks; without it they are an error", NULL},
    {0, "layer", OPT_TEXT, &asked.layer, "L",
     "compare hidden states: 0 (the sum of the embeddings) to the number of blocks, one for each "
     "model with commas, or all",
     NULL},
    OPTIONS_END};

/* ---- the models ------------------------------------------------------------------------- */

static int transform(struct partner *p, const wte_space *from, wte_space **out)
{
    wte_open_options options = open_options();
    wte_transform transforms[16];
    wte_error err = {0};
    size_t n = 0;
    int status = 0;

    if (wte_transform_parse(cli.transform, transforms, sizeof transforms / sizeof *transforms, &n,
                            &err) != WTE_OK)
        return usage("--transform %s: %s", cli.transform, err.message);
    signals_wait(true);
    if (wte_space_transform(from, transforms, n, &options, out, &err) != WTE_OK)
        status = err.status == WTE_E_CANCELLED ? fail_with(&err)
                                               : fail("%s: %s", p->info->name, err.message);
    return signals_end(status);
}

static int open_partner(struct partner *p, const char *name)
{
    wte_error err = {0};
    int status = open_named_model(name, &p->model);

    if (status)
        return status;
    p->info = wte_model_get_info(p->model);
    p->tokenizer = wte_model_tokenizer(p->model);
    figure_input(p->info->path);
    if (wte_model_space(p->model, (wte_embeddings)cli.embeddings, &p->base, &err) != WTE_OK)
        return fail_with(&err);
    p->space = p->base;
    p->space_info = wte_space_get_info(p->base);
    if (*p->space_info->note)
        note("%s: %s", p->space_info->path, p->space_info->note);
    return 0;
}

static bool takes_space(const struct partner *p)
{
    return p->tokenizer && wte_tokenizer_get_info(p->tokenizer)->kind == WTE_TOKENIZER_GPT2;
}

int together_open(struct together *t, size_t least, size_t most)
{
    const size_t n = cli.models.n;
    const bool own[2] = {asked.prefix_a, asked.prefix_b};
    int status = 0;

    *t = (struct together){0};
    if (n < least || n > most)
        return usage("expected %s%zu models, there are %zu: give -m for each",
                     most > least ? "at least " : "", n > most ? most : least, n);
    t->partners = need_memory(n, sizeof *t->partners);
    t->n_partners = n;
    for (size_t i = 0; i < n && status == 0; i++) {
        struct partner *p = &t->partners[i];

        status = open_partner(p, cli.models.items[i]);
        if (status == 0 && i < 2 && own[i] && !takes_space(p))
            status = fail("--prefix-space-%c: the tokens of %s do not begin with spaces", "ab"[i],
                          p -> info -> name);
        if (status == 0)
            p->prefix_space = takes_space(p) && (cli.prefix_space || (i < 2 && own[i]));
        if (status == 0 && cli.transform && !asked.layer) {
            status = transform(p, p->base, &p->own);
            p->space = p->own;
        }
    }
    return status;
}

/* ---- words ------------------------------------------------------------------------------ */

bool together_has_words(void)
{
    return cli.words.n || cli.words_file || asked.match || asked.bridge;
}

/* Add a word whose tokens were found, one list for each model. */
static void add_word(struct together *t, const char *text, size_t len, const uint32_t *const *ids,
                     const size_t *n_ids)
{
    char *own = need_memory(len + 1, 1);

    memcpy(own, text, len);
    t->words = need_more(t->words, &t->words_capacity, t->n + 1, sizeof *t->words);
    t->words[t->n] = (struct field){own, len};
    t->tokens =
        need_more(t->tokens, &t->tokens_capacity, (t->n + 1) * t->n_partners, sizeof *t->tokens);
    for (size_t p = 0; p < t->n_partners; p++) {
        t->tokens[t->n * t->n_partners + p] = (struct tokens){t->n_ids, n_ids[p]};
        t->ids = need_more(t->ids, &t->ids_capacity, t->n_ids + n_ids[p], sizeof *t->ids);
        memcpy(t->ids + t->n_ids, ids[p], n_ids[p] * sizeof *t->ids);
        t->n_ids += n_ids[p];
    }
    t->n++;
}

static wte_status too_many(wte_error *err, const char *fmt, const char *text, size_t len, size_t n)
{
    err->status = WTE_E_RANGE;
    snprintf(err->message, sizeof err->message, fmt, len < 80 ? (int)len : 80, text, n);
    return err->status;
}

/* Find a word's tokens in one model. */
static wte_status find_tokens(const struct partner *p, const char *text, size_t len, uint32_t *ids,
                              size_t *n, wte_error *err)
{
    const wte_word_options own = {p->prefix_space, (wte_pool)cli.pool};
    wte_status status;

    if (!p->tokenizer) {
        *n = 1;
        status = wte_space_find(p->base, text, len, ids, NULL);
        return status == WTE_E_NOTFOUND && !asked.skip_missing
                   ? wte_space_find(p->base, text, len, ids, err)
                   : status;
    }
    if (cli.pool == WTE_POOL_NONE) {
        *n = 1;
        return wte_model_word_id(p->model, text, len, &own, ids, err);
    }
    status = wte_model_word_ids(p->model, text, len, &own, ids, MAX_TOKENS, n, err);
    if (status == WTE_OK && *n > MAX_TOKENS)
        return too_many(err, "'%.*s' has %zu tokens, which are too many", text, len, *n);
    if (status == WTE_OK && *n == 0)
        return too_many(err, "'%.*s' has %zu tokens", text, len, *n);
    return status;
}

/* Count a word that was left out. */
static void lose(struct together *t, const char *why, const char *text, size_t len)
{
    wte_ledger_line *line = NULL;

    for (size_t i = 0; i < t->n_ledger && !line; i++)
        if (strcmp(t->ledger[i].why, why) == 0)
            line = &t->ledger[i];
    if (!line) {
        wte_ledger_line *more = need_memory(t->n_ledger + 1, sizeof *more);
        char *own = need_memory(strlen(why) + 1, 1);

        if (t->n_ledger)
            memcpy(more, t->ledger, t->n_ledger * sizeof *more);
        free(t->ledger);
        t->ledger = more;
        line = &t->ledger[t->n_ledger++];
        line->why = memcpy(own, why, strlen(why));
        add_text(&t->owned, own);
    }
    if (line->n_examples < sizeof line->examples / sizeof *line->examples) {
        char *word = figure_word(text, len);

        line->examples[line->n_examples++] = word;
        add_text(&t->owned, word);
    }
    line->count++;
}

/* Find a word in all models. Returns 0 (it was added or left out) or an exit status. */
static int find_everywhere(struct together *t, const char *text, size_t len, const char *place,
                           uint32_t *ids)
{
    const uint32_t **lists = need_memory(t->n_partners, sizeof *lists);
    size_t *n_ids = need_memory(t->n_partners, sizeof *n_ids);
    wte_error err = {0};
    int status = 0;
    bool found = true;

    for (size_t i = 0; i < t->n_partners && found && status == 0; i++) {
        const struct partner *p = &t->partners[i];

        lists[i] = ids + i * MAX_TOKENS;
        found = find_tokens(p, text, len, ids + i * MAX_TOKENS, &n_ids[i], &err) == WTE_OK;
        if (!found && asked.skip_missing) {
            char why[300];

            snprintf(why, sizeof why, "not in %.200s", p->info->name);
            lose(t, why, text, len);
        } else if (!found) {
            status = fail("%s%s", place, err.message);
        }
    }
    if (found)
        add_word(t, text, len, lists, n_ids);
    free(n_ids);
    free(lists);
    return status;
}

static int find_lines(struct together *t, const char *path, uint32_t *ids)
{
    struct lines lines;
    char *word, place[300];
    size_t len;
    int status = 0;

    if (!lines_open(&lines, path))
        return EXIT_FAILED;
    while (status == 0 && lines_next_word(&lines, &word, &len)) {
        snprintf(place, sizeof place, "%.200s, line %llu: ", lines.path,
                 (unsigned long long)lines.number);
        status = find_everywhere(t, word, len, place, ids);
    }
    if (status == 0)
        status = cli.status;
    lines_close(&lines);
    return status;
}

static int compare_fields(const void *a, const void *b)
{
    const struct field *x = *(struct field *const *)a, *y = *(struct field *const *)b;
    int order = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);

    return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* A word that is there twice has a distance of 0 in every model, which is agreement about nothing. */
static int refuse_duplicates(const struct together *t)
{
    struct field **sorted = need_memory(t->n, sizeof *sorted);
    int status = 0;

    for (size_t i = 0; i < t->n; i++)
        sorted[i] = &t->words[i];
    if (t->n)
        qsort(sorted, t->n, sizeof *sorted, compare_fields);
    for (size_t i = 1; i < t->n && status == 0; i++)
        if (compare_fields(&sorted[i - 1], &sorted[i]) == 0)
            status = fail("'%s' is given twice: equal words agree in every model", sorted[i]->text);
    free(sorted);
    return status;
}

static int find_given(struct together *t)
{
    uint32_t *ids = need_memory(t->n_partners, MAX_TOKENS * sizeof *ids);
    int status = 0;

    if (reads_queries())
        status = find_lines(t, "-", ids);
    for (size_t i = 0; status == 0 && !reads_queries() && i < cli.words.n; i++)
        status = find_everywhere(t, cli.words.items[i], strlen(cli.words.items[i]), "", ids);
    if (status == 0 && cli.words_file)
        status = find_lines(t, cli.words_file, ids);
    free(ids);
    return status ? status : refuse_duplicates(t);
}

/* ---- words that the models share -------------------------------------------------------- */

/* Take over what the library matched; words that are let in to be pooled are tokenised. */
static int take_bridge(struct together *t)
{
    const wte_ledger_line *lines = NULL;
    const size_t n = wte_bridge_length(t->bridge), n_lines = wte_bridge_ledger(t->bridge, &lines);
    uint32_t *ids = need_memory(t->n_partners, MAX_TOKENS * sizeof *ids);
    const uint32_t **lists = need_memory(t->n_partners, sizeof *lists);
    size_t *n_ids = need_memory(t->n_partners, sizeof *n_ids);
    wte_error err = {0};
    int status = 0;

    for (size_t p = 0; p < t->n_partners; p++)
        lists[p] = ids + p * MAX_TOKENS;
    for (size_t i = 0; i < n && status == 0; i++) {
        size_t len = 0;
        const char *word = wte_bridge_word(t->bridge, i, &len);

        for (size_t p = 0; p < t->n_partners && status == 0; p++) {
            uint32_t *own = ids + p * MAX_TOKENS;

            *own = wte_bridge_id(t->bridge, i, p);
            n_ids[p] = 1;
            if (*own == WTE_BRIDGE_PIECES &&
                find_tokens(&t->partners[p], word, len, own, &n_ids[p], &err) != WTE_OK)
                status = fail_with(&err);
        }
        if (status == 0)
            add_word(t, word, len, lists, n_ids);
    }
    t->ledger = need_memory(n_lines, sizeof *t->ledger);
    t->n_ledger = n_lines;
    if (n_lines)
        memcpy(t->ledger, lines, n_lines * sizeof *lines);
    free(n_ids);
    free(lists);
    free(ids);
    return status;
}

int together_match(struct together *t)
{
    wte_bridge_options options = WTE_BRIDGE_DEFAULTS;
    const wte_space **spaces = need_memory(t->n_partners, sizeof *spaces);
    int *spaced = need_memory(t->n_partners, 2 * sizeof *spaced), *pooled = spaced + t->n_partners;
    wte_error err = {0};
    wte_status done;
    int status;

    for (size_t p = 0; p < t->n_partners; p++) {
        spaces[p] = t->partners[p].base;
        spaced[p] = t->partners[p].prefix_space;
        pooled[p] = p > 0 && cli.pool != WTE_POOL_NONE && t->partners[p].tokenizer;
    }
    options.length = asked.length;
    options.limit = asked.limit;
    options.prefix_space = spaced;
    options.pooled = pooled;
    options.any_case = asked.any_case;
    options.n_threads = (unsigned)cli.threads;
    if (asked.bridge)
        done = wte_bridge_load(asked.bridge, spaces, t->n_partners, &t->bridge, &err);
    else
        done = wte_bridge_match(spaces, t->n_partners, &options, &t->bridge, &err);
    status = done == WTE_OK ? take_bridge(t) : fail_with(&err);
    free(spaced);
    free(spaces);
    return status;
}

int together_words(struct together *t)
{
    const bool given = cli.words.n || cli.words_file;
    int status;

    if (given + asked.match + (asked.bridge != NULL) != 1)
        return usage(given || asked.match || asked.bridge
                         ? "words come from the command line, from --match or from --bridge: give "
                           "one of them"
                         : "words are missing: give them, --words FILE, --match or --bridge FILE");
    if (!asked.match && (asked.length || asked.limit || asked.any_case))
        return usage("--length, --limit and --any-case go with --match");
    if (asked.bridge)
        figure_input(asked.bridge);
    status = given ? find_given(t) : together_match(t);
    if (status == 0 && t->n == 0)
        status = fail("the models share none of these words");
    if (status)
        return status;
    t->labels = need_memory(t->n, sizeof *t->labels);
    for (size_t i = 0; i < t->n; i++)
        t->labels[i] = figure_word(t->words[i].text, t->words[i].len);
    return 0;
}

/* ---- sheets ----------------------------------------------------------------------------- */

/* Make one row of n rows. */
static void pool_rows(const float *rows, size_t n, size_t dim, float *out)
{
    if (n == 1 || cli.pool == WTE_POOL_FIRST || cli.pool == WTE_POOL_LAST) {
        memcpy(out, rows + (cli.pool == WTE_POOL_LAST ? n - 1 : 0) * dim, dim * sizeof *out);
        return;
    }
    for (size_t j = 0; j < dim; j++) {
        double sum = 0;

        for (size_t i = 0; i < n; i++)
            sum += (double)rows[i * dim + j];
        out[j] = (float)(sum / (double)n);
    }
}

static const struct tokens *tokens_of(const struct together *t, size_t word, size_t partner)
{
    return &t->tokens[word * t->n_partners + partner];
}

static float *new_rows(const struct together *t, size_t dim)
{
    size_t n = 0;

    if (__builtin_mul_overflow(t->n, dim, &n))
        exit(fail("%zu words of %zu numbers are too many", t->n, dim));
    return need_memory(n, sizeof(float));
}

bool is_namesake(const struct together *t, size_t partner)
{
    for (size_t p = 0; p < t->n_partners; p++)
        if (p != partner && strcmp(t->partners[p].info->name, t->partners[partner].info->name) == 0)
            return true;
    return false;
}

static struct sheet *add_sheet(struct together *t, size_t partner, int layer, size_t dim)
{
    struct sheet *more = need_memory(t->n_sheets + 1, sizeof *more), *s;
    struct out name = {0};

    if (t->n_sheets)
        memcpy(more, t->sheets, t->n_sheets * sizeof *more);
    free(t->sheets);
    t->sheets = more;
    s = &t->sheets[t->n_sheets++];
    out_text(&name, t->partners[partner].info->name);
    if (is_namesake(t, partner))
        out_format(&name, " (%c)", (char)('a' + partner % 26));
    if (layer >= 0)
        out_format(&name, " layer %d", layer);
    *s = (struct sheet){name.data, partner, layer, new_rows(t, dim), dim};
    return s;
}

/* Rows of the model's space. */
static int copy_rows(struct together *t, size_t partner)
{
    const struct partner *p = &t->partners[partner];
    const size_t dim = wte_space_get_info(p->space)->dim;
    const struct sheet *s = add_sheet(t, partner, -1, dim);
    float *rows = need_memory(MAX_TOKENS, dim * sizeof *rows);
    wte_error err = {0};
    wte_status status = WTE_OK;

    for (size_t i = 0; i < t->n && status == WTE_OK; i++) {
        const struct tokens *k = tokens_of(t, i, partner);

        for (size_t j = 0; j < k->n && status == WTE_OK; j++)
            status = wte_space_vector(p->space, t->ids[k->first + j], rows + j * dim, &err);
        if (status == WTE_OK)
            pool_rows(rows, k->n, dim, s->rows + i * dim);
    }
    free(rows);
    return status == WTE_OK ? 0 : fail_with(&err);
}

/* Which layers of a model are asked for: the numbers between commas, or all. */
static int layers_of(const struct together *t, size_t partner, size_t *first, size_t *n)
{
    const struct partner *p = &t->partners[partner];
    const char *at = asked.layer;
    uint64_t number = 0;
    char digits[16];

    *first = 0;
    *n = p->info->n_layer + 1;
    if (strcmp(asked.layer, "all") == 0)
        return 0;
    if (strchr(asked.layer, ','))
        for (size_t i = 0; i < partner && at; i++) {
            at = strchr(at, ',');
            at = at ? at + 1 : NULL;
        }
    snprintf(digits, sizeof digits, "%.*s", at ? (int)strcspn(at, ",") : 0, at ? at : "");
    if (!parse_number(digits, INT32_MAX, &number))
        return usage("--layer %s: expected a number from 0, one for each model with commas, or all",
                     asked.layer);
    if (number > p->info->n_layer)
        return fail("--layer %s: %s has layers 0 (embeddings) to %zu", asked.layer, p->info->name,
                    p->info->n_layer);
    *first = (size_t)number;
    *n = 1;
    return 0;
}

/* The tokens of a word as they are run: BERT's between [CLS] and [SEP]. Returns how many. */
static size_t run_tokens(const struct together *t, size_t word, size_t partner, uint32_t *out,
                         size_t *before)
{
    const struct partner *p = &t->partners[partner];
    const struct tokens *k = tokens_of(t, word, partner);
    int64_t cls = -1, sep = -1;
    size_t n = 0;

    if (p->info->family == WTE_FAMILY_BERT) {
        cls = wte_tokenizer_get_info(p->tokenizer)->cls;
        sep = wte_tokenizer_get_info(p->tokenizer)->sep;
    }
    *before = cls >= 0;
    if (cls >= 0)
        out[n++] = (uint32_t)cls;
    memcpy(out + n, t->ids + k->first, k->n * sizeof *out);
    n += k->n;
    if (sep >= 0)
        out[n++] = (uint32_t)sep;
    return n;
}

/* One batch of words from `first` on, through all layers. Returns how many words there were, 0 after
 * a message. */
static size_t run_batch(struct together *t, size_t partner, size_t first, size_t sheet,
                        wte_session *session, int *status)
{
    const size_t n_ctx = wte_network_get_info(wte_session_network(session))->n_ctx;
    uint32_t *ids = need_memory(BATCH_ROWS + n_ctx, 2 * sizeof *ids);
    uint32_t *sequences = ids + BATCH_ROWS + n_ctx;
    size_t begin[BATCH], before = 0, n = 0;
    wte_batch batch = {ids, sequences, NULL, NULL, NULL, 0, WTE_LOGITS_NONE};
    wte_error err = {0};
    wte_array a;

    for (; first + n < t->n && n < BATCH; n++) {
        const size_t len = tokens_of(t, first + n, partner)->n + 2;

        if (n && batch.n + len > BATCH_ROWS)
            break;
        begin[n] = batch.n;
        batch.n += run_tokens(t, first + n, partner, ids + batch.n, &before);
        for (size_t i = begin[n]; i < batch.n; i++)
            sequences[i] = (uint32_t)n;
        wte_session_truncate(session, (uint32_t)n, 0);
    }
    if (wte_session_run(session, &batch, &err) != WTE_OK) {
        *status = fail_with(&err);
        n = 0;
    }
    for (size_t s = sheet; s < t->n_sheets && n; s++) {
        const size_t dim = t->sheets[s].dim;
        char name[48];

        snprintf(name, sizeof name, "hidden_states.%d", t->sheets[s].layer);
        if (wte_session_tapped(session, name, &a, &err) != WTE_OK) {
            *status = fail_with(&err);
            n = 0;
        }
        for (size_t i = 0; i < n; i++)
            pool_rows(a.data + (begin[i] + before) * dim, tokens_of(t, first + i, partner)->n, dim,
                      t->sheets[s].rows + (first + i) * dim);
    }
    free(ids);
    return n;
}

/* Apply --transform to the words' rows alone: a layer has no others. */
static int transform_sheet(struct together *t, struct sheet *s)
{
    uint64_t *offsets = need_memory(t->n + 1, sizeof *offsets);
    char *names = need_memory(t->n, 12);
    wte_space *rows = NULL, *made = NULL;
    float *own = NULL;
    wte_error err = {0};
    int status = 0;

    for (size_t i = 0; i < t->n; i++)
        offsets[i + 1] = offsets[i] + (uint64_t)snprintf(names + offsets[i], 12, "%u", (unsigned)i);
    if (wte_space_new(s->name, names, offsets, s->rows, WTE_F32, (uint32_t)t->n, s->dim, s->dim,
                      (unsigned)cli.threads, &rows, &err) != WTE_OK)
        status = fail_with(&err);
    if (status == 0)
        status = transform(&t->partners[s->partner], rows, &made);
    if (status == 0) {
        const size_t dim = wte_space_get_info(made)->dim;

        own = new_rows(t, dim);
        for (size_t i = 0; i < t->n; i++)
            wte_space_vector(made, (uint32_t)i, own + i * dim, NULL);
        free(s->rows);
        s->rows = own;
        s->dim = dim;
    }
    wte_space_free(made);
    wte_space_free(rows);
    free(names);
    free(offsets);
    return status;
}

static int run_words(struct together *t, size_t partner)
{
    const struct partner *p = &t->partners[partner];
    const size_t first_sheet = t->n_sheets;
    const wte_network *network = NULL;
    const wte_network_info *info;
    wte_session *session = NULL;
    size_t longest = 0, done = 0, first = 0, n_layers = 0;
    wte_error err = {0};
    int status = layers_of(t, partner, &first, &n_layers);

    if (status)
        return status;
    if (p->info->family == WTE_FAMILY_BERT && !p->tokenizer)
        return fail("%s has no tokenizer files, so that its [CLS] and [SEP] are not known",
                    p->info->name);
    if (wte_model_network(p->model, WTE_PRECISION_F32, &network, &err) != WTE_OK)
        return fail_with(&err);
    info = wte_network_get_info(network);
    for (size_t l = 0; l < n_layers; l++)
        add_sheet(t, partner, (int)(first + l), info->n_embd);
    for (size_t i = 0; i < t->n && status == 0; i++) {
        const size_t n = tokens_of(t, i, partner)->n + 2;

        longest = n > longest ? n : longest;
        if (n > info->n_ctx)
            status = fail("'%s' has %zu tokens, %s has %zu positions", t->labels[i], n - 2,
                          p->info->name, info->n_ctx);
    }
    if (status == 0)
        status = open_session(network, longest, t->n < BATCH ? t->n : BATCH, &session);
    for (size_t s = first_sheet; s < t->n_sheets && status == 0; s++) {
        char name[48];

        snprintf(name, sizeof name, "hidden_states.%d", t->sheets[s].layer);
        if (wte_session_tap(session, name, &err) != WTE_OK)
            status = fail_with(&err);
    }
    signals_wait(true);
    while (status == 0 && done < t->n) {
        done += run_batch(t, partner, done, first_sheet, session, &status);
        if (status == 0 && show_progress(NULL, "running words", done, t->n))
            status = 128 + signals_caught();
    }
    status = signals_end(status);
    close_session(session);
    for (size_t s = first_sheet; s < t->n_sheets && status == 0 && cli.transform; s++)
        status = transform_sheet(t, &t->sheets[s]);
    return status;
}

int together_sheets(struct together *t)
{
    bool any = false;
    int status = 0;

    for (size_t p = 0; p < t->n_partners; p++)
        any |= t->partners[p].info->family != WTE_FAMILY_VECTORS;
    if (asked.layer && !any)
        return fail("--layer: word vectors have no layers");
    for (size_t p = 0; p < t->n_partners && status == 0; p++)
        status = asked.layer && t->partners[p].info->family != WTE_FAMILY_VECTORS ? run_words(t, p)
                                                                                  : copy_rows(t, p);
    return status;
}

int together_check(const struct together *t, bool spread)
{
    for (size_t s = 0; s < t->n_sheets; s++)
        for (size_t i = 0; i < t->n; i++) {
            const struct sheet *sheet = &t->sheets[s];
            const float *row = sheet->rows + i * sheet->dim;
            bool same = true;

            for (size_t j = 0; j < sheet->dim; j++) {
                if (!isfinite(row[j]))
                    return fail("'%s' has a number in %s that is not finite", t->labels[i],
                                sheet->name);
                same &= row[j] == row[0];
            }
            if (same && (row[0] == 0 || spread))
                return fail("'%s' has the same number everywhere in %s, %g: its %s is not defined",
                            t->labels[i], sheet->name, (double)row[0],
                            spread ? "correlation" : "cosine");
        }
    return 0;
}

wte_items sheet_items(const struct together *t, size_t sheet)
{
    const struct sheet *s = &t->sheets[sheet];

    return (wte_items){s->rows, t->n, s->dim, s->name};
}

int together_run(bool spread, together_fn python, together_fn ready, together_fn run)
{
    const bool all = asked.layer && strcmp(asked.layer, "all") == 0;
    struct together t;
    int status = together_open(&t, all ? 1 : 2, 64);

    if (status == 0 && asked.python) {
        status = python(&t);
    } else if (status == 0) {
        status = together_words(&t);
        if (status == 0 && ready)
            status = ready(&t);
        if (status == 0)
            status = together_sheets(&t);
        if (status == 0)
            status = together_check(&t, spread);
        if (status == 0)
            status = run(&t);
    }
    together_free(&t);
    return status;
}

void together_free(struct together *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->words[i].text);
    for (size_t i = 0; i < t->n && t->labels; i++)
        free(t->labels[i]);
    for (size_t s = 0; s < t->n_sheets; s++) {
        free(t->sheets[s].name);
        free(t->sheets[s].rows);
    }
    for (size_t p = 0; p < t->n_partners; p++) {
        wte_space_free(t->partners[p].own);
        wte_model_free(t->partners[p].model);
    }
    wte_bridge_free(t->bridge);
    for (size_t i = 0; i < t->owned.n; i++)
        free((void *)(uintptr_t)t->owned.items[i]);
    free(t->owned.items);
    free(t->ledger);
    free(t->sheets);
    free(t->ids);
    free(t->tokens);
    free(t->labels);
    free(t->words);
    free(t->partners);
}

/* ---- what was left out ------------------------------------------------------------------ */

void json_list(struct out *o, const struct together *t)
{
    json_key(o, "tokens");
    json_open(o, '[');
    for (size_t i = 0; i < t->n; i++)
        json_bytes(o, t->words[i].text, t->words[i].len);
    json_close(o, ']');
}

void json_lost(struct out *o, const struct together *t)
{
    json_key(o, "lost");
    json_open(o, '[');
    for (size_t l = 0; l < t->n_ledger; l++) {
        if (t->ledger[l].matched)
            continue;
        json_open(o, '{');
        json_key(o, "why");
        json_text(o, t->ledger[l].why);
        json_key(o, "count");
        json_count(o, t->ledger[l].count);
        json_key(o, "examples");
        json_open(o, '[');
        for (size_t i = 0; i < t->ledger[l].n_examples; i++)
            json_text(o, t->ledger[l].examples[i]);
        json_close(o, ']');
        json_close(o, '}');
    }
    json_close(o, ']');
}

uint64_t lost_words(const struct together *t)
{
    uint64_t n = 0;

    for (size_t l = 0; l < t->n_ledger; l++)
        n += t->ledger[l].matched ? 0 : t->ledger[l].count;
    return n;
}

void show_lost(struct out *o, const struct together *t)
{
    char count[32];

    if (!lost_words(t))
        return;
    out_style(o, DIM);
    out_format(o, "left out: %s words", show_count(lost_words(t), count));
    for (size_t l = 0, shown = 0; l < t->n_ledger; l++)
        if (t->ledger[l].count && !t->ledger[l].matched)
            out_format(o, "%s %s (%s)", shown++ ? "," : ":", show_count(t->ledger[l].count, count),
                       t->ledger[l].why);
    out_text(o, "\n");
    out_style(o, PLAIN);
}
