/* SPDX-License-Identifier: MIT */
#include "hub/frame.h"

#include "base/alloc.h"
#include "wire/deflate.h"
#include "wire/msgpack.h"
#include "wire/ws.h"

#include <assert.h>

struct frame *frame_new(const struct channel_info *channel, uint32_t key, uint64_t seq,
                        uint64_t at_ms, struct str payload, struct str data)
{
    struct frame *f = mem_alloc(sizeof(*f) + payload.len);
    if (data.len == 0) {
        data = payload;
    }
    assert(data.ptr >= payload.ptr && data.ptr + data.len <= payload.ptr + payload.len);
    *f = (struct frame){.seq = seq,
                        .at_ms = at_ms,
                        .channel = channel,
                        .key = key,
                        .refs = 1,
                        .data_at = (uint32_t)(data.ptr - payload.ptr),
                        .data_len = (uint32_t)data.len,
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
        for (size_t i = 0; i < PACK_COUNT; i++) {
            mem_free(f->packed[i]);
        }
        mem_free((void *)(uintptr_t)f->rows);
        mem_free(f);
    }
}

struct str frame_payload(const struct frame *f)
{
    return str_make(f->payload, f->len);
}

/* ---- WebSocket ---- */

static void append_ws(enum ws_opcode opcode, bool deflated, struct str body, struct buf *out)
{
    uint8_t header[WS_HEADER_MAX];
    size_t n = ws_header(header, opcode, deflated, body.len);
    buf_add(out, header, n);
    buf_add_str(out, body);
}

/* A frame of the bytes, compressed when `deflater` is there and it helps. */
static void append_deflated(enum ws_opcode opcode, struct str bytes, struct deflater *deflater,
                            struct buf *out)
{
    struct buf body = {0};
    if (deflater && deflater_message(deflater, bytes, true, &body) == OK && body.len < bytes.len) {
        append_ws(opcode, true, buf_str(&body), out);
    } else {
        append_ws(opcode, false, bytes, out);
    }
    buf_fini(&body);
}

static void append_msgpack(struct str json, struct deflater *deflater, struct buf *out)
{
    struct buf body = {0};
    if (msgpack_of_json(json, &body) == OK) {
        append_deflated(WS_BINARY, buf_str(&body), deflater, out);
    }
    buf_fini(&body);
}

/* ---- Socket.IO ---- */

/* The parts around the argument. */
struct packet {
    char tail[48]; /* ,"<cursor>"] */
    struct str event, arg, end;
};

static void make_packet(const struct frame_text *t, struct str epoch, struct packet *p)
{
    p->event = t->event;
    p->arg = t->data.len ? t->data : t->json;
    int n = epoch.len ? snprintf(p->tail, sizeof(p->tail), ",\"%.*s-%llu\"]", STR_ARG(epoch),
                                 (unsigned long long)t->seq)
                      : snprintf(p->tail, sizeof(p->tail), "]");
    p->end = str_make(p->tail, (size_t)n);
}

static size_t packet_len(const struct packet *p)
{
    return 4 + p->event.len + 2 + p->arg.len + p->end.len;
}

static void append_packet(const struct packet *p, struct buf *out)
{
    buf_add_lit(out, "42[\"");
    buf_add_str(out, p->event);
    buf_add_lit(out, "\",");
    buf_add_str(out, p->arg);
    buf_add_str(out, p->end);
}

static void append_sio(const struct frame_text *t, enum frame_form form, struct str epoch,
                       struct deflater *deflater, struct buf *out)
{
    struct packet p;
    make_packet(t, epoch, &p);
    size_t len = packet_len(&p);
    if (form == FORM_SIO_PACKETS) {
        buf_add_char(out, '\x1e');
        append_packet(&p, out);
    } else if (form == FORM_SIO_WS_DEFLATE && deflater && t->deflate_min && len >= t->deflate_min) {
        struct buf text = {0};
        append_packet(&p, &text);
        append_deflated(WS_TEXT, buf_str(&text), deflater, out);
        buf_fini(&text);
    } else {
        uint8_t header[WS_HEADER_MAX];
        size_t n = ws_header(header, WS_TEXT, false, len);
        buf_add(out, header, n);
        append_packet(&p, out);
    }
}

/* ---- server-sent events ---- */

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

/* ---- any form ---- */

