/* SPDX-License-Identifier: MIT */
/* load.c - tokenizers from the files that lie beside a checkpoint
 *
 *   vocab.json             {"piece": id, ...} as GPT-2 spells pieces: each byte is one printable
 *                          character (a space is U+0120), so that JSON can hold any bytes
 *   merges.txt             "#version" line, then "left right", the best merge first
 *   vocab.txt              BERT: one piece a line, the line number is the id
 *   tokenizer.json         both families: model (vocab, merges), added_tokens, normalizer
 *   tokenizer_config.json  options, and which tokens are special
 *
 * A folder may hold several of them: vocab.json + merges.txt, then vocab.txt, then tokenizer.json
 * is read, as the first two are what the original programs wrote. Of tokenizer.json only the two
 * families as they are published are understood; anything else that would change ids is refused.
 *
 * In a vocabulary ids may be missing, but not more than a few (room for them is made): a file of
 * some bytes must not ask for gigabytes. Equal pieces and equal ids are refused.
 *
 * The byte alphabet: bytes 33-126, 161-172 and 174-255 are the characters of the same number, the
 * 68 others are U+0100 and on, in order. A piece with a character that is none of these (an added
 * token) stands for its own UTF-8 bytes. */
#include "token/load.h"
#include <errno.h>
#include <jansson.h>
#include <sys/stat.h>
#include "token/json.h"

enum {
    HOLES_MAX = 65536, /* missing ids, beyond as many as there are pieces */
    CONFIG_MAX = 16 * 1024 * 1024,
    ADDED_MAX = 4096, /* added tokens; each is looked for in every text */
    N_ALPHABET = 0x144
};

/* ---- the byte alphabet --------------------------------------------------------------------- */

static bool is_printable(unsigned b)
{
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
}

/* [N_ALPHABET] the byte of each character, -1 for none. */
static void fill_alphabet(int16_t *bytes)
{
    unsigned next = 256;

    memset(bytes, 0xFF, N_ALPHABET * sizeof *bytes);
    for (unsigned b = 0; b < 256; b++)
        bytes[is_printable(b) ? b : next++] = (int16_t)b;
}

/* Spell a piece in bytes; out has room for len. Returns the number of bytes. */
static size_t despell(const int16_t *alphabet, const char *s, size_t len, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < len;) {
        const unsigned char *p = (const unsigned char *)s + i;
        uint32_t code = p[0];
        size_t length = 1;

        if (code >= 0x80) {
            if (code < 0xC2 || code > 0xC5 || i + 1 == len)
                goto as_it_is;
            code = (code & 0x1F) << 6 | (p[1] & 0x3Fu);
            length = 2;
        }
        if (code >= N_ALPHABET || alphabet[code] < 0)
            goto as_it_is;
        out[n++] = (char)(unsigned char)alphabet[code];
        i += length;
    }
    return n;
as_it_is:
    memcpy(out, s, len);
    return len;
}

/* ---- the builder --------------------------------------------------------------------------- */

/* Make t->piece, the bytes of t->spelling. */
static wte_status make_pieces(wte_tokenizer *t, wte_error *err)
{
    const wte__vocab *v = &t->spelling;
    int16_t alphabet[N_ALPHABET];
    char *bytes = wte__calloc((size_t)v->offsets[v->n] + 1, 1);
    uint64_t *offsets = wte__calloc((size_t)v->n + 1, sizeof *offsets);
    size_t n = 0;
    wte_status status;

    if (!bytes || !offsets) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for a vocabulary");
        goto cleanup;
    }
    fill_alphabet(alphabet);
    for (uint32_t i = 0; i < v->n; i++) {
        offsets[i] = n;
        n += despell(alphabet, v->bytes + v->offsets[i],
                     (size_t)(v->offsets[i + 1] - v->offsets[i]), bytes + n);
    }
    offsets[v->n] = n;
    status = wte__vocab_make_unique(bytes, offsets, v->used, v->n, &t->piece, NULL, err);
cleanup:
    wte__free(bytes);
    wte__free(offsets);
    return status;
}

/* Spell bytes in the alphabet; out has room for 2 * len. */
static size_t spell(const char *s, size_t len, char *out)
{
    uint16_t characters[256], next = 256;
    size_t n = 0;

    for (unsigned b = 0; b < 256; b++)
        characters[b] = is_printable(b) ? (uint16_t)b : next++;
    for (size_t i = 0; i < len; i++) {
        unsigned code = characters[(unsigned char)s[i]];

        if (code >= 0x80)
            out[n++] = (char)(0xC0 | code >> 6);
        out[n++] = (char)(code < 0x80 ? code : 0x80 | (code & 0x3F));
    }
    return n;
}

/* Its spelling leads to it: that in the alphabet, or the bytes as they are. */
wte_status wte__piece_find(const wte_tokenizer *t, const char *piece, size_t len, uint32_t *id,
                           wte_error *err)
{
    const wte__vocab *v = &t->piece;
    char *spelling = NULL;
    uint32_t found[2] = {UINT32_MAX, UINT32_MAX};

    *id = UINT32_MAX;
    if (t->info.kind == WTE_TOKENIZER_GPT2) {
        spelling = wte__calloc(len, 2);
        if (!spelling)
            return wte__fail(err, WTE_E_NOMEM, "no memory for a token of %zu bytes", len);
        found[0] = wte__vocab_find(&t->spelling, spelling, spell(piece, len, spelling));
        wte__free(spelling);
    }
    found[1] = wte__vocab_find(&t->spelling, piece, len);
    for (int i = 0; i < 2 && *id == UINT32_MAX; i++)
        if (found[i] != UINT32_MAX && v->offsets[found[i] + 1] - v->offsets[found[i]] == len &&
            memcmp(v->bytes + v->offsets[found[i]], piece, len) == 0)
            *id = found[i];
    return WTE_OK;
}

