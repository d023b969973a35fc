/* SPDX-License-Identifier: MIT */
#include "api/messages.h"

#include "base/clock.h"

#include <math.h>

/* Decimals that make sense for each number; prices keep what the provider gave. */
static void write_value(struct json_writer *w, const struct summary_value *v)
{
    if (v->known) {
        json_double(w, v->value);
    } else {
        json_null(w);
    }
}

static void write_source(struct json_writer *w, const struct summary *s, enum summary_field f,
                         int64_t now_ms)
{
    const struct summary_value *v = &s->fields[f];
    bool stale = summary_is_stale(s, f, now_ms);
    json_key(w, summary_field_name(f));
    json_object(w);
    json_key(w, "provider");
    json_text(w, v->known ? v->provider : NULL);
    json_put_time(w, "as_of", v->known ? v->as_of_ms : 0);
    json_key(w, "age_s");
    if (v->known) {
        json_decimal(w, (double)(now_ms - v->as_of_ms) / 1000.0, 3);
    } else {
        json_null(w);
    }
    if (v->known && v->method[0]) {
        json_key(w, "method");
        json_text(w, v->method);
    }
    if (v->known && v->closes > 0) {
        json_key(w, "closes");
        json_i64(w, v->closes);
    }
    if (stale) {
        json_key(w, "reason");
        json_text(w, v->reason[0] ? v->reason : "older than this number is good for");
    }
    json_object_end(w);
}

static void write_stale(struct json_writer *w, const struct summary *s, const enum summary_field *f,
                        size_t count, int64_t now_ms)
{
    json_key(w, "stale");
    json_array(w);
    for (size_t i = 0; i < count; i++) {
        if (summary_is_stale(s, f[i], now_ms)) {
            json_text(w, summary_field_name(f[i]));
        }
    }
    json_array_end(w);
}

static const enum summary_field all_fields[] = {FIELD_BTC_PRICE,  FIELD_BTC_CHANGE_24H,
                                                FIELD_MARKET_CAP, FIELD_VOLUME_24H,
                                                FIELD_FEAR_GREED, FIELD_RSI_14};

void message_summary(struct buf *out, const struct summary *s, int64_t now_ms, struct str extra)
{
    struct json_writer w;
    json_begin(&w, out);
    json_object(&w);
    for (size_t i = 0; i < ARRAY_LEN(all_fields); i++) {
        json_key(&w, summary_field_name(all_fields[i]));
        write_value(&w, &s->fields[all_fields[i]]);
    }
    json_put_time(&w, "last_updated", s->last_updated_ms);
    json_key(&w, "mode");
    json_text(&w, market_mode_text(s->mode));
    write_stale(&w, s, all_fields, ARRAY_LEN(all_fields), now_ms);
    json_key(&w, "sources");
    json_object(&w);
    for (size_t i = 0; i < ARRAY_LEN(all_fields); i++) {
        write_source(&w, s, all_fields[i], now_ms);
    }
    json_object_end(&w);
    buf_add_str(out, extra);
    json_object_end(&w);
}

void message_stamp(struct json_writer *w, int64_t now_ms, const char *mode, const char *cursor)
{
    json_key(w, "timestamp");
    json_time(w, now_ms);
    if (mode) {
        json_key(w, "mode");
        json_text(w, mode);
    }
    if (cursor) {
        json_key(w, "cursor");
        json_text(w, cursor);
    }
}

void message_dashboard(struct buf *out, const struct summary *s, int64_t now_ms, const char *source,
                       const char *cursor)
{
    struct json_writer w;
    json_begin(&w, out);
    json_object(&w);
    json_key(&w, "type");
    json_text(&w, "dashboard_update");
    json_key(&w, "data");
    struct buf data = {0};
    message_summary(&data, s, now_ms, (struct str){0});
    json_raw(&w, buf_str(&data));
    buf_fini(&data);
    message_stamp(&w, now_ms, market_mode_text(s->mode), cursor);
    json_key(&w, "source");
    json_text(&w, source);
    json_object_end(&w);
}

