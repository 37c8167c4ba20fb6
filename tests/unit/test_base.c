/* SPDX-License-Identifier: MIT */
/* test_base.c - base/base.h: messages, memory, files, threads, hashing and UTF-8 */
#include "support.h"
#include <errno.h>
#include <sys/resource.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/base.h"

static void a_message_is_one_printable_line(void **state)
{
    wte_error err;
    (void)state;

    assert_int_equal(wte__fail(&err, WTE_E_FORMAT, "%s: bad", "a\nb\x1b[31m\xff\xc2\x9b"),
                     WTE_E_FORMAT);
    assert_string_equal(err.message, "a?b?[31m???: bad");
    assert_int_equal(err.status, WTE_E_FORMAT);
    wte__fail_at(&err, WTE_E_FORMAT, 77, "caf\xc3\xa9");
    assert_string_equal(err.message, "caf\xc3\xa9");
    assert_int_equal(err.offset, 77);
}

static void a_long_message_is_cut_between_characters(void **state)
{
    wte_error err;
    char text[1024];
    (void)state;

    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'x', shift);
        for (size_t i = shift; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\xe2\x82\xac", 4);
        wte__fail(&err, WTE_E_IO, "%s", text);
        assert_true(wte__utf8_valid(err.message, strlen(err.message)));
        assert_true(strlen(err.message) > sizeof err.message - 5);
        assert_null(strchr(err.message, '?'));
    }
}

static void every_status_has_a_text(void **state)
{
    (void)state;
    assert_string_equal(wte_status_text(WTE_OK), "success");
    assert_string_equal(wte_status_text(WTE_E_NOMEM), "out of memory");
    assert_string_equal(wte_status_text((wte_status)-1000), "unknown status");
    assert_int_equal(wte__fail(NULL, WTE_E_RANGE, "nobody listens"), WTE_E_RANGE);
}

static void products_that_overflow_are_no_memory(void **state)
{
    size_t capacity = 0;
    void *array = NULL;
    (void)state;

    assert_null(wte__calloc(SIZE_MAX / 2, 3));
    assert_null(wte__alloc_aligned(SIZE_MAX / 2, 3));
    assert_false(wte__grow(&array, &capacity, SIZE_MAX / 2, 16));
    assert_null(array);
    assert_int_equal(capacity, 0);
}

static void the_nth_allocation_fails_once(void **state)
{
    void *a, *b, *c;
    (void)state;

    wte__fail_alloc(1);
    a = wte__calloc(1, 1);
    b = wte__calloc(1, 1);
    c = wte__calloc(1, 1);
    assert_non_null(a);
    assert_null(b);
    assert_non_null(c);
    wte__free(a);
    wte__free(c);
    wte__fail_alloc(-1);
}

static void a_mapped_file_is_found_by_address(void **state)
{
    const char *path = write_file("mapped", "hello", 5);
    wte__map map;
    (void)state;

    assert_int_equal(wte__map_open(&map, path, NULL), WTE_OK);
    assert_int_equal(map.size, 5);
    assert_memory_equal(map.data, "hello", 5);
    assert_string_equal(wte__map_path_of(map.data + 4), path);
    assert_null(wte__map_path_of(map.data + 5));
    const void *gone = map.data;
    wte__map_close(&map);
    assert_null(wte__map_path_of(gone));
}

static void a_mapped_file_is_opened_again_unless_it_is_another(void **state)
{
    const char *path = write_file("again", "hello", 5);
    uint64_t offset = 0;
    char text[3] = "";
    wte__map map;
    int fd;
    (void)state;

    assert_int_equal(wte__map_open(&map, path, NULL), WTE_OK);
    fd = wte__map_reopen(map.data + 2, &offset);
    assert_true(fd >= 0);
    assert_int_equal(offset, 2);
    assert_int_equal(pread(fd, text, 2, (off_t)offset), 2);
    assert_string_equal(text, "ll");
    close(fd);
    assert_int_equal(wte__map_reopen(text, &offset), -1);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(wte__map_reopen(map.data, &offset), -1);
    write_file("again", "jolly", 5);
    assert_int_equal(wte__map_reopen(map.data, &offset), -1);
    wte__map_close(&map);
}

