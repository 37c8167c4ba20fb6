/* SPDX-License-Identifier: MIT */
/* test_linear.c - wte__product_run against sums in float64 */
#include "products.h"
#include <float.h>

enum { WIDEST = 700, MAX_ROWS = 300, N_TEAMS = 3 };

static const unsigned team_sizes[N_TEAMS] = {1, 2, 7};
static wte__team *teams[N_TEAMS];
static wte__scratch scratches[N_TEAMS];

static int begin(void **state)
{
    (void)state;
    setenv("WTE_ONEDNN", "0", 1); /* test_onednn.c has those */
    for (int i = 0; i < N_TEAMS; i++)
        if (wte__team_new(team_sizes[i], &teams[i], NULL) != WTE_OK ||
            wte__scratch_new(&scratches[i], MAX_ROWS, WIDEST, team_sizes[i], false, NULL) != WTE_OK)
            return -1;
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (int i = 0; i < N_TEAMS; i++) {
        wte__scratch_free(&scratches[i], team_sizes[i]);
        wte__team_free(teams[i]);
    }
    return 0;
}

/* ---- a product and what it should be ------------------------------------------------------ */

/* The weights begin at an odd byte, but codes, which are the library's own. */
static example make(wte__weight_type type, wte__orientation orientation, size_t n_in, size_t n_out,
                    size_t n_rows)
{
    return example_make(type, orientation, n_in, n_out, n_rows, type != WTE__WEIGHT_INT8);
}

static void run_product(wte__product product, int team)
{
    example_run(product, &scratches[team], teams[team]);
}

static double activate(wte__activation activation, double v)
{
    switch (activation) {
    case WTE__ACTIVATION_GELU_TANH:
        return v / 2 * (1 + tanh(0.79788456080286535588 * (v + 0.044715 * v * v * v)));
    case WTE__ACTIVATION_GELU_ERF:
        return v / 2 * (1 + erf(v * 0.70710678118654752440));
    case WTE__ACTIVATION_RELU:
        return v > 0 ? v : 0;
    case WTE__ACTIVATION_TANH:
        return tanh(v);
    case WTE__ACTIVATION_NONE:
        break;
    }
    return v;
}

/* The largest |x| of a row, as the quantisation takes it. */
static float row_largest(const example *e, size_t row)
{
    float largest = 0;

    for (size_t i = 0; i < e->linear.n_in; i++)
        largest = fmaxf(largest, fabsf(e->x[row * e->ldx + i]));
    return largest;
}

/* What y[row][column] should be before the activation, and how far a float32 sum may be off. */
static double expected(const example *e, size_t row, size_t column, double *bound)
{
    const wte__linear *l = &e->linear;
    const bool coded = l->type == WTE__WEIGHT_INT8;
    const float largest = coded ? row_largest(e, row) : 0;
    double sum = 0, sum_abs = 0, scale = 1, bias = l->bias ? (double)l->bias[column] : 0;

    for (size_t i = 0; i < l->n_in; i++) {
        double v = (double)e->x[row * e->ldx + i];

        if (coded)
            v = largest > 0 ? (double)rintf(e->x[row * e->ldx + i] * (127 / largest)) : 0;
        sum += v * e->values[i * l->n_out + column];
        sum_abs += fabs(v * e->values[i * l->n_out + column]);
    }
    if (coded)
        scale = (double)largest / 127 * (double)e->scales[column];
    *bound = (coded ? 4 : (double)l->n_in + 1) * FLT_EPSILON * (sum_abs * scale + fabs(bias));
    return sum * scale + bias;
}

static void check(const example *e, const wte__product *p, const float *residual)
{
    for (size_t r = 0; r < e->n_rows; r++)
        for (size_t j = 0; j < e->linear.n_out; j++) {
            double bound, want = expected(e, r, j, &bound);
            double got = (double)p->y[r * p->ldy + j];

            want = activate(p->activation, want);
            if (residual)
                want += (double)residual[r * p->ldy + j];
            bound = bound * 1.2 + 5e-7 * (1 + fabs(want)); /* a slope of GELU is 1.13 at most */
            if (!(fabs(got - want) <= bound))
                fail_msg("type %d, orientation %d, %zu x %zu, %zu rows: y[%zu][%zu] is %.9g, not "
                         "%.9g within %g",
                         (int)e->linear.type, (int)e->linear.orientation, e->linear.n_in,
                         e->linear.n_out, e->n_rows, r, j, got, want, bound);
        }
}

static const struct {
    wte__weight_type type;
    wte__orientation orientation;
} kinds[] = {{WTE__WEIGHT_F32, WTE__IN_OUT},  {WTE__WEIGHT_F16, WTE__IN_OUT},
             {WTE__WEIGHT_BF16, WTE__IN_OUT}, {WTE__WEIGHT_F32, WTE__OUT_IN},
             {WTE__WEIGHT_F16, WTE__OUT_IN},  {WTE__WEIGHT_BF16, WTE__OUT_IN},
             {WTE__WEIGHT_INT8, WTE__OUT_IN}, {WTE__WEIGHT_BF16, WTE__PANELS}};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

