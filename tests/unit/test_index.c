/* SPDX-License-Identifier: MIT */
/* test_index.c - the index of a file that was opened: made, found, noticed when it no longer fits
 */
#include "support.h"
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/base.h"
#include "space/space_internal.h"
#include "wte/cache.h"
#include "wte/similarity.h"

enum { N_ROWS = 5000, DIM = 12 };

static char cache[4200], source[4096];

/* A word2vec .bin whose first number says which version of the file it is. */
static void write_source(const char *name, float version)
{
    FILE *f;
    uint64_t seed = 5;

    snprintf(source, sizeof source, "%s/%s", test_folder(), name);
    f = fopen(source, "wb");
    assert_non_null(f);
    fprintf(f, "%d %d\n", N_ROWS, DIM);
    for (int i = 0; i < N_ROWS; i++) {
        float row[DIM];

        fprintf(f, "word%d ", i == 77 ? 3 : i);
        for (int d = 0; d < DIM; d++)
            row[d] = i == 9 ? 0 : (float)(wte__random(&seed) >> 40) * 0x1p-23f - 1;
        if (i == 0)
            row[0] = version;
        fwrite(row, sizeof *row, DIM, f);
        fputc('\n', f);
    }
    assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
    static int turn;
    (void)state;

    snprintf(cache, sizeof cache, "%s/cache%d/deep", test_folder(), turn++);
    write_source("vectors.bin", 1);
    return 0;
}

