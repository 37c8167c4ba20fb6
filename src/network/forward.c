/* SPDX-License-Identifier: MIT */
/* forward.c - the layers of GPT-2 and BERT
 *
 * Both networks are one chain of steps, a layer being
 *
 *   x = norm(stream);  stream = base + attention(x)
 *   x = norm(stream);  stream = base + mlp(x)
 *
 * GPT-2 norms what goes into a step and adds its result to the stream as it was (base is stream):
 * its norms are ln_1, ln_2 and at the end ln_f. BERT norms what comes out of a step and goes on
 * with the normed numbers (base is x): its norms, in the same places, are that of the embeddings,
 * then attention.output.LayerNorm and output.LayerNorm of each layer, the last of which ends the
 * chain.
 *
 * All workers run the same function over one pass and meet at barriers; each product ends with one.
 * With few rows a layer has five: after the projection to queries, keys and values, the attention,
 * its output, and the two matrices of the MLP. A norm then has none: every worker norms all rows
 * into memory of its own, which takes less time than meeting, and a worker that attends with a head
 * first stores that head's keys and values itself. With many rows these are shared out too. Nothing
 * depends on which worker does what, so that the bits are the same for any number of them.
 *
 * A number that is not finite makes its whole row NaN at the next norm: the mean is. So the first
 * number of each normed row is looked at, which costs nothing and tells the layer. Beyond the last
 * norm only the output matrix can still bring one in; the logits are looked through.
 *
 * Left out: fusing the norm into the products (they would have to be repeated per worker). */
#include "network/network_internal.h"
#include <math.h>

enum {
    NORM_BLOCK = 8,                  /* rows that a worker norms, gathers or embeds at a time */
    ATTEND_BLOCK = WTE__ATTEND_ROWS, /* rows that it attends for */
    LOOK_BLOCK = 8192                /* logits that it looks through */
};

/* What one worker knows of the pass. */
typedef struct run {
    wte_session *s;
    const wte_network *net;
    wte__pass *pass;
    const wte__kernels *k;
    wte__team *team;
    unsigned worker;
    bool few;      /* rows of the pass */
    size_t n_embd; /* numbers of a row */
    float *x;      /* [n, n_embd] normed rows: shared, or the worker's own if they are few */
} run;

/* The worker's own rows: 0 normed, 1 gathered. */
static float *own(const run *r, size_t which)
{
    return r->s->own[r->worker] + which * WTE__FEW_ROWS * r->n_embd;
}

static void product(const run *r, const wte__linear *linear, const float *x, size_t n, float *y,
                    size_t ldy, wte__activation activation, const float *residual)
{
    const wte__product p = {linear, x, y, linear->n_in, ldy, n, activation, residual};

    wte__product_run(&p, &r->s->scratch, r->team, r->worker);
}

/* ---- embeddings -------------------------------------------------------------------------- */

/* A row of a table that lies as panels: one number in WTE__PANEL. */
static void read_panels(const wte__table *table, size_t row, float *out)
{
    const uint16_t *panel =
        (const uint16_t *)table->data + row / WTE__PANEL * WTE__PANEL * table->dim;

    for (size_t i = 0; i < table->dim; i++) {
        const uint32_t bits = (uint32_t)panel[i * WTE__PANEL + row % WTE__PANEL] << 16;

        memcpy(out + i, &bits, sizeof bits);
    }
}

static void read_row(const run *r, const wte__table *table, size_t row, float *out)
{
    const size_t dim = table->dim;

    if (table->panels) {
        read_panels(table, row, out);
        return;
    }
    switch (table->type) {
    case WTE__WEIGHT_F16:
        r->k->f16_to_f32((const uint16_t *)table->data + row * dim, out, dim);
        return;
    case WTE__WEIGHT_BF16:
        r->k->bf16_to_f32((const uint16_t *)table->data + row * dim, out, dim);
        return;
    default:
        memcpy(out, (const unsigned char *)table->data + row * dim * sizeof *out,
               dim * sizeof *out);
    }
}

