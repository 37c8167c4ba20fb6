/* SPDX-License-Identifier: MIT */
/* save.c - figures as files, and what made them read back
 *
 *   SVG  <metadata><wte:provenance xmlns:wte="urn:wte" version="">TEXT</wte:provenance></metadata>
 *   PDF  the document information's Subject, with a Creator that begins with "wte ":
 *        /Subject (TEXT) with \( \) \\ escaped, or <FEFF...> in UTF-16
 *   PNG  a chunk iTXt with the keyword "wte"
 *
 * Files are looked at as what their first bytes say, whatever their name. Of a PDF only what cairo
 * writes is understood: another program that saves it again may pack the information away. */
#include "plot/figure.h"
#include "plot/png.h"
#include <errno.h>
#include <strings.h>

static wte_status kind_of(const char *path, wte__canvas_kind *kind, wte_error *err)
{
    static const char *const endings[] = {
        [WTE__SVG] = ".svg", [WTE__PDF] = ".pdf", [WTE__PNG] = ".png"};
    const size_t n = strlen(path);

    for (int k = WTE__SVG; k <= WTE__PNG; k++)
        if (n >= 4 && strcasecmp(path + n - 4, endings[k]) == 0) {
            *kind = (wte__canvas_kind)k;
            return WTE_OK;
        }
    return wte__fail(err, WTE_E_RANGE, "%s: a figure ends in .svg, .pdf or .png", path);
}

wte_status wte_figure_save(const wte_figure *figure, const char *path, wte_error *err)
{
    wte__canvas canvas = {0};
    wte__outfile file = {-1, NULL, NULL};
    wte__canvas_kind kind = WTE__SVG;
    wte_status status = kind_of(path, &kind, err);

    if (status == WTE_OK) /* before the work: the folder may not be there */
        status = wte__outfile_open(&file, path, err);
    if (status != WTE_OK)
        return status;
    status = wte__figure_draw(figure, kind, &canvas, err);
    if (status == WTE_OK)
        status = wte__outfile_pwrite(&file, canvas.out.data, canvas.out.n, 0, err);
    if (status == WTE_OK)
        status = wte__outfile_commit(&file, err);
    else
        wte__outfile_abort(&file);
    wte__canvas_free(&canvas);
    return status;
}

/* ---- reading --------------------------------------------------------------------------------- */

static const char *find(const char *from, const char *end, const char *what)
{
    return from < end ? memmem(from, (size_t)(end - from), what, strlen(what)) : NULL;
}

static void add_code(wte__buffer *out, uint32_t code)
{
    char s[4];
    size_t n = 0;

    if (code < 0x80) {
        s[n++] = (char)code;
    } else {
        if (code >= 0x10000) {
            s[n++] = (char)(0xF0 | code >> 18);
            s[n++] = (char)(0x80 | (code >> 12 & 63));
        } else if (code >= 0x800) {
            s[n++] = (char)(0xE0 | code >> 12);
        } else {
            s[n++] = (char)(0xC0 | code >> 6);
        }
        if (code >= 0x800)
            s[n++] = (char)(0x80 | (code >> 6 & 63));
        s[n++] = (char)(0x80 | (code & 63));
    }
    wte__buffer_add(out, s, n);
}

/* The text between two tags, with the five entities; false where there is none.
 */
