/* SPDX-License-Identifier: MIT */
/* test_plot.c - figures: what lies where, what is written, what is refused, what is read back */
#include "support.h"
#include <locale.h>
#include <math.h>
#include <unistd.h>
#include "plot/figure.h"
#include "wte/tokenizer.h"

static const char *const words[] = {"king",          "queen",        "man",    "woman",
                                    "child",         "river",        "doctor", "mountain",
                                    "understanding", "international"};
enum { N_WORDS = sizeof words / sizeof *words };

/* ---- help ---------------------------------------------------------------------------------- */

static void assert_near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%.17g, expected %.17g", got, want);
}

static uint64_t seed = 5;

static double uniform(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(seed >> 33) / 2147483648.0;
}

static wte_figure *figure_with(wte_figure_options options)
{
    wte_figure *figure = NULL;

    assert_int_equal(wte_figure_new(&options, &figure, NULL), WTE_OK);
    return figure;
}

static wte_figure *plain(void)
{
    return figure_with((wte_figure_options)WTE_FIGURE_DEFAULTS);
}

static void add_heatmap(wte_figure *figure, size_t n, const char *const *labels)
{
    double *values = malloc(n * n * sizeof *values);
    wte_error err = {0};

    assert_non_null(values);
    for (size_t i = 0; i < n * n; i++)
        values[i] = uniform();
    if (wte_figure_heatmap(figure, values, n, n, labels, labels, 0, 1, NULL, "cosine", &err))
        fail_msg("%s", err.message);
    free(values);
}

/* n labels, of which some are long. */
static char **many_labels(size_t n)
{
    char **labels = malloc(n * sizeof *labels);

    assert_non_null(labels);
    for (size_t i = 0; i < n; i++) {
        labels[i] = malloc(64);
        assert_non_null(labels[i]);
        snprintf(labels[i], 64, "%s of %zu", words[i % N_WORDS], i);
    }
    return labels;
}

static void free_labels(char **labels, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(labels[i]);
    free(labels);
}

static bool intersect(const wte__box *a, const wte__box *b)
{
    const double touch = 0.01;

    return a->x0 < b->x1 - touch && b->x0 < a->x1 - touch && a->y0 < b->y1 - touch &&
           b->y0 < a->y1 - touch;
}

/* No text on a text, a point or the page's edge; no legend on a point. */
static void assert_clear(const wte__canvas *c)
{
    assert_true(c->n_boxes > 0);
    for (size_t i = 0; i < c->n_boxes; i++) {
        const wte__box *a = &c->boxes[i];

        assert_true(a->x0 >= 0 && a->y0 >= 0 && a->x1 <= c->width && a->y1 <= c->height);
        for (size_t j = 0; j < c->n_boxes; j++) {
            const wte__box *b = &c->boxes[j];
            const bool wrong = a->what == WTE__BOX_LEGEND
                                   ? b->what == WTE__BOX_MARK
                                   : a->what == WTE__BOX_TEXT && b->what != WTE__BOX_LEGEND;

            if (i != j && a->what != WTE__BOX_MARK && wrong && intersect(a, b))
                fail_msg("boxes %zu (%d: %g..%g, %g..%g) and %zu (%d: %g..%g, %g..%g)", i, a->what,
                         a->x0, a->x1, a->y0, a->y1, j, b->what, b->x0, b->x1, b->y0, b->y1);
        }
    }
}

static size_t count_boxes(const wte__canvas *c, int what)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_boxes; i++)
        n += (int)c->boxes[i].what == what;
    return n;
}

static void draw(const wte_figure *figure, wte__canvas *c)
{
    wte_error err = {0};

    if (wte__figure_draw(figure, WTE__SVG, c, &err) != WTE_OK)
        fail_msg("%s", err.message);
    wte__buffer_add(&c->out, "", 1); /* a string */
    assert_false(c->out.failed);
}

static void draw_clear(wte_figure *figure)
{
    wte__canvas c;

    draw(figure, &c);
    assert_clear(&c);
    wte__canvas_free(&c);
    wte_figure_free(figure);
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;

    for (const char *p = text; (p = strstr(p, what)); p++)
        n++;
    return n;
}

static unsigned char *read_all(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    unsigned char *data = malloc(1 << 22);

    assert_non_null(f);
    assert_non_null(data);
    *n = fread(data, 1, 1 << 22, f);
    fclose(f);
    return data;
}

static const char *in_folder(const char *name)
{
    static char path[4][512];
    static unsigned next;

    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s", test_folder(), name);
    return path[next];
}

/* ---- labels -------------------------------------------------------------------------------- */

static void no_label_of_a_heat_map_touches_another(void **state)
{
    static const size_t sizes[] = {1, 2, 3, 10, 40, 80, 150, 1000};
    (void)state;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        wte_figure *figure = plain();
        char **labels = many_labels(sizes[i]);

        add_heatmap(figure, sizes[i], (const char *const *)labels);
        draw_clear(figure);
        free_labels(labels, sizes[i]);
    }
}

static void five_thousand_labels_thin_out_evenly(void **state)
{
    enum { N = 5000 };
    wte_figure *figure = plain();
    char **labels = many_labels(N);
    double *values = calloc(N, sizeof *values);
    wte__canvas c;
    long last = -1, step = 0;
    size_t shown = 0;
    (void)state;

    assert_non_null(values);
    values[0] = 1;
    assert_int_equal(wte_figure_heatmap(figure, values, N, 1, (const char *const *)labels, NULL, 0,
                                        1, NULL, NULL, NULL),
                     WTE_OK);
    draw(figure, &c);
    assert_clear(&c);
    for (const char *p = c.out.data; (p = strstr(p, " of ")); p++) {
        const long i = strtol(p + 4, NULL, 10);

        if (last >= 0 && step == 0)
            step = i - last;
        else if (last >= 0)
            assert_int_equal(i - last, step);
        last = i;
        shown++;
    }
    assert_in_range(shown, 50, 200);
    assert_true(last + step >= N);
    wte__canvas_free(&c);
    wte_figure_free(figure);
    free_labels(labels, N);
    free(values);
}

static void positions_thin_out_by_round_steps(void **state)
{
    enum { N = 768 };
    double values[N] = {0};
    char text[N][8];
    const char *labels[N];
    wte_figure *figure = plain();
    wte__canvas c;
    (void)state;

    values[3] = 1;
    for (int i = 0; i < N; i++) {
        snprintf(text[i], sizeof text[i], "%d", i);
        labels[i] = text[i];
    }
    assert_int_equal(wte_figure_heatmap(figure, values, 1, N, NULL, labels, 0, 1, NULL, NULL, NULL),
                     WTE_OK);
    draw(figure, &c);
    assert_clear(&c);
    assert_non_null(strstr(c.out.data, ">50</text>"));
    assert_non_null(strstr(c.out.data, ">100</text>"));
    assert_null(strstr(c.out.data, ">51</text>"));
    assert_null(strstr(c.out.data, "rotate")); /* flat */
    wte__canvas_free(&c);
    wte_figure_free(figure);
}

