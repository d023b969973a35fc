/* decimal: prices and amounts exactly as the digits on the wire: mantissa / 10^places.
 *
 * Up to 18 significant digits and 18 places. Trailing zeros behind the point are dropped when
 * reading ("61837.630000" is 61837.63), so that equal numbers have equal members. Pure values.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_DECIMAL_H
#define BASE_DECIMAL_H
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define DECIMAL_PLACES_MAX 18
#define DECIMAL_DIGITS_MAX 18

struct decimal {
    int64_t mantissa;
    uint8_t places; /* 0..18 */
};

/* Reads a JSON number ("1.5", "1e-7", "-0.10"). ERR_SYNTAX: not a number; ERR_RANGE: more whole
 * digits than fit. Places beyond what fits are rounded half to even. */
enum err decimal_read(struct str digits, struct decimal *out) MUST_CHECK;
/* The nearest double. */
double decimal_double(struct decimal d);
/* `value` rounded to that many places (0..18); zero where it is not finite or does not fit. */
struct decimal decimal_of(double value, uint8_t places);
/* <0, 0, >0; exact. */
int decimal_cmp(struct decimal a, struct decimal b);
/* a + b. A sum with too many digits loses places at its end (rounded). */
struct decimal decimal_add(struct decimal a, struct decimal b);
struct decimal decimal_sub(struct decimal a, struct decimal b);
bool decimal_is_zero(struct decimal d);
/* The digits, no exponent: "61837.63", "-0.1". */
void decimal_write(struct buf *out, struct decimal d);
/* The same into a text with its NUL; gives the length. */
#define DECIMAL_TEXT_LEN 21
size_t decimal_text(struct decimal d, char out[DECIMAL_TEXT_LEN + 1]);

#endif
