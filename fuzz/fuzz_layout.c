/* SPDX-License-Identifier: MIT */
/* fuzz_layout.c - a header of wte's layout that claims anything, over data of any content
 *
 * The input's first two bytes say how long the JSON is; the length field of the file is made from
 * them, so that mutations reach what lies behind it: tensors, shapes, offsets, and the arrays that
 * are used without being checked as a whole (offsets of words, slots of the hash). What is bound is
 * used as a search would. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "space/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(wte_space *space)
{
    float *row = malloc(space->rows.dim * sizeof *row);
    volatile float sink = 0; /* so that the reads are made */
    uint32_t id;

    for (uint32_t i = 0; i < space->rows.n_rows && i < 64; i++) {
        size_t len = 0;
        const char *word = wte_space_word(space, i, &len);

        for (size_t k = 0; k < len; k++)
            sink += word[k];
        if (space->hash)
            wte_space_find(space, word, len, &id, NULL);
        if (row) {
            wte__row_to_f32(&space->rows, i, row);
            sink += row[0] + wte__row_dot(&space->rows, i, row);
        }
        if (space->norms)
            sink += wte_space_norm(space, i);
        if (space->codes.codes)
            sink += space->codes.codes[(i + 1) * space->codes.stride + 62] *
                    space->codes.scales[i] * space->codes.residuals[i];
    }
    if (space->norms && space->hash) {
        wte_error err;

        wte_space_find(space, "nosuchword", 10, &id, &err);
    }
    (void)sink;
    free(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wte__safetensors st;
    wte_space *space;
    wte_error err;
    uint8_t *file;
    size_t json;

    if (size < 2)
        return 0;
    json = data[0] + 256u * data[1];
    /* tensors are aligned to their elements, as in a mapped file */
    file = aligned_alloc(64, (size + 6 + 63) / 64 * 64);
    if (!file)
        return 0;
    memset(file, 0, 8);
    file[0] = data[0];
    file[1] = data[1];
    memcpy(file + 8, data + 2, size - 2);
    if (json <= size - 2 && wte__safetensors_parse(file, size + 6, "fuzz", &st, &err) == WTE_OK) {
        space = wte__space_alloc();
        if (space && wte__layout_bind(space, file, "fuzz", &st, file, size + 6, &err) == WTE_OK &&
            wte__layout_describe(space, &st, &err) == WTE_OK && space->rows.dim <= 65536)
            use(space);
        wte_space_free(space);
        wte__safetensors_free(&st);
    }
    free(file);
    return 0;
}
