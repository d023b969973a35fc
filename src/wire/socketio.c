/* SPDX-License-Identifier: MIT */
#include "wire/socketio.h"

#include "wire/scan.h"

#define PLACEHOLDER "_placeholder"

struct reader {
    struct str rest;
    struct sio_packet *out;
    const char *why;
    unsigned revision;
};

static enum err fail(struct reader *r, enum err e, const char *why)
{
    r->why = why;
    return e;
}

static size_t count_digits(struct str s)
{
    size_t n = 0;
    while (n < s.len && s.ptr[n] >= '0' && s.ptr[n] <= '9') {
        n++;
    }
    return n;
}

static struct str cut(struct reader *r, size_t len)
{
    struct str part = str_sub(r->rest, 0, len);
    r->rest = str_from(r->rest, len);
    return part;
}

/* ---- the head ---- */

static enum err read_attachments(struct reader *r)
{
    uint64_t count = 0;
    size_t n = count_digits(r->rest);
    if (!n || n >= r->rest.len || r->rest.ptr[n] != '-') {
        return fail(r, ERR_SYNTAX, "no count of attachments");
    }
    if (str_to_u64(cut(r, n), &count) != OK || count > SIO_MAX_ATTACHMENTS) {
        return fail(r, ERR_LIMIT, "too many attachments");
    }
    (void)cut(r, 1);
    r->out->attachments = (unsigned)count;
    return OK;
}

static enum err read_namespace(struct reader *r)
{
    struct sio_packet *p = r->out;
    p->nsp = STR("/");
    if (!r->rest.len || r->rest.ptr[0] != '/') {
        return OK;
    }
    size_t comma = str_find(r->rest, ',', 0);
    size_t len = comma == SIZE_MAX ? r->rest.len : comma;
    if (len > SIO_MAX_NAMESPACE) {
        return fail(r, ERR_LIMIT, "namespace too long");
    }
    p->nsp = cut(r, len);
    if (comma != SIZE_MAX) {
        (void)cut(r, 1);
    }
    if (!str_is_utf8(p->nsp)) {
        return fail(r, ERR_SYNTAX, "namespace is not UTF-8");
    }
    size_t mark = r->revision == 4 ? str_find(p->nsp, '?', 0) : SIZE_MAX;
    if (mark != SIZE_MAX) {
        p->query = str_from(p->nsp, mark + 1);
        p->nsp = str_sub(p->nsp, 0, mark);
    }
    return OK;
}

static enum err read_ack(struct reader *r)
{
    size_t n = count_digits(r->rest);
    if (n > SIO_MAX_ACK_DIGITS) {
        return fail(r, ERR_LIMIT, "ack id too long");
    }
    r->out->ack = cut(r, n);
    return OK;
}

/* ---- payloads ---- */

static bool is_reserved(struct str raw)
{
    static const char *const names[] = {"connect",       "connect_error", "disconnect",
                                        "disconnecting", "newListener",   "removeListener"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (scan_string_is(raw, str_of(names[i]))) {
            return true;
        }
    }
    return false;
}

static bool check_value(struct scan *s, unsigned attachments);

/* An object that says it is a placeholder names an attachment. */
static bool check_members(struct scan *s, unsigned attachments)
{
    bool is_placeholder = false, has_index = false;
    struct str key, digits;
    while (scan_key(s, &key)) {
        uint64_t index = 0;
        bool yes = false;
        if (scan_string_is(key, STR(PLACEHOLDER)) && scan_bool(s, &yes)) {
            is_placeholder = yes;
            continue;
        }
        bool is_index = scan_string_is(key, STR("num"));
        if (is_index && scan_number(s, &digits)) {
            has_index = str_to_u64(digits, &index) == OK && index < attachments;
            continue;
        }
        has_index = has_index && !is_index;
        if (!check_value(s, attachments)) {
            return false;
        }
    }
    return !s->error && (!is_placeholder || has_index);
}

/* Not deeper than the scanner allows. */
static bool check_value(struct scan *s, unsigned attachments)
{
    if (scan_object(s)) {
        return check_members(s, attachments);
    }
    if (scan_array(s)) {
        while (scan_item(s)) {
            if (!check_value(s, attachments)) {
                return false;
            }
        }
        return !s->error;
    }
    return scan_skip(s, NULL);
}

