/* SPDX-License-Identifier: MIT */
/* test_forward_bert.c - BERT layer by layer, against transformers and against float64
 *
 * The reference data (bert_tiny, its hub layout with heads, the same in float16 in an old pickle)
 * hold what transformers gave in float32. Without them the network of random weights is compared
 * with the naive computation. */
#include "golden.h"

static const test_shape SHAPE = {true, 2, 3, 36, 100, 40, 61};

/* ---- one case ---------------------------------------------------------------------------- */

static void all_layers_attention_and_pooler_agree_with_transformers(void **state)
{
    json_t *root = golden_read(need_shared("golden/bert_tiny/expected.json")), *c;
    test_network t = golden_network("golden/bert_tiny");
    wte_session_options options = WTE_SESSION_DEFAULTS;
    wte_session *s;
    size_t i;
    (void)state;

    options.n_threads = 2;
    s = test_session(&t, options);
    test_tap(s, "hidden_states.0");
    test_tap(s, "hidden_states.1");
    test_tap(s, "last_hidden_state");
    test_tap(s, "attentions.0");
    test_tap(s, "pooler_output");
    json_array_foreach(json_object_get(root, "cases"), i, c)
    {
        const json_t *type_ids = json_object_get(c, "token_type_ids");
        uint32_t ids[GOLDEN_TOKENS], types[GOLDEN_TOKENS];
        size_t n = golden_ids(json_object_get(c, "input_ids"), ids);
        char label[128];

        if (type_ids)
            assert_int_equal(golden_ids(type_ids, types), n);
        snprintf(label, sizeof label, "case %zu of %zu tokens", i, n);
        test_run(s, (wte_batch){.ids = ids, .types = type_ids ? types : NULL, .n = n});
        golden_hidden(s, c, label);
        if (json_object_get(c, "attentions_layer0_head0"))
            golden_compare(label, test_tapped(s, "attentions.0").data,
                           json_object_get(c, "attentions_layer0_head0"), GOLDEN_TOLERANCE);
        assert_int_equal(test_tapped(s, "pooler").shape[0], 1);
        golden_compare(label, test_tapped(s, "pooler").data, json_object_get(c, "pooler_output"),
                       GOLDEN_TOLERANCE);
    }
    wte_session_free(s);
    json_decref(root);
    test_network_close(&t);
}

static void a_padded_batch_agrees_with_transformers(void **state)
{
    json_t *root = golden_read(need_shared("golden/bert_tiny/expected.json"));
    const json_t *batch = json_object_get(root, "padded_batch");
    const size_t n_sequences = json_array_size(json_object_get(batch, "input_ids"));
    test_network t = golden_network("golden/bert_tiny");
    wte_session_options options = WTE_SESSION_DEFAULTS;
    uint32_t ids[GOLDEN_TOKENS], types[GOLDEN_TOKENS], sequences[GOLDEN_TOKENS];
    uint8_t masked[GOLDEN_TOKENS];
    size_t n = 0;
    wte_session *s;
    (void)state;

    for (size_t q = 0; q < n_sequences; q++) {
        const json_t *row = json_array_get(json_object_get(batch, "input_ids"), q);
        const json_t *type = json_array_get(json_object_get(batch, "token_type_ids"), q);
        const json_t *mask = json_array_get(json_object_get(batch, "attention_mask"), q);

        for (size_t i = 0; i < json_array_size(row); i++, n++) {
            assert_true(n < GOLDEN_TOKENS);
            ids[n] = (uint32_t)json_integer_value(json_array_get(row, i));
            types[n] = (uint32_t)json_integer_value(json_array_get(type, i));
            masked[n] = json_integer_value(json_array_get(mask, i)) == 0;
            sequences[n] = (uint32_t)q;
        }
    }
    options.n_sequences = n_sequences;
    s = test_session(&t, options);
    test_tap(s, "pooler");
    test_run(s, (wte_batch){
                    .ids = ids, .types = types, .masked = masked, .sequences = sequences, .n = n});
    golden_compare("padded batch", wte_session_hidden(s, 0),
                   json_object_get(batch, "last_hidden_state"), GOLDEN_TOLERANCE);
    golden_compare("pooler of the padded batch", test_tapped(s, "pooler").data,
                   json_object_get(batch, "pooler_output"), GOLDEN_TOLERANCE);
    assert_int_equal(test_tapped(s, "pooler").shape[0], n_sequences);
    wte_session_free(s);
    json_decref(root);
    test_network_close(&t);
}

