/* SPDX-License-Identifier: MIT */
/* fuzz_tokenizer.c - tokenizer files of any content, and texts against a slow implementation
 *
 * The first byte says what the rest is:
 *
 *   v  vocab.json, a zero byte, merges.txt
 *   j  tokenizer.json
 *   t  vocab.txt
 *   anything else is a number of merges: two bytes for each, then a text. The merges make a GPT-2
 *      tokenizer over the 256 bytes, and the text is encoded by it in every way there is and by the
 *      plainest code that does what GPT-2's does: the ids must be equal. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "token/load.h"
#include "token/unicode.h"

enum { MAX_TOKENS = 256 + 255, MAX_PIECE = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- files --------------------------------------------------------------------------------- */

static void use(const wte_tokenizer *t)
{
    static const char text[] = "The theory of relativity is\n caf\xC3\xA9 \xE6\xBC\xA2 [MASK] aaaa";
    wte_encoder *e = NULL;
    wte_encoding got;
    char *back = NULL;
    size_t len;

    if (wte_encoder_new(t, &e, NULL) != WTE_OK)
        return;
    if (wte_encode(e, text, sizeof text - 1, WTE_ENCODE_SPECIAL | WTE_ENCODE_SPANS, &got, NULL) !=
        WTE_OK)
        abort();
    for (size_t i = 0; i < got.n; i++)
        if (got.spans[i].begin > got.spans[i].end || got.spans[i].end > sizeof text - 1 ||
            !wte_tokenizer_spelling(t, got.ids[i], &len))
            abort();
    if (wte_decode(t, got.ids, got.n, WTE_DECODE_CLEAN_UP, &back, &len, NULL) != WTE_OK)
        abort();
    wte_text_free(back);
    wte_encoder_free(e);
}

static void write_all(const char *path, const uint8_t *data, size_t size)
{
    FILE *f = fopen(path, "wb");

    if (!f || (size && fwrite(data, 1, size, f) != size) || fclose(f) != 0)
        abort();
}

static void open_files(char kind, const uint8_t *data, size_t size)
{
    static char folder[64], first[96], second[96];
    const uint8_t *zero = memchr(data, 0, size);
    wte_tokenizer *t = NULL;
    wte_error err;

    if (!*folder) {
        snprintf(folder, sizeof folder, "/tmp/wte-fuzz-%ld", (long)getpid());
        if (mkdir(folder, 0700) != 0)
            abort();
    }
    snprintf(first, sizeof first, "%s/%s", folder,
             kind == 'v'   ? "vocab.json"
             : kind == 'j' ? "tokenizer.json"
                           : "vocab.txt");
    snprintf(second, sizeof second, "%s/merges.txt", folder);
    if (kind == 'v' && zero) {
        write_all(first, data, (size_t)(zero - data));
        write_all(second, zero + 1, size - (size_t)(zero + 1 - data));
    } else {
        write_all(first, data, size);
    }
    if (wte_tokenizer_open(folder, &t, &err) == WTE_OK)
        use(t);
    wte_tokenizer_free(t);
    remove(first);
    remove(second);
    rmdir(folder);
    *folder = '\0';
}

/* ---- a tokenizer from bytes ---------------------------------------------------------------- */

typedef struct plain {
    char pieces[MAX_TOKENS][MAX_PIECE];
    size_t lengths[MAX_TOKENS];
    uint32_t n;
    wte__merge merges[255];
    uint32_t n_merges;
} plain;

static size_t spell(const char *piece, size_t len, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned b = (unsigned char)piece[i], code = b, before = 0;

        if (!((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174)) {
            for (unsigned a = 0; a < b; a++)
                before += !((a >= 33 && a <= 126) || (a >= 161 && a <= 172) || a >= 174);
            code = 256 + before;
        }
        if (code >= 0x80)
            out[n++] = (char)(0xC0 | code >> 6);
        out[n++] = (char)(code < 0x80 ? code : 0x80 | (code & 0x3F));
    }
    return n;
}

