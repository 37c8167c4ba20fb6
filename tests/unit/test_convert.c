/* SPDX-License-Identifier: MIT */
/* test_convert.c - weights as bfloat16 and as 8-bit codes: their numbers, the file that keeps them,
 * what is made of a damaged one, and the cache folder of a model */
#include "support.h"
#include <math.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/base.h"
#include "format/safetensors.h"
#include "network/network_internal.h"
#include "tensors.h"
#include "wte/cache.h"
#include "wte/model.h"

enum { N_LAYER = 2, N_EMBD = 64, N_INNER = 96, N_VOCAB = 150, N_CTX = 20 };

static const char gpt2_config[] = "{\"model_type\": \"gpt2\", \"n_head\": 4}";
static const char bert_config[] = "{\"model_type\": \"bert\", \"num_attention_heads\": 4}";

static test_tensors set;
static wte_checkpoint *checkpoint;
static char kept[512];

static int tear_down(void **state)
{
    (void)state;
    wte_checkpoint_free(checkpoint);
    checkpoint = NULL;
    test_drop(&set);
    return 0;
}

/* Save the set and open it; a new name for what is kept of it. */
static void open_set(const char *file, bool gguf)
{
    static unsigned turn;
    char path[512];
    wte_error err = {WTE_OK, 0, ""};

    snprintf(path, sizeof path, "%s/%s", test_folder(), file);
    snprintf(kept, sizeof kept, "%s/kept-%u", test_folder(), turn++);
    if (gguf)
        test_write_gguf(&set, path, N_LAYER, 4);
    else
        test_write_safetensors(&set, path, 3);
    wte_checkpoint_free(checkpoint);
    checkpoint = NULL;
    if (wte_checkpoint_open(path, &checkpoint, &err) != WTE_OK)
        fail_msg("%s", err.message);
}

static void open_gpt2(const char *dtype)
{
    test_gpt2(&set, "", N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, dtype);
    open_set("x.safetensors", false);
}

static wte_network_options options_of(wte_precision precision, const char *path)
{
    wte_network_options options = WTE_NETWORK_DEFAULTS;

    options.precision = precision;
    options.converted_path = path;
    options.identity = 77;
    return options;
}

