/* SPDX-License-Identifier: MIT */
#include "base/decimal.h"

#include <math.h>

__extension__ typedef __int128 int128;

static const int64_t powers[DECIMAL_PLACES_MAX + 1] = {
    1,
    10,
    100,
    1000,
    10000,
    100000,
    1000000,
    10000000,
    100000000,
    1000000000,
    10000000000,
    100000000000,
    1000000000000,
    10000000000000,
    100000000000000,
    1000000000000000,
    10000000000000000,
    100000000000000000,
    1000000000000000000,
};
#define MANTISSA_MAX (powers[DECIMAL_DIGITS_MAX] - 1)

static struct decimal trimmed(int64_t mantissa, int places)
{
    while (places > 0 && mantissa % 10 == 0) {
        mantissa /= 10;
        places--;
    }
    return (struct decimal){.mantissa = mantissa, .places = (uint8_t)places};
}

/* Drops the last `drop` digits, rounding half to even. */
static int64_t rounded(int64_t mantissa, int drop)
{
    if (drop > DECIMAL_PLACES_MAX) {
        return 0;
    }
    int64_t unit = powers[drop];
    int64_t whole = mantissa / unit;
    int64_t rest = mantissa % unit;
    int64_t twice = rest < 0 ? -rest : rest;
    int64_t half = unit / 2;
    if (unit > 1 && (twice > half || (twice == half && (whole & 1)))) {
        whole += mantissa < 0 ? -1 : 1;
    }
    return whole;
}

/* What a number's digits say, before the exponent is applied. */
struct digits {
    int64_t mantissa;
    int count;   /* significant digits in the mantissa */
    int places;  /* digits behind the point that are in the mantissa */
    int lost;    /* whole digits that did not fit */
    int first;   /* first digit left out; -1: none */
    bool sticky; /* something behind it is not 0 */
};

static void take_digit(struct digits *d, int digit, bool behind_point)
{
    if (d->count < DECIMAL_DIGITS_MAX && d->first < 0) {
        d->mantissa = d->mantissa * 10 + digit;
        d->count += d->mantissa != 0;
        d->places += behind_point;
        return;
    }
    if (d->first < 0) {
        d->first = digit;
    } else {
        d->sticky = d->sticky || digit != 0;
    }
    d->lost += !behind_point;
}

static bool read_exponent(const char *p, const char *end, int *exponent)
{
    bool negative = p < end && *p == '-';
    int value = 0;
    p += p < end && (*p == '-' || *p == '+');
    if (p == end) {
        return false;
    }
    for (; p < end; p++) {
        if (*p < '0' || *p > '9') {
            return false;
        }
        value = value < 10000 ? value * 10 + (*p - '0') : value;
    }
    *exponent = negative ? -value : value;
    return true;
}

/* Digits in front of and behind the point; gives where they end, NULL when they are no number. */
static const char *read_digits(const char *p, const char *end, struct digits *d)
{
    const char *start = p;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        take_digit(d, *p - '0', false);
    }
    if (p == start || (*start == '0' && p - start > 1)) {
        return NULL;
    }
    if (p < end && *p == '.') {
        start = ++p;
        for (; p < end && *p >= '0' && *p <= '9'; p++) {
            take_digit(d, *p - '0', true);
        }
        if (p == start) {
            return NULL;
        }
    }
    return p;
}

static enum err apply_exponent(struct digits *d, int exponent, bool negative, struct decimal *out)
{
    int places = d->places - d->lost - exponent;
    int64_t mantissa = d->mantissa;
    if (mantissa == 0) {
        *out = (struct decimal){0};
        return OK;
    }
    if (d->first > 5 || (d->first == 5 && (d->sticky || (mantissa & 1)))) {
        mantissa++;
    }
    while (places < 0) {
        if (mantissa > MANTISSA_MAX / 10) {
            return ERR_RANGE;
        }
        mantissa *= 10;
        places++;
    }
    if (places > DECIMAL_PLACES_MAX) {
        mantissa = rounded(mantissa, places - DECIMAL_PLACES_MAX);
        places = DECIMAL_PLACES_MAX;
    }
    *out = trimmed(negative ? -mantissa : mantissa, places);
    return OK;
}

enum err decimal_read(struct str text, struct decimal *out)
{
    const char *p = text.ptr;
    const char *end = text.ptr + text.len;
    struct digits d = {.first = -1};
    int exponent = 0;
    bool negative = text.len > 0 && *p == '-';
    p = text.len > 0 ? read_digits(p + negative, end, &d) : NULL;
    if (!p) {
        return ERR_SYNTAX;
    }
    if (p < end && ((*p != 'e' && *p != 'E') || !read_exponent(p + 1, end, &exponent))) {
        return ERR_SYNTAX;
    }
    return apply_exponent(&d, exponent, negative, out);
}

double decimal_double(struct decimal d)
{
    /* Both are exact below 2^53 and 10^22, so that one division rounds correctly. */
    return (double)d.mantissa / (double)powers[d.places];
}

struct decimal decimal_of(double value, uint8_t places)
{
    double scaled = value * (double)powers[places];
    if (!isfinite(scaled) || fabs(scaled) > (double)MANTISSA_MAX) {
        return (struct decimal){0};
    }
    return trimmed((int64_t)nearbyint(scaled), places);
}

int decimal_cmp(struct decimal a, struct decimal b)
{
    int128 x = (int128)a.mantissa * powers[b.places];
    int128 y = (int128)b.mantissa * powers[a.places];
    return x < y ? -1 : x > y;
}

struct decimal decimal_add(struct decimal a, struct decimal b)
{
    int places = a.places > b.places ? a.places : b.places;
    int128 sum = (int128)a.mantissa * powers[places - a.places] +
                 (int128)b.mantissa * powers[places - b.places];
    while (sum > MANTISSA_MAX || sum < -MANTISSA_MAX) {
        if (places == 0) {
            return (struct decimal){.mantissa = sum > 0 ? MANTISSA_MAX : -MANTISSA_MAX};
        }
        sum = (sum + (sum < 0 ? -5 : 5)) / 10;
        places--;
    }
    return trimmed((int64_t)sum, places);
}

struct decimal decimal_sub(struct decimal a, struct decimal b)
{
    b.mantissa = -b.mantissa;
    return decimal_add(a, b);
}

bool decimal_is_zero(struct decimal d)
{
    return d.mantissa == 0;
}

size_t decimal_text(struct decimal d, char out[DECIMAL_TEXT_LEN + 1])
{
    char digits[DECIMAL_TEXT_LEN + 1];
    uint64_t rest = d.mantissa < 0 ? (uint64_t)0 - (uint64_t)d.mantissa : (uint64_t)d.mantissa;
    size_t n = 0;
    size_t len = 0;
    while (rest > 0 || n <= d.places) { /* at least one digit in front of the point */
        digits[n++] = (char)('0' + rest % 10);
        rest /= 10;
    }
    if (d.mantissa < 0) {
        out[len++] = '-';
    }
    for (size_t i = n; i > 0; i--) {
        out[len++] = digits[i - 1];
        if (i - 1 == d.places && d.places > 0) {
            out[len++] = '.';
        }
    }
    out[len] = '\0';
    return len;
}

void decimal_write(struct buf *out, struct decimal d)
{
    char text[DECIMAL_TEXT_LEN + 1];
    buf_add(out, text, decimal_text(d, text));
}
