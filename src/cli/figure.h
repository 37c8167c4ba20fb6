/* SPDX-License-Identifier: MIT */
/** figure.h - --plot and the options that go with it
 *
 * A command with GIVES_FIGURE in its row takes these options. When its result is there, and before
 * it is printed, so that a figure that cannot be written leaves nothing on stdout:
 *
 *     if (figure_wanted()) {
 *         wte_figure *figure = figure_begin("cosine similarity in word2vec");
 *         wte_axes axes = figure_axes(NULL, "word", "cosine");
 *         wte_error err = {0};
 *
 *         if (figure && wte_figure_panel(figure, &axes, 0, &err) == WTE_OK)
 *             wte_figure_heatmap(figure, ..., &err);
 *         status = figure_end(figure, &err);
 *     }
 */
#ifndef WTE_CLI_FIGURE_H
#define WTE_CLI_FIGURE_H
#include "cli.h"

extern const struct option figure_options[];

/** True if --plot was given. */
bool figure_wanted(void);
/** Check the options, before anything is opened or computed. Returns an exit status. */
int figure_check(void);
/** Name a file or the folder of a model that went into the figure. The model of the dispatcher and
 * the file of --words are named by themselves. */
void figure_input(const char *path);
/** Save the figure there whatever --plot says: of wte replay. */
void figure_save_to(const char *path);
/** Name the seed that went into the figure. */
void figure_seed(uint64_t seed);
/** Begin a figure with the size, colours and provenance that were asked for.
 *   title  where --title was not given; NULL: none
 * NULL after a message. */
wte_figure *figure_begin(const char *title);
/** Axes whose limits come from the data. */
wte_axes figure_axes(const char *title, const char *x_label, const char *y_label);
/** Replace the limits by those of --limits, where they were given: of a heat map's colours, else of
 * the y axis. */
void figure_limits(double *low, double *high);
/** Save the figure, unless the drawing went wrong (err->status), and free it. Returns an exit
 * status; the message is printed. */
int figure_end(wte_figure *figure, wte_error *err);
/** A word as out_word() shows it, for a label. Free with free(). */
char *figure_word(const char *text, size_t len);
/** The same for n words that find_word() gave ids for. Free with figure_labels_free(). */
char **figure_labels(const uint32_t *ids, size_t n);
void figure_labels_free(char **labels, size_t n);

#endif
