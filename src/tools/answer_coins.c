/* CoinGecko's lists of coins: coins/markets and search/trending. SPDX-License-Identifier: MIT */
#include "tools/answer_coingecko.h"

#include <math.h>

struct coin {
    size_t index, rank;
    double usd, cap, volume;
    struct sim_candle day;
};

enum order { BY_CAP_DOWN, BY_CAP_UP, BY_VOLUME_DOWN, BY_VOLUME_UP, BY_ID_UP, BY_ID_DOWN };
static const char *const orders[] = {"market_cap_desc", "market_cap_asc", "volume_desc",
                                     "volume_asc",      "id_asc",         "id_desc"};

static int compare(const struct coin *a, const struct coin *b, enum order by)
{
    switch (by) {
    case BY_CAP_DOWN:
        return (a->cap < b->cap) - (a->cap > b->cap);
    case BY_CAP_UP:
        return (a->cap > b->cap) - (a->cap < b->cap);
    case BY_VOLUME_DOWN:
        return (a->volume < b->volume) - (a->volume > b->volume);
    case BY_VOLUME_UP:
        return (a->volume > b->volume) - (a->volume < b->volume);
    case BY_ID_UP:
        return strcmp(sim_symbol_at(a->index)->id, sim_symbol_at(b->index)->id);
    case BY_ID_DOWN:
        return strcmp(sim_symbol_at(b->index)->id, sim_symbol_at(a->index)->id);
    }
    return 0;
}

/* At most a few dozen: by insertion. */
static void sort_coins(struct coin *coins, size_t count, enum order by)
{
    for (size_t i = 1; i < count; i++) {
        struct coin moved = coins[i];
        size_t at = i;
        while (at > 0 && compare(&moved, &coins[at - 1], by) < 0) {
            coins[at] = coins[at - 1];
            at--;
        }
        coins[at] = moved;
    }
}

static void number_or_null(struct json_writer *w, const char *key, double value)
{
    json_key(w, key);
    if (value > 0) {
        json_double(w, value);
    } else {
        json_null(w);
    }
}

/* Highest and lowest of the last 500 days, looked at every ten days, and today. */
static void extremes(const struct answer_call *c, struct json_writer *w, const struct coin *k,
                     double rate, int64_t at)
{
    double high = k->day.high, low = k->day.low;
    int64_t high_at = at, low_at = at;
    for (int64_t t = at / SIM_DAY_MS * SIM_DAY_MS, i = 0; i < 50; i++, t -= 10 * SIM_DAY_MS) {
        double price = simulator_price(c->simulator, k->index, t);
        if (price > high) {
            high = price;
            high_at = t;
        }
        if (price < low) {
            low = price;
            low_at = t;
        }
    }
    coingecko_number(w, "ath", coingecko_shown(high / rate));
    coingecko_number(w, "ath_change_percentage", (k->usd / high - 1) * 100);
    json_key(w, "ath_date");
    json_time(w, high_at);
    coingecko_number(w, "atl", coingecko_shown(low / rate));
    coingecko_number(w, "atl_change_percentage", (k->usd / low - 1) * 100);
    json_key(w, "atl_date");
    json_time(w, low_at);
}

struct span {
    const char *name;
    int64_t days; /* 0: an hour */
};
static const struct span spans[] = {{"1h", 0},   {"24h", 1},    {"7d", 7},  {"14d", 14},
                                    {"30d", 30}, {"200d", 200}, {"1y", 365}};

static void span_changes(const struct answer_call *c, struct json_writer *w, const struct coin *k,
                         struct str wanted, int64_t at)
{
    for (size_t i = 0; i < ARRAY_LEN(spans); i++) {
        if (answer_list_has(wanted, str_of(spans[i].name))) {
            int64_t back = spans[i].days ? spans[i].days * SIM_DAY_MS : 3600000;
            char key[64];
            snprintf(key, sizeof(key), "price_change_percentage_%s_in_currency", spans[i].name);
            coingecko_number(
                w, key, (k->usd / simulator_price(c->simulator, k->index, at - back) - 1) * 100);
        }
    }
}

struct market_query {
    double rate; /* of the currency, USD */
    int64_t at;
    bool sparkline;
    struct str spans;
};

