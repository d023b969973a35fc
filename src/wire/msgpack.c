/* The gate to msgpack-c. SPDX-License-Identifier: MIT */
#include "wire/msgpack.h"

#include "base/alloc.h"
#include "base/json.h"
#include "wire/scan.h"

#include <math.h>
#include <msgpack.h>

_Static_assert(MSGPACK_MAX_DEPTH <= SCAN_MAX_DEPTH, "the scanner bounds the depth of JSON");

/* ---- JSON to MessagePack: a container's head says how many it holds, so they are counted first
 * ----
 */

struct counts {
    uint32_t *of; /* per container, in the order in which they open */
    size_t count, cap;
};

static size_t counts_add(struct counts *c)
{
    if (c->count == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 16;
        c->of = mem_resize(c->of, c->cap * sizeof(*c->of));
    }
    c->of[c->count] = 0;
    return c->count++;
}

static void count_value(struct scan *s, struct counts *c)
{
    struct str key;
    switch (scan_peek(s)) {
    case SCAN_OBJECT:
        if (scan_object(s)) {
            size_t at = counts_add(c);
            while (scan_key(s, &key)) {
                c->of[at]++;
                count_value(s, c);
            }
        }
        break;
    case SCAN_ARRAY:
        if (scan_array(s)) {
            size_t at = counts_add(c);
            while (scan_item(s)) {
                c->of[at]++;
                count_value(s, c);
            }
        }
        break;
    case SCAN_STRING:
    case SCAN_NUMBER:
    case SCAN_TRUE:
    case SCAN_FALSE:
    case SCAN_NULL:
    case SCAN_ERROR:
        (void)scan_skip(s, NULL);
        break;
    }
}

struct packing {
    struct scan scan;
    msgpack_packer packer;
    const uint32_t *next; /* count of the container that opens next */
    struct buf text;      /* of one string, escapes resolved */
    enum err why;
};

static int write_bytes(void *self, const char *bytes, size_t len)
{
    return buf_add(self, bytes, len) ? 0 : -1;
}

static void pack_text(struct packing *p, struct str raw)
{
    if (str_find(raw, '\\', 0) != SIZE_MAX) {
        buf_clear(&p->text);
        if (scan_unescape(raw, &p->text) != OK) {
            p->why = ERR_SYNTAX;
            return;
        }
        raw = buf_str(&p->text);
    }
    msgpack_pack_str(&p->packer, raw.len);
    msgpack_pack_str_body(&p->packer, raw.ptr, raw.len);
}

static void pack_number(struct packing *p, struct str digits)
{
    int64_t whole = 0;
    uint64_t large = 0;
    double real = 0;
    if (str_to_i64(digits, &whole) == OK) {
        msgpack_pack_int64(&p->packer, whole);
    } else if (str_to_u64(digits, &large) == OK) {
        msgpack_pack_uint64(&p->packer, large);
    } else if (str_to_double(digits, &real) == OK) {
        msgpack_pack_double(&p->packer, real);
    } else {
        p->why = ERR_RANGE;
    }
}

static void pack_value(struct packing *p)
{
    struct scan *s = &p->scan;
    struct str text;
    bool truth = false;
    if (scan_object(s)) {
        msgpack_pack_map(&p->packer, *p->next++);
        while (p->why == OK && scan_key(s, &text)) {
            pack_text(p, text);
            pack_value(p);
        }
    } else if (scan_array(s)) {
        msgpack_pack_array(&p->packer, *p->next++);
        while (p->why == OK && scan_item(s)) {
            pack_value(p);
        }
    } else if (scan_string(s, &text)) {
        pack_text(p, text);
    } else if (scan_number(s, &text)) {
        pack_number(p, text);
    } else if (scan_bool(s, &truth)) {
        (void)(truth ? msgpack_pack_true(&p->packer) : msgpack_pack_false(&p->packer));
    } else if (scan_null(s)) {
        msgpack_pack_nil(&p->packer);
    }
}

enum err msgpack_of_json(struct str json, struct buf *out)
{
    struct counts counts = {0};
    struct packing p = {0};
    size_t start = out->len;
    scan_begin(&p.scan, json);
    count_value(&p.scan, &counts);
    p.why = scan_end(&p.scan);
    if (p.why == OK) {
        p.next = counts.of;
        scan_begin(&p.scan, json);
        msgpack_packer_init(&p.packer, out, write_bytes);
        pack_value(&p);
    }
    if (p.why == OK && out->failed) {
        p.why = ERR_LIMIT;
    }
    if (p.why != OK) {
        out->len = start;
    }
    buf_fini(&p.text);
    mem_free(counts.of);
    return p.why;
}

/* ---- MessagePack to JSON ---- */

/* What one head says: bytes of it with what belongs to it, and values that follow inside. */
struct head {
    uint64_t bytes, values;
};

static uint64_t big_endian(const uint8_t *p, size_t width)
{
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++) {
        value = value << 8 | p[i];
    }
    return value;
}

