/* SPDX-License-Identifier: MIT */
/* pytorch_zip.c - torch.save since 1.6: a zip archive of a pickle and raw numbers
 *
 *     entry              content
 *     NAME/data.pkl      the state dict, see pickle.c
 *     NAME/data/KEY      the numbers of the storage KEY, as they lie in memory
 *     NAME/byteorder     "little" or "big", since torch 2.1
 *     NAME/version       a number that says nothing to a state dict
 *
 * torch stores entries without packing them and aligns their data, so tensors are used in place.
 * That needs to know where an entry's bytes begin, so the archive's structures are read here:
 *
 *     local header       "PK\3\4", 30 bytes with the lengths of name and extra field at 26 and 28;
 *                        then these, then the data
 *     central directory  "PK\1\2", 46 bytes an entry: flags 8, method 10, CRC-32 16, packed size
 *                        20, size 24, lengths of name, extra field and comment 28 30 32, place of
 *                        the local header 42
 *     end record         "PK\5\6", 22 bytes: entries 10, size of the directory 12, its place 16,
 *                        length of the comment 20
 *     zip64              a size or place of 0xFFFFFFFF is in the entry's extra field 1 as 64 bits;
 *                        if one of the end record is, "PK\6\7" in front of it says where "PK\6\6"
 *                        is, which has them at 32 40 48
 *
 * The directory is believed, and it has to make sense: every entry inside the file, none over
 * another, no name twice, the local header with the same name. An archive that somebody packed
 * again is unpacked into memory, but a small file may not ask for much: at most 32 times the
 * archive's size plus 64 MiB. Checksums are checked for what is read anyway, the pickle and packed
 * entries; checking the others would read the whole file.
 *
 * Source: PKWARE's APPNOTE.TXT 6.3, sections 4.3 to 4.5; torch/serialization.py. */
#include "format/gzip.h"
#include "format/pickle.h"
#include <inttypes.h>
#include <stdlib.h>
#include <zlib.h>

enum { END_SIZE = 22, ENTRY_SIZE = 46, LOCAL_SIZE = 30, LOCATOR_SIZE = 20, END64_SIZE = 56 };
enum { MAX_COMMENT = 65535, STORED = 0, DEFLATED = 8, UNPACK_FACTOR = 32 };
static const uint64_t UNPACK_ALWAYS = 64 << 20;

typedef struct entry {
    const char *name; /* in the directory, not terminated */
    size_t name_len;
    unsigned method;
    uint32_t crc;
    uint64_t packed, size;
    uint64_t header, begin; /* places of the local header and of the data */
} entry;

typedef struct archive {
    const unsigned char *data;
    size_t size;
    const char *path;
    uint64_t directory, directory_size, n;
    entry *entries; /* [n], by name */
    uint64_t may_unpack;
} archive;

static unsigned load_u16(const unsigned char *p)
{
    return p[0] | (unsigned)p[1] << 8;
}

static wte_status bad(const archive *a, uint64_t at, const char *what, wte_error *err)
{
    return wte__fail_at(err, WTE_E_FORMAT, at,
                        "%s: the zip archive is damaged at byte %" PRIu64 ": %s", a->path, at,
                        what);
}

/* ---- the directory ---------------------------------------------------------------------- */

static wte_status read_end64(archive *a, size_t end, wte_error *err)
{
    const unsigned char *locator, *record;
    uint64_t place;

    if (end < LOCATOR_SIZE || memcmp(a->data + end - LOCATOR_SIZE, "PK\6\7", 4) != 0)
        return bad(a, end, "its end record speaks of zip64, which is not there", err);
    locator = a->data + end - LOCATOR_SIZE;
    place = wte__load_u64(locator + 8);
    if (end - LOCATOR_SIZE < END64_SIZE || place > end - LOCATOR_SIZE - END64_SIZE ||
        memcmp(a->data + place, "PK\6\6", 4) != 0)
        return bad(a, end - LOCATOR_SIZE, "its zip64 record is not where it should be", err);
    record = a->data + place;
    a->n = wte__load_u64(record + 32);
    a->directory_size = wte__load_u64(record + 40);
    a->directory = wte__load_u64(record + 48);
    if (a->directory > place || a->directory_size > place - a->directory)
        return bad(a, place, "its directory lies outside of the file", err);
    return WTE_OK;
}

