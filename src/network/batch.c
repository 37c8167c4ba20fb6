/* SPDX-License-Identifier: MIT */
/* batch.c - from tokens to passes
 *
 * A batch is checked as a whole before anything happens; then GPT-2's tokens get their cells; then
 * it goes through the layers in passes of at most max_rows rows. If a pass fails, the sequences
 * give the cells back that the batch took, and are what they were. BERT's sequences are never cut:
 * a pass takes as many of them as fit; they have their new length when all is done. */
#include "network/network_internal.h"

static uint32_t sequence_of(const wte_batch *b, size_t row)
{
    return b->sequences ? b->sequences[row] : 0;
}

/* The row after the last one of the sequence that row `from` is in. */
static size_t end_of_sequence(const wte_batch *b, size_t from)
{
    size_t end = from + 1;

    while (end < b->n && sequence_of(b, end) == sequence_of(b, from))
        end++;
    return end;
}

/* Check the rows of one sequence. */
static wte_status check_rows(const wte_session *s, const wte_batch *b, size_t from, size_t end,
                             wte_error *err)
{
    const wte_network_info *info = &s->network->info;
    const uint32_t sequence = sequence_of(b, from);
    const wte__sequence *q = &s->sequences[sequence];
    const size_t before = wte__is_bert(s) ? 0 : q->length, n = end - from;
    size_t next;

    if (n > s->max_tokens - before) {
        if (before)
            return wte__fail(err, WTE_E_RANGE,
                             "%zu more tokens after the %zu of sequence %u: it takes %zu", n,
                             before, sequence, s->max_tokens);
        return wte__fail(err, WTE_E_RANGE, "%zu tokens in sequence %u: it takes %zu", n, sequence,
                         s->max_tokens);
    }
    next = before ? s->cell_positions[q->cells[before - 1]] + (size_t)1 : 0;
    for (size_t i = from; i < end; i++) {
        const size_t position = b->positions ? b->positions[i] : next + (i - from);

        if (b->ids[i] >= info->n_vocab)
            return wte__fail(err, WTE_E_RANGE, "token %zu has id %u: ids go to %u", i, b->ids[i],
                             info->n_vocab - 1);
        if (b->types && b->types[i] >= info->n_types)
            return wte__fail(err, WTE_E_RANGE, "token %zu is of type %u: types go to %u", i,
                             b->types[i], info->n_types - 1);
        if (position >= info->n_ctx)
            return wte__fail(err, WTE_E_RANGE, "token %zu is at position %zu: positions go to %zu",
                             i, position, info->n_ctx - 1);
    }
    return WTE_OK;
}

/* Check a batch and count, for each sequence, the tokens that it gets. */
static wte_status check_batch(wte_session *s, const wte_batch *b, wte_error *err)
{
    const wte_network_info *info = &s->network->info;

    if (b->n == 0)
        return wte__fail(err, WTE_E_RANGE, "no tokens to run");
    if (b->n > UINT32_MAX - 1)
        return wte__fail(err, WTE_E_RANGE, "a batch of %zu tokens", b->n);
    if ((unsigned)b->logits > WTE_LOGITS_ALL)
        return wte__fail(err, WTE_E_RANGE, "unknown choice %d of logits", (int)b->logits);
    if (b->logits != WTE_LOGITS_NONE && !info->has_logits)
        return wte__fail(err, WTE_E_UNSUPPORTED, "this network has no head that gives logits");
    if (b->types && info->n_types == 0)
        return wte__fail(err, WTE_E_UNSUPPORTED, "this network has no token types");
    if (b->masked && !wte__is_bert(s))
        return wte__fail(err, WTE_E_UNSUPPORTED,
                         "GPT-2 runs sequences without padding: leave it out");
    for (size_t from = 0, end; from < b->n; from = end) {
        const uint32_t sequence = sequence_of(b, from);
        wte_status status;

        end = end_of_sequence(b, from);
        if (sequence >= s->n_sequences)
            return wte__fail(err, WTE_E_RANGE, "token %zu is of sequence %u: there are %zu", from,
                             sequence, s->n_sequences);
        if (s->sequences[sequence].n_new)
            return wte__fail(err, WTE_E_RANGE,
                             "tokens of sequence %u stand apart: token %zu comes after others",
                             sequence, from);
        status = check_rows(s, b, from, end, err);
        if (status)
            return status;
        s->sequences[sequence].n_new = end - from;
    }
    return WTE_OK;
}

/* Forget what a batch would have added. */
static void forget_new(wte_session *s, const wte_batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        if (sequence_of(b, i) < s->n_sequences)
            s->sequences[sequence_of(b, i)].n_new = 0;
}

/* Number the rows of logits. Returns how many there are, and of sequences. */
static size_t number_logits(const wte_batch *b, uint32_t *logit_rows, size_t *n_sequences)
{
    size_t n = 0;

    *n_sequences = 0;
    for (size_t i = 0; i < b->n; i++) {
        const bool last = i + 1 == b->n || sequence_of(b, i + 1) != sequence_of(b, i);
        const bool wanted = b->logits == WTE_LOGITS_ALL || (b->logits == WTE_LOGITS_LAST && last);

        *n_sequences += last;
        if (logit_rows)
            logit_rows[i] = wanted ? (uint32_t)n : UINT32_MAX;
        n += wanted;
    }
    return n;
}

