/* SPDX-License-Identifier: MIT */
/* gpt2_merge.c - byte-pair encoding (Sennrich et al. 2016), short pieces and long ones
 *
 * Short pieces, up to 64 bytes: a token keeps the place of its first byte, and a word of 64 bits
 * says at which bytes tokens begin, so that a neighbour is one count of zeros away and nothing is
 * moved. The key of a place is the rank of the pair that begins there, then the place: the least
 * key is the leftmost of the lowest rank, found by looking at all. What takes time is memory and
 * branches that cannot be foreseen, so both neighbours are asked about always, also where there is
 * none, and the answers wait for each other nowhere.
 *
 * Words, up to 15 bytes, side by side: the same, but in steps. Each word does one merge and asks
 * for the slots of its two new pairs; by the time that all have asked, the first answers are there.
 * What one word alone would wait for, the memory, the others use, and no branch depends on an
 * answer: those that did, for pairs that are seldom a merge and words without a left neighbour,
 * took a third of the time.
 *
 * Long pieces, up to 4 GiB: the same with a tree over the ranks, each node the least of its 16
 * children, so that finding the lowest rank and changing one are a few short loops, and a megabyte
 * of one letter takes n log n. Compared with the usual heap of (rank, place) nothing in it is ever
 * out of date, and it is half as large. Within a rank the work goes from left to right, so most of
 * what is touched is near what was touched before.
 *
 * Layout of `tokens`, a number a byte of text, for a token of `length` bytes at `begin`:
 *   [begin]                         its id
 *   [begin + 1 .. begin + length)   INSIDE; the first and the last of them INSIDE | length
 * which is what both neighbours need to find each other. A linked list would take 12 bytes more.
 * Layout of `tree`: a rank for each byte, then each level above, every level a multiple of 16. */
#include "token/gpt2_merge.h"
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum {
    NOWHERE = WTE__GPT2_SHORT, /* the place of a neighbour that there is not */
    LANES = 8,                 /* words that are merged side by side */
    LANE_BITS = 4,
    BEHIND = 1 << LANE_BITS, /* the place behind all others of a word */
    ONE = 1 << (24 + LANE_BITS),
    FAN = 16,
    MAX_LEVELS = 9 /* 16^8 is 2^32 */
};

static const uint32_t INSIDE = 0x80000000u;
static const uint32_t NO_RANK = WTE__GPT2_RANKS;
static const uint32_t NO_KEY = (uint32_t)WTE__GPT2_RANKS << 8; /* and all that are greater */

size_t wte__gpt2_merge_short(const wte__gpt2 *g, const char *bytes, size_t n, uint32_t *ids)
{
    uint32_t keys[WTE__GPT2_SHORT + 1], tokens[WTE__GPT2_SHORT + 1];
    uint64_t begins = ~(uint64_t)0 >> (64 - n);
    size_t n_ids = 0;

    for (size_t i = 0; i < n; i++)
        tokens[i] = g->byte_ids[(unsigned char)bytes[i]];
    for (size_t i = 0; i + 1 < n; i++)
        keys[i] = g->byte_ranks[wte__gpt2_two(bytes + i)] << 8 | (uint32_t)i;
    keys[n - 1] = NO_KEY;
    tokens[NOWHERE] = 0;
    for (;;) {
        uint32_t least = NO_KEY, rank;
        unsigned at, right, next, left;
        uint64_t after, before;

        for (size_t i = 0; i + 1 < n; i++)
            least = keys[i] < least ? keys[i] : least;
        if (least == NO_KEY)
            break;
        at = least & 0xFF;
        tokens[at] = wte__gpt2_result(g, least >> 8);
        after = begins & ~(uint64_t)1 << at;
        right = (unsigned)__builtin_ctzll(after);
        begins ^= (uint64_t)1 << right;
        keys[right] = NO_KEY;
        after &= after - 1;
        before = begins & (((uint64_t)1 << at) - 1);
        next = after ? (unsigned)__builtin_ctzll(after) : NOWHERE;
        left = before ? 63 - (unsigned)__builtin_clzll(before) : NOWHERE;
        rank = wte__gpt2_rank(g, tokens[at], tokens[next]);
        keys[at] = (after ? rank : NO_RANK) << 8 | at;
        keys[left] = wte__gpt2_rank(g, tokens[left], tokens[at]) << 8 | left;
    }
    for (; begins; begins &= begins - 1)
        ids[n_ids++] = tokens[__builtin_ctzll(begins)];
    return n_ids;
}

/* ---- words side by side ---------------------------------------------------------------------- */

