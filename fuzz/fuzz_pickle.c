/* SPDX-License-Identifier: MIT */
/* fuzz_pickle.c - pickles of any content, and the tensors of what they build
 *
 * Storages that the pickle names get zeros of their size, as the reader of a file would give them
 * its bytes, so that the checks of views are reached. */
#include <stdint.h>
#include <stdlib.h>
#include "format/pickle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint64_t MOST = 1 << 20;

/* One block that is as large as the largest storage, so that a byte too far is seen. */
static unsigned char *fill_storages(wte__pickle *p)
{
    unsigned char *zeros;
    uint64_t most = 0;

    for (size_t i = 0; i < p->n_storages; i++) {
        uint64_t bytes = p->storages[i].numel * p->storages[i].element;

        if (bytes > MOST)
            return NULL;
        most = bytes > most ? bytes : most;
    }
    zeros = calloc(1, most ? most : 1);
    for (size_t i = 0; zeros && i < p->n_storages; i++) /* its end is the block's end */
        p->storages[i].data = zeros + (most - p->storages[i].numel * p->storages[i].element);
    return zeros;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wte_checkpoint *c = wte__calloc(1, sizeof *c);
    volatile unsigned sum = 0; /* so that the reads are made */
    unsigned char *zeros = NULL;
    wte__pickle p;
    wte_error err;

    if (!c)
        return 0;
    if (wte__pickle_run(data, size, 0, "fuzz", &p, &err) == WTE_OK) {
        int64_t number;
        bool flag;

        (void)wte__pickle_is_int(&p, &number);
        (void)wte__pickle_dict_bool(&p, "little_endian", &flag);
        zeros = fill_storages(&p);
        if (zeros && wte__pickle_tensors(&p, c, &err) == WTE_OK)
            for (size_t i = 0; i < c->n; i++)
                for (uint64_t k = 0; k < c->tensors[i].bytes; k++)
                    sum += ((const unsigned char *)c->tensors[i].data)[k];
    }
    (void)sum;
    wte__pickle_free(&p);
    wte_checkpoint_free(c);
    free(zeros);
    return 0;
}
