/* SPDX-License-Identifier: MIT */
/* fuzz_bridge.c - bridge files of any content; what is read is written and read again */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "wte/bridge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *file_name(void)
{
    static char path[64];

    if (!*path)
        snprintf(path, sizeof path, "/tmp/wte-fuzz-bridge-%ld", (long)getpid());
    return path;
}

static void read_again(const wte_bridge *bridge, const wte_space *const *spaces)
{
    wte_bridge *again = NULL;

    if (wte_bridge_save(bridge, file_name(), NULL) != WTE_OK ||
        wte_bridge_load(file_name(), spaces, 2, &again, NULL) != WTE_OK ||
        wte_bridge_length(again) != wte_bridge_length(bridge))
        abort();
    for (size_t i = 0; i < wte_bridge_length(bridge); i++) {
        size_t n = 0, m = 0;
        const char *x = wte_bridge_word(bridge, i, &n), *y = wte_bridge_word(again, i, &m);

        if (n != m || memcmp(x, y, n) != 0 ||
            wte_bridge_id(bridge, i, 0) != wte_bridge_id(again, i, 0) ||
            wte_bridge_id(bridge, i, 1) != wte_bridge_id(again, i, 1))
            abort();
    }
    wte_bridge_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char words[] = "kingqueen\tman\\KINGcaf\xc3\xa9\xff king";
    static const uint64_t offsets[] = {0, 4, 9, 13, 14, 18, 24, 29};
    static const float matrix[7][2] = {{1, 2}, {2, 1}, {1, 0}, {0, 1}, {3, 3}, {-1, 2}, {0, -1}};
    wte_space *space = NULL;
    const wte_space *spaces[2];
    wte_bridge *bridge = NULL;
    FILE *f = fopen(file_name(), "wb");

    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        abort();
    if (wte_space_new("fuzz", words, offsets, matrix, WTE_F32, 7, 2, 2, 1, &space, NULL) != WTE_OK)
        abort();
    spaces[0] = spaces[1] = space;
    if (wte_bridge_load(file_name(), spaces, 2, &bridge, NULL) == WTE_OK)
        read_again(bridge, spaces);
    wte_bridge_free(bridge);
    wte_space_free(space);
    remove(file_name());
    return 0;
}
