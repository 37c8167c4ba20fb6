/* SPDX-License-Identifier: MIT */
/* test_loaders.c - good and broken vector files against what gensim 4.2 makes of them
 *
 * Where gensim loads a file, the words, the vectors and their order are the same here; where it
 * fails, so do we. Two things differ by intent: words need not be UTF-8, and a duplicate keeps its
 * row, so the rows compared are those whose word leads back to them. */
#include "support.h"
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include "wte/space.h"

static json_t *load_json(const char *path)
{
    json_error_t err;
    json_t *root = json_load_file(path, 0, &err);

    if (!root)
        fail_msg("%s: %s", path, err.text);
    return root;
}

static wte_status open_file(const char *path, wte_space **space, wte_error *err)
{
    wte_open_options options = WTE_OPEN_DEFAULTS;

    options.cache = WTE_CACHE_NEVER;
    return wte_space_open(path, &options, space, err);
}

/* The ids that gensim keeps: all but duplicates. Returns how many. */
static uint32_t kept_rows(const wte_space *space, uint32_t *ids)
{
    uint32_t n = 0, found;
    size_t len;

    for (uint32_t i = 0; i < wte_space_get_info(space)->n_rows; i++) {
        const char *word = wte_space_word(space, i, &len);

        assert_int_equal(wte_space_find(space, word, len, &found, NULL), WTE_OK);
        if (found == i)
            ids[n++] = i;
    }
    return n;
}

/* ---- the project's own files ------------------------------------------------------------- */

static void compare_file(const json_t *row, const wte_space *space)
{
    const json_t *words = json_object_get(row, "words"), *vectors = json_object_get(row, "vectors");
    const size_t dim = wte_space_get_info(space)->dim;
    uint32_t ids[64], n = kept_rows(space, ids);
    float x[64];

    assert_int_equal(n, json_array_size(words));
    assert_int_equal(dim, json_integer_value(json_object_get(row, "dim")));
    for (uint32_t i = 0; i < n; i++) {
        const json_t *bytes = json_array_get(words, i);
        size_t len;
        const char *word = wte_space_word(space, ids[i], &len);

        assert_int_equal(len, json_array_size(bytes));
        for (size_t k = 0; k < len; k++)
            assert_int_equal((unsigned char)word[k], json_integer_value(json_array_get(bytes, k)));
        assert_int_equal(wte_space_vector(space, ids[i], x, NULL), WTE_OK);
        for (size_t d = 0; d < dim; d++) /* to the last bit */
            assert_true((double)x[d] == json_number_value(json_array_get(vectors, i * dim + d)));
    }
}

static void each_file_is_read_or_refused_as_by_gensim(void **state)
{
    json_t *root = load_json(test_file("golden/loaders.json")), *row;
    size_t i, n = 0;
    (void)state;

    json_array_foreach(json_object_get(root, "files"), i, row)
    {
        const char *file = json_string_value(json_object_get(row, "file"));
        wte_space *space = NULL;
        wte_error err = {WTE_OK, 0, ""};
        char path[256];
        wte_status status;

        snprintf(path, sizeof path, "golden/loaders/%s", file);
        status = open_file(test_file(path), &space, &err);
        if (json_object_get(row, "error")) {
            if (status != WTE_E_FORMAT)
                fail_msg("%s: status %d", file, status);
            assert_non_null(strstr(err.message, file));
            assert_null(space);
        } else {
            if (status != WTE_OK)
                fail_msg("%s", err.message);
            compare_file(row, space);
        }
        wte_space_free(space);
        n++;
    }
    assert_int_equal(n, 23);
    json_decref(root);
}

/* ---- the larger reference ---------------------------------------------------------------- */

static void compare_numbers(const char *file, const char *what, double got, double want,
                            double tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%s: %s is %.17g, expected %.17g", file, what, got, want);
}