static void add_row(const run *r, const wte__table *table, size_t row, float *out)
{
    float *term = own(r, 0);

    read_row(r, table, row, term);
    for (size_t i = 0; i < r->n_embd; i++)
        out[i] += term[i];
}

static void embed(const run *r)
{
    const wte__pass *pass = r->pass;
    size_t from;

    while ((from = wte__team_claim(r->team) * NORM_BLOCK) < pass->n)
        for (size_t i = from; i < pass->n && i < from + NORM_BLOCK; i++) {
            float *out = r->s->stream + i * r->n_embd;

            read_row(r, &r->net->tokens, pass->rows[i].id, out);
            if (r->net->types.data)
                add_row(r, &r->net->types, pass->rows[i].type, out);
            add_row(r, &r->net->positions, pass->rows[i].position, out);
        }
    wte__team_barrier(r->team);
}

/* ---- norms and taps ---------------------------------------------------------------------- */

static void keep(const run *r, wte__tap_kind kind, size_t layer, size_t from, size_t n,
                 const float *rows)
{
    const wte__tap *tap = wte__tap_find(r->s, kind, layer);

    if (tap && tap->data)
        memcpy(tap->data + (r->pass->first + from) * r->n_embd, rows, n * r->n_embd * sizeof *rows);
}

/* Remember the first place, in the order of the computation, then of the rows. */
static void remember_trouble(const run *r, size_t step, size_t row)
{
    uint64_t place = (uint64_t)step << 32 | row, known = atomic_load(&r->pass->trouble);

    while (place < known && !atomic_compare_exchange_weak(&r->pass->trouble, &known, place))
        ;
}

/* The norm that stands before step `step` of the chain: 2 * layer before an attention, one more
 * before an MLP, 2 * n_layer at the end. */
static const wte__norm *norm_of_step(const wte_network *net, size_t step)
{
    const size_t layer = step / 2;

    if (net->info.architecture == WTE_ARCHITECTURE_BERT) {
        if (step == 0)
            return &net->embedding_norm;
        return step % 2 ? &net->layers[layer].norm1 : &net->layers[layer - 1].norm2;
    }
    if (step == 2 * net->info.n_layer)
        return &net->final_norm;
    return step % 2 ? &net->layers[layer].norm2 : &net->layers[layer].norm1;
}

/* Keep what taps want of the residual stream where it stands before a step. */
static void keep_stream(const run *r, size_t step, size_t from, size_t n, const float *rows)
{
    const size_t layer = step / 2, n_layer = r->net->info.n_layer;

    if (r->s->n_taps == 0)
        return;
    if (step % 2) {
        keep(r, WTE__TAP_MID, layer, from, n, rows);
        return;
    }
    if (step == 0)
        keep(r, WTE__TAP_EMBEDDINGS, 0, from, n, rows);
    else
        keep(r, WTE__TAP_OUT, layer - 1, from, n, rows);
    if (layer < n_layer)
        keep(r, WTE__TAP_IN, layer, from, n, rows);
    else
        keep(r, WTE__TAP_LAST, 0, from, n, rows);
}

/* Norm n rows from row `from` of the stream into `out`. `keeper`: this worker serves the taps. */
static void norm_rows(const run *r, size_t step, size_t from, size_t n, float *out, bool keeper)
{
    const wte__norm *norm = norm_of_step(r->net, step);
    const float *stream = r->s->stream + from * r->n_embd;
    const bool bert = r->net->info.architecture == WTE_ARCHITECTURE_BERT;

    if (keeper && !bert)
        keep_stream(r, step, from, n, stream);
    for (size_t i = 0; i < n; i++) {
        float *y = out + i * r->n_embd;

        r->k->layer_norm(stream + i * r->n_embd, norm->weight, norm->bias, r->net->epsilon,
                         r->n_embd, y);
        if (!isfinite(y[0]))
            remember_trouble(r, step, from + i);
    }
    if (keeper && bert)
        keep_stream(r, step, from, n, out);
}

