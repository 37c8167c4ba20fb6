/* SPDX-License-Identifier: MIT */
/** python.h - --as-python: the lines of Python that compute the same */
#ifndef WTE_CLI_PYTHON_H
#define WTE_CLI_PYTHON_H
#include "cli.h"

/** Options of GIVES_PYTHON. */
extern const struct option python_options[];
/** Write a text as Python writes it; bytes that are no UTF-8 stay as they are. */
void python_text(struct out *o, const char *text);
/** Write the line that opens a file of word vectors as a KeyedVectors.
 *   format  of wte_space_info
 * Returns an exit status: gensim does not read every format. */
int python_vectors(struct out *o, const char *variable, const char *path, const char *format);
/** Print them for the command line as it was read; opens the model. Returns an exit status. */
int show_python(void);

#endif