wte_status wte__builder_begin(wte__builder *b, wte_tokenizer_kind kind, const char *name,
                              const char *source, const char *strings, const uint64_t *offsets,
                              const uint8_t *used, uint32_t n, wte_error *err)
{
    uint32_t pair[2];
    wte_status status;
    wte_tokenizer *t;

    memset(b, 0, sizeof *b);
    b->name = name;
    b->t = t = wte__calloc(1, sizeof *t);
    if (!t)
        return wte__fail(err, WTE_E_NOMEM, "no memory for a tokenizer");
    t->info.kind = kind;
    t->info.source = source;
    t->info.n_vocab = n;
    t->info.do_lower_case = t->info.strip_accents = t->info.tokenize_chinese_chars =
        kind == WTE_TOKENIZER_BERT;
    t->info.unk = t->info.cls = t->info.sep = t->info.pad = t->info.mask = t->info.bos =
        t->info.eos = -1;
    if (n == 0)
        return wte__fail(err, WTE_E_FORMAT, "%s: no tokens", name);
    status = wte__vocab_make_unique(strings, offsets, used, n, &t->spelling, pair, err);
    if (status != WTE_OK)
        return status;
    if (pair[0] != pair[1]) {
        size_t len = (size_t)(t->spelling.offsets[pair[0] + 1] - t->spelling.offsets[pair[0]]);

        return wte__fail(err, WTE_E_FORMAT, "%s: '%.*s' is there twice, with ids %u and %u", name,
                         len > 80 ? 80 : (int)len, t->spelling.bytes + t->spelling.offsets[pair[0]],
                         pair[0], pair[1]);
    }
    if (kind == WTE_TOKENIZER_BERT)
        return wte__vocab_make(strings, offsets, used, n, &t->piece, err);
    return make_pieces(t, err);
}

/* The id of a spelling whose search has begun, or a failure that names it. */
static wte_status find_part(const wte__builder *b, const char *s, size_t len, uint64_t hash,
                            size_t where, const char *what, uint32_t *id, wte_error *err)
{
    *id = wte__vocab_find_end(&b->t->spelling, s, len, hash);
    if (*id == UINT32_MAX)
        return wte__fail(err, WTE_E_FORMAT, "%s: merge %zu: %s '%.*s' is not in the vocabulary",
                         b->name, where, what, len > 80 ? 80 : (int)len, s);
    return WTE_OK;
}

/* A merge whose pieces are being searched. */
typedef struct waiting {
    const char *left, *right;
    size_t left_len, right_len, where;
    uint64_t left_hash, right_hash;
} waiting;

static void search(const wte__builder *b, waiting *w)
{
    w->left_hash = wte__vocab_find_begin(&b->t->spelling, w->left, w->left_len);
    w->right_hash = wte__vocab_find_begin(&b->t->spelling, w->right, w->right_len);
}

static wte_status add_found(wte__builder *b, const waiting *w, wte_error *err)
{
    const wte__vocab *v = &b->t->spelling;
    const char *left = w->left, *right = w->right;
    size_t left_len = w->left_len, right_len = w->right_len, where = w->where;
    uint64_t guess = 256 + (uint64_t)b->n_merges;
    wte__merge m = {0, 0, UINT32_MAX};
    char small[256], *joined = small;
    wte_status status =
        find_part(b, left, left_len, w->left_hash, where, "the left piece", &m.left, err);

    if (status == WTE_OK)
        status =
            find_part(b, right, right_len, w->right_hash, where, "the right piece", &m.right, err);
    if (status != WTE_OK)
        return status;
    if (b->n_merges == b->merges_capacity &&
        !wte__grow((void **)&b->merges, &b->merges_capacity, b->n_merges + 1, sizeof *b->merges))
        return wte__fail(err, WTE_E_NOMEM, "no memory for the merges of %s", b->name);
    /* In the order of training, which is usual, merge r made token 256 + r. */
    if (guess < v->n && v->offsets[guess + 1] - v->offsets[guess] == left_len + right_len &&
        memcmp(v->bytes + v->offsets[guess], left, left_len) == 0 &&
        memcmp(v->bytes + v->offsets[guess] + left_len, right, right_len) == 0) {
        m.result = (uint32_t)guess;
    } else {
        if (left_len + right_len > sizeof small)
            joined = wte__calloc(left_len + right_len, 1);
        if (!joined)
            return wte__fail(err, WTE_E_NOMEM, "no memory for the merges of %s", b->name);
        memcpy(joined, left, left_len);
        memcpy(joined + left_len, right, right_len);
        status = find_part(b, joined, left_len + right_len, wte__hash(joined, left_len + right_len),
                           where, "the result", &m.result, err);
        if (joined != small)
            wte__free(joined);
        if (status != WTE_OK)
            return status;
    }
    b->merges[b->n_merges++] = m;
    return WTE_OK;
}

wte_status wte__builder_merge(wte__builder *b, const char *left, size_t left_len, const char *right,
                              size_t right_len, size_t where, wte_error *err)
{
    waiting w = {left, right, left_len, right_len, where, 0, 0};

    search(b, &w);
    return add_found(b, &w, err);
}

wte_status wte__builder_special(wte__builder *b, const char *text, size_t len, uint32_t id,
                                int lstrip, int rstrip, int single_word, int normalized,
                                wte_error *err)
{
    wte_tokenizer *t = b->t;
    wte__special s = {NULL, len, id, lstrip, rstrip, single_word, normalized};
    size_t i = 0;

    if (id >= t->spelling.n || !t->spelling.used[id])
        return wte__fail(err, WTE_E_FORMAT, "%s: special token '%.*s' has id %u, which is no token",
                         b->name, len > 80 ? 80 : (int)len, text, id);
    if (len == 0)
        return wte__fail(err, WTE_E_FORMAT, "%s: special token %u is empty", b->name, id);
    while (i < t->n_specials &&
           (t->specials[i].len != len || memcmp(t->specials[i].text, text, len)))
        i++;
    if (i < t->n_specials) {
        s.text = t->specials[i].text;
        t->specials[i] = s;
        return WTE_OK;
    }
    s.text = wte__strndup(text, len);
    if (!s.text || !wte__grow((void **)&t->specials, &b->specials_capacity, t->n_specials + 1,
                              sizeof *t->specials)) {
        wte__free(s.text);
        return wte__fail(err, WTE_E_NOMEM, "no memory for the special tokens of %s", b->name);
    }
    t->specials[t->n_specials++] = s;
    return WTE_OK;
}

