/* SPDX-License-Identifier: MIT */
/* fuzz_space_file.c - opening a file of any content as a space, and using what came of it
 *
 * Covers the sniffing of formats, word2vec binary and text, GloVe, fastText, gzip, and wte's own
 * layout with all that its header may claim. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "wte/wte.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const wte_space *space)
{
    const wte_space_info *info = wte_space_get_info(space);
    float *row = calloc(info->dim, sizeof *row);
    wte_search_options options = WTE_SEARCH_DEFAULTS;
    wte_neighbor found[4];
    wte_baseline baseline;
    size_t n, len;
    uint32_t id;

    options.k = 4;
    options.n_threads = 1;
    if (info->dim > 65536)
        goto done;
    for (uint32_t i = 0; i < info->n_rows && i < 32; i++) {
        const char *word = wte_space_word(space, i, &len);

        if (word)
            wte_space_find(space, word, len, &id, NULL);
        if (row && wte_space_vector(space, i, row, NULL) == WTE_OK && i < 4)
            wte_nearest(space, row, 1, &options, found, &n, NULL, NULL);
        (void)wte_space_norm(space, i);
    }
    wte_space_find(space, "nosuchword", 10, &id, NULL);
    wte_space_baseline(space, &baseline, NULL);
done:
    free(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char path[64];
    wte_open_options options = WTE_OPEN_DEFAULTS;
    wte_space *space = NULL;
    wte_error err;
    FILE *f;

    if (!*path)
        snprintf(path, sizeof path, "/tmp/wte-fuzz-%ld", (long)getpid());
    f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        abort();
    options.cache = WTE_CACHE_NEVER;
    options.n_threads = 1;
    if (wte_space_open(path, &options, &space, &err) == WTE_OK)
        use(space);
    wte_space_free(space);
    remove(path);
    return 0;
}
