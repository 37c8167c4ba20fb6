/* SPDX-License-Identifier: MIT */
/* test_checkpoint.c - wte/checkpoint.h: every format gives the same tensors, damage gives an error
 *
 * tests/golden/checkpoints.py made the small files; the folders of the larger reference data were
 * written by torch, safetensors and transformers themselves. */
#include "support.h"
#include <jansson.h>
#include <math.h>
#include <sys/stat.h>
#include "format/gguf.h"
#include "format/pickle.h"
#include "kernel/kernel.h"

/* ---- helpers ---------------------------------------------------------------------------- */

static wte_checkpoint *open_ok(const char *path)
{
    wte_checkpoint *c = NULL;
    wte_error err = {0};

    if (wte_checkpoint_open(path, &c, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return c;
}

static void assert_fails(const char *path, wte_status status, const char *part)
{
    wte_checkpoint *c = NULL;
    wte_error err = {0};

    assert_int_equal(wte_checkpoint_open(path, &c, &err), status);
    assert_null(c);
    if (!strstr(err.message, part))
        fail_msg("'%s' says nothing of '%s'", err.message, part);
}

static unsigned char *read_all(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    unsigned char *data;
    long n;

    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    n = ftell(f);
    assert_true(n >= 0);
    rewind(f);
    *size = (size_t)n;
    data = malloc(*size ? *size : 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *size, f), *size);
    fclose(f);
    return data;
}

static json_t *read_json(const char *path)
{
    json_error_t err;
    json_t *json = json_load_file(path, 0, &err);

    if (!json)
        fail_msg("%s: %s", path, err.text);
    return json;
}

/* The i-th number of a tensor, whatever its type. */
static double element(const wte_tensor *t, size_t i)
{
    const wte__kernels *k = wte__kernel();
    const char *p = t->data;
    union {
        double f64;
        float f32;
        uint16_t u16;
        int64_t i64;
        int32_t i32;
        int16_t i16;
        uint32_t u32;
        uint64_t u64;
        int8_t i8;
        uint8_t u8;
    } v;
    float f;

#define LOAD(member) memcpy(&v.member, p + i * sizeof v.member, sizeof v.member)
    if (strcmp(t->dtype, "F64") == 0)
        return LOAD(f64), v.f64;
    if (strcmp(t->dtype, "F32") == 0)
        return LOAD(f32), (double)v.f32;
    if (strcmp(t->dtype, "F16") == 0)
        return LOAD(u16), k->f16_to_f32(&v.u16, &f, 1), (double)f;
    if (strcmp(t->dtype, "BF16") == 0)
        return LOAD(u16), k->bf16_to_f32(&v.u16, &f, 1), (double)f;
    if (strcmp(t->dtype, "I64") == 0)
        return LOAD(i64), (double)v.i64;
    if (strcmp(t->dtype, "I32") == 0)
        return LOAD(i32), (double)v.i32;
    if (strcmp(t->dtype, "I16") == 0)
        return LOAD(i16), (double)v.i16;
    if (strcmp(t->dtype, "I8") == 0)
        return LOAD(i8), (double)v.i8;
    if (strcmp(t->dtype, "U64") == 0)
        return LOAD(u64), (double)v.u64;
    if (strcmp(t->dtype, "U32") == 0)
        return LOAD(u32), (double)v.u32;
    if (strcmp(t->dtype, "U16") == 0)
        return LOAD(u16), (double)v.u16;
    if (strcmp(t->dtype, "U8") == 0 || strcmp(t->dtype, "BOOL") == 0)
        return LOAD(u8), (double)v.u8;
#undef LOAD
    fail_msg("%s has the type %s", t->name, t->dtype);
    return 0;
}

static size_t count(const wte_tensor *t)
{
    size_t n = 1;

    for (size_t d = 0; d < t->n_dims; d++)
        n *= t->shape[d];
    return n;
}

static void assert_is(const wte_tensor *t, const json_t *want)
{
    const json_t *shape = json_object_get(want, "shape"), *values = json_object_get(want, "values");

    assert_non_null(t);
    assert_string_equal(t->dtype, json_string_value(json_object_get(want, "dtype")));
    assert_int_equal(t->n_dims, json_array_size(shape));
    for (size_t d = 0; d < t->n_dims; d++)
        assert_int_equal(t->shape[d], json_integer_value(json_array_get(shape, d)));
    assert_int_equal(count(t), json_array_size(values));
    for (size_t i = 0; i < count(t); i++)
        if (element(t, i) != json_number_value(json_array_get(values, i)))
            fail_msg("%s[%zu] is %g, expected %g", t->name, i, element(t, i),
                     json_number_value(json_array_get(values, i)));
}

/* ---- the small files -------------------------------------------------------------------- */

static void every_format_gives_the_same_tensors(void **state)
{
    static const char training[] = "left out: 'epoch' (a number), 'loss' (a number), 'name' (a "
                                   "string), 'best' (None) and 2 more";
    static const struct {
        const char *path, *format;
        uint64_t parameters;
        const char *note;
    } files[] = {{"golden/checkpoints/all.safetensors", "safetensors", 127, ""},
                 {"golden/checkpoints/sharded", "safetensors, 3 shards", 127, ""},
                 {"golden/checkpoints/zip.bin", "PyTorch zip", 56, ""},
                 {"golden/checkpoints/zip_protocol4.bin", "PyTorch zip", 56, ""},
                 {"golden/checkpoints/zip64.bin", "PyTorch zip", 56, ""},
                 {"golden/checkpoints/deflated.bin", "PyTorch zip", 56, ""},
                 {"golden/checkpoints/legacy.bin", "PyTorch legacy", 56, ""},
                 {"golden/checkpoints/training.bin", "PyTorch zip", 56, training},
                 {"golden/checkpoints/training_legacy.bin", "PyTorch legacy", 56, training},
                 {"golden/checkpoints/mixed.bin", "PyTorch zip", 56,
                  "left out: 'step' (a number), 'extra' (a dict)"}};
    json_t *expected = read_json(test_file("golden/checkpoints/expected.json"));
    const json_t *tensors = json_object_get(expected, "tensors");
    (void)state;

    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        wte_checkpoint *c = open_ok(test_file(files[f].path));
        const wte_checkpoint_info *info = wte_checkpoint_get_info(c);

        assert_string_equal(info->format, files[f].format);
        assert_string_equal(info->note, files[f].note);
        assert_int_equal(info->n_tensors, json_array_size(tensors));
        assert_int_equal(info->parameters, files[f].parameters);
        assert_null(wte_checkpoint_tensor(c, info->n_tensors));
        for (size_t i = 0; i < info->n_tensors; i++) {
            const json_t *want = json_array_get(tensors, i);
            const char *name = json_string_value(json_object_get(want, "name"));

            assert_is(wte_checkpoint_find(c, name), want);
        }
        wte_checkpoint_free(c);
    }
    json_decref(expected);
}

