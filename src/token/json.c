/* SPDX-License-Identifier: MIT */
/* json.c - a reader for large JSON files, value by value
 *
 * A library that builds a tree needs an allocation for each of a vocabulary's entries and of its
 * strings, and takes ten times as long as opening a tokenizer may. Here the caller says what comes
 * next, and a string is decoded into one buffer. RFC 8259, with depth limited to MAX_DEPTH. */
#include "token/json.h"
#include <stdarg.h>
#include "token/unicode.h"

enum { MAX_DEPTH = 128 };

void wte__json_begin(wte__json *j, const char *name, const void *data, size_t n, wte_error *err)
{
    memset(j, 0, sizeof *j);
    j->name = name;
    j->begin = j->p = data;
    j->end = j->begin + n;
    j->err = err;
}

void wte__json_free(wte__json *j)
{
    wte__free(j->string);
    j->string = NULL;
    j->string_capacity = 0;
}

wte_status wte__json_fail(const wte__json *j, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    size_t at = (size_t)(j->p - j->begin);

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return wte__fail_at(j->err, WTE_E_FORMAT, at, "%s: byte %zu: %s", j->name, at, text);
}

char wte__json_peek(wte__json *j)
{
    while (j->p < j->end && (*j->p == ' ' || *j->p == '\n' || *j->p == '\t' || *j->p == '\r'))
        j->p++;
    return j->p < j->end ? *j->p : '\0';
}

/* Say what was expected in place of what is here. */
static wte_status unexpected(wte__json *j, const char *wanted)
{
    if (j->p >= j->end)
        return wte__json_fail(j, "the file ends, expected %s", wanted);
    if ((unsigned char)*j->p < 0x21 || (unsigned char)*j->p > 0x7E)
        return wte__json_fail(j, "byte 0x%02X, expected %s", (unsigned)(unsigned char)*j->p,
                              wanted);
    return wte__json_fail(j, "'%c', expected %s", *j->p, wanted);
}

wte_status wte__json_expect(wte__json *j, char mark)
{
    const char wanted[] = {'\'', mark, '\'', '\0'};

    if (wte__json_peek(j) != mark || j->p == j->end)
        return unexpected(j, wanted);
    j->p++;
    return WTE_OK;
}

wte_status wte__json_next(wte__json *j, char close, bool *first, bool *more)
{
    wte_status status;

    if (wte__json_peek(j) == close && j->p < j->end) {
        j->p++;
        *more = false;
        return WTE_OK;
    }
    if (!*first) {
        status = wte__json_expect(j, ',');
        if (status != WTE_OK)
            return status;
    }
    *first = false;
    *more = true;
    return WTE_OK;
}

/* Four hexadecimal digits after "\u", or -1. */
static long hex4(const char *p, const char *end)
{
    long code = 0;

    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9'                     ? c - '0'
                    : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                             : -1;

        if (digit < 0)
            return -1;
        code = code * 16 + digit;
    }
    return code;
}