static wte_status read_end(archive *a, wte_error *err)
{
    const unsigned char *record = NULL;
    size_t end = 0;

    for (size_t comment = 0; comment <= MAX_COMMENT && comment + END_SIZE <= a->size; comment++) {
        end = a->size - END_SIZE - comment;
        record = a->data + end;
        if (memcmp(record, "PK\5\6", 4) == 0 && load_u16(record + 20) == comment)
            break;
        record = NULL;
    }
    if (!record)
        return bad(a, a->size, "it ends without an end record, so it is truncated or no zip", err);
    if (load_u16(record + 4) != load_u16(record + 6))
        return bad(a, end, "it is a part of several", err);
    a->n = load_u16(record + 10);
    a->directory_size = wte__load_u32(record + 12);
    a->directory = wte__load_u32(record + 16);
    if (a->n == 0xFFFF || a->directory_size == UINT32_MAX || a->directory == UINT32_MAX)
        return read_end64(a, end, err);
    if (a->directory > end || a->directory_size > end - a->directory)
        return bad(a, end, "its directory lies outside of the file", err);
    return WTE_OK;
}

/* Sizes and place that do not fit into 32 bits stand in this order in extra field 1, only those. */
static bool read_extra(const unsigned char *extra, size_t n, entry *e)
{
    uint64_t *const wanted[] = {&e->size, &e->packed, &e->header};

    while (n >= 4) {
        unsigned id = load_u16(extra);
        size_t len = load_u16(extra + 2);

        extra += 4;
        n -= 4;
        if (len > n)
            return false;
        for (size_t i = 0; id == 1 && i < 3; i++) {
            if (*wanted[i] != UINT32_MAX)
                continue;
            if (len < 8)
                return false;
            *wanted[i] = wte__load_u64(extra);
            extra += 8;
            n -= 8;
            len -= 8;
        }
        extra += len;
        n -= len;
    }
    return true;
}

/* Find the data behind the local header. */
static wte_status locate(const archive *a, entry *e, wte_error *err)
{
    const unsigned char *local;
    size_t name_len;

    if (e->header > a->directory || a->directory - e->header < LOCAL_SIZE)
        return bad(a, e->header, "an entry lies outside of the file", err);
    local = a->data + e->header;
    name_len = load_u16(local + 26);
    if (memcmp(local, "PK\3\4", 4) != 0)
        return bad(a, e->header, "an entry does not begin as one", err);
    e->begin = e->header + LOCAL_SIZE + name_len + load_u16(local + 28);
    if (e->begin > a->directory || e->packed > a->directory - e->begin)
        return bad(a, e->header, "an entry reaches into the directory", err);
    if (name_len != e->name_len || memcmp(local + LOCAL_SIZE, e->name, name_len) != 0)
        return bad(a, e->header, "an entry has another name than in the directory", err);
    return WTE_OK;
}

static wte_status read_entry(const archive *a, uint64_t *at, entry *e, wte_error *err)
{
    const unsigned char *p = a->data + *at;
    uint64_t left = a->directory + a->directory_size - *at;
    size_t extra_len, length;

    if (left < ENTRY_SIZE || memcmp(p, "PK\1\2", 4) != 0)
        return bad(a, *at, "its directory ends early", err);
    e->name_len = load_u16(p + 28);
    extra_len = load_u16(p + 30);
    length = ENTRY_SIZE + e->name_len + extra_len + load_u16(p + 32);
    if (length > left)
        return bad(a, *at, "its directory ends early", err);
    e->name = (const char *)p + ENTRY_SIZE;
    e->method = load_u16(p + 10);
    e->crc = wte__load_u32(p + 16);
    e->packed = wte__load_u32(p + 20);
    e->size = wte__load_u32(p + 24);
    e->header = wte__load_u32(p + 42);
    if (!read_extra(p + ENTRY_SIZE + e->name_len, extra_len, e))
        return bad(a, *at, "an entry's extra field is cut", err);
    if (load_u16(p + 8) & 1)
        return bad(a, *at, "an entry is encrypted", err);
    if (e->method != STORED && e->method != DEFLATED)
        return bad(a, *at, "an entry is packed in an unknown way", err);
    if (e->method == STORED && e->size != e->packed)
        return bad(a, *at, "an entry that is not packed has two sizes", err);
    *at += length;
    return locate(a, e, err);
}

static int by_place(const void *x, const void *y)
{
    const entry *a = x, *b = y;

    return (a->header > b->header) - (a->header < b->header);
}

static int by_name(const void *x, const void *y)
{
    const entry *a = x, *b = y;
    size_t n = a->name_len < b->name_len ? a->name_len : b->name_len;
    int order = memcmp(a->name, b->name, n);

    return order ? order : (a->name_len > b->name_len) - (a->name_len < b->name_len);
}

