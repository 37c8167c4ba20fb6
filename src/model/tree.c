/* SPDX-License-Identifier: MIT */
/* tree.c - the modules of a model as print(model) of transformers 4.40 draws them
 *
 * torch prints a module as its class, what the class says of itself, and its children indented by
 * two, each with its attribute's name; equal children of a list are drawn once, as
 * "(0-11): 12 x GPT2Block(". What differs between two models of a class are a few numbers of the
 * config and the activation function, so the tree is written down here, line by line.
 *
 * Classes: GPT2Model, GPT2LMHeadModel, BertModel, BertForMaskedLM, BertForPreTraining. Of other
 * architectures the one of these that the tensors have is drawn. */
#include "model/tree.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include "model/model_internal.h"

static const struct {
    const char *name;
    wte__class class;
} classes[] = {{"GPT2Model", WTE__GPT2_MODEL},
               {"GPT2LMHeadModel", WTE__GPT2_LM_HEAD},
               {"BertModel", WTE__BERT_MODEL},
               {"BertForMaskedLM", WTE__BERT_MASKED_LM},
               {"BertForPreTraining", WTE__BERT_PRE_TRAINING}};

wte__class wte__model_class(const wte_model *m)
{
    const json_t *names = json_object_get(m->config, "architectures");
    const bool gpt2 = m->info.family == WTE_FAMILY_GPT2;
    const wte_tensor *first = m->checkpoint ? wte_checkpoint_tensor(m->checkpoint, 0) : NULL;

    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));

        for (size_t c = 0; name && c < sizeof classes / sizeof *classes; c++)
            if (strcmp(name, classes[c].name) == 0 &&
                (classes[c].class <= WTE__GPT2_LM_HEAD) == gpt2)
                return classes[c].class;
    }
    if (gpt2) /* the bare model saves its tensors without the prefix, and has no head */
        return first && strncmp(first->name, "transformer.", 12) != 0 && !wte__output_tensor(m)
                   ? WTE__GPT2_MODEL
                   : WTE__GPT2_LM_HEAD;
    if (m->checkpoint && wte_checkpoint_find(m->checkpoint, "cls.seq_relationship.weight"))
        return WTE__BERT_PRE_TRAINING;
    if (m->checkpoint && wte_checkpoint_find(m->checkpoint, "cls.predictions.bias"))
        return WTE__BERT_MASKED_LM;
    return WTE__BERT_MODEL;
}

/* ---- drawing ---------------------------------------------------------------------------- */

typedef struct drawing {
    char *text;
    size_t n, capacity;
    size_t depth;
    bool complete; /* false once there was no memory */
} drawing;

static void put(drawing *d, const char *text, size_t n)
{
    if (!d->complete || !wte__grow((void **)&d->text, &d->capacity, d->n + n + 1, 1)) {
        d->complete = false;
        return;
    }
    memcpy(d->text + d->n, text, n);
    d->n += n;
    d->text[d->n] = '\0';
}

static void indent(drawing *d)
{
    for (size_t i = 0; i < d->depth; i++)
        put(d, "  ", 2);
}

/* One line; it ends in '(' where children follow. */
static void line(drawing *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void line(drawing *d, const char *fmt, ...)
{
    char text[256];
    va_list args;
    size_t n;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    n = strlen(text);
    indent(d);
    put(d, text, n);
    put(d, "\n", 1);
    if (n && text[n - 1] == '(')
        d->depth++;
}

static void close_module(drawing *d)
{
    d->depth--;
    indent(d);
    put(d, ")\n", 2);
}

/* A number as Python prints a float. */
static const char *show_float(double x, char out[40])
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(out, 40, "%.*g", digits, x);
        if (strtod(out, NULL) == x)
            break;
    }
    if (fabs(x) < 1e16 && fabs(x) >= 1 && strchr(out, 'e'))
        snprintf(out, 40, "%.0f", x); /* 1e+02 for 100 */
    if (!strpbrk(out, ".en"))
        strcat(out, ".0");
    return out;
}

static double number(const wte_model *m, const char *key, double fallback)
{
    const json_t *value = json_object_get(m->config, key);

    return json_is_number(value) ? json_number_value(value) : fallback;
}

static void dropout(drawing *d, const wte_model *m, const char *name, const char *key)
{
    const json_t *value = json_object_get(m->config, key);
    char p[40];

    if (json_is_integer(value)) /* Python keeps what JSON says: 0, not 0.0 */
        snprintf(p, sizeof p, "%lld", (long long)json_integer_value(value));
    else
        show_float(number(m, key, 0.1), p);
    line(d, "(%s): Dropout(p=%s, inplace=False)", name, p);
}