/* x = norm(stream), which is complete for this worker when it returns. */
static void normalise(run *r, size_t step, float *shared)
{
    const size_t n = r->pass->n;
    size_t from;

    if (r->few) {
        r->x = own(r, 0);
        norm_rows(r, step, 0, n, r->x, r->worker == 0);
        return;
    }
    r->x = shared;
    while ((from = wte__team_claim(r->team) * NORM_BLOCK) < n)
        norm_rows(r, step, from, n - from < NORM_BLOCK ? n - from : NORM_BLOCK,
                  shared + from * r->n_embd, true);
    wte__team_barrier(r->team);
}

/* ---- attention --------------------------------------------------------------------------- */

/* Put a head's keys and values of all rows into their cells, and scale its queries. */
static void store_head(const run *r, size_t layer, size_t head)
{
    const wte__heads *h = &r->s->layers[layer];
    const size_t dim = h->head_dim, ld = 3 * r->n_embd;
    float *q = r->s->qkv + head * dim;
    float scale = r->net->attention_scale;

    if (r->net->scale_by_layer)
        scale /= (float)(layer + 1);
    wte__heads_store(h, h->keys, head, q + r->n_embd, ld, r->pass->cells, r->pass->n);
    wte__heads_store(h, h->values, head, q + 2 * r->n_embd, ld, r->pass->cells, r->pass->n);
    for (size_t i = 0; i < r->pass->n; i++)
        for (size_t d = 0; d < dim; d++)
            q[i * ld + d] *= scale;
}

/* Rows from..end, those of a sequence together. */
static void attend_head(const run *r, size_t layer, size_t head, const wte__tap *tap, size_t from,
                        size_t end)
{
    const wte__heads *h = &r->s->layers[layer];
    const size_t dim = h->head_dim;
    const wte__row *rows = r->pass->rows;

    for (size_t i = from, n; i < end; i += n) {
        const float *query = r->s->qkv + i * 3 * r->n_embd + head * dim;
        float *out = r->s->mixed + i * r->n_embd + head * dim;
        float *weights = r->s->weights[r->worker];
        uint32_t n_keys[WTE__ATTEND_ROWS];
        size_t ld = r->s->max_tokens;

        for (n = 0; n < WTE__ATTEND_ROWS && i + n < end && rows[i + n].keys == rows[i].keys &&
                    rows[i + n].visible == rows[i].visible;
             n++)
            n_keys[n] = rows[i + n].n_keys;
        if (tap) {
            ld = tap->shape[2];
            weights = tap->data + (head * tap->shape[1] + r->pass->first + i) * ld;
        }
        wte__attend_rows(h, head, query, 3 * r->n_embd, rows[i].keys, rows[i].visible, n_keys, n,
                         weights, ld, out, r->n_embd);
        for (size_t j = 0; tap && j < n; j++)
            memset(weights + j * ld + n_keys[j], 0, (ld - n_keys[j]) * sizeof *weights);
    }
}

static void attend(const run *r, size_t layer)
{
    const size_t n = r->pass->n, n_head = r->net->info.n_head;
    const size_t n_blocks = r->few ? 1 : (n + ATTEND_BLOCK - 1) / ATTEND_BLOCK;
    const wte__tap *tap = r->s->n_taps ? wte__tap_find(r->s, WTE__TAP_ATTENTION, layer) : NULL;
    size_t i;

    if (r->few) {
        while ((i = wte__team_claim(r->team)) < n_head) {
            store_head(r, layer, i);
            attend_head(r, layer, i, tap, 0, n);
        }
        wte__team_barrier(r->team);
        return;
    }
    while ((i = wte__team_claim(r->team)) < n_head)
        store_head(r, layer, i);
    wte__team_barrier(r->team);
    /* The last rows see most: they come first, so that the workers end together. */
    while ((i = wte__team_claim(r->team)) < n_head * n_blocks) {
        size_t from = (n_blocks - 1 - i / n_head) * ATTEND_BLOCK;

        attend_head(r, layer, i % n_head, tap, from,
                    n - from < ATTEND_BLOCK ? n : from + ATTEND_BLOCK);
    }
    wte__team_barrier(r->team);
}

/* ---- after the layers -------------------------------------------------------------------- */

