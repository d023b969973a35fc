/* coingecko_lists: lists of coins: the largest ones, of which we count how many rise and fall, and
 * those that people look for. Good answers of coins/markets are arrays, bad ones are objects.
 * SPDX-License-Identifier: MIT */
#include "base/clock.h"
#include "market/market.h"
#include "sources/read.h"

#include <math.h>

/* Breadth counts this many of the largest coins; the list is longer, as pegged ones are left out.
 */
#define BREADTH_COINS 100
#define COINS_MAX 250 /* a page of the provider has no more */
#define TRENDING_COINS 15
#define TRENDING_CATEGORIES 5
/* Nothing loses more than all it is worth; a coin of nobody may rise by a lot. */
#define LEAST_CHANGE_PCT (-100.0)
#define MOST_CHANGE_PCT 1e6

const struct endpoint coingecko_markets = {
    .provider = PROVIDER_COINGECKO,
    .name = "coins/markets",
    .path = "/coins/markets?vs_currency=usd&order=market_cap_desc&per_page=150&page=1",
    .method = "coins/markets",
    .fields = OUTLOOK_BIT(OUTLOOK_BREADTH),
    .apart_ms = 60000,
    .max_bytes = 1 << 20,
    .spare = true,
    .parse = coingecko_parse_markets,
};

const struct endpoint coingecko_trending = {
    .provider = PROVIDER_COINGECKO,
    .name = "search/trending",
    .path = "/search/trending",
    .method = "search/trending",
    .fields = OUTLOOK_BIT(OUTLOOK_TRENDING),
    .apart_ms = 60000,
    .max_bytes = 512 << 10,
    .spare = true,
    .parse = coingecko_parse_trending,
};

/* Takes a string into `out`, cut at a whole character. False: no string, or nothing in it. */
static bool read_name(struct scan *s, char *out, size_t size)
{
    struct buf text = {0};
    bool is = read_words(s, &text) && text.len > 0;
    size_t len = min_size(text.len, size - 1);
    while (len < text.len && len > 0 && ((unsigned char)text.ptr[len] & 0xc0) == 0x80) {
        len--;
    }
    if (is) {
        memcpy(out, text.ptr, len);
    }
    out[is ? len : 0] = '\0';
    buf_fini(&text);
    return is;
}

/* Symbols come in any case; ours are in upper case. */
static bool read_symbol(struct scan *s, char out[16])
{
    bool is = read_name(s, out, 16);
    for (char *c = out; *c; c++) {
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
    }
    return is;
}

/* ---- coins/markets ---- */

struct coin {
    char symbol[16];
    double price, high, low, change_pct; /* NaN: not said */
    int64_t updated_ms;                  /* 0: not said */
};

static void read_time(struct scan *s, int64_t *out)
{
    struct str text;
    int64_t unix_ms = 0;
    if (scan_string(s, &text) && clock_parse_rfc3339(text, &unix_ms) == OK && unix_ms > 0) {
        *out = unix_ms;
    }
}

static void read_coin(struct scan *s, struct coin *out)
{
    struct str key;
    *out = (struct coin){.price = NAN, .high = NAN, .low = NAN, .change_pct = NAN};
    while (scan_key(s, &key)) {
        if (scan_string_is(key, STR("symbol"))) {
            (void)read_symbol(s, out->symbol);
        } else if (scan_string_is(key, STR("current_price"))) {
            (void)read_double(s, &out->price);
        } else if (scan_string_is(key, STR("high_24h"))) {
            (void)read_double(s, &out->high);
        } else if (scan_string_is(key, STR("low_24h"))) {
            (void)read_double(s, &out->low);
        } else if (scan_string_is(key, STR("price_change_percentage_24h"))) {
            (void)read_double(s, &out->change_pct);
        } else if (scan_string_is(key, STR("last_updated"))) {
            read_time(s, &out->updated_ms);
        }
    }
}

/* By name, or because it stood at a dollar all day: new ones come up faster than lists of them. */
static bool is_stable(const struct coin *c)
{
    bool stands = fabs(c->price - 1) < 0.01 && c->low > 0.98 && c->high < 1.02;
    return stands || market_is_pegged(c->symbol) || strstr(c->symbol, "USD") ||
           strncmp(c->symbol, "EUR", 3) == 0;
}

static void count_coin(const struct coin *c, struct outlook_values *out)
{
    out->unchanged += fabs(c->change_pct) < SENTIMENT_UNCHANGED_PCT;
    out->advancers += c->change_pct >= SENTIMENT_UNCHANGED_PCT;
    out->decliners += c->change_pct <= -SENTIMENT_UNCHANGED_PCT;
}

static enum err read_coins(struct scan *s, struct reading *out, struct buf *why)
{
    size_t rows = 0, counted = 0;
    struct coin c;
    if (!scan_array(s)) {
        buf_add_lit(why, "CoinGecko's answer is not the list of coins it should be");
        return ERR_SYNTAX;
    }
    while (scan_item(s)) {
        if (++rows > COINS_MAX || !scan_object(s)) {
            buf_printf(why, "coin %zu of CoinGecko's list is none", rows);
            return ERR_SYNTAX;
        }
        read_coin(s, &c);
        if (c.change_pct < LEAST_CHANGE_PCT || c.change_pct > MOST_CHANGE_PCT || c.price < 0) {
            buf_printf(why, "coin %zu of CoinGecko's list cannot be", rows);
            return ERR_RANGE;
        }
        /* Without a change it is not traded; nothing is assumed for it. */
        if (counted < BREADTH_COINS && c.symbol[0] && !isnan(c.change_pct) && !is_stable(&c)) {
            count_coin(&c, &out->outlook);
            counted++;
            out->as_of_ms = c.updated_ms > out->as_of_ms ? c.updated_ms : out->as_of_ms;
        }
    }
    if (counted < SENTIMENT_BREADTH_MIN) {
        buf_printf(why, "only %zu coins of CoinGecko's list have a change of 24 hours", counted);
        return ERR_NOT_FOUND;
    }
    out->fields |= OUTLOOK_BIT(OUTLOOK_BREADTH);
    return OK;
}

