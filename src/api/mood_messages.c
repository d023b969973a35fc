/* What is computed from prices as JSON: indicators, signals, sentiment. SPDX-License-Identifier:
 * MIT */
#include "api/market_messages.h"
#include "api/messages.h"

#include <math.h>

/* ---- indicators ---- */

void message_figures(struct json_writer *w, const struct figures *f)
{
    json_key(w, "candles");
    json_i64(w, (int64_t)f->candles);
    json_put_time(w, "first_time", f->candles ? f->first_ms : 0);
    json_put_time(w, "last_time", f->candles ? f->last_ms : 0);
    json_key(w, "indicators");
    json_object(w);
    for (int i = 0; i < FIGURES; i++) {
        json_key(w, figure_text((enum figure_name)i));
        json_double(w, f->all[i].value);
    }
    json_object_end(w);
    json_key(w, "reasons");
    json_object(w);
    for (int i = 0; i < FIGURES; i++) {
        if (f->all[i].reason[0]) {
            json_key(w, figure_text((enum figure_name)i));
            json_text(w, f->all[i].reason);
        }
    }
    json_object_end(w);
}

/* ---- signals ---- */

static void write_components(struct json_writer *w, const struct signal *s)
{
    json_object(w);
    for (int p = 0; p < SIGNAL_PARTS; p++) {
        json_key(w, signal_part_text((enum signal_part)p));
        json_object(w);
        json_key(w, "weight");
        json_decimal(w, s->components[p].weight, 4);
        json_key(w, "vote");
        json_decimal(w, s->components[p].vote, 4);
        json_key(w, "contribution");
        json_decimal(w, s->components[p].contribution, 4);
        json_object_end(w);
    }
    json_object_end(w);
}

void message_signal(struct buf *out, const char *symbol, const struct signal *s, int64_t now_ms,
                    const char *mode, bool repeat)
{
    struct json_writer w;
    bool good = s->quality == SIGNAL_GOOD;
    json_begin(&w, out);
    json_object(&w);
    json_key(&w, "symbol");
    json_text(&w, symbol);
    json_key(&w, "signal");
    json_text(&w, signal_side_text(s->side));
    json_key(&w, "strength");
    json_decimal(&w, s->strength, 4);
    json_key(&w, "reason");
    json_text(&w, s->reason);
    json_put_time(&w, "timestamp", now_ms);
    json_key(&w, "mode");
    json_text(&w, mode);
    json_key(&w, "interval");
    json_text(&w, s->interval);
    json_put_time(&w, "candle_time", s->n ? s->candle_ms : 0);
    json_key(&w, "candles");
    json_i64(&w, (int64_t)s->n);
    json_key(&w, "score");
    json_decimal(&w, good ? s->score : NAN, 4);
    json_key(&w, "components");
    if (good) {
        write_components(&w, s);
    } else {
        json_null(&w);
    }
    json_key(&w, "data_quality");
    json_text(&w, signal_quality_text(s->quality));
    json_key(&w, "repeat");
    json_bool(&w, repeat);
    json_object_end(&w);
}

/* ---- sentiment ---- */

static void write_index(struct json_writer *w, int index)
{
    if (index >= 0) {
        json_i64(w, index);
    } else {
        json_null(w);
    }
}

static void write_origin(struct json_writer *w, const char *source, int64_t as_of_ms,
                         int64_t now_ms)
{
    json_key(w, "source");
    json_text(w, source[0] ? source : NULL);
    json_put_time(w, "as_of", as_of_ms);
    json_key(w, "age_s");
    int64_t age_ms = now_ms > as_of_ms ? now_ms - as_of_ms : 0;
    json_decimal(w, as_of_ms > 0 ? (double)age_ms / 1000 : NAN, 3);
}

static void write_parts(struct json_writer *w, const struct sentiment *s, int64_t now_ms)
{
    json_object(w);
    for (int i = 0; i < SENTIMENT_PARTS; i++) {
        bool present = s->parts[i].present;
        const char *reason = s->parts[i].reason;
        json_key(w, sentiment_part_name((enum sentiment_part)i));
        json_object(w);
        json_key(w, "value");
        json_decimal(w, present ? s->parts[i].value : NAN, 4);
        json_key(w, "weight");
        json_decimal(w, sentiment_part_weight((enum sentiment_part)i), 4);
        write_origin(w, s->parts[i].source, s->parts[i].as_of_ms, now_ms);
        json_key(w, "reason");
        json_text(w, present || !reason[0] ? NULL : reason);
        json_object_end(w);
    }
    json_object_end(w);
}

static void write_missing(struct json_writer *w, const struct sentiment *s)
{
    json_key(w, "missing");
    json_array(w);
    for (int i = 0; i < SENTIMENT_PARTS; i++) {
        if (!s->parts[i].present) {
            json_text(w, sentiment_part_name((enum sentiment_part)i));
        }
    }
    json_array_end(w);
}

static void write_topics(struct json_writer *w, const struct sentiment *s, int64_t now_ms)
{
    json_key(w, "trending_topics");
    json_array(w);
    for (size_t i = 0; i < s->topic_count; i++) {
        json_text(w, s->topics[i].name[0] ? s->topics[i].name : s->topics[i].symbol);
    }
    json_array_end(w);
    json_key(w, "trending");
    json_array(w);
    for (size_t i = 0; i < s->topic_count; i++) {
        json_object(w);
        json_key(w, "symbol");
        json_text(w, s->topics[i].symbol[0] ? s->topics[i].symbol : NULL);
        json_key(w, "name");
        json_text(w, s->topics[i].name[0] ? s->topics[i].name : NULL);
        json_key(w, "change_24h");
        json_decimal(w, s->topics[i].change_24h_pct, 4);
        json_object_end(w);
    }
    json_array_end(w);
    json_key(w, "trending_from");
    json_object(w);
    write_origin(w, s->topics_source, s->topics_as_of_ms, now_ms);
    json_key(w, "reason");
    json_text(w, s->topics_reason[0] ? s->topics_reason : NULL);
    json_object_end(w);
}

void message_sentiment(struct buf *out, const struct sentiment *s, int64_t now_ms, const char *mode)
{
    struct json_writer w;
    json_begin(&w, out);
    json_object(&w);
    json_key(&w, "overall_sentiment");
    json_text(&w, s->overall);
    json_key(&w, "market_fear_greed");
    write_index(&w, s->fear_greed);
    json_key(&w, "market_mood");
    json_text(&w, s->mood);
    json_key(&w, "confidence");
    json_decimal(&w, s->available ? s->confidence : NAN, 4);
    write_topics(&w, s, now_ms);
    message_stamp(&w, now_ms, mode, NULL);
    json_key(&w, "score");
    json_decimal(&w, s->score, 4);
    json_key(&w, "fear_greed_label");
    json_text(&w, sentiment_index_label(s->fear_greed));
    json_put_time(&w, "fear_greed_as_of", s->fear_greed >= 0 ? s->fear_greed_as_of_ms : 0);
    json_key(&w, "fear_greed_estimated");
    write_index(&w, s->fear_greed_estimated);
    json_key(&w, "parts");
    write_parts(&w, s, now_ms);
    write_missing(&w, s);
    json_key(&w, "reason");
    json_text(&w, s->available ? NULL : "none of its parts is known and young enough");
    json_object_end(&w);
}