static wte_space *open_with(unsigned threads)
{
    wte_open_options options = {WTE_CACHE_ALWAYS, cache, threads, NULL, NULL};
    wte_space *space = NULL;
    wte_error err = {WTE_OK, 0, ""};

    if (wte_space_open(source, &options, &space, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return space;
}

/* Open, check the numbers, and tell what became of the index. */
static wte_index_state open_state(float version, char *note, char *index_path)
{
    wte_space *space = open_with(0);
    const wte_space_info *info = wte_space_get_info(space);
    wte_index_state state = info->index;
    float x[DIM];
    uint32_t id = 0;

    assert_int_equal(info->n_rows, N_ROWS);
    assert_int_equal(info->n_duplicates, 1);
    assert_int_equal(info->n_undirected, 1);
    assert_int_equal(info->has_codes, state != WTE_INDEX_FAILED);
    assert_string_equal(info->name, "vectors");
    assert_int_equal(info->first_row_offset, 14);
    assert_string_equal(info->format, "word2vec binary");
    assert_int_equal(wte_space_vector(space, 0, x, NULL), WTE_OK);
    assert_true(x[0] == version);
    assert_int_equal(wte_space_find(space, "word4999", 8, &id, NULL), WTE_OK);
    assert_int_equal(id, 4999);
    assert_true(wte_space_norm(space, 77) == 0 && wte_space_norm(space, 78) > 0);
    if (note)
        snprintf(note, 512, "%s", info->index_note);
    if (index_path)
        snprintf(index_path, 4096, "%s", info->index_path);
    wte_space_free(space);
    return state;
}

static size_t files_in(const char *folder)
{
    wte_cache_list list;
    size_t n;

    assert_int_equal(wte_cache_get_list(folder, &list, NULL), WTE_OK);
    n = list.n;
    wte_cache_list_free(&list);
    return n;
}

static void the_second_open_finds_what_the_first_built(void **state)
{
    char path[4096], note[512];
    struct stat st;
    (void)state;

    assert_int_equal(open_state(1, note, path), WTE_INDEX_BUILT);
    assert_string_equal(note, "");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(strncmp(path, cache, strlen(cache)), 0);
    assert_int_equal(open_state(1, note, NULL), WTE_INDEX_FOUND);
    assert_int_equal(open_state(1, note, NULL), WTE_INDEX_FOUND);
    assert_string_equal(note, "");
    assert_int_equal(files_in(cache), 1);
}

static void an_index_says_the_same_as_the_file(void **state)
{
    wte_open_options options = {WTE_CACHE_NEVER, NULL, 0, NULL, NULL};
    wte_space *built = open_with(2), *found = open_with(1), *plain = NULL;
    wte_baseline a, b, c;
    (void)state;

    assert_int_equal(wte_space_open(source, &options, &plain, NULL), WTE_OK);
    assert_int_equal(wte_space_get_info(plain)->index, WTE_INDEX_NONE);
    assert_int_equal(wte_space_get_info(plain)->has_codes, 0);
    for (uint32_t i = 0; i < N_ROWS; i++) {
        float x[DIM], y[DIM], z[DIM];
        size_t n, m;
        const char *v = wte_space_word(found, i, &n), *w = wte_space_word(plain, i, &m);

        assert_int_equal(n, m);
        assert_memory_equal(v, w, n);
        wte_space_vector(built, i, x, NULL);
        wte_space_vector(found, i, y, NULL);
        wte_space_vector(plain, i, z, NULL);
        assert_memory_equal(x, y, sizeof x);
        assert_memory_equal(x, z, sizeof x);
        assert_true(wte_space_norm(built, i) == wte_space_norm(plain, i));
        assert_true(wte_space_norm(found, i) == wte_space_norm(plain, i));
        assert_true(built->codes.scales[i] == found->codes.scales[i]);
    }
    assert_memory_equal(built->codes.codes, found->codes.codes, (size_t)N_ROWS * DIM);
    assert_int_equal(wte_space_baseline(built, &a, NULL), WTE_OK);
    assert_int_equal(wte_space_baseline(found, &b, NULL), WTE_OK);
    assert_int_equal(wte_space_baseline(plain, &c, NULL), WTE_OK);
    assert_int_equal(a.n_pairs, WTE__N_BASELINE);
    assert_true(a.mean == b.mean && a.sd == b.sd && a.p05 == b.p05 && a.p95 == b.p95);
    assert_true(a.mean == c.mean && a.sd == c.sd && a.p05 == c.p05 && a.p95 == c.p95);
    wte_space_free(built);
    wte_space_free(found);
    wte_space_free(plain);
}

static char *read_all(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    char *data;

    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    data = malloc(*size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *size, f), *size);
    fclose(f);
    return data;
}

static void the_index_does_not_depend_on_the_number_of_threads(void **state)
{
    char path[4096];
    char *data[3];
    size_t size[3];
    (void)state;

    for (unsigned t = 0; t < 3; t++) {
        wte_space *space = open_with(t + 1);

        snprintf(path, sizeof path, "%s", wte_space_get_info(space)->index_path);
        wte_space_free(space);
        data[t] = read_all(path, &size[t]);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(size[t], size[0]);
        /* all but the header, which has the time */
        assert_memory_equal(data[t] + 16384, data[0] + 16384, size[0] - 16384);
    }
    for (unsigned t = 0; t < 3; t++)
        free(data[t]);
}

static void a_changed_source_is_read_again(void **state)
{
    char note[512];
    (void)state;

    assert_int_equal(open_state(1, note, NULL), WTE_INDEX_BUILT);
    write_source("vectors.bin", 2);
    assert_int_equal(open_state(2, note, NULL), WTE_INDEX_REBUILT);
    assert_string_equal(note, "the file has changed since");
    assert_int_equal(open_state(2, note, NULL), WTE_INDEX_FOUND);
    assert_int_equal(files_in(cache), 1);
}

/* Change the index somewhere, then expect it to be made anew for the given reason. */
static void expect_rebuilt(const char *reason)
{
    char note[512];

    assert_int_equal(open_state(1, note, NULL), WTE_INDEX_REBUILT);
    if (!strstr(note, reason))
        fail_msg("'%s' has no '%s'", note, reason);
    assert_int_equal(open_state(1, note, NULL), WTE_INDEX_FOUND);
}

static void damage_is_noticed(void **state)
{
    static const char foreign[] = "not an index at all, but somebody's notes";
    char path[4096];
    struct stat st;
    struct timespec times[2];
    FILE *f;
    int fd;
    (void)state;

    assert_int_equal(open_state(1, NULL, path), WTE_INDEX_BUILT);
    assert_int_equal(stat(path, &st), 0);
    f = fopen(path, "r+b"); /* one byte in the middle */
    assert_non_null(f);
    fseek(f, st.st_size / 2, SEEK_SET);
    fputc(0x55, f);
    fclose(f);
    expect_rebuilt("written to after it was made");

    assert_int_equal(truncate(path, st.st_size - 100), 0);
    expect_rebuilt("it is damaged: ");
    assert_int_equal(truncate(path, 0), 0);
    expect_rebuilt("it is damaged: ");

    f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(foreign, 1, sizeof foreign, f);
    fclose(f);
    expect_rebuilt("it is damaged: ");

    /* pages that a power failure lost: a hole, and the time of the last change as it was */
    fd = open(path, O_WRONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    times[0] = times[1] = st.st_mtim;
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 65536, 65536) == 0) {
        assert_int_equal(futimens(fd, times), 0);
        expect_rebuilt("never reached the disk");
    }
    close(fd);
}

