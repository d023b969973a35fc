/* The main half's answers to what the shards ask: one symbol, its candles and indicators, signals.
 * SPDX-License-Identifier: MIT */
#include "api/main_in.h"
#include "api/market_messages.h"
#include "api/messages.h"
#include "base/alloc.h"
#include "base/log.h"
#include "market/figures.h"

void ask_free(struct ask *q)
{
    if (q) {
        mem_free(q->keys);
        mem_free(q->if_none_match);
        buf_fini(&q->body);
        mem_free(q);
    }
}

static const char *mode_text(const struct api_main *a)
{
    return market_mode_text(a->opts.summary->mode);
}

static void send_back(struct ask *q)
{
    struct mailbox *mail = api_main_mail_of(q->main, q->shard);
    if (!mail || !mailbox_post(mail, letter_asked, q->shard, q, q->ticket)) {
        log_warn("api", "answer lost", "reason=\"shard mailbox full\"");
        ask_free(q);
    }
}

static void answer_with(struct ask *q, unsigned status, const char *sentence)
{
    q->status = status;
    buf_clear(&q->body);
    buf_add_str(&q->body, str_of(sentence));
    send_back(q);
}

/* What follows changes with every look at it, and is no part of the content. */
static void close_body(struct ask *q, struct json_writer *w)
{
    struct api_main *a = q->main;
    q->status = 200;
    q->etag = str_hash(buf_str(&q->body));
    message_stamp(w, loop_wall_ms(a->opts.loop), mode_text(a), NULL);
    json_object_end(w);
    send_back(q);
}

/* ---- one symbol ---- */

static void answer_asset(struct ask *q)
{
    struct api_main *a = q->main;
    const struct main_symbol *s = &a->markets.symbols[q->key];
    bool known = s->market_id != MARKET_NO_SYMBOL;
    int64_t now = loop_wall_ms(a->opts.loop);
    struct buf signal = {0};
    struct buf content = {0};
    if (s->signal) {
        message_signal(&signal, s->name, s->signal, now, mode_text(a), true);
    }
    struct asset_text text = {
        .symbol = s->name,
        .watched = s->watched,
        .offered = s->offered,
        .q = known ? market_quote(a->opts.market, s->market_id) : NULL,
        .venue =
            known && a->opts.candles ? candles_venue(a->opts.candles, s->market_id) : MARKET_VENUES,
        .signal = buf_str(&signal),
        .mode = mode_text(a),
    };
    message_asset(&q->body, &text, now);
    buf_printf(&content, "%llu %d %d %d %s ", (unsigned long long)(known ? text.q->version : 0),
               (int)text.venue, s->watched, s->offered, text.mode);
    if (s->signal) { /* but for the time at which it is looked at */
        message_signal(&content, s->name, s->signal, 0, text.mode, true);
    }
    q->etag = str_hash(buf_str(&content));
    q->status = 200;
    buf_fini(&content);
    buf_fini(&signal);
    send_back(q);
}

/* ---- candles ---- */

/* The part of the series in memory that was asked for: the newest `limit` of [from, to). */
static const struct candle *in_memory(const struct ask *q, size_t *count)
{
    const struct api_main *a = q->main;
    size_t n = 0;
    uint32_t id = a->markets.symbols[q->key].market_id;
    const struct candle *rows = id == MARKET_NO_SYMBOL || !a->opts.candles
                                    ? NULL
                                    : candles_series(a->opts.candles, id, q->interval, &n);
    while (n && rows[n - 1].open_ms >= q->to_ms) {
        n--;
    }
    size_t first = n > q->limit ? n - q->limit : 0;
    while (first < n && rows[first].open_ms < q->from_ms) {
        first++;
    }
    *count = n - first;
    return rows ? rows + first : NULL;
}

static void write_rows(struct json_writer *w, const struct candle *rows, size_t count,
                       enum market_venue head)
{
    for (size_t i = 0; i < count; i++) {
        message_candle(w, &rows[i], head);
    }
}

/* Whose candles they are, and in what; gives the venue. */
static enum market_venue write_head(const struct ask *q, struct json_writer *w)
{
    const struct api_main *a = q->main;
    const struct main_symbol *s = &a->markets.symbols[q->key];
    bool known = s->market_id != MARKET_NO_SYMBOL && a->opts.candles;
    enum market_venue venue = known ? candles_venue(a->opts.candles, s->market_id) : MARKET_VENUES;
    message_candles_head(w,
                         &(struct candles_text){
                             .symbol = s->name,
                             .interval = q->interval,
                             .venue = venue,
                             .usdt = venue != MARKET_VENUES &&
                                     market_quote(a->opts.market, s->market_id)->feeds[venue].usdt,
                         });
    return venue;
}