static void compare_words(const char *file, const wte_space *space, const uint32_t *ids, uint32_t n,
                          const json_t *want, bool from_end)
{
    size_t count = json_array_size(want);

    for (size_t k = 0; k < count; k++) {
        size_t len;
        const char *word = wte_space_word(space, ids[from_end ? n - count + k : k], &len);
        const json_t *expected = json_array_get(want, k);

        if (len != json_string_length(expected) ||
            memcmp(word, json_string_value(expected), len) != 0)
            fail_msg("%s: word %zu is '%.*s', expected '%s'", file, k, (int)len, word,
                     json_string_value(expected));
    }
}

static void compare_reference(const char *file, const json_t *row, const wte_space *space)
{
    const wte_space_info *info = wte_space_get_info(space);
    const json_t *kwargs = json_object_get(row, "kwargs"), *sums = json_object_get(row, "checksum");
    const uint32_t count = (uint32_t)json_integer_value(json_object_get(row, "count"));
    const char *decoded = json_string_value(json_object_get(kwargs, "unicode_errors"));
    uint32_t *ids = calloc(info->n_rows + 1, sizeof *ids), n;
    float *x = calloc(info->dim, sizeof *x);
    double sum = 0, abs_sum = 0, sq_sum = 0, weighted = 0, scale;
    uint64_t k = 0;

    assert_true(ids && x);
    n = kept_rows(space, ids);
    if (json_object_get(kwargs, "limit")) {
        assert_true(n >= count);
        n = count;
    }
    assert_int_equal(n, count);
    assert_int_equal(info->dim, json_integer_value(json_object_get(row, "dim")));
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(wte_space_vector(space, ids[i], x, NULL), WTE_OK);
        for (size_t d = 0; d < info->dim; d++, k++) {
            double v = (double)x[d];

            sum += v;
            abs_sum += fabs(v);
            sq_sum += v * v;
            weighted += v * (double)(k % 1009 + 1);
        }
    }
    assert_int_equal(k, json_integer_value(json_object_get(sums, "n")));
    scale = 1e-12 * (abs_sum + sq_sum);
    compare_numbers(file, "sum", sum, json_number_value(json_object_get(sums, "sum")), scale);
    compare_numbers(file, "abs_sum", abs_sum, json_number_value(json_object_get(sums, "abs_sum")),
                    scale);
    compare_numbers(file, "sq_sum", sq_sum, json_number_value(json_object_get(sums, "sq_sum")),
                    scale);
    compare_numbers(file, "weighted_sum", weighted,
                    json_number_value(json_object_get(sums, "weighted_sum")), 1009 * scale);
    if (!decoded) { /* else the reference's words are not the file's */
        compare_words(file, space, ids, n, json_object_get(row, "words_first"), false);
        compare_words(file, space, ids, n, json_object_get(row, "words_last"), true);
    }
    free(x);
    free(ids);
}

static void the_reference_loads_the_same(void **state)
{
    json_t *root = load_json(need_shared("golden/loaders.json")), *row;
    size_t i, n_read = 0, n_refused = 0;
    (void)state;

    json_array_foreach(json_object_get(root, "files"), i, row)
    {
        const char *file = json_string_value(json_object_get(row, "file"));
        const char *error = json_string_value(json_object_get(row, "error"));
        wte_space *space = NULL;
        wte_error err = {WTE_OK, 0, ""};
        char path[512];
        wte_status status;

        snprintf(path, sizeof path, "%s%s", strncmp(file, "data/", 5) == 0 ? "" : "golden/", file);
        status = open_file(need_shared(path), &space, &err);
        if (error && strcmp(error, "UnicodeDecodeError") != 0) {
            assert_int_equal(status, WTE_E_FORMAT);
            assert_non_null(strstr(err.message, strrchr(file, '/') + 1));
            n_refused++;
        } else {
            if (status != WTE_OK)
                fail_msg("%s", err.message);
            if (!error)
                compare_reference(file, row, space);
            n_read++;
        }
        wte_space_free(space);
    }
    assert_true(n_read >= 28 && n_refused >= 9);
    json_decref(root);
}

/* ---- messages and notes ------------------------------------------------------------------ */

