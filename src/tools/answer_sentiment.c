/* Alternative.me and TAAPI: one number each. SPDX-License-Identifier: MIT */
#include "tools/answer.h"

static const char *mood_text(int value)
{
    /* bounds as in all of its history */
    return value <= 25   ? "Extreme Fear"
           : value <= 46 ? "Fear"
           : value <= 54 ? "Neutral"
           : value <= 75 ? "Greed"
                         : "Extreme Greed";
}

/* All numbers are text, newest first, pretty-printed with tabs, as the service does. */
void answer_alternative_fng(const struct answer_call *c)
{
    int64_t limit = 1, today = c->now_ms / SIM_DAY_MS * SIM_DAY_MS;
    int64_t all = (today - SIM_FIRST_MS) / SIM_DAY_MS + 1;
    struct buf *b = &c->out->body;
    if (!answer_param_i64(c, "limit", &limit) || limit < 0) {
        limit = 1;
    }
    if (limit == 0 || limit > all) {
        limit = all;
    }
    c->out->content_type = "application/json";
    buf_add_lit(b, "{\n\t\"name\": \"Fear and Greed Index\",\n\t\"data\": [");
    for (int64_t i = 0; i < limit; i++) {
        int64_t day = today - i * SIM_DAY_MS;
        int value = simulator_fear_greed(c->simulator, day);
        buf_printf(b,
                   "%s\n\t\t{\n\t\t\t\"value\": \"%d\",\n\t\t\t\"value_classification\": \"%s\",\n"
                   "\t\t\t\"timestamp\": \"%lld\"",
                   i ? "," : "", value, mood_text(value), (long long)(day / 1000));
        if (i == 0) {
            buf_printf(b, ",\n\t\t\t\"time_until_update\": \"%lld\"",
                       (long long)((today + SIM_DAY_MS - c->now_ms) / 1000));
        }
        buf_add_lit(b, "\n\t\t}");
    }
    buf_add_lit(b, "\n\t],\n\t\"metadata\": {\n\t\t\"error\": null\n\t}\n}");
}

struct interval {
    const char *name;
    int64_t minutes;
};
static const struct interval intervals[] = {{"1m", 1},    {"5m", 5},    {"15m", 15}, {"30m", 30},
                                            {"1h", 60},   {"2h", 120},  {"4h", 240}, {"12h", 720},
                                            {"1d", 1440}, {"1w", 10080}};

static int64_t interval_ms(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(intervals); i++) {
        if (str_eq(name, str_of(intervals[i].name))) {
            return intervals[i].minutes * SIM_MINUTE_MS;
        }
    }
    return 0;
}

/* "BTC/USDT" */
static size_t symbol_of(struct str pair)
{
    struct str base;
    if (!str_next(&pair, '/', &base) || !(str_eq(pair, STR("USDT")) || str_eq(pair, STR("USD")))) {
        return SIZE_MAX;
    }
    return sim_find_symbol(base);
}

static void rsi_values(const struct answer_call *c, size_t symbol, int64_t each_ms)
{
    int64_t period = 14, back = 0, count = 0;
    double value;
    if (!answer_param_i64(c, "period", &period) || !answer_param_i64(c, "backtrack", &back) ||
        !answer_param_i64(c, "backtracks", &count) || period < 2 || period > 200 || back < 0 ||
        back > 200 || count < 0 || count > 20) {
        answer_text(c, 400, "{\"errors\":[\"period, backtrack or backtracks is out of range\"]}");
        return;
    }
    int64_t from = count ? 0 : back, to = count ? count : back + 1;
    buf_add_str(&c->out->body, count ? STR("[") : STR(""));
    for (int64_t i = from; i < to; i++) {
        if (!simulator_rsi(c->simulator, symbol, each_ms, (unsigned)period, (unsigned)i, c->now_ms,
                           &value)) {
            buf_clear(&c->out->body);
            answer_text(c, 500, "{\"error\":\"not enough candles\"}");
            return;
        }
        buf_add_str(&c->out->body, i > from ? STR(",{\"value\":") : STR("{\"value\":"));
        json_add_double(&c->out->body, value);
        if (count) {
            buf_printf(&c->out->body, ",\"backtrack\":%lld", (long long)i);
        }
        buf_add_char(&c->out->body, '}');
    }
    buf_add_str(&c->out->body, count ? STR("]") : STR(""));
}

void answer_taapi_rsi(const struct answer_call *c)
{
    struct buf secret = {0}, exchange = {0}, pair = {0}, interval = {0};
    size_t symbol = SIZE_MAX;
    if (!answer_param(c, "secret", &secret)) {
        answer_text(c, 401, "{\"error\":\"Unauthorized: a secret is needed\"}");
    } else if (!answer_param(c, "exchange", &exchange) || !answer_param(c, "symbol", &pair) ||
               !answer_param(c, "interval", &interval)) {
        answer_text(c, 400, "{\"errors\":[\"exchange, symbol and interval are needed\"]}");
    } else if ((symbol = symbol_of(buf_str(&pair))) == SIZE_MAX) {
        answer_text(c, 400, "{\"errors\":[\"the symbol is not known\"]}");
    } else if (!interval_ms(buf_str(&interval))) {
        answer_text(c, 400, "{\"errors\":[\"the interval is not known\"]}");
    } else {
        rsi_values(c, symbol, interval_ms(buf_str(&interval)));
    }
    buf_fini(&secret);
    buf_fini(&exchange);
    buf_fini(&pair);
    buf_fini(&interval);
}
