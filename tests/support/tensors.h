/* SPDX-License-Identifier: MIT */
/** tensors.h - small checkpoints made by tests: GPT-2 and BERT of any width, in any stored type
 *
 * Numbers are pseudo-random and depend on the tensor's name only. What is kept beside the bytes is
 * their exact value, so that a test can compute with them. */
#ifndef WTE_TEST_TENSORS_H
#define WTE_TEST_TENSORS_H
#include <stdbool.h>
#include <stddef.h>

typedef struct test_tensor {
    char name[112];
    const char *dtype; /* "F32", "F16", "BF16", "F64", "F8_E4M3", "F8_E5M2", "Q8_0", "I32" */
    size_t shape[2], n_dims, n;
    float *values; /* [n] */
} test_tensor;

enum { TEST_MAX_TENSORS = 128 };

typedef struct test_tensors {
    test_tensor items[TEST_MAX_TENSORS];
    size_t n;
} test_tensors;

/** Add a tensor; a vector has 0 rows. Numbers are in -1 ... 1 times `scale`, plus `mean`. */
test_tensor *test_add(test_tensors *set, const char *name, const char *dtype, size_t rows,
                      size_t columns, float mean, float scale);
/** NULL if there is none. */
test_tensor *test_find(test_tensors *set, const char *name);
void test_remove(test_tensors *set, const char *name);
/** Store a tensor in another type; values become what that type holds. Q8_0 needs columns in
 * blocks of 32. */
void test_store(test_tensor *t, const char *dtype);
void test_drop(test_tensors *set);

/** Hugging Face's tensors of a GPT-2: linear layers [in, out], vectors F32, matrices of `dtype`. */
void test_gpt2(test_tensors *set, const char *prefix, size_t n_layer, size_t n_embd, size_t n_inner,
               size_t n_vocab, size_t n_ctx, const char *dtype);
/** Of a BERT with pooler, masked-language-model head and next-sentence head. */
void test_bert(test_tensors *set, size_t n_layer, size_t n_embd, size_t n_inner, size_t n_vocab,
               size_t n_ctx, const char *dtype);

/** Write them as safetensors, the data beginning at a multiple of 8 plus `shift`. */
void test_write_safetensors(const test_tensors *set, const char *path, size_t shift);
/** Write a GPT-2's as GGUF: linear layers transposed, llama.cpp's names. */
void test_write_gguf(const test_tensors *set, const char *path, size_t n_layer, size_t n_head);
#endif
