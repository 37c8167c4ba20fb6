/* SPDX-License-Identifier: MIT */
/* test_forward_gpt2.c - GPT-2 layer by layer, against transformers and against float64
 *
 * The reference data (gpt2_tiny, gpt2_small_vocab and its storage variants) hold what
 * transformers' GPT2LMHeadModel gave in float32; a failure names the case, the layer and the
 * number. Without them the network of random weights is compared with the naive computation. */
#include "golden.h"

/* ---- one case ---------------------------------------------------------------------------- */

static void compare_attention(const wte_session *s, const json_t *c, size_t n, const char *label)
{
    const wte_network_info *info = wte_network_get_info(wte_session_network(s));
    const json_t *first = json_object_get(c, "attentions_layer0_head0"),
                 *last = json_object_get(c, "attentions_last_layer"),
                 *rows = json_object_get(c, "attentions_last_row");

    for (size_t l = 0; l < info->n_layer; l++) {
        char name[64], what[256];
        wte_array a;

        snprintf(name, sizeof name, "attentions.%zu", l);
        snprintf(what, sizeof what, "%s, %s", label, name);
        a = test_tapped(s, name);
        assert_int_equal(a.n_dims, 3);
        assert_int_equal(a.shape[0], info->n_head);
        assert_int_equal(a.shape[1], n);
        assert_int_equal(a.shape[2], n);
        golden_checksum(what, &a, json_array_get(json_object_get(c, "attentions_checksums"), l));
        if (first && l == 0)
            golden_compare(what, a.data, first, GOLDEN_TOLERANCE);
        if (last && l + 1 == info->n_layer)
            golden_compare(what, a.data, last, GOLDEN_TOLERANCE);
        for (size_t h = 0; rows && h < info->n_head; h++) /* the first keys of the last query */
            golden_compare(what, a.data + (h * n + n - 1) * n,
                           json_array_get(json_array_get(rows, l), h), GOLDEN_TOLERANCE);
    }
}

