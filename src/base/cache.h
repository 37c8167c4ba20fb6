/* SPDX-License-Identifier: MIT */
/** base/cache.h - files kept in the user's cache folder
 *
 * What costs time to compute from a file is kept in a file of its own, which is used without
 * computing anything: the indexes of word vectors (space/index.c), compiled tokenizers
 * (token/compiled.c) and converted weights (network/convert.c). What is common to them is here:
 * where they are, what they are called, whom they are for, and how it shows that one was damaged.
 */
#ifndef WTE_BASE_CACHE_H
#define WTE_BASE_CACHE_H
#include <sys/stat.h>
#include "base/base.h"

#define WTE__INDEX_ENDING     ".index.safetensors"
#define WTE__TOKENIZER_ENDING ".tokenizer.safetensors"
#define WTE__BF16_ENDING      ".weights-bf16.safetensors"
#define WTE__INT8_ENDING      ".weights-int8.safetensors"

/** Where they are kept: `cache_dir`, or if that is NULL $WTE_CACHE, $XDG_CACHE_HOME/wte,
 * ~/.cache/wte. Free with wte__free(). Errors: E_IO (no home folder), E_NOMEM. */
wte_status wte__cache_folder(const char *cache_dir, char **out, wte_error *err);
/** True if something shall be kept for a source of so many bytes: those that $WTE_INDEX_MIN says,
 * 16 MiB unless set. */
bool wte__cache_is_worth(uint64_t bytes);
/** The path of what is kept for a file or folder of a canonical path: its name, a hash of the path,
 * and an ending. Free with wte__free(); NULL if there is no memory. */
char *wte__cache_path(const char *folder, const char *canonical, const char *ending);

/** Write a path as UTF-8 text: bytes that are none, control bytes and '%' as %XX. Free with
 * wte__free(); NULL if there is no memory. */
char *wte__cache_encode(const char *path);
/** Undo it in place. */
void wte__cache_decode(char *path);

enum { WTE__IDENTITY_SIZE = 128 };
/** Say which file a path leads to now: "size mtime_ns inode device", or "absent". If it says the
 * same later, the file was neither changed nor replaced. */
void wte__file_identity(const char *path, char out[WTE__IDENTITY_SIZE]);

/** The time of last change that a finished file gets: a moment in the past, in whole even seconds,
 * as some file systems keep no more. */
int64_t wte__cache_seal_ns(void);
/** Give it to a file, after the last byte was written. Errors: E_IO. */
wte_status wte__cache_seal(const wte__outfile *file, int64_t seal_ns, wte_error *err);
/** True if blocks of a file were never written. */
bool wte__has_holes(const char *path, uint64_t size);

/** Call fn for each file of the folder that has, or temporarily had, one of the endings. Others are
 * never touched. A folder that is not there has none. */
typedef wte_status (*wte__cache_fn)(void *ctx, const char *path, const char *name,
                                    const struct stat *st, wte_error *err);
wte_status wte__cache_each(const char *folder, wte__cache_fn fn, void *ctx, wte_error *err);
/** True for a finished file. */
bool wte__cache_is_finished(const char *name);
/** Delete temporary files that were left behind more than a day ago. */
void wte__cache_sweep(const char *folder);
#endif
