/* SPDX-License-Identifier: MIT */
/* bert.c - BERT's WordPiece
 *
 * BERT's tokenizer (Devlin et al. 2018; BertTokenizer of transformers, the one in Python) reads a
 * text in these steps, each over the whole text:
 *
 *   1. every character is lower-cased by itself (so a final sigma is not special)
 *   2. NUL, U+FFFD and category C (unassigned code points too) go, except tab and line ends;
 *      tab, line ends and Zs become a space
 *   3. ideographs get a space on both sides
 *   4. NFC; then words are cut at white space
 *   5. words are decomposed (NFD) and lose their nonspacing marks (Mn)
 *   6. every punctuation character becomes a word of its own
 *   7. a word is covered from the left by the longest pieces that match, the first as it is, the
 *      others with "##" before them; where none matches, or the word has over 100 characters, the
 *      whole word is [UNK]
 *
 * 1 and 5 are options. The Rust tokenizer keeps unassigned code points and knows no NFC; where the
 * two differ this follows the Python one, which is the older.
 *
 * Here the steps are one pass. Characters go through a small machine (`walk`) that holds the marks
 * of one character, to order and compose them, and the word so far: at most 101 characters. With
 * step 5, NFC is left out, as NFD undoes it. What a code point becomes is kept for the Basic
 * Multilingual Plane in a table (`memo`) that fills as characters are met, so an é costs one load.
 *
 * Most text is ASCII words between ASCII spaces and punctuation, and has a way of its own
 * (encode_ascii): eight bytes at a time are told apart and lower-cased inside one register, and the
 * word, as a key of 16 bytes, waits with up to 127 others while their places among the words seen
 * before come into the cache; then all are looked up. A word that meets a byte that is not such
 * text (a control byte, or above 0x7F) may change as a whole: "=" and U+0338 are one character, and
 * with the letters on both sides one word. So that way then goes back to the last white space,
 * forgets the words since, and lets the machine read up to the next white space. Each byte is read
 * at most twice.
 *
 * Words seen, by either way: buckets of two entries, one cache line. A newcomer takes the second
 * place; a word found there moves to the first, so that frequent words stay.
 *
 *   byte  0  1 .. 14   15       16     20     24     28
 *         the word ..  length   id 0   id 1   id 2   id 3     id 0 has (number of ids - 1) << 30
 *
 * Words over 15 bytes or 4 ids are matched each time. Pieces are found by a hash that grows byte by
 * byte, so all prefixes of a word are hashed in one pass and then looked for, longest first: at
 * most 100 characters times the longest piece for a word, whatever the text.
 *
 * Decoding joins pieces with spaces and glues the "##" ones. The clean-up is ten replacements, one
 * after the other, in the original: " ." to "." and so for ?!, then " ' " to "'", then the spaces
 * before n't 'm 's 've 're. The first four are decided piece by piece; all others have an
 * apostrophe, so one pass over the apostrophes does them, with what is already written as the text
 * that the earlier replacements left. */
#include "token/bert_internal.h"
#include <utf8proc.h>
#include "token/unicode.h"

enum {
    MAX_CHARS = 100,                      /* a longer word is [UNK] */
    MAX_BYTES = 4 * MAX_CHARS,            /* of a word that is not */
    N_BUCKETS_LOG2 = 15,                  /* of two words: 2 MiB */
    N_MEMO = 0x10000,                     /* the Basic Multilingual Plane */
    N_ITEMS = 128,                        /* words that are looked up together */
    N_DECODE = 64,                        /* ids that are decoded together */
    DECODE_BYTES = WTE__BERT_DECODED - 1, /* of a piece that is decoded by one copy */
    DECODE_LONG = 64,                     /* lengths of decoding entries that are none */
    DECODE_UNUSED = 65,                   /* an id that is not in use */
    DECODE_STOP = 128                     /* bit: starts with a space and one of .?!, */
};

/* ---- the tokenizer's own ---------------------------------------------------------------- */

typedef wte__bert_slot slot;
typedef wte__bert_decoded decoded;

/* Classes of bytes. */
enum { BYTE_OTHER, BYTE_WORD, BYTE_SPACE, BYTE_PUNCT };

typedef struct bert {
    const wte__vocab *vocab;
    const slot *slots;      /* [slot_mask + 1] */
    const uint64_t *filter; /* [WTE__BERT_FILTER_WORDS] */
    const decoded *decoded; /* [n_vocab + 1]: a copy may start a byte late and run over */
    void *owned;            /* one block with these three, or NULL: they are borrowed */
    uint32_t slot_mask;
    size_t longest; /* bytes of the longest piece, without ## */
    uint32_t unk;
    bool lower, strip, chinese;
    uint8_t classes[256];
} bert;

#define HASH_FIRST 0xCBF29CE484222325u /* of pieces that start a word */
#define HASH_INNER 0x9AE16A3B2F90404Fu /* of those with ## */

static inline uint64_t hash_byte(uint64_t hash, char byte)
{
    return (hash ^ (unsigned char)byte) * 0x100000001B3u;
}

static inline uint64_t hash_end(uint64_t hash)
{
    hash ^= hash >> 32;
    hash *= 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 29;
}

static inline size_t filter_word(uint64_t hash)
{
    return hash >> 6 & (WTE__BERT_FILTER_WORDS - 1);
}

static inline const char *piece_of(const wte__vocab *vocab, uint32_t id, size_t *len)
{
    *len = (size_t)(vocab->offsets[id + 1] - vocab->offsets[id]);
    return vocab->bytes + vocab->offsets[id];
}

static bool is_inner(const char *s, size_t len)
{
    return len > 2 && s[0] == '#' && s[1] == '#';
}

/* Find the piece that is s, `inner` the one that is ## and s, given the end of s's hash. UINT32_MAX
 * if there is none. */
