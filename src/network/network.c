/* SPDX-License-Identifier: MIT */
/* network.c - the weights of GPT-2 and BERT, found in a checkpoint
 *
 * Names are Hugging Face's; wte_checkpoint_find() knows the other spellings (prefixes, gamma and
 * beta, GGUF). Widths are those of the tensors: the token embedding says n_vocab and n_embd, the
 * first layer n_inner, the position embedding n_ctx, and how many layers there are is counted;
 * every other tensor has to fit these, and so has the config where it says a number that the
 * tensors know. From the config alone come the number of heads, the activation function, epsilon,
 * how scores are scaled, and whether the output matrix is the token embedding. A GGUF without
 * config.json has the numbers in its metadata.
 *
 * GPT-2's linear layers are Conv1D, [in, out]; in a GGUF they are transposed, [out, in], as BERT's
 * are everywhere. The square one does not show it, so the file's format decides.
 *
 * Matrices stay where they are, in the mapped file, if they are F32, F16 or BF16; others are
 * widened to float32. Vectors (biases and norms) are copied as float32, which makes them aligned,
 * and looked through for numbers that are not finite. Matrices are not: reading 500 MB would take
 * longer than the first token does. A NaN in one of them shows in the first run.
 *
 * Left out: whatever training needs, cross attention (a GPT-2 has it only as a decoder of another
 * network, whose states nobody gives here), relative positions of BERT, which are refused. */
#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include "network/network_internal.h"

enum { PREFIX_SIZE = 96, NAME_SIZE = PREFIX_SIZE + 8, BLOCK = 1 << 16 };

/** A network under way. The first failure stays; what comes after it does nothing. */
typedef struct loading {
    const wte_checkpoint *checkpoint;
    json_t *config; /* an object */
    bool gguf;
    wte_network *network;
    wte__weight *weights; /* every matrix */
    size_t n_weights, capacity;
    wte_status status;
    wte_error *err;
} loading;

void *wte__network_block(wte_network *network, size_t n, size_t size)
{
    void *block;

    if (!wte__grow((void **)&network->blocks, &network->block_capacity, network->n_blocks + 1,
                   sizeof *network->blocks))
        return NULL;
    block = wte__alloc_aligned(n, size);
    if (block)
        network->blocks[network->n_blocks++] = block;
    return block;
}

void wte__network_say(wte_network *network, const char *fmt, ...)
{
    size_t used = strlen(network->note);
    va_list args;

    if (used && used + 3 < sizeof network->note)
        used += (size_t)snprintf(network->note + used, sizeof network->note - used, "; ");
    va_start(args, fmt);
    vsnprintf(network->note + used, sizeof network->note - used, fmt, args);
    va_end(args);
}

/* ---- the config -------------------------------------------------------------------------- */

/** The names of a value: GPT-2's, BERT's (transformers takes both for GPT-2), GGUF's. */
typedef struct key {
    const char *gpt2, *bert, *gguf;
} key;

static const key N_LAYER = {"n_layer", "num_hidden_layers", "block_count"};
static const key N_HEAD = {"n_head", "num_attention_heads", "attention.head_count"};
static const key N_EMBD = {"n_embd", "hidden_size", "embedding_length"};
static const key N_INNER = {"n_inner", "intermediate_size", "feed_forward_length"};
static const key N_CTX = {"n_positions", "max_position_embeddings", "context_length"};
static const key N_VOCAB = {"vocab_size", "vocab_size", NULL};
static const key N_TYPES = {"type_vocab_size", "type_vocab_size", NULL};
static const key EPSILON = {"layer_norm_epsilon", "layer_norm_eps", "attention.layer_norm_epsilon"};
static const key ACTIVATION = {"activation_function", "hidden_act", NULL};

/* The value of a key; NULL where it is not there or null. `name` receives the name it has. */
static const json_t *find_key(const loading *l, const key *k, const char **name)
{
    const bool gpt2 = l->network->info.architecture == WTE_ARCHITECTURE_GPT2;
    const char *const names[2] = {gpt2 ? k->gpt2 : k->bert, gpt2 ? k->bert : k->gpt2};

    *name = names[0];
    for (size_t i = 0; i < 2; i++) {
        const json_t *value = json_object_get(l->config, names[i]);

        if (value && !json_is_null(value)) {
            *name = names[i];
            return value;
        }
    }
    return NULL;
}

