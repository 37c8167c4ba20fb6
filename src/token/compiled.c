/* SPDX-License-Identifier: MIT */
/* compiled.c - tokenizers kept in the cache folder, ready to be mapped
 *
 * To open GPT-2's tokenizer, 50,257 pieces are read from JSON and hashed, and 50,000 merges are
 * looked up in them: ten milliseconds, for what is the same every time. So the tables are kept, as
 * the flat arrays that they are, in a safetensors file; opening maps it and points into it.
 *
 *   metadata   format "wte-tokenizer"; version; source and source_path; written_ns;
 *              files: how many; file_0 and on: "size mtime_ns inode device path" of each file the
 *              tokenizer is made from, or "absent path" of those that would change it
 *   info       I64: numbers of wte_tokenizer_info, then what the families count
 *   spelling_* and piece_*: strings by id, as in wte__vocab; BERT's pieces are its spellings
 *   special_*  the special tokens
 *   gpt2_*     wte__gpt2;  bert_*  wte__bert_tables
 *
 * What shows that a file is stale or damaged is told in base/cache.c. Beyond that nothing in it is
 * believed: every offset, id, rank and length is checked, so that whatever somebody wrote into it
 * cannot lead outside an array or into an endless search. It can make wrong ids, as can whoever
 * changes vocab.json. Those checks read each array once, in loops without branches: half a
 * millisecond for GPT-2. */
#include "token/compiled.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include "base/cache.h"
#include "format/safetensors.h"
#include "token/bert_internal.h"
#include "token/gpt2_internal.h"
#include "token/load.h"

static const char VERSION[] = "1 of wte " WTE_VERSION; /* 1: of what is kept, and what is checked */

enum { MAX_SPECIALS = 65536 };

/* The arrays, the widest elements first, so that all are aligned without holes. */
typedef enum part {
    INFO,
    SPELLING_HASH,
    GPT2_SLOTS,
    GPT2_FILTER,
    GPT2_SEAMS,
    BERT_FILTER,
    SPELLING_OFFSETS,
    PIECE_OFFSETS,
    SPECIAL_OFFSETS,
    SPECIAL_IDS,
    GPT2_RESULTS,
    GPT2_BYTE_RANKS,
    GPT2_BYTE_IDS,
    BERT_SLOTS,
    SPELLING_BYTES,
    PIECE_BYTES,
    USED,
    SPECIAL_TEXT,
    SPECIAL_FLAGS,
    BERT_DECODED,
    N_PARTS
} part;

static const struct {
    const char *name, *dtype;
    size_t element;
} parts[N_PARTS] = {[INFO] = {"info", "I64", 8},
                    [SPELLING_HASH] = {"spelling_hash", "U64", 8},
                    [GPT2_SLOTS] = {"gpt2_slots", "U64", 8},
                    [GPT2_FILTER] = {"gpt2_filter", "U64", 8},
                    [GPT2_SEAMS] = {"gpt2_seams", "U64", 8},
                    [BERT_FILTER] = {"bert_filter", "U64", 8},
                    [SPELLING_OFFSETS] = {"spelling_offsets", "U32", 4},
                    [PIECE_OFFSETS] = {"piece_offsets", "U32", 4},
                    [SPECIAL_OFFSETS] = {"special_offsets", "U32", 4},
                    [SPECIAL_IDS] = {"special_ids", "U32", 4},
                    [GPT2_RESULTS] = {"gpt2_results", "U32", 4},
                    [GPT2_BYTE_RANKS] = {"gpt2_byte_ranks", "U32", 4},
                    [GPT2_BYTE_IDS] = {"gpt2_byte_ids", "U32", 4},
                    [BERT_SLOTS] = {"bert_slots", "U32", 4},
                    [SPELLING_BYTES] = {"spelling_bytes", "U8", 1},
                    [PIECE_BYTES] = {"piece_bytes", "U8", 1},
                    [USED] = {"used", "U8", 1},
                    [SPECIAL_TEXT] = {"special_text", "U8", 1},
                    [SPECIAL_FLAGS] = {"special_flags", "U8", 1},
                    [BERT_DECODED] = {"bert_decoded", "U8", 1}};

typedef struct arrays {
    const void *data[N_PARTS]; /* NULL: left out */
    size_t n[N_PARTS];         /* elements */
} arrays;

