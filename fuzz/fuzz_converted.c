/* SPDX-License-Identifier: MIT */
/* fuzz_converted.c - a file of converted weights that claims anything
 *
 * A small GPT-2 is converted to 8 bits and kept; then the header of the kept file is the input, and
 * the time that it promises is given to the file, so that mutations reach what lies behind. The
 * input's first two bytes say how long the JSON is. Whatever the file holds, opening has to give a
 * network whose weights can all be read: it is used as products read it, up to 63 bytes beyond the
 * last code. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/base.h"
#include "format/checkpoint_internal.h"
#include "format/safetensors.h"
#include "network/network_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N_EMBD = 8, N_VOCAB = 12, N_CTX = 4 };

static const char config[] = "{\"model_type\": \"gpt2\", \"n_head\": 2}";

static const struct {
    const char *name;
    size_t rows, columns; /* rows 0: a vector */
} tensors[] = {{"wte.weight", N_VOCAB, N_EMBD},
               {"wpe.weight", N_CTX, N_EMBD},
               {"h.0.ln_1.weight", 0, N_EMBD},
               {"h.0.ln_1.bias", 0, N_EMBD},
               {"h.0.attn.c_attn.weight", N_EMBD, 3 * N_EMBD},
               {"h.0.attn.c_attn.bias", 0, 3 * N_EMBD},
               {"h.0.attn.c_proj.weight", N_EMBD, N_EMBD},
               {"h.0.attn.c_proj.bias", 0, N_EMBD},
               {"h.0.ln_2.weight", 0, N_EMBD},
               {"h.0.ln_2.bias", 0, N_EMBD},
               {"h.0.mlp.c_fc.weight", N_EMBD, 4 * N_EMBD},
               {"h.0.mlp.c_fc.bias", 0, 4 * N_EMBD},
               {"h.0.mlp.c_proj.weight", 4 * N_EMBD, N_EMBD},
               {"h.0.mlp.c_proj.bias", 0, N_EMBD},
               {"ln_f.weight", 0, N_EMBD},
               {"ln_f.bias", 0, N_EMBD}};
enum { N_TENSORS = sizeof tensors / sizeof *tensors };

/* The checkpoint, made once, lives as long as the process. */
static wte_checkpoint *make_checkpoint(void)
{
    static unsigned char *file;
    static wte_checkpoint *c;
    wte__tensor list[N_TENSORS];
    uint64_t at = 0;
    char *header = NULL;
    size_t header_size = 0;

    if (c)
        return c;
    memset(list, 0, sizeof list);
    for (size_t i = 0; i < N_TENSORS; i++) {
        const size_t rows = tensors[i].rows ? tensors[i].rows : 1;

        list[i] = (wte__tensor){.name = tensors[i].name,
                                .dtype = "F32",
                                .n_dims = tensors[i].rows ? 2 : 1,
                                .begin = at,
                                .size = rows * tensors[i].columns * sizeof(float)};
        list[i].shape[0] = tensors[i].rows ? rows : tensors[i].columns;
        list[i].shape[1] = tensors[i].columns;
        at += list[i].size;
    }
    if (wte__safetensors_header(NULL, 0, list, N_TENSORS, 0, &header, &header_size, NULL) != WTE_OK)
        return NULL;
    file = malloc(header_size + at);
    if (!file)
        abort();
    memcpy(file, header, header_size);
    for (size_t i = 0; i < at / sizeof(float); i++) {
        const float x = (float)(i % 31) - 15;

        memcpy(file + header_size + i * sizeof x, &x, sizeof x);
    }
    wte__free(header);
    if (wte__checkpoint_of_bytes(file, header_size + at, "fuzz", &c, NULL) != WTE_OK)
        abort();
    return c;
}

/* What the JSON says was the time of last change, so that the file is not refused for that. */
static void seal(const char *path, const uint8_t *json, size_t size)
{
    static const char key[] = "\"written_ns\":\"";
    struct timespec times[2] = {{0, 0}, {0, 0}};
    uint64_t ns = 0;

    for (size_t i = 0; i + sizeof key <= size; i++)
        if (memcmp(json + i, key, sizeof key - 1) == 0) {
            for (i += sizeof key - 1; i < size && json[i] >= '0' && json[i] <= '9'; i++)
                ns = 10 * ns + (json[i] - '0');
            times[0].tv_sec = times[1].tv_sec = (time_t)(ns / 1000000000);
            times[0].tv_nsec = times[1].tv_nsec = (long)(ns % 1000000000);
            utimensat(AT_FDCWD, path, times, 0);
            return;
        }
}

static void use_linear(const wte__linear *w, volatile float *sink)
{
    const size_t rows = w->orientation == WTE__IN_OUT ? w->n_in : w->n_out;
    const size_t element = w->type == WTE__WEIGHT_INT8 ? 1 : 2;
    const unsigned char *bytes = w->weight;

    for (size_t i = 0; i < rows * w->stride * element + (w->scales ? 63 : 0); i++)
        *sink += bytes[i];
    for (size_t o = 0; w->scales && o < w->n_out; o++)
        *sink += w->scales[o];
}

static void use(const wte_network *net)
{
    const wte__layer *layer = net->layers;
    const wte__linear *const all[] = {&layer->qkv[0], &layer->attention_out, &layer->up,
                                      &layer->down, &net->output};
    const wte__table *const tables[] = {&net->tokens, &net->positions};
    volatile float sink = 0; /* so that the reads are made */

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        use_linear(all[i], &sink);
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < tables[i]->n_rows * tables[i]->dim * 2; k++)
            sink += ((const unsigned char *)tables[i]->data)[k];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char path[4096];
    const char *tmp = getenv("TMPDIR");
    wte_network_options options = WTE_NETWORK_DEFAULTS;
    wte_checkpoint *c = make_checkpoint();
    wte_network *net = NULL;
    uint8_t length[8] = {0};
    FILE *f;

    if (!c || size < 2)
        return 0;
    if (!*path)
        snprintf(path, sizeof path, "%s/wte-fuzz-converted-%ld", tmp && *tmp ? tmp : "/tmp",
                 (long)getpid());
    f = fopen(path, "wb");
    if (!f)
        return 0;
    memcpy(length, data, 2);
    fwrite(length, 1, sizeof length, f);
    fwrite(data + 2, 1, size - 2, f);
    fclose(f);
    seal(path, data + 2, size - 2);
    options.precision = WTE_PRECISION_INT8;
    options.converted_path = path;
    options.n_threads = 1;
    if (wte_network_new(c, config, &options, &net, NULL) == WTE_OK)
        use(net);
    else
        abort(); /* a bad file is made anew */
    wte_network_free(net);
    unlink(path);
    return 0;
}
