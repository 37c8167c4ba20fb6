/* SPDX-License-Identifier: MIT */
/* test_attention.c - wte__attend and wte__heads_store against sums in float64 */
#include "support.h"
#include "network/network_internal.h"
#include <float.h>
#include <math.h>

enum { N_HEAD = 3, N_CELLS = 80, MAX_DIM = 80 };

static float cache[2][N_HEAD * N_CELLS * MAX_DIM]; /* keys and values, of either type */
static uint64_t seed = 4;

static float uniform(void)
{
    return (float)((double)(wte__random(&seed) >> 11) * 0x1p-52 - 1);
}

static wte__heads heads_of(size_t dim, bool half)
{
    memset(cache, 0, sizeof cache);
    return (wte__heads){cache[0], cache[1], N_CELLS, dim, half};
}

/* n different cells in no order. */
static void shuffled_cells(uint32_t *cells, size_t n)
{
    uint32_t all[N_CELLS];

    for (uint32_t i = 0; i < N_CELLS; i++)
        all[i] = i;
    for (size_t i = 0; i < n; i++) {
        size_t other = i + (size_t)(wte__random(&seed) % (N_CELLS - i));
        uint32_t cell = all[other];

        all[other] = all[i];
        cells[i] = all[i] = cell;
    }
}

/* Through float16 and back where the cache holds that. */
static double kept(float v, bool half)
{
    uint16_t narrow;

    if (half) {
        wte__kernel()->f32_to_f16(&v, &narrow, 1);
        wte__kernel()->f16_to_f32(&narrow, &v, 1);
    }
    return (double)v;
}

typedef struct example {
    float query[MAX_DIM], keys[N_CELLS][MAX_DIM + 3], values[N_CELLS][MAX_DIM + 3];
    uint32_t cells[N_CELLS];
    uint8_t visible[N_CELLS];
    size_t n, dim, head;
    bool half;
} example;

static void fill(example *e, const wte__heads *h)
{
    for (size_t d = 0; d < e->dim; d++)
        e->query[d] = uniform();
    for (size_t i = 0; i < e->n; i++)
        for (size_t d = 0; d < e->dim; d++) {
            e->keys[i][d] = uniform();
            e->values[i][d] = uniform();
        }
    shuffled_cells(e->cells, e->n);
    wte__heads_store(h, h->keys, e->head, e->keys[0], MAX_DIM + 3, e->cells, e->n);
    wte__heads_store(h, h->values, e->head, e->values[0], MAX_DIM + 3, e->cells, e->n);
}

static void expect(const example *e, const uint8_t *visible, double *weights, double *out)
{
    double largest = -INFINITY, sum = 0;
    size_t n_visible = 0;

    for (size_t i = 0; i < e->n; i++) {
        weights[i] = 0;
        for (size_t d = 0; d < e->dim; d++)
            weights[i] += (double)e->query[d] * kept(e->keys[i][d], e->half);
        n_visible += !visible || visible[i];
        if (!visible || visible[i])
            largest = fmax(largest, weights[i]);
    }
    for (size_t i = 0; i < e->n; i++) {
        if (n_visible == 0)
            weights[i] = 1;
        else
            weights[i] = !visible || visible[i] ? exp(weights[i] - largest) : 0;
        sum += weights[i];
    }
    for (size_t d = 0; d < e->dim; d++)
        out[d] = 0;
    for (size_t i = 0; i < e->n; i++) {
        weights[i] /= sum;
        for (size_t d = 0; d < e->dim; d++)
            out[d] += weights[i] * kept(e->values[i][d], e->half);
    }
}

static void check(const example *e, const wte__heads *h, const uint8_t *visible)
{
    double want_weights[N_CELLS], want[MAX_DIM];
    float weights[N_CELLS], out[MAX_DIM];

    expect(e, visible, want_weights, want);
    wte__attend(h, e->head, e->query, e->cells, visible, e->n, weights, out);
    /* a score of dim products below 1 may be off by dim * dim * eps, its weight by that factor */
    for (size_t i = 0; i < e->n; i++) {
        double bound = want_weights[i] * (double)(e->dim * e->dim + 20) * FLT_EPSILON;

        if (fabs((double)weights[i] - want_weights[i]) > bound)
            fail_msg("%zu keys of %zu: weight %zu is %.9g, not %.9g", e->n, e->dim, i,
                     (double)weights[i], want_weights[i]);
    }
    for (size_t d = 0; d < e->dim; d++)
        assert_true(fabs((double)out[d] - want[d]) <=
                    (double)(e->dim * e->dim + e->n + 20) * FLT_EPSILON);
}

static const size_t dims[] = {1, 4, 7, 8, 16, 32, 64, 80};
enum { N_DIMS = sizeof dims / sizeof *dims };

