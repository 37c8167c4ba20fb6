/* SPDX-License-Identifier: MIT */
/* test_bridge.c - wte/bridge.h against the reference matches, and by hand */
#include <jansson.h>
#include "compare/keys.h"
#include "spaces.h"
#include "wte/bridge.h"
#include "wte/tokenizer.h"

/* ---- spaces of words ---------------------------------------------------------------------- */

/** A space of one dimension over words, some of which may hold any byte. */
static test_space words_space(const char *const *words, const size_t *lengths, uint32_t n,
                              const char *name)
{
    test_space t = {0};
    size_t used = 0;
    wte_error err = {0};

    for (uint32_t i = 0; i < n; i++)
        used += lengths ? lengths[i] : strlen(words[i]);
    t.words = malloc(used + 1);
    t.offsets = calloc((size_t)n + 1, sizeof *t.offsets);
    t.matrix = malloc(((size_t)n + 1) * sizeof *t.matrix);
    assert_true(t.words && t.offsets && t.matrix);
    for (uint32_t i = 0; i < n; i++) {
        const size_t len = lengths ? lengths[i] : strlen(words[i]);

        memcpy(t.words + t.offsets[i], words[i], len);
        t.offsets[i + 1] = t.offsets[i] + len;
        t.matrix[i] = 1 + (float)i;
    }
    if (wte_space_new(name, t.words, t.offsets, t.matrix, WTE_F32, n, 1, 1, 1, &t.space, &err) !=
        WTE_OK)
        fail_msg("%s", err.message);
    return t;
}

/* spelled in pieces, where a letter behind \\x would be read as a digit */
#define STRASSE                                                                                    \
    ("Stra\xC3\x9F"                                                                                \
     "e")
#define LONG               "1234567890123456789012345678901234567890123456789012345678\xC3\xA9"
#define COUNT(a)           (sizeof(a) / sizeof *(a))
#define SPACE(words, name) words_space(words, NULL, (uint32_t)COUNT(words), name)

