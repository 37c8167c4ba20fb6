/* SPDX-License-Identifier: MIT */
/** format/gzip.h - unpacking .gz, and the memory that zlib takes */
#ifndef WTE_GZIP_H
#define WTE_GZIP_H
#include "base/base.h"

/** Unpack a gzip file of any number of members.
 *   fd     written from its start
 *   path   of the packed file, for messages
 *   extra  receives how many bytes that are no gzip follow the last member (zeros do not count)
 * Errors: E_FORMAT (damaged, or ends early), E_IO (cannot be written), E_NOMEM, E_CANCELLED. */
wte_status wte__gunzip(const unsigned char *data, size_t size, const char *path, int fd,
                       wte__progress *progress, uint64_t *extra, wte_error *err);

/** What a z_stream allocates and frees with; `opaque` is not used. */
void *wte__zalloc(void *opaque, unsigned n, unsigned size);
void wte__zfree(void *opaque, void *ptr);
#endif