/* A value of a GGUF's metadata as a JSON number, NULL if there is none. Free with json_decref(). */
static json_t *find_metadata(const loading *l, const key *k)
{
    const bool gpt2 = l->network->info.architecture == WTE_ARCHITECTURE_GPT2;
    char name[80];
    const char *text;

    if (!l->gguf || !k->gguf)
        return NULL;
    snprintf(name, sizeof name, "%s.%s", gpt2 ? "gpt2" : "bert", k->gguf);
    text = wte_checkpoint_metadata(l->checkpoint, name);
    return text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
}

/* Read a whole number; false where nothing says it. */
static bool get_size(loading *l, const key *k, const char **name, size_t *out)
{
    const json_t *value = find_key(l, k, name);
    json_t *own = value ? NULL : find_metadata(l, k);
    bool there = false;

    if (!value)
        value = own;
    if (value && json_is_integer(value) && json_integer_value(value) >= 0) {
        *out = (size_t)json_integer_value(value);
        there = true;
    } else if (value && l->status == WTE_OK) {
        l->status = wte__fail(l->err, WTE_E_FORMAT, "config: %s is no whole number from 0", *name);
    }
    json_decref(own);
    return there;
}

/* Compare a number of the config, where it says one, with the tensors'. */
static void agree(loading *l, const key *k, size_t found, const char *tensor, const char *what)
{
    const char *name = NULL;
    size_t said = found;

    if (l->status == WTE_OK && get_size(l, k, &name, &said) && said != found)
        l->status = wte__fail(l->err, WTE_E_SHAPE, "config: %s is %zu, %s has %zu %s", name, said,
                              tensor, found, what);
}

static float get_epsilon(loading *l, float fallback)
{
    const char *name = NULL;
    const json_t *value = find_key(l, &EPSILON, &name);
    json_t *own = value ? NULL : find_metadata(l, &EPSILON);
    double epsilon = fallback;

    if (!value)
        value = own;
    if (value)
        epsilon = json_is_number(value) ? json_number_value(value) : -1;
    json_decref(own);
    if (l->status == WTE_OK && !(epsilon >= 0 && epsilon <= 1))
        l->status = wte__fail(l->err, WTE_E_FORMAT, "config: %s is no number from 0 to 1", name);
    return (float)epsilon;
}

static bool get_bool(loading *l, const char *name, bool fallback)
{
    const json_t *value = json_object_get(l->config, name);

    if (!value || json_is_null(value))
        return fallback;
    if (l->status == WTE_OK && !json_is_boolean(value))
        l->status = wte__fail(l->err, WTE_E_FORMAT, "config: %s is neither true nor false", name);
    return json_is_true(value);
}

static wte__activation get_activation(loading *l)
{
    static const struct {
        const char *name;
        wte__activation activation;
    } known[] = {
        {"gelu_new", WTE__ACTIVATION_GELU_TANH},  {"gelu_pytorch_tanh", WTE__ACTIVATION_GELU_TANH},
        {"gelu_fast", WTE__ACTIVATION_GELU_TANH}, {"gelu_accurate", WTE__ACTIVATION_GELU_TANH},
        {"gelu", WTE__ACTIVATION_GELU_ERF},       {"gelu_python", WTE__ACTIVATION_GELU_ERF},
        {"relu", WTE__ACTIVATION_RELU},           {"tanh", WTE__ACTIVATION_TANH}};
    const bool gpt2 = l->network->info.architecture == WTE_ARCHITECTURE_GPT2;
    const char *name = NULL, *text;
    const json_t *value = find_key(l, &ACTIVATION, &name);

    if (!value)
        return gpt2 ? WTE__ACTIVATION_GELU_TANH : WTE__ACTIVATION_GELU_ERF;
    text = json_string_value(value);
    for (size_t i = 0; text && i < sizeof known / sizeof *known; i++)
        if (strcmp(text, known[i].name) == 0)
            return known[i].activation;
    if (l->status == WTE_OK)
        l->status = wte__fail(l->err, WTE_E_UNSUPPORTED,
                              "config: %s is '%.60s', expected gelu_new, gelu_pytorch_tanh, "
                              "gelu_fast, gelu, relu or tanh",
                              name, text ? text : "no text");
    return WTE__ACTIVATION_NONE;
}