static void tensors_keep_the_order_of_the_pickle_and_share_storage(void **state)
{
    wte_checkpoint *c = open_ok(test_file("golden/checkpoints/zip.bin"));
    (void)state;

    assert_string_equal(wte_checkpoint_tensor(c, 0)->name, "transformer.wte.weight");
    assert_string_equal(wte_checkpoint_tensor(c, 18)->name, "lm_head.weight");
    assert_ptr_equal(wte_checkpoint_tensor(c, 0)->data, wte_checkpoint_tensor(c, 18)->data);
    assert_ptr_equal((const char *)wte_checkpoint_find(c, "wte.weight")->data + 32,
                     wte_checkpoint_find(c, "part")->data);
    wte_checkpoint_free(c);
}

static void unsigned_types_are_read(void **state)
{
    wte_checkpoint *c = open_ok(test_file("golden/checkpoints/unsigned.safetensors"));
    (void)state;

    assert_true(element(wte_checkpoint_find(c, "u16"), 1) == 65535);
    assert_true(element(wte_checkpoint_find(c, "u32"), 0) == 4e9);
    assert_true(element(wte_checkpoint_find(c, "u64"), 0) == 9223372036854775808.0);
    wte_checkpoint_free(c);
}

static void names_are_found_without_prefix_and_by_their_new_form(void **state)
{
    wte_checkpoint *c = open_ok(test_file("golden/checkpoints/all.safetensors"));
    (void)state;

    assert_string_equal(wte_checkpoint_find(c, "wte.weight")->name, "transformer.wte.weight");
    assert_string_equal(wte_checkpoint_find(c, "embeddings.LayerNorm.weight")->name,
                        "bert.embeddings.LayerNorm.gamma");
    assert_string_equal(wte_checkpoint_find(c, "bert.embeddings.LayerNorm.bias")->name,
                        "bert.embeddings.LayerNorm.beta");
    assert_null(wte_checkpoint_find(c, "weight"));
    assert_null(wte_checkpoint_find(c, ""));
    assert_null(wte_checkpoint_find(c, "transformer.transformer.wte.weight"));
    assert_null(wte_checkpoint_metadata(c, "general.name"));
    wte_checkpoint_free(c);
}

/* ---- GGUF ------------------------------------------------------------------------------- */

static void gguf_tensors_have_both_names_and_row_major_shapes(void **state)
{
    json_t *expected = read_json(test_file("golden/checkpoints/expected.json"));
    const json_t *tensors = json_object_get(expected, "gguf");
    wte_checkpoint *c = open_ok(test_file("golden/checkpoints/tiny.gguf"));
    (void)state;

    assert_string_equal(wte_checkpoint_get_info(c)->format, "GGUF");
    assert_int_equal(wte_checkpoint_get_info(c)->parameters, 121);
    for (size_t i = 0; i < json_array_size(tensors); i++) {
        const json_t *want = json_array_get(tensors, i), *shape = json_object_get(want, "shape");
        const char *hex = json_string_value(json_object_get(want, "bytes"));
        const char *name = json_string_value(json_object_get(want, "name"));
        const wte_tensor *t = wte_checkpoint_find(c, name);

        assert_non_null(t);
        assert_string_equal(t->name, name);
        assert_ptr_equal(t,
                         wte_checkpoint_find(c, json_string_value(json_object_get(want, "alias"))));
        assert_int_equal(t->n_dims, json_array_size(shape));
        for (size_t d = 0; d < t->n_dims; d++)
            assert_int_equal(t->shape[d], json_integer_value(json_array_get(shape, d)));
        assert_int_equal(2 * t->bytes, strlen(hex));
        for (size_t b = 0; b < t->bytes; b++) {
            unsigned byte = 0;

            assert_int_equal(sscanf(hex + 2 * b, "%2x", &byte), 1);
            assert_int_equal(((const unsigned char *)t->data)[b], byte);
        }
    }
    assert_string_equal(wte_checkpoint_find(c, "h.0.mlp.c_fc.weight")->dtype, "Q8_0");
    assert_string_equal(wte_checkpoint_find(c, "h.0.ln_1.weight")->dtype, "BF16");
    wte_checkpoint_free(c);
    json_decref(expected);
}

