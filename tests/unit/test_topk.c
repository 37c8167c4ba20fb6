/* SPDX-License-Identifier: MIT */
/* test_topk.c - the list of the k best, against a plain sort; and the choice of kernels */
#include "support.h"
#include <math.h>
#include "kernel/kernel.h"

enum { MANY = 500 };

static int best_first(const void *x, const void *y)
{
    const wte__ranked *a = x, *b = y;

    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

static void assert_ranked(const wte__topk *t, const wte__ranked *want, size_t n)
{
    assert_int_equal(t->n, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(t->items[i].id, want[i].id);
        assert_true(t->items[i].score == want[i].score);
    }
}

static void keeps_the_k_best_in_order(void **state)
{
    static wte__ranked all[MANY], items[MANY + 3];
    uint64_t seed = 7;
    wte__topk t;
    (void)state;

    for (size_t k = 1; k <= MANY + 3; k = k * 3 / 2 + 1)
        for (size_t n = 0; n <= MANY; n = n * 2 + 1) {
            wte__topk_init(&t, items, k);
            for (size_t i = 0; i < n; i++) { /* few scores, so that many tie */
                all[i] = (wte__ranked){(float)(next(&seed) % 40) - 20.0f, (uint32_t)i};
                wte__topk_push(&t, all[i].score, all[i].id);
            }
            qsort(all, n, sizeof *all, best_first);
            wte__topk_sort(&t);
            assert_ranked(&t, all, n < k ? n : k);
        }
}

static void order_of_the_offers_does_not_matter(void **state)
{
    wte__ranked forward[5], backward[5];
    wte__topk t, u;
    (void)state;

    wte__topk_init(&t, forward, 5);
    wte__topk_init(&u, backward, 5);
    for (uint32_t i = 0; i < 40; i++) {
        wte__topk_push(&t, (float)(i % 3), i);
        wte__topk_push(&u, (float)((39 - i) % 3), 39 - i);
    }
    wte__topk_sort(&t);
    wte__topk_sort(&u);
    assert_ranked(&t, backward, 5);
    assert_int_equal(forward[0].id, 2);
    assert_int_equal(forward[4].id, 14);
}

static void on_a_tie_the_lower_id_stays(void **state)
{
    static const wte__ranked want[] = {{1.0f, 3}, {1.0f, 5}};
    wte__ranked items[2];
    wte__topk t;
    (void)state;

    wte__topk_init(&t, items, 2);
    wte__topk_push(&t, 1.0f, 9);
    wte__topk_push(&t, 1.0f, 5);
    wte__topk_push(&t, 1.0f, 7);
    wte__topk_push(&t, 1.0f, 3);
    wte__topk_sort(&t);
    assert_ranked(&t, want, 2);
}

static void threshold_is_the_worst_once_full(void **state)
{
    wte__ranked items[2];
    wte__topk t;
    (void)state;

    wte__topk_init(&t, items, 2);
    assert_true(wte__topk_threshold(&t) == -INFINITY);
    wte__topk_push(&t, 4.0f, 0);
    assert_true(wte__topk_threshold(&t) == -INFINITY);
    wte__topk_push(&t, 2.0f, 1);
    assert_true(wte__topk_threshold(&t) == 2.0f);
    wte__topk_push(&t, 3.0f, 2);
    assert_true(wte__topk_threshold(&t) == 3.0f);
    wte__topk_push(&t, 2.5f, 3);
    assert_true(wte__topk_threshold(&t) == 3.0f);
}

static void nan_is_ignored_and_infinity_is_a_score(void **state)
{
    static const wte__ranked want[] = {{INFINITY, 2}, {-1.0f, 4}, {-INFINITY, 1}};
    wte__ranked items[4];
    wte__topk t;
    (void)state;

    wte__topk_init(&t, items, 4);
    wte__topk_push(&t, NAN, 0);
    wte__topk_push(&t, -INFINITY, 1);
    wte__topk_push(&t, INFINITY, 2);
    wte__topk_push(&t, -NAN, 3);
    wte__topk_push(&t, -1.0f, 4);
    wte__topk_sort(&t);
    assert_ranked(&t, want, 3);
}

static void nothing_enters_a_list_of_none(void **state)
{
    wte__topk t;
    (void)state;

    wte__topk_init(&t, NULL, 0);
    assert_true(wte__topk_threshold(&t) == INFINITY);
    wte__topk_push(&t, 1.0f, 1);
    wte__topk_sort(&t);
    assert_int_equal(t.n, 0);
}

static void no_flags_give_plain_c(void **state)
{
    wte__kernels k;
    (void)state;

    wte__kernels_init(&k, 0);
    assert_string_equal(k.name, "c");
}

/* What the plain kernels say, which all others are measured by, against values worked out by hand.
 */
static void plain_kernels_give_values_known_by_hand(void **state)
{
    static const float x[] = {1.0f, -2.0f, 3.0f}, y[] = {4.0f, 5.0f, -6.0f};
    static const float wide[] = {65504.0f, 65520.0f, 0x1p-24f, 0x1p-25f, 0x1.8p-25f, 1.0009765625f};
    static const uint16_t half[] = {0x7BFF, 0x7C00, 0x0001, 0x0000, 0x0001, 0x3C01};
    static const uint16_t brain[] = {0x4780, 0x4780, 0x3380, 0x3300, 0x3340, 0x3F80};
    _Alignas(64) int8_t query[WTE__QUERY_PAD] = {1, -2, 127}, codes[2 * 3 + 64] = {127, 127, -127};
    uint16_t narrow[6];
    uint32_t at[3];
    int32_t sums[2];
    int8_t quantised[3];
    wte__kernels k;
    (void)state;

    wte__kernels_init(&k, 0);
    assert_true(k.dot_f32(x, y, 3) == -24.0f);
    assert_true(k.sqdist_f32(x, y, 3) == 139.0f);
    assert_true(k.l1dist_f32(x, y, 3) == 19.0f);
    assert_true(k.sumsq_f32(x, 3) == 14.0);
    assert_true(k.maxabs_f32(x, 3) == 3.0f);
    k.f32_to_f16(wide, narrow, 6);
    assert_memory_equal(narrow, half, sizeof half);
    k.f32_to_bf16(wide, narrow, 6);
    assert_memory_equal(narrow, brain, sizeof brain);
    assert_true(k.quantize_i8(y, 3, 0.5f, quantised) == 0.25f); /* 2.5 goes to the even 2 */
    assert_int_equal(quantised[0], 2);
    assert_int_equal(quantised[1], 2);
    assert_int_equal(quantised[2], -3);
    codes[3] = 1;
    codes[4] = 1;
    codes[5] = 1;
    k.dot_i8_rows(codes, 3, 2, query, 3, sums);
    assert_int_equal(sums[0], 127 - 254 - 127 * 127);
    assert_int_equal(sums[1], 126);
    assert_int_equal(k.select_ge(x, 3, 1.0f, at), 2);
    assert_int_equal(at[0], 0);
    assert_int_equal(at[1], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_k_best_in_order),
        cmocka_unit_test(order_of_the_offers_does_not_matter),
        cmocka_unit_test(on_a_tie_the_lower_id_stays),
        cmocka_unit_test(threshold_is_the_worst_once_full),
        cmocka_unit_test(nan_is_ignored_and_infinity_is_a_score),
        cmocka_unit_test(nothing_enters_a_list_of_none),
        cmocka_unit_test(no_flags_give_plain_c),
        cmocka_unit_test(plain_kernels_give_values_known_by_hand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
