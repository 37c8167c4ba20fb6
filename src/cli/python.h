/* SPDX-License-Identifier: MIT */
/** python.h - --as-python: the lines of Python that compute the same */
#ifndef WTE_CLI_PYTHON_H
#define WTE_CLI_PYTHON_H
#include "cli.h"

/** Options of GIVES_PYTHON. */
extern const struct option python_options[];
/** Print them for the command line as it was read; opens the model. Returns an exit status. */
int show_python(void);

#endif