/* Give GPT-2's new tokens their cells and positions. */
static void append(wte_session *s, const wte_batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        wte__sequence *q = &s->sequences[sequence_of(b, i)];
        const uint32_t cell = wte__take_cell(s, q);

        s->cell_positions[cell] = b->positions ? b->positions[i]
                                  : q->length  ? s->cell_positions[q->cells[q->length - 1]] + 1
                                               : 0;
        q->cells[q->length++] = cell;
    }
}

/* Describe rows from..end, all of one sequence, as the next rows of the pass. */
static void add_rows(wte_session *s, const wte_batch *b, size_t from, size_t end, size_t before,
                     bool padded)
{
    wte__pass *pass = &s->pass;
    const wte__sequence *q = &s->sequences[sequence_of(b, from)];

    for (size_t i = from; i < end; i++) {
        wte__row *row = &pass->rows[pass->n];

        *row = (wte__row){.id = b->ids[i], .type = b->types ? b->types[i] : 0};
        if (wte__is_bert(s)) {
            row->position = b->positions ? b->positions[i] : (uint32_t)(i - from);
            row->keys = s->iota + (pass->n - (i - from));
            row->n_keys = (uint32_t)(end - from);
            row->visible = padded ? s->visible + from : NULL;
            pass->cells[pass->n] = (uint32_t)pass->n;
            if (i == from)
                pass->first_rows[pass->n_firsts++] = (uint32_t)pass->n;
        } else {
            row->keys = q->cells;
            row->n_keys = (uint32_t)(before + (i - from) + 1);
            pass->cells[pass->n] = q->cells[row->n_keys - 1];
            row->position = s->cell_positions[pass->cells[pass->n]];
        }
        if (s->logit_rows[i] != UINT32_MAX)
            pass->logit_rows[pass->n_logits++] = (uint32_t)pass->n;
        pass->n++;
    }
}

/* Whether one of the tokens is padding. */
static bool is_padded(const wte_batch *b, size_t from, size_t end)
{
    for (size_t i = from; b->masked && i < end; i++)
        if (b->masked[i])
            return true;
    return false;
}

/* Run the passes of a batch whose tokens have their cells. */
static wte_status run_passes(wte_session *s, const wte_batch *b, wte_error *err)
{
    wte__pass *pass = &s->pass;
    size_t row = 0, before = 0; /* the sequence's tokens before the row */
    bool fresh = true;          /* the row begins its sequence */

    pass->first = pass->n = pass->n_logits = pass->n_firsts = 0;
    pass->logits_before = pass->firsts_before = 0;
    while (row < b->n) {
        size_t end = end_of_sequence(b, row), room = s->max_rows - pass->n;
        const wte__sequence *q = &s->sequences[sequence_of(b, row)];

        if (fresh)
            before = q->length - (wte__is_bert(s) ? q->length : q->n_new);
        if (end - row > room && !wte__is_bert(s))
            end = row + room;
        if (end - row <= room) {
            add_rows(s, b, row, end, before, is_padded(b, row, end));
            before += end - row;
            row = end;
            fresh = row == b->n || sequence_of(b, row) != sequence_of(b, row - 1);
            if (row < b->n && pass->n < s->max_rows)
                continue;
        }
        wte_status status = wte__forward(s, err);
        if (status)
            return status;
        pass->first += pass->n;
        pass->logits_before += pass->n_logits;
        pass->firsts_before += pass->n_firsts;
        pass->n = pass->n_logits = pass->n_firsts = 0;
    }
    return WTE_OK;
}

wte_status wte_session_run(wte_session *s, const wte_batch *b, wte_error *err)
{
    size_t n_logits = 0, n_sequences, n_keys = 0;
    bool appended = false;
    wte_status status;

    s->n_rows = s->n_logit_rows = 0;
    for (size_t i = 0; i < s->n_taps; i++)
        s->taps[i].filled = false;
    status = check_batch(s, b, err);
    if (status)
        goto end;
    n_logits = number_logits(b, NULL, &n_sequences);
    if (!wte__take_results(s, b->n, n_logits)) {
        status =
            wte__fail(err, WTE_E_NOMEM, "no memory for %zu rows of hidden states and %zu of logits",
                      b->n, n_logits);
        goto end;
    }
    number_logits(b, s->logit_rows, &n_sequences);
    if (n_sequences == 1)
        n_keys = b->n + (wte__is_bert(s) ? 0 : s->sequences[sequence_of(b, 0)].length);
    status = wte__taps_begin(s, b->n, n_logits, n_sequences, n_keys, err);
    if (status)
        goto end;
    for (size_t i = 0; b->masked && i < b->n; i++)
        s->visible[i] = !b->masked[i];
    if (!wte__is_bert(s))
        append(s, b);
    appended = true;
    status = run_passes(s, b, err);
end:
    for (size_t i = 0; i < b->n && appended; i++) {
        wte__sequence *q = &s->sequences[sequence_of(b, i)];

        if (status && !wte__is_bert(s))
            wte_session_truncate(s, sequence_of(b, i), q->length - q->n_new);
        else if (!status && wte__is_bert(s) && q->n_new)
            q->length = q->n_new;
        q->n_new = 0;
    }
    if (!appended)
        forget_new(s, b);
    if (status == WTE_E_CANCELLED)
        atomic_store(&s->cancelled, false);
    if (status)
        return status;
    s->n_rows = b->n;
    s->n_logit_rows = n_logits;
    wte__taps_end(s);
    return WTE_OK;
}
