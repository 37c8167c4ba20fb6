/* SPDX-License-Identifier: MIT */
/* fuzz_eval.c - evaluation files of any content: analogy questions and word pairs */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "wte/wte.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char words[] = "kingqueenmanwomanKINGcaf\xc3\xa9\xff";
    static const uint64_t offsets[] = {0, 4, 9, 12, 17, 21, 26, 27};
    static const float matrix[7][2] = {{1, 2}, {2, 1}, {1, 0}, {0, 1}, {3, 3}, {-1, 2}, {0, -1}};
    static char path[64];
    wte_eval_options options = WTE_EVAL_DEFAULTS;
    wte_eval_analogies_result analogies;
    wte_eval_pairs_result pairs;
    wte_space *space = NULL;
    FILE *f;

    if (!*path)
        snprintf(path, sizeof path, "/tmp/wte-fuzz-eval-%ld", (long)getpid());
    f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        abort();
    if (wte_space_new("fuzz", words, offsets, matrix, WTE_F32, 7, 2, 2, 0, &space, NULL) != WTE_OK)
        abort();
    options.n_threads = 1;
    for (int variant = 0; variant < 4; variant++) {
        options.case_sensitive = variant & 1;
        options.dummy4unknown = variant >> 1;
        if (wte_eval_analogies(space, path, &options, &analogies, NULL) == WTE_OK)
            wte_eval_analogies_free(&analogies);
        (void)wte_eval_pairs(space, path, &options, &pairs, NULL);
    }
    wte_space_free(space);
    remove(path);
    return 0;
}