static void two_files_of_one_name_have_two_indexes(void **state)
{
    char folder[4096], first[4096];
    (void)state;

    assert_int_equal(open_state(1, NULL, NULL), WTE_INDEX_BUILT);
    snprintf(first, sizeof first, "%s", source);
    snprintf(folder, sizeof folder, "%s/other", test_folder());
    assert_int_equal(wte__mkdirs(folder, NULL), WTE_OK);
    write_source("other/vectors.bin", 3);
    assert_int_equal(open_state(3, NULL, NULL), WTE_INDEX_BUILT);
    snprintf(source, sizeof source, "%s", first);
    assert_int_equal(open_state(1, NULL, NULL), WTE_INDEX_FOUND);
    assert_int_equal(files_in(cache), 2);
}

static void a_full_disk_is_a_note(void **state)
{
    struct rlimit limit, small = {60000, RLIM_INFINITY};
    char note[512];
    (void)state;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, SIG_IGN);
    small.rlim_max = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    wte_index_state got = open_state(1, note, NULL);
    setrlimit(RLIMIT_FSIZE, &limit);
    assert_int_equal(got, WTE_INDEX_FAILED);
    assert_non_null(strstr(note, "File too large"));
    assert_int_equal(files_in(cache), 0);
    {
        size_t n = 9;

        assert_int_equal(wte_cache_clear(cache, &n, NULL, NULL), WTE_OK);
        assert_int_equal(n, 0); /* nothing half-written is left */
    }
    assert_int_equal(open_state(1, note, NULL), WTE_INDEX_BUILT);
}

static void a_folder_that_cannot_be_made_is_a_note(void **state)
{
    char note[512];
    (void)state;

    snprintf(cache, sizeof cache, "%s/deeper", source); /* below a file */
    assert_int_equal(open_state(1, note, NULL), WTE_INDEX_FAILED);
    assert_non_null(strstr(note, "cannot create the folder"));
}

static void no_home_is_a_note(void **state)
{
    wte_open_options options = {WTE_CACHE_ALWAYS, NULL, 0, NULL, NULL};
    const char *home = getenv("HOME");
    char kept[4096];
    wte_space *space = NULL;
    (void)state;

    snprintf(kept, sizeof kept, "%s", home ? home : "");
    unsetenv("HOME");
    unsetenv("WTE_CACHE");
    unsetenv("XDG_CACHE_HOME");
    assert_int_equal(wte_space_open(source, &options, &space, NULL), WTE_OK);
    assert_int_equal(wte_space_get_info(space)->index, WTE_INDEX_FAILED);
    assert_non_null(strstr(wte_space_get_info(space)->index_note, "no cache folder"));
    wte_space_free(space);
    setenv("HOME", kept, 1);
}