static void add_merge(plain *p, uint32_t left, uint32_t right)
{
    size_t len = p->lengths[left] + p->lengths[right];

    if (len > MAX_PIECE)
        return;
    for (uint32_t i = 0; i < p->n_merges; i++)
        if (p->merges[i].left == left && p->merges[i].right == right)
            return;
    memcpy(p->pieces[p->n], p->pieces[left], p->lengths[left]);
    memcpy(p->pieces[p->n] + p->lengths[left], p->pieces[right], p->lengths[right]);
    p->lengths[p->n] = len;
    for (uint32_t i = 0; i <= p->n; i++)
        if (p->lengths[i] == len && memcmp(p->pieces[i], p->pieces[p->n], len) == 0) {
            p->merges[p->n_merges++] = (wte__merge){left, right, i};
            p->n += i == p->n;
            return;
        }
}

static wte_tokenizer *build(const plain *p)
{
    static char strings[MAX_TOKENS * 2 * MAX_PIECE];
    uint64_t offsets[MAX_TOKENS + 1] = {0};
    wte_tokenizer *t = NULL;
    wte__builder b;

    for (uint32_t i = 0; i < p->n; i++)
        offsets[i + 1] = offsets[i] + spell(p->pieces[i], p->lengths[i], strings + offsets[i]);
    if (wte__builder_begin(&b, WTE_TOKENIZER_GPT2, "fuzz", "fuzz", strings, offsets, NULL, p->n,
                           NULL) != WTE_OK)
        abort();
    for (uint32_t i = 0; i < p->n_merges; i++) {
        const wte__merge *m = &p->merges[i];

        if (wte__builder_merge(
                &b, strings + offsets[m->left], (size_t)(offsets[m->left + 1] - offsets[m->left]),
                strings + offsets[m->right], (size_t)(offsets[m->right + 1] - offsets[m->right]),
                i + 1, NULL) != WTE_OK)
            abort();
    }
    if (wte__builder_end(&b, &t, NULL) != WTE_OK)
        abort();
    wte__builder_free(&b);
    return t;
}

/* ---- the plainest way ---------------------------------------------------------------------- */

/* Ill-formed subparts become U+FFFD. */
static size_t repair(const char *s, size_t n, char *out)
{
    size_t at = 0;

    for (size_t i = 0; i < n;) {
        uint32_t code;
        size_t len = wte__utf8_decode(s + i, n - i, &code);

        memcpy(out + at, len ? s + i : "\xEF\xBF\xBD", len ? len : 3);
        at += len ? len : 3;
        i += len ? len : wte__utf8_bad_length(s + i, n - i);
    }
    return at;
}

/* The class of the character at i as a letter, and its length. */
static char class_at(const char *s, size_t n, size_t i, size_t *len)
{
    uint32_t code = 0;
    unsigned bits;

    *len = 0;
    if (i >= n)
        return 'E';
    *len = wte__utf8_decode(s + i, n - i, &code);
    bits = wte__unicode_class(code);
    return bits & WTE__CLASS_LETTER   ? 'L'
           : bits & WTE__CLASS_NUMBER ? 'N'
           : bits & WTE__CLASS_SPACE  ? 'S'
                                      : 'O';
}

/* Where the pre-token that begins at i ends: the pattern's alternatives in their order. */
static size_t match(const char *s, size_t n, size_t i)
{
    static const char *const contractions[] = {"'s", "'d", "'m", "'t", "'ll", "'ve", "'re"};
    size_t j = i, len, last = 0;
    char class;

    for (size_t k = 0; k < 7; k++)
        if (n - i >= strlen(contractions[k]) &&
            memcmp(s + i, contractions[k], strlen(contractions[k])) == 0)
            return i + strlen(contractions[k]);
    if (s[j] == ' ' && j + 1 < n && class_at(s, n, j + 1, &len) != 'S')
        j++;
    class = class_at(s, n, j, &len);
    if (class != 'S') {
        while (class_at(s, n, j, &len) == class)
            j += len;
        return j;
    }
    while (class_at(s, n, j, &len) == 'S') {
        last = len;
        j += len;
    }
    return j < n && j - last > i ? j - last : j;
}

