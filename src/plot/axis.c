/* SPDX-License-Identifier: MIT */
/* axis.c - ticks
 *
 * Numbers are multiples of 1, 2 or 5 times a power of ten, as many as fit with air between them.
 * They are printed from integers (no locale), with as many digits as their step has and a real
 * minus; very large and very small ones as 2.5e6.
 *
 * Names are shown all where a line of 8, 7 or 6 points fits into a cell; else every k-th, evenly.
 * Where they are numbers themselves (positions, layers), k is round too. Along x they lie flat if
 * they all fit so, and else read upward. */
#include "plot/axis.h"
#include <math.h>
#include <stdlib.h>

enum { MAX_NAME = 150, SMALL = 6, USUAL = 8, THINNED = 7 };

static bool add(wte__fonts *fonts, wte__axis *axis, double at, char *text)
{
    void *grown = axis->ticks;

    if (!text || !wte__grow(&grown, &axis->capacity, axis->n + 1, sizeof *axis->ticks)) {
        wte__free(text);
        return false;
    }
    axis->ticks = grown;
    axis->ticks[axis->n++] = (wte__tick){at, text, wte__text_width(fonts, text, axis->size, false)};
    return true;
}

static void clear(wte__axis *axis)
{
    for (size_t i = 0; i < axis->n; i++)
        wte__free(axis->ticks[i].text);
    axis->n = 0;
}

void wte__axis_free(wte__axis *axis)
{
    clear(axis);
    wte__free(axis->ticks);
    *axis = (wte__axis){0};
}

/* Room that the texts take, once they are chosen. */
static void measure(wte__axis *axis, double length, bool downward)
{
    const double line = axis->size * WTE__LINE;

    axis->depth = axis->before = axis->after = 0;
    for (size_t i = 0; i < axis->n; i++) {
        const wte__tick *t = &axis->ticks[i];
        const double along = downward || axis->upward ? line : t->width,
                     across = downward || axis->upward ? t->width : line;

        axis->depth = fmax(axis->depth, across);
        axis->before = fmax(axis->before, along / 2 - t->at * length);
        axis->after = fmax(axis->after, along / 2 - (1 - t->at) * length);
    }
}

