/* SPDX-License-Identifier: MIT */
/* libraries.c - cairo and fontconfig, loaded when the first figure is made
 *
 * They are not linked: with all that they depend on they take some 2 to 7 ms to load, and every
 * start of the command would pay for that, while most draw nothing. The header's macros turn each
 * call into one through a pointer, so that the drawing code reads as any that uses cairo. */
#define WTE__PLOT_LOADS
#include "plot/libraries.h"
#include <dlfcn.h>
#include <pthread.h>
#include "base/base.h"

#if defined(__APPLE__)
static const char *const cairo_names[] = {"libcairo.2.dylib", NULL};
static const char *const fontconfig_names[] = {"libfontconfig.1.dylib", NULL};
#else
static const char *const cairo_names[] = {"libcairo.so.2", NULL};
static const char *const fontconfig_names[] = {"libfontconfig.so.1", NULL};
#endif

struct wte__libraries wte__lib;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char reason[256]; /* why not; empty: all is there */

static void *open_one(const char *const *names)
{
    void *library = NULL;

    for (; *names && !library; names++)
        library = dlopen(*names, RTLD_NOW | RTLD_LOCAL);
    if (!library && !*reason) {
        const char *message = dlerror();

        snprintf(reason, sizeof reason, "%s", message ? message : "not found");
    }
    return library;
}

/* A function by its name. ISO C has no cast from an object's address to a function's. */
static void find(void *library, const char *name, void *function)
{
    void *symbol = library ? dlsym(library, name) : NULL;

    if (!symbol && !*reason)
        snprintf(reason, sizeof reason, "it lacks %s", name);
    memcpy(function, &symbol, sizeof symbol);
}

static void load(void)
{
    void *cairo = open_one(cairo_names), *fontconfig = open_one(fontconfig_names);

#define FIND(name) find(cairo, #name, &wte__lib.name##_);
    WTE__CAIRO(FIND)
#undef FIND
#define FIND(name) find(fontconfig, #name, &wte__lib.name##_);
    WTE__FONTCONFIG(FIND)
#undef FIND
}

wte_status wte__plot_libraries(wte_error *err)
{
    pthread_once(&once, load);
    if (!*reason)
        return WTE_OK;
    return wte__fail(err, WTE_E_UNSUPPORTED,
                     "figures need cairo: install libcairo2 and libfontconfig1 (Debian's names) "
                     "(%s)",
                     reason);
}
