/* SPDX-License-Identifier: MIT */
/* test_gpt2_merge.c - the parts of GPT-2's encoding against their definitions, written plainly
 *
 * Merging against "the lowest rank, the leftmost of equals, until there is none"; cut and
 * remembered pre-tokens against whole ones; tables that are taken as they are against those that
 * were built. */
#include "support.h"
#include "token/gpt2_merge.h"
#include "token/unicode.h"

static wte_tokenizer *open_folder(const char *folder)
{
    wte_tokenizer *t = NULL;
    wte_error err = {0};
    char path[1024];

    snprintf(path, sizeof path, "%s", folder);
    if (wte_tokenizer_open(path, &t, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return t;
}

/* GPT-2's own vocabulary where it is there, else the small one. */
static wte_tokenizer *open_any(void)
{
    const char *folder = shared_file("data/gpt2");

    return open_folder(folder ? folder : test_file("golden/gpt2_small"));
}

/* ---- merging --------------------------------------------------------------------------------- */

/* The rank of a pair, by looking at all slots. */
static uint32_t plain_rank(const wte__gpt2 *g, uint32_t left, uint32_t right)
{
    for (uint64_t i = 0; i < g->n_slots; i++)
        if (g->slots[i] != UINT64_MAX && g->slots[i] >> 44 == left &&
            (g->slots[i] >> 24 & 0xFFFFF) == right)
            return (uint32_t)(g->slots[i] & 0xFFFFFF);
    return 0xFFFFFF;
}

/* The definition. */
static size_t plain_merge(const wte__gpt2 *g, const char *bytes, size_t n, uint32_t *ids)
{
    for (size_t i = 0; i < n; i++)
        ids[i] = g->byte_ids[(unsigned char)bytes[i]];
    for (;;) {
        uint32_t least = 0xFFFFFF;
        size_t at = 0;

        for (size_t i = 0; i + 1 < n; i++) {
            uint32_t rank = wte__gpt2_rank(g, ids[i], ids[i + 1]);

            if (rank < least) {
                least = rank;
                at = i;
            }
        }
        if (least == 0xFFFFFF)
            return n;
        ids[at] = g->results[least];
        memmove(ids + at + 1, ids + at + 2, (n - at - 2) * sizeof *ids);
        n--;
    }
}

/* Bytes that merge often: pieces of the vocabulary, cut anywhere, and runs. */
static void random_piece(const wte_tokenizer *t, uint64_t *seed, char *out, size_t n)
{
    size_t at = 0;

    while (at < n) {
        uint32_t id = (uint32_t)(wte__random(seed) % t->piece.n);
        size_t length = (size_t)(t->piece.offsets[id + 1] - t->piece.offsets[id]);
        size_t times = wte__random(seed) % 8 ? 1 : 5;

        length = length > 1 && wte__random(seed) % 3 == 0 ? length - 1 : length;
        for (; times-- && at < n; at += length) {
            length = length < n - at ? length : n - at;
            memcpy(out + at, t->piece.bytes + t->piece.offsets[id], length);
        }
    }
}

static void pairs_have_the_ranks_of_their_merges(void **state)
{
    wte_tokenizer *t = open_folder(test_file("golden/gpt2_small"));
    const wte__gpt2 *g = t->family;
    size_t n_merges = 0;
    (void)state;

    for (uint32_t left = 0; left < t->piece.n; left++)
        for (uint32_t right = 0; right < 300 && right < t->piece.n; right++) {
            uint32_t rank = wte__gpt2_rank(g, left, right);

            n_merges += rank != 0xFFFFFF;
            if (rank != 0xFFFFFF || right % 100 == 0)
                assert_int_equal(rank, plain_rank(g, left, right));
        }
    assert_true(n_merges > 0);
    wte_tokenizer_free(t);
}

typedef struct told {
    size_t n, bytes, last;
    bool good;
} told;

static void tell(void *data, uint32_t rank, size_t left, size_t right, size_t end)
{
    told *x = data;

    x->n++;
    x->bytes += end - left;
    x->good = x->good && left < right && right < end && end <= x->last && rank < 0xFFFFFF;
}

static void short_and_long_pieces_merge_as_defined(void **state)
{
    enum { MANY = TEST_FEWER ? 300 : 6000, LONGEST = 700 };
    static char bytes[LONGEST];
    static uint32_t want[LONGEST], got[LONGEST];
    wte_tokenizer *t = open_any();
    const wte__gpt2 *g = t->family;
    wte__gpt2_long l = {NULL, NULL, 0};
    uint64_t seed = 11;
    (void)state;

    for (size_t i = 0; i < MANY; i++) {
        size_t n = 1 + wte__random(&seed) % (i % 16 ? WTE__GPT2_SHORT : LONGEST), n_want, n_got = 0;
        told x = {0, 0, n, true};

        random_piece(t, &seed, bytes, n);
        n_want = plain_merge(g, bytes, n, want);
        if (n <= WTE__GPT2_SHORT) {
            assert_int_equal(wte__gpt2_merge_short(g, bytes, n, got), n_want);
            assert_memory_equal(got, want, n_want * sizeof *want);
        }
        assert_true(wte__gpt2_merge_long(g, &l, bytes, n, tell, &x));
        for (size_t at = 0; at < n;)
            got[n_got++] = wte__gpt2_next(&l, n, &at);
        assert_int_equal(n_got, n_want);
        assert_memory_equal(got, want, n_want * sizeof *want);
        assert_int_equal(x.n, n - n_want);
        assert_true(x.good);
    }
    wte__gpt2_long_free(&l);
    wte_tokenizer_free(t);
}

static void words_merge_as_defined_side_by_side(void **state)
{
    wte_tokenizer *t = open_any();
    const wte__gpt2 *g = t->family;
    uint64_t seed = 17;
    (void)state;

    for (size_t n = 0; n < (TEST_FEWER ? 40 : 200); n++) {
        wte__gpt2_word words[200] = {{{0}, 0}};
        uint32_t got[200][WTE__GPT2_WORD + 1], want[WTE__GPT2_WORD];

        for (size_t i = 0; i < n; i++) {
            words[i].length = (unsigned char)(1 + wte__random(&seed) % WTE__GPT2_WORD);
            if (wte__random(&seed) % 8 == 0)
                memset(words[i].bytes, "a \0\xFF"[wte__random(&seed) % 4], words[i].length);
            else
                random_piece(t, &seed, (char *)words[i].bytes, words[i].length);
        }
        wte__gpt2_merge_words(g, words, n, got);
        for (size_t i = 0; i < n; i++) {
            size_t n_want = plain_merge(g, (const char *)words[i].bytes, words[i].length, want);

            assert_int_equal(got[i][WTE__GPT2_WORD], n_want);
            assert_memory_equal(got[i], want, n_want * sizeof *want);
        }
    }
    wte_tokenizer_free(t);
}

/* In one batch: more new words than are merged at once, some of them twice, of many ids and of one,
 * known ones between them. */
static void new_words_get_their_ids_where_they_stand(void **state)
{
    wte_tokenizer *t = open_any();
    uint64_t seed = 23;
    (void)state;

    for (int turn = 0; turn < (TEST_FEWER ? 20 : 100); turn++) {
        wte_encoder *e = NULL;
        wte_encoding got;
        char text[1500];
        uint32_t want[sizeof text];
        size_t len = 0, n = 0;

        while (len + 40 < sizeof text) {
            size_t begin = len, n_letters = wte__random(&seed) % 14;
            unsigned kinds = turn % 2 ? 3 : 26;

            text[len++] = ' ';
            text[len++] = (char)('a' + wte__random(&seed) % kinds);
            for (size_t i = 0; i < n_letters; i++)
                text[len++] = (char)('a' + wte__random(&seed) % kinds);
            n += plain_merge(t->family, text + begin, len - begin, want + n);
        }
        assert_int_equal(wte_encoder_new(t, &e, NULL), WTE_OK);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(wte_encode(e, text, len, 0, &got, NULL), WTE_OK);
            assert_int_equal(got.n, n);
            assert_memory_equal(got.ids, want, n * sizeof *want);
        }
        wte_encoder_free(e);
    }
    wte_tokenizer_free(t);
}

static void runs_of_any_length_merge_as_defined(void **state)
{
    enum { LONGEST = 600 };
    static char bytes[LONGEST];
    static uint32_t want[LONGEST];
    wte_tokenizer *t = open_any();
    const wte__gpt2 *g = t->family;
    wte__gpt2_long l = {NULL, NULL, 0};
    (void)state;

    memset(bytes, 'a', sizeof bytes);
    for (size_t n = 1; n < LONGEST; n += 1 + n / 17) {
        size_t n_want = plain_merge(g, bytes, n, want), i = 0;

        assert_true(wte__gpt2_merge_long(g, &l, bytes, n, NULL, NULL));
        for (size_t at = 0; at < n; i++)
            assert_int_equal(wte__gpt2_next(&l, n, &at), want[i]);
        assert_int_equal(i, n_want);
    }
    wte__gpt2_long_free(&l);
    wte_tokenizer_free(t);
}

/* ---- cutting and remembering ----------------------------------------------------------------- */

/* Text of many scripts, most of it without spaces. With `bad`, now and then a byte that is wrong,
 * which `good` has as U+FFFD. */
static size_t random_text(uint64_t *seed, char *out, size_t n, bool bad, char *good, size_t *n_good)
{
    static const struct {
        uint32_t first, last;
    } scripts[] = {{0x4E00, 0x9FFF},   {0x4E00, 0x4FFF}, {0x3040, 0x30FF}, {0xAC00, 0xD7A3},
                   {0x0400, 0x045F},   {0x0600, 0x06FF}, {0x0900, 0x097F}, {0x1F600, 0x1F64F},
                   {0x20000, 0x2A6DF}, {0x3000, 0x3002}, {'a', 'z'},       {'0', '9'},
                   {' ', ' '},         {0x2000, 0x206F}, {0xA0, 0xFF},     {'!', '/'},
                   {'\t', '\r'},       {0xFF00, 0xFFEF}, {0x0300, 0x036F}, {0x0E00, 0x0E7F}};
    size_t at = 0;

    *n_good = 0;
    while (at + 8 * 12 < n) {
        uint64_t r = wte__random(seed);
        size_t k = r % (sizeof scripts / sizeof *scripts), times = r >> 32 & 7;

        for (size_t i = 0; i <= times; i++) {
            uint32_t span = scripts[k].last - scripts[k].first + 1;
            char c[4];
            size_t length =
                wte__utf8_encode(scripts[k].first + (uint32_t)(wte__random(seed) % span), c);

            memcpy(out + at, c, length);
            memcpy(good + *n_good, c, length);
            at += length;
            *n_good += length;
        }
        if (bad && (r >> 40) % 16 == 0) {
            out[at++] = (char)0xFF;
            memcpy(good + *n_good, "\xEF\xBF\xBD", 3);
            *n_good += 3;
        }
    }
    return at;
}

static void assert_same(const uint32_t *a, size_t n_a, const uint32_t *b, size_t n_b)
{
    assert_int_equal(n_a, n_b);
    assert_memory_equal(a, b, n_a * sizeof *a);
}

/* Spans ask for whole pre-tokens, which are merged one by one; without them they are cut, and
 * looked up in batches. Texts that are longer than a cache for short ones go through both. Several
 * threads cut them once more. */
static void cut_pre_tokens_have_the_ids_of_whole_ones(void **state)
{
    enum { SIZE = 200000, GOOD = 3 * SIZE };
    wte_tokenizer *t = open_any();
    char *text = malloc(SIZE), *good = malloc(GOOD);
    uint64_t seed = 3;
    (void)state;

    assert_non_null(text);
    assert_non_null(good);
    for (int round = 0; round < (TEST_FEWER ? 4 : 40); round++) {
        wte_encoder *a = NULL, *b = NULL;
        wte_encoding x, y;
        bool bad = round % 4 == 3;
        size_t n_good = 0, size = round % 5 ? 300 + (size_t)round * 7 : SIZE;
        size_t n = random_text(&seed, text, size, bad, good, &n_good);

        assert_int_equal(wte_encoder_new(t, &a, NULL), WTE_OK);
        assert_int_equal(wte_encoder_new(t, &b, NULL), WTE_OK);
        assert_int_equal(wte_encode(a, text, n, 0, &x, NULL), WTE_OK);
        assert_int_equal(wte_encode(b, text, n, WTE_ENCODE_SPANS, &y, NULL), WTE_OK);
        assert_same(x.ids, x.n, y.ids, y.n);
        assert_int_equal(y.spans[y.n - 1].end, n);
        assert_int_equal(wte_encode(b, good, n_good, 0, &y, NULL), WTE_OK);
        assert_same(x.ids, x.n, y.ids, y.n);
        for (unsigned threads = 1; threads < 4; threads++) { /* cut at ends of lines, too */
            uint32_t *ids = NULL;
            size_t n_ids = 0;

            assert_int_equal(wte_encode_parallel(t, text, n, 0, threads, &ids, &n_ids, NULL),
                             WTE_OK);
            assert_same(x.ids, x.n, ids, n_ids);
            wte_ids_free(ids);
        }
        wte_encoder_free(a);
        wte_encoder_free(b);
    }
    wte_tokenizer_free(t);
    free(text);
    free(good);
}

/* ---- tables from elsewhere ------------------------------------------------------------------- */

static void tables_can_be_taken_as_they_are(void **state)
{
    static const char text[] = "The theory of relativity is \xE6\xBC\xA2\xE5\xAD\x97, isn't it?";
    wte_tokenizer *t = open_any();
    wte_tokenizer other = *t;
    wte_encoder *a = NULL, *b = NULL;
    wte_encoding x, y;
    (void)state;

    other.family = NULL;
    other.info.n_merges = 0;
    assert_int_equal(wte__gpt2_attach(&other, t->family, NULL), WTE_OK);
    assert_int_equal(other.info.n_merges, t->info.n_merges);
    assert_int_equal(wte_encoder_new(t, &a, NULL), WTE_OK);
    assert_int_equal(wte_encoder_new(&other, &b, NULL), WTE_OK);
    assert_int_equal(wte_encode(a, text, sizeof text - 1, 0, &x, NULL), WTE_OK);
    assert_int_equal(wte_encode(b, text, sizeof text - 1, 0, &y, NULL), WTE_OK);
    assert_same(x.ids, x.n, y.ids, y.n);
    wte_encoder_free(a);
    wte_encoder_free(b);
    other.ops->family_free(other.family); /* and the tables are still there */
    assert_int_equal(wte_encoder_new(t, &a, NULL), WTE_OK);
    assert_int_equal(wte_encode(a, text, sizeof text - 1, 0, &x, NULL), WTE_OK);
    wte_encoder_free(a);
    wte_tokenizer_free(t);
}

static void assert_not_attached(wte_tokenizer *t, const wte__gpt2 *tables)
{
    wte_tokenizer other = *t;
    wte_error err = {0};

    other.family = NULL;
    assert_int_equal(wte__gpt2_attach(&other, tables, &err), WTE_E_FORMAT);
    assert_null(other.family);
    assert_true(strlen(err.message) > 0);
}

/* A copy of n numbers, one of them changed. */
static void *changed(const void *from, size_t n, size_t size, size_t at, uint64_t value)
{
    char *copy = malloc(n * size);

    assert_non_null(copy);
    memcpy(copy, from, n * size);
    memcpy(copy + at * size, &value, size);
    return copy;
}

static void tables_that_lead_elsewhere_are_refused(void **state)
{
    wte_tokenizer *t = open_folder(test_file("golden/gpt2_small"));
    const wte__gpt2 good = *(const wte__gpt2 *)t->family;
    size_t used = 0;
    wte__gpt2 g;
    void *copy;
    (void)state;

    while (good.slots[used] == UINT64_MAX)
        used++;
    for (int i = 0; i < 3; i++) { /* a rank, a left and a right piece that there are not */
        static const uint64_t bits[] = {0xFFFFFE, UINT64_C(0xFFFFE) << 24, UINT64_C(0xFFFFE) << 44};

        g = good;
        g.slots = copy = changed(good.slots, good.n_slots, 8, used, good.slots[used] | bits[i]);
        assert_not_attached(t, &g);
        free(copy);
    }
    g = good; /* no free slot: a search would not end */
    g.slots = copy = malloc(good.n_slots * 8);
    assert_non_null(copy);
    for (size_t i = 0; i < good.n_slots; i++)
        ((uint64_t *)copy)[i] = good.slots[used];
    assert_not_attached(t, &g);
    free(copy);
    g = good;
    g.results = copy = changed(good.results, good.n_merges, 4, 1, t->piece.n);
    assert_not_attached(t, &g);
    free(copy);
    g = good; /* a token of another length than its parts */
    g.results = copy = changed(good.results, good.n_merges, 4, 1, good.byte_ids['a']);
    assert_not_attached(t, &g);
    free(copy);
    g = good;
    g.byte_ranks = copy = changed(good.byte_ranks, 65536, 4, 7, good.n_merges);
    assert_not_attached(t, &g);
    free(copy);
    g = good;
    g.byte_ids = copy = changed(good.byte_ids, 256, 4, 7, t->piece.n);
    assert_not_attached(t, &g);
    free(copy);
    g = good;
    g.byte_ids = copy = changed(good.byte_ids, 256, 4, 7, good.results[0]);
    assert_not_attached(t, &g);
    free(copy);
    g = good;
    g.n_slots--;
    assert_not_attached(t, &g);
    g = good;
    g.n_slots = 0;
    assert_not_attached(t, &g);
    g = good;
    g.max_piece = 1;
    assert_not_attached(t, &g);
    wte_tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_have_the_ranks_of_their_merges),
        cmocka_unit_test(short_and_long_pieces_merge_as_defined),
        cmocka_unit_test(words_merge_as_defined_side_by_side),
        cmocka_unit_test(new_words_get_their_ids_where_they_stand),
        cmocka_unit_test(runs_of_any_length_merge_as_defined),
        cmocka_unit_test(cut_pre_tokens_have_the_ids_of_whole_ones),
        cmocka_unit_test(tables_can_be_taken_as_they_are),
        cmocka_unit_test(tables_that_lead_elsewhere_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