static uint32_t find_piece(const bert *b, const char *s, size_t len, uint64_t hash, bool inner)
{
    for (uint32_t i = (uint32_t)hash & b->slot_mask;; i = (i + 1) & b->slot_mask) {
        const char *piece;
        size_t n, skip = inner ? 2 : 0;

        if (b->slots[i].id == UINT32_MAX)
            return UINT32_MAX;
        if (b->slots[i].tag != (uint32_t)(hash >> 32))
            continue;
        piece = piece_of(b->vocab, b->slots[i].id, &n);
        if (n == len + skip && is_inner(piece, n) == inner && memcmp(piece + skip, s, len) == 0)
            return b->slots[i].id;
    }
}

/* Cover a word with pieces.
 *   ids  [MAX_CHARS]
 * Returns their number, 0 if the word cannot be covered. */
static size_t match_word(const bert *b, const char *word, size_t len, uint32_t *ids)
{
    uint64_t hashes[MAX_BYTES + 1];
    size_t n = 0;

    for (size_t at = 0; at < len;) {
        uint64_t hash = at ? HASH_INNER : HASH_FIRST;
        size_t end = len - at > b->longest ? at + b->longest : len;
        uint32_t id = UINT32_MAX;

        for (size_t i = at; i < end; i++)
            hashes[i + 1] = hash = hash_byte(hash, word[i]);
        for (; end > at; end--) {
            if (end < len && ((unsigned char)word[end] & 0xC0) == 0x80)
                continue; /* inside a character */
            hash = hash_end(hashes[end]);
            if (!(b->filter[filter_word(hash)] >> (hash & 63) & 1))
                continue;
            id = find_piece(b, word + at, end - at, hash, at > 0);
            if (id != UINT32_MAX)
                break;
        }
        if (id == UINT32_MAX)
            return 0;
        ids[n++] = id;
        at = end;
    }
    return n;
}

/* ---- what a thread keeps ---------------------------------------------------------------- */

typedef struct seen {
    uint64_t key[2];
    uint32_t ids[4];
} seen;

/* A character with where it stood in the text. */
typedef struct mark {
    uint32_t code;
    uint8_t order; /* canonical combining class */
    size_t begin, end;
} mark;

typedef struct state {
    seen *seen;     /* [1 << N_BUCKETS_LOG2][2], at a multiple of 64 bytes */
    uint32_t *memo; /* [N_MEMO]: MEMO_... and a code point, 0 not yet known */
    mark *marks;    /* [n_marks] of one character: its starter, if kept back, and its marks */
    mark *sorted;   /* [sorted_capacity] scratch */
    size_t n_marks, marks_capacity, sorted_capacity;
    char word[MAX_BYTES + 4];
    size_t begins[MAX_CHARS], ends[MAX_CHARS];     /* where each character of the word stood */
    size_t word_begin, word_end, n_bytes, n_chars; /* n_chars goes to MAX_CHARS + 1 and stays */
} state;

static void state_free(void *p)
{
    state *s = p;

    if (!s)
        return;
    wte__free(s->seen);
    wte__free(s->memo);
    wte__free(s->marks);
    wte__free(s->sorted);
    wte__free(s);
}

static wte_status state_new(const wte_tokenizer *t, void **out, wte_error *err)
{
    state *s = wte__calloc(1, sizeof *s);
    (void)t;

    if (!s)
        goto nomem;
    s->seen = wte__alloc_aligned(2u << N_BUCKETS_LOG2, sizeof *s->seen);
    s->memo = wte__calloc(N_MEMO, sizeof *s->memo);
    if (!s->seen || !s->memo)
        goto nomem;
    memset(s->seen, 0, (2u << N_BUCKETS_LOG2) * sizeof *s->seen);
    *out = s;
    return WTE_OK;
nomem:
    state_free(s);
    return wte__fail(err, WTE_E_NOMEM, "no memory for the words seen");
}

/* ---- words seen -------------------------------------------------------------------------- */

/* A word of up to 15 bytes on its way to its ids. */
typedef struct item {
    uint64_t key[2];
    seen *bucket;
} item;

/* The first n < 8 bytes, then zeros. */
static inline uint64_t first_bytes(uint64_t x, size_t n)
{
    return x & ((UINT64_C(1) << 8 * n) - 1);
}

static inline uint64_t read_bytes(const char *p)
{
    uint64_t x = wte__load_u64(p);

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    return x;
}

/* Make a key, and fetch its bucket. */
static inline void make_item(const state *s, uint64_t key0, uint64_t key1, item *out)
{
    uint64_t hash = key0 * 0x9E3779B97F4A7C15u ^ key1 * 0xC2B2AE3D27D4EB4Fu;

    hash = (hash ^ hash << 29) >> (64 - N_BUCKETS_LOG2);
    out->key[0] = key0;
    out->key[1] = key1;
    out->bucket = s->seen + 2 * hash;
    __builtin_prefetch(out->bucket);
}

/* Match a word that was not seen lately, and remember it. Returns the number of its ids. */
static __attribute__((noinline)) size_t match_new(const bert *b, const item *word, uint32_t *out)
{
    uint32_t ids[MAX_CHARS];
    char bytes[16];
    size_t len = (size_t)(word->key[1] >> 56), n;
    seen *bucket = word->bucket;

    for (size_t i = 0; i < 16; i++)
        bytes[i] = (char)(word->key[i / 8] >> 8 * (i % 8));
    n = match_word(b, bytes, len, ids);
    if (n == 0)
        ids[n++] = b->unk;
    memcpy(out, ids, n * sizeof *out);
    if (n <= 4 && ids[0] < 1u << 30) {
        bucket[1] = (seen){{word->key[0], word->key[1]}, {0}};
        memcpy(bucket[1].ids, ids, n * sizeof *ids);
        bucket[1].ids[0] |= (uint32_t)(n - 1) << 30;
    }
    return n;
}

