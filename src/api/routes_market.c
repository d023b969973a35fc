/* GET on live markets: from the shard's own newest messages where it has them, else the main half
 * is asked. SPDX-License-Identifier: MIT */
#include "api/session.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "wire/scan.h"

enum { LIMIT_DEFAULT = 500, LIMIT_MAX = 1000 };

/* ---- answers ---- */

static void reply_content(struct conn *c, struct str if_none_match, uint64_t etag, struct str body)
{
    char text[24];
    struct buf headers = {0};
    snprintf(text, sizeof(text), "W/\"%016llx\"", (unsigned long long)etag);
    buf_printf(&headers, "Cache-Control: no-cache\r\nETag: %s\r\n", text);
    if (etag_matches(if_none_match, text)) {
        send_reply(c, &(struct http_reply){.status = 304, .headers = buf_str(&headers)});
    } else {
        send_reply(c, &(struct http_reply){.status = 200,
                                           .content_type = STR("application/json"),
                                           .headers = buf_str(&headers),
                                           .body = body});
    }
    buf_fini(&headers);
}

static struct str none_match(const struct http_request *r)
{
    return http_request_header(r, STR("If-None-Match"));
}

static void reply_invalid(struct conn *c, const char *sentence)
{
    reply_problem(c, 422, "Unprocessable Content", sentence, (struct str){0});
}

static void reply_unknown(struct conn *c, struct str names)
{
    struct buf detail = {0};
    buf_printf(&detail, "Unknown here: %.*s. GET /api/v1/assets lists all symbols.",
               STR_ARG(names));
    reply_problem(c, 404, "Not Found", buf_text(&detail), (struct str){0});
    buf_fini(&detail);
}

/* ---- parameters ---- */

/* `symbols`, when the query has it: *named. False: refused, the client was told. */
static bool read_symbols(struct api_shard *s, struct conn *c, const struct http_request *r,
                         struct symbols *out, bool *named)
{
    struct buf text = {0};
    struct str part;
    enum err e = http_query(r->query, STR("symbols"), &text);
    struct str rest = buf_str(&text);
    *named = e == OK && text.len;
    bool fine = e == OK || e == ERR_NOT_FOUND;
    if (!fine) {
        reply_invalid(c, "symbols is not properly percent-encoded.");
    }
    while (fine && *named && str_next(&rest, ',', &part)) {
        if (symbols_add(out, shard_answers(s)->catalogue, str_trim(part)) != OK) {
            reply_invalid(c, "symbols may name at most 500 different symbols.");
            fine = false;
        }
    }
    if (fine && *named && out->count == 0) {
        reply_unknown(c, buf_str(&out->unknown));
        fine = false;
    }
    buf_fini(&text);
    return fine;
}

/* The symbol in the path; NULL: refused, the client was told. */
static const struct catalogue_entry *path_symbol(struct api_shard *s, struct conn *c,
                                                 const struct http_request *r, const char *pattern)
{
    struct str raw;
    struct buf name = {0};
    const struct catalogue_entry *entry = NULL;
    if (path_fits(pattern, r->path, &raw) && http_decode(raw, false, &name) == OK) {
        entry = catalogue_find(shard_answers(s)->catalogue, buf_str(&name));
    }
    if (!entry) {
        struct buf shown = {0};
        json_escape(&shown, str_sub(buf_str(&name), 0, 64));
        reply_unknown(c, buf_str(&shown));
        buf_fini(&shown);
    }
    buf_fini(&name);
    return entry;
}

static bool read_interval(struct conn *c, const struct http_request *r, enum interval fallback,
                          enum interval *out)
{
    struct buf text = {0};
    enum err e = http_query(r->query, STR("interval"), &text);
    *out = e == ERR_NOT_FOUND ? fallback : interval_of(buf_str(&text));
    buf_fini(&text);
    if (*out == INTERVALS) {
        reply_invalid(c, "interval must be 1m, 5m, 15m, 1h, 4h or 1d.");
        return false;
    }
    return true;
}

/* Milliseconds of Unix time, or RFC 3339. */
static bool read_time(struct conn *c, const struct http_request *r, const char *name, int64_t *out)
{
    struct buf text = {0};
    enum err e = http_query(r->query, str_of(name), &text);
    bool fine = e == ERR_NOT_FOUND || (e == OK && (str_to_i64(buf_str(&text), out) == OK ||
                                                   clock_parse_rfc3339(buf_str(&text), out) == OK));
    buf_fini(&text);
    if (!fine) {
        struct buf sentence = {0};
        buf_printf(&sentence, "%s must be a time like 2026-01-31T00:00:00Z, or Unix milliseconds.",
                   name);
        reply_invalid(c, buf_text(&sentence));
        buf_fini(&sentence);
    }
    return fine;
}

