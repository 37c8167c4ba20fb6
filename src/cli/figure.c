/* SPDX-License-Identifier: MIT */
/* figure.c - --plot and the options that go with it
 *
 * A figure's metadata says what made it, as JSON on one line:
 *
 *     {"program":"wte","version":"0.1.0","command":["wte","rsa","-m","a.bin",...],"seed":0,
 *      "inputs":[{"file":"a.bin","bytes":3644258522,"sha256_of_first_mib":"e8d1..."}]}
 *
 * "command" is the command line as it was typed, so that wte replay can run it again. An input is
 * named by its size and the SHA-256 of its first 1,048,576 bytes, which
 * `head -c 1048576 FILE | sha256sum` prints too: hashing all of a large model would take longer than
 * most figures do. Time stamps change with every copy and are left out, and so are folders: a figure
 * is sent to other people. */
#include "figure.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sha2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD = 1048576, MAX_FILES = 64 };

static const char *plot, *own_title, *limits_text, *save_to;
static float width, height, dpi;
static bool dark;
static int colormap;
static double limits[2] = {NAN, NAN};
static struct texts inputs;
static uint64_t seed;
static bool has_seed;

const struct option figure_options[] = {
    {0, "plot", OPT_TEXT, &plot, "FILE", "draw it, too: .svg, .pdf or .png", NULL},
    {0, "title", OPT_TEXT, &own_title, "TEXT", "title of the figure; '' for none", NULL},
    {0, "width", OPT_REAL, &width, "INCHES", "width of the figure (what the content needs)", NULL},
    {0, "height", OPT_REAL, &height, "INCHES", "height of the figure (what the content needs)",
     NULL},
    {0, "dpi", OPT_REAL, &dpi, "N", "dots per inch of a .png (144)", NULL},
    {0, "dark", OPT_FLAG, &dark, NULL, "light on dark", NULL},
    {0, "colormap", OPT_CHOICE, &colormap, "NAME",
     "plasma (the default), viridis, magma, cividis, or diverging: blue, white, red",
     "plasma|viridis|magma|cividis|diverging"},
    {0, "limits", OPT_TEXT, &limits_text, "LOW,HIGH",
     "where the colours, or the y axis, begin and end (at the data)", NULL},
    OPTIONS_END};

void figure_save_to(const char *path)
{
    save_to = path;
}

bool figure_wanted(void)
{
    return plot != NULL;
}

/* "-1,1" */
static bool read_limits(void)
{
    char low[32];
    size_t n = strcspn(limits_text, ",");
    float value = 0;

    if (!limits_text[n] || n >= sizeof low)
        return false;
    snprintf(low, sizeof low, "%.*s", (int)n, limits_text);
    if (!parse_real(low, &value))
        return false;
    limits[0] = (double)value;
    if (!parse_real(limits_text + n + 1, &value))
        return false;
    limits[1] = (double)value;
    return limits[0] < limits[1];
}

int figure_check(void)
{
    const struct {
        const char *name;
        bool given;
        double value, most;
    } sizes[] = {{"width", width != 0, (double)width, 200},
                 {"height", height != 0, (double)height, 200},
                 {"dpi", dpi != 0, (double)dpi, 2400}};

    if (!plot) {
        if (own_title || limits_text || width != 0 || height != 0 || dpi != 0 || dark || colormap)
            return usage("--title, --width, --height, --dpi, --dark, --colormap and --limits go "
                         "with --plot FILE");
        return 0;
    }
    if (!has_ending(plot, ".svg .pdf .png"))
        return usage("--plot %s: the ending must be one of .svg .pdf .png", plot);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i].given && !(sizes[i].value > 0 && sizes[i].value <= sizes[i].most))
            return usage("--%s %g: expected a number above 0, at most %g", sizes[i].name,
                         sizes[i].value, sizes[i].most);
    if (limits_text && !read_limits())
        return usage("--limits %s: expected LOW,HIGH, as in -1,1", limits_text);
    return 0;
}

/* ---- provenance ------------------------------------------------------------------------- */

void figure_input(const char *path)
{
    add_text(&inputs, path);
}

void figure_seed(uint64_t value)
{
    seed = value;
    has_seed = true;
}

