/* SPDX-License-Identifier: MIT */
/* test_unfinished.c - files under way are known, so that a dying program can delete them */
#include "support.h"
#include <unistd.h>
#include "base/base.h"
#include "wte/space.h"

static char *path_in(const char *folder, const char *name)
{
    return wte__concat(folder, "/", name, (const char *)NULL);
}

static void a_file_under_way_is_deleted(void **state)
{
    char *path = path_in(test_folder(), "under-way");
    wte__outfile f;
    wte_error err;
    (void)state;

    assert_int_equal(wte__outfile_open(&f, path, &err), WTE_OK);
    assert_int_equal(access(f.temp, F_OK), 0);
    wte_delete_unfinished();
    assert_int_not_equal(access(f.temp, F_OK), 0);
    assert_int_equal(wte__outfile_commit(&f, &err), WTE_E_IO);
    assert_int_not_equal(access(path, F_OK), 0);
    wte__free(path);
}

static void a_complete_file_stays(void **state)
{
    char *path = path_in(test_folder(), "complete");
    (void)state;

    for (int i = 0; i < 100; i++) { /* more than can be under way at once */
        wte__outfile f;

        assert_int_equal(wte__outfile_open(&f, path, NULL), WTE_OK);
        assert_int_equal(wte__outfile_commit(&f, NULL), WTE_OK);
    }
    wte_delete_unfinished();
    assert_int_equal(access(path, F_OK), 0);
    wte__free(path);
}

static void an_abandoned_file_is_forgotten(void **state)
{
    char *path = path_in(test_folder(), "abandoned"), *temp;
    wte__outfile f;
    (void)state;

    assert_int_equal(wte__outfile_open(&f, path, NULL), WTE_OK);
    temp = wte__strdup(f.temp);
    wte__outfile_abort(&f);
    assert_int_not_equal(access(temp, F_OK), 0);
    /* someone else may have that name now */
    fclose(fopen(temp, "w"));
    wte_delete_unfinished();
    assert_int_equal(access(temp, F_OK), 0);
    wte__free(temp);
    wte__free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_under_way_is_deleted),
        cmocka_unit_test(a_complete_file_stays),
        cmocka_unit_test(an_abandoned_file_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
