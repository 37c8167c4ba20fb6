/* SPDX-License-Identifier: MIT */
/* test_session.c - sequences, batches, taps and failures of sessions
 *
 * On networks of random weights, whose numbers test_forward_gpt2 and test_forward_bert compare with
 * other computations; here results are compared among themselves, mostly to the last bit. */
#include "small_gpt2.h"
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>
#include "network/network_internal.h"

static void fill(uint32_t *ids, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++)
        ids[i] = (uint32_t)(wte__random(&seed) % V);
}

static wte_session *session_of(size_t n_sequences, size_t max_rows, unsigned n_threads)
{
    wte_session_options options = WTE_SESSION_DEFAULTS;

    options.n_sequences = n_sequences;
    options.max_rows = max_rows;
    options.n_threads = n_threads;
    return test_session(&gpt2, options);
}

/* Run one token of each of n sequences. */
static void step(wte_session *s, const uint32_t *ids, const uint32_t *sequences, size_t n)
{
    test_run(s, (wte_batch){.ids = ids, .sequences = sequences, .n = n, .logits = WTE_LOGITS_LAST});
}

/* ---- numbers ----------------------------------------------------------------------------- */

static void token_by_token_is_the_same_as_one_pass(void **state)
{
    wte_session *whole = session_of(1, 0, 2), *steps = session_of(1, 0, 2);
    uint32_t ids[CTX];
    (void)state;

    fill(ids, CTX, 1);
    test_run_ids(whole, ids, CTX, WTE_LOGITS_ALL);
    for (size_t i = 0; i < CTX; i++) {
        test_run_ids(steps, ids + i, 1, WTE_LOGITS_LAST);
        test_close_f32("logits", wte_session_logits(steps, 0), wte_session_logits(whole, i), V,
                       1e-5);
        test_close_f32("hidden", wte_session_hidden(steps, 0), wte_session_hidden(whole, i), E,
                       1e-5);
    }
    assert_int_equal(wte_session_length(steps, 0), CTX);
    wte_session_free(whole);
    wte_session_free(steps);
}

/* Rows of up to WTE_SMALL_BATCH do not depend on each other. */
static void small_batches_are_the_same_to_the_bit_as_single_tokens(void **state)
{
    wte_session *eights = session_of(1, 0, 1), *steps = session_of(1, 0, 1);
    uint32_t ids[CTX];
    (void)state;

    fill(ids, CTX, 2);
    for (size_t from = 0; from < CTX; from += WTE_SMALL_BATCH) {
        test_run_ids(eights, ids + from, WTE_SMALL_BATCH, WTE_LOGITS_ALL);
        for (size_t i = 0; i < WTE_SMALL_BATCH; i++) {
            test_run_ids(steps, ids + from + i, 1, WTE_LOGITS_LAST);
            test_same_bits("logits", wte_session_logits(eights, i), wte_session_logits(steps, 0),
                           V);
        }
    }
    wte_session_free(eights);
    wte_session_free(steps);
}

static void any_number_of_threads_gives_the_same_bits(void **state)
{
    static const size_t lengths[] = {1, 8, 31};
    wte_session *s[3];
    uint32_t ids[CTX];
    (void)state;

    fill(ids, CTX, 3);
    for (unsigned j = 0; j < 3; j++) {
        s[j] = session_of(1, 20, (const unsigned[]){1, 2, 7}[j]);
        test_tap(s[j], "layer.1.attention");
        test_tap(s[j], "layer.0.mid");
    }
    for (size_t i = 0, at = 0; i < 3; at += lengths[i++])
        for (unsigned j = 0; j < 3; j++) {
            const size_t n = lengths[i];

            test_run_ids(s[j], ids + at, n, WTE_LOGITS_ALL);
            test_same_bits("logits", wte_session_logits(s[j], 0), wte_session_logits(s[0], 0),
                           n * V);
            test_same_bits("attention", test_tapped(s[j], "layer.1.attention").data,
                           test_tapped(s[0], "layer.1.attention").data, 3 * n * (at + n));
            test_same_bits("layer.0.mid", test_tapped(s[j], "layer.0.mid").data,
                           test_tapped(s[0], "layer.0.mid").data, n * E);
        }
    for (unsigned j = 0; j < 3; j++)
        wte_session_free(s[j]);
}

static void cutting_a_batch_into_passes_changes_nothing(void **state)
{
    wte_session *whole = session_of(2, 0, 1), *cut = session_of(2, 9, 1);
    uint32_t ids[2 * CTX], sequences[2 * CTX];
    (void)state;

    fill(ids, 2 * CTX, 4);
    for (size_t i = 0; i < 2 * CTX; i++)
        sequences[i] = i < CTX;
    test_tap(whole, "layer.1.out");
    test_tap(cut, "layer.1.out");
    for (wte_logits logits = WTE_LOGITS_NONE; logits <= WTE_LOGITS_ALL; logits++) {
        const wte_batch batch = {
            .ids = ids, .sequences = sequences, .n = 2 * CTX - 3, .logits = logits};

        for (uint32_t q = 0; q < 2; q++) {
            wte_session_truncate(whole, q, 0);
            wte_session_truncate(cut, q, 0);
        }
        test_run(whole, batch);
        test_run(cut, batch);
        test_close_f32("hidden", wte_session_hidden(cut, 0), wte_session_hidden(whole, 0),
                       batch.n * E, 1e-5);
        test_close_f32("layer.1.out", test_tapped(cut, "layer.1.out").data,
                       test_tapped(whole, "layer.1.out").data, batch.n * E, 1e-5);
        for (size_t i = 0; i < batch.n; i++) {
            const bool last = i == CTX - 1 || i == batch.n - 1;

            if (logits == WTE_LOGITS_ALL || (logits == WTE_LOGITS_LAST && last))
                test_close_f32("logits", wte_session_logits(cut, i), wte_session_logits(whole, i),
                               V, 1e-5);
            else
                assert_null(wte_session_logits(cut, i));
        }
    }
    assert_null(wte_session_hidden(cut, 2 * CTX - 3));
    wte_session_free(whole);
    wte_session_free(cut);
}

