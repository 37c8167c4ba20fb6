/* SPDX-License-Identifier: MIT */
/* model.c - find a model's file by name, folder or path
 *
 * A name is tried as a path first, so whatever lies before the user wins over what is installed;
 * then as "demo", the vectors that ship with wte; then as a name of gensim-data, whose downloader
 * keeps ~/gensim-data/NAME/NAME.gz. Nothing is downloaded here.
 *
 * The demo is looked for below $WTE_DATA_DIR, beside the running program (bin/../share/wte), where
 * wte was installed to, and in the source tree it was built from, so that it is found when the
 * program runs from the build folder and when an installed tree was moved. */
#include "wte/model.h"
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/base.h"

static const char DEMO[] = "/models/demo/vectors.safetensors";

static wte_status give(const char *path, char *out, size_t size, wte_error *err)
{
    size_t n = strlen(path);

    if (n >= size)
        return wte__fail(err, WTE_E_RANGE, "the path %s does not fit into %zu bytes", path, size);
    memcpy(out, path, n + 1);
    return WTE_OK;
}

static bool is_file(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_vector_file(const char *name)
{
    static const char *const endings[] = {".bin", ".txt", ".vec", ".safetensors", ".gz"};
    size_t n = strlen(name);

    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t len = strlen(endings[i]);

        if (n > len && name[0] != '.' && strcmp(name + n - len, endings[i]) == 0)
            return true;
    }
    return false;
}

/* The only vector file of a folder. */
static wte_status find_in_folder(const char *folder, char *out, size_t size, wte_error *err)
{
    char path[PATH_MAX], found[PATH_MAX] = "";
    const char *first = found;
    DIR *dir = opendir(folder);
    struct dirent *entry;
    size_t n = 0;

    if (!dir)
        return wte__fail_errno(err, "%s", folder);
    while ((entry = readdir(dir)) != NULL) {
        if (!is_vector_file(entry->d_name) ||
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= (int)sizeof path ||
            !is_file(path))
            continue;
        if (n++ == 0 || strcmp(path, found) < 0) /* the order of a folder's entries is no order */
            memcpy(found, path, sizeof found);
    }
    closedir(dir);
    if (n == 0)
        return wte__fail(
            err, WTE_E_NOTFOUND,
            "%s: no vector file in this folder (.bin, .txt, .vec, .safetensors, or one "
            "of them with .gz)",
            folder);
    if (n > 1) {
        first = strrchr(found, '/') + 1;
        return wte__fail(err, WTE_E_NOTFOUND,
                         "%s: %zu files here could be meant, '%s' among them; name one of them",
                         folder, n, first);
    }
    return give(found, out, size, err);
}

/* The places of the demo, in the order of the essay; false when there are no more. */
static bool demo_place(int i, char *out, size_t size)
{
    const char *data = getenv("WTE_DATA_DIR");
    char program[PATH_MAX], *slash;
    ssize_t n;

    out[0] = '\0';
    switch (i) {
    case 0:
        if (data && *data)
            snprintf(out, size, "%s%s", data, DEMO);
        return true;
    case 1:
        n = readlink("/proc/self/exe", program, sizeof program - 1);
        if (n <= 0)
            return true;
        program[n] = '\0';
        slash = strrchr(program, '/');
        if (slash)
            *slash = '\0';
        snprintf(out, size, "%s/../share/wte%s", program, DEMO);
        return true;
    case 2:
        snprintf(out, size, "%s%s", WTE_DATADIR, DEMO);
        return true;
    case 3: /* the source tree's folder is the models folder itself */
        snprintf(out, size, "%s%s", WTE_SOURCE_DATADIR, DEMO + strlen("/models"));
        return true;
    default:
        return false;
    }
}

static wte_status find_demo(char *out, size_t size, wte_error *err)
{
    char path[PATH_MAX + 64];

    for (int i = 0; demo_place(i, path, sizeof path); i++)
        if (is_file(path))
            return give(path, out, size, err);
    return wte__fail(err, WTE_E_NOTFOUND,
                     "the model that ships with wte is not in %s/models; set WTE_DATA_DIR to the "
                     "folder that holds models/demo/vectors.safetensors",
                     WTE_DATADIR);
}

