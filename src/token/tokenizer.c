/* SPDX-License-Identifier: MIT */
/* tokenizer.c - what both families share: encoders, special tokens, threads, decoding
 *
 * Special tokens are found first, leftmost and of those that begin at one place the longest, and
 * the text between them goes to the family. They are few, and in most texts absent, so the search
 * jumps with memchr where all of them begin with the same byte ('<', '[').
 *
 * Several threads: the text is cut before an ASCII space that follows an ASCII character other than
 * white space and control, and precedes an ASCII letter; and, as there are texts without such
 * spaces, before the end of a line that follows a character other than white space. That cannot
 * change the result:
 *
 *   GPT-2  A pre-token begins at every such place: white space after something else does, unless
 *          ' ?' took a blank in, which is before it and not here. The pattern looks at nothing
 *          before a pre-token. What is before the cut ends in something that is not white space, so
 *          no alternative that matched there reaches across it or looks past it: only \s+(?!\S)
 *          looks ahead, and only after white space.
 *   BERT   Words end at white space, and normalisation composes nothing across it.
 *
 * A special token with white space in it, or that strips its surroundings, could reach across: then
 * there is one thread. Where a space is put before a text, only places that have one are cut.
 * Workers keep their ids to themselves and put them together at the end.
 */
#include "base/cache.h"
#include "token/compiled.h"
#include "token/load.h"
#include "token/unicode.h"

enum { COMPILE_MIN = 8192 }; /* tokens; smaller vocabularies open in a millisecond as they are */

/* ---- tokenizers ---------------------------------------------------------------------------- */

wte_status wte_tokenizer_open(const char *path, wte_tokenizer **out, wte_error *err)
{
    return wte__tokenizer_load(path, out, err);
}

/* The file of the cache folder for these sources, which is made if needed; NULL where there can be
 * none. */
static char *cache_file(const char *cache_dir, const char *canonical)
{
    char *folder = NULL, *file = NULL;

    if (wte__cache_folder(cache_dir, &folder, NULL) != WTE_OK)
        return NULL;
    file = wte__cache_path(folder, canonical, WTE__TOKENIZER_ENDING);
    wte__free(folder);
    return file;
}

/* Keep a tokenizer that took its time. What goes wrong here only makes the next open slower. */
static void keep(const char *file, const wte__sources *sources, const wte_tokenizer *t)
{
    char *folder;

    if (t->info.n_vocab < COMPILE_MIN || !(folder = wte__folder_of(file, false)))
        return;
    if (wte__mkdirs(folder, NULL) == WTE_OK &&
        wte__compiled_write(file, sources, t, NULL) == WTE_OK)
        wte__cache_sweep(folder);
    wte__free(folder);
}

wte_status wte_tokenizer_open_cached(const char *path, const char *cache_dir, wte_tokenizer **out,
                                     wte_error *err)
{
    wte__sources sources = {NULL, NULL, 0};
    wte_tokenizer *t = NULL;
    char *file = NULL;
    wte_status status = wte__sources_look(path, &sources, err);

    if (status != WTE_OK)
        return status;
    file = cache_file(cache_dir, sources.canonical);
    if (!file || wte__compiled_open(file, &sources, &t, NULL) != WTE_OK) {
        status = wte__tokenizer_load(path, &t, err);
        if (status == WTE_OK && file)
            keep(file, &sources, t);
    }
    wte__sources_free(&sources);
    wte__free(file);
    if (status == WTE_OK)
        *out = t;
    return status;
}

void wte_tokenizer_free(wte_tokenizer *t)
{
    if (!t)
        return;
    if (t->ops)
        t->ops->family_free(t->family);
    for (size_t i = 0; i < t->n_specials; i++)
        wte__free(t->specials[i].text);
    wte__free(t->specials);
    wte__vocab_free(&t->spelling);
    wte__vocab_free(&t->piece);
    wte__map_close(&t->compiled);
    wte__free(t);
}

const wte_tokenizer_info *wte_tokenizer_get_info(const wte_tokenizer *t)
{
    return &t->info;
}