static void labels_of_points_cover_nothing(void **state)
{
    enum { N = 400 };
    double x[N], y[N];
    char **labels = many_labels(N);
    wte_axes axes = WTE_AXES_DEFAULTS;
    (void)state;

    axes.note = "r = 0.5";
    for (int equal = 0; equal < 2; equal++)
        for (size_t n = 5; n <= N; n *= 4) {
            wte_figure *figure = plain();

            for (size_t i = 0; i < n; i++) {
                x[i] = uniform() * uniform();
                y[i] = uniform() * 3;
            }
            axes.equal = equal;
            assert_int_equal(wte_figure_panel(figure, &axes, 0, NULL), WTE_OK);
            assert_int_equal(
                wte_figure_points(figure, x, y, n, (const char *const *)labels, "words", NULL),
                WTE_OK);
            assert_int_equal(wte_figure_points(figure, y, x, n, NULL, "others", NULL), WTE_OK);
            draw_clear(figure);
        }
    free_labels(labels, N);
}

static void all_labels_have_a_place_where_the_figure_may_grow(void **state)
{
    enum { N = 60 };
    double x[N], y[N];
    char **labels = many_labels(N);
    wte_figure *figure = plain();
    wte__canvas c;
    (void)state;

    for (size_t i = 0; i < N; i++) {
        x[i] = uniform();
        y[i] = uniform();
    }
    assert_int_equal(wte_figure_points(figure, x, y, N, (const char *const *)labels, NULL, NULL),
                     WTE_OK);
    draw(figure, &c);
    assert_int_equal(count(c.out.data, " of "), N);
    wte__canvas_free(&c);
    wte_figure_free(figure);
    free_labels(labels, N);
}

static void a_legend_lies_on_no_data(void **state)
{
    double wild[300], calm[20];
    (void)state;

    for (int i = 0; i < 300; i++)
        wild[i] = uniform();
    for (int i = 0; i < 20; i++)
        calm[i] = i * i;
    for (int which = 0; which < 2; which++) { /* no corner is free, then one is */
        wte_figure *figure = plain();
        wte__canvas c;
        const wte__box *legend = NULL;

        assert_int_equal(which ? wte_figure_line(figure, NULL, calm, 20, "squares", NULL)
                               : wte_figure_line(figure, NULL, wild, 300, "noise", NULL),
                         WTE_OK);
        draw(figure, &c);
        assert_clear(&c);
        for (size_t i = 0; i < c.n_boxes; i++)
            if (c.boxes[i].what == WTE__BOX_LEGEND)
                legend = &c.boxes[i];
        assert_non_null(legend);
        assert_true(which ? legend->x1 < c.width / 2 : legend->x0 > c.width * 0.8);
        wte__canvas_free(&c);
        wte_figure_free(figure);
    }
}

static void panels_keep_apart(void **state)
{
    static const double sizes[][2] = {{0, 0}, {15, 6}, {16, 0}, {0, 7}, {15, 13}};
    const double heights[N_WORDS] = {1, 2, -1, 3, NAN, 2, 1, 2, 3, 4};
    double x[50], y[50];
    (void)state;

    for (int i = 0; i < 50; i++) {
        x[i] = uniform();
        y[i] = 1e-7 * uniform();
    }
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int rows = 1; rows < 3; rows++) {
            wte_figure_options options = WTE_FIGURE_DEFAULTS;
            wte_axes axes = WTE_AXES_DEFAULTS;
            wte_figure *figure;
            wte__canvas c;

            if (rows == 2 && s > 0 && s != 4)
                continue; /* too small for two rows */
            options.title = "A title that is longer than what some of these figures have room for";
            options.width = sizes[s][0];
            options.height = sizes[s][1];
            figure = figure_with(options);
            axes.title = "one of several panels";
            axes.x_label = "what goes to the right";
            axes.y_label = "what goes up, said at some length";
            axes.note = "r = 0.12, n = 50, and more that is worth a note";
            assert_int_equal(wte_figure_panel(figure, &axes, 0, NULL), WTE_OK);
            add_heatmap(figure, N_WORDS, words);
            assert_int_equal(wte_figure_panel(figure, &axes, rows == 2, NULL), WTE_OK);
            assert_int_equal(wte_figure_points(figure, x, y, 50, NULL, NULL, NULL), WTE_OK);
            assert_int_equal(wte_figure_panel(figure, &axes, 0, NULL), WTE_OK);
            assert_int_equal(
                wte_figure_bars(figure, heights, words, N_WORDS, NULL, NULL, NULL, NULL, 0, NULL),
                WTE_OK);
            draw(figure, &c);
            assert_clear(&c);
            if (options.width > 0)
                assert_near(c.width, options.width * 72, 1e-9);
            if (options.height > 0)
                assert_near(c.height, options.height * 72, 1e-9);
            assert_non_null(strstr(c.out.data, ">A)</text>"));
            assert_non_null(strstr(c.out.data, ">C)</text>"));
            wte__canvas_free(&c);
            wte_figure_free(figure);
        }
}

static void texts_longer_than_their_place_end_in_an_ellipsis(void **state)
{
    static const char sentence[] = "a sentence of many words that goes on and on and on, as if it "
                                   "were never to come to any end, and then some more of it";
    const char *const labels[] = {sentence, sentence};
    const double values[] = {1, 2, 3, 4};
    wte_figure_options options = WTE_FIGURE_DEFAULTS;
    wte_axes axes = WTE_AXES_DEFAULTS;
    (void)state;

    axes.title = axes.x_label = axes.y_label = axes.note = options.title = sentence;
    for (int given = 0; given < 2; given++) {
        wte_figure *figure;
        wte__canvas c;

        options.width = options.height = given ? 5 : 0;
        figure = figure_with(options);
        assert_int_equal(wte_figure_panel(figure, &axes, 0, NULL), WTE_OK);
        assert_int_equal(wte_figure_heatmap(figure, values, 2, 2, labels, labels, NAN, NAN, NULL,
                                            sentence, NULL),
                         WTE_OK);
        draw(figure, &c);
        assert_clear(&c);
        assert_true(c.width < 9 * 72);
        assert_true(count(c.out.data, "\u2026</text>") >= 6);
        wte__canvas_free(&c);
        wte_figure_free(figure);
    }
}

static void one_panel_has_no_letter(void **state)
{
    wte_figure *figure = plain();
    wte__canvas c;
    (void)state;

    add_heatmap(figure, N_WORDS, words);
    draw(figure, &c);
    assert_null(strstr(c.out.data, "A)"));
    wte__canvas_free(&c);
    wte_figure_free(figure);
}