static void gguf_metadata_reads_as_text(void **state)
{
    static const char *const want[][2] = {{"general.architecture", "gpt2"},
                                          {"gpt2.context_length", "1024"},
                                          {"x.u8", "254"},
                                          {"x.i8", "-2"},
                                          {"x.u16", "65534"},
                                          {"x.i16", "-2"},
                                          {"x.i32", "-3"},
                                          {"x.f32", "0.100000001"},
                                          {"x.bool", "true"},
                                          {"x.u64", "18446744073709551615"},
                                          {"x.i64", "-1099511627776"},
                                          {"x.f64", "0.10000000000000001"},
                                          {"x.nested", "2 arrays"},
                                          {"tokenizer.ggml.tokens", "5 strings"}};
    wte_checkpoint *c = open_ok(test_file("golden/checkpoints/tiny.gguf"));
    int64_t number = 0;
    (void)state;

    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        assert_string_equal(wte_checkpoint_metadata(c, want[i][0]), want[i][1]);
    assert_null(wte_checkpoint_metadata(c, "no.such.key"));
    assert_true(wte__gguf_integer(c, "gpt2.context_length", &number));
    assert_int_equal(number, 1024);
    assert_false(wte__gguf_integer(c, "general.name", &number));
    wte_checkpoint_free(c);
}

static void gguf_arrays_are_copied(void **state)
{
    json_t *expected = read_json(test_file("golden/checkpoints/expected.json"));
    const json_t *tokens = json_object_get(expected, "tokens");
    wte_checkpoint *c = open_ok(test_file("golden/checkpoints/tiny.gguf"));
    static const int64_t kinds[] = {3, 1, 1, 1, -1};
    uint64_t *offsets = NULL;
    int64_t *numbers = NULL;
    char *strings = NULL;
    size_t n = 0;
    (void)state;

    assert_int_equal(wte__gguf_strings(c, "tokenizer.ggml.tokens", &strings, &offsets, &n, NULL),
                     WTE_OK);
    assert_int_equal(n, json_array_size(tokens));
    for (size_t i = 0; i < n; i++) {
        const char *token = json_string_value(json_array_get(tokens, i));

        assert_int_equal(offsets[i + 1] - offsets[i], strlen(token));
        assert_memory_equal(strings + offsets[i], token, strlen(token));
    }
    wte__free(strings);
    wte__free(offsets);
    assert_int_equal(wte__gguf_integers(c, "tokenizer.ggml.token_type", &numbers, &n, NULL),
                     WTE_OK);
    assert_int_equal(n, 5);
    assert_memory_equal(numbers, kinds, sizeof kinds);
    wte__free(numbers);
    assert_int_equal(wte__gguf_strings(c, "x.nested", &strings, &offsets, &n, NULL), WTE_E_FORMAT);
    assert_int_equal(wte__gguf_strings(c, "none", &strings, &offsets, &n, NULL), WTE_E_NOTFOUND);
    assert_int_equal(wte__gguf_integers(c, "x.nested", &numbers, &n, NULL), WTE_E_FORMAT);
    wte_checkpoint_free(c);
    json_decref(expected);
}

/* ---- what must be refused --------------------------------------------------------------- */

static void a_pickle_that_calls_anything_is_refused_by_name(void **state)
{
    static const struct {
        const char *file, *part;
    } cases[] = {{"calls_system", "its pickle calls 'os.system', which a state dict does not need"},
                 {"calls_system_protocol4", "calls 'os.system'"},
                 {"calls_system_inst", "calls 'os.system'"},
                 {"calls_eval", "calls '__builtin__.eval'"},
                 {"calls_storage", "calls 'torch.FloatStorage'"},
                 {"newobj", "uses the opcode NEWOBJ"},
                 {"pop", "uses the opcode POP"},
                 {"no_opcode", "0xFF is no opcode"},
                 {"builds_a_tuple", "sets the state of a tuple"},
                 {"leftover", "something left over"},
                 {"underflow", "a call without arguments"},
                 {"pops_below_a_mark", "a call without arguments"},
                 {"memo_far_away", "far beyond the last"},
                 {"memo_missing", "was never made"},
                 {"string_too_long", "ends early"},
                 {"storage_huge", "larger than any file"}};
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[128];
        unsigned char *data;
        wte_error err = {0};
        wte__pickle p;
        size_t size;

        snprintf(name, sizeof name, "golden/checkpoints/pickles/%s", cases[i].file);
        data = read_all(test_file(name), &size);
        assert_int_equal(wte__pickle_run(data, size, 0, "x.bin", &p, &err), WTE_E_FORMAT);
        if (!strstr(err.message, cases[i].part))
            fail_msg("%s: '%s'", cases[i].file, err.message);
        wte__pickle_free(&p);
        free(data);
    }
    assert_fails(test_file("golden/checkpoints/system_in_zip.bin"), WTE_E_FORMAT, "'os.system'");
    assert_fails(test_file("golden/checkpoints/system_in_legacy.bin"), WTE_E_FORMAT, "'os.system'");
}

