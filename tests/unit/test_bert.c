/* SPDX-License-Identifier: MIT */
/* test_bert.c - WordPiece against transformers' BertTokenizer
 *
 * golden/bert_small.json holds some of its rows with a vocabulary of just their pieces; the whole
 * reference data is used where it is there. Long texts are also held against the same texts read
 * with spans, which take the other way through the code. */
#include "support.h"
#include <jansson.h>
#include "base/base.h"
#include "wte/tokenizer.h"

/* ---- what the tests share --------------------------------------------------------------- */

static wte_tokenizer *open_bert(const char *vocab, size_t len, const char *config)
{
    wte_tokenizer *t = NULL;
    wte_error err = {0};

    write_file("vocab.txt", vocab, len);
    write_file("tokenizer_config.json", config, strlen(config));
    if (wte_tokenizer_open(test_folder(), &t, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return t;
}

static wte_tokenizer *open_pieces(const char *pieces, const char *config)
{
    return open_bert(pieces, strlen(pieces), config);
}

static const char uncased[] = "{\"do_lower_case\": true, \"tokenizer_class\": \"BertTokenizer\"}";

static wte_tokenizer *open_shared(const char *config)
{
    FILE *f = fopen(need_shared("data/bert/vocab.txt"), "rb");
    char *text = malloc(1 << 20);
    wte_tokenizer *t;
    size_t n;

    assert_non_null(f);
    assert_non_null(text);
    n = fread(text, 1, 1 << 20, f);
    fclose(f);
    t = open_bert(text, n, config);
    free(text);
    return t;
}

static wte_encoder *new_encoder(const wte_tokenizer *t)
{
    wte_encoder *e = NULL;

    assert_int_equal(wte_encoder_new(t, &e, NULL), WTE_OK);
    return e;
}

/* The pieces of a text, joined by '|', in a static buffer. */
static const char *pieces_of(const wte_tokenizer *t, const char *text, size_t len, unsigned flags)
{
    static char out[4096];
    wte_encoder *e = new_encoder(t);
    wte_encoding got;
    size_t n = 0;

    assert_int_equal(wte_encode(e, text, len, flags, &got, NULL), WTE_OK);
    for (size_t i = 0; i < got.n; i++) {
        size_t n_piece;
        const char *piece = wte_tokenizer_piece(t, got.ids[i], &n_piece);

        assert_true(n + n_piece + 2 < sizeof out);
        if (i)
            out[n++] = '|';
        memcpy(out + n, piece, n_piece);
        n += n_piece;
    }
    out[n] = '\0';
    wte_encoder_free(e);
    return out;
}

static void expect_pieces(const wte_tokenizer *t, const char *text, const char *want)
{
    assert_string_equal(pieces_of(t, text, strlen(text), 0), want);
    assert_string_equal(pieces_of(t, text, strlen(text), WTE_ENCODE_SPANS), want);
}

static void expect_ids(const uint32_t *got, size_t n, const json_t *want, const char *text)
{
    if (n != json_array_size(want))
        fail_msg("%zu ids, expected %zu: %s", n, json_array_size(want), text);
    for (size_t i = 0; i < n; i++)
        if (got[i] != json_integer_value(json_array_get(want, i)))
            fail_msg("id %zu is %u: %s", i, got[i], text);
}

typedef struct steps {
    uint32_t *ids;
    size_t n, capacity;
    char told[4096]; /* the steps in words, while there is room */
} steps;

static void take_step(void *data, const wte_explain_step *step)
{
    static const char *const names[] = {"normalized", "word",    "merge",
                                        "match",      "unknown", "special"};
    steps *s = data;
    size_t n = strlen(s->told);

    snprintf(s->told + n, sizeof s->told - n, "%s%s(%.*s)", n ? " " : "", names[step->kind],
             (int)step->len, step->text);
    if (step->kind < WTE_EXPLAIN_MATCH)
        return;
    assert_true(wte__grow((void **)&s->ids, &s->capacity, s->n + 1, sizeof *s->ids));
    s->ids[s->n++] = step->id;
}

/* Encode a text in each way there is and compare its ids. With WTE_ENCODE_SPECIAL, [CLS] and [SEP]
 * are round those. */
static void expect_all_ways(wte_encoder *e, const char *text, size_t len, unsigned flags,
                            const json_t *want)
{
    size_t round = flags & WTE_ENCODE_SPECIAL ? 1 : 0;
    steps told = {.n = 0};
    wte_encoding got;

    assert_int_equal(wte_encode(e, text, len, flags, &got, NULL), WTE_OK);
    expect_ids(got.ids + round, got.n - 2 * round, want, text);
    assert_int_equal(wte_encode(e, text, len, flags | WTE_ENCODE_SPANS, &got, NULL), WTE_OK);
    expect_ids(got.ids + round, got.n - 2 * round, want, text);
    for (size_t i = 0; i < got.n; i++) {
        assert_true(got.spans[i].begin <= got.spans[i].end && got.spans[i].end <= len);
        assert_true(i == 0 || got.spans[i - 1].begin <= got.spans[i].begin);
    }
    assert_int_equal(wte_encode_explain(e, text, len, flags, take_step, &told, NULL), WTE_OK);
    expect_ids(told.ids + round, told.n - 2 * round, want, text);
    wte__free(told.ids);
}

static void expect_text(const wte_tokenizer *t, const uint32_t *ids, size_t n, unsigned flags,
                        const char *want)
{
    char *text = NULL;
    size_t len = 0;

    assert_int_equal(wte_decode(t, ids, n, flags, &text, &len, NULL), WTE_OK);
    assert_string_equal(text, want);
    assert_int_equal(len, strlen(want));
    wte_text_free(text);
}

/* Call fn for every row of a file of JSON lines of the reference data. */
static size_t each_row(const char *file, void (*fn)(void *data, const json_t *row), void *data)
{
    FILE *f = fopen(need_shared(file), "rb");
    char *line = malloc(1 << 22);
    size_t n = 0;

    assert_non_null(f);
    assert_non_null(line);
    while (fgets(line, 1 << 22, f)) {
        json_t *row = json_loads(line, JSON_ALLOW_NUL, NULL);

        assert_non_null(row);
        fn(data, row);
        json_decref(row);
        n++;
    }
    free(line);
    fclose(f);
    return n;
}

/* ---- reference data --------------------------------------------------------------------- */

static void small_reference_rows_agree(void **state)
{
    json_t *root = json_load_file(test_file("golden/bert_small.json"), JSON_ALLOW_NUL, NULL);
    const json_t *vocab = json_object_get(root, "vocab"), *rows = json_object_get(root, "rows");
    char text[65536];
    size_t n = 0;
    wte_tokenizer *t;
    (void)state;

    assert_non_null(root);
    for (size_t i = 0; i < json_array_size(vocab); i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s\n",
                              json_string_value(json_array_get(vocab, i)));
    t = open_bert(text, n, uncased);
    assert_true(json_array_size(rows) > 40);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i), *pieces = json_object_get(row, "pieces");
        const json_t *string = json_object_get(row, "text");
        uint32_t ids[256];
        char want[4096] = "";

        for (size_t k = 0; k < json_array_size(pieces); k++) {
            const char *piece = json_string_value(json_array_get(pieces, k));

            snprintf(want + strlen(want), sizeof want - strlen(want), "%s%s", k ? "|" : "", piece);
            assert_int_equal(wte_tokenizer_find(t, piece, strlen(piece), &ids[k], NULL), WTE_OK);
        }
        for (unsigned flags = 0; flags <= WTE_ENCODE_SPANS; flags += WTE_ENCODE_SPANS)
            assert_string_equal(
                pieces_of(t, json_string_value(string), json_string_length(string), flags), want);
        expect_text(t, ids, json_array_size(pieces), WTE_DECODE_CLEAN_UP,
                    json_string_value(json_object_get(row, "decoded")));
        expect_text(t, ids, json_array_size(pieces), 0,
                    json_string_value(json_object_get(row, "decoded_no_cleanup")));
    }
    wte_tokenizer_free(t);
    json_decref(root);
}

