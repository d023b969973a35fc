/* utf8: the streaming check of RFC 3629 that both ws and scan stand on.
 *
 * The state between two pieces is two numbers, all zero between characters: how many continuation
 * bytes are due, and which range the next one must lie in (that range is what forbids overlong
 * forms, surrogates and what lies beyond U+10FFFF at the first byte that shows it).
 * SPDX-License-Identifier: MIT */
#ifndef WIRE_UTF8_H
#define WIRE_UTF8_H
#include "base/base.h"

/* Index of the first byte that makes the text invalid; `len` when there is none so far. Moves the
 * state on; after an invalid byte the state is of no use. */
size_t utf8_check(uint8_t *due, uint32_t *range, const char *bytes, size_t len);
/* How many bytes at the start are ASCII. */
size_t utf8_ascii(const char *bytes, size_t len);

#endif
