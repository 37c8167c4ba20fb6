/* SPDX-License-Identifier: MIT */
/* test_onednn.c - products of many rows by oneDNN
 *
 * WTE_ONEDNN=1 makes every processor use it, for float32 as well. Where the library is missing, or
 * cannot multiply a type, only what does not need it is tested: the products have to be right all
 * the same. */
#include "products.h"
#include "network/onednn.h"
#include <dlfcn.h>
#include <float.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WIDEST = 300, MAX_ROWS = 300, N_TEAMS = 3 };

static const unsigned team_sizes[N_TEAMS] = {1, 2, 7};
static wte__team *teams[N_TEAMS];
static wte__scratch scratches[N_TEAMS], plain;
static bool is_there[4]; /* by type of weight */

/* ---- a product and what it should be ------------------------------------------------------ */

static float rounded(float v)
{
    uint16_t half;
    float back;

    wte__kernel()->f32_to_bf16(&v, &half, 1);
    wte__kernel()->bf16_to_f32(&half, &back, 1);
    return back;
}

static example make(wte__weight_type type, wte__orientation orientation, size_t n_in, size_t n_out,
                    size_t n_rows)
{
    return example_make(type, orientation, n_in, n_out, n_rows, 0);
}

static void run_with(const example *e, const wte__scratch *scratch, wte__team *team)
{
    wte__product product = example_product(e);

    product.activation = WTE__ACTIVATION_RELU;
    product.residual = e->residual;
    example_run(product, scratch, team);
}

/* Every y against the sum in float64. If x was rounded first, or never, only float32 sums are
 * between them: n_in products and as many sums, each off by half of FLT_EPSILON at most, of numbers
 * no larger than the sum of all sizes. If it may have been, each product is off by 2^-8 of itself
 * as well, as bfloat16 has 8 bits. */
typedef enum rounding { EXACT, ROUNDED, UNKNOWN } rounding;

static void check(const example *e, rounding how)
{
    const wte__linear *l = &e->linear;

    for (size_t r = 0; r < e->n_rows; r++)
        for (size_t j = 0; j < l->n_out; j++) {
            double sum = (double)l->bias[j], size = fabs(sum), bound, want;
            double got = (double)e->y[r * e->ldy + j];

            for (size_t i = 0; i < l->n_in; i++) {
                const float x = e->x[r * e->ldx + i];
                const double w = e->values[i * l->n_out + j];

                sum += (double)(how == ROUNDED ? rounded(x) : x) * w;
                size += fabs((double)x * w);
            }
            want = (sum < 0 ? 0 : sum) + (double)e->residual[r * e->ldy + j];
            bound = size * (double)(l->n_in + 1) * FLT_EPSILON * 1.01 + 2 * FLT_EPSILON;
            if (how == UNKNOWN)
                bound += size * 0x1p-8;
            if (!(fabs(got - want) <= bound))
                fail_msg(
                    "type %d, orientation %d, %zu x %zu, %zu rows: y[%zu][%zu] is %.9g, not %.9g "
                    "within %g",
                    (int)l->type, (int)l->orientation, l->n_in, l->n_out, e->n_rows, r, j, got,
                    want, bound);
        }
}

static const wte__weight_type types[] = {WTE__WEIGHT_F32, WTE__WEIGHT_BF16};
enum { N_TYPES = sizeof types / sizeof *types };

static int begin(void **state)
{
    (void)state;

    setenv("WTE_ONEDNN", "0", 1);
    if (wte__scratch_new(&plain, MAX_ROWS, WIDEST, 1, true, NULL) != WTE_OK)
        return -1;
    setenv("WTE_ONEDNN", "1", 1);
    for (int i = 0; i < N_TEAMS; i++)
        if (wte__team_new(team_sizes[i], &teams[i], NULL) != WTE_OK ||
            wte__scratch_new(&scratches[i], MAX_ROWS, WIDEST, team_sizes[i], true, NULL) != WTE_OK)
            return -1;
    for (size_t i = 0; i < N_TYPES && scratches[0].onednn; i++) {
        example e = make(types[i], WTE__IN_OUT, 8, 8, 9);

        run_with(&e, &scratches[0], teams[0]);
        is_there[types[i]] = wte__onednn_ready(scratches[0].onednn);
        example_drop(&e);
    }
    print_message("oneDNN multiplies float32: %s, bfloat16: %s\n",
                  is_there[WTE__WEIGHT_F32] ? "yes" : "no",
                  is_there[WTE__WEIGHT_BF16] ? "yes" : "no");
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (int i = 0; i < N_TEAMS; i++) {
        wte__scratch_free(&scratches[i], team_sizes[i]);
        wte__team_free(teams[i]);
    }
    wte__scratch_free(&plain, 1);
    return 0;
}

