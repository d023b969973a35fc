/* exchange_in: what the readers of the three exchanges share; private to wire/exchange_*.c.
 *
 * A frame is walked once with wire/scan and its members are kept as slices in slots (`struct str`
 * with a NULL ptr: absent), whatever their order; only when the whole frame was well-formed are
 * they read as numbers and times and given out. So half a frame never gives an event.
 * SPDX-License-Identifier: MIT */
#ifndef WIRE_EXCHANGE_IN_H
#define WIRE_EXCHANGE_IN_H
#include "wire/exchange.h"
#include "wire/scan.h"

#include <assert.h>

/* One reading under way. The first fault stays. */
struct reader {
    exchange_event_fn event;
    void *self;
    enum err err;
    const char *why;
};

/* Notes a fault; always false. */
bool reader_fail(struct reader *r, enum err e, const char *why);
/* The next value of the frame, as a slice: the digits of a number also when it is text, text
 * without its quotes, anything else as it stands; null as absent. */
struct str reader_value(struct scan *s);

/* A number above 0 (of a price, of a traded quantity). False, with the fault noted, when the slot
 * is absent or holds something else. */
bool reader_positive(struct reader *r, struct str slot, struct decimal *out, const char *why);
/* A number not below 0. */
bool reader_amount(struct reader *r, struct str slot, struct decimal *out, const char *why);
/* A whole number; absent: 0. */
bool reader_id(struct reader *r, struct str slot, uint64_t *out);
/* A time: RFC 3339 text, or a number of s, ms, us or ns (told by its size); absent: 0. */
bool reader_time(struct reader *r, struct str slot, int64_t *out_us);

/* A value that may be absent: sets `*has` when it is there and not below 0. */
bool reader_optional(struct reader *r, struct str slot, struct decimal *out, bool *has);
/* Both sides of the book: `has_book` when both prices are there and above 0; a fault when one is
 * negative or no number. */
bool reader_book(struct reader *r, struct str bid, struct str bid_quantity, struct str ask,
                 struct str ask_quantity, struct exchange_event *e);
/* A percentage; absent: computed from price and open_24h where these are there. */
bool reader_change(struct reader *r, struct str slot, struct exchange_event *e);
/* open, high, low, close (into `price`), volume of a candle. */
bool reader_candle(struct reader *r, const struct str ohlcv[5], struct exchange_event *e);

/* "buy", "BUY" and so on. */
enum side side_of(struct str slot);
enum side side_opposite(enum side s);
/* Gives out an event without figures. */
void reader_say(struct reader *r, enum exchange_kind kind, struct str instrument, uint64_t id,
                struct str text);
enum err reader_end(struct reader *r, const char **why);

static inline bool slot_is(struct str slot, struct str text)
{
    return slot.len == text.len && memcmp(slot.ptr, text.ptr, text.len) == 0;
}

/* ---- for venues whose members have names: Coinbase and Kraken ---- */

#define SLOTS_MAX 32
#define SLOT_NONE SLOTS_MAX
/* The members of an object, each venue with an enum of its own. */
struct slots {
    struct str v[SLOTS_MAX];
};

/* In a venue's slot_of(): whether `key` is the literal. */
#define IS(literal) slot_is(key, STR(literal))

/* Takes the members of the next value. False: it is no object. `slot_of` says where a member goes;
 * SLOT_NONE: it is of no use to us. It is called for every member of every frame: to be inlined
 * with it, this is called in one place a venue, its take_members(). */
static inline bool slots_take(struct scan *s, unsigned (*slot_of)(struct str key), struct slots *m)
{
    struct str key;
    *m = (struct slots){0};
    if (!scan_object(s)) {
        return false;
    }
    while (scan_key(s, &key)) {
        unsigned slot = slot_of(key);
        if (slot != SLOT_NONE) {
            m->v[slot] = reader_value(s);
        } /* what is not taken is passed over by the next key */
    }
    return true;
}
typedef bool (*take_members_fn)(struct scan *s, struct slots *m);

/* The members of a whole frame. False, with the fault noted: it is no well-formed object. */
bool reader_frame(struct reader *r, struct str frame, take_members_fn take, struct slots *m);
/* Enters a list. False, with the fault noted: it is none. */
bool reader_list(struct reader *r, struct scan *s, struct str list, const char *why);
/* The members of an item of a list. False, with the fault noted: it is no object. */
bool reader_item(struct reader *r, struct scan *s, take_members_fn take, struct slots *m);

#endif
