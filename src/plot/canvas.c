/* SPDX-License-Identifier: MIT */
/* canvas.c - drawing calls as cairo's, and as SVG
 *
 * PDF and PNG are cairo's. SVG is written here: cairo's SVG surface turns text into outlines, which
 * nobody can search, select, translate or edit, and writes a matrix as true-colour pixels. Each
 * text says how long it was measured (textLength), so that a viewer with other fonts fits it into
 * the same place.
 *
 *   <svg> <title> <metadata><wte:provenance>...</wte:provenance></metadata>
 *     <rect> the page, then <g class="..."> with <rect> <path> <circle> <image> <text>
 *
 * A matrix is an indexed PNG inside of the file, shown without smoothing. */
#include "plot/canvas.h"
#include "plot/png.h"
#include <math.h>

enum { MAX_PIXELS = 32767 }; /* cairo's */

/* ---- beginning and end ----------------------------------------------------------------------- */

static cairo_status_t append(void *out, const unsigned char *data, unsigned n)
{
    wte__buffer *b = out;

    wte__buffer_add(b, data, n);
    return b->failed ? CAIRO_STATUS_NO_MEMORY : CAIRO_STATUS_SUCCESS;
}

static void attribute(wte__canvas *c, const char *name, double value)
{
    wte__buffer_text(&c->out, name);
    wte__buffer_text(&c->out, "=\"");
    wte__buffer_number(&c->out, value);
    wte__buffer_text(&c->out, "\"");
}

static void color_attribute(wte__canvas *c, const char *name, uint32_t color)
{
    char text[40];

    snprintf(text, sizeof text, " %s=\"#%06x\"", name, (unsigned)color);
    wte__buffer_text(&c->out, text);
}

static void use_color(wte__canvas *c, uint32_t color, double alpha)
{
    cairo_set_source_rgba(c->cr, (color >> 16 & 255) / 255.0, (color >> 8 & 255) / 255.0,
                          (color & 255) / 255.0, alpha);
}

static void begin_svg(wte__canvas *c, const char *title)
{
    wte__buffer *b = &c->out;

    wte__buffer_text(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                        "<svg xmlns=\"http://www.w3.org/2000/svg\" "
                        "xmlns:xlink=\"http://www.w3.org/1999/xlink\"");
    attribute(c, " width", c->width);
    b->n--; /* the quote: a unit follows */
    wte__buffer_text(b, "pt\"");
    attribute(c, " height", c->height);
    b->n--;
    wte__buffer_text(b, "pt\" viewBox=\"0 0 ");
    wte__buffer_number(b, c->width);
    wte__buffer_text(b, " ");
    wte__buffer_number(b, c->height);
    wte__buffer_text(b, "\" font-family=\"");
    wte__buffer_xml(b, wte__fonts_family(c->fonts));
    wte__buffer_text(b, ", sans-serif\" xml:space=\"preserve\">\n");
    if (title) {
        wte__buffer_text(b, "<title>");
        wte__buffer_xml(b, title);
        wte__buffer_text(b, "</title>\n");
    }
    if (c->provenance) {
        wte__buffer_text(b, "<metadata><wte:provenance xmlns:wte=\"urn:wte\" version=\"");
        wte__buffer_xml(b, wte_version());
        wte__buffer_text(b, "\">");
        wte__buffer_xml(b, c->provenance);
        wte__buffer_text(b, "</wte:provenance></metadata>\n");
    }
}

static void begin_pdf(wte__canvas *c, const char *title)
{
    char creator[64];

    c->surface = cairo_pdf_surface_create_for_stream(append, &c->out, c->width, c->height);
    /* later versions pack the document's information where it cannot be read back
   */
    cairo_pdf_surface_restrict_to_version(c->surface, CAIRO_PDF_VERSION_1_4);
    snprintf(creator, sizeof creator, "wte %s", wte_version());
    cairo_pdf_surface_set_metadata(c->surface, CAIRO_PDF_METADATA_CREATOR, creator);
    /* without a date: the same figure is the same bytes */
    cairo_pdf_surface_set_metadata(c->surface, CAIRO_PDF_METADATA_CREATE_DATE, "");
    if (title)
        cairo_pdf_surface_set_metadata(c->surface, CAIRO_PDF_METADATA_TITLE, title);
    if (c->provenance)
        cairo_pdf_surface_set_metadata(c->surface, CAIRO_PDF_METADATA_SUBJECT, c->provenance);
}

