/* SPDX-License-Identifier: MIT */
#include "wire/exchange_in.h"

#define SECONDS_2009 1230768000LL
#define SECONDS_2100 4102444800LL
#define US_2009 (SECONDS_2009 * 1000000)
#define US_2100 (SECONDS_2100 * 1000000)

const char *venue_name(enum venue v)
{
    static const char *const names[VENUE_COUNT] = {"binance", "coinbase", "kraken"};
    return names[v];
}

enum venue venue_of(struct str name)
{
    enum venue v = 0;
    while (v < VENUE_COUNT && !str_eq(name, str_of(venue_name(v)))) {
        v++;
    }
    return v;
}

enum err exchange_read_frame(enum venue v, struct str frame, exchange_event_fn event, void *self,
                             const char **why)
{
    static const exchange_read_fn read[VENUE_COUNT] = {binance_read_frame, coinbase_read_frame,
                                                       kraken_read_frame};
    return read[v](frame, event, self, why);
}

/* ---- names of instruments ---- */

static bool is_symbol(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!((s.ptr[i] >= 'A' && s.ptr[i] <= 'Z') || (s.ptr[i] >= '0' && s.ptr[i] <= '9'))) {
            return false;
        }
    }
    return s.len >= 1 && s.len <= EXCHANGE_SYMBOL_LEN;
}

bool exchange_split(enum venue v, struct str instrument, struct str *symbol, enum quote_unit *quote)
{
    struct str base = {0};
    struct str unit = {0};
    if (v == VENUE_BINANCE) {
        /* Names without a separator: of those that end in USD, most are other coins' (TUSD, FDUSD),
         * so that only USDT can be told. */
        size_t len = str_ends(instrument, STR("USDT")) ? instrument.len - 4 : 0;
        base = str_sub(instrument, 0, len);
        unit = str_from(instrument, len);
    } else {
        size_t at = str_find(instrument, v == VENUE_COINBASE ? '-' : '/', 0);
        base = at == SIZE_MAX ? base : str_sub(instrument, 0, at);
        unit = at == SIZE_MAX ? unit : str_from(instrument, at + 1);
    }
    bool usdt = str_eq(unit, STR("USDT"));
    if (!is_symbol(base) || (!usdt && !str_eq(unit, STR("USD")))) {
        return false;
    }
    *symbol = base;
    *quote = usdt ? QUOTE_USDT : QUOTE_USD;
    return true;
}

bool exchange_instrument(enum venue v, struct str symbol, struct buf *out)
{
    if (!is_symbol(symbol) || (v == VENUE_BINANCE && str_eq(symbol, STR("USDT")))) {
        return false;
    }
    static const char *const ends[VENUE_COUNT] = {"USDT", "-USD", "/USD"};
    buf_add_str(out, symbol);
    buf_add_str(out, str_of(ends[v]));
    return true;
}

struct str exchange_symbol_of(enum venue v, struct str symbol)
{
    if (v != VENUE_KRAKEN) {
        return symbol;
    }
    return str_eq(symbol, STR("XBT"))   ? STR("BTC")
           : str_eq(symbol, STR("XDG")) ? STR("DOGE")
                                        : symbol;
}

/* ---- what the readers share ---- */

bool reader_fail(struct reader *r, enum err e, const char *why)
{
    if (r->err == OK) {
        r->err = e;
        r->why = why;
    }
    return false;
}

enum err reader_end(struct reader *r, const char **why)
{
    if (r->err != OK) {
        *why = r->why;
    }
    return r->err;
}

struct str reader_value(struct scan *s)
{
    struct str raw = {0};
    if (!scan_number_or_text(s, &raw) && !scan_string(s, &raw) && !scan_null(s)) {
        (void)scan_skip(s, &raw);
    }
    return raw;
}

/* 0 and OK for what is absent. */
static enum err read_decimal(struct str slot, struct decimal *out)
{
    *out = (struct decimal){0};
    return slot.ptr ? decimal_read(slot, out) : OK;
}