static void several_sequences_give_what_each_gives_alone(void **state)
{
    static const size_t lengths[] = {5, 1, 17, 3};
    wte_session *all = session_of(4, 0, 2), *one = session_of(1, 0, 2);
    uint32_t ids[64], sequences[64];
    size_t n = 0, at = 0;
    (void)state;

    fill(ids, 64, 5);
    for (size_t q = 0; q < 4; q++)
        for (size_t i = 0; i < lengths[q]; i++)
            sequences[n++] = (uint32_t)(3 - q);
    test_run(all,
             (wte_batch){.ids = ids, .sequences = sequences, .n = n, .logits = WTE_LOGITS_ALL});
    for (size_t q = 0; q < 4; at += lengths[q], q++) {
        wte_session_truncate(one, 0, 0);
        test_run_ids(one, ids + at, lengths[q], WTE_LOGITS_ALL);
        test_close_f32("logits", wte_session_logits(all, at), wte_session_logits(one, 0),
                       lengths[q] * V, 1e-5);
    }
    for (size_t i = 0; i < 4; i++)
        sequences[i] = (uint32_t)i;
    step(all, ids, sequences, 4); /* one more token each, in another order */
    for (size_t q = 0; q < 4; q++) {
        const uint32_t id = ids[3 - q];

        wte_session_truncate(one, 0, 0);
        at = q == 0 ? 0 : q == 1 ? 5 : q == 2 ? 6 : 23;
        test_run_ids(one, ids + at, lengths[q], WTE_LOGITS_NONE);
        test_run_ids(one, &id, 1, WTE_LOGITS_LAST);
        test_close_f32("one more", wte_session_logits(all, 3 - q), wte_session_logits(one, 0), V,
                       1e-5);
    }
    wte_session_free(all);
    wte_session_free(one);
}

static void positions_can_be_given_and_are_continued(void **state)
{
    wte_session *s = session_of(2, 0, 1);
    static const uint32_t ids[] = {7, 8, 9}, positions[] = {10, 11, 12}, gap[] = {10, 12};
    static const uint32_t other[] = {7, 9}, one = 1;
    naive v = naive_run(&gpt2, ids, positions, NULL, NULL, 3);
    (void)state;

    test_run(s, (wte_batch){.ids = ids, .positions = positions, .n = 1});
    test_run_ids(s, ids + 1, 2, WTE_LOGITS_LAST); /* at 11 and 12 */
    test_close("logits", wte_session_logits(s, 1), v.logits + 2 * V, V, 1e-5);
    naive_free(&v);
    v = naive_run(&gpt2, other, gap, NULL, NULL, 2);
    wte_session_fork(s, 0, 1);
    wte_session_truncate(s, 1, 1);
    test_run(s, (wte_batch){.ids = ids + 2,
                            .positions = gap + 1,
                            .sequences = &one,
                            .n = 1,
                            .logits = WTE_LOGITS_LAST});
    test_close("after a gap", wte_session_logits(s, 0), v.logits + V, V, 1e-5);
    naive_free(&v);
    wte_session_free(s);
}

/* ---- the cache --------------------------------------------------------------------------- */

static size_t used_cells(const wte_session *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n_cells; i++)
        n += s->references[i] != 0;
    assert_int_equal(s->n_used, n);
    return n;
}

/* The logits of a sequence run from nothing, token by token as the sessions here do it. */
static void compare_with_fresh(const wte_session *s, size_t row, const uint32_t *ids, size_t n)
{
    wte_session *fresh = session_of(1, 0, 1);

    for (size_t i = 0; i < n; i++)
        test_run_ids(fresh, ids + i, 1, WTE_LOGITS_LAST);
    test_same_bits("logits", wte_session_logits(s, row), wte_session_logits(fresh, 0), V);
    wte_session_free(fresh);
}

