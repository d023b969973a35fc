/* engineio: packets and payloads of Engine.IO, revisions 4 and 3; bytes in, slices out. Which
 * packet is allowed when is not its matter (net/engine). Sources: docs/engine.io-protocol of
 * github.com/socketio/socket.io.
 *
 *   4:  4hello 0x1e bAQIDBA==         binary messages as b and base64
 *   3:  6:4hello10:b4AQIDBA==         lengths in UTF-16 units, binary as b, type and base64
 *   3:  00 06 ff "4hello" 01 05 ff 04 01 02 03 04       as octets
 *
 * SPDX-License-Identifier: MIT */
#ifndef WIRE_ENGINEIO_H
#define WIRE_ENGINEIO_H
#include "base/buf.h"
#include "base/err.h"

enum eio_type {
    EIO_OPEN,
    EIO_CLOSE,
    EIO_PING,
    EIO_PONG,
    EIO_MESSAGE,
    EIO_UPGRADE,
    EIO_NOOP,
};

#define EIO_SEPARATOR '\x1e'

enum eio_form {
    EIO_FORM_4,       /* revision 4 */
    EIO_FORM_3,       /* revision 3, text */
    EIO_FORM_3_BYTES, /* revision 3, application/octet-stream */
};

struct eio_packet {
    enum eio_type type;
    bool binary;
    struct str data; /* behind the type */
};

/* A packet as a WebSocket has it: text with its type digit; binary is a message as it is, in
 * revision 3 behind a type byte. ERR_SYNTAX. Whether text is UTF-8 is the caller's to know. */
enum err eio_read_packet(enum eio_form form, bool binary, struct str bytes,
                         struct eio_packet *out) MUST_CHECK;

/* A posted payload; start with eio_payload_begin(). */
struct eio_payload {
    enum eio_form form;
    struct str rest;
    bool over;
};
void eio_payload_begin(struct eio_payload *p, enum eio_form form, struct str body);
/* OK: `out` is the next packet, text is valid UTF-8; base64 is decoded into `scratch`, which must
 * stay as it is while the packet is used. ERR_NOT_FOUND: that was all. ERR_SYNTAX; a body without
 * a packet is malformed too. */
enum err eio_payload_next(struct eio_payload *p, struct buf *scratch,
                          struct eio_packet *out) MUST_CHECK;

/* Appends a packet to a payload; `bytes` is text with its type digit, or a binary message. */
void eio_payload_add(struct buf *out, enum eio_form form, bool binary, struct str bytes);
/* What eio_payload_add() would append at most. */
size_t eio_payload_cost(enum eio_form form, bool binary, struct str bytes);

/* Length in UTF-16 units of well-formed UTF-8. */
size_t eio_utf16_len(struct str text);

#endif