static void find_architecture(loading *l)
{
    static const char *const names[] = {
        [WTE_ARCHITECTURE_GPT2] = "gpt2", [WTE_ARCHITECTURE_BERT] = "bert"};
    static const char *const embeddings[] = {[WTE_ARCHITECTURE_GPT2] = "wte.weight",
                                             [WTE_ARCHITECTURE_BERT] =
                                                 "embeddings.word_embeddings.weight"};
    const char *type = json_string_value(json_object_get(l->config, "model_type"));

    if (!type && l->gguf)
        type = wte_checkpoint_metadata(l->checkpoint, "general.architecture");
    for (int a = WTE_ARCHITECTURE_GPT2; a <= WTE_ARCHITECTURE_BERT; a++)
        if (type ? strcmp(type, names[a]) == 0
                 : wte_checkpoint_find(l->checkpoint, embeddings[a]) != NULL) {
            l->network->info.architecture = (wte_architecture)a;
            return;
        }
    l->status =
        type ? wte__fail(l->err, WTE_E_UNSUPPORTED,
                         "config: model_type is '%.60s', expected gpt2 or bert", type)
             : wte__fail(l->err, WTE_E_UNSUPPORTED,
                         "neither wte.weight (GPT-2) nor embeddings.word_embeddings.weight (BERT) "
                         "is among the tensors");
}

/* What the config may ask for and is not computed here. */
static void refuse(loading *l)
{
    const char *text = json_string_value(json_object_get(l->config, "position_embedding_type"));

    if (text && strcmp(text, "absolute") != 0)
        l->status =
            wte__fail(l->err, WTE_E_UNSUPPORTED,
                      "config: position_embedding_type is '%.60s', expected absolute", text);
    else if (l->network->info.architecture == WTE_ARCHITECTURE_BERT &&
             get_bool(l, "is_decoder", false))
        l->status = wte__fail(l->err, WTE_E_UNSUPPORTED,
                              "config: is_decoder is true, expected a BERT that sees all tokens");
}

/* ---- tensors ----------------------------------------------------------------------------- */

/* The shape of a tensor, as torch writes it. */
static const char *show_shape(const wte_tensor *t, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "[");

    for (size_t i = 0; i < t->n_dims && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, i ? ", %zu" : "%zu", t->shape[i]);
    if (used < size)
        snprintf(out + used, size - used, "]");
    return out;
}

static const wte_tensor *find_tensor(loading *l, const char *name)
{
    const wte_tensor *t = l->status == WTE_OK ? wte_checkpoint_find(l->checkpoint, name) : NULL;

    if (!t && l->status == WTE_OK)
        l->status = wte__fail(l->err, WTE_E_SHAPE, "there is no tensor %s in the checkpoint", name);
    return t;
}

static wte__stored find_type(loading *l, const wte_tensor *t)
{
    wte__stored stored = t ? wte__stored_type(t) : WTE__STORED_OTHER;

    if (t && stored == WTE__STORED_OTHER)
        l->status = wte__fail(l->err, WTE_E_SHAPE,
                              "%s is %s, %llu bytes, expected F32, F16, BF16, F64, F8_E4M3, "
                              "F8_E5M2 or Q8_0 of its shape",
                              t->name, t->dtype, (unsigned long long)t->bytes);
    return stored;
}

/* Copy a vector of n numbers as float32. */
static const float *load_vector(loading *l, const char *name, size_t n)
{
    const wte_tensor *t = find_tensor(l, name);
    char shape[128];
    wte__stored stored;
    float *x;

    if (t && (t->n_dims != 1 || t->shape[0] != n)) {
        l->status = wte__fail(l->err, WTE_E_SHAPE, "%s is %s, expected [%zu]", t->name,
                              show_shape(t, shape, sizeof shape), n);
        return NULL;
    }
    stored = find_type(l, t);
    if (l->status != WTE_OK)
        return NULL;
    x = wte__network_block(l->network, n, sizeof *x);
    if (!x) {
        l->status = wte__fail(l->err, WTE_E_NOMEM, "no memory for %s", t->name);
        return NULL;
    }
    wte__widen(t, stored, 0, n, x);
    if (wte__kernel()->maxabs_f32(x, n) <= FLT_MAX)
        return x;
    for (size_t i = 0; i < n && l->status == WTE_OK; i++)
        if (!isfinite(x[i]))
            l->status = wte__fail(l->err, WTE_E_RANGE, "%s: number %zu of %zu is %s", t->name, i, n,
                                  isnan(x[i]) ? "not a number" : "infinite");
    return x;
}

