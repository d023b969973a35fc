/* SPDX-License-Identifier: MIT */
#include "tools/venue.h"

#include "tools/simulator.h"

#include <assert.h>
#include <math.h>

static const struct venue_rules {
    double basis;        /* its prices beside the market's */
    double volume_share; /* beside that of a sim_candle */
    double trade_share;
    const char *quote; /* as it ends names */
} rules[VENUE_COUNT] = {
    [VENUE_BINANCE] = {0, 1, 1, "USDT"},
    [VENUE_COINBASE] = {0.00008, 0.32, 0.5, "-USD"},
    [VENUE_KRAKEN] = {-0.00005, 0.11, 0.22, "/USD"},
};

static const int64_t powers[] = {
    1,           10,           100,           1000,           10000,
    100000,      1000000,      10000000,      100000000,      1000000000,
    10000000000, 100000000000, 1000000000000, 10000000000000, 100000000000000};

bool venue_lists(enum venue v, size_t symbol)
{
    static const char *const missing[VENUE_COUNT] = {
        [VENUE_BINANCE] = "USDT", [VENUE_COINBASE] = "USDC,TRX,TON", [VENUE_KRAKEN] = ""};
    struct str rest = str_of(missing[v]), one;
    while (symbol < SIM_NAMED && str_next(&rest, ',', &one)) {
        if (str_eq(one, str_of(sim_symbol_at(symbol)->symbol))) {
            return false;
        }
    }
    return true;
}

size_t venue_find(enum venue v, struct str instrument)
{
    struct str quote = str_of(rules[v].quote);
    if (!str_ends(instrument, quote)) {
        return SIZE_MAX;
    }
    struct str base = str_sub(instrument, 0, instrument.len - quote.len);
    size_t i = sim_find_symbol(base);
    return i != SIZE_MAX && str_eq(base, str_of(sim_symbol_at(i)->symbol)) && venue_lists(v, i)
               ? i
               : SIZE_MAX;
}

void venue_add_name(enum venue v, size_t symbol, struct buf *out)
{
    buf_add_str(out, str_of(sim_symbol_at(symbol)->symbol));
    buf_add_str(out, str_of(rules[v].quote));
}

int venue_price_decimals(enum venue v, size_t symbol)
{
    const struct sim_symbol *y = sim_symbol_at(symbol);
    return v == VENUE_KRAKEN && symbol == 0 ? 1 : y->decimals; /* of BTC */
}

/* Cheap coins trade in larger lots, so that a day's volume in lots stays exact in a double. */
int venue_lot_decimals(enum venue v, size_t symbol)
{
    double price = sim_symbol_at(symbol)->base_usd;
    if (price < 0.001) {
        return v == VENUE_BINANCE ? 0 : 2;
    }
    return price < 5 ? v == VENUE_BINANCE ? 2 : 5 : v == VENUE_BINANCE ? 5 : 8;
}

int64_t venue_ticks(enum venue v, size_t symbol, double usd)
{
    double ticks =
        round(usd * (1 + rules[v].basis) * (double)powers[venue_price_decimals(v, symbol)]);
    return ticks < 1 ? 1 : (int64_t)ticks;
}

double venue_volume_share(enum venue v)
{
    return rules[v].volume_share;
}

double venue_trade_share(enum venue v)
{
    return rules[v].trade_share;
}

void venue_add_units(struct buf *out, int64_t units, int decimals, int digits, bool trim)
{
    char text[64];
    size_t at = sizeof(text);
    assert(units >= 0 && digits >= decimals && digits < 20);
    int dropped = digits - decimals; /* zeros behind */
    bool keeping = !trim;
    for (int i = 0; i < dropped && keeping; i++) {
        text[--at] = '0';
    }
    for (int i = 0; i < decimals; i++) {
        int digit = (int)(units % 10);
        units /= 10;
        keeping = keeping || digit;
        if (keeping) {
            text[--at] = (char)('0' + digit);
        }
    }
    if (keeping && digits > 0) {
        text[--at] = '.';
    }
    do {
        text[--at] = (char)('0' + units % 10);
        units /= 10;
    } while (units);
    buf_add(out, text + at, sizeof(text) - at);
}

double venue_scale(int decimals)
{
    return (double)powers[decimals];
}

double venue_to_double(int64_t units, int decimals)
{
    return (double)units / (double)powers[decimals];
}
