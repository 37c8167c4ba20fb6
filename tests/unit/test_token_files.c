/* SPDX-License-Identifier: MIT */
/* test_token_files.c - what the files beside a vocabulary say, and which parts of tokenizer.json
 * are understood
 *
 * The vocabularies are made here: 256 bytes and a few words, so that ids can be worked out by hand.
 * What add_prefix_space does is as in ByteLevel of huggingface/tokenizers: every stretch between
 * added tokens that does not begin with a space gets one. */
#include "support.h"
#include <stdbool.h>
#include <sys/stat.h>
#include "base/base.h"
#include "token/gpt2_internal.h"
#include "token/gpt2_merge.h"
#include "wte/tokenizer.h"

static char folder[4200];

static int set_up(void **state)
{
    static int turn;
    (void)state;

    snprintf(folder, sizeof folder, "%s/files%d", test_folder(), turn++);
    return mkdir(folder, 0700);
}

enum { SPACE_A = 256, SPACE_AB = 257, END = 258 };

/* {"byte": id, ...} with " a" 256, " ab" 257 and <|endoftext|> 258; `more` is put at the end. */
static const char *gpt2_vocab(const char *more)
{
    static char text[65536];
    size_t n = 0;
    unsigned next = 256;

    n += (size_t)sprintf(text + n, "{");
    for (unsigned b = 0; b < 256; b++) {
        bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;

        n += (size_t)sprintf(text + n, "\"\\u%04x\": %u, ", printable ? b : next, b);
        next += !printable;
    }
    n += (size_t)snprintf(text + n, sizeof text - n,
                          "\"\\u0120a\": 256, \"\\u0120ab\":257 ,\n \"<|endoftext|>\": 258%s}",
                          more);
    assert_true(n < sizeof text);
    return text;
}

static const char merges[] = "#version: 0.2\n\xC4\xA0 a\n\xC4\xA0"
                             "a b\n";

static void write_gpt2(const char *more)
{
    write_text_file(folder, "vocab.json", gpt2_vocab(more));
    write_text_file(folder, "merges.txt", merges);
}

/* A tokenizer.json of GPT-2's kind with these parts. */
static void write_bpe_json(const char *parts, const char *model)
{
    static char text[32768];

    snprintf(text, sizeof text,
             "{%s \"model\": {\"type\": \"BPE\", %s \"vocab\": %s, \"merges\": "
             "[\"\\u0120 a\", [\"\\u0120a\", \"b\"]]}}",
             parts, model, gpt2_vocab(""));
    write_text_file(folder, "tokenizer.json", text);
}