static void load_norm(loading *l, wte__norm *norm, const char *prefix, size_t n)
{
    char name[NAME_SIZE];

    snprintf(name, sizeof name, "%s.weight", prefix);
    norm->weight = load_vector(l, name, n);
    snprintf(name, sizeof name, "%s.bias", prefix);
    norm->bias = load_vector(l, name, n);
}

/* Note a matrix that has to be [rows, columns]. */
static void add_weight(loading *l, const wte_tensor *t, size_t rows, size_t columns,
                       wte__linear *linear, wte__table *table)
{
    char shape[128];
    wte__stored stored;

    if (t && (t->n_dims != 2 || t->shape[0] != rows || t->shape[1] != columns)) {
        l->status = wte__fail(l->err, WTE_E_SHAPE, "%s is %s, expected [%zu, %zu]", t->name,
                              show_shape(t, shape, sizeof shape), rows, columns);
        return;
    }
    stored = find_type(l, t);
    if (l->status != WTE_OK)
        return;
    if (!wte__grow((void **)&l->weights, &l->capacity, l->n_weights + 1, sizeof *l->weights)) {
        l->status = wte__fail(l->err, WTE_E_NOMEM, "no memory for the list of weights");
        return;
    }
    l->weights[l->n_weights++] = (wte__weight){t, stored, linear, table};
}

static void add_matrix(loading *l, wte__linear *linear, const wte_tensor *t,
                       wte__orientation orientation, size_t n_in, size_t n_out)
{
    linear->orientation = orientation;
    linear->n_in = n_in;
    linear->n_out = n_out;
    add_weight(l, t, orientation == WTE__IN_OUT ? n_in : n_out,
               orientation == WTE__IN_OUT ? n_out : n_in, linear, NULL);
}

/* PREFIX.weight and PREFIX.bias. */
static void load_linear(loading *l, wte__linear *linear, const char *prefix, size_t n_in,
                        size_t n_out)
{
    const bool conv1d = l->network->info.architecture == WTE_ARCHITECTURE_GPT2 && !l->gguf;
    char name[NAME_SIZE];

    snprintf(name, sizeof name, "%s.weight", prefix);
    add_matrix(l, linear, find_tensor(l, name), conv1d ? WTE__IN_OUT : WTE__OUT_IN, n_in, n_out);
    snprintf(name, sizeof name, "%s.bias", prefix);
    linear->bias = load_vector(l, name, n_out);
}

static const wte_tensor *load_table(loading *l, wte__table *table, const char *name, size_t dim)
{
    const wte_tensor *t = find_tensor(l, name);

    if (!t)
        return NULL;
    if (t->n_dims != 2 || t->shape[0] == 0 || t->shape[0] >= UINT32_MAX || t->shape[1] == 0) {
        char shape[128];

        l->status = wte__fail(l->err, WTE_E_SHAPE, "%s is %s, expected a matrix", t->name,
                              show_shape(t, shape, sizeof shape));
        return NULL;
    }
    table->n_rows = t->shape[0];
    table->dim = dim ? dim : t->shape[1];
    add_weight(l, t, table->n_rows, table->dim, NULL, table);
    return t;
}

/* ---- networks ---------------------------------------------------------------------------- */

/* The output matrix: the tensor of that name where the config says that it is not the token
 * embedding, or where there is no config that could say so. Without a word in it, transformers'
 * config means that the two are tied, whatever the file holds. */
static const wte_tensor *find_output(loading *l, const char *name, const wte_tensor *tokens)
{
    const wte_tensor *own = wte_checkpoint_find(l->checkpoint, name);
    const bool said = json_is_boolean(json_object_get(l->config, "tie_word_embeddings"));
    const bool separate = l->gguf || json_object_size(l->config) == 0;

    if (get_bool(l, "tie_word_embeddings", !(separate && own)))
        return tokens;
    if (said && !own)
        return find_tensor(l, name); /* says that it is missing */
    return own;
}