static inline void swap(seen *bucket)
{
    seen second = bucket[1];

    bucket[1] = bucket[0];
    bucket[0] = second;
}

/* Give the ids of a word to out, which has room for 15; returns their number. */
static inline size_t ids_of(const bert *b, const item *word, uint32_t *out)
{
    seen *bucket = word->bucket;

    if (__builtin_expect(bucket[0].key[0] != word->key[0] || bucket[0].key[1] != word->key[1], 0)) {
        if (bucket[1].key[0] != word->key[0] || bucket[1].key[1] != word->key[1])
            return match_new(b, word, out);
        swap(bucket); /* seen again: to the front, where no newcomer pushes it out */
    }
    memcpy(out, bucket[0].ids, sizeof bucket[0].ids);
    out[0] &= (1u << 30) - 1;
    return (bucket[0].ids[0] >> 30) + 1;
}

/* ---- the machine ------------------------------------------------------------------------ */

typedef struct walk {
    const bert *b;
    state *s;
    wte_encoder *e;
    unsigned flags;
    char **text; /* where the normalised text goes instead of to words; NULL when encoding */
    size_t text_n, text_capacity;
    bool nomem;
} walk;

/* What a code point becomes. */
enum {
    MEMO_DROP = 1u << 24,
    MEMO_SPACE = 2u << 24,
    MEMO_CHAR = 3u << 24, /* one character that is no mark */
    MEMO_CJK = 4u << 24,  /* the same, with a space on both sides */
    MEMO_MANY = 5u << 24, /* several, or a mark: see many() */
    MEMO_KIND = 7u << 24,
    MEMO_PUNCT = 1u << 27, /* with CHAR and CJK: the character is punctuation */
    MEMO_CODE = 0x1FFFFF
};

static bool is_punct(uint32_t code)
{
    if (code < 0x80)
        return (code > 32 && code < 48) || (code > 57 && code < 65) || (code > 90 && code < 97) ||
               (code > 122 && code < 127);
    return (wte__unicode_class(code) & WTE__CLASS_PUNCT) != 0;
}

static uint8_t order_of(uint32_t code)
{
    return (uint8_t)utf8proc_get_property((utf8proc_int32_t)code)->combining_class;
}

/* Decompose a code point, without its nonspacing marks if they go.
 *   out  [8]; returns how many */
static size_t decompose(const bert *b, uint32_t code, uint32_t *out)
{
    utf8proc_int32_t parts[16];
    int boundary = 0;
    utf8proc_ssize_t n_parts =
        utf8proc_decompose_char((utf8proc_int32_t)code, parts, 16, UTF8PROC_DECOMPOSE, &boundary);
    size_t n = 0;

    for (utf8proc_ssize_t i = 0; i < n_parts && n < 8; i++)
        if (!b->strip || !(wte__unicode_class((uint32_t)parts[i]) & WTE__CLASS_MARK_NONSPACING))
            out[n++] = (uint32_t)parts[i];
    return n;
}

static uint32_t classify(const bert *b, uint32_t code)
{
    uint32_t parts[8], kind;
    uint8_t class;

    if (b->lower) {
        if (code == 0x130)
            return MEMO_MANY; /* the one that becomes two: i and U+0307 */
        code = (uint32_t)utf8proc_tolower((utf8proc_int32_t)code);
    }
    if (code == ' ' || code == '\t' || code == '\n' || code == '\r')
        return MEMO_SPACE;
    class = wte__unicode_class(code);
    if (code == 0 || code == 0xFFFD || class & (WTE__CLASS_CONTROL | WTE__CLASS_UNASSIGNED))
        return MEMO_DROP;
    if (class & WTE__CLASS_SPACE)
        return MEMO_SPACE;
    kind = class & WTE__CLASS_CJK && b->chinese ? MEMO_CJK : MEMO_CHAR;
    switch (decompose(b, code, parts)) {
    case 0:
        return MEMO_DROP;
    case 1:
        if (order_of(parts[0]) == 0)
            return kind | (is_punct(parts[0]) ? MEMO_PUNCT : 0) | parts[0];
        return MEMO_MANY;
    default:
        return MEMO_MANY;
    }
}

/* Add ids of the word in s->word and start the next. */
static void flush_word(walk *w)
{
    state *s = w->s;
    const bert *b = w->b;
    uint32_t ids[MAX_CHARS];
    size_t n = 0, at = 0, chars = 0;

    if (s->n_chars == 0)
        return;
    if (s->n_bytes <= 15 && s->n_chars > 1) {
        uint64_t x0 = read_bytes(s->word), x1 = read_bytes(s->word + 8);
        uint64_t len = (uint64_t)s->n_bytes << 56;
        item word;

        if (s->n_bytes < 8)
            make_item(s, first_bytes(x0, s->n_bytes), len, &word);
        else
            make_item(s, x0, first_bytes(x1, s->n_bytes - 8) | len, &word);
        n = ids_of(b, &word, ids);
    } else if (s->n_chars <= MAX_CHARS) {
        n = match_word(b, s->word, s->n_bytes, ids);
    }
    if (n == 0)
        ids[n++] = b->unk;
    for (size_t i = 0; i < n; i++) {
        size_t begin = s->word_begin, end = s->word_end;

        if (w->flags & WTE_ENCODE_SPANS && ids[i] != b->unk) {
            size_t len, stop;

            piece_of(b->vocab, ids[i], &len);
            stop = at + len - (i ? 2 : 0);
            begin = s->begins[chars];
            for (; at < stop; at++)
                chars += ((unsigned char)s->word[at] & 0xC0) != 0x80;
            end = s->ends[chars - 1];
        }
        if (!wte__encoder_add(w->e, ids[i], begin, end, w->flags))
            w->nomem = true;
    }
    s->n_chars = s->n_bytes = 0;
}