static wte_tokenizer *open_folder(void)
{
    wte_tokenizer *t = NULL;
    wte_error err = {WTE_OK, 0, ""};

    if (wte_tokenizer_open(folder, &t, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return t;
}

static void assert_refused(const char *why)
{
    wte_tokenizer *t = NULL;
    wte_error err = {WTE_OK, 0, ""};

    assert_int_not_equal(wte_tokenizer_open(folder, &t, &err), WTE_OK);
    assert_null(t);
    if (!strstr(err.message, why))
        fail_msg("'%s' does not say '%s'", err.message, why);
}

static void assert_ids(const wte_tokenizer *t, const char *text, unsigned flags,
                       const uint32_t *want, size_t n)
{
    wte_encoder *e = NULL;
    wte_encoding got;

    assert_int_equal(wte_encoder_new(t, &e, NULL), WTE_OK);
    assert_int_equal(wte_encode(e, text, strlen(text), flags, &got, NULL), WTE_OK);
    assert_int_equal(got.n, n);
    assert_memory_equal(got.ids, want, n * sizeof *want);
    wte_encoder_free(e);
}

#define IDS(...)                                                                                   \
    (const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t)

/* ---- add_prefix_space ---------------------------------------------------------------------- */

static const char byte_level_prefix[] =
    "\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true},";

static void a_space_is_put_before_each_stretch(void **state)
{
    (void)state;
    for (int json = 0; json < 2; json++) {
        wte_tokenizer *t;

        set_up(NULL);
        if (json) {
            write_bpe_json(byte_level_prefix, "");
        } else {
            write_gpt2("");
            write_text_file(folder, "tokenizer_config.json", "{\"add_prefix_space\": true}");
        }
        t = open_folder();
        assert_int_equal(wte_tokenizer_get_info(t)->add_prefix_space, 1);
        assert_ids(t, "ab", 0, IDS(SPACE_AB));
        assert_ids(t, " ab", 0, IDS(SPACE_AB));
        assert_ids(t, "b ab", 0, IDS(' ', 'b', SPACE_AB));
        assert_ids(t, "\nab", 0, IDS(' ', '\n', 'a', 'b'));
        assert_ids(t, "a<|endoftext|>ab<|endoftext|> a", WTE_ENCODE_SPECIAL,
                   IDS(SPACE_A, END, SPACE_AB, END, SPACE_A));
        wte_tokenizer_free(t);
    }
}

static void an_empty_text_gets_no_space(void **state)
{
    wte_tokenizer *t;
    (void)state;

    write_bpe_json(byte_level_prefix, "");
    t = open_folder();
    assert_ids(t, "", 0, NULL, 0);
    assert_ids(t, "<|endoftext|>", WTE_ENCODE_SPECIAL, IDS(END));
    wte_tokenizer_free(t);
}

static void spans_count_from_the_text_without_the_space(void **state)
{
    static const char text[] = "ab c<|endoftext|>ab";
    static const wte_span want[] = {{0, 2}, {2, 3}, {3, 4}, {4, 17}, {17, 19}};
    wte_tokenizer *t;
    wte_encoder *e = NULL;
    wte_encoding got;
    (void)state;

    write_bpe_json(byte_level_prefix, "");
    t = open_folder();
    assert_int_equal(wte_encoder_new(t, &e, NULL), WTE_OK);
    assert_int_equal(
        wte_encode(e, text, strlen(text), WTE_ENCODE_SPANS | WTE_ENCODE_SPECIAL, &got, NULL),
        WTE_OK);
    assert_int_equal(got.n, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(got.spans[i].begin, want[i].begin);
        assert_int_equal(got.spans[i].end, want[i].end);
    }
    wte_encoder_free(e);
    wte_tokenizer_free(t);
}

static void threads_put_one_space_before_a_long_text(void **state)
{
    enum { N = 400000 };
    char *text = malloc(N);
    wte_tokenizer *t;
    wte_encoder *e = NULL;
    wte_encoding got;
    uint32_t *ids = NULL;
    size_t n = 0;
    (void)state;

    assert_non_null(text);
    for (size_t i = 0; i < N; i++)
        text[i] = "ab a b"[i % 6];
    write_bpe_json(byte_level_prefix, "");
    t = open_folder();
    assert_int_equal(wte_encoder_new(t, &e, NULL), WTE_OK);
    assert_int_equal(wte_encode(e, text, N, 0, &got, NULL), WTE_OK);
    assert_int_equal(got.ids[0], SPACE_AB);
    assert_int_equal(wte_encode_parallel(t, text, N, 0, 4, &ids, &n, NULL), WTE_OK);
    assert_int_equal(n, got.n);
    assert_memory_equal(ids, got.ids, n * sizeof *ids);
    wte_ids_free(ids);
    wte_encoder_free(e);
    wte_tokenizer_free(t);
    free(text);
}

/* ---- the parts of tokenizer.json ----------------------------------------------------------- */

static void a_sequence_is_what_its_parts_are(void **state)
{
    wte_tokenizer *t;
    (void)state;

    write_bpe_json("\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": []},"
                   "\"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": "
                   "[{\"type\": \"ByteLevel\", \"add_prefix_space\": false}]},"
                   "\"post_processor\": {\"type\": \"ByteLevel\", \"trim_offsets\": true},",
                   "\"dropout\": null, \"unk_token\": \"<|endoftext|>\",");
    t = open_folder();
    assert_int_equal(wte_tokenizer_get_info(t)->add_prefix_space, 0);
    assert_int_equal(wte_tokenizer_get_info(t)->unk, END);
    assert_ids(t, "ab ab", 0, IDS('a', 'b', SPACE_AB));
    wte_tokenizer_free(t);
}

static void other_parts_are_refused_by_name(void **state)
{
    static const char level[] = "\"pre_tokenizer\": {\"type\": \"ByteLevel\"},";
    static const struct {
        const char *parts, *model, *why;
    } cases[] = {
        {"\"normalizer\": {\"type\": \"NFC\"},", "", "NFC is not supported with BPE"},
        {"\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFKC\"}]},", "",
         "NFKC is not supported"},
        {"", "\"dropout\": 0.1,", "dropout is not supported"},
        {"", "\"ignore_merges\": true,", "ignore_merges is not supported"},
        {"", "\"byte_fallback\": true,", "byte_fallback is not supported"},
        {"", "\"end_of_word_suffix\": \"</w>\",", "end_of_word_suffix is not supported"},
        {"", "\"continuing_subword_prefix\": \"##\",", "continuing_subword_prefix is not"},
        {"\"post_processor\": {\"type\": \"RobertaProcessing\"},", "",
         "post-processor 'RobertaProcessing' is not supported with BPE"}};
    static const char *const pre[][2] = {
        {"{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\"}, "
         "{\"type\": \"ByteLevel\"}]}",
         "pre-tokenizer 'Split'"},
        {"{\"type\": \"Digits\"}", "pre-tokenizer 'Digits'"},
        {"null", "pre-tokenizer ''"},
        {"{\"pretokenizers\": [{\"pretokenizers\": [{\"pretokenizers\": [{\"pretokenizers\": "
         "[{\"pretokenizers\": []}]}]}]}]}",
         "sequences more than 4 deep"}};
    char text[400];
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(text, sizeof text, "%s%s", level, cases[i].parts);
        write_bpe_json(text, cases[i].model);
        assert_refused(cases[i].why);
    }
    for (size_t i = 0; i < sizeof pre / sizeof *pre; i++) {
        snprintf(text, sizeof text, "\"pre_tokenizer\": %s,", pre[i][0]);
        write_bpe_json(text, "");
        assert_refused(pre[i][1]);
    }
}

