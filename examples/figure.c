/* SPDX-License-Identifier: MIT */
/* figure.c - the cosines of some words as a heat map, with libwte
 *
 *   cc figure.c $(pkg-config --cflags --libs wte) -o figure
 *   ./figure vectors.bin words.svg king queen man woman
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wte/wte.h>

int main(int argc, char **argv)
{
    wte_figure_options options = WTE_FIGURE_DEFAULTS;
    const char *const *words = (const char *const *)argv + 3;
    const size_t n = argc > 3 ? (size_t)argc - 3 : 0;
    wte_figure *figure = NULL;
    wte_space *space = NULL;
    uint32_t *ids = calloc(n + 1, sizeof *ids);
    double *cosines = calloc(n * n + 1, sizeof *cosines);
    float cosine;
    wte_error err = {0};
    int result = 1;

    if (n == 0) {
        fprintf(stderr, "usage: figure FILE FIGURE WORD...\n");
        result = 2;
        goto done;
    }
    if (!ids || !cosines)
        goto done;
    if (wte_space_open(argv[1], NULL, &space, &err))
        goto failed;
    for (size_t i = 0; i < n; i++)
        if (wte_space_find(space, words[i], strlen(words[i]), &ids[i], &err))
            goto failed;
    for (size_t i = 0; i < n * n; i++) {
        if (wte_similarity(space, ids[i / n], ids[i % n], &cosine, &err))
            goto failed;
        cosines[i] = (double)cosine;
    }
    options.title = "Cosine similarity";
    if (wte_figure_new(&options, &figure, &err) ||
        wte_figure_heatmap(figure, cosines, n, n, words, words, -1, 1, NULL, "cosine", &err) ||
        wte_figure_save(figure, argv[2], &err))
        goto failed;
    printf("%s\n", argv[2]);
    result = 0;
    goto done;
failed:
    fprintf(stderr, "figure: %s\n", err.message);
done:
    free(ids);
    free(cosines);
    wte_figure_free(figure);
    wte_space_free(space);
    return result;
}
