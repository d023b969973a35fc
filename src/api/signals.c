/* Signals: a message on change, to all and to those of the symbol; and what stands every 15 s for
 * those who follow one symbol (Socket.IO clients do), since they cannot ask. Sentiment: whenever it
 * was worked out.
 * SPDX-License-Identifier: MIT */
#include "api/main_in.h"
#include "api/market_messages.h"
#include "base/alloc.h"
#include "market/sentiment.h"

enum { STANDING_MS = 15000 };

static void publish_signal(struct api_main *a, const struct channel_info *channel, uint32_t key,
                           bool repeat)
{
    const struct main_symbol *s = &a->markets.symbols[key];
    struct buf data = {0};
    message_signal(&data, s->name, s->signal, loop_wall_ms(a->opts.loop),
                   market_mode_text(a->opts.summary->mode), repeat);
    markets_publish(a, channel, key, buf_str(&data), false);
    buf_fini(&data);
}

void api_main_signal(struct api_main *a, uint32_t symbol, const struct signal *s, bool changed)
{
    uint32_t key =
        a->opts.settings->sources && a->opts.market ? markets_key(a, symbol) : CATALOGUE_NONE;
    if (key == CATALOGUE_NONE) {
        return;
    }
    struct main_symbol *of = &a->markets.symbols[key];
    if (!of->signal) {
        of->signal = mem_zero(sizeof(*of->signal));
    }
    *of->signal = *s;
    if (!of->signal_channel) {
        char name[sizeof("trading_signal:") + MARKET_SYMBOL_LEN];
        snprintf(name, sizeof(name), "trading_signal:%s", of->name);
        /* Without a channel of its own the symbol's signals still go to everybody. */
        (void)!hub_channel(a->opts.hub, str_of(name), STR("trading_signal"), CHANNEL_STATE,
                           &of->signal_channel);
    }
    if (changed) {
        publish_signal(a, a->markets.signals, key, false);
        if (of->signal_channel) {
            publish_signal(a, of->signal_channel, key, false);
        }
    }
}

static void standing_due(void *self)
{
    struct api_main *a = self;
    struct markets *m = &a->markets;
    for (size_t i = 0; i < m->count; i++) {
        const struct main_symbol *s = &m->symbols[i];
        if (s->signal && s->signal_channel && s->signal->side != SIGNAL_HOLD) {
            publish_signal(a, s->signal_channel, (uint32_t)i, true);
        }
    }
    timer_start(a->opts.loop, &m->standing_timer, loop_now_ms(a->opts.loop) + STANDING_MS,
                standing_due, a);
}

/* ---- sentiment ---- */

void api_main_sentiment(struct api_main *a, const struct sentiment *s)
{
    struct markets *m = &a->markets;
    struct buf data = {0};
    if (!a->opts.settings->sources) {
        return;
    }
    if (!m->mood) {
        m->mood = mem_zero(sizeof(*m->mood));
    }
    *m->mood = *s;
    message_sentiment(&data, m->mood, loop_wall_ms(a->opts.loop),
                      market_mode_text(a->opts.summary->mode));
    markets_publish(a, m->sentiment, 0, buf_str(&data), false);
    buf_fini(&data);
}

/* ---- life ---- */

enum err signals_init(struct api_main *a)
{
    struct markets *m = &a->markets;
    enum err e = hub_channel(a->opts.hub, STR("trading_signal"), STR("trading_signal"),
                             CHANNEL_EVENT, &m->signals);
    if (e == OK) {
        e = hub_channel(a->opts.hub, STR("sentiment_update"), STR("sentiment_update"),
                        CHANNEL_STATE, &m->sentiment);
    }
    return e;
}

void signals_start(struct api_main *a)
{
    timer_start(a->opts.loop, &a->markets.standing_timer, loop_now_ms(a->opts.loop) + STANDING_MS,
                standing_due, a);
}

/* What was computed from the old mode's data counts no more. */
void signals_again(struct api_main *a)
{
    for (size_t i = 0; i < a->markets.count; i++) {
        mem_free(a->markets.symbols[i].signal);
        a->markets.symbols[i].signal = NULL;
    }
    mem_free(a->markets.mood);
    a->markets.mood = NULL;
}

void signals_fini(struct api_main *a)
{
    timer_stop(a->opts.loop, &a->markets.standing_timer);
    signals_again(a);
}
