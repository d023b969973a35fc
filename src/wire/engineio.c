/* SPDX-License-Identifier: MIT */
#include "wire/engineio.h"

#include "wire/sha1.h"

#define ENCODE_PIECE 49152 /* a multiple of 3, so that only the last piece is padded */
#define MAX_DIGITS 10
#define OCTETS_END 255

/* ---- base64, RFC 4648; padding may be missing ---- */

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static struct str without_padding(struct str s)
{
    for (int i = 0; i < 2 && s.len && s.ptr[s.len - 1] == '='; i++) {
        s.len--;
    }
    return s;
}

static enum err decode(struct str text, struct buf *out)
{
    struct str s = text.len % 4 ? text : without_padding(text);
    uint32_t bits = 0;
    if (s.len % 4 == 1 || !buf_reserve(out, s.len / 4 * 3 + 3)) {
        return ERR_SYNTAX;
    }
    for (size_t i = 0; i < s.len; i++) {
        int six = sextet(s.ptr[i]);
        if (six < 0) {
            return ERR_SYNTAX;
        }
        bits = bits << 6 | (uint32_t)six;
        switch (i % 4) {
        case 1:
            out->ptr[out->len++] = (char)(bits >> 4);
            break;
        case 2:
            out->ptr[out->len++] = (char)(bits >> 2);
            break;
        case 3:
            out->ptr[out->len++] = (char)bits;
            break;
        }
    }
    return OK;
}

static void encode(struct buf *out, struct str bytes)
{
    for (size_t at = 0; at < bytes.len; at += ENCODE_PIECE) {
        struct str piece = str_sub(bytes, at, ENCODE_PIECE);
        size_t len = BASE64_LEN(piece.len);
        if (buf_reserve(out, len + 1)) {
            base64((const uint8_t *)piece.ptr, piece.len, out->ptr + out->len);
            out->len += len;
        }
    }
}

/* ---- packets ---- */

static enum err read_text(struct str text, struct eio_packet *out)
{
    if (!text.len || text.ptr[0] < '0' || text.ptr[0] > '6') {
        return ERR_SYNTAX;
    }
    *out =
        (struct eio_packet){.type = (enum eio_type)(text.ptr[0] - '0'), .data = str_from(text, 1)};
    return OK;
}

enum err eio_read_packet(enum eio_form form, bool binary, struct str bytes, struct eio_packet *out)
{
    if (!binary) {
        return read_text(bytes, out);
    }
    if (form != EIO_FORM_4) {
        if (!bytes.len || bytes.ptr[0] != EIO_MESSAGE) {
            return ERR_SYNTAX;
        }
        bytes = str_from(bytes, 1);
    }
    *out = (struct eio_packet){.type = EIO_MESSAGE, .binary = true, .data = bytes};
    return OK;
}

/* ---- payloads in ---- */

void eio_payload_begin(struct eio_payload *p, enum eio_form form, struct str body)
{
    bool bad = form == EIO_FORM_3 && !str_is_utf8(body);
    *p = (struct eio_payload){.form = form, .rest = bad ? (struct str){0} : body};
}

static enum err read_base64(struct str text, struct buf *scratch, struct eio_packet *out)
{
    buf_clear(scratch);
    enum err e = decode(text, scratch);
    if (e == OK) {
        *out = (struct eio_packet){.type = EIO_MESSAGE, .binary = true, .data = buf_str(scratch)};
    }
    return e;
}

static enum err next_4(struct eio_payload *p, struct buf *scratch, struct eio_packet *out)
{
    size_t end = str_find(p->rest, EIO_SEPARATOR, 0);
    struct str packet = str_sub(p->rest, 0, end);
    p->over = end == SIZE_MAX;
    p->rest = p->over ? (struct str){0} : str_from(p->rest, end + 1);
    if (packet.len && packet.ptr[0] == 'b') {
        return read_base64(str_from(packet, 1), scratch, out);
    }
    return str_is_utf8(packet) ? read_text(packet, out) : ERR_SYNTAX;
}

/* Bytes of the first `units` UTF-16 units of well-formed text; SIZE_MAX when it is shorter, or when
 * that would split a pair. */
static size_t bytes_of_utf16(struct str text, uint64_t units)
{
    size_t at = 0;
    while (units && at < text.len) {
        uint8_t c = (uint8_t)text.ptr[at];
        size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        uint64_t cost = len == 4 ? 2 : 1;
        if (cost > units) {
            return SIZE_MAX;
        }
        units -= cost;
        at += len;
    }
    return units || at > text.len ? SIZE_MAX : at;
}