static const char *string_of(const wte__vocab *v, uint32_t id, size_t *len)
{
    if (id >= v->n || !v->used[id])
        return NULL;
    *len = (size_t)(v->offsets[id + 1] - v->offsets[id]);
    return v->bytes + v->offsets[id];
}

const char *wte_tokenizer_piece(const wte_tokenizer *t, uint32_t id, size_t *len)
{
    return string_of(&t->piece, id, len);
}

const char *wte_tokenizer_spelling(const wte_tokenizer *t, uint32_t id, size_t *len)
{
    return string_of(&t->spelling, id, len);
}

wte_status wte_tokenizer_find(const wte_tokenizer *t, const char *piece, size_t len, uint32_t *id,
                              wte_error *err)
{
    uint32_t found = UINT32_MAX;
    wte_status status = wte__piece_find(t, piece, len, &found, err);

    if (status != WTE_OK)
        return status;
    if (found == UINT32_MAX)
        return wte__fail(err, WTE_E_NOTFOUND, "'%.*s' is not a token", len > 80 ? 80 : (int)len,
                         piece);
    *id = found;
    return WTE_OK;
}

int wte_tokenizer_is_special(const wte_tokenizer *t, uint32_t id)
{
    for (size_t i = 0; i < t->n_specials; i++)
        if (t->specials[i].id == id)
            return 1;
    return 0;
}

/* ---- encoders ------------------------------------------------------------------------------ */

wte_status wte_encoder_new(const wte_tokenizer *t, wte_encoder **out, wte_error *err)
{
    wte_encoder *e = wte__calloc(1, sizeof *e);
    wte_status status;

    if (!e)
        return wte__fail(err, WTE_E_NOMEM, "no memory for an encoder");
    e->tokenizer = t;
    status = t->ops->state_new(t, &e->state, err);
    if (status != WTE_OK) {
        wte__free(e);
        return status;
    }
    *out = e;
    return WTE_OK;
}

void wte_encoder_free(wte_encoder *e)
{
    if (!e)
        return;
    e->tokenizer->ops->state_free(e->state);
    wte__free(e->ids);
    wte__free(e->spans);
    wte__free(e);
}

bool wte__encoder_add(wte_encoder *e, uint32_t id, size_t begin, size_t end, unsigned flags)
{
    if (e->n == e->capacity && !wte__grow((void **)&e->ids, &e->capacity, e->n + 1, sizeof *e->ids))
        return false;
    if (flags & WTE_ENCODE_SPANS) {
        if (e->n >= e->span_capacity &&
            !wte__grow((void **)&e->spans, &e->span_capacity, e->n + 1, sizeof *e->spans))
            return false;
        e->spans[e->n] = (wte_span){begin, end};
    }
    e->ids[e->n++] = id;
    return true;
}

/* ---- special tokens ------------------------------------------------------------------------ */

typedef struct match {
    const wte__special *special; /* NULL: none */
    size_t begin, end;
} match;

/* The white space character that ends at `end`, or 0. */
static size_t space_before(const char *text, size_t begin, size_t end)
{
    for (size_t n = 1; n <= 3 && n <= end - begin; n++) {
        uint32_t code;

        if (wte__utf8_decode(text + end - n, n, &code) == n)
            return wte__unicode_class(code) & WTE__CLASS_SPACE ? n : 0;
    }
    return 0;
}

static size_t space_after(const char *text, size_t begin, size_t end)
{
    uint32_t code;
    size_t n = wte__utf8_decode(text + begin, end - begin, &code);

    return n && wte__unicode_class(code) & WTE__CLASS_SPACE ? n : 0;
}

static bool is_word_character(uint32_t code)
{
    return code == '_' || wte__unicode_class(code) &
                              (WTE__CLASS_LETTER | WTE__CLASS_NUMBER | WTE__CLASS_MARK_NONSPACING);
}

/* True where neither neighbour of text[begin .. end) is a word character. */
static bool stands_alone(const char *text, size_t from, size_t begin, size_t end, size_t len)
{
    uint32_t code;

    if (wte__utf8_decode(text + end, len - end, &code) && is_word_character(code))
        return false;
    for (size_t n = 1; n <= 4 && n <= begin - from; n++)
        if (wte__utf8_decode(text + begin - n, n, &code) == n)
            return !is_word_character(code);
    return true;
}

