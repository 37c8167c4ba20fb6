/* SPDX-License-Identifier: MIT */
/* text.c - fonts, and text measured and drawn in them
 *
 * The first font is what fontconfig calls sans-serif. A character that it lacks is looked for in
 * fontconfig's sorted list of the others, so that a Chinese label or a smiley is drawn wherever any
 * font of the machine has it. Widths are measured without hinting, so that they are the same for
 * every output, and kept for each character: the second measure of a letter is one look into a
 * table.
 *
 * Lines are as high as WTE__ASCENT and WTE__DESCENT say, whatever the font says of itself: fonts
 * for many scripts claim half as much again for marks that labels seldom have. */
#include "plot/text.h"
#include <math.h>

enum { N_FACES = 24, N_KNOWN = 4096, EM = 1000, MAX_CLEAN = 400 };

struct face {
    FcPattern *pattern;
    FcCharSet *covers; /* the pattern's */
    cairo_font_face_t *cairo;
    cairo_scaled_font_t *scaled; /* at EM points */
    double shrink;               /* pictures are larger than letters of their size */
    bool bold;
};

struct known {
    uint32_t key; /* code * 2 + bold, + 1; 0: empty */
    unsigned short face;
    unsigned long glyph;
    double advance; /* of size 1 */
};

struct wte__fonts {
    struct face faces[N_FACES];
    unsigned n_faces; /* the first two are the first font and its bold */
    FcFontSet *others;
    char family[128];
    struct known known[N_KNOWN];
};

/* Open a font; its index, or 0 (the first font) if it cannot be or there are too many. */
static unsigned open_face(wte__fonts *fonts, FcPattern *pattern, bool bold)
{
    struct face *f = &fonts->faces[fonts->n_faces];
    cairo_matrix_t em, unit;
    cairo_font_options_t *options;
    FcBool color = FcFalse;

    if (fonts->n_faces == N_FACES)
        return 0;
    cairo_matrix_init_scale(&em, EM, EM);
    cairo_matrix_init_identity(&unit);
    options = cairo_font_options_create();
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    f->cairo = cairo_ft_font_face_create_for_pattern(pattern);
    f->scaled = cairo_scaled_font_create(f->cairo, &em, &unit, options);
    cairo_font_options_destroy(options);
    if (cairo_scaled_font_status(f->scaled) != CAIRO_STATUS_SUCCESS ||
        FcPatternGetCharSet(pattern, FC_CHARSET, 0, &f->covers) != FcResultMatch) {
        cairo_scaled_font_destroy(f->scaled);
        cairo_font_face_destroy(f->cairo);
        *f = (struct face){0};
        return 0;
    }
    FcPatternReference(pattern);
    FcPatternGetBool(pattern, FC_COLOR, 0, &color);
    f->pattern = pattern;
    f->shrink = color ? 0.85 : 1;
    f->bold = bold;
    return fonts->n_faces++;
}

static FcPattern *sans(bool bold)
{
    FcPattern *pattern = FcPatternCreate();

    if (!pattern)
        return NULL;
    FcPatternAddString(pattern, FC_FAMILY, (const FcChar8 *)"sans-serif");
    FcPatternAddInteger(pattern, FC_WEIGHT, bold ? FC_WEIGHT_BOLD : FC_WEIGHT_NORMAL);
    FcPatternAddInteger(pattern, FC_SLANT, FC_SLANT_ROMAN);
    FcConfigSubstitute(NULL, pattern, FcMatchPattern);
    FcDefaultSubstitute(pattern);
    return pattern;
}