/* False: cut short, or no such type. */
static bool read_head(const uint8_t *p, size_t left, struct head *h)
{
    /* from 0xc0 on: bytes behind the first one; the second row's are a length, whose width it is */
    static const uint8_t fixed[32] = {[0x0a] = 4, [0x0b] = 8, [0x0c] = 1, [0x0d] = 2, [0x0e] = 4,
                                      [0x0f] = 8, [0x10] = 1, [0x11] = 2, [0x12] = 4, [0x13] = 8,
                                      [0x14] = 2, [0x15] = 3, [0x16] = 5, [0x17] = 9, [0x18] = 17};
    static const uint8_t length[32] = {
        [0x04] = 1, [0x05] = 2, [0x06] = 4, [0x07] = 1, [0x08] = 2, [0x09] = 4, [0x19] = 1,
        [0x1a] = 2, [0x1b] = 4, [0x1c] = 2, [0x1d] = 4, [0x1e] = 2, [0x1f] = 4};
    uint8_t b = p[0];
    *h = (struct head){.bytes = 1};
    if (b < 0x80 || b >= 0xe0) {
        return true;
    }
    if (b < 0xc0) {
        h->bytes += b >= 0xa0 ? b & 31 : 0;
        h->values = b >= 0xa0 ? 0 : b >= 0x90 ? b & 15 : 2 * (uint64_t)(b & 15);
        return h->bytes <= left;
    }
    b &= 31;
    h->bytes += fixed[b] + (uint64_t)length[b];
    if (b == 0x01 || h->bytes > left) {
        return false;
    }
    if (length[b]) {
        uint64_t n = big_endian(p + 1, length[b]);
        h->values = b >= 0x1e ? 2 * n : b >= 0x1c ? n : 0;
        h->bytes += b >= 0x1c ? 0 : n;
        h->bytes += b >= 0x07 && b <= 0x09 ? 1 : 0; /* an extension's type */
    }
    return h->bytes <= left;
}

/* Whether it is one whole value, no deeper than allowed and with no head that promises more values
 * than there are bytes: the library makes room for what a head promises. */
static bool is_whole(struct str bytes)
{
    uint64_t due[MSGPACK_MAX_DEPTH + 1] = {1};
    size_t depth = 0;
    size_t at = 0;
    while (due[0] || depth) {
        struct head h;
        if (due[depth] == 0) {
            depth--;
            continue;
        }
        if (at == bytes.len || !read_head((const uint8_t *)bytes.ptr + at, bytes.len - at, &h)) {
            return false;
        }
        at += h.bytes;
        due[depth]--;
        if (h.values > bytes.len - at || (h.values && depth == MSGPACK_MAX_DEPTH)) {
            return false;
        }
        if (h.values) {
            due[++depth] = h.values;
        }
    }
    return at == bytes.len;
}

static enum err write_value(const msgpack_object *o, struct buf *out);

static enum err write_text(const msgpack_object_str *s, struct buf *out)
{
    struct str text = str_make(s->ptr, s->size);
    if (!str_is_utf8(text)) {
        return ERR_SYNTAX;
    }
    json_escape(out, text);
    return OK;
}

static enum err write_array(const msgpack_object_array *a, struct buf *out)
{
    enum err e = OK;
    buf_add_char(out, '[');
    for (uint32_t i = 0; i < a->size && e == OK; i++) {
        if (i) {
            buf_add_char(out, ',');
        }
        e = write_value(&a->ptr[i], out);
    }
    buf_add_char(out, ']');
    return e;
}

static enum err write_map(const msgpack_object_map *m, struct buf *out)
{
    enum err e = OK;
    buf_add_char(out, '{');
    for (uint32_t i = 0; i < m->size && e == OK; i++) {
        if (m->ptr[i].key.type != MSGPACK_OBJECT_STR) {
            return ERR_UNSUPPORTED;
        }
        if (i) {
            buf_add_char(out, ',');
        }
        e = write_text(&m->ptr[i].key.via.str, out);
        buf_add_char(out, ':');
        e = e == OK ? write_value(&m->ptr[i].val, out) : e;
    }
    buf_add_char(out, '}');
    return e;
}

static enum err write_value(const msgpack_object *o, struct buf *out)
{
    switch (o->type) {
    case MSGPACK_OBJECT_NIL:
        buf_add_lit(out, "null");
        return OK;
    case MSGPACK_OBJECT_BOOLEAN:
        buf_add_str(out, o->via.boolean ? STR("true") : STR("false"));
        return OK;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        buf_add_u64(out, o->via.u64);
        return OK;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        buf_add_i64(out, o->via.i64);
        return OK;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        if (!isfinite(o->via.f64)) {
            return ERR_UNSUPPORTED;
        }
        json_add_double(out, o->via.f64);
        return OK;
    case MSGPACK_OBJECT_STR:
        return write_text(&o->via.str, out);
    case MSGPACK_OBJECT_ARRAY:
        return write_array(&o->via.array, out);
    case MSGPACK_OBJECT_MAP:
        return write_map(&o->via.map, out);
    case MSGPACK_OBJECT_BIN:
    case MSGPACK_OBJECT_EXT:
        return ERR_UNSUPPORTED;
    }
    return ERR_UNSUPPORTED;
}

enum err msgpack_to_json(struct str bytes, struct buf *out)
{
    if (!is_whole(bytes)) {
        return ERR_SYNTAX;
    }
    msgpack_unpacked value;
    size_t start = out->len;
    size_t at = 0;
    enum err e = ERR_SYNTAX;
    msgpack_unpacked_init(&value);
    if (msgpack_unpack_next(&value, bytes.ptr, bytes.len, &at) == MSGPACK_UNPACK_SUCCESS &&
        at == bytes.len) {
        e = write_value(&value.data, out);
    }
    msgpack_unpacked_destroy(&value);
    if (e == OK && out->failed) {
        e = ERR_LIMIT;
    }
    if (e != OK) {
        out->len = start;
    }
    return e;
}