static wte_network *new_network(const char *config, const wte_network_options *options)
{
    wte_network *net = NULL;
    wte_error err = {WTE_OK, 0, ""};

    if (wte_network_new(checkpoint, config, options, &net, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return net;
}

/* ---- numbers ----------------------------------------------------------------------------- */

/* Round to nearest even, from the definition: of the two neighbours the nearer one. */
static uint16_t nearest_bf16(float x)
{
    uint32_t bits;
    uint16_t down;
    float low, high;

    memcpy(&bits, &x, 4);
    down = (uint16_t)(bits >> 16);
    bits = (uint32_t)down << 16;
    memcpy(&low, &bits, 4);
    bits = (uint32_t)(down + 1) << 16;
    memcpy(&high, &bits, 4);
    if (fabs((double)x - low) < fabs((double)high - x))
        return down;
    if (fabs((double)x - low) > fabs((double)high - x))
        return (uint16_t)(down + 1);
    return (uint16_t)(down % 2 ? down + 1 : down);
}

static void assert_bf16(const void *data, const float *values, size_t n)
{
    const unsigned char *p = data;

    for (size_t i = 0; i < n; i++, p += 2)
        assert_int_equal(p[0] | p[1] << 8, nearest_bf16(values[i]));
}

/* The panels of a linear layer made of a matrix whose values are [n_in, n_out] (`conv1d`) or [n_out,
 * n_in]. */
static void assert_panels(const wte__linear *w, const char *name, size_t n_in, size_t n_out,
                          bool conv1d)
{
    const size_t by_in = conv1d ? n_out : 1, by_out = conv1d ? 1 : n_in;
    const size_t n_panels = (n_out + WTE__PANEL - 1) / WTE__PANEL;
    const test_tensor *t = test_find(&set, name);
    const unsigned char *p = w->weight;

    assert_non_null(t);
    assert_int_equal(w->type, WTE__WEIGHT_BF16);
    assert_int_equal(w->orientation, WTE__PANELS);
    assert_int_equal(w->n_in, n_in);
    assert_int_equal(w->n_out, n_out);
    assert_int_equal(w->stride, n_in * WTE__PANEL);
    assert_int_equal((uintptr_t)w->weight % 64, 0);
    for (size_t panel = 0; panel < n_panels; panel++)
        for (size_t i = 0; i < n_in; i++)
            for (size_t j = panel * WTE__PANEL; j < (panel + 1) * WTE__PANEL; j++, p += 2)
                assert_int_equal(p[0] | p[1] << 8,
                                 j < n_out ? nearest_bf16(t->values[i * by_in + j * by_out]) : 0);
}

/* The codes of a linear layer; the weight from input i to output o is at i * by_in + o * by_out. */
static void assert_codes(const wte__linear *w, const char *name, size_t n_in, size_t n_out,
                         bool conv1d)
{
    const test_tensor *t = test_find(&set, name);
    const size_t by_in = conv1d ? n_out : 1, by_out = conv1d ? 1 : n_in;
    const int8_t *codes = w->weight;

    assert_non_null(t);
    assert_int_equal(w->type, WTE__WEIGHT_INT8);
    assert_int_equal(w->orientation, WTE__OUT_IN);
    assert_int_equal(w->n_in, n_in);
    assert_int_equal(w->n_out, n_out);
    assert_int_equal(w->stride, (n_in + 63) / 64 * 64);
    assert_int_equal((uintptr_t)w->weight % 64, 0);
    assert_int_equal((uintptr_t)w->scales % 64, 0);
    for (size_t o = 0; o < n_out; o++) {
        float largest = 0;

        for (size_t i = 0; i < n_in; i++)
            largest = fmaxf(largest, fabsf(t->values[i * by_in + o * by_out]));
        assert_true(w->scales[o] == largest / 127);
        for (size_t i = 0; i < n_in; i++) {
            const double x = t->values[i * by_in + o * by_out];
            const int code = codes[o * w->stride + i];

            assert_in_range(code + 127, 0, 254);
            assert_true(fabs(x - (double)w->scales[o] * code) <=
                        0.5 * (double)w->scales[o] * (1 + 1e-4));
        }
        for (size_t i = n_in; i < w->stride; i++)
            assert_int_equal(codes[o * w->stride + i], 0);
    }
}

static void bf16_is_the_nearest_and_ties_go_to_even(void **state)
{
    static const float odd[] = {1.00390625f, 1.01171875f, -1.00390625f, 0,      -0.0f, 1e-40f,
                                1.0f,        3.3895e38f,  1.0039063f,   1e-30f, 0.1f,  -2.5f};
    wte_network_options options = options_of(WTE_PRECISION_BF16, NULL);
    wte_network *net;
    (void)state;

    test_gpt2(&set, "", N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, "F32");
    memcpy(test_find(&set, "h.0.attn.c_attn.weight")->values, odd, sizeof odd);
    open_set("x.safetensors", false);
    net = new_network(gpt2_config, &options);
    assert_panels(&net->layers[0].qkv[0], "h.0.attn.c_attn.weight", N_EMBD, 3 * N_EMBD, true);
    assert_panels(&net->layers[1].up, "h.1.mlp.c_fc.weight", N_EMBD, N_INNER, true);
    assert_panels(&net->layers[1].down, "h.1.mlp.c_proj.weight", N_INNER, N_EMBD, true);
    assert_panels(&net->output, "wte.weight", N_EMBD, N_VOCAB, false);
    assert_true(net->tokens.panels);
    assert_bf16(net->positions.data, test_find(&set, "wpe.weight")->values, N_CTX * N_EMBD);
    assert_int_equal(net->tokens.type, WTE__WEIGHT_BF16);
    assert_ptr_equal(net->output.weight, net->tokens.data); /* once for both */
    assert_int_equal(net->info.converted_found, 0);
    assert_true(net->info.converted_bytes >= 2 * (N_VOCAB + N_CTX) * N_EMBD);
    assert_int_equal(net->info.precision, WTE_PRECISION_BF16);
    assert_string_equal(net->info.note, "");
    wte_network_free(net);
}

static void panels_are_filled_up_with_zeros(void **state)
{
    enum { WIDTH = 48, INNER = 75 }; /* an odd number of odd panels */
    wte_network_options options;
    (void)state;

    test_gpt2(&set, "", N_LAYER, WIDTH, INNER, N_VOCAB, N_CTX, "F32");
    open_set("x.safetensors", false);
    options = options_of(WTE_PRECISION_BF16, kept);
    for (int i = 0; i < 2; i++) {
        wte_network *net = new_network(gpt2_config, &options);

        assert_int_equal(net->info.converted_found, i);
        assert_panels(&net->layers[0].up, "h.0.mlp.c_fc.weight", WIDTH, INNER, true);
        assert_panels(&net->layers[1].down, "h.1.mlp.c_proj.weight", INNER, WIDTH, true);
        assert_panels(&net->layers[1].qkv[0], "h.1.attn.c_attn.weight", WIDTH, 3 * WIDTH, true);
        wte_network_free(net);
    }
}

static void int8_has_a_scale_for_each_output(void **state)
{
    static const char *const dtypes[] = {"F32", "F16", "BF16", "F64", "F8_E4M3"};
    wte_network_options options = options_of(WTE_PRECISION_INT8, NULL);
    (void)state;

    for (size_t d = 0; d < 5; d++) {
        wte_network *net;
        test_tensor *t;

        test_gpt2(&set, "", N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, dtypes[d]);
        t = test_find(&set, "h.1.mlp.c_fc.weight");
        for (size_t i = 0; i < N_EMBD; i++)
            t->values[i * N_INNER + 5] = 0; /* an output that is always its bias */
        open_set("x.safetensors", false);
        net = new_network(gpt2_config, &options);
        for (size_t l = 0; l < N_LAYER; l++) {
            char name[64];

            snprintf(name, sizeof name, "h.%zu.attn.c_attn.weight", l);
            assert_codes(&net->layers[l].qkv[0], name, N_EMBD, 3 * N_EMBD, true);
            snprintf(name, sizeof name, "h.%zu.mlp.c_proj.weight", l);
            assert_codes(&net->layers[l].down, name, N_INNER, N_EMBD, true);
            snprintf(name, sizeof name, "h.%zu.mlp.c_fc.weight", l);
            assert_codes(&net->layers[l].up, name, N_EMBD, N_INNER, true);
        }
        assert_true(net->layers[1].up.scales[5] == 0);
        assert_codes(&net->output, "wte.weight", N_EMBD, N_VOCAB, false);
        assert_bf16(net->tokens.data, test_find(&set, "wte.weight")->values, N_VOCAB * N_EMBD);
        if (d == 2) /* stored so: in place */
            assert_ptr_equal(net->tokens.data, wte_checkpoint_find(checkpoint, "wte.weight")->data);
        assert_int_equal(net->tokens.type, WTE__WEIGHT_BF16);
        wte_network_free(net);
        tear_down(NULL);
    }
}

static void bert_and_gguf_are_converted_too(void **state)
{
    wte_network_options options = options_of(WTE_PRECISION_INT8, NULL);
    wte_network *net;
    (void)state;

    test_bert(&set, N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, "F32");
    open_set("x.safetensors", false);
    net = new_network(bert_config, &options);
    assert_codes(&net->layers[1].qkv[2], "bert.encoder.layer.1.attention.self.value.weight", N_EMBD,
                 N_EMBD, false);
    assert_codes(&net->layers[0].up, "bert.encoder.layer.0.intermediate.dense.weight", N_EMBD,
                 N_INNER, false);
    assert_codes(&net->transform, "cls.predictions.transform.dense.weight", N_EMBD, N_EMBD, false);
    assert_codes(&net->pooler, "bert.pooler.dense.weight", N_EMBD, N_EMBD, false);
    assert_codes(&net->next_sentence, "cls.seq_relationship.weight", N_EMBD, 2, false);
    assert_bf16(net->types.data,
                test_find(&set, "bert.embeddings.token_type_embeddings.weight")->values,
                2 * N_EMBD);
    wte_network_free(net);
    tear_down(NULL);

    test_gpt2(&set, "", N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, "Q8_0");
    open_set("x.gguf", true);
    net = new_network("{}", &options);
    assert_codes(&net->layers[1].down, "h.1.mlp.c_proj.weight", N_INNER, N_EMBD, true);
    wte_network_free(net);
    options.precision = WTE_PRECISION_BF16;
    net = new_network("{}", &options);
    assert_panels(&net->output, "wte.weight", N_EMBD, N_VOCAB, false);
    assert_panels(&net->layers[0].up, "h.0.mlp.c_fc.weight", N_EMBD, N_INNER, true);
    assert_string_equal(net->info.note, ""); /* nothing was widened for it */
    wte_network_free(net);
    tear_down(NULL);

    test_bert(&set, N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, "F32");
    open_set("x.safetensors", false);
    net = new_network(bert_config, &options);
    assert_panels(&net->layers[0].up, "bert.encoder.layer.0.intermediate.dense.weight", N_EMBD,
                  N_INNER, false);
    assert_panels(&net->next_sentence, "cls.seq_relationship.weight", N_EMBD, 2, false);
    assert_bf16(net->types.data,
                test_find(&set, "bert.embeddings.token_type_embeddings.weight")->values,
                2 * N_EMBD);
    assert_false(net->types.panels);
    wte_network_free(net);
}

static void what_is_stored_as_bfloat16_is_not_converted_to_it(void **state)
{
    wte_network_options options = options_of(WTE_PRECISION_BF16, NULL);
    wte_network *net;
    (void)state;

    open_gpt2("BF16");
    options.converted_path = kept;
    net = new_network(gpt2_config, &options);
    assert_ptr_equal(net->layers[0].up.weight,
                     wte_checkpoint_find(checkpoint, "h.0.mlp.c_fc.weight")->data);
    assert_int_equal(net->layers[0].up.type, WTE__WEIGHT_BF16);
    assert_int_equal(net->layers[0].up.stride, N_INNER);
    assert_int_equal(net->info.converted_bytes, 0);
    assert_int_not_equal(access(kept, F_OK), 0);
    wte_network_free(net);
}

static void assert_same_linear(const wte__linear *a, const wte__linear *b)
{
    const size_t element = a->type == WTE__WEIGHT_INT8 ? 1 : 2;
    const size_t rows = a->orientation == WTE__IN_OUT   ? a->n_in
                        : a->orientation == WTE__PANELS ? (a->n_out + WTE__PANEL - 1) / WTE__PANEL
                                                        : a->n_out;

    assert_int_equal(a->type, b->type);
    assert_int_equal(a->orientation, b->orientation);
    assert_int_equal(a->stride, b->stride);
    assert_memory_equal(a->weight, b->weight, rows * a->stride * element);
    if (a->scales)
        assert_memory_equal(a->scales, b->scales, a->n_out * sizeof(float));
}

static void assert_same(const wte_network *a, const wte_network *b)
{
    for (size_t l = 0; l < N_LAYER; l++) {
        assert_same_linear(&a->layers[l].qkv[0], &b->layers[l].qkv[0]);
        assert_same_linear(&a->layers[l].attention_out, &b->layers[l].attention_out);
        assert_same_linear(&a->layers[l].up, &b->layers[l].up);
        assert_same_linear(&a->layers[l].down, &b->layers[l].down);
    }
    assert_same_linear(&a->output, &b->output);
    assert_memory_equal(a->tokens.data, b->tokens.data, 2 * N_VOCAB * N_EMBD);
    assert_memory_equal(a->positions.data, b->positions.data, 2 * N_CTX * N_EMBD);
    assert_int_equal(a->info.bytes_per_token, b->info.bytes_per_token);
    assert_int_equal(a->info.converted_bytes, b->info.converted_bytes);
}

static void the_number_of_threads_changes_nothing(void **state)
{
    static const unsigned threads[] = {2, 7};
    (void)state;

    open_gpt2("F32");
    for (wte_precision p = WTE_PRECISION_BF16; p <= WTE_PRECISION_INT8; p++) {
        wte_network_options options = options_of(p, NULL);
        wte_network *one;

        options.n_threads = 1;
        one = new_network(gpt2_config, &options);
        for (size_t i = 0; i < 2; i++) {
            wte_network *more;

            options.n_threads = threads[i];
            more = new_network(gpt2_config, &options);
            assert_same(one, more);
            wte_network_free(more);
        }
        wte_network_free(one);
    }
}

/* ---- what is refused --------------------------------------------------------------------- */

static void assert_refused(wte_precision precision, const char *path, const char *text,
                           const char *other)
{
    wte_network_options options = options_of(precision, path);
    wte_network *net = NULL;
    wte_error err = {WTE_OK, 0, ""};

    assert_int_equal(wte_network_new(checkpoint, gpt2_config, &options, &net, &err), WTE_E_RANGE);
    assert_null(net);
    if (!strstr(err.message, text) || !strstr(err.message, other))
        fail_msg("'%s' should hold '%s' and '%s'", err.message, text, other);
    if (path)
        assert_int_not_equal(access(path, F_OK), 0);
}

static void weights_that_are_not_finite_are_named_with_the_place(void **state)
{
    static const char *const names[] = {"h.1.mlp.c_fc.weight", "wte.weight"};
    (void)state;

    for (size_t i = 0; i < 4; i++) {
        test_tensor *t;
        char place[64];

        test_gpt2(&set, "", N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, "F32");
        t = test_find(&set, names[i / 2]);
        t->values[7 * t->shape[1] + 11] = i % 2 ? NAN : INFINITY;
        t->values[9 * t->shape[1] + 3] = i % 2 ? NAN : INFINITY; /* whichever is met first */
        open_set("x.safetensors", false);
        snprintf(place, sizeof place, "row 7, column 11 is %s",
                 i % 2 ? "not a number" : "infinite");
        assert_refused(WTE_PRECISION_BF16, kept, t->name, place);
        assert_refused(WTE_PRECISION_BF16, NULL, t->name, place);
        if (i / 2 == 0) /* codes go output by output */
            snprintf(place, sizeof place, "row 9, column 3 is %s",
                     i % 2 ? "not a number" : "infinite");
        assert_refused(WTE_PRECISION_INT8, kept, t->name, place);
        tear_down(NULL);
    }
    test_gpt2(&set, "", N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, "F32");
    test_find(&set, "wpe.weight")->values[N_EMBD + 2] = -3.4e38f;
    open_set("x.safetensors", false);
    assert_refused(WTE_PRECISION_BF16, NULL, "wpe.weight: row 1, column 2", "bfloat16");
}

static int stop(void *data, const char *what, uint64_t done, uint64_t total)
{
    (void)data, (void)what;
    assert_true(done <= total);
    return 1;
}

static void a_conversion_can_be_cancelled(void **state)
{
    wte_network_options options = options_of(WTE_PRECISION_INT8, NULL);
    wte_network *net = NULL;
    (void)state;

    open_gpt2("F32");
    options.progress = stop;
    assert_int_equal(wte_network_new(checkpoint, gpt2_config, &options, &net, NULL),
                     WTE_E_CANCELLED);
    options.converted_path = kept;
    assert_int_equal(wte_network_new(checkpoint, gpt2_config, &options, &net, NULL),
                     WTE_E_CANCELLED);
    assert_null(net);
    assert_int_not_equal(access(kept, F_OK), 0);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;

    open_gpt2("F64");
    for (int i = 0; i < 6; i++) {
        wte_network_options options =
            options_of(i % 2 ? WTE_PRECISION_INT8 : WTE_PRECISION_BF16, i < 2 ? NULL : kept);
        long nth = 0;

        if (i < 4)
            unlink(kept); /* else it is found */
        options.n_threads = 2;
        for (;; nth++) {
            wte_network *net = NULL;
            wte_status status;

            wte__fail_alloc(nth);
            status = wte_network_new(checkpoint, gpt2_config, &options, &net, NULL);
            wte__fail_alloc(-1);
            if (status == WTE_OK) {
                wte_network_free(net);
                break;
            }
            assert_int_equal(status, WTE_E_NOMEM);
            assert_null(net);
        }
        assert_true(nth > 40);
    }
}

/* ---- the file ---------------------------------------------------------------------------- */

static void a_kept_file_is_found_and_gives_the_same_numbers(void **state)
{
    (void)state;

    open_gpt2("F32");
    for (wte_precision p = WTE_PRECISION_BF16; p <= WTE_PRECISION_INT8; p++) {
        wte_network_options options = options_of(p, NULL);
        wte_network *memory = new_network(gpt2_config, &options), *made, *found;

        unlink(kept);
        options.converted_path = kept;
        made = new_network(gpt2_config, &options);
        assert_int_equal(made->info.converted_found, 0);
        assert_string_equal(made->info.note, "");
        found = new_network(gpt2_config, &options);
        assert_int_equal(found->info.converted_found, 1);
        assert_same(memory, made);
        assert_same(memory, found);
        wte_network_free(memory);
        wte_network_free(made);
        wte_network_free(found);
    }
}

/* Open, and tell whether the file was used. */
static int is_found(wte_precision precision, uint64_t identity)
{
    wte_network_options options = options_of(precision, kept);
    wte_network *net;
    int found;

    options.identity = identity;
    net = new_network(gpt2_config, &options);
    found = net->info.converted_found;
    assert_string_equal(net->info.note, "");
    wte_network_free(net);
    return found;
}

static void a_file_for_something_else_is_made_anew(void **state)
{
    (void)state;

    open_gpt2("F32");
    assert_int_equal(is_found(WTE_PRECISION_INT8, 77), 0);
    assert_int_equal(is_found(WTE_PRECISION_INT8, 77), 1);
    assert_int_equal(is_found(WTE_PRECISION_INT8, 78), 0); /* another checkpoint */
    assert_int_equal(is_found(WTE_PRECISION_INT8, 78), 1);
    assert_int_equal(is_found(WTE_PRECISION_BF16, 78), 0); /* another precision */
    assert_int_equal(is_found(WTE_PRECISION_BF16, 78), 1);
}

static unsigned char *read_kept(size_t *size)
{
    FILE *f = fopen(kept, "rb");
    unsigned char *data;
    long n;

    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    n = ftell(f);
    rewind(f);
    data = malloc((size_t)n + 64);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)n, f), n);
    fclose(f);
    *size = (size_t)n;
    return data;
}