bool reader_amount(struct reader *r, struct str slot, struct decimal *out, const char *why)
{
    enum err e = slot.ptr ? decimal_read(slot, out) : ERR_SYNTAX;
    e = e == OK && out->mantissa < 0 ? ERR_RANGE : e;
    return e == OK || reader_fail(r, e, why);
}

bool reader_positive(struct reader *r, struct str slot, struct decimal *out, const char *why)
{
    return reader_amount(r, slot, out, why) &&
           (out->mantissa > 0 || reader_fail(r, ERR_RANGE, why));
}

bool reader_id(struct reader *r, struct str slot, uint64_t *out)
{
    *out = 0;
    enum err e = slot.ptr ? str_to_u64(slot, out) : OK;
    return e == OK || reader_fail(r, e, "an id that is no whole number");
}

bool reader_optional(struct reader *r, struct str slot, struct decimal *out, bool *has)
{
    if (!slot.ptr) {
        return true;
    }
    *has = reader_amount(r, slot, out, "a figure of the day that cannot be");
    return *has;
}

bool reader_book(struct reader *r, struct str bid, struct str bid_quantity, struct str ask,
                 struct str ask_quantity, struct exchange_event *e)
{
    if (read_decimal(bid, &e->bid) != OK || read_decimal(ask, &e->ask) != OK ||
        read_decimal(bid_quantity, &e->bid_quantity) != OK ||
        read_decimal(ask_quantity, &e->ask_quantity) != OK) {
        return reader_fail(r, ERR_SYNTAX, "a side of the book that is no number");
    }
    if (e->bid.mantissa < 0 || e->ask.mantissa < 0 || e->bid_quantity.mantissa < 0 ||
        e->ask_quantity.mantissa < 0) {
        return reader_fail(r, ERR_RANGE, "a side of the book below 0");
    }
    e->has_book = e->bid.mantissa > 0 && e->ask.mantissa > 0;
    return true;
}

bool reader_change(struct reader *r, struct str slot, struct exchange_event *e)
{
    if (slot.ptr) {
        e->has_change = str_to_double(slot, &e->change_24h_pct) == OK;
        return e->has_change || reader_fail(r, ERR_SYNTAX, "a change of 24 h that is no number");
    }
    if (e->has_open && e->open_24h.mantissa > 0 && e->price.mantissa > 0) {
        double open = decimal_double(e->open_24h);
        e->change_24h_pct = (decimal_double(e->price) - open) / open * 100;
        e->has_change = true;
    }
    return true;
}

bool reader_candle(struct reader *r, const struct str ohlcv[5], struct exchange_event *e)
{
    static const char why[] = "a candle with a price that cannot be";
    if (!reader_positive(r, ohlcv[0], &e->open_24h, why) ||
        !reader_positive(r, ohlcv[1], &e->high_24h, why) ||
        !reader_positive(r, ohlcv[2], &e->low_24h, why) ||
        !reader_positive(r, ohlcv[3], &e->price, why) ||
        !reader_amount(r, ohlcv[4], &e->volume_24h, "a candle's volume that cannot be")) {
        return false;
    }
    if (decimal_cmp(e->low_24h, e->open_24h) > 0 || decimal_cmp(e->low_24h, e->price) > 0 ||
        decimal_cmp(e->high_24h, e->open_24h) < 0 || decimal_cmp(e->high_24h, e->price) < 0) {
        return reader_fail(r, ERR_RANGE, "a candle whose prices contradict each other");
    }
    e->has_open = e->has_range = e->has_volume = true;
    return true;
}

enum side side_of(struct str slot)
{
    return str_eq_nocase(slot, STR("buy"))    ? SIDE_BUY
           : str_eq_nocase(slot, STR("sell")) ? SIDE_SELL
                                              : SIDE_UNKNOWN;
}

enum side side_opposite(enum side s)
{
    return s == SIDE_BUY ? SIDE_SELL : s == SIDE_SELL ? SIDE_BUY : SIDE_UNKNOWN;
}