/* A token's id by spelling, -1 if it is not there. */
static int64_t id_of(const wte_tokenizer *t, const char *text)
{
    uint32_t id = text ? wte__vocab_find(&t->spelling, text, strlen(text)) : UINT32_MAX;

    return id == UINT32_MAX ? -1 : (int64_t)id;
}

/* Where no file said which tokens have a role: the names that everybody uses. */
static wte_status usual_specials(wte__builder *b, wte_error *err)
{
    wte_tokenizer_info *info = &b->t->info;
    const struct {
        int64_t *id;
        const char *name;
        wte_tokenizer_kind kind;
    } usual[] = {{&info->unk, "[UNK]", WTE_TOKENIZER_BERT},
                 {&info->cls, "[CLS]", WTE_TOKENIZER_BERT},
                 {&info->sep, "[SEP]", WTE_TOKENIZER_BERT},
                 {&info->pad, "[PAD]", WTE_TOKENIZER_BERT},
                 {&info->mask, "[MASK]", WTE_TOKENIZER_BERT},
                 {&info->bos, "<|endoftext|>", WTE_TOKENIZER_GPT2},
                 {&info->eos, "<|endoftext|>", WTE_TOKENIZER_GPT2},
                 {&info->unk, "<|endoftext|>", WTE_TOKENIZER_GPT2}};
    wte_status status = WTE_OK;

    for (size_t i = 0; i < sizeof usual / sizeof *usual && status == WTE_OK; i++) {
        if (usual[i].kind != info->kind || *usual[i].id >= 0)
            continue;
        *usual[i].id = id_of(b->t, usual[i].name);
        if (*usual[i].id >= 0)
            status = wte__builder_special(b, usual[i].name, strlen(usual[i].name),
                                          (uint32_t)*usual[i].id, 0, 0, 0, 0, err);
    }
    return status;
}

wte_status wte__builder_end(wte__builder *b, wte_tokenizer **out, wte_error *err)
{
    wte_status status = usual_specials(b, err);
    wte_error inner = {0};

    if (status != WTE_OK)
        return status;
    b->t->info.n_special = (uint32_t)b->t->n_specials;
    status = b->t->info.kind == WTE_TOKENIZER_BERT
                 ? wte__bert_init(b->t, &inner)
                 : wte__gpt2_init(b->t, b->merges, (uint32_t)b->n_merges, &inner);
    if (status != WTE_OK)
        return wte__fail(err, status, "%s: %s", b->name, inner.message);
    *out = b->t;
    b->t = NULL;
    return WTE_OK;
}

void wte__builder_free(wte__builder *b)
{
    wte_tokenizer_free(b->t);
    b->t = NULL;
    wte__free(b->merges);
    b->merges = NULL;
}

/* ---- vocabularies in JSON ------------------------------------------------------------------ */

/* {"piece": id} as read, before it is put in order. */
typedef struct pairs {
    char *bytes;
    size_t n_bytes, bytes_capacity;
    uint64_t *ends;
    uint32_t *ids;
    size_t n, ends_capacity, ids_capacity;
    uint32_t max_id;
} pairs;

static void pairs_free(pairs *p)
{
    wte__free(p->bytes);
    wte__free(p->ends);
    wte__free(p->ids);
}

static wte_status read_pairs(wte__json *j, pairs *p)
{
    wte_status status = wte__json_expect(j, '{');
    bool first = true, more = true;

    while (status == WTE_OK) {
        uint32_t id;

        status = wte__json_next(j, '}', &first, &more);
        if (status != WTE_OK || !more)
            return status;
        status = wte__json_key(j);
        if (status != WTE_OK)
            return status;
        if (!wte__grow((void **)&p->bytes, &p->bytes_capacity, p->n_bytes + j->string_len, 1) ||
            !wte__grow((void **)&p->ends, &p->ends_capacity, p->n + 1, sizeof *p->ends) ||
            !wte__grow((void **)&p->ids, &p->ids_capacity, p->n + 1, sizeof *p->ids))
            return wte__fail(j->err, WTE_E_NOMEM, "no memory for %s", j->name);
        memcpy(p->bytes + p->n_bytes, j->string, j->string_len);
        p->n_bytes += j->string_len;
        status = wte__json_uint(j, &id);
        if (status != WTE_OK)
            return status;
        p->ends[p->n] = p->n_bytes;
        p->ids[p->n++] = id;
        if (id > p->max_id)
            p->max_id = id;
    }
    return status;
}

static size_t pair_begin(const pairs *p, size_t i)
{
    return i ? (size_t)p->ends[i - 1] : 0;
}

