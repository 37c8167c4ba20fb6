/* SPDX-License-Identifier: MIT */
/* eval.c - lines, words and correlations for the evaluations
 *
 * The p-value of a correlation r of n pairs is that of t = r sqrt(v / (1 - r^2)) with v = n - 2
 * under Student's t, two-sided. In terms of the regularised incomplete beta function it is I_{1 -
 * r^2}(v / 2, 1 / 2), which scipy computes too. I_x(a, b) is evaluated as a continued fraction by
 * Lentz's method (Abramowitz and Stegun 26.5.8; Lentz 1976), which converges quickly for x < (a +
 * 1) / (a + b + 2); beyond, 1 - I_{1-x}(b, a) is used. */
#include "space/eval_internal.h"
#include <math.h>
#include <stdlib.h>

/* ---- lines and words --------------------------------------------------------------------- */

void wte__lines_init(wte__lines *l, const char *path, const wte__map *map)
{
    *l = (wte__lines){.path = path, .next = (const char *)map->data};
    l->end = l->next + map->size;
    if (map->size >= 3 && memcmp(map->data, "\xEF\xBB\xBF", 3) == 0)
        l->next += 3;
}

wte_status wte__lines_next(wte__lines *l, const char **line, size_t *n, bool *more, wte_error *err)
{
    const char *newline;

    *more = l->next < l->end;
    if (!*more)
        return WTE_OK;
    newline = memchr(l->next, '\n', (size_t)(l->end - l->next));
    *line = l->next;
    *n = (size_t)((newline ? newline : l->end) - l->next);
    l->next = newline ? newline + 1 : l->end;
    l->number++;
    if (*n > 0 && (*line)[*n - 1] == '\r')
        --*n;
    if (!wte__utf8_valid(*line, *n))
        return wte__fail(err, WTE_E_FORMAT, "%s: line %zu is not UTF-8", l->path, l->number);
    return WTE_OK;
}

/* Length of the white space that begins here, 0 if there is none. What Python takes for it. */
static size_t space_length(const char *s, size_t n)
{
    unsigned char c = (unsigned char)*s;
    uint32_t code = 0;
    size_t length;

    if (c < 0x80)
        return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1C && c <= 0x1F);
    length = wte__utf8_decode(s, n, &code);
    return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) ||
                   code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F ||
                   code == 0x3000
               ? length
               : 0;
}

size_t wte__next_word(const char **line, size_t *n, const char **word)
{
    size_t length = 0, space;

    while (*n > 0 && (space = space_length(*line, *n)) > 0) {
        *line += space;
        *n -= space;
    }
    *word = *line;
    while (length < *n && space_length(*line + length, *n - length) == 0)
        length++;
    *line += length;
    *n -= length;
    return length;
}

/* ---- correlations ------------------------------------------------------------------------ */

/* The continued fraction of I_x(a, b). */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1), h;

    d = 1 / (fabs(d) < tiny ? tiny : d);
    h = d;
    for (int m = 1; m < 10000; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        double step;

        d = 1 + even * d;
        c = 1 + even / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        h *= d * c;
        d = 1 + odd * d;
        c = 1 + odd / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        step = d * c;
        h *= step;
        if (fabs(step - 1) < 1e-16)
            break;
    }
    return h;
}

/* I_x(a, b) where y = 1 - x, given apart because one of them may be tiny. */
static double incomplete_beta(double a, double b, double x, double y)
{
    int sign;
    double front;

    if (x <= 0)
        return 0;
    if (y <= 0)
        return 1;
    front = exp(lgamma_r(a + b, &sign) - lgamma_r(a, &sign) - lgamma_r(b, &sign) + a * log(x) +
                b * log(y));
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, y) / b;
}

double wte__correlation_p(double r, size_t n)
{
    if (n < 3 || isnan(r))
        return NAN;
    return incomplete_beta((double)(n - 2) / 2, 0.5, (1 - r) * (1 + r), r * r);
}

double wte__pearson(const double *x, const double *y, size_t n)
{
    double mean_x = 0, mean_y = 0, xx = 0, yy = 0, xy = 0, product, r;

    for (size_t i = 0; i < n; i++) {
        mean_x += x[i];
        mean_y += y[i];
    }
    mean_x /= (double)n;
    mean_y /= (double)n;
    for (size_t i = 0; i < n; i++) {
        xx += (x[i] - mean_x) * (x[i] - mean_x);
        yy += (y[i] - mean_y) * (y[i] - mean_y);
        xy += (x[i] - mean_x) * (y[i] - mean_y);
    }
    product = xx * yy; /* one root where it can be: exact for ranks in the same order */
    r = xy / (product > 0 && isfinite(product) ? sqrt(product) : sqrt(xx) * sqrt(yy));
    return r > 1 ? 1 : r < -1 ? -1 : r;
}

static int compare_values(const void *a, const void *b)
{
    double x = ((const wte__placed *)a)->value, y = ((const wte__placed *)b)->value;

    return (x > y) - (x < y);
}

void wte__mid_ranks(const double *x, size_t n, wte__placed *scratch, double *ranks)
{
    for (size_t i = 0; i < n; i++)
        scratch[i] = (wte__placed){x[i], i};
    qsort(scratch, n, sizeof *scratch, compare_values);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && scratch[end].value == scratch[i].value; end++)
            ;
        for (size_t j = i; j < end; j++)
            ranks[scratch[j].place] = ((double)i + (double)end + 1) / 2;
    }
}