/* Write the file with the time of last change that its header promises. */
static void write_kept(const unsigned char *data, size_t size, const struct stat *seal)
{
    const struct timespec times[2] = {seal->st_atim, seal->st_mtim};
    FILE *f = fopen(kept, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
    if (seal->st_mtim.tv_sec)
        assert_int_equal(utimensat(AT_FDCWD, kept, times, 0), 0);
}

/* Change a text of the header into another one of the same length. */
static bool edit(unsigned char *data, size_t size, const char *from, const char *to)
{
    const size_t n = strlen(from);

    assert_int_equal(strlen(to), n);
    for (size_t i = 0; i + n <= size; i++)
        if (memcmp(data + i, from, n) == 0) {
            memcpy(data + i, to, n);
            return true;
        }
    return false;
}

static void a_damaged_file_is_made_anew(void **state)
{
    static const char *const edits[][2] = {
        {"wte-weights", "wte-weighst"},
        {"\"version\":\"2\"", "\"version\":\"1\""},
        {"\"precision\":\"int8\"", "\"precision\":\"bf16\""},
        {"\"identity\":\"77\"", "\"identity\":\"7x\""},
        {"written_ns", "written_nS"},
        {"\"I8\"", "\"U8\""},
        {"\"F32\"", "\"I32\""},
        {"h.1.mlp.c_fc.weight.codes", "h.2.mlp.c_fc.weight.codes"},
        {"h.0.mlp.c_fc.weight.scales", "h.2.mlp.c_fc.weight.scales"},
        {"wte.weight.bf16", "wta.weight.bf16"},
        {"[192,64]", "[96,128]"}, /* as many bytes */
        {"{", "["},
    };
    const struct stat no_seal = {0};
    unsigned char *data, *copy;
    struct stat seal;
    size_t size;
    (void)state;

    open_gpt2("F32");
    assert_int_equal(is_found(WTE_PRECISION_INT8, 77), 0);
    assert_int_equal(stat(kept, &seal), 0);
    data = read_kept(&size);
    copy = malloc(size);
    assert_non_null(copy);
    write_kept(data, size, &seal);
    assert_int_equal(is_found(WTE_PRECISION_INT8, 77), 1); /* that is how it is done */
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        memcpy(copy, data, size);
        /* the shape comes with spaces or without */
        if (!edit(copy, size, edits[i][0], edits[i][1]))
            fail_msg("no %s in the header", edits[i][0]);
        write_kept(copy, size, &seal);
        if (is_found(WTE_PRECISION_INT8, 77))
            fail_msg("%s was not noticed", edits[i][1]);
        assert_int_equal(is_found(WTE_PRECISION_INT8, 77), 1);
    }
    memcpy(copy, data, size); /* a changed number shows by the time */
    copy[size / 2] ^= 1;
    write_kept(copy, size, &no_seal);
    assert_int_equal(is_found(WTE_PRECISION_INT8, 77), 0);
    for (size_t n = 0; n < size; n += n < 4096 ? 97 : size / 7) { /* cut short */
        write_kept(data, n, &seal);
        assert_int_equal(is_found(WTE_PRECISION_INT8, 77), 0);
    }
    write_kept(data, size - 1, &seal);
    assert_int_equal(is_found(WTE_PRECISION_INT8, 77), 0);
    free(data);
    free(copy);
}