/* Put the pieces in the order of their ids and begin a builder with them. */
static wte_status begin_from_pairs(wte__builder *b, wte_tokenizer_kind kind, const char *name,
                                   const char *source, const pairs *p, wte_error *err)
{
    uint64_t *offsets = NULL;
    uint32_t *order = NULL;
    uint8_t *used = NULL;
    char *bytes = NULL;
    size_t n = (size_t)p->max_id + 1, at = 0;
    wte_status status;

    if (p->n == 0)
        return wte__fail(err, WTE_E_FORMAT, "%s: no tokens", name);
    if (n > 2 * p->n + HOLES_MAX)
        return wte__fail(err, WTE_E_FORMAT, "%s: %zu tokens with ids up to %u leave too many holes",
                         name, p->n, p->max_id);
    offsets = wte__calloc(n + 1, sizeof *offsets);
    order = wte__calloc(n, sizeof *order);
    used = wte__calloc(n, 1);
    bytes = wte__calloc(p->n_bytes, 1);
    if (!offsets || !order || !used || !bytes) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for %s", name);
        goto cleanup;
    }
    for (size_t i = 0; i < p->n; i++) {
        uint32_t id = p->ids[i];

        if (used[id]) {
            size_t a = order[id], a0 = pair_begin(p, a), i0 = pair_begin(p, i);
            size_t a_len = (size_t)p->ends[a] - a0, i_len = (size_t)p->ends[i] - i0;

            status = wte__fail(err, WTE_E_FORMAT, "%s: '%.*s' and '%.*s' both have id %u", name,
                               a_len > 80 ? 80 : (int)a_len, p->bytes + a0,
                               i_len > 80 ? 80 : (int)i_len, p->bytes + i0, id);
            goto cleanup;
        }
        used[id] = 1;
        order[id] = (uint32_t)i;
    }
    for (size_t id = 0; id < n; id++) {
        offsets[id] = at;
        if (used[id]) {
            size_t i = order[id], begin = pair_begin(p, i), len = (size_t)p->ends[i] - begin;

            memcpy(bytes + at, p->bytes + begin, len);
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

/* Put tokens that lie beside the vocabulary into it, unless they are there. */
static wte_status add_pair(pairs *p, const char *text, size_t len, uint32_t id, const char *name,
                           wte_error *err)
{
    for (size_t i = p->n; i-- > 0;)
        if (p->ids[i] == id) {
            size_t begin = pair_begin(p, i);

            if (p->ends[i] - begin == len && memcmp(p->bytes + begin, text, len) == 0)
                return WTE_OK;
        }
    if (!wte__grow((void **)&p->bytes, &p->bytes_capacity, p->n_bytes + len, 1) ||
        !wte__grow((void **)&p->ends, &p->ends_capacity, p->n + 1, sizeof *p->ends) ||
        !wte__grow((void **)&p->ids, &p->ids_capacity, p->n + 1, sizeof *p->ids))
        return wte__fail(err, WTE_E_NOMEM, "no memory for %s", name);
    memcpy(p->bytes + p->n_bytes, text, len);
    p->n_bytes += len;
    p->ends[p->n] = p->n_bytes;
    p->ids[p->n++] = id;
    if (id > p->max_id)
        p->max_id = id;
    return WTE_OK;
}

/* ---- merges.txt ---------------------------------------------------------------------------- */

/* Cut a line in two pieces. */
static bool split_line(const char *p, const char *stop, waiting *w)
{
    const char *space = memchr(p, ' ', (size_t)(stop - p));

    if (!space || space == p || space + 1 == stop ||
        memchr(space + 1, ' ', (size_t)(stop - space - 1)))
        return false;
    w->left = p;
    w->left_len = (size_t)(space - p);
    w->right = space + 1;
    w->right_len = (size_t)(stop - space - 1);
    return true;
}

static wte_status read_merges(wte__builder *b, const char *path, wte_error *err)
{
    enum { AHEAD = 16 };
    waiting queue[AHEAD];
    wte__map map = {0};
    wte_status status = wte__map_open(&map, path, err);
    const char *p, *end, *name = b->name;
    size_t line = 0, n = 0, done = 0;

    if (status != WTE_OK)
        return status;
    b->name = path;
    p = (const char *)map.data;
    end = p + map.size;
    for (; p < end && status == WTE_OK; line++) {
        const char *newline = memchr(p, '\n', (size_t)(end - p)), *stop = newline ? newline : end;
        const char *begin = p;

        p = newline ? newline + 1 : end;
        if (stop > begin && stop[-1] == '\r')
            stop--;
        if ((line == 0 && stop - begin >= 8 && memcmp(begin, "#version", 8) == 0) || stop == begin)
            continue;
        if (n - done == AHEAD)
            status = add_found(b, &queue[done++ % AHEAD], err);
        if (status != WTE_OK)
            break;
        if (!split_line(begin, stop, &queue[n % AHEAD])) {
            status = wte__fail_at(err, WTE_E_FORMAT, (uint64_t)(begin - (const char *)map.data),
                                  "%s: line %zu: expected two pieces with a space between", path,
                                  line + 1);
            break;
        }
        queue[n % AHEAD].where = n + 1;
        search(b, &queue[n++ % AHEAD]);
    }
    while (status == WTE_OK && done < n)
        status = add_found(b, &queue[done++ % AHEAD], err);
    b->name = name;
    wte__map_close(&map);
    return status;
}

/* ---- vocab.txt ----------------------------------------------------------------------------- */

static wte_status read_vocab_txt(wte__builder *b, const char *path, wte_error *err)
{
    wte__map map = {0};
    uint64_t *offsets = NULL;
    char *bytes = NULL;
    size_t capacity = 0, n = 0, at = 0;
    wte_status status = wte__map_open(&map, path, err);

    if (status != WTE_OK)
        return status;
    bytes = wte__calloc(map.size, 1);
    if (!bytes)
        goto no_memory;
    for (const char *p = (const char *)map.data, *end = p + map.size; p < end;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p)), *stop = newline ? newline : end;
        size_t len = (size_t)(stop - p);

        if (len && p[len - 1] == '\r')
            len--;
        if (!wte__utf8_valid(p, len)) {
            status = wte__fail_at(err, WTE_E_FORMAT, (uint64_t)(p - (const char *)map.data),
                                  "%s: line %zu: invalid UTF-8", path, n + 1);
            goto cleanup;
        }
        if (!wte__grow((void **)&offsets, &capacity, n + 2, sizeof *offsets))
            goto no_memory;
        offsets[n++] = at;
        memcpy(bytes + at, p, len);
        at += len;
        offsets[n] = at;
        p = newline ? newline + 1 : end;
    }
    if (n >= UINT32_MAX)
        status = wte__fail(err, WTE_E_FORMAT, "%s: %zu lines are too many", path, n);
    else
        status = wte__builder_begin(b, WTE_TOKENIZER_BERT, path, "vocab.txt", bytes, offsets, NULL,
                                    (uint32_t)n, err);
    goto cleanup;
no_memory:
    status = wte__fail(err, WTE_E_NOMEM, "no memory for %s", path);
cleanup:
    wte__free(bytes);
    wte__free(offsets);
    wte__map_close(&map);
    return status;
}