static wte_bridge *matched(const wte_space *const *spaces, size_t n,
                           const wte_bridge_options *options)
{
    wte_bridge *bridge = NULL;
    wte_error err = {0};

    if (wte_bridge_match(spaces, n, options, &bridge, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return bridge;
}

static wte_bridge *pair_bridge(const test_space *a, const test_space *b,
                               const wte_bridge_options *options)
{
    const wte_space *const spaces[] = {a->space, b->space};

    return matched(spaces, 2, options);
}

/** Fails unless word i is this one with these rows. */
static void expect(const wte_bridge *bridge, size_t i, const char *word, uint32_t a, uint32_t b)
{
    size_t len = 0;
    const char *got = wte_bridge_word(bridge, i, &len);

    assert_non_null(got);
    if (len != strlen(word) || memcmp(got, word, len) != 0)
        fail_msg("word %zu is \"%.*s\", not \"%s\"", i, (int)len, got, word);
    assert_int_equal(wte_bridge_id(bridge, i, 0), a);
    assert_int_equal(wte_bridge_id(bridge, i, 1), b);
}

static const wte_ledger_line *line_of(const wte_bridge *bridge, const char *why)
{
    const wte_ledger_line *lines;
    const size_t n = wte_bridge_ledger(bridge, &lines);

    for (size_t i = 0; i < n; i++)
        if (strcmp(lines[i].why, why) == 0)
            return &lines[i];
    fail_msg("no line \"%s\"", why);
    return NULL;
}

static void expect_line(const wte_bridge *bridge, const char *why, uint64_t count,
                        const char *example)
{
    const wte_ledger_line *line = line_of(bridge, why);

    if (line->count != count)
        fail_msg("%s: %llu, expected %llu", why, (unsigned long long)line->count,
                 (unsigned long long)count);
    if (example)
        assert_string_equal(line->examples[0], example);
}

/** Every row of A is in one line, and those that matched are the bridge's. */
static void expect_whole(const wte_bridge *bridge, uint64_t rows)
{
    const wte_ledger_line *lines;
    const size_t n = wte_bridge_ledger(bridge, &lines);
    uint64_t all = 0, kept = 0;

    for (size_t i = 0; i < n; i++) {
        all += lines[i].count;
        kept += lines[i].matched ? lines[i].count : 0;
        assert_true(i == 0 || lines[i].count > 0);
        assert_int_equal(lines[i].n_examples, lines[i].count < 8 ? lines[i].count : 8);
    }
    assert_string_equal(lines[0].why, "matched");
    assert_int_equal(all, rows);
    assert_int_equal(kept, wte_bridge_length(bridge));
}

/* ---- by hand ------------------------------------------------------------------------------ */

static void words_are_matched_in_the_order_of_a(void **state)
{
    static const char *const in_a[] = {"the", "cat", "\xC3\xA9t\xC3\xA9", "of", "cat", "dog", ""};
    static const char *const in_b[] = {"of", "dog", "The", "cat", "dog", "\xC3\xA9t\xC3\xA9", ""};
    test_space a = SPACE(in_a, "left"), b = SPACE(in_b, "right");
    wte_bridge_options o = WTE_BRIDGE_DEFAULTS;
    wte_bridge *bridge = pair_bridge(&a, &b, NULL);
    (void)state;

    assert_int_equal(wte_bridge_length(bridge), 4);
    assert_int_equal(wte_bridge_spaces(bridge), 2);
    expect(bridge, 0, "cat", 1, 3);
    expect(bridge, 1, "\xC3\xA9t\xC3\xA9", 2, 5);
    expect(bridge, 2, "of", 3, 0);
    expect(bridge, 3, "dog", 5, 1);
    expect_whole(bridge, 7);
    expect_line(bridge, "not in right", 1, "the");
    expect_line(bridge, "duplicate in left", 1, "cat");
    expect_line(bridge, "empty", 1, "");
    wte_bridge_free(bridge);
    o.length = 3;
    o.limit = 2;
    bridge = pair_bridge(&a, &b, &o);
    assert_int_equal(wte_bridge_length(bridge), 2);
    expect(bridge, 1, "\xC3\xA9t\xC3\xA9", 2, 5);
    expect_whole(bridge, 7);
    expect_line(bridge, "other length", 1, "of");
    expect_line(bridge, "over the limit", 1, "dog");
    assert_null(wte_bridge_word(bridge, 2, &(size_t){0}));
    assert_int_equal(wte_bridge_id(bridge, 2, 0), WTE_BRIDGE_PIECES);
    assert_int_equal(wte_bridge_id(bridge, 0, 2), WTE_BRIDGE_PIECES);
    wte_bridge_free(bridge);
    wte_bridge_free(NULL);
    test_space_end(&b);
    test_space_end(&a);
}

static void a_leading_space_is_asked_for(void **state)
{
    static const char *const in_a[] = {"the", "cat", " dog", "of"};
    static const char *const in_b[] = {"the", " cat", " the", " ", " of", "dog", "  dog"};
    const int in_second[] = {0, 1}, in_both[] = {1, 1};
    test_space a = SPACE(in_a, "a"), b = SPACE(in_b, "b");
    wte_bridge_options o = WTE_BRIDGE_DEFAULTS;
    wte_bridge *bridge = pair_bridge(&a, &b, &o);
    (void)state;

    assert_int_equal(wte_bridge_length(bridge), 1);
    expect(bridge, 0, "the", 0, 0);
    wte_bridge_free(bridge);
    o.prefix_space = in_second;
    bridge = pair_bridge(&a, &b, &o);
    assert_int_equal(wte_bridge_length(bridge), 4);
    expect(bridge, 0, "the", 0, 2);
    expect(bridge, 1, "cat", 1, 1);
    expect(bridge, 2, " dog", 2, 6);
    expect(bridge, 3, "of", 3, 4);
    wte_bridge_free(bridge);
    o.prefix_space = in_both;
    bridge = pair_bridge(&b, &a, &o);
    assert_int_equal(wte_bridge_length(bridge), 0);
    expect_whole(bridge, 7);
    expect_line(bridge, "no space in front", 2, "the");
    expect_line(bridge, "empty", 1, "");
    expect_line(bridge, "not in a", 4, "cat");
    wte_bridge_free(bridge);
    test_space_end(&b);
    test_space_end(&a);
}

/* Exact spellings first; of the others one for each word; a row is used once. */
static void case_does_not_matter_where_asked(void **state)
{
    static const char *const in_a[] = {"THE",   "Polish", "the",   "polish",
                                       STRASSE, "paris",  "Paris", "\xC3\x89T\xC3\x89",
                                       "x",     "paris"};
    static const char *const in_b[] = {
        "polish", "the", "Polish", "STRASSE", "PARIS", "pAris", "\xC3\xA9t\xC3\xA9", "The"};
    test_space a = SPACE(in_a, "a"), b = SPACE(in_b, "b");
    wte_bridge_options o = WTE_BRIDGE_DEFAULTS;
    wte_bridge *bridge;
    (void)state;

    o.any_case = 1;
    bridge = pair_bridge(&a, &b, &o);
    assert_int_equal(wte_bridge_length(bridge), 6);
    expect(bridge, 0, "Polish", 1, 2);
    expect(bridge, 1, "the", 2, 1);
    expect(bridge, 2, "polish", 3, 0);
    expect(bridge, 3, STRASSE, 4, 3);
    expect(bridge, 4, "paris", 5, 4);
    expect(bridge, 5, "\xC3\x89T\xC3\x89", 7, 6);
    expect_whole(bridge, 10);
    expect_line(bridge, "matched", 3, "Polish");
    expect_line(bridge, "matched in other case", 2, STRASSE);
    expect_line(bridge, "ambiguous: several spellings, the first taken", 1, "paris");
    expect_line(bridge, "another spelling is matched", 2, "THE");
    expect_line(bridge, "duplicate in a", 1, "paris");
    expect_line(bridge, "not in b", 1, "x");
    wte_bridge_free(bridge);
    /* the other way round the smaller space is the first one */
    bridge = pair_bridge(&b, &a, &o);
    assert_int_equal(wte_bridge_length(bridge), 6);
    expect(bridge, 0, "polish", 0, 3);
    expect(bridge, 1, "the", 1, 2);
    expect(bridge, 4, "PARIS", 4, 5);
    expect_line(bridge, "ambiguous: several spellings, the first taken", 1, "PARIS");
    expect_line(bridge, "another spelling is matched", 2, "pAris");
    wte_bridge_free(bridge);
    test_space_end(&b);
    test_space_end(&a);
}

static void three_spaces_share_what_all_have(void **state)
{
    static const char *const in_a[] = {"a", "b", "c", "d", "e"};
    static const char *const in_b[] = {"e", "c", "b", "x", "a", "y"};
    static const char *const in_c[] = {"c", "d", "a", "b"};
    test_space a = SPACE(in_a, "one"), b = SPACE(in_b, ""), c = SPACE(in_c, "three");
    const wte_space *const spaces[] = {a.space, b.space, c.space};
    wte_bridge *bridge = matched(spaces, 3, NULL);
    (void)state;

    assert_int_equal(wte_bridge_length(bridge), 3);
    expect(bridge, 0, "a", 0, 4);
    expect(bridge, 1, "b", 1, 2);
    expect(bridge, 2, "c", 2, 1);
    assert_int_equal(wte_bridge_id(bridge, 0, 2), 2);
    assert_int_equal(wte_bridge_id(bridge, 2, 2), 0);
    expect_line(bridge, "not in three", 1, "e");
    expect_line(bridge, "not in unnamed", 1, "d");
    expect_whole(bridge, 5);
    wte_bridge_free(bridge);
    test_space_end(&c);
    test_space_end(&b);
    test_space_end(&a);
}

static void pooled_spaces_lose_no_word(void **state)
{
    static const char *const in_a[] = {"cat", "catfish", "Cat", "\xFF"};
    static const char *const in_b[] = {"fish", "cat"};
    const int pooled[] = {0, 1};
    test_space a = SPACE(in_a, "a"), b = SPACE(in_b, "b");
    wte_bridge_options o = WTE_BRIDGE_DEFAULTS;
    wte_bridge *bridge;
    (void)state;

    o.pooled = pooled;
    bridge = pair_bridge(&a, &b, &o);
    assert_int_equal(wte_bridge_length(bridge), 3);
    expect(bridge, 0, "cat", 0, 1);
    expect(bridge, 1, "catfish", 1, WTE_BRIDGE_PIECES);
    expect(bridge, 2, "Cat", 2, WTE_BRIDGE_PIECES);
    expect_line(bridge, "matched by its pieces", 2, "catfish");
    expect_line(bridge, "not UTF-8", 1, "\xEF\xBF\xBD");
    expect_whole(bridge, 4);
    wte_bridge_free(bridge);
    o.any_case = 1;
    bridge = pair_bridge(&a, &b, &o);
    assert_int_equal(wte_bridge_length(bridge), 2);
    expect_line(bridge, "another spelling is matched", 1, "Cat");
    wte_bridge_free(bridge);
    test_space_end(&b);
    test_space_end(&a);
}

static void examples_are_text_of_a_line(void **state)
{
    static const char *const in_a[] = {"a\xE2\x82z\tb", LONG "x", "ok"};
    static const char *const in_b[] = {"other"};
    const size_t lengths[] = {6, 61, 2};
    test_space a = words_space(in_a, lengths, 3, "a"), b = SPACE(in_b, "b");
    wte_bridge *bridge = pair_bridge(&a, &b, NULL);
    (void)state;

    expect_line(bridge, "not UTF-8", 1,
                "a\xEF\xBF\xBDz\xEF\xBF\xBD"
                "b");
    expect_line(bridge, "not in b", 2, LONG "\xE2\x80\xA6");
    wte_bridge_free(bridge);
    test_space_end(&b);
    test_space_end(&a);
}

static void fewer_than_two_spaces_are_refused(void **state)
{
    static const char *const words[] = {"a"};
    test_space a = SPACE(words, "a");
    const wte_space *spaces[WTE_BRIDGE_MAX_SPACES + 1];
    wte_bridge *bridge = NULL;
    wte_error err = {0};
    (void)state;

    for (size_t i = 0; i < COUNT(spaces); i++)
        spaces[i] = a.space;
    assert_int_equal(wte_bridge_match(spaces, 1, NULL, &bridge, &err), WTE_E_RANGE);
    assert_non_null(strstr(err.message, "1 spaces to match, 2 to 64"));
    assert_int_equal(wte_bridge_match(spaces, COUNT(spaces), NULL, &bridge, &err), WTE_E_RANGE);
    assert_null(bridge);
    bridge = matched(spaces, WTE_BRIDGE_MAX_SPACES, NULL);
    assert_int_equal(wte_bridge_length(bridge), 1);
    assert_int_equal(wte_bridge_id(bridge, 0, WTE_BRIDGE_MAX_SPACES - 1), 0);
    wte_bridge_free(bridge);
    test_space_end(&a);
}

/* ---- against a plain search --------------------------------------------------------------- */

/* Short words of few letters, so that there are duplicates and other spellings. */
static test_space random_words(uint32_t n, uint64_t *seed)
{
    static const char letters[] = "abAB \xFF";
    char *text = malloc(4 * (size_t)n + 1);
    const char **words = malloc(n * sizeof *words);
    size_t *lengths = malloc(n * sizeof *lengths);
    test_space t;

    assert_true(text && words && lengths);
    for (uint32_t i = 0; i < n; i++) {
        words[i] = text + 4 * (size_t)i;
        lengths[i] = wte__random(seed) % 5;
        for (size_t j = 0; j < lengths[i]; j++)
            text[4 * (size_t)i + j] = letters[wte__random(seed) % (sizeof letters - 1)];
    }
    t = words_space(words, lengths, n, "random");
    free(lengths);
    free(words);
    free(text);
    return t;
}

static bool same(const wte_space *a, uint32_t i, const wte_space *b, uint32_t j, bool prefix)
{
    size_t n = 0, m = 0;
    const char *x = wte_space_word(a, i, &n), *y = wte_space_word(b, j, &m);

    if (prefix)
        return m == n + 1 && y[0] == ' ' && memcmp(x, y + 1, n) == 0;
    return m == n && memcmp(x, y, n) == 0;
}

static void check_exact(const test_space *a, const test_space *b, bool prefix)
{
    const int prefixes[] = {0, prefix};
    wte_bridge_options o = WTE_BRIDGE_DEFAULTS;
    const uint32_t n_a = a->space->rows.n_rows, n_b = b->space->rows.n_rows;
    wte_bridge *bridge;
    size_t at = 0;

    o.prefix_space = prefixes;
    bridge = pair_bridge(a, b, &o);
    for (uint32_t i = 0; i < n_a; i++) {
        size_t len = 0;
        const char *word = wte_space_word(a->space, i, &len);
        uint32_t j = 0;
        bool first = true;

        for (uint32_t before = 0; before < i && first; before++)
            first = !same(a->space, i, a->space, before, false);
        while (j < n_b && !same(a->space, i, b->space, j, prefix))
            j++;
        if (!len || !wte__utf8_valid(word, len) || !first || j == n_b)
            continue;
        assert_int_equal(wte_bridge_id(bridge, at, 0), i);
        assert_int_equal(wte_bridge_id(bridge, at++, 1), j);
    }
    assert_int_equal(at, wte_bridge_length(bridge));
    expect_whole(bridge, n_a);
    wte_bridge_free(bridge);
}

static void random_vocabularies_match_as_a_list_search_finds(void **state)
{
    uint64_t seed = 1;
    (void)state;

    for (uint32_t n = 1; n < 400; n += 57) {
        test_space a = random_words(n, &seed), b = random_words(200, &seed);

        check_exact(&a, &b, false);
        check_exact(&a, &b, true);
        check_exact(&b, &a, false);
        test_space_end(&b);
        test_space_end(&a);
    }
}

/* Whatever the case, no row is used twice and matched words are equal but for case. */
static void check_any_case(const wte_bridge *bridge, const test_space *a, const test_space *b)
{
    unsigned char *used = calloc(b->space->rows.n_rows, 1);

    assert_non_null(used);
    for (size_t i = 0; i < wte_bridge_length(bridge); i++) {
        const uint32_t row = wte_bridge_id(bridge, i, 0), other = wte_bridge_id(bridge, i, 1);
        size_t n = 0, m = 0;
        const char *x = wte_space_word(a->space, row, &n);
        const char *y = wte_space_word(b->space, other, &m);

        assert_true(i == 0 || row > wte_bridge_id(bridge, i - 1, 0));
        assert_false(used[other]++);
        assert_int_equal(n, m);
        for (size_t k = 0; k < n; k++)
            assert_int_equal(x[k] & ~32, y[k] & ~32);
    }
    free(used);
}

static void threads_change_nothing(void **state)
{
    uint64_t seed = 5;
    test_space a = random_words(40000, &seed), b = random_words(30000, &seed);
    wte_bridge_options o = WTE_BRIDGE_DEFAULTS;
    (void)state;

    for (int any_case = 0; any_case < 2; any_case++) {
        wte_bridge *one, *many;

        o.any_case = any_case;
        o.n_threads = 1;
        one = pair_bridge(&a, &b, &o);
        o.n_threads = 7;
        many = pair_bridge(&a, &b, &o);
        assert_true(wte_bridge_length(one) > 30);
        assert_int_equal(wte_bridge_length(one), wte_bridge_length(many));
        for (size_t i = 0; i < wte_bridge_length(one); i++) {
            assert_int_equal(wte_bridge_id(one, i, 0), wte_bridge_id(many, i, 0));
            assert_int_equal(wte_bridge_id(one, i, 1), wte_bridge_id(many, i, 1));
        }
        expect_whole(one, 40000);
        check_any_case(one, &a, &b);
        wte_bridge_free(many);
        wte_bridge_free(one);
    }
    test_space_end(&b);
    test_space_end(&a);
}

/* ---- the reference ------------------------------------------------------------------------ */

/** A space over all tokens of GPT-2. */
static test_space gpt2_space(void)
{
    wte_tokenizer *tokenizer = NULL;
    const char **words;
    size_t *lengths;
    uint32_t n;
    wte_error err = {0};
    test_space t;

    if (wte_tokenizer_open(need_shared("data/gpt2"), &tokenizer, &err) != WTE_OK)
        fail_msg("%s", err.message);
    n = wte_tokenizer_get_info(tokenizer)->n_vocab;
    words = calloc(n, sizeof *words);
    lengths = calloc(n, sizeof *lengths);
    assert_true(words && lengths);
    for (uint32_t i = 0; i < n; i++)
        words[i] = wte_tokenizer_piece(tokenizer, i, &lengths[i]);
    t = words_space(words, lengths, n, "gpt2");
    free(lengths);
    free(words);
    wte_tokenizer_free(tokenizer);
    return t;
}

static void check_case(const json_t *c, const test_space *a, const test_space *b)
{
    const json_t *words = json_object_get(c, "words"), *ids = json_object_get(c, "token_ids");
    const int prefixes[] = {0, *json_string_value(json_object_get(c, "prefix")) == ' '};
    wte_bridge_options o = WTE_BRIDGE_DEFAULTS;
    wte_bridge *bridge;

    o.prefix_space = prefixes;
    o.length = (size_t)json_integer_value(json_object_get(c, "letters"));
    o.limit = (size_t)json_integer_value(json_object_get(c, "limit"));
    bridge = pair_bridge(a, b, &o);
    assert_int_equal(wte_bridge_length(bridge), json_array_size(words));
    for (size_t i = 0; i < wte_bridge_length(bridge); i++) {
        const char *word = json_string_value(json_array_get(words, i));

        expect(bridge, i, word, test_id(a->space, word),
               (uint32_t)json_integer_value(json_array_get(ids, i)));
    }
    expect_whole(bridge, a->space->rows.n_rows);
    wte_bridge_free(bridge);
}

static void reference_matches_are_met(void **state)
{
    test_space a = test_space_from_bin(need_shared("data/google-news-1000.bin"));
    test_space b = gpt2_space();
    json_t *root = json_load_file(need_shared("golden/rsa.json"), 0, NULL);
    const json_t *cases = json_object_get(json_object_get(root, "vocabulary_matching"), "cases");
    (void)state;

    assert_true(json_array_size(cases) > 0);
    for (size_t i = 0; i < json_array_size(cases); i++)
        check_case(json_array_get(cases, i), &a, &b);
    json_decref(root);
    test_space_end(&b);
    test_space_end(&a);
}

/* ---- files -------------------------------------------------------------------------------- */

static const char *const odd_a[] = {"tab\there", "back\\slash", "new\nline",
                                    "Paris",     "plain",       "lost"};
static const char *const odd_b[] = {" plain", " tab\there", " paris", " new\nline", " back\\slash"};
static const char odd_file[] = "word\tna\\tme 6x1\tb 5x1\n"
                               "tab\\there\t0\t1\n"
                               "back\\\\slash\t1\t4\n"
                               "new\\nline\t2\t3\n"
                               "Paris\t3\t2\n"
                               "plain\t4\t0\n";

static char *read_all(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, 4096);

    assert_true(f && text);
    assert_true(fread(text, 1, 4095, f) > 0);
    fclose(f);
    return text;
}

static void a_file_holds_the_bridge(void **state)
{
    test_space a = SPACE(odd_a, "na\tme"), b = SPACE(odd_b, "b");
    const wte_space *const spaces[] = {a.space, b.space};
    const int prefixes[] = {0, 1};
    wte_bridge_options o = WTE_BRIDGE_DEFAULTS;
    wte_bridge *bridge, *back = NULL;
    const char *path = write_file("bridge.tsv", "", 0);
    char *text;
    wte_error err = {0};
    (void)state;

    o.prefix_space = prefixes;
    o.any_case = 1;
    bridge = pair_bridge(&a, &b, &o);
    assert_int_equal(wte_bridge_save(bridge, path, &err), WTE_OK);
    text = read_all(path);
    assert_string_equal(text, odd_file);
    free(text);
    if (wte_bridge_load(path, spaces, 2, &back, &err) != WTE_OK)
        fail_msg("%s", err.message);
    assert_int_equal(wte_bridge_length(back), 5);
    expect(back, 0, "tab\there", 0, 1);
    expect(back, 1, "back\\slash", 1, 4);
    expect(back, 3, "Paris", 3, 2);
    expect_whole(back, 5);
    wte_bridge_free(back);
    assert_int_equal(wte_bridge_save(bridge, "/nonexistent/x.tsv", &err), WTE_E_IO);
    assert_int_equal(wte_bridge_load("/nonexistent/x.tsv", spaces, 2, &back, &err), WTE_E_IO);
    wte_bridge_free(bridge);
    test_space_end(&b);
    test_space_end(&a);
}

static void pieces_and_foreign_newlines_are_read(void **state)
{
    static const char text[] = "word\tna\\tme 6x1\tb 5x1\r\nplain\t4\t0\r\nlost\t5\t-";
    test_space a = SPACE(odd_a, "elsewhere"), b = SPACE(odd_b, "b");
    const wte_space *const spaces[] = {a.space, b.space};
    wte_bridge *bridge = NULL;
    wte_error err = {0};
    (void)state;

    if (wte_bridge_load(write_file("pieces.tsv", text, strlen(text)), spaces, 2, &bridge, &err) !=
        WTE_OK)
        fail_msg("%s", err.message);
    assert_int_equal(wte_bridge_length(bridge), 2);
    expect(bridge, 1, "lost", 5, WTE_BRIDGE_PIECES);
    wte_bridge_free(bridge);
    test_space_end(&b);
    test_space_end(&a);
}

static void broken_files_are_refused(void **state)
{
#define HEAD "word\ta 6x1\tb 5x1\n"
    static const struct {
        const char *text;
        wte_status status;
        const char *says;
    } cases[] = {
        {"", WTE_E_FORMAT, "line 1: no header"},
        {"the\t1\t2\n", WTE_E_FORMAT, "line 1: no header"},
        {"word\ta\tb 5x1\n", WTE_E_FORMAT, "no name and size in column 2"},
        {"word\ta 6x\tb 5x1\n", WTE_E_FORMAT, "no name and size in column 2"},
        {"word\ta 6x1\n", WTE_E_SHAPE, "made for 1 spaces, 2 given"},
        {"word\ta 6x1\tb 5x1\tc 1x1\n", WTE_E_SHAPE, "made for 3 spaces, 2 given"},
        {"word\ta 7x1\tb 5x1\n", WTE_E_SHAPE, "made for a space of 7 x 1, a is 6 x 1"},
        {"word\ta 6x1\tb 5x2\n", WTE_E_SHAPE, "made for a space of 5 x 2, b is 5 x 1"},
        {"word\ta 99999999999999999999x1\tb 5x2\n", WTE_E_FORMAT, "no name and size"},
        {HEAD "\n", WTE_E_FORMAT, "line 2: no word"},
        {HEAD "plain\n", WTE_E_FORMAT, "line 2: 1 columns, 3 expected"},
        {HEAD "plain\t4\t0\t1\n", WTE_E_FORMAT, "4 columns, 3 expected"},
        {HEAD "plain\t4\tx\n", WTE_E_FORMAT, "\"x\" is no row number"},
        {HEAD "plain\t4\t\n", WTE_E_FORMAT, "\"\" is no row number"},
        {HEAD "plain\t-\t0\n", WTE_E_FORMAT, "\"-\" is no row number"},
        {HEAD "plain\t4294967296\t0\n", WTE_E_FORMAT, "is no row number"},
        {HEAD "plain\t4\t5\n", WTE_E_FORMAT, "row 5 of b, which has 5"},
        {HEAD "plain\t4\t0\nPLAIN\t4\t-\n", WTE_E_FORMAT, "line 3: row 4 of a is there twice"},
        {HEAD "plain\t4\t1\n", WTE_E_SHAPE, "row 1 of b is \" tab?here\", not \"plain\""},
        {HEAD "back\\slash\t1\t4\n", WTE_E_FORMAT, "a backslash that is none of"},
        {HEAD "back\\", WTE_E_FORMAT, "a backslash that is none of"},
    };
    test_space a = SPACE(odd_a, "a"), b = SPACE(odd_b, "b");
    const wte_space *const spaces[] = {a.space, b.space};
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        wte_bridge *bridge = NULL;
        wte_error err = {0};
        const char *path = write_file("broken.tsv", cases[i].text, strlen(cases[i].text));

        if (wte_bridge_load(path, spaces, 2, &bridge, &err) != cases[i].status ||
            !strstr(err.message, cases[i].says))
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, err.message, cases[i].says);
        assert_null(bridge);
    }
    test_space_end(&b);
    test_space_end(&a);
