/* SPDX-License-Identifier: MIT */
/* output.c - text, tables, JSON, TSV and where they go
 *
 * Output is built in memory and written when a result is complete, so that a failure leaves nothing
 * on stdout. While queries come on standard input, it is written whenever the next line is not
 * there yet, and when 64 KiB are ready: a program that talks to wte through a pipe gets each answer
 * at once, and a million queries are not a million writes.
 *
 * Numbers: the shortest of %.6g to %.9g that reads back as the same float32 (%.15g to %.17g for
 * float64). The program never calls setlocale, so the decimal point is a point.
 *
 * Column widths are counted in code points: combining marks and other marks without width count 0,
 * East Asian wide and emoji blocks 2. wcwidth() would need a locale, which costs more time than a
 * nearest query on the demo model. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- text ------------------------------------------------------------------------------- */

void out_bytes(struct out *o, const void *data, size_t n)
{
    o->data = need_more(o->data, &o->capacity, o->n + n + 1, 1);
    if (n)
        memcpy(o->data + o->n, data, n);
    o->n += n;
    o->data[o->n] = 0;
}

void out_text(struct out *o, const char *text)
{
    out_bytes(o, text, strlen(text));
}

static void out_valist(struct out *o, const char *fmt, va_list args)
{
    va_list again;
    int n;

    va_copy(again, args);
    o->data = need_more(o->data, &o->capacity, o->n + 128, 1);
    n = vsnprintf(o->data + o->n, o->capacity - o->n, fmt, args);
    if (n > 0 && (size_t)n >= o->capacity - o->n) {
        o->data = need_more(o->data, &o->capacity, o->n + (size_t)n + 1, 1);
        n = vsnprintf(o->data + o->n, o->capacity - o->n, fmt, again);
    }
    va_end(again);
    if (n > 0)
        o->n += (size_t)n;
}

void out_format(struct out *o, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    out_valist(o, fmt, args);
    va_end(args);
}

void out_free(struct out *o)
{
    free(o->data);
    o->data = NULL;
    o->n = o->capacity = 0;
}

void out_style(struct out *o, enum style style)
{
    static const char *const codes[] = {
        [PLAIN] = "\033[0m", [BOLD] = "\033[0;1m", [DIM] = "\033[0;2m"};

    if (o->colour)
        out_text(o, codes[style]);
}

/* Length of the well-formed UTF-8 character at s, or 0: no overlong forms, no surrogates, at most
 * U+10FFFF. For an ill-formed one *skip is the length of the longest start that was well-formed,
 * which is what one U+FFFD stands for. */
static size_t decode(const char *s, size_t n, uint32_t *code, size_t *skip)
{
    const unsigned char *u = (const unsigned char *)s;
    unsigned char low = 0x80, high = 0xBF;
    size_t len;

    *skip = 1;
    if (u[0] < 0x80) {
        *code = u[0];
        return 1;
    }
    if (u[0] < 0xC2 || u[0] > 0xF4)
        return 0;
    len = u[0] < 0xE0 ? 2 : u[0] < 0xF0 ? 3 : 4;
    if (u[0] == 0xE0)
        low = 0xA0;
    if (u[0] == 0xED)
        high = 0x9F;
    if (u[0] == 0xF0)
        low = 0x90;
    if (u[0] == 0xF4)
        high = 0x8F;
    *code = u[0] & (0x7Fu >> len);
    for (size_t i = 1; i < len; i++) {
        *skip = i;
        if (i >= n || u[i] < low || u[i] > high)
            return 0;
        *code = *code << 6 | (u[i] & 0x3Fu);
        low = 0x80;
        high = 0xBF;
    }
    return len;
}

struct range {
    uint32_t first, last;
};

static bool in_ranges(const struct range *ranges, size_t n, uint32_t code)
{
    for (size_t i = 0; i < n && ranges[i].first <= code; i++)
        if (code <= ranges[i].last)
            return true;
    return false;
}