static void attention_equals_softmax_in_float64(void **state)
{
    (void)state;

    for (int half = 0; half < 2; half++)
        for (size_t i = 0; i < N_DIMS; i++)
            for (size_t n = 1; n <= N_CELLS; n += n < 20 ? 1 : 13)
                for (size_t head = 0; head < N_HEAD; head++) {
                    example e = {.n = n, .dim = dims[i], .head = head, .half = half};
                    wte__heads h = heads_of(dims[i], half);

                    fill(&e, &h);
                    check(&e, &h, NULL);
                }
}

static void masked_keys_have_weight_0_exactly(void **state)
{
    (void)state;

    for (int half = 0; half < 2; half++)
        for (size_t n = 2; n <= 40; n++) {
            example e = {.n = n, .dim = 16, .head = 1, .half = half};
            wte__heads h = heads_of(16, half);
            float weights[N_CELLS], out[MAX_DIM];

            fill(&e, &h);
            for (size_t i = 0; i < n; i++)
                e.visible[i] = (uint8_t)(wte__random(&seed) % 3);
            e.visible[wte__random(&seed) % n] = 1;
            check(&e, &h, e.visible);
            wte__attend(&h, 1, e.query, e.cells, e.visible, n, weights, out);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(weights[i] == 0.0f, e.visible[i] == 0);
        }
}

static void where_all_keys_are_masked_all_count_the_same(void **state)
{
    static const size_t counts[] = {1, 2, 5, 8, 33};
    (void)state;

    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        example e = {.n = counts[i], .dim = 16, .head = 2};
        wte__heads h = heads_of(16, false);
        float weights[N_CELLS], out[MAX_DIM];

        fill(&e, &h);
        check(&e, &h, e.visible);
        wte__attend(&h, 2, e.query, e.cells, e.visible, e.n, weights, out);
        for (size_t j = 0; j < e.n; j++)
            assert_true(weights[j] == weights[0]);
    }
}

static void all_visible_is_the_same_as_no_mask(void **state)
{
    example e = {.n = 30, .dim = 64};
    wte__heads h = heads_of(64, false);
    float weights[2][N_CELLS], out[2][MAX_DIM];
    (void)state;

    fill(&e, &h);
    memset(e.visible, 1, sizeof e.visible);
    wte__attend(&h, 0, e.query, e.cells, NULL, 30, weights[0], out[0]);
    wte__attend(&h, 0, e.query, e.cells, e.visible, 30, weights[1], out[1]);
    assert_memory_equal(weights[0], weights[1], 30 * sizeof(float));
    assert_memory_equal(out[0], out[1], 64 * sizeof(float));
}

static void where_the_cells_lie_changes_no_bit(void **state)
{
    (void)state;

    for (int half = 0; half < 2; half++) {
        example e = {.n = 37, .dim = 64, .head = 1, .half = half};
        wte__heads h = heads_of(64, half);
        float weights[2][N_CELLS], out[2][MAX_DIM];
        uint32_t in_order[N_CELLS];

        fill(&e, &h);
        wte__attend(&h, 1, e.query, e.cells, NULL, e.n, weights[0], out[0]);
        for (uint32_t i = 0; i < N_CELLS; i++)
            in_order[i] = i;
        wte__heads_store(&h, h.keys, 1, e.keys[0], MAX_DIM + 3, in_order, e.n);
        wte__heads_store(&h, h.values, 1, e.values[0], MAX_DIM + 3, in_order, e.n);
        wte__attend(&h, 1, e.query, in_order, NULL, e.n, weights[1], out[1]);
        assert_memory_equal(weights[0], weights[1], e.n * sizeof(float));
        assert_memory_equal(out[0], out[1], e.dim * sizeof(float));
    }
}

