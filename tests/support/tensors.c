/* SPDX-License-Identifier: MIT */
/* tensors.c - small checkpoints made by tests
 *
 * The writers are the tests' own, byte by byte from the formats' descriptions, so that they do not
 * share a mistake with the readers. */
#include "tensors.h"
#include "support.h"
#include <math.h>
#include "base/base.h"
#include "kernel/kernel.h"

static void store_number(FILE *f, uint64_t x, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        fputc((int)(x >> 8 * i & 255), f);
}

/* ---- sets -------------------------------------------------------------------------------- */

test_tensor *test_add(test_tensors *set, const char *name, const char *dtype, size_t rows,
                      size_t columns, float mean, float scale)
{
    test_tensor *t = &set->items[set->n];
    uint64_t seed = wte__hash(name, strlen(name));

    assert_true(set->n++ < TEST_MAX_TENSORS);
    *t = (test_tensor){.n_dims = rows ? 2 : 1, .n = (rows ? rows : 1) * columns};
    snprintf(t->name, sizeof t->name, "%s", name);
    t->shape[0] = rows ? rows : columns;
    t->shape[1] = columns;
    t->values = calloc(t->n ? t->n : 1, sizeof *t->values);
    assert_non_null(t->values);
    for (size_t i = 0; i < t->n; i++)
        t->values[i] = mean + scale * ((float)(wte__random(&seed) >> 40) / (float)(1 << 23) - 1.0f);
    test_store(t, dtype);
    return t;
}

test_tensor *test_find(test_tensors *set, const char *name)
{
    for (size_t i = 0; i < set->n; i++)
        if (strcmp(set->items[i].name, name) == 0)
            return &set->items[i];
    return NULL;
}

void test_remove(test_tensors *set, const char *name)
{
    test_tensor *t = test_find(set, name);

    assert_non_null(t);
    free(t->values);
    set->n--;
    memmove(t, t + 1, (size_t)(set->items + set->n - t) * sizeof *t);
}

void test_drop(test_tensors *set)
{
    for (size_t i = 0; i < set->n; i++)
        free(set->items[i].values);
    set->n = 0;
}

/* ---- types ------------------------------------------------------------------------------- */

static float f8_value(unsigned code, bool e5m2)
{
    const int bits = e5m2 ? 2 : 3, bias = e5m2 ? 15 : 7;
    const int exponent = (int)(code & 127) >> bits, fraction = (int)code & ((1 << bits) - 1);
    const double m = exponent ? 1 + fraction / (double)(1 << bits) : fraction / (double)(1 << bits);
    const double x = m * pow(2, (exponent ? exponent : 1) - bias);

    return (float)(code & 128 ? -x : x);
}

static unsigned f8_code(float x, bool e5m2)
{
    unsigned best = 0;

    for (unsigned code = 0; code < 256; code++)
        if ((code & 127) < (e5m2 ? 124 : 127) &&
            fabsf(f8_value(code, e5m2) - x) < fabsf(f8_value(best, e5m2) - x))
            best = code;
    return best;
}

/* The scale of a block of Q8_0, as float16. */
static uint16_t q8_scale(const float *x)
{
    float largest = 0, scale;
    uint16_t half;

    for (size_t i = 0; i < 32; i++)
        largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
    scale = largest / 127;
    wte__kernel()->f32_to_f16(&scale, &half, 1);
    return half;
}

static int q8_code(float x, uint16_t half, float *value)
{
    float scale;
    long code;

    wte__kernel()->f16_to_f32(&half, &scale, 1);
    code = scale > 0 ? lroundf(x / scale) : 0;
    code = code > 127 ? 127 : code < -127 ? -127 : code;
    *value = scale * (float)code;
    return (int)code;
}

