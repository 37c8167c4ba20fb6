/* SPDX-License-Identifier: MIT */
/** wte/status.h - how every function of the library says whether it worked
 *
 * A function that can fail returns a wte_status: 0 is success, a negative number the kind of
 * failure. The details go into a wte_error that the caller may pass, or NULL. Results are written
 * through `out` parameters and left untouched on failure. */
#ifndef WTE_STATUS_H
#define WTE_STATUS_H
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define WTE_API __attribute__((visibility("default")))
#else
#define WTE_API
#endif

#ifdef __cplusplus
#define WTE_BEGIN_DECLS extern "C" {
#define WTE_END_DECLS   }
#else
#define WTE_BEGIN_DECLS
#define WTE_END_DECLS
#endif

WTE_BEGIN_DECLS

/** Every status once: name, value, text. All tables about statuses are made from this list. */
#define WTE_STATUS_MAP(X)                                                                          \
    X(OK, 0, "success")                                                                            \
    X(E_NOMEM, -1, "out of memory")                                                                \
    X(E_IO, -2, "cannot read or write file")                                                       \
    X(E_FORMAT, -3, "file is not in the expected format")                                          \
    X(E_SHAPE, -4, "shapes do not match")                                                          \
    X(E_RANGE, -5, "argument out of range")                                                        \
    X(E_NOTFOUND, -6, "not found")                                                                 \
    X(E_CANCELLED, -7, "cancelled")                                                                \
    X(E_UNSUPPORTED, -8, "not supported")

typedef enum wte_status {
#define X(name, value, text) WTE_##name = value,
    WTE_STATUS_MAP(X)
#undef X
} wte_status;

/** Details of a failure, written by the function that failed. */
typedef struct wte_error {
    wte_status status;
    uint64_t offset;   /**< byte of the input file the message is about, else 0 */
    char message[512]; /**< lower case, no full stop, no newline, always terminated */
} wte_error;

/** Name a status in words. Never NULL, for any number. */
WTE_API const char *wte_status_text(wte_status status);

/** Tell the library's version, "MAJOR.MINOR.PATCH". */
WTE_API const char *wte_version(void);

/** Hear of work that takes long.
 *   data   what the caller passed with the function
 *   what   the step in a few words ("indexing rows"), valid during the call
 *   done, total   in the step's own unit; total is 0 while it is not known
 * Called from the thread that called the library, at most some twenty times a second. Return
 * nonzero to cancel: the function under way then fails with WTE_E_CANCELLED. */
typedef int (*wte_progress_fn)(void *data, const char *what, uint64_t done, uint64_t total);

WTE_END_DECLS
#endif
