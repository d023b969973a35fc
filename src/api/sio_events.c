/* What Socket.IO clients ask, and the words they get. SPDX-License-Identifier: MIT */
#include "api/catalogue.h"
#include "api/command.h"
#include "api/sio_in.h"
#include "base/alloc.h"
#include "base/metrics.h"
#include "wire/scan.h"

static struct metric events_total =
    METRIC_COUNTER("coincast_socketio_events_total", "Events received from Socket.IO clients.");

/* ---- words to a client ---- */

void emit(struct sio_client *client, const char *event, struct str json)
{
    struct buf packet = {0};
    buf_printf(&packet, "[\"%s\",", event);
    buf_add_str(&packet, json);
    buf_add_char(&packet, ']');
    sio_emit(socket_of(client), buf_str(&packet), NULL, 0);
    buf_fini(&packet);
}

static void answer(struct sio_client *client, const struct sio_event *e, struct str json)
{
    if (e->ack.len) {
        struct buf array = {0};
        buf_add_char(&array, '[');
        buf_add_str(&array, json);
        buf_add_char(&array, ']');
        sio_ack(socket_of(client), e->ack, buf_str(&array), NULL, 0);
        buf_fini(&array);
    }
}

static void refuse(struct sio_client *client, const struct sio_event *e, const char *code,
                   const char *message, int64_t retry_s)
{
    struct buf json = {0};
    message_error(&json,
                  &(struct error_text){.code = code, .message = message, .retry_after_s = retry_s},
                  shard_wall_ms(client->shard));
    emit(client, "error", buf_str(&json));
    answer(client, e, buf_str(&json));
    buf_fini(&json);
}

/* {symbols:[all now], unknown:[...], channels:[...]} as the ack and as the event `subscribed`,
 * which says what a client has whichever way it came to that; `less`: as `unsubscribed` before it,
 * too. */
static void say_subscribed(struct sio_client *client, const struct sio_event *e, bool less,
                           struct str unknown)
{
    struct buf json = {0};
    struct str rest = buf_str(&client->channels);
    struct str one;
    buf_add_lit(&json, "{\"symbols\":[");
    for (size_t i = 0; i < client->key_count; i++) {
        const char *name = name_of_key(client->shard, client->keys[i]);
        buf_printf(&json, "%s\"%s\"", i ? "," : "", name ? name : "");
    }
    buf_add_lit(&json, "],\"unknown\":[");
    buf_add_str(&json, unknown);
    buf_add_lit(&json, "],\"channels\":[");
    for (bool more = false; str_next(&rest, ',', &one) && one.len; more = true) {
        buf_printf(&json, "%s\"%.*s\"", more ? "," : "", STR_ARG(one));
    }
    buf_add_lit(&json, "]}");
    answer(client, e, buf_str(&json));
    if (less) {
        emit(client, "unsubscribed", buf_str(&json));
    }
    emit(client, "subscribed", buf_str(&json));
    buf_fini(&json);
}

/* ---- what a client asks ---- */

/* A list, or {symbols, max_hz, channels}: read into these. */
struct request {
    struct symbols symbols;
    struct buf channels; /* names with a comma behind each */
    double max_hz;       /* < 0: not said */
    const char *code;    /* of what is wrong with it, and a sentence: */
    char why[160];
};

static bool read_symbols(struct request *q, const struct api_shard *s, const struct json *list)
{
    struct str name;
    if (json_get_str(list, &name)) {
        return symbols_add(&q->symbols, s->answers->catalogue, name) == OK;
    }
    for (size_t i = 0; i < json_count(list); i++) {
        if (!json_get_str(json_at(list, i), &name)) {
            snprintf(q->why, sizeof(q->why), "symbols must be texts, such as [\"BTC\",\"ETH\"]");
            return false;
        }
        if (symbols_add(&q->symbols, s->answers->catalogue, name) != OK) {
            snprintf(q->why, sizeof(q->why), "at most %d symbols in a list", SYMBOLS_MAX);
            q->code = "too_many";
            return false;
        }
    }
    return true;
}

/* Whether the list, each with a comma behind it, has the name. */
static bool lists(struct str names, struct str name)
{
    struct str one;
    while (str_next(&names, ',', &one)) {
        if (str_eq(one, name)) {
            return true;
        }
    }
    return false;
}

