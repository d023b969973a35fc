/* The decoder is a machine of five phases:
 *
 *     HEADER --data frame--> PAYLOAD --last byte, FIN--> END --reported--> HEADER
 *       |  ^                    |
 *       |  +--last byte, no FIN-+
 *       +--control frame--> CONTROL --last byte, reported--> HEADER
 *     any --violation--> FAILED
 *
 * A header is judged byte by byte as it arrives, so a violation is reported at the first byte that
 * shows it. A control frame touches only what belongs to a frame (header, mask, control), never
 * what belongs to the message that it interrupts. SPDX-License-Identifier: MIT */
#include "wire/ws.h"

#include "wire/sha1.h"
#include "wire/utf8.h"

#include <assert.h>

enum phase { HEADER, PAYLOAD, CONTROL, END, FAILED };

#define CONTROL_MAX 125

/* ---- masking ---- */

static inline uint64_t load8(const char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof(word));
    return word;
}

static inline void store8(char *p, uint64_t word)
{
    memcpy(p, &word, sizeof(word));
}

void ws_mask(char *bytes, size_t len, const uint8_t mask[4], uint32_t offset)
{
    char key[8];
    for (uint32_t i = 0; i < 8; i++) {
        key[i] = (char)mask[(offset + i) & 3];
    }
    uint64_t wide = load8(key);
    size_t i = 0;
    for (; len - i >= 32; i += 32) {
        store8(bytes + i, load8(bytes + i) ^ wide);
        store8(bytes + i + 8, load8(bytes + i + 8) ^ wide);
        store8(bytes + i + 16, load8(bytes + i + 16) ^ wide);
        store8(bytes + i + 24, load8(bytes + i + 24) ^ wide);
    }
    for (; len - i >= 8; i += 8) {
        store8(bytes + i, load8(bytes + i) ^ wide);
    }
    for (size_t k = 0; i < len; i++, k++) {
        bytes[i] = (char)(bytes[i] ^ key[k]);
    }
}

/* ---- decoding ---- */

bool ws_utf8_check(uint8_t *state, uint32_t *code, const char *bytes, size_t len)
{
    return utf8_check(state, code, bytes, len) == len;
}

bool ws_close_code_valid(uint16_t code)
{
    if (code >= 3000 && code <= 4999) {
        return true;
    }
    return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
}

bool ws_decoder_idle(const struct ws_decoder *d)
{
    return d->phase == HEADER && d->header_len == 0 && d->message_opcode == 0;
}

static void fail(struct ws_decoder *d, struct ws_item *out, enum ws_close_code code,
                 const char *reason)
{
    d->phase = FAILED;
    *out = (struct ws_item){.kind = WS_ITEM_ERROR, .code = (uint16_t)code, .reason = reason};
}

/* The first byte of a header; NULL, or what is wrong. */
static const char *check_first(struct ws_decoder *d, uint8_t byte)
{
    bool rsv1 = byte & 0x40;
    d->fin = byte & 0x80;
    d->opcode = byte & 0x0f;
    if (byte & 0x30) {
        return "reserved bit set";
    }
    switch (d->opcode) {
    case WS_CONTINUATION:
        if (rsv1) {
            return "RSV1 set on a continuation";
        }
        return d->message_opcode ? NULL : "continuation without a message";
    case WS_TEXT:
    case WS_BINARY:
        if (rsv1 && !d->deflate) {
            return "RSV1 set but no extension negotiated";
        }
        if (d->message_opcode) {
            return "new message within a fragmented one";
        }
        d->message_opcode = d->opcode;
        d->message_deflated = rsv1;
        return NULL;
    case WS_CLOSE:
    case WS_PING:
    case WS_PONG:
        if (rsv1) {
            return "RSV1 set on a control frame";
        }
        return d->fin ? NULL : "fragmented control frame";
    default:
        return "reserved opcode";
    }
}

/* Bytes of extended length that the second header byte announces. */
static inline uint8_t extended(uint8_t second)
{
    uint8_t len = second & 0x7f;
    return len == 126 ? 2 : len == 127 ? 8 : 0;
}

static const char *check_second(struct ws_decoder *d, uint8_t byte)
{
    uint8_t len = byte & 0x7f;
    d->masked = byte & 0x80;
    if (d->masked == d->client) {
        return d->client ? "masked frame from a server" : "unmasked frame from a client";
    }
    if (d->opcode >= WS_CLOSE) {
        if (len > CONTROL_MAX) {
            return "control frame over 125 bytes";
        }
        if (d->opcode == WS_CLOSE && len == 1) {
            return "close frame of one byte";
        }
    }
    d->remaining = len;
    d->header_need = (uint8_t)(2 + extended(byte) + (d->masked ? 4 : 0));
    return NULL;
}

/* The extended length is there: it must be the shortest form, and below 2^63. */
static const char *check_length(struct ws_decoder *d)
{
    uint64_t len = 0;
    for (uint8_t i = 2; i < d->header_len; i++) {
        len = len << 8 | d->header[i];
    }
    if (len >> 63) {
        return "length with the highest bit set";
    }
    if (len < 126 || (d->header_len == 10 && len <= UINT16_MAX)) {
        return "length not in its shortest form";
    }
    d->remaining = len;
    return NULL;
}