static void codes_at_the_very_end_of_a_file_are_refused(void **state)
{
    wte__safetensors st;
    const wte__tensor *last;
    char *header = NULL;
    unsigned char *data, *copy;
    const char *metadata[16][2];
    const char *const keys[] = {"format", "version", "precision", "identity", "written_ns"};
    wte__tensor tensors[64];
    size_t size, header_size = 0, n = 0;
    uint64_t at = 0;
    struct stat seal;
    (void)state;

    open_gpt2("F32");
    assert_int_equal(is_found(WTE_PRECISION_INT8, 77), 0);
    assert_int_equal(stat(kept, &seal), 0);
    data = read_kept(&size);
    assert_int_equal(wte__safetensors_parse(data, size, kept, &st, NULL), WTE_OK);
    last = wte__safetensors_find(&st, "h.0.mlp.c_fc.weight.codes");
    assert_non_null(last);
    for (size_t i = 0; i < 5; i++) {
        metadata[i][0] = keys[i];
        metadata[i][1] = wte__safetensors_metadata(&st, keys[i]);
    }
    for (size_t i = 0; i <= st.n; i++) { /* the same arrays, that one behind all others */
        const wte__tensor *t = i < st.n ? &st.tensors[i] : last;

        if (i < st.n && t == last)
            continue;
        tensors[n] = *t;
        tensors[n++].begin = at;
        at += t->size;
    }
    assert_int_equal(wte__safetensors_header((const char *const(*)[2])metadata, 5, tensors, n, 0,
                                             &header, &header_size, NULL),
                     WTE_OK);
    copy = malloc(header_size + at);
    assert_non_null(copy);
    memcpy(copy, header, header_size);
    for (size_t i = 0; i < n; i++)
        memcpy(copy + header_size + tensors[i].begin,
               data + wte__safetensors_find(&st, tensors[i].name)->begin, tensors[i].size);
    write_kept(copy, header_size + at, &seal);
    assert_int_equal(is_found(WTE_PRECISION_INT8, 77), 0);
    assert_int_equal(is_found(WTE_PRECISION_INT8, 77), 1);
    wte__safetensors_free(&st);
    wte__free(header);
    free(copy);
    free(data);
}

