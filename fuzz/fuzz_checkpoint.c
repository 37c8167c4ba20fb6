/* SPDX-License-Identifier: MIT */
/* fuzz_checkpoint.c - a file of any content opened as a checkpoint, and all of its tensors read
 *
 * Covers the sniffing, safetensors, the zip archive with its packed entries, and the older format
 * of PyTorch. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "format/checkpoint_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t before = 0; /* tensors may share bytes, so what is read is bounded */
    volatile unsigned sum = 0;
    wte_checkpoint *c = NULL;
    wte_error err;

    if (wte__checkpoint_of_bytes(data, size, "fuzz", &c, &err) != WTE_OK)
        return 0;
    for (size_t i = 0; i < c->info.n_tensors && before < 1 << 22; i++) {
        const wte_tensor *t = wte_checkpoint_tensor(c, i);

        for (uint64_t k = 0; k < t->bytes; k++)
            sum += ((const unsigned char *)t->data)[k];
        before += t->bytes;
        if (strlen(t->name) < 256 && !wte_checkpoint_find(c, t->name))
            abort();
    }
    (void)sum;
    (void)wte_checkpoint_find(c, "embeddings.LayerNorm.weight");
    wte_checkpoint_free(c);
    return 0;
}
