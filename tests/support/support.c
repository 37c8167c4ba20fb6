/* SPDX-License-Identifier: MIT */
/* support.c - see support.h */
#include "support.h"
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static char *next_buffer(void)
{
    static char buffers[4][4096];
    static unsigned turn;

    return buffers[turn++ % 4];
}

const char *test_file(const char *relative)
{
    char *path = next_buffer();

    snprintf(path, 4096, "%s/%s", WTE_TESTS_DIR, relative);
    return path;
}

const char *shared_file(const char *relative)
{
    const char *root = getenv("WTE_SHARED");
    char *path = next_buffer();

    snprintf(path, 4096, "%s/%s", root && *root ? root : WTE_SHARED_DIR, relative);
    return access(path, R_OK) == 0 ? path : NULL;
}

const char *need_shared(const char *relative)
{
    const char *path = shared_file(relative);

    if (!path) {
        print_message("skipped: no %s in the reference data\n", relative);
        skip();
    }
    return path;
}

static char folder[256];

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void remove_folder(void)
{
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *test_folder(void)
{
    if (!*folder) {
        const char *tmp = getenv("TMPDIR");

        snprintf(folder, sizeof folder, "%s/wte-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
        if (!mkdtemp(folder)) {
            perror(folder);
            exit(1);
        }
        atexit(remove_folder);
    }
    return folder;
}

const char *write_file(const char *name, const void *data, size_t n)
{
    char *path = next_buffer();
    FILE *f;

    snprintf(path, 4096, "%s/%s", test_folder(), name);
    f = fopen(path, "wb");
    if (!f || fwrite(data, 1, n, f) != n || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
    return path;
}

void write_text_file(const char *in, const char *name, const char *text)
{
    char path[4400];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", in, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}