static void pickles_of_python_2_and_views_of_storages_are_read(void **state)
{
    static const float numbers[4] = {1, 2, 3, 4};
    wte_checkpoint *c = wte__calloc(1, sizeof *c);
    size_t size;
    unsigned char *data = read_all(test_file("golden/checkpoints/pickles/python2"), &size);
    wte_error err = {0};
    wte__pickle p;
    (void)state;

    assert_non_null(c);
    if (wte__pickle_run(data, size, 0, "x.bin", &p, &err) != WTE_OK)
        fail_msg("%s", err.message);
    assert_int_equal(p.at, size);
    assert_int_equal(p.n_storages, 1);
    p.storages[0].data = (const unsigned char *)numbers;
    assert_int_equal(wte__pickle_tensors(&p, c, &err), WTE_OK);
    /* the view begins at element 1 and the tensor at element 1 of the view */
    assert_ptr_equal(wte_checkpoint_find(c, "w")->data, numbers + 2);
    assert_int_equal(wte_checkpoint_find(c, "w")->shape[0], 2);
    wte__pickle_free(&p);
    wte_checkpoint_free(c);
    free(data);
}

static void a_view_must_lie_in_its_storage(void **state)
{
    static const struct {
        const char *file, *part; /* NULL: good */
    } cases[] = {{"good", NULL},
                 {"offset_outside", "begins behind the end"},
                 {"reaches_outside", "reaches behind the end"},
                 {"negative_offset", "from no storage, offset"},
                 {"negative_size", "a size or stride that is none"},
                 {"size_overflows", "too large"},
                 {"stride_overflows", "reaches behind the end"},
                 {"repeats", "repeats elements"},
                 {"copies", "'c' is one view too many that has to be copied"},
                 {"strides_missing", "from no storage, offset"},
                 {"name_not_utf8", "no valid UTF-8"},
                 {"not_a_dict", "holds a list, expected a state dict"},
                 {"contains_itself", "holds a list, expected a state dict"},
                 {"float", "holds a number, expected a state dict"},
                 {"two_dicts", "both 'a' and 'b' hold tensors, expected one state dict"},
                 {"key_not_a_string", "a number is a key of its dict"},
                 {"value_not_a_tensor", "holds no tensor: 'epoch' is a number"}};
    static const float numbers[4] = {1, 2, 3, 4};
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wte_checkpoint *c = wte__calloc(1, sizeof *c);
        char name[128];
        unsigned char *data;
        wte_error err = {0};
        wte__pickle p;
        size_t size;

        assert_non_null(c);
        snprintf(name, sizeof name, "golden/checkpoints/pickles/%s", cases[i].file);
        data = read_all(test_file(name), &size);
        assert_int_equal(wte__pickle_run(data, size, 0, "x.bin", &p, &err), WTE_OK);
        for (size_t k = 0; k < p.n_storages; k++)
            p.storages[k].data = (const unsigned char *)numbers;
        if (!cases[i].part) {
            assert_int_equal(wte__pickle_tensors(&p, c, &err), WTE_OK);
            assert_ptr_equal(wte_checkpoint_find(c, "w")->data, numbers);
        } else {
            assert_int_equal(wte__pickle_tensors(&p, c, &err), WTE_E_FORMAT);
            if (!strstr(err.message, cases[i].part))
                fail_msg("%s: '%s'", cases[i].file, err.message);
        }
        wte__pickle_free(&p);
        wte_checkpoint_free(c);
        free(data);
    }
}

static unsigned char *find_bytes(unsigned char *data, size_t size, const char *what, size_t n)
{
    for (size_t i = 0; i + n <= size; i++)
        if (memcmp(data + i, what, n) == 0)
            return data + i;
    fail_msg("'%s' is not there", what);
    return NULL;
}

/* The central directory's entry of a file of an archive. */
static unsigned char *directory_entry(unsigned char *data, size_t size, const char *name)
{
    unsigned char *p = find_bytes(data, size, "PK\1\2", 4);

    while (strlen(name) != p[28] || memcmp(p + 46, name, strlen(name)) != 0)
        p = find_bytes(p + 4, size - (size_t)(p + 4 - data), "PK\1\2", 4);
    return p;
}

static void assert_bytes_fail(const unsigned char *data, size_t size, const char *part)
{
    wte_checkpoint *c = NULL;
    wte_error err = {0};

    assert_int_equal(wte__checkpoint_of_bytes(data, size, "x", &c, &err), WTE_E_FORMAT);
    assert_null(c);
    if (!strstr(err.message, part))
        fail_msg("'%s' says nothing of '%s'", err.message, part);
}

static void a_zip_bomb_is_not_unpacked(void **state)
{
    static const unsigned char huge[] = {0xF0, 0xFF, 0xFF, 0xFF}, longer[] = {97, 0, 0, 0};
    size_t size;
    unsigned char *data = read_all(test_file("golden/checkpoints/deflated.bin"), &size);
    unsigned char *entry = directory_entry(data, size, "archive/data.pkl");
    (void)state;

    memcpy(entry + 24, huge, 4);
    assert_bytes_fail(data, size, "claim to be 4294967280");
    memcpy(entry + 24, longer, 4); /* less than there is */
    assert_bytes_fail(data, size, "cannot be unpacked");
    free(data);
}

