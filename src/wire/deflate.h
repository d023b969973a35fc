/* deflate: permessage-deflate (RFC 7692): negotiation, compression of whole messages, bounded
 * inflation. The one gate to zlib.
 *
 * Our server always asks for both no_context_takeover parameters in normal service, so that one
 * compressed frame serves every client (policy `shared`); conformance mode accepts every negotiable
 * parameter with contexts of its own a connection. SPDX-License-Identifier: MIT */
#ifndef WIRE_DEFLATE_H
#define WIRE_DEFLATE_H
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct deflate_params {
    bool server_no_context_takeover, client_no_context_takeover;
    uint8_t server_max_window_bits, client_max_window_bits; /* 9..15 */
};

struct deflate_policy {
    bool shared;                /* insist on both no_context_takeover */
    uint8_t server_window_bits; /* largest window we compress with (9..15), e.g. 10 when shared */
};

/* Server: reads all Sec-WebSocket-Extensions values joined by commas, takes the first acceptable
 * permessage-deflate offer and appends the response value. ERR_NOT_FOUND: none offered or none
 * acceptable (go on without). ERR_SYNTAX: the header is malformed. An offer of
 * server_max_window_bits smaller than `policy->server_window_bits` is refused when shared. Windows
 * of 8 bits can't be made by zlib: such an offer is declined. */
enum err deflate_negotiate(struct str offers, const struct deflate_policy *policy,
                           struct deflate_params *out, struct buf *response) MUST_CHECK;
/* Client: checks the server's answer to our offer. ERR_PROTOCOL: not what RFC 7692 allows. */
enum err deflate_accept(struct str answer, struct deflate_params *out) MUST_CHECK;
/* The offer our clients make. */
struct str deflate_offer(void);

/* ---- compression; one object per thread (shared) or per connection (takeover) ---- */

struct deflater;
struct deflater *deflater_new(uint8_t window_bits, int level, int mem_level);
void deflater_free(struct deflater *d);
/* Appends the compressed message, its trailing 00 00 ff ff removed. `reset`: forget what came
 * before and after (no context takeover). ERR_LIMIT when `out` is full. */
enum err deflater_message(struct deflater *d, struct str message, bool reset,
                          struct buf *out) MUST_CHECK;

/* ---- inflation, piece by piece ---- */

struct inflater;
struct inflater *inflater_new(uint8_t window_bits);
void inflater_free(struct inflater *i);
/* Appends what `piece` inflates to; `last`: the message's end (the tail 00 00 ff ff is added here).
 * `out`'s ceiling bounds the inflated size: ERR_LIMIT. ERR_SYNTAX: not a deflate stream. After a
 * message: `reset` forgets the context. */
enum err inflater_piece(struct inflater *i, struct str piece, bool last, bool reset,
                        struct buf *out) MUST_CHECK;
/* Bytes this object holds, for the memory metrics. */
size_t inflater_bytes(const struct inflater *i);
size_t deflater_bytes(const struct deflater *d);

/* gzip (RFC 1952) of whole bodies, for fixtures and embedded pages. */
enum err gzip_inflate(struct str body, struct buf *out) MUST_CHECK;

#endif