static void check_row(void *data, const json_t *row)
{
    wte_encoder *e = ((void **)data)[0];
    const wte_tokenizer *t = ((void **)data)[1];
    const json_t *text = json_object_get(row, "text"), *want = json_object_get(row, "ids");
    const json_t *special = json_object_get(row, "ids_with_special");
    size_t n = json_array_size(want);
    uint32_t *ids = calloc(n + 1, sizeof *ids);
    wte_encoding got;

    expect_all_ways(e, json_string_value(text), json_string_length(text), WTE_ENCODE_SPECIAL, want);
    assert_int_equal(wte_encode(e, json_string_value(text), json_string_length(text),
                                WTE_ENCODE_SPECIAL, &got, NULL),
                     WTE_OK);
    if (json_is_array(special))
        expect_ids(got.ids, got.n, special, json_string_value(text));
    assert_non_null(ids);
    for (size_t i = 0; i < n; i++)
        ids[i] = (uint32_t)json_integer_value(json_array_get(want, i));
    if (json_is_string(json_object_get(row, "decoded")))
        expect_text(t, ids, n, WTE_DECODE_CLEAN_UP,
                    json_string_value(json_object_get(row, "decoded")));
    if (json_is_string(json_object_get(row, "decoded_no_cleanup")))
        expect_text(t, ids, n, 0, json_string_value(json_object_get(row, "decoded_no_cleanup")));
    free(ids);
}