static void a_fork_shares_the_cells_and_goes_its_own_way(void **state)
{
    wte_session *s = session_of(3, 0, 1);
    static const uint32_t prompt[] = {1, 2, 3, 4, 5}, a[] = {1, 2, 3, 4, 5, 6, 8},
                          b[] = {1, 2, 3, 4, 5, 7, 9}, both[] = {0, 2}, next[] = {6, 7},
                          last[] = {8, 9};
    (void)state;

    test_run_ids(s, prompt, 5, WTE_LOGITS_NONE);
    wte_session_fork(s, 0, 2);
    assert_int_equal(wte_session_length(s, 2), 5);
    assert_int_equal(used_cells(s), 5);
    step(s, next, both, 2);
    step(s, last, both, 2);
    assert_int_equal(used_cells(s), 9);
    compare_with_fresh(s, 0, a, 7);
    compare_with_fresh(s, 1, b, 7);
    wte_session_truncate(s, 0, 0);
    assert_int_equal(used_cells(s), 7); /* the fork keeps what it uses */
    wte_session_fork(s, 1, 2);          /* an empty one */
    assert_int_equal(used_cells(s), 0);
    assert_int_equal(s->lowest_free, 0);
    wte_session_fork(s, 0, 3); /* there is no such sequence: nothing happens */
    wte_session_fork(s, 3, 0);
    assert_int_equal(wte_session_length(s, 3), 0);
    wte_session_free(s);
}

static void a_truncated_sequence_goes_on_where_it_stands(void **state)
{
    wte_session *s = session_of(1, 0, 1);
    static const uint32_t first[] = {1, 2, 3, 4, 5, 6}, other[] = {9, 10},
                          want[] = {1, 2, 3, 9, 10};
    (void)state;

    test_run_ids(s, first, 6, WTE_LOGITS_NONE);
    wte_session_truncate(s, 0, 9);
    assert_int_equal(wte_session_length(s, 0), 6);
    wte_session_truncate(s, 0, 3);
    assert_int_equal(wte_session_length(s, 0), 3);
    assert_int_equal(used_cells(s), 3);
    test_run_ids(s, other, 2, WTE_LOGITS_LAST);
    compare_with_fresh(s, 1, want, 5);
    wte_session_truncate(s, 7, 0); /* no such sequence */
    wte_session_free(s);
}

static void reordered_sequences_are_what_the_others_were(void **state)
{
    wte_session *s = session_of(4, 0, 1);
    static const uint32_t ids[] = {1, 2, 3, 4, 11, 12, 13, 21, 22},
                          of[] = {0, 0, 0, 0, 1, 1, 1, 2, 2};
    static const uint32_t from[] = {2, 0, 0, 3}, more[] = {30, 31, 32}, which[] = {0, 1, 2};
    static const uint32_t want[3][5] = {{21, 22, 30}, {1, 2, 3, 4, 31}, {1, 2, 3, 4, 32}};
    static const uint32_t back[] = {1, 9};
    (void)state;

    for (size_t i = 0; i < 9; i++)
        step(s, ids + i, of + i, 1);
    wte_session_reorder(s, from, 4);
    assert_int_equal(wte_session_length(s, 0), 2);
    assert_int_equal(wte_session_length(s, 1), 4);
    assert_int_equal(wte_session_length(s, 2), 4);
    assert_int_equal(wte_session_length(s, 3), 0);
    assert_int_equal(used_cells(s), 6);
    step(s, more, which, 3);
    compare_with_fresh(s, 0, want[0], 3);
    compare_with_fresh(s, 1, want[1], 5);
    compare_with_fresh(s, 2, want[2], 5);
    assert_int_equal(used_cells(s), 9);
    wte_session_reorder(s, back, 2); /* there is no sequence 9: 1 becomes empty */
    assert_int_equal(wte_session_length(s, 0), 5);
    assert_int_equal(wte_session_length(s, 1), 0);
    assert_int_equal(wte_session_length(s, 2), 5);
    for (uint32_t q = 0; q < 4; q++)
        wte_session_truncate(s, q, 0);
    assert_int_equal(used_cells(s), 0);
    wte_session_free(s);
}

/* A long search by beams: cells are given back and taken again, and nothing is lost. */
static void beams_may_be_reordered_at_every_step(void **state)
{
    enum { BEAMS = 5 };
    wte_session *s = session_of(BEAMS, 0, 1);
    uint32_t history[BEAMS][CTX] = {{0}}, copy[BEAMS][CTX], from[BEAMS], next[BEAMS];
    static const uint32_t which[] = {0, 1, 2, 3, 4};
    uint64_t seed = 9;
    (void)state;

    for (size_t t = 0; t < CTX; t++) {
        for (size_t q = 0; q < BEAMS; q++) {
            from[q] = (uint32_t)(wte__random(&seed) % BEAMS);
            next[q] = (uint32_t)(wte__random(&seed) % V);
        }
        wte_session_reorder(s, from, BEAMS);
        memcpy(copy, history, sizeof copy);
        for (size_t q = 0; q < BEAMS; q++) {
            memcpy(history[q], copy[from[q]], sizeof history[q]);
            history[q][t] = next[q];
        }
        step(s, next, which, BEAMS);
    }
    for (size_t q = 0; q < BEAMS; q++)
        compare_with_fresh(s, q, history[q], CTX);
    assert_true(used_cells(s) <= BEAMS * CTX);
    wte_session_free(s);
}