size_t display_width(const char *text, size_t len)
{
    /* Unicode 15: blocks of combining marks, zero-width characters and variation selectors */
    static const struct range zero[] = {{0x300, 0x36F},   {0x483, 0x489},   {0x591, 0x5BD},
                                        {0x610, 0x61A},   {0x64B, 0x65F},   {0x1AB0, 0x1AFF},
                                        {0x1DC0, 0x1DFF}, {0x200B, 0x200F}, {0x20D0, 0x20FF},
                                        {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}, {0xFEFF, 0xFEFF}};
    /* Unicode 15, EastAsianWidth W and F, by block */
    static const struct range wide[] = {
        {0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0x33FF},   {0x3400, 0x4DBF},
        {0x4E00, 0x9FFF},   {0xA000, 0xA4CF},   {0xA960, 0xA97F},   {0xAC00, 0xD7A3},
        {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},
        {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};
    size_t width = 0;

    for (size_t i = 0; i < len;) {
        uint32_t code = 0;
        size_t skip, n = decode(text + i, len - i, &code, &skip);

        i += n ? n : skip;
        if (n && code < 0x300)
            width++;
        else if (n && in_ranges(wide, sizeof wide / sizeof *wide, code))
            width += 2;
        else if (!n || !in_ranges(zero, sizeof zero / sizeof *zero, code))
            width++;
    }
    return width;
}

void out_word(struct out *o, const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        uint32_t code = 0;
        size_t skip, n = decode(text + i, len - i, &code, &skip);

        if (n && code == ' ' && (i == 0 || i + 1 == len))
            out_text(o, "\xE2\x90\xA3"); /* U+2423 open box */
        else if (n && code >= 0x20 && code != 0x7F && !(code >= 0x80 && code < 0xA0))
            out_bytes(o, text + i, n);
        else
            for (size_t j = 0; j < (n ? n : skip); j++)
                out_format(o, "\\x%02X", (unsigned char)text[i + j]);
        i += n ? n : skip;
    }
}

void out_tsv(struct out *o, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const char *escape = NULL;

        switch (text[i]) {
        case '\t':
            escape = "\\t";
            break;
        case '\n':
            escape = "\\n";
            break;
        case '\r':
            escape = "\\r";
            break;
        case '\\':
            escape = "\\\\";
            break;
        default:
            break;
        }
        if (escape)
            out_text(o, escape);
        else
            out_bytes(o, text + i, 1);
    }
}

static const char *not_finite(double value)
{
    return isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

void out_float(struct out *o, float value)
{
    char digits[32];

    if (!isfinite(value)) {
        out_text(o, not_finite((double)value));
        return;
    }
    /* most float32 need 8 or 9 digits: begin there, and go down while it still reads back */
    snprintf(digits, sizeof digits, "%.8g", (double)value);
    if (strtof(digits, NULL) != value) {
        snprintf(digits, sizeof digits, "%.9g", (double)value);
    } else {
        for (int n = 7; n >= 6; n--) {
            char fewer[32];

            snprintf(fewer, sizeof fewer, "%.*g", n, (double)value);
            if (strtof(fewer, NULL) != value)
                break;
            memcpy(digits, fewer, sizeof digits);
        }
    }
    out_text(o, digits);
}

void out_double(struct out *o, double value)
{
    char digits[40];

    if (!isfinite(value)) {
        out_text(o, not_finite(value));
        return;
    }
    for (int n = 15; n <= 17; n++) {
        snprintf(digits, sizeof digits, "%.*g", n, value);
        if (n == 17 || strtod(digits, NULL) == value)
            break;
    }
    out_text(o, digits);
}

const char *show_size(uint64_t bytes, char buffer[32])
{
    static const char *const units[] = {"kB", "MB", "GB", "TB"};
    double size = (double)bytes / 1000;
    size_t unit = 0;

    if (bytes < 1000) {
        snprintf(buffer, 32, "%u bytes", (unsigned)bytes);
        return buffer;
    }
    while (size >= 999.5 && unit + 1 < sizeof units / sizeof *units) {
        size /= 1000;
        unit++;
    }
    snprintf(buffer, 32, size < 9.95 ? "%.1f %s" : "%.0f %s", size, units[unit]);
    return buffer;
}

const char *show_count(uint64_t count, char buffer[32])
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)count);
    char *to = buffer;

    for (int i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = 0;
    return buffer;
}