/* "\uXXXX" at j->p, with its second half where it is a surrogate. */
static wte_status unicode_escape(wte__json *j, uint32_t *code)
{
    long high = hex4(j->p + 2, j->end), low;

    if (high < 0)
        return wte__json_fail(j, "\\u without four hexadecimal digits");
    if (high >= 0xDC00 && high < 0xE000)
        return wte__json_fail(j, "lone surrogate \\u%04lX", (unsigned long)high);
    if (high < 0xD800 || high >= 0xE000) {
        j->p += 6;
        *code = (uint32_t)high;
        return WTE_OK;
    }
    low = j->end - j->p >= 12 && j->p[6] == '\\' && j->p[7] == 'u' ? hex4(j->p + 8, j->end) : -1;
    if (low < 0xDC00 || low >= 0xE000)
        return wte__json_fail(j, "lone surrogate \\u%04lX", (unsigned long)high);
    j->p += 12;
    *code = 0x10000 + ((uint32_t)(high - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
    return WTE_OK;
}

/* The escape at j->p; *n bytes go to out. */
static wte_status escape(wte__json *j, char *out, size_t *n)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    uint32_t code = 0;
    const char *found;
    wte_status status;

    if (j->end - j->p < 2)
        return wte__json_fail(j, "the file ends inside a string");
    if (j->p[1] == 'u') {
        status = unicode_escape(j, &code);
        if (status != WTE_OK)
            return status;
        *n = wte__utf8_encode(code, out);
        return WTE_OK;
    }
    found = j->p[1] ? strchr(from, j->p[1]) : NULL;
    if (!found)
        return wte__json_fail(j, "unknown escape in a string");
    *out = to[found - from];
    *n = 1;
    j->p += 2;
    return WTE_OK;
}

wte_status wte__json_string(wte__json *j)
{
    size_t n = 0;

    if (wte__json_peek(j) != '"' || j->p == j->end)
        return unexpected(j, "a string");
    j->p++;
    for (;;) {
        const char *run = j->p;
        uint32_t code;
        size_t length;
        wte_status status;

        while (j->p < j->end && (signed char)*j->p >= 0x20 && *j->p != '"' && *j->p != '\\')
            j->p++;
        length = (size_t)(j->p - run);
        if (n + length + 8 > j->string_capacity &&
            !wte__grow((void **)&j->string, &j->string_capacity, n + length + 8, 1))
            return wte__fail(j->err, WTE_E_NOMEM, "no memory for a string of %s", j->name);
        memcpy(j->string + n, run, length);
        n += length;
        if (j->p == j->end)
            return wte__json_fail(j, "the file ends inside a string");
        if (*j->p == '"')
            break;
        if (*j->p == '\\') {
            status = escape(j, j->string + n, &length);
            if (status != WTE_OK)
                return status;
            n += length;
            continue;
        }
        if ((unsigned char)*j->p < 0x20)
            return wte__json_fail(j, "control character 0x%02X in a string", (unsigned)*j->p);
        length = wte__utf8_decode(j->p, (size_t)(j->end - j->p), &code);
        if (!length)
            return wte__json_fail(j, "invalid UTF-8 in a string (byte 0x%02X)",
                                  (unsigned)(unsigned char)*j->p);
        memcpy(j->string + n, j->p, length);
        n += length;
        j->p += length;
    }
    j->p++;
    j->string_len = n;
    return WTE_OK;
}

wte_status wte__json_key(wte__json *j)
{
    wte_status status = wte__json_string(j);

    return status == WTE_OK ? wte__json_expect(j, ':') : status;
}

/* A hexadecimal digit, or 256. */
static inline unsigned hex_digit(char c)
{
    unsigned digit = (unsigned)(unsigned char)c - '0', letter = ((unsigned char)c | 0x20u) - 'a';

    return digit < 10 ? digit : letter < 6 ? letter + 10 : 256;
}

bool wte__json_plain_entry(wte__json *j, char *key, size_t *len, uint32_t *value)
{
    const char *p = j->p, *limit;
    char *out = key;
    uint32_t number = 0;

    if (j->end - p < WTE__JSON_PLAIN + 64)
        return false;
    p += *p == ' ' || *p == '\n';
    if (*p++ != '"')
        return false;
    for (limit = p + WTE__JSON_PLAIN; *p != '"';) {
        unsigned char c = (unsigned char)*p;
        unsigned code;

        if (p >= limit || c < 0x20)
            return false;
        if (c < 0x80 && c != '\\') {
            *out++ = *p++;
            continue;
        }
        if (c == '\\') {
            unsigned h0 = hex_digit(p[2]), h1 = hex_digit(p[3]), h2 = hex_digit(p[4]),
                     h3 = hex_digit(p[5]);

            code = h0 << 12 | h1 << 8 | h2 << 4 | h3;
            if (p[1] != 'u' || ((h0 | h1 | h2 | h3) & 256))
                return false;
            p += 6;
        } else {
            code = (c & 0x1Fu) << 6 | ((unsigned char)p[1] & 0x3F);
            if (c < 0xC2 || c > 0xDF || ((unsigned char)p[1] & 0xC0) != 0x80)
                return false;
            p += 2;
        }
        if (code < 0x80 || code >= 0x800)
            return false;
        *out++ = (char)(0xC0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3F));
    }
    p++;
    if (*p++ != ':')
        return false;
    p += *p == ' ';
    if (*p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9'))
        return false;
    for (limit = p + 9; p < limit && *p >= '0' && *p <= '9'; p++)
        number = number * 10 + (uint32_t)(*p - '0');
    if (*p != ',' && *p != '}' && *p != '\n')
        return false;
    *len = (size_t)(out - key);
    *value = number;
    j->p = p;
    return true;
}

wte_status wte__json_uint(wte__json *j, uint32_t *out)
{
    uint64_t value = 0;
    const char *first;

    wte__json_peek(j);
    first = j->p;
    while (j->p < j->end && *j->p >= '0' && *j->p <= '9' && value < UINT32_MAX)
        value = value * 10 + (uint64_t)(*j->p++ - '0');
    if (j->p == first)
        return unexpected(j, "a whole number");
    if (value >= UINT32_MAX || (*first == '0' && j->p > first + 1) ||
        (j->p < j->end && (*j->p == '.' || *j->p == 'e' || *j->p == 'E'))) {
        j->p = first;
        return wte__json_fail(j, "expected a whole number of 0 to 4294967294");
    }
    *out = (uint32_t)value;
    return WTE_OK;
}

/* Go past a word (true, false, null) if it is here. */
static bool word(wte__json *j, const char *w)
{
    size_t n = strlen(w);

    if ((size_t)(j->end - j->p) < n || memcmp(j->p, w, n) != 0)
        return false;
    j->p += n;
    return true;
}

wte_status wte__json_bool(wte__json *j, int *out)
{
    wte__json_peek(j);
    if (word(j, "true"))
        *out = 1;
    else if (word(j, "false"))
        *out = 0;
    else if (!word(j, "null"))
        return unexpected(j, "true or false");
    return WTE_OK;
}

static bool digits(wte__json *j)
{
    const char *first = j->p;

    while (j->p < j->end && *j->p >= '0' && *j->p <= '9')
        j->p++;
    return j->p > first;
}

static wte_status skip_number(wte__json *j)
{
    if (j->p < j->end && *j->p == '-')
        j->p++;
    if (j->p < j->end && *j->p == '0')
        j->p++;
    else if (!digits(j))
        return unexpected(j, "a value");
    if (j->p < j->end && *j->p == '.') {
        j->p++;
        if (!digits(j))
            return unexpected(j, "a digit");
    }
    if (j->p < j->end && (*j->p == 'e' || *j->p == 'E')) {
        j->p++;
        if (j->p < j->end && (*j->p == '+' || *j->p == '-'))
            j->p++;
        if (!digits(j))
            return unexpected(j, "a digit");
    }
    return WTE_OK;
}

wte_status wte__json_skip(wte__json *j)
{
    char close[MAX_DEPTH];
    bool first[MAX_DEPTH];
    size_t depth = 0;
    wte_status status = WTE_OK;

    do {
        bool more = true;
        char c;

        if (depth) {
            status = wte__json_next(j, close[depth - 1], &first[depth - 1], &more);
            if (status == WTE_OK && more && close[depth - 1] == '}')
                status = wte__json_key(j);
            if (status != WTE_OK)
                return status;
            if (!more) {
                depth--;
                continue;
            }
        }
        c = wte__json_peek(j);
        if (c == '{' || c == '[') {
            if (depth == MAX_DEPTH)
                return wte__json_fail(j, "values more than %d deep", MAX_DEPTH);
            j->p++;
            close[depth] = c == '{' ? '}' : ']';
            first[depth++] = true;
        } else if (c == '"') {
            status = wte__json_string(j);
        } else if (!word(j, "true") && !word(j, "false") && !word(j, "null")) {
            status = skip_number(j);
        }
    } while (depth && status == WTE_OK);
    return status;
}

bool wte__json_is(const wte__json *j, const char *s)
{
    return j->string_len == strlen(s) && memcmp(j->string, s, j->string_len) == 0;
}

wte_status wte__json_end(wte__json *j)
{
    wte__json_peek(j);
    return j->p == j->end ? WTE_OK : unexpected(j, "the end of the file");
}