static wte_status read_directory(archive *a, wte_error *err)
{
    uint64_t at = a->directory;

    if (a->n == 0 || a->n > a->directory_size / ENTRY_SIZE)
        return bad(a, at, "its directory has another size than its entries", err);
    a->entries = wte__calloc((size_t)a->n, sizeof *a->entries);
    if (!a->entries)
        return wte__fail(err, WTE_E_NOMEM, "no memory for the directory of %s", a->path);
    for (size_t i = 0; i < a->n; i++) {
        wte_status status = read_entry(a, &at, &a->entries[i], err);

        if (status != WTE_OK)
            return status;
    }
    qsort(a->entries, (size_t)a->n, sizeof *a->entries, by_place);
    for (size_t i = 1; i < a->n; i++)
        if (a->entries[i].header < a->entries[i - 1].begin + a->entries[i - 1].packed)
            return bad(a, a->entries[i].header, "two entries overlap", err);
    qsort(a->entries, (size_t)a->n, sizeof *a->entries, by_name);
    for (size_t i = 1; i < a->n; i++)
        if (by_name(&a->entries[i - 1], &a->entries[i]) == 0)
            return bad(a, a->entries[i].header, "two entries have one name", err);
    return WTE_OK;
}

static const entry *find(const archive *a, const char *name, size_t len)
{
    entry key = {.name = name, .name_len = len};

    return bsearch(&key, a->entries, (size_t)a->n, sizeof *a->entries, by_name);
}

/* ---- entries ---------------------------------------------------------------------------- */

/* Unpack everything; zlib's counters are 32 bits wide, so it is fed in pieces. Z_OK if the packed
 * bytes and the unpacked ones end together. */
static int inflate_all(z_stream *z, const unsigned char *in, uint64_t packed, unsigned char *out,
                       uint64_t size)
{
    const uint64_t piece = 1 << 30;
    int result = Z_OK;

    z->next_in = (unsigned char *)(uintptr_t)in;
    z->next_out = out;
    while (result == Z_OK) {
        uint64_t in_left = packed - (uint64_t)(z->next_in - in);
        uint64_t out_left = size - (uint64_t)(z->next_out - out);

        z->avail_in = (unsigned)(in_left < piece ? in_left : piece);
        z->avail_out = (unsigned)(out_left < piece ? out_left : piece);
        result = inflate(z, Z_NO_FLUSH);
    }
    if (result == Z_STREAM_END)
        return z->next_out == out + size && z->next_in == in + packed ? Z_OK : Z_DATA_ERROR;
    return result;
}

/* A checksum of 0 is one that the writer did not compute (torch can be told not to). */
static bool crc_matches(const entry *e, const unsigned char *bytes)
{
    uLong crc = crc32(0, NULL, 0);

    for (uint64_t at = 0, n; at < e->size; at += n) {
        n = e->size - at < 1 << 30 ? e->size - at : 1 << 30;
        crc = crc32(crc, bytes + at, (uInt)n);
    }
    return crc == e->crc || e->crc == 0;
}

/* An entry's bytes: those of the file, or unpacked into memory of the checkpoint. */
static wte_status open_entry(archive *a, wte_checkpoint *c, const entry *e,
                             const unsigned char **out, wte_error *err)
{
    z_stream z = {.zalloc = wte__zalloc, .zfree = wte__zfree};
    unsigned char *block;
    int result;

    if (e->method == STORED) {
        *out = a->data + e->begin;
        return WTE_OK;
    }
    if (e->size > a->may_unpack)
        return wte__fail_at(err, WTE_E_FORMAT, e->header,
                            "%s: %" PRIu64 " packed bytes of its zip archive claim to be %" PRIu64
                            ", which is more than is unpacked from a file of this size",
                            a->path, e->packed, e->size);
    a->may_unpack -= e->size;
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return wte__fail(err, WTE_E_NOMEM, "no memory to unpack %s", a->path);
    block = wte__checkpoint_block(c, (size_t)e->size);
    if (!block) {
        inflateEnd(&z);
        return wte__fail(err, WTE_E_NOMEM, "no memory to unpack %s", a->path);
    }
    result = inflate_all(&z, a->data + e->begin, e->packed, block, e->size);
    inflateEnd(&z);
    if (result == Z_MEM_ERROR)
        return wte__fail(err, WTE_E_NOMEM, "no memory to unpack %s", a->path);
    if (result != Z_OK || !crc_matches(e, block))
        return bad(a, e->begin, "an entry cannot be unpacked", err);
    *out = block;
    return WTE_OK;
}

