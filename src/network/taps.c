/* SPDX-License-Identifier: MIT */
/* taps.c - values of a run by name
 *
 * A name is parsed into a kind and a layer once, when the tap is asked for; the layers look taps up
 * by those. Room is made when a run begins, since only then the shapes are known, and the workers
 * write into it as they go. What the session keeps anyway (the normed rows, the logits) has no room
 * of its own, and BERT's `last` is the same as its `norm`. A tap counts as filled when the whole
 * run succeeded. */
#include "network/network_internal.h"
#include <stdlib.h>

/* ---- names ------------------------------------------------------------------------------- */

typedef struct plain_name {
    const char *name;
    wte__tap_kind kind;
} plain_name;

static const plain_name plain_names[] = {
    {"embeddings", WTE__TAP_EMBEDDINGS},
    {"last", WTE__TAP_LAST},
    {"norm", WTE__TAP_NORM},
    {"last_hidden_state", WTE__TAP_NORM},
    {"logits", WTE__TAP_LOGITS},
    {"pooler", WTE__TAP_POOLER},
    {"pooler_output", WTE__TAP_POOLER},
    {"next_sentence", WTE__TAP_NEXT_SENTENCE},
};

static const plain_name layer_names[] = {
    {".in", WTE__TAP_IN},
    {".mid", WTE__TAP_MID},
    {".out", WTE__TAP_OUT},
    {".attention", WTE__TAP_ATTENTION},
};

/* Read "prefix" and a number up to `last` without leading zeros; what follows it is the rest, NULL
 * if it is not so. */
static const char *read_number(const char *name, const char *prefix, size_t last, size_t *number)
{
    const size_t len = strlen(prefix);
    size_t n = 0;
    const char *p = name + len;

    if (strncmp(name, prefix, len) != 0 || *p < '0' || *p > '9' ||
        (*p == '0' && p[1] >= '0' && p[1] <= '9'))
        return NULL;
    for (; *p >= '0' && *p <= '9'; p++) {
        n = n * 10 + (size_t)(*p - '0');
        if (n > last)
            return NULL;
    }
    *number = n;
    return p;
}

static bool parse(const wte_session *s, const char *name, wte__tap_kind *kind, size_t *layer)
{
    const size_t n_layer = s->network->info.n_layer;
    const char *rest;
    size_t n = 0;

    *layer = 0;
    for (size_t i = 0; i < sizeof plain_names / sizeof *plain_names; i++)
        if (strcmp(name, plain_names[i].name) == 0) {
            *kind = plain_names[i].kind;
            return true;
        }
    rest = read_number(name, "hidden_states.", n_layer, &n);
    if (rest && !*rest) {
        *kind = n == 0 ? WTE__TAP_EMBEDDINGS : n == n_layer ? WTE__TAP_NORM : WTE__TAP_OUT;
        *layer = *kind == WTE__TAP_OUT ? n - 1 : 0;
        return true;
    }
    if (n_layer == 0)
        return false;
    rest = read_number(name, "attentions.", n_layer - 1, layer);
    if (rest && !*rest) {
        *kind = WTE__TAP_ATTENTION;
        return true;
    }
    rest = read_number(name, "layer.", n_layer - 1, layer);
    for (size_t i = 0; rest && i < sizeof layer_names / sizeof *layer_names; i++)
        if (strcmp(rest, layer_names[i].name) == 0) {
            *kind = layer_names[i].kind;
            return true;
        }
    return false;
}

/* Whether the network has what a tap keeps. */
static bool exists(const wte_network_info *info, wte__tap_kind kind)
{
    switch (kind) {
    case WTE__TAP_LOGITS:
        return info->has_logits != 0;
    case WTE__TAP_POOLER:
        return info->has_pooler != 0;
    case WTE__TAP_NEXT_SENTENCE:
        return info->has_pooler && info->has_next_sentence;
    default:
        return true;
    }
}

static wte_status no_such_tap(const wte_network_info *info, const char *name, wte_error *err)
{
    const size_t last = info->n_layer ? info->n_layer - 1 : 0;

    return wte__fail(err, WTE_E_NOTFOUND,
                     "no tap '%s': there are embeddings, last, norm%s%s%s, and for layers 0 to %zu "
                     "layer.0.in, layer.0.mid, layer.0.out, layer.0.attention; in Hugging Face's "
                     "numbering hidden_states.0 to hidden_states.%zu, attentions.0 to "
                     "attentions.%zu, last_hidden_state%s",
                     name, exists(info, WTE__TAP_LOGITS) ? ", logits" : "",
                     exists(info, WTE__TAP_POOLER) ? ", pooler" : "",
                     exists(info, WTE__TAP_NEXT_SENTENCE) ? ", next_sentence" : "", last,
                     info->n_layer, last, exists(info, WTE__TAP_POOLER) ? ", pooler_output" : "");
}