/* A word while it is merged. Its places are those of its bytes and one more, so that 0 is left of
 * all and BEHIND is right of all: neighbours that there are not, which no merge joins. */
typedef struct lane {
    int32_t keys[BEHIND]; /* ONE | rank << LANE_BITS | place */
    uint32_t tokens[BEHIND + 1];
    uint32_t begins;
    unsigned at, left;        /* of the pairs asked about: the new token, and the one before it */
    uint64_t pairs[2];        /* the new token with its right neighbour, its left one with it */
    const uint64_t *slots[2]; /* where their ranks are, if they are merges */
    uint32_t *ids;
} lane;

static inline int32_t lane_key(uint32_t rank, unsigned place)
{
    return (int32_t)(ONE | rank << LANE_BITS | place);
}

static void enter(const wte__gpt2 *g, lane *l, const wte__gpt2_word *w, uint32_t *ids)
{
    const int32_t n = w->length;
    int32_t keys[BEHIND];

    keys[0] = keys[BEHIND - 1] = lane_key(NO_RANK, 0);
    for (unsigned i = 0; i + 1 < WTE__GPT2_WORD; i++) {
        uint32_t rank = g->byte_ranks[wte__gpt2_two((const char *)w->bytes + i)] & NO_RANK;

        keys[i + 1] = lane_key(rank, i + 1);
    }
    for (int32_t i = 0; i < BEHIND; i++) /* none begins at the last byte, or behind it */
        l->keys[i] = keys[i] | ((n - 1 - i) >> 31 & lane_key(NO_RANK, 0));
    for (unsigned i = 0; i < WTE__GPT2_WORD; i++) /* those behind the end do no harm */
        l->tokens[i + 1] = g->byte_ids[w->bytes[i]];
    l->tokens[0] = l->tokens[BEHIND] = WTE__GPT2_IDS;
    l->begins = ((uint32_t)2 << n) - 2;
    l->ids = ids;
}

/* The least of the keys. They are above 2^28 and below 2^29: as float32 they have the same order,
 * none is a denormal or a NaN, and the oldest vector instructions have a minimum. */
#if defined(__SSE2__)
static inline int32_t least_key(const int32_t *keys)
{
    __m128 m[BEHIND / 4];

    for (int i = 0; i < BEHIND / 4; i++)
        m[i] = _mm_castsi128_ps(_mm_loadu_si128((const __m128i *)(const void *)(keys + 4 * i)));
    m[0] = _mm_min_ps(_mm_min_ps(m[0], m[1]), _mm_min_ps(m[2], m[3]));
    m[0] = _mm_min_ps(m[0], _mm_movehl_ps(m[0], m[0]));
    m[0] = _mm_min_ss(m[0], _mm_shuffle_ps(m[0], m[0], 1));
    return _mm_cvtsi128_si32(_mm_castps_si128(m[0]));
}
#else
static inline int32_t least_key(const int32_t *keys)
{
    int32_t least = keys[0];

    for (int i = 1; i < BEHIND; i++)
        least = keys[i] < least ? keys[i] : least;
    return least;
}
#endif

/* Where the rank of a pair is to be found; it is fetched meanwhile. The filter would spare most of
 * these, but asking it takes longer than fetching one too many. */
static inline const uint64_t *ask(const wte__gpt2 *g, uint64_t pair)
{
    const uint64_t *slots = g->slots + wte__gpt2_bucket(g, wte__gpt2_hash(pair));

    __builtin_prefetch(slots);
    return slots;
}

/* What a slot of the pair leaves of itself is its rank, what another leaves is more. */
static inline uint32_t answer(const wte__gpt2 *g, uint64_t pair, const uint64_t *slots)
{
    uint64_t found = NO_RANK, has_room;

    for (int k = 0; k < WTE__GPT2_BUCKET; k++) {
        uint64_t rest = slots[k] ^ pair << 24;

        found = rest < found ? rest : found;
    }
    has_room = slots[WTE__GPT2_BUCKET - 1] == WTE__GPT2_FREE; /* then none is behind it */
    if (__builtin_expect((has_room | (found ^ NO_RANK)) == 0, 0))
        return wte__gpt2_rank(g, (uint32_t)(pair >> WTE__GPT2_TOKEN_BITS),
                              (uint32_t)pair & WTE__GPT2_IDS);
    return (uint32_t)found;
}

