/* SPDX-License-Identifier: MIT */
/* nearest.c - the ten nearest words to a word, with libwte
 *
 *   cc nearest.c $(pkg-config --cflags --libs wte) -o nearest
 *   ./nearest vectors.bin king
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wte/wte.h>

int main(int argc, char **argv)
{
    wte_search_options options = WTE_SEARCH_DEFAULTS;
    wte_neighbor found[10];
    wte_space *space = NULL;
    wte_error err;
    float *query = NULL;
    size_t n;
    uint32_t id;
    int result = 1;

    if (argc != 3) {
        fprintf(stderr, "usage: nearest FILE WORD\n");
        return 2;
    }
    if (wte_space_open(argv[1], NULL, &space, &err) ||
        wte_space_find(space, argv[2], strlen(argv[2]), &id, &err))
        goto failed;
    query = malloc(wte_space_get_info(space)->dim * sizeof *query);
    if (!query)
        goto done;
    options.exclude = &id;
    options.n_exclude = 1;
    if (wte_space_vector(space, id, query, &err) ||
        wte_nearest(space, query, 1, &options, found, &n, NULL, &err))
        goto failed;
    for (size_t i = 0; i < n; i++) {
        size_t len;
        const char *word = wte_space_word(space, found[i].id, &len);

        printf("%.4f  %.*s\n", (double)found[i].score, (int)len, word);
    }
    result = 0;
    goto done;
failed:
    fprintf(stderr, "nearest: %s\n", err.message);
done:
    free(query);
    wte_space_free(space);
    return result;
}