wte_status wte__canvas_begin(wte__canvas *c, wte__canvas_kind kind, double width, double height,
                             double dpi, uint32_t page, wte__fonts *fonts, const char *title,
                             const char *provenance, wte_error *err)
{
    const double n_cols = ceil(width * dpi / 72), n_rows = ceil(height * dpi / 72);

    *c = (wte__canvas){.kind = kind, .width = width, .height = height, .dpi = dpi};
    c->fonts = fonts;
    c->provenance = provenance;
    if (kind == WTE__SVG) {
        begin_svg(c, title);
    } else if (kind == WTE__PDF) {
        begin_pdf(c, title);
    } else if (n_cols > MAX_PIXELS || n_rows > MAX_PIXELS) {
        return wte__fail(err, WTE_E_RANGE,
                         "a figure of %.0f x %.0f pixels: a PNG is drawn with at "
                         "most %d each way, "
                         "so ask for fewer dpi",
                         n_cols, n_rows, MAX_PIXELS);
    } else {
        c->surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)n_cols, (int)n_rows);
        cairo_surface_set_device_scale(c->surface, dpi / 72, dpi / 72);
    }
    if (c->surface) {
        cairo_font_options_t *options = cairo_font_options_create();

        c->cr = cairo_create(c->surface);
        cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
        cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
        cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
        cairo_set_font_options(c->cr, options);
        cairo_font_options_destroy(options);
        if (cairo_status(c->cr) != CAIRO_STATUS_SUCCESS)
            return wte__fail(err, WTE_E_NOMEM, "no memory for a figure of %.0f x %.0f points",
                             width, height);
    }
    if (c->surface) { /* to the last part of a pixel */
        use_color(c, page, 1);
        cairo_paint(c->cr);
    } else {
        wte__rect(c, 0, 0, width, height, page);
    }
    return WTE_OK;
}

static wte_status end_png(wte__canvas *c, wte_error *err)
{
    wte__buffer plain = {0};
    const cairo_status_t drawn = cairo_surface_write_to_png_stream(c->surface, append, &plain);

    if (drawn == CAIRO_STATUS_SUCCESS)
        wte__png_annotate(&c->out, (const unsigned char *)plain.data, plain.n, c->dpi,
                          c->provenance);
    wte__buffer_free(&plain);
    return drawn == CAIRO_STATUS_SUCCESS
               ? WTE_OK
               : wte__fail(err, WTE_E_NOMEM, "drawing a figure: %s", cairo_status_to_string(drawn));
}

wte_status wte__canvas_end(wte__canvas *c, wte_error *err)
{
    cairo_status_t drawn = CAIRO_STATUS_SUCCESS;
    wte_status status = WTE_OK;

    if (c->kind == WTE__SVG)
        wte__buffer_text(&c->out, "</svg>\n");
    if (c->surface) {
        drawn = cairo_status(c->cr);
        cairo_surface_flush(c->surface);
        if (drawn == CAIRO_STATUS_SUCCESS && c->kind == WTE__PNG)
            status = end_png(c, err);
        cairo_surface_finish(c->surface);
        if (drawn == CAIRO_STATUS_SUCCESS)
            drawn = cairo_surface_status(c->surface);
    }
    if (status != WTE_OK)
        return status;
    if (c->failed || c->out.failed || drawn != CAIRO_STATUS_SUCCESS)
        return wte__fail(
            err, WTE_E_NOMEM, "drawing a figure of %.0f x %.0f points: %s", c->width, c->height,
            drawn != CAIRO_STATUS_SUCCESS ? cairo_status_to_string(drawn) : "out of memory");
    return WTE_OK;
}

void wte__canvas_free(wte__canvas *c)
{
    if (c->cr)
        cairo_destroy(c->cr);
    if (c->surface)
        cairo_surface_destroy(c->surface);
    wte__buffer_free(&c->out);
    wte__free(c->boxes);
    *c = (wte__canvas){0};
}

