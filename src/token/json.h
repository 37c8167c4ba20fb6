/* SPDX-License-Identifier: MIT */
/** token/json.h - a reader for large JSON files, value by value
 *
 * A vocabulary of 50,000 entries is read in a millisecond, straight into arrays, and every error
 * says at which byte. Strict: UTF-8, no lone surrogates, nothing after the document. */
#ifndef WTE_TOKEN_JSON_H
#define WTE_TOKEN_JSON_H
#include "base/base.h"

typedef struct wte__json {
    const char *name; /* of the file, for messages */
    const char *begin, *p, *end;
    wte_error *err;
    char *string; /* [string_len] the last string read */
    size_t string_len, string_capacity;
} wte__json;

void wte__json_begin(wte__json *j, const char *name, const void *data, size_t n, wte_error *err);
void wte__json_free(wte__json *j);
/** Fail at the reader's place. */
wte_status wte__json_fail(const wte__json *j, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/** The first character of the next value or mark, after white space; 0 at the end. */
char wte__json_peek(wte__json *j);
/** Go past a mark: one of {}[]:, */
wte_status wte__json_expect(wte__json *j, char mark);
/** Inside an object or array that `close` ends: go to its next item. *more is false at the end.
 * `first` is true for the first call, which sets it to false. */
wte_status wte__json_next(wte__json *j, char close, bool *first, bool *more);
/** Read a string into j->string, where it stays until the next. */
wte_status wte__json_string(wte__json *j);
/** Read a key and its colon; the key is in j->string. */
wte_status wte__json_key(wte__json *j);
enum { WTE__JSON_PLAIN = 256 };
/** Read `"key": 123` if it is written plainly: no longer than WTE__JSON_PLAIN, characters below
 * U+0800, escapes only for those of two bytes, no unusual white space. False if not, and nothing
 * moves: it may be good or bad, and is to be read piece by piece.
 *   key  [WTE__JSON_PLAIN] receives *len bytes */
bool wte__json_plain_entry(wte__json *j, char *key, size_t *len, uint32_t *value);
/** Read a whole number of 0 to 4294967294. */
wte_status wte__json_uint(wte__json *j, uint32_t *out);
/** Read true or false; null leaves *out as it is. */
wte_status wte__json_bool(wte__json *j, int *out);
/** Go past any value, checking it. */
wte_status wte__json_skip(wte__json *j);
/** True if the last string is this. */
bool wte__json_is(const wte__json *j, const char *s);
/** Check that only white space is left. */
wte_status wte__json_end(wte__json *j);
#endif