/* Rows `picked` of the normed ones, side by side. */
static const float *gather(const run *r, const uint32_t *picked, size_t n)
{
    const size_t bytes = r->n_embd * sizeof(float);
    float *out = own(r, 1);
    size_t from;

    if (n == r->pass->n)
        return r->x;
    if (n <= WTE__FEW_ROWS) {
        for (size_t i = 0; i < n; i++)
            memcpy(out + i * r->n_embd, r->x + picked[i] * r->n_embd, bytes);
        return out;
    }
    out = r->s->mixed;
    while ((from = wte__team_claim(r->team) * NORM_BLOCK) < n)
        for (size_t i = from; i < n && i < from + NORM_BLOCK; i++)
            memcpy(out + i * r->n_embd, r->x + picked[i] * r->n_embd, bytes);
    wte__team_barrier(r->team);
    return out;
}

static void pool(const run *r)
{
    const wte__pass *pass = r->pass;
    const wte__tap *pooler = wte__tap_find(r->s, WTE__TAP_POOLER, 0);
    const wte__tap *next = wte__tap_find(r->s, WTE__TAP_NEXT_SENTENCE, 0);
    float *pooled = r->s->normed;

    if (pass->n_firsts == 0 || (!pooler && !next))
        return;
    if (pooler)
        pooled = pooler->data + pass->firsts_before * r->n_embd;
    product(r, &r->net->pooler, gather(r, pass->first_rows, pass->n_firsts), pass->n_firsts, pooled,
            r->n_embd, WTE__ACTIVATION_TANH, NULL);
    if (next)
        product(r, &r->net->next_sentence, pooled, pass->n_firsts,
                next->data + pass->firsts_before * 2, 2, WTE__ACTIVATION_NONE, NULL);
}

/* From normed rows to logits. */
static void unembed(const run *r, const float *x, size_t n, float *logits)
{
    const wte_network *net = r->net;
    const wte__norm *norm = &net->transform_norm;
    const bool few = n <= WTE__FEW_ROWS;
    float *y = r->s->normed, *out = few ? own(r, 1) : r->s->mixed;
    size_t from;

    if (net->transform.weight) {
        product(r, &net->transform, x, n, y, r->n_embd, net->activation, NULL);
        while ((from = few ? 0 : wte__team_claim(r->team) * NORM_BLOCK) < n) {
            for (size_t i = from; i < n && i < from + NORM_BLOCK; i++)
                r->k->layer_norm(y + i * r->n_embd, norm->weight, norm->bias, net->epsilon,
                                 r->n_embd, out + i * r->n_embd);
            if (few)
                break;
        }
        if (!few)
            wte__team_barrier(r->team);
        x = out;
    }
    product(r, &net->output, x, n, logits, net->info.n_vocab, WTE__ACTIVATION_NONE, NULL);
}

static void look_through(const run *r, const float *logits)
{
    const size_t n_vocab = r->net->info.n_vocab;
    const size_t n_blocks = (n_vocab + LOOK_BLOCK - 1) / LOOK_BLOCK;
    size_t i;

    while ((i = wte__team_claim(r->team)) < n_blocks * r->pass->n_logits) {
        size_t row = i / n_blocks, from = i % n_blocks * LOOK_BLOCK;
        size_t n = n_vocab - from < LOOK_BLOCK ? n_vocab - from : LOOK_BLOCK;

        if (!isfinite(r->k->maxabs_f32(logits + row * n_vocab + from, n)))
            remember_trouble(r, 2 * r->net->info.n_layer + 1, r->pass->logit_rows[row]);
    }
}

/* ---- the pass ---------------------------------------------------------------------------- */

