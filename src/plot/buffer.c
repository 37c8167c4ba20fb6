/* SPDX-License-Identifier: MIT */
/* buffer.c - bytes that grow, and the few ways in which figures are written into them
 *
 * Numbers are written from integers: printf's would have a comma for a point in some locales, which
 * neither SVG nor a path in it can bear. */
#include "plot/buffer.h"
#include <math.h>

void wte__buffer_add(wte__buffer *b, const void *data, size_t n)
{
    void *grown = b->data;

    if (b->failed || n > SIZE_MAX / 4 - b->n ||
        (b->n + n > b->capacity && !wte__grow(&grown, &b->capacity, b->n + n, 1))) {
        b->failed = true;
        return;
    }
    b->data = grown;
    if (n > 0)
        memcpy(b->data + b->n, data, n);
    b->n += n;
}

void wte__buffer_text(wte__buffer *b, const char *text)
{
    wte__buffer_add(b, text, strlen(text));
}

void wte__buffer_number(wte__buffer *b, double value)
{
    char digits[32], *p = digits + sizeof digits;
    long long hundredths = llround(fmin(fmax(value, -1e12), 1e12) * 100);
    unsigned long long left =
        hundredths < 0 ? (unsigned long long)-hundredths : (unsigned long long)hundredths;
    const unsigned fraction = (unsigned)(left % 100);

    if (fraction) {
        if (fraction % 10)
            *--p = (char)('0' + fraction % 10);
        *--p = (char)('0' + fraction / 10);
        *--p = '.';
    }
    left /= 100;
    do
        *--p = (char)('0' + left % 10);
    while (left /= 10);
    if (hundredths < 0)
        *--p = '-';
    wte__buffer_add(b, p, (size_t)(digits + sizeof digits - p));
}

void wte__buffer_xml(wte__buffer *b, const char *text)
{
    for (;;) {
        const size_t plain = strcspn(text, "&<>\"");

        wte__buffer_add(b, text, plain);
        text += plain;
        switch (*text++) {
        case '&':
            wte__buffer_text(b, "&amp;");
            break;
        case '<':
            wte__buffer_text(b, "&lt;");
            break;
        case '>':
            wte__buffer_text(b, "&gt;");
            break;
        case '"':
            wte__buffer_text(b, "&quot;");
            break;
        default:
            return;
        }
    }
}

void wte__buffer_base64(wte__buffer *b, const void *data, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *s = data;

    for (size_t i = 0; i < n; i += 3) {
        const size_t left = n - i;
        const unsigned word = (unsigned)s[i] << 16 | (left > 1 ? (unsigned)s[i + 1] << 8 : 0) |
                              (left > 2 ? s[i + 2] : 0u);
        const char four[4] = {digits[word >> 18], digits[word >> 12 & 63],
                              left > 1 ? digits[word >> 6 & 63] : '=',
                              left > 2 ? digits[word & 63] : '='};

        wte__buffer_add(b, four, 4);
    }
}

void wte__buffer_free(wte__buffer *b)
{
    wte__free(b->data);
    *b = (wte__buffer){0};
}