static void a_zip_directory_has_to_make_sense(void **state)
{
    size_t size;
    unsigned char *whole = read_all(test_file("golden/checkpoints/zip.bin"), &size);
    unsigned char *data = malloc(size), *entry, *pickle;
    (void)state;

    assert_non_null(data);
#define FRESH(name) (memcpy(data, whole, size), entry = directory_entry(data, size, name))
    FRESH("archive/data/0");
    entry[8] |= 1;
    assert_bytes_fail(data, size, "encrypted");
    FRESH("archive/data/0");
    entry[10] = 14;
    assert_bytes_fail(data, size, "unknown way");
    FRESH("archive/data/0");
    entry[24]++;
    assert_bytes_fail(data, size, "two sizes");
    FRESH("archive/data/0");
    entry[20]--, entry[24]--;
    assert_bytes_fail(data, size, "has 95 bytes, its tensors need 96");
    FRESH("archive/data/0");
    entry[22] = entry[26] = 0x7F;
    assert_bytes_fail(data, size, "reaches into the directory");
    FRESH("archive/data/0");
    memcpy(entry + 42, directory_entry(data, size, "archive/data/1") + 42, 4);
    assert_bytes_fail(data, size, "another name");
    FRESH("archive/data/0");
    entry[46 + 13] = '1';
    find_bytes(data, size, "archive/data/0", 14)[13] = '1';
    assert_bytes_fail(data, size, "two entries have one name");
    FRESH("archive/data/0");
    entry[46 + 13] = 'x';
    find_bytes(data, size, "archive/data/0", 14)[13] = 'x';
    assert_bytes_fail(data, size, "has no 'archive/data/0'");
    FRESH("archive/data/0"); /* as large as to reach over the next */
    entry[20] = (unsigned char)(entry[20] + 96), entry[24] = (unsigned char)(entry[24] + 96);
    assert_bytes_fail(data, size, "two entries overlap");
    FRESH("archive/data.pkl");
    pickle = find_bytes(data, size, "\x80\2", 2);
    pickle[30] ^= 1;
    assert_bytes_fail(data, size, "checksum of data.pkl");
    assert_bytes_fail(whole, size - 1, "without an end record");
#undef FRESH
    free(data);
    free(whole);
}

static void a_legacy_storage_must_be_as_long_as_its_tensors_say(void **state)
{
    size_t size;
    unsigned char *data = read_all(test_file("golden/checkpoints/legacy.bin"), &size);
    (void)state;

    *find_bytes(data, size, "\x18\0\0\0\0\0\0\0\0\0\x40\xC0", 12) = 23; /* 24, then -3 */
    assert_bytes_fail(data, size, "a storage has 23 elements, its tensors say 24");
    free(data);
}

static void the_index_of_shards_must_agree_with_the_files(void **state)
{
    static const char *const names[] = {"model-00001-of-00003.safetensors",
                                        "model-00002-of-00003.safetensors",
                                        "model-00003-of-00003.safetensors"};
    static const struct {
        const char *text, *part;
        wte_status status;
    } cases[] = {
        {"{\"weight_map\": {\"transformer.wte.weight\": \"model-00009-of-00003.safetensors\"}}",
         "the shard 'model-00009-of-00003.safetensors' that it names is missing", WTE_E_NOTFOUND},
        {"{\"weight_map\": {\"transformer.wte.weight\": \"model-00002-of-00003.safetensors\"}}",
         "'transformer.wte.weight' is not in its shard", WTE_E_FORMAT},
        {"{\"weight_map\": {\"transformer.wte.weight\": \"model-00002-of-00003.safetensors\","
         "\"ids\": \"model-00001-of-00003.safetensors\"}}",
         "the index says in 'model-0000", WTE_E_FORMAT},
        {"{\"weight_map\": {\"a\": \"model-00002-of-00003.safetensors\","
         "\"b\": \"twin.safetensors\"}}",
         "is in another shard too", WTE_E_FORMAT},
        {"{\"weight_map\": {\"a\": \"../b\"}}", "expected the name of a file in the same folder",
         WTE_E_FORMAT},
        {"{\"weight_map\": {\"a\": 5}}", "lies in no file", WTE_E_FORMAT},
        {"{\"weight_map\": {\"a\": \"x\", \"a\": \"y\"}}", "duplicate", WTE_E_FORMAT},
        {"{\"weight_map\": {}}", "without a weight_map", WTE_E_FORMAT},
        {"{\"weight_map\": ", "no JSON", WTE_E_FORMAT}};
    (void)state;

    for (size_t i = 0; i < 3; i++) {
        char path[128];
        unsigned char *data;
        size_t size;

        snprintf(path, sizeof path, "golden/checkpoints/sharded/%s", names[i]);
        data = read_all(test_file(path), &size);
        write_file(names[i], data, size);
        if (i == 1)
            write_file("twin.safetensors", data, size);
        free(data);
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_fails(
            write_file("model.safetensors.index.json", cases[i].text, strlen(cases[i].text)),
            cases[i].status, cases[i].part);
}

/* A safetensors file of a header and n bytes of data. */
static void assert_header_fails(const char *json, size_t n, const char *part)
{
    size_t len = strlen(json);
    unsigned char *data = calloc(1, 8 + len + n);

    assert_non_null(data);
    for (size_t i = 0; i < 8; i++)
        data[i] = (unsigned char)((uint64_t)len >> (8 * i));
    memcpy(data + 8, json, len);
    assert_bytes_fail(data, 8 + len + n, part);
    free(data);
}

static void a_safetensors_header_has_to_add_up(void **state)
{
    static const unsigned char longer[] = "\xff\0\0\0\0\0\0\0{}";
    (void)state;

    assert_bytes_fail(longer, 10, "cannot hold a safetensors header of 255");
    assert_header_fails("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                        "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]}}",
                        6, "overlap");
    assert_header_fails("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8,
                        "holes");
    assert_header_fails("{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],"
                        "\"data_offsets\":[0,0]}}",
                        0, "no shape");
    assert_header_fails("{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8,
                        "need 12");
    assert_header_fails("{\"a\":{\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
                        "unknown type 'F31'");
    assert_header_fails("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                        "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
                        2, "duplicate");
    assert_header_fails("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 2,
                        "the tensors end at byte");
}