static void weights_that_cannot_be_kept_are_used_all_the_same(void **state)
{
    wte_network_options options = options_of(WTE_PRECISION_INT8, NULL);
    struct rlimit before, small;
    wte_network *memory, *net;
    (void)state;

    open_gpt2("F32");
    memory = new_network(gpt2_config, &options);
    options.converted_path = "/nonexistent/folder/x";
    net = new_network(gpt2_config, &options);
    assert_non_null(strstr(net->info.note, "could not be kept: /nonexistent/folder/x"));
    assert_same(memory, net);
    wte_network_free(net);
    /* a file that may not become as large as it has to: as on a full disk */
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 10000;
    options.converted_path = kept;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    net = new_network(gpt2_config, &options);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_non_null(strstr(net->info.note, "could not be kept: "));
    assert_same(memory, net);
    assert_int_not_equal(access(kept, F_OK), 0);
    wte_network_free(net);
    wte_network_free(memory);
}

/* ---- models ------------------------------------------------------------------------------ */

static char model_folder[512], cache[512];

/* A folder with a model of the set; an empty cache folder. */
static void save_model(const char *name, const char *config)
{
    char path[600];
    FILE *f;

    snprintf(model_folder, sizeof model_folder, "%s/%s", test_folder(), name);
    snprintf(cache, sizeof cache, "%s/cache-of-%s/deep", test_folder(), name);
    mkdir(model_folder, 0700);
    snprintf(path, sizeof path, "%s/config.json", model_folder);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(config, f);
    fclose(f);
    snprintf(path, sizeof path, "%s/model.safetensors", model_folder);
    test_write_safetensors(&set, path, 0);
}