/* Take memory for the layers, whose first tensors are called `first` % layer. */
static void count_layers(loading *l, const char *prefix, const char *first)
{
    wte_network *net = l->network;
    const char *name_of_key = NULL;
    char name[NAME_SIZE];
    size_t n = 0, said = 0;

    if (l->status != WTE_OK)
        return;
    do {
        snprintf(name, sizeof name, "%s.%zu.%s", prefix, n, first);
    } while (wte_checkpoint_find(l->checkpoint, name) && ++n);
    if (get_size(l, &N_LAYER, &name_of_key, &said) && said != n)
        l->status =
            said > n
                ? wte__fail(l->err, WTE_E_SHAPE,
                            "config: %s is %zu, the checkpoint has %zu layers: there is "
                            "no tensor %s",
                            name_of_key, said, n, name)
                : wte__fail(l->err, WTE_E_SHAPE, "config: %s is %zu, the checkpoint has %zu layers",
                            name_of_key, said, n);
    else if (n == 0 && l->status == WTE_OK)
        l->status = wte__fail(l->err, WTE_E_SHAPE, "there is no tensor %s in the checkpoint", name);
    if (l->status != WTE_OK)
        return;
    net->layers = wte__calloc(n, sizeof *net->layers);
    if (!net->layers)
        l->status = wte__fail(l->err, WTE_E_NOMEM, "no memory for %zu layers", n);
    net->info.n_layer = n;
}

/* How wide an MLP is, from the first layer's first matrix. */
static void find_inner(loading *l, const char *name, bool conv1d)
{
    const wte_tensor *t = find_tensor(l, name);

    if (!t)
        return;
    l->network->info.n_inner = t->n_dims == 2 ? t->shape[conv1d ? 1 : 0] : 0;
    if (l->network->info.n_inner == 0) {
        char shape[128];

        l->status = wte__fail(l->err, WTE_E_SHAPE, "%s is %s, expected a matrix", t->name,
                              show_shape(t, shape, sizeof shape));
        return;
    }
    agree(l, &N_INNER, l->network->info.n_inner, t->name, conv1d ? "columns" : "rows");
}

static void find_heads(loading *l)
{
    wte_network_info *info = &l->network->info;
    const char *name = NULL;

    if (l->status != WTE_OK)
        return;
    if (!get_size(l, &N_HEAD, &name, &info->n_head)) {
        if (l->status == WTE_OK)
            l->status = wte__fail(l->err, WTE_E_FORMAT,
                                  "config: there is no %s, which no tensor tells", name);
    } else if (info->n_head == 0 || info->n_embd % info->n_head != 0) {
        l->status =
            wte__fail(l->err, WTE_E_SHAPE, "config: %s is %zu, which %zu cannot be cut into", name,
                      info->n_head, info->n_embd);
    } else {
        l->network->attention_scale = 1 / sqrtf((float)(info->n_embd / info->n_head));
    }
}

/* Tokens and positions, and the numbers that all else is measured by. */
static const wte_tensor *load_embeddings(loading *l, const char *tokens, const char *positions)
{
    wte_network *net = l->network;
    const wte_tensor *t = load_table(l, &net->tokens, tokens, 0), *p;

    if (l->status != WTE_OK)
        return NULL;
    net->info.n_vocab = (uint32_t)net->tokens.n_rows;
    net->info.n_embd = net->tokens.dim;
    agree(l, &N_VOCAB, net->tokens.n_rows, t->name, "rows");
    agree(l, &N_EMBD, net->tokens.dim, t->name, "columns");
    p = load_table(l, &net->positions, positions, net->info.n_embd);
    net->info.n_ctx = net->positions.n_rows;
    if (l->status == WTE_OK)
        agree(l, &N_CTX, net->info.n_ctx, p->name, "rows");
    find_heads(l);
    return t;
}