/* ---- asking ------------------------------------------------------------------------------ */

wte__tap *wte__tap_find(const wte_session *s, wte__tap_kind kind, size_t layer)
{
    for (size_t i = 0; i < s->n_taps; i++)
        if (s->taps[i].kind == kind && s->taps[i].layer == layer)
            return &s->taps[i];
    return NULL;
}

wte_status wte_session_tap(wte_session *s, const char *name, wte_error *err)
{
    const wte_network_info *info = &s->network->info;
    wte__tap_kind kind;
    size_t layer;

    if (!parse(s, name, &kind, &layer) || !exists(info, kind))
        return no_such_tap(info, name, err);
    if (wte__tap_find(s, kind, layer))
        return WTE_OK;
    if (!wte__grow((void **)&s->taps, &s->tap_capacity, s->n_taps + 1, sizeof *s->taps))
        return wte__fail(err, WTE_E_NOMEM, "no memory for the tap '%s'", name);
    s->taps[s->n_taps++] = (wte__tap){.kind = kind, .layer = layer};
    return WTE_OK;
}

void wte_session_untap(wte_session *s)
{
    for (size_t i = 0; i < s->n_taps; i++)
        wte__free(s->taps[i].data);
    s->n_taps = 0;
}

void wte__taps_free(wte_session *s)
{
    wte_session_untap(s);
    wte__free(s->taps);
}

/* ---- a run ------------------------------------------------------------------------------- */

/* True for what the session keeps anyway. */
static bool is_kept(const wte_session *s, wte__tap_kind kind)
{
    return kind == WTE__TAP_NORM || kind == WTE__TAP_LOGITS ||
           (kind == WTE__TAP_LAST && wte__is_bert(s));
}

static void set_shape(wte__tap *tap, size_t n_dims, size_t a, size_t b, size_t c)
{
    const size_t shape[4] = {a, b, c};

    memcpy(tap->shape, shape, sizeof shape);
    tap->n_dims = n_dims;
}

wte_status wte__taps_begin(wte_session *s, size_t n_rows, size_t n_logits, size_t n_sequences,
                           size_t n_keys, wte_error *err)
{
    const wte_network_info *info = &s->network->info;

    for (size_t i = 0; i < s->n_taps; i++) {
        wte__tap *tap = &s->taps[i];
        size_t n = 1;

        if (tap->kind == WTE__TAP_ATTENTION && n_sequences != 1)
            return wte__fail(err, WTE_E_RANGE,
                             "attention weights of a batch of %zu sequences: run one at a time",
                             n_sequences);
        if (tap->kind == WTE__TAP_ATTENTION)
            set_shape(tap, 3, info->n_head, n_rows, n_keys);
        else if (tap->kind == WTE__TAP_LOGITS)
            set_shape(tap, 2, n_logits, info->n_vocab, 0);
        else if (tap->kind == WTE__TAP_POOLER)
            set_shape(tap, 2, n_sequences, info->n_embd, 0);
        else if (tap->kind == WTE__TAP_NEXT_SENTENCE)
            set_shape(tap, 2, n_sequences, 2, 0);
        else
            set_shape(tap, 2, n_rows, info->n_embd, 0);
        if (is_kept(s, tap->kind))
            continue;
        for (size_t d = 0; d < tap->n_dims; d++)
            if (wte__mul_overflows(n, tap->shape[d], &n))
                n = SIZE_MAX;
        if (!wte__reserve_floats(&tap->data, &tap->capacity, n))
            return wte__fail(err, WTE_E_NOMEM, "no memory for the taps of %zu rows", n_rows);
    }
    return WTE_OK;
}

void wte__taps_end(wte_session *s)
{
    for (size_t i = 0; i < s->n_taps; i++)
        s->taps[i].filled = true;
}

wte_status wte_session_tapped(const wte_session *s, const char *name, wte_array *out,
                              wte_error *err)
{
    const wte__tap *tap = NULL;
    wte__tap_kind kind;
    size_t layer;

    if (!parse(s, name, &kind, &layer) || !exists(&s->network->info, kind))
        return no_such_tap(&s->network->info, name, err);
    tap = wte__tap_find(s, kind, layer);
    if (!tap || !tap->filled)
        return wte__fail(err, WTE_E_NOTFOUND, "'%s' was not asked for before the last run", name);
    if (kind == WTE__TAP_LOGITS && tap->shape[0] == 0)
        return wte__fail(err, WTE_E_NOTFOUND, "the last run gave no logits");
    out->data = kind == WTE__TAP_LOGITS ? s->logits : is_kept(s, kind) ? s->hidden : tap->data;
    memcpy(out->shape, tap->shape, sizeof out->shape);
    out->n_dims = tap->n_dims;
    return WTE_OK;
}