static void many_bars_thin_their_labels(void **state)
{
    enum { N = 300 };
    double heights[N];
    char **labels = many_labels(N);
    (void)state;

    for (int i = 0; i < N; i++)
        heights[i] = uniform() - 0.5;
    for (int horizontal = 0; horizontal < 2; horizontal++) {
        wte_figure *figure = plain();

        assert_int_equal(wte_figure_bars(figure, heights, (const char *const *)labels, N, NULL,
                                         NULL, NULL, NULL, horizontal, NULL),
                         WTE_OK);
        draw_clear(figure);
    }
    free_labels(labels, N);
}

/* ---- structure ----------------------------------------------------------------------------- */

static void svg_has_real_text_and_a_rectangle_a_cell(void **state)
{
    static const char *const labels[] = {"a<b", "x&y", "\"q\"", "tab\there", "bad\xFFz"};
    double values[25];
    wte_figure *figure = plain();
    wte__canvas c;
    (void)state;

    for (int i = 0; i < 25; i++)
        values[i] = i;
    values[7] = NAN;
    assert_int_equal(
        wte_figure_heatmap(figure, values, 5, 5, labels, labels, NAN, NAN, NULL, "bar", NULL),
        WTE_OK);
    draw(figure, &c);
    assert_clear(&c);
    assert_int_equal(count(c.out.data, ">a&lt;b</text>"), 2);
    assert_int_equal(count(c.out.data, ">x&amp;y</text>"), 2);
    assert_int_equal(count(c.out.data, ">&quot;q&quot;</text>"), 2);
    assert_int_equal(count(c.out.data, ">tab\\there</text>"), 2);
    assert_int_equal(count(c.out.data, ">bad\uFFFDz</text>"), 2);
    assert_int_equal(count(c.out.data, ">bar</text>"), 1);
    assert_int_equal(count(c.out.data, "<rect"), 1 + 25);
    assert_int_equal(count(c.out.data, "fill=\"#0d0887\""), 1); /* the least: plasma's first */
    assert_int_equal(count(c.out.data, "fill=\"#f0f921\""), 1); /* the most: its last */
    assert_int_equal(count(c.out.data, "fill=\"#dddddd\""), 1); /* no number: grey, and hatched */
    assert_true(count(c.out.data, "stroke=\"#999999\"") > 3);
    assert_int_equal(count(c.out.data, "<g "), count(c.out.data, "</g>"));
    assert_true(wte__utf8_valid(c.out.data, c.out.n - 1));
    wte__canvas_free(&c);
    wte_figure_free(figure);
}

static void a_large_matrix_is_one_image(void **state)
{
    wte_figure *figure = plain();
    wte__canvas c;
    (void)state;

    add_heatmap(figure, 200, NULL);
    draw(figure, &c);
    assert_int_equal(count(c.out.data, "<rect"), 1);
    assert_int_equal(count(c.out.data, "<image"), 2); /* the matrix and the bar */
    assert_int_equal(count(c.out.data, "image-rendering:pixelated"), 2);
    wte__canvas_free(&c);
    wte_figure_free(figure);
}

static void blocks_of_a_huge_matrix_are_means_of_their_numbers(void **state)
{
    enum { N = 4000 };
    double *values = malloc(2 * N * sizeof *values);
    wte_figure *figure = plain();
    const wte__heatmap *h;
    (void)state;

    assert_non_null(values);
    for (int i = 0; i < 2 * N; i++)
        values[i] = i % N;
    values[2] = NAN;
    values[N + 6] = values[N + 7] = NAN;
    assert_int_equal(
        wte_figure_heatmap(figure, values, 2, N, NULL, NULL, NAN, NAN, NULL, NULL, NULL), WTE_OK);
    h = &figure->panels[0].heat;
    assert_int_equal(h->v_cols, 2000);
    assert_true(h->values[0] == 0.5);
    assert_true(h->values[1] == 3); /* of 2 and 3 one is no number */
    assert_true(isnan(h->values[2000 + 3]));
    assert_true(h->low == 0 && h->high == N - 1);
    draw_clear(figure);
    free(values);
}

static void values_are_written_where_they_fit(void **state)
{
    static const char *const texts[] = {"0.10", "0.20", "0.30", "0.95"};
    const double values[] = {0.1, 0.2, 0.3, 0.95};
    wte_figure *figure = plain();
    wte__canvas c;
    (void)state;

    assert_int_equal(
        wte_figure_heatmap(figure, values, 2, 2, words, words, 0, 1, texts, NULL, NULL), WTE_OK);
    draw(figure, &c);
    assert_int_equal(count_boxes(&c, WTE__BOX_CELL), 4);
    /* white on dark cells, black on light ones */
    assert_non_null(strstr(c.out.data, "fill=\"#ffffff\">0.10</text>"));
    assert_non_null(strstr(c.out.data, "fill=\"#000000\">0.95</text>"));
    wte__canvas_free(&c);
    wte_figure_free(figure);
}

static void thousands_of_points_are_a_density(void **state)
{
    enum { N = 20000 };
    double *x = malloc(2 * N * sizeof *x);
    wte_figure *figure = plain();
    wte__canvas c;
    (void)state;

    assert_non_null(x);
    for (int i = 0; i < 2 * N; i++)
        x[i] = uniform() + uniform();
    assert_int_equal(wte_figure_points(figure, x, x + N, N, NULL, NULL, NULL), WTE_OK);
    draw(figure, &c);
    assert_clear(&c);
    assert_int_equal(count(c.out.data, "<circle"), 0);
    assert_in_range(count(c.out.data, "Z\""), 200, 2000);
    assert_non_null(strstr(c.out.data, ">points</text>"));
    wte__canvas_free(&c);
    wte_figure_free(figure);
    free(x);
}

static void every_point_is_counted_in_one_hexagon(void **state)
{
    enum { N = 3000 };
    double x[N], y[N];
    wte_figure *figure = plain();
    wte__drawing d = {.figure = figure, .theme = wte__theme_of(false)};
    wte__plan plan = {.w = 200, .h = 150};
    size_t sum = 0;
    (void)state;

    for (int i = 0; i < N; i++) {
        x[i] = uniform();
        y[i] = uniform();
    }
    assert_int_equal(wte_figure_points(figure, x, y, N, NULL, NULL, NULL), WTE_OK);
    assert_int_equal(wte__fonts_new(&d.fonts, NULL), WTE_OK);
    assert_int_equal(wte__xy_plan(&d, &figure->panels[0], &plan, NULL), WTE_OK);
    for (size_t i = 0; i < plan.bin_rows * plan.bin_cols; i++)
        sum += plan.bins[i];
    assert_int_equal(sum, N);
    wte__plan_free(&plan);
    wte__fonts_free(d.fonts);
    wte_figure_free(figure);
}