void wte__keep_box(wte__canvas *c, wte__box box)
{
    void *grown = c->boxes;

    if (!wte__grow(&grown, &c->boxes_capacity, c->n_boxes + 1, sizeof *c->boxes)) {
        c->failed = true;
        return;
    }
    c->boxes = grown;
    c->boxes[c->n_boxes++] = box;
}

/* ---- groups ---------------------------------------------------------------------------------- */

void wte__group(wte__canvas *c, const char *name)
{
    if (c->kind != WTE__SVG) {
        cairo_save(c->cr);
        return;
    }
    wte__buffer_text(&c->out, "<g class=\"");
    wte__buffer_text(&c->out, name);
    wte__buffer_text(&c->out, "\">\n");
}

void wte__group_clipped(wte__canvas *c, const char *name, double x, double y, double w, double h)
{
    char id[32];

    if (c->kind != WTE__SVG) {
        cairo_save(c->cr);
        cairo_rectangle(c->cr, x, y, w, h);
        cairo_clip(c->cr);
        return;
    }
    snprintf(id, sizeof id, "clip%u", ++c->n_clips);
    wte__buffer_text(&c->out, "<clipPath id=\"");
    wte__buffer_text(&c->out, id);
    wte__buffer_text(&c->out, "\"><rect");
    attribute(c, " x", x);
    attribute(c, " y", y);
    attribute(c, " width", w);
    attribute(c, " height", h);
    wte__buffer_text(&c->out, "/></clipPath>\n<g class=\"");
    wte__buffer_text(&c->out, name);
    wte__buffer_text(&c->out, "\" clip-path=\"url(#");
    wte__buffer_text(&c->out, id);
    wte__buffer_text(&c->out, ")\">\n");
}

void wte__group_end(wte__canvas *c)
{
    if (c->kind == WTE__SVG)
        wte__buffer_text(&c->out, "</g>\n");
    else
        cairo_restore(c->cr);
}

/* ---- shapes ---------------------------------------------------------------------------------- */

static void svg_rect(wte__canvas *c, double x, double y, double w, double h)
{
    wte__buffer_text(&c->out, "<rect");
    attribute(c, " x", x);
    attribute(c, " y", y);
    attribute(c, " width", w);
    attribute(c, " height", h);
}

void wte__rect(wte__canvas *c, double x, double y, double w, double h, uint32_t color)
{
    if (c->kind == WTE__SVG) {
        svg_rect(c, x, y, w, h);
        color_attribute(c, "fill", color);
        wte__buffer_text(&c->out, " shape-rendering=\"crispEdges\"/>\n");
        return;
    }
    cairo_set_antialias(c->cr, CAIRO_ANTIALIAS_NONE);
    use_color(c, color, 1);
    cairo_rectangle(c->cr, x, y, w, h);
    cairo_fill(c->cr);
    cairo_set_antialias(c->cr, CAIRO_ANTIALIAS_DEFAULT);
}

void wte__panel(wte__canvas *c, double x, double y, double w, double h, uint32_t color,
                double alpha, uint32_t edge)
{
    if (c->kind == WTE__SVG) {
        svg_rect(c, x, y, w, h);
        color_attribute(c, "fill", color);
        attribute(c, " fill-opacity", alpha);
        color_attribute(c, "stroke", edge);
        wte__buffer_text(&c->out, " stroke-width=\"0.5\"/>\n");
        return;
    }
    use_color(c, color, alpha);
    cairo_rectangle(c->cr, x, y, w, h);
    cairo_fill_preserve(c->cr);
    use_color(c, edge, 1);
    cairo_set_line_width(c->cr, 0.5);
    cairo_stroke(c->cr);
}

static void svg_pair(wte__canvas *c, char command, double x, double y)
{
    wte__buffer_add(&c->out, &command, 1);
    wte__buffer_number(&c->out, x);
    wte__buffer_text(&c->out, " ");
    wte__buffer_number(&c->out, y);
}

