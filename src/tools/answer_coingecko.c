/* CoinGecko: numbers are JSON numbers, of mixed kind for one field; everything comes from a shared
 * cache, so an answer is as of the last whole minute (global: ten minutes) and has an ETag.
 * SPDX-License-Identifier: MIT */
#include "tools/answer_coingecko.h"

#include <math.h>

static const struct coingecko_currency currencies[] = {
    {"btc", 0}, {"eth", 0}, {"usd", 1}, {"eur", 1.16}, {"gbp", 1.33}, {"jpy", 0.0065},
};

double coingecko_usd_of(struct simulator *s, const struct coingecko_currency *y, int64_t at_ms)
{
    return y->usd > 0 ? y->usd : simulator_price(s, sim_find_symbol(str_of(y->code)), at_ms);
}

const struct coingecko_currency *coingecko_find_currency(struct str code)
{
    for (size_t i = 0; i < ARRAY_LEN(currencies); i++) {
        if (str_eq_nocase(code, str_of(currencies[i].code))) {
            return &currencies[i];
        }
    }
    return NULL;
}

double coingecko_shown(double price)
{
    if (price >= 1000) {
        return round(price);
    }
    if (price >= 1) {
        return round(price * 100) / 100;
    }
    double scale = pow(10, 5 - floor(log10(price)));
    return round(price * scale) / scale;
}

void coingecko_finish(const struct answer_call *c, int64_t as_of_ms)
{
    struct answer *a = c->out;
    uint64_t half[2] = {14695981039346656037u, 1099511628211u};
    for (size_t i = 0; i < a->body.len; i++) {
        half[0] = (half[0] ^ (unsigned char)a->body.ptr[i]) * 1099511628211u;
        half[1] = (half[1] ^ (unsigned char)a->body.ptr[i]) * 0x9e3779b97f4a7c15u;
    }
    char etag[48];
    snprintf(etag, sizeof(etag), "W/\"%016llx%016llx\"", (unsigned long long)half[0],
             (unsigned long long)half[1]);
    buf_printf(&a->headers,
               "ETag: %s\r\nCache-Control: max-age=30, public, must-revalidate, s-maxage=60\r\n"
               "Age: %lld\r\nCF-Cache-Status: HIT\r\n",
               etag, (long long)((c->now_ms - as_of_ms) / 1000));
    if (c->if_none_match.len > 0 && str_find_str(c->if_none_match, str_of(etag)) != SIZE_MAX) {
        a->status = 304;
        buf_clear(&a->body);
    }
}

void coingecko_number(struct json_writer *w, const char *key, double value)
{
    json_key(w, key);
    json_double(w, value);
}

void answer_coingecko_ping(const struct answer_call *c)
{
    answer_text(c, 200, "{\"gecko_says\":\"(V3) To the Moon!\"}");
}

static void in_currencies(struct json_writer *w, const char *key, struct simulator *s, double usd,
                          int64_t at_ms)
{
    json_key(w, key);
    json_object(w);
    for (size_t i = 0; i < ARRAY_LEN(currencies); i++) {
        coingecko_number(w, currencies[i].code, usd / coingecko_usd_of(s, &currencies[i], at_ms));
    }
    json_object_end(w);
}

void answer_coingecko_global(const struct answer_call *c)
{
    int64_t at = c->now_ms / COINGECKO_SLOW_CACHE_MS * COINGECKO_SLOW_CACHE_MS;
    struct sim_global g;
    simulator_global(c->simulator, at, &g);
    struct json_writer w;
    json_begin(&w, &c->out->body);
    json_object(&w);
    json_key(&w, "data");
    json_object(&w);
    json_key(&w, "active_cryptocurrencies");
    json_i64(&w, SIM_NAMED);
    json_key(&w, "upcoming_icos");
    json_i64(&w, 0);
    json_key(&w, "ongoing_icos");
    json_i64(&w, 0);
    json_key(&w, "ended_icos");
    json_i64(&w, 0);
    json_key(&w, "markets");
    json_i64(&w, 3); /* the exchanges that are simulated */
    in_currencies(&w, "total_market_cap", c->simulator, g.market_cap_usd, at);
    in_currencies(&w, "total_volume", c->simulator, g.volume_usd, at);
    json_key(&w, "market_cap_percentage");
    json_object(&w);
    coingecko_number(&w, "btc", g.btc_share_pct);
    coingecko_number(&w, "eth", g.eth_share_pct);
    json_object_end(&w);
    coingecko_number(&w, "market_cap_change_percentage_24h_usd", g.market_cap_change_24h_pct);
    coingecko_number(&w, "volume_change_percentage_24h_usd", g.volume_change_24h_pct);
    json_key(&w, "updated_at");
    json_i64(&w, at / 1000);
    json_object_end(&w);
    json_object_end(&w);
    coingecko_finish(c, at);
}

