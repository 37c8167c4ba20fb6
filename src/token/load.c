/* SPDX-License-Identifier: MIT */
/* load.c - tokenizers from the files that lie beside a checkpoint
 *
 *   vocab.json             {"piece": id, ...} as GPT-2 spells pieces: each byte is one printable
 *                          character (a space is U+0120), so that JSON can hold any bytes
 *   merges.txt             "#version" line, then "left right", the best merge first
 *   vocab.txt              BERT: one piece a line, the line number is the id
 *   tokenizer.json         both families, see tokenizer_json.c
 *   tokenizer_config.json  options, which tokens are special, and tokens beside the vocabulary
 *   special_tokens_map.json, added_tokens.json
 *                          the last two of these as older programs wrote them
 *
 * A folder may hold several of them: vocab.json + merges.txt, then vocab.txt, then tokenizer.json
 * is read, as the first two are what the original programs wrote.
 *
 * The byte alphabet: bytes 33-126, 161-172 and 174-255 are the characters of the same number, the
 * 68 others are U+0100 and on, in order. A piece with a character that is none of these (an added
 * token) stands for its own UTF-8 bytes. */
#include "token/load.h"
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "token/json.h"
#include "token/pairs.h"

const char *const wte__tokenizer_files[WTE__N_TOKENIZER_FILES] = {
    "vocab.json",           "merges.txt",        "vocab.txt",
    "tokenizer.json",       "added_tokens.json", "special_tokens_map.json",
    "tokenizer_config.json"};

enum {
    CONFIG_MAX = 16 * 1024 * 1024,
    LARGE_MERGES = 64 * 1024, /* bytes of merges.txt that are worth a second thread */
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
    wte__vocab_room room;
    size_t n = 0;
    wte_status status = wte__vocab_new(v->n, v->offsets[v->n], false, &t->piece, &room, err);

