/* str: a borrowed slice of text, and the ways between text and numbers.
 *
 * A struct str never owns and is not NUL-terminated; what it points to must outlive it. A zeroed
 * struct str is the empty text. The number readers take the whole slice or fail: no sign that is
 * not asked for, no spaces, nothing behind. SPDX-License-Identifier: MIT */
#ifndef BASE_STR_H
#define BASE_STR_H
#include "base/base.h"
#include "base/err.h"

struct str {
    const char *ptr;
    size_t len;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
/* For printf's "%.*s". */
#define STR_ARG(s) (int)(s).len, (s).ptr

static inline struct str str_make(const char *ptr, size_t len)
{
    return (struct str){ptr, len};
}

struct str str_of(const char *text);
bool str_eq(struct str a, struct str b);
/* ASCII letters compare equal in either case. */
bool str_eq_nocase(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
int str_cmp(struct str a, struct str b);
/* The rest of `s` from `from` on; empty when `from` is beyond the end. */
struct str str_from(struct str s, size_t from);
struct str str_sub(struct str s, size_t from, size_t len);
/* Without spaces and tabs at both ends. */
struct str str_trim(struct str s);
/* Index of the first `c` at or after `from`, or SIZE_MAX. */
size_t str_find(struct str s, char c, size_t from);
/* Index of `needle`, or SIZE_MAX. */
size_t str_find_str(struct str s, struct str needle);
/* Cuts the part before the next `sep` off `*rest` and gives it; false when nothing is left. "a,,b"
 * gives three parts, "a," one, "" none. */
bool str_next(struct str *rest, char sep, struct str *part);

/* Decimal digits only; ERR_SYNTAX, or ERR_RANGE when it does not fit. */
enum err str_to_u64(struct str s, uint64_t *out) MUST_CHECK;
enum err str_to_i64(struct str s, int64_t *out) MUST_CHECK;
/* A JSON number (no nan, inf, hex, leading '+' or spaces), correctly rounded. ERR_RANGE when not
 * finite. Does not depend on the locale. */
enum err str_to_double(struct str s, double *out) MUST_CHECK;

/* FNV-1a with a final mix, seeded per process so that outsiders cannot choose collisions. */
uint64_t str_hash(struct str s);
/* Sets the seed; once, before the first hash. */
void str_hash_seed(uint64_t seed);
/* Equal in content, in a time that depends on the lengths only: for secrets. */
bool str_eq_secret(struct str a, struct str b);
/* Whether it is well-formed UTF-8 (RFC 3629: no surrogates, nothing overlong, up to U+10FFFF). */
bool str_is_utf8(struct str s);

#endif