static void what_cannot_be_mapped_says_why(void **state)
{
    wte__map map;
    wte_error err;
    char fifo[300];
    (void)state;

    assert_int_equal(wte__map_open(&map, "/nonexistent/file", &err), WTE_E_IO);
    assert_string_equal(err.message, "/nonexistent/file: No such file or directory");
    assert_int_equal(wte__map_open(&map, test_folder(), &err), WTE_E_IO);
    assert_non_null(strstr(err.message, "is a folder"));
    snprintf(fifo, sizeof fifo, "%s/fifo", test_folder());
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(wte__map_open(&map, fifo, &err), WTE_E_IO);
    assert_non_null(strstr(err.message, "no regular file"));
    assert_int_equal(wte__map_open(&map, write_file("empty", "", 0), &err), WTE_OK);
    assert_int_equal(map.size, 0);
    assert_non_null(map.data);
    wte__map_close(&map);
}

static void an_outfile_appears_whole_or_not_at_all(void **state)
{
    char path[300];
    wte__outfile f;
    wte__map map;
    (void)state;

    snprintf(path, sizeof path, "%s/out", test_folder());
    assert_int_equal(wte__outfile_open(&f, path, NULL), WTE_OK);
    assert_int_equal(wte__outfile_pwrite(&f, "world", 5, 6, NULL), WTE_OK);
    assert_int_equal(wte__outfile_pwrite(&f, "hello ", 6, 0, NULL), WTE_OK);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(wte__outfile_commit(&f, NULL), WTE_OK);
    assert_int_equal(wte__map_open(&map, path, NULL), WTE_OK);
    assert_int_equal(map.size, 11);
    assert_memory_equal(map.data, "hello world", 11);
    wte__map_close(&map);

    assert_int_equal(wte__outfile_open(&f, path, NULL), WTE_OK);
    char *temp = strdup(f.temp);
    assert_int_equal(wte__outfile_pwrite(&f, "x", 1, 0, NULL), WTE_OK);
    wte__outfile_abort(&f);
    assert_int_not_equal(access(temp, F_OK), 0);
    free(temp);
    assert_int_equal(wte__map_open(&map, path, NULL), WTE_OK);
    assert_int_equal(map.size, 11);
    wte__map_close(&map);
}