/* Write a block of 32 numbers, or fewer of the other types; `values` receives what is stored. */
static void write_numbers(FILE *f, const float *x, size_t n, const char *dtype, float *values)
{
    const wte__kernels *k = wte__kernel();

    if (strcmp(dtype, "Q8_0") == 0) {
        const uint16_t half = q8_scale(x);

        if (f)
            store_number(f, half, 2);
        for (size_t i = 0; i < n; i++) {
            const int code = q8_code(x[i], half, &values[i]);

            if (f)
                fputc(code & 255, f);
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        uint64_t bits = 0;
        size_t bytes = 4;
        double d = x[i];

        if (strcmp(dtype, "F32") == 0) {
            memcpy(&bits, &x[i], 4);
            values[i] = x[i];
        } else if (strcmp(dtype, "F64") == 0) {
            bytes = 8;
            memcpy(&bits, &d, 8);
            values[i] = x[i];
        } else if (strcmp(dtype, "I32") == 0) {
            bits = (uint32_t)(int32_t)x[i];
            values[i] = (float)(int32_t)x[i];
        } else if (strcmp(dtype, "F16") == 0 || strcmp(dtype, "BF16") == 0) {
            bytes = 2;
            (dtype[0] == 'F' ? k->f32_to_f16 : k->f32_to_bf16)(&x[i], &half, 1);
            bits = half;
            (dtype[0] == 'F' ? k->f16_to_f32 : k->bf16_to_f32)(&half, &values[i], 1);
        } else {
            const bool e5m2 = strcmp(dtype, "F8_E5M2") == 0;

            bytes = 1;
            bits = f8_code(x[i], e5m2);
            values[i] = f8_value((unsigned)bits, e5m2);
        }
        if (f)
            store_number(f, bits, bytes);
    }
}

static void write_values(FILE *f, float *x, size_t n, const char *dtype)
{
    for (size_t i = 0; i < n; i += 32) {
        float values[32];
        const size_t here = n - i < 32 ? n - i : 32;

        write_numbers(f, x + i, here, dtype, values);
        memcpy(x + i, values, here * sizeof *values);
    }
}

void test_store(test_tensor *t, const char *dtype)
{
    t->dtype = dtype;
    write_values(NULL, t->values, t->n, dtype);
}

static size_t stored_bytes(const test_tensor *t)
{
    static const struct {
        const char *name;
        size_t bytes;
    } types[] = {{"F32", 4}, {"F16", 2}, {"BF16", 2}, {"F64", 8}, {"I32", 4}};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(t->dtype, types[i].name) == 0)
            return t->n * types[i].bytes;
    return strcmp(t->dtype, "Q8_0") == 0 ? t->n / 32 * 34 : t->n;
}

/* ---- models ------------------------------------------------------------------------------ */

static void add_norm(test_tensors *set, const char *prefix, size_t n)
{
    char name[104];

    snprintf(name, sizeof name, "%s.weight", prefix);
    test_add(set, name, "F32", 0, n, 1, 0.2f);
    snprintf(name, sizeof name, "%s.bias", prefix);
    test_add(set, name, "F32", 0, n, 0, 0.2f);
}

static void add_linear(test_tensors *set, const char *prefix, size_t rows, size_t columns,
                       size_t n_out, const char *dtype)
{
    char name[104];

    snprintf(name, sizeof name, "%s.weight", prefix);
    test_add(set, name, dtype, rows, columns, 0, 0.3f);
    snprintf(name, sizeof name, "%s.bias", prefix);
    test_add(set, name, "F32", 0, n_out, 0, 0.1f);
}

void test_gpt2(test_tensors *set, const char *prefix, size_t n_layer, size_t n_embd, size_t n_inner,
               size_t n_vocab, size_t n_ctx, const char *dtype)
{
    char name[96];

    snprintf(name, sizeof name, "%swte.weight", prefix);
    test_add(set, name, dtype, n_vocab, n_embd, 0, 0.5f);
    snprintf(name, sizeof name, "%swpe.weight", prefix);
    test_add(set, name, dtype, n_ctx, n_embd, 0, 0.2f);
    for (size_t i = 0; i < n_layer; i++) {
        snprintf(name, sizeof name, "%sh.%zu.ln_1", prefix, i);
        add_norm(set, name, n_embd);
        snprintf(name, sizeof name, "%sh.%zu.attn.c_attn", prefix, i);
        add_linear(set, name, n_embd, 3 * n_embd, 3 * n_embd, dtype);
        snprintf(name, sizeof name, "%sh.%zu.attn.c_proj", prefix, i);
        add_linear(set, name, n_embd, n_embd, n_embd, dtype);
        snprintf(name, sizeof name, "%sh.%zu.ln_2", prefix, i);
        add_norm(set, name, n_embd);
        snprintf(name, sizeof name, "%sh.%zu.mlp.c_fc", prefix, i);
        add_linear(set, name, n_embd, n_inner, n_inner, dtype);
        snprintf(name, sizeof name, "%sh.%zu.mlp.c_proj", prefix, i);
        add_linear(set, name, n_inner, n_embd, n_embd, dtype);
    }
    snprintf(name, sizeof name, "%sln_f", prefix);
    add_norm(set, name, n_embd);
}