/* Merge one pre-token. */
static size_t merge(const plain *p, const char *s, size_t n, uint32_t *ids)
{
    for (size_t i = 0; i < n; i++)
        ids[i] = (unsigned char)s[i];
    for (;;) {
        uint32_t best = p->n_merges;
        size_t at = 0;

        for (size_t i = 0; i + 1 < n; i++)
            for (uint32_t r = 0; r < best; r++)
                if (p->merges[r].left == ids[i] && p->merges[r].right == ids[i + 1]) {
                    best = r;
                    at = i;
                }
        if (best == p->n_merges)
            return n;
        ids[at] = p->merges[best].result;
        memmove(ids + at + 1, ids + at + 2, (n - at - 2) * sizeof *ids);
        n--;
    }
}

static void nothing(void *data, const wte_explain_step *step)
{
    (void)data;
    (void)step;
}

static void check(const uint32_t *a, size_t n, const uint32_t *b, size_t m)
{
    if (n != m || (n && memcmp(a, b, n * sizeof *a) != 0))
        abort();
}

static void compare(const plain *p, const char *text, size_t n)
{
    wte_tokenizer *t = build(p);
    char *good = malloc(3 * n + 1), *back = NULL;
    uint32_t *want = malloc((3 * n + 1) * sizeof *want), *ids = NULL;
    size_t n_good, n_want = 0, n_ids, len;
    wte_encoder *e = NULL;
    wte_encoding got;

    if (!good || !want || wte_encoder_new(t, &e, NULL) != WTE_OK)
        abort();
    n_good = repair(text, n, good);
    for (size_t i = 0; i < n_good;) {
        size_t end = match(good, n_good, i);

        n_want += merge(p, good + i, end - i, want + n_want);
        i = end;
    }
    for (unsigned round = 0; round < 3; round++) {
        if (wte_encode(e, text, n, round == 1 ? WTE_ENCODE_SPANS : 0, &got, NULL) != WTE_OK)
            abort();
        check(got.ids, got.n, want, n_want);
        for (size_t i = 0; got.spans && i < got.n; i++)
            if (got.spans[i].begin >= got.spans[i].end || got.spans[i].end > n)
                abort();
    }
    if (wte_encode_explain(e, text, n, 0, nothing, NULL, NULL) != WTE_OK)
        abort();
    check(e->ids, e->n, want, n_want);
    if (wte_encode_parallel(t, text, n, 0, 1, &ids, &n_ids, NULL) != WTE_OK)
        abort();
    check(ids, n_ids, want, n_want);
    if (wte_decode(t, ids, n_ids, 0, &back, &len, NULL) != WTE_OK || len != n_good ||
        memcmp(back, good, len) != 0)
        abort();
    wte_ids_free(ids);
    wte_text_free(back);
    wte_encoder_free(e);
    wte_tokenizer_free(t);
    free(want);
    free(good);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static plain p;
    size_t n;

    if (size < 1)
        return 0;
    if (data[0] == 'v' || data[0] == 'j' || data[0] == 't') {
        open_files((char)data[0], data + 1, size - 1);
        return 0;
    }
    n = data[0];
    if (size < 1 + 2 * n)
        return 0;
    p.n = 256;
    p.n_merges = 0;
    for (unsigned b = 0; b < 256; b++) {
        p.pieces[b][0] = (char)(unsigned char)b;
        p.lengths[b] = 1;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t left = data[1 + 2 * i], right = data[2 + 2 * i];

        /* bytes that text hardly has stand for the tokens made so far */
        if (left >= 128 && p.n > 256 && left % 2)
            left = 256 + left % (p.n - 256);
        if (right >= 128 && p.n > 256 && right % 2)
            right = 256 + right % (p.n - 256);
        add_merge(&p, left, right);
    }
    compare(&p, (const char *)data + 1 + 2 * n, size - 1 - 2 * n);
    return 0;
}
