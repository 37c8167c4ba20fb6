/* SPDX-License-Identifier: MIT */
/* session.c - the memory of a running network: sequences and their cells
 *
 * The cache is one mapping, laid out [layer][keys, values][head][cell][head_dim]: what a head
 * attends to lies close together. A cell holds one token's keys and values in all layers and heads.
 * It is reserved for all tokens of all sequences, which may be much, but only pages that were
 * written take memory. A token's cell is the one behind that of the token before it, if it can be,
 * so that a sequence is read in order and not line by line out of the midst of others; sequences
 * begin, and part, in runs of their own (RUN cells are a page of a head's keys, more or less). Where
 * that would leave too many cells idle, as when many beams die, the lowest free one is taken.
 *
 * A sequence is a list of cells. A cell may be in several lists and counts them: a fork copies the
 * list, not what the cells hold. Nothing in a cell ever changes while somebody uses it, because a
 * sequence grows by new cells only; that is why a fork needs no copying later either. There are as
 * many cells as all sequences can have tokens, so one is always free. The position of a token
 * belongs to its cell, so that a sequence that was truncated or forked goes on where it stands.
 *
 * BERT's keys and values matter within one pass only: row i of a pass uses cell i, and all layers
 * the same memory. Its sequences keep their length. */
#include "network/network_internal.h"
#include <math.h>

enum { DEFAULT_ROWS = 256, RUN = 32 /* cells */ };

/* ---- memory ------------------------------------------------------------------------------ */

bool wte__reserve_floats(float **array, size_t *capacity, size_t n)
{
    size_t wanted = *capacity + *capacity / 2; /* what grows by a token at a time grows seldom */

    if (n <= *capacity)
        return true;
    if (wanted < n)
        wanted = n;
    wte__free(*array);
    *capacity = 0;
    *array = wte__alloc_aligned(wanted, sizeof **array);
    if (*array)
        *capacity = wanted;
    return *array != NULL;
}

static size_t widest_input(const wte_network *net)
{
    return net->info.n_inner > net->info.n_embd ? net->info.n_inner : net->info.n_embd;
}

static bool take_cache(wte_session *s)
{
    const wte_network_info *info = &s->network->info;
    const bool half = info->precision != WTE_PRECISION_F32;
    const size_t size = half ? sizeof(uint16_t) : sizeof(float);
    const size_t n_layers = wte__is_bert(s) ? 1 : info->n_layer;
    size_t plane, n = 0;

    s->layers = wte__calloc(info->n_layer, sizeof *s->layers);
    if (!s->layers || wte__mul_overflows(s->n_cells, info->n_embd * size, &plane) ||
        wte__mul_overflows(plane, 2 * n_layers, &n))
        return false;
    s->cache = wte__reserve(n, 1);
    if (!s->cache)
        return false;
    s->cache_bytes = n;
    for (size_t l = 0; l < info->n_layer; l++) {
        char *keys = (char *)s->cache + (wte__is_bert(s) ? 0 : l) * 2 * plane;

        s->layers[l] =
            (wte__heads){keys, keys + plane, s->n_cells, info->n_embd / info->n_head, half};
    }
    return true;
}

static bool take_sequences(wte_session *s)
{
    s->sequences = wte__calloc(s->n_sequences, sizeof *s->sequences);
    if (!s->sequences)
        return false;
    if (wte__is_bert(s))
        return true;
    s->references = wte__calloc(s->n_cells, sizeof *s->references);
    s->run_used = wte__calloc(s->n_cells / RUN + 1, sizeof *s->run_used);
    s->cell_positions = wte__calloc(s->n_cells, sizeof *s->cell_positions);
    s->lists = wte__reserve(s->n_cells, 2 * sizeof *s->lists);
    if (!s->references || !s->run_used || !s->cell_positions || !s->lists)
        return false;
    for (size_t i = 0; i < s->n_sequences; i++) {
        s->sequences[i].cells = s->lists + 2 * i * s->max_tokens;
        s->sequences[i].spare = s->sequences[i].cells + s->max_tokens;
    }
    return true;
}