    if (status != WTE_OK)
        return status;
    fill_alphabet(alphabet);
    for (uint32_t i = 0; i < v->n; i++) {
        room.offsets[i] = (uint32_t)n;
        n += despell(alphabet, v->bytes + v->offsets[i], v->offsets[i + 1] - v->offsets[i],
                     room.bytes + n);
    }
    room.offsets[v->n] = (uint32_t)n;
    memset(room.bytes + n, 0, v->offsets[v->n] - n);
    memcpy(room.used, v->used, v->n);
    return WTE_OK;
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
    for (uint32_t i = 0; i < n; i++)
        t->info.n_holes += !t->spelling.used[i];
    if (kind == WTE_TOKENIZER_GPT2)
        return make_pieces(t, err);
    t->piece = t->spelling;
    t->piece.owned = NULL;
    return WTE_OK;
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
    uint64_t guess = 256 + (uint64_t)b->first_merge + b->n_merges;
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
        if (*usual[i].id >= 0 && !wte_tokenizer_is_special(b->t, (uint32_t)*usual[i].id))
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

/* Read the lines of text[begin .. end). The version line is the first of the file, at 0. */
static wte_status read_lines(wte__builder *b, const char *text, size_t begin, size_t end,
                             wte_error *err)
{
    enum { AHEAD = 16 };
    waiting queue[AHEAD];
    wte_status status = WTE_OK;
    const char *p = text + begin, *last = text + end;
    size_t line = 0, n = 0, done = 0;

    for (; p < last && status == WTE_OK; line++) {
        const char *newline = memchr(p, '\n', (size_t)(last - p)), *stop = newline ? newline : last;
        const char *start = p;

        p = newline ? newline + 1 : last;
        if (stop > start && stop[-1] == '\r')
            stop--;
        if ((start == text && stop - start >= 8 && memcmp(start, "#version", 8) == 0) ||
            stop == start)
            continue;
        if (n - done == AHEAD)
            status = add_found(b, &queue[done++ % AHEAD], err);
        if (status != WTE_OK)
            break;
        if (!split_line(start, stop, &queue[n % AHEAD])) {
            status = wte__fail_at(err, WTE_E_FORMAT, (uint64_t)(start - text),
                                  "%s: line %zu: expected two pieces with a space between", b->name,
                                  line + 1);
            break;
        }
        queue[n % AHEAD].where = n + 1;
        search(b, &queue[n++ % AHEAD]);
    }
    while (status == WTE_OK && done < n)
        status = add_found(b, &queue[done++ % AHEAD], err);
    return status;
}

/* The two halves of a file, each with a builder that borrows the vocabulary. */
typedef struct halves {
    const char *text;
    size_t cuts[3];
    wte__builder parts[2];
    wte_status status[2];
} halves;

static void read_half(void *ctx, size_t block, unsigned worker)
{
    halves *h = ctx;

    (void)worker;
    h->status[block] =
        read_lines(&h->parts[block], h->text, h->cuts[block], h->cuts[block + 1], NULL);
}

/* Read a large file with two threads. False if something is wrong with it: then it is to be read
 * again from its beginning, to say what. */
static bool read_halves(wte__builder *b, const char *text, size_t size)
{
    const char *newline = memchr(text + size / 2, '\n', size - size / 2), *p = text, *stop;
    halves h = {text, {0, newline ? (size_t)(newline + 1 - text) : size, size}, {*b, *b}, {0}};
    size_t n;
    bool good;

    /* Where the second half's merges begin is only a guess of what they make. */
    for (stop = text + h.cuts[1]; (p = memchr(p, '\n', (size_t)(stop - p))) != NULL; p++)
        h.parts[1].first_merge++;
    h.parts[1].first_merge -= size >= 8 && memcmp(text, "#version", 8) == 0;
    wte__parallel(2, 2, read_half, &h);
    n = h.parts[0].n_merges + h.parts[1].n_merges;
    good =
        h.status[0] == WTE_OK && h.status[1] == WTE_OK &&
        wte__grow((void **)&h.parts[0].merges, &h.parts[0].merges_capacity, n, sizeof *b->merges);
    if (good && h.parts[1].n_merges)
        memcpy(h.parts[0].merges + h.parts[0].n_merges, h.parts[1].merges,
               h.parts[1].n_merges * sizeof *b->merges);
    wte__free(h.parts[1].merges);
    if (!good) {
        wte__free(h.parts[0].merges);
        return false;
    }
    b->merges = h.parts[0].merges;
    b->merges_capacity = h.parts[0].merges_capacity;
    b->n_merges = n;
    return true;
}

static wte_status read_merges(wte__builder *b, const char *path, wte_error *err)
{
    wte__map map = {0};
    wte_status status = wte__map_open(&map, path, err);
    const char *text = (const char *)map.data, *name = b->name;

    if (status != WTE_OK)
        return status;
    b->name = path;
    if (map.size < LARGE_MERGES || wte__n_processors() < 2 || !read_halves(b, text, map.size))
        status = read_lines(b, text, 0, map.size, err);
    b->name = name;
    wte__map_close(&map);
    return status;
}

/* ---- vocab.txt ----------------------------------------------------------------------------- */

static wte_status read_vocab_txt(wte__builder *b, const char *path, const wte__added *added,
                                 wte_error *err)
{
    wte__map map = {0};
    wte__pairs p = {0};
    wte_status status = wte__map_open(&map, path, err);

    if (status != WTE_OK)
        return status;
    for (const char *at = (const char *)map.data, *end = at + map.size;
         at < end && status == WTE_OK;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at)), *stop = newline ? newline : end;
        size_t len = (size_t)(stop - at);

        if (len && at[len - 1] == '\r')
            len--;
        if (!wte__utf8_valid(at, len))
            status = wte__fail_at(err, WTE_E_FORMAT, (uint64_t)(at - (const char *)map.data),
                                  "%s: line %zu: invalid UTF-8", path, p.n + 1);
        else if (p.n == UINT32_MAX - 1)
            status = wte__fail(err, WTE_E_FORMAT, "%s: more than %zu lines", path, p.n);
        else
            status = wte__pairs_add(&p, at, len, (uint32_t)p.n, path, err);
        at = newline ? newline + 1 : end;
    }
    if (status == WTE_OK)
        status = wte__builder_begin_pairs(b, WTE_TOKENIZER_BERT, path, "vocab.txt", &p, added, err);
    wte__pairs_free(&p);
    wte__map_close(&map);
    return status;
}

/* ---- the small files ----------------------------------------------------------------------- */

/* Parse a file of a folder that holds a JSON object; *out stays NULL if it is not there. */
static wte_status read_object(const char *folder, const char *name, json_t **out, wte_error *err)
{
    char *path = wte__concat(folder, "/", name, NULL);
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
    if (json_is_object(root)) {
        *out = root;
        root = NULL;
    } else {
        status = root ? wte__fail(err, WTE_E_FORMAT, "%s: expected an object", path)
                      : wte__fail_at(err, WTE_E_FORMAT, (uint64_t)where.position, "%s: line %d: %s",
                                     path, where.line, where.text);
    }
cleanup:
    json_decref(root);
    wte__map_close(&map);
    wte__free(path);
    return status;
}