static void every_reference_row_agrees(void **state)
{
    wte_tokenizer *t = open_shared(uncased);
    wte_encoder *e = new_encoder(t);
    void *both[] = {e, t};
    (void)state;

    assert_int_equal(each_row("golden/tokenizer_bert.jsonl", check_row, both), 1700);
    wte_encoder_free(e);
    wte_tokenizer_free(t);
}

typedef struct variant {
    char options[128];
    wte_tokenizer *t;
    wte_encoder *e;
} variant;

/* The rows with options were made by the part of the reference that finds special tokens only where
 * they stand alone. */
static void check_options(void *data, const json_t *row)
{
    const json_t *text = json_object_get(row, "text");
    const char *string = json_string_value(text);
    bool special = strcmp(string, "[PAD]") == 0 || strcmp(string, "[MASK]\n") == 0;
    char *options = json_dumps(json_object_get(row, "options"), JSON_COMPACT);
    variant *v = data;

    assert_non_null(options);
    if (strcmp(options, v->options) != 0) {
        wte_encoder_free(v->e);
        wte_tokenizer_free(v->t);
        snprintf(v->options, sizeof v->options, "%s", options);
        v->t = open_shared(options);
        v->e = new_encoder(v->t);
    }
    expect_all_ways(v->e, string, json_string_length(text), special ? WTE_ENCODE_SPECIAL : 0,
                    json_object_get(row, "ids"));
    free(options);
}

static void every_row_with_options_agrees(void **state)
{
    variant v = {.options = ""};
    (void)state;

    assert_int_equal(each_row("golden/tokenizer_bert_options.jsonl", check_options, &v), 240);
    wte_encoder_free(v.e);
    wte_tokenizer_free(v.t);
}

/* Where implementations differ, the rows say what the Python one gives (the first 80 ids). */
static void check_slow(void *data, const json_t *row)
{
    const json_t *text = json_object_get(row, "text"), *want = json_object_get(row, "slow");
    wte_encoding got;

    assert_int_equal(
        wte_encode(data, json_string_value(text), json_string_length(text), 0, &got, NULL), WTE_OK);
    expect_ids(got.ids, got.n < 80 ? got.n : 80, want, json_string_value(text));
}

static void the_python_one_is_followed_where_implementations_differ(void **state)
{
    wte_tokenizer *t = open_shared(uncased);
    wte_encoder *e = new_encoder(t);
    (void)state;

    assert_int_equal(each_row("golden/tokenizer_bert_disagreements.jsonl", check_slow, e), 41);
    wte_encoder_free(e);
    wte_tokenizer_free(t);
}

