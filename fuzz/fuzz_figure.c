/* SPDX-License-Identifier: MIT */
/* fuzz_figure.c - figures of any content: what made them is read as text, or not at all */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/base.h"
#include "wte/plot.h"
#include "wte/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char path[64];
    char *text = NULL;
    FILE *f;

    if (!*path)
        snprintf(path, sizeof path, "/tmp/wte-fuzz-figure-%ld", (long)getpid());
    f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size)
        abort();
    fclose(f);
    if (wte_figure_provenance(path, &text, NULL) == WTE_OK &&
        (!*text || !wte__utf8_valid(text, strlen(text))))
        abort();
    wte_text_free(text);
    unlink(path);
    return 0;
}
