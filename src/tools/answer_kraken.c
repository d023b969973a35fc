/* Kraken REST: one envelope {"error":[],"result":{...}}, HTTP 200 even for errors, numbers as text,
 * keys in its own names unless assetVersion=1. SPDX-License-Identifier: MIT */
#include "tools/answer.h"

#include <math.h>
#include <time.h>

#define BASIS (-0.00005) /* this venue's prices beside the market's */
#define VENUE_PART 0.11  /* its volume beside that of a sim_candle */
#define MAX_ROWS 720

static int decimals_of(const struct sim_symbol *y)
{
    return strcmp(y->symbol, "BTC") == 0 ? 1 : y->decimals;
}

static double venue(const struct sim_symbol *y, double price)
{
    return answer_venue_price(price, BASIS, decimals_of(y));
}

/* What it calls a coin in pair names. */
static struct str coin_name(const struct sim_symbol *y)
{
    return str_of(strcmp(y->symbol, "BTC") == 0    ? "XBT"
                  : strcmp(y->symbol, "DOGE") == 0 ? "XDG"
                                                   : y->symbol);
}

/* XBTUSD, XXBTZUSD, XBT/USD, BTC/USD and BTCUSD are one pair. */
static bool is_pair(const struct sim_symbol *y, struct str pair)
{
    if (str_eq(pair, str_of(y->kraken))) {
        return true;
    }
    if (!str_ends(pair, STR("USD"))) {
        return false;
    }
    struct str coin = str_sub(pair, 0, pair.len - 3);
    if (str_ends(coin, STR("/"))) {
        coin = str_sub(coin, 0, coin.len - 1);
    }
    return str_eq(coin, coin_name(y)) || str_eq(coin, str_of(y->symbol));
}

static size_t find_pair(struct str pair)
{
    for (size_t i = 0; i < SIM_SYMBOLS; i++) {
        if (is_pair(sim_symbol_at(i), pair)) {
            return i;
        }
    }
    return SIZE_MAX;
}

static void error(const struct answer_call *c, const char *what)
{
    buf_clear(&c->out->body);
    buf_printf(&c->out->body, "{\"error\":[\"%s\"]}", what);
}

static void add_key(const struct answer_call *c, const struct sim_symbol *y)
{
    struct buf version = {0};
    if (answer_param(c, "assetVersion", &version) && str_eq(buf_str(&version), STR("1"))) {
        buf_printf(&c->out->body, "\"%s/USD\":", y->symbol);
    } else {
        buf_printf(&c->out->body, "\"%s\":", y->kraken);
    }
    buf_fini(&version);
}

static double mean_price(const struct sim_candle *k)
{
    return k->volume > 0 ? k->volume_usd / k->volume : k->close;
}

/* "v":["today","24 h"] and the like. */
static void add_two(struct buf *b, const char *name, double today, double day, int decimals)
{
    buf_printf(b, "\"%s\":[\"%.*f\",\"%.*f\"],", name, decimals, today, decimals, day);
}

static void add_ticker(const struct answer_call *c, size_t i)
{
    const struct sim_symbol *y = sim_symbol_at(i);
    struct buf *b = &c->out->body;
    struct sim_candle day, today;
    int64_t midnight = c->now_ms / SIM_DAY_MS * SIM_DAY_MS;
    add_key(c, y);
    if (!simulator_last_day(c->simulator, i, c->now_ms, &day) ||
        !simulator_candle(c->simulator, i, midnight, c->now_ms + 1, c->now_ms, &today)) {
        buf_add_lit(b, "null"); /* before there was a market */
        return;
    }
    int digits = y->decimals < 5 ? 5 : y->decimals; /* padded, as it does */
    double last = venue(y, day.close), tick = 1 / pow(10, decimals_of(y));
    double lot = day.volume * VENUE_PART / 1440;
    double whole = lot < 1 ? 1 : floor(lot);
    buf_printf(b, "{\"a\":[\"%.*f\",\"%.0f\",\"%.3f\"],\"b\":[\"%.*f\",\"%.0f\",\"%.3f\"],", digits,
               last + tick, whole, lot, digits, last, whole, lot);
    buf_printf(b, "\"c\":[\"%.*f\",\"%.8f\"],", digits, last, day.volume / (double)day.trades);
    add_two(b, "v", today.volume * VENUE_PART, day.volume * VENUE_PART, 8);
    add_two(b, "p", mean_price(&today) * (1 + BASIS), mean_price(&day) * (1 + BASIS), digits);
    buf_printf(b, "\"t\":[%llu,%llu],", (unsigned long long)(today.trades / 9),
               (unsigned long long)(day.trades / 9));
    add_two(b, "l", venue(y, today.low), venue(y, day.low), digits);
    add_two(b, "h", venue(y, today.high), venue(y, day.high), digits);
    buf_printf(b, "\"o\":\"%.*f\"}", digits, venue(y, today.open));
}