static void write_wordpiece(const char *parts, const char *model)
{
    char text[2000];

    snprintf(text, sizeof text,
             "{%s \"model\": {\"type\": \"WordPiece\", %s \"vocab\": {\"[UNK]\": 0, \"a\": 1, "
             "\"##b\": 2, \"[CLS]\": 3, \"[SEP]\": 4, \"?\": 5}}}",
             parts, model);
    write_text_file(folder, "tokenizer.json", text);
}

static void wordpiece_in_tokenizer_json(void **state)
{
    static const char normal[] = "\"normalizer\": {\"type\": \"BertNormalizer\", \"clean_text\": "
                                 "true, \"strip_accents\": null, \"lowercase\": true},";
    static const struct {
        const char *parts, *model, *why;
    } cases[] = {{"\"pre_tokenizer\": {\"type\": \"WhitespaceSplit\"},", "",
                  "pre-tokenizer 'WhitespaceSplit', expected BertPreTokenizer"},
                 {"\"post_processor\": {\"type\": \"RobertaProcessing\"},", "",
                  "'RobertaProcessing' is not supported with WordPiece"},
                 {"", "\"max_input_chars_per_word\": 50,", "max_input_chars_per_word is 50"},
                 {"", "\"continuing_subword_prefix\": \"@@\",", "pieces continue with '@@'"}};
    char text[600];
    wte_tokenizer *t;
    (void)state;

    write_wordpiece(normal, "\"unk_token\": \"?\", \"max_input_chars_per_word\": 100,");
    t = open_folder();
    assert_int_equal(wte_tokenizer_get_info(t)->unk, 5);
    assert_ids(t, "AB xy", 0, IDS(1, 2, 5));
    wte_tokenizer_free(t);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(text, sizeof text, "%s%s", normal, cases[i].parts);
        write_wordpiece(text, cases[i].model);
        assert_refused(cases[i].why);
    }
    write_wordpiece("\"normalizer\": {\"type\": \"BertNormalizer\", \"clean_text\": false},", "");
    assert_refused("does not clean_text");
    write_wordpiece("\"normalizer\": {\"type\": \"Lowercase\"},", "");
    assert_refused("normalizer 'Lowercase', expected BertNormalizer");
}

/* ---- the small files ----------------------------------------------------------------------- */

