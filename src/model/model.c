/* SPDX-License-Identifier: MIT */
/* model.c - find a model's file or folder by name, folder or path
 *
 * A name is tried as a path first, so whatever lies before the user wins over what is installed;
 * then as "demo", the vectors that ship with wte; then as a name of gensim-data, whose downloader
 * keeps ~/gensim-data/NAME/NAME.gz; then as a name of the Hugging Face cache. Nothing is downloaded
 * here.
 *
 * A folder is a model where it holds a config, a tokenizer or weights by the names that
 * transformers gives them; any other folder stands for the one vector file in it.
 *
 * The Hugging Face cache keeps ORG/NAME in models--ORG--NAME/snapshots/COMMIT, and refs/main says
 * which commit is the current one. GPT-2 and BERT were once published without an organisation, so
 * "gpt2" may be kept as models--gpt2 or as models--openai-community--gpt2, and "openai-community/
 * gpt2" likewise: a name finds both, the exact one first.
 *
 * The demo is looked for below $WTE_DATA_DIR, beside the running program (bin/../share/wte), where
 * wte was installed to, and in the source tree it was built from, so that it is found when the
 * program runs from the build folder and when an installed tree was moved. */
#include "model/model_internal.h"
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "format/safetensors.h"

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

bool wte__is_own_layout(const char *path)
{
    wte__map map = {0};
    wte__safetensors st = {0};
    bool own = false;

    if (wte__map_open(&map, path, NULL) != WTE_OK)
        return false;
    if (wte__safetensors_looks(map.data, map.size) &&
        wte__safetensors_parse(map.data, map.size, path, &st, NULL) == WTE_OK) {
        const char *format = wte__safetensors_metadata(&st, "format");

        own = format && strcmp(format, "wte-space") == 0;
        wte__safetensors_free(&st);
    }
    wte__map_close(&map);
    return own;
}

static bool holds(const char *folder, const char *name)
{
    char path[PATH_MAX];

    return snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path && is_file(path);
}

bool wte__find_gguf(const char *path, char *out, size_t size)
{
    struct dirent *entry;
    size_t n = 0;
    DIR *dir;

    if (is_file(path))
        return snprintf(out, size, "%s", path) < (int)size;
    dir = opendir(path);
    while (dir && (entry = readdir(dir)) != NULL) {
        size_t len = strlen(entry->d_name);

        if (len > 5 && strcmp(entry->d_name + len - 5, ".gguf") == 0 && n++ == 0 &&
            snprintf(out, size, "%s/%s", path, entry->d_name) >= (int)size)
            n = 2;
    }
    if (dir)
        closedir(dir);
    return n == 1;
}