static void market_entry(const struct answer_call *c, struct json_writer *w, const struct coin *k,
                         const struct market_query *q)
{
    const struct sim_symbol *y = sim_symbol_at(k->index);
    char symbol[16];
    size_t len = strlen(y->symbol);
    for (size_t i = 0; i <= len; i++) {
        symbol[i] = (char)(y->symbol[i] | (i < len ? 0x20 : 0));
    }
    double rate = q->rate, before = simulator_price(c->simulator, k->index, q->at - SIM_DAY_MS);
    double whole = y->max_supply > 0 ? y->max_supply : y->supply;
    json_object(w);
    json_key(w, "id");
    json_text(w, y->id);
    json_key(w, "symbol");
    json_text(w, symbol);
    json_key(w, "name");
    json_text(w, y->name);
    json_key(w, "image");
    json_null(w);
    coingecko_number(w, "current_price", coingecko_shown(k->usd / rate));
    coingecko_number(w, "market_cap", round(k->cap / rate));
    coingecko_number(w, "market_cap_rank", (double)k->rank);
    coingecko_number(w, "fully_diluted_valuation", round(k->usd * whole / rate));
    coingecko_number(w, "total_volume", round(k->volume / rate));
    coingecko_number(w, "high_24h", coingecko_shown(k->day.high / rate));
    coingecko_number(w, "low_24h", coingecko_shown(k->day.low / rate));
    coingecko_number(w, "price_change_24h", (k->usd - before) / rate);
    json_key(w, "price_change_percentage_24h");
    json_decimal(w, (k->usd / before - 1) * 100, 5);
    coingecko_number(w, "market_cap_change_24h", (k->usd - before) * y->supply / rate);
    json_key(w, "market_cap_change_percentage_24h");
    json_decimal(w, (k->usd / before - 1) * 100, 5);
    coingecko_number(w, "circulating_supply", y->supply);
    coingecko_number(w, "total_supply", y->supply);
    number_or_null(w, "max_supply", y->max_supply);
    extremes(c, w, k, rate, q->at);
    json_key(w, "roi");
    json_null(w);
    json_key(w, "last_updated");
    json_time(w, q->at);
    if (q->sparkline) {
        json_key(w, "sparkline_in_7d");
        json_object(w);
        json_key(w, "price");
        json_array(w);
        int64_t hour = q->at / 3600000 * 3600000;
        for (int64_t i = 167; i >= 0; i--) {
            json_double(w, simulator_price(c->simulator, k->index, hour - i * 3600000) / rate);
        }
        json_array_end(w);
        json_object_end(w);
    }
    span_changes(c, w, k, q->spans, q->at);
    json_object_end(w);
}

static size_t load_coins(const struct answer_call *c, int64_t at, struct coin *coins)
{
    for (size_t i = 0; i < SIM_NAMED; i++) {
        struct coin *k = &coins[i];
        *k = (struct coin){.index = i, .usd = simulator_price(c->simulator, i, at)};
        (void)simulator_last_day(c->simulator, i, at, &k->day);
        k->cap = k->usd * sim_symbol_at(i)->supply;
        k->volume = k->day.volume_usd / SIM_VENUE_SHARE;
    }
    sort_coins(coins, SIM_NAMED, BY_CAP_DOWN);
    for (size_t i = 0; i < SIM_NAMED; i++) {
        coins[i].rank = i + 1;
    }
    return SIM_NAMED;
}

static enum order order_of(const struct answer_call *c)
{
    struct buf text = {0};
    enum order by = BY_CAP_DOWN;
    for (size_t i = 0; answer_param(c, "order", &text) && i < ARRAY_LEN(orders); i++) {
        if (str_eq(buf_str(&text), str_of(orders[i]))) {
            by = (enum order)i;
        }
    }
    buf_fini(&text);
    return by;
}

static void write_markets(const struct answer_call *c, const struct market_query *q,
                          int64_t per_page, int64_t page)
{
    struct coin coins[SIM_NAMED];
    bool chosen[SIM_NAMED];
    size_t count = load_coins(c, q->at, coins), seen = 0;
    (void)coingecko_choose(c, chosen, true);
    sort_coins(coins, count, order_of(c));
    struct json_writer w;
    json_begin(&w, &c->out->body);
    json_array(&w);
    size_t from = (size_t)((page - 1) * per_page), to = from + (size_t)per_page;
    for (size_t i = 0; i < count; i++) {
        if (chosen[coins[i].index]) {
            if (seen >= from && seen < to) {
                market_entry(c, &w, &coins[i], q);
            }
            seen++;
        }
    }
    json_array_end(&w);
    coingecko_finish(c, q->at);
}

