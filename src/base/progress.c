/* SPDX-License-Identifier: MIT */
/* progress.c - telling the caller how far a long step is
 *
 * Workers only add to a counter. The caller's own thread (worker 0) calls back, at most twenty
 * times a second, so a callback needs no locks and costs nothing. */
#include "base/base.h"
#include <time.h>

enum { INTERVAL_NS = 50 * 1000 * 1000 };

int64_t wte__now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void wte__progress_begin(wte__progress *p, wte_progress_fn fn, void *data, const char *what,
                         uint64_t total)
{
    p->fn = fn;
    p->data = data;
    p->what = what;
    p->total = total;
    p->done = 0;
    p->cancelled = false;
    p->next_ns = fn ? wte__now_ns() + INTERVAL_NS : 0;
}

bool wte__progress_add(wte__progress *p, uint64_t done, unsigned worker)
{
    uint64_t sum = atomic_fetch_add(&p->done, done) + done;

    if (p->fn && worker == 0 && !p->cancelled) {
        int64_t now = wte__now_ns();

        if (now >= p->next_ns) {
            p->next_ns = now + INTERVAL_NS;
            if (p->fn(p->data, p->what, sum, p->total))
                p->cancelled = true;
        }
    }
    return p->cancelled;
}

bool wte__progress_end(wte__progress *p)
{
    if (p->fn && !p->cancelled && p->fn(p->data, p->what, p->done, p->total))
        p->cancelled = true;
    return p->cancelled;
}
