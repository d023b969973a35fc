/* socketio: packets of Socket.IO, revision 5 (socket.io 3.x and 4.x) and 4 (2.x): text in, slices
 * out. JSON is validated (wire/scan, SCAN_MAX_DEPTH deep) and never written anew. What a packet
 * means for whom is net/socketio's. Source: docs/socket.io-protocol of
 * github.com/socketio/socket.io.
 *
 *     <type>[<attachments>-][<namespace>,][<ack id>][JSON]          SPDX-License-Identifier: MIT */
#ifndef WIRE_SOCKETIO_H
#define WIRE_SOCKETIO_H
#include "base/buf.h"
#include "base/err.h"

#define SIO_MAX_NAMESPACE 1024
#define SIO_MAX_ACK_DIGITS 16
#define SIO_MAX_ATTACHMENTS 10

enum sio_type {
    SIO_CONNECT,
    SIO_DISCONNECT,
    SIO_EVENT,
    SIO_ACK,
    SIO_CONNECT_ERROR, /* in revision 4: error */
    SIO_BINARY_EVENT,
    SIO_BINARY_ACK,
};

struct sio_packet {
    enum sio_type type;
    unsigned attachments; /* binary messages that follow */
    struct str nsp;       /* "/" when the packet names none */
    struct str query;     /* revision 4: behind the '?' of the namespace, which is cut off there */
    struct str ack;       /* digits; empty: none */
    struct str data;      /* JSON; empty: none */
    /* Of an event: */
    bool event_is_number;
    struct str event; /* raw name: between the quotes, escapes not resolved; or the digits */
    struct str args;  /* JSON values behind the name, with the commas between them */
};

/* Checks all rules of a packet from a client, also those of the payload: an object or nothing
 * (CONNECT; nothing in revision 4), nothing (DISCONNECT), an array that starts with a number or a
 * name that is not reserved (events), an array (acks), placeholders that name an attachment
 * (binary). ERR_SYNTAX or ERR_LIMIT; *why is a fixed text. `revision` is 4 or 5. */
enum err sio_read(struct str text, unsigned revision, struct sio_packet *out,
                  const char **why) MUST_CHECK;

/* Appends a packet. `nsp` "/" is left out; `ack` and `json` may be empty. */
void sio_write(struct buf *out, enum sio_type type, unsigned attachments, struct str nsp,
               struct str ack, struct str json);

#endif
