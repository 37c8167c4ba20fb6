/* SPDX-License-Identifier: MIT */
/* png.c - PNG in chunks (W3C Recommendation, 2003)
 *
 *   89 'P' 'N' 'G' 0d 0a 1a 0a, then chunks: length, type, data, CRC-32 of type, data; big-endian
 *   IHDR  width, height, bit depth 8, colour type 3 (indexed), 0 0 0
 *   PLTE  256 x red green blue
 *   IDAT  zlib of the rows, each after a filter byte of 0
 *   pHYs  pixels a metre, twice, and 1
 *   iTXt  keyword 0, compressed? 0, method 0, language 0, keyword translated 0, text in UTF-8
 *
 * Cells of a matrix are as many colours as the map has, so that an index a pixel is a quarter of
 * what cairo would write, and there is much less to compress. */
#include "plot/png.h"
#include <math.h>
#include <zlib.h>

enum { SIGNATURE = 8, IHDR_END = SIGNATURE + 25, N_COLORS = 256 };
static const unsigned char signature[SIGNATURE] = {0x89, 'P', 'N', 'G', 0x0D, 0x0A, 0x1A, 0x0A};
static const char keyword[] = "wte\0\0\0\0"; /* the string's own 0 ends the translated keyword */

static void put_u32(unsigned char *p, uint32_t v)
{
    p[0] = (unsigned char)(v >> 24);
    p[1] = (unsigned char)(v >> 16);
    p[2] = (unsigned char)(v >> 8);
    p[3] = (unsigned char)v;
}

static uint32_t get_u32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* A chunk of two parts. */
static void chunk(wte__buffer *out, const char *type, const void *a, size_t n_a, const void *b,
                  size_t n_b)
{
    unsigned char word[4];
    uLong crc = crc32(0, (const Bytef *)type, 4);

    put_u32(word, (uint32_t)(n_a + n_b));
    wte__buffer_add(out, word, 4);
    wte__buffer_add(out, type, 4);
    if (n_a) {
        wte__buffer_add(out, a, n_a);
        crc = crc32(crc, a, (uInt)n_a);
    }
    if (n_b) {
        wte__buffer_add(out, b, n_b);
        crc = crc32(crc, b, (uInt)n_b);
    }
    put_u32(word, (uint32_t)crc);
    wte__buffer_add(out, word, 4);
}

void wte__png_indexed(wte__buffer *out, const unsigned char *pixels, size_t n_cols, size_t n_rows,
                      const uint32_t *colors)
{
    unsigned char header[13] = {0, 0, 0, 0, 0, 0, 0, 0, 8, 3, 0, 0, 0}, palette[3 * N_COLORS];
    unsigned char *rows = wte__calloc(n_rows, n_cols + 1);
    uLongf packed_n = compressBound((uLong)(n_rows * (n_cols + 1)));
    unsigned char *packed = wte__calloc(packed_n, 1);

    if (!rows || !packed) {
        out->failed = true;
        goto done;
    }
    put_u32(header, (uint32_t)n_cols);
    put_u32(header + 4, (uint32_t)n_rows);
    for (size_t i = 0; i < N_COLORS; i++) {
        palette[3 * i] = (unsigned char)(colors[i] >> 16);
        palette[3 * i + 1] = (unsigned char)(colors[i] >> 8);
        palette[3 * i + 2] = (unsigned char)colors[i];
    }
    for (size_t i = 0; i < n_rows; i++)
        memcpy(rows + i * (n_cols + 1) + 1, pixels + i * n_cols, n_cols);
    if (compress2(packed, &packed_n, rows, (uLong)(n_rows * (n_cols + 1)), 3) != Z_OK) {
        out->failed = true;
        goto done;
    }
    wte__buffer_add(out, signature, SIGNATURE);
    chunk(out, "IHDR", header, sizeof header, NULL, 0);
    chunk(out, "PLTE", palette, sizeof palette, NULL, 0);
    chunk(out, "IDAT", packed, packed_n, NULL, 0);
    chunk(out, "IEND", NULL, 0, NULL, 0);
done:
    wte__free(rows);
    wte__free(packed);
}

void wte__png_annotate(wte__buffer *out, const unsigned char *png, size_t n, double dpi,
                       const char *text)
{
    unsigned char per_metre[9] = {0};

    put_u32(per_metre, (uint32_t)lround(dpi / 0.0254));
    put_u32(per_metre + 4, (uint32_t)lround(dpi / 0.0254));
    per_metre[8] = 1;
    wte__buffer_add(out, png, IHDR_END);
    chunk(out, "pHYs", per_metre, sizeof per_metre, NULL, 0);
    if (text)
        chunk(out, "iTXt", keyword, sizeof keyword, text, strlen(text));
    wte__buffer_add(out, png + IHDR_END, n - IHDR_END);
}

const char *wte__png_text(const unsigned char *png, size_t n, size_t *length)
{
    if (n < SIGNATURE || memcmp(png, signature, SIGNATURE) != 0)
        return NULL;
    for (size_t at = SIGNATURE; n - at >= 12;) {
        const size_t size = get_u32(png + at);
        const unsigned char *data = png + at + 8;

        if (size > n - at - 12)
            return NULL;
        if (memcmp(png + at + 4, "iTXt", 4) == 0 && size >= sizeof keyword &&
            memcmp(data, keyword, sizeof keyword) == 0 &&
            get_u32(data + size) == crc32(0, png + at + 4, (uInt)size + 4)) {
            *length = size - sizeof keyword;
            return (const char *)data + sizeof keyword;
        }
        at += 12 + size;
    }
    return NULL;
}
