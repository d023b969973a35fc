/* gzip: unpacks a gzip file (RFC 1952, also several members in a row) piece by piece; bytes that
 * are not gzip pass through as they are, so that a reader of files need not ask which it has.
 *
 * The first byte tells: a gzip file begins with 1f, which no line of text does. What comes out of
 * one call is bounded by the caller, however well the input was compressed.
 * SPDX-License-Identifier: MIT */
#ifndef WIRE_GZIP_H
#define WIRE_GZIP_H
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct gunzip;
struct gunzip *gunzip_new(void);
void gunzip_free(struct gunzip *g);
/* Cuts from the front of `*in` what it takes and appends at most `max` (> 0) bytes to `out`.
 * OK: `out` got its `max`, call again, also with nothing left in `*in`. ERR_MORE: all of `*in` is
 * taken and unpacked. ERR_SYNTAX: damaged, or something else behind the last member; sticks.
 * ERR_LIMIT: the ceiling of `out`. */
enum err gunzip_some(struct gunzip *g, struct str *in, struct buf *out, size_t max) MUST_CHECK;
/* Whether the input may end here: ERR_SYNTAX in the middle of a member. */
enum err gunzip_end(const struct gunzip *g) MUST_CHECK;

#endif