/* ---- JSON ------------------------------------------------------------------------------- */

static void comma(struct out *o)
{
    if (o->comma)
        out_bytes(o, ",", 1);
    o->comma = true;
}

void json_open(struct out *o, char bracket)
{
    comma(o);
    out_bytes(o, &bracket, 1);
    o->comma = false;
}

void json_close(struct out *o, char bracket)
{
    out_bytes(o, &bracket, 1);
    o->comma = true;
}

void json_key(struct out *o, const char *key)
{
    comma(o);
    out_format(o, "\"%s\":", key);
    o->comma = false;
}

bool is_utf8(const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        uint32_t code;
        size_t skip, n = decode(text + i, len - i, &code, &skip);

        if (!n)
            return false;
        i += n;
    }
    return true;
}

void json_bytes(struct out *o, const char *text, size_t len)
{
    comma(o);
    out_bytes(o, "\"", 1);
    for (size_t i = 0; i < len;) {
        uint32_t code = 0;
        size_t skip, n = decode(text + i, len - i, &code, &skip);

        if (!n)
            out_text(o, "\xEF\xBF\xBD"); /* U+FFFD */
        else if (code == '"' || code == '\\')
            out_format(o, "\\%c", (char)code);
        else if (code < 0x20 || code == 0x7F)
            out_format(o, "\\u%04x", code);
        else
            out_bytes(o, text + i, n);
        i += n ? n : skip;
    }
    out_bytes(o, "\"", 1);
}

void json_text(struct out *o, const char *text)
{
    json_bytes(o, text, strlen(text));
}

void json_count(struct out *o, uint64_t count)
{
    comma(o);
    out_format(o, "%llu", (unsigned long long)count);
}

void json_bool(struct out *o, bool value)
{
    comma(o);
    out_text(o, value ? "true" : "false");
}

void json_float(struct out *o, float value)
{
    comma(o);
    if (isfinite(value))
        out_float(o, value);
    else
        out_text(o, "null");
}

void json_double(struct out *o, double value)
{
    comma(o);
    if (isfinite(value))
        out_double(o, value);
    else
        out_text(o, "null");
}

void json_floats(struct out *o, const float *values, size_t n)
{
    json_open(o, '[');
    for (size_t i = 0; i < n; i++)
        json_float(o, values[i]);
    json_close(o, ']');
}

void json_word(struct out *o, const char *key, const char *text, size_t len)
{
    json_key(o, key);
    json_bytes(o, text, len);
    if (is_utf8(text, len))
        return;
    /* "bytes" beside "token", else "a_bytes" beside "a" */
    comma(o);
    out_format(o, strcmp(key, "token") == 0 ? "\"bytes\":" : "\"%s_bytes\":", key);
    o->comma = false;
    json_open(o, '[');
    for (size_t i = 0; i < len; i++)
        json_count(o, (unsigned char)text[i]);
    json_close(o, ']');
}

void json_words(struct out *o, const char *key, const uint32_t *ids, size_t n)
{
    json_key(o, key);
    json_open(o, '[');
    for (size_t i = 0; i < n; i++) {
        size_t len = 0;
        const char *word = id_word(ids[i], &len);

        json_bytes(o, word, len);
    }
    json_close(o, ']');
}

void json_raw(struct out *o, const char *json)
{
    bool quoted = false;

    comma(o);
    for (const char *c = json; *c; c++) { /* on one line: space between tokens goes */
        if (*c == '"')
            quoted = !quoted;
        if (quoted && *c == '\\' && c[1])
            out_bytes(o, c++, 2);
        else if (quoted || !strchr(" \t\r\n", *c))
            out_bytes(o, c, 1);
    }
}