/* Judges the header by its newest byte; NULL, or what is wrong. */
static const char *check_header(struct ws_decoder *d)
{
    if (d->header_len == 1) {
        return check_first(d, d->header[0]);
    }
    if (d->header_len == 2) {
        return check_second(d, d->header[1]);
    }
    uint8_t more = extended(d->header[1]);
    return more && d->header_len == 2 + more ? check_length(d) : NULL;
}

/* The header is whole: makes ready for its payload; false when that can't be taken. */
static bool start_payload(struct ws_decoder *d, struct ws_item *out)
{
    if (d->masked) {
        memcpy(d->mask, d->header + d->header_len - 4, 4);
    }
    d->header_len = d->header_need = 0;
    d->mask_at = 0;
    if (d->opcode >= WS_CLOSE) {
        d->control_len = 0;
        d->phase = CONTROL;
        return true;
    }
    d->fragments++;
    if (d->max_fragments && d->fragments > d->max_fragments) {
        fail(d, out, WS_CLOSE_POLICY, "message of too many fragments");
        return false;
    }
    if (__builtin_add_overflow(d->message_len, d->remaining, &d->message_len) ||
        (d->max_message && d->message_len > d->max_message)) {
        fail(d, out, WS_CLOSE_TOO_LARGE, "message too large");
        return false;
    }
    d->phase = PAYLOAD;
    return true;
}

/* Takes header bytes; true when *out says something (which can only be an error). */
static bool take_header(struct ws_decoder *d, char **bytes, size_t *len, struct ws_item *out)
{
    while (*len) {
        d->header[d->header_len++] = (uint8_t) * *bytes;
        (*bytes)++;
        (*len)--;
        const char *wrong = check_header(d);
        if (wrong) {
            fail(d, out, WS_CLOSE_PROTOCOL, wrong);
            return true;
        }
        if (d->header_len == d->header_need) {
            return !start_payload(d, out);
        }
    }
    return false;
}

/* Forgets the message; settings stay. */
static void end_message(struct ws_decoder *d)
{
    d->phase = HEADER;
    d->opcode = d->message_opcode = d->utf8_state = 0;
    d->fin = d->masked = d->message_deflated = false;
    memset(d->mask, 0, sizeof(d->mask));
    d->mask_at = d->fragments = d->utf8_code = 0;
    d->remaining = d->message_len = 0;
}

/* Takes payload bytes of a data frame; true when *out says something. */
static bool take_payload(struct ws_decoder *d, char **bytes, size_t *len, struct ws_item *out)
{
    size_t n = (size_t)min_u64(d->remaining, *len);
    char *piece = *bytes;
    bool text = d->message_opcode == WS_TEXT && !d->message_deflated;
    if (n && d->masked) {
        ws_mask(piece, n, d->mask, d->mask_at);
        d->mask_at = (uint32_t)(d->mask_at + n) & 3;
    }
    *bytes += n;
    *len -= n;
    d->remaining -= n;
    if (text && n && !ws_utf8_check(&d->utf8_state, &d->utf8_code, piece, n)) {
        fail(d, out, WS_CLOSE_INVALID_DATA, "text is not UTF-8");
        return true;
    }
    if (d->remaining == 0) {
        if (d->fin && d->utf8_state) {
            fail(d, out, WS_CLOSE_INVALID_DATA, "text ends within a character");
            return true;
        }
        d->phase = d->fin ? END : HEADER;
    }
    if (n) {
        *out = (struct ws_item){.kind = WS_ITEM_DATA,
                                .opcode = (enum ws_opcode)d->message_opcode,
                                .deflated = d->message_deflated,
                                .data = str_make(piece, n)};
    }
    return n > 0;
}

static void report_close(struct ws_decoder *d, struct ws_item *out)
{
    struct str payload = str_make((const char *)d->control, d->control_len);
    out->kind = WS_ITEM_CLOSE;
    out->code = WS_CLOSE_NO_CODE;
    if (payload.len == 0) {
        return;
    }
    assert(payload.len >= 2);
    out->code = (uint16_t)(d->control[0] << 8 | d->control[1]);
    out->data = str_from(payload, 2);
    if (!ws_close_code_valid(out->code)) {
        fail(d, out, WS_CLOSE_PROTOCOL, "close code not allowed");
    } else if (!str_is_utf8(out->data)) {
        fail(d, out, WS_CLOSE_INVALID_DATA, "close reason is not UTF-8");
    }
}