static size_t arg_max(const float *x, size_t n)
{
    size_t best = 0;

    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

static void compare_logits(const wte_session *s, const json_t *c, const uint32_t *ids, size_t n,
                           const char *label)
{
    const size_t n_vocab = wte_network_get_info(wte_session_network(s))->n_vocab;
    const float *last = wte_session_logits(s, n - 1);
    const json_t *top = json_object_get(c, "last_logits_top"),
                 *whole = json_object_get(c, "last_logits"),
                 *best = json_object_get(c, "argmax_per_position"),
                 *log_probs = json_object_get(c, "token_logprobs"), *top_ids, *top_values;
    float *row = malloc(n_vocab * sizeof *row);
    wte_array a = test_tapped(s, "logits");
    double log_sum;

    assert_non_null(row);
    golden_checksum(label, &a, json_object_get(c, "logits_checksum"));
    if (whole)
        golden_compare(label, last, whole, GOLDEN_TOLERANCE);
    top_ids = json_object_get(top, "ids"), top_values = json_object_get(top, "values");
    for (size_t i = 0; top && i < json_array_size(top_ids); i++) {
        size_t id = (size_t)json_integer_value(json_array_get(top_ids, i));
        double want = json_number_value(json_array_get(top_values, i));

        if (!(fabs((double)last[id] - want) <=
              GOLDEN_TOLERANCE * json_number_value(json_array_get(top_values, 0))))
            fail_msg("%s: logit of %zu is %.9g, expected %.9g", label, id, (double)last[id], want);
    }
    for (size_t i = 0; i < n; i++) {
        size_t want = (size_t)json_integer_value(json_array_get(best, i));
        const float *logits = wte_session_logits(s, i);

        if (arg_max(logits, n_vocab) != want)
            fail_msg("%s: the largest logit of row %zu is that of %zu, expected %zu", label, i,
                     arg_max(logits, n_vocab), want);
        wte_log_softmax(logits, n_vocab, row);
        if (i + 1 < n &&
            fabs((double)row[ids[i + 1]] - json_number_value(json_array_get(log_probs, i))) > 1e-4)
            fail_msg("%s: log-probability after row %zu is %.9g, expected %.9g", label, i,
                     (double)row[ids[i + 1]], json_number_value(json_array_get(log_probs, i)));
    }
    log_sum = (double)last[0] - (double)row[0]; /* row is that of the last token */
    if (fabs(log_sum - json_number_value(json_object_get(c, "last_logsumexp"))) > 1e-4)
        fail_msg("%s: log of the sum %.9g, expected another", label, log_sum);
    free(row);
}

static void compare_cases(const char *folder, const char *expected)
{
    test_network t = golden_network(folder);
    json_t *root = golden_read(need_shared(expected)), *c;
    wte_session_options options = WTE_SESSION_DEFAULTS;
    wte_session *s;
    size_t i;

    options.n_threads = 2;
    options.max_rows = 50; /* the longest cases are cut */
    s = test_session(&t, options);
    test_tap_all(s);
    json_array_foreach(json_object_get(root, "cases"), i, c)
    {
        uint32_t ids[GOLDEN_TOKENS];
        size_t n = golden_ids(json_object_get(c, "input_ids"), ids);
        char label[128];

        if (TEST_FEWER && n > 32)
            continue;
        snprintf(label, sizeof label, "case %zu of %zu tokens", i, n);
        wte_session_truncate(s, 0, 0);
        test_run_ids(s, ids, n, WTE_LOGITS_ALL);
        golden_hidden(s, c, label);
        compare_attention(s, c, n, label);
        compare_logits(s, c, ids, n, label);
    }
    wte_session_free(s);
    json_decref(root);
    test_network_close(&t);
}

static void tiny_agrees_with_transformers_in_every_layer(void **state)
{
    (void)state;
    compare_cases("golden/gpt2_tiny", "golden/gpt2_tiny/expected.json");
}

static void all_storage_variants_agree_with_transformers_in_every_layer(void **state)
{
    static const char *const variants[] = {"", "_bare", "_sharded", "_pt", "_pt_legacy"};
    char name[64];
    (void)state;

    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        snprintf(name, sizeof name, "golden/gpt2_small_vocab%s", variants[i]);
        compare_cases(name, "golden/gpt2_small_vocab/expected.json");
    }
}

/* ---- what is stored in 16 bits ----------------------------------------------------------- */

static void compare_rounded(const char *variant, const char *key)
{
    wte_session_options options = WTE_SESSION_DEFAULTS;
    char name[64];
    json_t *root, *c;
    test_network t;
    wte_session *s;
    size_t i;

    snprintf(name, sizeof name, "golden/%s", variant);
    t = golden_network(name);
    root = golden_read(need_shared("golden/gpt2_small_vocab/expected.json"));
    s = test_session(&t, options);
    json_array_foreach(json_object_get(root, key), i, c)
    {
        const json_t *positions = json_object_get(c, "positions");
        uint32_t ids[GOLDEN_TOKENS];
        size_t n = golden_ids(json_object_get(c, "input_ids"), ids);

        snprintf(name, sizeof name, "%s, case %zu", variant, i);
        wte_session_truncate(s, 0, 0);
        test_run_ids(s, ids, n, WTE_LOGITS_LAST);
        for (size_t p = 0; p < json_array_size(positions); p++)
            golden_compare(
                name,
                wte_session_hidden(s, (size_t)json_integer_value(json_array_get(positions, p))),
                json_array_get(json_object_get(c, "last_hidden_state_at"), p), GOLDEN_TOLERANCE);
        golden_compare(name, wte_session_logits(s, n - 1), json_object_get(c, "last_logits"),
                       GOLDEN_TOLERANCE);
    }
    wte_session_free(s);
    json_decref(root);
    test_network_close(&t);
}

static void weights_stored_as_float16_are_computed_with_as_they_are(void **state)
{
    (void)state;
    compare_rounded("gpt2_small_vocab_f16", "f16");
    compare_rounded("gpt2_small_vocab_pt_f16", "f16");
}

static void weights_stored_as_bfloat16_are_computed_with_as_they_are(void **state)
{
    (void)state;
    compare_rounded("gpt2_small_vocab_bf16", "bf16");
}

