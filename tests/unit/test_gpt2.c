/* SPDX-License-Identifier: MIT */
/* test_gpt2.c - GPT-2's tokenizer against the originals' ids, and against bad files
 *
 * The small subset in tests/golden was taken from the larger reference data: texts with the ids on
 * which the Rust, JavaScript and tiktoken implementations agree, with a vocabulary cut to what they
 * need. */
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>
#include "support.h"
#include "token/token_internal.h"
#include "wte/tokenizer.h"

/* ---- help ---------------------------------------------------------------------------------- */

static wte_tokenizer *open_gpt2(void)
{
    wte_tokenizer *t = NULL;
    wte_error err = {0};
    const char *folder = need_shared("data/gpt2");

    if (wte_tokenizer_open(folder, &t, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return t;
}

/* Compare with a JSON list, saying what is wrong with which text. */
static void assert_ids(const wte_encoding *got, const json_t *want, const char *text)
{
    size_t n = json_array_size(want);

    for (size_t i = 0; i < n && i < got->n; i++)
        if (got->ids[i] != (uint32_t)json_integer_value(json_array_get(want, i)))
            fail_msg("'%.200s': id %zu is %u, expected %d", text, i, got->ids[i],
                     (int)json_integer_value(json_array_get(want, i)));
    if (got->n != n)
        fail_msg("'%.200s': %zu ids, expected %zu", text, got->n, n);
}

typedef void (*row_fn)(const json_t *row, void *data);

static void each_row(const char *path, row_fn fn, void *data)
{
    FILE *f = fopen(path, "rb");
    char *line = NULL;
    size_t capacity = 0, n = 0;
    ssize_t len;

    assert_non_null(f);
    while ((len = getline(&line, &capacity, f)) > 0) {
        json_error_t where;
        json_t *row = json_loadb(line, (size_t)len, JSON_ALLOW_NUL, &where);

        if (!row)
            fail_msg("%s: row %zu: %s", path, n, where.text);
        if (json_object_get(row, "ids"))
            fn(row, data);
        json_decref(row);
        n++;
    }
    assert_true(n > 0);
    free(line);
    fclose(f);
}

typedef struct explained {
    wte_encoder *e;
    size_t words, merges, bytes;
} explained;

static void count_step(void *data, const wte_explain_step *step)
{
    explained *x = data;

    if (step->kind == WTE_EXPLAIN_WORD) {
        x->words++;
        x->bytes += step->len;
    } else if (step->kind == WTE_EXPLAIN_MERGE) {
        x->merges++;
        assert_true(step->left_len < step->len);
    }
}

/* Every way to encode a text gives the ids of the row. */
static void check_row(const json_t *row, void *data)
{
    const json_t *text = json_object_get(row, "text"), *ids = json_object_get(row, "ids");
    const json_t *plain = json_object_get(row, "ids_plain"), *decoded;
    const char *s = json_string_value(text);
    size_t len = json_string_length(text);
    wte_encoder *e = data;
    wte_encoding got;
    explained x = {e, 0, 0, 0};
    char *back = NULL;
    size_t back_len = 0;

    assert_int_equal(wte_encode(e, s, len, WTE_ENCODE_SPECIAL, &got, NULL), WTE_OK);
    assert_ids(&got, ids, s);
    for (size_t i = 0; i < json_array_size(json_object_get(row, "pieces")); i++) {
        const json_t *piece = json_array_get(json_object_get(row, "pieces"), i);
        size_t n = 0;
        const char *spelling = wte_tokenizer_spelling(e->tokenizer, got.ids[i], &n);

        assert_int_equal(n, json_string_length(piece));
        assert_memory_equal(spelling, json_string_value(piece), n);
    }
    assert_int_equal(wte_encode(e, s, len, WTE_ENCODE_SPECIAL | WTE_ENCODE_SPANS, &got, NULL),
                     WTE_OK);
    assert_ids(&got, ids, s);
    for (size_t i = 0, at = 0; i < got.n; at = got.spans[i++].end) {
        assert_int_equal(got.spans[i].begin, at);
        if (i + 1 == got.n)
            assert_int_equal(got.spans[i].end, len);
    }
    assert_int_equal(
        wte_decode(e->tokenizer, got.ids, got.n, WTE_DECODE_REPLACE, &back, &back_len, NULL),
        WTE_OK);
    decoded = json_object_get(row, "decoded");
    assert_int_equal(back_len, json_string_length(decoded));
    assert_memory_equal(back, json_string_value(decoded), back_len);
    wte_text_free(back);
    if (json_object_get(row, "decoded_cleanup")) {
        decoded = json_object_get(row, "decoded_cleanup");
        assert_int_equal(wte_decode(e->tokenizer, got.ids, got.n,
                                    WTE_DECODE_REPLACE | WTE_DECODE_CLEAN_UP, &back, &back_len,
                                    NULL),
                         WTE_OK);
        assert_string_equal(back, json_string_value(decoded));
        wte_text_free(back);
    }
    assert_int_equal(wte_encode(e, s, len, 0, &got, NULL), WTE_OK);
    assert_ids(&got, plain ? plain : ids, s);
    assert_int_equal(wte_encode_explain(e, s, len, 0, count_step, &x, NULL), WTE_OK);
    got.ids = e->ids;
    got.n = e->n;
    assert_ids(&got, plain ? plain : ids, s);
    assert_int_equal(x.bytes, len);
    assert_int_equal(x.bytes - x.merges, got.n);
}

static void check_decoding(const json_t *row, void *data)
{
    const json_t *ids = json_object_get(row, "ids"), *text = json_object_get(row, "decoded");
    const json_t *hex = json_object_get(row, "bytes_hex");
    const wte_tokenizer *t = data;
    size_t n = json_array_size(ids), len = 0;
    uint32_t *list = calloc(n + 1, sizeof *list);
    char *got = NULL;

    assert_non_null(list);
    for (size_t i = 0; i < n; i++)
        list[i] = (uint32_t)json_integer_value(json_array_get(ids, i));
    assert_int_equal(wte_decode(t, list, n, WTE_DECODE_REPLACE, &got, &len, NULL), WTE_OK);
    assert_int_equal(len, json_string_length(text));
    assert_memory_equal(got, json_string_value(text), len);
    wte_text_free(got);
    assert_int_equal(wte_decode(t, list, n, 0, &got, &len, NULL), WTE_OK);
    assert_int_equal(got[len], 0);
    if (hex) {
        assert_int_equal(2 * len, json_string_length(hex));
        for (size_t i = 0; i < len; i++) {
            char two[3];

            snprintf(two, sizeof two, "%02x", (unsigned)(unsigned char)got[i]);
            assert_memory_equal(two, json_string_value(hex) + 2 * i, 2);
        }
    }
    wte_text_free(got);
    free(list);
}

/* ---- agreement ----------------------------------------------------------------------------- */

static void every_reference_row_has_its_ids(void **state)
{
    wte_tokenizer *t = open_gpt2();
    wte_encoder *e = NULL;
    (void)state;

    assert_int_equal(wte_encoder_new(t, &e, NULL), WTE_OK);
    each_row(need_shared("golden/tokenizer_gpt2.jsonl"), check_row, e);
    wte_encoder_free(e);
    wte_tokenizer_free(t);
}

static void every_reference_decoding_has_its_text(void **state)
{
    wte_tokenizer *t = open_gpt2();
    (void)state;

    each_row(need_shared("golden/tokenizer_gpt2_decode.jsonl"), check_decoding, t);
    wte_tokenizer_free(t);
}

static void a_small_vocabulary_has_the_same_ids(void **state)
{
    wte_tokenizer *t = NULL;
    wte_encoder *e = NULL;
    char folder[1024];
    (void)state;

    snprintf(folder, sizeof folder, "%s", test_file("golden/gpt2_small"));
    assert_int_equal(wte_tokenizer_open(folder, &t, NULL), WTE_OK);
    assert_int_equal(wte_encoder_new(t, &e, NULL), WTE_OK);
    each_row(test_file("golden/gpt2_small/rows.jsonl"), check_row, e);
    wte_encoder_free(e);
    wte_tokenizer_free(t);
}

static void info_says_what_was_read(void **state)
{
    wte_tokenizer *t = open_gpt2();
    const wte_tokenizer_info *info = wte_tokenizer_get_info(t);
    size_t len = 0;
    uint32_t id = 0;
    (void)state;

    assert_int_equal(info->kind, WTE_TOKENIZER_GPT2);
    assert_string_equal(info->source, "vocab.json and merges.txt");
    assert_int_equal(info->n_vocab, 50257);
    assert_int_equal(info->n_merges, 50000);
    assert_int_equal(info->n_special, 1);
    assert_int_equal(info->eos, 50256);
    assert_int_equal(info->bos, 50256);
    assert_int_equal(info->cls, -1);
    assert_memory_equal(wte_tokenizer_piece(t, 4583, &len), " theory", 7);
    assert_int_equal(len, 7);
    assert_memory_equal(wte_tokenizer_spelling(t, 4583, &len), "\xC4\xA0theory", 8);
    assert_int_equal(len, 8);
    assert_null(wte_tokenizer_piece(t, 50257, &len));
    assert_int_equal(wte_tokenizer_find(t, " theory", 7, &id, NULL), WTE_OK);
    assert_int_equal(id, 4583);
    assert_int_equal(wte_tokenizer_find(t, "<|endoftext|>", 13, &id, NULL), WTE_OK);
    assert_int_equal(id, 50256);
    assert_int_equal(wte_tokenizer_find(t, "\xC4\xA0theory", 8, &id, NULL), WTE_E_NOTFOUND);
    assert_true(wte_tokenizer_is_special(t, 50256));
    assert_false(wte_tokenizer_is_special(t, 0));
    for (uint32_t i = 0; i < info->n_vocab; i++) {
        const char *piece = wte_tokenizer_piece(t, i, &len);

        assert_int_equal(wte_tokenizer_find(t, piece, len, &id, NULL), WTE_OK);
        assert_int_equal(id, i);
    }
    wte_tokenizer_free(t);
}

static void tokenizer_json_gives_the_same_tokenizer(void **state)
{
    wte_tokenizer *t = NULL;
    wte_encoder *e = NULL;
    char path[1024];
    (void)state;

    snprintf(path, sizeof path, "%s/tokenizer.json", need_shared("data/gpt2"));
    assert_int_equal(wte_tokenizer_open(path, &t, NULL), WTE_OK);
    assert_string_equal(wte_tokenizer_get_info(t)->source, "tokenizer.json");
    assert_int_equal(wte_tokenizer_get_info(t)->n_merges, 50000);
    assert_int_equal(wte_encoder_new(t, &e, NULL), WTE_OK);
    each_row(need_shared("golden/tokenizer_gpt2.jsonl"), check_row, e);
    wte_encoder_free(e);
    wte_tokenizer_free(t);
}

/* ---- texts of all kinds -------------------------------------------------------------------- */

/* Random text that goes through every path: words, runs, ideographs, ill-formed bytes. */
static size_t random_text(uint64_t *seed, char *out, size_t n)
{
    static const char *const bits[] = {" ",
                                       " ",
                                       " ",
                                       " ",
                                       "the",
                                       "of",
                                       "theory",
                                       "'s",
                                       "'ll",
                                       "'",
                                       "\n",
                                       "\t",
                                       "  ",
                                       "1900",
                                       ".",
                                       "<|endoftext|>",
                                       "\xE3\x80\x80",
                                       "\xE6\xBC\xA2\xE5\xAD\x97",
                                       "\xC3\xA9",
                                       "\xF0\x9F\x98\x80",
                                       "\xC2\xA0",
                                       "aaaaaaaaaaaaaaaaaaaaaaaaa",
                                       "--------",
                                       "x",
                                       "'t",
                                       "\xCC\x81",
                                       "\xD9\xA3",
                                       "QWERTYuiop",
                                       "\xE2\x80\x99"};
    size_t at = 0;

    while (at + 32 < n) {
        uint64_t r = wte__random(seed);
        const char *bit = bits[r % (sizeof bits / sizeof *bits)];

        memcpy(out + at, bit, strlen(bit));
        at += strlen(bit);
    }
    return at;
}

static void assert_same(const uint32_t *a, size_t n_a, const uint32_t *b, size_t n_b)
{
    assert_int_equal(n_a, n_b);
    assert_memory_equal(a, b, n_a * sizeof *a);
}

static void ids_do_not_depend_on_caches_or_threads(void **state)
{
    enum { SIZE = 700000, PARTS = 40 };
    wte_tokenizer *t = open_gpt2();
    wte_encoder *warm = NULL, *fresh = NULL;
    char *text = malloc(SIZE), *back = NULL;
    uint64_t seed = 7;
    size_t len, at = 0, n, back_len;
    uint32_t *ids = NULL;
    wte_encoding a, b;
    (void)state;

    assert_non_null(text);
    len = random_text(&seed, text, SIZE);
    assert_int_equal(wte_encoder_new(t, &warm, NULL), WTE_OK);
    for (int flags = 0; flags < 2; flags++) {
        assert_int_equal(wte_encode(warm, text, len, (unsigned)flags, &a, NULL), WTE_OK);
        for (unsigned threads = 1; threads < 6; threads++) {
            assert_int_equal(
                wte_encode_parallel(t, text, len, (unsigned)flags, threads, &ids, &n, NULL),
                WTE_OK);
            assert_same(ids, n, a.ids, a.n);
            wte_ids_free(ids);
        }
        assert_int_equal(wte_decode(t, a.ids, a.n, 0, &back, &back_len, NULL), WTE_OK);
        assert_int_equal(back_len, len);
        assert_memory_equal(back, text, len);
        wte_text_free(back);
    }
    for (int i = 0; i < PARTS; i++, at += 97) { /* short texts, whose blocks end anywhere */
        size_t some = 3 + (size_t)i * 7;

        assert_int_equal(wte_encoder_new(t, &fresh, NULL), WTE_OK);
        while ((text[at] & 0xC0) == 0x80)
            at++;
        while ((text[at + some] & 0xC0) == 0x80)
            some++;
        assert_int_equal(wte_encode(fresh, text + at, some, 0, &b, NULL), WTE_OK);
        assert_int_equal(wte_encode(warm, text + at, some, WTE_ENCODE_SPANS, &a, NULL), WTE_OK);
        assert_same(a.ids, a.n, b.ids, b.n);
        assert_int_equal(wte_encode_explain(fresh, text + at, some, 0, count_step,
                                            &(explained){fresh, 0, 0, 0}, NULL),
                         WTE_OK);
        assert_same(a.ids, a.n, fresh->ids, fresh->n);
        wte_encoder_free(fresh);
    }
    wte_encoder_free(warm);
    wte_tokenizer_free(t);
    free(text);
}

static void ill_formed_bytes_are_u_fffd(void **state)
{
    /* each maximal subpart is one U+FFFD, as in Python's errors="replace" */
    static const char bad[] = "ab\xFF"
                              "c \xE2\x82 \xF0\x9F\x98 \xC3( \xED\xA0\x80 end\xF4\x90";
    static const char good[] = "ab\xEF\xBF\xBD"
                               "c \xEF\xBF\xBD \xEF\xBF\xBD \xEF\xBF\xBD( "
                               "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD end\xEF\xBF\xBD\xEF\xBF\xBD";
    wte_tokenizer *t = open_gpt2();
    wte_encoder *e = NULL, *f = NULL;
    wte_encoding a, b;
    (void)state;

    assert_int_equal(wte_encoder_new(t, &e, NULL), WTE_OK);
    assert_int_equal(wte_encoder_new(t, &f, NULL), WTE_OK);
    assert_int_equal(wte_encode(e, bad, sizeof bad - 1, WTE_ENCODE_SPANS, &a, NULL), WTE_OK);
    assert_int_equal(wte_encode(f, good, sizeof good - 1, 0, &b, NULL), WTE_OK);
    assert_same(a.ids, a.n, b.ids, b.n);
    for (size_t i = 0; i < a.n; i++) {
        assert_true(a.spans[i].begin < a.spans[i].end);
        assert_true(a.spans[i].end <= sizeof bad - 1);
    }
    assert_int_equal(a.spans[a.n - 1].end, sizeof bad - 1);
    wte_encoder_free(e);
    wte_encoder_free(f);
    wte_tokenizer_free(t);
}

static void a_megabyte_of_one_letter_is_near_linear(void **state)
{
    enum { SIZE = 1000000 };
    wte_tokenizer *t = open_gpt2();
    wte_encoder *e = NULL;
    char *text = malloc(SIZE);
    wte_encoding got;
    int64_t begin = wte__now_ns();
    size_t total = 0;
    (void)state;

    assert_non_null(text);
    memset(text, 'a', SIZE);
    assert_int_equal(wte_encoder_new(t, &e, NULL), WTE_OK);
    assert_int_equal(wte_encode(e, text, SIZE, 0, &got, NULL), WTE_OK);
    for (size_t i = 0; i < got.n; i++) {
        size_t len = 0;

        assert_non_null(wte_tokenizer_piece(t, got.ids[i], &len));
        total += len;
    }
    assert_int_equal(total, SIZE);
    assert_true(wte__now_ns() - begin < INT64_C(20000000000)); /* quadratic would take hours */
    wte_encoder_free(e);
    wte_tokenizer_free(t);
    free(text);
}

static void decoding_names_the_id_that_is_not_in_use(void **state)
{
    static const uint32_t ids[] = {0, 1, 50257};
    wte_tokenizer *t = open_gpt2();
    char *text = NULL;
    size_t len = 0;
    wte_error err = {0};
    (void)state;

    assert_int_equal(wte_decode(t, ids, 3, 0, &text, &len, &err), WTE_E_RANGE);
    assert_non_null(strstr(err.message, "token 3 of 3 is 50257"));
    assert_null(text);
    wte_tokenizer_free(t);
}

static void special_tokens_can_be_left_out(void **state)
{
    static const uint32_t ids[] = {50256, 464, 50256};
    wte_tokenizer *t = open_gpt2();
    char *text = NULL;
    size_t len = 0;
    (void)state;

    assert_int_equal(wte_decode(t, ids, 3, WTE_DECODE_SKIP_SPECIAL, &text, &len, NULL), WTE_OK);
    assert_string_equal(text, "The");
    wte_text_free(text);
    wte_tokenizer_free(t);
}

/* ---- bad files ----------------------------------------------------------------------------- */

/* A folder with these files; NULL: none. */
static const char *make_folder(const char *name, const char *vocab, const char *merges)
{
    static char folder[1024];
    char path[1200];

    snprintf(folder, sizeof folder, "%s/%s", test_folder(), name);
    mkdir(folder, 0700);
    if (vocab) {
        snprintf(path, sizeof path, "%s/vocab.json", name);
        write_file(path, vocab, strlen(vocab));
    }
    if (merges) {
        snprintf(path, sizeof path, "%s/merges.txt", name);
        write_file(path, merges, strlen(merges));
    }
    return folder;
}

static void assert_refused(const char *path, const char *why)
{
    wte_tokenizer *t = NULL;
    wte_error err = {0};
    wte_status status = wte_tokenizer_open(path, &t, &err);

    assert_int_not_equal(status, WTE_OK);
    assert_null(t);
    if (!strstr(err.message, why))
        fail_msg("'%s' does not say '%s'", err.message, why);
    assert_null(strchr(err.message, '\n'));
}

static void bad_vocabularies_are_refused(void **state)
{
    static const struct {
        const char *name, *vocab, *merges, *why;
    } cases[] = {
        {"empty", "", "", "the file ends, expected '{'"},
        {"none", "{}", "", "no tokens"},
        {"cut", "{\"a\": 0, \"b", "", "byte 11: the file ends inside a string"},
        {"cut2", "{\"a\": 0", "", "the file ends, expected ','"},
        {"rest", "{\"a\": 0} x", "", "expected the end of the file"},
        {"twice", "{\"a\": 0, \"a\": 1}", "", "'a' is there twice, with ids 0 and 1"},
        {"same", "{\"a\": 0, \"b\": 0}", "", "'a' and 'b' both have id 0"},
        {"huge", "{\"a\": 4000000000}", "", "too many holes"},
        {"overflow", "{\"a\": 99999999999999999999}", "", "expected a whole number"},
        {"negative", "{\"a\": -1}", "", "expected a whole number"},
        {"fraction", "{\"a\": 1.5}", "", "expected a whole number"},
        {"text", "{\"a\": \"0\"}", "", "expected a whole number"},
        {"lone", "{\"\\ud800\": 0}", "", "lone surrogate \\uD800"},
        {"lone2", "{\"\\udc00\": 0}", "", "lone surrogate \\uDC00"},
        {"lone3", "{\"\\ud800\\u0041\": 0}", "", "lone surrogate \\uD800"},
        {"utf8", "{\"\xFF\": 0}", "", "byte 2: invalid UTF-8"},
        {"surrogate", "{\"\xED\xA0\x80\": 0}", "", "invalid UTF-8"},
        {"control", "{\"\x01\": 0}", "", "control character 0x01"},
        {"escape", "{\"\\x\": 0}", "", "unknown escape"},
        {"list", "[1]", "", "expected '{'"},
        {"bytes", "{\"a\": 0}", "", "no token for the byte 0x00"},
        {"left", "{\"a\": 0, \"b\": 1}", "c b\n", "merge 1: the left piece 'c' is not"},
        {"right", "{\"a\": 0, \"b\": 1}", "#version: 0.2\na c\n", "the right piece 'c'"},
        {"result", "{\"a\": 0, \"b\": 1}", "a b\n", "the result 'ab' is not in the vocabulary"},
        {"spaces", "{\"a\": 0, \"b\": 1}", "a  b\n", "line 1: expected two pieces"},
        {"single", "{\"a\": 0, \"b\": 1}", "a\n", "line 1: expected two pieces"},
        {"alone", "{\"a\": 0}", NULL, "vocab.json without merges.txt"},
        {"merges", NULL, "a b\n", "merges.txt without vocab.json"},
        {"nothing", NULL, NULL, "no tokenizer"}};
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(make_folder(cases[i].name, cases[i].vocab, cases[i].merges), cases[i].why);
    assert_refused("/nowhere/at/all", "no such file or folder");
}

static void bad_tokenizer_json_is_refused(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"{}", "no model with a vocab"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":{\"a\":0}}}", "model 'Unigram'"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0}}}", "BPE without merges"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}", "pre-tokenizer ''"},
        {"{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"use_regex\":false},"
         "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}",
         "a pre-tokenizer without its pattern is not supported"},
        {"{\"pre_tokenizer\":{\"type\":\"ByteLevel\"},"
         "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a\"]}}",
         "a merge without a space"},
        {"{\"pre_tokenizer\":{\"type\":\"ByteLevel\"},"
         "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\",\"x\"]]}}",
         "the right piece 'x'"},
        {"{\"model\":{\"vocab\":{\"a\":0},\"vocab\":{\"a\":0}}}", "a second vocab"},
        {"{\"added_tokens\":[{\"id\":3}]}", "an added token without id or content"},
        {"{\"x\":tru}", "expected a value"},
        {"{\"model\":{\"vocab\":{\"a\":0", "the file ends"}};
    static char deep[1000];
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(write_file("tokenizer.json", cases[i].text, strlen(cases[i].text)),
                       cases[i].why);
    memset(deep, '[', sizeof deep);
    memcpy(deep, "{\"x\":", 5);
    assert_refused(write_file("tokenizer.json", deep, sizeof deep), "values more than 128 deep");
}