void reader_say(struct reader *r, enum exchange_kind kind, struct str instrument, uint64_t id,
                struct str text)
{
    struct exchange_event e = {.kind = kind, .instrument = instrument, .id = id, .text = text};
    r->event(r->self, &e);
}

bool reader_frame(struct reader *r, struct str frame, take_members_fn take, struct slots *m)
{
    struct scan s;
    scan_begin(&s, frame);
    bool object = take(&s, m);
    if (scan_end(&s) != OK) {
        return reader_fail(r, ERR_SYNTAX, s.error);
    }
    return object || reader_fail(r, ERR_UNSUPPORTED, "no object");
}

bool reader_list(struct reader *r, struct scan *s, struct str list, const char *why)
{
    scan_begin(s, list);
    return scan_array(s) || reader_fail(r, ERR_SYNTAX, why);
}

bool reader_item(struct reader *r, struct scan *s, take_members_fn take, struct slots *m)
{
    return take(s, m) || reader_fail(r, ERR_SYNTAX, "a list of something else than objects");
}

/* ---- times ---- */

/* `count` digits at `at` as a number; -1 when one is none. */
static int digits_at(const char *at, int count)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (at[i] < '0' || at[i] > '9') {
            return -1;
        }
        value = value * 10 + (at[i] - '0');
    }
    return value;
}

/* Days from 1970-01-01 (Howard Hinnant, chrono-Compatible Low-Level Date Algorithms). */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* "2026-10-03T20:58:30.560234Z", 0 to 9 places, `Z` or `+00:00`. */
static bool time_of_text(struct str s, int64_t *out_us)
{
    if (s.len < 20 || s.ptr[4] != '-' || s.ptr[7] != '-' || s.ptr[10] != 'T' || s.ptr[13] != ':' ||
        s.ptr[16] != ':') {
        return false;
    }
    int year = digits_at(s.ptr, 4);
    int month = digits_at(s.ptr + 5, 2);
    int day = digits_at(s.ptr + 8, 2);
    int hour = digits_at(s.ptr + 11, 2);
    int minute = digits_at(s.ptr + 14, 2);
    int second = digits_at(s.ptr + 17, 2);
    if (year < 0 || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 || hour > 23 ||
        minute < 0 || minute > 59 || second < 0 || second > 60) {
        return false;
    }
    int64_t us = 0;
    size_t i = 19;
    if (s.ptr[i] == '.') {
        int64_t unit = 100000;
        for (i++; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9'; i++, unit /= 10) {
            us += unit * (s.ptr[i] - '0');
        }
    }
    struct str zone = str_from(s, i);
    if (!slot_is(zone, STR("Z")) && !slot_is(zone, STR("+00:00"))) {
        return false;
    }
    int64_t seconds = (days_of(year, month, day) * 24 + hour) * 3600 + minute * 60 + second;
    *out_us = seconds * 1000000 + us;
    return true;
}

bool exchange_time(struct str text, int64_t *out_us)
{
    uint64_t number = 0;
    int64_t us = 0;
    if (text.len >= 20 && text.ptr[4] == '-') {
        if (!time_of_text(text, &us)) {
            return false;
        }
    } else if (str_to_u64(text, &number) != OK || number > INT64_MAX) {
        return false;
    } else {
        /* The sizes are far apart for the years that pass below. */
        us = number < 100000000000ULL         ? (int64_t)number * 1000000
             : number < 100000000000000ULL    ? (int64_t)number * 1000
             : number < 100000000000000000ULL ? (int64_t)number
                                              : (int64_t)number / 1000;
    }
    *out_us = us;
    return us >= US_2009 && us < US_2100;
}

bool reader_time(struct reader *r, struct str slot, int64_t *out_us)
{
    *out_us = 0;
    return !slot.ptr || exchange_time(slot, out_us) ||
           reader_fail(r, ERR_RANGE, "a time that cannot be");
}
