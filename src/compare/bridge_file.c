/* SPDX-License-Identifier: MIT */
/* bridge_file.c - bridges as TSV
 *
 *   word <tab> NAME ROWSxDIM <tab> NAME ROWSxDIM ...
 *   the  <tab> 11            <tab> 1169
 *
 * A file may come from anywhere, and the spaces it is used with may not be those it was made for. So
 * the sizes have to be the same, each row has to exist and may be there once, and its word has to be
 * the file's, but for case and a space in front. Names are for people: a model that was moved has
 * another one. */
#include "compare/bridge.h"

/* ---- writing ------------------------------------------------------------------------------ */

typedef struct text {
    char *data;
    size_t n, capacity;
    bool no_memory;
} text;

static void append(text *t, const char *s, size_t n)
{
    void *data = t->data;

    t->no_memory = t->no_memory || !wte__grow(&data, &t->capacity, t->n + n + 1, 1);
    t->data = data;
    if (t->no_memory)
        return;
    memcpy(t->data + t->n, s, n);
    t->n += n;
}

static const char special[] = "\t\n\r\\", letters[] = "tnr\\";

static void append_escaped(text *t, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *at = s[i] ? strchr(special, s[i]) : NULL;

        if (at)
            append(t, (char[]){'\\', letters[at - special]}, 2);
        else
            append(t, s + i, 1);
    }
}

static void append_header(text *t, const wte_bridge *b)
{
    char size[64];

    append(t, "word", 4);
    for (size_t s = 0; s < b->n_spaces; s++) {
        append(t, "\t", 1);
        append_escaped(t, b->spaces[s].name, strlen(b->spaces[s].name));
        append(
            t, size,
            (size_t)snprintf(size, sizeof size, " %ux%zu", b->spaces[s].n_rows, b->spaces[s].dim));
    }
    append(t, "\n", 1);
}

wte_status wte_bridge_save(const wte_bridge *b, const char *path, wte_error *err)
{
    wte__outfile file;
    text t = {0};
    wte_status status;

    append_header(&t, b);
    for (size_t i = 0; i < b->n; i++) {
        append_escaped(&t, b->text + b->ends[i], b->ends[i + 1] - b->ends[i]);
        for (size_t s = 0; s < b->n_spaces; s++) {
            const uint32_t id = b->ids[i * b->n_spaces + s];
            char digits[16];

            if (id == WTE_BRIDGE_PIECES)
                append(&t, "\t-", 2);
            else
                append(&t, digits, (size_t)snprintf(digits, sizeof digits, "\t%u", id));
        }
        append(&t, "\n", 1);
    }
    if (t.no_memory)
        status = wte__fail(err, WTE_E_NOMEM, "%s: no memory to write %zu words", path, b->n);
    else
        status = wte__outfile_open(&file, path, err);
    if (status == WTE_OK) {
        status = wte__outfile_pwrite(&file, t.data, t.n, 0, err);
        if (status == WTE_OK)
            status = wte__outfile_commit(&file, err);
        else
            wte__outfile_abort(&file);
    }
    wte__free(t.data);
    return status;
}

/* ---- reading ------------------------------------------------------------------------------ */

typedef struct reading {
    const char *path;
    const char *at, *line, *end; /* what is left, and the line that is being read */
    const char *begin;
    uint64_t line_number;
    const wte_space *const *spaces;
    wte_bridge *bridge;
    unsigned char *seen[WTE_BRIDGE_MAX_SPACES]; /* bit for each row */
    char *word;
    size_t word_capacity;
    wte__folding foldings[2];
    wte_error *err;
} reading;

#define FAIL(r, status, ...)                                                                       \
    wte__fail_at((r)->err, status, (uint64_t)((r)->line - (r)->begin),                             \
                 "%s, line %llu: " __VA_ARGS__)
#define WHERE(r) (r)->path, (unsigned long long)(r)->line_number

/* The next field of the line; false where the line ends before it. */
static bool next_field(const char **at, const char *end, const char **field, size_t *n)
{
    const char *tab;

    if (!*at)
        return false;
    tab = memchr(*at, '\t', (size_t)(end - *at));
    *field = *at;
    *n = (size_t)((tab ? tab : end) - *at);
    *at = tab ? tab + 1 : NULL;
    return true;
}

/* A number of decimal digits up to `most`. */
static bool read_number(const char *s, size_t n, uint64_t most, uint64_t *out)
{
    uint64_t x = 0;

    if (n == 0 || n > 19)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        x = 10 * x + (uint64_t)(s[i] - '0');
    }
    *out = x;
    return x <= most;
}

