/* err: the one set of error codes, 0 is OK. A code says what kind of thing went wrong; the sentence
 * for people is written by whoever decides what to do about it. SPDX-License-Identifier: MIT */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define ERR_TABLE(X)                          \
    X(OK, "ok")                               \
    X(ERR_SYNTAX, "malformed input")          \
    X(ERR_RANGE, "value out of range")        \
    X(ERR_LIMIT, "limit reached")             \
    X(ERR_MORE, "more input needed")          \
    X(ERR_NOT_FOUND, "not found")             \
    X(ERR_EXISTS, "exists already")           \
    X(ERR_BUSY, "in use or not now")          \
    X(ERR_TIMEOUT, "timed out")               \
    X(ERR_CLOSED, "closed by the other side") \
    X(ERR_REFUSED, "refused")                 \
    X(ERR_DENIED, "not permitted")            \
    X(ERR_UNSUPPORTED, "not supported here")  \
    X(ERR_UNAVAILABLE, "not available now")   \
    X(ERR_PROTOCOL, "protocol violated")      \
    X(ERR_TLS, "TLS failed")                  \
    X(ERR_IO, "input/output error")

enum err {
#define X(code, text) code,
    ERR_TABLE(X)
#undef X
};

/* The code's short text; never NULL. */
const char *err_text(enum err e);
/* The code that says best what an errno means. */
enum err err_from_errno(int errnum);

#endif