static void small_files_have_no_index_unless_wanted(void **state)
{
    wte_open_options options = {WTE_CACHE_AUTO, cache, 0, NULL, NULL};
    wte_space *space = NULL;
    (void)state;

    assert_int_equal(wte_space_open(source, &options, &space, NULL), WTE_OK);
    assert_int_equal(wte_space_get_info(space)->index, WTE_INDEX_NONE);
    wte_space_free(space);
    setenv("WTE_INDEX_MIN", "1000", 1);
    assert_int_equal(wte_space_open(source, &options, &space, NULL), WTE_OK);
    unsetenv("WTE_INDEX_MIN");
    assert_int_equal(wte_space_get_info(space)->index, WTE_INDEX_BUILT);
    wte_space_free(space);
}

static void the_environment_says_where_the_cache_is(void **state)
{
    wte_open_options options = {WTE_CACHE_ALWAYS, NULL, 0, NULL, NULL};
    char folder[4200];
    wte_cache_list list;
    (void)state;

    for (int way = 0; way < 3; way++) {
        wte_space *space = NULL;

        snprintf(folder, sizeof folder, "%s/way%d", test_folder(), way);
        unsetenv("WTE_CACHE");
        unsetenv("XDG_CACHE_HOME");
        setenv(way == 0 ? "WTE_CACHE" : way == 1 ? "XDG_CACHE_HOME" : "HOME", folder, 1);
        assert_int_equal(wte_space_open(source, &options, &space, NULL), WTE_OK);
        if (way > 0)
            strcat(folder, way == 1 ? "/wte" : "/.cache/wte");
        assert_int_equal(strncmp(wte_space_get_info(space)->index_path, folder, strlen(folder)), 0);
        wte_space_free(space);
        assert_int_equal(wte_cache_get_list(NULL, &list, NULL), WTE_OK);
        assert_string_equal(list.folder, folder);
        assert_int_equal(list.n, 1);
        wte_cache_list_free(&list);
    }
    unsetenv("XDG_CACHE_HOME");
}

static void processes_that_build_at_once_all_succeed(void **state)
{
    enum { N = 6 };
    pid_t pids[N];
    (void)state;

    for (int i = 0; i < N; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            wte_open_options options = {WTE_CACHE_ALWAYS, cache, 2, NULL, NULL};
            wte_space *space = NULL;
            uint32_t id = 0;
            int good = wte_space_open(source, &options, &space, NULL) == WTE_OK &&
                       wte_space_get_info(space)->index != WTE_INDEX_FAILED &&
                       wte_space_get_info(space)->n_duplicates == 1 &&
                       wte_space_find(space, "word4998", 8, &id, NULL) == WTE_OK && id == 4998;

            _exit(good ? 0 : 1);
        }
    }
    for (int i = 0; i < N; i++) {
        int status = 1;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(files_in(cache), 1);
    assert_int_equal(open_state(1, NULL, NULL), WTE_INDEX_FOUND);
}

static void text_and_packed_files_have_their_rows_in_the_index(void **state)
{
    static const char text[] = "3 2\na 1 2\nb 3 4\nc 0 0\n";
    (void)state;

    for (int pass = 0; pass < 2; pass++) {
        float x[2];

        snprintf(source, sizeof source, "%s/t.txt", test_folder());
        if (pass == 0)
            write_file("t.txt", text, sizeof text - 1);
        wte_space *space = open_with(0);
        const wte_space_info *info = wte_space_get_info(space);

        assert_int_equal(info->index, pass ? WTE_INDEX_FOUND : WTE_INDEX_BUILT);
        assert_string_equal(info->format, "word2vec text");
        assert_int_equal(info->first_row_offset, 0);
        assert_int_equal(info->matrix_bytes, 24);
        assert_int_equal(info->n_undirected, 1);
        assert_int_equal(wte_space_vector(space, 1, x, NULL), WTE_OK);
        assert_true(x[0] == 3 && x[1] == 4);
        assert_int_equal((uintptr_t)wte__row(&space->rows, 1) % 64, 0);
        wte_space_free(space);
    }
}

