/* SPDX-License-Identifier: MIT */
/* suggest.c - words like one that is not there
 *
 * First the same word in other case, then words within edit distance 1, then 2, each by row: rows
 * of word vectors are usually sorted by frequency, so the commonest candidates come first. The
 * distance counts insertions, deletions, substitutions and swaps of neighbours (optimal string
 * alignment, Damerau 1964) over bytes, case ignored in ASCII.
 *
 * All words are tried in one pass. Three cheap tests leave few for the distance itself: the lengths
 * differ by at most 2; the sets of bytes in both words (a 32-bit mask each) differ in few members,
 * as an edit changes at most two; and the distance is computed only in the band of two beside the
 * diagonal, and given up as soon as a whole row of it exceeds 2. */
#include <stdlib.h>
#include "space/backing.h"

enum {
    MAX_DISTANCE = 2,
    MAX_WORD = 128, /* longer words get no suggestions but other case */
    ROWS_PER_BLOCK = 16384,
    MAX_SUGGESTIONS = 32
};

typedef struct suggestion {
    uint32_t id;
    uint32_t distance; /* 0: other case */
} suggestion;

typedef struct search {
    const wte_space *space;
    const unsigned char *word; /* [len] folded */
    size_t len, k, max_distance;
    uint32_t mask;
    pthread_mutex_t lock;
    suggestion best[MAX_SUGGESTIONS]; /* [n_best] in order */
    size_t n_best;
} search;

static unsigned char fold(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

static uint32_t bytes_mask(const unsigned char *s, size_t n)
{
    uint32_t mask = 0;

    for (size_t i = 0; i < n; i++)
        mask |= 1u << (fold(s[i]) & 31);
    return mask;
}

/* Distance of the folded word a to b, or MAX_DISTANCE + 1 if it is more. */
static unsigned distance(const unsigned char *a, size_t n_a, const unsigned char *b, size_t n_b)
{
    unsigned rows[3][MAX_WORD + MAX_DISTANCE + 2];
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];

    for (size_t j = 0; j <= n_b; j++)
        last[j] = (unsigned)j;
    for (size_t i = 1; i <= n_a; i++) {
        size_t from = i > MAX_DISTANCE ? i - MAX_DISTANCE : 1;
        size_t to = i + MAX_DISTANCE < n_b ? i + MAX_DISTANCE : n_b;
        unsigned least = MAX_DISTANCE + 1, *spare = before;

        now[from - 1] = from == 1 ? (unsigned)i : MAX_DISTANCE + 1;
        for (size_t j = from; j <= to; j++) {
            unsigned char c = fold(b[j - 1]);
            unsigned d = last[j - 1] + (a[i - 1] != c);

            if (j < i + MAX_DISTANCE && last[j] + 1 < d)
                d = last[j] + 1;
            if (now[j - 1] + 1 < d)
                d = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == fold(b[j - 2]) && a[i - 2] == c &&
                before[j - 2] + 1 < d)
                d = before[j - 2] + 1;
            now[j] = d;
            if (d < least)
                least = d;
        }
        if (least > MAX_DISTANCE)
            return MAX_DISTANCE + 1;
        before = last;
        last = now;
        now = spare;
    }
    return last[n_b];
}

static bool comes_before(suggestion a, suggestion b)
{
    return a.distance != b.distance ? a.distance < b.distance : a.id < b.id;
}

/* Insert into a sorted list of at most k. */
static void keep(suggestion *best, size_t *n_best, size_t k, suggestion s)
{
    size_t i = *n_best;

    if (i == k && (k == 0 || !comes_before(s, best[k - 1])))
        return;
    if (i == k)
        i--;
    else
        ++*n_best;
    for (; i > 0 && comes_before(s, best[i - 1]); i--)
        best[i] = best[i - 1];
    best[i] = s;
}