static enum err read_object(struct reader *r)
{
    struct scan s;
    scan_begin(&s, r->rest);
    if (scan_peek(&s) != SCAN_OBJECT || !scan_skip(&s, &r->out->data) || scan_end(&s) != OK) {
        return fail(r, ERR_SYNTAX, "payload is not an object");
    }
    return OK;
}

/* An array; of an event, its name and arguments. */
static enum err read_array(struct reader *r, bool is_event)
{
    struct sio_packet *p = r->out;
    struct scan s;
    scan_begin(&s, r->rest);
    if (!scan_array(&s)) {
        return fail(r, ERR_SYNTAX, "payload is not an array");
    }
    if (is_event) {
        if (!scan_item(&s)) {
            return fail(r, ERR_SYNTAX, "event without a name");
        }
        p->event_is_number = scan_number(&s, &p->event);
        if (!p->event_is_number && (!scan_string(&s, &p->event) || is_reserved(p->event))) {
            return fail(r, ERR_SYNTAX, "no name for an event");
        }
    }
    while (scan_item(&s)) {
        struct str value;
        if (!scan_skip(&s, &value)) {
            break;
        }
        const char *start = p->args.len ? p->args.ptr : value.ptr;
        p->args = str_make(start, (size_t)(value.ptr + value.len - start));
    }
    if (scan_end(&s) != OK) {
        return fail(r, ERR_SYNTAX, "payload is not JSON");
    }
    p->data = r->rest;
    return OK;
}

static enum err read_any(struct reader *r)
{
    struct scan s;
    scan_begin(&s, r->rest);
    if (!scan_skip(&s, &r->out->data) || scan_end(&s) != OK) {
        return fail(r, ERR_SYNTAX, "payload is not JSON");
    }
    return OK;
}

static enum err read_binary(struct reader *r)
{
    struct scan s;
    enum err e = read_array(r, r->out->type == SIO_BINARY_EVENT);
    if (e != OK) {
        return e;
    }
    scan_begin(&s, r->out->data);
    return check_value(&s, r->out->attachments) ? OK : fail(r, ERR_SYNTAX, "bad placeholder");
}

static enum err read_payload(struct reader *r)
{
    switch (r->out->type) {
    case SIO_CONNECT:
        if (!r->rest.len) {
            return OK;
        }
        return r->revision == 4 ? fail(r, ERR_SYNTAX, "payload not expected") : read_object(r);
    case SIO_DISCONNECT:
        return r->rest.len ? fail(r, ERR_SYNTAX, "payload not expected") : OK;
    case SIO_EVENT:
        return read_array(r, true);
    case SIO_ACK:
        return read_array(r, false);
    case SIO_CONNECT_ERROR:
        return read_any(r);
    case SIO_BINARY_EVENT:
    case SIO_BINARY_ACK:
        return read_binary(r);
    }
    return fail(r, ERR_SYNTAX, "unknown type");
}

enum err sio_read(struct str text, unsigned revision, struct sio_packet *out, const char **why)
{
    struct reader r = {.rest = text, .out = out, .why = "", .revision = revision};
    *out = (struct sio_packet){0};
    if (!text.len || text.ptr[0] < '0' || text.ptr[0] > '6') {
        *why = "unknown type";
        return ERR_SYNTAX;
    }
    out->type = (enum sio_type)(cut(&r, 1).ptr[0] - '0');
    enum err e = OK;
    if (out->type == SIO_BINARY_EVENT || out->type == SIO_BINARY_ACK) {
        e = read_attachments(&r);
    }
    e = e == OK ? read_namespace(&r) : e;
    e = e == OK ? read_ack(&r) : e;
    e = e == OK ? read_payload(&r) : e;
    bool needs_ack = out->type == SIO_ACK || out->type == SIO_BINARY_ACK;
    if (e == OK && needs_ack && !out->ack.len) {
        e = fail(&r, ERR_SYNTAX, "ack without an id");
    }
    *why = r.why;
    return e;
}

/* ---- out ---- */

void sio_write(struct buf *out, enum sio_type type, unsigned attachments, struct str nsp,
               struct str ack, struct str json)
{
    (void)buf_add_char(out, (char)('0' + (int)type));
    if (type == SIO_BINARY_EVENT || type == SIO_BINARY_ACK) {
        (void)buf_add_u64(out, attachments);
        (void)buf_add_char(out, '-');
    }
    if (!str_eq(nsp, STR("/"))) {
        (void)buf_add_str(out, nsp);
        (void)buf_add_char(out, ',');
    }
    (void)buf_add_str(out, ack);
    (void)buf_add_str(out, json);
}