/* Lay the path; in SVG as the beginning of an element whose end the caller writes. */
static void path(wte__canvas *c, const wte__point *p, size_t n)
{
    bool down = false;

    if (c->kind == WTE__SVG)
        wte__buffer_text(&c->out, "<path d=\"");
    for (size_t i = 0; i < n; i++) {
        const bool is_point = isfinite(p[i].x) && isfinite(p[i].y);

        if (is_point && c->kind == WTE__SVG)
            svg_pair(c, down ? 'L' : 'M', p[i].x, p[i].y);
        else if (is_point && down)
            cairo_line_to(c->cr, p[i].x, p[i].y);
        else if (is_point)
            cairo_move_to(c->cr, p[i].x, p[i].y);
        down = is_point;
    }
}

void wte__polygon(wte__canvas *c, const wte__point *p, size_t n, uint32_t color)
{
    path(c, p, n);
    if (c->kind == WTE__SVG) {
        wte__buffer_text(&c->out, "Z\"");
        color_attribute(c, "fill", color);
        wte__buffer_text(&c->out, "/>\n");
        return;
    }
    cairo_close_path(c->cr);
    use_color(c, color, 1);
    cairo_fill(c->cr);
}

static void stroke(wte__canvas *c, wte__pen pen)
{
    if (c->kind == WTE__SVG) {
        wte__buffer_text(&c->out, "\" fill=\"none\"");
        color_attribute(c, "stroke", pen.color);
        attribute(c, " stroke-width", pen.width);
        if (pen.dash > 0)
            attribute(c, " stroke-dasharray", pen.dash);
        wte__buffer_text(&c->out, " stroke-linejoin=\"round\" stroke-linecap=\"round\"/>\n");
        return;
    }
    use_color(c, pen.color, 1);
    cairo_set_line_width(c->cr, pen.width);
    cairo_set_line_join(c->cr, CAIRO_LINE_JOIN_ROUND);
    cairo_set_line_cap(c->cr, CAIRO_LINE_CAP_ROUND);
    cairo_set_dash(c->cr, &pen.dash, pen.dash > 0 ? 1 : 0, 0);
    cairo_stroke(c->cr);
}

void wte__lines(wte__canvas *c, const wte__point *p, size_t n, wte__pen pen)
{
    path(c, p, n);
    stroke(c, pen);
}

void wte__line(wte__canvas *c, double x0, double y0, double x1, double y1, wte__pen pen)
{
    wte__lines(c, (const wte__point[]){{x0, y0}, {x1, y1}}, 2, pen);
}

void wte__branch(wte__canvas *c, double x0, double y0, double x1, double y1, wte__pen pen)
{
    const double middle = (x0 + x1) / 2;

    if (c->kind == WTE__SVG) {
        wte__buffer_text(&c->out, "<path d=\"");
        svg_pair(c, 'M', x0, y0);
        svg_pair(c, 'C', middle, y0);
        svg_pair(c, ' ', middle, y1);
        svg_pair(c, ' ', x1, y1);
    } else {
        cairo_move_to(c->cr, x0, y0);
        cairo_curve_to(c->cr, middle, y0, middle, y1, x1, y1);
    }
    stroke(c, pen);
}

void wte__dot(wte__canvas *c, double x, double y, double r, uint32_t color, double alpha)
{
    if (c->kind == WTE__SVG) {
        wte__buffer_text(&c->out, "<circle");
        attribute(c, " cx", x);
        attribute(c, " cy", y);
        attribute(c, " r", r);
        color_attribute(c, "fill", color);
        if (alpha < 1)
            attribute(c, " fill-opacity", alpha);
        wte__buffer_text(&c->out, "/>\n");
        return;
    }
    cairo_new_sub_path(c->cr);
    cairo_arc(c->cr, x, y, r, 0, 2 * M_PI);
    use_color(c, color, alpha);
    cairo_fill(c->cr);
}

static void svg_image(wte__canvas *c, double x, double y, double w, double h,
                      const unsigned char *pixels, size_t n_cols, size_t n_rows,
                      const uint32_t *colors)
{
    wte__buffer png = {0};

    wte__png_indexed(&png, pixels, n_cols, n_rows, colors);
    wte__buffer_text(&c->out, "<image");
    attribute(c, " x", x);
    attribute(c, " y", y);
    attribute(c, " width", w);
    attribute(c, " height", h);
    wte__buffer_text(&c->out, " preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\" "
                              "xlink:href=\"data:image/png;base64,");
    if (png.failed)
        c->failed = true;
    else
        wte__buffer_base64(&c->out, png.data, png.n);
    wte__buffer_text(&c->out, "\"/>\n");
    wte__buffer_free(&png);
}