static bool read_limit(struct conn *c, const struct http_request *r, size_t *out)
{
    struct buf text = {0};
    uint64_t limit = LIMIT_DEFAULT;
    enum err e = http_query(r->query, STR("limit"), &text);
    bool fine = e == ERR_NOT_FOUND || (e == OK && str_to_u64(buf_str(&text), &limit) == OK &&
                                       limit >= 1 && limit <= LIMIT_MAX);
    buf_fini(&text);
    if (!fine) {
        reply_invalid(c, "limit must be a whole number from 1 to 1000.");
    }
    *out = (size_t)limit;
    return fine;
}

/* ---- from this shard ---- */

/* The member of an object; empty: it has none of that name. */
static struct str member_of(struct str json, struct str name)
{
    struct scan s;
    struct str key;
    struct str value;
    scan_begin(&s, json);
    if (!scan_object(&s)) {
        return (struct str){0};
    }
    while (scan_key(&s, &key)) {
        if (scan_string_is(key, name) && scan_skip(&s, &value)) {
            return value;
        }
    }
    return (struct str){0};
}

static void write_end(struct api_shard *s, struct json_writer *w)
{
    char cursor[CURSOR_LEN + 1];
    fanout_cursor_text(s->fanout, cursor);
    message_stamp(w, shard_wall_ms(s), shard_answers(s)->mode, cursor);
    json_object_end(w);
}

/* A bit per named symbol that has a row in `data`. */
static void note_rows(const struct catalogue *c, struct str data, const struct symbols *symbols,
                      bool has_row[SYMBOLS_MAX])
{
    struct scan s;
    struct str name;
    scan_begin(&s, data);
    if (!scan_object(&s)) {
        return;
    }
    while (scan_key(&s, &name)) {
        const struct catalogue_entry *e = catalogue_find(c, name);
        for (size_t i = 0; e && i < symbols->count; i++) {
            has_row[i] = has_row[i] || symbols->keys[i] == e->key;
        }
    }
}

/* Known symbols without a row, each with the reason. */
static void write_missing(struct api_shard *s, struct json_writer *w, struct str data,
                          const struct symbols *symbols)
{
    const struct catalogue *c = shard_answers(s)->catalogue;
    bool has_row[SYMBOLS_MAX] = {0};
    note_rows(c, data, symbols, has_row);
    json_key(w, "missing");
    json_object(w);
    for (size_t i = 0; i < symbols->count; i++) {
        const struct catalogue_entry *e = has_row[i] ? NULL : catalogue_of_key(c, symbols->keys[i]);
        if (e) {
            json_key(w, e->name);
            json_text(w, e->flags & SYMBOL_WATCHED
                             ? "no feed has said a price yet"
                             : "watched only while a client subscribes to it");
        }
    }
    json_object_end(w);
}

void get_prices(struct api_shard *s, struct conn *c, const struct http_request *r, struct str body)
{
    struct symbols symbols = {0};
    bool named = false;
    (void)body;
    if (read_symbols(s, c, r, &symbols, &named)) {
        struct buf message = {0};
        struct buf json = {0};
        struct json_writer w;
        struct fanout_sub sub = {
            .channel = STR("price_updates"), .keys = symbols.keys, .key_count = symbols.count};
        (void)fanout_catch_up(s->fanout, &sub, NULL, FORM_POLL, &message);
        struct str data = member_of(buf_str(&message), STR("data"));
        json_begin(&w, &json);
        json_object(&w);
        json_key(&w, "data");
        json_raw(&w, data.len ? data : STR("{}"));
        write_missing(s, &w, data, &symbols);
        json_key(&w, "unknown");
        json_array(&w);
        if (symbols.unknown_count) {
            json_raw(&w, buf_str(&symbols.unknown));
        }
        json_array_end(&w);
        uint64_t etag = str_hash(buf_str(&json));
        write_end(s, &w);
        reply_content(c, none_match(r), etag, buf_str(&json));
        buf_fini(&json);
        buf_fini(&message);
    }
    symbols_fini(&symbols);
}

/* The data of a state channel's newest message. */
static void reply_newest(struct api_shard *s, struct conn *c, const struct http_request *r,
                         struct str channel, const char *if_none)
{
    struct str data = member_of(fanout_last(s->fanout, channel), STR("data"));
    if (data.len) {
        reply_content(c, none_match(r), str_hash(data), data);
        return;
    }
    reply_problem(c, 503, "Service Unavailable", if_none, STR("Retry-After: 2\r\n"));
}

void get_ticker(struct api_shard *s, struct conn *c, const struct http_request *r, struct str body)
{
    (void)body;
    reply_newest(s, c, r, STR("ticker"), "No price is known yet.");
}

void get_sentiment(struct api_shard *s, struct conn *c, const struct http_request *r,
                   struct str body)
{
    (void)body;
    reply_newest(s, c, r, STR("sentiment_update"), "The sentiment has not been computed yet.");
}

