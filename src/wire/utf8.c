/* SPDX-License-Identifier: MIT */
#include "wire/utf8.h"

#define HIGH_BITS 0x8080808080808080ULL
/* Range of the next byte: lowest in bits 0..7, highest in bits 8..15. */
#define RANGE(low, high) ((uint32_t)(low) | (uint32_t)(high) << 8)
#define ANY_CONTINUATION RANGE(0x80, 0xbf)

static inline uint64_t load8(const char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof(word));
    return word;
}

size_t utf8_ascii(const char *bytes, size_t len)
{
    size_t i = 0;
    while (len - i >= 32) {
        uint64_t any =
            load8(bytes + i) | load8(bytes + i + 8) | load8(bytes + i + 16) | load8(bytes + i + 24);
        if (any & HIGH_BITS) {
            break;
        }
        i += 32;
    }
    while (len - i >= 8 && !(load8(bytes + i) & HIGH_BITS)) {
        i += 8;
    }
    while (i < len && !((unsigned char)bytes[i] & 0x80)) {
        i++;
    }
    return i;
}

/* What a first byte asks for; false when no character starts with it. */
static inline bool lead(unsigned char byte, uint8_t *due, uint32_t *range)
{
    *range = ANY_CONTINUATION;
    if (byte >= 0xc2 && byte <= 0xdf) {
        *due = 1;
    } else if (byte >= 0xe0 && byte <= 0xef) {
        *due = 2;
        if (byte == 0xe0) {
            *range = RANGE(0xa0, 0xbf);
        } else if (byte == 0xed) {
            *range = RANGE(0x80, 0x9f);
        }
    } else if (byte >= 0xf0 && byte <= 0xf4) {
        *due = 3;
        if (byte == 0xf0) {
            *range = RANGE(0x90, 0xbf);
        } else if (byte == 0xf4) {
            *range = RANGE(0x80, 0x8f);
        }
    } else {
        return false;
    }
    return true;
}

size_t utf8_check(uint8_t *due, uint32_t *range, const char *bytes, size_t len)
{
    uint8_t n = *due;
    uint32_t r = *range;
    size_t i = 0;
    while (i < len) {
        unsigned char byte = (unsigned char)bytes[i];
        if (n) {
            if (byte < (r & 0xff) || byte > r >> 8) {
                return i;
            }
            n--;
            r = n ? ANY_CONTINUATION : 0;
            i++;
        } else if (byte < 0x80) {
            i += utf8_ascii(bytes + i, len - i);
        } else {
            if (!lead(byte, &n, &r)) {
                return i;
            }
            i++;
        }
    }
    *due = n;
    *range = r;
    return len;
}