/* NAME/data.pkl, the only one. */
static wte_status find_pickle(const archive *a, const entry **out, wte_error *err)
{
    static const char tail[] = "/data.pkl";
    const size_t n = sizeof tail - 1;
    const entry *found = NULL;

    for (size_t i = 0; i < a->n; i++) {
        const entry *e = &a->entries[i];

        if (e->name_len <= n || memcmp(e->name + e->name_len - n, tail, n) != 0 ||
            memchr(e->name, '/', e->name_len - n))
            continue;
        if (found)
            return bad(a, e->header, "two state dicts", err);
        found = e;
    }
    if (!found)
        return wte__fail(err, WTE_E_FORMAT,
                         "%s: a zip archive without a data.pkl, expected one made by torch.save",
                         a->path);
    *out = found;
    return WTE_OK;
}

static wte_status check_order(archive *a, wte_checkpoint *c, const char *prefix, wte_error *err)
{
    char name[80];
    const unsigned char *bytes = NULL;
    const entry *e = NULL;
    int n = snprintf(name, sizeof name, "%sbyteorder", prefix);
    wte_status status = WTE_OK;

    if (n > 0 && (size_t)n < sizeof name)
        e = find(a, name, (size_t)n);
    if (!e)
        return WTE_OK;
    status = open_entry(a, c, e, &bytes, err);
    if (status == WTE_OK && (e->size != 6 || memcmp(bytes, "little", 6) != 0))
        status = wte__fail_at(err, WTE_E_FORMAT, e->begin,
                              "%s: written on a big-endian machine, expected little-endian numbers",
                              a->path);
    return status;
}

static wte_status place_storage(archive *a, wte_checkpoint *c, const char *prefix, wte__storage *s,
                                char *name, wte_error *err)
{
    size_t n = strlen(prefix);
    const entry *e;

    memcpy(name, prefix, n);
    memcpy(name + n, "data/", 5);
    memcpy(name + n + 5, s->key, s->key_len);
    e = find(a, name, n + 5 + s->key_len);
    if (!e)
        return wte__fail(err, WTE_E_FORMAT,
                         "%s: the zip archive has no '%.*s', which a tensor uses", a->path,
                         (int)(n + 5 + s->key_len), name);
    if (e->size != s->numel * s->element)
        return wte__fail_at(err, WTE_E_FORMAT, e->header,
                            "%s: '%.*s' has %" PRIu64 " bytes, its tensors need %" PRIu64, a->path,
                            (int)(n + 5 + s->key_len), name, e->size, s->numel * s->element);
    return open_entry(a, c, e, &s->data, err);
}

static wte_status read_tensors(archive *a, wte_checkpoint *c, const entry *pickle,
                               const char *prefix, wte_error *err)
{
    const unsigned char *bytes = NULL;
    wte__pickle p = {0};
    char *name = NULL;
    size_t longest = 0;
    wte_status status = open_entry(a, c, pickle, &bytes, err);

    if (status != WTE_OK)
        return status;
    if (!crc_matches(pickle, bytes))
        return bad(a, pickle->begin, "the checksum of data.pkl is another", err);
    status = wte__pickle_run(bytes, (size_t)pickle->size, 0, a->path, &p, err);
    if (status != WTE_OK)
        goto done;
    for (size_t i = 0; i < p.n_storages; i++)
        longest = p.storages[i].key_len > longest ? p.storages[i].key_len : longest;
    name = wte__calloc(strlen(prefix) + 5 + longest + 1, 1);
    if (!name) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory to read %s", a->path);
        goto done;
    }
    for (size_t i = 0; i < p.n_storages && status == WTE_OK; i++)
        status = place_storage(a, c, prefix, &p.storages[i], name, err);
    if (status == WTE_OK)
        status = wte__pickle_tensors(&p, c, err);
done:
    wte__free(name);
    wte__pickle_free(&p);
    return status;
}

wte_status wte__pytorch_zip_read(wte_checkpoint *c, const unsigned char *data, size_t size,
                                 const char *path, wte_error *err)
{
    archive a = {.data = data, .size = size, .path = path};
    const entry *pickle = NULL;
    char *prefix = NULL;
    wte_status status;

    a.may_unpack = UNPACK_ALWAYS + UNPACK_FACTOR * (uint64_t)size;
    status = read_end(&a, err);
    if (status == WTE_OK)
        status = read_directory(&a, err);
    if (status == WTE_OK)
        status = find_pickle(&a, &pickle, err);
    if (status == WTE_OK) {
        prefix = wte__strndup(pickle->name, pickle->name_len - strlen("data.pkl"));
        if (!prefix)
            status = wte__fail(err, WTE_E_NOMEM, "no memory to read %s", path);
    }
    if (status == WTE_OK)
        status = check_order(&a, c, prefix, err);
    if (status == WTE_OK)
        status = read_tensors(&a, c, pickle, prefix, err);
    wte__free(prefix);
    wte__free(a.entries);
    if (status == WTE_OK)
        snprintf(c->format, sizeof c->format, "PyTorch zip");
    return status;
}