void answer_coingecko_markets(const struct answer_call *c)
{
    struct buf in = {0}, wanted = {0};
    int64_t per_page = 100, page = 1;
    bool numbers = answer_param_i64(c, "per_page", &per_page) && answer_param_i64(c, "page", &page);
    const struct coingecko_currency *money = NULL;
    if (!answer_param(c, "vs_currency", &in)) {
        answer_text(c, 422, "{\"error\":\"Missing parameter vs_currency\"}");
    } else if (!(money = coingecko_find_currency(buf_str(&in)))) {
        answer_text(c, 422, "{\"error\":\"invalid vs_currency\"}");
    } else if (!numbers || per_page < 1 || per_page > 250 || page < 1 || page > 1000000) {
        answer_text(c, 422, "{\"error\":\"invalid pagination params\"}");
    } else {
        struct market_query q = {.at = c->now_ms / COINGECKO_CACHE_MS * COINGECKO_CACHE_MS,
                                 .sparkline = answer_param_is_true(c, "sparkline")};
        q.rate = coingecko_usd_of(c->simulator, money, q.at);
        if (answer_param(c, "price_change_percentage", &wanted)) {
            q.spans = buf_str(&wanted);
        }
        write_markets(c, &q, per_page, page);
    }
    buf_fini(&wanted);
    buf_fini(&in);
}

/* ---- trending: those that moved most ---- */

static void trending_entry(struct json_writer *w, const struct coin *k, double change,
                           int64_t score, double btc_usd)
{
    const struct sim_symbol *y = sim_symbol_at(k->index);
    json_object(w);
    json_key(w, "item");
    json_object(w);
    json_key(w, "id");
    json_text(w, y->id);
    json_key(w, "coin_id");
    json_i64(w, (int64_t)k->index + 1);
    json_key(w, "name");
    json_text(w, y->name);
    json_key(w, "symbol");
    json_text(w, y->symbol);
    json_key(w, "market_cap_rank");
    json_i64(w, (int64_t)k->rank);
    json_key(w, "slug");
    json_text(w, y->id);
    coingecko_number(w, "price_btc", k->usd / btc_usd);
    json_key(w, "score");
    json_i64(w, score);
    json_key(w, "data");
    json_object(w);
    coingecko_number(w, "price", k->usd);
    json_key(w, "price_change_percentage_24h");
    json_object(w);
    coingecko_number(w, "usd", change);
    json_object_end(w);
    json_object_end(w);
    json_object_end(w);
    json_object_end(w);
}

/* All coins of a range by market value, as a category: their value and how it changed. */
static void trending_category(struct json_writer *w, int64_t id, const char *name,
                              const struct coin *coins, const double *change, size_t from,
                              size_t to)
{
    double cap = 0, before = 0, volume = 0;
    char count[24];
    for (size_t i = from; i < to; i++) {
        cap += coins[i].cap;
        before += coins[i].cap / (1 + change[i] / 100);
        volume += coins[i].volume;
    }
    snprintf(count, sizeof(count), "%zu", to - from);
    json_object(w);
    json_key(w, "id");
    json_i64(w, id);
    json_key(w, "name");
    json_text(w, name);
    json_key(w, "slug");
    json_text(w, name);
    json_key(w, "coins_count");
    json_text(w, count);
    json_key(w, "data");
    json_object(w);
    coingecko_number(w, "market_cap", cap);
    coingecko_number(w, "total_volume", volume);
    json_key(w, "market_cap_change_percentage_24h");
    json_object(w);
    coingecko_number(w, "usd", (cap / before - 1) * 100);
    json_object_end(w);
    json_object_end(w);
    json_object_end(w);
}

void answer_coingecko_trending(const struct answer_call *c)
{
    struct coin coins[SIM_NAMED];
    double change[SIM_NAMED], btc_usd = 1;
    bool taken[SIM_NAMED] = {false};
    int64_t at = c->now_ms / COINGECKO_SLOW_CACHE_MS * COINGECKO_SLOW_CACHE_MS;
    size_t count = load_coins(c, at, coins);
    for (size_t i = 0; i < count; i++) {
        change[i] =
            (coins[i].usd / simulator_price(c->simulator, coins[i].index, at - SIM_DAY_MS) - 1) *
            100;
        btc_usd = coins[i].index == 0 ? coins[i].usd : btc_usd;
    }
    struct json_writer w;
    json_begin(&w, &c->out->body);
    json_object(&w);
    json_key(&w, "coins");
    json_array(&w);
    for (int64_t score = 0; score < 7; score++) {
        size_t best = SIZE_MAX;
        for (size_t i = 0; i < count; i++) {
            if (!taken[i] && (best == SIZE_MAX || fabs(change[i]) > fabs(change[best]))) {
                best = i;
            }
        }
        taken[best] = true;
        trending_entry(&w, &coins[best], change[best], score, btc_usd);
    }
    json_array_end(&w);
    json_key(&w, "nfts");
    json_raw(&w, STR("[]"));
    json_key(&w, "categories");
    json_array(&w);
    trending_category(&w, 1, "simulated-largest-ten", coins, change, 0, 10);
    trending_category(&w, 2, "simulated-others", coins, change, 10, count);
    json_array_end(&w);
    json_object_end(&w);
    coingecko_finish(c, at);
}