static bool same_folded(const search *q, const unsigned char *word, size_t len)
{
    if (len != q->len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (fold(word[i]) != q->word[i])
            return false;
    return true;
}

static void search_block(void *ctx, size_t block, unsigned worker)
{
    search *q = ctx;
    const uint32_t begin = (uint32_t)(block * ROWS_PER_BLOCK);
    const uint32_t left = q->space->rows.n_rows - begin;
    const uint32_t end = begin + (left < ROWS_PER_BLOCK ? left : ROWS_PER_BLOCK);
    suggestion best[MAX_SUGGESTIONS];
    size_t n_best = 0;

    (void)worker;
    for (uint32_t id = begin; id < end; id++) {
        size_t len = 0;
        const unsigned char *word = (const void *)wte_space_word(q->space, id, &len);
        unsigned d = 0;

        if (len + MAX_DISTANCE < q->len || len > q->len + MAX_DISTANCE)
            continue;
        if (!same_folded(q, word, len)) {
            if (q->max_distance == 0)
                continue;
            if (__builtin_popcount(q->mask ^ bytes_mask(word, len)) > 2 * MAX_DISTANCE)
                continue;
            d = distance(q->word, q->len, word, len);
            if (d > q->max_distance)
                continue;
            if (d == 0) /* equal but for case, which same_folded has seen */
                continue;
        }
        if (wte__hash_find(q->space, (const char *)word, len) == id) /* no duplicate */
            keep(best, &n_best, q->k, (suggestion){id, d});
    }
    if (n_best == 0)
        return;
    pthread_mutex_lock(&q->lock);
    for (size_t i = 0; i < n_best; i++)
        keep(q->best, &q->n_best, q->k, best[i]);
    pthread_mutex_unlock(&q->lock);
}

void wte_space_suggest(const wte_space *space, const char *word, size_t len, size_t k,
                       uint32_t *out, size_t *out_n)
{
    const size_t n_blocks = ((size_t)space->rows.n_rows + ROWS_PER_BLOCK - 1) / ROWS_PER_BLOCK;
    unsigned char folded[MAX_WORD];
    search q = {.space = space, .word = folded, .len = len};

    *out_n = 0;
    if (len > sizeof folded || len == 0 || wte__space_measure(space, 0, NULL) != WTE_OK ||
        pthread_mutex_init(&q.lock, NULL) != 0)
        return;
    for (size_t i = 0; i < len; i++)
        folded[i] = fold((unsigned char)word[i]);
    q.mask = bytes_mask(folded, len);
    /* two edits turn any word of two letters into any other */
    q.max_distance = len >= 4 ? 2 : len >= 2 ? 1 : 0;
    q.k = k < MAX_SUGGESTIONS ? k : MAX_SUGGESTIONS;
    wte__parallel(n_blocks, wte__threads(0, n_blocks), search_block, &q);
    pthread_mutex_destroy(&q.lock);
    for (size_t i = 0; i < q.n_best; i++)
        out[(*out_n)++] = q.best[i].id;
}

const char *wte__show_word(const char *word, size_t len, char *out, size_t size)
{
    static const char cut[] = "...";
    size_t used = 0, i = 0;

    while (i < len) {
        uint32_t code = 0;
        size_t n = wte__utf8_decode(word + i, len - i, &code);
        size_t room = n ? n : 1;

        if (used + room + sizeof cut > size) {
            memcpy(out + used, cut, sizeof cut);
            return out;
        }
        if (n == 0 || code < 0x20 || (code >= 0x7F && code < 0xA0)) {
            out[used++] = '?';
            i += room;
        } else {
            memcpy(out + used, word + i, n);
            used += n;
            i += n;
        }
    }
    out[used] = '\0';
    return out;
}

const char *wte__show_suggestions(const wte_space *space, const char *word, size_t len, char *out,
                                  size_t size)
{
    uint32_t ids[3];
    size_t n = 0, used = 0;

    wte_space_suggest(space, word, len, sizeof ids / sizeof *ids, ids, &n);
    out[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        char shown[64];
        size_t word_len = 0;
        const char *like = wte_space_word(space, ids[i], &word_len);

        if (used + sizeof shown + 8 > size)
            break;
        wte__show_word(like, word_len, shown, sizeof shown);
        used += (size_t)snprintf(out + used, size - used, "%s'%s'", i > 0 ? ", " : "", shown);
    }
    return out;
}