static void a_gguf_has_to_add_up(void **state)
{
    size_t size;
    unsigned char *whole = read_all(test_file("golden/checkpoints/tiny.gguf"), &size);
    unsigned char *data = malloc(size), *p;
    (void)state;

    assert_non_null(data);
#define FRESH(name) (memcpy(data, whole, size), p = find_bytes(data, size, name, strlen(name)))
    FRESH("GGUF");
    p[4] = 1;
    assert_bytes_fail(data, size, "version 1, expected 2 or 3");
    FRESH("GGUF");
    p[14] = 1;
    assert_bytes_fail(data, size, "does not fit");
    FRESH("token_embd.weight"); /* then: dimensions 4, sizes 8 8, type 4, place 8 */
    p[17 + 20] = 12;
    assert_bytes_fail(data, size, "has the type 12 (Q4_K), expected F32, F16, BF16 or Q8_0");
    FRESH("token_embd.weight");
    p[17] = 9;
    assert_bytes_fail(data, size, "more than 8 dimensions");
    FRESH("token_embd.weight");
    p[17 + 11] = 0x40;
    assert_bytes_fail(data, size, "too large");
    FRESH("position_embd.weight");
    p[20 + 24] = 64;
    assert_bytes_fail(data, size, "overlap or leave holes");
    FRESH("output.weight");
    p[13 + 13] = 1;
    assert_bytes_fail(data, size, "of the data, which has");
    FRESH("blk.0.ffn_up.weight");
    p[19 + 4] = 31;
    assert_bytes_fail(data, size, "no whole number of blocks");
    FRESH("x.i16");
    memcpy(p, "x.u16", 5);
    assert_bytes_fail(data, size, "'x.u16' twice");
    FRESH("x.u8");
    p[4] = 13;
    assert_bytes_fail(data, size, "unknown type 13");
    FRESH("blk.11.attn_output.bias");
    memcpy(p, "blk.0.attn_norm.weight\0", 23);
    assert_bytes_fail(data, size, "no valid UTF-8");
    FRESH("position_embd.weight");
    memcpy(p, "token_embd.weightxyz", 20);
    p[-8] = 17;
    assert_int_equal(wte__checkpoint_of_bytes(data, size, "x", &(wte_checkpoint *){NULL}, NULL),
                     WTE_E_FORMAT);
#undef FRESH
    free(data);
    free(whole);
}

static void what_is_no_checkpoint_is_named(void **state)
{
    static const char lfs[] = "version https://git-lfs.github.com/spec/v1\noid sha256:00\n";
    (void)state;

    assert_fails(write_file("empty.bin", "", 0), WTE_E_FORMAT, "the file is empty");
    assert_fails(write_file("text.bin", "hello world", 11), WTE_E_FORMAT, "begins as none of");
    assert_fails(write_file("lfs.safetensors", lfs, sizeof lfs - 1), WTE_E_FORMAT, "Git LFS");
    assert_fails(write_file("plain.pkl", "\x80\2}.", 4), WTE_E_FORMAT, "none of torch.save");
    assert_fails("/no/such/place", WTE_E_NOTFOUND, "no such file or folder");
}