void answer_kraken_ticker(const struct answer_call *c)
{
    struct buf pairs = {0};
    bool chosen[SIM_SYMBOLS] = {false}, given = answer_param(c, "pair", &pairs), ok = true;
    struct str rest = buf_str(&pairs), one;
    size_t count = 0;
    c->out->content_type = "application/json";
    while (given && str_next(&rest, ',', &one)) {
        size_t i = find_pair(one);
        ok = ok && i != SIZE_MAX;
        if (i != SIZE_MAX) {
            chosen[i] = true;
        }
    }
    if (!ok) {
        error(c, "EQuery:Unknown asset pair");
    } else {
        buf_add_lit(&c->out->body, "{\"error\":[],\"result\":{");
        for (size_t i = 0; i < SIM_SYMBOLS; i++) {
            if (chosen[i] || !given) {
                buf_add_str(&c->out->body, count++ ? STR(",") : STR(""));
                add_ticker(c, i);
            }
        }
        buf_add_lit(&c->out->body, "}}");
    }
    buf_fini(&pairs);
}

/* At most 720 rows whatever `since` says, the last one open; `last` is the newest closed one. */
static void add_rows(const struct answer_call *c, size_t i, int64_t each, int64_t since)
{
    const struct sim_symbol *y = sim_symbol_at(i);
    struct buf *b = &c->out->body;
    int digits = decimals_of(y);
    int64_t newest = c->now_ms / each * each, first = newest - (MAX_ROWS - 1) * each;
    size_t rows = 0;
    buf_add_lit(b, "{\"error\":[],\"result\":{");
    add_key(c, y);
    buf_add_char(b, '[');
    for (int64_t open = first < SIM_FIRST_MS ? SIM_FIRST_MS : first; open <= newest; open += each) {
        struct sim_candle k;
        if (open / 1000 <= since ||
            !simulator_candle(c->simulator, i, open, open + each, c->now_ms, &k)) {
            continue;
        }
        double mean = k.volume > 0 ? venue(y, mean_price(&k)) : 0;
        buf_printf(b, "%s[%lld,\"%.*f\",\"%.*f\",\"%.*f\",\"%.*f\",\"%.*f\",\"%.8f\",%llu]",
                   rows++ ? "," : "", (long long)(open / 1000), digits, venue(y, k.open), digits,
                   venue(y, k.high), digits, venue(y, k.low), digits, venue(y, k.close), digits,
                   mean, k.volume * VENUE_PART, (unsigned long long)(k.trades / 9));
    }
    buf_printf(b, "],\"last\":%lld}}", (long long)((newest - each) / 1000));
}

void answer_kraken_ohlc(const struct answer_call *c)
{
    static const int64_t allowed[] = {1, 5, 15, 30, 60, 240, 1440, 10080, 21600};
    struct buf pair = {0};
    int64_t interval = 1, since = -1;
    bool known = false, numeric = answer_param_i64(c, "interval", &interval) &&
                                  answer_param_i64(c, "since", &since);
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
        known |= numeric && interval == allowed[i];
    }
    c->out->content_type = "application/json";
    if (!answer_param(c, "pair", &pair)) {
        error(c, "EGeneral:Invalid arguments");
    } else if (find_pair(buf_str(&pair)) == SIZE_MAX) {
        error(c, "EQuery:Unknown asset pair");
    } else if (!known) {
        error(c, "EGeneral:Invalid arguments");
    } else {
        add_rows(c, find_pair(buf_str(&pair)), interval * SIM_MINUTE_MS, since);
    }
    buf_fini(&pair);
}

void answer_kraken_time(const struct answer_call *c)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t seconds = (time_t)(c->now_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    c->out->content_type = "application/json";
    buf_printf(&c->out->body,
               "{\"error\":[],\"result\":{\"unixtime\":%lld,\"rfc1123\":\"%.3s, %02d %.3s %02d "
               "%02d:%02d:%02d +0000\"}}",
               (long long)seconds, days + (ptrdiff_t)tm.tm_wday * 3, tm.tm_mday,
               months + (ptrdiff_t)tm.tm_mon * 3, tm.tm_year % 100, tm.tm_hour, tm.tm_min,
               tm.tm_sec);
}

void answer_kraken_system_status(const struct answer_call *c)
{
    time_t seconds = (time_t)(c->now_ms / 1000);
    struct tm tm;
    char time[32];
    gmtime_r(&seconds, &tm);
    strftime(time, sizeof(time), "%Y-%m-%dT%H:%M:%SZ", &tm);
    c->out->content_type = "application/json";
    buf_printf(&c->out->body,
               "{\"error\":[],\"result\":{\"status\":\"online\",\"timestamp\":\"%s\"}}", time);
}
