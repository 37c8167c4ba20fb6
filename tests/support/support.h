/* SPDX-License-Identifier: MIT */
/** support.h - what the unit tests share: cmocka, and where the reference data lies */
#ifndef WTE_TEST_SUPPORT_H
#define WTE_TEST_SUPPORT_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/** 1 where the thread sanitizer makes everything some thirty times slower: tests that go through
 * many cases of the same kind take fewer there. */
#if defined(__SANITIZE_THREAD__)
#define TEST_FEWER 1
#else
#define TEST_FEWER 0
#endif

/** Path of a file of the project's own tests folder ("golden/x.json"). A static buffer, four deep.
 */
const char *test_file(const char *relative);
/** Path of a file of the larger reference data ("golden/gensim.json", "data/google-news-1000.bin"),
 * from $WTE_SHARED or beside the checkout, or NULL where it is not there. The same buffers. */
const char *shared_file(const char *relative);
/** As shared_file, but skips the running cmocka test, saying why, where the file is not there. */
const char *need_shared(const char *relative);
/** A new empty folder below $TMPDIR; removed with its content when the program ends. */
const char *test_folder(void);
/** Write a file into test_folder() and give its path (same buffers). */
const char *write_file(const char *name, const void *data, size_t n);
/** Write a text as a file of a folder. */
void write_text_file(const char *folder, const char *name, const char *text);
#endif