static void check_pair(void *data, const json_t *row)
{
    const json_t *a = json_object_get(row, "text"), *b = json_object_get(row, "text_pair");
    const json_t *max = json_object_get(row, "max_length");
    const json_t *want = json_object_get(row, "token_type_ids");
    uint32_t *ids = NULL;
    uint8_t *types = NULL;
    size_t n = 0;

    assert_int_equal(wte_encode_pair(data, json_string_value(a), json_string_length(a),
                                     json_string_value(b), json_string_length(b),
                                     max ? (size_t)json_integer_value(max) : 0, &ids, &types, &n,
                                     NULL),
                     WTE_OK);
    expect_ids(ids, n, json_object_get(row, "ids"), json_string_value(a));
    assert_int_equal(json_array_size(want), n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(types[i], json_integer_value(json_array_get(want, i)));
    wte_ids_free(ids);
}

static void every_pair_agrees(void **state)
{
    wte_tokenizer *t = open_shared(uncased);
    wte_encoder *e = new_encoder(t);
    (void)state;

    assert_int_equal(each_row("golden/tokenizer_bert_pairs.jsonl", check_pair, e), 100);
    wte_encoder_free(e);
    wte_tokenizer_free(t);
}

/* ---- what the reference rows do not show ------------------------------------------------- */

static const char letters[] = "[UNK]\n[CLS]\n[SEP]\n[PAD]\n[MASK]\na\n##a\nb\n##b\nab\n##ab\nabc\n"
                              "=\n\xE2\x89\xA0\n##\xE2\x89\xA0\n\xC3\xA9\ne\n##e\n"
                              "##\xC3\xA9\n'\ns\n.\n\xE4\xB8\xAD\n";

static void pieces_are_matched_from_the_left_longest_first(void **state)
{
    wte_tokenizer *t = open_pieces(letters, uncased);
    (void)state;

    expect_pieces(t, "ab abab aab ABC abcb x abx", "ab|ab|##ab|a|##ab|abc|abc|##b|[UNK]|[UNK]");
    expect_pieces(t, "", "");
    expect_pieces(t, " \t\r\n ", "");
    wte_tokenizer_free(t);
}

static void a_word_of_100_characters_is_matched_and_one_of_101_is_unknown(void **state)
{
    wte_tokenizer *t = open_pieces(letters, uncased);
    static const char *const characters[] = {"a", "\xC3\xA1"}; /* one byte and two */
    (void)state;

    for (size_t c = 0; c < 2; c++) {
        char text[1000] = "";

        for (size_t i = 0; i < 100; i++)
            strcat(text, characters[c]);
        assert_int_equal(strlen(pieces_of(t, text, strlen(text), 0)), 1 + 99 * 4);
        strcat(text, characters[c]);
        expect_pieces(t, text, "[UNK]");
        strcat(text, " b");
        expect_pieces(t, text, "[UNK]|b");
    }
    wte_tokenizer_free(t);
}

static void a_mark_after_punctuation_changes_the_word_before(void **state)
{
    wte_tokenizer *cased = open_pieces(letters, "{\"do_lower_case\": false}"), *lower;
    (void)state;

    /* With U+0338, = is an inequality sign, which is no punctuation: one word. */
    expect_pieces(cased,
                  "b a=\xCC\xB8"
                  "b",
                  "b|a|##\xE2\x89\xA0|##b");
    expect_pieces(cased, "a=b", "a|=|b");
    expect_pieces(cased, "e\xCC\x81 \xC3\xA9 e\x01\xCC\x81", "\xC3\xA9|\xC3\xA9|\xC3\xA9");
    wte_tokenizer_free(cased);
    lower = open_pieces(letters, uncased);
    expect_pieces(lower,
                  "b a=\xCC\xB8"
                  "b a\xE2\x89\xA0"
                  "b",
                  "b|a|=|b|a|=|b");
    expect_pieces(lower, "\xC3\x89 e\xCC\x81", "e|e");
    wte_tokenizer_free(lower);
}

static void ill_formed_bytes_go_like_control_characters(void **state)
{
    wte_tokenizer *t = open_pieces(letters, uncased);
    (void)state;

    expect_pieces(t,
                  "a\xFF"
                  "b a\xE4\xB8"
                  "b a\x01"
                  "b \xED\xA0\x80 a\xEF\xBF\xBD"
                  "b",
                  "ab|ab|ab|ab");
    assert_string_equal(pieces_of(t, "a\0b\0", 4, 0), "ab");
    wte_tokenizer_free(t);
}

static void spans_are_those_of_the_text_as_it_was(void **state)
{
    /*                        0   1   3     6     7 8   9  10  */
    static const char text[] = "A\xC3\x81"
                               "e\xCC\x81\x01"
                               "b \xE4\xB8\xAD'"
                               "ab x";
    static const wte_span want[] = {{0, 1},  {1, 3},   {3, 4},   {7, 8},
                                    {9, 12}, {12, 13}, {13, 15}, {16, 17}};
    wte_tokenizer *t = open_pieces(letters, uncased);
    wte_encoder *e = new_encoder(t);
    wte_encoding got;
    (void)state;

    assert_string_equal(pieces_of(t, text, strlen(text), 0),
                        "a|##a|##e|##b|\xE4\xB8\xAD|'|ab|[UNK]");
    assert_int_equal(wte_encode(e, text, strlen(text), WTE_ENCODE_SPANS, &got, NULL), WTE_OK);
    assert_int_equal(got.n, 8);
    for (size_t i = 0; i < got.n; i++) {
        assert_int_equal(got.spans[i].begin, want[i].begin);
        assert_int_equal(got.spans[i].end, want[i].end);
    }
    wte_encoder_free(e);
    wte_tokenizer_free(t);
}

static void explaining_tells_the_normalised_text_words_and_matches(void **state)
{
    wte_tokenizer *t = open_pieces(letters, uncased);
    wte_encoder *e = new_encoder(t);
    steps told = {.n = 0};
    (void)state;

    assert_int_equal(wte_encode_explain(e, "Ab\xC3\x81 x.", 7, 0, take_step, &told, NULL), WTE_OK);
    assert_string_equal(told.told, "normalized(aba x.) word(aba) match(ab) match(##a) word(x) "
                                   "unknown(x) word(.) match(.)");
    wte__free(told.ids);
    wte_encoder_free(e);
    wte_tokenizer_free(t);
}

static void decoding_glues_pieces_and_cleans_up_in_the_order_of_the_original(void **state)
{
    /* Worked out with str.replace() in the order of transformers' clean_up_tokenization(). */
    static const struct {
        const char *pieces, *plain, *clean;
    } want[] = {
        {"a b ##ab", "a bab", "a bab"},
        {"##a ##b", "##ab", "##ab"},
        {"do n ' t", "do n ' t", "don't"},
        {"a ' ' b", "a ' ' b", "a'' b"},
        {"a ' . b", "a ' . b", "a '. b"},
        {"it ' s we ' re", "it ' s we ' re", "it's we're"},
        {"a 's 've 're 'm 'd b", "a 's 've 're 'm 'd b", "a's've're'm 'd b"},
        {"a n't . ?", "a n't . ?", "an't.?"},
        {"' a '", "' a '", "' a '"},
        {". a , b !", ". a , b !", ". a, b!"},
        {"a averyverylongpieceofmanyletters ##averyverylongpieceofmanyletters .x",
         "a averyverylongpieceofmanylettersaveryverylongpieceofmanyletters .x",
         "a averyverylongpieceofmanylettersaveryverylongpieceofmanyletters.x"},
        {"a .averyverylongpieceofmanyletters", "a .averyverylongpieceofmanyletters",
         "a.averyverylongpieceofmanyletters"},
    };
    wte_tokenizer *t = open_pieces(
        "[UNK]\n[CLS]\n[SEP]\n[PAD]\n[MASK]\na\nb\n##a\n##b\n##ab\ndo\nn\n'\nt\n.\nit\ns\nwe\nre\n"
        "'s\n've\n're\n'm\n'd\nn't\n?\n!\n,\naveryverylongpieceofmanyletters\n"
        "##averyverylongpieceofmanyletters\n.x\n.averyverylongpieceofmanyletters\n",
        uncased);
    (void)state;

    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        uint32_t ids[16];
        size_t n = 0;

        for (const char *p = want[i].pieces; *p;) {
            size_t len = strcspn(p, " ");

            assert_int_equal(wte_tokenizer_find(t, p, len, &ids[n++], NULL), WTE_OK);
            p += len + (p[len] == ' ');
        }
        expect_text(t, ids, n, 0, want[i].plain);
        expect_text(t, ids, n, WTE_DECODE_CLEAN_UP, want[i].clean);
    }
    wte_tokenizer_free(t);
}

