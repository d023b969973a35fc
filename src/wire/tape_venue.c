/* Which venue a recorded message is from. SPDX-License-Identifier: MIT */
#include "wire/scan.h"
#include "wire/tape.h"

/* Members that tell, by name. Binance's events use single letters; its book ticker has no event
 * name but all of u, s, b, B, a, A. */
enum member {
    HAS_U = 1 << 0,
    HAS_S = 1 << 1,
    HAS_BID = 1 << 2,
    HAS_BID_SIZE = 1 << 3,
    HAS_ASK = 1 << 4,
    HAS_ASK_SIZE = 1 << 5,
    HAS_CHANNEL = 1 << 6,
    HAS_TYPE = 1 << 7,
    HAS_DATA = 1 << 8,
    HAS_PRODUCT = 1 << 9,
    HAS_CHANNELS = 1 << 10,
    HAS_METHOD = 1 << 11,
    HAS_ANSWER = 1 << 12, /* what only Kraken puts beside a method */
};
#define BOOK_TICKER (HAS_U | HAS_S | HAS_BID | HAS_BID_SIZE | HAS_ASK | HAS_ASK_SIZE)

static const struct {
    struct str name;
    unsigned bit;
} members[] = {
    {{"u", 1}, HAS_U},
    {{"s", 1}, HAS_S},
    {{"b", 1}, HAS_BID},
    {{"B", 1}, HAS_BID_SIZE},
    {{"a", 1}, HAS_ASK},
    {{"A", 1}, HAS_ASK_SIZE},
    {{"channel", 7}, HAS_CHANNEL},
    {{"type", 4}, HAS_TYPE},
    {{"data", 4}, HAS_DATA},
    {{"product_id", 10}, HAS_PRODUCT},
    {{"channels", 8}, HAS_CHANNELS},
    {{"method", 6}, HAS_METHOD},
    {{"success", 7}, HAS_ANSWER},
    {{"time_in", 7}, HAS_ANSWER},
};

const char *tape_venue_text(enum tape_venue v)
{
    switch (v) {
    case TAPE_VENUE_UNKNOWN:
        return "";
    case TAPE_VENUE_BINANCE:
        return "binance";
    case TAPE_VENUE_COINBASE:
    case TAPE_VENUE_COINBASE_ADVANCED:
        return "coinbase";
    case TAPE_VENUE_KRAKEN:
        return "kraken";
    }
    return "";
}

static bool has(unsigned seen, unsigned bits)
{
    return (seen & bits) == bits;
}

/* What the members seen so far leave no doubt about. */
static enum tape_venue sure(unsigned seen)
{
    if (has(seen, BOOK_TICKER)) {
        return TAPE_VENUE_BINANCE;
    }
    if (has(seen, HAS_TYPE | HAS_PRODUCT) || has(seen, HAS_TYPE | HAS_CHANNELS)) {
        return TAPE_VENUE_COINBASE;
    }
    if (has(seen, HAS_CHANNEL | HAS_DATA) || has(seen, HAS_METHOD | HAS_ANSWER)) {
        return TAPE_VENUE_KRAKEN;
    }
    return TAPE_VENUE_UNKNOWN;
}

enum tape_venue tape_venue_of_frame(struct str frame)
{
    struct scan s;
    struct str key, first = {0};
    unsigned seen = 0;
    scan_begin(&s, frame);
    if (!scan_object(&s)) {
        return TAPE_VENUE_UNKNOWN;
    }
    while (scan_key(&s, &key)) {
        first = first.len ? first : key;
        if (str_eq(key, STR("stream")) || str_eq(key, STR("e")) ||
            str_eq(key, STR("lastUpdateId"))) {
            return TAPE_VENUE_BINANCE;
        }
        if (str_eq(key, STR("sequence_num"))) {
            return TAPE_VENUE_COINBASE_ADVANCED;
        }
        for (size_t i = 0; i < ARRAY_LEN(members); i++) {
            seen |= str_eq(key, members[i].name) ? members[i].bit : 0;
        }
        if (sure(seen) != TAPE_VENUE_UNKNOWN) {
            return sure(seen);
        }
    }
    /* Kraken's heartbeat is {"channel":"heartbeat"} and nothing else. */
    return scan_end(&s) == OK && seen == HAS_CHANNEL && str_eq(first, STR("channel"))
               ? TAPE_VENUE_KRAKEN
               : TAPE_VENUE_UNKNOWN;
}

enum tape_venue tape_venue_of_url(struct str url)
{
    size_t from = str_find_str(url, STR("://"));
    struct str host = from == SIZE_MAX ? url : str_from(url, from + 3);
    size_t end = min_size(str_find(host, '/', 0), str_find(host, '?', 0));
    host = end == SIZE_MAX ? host : str_sub(host, 0, end);
    if (str_find_str(host, STR("binance")) != SIZE_MAX) {
        return TAPE_VENUE_BINANCE;
    }
    if (str_find_str(host, STR("advanced-trade")) != SIZE_MAX) {
        return TAPE_VENUE_COINBASE_ADVANCED;
    }
    if (str_find_str(host, STR("coinbase")) != SIZE_MAX) {
        return TAPE_VENUE_COINBASE;
    }
    return str_find_str(host, STR("kraken")) != SIZE_MAX ? TAPE_VENUE_KRAKEN : TAPE_VENUE_UNKNOWN;
}