static void load_gpt2(loading *l)
{
    wte_network *net = l->network;
    const wte_tensor *tokens = load_embeddings(l, "wte.weight", "wpe.weight");
    const size_t n = net->info.n_embd;
    char name[PREFIX_SIZE];

    net->n_qkv = 1;
    net->epsilon = get_epsilon(l, 1e-5f);
    net->activation = get_activation(l);
    net->scale_by_layer = get_bool(l, "scale_attn_by_inverse_layer_idx", false);
    if (!get_bool(l, "scale_attn_weights", true))
        net->attention_scale = 1;
    count_layers(l, "h", "ln_1.weight");
    find_inner(l, "h.0.mlp.c_fc.weight", !l->gguf);
    for (size_t i = 0; i < net->info.n_layer && l->status == WTE_OK; i++) {
        wte__layer *layer = &net->layers[i];

        snprintf(name, sizeof name, "h.%zu.ln_1", i);
        load_norm(l, &layer->norm1, name, n);
        snprintf(name, sizeof name, "h.%zu.attn.c_attn", i);
        load_linear(l, &layer->qkv[0], name, n, 3 * n);
        snprintf(name, sizeof name, "h.%zu.attn.c_proj", i);
        load_linear(l, &layer->attention_out, name, n, n);
        snprintf(name, sizeof name, "h.%zu.ln_2", i);
        load_norm(l, &layer->norm2, name, n);
        snprintf(name, sizeof name, "h.%zu.mlp.c_fc", i);
        load_linear(l, &layer->up, name, n, net->info.n_inner);
        snprintf(name, sizeof name, "h.%zu.mlp.c_proj", i);
        load_linear(l, &layer->down, name, net->info.n_inner, n);
    }
    load_norm(l, &net->final_norm, "ln_f", n);
    if (l->status == WTE_OK)
        add_matrix(l, &net->output, find_output(l, "lm_head.weight", tokens), WTE__OUT_IN, n,
                   net->info.n_vocab);
    net->info.has_logits = 1;
}

/* The head of the masked language model, if there is a part of it. */
static void load_bert_head(loading *l, const wte_tensor *tokens)
{
    wte_network *net = l->network;
    const size_t n = net->info.n_embd;
    const char *bias = "cls.predictions.bias";

    if (l->status != WTE_OK ||
        (!wte_checkpoint_find(l->checkpoint, "cls.predictions.transform.dense.weight") &&
         !wte_checkpoint_find(l->checkpoint, bias)))
        return;
    load_linear(l, &net->transform, "cls.predictions.transform.dense", n, n);
    load_norm(l, &net->transform_norm, "cls.predictions.transform.LayerNorm", n);
    if (l->status == WTE_OK)
        add_matrix(l, &net->output, find_output(l, "cls.predictions.decoder.weight", tokens),
                   WTE__OUT_IN, n, net->info.n_vocab);
    if (!wte_checkpoint_find(l->checkpoint, bias) &&
        wte_checkpoint_find(l->checkpoint, "cls.predictions.decoder.bias"))
        bias = "cls.predictions.decoder.bias";
    net->output.bias = load_vector(l, bias, net->info.n_vocab);
    net->info.has_logits = 1;
}

static void load_bert(loading *l)
{
    wte_network *net = l->network;
    const wte_tensor *tokens = load_embeddings(l, "embeddings.word_embeddings.weight",
                                               "embeddings.position_embeddings.weight"),
                     *types;
    const size_t n = net->info.n_embd;
    static const char *const qkv[] = {"query", "key", "value"};
    char name[PREFIX_SIZE];

    net->n_qkv = 3;
    net->epsilon = get_epsilon(l, 1e-12f);
    net->activation = get_activation(l);
    types = load_table(l, &net->types, "embeddings.token_type_embeddings.weight", n);
    net->info.n_types = (uint32_t)net->types.n_rows;
    if (l->status == WTE_OK)
        agree(l, &N_TYPES, net->types.n_rows, types->name, "rows");
    load_norm(l, &net->embedding_norm, "embeddings.LayerNorm", n);
    count_layers(l, "encoder.layer", "attention.self.query.weight");
    find_inner(l, "encoder.layer.0.intermediate.dense.weight", false);
    for (size_t i = 0; i < net->info.n_layer && l->status == WTE_OK; i++) {
        wte__layer *layer = &net->layers[i];

        for (size_t j = 0; j < 3; j++) {
            snprintf(name, sizeof name, "encoder.layer.%zu.attention.self.%s", i, qkv[j]);
            load_linear(l, &layer->qkv[j], name, n, n);
        }
        snprintf(name, sizeof name, "encoder.layer.%zu.attention.output.dense", i);
        load_linear(l, &layer->attention_out, name, n, n);
        snprintf(name, sizeof name, "encoder.layer.%zu.attention.output.LayerNorm", i);
        load_norm(l, &layer->norm1, name, n);
        snprintf(name, sizeof name, "encoder.layer.%zu.intermediate.dense", i);
        load_linear(l, &layer->up, name, n, net->info.n_inner);
        snprintf(name, sizeof name, "encoder.layer.%zu.output.dense", i);
        load_linear(l, &layer->down, name, net->info.n_inner, n);
        snprintf(name, sizeof name, "encoder.layer.%zu.output.LayerNorm", i);
        load_norm(l, &layer->norm2, name, n);
    }
    load_bert_head(l, tokens);
    if (l->status == WTE_OK && wte_checkpoint_find(l->checkpoint, "pooler.dense.weight")) {
        load_linear(l, &net->pooler, "pooler.dense", n, n);
        net->info.has_pooler = 1;
    }
    if (l->status == WTE_OK && net->info.has_pooler &&
        wte_checkpoint_find(l->checkpoint, "cls.seq_relationship.weight")) {
        load_linear(l, &net->next_sentence, "cls.seq_relationship", n, 2);
        net->info.has_next_sentence = 1;
    }
}