/* What a sequence reads lies in one piece, however many others go on beside it. */
static void sequences_side_by_side_do_not_mix_their_cells(void **state)
{
    enum { N = 3, STEPS = 20 };
    wte_session *s = session_of(N + 1, 0, 1);
    static const uint32_t which[N] = {0, 1, 2}, prompt[] = {1, 2, 3};
    uint32_t next[N] = {0};
    (void)state;

    for (uint32_t q = 0; q < N; q++) {
        const uint32_t of[] = {q, q, q};

        test_run(s, (wte_batch){.ids = prompt, .sequences = of, .n = 3});
    }
    for (size_t t = 0; t < STEPS; t++)
        step(s, next, which, N);
    for (size_t q = 0; q < N; q++)
        for (size_t i = 1; i < 3 + STEPS; i++)
            assert_int_equal(s->sequences[q].cells[i], s->sequences[q].cells[0] + i);
    wte_session_truncate(s, 1, 0); /* its cells are the lowest run that is free */
    wte_session_fork(s, 0, 3);
    step(s, next, (const uint32_t[]){0, 3}, 2);
    assert_int_equal(s->sequences[0].cells[3 + STEPS], 3 + STEPS);
    assert_int_equal(s->sequences[3].cells[3 + STEPS] / 32, 1);
    for (uint32_t q = 0; q <= N; q++)
        wte_session_truncate(s, q, 0);
    assert_int_equal(used_cells(s), 0);
    wte_session_free(s);
}

/* Where beams die at every step, their cells are taken again before memory that was never used. */
static void cells_of_dead_beams_are_taken_again(void **state)
{
    enum { BEAMS = 12 };
    wte_session *s = session_of(BEAMS, 0, 1);
    uint32_t from[BEAMS] = {0}, next[BEAMS] = {0}, which[BEAMS];
    (void)state;

    for (uint32_t q = 0; q < BEAMS; q++)
        which[q] = q;
    for (size_t t = 0; t < CTX; t++) {
        wte_session_reorder(s, from, BEAMS);
        step(s, next, which, BEAMS);
    }
    assert_int_equal(used_cells(s), CTX + BEAMS - 1);
    assert_true(s->touched < s->n_cells);
    wte_session_free(s);
}

static void memory_is_touched_only_where_tokens_are(void **state)
{
    wte_session *s = session_of(500, 0, 1);
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), n_pages = (s->cache_bytes + page - 1) / page;
    unsigned char *in = malloc(n_pages);
    size_t resident = 0;
    uint32_t ids[CTX];
    (void)state;

    assert_non_null(in);
    fill(ids, CTX, 6);
    for (uint32_t q = 0; q < 20; q++) { /* the same cells again and again */
        const uint32_t of[] = {q, q, q};

        test_run(s, (wte_batch){.ids = ids, .sequences = of, .n = 3});
        wte_session_truncate(s, q, 0);
    }
    assert_int_equal(mincore(s->cache, s->cache_bytes, in), 0);
    for (size_t i = 0; i < n_pages; i++)
        resident += in[i] & 1;
    assert_in_range(resident, 1, 2 * 2 * 3 * 2); /* keys and values, layers, heads, edges */
    assert_true(n_pages > 400);
    free(in);
    wte_session_free(s);
}

static void a_step_allocates_nothing(void **state)
{
    wte_session *s = session_of(2, 0, 2);
    uint32_t ids[CTX];
    (void)state;

    fill(ids, CTX, 7);
    wte__fail_alloc(0);
    test_run_ids(s, ids, 20, WTE_LOGITS_LAST);
    test_run_ids(s, ids, 1, WTE_LOGITS_LAST);
    wte_session_fork(s, 0, 1);
    wte_session_truncate(s, 0, 2);
    test_run_ids(s, ids, 8, WTE_LOGITS_ALL);
    assert_null(wte__calloc(1, 1)); /* the first allocation since then */
    wte_session_free(s);
}

/* ---- failures ---------------------------------------------------------------------------- */

static void sizes_of_a_session_are_checked(void **state)
{
    static const struct {
        wte_session_options options;
        const char *message;
    } cases[] = {
        {{41, 1, 0, 1}, "sequences of 41 tokens: the network has 40 positions"},
        {{0, 0, 0, 1}, "a session of 0 sequences"},
        {{40, 1u << 30, 0, 1}, "1073741824 sequences of 40 tokens are more than 2147483647"},
        {{40, SIZE_MAX / 2, 0, 1}, "are more than 2147483647"},
    };
    wte_session *s = NULL;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wte_error err = {0};

        assert_int_equal(wte_session_new(gpt2.network, &cases[i].options, &s, &err), WTE_E_RANGE);
        assert_non_null(strstr(err.message, cases[i].message));
        assert_null(s);
    }
}

