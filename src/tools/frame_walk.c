/* SPDX-License-Identifier: MIT */
#include "tools/frame_walk.h"

#include "base/alloc.h"

enum { FIN = 0x80, RSV1 = 0x40, RSV23 = 0x30, MASKED = 0x80 };

struct header {
    size_t len;  /* of the header itself */
    size_t show; /* payload bytes that must be there before the frame is shown */
    uint64_t payload_len;
};

/* Reads a header. ERR_MORE: `out->len` says how many bytes it takes at least. */
static enum err read_header(const uint8_t *at, size_t len, struct header *out)
{
    out->len = 2;
    if (len < 2) {
        return ERR_MORE;
    }
    if ((at[1] & MASKED) != 0 || (at[0] & RSV23) != 0) {
        return ERR_PROTOCOL;
    }
    uint8_t short_len = at[1] & 0x7f;
    size_t extra = short_len == 126 ? 2 : short_len == 127 ? 8 : 0;
    out->len += extra;
    if (len < out->len) {
        return ERR_MORE;
    }
    uint64_t size = extra == 0 ? short_len : 0;
    for (size_t i = 0; i < extra; i++) {
        size = size << 8 | at[2 + i];
    }
    bool deflated = (at[0] & RSV1) != 0;
    if (deflated && size > FRAME_WALK_MAX_DEFLATED) {
        return ERR_LIMIT;
    }
    out->payload_len = size;
    out->show = (size_t)(deflated ? size : min_u64(size, FRAME_WALK_HEAD));
    return OK;
}

static void show(struct frame_walk *w, const uint8_t *at, const struct header *h, frame_seen_fn fn,
                 void *self)
{
    w->skip = h->payload_len - h->show;
    struct frame_seen seen = {
        .opcode = at[0] & 0x0f,
        .fin = (at[0] & FIN) != 0,
        .deflated = (at[0] & RSV1) != 0,
        .head = str_make((const char *)at + h->len, h->show),
        .payload_len = h->payload_len,
    };
    fn(self, &seen);
}

static void carry_add(struct frame_walk *w, const char *bytes, size_t len)
{
    if (len == 0) {
        return;
    }
    if (w->carry_len + len > w->carry_cap) {
        w->carry_cap = (uint32_t)(w->carry_len + len);
        w->carry = mem_resize(w->carry, w->carry_cap);
    }
    memcpy(w->carry + w->carry_len, bytes, len);
    w->carry_len += (uint32_t)len;
}

/* Goes on with a frame whose beginning was cut; takes from (*bytes, *len). */
static enum err feed_carry(struct frame_walk *w, const char **bytes, size_t *len, frame_seen_fn fn,
                           void *self)
{
    struct header h;
    for (;;) {
        enum err e = read_header(w->carry, w->carry_len, &h);
        if (e != OK && e != ERR_MORE) {
            return e;
        }
        size_t need = h.len + (e == OK ? h.show : 0);
        size_t take = min_size(need - min_size(need, w->carry_len), *len);
        carry_add(w, *bytes, take);
        *bytes += take;
        *len -= take;
        if (w->carry_len < need) {
            return OK;
        }
        if (e == OK) {
            break;
        }
    }
    /* The callback may end the walk, so the copy is ours alone meanwhile. */
    uint8_t *owned = w->carry;
    w->carry = NULL;
    w->carry_len = w->carry_cap = 0;
    show(w, owned, &h, fn, self);
    mem_free(owned);
    return OK;
}

enum err frame_walk_feed(struct frame_walk *w, const char *bytes, size_t len, const bool *stop,
                         frame_seen_fn fn, void *self)
{
    while (len > 0 && !*stop) {
        if (w->skip > 0) {
            size_t step = (size_t)min_u64(w->skip, len);
            w->skip -= step;
            bytes += step;
            len -= step;
            continue;
        }
        if (w->carry_len > 0) {
            enum err e = feed_carry(w, &bytes, &len, fn, self);
            if (e != OK) {
                return e;
            }
            continue;
        }
        struct header h;
        enum err e = read_header((const uint8_t *)bytes, len, &h);
        if (e == ERR_MORE || (e == OK && len < h.len + h.show)) {
            carry_add(w, bytes, len);
            return OK;
        }
        if (e != OK) {
            return e;
        }
        show(w, (const uint8_t *)bytes, &h, fn, self);
        bytes += h.len + h.show;
        len -= h.len + h.show;
    }
    return OK;
}

void frame_walk_fini(struct frame_walk *w)
{
    mem_free(w->carry);
    *w = (struct frame_walk){0};
}
