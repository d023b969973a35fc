/* SPDX-License-Identifier: MIT */
#include "market/signal.h"

#include "base/clock.h"
#include "quant/bollinger.h"
#include "quant/macd.h"
#include "quant/momentum.h"
#include "quant/volatility.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>

/* The one table of weights. They sum to 1, so that the score stays in -1..1. */
static const struct {
    const char *name;
    double weight;
    bool confirmed; /* by volume */
} parts[SIGNAL_PARTS] = {
    [SIGNAL_TREND] = {"trend", 0.35, true},       [SIGNAL_MACD] = {"macd", 0.25, false},
    [SIGNAL_RSI] = {"rsi", 0.15, false},          [SIGNAL_BOLLINGER] = {"bollinger", 0.10, false},
    [SIGNAL_MOMENTUM] = {"momentum", 0.15, true},
};

#define MOMENTUM_CANDLES 10
#define VOLUME_CANDLES 20
#define RSI_LOW 30.0
#define RSI_HIGH 70.0

const char *signal_side_text(enum signal_side s)
{
    switch (s) {
    case SIGNAL_HOLD:
        return "HOLD";
    case SIGNAL_BUY:
        return "BUY";
    case SIGNAL_SELL:
        return "SELL";
    }
    return "";
}

const char *signal_quality_text(enum signal_quality q)
{
    switch (q) {
    case SIGNAL_GOOD:
        return "good";
    case SIGNAL_TOO_FEW:
        return "insufficient";
    case SIGNAL_STALE:
        return "stale";
    case SIGNAL_GAP:
        return "gap";
    case SIGNAL_UNSOUND:
        return "unsound";
    }
    return "";
}

const char *signal_part_text(enum signal_part p)
{
    return p < SIGNAL_PARTS ? parts[p].name : "";
}

void signal_interval_text(int64_t interval_ms, char out[8])
{
    static const struct {
        int64_t ms;
        char unit;
    } units[] = {{86400000, 'd'}, {3600000, 'h'}, {60000, 'm'}, {1000, 's'}};
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        int64_t n = interval_ms / units[i].ms;
        if (n > 0 && interval_ms % units[i].ms == 0) {
            snprintf(out, 8, "%d%c", (int)(n > 99999 ? 99999 : n), units[i].unit);
            return;
        }
    }
    snprintf(out, 8, "?");
}

/* ---- the reason, written piece by piece into the result ---- */

static void PRINTF_LIKE(2, 3) say(struct signal *s, const char *fmt, ...)
{
    size_t used = strlen(s->reason);
    va_list args;
    va_start(args, fmt);
    vsnprintf(s->reason + used, sizeof(s->reason) - used, fmt, args);
    va_end(args);
}

/* "2021-08-13", "02:00" and "2021-08-13T02:00Z" of a time. */
struct time_text {
    char date[11], minute[6], both[18];
};
static struct time_text time_text(int64_t unix_ms)
{
    char full[CLOCK_RFC3339_LEN + 1];
    struct time_text t = {0};
    clock_format_rfc3339(unix_ms, full);
    memcpy(t.date, full, 10);
    memcpy(t.minute, full + 11, 5);
    memcpy(t.both, full, 16);
    t.both[16] = 'Z';
    return t;
}

/* An age as people say it: whole units, rounded down. */
static void say_age(struct signal *s, int64_t ms)
{
    if (ms >= 2 * 86400000LL) {
        say(s, "%lld d", (long long)(ms / 86400000));
    } else if (ms >= 2 * 3600000LL) {
        say(s, "%lld h", (long long)(ms / 3600000));
    } else {
        say(s, "%lld min", (long long)(ms / 60000));
    }
}

static void say_gap(struct signal *s, int64_t from_ms, int64_t to_ms)
{
    struct time_text from = time_text(from_ms), to = time_text(to_ms);
    if (strcmp(from.date, to.date) == 0) {
        say(s, "gap %s-%s on %s", from.minute, to.minute, from.date);
    } else {
        say(s, "gap %s to %s", from.both, to.both);
    }
}

/* ---- whether the candles are fit ---- */

static enum signal_quality judge(struct signal *s, const struct bar *window, int64_t now_ms)
{
    if (s->n < SIGNAL_BARS) {
        say(s, "insufficient data: %zu of %d candles", s->n, SIGNAL_BARS);
        return SIGNAL_TOO_FEW;
    }
    for (size_t i = 0; i < s->n; i++) {
        if (!bar_is_sound(&window[i]) ||
            (i > 0 && window[i].open_ms - window[i - 1].open_ms < s->interval_ms)) {
            say(s, "unsound candle %s", time_text(window[i].open_ms).both);
            return SIGNAL_UNSOUND;
        }
    }
    int64_t age_ms = now_ms - (s->candle_ms + s->interval_ms);
    if (age_ms >= 2 * s->interval_ms) {
        say(s, "stale: last candle ");
        say_age(s, age_ms);
        say(s, " old");
        return SIGNAL_STALE;
    }
    for (size_t i = s->n - SIGNAL_UNBROKEN + 1; i < s->n; i++) {
        int64_t due_ms = window[i - 1].open_ms + s->interval_ms;
        if (window[i].open_ms != due_ms) {
            say_gap(s, due_ms, window[i].open_ms);
            return SIGNAL_GAP;
        }
    }
    return SIGNAL_GOOD;
}