/* The longest special token at a place. */
static const wte__special *special_at(const wte_tokenizer *t, const char *text, size_t from,
                                      size_t at, size_t len)
{
    const wte__special *best = NULL;

    for (size_t i = 0; i < t->n_specials; i++) {
        const wte__special *s = &t->specials[i];

        if (s->len <= len - at && (!best || s->len > best->len) &&
            memcmp(s->text, text + at, s->len) == 0 &&
            (!s->single_word || stands_alone(text, from, at, at + s->len, len)))
            best = s;
    }
    return best;
}

/* The next special token in text[at .. len). Nothing before `from` belongs to it. */
static match next_special(const wte_tokenizer *t, const char *text, size_t at, size_t len)
{
    const size_t from = at;
    match m = {NULL, len, len};
    bool one_byte = t->n_specials > 0;

    for (size_t i = 1; i < t->n_specials; i++)
        one_byte = one_byte && t->specials[i].text[0] == t->specials[0].text[0];
    for (; t->n_specials && at < len; at++) {
        if (one_byte) {
            const char *p = memchr(text + at, t->specials[0].text[0], len - at);

            if (!p)
                break;
            at = (size_t)(p - text);
        }
        m.special = special_at(t, text, from, at, len);
        if (!m.special)
            continue;
        m.begin = at;
        m.end = at + m.special->len;
        for (size_t n; m.special->lstrip && (n = space_before(text, from, m.begin)) != 0;)
            m.begin -= n;
        for (size_t n; m.special->rstrip && (n = space_after(text, m.end, len)) != 0;)
            m.end += n;
        break;
    }
    return m;
}

static wte_status no_memory(wte_error *err)
{
    return wte__fail(err, WTE_E_NOMEM, "no memory for the ids of a text");
}

static bool is_ascii_letter(char c)
{
    return (unsigned char)((c | 0x20) - 'a') < 26;
}

/* True where a character that is not white space ends at `end`. */
static bool visible_before(const char *text, size_t end)
{
    if ((unsigned char)text[end - 1] < 0x80)
        return text[end - 1] > ' ' && text[end - 1] < 0x7F;
    for (size_t n = 2; n <= 4 && n <= end; n++) {
        uint32_t code;

        if (wte__utf8_decode(text + end - n, n, &code) == n)
            return !(wte__unicode_class(code) & WTE__CLASS_SPACE);
    }
    return false;
}

/* The first place from `at` on where a text may be cut, or len. */
static size_t find_cut(const char *text, size_t at, size_t len, bool at_lines)
{
    for (; at && at + 1 < len; at++) {
        if (text[at] == ' ' && text[at - 1] > ' ' && text[at - 1] < 0x7F &&
            is_ascii_letter(text[at + 1]))
            return at;
        if (at_lines && text[at] == '\n' && visible_before(text, at))
            return at;
    }
    return len;
}

/* Append the ids of text[begin .. end), which has no special tokens. */
static wte_status encode_plain(wte_encoder *e, const char *text, size_t begin, size_t end,
                               unsigned flags, wte_explain_fn fn, void *data, wte_error *err)
{
    const wte__family_ops *ops = e->tokenizer->ops;

    if (begin == end)
        return WTE_OK;
    return fn ? ops->explain(e, text, begin, end, fn, data, err)
              : ops->encode(e, text, begin, end, flags, err);
}

/* The same, with a space put before it where add_prefix_space asks for one. Only what is before the
 * first safe cut is copied for that. */