/* ---- tests -------------------------------------------------------------------------------- */

static void products_equal_sums_in_float64(void **state)
{
    static const size_t shapes[][2] = {{1, 1},    {5, 3},     {64, 64},  {33, 97},
                                       {257, 16}, {300, 200}, {513, 50}, {48, 1100}};
    static const size_t rows[] = {1, 2, 3, 8, 9, 13, 70, 300};
    (void)state;

    for (size_t kind = 0; kind < N_KINDS; kind++)
        for (size_t shape = 0; shape < sizeof shapes / sizeof *shapes; shape++)
            for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                example e;
                wte__product p;

                if (TEST_FEWER && shape % 3)
                    continue;
                e = make(kinds[kind].type, kinds[kind].orientation, shapes[shape][0],
                         shapes[shape][1], rows[i]);
                p = example_product(&e);
                run_product(p, 1);
                check(&e, &p, NULL);
                example_drop(&e);
            }
}

static void bias_then_activation_then_residual(void **state)
{
    static const wte__activation activations[] = {WTE__ACTIVATION_NONE, WTE__ACTIVATION_GELU_TANH,
                                                  WTE__ACTIVATION_GELU_ERF, WTE__ACTIVATION_RELU,
                                                  WTE__ACTIVATION_TANH};
    static const size_t rows[] = {1, 4, 20};
    (void)state;

    for (size_t kind = 0; kind < N_KINDS; kind++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            for (size_t a = 0; a < sizeof activations / sizeof *activations; a++) {
                example e = make(kinds[kind].type, kinds[kind].orientation, 20, 150, rows[i]);
                wte__product p = example_product(&e);

                p.activation = activations[a];
                run_product(p, 1);
                check(&e, &p, NULL);
                p.residual = e.residual;
                run_product(p, 1);
                check(&e, &p, e.residual);
                /* added in place */
                memcpy(e.y, e.residual, e.n_rows * e.ldy * sizeof *e.y);
                p.residual = e.y;
                run_product(p, 1);
                check(&e, &p, e.residual);
                e.linear.bias = NULL;
                p.residual = NULL;
                run_product(p, 1);
                check(&e, &p, NULL);
                example_drop(&e);
            }
}

static void nothing_is_written_beside_y(void **state)
{
    static const size_t rows[] = {1, 8, 40};
    (void)state;

    for (size_t kind = 0; kind < N_KINDS; kind++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            example e = make(kinds[kind].type, kinds[kind].orientation, 30, 50, rows[i]);

            for (size_t j = 0; j < e.n_rows * e.ldy; j++)
                e.y[j] = 12345;
            run_product(example_product(&e), 1);
            for (size_t r = 0; r < e.n_rows; r++)
                for (size_t j = 50; j < e.ldy; j++)
                    assert_true(e.y[r * e.ldy + j] == 12345.0f);
            example_drop(&e);
        }
}

static void the_number_of_workers_changes_no_bit(void **state)
{
    static const size_t rows[] = {1, 5, 8, 9, 61, 300};
    (void)state;

    for (size_t kind = 0; kind < N_KINDS; kind++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            example e = make(kinds[kind].type, kinds[kind].orientation, 600, 701, rows[i]);
            const size_t bytes = e.n_rows * e.ldy * sizeof *e.y;
            float *first = calloc(1, bytes);
            wte__product p = example_product(&e);

            p.activation = WTE__ACTIVATION_GELU_TANH;
            p.residual = e.residual;
            run_product(p, 0);
            memcpy(first, e.y, bytes);
            for (int team = 1; team < N_TEAMS; team++) {
                for (int again = 0; again < (TEST_FEWER ? 1 : 3); again++) {
                    memset(e.y, 0, bytes);
                    run_product(p, team);
                    for (size_t r = 0; r < e.n_rows; r++)
                        assert_memory_equal(e.y + r * e.ldy, first + r * e.ldy,
                                            e.linear.n_out * sizeof *first);
                }
            }
            free(first);
            example_drop(&e);
        }
}

/* Each row alone gives the bits that it has among n_rows. */
static void compare_with_single_rows(example *e)
{
    float *all = calloc(e->n_rows * e->ldy, sizeof *all);
    wte__product p = example_product(e);

    p.activation = WTE__ACTIVATION_GELU_ERF;
    run_product(p, 1);
    memcpy(all, e->y, e->n_rows * e->ldy * sizeof *all);
    for (size_t r = 0; r < e->n_rows; r++) {
        p.n_rows = 1;
        p.x = e->x + r * e->ldx;
        run_product(p, 1);
        assert_memory_equal(e->y, all + r * e->ldy, e->linear.n_out * sizeof *all);
    }
    free(all);
}

static void a_small_batch_changes_no_bit(void **state)
{
    (void)state;

    for (size_t kind = 0; kind < N_KINDS; kind++)
        for (size_t n_rows = 2; n_rows <= WTE__FEW_ROWS; n_rows++) {
            example e = make(kinds[kind].type, kinds[kind].orientation, 300, 170, n_rows);

            compare_with_single_rows(&e);
            example_drop(&e);
        }
}

static void of_an_in_out_matrix_and_of_codes_no_batch_changes_a_bit(void **state)
{
    (void)state;

    for (size_t kind = 0; kind < N_KINDS; kind++) {
        example e = make(kinds[kind].type, kinds[kind].orientation, 600, 170, 20);

        if (e.linear.orientation != WTE__OUT_IN || e.linear.type == WTE__WEIGHT_INT8)
            compare_with_single_rows(&e);
        example_drop(&e);
    }
}

static void panels_give_the_bits_of_the_matrix_that_they_were_made_of(void **state)
{
    static const size_t rows[] = {1, 2, 3, 7, 24, 25, 90};
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        example from = make(WTE__WEIGHT_BF16, WTE__IN_OUT, 301, 203, rows[i]);
        example to = make(WTE__WEIGHT_BF16, WTE__PANELS, 301, 203, rows[i]);
        const unsigned char *in_out = from.linear.weight;
        unsigned char *panels = to.weights + 1; /* where make() puts them */
        wte__product p = example_product(&from);

        assert_ptr_equal(panels, to.linear.weight);
        for (size_t in = 0; in < 301; in++)
            for (size_t out = 0; out < 203; out++)
                memcpy(panels + 2 * example_at(&to.linear, in, out),
                       in_out + 2 * example_at(&from.linear, in, out), 2);
        run_product(p, 1);
        to.linear.bias = from.bias;
        p.linear = &to.linear;
        p.y = to.y;
        run_product(p, 1);
        for (size_t r = 0; r < rows[i]; r++)
            assert_memory_equal(from.y + r * from.ldy, to.y + r * to.ldy, 203 * sizeof *to.y);
        example_drop(&from);
        example_drop(&to);
    }
}