static void bars_show_values_and_errors(void **state)
{
    const double heights[] = {0.5, -0.2}, low[] = {0.4, -0.3}, high[] = {0.6, -0.1};
    const double first[] = {0.45, 0.5, 0.55}, second[] = {-0.2};
    const double *const values[] = {first, second};
    const size_t n_values[] = {3, 1};
    (void)state;

    for (int horizontal = 0; horizontal < 2; horizontal++) {
        wte_figure *figure = plain();
        wte__canvas c;

        assert_int_equal(wte_figure_bars(figure, heights, words, 2, values, n_values, low, high,
                                         horizontal, NULL),
                         WTE_OK);
        draw(figure, &c);
        assert_int_equal(count_boxes(&c, WTE__BOX_MARK), 4);
        assert_int_equal(count(c.out.data, "<rect"), 1 + 1 + 2); /* page, clip, bars */
        assert_non_null(strstr(c.out.data, ">queen</text>"));
        wte__canvas_free(&c);
        wte_figure_free(figure);
    }
}

static void a_line_has_gaps_where_there_is_no_number(void **state)
{
    const double y[] = {1, 2, NAN, 3, INFINITY, 5};
    wte_figure *figure = plain();
    wte__canvas c;
    const char *line;
    (void)state;

    assert_int_equal(wte_figure_line(figure, NULL, y, 6, NULL, NULL), WTE_OK);
    draw(figure, &c);
    line = strstr(c.out.data, "class=\"line\"");
    assert_non_null(line);
    line = strstr(line, "<path d=\"");
    assert_non_null(line);
    *strchr(strstr(line, "d=\"") + 3, '"') = '\0';
    assert_int_equal(count(line, "M"), 3);
    assert_int_equal(count(line, "L"), 1);
    wte__canvas_free(&c);
    wte_figure_free(figure);
}

static void limits_are_kept(void **state)
{
    const double x[] = {0.1, 0.5, 7}, y[] = {0.2, 0.4, 0.3};
    wte_axes axes = WTE_AXES_DEFAULTS;
    wte_figure *figure = plain();
    wte__canvas c;
    (void)state;

    axes.x_min = axes.y_min = 0;
    axes.x_max = axes.y_max = 1;
    assert_int_equal(wte_figure_panel(figure, &axes, 0, NULL), WTE_OK);
    assert_int_equal(wte_figure_points(figure, x, y, 3, NULL, NULL, NULL), WTE_OK);
    draw(figure, &c);
    assert_int_equal(count(c.out.data, "<circle"), 2); /* the third is outside */
    assert_int_equal(count(c.out.data, ">0.0</text>"), 2);
    assert_int_equal(count(c.out.data, ">1.0</text>"), 2);
    wte__canvas_free(&c);
    wte_figure_free(figure);
}

static void one_unit_is_as_long_on_both_axes(void **state)
{
    const double x[] = {0, 4, 2}, y[] = {0, 1, 2};
    wte_axes axes = WTE_AXES_DEFAULTS;
    wte_figure *figure = plain();
    wte__canvas c;
    wte__point at[3];
    size_t n = 0;
    (void)state;

    axes.equal = 1;
    assert_int_equal(wte_figure_panel(figure, &axes, 0, NULL), WTE_OK);
    assert_int_equal(wte_figure_points(figure, x, y, 3, NULL, NULL, NULL), WTE_OK);
    draw(figure, &c);
    for (size_t i = 0; i < c.n_boxes; i++)
        if (c.boxes[i].what == WTE__BOX_MARK && n < 3)
            at[n++] = (wte__point){c.boxes[i].x0, c.boxes[i].y0};
    assert_int_equal(n, 3);
    assert_near((at[1].x - at[0].x) / 4, at[0].y - at[1].y, 1e-6);
    assert_near((at[2].x - at[0].x) / 2, (at[0].y - at[2].y) / 2, 1e-6);
    wte__canvas_free(&c);
    wte_figure_free(figure);
}

static void a_tree_keeps_texts_apart_and_branches_in_order(void **state)
{
    static const char *const texts[] = {"The", "king", "queen", "of", "was", "very long text here"};
    const int parent[] = {-1, 0, 0, 1, 1, 2};
    const unsigned char marked[] = {1, 1, 0, 1, 0, 0};
    const double weights[] = {1, 0.7, 0.2, NAN, 0.1, 3};
    wte_figure *figure = plain();
    wte__canvas c;
    (void)state;

    assert_int_equal(wte_figure_tree(figure, parent, texts, weights, marked, 6, NULL), WTE_OK);
    draw(figure, &c);
    assert_clear(&c);
    assert_int_equal(count(c.out.data, "font-weight=\"bold\""), 3);
    for (int i = 0; i < 6; i++)
        assert_non_null(strstr(c.out.data, texts[i]));
    wte__canvas_free(&c);
    wte_figure_free(figure);
}

static void a_deep_tree_is_drawn(void **state)
{
    enum { N = 400 };
    int parent[N];
    wte_figure *figure = plain();
    (void)state;

    for (int i = 0; i < N; i++)
        parent[i] = i + 1 < N ? i + 1 : -1; /* the root is the last */
    assert_int_equal(wte_figure_tree(figure, parent, NULL, NULL, NULL, N, NULL), WTE_OK);
    assert_int_equal(figure->panels[0].tree.n_depths, N);
    assert_int_equal(figure->panels[0].tree.depth[0], N - 1);
    wte_figure_free(figure);
}

/* ---- text and ticks ------------------------------------------------------------------------ */

static void assert_shape(const char *text, const uint32_t *want, size_t n)
{
    wte__shaped got[WTE__TEXT_CODES];
    size_t bytes = 0;

    assert_int_equal(wte__text_shape(text, got), n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(got[i].code, want[i]);
        bytes += got[i].length;
    }
    assert_int_equal(bytes, strlen(text)); /* every byte belongs to a character */
}

static void right_to_left_parts_are_turned_round_and_joined(void **state)
{
    (void)state;
    /* kaf, teh, alef, beh: initial, medial, final, alone */
    assert_shape("\u0643\u062A\u0627\u0628", (uint32_t[]){0xFE8F, 0xFE8E, 0xFE98, 0xFEDB}, 4);
    /* lam and alef are one */
    assert_shape("\u0644\u0627", (uint32_t[]){0xFEFB}, 1);
    assert_shape("\u0628\u0644\u0627", (uint32_t[]){0xFEFC, 0xFE91}, 2);
    /* digits stay in order, brackets are mirrored, what is around stays */
    assert_shape(
        "a \u05D0\u05D1 12 (\u05D2) b",
        (uint32_t[]){'a', ' ', '(', 0x05D2, ')', ' ', '1', '2', ' ', 0x05D1, 0x05D0, ' ', 'b'}, 13);
    /* a mark stays behind its letter */
    assert_shape("\u05D0\u05B8\u05D1", (uint32_t[]){0x05D1, 0x05D0, 0x05B8}, 3);
    /* joiners are not drawn */
    assert_shape("a\u200Db\uFE0F", (uint32_t[]){'a', 'b'}, 2);
}