void wte__image(wte__canvas *c, double x, double y, double w, double h, const unsigned char *pixels,
                size_t n_cols, size_t n_rows, const uint32_t *colors)
{
    cairo_surface_t *image;
    unsigned char *rows;
    size_t stride;

    if (c->kind == WTE__SVG) {
        svg_image(c, x, y, w, h, pixels, n_cols, n_rows, colors);
        return;
    }
    image = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)n_cols, (int)n_rows);
    rows = cairo_image_surface_get_data(image);
    if (!rows) {
        c->failed = true;
        cairo_surface_destroy(image);
        return;
    }
    stride = (size_t)cairo_image_surface_get_stride(image);
    cairo_surface_flush(image);
    for (size_t i = 0; i < n_rows; i++)
        for (size_t j = 0; j < n_cols; j++)
            memcpy(rows + i * stride + 4 * j, &colors[pixels[i * n_cols + j]], 4);
    cairo_surface_mark_dirty(image);
    cairo_save(c->cr);
    cairo_translate(c->cr, x, y);
    cairo_scale(c->cr, w / (double)n_cols, h / (double)n_rows);
    cairo_set_source_surface(c->cr, image, 0, 0);
    /* where a cell is smaller than a pixel, pixels are means */
    cairo_pattern_set_filter(cairo_get_source(c->cr), (double)n_cols * 72 > w * c->dpi
                                                          ? CAIRO_FILTER_GOOD
                                                          : CAIRO_FILTER_NEAREST);
    cairo_pattern_set_extend(cairo_get_source(c->cr), CAIRO_EXTEND_PAD);
    cairo_rectangle(c->cr, 0, 0, (double)n_cols, (double)n_rows);
    cairo_fill(c->cr);
    cairo_restore(c->cr);
    cairo_surface_destroy(image);
}

/* ---- text ------------------------------------------------------------------------------------ */

static void svg_text(wte__canvas *c, double x, double y, double width, const char *text,
                     wte__style style)
{
    wte__buffer *b = &c->out;

    wte__buffer_text(b, "<text");
    attribute(c, " x", x);
    attribute(c, " y", y);
    attribute(c, " font-size", style.size);
    if (style.bold)
        wte__buffer_text(b, " font-weight=\"bold\"");
    if (style.align > 0)
        wte__buffer_text(b, style.align < 1 ? " text-anchor=\"middle\"" : " text-anchor=\"end\"");
    if (style.upward) {
        wte__buffer_text(b, " transform=\"rotate(-90 ");
        wte__buffer_number(b, x);
        wte__buffer_text(b, " ");
        wte__buffer_number(b, y);
        wte__buffer_text(b, ")\"");
    }
    if (text[0] && text[1]) {
        attribute(c, " textLength", width);
        wte__buffer_text(b, " lengthAdjust=\"spacingAndGlyphs\"");
    }
    color_attribute(c, "fill", style.color);
    wte__buffer_text(b, ">");
    wte__buffer_xml(b, text);
    wte__buffer_text(b, "</text>\n");
}

void wte__text(wte__canvas *c, double x, double y, const char *text, wte__style style)
{
    const double width = wte__text_width(c->fonts, text, style.size, style.bold);
    const double start = -style.align * width, top = -WTE__ASCENT * style.size,
                 bottom = WTE__DESCENT * style.size;
    wte__box box = {x + start, y + top, x + start + width, y + bottom, WTE__BOX_TEXT};

    if (!text[0])
        return;
    if (style.upward)
        box = (wte__box){x + top, y - start - width, x + bottom, y - start, WTE__BOX_TEXT};
    if (style.in_cell)
        box.what = WTE__BOX_CELL;
    wte__keep_box(c, box);
    if (c->kind == WTE__SVG) {
        svg_text(c, x, y, width, text, style);
        return;
    }
    cairo_save(c->cr);
    cairo_translate(c->cr, x, y);
    if (style.upward)
        cairo_rotate(c->cr, -M_PI / 2);
    use_color(c, style.color, 1);
    wte__text_show(c->fonts, c->cr, text, start, 0, style.size, style.bold);
    cairo_restore(c->cr);
}