#undef HEAD
}

/* ---- memory ------------------------------------------------------------------------------- */

static void every_allocation_may_fail(void **state)
{
    test_space a = SPACE(odd_a, "na\tme"), b = SPACE(odd_b, "b");
    const wte_space *const spaces[] = {a.space, b.space};
    const int prefixes[] = {0, 1};
    const char *path = write_file("bridge.tsv", odd_file, strlen(odd_file));
    wte_bridge_options o = WTE_BRIDGE_DEFAULTS;
    wte_bridge *whole;
    (void)state;

    o.prefix_space = prefixes;
    o.any_case = 1;
    o.n_threads = 1;
    whole = pair_bridge(&a, &b, &o);
    for (int what = 0; what < 4; what++) {
        wte_status status = WTE_E_NOMEM;
        long nth = 0;

        for (; status == WTE_E_NOMEM && nth < 500; nth++) {
            wte_bridge *bridge = NULL;

            wte__fail_alloc(nth);
            if (what < 2) {
                const wte_space *const turned[] = {spaces[what], spaces[1 - what]};

                o.prefix_space = what ? NULL : prefixes;
                status = wte_bridge_match(turned, 2, &o, &bridge, NULL);
            } else if (what == 2) {
                status = wte_bridge_load(path, spaces, 2, &bridge, NULL);
            } else {
                status = wte_bridge_save(whole, path, NULL);
            }
            assert_true((status == WTE_OK && what < 3) == (bridge != NULL));
            wte_bridge_free(bridge);
        }
        wte__fail_alloc(-1);
        assert_int_equal(status, WTE_OK);
        assert_true(nth > (what == 3 ? 2 : 8));
    }
    wte_bridge_free(whole);
    test_space_end(&b);
    test_space_end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_matched_in_the_order_of_a),
        cmocka_unit_test(a_leading_space_is_asked_for),
        cmocka_unit_test(case_does_not_matter_where_asked),
        cmocka_unit_test(three_spaces_share_what_all_have),
        cmocka_unit_test(pooled_spaces_lose_no_word),
        cmocka_unit_test(examples_are_text_of_a_line),
        cmocka_unit_test(fewer_than_two_spaces_are_refused),
        cmocka_unit_test(random_vocabularies_match_as_a_list_search_finds),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(reference_matches_are_met),
        cmocka_unit_test(a_file_holds_the_bridge),
        cmocka_unit_test(pieces_and_foreign_newlines_are_read),
        cmocka_unit_test(broken_files_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