static void layer_norm(drawing *d, const char *name, size_t width, double eps)
{
    char text[40];

    line(d, "(%s): LayerNorm((%zu,), eps=%s, elementwise_affine=True)", name, width,
         show_float(eps, text));
}

static void linear(drawing *d, const char *name, size_t in, size_t out, bool bias)
{
    line(d, "(%s): Linear(in_features=%zu, out_features=%zu, bias=%s)", name, in, out,
         bias ? "True" : "False");
}

static void layers(drawing *d, size_t n, const char *class)
{
    if (n == 1)
        line(d, "(0): %s(", class);
    else
        line(d, "(0-%zu): %zu x %s(", n - 1, n, class);
}

/* ACT2CLS of transformers.activations, and how torch prints each. */
static void activation(drawing *d, const wte_model *m, const char *name, const char *key,
                       const char *fallback)
{
    static const char *const shown[][2] = {{"gelu", "GELUActivation()"},
                                           {"gelu_10", "ClippedGELUActivation()"},
                                           {"gelu_accurate", "AccurateGELUActivation()"},
                                           {"gelu_fast", "FastGELUActivation()"},
                                           {"gelu_new", "NewGELUActivation()"},
                                           {"gelu_python", "GELUActivation()"},
                                           {"gelu_pytorch_tanh", "PytorchGELUTanh()"},
                                           {"laplace", "LaplaceActivation()"},
                                           {"leaky_relu", "LeakyReLU(negative_slope=0.01)"},
                                           {"linear", "LinearActivation()"},
                                           {"mish", "MishActivation()"},
                                           {"quick_gelu", "QuickGELUActivation()"},
                                           {"relu", "ReLU()"},
                                           {"relu2", "ReLUSquaredActivation()"},
                                           {"relu6", "ReLU6()"},
                                           {"sigmoid", "Sigmoid()"},
                                           {"silu", "SiLU()"},
                                           {"swish", "SiLU()"},
                                           {"tanh", "Tanh()"}};
    const char *function = wte__config_text(m, key, fallback);

    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        if (strcmp(function, shown[i][0]) == 0) {
            line(d, "(%s): %s", name, shown[i][1]);
            return;
        }
    line(d, "(%s): %.60s()", name, function);
}

/* ---- GPT-2 ------------------------------------------------------------------------------ */

static void gpt2_block(drawing *d, const wte_model *m)
{
    const double eps = number(m, "layer_norm_epsilon", 1e-5);

    layers(d, m->info.n_layer, "GPT2Block");
    layer_norm(d, "ln_1", m->info.n_embd, eps);
    line(d, "(attn): GPT2Attention(");
    line(d, "(c_attn): Conv1D()");
    line(d, "(c_proj): Conv1D()");
    dropout(d, m, "attn_dropout", "attn_pdrop");
    dropout(d, m, "resid_dropout", "resid_pdrop");
    close_module(d);
    layer_norm(d, "ln_2", m->info.n_embd, eps);
    line(d, "(mlp): GPT2MLP(");
    line(d, "(c_fc): Conv1D()");
    line(d, "(c_proj): Conv1D()");
    activation(d, m, "act", "activation_function", "gelu_new");
    dropout(d, m, "dropout", "resid_pdrop");
    close_module(d);
    close_module(d);
}

static void gpt2(drawing *d, const wte_model *m, bool head)
{
    const wte_model_info *info = &m->info;

    if (head)
        line(d, "GPT2LMHeadModel(");
    line(d, head ? "(transformer): GPT2Model(" : "GPT2Model(");
    line(d, "(wte): Embedding(%u, %zu)", info->n_vocab, info->n_embd);
    line(d, "(wpe): Embedding(%zu, %zu)", info->n_ctx, info->n_embd);
    dropout(d, m, "drop", "embd_pdrop");
    if (info->n_layer) {
        line(d, "(h): ModuleList(");
        gpt2_block(d, m);
        close_module(d);
    } else {
        line(d, "(h): ModuleList()");
    }
    layer_norm(d, "ln_f", info->n_embd, number(m, "layer_norm_epsilon", 1e-5));
    close_module(d);
    if (!head)
        return;
    linear(d, "lm_head", info->n_embd, info->n_vocab, false);
    close_module(d);
}

/* ---- BERT ------------------------------------------------------------------------------- */