wte_status wte__fonts_new(wte__fonts **out, wte_error *err)
{
    wte__fonts *fonts = wte__calloc(1, sizeof *fonts);
    FcChar8 *family = NULL;
    FcResult result;

    if (!fonts)
        return wte__fail(err, WTE_E_NOMEM, "no memory for fonts");
    for (int bold = 0; bold < 2; bold++) {
        FcPattern *wanted = sans(bold), *found = wanted ? FcFontMatch(NULL, wanted, &result) : NULL;
        const unsigned before = fonts->n_faces;

        if (found)
            open_face(fonts, found, bold);
        if (found)
            FcPatternDestroy(found);
        if (wanted)
            FcPatternDestroy(wanted);
        if (fonts->n_faces == before) {
            wte__fonts_free(fonts);
            return wte__fail(err, WTE_E_UNSUPPORTED,
                             "no font is installed, and a figure's text needs one "
                             "(fonts-dejavu-core, for instance)");
        }
    }
    if (FcPatternGetString(fonts->faces[0].pattern, FC_FAMILY, 0, &family) == FcResultMatch)
        snprintf(fonts->family, sizeof fonts->family, "%s", (const char *)family);
    *out = fonts;
    return WTE_OK;
}

void wte__fonts_free(wte__fonts *fonts)
{
    if (!fonts)
        return;
    for (unsigned i = 0; i < fonts->n_faces; i++) {
        cairo_scaled_font_destroy(fonts->faces[i].scaled);
        cairo_font_face_destroy(fonts->faces[i].cairo);
        FcPatternDestroy(fonts->faces[i].pattern);
    }
    if (fonts->others)
        FcFontSetDestroy(fonts->others);
    wte__free(fonts);
}

const char *wte__fonts_family(const wte__fonts *fonts)
{
    return fonts->family;
}

/* The font for a character: the first, one that is open, the first other one that has it. */
static unsigned face_for(wte__fonts *fonts, uint32_t code, bool bold)
{
    if (FcCharSetHasChar(fonts->faces[bold].covers, code))
        return bold;
    for (unsigned i = 0; i < fonts->n_faces; i++)
        if (FcCharSetHasChar(fonts->faces[i].covers, code))
            return i;
    if (!fonts->others) {
        FcPattern *wanted = sans(false);
        FcResult result;

        fonts->others = wanted ? FcFontSort(NULL, wanted, FcTrue, NULL, &result) : NULL;
        if (wanted)
            FcPatternDestroy(wanted);
    }
    for (int i = 0; fonts->others && i < fonts->others->nfont; i++) {
        FcPattern *pattern = fonts->others->fonts[i];
        FcCharSet *covers;

        if (FcPatternGetCharSet(pattern, FC_CHARSET, 0, &covers) == FcResultMatch &&
            FcCharSetHasChar(covers, code))
            return open_face(fonts, pattern, false);
    }
    return bold;
}

static const struct known *look_up(wte__fonts *fonts, uint32_t code, bool bold)
{
    const uint32_t key = code * 2 + bold + 1;
    struct known *k = &fonts->known[key * 2654435761u >> 20];
    struct face *f;
    cairo_glyph_t glyph = {0, 0, 0};
    cairo_text_extents_t extents = {0};
    FT_Face ft;

    if (k->key == key)
        return k;
    k->key = key;
    k->face = (unsigned short)face_for(fonts, code, bold);
    f = &fonts->faces[k->face];
    ft = cairo_ft_scaled_font_lock_face(f->scaled);
    if (ft) {
        glyph.index = FcFreeTypeCharIndex(ft, code);
        cairo_ft_scaled_font_unlock_face(f->scaled);
    }
    cairo_scaled_font_glyph_extents(f->scaled, &glyph, 1, &extents);
    k->glyph = glyph.index;
    k->advance = extents.x_advance / EM * f->shrink;
    return k;
}

_Static_assert(N_KNOWN == 1 << 12, "look_up takes 12 bits of its hash");

char *wte__text_clean(const char *text)
{
    const size_t n = strlen(text);
    /* the longest that a byte can become is "\\x1b" */
    char *out = wte__calloc((n < MAX_CLEAN * 4 ? n : MAX_CLEAN * 4) * 4 + 8, 1), *p = out;
    size_t codes = 0;

    if (!out)
        return NULL;
    for (size_t i = 0; i < n;) {
        uint32_t code;
        const size_t length = wte__utf8_decode(text + i, n - i, &code);

        if (codes++ == MAX_CLEAN) {
            p = stpcpy(p, "\u2026");
            break;
        }
        if (length == 0 || code == 0xFFFE || code == 0xFFFF)
            p = stpcpy(p, "\uFFFD");
        else if (code == '\n' || code == '\t' || code == '\r')
            p = stpcpy(p, code == '\n' ? "\\n" : code == '\t' ? "\\t" : "\\r");
        else if (code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029)
            p += sprintf(p, code < 0x100 ? "\\x%02x" : "\\u%04x", (unsigned)code);
        else
            p = mempcpy(p, text + i, length);
        i += length ? length : 1;
    }
    *p = '\0';
    return out;
}