static const char *why_none(const struct ask *q)
{
    return q->main->markets.symbols[q->key].watched
               ? "no candle of this symbol is known in that time"
               : "no candle of this symbol is known in that time, and it is watched only while a "
                 "client subscribes to it";
}

/* `older` come before what is in memory now (that may have grown since they were asked for). */
static void answer_candles(struct ask *q, const struct candle *older, size_t older_count,
                           const char *problem)
{
    struct json_writer w;
    size_t count = 0;
    const struct candle *rows = in_memory(q, &count);
    while (older_count && count && older[older_count - 1].open_ms >= rows[0].open_ms) {
        older_count--;
    }
    size_t room = q->limit - count;
    size_t skip = older_count > room ? older_count - room : 0;
    json_begin(&w, &q->body);
    json_object(&w);
    enum market_venue venue = write_head(q, &w);
    json_key(&w, "candles");
    json_array(&w);
    if (older_count > skip) {
        write_rows(&w, older + skip, older_count - skip, venue);
    }
    write_rows(&w, rows, count, venue);
    json_array_end(&w);
    json_key(&w, "reason");
    json_text(&w, problem ? problem : count + older_count > 0 ? NULL : why_none(q));
    close_body(q, &w);
}

static void older_done(void *self, const struct candle *rows, size_t count, const char *problem)
{
    struct ask *q = self;
    list_remove(&q->node);
    answer_candles(q, rows, count, problem);
}

static void ask_candles(struct ask *q)
{
    struct api_main *a = q->main;
    size_t count = 0;
    const struct candle *rows = in_memory(q, &count);
    uint32_t id = a->markets.symbols[q->key].market_id;
    int64_t to = count ? rows[0].open_ms : q->to_ms;
    if (count == q->limit || to <= q->from_ms || !a->opts.older_candles || id == MARKET_NO_SYMBOL) {
        answer_candles(q, NULL, 0, NULL);
        return;
    }
    list_push(&a->asked, &q->node);
    a->opts.older_candles(a->opts.self, id, q->interval, q->from_ms, to, q->limit - count,
                          older_done, q);
}

/* ---- indicators ---- */

static void answer_indicators(struct ask *q)
{
    struct json_writer w;
    struct figures f;
    size_t count = 0;
    const struct candle *rows = in_memory(q, &count);
    figures_of(rows, count, &f);
    json_begin(&w, &q->body);
    json_object(&w);
    (void)write_head(q, &w);
    message_figures(&w, &f);
    close_body(q, &w);
}

/* ---- signals ---- */

static void answer_signals(struct ask *q)
{
    struct api_main *a = q->main;
    const struct markets *m = &a->markets;
    struct buf one = {0};
    struct json_writer w;
    size_t there = 0;
    json_begin(&w, &q->body);
    json_object(&w);
    json_key(&w, "data");
    json_object(&w);
    size_t count = q->keys ? q->key_count : m->count;
    for (size_t i = 0; i < count; i++) {
        const struct main_symbol *s = &m->symbols[q->keys ? q->keys[i] : i];
        if (!s->signal && !q->keys) {
            continue;
        }
        json_key(&w, s->name);
        buf_clear(&one);
        if (s->signal) {
            message_signal(&one, s->name, s->signal, s->signal->candle_ms, mode_text(a), true);
            json_raw(&w, buf_str(&one));
            there++;
        } else {
            json_null(&w);
        }
    }
    json_object_end(&w);
    json_key(&w, "reason");
    json_text(&w, there == 0 ? "no signal of these symbols has been computed yet"
                  : q->keys && there < count
                      ? "no signal of some of these symbols has been computed yet"
                      : NULL);
    buf_fini(&one);
    close_body(q, &w);
}

void letter_ask(void *self, void *owned_ask, uint64_t number)
{
    struct ask *q = owned_ask;
    q->main = self;
    (void)number;
    if (!q->main->opts.market) {
        answer_with(q, 503, "This server runs without market data.");
        return;
    }
    switch (q->kind) {
    case ASK_ASSET:
        answer_asset(q);
        break;
    case ASK_CANDLES:
        ask_candles(q);
        break;
    case ASK_INDICATORS:
        answer_indicators(q);
        break;
    case ASK_SIGNALS:
        answer_signals(q);
        break;
    }
}
