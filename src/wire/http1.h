/* http1: HTTP/1.1 messages (RFC 9112), strict, bytes in, slices out. No fd, no loop, no clock.
 *
 * A head is parsed when it is complete; slices point into the caller's bytes. Refused, each with
 * the status that fits: obs-fold, bare CR or LF, control bytes, space before the colon, duplicate
 * or bad Content-Length, Content-Length together with Transfer-Encoding, other codings than
 * chunked, missing or doubled Host in 1.1, absolute and authority targets we can't serve, anything
 * over a limit. SPDX-License-Identifier: MIT */
#ifndef WIRE_HTTP1_H
#define WIRE_HTTP1_H
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define HTTP_MAX_HEADERS 64

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_PATCH,
    HTTP_OPTIONS,
    HTTP_OTHER,
};

struct http_header {
    struct str name; /* as sent */
    struct str value;
};

struct http_limits {
    size_t max_head;    /* bytes of request line and headers; 0: 16 KiB */
    size_t max_headers; /* 0: HTTP_MAX_HEADERS */
    size_t max_target;  /* 0: 8 KiB */
};

struct http_request {
    enum http_method method;
    struct str method_text;
    struct str target; /* as sent */
    struct str path;   /* before '?', not decoded */
    struct str query;  /* behind '?', not decoded */
    uint8_t minor;     /* HTTP/1.minor, 0 or 1 */
    bool keep_alive;
    bool chunked;
    bool has_length;
    bool expect_continue;
    bool upgrade_websocket; /* Connection has upgrade and Upgrade has websocket */
    uint64_t content_length;
    struct str host;
    size_t header_count;
    struct http_header headers[HTTP_MAX_HEADERS];
};

struct http_response {
    unsigned status;
    uint8_t minor;
    bool keep_alive, chunked, has_length;
    uint64_t content_length;
    size_t header_count;
    struct http_header headers[HTTP_MAX_HEADERS];
};

/* OK: *head_len bytes make up the head. ERR_MORE: not complete yet (and still within limits).
 * Otherwise *status (400, 405 never, 408 never, 414, 417, 431, 501, 505) and *reason say what to
 * answer; the connection must be closed. Empty lines before the request line are skipped. */
enum err http_parse_request(struct str bytes, const struct http_limits *limits,
                            struct http_request *out, size_t *head_len, unsigned *status,
                            const char **reason) MUST_CHECK;
enum err http_parse_response(struct str bytes, const struct http_limits *limits,
                             struct http_response *out, size_t *head_len) MUST_CHECK;

/* First header of that name (any case); an empty slice with ptr NULL when absent. */
struct str http_header(const struct http_header *headers, size_t count, struct str name);
struct str http_request_header(const struct http_request *r, struct str name);
/* All values of a name, joined by ", " into `out`; false when there is none. */
bool http_request_header_all(const struct http_request *r, struct str name, struct buf *out);
/* Whether the comma-separated list value holds the token (any case). */
bool http_has_token(struct str list, struct str token);

/* Chunked bodies. Start zeroed. */
struct http_chunked {
    uint8_t phase;
    uint64_t remaining;
    uint32_t line_len; /* bytes of the current size line, or of all trailers, bounded */
    uint64_t total;
};
/* Takes a piece of body out of (*bytes, *len): OK with an empty *piece means more input is needed;
 * *done after the last chunk and its trailers (which are dropped). ERR_SYNTAX; ERR_LIMIT when the
 * body exceeds `max_body`. */
enum err http_chunked_next(struct http_chunked *c, char **bytes, size_t *len, uint64_t max_body,
                           struct str *piece, bool *done) MUST_CHECK;

/* Percent-decodes ("+" stays a plus unless `form`). ERR_SYNTAX for a bad escape or a NUL. */
enum err http_decode(struct str s, bool form, struct buf *out) MUST_CHECK;
/* The value of `name` in a query, decoded; ERR_NOT_FOUND, ERR_SYNTAX. The first one counts. */
enum err http_query(struct str query, struct str name, struct buf *out) MUST_CHECK;
/* Reason phrase of a status; "Unknown" else. */
const char *http_status_text(unsigned status);
const char *http_method_text(enum http_method m);

struct http_url {
    struct str scheme, host, path_query; /* path_query starts with '/' or is empty */
    uint16_t port;                       /* the scheme's default when absent */
};
/* http, https, ws, wss; [v6] hosts without their brackets; no user info. */
enum err http_parse_url(struct str url, struct http_url *out) MUST_CHECK;

#endif