/* " ROWSxDIM" at the end of a header's field. */
static bool read_size(const char *s, size_t n, uint64_t *rows, uint64_t *dim)
{
    size_t x = n, space;

    while (x > 0 && s[x - 1] != 'x')
        x--;
    for (space = x; space > 0 && s[space - 1] != ' ';)
        space--;
    return space > 0 && x > space && read_number(s + space, x - 1 - space, UINT32_MAX, rows) &&
           read_number(s + x, n - x, SIZE_MAX, dim);
}

static wte_status read_header(reading *r, const char *line_end)
{
    const size_t n = r->bridge->n_spaces;
    const char *at = r->line, *field;
    size_t len, found = 0;

    if (!next_field(&at, line_end, &field, &len) || len != 4 || memcmp(field, "word", 4) != 0)
        return FAIL(r, WTE_E_FORMAT, "no header of a bridge, which begins with \"word\"", WHERE(r));
    for (; next_field(&at, line_end, &field, &len); found++) {
        uint64_t rows, dim;

        if (!read_size(field, len, &rows, &dim))
            return FAIL(r, WTE_E_FORMAT, "no name and size in column %zu of the header", WHERE(r),
                        found + 2);
        if (found >= n)
            continue;
        if (rows != r->bridge->spaces[found].n_rows || dim != r->bridge->spaces[found].dim)
            return FAIL(r, WTE_E_SHAPE, "made for a space of %llu x %llu, %s is %u x %zu", WHERE(r),
                        (unsigned long long)rows, (unsigned long long)dim,
                        r->bridge->spaces[found].name, r->bridge->spaces[found].n_rows,
                        r->bridge->spaces[found].dim);
    }
    if (found != n)
        return FAIL(r, WTE_E_SHAPE, "made for %zu spaces, %zu given", WHERE(r), found, n);
    return WTE_OK;
}

/* Undo the escapes into r->word. */
static wte_status read_word(reading *r, const char *field, size_t len, size_t *out)
{
    void *word = r->word;
    size_t n = 0;

    if (!wte__grow(&word, &r->word_capacity, len + 1, 1))
        return FAIL(r, WTE_E_NOMEM, "no memory for a word of %zu bytes", WHERE(r), len);
    r->word = word;
    for (size_t i = 0; i < len; i++) {
        const char *at = NULL;

        if (field[i] != '\\') {
            r->word[n++] = field[i];
            continue;
        }
        if (i + 1 < len && field[i + 1])
            at = strchr(letters, field[++i]);
        if (!at)
            return FAIL(r, WTE_E_FORMAT, "a backslash that is none of \\t, \\n, \\r, \\\\",
                        WHERE(r));
        r->word[n++] = special[at - letters];
    }
    if (n == 0)
        return FAIL(r, WTE_E_FORMAT, "no word", WHERE(r));
    *out = n;
    return WTE_OK;
}

/* Whether a space's word is the file's, but for case. */
static wte_status compare_words(reading *r, const char *a, size_t n_a, size_t n_b, bool *same)
{
    const char *x = a, *y = r->word;

    *same = n_a == n_b && memcmp(x, y, n_a) == 0;
    if (*same)
        return WTE_OK;
    x = wte__folded_word(&r->foldings[0], x, n_a, &n_a);
    y = wte__folded_word(&r->foldings[1], y, n_b, &n_b);
    if (!x || !y)
        return FAIL(r, WTE_E_NOMEM, "no memory for a word", WHERE(r));
    *same = n_a == n_b && memcmp(x, y, n_a) == 0;
    return WTE_OK;
}

/* As much of a word as a message shows: whole characters. */
static int shown(const char *word, size_t n)
{
    size_t most = n < 60 ? n : 60;

    while (most < n && most > 0 && ((unsigned char)word[most] & 0xC0) == 0x80)
        most--;
    return (int)most;
}

static wte_status check_row(reading *r, size_t s, uint32_t id, size_t len)
{
    const wte__bridge_space *space = &r->bridge->spaces[s];
    const char *word;
    size_t n = 0;
    bool same = false;
    wte_status status;

    if (id >= space->n_rows)
        return FAIL(r, WTE_E_FORMAT, "row %u of %s, which has %u", WHERE(r), id, space->name,
                    space->n_rows);
    if (r->seen[s][id / 8] >> (id % 8) & 1)
        return FAIL(r, WTE_E_FORMAT, "row %u of %s is there twice", WHERE(r), id, space->name);
    r->seen[s][id / 8] |= (unsigned char)(1u << (id % 8));
    word = wte_space_word(r->spaces[s], id, &n);
    status = compare_words(r, word, n, len, &same);
    if (status == WTE_OK && !same && n > 1 && word[0] == ' ')
        status = compare_words(r, word + 1, n - 1, len, &same);
    if (status == WTE_OK && !same)
        status = FAIL(r, WTE_E_SHAPE, "row %u of %s is \"%.*s\", not \"%.*s\"", WHERE(r), id,
                      space->name, shown(word, n), word, shown(r->word, len), r->word);
    return status;
}