/* NULL: it is in the list now, as the hub has it. */
static const char *add_channel(struct request *q, const struct catalogue *c, struct str name)
{
    struct buf *names = &q->channels;
    struct channel_name read;
    char canonical[CHANNEL_NAME_MAX];
    const char *why = NULL;
    if (channel_read(name, &read, &why) != OK) {
        q->code = "unknown_channel";
        return why;
    }
    if (read.kind == KIND_PRICES) {
        q->code = "unknown_channel";
        return "prices come with symbols, not as a channel: {symbols: [\"BTC\"]}";
    }
    if (read.kind == KIND_CANDLES && !catalogue_find(c, read.symbol)) {
        q->code = "unknown_symbol";
        return "a candle channel names a symbol that is unknown here; GET /api/v1/assets lists all";
    }
    name = channel_canonical(name, &read, canonical);
    if (!lists(buf_str(names), name)) {
        buf_add_str(names, name);
        buf_add_char(names, ',');
    }
    return NULL;
}

static bool read_channels(struct request *q, const struct api_shard *s, const struct json *list)
{
    struct str name;
    if (json_kind(list) != JSON_ARRAY || json_count(list) > SIO_CHANNELS_MAX) {
        q->code = json_kind(list) == JSON_ARRAY ? "too_many" : q->code;
        snprintf(q->why, sizeof(q->why), "channels must be a list of at most %d names",
                 SIO_CHANNELS_MAX);
        return false;
    }
    for (size_t i = 0; i < json_count(list); i++) {
        const char *why = json_get_str(json_at(list, i), &name)
                              ? add_channel(q, s->answers->catalogue, name)
                              : "channels must be texts, such as [\"app:mine\"]";
        if (why) {
            snprintf(q->why, sizeof(q->why), "%s", why);
            return false;
        }
    }
    return true;
}

static bool read_object(struct request *q, const struct api_shard *s, const struct json *object)
{
    struct str key;
    const struct json *value = NULL;
    size_t at = 0;
    while (json_each(object, &at, &key, &value)) {
        if (str_eq(key, STR("symbols"))) {
            if (!read_symbols(q, s, value)) {
                return false;
            }
        } else if (str_eq(key, STR("channels"))) {
            if (!read_channels(q, s, value)) {
                return false;
            }
        } else if (str_eq(key, STR("max_hz"))) {
            if (!json_get_double(value, &q->max_hz) || !hz_valid(q->max_hz)) {
                snprintf(q->why, sizeof(q->why),
                         "max_hz must be a number above 0 and at most 1000");
                return false;
            }
        }
    }
    return true;
}

static bool read_request(struct request *q, const struct api_shard *s, struct str args)
{
    struct buf array = {0};
    struct json *root = NULL;
    char problem[JSON_ERROR_LEN];
    bool good = false;
    *q = (struct request){.max_hz = -1, .code = "bad_json"};
    buf_add_char(&array, '[');
    buf_add_str(&array, args);
    buf_add_char(&array, ']');
    if (json_parse(buf_str(&array), &root, problem) == OK) {
        const struct json *first = json_at(root, 0);
        enum json_kind kind = first ? json_kind(first) : JSON_NULL;
        snprintf(q->why, sizeof(q->why),
                 "subscribe takes a list of symbols, or {symbols, max_hz, channels}");
        good = kind == JSON_OBJECT                         ? read_object(q, s, first)
               : kind == JSON_ARRAY || kind == JSON_STRING ? read_symbols(q, s, first)
                                                           : false;
    } else {
        snprintf(q->why, sizeof(q->why), "%.150s", problem);
    }
    json_free(root);
    buf_fini(&array);
    return good;
}

static void request_fini(struct request *q)
{
    symbols_fini(&q->symbols);
    buf_fini(&q->channels);
}

static size_t key_place(const struct sio_client *client, uint32_t key)
{
    size_t at = 0;
    while (at < client->key_count && client->keys[at] < key) {
        at++;
    }
    return at;
}

static bool has_key(const struct sio_client *client, uint32_t key)
{
    size_t at = key_place(client, key);
    return at < client->key_count && client->keys[at] == key;
}