bool coingecko_choose(const struct answer_call *c, bool chosen[SIM_NAMED], bool all_without)
{
    static const char *const lists[] = {"ids", "symbols", "names"};
    struct buf list = {0};
    bool given = false;
    for (size_t i = 0; i < SIM_NAMED; i++) {
        chosen[i] = false;
    }
    for (size_t k = 0; k < ARRAY_LEN(lists) && !given; k++) {
        given = answer_param(c, lists[k], &list);
        for (size_t i = 0; given && i < SIM_NAMED; i++) {
            const struct sim_symbol *y = sim_symbol_at(i);
            struct str rest = buf_str(&list), one;
            while (str_next(&rest, ',', &one)) {
                /* a blank after a comma loses the id, as it does there */
                chosen[i] |= k == 0   ? str_eq(one, str_of(y->id))
                             : k == 1 ? str_eq_nocase(one, str_of(y->symbol))
                                      : str_eq_nocase(one, str_of(y->name));
            }
        }
    }
    for (size_t i = 0; !given && all_without && i < SIM_NAMED; i++) {
        chosen[i] = true;
    }
    buf_fini(&list);
    return given;
}

struct price_flags {
    bool cap, volume, change, updated, full;
};

static void price_entry(const struct answer_call *c, struct json_writer *w, size_t i, struct str in,
                        int64_t at, const struct price_flags *want)
{
    const struct sim_symbol *y = sim_symbol_at(i);
    double usd = simulator_price(c->simulator, i, at);
    struct sim_candle day = {0};
    if (want->volume) {
        (void)simulator_last_day(c->simulator, i, at, &day);
    }
    struct str code;
    json_key(w, y->id);
    json_object(w);
    while (str_next(&in, ',', &code)) {
        const struct coingecko_currency *money = coingecko_find_currency(code);
        if (!money) {
            continue; /* left out without a word, as there */
        }
        char key[32];
        double rate = coingecko_usd_of(c->simulator, money, at);
        json_key(w, money->code);
        json_double(w, want->full ? usd / rate : coingecko_shown(usd / rate));
        if (want->cap) {
            snprintf(key, sizeof(key), "%s_market_cap", money->code);
            json_key(w, key);
            json_double(w, usd * y->supply / rate);
        }
        if (want->volume) {
            snprintf(key, sizeof(key), "%s_24h_vol", money->code);
            json_key(w, key);
            json_double(w, day.volume_usd / SIM_VENUE_SHARE / rate);
        }
        if (want->change) {
            double before = simulator_price(c->simulator, i, at - SIM_DAY_MS) /
                            coingecko_usd_of(c->simulator, money, at - SIM_DAY_MS);
            snprintf(key, sizeof(key), "%s_24h_change", money->code);
            json_key(w, key);
            json_double(w, (usd / rate / before - 1) * 100);
        }
    }
    if (want->updated) {
        json_key(w, "last_updated_at");
        json_i64(w, at / 1000);
    }
    json_object_end(w);
}

void answer_coingecko_simple_price(const struct answer_call *c)
{
    struct buf in = {0}, precision = {0};
    bool chosen[SIM_NAMED];
    int64_t at = c->now_ms / COINGECKO_CACHE_MS * COINGECKO_CACHE_MS;
    struct price_flags want = {answer_param_is_true(c, "include_market_cap"),
                               answer_param_is_true(c, "include_24hr_vol"),
                               answer_param_is_true(c, "include_24hr_change"),
                               answer_param_is_true(c, "include_last_updated_at"),
                               answer_param(c, "precision", &precision)};
    if (!coingecko_choose(c, chosen, false)) {
        answer_text(c, 422, "{\"error\":\"Missing parameter ids\"}");
    } else if (!answer_param(c, "vs_currencies", &in)) {
        answer_text(c, 422, "{\"error\":\"Missing parameter vs_currencies\"}");
    } else {
        struct json_writer w;
        json_begin(&w, &c->out->body);
        json_object(&w);
        for (size_t i = 0; i < SIM_NAMED; i++) {
            if (chosen[i]) {
                price_entry(c, &w, i, buf_str(&in), at, &want);
            }
        }
        json_object_end(&w);
        coingecko_finish(c, at);
    }
    buf_fini(&precision);
    buf_fini(&in);
}