/* The small files of a folder. */
typedef struct options {
    json_t *config;       /* tokenizer_config.json */
    json_t *specials_map; /* special_tokens_map.json, which older programs wrote */
    json_t *added_tokens; /* added_tokens.json, likewise */
} options;

static void options_free(options *o)
{
    json_decref(o->config);
    json_decref(o->specials_map);
    json_decref(o->added_tokens);
}

static wte_status read_options(const char *folder, options *o, wte_error *err)
{
    wte_status status = read_object(folder, "tokenizer_config.json", &o->config, err);

    if (status == WTE_OK)
        status = read_object(folder, "special_tokens_map.json", &o->specials_map, err);
    if (status == WTE_OK)
        status = read_object(folder, "added_tokens.json", &o->added_tokens, err);
    return status;
}

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

/* Tokens beside vocab.json or vocab.txt: {"text": id}, and in newer configurations
 * "added_tokens_decoder": {"id": {"content": text, ...}}. */
static wte_status read_added(const char *folder, const options *o, wte__added *added,
                             wte_error *err)
{
    json_t *decoder = json_object_get(o->config, "added_tokens_decoder"), *value;
    const char *key;
    wte_status status = WTE_OK;

    json_object_foreach(o->added_tokens, key, value)
    {
        if (!json_is_integer(value) || json_integer_value(value) < 0 ||
            json_integer_value(value) >= UINT32_MAX)
            return wte__fail(err, WTE_E_FORMAT,
                             "%s/added_tokens.json: '%.80s' has no id, expected a whole number of "
                             "0 to 4294967294",
                             folder, key);
        status = wte__added_put(added, key, strlen(key), (uint32_t)json_integer_value(value), 0,
                                folder, err);
        if (status != WTE_OK)
            return status;
    }
    json_object_foreach(decoder, key, value)
    {
        size_t len = 0, digits = strspn(key, "0123456789");
        const char *text = token_text(value, &len);

        if (!text || digits == 0 || digits > 9 || key[digits])
            return wte__fail(err, WTE_E_FORMAT,
                             "%s/tokenizer_config.json: added_tokens_decoder: '%.80s', expected an "
                             "id and its token",
                             folder, key);
        status = wte__added_put(added, text, len, (uint32_t)strtoul(key, NULL, 10),
                                (flag(value, "special") ? WTE__ADDED_SPECIAL : 0u) |
                                    (flag(value, "lstrip") ? WTE__ADDED_LSTRIP : 0u) |
                                    (flag(value, "rstrip") ? WTE__ADDED_RSTRIP : 0u) |
                                    (flag(value, "single_word") ? WTE__ADDED_WORD : 0u) |
                                    (flag(value, "normalized") ? WTE__ADDED_NORMAL : 0u),
                                folder, err);
        if (status != WTE_OK)
            return status;
    }
    return status;
}

/* Make a token of the configuration special, if it is in the vocabulary; *id is set if it is. */
static wte_status take_special(wte__builder *b, const json_t *value, int64_t *role, wte_error *err)
{
    size_t len = 0;
    const char *text = token_text(value, &len);
    uint32_t id = text && len ? wte__vocab_find(&b->t->spelling, text, len) : UINT32_MAX;

    if (id == UINT32_MAX)
        return WTE_OK;
    if (role)
        *role = id;
    if (!json_is_object(value) && wte_tokenizer_is_special(b->t, id))
        return WTE_OK;
    return wte__builder_special(b, text, len, id, flag(value, "lstrip"), flag(value, "rstrip"),
                                flag(value, "single_word"), flag(value, "normalized"), err);
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
    const json_t *others = json_object_get(root, "additional_special_tokens");
    wte_status status = WTE_OK;

    for (size_t i = 0; i < sizeof roles / sizeof *roles && status == WTE_OK; i++)
        status = take_special(b, json_object_get(root, roles[i].key), roles[i].id, err);
    for (size_t i = 0; i < json_array_size(others) && status == WTE_OK; i++)
        status = take_special(b, json_array_get(others, i), NULL, err);
    return status;
}

static void config_option(const json_t *root, const char *key, int *out)
{
    const json_t *value = json_object_get(root, key);

    if (json_is_boolean(value))
        *out = json_is_true(value);
}