static void compare_masks(const wte_session *s, const json_t *c, const char *label)
{
    const size_t n_vocab = wte_network_get_info(wte_session_network(s))->n_vocab;
    float *log_probs = malloc(n_vocab * sizeof *log_probs);
    json_t *mask;
    size_t m;

    assert_non_null(log_probs);
    json_array_foreach(json_object_get(c, "masks"), m, mask)
    {
        const size_t row = (size_t)json_integer_value(json_object_get(mask, "position"));
        const float *logits = wte_session_logits(s, row);
        wte_array a = {logits, {n_vocab}, 1};
        json_t *top;
        size_t i;

        golden_checksum(label, &a, json_object_get(mask, "logits_checksum"));
        wte_log_softmax(logits, n_vocab, log_probs);
        json_array_foreach(json_object_get(mask, "top"), i, top)
        {
            const size_t id = (size_t)json_integer_value(json_object_get(top, "id"));
            const double logit = json_number_value(json_object_get(top, "logit")),
                         score = json_number_value(json_object_get(top, "score"));

            if (fabs((double)logits[id] - logit) > GOLDEN_TOLERANCE * logit ||
                fabs(exp((double)log_probs[id]) - score) > 1e-4 * score)
                fail_msg("%s: token %zu at %zu has logit %.9g and probability %.9g, expected %.9g "
                         "and %.9g",
                         label, id, row, (double)logits[id], exp((double)log_probs[id]), logit,
                         score);
        }
    }
    free(log_probs);
}

static void masked_words_and_the_next_sentence_agree_with_transformers(void **state)
{
    json_t *root = golden_read(need_shared("golden/bert_tiny/expected.json")), *c;
    const json_t *next = json_object_get(root, "next_sentence");
    test_network t = golden_network("golden/bert_tiny_hub");
    wte_session_options options = WTE_SESSION_DEFAULTS;
    wte_session *s = test_session(&t, options);
    uint32_t ids[GOLDEN_TOKENS], types[GOLDEN_TOKENS];
    size_t i, found = 0;
    (void)state;

    json_array_foreach(json_object_get(root, "fill_mask"), i, c)
    {
        size_t n = golden_ids(json_object_get(c, "input_ids"), ids);
        char label[64];

        snprintf(label, sizeof label, "masked text %zu", i);
        test_run_ids(s, ids, n, WTE_LOGITS_ALL);
        compare_masks(s, c, label);
    }
    test_tap(s, "next_sentence");
    json_array_foreach(
        json_object_get(root, "cases"), i,
        c) if (json_equal(json_object_get(c, "text"), json_object_get(next, "text")) &&
               json_equal(json_object_get(c, "text_pair"), json_object_get(next, "text_pair")))
    {
        size_t n = golden_ids(json_object_get(c, "input_ids"), ids);

        golden_ids(json_object_get(c, "token_type_ids"), types);
        test_run(s, (wte_batch){.ids = ids, .types = types, .n = n});
        golden_compare("next sentence", test_tapped(s, "next_sentence").data,
                       json_object_get(next, "logits"), GOLDEN_TOLERANCE);
        found++;
    }
    assert_int_equal(found, 1);
    wte_session_free(s);
    json_decref(root);
    test_network_close(&t);
}

/* The pickle holds the hub's weights rounded to float16: relative 2^-11, 4.9e-4. */
static void float16_in_an_old_pickle_gives_nearly_the_same(void **state)
{
    json_t *root = golden_read(need_shared("golden/bert_tiny/expected.json"));
    const json_t *c = json_array_get(json_object_get(root, "cases"), 2);
    test_network t = golden_network("golden/bert_tiny_pt");
    wte_session_options options = WTE_SESSION_DEFAULTS;
    wte_session *s = test_session(&t, options);
    uint32_t ids[GOLDEN_TOKENS];
    (void)state;

    test_run_ids(s, ids, golden_ids(json_object_get(c, "input_ids"), ids), WTE_LOGITS_NONE);
    golden_compare("float16", wte_session_hidden(s, 0), json_object_get(c, "last_hidden_state"),
                   5e-3);
    wte_session_free(s);
    json_decref(root);
    test_network_close(&t);
}