void json_nothing(struct out *o)
{
    comma(o);
    out_text(o, "null");
}

void json_id(struct out *o, uint32_t id)
{
    if (is_pooled(id))
        json_nothing(o);
    else
        json_count(o, id);
}

void json_line(struct out *o)
{
    out_bytes(o, "\n", 1);
    o->comma = false;
}

/* ---- tables ----------------------------------------------------------------------------- */

void table_begin(struct table *t, const char *columns, bool header)
{
    memset(t, 0, sizeof *t);
    t->columns = columns;
    t->header = header;
}

static void end_cell(struct table *t)
{
    t->ends = need_more(t->ends, &t->capacity, t->n + 1, sizeof *t->ends);
    t->ends[t->n++] = t->text.n;
}

void table_cell(struct table *t, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    out_valist(&t->text, fmt, args);
    va_end(args);
    end_cell(t);
}

void table_word(struct table *t, const char *text, size_t len)
{
    out_word(&t->text, text, len);
    end_cell(t);
}

static void pad(struct out *o, size_t n)
{
    while (n--)
        out_bytes(o, " ", 1);
}

void table_end(struct table *t, struct out *o)
{
    size_t n_columns = strlen(t->columns), start = 0;
    size_t *widths = need_memory(n_columns, sizeof *widths);
    const char *text = t->text.data ? t->text.data : "";

    for (size_t i = 0; i < t->n; i++) {
        size_t width = display_width(text + start, t->ends[i] - start);

        if (width > widths[i % n_columns])
            widths[i % n_columns] = width;
        start = t->ends[i];
    }
    start = 0;
    for (size_t i = 0; i < t->n; i++) {
        size_t column = i % n_columns, len = t->ends[i] - start;
        size_t blanks = widths[column] - display_width(text + start, len);
        bool last = column + 1 == n_columns;

        if (t->header && i == 0)
            out_style(o, DIM);
        if (t->columns[column] == 'r')
            pad(o, blanks);
        out_bytes(o, text + start, len);
        if (t->columns[column] != 'r' && !last)
            pad(o, blanks);
        if (!last)
            out_text(o, "  ");
        while (last && o->data[o->n - 1] == ' ')
            o->n--;
        if (t->header && i + 1 == n_columns)
            out_style(o, PLAIN);
        if (last)
            out_text(o, "\n");
        start = t->ends[i];
    }
    free(widths);
    free(t->ends);
    out_free(&t->text);
}

/* ---- where results go ------------------------------------------------------------------- */

static struct sink {
    struct out screen, file; /* stdout; the file of -o where it is text */
    bool to_screen, to_file; /* what is written as text */
    enum format screen_format, file_format;
    bool screen_begun, file_begun;
    bool array, vectors;
    wte_space_format vectors_format;
    float *numbers; /* for .npy, kept until the end */
    size_t n_numbers, capacity;
    uint32_t *ids; /* or these */
    size_t n_ids, ids_capacity;
    bool of_ids;
} sink;

bool has_ending(const char *path, const char *endings)
{
    size_t n = strlen(path);

    while (*endings) {
        size_t len = strcspn(endings, " ");

        if (n > len && memcmp(path + n - len, endings, len) == 0)
            return true;
        endings += len + (endings[len] == ' ');
    }
    return false;
}

static bool wants_colour(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return !(no && *no) && term && strcmp(term, "dumb") != 0 && isatty(STDOUT_FILENO) == 1;
}