/* Write a file of 9000 rows, two numbers each, whose row `at` has a word of `len` letters. */
static void write_with_long_word(int at, size_t len)
{
    FILE *f;

    snprintf(source, sizeof source, "%s/long.bin", test_folder());
    f = fopen(source, "wb");
    assert_non_null(f);
    fprintf(f, "9000 2\n");
    for (int i = 0; i < 9000; i++) {
        float row[2] = {(float)i, 1};

        for (size_t j = 0; i == at && j < len; j++)
            fputc('L', f);
        fprintf(f, "w%d ", i);
        fwrite(row, sizeof *row, 2, f);
    }
    assert_int_equal(fclose(f), 0);
}

static void a_word_longer_than_what_is_read_at_once_changes_nothing(void **state)
{
    static const size_t lengths[] = {100, 4095, 4096, 200000};
    (void)state;

    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++)
        for (int at = 0; at < 9000; at += 8999 / 2) {
            wte_open_options never = {WTE_CACHE_NEVER, NULL, 0, NULL, NULL};
            wte_space *built, *plain = NULL;

            write_with_long_word(at, lengths[l]);
            built = open_with(2);
            assert_int_equal(wte_space_open(source, &never, &plain, NULL), WTE_OK);
            for (uint32_t i = 0; i < 9000; i++) {
                size_t n_a = 0, n_b = 0;
                const char *a = wte_space_word(built, i, &n_a), *b = wte_space_word(plain, i, &n_b);
                float x[2];

                assert_int_equal(n_a, n_b);
                assert_memory_equal(a, b, n_a);
                assert_int_equal(wte_space_vector(built, i, x, NULL), WTE_OK);
                assert_true(x[0] == (float)i && x[1] == 1);
            }
            wte_space_free(built);
            wte_space_free(plain);
        }
}

static void a_file_that_ends_early_says_the_same_with_and_without_an_index(void **state)
{
    struct stat st;
    (void)state;

    write_with_long_word(4000, 50000);
    assert_int_equal(stat(source, &st), 0);
    for (off_t cut = 1; cut < st.st_size; cut += 7001) {
        wte_open_options options = {WTE_CACHE_ALWAYS, cache, 2, NULL, NULL};
        wte_error with = {WTE_OK, 0, ""}, without = {WTE_OK, 0, ""};
        wte_space *space = NULL;

        assert_int_equal(truncate(source, st.st_size - cut), 0);
        assert_int_equal(wte_space_open(source, &options, &space, &with), WTE_E_FORMAT);
        options.cache = WTE_CACHE_NEVER;
        assert_int_equal(wte_space_open(source, &options, &space, &without), WTE_E_FORMAT);
        assert_string_equal(with.message, without.message);
        assert_int_equal(with.offset, without.offset);
    }
    assert_int_equal(files_in(cache), 0);
}

static void an_index_opened_as_a_file_says_what_it_is(void **state)
{
    char path[4096];
    wte_space *space = NULL;
    wte_error err;
    (void)state;

    assert_int_equal(open_state(1, NULL, path), WTE_INDEX_BUILT);
    assert_int_equal(wte_space_open(path, NULL, &space, &err), WTE_E_FORMAT);
    assert_non_null(strstr(err.message, "is an index of another file"));
}

static void list_and_clear_touch_indexes_only(void **state)
{
    char path[8300], dead[8300];
    wte_cache_list list;
    size_t n = 0;
    uint64_t bytes = 0;
    FILE *f;
    (void)state;

    assert_int_equal(wte_cache_get_list(cache, &list, NULL), WTE_OK); /* no such folder yet */
    assert_int_equal(list.n, 0);
    wte_cache_list_free(&list);
    open_state(1, NULL, NULL);
    snprintf(path, sizeof path, "%s/notes.txt", cache);
    f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
    snprintf(dead, sizeof dead, "%s/old.bin-0123.index.safetensors.4711.0.tmp", cache);
    f = fopen(dead, "w");
    assert_non_null(f);
    fputs("half", f);
    fclose(f);
    assert_int_equal(wte_cache_get_list(cache, &list, NULL), WTE_OK);
    assert_int_equal(list.n, 1);
    assert_string_equal(list.entries[0].source, source);
    assert_int_equal(list.entries[0].stale, 0);
    assert_int_equal(list.bytes, list.entries[0].bytes);
    bytes = list.bytes;
    wte_cache_list_free(&list);
    unlink(source);
    assert_int_equal(wte_cache_get_list(cache, &list, NULL), WTE_OK);
    assert_int_equal(list.entries[0].stale, 1);
    wte_cache_list_free(&list);
    {
        uint64_t gone = 0;

        assert_int_equal(wte_cache_clear(cache, &n, &gone, NULL), WTE_OK);
        assert_int_equal(n, 2);
        assert_int_equal(gone, bytes + 4);
    }
    assert_int_equal(access(path, F_OK), 0);
    assert_int_not_equal(access(dead, F_OK), 0);
    assert_int_equal(files_in(cache), 0);
}