static void text_is_made_printable(void **state)
{
    static const char *const cases[][2] = {{"plain", "plain"},      {"a\nb\tc\r", "a\\nb\\tc\\r"},
                                           {"\x1B[0m", "\\x1b[0m"}, {"\xC3(", "\uFFFD("},
                                           {"\u2028", "\\u2028"},   {"", ""}};
    char long_text[2000];
    char *clean;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        clean = wte__text_clean(cases[i][0]);
        assert_string_equal(clean, cases[i][1]);
        wte__free(clean);
    }
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    clean = wte__text_clean(long_text);
    assert_int_equal(strlen(clean), 400 + strlen("\u2026"));
    wte__free(clean);
}

static void text_is_shortened_to_fit(void **state)
{
    static const char text[] =
        "na\u00EFve \u4E2D\u6587 \u0645\u062F\u064A\u0646\u0629 \U0001F600 end";
    wte__fonts *fonts = NULL;
    (void)state;

    assert_int_equal(wte__fonts_new(&fonts, NULL), WTE_OK);
    for (double width = 10; width < 150; width += 7) {
        char *fit = wte__text_fit(fonts, text, 8, false, width);

        assert_true(wte__utf8_valid(fit, strlen(fit)));
        assert_true(wte__text_width(fonts, fit, 8, false) <= width);
        if (wte__text_width(fonts, text, 8, false) > width)
            assert_non_null(strstr(fit, "\u2026"));
        else
            assert_string_equal(fit, text);
        wte__free(fit);
    }
    assert_true(wte__text_width(fonts, "wide", 16, false) ==
                2 * wte__text_width(fonts, "wide", 8, false));
    assert_true(wte__text_width(fonts, "wide", 8, true) > wte__text_width(fonts, "wide", 8, false));
    wte__fonts_free(fonts);
}

static void ticks_are_round_numbers(void **state)
{
    static const struct {
        double low, high;
        bool whole;
        const char *first, *last;
    } cases[] = {
        {0, 1, false, "0.0", "1.0"},
        {-1, 1, false, "\u22121.0", "1.0"},
        {-0.213, 0.98, false, "\u22120.2", "0.8"},
        {0, 12, true, "0", "12"},
        {0, 2, true, "0", "2"},
        {1e-7, 9e-7, false, "1e\u22127", "9e\u22127"},
        {0, 3.2e6, false, "0", "3.0e6"},
        {0, 50257, false, "0", "50000"},
    };
    wte__fonts *fonts = NULL;
    (void)state;

    assert_int_equal(wte__fonts_new(&fonts, NULL), WTE_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wte__axis axis = {0};

        assert_true(wte__axis_numbers(fonts, &axis, cases[i].low, cases[i].high, 250, false,
                                      cases[i].whole));
        assert_in_range(axis.n, 3, 10);
        assert_string_equal(axis.ticks[0].text, cases[i].first);
        assert_string_equal(axis.ticks[axis.n - 1].text, cases[i].last);
        for (size_t k = 0; k < axis.n; k++)
            assert_true(axis.ticks[k].at > -1e-9 && axis.ticks[k].at < 1 + 1e-9);
        wte__axis_free(&axis);
    }
    wte__fonts_free(fonts);
}

static void maps_have_the_published_colors(void **state)
{
    static const uint32_t ends[][3] = {
        [WTE_COLORMAP_PLASMA] = {0x0d0887, 0xcb4778, 0xf0f921},
        [WTE_COLORMAP_VIRIDIS] = {0x440154, 0x21908c, 0xfde725},
        [WTE_COLORMAP_MAGMA] = {0x000004, 0xb63779, 0xfcfdbf},
        [WTE_COLORMAP_CIVIDIS] = {0x00224e, 0x7c7b78, 0xfee838},
        [WTE_COLORMAP_DIVERGING] = {0x053061, 0xf7f7f7, 0x67001f},
    };
    uint32_t colors[256];
    (void)state;

    for (int map = WTE_COLORMAP_PLASMA; map <= WTE_COLORMAP_DIVERGING; map++) {
        wte__colormap_fill((wte_colormap)map, false, colors);
        assert_int_equal(colors[0], ends[map][0]);
        assert_int_equal(colors[WTE__COLORS / 2], ends[map][1]);
        assert_int_equal(colors[WTE__COLORS - 1], ends[map][2]);
    }
    assert_int_equal(wte__colormap_index(-5, 0, 1), 0);
    assert_int_equal(wte__colormap_index(INFINITY, 0, 1), WTE__COLORS - 1);
    assert_int_equal(wte__colormap_index(-INFINITY, 0, 1), 0);
    assert_int_equal(wte__colormap_index(0, -1, 1), WTE__COLORS / 2);
    assert_int_equal(wte__colormap_index(NAN, 0, 1), WTE__COLOR_NAN);
    assert_int_equal(wte__colormap_index(0, -1e308, 1e308), WTE__COLORS / 2);
}

static void diverging_colors_are_white_at_zero(void **state)
{
    const double values[2][2] = {{-0.2, 0.9}, {-0.9, 0.2}};
    wte_figure_options options = WTE_FIGURE_DEFAULTS;
    (void)state;

    options.colormap = WTE_COLORMAP_DIVERGING;
    for (int i = 0; i < 2; i++) {
        wte_figure *figure = figure_with(options);

        assert_int_equal(
            wte_figure_heatmap(figure, values[i], 1, 2, NULL, NULL, NAN, NAN, NULL, NULL, NULL),
            WTE_OK);
        assert_true(figure->panels[0].heat.low == -0.9 && figure->panels[0].heat.high == 0.9);
        wte_figure_free(figure);
    }
}