/* A text of `n` bytes of words, punctuation, control bytes, marks and ideographs. */
static char *random_text(uint64_t seed, size_t n)
{
    static const char *const parts[] = {"a",
                                        "b",
                                        "AB",
                                        "abc",
                                        "ababababababababab",
                                        " ",
                                        "  ",
                                        ".",
                                        "'",
                                        "=",
                                        "\n",
                                        "\t",
                                        "\x01",
                                        "\xC3\xA9",
                                        "e\xCC\x81",
                                        "\xCC\xB8",
                                        "\0",
                                        "\xFF",
                                        "\xE4\xB8\xAD",
                                        "\xE2\x80\x9C",
                                        "\xE2\x80\xA8",
                                        "\xC4\xB0",
                                        "abab ",
                                        "x"};
    char *text = calloc(n + 32, 1);
    size_t at = 0;

    assert_non_null(text);
    while (at < n) {
        const char *part = parts[wte__random(&seed) % (sizeof parts / sizeof *parts)];
        size_t len = *part ? strlen(part) : 1;

        memcpy(text + at, part, len);
        at += len;
    }
    return text;
}

static void both_ways_through_the_code_agree_on_random_texts(void **state)
{
    static const char *const configs[] = {
        uncased, "{\"do_lower_case\": false}",
        "{\"do_lower_case\": true, \"strip_accents\": false}",
        "{\"do_lower_case\": false, \"strip_accents\": true, \"tokenize_chinese_chars\": false}"};
    (void)state;

    for (size_t c = 0; c < 4; c++) {
        wte_tokenizer *t = open_pieces(letters, configs[c]);
        wte_encoder *e = new_encoder(t);

        for (uint64_t seed = 0; seed < 200; seed++) {
            size_t n = seed < 190 ? seed : 20000, n_ids;
            char *text = random_text(seed, n);
            uint32_t *ids;
            wte_encoding got;

            assert_int_equal(wte_encode(e, text, n, 0, &got, NULL), WTE_OK);
            n_ids = got.n;
            ids = calloc(n_ids + 1, sizeof *ids);
            assert_non_null(ids);
            for (size_t i = 0; i < n_ids; i++)
                ids[i] = got.ids[i];
            assert_int_equal(wte_encode(e, text, n, WTE_ENCODE_SPANS, &got, NULL), WTE_OK);
            if (got.n != n_ids || (n_ids && memcmp(ids, got.ids, n_ids * sizeof *ids) != 0))
                fail_msg("configuration %zu, seed %u", c, (unsigned)seed);
            free(ids);
            free(text);
        }
        wte_encoder_free(e);
        wte_tokenizer_free(t);
    }
}