/* The numbers of `info`, in the order of the array. */
enum {
    KIND,
    N_VOCAB,
    N_HOLES,
    LOWER,
    STRIP,
    CHINESE,
    PREFIX,
    UNK,
    CLS,
    SEP,
    PAD,
    MASK,
    BOS,
    EOS,
    MAX_PIECE, /* GPT-2 */
    LONGEST,   /* BERT */
    N_INFO
};

enum { FLAG_LSTRIP = 1, FLAG_RSTRIP = 2, FLAG_WORD = 4, FLAG_NORMAL = 8 };

/* ---- the files --------------------------------------------------------------------------- */

void wte__sources_free(wte__sources *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        wte__free(s->files[i]);
    wte__free(s->files);
    wte__free(s->canonical);
    *s = (wte__sources){NULL, NULL, 0};
}

/* Note a file, present or not. */
static bool note_file(wte__sources *s, const char *folder, const char *name)
{
    char identity[WTE__IDENTITY_SIZE];
    char *path = wte__concat(folder, "/", name, (char *)NULL), *shown = NULL;

    if (path) {
        wte__file_identity(path, identity);
        shown = wte__cache_encode(path);
    }
    wte__free(path);
    if (!shown)
        return false;
    s->files[s->n] = wte__concat(identity, " ", shown, (char *)NULL);
    wte__free(shown);
    return s->files[s->n] && ++s->n;
}

wte_status wte__sources_look(const char *path, wte__sources *out, wte_error *err)
{
    struct stat st;
    wte__sources s = {NULL, NULL, 0};
    char *folder = NULL, *real = NULL;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    bool is_folder, complete;
    wte_status status = WTE_OK;

    if (stat(path, &st) != 0)
        return errno == ENOENT ? wte__fail(err, WTE_E_NOTFOUND, "%s: no such file or folder", path)
                               : wte__fail_errno(err, "%s", path);
    is_folder = S_ISDIR(st.st_mode);
    folder = wte__folder_of(path, is_folder);
    real = folder ? realpath(folder, NULL) : NULL;
    if (folder && !real && errno != ENOMEM) {
        status = wte__fail_errno(err, "%s", path);
        goto cleanup;
    }
    s.files = wte__calloc(WTE__N_TOKENIZER_FILES + 1, sizeof *s.files);
    s.canonical = !real       ? NULL
                  : is_folder ? wte__strdup(real)
                              : wte__concat(real, "/", name, (char *)NULL);
    complete = s.files && s.canonical && (is_folder || note_file(&s, real, name));
    for (size_t i = 0; complete && i < WTE__N_TOKENIZER_FILES; i++)
        complete = note_file(&s, real, wte__tokenizer_files[i]);
    if (!complete) {
        wte__sources_free(&s);
        status = wte__fail(err, WTE_E_NOMEM, "no memory to look at %s", path);
        goto cleanup;
    }
    *out = s;
cleanup:
    wte__free(folder);
    free(real);
    return status;
}

/* ---- writing ----------------------------------------------------------------------------- */

static void put(arrays *a, part p, const void *data, size_t n)
{
    a->data[p] = data;
    a->n[p] = n;
}

/* The special tokens as arrays. */
typedef struct specials {
    uint32_t *offsets, *ids;
    char *text;
    uint8_t *flags;
} specials;

static void specials_free(specials *s)
{
    wte__free(s->offsets);
    wte__free(s->ids);
    wte__free(s->text);
    wte__free(s->flags);
}

static bool pack_specials(const wte_tokenizer *t, specials *s, arrays *a)
{
    size_t n = t->n_specials, size = 0;

    for (size_t i = 0; i < n; i++)
        size += t->specials[i].len;
    s->offsets = wte__calloc(n + 1, sizeof *s->offsets);
    s->ids = wte__calloc(n, sizeof *s->ids);
    s->flags = wte__calloc(n, 1);
    s->text = wte__calloc(size, 1);
    if (!s->offsets || !s->ids || !s->flags || !s->text || size > UINT32_MAX)
        return false;
    size = 0;
    for (size_t i = 0; i < n; i++) {
        const wte__special *from = &t->specials[i];

        memcpy(s->text + size, from->text, from->len);
        size += from->len;
        s->offsets[i + 1] = (uint32_t)size;
        s->ids[i] = from->id;
        s->flags[i] =
            (uint8_t)((from->lstrip ? FLAG_LSTRIP : 0) | (from->rstrip ? FLAG_RSTRIP : 0) |
                      (from->single_word ? FLAG_WORD : 0) | (from->normalized ? FLAG_NORMAL : 0));
    }
    put(a, SPECIAL_OFFSETS, s->offsets, n + 1);
    put(a, SPECIAL_IDS, s->ids, n);
    put(a, SPECIAL_TEXT, s->text, size);
    put(a, SPECIAL_FLAGS, s->flags, n);
    return true;
}