static void every_allocation_may_fail(void **state)
{
    wte_tokenizer *t = NULL;
    wte_encoder *e = NULL;
    wte_encoding got;
    uint32_t *ids = NULL;
    char *text = NULL, folder[1024];
    size_t n = 0;
    static char long_text[300];
    (void)state;

    snprintf(folder, sizeof folder, "%s", test_file("golden/gpt2_small"));
    memset(long_text, 'a', sizeof long_text);
    memcpy(long_text, "The theory \xFF<|endoftext|>", 25);
    for (long i = 0;; i++) {
        wte_status status;

        wte__fail_alloc(i);
        status = wte_tokenizer_open(folder, &t, NULL);
        if (status == WTE_OK)
            status = wte_encoder_new(t, &e, NULL);
        if (status == WTE_OK)
            status = wte_encode(e, long_text, sizeof long_text,
                                WTE_ENCODE_SPECIAL | WTE_ENCODE_SPANS, &got, NULL);
        if (status == WTE_OK)
            status = wte_encode_parallel(t, long_text, sizeof long_text, 0, 1, &ids, &n, NULL);
        if (status == WTE_OK)
            status = wte_decode(t, ids, n, WTE_DECODE_REPLACE | WTE_DECODE_SKIP_SPECIAL, &text, &n,
                                NULL);
        wte__fail_alloc(-1);
        wte_text_free(text);
        wte_ids_free(ids);
        wte_encoder_free(e);
        wte_tokenizer_free(t);
        text = NULL;
        ids = NULL;
        e = NULL;
        t = NULL;
        if (status == WTE_OK) {
            assert_true(i > 20);
            break;
        }
        assert_int_equal(status, WTE_E_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reference_row_has_its_ids),
        cmocka_unit_test(every_reference_decoding_has_its_text),
        cmocka_unit_test(a_small_vocabulary_has_the_same_ids),
        cmocka_unit_test(info_says_what_was_read),
        cmocka_unit_test(tokenizer_json_gives_the_same_tokenizer),
        cmocka_unit_test(ids_do_not_depend_on_caches_or_threads),
        cmocka_unit_test(ill_formed_bytes_are_u_fffd),
        cmocka_unit_test(a_megabyte_of_one_letter_is_near_linear),
        cmocka_unit_test(decoding_names_the_id_that_is_not_in_use),
        cmocka_unit_test(special_tokens_can_be_left_out),
        cmocka_unit_test(bad_vocabularies_are_refused),
        cmocka_unit_test(bad_tokenizer_json_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
