/* SPDX-License-Identifier: MIT */
#include "wire/deflate.h"

#include "base/alloc.h"

#include <assert.h>
#include <zlib.h>

#define MIN_OUR_WINDOW 9
#define MAX_WINDOW 15

/* ---- what zlib allocates is counted, for the memory metrics ---- */

/* In front of each block; keeps what follows aligned. */
union block {
    size_t size;
    max_align_t align;
};

static voidpf counted_alloc(voidpf count, uInt items, uInt size)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow((size_t)items, (size_t)size, &bytes)) {
        return Z_NULL;
    }
    union block *b = mem_alloc(sizeof(*b) + bytes);
    b->size = sizeof(*b) + bytes;
    *(size_t *)count += b->size;
    return b + 1;
}

static void counted_free(voidpf count, voidpf owned_ptr)
{
    union block *b = (union block *)owned_ptr - 1;
    *(size_t *)count -= b->size;
    mem_free(b);
}

/* Memory does not run out, so this is a parameter out of range or another zlib than the headers'.
 */
static void check_made(int rc)
{
    if (rc != Z_OK) {
        fprintf(stderr, "coincast: zlib refuses its parameters (%d)\n", rc);
        abort();
    }
}

/* ---- compression ---- */

struct deflater {
    z_stream z;
    size_t bytes;
    bool used; /* there is a context to forget */
};

struct deflater *deflater_new(uint8_t window_bits, int level, int mem_level)
{
    struct deflater *d = mem_zero(sizeof(*d));
    assert(window_bits >= MIN_OUR_WINDOW && window_bits <= MAX_WINDOW);
    d->bytes = sizeof(*d);
    d->z.zalloc = counted_alloc;
    d->z.zfree = counted_free;
    d->z.opaque = &d->bytes;
    int rc = deflateInit2(&d->z, level, Z_DEFLATED, -window_bits, mem_level, Z_DEFAULT_STRATEGY);
    check_made(rc);
    return d;
}

void deflater_free(struct deflater *d)
{
    if (d) {
        deflateEnd(&d->z);
        mem_free(d);
    }
}

size_t deflater_bytes(const struct deflater *d)
{
    return d->bytes;
}

static void set_input(z_stream *z, struct str s)
{
    union {
        const char *in;
        Bytef *out;
    } p = {.in = s.ptr}; /* zlib's next_in is not const, but only read */
    z->next_in = p.out;
    z->avail_in = (uInt)s.len;
}

static void set_output(z_stream *z, struct buf *out, size_t room)
{
    z->next_out = (Bytef *)out->ptr + out->len;
    z->avail_out = (uInt)room;
}

/* Room to write to, `want` bytes or more if the ceiling allows; 0: full. */
static size_t make_room(struct buf *out, size_t want)
{
    size_t max = out->max ? out->max : BUF_MAX;
    size_t room = max_size(want, out->cap - out->len);
    room = out->len < max ? min_size(room, max - out->len) : 0;
    room = min_size(room, UINT32_MAX);
    return room && buf_reserve(out, room) ? room : 0;
}

static void forget(struct deflater *d)
{
    if (d->used) {
        deflateReset(&d->z);
        d->used = false;
    }
}

/* Compresses and flushes, so that the output ends with the tail 00 00 ff ff. */
static enum err compress_flushed(struct deflater *d, struct str message, struct buf *out)
{
    size_t want = deflateBound(&d->z, (uLong)message.len) + 16;
    d->used = true;
    set_input(&d->z, message);
    for (;;) {
        size_t room = make_room(out, want);
        if (room == 0) {
            return ERR_LIMIT;
        }
        set_output(&d->z, out, room);
        deflate(&d->z, Z_SYNC_FLUSH);
        out->len += room - d->z.avail_out;
        if (d->z.avail_out > 0) {
            return OK;
        }
        want = 256;
    }
}

enum err deflater_message(struct deflater *d, struct str message, bool reset, struct buf *out)
{
    size_t before = out->len;
    if (out->failed || message.len > BUF_MAX) {
        return ERR_LIMIT;
    }
    if (reset) {
        forget(d);
    }
    enum err e = compress_flushed(d, message, out);
    if (e == OK && out->len == before) {
        /* zlib does not flush twice with nothing between: an empty message is one empty block. */
        e = buf_add(out, "", 1) ? OK : ERR_LIMIT;
    } else if (e == OK) {
        assert(out->len - before > 4);
        out->len -= 4;
    }
    if (e != OK) {
        out->len = before;
    }
    if (reset || e != OK) {
        forget(d);
    }
    return e;
}

