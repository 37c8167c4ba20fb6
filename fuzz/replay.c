/* SPDX-License-Identifier: MIT */
/* replay.c - run a fuzz target over kept inputs: the files and folders that are its arguments
 *
 * What libFuzzer finds becomes a file of fuzz/corpus/TARGET, and from then on every test run
 * replays it. With no input at all it fails, so that a wrong path is noticed. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t n_inputs;

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    uint8_t *data;
    size_t size;

    if (!f || fstat(fileno(f), &st) != 0) {
        perror(path);
        return 1;
    }
    size = (size_t)st.st_size;
    data = malloc(size ? size : 1); /* exactly as large, so that one byte too far is seen */
    if (!data || fread(data, 1, size, f) != size) {
        fprintf(stderr, "%s: cannot be read\n", path);
        fclose(f);
        free(data);
        return 1;
    }
    fclose(f);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    n_inputs++;
    return 0;
}

static int replay(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int failed = 0;

    if (!dir)
        return replay_file(path);
    while ((entry = readdir(dir))) {
        char inner[4096];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        failed |= replay(inner);
    }
    closedir(dir);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = 0;

    for (int i = 1; i < argc; i++)
        failed |= replay(argv[i]);
    printf("%zu inputs replayed\n", n_inputs);
    return failed || n_inputs == 0;
}