static void numbers_have_a_point_in_every_locale(void **state)
{
    static const char *const locales[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"};
    wte_figure *figure = plain();
    wte__canvas a, b;
    bool set = false;
    (void)state;

    add_heatmap(figure, N_WORDS, words);
    draw(figure, &a);
    for (int i = 0; !set && i < 3; i++)
        set = setlocale(LC_ALL, locales[i]);
    draw(figure, &b);
    setlocale(LC_ALL, "C");
    assert_int_equal(a.out.n, b.out.n);
    assert_memory_equal(a.out.data, b.out.data, a.out.n);
    wte__canvas_free(&a);
    wte__canvas_free(&b);
    wte_figure_free(figure);
}

/* ---- files --------------------------------------------------------------------------------- */

static const char *const formats[] = {"figure.svg", "figure.PDF", "figure.png"};
static const char *const begins[] = {"<?xml", "%PDF-", "\x89PNG"};

static void each_ending_gives_its_format_and_what_made_it(void **state)
{
    static const char *const made[] = {
        "[\"wte\",\"matrix\",\"-m\",\"a<b>&c\",\"(x\\\\y)\"]",
        "{\"w\":\"gr\u00F6\u00DFe \U0001F600 \u4E2D\",\"to\":\"]]>&amp;(\\\\\"}", "plain (("};
    (void)state;

    for (size_t m = 0; m < sizeof made / sizeof *made; m++)
        for (int i = 0; i < 3; i++) {
            wte_figure_options options = WTE_FIGURE_DEFAULTS;
            const char *path = in_folder(formats[i]);
            wte_figure *figure;
            wte_error err = {0};
            unsigned char *data;
            char *text = NULL;
            size_t n;

            options.title = "T\u00EFtle (1)";
            options.provenance = made[m];
            options.dark = i == 1;
            figure = figure_with(options);
            add_heatmap(figure, N_WORDS, words);
            assert_int_equal(wte_figure_save(figure, path, &err), WTE_OK);
            data = read_all(path, &n);
            assert_memory_equal(data, begins[i], strlen(begins[i]));
            if (wte_figure_provenance(path, &text, &err) != WTE_OK)
                fail_msg("%s", err.message);
            assert_string_equal(text, made[m]);
            wte_text_free(text);
            free(data);
            wte_figure_free(figure);
        }
}

static void a_figure_without_provenance_says_so(void **state)
{
    char *text = NULL;
    wte_error err = {0};
    (void)state;

    for (int i = 0; i < 3; i++) {
        const char *path = in_folder(formats[i]);
        wte_figure *figure = plain();

        add_heatmap(figure, N_WORDS, words);
        assert_int_equal(wte_figure_save(figure, path, NULL), WTE_OK);
        assert_int_equal(wte_figure_provenance(path, &text, &err), WTE_E_FORMAT);
        assert_null(text);
        assert_non_null(strstr(err.message, formats[i]));
        wte_figure_free(figure);
    }
    assert_int_equal(wte_figure_provenance(in_folder("none.svg"), &text, &err), WTE_E_IO);
    assert_int_equal(wte_figure_provenance(write_file("empty.svg", "", 0), &text, &err),
                     WTE_E_FORMAT);
}

static void broken_figures_are_read_without_harm(void **state)
{
    (void)state;

    for (int i = 0; i < 3; i++) {
        wte_figure_options options = WTE_FIGURE_DEFAULTS;
        const char *path = in_folder(formats[i]);
        wte_figure *figure;
        unsigned char *data;
        size_t n;

        options.provenance = "{\"a\":\"\u00E4\"}";
        figure = figure_with(options);
        add_heatmap(figure, 2, words);
        assert_int_equal(wte_figure_save(figure, path, NULL), WTE_OK);
        data = read_all(path, &n);
        for (int k = 0; k < 400; k++) {
            const size_t at = (size_t)(uniform() * (double)n);
            const unsigned char was = data[at];
            char *text = NULL;

            if (k % 2 == 0) {
                data[at] = (unsigned char)(uniform() * 256);
                path = write_file("broken", data, n);
            } else {
                path = write_file("broken", data, at);
            }
            if (wte_figure_provenance(path, &text, NULL) == WTE_OK) {
                assert_true(wte__utf8_valid(text, strlen(text)));
                wte_text_free(text);
            }
            data[at] = was;
        }
        free(data);
        wte_figure_free(figure);
    }
}

static void a_png_has_the_pixels_that_dpi_says(void **state)
{
    wte_figure_options options = WTE_FIGURE_DEFAULTS;
    const char *path = in_folder("size.png");
    wte_figure *figure;
    unsigned char *data;
    size_t n;
    (void)state;

    options.width = 5;
    options.height = 4;
    options.dpi = 200;
    figure = figure_with(options);
    add_heatmap(figure, N_WORDS, words);
    assert_int_equal(wte_figure_save(figure, path, NULL), WTE_OK);
    data = read_all(path, &n);
    assert_int_equal(data[18] << 8 | data[19], 1000);
    assert_int_equal(data[22] << 8 | data[23], 800);
    assert_memory_equal(data + 37, "pHYs", 4);
    assert_int_equal(data[43] << 8 | data[44], 7874); /* a metre */
    free(data);
    wte_figure_free(figure);
}

static void the_same_figure_is_the_same_bytes(void **state)
{
    (void)state;

    for (int i = 0; i < 3; i++) {
        const char *path = in_folder(formats[i]);
        wte_figure *figure = plain();
        unsigned char *a, *b;
        size_t n_a, n_b;

        add_heatmap(figure, 60, NULL);
        assert_int_equal(wte_figure_save(figure, path, NULL), WTE_OK);
        a = read_all(path, &n_a);
        assert_int_equal(wte_figure_save(figure, path, NULL), WTE_OK);
        b = read_all(path, &n_b);
        assert_int_equal(n_a, n_b);
        assert_memory_equal(a, b, n_a);
        free(a);
        free(b);
        wte_figure_free(figure);
    }
}

/* ---- what is refused ----------------------------------------------------------------------- */

static void a_path_that_cannot_be_written_is_named(void **state)
{
    wte_figure *figure = plain();
    wte_error err = {0};
    (void)state;

    add_heatmap(figure, 2, words);
    assert_int_equal(wte_figure_save(figure, in_folder("no/such/folder.svg"), &err), WTE_E_IO);
    assert_non_null(strstr(err.message, "no/such/folder.svg"));
    assert_int_equal(wte_figure_save(figure, in_folder("figure.jpg"), &err), WTE_E_RANGE);
    assert_non_null(strstr(err.message, ".svg, .pdf or .png"));
    assert_int_equal(wte_figure_save(figure, "", &err), WTE_E_RANGE);
    wte_figure_free(figure);
}

static void a_failed_figure_leaves_the_old_one(void **state)
{
    wte_figure *figure = plain();
    const char *path = write_file("old.svg", "old", 3);
    unsigned char *data;
    size_t n;
    (void)state;

    assert_int_equal(wte_figure_save(figure, path, NULL), WTE_E_RANGE); /* no panel */
    data = read_all(path, &n);
    assert_int_equal(n, 3);
    free(data);
    wte_figure_free(figure);
}

static void what_is_empty_or_no_number_is_refused(void **state)
{
    const double nothing[] = {NAN, NAN}, some[] = {1, NAN}, other[] = {NAN, 1};
    wte_figure *figure = plain();
    wte_error err = {0};
    (void)state;

    assert_int_equal(wte_figure_heatmap(figure, some, 0, 2, NULL, NULL, NAN, NAN, NULL, NULL, &err),
                     WTE_E_SHAPE);
    assert_int_equal(
        wte_figure_heatmap(figure, nothing, 1, 2, NULL, NULL, NAN, NAN, NULL, NULL, &err),
        WTE_E_RANGE);
    assert_string_equal(err.message, "a heat map of 1 x 2 cells without a number");
    assert_int_equal(wte_figure_heatmap(figure, some, 1, 2, NULL, NULL, 2, 1, NULL, NULL, &err),
                     WTE_E_RANGE);
    assert_int_equal(wte_figure_points(figure, some, some, 0, NULL, NULL, &err), WTE_E_SHAPE);
    assert_int_equal(wte_figure_points(figure, some, other, 2, NULL, NULL, &err), WTE_E_RANGE);
    assert_int_equal(wte_figure_points(figure, NULL, other, 2, NULL, NULL, &err), WTE_E_SHAPE);
    assert_int_equal(wte_figure_line(figure, NULL, nothing, 2, NULL, &err), WTE_E_RANGE);
    assert_int_equal(wte_figure_bars(figure, nothing, NULL, 2, NULL, NULL, NULL, NULL, 0, &err),
                     WTE_E_RANGE);
    assert_int_equal(wte_figure_tree(figure, NULL, NULL, NULL, NULL, 0, &err), WTE_E_SHAPE);
    assert_int_equal(wte_figure_save(figure, in_folder("x.svg"), &err), WTE_E_RANGE);
    assert_string_equal(err.message, "panel 1 has nothing in it");
    wte_figure_free(figure);
}

static void panels_hold_one_kind(void **state)
{
    const double y[] = {1, 2};
    const int parent[] = {-1, 0};
    wte_figure *figure = plain();
    (void)state;

    assert_int_equal(wte_figure_line(figure, NULL, y, 2, NULL, NULL), WTE_OK);
    assert_int_equal(wte_figure_heatmap(figure, y, 1, 2, NULL, NULL, NAN, NAN, NULL, NULL, NULL),
                     WTE_E_RANGE);
    assert_int_equal(wte_figure_tree(figure, parent, NULL, NULL, NULL, 2, NULL), WTE_E_RANGE);
    assert_int_equal(wte_figure_bars(figure, y, NULL, 2, NULL, NULL, NULL, NULL, 1, NULL),
                     WTE_E_RANGE);
    assert_int_equal(wte_figure_bars(figure, y, NULL, 2, NULL, NULL, NULL, NULL, 0, NULL), WTE_OK);
    assert_int_equal(wte_figure_bars(figure, y, NULL, 1, NULL, NULL, NULL, NULL, 0, NULL),
                     WTE_E_RANGE);
    assert_int_equal(wte_figure_panel(figure, NULL, 0, NULL), WTE_OK);
    assert_int_equal(wte_figure_heatmap(figure, y, 1, 2, NULL, NULL, NAN, NAN, NULL, NULL, NULL),
                     WTE_OK);
    assert_int_equal(wte_figure_line(figure, NULL, y, 2, NULL, NULL), WTE_E_RANGE);
    draw_clear(figure);
}

static void trees_must_be_trees(void **state)
{
    wte_figure *figure = plain();
    wte_error err = {0};
    (void)state;

    assert_int_equal(wte_figure_tree(figure, (int[]){-1, 5}, NULL, NULL, NULL, 2, &err),
                     WTE_E_RANGE);
    assert_string_equal(err.message, "node 1 of a tree of 2 has parent 5");
    assert_int_equal(wte_figure_tree(figure, (int[]){-2}, NULL, NULL, NULL, 1, &err), WTE_E_RANGE);
    assert_int_equal(wte_figure_tree(figure, (int[]){-1, 2, 3, 1}, NULL, NULL, NULL, 4, &err),
                     WTE_E_RANGE);
    assert_non_null(strstr(err.message, "its own ancestor"));
    assert_int_equal(wte_figure_tree(figure, (int[]){0}, NULL, NULL, NULL, 1, &err), WTE_E_RANGE);
    wte_figure_free(figure);
}

static void options_out_of_range_are_named(void **state)
{
    wte_figure *figure = NULL;
    wte_axes axes = WTE_AXES_DEFAULTS;
    wte_figure_options options = WTE_FIGURE_DEFAULTS;
    wte_error err = {0};
    (void)state;

    options.width = -1;
    assert_int_equal(wte_figure_new(&options, &figure, &err), WTE_E_RANGE);
    options.width = NAN;
    assert_int_equal(wte_figure_new(&options, &figure, &err), WTE_E_RANGE);
    options.width = 0;
    options.dpi = 1;
    assert_int_equal(wte_figure_new(&options, &figure, &err), WTE_E_RANGE);
    assert_string_equal(err.message, "1 dpi: expected 10 to 2400");
    options.dpi = 144;
    options.colormap = (wte_colormap)99;
    assert_int_equal(wte_figure_new(&options, &figure, &err), WTE_E_RANGE);
    options.colormap = WTE_COLORMAP_MAGMA;
    options.provenance = "bad \xFF";
    assert_int_equal(wte_figure_new(&options, &figure, &err), WTE_E_RANGE);
    options.provenance = NULL;
    assert_null(figure);
    assert_int_equal(wte_figure_new(&options, &figure, &err), WTE_OK);
    axes.x_min = 2;
    axes.x_max = 1;
    assert_int_equal(wte_figure_panel(figure, &axes, 0, &err), WTE_E_RANGE);
    assert_string_equal(err.message, "limits of x from 2 to 1: expected the lower first");
    wte_figure_free(figure);
}

static void a_size_too_small_for_its_texts_is_refused(void **state)
{
    wte_figure_options options = WTE_FIGURE_DEFAULTS;
    wte_figure *figure;
    wte_error err = {0};
    (void)state;

    options.width = options.height = 1;
    figure = figure_with(options);
    add_heatmap(figure, N_WORDS, words);
    assert_int_equal(wte_figure_save(figure, in_folder("small.svg"), &err), WTE_E_RANGE);
    assert_non_null(strstr(err.message, "1 x 1 inches is too small"));
    wte_figure_free(figure);
    options.width = options.height = 200;
    options.dpi = 2400;
    figure = figure_with(options);
    add_heatmap(figure, N_WORDS, words);
    assert_int_equal(wte_figure_save(figure, in_folder("large.png"), &err), WTE_E_RANGE);
    assert_non_null(strstr(err.message, "fewer dpi"));
    wte_figure_free(figure);
}

static void constant_and_extreme_data_are_drawn_or_refused(void **state)
{
    static const double cases[][3] = {
        {1, 1, 1}, {0, 0, 0}, {1e300, -1e300, 0}, {1e-300, 2e-300, 0}, {1e16, 1e16 + 2, 1e16}};
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wte_figure *figure = plain();

        assert_int_equal(wte_figure_line(figure, NULL, cases[i], 3, "line", NULL), WTE_OK);
        assert_int_equal(wte_figure_panel(figure, NULL, 0, NULL), WTE_OK);
        assert_int_equal(
            wte_figure_heatmap(figure, cases[i], 1, 3, NULL, NULL, NAN, NAN, NULL, NULL, NULL),
            WTE_OK);
        draw_clear(figure);
    }
    for (int i = 0; i < 2; i++) {
        const double far[] = {-1.7e308, 1.7e308};
        wte_figure *figure = plain();
        wte_status status =
            i ? wte_figure_line(figure, NULL, far, 2, NULL, NULL)
              : wte_figure_heatmap(figure, far, 1, 2, NULL, NULL, NAN, NAN, NULL, NULL, NULL);

        if (status == WTE_OK)
            status = wte_figure_save(figure, in_folder("far.svg"), NULL);
        assert_int_equal(status, WTE_E_RANGE);
        wte_figure_free(figure);
    }
}