static const char *message_of(const char *file)
{
    static wte_error err;
    wte_space *space = NULL;
    char path[256];

    err.message[0] = '\0';
    snprintf(path, sizeof path, "golden/loaders/%s", file);
    if (open_file(test_file(path), &space, &err) == WTE_OK) {
        snprintf(err.message, sizeof err.message, "%s", wte_space_get_info(space)->note);
        wte_space_free(space);
    }
    return err.message;
}

static void messages_say_what_was_found_and_expected(void **state)
{
    static const struct {
        const char *file, *text;
    } want[] = {
        {"zero-length.txt", "is empty, expected word vectors"},
        {"header-too-many.txt", "the header says 9 rows, the file has 6"},
        {"header-too-many.bin", "the header says 9 rows of 5 numbers, which is 189 bytes or more"},
        {"header-wrong-dim.txt", "line 2: has 5 numbers, expected 4"},
        {"tabs.txt", "separated by tabs"},
        {"not-a-number.txt", "line 2: 'x-0.312' is no number"},
        {"not-a-header.txt", "'world' is no number"},
        {"truncated.bin", "row 6 begins at byte 148 and needs 6 bytes more"},
        {"truncated-word.bin", "ends in row 6 of 6"},
        {"header-too-few.txt", "the header says 4 rows, the file has 6"}, /* a note */
        {"header-too-few.bin", "52 bytes follow the 4 rows"},             /* a note */
    };
    (void)state;

    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        if (!strstr(message_of(want[i].file), want[i].text))
            fail_msg("%s: '%s' has no '%s'", want[i].file, message_of(want[i].file), want[i].text);
    assert_string_equal(message_of("utf8.bin"), "");
}

static void formats_are_told_apart_by_their_bytes(void **state)
{
    static const struct {
        const char *file, *format;
    } want[] = {
        {"utf8.bin", "word2vec binary"},       {"utf8.txt", "word2vec text"},
        {"glove-style.txt", "GloVe text"},     {"trailing-space.vec", "fastText text"},
        {"no-newline.bin", "word2vec binary"}, {"crlf.txt", "word2vec text"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        char path[256];
        wte_space *space = NULL;

        snprintf(path, sizeof path, "golden/loaders/%s", want[i].file);
        assert_int_equal(open_file(test_file(path), &space, NULL), WTE_OK);
        assert_string_equal(wte_space_get_info(space)->format, want[i].format);
        wte_space_free(space);
    }
}

static void other_files_are_named(void **state)
{
    static const struct {
        const char *bytes, *text;
        size_t n;
    } want[] = {
        {"PK\x03\x04zip", "zip archive", 7},
        {"\x93NUMPY\x01", "numpy array", 7},
        {"GGUF\x03", "GGUF", 5},
        {"\x80\x02}q\x01.", "pickle", 6},
        {"BZh91AY", "bzip2", 7},
        {"-3 5\na 1 2 3 4 5\n", "-3 rows", 18},
        {"3 0\n", "rows of 0 numbers", 4},
        {"99999999999 5\na 1\n", "at most", 18},
        {"4294967294 300\na 1\n", "but the file has only 19 bytes", 19},
        {"2 99999999999999999999\na 1\n", "numbers", 27},
    };
    (void)state;

    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        wte_space *space = NULL;
        wte_error err = {WTE_OK, 0, ""};

        assert_int_equal(open_file(write_file("other", want[i].bytes, want[i].n), &space, &err),
                         WTE_E_FORMAT);
        if (!strstr(err.message, want[i].text))
            fail_msg("'%s' has no '%s'", err.message, want[i].text);
    }
}