static void append_text(walk *w, uint32_t code)
{
    if (!wte__grow((void **)w->text, &w->text_capacity, w->text_n + 4, 1))
        w->nomem = true;
    else
        w->text_n += wte__utf8_encode(code, *w->text + w->text_n);
}

/* Take a character that is final. */
static inline void put_char(walk *w, uint32_t code, bool punct, size_t begin, size_t end)
{
    state *s = w->s;

    if (w->text) {
        append_text(w, code);
        return;
    }
    if (punct)
        flush_word(w);
    if (s->n_chars == 0)
        s->word_begin = begin;
    s->word_end = end;
    if (s->n_chars < MAX_CHARS) {
        s->begins[s->n_chars] = begin;
        s->ends[s->n_chars] = end;
        s->n_bytes += wte__utf8_encode(code, s->word + s->n_bytes);
        s->n_chars++;
    } else {
        s->n_chars = MAX_CHARS + 1;
    }
    if (punct)
        flush_word(w);
}

/* Compose two characters, 0 if they do not. */
static uint32_t compose(uint32_t first, uint32_t second)
{
    utf8proc_int32_t pair[3] = {(utf8proc_int32_t)first, (utf8proc_int32_t)second, 0};

    if (second < 0x300)
        return 0;
    if (utf8proc_normalize_utf32(pair, 2, UTF8PROC_COMPOSE | UTF8PROC_STABLE) != 1)
        return 0;
    return (uint32_t)pair[0];
}

/* Order marks[0 .. n) by their class, keeping the order of equals. */
static void sort_marks(walk *w, mark *marks, size_t n)
{
    size_t starts[257] = {0};
    state *s = w->s;
    bool ordered = true;

    for (size_t i = 1; i < n && ordered; i++)
        ordered = marks[i - 1].order <= marks[i].order;
    if (ordered)
        return;
    if (!wte__grow((void **)&s->sorted, &s->sorted_capacity, n, sizeof *s->sorted)) {
        w->nomem = true;
        return;
    }
    for (size_t i = 0; i < n; i++)
        starts[marks[i].order + 1]++;
    for (size_t i = 1; i < 257; i++)
        starts[i] += starts[i - 1];
    for (size_t i = 0; i < n; i++)
        s->sorted[starts[marks[i].order]++] = marks[i];
    memcpy(marks, s->sorted, n * sizeof *marks);
}

/* Put what is kept back in canonical order and, unless marks go, compose it. */
static void resolve(walk *w)
{
    state *s = w->s;
    mark *m = s->marks;
    size_t first = s->n_marks > 0 && m[0].order == 0, kept = first;
    uint8_t last = 0;

    if (s->n_marks <= 1)
        return;
    sort_marks(w, m + first, s->n_marks - first);
    if (!first || w->b->strip)
        return;
    for (size_t i = 1; i < s->n_marks; i++) {
        uint32_t code = last < m[i].order ? compose(m[0].code, m[i].code) : 0;

        if (code) {
            m[0].code = code;
            if (m[i].end > m[0].end)
                m[0].end = m[i].end;
        } else {
            last = m[i].order;
            m[kept++] = m[i];
        }
    }
    s->n_marks = kept;
}

static void flush_marks(walk *w)
{
    state *s = w->s;

    resolve(w);
    for (size_t i = 0; i < s->n_marks; i++) {
        const mark *m = &s->marks[i];

        put_char(w, m->code, is_punct(m->code), m->begin, m->end);
    }
    s->n_marks = 0;
}

static void keep_back(walk *w, uint32_t code, uint8_t order, size_t begin, size_t end)
{
    state *s = w->s;

    if (!wte__grow((void **)&s->marks, &s->marks_capacity, s->n_marks + 1, sizeof *s->marks))
        w->nomem = true;
    else
        s->marks[s->n_marks++] = (mark){code, order, begin, end};
}

/* Take a character that is no mark: nothing after it changes the order of what was before. */
static inline void take_starter(walk *w, uint32_t code, bool punct, size_t begin, size_t end)
{
    state *s = w->s;

    if (w->b->strip) {
        if (s->n_marks)
            flush_marks(w);
        put_char(w, code, punct, begin, end);
        return;
    }
    if (s->n_marks) {
        resolve(w);
        if (s->n_marks == 1 && s->marks[0].order == 0) {
            uint32_t both = compose(s->marks[0].code, code);

            if (both) {
                s->marks[0].code = both;
                s->marks[0].end = end;
                return;
            }
        }
        flush_marks(w);
    }
    keep_back(w, code, 0, begin, end);
}

static void take_space(walk *w)
{
    if (w->s->n_marks)
        flush_marks(w);
    if (w->text)
        append_text(w, ' ');
    else
        flush_word(w);
}

/* Take a code point that becomes several characters, or a mark. */
static void take_many(walk *w, uint32_t code, size_t begin, size_t end)
{
    const bert *b = w->b;
    uint32_t parts[16];
    size_t n;

    if (b->lower && code == 0x130) {
        n = decompose(b, 'i', parts);
        n += decompose(b, 0x307, parts + n);
    } else {
        n = decompose(b, b->lower ? (uint32_t)utf8proc_tolower((utf8proc_int32_t)code) : code,
                      parts);
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t order = order_of(parts[i]);

        if (order)
            keep_back(w, parts[i], order, begin, end);
        else
            take_starter(w, parts[i], is_punct(parts[i]), begin, end);
    }
}

/* Read text[begin .. end), up to and with the first ASCII white space if `one`; returns where it
 * stopped. */
