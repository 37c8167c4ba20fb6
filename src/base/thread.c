/* SPDX-License-Identifier: MIT */
/* thread.c - one loop on several threads
 *
 * Threads are made for each call. That costs some 20 microseconds, against scans that take
 * milliseconds, and leaves nothing running that a fork, a signal or an exit could trip over. Blocks
 * are claimed from a shared counter, so a slow core takes fewer; what a block computes depends on
 * the block alone, which keeps results the same for any number of threads. */
#include "base/base.h"
#include <pthread.h>
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#endif

enum { MAX_THREADS = 256 };

typedef struct job {
    wte__task fn;
    void *ctx;
    size_t n_blocks;
    _Atomic size_t next;
} job;

typedef struct worker {
    job *job;
    unsigned id;
    pthread_t thread;
} worker;

unsigned wte__n_processors(void)
{
#if defined(__linux__)
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return (unsigned)CPU_COUNT(&set);
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n > 0 ? (unsigned)n : 1;
}

unsigned wte__threads(unsigned wanted, size_t n_blocks)
{
    unsigned n = wanted ? wanted : wte__n_processors();

    if (n > MAX_THREADS)
        n = MAX_THREADS;
    if (n > n_blocks)
        n = (unsigned)n_blocks;
    return n ? n : 1;
}

static void run(job *j, unsigned id)
{
    size_t block;

    while ((block = atomic_fetch_add(&j->next, 1)) < j->n_blocks)
        j->fn(j->ctx, block, id);
}

static void *thread_main(void *arg)
{
    worker *w = arg;

    run(w->job, w->id);
    return NULL;
}

void wte__parallel(size_t n_blocks, unsigned n_threads, wte__task fn, void *ctx)
{
    job j = {fn, ctx, n_blocks, 0};
    worker workers[MAX_THREADS];
    unsigned n = wte__threads(n_threads, n_blocks), started = 1;

    for (; started < n; started++) {
        workers[started] = (worker){&j, started, 0};
        if (pthread_create(&workers[started].thread, NULL, thread_main, &workers[started]) != 0)
            break; /* the threads that there are do the work */
    }
    run(&j, 0);
    for (unsigned i = 1; i < started; i++)
        pthread_join(workers[i].thread, NULL);
}
