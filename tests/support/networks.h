/* SPDX-License-Identifier: MIT */
/** networks.h - networks for tests: opened from files, made of random weights, and computed naively
 *
 * The naive computation is written from the papers' formulas in float64, one loop per sum, and
 * shares nothing with the library but the reading of the checkpoint. */
#ifndef WTE_TEST_NETWORKS_H
#define WTE_TEST_NETWORKS_H
#include <math.h>
#include "support.h"
#include "base/base.h"
#include "wte/network.h"

/* ---- opened ------------------------------------------------------------------------------ */

typedef struct test_network {
    wte_checkpoint *checkpoint;
    wte_network *network;
    const wte_network_info *info;
} test_network;

/** Text in a static buffer, eight deep. */
__attribute__((format(printf, 1, 2))) static inline const char *test_text(const char *fmt, ...)
{
    static char buffers[8][4400];
    static unsigned turn;
    char *text = buffers[turn++ % 8];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof buffers[0], fmt, args);
    va_end(args);
    return text;
}

static inline char *test_read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, 1 << 20);

    assert_non_null(f);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
    fclose(f);
    return text;
}

/** Open a folder's checkpoint with its config.json. */
static inline test_network test_network_open(const char *folder, wte_precision precision)
{
    wte_network_options options = WTE_NETWORK_DEFAULTS;
    test_network t = {0};
    char *config;
    wte_error err = {0};

    config = test_read_file(test_text("%s/config.json", folder));
    options.precision = precision;
    options.n_threads = 1;
    if (wte_checkpoint_open(folder, &t.checkpoint, &err) != WTE_OK)
        fail_msg("%s: %s", folder, err.message);
    if (wte_network_new(t.checkpoint, config, &options, &t.network, &err) != WTE_OK)
        fail_msg("%s: %s", folder, err.message);
    free(config);
    t.info = wte_network_get_info(t.network);
    return t;
}

static inline void test_network_close(test_network *t)
{
    wte_network_free(t->network);
    wte_checkpoint_free(t->checkpoint);
    *t = (test_network){0};
}

