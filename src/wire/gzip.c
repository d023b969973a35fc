/* SPDX-License-Identifier: MIT */
#include "wire/gzip.h"

#include "base/alloc.h"

#include <assert.h>
#include <zlib.h>

#define MAGIC 0x1f
#define WINDOW_OF_GZIP (15 + 16) /* zlib: the largest window, and a gzip header */

enum state {
    AT_START,   /* no byte yet */
    PLAIN,      /* not gzip */
    IN_MEMBER,  /* inflating */
    AT_END,     /* behind a member: end of input or another one */
    IS_DAMAGED, /* ERR_SYNTAX from now on */
};

struct gunzip {
    z_stream z;
    enum state state;
};

struct gunzip *gunzip_new(void)
{
    struct gunzip *g = mem_zero(sizeof(*g));
    int rc = inflateInit2(&g->z, WINDOW_OF_GZIP);
    if (rc != Z_OK) {
        fprintf(stderr, "coincast: zlib refuses its parameters (%d)\n", rc);
        abort();
    }
    return g;
}

void gunzip_free(struct gunzip *g)
{
    if (g) {
        inflateEnd(&g->z);
        mem_free(g);
    }
}

static enum err pass_through(struct str *in, struct buf *out, size_t max)
{
    size_t n = min_size(in->len, max);
    if (!buf_add(out, in->ptr, n)) {
        return ERR_LIMIT;
    }
    *in = str_from(*in, n);
    return n == max ? OK : ERR_MORE;
}

/* Goes on until the room is full, the input is used up, or the member has ended. */
static enum err inflate_some(struct gunzip *g, struct str *in, struct buf *out, size_t max)
{
    union {
        const char *in;
        Bytef *z;
    } p = {.in = in->ptr}; /* zlib's next_in is not const, but only read */
    uInt room = (uInt)min_size(max, UINT32_MAX);
    uInt given = (uInt)min_size(in->len, UINT32_MAX);
    if (!buf_reserve(out, room)) {
        return ERR_LIMIT;
    }
    g->z.next_in = p.z;
    g->z.avail_in = given;
    g->z.next_out = (Bytef *)out->ptr + out->len;
    g->z.avail_out = room;
    int rc = inflate(&g->z, Z_NO_FLUSH);
    *in = str_from(*in, given - g->z.avail_in);
    out->len += room - g->z.avail_out;
    if (rc == Z_STREAM_END) {
        g->state = AT_END;
        return OK;
    }
    /* Z_BUF_ERROR: there was nothing to do, for want of input. */
    if (rc != Z_OK && rc != Z_BUF_ERROR) {
        g->state = IS_DAMAGED;
        return ERR_SYNTAX;
    }
    return g->z.avail_out == 0 ? OK : ERR_MORE;
}

enum err gunzip_some(struct gunzip *g, struct str *in, struct buf *out, size_t max)
{
    size_t before = out->len;
    assert(max > 0);
    for (;;) {
        enum err e = OK;
        size_t left = max - (out->len - before);
        if (left == 0) {
            return OK;
        }
        if (g->state == IS_DAMAGED) {
            return ERR_SYNTAX;
        }
        if (in->len == 0 && g->state != IN_MEMBER) {
            return ERR_MORE;
        }
        if (g->state == PLAIN) {
            return pass_through(in, out, left);
        }
        if (g->state != IN_MEMBER) {
            bool is_gzip = (unsigned char)in->ptr[0] == MAGIC;
            if (g->state == AT_END) {
                inflateReset(&g->z);
            }
            g->state = is_gzip ? IN_MEMBER : g->state == AT_START ? PLAIN : IS_DAMAGED;
            continue;
        }
        e = inflate_some(g, in, out, left);
        if (e != OK && (e != ERR_MORE || in->len == 0)) {
            return e;
        }
    }
}

enum err gunzip_end(const struct gunzip *g)
{
    return g->state == IN_MEMBER || g->state == IS_DAMAGED ? ERR_SYNTAX : OK;
}