static void a_folder_is_looked_through_in_order(void **state)
{
    unsigned char *data;
    char path[512], file[600];
    wte_checkpoint *c;
    size_t size;
    (void)state;

    snprintf(path, sizeof path, "%s/folder", test_folder());
    assert_int_equal(mkdir(path, 0700), 0);
    assert_fails(path, WTE_E_NOTFOUND, "no model.safetensors, model.safetensors.index.json");
    data = read_all(test_file("golden/checkpoints/tiny.gguf"), &size);
    write_file("folder/a.gguf", data, size);
    c = open_ok(path);
    assert_string_equal(wte_checkpoint_get_info(c)->format, "GGUF");
    assert_int_equal(wte_checkpoint_get_info(c)->file_bytes, size);
    wte_checkpoint_free(c);
    write_file("folder/b.gguf", data, size);
    free(data);
    assert_fails(path, WTE_E_NOTFOUND, "2 .gguf files, expected one");
    data = read_all(test_file("golden/checkpoints/legacy.bin"), &size);
    write_file("folder/pytorch_model.bin", data, size);
    free(data);
    c = open_ok(path);
    assert_string_equal(wte_checkpoint_get_info(c)->format, "PyTorch legacy");
    wte_checkpoint_free(c);
    data = read_all(test_file("golden/checkpoints/all.safetensors"), &size);
    write_file("folder/model.safetensors", data, size);
    free(data);
    c = open_ok(path);
    assert_string_equal(wte_checkpoint_get_info(c)->format, "safetensors");
    wte_checkpoint_free(c);
    snprintf(file, sizeof file, "%s/pytorch_model.bin", path);
    c = open_ok(file);
    assert_string_equal(wte_checkpoint_get_info(c)->format, "PyTorch legacy");
    wte_checkpoint_free(c);
}

/* ---- damage ----------------------------------------------------------------------------- */

/* Read every byte, so that a sanitizer sees what lies outside. */
static void touch(const wte_checkpoint *c)
{
    volatile unsigned sum = 0;

    for (size_t i = 0; i < c->n; i++)
        for (uint64_t k = 0; k < c->tensors[i].bytes; k++)
            sum += ((const unsigned char *)c->tensors[i].data)[k];
    (void)sum;
}

static const char *const small[] = {
    "golden/checkpoints/all.safetensors",   "golden/checkpoints/zip.bin",
    "golden/checkpoints/zip_protocol4.bin", "golden/checkpoints/deflated.bin",
    "golden/checkpoints/legacy.bin",        "golden/checkpoints/tiny.gguf",
    "golden/checkpoints/zip64.bin"};

static void a_truncated_file_is_an_error_at_any_length(void **state)
{
    (void)state;

    for (size_t f = 0; f < sizeof small / sizeof *small; f++) {
        size_t size, end;
        unsigned char *data = read_all(test_file(small[f]), &size);

        end = strstr(small[f], "gguf") ? size - 31 : size; /* it ends in padding */
        for (size_t n = 0; n < end; n++) {
            unsigned char *part = malloc(n ? n : 1); /* as long as it says */
            wte_checkpoint *c = NULL;
            wte_error err = {0};

            assert_non_null(part);
            memcpy(part, data, n);
            assert_int_equal(wte__checkpoint_of_bytes(part, n, "x", &c, &err), WTE_E_FORMAT);
            assert_true(err.message[0] != '\0');
            free(part);
        }
        free(data);
    }
}

static void a_changed_byte_is_an_error_or_stays_inside_the_file(void **state)
{
    static const unsigned char masks[] = {0x01, 0x80, 0xFF, 0x20};
    (void)state;

    for (size_t f = 0; f < sizeof small / sizeof *small; f++) {
        size_t size, failed = 0;
        unsigned char *data = read_all(test_file(small[f]), &size);

        for (size_t i = 0; i < size * 4; i++) {
            wte_checkpoint *c = NULL;
            wte_error err = {0};

            data[i / 4] ^= masks[i % 4];
            if (wte__checkpoint_of_bytes(data, size, "x", &c, &err) == WTE_OK) {
                touch(c);
                wte_checkpoint_free(c);
            } else {
                assert_true(err.message[0] != '\0');
                failed++;
            }
            data[i / 4] ^= masks[i % 4];
        }
        assert_true(failed > size / 4);
        free(data);
    }
}

static void every_allocation_may_fail(void **state)
{
    static const char *const paths[] = {
        "golden/checkpoints/all.safetensors", "golden/checkpoints/sharded",
        "golden/checkpoints/deflated.bin",    "golden/checkpoints/zip_protocol4.bin",
        "golden/checkpoints/legacy.bin",      "golden/checkpoints/tiny.gguf"};
    (void)state;

    for (size_t f = 0; f < sizeof paths / sizeof *paths; f++) {
        wte_status status = WTE_E_NOMEM;
        long nth = 0;

        for (; status != WTE_OK; nth++) {
            wte_checkpoint *c = NULL;

            assert_true(nth < 10000);
            wte__fail_alloc(nth);
            status = wte_checkpoint_open(test_file(paths[f]), &c, NULL);
            wte__fail_alloc(-1);
            if (status == WTE_OK)
                wte_checkpoint_free(c);
            else
                assert_int_equal(status, WTE_E_NOMEM);
        }
        assert_true(nth > 5);
    }
}

static void arrays_of_a_gguf_may_find_no_memory(void **state)
{
    wte_checkpoint *c = open_ok(test_file("golden/checkpoints/tiny.gguf"));
    uint64_t *offsets = NULL;
    int64_t *numbers = NULL;
    char *strings = NULL;
    size_t n;
    (void)state;

    for (long nth = 0; nth < 2; nth++) {
        wte__fail_alloc(nth);
        assert_int_equal(
            wte__gguf_strings(c, "tokenizer.ggml.tokens", &strings, &offsets, &n, NULL),
            WTE_E_NOMEM);
    }
    wte__fail_alloc(0);
    assert_int_equal(wte__gguf_integers(c, "tokenizer.ggml.token_type", &numbers, &n, NULL),
                     WTE_E_NOMEM);
    wte__fail_alloc(-1);
    assert_null(strings);
    wte_checkpoint_free(c);
}