/* Texts that would be slow if anything were read again and again. */
static void worst_cases_stay_linear(void **state)
{
    static const char *const parts[] = {
        "a", "\xC3\xA9",   "\xCC\x81",     "\xCC\xB8\xCC\x81\xE3\x80\xAE",
        ".", "a.\xCC\x81", "\xE4\xB8\xAD", "ab=\x01"};
    (void)state;

    for (size_t c = 0; c < 2; c++) {
        wte_tokenizer *t = open_pieces(letters, c ? "{\"do_lower_case\": false}" : uncased);
        wte_encoder *e = new_encoder(t);

        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            size_t len = strlen(parts[i]), n = (1u << 20) / len * len;
            char *text = malloc(n);
            int64_t start;
            wte_encoding got;

            assert_non_null(text);
            for (size_t at = 0; at < n; at += len)
                memcpy(text + at, parts[i], len);
            start = wte__now_ns();
            assert_int_equal(wte_encode(e, text, n, 0, &got, NULL), WTE_OK);
            if (wte__now_ns() - start > 10000000000)
                fail_msg("a megabyte of part %zu took over ten seconds", i);
            free(text);
        }
        wte_encoder_free(e);
        wte_tokenizer_free(t);
    }
}

static void every_allocation_may_fail(void **state)
{
    wte_tokenizer *t = open_pieces(letters, uncased);
    wte_encoder *e = NULL;
    uint32_t *ids = NULL;
    uint8_t *types = NULL;
    size_t n = 0;
    wte_encoding got;
    long nth;
    wte_status status = WTE_E_NOMEM;
    (void)state;

    for (nth = 0; status != WTE_OK; nth++) {
        wte__fail_alloc(nth);
        status = wte_encoder_new(t, &e, NULL);
        assert_true(status == WTE_OK ? e != NULL : status == WTE_E_NOMEM && e == NULL);
    }
    wte__fail_alloc(-1);
    assert_true(nth > 3);
    wte_encoder_free(e);
    for (nth = 0, status = WTE_E_NOMEM; status != WTE_OK; nth++) {
        wte_tokenizer *again = NULL;

        wte__fail_alloc(nth);
        status = wte_tokenizer_open(test_folder(), &again, NULL);
        assert_true(status == WTE_OK ? again != NULL : status == WTE_E_NOMEM && again == NULL);
        wte_tokenizer_free(again);
    }
    wte__fail_alloc(-1);
    assert_true(nth > 3);
    for (nth = 0, status = WTE_E_NOMEM; status != WTE_OK; nth++) {
        e = new_encoder(t); /* a new one each time, so that each time it has to grow */
        wte__fail_alloc(nth);
        status = wte_encode(e, "ab \xE3\x80\xAE\xCC\xB8\xF0\x9D\x85\xA5\xE3\x80\xAE", 15,
                            WTE_ENCODE_SPANS, &got, NULL);
        assert_true(status == WTE_OK || status == WTE_E_NOMEM);
        wte__fail_alloc(-1);
        wte_encoder_free(e);
    }
    assert_true(nth > 3);
    for (nth = 0, status = WTE_E_NOMEM; status != WTE_OK; nth++) {
        e = new_encoder(t);
        wte__fail_alloc(nth);
        status = wte_encode_pair(e, "ab", 2, "b", 1, 0, &ids, &types, &n, NULL);
        assert_true(status == WTE_OK ? ids != NULL : status == WTE_E_NOMEM && ids == NULL);
        wte__fail_alloc(-1);
        wte_encoder_free(e);
    }
    assert_true(nth > 3);
    wte_ids_free(ids);
    wte_tokenizer_free(t);
}

