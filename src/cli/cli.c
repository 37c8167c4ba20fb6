/* SPDX-License-Identifier: MIT */
/* cli.c - messages, the model, words and lines of input
 *
 * What lives here is what a command would otherwise repeat. A word of several tokens, made one
 * vector by --pool, gets an id behind the rows of the space, and rows_of() makes a small space of
 * it and its company for the library's functions. Memory that lasts as long as the
 * program (the space, the words of the command line) is not freed: the system does it faster. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cli cli;

/* ---- messages --------------------------------------------------------------------------- */

static void print_prefix(void)
{
    clear_progress();
    if (cli.command)
        fprintf(stderr, "wte: %s: ", cli.command->name);
    else
        fputs("wte: ", stderr);
}

/* Words and paths may hold any byte: what would break the line or move the cursor becomes '?'. */
static void print_line(const char *fmt, va_list args, const char *ending)
{
    char text[1024];

    vsnprintf(text, sizeof text, fmt, args);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            *c = '?';
    fprintf(stderr, "%s%s\n", text, ending);
}

int fail(const char *fmt, ...)
{
    va_list args;

    print_prefix();
    va_start(args, fmt);
    print_line(fmt, args, "");
    va_end(args);
    return EXIT_FAILED;
}

int usage(const char *fmt, ...)
{
    va_list args;
    char hint[64] = " (see 'wte --help')";

    if (cli.command)
        snprintf(hint, sizeof hint, " (see 'wte %s --help')", cli.command->name);
    print_prefix();
    va_start(args, fmt);
    print_line(fmt, args, hint);
    va_end(args);
    return EXIT_USAGE;
}

int fail_with(const wte_error *err)
{
    if (err->status == WTE_E_CANCELLED && signals_caught()) {
        clear_progress();
        return 128 + signals_caught();
    }
    return fail("%s", err->message);
}

void note(const char *fmt, ...)
{
    va_list args;

    if (cli.quiet)
        return;
    clear_progress();
    fputs("wte: ", stderr);
    va_start(args, fmt);
    print_line(fmt, args, "");
    va_end(args);
}

/* ---- memory ----------------------------------------------------------------------------- */

static void *no_memory(size_t n, size_t size)
{
    exit(fail("no memory for %zu x %zu bytes", n, size));
}

void *need_memory(size_t n, size_t size)
{
    void *memory = calloc(n ? n : 1, size);

    return memory ? memory : no_memory(n, size);
}

void *need_more(void *array, size_t *capacity, size_t n, size_t size)
{
    size_t wanted = n, bytes;
    void *grown;

    if (n <= *capacity)
        return array;
    if (wanted < *capacity + *capacity / 2)
        wanted = *capacity + *capacity / 2;
    if (wanted < 16)
        wanted = 16;
    if (__builtin_mul_overflow(wanted, size, &bytes))
        return no_memory(wanted, size);
    grown = realloc(array, bytes);
    if (!grown)
        return no_memory(wanted, size);
    *capacity = wanted;
    return grown;
}

void add_text(struct texts *list, const char *text)
{
    list->items = need_more(list->items, &list->capacity, list->n + 1, sizeof *list->items);
    list->items[list->n++] = text;
}

/* ---- the model -------------------------------------------------------------------------- */

wte_open_options open_options(void)
{
    wte_open_options options = WTE_OPEN_DEFAULTS;

    options.cache = cli.no_cache ? WTE_CACHE_NEVER : WTE_CACHE_AUTO;
    options.n_threads = (unsigned)cli.threads;
    options.progress = show_progress;
    return options;
}

