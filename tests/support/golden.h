/* SPDX-License-Identifier: MIT */
/** golden.h - the reference results of networks: read and compared */
#ifndef WTE_TEST_GOLDEN_H
#define WTE_TEST_GOLDEN_H
#include <jansson.h>
#include "networks.h"

enum { GOLDEN_TOKENS = 128 };

#define GOLDEN_TOLERANCE 1e-4 /* of the largest value */

static inline json_t *golden_read(const char *file)
{
    json_error_t why;
    json_t *root = json_load_file(file, 0, &why);

    if (!root)
        fail_msg("%s: %s", file, why.text);
    return root;
}

/** Open a checkpoint of the reference data; skips the test where it is not there. */
static inline test_network golden_network(const char *folder)
{
    char path[4400];

    snprintf(path, sizeof path, "%s", need_shared(folder));
    return test_network_open(path, WTE_PRECISION_F32);
}

/** Flatten nested arrays of numbers. Returns how many. */
static inline size_t golden_flatten(const json_t *value, double *out)
{
    size_t n = 0;

    if (!json_is_array(value)) {
        if (out)
            *out = json_number_value(value);
        return 1;
    }
    for (size_t i = 0; i < json_array_size(value); i++)
        n += golden_flatten(json_array_get(value, i), out ? out + n : NULL);
    return n;
}

static inline double *golden_numbers(const json_t *value, size_t *n)
{
    double *out;

    *n = golden_flatten(value, NULL);
    out = malloc((*n + 1) * sizeof *out);
    assert_non_null(out);
    golden_flatten(value, out);
    return out;
}

static inline size_t golden_ids(const json_t *value, uint32_t *ids)
{
    const size_t n = json_array_size(value);

    assert_in_range(n, 1, GOLDEN_TOKENS);
    for (size_t i = 0; i < n; i++)
        ids[i] = (uint32_t)json_integer_value(json_array_get(value, i));
    return n;
}

static inline void golden_compare(const char *what, const float *got, const json_t *value,
                                  double tolerance)
{
    size_t n;
    double *want = golden_numbers(value, &n);

    test_close(what, got, want, n, tolerance);
    free(want);
}

/** Compare the sums of a reference over all numbers of an array. */
static inline void golden_checksum(const char *what, const wte_array *got, const json_t *sums)
{
    double sum = 0, abs_sum = 0, sq_sum = 0, weighted = 0, want;
    size_t n = 1;

    for (size_t d = 0; d < got->n_dims; d++)
        n *= got->shape[d];
    assert_int_equal(n, json_integer_value(json_object_get(sums, "n")));
    for (size_t i = 0; i < n; i++) {
        double x = (double)got->data[i];

        sum += x, abs_sum += fabs(x), sq_sum += x * x;
        weighted += x * (double)(i % 1009 + 1);
    }
    want = json_number_value(json_object_get(sums, "abs_sum"));
    if (!(fabs(abs_sum - want) <= 1e-5 * want))
        fail_msg("%s: sum of absolute values %.12g, expected %.12g", what, abs_sum, want);
    if (!(fabs(sum - json_number_value(json_object_get(sums, "sum"))) <= 1e-5 * want))
        fail_msg("%s: sum %.12g, expected another", what, sum);
    if (!(fabs(weighted - json_number_value(json_object_get(sums, "weighted_sum"))) <=
          1e-5 * 500 * want))
        fail_msg("%s: weighted sum %.12g, expected another: the numbers are in another order?",
                 what, weighted);
    want = json_number_value(json_object_get(sums, "sq_sum"));
    if (!(fabs(sq_sum - want) <= 1e-5 * want))
        fail_msg("%s: sum of squares %.12g, expected %.12g", what, sq_sum, want);
}

/** Compare the hidden states, all or those of some positions, that a session tapped. */
static inline void golden_hidden(const wte_session *s, const json_t *c, const char *label)
{
    const wte_network_info *info = wte_network_get_info(wte_session_network(s));
    const json_t *all = json_object_get(c, "hidden_states"),
                 *at = json_object_get(c, "hidden_states_at"),
                 *sums = json_object_get(c, "hidden_states_checksums"),
                 *positions = json_object_get(c, "positions");

    for (size_t l = 0; l <= info->n_layer; l++) {
        char name[64], what[256];
        wte_array a;

        snprintf(name, sizeof name, "hidden_states.%zu", l);
        snprintf(what, sizeof what, "%s, %s", label, name);
        a = test_tapped(s, name);
        assert_int_equal(a.n_dims, 2);
        assert_int_equal(a.shape[1], info->n_embd);
        if (all)
            golden_compare(what, a.data, json_array_get(all, l), GOLDEN_TOLERANCE);
        for (size_t i = 0; at && i < json_array_size(positions); i++)
            golden_compare(what,
                           a.data + (size_t)json_integer_value(json_array_get(positions, i)) *
                                        a.shape[1],
                           json_array_get(json_array_get(at, l), i), GOLDEN_TOLERANCE);
        golden_checksum(what, &a, json_array_get(sums, l));
    }
}
#endif