static bool read_svg(const char *data, const char *end, wte__buffer *out)
{
    static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"};
    const char *tag = find(data, end, "<wte:provenance"), *s = find(tag ? tag : end, end, ">"),
               *stop = find(s ? s : end, end, "</wte:provenance>");

    if (!stop)
        return false;
    for (s++; s < stop;) {
        const char *plain = memchr(s, '&', (size_t)(stop - s));
        size_t k = 0;

        if (!plain)
            plain = stop;
        wte__buffer_add(out, s, (size_t)(plain - s));
        s = plain;
        if (s == stop)
            break;
        while (k < 5 && ((size_t)(stop - s) < strlen(entities[k]) ||
                         memcmp(s, entities[k], strlen(entities[k])) != 0))
            k++;
        if (k == 5)
            return false;
        wte__buffer_add(out, &"&<>\"'"[k], 1);
        s += strlen(entities[k]);
    }
    return true;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/* The next UTF-16 unit of a hexadecimal string, past white space; -1 at its end or where it is
 * broken. */
static long next_unit(const char **s, const char *end)
{
    long unit = 0;

    for (int k = 0; k < 4;) {
        const char c = *s < end ? *(*s)++ : '>';
        const int digit = hex_digit(c);

        if (c == ' ' || c == '\n' || c == '\r' || c == '\t')
            continue;
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
        k++;
    }
    return unit;
}

static void read_hex(const char *s, const char *end, wte__buffer *out)
{
    for (long unit; (unit = next_unit(&s, end)) >= 0;) {
        if (unit == 0xFEFF)
            continue;
        if (unit >= 0xD800 && unit < 0xDC00) {
            const long low = next_unit(&s, end);

            if (low < 0xDC00 || low > 0xDFFF)
                return;
            unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
        }
        if (unit < 0xD800 || unit > 0xDFFF)
            add_code(out, (uint32_t)unit);
    }
}

/* A string in parentheses, from behind the first. */
static bool read_literal(const char *s, const char *end, wte__buffer *out)
{
    for (int depth = 1; s < end; s++) {
        if (*s == '\\' && s + 1 < end) {
            s++;
            wte__buffer_add(out, *s == 'n' ? "\n" : *s == 't' ? "\t" : s, 1);
            continue;
        }
        depth += *s == '(' ? 1 : *s == ')' ? -1 : 0;
        if (depth == 0)
            return true;
        wte__buffer_add(out, s, 1);
    }
    return false;
}

static bool read_pdf(const char *data, const char *end, wte__buffer *out)
{
    /* the information is near the end, behind everything that was drawn */
    const char *info = NULL, *subject, *stop;

    for (const char *p = data; (p = find(p, end, "/Producer (cairo")); p++)
        info = p;
    stop = find(info ? info : end, end, "endobj");
    if (!stop || !find(info, stop, "/Creator (wte "))
        return false;
    subject = find(info, stop, "/Subject ");
    if (!subject)
        return false;
    subject += strlen("/Subject ");
    if (*subject == '(')
        return read_literal(subject + 1, stop, out);
    if (*subject != '<')
        return false;
    read_hex(subject + 1, stop, out);
    return true;
}

wte_status wte_figure_provenance(const char *path, char **out, wte_error *err)
{
    wte__map map;
    wte__buffer text = {0};
    const char *data, *end, *chunk;
    size_t length = 0;
    bool found;
    wte_status status = wte__map_open(&map, path, err);

    if (status != WTE_OK)
        return status;
    data = (const char *)map.data;
    end = data + map.size;
    if (map.size >= 5 && memcmp(data, "%PDF-", 5) == 0) {
        found = read_pdf(data, end, &text);
    } else if (map.size >= 8 && memcmp(data, "\x89PNG", 4) == 0) {
        chunk = wte__png_text(map.data, map.size, &length);
        found = chunk;
        if (chunk)
            wte__buffer_add(&text, chunk, length);
    } else {
        found = read_svg(data, end, &text);
    }
    if (found && !text.failed &&
        (text.n == 0 || !wte__utf8_valid(text.data, text.n) || memchr(text.data, '\0', text.n)))
        found = false;
    if (!found && !text.failed)
        status = wte__fail(err, WTE_E_FORMAT,
                           "%s: no figure of wte, or none that says what made it", path);
    else if (text.failed || !(*out = wte__strndup(text.data, text.n)))
        status = wte__fail(err, WTE_E_NOMEM, "no memory to read %s", path);
    wte__map_close(&map);
    wte__buffer_free(&text);
    return status;
}