/* ---- padding ----------------------------------------------------------------------------- */

static void a_left_padded_batch_is_its_sequences_without_padding(void **state)
{
    wte_session_options options = WTE_SESSION_DEFAULTS;
    json_t *root, *batch;
    uint32_t ids[64], positions[64], sequences[64];
    size_t n = 0, ends[8], n_sequences;
    test_network t;
    wte_session *s;
    (void)state;

    t = golden_network("golden/gpt2_small_vocab");
    root = golden_read(need_shared("golden/gpt2_small_vocab/expected.json"));
    batch = json_object_get(root, "left_padded_batch");
    n_sequences = json_array_size(json_object_get(batch, "input_ids"));
    for (size_t q = 0; q < n_sequences; q++) {
        const json_t *row = json_array_get(json_object_get(batch, "input_ids"), q),
                     *mask = json_array_get(json_object_get(batch, "attention_mask"), q),
                     *places = json_array_get(json_object_get(batch, "position_ids"), q);

        for (size_t i = 0; i < json_array_size(row); i++)
            if (json_integer_value(json_array_get(mask, i))) {
                ids[n] = (uint32_t)json_integer_value(json_array_get(row, i));
                positions[n] = (uint32_t)json_integer_value(json_array_get(places, i));
                sequences[n++] = (uint32_t)q;
            }
        ends[q] = n - 1;
    }
    options.n_sequences = n_sequences;
    s = test_session(&t, options);
    test_run(s, (wte_batch){.ids = ids,
                            .positions = positions,
                            .sequences = sequences,
                            .n = n,
                            .logits = WTE_LOGITS_LAST});
    for (size_t q = 0; q < n_sequences; q++) {
        golden_compare("left-padded batch", wte_session_logits(s, ends[q]),
                       json_array_get(json_object_get(batch, "last_logits"), q), GOLDEN_TOLERANCE);
        for (size_t i = q ? ends[q - 1] + 1 : 0; i < ends[q]; i++)
            assert_null(wte_session_logits(s, i));
    }
    wte_session_free(s);
    json_decref(root);
    test_network_close(&t);
}

/* ---- other precisions -------------------------------------------------------------------- */

/* Logits of the reference's cases at a precision, against float32: the largest difference relative
 * to the largest logit of the row. */
static double worst_logit(const char *folder, wte_precision precision)
{
    test_network exact = test_network_open(folder, WTE_PRECISION_F32),
                 other = test_network_open(folder, precision);
    const size_t n_vocab = exact.info->n_vocab, n = 64;
    wte_session_options options = WTE_SESSION_DEFAULTS;
    wte_session *a = test_session(&exact, options), *b = test_session(&other, options);
    double worst = 0;
    uint32_t ids[64];
    uint64_t seed = 7;

    for (size_t i = 0; i < n; i++)
        ids[i] = (uint32_t)(wte__random(&seed) % n_vocab);
    test_run_ids(a, ids, n, WTE_LOGITS_ALL);
    test_run_ids(b, ids, n, WTE_LOGITS_ALL);
    for (size_t r = 0; r < n; r++) {
        const float *x = wte_session_logits(a, r), *y = wte_session_logits(b, r);
        double largest = 0, off = 0;

        for (size_t i = 0; i < n_vocab; i++) {
            largest = fmax(largest, fabs((double)x[i]));
            off = fmax(off, fabs((double)x[i] - (double)y[i]));
        }
        assert_true(isfinite(off));
        worst = fmax(worst, off / largest);
    }
    wte_session_free(a);
    wte_session_free(b);
    test_network_close(&exact);
    test_network_close(&other);
    return worst;
}

