/* SPDX-License-Identifier: MIT */
/* test_model.c - wte/model.h: what a name, a folder or a path stands for */
#include "support.h"
#include <sys/stat.h>
#include "base/base.h"
#include "wte/model.h"

static int set_up(void **state)
{
    char path[400];
    (void)state;

    snprintf(path, sizeof path, "%s/gensim/one-model", test_folder());
    wte__mkdirs(path, NULL);
    snprintf(path, sizeof path, "%s/gensim/two-files", test_folder());
    wte__mkdirs(path, NULL);
    snprintf(path, sizeof path, "%s/data/models/demo", test_folder());
    wte__mkdirs(path, NULL);
    write_file("gensim/one-model/one-model.gz", "x", 1);
    write_file("gensim/one-model/__init__.py", "", 0);
    write_file("gensim/two-files/a.bin", "x", 1);
    write_file("gensim/two-files/b.txt", "x", 1);
    write_file("data/models/demo/vectors.safetensors", "x", 1);
    snprintf(path, sizeof path, "%s/gensim", test_folder());
    setenv("GENSIM_DATA_DIR", path, 1);
    snprintf(path, sizeof path, "%s/data", test_folder());
    setenv("WTE_DATA_DIR", path, 1);
    snprintf(path, sizeof path, "%s/hub", test_folder());
    setenv("HF_HUB_CACHE", path, 1);
    unsetenv("WTE_MODEL");
    return 0;
}

static void a_name_of_gensim_data_is_its_file(void **state)
{
    char path[4096], want[4096];
    (void)state;

    assert_int_equal(wte_model_find("one-model", path, sizeof path, NULL), WTE_OK);
    snprintf(want, sizeof want, "%s/gensim/one-model/one-model.gz", test_folder());
    assert_string_equal(path, want);
}

static void no_name_is_the_demo_or_what_the_environment_says(void **state)
{
    char path[4096], want[4096];
    (void)state;

    snprintf(want, sizeof want, "%s/data/models/demo/vectors.safetensors", test_folder());
    assert_int_equal(wte_model_find(NULL, path, sizeof path, NULL), WTE_OK);
    assert_string_equal(path, want);
    setenv("WTE_MODEL", "one-model", 1);
    assert_int_equal(wte_model_find(NULL, path, sizeof path, NULL), WTE_OK);
    assert_non_null(strstr(path, "one-model.gz"));
    unsetenv("WTE_MODEL");
}

static void a_folder_must_hold_one_vector_file(void **state)
{
    char path[4096] = "untouched", folder[4096];
    wte_error err;
    (void)state;

    assert_int_equal(wte_model_find("two-files", path, sizeof path, &err), WTE_E_NOTFOUND);
    assert_non_null(strstr(err.message, "2 files here could be meant"));
    assert_non_null(strstr(err.message, "a.bin"));
    snprintf(folder, sizeof folder, "%s/gensim", test_folder());
    assert_int_equal(wte_model_find(folder, path, sizeof path, &err), WTE_E_NOTFOUND);
    assert_non_null(strstr(err.message, "no vector file in this folder"));
    assert_string_equal(path, "untouched");
}

static void a_path_is_itself_even_where_it_is_missing(void **state)
{
    char path[4096];
    (void)state;

    assert_int_equal(wte_model_find("./missing.bin", path, sizeof path, NULL), WTE_OK);
    assert_string_equal(path, "./missing.bin");
    assert_int_equal(wte_model_find("./missing.bin", path, 5, NULL), WTE_E_RANGE);
}

static void an_unknown_name_says_where_was_looked(void **state)
{
    char path[4096];
    wte_error err;
    (void)state;

    assert_int_equal(wte_model_find("no-such-model", path, sizeof path, &err), WTE_E_NOTFOUND);
    assert_non_null(strstr(err.message, "no model 'no-such-model'"));
    assert_non_null(strstr(err.message, "/gensim"));
}

static void the_list_has_each_model_once_by_name(void **state)
{
    wte_model_list list;
    (void)state;

    assert_int_equal(wte_model_get_list(&list, NULL), WTE_OK);
    assert_int_equal(list.n, 2);
    assert_string_equal(list.entries[0].name, "demo");
    assert_string_equal(list.entries[0].kind, "ships with wte");
    assert_string_equal(list.entries[1].name, "one-model");
    assert_int_equal(list.entries[1].bytes, 1);
    wte_model_list_free(&list);
    wte_model_list_free(&list);
}

static void every_allocation_may_fail(void **state)
{
    wte_model_list list;
    long nth;
    (void)state;

    for (nth = 0;; nth++) {
        wte__fail_alloc(nth);
        wte_status status = wte_model_get_list(&list, NULL);
        wte__fail_alloc(-1);
        if (status == WTE_OK)
            break;
        assert_int_equal(status, WTE_E_NOMEM);
    }
    assert_true(nth >= 7);
    wte_model_list_free(&list);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_of_gensim_data_is_its_file),
        cmocka_unit_test(no_name_is_the_demo_or_what_the_environment_says),
        cmocka_unit_test(a_folder_must_hold_one_vector_file),
        cmocka_unit_test(a_path_is_itself_even_where_it_is_missing),
        cmocka_unit_test(an_unknown_name_says_where_was_looked),
        cmocka_unit_test(the_list_has_each_model_once_by_name),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
