/* SPDX-License-Identifier: MIT */
/* team.c - threads that stay between two calls
 *
 * Everything that threads wait for is a counter that somebody else raises: the number of the run (a
 * worker waits for the next one) and the number of the barrier (whoever arrives waits for the
 * last). The last to arrive at a barrier sets the shared state back before it raises the counter,
 * so that there is nothing to clear and no second phase. The end of a run is a barrier as well.
 *
 * A wait spins first: the steps of a network are a tenth of a millisecond apart. Where there are
 * more workers than processors, spinning would only keep the awaited worker from running, so such a
 * team begins with the second stage: it yields. At last it sleeps, so that an idle session costs
 * nothing. A waker looks at the number of sleepers after raising the counter, a sleeper looks at
 * the counter after adding itself, both in one total order: at least one of them sees the other.
 *
 * A team of one runs everything as plain calls. A child made by fork() has no workers: it must not
 * use a team of its parent. */
#include "base/base.h"
#include <pthread.h>
#include <sched.h>

enum {
    SPINS = 2000, /* some 50 microseconds */
    YIELD_NS = 1000000,
    LINE = 64
};

typedef struct member {
    wte__team *team;
    unsigned id;
    pthread_t thread;
} member;

struct wte__team {
    unsigned n, spins;
    member *members; /* [n], of which [0] stands for the caller and has no thread */
    wte__team_fn fn; /* of the run; NULL: the workers end */
    void *ctx;
    pthread_mutex_t mutex; /* for going to sleep only */
    pthread_cond_t awake;
    _Atomic unsigned sleepers;
    _Alignas(LINE) _Atomic unsigned run; /* how many were started */
    _Alignas(LINE) _Atomic unsigned barrier;
    _Alignas(LINE) _Atomic unsigned arrived;
    _Alignas(LINE) _Atomic size_t next; /* block to claim */
};

static inline void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static inline bool is_still(_Atomic unsigned *counter, unsigned value)
{
    return atomic_load_explicit(counter, memory_order_acquire) == value;
}

/* Wait until a counter is another than `value`. */
static void wait_past(wte__team *team, _Atomic unsigned *counter, unsigned value)
{
    for (unsigned i = 0; i < team->spins; i++) {
        if (!is_still(counter, value))
            return;
        pause_briefly();
    }
    for (int64_t end = wte__now_ns() + YIELD_NS; wte__now_ns() < end;) {
        if (!is_still(counter, value))
            return;
        sched_yield();
    }
    pthread_mutex_lock(&team->mutex);
    atomic_fetch_add(&team->sleepers, 1);
    while (atomic_load(counter) == value)
        pthread_cond_wait(&team->awake, &team->mutex);
    atomic_fetch_sub(&team->sleepers, 1);
    pthread_mutex_unlock(&team->mutex);
}

static void raise_counter(wte__team *team, _Atomic unsigned *counter)
{
    atomic_fetch_add(counter, 1);
    if (atomic_load(&team->sleepers) == 0)
        return;
    pthread_mutex_lock(&team->mutex);
    pthread_cond_broadcast(&team->awake);
    pthread_mutex_unlock(&team->mutex);
}

static void *thread_main(void *arg)
{
    member *m = arg;
    wte__team *team = m->team;

    for (unsigned run = 0;; run++) {
        wait_past(team, &team->run, run);
        if (!team->fn)
            return NULL;
        team->fn(team->ctx, m->id);
        wte__team_barrier(team);
    }
}

wte_status wte__team_new(unsigned n_threads, wte__team **out, wte_error *err)
{
    unsigned n = wte__threads(n_threads, SIZE_MAX);
    wte__team *team = wte__alloc_aligned(1, sizeof *team);

    if (!team)
        goto nomem;
    memset(team, 0, sizeof *team);
    team->members = wte__calloc(n, sizeof *team->members);
    if (!team->members)
        goto nomem;
    pthread_mutex_init(&team->mutex, NULL);
    pthread_cond_init(&team->awake, NULL);
    team->spins = n <= wte__n_processors() ? SPINS : 0;
    for (team->n = 1; team->n < n; team->n++) { /* no worker reads n before it is started */
        member *m = &team->members[team->n];

        *m = (member){team, team->n, 0};
        if (pthread_create(&m->thread, NULL, thread_main, m) != 0)
            break; /* the threads that there are do the work */
    }
    *out = team;
    return WTE_OK;
nomem:
    wte__free(team);
    return wte__fail(err, WTE_E_NOMEM, "no memory for a team of %u threads", n);
}

void wte__team_free(wte__team *team)
{
    if (!team)
        return;
    team->fn = NULL;
    raise_counter(team, &team->run);
    for (unsigned i = 1; i < team->n; i++)
        pthread_join(team->members[i].thread, NULL);
    pthread_cond_destroy(&team->awake);
    pthread_mutex_destroy(&team->mutex);
    wte__free(team->members);
    wte__free(team);
}

unsigned wte__team_size(const wte__team *team)
{
    return team->n;
}

void wte__team_run(wte__team *team, wte__team_fn fn, void *ctx)
{
    if (team->n > 1) {
        team->fn = fn;
        team->ctx = ctx;
        raise_counter(team, &team->run);
    }
    fn(ctx, 0);
    wte__team_barrier(team);
}

void wte__team_barrier(wte__team *team)
{
    unsigned now;

    if (team->n == 1) {
        atomic_store_explicit(&team->next, 0, memory_order_relaxed);
        return;
    }
    /* it cannot be raised before this worker has arrived */
    now = atomic_load_explicit(&team->barrier, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&team->arrived, 1, memory_order_acq_rel) + 1 < team->n) {
        wait_past(team, &team->barrier, now);
        return;
    }
    atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&team->next, 0, memory_order_relaxed);
    raise_counter(team, &team->barrier);
}

size_t wte__team_claim(wte__team *team)
{
    size_t block;

    if (team->n > 1)
        return atomic_fetch_add_explicit(&team->next, 1, memory_order_relaxed);
    block = atomic_load_explicit(&team->next, memory_order_relaxed);
    atomic_store_explicit(&team->next, block + 1, memory_order_relaxed);
    return block;
}