void sink_open(void)
{
    sink.to_screen = !cli.output || cli.json || cli.tsv;
    sink.screen_format = cli.json ? JSON : cli.tsv ? TSV : PEOPLE;
    sink.screen.colour = sink.screen_format == PEOPLE && wants_colour();
    if (!cli.output)
        return;
    sink.array = has_ending(cli.output, ".npy");
    if (has_ending(cli.output, ".json .tsv")) {
        sink.to_file = true;
        sink.file_format = has_ending(cli.output, ".json") ? JSON : TSV;
    } else if (!sink.array) {
        sink.vectors = true;
        sink.vectors_format = has_ending(cli.output, ".bin")   ? WTE_WORD2VEC_BIN
                              : has_ending(cli.output, ".txt") ? WTE_WORD2VEC_TEXT
                                                               : WTE_LAYOUT;
    }
}

void sink_put(write_fn write, const void *result)
{
    if (sink.to_screen)
        write(&sink.screen, sink.screen_format, result);
    if (sink.to_file)
        write(&sink.file, sink.file_format, result);
    if (sink.screen.n >= 65536)
        sink_flush();
}

bool sink_first(const struct out *o)
{
    bool *begun = o == &sink.file ? &sink.file_begun : &sink.screen_begun;
    bool first = !*begun;

    *begun = true;
    return first;
}

bool sink_wants_array(void)
{
    return sink.array;
}

bool sink_wants_vectors(wte_space_format *format)
{
    if (sink.vectors)
        *format = sink.vectors_format;
    return sink.vectors;
}

void sink_numbers(const float *values, size_t n)
{
    if (!sink.array)
        return;
    sink.numbers =
        need_more(sink.numbers, &sink.capacity, sink.n_numbers + n, sizeof *sink.numbers);
    if (n)
        memcpy(sink.numbers + sink.n_numbers, values, n * sizeof *values);
    sink.n_numbers += n;
}

void sink_ids(const uint32_t *ids, size_t n)
{
    if (!sink.array)
        return;
    sink.of_ids = true;
    sink.ids = need_more(sink.ids, &sink.ids_capacity, sink.n_ids + n, sizeof *sink.ids);
    if (n)
        memcpy(sink.ids + sink.n_ids, ids, n * sizeof *ids);
    sink.n_ids += n;
}

static bool write_all(int fd, const char *data, size_t n)
{
    while (n) {
        ssize_t done = write(fd, data, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        data += done;
        n -= (size_t)done;
    }
    return true;
}

void sink_flush(void)
{
    if (sink.screen.n && !write_all(STDOUT_FILENO, sink.screen.data, sink.screen.n)) {
        int status = fail("standard output: %s", strerror(errno));

        _exit(status);
    }
    sink.screen.n = 0;
}

int write_file(const char *path, const void *data, size_t n)
{
    struct out temp = {0};
    int status = 0, fd;

    out_format(&temp, "%s.%ld.tmp", path, (long)getpid());
    fd = open(temp.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        status = fail("%s: %s", path, strerror(errno));
        goto out;
    }
    if (!write_all(fd, data, n) || fsync(fd) != 0) {
        status = fail("%s: %s", path, strerror(errno));
        close(fd);
        unlink(temp.data);
        goto out;
    }
    if (close(fd) != 0 || rename(temp.data, path) != 0) {
        status = fail("%s: %s", path, strerror(errno));
        unlink(temp.data);
    }
out:
    out_free(&temp);
    return status;
}

int sink_close(const size_t *shape, size_t n_dims)
{
    int status = 0;

    if (sink.array) {
        wte_error err = {0};

        if (sink.of_ids ? wte_npy_write(cli.output, "<u4", &sink.n_ids, 1, sink.ids, &err) != WTE_OK
                        : wte_npy_write(cli.output, "<f4", n_dims ? shape : &sink.n_numbers,
                                        n_dims ? n_dims : 1, sink.numbers, &err) != WTE_OK)
            status = fail_with(&err);
    }
    if (sink.to_file)
        status = write_file(cli.output, sink.file.data ? sink.file.data : "", sink.file.n);
    if (status == 0)
        sink_flush();
    free(sink.numbers);
    free(sink.ids);
    out_free(&sink.screen);
    out_free(&sink.file);
    return status;
}