static size_t walk_text(walk *w, const char *text, size_t begin, size_t end, bool one)
{
    const bert *b = w->b;
    state *s = w->s;
    size_t at = begin;

    s->n_marks = s->n_bytes = s->n_chars = 0;
    while (at < end && !w->nomem) {
        uint32_t code = 0, memo;
        size_t from = at, length = wte__utf8_decode(text + at, end - at, &code);

        if (length == 0) {
            at++; /* ill-formed: U+FFFD, which goes */
            continue;
        }
        at += length;
        memo = code < N_MEMO ? s->memo[code] : classify(b, code);
        if (!memo)
            memo = s->memo[code] = classify(b, code);
        switch (memo & MEMO_KIND) {
        case MEMO_SPACE:
            take_space(w);
            if (one && length == 1)
                return at;
            break;
        case MEMO_CHAR:
            take_starter(w, memo & MEMO_CODE, (memo & MEMO_PUNCT) != 0, from, at);
            break;
        case MEMO_CJK:
            take_space(w);
            take_starter(w, memo & MEMO_CODE, (memo & MEMO_PUNCT) != 0, from, at);
            take_space(w);
            break;
        case MEMO_MANY:
            take_many(w, code, from, at);
            break;
        default:
            break;
        }
    }
    flush_marks(w);
    if (!w->text)
        flush_word(w);
    return at;
}

/* ---- the fast way ----------------------------------------------------------------------- */

#define ONES(byte) ((uint64_t)(byte)*0x0101010101010101u)

/* 0x80 in each byte that is an ASCII letter (*letters) or not an ASCII letter or digit (result). */
static inline uint64_t not_word(uint64_t x, uint64_t *letters)
{
    uint64_t low = x & ONES(0x7F), folded = low | ONES(0x20);
    uint64_t letter = (folded + ONES(0x80 - 'a')) & ~(folded + ONES(0x7F - 'z'));
    uint64_t digit = (low + ONES(0x80 - '0')) & ~(low + ONES(0x7F - '9'));

    *letters = letter & ~x & ONES(0x80);
    return (~(letter | digit) | x) & ONES(0x80);
}

/* The fast way's place in a text: items that are not yet ids, and ids. */
typedef struct fast {
    const bert *b;
    const state *s;
    wte_encoder *e;
    size_t n_items, back_item; /* back_item: first one after the last white space, N_ITEMS + 1
                                  where that was before these items, at back_n */
    size_t back_n;             /* ids up to the last white space */
    item items[N_ITEMS];
} fast;

/* Turn items[first .. end) into ids at e->n; there is room. */
static void put_items(fast *f, size_t first, size_t end)
{
    uint32_t *out = f->e->ids + f->e->n;

    for (size_t i = first; i < end; i++)
        out += ids_of(f->b, &f->items[i], out);
    f->e->n = (size_t)(out - f->e->ids);
}

static bool put_all(fast *f)
{
    wte_encoder *e = f->e;
    size_t room = e->n + 15 * N_ITEMS + 4;

    if (room > e->capacity && !wte__grow((void **)&e->ids, &e->capacity, room, sizeof *e->ids))
        return false;
    if (f->back_item <= f->n_items) {
        put_items(f, 0, f->back_item);
        f->back_n = e->n;
        put_items(f, f->back_item, f->n_items);
    } else {
        put_items(f, 0, f->n_items);
    }
    f->n_items = 0;
    f->back_item = N_ITEMS + 1;
    return true;
}

/* Take a word given as a key, or not: writing it and then not counting it saves a branch that is
 * hard to foresee. */
static inline void take_key_if(fast *f, bool taken, uint64_t key0, uint64_t key1)
{
    make_item(f->s, key0, key1, &f->items[f->n_items]);
    f->n_items += taken;
}

/* Take a word of ASCII letters and digits over 15 bytes. */
static bool take_long(fast *f, const char *s, size_t len)
{
    const bert *b = f->b;
    wte_encoder *e = f->e;
    char word[MAX_CHARS];
    size_t n = 0;

    if (!put_all(f) || !wte__grow((void **)&e->ids, &e->capacity, e->n + MAX_CHARS, sizeof *e->ids))
        return false;
    if (len <= MAX_CHARS) {
        for (size_t i = 0; i < len; i++)
            word[i] = b->lower && s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] | 0x20) : s[i];
        n = match_word(b, word, len, e->ids + e->n);
    }
    if (n == 0)
        e->ids[e->n + n++] = b->unk;
    e->n += n;
    return true;
}

static wte_status encode_ascii(walk *w, const char *text, size_t begin, size_t end)
{
    const bert *b = w->b;
    const uint64_t fold = b->lower ? UINT64_MAX : 0;
    fast f = {.b = b, .s = w->s, .e = w->e, .back_n = w->e->n};
    size_t at = begin, back = begin; /* back: after the last white space */

    while (at < end) {
        char tail[16];
        const char *p = text + at;
        uint64_t x0, x1, letters, stop;
        size_t len;
        unsigned class;

        if (f.n_items + 2 > N_ITEMS && !put_all(&f))
            return WTE_E_NOMEM;
        if (end - at < sizeof tail) {
            memset(tail, 0, sizeof tail);
            memcpy(tail, p, end - at);
            p = tail;
        }
        x0 = read_bytes(p);
        stop = not_word(x0, &letters);
        x0 |= letters >> 2 & fold;
        if (stop) {
            len = (size_t)__builtin_ctzll(stop) >> 3;
            take_key_if(&f, len > 0, first_bytes(x0, len), (uint64_t)len << 56);
        } else {
            x1 = read_bytes(p + 8);
            stop = not_word(x1, &letters);
            x1 |= letters >> 2 & fold;
            if (stop) {
                len = (size_t)__builtin_ctzll(stop) >> 3;
                take_key_if(&f, true, x0, first_bytes(x1, len) | (uint64_t)(8 + len) << 56);
                len += 8;
            } else {
                len = 16;
                while (at + len < end && b->classes[(unsigned char)text[at + len]] == BYTE_WORD)
                    len++;
                if (!take_long(&f, text + at, len))
                    return WTE_E_NOMEM;
            }
        }
        at += len;
        if (at == end)
            break;
        class = b->classes[(unsigned char)text[at]];
        if (__builtin_expect(class != BYTE_OTHER, 1)) {
            bool space = class == BYTE_SPACE;

            take_key_if(&f, !space, (unsigned char)text[at++], UINT64_C(1) << 56);
            back = space ? at : back;
            f.back_item = space ? f.n_items : f.back_item;
        } else {
            if (f.back_item <= f.n_items)
                f.n_items = f.back_item; /* forget the items since */
            if (!put_all(&f))
                return WTE_E_NOMEM;
            w->e->n = f.back_n;
            at = walk_text(w, text, back, end, true);
            if (w->nomem)
                return WTE_E_NOMEM;
            back = at;
            f.back_n = w->e->n;
        }
    }
    return put_all(&f) ? WTE_OK : WTE_E_NOMEM;
}