static void a_wrong_batch_is_refused_and_changes_nothing(void **state)
{
    static const uint32_t ids[] = {1, 2, 3, 4}, bad_ids[] = {1, 2, 61, 3}, apart[] = {0, 1, 0, 1};
    static const uint32_t no_sequence[] = {0, 0, 1, 2}, no_position[] = {0, 1, 2, 40};
    static const uint32_t types[4] = {0};
    static const uint8_t masked[4] = {0};
    static const struct {
        wte_batch batch;
        wte_status status;
        const char *message;
    } cases[] = {
        {{.ids = ids, .n = 0}, WTE_E_RANGE, "no tokens to run"},
        {{.ids = bad_ids, .n = 4}, WTE_E_RANGE, "token 2 has id 61: ids go to 60"},
        {{.ids = ids, .sequences = apart, .n = 4},
         WTE_E_RANGE,
         "tokens of sequence 0 stand apart: token 2 comes after others"},
        {{.ids = ids, .sequences = no_sequence, .n = 4},
         WTE_E_RANGE,
         "token 3 is of sequence 2: there are 2"},
        {{.ids = ids, .positions = no_position, .n = 4},
         WTE_E_RANGE,
         "token 3 is at position 40: positions go to 39"},
        {{.ids = ids, .types = types, .n = 4}, WTE_E_UNSUPPORTED, "no token types"},
        {{.ids = ids, .masked = masked, .n = 4}, WTE_E_UNSUPPORTED, "without padding"},
        {{.ids = ids, .n = 4, .logits = (wte_logits)3}, WTE_E_RANGE, "unknown choice 3 of logits"},
    };
    wte_session *s = session_of(2, 0, 1);
    static const uint32_t start[] = {5, 6, 7}, want[] = {5, 6, 7, 1};
    uint32_t many[CTX] = {0};
    wte_batch batch = {.ids = many, .n = CTX - 2};
    wte_error err = {0};
    (void)state;

    test_run_ids(s, start, 3, WTE_LOGITS_LAST);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(wte_session_run(s, &cases[i].batch, &err), cases[i].status);
        if (!strstr(err.message, cases[i].message))
            fail_msg("'%s' is not in '%s'", cases[i].message, err.message);
        assert_null(wte_session_hidden(s, 0));
        assert_null(wte_session_logits(s, 2));
        assert_int_equal(wte_session_length(s, 0), 3);
        assert_int_equal(wte_session_length(s, 1), 0);
        assert_int_equal(used_cells(s), 3);
    }
    assert_int_equal(wte_session_run(s, &batch, &err), WTE_E_RANGE);
    assert_string_equal(err.message, "38 more tokens after the 3 of sequence 0: it takes 40");
    wte_session_truncate(s, 1, 0);
    test_run_ids(s, ids, 1, WTE_LOGITS_LAST);
    compare_with_fresh(s, 0, want, 4);
    wte_session_free(s);
}

static void a_prompt_longer_than_the_context_says_both_numbers(void **state)
{
    wte_session_options options = WTE_SESSION_DEFAULTS;
    uint32_t ids[CTX + 1] = {0}, positions[CTX] = {0};
    wte_batch batch = {.ids = ids, .n = CTX + 1};
    wte_session *s = session_of(1, 0, 1);
    wte_error err = {0};
    (void)state;

    assert_int_equal(wte_session_run(s, &batch, &err), WTE_E_RANGE);
    assert_string_equal(err.message, "41 tokens in sequence 0: it takes 40");
    wte_session_free(s);
    options.max_tokens = 5;
    options.n_threads = 1;
    s = test_session(&gpt2, options);
    batch.n = 6;
    assert_int_equal(wte_session_run(s, &batch, &err), WTE_E_RANGE);
    assert_string_equal(err.message, "6 tokens in sequence 0: it takes 5");
    positions[2] = CTX - 1; /* there is room, but no position after the last */
    batch.n = 3;
    batch.positions = positions;
    assert_int_equal(wte_session_run(s, &batch, &err), WTE_OK);
    batch.n = 1;
    batch.positions = NULL;
    assert_int_equal(wte_session_run(s, &batch, &err), WTE_E_RANGE);
    assert_string_equal(err.message, "token 0 is at position 40: positions go to 39");
    wte_session_free(s);
}

/* Offsets of weights in the order in which test_add_gpt2 writes them. */
static void numbers_that_are_not_finite_name_their_layer(void **state)
{
    enum {
        LAYER = 4 * E + E * 3 * E + 3 * E + E * E + E + E * 100 + 100 + 100 * E + E,
        LAYERS = (V + CTX) * E,
        ATTENTION = 2 * E,
        MLP = 4 * E + E * 3 * E + 3 * E + E * E + E
    };
    static const struct {
        size_t weight;
        const char *message;
    } cases[] = {
        {5 * E + 3, "the embeddings gave a number that is not finite (token 1 of the batch, id 5)"},
        {V * E + 2 * E, "the embeddings gave a number that is not finite (token 2"},
        {LAYERS + ATTENTION + 2 * E, "layer 0's attention gave a number that is not finite"},
        {LAYERS + MLP, "layer 0's MLP gave a number"},
        {LAYERS + LAYER + ATTENTION + 7, "layer 1's attention gave a number"},
        {LAYERS + LAYER + MLP + 1, "layer 1's MLP gave a number"},
        {60 * E, "the output matrix gave a number that is not finite (token 9 of the batch"},
    };
    static const uint32_t ids[] = {4, 5, 6, 7, 8, 9, 10, 11, 12, 13};
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t n = 5; n <= 10; n += 5) {
            test_network t =
                test_network_open(test_network_write("poison", &SHAPE, cases[i].weight), 0);
            wte_session_options options = WTE_SESSION_DEFAULTS;
            wte_batch batch = {.ids = ids, .n = n, .logits = WTE_LOGITS_LAST};
            wte_error err = {0};
            wte_session *s;

            options.n_threads = 2;
            s = test_session(&t, options);
            assert_int_equal(wte_session_run(s, &batch, &err), WTE_E_RANGE);
            if (n == 10 && !strstr(err.message, cases[i].message))
                fail_msg("'%s' is not in '%s'", cases[i].message, err.message);
            assert_int_equal(wte_session_length(s, 0), 0);
            assert_int_equal(used_cells(s), 0);
            batch.logits = WTE_LOGITS_NONE; /* of token 60 nothing else is used */
            assert_int_equal(wte_session_run(s, &batch, &err),
                             cases[i].weight == 60 * E ? WTE_OK : WTE_E_RANGE);
            wte_session_free(s);
            test_network_close(&t);
        }
}

