/* SPDX-License-Identifier: MIT */
/* npy.c - arrays as numpy's .npy files
 *
 * Layout of format version 1.0:
 *
 *   byte  0   6 bytes   \x93NUMPY
 *   byte  6   2 bytes   version: 1, 0
 *   byte  8   uint16    length of the header text, little-endian
 *   byte 10   text      a Python dict with descr, fortran_order and shape, filled up with spaces
 *                       and ended by a newline, so that the data begin at a multiple of 64
 *   then      data      C order
 *
 * numpy.save writes the same bytes. Source: NEP 1, "A simple file format for NumPy
 * arrays". Left out: reading, Fortran order, big-endian and structured types, which nothing here
 * makes. */
#include "wte/npy.h"
#include "base/base.h"

enum { MAX_DIMS = 8, PREFIX = 10, ALIGN = 64, HEADER_MAX = 512 };

/* The types offered and their sizes. */
static const struct {
    const char *type;
    size_t size;
} types[] = {{"<f4", 4}, {"<f8", 8}, {"<u4", 4}, {"<i8", 8}, {"|u1", 1}};

/* Compose everything before the data into header; returns its length. Eight sizes of 20 digits and
 * their commas stay far below HEADER_MAX. */
static size_t compose_header(char *header, const char *type, const size_t *shape, size_t n_dims)
{
    char *text = header + PREFIX, *end = header + HEADER_MAX;
    size_t length;

    text += snprintf(text, (size_t)(end - text),
                     "{'descr': '%s', 'fortran_order': False, 'shape': (", type);
    for (size_t i = 0; i < n_dims; i++)
        text += snprintf(text, (size_t)(end - text), i ? ", %zu" : "%zu", shape[i]);
    text += snprintf(text, (size_t)(end - text), n_dims == 1 ? ",), }" : "), }");
    length = ((size_t)(text - header) / ALIGN + 1) * ALIGN;
    memset(text, ' ', length - 1 - (size_t)(text - header));
    header[length - 1] = '\n';
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)((length - PREFIX) & 0xff);
    header[9] = (char)((length - PREFIX) >> 8);
    return length;
}

wte_status wte_npy_write(const char *path, const char *type, const size_t *shape, size_t n_dims,
                         const void *data, wte_error *err)
{
    wte__outfile file;
    char header[HEADER_MAX];
    size_t header_size, bytes = 0;
    wte_status status;

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(type, types[i].type) == 0)
            bytes = types[i].size;
    if (bytes == 0)
        return wte__fail(err, WTE_E_RANGE, "%s: unknown array type '%s'", path, type);
    if (n_dims > MAX_DIMS)
        return wte__fail(err, WTE_E_RANGE, "%s: %zu dimensions, expected at most %d", path, n_dims,
                         MAX_DIMS);
    for (size_t i = 0; i < n_dims; i++)
        if (wte__mul_overflows(bytes, shape[i], &bytes))
            return wte__fail(err, WTE_E_RANGE, "%s: the array's size overflows", path);
    header_size = compose_header(header, type, shape, n_dims);

    status = wte__outfile_open(&file, path, err);
    if (status)
        return status;
    status = wte__outfile_pwrite(&file, header, header_size, 0, err);
    if (!status)
        status = wte__outfile_pwrite(&file, data, bytes, header_size, err);
    if (!status)
        status = wte__outfile_commit(&file, err);
    wte__outfile_abort(&file);
    return status;
}
