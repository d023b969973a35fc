/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <time.h>

static struct clock real_clock;

struct clock *clock_real(void)
{
    return &real_clock;
}

void clock_init_virtual(struct clock *c, uint64_t mono_ms, int64_t wall_unix_ms)
{
    *c = (struct clock){
        .is_virtual = true, .mono_us = mono_ms * 1000, .wall_us = wall_unix_ms * 1000};
}

void clock_advance_us(struct clock *c, uint64_t us)
{
    __atomic_fetch_add(&c->mono_us, us, __ATOMIC_RELAXED);
    __atomic_fetch_add(&c->wall_us, (int64_t)us, __ATOMIC_RELAXED);
}

void clock_set_wall_us(struct clock *c, int64_t unix_us)
{
    __atomic_store_n(&c->wall_us, unix_us, __ATOMIC_RELAXED);
}

void clock_release(struct clock *c)
{
    if (c->is_virtual) {
        c->mono_ahead_us = clock_mono_us(c) - clock_mono_us(&real_clock);
        c->wall_ahead_us = clock_wall_us(c) - clock_wall_us(&real_clock);
        __atomic_store_n(&c->is_virtual, false, __ATOMIC_RELEASE);
    }
}

/* What clock_release() wrote before is seen by whoever sees false. */
static bool stands(const struct clock *c)
{
    return __atomic_load_n(&c->is_virtual, __ATOMIC_ACQUIRE);
}

uint64_t clock_mono_us(const struct clock *c)
{
    if (stands(c)) {
        return __atomic_load_n(&c->mono_us, __ATOMIC_RELAXED);
    }
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    /* Ahead may be "negative": the sum wraps around to what is meant. */
    return (uint64_t)t.tv_sec * 1000000U + (uint64_t)t.tv_nsec / 1000U + c->mono_ahead_us;
}

uint64_t clock_mono_ms(const struct clock *c)
{
    return clock_mono_us(c) / 1000;
}

int64_t clock_wall_us(const struct clock *c)
{
    if (stands(c)) {
        return __atomic_load_n(&c->wall_us, __ATOMIC_RELAXED);
    }
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000 + c->wall_ahead_us;
}

int64_t clock_wall_ms(const struct clock *c)
{
    return clock_wall_us(c) / 1000;
}

/* Days since 1970-01-01 of a proleptic Gregorian date (H. Hinnant, "chrono-compatible low-level
 * date algorithms", days_from_civil). */
static int64_t days_from_civil(int64_t y, unsigned m, unsigned d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    unsigned yoe = (unsigned)(y - era * 400);
    unsigned doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + (int64_t)doe - 719468;
}

static void put_digits(char *out, unsigned value, unsigned count)
{
    while (count--) {
        out[count] = (char)('0' + value % 10);
        value /= 10;
    }
}

