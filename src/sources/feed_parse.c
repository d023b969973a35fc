/* SPDX-License-Identifier: MIT */
#include "sources/feed_parse.h"

#include <math.h>

static bool next_digits(struct scan *s, struct str *digits)
{
    if (scan_number_or_text(s, digits)) {
        return true;
    }
    (void)scan_skip(s, NULL);
    return false;
}

bool feed_parse_decimal(struct scan *s, struct decimal *out)
{
    struct str digits;
    return next_digits(s, &digits) && decimal_read(digits, out) == OK && out->mantissa >= 0;
}

bool feed_parse_price(struct scan *s, struct decimal *out)
{
    return feed_parse_decimal(s, out) && out->mantissa > 0;
}

bool feed_parse_double(struct scan *s, double *out)
{
    struct str digits;
    return next_digits(s, &digits) && str_to_double(digits, out) == OK;
}

bool feed_parse_u64(struct scan *s, uint64_t *out)
{
    struct str digits;
    return next_digits(s, &digits) && str_to_u64(digits, out) == OK;
}

bool feed_parse_time_us(struct scan *s, int64_t *out)
{
    struct str text;
    struct decimal seconds;
    if (!scan_number_or_text(s, &text) && !scan_string(s, &text)) {
        (void)scan_skip(s, NULL);
        return false;
    }
    if (str_find(text, '.', 0) == SIZE_MAX || str_find(text, '-', 0) != SIZE_MAX) {
        return exchange_time(text, out);
    }
    /* Seconds with a fraction; the bounds are those of exchange_time(). */
    if (decimal_read(text, &seconds) != OK) {
        return false;
    }
    struct str whole = str_sub(text, 0, str_find(text, '.', 0));
    int64_t fraction = seconds.mantissa;
    for (int i = seconds.places; i < 6; i++) {
        if (__builtin_mul_overflow(fraction, 10, &fraction)) {
            return false;
        }
    }
    for (int i = 6; i < seconds.places; i++) {
        fraction /= 10;
    }
    if (!exchange_time(whole, out)) {
        return false;
    }
    *out = fraction;
    return true;
}

bool feed_symbol_of(enum venue v, struct str instrument, struct str *symbol)
{
    enum quote_unit quote;
    enum quote_unit own = v == VENUE_BINANCE ? QUOTE_USDT : QUOTE_USD;
    if (!exchange_split(v, instrument, symbol, &quote) || quote != own) {
        return false;
    }
    *symbol = exchange_symbol_of(v, *symbol);
    return true;
}

enum err feed_parse_end(struct scan *s, bool well, const char *fault, const char **why)
{
    if (scan_end(s) != OK) {
        *why = s->error;
        return ERR_SYNTAX;
    }
    if (!well) {
        *why = fault;
        return ERR_UNAVAILABLE;
    }
    return OK;
}

enum err feed_parse_trades(struct str rows, feed_read_trade_fn read, exchange_event_fn trade,
                           void *self, const char **why)
{
    struct scan s;
    scan_begin(&s, rows);
    bool well = scan_array(&s);
    while (well && scan_item(&s)) {
        struct exchange_event e = {.kind = EX_TRADE};
        well = read(&s, &e);
        if (well) {
            e.first_id = e.id;
            trade(self, &e);
        }
    }
    return feed_parse_end(&s, well, "an answer that is no list of trades", why);
}

/* Prices that do not contradict each other. */
static bool is_sane(const struct candle *c)
{
    return decimal_cmp(c->low, c->open) <= 0 && decimal_cmp(c->low, c->close) <= 0 &&
           decimal_cmp(c->high, c->open) >= 0 && decimal_cmp(c->high, c->close) >= 0;
}

enum err feed_parse_candles(struct str rows, feed_read_candle_fn read, feed_candle_fn candle,
                            void *self, const char **why)
{
    struct scan s;
    scan_begin(&s, rows);
    bool well = scan_array(&s);
    while (well && scan_item(&s)) {
        struct candle c = {.quote_volume = NAN, .taker_buy = NAN};
        well = scan_array(&s) && read(&s, &c) && is_sane(&c);
        while (well && scan_item(&s)) {
        }
        if (well) {
            candle(self, &c);
        }
    }
    return feed_parse_end(&s, well, "an answer that is no list of candles", why);
}
