/* SPDX-License-Identifier: MIT */
/* test_network.c - wte_network_new(): what it makes of a checkpoint, and what it refuses
 *
 * Checkpoints are those of the reference data, and small ones whose numbers the test knows
 * (tensors.h). */
#include "support.h"
#include <math.h>
#include "base/base.h"
#include "network/network_internal.h"
#include "tensors.h"

enum { N_LAYER = 2, N_EMBD = 64, N_INNER = 96, N_VOCAB = 70, N_CTX = 20 };

static const char gpt2_config[] = "{\"model_type\": \"gpt2\", \"n_head\": 4}";
static const char bert_config[] = "{\"model_type\": \"bert\", \"num_attention_heads\": 4}";

static test_tensors set;

static int tear_down(void **state)
{
    (void)state;
    test_drop(&set);
    return 0;
}

static const char *path_of(const char *name)
{
    static char path[512];

    snprintf(path, sizeof path, "%s/%s", test_folder(), name);
    return path;
}

static wte_checkpoint *open_checkpoint(const char *path)
{
    wte_checkpoint *c = NULL;
    wte_error err = {WTE_OK, 0, ""};

    if (wte_checkpoint_open(path, &c, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return c;
}

static wte_checkpoint *save(void)
{
    test_write_safetensors(&set, path_of("x.safetensors"), 0);
    return open_checkpoint(path_of("x.safetensors"));
}

static wte_network *network_of(const wte_checkpoint *c, const char *config)
{
    wte_network *net = NULL;
    wte_error err = {WTE_OK, 0, ""};

    if (wte_network_new(c, config, NULL, &net, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return net;
}

/* The set must be refused with a message that holds both texts. */
static void assert_refused(const char *config, wte_status status, const char *text,
                           const char *other)
{
    wte_checkpoint *c = save();
    wte_network *net = NULL;
    wte_error err = {WTE_OK, 0, ""};
    const wte_status got = wte_network_new(c, config, NULL, &net, &err);

    if (got != status || !strstr(err.message, text) || !strstr(err.message, other))
        fail_msg("status %d, expected %d: '%s' should hold '%s' and '%s'", got, status, err.message,
                 text, other);
    assert_null(net);
    assert_int_equal(err.status, status);
    wte_checkpoint_free(c);
}

static void assert_vector(const float *got, const char *name)
{
    const test_tensor *t = test_find(&set, name);

    assert_non_null(t);
    assert_memory_equal(got, t->values, t->n * sizeof *got);
    assert_int_equal((uintptr_t)got % 64, 0);
}

/* One number of a matrix as a product would read it: the weight from input i to output o. */
static float weight_at(const wte__linear *w, size_t i, size_t o)
{
    const size_t at = w->orientation == WTE__IN_OUT ? i * w->stride + o : o * w->stride + i;
    float x = 0;
    uint16_t half;

    switch (w->type) {
    case WTE__WEIGHT_F32:
        return wte__load_f32((const char *)w->weight + at * 4);
    case WTE__WEIGHT_F16:
    case WTE__WEIGHT_BF16:
        memcpy(&half, (const char *)w->weight + at * 2, 2);
        (w->type == WTE__WEIGHT_F16 ? wte__kernel()->f16_to_f32
                                    : wte__kernel()->bf16_to_f32)(&half, &x, 1);
        return x;
    case WTE__WEIGHT_INT8:
        break;
    }
    fail();
    return 0;
}

/* `conv1d`: the set has it [in, out]. */
static void assert_linear(const wte__linear *w, const char *prefix, size_t n_in, size_t n_out,
                          bool conv1d)
{
    char name[120];
    const test_tensor *t;

    assert_int_equal(w->n_in, n_in);
    assert_int_equal(w->n_out, n_out);
    snprintf(name, sizeof name, "%s.bias", prefix);
    if (w->bias)
        assert_vector(w->bias, name);
    snprintf(name, sizeof name, "%s.weight", prefix);
    t = test_find(&set, name);
    assert_non_null(t);
    for (size_t i = 0; i < n_in; i++)
        for (size_t o = 0; o < n_out; o++)
            assert_true(weight_at(w, i, o) ==
                        (conv1d ? t->values[i * n_out + o] : t->values[o * n_in + i]));
}

static void assert_gpt2(const wte_network *net, const char *prefix)
{
    char name[96];

    for (size_t l = 0; l < N_LAYER; l++) {
        const wte__layer *layer = &net->layers[l];

        snprintf(name, sizeof name, "%sh.%zu.ln_1.weight", prefix, l);
        assert_vector(layer->norm1.weight, name);
        snprintf(name, sizeof name, "%sh.%zu.ln_2.bias", prefix, l);
        assert_vector(layer->norm2.bias, name);
        snprintf(name, sizeof name, "%sh.%zu.attn.c_attn", prefix, l);
        assert_linear(&layer->qkv[0], name, N_EMBD, 3 * N_EMBD, true);
        assert_non_null(layer->qkv[0].bias);
        snprintf(name, sizeof name, "%sh.%zu.attn.c_proj", prefix, l);
        assert_linear(&layer->attention_out, name, N_EMBD, N_EMBD, true);
        snprintf(name, sizeof name, "%sh.%zu.mlp.c_fc", prefix, l);
        assert_linear(&layer->up, name, N_EMBD, N_INNER, true);
        snprintf(name, sizeof name, "%sh.%zu.mlp.c_proj", prefix, l);
        assert_linear(&layer->down, name, N_INNER, N_EMBD, true);
    }
    snprintf(name, sizeof name, "%sln_f.weight", prefix);
    assert_vector(net->final_norm.weight, name);
    assert_int_equal(net->n_qkv, 1);
    assert_int_equal(net->tokens.n_rows, N_VOCAB);
    assert_int_equal(net->tokens.dim, N_EMBD);
    assert_int_equal(net->positions.n_rows, N_CTX);
    assert_null(net->types.data);
    assert_null(net->transform.weight);
    assert_null(net->pooler.weight);
}

/* ---- what is made ------------------------------------------------------------------------ */

static void gpt2_is_used_in_place_whatever_its_type_and_alignment(void **state)
{
    static const char *const dtypes[] = {"F32", "F16", "BF16"};
    (void)state;

    for (size_t d = 0; d < 3; d++)
        for (size_t shift = 0; shift < 8; shift += 3) {
            const size_t element = d ? 2 : 4;
            const uint64_t numbers = N_LAYER * (4 * N_EMBD * N_EMBD + 2 * N_EMBD * N_INNER) +
                                     N_VOCAB * N_EMBD,
                           vectors = N_LAYER * (9 * N_EMBD + N_INNER) + 2 * N_EMBD;
            const wte_network_info *info;
            wte_checkpoint *c;
            wte_network *net;

            test_gpt2(&set, d == 1 ? "transformer." : "", N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX,
                      dtypes[d]);
            test_write_safetensors(&set, path_of("x.safetensors"), shift);
            c = open_checkpoint(path_of("x.safetensors"));
            net = network_of(c, gpt2_config);
            assert_gpt2(net, d == 1 ? "transformer." : "");
            assert_ptr_equal(net->layers[1].up.weight,
                             wte_checkpoint_find(c, "h.1.mlp.c_fc.weight")->data);
            assert_int_equal(net->layers[1].up.type, (wte__weight_type)d);
            assert_int_equal(net->layers[1].up.orientation, WTE__IN_OUT);
            assert_ptr_equal(net->output.weight, net->tokens.data); /* tied */
            assert_int_equal(net->output.orientation, WTE__OUT_IN);
            assert_int_equal(net->output.n_out, N_VOCAB);
            assert_null(net->output.bias);
            assert_int_equal(net->tokens.type, (wte__weight_type)d);
            assert_true(net->attention_scale == 0.25f); /* heads of 16 */
            assert_true(net->epsilon == 1e-5f);
            assert_int_equal(net->activation, WTE__ACTIVATION_GELU_TANH);
            info = wte_network_get_info(net);
            assert_int_equal(info->architecture, WTE_ARCHITECTURE_GPT2);
            assert_int_equal(info->n_layer, N_LAYER);
            assert_int_equal(info->n_head, 4);
            assert_int_equal(info->n_embd, N_EMBD);
            assert_int_equal(info->n_inner, N_INNER);
            assert_int_equal(info->n_ctx, N_CTX);
            assert_int_equal(info->n_vocab, N_VOCAB);
            assert_int_equal(info->n_types, 0);
            assert_true(info->has_logits && !info->has_pooler && !info->has_next_sentence);
            assert_int_equal(info->bytes_per_token, numbers * element + vectors * 4);
            assert_int_equal(info->converted_bytes, 0);
            assert_string_equal(info->note, "");
            wte_network_free(net);
            wte_checkpoint_free(c);
            test_drop(&set);
        }
}

static void a_gguf_is_transposed_and_says_its_numbers_itself(void **state)
{
    static const char *const dtypes[] = {"F32", "F16", "BF16", "Q8_0"};
    (void)state;

    for (size_t d = 0; d < 4; d++) {
        wte_checkpoint *c;
        wte_network *net;

        test_gpt2(&set, "", N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, dtypes[d]);
        test_write_gguf(&set, path_of("x.gguf"), N_LAYER, 8);
        c = open_checkpoint(path_of("x.gguf"));
        net = network_of(c, d % 2 ? "{}" : "{\"model_type\": \"gpt2\"}");
        assert_gpt2(net, "");
        assert_int_equal(net->layers[0].attention_out.orientation, WTE__OUT_IN);
        assert_int_equal(net->info.n_head, 8);
        assert_true(net->epsilon == 0.0001f);
        assert_int_equal(*net->info.note != '\0', d == 3);
        if (d == 3) {
            assert_non_null(strstr(net->info.note, "Q8_0"));
            assert_int_equal(net->output.type, WTE__WEIGHT_F32);
            assert_ptr_equal(net->output.weight, net->tokens.data);
        }
        wte_network_free(net);
        wte_checkpoint_free(c);
        test_drop(&set);
    }
}

static void other_floats_are_widened_and_a_note_says_so(void **state)
{
    static const char *const dtypes[] = {"F64", "F8_E4M3", "F8_E5M2"};
    (void)state;

    for (size_t d = 0; d < 3; d++) {
        wte_checkpoint *c;
        wte_network *net;

        test_gpt2(&set, "", N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, dtypes[d]);
        c = save();
        net = network_of(c, gpt2_config);
        assert_gpt2(net, "");
        assert_int_equal(net->layers[0].down.type, WTE__WEIGHT_F32);
        assert_non_null(strstr(net->info.note, dtypes[d]));
        assert_non_null(strstr(net->info.note, "widened"));
        wte_network_free(net);
        wte_checkpoint_free(c);
        test_drop(&set);
    }
}

static void vectors_of_any_float_are_widened(void **state)
{
    static const char *const dtypes[] = {"F16", "BF16", "F64", "F8_E4M3", "F8_E5M2"};
    (void)state;

    for (size_t d = 0; d < 5; d++) {
        wte_checkpoint *c;
        wte_network *net;

        test_gpt2(&set, "", N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, "F32");
        test_store(test_find(&set, "h.0.ln_1.weight"), dtypes[d]);
        test_store(test_find(&set, "h.1.mlp.c_fc.bias"), dtypes[d]);
        c = save();
        net = network_of(c, gpt2_config);
        assert_gpt2(net, "");
        wte_network_free(net);
        wte_checkpoint_free(c);
        test_drop(&set);
    }
}

static void bert_has_three_matrices_a_head_and_a_pooler(void **state)
{
    wte_checkpoint *c;
    wte_network *net;
    char name[96];
    (void)state;

    test_bert(&set, N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, "F32");
    c = save();
    net = network_of(c, bert_config);
    assert_int_equal(net->n_qkv, 3);
    for (size_t l = 0; l < N_LAYER; l++) {
        static const char *const qkv[] = {"query", "key", "value"};
        const wte__layer *layer = &net->layers[l];

        for (size_t i = 0; i < 3; i++) {
            snprintf(name, sizeof name, "bert.encoder.layer.%zu.attention.self.%s", l, qkv[i]);
            assert_linear(&layer->qkv[i], name, N_EMBD, N_EMBD, false);
        }
        snprintf(name, sizeof name, "bert.encoder.layer.%zu.attention.output.dense", l);
        assert_linear(&layer->attention_out, name, N_EMBD, N_EMBD, false);
        snprintf(name, sizeof name, "bert.encoder.layer.%zu.intermediate.dense", l);
        assert_linear(&layer->up, name, N_EMBD, N_INNER, false);
        snprintf(name, sizeof name, "bert.encoder.layer.%zu.output.dense", l);
        assert_linear(&layer->down, name, N_INNER, N_EMBD, false);
        snprintf(name, sizeof name, "bert.encoder.layer.%zu.attention.output.LayerNorm.bias", l);
        assert_vector(layer->norm1.bias, name);
        snprintf(name, sizeof name, "bert.encoder.layer.%zu.output.LayerNorm.weight", l);
        assert_vector(layer->norm2.weight, name);
    }
    assert_vector(net->embedding_norm.weight, "bert.embeddings.LayerNorm.weight");
    assert_null(net->final_norm.weight);
    assert_linear(&net->pooler, "bert.pooler.dense", N_EMBD, N_EMBD, false);
    assert_linear(&net->transform, "cls.predictions.transform.dense", N_EMBD, N_EMBD, false);
    assert_vector(net->transform_norm.bias, "cls.predictions.transform.LayerNorm.bias");
    assert_vector(net->output.bias, "cls.predictions.bias");
    assert_ptr_equal(net->output.weight, net->tokens.data);
    assert_linear(&net->next_sentence, "cls.seq_relationship", N_EMBD, 2, false);
    assert_int_equal(net->info.architecture, WTE_ARCHITECTURE_BERT);
    assert_int_equal(net->info.n_types, 2);
    assert_int_equal(net->types.n_rows, 2);
    assert_true(net->info.has_logits && net->info.has_pooler && net->info.has_next_sentence);
    assert_true(net->epsilon == 1e-12f);
    assert_int_equal(net->activation, WTE__ACTIVATION_GELU_ERF);
    wte_network_free(net);
    wte_checkpoint_free(c);
}

static void bert_needs_neither_head_nor_pooler(void **state)
{
    static const char *const head[] = {
        "cls.predictions.transform.dense.weight", "cls.predictions.transform.dense.bias",
        "cls.predictions.transform.LayerNorm.weight", "cls.predictions.transform.LayerNorm.bias",
        "cls.predictions.bias"};
    wte_checkpoint *c;
    wte_network *net;
    (void)state;

    test_bert(&set, N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, "F32");
    for (size_t i = 0; i < 5; i++)
        test_remove(&set, head[i]);
    test_remove(&set, "bert.pooler.dense.weight");
    c = save();
    net = network_of(c, bert_config);
    assert_false(net->info.has_logits || net->info.has_pooler || net->info.has_next_sentence);
    assert_null(net->output.weight);
    assert_null(net->pooler.weight);
    assert_null(net->next_sentence.weight);
    wte_network_free(net);
    wte_checkpoint_free(c);
}

static void the_bias_of_the_head_may_be_the_decoders(void **state)
{
    wte_checkpoint *c;
    wte_network *net;
    (void)state;

    test_bert(&set, N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, "F32");
    strcpy(test_find(&set, "cls.predictions.bias")->name, "cls.predictions.decoder.bias");
    c = save();
    net = network_of(c, bert_config);
    assert_vector(net->output.bias, "cls.predictions.decoder.bias");
    wte_network_free(net);
    wte_checkpoint_free(c);
}

/* What wte_checkpoint_find() gives for the output of a network, or NULL where it is tied. */
static void assert_output(const char *config, const char *name)
{
    wte_checkpoint *c = save();
    wte_network *net = network_of(c, config);

    assert_ptr_equal(net->output.weight,
                     name ? wte_checkpoint_find(c, name)->data : net->tokens.data);
    wte_network_free(net);
    wte_checkpoint_free(c);
}

static void the_config_says_whether_the_output_is_the_token_embedding(void **state)
{
    static const char tied[] = "{\"model_type\": \"gpt2\", \"n_head\": 4, "
                               "\"tie_word_embeddings\": true}",
                      untied[] = "{\"model_type\": \"gpt2\", \"n_head\": 4, "
                                 "\"tie_word_embeddings\": false}",
                      untied_bert[] = "{\"model_type\": \"bert\", \"num_attention_heads\": 4, "
                                      "\"tie_word_embeddings\": false}";
    wte_checkpoint *c;
    wte_network *net;
    (void)state;

    test_gpt2(&set, "transformer.", N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, "F32");
    assert_refused(untied, WTE_E_SHAPE, "lm_head.weight", "no tensor");
    test_add(&set, "lm_head.weight", "F32", N_VOCAB, N_EMBD, 0, 1);
    assert_output(gpt2_config, NULL);
    assert_output(tied, NULL);
    assert_output(untied, "lm_head.weight");
    test_drop(&set);

    test_bert(&set, N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, "F32");
    test_add(&set, "cls.predictions.decoder.weight", "F32", N_VOCAB, N_EMBD, 0, 1);
    assert_output(bert_config, NULL);
    assert_output(untied_bert, "cls.predictions.decoder.weight");
    test_drop(&set);

    test_gpt2(&set, "", N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, "F32");
    test_add(&set, "lm_head.weight", "F32", N_VOCAB, N_EMBD, 0, 1);
    test_write_gguf(&set, path_of("y.gguf"), N_LAYER, 4);
    c = open_checkpoint(path_of("y.gguf"));
    net = network_of(c, "{\"model_type\": \"gpt2\"}"); /* a GGUF that has one means it */
    assert_ptr_equal(net->output.weight, wte_checkpoint_find(c, "lm_head.weight")->data);
    wte_network_free(net);
    wte_checkpoint_free(c);
}

static void the_config_names_activation_epsilon_and_scale(void **state)
{
    static const struct {
        const char *name;
        wte__activation activation;
    } known[] = {
        {"gelu_new", WTE__ACTIVATION_GELU_TANH},  {"gelu_pytorch_tanh", WTE__ACTIVATION_GELU_TANH},
        {"gelu_fast", WTE__ACTIVATION_GELU_TANH}, {"gelu", WTE__ACTIVATION_GELU_ERF},
        {"relu", WTE__ACTIVATION_RELU},           {"tanh", WTE__ACTIVATION_TANH}};
    wte_checkpoint *c;
    (void)state;

    test_gpt2(&set, "", N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, "F32");
    c = save();
    for (size_t i = 0; i < 2 * sizeof known / sizeof *known; i++) {
        char config[300];
        wte_network *net;

        snprintf(config, sizeof config,
                 "{\"%s\": \"%s\", \"%s\": 4, \"%s\": 0.03125, \"scale_attn_weights\": %s, "
                 "\"scale_attn_by_inverse_layer_idx\": %s, \"n_inner\": %s, \"n_ctx\": 7}",
                 i % 2 ? "activation_function" : "hidden_act", known[i / 2].name,
                 i % 2 ? "n_head" : "num_attention_heads",
                 i % 2 ? "layer_norm_epsilon" : "layer_norm_eps", i % 2 ? "true" : "false",
                 i % 2 ? "false" : "true", i % 2 ? "null" : "96");
        net = network_of(c, config);
        assert_int_equal(net->activation, known[i / 2].activation);
        assert_true(net->epsilon == 0.03125f);
        assert_true(net->attention_scale == (i % 2 ? 0.25f : 1.0f));
        assert_int_equal(net->scale_by_layer, i % 2 == 0);
        wte_network_free(net);
    }
    wte_checkpoint_free(c);
}

/* ---- what is refused --------------------------------------------------------------------- */

static void a_config_that_cannot_be_run_is_named(void **state)
{
    static const struct {
        const char *config;
        wte_status status;
        const char *text, *other;
    } wrong[] = {
        {"{\"n_head\": 4", WTE_E_FORMAT, "config: line 1", ""},
        {"[]", WTE_E_FORMAT, "expected a JSON object", ""},
        {"{\"model_type\": \"llama\"}", WTE_E_UNSUPPORTED, "llama", "expected gpt2 or bert"},
        {"{\"model_type\": \"bert\"}", WTE_E_SHAPE, "embeddings.word_embeddings.weight",
         "no tensor"},
        {"{}", WTE_E_FORMAT, "n_head", "there is no"},
        {"{\"n_head\": 5}", WTE_E_SHAPE, "n_head is 5", "64"},
        {"{\"n_head\": 0}", WTE_E_SHAPE, "n_head is 0", "64"},
        {"{\"n_head\": -4}", WTE_E_FORMAT, "n_head", "whole number"},
        {"{\"n_head\": \"4\"}", WTE_E_FORMAT, "n_head", "whole number"},
        {"{\"n_head\": 4.5}", WTE_E_FORMAT, "n_head", "whole number"},
        {"{\"n_head\": 4, \"n_layer\": 3}", WTE_E_SHAPE, "n_layer is 3",
         "2 layers: there is no "
         "tensor h.2.ln_1.weight"},
        {"{\"n_head\": 4, \"n_layer\": 1}", WTE_E_SHAPE, "n_layer is 1", "2 layers"},
        {"{\"n_head\": 4, \"n_embd\": 65}", WTE_E_SHAPE, "n_embd is 65", "64 columns"},
        {"{\"n_head\": 4, \"vocab_size\": 71}", WTE_E_SHAPE, "vocab_size is 71", "70 rows"},
        {"{\"n_head\": 4, \"n_positions\": 21}", WTE_E_SHAPE, "n_positions is 21", "20 rows"},
        {"{\"n_head\": 4, \"n_inner\": 256}", WTE_E_SHAPE, "n_inner is 256", "96 columns"},
        {"{\"n_head\": 4, \"activation_function\": \"silu\"}", WTE_E_UNSUPPORTED, "'silu'",
         "gelu_new"},
        {"{\"n_head\": 4, \"activation_function\": 1}", WTE_E_UNSUPPORTED, "activation_function",
         "gelu_new"},
        {"{\"n_head\": 4, \"layer_norm_epsilon\": \"x\"}", WTE_E_FORMAT, "layer_norm_epsilon", ""},
        {"{\"n_head\": 4, \"layer_norm_epsilon\": -1}", WTE_E_FORMAT, "layer_norm_epsilon", ""},
        {"{\"n_head\": 4, \"scale_attn_weights\": 1}", WTE_E_FORMAT, "scale_attn_weights",
         "neither true nor false"},
        {"{\"n_head\": 4, \"position_embedding_type\": \"relative_key\"}", WTE_E_UNSUPPORTED,
         "relative_key", "absolute"},
        {"{\"n_head\": 4, \"n_head\": 4}", WTE_E_FORMAT, "config: line 1", "n_head"},
    };
    (void)state;

    test_gpt2(&set, "", N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, "F32");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_refused(wrong[i].config, wrong[i].status, wrong[i].text, wrong[i].other);
    test_drop(&set);
    test_bert(&set, N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, "F32");
    assert_refused("{\"num_attention_heads\": 4, \"is_decoder\": true}", WTE_E_UNSUPPORTED,
                   "is_decoder", "");
    assert_refused("{\"num_attention_heads\": 4, \"type_vocab_size\": 3}", WTE_E_SHAPE,
                   "type_vocab_size is 3", "2 rows");
    assert_refused("{\"num_attention_heads\": 4, \"intermediate_size\": 95}", WTE_E_SHAPE,
                   "intermediate_size is 95", "96 rows");
}

static void tensors_of_another_model_are_refused(void **state)
{
    (void)state;

    test_add(&set, "something.weight", "F32", 4, 4, 0, 1);
    assert_refused("{}", WTE_E_UNSUPPORTED, "wte.weight", "word_embeddings");
}

/* True if a network can be without a tensor, or has one layer less without it. */
static bool is_optional(const char *name)
{
    return strcmp(name, "bert.pooler.dense.weight") == 0 ||
           strcmp(name, "cls.seq_relationship.weight") == 0;
}

static void build(bool bert)
{
    test_drop(&set);
    if (bert)
        test_bert(&set, N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, "F32");
    else
        test_gpt2(&set, "transformer.", N_LAYER, N_EMBD, N_INNER, N_VOCAB, N_CTX, "F32");
}

static void any_missing_tensor_is_named(void **state)
{
    (void)state;

    for (int bert = 0; bert < 2; bert++) {
        const char *config = bert ? "{\"model_type\": \"bert\", \"num_attention_heads\": 4, "
                                    "\"num_hidden_layers\": 2}"
                                  : "{\"model_type\": \"gpt2\", \"n_head\": 4, \"n_layer\": 2}";

        build(bert);
        for (size_t i = 0; i < set.n; i++) {
            char name[96];
            const char *shown;

            snprintf(name, sizeof name, "%s", set.items[i].name);
            if (is_optional(name))
                continue;
            shown = strncmp(name, "bert.", 5) == 0           ? name + 5
                    : strncmp(name, "transformer.", 12) == 0 ? name + 12
                                                             : name;
            test_remove(&set, name);
            assert_refused(config, WTE_E_SHAPE, shown, "no tensor");
            build(bert);
        }
    }
}

static void any_misshapen_tensor_is_named_with_both_shapes(void **state)
{
    (void)state;

    for (int bert = 0; bert < 2; bert++) {
        build(bert);
        for (size_t i = 0; i < set.n; i++) {
            test_tensor *t = &set.items[i];
            const bool table = strstr(t->name, "mbeddings.weight") || strstr(t->name, "wte.") ||
                               strstr(t->name, "wpe.");
            char expected[64];

            if (t->n_dims == 1)
                snprintf(expected, sizeof expected, "expected [%zu]", t->shape[0]);
            else
                snprintf(expected, sizeof expected, "expected [%zu, ", t->shape[0]);
            if (table || strstr(t->name, "h.0.mlp.c_fc.weight") ||
                strstr(t->name, "layer.0.intermediate.dense.weight"))
                strcpy(expected, "expected"); /* its own size is what the others are measured by */
            /* one less in the last dimension */
            t->shape[t->n_dims - 1]--;
            t->n = t->shape[0] * (t->n_dims == 2 ? t->shape[1] : 1);
            if (i == 0)
                assert_refused(bert ? bert_config : gpt2_config, WTE_E_SHAPE, "63", "");
            else if (strstr(expected, "expected [") || !strstr(t->name, "weight"))
                assert_refused(bert ? bert_config : gpt2_config, WTE_E_SHAPE, t->name, expected);
            else
                assert_refused(bert ? bert_config : gpt2_config, WTE_E_SHAPE, "expected", "[");
            build(bert);
            /* all in one dimension */
            t = &set.items[i];
            if (t->n_dims == 2) {
                t->n_dims = 1;
                t->shape[0] = t->n;
                assert_refused(bert ? bert_config : gpt2_config, WTE_E_SHAPE, t->name, "expected");
                build(bert);
            }
        }
    }
}

static void tensors_of_whole_numbers_are_refused(void **state)
{
    (void)state;

    for (int bert = 0; bert < 2; bert++) {
        build(bert);
        for (size_t i = 0; i < set.n; i++) {
            test_store(&set.items[i], "I32");
            assert_refused(bert ? bert_config : gpt2_config, WTE_E_SHAPE, set.items[i].name,
                           "is I32");
            build(bert);
        }
    }
}

static void vectors_that_are_not_finite_are_named_with_the_place(void **state)
{
    (void)state;

    for (int bert = 0; bert < 2; bert++) {
        build(bert);
        for (size_t i = 0; i < set.n; i++) {
            char number[32];
            const size_t at = set.items[i].n - 1 - i % 3 % set.items[i].n;

            if (set.items[i].n_dims == 2)
                continue;
            snprintf(number, sizeof number, "number %zu of", at);
            set.items[i].values[at] = i % 2 ? NAN : -INFINITY;
            if (set.items[i].n == 2)
                snprintf(number, sizeof number, "number");
            assert_refused(bert ? bert_config : gpt2_config, WTE_E_RANGE, set.items[i].name,
                           number);
            build(bert);
        }
    }
}

static void an_unknown_precision_is_refused(void **state)
{
    wte_network_options options = WTE_NETWORK_DEFAULTS;
    wte_checkpoint *c;
    wte_network *net = NULL;
    (void)state;

    build(false);
    c = save();
    options.precision = (wte_precision)7;
    assert_int_equal(wte_network_new(c, gpt2_config, &options, &net, NULL), WTE_E_RANGE);
    assert_null(net);
    wte_checkpoint_free(c);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;

    for (int bert = 0; bert < 2; bert++) {
        wte_checkpoint *c;
        long nth = 0;

        build(bert);
        for (size_t i = 0; i < set.n; i++)
            if (set.items[i].n_dims == 2)
                test_store(&set.items[i], i % 2 ? "F64" : "F32");
        c = save();
        for (;; nth++) {
            wte_network *net = NULL;
            wte_error err = {WTE_OK, 0, ""};
            wte_status status;

            wte__fail_alloc(nth);
            status = wte_network_new(c, bert ? bert_config : gpt2_config, NULL, &net, &err);
            wte__fail_alloc(-1);
            if (status == WTE_OK) {
                wte_network_free(net);
                break;
            }
            assert_int_equal(status, WTE_E_NOMEM);
            assert_null(net);
            assert_true(*err.message);
        }
        assert_true(nth > 20);
        wte_checkpoint_free(c);
    }
}

/* ---- the reference data ------------------------------------------------------------------ */

static char *read_text(const char *path)
{
    FILE *f = fopen(path, "r");
    char *text = calloc(1, 8192);

    assert_true(f && text);
    assert_true(fread(text, 1, 8191, f) > 0);
    fclose(f);
    return text;
}

static wte_network *open_golden(const char *name, wte_checkpoint **c)
{
    char relative[128];
    wte_network *net;
    char *config;

    snprintf(relative, sizeof relative, "golden/%s/config.json", name);
    config = read_text(need_shared(relative));
    snprintf(relative, sizeof relative, "golden/%s", name);
    *c = open_checkpoint(need_shared(relative));
    net = network_of(*c, config);
    free(config);
    return net;
}

static void every_storage_of_the_reference_gpt2_is_the_same_network(void **state)
{
    static const struct {
        const char *name;
        float bound; /* relative */
    } variants[] = {{"gpt2_small_vocab", 0},
                    {"gpt2_small_vocab_bare", 0},
                    {"gpt2_small_vocab_f16", 0x1p-11f},
                    {"gpt2_small_vocab_bf16", 0x1p-8f},
                    {"gpt2_small_vocab_pt", 0},
                    {"gpt2_small_vocab_pt_f16", 0x1p-11f},
                    {"gpt2_small_vocab_pt_legacy", 0},
                    {"gpt2_small_vocab_sharded", 0}};
    wte_checkpoint *first_checkpoint = NULL;
    wte_network *first = open_golden(variants[0].name, &first_checkpoint);
    (void)state;

    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
        wte_checkpoint *c = NULL;
        wte_network *net = open_golden(variants[v].name, &c);

        assert_int_equal(net->info.n_layer, 3);
        assert_int_equal(net->info.n_head, 3);
        assert_int_equal(net->info.n_embd, 48);
        assert_int_equal(net->info.n_inner, 192);
        assert_int_equal(net->info.n_ctx, 96);
        assert_int_equal(net->info.n_vocab, 512);
        assert_string_equal(net->info.note, "");
        for (size_t l = 0; l < 3; l++)
            for (size_t i = 0; i < 48; i++) {
                for (size_t o = 0; o < 144; o++) {
                    const float want = weight_at(&first->layers[l].qkv[0], i, o);

                    assert_true(fabsf(weight_at(&net->layers[l].qkv[0], i, o) - want) <=
                                variants[v].bound * fabsf(want) + variants[v].bound * 1e-4f);
                }
                assert_true(fabsf(net->layers[l].norm1.weight[i] -
                                  first->layers[l].norm1.weight[i]) <= variants[v].bound * 4);
            }
        wte_network_free(net);
        wte_checkpoint_free(c);
    }
    wte_network_free(first);
    wte_checkpoint_free(first_checkpoint);
}

static void the_other_reference_networks_open(void **state)
{
    static const struct {
        const char *name;
        int has_logits, has_pooler, has_next_sentence;
    } networks[] = {{"gpt2_tiny", 1, 0, 0},
                    {"bert_tiny", 0, 1, 0},
                    {"bert_tiny_hub", 1, 1, 1},
                    {"bert_tiny_pt", 1, 1, 1}};
    (void)state;

    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
        wte_checkpoint *c = NULL;
        wte_network *net = open_golden(networks[i].name, &c);

        assert_int_equal(net->info.n_layer, 2);
        assert_int_equal(net->info.n_head, 4);
        assert_int_equal(net->info.n_embd, 32);
        assert_int_equal(net->info.has_logits, networks[i].has_logits);
        if (i < 3) { /* bert_tiny_pt: what the pickle holds */
            assert_int_equal(net->info.has_pooler, networks[i].has_pooler);
            assert_int_equal(net->info.has_next_sentence, networks[i].has_next_sentence);
        }
        wte_network_free(net);
        wte_checkpoint_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(gpt2_is_used_in_place_whatever_its_type_and_alignment, tear_down),
        cmocka_unit_test_teardown(a_gguf_is_transposed_and_says_its_numbers_itself, tear_down),
        cmocka_unit_test_teardown(other_floats_are_widened_and_a_note_says_so, tear_down),
        cmocka_unit_test_teardown(vectors_of_any_float_are_widened, tear_down),
        cmocka_unit_test_teardown(bert_has_three_matrices_a_head_and_a_pooler, tear_down),
        cmocka_unit_test_teardown(bert_needs_neither_head_nor_pooler, tear_down),
        cmocka_unit_test_teardown(the_bias_of_the_head_may_be_the_decoders, tear_down),
        cmocka_unit_test_teardown(the_config_says_whether_the_output_is_the_token_embedding,
                                  tear_down),
        cmocka_unit_test_teardown(the_config_names_activation_epsilon_and_scale, tear_down),
        cmocka_unit_test_teardown(a_config_that_cannot_be_run_is_named, tear_down),
        cmocka_unit_test_teardown(tensors_of_another_model_are_refused, tear_down),
        cmocka_unit_test_teardown(any_missing_tensor_is_named, tear_down),
        cmocka_unit_test_teardown(any_misshapen_tensor_is_named_with_both_shapes, tear_down),
        cmocka_unit_test_teardown(tensors_of_whole_numbers_are_refused, tear_down),
        cmocka_unit_test_teardown(vectors_that_are_not_finite_are_named_with_the_place, tear_down),
        cmocka_unit_test_teardown(an_unknown_precision_is_refused, tear_down),
        cmocka_unit_test_teardown(every_allocation_may_fail, tear_down),
        cmocka_unit_test(every_storage_of_the_reference_gpt2_is_the_same_network),
        cmocka_unit_test(the_other_reference_networks_open)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