static void what_a_crash_left_is_removed_after_a_day(void **state)
{
    struct timespec old[2] = {{time(NULL) - 100000, 0}, {time(NULL) - 100000, 0}};
    char names[2][8300];
    (void)state;

    assert_int_equal(wte__mkdirs(cache, NULL), WTE_OK);
    for (int i = 0; i < 2; i++) {
        FILE *f;

        snprintf(names[i], sizeof names[i], "%s/x-%d.index.safetensors.12.3.tmp", cache, i);
        f = fopen(names[i], "w");
        assert_non_null(f);
        fclose(f);
    }
    assert_int_equal(utimensat(AT_FDCWD, names[0], old, 0), 0);
    open_state(1, NULL, NULL);
    assert_int_not_equal(access(names[0], F_OK), 0);
    assert_int_equal(access(names[1], F_OK), 0);
}

static void a_path_of_any_bytes_can_be_indexed(void **state)
{
    wte_cache_list list;
    (void)state;

    write_source("we\"ird\\\xff %41\n.bin", 4);
    wte_space *space = open_with(0);
    assert_int_equal(wte_space_get_info(space)->index, WTE_INDEX_BUILT);
    wte_space_free(space);
    space = open_with(0);
    assert_int_equal(wte_space_get_info(space)->index, WTE_INDEX_FOUND);
    wte_space_free(space);
    assert_int_equal(wte_cache_get_list(cache, &list, NULL), WTE_OK);
    assert_string_equal(list.entries[0].source, source);
    assert_int_equal(list.entries[0].stale, 0);
    wte_cache_list_free(&list);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_second_open_finds_what_the_first_built, set_up),
        cmocka_unit_test_setup(an_index_says_the_same_as_the_file, set_up),
        cmocka_unit_test_setup(the_index_does_not_depend_on_the_number_of_threads, set_up),
        cmocka_unit_test_setup(a_changed_source_is_read_again, set_up),
        cmocka_unit_test_setup(damage_is_noticed, set_up),
        cmocka_unit_test_setup(two_files_of_one_name_have_two_indexes, set_up),
        cmocka_unit_test_setup(a_full_disk_is_a_note, set_up),
        cmocka_unit_test_setup(a_folder_that_cannot_be_made_is_a_note, set_up),
        cmocka_unit_test_setup(no_home_is_a_note, set_up),
        cmocka_unit_test_setup(small_files_have_no_index_unless_wanted, set_up),
        cmocka_unit_test_setup(the_environment_says_where_the_cache_is, set_up),
        cmocka_unit_test_setup(processes_that_build_at_once_all_succeed, set_up),
        cmocka_unit_test_setup(text_and_packed_files_have_their_rows_in_the_index, set_up),
        cmocka_unit_test_setup(a_word_longer_than_what_is_read_at_once_changes_nothing, set_up),
        cmocka_unit_test_setup(a_file_that_ends_early_says_the_same_with_and_without_an_index,
                               set_up),
        cmocka_unit_test_setup(an_index_opened_as_a_file_says_what_it_is, set_up),
        cmocka_unit_test_setup(list_and_clear_touch_indexes_only, set_up),
        cmocka_unit_test_setup(what_a_crash_left_is_removed_after_a_day, set_up),
        cmocka_unit_test_setup(a_path_of_any_bytes_can_be_indexed, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