static wte_status encode(wte_encoder *e, const char *text, size_t begin, size_t end, unsigned flags,
                         wte_error *err)
{
    walk w = {.b = e->tokenizer->family, .s = e->state, .e = e, .flags = flags};

    if (flags & WTE_ENCODE_SPANS)
        walk_text(&w, text, begin, end, false);
    else if (encode_ascii(&w, text, begin, end))
        w.nomem = true;
    if (w.nomem)
        return wte__fail(err, WTE_E_NOMEM, "no memory for the ids of %zu bytes", end - begin);
    return WTE_OK;
}

/* ---- explaining ------------------------------------------------------------------------- */

/* Tell a word of the normalised text and its pieces. */
static bool explain_word(wte_encoder *e, const char *word, size_t len, size_t n_chars, size_t begin,
                         size_t end, wte_explain_fn fn, void *data)
{
    const bert *b = e->tokenizer->family;
    uint32_t ids[MAX_CHARS];
    size_t n = 0;
    wte_explain_step step = {.kind = WTE_EXPLAIN_WORD, .text = word, .len = len};

    fn(data, &step);
    if (n_chars <= MAX_CHARS)
        n = match_word(b, word, len, ids);
    if (n == 0) {
        step.kind = WTE_EXPLAIN_UNKNOWN;
        step.id = b->unk;
        fn(data, &step);
        return wte__encoder_add(e, b->unk, begin, end, 0);
    }
    for (size_t i = 0; i < n; i++) {
        step.kind = WTE_EXPLAIN_MATCH;
        step.id = ids[i];
        step.text = piece_of(b->vocab, ids[i], &step.len);
        fn(data, &step);
        if (!wte__encoder_add(e, ids[i], begin, end, 0))
            return false;
    }
    return true;
}

static wte_status explain(wte_encoder *e, const char *text, size_t begin, size_t end,
                          wte_explain_fn fn, void *data, wte_error *err)
{
    char *normal = NULL;
    walk w = {.b = e->tokenizer->family, .s = e->state, .e = e, .text = &normal};
    wte_explain_step step = {.kind = WTE_EXPLAIN_NORMALIZED};
    size_t word = 0, n_chars = 0;

    walk_text(&w, text, begin, end, false);
    step.text = normal ? normal : "";
    step.len = w.text_n;
    if (!w.nomem)
        fn(data, &step);
    for (size_t at = 0; at <= w.text_n && !w.nomem;) {
        uint32_t code = ' ';
        size_t length = at < w.text_n ? wte__utf8_decode(normal + at, w.text_n - at, &code) : 1;
        bool punct = is_punct(code);

        if (code != ' ' && !punct) {
            n_chars++;
            at += length;
            continue;
        }
        if (at > word && !explain_word(e, normal + word, at - word, n_chars, begin, end, fn, data))
            w.nomem = true;
        if (punct && !explain_word(e, normal + at, length, 1, begin, end, fn, data))
            w.nomem = true;
        at += length;
        word = at;
        n_chars = 0;
    }
    wte__free(normal);
    if (w.nomem)
        return wte__fail(err, WTE_E_NOMEM, "no memory to explain %zu bytes", end - begin);
    return WTE_OK;
}

/* ---- decoding --------------------------------------------------------------------------- */

/* Do the replacements that have an apostrophe, in place; returns the new length. */
static size_t clean_apostrophes(char *s, size_t len)
{
    size_t out = 0, in = 0;

    for (;;) {
        const char *found = memchr(s + in, '\'', len - in);
        size_t at = found ? (size_t)(found - s) : len, left;

        if (out != in)
            memmove(s + out, s + in, at - in);
        out += at - in;
        if (!found)
            return out;
        in = at + 1;
        left = len - in;
        if (out > 0 && s[out - 1] == ' ' && left > 0 && s[in] == ' ') {
            s[out - 1] = '\''; /* " ' " */
            in++;
            left--;
        } else {
            s[out++] = '\'';
        }
        if (left >= 1 && s[in] == 't' && out >= 3 && s[out - 2] == 'n' && s[out - 3] == ' ') {
            s[out - 3] = 'n'; /* " n't" */
            s[out - 2] = '\'';
            out--;
        } else if (out >= 2 && s[out - 2] == ' ' &&
                   ((left >= 1 && (s[in] == 'm' || s[in] == 's')) ||
                    (left >= 2 && s[in + 1] == 'e' && (s[in] == 'v' || s[in] == 'r')))) {
            s[out - 2] = '\''; /* " 'm", " 's", " 've", " 're" */
            out--;
        }
    }
}