/* ---- votes ---- */

struct readings {
    double close, before; /* the last two closes */
    double ema20, ema50, sma200;
    struct macd_value macd;
    bool rsi_known, percent_b_known;
    double rsi, rsi_before;
    double percent_b;
    double momentum, deviation; /* of 10 candles: the change, and the usual size of one */
    double volume;              /* last against its mean of 20; NaN: nothing was traded */
};

static double sign(double x)
{
    return (x > 0) - (x < 0);
}

static double clip(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

/* The window is sound and long enough for all of these (judge() saw to it), so that only no
 * movement and no volume are left as reasons for having no number. */
static struct readings read_window(const struct bar *window, size_t count)
{
    double closes[SIGNAL_BARS], volumes[SIGNAL_BARS], returns[SIGNAL_BARS], mean;
    struct readings r = {.volume = NAN};
    enum indicator_gap gap = INDICATOR_OK;
    assert(count == SIGNAL_BARS);
    for (size_t i = 0; i < count; i++) {
        closes[i] = window[i].close;
        volumes[i] = window[i].volume;
        returns[i] = i > 0 ? closes[i] / closes[i - 1] - 1 : 0;
    }
    r.close = closes[count - 1];
    r.before = closes[count - 2];
    gap |= ema_of(closes, count, 20, &r.ema20);
    gap |= ema_of(closes, count, 50, &r.ema50);
    gap |= sma_of(closes, count, 200, &r.sma200);
    gap |= macd_of(closes, count, &r.macd);
    gap |= momentum_of(closes, count, MOMENTUM_CANDLES, &r.momentum);
    gap |= realised_of(returns + 1, count - 1, &r.deviation);
    gap |= sma_of(volumes, count, VOLUME_CANDLES, &mean);
    assert(gap == INDICATOR_OK);
    r.deviation *= sqrt(MOMENTUM_CANDLES);
    r.rsi_known = rsi_of(closes, count, 14, RSI_MIN_CLOSES, &r.rsi) == INDICATOR_OK &&
                  rsi_of(closes, count - 1, 14, RSI_MIN_CLOSES, &r.rsi_before) == INDICATOR_OK;
    r.percent_b_known = bollinger_percent_b_of(closes, count, &r.percent_b) == INDICATOR_OK;
    if (gap == INDICATOR_OK && mean > 0) {
        r.volume = volumes[count - 1] / mean;
    }
    return r;
}

static double vote_of(enum signal_part p, const struct readings *r)
{
    switch (p) {
    case SIGNAL_TREND:
        return (sign(r->close - r->ema20) + sign(r->close - r->ema50) + sign(r->close - r->sma200) +
                sign(r->ema20 - r->ema50)) /
               4;
    case SIGNAL_MACD:
        return sign(r->macd.line - r->macd.signal);
    case SIGNAL_RSI:
        if (!r->rsi_known) {
            return 0;
        }
        return r->rsi < RSI_LOW && r->rsi > r->rsi_before    ? 1
               : r->rsi > RSI_HIGH && r->rsi < r->rsi_before ? -1
                                                             : 0;
    case SIGNAL_BOLLINGER:
        if (!r->percent_b_known) {
            return 0;
        }
        return r->percent_b < 0 && r->close > r->before   ? 1
               : r->percent_b > 1 && r->close < r->before ? -1
                                                          : 0;
    case SIGNAL_MOMENTUM:
        /* a move without any scatter is larger than all scatter */
        return r->deviation > 0 ? clip(r->momentum / (2 * r->deviation), -1, 1) : sign(r->momentum);
    case SIGNAL_PARTS:
        break;
    }
    return 0;
}

/* ---- words for the largest contributions ---- */

static char relation(double a, double b)
{
    return a > b ? '>' : a < b ? '<' : '=';
}

static void say_part(struct signal *s, enum signal_part p, const struct readings *r)
{
    switch (p) {
    case SIGNAL_TREND:
        say(s, "close%cEMA20 close%cEMA50 close%cSMA200 EMA20%cEMA50", relation(r->close, r->ema20),
            relation(r->close, r->ema50), relation(r->close, r->sma200),
            relation(r->ema20, r->ema50));
        break;
    case SIGNAL_MACD:
        say(s, "MACD %s signal", r->macd.line > r->macd.signal ? "above" : "below");
        break;
    case SIGNAL_RSI:
        say(s, "RSI14 %.1f %s", r->rsi, r->rsi > r->rsi_before ? "rising" : "falling");
        break;
    case SIGNAL_BOLLINGER:
        say(s, "%%B %.2f turning %s", r->percent_b, r->close > r->before ? "up" : "down");
        break;
    case SIGNAL_MOMENTUM:
        say(s, "%d-candle change %+.2f %%", MOMENTUM_CANDLES, 100 * r->momentum);
        break;
    case SIGNAL_PARTS:
        break;
    }
    say(s, " (%+.2f)", s->components[p].contribution);
}

static void say_largest(struct signal *s, const struct readings *r)
{
    bool said[SIGNAL_PARTS] = {false};
    for (int k = 0; k < 3; k++) {
        enum signal_part best = SIGNAL_PARTS;
        for (enum signal_part p = 0; p < SIGNAL_PARTS; p++) {
            double size = fabs(s->components[p].contribution);
            if (!said[p] && size > 0 &&
                (best == SIGNAL_PARTS || size > fabs(s->components[best].contribution))) {
                best = p;
            }
        }
        if (best == SIGNAL_PARTS) {
            if (k == 0) {
                say(s, "no vote moves the score");
            }
            break;
        }
        said[best] = true;
        say(s, "%s", k ? ", " : "");
        say_part(s, best, r);
    }
    if (isnan(r->volume)) {
        say(s, "; no volume");
    } else {
        say(s, "; volume %.2f of its mean", r->volume);
    }
}

/* ---- the signal ---- */

static enum signal_side next_side(enum signal_side now, double score)
{
    if (score > SIGNAL_ENTER || (now == SIGNAL_BUY && score >= SIGNAL_LEAVE)) {
        return SIGNAL_BUY;
    }
    if (score < -SIGNAL_ENTER || (now == SIGNAL_SELL && score <= -SIGNAL_LEAVE)) {
        return SIGNAL_SELL;
    }
    return SIGNAL_HOLD;
}

static void decide(struct signal_state *state, const struct bar *window, struct signal *s)
{
    struct readings r = read_window(window, s->n);
    s->confirmation = clip(isnan(r.volume) ? 0 : r.volume, 0.5, 1.5) / 1.5;
    for (enum signal_part p = 0; p < SIGNAL_PARTS; p++) {
        struct signal_component *c = &s->components[p];
        c->vote = vote_of(p, &r);
        c->contribution = c->weight * c->vote * (parts[p].confirmed ? s->confirmation : 1);
        s->score += c->contribution;
    }
    s->strength = fmin(1, fabs(s->score));
    s->side = next_side(state->side, s->score);
    if (s->side != SIGNAL_HOLD && s->strength <= SIGNAL_ENTER) {
        say(s, "kept until |score| is below %.2f: ", SIGNAL_LEAVE);
    }
    say_largest(s, &r);
}

void signal_of(struct signal_state *state, const struct bar *bars, size_t count,
               int64_t interval_ms, int64_t now_ms, struct signal *out)
{
    assert(interval_ms > 0);
    while (count > 0 && bars[count - 1].open_ms > now_ms - interval_ms) {
        count--;
    }
    *out = (struct signal){.n = min_size(count, SIGNAL_BARS), .interval_ms = interval_ms};
    signal_interval_text(interval_ms, out->interval);
    for (enum signal_part p = 0; p < SIGNAL_PARTS; p++) {
        out->components[p].weight = parts[p].weight;
    }
    const struct bar *window = bars ? bars + (count - out->n) : NULL;
    out->candle_ms = out->n > 0 ? window[out->n - 1].open_ms : 0;
    out->quality = judge(out, window, now_ms);
    if (out->quality == SIGNAL_GOOD) {
        decide(state, window, out);
    }
    if (out->n > 0) {
        say(out, " [%s candle %s, %zu candles]", out->interval, time_text(out->candle_ms).both,
            out->n);
    }
    state->side = out->side;
}

void signal_settle(struct signal_state *state, const struct bar *bars, size_t count,
                   int64_t interval_ms, int64_t now_ms)
{
    while (count > 0 && bars[count - 1].open_ms > now_ms - interval_ms) {
        count--;
    }
    state->side = SIGNAL_HOLD;
    for (size_t used = SIGNAL_BARS; used < count; used++) {
        struct signal unused;
        signal_of(state, bars, used, interval_ms, bars[used - 1].open_ms + interval_ms, &unused);
    }
}

bool signal_due(struct signal_state *state, const struct signal *s)
{
    /* Half a billionth of slack: 0.3 - 0.2 is a step too. */
    if (state->emitted && state->emitted_side == s->side &&
        fabs(s->strength - state->emitted_strength) < SIGNAL_STRENGTH_STEP - 5e-10) {
        return false;
    }
    state->emitted = true;
    state->emitted_side = s->side;
    state->emitted_strength = s->strength;
    return true;
}
