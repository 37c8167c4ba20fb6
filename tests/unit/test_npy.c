/* SPDX-License-Identifier: MIT */
/* test_npy.c - wte/npy.h against the bytes that numpy 1.24's save writes */
#include "support.h"
#include <dirent.h>
#include <unistd.h>
#include "base/base.h"
#include "wte/npy.h"

/* A path in the test's folder, of a file that need not be there. */
static const char *target(const char *name)
{
    const char *path = write_file(name, "", 0);

    unlink(path);
    return path;
}

/* Number of files in the test's folder. */
static int files_left(void)
{
    DIR *d = opendir(test_folder());
    int n = -2; /* . and .. */

    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* Check that a file is a header of 128 bytes, the given text padded with spaces, and then data. */
static void expect_file(const char *path, const char *text, const void *data, size_t n)
{
    char want[128], got[4096];
    FILE *f = fopen(path, "rb");
    size_t n_got;

    assert_non_null(f);
    n_got = fread(got, 1, sizeof got, f);
    fclose(f);
    memset(want, ' ', sizeof want);
    memcpy(want, "\x93NUMPY\x01\x00v\x00", 10);
    memcpy(want + 10, text, strlen(text));
    want[127] = '\n';
    assert_int_equal(n_got, sizeof want + n);
    assert_memory_equal(got, want, sizeof want);
    assert_memory_equal(got + sizeof want, data, n);
}

static void matrix_of_floats_has_numpys_bytes(void **state)
{
    static const float data[2][3] = {{1, 2, 3}, {4, 5, 6}};
    const char *path = target("matrix.npy");
    (void)state;

    assert_int_equal(wte_npy_write(path, "<f4", (const size_t[]){2, 3}, 2, data, NULL), WTE_OK);
    expect_file(path, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", data,
                sizeof data);
    unlink(path);
}

static void one_dimension_has_a_comma(void **state)
{
    static const int64_t data[5] = {1, -2, 3, INT64_MAX, INT64_MIN};
    const char *path = target("vector.npy");
    (void)state;

    assert_int_equal(wte_npy_write(path, "<i8", (const size_t[]){5}, 1, data, NULL), WTE_OK);
    expect_file(path, "{'descr': '<i8', 'fortran_order': False, 'shape': (5,), }", data,
                sizeof data);
    unlink(path);
}

static void scalars_empty_arrays_and_eight_dimensions_are_written(void **state)
{
    static const double number = 0.5;
    static const size_t ones[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    const char *path = target("other.npy");
    (void)state;

    assert_int_equal(wte_npy_write(path, "<f8", NULL, 0, &number, NULL), WTE_OK);
    expect_file(path, "{'descr': '<f8', 'fortran_order': False, 'shape': (), }", &number, 8);
    assert_int_equal(wte_npy_write(path, "<u4", (const size_t[]){0}, 1, NULL, NULL), WTE_OK);
    expect_file(path, "{'descr': '<u4', 'fortran_order': False, 'shape': (0,), }", "", 0);
    assert_int_equal(wte_npy_write(path, "|u1", ones, 8, "x", NULL), WTE_OK);
    expect_file(path,
                "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1), }",
                "x", 1);
    unlink(path);
}

static void data_begin_at_a_multiple_of_64_for_the_longest_shape(void **state)
{
    /* 0 times anything is 0, so only the text is long. */
    static const size_t shape[8] = {0,        SIZE_MAX, SIZE_MAX, SIZE_MAX,
                                    SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX};
    const char *path = target("long.npy");
    char got[512];
    FILE *f;
    size_t n, length;
    (void)state;

    assert_int_equal(wte_npy_write(path, "|u1", shape, 8, NULL, NULL), WTE_OK);
    f = fopen(path, "rb");
    assert_non_null(f);
    n = fread(got, 1, sizeof got, f);
    fclose(f);
    length = 10u + (unsigned char)got[8] + 256u * (unsigned char)got[9];
    assert_int_equal(n, length);
    assert_int_equal(n % 64, 0);
    assert_int_equal(got[n - 1], '\n');
    unlink(path);
}

static void what_cannot_be_written_is_refused_and_leaves_nothing(void **state)
{
    static const size_t huge[2] = {SIZE_MAX / 2, 3};
    static const size_t ones[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    const char *path = target("refused.npy");
    char missing[4200];
    wte_error err;
    (void)state;

    assert_int_equal(wte_npy_write(path, "<f2", ones, 1, "xx", &err), WTE_E_RANGE);
    assert_non_null(strstr(err.message, "'<f2'"));
    assert_int_equal(wte_npy_write(path, "<f4", huge, 2, "xx", &err), WTE_E_RANGE);
    assert_int_equal(wte_npy_write(path, "|u1", ones, 9, "xx", &err), WTE_E_RANGE);
    assert_non_null(strstr(err.message, "9 dimensions"));
    snprintf(missing, sizeof missing, "%s/no/such/folder.npy", test_folder());
    assert_int_equal(wte_npy_write(missing, "|u1", ones, 1, "x", &err), WTE_E_IO);
    assert_non_null(strstr(err.message, "folder.npy"));
    assert_int_equal(files_left(), 0);
}

static void a_folder_in_the_way_is_an_error_that_leaves_nothing_else(void **state)
{
    const char *path = target("taken.npy");
    wte_error err;
    (void)state;

    assert_int_equal(wte__mkdirs(path, &err), WTE_OK);
    assert_int_equal(wte_npy_write(path, "|u1", (const size_t[]){1}, 1, "x", &err), WTE_E_IO);
    assert_non_null(strstr(err.message, "taken.npy"));
    assert_int_equal(files_left(), 1);
    rmdir(path);
}

static void every_allocation_may_fail(void **state)
{
    const char *path = target("alloc.npy");
    wte_status status = WTE_E_NOMEM;
    (void)state;

    for (long nth = 0; status == WTE_E_NOMEM; nth++) {
        assert_true(nth < 100);
        assert_int_equal(files_left(), 0);
        wte__fail_alloc(nth);
        status = wte_npy_write(path, "|u1", (const size_t[]){1}, 1, "x", NULL);
    }
    wte__fail_alloc(-1);
    assert_int_equal(status, WTE_OK);
    assert_int_equal(files_left(), 1);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matrix_of_floats_has_numpys_bytes),
        cmocka_unit_test(one_dimension_has_a_comma),
        cmocka_unit_test(scalars_empty_arrays_and_eight_dimensions_are_written),
        cmocka_unit_test(data_begin_at_a_multiple_of_64_for_the_longest_shape),
        cmocka_unit_test(what_cannot_be_written_is_refused_and_leaves_nothing),
        cmocka_unit_test(a_folder_in_the_way_is_an_error_that_leaves_nothing_else),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