bool wte__is_model_folder(const char *path)
{
    static const char *const names[] = {"config.json",
                                        "vocab.json",
                                        "vocab.txt",
                                        "tokenizer.json",
                                        "model.safetensors.index.json",
                                        "pytorch_model.bin"};
    char weights[PATH_MAX];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (holds(path, names[i]))
            return true;
    if (holds(path, "model.safetensors") &&
        snprintf(weights, sizeof weights, "%s/model.safetensors", path) < (int)sizeof weights)
        return !wte__is_own_layout(weights);
    return wte__find_gguf(path, weights, sizeof weights);
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
            "of them with .gz), and no model (config.json, tokenizer files, weights)",
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

/* A file NAME.gz, or what find_in_folder() finds. Without a message where there is no such folder:
 * the name may be one of the Hugging Face cache. */
static wte_status find_gensim(const char *name, char *out, size_t size, wte_error *err)
{
    char base[PATH_MAX], folder[PATH_MAX + NAME_MAX + 2], path[sizeof folder + NAME_MAX + 8];

    if (!*name || strchr(name, '/') || !gensim_folder(base, sizeof base))
        return WTE_E_NOTFOUND;
    snprintf(folder, sizeof folder, "%s/%.*s", base, NAME_MAX, name);
    if (!is_folder(folder))
        return WTE_E_NOTFOUND;
    snprintf(path, sizeof path, "%s/%.*s.gz", folder, NAME_MAX, name);
    if (is_file(path))
        return give(path, out, size, err);
    return find_in_folder(folder, out, size, err);
}

/* ---- the Hugging Face cache ------------------------------------------------------------- */

static bool hub_folder(char *out, size_t size)
{
    const char *hub = getenv("HF_HUB_CACHE"), *hf = getenv("HF_HOME");
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

    if (hub && *hub)
        snprintf(out, size, "%s", hub);
    else if (hf && *hf)
        snprintf(out, size, "%s/hub", hf);
    else if (xdg && *xdg)
        snprintf(out, size, "%s/huggingface/hub", xdg);
    else if (home && *home)
        snprintf(out, size, "%s/.cache/huggingface/hub", home);
    else
        return false;
    return true;
}

/* Read the commit that refs/main names. It becomes part of a path, so it must be a plain name. */
static bool main_commit(const char *model, char out[80])
{
    char path[PATH_MAX];
    FILE *file;
    size_t n;

    if (snprintf(path, sizeof path, "%s/refs/main", model) >= (int)sizeof path)
        return false;
    file = fopen(path, "re");
    if (!file)
        return false;
    n = fread(out, 1, 79, file);
    fclose(file);
    out[n] = '\0';
    out[strcspn(out, " \r\n")] = '\0';
    return *out && strcspn(out, "/.") == strlen(out);
}

/* The snapshot of refs/main, else the only one there is. */
static bool find_snapshot(const char *model, char *out, size_t size)
{
    char commit[80], snapshots[PATH_MAX];
    struct dirent *entry;
    size_t n = 0;
    DIR *dir;

    if (main_commit(model, commit) &&
        snprintf(out, size, "%s/snapshots/%s", model, commit) < (int)size && is_folder(out))
        return true;
    if (snprintf(snapshots, sizeof snapshots, "%s/snapshots", model) >= (int)sizeof snapshots)
        return false;
    dir = opendir(snapshots);
    while (dir && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.' && n++ == 0 &&
            snprintf(out, size, "%s/%s", snapshots, entry->d_name) >= (int)size)
            n = 2;
    if (dir)
        closedir(dir);
    return n == 1 && is_folder(out);
}

/* Try the folder models--NAME, or with an organisation models--ORG--NAME. */
static bool try_hub(const char *hub, const char *org, const char *name, size_t len, char *out,
                    size_t size)
{
    char model[PATH_MAX];

    if (snprintf(model, sizeof model, "%s/models--%s%s%.*s", hub, org, *org ? "--" : "", (int)len,
                 name) >= (int)sizeof model)
        return false;
    return is_folder(model) && find_snapshot(model, out, size);
}

static bool find_hub(const char *name, char *out, size_t size)
{
    static const char *const orgs[] = {"", "openai-community", "google-bert"};
    char hub[PATH_MAX / 2], org[NAME_MAX];
    const char *slash = strchr(name, '/');
    size_t len = strlen(name);

    if (!hub_folder(hub, sizeof hub) || !*name || *name == '.' || len > NAME_MAX / 2)
        return false;
    if (slash) {
        if (strchr(slash + 1, '/') || slash == name || !slash[1])
            return false;
        snprintf(org, sizeof org, "%.*s", (int)(slash - name), name);
        if (try_hub(hub, org, slash + 1, strlen(slash + 1), out, size))
            return true;
        for (size_t i = 1; i < sizeof orgs / sizeof *orgs; i++)
            if (strcmp(org, orgs[i]) == 0)
                return try_hub(hub, "", slash + 1, strlen(slash + 1), out, size);
        return false;
    }
    for (size_t i = 0; i < sizeof orgs / sizeof *orgs; i++)
        if (try_hub(hub, orgs[i], name, len, out, size))
            return true;
    return false;
}

/* ---- any name --------------------------------------------------------------------------- */

static wte_status not_found(const char *name, wte_error *err)
{
    char gensim[PATH_MAX / 2], hub[PATH_MAX / 2];

    if (!gensim_folder(gensim, sizeof gensim))
        snprintf(gensim, sizeof gensim, "~/gensim-data (HOME is not set)");
    if (!hub_folder(hub, sizeof hub))
        snprintf(hub, sizeof hub, "~/.cache/huggingface/hub (HOME is not set)");
    return wte__fail(err, WTE_E_NOTFOUND,
                     "no model '%.100s': no file or folder of this name, and none in %.120s or "
                     "%.120s; 'wte list' shows what is there",
                     name, gensim, hub);
}

wte_status wte_model_find(const char *name, char *out, size_t size, wte_error *err)
{
    char snapshot[PATH_MAX];
    wte_error why = {0};
    wte_status status;

    if (!name) {
        name = getenv("WTE_MODEL");
        if (!name || !*name)
            return find_demo(out, size, err);
    }
    if (is_folder(name))
        return wte__is_model_folder(name) ? give(name, out, size, err)
                                          : find_in_folder(name, out, size, err);
    if (access(name, F_OK) == 0)
        return give(name, out, size, err); /* who opens a path says best what is wrong with it */
    if (strcmp(name, "demo") == 0)
        return find_demo(out, size, err);
    status = find_gensim(name, out, size, &why);
    if (status == WTE_OK)
        return WTE_OK;
    if (find_hub(name, snapshot, sizeof snapshot))
        return wte__is_model_folder(snapshot) ? give(snapshot, out, size, err)
                                              : find_in_folder(snapshot, out, size, err);
    if (strchr(name, '/'))
        return give(name, out, size, err);
    if (!*why.message)
        return not_found(name, err);
    if (err)
        *err = why;
    return status;
}

/* ---- list ------------------------------------------------------------------------------- */

/* Bytes of a file, or of all files of a folder (links followed, subfolders not). */
static uint64_t size_of(const char *path)
{
    char inside[PATH_MAX];
    struct dirent *entry;
    uint64_t sum = 0;
    struct stat st;
    DIR *dir;

    if (stat(path, &st) != 0)
        return 0;
    if (!S_ISDIR(st.st_mode))
        return (uint64_t)st.st_size;
    dir = opendir(path);
    while (dir && (entry = readdir(dir)) != NULL)
        if (snprintf(inside, sizeof inside, "%s/%s", path, entry->d_name) < (int)sizeof inside &&
            stat(inside, &st) == 0 && S_ISREG(st.st_mode))
            sum += (uint64_t)st.st_size;
    if (dir)
        closedir(dir);
    return sum;
}

static bool add(wte_model_list *list, size_t *capacity, const char *name, const char *path,
                const char *kind)
{
    wte_model_entry entry = {wte__strdup(name), wte__strdup(path), wte__strdup(kind), 0};

    if (!entry.name || !entry.path || !entry.kind ||
        !wte__grow((void **)&list->entries, capacity, list->n + 1, sizeof entry)) {
        wte__free(entry.name);
        wte__free(entry.path);
        wte__free(entry.kind);
        return false;
    }
    entry.bytes = size_of(path);
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

/* models--ORG--NAME is ORG/NAME. */
static bool add_hub(wte_model_list *list, size_t *capacity)
{
    char hub[PATH_MAX / 2], model[PATH_MAX], path[PATH_MAX], name[NAME_MAX + 1];
    struct dirent *entry;
    bool complete = true;
    DIR *dir;

    if (!hub_folder(hub, sizeof hub) || !(dir = opendir(hub)))
        return true;
    while (complete && (entry = readdir(dir)) != NULL) {
        char *dashes;

        if (strncmp(entry->d_name, "models--", 8) != 0)
            continue;
        snprintf(name, sizeof name, "%s", entry->d_name + 8);
        dashes = strstr(name, "--");
        if (dashes) {
            *dashes = '/';
            memmove(dashes + 1, dashes + 2, strlen(dashes + 2) + 1);
        }
        if (snprintf(model, sizeof model, "%s/%s", hub, entry->d_name) < (int)sizeof model &&
            find_snapshot(model, path, sizeof path) && wte__is_model_folder(path))
            complete = add(list, capacity, name, path, "Hugging Face cache");
    }
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
        !add_gensim(&list, &capacity) || !add_hub(&list, &capacity)) {
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