void clock_format_rfc3339(int64_t unix_ms, char out[CLOCK_RFC3339_LEN + 1])
{
    int64_t days = unix_ms / 86400000;
    int64_t rest = unix_ms % 86400000;
    if (rest < 0) {
        rest += 86400000;
        days--;
    }
    /* civil_from_days, the same source */
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    unsigned doe = (unsigned)(z - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    unsigned day = doy - (153 * mp + 2) / 5 + 1;
    unsigned month = mp < 10 ? mp + 3 : mp - 9;
    int64_t year = (int64_t)yoe + era * 400 + (month <= 2);
    unsigned ms = (unsigned)rest;
    memcpy(out, "0000-00-00T00:00:00.000Z", CLOCK_RFC3339_LEN + 1);
    put_digits(out, (unsigned)(year < 0 ? 0 : year > 9999 ? 9999 : year), 4);
    put_digits(out + 5, month, 2);
    put_digits(out + 8, day, 2);
    put_digits(out + 11, ms / 3600000, 2);
    put_digits(out + 14, ms / 60000 % 60, 2);
    put_digits(out + 17, ms / 1000 % 60, 2);
    put_digits(out + 20, ms % 1000, 3);
}

/* `count` digits at `at`, as a number; false when they are not all digits. */
static bool take_digits(struct str s, size_t at, size_t count, unsigned *out)
{
    uint64_t value = 0;
    if (at + count > s.len || str_to_u64(str_sub(s, at, count), &value) != OK) {
        return false;
    }
    *out = (unsigned)value;
    return true;
}

static bool valid_date(unsigned y, unsigned mo, unsigned d)
{
    static const unsigned char days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (mo < 1 || mo > 12 || d < 1 || d > days[mo - 1]) {
        return false;
    }
    return !(mo == 2 && d == 29 && (y % 4 != 0 || (y % 100 == 0 && y % 400 != 0)));
}

/* Z, +hh:mm or -hh:mm from `at` to the end: minutes east of UTC. */
static bool take_offset(struct str s, size_t at, int *minutes)
{
    unsigned h = 0;
    unsigned m = 0;
    if (at + 1 == s.len && (s.ptr[at] == 'Z' || s.ptr[at] == 'z')) {
        *minutes = 0;
        return true;
    }
    if (at + 6 != s.len || (s.ptr[at] != '+' && s.ptr[at] != '-') || s.ptr[at + 3] != ':' ||
        !take_digits(s, at + 1, 2, &h) || !take_digits(s, at + 4, 2, &m) || h > 23 || m > 59) {
        return false;
    }
    *minutes = (int)(h * 60 + m) * (s.ptr[at] == '-' ? -1 : 1);
    return true;
}

enum err clock_parse_rfc3339(struct str s, int64_t *unix_ms)
{
    unsigned y = 0, mo = 0, d = 0, h = 0, mi = 0, sec = 0, ms = 0;
    if (s.len < 20 || s.ptr[4] != '-' || s.ptr[7] != '-' ||
        (s.ptr[10] != 'T' && s.ptr[10] != 't' && s.ptr[10] != ' ') || s.ptr[13] != ':' ||
        s.ptr[16] != ':' || !take_digits(s, 0, 4, &y) || !take_digits(s, 5, 2, &mo) ||
        !take_digits(s, 8, 2, &d) || !take_digits(s, 11, 2, &h) || !take_digits(s, 14, 2, &mi) ||
        !take_digits(s, 17, 2, &sec)) {
        return ERR_SYNTAX;
    }
    if (!valid_date(y, mo, d) || h > 23 || mi > 59 || sec > 60) {
        return ERR_RANGE;
    }
    size_t at = 19;
    if (s.ptr[at] == '.') {
        unsigned scale = 100;
        size_t first = ++at;
        for (; at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9'; at++) {
            ms += (unsigned)(s.ptr[at] - '0') * scale;
            scale /= 10;
        }
        if (at == first) {
            return ERR_SYNTAX;
        }
    }
    int offset = 0;
    if (at >= s.len || !take_offset(s, at, &offset)) {
        return ERR_SYNTAX;
    }
    int64_t seconds = days_from_civil(y, mo, d) * 86400 + h * 3600 + mi * 60 + sec - offset * 60;
    *unix_ms = seconds * 1000 + ms;
    return OK;
}

enum err clock_parse_http_date(struct str s, int64_t *unix_ms)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    unsigned d = 0, y = 0, h = 0, mi = 0, sec = 0;
    if (s.len != 29 || s.ptr[3] != ',' || !str_ends(s, STR(" GMT")) || !take_digits(s, 5, 2, &d) ||
        !take_digits(s, 12, 4, &y) || !take_digits(s, 17, 2, &h) || !take_digits(s, 20, 2, &mi) ||
        !take_digits(s, 23, 2, &sec)) {
        return ERR_SYNTAX;
    }
    size_t at = str_find_str(str_of(months), str_sub(s, 8, 3));
    if (at == SIZE_MAX || at % 3 != 0) {
        return ERR_SYNTAX;
    }
    unsigned mo = (unsigned)(at / 3 + 1);
    if (!valid_date(y, mo, d) || h > 23 || mi > 59 || sec > 60) {
        return ERR_RANGE;
    }
    *unix_ms = (days_from_civil(y, mo, d) * 86400 + h * 3600 + mi * 60 + sec) * 1000;
    return OK;
}
