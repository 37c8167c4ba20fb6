/* SPDX-License-Identifier: MIT */
/* progress.c - a bar for what takes longer than a second
 *
 * The library reports a step's name and how much of it is done. Nothing is shown for the first
 * second of a step, nothing where stderr is no terminal, and nothing with -q. Rate and remaining
 * time are those of the whole step: a moving average would jump with the page cache.
 *
 *     indexing rows  [#########           ]  43 %  1.3 M/s  2 s left
 *
 * The same call tells the library to stop once Ctrl-C was pressed. */
#include "cli.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
    char what[64];
    double start, shown; /* seconds; shown is 0 before the bar is drawn */
    bool terminal, asked;
} bar;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void draw(uint64_t done, uint64_t total, double seconds)
{
    static const char full[] = "########################";
    static const char none[] = "                        ";
    const int width = (int)sizeof full - 1;
    double rate = (double)done / seconds, share = 0;
    const char *unit = "";

    if (total) {
        share = (double)done / (double)total;
        share = share > 1 ? 1 : share;
    }
    double left = total && rate > 0 ? (double)(total - (done < total ? done : total)) / rate : 0;

    if (rate >= 1e9) {
        rate /= 1e9;
        unit = " G";
    } else if (rate >= 1e6) {
        rate /= 1e6;
        unit = " M";
    } else if (rate >= 1e3) {
        rate /= 1e3;
        unit = " k";
    }
    if (total) {
        int filled = (int)(share * width);

        fprintf(stderr, "\r%s  [%.*s%.*s] %3.0f %%  %.3g%s/s  %.0f s left\033[K", bar.what, filled,
                full, width - filled, none, share * 100, rate, unit, left);
    } else {
        fprintf(stderr, "\r%s  %.3g%s/s\033[K", bar.what, rate, unit);
    }
}

int show_progress(void *data, const char *what, uint64_t done, uint64_t total)
{
    double t;

    (void)data;
    if (signals_caught())
        return 1;
    if (!bar.asked) {
        bar.terminal = isatty(STDERR_FILENO) == 1;
        bar.asked = true;
    }
    if (cli.quiet || !bar.terminal)
        return 0;
    t = now();
    if (strncmp(what, bar.what, sizeof bar.what - 1) != 0 || bar.start <= 0) {
        snprintf(bar.what, sizeof bar.what, "%s", what);
        bar.start = t;
    }
    if (t - bar.start < 1 || (bar.shown > 0 && t - bar.shown < 0.1 && done != total))
        return 0;
    bar.shown = t;
    draw(done, total, t - bar.start);
    return 0;
}

void clear_progress(void)
{
    if (bar.shown > 0)
        fputs("\r\033[K", stderr);
    bar.shown = 0;
    bar.start = 0;
}
