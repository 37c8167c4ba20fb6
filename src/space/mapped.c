/* SPDX-License-Identifier: MIT */
/* mapped.c - what a program needs that ends in a signal handler
 *
 * When a mapped file becomes shorter, reading it raises SIGBUS, and there is no way on. The lists
 * of mapped files and of files being written are kept where that is done; this makes them part of
 * the public API. */
#include "wte/space.h"
#include "base/base.h"

const char *wte_mapped_path(const void *address)
{
    return wte__map_path_of(address);
}

void wte_delete_unfinished(void)
{
    wte__outfile_unlink_all();
}