static void several_queries_at_once_have_the_bits_of_each_alone(void **state)
{
    (void)state;

    for (int half = 0; half < 2; half++)
        for (size_t i = 0; i < N_DIMS; i++)
            for (size_t n_rows = 1; n_rows <= WTE__ATTEND_ROWS; n_rows++)
                for (int masked = 0; masked < 2; masked++) {
                    example e = {.n = N_CELLS, .dim = dims[i], .head = 1, .half = half};
                    wte__heads h = heads_of(dims[i], half);
                    float queries[WTE__ATTEND_ROWS][MAX_DIM + 1], alone[N_CELLS], one[MAX_DIM];
                    float weights[WTE__ATTEND_ROWS][N_CELLS + 3],
                        out[WTE__ATTEND_ROWS][MAX_DIM + 2];
                    uint32_t n_keys[WTE__ATTEND_ROWS];

                    fill(&e, &h);
                    for (size_t j = 0; j < N_CELLS; j++)
                        e.visible[j] = (uint8_t)(wte__random(&seed) % 3);
                    for (size_t r = 0; r < n_rows; r++) {
                        n_keys[r] = (uint32_t)(1 + wte__random(&seed) % N_CELLS);
                        for (size_t d = 0; d < e.dim; d++)
                            queries[r][d] = uniform();
                        for (size_t d = 0; d < MAX_DIM + 2; d++)
                            out[r][d] = 12345;
                    }
                    wte__attend_rows(&h, 1, queries[0], MAX_DIM + 1, e.cells,
                                     masked ? e.visible : NULL, n_keys, n_rows, weights[0],
                                     N_CELLS + 3, out[0], MAX_DIM + 2);
                    for (size_t r = 0; r < n_rows; r++) {
                        wte__attend(&h, 1, queries[r], e.cells, masked ? e.visible : NULL,
                                    n_keys[r], alone, one);
                        assert_memory_equal(weights[r], alone, n_keys[r] * sizeof *alone);
                        assert_memory_equal(out[r], one, e.dim * sizeof *one);
                        for (size_t d = e.dim; d < MAX_DIM + 2; d++)
                            assert_true(out[r][d] == 12345.0f);
                    }
                }
}

/* What a query does not see does not reach it. */
static void nan_beyond_what_a_query_sees_stays_there(void **state)
{
    static const uint32_t n_keys[] = {3, 4, 5, 6, 7, 8};
    example e = {.n = 8, .dim = 16};
    wte__heads h = heads_of(16, false);
    float queries[6][16], weights[6][8], out[6][16];
    (void)state;

    fill(&e, &h);
    for (size_t i = 0; i < 6 * 16; i++)
        queries[i / 16][i % 16] = uniform();
    for (size_t d = 0; d < 16; d++)
        e.keys[5][d] = e.values[5][d] = NAN;
    wte__heads_store(&h, h.keys, 0, e.keys[0], MAX_DIM + 3, e.cells, e.n);
    wte__heads_store(&h, h.values, 0, e.values[0], MAX_DIM + 3, e.cells, e.n);
    wte__attend_rows(&h, 0, queries[0], 16, e.cells, NULL, n_keys, 6, weights[0], 8, out[0], 16);
    for (size_t r = 0; r < 6; r++)
        for (size_t d = 0; d < 16; d++)
            assert_int_equal(isnan(out[r][d]) != 0, n_keys[r] > 5);
}

static void storing_touches_its_head_and_cells_only(void **state)
{
    (void)state;

    for (int half = 0; half < 2; half++) {
        static const uint32_t cells[] = {5, 0, 79};
        wte__heads h = heads_of(6, half);
        float x[3][9];
        size_t n_changed = 0;

        for (size_t i = 0; i < 27; i++)
            x[i / 9][i % 9] = 1;
        wte__heads_store(&h, h.values, 1, x[0], 9, cells, 3);
        for (size_t i = 0; i < sizeof cache[0] / sizeof **cache; i++)
            assert_true(cache[0][i] == 0.0f);
        for (size_t at = 0; at < (size_t)N_HEAD * N_CELLS * 6; at++) {
            uint16_t narrow;
            float v = cache[1][at];
            size_t cell = at / 6 % N_CELLS;

            memcpy(&narrow, (const unsigned char *)cache[1] + at * 2, 2);
            if (half)
                wte__kernel()->f16_to_f32(&narrow, &v, 1);
            n_changed += v == 1.0f;
            assert_true(v == (at / 6 / N_CELLS == 1 && (cell == 5 || cell == 0 || cell == 79)));
        }
        assert_int_equal(n_changed, 18);
    }
}

static void nan_is_not_hidden(void **state)
{
    example e = {.n = 10, .dim = 16};
    wte__heads h = heads_of(16, false);
    float weights[N_CELLS], out[MAX_DIM];
    (void)state;

    fill(&e, &h);
    e.query[3] = NAN;
    wte__attend(&h, 0, e.query, e.cells, NULL, e.n, weights, out);
    for (size_t d = 0; d < e.dim; d++)
        assert_true(isnan(out[d]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_equals_softmax_in_float64),
        cmocka_unit_test(masked_keys_have_weight_0_exactly),
        cmocka_unit_test(where_all_keys_are_masked_all_count_the_same),
        cmocka_unit_test(all_visible_is_the_same_as_no_mask),
        cmocka_unit_test(where_the_cells_lie_changes_no_bit),
        cmocka_unit_test(several_queries_at_once_have_the_bits_of_each_alone),
        cmocka_unit_test(nan_beyond_what_a_query_sees_stays_there),
        cmocka_unit_test(storing_touches_its_head_and_cells_only),
        cmocka_unit_test(nan_is_not_hidden),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