void test_bert(test_tensors *set, size_t n_layer, size_t n_embd, size_t n_inner, size_t n_vocab,
               size_t n_ctx, const char *dtype)
{
    static const char *const square[] = {"attention.self.query", "attention.self.key",
                                         "attention.self.value", "attention.output.dense"};
    char name[96];

    test_add(set, "bert.embeddings.word_embeddings.weight", dtype, n_vocab, n_embd, 0, 0.5f);
    test_add(set, "bert.embeddings.position_embeddings.weight", dtype, n_ctx, n_embd, 0, 0.2f);
    test_add(set, "bert.embeddings.token_type_embeddings.weight", dtype, 2, n_embd, 0, 0.2f);
    add_norm(set, "bert.embeddings.LayerNorm", n_embd);
    for (size_t i = 0; i < n_layer; i++) {
        for (size_t j = 0; j < 4; j++) {
            snprintf(name, sizeof name, "bert.encoder.layer.%zu.%s", i, square[j]);
            add_linear(set, name, n_embd, n_embd, n_embd, dtype);
        }
        snprintf(name, sizeof name, "bert.encoder.layer.%zu.attention.output.LayerNorm", i);
        add_norm(set, name, n_embd);
        snprintf(name, sizeof name, "bert.encoder.layer.%zu.intermediate.dense", i);
        add_linear(set, name, n_inner, n_embd, n_inner, dtype);
        snprintf(name, sizeof name, "bert.encoder.layer.%zu.output.dense", i);
        add_linear(set, name, n_embd, n_inner, n_embd, dtype);
        snprintf(name, sizeof name, "bert.encoder.layer.%zu.output.LayerNorm", i);
        add_norm(set, name, n_embd);
    }
    add_linear(set, "bert.pooler.dense", n_embd, n_embd, n_embd, dtype);
    add_linear(set, "cls.predictions.transform.dense", n_embd, n_embd, n_embd, dtype);
    add_norm(set, "cls.predictions.transform.LayerNorm", n_embd);
    test_add(set, "cls.predictions.bias", "F32", 0, n_vocab, 0, 0.1f);
    add_linear(set, "cls.seq_relationship", 2, n_embd, 2, dtype);
}

/* ---- files ------------------------------------------------------------------------------- */

void test_write_safetensors(const test_tensors *set, const char *path, size_t shift)
{
    char *header = calloc(TEST_MAX_TENSORS, 256);
    FILE *f = fopen(path, "w");
    size_t n, at = 0;

    assert_true(header && f);
    n = (size_t)sprintf(header, "{");
    for (size_t i = 0; i < set->n; i++) {
        const test_tensor *t = &set->items[i];

        n += (size_t)sprintf(header + n, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", i ? "," : "",
                             t->name, t->dtype);
        n += (size_t)sprintf(header + n, t->n_dims == 2 ? "%zu,%zu" : "%zu", t->shape[0],
                             t->shape[1]);
        n += (size_t)sprintf(header + n, "],\"data_offsets\":[%zu,%zu]}", at, at + stored_bytes(t));
        at += stored_bytes(t);
    }
    n += (size_t)sprintf(header + n, "}");
    while (n % 8 != shift % 8)
        header[n++] = ' ';
    store_number(f, n, 8);
    assert_int_equal(fwrite(header, 1, n, f), n);
    for (size_t i = 0; i < set->n; i++)
        write_values(f, set->items[i].values, set->items[i].n, set->items[i].dtype);
    assert_int_equal(fclose(f), 0);
    free(header);
}

static void write_text(FILE *f, const char *text)
{
    store_number(f, strlen(text), 8);
    fputs(text, f);
}

static void write_u32(FILE *f, const char *key, uint32_t value)
{
    write_text(f, key);
    store_number(f, 4, 4);
    store_number(f, value, 4);
}

