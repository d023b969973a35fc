/* clock: the only place that reads time, and replaceable as a whole.
 *
 * Monotonic time drives deadlines, wall time goes into messages. A virtual clock (tests, replay)
 * moves only when told, until it is released. A clock may be read from any thread; a virtual one is
 * moved by one.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H
#include "base/buf.h"

struct clock {
    bool is_virtual;
    /* private: a virtual clock's state, microseconds */
    uint64_t mono_us;
    int64_t wall_us;
    uint64_t mono_ahead_us; /* of the machine's, when released */
    int64_t wall_ahead_us;
};

/* The machine's clock; shared, never freed. */
struct clock *clock_real(void);
/* A clock that stands at `wall_unix_ms` and monotonic `mono_ms`. */
void clock_init_virtual(struct clock *c, uint64_t mono_ms, int64_t wall_unix_ms);
/* Moves a virtual clock. */
void clock_advance_us(struct clock *c, uint64_t us);
/* Sets a virtual clock's wall time; its monotonic time stays. */
void clock_set_wall_us(struct clock *c, int64_t unix_us);
/* Ends a virtual clock's being virtual: from now on it goes with the machine's, from where it
 * stands. */
void clock_release(struct clock *c);

uint64_t clock_mono_us(const struct clock *c);
uint64_t clock_mono_ms(const struct clock *c);
int64_t clock_wall_us(const struct clock *c);
int64_t clock_wall_ms(const struct clock *c);

/* Unix milliseconds as RFC 3339 UTC with milliseconds, "2026-06-05T23:59:59.999Z" (24 bytes). */
#define CLOCK_RFC3339_LEN 24
void clock_format_rfc3339(int64_t unix_ms, char out[CLOCK_RFC3339_LEN + 1]);
/* Reads RFC 3339 with any number of fraction digits and Z or an offset. */
enum err clock_parse_rfc3339(struct str s, int64_t *unix_ms) MUST_CHECK;
/* "Tue, 18 May 2021 14:01:12 GMT" (RFC 9110 IMF-fixdate). */
enum err clock_parse_http_date(struct str s, int64_t *unix_ms) MUST_CHECK;

#endif
