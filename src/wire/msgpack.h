/* msgpack: JSON text to MessagePack and back, value for value. The one gate to msgpack-c.
 *
 * Whole numbers that fit become integers, other numbers float64; on the way back a float64 gets the
 * shortest digits that read back as the same value. Nothing of the bytes is trusted.
 * SPDX-License-Identifier: MIT */
#ifndef WIRE_MSGPACK_H
#define WIRE_MSGPACK_H
#include "base/buf.h"
#include "base/err.h"

/* As deep as arrays and objects may be nested. */
#define MSGPACK_MAX_DEPTH 32

/* Appends one JSON document as MessagePack. ERR_SYNTAX: not JSON, or nested too deep. ERR_RANGE: a
 * number beyond a double. ERR_LIMIT: `out` is full. On error `out` is as it was. */
enum err msgpack_of_json(struct str json, struct buf *out) MUST_CHECK;
/* Appends one MessagePack document as JSON text. ERR_SYNTAX: cut short, bytes behind it, nested too
 * deep, or text that is not UTF-8. ERR_UNSUPPORTED: what JSON can't say (binary, extensions, keys
 * that are no text, numbers that are not finite). ERR_LIMIT: `out` is full; with a ceiling of its
 * own `out` bounds the work. On error `out` is as it was. */
enum err msgpack_to_json(struct str bytes, struct buf *out) MUST_CHECK;

#endif