/* Append one piece that the table does not hold whole, or that is the first. */
static bool decode_slowly(const bert *b, uint32_t id, bool first, bool clean, char **out,
                          size_t *at, size_t *capacity)
{
    size_t len;
    const char *piece = piece_of(b->vocab, id, &len);
    bool glued = !first && len >= 2 && piece[0] == '#' && piece[1] == '#';

    if (glued) {
        piece += 2;
        len -= 2;
    }
    if (!wte__grow((void **)out, capacity, *at + len + 2, 1))
        return false;
    if (!first && !glued && !(clean && b->decoded[id].length & DECODE_STOP))
        (*out)[(*at)++] = ' ';
    memcpy(*out + *at, piece, len);
    *at += len;
    return true;
}

static wte_status decode(const wte_tokenizer *t, const uint32_t *ids, size_t n, unsigned flags,
                         char **out, size_t *len, size_t *capacity, wte_error *err)
{
    const bert *b = t->family;
    const uint32_t n_vocab = b->vocab->n;
    const decoded *table = b->decoded;
    const bool clean = (flags & WTE_DECODE_CLEAN_UP) != 0;
    const unsigned stop = clean ? DECODE_STOP : 0;
    const size_t start = *len;
    size_t at = start, i = 0;

    while (i < n) {
        size_t block = n - i < N_DECODE ? n : i + N_DECODE;
        char *p;

        if (!wte__grow((void **)out, capacity, at + (N_DECODE + 1) * sizeof *table, 1))
            goto nomem;
        p = *out + at;
        for (; i < block; i++) {
            unsigned length = ids[i] < n_vocab ? table[ids[i]].length : DECODE_UNUSED;
            unsigned skip = (length & stop) >> 7;

            length &= DECODE_STOP - 1;
            if (length > DECODE_BYTES || i == 0)
                break;
            /* More than needed, at once. */
            memcpy(p, (const char *)&table[ids[i]] + skip, sizeof *table);
            p += length - skip;
        }
        at = (size_t)(p - *out);
        if (i == block)
            continue;
        if (ids[i] >= n_vocab || table[ids[i]].length == DECODE_UNUSED)
            return wte__bad_id(t, ids, n, i, err);
        if (!decode_slowly(b, ids[i], i == 0, clean, out, &at, capacity))
            goto nomem;
        i++;
    }
    if (clean && at > start)
        at = start + clean_apostrophes(*out + start, at - start);
    *len = at;
    return WTE_OK;
nomem:
    return wte__fail(err, WTE_E_NOMEM, "no memory for the text of %zu ids", n);
}

/* ---- making it -------------------------------------------------------------------------- */

static void bert_free(void *p)
{
    bert *b = p;

    if (!b)
        return;
    wte__free(b->owned);
    wte__free(b);
}

static const wte__family_ops bert_ops = {.state_new = state_new,
                                         .state_free = state_free,
                                         .encode = encode,
                                         .explain = explain,
                                         .decode = decode,
                                         .family_free = bert_free};

static void fill_classes(bert *b)
{
    for (uint32_t c = 0; c < 128; c++) {
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
            b->classes[c] = BYTE_WORD;
        else if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
            b->classes[c] = BYTE_SPACE;
        else if (is_punct(c))
            b->classes[c] = BYTE_PUNCT;
    }
}

/* All but the tables. */
static wte_status bert_new(const wte_tokenizer *t, bert **out, wte_error *err)
{
    bert *b;

    if (t->info.unk < 0 || (uint64_t)t->info.unk >= t->piece.n)
        return wte__fail(err, WTE_E_FORMAT, "the vocabulary has no [UNK]");
    b = wte__calloc(1, sizeof *b);
    if (!b)
        return wte__fail(err, WTE_E_NOMEM, "no memory for a vocabulary of %u pieces", t->piece.n);
    b->vocab = &t->piece;
    b->unk = (uint32_t)t->info.unk;
    b->lower = t->info.do_lower_case != 0;
    b->strip = t->info.strip_accents < 0 ? b->lower : t->info.strip_accents != 0;
    b->chinese = t->info.tokenize_chinese_chars != 0;
    fill_classes(b);
    *out = b;
    return WTE_OK;
}

/* A piece on its way into the table. */
typedef struct newcomer {
    const char *text; /* NULL: matches nothing */
    size_t len;
    uint64_t hash;
    bool inner;
} newcomer;

static newcomer look_at_piece(const bert *b, uint32_t id)
{
    newcomer p = {NULL, 0, HASH_FIRST, false};
    const char *s = piece_of(b->vocab, id, &p.len);

    p.inner = is_inner(s, p.len);
    if (p.inner) {
        p.hash = HASH_INNER;
        p.len -= 2;
        s += 2;
    }
    if (p.len == 0 || p.len > MAX_BYTES || !b->vocab->used[id])
        return p;
    p.text = s;
    for (size_t k = 0; k < p.len; k++)
        p.hash = hash_byte(p.hash, s[k]);
    p.hash = hash_end(p.hash);
    __builtin_prefetch(&b->slots[(uint32_t)p.hash & b->slot_mask], 1);
    return p;
}

/* Returns how many slots were taken before it found one. */
static uint32_t add_piece(bert *b, slot *slots, uint64_t *filter, const newcomer *p, uint32_t id)
{
    uint32_t i = (uint32_t)p->hash & b->slot_mask;

    if (!p->text || find_piece(b, p->text, p->len, p->hash, p->inner) != UINT32_MAX)
        return 0;
    while (slots[i].id != UINT32_MAX)
        i = (i + 1) & b->slot_mask;
    slots[i] = (slot){(uint32_t)(p->hash >> 32), id};
    filter[filter_word(p->hash)] |= UINT64_C(1) << (p->hash & 63);
    if (p->len > b->longest)
        b->longest = p->len;
    return (i - (uint32_t)p->hash) & b->slot_mask;
}

