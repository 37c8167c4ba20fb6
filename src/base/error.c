/* SPDX-License-Identifier: MIT */
/* error.c - statuses and the one-line messages that go with them
 *
 * A message ends up on one line of somebody's terminal, whatever bytes a hostile file put into it,
 * so it is made printable here, once: control bytes and ill-formed UTF-8 become '?', and a message
 * that is too long is cut between characters. */
#include "base/base.h"
#include <errno.h>
#include <stdarg.h>

const char *wte_version(void)
{
    return WTE_VERSION;
}

const char *wte_status_text(wte_status status)
{
    switch (status) {
#define X(name, value, text)                                                                       \
    case WTE_##name:                                                                               \
        return text;
        WTE_STATUS_MAP(X)
#undef X
    }
    return "unknown status";
}

/* Make the message printable in place; `cut` says that its end is missing. */
static void clean(char *message, bool cut)
{
    size_t n = strlen(message), i = 0;

    while (i < n) {
        uint32_t code;
        size_t length = wte__utf8_decode(message + i, n - i, &code);

        if (length == 0 && cut && n - i < 4) {
            message[i] = '\0'; /* the cut went through a character */
            return;
        }
        if (length == 0 || code < 0x20 || code == 0x7F || (code >= 0x80 && code < 0xA0) ||
            code == 0x2028 || code == 0x2029) {
            message[i] = '?';
            for (size_t j = 1; j < length; j++)
                message[i + j] = '?';
        }
        i += length ? length : 1;
    }
}

static wte_status fail_v(wte_error *err, wte_status status, uint64_t offset, const char *suffix,
                         const char *fmt, va_list ap) __attribute__((format(printf, 5, 0)));
static wte_status fail_v(wte_error *err, wte_status status, uint64_t offset, const char *suffix,
                         const char *fmt, va_list ap)
{
    int n;

    if (!err)
        return status;
    err->status = status;
    err->offset = offset;
    n = vsnprintf(err->message, sizeof err->message, fmt, ap);
    if (n >= 0 && suffix && (size_t)n < sizeof err->message)
        n += snprintf(err->message + n, sizeof err->message - (size_t)n, ": %s", suffix);
    clean(err->message, n >= (int)sizeof err->message);
    return status;
}

wte_status wte__fail(wte_error *err, wte_status status, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fail_v(err, status, 0, NULL, fmt, ap);
    va_end(ap);
    return status;
}

wte_status wte__fail_at(wte_error *err, wte_status status, uint64_t offset, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fail_v(err, status, offset, NULL, fmt, ap);
    va_end(ap);
    return status;
}

wte_status wte__fail_errno(wte_error *err, const char *fmt, ...)
{
    wte_status status = errno == ENOMEM ? WTE_E_NOMEM : WTE_E_IO;
    char text[128] = "";
    va_list ap;

#if defined(__GLIBC__)
    const char *reason = strerror_r(errno, text, sizeof text);
#else
    strerror_r(errno, text, sizeof text);
    const char *reason = text;
#endif
    va_start(ap, fmt);
    fail_v(err, status, 0, reason, fmt, ap);
    va_end(ap);
    return status;
}
