/* SPDX-License-Identifier: MIT */
/** need_lapack.h - tests that need LAPACK, which is an option */
#ifndef WTE_TEST_NEED_LAPACK_H
#define WTE_TEST_NEED_LAPACK_H
#include "space/lapack.h"
#include "support.h"

/** Skip where LAPACK is not installed. */
static inline void need_lapack(void)
{
    wte_error err = {0};

    if (wte__lapack_load(&err) != WTE_OK) {
        print_message("skipped: %s\n", err.message);
        skip();
    }
}

#endif