/* What rounding does to a logit, in standard deviations. One weight has a relative error of
 *   bf16  up to 2^-8 (8 bits of significand, to nearest), uniform, less for larger significands:
 *         1.6e-3 root mean square
 *   int8  a step of largest / 127, uniform: 1 / (127 * sqrt(12)) of the largest, and with a largest
 *         of some 3 times the root mean square 6.8e-3; the activations the same: 9.6e-3 together
 * which is also that of a product's results, as errors and terms add up alike. A logit collects it
 * once by its own product and twice (two matrices one after the other) in each of 2 n_layer steps,
 * which are independent: sqrt(1 + 4 n_layer) = 3.6 with 3 layers. The worst of 64 rows of 512 is
 * some 4.3 deviations, the largest logit of a row 3: together 5.2. Twice that, since norms and
 * attention make errors larger or smaller: bf16 1.7e-2, int8 1e-1 of the largest logit. Through
 * oneDNN activations are rounded to bfloat16 as well: sqrt(2) times as much, 2.4e-2. */
static void rounded_precisions_stay_within_their_bounds(void **state)
{
    static const test_shape shape = {false, 3, 3, 48, 192, 96, 512};
    char folder[4400];
    double bf16, int8;
    (void)state;

    snprintf(folder, sizeof folder, "%s", test_network_write("precision", &shape, SIZE_MAX));
    bf16 = worst_logit(folder, WTE_PRECISION_BF16);
    int8 = worst_logit(folder, WTE_PRECISION_INT8);
    print_message("of the largest logit: bf16 %.2g, int8 %.2g\n", bf16, int8);
    assert_true(bf16 > 0 && bf16 <= 2.4e-2);
    assert_true(int8 > bf16 && int8 <= 0.1);
    if (shared_file("golden/gpt2_small_vocab")) {
        snprintf(folder, sizeof folder, "%s", shared_file("golden/gpt2_small_vocab"));
        bf16 = worst_logit(folder, WTE_PRECISION_BF16);
        int8 = worst_logit(folder, WTE_PRECISION_INT8);
        print_message("gpt2_small_vocab: bf16 %.2g, int8 %.2g\n", bf16, int8);
        assert_true(bf16 > 0 && bf16 <= 2.4e-2);
        assert_true(int8 > bf16 && int8 <= 0.1);
    }
}

/* ---- against float64 --------------------------------------------------------------------- */

static void every_tap_agrees_with_a_naive_computation(void **state)
{
    static const test_shape shapes[] = {{false, 2, 3, 36, 100, 40, 61}, {false, 1, 1, 16, 8, 9, 5}};
    (void)state;

    for (size_t m = 0; m < 2; m++)
        for (size_t n = 1; n <= shapes[m].n_ctx; n += n < 9 ? 4 : 31) {
            test_network t =
                test_network_open(test_network_write("naive", &shapes[m], SIZE_MAX), 0);
            wte_session_options options = WTE_SESSION_DEFAULTS;
            const size_t e = shapes[m].n_embd;
            uint32_t ids[64], positions[64];
            uint64_t seed = n;
            wte_session *s;
            naive v;

            for (size_t i = 0; i < n; i++) {
                ids[i] = (uint32_t)(wte__random(&seed) % shapes[m].n_vocab);
                positions[i] = (uint32_t)(wte__random(&seed) % shapes[m].n_ctx);
            }
            options.max_rows = 16;
            s = test_session(&t, options);
            test_tap_all(s);
            test_run(s, (wte_batch){
                            .ids = ids, .positions = positions, .n = n, .logits = WTE_LOGITS_ALL});
            v = naive_run(&t, ids, positions, NULL, NULL, n);
            naive_compare(s, &v, n);
            test_close("hidden", wte_session_hidden(s, n - 1), v.norm + (n - 1) * e, e, 1e-5);
            naive_free(&v);
            wte_session_free(s);
            test_network_close(&t);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tap_agrees_with_a_naive_computation),
        cmocka_unit_test(tiny_agrees_with_transformers_in_every_layer),
        cmocka_unit_test(all_storage_variants_agree_with_transformers_in_every_layer),
        cmocka_unit_test(weights_stored_as_float16_are_computed_with_as_they_are),
        cmocka_unit_test(weights_stored_as_bfloat16_are_computed_with_as_they_are),
        cmocka_unit_test(a_left_padded_batch_is_its_sequences_without_padding),
        cmocka_unit_test(rounded_precisions_stay_within_their_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