enum err coingecko_parse_markets(struct str body, struct reading *out, struct buf *why)
{
    struct scan s;
    enum err e = coingecko_open(body, &s, out, why);
    return e == OK ? read_coins(&s, out, why) : e;
}

/* ---- search/trending ---- */

struct trend {
    struct sentiment_topic topic;
    double score; /* 0 is the top */
};

/* `{"usd":-3.27,"btc":-1.25}`: NaN when it is not there or cannot be. */
static double read_usd_change(struct scan *s)
{
    struct str key;
    double value = 0, found = NAN;
    if (!scan_object(s)) {
        return NAN;
    }
    while (scan_key(s, &key)) {
        if (scan_string_is(key, STR("usd")) && read_double(s, &value)) {
            found = value;
        }
    }
    return found >= LEAST_CHANGE_PCT && found <= MOST_CHANGE_PCT ? found : (double)NAN;
}

/* The `data` of a coin or a category: the change is under the name that each has for it. */
static double read_data(struct scan *s, struct str name)
{
    struct str key;
    double change = NAN;
    if (scan_object(s)) {
        while (scan_key(s, &key)) {
            if (scan_string_is(key, name)) {
                change = read_usd_change(s);
            }
        }
    }
    return change;
}

/* False: it has no name and no symbol to show. `score` stays where none is given. */
static bool read_trending_coin(struct scan *s, struct trend *out)
{
    struct str key;
    bool named = false, symbol = false;
    while (scan_key(s, &key)) {
        if (scan_string_is(key, STR("name"))) {
            named = read_name(s, out->topic.name, sizeof(out->topic.name));
        } else if (scan_string_is(key, STR("symbol"))) {
            symbol = read_symbol(s, out->topic.symbol);
        } else if (scan_string_is(key, STR("score"))) {
            (void)read_double(s, &out->score);
        } else if (scan_string_is(key, STR("data"))) {
            out->topic.change_24h_pct = read_data(s, STR("price_change_percentage_24h"));
        }
    }
    return named && symbol;
}

static bool read_category(struct scan *s, struct trend *out)
{
    struct str key;
    bool named = false;
    while (scan_key(s, &key)) {
        if (scan_string_is(key, STR("name"))) {
            named = read_name(s, out->topic.name, sizeof(out->topic.name));
        } else if (scan_string_is(key, STR("data"))) {
            out->topic.change_24h_pct = read_data(s, STR("market_cap_change_percentage_24h"));
        }
    }
    return named;
}

/* Keeps the list sorted by score; of equals the one that came first. The last falls out. */
static void insert(struct trend *list, size_t *count, size_t max, const struct trend *t)
{
    size_t at = *count;
    while (at > 0 && list[at - 1].score > t->score) {
        at--;
    }
    if (at == max) {
        return;
    }
    *count += *count < max;
    memmove(&list[at + 1], &list[at], (*count - 1 - at) * sizeof(*list));
    list[at] = *t;
}

/* A list of coins (each inside "item") or of categories, whichever `coins` says. */
static void read_list(struct scan *s, bool coins, struct trend *list, size_t *count)
{
    struct str key;
    if (!scan_array(s)) {
        return;
    }
    for (size_t i = 0; scan_item(s); i++) {
        struct trend t = {.topic.change_24h_pct = NAN, .score = (double)i};
        bool is = false;
        if (!scan_object(s)) {
            continue;
        }
        if (!coins) {
            is = read_category(s, &t);
        }
        while (coins && scan_key(s, &key)) {
            if (scan_string_is(key, STR("item")) && scan_object(s)) {
                is = read_trending_coin(s, &t);
            }
        }
        if (is) {
            insert(list, count, coins ? TRENDING_COINS : TRENDING_CATEGORIES, &t);
        }
    }
}

enum err coingecko_parse_trending(struct str body, struct reading *out, struct buf *why)
{
    struct trend coins[TRENDING_COINS], categories[TRENDING_CATEGORIES];
    size_t coin_count = 0, category_count = 0;
    struct scan s;
    struct str key;
    struct outlook_values *o = &out->outlook;
    enum err e = coingecko_open(body, &s, out, why);
    if (e != OK) {
        return e;
    }
    if (scan_object(&s)) {
        while (scan_key(&s, &key)) {
            if (scan_string_is(key, STR("coins"))) {
                read_list(&s, true, coins, &coin_count);
            } else if (scan_string_is(key, STR("categories"))) {
                read_list(&s, false, categories, &category_count);
            }
        }
    }
    for (size_t i = 0; i < coin_count; i++) {
        o->topics[o->topic_count++] = coins[i].topic;
    }
    for (size_t i = 0; coin_count > 0 && i < category_count; i++) {
        o->topics[o->topic_count++] = categories[i].topic;
    }
    if (coin_count == 0) {
        buf_add_lit(why, "CoinGecko's answer has no trending coins");
        return ERR_NOT_FOUND;
    }
    out->fields |= OUTLOOK_BIT(OUTLOOK_TRENDING);
    return OK;
}