static void a_full_disk_is_an_error_and_leaves_nothing(void **state)
{
    struct rlimit old, tight;
    char path[300], temp[400];
    wte__outfile f;
    wte_error err;
    wte_status status;
    (void)state;

    snprintf(path, sizeof path, "%s/full", test_folder());
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    tight = old;
    tight.rlim_cur = 1000;
    assert_int_equal(wte__outfile_open(&f, path, NULL), WTE_OK);
    snprintf(temp, sizeof temp, "%s", f.temp);
    setrlimit(RLIMIT_FSIZE, &tight);
    char *data = calloc(1, 4096);
    status = wte__outfile_pwrite(&f, data, 4096, 0, &err);
    setrlimit(RLIMIT_FSIZE, &old);
    free(data);
    wte__outfile_abort(&f);
    assert_int_equal(status, WTE_E_IO);
    assert_non_null(strstr(err.message, "cannot write"));
    assert_int_not_equal(access(temp, F_OK), 0);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void folders_are_made_with_their_parents(void **state)
{
    char path[300];
    wte_error err;
    (void)state;

    snprintf(path, sizeof path, "%s/a/b/c", test_folder());
    assert_int_equal(wte__mkdirs(path, &err), WTE_OK);
    assert_int_equal(wte__mkdirs(path, &err), WTE_OK);
    write_file("a/plain", "", 0);
    snprintf(path, sizeof path, "%s/a/plain", test_folder());
    assert_int_equal(wte__mkdirs(path, &err), WTE_E_IO);
    snprintf(path, sizeof path, "%s/a/plain/d", test_folder());
    assert_int_equal(wte__mkdirs(path, &err), WTE_E_IO);
}

static void count_block(void *ctx, size_t block, unsigned worker)
{
    unsigned char *seen = ctx;

    (void)worker;
    seen[block]++;
}

static void every_block_is_run_once(void **state)
{
    (void)state;
    for (unsigned threads = 0; threads < 9; threads++)
        for (size_t n = 0; n < 300; n += 37) {
            unsigned char seen[300] = {0};

            wte__parallel(n, threads, count_block, seen);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(seen[i], 1);
        }
}

static int cancel_at_once(void *data, const char *what, uint64_t done, uint64_t total)
{
    (void)what, (void)done, (void)total;
    ++*(int *)data;
    return 1;
}

static void progress_cancels(void **state)
{
    wte__progress p;
    int calls = 0;
    (void)state;

    wte__progress_begin(&p, cancel_at_once, &calls, "testing", 10);
    assert_false(wte__progress_add(&p, 1, 1)); /* not from a worker's thread */
    p.next_ns = 0;
    assert_true(wte__progress_add(&p, 1, 0));
    assert_true(wte__progress_add(&p, 1, 1));
    assert_true(wte__progress_end(&p));
    assert_int_equal(calls, 1);
}

static void the_hash_never_changes(void **state)
{
    /* Values of the first version: indexes on disk depend on them. */
    static const struct {
        const char *text;
        uint64_t hash;
    } known[] = {
        {"", 0xD2E58E8EF90D912Fu},
        {"king", 0xFB8510A5410D4079u},
        {"international", 0xD1512D884D2C7DF4u},
    };
    (void)state;

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        assert_int_equal(wte__hash(known[i].text, strlen(known[i].text)), known[i].hash);
}

static void each_seed_is_another_hash(void **state)
{
    (void)state;

    assert_true(wte__hash_seeded("word", 4, 0) == wte__hash("word", 4));
    assert_true(wte__hash_seeded("word", 4, 1) != wte__hash("word", 4));
    assert_true(wte__hash_seeded("word", 4, 1) != wte__hash_seeded("word", 4, 2));
    assert_true(wte__hash_secret() == wte__hash_secret());
    assert_true(wte__hash_secret() != 0);
}

static void the_hash_spreads_short_words(void **state)
{
    static unsigned char taken[1u << 16];
    size_t collisions = 0;
    (void)state;

    for (unsigned i = 0; i < 10000; i++) {
        char word[16];
        size_t n = (size_t)snprintf(word, sizeof word, "w%u", i);

        collisions += taken[wte__hash(word, n) & 0xFFFF]++ != 0;
    }
    assert_in_range(collisions, 550, 870); /* 726 expected of a random function */
}

static void utf8_is_decoded_and_checked(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        uint32_t code;
    } cases[] = {
        {"A", 1, 'A'},
        {"\xc3\xa9", 2, 0xE9},
        {"\xe2\x82\xac", 3, 0x20AC},
        {"\xf0\x9f\x98\x80", 4, 0x1F600},
        {"\xf4\x8f\xbf\xbf", 4, 0x10FFFF},
        {"\xf4\x90\x80\x80", 0, 0}, /* above the last */
        {"\xc0\x80", 0, 0},         /* overlong */
        {"\xe0\x9f\xbf", 0, 0},     /* overlong */
        {"\xed\xa0\x80", 0, 0},     /* surrogate */
        {"\x80", 0, 0},
        {"\xe2\x82", 0, 0}, /* cut */
        {"\xff", 0, 0},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t code = 0;

        assert_int_equal(wte__utf8_decode(cases[i].bytes, strlen(cases[i].bytes), &code),
                         cases[i].length);
        assert_int_equal(code, cases[i].code);
    }
    assert_true(wte__utf8_valid("a\xc3\xa9", 3));
    assert_false(wte__utf8_valid("a\xc3", 2));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_one_printable_line),
        cmocka_unit_test(a_long_message_is_cut_between_characters),
        cmocka_unit_test(every_status_has_a_text),
        cmocka_unit_test(products_that_overflow_are_no_memory),
        cmocka_unit_test(the_nth_allocation_fails_once),
        cmocka_unit_test(a_mapped_file_is_found_by_address),
        cmocka_unit_test(a_mapped_file_is_opened_again_unless_it_is_another),
        cmocka_unit_test(what_cannot_be_mapped_says_why),
        cmocka_unit_test(an_outfile_appears_whole_or_not_at_all),
        cmocka_unit_test(a_full_disk_is_an_error_and_leaves_nothing),
        cmocka_unit_test(folders_are_made_with_their_parents),
        cmocka_unit_test(every_block_is_run_once),
        cmocka_unit_test(progress_cancels),
        cmocka_unit_test(the_hash_never_changes),
        cmocka_unit_test(each_seed_is_another_hash),
        cmocka_unit_test(the_hash_spreads_short_words),
        cmocka_unit_test(utf8_is_decoded_and_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