/* ---- memory -------------------------------------------------------------------------------- */

/* All there is, once. */
static wte_status build(const char *path, wte_error *err)
{
    const double values[] = {1, 2, 3, 4}, heights[] = {1, 2}, y[] = {3, 1, 2};
    const double *const each[] = {values, values};
    const size_t n_each[] = {4, 2};
    const int parent[] = {-1, 0};
    wte_figure_options options = WTE_FIGURE_DEFAULTS;
    wte_axes axes = WTE_AXES_DEFAULTS;
    wte_figure *figure = NULL;
    wte_status status;

    options.title = "title";
    options.provenance = "made";
    axes.title = axes.x_label = axes.y_label = axes.note = "text";
    (void)((status = wte_figure_new(&options, &figure, err)) ||
           (status = wte_figure_panel(figure, &axes, 0, err)) ||
           (status = wte_figure_heatmap(figure, values, 2, 2, words, words, NAN, NAN, words, "bar",
                                        err)) ||
           (status = wte_figure_panel(figure, &axes, 0, err)) ||
           (status = wte_figure_bars(figure, heights, words, 2, each, n_each, heights, heights, 0,
                                     err)) ||
           (status = wte_figure_panel(figure, &axes, 1, err)) ||
           (status = wte_figure_points(figure, y, y, 3, words, "points", err)) ||
           (status = wte_figure_line(figure, NULL, y, 3, "line", err)) ||
           (status = wte_figure_panel(figure, &axes, 0, err)) ||
           (status = wte_figure_tree(figure, parent, words, y, NULL, 2, err)) ||
           (status = wte_figure_save(figure, path, err)));
    wte_figure_free(figure);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    wte_status status = WTE_E_NOMEM;
    wte_error err;
    long nth = 0;
    (void)state;

    for (int i = 0; i < 3; i++) {
        const char *path = in_folder(formats[i]);
        char *text = NULL;

        for (nth = 0; nth < 5000; nth++) {
            wte__fail_alloc(nth);
            status = build(path, &err);
            wte__fail_alloc(-1);
            if (status == WTE_OK)
                break;
            if (status != WTE_E_NOMEM)
                fail_msg("allocation %ld: %s", nth, err.message);
        }
        assert_int_equal(status, WTE_OK);
        assert_true(nth > 50);
        for (nth = 0; (status = (wte__fail_alloc(nth), wte_figure_provenance(path, &text, NULL)));
             nth++)
            assert_int_equal(status, WTE_E_NOMEM);
        wte__fail_alloc(-1);
        assert_string_equal(text, "made");
        wte_text_free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_label_of_a_heat_map_touches_another),
        cmocka_unit_test(five_thousand_labels_thin_out_evenly),
        cmocka_unit_test(positions_thin_out_by_round_steps),
        cmocka_unit_test(labels_of_points_cover_nothing),
        cmocka_unit_test(all_labels_have_a_place_where_the_figure_may_grow),
        cmocka_unit_test(a_legend_lies_on_no_data),
        cmocka_unit_test(panels_keep_apart),
        cmocka_unit_test(texts_longer_than_their_place_end_in_an_ellipsis),
        cmocka_unit_test(one_panel_has_no_letter),
        cmocka_unit_test(many_bars_thin_their_labels),
        cmocka_unit_test(svg_has_real_text_and_a_rectangle_a_cell),
        cmocka_unit_test(a_large_matrix_is_one_image),
        cmocka_unit_test(blocks_of_a_huge_matrix_are_means_of_their_numbers),
        cmocka_unit_test(values_are_written_where_they_fit),
        cmocka_unit_test(thousands_of_points_are_a_density),
        cmocka_unit_test(every_point_is_counted_in_one_hexagon),
        cmocka_unit_test(bars_show_values_and_errors),
        cmocka_unit_test(a_line_has_gaps_where_there_is_no_number),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(one_unit_is_as_long_on_both_axes),
        cmocka_unit_test(a_tree_keeps_texts_apart_and_branches_in_order),
        cmocka_unit_test(a_deep_tree_is_drawn),
        cmocka_unit_test(right_to_left_parts_are_turned_round_and_joined),
        cmocka_unit_test(text_is_made_printable),
        cmocka_unit_test(text_is_shortened_to_fit),
        cmocka_unit_test(ticks_are_round_numbers),
        cmocka_unit_test(maps_have_the_published_colors),
        cmocka_unit_test(diverging_colors_are_white_at_zero),
        cmocka_unit_test(numbers_have_a_point_in_every_locale),
        cmocka_unit_test(each_ending_gives_its_format_and_what_made_it),
        cmocka_unit_test(a_figure_without_provenance_says_so),
        cmocka_unit_test(broken_figures_are_read_without_harm),
        cmocka_unit_test(a_png_has_the_pixels_that_dpi_says),
        cmocka_unit_test(the_same_figure_is_the_same_bytes),
        cmocka_unit_test(a_path_that_cannot_be_written_is_named),
        cmocka_unit_test(a_failed_figure_leaves_the_old_one),
        cmocka_unit_test(what_is_empty_or_no_number_is_refused),
        cmocka_unit_test(panels_hold_one_kind),
        cmocka_unit_test(trees_must_be_trees),
        cmocka_unit_test(options_out_of_range_are_named),
        cmocka_unit_test(a_size_too_small_for_its_texts_is_refused),
        cmocka_unit_test(constant_and_extreme_data_are_drawn_or_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