static void pack_vocab(const wte__vocab *v, arrays *a, part bytes, part offsets)
{
    put(a, bytes, v->bytes, (size_t)v->offsets[v->n] + WTE__VOCAB_SPARE);
    put(a, offsets, v->offsets, (size_t)v->n + 1);
}

/* Collect the arrays of a tokenizer; numbers [N_INFO] and s keep what has no place of its own. */
static bool pack(const wte_tokenizer *t, int64_t *numbers, specials *s, arrays *a)
{
    const wte_tokenizer_info *info = &t->info;
    const wte__vocab *v = &t->spelling;
    const int64_t values[N_INFO] = {[KIND] = info->kind,
                                    [N_VOCAB] = info->n_vocab,
                                    [N_HOLES] = info->n_holes,
                                    [LOWER] = info->do_lower_case,
                                    [STRIP] = info->strip_accents,
                                    [CHINESE] = info->tokenize_chinese_chars,
                                    [PREFIX] = info->add_prefix_space,
                                    [UNK] = info->unk,
                                    [CLS] = info->cls,
                                    [SEP] = info->sep,
                                    [PAD] = info->pad,
                                    [MASK] = info->mask,
                                    [BOS] = info->bos,
                                    [EOS] = info->eos};

    memcpy(numbers, values, sizeof values);
    put(a, INFO, numbers, N_INFO);
    pack_vocab(v, a, SPELLING_BYTES, SPELLING_OFFSETS);
    put(a, SPELLING_HASH, v->hash, (size_t)v->hash_mask + 1);
    put(a, USED, v->used, v->n);
    if (info->kind == WTE_TOKENIZER_GPT2) {
        const wte__gpt2 *g = t->family;

        pack_vocab(&t->piece, a, PIECE_BYTES, PIECE_OFFSETS);
        put(a, GPT2_SLOTS, g->slots, (size_t)g->n_slots);
        put(a, GPT2_FILTER, g->filter, WTE__GPT2_FILTER_WORDS);
        put(a, GPT2_SEAMS, g->seams, 65536 / 64);
        put(a, GPT2_RESULTS, g->results, g->n_merges);
        put(a, GPT2_BYTE_RANKS, g->byte_ranks, 65536);
        put(a, GPT2_BYTE_IDS, g->byte_ids, 256);
        numbers[MAX_PIECE] = g->max_piece;
    } else {
        wte__bert_tables b;

        wte__bert_get_tables(t, &b);
        put(a, BERT_SLOTS, b.slots, 2 * b.n_slots);
        put(a, BERT_FILTER, b.filter, WTE__BERT_FILTER_WORDS);
        put(a, BERT_DECODED, b.decoded, ((size_t)v->n + 1) * sizeof *b.decoded);
        numbers[LONGEST] = (int64_t)b.longest;
    }
    return pack_specials(t, s, a);
}

/* Make the header. Free with wte__free(). */
static wte_status make_header(const wte__sources *sources, const wte_tokenizer *t, int64_t seal_ns,
                              const wte__tensor *tensors, size_t n, char **out, size_t *size,
                              wte_error *err)
{
    enum { FIXED = 6, MOST = FIXED + WTE__N_TOKENIZER_FILES + 1 };
    char n_files[24], written[24], keys[MOST][32];
    char *path = wte__cache_encode(sources->canonical);
    const char *metadata[MOST][2] = {{"format", "wte-tokenizer"}, {"version", VERSION},
                                     {"source", t->info.source},  {"source_path", path},
                                     {"files", n_files},          {"written_ns", written}};
    wte_status status;

    if (!path)
        return wte__fail(err, WTE_E_NOMEM, "no memory for a path");
    snprintf(n_files, sizeof n_files, "%zu", sources->n);
    snprintf(written, sizeof written, "%" PRId64, seal_ns);
    for (size_t i = 0; i < sources->n; i++) {
        snprintf(keys[i], sizeof keys[i], "file_%zu", i);
        metadata[FIXED + i][0] = keys[i];
        metadata[FIXED + i][1] = sources->files[i];
    }
    status = wte__safetensors_header((const char *const(*)[2])metadata, FIXED + sources->n, tensors,
                                     n, 0, out, size, err);
    wte__free(path);
    return status;
}