/* Join the pair of the lowest rank, and ask about the two new ones. False if there is none. */
static inline bool join_first(const wte__gpt2 *g, lane *l)
{
    const int32_t least = least_key(l->keys);
    uint32_t after, before, token;
    unsigned at, right, next, left;

    if (least >= lane_key(NO_RANK, 0))
        return false;
    at = (unsigned)least % BEHIND;
    token = wte__gpt2_result(g, ((uint32_t)least & (ONE - 1)) >> LANE_BITS);
    after = l->begins & ~(uint32_t)1 << at;
    right = (unsigned)__builtin_ctz(after);
    l->keys[right] = lane_key(NO_RANK, 0);
    before = (l->begins & (((uint32_t)1 << at) - 1)) | 1;
    l->begins ^= after & -after;
    after &= after - 1;
    next = (unsigned)__builtin_ctz(after | (uint32_t)1 << BEHIND);
    left = 31 ^ (unsigned)__builtin_clz(before);
    l->tokens[at] = token;
    l->at = at;
    l->left = left;
    l->pairs[0] = wte__gpt2_pair(token, l->tokens[next]);
    l->pairs[1] = wte__gpt2_pair(l->tokens[left], token);
    l->slots[0] = ask(g, l->pairs[0]);
    l->slots[1] = ask(g, l->pairs[1]);
    return true;
}

static inline void note_answers(const wte__gpt2 *g, lane *l)
{
    l->keys[l->at] = lane_key(answer(g, l->pairs[0], l->slots[0]), l->at);
    l->keys[l->left] = lane_key(answer(g, l->pairs[1], l->slots[1]), l->left);
}

/* Most words are of up to four tokens: four are written, whether there are as many or not. */
static void leave(const lane *l)
{
    uint32_t begins = l->begins, n = 0;

    for (; n < 4; n++, begins &= begins - 1)
        l->ids[n] = l->tokens[__builtin_ctz(begins | (uint32_t)1 << BEHIND)];
    if (__builtin_expect(begins != 0, 0)) {
        for (; begins; begins &= begins - 1)
            l->ids[n++] = l->tokens[__builtin_ctz(begins)];
    } else {
        begins = l->begins & (l->begins - 1);
        n = 1 + (begins != 0);
        begins &= begins - 1;
        n += begins != 0;
        begins &= begins - 1;
        n += begins != 0;
    }
    l->ids[WTE__GPT2_WORD] = n;
}

void wte__gpt2_merge_words(const wte__gpt2 *g, const wte__gpt2_word *words, size_t n,
                           uint32_t (*ids)[WTE__GPT2_WORD + 1])
{
    lane lanes[LANES], *busy[LANES];
    size_t n_busy = 0, n_entered = 0;

    for (; n_busy < LANES && n_busy < n; n_busy++, n_entered++) {
        busy[n_busy] = &lanes[n_busy];
        enter(g, busy[n_busy], &words[n_entered], ids[n_entered]);
    }
    while (n_busy) {
        for (size_t i = 0; i < n_busy;) {
            if (join_first(g, busy[i])) {
                i++;
                continue;
            }
            leave(busy[i]);
            if (n_entered < n) {
                enter(g, busy[i], &words[n_entered], ids[n_entered]);
                n_entered++;
            } else {
                busy[i] = busy[--n_busy];
            }
        }
        for (size_t i = 0; i < n_busy; i++)
            note_answers(g, busy[i]);
    }
}

/* ---- long pieces ----------------------------------------------------------------------------- */

typedef struct tree {
    uint32_t *levels[MAX_LEVELS]; /* [0] the ranks, the last one node */
    unsigned n_levels;
} tree;

static size_t round_up(size_t n)
{
    return (n + FAN - 1) / FAN * FAN;
}

/* Numbers in the tree of n ranks; with `t`, also where its levels begin. */
static size_t lay_out(size_t n, uint32_t *numbers, tree *t)
{
    size_t total = 0;
    unsigned k = 0;

    for (;; n = (n + FAN - 1) / FAN, k++) {
        if (t)
            t->levels[k] = numbers + total;
        total += round_up(n);
        if (n == 1)
            break;
    }
    if (t)
        t->n_levels = k + 1;
    return total;
}

static bool make_room(wte__gpt2_long *l, size_t n)
{
    size_t capacity = n < 1024 ? 1024 : n;

    if (n <= l->capacity)
        return true;
    wte__gpt2_long_free(l);
    l->tokens = wte__alloc_aligned(capacity, sizeof *l->tokens);
    l->tree = wte__alloc_aligned(lay_out(capacity, NULL, NULL), sizeof *l->tree);
    if (!l->tokens || !l->tree) {
        wte__gpt2_long_free(l);
        return false;
    }
    l->capacity = capacity;
    return true;
}