static void a_cancelled_run_ends_and_the_next_goes_on(void **state)
{
    wte_session *s = session_of(1, 0, 2);
    static const uint32_t ids[] = {1, 2, 3, 4}, want[] = {1, 2, 3, 4, 9}, nine = 9;
    wte_batch batch = {.ids = ids, .n = 4};
    (void)state;

    test_run_ids(s, ids, 4, WTE_LOGITS_NONE);
    wte_session_cancel(s); /* between two runs: it is the next that stops */
    assert_int_equal(wte_session_run(s, &batch, NULL), WTE_E_CANCELLED);
    assert_int_equal(wte_session_length(s, 0), 4);
    assert_int_equal(used_cells(s), 4);
    test_run_ids(s, &nine, 1, WTE_LOGITS_LAST);
    compare_with_fresh(s, 0, want, 5);
    wte_session_free(s);
}

static void *cancel_soon(void *session)
{
    usleep(5000);
    wte_session_cancel(session);
    return NULL;
}

static void another_thread_may_cancel(void **state)
{
    wte_session *s = session_of(1, 0, 2);
    uint32_t ids[CTX];
    wte_batch batch = {.ids = ids, .n = CTX, .logits = WTE_LOGITS_ALL};
    wte_status status;
    pthread_t thread;
    (void)state;

    fill(ids, CTX, 8);
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, s), 0);
    do {
        wte_session_truncate(s, 0, 0);
        status = wte_session_run(s, &batch, NULL);
    } while (status == WTE_OK);
    assert_int_equal(status, WTE_E_CANCELLED);
    pthread_join(thread, NULL);
    test_run_ids(s, ids, CTX, WTE_LOGITS_ALL);
    wte_session_free(s);
}

/* ---- taps -------------------------------------------------------------------------------- */

static void taps_have_names_and_other_names_are_refused(void **state)
{
    static const char *const good[] = {"embeddings",
                                       "last",
                                       "norm",
                                       "logits",
                                       "layer.0.in",
                                       "layer.1.mid",
                                       "layer.1.out",
                                       "layer.0.attention",
                                       "hidden_states.0",
                                       "attentions.1",
                                       "hidden_states.2",
                                       "last_hidden_state",
                                       "hidden_states.1",
                                       "layer.0.out"};
    static const char *const bad[] = {"",
                                      "layer",
                                      "layer.2.in",
                                      "layer.0",
                                      "layer.0.im",
                                      "layer.00.in",
                                      "layer.-1.in",
                                      "hidden_states.3",
                                      "hidden_states.",
                                      "attentions.2",
                                      "pooler",
                                      "Norm",
                                      "next_sentence",
                                      "layer.18446744073709551616.in",
                                      "hidden_states.0x"};
    wte_session *s = session_of(1, 0, 1);
    uint32_t id = 3;
    wte_array a;
    wte_error err = {0};
    (void)state;

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        test_tap(s, good[i]);
        assert_int_equal(wte_session_tapped(s, good[i], &a, NULL), WTE_E_NOTFOUND);
    }
    assert_int_equal(s->n_taps, 10); /* the others are the same under another name */
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(wte_session_tap(s, bad[i], &err), WTE_E_NOTFOUND);
        assert_non_null(strstr(err.message, "hidden_states.0 to hidden_states.2"));
        assert_int_equal(wte_session_tapped(s, bad[i], &a, NULL), WTE_E_NOTFOUND);
    }
    test_run_ids(s, &id, 1, WTE_LOGITS_NONE);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(wte_session_tapped(s, good[i], &a, NULL),
                         strcmp(good[i], "logits") ? WTE_OK : WTE_E_NOTFOUND);
    assert_int_equal(wte_session_tapped(s, "layer.1.in", &a, &err), WTE_E_NOTFOUND);
    assert_string_equal(err.message, "'layer.1.in' was not asked for before the last run");
    assert_ptr_equal(test_tapped(s, "hidden_states.1").data, test_tapped(s, "layer.0.out").data);
    assert_ptr_equal(test_tapped(s, "hidden_states.2").data, wte_session_hidden(s, 0));
    wte_session_untap(s);
    assert_int_equal(wte_session_tapped(s, "norm", &a, NULL), WTE_E_NOTFOUND);
    test_run_ids(s, &id, 1, WTE_LOGITS_NONE);
    wte_session_free(s);
}