wte_status wte__compiled_write(const char *file, const wte__sources *sources,
                               const wte_tokenizer *t, wte_error *err)
{
    const int64_t seal_ns = wte__cache_seal_ns();
    wte__outfile f = {-1, NULL, NULL};
    wte__tensor tensors[N_PARTS];
    int64_t numbers[N_INFO];
    specials s = {NULL, NULL, NULL, NULL};
    arrays a = {{NULL}, {0}};
    char *header = NULL;
    size_t n = 0, header_size = 0;
    uint64_t at = 0;
    wte_status status;

    if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
        return wte__fail(err, WTE_E_UNSUPPORTED, "%s: safetensors files are little-endian", file);
    if (!pack(t, numbers, &s, &a)) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory to write %s", file);
        goto cleanup;
    }
    memset(tensors, 0, sizeof tensors);
    for (part p = 0; p < N_PARTS; p++)
        if (a.data[p]) {
            tensors[n++] = (wte__tensor){.name = parts[p].name,
                                         .dtype = parts[p].dtype,
                                         .element = parts[p].element,
                                         .shape = {a.n[p]},
                                         .n_dims = 1,
                                         .begin = at,
                                         .size = a.n[p] * parts[p].element};
            at += a.n[p] * parts[p].element;
        }
    status = make_header(sources, t, seal_ns, tensors, n, &header, &header_size, err);
    if (status == WTE_OK)
        status = wte__outfile_open(&f, file, err);
    if (status == WTE_OK)
        status = wte__outfile_pwrite(&f, header, header_size, 0, err);
    at = header_size;
    for (part p = 0; p < N_PARTS && status == WTE_OK; p++) {
        status = wte__outfile_pwrite(&f, a.data[p], a.n[p] * parts[p].element, at, err);
        at += a.n[p] * parts[p].element;
    }
    if (status == WTE_OK)
        status = wte__cache_seal(&f, seal_ns, err);
    if (status == WTE_OK)
        status = wte__outfile_commit(&f, err);
cleanup:
    wte__outfile_abort(&f);
    specials_free(&s);
    wte__free(header);
    return status;
}

/* ---- reading ----------------------------------------------------------------------------- */

/* True if the file was made from these files as they are now, by this program, and is whole. */
static bool is_current(const wte__safetensors *st, const wte__map *map, const char *file,
                       const wte__sources *sources)
{
    const char *version = wte__safetensors_metadata(st, "version");
    const char *format = wte__safetensors_metadata(st, "format");
    uint64_t number = 0;

    if (!version || strcmp(version, VERSION) != 0 || !format ||
        strcmp(format, "wte-tokenizer") != 0 || !wte__safetensors_number(st, "files", &number) ||
        number != sources->n)
        return false;
    for (size_t i = 0; i < sources->n; i++) {
        const char *said;
        char key[32];

        snprintf(key, sizeof key, "file_%zu", i);
        said = wte__safetensors_metadata(st, key);
        if (!said || strcmp(said, sources->files[i]) != 0)
            return false;
    }
    return wte__safetensors_number(st, "written_ns", &number) &&
           number == (uint64_t)map->mtime_ns && !wte__has_holes(file, map->size);
}

static bool find_arrays(const wte__safetensors *st, const unsigned char *data, arrays *a)
{
    for (part p = 0; p < N_PARTS; p++) {
        const wte__tensor *t = wte__safetensors_find(st, parts[p].name);

        if (!t)
            continue;
        if (strcmp(t->dtype, parts[p].dtype) != 0 || t->n_dims != 1 ||
            t->begin % parts[p].element != 0)
            return false;
        put(a, p, data + t->begin, t->shape[0]);
    }
    return true;
}

/* True if offsets [n] begin with 0, never go down and end inside `size` bytes. */
static bool offsets_fit(const uint32_t *offsets, size_t n, size_t size)
{
    uint32_t down = 0;

    if (!offsets || n == 0 || offsets[0] != 0)
        return false;
    for (size_t i = 1; i < n; i++)
        down |= offsets[i] < offsets[i - 1];
    return !down && offsets[n - 1] <= size;
}

static bool bind_vocab(const arrays *a, part bytes, part offsets, wte__vocab *v)
{
    if (!a->data[bytes] || !a->data[USED] || a->n[bytes] < WTE__VOCAB_SPARE ||
        a->n[offsets] != a->n[USED] + 1 || a->n[USED] == 0 || a->n[USED] >= UINT32_MAX ||
        !offsets_fit(a->data[offsets], a->n[offsets], a->n[bytes] - WTE__VOCAB_SPARE))
        return false;
    v->bytes = a->data[bytes];
    v->offsets = a->data[offsets];
    v->used = a->data[USED];
    v->n = (uint32_t)a->n[USED];
    return true;
}