/* Say what happened to the index: a person wants to know what was put where. */
static void tell_index(const wte_space_info *info)
{
    char size[32], rows[32];

    switch (info->index) {
    case WTE_INDEX_BUILT:
        note("indexed %s rows of %s: %s in %s (wte cache lists it, --no-cache turns it off)",
             show_count(info->n_rows, rows), info->path, show_size(info->index_bytes, size),
             info->index_path);
        break;
    case WTE_INDEX_REBUILT:
        note("indexed %s again, %s: %s in %s", info->path, info->index_note,
             show_size(info->index_bytes, size), info->index_path);
        break;
    case WTE_INDEX_FAILED:
        note("%s: no index kept: %s", info->path, info->index_note);
        break;
    case WTE_INDEX_NONE:
    case WTE_INDEX_FOUND:
        break;
    }
}

static int transform_space(const wte_open_options *options)
{
    wte_transform transforms[16];
    wte_error err = {0};
    wte_space *space = NULL;
    size_t n = 0;

    if (wte_transform_parse(cli.transform, transforms, sizeof transforms / sizeof *transforms, &n,
                            &err) != WTE_OK)
        return usage("--transform %s: %s", cli.transform, err.message);
    if (wte_space_transform(cli.base, transforms, n, options, &space, &err) != WTE_OK)
        return fail_with(&err);
    cli.space = space; /* base lives on: they share the words */
    cli.info = wte_space_get_info(space);
    return 0;
}

int open_named_model(const char *name, wte_model **out)
{
    wte_open_options options = open_options();
    wte_error err = {0};
    int status = 0;

    signals_wait(true);
    if (wte_model_open(name, &options, out, &err) != WTE_OK)
        status = fail_with(&err);
    return signals_end(status);
}

int open_model(void)
{
    if (cli.models.n > 1)
        return usage("one -m is enough, there are %zu", cli.models.n);
    return open_named_model(cli.models.n ? cli.models.items[0] : NULL, &cli.model);
}

int open_space(void)
{
    wte_open_options options = open_options();
    wte_error err = {0};
    int status = 0;

    if (wte_model_space(cli.model, (wte_embeddings)cli.embeddings, &cli.base, &err) != WTE_OK)
        return fail_with(&err);
    cli.space = cli.base;
    cli.info = wte_space_get_info(cli.space);
    tell_index(cli.info);
    if (*cli.info->note && cli.command->run != cmd_info)
        note("%s: %s", cli.info->path, cli.info->note);
    if (cli.transform) {
        signals_wait(true);
        status = transform_space(&options);
        status = signals_end(status);
    }
    return status;
}

const wte_tokenizer *tokenizer_of(const wte_model *model)
{
    const wte_tokenizer *tokenizer = wte_model_tokenizer(model);
    const wte_model_info *info = wte_model_get_info(model);

    if (tokenizer)
        return tokenizer;
    if (info->family == WTE_FAMILY_VECTORS)
        fail("%s is word vectors, which have no tokenizer: -m takes a GPT-2 or BERT model",
             info->name);
    else
        fail("%s has no tokenizer files: no vocab.json and merges.txt, vocab.txt or tokenizer.json "
             "in %s",
             info->name, info->path);
    return NULL;
}

const wte_tokenizer *need_tokenizer(int *status)
{
    const wte_tokenizer *tokenizer;

    *status = open_model();
    if (*status)
        return NULL;
    tokenizer = tokenizer_of(cli.model);
    if (!tokenizer)
        *status = EXIT_FAILED;
    return tokenizer;
}

/* ---- words ------------------------------------------------------------------------------ */

enum { MAX_SUGGESTIONS = 8 }; /* each costs a pass over the words */

static wte_status find_id(const char *text, size_t len, uint32_t *id, wte_error *err)
{
    char digits[16];
    uint64_t number = 0;

    snprintf(digits, sizeof digits, "%.*s", len < 15 ? (int)len : 15, text);
    if (parse_number(digits, UINT32_MAX, &number) && len < 15 && number < cli.info->n_rows) {
        *id = (uint32_t)number;
        return WTE_OK;
    }
    err->status = WTE_E_RANGE;
    snprintf(err->message, sizeof err->message, "'%.*s' is no id of %s: ids are 0 to %u",
             len < 80 ? (int)len : 80, text, cli.info->name,
             cli.info->n_rows ? cli.info->n_rows - 1 : 0);
    return WTE_E_RANGE;
}