static enum err next_3(struct eio_payload *p, struct buf *scratch, struct eio_packet *out)
{
    uint64_t units = 0;
    size_t colon = str_find(str_sub(p->rest, 0, MAX_DIGITS + 1), ':', 0);
    if (colon == SIZE_MAX || str_to_u64(str_sub(p->rest, 0, colon), &units) != OK || !units) {
        return ERR_SYNTAX;
    }
    struct str rest = str_from(p->rest, colon + 1);
    size_t len = bytes_of_utf16(rest, units);
    if (len == SIZE_MAX) {
        return ERR_SYNTAX;
    }
    struct str packet = str_sub(rest, 0, len);
    p->rest = str_from(rest, len);
    p->over = !p->rest.len;
    if (packet.ptr[0] == 'b') {
        return packet.len > 1 && packet.ptr[1] == '0' + EIO_MESSAGE
                   ? read_base64(str_from(packet, 2), scratch, out)
                   : ERR_SYNTAX;
    }
    return read_text(packet, out);
}

static enum err next_3_bytes(struct eio_payload *p, struct eio_packet *out)
{
    uint64_t len = 0;
    size_t at = 1;
    struct str s = p->rest;
    for (; at < s.len && at <= MAX_DIGITS && (uint8_t)s.ptr[at] <= 9; at++) {
        len = len * 10 + (uint8_t)s.ptr[at];
    }
    if (at == 1 || at >= s.len || (uint8_t)s.ptr[at] != OCTETS_END || (uint8_t)s.ptr[0] > 1 ||
        len > s.len - at - 1) {
        return ERR_SYNTAX;
    }
    bool binary = s.ptr[0] == 1;
    struct str packet = str_sub(s, at + 1, (size_t)len);
    p->rest = str_from(s, at + 1 + (size_t)len);
    p->over = !p->rest.len;
    if (!binary && !str_is_utf8(packet)) {
        return ERR_SYNTAX;
    }
    return eio_read_packet(p->form, binary, packet, out);
}

enum err eio_payload_next(struct eio_payload *p, struct buf *scratch, struct eio_packet *out)
{
    if (p->over) {
        return ERR_NOT_FOUND;
    }
    switch (p->form) {
    case EIO_FORM_4:
        return next_4(p, scratch, out);
    case EIO_FORM_3:
        return next_3(p, scratch, out);
    case EIO_FORM_3_BYTES:
        return next_3_bytes(p, out);
    }
    return ERR_SYNTAX;
}

/* ---- payloads out ---- */

size_t eio_utf16_len(struct str text)
{
    size_t units = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = (uint8_t)text.ptr[i];
        units += (c & 0xc0) == 0x80 ? 0 : c >= 0xf0 ? 2 : 1;
    }
    return units;
}

static void add_octets(struct buf *out, bool binary, struct str bytes)
{
    char digits[24];
    int n = snprintf(digits, sizeof(digits), "%zu", bytes.len + (binary ? 1 : 0));
    (void)buf_add_char(out, binary ? 1 : 0);
    for (int i = 0; i < n; i++) {
        (void)buf_add_char(out, (char)(digits[i] - '0'));
    }
    (void)buf_add_char(out, (char)OCTETS_END);
    if (binary) {
        (void)buf_add_char(out, EIO_MESSAGE);
    }
    (void)buf_add_str(out, bytes);
}

void eio_payload_add(struct buf *out, enum eio_form form, bool binary, struct str bytes)
{
    switch (form) {
    case EIO_FORM_4:
        if (out->len) {
            (void)buf_add_char(out, EIO_SEPARATOR);
        }
        break;
    case EIO_FORM_3:
        (void)buf_add_u64(out, binary ? BASE64_LEN(bytes.len) + 2 : eio_utf16_len(bytes));
        (void)buf_add_char(out, ':');
        break;
    case EIO_FORM_3_BYTES:
        add_octets(out, binary, bytes);
        return;
    }
    if (!binary) {
        (void)buf_add_str(out, bytes);
        return;
    }
    (void)buf_add_char(out, 'b');
    if (form == EIO_FORM_3) {
        (void)buf_add_char(out, '0' + EIO_MESSAGE);
    }
    encode(out, bytes);
}

size_t eio_payload_cost(enum eio_form form, bool binary, struct str bytes)
{
    size_t head = form == EIO_FORM_4 ? 1 : 1 + MAX_DIGITS + 1;
    if (!binary) {
        return head + bytes.len;
    }
    return head + 2 + (form == EIO_FORM_3_BYTES ? bytes.len : BASE64_LEN(bytes.len));
}
