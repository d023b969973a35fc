/* Chunked bodies (RFC 9112, 7.1), to the letter: lines end with CR LF only, a size is hex digits
 * and nothing else, extensions and trailers are checked for form, bounded, and dropped.
 *
 *     SIZE_FIRST -> SIZE -> [EXTENSION] -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE_FIRST
 *                                             |
 *                                             +- size 0 -> TRAILER_FIRST -> END_LF -> DONE
 *                                                             |      ^
 *                                                             v      |
 *                                              TRAILER_NAME -> TRAILER_VALUE -> TRAILER_LF
 * SPDX-License-Identifier: MIT */
#include "wire/http1.h"

/* SIZE_FIRST is 0: a zeroed struct starts there. */
enum phase {
    SIZE_FIRST,
    SIZE,
    BEFORE_EXTENSION,
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_FIRST,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    END_LF,
    DONE,
    FAILED,
};

/* A size line and its extensions; all trailers together. Nobody needs more, and every byte of them
 * is work that brings no body. */
#define MAX_SIZE_LINE 256
#define MAX_TRAILERS 8192

static int hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_token(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c > ' ' && c < 0x7f && !memchr("\"(),/:;<=>?@[\\]{}", c, 17));
}

static bool is_field(char c)
{
    unsigned char byte = (unsigned char)c;
    return c == '\t' || (byte >= ' ' && byte != 0x7f);
}

static bool add_digit(struct http_chunked *c, int digit)
{
    return digit >= 0 && !__builtin_mul_overflow(c->remaining, (uint64_t)16, &c->remaining) &&
           !__builtin_add_overflow(c->remaining, (uint64_t)digit, &c->remaining);
}

/* The size is known. */
static enum err size_known(struct http_chunked *c, uint64_t max_body)
{
    uint64_t total = 0;
    if (__builtin_add_overflow(c->total, c->remaining, &total) || total > max_body) {
        return ERR_LIMIT;
    }
    c->total = total;
    c->line_len = 0;
    c->phase = c->remaining ? DATA : TRAILER_FIRST;
    return OK;
}

/* One byte of a size line. */
static enum err size_byte(struct http_chunked *c, char byte, uint64_t max_body)
{
    if (c->phase == SIZE_LF) {
        return byte == '\n' ? size_known(c, max_body) : ERR_SYNTAX;
    }
    if (++c->line_len > MAX_SIZE_LINE) {
        return ERR_LIMIT;
    }
    if (c->phase == SIZE_FIRST || (c->phase == SIZE && hex(byte) >= 0)) {
        c->phase = SIZE;
        return add_digit(c, hex(byte)) ? OK : ERR_SYNTAX;
    }
    if (byte == '\r' && c->phase != BEFORE_EXTENSION) {
        c->phase = SIZE_LF;
    } else if (byte == ';' && c->phase != EXTENSION) {
        c->phase = EXTENSION;
    } else if (c->phase != EXTENSION && (byte == ' ' || byte == '\t')) {
        c->phase = BEFORE_EXTENSION;
    } else if (c->phase != EXTENSION || !is_field(byte)) {
        return ERR_SYNTAX;
    }
    return OK;
}

/* One byte behind the last chunk. */
static enum err trailer_byte(struct http_chunked *c, char byte)
{
    if (c->phase == END_LF || c->phase == TRAILER_LF) {
        bool ok = byte == '\n';
        c->phase = !ok ? FAILED : c->phase == END_LF ? DONE : TRAILER_FIRST;
        return ok ? OK : ERR_SYNTAX;
    }
    if (++c->line_len > MAX_TRAILERS) {
        return ERR_LIMIT;
    }
    if (byte == '\r' && c->phase != TRAILER_NAME) {
        c->phase = c->phase == TRAILER_FIRST ? END_LF : TRAILER_LF;
    } else if (c->phase == TRAILER_VALUE) {
        return is_field(byte) ? OK : ERR_SYNTAX;
    } else if (c->phase == TRAILER_NAME && byte == ':') {
        c->phase = TRAILER_VALUE;
    } else if (is_token(byte)) {
        c->phase = TRAILER_NAME;
    } else {
        return ERR_SYNTAX;
    }
    return OK;
}

/* One byte that is not data. */
static enum err frame_byte(struct http_chunked *c, char byte, uint64_t max_body)
{
    switch ((enum phase)c->phase) {
    case SIZE_FIRST:
    case SIZE:
    case BEFORE_EXTENSION:
    case EXTENSION:
    case SIZE_LF:
        return size_byte(c, byte, max_body);
    case DATA_CR:
        c->phase = DATA_LF;
        return byte == '\r' ? OK : ERR_SYNTAX;
    case DATA_LF:
        c->phase = SIZE_FIRST;
        return byte == '\n' ? OK : ERR_SYNTAX;
    case TRAILER_FIRST:
    case TRAILER_NAME:
    case TRAILER_VALUE:
    case TRAILER_LF:
    case END_LF:
        return trailer_byte(c, byte);
    case DATA:
    case DONE:
    case FAILED:
        break;
    }
    return ERR_SYNTAX;
}

enum err http_chunked_next(struct http_chunked *c, char **bytes, size_t *len, uint64_t max_body,
                           struct str *piece, bool *done)
{
    *piece = (struct str){0};
    *done = false;
    while (*len && c->phase != DONE) {
        if (c->phase == DATA) {
            size_t n = (size_t)min_u64(c->remaining, *len);
            *piece = str_make(*bytes, n);
            *bytes += n;
            *len -= n;
            c->remaining -= n;
            c->phase = c->remaining ? DATA : DATA_CR;
            return OK;
        }
        enum err e = frame_byte(c, **bytes, max_body);
        if (e != OK) {
            c->phase = FAILED;
            return e;
        }
        (*bytes)++;
        (*len)--;
    }
    *done = c->phase == DONE;
    return OK;
}
