/* SPDX-License-Identifier: MIT */
/* fuzz_gguf.c - GGUF files of any content: metadata as text and as arrays, and all tensors
 *
 * The four bytes of the magic are put in front, so that mutations do not lose them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "format/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const wte_checkpoint *c)
{
    static const char *const keys[] = {"tokenizer.ggml.tokens", "tokenizer.ggml.token_type",
                                       "tokenizer.ggml.merges", "general.architecture"};
    volatile unsigned sum = 0; /* so that the reads are made */

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *text = wte_checkpoint_metadata(c, keys[i]);
        uint64_t *offsets = NULL;
        int64_t *numbers = NULL, number;
        char *strings = NULL;
        size_t n;

        if (text)
            sum += (unsigned)strlen(text);
        if (wte__gguf_strings(c, keys[i], &strings, &offsets, &n, NULL) == WTE_OK)
            for (uint64_t k = 0; k < offsets[n]; k++)
                sum += (unsigned char)strings[k];
        if (wte__gguf_integers(c, keys[i], &numbers, &n, NULL) == WTE_OK)
            for (size_t k = 0; k < n; k++)
                sum += (unsigned)numbers[k];
        (void)wte__gguf_integer(c, keys[i], &number);
        wte__free(strings);
        wte__free(offsets);
        wte__free(numbers);
    }
    for (size_t i = 0; i < c->info.n_tensors; i++) {
        const wte_tensor *t = wte_checkpoint_tensor(c, i);

        for (uint64_t k = 0; k < t->bytes; k++)
            sum += ((const unsigned char *)t->data)[k];
    }
    (void)sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wte_checkpoint *c = NULL;
    wte_error err;
    uint8_t *file = malloc(size + 4);

    if (!file)
        return 0;
    memcpy(file, "GGUF", 4);
    if (size)
        memcpy(file + 4, data, size);
    if (wte__checkpoint_of_bytes(file, size + 4, "fuzz", &c, &err) == WTE_OK)
        use(c);
    wte_checkpoint_free(c);
    free(file);
    return 0;
}