static bool take_rows(wte_session *s)
{
    const size_t e = s->network->info.n_embd, n = s->max_rows;
    wte__pass *pass = &s->pass;

    s->stream = wte__alloc_aligned(n, e * sizeof *s->stream);
    s->normed = wte__alloc_aligned(n, e * sizeof *s->normed);
    s->qkv = wte__alloc_aligned(n, 3 * e * sizeof *s->qkv);
    s->mixed = wte__alloc_aligned(n, e * sizeof *s->mixed);
    s->inner = wte__alloc_aligned(n, s->network->info.n_inner * sizeof *s->inner);
    s->iota = wte__calloc(n, sizeof *s->iota);
    pass->rows = wte__calloc(n, sizeof *pass->rows);
    pass->cells = wte__calloc(n, sizeof *pass->cells);
    pass->logit_rows = wte__calloc(n, sizeof *pass->logit_rows);
    pass->first_rows = wte__calloc(n, sizeof *pass->first_rows);
    if (!s->stream || !s->normed || !s->qkv || !s->mixed || !s->inner || !s->iota || !pass->rows ||
        !pass->cells || !pass->logit_rows || !pass->first_rows)
        return false;
    for (size_t i = 0; i < n; i++)
        s->iota[i] = (uint32_t)i;
    return true;
}

/* What a worker has for itself: its own lines of the processor's cache. */
static bool take_workers(wte_session *s)
{
    s->weights = wte__calloc(s->n_workers, sizeof *s->weights);
    s->own = wte__calloc(s->n_workers, sizeof *s->own);
    if (!s->weights || !s->own)
        return false;
    for (unsigned i = 0; i < s->n_workers; i++) {
        s->weights[i] = wte__alloc_aligned(s->max_tokens, WTE__ATTEND_ROWS * sizeof **s->weights);
        s->own[i] = wte__alloc_aligned(2 * (size_t)WTE__FEW_ROWS * s->network->info.n_embd,
                                       sizeof **s->own);
        if (!s->weights[i] || !s->own[i])
            return false;
    }
    return true;
}

bool wte__take_results(wte_session *s, size_t n, size_t n_logits)
{
    const wte_network_info *info = &s->network->info;
    size_t floats;

    if (wte__mul_overflows(n, info->n_embd, &floats) ||
        !wte__reserve_floats(&s->hidden, &s->hidden_capacity, floats) ||
        wte__mul_overflows(n_logits, info->n_vocab, &floats) ||
        !wte__reserve_floats(&s->logits, &s->logits_capacity, floats))
        return false;
    return wte__grow((void **)&s->logit_rows, &s->logit_rows_capacity, n, sizeof *s->logit_rows) &&
           wte__grow((void **)&s->visible, &s->visible_capacity, n, sizeof *s->visible);
}

static wte_status set_sizes(wte_session *s, const wte_session_options *o, wte_error *err)
{
    const wte_network_info *info = &s->network->info;
    size_t n_tokens;

    s->max_tokens = o->max_tokens ? o->max_tokens : info->n_ctx;
    s->n_sequences = o->n_sequences;
    if (s->max_tokens > info->n_ctx)
        return wte__fail(err, WTE_E_RANGE, "sequences of %zu tokens: the network has %zu positions",
                         s->max_tokens, info->n_ctx);
    if (s->n_sequences == 0)
        return wte__fail(err, WTE_E_RANGE, "a session of 0 sequences");
    if (wte__mul_overflows(s->max_tokens, s->n_sequences, &n_tokens) || n_tokens > INT32_MAX)
        return wte__fail(err, WTE_E_RANGE, "%zu sequences of %zu tokens are more than %d",
                         s->n_sequences, s->max_tokens, INT32_MAX);
    s->max_rows = o->max_rows ? o->max_rows : DEFAULT_ROWS;
    if (wte__is_bert(s) && s->max_rows < s->max_tokens)
        s->max_rows = s->max_tokens;
    if (s->max_rows > n_tokens)
        s->max_rows = n_tokens;
    s->n_cells = wte__is_bert(s) ? s->max_rows : n_tokens;
    return WTE_OK;
}

