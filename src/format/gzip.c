/* SPDX-License-Identifier: MIT */
/* gzip.c - unpacking .gz
 *
 * zlib does the work and checks each member's length and checksum. What is added: members one after
 * another (as parallel compressors write them), padding with zeros after the last, and a refusal of
 * files that end in the middle, which a plain gzread loop takes for the end. The result goes to a
 * file, not to memory: it may be several times the size of the packed one, and it is mapped next.
 *
 * A megabyte can be made to unpack to a gigabyte. Vectors as text shrink to a third or a fifth, and
 * even zeros written out need a line for each row, so what grows to more than 64 times its size
 * plus 64 MiB is no file of vectors and is stopped. So is what would leave the disk without room.
 */
#include "format/gzip.h"
#include <errno.h>
#include <inttypes.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zlib.h>

enum { INPUT_PIECE = 1 << 20, OUTPUT_PIECE = 1 << 20, UNPACK_FACTOR = 64 };
enum { ROOM_LEFT = 64 << 20, LOOK_EVERY = 64 << 20 };
static const uint64_t UNPACK_ALWAYS = 64 << 20;

void *wte__zalloc(void *opaque, unsigned n, unsigned size)
{
    (void)opaque;
    return wte__calloc(n, size);
}

void wte__zfree(void *opaque, void *ptr)
{
    (void)opaque;
    wte__free(ptr);
}

static bool write_all(int fd, const unsigned char *p, size_t n)
{
    while (n > 0) {
        ssize_t written = write(fd, p, n);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        p += written;
        n -= (size_t)written;
    }
    return true;
}

/* May the output grow beyond `written` bytes? The disk is looked at now and then. */
static wte_status may_grow(const char *path, size_t packed, uint64_t written, int fd,
                           uint64_t *looked_at, wte_error *err)
{
    struct statvfs disk;
    uint64_t room;

    if (written > UNPACK_ALWAYS && (written - UNPACK_ALWAYS) / UNPACK_FACTOR > packed)
        return wte__fail(err, WTE_E_FORMAT,
                         "%s: its %zu bytes unpack to more than %" PRIu64
                         ", expected no more than %d times as many",
                         path, packed, written, UNPACK_FACTOR);
    if (written - *looked_at < LOOK_EVERY || fstatvfs(fd, &disk) != 0)
        return WTE_OK;
    *looked_at = written;
    room = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (disk.f_blocks && room < ROOM_LEFT)
        return wte__fail(err, WTE_E_IO,
                         "%s: no room to unpack it: %" PRIu64 " bytes written, %" PRIu64
                         " left on the disk",
                         path, written, room);
    return WTE_OK;
}

wte_status wte__gunzip(const unsigned char *data, size_t size, const char *path, int fd,
                       wte__progress *progress, uint64_t *extra, wte_error *err)
{
    unsigned char *buffer = wte__calloc(1, OUTPUT_PIECE);
    z_stream z = {.zalloc = wte__zalloc, .zfree = wte__zfree};
    wte_status status = WTE_OK;
    uint64_t written = 0, looked_at = 0;
    size_t place = 0;
    int result = buffer ? inflateInit2(&z, 16 + MAX_WBITS) : Z_MEM_ERROR;

    *extra = 0;
    if (result != Z_OK) {
        wte__free(buffer);
        return wte__fail(err, WTE_E_NOMEM, "no memory to unpack %s", path);
    }
    for (;;) {
        size_t piece = size - place < INPUT_PIECE ? size - place : INPUT_PIECE;

        z.next_in = (unsigned char *)(uintptr_t)(data + place);
        z.avail_in = (unsigned)piece;
        z.next_out = buffer;
        z.avail_out = OUTPUT_PIECE;
        result = inflate(&z, Z_NO_FLUSH);
        piece -= z.avail_in;
        place += piece;
        if (!write_all(fd, buffer, OUTPUT_PIECE - z.avail_out)) {
            status = wte__fail_errno(err, "%s: cannot write what it unpacks to", path);
            break;
        }
        written += OUTPUT_PIECE - z.avail_out;
        status = may_grow(path, size, written, fd, &looked_at, err);
        if (status != WTE_OK)
            break;
        if (wte__progress_add(progress, piece, 0)) {
            status = wte__fail(err, WTE_E_CANCELLED, "%s: cancelled", path);
            break;
        }
        if (result == Z_STREAM_END) {
            while (place < size && data[place] == 0)
                place++;
            if (place == size)
                break;
            if (size - place < 2 || data[place] != 0x1F || data[place + 1] != 0x8B) {
                *extra = size - place;
                break;
            }
            inflateReset(&z);
        } else if (result == Z_BUF_ERROR || (result == Z_OK && place == size && z.avail_out > 0)) {
            status = wte__fail_at(err, WTE_E_FORMAT, size,
                                  "%s: the gzip data ends early, at byte %zu", path, size);
            break;
        } else if (result == Z_MEM_ERROR) {
            status = wte__fail(err, WTE_E_NOMEM, "no memory to unpack %s", path);
            break;
        } else if (result != Z_OK) {
            status = wte__fail_at(err, WTE_E_FORMAT, place,
                                  "%s: the gzip data is damaged near byte %zu: %s", path, place,
                                  z.msg ? z.msg : "unknown reason");
            break;
        }
    }
    inflateEnd(&z);
    wte__free(buffer);
    return status;
}