/* ---- float32 ----------------------------------------------------------------------------- */

typedef struct widening {
    const wte__weight *weight;
    float *out;
    size_t n;
} widening;

static void widen_block(void *ctx, size_t block, unsigned worker)
{
    const widening *w = ctx;
    const size_t first = block * BLOCK, left = w->n - first;

    (void)worker;
    wte__widen(w->weight->tensor, w->weight->stored, first, left < BLOCK ? left : BLOCK,
               w->out + first);
}

/* Point a weight to numbers of the stored shape. */
static void place(const wte__weight *w, const void *data, wte__weight_type type)
{
    if (w->table) {
        w->table->data = data;
        w->table->type = type;
    } else {
        w->linear->weight = data;
        w->linear->type = type;
        w->linear->stride = w->tensor->shape[1];
    }
}

static wte_status widen_weight(loading *l, const wte__weight *w, unsigned n_threads)
{
    widening job = {w, NULL, w->tensor->shape[0] * w->tensor->shape[1]};

    job.out = wte__network_block(l->network, job.n, sizeof *job.out);
    if (!job.out)
        return wte__fail(l->err, WTE_E_NOMEM, "no memory to widen %s", w->tensor->name);
    wte__parallel((job.n + BLOCK - 1) / BLOCK, n_threads, widen_block, &job);
    place(w, job.out, WTE__WEIGHT_F32);
    return WTE_OK;
}

/* Use every weight in place, or widened. */
static void place_all(loading *l, const wte_network_options *options)
{
    static const wte__weight_type types[] = {[WTE__STORED_F32] = WTE__WEIGHT_F32,
                                             [WTE__STORED_F16] = WTE__WEIGHT_F16,
                                             [WTE__STORED_BF16] = WTE__WEIGHT_BF16};
    const wte__weight *widened = NULL;
    size_t n_widened = 0;

    for (size_t i = 0; i < l->n_weights && l->status == WTE_OK; i++) {
        const wte__weight *w = &l->weights[i];
        const bool tied = w->linear && w->tensor == l->weights[0].tensor;

        if (w->stored <= WTE__STORED_BF16) {
            place(w, w->tensor->data, types[w->stored]);
        } else if (tied) { /* the token embedding is the first weight */
            place(w, l->network->tokens.data, l->network->tokens.type);
        } else {
            l->status = widen_weight(l, w, options->n_threads);
            widened = widened ? widened : w;
            n_widened++;
        }
    }
    if (widened)
        wte__network_say(l->network,
                         "%zu matrices (%.100s...) are %s: widened to float32 in memory", n_widened,
                         widened->tensor->name, widened->tensor->dtype);
}

/* ---- a network --------------------------------------------------------------------------- */

static uint64_t norm_bytes(const wte__norm *norm, size_t n)
{
    return norm->weight ? 2 * n * sizeof(float) : 0;
}

static uint64_t linear_bytes(const wte__linear *w)
{
    static const unsigned sizes[] = {[WTE__WEIGHT_F32] = 4,
                                     [WTE__WEIGHT_F16] = 2,
                                     [WTE__WEIGHT_BF16] = 2,
                                     [WTE__WEIGHT_INT8] = 1};
    size_t rows = w->orientation == WTE__IN_OUT ? w->n_in : w->n_out;

    if (!w->weight)
        return 0;
    if (w->orientation == WTE__PANELS)
        rows = (rows + WTE__PANEL - 1) / WTE__PANEL;
    return (uint64_t)rows * w->stride * sizes[w->type] +
           (w->scales ? w->n_out * sizeof(float) : 0) + (w->bias ? w->n_out * sizeof(float) : 0);
}

