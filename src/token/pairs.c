/* SPDX-License-Identifier: MIT */
/* pairs.c - pieces with their ids, as a file has them, before they become a vocabulary
 *
 * Most files list the pieces by ascending id without holes; then the list is the vocabulary as it
 * is. Else it is put in order. Ids may be missing, but not more than a few (room for them is made):
 * a file of some bytes must not ask for gigabytes. Equal pieces and equal ids are refused. */
#include "token/pairs.h"

enum {
    HOLES_MAX = 65536, /* missing ids, beyond as many as there are pieces */
    ADDED_MAX = 4096   /* added tokens; each is looked for in every text */
};

void wte__pairs_free(wte__pairs *p)
{
    wte__free(p->bytes);
    wte__free(p->offsets);
    wte__free(p->ids);
}

const char *wte__pair_text(const wte__pairs *p, size_t i, size_t *len)
{
    *len = (size_t)(p->offsets[i + 1] - p->offsets[i]);
    return p->bytes + p->offsets[i];
}

/* Room for one more piece of len bytes. */
static inline bool make_room(wte__pairs *p, size_t len)
{
    return wte__grow((void **)&p->bytes, &p->bytes_capacity, p->n_bytes + len, 1) &&
           wte__grow((void **)&p->offsets, &p->offsets_capacity, p->n + 2, sizeof *p->offsets) &&
           wte__grow((void **)&p->ids, &p->ids_capacity, p->n + 1, sizeof *p->ids);
}

/* Add the piece of len bytes that was put into the room. */
static inline void take(wte__pairs *p, size_t len, uint32_t id)
{
    p->out_of_order |= id != p->n;
    p->offsets[p->n] = p->n_bytes;
    p->n_bytes += len;
    p->offsets[p->n + 1] = p->n_bytes;
    p->ids[p->n++] = id;
    if (id > p->max_id)
        p->max_id = id;
}

static wte_status no_room(const char *name, wte_error *err)
{
    return wte__fail(err, WTE_E_NOMEM, "no memory for %s", name);
}

wte_status wte__pairs_add(wte__pairs *p, const char *text, size_t len, uint32_t id,
                          const char *name, wte_error *err)
{
    if (!make_room(p, len))
        return no_room(name, err);
    if (len)
        memcpy(p->bytes + p->n_bytes, text, len);
    take(p, len, id);
    return WTE_OK;
}

/* The place of a piece with its id, or p->n. */
static size_t place_of(const wte__pairs *p, const char *text, size_t len, uint32_t id)
{
    size_t first = p->out_of_order ? 0 : id, stop = p->out_of_order ? p->n : (size_t)id + 1;

    for (size_t i = first; i < stop && i < p->n; i++) {
        size_t there_len;
        const char *there = wte__pair_text(p, i, &there_len);

        if (p->ids[i] == id && there_len == len && memcmp(there, text, len) == 0)
            return i;
    }
    return p->n;
}

wte_status wte__pairs_add_new(wte__pairs *p, const char *text, size_t len, uint32_t id,
                              const char *name, wte_error *err)
{
    return place_of(p, text, len, id) < p->n ? WTE_OK : wte__pairs_add(p, text, len, id, name, err);
}

wte_status wte__pairs_read(wte__json *j, wte__pairs *p)
{
    wte_status status = wte__json_expect(j, '{');
    bool first = true, more = true;

    while (status == WTE_OK) {
        size_t len;
        uint32_t id;

        status = wte__json_next(j, '}', &first, &more);
        if (status != WTE_OK || !more)
            return status;
        if (!make_room(p, WTE__JSON_PLAIN))
            return no_room(j->name, j->err);
        if (wte__json_plain_entry(j, p->bytes + p->n_bytes, &len, &id)) {
            take(p, len, id);
            continue;
        }
        status = wte__json_key(j);
        if (status != WTE_OK)
            return status;
        if (!make_room(p, j->string_len))
            return no_room(j->name, j->err);
        memcpy(p->bytes + p->n_bytes, j->string, j->string_len);
        len = j->string_len;
        status = wte__json_uint(j, &id);
        if (status == WTE_OK)
            take(p, len, id);
    }
    return status;
}

/* ---- added tokens ------------------------------------------------------------------------- */

void wte__added_free(wte__added *added)
{
    wte__pairs_free(&added->tokens);
    wte__free(added->flags);
}

