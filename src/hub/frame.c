/* SPDX-License-Identifier: MIT */
#include "hub/frame.h"

#include "base/alloc.h"
#include "wire/deflate.h"
#include "wire/ws.h"

struct frame *frame_new(const struct channel_info *channel, uint32_t key, uint64_t seq,
                        uint64_t at_ms, struct str payload)
{
    struct frame *f = mem_alloc(sizeof(*f) + payload.len);
    *f = (struct frame){.seq = seq,
                        .at_ms = at_ms,
                        .channel = channel,
                        .key = key,
                        .refs = 1,
                        .len = (uint32_t)payload.len};
    memcpy(f->payload, payload.ptr, payload.len);
    return f;
}

struct frame *frame_ref(struct frame *f)
{
    __atomic_fetch_add(&f->refs, 1, __ATOMIC_RELAXED);
    return f;
}

void frame_unref(struct frame *f)
{
    if (f && __atomic_fetch_sub(&f->refs, 1, __ATOMIC_ACQ_REL) == 1) {
        mem_free(f->deflated);
        mem_free(f);
    }
}

struct str frame_payload(const struct frame *f)
{
    return str_make(f->payload, f->len);
}

static void append_ws(struct str text, struct buf *out)
{
    uint8_t header[WS_HEADER_MAX];
    size_t n = ws_header(header, WS_TEXT, false, text.len);
    buf_add(out, header, n);
    buf_add_str(out, text);
}

/* A whole compressed WebSocket frame, length-prefixed so that one pointer publishes both. */
struct packed {
    uint32_t len;
    char bytes[];
};

static struct packed *pack(struct str text, struct deflater *deflater)
{
    struct buf body = {0};
    struct packed *p = NULL;
    if (deflater_message(deflater, text, true, &body) == OK) {
        uint8_t header[WS_HEADER_MAX];
        size_t n = ws_header(header, WS_TEXT, true, body.len);
        p = mem_alloc(sizeof(*p) + n + body.len);
        p->len = (uint32_t)(n + body.len);
        memcpy(p->bytes, header, n);
        memcpy(p->bytes + n, body.ptr, body.len);
    }
    buf_fini(&body);
    return p;
}

static void append_deflated(struct frame *f, struct deflater *deflater, struct buf *out)
{
    struct packed *p = __atomic_load_n(&f->deflated, __ATOMIC_ACQUIRE);
    if (!p && deflater && f->len >= FRAME_DEFLATE_MIN) {
        p = pack(frame_payload(f), deflater);
        void *expected = NULL;
        if (p && !__atomic_compare_exchange_n(&f->deflated, &expected, p, false, __ATOMIC_ACQ_REL,
                                              __ATOMIC_ACQUIRE)) {
            mem_free(p); /* another shard was faster */
            p = expected;
        }
    }
    if (p) {
        buf_add(out, p->bytes, p->len);
    } else {
        append_ws(frame_payload(f), out);
    }
}

/* One "data:" line a line of the text: JSON may hold line ends between its tokens, and a bare one
 * would end the field. */
static void append_lines(struct str data, struct buf *out)
{
    size_t from = 0;
    buf_add_lit(out, "\ndata: ");
    for (size_t i = 0; i < data.len; i++) {
        if (data.ptr[i] == '\n' || data.ptr[i] == '\r') {
            buf_add(out, data.ptr + from, i - from);
            buf_add_lit(out, "\ndata: ");
            i += data.ptr[i] == '\r' && i + 1 < data.len && data.ptr[i + 1] == '\n';
            from = i + 1;
        }
    }
    buf_add(out, data.ptr + from, data.len - from);
}

/* The event as text is built behind room for the chunk's size line, which has a fixed width. */
static void append_sse(struct str type, struct str epoch, uint64_t seq, struct str data,
                       struct buf *out)
{
    static const char digits[] = "0123456789abcdef";
    size_t start = out->len;
    buf_add_lit(out, "00000000\r\nevent: ");
    buf_add_str(out, type);
    if (epoch.len) {
        buf_add_lit(out, "\nid: ");
        buf_add_str(out, epoch);
        buf_add_char(out, '-');
        buf_add_u64(out, seq);
    }
    append_lines(data, out);
    buf_add_lit(out, "\n\n\r\n");
    if (out->failed) {
        out->len = start;
        return;
    }
    size_t size = out->len - start - 10 - 2;
    for (size_t i = 0; i < 8; i++) {
        out->ptr[start + 7 - i] = digits[(size >> (4 * i)) & 15];
    }
}

void frame_append(struct frame *f, enum frame_form form, struct str epoch,
                  struct deflater *deflater, struct buf *out)
{
    switch (form) {
    case FORM_WS:
        append_ws(frame_payload(f), out);
        break;
    case FORM_WS_DEFLATE:
        append_deflated(f, deflater, out);
        break;
    case FORM_SSE:
        append_sse(str_of(f->channel->type), epoch, f->seq, frame_payload(f), out);
        break;
    case FORM_POLL:
        if (out->len) {
            buf_add_char(out, ',');
        }
        buf_add_str(out, frame_payload(f));
        break;
    case FORM_COUNT:
        break;
    }
}

void frame_append_text(enum frame_form form, struct str type, struct str json, struct buf *out)
{
    switch (form) {
    case FORM_WS:
    case FORM_WS_DEFLATE:
        append_ws(json, out);
        break;
    case FORM_SSE:
        append_sse(type, (struct str){0}, 0, json, out);
        break;
    case FORM_POLL:
        if (out->len) {
            buf_add_char(out, ',');
        }
        buf_add_str(out, json);
        break;
    case FORM_COUNT:
        break;
    }
}
