/* SPDX-License-Identifier: MIT */
/* cmd_convert.c - write a space in another format */
#include "cli.h"

#include <stdlib.h>

static const struct option options[] = {
    {'o', "output", OPT_TEXT, &cli.output, "FILE", "the file to write", NULL}, OPTIONS_END};

static const struct example examples[] = {
    {"wte convert -o demo.bin", "the model that ships with wte, as word2vec binary"},
    {"wte convert -m demo.bin -o demo.safetensors", "wte's own layout, which opens at once"},
    {"wte convert --transform center,abtt:3,unit -o demo.txt", "transformed, as word2vec text"},
    {"wte convert -o demo.npy", "the matrix alone, for numpy"},
    {NULL, NULL}};

const struct page page_convert = {
    .usage = {"[OPTION]... -o FILE"},
    .about =
        "Writes the space to a file whose ending tells the format: .bin (word2vec binary), .txt "
        "(word2vec text, shortest digits that restore the float32), .safetensors (wte's own "
        "layout: "
        "an ordinary safetensors file that is mapped in place), .npy (the matrix without the "
        "words). "
        "The file appears when it is complete; until then an older one of that name stays.",
    .options = options,
    .writes = ".bin .txt .safetensors .npy",
    .examples = examples};

static int write_matrix(void)
{
    size_t shape[2] = {cli.info->n_rows, cli.info->dim}, n;
    float *rows;
    wte_error err = {0};
    wte_status status = WTE_OK;

    if (__builtin_mul_overflow(shape[0], shape[1], &n))
        return fail("%zu x %zu numbers are too many", shape[0], shape[1]);
    rows = need_memory(n, sizeof *rows);
    for (uint32_t i = 0; i < cli.info->n_rows && status == WTE_OK; i++)
        status = wte_space_vector(cli.space, i, rows + i * shape[1], &err);
    if (status == WTE_OK)
        status = wte_npy_write(cli.output, "<f4", shape, 2, rows, &err);
    free(rows);
    return status == WTE_OK ? 0 : fail_with(&err);
}

int cmd_convert(void)
{
    wte_open_options open = open_options();
    wte_error err = {0};
    wte_space_format format;
    int status = 0;

    if (cli.words.n)
        return usage("'%s' is not expected: the model goes behind -m", cli.words.items[0]);
    if (!cli.output)
        return usage("-o FILE is missing");
    if (has_ending(cli.output, ".npy"))
        return write_matrix();
    format = has_ending(cli.output, ".bin")   ? WTE_WORD2VEC_BIN
             : has_ending(cli.output, ".txt") ? WTE_WORD2VEC_TEXT
                                              : WTE_LAYOUT;
    signals_wait(true);
    if (wte_space_save(cli.space, cli.output, format, &open, &err) != WTE_OK)
        status = fail_with(&err);
    signals_wait(false);
    clear_progress();
    return status;
}