static void json_input(struct out *o, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *head = need_memory(HEAD, 1), hex[SHA256_DIGEST_STRING_LENGTH];
    SHA2_CTX hash;
    struct stat st;
    size_t n = 0;
    ssize_t got = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        do {
            got = read(fd, head + n, HEAD - n);
            n += got > 0 ? (size_t)got : 0;
        } while (n < HEAD && (got > 0 || (got < 0 && errno == EINTR)));
        if (got >= 0) {
            SHA256Init(&hash);
            SHA256Update(&hash, (const uint8_t *)head, n);
            SHA256End(&hash, hex);
            json_open(o, '{');
            json_key(o, "file");
            json_text(o, slash ? slash + 1 : path);
            json_key(o, "bytes");
            json_count(o, (uint64_t)st.st_size);
            json_key(o, "sha256_of_first_mib");
            json_text(o, hex);
            json_close(o, '}');
        }
    }
    if (fd >= 0)
        close(fd);
    free(head);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A folder stands for the files of a model in it. */
static void json_folder(struct out *o, const char *path)
{
    char *names[MAX_FILES];
    struct dirent *entry;
    size_t n = 0;
    DIR *folder = opendir(path);

    while (folder && n < MAX_FILES && (entry = readdir(folder)) != NULL)
        if (has_ending(entry->d_name, ".safetensors .bin .gguf .json .txt")) {
            struct out name = {0};

            out_format(&name, "%s/%s", path, entry->d_name);
            names[n++] = name.data;
        }
    if (folder)
        closedir(folder);
    if (n)
        qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++) {
        json_input(o, names[i]);
        free(names[i]);
    }
}

static void json_inputs(struct out *o)
{
    struct stat st;

    if (cli.model)
        figure_input(wte_model_get_info(cli.model)->path);
    if (cli.words_file)
        figure_input(cli.words_file);
    json_key(o, "inputs");
    json_open(o, '[');
    for (size_t i = 0; i < inputs.n; i++) {
        bool seen = false;

        for (size_t j = 0; j < i; j++)
            seen |= strcmp(inputs.items[i], inputs.items[j]) == 0;
        if (seen || stat(inputs.items[i], &st) != 0)
            continue;
        if (S_ISDIR(st.st_mode))
            json_folder(o, inputs.items[i]);
        else
            json_input(o, inputs.items[i]);
    }
    json_close(o, ']');
}

static char *provenance(void)
{
    struct out o = {0};

    json_open(&o, '{');
    json_key(&o, "program");
    json_text(&o, "wte");
    json_key(&o, "version");
    json_text(&o, wte_version());
    json_key(&o, "command");
    json_open(&o, '[');
    json_text(&o, "wte");
    for (int i = 1; i < cli.argc; i++)
        json_text(&o, cli.argv[i]);
    json_close(&o, ']');
    if (has_seed) {
        json_key(&o, "seed");
        json_count(&o, seed);
    }
    json_inputs(&o);
    json_close(&o, '}');
    return o.data;
}

/* ---- the figure ------------------------------------------------------------------------- */

wte_figure *figure_begin(const char *title)
{
    wte_figure_options options = WTE_FIGURE_DEFAULTS;
    wte_figure *figure = NULL;
    wte_error err = {0};
    char *made_by = provenance();

    options.title = own_title ? (*own_title ? own_title : NULL) : title;
    options.width = (double)width;
    options.height = (double)height;
    options.dpi = dpi != 0 ? (double)dpi : options.dpi;
    options.dark = dark;
    options.colormap = (wte_colormap)colormap;
    options.provenance = made_by;
    if (wte_figure_new(&options, &figure, &err) != WTE_OK)
        fail_with(&err);
    free(made_by);
    return figure;
}

wte_axes figure_axes(const char *title, const char *x_label, const char *y_label)
{
    return (wte_axes){.title = title,
                      .x_label = x_label,
                      .y_label = y_label,
                      .x_min = NAN,
                      .x_max = NAN,
                      .y_min = NAN,
                      .y_max = NAN};
}

void figure_limits(double *low, double *high)
{
    if (!limits_text)
        return;
    *low = limits[0];
    *high = limits[1];
}

int figure_end(wte_figure *figure, wte_error *err)
{
    int status = 0;

    if (!figure)
        return EXIT_FAILED;
    if (err->status != WTE_OK || wte_figure_save(figure, save_to ? save_to : plot, err) != WTE_OK)
        status = fail_with(err);
    wte_figure_free(figure);
    return status;
}

char *figure_word(const char *text, size_t len)
{
    struct out o = {0};

    out_word(&o, text, len);
    out_bytes(&o, "", 0);
    return o.data;
}

char **figure_labels(const uint32_t *ids, size_t n)
{
    char **labels = need_memory(n + 1, sizeof *labels);

    for (size_t i = 0; i < n; i++) {
        size_t len = 0;
        const char *word = id_word(ids[i], &len);

        labels[i] = figure_word(word, len);
    }
    return labels;
}

void figure_labels_free(char **labels, size_t n)
{
    for (size_t i = 0; labels && i < n; i++)
        free(labels[i]);
    free(labels);
}