/* llama.cpp's name of a tensor. */
static void gguf_name(const char *name, char *out, size_t size)
{
    static const char *const pairs[][2] = {
        {"wte", "token_embd"},  {"wpe", "position_embd"},   {"ln_f", "output_norm"},
        {"ln_1", "attn_norm"},  {"ln_2", "ffn_norm"},       {"attn.c_attn", "attn_qkv"},
        {"mlp.c_fc", "ffn_up"}, {"mlp.c_proj", "ffn_down"}, {"attn.c_proj", "attn_output"},
        {"lm_head", "output"}};
    const char *dot = strrchr(name, '.'), *rest = name;
    char prefix[32] = "";
    int layer, used = 0;

    if (sscanf(name, "h.%d.%n", &layer, &used) == 1 && used > 0) {
        snprintf(prefix, sizeof prefix, "blk.%d.", layer);
        rest += used;
    }
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (strlen(pairs[i][0]) == (size_t)(dot - rest) &&
            strncmp(rest, pairs[i][0], (size_t)(dot - rest)) == 0) {
            snprintf(out, size, "%s%s%s", prefix, pairs[i][1], dot);
            return;
        }
    fail_msg("no name for %s", name);
}

static bool is_conv1d(const test_tensor *t)
{
    return t->n_dims == 2 && (strstr(t->name, ".c_") != NULL);
}

void test_write_gguf(const test_tensors *set, const char *path, size_t n_layer, size_t n_head)
{
    static const struct {
        const char *name;
        uint32_t id;
    } types[] = {{"F32", 0}, {"F16", 1}, {"Q8_0", 8}, {"F64", 28}, {"BF16", 30}, {"I32", 26}};
    const test_tensor *embd = &set->items[0], *positions = &set->items[1];
    const float epsilon = 0.0001f;
    FILE *f = fopen(path, "w");
    uint32_t bits;
    size_t at = 0;

    assert_non_null(f);
    fputs("GGUF", f);
    store_number(f, 3, 4);
    store_number(f, set->n, 8);
    store_number(f, 6, 8);
    write_text(f, "general.architecture");
    store_number(f, 8, 4);
    write_text(f, "gpt2");
    write_u32(f, "gpt2.context_length", (uint32_t)positions->shape[0]);
    write_u32(f, "gpt2.embedding_length", (uint32_t)embd->shape[1]);
    write_u32(f, "gpt2.block_count", (uint32_t)n_layer);
    write_u32(f, "gpt2.attention.head_count", (uint32_t)n_head);
    write_text(f, "gpt2.attention.layer_norm_epsilon");
    store_number(f, 6, 4);
    memcpy(&bits, &epsilon, 4);
    store_number(f, bits, 4);
    for (size_t i = 0; i < set->n; i++) {
        const test_tensor *t = &set->items[i];
        char name[96];
        size_t type = 0;

        gguf_name(t->name, name, sizeof name);
        write_text(f, name);
        store_number(f, t->n_dims, 4);
        if (t->n_dims == 2) { /* the fastest first */
            store_number(f, t->shape[is_conv1d(t) ? 0 : 1], 8);
            store_number(f, t->shape[is_conv1d(t) ? 1 : 0], 8);
        } else {
            store_number(f, t->shape[0], 8);
        }
        while (strcmp(types[type].name, t->dtype) != 0)
            type++;
        store_number(f, types[type].id, 4);
        store_number(f, at, 8);
        at = (at + stored_bytes(t) + 31) / 32 * 32;
    }
    while (ftell(f) % 32)
        fputc(0, f);
    for (size_t i = 0; i < set->n; i++) {
        const test_tensor *t = &set->items[i];
        float *x = malloc((t->n + 1) * sizeof *x);

        assert_non_null(x);
        memcpy(x, t->values, t->n * sizeof *x);
        for (size_t r = 0; is_conv1d(t) && r < t->shape[0]; r++)
            for (size_t c = 0; c < t->shape[1]; c++)
                x[c * t->shape[0] + r] = t->values[r * t->shape[1] + c];
        write_values(f, x, t->n, t->dtype);
        for (size_t r = 0; is_conv1d(t) && r < t->shape[0]; r++) /* rounded along the columns */
            for (size_t c = 0; c < t->shape[1]; c++)
                t->values[r * t->shape[1] + c] = x[c * t->shape[0] + r];
        free(x);
        while (ftell(f) % 32)
            fputc(0, f);
    }
    assert_int_equal(fclose(f), 0);
}