wte_status wte_session_new(const wte_network *network, const wte_session_options *options,
                           wte_session **out, wte_error *err)
{
    static const wte_session_options defaults = WTE_SESSION_DEFAULTS;
    const bool has_logits = network->info.has_logits != 0;
    wte_session *s = wte__calloc(1, sizeof *s);
    wte_status status;

    if (!s)
        return wte__fail(err, WTE_E_NOMEM, "no memory for a session");
    s->network = network;
    status = set_sizes(s, options ? options : &defaults, err);
    if (status)
        goto fail;
    status = wte__team_new(options ? options->n_threads : 0, &s->team, err);
    if (status)
        goto fail;
    s->n_workers = wte__team_size(s->team);
    status = wte__scratch_new(&s->scratch, s->max_rows, widest_input(network), s->n_workers,
                              network->info.precision == WTE_PRECISION_BF16, err);
    if (status)
        goto fail;
    if (!take_cache(s) || !take_sequences(s) || !take_rows(s) || !take_workers(s) ||
        !wte__take_results(s, s->max_rows, has_logits ? WTE_SMALL_BATCH : 0)) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for %zu sequences of %zu tokens",
                           s->n_sequences, s->max_tokens);
        goto fail;
    }
    *out = s;
    return WTE_OK;
fail:
    wte_session_free(s);
    return status;
}

void wte_session_free(wte_session *s)
{
    if (!s)
        return;
    wte__team_free(s->team);
    wte__scratch_free(&s->scratch, s->n_workers);
    wte__taps_free(s);
    for (unsigned i = 0; i < s->n_workers; i++) {
        if (s->weights)
            wte__free(s->weights[i]);
        if (s->own)
            wte__free(s->own[i]);
    }
    wte__free(s->weights);
    wte__free(s->own);
    wte__free(s->pass.rows);
    wte__free(s->pass.cells);
    wte__free(s->pass.logit_rows);
    wte__free(s->pass.first_rows);
    wte__free(s->iota);
    wte__free(s->stream);
    wte__free(s->normed);
    wte__free(s->qkv);
    wte__free(s->mixed);
    wte__free(s->inner);
    wte__free(s->hidden);
    wte__free(s->logits);
    wte__free(s->logit_rows);
    wte__free(s->visible);
    wte__release(s->lists, s->n_cells, 2 * sizeof *s->lists);
    wte__free(s->cell_positions);
    wte__free(s->run_used);
    wte__free(s->references);
    wte__free(s->sequences);
    wte__release(s->cache, s->cache_bytes, 1);
    wte__free(s->layers);
    wte__free(s);
}

const wte_network *wte_session_network(const wte_session *s)
{
    return s->network;
}

/* ---- cells ------------------------------------------------------------------------------- */

static uint32_t use_cell(wte_session *s, size_t cell)
{
    s->references[cell] = 1;
    s->n_used++;
    s->run_used[cell / RUN]++;
    if (cell >= s->touched)
        s->touched = cell + 1;
    return (uint32_t)cell;
}

/* Whether a sequence whose last token is in the cell before may take this one: in the same run, or
 * as the first of a run that nobody uses. */
static bool may_go_on(const wte_session *s, size_t cell)
{
    return cell < s->n_cells && s->references[cell] == 0 &&
           (cell % RUN != 0 || s->run_used[cell / RUN] == 0);
}

/* The lowest run that nobody uses. False: there is none, or new memory would be touched for it
 * although more than a run for each sequence lies idle. */
static bool find_run(wte_session *s, size_t *cell)
{
    size_t run = s->lowest_run;

    while (run * RUN < s->n_cells && s->run_used[run])
        run++;
    s->lowest_run = run;
    *cell = run * RUN;
    return *cell < s->n_cells &&
           (*cell < s->touched || s->touched - s->n_used < s->n_sequences * RUN);
}

uint32_t wte__take_cell(wte_session *s, const wte__sequence *q)
{
    size_t cell = q->length ? q->cells[q->length - 1] + (size_t)1 : s->n_cells;

    if (may_go_on(s, cell) || find_run(s, &cell))
        return use_cell(s, cell);
    cell = s->lowest_free;
    while (s->references[cell])
        cell++;
    s->lowest_free = cell + 1;
    return use_cell(s, cell);
}