/* ---- against float64 --------------------------------------------------------------------- */

static void every_tap_agrees_with_a_naive_computation(void **state)
{
    (void)state;

    for (size_t n = 1; n <= SHAPE.n_ctx; n += n < 9 ? 4 : 31) {
        test_network t = test_network_open(test_network_write("bert", &SHAPE, SIZE_MAX), 0);
        wte_session_options options = WTE_SESSION_DEFAULTS;
        const size_t e = SHAPE.n_embd, n_weights = SHAPE.n_head * n * n;
        uint32_t ids[64], positions[64], types[64];
        uint8_t masked[64];
        uint64_t seed = n;
        wte_session *s = test_session(&t, options);
        naive v;

        for (size_t i = 0; i < n; i++) {
            ids[i] = (uint32_t)(wte__random(&seed) % SHAPE.n_vocab);
            positions[i] = (uint32_t)(wte__random(&seed) % SHAPE.n_ctx);
            types[i] = (uint32_t)(wte__random(&seed) % 2);
            masked[i] = i % 3 == 1;
        }
        test_tap_all(s);
        test_run(s, (wte_batch){.ids = ids,
                                .positions = positions,
                                .types = types,
                                .masked = masked,
                                .n = n,
                                .logits = WTE_LOGITS_ALL});
        v = naive_run(&t, ids, positions, types, masked, n);
        naive_compare(s, &v, n);
        for (size_t l = 0; l < SHAPE.n_layer; l++) {
            char name[64];

            snprintf(name, sizeof name, "layer.%zu.attention", l);
            for (size_t i = 0; i < n_weights; i++)
                if (masked[i % n])
                    assert_true(test_tapped(s, name).data[i] == 0);
        }
        test_close("pooler", test_tapped(s, "pooler").data, v.pooled, e, 1e-5);
        test_close("next_sentence", test_tapped(s, "next_sentence").data, v.next_sentence, 2, 1e-5);
        naive_free(&v);
        wte_session_free(s);
        test_network_close(&t);
    }
}

/* ---- batches ----------------------------------------------------------------------------- */

static void several_sequences_give_what_each_gives_alone(void **state)
{
    enum { N = 7 };
    static const size_t lengths[N] = {3, 17, 1, 40, 12, 9, 30};
    test_network t = test_network_open(test_network_write("bert", &SHAPE, SIZE_MAX), 0);
    wte_session_options options = WTE_SESSION_DEFAULTS;
    const size_t e = SHAPE.n_embd;
    uint32_t ids[256], types[256], sequences[256];
    uint8_t masked[256];
    wte_session *all, *one;
    size_t n = 0, at = 0;
    uint64_t seed = 3;
    (void)state;

    options.n_sequences = N;
    options.max_rows = 48; /* the batch takes several passes */
    all = test_session(&t, options);
    one = test_session(&t, options);
    for (size_t q = 0; q < N; q++)
        for (size_t i = 0; i < lengths[q]; i++, n++) {
            ids[n] = (uint32_t)(wte__random(&seed) % SHAPE.n_vocab);
            types[n] = (uint32_t)(wte__random(&seed) % 2);
            masked[n] = q % 2 && i % 4 == 3;
            sequences[n] = (uint32_t)(N - 1 - q);
        }
    test_tap(all, "pooler");
    test_tap(all, "next_sentence");
    test_tap(all, "layer.1.mid");
    test_run(all, (wte_batch){ids, sequences, NULL, types, masked, n, WTE_LOGITS_LAST});
    test_tap(one, "pooler");
    test_tap(one, "next_sentence");
    test_tap(one, "layer.1.mid");
    for (size_t q = 0; q < N; at += lengths[q], q++) {
        const size_t last = at + lengths[q] - 1;

        test_run(one, (wte_batch){ids + at, NULL, NULL, types + at, masked + at, lengths[q],
                                  WTE_LOGITS_LAST});
        test_close_f32("hidden", wte_session_hidden(all, at), wte_session_hidden(one, 0),
                       lengths[q] * e, 1e-5);
        test_close_f32("layer.1.mid", test_tapped(all, "layer.1.mid").data + at * e,
                       test_tapped(one, "layer.1.mid").data, lengths[q] * e, 1e-5);
        test_close_f32("pooler", test_tapped(all, "pooler").data + q * e,
                       test_tapped(one, "pooler").data, e, 1e-5);
        test_close_f32("next_sentence", test_tapped(all, "next_sentence").data + 2 * q,
                       test_tapped(one, "next_sentence").data, 2, 1e-5);
        test_close_f32("logits", wte_session_logits(all, last),
                       wte_session_logits(one, lengths[q] - 1), SHAPE.n_vocab, 1e-5);
        assert_int_equal(wte_session_length(all, (uint32_t)(N - 1 - q)), lengths[q]);
    }
    wte_session_free(all);
    wte_session_free(one);
    test_network_close(&t);
}