wte_status wte__added_put(wte__added *added, const char *text, size_t len, uint32_t id,
                          unsigned flags, const char *name, wte_error *err)
{
    wte__pairs *p = &added->tokens;
    size_t at;
    wte_status status = WTE_OK;

    if (len == 0)
        return wte__fail(err, WTE_E_FORMAT, "%s: added token %u is empty", name, id);
    at = place_of(p, text, len, id);
    if (at == ADDED_MAX)
        return wte__fail(err, WTE_E_FORMAT, "%s: more than %d added tokens", name, ADDED_MAX);
    if (at == p->n) {
        if (!wte__grow((void **)&added->flags, &added->flags_capacity, at + 1,
                       sizeof *added->flags))
            return no_room(name, err);
        status = wte__pairs_add(p, text, len, id, name, err);
    }
    if (status == WTE_OK)
        added->flags[at] = (uint8_t)flags;
    return status;
}

static wte_status make_special(wte__builder *b, const wte__added *added, wte_error *err)
{
    wte_status status = WTE_OK;

    for (size_t i = 0; i < added->tokens.n && status == WTE_OK; i++) {
        size_t len;
        const char *text = wte__pair_text(&added->tokens, i, &len);
        unsigned f = added->flags[i];

        status = wte__builder_special(b, text, len, added->tokens.ids[i], !!(f & WTE__ADDED_LSTRIP),
                                      !!(f & WTE__ADDED_RSTRIP), !!(f & WTE__ADDED_WORD),
                                      !!(f & WTE__ADDED_NORMAL), err);
    }
    return status;
}

/* ---- to a vocabulary ---------------------------------------------------------------------- */

/* Two pieces have one id. */
static wte_status same_id(const wte__pairs *p, size_t a, size_t b, const char *name, wte_error *err)
{
    size_t a_len, b_len;
    const char *a_text = wte__pair_text(p, a, &a_len), *b_text = wte__pair_text(p, b, &b_len);

    return wte__fail(err, WTE_E_FORMAT, "%s: '%.*s' and '%.*s' both have id %u", name,
                     a_len > 80 ? 80 : (int)a_len, a_text, b_len > 80 ? 80 : (int)b_len, b_text,
                     p->ids[a]);
}

/* Begin a builder with pieces that are out of order. */
static wte_status begin_in_order(wte__builder *b, wte_tokenizer_kind kind, const char *name,
                                 const char *source, const wte__pairs *p, wte_error *err)
{
    uint64_t *offsets = NULL;
    uint32_t *order = NULL;
    uint8_t *used = NULL;
    char *bytes = NULL;
    size_t n = (size_t)p->max_id + 1, at = 0;
    wte_status status;

    if (n > 2 * p->n + HOLES_MAX)
        return wte__fail(err, WTE_E_FORMAT, "%s: %zu tokens with ids up to %u leave too many holes",
                         name, p->n, p->max_id);
    offsets = wte__calloc(n + 1, sizeof *offsets);
    order = wte__calloc(n, sizeof *order);
    used = wte__calloc(n, 1);
    bytes = wte__calloc(p->n_bytes, 1);
    if (!offsets || !order || !used || !bytes) {
        status = no_room(name, err);
        goto cleanup;
    }
    for (size_t i = 0; i < p->n; i++) {
        uint32_t id = p->ids[i];

        if (used[id]) {
            status = same_id(p, order[id], i, name, err);
            goto cleanup;
        }
        used[id] = 1;
        order[id] = (uint32_t)i;
    }
    for (size_t id = 0; id < n; id++) {
        offsets[id] = at;
        if (used[id]) {
            size_t len;
            const char *text = wte__pair_text(p, order[id], &len);

            memcpy(bytes + at, text, len);
            at += len;
        }
    }
    offsets[n] = at;
    status = wte__builder_begin(b, kind, name, source, bytes, offsets, used, (uint32_t)n, err);
cleanup:
    wte__free(offsets);
    wte__free(order);
    wte__free(used);
    wte__free(bytes);
    return status;
}

wte_status wte__builder_begin_pairs(wte__builder *b, wte_tokenizer_kind kind, const char *name,
                                    const char *source, wte__pairs *p, const wte__added *added,
                                    wte_error *err)
{
    wte_status status = WTE_OK;

    for (size_t i = 0; i < added->tokens.n && status == WTE_OK; i++) {
        size_t len;
        const char *text = wte__pair_text(&added->tokens, i, &len);

        status = wte__pairs_add_new(p, text, len, added->tokens.ids[i], name, err);
    }
    if (status == WTE_OK && p->n == 0)
        status = wte__fail(err, WTE_E_FORMAT, "%s: no tokens", name);
    if (status == WTE_OK)
        status = p->out_of_order ? begin_in_order(b, kind, name, source, p, err)
                                 : wte__builder_begin(b, kind, name, source, p->bytes, p->offsets,
                                                      NULL, (uint32_t)p->n, err);
    return status == WTE_OK ? make_special(b, added, err) : status;
}