static void fill_decoded(const wte__vocab *vocab, uint32_t id, decoded *d)
{
    size_t len, n = 0;
    const char *s = piece_of(vocab, id, &len);
    bool glued = len >= 2 && s[0] == '#' && s[1] == '#';

    memset(d, 0, sizeof *d);
    if (!vocab->used[id]) {
        d->length = DECODE_UNUSED;
        return;
    }
    if (glued) {
        s += 2;
        len -= 2;
    } else {
        d->text[n++] = ' ';
    }
    if (n + len > sizeof d->text) {
        d->length = DECODE_LONG;
    } else {
        memcpy(d->text + n, s, len);
        d->length = (uint8_t)(n + len);
    }
    if (!glued && len > 0 && (*s == '.' || *s == '?' || *s == '!' || *s == ','))
        d->length |= DECODE_STOP;
}

/* One block: slots, filter, decoded. */
static wte_status build_tables(bert *b, wte_error *err)
{
    enum { AHEAD = 16 };
    const wte__vocab *vocab = b->vocab;
    size_t n_slots = 256;
    newcomer ahead[AHEAD];
    slot *slots;
    uint64_t *filter, steps = 0;
    decoded *entries;

    while (n_slots < 2 * (size_t)vocab->n)
        n_slots *= 2;
    b->owned =
        n_slots > UINT32_MAX
            ? NULL
            : wte__alloc_aligned(n_slots * sizeof *slots + WTE__BERT_FILTER_WORDS * sizeof *filter +
                                     ((size_t)vocab->n + 1) * sizeof *entries,
                                 1);
    if (!b->owned)
        return wte__fail(err, WTE_E_NOMEM, "no memory for a vocabulary of %u pieces", vocab->n);
    b->slots = slots = b->owned;
    b->filter = filter = (uint64_t *)(slots + n_slots);
    b->decoded = entries = (decoded *)(filter + WTE__BERT_FILTER_WORDS);
    memset(slots, 0xFF, n_slots * sizeof *slots);
    memset(filter, 0, WTE__BERT_FILTER_WORDS * sizeof *filter);
    memset(&entries[vocab->n], 0, sizeof *entries);
    entries[vocab->n].length = DECODE_UNUSED;
    b->slot_mask = (uint32_t)(n_slots - 1);
    for (uint32_t begin = 0; begin < vocab->n; begin += AHEAD) {
        uint32_t n = vocab->n - begin < AHEAD ? vocab->n - begin : AHEAD;

        for (uint32_t i = 0; i < n; i++)
            ahead[i] = look_at_piece(b, begin + i);
        for (uint32_t i = 0; i < n; i++) {
            steps += add_piece(b, slots, filter, &ahead[i], begin + i);
            fill_decoded(vocab, begin + i, &entries[begin + i]);
        }
        if (steps > wte__steps_allowed(vocab->n))
            return wte__fail(err, WTE_E_FORMAT,
                             "the tokens were made to collide: no table holds all %u of them",
                             vocab->n);
    }
    return WTE_OK;
}

wte_status wte__bert_init(wte_tokenizer *t, wte_error *err)
{
    bert *b = NULL;
    wte_status status = bert_new(t, &b, err);

    if (status == WTE_OK)
        status = build_tables(b, err);
    if (status != WTE_OK) {
        bert_free(b);
        return status;
    }
    t->ops = &bert_ops;
    t->family = b;
    return WTE_OK;
}

void wte__bert_get_tables(const wte_tokenizer *t, wte__bert_tables *out)
{
    const bert *b = t->family;

    *out =
        (wte__bert_tables){b->slots, b->filter, b->decoded, (size_t)b->slot_mask + 1, b->longest};
}

/* True if every search in the slots ends, and at an id; and no entry says more bytes than it has or
 * goes back. */
static bool tables_fit(const wte__bert_tables *tables, const wte__vocab *vocab)
{
    size_t n_free = 0;
    uint32_t bad = 0;

    if (tables->n_slots == 0 || tables->n_slots > UINT32_MAX ||
        (tables->n_slots & (tables->n_slots - 1)) != 0)
        return false;
    for (size_t i = 0; i < tables->n_slots; i++) {
        uint32_t is_free = tables->slots[i].id == UINT32_MAX;

        n_free += is_free;
        bad |= (uint32_t)(tables->slots[i].id >= vocab->n) & (is_free ^ 1);
    }
    for (size_t i = 0; i <= vocab->n; i++) {
        unsigned length = tables->decoded[i].length & (DECODE_STOP - 1u);
        bool stop = tables->decoded[i].length & DECODE_STOP;
        bool in_use = i < vocab->n && vocab->used[i];

        bad |= (length > DECODE_BYTES && length != DECODE_LONG && length != DECODE_UNUSED) ||
               (stop && length == 0) || (length == DECODE_UNUSED) == in_use;
    }
    return !bad && n_free > 0;
}

wte_status wte__bert_attach(wte_tokenizer *t, const wte__bert_tables *tables, wte_error *err)
{
    bert *b = NULL;
    wte_status status;

    if (!tables_fit(tables, &t->piece))
        return wte__fail(err, WTE_E_FORMAT, "tables that do not fit the vocabulary");
    status = bert_new(t, &b, err);
    if (status != WTE_OK)
        return status;
    b->slots = tables->slots;
    b->filter = tables->filter;
    b->decoded = tables->decoded;
    b->slot_mask = (uint32_t)(tables->n_slots - 1);
    b->longest = tables->longest;
    t->ops = &bert_ops;
    t->family = b;
    return WTE_OK;
}