/* The hash has to lead to ids only, and every search in it has to end. */
static bool bind_hash(const arrays *a, wte__vocab *v)
{
    const uint64_t *hash = a->data[SPELLING_HASH];
    const uint64_t n_ids = v->n;
    size_t n = a->n[SPELLING_HASH];
    bool bad = false, any_free = false;

    if (!hash || n == 0 || n > UINT32_MAX || (n & (n - 1)) != 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        bool is_free = hash[i] == UINT64_MAX;

        any_free |= is_free;
        bad |= ((hash[i] & UINT32_MAX) >= n_ids) & !is_free;
    }
    v->hash = hash;
    v->hash_mask = (uint32_t)(n - 1);
    return !bad && any_free;
}

static bool bind_info(wte_tokenizer *t, const arrays *a, const char *source)
{
    static const char *const sources[] = {"vocab.json and merges.txt", "vocab.txt",
                                          "tokenizer.json", "GGUF"};
    const int64_t *numbers = a->data[INFO];
    wte_tokenizer_info *info = &t->info;
    int64_t *const roles[] = {&info->unk,  &info->cls, &info->sep, &info->pad,
                              &info->mask, &info->bos, &info->eos};

    if (!numbers || a->n[INFO] != N_INFO || numbers[N_VOCAB] != t->spelling.n || !source)
        return false;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (strcmp(source, sources[i]) == 0)
            info->source = sources[i];
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        *roles[i] = numbers[UNK + i];
        if (*roles[i] < -1 || *roles[i] >= t->spelling.n)
            return false;
    }
    info->kind = numbers[KIND] == WTE_TOKENIZER_BERT ? WTE_TOKENIZER_BERT : WTE_TOKENIZER_GPT2;
    info->n_vocab = t->spelling.n;
    info->n_holes = (uint32_t)numbers[N_HOLES];
    info->do_lower_case = numbers[LOWER] != 0;
    info->strip_accents = numbers[STRIP] != 0;
    info->tokenize_chinese_chars = numbers[CHINESE] != 0;
    info->add_prefix_space = numbers[PREFIX] != 0;
    return info->source != NULL;
}

static wte_status bind_specials(wte_tokenizer *t, const arrays *a, wte_error *err)
{
    const uint32_t *offsets = a->data[SPECIAL_OFFSETS], *ids = a->data[SPECIAL_IDS];
    const uint8_t *flags = a->data[SPECIAL_FLAGS];
    const char *text = a->data[SPECIAL_TEXT];
    size_t n = a->n[SPECIAL_IDS];

    if (!ids || !flags || !text || n > MAX_SPECIALS || a->n[SPECIAL_OFFSETS] != n + 1 ||
        a->n[SPECIAL_FLAGS] != n || !offsets_fit(offsets, n + 1, a->n[SPECIAL_TEXT]))
        return wte__fail(err, WTE_E_FORMAT, "special tokens that do not fit");
    t->specials = wte__calloc(n, sizeof *t->specials);
    if (!t->specials)
        return wte__fail(err, WTE_E_NOMEM, "no memory for %zu special tokens", n);
    for (size_t i = 0; i < n; i++) {
        wte__special *s = &t->specials[i];

        s->len = offsets[i + 1] - offsets[i];
        s->id = ids[i];
        if (s->len == 0 || s->id >= t->spelling.n || !t->spelling.used[s->id])
            return wte__fail(err, WTE_E_FORMAT, "a special token that is none");
        s->text = wte__strndup(text + offsets[i], s->len);
        if (!s->text)
            return wte__fail(err, WTE_E_NOMEM, "no memory for %zu special tokens", n);
        t->n_specials++;
        s->lstrip = (flags[i] & FLAG_LSTRIP) != 0;
        s->rstrip = (flags[i] & FLAG_RSTRIP) != 0;
        s->single_word = (flags[i] & FLAG_WORD) != 0;
        s->normalized = (flags[i] & FLAG_NORMAL) != 0;
    }
    t->info.n_special = (uint32_t)n;
    return WTE_OK;
}