static void numbers_of_any_python_notation_are_read(void **state)
{
    static const char text[] = "2 9\na 1 -.5 5. +1e3 1E-45 1_000.5 inf -Infinity 0.1\n"
                               "b 3.4028235677973366e+38 1e400 -1e-400 1e-40 16777217 "
                               "0.30000001192092896 7.038531e-26 1.00000005960464477539062 nan\n";
    static const float want[2][8] = {
        {1, -0.5f, 5, 1000, 0x1p-149f, 1000.5f, INFINITY, -INFINITY},
        {INFINITY, INFINITY, -0.0f, 1e-40f, 16777216, 0.3f, (float)7.038531e-26,
         1} /* rounded twice, as in Python: not 7.038531e-26f */,
    };
    wte_space *space = NULL;
    wte_error err;
    float x[9];
    (void)state;

    if (open_file(write_file("numbers.txt", text, strlen(text)), &space, &err) != WTE_OK)
        fail_msg("%s", err.message);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(wte_space_vector(space, i, x, NULL), WTE_OK);
        assert_memory_equal(x, want[i], sizeof want[i]);
    }
    assert_true(isnan(x[8]));
    assert_int_equal(wte_space_get_info(space)->n_undirected, 2);
    wte_space_free(space);
}

static void what_is_no_number_is_refused(void **state)
{
    static const char *const fields[] = {"0x1p3", "1__0", "_1",   "1_",   "--1", "1e", "1e+", ".",
                                         "in",    "nan1", ".nan", ".inf", "1,5", "",   "1 2", "e5"};
    (void)state;

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        char text[64];
        wte_space *space = NULL;

        snprintf(text, sizeof text, "1 2\nword 1 %s\n", fields[i]);
        if (open_file(write_file("bad.txt", text, strlen(text)), &space, NULL) != WTE_E_FORMAT)
            fail_msg("'%s' was taken for a number", fields[i]);
    }
}

static void glove_words_may_contain_spaces(void **state)
{
    static const char text[] = "the 1 2 3\n. . . 4 5 6\nat name@domain.com 7 8 9\nof 1 1 1\n\n\n";
    wte_space *space = NULL;
    uint32_t id = 9;
    float x[3];
    (void)state;

    assert_int_equal(open_file(write_file("glove.txt", text, strlen(text)), &space, NULL), WTE_OK);
    assert_int_equal(wte_space_get_info(space)->n_rows, 4);
    assert_int_equal(wte_space_find(space, ". . .", 5, &id, NULL), WTE_OK);
    assert_int_equal(id, 1);
    assert_int_equal(wte_space_vector(space, 1, x, NULL), WTE_OK);
    assert_true(x[0] == 4 && x[1] == 5 && x[2] == 6);
    assert_int_equal(wte_space_find(space, "at name@domain.com", 18, &id, NULL), WTE_OK);
    wte_space_free(space);
}

static void the_first_bad_line_is_reported_by_any_number_of_threads(void **state)
{
    enum { N = 60000 };
    char *text = malloc(N * 100), *p = text;
    (void)state;

    assert_non_null(text);
    p += sprintf(p, "%d 10\n", N);
    for (int i = 0; i < N; i++) {
        p += sprintf(p, "word%d", i);
        for (int d = 0; d < 10; d++)
            p += sprintf(p, " %s", (i == 41234 || i == 59000) && d == 3 ? "oops" : "0.125");
        p += sprintf(p, "\n");
    }
    for (unsigned threads = 1; threads <= 4; threads++) {
        wte_open_options options = {WTE_CACHE_NEVER, NULL, threads, NULL, NULL};
        wte_space *space = NULL;
        wte_error err = {WTE_OK, 0, ""};

        assert_int_equal(wte_space_open(write_file("lines.txt", text, (size_t)(p - text)), &options,
                                        &space, &err),
                         WTE_E_FORMAT);
        assert_non_null(strstr(err.message, "line 41236: 'oops' is no number"));
    }
    free(text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_file_is_read_or_refused_as_by_gensim),
        cmocka_unit_test(the_reference_loads_the_same),
        cmocka_unit_test(messages_say_what_was_found_and_expected),
        cmocka_unit_test(formats_are_told_apart_by_their_bytes),
        cmocka_unit_test(other_files_are_named),
        cmocka_unit_test(numbers_of_any_python_notation_are_read),
        cmocka_unit_test(what_is_no_number_is_refused),
        cmocka_unit_test(glove_words_may_contain_spaces),
        cmocka_unit_test(the_first_bad_line_is_reported_by_any_number_of_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