static void added_tokens_of_older_folders_are_read(void **state)
{
    wte_tokenizer *t;
    (void)state;

    write_gpt2("");
    write_text_file(folder, "added_tokens.json",
                    "{\"<pad>\": 260, \"<|endoftext|>\": 258, \"<new>\": 259}");
    write_text_file(folder, "special_tokens_map.json",
                    "{\"pad_token\": \"<pad>\", \"eos_token\": {\"content\": \"<|endoftext|>\", "
                    "\"lstrip\": true}, \"additional_special_tokens\": [\"b\"]}");
    t = open_folder();
    assert_int_equal(wte_tokenizer_get_info(t)->n_vocab, 261);
    assert_int_equal(wte_tokenizer_get_info(t)->n_holes, 0);
    assert_int_equal(wte_tokenizer_get_info(t)->pad, 260);
    assert_int_equal(wte_tokenizer_get_info(t)->eos, END);
    assert_true(wte_tokenizer_is_special(t, 'b'));
    assert_ids(t, "a<new><pad> <|endoftext|>", WTE_ENCODE_SPECIAL, IDS('a', 259, 260, END));
    assert_ids(t, "<new>", 0, IDS('<', 'n', 'e', 'w', '>'));
    wte_tokenizer_free(t);

    write_text_file(folder, "added_tokens.json", "{\"<pad>\": -1}");
    assert_refused("added_tokens.json: '<pad>' has no id");
    write_text_file(folder, "added_tokens.json", "{\"x\": 258}");
    assert_refused("both have id 258");
    write_text_file(folder, "added_tokens.json", "[]");
    assert_refused("added_tokens.json: expected an object");
}

static void added_tokens_of_newer_folders_are_read(void **state)
{
    wte_tokenizer *t;
    (void)state;

    write_text_file(folder, "vocab.txt", "[UNK]\n[CLS]\n[SEP]\na\n");
    write_text_file(
        folder, "tokenizer_config.json",
        "{\"added_tokens_decoder\": {\"0\": {\"content\": \"[UNK]\", \"special\": true}, "
        "\"5\": {\"content\": \"[NEW]\", \"rstrip\": true}}}");
    t = open_folder();
    assert_int_equal(wte_tokenizer_get_info(t)->n_vocab, 6);
    assert_int_equal(wte_tokenizer_get_info(t)->n_holes, 1);
    assert_ids(t, "a[NEW] a", WTE_ENCODE_SPECIAL, IDS(1, 3, 5, 3, 2));
    wte_tokenizer_free(t);
    write_text_file(folder, "tokenizer_config.json",
                    "{\"added_tokens_decoder\": {\"x\": {\"content\": \"y\"}}}");
    assert_refused("added_tokens_decoder: 'x', expected an id");
}

static void holes_are_counted(void **state)
{
    wte_tokenizer *t;
    size_t len;
    (void)state;

    write_gpt2(", \"x y\": 265");
    t = open_folder();
    assert_int_equal(wte_tokenizer_get_info(t)->n_vocab, 266);
    assert_int_equal(wte_tokenizer_get_info(t)->n_holes, 6);
    assert_null(wte_tokenizer_piece(t, 260, &len));
    wte_tokenizer_free(t);
}

static void ids_of_holes_are_not_decoded(void **state)
{
    static const uint32_t bad[][3] = {{'a', 260, 'b'}, {'a', 'b', 266}, {UINT32_MAX, 'a', 'b'}};
    static const char *const why[] = {"token 2 of 3 is 260", "token 3 of 3 is 266",
                                      "token 1 of 3 is 4294967295"};
    wte_tokenizer *t;
    (void)state;

    write_gpt2(", \"x y\": 265");
    t = open_folder();
    for (size_t i = 0; i < 3; i++)
        for (unsigned flags = 0; flags < 2; flags++) {
            wte_error err = {WTE_OK, 0, ""};
            char *text = NULL;
            size_t len;

            assert_int_equal(wte_decode(t, bad[i], 3, flags, &text, &len, &err), WTE_E_RANGE);
            assert_null(text);
            assert_non_null(strstr(err.message, why[i]));
        }
    wte_tokenizer_free(t);
}

/* ---- made to collide ----------------------------------------------------------------------- */

enum { N_COLLIDING = 3000, N_SLOTS = 8192 };

/* The nth word whose hash falls into one of N slots of the table. */
static void next_colliding(uint64_t *n, uint64_t (*hash)(const char *, size_t), char out[24])
{
    do
        snprintf(out, 24, "w%llu", (unsigned long long)(*n)++);
    while (hash(out, strlen(out)) % N_SLOTS / 16 != 0);
}