/* True when no text comes nearer to the next than `air`. */
static bool fits(const wte__axis *axis, double length, bool downward, double air)
{
    for (size_t i = 1; i < axis->n; i++) {
        const wte__tick *a = &axis->ticks[i - 1], *b = &axis->ticks[i];
        const double need = downward ? axis->size * WTE__LINE : (a->width + b->width) / 2;

        if (fabs(b->at - a->at) * length < need + air)
            return false;
    }
    return true;
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* The smallest of 1, 2, 5 times a power of ten that is at least x; its exponent goes to *power. */
static double round_step(double x, int *power)
{
    static const double factors[] = {1, 2, 5};

    *power = (int)floor(log10(x) + 1e-9);
    for (int i = 0; i < 3; i++)
        if (factors[i] * pow(10, *power) >= x * (1 - 1e-9))
            return factors[i] * pow(10, *power);
    ++*power;
    return pow(10, *power);
}

/* Print k * 10^power with `decimals` digits behind the point. */
static char *decimal(double value, int decimals)
{
    char digits[48], *p = digits + sizeof digits - 1;
    unsigned long long left = (unsigned long long)llround(fabs(value) * pow(10, decimals));
    const bool minus = value < 0 && left > 0;

    *p = '\0';
    for (int i = 0; i < decimals || i == 0 || left > 0; i++) {
        if (i == decimals && decimals > 0)
            *--p = '.';
        *--p = (char)('0' + left % 10);
        left /= 10;
        if (i + 1 == decimals && left == 0) { /* a digit before the point */
            *--p = '.';
            *--p = '0';
            break;
        }
    }
    return wte__concat(minus ? "\u2212" : "", p, (const char *)NULL);
}

static char *number(double value, int power, double largest)
{
    const int exponent = largest > 0 ? (int)floor(log10(largest) + 1e-9) : 0;
    char tail[16];
    char *mantissa, *text;

    if (largest < 1e6 && power >= -5)
        return decimal(value, power < 0 ? -power : 0);
    if (value == 0)
        return wte__strdup("0");
    snprintf(tail, sizeof tail, "e%s%d", exponent < 0 ? "\u2212" : "", abs(exponent));
    mantissa = decimal(value / pow(10, exponent), exponent > power ? exponent - power : 0);
    text = mantissa ? wte__concat(mantissa, tail, (const char *)NULL) : NULL;
    wte__free(mantissa);
    return text;
}

bool wte__axis_numbers(wte__fonts *fonts, wte__axis *axis, double low, double high, double length,
                       bool downward, bool whole)
{
    const double range = high - low, largest = fmax(fabs(low), fabs(high));

    axis->size = USUAL;
    for (int most = (int)fmin(fmax(length / 22, 2), 9); most > 0; most--) {
        int power;
        double step = round_step(range / most, &power);

        if (whole && step < 1) {
            step = 1;
            power = 0;
        }
        while (largest / step > 1e15) { /* numbers that float64 cannot tell apart */
            step *= 10;
            power++;
        }
        clear(axis);
        for (double k = ceil(low / step - 1e-6); k * step <= high + step * 1e-6; k++) {
            const double at = (k * step - low) / range;

            if (!add(fonts, axis, downward ? 1 - at : at, number(k * step, power, largest)))
                return false;
        }
        if (fits(axis, length, downward, downward ? USUAL * 0.6 : USUAL))
            break;
    }
    measure(axis, length, downward);
    return true;
}

bool wte__axis_counts(wte__fonts *fonts, wte__axis *axis, unsigned high, double length)
{
    static const unsigned each[2][3] = {{1, 2, 5}, {1, 1, 1}};

    axis->size = USUAL;
    for (int sparse = 0; sparse < 2; sparse++) {
        clear(axis);
        for (double decade = 1; decade <= high; decade *= 10)
            for (int i = 0; i < (sparse ? 1 : 3); i++) {
                const double count = decade * each[sparse][i];

                if (count <= high && !add(fonts, axis, high > 1 ? 1 - log(count) / log(high) : 0.5,
                                          decimal(count, 0)))
                    return false;
            }
        if (fits(axis, length, true, USUAL * 0.6))
            break;
    }
    measure(axis, length, true);
    return true;
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool are_numbers(char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!names[i][0] || names[i][strspn(names[i], "0123456789")])
            return false;
    return true;
}

static size_t round_up(size_t k)
{
    static const size_t factors[] = {1, 2, 5};

    for (size_t decade = 1;; decade *= 10)
        for (size_t i = 0; i < 3; i++)
            if (decade * factors[i] >= k)
                return decade * factors[i];
}

/* Take every k-th name. */
static bool take(wte__fonts *fonts, wte__axis *axis, char *const *names, size_t n, size_t k,
                 double size)
{
    clear(axis);
    axis->size = size;
    for (size_t i = 0; i < n; i += k)
        if (!add(fonts, axis, ((double)i + 0.5) / (double)n,
                 wte__text_fit(fonts, names[i], size, false, MAX_NAME)))
            return false;
    return true;
}

bool wte__axis_names(wte__fonts *fonts, wte__axis *axis, char *const *names, size_t n,
                     double length, bool downward)
{
    const double pitch = length / (double)n;
    const bool numbers = are_numbers(names, n);
    double size = USUAL;
    size_t k = 1;

    axis->labels = true;
    if (!downward && pitch >= 4) {
        if (!take(fonts, axis, names, n, 1, USUAL))
            return false;
        if (fits(axis, length, false, USUAL / 2.0))
            goto done;
    }
    for (; numbers && !downward; k = round_up(k + 1)) { /* numbers lie flat, fewer of them */
        if ((double)k * pitch < USUAL)
            continue;
        if (!take(fonts, axis, names, n, k, USUAL))
            return false;
        if (fits(axis, length, false, USUAL))
            goto done;
    }
    while (size >= SMALL && size * WTE__LINE > pitch)
        size--;
    if (size < SMALL) {
        size = THINNED;
        k = (size_t)ceil(size * WTE__LINE / pitch);
        if (numbers)
            k = round_up(k);
    }
    axis->upward = !downward;
    if (!take(fonts, axis, names, n, k, size))
        return false;
done:
    measure(axis, length, downward);
    return true;
}