static void a_failed_run_fills_no_tap(void **state)
{
    wte_session *s = session_of(1, 0, 1);
    static const uint32_t ids[] = {1, 99};
    wte_batch batch = {.ids = ids, .n = 2};
    wte_array a;
    (void)state;

    test_tap(s, "norm");
    test_tap(s, "layer.0.in");
    test_run_ids(s, ids, 1, WTE_LOGITS_NONE);
    assert_int_equal(wte_session_tapped(s, "layer.0.in", &a, NULL), WTE_OK);
    assert_int_equal(wte_session_run(s, &batch, NULL), WTE_E_RANGE);
    assert_int_equal(wte_session_tapped(s, "layer.0.in", &a, NULL), WTE_E_NOTFOUND);
    assert_int_equal(wte_session_tapped(s, "norm", &a, NULL), WTE_E_NOTFOUND);
    wte_session_free(s);
}

static void attention_reaches_back_and_is_of_one_sequence(void **state)
{
    wte_session *s = session_of(2, 0, 1);
    static const uint32_t ids[] = {1, 2, 3, 4, 5}, of[] = {0, 1};
    naive v = naive_run(&gpt2, ids, NULL, NULL, NULL, 5);
    wte_batch batch = {.ids = ids, .sequences = of, .n = 2};
    wte_error err = {0};
    wte_array a;
    (void)state;

    test_tap(s, "attentions.1");
    test_run_ids(s, ids, 3, WTE_LOGITS_NONE);
    test_run_ids(s, ids + 3, 2, WTE_LOGITS_NONE);
    a = test_tapped(s, "layer.1.attention");
    assert_int_equal(a.n_dims, 3);
    assert_int_equal(a.shape[0], 3);
    assert_int_equal(a.shape[1], 2);
    assert_int_equal(a.shape[2], 5);
    for (size_t h = 0; h < 3; h++)
        test_close("attention", a.data + h * 10, v.attention + (3 + h) * 25 + 15, 10, 1e-5);
    assert_true(a.data[4] == 0);
    assert_int_equal(wte_session_run(s, &batch, &err), WTE_E_RANGE);
    assert_string_equal(err.message,
                        "attention weights of a batch of 2 sequences: run one at a time");
    assert_int_equal(wte_session_length(s, 0), 5);
    naive_free(&v);
    wte_session_free(s);
}

/* ---- logits ------------------------------------------------------------------------------ */

static void the_lens_of_the_last_layer_gives_the_logits(void **state)
{
    static const size_t lengths[] = {1, 8, 30};
    test_network bert = test_network_open(test_network_write("bert", &BERT, SIZE_MAX), 0);
    const test_network *networks[] = {&gpt2, &bert};
    float *logits = malloc(CTX * V * sizeof *logits);
    uint32_t ids[CTX];
    (void)state;

    assert_non_null(logits);
    fill(ids, CTX, 10);
    for (size_t m = 0; m < 2; m++)
        for (size_t i = 0; i < 3; i++) {
            const size_t n = lengths[i];
            wte_session_options options = WTE_SESSION_DEFAULTS;
            wte_session *s;

            options.max_rows = 12; /* GPT-2's long ones in three parts */
            s = test_session(networks[m], options);
            test_tap(s, "last");
            test_run_ids(s, ids, n, WTE_LOGITS_ALL);
            assert_int_equal(
                wte_session_unembed(s, test_tapped(s, "last").data, n, 0, logits, NULL), WTE_OK);
            test_same_bits("lens", logits, wte_session_logits(s, 0), n * V);
            assert_int_equal(wte_session_unembed(s, wte_session_hidden(s, 0), n, 1, logits, NULL),
                             WTE_OK);
            test_same_bits("lens of the normed", logits, wte_session_logits(s, 0), n * V);
            assert_int_equal(wte_session_unembed(s, NULL, 0, 0, NULL, NULL), WTE_OK);
            wte_session_free(s);
        }
    free(logits);
    test_network_close(&bert);
}

static void log_probabilities_sum_to_one(void **state)
{
    static const float ones[] = {1, 1, 1, 1};
    float x[1000], out[1000];
    double sum = 0;
    (void)state;

    wte_log_softmax(ones, 4, out);
    for (size_t i = 0; i < 4; i++)
        assert_float_equal(out[i], -1.3862944, 1e-7);
    for (size_t i = 0; i < 1000; i++)
        x[i] = (float)i - 2000;
    wte_log_softmax(x, 1000, out);
    for (size_t i = 0; i < 1000; i++)
        sum += exp((double)out[i]);
    assert_true(fabs(sum - 1) < 1e-6);
    assert_float_equal(out[999], -0.45867515, 1e-6); /* log(1 - 1 / e) */
    assert_float_equal(out[0], -999.45867515, 1e-4);
    wte_log_softmax(x, 1000, x);
    assert_memory_equal(x, out, sizeof x);
}

/* ---- threads and memory ------------------------------------------------------------------ */

typedef struct job {
    uint32_t first;
    float logits[V];
} job;

static void *run_alone(void *arg)
{
    job *j = arg;
    wte_session *s = session_of(1, 0, 2);

    for (uint32_t i = 0; i < 20; i++) {
        uint32_t id = (j->first + i * 7) % V;

        test_run_ids(s, &id, 1, WTE_LOGITS_LAST);
    }
    memcpy(j->logits, wte_session_logits(s, 0), sizeof j->logits);
    wte_session_free(s);
    return NULL;
}