static void any_number_of_threads_gives_the_same_bits(void **state)
{
    test_network t = test_network_open(test_network_write("bert", &SHAPE, SIZE_MAX), 0);
    static const size_t lengths[] = {4, 40};
    (void)state;

    for (size_t i = 0; i < 2; i++) {
        const size_t n = lengths[i];
        wte_session *s[3];
        uint32_t ids[64];
        uint64_t seed = 5;

        for (size_t j = 0; j < n; j++)
            ids[j] = (uint32_t)(wte__random(&seed) % SHAPE.n_vocab);
        for (unsigned j = 0; j < 3; j++) {
            wte_session_options options = WTE_SESSION_DEFAULTS;

            options.n_threads = (const unsigned[]){1, 2, 7}[j];
            s[j] = test_session(&t, options);
            test_tap(s[j], "pooler");
            test_run_ids(s[j], ids, n, WTE_LOGITS_ALL);
            test_same_bits("logits", wte_session_logits(s[j], 0), wte_session_logits(s[0], 0),
                           n * SHAPE.n_vocab);
            test_same_bits("pooler", test_tapped(s[j], "pooler").data,
                           test_tapped(s[0], "pooler").data, SHAPE.n_embd);
        }
        for (unsigned j = 0; j < 3; j++)
            wte_session_free(s[j]);
    }
    test_network_close(&t);
}

static void a_run_replaces_the_sequence(void **state)
{
    test_network t = test_network_open(test_network_write("bert", &SHAPE, SIZE_MAX), 0);
    wte_session_options options = WTE_SESSION_DEFAULTS;
    wte_session *s = test_session(&t, options);
    static const uint32_t ids[] = {1, 2, 3, 4, 5}, wrong[] = {1, 61};
    wte_batch batch = {.ids = wrong, .n = 2};
    (void)state;

    test_run_ids(s, ids, 5, WTE_LOGITS_NONE);
    assert_int_equal(wte_session_length(s, 0), 5);
    test_run_ids(s, ids, 3, WTE_LOGITS_NONE);
    assert_int_equal(wte_session_length(s, 0), 3);
    assert_int_equal(wte_session_run(s, &batch, NULL), WTE_E_RANGE);
    assert_int_equal(wte_session_length(s, 0), 3);
    wte_session_truncate(s, 0, 1);
    assert_int_equal(wte_session_length(s, 0), 1);
    wte_session_free(s);
    test_network_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tap_agrees_with_a_naive_computation),
        cmocka_unit_test(several_sequences_give_what_each_gives_alone),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(a_run_replaces_the_sequence),
        cmocka_unit_test(all_layers_attention_and_pooler_agree_with_transformers),
        cmocka_unit_test(a_padded_batch_agrees_with_transformers),
        cmocka_unit_test(masked_words_and_the_next_sentence_agree_with_transformers),
        cmocka_unit_test(float16_in_an_old_pickle_gives_nearly_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