static wte_status encode_stretch(wte_encoder *e, const char *text, size_t begin, size_t end,
                                 unsigned flags, wte_explain_fn fn, void *data, wte_error *err)
{
    size_t first = e->n, cut;
    char *head;
    wte_status status;

    if (!e->tokenizer->info.add_prefix_space || text[begin] == ' ')
        return encode_plain(e, text, begin, end, flags, fn, data, err);
    cut = find_cut(text, begin + 1, end, true);
    head = wte__calloc(cut - begin + 1, 1);
    if (!head)
        return no_memory(err);
    head[0] = ' ';
    memcpy(head + 1, text + begin, cut - begin);
    status = encode_plain(e, head, 0, cut - begin + 1, flags, fn, data, err);
    wte__free(head);
    for (size_t i = first; i < e->n && (flags & WTE_ENCODE_SPANS); i++) {
        wte_span *s = &e->spans[i];

        s->begin = begin + (s->begin ? s->begin - 1 : 0);
        s->end = begin + (s->end ? s->end - 1 : 0);
    }
    return status == WTE_OK ? encode_plain(e, text, cut, end, flags, fn, data, err) : status;
}

/* Append the ids of text[begin .. end), special tokens included if flags say so. With fn, step by
 * step. */
static wte_status encode_range(wte_encoder *e, const char *text, size_t begin, size_t end,
                               unsigned flags, wte_explain_fn fn, void *data, wte_error *err)
{
    const wte_tokenizer *t = e->tokenizer;
    wte_status status = WTE_OK;

    while (begin < end && status == WTE_OK) {
        match m = {NULL, end, end};

        if (flags & WTE_ENCODE_SPECIAL)
            m = next_special(t, text, begin, end);
        if (m.begin > begin)
            status = encode_stretch(e, text, begin, m.begin, flags, fn, data, err);
        if (status == WTE_OK && m.special) {
            wte_explain_step step = {.kind = WTE_EXPLAIN_SPECIAL,
                                     .text = m.special->text,
                                     .len = m.special->len,
                                     .id = m.special->id};

            if (!wte__encoder_add(e, m.special->id, m.begin, m.end, flags))
                status = no_memory(err);
            else if (fn)
                fn(data, &step);
        }
        begin = m.end;
    }
    return status;
}

/* Append a token that stands round the text, if the family has it. */
static wte_status add_round(wte_encoder *e, int64_t id, size_t at, unsigned flags,
                            wte_explain_fn fn, void *data, wte_error *err)
{
    wte_explain_step step = {.kind = WTE_EXPLAIN_SPECIAL};

    if (!(flags & WTE_ENCODE_SPECIAL) || e->tokenizer->info.kind != WTE_TOKENIZER_BERT || id < 0)
        return WTE_OK;
    if (!wte__encoder_add(e, (uint32_t)id, at, at, flags))
        return no_memory(err);
    step.id = (uint32_t)id;
    step.text = wte_tokenizer_spelling(e->tokenizer, step.id, &step.len);
    if (fn && step.text)
        fn(data, &step);
    return WTE_OK;
}

static wte_status check_length(size_t len, wte_error *err)
{
    if (len >= UINT32_MAX) /* a space may be put before it */
        return wte__fail(err, WTE_E_RANGE, "a text of %zu bytes, expected less than 4 GiB", len);
    return WTE_OK;
}

static wte_status encode_all(wte_encoder *e, const char *text, size_t len, unsigned flags,
                             wte_explain_fn fn, void *data, wte_error *err)
{
    wte_status status = check_length(len, err);

    if (status != WTE_OK)
        return status;
    e->n = 0;
    status = add_round(e, e->tokenizer->info.cls, 0, flags, fn, data, err);
    if (status == WTE_OK)
        status = encode_range(e, text, 0, len, flags, fn, data, err);
    if (status == WTE_OK)
        status = add_round(e, e->tokenizer->info.sep, len, flags, fn, data, err);
    return status;
}

wte_status wte_encode(wte_encoder *e, const char *text, size_t len, unsigned flags,
                      wte_encoding *out, wte_error *err)
{
    wte_status status = encode_all(e, text, len, flags, NULL, NULL, err);

    if (status != WTE_OK)
        return status;
    out->ids = e->ids;
    out->spans = flags & WTE_ENCODE_SPANS ? e->spans : NULL;
    out->n = e->n;
    return WTE_OK;
}

wte_status wte_encode_explain(wte_encoder *e, const char *text, size_t len, unsigned flags,
                              wte_explain_fn fn, void *data, wte_error *err)
{
    return encode_all(e, text, len, flags & ~(unsigned)WTE_ENCODE_SPANS, fn, data, err);
}