/* ---- inflation ---- */

struct inflater {
    z_stream z;
    size_t bytes;
    bool ended; /* the last byte taken ended a final block */
};

struct inflater *inflater_new(uint8_t window_bits)
{
    struct inflater *i = mem_zero(sizeof(*i));
    assert(window_bits <= MAX_WINDOW);
    i->bytes = sizeof(*i);
    i->z.zalloc = counted_alloc;
    i->z.zfree = counted_free;
    i->z.opaque = &i->bytes;
    /* A peer that promises 8 bits and compresses with an old zlib uses 9. */
    check_made(inflateInit2(&i->z, -(int)max_size(window_bits, MIN_OUR_WINDOW)));
    return i;
}

void inflater_free(struct inflater *i)
{
    if (i) {
        inflateEnd(&i->z);
        mem_free(i);
    }
}

size_t inflater_bytes(const struct inflater *i)
{
    return i->bytes;
}

/* Runs until the input is used up or the stream has ended. */
static enum err pump(z_stream *z, struct buf *out, bool *ended)
{
    *ended = false;
    for (;;) {
        /* At the ceiling, one byte more tells "exactly full" from "too much". */
        Bytef spare;
        size_t room = make_room(out, min_size(max_size((size_t)z->avail_in * 4, 512), 65536));
        if (room) {
            set_output(z, out, room);
        } else {
            z->next_out = &spare;
            z->avail_out = 1;
        }
        int rc = inflate(z, Z_SYNC_FLUSH);
        if (room == 0 && z->avail_out == 0) {
            return ERR_LIMIT;
        }
        out->len += room ? room - z->avail_out : 0;
        if (rc == Z_STREAM_END) {
            *ended = true;
            return OK;
        }
        if (rc != Z_OK && rc != Z_BUF_ERROR) {
            return ERR_SYNTAX;
        }
        if (z->avail_out > 0) {
            return OK;
        }
    }
}

/* A final block does not end a message (RFC 7692, 7.2.3.4): what follows goes on with the same
 * window. */
static enum err feed(struct inflater *i, struct str piece, struct buf *out)
{
    set_input(&i->z, piece);
    while (i->z.avail_in > 0 || !i->ended) {
        enum err e = pump(&i->z, out, &i->ended);
        if (e != OK) {
            return e;
        }
        if (!i->ended) {
            return OK;
        }
        inflateResetKeep(&i->z);
    }
    return OK;
}

/* Between blocks, with no bits left over: where a message has to end. */
static bool at_block_end(const struct inflater *i)
{
    return i->ended || (i->z.data_type & 0xff) == 128;
}

enum err inflater_piece(struct inflater *i, struct str piece, bool last, bool reset,
                        struct buf *out)
{
    static const char tail[] = {0, 0, (char)0xff, (char)0xff};
    size_t before = out->len;
    enum err e = out->failed || piece.len > BUF_MAX ? ERR_LIMIT : OK;
    if (e == OK && piece.len) {
        e = feed(i, piece, out);
    }
    if (e == OK && last && !i->ended) {
        e = feed(i, str_make(tail, sizeof(tail)), out);
    }
    if (e == OK && last && !at_block_end(i)) {
        e = ERR_SYNTAX;
    }
    if (e != OK) {
        out->len = before;
    }
    if (e != OK || (last && reset)) {
        inflateReset(&i->z);
    }
    if (e != OK || last) {
        i->ended = false;
    }
    return e;
}

/* ---- gzip ---- */

enum err gzip_inflate(struct str body, struct buf *out)
{
    size_t before = out->len;
    size_t bytes = 0;
    z_stream z = {.zalloc = counted_alloc, .zfree = counted_free, .opaque = &bytes};
    if (out->failed || body.len > BUF_MAX) {
        return ERR_LIMIT;
    }
    check_made(inflateInit2(&z, MAX_WINDOW + 16));
    set_input(&z, body);
    bool ended = false;
    enum err e = OK;
    do {
        e = pump(&z, out, &ended);
        /* Members may follow each other (RFC 1952, 2.2); whatever else follows is an error. */
        if (e == OK && ended && z.avail_in > 0) {
            inflateReset(&z);
        }
    } while (e == OK && ended && z.avail_in > 0);
    inflateEnd(&z);
    if (e == OK && !ended) {
        e = ERR_SYNTAX;
    }
    if (e != OK) {
        out->len = before;
    }
    return e;
}