/* What one more token reads: every layer, the output, and one row of each table, which is not
 * counted. */
static uint64_t bytes_per_token(const wte_network *net)
{
    const size_t n = net->info.n_embd;
    uint64_t sum = norm_bytes(&net->embedding_norm, n) + norm_bytes(&net->final_norm, n) +
                   norm_bytes(&net->transform_norm, n) + linear_bytes(&net->transform) +
                   linear_bytes(&net->output);

    for (size_t i = 0; i < net->info.n_layer; i++) {
        const wte__layer *layer = &net->layers[i];

        sum += norm_bytes(&layer->norm1, n) + norm_bytes(&layer->norm2, n);
        for (unsigned j = 0; j < net->n_qkv; j++)
            sum += linear_bytes(&layer->qkv[j]);
        sum += linear_bytes(&layer->attention_out) + linear_bytes(&layer->up) +
               linear_bytes(&layer->down);
    }
    return sum;
}

static void parse_config(loading *l, const char *config)
{
    json_error_t why;

    l->config = json_loads(config ? config : "{}", JSON_REJECT_DUPLICATES, &why);
    if (!l->config)
        l->status = json_error_code(&why) == json_error_out_of_memory
                        ? wte__fail(l->err, WTE_E_NOMEM, "no memory for the config")
                        : wte__fail_at(l->err, WTE_E_FORMAT, (uint64_t)why.position,
                                       "config: line %d: %s", why.line, why.text);
    else if (!json_is_object(l->config))
        l->status = wte__fail(l->err, WTE_E_FORMAT, "config: expected a JSON object");
}

static void load(loading *l)
{
    find_architecture(l);
    if (l->status == WTE_OK)
        refuse(l);
    if (l->status != WTE_OK)
        return;
    if (l->network->info.architecture == WTE_ARCHITECTURE_GPT2)
        load_gpt2(l);
    else
        load_bert(l);
}

wte_status wte__network_new(const wte_checkpoint *checkpoint, const char *config,
                            const wte_network_options *options, const char *const (*metadata)[2],
                            size_t n_metadata, wte_network **out, wte_error *err)
{
    static const wte_network_options defaults = WTE_NETWORK_DEFAULTS;
    loading l = {.checkpoint = checkpoint, .err = err};

    if (!options)
        options = &defaults;
    if ((unsigned)options->precision > WTE_PRECISION_INT8)
        return wte__fail(err, WTE_E_RANGE, "there is no precision %d", (int)options->precision);
    l.gguf = strcmp(wte_checkpoint_get_info(checkpoint)->format, "GGUF") == 0;
    l.network = wte__calloc(1, sizeof *l.network);
    if (!l.network)
        return wte__fail(err, WTE_E_NOMEM, "no memory for a network");
    l.network->info.precision = options->precision;
    l.network->info.note = l.network->note;
    parse_config(&l, config);
    if (l.status == WTE_OK)
        load(&l);
    if (l.status == WTE_OK && options->precision == WTE_PRECISION_F32)
        place_all(&l, options);
    else if (l.status == WTE_OK)
        l.status = wte__network_convert(l.network, l.weights, l.n_weights, options, metadata,
                                        n_metadata, err);
    json_decref(l.config);
    wte__free(l.weights);
    if (l.status != WTE_OK) {
        wte_network_free(l.network);
        return l.status;
    }
    l.network->info.bytes_per_token = bytes_per_token(l.network);
    *out = l.network;
    return WTE_OK;
}

wte_status wte_network_new(const wte_checkpoint *checkpoint, const char *config,
                           const wte_network_options *options, wte_network **out, wte_error *err)
{
    return wte__network_new(checkpoint, config, options, NULL, 0, out, err);
}

void wte_network_free(wte_network *network)
{
    if (!network)
        return;
    for (size_t i = 0; i < network->n_blocks; i++)
        wte__free(network->blocks[i]);
    wte__free(network->blocks);
    wte__free(network->layers);
    wte__map_close(&network->converted);
    wte__free(network);
}

const wte_network_info *wte_network_get_info(const wte_network *network)
{
    return &network->info;
}
