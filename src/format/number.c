/* SPDX-License-Identifier: MIT */
/* number.c - decimal numbers to float32 and back
 *
 * The reference reads a number as float64 and rounds that to float32; so must we, to the last bit.
 * Digits are gathered in an integer m of at most 19 digits and a power of ten e.
 *
 *  - m < 2^53 and |e| <= 22: m and 10^|e| are exact doubles, so one multiplication or division is
 *    the correctly rounded float64 (Clinger 1990). Nearly every number of a vector file.
 *  - else m * 10^e is within a few units in the last place of the float64. If the product moved up
 *    and down by far more than that (2^-49 of it) rounds to one and the same float32, so does the
 *    correctly rounded float64 between them, and that is the answer. Only where a float32 boundary
 *    falls between (one number in ten million) does strtod decide.
 *
 * Writing tries 6, 7, 8, 9 digits until reading gives the number back; 9 always do. */
#include "format/number.h"
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#if defined(__APPLE__)
#include <xlocale.h>
#endif

enum { MAX_FIELD = 1024 }; /* bytes of one number */

static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static const uint32_t integers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};

static locale_t c_locale;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

/* Read inf, infinity or nan. */
static const char *parse_name(const char *p, const char *end, bool negative, float *out)
{
    static const struct {
        const char *name;
        float value;
    } names[] = {{"infinity", INFINITY}, {"inf", INFINITY}, {"nan", NAN}};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n = strlen(names[i].name), k = 0;

        while (k < n && p + k < end && (p[k] | 0x20) == names[i].name[k])
            k++;
        if (k == n && (p + n == end || p[n] == ' ')) {
            *out = negative ? -names[i].value : names[i].value;
            return p + n;
        }
    }
    return NULL;
}

/* The whole field by strtod: any number of digits, underscores. The field has been found to hold
 * only characters of a decimal number. */
static const char *parse_slowly(const char *p, const char *end, float *out)
{
    char text[MAX_FIELD];
    char *stopped = NULL;
    size_t n = 0;
    const char *q = p;
    double value;

    for (; q < end && *q != ' '; q++) {
        if (*q == '_') {
            if (q == p || !is_digit(q[-1]) || q + 1 == end || !is_digit(q[1]))
                return NULL;
            continue;
        }
        if (n + 1 == sizeof text ||
            !(is_digit(*q) || *q == '.' || *q == '+' || *q == '-' || *q == 'e' || *q == 'E'))
            return NULL;
        text[n++] = *q;
    }
    text[n] = '\0';
    pthread_once(&once, make_locale);
    value = c_locale ? strtod_l(text, &stopped, c_locale) : strtod(text, &stopped);
    if (n == 0 || stopped != text + n)
        return NULL;
    *out = (float)value;
    return q;
}

/* 10^e for |e| up to 300, within two units in the last place. */
static double power_of_ten(int e)
{
    double value = 1;
    int n = e < 0 ? -e : e;

    for (; n > 22; n -= 22)
        value *= 1e22;
    value *= powers[n];
    return value;
}

static bool scale(uint64_t m, int e, float *out)
{
    double value, low, high;

    if (m < (UINT64_C(1) << 53) && e >= -22 && e <= 22) {
        *out = (float)(e < 0 ? (double)m / powers[-e] : (double)m * powers[e]);
        return true;
    }
    if (m == 0) {
        *out = 0;
        return true;
    }
    if (e < -250 || e > 250)
        return false;
    value = e < 0 ? (double)m / power_of_ten(e) : (double)m * power_of_ten(e);
    low = value * (1 - 0x1p-46);
    high = value * (1 + 0x1p-46);
    *out = (float)low;
    return (float)low == (float)high;
}

/* Append the digits at p to m, eight at a time: bytes that are no digit are found, the digits
 * before the first of them are moved to the end of the word, zeros come in before, and neighbours
 * are added in pairs. */
static const char *take_digits(const char *p, const char *end, uint64_t *m)
{
    const uint64_t high = 0x8080808080808080u;

    while (end - p >= 8) {
        uint64_t v = wte__load_u64(p) ^ 0x3030303030303030u;
        uint64_t others = ((v + 0x7676767676767676u) | v) & high;
        unsigned n = others ? (unsigned)__builtin_ctzll(others) / 8 : 8;

        if (n == 0)
            return p;
        v <<= 64 - 8 * n;
        v = v * 10 + (v >> 8); /* pairs, in every other byte */
        v = ((v & 0x000000FF000000FFu) * 0x000F424000000064u +
             ((v >> 16) & 0x000000FF000000FFu) * 0x0000271000000001u) >>
            32;
        *m = *m * integers[n] + v;
        p += n;
        if (n < 8)
            return p;
    }
    while (p < end && is_digit(*p))
        *m = *m * 10 + (uint64_t)(*p++ - '0');
    return p;
}