static uint64_t hash_of_spelling(const char *s, size_t len)
{
    return wte__hash(s, len);
}

/* As bert.c does it for pieces that begin a word. */
static uint64_t hash_of_piece(const char *s, size_t len)
{
    uint64_t hash = 0xCBF29CE484222325u;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)s[i]) * 0x100000001B3u;
    hash ^= hash >> 32;
    hash *= 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 29;
}

static void tokens_made_to_collide_are_refused(void **state)
{
    uint64_t (*const hashes[])(const char *, size_t) = {hash_of_spelling, hash_of_piece};
    char *text = malloc(24 * (N_COLLIDING + 8));
    (void)state;

    assert_non_null(text);
    for (size_t h = 0; h < 2; h++) {
        size_t at = (size_t)sprintf(text, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n");
        uint64_t n = 0;
        char word[24];

        for (size_t i = 0; i < N_COLLIDING; i++) {
            next_colliding(&n, hashes[h], word);
            at += (size_t)sprintf(text + at, "%s\n", word);
        }
        write_text_file(folder, "vocab.txt", text);
        assert_refused("were made to collide");
    }
    free(text);
}

/* Pairs of bytes whose slots, in the table for so many merges, are all in one part of it. */
static void merges_made_to_collide_are_refused(void **state)
{
    enum { N = 1100, SLOTS = 4096, PART = 640, ROOM = 24 * (N + 2) };
    const wte__gpt2 g = {.n_slots = SLOTS};
    char *vocab = malloc(ROOM), *lines = malloc(ROOM);
    size_t in_vocab = 0, in_lines = 0, n = 0;
    (void)state;

    assert_non_null(vocab);
    assert_non_null(lines);
    for (uint32_t pair = 0; pair < 94 * 94 && n < N; pair++) {
        const int left = '!' + (int)pair / 94, right = '!' + (int)pair % 94;

        if (strchr("\\\"#", left) || strchr("\\\"", right) ||
            wte__gpt2_bucket(&g, wte__gpt2_hash(wte__gpt2_pair((uint32_t)left, (uint32_t)right))) >=
                PART)
            continue;
        in_vocab +=
            (size_t)sprintf(vocab + in_vocab, ", \"%c%c\": %zu", left, right, END + 1 + n++);
        in_lines += (size_t)sprintf(lines + in_lines, "%c %c\n", left, right);
    }
    assert_int_equal(n, N);
    write_gpt2(vocab);
    write_text_file(folder, "merges.txt", lines);
    assert_refused("the merges were made to collide");
    free(vocab);
    free(lines);
}

static void a_class_of_the_other_family_is_refused(void **state)
{
    (void)state;
    write_gpt2("");
    write_text_file(folder, "tokenizer_config.json",
                    "{\"tokenizer_class\": \"BertTokenizerFast\"}");
    assert_refused("tokenizer_class is BertTokenizerFast, but vocab.json and merges.txt is the "
                   "tokenizer of a GPT-2");
    write_text_file(folder, "tokenizer_config.json", "{\"tokenizer_class\": \"GPT2Tokenizer\"}");
    wte_tokenizer_free(open_folder());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_space_is_put_before_each_stretch, set_up),
        cmocka_unit_test_setup(an_empty_text_gets_no_space, set_up),
        cmocka_unit_test_setup(spans_count_from_the_text_without_the_space, set_up),
        cmocka_unit_test_setup(threads_put_one_space_before_a_long_text, set_up),
        cmocka_unit_test_setup(a_sequence_is_what_its_parts_are, set_up),
        cmocka_unit_test_setup(other_parts_are_refused_by_name, set_up),
        cmocka_unit_test_setup(wordpiece_in_tokenizer_json, set_up),
        cmocka_unit_test_setup(added_tokens_of_older_folders_are_read, set_up),
        cmocka_unit_test_setup(added_tokens_of_newer_folders_are_read, set_up),
        cmocka_unit_test_setup(holes_are_counted, set_up),
        cmocka_unit_test_setup(ids_of_holes_are_not_decoded, set_up),
        cmocka_unit_test_setup(tokens_made_to_collide_are_refused, set_up),
        cmocka_unit_test_setup(merges_made_to_collide_are_refused, set_up),
        cmocka_unit_test_setup(a_class_of_the_other_family_is_refused, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
