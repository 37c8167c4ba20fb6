/* SPDX-License-Identifier: MIT */
/* text.c - rows of word vectors written as text
 *
 * A row is a word, then as many times a space and a number as the matrix is wide. White space at
 * the end of a line (fastText's space, the carriage return of a file from Windows) belongs to
 * nobody. Otherwise fields are separated by exactly one space, as in the reference: two spaces, or
 * a tab, are an error and not a guess. Words are any bytes but space and newline; in GloVe's files,
 * which have no header, they may contain spaces too, and the last fields are the numbers. */
#include "format/text.h"
#include "format/number.h"

const char *wte__line_strip(const char *line, const char *end)
{
    while (end > line && (end[-1] == ' ' || (end[-1] >= '\t' && end[-1] <= '\r')))
        end--;
    return end;
}

/* Where the last n fields begin, NULL if there is nothing before them. */
static const char *last_fields(const char *line, const char *end, size_t n)
{
    while (end > line)
        if (*--end == ' ' && --n == 0)
            return end + 1;
    return NULL;
}

/* Show a field for a message. */
static int shown(const char *p, const char *end)
{
    ptrdiff_t n = end - p;

    return n < 40 ? (int)n : 40;
}

static bool explain(const char *line, const char *end, size_t dim, char *reason, size_t size)
{
    const char *p = memchr(line, ' ', (size_t)(end - line));
    size_t n = 0;

    if (line == end) {
        snprintf(reason, size, "is empty");
        return false;
    }
    while (p) {
        const char *field = p + 1, *stop = memchr(field, ' ', (size_t)(end - field));
        float x;

        p = stop;
        if (!stop)
            stop = end;
        if (wte__number_parse(field, stop, &x) != stop) {
            if (field == stop)
                snprintf(reason, size, "has two spaces after field %zu", n + 1);
            else
                snprintf(reason, size, "'%.*s' is no number", shown(field, stop), field);
            return false;
        }
        n++;
    }
    snprintf(reason, size, "has %zu numbers, expected %zu%s", n, dim,
             n == 0 && memchr(line, '\t', (size_t)(end - line))
                 ? " (fields are separated by tabs, expected single spaces)"
                 : "");
    return false;
}

bool wte__line_split(const char *line, const char *end, size_t dim, bool loose, wte__line *out,
                     char *reason, size_t size)
{
    const char *numbers = last_fields(line, end, dim);
    const char *space = memchr(line, ' ', (size_t)(end - line));

    if (!numbers || (!loose && numbers - 1 != space))
        return explain(line, end, dim, reason, size);
    for (const char *p = numbers;;) {
        float x;

        p = wte__number_parse(p, end, &x);
        if (!p)
            return explain(line, end, dim, reason, size);
        if (p == end)
            break;
        p++;
    }
    *out = (wte__line){(size_t)(numbers - 1 - line), numbers};
    return true;
}

bool wte__line_read(const char *line, const char *end, size_t dim, bool loose, wte__line *parts,
                    float *out, char *reason, size_t size)
{
    const char *space = memchr(line, ' ', (size_t)(end - line)), *p = space;
    size_t n = 0;

    while (p && p < end && n < dim) {
        p = wte__number_parse(p + 1, end, &out[n]);
        n += p != NULL;
    }
    if (p == end && n == dim) {
        *parts = (wte__line){(size_t)(space - line), space + 1};
        return true;
    }
    if (!loose || !wte__line_split(line, end, dim, true, parts, reason, size))
        return explain(line, end, dim, reason, size);
    p = parts->numbers - 1;
    for (n = 0; n < dim; n++)
        p = wte__number_parse(p + 1, end, &out[n]);
    return true;
}

size_t wte__lines_count(const char *p, const char *end)
{
    size_t n = 0;

    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));

        n++;
        if (!newline)
            break;
        p = newline + 1;
    }
    return n;
}