const char *wte__number_parse(const char *p, const char *end, float *out)
{
    static const float signs[] = {1, -1};
    const char *q = p, *digits;
    bool negative = false;
    uint64_t m = 0;
    ptrdiff_t n_digits;
    int e = 0;

    if (q < end) { /* without a branch: signs are as random as coins */
        negative = *q == '-';
        q += negative | (*q == '+');
    }
    digits = q;
    while (q < end && is_digit(*q))
        m = m * 10 + (uint64_t)(*q++ - '0');
    n_digits = q - digits;
    if (n_digits == 0 && (q == end || *q != '.'))
        return parse_name(q, end, negative, out);
    if (q < end && *q == '.') {
        const char *fraction = ++q;

        q = take_digits(q, end, &m);
        e = (int)(fraction - q < -MAX_FIELD ? -MAX_FIELD : fraction - q);
        n_digits += q - fraction;
    }
    if (n_digits == 0)
        return NULL;
    if (q < end && (*q == 'e' || *q == 'E')) {
        bool down = false;
        int exponent = 0;

        q++;
        if (q < end && (*q == '-' || *q == '+'))
            down = *q++ == '-';
        if (q == end || !is_digit(*q))
            return NULL;
        while (q < end && is_digit(*q)) {
            if (exponent < 100000)
                exponent = exponent * 10 + (*q - '0');
            q++;
        }
        e += down ? -exponent : exponent;
    }
    if (q < end && *q != ' ')
        return *q == '_' ? parse_slowly(p, end, out) : NULL;
    /* 19 digits fit; of more, leading zeros do no harm, but others have overflowed */
    if (n_digits > 19 || !scale(m, e, out))
        return parse_slowly(p, end, out);
    *out *= signs[negative];
    return q;
}

/* Write m * 10^-decimals, without the zeros at its end. */
static size_t print_fixed(bool negative, uint64_t m, int decimals, char *out)
{
    char digits[24];
    int n = 0, used = 0;

    for (; decimals > 0 && m % 10 == 0; decimals--)
        m /= 10;
    for (; m > 0 || n <= decimals; m /= 10)
        digits[n++] = (char)('0' + m % 10);
    if (negative)
        out[used++] = '-';
    while (n > 0) {
        out[used++] = digits[--n];
        if (n == decimals && n > 0)
            out[used++] = '.';
    }
    out[used] = '\0';
    return (size_t)used;
}

/* Fixed notation, for numbers of usual size: digits are right if reading them, which here is one
 * exact division, gives the number back. */
static size_t print_usual(float x, char *out)
{
    const double size = fabs((double)x);
    int before = 0; /* digits before the point, negative: zeros behind it */

    if (!(size >= 1e-5 && size < 1e9))
        return 0;
    while (size >= powers[before])
        before++;
    while (before <= 0 && size * powers[1 - before] < 1)
        before--;
    for (int digits = 6; digits <= 9; digits++) {
        int decimals = digits - before;
        double m = rint(decimals < 0 ? size / powers[-decimals] : size * powers[decimals]);

        if (decimals < 0)
            continue;
        if ((float)(m / powers[decimals]) == (float)size)
            return print_fixed(x < 0, (uint64_t)m, decimals, out);
    }
    return 0;
}

size_t wte__number_print(float x, char *out)
{
    size_t n;

    if (isnan(x))
        return (size_t)sprintf(out, "nan");
    if (isinf(x))
        return (size_t)sprintf(out, x < 0 ? "-inf" : "inf");
    n = print_usual(x, out);
    if (n > 0)
        return n;
    for (int digits = 6;; digits++) {
        float back;

        n = (size_t)snprintf(out, 32, "%.*g", digits, (double)x);
        for (size_t i = 0; i < n; i++) /* whatever the locale's decimal point is */
            if (out[i] == ',')
                out[i] = '.';
        if (digits >= 9 || (wte__number_parse(out, out + n, &back) && back == x))
            return n;
    }
}