static void two_sessions_run_one_network_at_once(void **state)
{
    job at_once[2] = {{1, {0}}, {2, {0}}}, alone[2] = {{1, {0}}, {2, {0}}};
    pthread_t thread;
    (void)state;

    assert_int_equal(pthread_create(&thread, NULL, run_alone, &at_once[0]), 0);
    run_alone(&at_once[1]);
    pthread_join(thread, NULL);
    for (size_t i = 0; i < 2; i++) {
        run_alone(&alone[i]);
        test_same_bits("logits", at_once[i].logits, alone[i].logits, V);
    }
}

static void every_allocation_of_a_new_session_may_fail(void **state)
{
    test_network bert = test_network_open(test_network_write("bert", &BERT, SIZE_MAX), 0);
    const test_network *networks[] = {&gpt2, &bert};
    wte_session_options options = WTE_SESSION_DEFAULTS;
    (void)state;

    options.n_sequences = 2;
    options.n_threads = 2;
    for (size_t m = 0; m < 2; m++) {
        wte_status status = WTE_E_NOMEM;
        long nth = 0;

        for (; status == WTE_E_NOMEM; nth++) {
            wte_session *s = NULL;
            wte_error err = {0};

            wte__fail_alloc(nth);
            status = wte_session_new(networks[m]->network, &options, &s, &err);
            wte__fail_alloc(-1);
            if (status == WTE_OK) {
                wte_session_free(s);
                break;
            }
            assert_int_equal(status, WTE_E_NOMEM);
            assert_true(*err.message);
            assert_null(s);
        }
        assert_int_equal(status, WTE_OK);
        assert_true(nth > 20);
    }
    test_network_close(&bert);
}

static void every_allocation_of_a_run_may_fail_and_it_can_be_run_again(void **state)
{
    wte_status status = WTE_E_NOMEM;
    uint32_t ids[CTX];
    const wte_batch batch = {.ids = ids, .n = 30, .logits = WTE_LOGITS_ALL};
    long nth = 0;
    (void)state;

    fill(ids, CTX, 11);
    for (; status == WTE_E_NOMEM; nth++) {
        wte_session *s = session_of(2, 9, 1);

        test_run_ids(s, ids, 1, WTE_LOGITS_NONE);
        wte__fail_alloc(0);
        assert_int_equal(wte_session_tap(s, "layer.0.in", NULL), WTE_E_NOMEM);
        test_tap(s, "layer.0.in");
        test_tap(s, "attentions.1");
        wte__fail_alloc(nth);
        status = wte_session_run(s, &batch, NULL);
        wte__fail_alloc(-1);
        if (status == WTE_E_NOMEM) {
            assert_int_equal(wte_session_length(s, 0), 1);
            assert_int_equal(used_cells(s), 1);
            assert_null(wte_session_logits(s, 0));
            assert_int_equal(wte_session_run(s, &batch, NULL), WTE_OK);
        }
        assert_int_equal(wte_session_length(s, 0), 31);
        wte_session_free(s);
    }
    assert_int_equal(status, WTE_OK);
    assert_int_equal(nth - 1,
                     6); /* hidden states, logits, which rows have them, padding, two taps */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_by_token_is_the_same_as_one_pass),
        cmocka_unit_test(small_batches_are_the_same_to_the_bit_as_single_tokens),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(cutting_a_batch_into_passes_changes_nothing),
        cmocka_unit_test(several_sequences_give_what_each_gives_alone),
        cmocka_unit_test(positions_can_be_given_and_are_continued),
        cmocka_unit_test(a_fork_shares_the_cells_and_goes_its_own_way),
        cmocka_unit_test(a_truncated_sequence_goes_on_where_it_stands),
        cmocka_unit_test(reordered_sequences_are_what_the_others_were),
        cmocka_unit_test(beams_may_be_reordered_at_every_step),
        cmocka_unit_test(sequences_side_by_side_do_not_mix_their_cells),
        cmocka_unit_test(cells_of_dead_beams_are_taken_again),
        cmocka_unit_test(memory_is_touched_only_where_tokens_are),
        cmocka_unit_test(a_step_allocates_nothing),
        cmocka_unit_test(sizes_of_a_session_are_checked),
        cmocka_unit_test(a_wrong_batch_is_refused_and_changes_nothing),
        cmocka_unit_test(a_prompt_longer_than_the_context_says_both_numbers),
        cmocka_unit_test(numbers_that_are_not_finite_name_their_layer),
        cmocka_unit_test(a_cancelled_run_ends_and_the_next_goes_on),
        cmocka_unit_test(another_thread_may_cancel),
        cmocka_unit_test(taps_have_names_and_other_names_are_refused),
        cmocka_unit_test(a_failed_run_fills_no_tap),
        cmocka_unit_test(attention_reaches_back_and_is_of_one_sequence),
        cmocka_unit_test(the_lens_of_the_last_layer_gives_the_logits),
        cmocka_unit_test(log_probabilities_sum_to_one),
        cmocka_unit_test(two_sessions_run_one_network_at_once),
        cmocka_unit_test(every_allocation_of_a_new_session_may_fail),
        cmocka_unit_test(every_allocation_of_a_run_may_fail_and_it_can_be_run_again),
    };

    return cmocka_run_group_tests(tests, open_gpt2, close_gpt2);
}