static wte_status bind_family(wte_tokenizer *t, const arrays *a, wte_error *err)
{
    const int64_t *numbers = a->data[INFO];

    if (t->info.kind == WTE_TOKENIZER_GPT2) {
        const wte__gpt2 g = {.slots = a->data[GPT2_SLOTS],
                             .filter = a->data[GPT2_FILTER],
                             .results = a->data[GPT2_RESULTS],
                             .byte_ranks = a->data[GPT2_BYTE_RANKS],
                             .seams = a->data[GPT2_SEAMS],
                             .byte_ids = a->data[GPT2_BYTE_IDS],
                             .n_slots = a->n[GPT2_SLOTS],
                             .n_merges = (uint32_t)a->n[GPT2_RESULTS],
                             .max_piece = (uint32_t)numbers[MAX_PIECE]};

        if (!g.slots || !g.results || a->n[GPT2_RESULTS] >= WTE__GPT2_RANKS ||
            a->n[GPT2_FILTER] != WTE__GPT2_FILTER_WORDS || a->n[GPT2_BYTE_RANKS] != 65536 ||
            a->n[GPT2_SEAMS] != 65536 / 64 || a->n[GPT2_BYTE_IDS] != 256 ||
            numbers[MAX_PIECE] < 0 || numbers[MAX_PIECE] > UINT32_MAX)
            return wte__fail(err, WTE_E_FORMAT, "tables of other sizes");
        return wte__gpt2_attach(t, &g, err);
    }
    const wte__bert_tables b = {.slots = a->data[BERT_SLOTS],
                                .filter = a->data[BERT_FILTER],
                                .decoded = a->data[BERT_DECODED],
                                .n_slots = a->n[BERT_SLOTS] / 2,
                                .longest = (size_t)numbers[LONGEST]};

    if (!b.slots || !b.decoded || a->n[BERT_FILTER] != WTE__BERT_FILTER_WORDS ||
        a->n[BERT_DECODED] != ((size_t)t->spelling.n + 1) * sizeof *b.decoded)
        return wte__fail(err, WTE_E_FORMAT, "tables of other sizes");
    return wte__bert_attach(t, &b, err);
}

/* Point a tokenizer to the arrays of a file. */
static wte_status bind(wte_tokenizer *t, const wte__safetensors *st, wte_error *err)
{
    const int64_t *numbers;
    arrays a = {{NULL}, {0}};
    wte_status status;

    if (!find_arrays(st, t->compiled.data, &a) ||
        !bind_vocab(&a, SPELLING_BYTES, SPELLING_OFFSETS, &t->spelling) ||
        !bind_hash(&a, &t->spelling) || !bind_info(t, &a, wte__safetensors_metadata(st, "source")))
        return wte__fail(err, WTE_E_FORMAT, "arrays that do not fit together");
    numbers = a.data[INFO];
    t->piece = t->spelling;
    if (numbers[KIND] == WTE_TOKENIZER_GPT2) {
        if (!bind_vocab(&a, PIECE_BYTES, PIECE_OFFSETS, &t->piece))
            return wte__fail(err, WTE_E_FORMAT, "arrays that do not fit together");
        t->piece.hash = NULL;
        t->piece.hash_mask = 0;
    }
    status = bind_specials(t, &a, err);
    return status == WTE_OK ? bind_family(t, &a, err) : status;
}

wte_status wte__compiled_open(const char *file, const wte__sources *sources, wte_tokenizer **out,
                              wte_error *err)
{
    wte__safetensors st = {NULL, 0, NULL};
    wte_tokenizer *t = wte__calloc(1, sizeof *t);
    wte_error why = {WTE_OK, 0, ""};
    wte_status status;

    if (!t)
        return wte__fail(err, WTE_E_NOMEM, "no memory for a tokenizer");
    status = wte__map_open(&t->compiled, file, &why);
    if (status == WTE_OK)
        status = wte__safetensors_parse(t->compiled.data, t->compiled.size, file, &st, &why);
    if (status == WTE_OK && !is_current(&st, &t->compiled, file, sources))
        status = wte__fail(&why, WTE_E_NOTFOUND, "the files have changed since");
    if (status == WTE_OK)
        status = bind(t, &st, &why);
    wte__safetensors_free(&st);
    if (status != WTE_OK) {
        wte_tokenizer_free(t);
        return status == WTE_E_NOMEM ? wte__fail(err, status, "no memory to open %s", file)
                                     : wte__fail(err, WTE_E_NOTFOUND, "%s: %s", file, why.message);
    }
    t->info.compiled = 1;
    *out = t;
    return WTE_OK;
}