void frame_append_message(enum frame_form form, const struct frame_text *t, struct str epoch,
                          struct deflater *deflater, struct buf *out)
{
    bool pays = t->deflate_min && t->json.len >= t->deflate_min;
    switch (form) {
    case FORM_WS:
        append_ws(WS_TEXT, false, t->json, out);
        break;
    case FORM_WS_DEFLATE:
        append_deflated(WS_TEXT, t->json, pays ? deflater : NULL, out);
        break;
    case FORM_SSE:
        append_sse(t->type, epoch, t->seq, t->json, out);
        break;
    case FORM_POLL:
        if (out->len) {
            buf_add_char(out, ',');
        }
        buf_add_str(out, t->json);
        break;
    case FORM_MSGPACK:
        append_msgpack(t->json, NULL, out);
        break;
    case FORM_MSGPACK_DEFLATE:
        append_msgpack(t->json, pays ? deflater : NULL, out);
        break;
    case FORM_SIO_WS:
    case FORM_SIO_WS_DEFLATE:
    case FORM_SIO_PACKETS:
        append_sio(t, form, epoch, deflater, out);
        break;
    case FORM_COUNT:
        break;
    }
}

void frame_append_text(enum frame_form form, struct str type, struct str json, struct buf *out)
{
    struct frame_text t = {.type = type, .event = type, .json = json};
    frame_append_message(form, &t, (struct str){0}, NULL, out);
}

static struct frame_text text_of(const struct frame *f)
{
    return (struct frame_text){.type = str_of(f->channel->type),
                               .event = str_of(f->channel->event),
                               .json = frame_payload(f),
                               .data = str_make(f->payload + f->data_at, f->data_len),
                               .seq = f->seq,
                               .deflate_min = FRAME_DEFLATE_MIN};
}

/* Bytes of the wire that are kept, length-prefixed so that one pointer publishes both. */
struct packed {
    uint32_t len;
    char bytes[];
};

/* The packed form, made by whoever needs it first; NULL: `make` is false and nobody has yet. */
static const struct packed *packed_of(struct frame *f, enum frame_pack which, enum frame_form form,
                                      bool make, struct str epoch, struct deflater *deflater)
{
    struct packed *p = __atomic_load_n(&f->packed[which], __ATOMIC_ACQUIRE);
    if (p || !make) {
        return p;
    }
    struct buf bytes = {0};
    struct frame_text t = text_of(f);
    frame_append_message(form, &t, epoch, deflater, &bytes);
    p = mem_alloc(sizeof(*p) + bytes.len);
    p->len = (uint32_t)bytes.len;
    if (bytes.len) {
        memcpy(p->bytes, bytes.ptr, bytes.len);
    }
    buf_fini(&bytes);
    void *expected = NULL;
    if (!__atomic_compare_exchange_n(&f->packed[which], &expected, p, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        mem_free(p); /* another shard was faster */
        p = expected;
    }
    return p;
}

void frame_append(struct frame *f, enum frame_form form, struct str epoch,
                  struct deflater *deflater, struct buf *out)
{
    const struct packed *p = NULL;
    bool worth = deflater && f->len >= FRAME_DEFLATE_MIN;
    switch (form) {
    case FORM_WS_DEFLATE:
        p = packed_of(f, PACK_DEFLATED, form, worth, epoch, deflater);
        break;
    case FORM_MSGPACK:
        p = packed_of(f, PACK_MSGPACK, form, true, epoch, deflater);
        break;
    case FORM_MSGPACK_DEFLATE:
        if (f->len >= FRAME_DEFLATE_MIN) {
            p = packed_of(f, PACK_MSGPACK_DEFLATED, form, worth, epoch, deflater);
        } else {
            p = packed_of(f, PACK_MSGPACK, FORM_MSGPACK, true, epoch, deflater);
        }
        break;
    case FORM_SIO_WS_DEFLATE:
        /* The kept one has the cursor. */
        p = epoch.len ? packed_of(f, PACK_SIO_DEFLATED, form, worth, epoch, deflater) : NULL;
        break;
    case FORM_WS:
    case FORM_SSE:
    case FORM_POLL:
    case FORM_SIO_WS:
    case FORM_SIO_PACKETS:
    case FORM_COUNT:
        break;
    }
    if (p) {
        buf_add(out, p->bytes, p->len);
        return;
    }
    struct frame_text t = text_of(f);
    frame_append_message(form, &t, epoch, deflater, out);
}