/* ---- several threads ----------------------------------------------------------------------- */

enum { CUTS_PER_THREAD = 4, MIN_PART = 64 * 1024 };

typedef struct part {
    size_t begin, end;       /* of the text */
    unsigned worker;         /* whose ids it has */
    size_t first_id, end_id; /* among them */
    size_t at;               /* where they go among all */
    wte_status status;
} part;

typedef struct parallel {
    const wte_tokenizer *t;
    const char *text;
    unsigned flags;
    part *parts;
    wte_encoder **encoders; /* [threads], made by their workers */
    uint32_t *ids;          /* all */
} parallel;

static void encode_part(void *ctx, size_t block, unsigned worker)
{
    parallel *p = ctx;
    part *q = &p->parts[block];

    q->worker = worker;
    q->status = p->encoders[worker] ? WTE_OK : wte_encoder_new(p->t, &p->encoders[worker], NULL);
    if (q->status != WTE_OK)
        return;
    q->first_id = p->encoders[worker]->n;
    q->status =
        encode_range(p->encoders[worker], p->text, q->begin, q->end, p->flags, NULL, NULL, NULL);
    q->end_id = p->encoders[worker]->n;
}

static void copy_part(void *ctx, size_t block, unsigned worker)
{
    const parallel *p = ctx;
    const part *q = &p->parts[block];
    size_t count = q->end_id - q->first_id;
    (void)worker;

    if (count)
        memcpy(p->ids + q->at, p->encoders[q->worker]->ids + q->first_id, count * sizeof *p->ids);
}

static bool can_cut(const wte_tokenizer *t, unsigned flags)
{
    if (!(flags & WTE_ENCODE_SPECIAL))
        return true;
    for (size_t i = 0; i < t->n_specials; i++) {
        const wte__special *s = &t->specials[i];

        if (s->lstrip || s->rstrip || memchr(s->text, ' ', s->len) || memchr(s->text, '\n', s->len))
            return false;
    }
    return true;
}

wte_status wte_encode_parallel(const wte_tokenizer *t, const char *text, size_t len, unsigned flags,
                               unsigned n_threads, uint32_t **out_ids, size_t *out_n,
                               wte_error *err)
{
    size_t n_parts = 1, made = 0, n = 0;
    bool at_lines = !t->info.add_prefix_space;
    bool round = (flags & WTE_ENCODE_SPECIAL) && t->info.kind == WTE_TOKENIZER_BERT;
    parallel p = {.t = t, .text = text};
    uint32_t *ids = NULL;
    wte_status status = check_length(len, err);

    if (status != WTE_OK)
        return status;
    p.flags = flags & ~(unsigned)WTE_ENCODE_SPANS;
    n_threads = wte__threads(n_threads, len / MIN_PART + 1);
    if (n_threads > 1 && can_cut(t, flags))
        n_parts = (size_t)n_threads * CUTS_PER_THREAD;
    p.parts = wte__calloc(n_parts, sizeof *p.parts);
    p.encoders = wte__calloc(n_threads, sizeof(wte_encoder *));
    if (!p.parts || !p.encoders) {
        status = no_memory(err);
        goto cleanup;
    }
    for (size_t i = 0, at = 0; i < n_parts && (at < len || i == 0); i++) {
        size_t wanted = len / n_parts * (i + 1);

        p.parts[i].begin = at;
        at = i + 1 == n_parts ? len : find_cut(text, wanted > at ? wanted : at + 1, len, at_lines);
        p.parts[i].end = at > len ? len : at;
        made++;
    }
    wte__parallel(made, n_threads, encode_part, &p);
    n = round && t->info.cls >= 0;
    for (size_t i = 0; i < made; i++) {
        if (p.parts[i].status != WTE_OK) {
            status = no_memory(err);
            goto cleanup;
        }
        p.parts[i].at = n;
        n += p.parts[i].end_id - p.parts[i].first_id;
    }
    if (made == 1 && !round && n) { /* they are where they should be */
        ids = p.encoders[p.parts[0].worker]->ids;
        p.encoders[p.parts[0].worker]->ids = NULL;
    } else {
        ids = wte__alloc_aligned(n + 1, sizeof *ids);
        if (!ids) {
            status = no_memory(err);
            goto cleanup;
        }
        p.ids = ids;
        wte__parallel(made, n_threads, copy_part, &p);
        if (round && t->info.cls >= 0)
            ids[0] = (uint32_t)t->info.cls;
        if (round && t->info.sep >= 0)
            ids[n++] = (uint32_t)t->info.sep;
    }
    *out_ids = ids;
    *out_n = n;
cleanup:
    for (unsigned i = 0; p.encoders && i < n_threads; i++)
        wte_encoder_free(p.encoders[i]);
    wte__free(p.encoders);
    wte__free(p.parts);
    return status;
}