void wte__gpt2_long_free(wte__gpt2_long *l)
{
    wte__free(l->tokens);
    wte__free(l->tree);
    memset(l, 0, sizeof *l);
}

static uint32_t least_of(const uint32_t *numbers)
{
    uint32_t least = numbers[0];

    for (int i = 1; i < FAN; i++)
        least = numbers[i] < least ? numbers[i] : least;
    return least;
}

static void plant(const wte__gpt2 *g, tree *t, uint32_t *numbers, const char *bytes, size_t n)
{
    uint32_t *ranks = numbers;

    lay_out(n, numbers, t);
    for (size_t i = 0; i + 1 < n; i++) {
        uint32_t rank = g->byte_ranks[wte__gpt2_two(bytes + i)];

        ranks[i] = rank < NO_RANK ? rank : NO_RANK;
    }
    for (size_t i = n - 1; i < round_up(n); i++)
        ranks[i] = NO_RANK;
    for (unsigned k = 1; k < t->n_levels; k++) {
        const uint32_t *below = t->levels[k - 1];

        n = (n + FAN - 1) / FAN;
        for (size_t i = 0; i < round_up(n); i++)
            t->levels[k][i] = i < n ? least_of(below + i * FAN) : NO_RANK;
    }
}

/* Change the rank of a place. */
static void set_rank(const tree *t, size_t at, uint32_t rank)
{
    uint32_t old = t->levels[0][at];

    t->levels[0][at] = rank;
    for (unsigned k = 1; k < t->n_levels && rank != old; k++) {
        size_t parent = at / FAN;
        uint32_t before = t->levels[k][parent];

        if (rank > old) {
            if (before != old)
                return;
            rank = least_of(t->levels[k - 1] + parent * FAN);
        } else if (rank >= before) {
            return;
        }
        t->levels[k][parent] = rank;
        old = before;
        at = parent;
    }
}

/* The leftmost place with the least rank, which *rank receives. */
static size_t find_least(const tree *t, uint32_t *rank)
{
    const uint32_t least = t->levels[t->n_levels - 1][0];
    size_t at = 0;

    for (unsigned k = t->n_levels - 1; k-- > 0;)
        for (at *= FAN; t->levels[k][at] != least;)
            at++;
    *rank = least;
    return at;
}

/* Where the token that begins at `at` ends. */
static size_t end_of(const uint32_t *tokens, size_t n, size_t at)
{
    return at + 1 < n && tokens[at + 1] & INSIDE ? at + (tokens[at + 1] & ~INSIDE) : at + 1;
}

/* Where the token that ends before `at` begins. */
static size_t begin_before(const uint32_t *tokens, size_t at)
{
    return tokens[at - 1] & INSIDE ? at - (tokens[at - 1] & ~INSIDE) : at - 1;
}

/* Join two tokens, and find out what their neighbours say to that. */
static void join(const wte__gpt2 *g, uint32_t *tokens, const tree *t, size_t n, uint32_t result,
                 size_t left, size_t right, size_t end)
{
    uint32_t rank = NO_RANK;

    tokens[left] = result;
    tokens[right] = INSIDE;
    tokens[left + 1] = tokens[end - 1] = INSIDE | (uint32_t)(end - left);
    set_rank(t, right, NO_RANK);
    if (end < n)
        rank = wte__gpt2_rank(g, result, tokens[end]);
    set_rank(t, left, rank);
    if (left) {
        size_t before = begin_before(tokens, left);

        set_rank(t, before, wte__gpt2_rank(g, tokens[before], result));
    }
}

bool wte__gpt2_merge_long(const wte__gpt2 *g, wte__gpt2_long *l, const char *bytes, size_t n,
                          wte__gpt2_tell tell, void *data)
{
    tree t = {{NULL}, 0};
    uint32_t rank;

    if (!make_room(l, n))
        return false;
    for (size_t i = 0; i < n; i++)
        l->tokens[i] = g->byte_ids[(unsigned char)bytes[i]];
    plant(g, &t, l->tree, bytes, n);
    for (;;) {
        size_t left = find_least(&t, &rank), right, end;

        if (rank == NO_RANK)
            return true;
        right = end_of(l->tokens, n, left);
        end = end_of(l->tokens, n, right);
        if (tell)
            tell(data, rank, left, right, end);
        join(g, l->tokens, &t, n, wte__gpt2_result(g, rank), left, right, end);
    }
}

uint32_t wte__gpt2_next(const wte__gpt2_long *l, size_t n, size_t *at)
{
    uint32_t id = l->tokens[*at];

    *at = end_of(l->tokens, n, *at);
    return id;
}