/* ---- tests -------------------------------------------------------------------------------- */

static void products_equal_sums_in_float64(void **state)
{
    static const size_t shapes[][2] = {{1, 1}, {5, 63}, {33, 64}, {64, 65}, {257, 150}};
    static const size_t rows[] = {9, 16, 17, 70, 256, 257, 300};
    (void)state;

    for (size_t kind = 0; kind < 2 * N_TYPES; kind++)
        for (size_t shape = 0; shape < sizeof shapes / sizeof *shapes; shape++)
            for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                const wte__weight_type type = types[kind / 2];
                example e;

                if (TEST_FEWER && rows[i] > 70)
                    continue;
                e = make(type, (wte__orientation)(kind % 2), shapes[shape][0], shapes[shape][1],
                         rows[i]);
                run_with(&e, &scratches[1], teams[1]);
                if (scratches[1].onednn)
                    assert_int_equal(wte__onednn_ready(scratches[1].onednn), is_there[type]);
                check(&e, type == WTE__WEIGHT_BF16 && is_there[type] ? ROUNDED : EXACT);
                example_drop(&e);
            }
}

static void panels_are_multiplied_too(void **state)
{
    static const size_t rows[] = {25, 300};
    (void)state;

    for (size_t kind = 0; kind < N_TYPES; kind++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            for (size_t n_out = 63; n_out <= 150; n_out += 29) {
                example e = make(types[kind], WTE__PANELS, 257, n_out, rows[i]);

                run_with(&e, &scratches[1], teams[1]);
                if (scratches[1].onednn)
                    assert_int_equal(wte__onednn_ready(scratches[1].onednn), is_there[types[kind]]);
                check(&e,
                      types[kind] == WTE__WEIGHT_BF16 && is_there[types[kind]] ? ROUNDED : EXACT);
                example_drop(&e);
            }
}

static void the_number_of_workers_changes_no_bit(void **state)
{
    static const size_t rows[] = {9, 61, 300};
    (void)state;

    for (size_t kind = 0; kind < 2 * N_TYPES; kind++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            example e = make(types[kind / 2], (wte__orientation)(kind % 2), 100, 333, rows[i]);
            const size_t bytes = e.n_rows * e.ldy * sizeof *e.y;
            float *first = malloc(bytes);

            run_with(&e, &scratches[0], teams[0]);
            memcpy(first, e.y, bytes);
            for (int team = 1; team < N_TEAMS; team++) {
                memset(e.y, 0, bytes);
                run_with(&e, &scratches[team], teams[team]);
                assert_memory_equal(e.y, first, bytes);
            }
            free(first);
            example_drop(&e);
        }
}

/* The bits of a product as it is without oneDNN. */
static bool is_plain(const example *e, const wte__scratch *scratch, wte__team *team)
{
    const size_t bytes = e->n_rows * e->ldy * sizeof *e->y;
    float *first = malloc(bytes);
    bool equal;

    run_with(e, scratch, team);
    memcpy(first, e->y, bytes);
    memset(e->y, 0, bytes);
    run_with(e, &plain, teams[0]);
    equal = memcmp(e->y, first, bytes) == 0;
    free(first);
    return equal;
}

static void few_rows_and_odd_addresses_are_multiplied_without_it(void **state)
{
    (void)state;

    for (size_t i = 0; i < N_TYPES; i++) {
        example few = make(types[i], WTE__OUT_IN, 200, 70, WTE__FEW_ROWS);
        example many = make(types[i], WTE__OUT_IN, 200, 70, WTE__FEW_ROWS + 1);
        const size_t size = types[i] == WTE__WEIGHT_F32 ? 4 : 2;

        assert_true(is_plain(&few, &scratches[0], teams[0]));
        if (is_there[types[i]])
            assert_false(is_plain(&many, &scratches[0], teams[0]));
        memmove(many.weights + 1, many.weights, 70 * many.linear.stride * size);
        many.linear.weight = many.weights + 1;
        assert_true(is_plain(&many, &scratches[0], teams[0]));
        check(&many, EXACT);
        example_drop(&few);
        example_drop(&many);
    }
}

static void bfloat16_is_not_rounded_in_a_session_of_float32(void **state)
{
    wte__scratch s;
    (void)state;

    assert_int_equal(wte__scratch_new(&s, 10, 20, 2, false, NULL), WTE_OK);
    assert_int_equal(s.onednn_types >> WTE__WEIGHT_BF16 & 1, 0);
    wte__scratch_free(&s, 2);
}

static void the_environment_turns_it_off(void **state)
{
    wte__scratch s;
    (void)state;

    setenv("WTE_ONEDNN", "0", 1);
    assert_int_equal(wte__onednn_types(), 0);
    assert_int_equal(wte__scratch_new(&s, 10, 20, 2, true, NULL), WTE_OK);
    setenv("WTE_ONEDNN", "1", 1);
    assert_null(s.onednn);
    wte__scratch_free(&s, 2);
}

static void nan_in_a_row_stays_in_its_row(void **state)
{
    example e = make(WTE__WEIGHT_F32, WTE__OUT_IN, 40, 70, 20);
    (void)state;

    e.x[e.ldx + 7] = NAN;
    run_with(&e, &scratches[1], teams[1]);
    for (size_t r = 0; r < e.n_rows; r++)
        for (size_t j = 0; j < 70; j++)
            assert_int_equal(isfinite(e.y[r * e.ldy + j]) != 0, r != 1);
    example_drop(&e);
}

static void every_allocation_may_fail(void **state)
{
    example e = make(WTE__WEIGHT_F32, WTE__IN_OUT, 30, 100, 40);
    long nth = 0;
    bool ready = false;
    (void)state;

    if (!is_there[WTE__WEIGHT_F32]) {
        example_drop(&e);
        skip();
    }
    for (; !ready; nth++) {
        wte__scratch s;
        wte_status status;

        wte__fail_alloc(nth);
        status = wte__scratch_new(&s, 40, 30, 2, true, NULL);
        if (status == WTE_OK) {
            run_with(&e, &s, teams[1]);
            wte__fail_alloc(-1);
            ready = wte__onednn_ready(s.onednn);
            check(&e, EXACT); /* with oneDNN or without */
            run_with(&e, &s, teams[1]);
            assert_true(wte__onednn_ready(s.onednn)); /* the next one has memory again */
            check(&e, EXACT);
            wte__scratch_free(&s, 2);
        } else {
            assert_int_equal(status, WTE_E_NOMEM);
        }
        wte__fail_alloc(-1);
    }
    assert_true(nth > 10);
    example_drop(&e);
}

static void the_callers_openmp_keeps_its_threads(void **state)
{
    void *library =
        is_there[WTE__WEIGHT_F32] ? dlopen("libgomp.so.1", RTLD_NOW | RTLD_NOLOAD) : NULL;
    example e = make(WTE__WEIGHT_F32, WTE__IN_OUT, 30, 100, 40);
    void (*set)(int);
    int (*get)(void);
    void *symbol;
    (void)state;

    if (!library) {
        example_drop(&e);
        skip();
    }
    symbol = dlsym(library, "omp_set_num_threads");
    memcpy(&set, &symbol, sizeof set);
    symbol = dlsym(library, "omp_get_max_threads");
    memcpy(&get, &symbol, sizeof get);
    set(3);
    run_with(&e, &scratches[1], teams[1]);
    assert_int_equal(get(), 3);
    example_drop(&e);
    dlclose(library);
}

/* In a process of its own: a library is looked for once. */
static int run_without_library(void)
{
    const pid_t child = fork();
    int status = -1;

    if (child == 0) {
        wte__scratch s;
        wte__team *team;
        example e = make(WTE__WEIGHT_F32, WTE__IN_OUT, 30, 100, 40);
        bool good;

        setenv("WTE_ONEDNN", "0", 1);
        good = wte__team_new(2, &team, NULL) == WTE_OK &&
               wte__team_new(1, &teams[0], NULL) == WTE_OK &&
               wte__scratch_new(&plain, 40, 30, 1, false, NULL) == WTE_OK &&
               setenv("WTE_ONEDNN", "/nowhere/libdnnl.so", 1) == 0 &&
               wte__scratch_new(&s, 40, 30, 2, true, NULL) == WTE_OK && is_plain(&e, &s, team) &&
               !(s.onednn && wte__onednn_ready(s.onednn));
        _exit(good ? 0 : 1);
    }
    waitpid(child, &status, 0);
    return status;
}

static int without_library = -1;

static void a_missing_library_is_done_without(void **state)
{
    (void)state;
    assert_int_equal(without_library, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_equal_sums_in_float64),
        cmocka_unit_test(panels_are_multiplied_too),
        cmocka_unit_test(the_number_of_workers_changes_no_bit),
        cmocka_unit_test(few_rows_and_odd_addresses_are_multiplied_without_it),
        cmocka_unit_test(bfloat16_is_not_rounded_in_a_session_of_float32),
        cmocka_unit_test(the_environment_turns_it_off),
        cmocka_unit_test(nan_in_a_row_stays_in_its_row),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(the_callers_openmp_keeps_its_threads),
        cmocka_unit_test(a_missing_library_is_done_without),
    };

    without_library = run_without_library(); /* before there are threads */
    return cmocka_run_group_tests(tests, begin, end);
}