/* A word of several tokens, made one vector by --pool. Its id is n_rows + its place here. */
static struct pooled {
    char *text;
    size_t len;
    float *vector; /* [dim] */
    uint32_t row;  /* of first and last; UINT32_MAX: a mean */
} * pooled;
static size_t n_pooled, pooled_capacity;

bool is_pooled(uint32_t id)
{
    return id >= cli.info->n_rows;
}

static const struct pooled *pooled_of(uint32_t id)
{
    return is_pooled(id) && id - cli.info->n_rows < n_pooled ? &pooled[id - cli.info->n_rows]
                                                             : NULL;
}

const char *id_word(uint32_t id, size_t *len)
{
    const struct pooled *p = pooled_of(id);

    if (!p)
        return wte_space_word(cli.space, id, len);
    *len = p->len;
    return p->text;
}

wte_status id_vector(uint32_t id, float *out, wte_error *err)
{
    const struct pooled *p = pooled_of(id);

    if (!p)
        return wte_space_vector(cli.space, id, out, err);
    memcpy(out, p->vector, cli.info->dim * sizeof *out);
    return WTE_OK;
}

static wte_status not_done(wte_error *err, wte_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static wte_status not_done(wte_error *err, wte_status status, const char *fmt, ...)
{
    va_list args;

    err->status = status;
    va_start(args, fmt);
    vsnprintf(err->message, sizeof err->message, fmt, args);
    va_end(args);
    return status;
}

wte_status id_row(uint32_t id, uint32_t *row, wte_error *err)
{
    const struct pooled *p = pooled_of(id);

    if (p && p->row == UINT32_MAX)
        return not_done(
            err, WTE_E_UNSUPPORTED,
            "'%.*s' is a mean of several rows and %s needs one row; use --pool first or "
            "last",
            p->len < 80 ? (int)p->len : 80, p->text, cli.command->name);
    *row = p ? p->row : id;
    return WTE_OK;
}

/* The mean, the first or the last row of tokens. */
static wte_status pool_rows(const uint32_t *ids, size_t n, struct pooled *p, wte_error *err)
{
    size_t dim = cli.info->dim;
    double *sum = need_memory(dim, sizeof *sum);
    wte_status status = WTE_OK;

    p->vector = need_memory(dim, sizeof *p->vector);
    p->row = cli.pool == WTE_POOL_MEAN ? UINT32_MAX : ids[cli.pool == WTE_POOL_LAST ? n - 1 : 0];
    if (p->row != UINT32_MAX) {
        status = wte_space_vector(cli.space, p->row, p->vector, err);
    } else {
        for (size_t i = 0; i < n && status == WTE_OK; i++) {
            status = wte_space_vector(cli.space, ids[i], p->vector, err);
            for (size_t j = 0; j < dim; j++)
                sum[j] += (double)p->vector[j];
        }
        for (size_t j = 0; j < dim; j++)
            p->vector[j] = (float)(sum[j] / (double)n);
    }
    free(sum);
    if (status != WTE_OK)
        free(p->vector);
    return status;
}

static wte_status add_pooled(const char *text, size_t len, const wte_word_options *options,
                             uint32_t *id, wte_error *err)
{
    struct pooled p = {0};
    uint32_t *ids;
    size_t n = 0;
    wte_status status = wte_model_word_ids(cli.model, text, len, options, NULL, 0, &n, err);

    if (status != WTE_OK)
        return status;
    if (n_pooled >= UINT32_MAX - 1 - cli.info->n_rows)
        return not_done(err, WTE_E_RANGE, "too many words of several tokens");
    ids = need_memory(n, sizeof *ids);
    status = wte_model_word_ids(cli.model, text, len, options, ids, n, &n, err);
    if (status == WTE_OK)
        status = pool_rows(ids, n, &p, err);
    free(ids);
    if (status != WTE_OK)
        return status;
    p.text = memcpy(need_memory(len + 1, 1), text, len);
    p.len = len;
    pooled = need_more(pooled, &pooled_capacity, n_pooled + 1, sizeof *pooled);
    *id = cli.info->n_rows + (uint32_t)n_pooled;
    pooled[n_pooled++] = p;
    return WTE_OK;
}

static const char box[] = "\xE2\x90\xA3"; /* U+2423, as out_word() shows a space */

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

bool unshow(const char *text, size_t len, char **out, size_t *out_len)
{
    char *to = need_memory(len + 1, 1);
    size_t n = 0;

    for (size_t i = 0; i < len;) {
        if (len - i >= 3 && memcmp(text + i, box, 3) == 0 && (i == 0 || i + 3 == len)) {
            to[n++] = ' ';
            i += 3;
        } else if (len - i >= 4 && text[i] == '\\' && text[i + 1] == 'x' && hex(text[i + 2]) >= 0 &&
                   hex(text[i + 3]) >= 0) {
            to[n++] = (char)(hex(text[i + 2]) << 4 | hex(text[i + 3]));
            i += 4;
        } else {
            to[n++] = text[i++];
        }
    }
    if (n == len) {
        free(to);
        return false;
    }
    *out = to;
    *out_len = n;
    return true;
}

/* Words of a model are tokenised. */
static wte_status find_tokens(const char *text, size_t len, uint32_t *id, wte_error *err)
{
    const wte_word_options plain = {0, WTE_POOL_NONE}, own = {cli.prefix_space, WTE_POOL_NONE};
    char *meant = NULL;
    size_t n = 0;
    wte_status status = wte_model_word_id(cli.model, text, len, &own, id, err);

    if (status != WTE_E_SHAPE)
        return status;
    if (unshow(text, len, &meant, &n) &&
        wte_model_word_id(cli.model, meant, n, &plain, id, NULL) == WTE_OK)
        status = WTE_OK;
    free(meant);
    if (status == WTE_OK || cli.pool == WTE_POOL_NONE)
        return status;
    return add_pooled(text, len, &own, id, err);
}

wte_status find_word(const char *text, size_t len, uint32_t *id, wte_error *err)
{
    static unsigned suggestions;
    wte_status status;
    char *meant;
    size_t n;

    if (cli.ids)
        return find_id(text, len, id, err);
    if (wte_model_tokenizer(cli.model))
        return find_tokens(text, len, id, err);
    status = wte_space_find(cli.space, text, len, id, NULL);
    if (status == WTE_OK)
        return WTE_OK;
    if (unshow(text, len, &meant, &n)) {
        status = wte_space_find(cli.space, meant, n, id, NULL);
        free(meant);
        if (status == WTE_OK)
            return WTE_OK;
    }
    if (suggestions++ < MAX_SUGGESTIONS)
        return wte_space_find(cli.space, text, len, id, err);
    return not_done(err, WTE_E_NOTFOUND, "'%.*s' is not in %s", len < 200 ? (int)len : 200, text,
                    cli.info->name);
}

/* One block holds the small space's ids, offsets, names ("0", "1", ...: no two alike) and rows. */
wte_status rows_of(const uint32_t *ids, size_t n, struct rows *rows, wte_error *err)
{
    size_t dim = cli.info->dim, pooled_ids = 0, bytes = 0;
    struct block {
        uint64_t *offsets;
        uint32_t *ids;
        char *names;
        float *matrix;
    } b;
    wte_status status = WTE_OK;

    *rows = (struct rows){cli.space, ids, NULL, NULL};
    for (size_t i = 0; i < n; i++)
        pooled_ids += is_pooled(ids[i]);
    if (!pooled_ids)
        return WTE_OK;
    if (__builtin_mul_overflow(n, 8 + 4 + 12 + dim * sizeof(float), &bytes) || n >= UINT32_MAX)
        return not_done(err, WTE_E_RANGE, "%zu words are too many", n);
    b.offsets = need_memory(bytes + 64, 1);
    b.matrix = (float *)(b.offsets + n + 1);
    b.ids = (uint32_t *)(b.matrix + n * dim);
    b.names = (char *)(b.ids + n);
    for (size_t i = 0; i < n && status == WTE_OK; i++) {
        status = id_vector(ids[i], b.matrix + i * dim, err);
        b.ids[i] = (uint32_t)i;
        b.offsets[i + 1] = b.offsets[i] + (uint64_t)snprintf(b.names + b.offsets[i], 12, "%zu", i);
    }
    rows->block = b.offsets;
    rows->ids = b.ids;
    if (status == WTE_OK)
        status = wte_space_new(cli.info->name, b.names, b.offsets, b.matrix, WTE_F32, (uint32_t)n,
                               dim, dim, (unsigned)cli.threads, &rows->own, err);
    rows->space = rows->own;
    if (status != WTE_OK)
        rows_free(rows);
    return status;
}

void rows_free(struct rows *rows)
{
    wte_space_free(rows->own);
    free(rows->block);
    rows->own = NULL;
    rows->block = NULL;
}

bool measure_pair(const uint32_t *ids, uint64_t line, pair_fn fn, struct pair *out)
{
    struct rows rows;
    wte_error err = {0};
    wte_status status;

    for (size_t i = 0; i < 2; i++)
        out->words[i] = id_word(ids[i], &out->lens[i]);
    status = rows_of(ids, 2, &rows, &err);
    if (status == WTE_OK) {
        status = fn(rows.space, rows.ids[0], rows.ids[1], &out->value, &err);
        rows_free(&rows);
    }
    if (status != WTE_OK)
        fail_query(line, err.message);
    return status == WTE_OK;
}

void json_pair(struct out *o, const struct pair *pair)
{
    json_word(o, "a", pair->words[0], pair->lens[0]);
    json_word(o, "b", pair->words[1], pair->lens[1]);
}

void tsv_pair(struct out *o, const struct pair *pair)
{
    for (size_t i = 0; i < 2; i++) {
        out_tsv(o, pair->words[i], pair->lens[i]);
        out_text(o, "\t");
    }
}

void show_pair(struct out *o, const struct pair *pair)
{
    out_style(o, BOLD);
    out_word(o, pair->words[0], pair->lens[0]);
    out_text(o, "  ");
    out_word(o, pair->words[1], pair->lens[1]);
    out_style(o, PLAIN);
}

static bool add_word(uint32_t **ids, size_t *n, size_t *capacity, const char *text, size_t len,
                     wte_error *err)
{
    uint32_t id = 0;

    if (find_word(text, len, &id, err) != WTE_OK)
        return false;
    *ids = need_more(*ids, capacity, *n + 1, sizeof **ids);
    (*ids)[(*n)++] = id;
    return true;
}

static int add_words_of(const char *path, uint32_t **ids, size_t *n, size_t *capacity)
{
    struct lines lines;
    wte_error err = {0};
    char *word;
    size_t len;
    int status = 0;

    if (!lines_open(&lines, path))
        return EXIT_FAILED;
    while (status == 0 && lines_next_word(&lines, &word, &len)) {
        if (!add_word(ids, n, capacity, word, len, &err))
            status = fail("%s, line %llu: %s", lines.path, (unsigned long long)lines.number,
                          err.message);
    }
    if (status == 0)
        status = cli.status;
    lines_close(&lines);
    return status;
}

int find_words(uint32_t **ids, size_t *n)
{
    size_t capacity = 0;
    wte_error err = {0};
    int status = 0;

    *ids = NULL;
    *n = 0;
    if (reads_queries())
        status = add_words_of("-", ids, n, &capacity);
    for (size_t i = 0; status == 0 && !reads_queries() && i < cli.words.n; i++) {
        const char *word = cli.words.items[i];

        if (!add_word(ids, n, &capacity, word, strlen(word), &err))
            status = fail("%s", err.message);
    }
    if (status == 0 && cli.words_file)
        status = add_words_of(cli.words_file, ids, n, &capacity);
    return status;
}

bool reads_queries(void)
{
    return cli.words.n == 1 && strcmp(cli.words.items[0], "-") == 0;
}

void fail_query(uint64_t line, const char *message)
{
    if (line)
        fail("line %llu: %s", (unsigned long long)line, message);
    else
        fail("%s", message);
    cli.status = EXIT_FAILED;
}

/* ---- files of word vectors -------------------------------------------------------------- */

int save_vectors(const uint32_t *ids, const float *rows, size_t n, size_t dim,
                 wte_space_format format)
{
    wte_open_options options = open_options();
    uint64_t *offsets = need_memory(n + 1, sizeof *offsets);
    struct out words = {0};
    wte_space *space = NULL;
    wte_error err = {0};
    int status = 0;

    for (size_t i = 0; i < n; i++) {
        size_t len = 0;
        const char *word = id_word(ids[i], &len);

        out_bytes(&words, word, len);
        offsets[i + 1] = words.n;
    }
    signals_wait(true);
    if (wte_space_new(cli.info->name, words.data, offsets, rows, WTE_F32, (uint32_t)n, dim, dim,
                      (unsigned)cli.threads, &space, &err) != WTE_OK ||
        wte_space_save(space, cli.output, format, &options, &err) != WTE_OK)
        status = fail_with(&err);
    signals_wait(false);
    wte_space_free(space);
    out_free(&words);
    free(offsets);
    return status;
}

/* ---- lines ------------------------------------------------------------------------------ */

enum {
    MAX_LINE = 1 << 24
}; /* nobody has words this long; without a limit a wrong file would fill
      the memory */

bool lines_open(struct lines *lines, const char *path)
{
    memset(lines, 0, sizeof *lines);
    lines->path = path;
    lines->fd = STDIN_FILENO;
    if (strcmp(path, "-") == 0) {
        lines->path = "standard input";
        return true;
    }
    lines->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (lines->fd >= 0)
        return true;
    fail("%s: %s", path, strerror(errno));
    return false;
}

bool read_all(const char *path, char **text, size_t *len)
{
    struct lines file;
    char *data = NULL;
    size_t n = 0, capacity = 0;
    ssize_t got;

    if (!lines_open(&file, path))
        return false;
    do {
        data = need_more(data, &capacity, n + 65536, 1);
        do
            got = read(file.fd, data + n, capacity - n);
        while (got < 0 && errno == EINTR);
        if (got > 0)
            n += (size_t)got;
    } while (got > 0);
    if (got < 0) {
        fail("%s: %s", file.path, strerror(errno));
        free(data);
        data = NULL;
    }
    lines_close(&file);
    *text = data;
    *len = n;
    return data != NULL;
}

bool lines_ready(const struct lines *lines)
{
    return lines->end > lines->start &&
           memchr(lines->buffer + lines->start, '\n', lines->end - lines->start);
}

/* Read more behind what is there. What was answered is shown first: we may have to wait here. */
static void fill(struct lines *lines)
{
    ssize_t n;

    sink_flush();
    if (lines->end - lines->start > MAX_LINE) {
        cli.status = fail("%s, line %llu: longer than %d bytes", lines->path,
                          (unsigned long long)lines->number + 1, MAX_LINE);
        lines->at_end = true;
        lines->start = lines->end;
        return;
    }
    if (lines->start) {
        memmove(lines->buffer, lines->buffer + lines->start, lines->end - lines->start);
        lines->end -= lines->start;
        lines->start = 0;
    }
    lines->buffer = need_more(lines->buffer, &lines->capacity, lines->end + 65536, 1);
    do
        n = read(lines->fd, lines->buffer + lines->end, lines->capacity - lines->end);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        cli.status = fail("%s: %s", lines->path, strerror(errno));
    if (n <= 0)
        lines->at_end = true;
    else
        lines->end += (size_t)n;
}

bool lines_next(struct lines *lines, char **line, size_t *len)
{
    char *newline;

    while (!lines_ready(lines) && !lines->at_end)
        fill(lines);
    if (lines->start == lines->end)
        return false;
    *line = lines->buffer + lines->start;
    newline = memchr(*line, '\n', lines->end - lines->start);
    *len = newline ? (size_t)(newline - *line) : lines->end - lines->start;
    lines->start += *len + (newline != NULL);
    if (*len && (*line)[*len - 1] == '\r')
        (*len)--;
    lines->number++;
    return true;
}

bool lines_next_word(struct lines *lines, char **word, size_t *len)
{
    while (lines_next(lines, word, len)) {
        const char *tab = memchr(*word, '\t', *len);

        *len = tab ? (size_t)(tab - *word) : *len;
        if (*len)
            return true;
    }
    return false;
}

void lines_close(struct lines *lines)
{
    if (lines->fd > STDIN_FILENO)
        close(lines->fd);
    free(lines->buffer);
    lines->buffer = NULL;
}

/* Find the words of one line; false after a message. */
static bool find_line(struct lines *lines, char *line, size_t len, size_t least, size_t most,
                      uint32_t *ids, size_t *n)
{
    struct field fields[MAX_QUERY];
    wte_error err = {0};

    *n = split_fields(line, len, true, fields, MAX_QUERY);
    if (*n < least || *n > most) {
        snprintf(err.message, sizeof err.message, "%zu words, expected %zu%s with a TAB between",
                 *n, least, most > least ? " or more" : "");
        fail_query(lines->number, err.message);
        return false;
    }
    for (size_t i = 0; i < *n; i++) {
        if (find_word(fields[i].text, fields[i].len, &ids[i], &err) != WTE_OK) {
            fail_query(lines->number, err.message);
            return false;
        }
    }
    return true;
}

static void answer_lines(size_t least, size_t most, answer_fn answer)
{
    struct lines lines;
    uint32_t ids[MAX_QUERY];
    char *line;
    size_t len, n = 0;

    lines_open(&lines, "-");
    while (lines_next(&lines, &line, &len))
        if (len && find_line(&lines, line, len, least, most, ids, &n))
            answer(ids, n, lines.number);
    lines_close(&lines);
}

int answer_queries(size_t least, size_t most, answer_fn answer)
{
    const char *more = most > least ? " or more" : "";
    uint32_t *ids = NULL;
    size_t n = 0;
    int status;

    if (reads_queries()) {
        sink_open();
        answer_lines(least, most, answer);
    } else {
        if (!cli.words_file && (cli.words.n < least || cli.words.n > most))
            return usage("expected %zu words%s, there are %zu", least, more, cli.words.n);
        status = find_words(&ids, &n);
        if (status == 0 && (n < least || n > most))
            status = fail("expected %zu words%s, there are %zu", least, more, n);
        if (status) {
            free(ids);
            return status;
        }
        sink_open();
        answer(ids, n, 0);
        free(ids);
        if (cli.status)
            return cli.status;
    }
    status = sink_close(NULL, 0);
    return status ? status : cli.status;
}

size_t split_fields(char *line, size_t len, bool spaces, struct field *fields, size_t max)
{
    char separator = spaces && !memchr(line, '\t', len) ? ' ' : '\t';
    size_t n = 0;

    for (size_t at = 0; at <= len;) {
        char *end = at < len ? memchr(line + at, separator, len - at) : NULL;
        size_t size = end ? (size_t)(end - line) - at : len - at;

        if (size || separator == '\t') {
            if (n < max)
                fields[n] = (struct field){line + at, size};
            n++;
        }
        at += size + 1;
    }
    return n;
}
