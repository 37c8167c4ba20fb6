/* SPDX-License-Identifier: MIT */
/* test_team.c - the wte__team part of base/base.h */
#include "support.h"
#include "base/base.h"
#include <pthread.h>
#include <time.h>

enum { MAX_WORKERS = 9, N_BLOCKS = 1000 };

typedef struct work {
    wte__team *team;
    size_t rounds;
    int plain[MAX_WORKERS]; /* not atomic: barriers order them, or the thread sanitizer complains */
    int wrong[MAX_WORKERS];
    unsigned char taken[N_BLOCKS];
    unsigned calls[MAX_WORKERS];
} work;

static void count(void *ctx, unsigned worker)
{
    work *w = ctx;

    w->calls[worker]++;
}

static void every_worker_runs_once_a_run(void **state)
{
    static const unsigned sizes[] = {1, 2, 3, 7, 9};
    (void)state;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        work w = {0};

        assert_int_equal(wte__team_new(sizes[i], &w.team, NULL), WTE_OK);
        assert_int_equal(wte__team_size(w.team), sizes[i]);
        for (unsigned run = 1; run <= 200; run++) {
            wte__team_run(w.team, count, &w);
            for (unsigned worker = 0; worker < MAX_WORKERS; worker++)
                assert_int_equal(w.calls[worker], worker < sizes[i] ? run : 0);
        }
        wte__team_free(w.team);
    }
}

static void no_number_of_threads_means_one_per_processor(void **state)
{
    wte__team *team = NULL;
    (void)state;

    assert_int_equal(wte__team_new(0, &team, NULL), WTE_OK);
    assert_int_equal(wte__team_size(team), wte__n_processors());
    wte__team_free(team);
    wte__team_free(NULL);
}

/* Each round every worker writes its place, then reads all places. */
static void exchange(void *ctx, unsigned worker)
{
    work *w = ctx;
    unsigned n = wte__team_size(w->team);

    for (size_t round = 0; round < w->rounds; round++) {
        w->plain[worker] = (int)(round * 16 + worker);
        wte__team_barrier(w->team);
        for (unsigned i = 0; i < n; i++)
            w->wrong[worker] += w->plain[i] != (int)(round * 16 + i);
        wte__team_barrier(w->team);
    }
}

static void a_barrier_shows_what_was_written_before_it(void **state)
{
    static const unsigned sizes[] = {1, 2, 7};
    (void)state;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        work w = {.rounds = TEST_FEWER ? 100 : 2000};

        assert_int_equal(wte__team_new(sizes[i], &w.team, NULL), WTE_OK);
        wte__team_run(w.team, exchange, &w);
        for (unsigned worker = 0; worker < sizes[i]; worker++)
            assert_int_equal(w.wrong[worker], 0);
        wte__team_free(w.team);
    }
}

static void claim_all(void *ctx, unsigned worker)
{
    work *w = ctx;

    (void)worker;
    for (size_t round = 0; round < w->rounds; round++) {
        for (size_t block; (block = wte__team_claim(w->team)) < N_BLOCKS;)
            w->taken[block]++; /* a block that two workers had would race */
        wte__team_barrier(w->team);
    }
}

static void blocks_are_claimed_once_and_anew_after_each_barrier(void **state)
{
    static const unsigned sizes[] = {1, 2, 7};
    (void)state;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        work w = {.rounds = 10};

        assert_int_equal(wte__team_new(sizes[i], &w.team, NULL), WTE_OK);
        for (int run = 1; run <= 3; run++) {
            wte__team_run(w.team, claim_all, &w);
            for (size_t block = 0; block < N_BLOCKS; block++)
                assert_int_equal(w.taken[block], 10 * run);
        }
        wte__team_free(w.team);
    }
}

static int64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

static void an_idle_team_sleeps_and_wakes(void **state)
{
    work w = {0};
    int64_t before;
    (void)state;

    assert_int_equal(wte__team_new(3, &w.team, NULL), WTE_OK);
    wte__team_run(w.team, count, &w);
    sleep_ms(TEST_FEWER ? 500 : 100); /* long enough to fall asleep */
    before = cpu_ns();
    sleep_ms(200);
    assert_true(cpu_ns() - before < 20 * 1000000); /* two waiting workers would take 400 ms */
    wte__team_run(w.team, count, &w);
    for (unsigned worker = 0; worker < 3; worker++)
        assert_int_equal(w.calls[worker], 2);
    wte__team_free(w.team);
}

/* Worker 0 is late, so that the others fall asleep at the barrier. */
static void late(void *ctx, unsigned worker)
{
    work *w = ctx;

    if (worker == 0) {
        sleep_ms(100);
        w->plain[0] = 7;
    }
    wte__team_barrier(w->team);
    w->calls[worker] = (unsigned)w->plain[0];
}

static void who_sleeps_at_a_barrier_is_woken(void **state)
{
    work w = {0};
    (void)state;

    assert_int_equal(wte__team_new(4, &w.team, NULL), WTE_OK);
    wte__team_run(w.team, late, &w);
    for (unsigned worker = 0; worker < 4; worker++)
        assert_int_equal(w.calls[worker], 7);
    wte__team_free(w.team);
}

static void *run_many(void *arg)
{
    wte__team_run(((work *)arg)->team, exchange, arg);
    return NULL;
}

static void teams_of_several_threads_do_not_meet(void **state)
{
    work works[3] = {{.rounds = 300}, {.rounds = 300}, {.rounds = 300}};
    pthread_t threads[3];
    (void)state;

    for (int i = 0; i < 3; i++) {
        assert_int_equal(wte__team_new(2, &works[i].team, NULL), WTE_OK);
        assert_int_equal(pthread_create(&threads[i], NULL, run_many, &works[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(works[i].wrong[0] + works[i].wrong[1], 0);
        wte__team_free(works[i].team);
    }
}

static void every_allocation_may_fail(void **state)
{
    wte__team *team = NULL;
    wte_error err;
    long nth = 0;
    (void)state;

    for (;; nth++) {
        wte_status status;

        wte__fail_alloc(nth);
        status = wte__team_new(2, &team, &err);
        wte__fail_alloc(-1);
        if (status == WTE_OK)
            break;
        assert_int_equal(status, WTE_E_NOMEM);
        assert_null(team);
        assert_string_equal(err.message, "no memory for a team of 2 threads");
    }
    assert_int_equal(nth, 2);
    wte__team_free(team);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_worker_runs_once_a_run),
        cmocka_unit_test(no_number_of_threads_means_one_per_processor),
        cmocka_unit_test(a_barrier_shows_what_was_written_before_it),
        cmocka_unit_test(blocks_are_claimed_once_and_anew_after_each_barrier),
        cmocka_unit_test(an_idle_team_sleeps_and_wakes),
        cmocka_unit_test(who_sleeps_at_a_barrier_is_woken),
        cmocka_unit_test(teams_of_several_threads_do_not_meet),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