static void add_key(struct sio_client *client, uint32_t key)
{
    size_t at = key_place(client, key);
    if (has_key(client, key)) {
        return;
    }
    client->keys = mem_resize(client->keys, (client->key_count + 1) * sizeof(*client->keys));
    memmove(client->keys + at + 1, client->keys + at,
            (client->key_count - at) * sizeof(*client->keys));
    client->keys[at] = key;
    client->key_count++;
}

static bool has_channel(const struct sio_client *client, struct str name)
{
    return lists(buf_str(&client->channels), name);
}

/* What a client wants, to go back to when more can't be had. */
struct wishes_before {
    double max_hz;
    uint32_t *keys; /* owned */
    size_t key_count, channels_len, channel_count;
};

static struct wishes_before keep_wishes(const struct sio_client *client)
{
    struct wishes_before b = {.max_hz = client->max_hz,
                              .keys = mem_array(client->key_count + 1, sizeof(*client->keys)),
                              .key_count = client->key_count,
                              .channels_len = client->channels.len,
                              .channel_count = client->channel_count};
    if (client->key_count) {
        memcpy(b.keys, client->keys, client->key_count * sizeof(*client->keys));
    }
    return b;
}

static void go_back(struct sio_client *client, struct wishes_before *b)
{
    mem_free(client->keys);
    client->keys = b->keys;
    client->key_count = b->key_count;
    client->max_hz = b->max_hz;
    client->channels.len = b->channels_len;
    client->channel_count = b->channel_count;
    b->keys = NULL;
}

static void add_wishes(struct sio_client *client, const struct request *q)
{
    struct str rest = buf_str(&q->channels);
    struct str one;
    client->max_hz = q->max_hz >= 0 ? q->max_hz : client->max_hz;
    for (size_t i = 0; i < q->symbols.count; i++) {
        add_key(client, q->symbols.keys[i]);
    }
    while (str_next(&rest, ',', &one)) {
        if (one.len && !has_channel(client, one)) {
            buf_add_str(&client->channels, one);
            buf_add_char(&client->channels, ',');
            client->channel_count++;
        }
    }
}

static void subscribe(struct sio_client *client, const struct sio_event *e, const struct request *q)
{
    struct wanted all = {0}, fresh = {0};
    struct wishes_before before = keep_wishes(client);
    char why[80] = "";
    add_wishes(client, q);
    if (client->key_count > SYMBOLS_MAX) {
        snprintf(why, sizeof(why), "A client may have at most %d symbols.", SYMBOLS_MAX);
    } else if (client->channel_count > SIO_CHANNELS_MAX) {
        snprintf(why, sizeof(why), "A client may have at most %d channels.", SIO_CHANNELS_MAX);
    } else {
        want_all(&all, client);
        if (!sio_join(client, &all)) {
            snprintf(why, sizeof(why), "There are as many channels here as there may be.");
        }
    }
    if (why[0]) {
        go_back(client, &before);
        refuse(client, e, "too_many", why, -1);
        give_way(client);
    } else {
        say_subscribed(client, e, false, buf_str(&q->symbols.unknown));
        want_symbols(&fresh, client, q->symbols.keys, q->symbols.count);
        want_channels(&fresh, client, buf_str(&q->channels));
        give_first(client, &fresh);
        remember(client, false);
    }
    mem_free(before.keys);
    buf_fini(&all.names);
    buf_fini(&fresh.names);
}

static void sio_subscribe(struct sio_client *client, const struct sio_event *e)
{
    struct request q;
    if (!read_request(&q, client->shard, e->args)) {
        refuse(client, e, q.code, q.why, -1);
        give_way(client);
    } else {
        subscribe(client, e, &q);
    }
    request_fini(&q);
}

static void drop_channel(struct sio_client *client, struct str name)
{
    struct str rest = buf_str(&client->channels);
    struct buf kept = {0};
    struct str one;
    while (str_next(&rest, ',', &one)) {
        if (one.len && !str_eq(one, name)) {
            buf_add_str(&kept, one);
            buf_add_char(&kept, ',');
        }
    }
    client->channel_count -= kept.len != client->channels.len;
    buf_fini(&client->channels);
    client->channels = kept;
}

/* Takes out of the fan-out what the client does not want any more, in one move: one by one each
 * would build the whole set anew. */