void get_assets(struct api_shard *s, struct conn *c, const struct http_request *r, struct str body)
{
    const struct catalogue *known = shard_answers(s)->catalogue;
    struct buf json = {0};
    struct json_writer w;
    (void)body;
    json_begin(&w, &json);
    json_object(&w);
    json_key(&w, "assets");
    json_array(&w);
    for (size_t i = 0; known && i < known->count; i++) {
        json_object(&w);
        json_key(&w, "symbol");
        json_text(&w, known->entries[i].name);
        json_key(&w, "watched");
        json_bool(&w, (known->entries[i].flags & SYMBOL_WATCHED) != 0);
        json_key(&w, "offered");
        json_bool(&w, (known->entries[i].flags & SYMBOL_OFFERED) != 0);
        json_object_end(&w);
    }
    json_array_end(&w);
    uint64_t etag = str_hash(buf_str(&json));
    message_stamp(&w, shard_wall_ms(s), shard_answers(s)->mode, NULL);
    json_object_end(&w);
    reply_content(c, none_match(r), etag, buf_str(&json));
    buf_fini(&json);
}

/* ---- by letter ---- */

static void ask_main(struct api_shard *s, struct conn *c, const struct http_request *r,
                     const struct ask *question)
{
    struct str match = none_match(r);
    struct ask *q = mem_zero(sizeof(*q));
    *q = *question;
    q->shard = s;
    q->if_none_match = match.len ? mem_copy_text(match.ptr, min_size(match.len, 256)) : NULL;
    q->ticket = session_wait(s, c);
    if (!mailbox_post(s->opts.main_mail, letter_ask, s->opts.main, q, 0)) {
        session_wait_over(c);
        reply_problem(c, 503, "Service Unavailable", "The server is too busy; try again soon.",
                      STR("Retry-After: 1\r\n"));
        ask_free(q);
    }
}

void letter_asked(void *self, void *owned_ask, uint64_t ticket)
{
    struct api_shard *s = self;
    struct ask *q = owned_ask;
    struct conn *c = session_answered(s, ticket);
    if (c && q->status == 200) {
        reply_content(c, q->if_none_match ? str_of(q->if_none_match) : (struct str){0}, q->etag,
                      buf_str(&q->body));
    } else if (c) {
        reply_problem(c, q->status, "Service Unavailable", buf_text(&q->body),
                      STR("Retry-After: 2\r\n"));
    }
    ask_free(q);
}

void get_asset(struct api_shard *s, struct conn *c, const struct http_request *r, struct str body)
{
    const struct catalogue_entry *e = path_symbol(s, c, r, "/api/v1/assets/:symbol");
    (void)body;
    if (e) {
        ask_main(s, c, r, &(struct ask){.kind = ASK_ASSET, .key = e->key});
    }
}

void get_candles(struct api_shard *s, struct conn *c, const struct http_request *r, struct str body)
{
    struct ask q = {.kind = ASK_CANDLES, .from_ms = INT64_MIN, .to_ms = INT64_MAX};
    const struct catalogue_entry *e = path_symbol(s, c, r, "/api/v1/assets/:symbol/candles");
    (void)body;
    if (!e || !read_interval(c, r, INTERVAL_1M, &q.interval) || !read_limit(c, r, &q.limit) ||
        !read_time(c, r, "from", &q.from_ms) || !read_time(c, r, "to", &q.to_ms)) {
        return;
    }
    if (q.from_ms >= q.to_ms) {
        reply_invalid(c, "from must be before to.");
        return;
    }
    q.key = e->key;
    ask_main(s, c, r, &q);
}

void get_indicators(struct api_shard *s, struct conn *c, const struct http_request *r,
                    struct str body)
{
    struct ask q = {
        .kind = ASK_INDICATORS, .from_ms = INT64_MIN, .to_ms = INT64_MAX, .limit = LIMIT_MAX};
    const struct catalogue_entry *e = path_symbol(s, c, r, "/api/v1/assets/:symbol/indicators");
    (void)body;
    if (e && read_interval(c, r, INTERVAL_1H, &q.interval)) {
        q.key = e->key;
        ask_main(s, c, r, &q);
    }
}

void get_signals(struct api_shard *s, struct conn *c, const struct http_request *r, struct str body)
{
    struct symbols symbols = {0};
    struct ask q = {.kind = ASK_SIGNALS};
    bool named = false;
    (void)body;
    if (read_symbols(s, c, r, &symbols, &named)) {
        if (named) {
            q.keys = mem_array(symbols.count, sizeof(*q.keys));
            memcpy(q.keys, symbols.keys, symbols.count * sizeof(*q.keys));
            q.key_count = symbols.count;
        }
        ask_main(s, c, r, &q);
    }
    symbols_fini(&symbols);
}