static inline wte_session *test_session(const test_network *t, wte_session_options options)
{
    wte_session *s = NULL;
    wte_error err = {0};

    if (wte_session_new(t->network, &options, &s, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return s;
}

static inline void test_tap(wte_session *s, const char *name)
{
    wte_error err = {0};

    if (wte_session_tap(s, name, &err) != WTE_OK)
        fail_msg("%s", err.message);
}

static inline wte_array test_tapped(const wte_session *s, const char *name)
{
    wte_array a = {0};
    wte_error err = {0};

    if (wte_session_tapped(s, name, &a, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return a;
}

static inline void test_run(wte_session *s, wte_batch batch)
{
    wte_error err = {0};

    if (wte_session_run(s, &batch, &err) != WTE_OK)
        fail_msg("%s", err.message);
}

/** Run tokens of sequence 0. */
static inline void test_run_ids(wte_session *s, const uint32_t *ids, size_t n, wte_logits logits)
{
    test_run(s, (wte_batch){.ids = ids, .n = n, .logits = logits});
}

/* ---- compared ---------------------------------------------------------------------------- */

/** Fail, naming `what`, unless all are within `tolerance` times the largest wanted. */
static inline void test_close(const char *what, const float *got, const double *want, size_t n,
                              double tolerance)
{
    double largest = 0, worst = 0;
    size_t at = 0;

    for (size_t i = 0; i < n; i++) {
        double off = fabs((double)got[i] - want[i]);

        if (fabs(want[i]) > largest)
            largest = fabs(want[i]);
        if (!(off <= worst))
            worst = off, at = i;
    }
    if (!(worst <= tolerance * largest))
        fail_msg("%s: number %zu is %.9g, expected %.9g: off by %.3g of the largest, %.3g", what,
                 at, (double)got[at], want[at], worst / largest, largest);
}

/** The same between two results of the library. */
static inline void test_close_f32(const char *what, const float *got, const float *want, size_t n,
                                  double tolerance)
{
    double *copy = malloc((n + 1) * sizeof *copy);

    assert_non_null(copy);
    for (size_t i = 0; i < n; i++)
        copy[i] = (double)want[i];
    test_close(what, got, copy, n, tolerance);
    free(copy);
}

static inline void test_same_bits(const char *what, const float *got, const float *want, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(got + i, want + i, sizeof *got) != 0)
            fail_msg("%s: number %zu is %.9g, expected the same bits as %.9g", what, i,
                     (double)got[i], (double)want[i]);
}

/* ---- made of random weights -------------------------------------------------------------- */

typedef struct test_shape {
    bool bert;
    size_t n_layer, n_head, n_embd, n_inner, n_ctx, n_vocab;
} test_shape;

enum { TEST_MAX_TENSORS = 64, TEST_MAX_WEIGHTS = 1 << 17 };

typedef struct test_writer {
    char header[TEST_MAX_TENSORS * 192];
    size_t used, n_weights;
    float *weights;
    uint64_t seed;
} test_writer;

/* Add a tensor [a, b], or [b] where a is 0. Norms' weights lie about 1, all else about 0. */
static inline void test_add(test_writer *w, const char *name, size_t a, size_t b, double scale)
{
    const size_t n = (a ? a : 1) * b, from = w->n_weights;
    const double about = strstr(name, "orm.weight") || strstr(name, "ln_") ? 1 : 0;
    char shape[64];

    assert_true(from + n <= TEST_MAX_WEIGHTS);
    for (size_t i = 0; i < n; i++) {
        double u = (double)(wte__random(&w->seed) >> 11) * 0x1p-53;

        w->weights[w->n_weights++] =
            (float)((strstr(name, "bias") ? 0 : about) + scale * (2 * u - 1));
    }
    if (a)
        snprintf(shape, sizeof shape, "%zu,%zu", a, b);
    else
        snprintf(shape, sizeof shape, "%zu", b);
    w->used += (size_t)snprintf(w->header + w->used, sizeof w->header - w->used,
                                "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%zu,"
                                "%zu]}",
                                w->used > 1 ? "," : "", name, shape, from * 4, w->n_weights * 4);
    assert_true(w->used < sizeof w->header - 16);
}

/* A linear layer and its bias; conv1d: [in, out]. */
static inline void test_add_linear(test_writer *w, const char *prefix, size_t in, size_t out,
                                   bool conv1d)
{

    test_add(w, test_text("%s.weight", prefix), conv1d ? in : out, conv1d ? out : in,
             2 / sqrt((double)in));
    test_add(w, test_text("%s.bias", prefix), 0, out, 0.3);
}

static inline void test_add_norm(test_writer *w, const char *prefix, size_t n)
{

    test_add(w, test_text("%s.weight", prefix), 0, n, 0.4);
    test_add(w, test_text("%s.bias", prefix), 0, n, 0.3);
}

static inline void test_add_gpt2(test_writer *w, const test_shape *m)
{
    const size_t e = m->n_embd;

    test_add(w, "wte.weight", m->n_vocab, e, 1);
    test_add(w, "wpe.weight", m->n_ctx, e, 0.5);
    for (size_t l = 0; l < m->n_layer; l++) {
        test_add_norm(w, test_text("h.%zu.ln_1", l), e);
        test_add_linear(w, test_text("h.%zu.attn.c_attn", l), e, 3 * e, true);
        test_add_linear(w, test_text("h.%zu.attn.c_proj", l), e, e, true);
        test_add_norm(w, test_text("h.%zu.ln_2", l), e);
        test_add_linear(w, test_text("h.%zu.mlp.c_fc", l), e, m->n_inner, true);
        test_add_linear(w, test_text("h.%zu.mlp.c_proj", l), m->n_inner, e, true);
    }
    test_add_norm(w, "ln_f", e);
}

static inline void test_add_bert(test_writer *w, const test_shape *m)
{
    static const char *const parts[] = {"attention.self.query", "attention.self.key",
                                        "attention.self.value", "attention.output.dense"};
    const size_t e = m->n_embd;

    test_add(w, "embeddings.word_embeddings.weight", m->n_vocab, e, 1);
    test_add(w, "embeddings.position_embeddings.weight", m->n_ctx, e, 0.5);
    test_add(w, "embeddings.token_type_embeddings.weight", 2, e, 0.5);
    test_add_norm(w, "embeddings.LayerNorm", e);
    for (size_t l = 0; l < m->n_layer; l++) {
        for (size_t i = 0; i < 4; i++) {
            test_add_linear(w, test_text("encoder.layer.%zu.%s", l, parts[i]), e, e, false);
        }
        test_add_norm(w, test_text("encoder.layer.%zu.attention.output.LayerNorm", l), e);
        test_add_linear(w, test_text("encoder.layer.%zu.intermediate.dense", l), e, m->n_inner,
                        false);
        test_add_linear(w, test_text("encoder.layer.%zu.output.dense", l), m->n_inner, e, false);
        test_add_norm(w, test_text("encoder.layer.%zu.output.LayerNorm", l), e);
    }
    test_add_linear(w, "pooler.dense", e, e, false);
    test_add_linear(w, "cls.predictions.transform.dense", e, e, false);
    test_add_norm(w, "cls.predictions.transform.LayerNorm", e);
    test_add(w, "cls.predictions.bias", 0, m->n_vocab, 0.3);
    test_add_linear(w, "cls.seq_relationship", e, 2, false);
}

/** Write a checkpoint of random weights and its config into a folder below test_folder(). The same
 * shape gives the same weights. `poison`: number of a weight that becomes NaN, or SIZE_MAX. */
static inline const char *test_network_write(const char *name, const test_shape *m, size_t poison)
{
    static char folder[4200];
    test_writer *w = calloc(1, sizeof *w);
    char config[512], file[64];
    unsigned char *bytes;
    uint64_t header;

    assert_non_null(w);
    w->weights = calloc(TEST_MAX_WEIGHTS, sizeof *w->weights);
    bytes = malloc(sizeof w->header + 8 + TEST_MAX_WEIGHTS * sizeof *w->weights);
    assert_true(w->weights && bytes);
    w->seed = 20;
    w->header[w->used++] = '{';
    (m->bert ? test_add_bert : test_add_gpt2)(w, m);
    w->header[w->used++] = '}';
    while (w->used % 8)
        w->header[w->used++] = ' ';
    if (poison < w->n_weights)
        w->weights[poison] = NAN;
    header = w->used;
    memcpy(bytes, &header, 8);
    memcpy(bytes + 8, w->header, w->used);
    memcpy(bytes + 8 + w->used, w->weights, w->n_weights * sizeof *w->weights);
    snprintf(folder, sizeof folder, "%s/%s", test_folder(), name);
    assert_int_equal(wte__mkdirs(folder, NULL), WTE_OK);
    snprintf(file, sizeof file, "%s/model.safetensors", name);
    write_file(file, bytes, 8 + w->used + w->n_weights * sizeof *w->weights);
    if (m->bert)
        snprintf(config, sizeof config,
                 "{\"model_type\":\"bert\",\"num_hidden_layers\":%zu,\"num_attention_heads\":%zu,"
                 "\"hidden_act\":\"gelu\",\"layer_norm_eps\":1e-12}",
                 m->n_layer, m->n_head);
    else
        snprintf(config, sizeof config,
                 "{\"model_type\":\"gpt2\",\"n_layer\":%zu,\"n_head\":%zu,"
                 "\"activation_function\":\"gelu_new\",\"layer_norm_epsilon\":1e-5}",
                 m->n_layer, m->n_head);
    snprintf(file, sizeof file, "%s/config.json", name);
    write_file(file, config, strlen(config));
    free(bytes);
    free(w->weights);
    free(w);
    return folder;
}

/* ---- computed naively -------------------------------------------------------------------- */

typedef struct naive {
    double *stream;    /* [2 n_layer + 1, n, n_embd]: embeddings, then mid and out of each layer */
    double *norm;      /* [n, n_embd] */
    double *attention; /* [n_layer, n_head, n, n] */
    double *logits;    /* [n, n_vocab] */
    double *pooled, next_sentence[2];
} naive;

static inline double *naive_array(size_t n)
{
    double *a = calloc(n + 1, sizeof *a);

    assert_non_null(a);
    return a;
}

static inline void naive_free(naive *v)
{
    free(v->stream);
    free(v->norm);
    free(v->attention);
    free(v->logits);
    free(v->pooled);
}

static inline const float *naive_weight(const test_network *t, const char *prefix, size_t layer,
                                        const char *suffix)
{
    const wte_tensor *tensor;
    const char *name;

    if (layer == SIZE_MAX)
        name = test_text("%s%s", prefix, suffix);
    else
        name = test_text("%s%zu%s", prefix, layer, suffix);
    tensor = wte_checkpoint_find(t->checkpoint, name);
    if (!tensor || strcmp(tensor->dtype, "F32") != 0)
        fail_msg("no float32 tensor %s", name);
    return tensor->data;
}

/* y = x W + b; conv1d: W is [in, out]. */
static inline void naive_linear(const test_network *t, const char *prefix, size_t layer,
                                const char *suffix, const double *x, size_t n, size_t in,
                                size_t out, double *y)
{
    const bool conv1d = t->info->architecture == WTE_ARCHITECTURE_GPT2;
    const float *w, *b;

    w = naive_weight(t, prefix, layer, test_text("%s.weight", suffix));
    b = naive_weight(t, prefix, layer, test_text("%s.bias", suffix));
    for (size_t r = 0; r < n; r++)
        for (size_t j = 0; j < out; j++) {
            double sum = (double)b[j];

            for (size_t i = 0; i < in; i++)
                sum += x[r * in + i] * (double)(conv1d ? w[i * out + j] : w[j * in + i]);
            y[r * out + j] = sum;
        }
}

static inline void naive_norm(const test_network *t, const char *prefix, size_t layer,
                              const char *suffix, const double *x, size_t n, double *y)
{
    const size_t e = t->info->n_embd;
    const double epsilon = t->info->architecture == WTE_ARCHITECTURE_GPT2 ? 1e-5 : 1e-12;
    const float *w, *b;

    w = naive_weight(t, prefix, layer, test_text("%s.weight", suffix));
    b = naive_weight(t, prefix, layer, test_text("%s.bias", suffix));
    for (size_t r = 0; r < n; r++) {
        double mean = 0, variance = 0;

        for (size_t i = 0; i < e; i++)
            mean += x[r * e + i] / (double)e;
        for (size_t i = 0; i < e; i++)
            variance += (x[r * e + i] - mean) * (x[r * e + i] - mean) / (double)e;
        for (size_t i = 0; i < e; i++)
            y[r * e + i] =
                (x[r * e + i] - mean) / sqrt(variance + epsilon) * (double)w[i] + (double)b[i];
    }
}

static inline double naive_gelu(double x, bool exact)
{
    if (exact)
        return x / 2 * (1 + erf(x / sqrt(2)));
    return x / 2 * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
}

/* Attention of one head; q, k, v [n, n_embd] at their head's columns. */
static inline void naive_attend(const test_network *t, const double *q, const double *k,
                                const double *v, size_t head, const uint8_t *masked, size_t n,
                                double *weights, double *mixed)
{
    const size_t e = t->info->n_embd, dim = e / t->info->n_head;
    const bool causal = t->info->architecture == WTE_ARCHITECTURE_GPT2;

    for (size_t r = 0; r < n; r++) {
        double *w = weights + r * n, sum = 0;

        for (size_t c = 0; c < n; c++) {
            double score = 0;

            for (size_t d = head * dim; d < (head + 1) * dim; d++)
                score += q[r * e + d] * k[c * e + d];
            w[c] = (causal && c > r) || (masked && masked[c]) ? 0 : exp(score / sqrt((double)dim));
            sum += w[c];
        }
        for (size_t c = 0; c < n; c++) {
            w[c] /= sum;
            for (size_t d = head * dim; d < (head + 1) * dim; d++)
                mixed[r * e + d] += w[c] * v[c * e + d];
        }
    }
}

static inline void naive_embed(const test_network *t, const uint32_t *ids,
                               const uint32_t *positions, const uint32_t *types, size_t n,
                               double *out)
{
    const bool bert = t->info->architecture == WTE_ARCHITECTURE_BERT;
    const float *tokens = naive_weight(t, bert ? "embeddings.word_embeddings.weight" : "wte.weight",
                                       SIZE_MAX, ""),
                *places = naive_weight(
                    t, bert ? "embeddings.position_embeddings.weight" : "wpe.weight", SIZE_MAX, "");
    const size_t e = t->info->n_embd;

    for (size_t r = 0; r < n; r++)
        for (size_t i = 0; i < e; i++) {
            out[r * e + i] = (double)tokens[ids[r] * e + i] +
                             (double)places[(positions ? positions[r] : r) * e + i];
            if (bert)
                out[r * e + i] +=
                    (double)naive_weight(t, "embeddings.token_type_embeddings.weight", SIZE_MAX,
                                         "")[(types ? types[r] : 0) * e + i];
        }
}

/* Rows to logits; GPT-2: normed already. */
static inline void naive_unembed(const test_network *t, const double *x, size_t n, double *logits)
{
    const size_t e = t->info->n_embd, n_vocab = t->info->n_vocab;
    const bool bert = t->info->architecture == WTE_ARCHITECTURE_BERT;
    const float *w =
        naive_weight(t, bert ? "embeddings.word_embeddings.weight" : "wte.weight", SIZE_MAX, "");
    double *h = naive_array(n * e);

    memcpy(h, x, n * e * sizeof *h);
    if (bert) {
        naive_linear(t, "cls.predictions.transform", SIZE_MAX, ".dense", x, n, e, e, h);
        for (size_t i = 0; i < n * e; i++)
            h[i] = naive_gelu(h[i], true);
        naive_norm(t, "cls.predictions.transform", SIZE_MAX, ".LayerNorm", h, n, h);
    }
    for (size_t r = 0; r < n; r++)
        for (size_t j = 0; j < n_vocab; j++) {
            double sum =
                bert ? (double)naive_weight(t, "cls.predictions.bias", SIZE_MAX, "")[j] : 0;

            for (size_t i = 0; i < e; i++)
                sum += h[r * e + i] * (double)w[j * e + i];
            logits[r * n_vocab + j] = sum;
        }
    free(h);
}

/* The attention of a layer: x in, what is added to the stream out. */
static inline void naive_attention(const test_network *t, size_t l, const double *x,
                                   const uint8_t *masked, size_t n, double *weights, double *out)
{
    const size_t e = t->info->n_embd;
    const bool bert = t->info->architecture == WTE_ARCHITECTURE_BERT;
    double *q = naive_array(n * e), *k = naive_array(n * e), *v = naive_array(n * e);
    double *all = naive_array(3 * n * e), *mixed = naive_array(n * e);

    if (bert) {
        naive_linear(t, "encoder.layer.", l, ".attention.self.query", x, n, e, e, q);
        naive_linear(t, "encoder.layer.", l, ".attention.self.key", x, n, e, e, k);
        naive_linear(t, "encoder.layer.", l, ".attention.self.value", x, n, e, e, v);
    } else {
        naive_linear(t, "h.", l, ".attn.c_attn", x, n, e, 3 * e, all);
        for (size_t r = 0; r < n; r++)
            for (size_t i = 0; i < e; i++) {
                q[r * e + i] = all[r * 3 * e + i];
                k[r * e + i] = all[r * 3 * e + e + i];
                v[r * e + i] = all[r * 3 * e + 2 * e + i];
            }
    }
    for (size_t h = 0; h < t->info->n_head; h++)
        naive_attend(t, q, k, v, h, masked, n, weights + h * n * n, mixed);
    naive_linear(t, bert ? "encoder.layer." : "h.", l,
                 bert ? ".attention.output.dense" : ".attn.c_proj", mixed, n, e, e, out);
    free(q);
    free(k);
    free(v);
    free(all);
    free(mixed);
}

static inline void naive_mlp(const test_network *t, size_t l, const double *x, size_t n,
                             double *out)
{
    const size_t e = t->info->n_embd, m = t->info->n_inner;
    const bool bert = t->info->architecture == WTE_ARCHITECTURE_BERT;
    const char *prefix = bert ? "encoder.layer." : "h.";
    double *inner = naive_array(n * m);

    naive_linear(t, prefix, l, bert ? ".intermediate.dense" : ".mlp.c_fc", x, n, e, m, inner);
    for (size_t i = 0; i < n * m; i++)
        inner[i] = naive_gelu(inner[i], bert);
    naive_linear(t, prefix, l, bert ? ".output.dense" : ".mlp.c_proj", inner, n, m, e, out);
    free(inner);
}

/** Run one sequence. Free with naive_free(). */
static inline naive naive_run(const test_network *t, const uint32_t *ids, const uint32_t *positions,
                              const uint32_t *types, const uint8_t *masked, size_t n)
{
    const size_t e = t->info->n_embd, n_layer = t->info->n_layer, row = n * e;
    const size_t n_weights = t->info->n_head * n * n;
    const bool bert = t->info->architecture == WTE_ARCHITECTURE_BERT;
    double *x = naive_array(row), *y = naive_array(row);
    naive v = {.stream = naive_array((2 * n_layer + 1) * row),
               .norm = naive_array(row),
               .attention = naive_array(n_layer * n_weights),
               .logits = naive_array(n * t->info->n_vocab),
               .pooled = naive_array(e)};
    double *h = v.stream;

    naive_embed(t, ids, positions, types, n, h);
    if (bert)
        naive_norm(t, "embeddings", SIZE_MAX, ".LayerNorm", h, n, h);
    for (size_t l = 0; l < n_layer; l++)
        for (int mlp = 0; mlp < 2; mlp++, h += row) {
            memcpy(x, h, row * sizeof *x);
            if (!bert)
                naive_norm(t, "h.", l, mlp ? ".ln_2" : ".ln_1", h, n, x);
            if (mlp)
                naive_mlp(t, l, x, n, y);
            else
                naive_attention(t, l, x, masked, n, v.attention + l * n_weights, y);
            for (size_t i = 0; i < row; i++)
                h[row + i] = h[i] + y[i];
            if (bert)
                naive_norm(t, "encoder.layer.", l,
                           mlp ? ".output.LayerNorm" : ".attention.output.LayerNorm", h + row, n,
                           h + row);
        }
    memcpy(v.norm, h, row * sizeof *h);
    if (!bert)
        naive_norm(t, "ln_f", SIZE_MAX, "", h, n, v.norm);
    naive_unembed(t, v.norm, n, v.logits);
    if (bert) {
        naive_linear(t, "pooler", SIZE_MAX, ".dense", v.norm, 1, e, e, v.pooled);
        for (size_t i = 0; i < e; i++)
            v.pooled[i] = tanh(v.pooled[i]);
        naive_linear(t, "cls", SIZE_MAX, ".seq_relationship", v.pooled, 1, e, 2, v.next_sentence);
    }
    free(x);
    free(y);
    return v;
}

/** Compare what a session tapped of a sequence of n tokens. */
static inline void naive_compare(const wte_session *s, const naive *v, size_t n)
{
    const wte_network_info *info = wte_network_get_info(wte_session_network(s));
    const size_t row = n * info->n_embd, n_weights = info->n_head * n * n;

    test_close("embeddings", test_tapped(s, "embeddings").data, v->stream, row, 1e-5);
    for (size_t l = 0; l < info->n_layer; l++) {
        const double *stream = v->stream + 2 * l * row;
        char name[64];

        snprintf(name, sizeof name, "layer.%zu.in", l);
        test_close(name, test_tapped(s, name).data, stream, row, 1e-5);
        snprintf(name, sizeof name, "layer.%zu.attention", l);
        test_close(name, test_tapped(s, name).data, v->attention + l * n_weights, n_weights, 1e-5);
        snprintf(name, sizeof name, "layer.%zu.mid", l);
        test_close(name, test_tapped(s, name).data, stream + row, row, 1e-5);
        snprintf(name, sizeof name, "layer.%zu.out", l);
        test_close(name, test_tapped(s, name).data, stream + 2 * row, row, 1e-5);
    }
    test_close("last", test_tapped(s, "last").data, v->stream + 2 * info->n_layer * row, row, 1e-5);
    test_close("norm", test_tapped(s, "norm").data, v->norm, row, 1e-5);
    test_close("logits", test_tapped(s, "logits").data, v->logits, n * info->n_vocab, 1e-5);
}

/** Ask for everything that a network gives. */
static inline void test_tap_all(wte_session *s)
{
    static const char *const of_layer[] = {"in", "mid", "out", "attention"};
    const wte_network_info *info = wte_network_get_info(wte_session_network(s));
    char name[64];

    for (size_t l = 0; l < info->n_layer; l++)
        for (size_t i = 0; i < 4; i++) {
            snprintf(name, sizeof name, "layer.%zu.%s", l, of_layer[i]);
            test_tap(s, name);
        }
    test_tap(s, "embeddings");
    test_tap(s, "last");
    test_tap(s, "norm");
    test_tap(s, "logits");
    if (info->has_next_sentence) {
        test_tap(s, "pooler");
        test_tap(s, "next_sentence");
    }
}
#endif