static void a_pair_needs_room_for_its_special_tokens(void **state)
{
    wte_tokenizer *t = open_pieces(letters, uncased);
    wte_encoder *e = new_encoder(t);
    uint32_t *ids = NULL;
    uint8_t *types = NULL;
    size_t n = 0;
    (void)state;

    assert_int_equal(wte_encode_pair(e, "a", 1, "b", 1, 2, &ids, &types, &n, NULL), WTE_E_RANGE);
    assert_int_equal(wte_encode_pair(e, "a", 1, NULL, 0, 1, &ids, &types, &n, NULL), WTE_E_RANGE);
    assert_int_equal(wte_encode_pair(e, "a b ab", 6, NULL, 0, 4, &ids, &types, &n, NULL), WTE_OK);
    assert_int_equal(n, 4); /* [CLS] a b [SEP] */
    for (size_t i = 0; i < n; i++)
        assert_int_equal(types[i], 0);
    assert_int_equal(ids[3], wte_tokenizer_get_info(t)->sep);
    wte_ids_free(ids);
    wte_encoder_free(e);
    wte_tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_reference_rows_agree),
        cmocka_unit_test(every_reference_row_agrees),
        cmocka_unit_test(every_row_with_options_agrees),
        cmocka_unit_test(the_python_one_is_followed_where_implementations_differ),
        cmocka_unit_test(every_pair_agrees),
        cmocka_unit_test(pieces_are_matched_from_the_left_longest_first),
        cmocka_unit_test(a_word_of_100_characters_is_matched_and_one_of_101_is_unknown),
        cmocka_unit_test(a_mark_after_punctuation_changes_the_word_before),
        cmocka_unit_test(ill_formed_bytes_go_like_control_characters),
        cmocka_unit_test(spans_are_those_of_the_text_as_it_was),
        cmocka_unit_test(explaining_tells_the_normalised_text_words_and_matches),
        cmocka_unit_test(decoding_glues_pieces_and_cleans_up_in_the_order_of_the_original),
        cmocka_unit_test(both_ways_through_the_code_agree_on_random_texts),
        cmocka_unit_test(worst_cases_stay_linear),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(a_pair_needs_room_for_its_special_tokens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