/* ---- tokenizer_config.json ----------------------------------------------------------------- */

/* A token of the configuration: a string, or an object with its content. */
static const char *token_text(const json_t *value, size_t *len)
{
    if (json_is_object(value))
        value = json_object_get(value, "content");
    if (!json_is_string(value))
        return NULL;
    *len = json_string_length(value);
    return json_string_value(value);
}

static int flag(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static wte_status config_specials(wte__builder *b, const json_t *root, wte_error *err)
{
    wte_tokenizer_info *info = &b->t->info;
    const struct {
        const char *key;
        int64_t *id;
    } roles[] = {{"unk_token", &info->unk}, {"cls_token", &info->cls},   {"sep_token", &info->sep},
                 {"pad_token", &info->pad}, {"mask_token", &info->mask}, {"bos_token", &info->bos},
                 {"eos_token", &info->eos}};
    wte_status status = WTE_OK;

    for (size_t i = 0; i < sizeof roles / sizeof *roles && status == WTE_OK; i++) {
        const json_t *value = json_object_get(root, roles[i].key);
        size_t len = 0;
        const char *text = token_text(value, &len);
        uint32_t id = text ? wte__vocab_find(&b->t->spelling, text, len) : UINT32_MAX;

        if (id == UINT32_MAX || len == 0)
            continue;
        *roles[i].id = id;
        if (json_is_object(value) || !wte_tokenizer_is_special(b->t, id))
            status =
                wte__builder_special(b, text, len, id, flag(value, "lstrip"), flag(value, "rstrip"),
                                     flag(value, "single_word"), flag(value, "normalized"), err);
    }
    return status;
}

static void config_option(const json_t *root, const char *key, int *out)
{
    const json_t *value = json_object_get(root, key);

    if (json_is_boolean(value))
        *out = json_is_true(value);
}

/* Read the options of a folder, if it has them. */
static wte_status read_config(wte__builder *b, const char *folder, wte_error *err)
{
    wte_tokenizer_info *info = &b->t->info;
    char *path = wte__concat(folder, "/tokenizer_config.json", NULL);
    wte__map map = {0};
    json_t *root = NULL;
    json_error_t where;
    struct stat st;
    wte_status status = WTE_OK;

    if (!path)
        return wte__fail(err, WTE_E_NOMEM, "no memory for a path");
    if (stat(path, &st) != 0)
        goto cleanup;
    if (st.st_size > CONFIG_MAX) {
        status = wte__fail(err, WTE_E_FORMAT, "%s: %jd bytes, expected at most %d", path,
                           (intmax_t)st.st_size, CONFIG_MAX);
        goto cleanup;
    }
    status = wte__map_open(&map, path, err);
    if (status != WTE_OK)
        goto cleanup;
    root = json_loadb((const char *)map.data, map.size, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(root)) {
        status = root ? wte__fail(err, WTE_E_FORMAT, "%s: expected an object", path)
                      : wte__fail_at(err, WTE_E_FORMAT, (uint64_t)where.position, "%s: line %d: %s",
                                     path, where.line, where.text);
        goto cleanup;
    }
    if (info->kind == WTE_TOKENIZER_BERT) {
        config_option(root, "do_lower_case", &info->do_lower_case);
        info->strip_accents = info->do_lower_case; /* as the original, unless it is said */
        config_option(root, "strip_accents", &info->strip_accents);
        config_option(root, "tokenize_chinese_chars", &info->tokenize_chinese_chars);
    } else if (flag(root, "add_prefix_space")) {
        status = wte__fail(err, WTE_E_UNSUPPORTED,
                           "%s: add_prefix_space is true; a tokenizer that puts a space before "
                           "every text is not supported",
                           path);
        goto cleanup;
    }
    status = config_specials(b, root, err);
cleanup:
    json_decref(root);
    wte__map_close(&map);
    wte__free(path);
    return status;
}

/* ---- tokenizer.json ------------------------------------------------------------------------ */

enum { TYPE_MAX = 32 };

/* What is picked out of tokenizer.json on its way. */
typedef struct document {
    pairs vocab;
    pairs added; /* the added tokens, with their ids */
    uint8_t *added_flags;
    size_t added_flags_capacity;
    const char *merges; /* where they begin, or NULL */
    char model[TYPE_MAX], normalizer[TYPE_MAX], pre_tokenizer[TYPE_MAX];
    int lowercase, strip_accents, chinese, prefix_space, use_regex, ignore_merges, byte_fallback;
    char affix[TYPE_MAX]; /* continuing_subword_prefix */
    bool has_vocab;
} document;

enum { ADDED_SPECIAL = 1, ADDED_LSTRIP = 2, ADDED_RSTRIP = 4, ADDED_WORD = 8, ADDED_NORMAL = 16 };

/* Keep a string value, cut to fit; null is empty. */
static wte_status read_type(wte__json *j, char *out)
{
    wte_status status;

    if (wte__json_peek(j) != '"') {
        out[0] = '\0';
        return wte__json_skip(j);
    }
    status = wte__json_string(j);
    if (status == WTE_OK) {
        size_t n = j->string_len < TYPE_MAX ? j->string_len : TYPE_MAX - 1;

        memcpy(out, j->string, n);
        out[n] = '\0';
    }
    return status;
}

static wte_status read_added_token(wte__json *j, document *d)
{
    char *content = NULL;
    size_t len = 0;
    uint32_t id = UINT32_MAX;
    int special = 0, lstrip = 0, rstrip = 0, single = 0, normal = 0;
    bool first = true, more = true;
    wte_status status = wte__json_expect(j, '{');

    while (status == WTE_OK) {
        status = wte__json_next(j, '}', &first, &more);
        if (status != WTE_OK || !more)
            break;
        status = wte__json_key(j);
        if (status != WTE_OK)
            break;
        if (wte__json_is(j, "id")) {
            status = wte__json_uint(j, &id);
        } else if (wte__json_is(j, "content") && !content) {
            status = wte__json_string(j);
            if (status == WTE_OK && !(content = wte__strndup(j->string, j->string_len)))
                status = wte__fail(j->err, WTE_E_NOMEM, "no memory for %s", j->name);
            len = j->string_len;
        } else {
            int *to = wte__json_is(j, "special")       ? &special
                      : wte__json_is(j, "lstrip")      ? &lstrip
                      : wte__json_is(j, "rstrip")      ? &rstrip
                      : wte__json_is(j, "single_word") ? &single
                      : wte__json_is(j, "normalized")  ? &normal
                                                       : NULL;

            status = to ? wte__json_bool(j, to) : wte__json_skip(j);
        }
    }
    if (status == WTE_OK && (!content || id == UINT32_MAX || !len))
        status = wte__json_fail(j, "an added token without id or content");
    if (status == WTE_OK && d->added.n == ADDED_MAX)
        status = wte__json_fail(j, "more than %d added tokens", ADDED_MAX);
    if (status == WTE_OK)
        status = add_pair(&d->added, content, len, id, j->name, j->err);
    if (status == WTE_OK && !wte__grow((void **)&d->added_flags, &d->added_flags_capacity,
                                       d->added.n, sizeof *d->added_flags))
        status = wte__fail(j->err, WTE_E_NOMEM, "no memory for %s", j->name);
    if (status == WTE_OK)
        d->added_flags[d->added.n - 1] =
            (uint8_t)((special ? ADDED_SPECIAL : 0) | (lstrip ? ADDED_LSTRIP : 0) |
                      (rstrip ? ADDED_RSTRIP : 0) | (single ? ADDED_WORD : 0) |
                      (normal ? ADDED_NORMAL : 0));
    wte__free(content);
    return status;
}

static wte_status read_added(wte__json *j, document *d)
{
    bool first = true, more = true;
    wte_status status = wte__json_expect(j, '[');

    while (status == WTE_OK) {
        status = wte__json_next(j, ']', &first, &more);
        if (status != WTE_OK || !more)
            break;
        status = read_added_token(j, d);
    }
    return status;
}

/* An object whose members are told apart by `member`. */
typedef wte_status (*member_fn)(wte__json *j, document *d);

static wte_status read_members(wte__json *j, document *d, member_fn member)
{
    bool first = true, more = true;
    wte_status status;

    if (wte__json_peek(j) != '{')
        return wte__json_skip(j);
    status = wte__json_expect(j, '{');
    while (status == WTE_OK) {
        status = wte__json_next(j, '}', &first, &more);
        if (status != WTE_OK || !more)
            break;
        status = wte__json_key(j);
        if (status == WTE_OK)
            status = member(j, d);
    }
    return status;
}

static wte_status model_member(wte__json *j, document *d)
{
    if (wte__json_is(j, "type"))
        return read_type(j, d->model);
    if (wte__json_is(j, "continuing_subword_prefix"))
        return read_type(j, d->affix);
    if (wte__json_is(j, "ignore_merges"))
        return wte__json_bool(j, &d->ignore_merges);
    if (wte__json_is(j, "byte_fallback"))
        return wte__json_bool(j, &d->byte_fallback);
    if (wte__json_is(j, "vocab")) {
        if (d->has_vocab)
            return wte__json_fail(j, "a second vocab");
        d->has_vocab = true;
        return read_pairs(j, &d->vocab);
    }
    if (wte__json_is(j, "merges")) {
        if (d->merges)
            return wte__json_fail(j, "a second list of merges");
        wte__json_peek(j);
        d->merges = j->p;
    }
    return wte__json_skip(j);
}

static wte_status normalizer_member(wte__json *j, document *d)
{
    if (wte__json_is(j, "type"))
        return read_type(j, d->normalizer);
    if (wte__json_is(j, "lowercase"))
        return wte__json_bool(j, &d->lowercase);
    if (wte__json_is(j, "strip_accents"))
        return wte__json_bool(j, &d->strip_accents);
    if (wte__json_is(j, "handle_chinese_chars"))
        return wte__json_bool(j, &d->chinese);
    return wte__json_skip(j);
}

static wte_status pre_tokenizer_member(wte__json *j, document *d)
{
    if (wte__json_is(j, "type"))
        return read_type(j, d->pre_tokenizer);
    if (wte__json_is(j, "add_prefix_space"))
        return wte__json_bool(j, &d->prefix_space);
    if (wte__json_is(j, "use_regex"))
        return wte__json_bool(j, &d->use_regex);
    return wte__json_skip(j);
}

static wte_status root_member(wte__json *j, document *d)
{
    if (wte__json_is(j, "model"))
        return read_members(j, d, model_member);
    if (wte__json_is(j, "normalizer"))
        return read_members(j, d, normalizer_member);
    if (wte__json_is(j, "pre_tokenizer"))
        return read_members(j, d, pre_tokenizer_member);
    if (wte__json_is(j, "added_tokens"))
        return read_added(j, d);
    return wte__json_skip(j);
}

/* One merge: "left right", or ["left", "right"]. */
static wte_status read_merge(wte__json *j, wte__builder *b)
{
    char left[512], *space;
    size_t left_len;
    wte_status status;

    if (wte__json_peek(j) == '"') {
        status = wte__json_string(j);
        if (status != WTE_OK)
            return status;
        space = memchr(j->string, ' ', j->string_len);
        if (!space)
            return wte__json_fail(j, "a merge without a space between its pieces");
        left_len = (size_t)(space - j->string);
        return wte__builder_merge(b, j->string, left_len, space + 1, j->string_len - left_len - 1,
                                  b->n_merges + 1, j->err);
    }
    status = wte__json_expect(j, '[');
    if (status == WTE_OK)
        status = wte__json_string(j);
    if (status != WTE_OK)
        return status;
    left_len = j->string_len;
    if (left_len > sizeof left)
        return wte__json_fail(j, "a merge with a piece of %zu bytes", left_len);
    memcpy(left, j->string, left_len);
    status = wte__json_expect(j, ',');
    if (status == WTE_OK)
        status = wte__json_string(j);
    if (status == WTE_OK)
        status = wte__json_expect(j, ']');
    if (status == WTE_OK)
        status = wte__builder_merge(b, left, left_len, j->string, j->string_len, b->n_merges + 1,
                                    j->err);
    return status;
}

static wte_status read_merge_list(wte__json *j, wte__builder *b)
{
    bool first = true, more = true;
    wte_status status = wte__json_expect(j, '[');

    while (status == WTE_OK) {
        status = wte__json_next(j, ']', &first, &more);
        if (status != WTE_OK || !more)
            break;
        status = read_merge(j, b);
    }
    return status;
}

/* Refuse what would give other ids than are computed here. */
static wte_status check_document(const char *path, const document *d, wte_tokenizer_kind *kind,
                                 wte_error *err)
{
    const char *what = NULL;

    if (!d->has_vocab)
        return wte__fail(err, WTE_E_FORMAT, "%s: no model with a vocab", path);
    if (strcmp(d->model, "WordPiece") == 0 ||
        (!d->model[0] && !d->merges && strcmp(d->normalizer, "BertNormalizer") == 0)) {
        *kind = WTE_TOKENIZER_BERT;
        if (strcmp(d->normalizer, "BertNormalizer") != 0)
            return wte__fail(err, WTE_E_UNSUPPORTED, "%s: normalizer '%s', expected BertNormalizer",
                             path, d->normalizer);
        if (d->affix[0] && strcmp(d->affix, "##") != 0)
            return wte__fail(err, WTE_E_UNSUPPORTED, "%s: pieces continue with '%s', expected '##'",
                             path, d->affix);
        return WTE_OK;
    }
    *kind = WTE_TOKENIZER_GPT2;
    if (d->model[0] && strcmp(d->model, "BPE") != 0)
        return wte__fail(err, WTE_E_UNSUPPORTED, "%s: model '%s', expected BPE or WordPiece", path,
                         d->model);
    if (!d->merges)
        return wte__fail(err, WTE_E_FORMAT, "%s: BPE without merges", path);
    if (strcmp(d->pre_tokenizer, "ByteLevel") != 0)
        return wte__fail(err, WTE_E_UNSUPPORTED,
                         "%s: pre-tokenizer '%s', expected GPT-2's ByteLevel", path,
                         d->pre_tokenizer);
    if (d->prefix_space)
        what = "add_prefix_space";
    else if (d->ignore_merges)
        what = "ignore_merges";
    else if (d->byte_fallback)
        what = "byte_fallback";
    else if (d->normalizer[0])
        what = d->normalizer;
    else if (d->affix[0])
        what = "continuing_subword_prefix";
    else if (!d->use_regex)
        what = "a pre-tokenizer without its pattern";
    if (what)
        return wte__fail(err, WTE_E_UNSUPPORTED, "%s: %s is not supported with BPE", path, what);
    return WTE_OK;
}

static wte_status add_specials(wte__builder *b, const document *d, wte_error *err)
{
    wte_status status = WTE_OK;

    for (size_t i = 0; i < d->added.n && status == WTE_OK; i++) {
        size_t begin = pair_begin(&d->added, i);
        unsigned f = d->added_flags[i];

        status = wte__builder_special(b, d->added.bytes + begin, (size_t)d->added.ends[i] - begin,
                                      d->added.ids[i], !!(f & ADDED_LSTRIP), !!(f & ADDED_RSTRIP),
                                      !!(f & ADDED_WORD), !!(f & ADDED_NORMAL), err);
    }
    return status;
}

static wte_status read_tokenizer_json(wte__builder *b, const char *path, wte_error *err)
{
    document d = {.lowercase = 1, .strip_accents = -1, .chinese = 1, .use_regex = 1};
    wte_tokenizer_kind kind = WTE_TOKENIZER_GPT2;
    wte__map map = {0};
    wte__json j = {0};
    wte_status status = wte__map_open(&map, path, err);

    if (status != WTE_OK)
        return status;
    wte__json_begin(&j, path, map.data, map.size, err);
    if (wte__json_peek(&j) != '{') {
        status = wte__json_expect(&j, '{');
        goto cleanup;
    }
    status = read_members(&j, &d, root_member);
    if (status == WTE_OK)
        status = wte__json_end(&j);
    if (status == WTE_OK)
        status = check_document(path, &d, &kind, err);
    for (size_t i = 0; i < d.added.n && status == WTE_OK; i++) {
        size_t begin = pair_begin(&d.added, i);

        status = add_pair(&d.vocab, d.added.bytes + begin, (size_t)d.added.ends[i] - begin,
                          d.added.ids[i], path, err);
    }
    if (status == WTE_OK)
        status = begin_from_pairs(b, kind, path, "tokenizer.json", &d.vocab, err);
    if (status == WTE_OK && kind == WTE_TOKENIZER_GPT2) {
        j.p = d.merges;
        status = read_merge_list(&j, b);
    }
    if (status == WTE_OK && kind == WTE_TOKENIZER_BERT) {
        b->t->info.do_lower_case = d.lowercase;
        b->t->info.strip_accents = d.strip_accents < 0 ? d.lowercase : d.strip_accents;
        b->t->info.tokenize_chinese_chars = d.chinese;
    }
    if (status == WTE_OK)
        status = add_specials(b, &d, err);
cleanup:
    pairs_free(&d.vocab);
    pairs_free(&d.added);
    wte__free(d.added_flags);
    wte__json_free(&j);
    wte__map_close(&map);
    return status;
}

/* ---- folders and files --------------------------------------------------------------------- */

static wte_status read_vocab_json(wte__builder *b, const char *path, wte_error *err)
{
    pairs p = {0};
    wte__map map = {0};
    wte__json j = {0};
    wte_status status = wte__map_open(&map, path, err);

    if (status != WTE_OK)
        return status;
    wte__json_begin(&j, path, map.data, map.size, err);
    status = read_pairs(&j, &p);
    if (status == WTE_OK)
        status = wte__json_end(&j);
    if (status == WTE_OK)
        status =
            begin_from_pairs(b, WTE_TOKENIZER_GPT2, path, "vocab.json and merges.txt", &p, err);
    pairs_free(&p);
    wte__json_free(&j);
    wte__map_close(&map);
    return status;
}

/* folder/name if there is such a file; NULL if not, or (with *status) if there is no memory. */
static char *file_in(const char *folder, const char *name, wte_status *status, wte_error *err)
{
    char *path = wte__concat(folder, "/", name, NULL);
    struct stat st;

    if (!path) {
        *status = wte__fail(err, WTE_E_NOMEM, "no memory for a path");
        return NULL;
    }
    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
        return path;
    wte__free(path);
    return NULL;
}

typedef struct found {
    char *vocab_json, *merges, *vocab_txt, *tokenizer_json;
} found;

static void found_free(found *f)
{
    wte__free(f->vocab_json);
    wte__free(f->merges);
    wte__free(f->vocab_txt);
    wte__free(f->tokenizer_json);
}

static wte_status find_files(const char *folder, found *f, wte_error *err)
{
    wte_status status = WTE_OK;

    f->vocab_json = file_in(folder, "vocab.json", &status, err);
    if (status == WTE_OK)
        f->merges = file_in(folder, "merges.txt", &status, err);
    if (status == WTE_OK)
        f->vocab_txt = file_in(folder, "vocab.txt", &status, err);
    if (status == WTE_OK)
        f->tokenizer_json = file_in(folder, "tokenizer.json", &status, err);
    return status;
}

/* The folder of a file, or the path itself if it is one. */
static char *folder_of(const char *path, bool is_folder)
{
    const char *slash = is_folder ? NULL : strrchr(path, '/');

    if (is_folder)
        return wte__strdup(path);
    if (!slash)
        return wte__strdup(".");
    return slash == path ? wte__strdup("/") : wte__strndup(path, (size_t)(slash - path));
}

/* Keep of what a folder holds the file that was named. */
static wte_status choose(const char *path, found *f, wte_error *err)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char **wanted = NULL, **all[] = {&f->vocab_txt, &f->tokenizer_json, &f->vocab_json};
    size_t len = strlen(name);
    char *copy;

    if (len >= 4 && strcmp(name + len - 4, ".txt") == 0 && strcmp(name, "merges.txt") != 0)
        wanted = &f->vocab_txt;
    else if (strcmp(name, "vocab.json") == 0 || strcmp(name, "merges.txt") == 0)
        return f->vocab_json && f->merges
                   ? WTE_OK
                   : wte__fail(err, WTE_E_NOTFOUND, "%s: %s is not beside it", path,
                               f->merges ? "vocab.json" : "merges.txt");
    else if (len >= 5 && strcmp(name + len - 5, ".json") == 0)
        wanted = &f->tokenizer_json;
    else
        return wte__fail(err, WTE_E_FORMAT,
                         "%s: expected vocab.json, vocab.txt or tokenizer.json, or a folder with "
                         "them",
                         path);
    copy = wte__strdup(path);
    if (!copy)
        return wte__fail(err, WTE_E_NOMEM, "no memory for a path");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        wte__free(*all[i]);
        *all[i] = NULL;
    }
    *wanted = copy;
    return WTE_OK;
}