static void forward(void *ctx, unsigned worker)
{
    wte_session *s = ctx;
    const wte_network *net = s->network;
    wte__pass *pass = &s->pass;
    const bool bert = net->info.architecture == WTE_ARCHITECTURE_BERT;
    const size_t n = pass->n, n_layer = net->info.n_layer, e = net->info.n_embd;
    float *hidden = s->hidden + pass->first * e;
    float *logits;
    run r = {s, net, pass, wte__kernel(), s->team, worker, n <= WTE__FEW_ROWS, e, NULL};

    embed(&r);
    for (size_t l = 0; l < n_layer; l++) {
        const wte__layer *layer = &net->layers[l];

        if (worker == 0) /* others look after the next barrier; it stays until some later one */
            pass->stop = atomic_load(&s->cancelled);
        normalise(&r, 2 * l, s->normed);
        for (unsigned i = 0; i < net->n_qkv; i++)
            product(&r, &layer->qkv[i], r.x, n, s->qkv + i * e, 3 * e, WTE__ACTIVATION_NONE, NULL);
        if (pass->stop)
            return;
        attend(&r, l);
        product(&r, &layer->attention_out, s->mixed, n, s->stream, e, WTE__ACTIVATION_NONE,
                bert ? r.x : s->stream);
        normalise(&r, 2 * l + 1, s->normed);
        product(&r, &layer->up, r.x, n, s->inner, net->info.n_inner, net->activation, NULL);
        product(&r, &layer->down, s->inner, n, s->stream, e, WTE__ACTIVATION_NONE,
                bert ? r.x : s->stream);
    }
    normalise(&r, 2 * n_layer, hidden);
    if (r.few && worker == 0)
        memcpy(hidden, r.x, n * e * sizeof *hidden);
    pool(&r);
    if (pass->n_logits == 0)
        return;
    logits = s->logits + pass->logits_before * net->info.n_vocab;
    unembed(&r, gather(&r, pass->logit_rows, pass->n_logits), pass->n_logits, logits);
    look_through(&r, logits);
}

wte_status wte__forward(wte_session *s, wte_error *err)
{
    const size_t n_layer = s->network->info.n_layer;
    uint64_t trouble;
    size_t step, row;
    char where[64];

    s->pass.stop = false;
    atomic_store(&s->pass.trouble, UINT64_MAX);
    wte__team_run(s->team, forward, s);
    if (s->pass.stop)
        return wte__fail(err, WTE_E_CANCELLED, "cancelled");
    trouble = atomic_load(&s->pass.trouble);
    if (trouble == UINT64_MAX)
        return WTE_OK;
    step = (size_t)(trouble >> 32), row = (size_t)(trouble & UINT32_MAX);
    if (step == 0)
        snprintf(where, sizeof where, "the embeddings");
    else if (step > 2 * n_layer)
        snprintf(where, sizeof where, "the output matrix");
    else
        snprintf(where, sizeof where, "layer %zu's %s", (step - 1) / 2,
                 step % 2 ? "attention" : "MLP");
    return wte__fail(err, WTE_E_RANGE,
                     "%s gave a number that is not finite (token %zu of the batch, id %u): the "
                     "weights hold NaN or infinity?",
                     where, s->pass.first + row, s->pass.rows[row].id);
}

/* ---- logits of any stream ---------------------------------------------------------------- */

typedef struct lens {
    wte_session *s;
    const float *hidden;
    float *logits;
    size_t n;
    bool norm;
} lens;

static void look_through_lens(void *ctx, unsigned worker)
{
    const lens *v = ctx;
    wte_session *s = v->s;
    const wte_network *net = s->network;
    const size_t e = net->info.n_embd;
    const run r = {s, net, &s->pass, wte__kernel(), s->team, worker, v->n <= WTE__FEW_ROWS,
                   e, NULL};
    size_t from;

    if (v->norm) {
        while ((from = wte__team_claim(s->team) * NORM_BLOCK) < v->n)
            for (size_t i = from; i < v->n && i < from + NORM_BLOCK; i++)
                r.k->layer_norm(v->hidden + i * e, net->final_norm.weight, net->final_norm.bias,
                                net->epsilon, e, s->stream + i * e);
        wte__team_barrier(s->team);
    }
    unembed(&r, v->norm ? s->stream : v->hidden, v->n, v->logits);
}

void wte__unembed(wte_session *s, const float *hidden, size_t n, bool normed, float *logits)
{
    const bool gpt2 = s->network->info.architecture == WTE_ARCHITECTURE_GPT2;
    lens v = {s, hidden, logits, n, gpt2 && !normed};

    wte__team_run(s->team, look_through_lens, &v);
}