static bool gensim_folder(char *out, size_t size)
{
    const char *folder = getenv("GENSIM_DATA_DIR"), *home = getenv("HOME");

    if (folder && *folder)
        snprintf(out, size, "%s", folder);
    else if (home && *home)
        snprintf(out, size, "%s/gensim-data", home);
    else
        return false;
    return true;
}

static wte_status find_gensim(const char *name, char *out, size_t size, wte_error *err)
{
    char base[PATH_MAX], folder[PATH_MAX + NAME_MAX + 2], path[sizeof folder + NAME_MAX + 8];

    if (!gensim_folder(base, sizeof base))
        snprintf(base, sizeof base, "~/gensim-data (HOME is not set)");
    snprintf(folder, sizeof folder, "%s/%.*s", base, NAME_MAX, name);
    if (!*name || !is_folder(folder))
        return wte__fail(
            err, WTE_E_NOTFOUND,
            "no model '%s': no file or folder of this name, and none in %s; 'wte list' "
            "shows what is there",
            name, base);
    snprintf(path, sizeof path, "%s/%s.gz", folder, name);
    if (is_file(path))
        return give(path, out, size, err);
    return find_in_folder(folder, out, size, err);
}

wte_status wte_model_find(const char *name, char *out, size_t size, wte_error *err)
{
    if (!name) {
        name = getenv("WTE_MODEL");
        if (!name || !*name)
            return find_demo(out, size, err);
    }
    if (is_folder(name))
        return find_in_folder(name, out, size, err);
    if (strchr(name, '/') || access(name, F_OK) == 0)
        return give(name, out, size, err); /* who opens a path says best what is wrong with it */
    if (strcmp(name, "demo") == 0)
        return find_demo(out, size, err);
    return find_gensim(name, out, size, err);
}

/* ---- list ------------------------------------------------------------------------------- */

static bool add(wte_model_list *list, size_t *capacity, const char *name, const char *path,
                const char *kind)
{
    struct stat st;
    wte_model_entry entry = {wte__strdup(name), wte__strdup(path), wte__strdup(kind), 0};

    if (!entry.name || !entry.path || !entry.kind ||
        !wte__grow((void **)&list->entries, capacity, list->n + 1, sizeof entry)) {
        wte__free(entry.name);
        wte__free(entry.path);
        wte__free(entry.kind);
        return false;
    }
    if (stat(path, &st) == 0)
        entry.bytes = (uint64_t)st.st_size;
    list->entries[list->n++] = entry;
    return true;
}

static bool add_gensim(wte_model_list *list, size_t *capacity)
{
    char base[PATH_MAX], path[PATH_MAX];
    struct dirent *entry;
    bool complete = true;
    DIR *dir;

    if (!gensim_folder(base, sizeof base) || !(dir = opendir(base)))
        return true;
    while (complete && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.' &&
            find_gensim(entry->d_name, path, sizeof path, NULL) == WTE_OK)
            complete = add(list, capacity, entry->d_name, path, "gensim-data");
    closedir(dir);
    return complete;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const wte_model_entry *)a)->name, ((const wte_model_entry *)b)->name);
}

wte_status wte_model_get_list(wte_model_list *out, wte_error *err)
{
    wte_model_list list = {NULL, 0};
    size_t capacity = 0;
    char path[PATH_MAX + 64];

    if ((find_demo(path, sizeof path, NULL) == WTE_OK &&
         !add(&list, &capacity, "demo", path, "ships with wte")) ||
        !add_gensim(&list, &capacity)) {
        wte_model_list_free(&list);
        return wte__fail(err, WTE_E_NOMEM, "no memory to list the models");
    }
    if (list.n > 0)
        qsort(list.entries, list.n, sizeof *list.entries, by_name);
    *out = list;
    return WTE_OK;
}

void wte_model_list_free(wte_model_list *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->n; i++) {
        wte__free(list->entries[i].name);
        wte__free(list->entries[i].path);
        wte__free(list->entries[i].kind);
    }
    wte__free(list->entries);
    *list = (wte_model_list){NULL, 0};
}