static wte_status read_found(wte__builder *b, const char *folder, const found *f, wte_error *err)
{
    if (f->vocab_json && f->merges) {
        wte_status status = read_vocab_json(b, f->vocab_json, err);

        return status == WTE_OK ? read_merges(b, f->merges, err) : status;
    }
    if (f->vocab_txt)
        return read_vocab_txt(b, f->vocab_txt, err);
    if (f->tokenizer_json)
        return read_tokenizer_json(b, f->tokenizer_json, err);
    if (f->vocab_json || f->merges)
        return wte__fail(err, WTE_E_NOTFOUND, "%s: %s without %s", folder,
                         f->merges ? "merges.txt" : "vocab.json",
                         f->merges ? "vocab.json" : "merges.txt");
    return wte__fail(err, WTE_E_NOTFOUND,
                     "%s: no tokenizer: expected vocab.json and merges.txt, vocab.txt or "
                     "tokenizer.json",
                     folder);
}

static bool ends_with_gguf(const char *path)
{
    size_t len = strlen(path);

    return len > 5 && strcmp(path + len - 5, ".gguf") == 0;
}

wte_status wte__tokenizer_load(const char *path, wte_tokenizer **out, wte_error *err)
{
    wte__builder b = {0};
    found f = {0};
    char *folder = NULL;
    struct stat st;
    wte_status status;

    if (stat(path, &st) != 0)
        return errno == ENOENT ? wte__fail(err, WTE_E_NOTFOUND, "%s: no such file or folder", path)
                               : wte__fail_errno(err, "%s", path);
    if (ends_with_gguf(path))
        return wte__tokenizer_load_gguf(path, out, err);
    folder = folder_of(path, S_ISDIR(st.st_mode));
    status = folder ? find_files(folder, &f, err) : wte__fail(err, WTE_E_NOMEM, "no memory");
    if (status == WTE_OK && !S_ISDIR(st.st_mode))
        status = choose(path, &f, err);
    if (status == WTE_OK)
        status = read_found(&b, folder, &f, err);
    if (status == WTE_OK)
        status = read_config(&b, folder, err);
    if (status == WTE_OK)
        status = wte__builder_end(&b, out, err);
    wte__builder_free(&b);
    found_free(&f);
    wte__free(folder);
    return status;
}