static wte_model *open_model(wte_cache_mode mode)
{
    wte_open_options options = WTE_OPEN_DEFAULTS;
    wte_model *m = NULL;
    wte_error err = {WTE_OK, 0, ""};

    options.cache = mode;
    options.cache_dir = cache;
    if (wte_model_open(model_folder, &options, &m, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return m;
}

static const wte_network *network_of(wte_model *m, wte_precision precision)
{
    const wte_network *net = NULL;
    wte_error err = {WTE_OK, 0, ""};

    if (wte_model_network(m, precision, &net, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return net;
}

static size_t n_kept(size_t *stale)
{
    wte_cache_list list;
    size_t n;

    assert_int_equal(wte_cache_get_list(cache, &list, NULL), WTE_OK);
    n = list.n;
    *stale = 0;
    for (size_t i = 0; i < n; i++) {
        char *real = realpath(model_folder, NULL);

        assert_string_equal(list.entries[i].source, real);
        *stale += list.entries[i].stale != 0;
        free(real);
    }
    wte_cache_list_free(&list);
    return n;
}

static void a_model_keeps_converted_weights_in_the_cache_folder(void **state)
{
    const wte_network *net;
    wte_model *m;
    size_t stale, n;
    (void)state;

    test_gpt2(&set, "", N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, "F32");
    save_model("gpt2-small", gpt2_config);
    m = open_model(WTE_CACHE_NEVER);
    net = network_of(m, WTE_PRECISION_INT8);
    assert_int_equal(net->info.converted_found, 0);
    assert_ptr_equal(network_of(m, WTE_PRECISION_INT8), net); /* made once */
    assert_ptr_not_equal(network_of(m, WTE_PRECISION_F32), net);
    wte_model_free(m);
    assert_int_equal(n_kept(&stale), 0);

    m = open_model(WTE_CACHE_AUTO); /* too small to be worth it */
    network_of(m, WTE_PRECISION_INT8);
    wte_model_free(m);
    assert_int_equal(n_kept(&stale), 0);

    for (int i = 0; i < 2; i++) {
        m = open_model(WTE_CACHE_ALWAYS);
        assert_int_equal(network_of(m, WTE_PRECISION_INT8)->info.converted_found, i);
        assert_int_equal(network_of(m, WTE_PRECISION_BF16)->info.converted_found, i);
        assert_string_equal(network_of(m, WTE_PRECISION_BF16)->info.note, "");
        wte_model_free(m);
        assert_int_equal(n_kept(&stale), 2);
        assert_int_equal(stale, 0);
    }
    test_find(&set, "wte.weight")->values[0] = 0.75f; /* another file by the same name */
    save_model("gpt2-small", gpt2_config);
    assert_int_equal(n_kept(&stale), 2);
    assert_int_equal(stale, 2);
    m = open_model(WTE_CACHE_ALWAYS);
    net = network_of(m, WTE_PRECISION_BF16);
    assert_int_equal(net->info.converted_found, 0);
    assert_int_equal(*(const uint16_t *)net->tokens.data, nearest_bf16(0.75f));
    wte_model_free(m);
    assert_int_equal(n_kept(&stale), 2);
    assert_int_equal(stale, 1);
    assert_int_equal(wte_cache_clear(cache, &n, NULL, NULL), WTE_OK);
    assert_int_equal(n, 2);
    assert_int_equal(n_kept(&stale), 0);
}

static void another_output_matrix_is_another_conversion(void **state)
{
    static const char untied[] = "{\"model_type\": \"gpt2\", \"n_head\": 4, "
                                 "\"tie_word_embeddings\": false}";
    wte_model *m;
    (void)state;

    test_gpt2(&set, "", N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, "F32");
    test_add(&set, "lm_head.weight", "F32", N_VOCAB, N_EMBD, 0, 1);
    save_model("gpt2-head", gpt2_config);
    for (int i = 0; i < 2; i++) {
        const wte_network *net;
        char path[600];
        FILE *f;

        m = open_model(WTE_CACHE_ALWAYS);
        net = network_of(m, WTE_PRECISION_INT8);
        assert_int_equal(net->info.converted_found, 0);
        assert_codes(&net->output, i ? "lm_head.weight" : "wte.weight", N_EMBD, N_VOCAB, false);
        wte_model_free(m);
        snprintf(path, sizeof path, "%s/config.json", model_folder);
        f = fopen(path, "w");
        assert_non_null(f);
        fputs(untied, f);
        fclose(f);
    }
}

static void a_cache_folder_that_cannot_be_made_is_a_note(void **state)
{
    wte_model *m;
    (void)state;

    test_gpt2(&set, "", N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, "F32");
    save_model("gpt2-no-cache", gpt2_config);
    snprintf(cache, sizeof cache, "%s", write_file("no-folder", "x", 1));
    m = open_model(WTE_CACHE_ALWAYS);
    assert_non_null(strstr(network_of(m, WTE_PRECISION_BF16)->info.note, "could not be kept: "));
    assert_string_equal(network_of(m, WTE_PRECISION_F32)->info.note, "");
    wte_model_free(m);
}

static void what_has_no_network_says_so(void **state)
{
    const wte_network *net = NULL;
    wte_error err = {WTE_OK, 0, ""};
    wte_model *m = NULL;
    char path[600];
    (void)state;

    assert_int_equal(wte_model_open(write_file("v.txt", "1 2\na 1 2\n", 10), NULL, &m, &err),
                     WTE_OK);
    assert_int_equal(wte_model_network(m, WTE_PRECISION_F32, &net, &err), WTE_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "word vectors"));
    wte_model_free(m);

    test_gpt2(&set, "", N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, "F32");
    test_find(&set, "ln_f.bias")->values[3] = NAN;
    save_model("gpt2-nan", gpt2_config);
    m = open_model(WTE_CACHE_NEVER);
    assert_int_equal(wte_model_network(m, WTE_PRECISION_F32, &net, &err), WTE_E_RANGE);
    assert_non_null(strstr(err.message, "ln_f.bias: number 3"));
    assert_int_equal(wte_model_network(m, (wte_precision)9, &net, &err), WTE_E_RANGE);
    wte_model_free(m);

    snprintf(path, sizeof path, "%s/model.safetensors", model_folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/vocab.json", model_folder);
    assert_int_equal(symlink(test_file("golden/models/gpt2/vocab.json"), path), 0);
    snprintf(path, sizeof path, "%s/merges.txt", model_folder);
    assert_int_equal(symlink(test_file("golden/models/gpt2/merges.txt"), path), 0);
    m = open_model(WTE_CACHE_NEVER);
    assert_int_equal(wte_model_network(m, WTE_PRECISION_F32, &net, &err), WTE_E_NOTFOUND);
    assert_non_null(strstr(err.message, "tokenizer files only"));
    assert_null(net);
    wte_model_free(m);
}

static void *ask(void *arg)
{
    const wte_network *net = NULL;

    return wte_model_network(arg, WTE_PRECISION_INT8, &net, NULL) == WTE_OK ? (void *)(uintptr_t)net
                                                                            : NULL;
}

static void threads_that_ask_at_once_get_one_network(void **state)
{
    pthread_t threads[4];
    void *got[4];
    wte_model *m;
    (void)state;

    test_gpt2(&set, "", N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, "F32");
    save_model("gpt2-threads", gpt2_config);
    m = open_model(WTE_CACHE_ALWAYS);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, m), 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], &got[i]), 0);
        assert_non_null(got[i]);
        assert_ptr_equal(got[i], got[0]);
    }
    wte_model_free(m);
}

