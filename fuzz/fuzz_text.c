/* SPDX-License-Identifier: MIT */
/* fuzz_text.c - rows of text, and numbers against the C library's
 *
 * The first byte says how many numbers a row has. Each line is read as a row of word2vec and of
 * GloVe; each field as a number, which has to be what strtod gives, rounded to float32; and each
 * number that was read has to survive being written. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "format/number.h"
#include "format/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_number(const char *p, const char *end)
{
    char text[256], printed[32], *stopped;
    size_t n = (size_t)(end - p), len;
    float x, back;
    double want;

    if (wte__number_parse(p, end, &x) != end || n >= sizeof text)
        return;
    len = wte__number_print(x, printed);
    if (wte__number_parse(printed, printed + len, &back) != printed + len ||
        (isnan(x) ? !isnan(back) : back != x || signbit(back) != signbit(x)))
        abort();
    memcpy(text, p, n);
    text[n] = '\0';
    if (memchr(text, '_', n))
        return;
    want = strtod(text, &stopped);
    if (stopped != text + n || (isnan(want) ? !isnan(x) : (float)want != x))
        abort();
}

static void check_line(const char *line, const char *newline, size_t dim)
{
    const char *end = wte__line_strip(line, newline);
    char reason[256];
    wte__line strict, loose;
    float x[8], y[8];

    for (const char *p = line; p < end;) {
        const char *stop = memchr(p, ' ', (size_t)(end - p));

        check_number(p, stop ? stop : end);
        p = stop ? stop + 1 : end;
    }
    if (!wte__line_read(line, end, dim, false, &strict, x, reason, sizeof reason))
        return;
    if (!wte__line_read(line, end, dim, true, &loose, y, reason, sizeof reason) ||
        loose.word_len != strict.word_len || memcmp(x, y, dim * sizeof *x) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *line = (const char *)data + 1, *end = (const char *)data + size;
    size_t n = 0;

    if (size < 2)
        return 0;
    while (line < end) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));

        check_line(line, newline ? newline : end, data[0] % 8 + 1u);
        line = newline ? newline + 1 : end;
        n++;
    }
    if (n != wte__lines_count((const char *)data + 1, end))
        abort();
    return 0;
}