static void bert_layer(drawing *d, const wte_model *m)
{
    const double eps = number(m, "layer_norm_eps", 1e-12);
    const size_t width = m->info.n_embd;
    const size_t inner = wte__config_size(m, "intermediate_size", 3072);

    layers(d, m->info.n_layer, "BertLayer");
    line(d, "(attention): BertAttention(");
    line(d, "(self): BertSelfAttention(");
    linear(d, "query", width, width, true);
    linear(d, "key", width, width, true);
    linear(d, "value", width, width, true);
    dropout(d, m, "dropout", "attention_probs_dropout_prob");
    close_module(d);
    line(d, "(output): BertSelfOutput(");
    linear(d, "dense", width, width, true);
    layer_norm(d, "LayerNorm", width, eps);
    dropout(d, m, "dropout", "hidden_dropout_prob");
    close_module(d);
    close_module(d);
    line(d, "(intermediate): BertIntermediate(");
    linear(d, "dense", width, inner, true);
    activation(d, m, "intermediate_act_fn", "hidden_act", "gelu");
    close_module(d);
    line(d, "(output): BertOutput(");
    linear(d, "dense", inner, width, true);
    layer_norm(d, "LayerNorm", width, eps);
    dropout(d, m, "dropout", "hidden_dropout_prob");
    close_module(d);
    close_module(d);
}

static void bert_model(drawing *d, const wte_model *m, const char *opening, bool pooler)
{
    const wte_model_info *info = &m->info;
    const json_t *pad = json_object_get(m->config, "pad_token_id");

    line(d, "%s", opening);
    line(d, "(embeddings): BertEmbeddings(");
    if (json_is_null(pad))
        line(d, "(word_embeddings): Embedding(%u, %zu)", info->n_vocab, info->n_embd);
    else
        line(d, "(word_embeddings): Embedding(%u, %zu, padding_idx=%zu)", info->n_vocab,
             info->n_embd, wte__config_size(m, "pad_token_id", 0));
    line(d, "(position_embeddings): Embedding(%zu, %zu)", info->n_ctx, info->n_embd);
    line(d, "(token_type_embeddings): Embedding(%zu, %zu)",
         wte__config_size(m, "type_vocab_size", 2), info->n_embd);
    layer_norm(d, "LayerNorm", info->n_embd, number(m, "layer_norm_eps", 1e-12));
    dropout(d, m, "dropout", "hidden_dropout_prob");
    close_module(d);
    line(d, "(encoder): BertEncoder(");
    if (info->n_layer) {
        line(d, "(layer): ModuleList(");
        bert_layer(d, m);
        close_module(d);
    } else {
        line(d, "(layer): ModuleList()");
    }
    close_module(d);
    if (pooler) {
        line(d, "(pooler): BertPooler(");
        linear(d, "dense", info->n_embd, info->n_embd, true);
        line(d, "(activation): Tanh()");
        close_module(d);
    }
    close_module(d);
}

static void bert_head(drawing *d, const wte_model *m, bool next_sentence)
{
    const size_t width = m->info.n_embd;

    line(d, next_sentence ? "(cls): BertPreTrainingHeads(" : "(cls): BertOnlyMLMHead(");
    line(d, "(predictions): BertLMPredictionHead(");
    line(d, "(transform): BertPredictionHeadTransform(");
    linear(d, "dense", width, width, true);
    activation(d, m, "transform_act_fn", "hidden_act", "gelu");
    layer_norm(d, "LayerNorm", width, number(m, "layer_norm_eps", 1e-12));
    close_module(d);
    linear(d, "decoder", width, m->info.n_vocab, true);
    close_module(d);
    if (next_sentence)
        linear(d, "seq_relationship", width, 2, true);
    close_module(d);
}

wte_status wte_model_tree(const wte_model *m, char **out, wte_error *err)
{
    drawing d = {.complete = true};
    wte__class class;

    if (m->info.family == WTE_FAMILY_VECTORS)
        return wte__fail(err, WTE_E_UNSUPPORTED, "%s: word vectors have no modules", m->info.name);
    class = wte__model_class(m);
    switch (class) {
    case WTE__GPT2_MODEL:
    case WTE__GPT2_LM_HEAD:
        gpt2(&d, m, class == WTE__GPT2_LM_HEAD);
        break;
    case WTE__BERT_MODEL:
        bert_model(&d, m, "BertModel(", true);
        break;
    case WTE__BERT_MASKED_LM:
    case WTE__BERT_PRE_TRAINING:
        line(&d, class == WTE__BERT_MASKED_LM ? "BertForMaskedLM(" : "BertForPreTraining(");
        bert_model(&d, m, "(bert): BertModel(", class == WTE__BERT_PRE_TRAINING);
        bert_head(&d, m, class == WTE__BERT_PRE_TRAINING);
        close_module(&d);
        break;
    }
    if (!d.complete) {
        wte__free(d.text);
        return wte__fail(err, WTE_E_NOMEM, "no memory to draw %s", m->info.name);
    }
    *out = d.text;
    return WTE_OK;
}
