/* SPDX-License-Identifier: MIT */
/* note.c - what a person should know of a model that could be opened
 *
 * Numbers of the config that a model cannot do without are compared with the tensors when it is
 * opened, and a contradiction is an error (open.c). What is compared here changes nothing that is
 * computed from the token embeddings, so it is only told: a width that only the network needs, the
 * type that numbers are said to have, a matrix that is there but not used, tokens without a row,
 * and what a pickle held beside the state dict. */
#include <stdarg.h>
#include "model/model_internal.h"

__attribute__((format(printf, 2, 3))) static void say(wte_model *m, const char *fmt, ...)
{
    size_t used = strlen(m->note);
    va_list args;

    if (used && used + 3 < sizeof m->note)
        used += (size_t)snprintf(m->note + used, sizeof m->note - used, "; ");
    va_start(args, fmt);
    vsnprintf(m->note + used, sizeof m->note - used, fmt, args);
    va_end(args);
}

/* Compare a number of the config with one side of a tensor, where both are there. */
static void compare_size(wte_model *m, const char *key, size_t fallback, const char *tensor,
                         size_t dim, const char *what)
{
    const wte_tensor *t = wte_checkpoint_find(m->checkpoint, tensor);
    size_t said = wte__config_size(m, key, fallback);

    if (t && said && t->n_dims == 2 && t->shape[dim] != said)
        say(m, "config.json says %s %zu, %s has %zu %s", key, said, t->name, t->shape[dim], what);
}

static void compare_type(wte_model *m, const wte_tensor *embd)
{
    static const char *const types[][2] = {
        {"float32", "F32"}, {"float16", "F16"}, {"bfloat16", "BF16"}, {"float64", "F64"}};
    const char *said = wte__config_text(m, "torch_dtype", wte__config_text(m, "dtype", NULL));

    for (size_t i = 0; said && i < sizeof types / sizeof *types; i++)
        if (strcmp(said, types[i][0]) == 0 && strcmp(embd->dtype, types[i][1]) != 0)
            say(m, "config.json says %s, %s is %s", said, embd->name, embd->dtype);
}

static void look_at_output(wte_model *m, const wte_tensor *embd)
{
    const wte_tensor *output = wte__output_tensor(m);

    if (output && wte__is_tied(m) && output->data != embd->data)
        say(m, "%s is there and not used: config.json ties it to %s", output->name, embd->name);
}

void wte__model_note(wte_model *m, const char *embd_name)
{
    const wte_tensor *embd = wte_checkpoint_find(m->checkpoint, embd_name);
    uint32_t n_tokens = m->tokenizer ? wte_tokenizer_get_info(m->tokenizer)->n_vocab : 0;

    if (m->info.family == WTE_FAMILY_GPT2) {
        /* n_inner null means four times n_embd */
        compare_size(m, "n_inner", json_object_size(m->config) ? 4 * m->info.n_embd : 0,
                     "h.0.mlp.c_fc.weight", 1, "columns");
    } else {
        compare_size(m, "intermediate_size", 0, "encoder.layer.0.intermediate.dense.weight", 0,
                     "rows");
        compare_size(m, "type_vocab_size", 0, "embeddings.token_type_embeddings.weight", 0, "rows");
    }
    compare_type(m, embd);
    look_at_output(m, embd);
    if (n_tokens > m->info.n_vocab)
        say(m, "the tokenizer has %u tokens, %s %u rows", n_tokens, embd->name, m->info.n_vocab);
    if (*wte_checkpoint_get_info(m->checkpoint)->note)
        say(m, "%s", wte_checkpoint_get_info(m->checkpoint)->note);
}