static void leave(struct sio_client *client, const struct wanted *gone)
{
    if (!client->over) {
        /* Not subscribed is what was wanted. */
        fanout_drop(client->shard->fanout, &client->session.member, gone->subs, gone->count);
    }
}

static void drop_keys(struct sio_client *client, const uint32_t *keys, size_t count,
                      struct wanted *gone)
{
    struct wanted w = {0};
    size_t kept = 0;
    want_symbols(&w, client, keys, count);
    for (size_t i = 0; i < client->key_count; i++) {
        bool drop = false;
        for (size_t k = 0; k < count && !drop; k++) {
            drop = keys[k] == client->keys[i];
        }
        if (!drop) {
            client->keys[kept++] = client->keys[i];
        }
    }
    client->key_count = kept;
    for (size_t i = 0; i < w.count; i++) {
        bool prices = i == 0, mood = i == 1; /* the rest are signals */
        if ((!prices && !mood) || (mood && kept == 0 && !has_channel(client, w.subs[i].channel))) {
            gone->subs[gone->count++] = w.subs[i];
        }
    }
    gone->names = w.names;
}

static void unsubscribe(struct sio_client *client, const struct request *q)
{
    struct wanted gone = {0};
    struct str rest = buf_str(&q->channels);
    struct str one;
    while (str_next(&rest, ',', &one)) {
        if (one.len && has_channel(client, one)) {
            drop_channel(client, one);
            if (client->key_count == 0 || !str_eq(one, STR("sentiment_update"))) {
                gone.subs[gone.count++] = (struct fanout_sub){.channel = one};
            }
        }
    }
    sio_want_candles(client, buf_str(&q->channels), false);
    if (q->symbols.count) {
        drop_keys(client, q->symbols.keys, q->symbols.count, &gone);
        (void)!fanout_sub_keys(client->shard->fanout, &client->session.member, STR("price_updates"),
                               q->symbols.keys, q->symbols.count, false);
    }
    leave(client, &gone);
    sio_want_feeds(client);
    buf_fini(&gone.names);
}

static void sio_unsubscribe(struct sio_client *client, const struct sio_event *e)
{
    struct request q;
    if (!read_request(&q, client->shard, e->args)) {
        refuse(client, e, q.code, q.why, -1);
    } else {
        unsubscribe(client, &q);
        say_subscribed(client, e, true, buf_str(&q.symbols.unknown));
        remember(client, false);
    }
    give_way(client);
    request_fini(&q);
}

static void do_stats(struct sio_client *client, const struct sio_event *e)
{
    struct buf json = {0};
    struct json_writer w;
    json_begin(&w, &json);
    json_object(&w);
    write_stats(client->shard, &client->session, sio_client_pending(client),
                engine_session_rtt_us(sio_session(socket_of(client))), &w);
    json_key(&w, "transport");
    json_text(&w, client->form == FORM_SIO_PACKETS ? "polling" : "websocket");
    json_key(&w, "timestamp");
    json_time(&w, shard_wall_ms(client->shard));
    json_object_end(&w);
    emit(client, "stats", buf_str(&json));
    answer(client, e, buf_str(&json));
    give_way(client);
    buf_fini(&json);
}

static const struct {
    const char *name;
    void (*run)(struct sio_client *client, const struct sio_event *e);
} events[] = {
    {"subscribe", sio_subscribe},
    {"unsubscribe", sio_unsubscribe},
    {"stats", do_stats},
};

void sio_event_came(void *shard, struct sio_socket *so, const struct sio_event *e)
{
    struct api_shard *s = shard;
    struct sio_client *client = client_of(so);
    const char *peer = engine_session_peer(sio_session(so));
    bool loopback = str_starts(str_of(peer), STR("127.")) || str_eq(str_of(peer), STR("::1"));
    int64_t retry_s = 0;
    metric_add(&events_total, 1);
    if (!session_take_token(s, &client->session, loopback, &retry_s)) {
        refuse(client, e, "rate_limited", "Too many events; slow down.", retry_s);
        give_way(client);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(events) && !e->name_is_number; i++) {
        if (scan_string_is(e->name, str_of(events[i].name))) {
            events[i].run(client, e);
            return;
        }
    }
    refuse(client, e, "unknown_type", "Unknown event; there are subscribe, unsubscribe and stats.",
           -1);
    give_way(client);
}