/* A configuration that names the other family's class does not belong to these files. */
static wte_status check_class(const wte__builder *b, const char *folder, const json_t *config,
                              wte_error *err)
{
    static const struct {
        const char *name;
        wte_tokenizer_kind kind;
    } classes[] = {{"GPT2Tokenizer", WTE_TOKENIZER_GPT2}, {"BertTokenizer", WTE_TOKENIZER_BERT}};
    const char *name = json_string_value(json_object_get(config, "tokenizer_class"));

    for (size_t i = 0; name && i < sizeof classes / sizeof *classes; i++) {
        size_t len = strlen(classes[i].name);

        if (strncmp(name, classes[i].name, len) == 0 &&
            (!name[len] || strcmp(name + len, "Fast") == 0) && classes[i].kind != b->t->info.kind)
            return wte__fail(err, WTE_E_FORMAT,
                             "%s/tokenizer_config.json: tokenizer_class is %s, but %s is the "
                             "tokenizer of a %s",
                             folder, name, b->t->info.source,
                             b->t->info.kind == WTE_TOKENIZER_BERT ? "BERT" : "GPT-2");
    }
    return WTE_OK;
}

static wte_status use_options(wte__builder *b, const char *folder, const options *o, wte_error *err)
{
    wte_tokenizer_info *info = &b->t->info;
    wte_status status = check_class(b, folder, o->config, err);

    if (status != WTE_OK)
        return status;
    if (o->config && info->kind == WTE_TOKENIZER_BERT) {
        config_option(o->config, "do_lower_case", &info->do_lower_case);
        info->strip_accents = info->do_lower_case; /* as the original, unless it is said */
        config_option(o->config, "strip_accents", &info->strip_accents);
        config_option(o->config, "tokenize_chinese_chars", &info->tokenize_chinese_chars);
    } else {
        config_option(o->config, "add_prefix_space", &info->add_prefix_space);
    }
    status = config_specials(b, o->specials_map, err);
    return status == WTE_OK ? config_specials(b, o->config, err) : status;
}

/* ---- folders and files --------------------------------------------------------------------- */

static wte_status read_vocab_json(wte__builder *b, const char *path, const wte__added *added,
                                  wte_error *err)
{
    wte__pairs p = {0};
    wte__map map = {0};
    wte__json j = {0};
    wte_status status = wte__map_open(&map, path, err);

    if (status != WTE_OK)
        return status;
    wte__json_begin(&j, path, map.data, map.size, err);
    status = wte__pairs_read(&j, &p);
    if (status == WTE_OK)
        status = wte__json_end(&j);
    if (status == WTE_OK)
        status = wte__builder_begin_pairs(b, WTE_TOKENIZER_GPT2, path, "vocab.json and merges.txt",
                                          &p, added, err);
    wte__pairs_free(&p);
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

char *wte__folder_of(const char *path, bool is_folder)
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

static wte_status read_found(wte__builder *b, const char *folder, const found *f, const options *o,
                             wte_error *err)
{
    wte__added added = {0};
    wte_status status = WTE_OK;

    if ((f->vocab_json && f->merges) || f->vocab_txt) {
        status = read_added(folder, o, &added, err);
        if (status == WTE_OK && f->vocab_json && f->merges) {
            status = read_vocab_json(b, f->vocab_json, &added, err);
            if (status == WTE_OK)
                status = read_merges(b, f->merges, err);
        } else if (status == WTE_OK) {
            status = read_vocab_txt(b, f->vocab_txt, &added, err);
        }
        wte__added_free(&added);
        return status;
    }
    if (f->tokenizer_json)
        return wte__read_tokenizer_json(b, f->tokenizer_json, err);
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
    options o = {NULL, NULL, NULL};
    char *folder = NULL;
    struct stat st;
    wte_status status;

    if (stat(path, &st) != 0)
        return errno == ENOENT ? wte__fail(err, WTE_E_NOTFOUND, "%s: no such file or folder", path)
                               : wte__fail_errno(err, "%s", path);
    if (ends_with_gguf(path))
        return wte__tokenizer_load_gguf(path, out, err);
    folder = wte__folder_of(path, S_ISDIR(st.st_mode));
    status = folder ? find_files(folder, &f, err) : wte__fail(err, WTE_E_NOMEM, "no memory");
    if (status == WTE_OK && !S_ISDIR(st.st_mode))
        status = choose(path, &f, err);
    if (status == WTE_OK)
        status = read_options(folder, &o, err);
    if (status == WTE_OK)
        status = read_found(&b, folder, &f, &o, err);
    if (status == WTE_OK)
        status = use_options(&b, folder, &o, err);
    if (status == WTE_OK)
        status = wte__builder_end(&b, out, err);
    wte__builder_free(&b);
    found_free(&f);
    options_free(&o);
    wte__free(folder);
    return status;
}