double wte__text_width(wte__fonts *fonts, const char *text, double size, bool bold)
{
    wte__shaped shaped[WTE__TEXT_CODES];
    const size_t n = wte__text_shape(text, shaped);
    double width = 0;

    for (size_t i = 0; i < n; i++)
        width += look_up(fonts, shaped[i].code, bold)->advance;
    return width * size;
}

char *wte__text_fit(wte__fonts *fonts, const char *text, double size, bool bold, double width)
{
    const size_t n = strlen(text);
    size_t low = 0, high = n; /* bytes that fit with the ellipsis; that may fit */
    char *out;

    if (wte__text_width(fonts, text, size, bold) <= width)
        return wte__strdup(text);
    out = wte__calloc(n + 4, 1);
    while (out && low < high) {
        size_t middle = (low + high + 1) / 2;

        while (middle < n && ((unsigned char)text[middle] & 0xC0) == 0x80)
            middle++;
        if (middle > high)
            break;
        strcpy(mempcpy(out, text, middle), "\u2026");
        if (wte__text_width(fonts, out, size, bold) <= width) {
            low = middle;
        } else {
            high = (low + high + 1) / 2 - 1;
            while (high > low && ((unsigned char)text[high] & 0xC0) == 0x80)
                high--;
        }
    }
    if (out)
        strcpy(mempcpy(out, text, low), "\u2026");
    return out;
}

/* Draw characters of one font and direction. */
static void show_run(wte__fonts *fonts, cairo_t *cr, const char *text, const wte__shaped *s,
                     size_t n, double *x, double y, double size, bool bold)
{
    cairo_glyph_t glyphs[WTE__TEXT_CODES];
    cairo_text_cluster_t clusters[WTE__TEXT_CODES];
    const struct face *f = &fonts->faces[look_up(fonts, s[0].code, bold)->face];
    unsigned from = s[0].from, end = s[0].from + s[0].length;
    int n_clusters = (int)n;

    for (size_t i = 0; i < n; i++) {
        const struct known *k = look_up(fonts, s[i].code, bold);

        glyphs[i] = (cairo_glyph_t){k->glyph, *x, y};
        clusters[i] = (cairo_text_cluster_t){(int)s[i].length, 1};
        *x += k->advance * size;
        from = s[i].from < from ? s[i].from : from;
        end = s[i].from + s[i].length > end ? s[i].from + s[i].length : end;
    }
    if (s[0].leftward) { /* all of it is one cluster: order and forms are not
                          those of the text */
        clusters[0] = (cairo_text_cluster_t){(int)(end - from), (int)n};
        n_clusters = 1;
    }
    cairo_set_font_face(cr, f->cairo);
    cairo_set_font_size(cr, size * f->shrink);
    cairo_show_text_glyphs(cr, text + from, (int)(end - from), glyphs, (int)n, clusters, n_clusters,
                           (cairo_text_cluster_flags_t)0);
}

void wte__text_show(wte__fonts *fonts, cairo_t *cr, const char *text, double x, double y,
                    double size, bool bold)
{
    wte__shaped s[WTE__TEXT_CODES];
    const size_t n = wte__text_shape(text, s);

    for (size_t i = 0, end; i < n; i = end) {
        const unsigned face = look_up(fonts, s[i].code, bold)->face;

        for (end = i + 1; end < n && s[end].leftward == s[i].leftward &&
                          look_up(fonts, s[end].code, bold)->face == face;)
            end++;
        show_run(fonts, cr, text, s + i, end - i, &x, y, size, bold);
    }
}