/* Gathers a control frame's payload; true when *out says something. */
static bool take_control(struct ws_decoder *d, char **bytes, size_t *len, struct ws_item *out)
{
    size_t n = (size_t)min_u64(d->remaining, *len);
    if (n) {
        memcpy(d->control + d->control_len, *bytes, n);
        d->control_len = (uint8_t)(d->control_len + n);
        d->remaining -= n;
        *bytes += n;
        *len -= n;
    }
    if (d->remaining) {
        return false;
    }
    if (d->masked) {
        ws_mask((char *)d->control, d->control_len, d->mask, 0);
    }
    enum ws_opcode opcode = (enum ws_opcode)d->opcode;
    d->phase = HEADER;
    d->opcode = 0;
    d->fin = d->masked = false;
    memset(d->mask, 0, sizeof(d->mask));
    out->opcode = opcode;
    if (opcode == WS_CLOSE) {
        report_close(d, out);
    } else {
        out->kind = opcode == WS_PING ? WS_ITEM_PING : WS_ITEM_PONG;
        out->data = str_make((const char *)d->control, d->control_len);
    }
    return true;
}

void ws_decode(struct ws_decoder *d, char **bytes, size_t *len, struct ws_item *out)
{
    *out = (struct ws_item){.kind = WS_ITEM_NONE};
    for (;;) {
        switch ((enum phase)d->phase) {
        case HEADER:
            if (take_header(d, bytes, len, out) || d->phase == HEADER) {
                return;
            }
            break;
        case PAYLOAD:
            if (take_payload(d, bytes, len, out) || d->phase == PAYLOAD) {
                return;
            }
            break;
        case CONTROL:
            (void)take_control(d, bytes, len, out);
            return;
        case END:
            *out = (struct ws_item){.kind = WS_ITEM_END,
                                    .opcode = (enum ws_opcode)d->message_opcode,
                                    .deflated = d->message_deflated};
            end_message(d);
            return;
        case FAILED:
            fail(d, out, WS_CLOSE_PROTOCOL, "fed after an error");
            return;
        }
    }
}

/* ---- encoding ---- */

size_t ws_header(uint8_t out[WS_HEADER_MAX], enum ws_opcode opcode, bool deflated, uint64_t len)
{
    assert(len >> 63 == 0);
    out[0] = (uint8_t)(0x80 | (deflated ? 0x40 : 0) | opcode);
    if (len < 126) {
        out[1] = (uint8_t)len;
        return 2;
    }
    size_t bytes = len <= UINT16_MAX ? 2 : 8;
    out[1] = bytes == 2 ? 126 : 127;
    for (size_t i = 0; i < bytes; i++) {
        out[2 + i] = (uint8_t)(len >> (8 * (bytes - 1 - i)));
    }
    return 2 + bytes;
}

void ws_frame(struct buf *out, enum ws_opcode opcode, bool fin, bool deflated, struct str payload,
              const uint8_t mask[4])
{
    uint8_t header[WS_HEADER_MAX];
    size_t header_len = ws_header(header, opcode, deflated, payload.len);
    assert(opcode < WS_CLOSE || (fin && !deflated && payload.len <= CONTROL_MAX));
    if (!fin) {
        header[0] &= 0x7f;
    }
    if (mask) {
        header[1] |= 0x80;
        memcpy(header + header_len, mask, 4);
        header_len += 4;
    }
    size_t need = 0;
    if (__builtin_add_overflow(header_len, payload.len, &need) || out->failed ||
        !buf_reserve(out, need)) {
        out->failed = true;
        return;
    }
    buf_add(out, header, header_len);
    buf_add_str(out, payload);
    if (mask) {
        ws_mask(out->ptr + out->len - payload.len, payload.len, mask, 0);
    }
}

void ws_close_frame(struct buf *out, uint16_t code, struct str reason, const uint8_t mask[4])
{
    char payload[CONTROL_MAX];
    size_t len = 0;
    if (code != WS_CLOSE_NO_CODE) {
        size_t keep = min_size(reason.len, CONTROL_MAX - 2);
        /* Never end within a character: drop its bytes back to the one that starts it. */
        while (keep < reason.len && keep > 0 && ((uint8_t)reason.ptr[keep] & 0xc0) == 0x80) {
            keep--;
        }
        payload[0] = (char)(code >> 8);
        payload[1] = (char)(code & 0xff);
        if (keep) {
            memcpy(payload + 2, reason.ptr, keep);
        }
        len = 2 + keep;
    }
    ws_frame(out, WS_CLOSE, true, false, str_make(payload, len), mask);
}

/* ---- opening handshake ---- */

bool ws_key_valid(struct str key)
{
    if (key.len != WS_KEY_LEN || key.ptr[22] != '=' || key.ptr[23] != '=') {
        return false;
    }
    for (size_t i = 0; i < 22; i++) {
        char c = key.ptr[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '+' || c == '/')) {
            return false;
        }
    }
    return true;
}

void ws_accept(struct str key, char out[WS_ACCEPT_LEN + 1])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[WS_KEY_LEN + sizeof(guid) - 1];
    uint8_t digest[SHA1_LEN];
    assert(key.len == WS_KEY_LEN);
    memcpy(text, key.ptr, WS_KEY_LEN);
    memcpy(text + WS_KEY_LEN, guid, sizeof(guid) - 1);
    sha1(str_make(text, sizeof(text)), digest);
    base64(digest, sizeof(digest), out);
}

void ws_make_key(const uint8_t random[16], char out[WS_KEY_LEN + 1])
{
    base64(random, 16, out);
}