void wte_ids_free(uint32_t *ids)
{
    wte__free(ids);
}

/* ---- decoding ------------------------------------------------------------------------------ */

/* Replace ill-formed bytes. False if there is no memory. */
static bool replace_bad(char **text, size_t *len)
{
    char *good = NULL;
    size_t n = 0, capacity = 0;

    if (wte__utf8_valid(*text, *len))
        return true;
    for (size_t i = 0; i < *len;) {
        uint32_t code;
        size_t length = wte__utf8_decode(*text + i, *len - i, &code);

        if (!wte__grow((void **)&good, &capacity, n + 5, 1)) {
            wte__free(good);
            return false;
        }
        memcpy(good + n, length ? *text + i : "\xEF\xBF\xBD", length ? length : 3);
        n += length ? length : 3;
        i += length ? length : wte__utf8_bad_length(*text + i, *len - i);
    }
    wte__free(*text);
    *text = good;
    *len = n;
    return true;
}

wte_status wte__bad_id(const wte_tokenizer *t, const uint32_t *ids, size_t n, size_t i,
                       wte_error *err)
{
    return wte__fail_at(err, WTE_E_RANGE, i,
                        "token %zu of %zu is %u, which is no id of this vocabulary (0 to %u)",
                        i + 1, n, ids[i], t->piece.n ? t->piece.n - 1 : 0);
}

/* The ids that are to be decoded, where some are left out. */
static wte_status leave_out_special(const wte_tokenizer *t, const uint32_t *ids, size_t *n,
                                    uint32_t **kept, wte_error *err)
{
    size_t n_kept = 0;
    uint32_t *k = wte__calloc(*n, sizeof *k);

    if (!k)
        return wte__fail(err, WTE_E_NOMEM, "no memory for %zu ids", *n);
    for (size_t i = 0; i < *n; i++) {
        if (ids[i] >= t->piece.n || !t->piece.used[ids[i]]) {
            wte__free(k);
            return wte__bad_id(t, ids, *n, i, err);
        }
        if (!wte_tokenizer_is_special(t, ids[i]))
            k[n_kept++] = ids[i];
    }
    *n = n_kept;
    *kept = k;
    return WTE_OK;
}

wte_status wte_decode(const wte_tokenizer *t, const uint32_t *ids, size_t n, unsigned flags,
                      char **out, size_t *out_len, wte_error *err)
{
    uint32_t *kept = NULL;
    char *text = NULL;
    size_t len = 0, capacity = 0;
    wte_status status = WTE_OK;

    if (flags & WTE_DECODE_SKIP_SPECIAL) {
        status = leave_out_special(t, ids, &n, &kept, err);
        if (status != WTE_OK)
            goto cleanup;
    }
    status = t->ops->decode(t, kept ? kept : ids, n, flags, &text, &len, &capacity, err);
    if (status != WTE_OK)
        goto cleanup;
    if (((flags & WTE_DECODE_REPLACE) && !replace_bad(&text, &len)) ||
        !wte__grow((void **)&text, &capacity, len + 1, 1)) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for the text of %zu tokens", n);
        goto cleanup;
    }
    text[len] = '\0';
    *out = text;
    *out_len = len;
    text = NULL;
cleanup:
    wte__free(text);
    wte__free(kept);
    return status;
}

void wte_text_free(char *text)
{
    wte__free(text);
}