static void every_allocation_of_a_model_may_fail(void **state)
{
    long nth = 0;
    wte_model *m;
    (void)state;

    test_gpt2(&set, "", N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, "F32");
    save_model("gpt2-memory", gpt2_config);
    m = open_model(WTE_CACHE_ALWAYS);
    for (;; nth++) {
        const wte_network *net = NULL;
        wte_status status;

        wte__fail_alloc(nth);
        status = wte_model_network(m, WTE_PRECISION_INT8, &net, NULL);
        wte__fail_alloc(-1);
        if (status == WTE_OK)
            break;
        assert_int_equal(status, WTE_E_NOMEM);
        assert_null(net);
    }
    assert_true(nth > 40);
    wte_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(bf16_is_the_nearest_and_ties_go_to_even, tear_down),
        cmocka_unit_test_teardown(panels_are_filled_up_with_zeros, tear_down),
        cmocka_unit_test_teardown(int8_has_a_scale_for_each_output, tear_down),
        cmocka_unit_test_teardown(bert_and_gguf_are_converted_too, tear_down),
        cmocka_unit_test_teardown(what_is_stored_as_bfloat16_is_not_converted_to_it, tear_down),
        cmocka_unit_test_teardown(the_number_of_threads_changes_nothing, tear_down),
        cmocka_unit_test_teardown(weights_that_are_not_finite_are_named_with_the_place, tear_down),
        cmocka_unit_test_teardown(a_conversion_can_be_cancelled, tear_down),
        cmocka_unit_test_teardown(every_allocation_may_fail, tear_down),
        cmocka_unit_test_teardown(a_kept_file_is_found_and_gives_the_same_numbers, tear_down),
        cmocka_unit_test_teardown(a_file_for_something_else_is_made_anew, tear_down),
        cmocka_unit_test_teardown(a_damaged_file_is_made_anew, tear_down),
        cmocka_unit_test_teardown(codes_at_the_very_end_of_a_file_are_refused, tear_down),
        cmocka_unit_test_teardown(weights_that_cannot_be_kept_are_used_all_the_same, tear_down),
        cmocka_unit_test_teardown(a_model_keeps_converted_weights_in_the_cache_folder, tear_down),
        cmocka_unit_test_teardown(another_output_matrix_is_another_conversion, tear_down),
        cmocka_unit_test_teardown(a_cache_folder_that_cannot_be_made_is_a_note, tear_down),
        cmocka_unit_test_teardown(what_has_no_network_says_so, tear_down),
        cmocka_unit_test_teardown(threads_that_ask_at_once_get_one_network, tear_down),
        cmocka_unit_test_teardown(every_allocation_of_a_model_may_fail, tear_down)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