/* ---- the larger reference data ---------------------------------------------------------- */

/* Compare every tensor of `base` with the one of another folder, rounded to its type. */
static void assert_same_numbers(const char *base, const char *other, bool all)
{
    wte_checkpoint *a = open_ok(need_shared(base)), *b = open_ok(need_shared(other));
    const wte__kernels *k = wte__kernel();
    size_t compared = 0;

    for (size_t i = 0; i < a->n; i++) {
        const wte_tensor *x = wte_checkpoint_tensor(a, i), *y = wte_checkpoint_find(b, x->name);

        if (!y && strncmp(x->name, "transformer.", 12) == 0)
            y = wte_checkpoint_find(b, x->name + 12);
        if (!y && !all)
            continue;
        if (!y)
            fail_msg("%s has no %s", other, x->name);
        assert_int_equal(x->n_dims, y->n_dims);
        assert_memory_equal(x->shape, y->shape, sizeof x->shape);
        for (size_t e = 0; e < count(x); e++) {
            float want = (float)element(x, e);
            uint16_t half;

            if (strcmp(y->dtype, "F16") == 0) {
                k->f32_to_f16(&want, &half, 1);
                k->f16_to_f32(&half, &want, 1);
            } else if (strcmp(y->dtype, "BF16") == 0) {
                k->f32_to_bf16(&want, &half, 1);
                k->bf16_to_f32(&half, &want, 1);
            }
            if ((float)element(y, e) != want)
                fail_msg("%s: %s[%zu] is %.9g, expected %.9g", other, x->name, e, element(y, e),
                         (double)want);
        }
        compared++;
    }
    assert_true(compared > 20);
    wte_checkpoint_free(a);
    wte_checkpoint_free(b);
}

static void every_variant_of_gpt2_has_the_same_numbers(void **state)
{
    static const char *const variants[] = {
        "golden/gpt2_small_vocab_bare",    "golden/gpt2_small_vocab_f16",
        "golden/gpt2_small_vocab_bf16",    "golden/gpt2_small_vocab_pt",
        "golden/gpt2_small_vocab_pt_f16",  "golden/gpt2_small_vocab_pt_legacy",
        "golden/gpt2_small_vocab_sharded", "golden/gpt2_small_vocab"};
    (void)state;

    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        assert_same_numbers("golden/gpt2_small_vocab", variants[i], true);
}

static void every_variant_of_bert_has_the_same_numbers(void **state)
{
    (void)state;

    assert_same_numbers("golden/bert_tiny_hub", "golden/bert_tiny_pt", true);
    assert_same_numbers("golden/bert_tiny", "golden/bert_tiny_hub", false);
}

static void truncated_reference_files_are_errors(void **state)
{
    static const char *const files[] = {"golden/gpt2_small_vocab/model.safetensors",
                                        "golden/gpt2_small_vocab_pt/pytorch_model.bin",
                                        "golden/gpt2_small_vocab_pt_legacy/pytorch_model.bin"};
    (void)state;

    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        size_t size;
        unsigned char *data = read_all(need_shared(files[f]), &size);

        for (size_t n = 0; n < size; n += n < 8192 ? 61 : 9973) {
            wte_checkpoint *c = NULL;

            assert_int_equal(wte__checkpoint_of_bytes(data, n, "x", &c, NULL), WTE_E_FORMAT);
        }
        free(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_gives_the_same_tensors),
        cmocka_unit_test(tensors_keep_the_order_of_the_pickle_and_share_storage),
        cmocka_unit_test(unsigned_types_are_read),
        cmocka_unit_test(names_are_found_without_prefix_and_by_their_new_form),
        cmocka_unit_test(gguf_tensors_have_both_names_and_row_major_shapes),
        cmocka_unit_test(gguf_metadata_reads_as_text),
        cmocka_unit_test(gguf_arrays_are_copied),
        cmocka_unit_test(a_pickle_that_calls_anything_is_refused_by_name),
        cmocka_unit_test(pickles_of_python_2_and_views_of_storages_are_read),
        cmocka_unit_test(a_view_must_lie_in_its_storage),
        cmocka_unit_test(a_zip_bomb_is_not_unpacked),
        cmocka_unit_test(a_zip_directory_has_to_make_sense),
        cmocka_unit_test(a_legacy_storage_must_be_as_long_as_its_tensors_say),
        cmocka_unit_test(the_index_of_shards_must_agree_with_the_files),
        cmocka_unit_test(a_safetensors_header_has_to_add_up),
        cmocka_unit_test(a_gguf_has_to_add_up),
        cmocka_unit_test(what_is_no_checkpoint_is_named),
        cmocka_unit_test(a_folder_is_looked_through_in_order),
        cmocka_unit_test(a_truncated_file_is_an_error_at_any_length),
        cmocka_unit_test(a_changed_byte_is_an_error_or_stays_inside_the_file),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(arrays_of_a_gguf_may_find_no_memory),
        cmocka_unit_test(every_variant_of_gpt2_has_the_same_numbers),
        cmocka_unit_test(every_variant_of_bert_has_the_same_numbers),
        cmocka_unit_test(truncated_reference_files_are_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