static void nan_in_a_row_stays_in_its_row_and_is_seen(void **state)
{
    static const size_t rows[] = {2, 12};
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    (void)state;

    for (size_t kind = 0; kind < N_KINDS; kind++)
        for (size_t i = 0; i < 2; i++)
            for (size_t b = 0; b < 3; b++) {
                example e = make(kinds[kind].type, kinds[kind].orientation, 100, 40, rows[i]);

                e.x[e.ldx + 70] = bad[b];
                run_product(example_product(&e), 1);
                for (size_t r = 0; r < e.n_rows; r++)
                    for (size_t j = 0; j < 40; j++)
                        assert_int_equal(isfinite(e.y[r * e.ldy + j]) != 0, r != 1);
                example_drop(&e);
            }
}

static void zeros_and_tiny_rows_give_the_bias_in_8_bits(void **state)
{
    static const size_t rows[] = {1, 12};
    static const float tiny[] = {0, 1e-45f, 1e-38f};
    (void)state;

    for (size_t i = 0; i < 2; i++)
        for (size_t t = 0; t < 3; t++) {
            example e = make(WTE__WEIGHT_INT8, WTE__OUT_IN, 100, 40, rows[i]);

            for (size_t j = 0; j < e.n_rows * e.ldx; j++)
                e.x[j] = tiny[t];
            run_product(example_product(&e), 1);
            for (size_t r = 0; r < e.n_rows; r++)
                for (size_t j = 0; j < 40; j++)
                    assert_true(fabsf(e.y[r * e.ldy + j] - e.bias[j]) <= FLT_EPSILON);
            example_drop(&e);
        }
}

static void every_allocation_may_fail(void **state)
{
    wte__scratch s;
    wte_error err;
    long nth = 0;
    (void)state;

    for (;; nth++) {
        wte_status status;

        wte__fail_alloc(nth);
        status = wte__scratch_new(&s, 10, 20, 2, false, &err);
        wte__fail_alloc(-1);
        if (status == WTE_OK)
            break;
        assert_int_equal(status, WTE_E_NOMEM);
        assert_string_equal(err.message, "no memory to multiply 10 rows of 20");
    }
    assert_int_equal(nth, 6);
    wte__scratch_free(&s, 2);
}

static void more_than_there_can_be_is_refused(void **state)
{
    wte__scratch s;
    (void)state;

    assert_int_equal(wte__scratch_new(&s, SIZE_MAX, 20, 2, false, NULL), WTE_E_NOMEM);
    assert_int_equal(wte__scratch_new(&s, 20, SIZE_MAX, 2, false, NULL), WTE_E_NOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_equal_sums_in_float64),
        cmocka_unit_test(bias_then_activation_then_residual),
        cmocka_unit_test(nothing_is_written_beside_y),
        cmocka_unit_test(the_number_of_workers_changes_no_bit),
        cmocka_unit_test(a_small_batch_changes_no_bit),
        cmocka_unit_test(of_an_in_out_matrix_and_of_codes_no_batch_changes_a_bit),
        cmocka_unit_test(panels_give_the_bits_of_the_matrix_that_they_were_made_of),
        cmocka_unit_test(nan_in_a_row_stays_in_its_row_and_is_seen),
        cmocka_unit_test(zeros_and_tiny_rows_give_the_bias_in_8_bits),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(more_than_there_can_be_is_refused),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