static void release_cells(wte_session *s, const uint32_t *cells, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const size_t cell = cells[i], run = cell / RUN;

        if (--s->references[cell])
            continue;
        s->n_used--;
        if (cell < s->lowest_free)
            s->lowest_free = cell;
        if (--s->run_used[run] == 0 && run < s->lowest_run)
            s->lowest_run = run;
    }
}

static void share_cells(wte_session *s, const uint32_t *cells, size_t n, uint32_t *out)
{
    for (size_t i = 0; i < n; i++) {
        s->references[cells[i]]++;
        out[i] = cells[i];
    }
}

size_t wte_session_length(const wte_session *s, uint32_t sequence)
{
    return sequence < s->n_sequences ? s->sequences[sequence].length : 0;
}

void wte_session_truncate(wte_session *s, uint32_t sequence, size_t n)
{
    wte__sequence *q;

    if (sequence >= s->n_sequences || n >= s->sequences[sequence].length)
        return;
    q = &s->sequences[sequence];
    if (q->cells)
        release_cells(s, q->cells + n, q->length - n);
    q->length = n;
}

void wte_session_fork(wte_session *s, uint32_t from, uint32_t to)
{
    wte__sequence *source, *target;

    if (from >= s->n_sequences || to >= s->n_sequences || from == to)
        return;
    source = &s->sequences[from], target = &s->sequences[to];
    wte_session_truncate(s, to, 0);
    if (source->cells)
        share_cells(s, source->cells, source->length, target->cells);
    target->length = source->length;
}

void wte_session_reorder(wte_session *s, const uint32_t *from, size_t n)
{
    if (n > s->n_sequences)
        n = s->n_sequences;
    for (size_t i = 0; i < n; i++) { /* new lists beside the old, which are all still needed */
        const wte__sequence *source = from[i] < s->n_sequences ? &s->sequences[from[i]] : NULL;

        s->sequences[i].n_new = source ? source->length : 0;
        if (source && source->cells)
            share_cells(s, source->cells, source->length, s->sequences[i].spare);
    }
    for (size_t i = 0; i < n; i++) {
        wte__sequence *q = &s->sequences[i];
        uint32_t *cells = q->cells;

        if (cells)
            release_cells(s, cells, q->length);
        q->cells = q->spare;
        q->spare = cells;
        q->length = q->n_new;
        q->n_new = 0;
    }
}

/* ---- what a run left behind ---------------------------------------------------------------- */

void wte_session_cancel(wte_session *s)
{
    atomic_store(&s->cancelled, true);
}

const float *wte_session_logits(const wte_session *s, size_t row)
{
    if (row >= s->n_rows || s->logit_rows[row] == UINT32_MAX)
        return NULL;
    return s->logits + s->logit_rows[row] * (size_t)s->network->info.n_vocab;
}

const float *wte_session_hidden(const wte_session *s, size_t row)
{
    return row < s->n_rows ? s->hidden + row * s->network->info.n_embd : NULL;
}

/* ---- logits ------------------------------------------------------------------------------ */

wte_status wte_session_unembed(wte_session *s, const float *hidden, size_t n, int normed,
                               float *logits, wte_error *err)
{
    const wte_network_info *info = &s->network->info;

    if (!info->has_logits)
        return wte__fail(err, WTE_E_UNSUPPORTED, "this network has no head that gives logits");
    for (size_t from = 0; from < n; from += s->max_rows) {
        const size_t rows = n - from < s->max_rows ? n - from : s->max_rows;

        wte__unembed(s, hidden + from * info->n_embd, rows, normed != 0,
                     logits + from * info->n_vocab);
    }
    return WTE_OK;
}

void wte_log_softmax(const float *logits, size_t n, float *log_probs)
{
    const wte__kernels *k = wte__kernel();
    const float max = k->max_f32(logits, n);
    const double shift = (double)max + log(k->sum_exp(logits, n, max));

    for (size_t i = 0; i < n; i++)
        log_probs[i] = (float)((double)logits[i] - shift);
}
