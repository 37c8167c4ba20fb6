/* SPDX-License-Identifier: MIT */
/** small_gpt2.h - the small GPT-2 of random weights that a file of tests opens once, for all */
#ifndef WTE_TEST_SMALL_GPT2_H
#define WTE_TEST_SMALL_GPT2_H
#include "networks.h"

enum { E = 36, V = 61, CTX = 40 }; /* width, vocabulary, context */

static const test_shape SHAPE = {false, 2, 3, E, 100, CTX, V};
static const test_shape BERT = {true, 2, 3, E, 100, CTX, V}; /* as large */

static test_network gpt2;

/** For cmocka_run_group_tests(). */
static inline int open_gpt2(void **state)
{
    (void)state;
    gpt2 = test_network_open(test_network_write("gpt2", &SHAPE, SIZE_MAX), WTE_PRECISION_F32);
    return 0;
}

static inline int close_gpt2(void **state)
{
    (void)state;
    test_network_close(&gpt2);
    return 0;
}
#endif