void message_btc_price(struct buf *out, const struct summary *s, int64_t now_ms, const char *cursor)
{
    static const enum summary_field fields[] = {FIELD_BTC_PRICE, FIELD_BTC_CHANGE_24H};
    struct json_writer w;
    json_begin(&w, out);
    json_object(&w);
    json_key(&w, "type");
    json_text(&w, "btc_price_update");
    json_key(&w, "data");
    json_object(&w);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        json_key(&w, summary_field_name(fields[i]));
        write_value(&w, &s->fields[fields[i]]);
    }
    write_stale(&w, s, fields, ARRAY_LEN(fields), now_ms);
    json_key(&w, "sources");
    json_object(&w);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        write_source(&w, s, fields[i], now_ms);
    }
    json_object_end(&w);
    json_object_end(&w);
    message_stamp(&w, now_ms, market_mode_text(s->mode), cursor);
    json_object_end(&w);
}

void message_welcome(struct buf *out, struct str data, const char *mode, int64_t now_ms,
                     const char *cursor)
{
    struct json_writer w;
    json_begin(&w, out);
    json_object(&w);
    json_key(&w, "type");
    json_text(&w, "welcome");
    json_key(&w, "data");
    json_raw(&w, data);
    message_stamp(&w, now_ms, mode, cursor);
    json_key(&w, "message");
    json_text(&w, "Connected to real-time dashboard updates");
    json_object_end(&w);
}

void message_custom(struct buf *out, struct str channel, struct str data, int64_t now_ms,
                    const char *cursor)
{
    char time[CLOCK_RFC3339_LEN + 1];
    clock_format_rfc3339(now_ms, time);
    buf_add_lit(out, "{\"type\":\"message\",\"channel\":");
    json_escape(out, channel);
    buf_add_lit(out, ",\"data\":");
    buf_add_str(out, data);
    buf_add_lit(out, ",\"timestamp\":\"");
    buf_add(out, time, CLOCK_RFC3339_LEN);
    buf_add_lit(out, "\",\"cursor\":\"");
    buf_add_str(out, str_of(cursor));
    buf_add_lit(out, "\"}");
}

void message_error(struct buf *out, const struct error_text *e, int64_t now_ms)
{
    struct json_writer w;
    json_begin(&w, out);
    json_object(&w);
    json_key(&w, "type");
    json_text(&w, "error");
    json_key(&w, "error");
    json_text(&w, e->message);
    json_key(&w, "code");
    json_text(&w, e->code);
    json_key(&w, "timestamp");
    json_time(&w, now_ms);
    json_key(&w, "retry_after");
    if (e->retry_after_s >= 0) {
        json_i64(&w, e->retry_after_s);
    } else {
        json_null(&w);
    }
    if (e->id.len) {
        json_key(&w, "id");
        json_raw(&w, e->id);
    }
    json_object_end(&w);
}

void message_problem(struct buf *out, unsigned status, const char *title, const char *detail)
{
    struct json_writer w;
    json_begin(&w, out);
    json_object(&w);
    json_key(&w, "type");
    json_text(&w, "about:blank");
    json_key(&w, "title");
    json_text(&w, title);
    json_key(&w, "status");
    json_i64(&w, (int64_t)status);
    json_key(&w, "detail");
    json_text(&w, detail);
    json_object_end(&w);
}

void message_summary_etag(const struct summary *s, int64_t now_ms, bool refreshed, char out[24])
{
    struct buf text = {0};
    for (size_t i = 0; i < ARRAY_LEN(all_fields); i++) {
        const struct summary_value *v = &s->fields[all_fields[i]];
        buf_printf(&text, "%.17g %lld %d %s\n", v->known ? v->value : NAN,
                   (long long)(v->known ? v->as_of_ms : 0),
                   summary_is_stale(s, all_fields[i], now_ms), v->provider);
    }
    buf_printf(&text, "%d %d", (int)s->mode, refreshed);
    snprintf(out, 24, "W/\"%016llx\"", (unsigned long long)str_hash(buf_str(&text)));
    buf_fini(&text);
}