static wte_status read_ids(reading *r, const char *at, const char *line_end, size_t len,
                           uint32_t *ids)
{
    const size_t n = r->bridge->n_spaces;
    const char *field;
    size_t n_field, s = 0;

    for (; next_field(&at, line_end, &field, &n_field); s++) {
        uint64_t id;
        wte_status status;

        if (s >= n)
            continue;
        if (s > 0 && n_field == 1 && *field == '-') {
            ids[s] = WTE_BRIDGE_PIECES;
            continue;
        }
        if (!read_number(field, n_field, UINT32_MAX - 1, &id))
            return FAIL(r, WTE_E_FORMAT, "\"%.*s\" is no row number", WHERE(r),
                        shown(field, n_field), field);
        ids[s] = (uint32_t)id;
        status = check_row(r, s, ids[s], len);
        if (status != WTE_OK)
            return status;
    }
    return s == n ? WTE_OK
                  : FAIL(r, WTE_E_FORMAT, "%zu columns, %zu expected", WHERE(r), s + 1, n + 1);
}

/* The end of the line without its newline; moves on to the next. */
static const char *take_line(reading *r)
{
    const char *newline = memchr(r->at, '\n', (size_t)(r->end - r->at)), *end;

    r->line = r->at;
    r->line_number++;
    end = newline ? newline : r->end;
    r->at = newline ? newline + 1 : r->end;
    return end > r->line && end[-1] == '\r' ? end - 1 : end;
}

static wte_status read_rows(reading *r)
{
    wte_bridge *b = r->bridge;
    uint32_t ids[WTE_BRIDGE_MAX_SPACES];

    while (r->at < r->end) {
        const char *line_end = take_line(r), *at = r->line, *field = NULL;
        size_t n = 0, len = 0;
        wte_status status;

        next_field(&at, line_end, &field, &n);
        status = read_word(r, field, n, &len);
        if (status == WTE_OK)
            status = read_ids(r, at, line_end, len, ids);
        if (status != WTE_OK)
            return status;
        if (!wte__ledger_count(b->lines, r->word, len) || !wte__bridge_add(b, r->word, len, ids))
            return FAIL(r, WTE_E_NOMEM, "no memory for another word", WHERE(r));
    }
    return WTE_OK;
}

static bool make_room(reading *r)
{
    wte_bridge *b = r->bridge;
    bool ok = true;

    b->lines = wte__calloc(1, sizeof *b->lines);
    if (!b->lines)
        return false;
    b->n_lines = 1;
    b->lines->matched = 1;
    b->lines->why = wte__strdup("matched");
    for (size_t s = 0; s < b->n_spaces && ok; s++) {
        r->seen[s] = wte__calloc((size_t)b->spaces[s].n_rows / 8 + 1, 1);
        ok = r->seen[s] != NULL;
    }
    return ok && b->lines->why;
}

wte_status wte_bridge_load(const char *path, const wte_space *const *spaces, size_t n,
                           wte_bridge **out, wte_error *err)
{
    reading r = {.path = path, .spaces = spaces, .err = err};
    wte__map map = {0};
    wte_status status = wte__bridge_new(spaces, n, &r.bridge, err);

    if (status != WTE_OK)
        return status;
    status = wte__map_open(&map, path, err);
    if (status != WTE_OK)
        goto done;
    r.begin = r.at = r.line = (const char *)map.data;
    r.end = r.begin + map.size;
    if (!make_room(&r)) {
        status = wte__fail(err, WTE_E_NOMEM, "%s: no memory for a bridge", path);
        goto done;
    }
    status = read_header(&r, take_line(&r));
    if (status == WTE_OK)
        status = read_rows(&r);
    if (status == WTE_OK) {
        *out = r.bridge;
        r.bridge = NULL;
    }
done:
    wte__map_close(&map);
    for (size_t s = 0; s < WTE_BRIDGE_MAX_SPACES; s++)
        wte__free(r.seen[s]);
    wte__free(r.foldings[0].text);
    wte__free(r.foldings[1].text);
    wte__free(r.word);
    wte_bridge_free(r.bridge);
    return status;
}
