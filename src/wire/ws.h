/* ws: RFC 6455 framing, bytes in, items out. No fd, no loop, no clock.
 *
 * The decoder works on what has arrived, in place, and never waits for a whole frame: payload comes
 * out in pieces as it arrives, unmasked, and text is checked as UTF-8 on the fly (incomplete code
 * points at the end of a piece are fine), so a violation is known at its first byte. Between
 * messages the decoder is all zero but for its settings, so that an idle connection can drop it
 * (ws_decoder_idle). SPDX-License-Identifier: MIT */
#ifndef WIRE_WS_H
#define WIRE_WS_H
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10,
};

/* Close codes we send (RFC 6455, section 7.4.1). */
enum ws_close_code {
    WS_CLOSE_NORMAL = 1000,
    WS_CLOSE_GOING_AWAY = 1001,
    WS_CLOSE_PROTOCOL = 1002,
    WS_CLOSE_UNSUPPORTED = 1003,
    WS_CLOSE_NO_CODE = 1005, /* never on the wire: the peer sent none */
    WS_CLOSE_INVALID_DATA = 1007,
    WS_CLOSE_POLICY = 1008,
    WS_CLOSE_TOO_LARGE = 1009,
    WS_CLOSE_INTERNAL = 1011,
    WS_CLOSE_TRY_LATER = 1013,
};

struct ws_decoder {
    /* settings, set by the owner */
    bool client;  /* we are the client: frames must come unmasked; else they must be masked */
    bool deflate; /* RSV1 is allowed on the first frame of a message */
    uint32_t max_fragments; /* frames of one message; 0: no limit */
    uint64_t max_message;   /* payload bytes of one message as on the wire; 0: no limit */
    /* private */
    uint8_t phase, header_len, header_need, opcode, message_opcode, utf8_state;
    bool fin, masked, message_deflated;
    uint8_t header[14];
    uint8_t control_len;
    uint8_t mask[4];
    uint32_t mask_at, fragments;
    uint64_t remaining, message_len;
    uint32_t utf8_code;
    uint8_t control[125];
};

enum ws_item_kind {
    WS_ITEM_NONE, /* everything given was used up; feed more */
    WS_ITEM_DATA, /* a piece of a message's payload */
    WS_ITEM_END,  /* the message is complete (may follow a DATA of any length, or none) */
    WS_ITEM_PING, /* whole control frame; data = its payload */
    WS_ITEM_PONG,
    WS_ITEM_CLOSE, /* code (WS_CLOSE_NO_CODE when none) and reason in data */
    WS_ITEM_ERROR, /* close with `code`; `reason` says why; the decoder must not be fed again */
};

struct ws_item {
    enum ws_item_kind kind;
    enum ws_opcode opcode; /* DATA, END: WS_TEXT or WS_BINARY */
    bool deflated;         /* DATA, END: the message's payload is compressed (UTF-8 not checked) */
    struct str data; /* DATA: inside the fed bytes; PING.. CLOSE: inside the decoder, until fed */
    uint16_t code;
    const char *reason; /* ERROR: fixed text */
};

/* Takes the next item out of (*bytes, *len) and moves both on. Unmasks in place. Call until
 * WS_ITEM_NONE. */
void ws_decode(struct ws_decoder *d, char **bytes, size_t *len, struct ws_item *out);
/* Nothing of a frame or message is under way: the state may be thrown away. */
bool ws_decoder_idle(const struct ws_decoder *d);

/* Streaming UTF-8 check for inflated text: *state and *code start at 0; false at the first invalid
 * byte. At the end *state must be 0. */
bool ws_utf8_check(uint8_t *state, uint32_t *code, const char *bytes, size_t len);

#define WS_HEADER_MAX 14
/* Writes a server frame header (unmasked), FIN set; gives its length (2, 4 or 10). */
size_t ws_header(uint8_t out[WS_HEADER_MAX], enum ws_opcode opcode, bool deflated, uint64_t len);
/* A whole frame appended to `out`. `mask` NULL: a server's; else a client's with that key. */
void ws_frame(struct buf *out, enum ws_opcode opcode, bool fin, bool deflated, struct str payload,
              const uint8_t mask[4]);
/* A close frame; code WS_CLOSE_NO_CODE writes an empty one. The reason is cut to 123 bytes of whole
 * characters. */
void ws_close_frame(struct buf *out, uint16_t code, struct str reason, const uint8_t mask[4]);
/* Whether an endpoint may send this code on the wire. */
bool ws_close_code_valid(uint16_t code);
void ws_mask(char *bytes, size_t len, const uint8_t mask[4], uint32_t offset);

#define WS_KEY_LEN 24
#define WS_ACCEPT_LEN 28
/* Sec-WebSocket-Accept for a key. */
void ws_accept(struct str key, char out[WS_ACCEPT_LEN + 1]);
/* Whether it is base64 of 16 bytes. */
bool ws_key_valid(struct str key);
/* base64 of 16 random bytes. */
void ws_make_key(const uint8_t random[16], char out[WS_KEY_LEN + 1]);

#endif
