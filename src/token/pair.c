/* SPDX-License-Identifier: MIT */
/* pair.c - one text or two, as BERT reads them: [CLS] a [SEP] b [SEP]
 *
 * Truncation is transformers' "longest_first": tokens go one at a time from the end of the text
 * that has more of them, of the second where they have the same. That is the same as cutting the
 * longer down to the shorter first, and then, if that is not enough, both alternately. */
#include "token/token_internal.h"

/* How many of n_a and n_b tokens are left when there is room for `room`. */
static void truncate_longest(size_t *n_a, size_t *n_b, size_t room)
{
    size_t least = *n_a < *n_b ? *n_a : *n_b;

    if (*n_a + *n_b <= room)
        return;
    if (2 * least <= room) { /* the longer has what the shorter leaves */
        if (*n_a > *n_b)
            *n_a = room - *n_b;
        else
            *n_b = room - *n_a;
        return;
    }
    *n_a = room - room / 2;
    *n_b = room / 2;
}

wte_status wte_encode_pair(wte_encoder *e, const char *a, size_t len_a, const char *b, size_t len_b,
                           size_t max_length, uint32_t **out_ids, uint8_t **out_types,
                           size_t *out_n, wte_error *err)
{
    const wte_tokenizer_info *info = wte_tokenizer_get_info(e->tokenizer);
    const size_t n_special = b ? 3 : 2;
    wte_encoding got;
    uint32_t *first = NULL, *ids = NULL;
    uint8_t *types;
    size_t n_a, n_b = 0, n = 0;
    wte_status status;

    if (info->kind != WTE_TOKENIZER_BERT || info->cls < 0 || info->sep < 0)
        return wte__fail(err, WTE_E_UNSUPPORTED,
                         "a tokenizer without [CLS] and [SEP] has no pairs");
    if (max_length > 0 && max_length < n_special)
        return wte__fail(err, WTE_E_RANGE,
                         "maximal length %zu, expected room for the %zu of [CLS] "
                         "and [SEP]",
                         max_length, n_special);
    status = wte_encode(e, a, len_a, WTE_ENCODE_SPECIAL, &got, err);
    if (status != WTE_OK)
        return status;
    n_a = got.n - 2;
    if (b) {
        first = wte__calloc(n_a + 1, sizeof *first);
        if (!first)
            goto nomem;
        memcpy(first, got.ids + 1, n_a * sizeof *first);
        status = wte_encode(e, b, len_b, WTE_ENCODE_SPECIAL, &got, err);
        if (status != WTE_OK)
            goto done;
        n_b = got.n - 2;
    }
    if (max_length > 0)
        truncate_longest(&n_a, &n_b, max_length - n_special);
    ids = wte__calloc(n_a + n_b + n_special, sizeof *ids + 1);
    if (!ids)
        goto nomem;
    types = (uint8_t *)(ids + n_a + n_b + n_special);
    ids[n++] = (uint32_t)info->cls;
    memcpy(ids + n, b ? first : got.ids + 1, n_a * sizeof *ids);
    n += n_a;
    ids[n++] = (uint32_t)info->sep;
    if (b) {
        memcpy(ids + n, got.ids + 1, n_b * sizeof *ids);
        memset(types + n, 1, n_b + 1);
        n += n_b;
        ids[n++] = (uint32_t)info->sep;
    }
    *out_ids = ids;
    *out_types = types;
    *out_n = n;
    goto done;
nomem:
    status = wte__fail(err, WTE_E_NOMEM, "no memory for the ids of a pair");
done:
    wte__free(first);
    return status;
}
