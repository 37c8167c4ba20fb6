/* SPDX-License-Identifier: MIT */
/* stop.c - what ends a sequence: an EOS, or a text that a stop string ends in
 *
 * A stop string rarely is a token: it may begin inside one and end inside another. What can newly
 * match after a token is a string that ends in the bytes of that token; so the bytes before it that
 * matter are as many as the longest stop string has, less one. They are collected backwards, token
 * by token, the prompt's too: it is one text (transformers' StopStringCriteria sees it so). */
#include "generate/search.h"

wte_status wte__stops_new(wte__stops *stops, const wte_generate_options *o, wte_error *err)
{
    size_t longest_piece = 0;

    if (o->n_stop_strings == 0)
        return WTE_OK;
    for (size_t i = 0; i < o->n_stop_strings; i++) {
        const size_t len = strlen(o->stop_strings[i]);

        if (len > stops->longest)
            stops->longest = len;
    }
    for (uint32_t id = 0; id < wte_tokenizer_get_info(o->tokenizer)->n_vocab; id++) {
        size_t len;

        if (wte_tokenizer_piece(o->tokenizer, id, &len) && len > longest_piece)
            longest_piece = len;
    }
    stops->capacity = stops->longest + longest_piece;
    stops->text = wte__calloc(stops->capacity + 1, 1);
    if (!stops->text)
        return wte__fail(err, WTE_E_NOMEM, "no memory for stop strings");
    return WTE_OK;
}

void wte__stops_free(wte__stops *stops)
{
    wte__free(stops->text);
    *stops = (wte__stops){0};
}

bool wte__is_eos(const wte_generate_options *o, uint32_t id)
{
    for (size_t i = 0; i < o->eos.n; i++)
        if (o->eos.ids[i] == id)
            return true;
    return false;
}

static bool ends_in_stop_string(wte__search *s, const uint32_t *ids, size_t n, uint32_t id)
{
    const wte_tokenizer *t = s->o->tokenizer;
    wte__stops *stops = &s->stops;
    size_t len, begin, newest;
    const char *piece = wte_tokenizer_piece(t, id, &len);

    if (!piece || len == 0)
        return false;
    newest = begin = stops->longest - 1; /* the newest token's bytes begin there, others before */
    memcpy(stops->text + newest, piece, len);
    for (size_t i = n, part; i-- > 0 && begin > 0; begin -= part) {
        size_t skipped = 0;

        piece = wte_tokenizer_piece(t, ids[i], &part);
        if (!piece)
            part = 0;
        if (part > begin)
            skipped = part - begin, part = begin;
        if (part)
            memcpy(stops->text + begin - part, piece + skipped, part);
    }
    for (size_t i = 0; i < s->o->n_stop_strings; i++) {
        const char *stop = s->o->stop_strings[i];
        const size_t m = strlen(stop);
        const size_t from = newest + 1 > m + begin ? newest + 1 - m : begin;

        if (m && memmem(stops->text + from, newest + len - from, stop, m))
            return true;
    }
    return false;
}

bool wte__ends(wte__search *s, const uint32_t *ids, size_t n, uint32_t id, wte_finish *why)
{
    if (wte__is_eos(s->o, id)) {
        *why = WTE_FINISH_EOS;
        return true;
    }
    if (s->stops.text && ends_in_stop_string(s, ids, n, id)) {
        *why = WTE_FINISH_STOP_STRING;
        return true;
    }
    return false;
}
