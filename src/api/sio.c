/* Socket.IO clients: coming, subscribing, going. SPDX-License-Identifier: MIT */
#include "api/sio.h"

#include "api/catalogue.h"
#include "api/command.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/metrics.h"
#include "wire/scan.h"

#include <sys/random.h>

enum { REPEAT_MS = 2000, CHANNELS_MAX = 50, SUBS_MAX = 600, NAME_MAX_LEN = 64 };

static struct metric clients =
    METRIC_GAUGE("coincast_socketio_clients", "Socket.IO clients connected now.");
static struct metric resumed_total = METRIC_COUNTER("coincast_socketio_resumed_total",
                                                    "Socket.IO clients that got what they missed.");
static struct metric events_total =
    METRIC_COUNTER("coincast_socketio_events_total", "Events received from Socket.IO clients.");

static struct sio_client *client_of(struct sio_socket *so)
{
    return sio_user(so);
}

static struct sio_socket *socket_of(struct sio_client *client)
{
    return sio_of_user(client);
}

/* ---- the fan-out's way to a client ---- */

void sio_client_write(struct sio_client *client, struct str bytes, bool now)
{
    struct engine_session *session = sio_session(socket_of(client));
    if (client->form == FORM_SIO_PACKETS) {
        engine_write_packets(session, str_from(bytes, 1)); /* without the first separator */
    } else if (now) {
        conn_write_now(engine_session_conn(session), bytes);
    } else {
        conn_write(engine_session_conn(session), bytes);
    }
}

size_t sio_client_pending(struct sio_client *client)
{
    return engine_session_pending(sio_session(socket_of(client)));
}

void sio_client_broken(struct sio_client *client)
{
    struct conn *c = engine_session_conn(sio_session(socket_of(client)));
    if (c) {
        conn_abort(c);
    }
}

void sio_shard_congested(struct api_shard *s, struct engine_session *session)
{
    struct sio_socket *so = sio_find(session, STR("/"));
    if (so) {
        fanout_stall(s->fanout, &client_of(so)->session.member);
    }
}

static void on_drained(void *self, struct engine_session *session)
{
    struct api_shard *s = self;
    struct sio_socket *so = sio_find(session, STR("/"));
    if (so) {
        fanout_drained(s->fanout, &client_of(so)->session.member);
    }
}

/* Own words (acks, events) go out at once; what the fan-out has for the client comes after them. */
static void give_way(struct sio_client *client)
{
    if (sio_client_pending(client) > 0) {
        fanout_stall(client->shard->fanout, &client->session.member);
    }
}

static enum frame_form form_now(struct engine_session *session, struct stream **stream)
{
    struct conn *c = engine_session_conn(session);
    *stream = c ? conn_stream(c) : NULL;
    if (!c) {
        return FORM_SIO_PACKETS;
    }
    return conn_takes_deflate(c) ? FORM_SIO_WS_DEFLATE : FORM_SIO_WS;
}

/* ---- what a client is subscribed to ---- */

struct wanted {
    struct fanout_sub subs[SUBS_MAX];
    size_t count;
    struct buf names; /* of the channels made up here; a NUL behind each */
};

static void want(struct wanted *w, struct str channel, uint32_t interval_ms)
{
    if (w->count < SUBS_MAX) {
        w->subs[w->count++] = (struct fanout_sub){.channel = channel, .interval_ms = interval_ms};
    }
}

static const char *name_of_key(const struct api_shard *s, uint32_t key)
{
    const struct catalogue *c = s->answers->catalogue;
    for (size_t i = 0; c && i < c->count; i++) {
        if (c->entries[i].key == key) {
            return c->entries[i].name;
        }
    }
    return NULL;
}

/* Symbols bring their prices and signals, and the mood of the market (requirement D2). */
static void want_symbols(struct wanted *w, const struct sio_client *client, const uint32_t *keys,
                         size_t count)
{
    if (count == 0) {
        return;
    }
    w->subs[w->count++] = (struct fanout_sub){.channel = STR("price_updates"),
                                              .interval_ms = interval_of_hz(client->max_hz),
                                              .keys = keys,
                                              .key_count = count,
                                              .repeat_ms = REPEAT_MS};
    want(w, STR("sentiment_update"), 0);
    buf_reserve(&w->names, count * NAME_MAX_LEN); /* so that slices of it stay good */
    for (size_t i = 0; i < count; i++) {
        const char *symbol = name_of_key(client->shard, keys[i]);
        size_t at = w->names.len;
        if (symbol) {
            buf_printf(&w->names, "trading_signal:%s", symbol);
            want(w, str_make(w->names.ptr + at, w->names.len - at), 0);
        }
    }
}

static void want_channels(struct wanted *w, const struct sio_client *client, struct str names)
{
    struct str one;
    while (str_next(&names, ',', &one)) {
        if (one.len) {
            want(w, one, interval_of_hz(client->max_hz));
        }
    }
}

/* The main half counts who wants what, so that the feeds are asked for it. */
static void note_wanted(struct api_shard *s, uint32_t key, bool on)
{
    uint64_t number = want_number((struct want_id){.key = key, .slot = WANT_PRICE, .on = on});
    /* A letter lost on a full mailbox costs at most a symbol that is followed for nobody. */
    (void)!mailbox_post(s->opts.main_mail, letter_want, s->opts.main, NULL, number);
}

/* Tells the main half, for the day the client comes back. */
static void remember(struct sio_client *client, bool gone)
{
    struct api_shard *s = client->shard;
    if (!client->pid[0] || s->draining) {
        return;
    }
    struct sio_state *state = mem_zero(sizeof(*state));
    memcpy(state->pid, client->pid, sizeof(state->pid));
    struct str sid = sio_sid(socket_of(client));
    snprintf(state->sid, sizeof(state->sid), "%.*s", STR_ARG(sid));
    state->max_hz = client->max_hz;
    state->key_count = client->key_count;
    state->keys = mem_array(client->key_count + 1, sizeof(*state->keys));
    if (client->key_count) {
        memcpy(state->keys, client->keys, client->key_count * sizeof(*state->keys));
    }
    state->channels =
        mem_copy_text(client->channels.ptr ? client->channels.ptr : "", client->channels.len);
    state->authorized = client->session.authorized;
    state->gone = gone;
    if (!mailbox_post(s->opts.main_mail, letter_sio_state, s->sio_memory, state, 0)) {
        sio_state_free(state);
    }
}

/* Writes what the fan-out has of these for who just came, in the client's form. */
static void give_first(struct sio_client *client, const struct wanted *w, const struct str *since)
{
    struct fanout_resume resume;
    struct buf first = {0};
    (void)fanout_collect(client->shard->fanout, w->subs, w->count, since, since == NULL,
                         client->form, &first, &resume);
    if (first.len) {
        sio_client_write(client, buf_str(&first), false);
    }
    buf_fini(&first);
    give_way(client);
}

static bool join(struct sio_client *client, const struct wanted *w)
{
    struct engine_session *session = sio_session(socket_of(client));
    if (w->count == 0) {
        return true;
    }
    client->form = form_now(session, &client->session.member.stream);
    return fanout_join(client->shard->fanout, &client->session.member, client->form, w->subs,
                       w->count) == OK;
}

/* ---- words to a client ---- */

static void emit(struct sio_client *client, const char *event, struct str json)
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

static void say_status(struct sio_client *client, bool recovered)
{
    struct buf json = {0};
    struct json_writer w;
    json_begin(&w, &json);
    json_object(&w);
    json_key(&w, "status");
    json_text(&w, "connected");
    json_key(&w, "timestamp");
    json_time(&w, shard_wall_ms(client->shard));
    json_key(&w, "mode");
    json_text(&w, client->shard->answers->mode);
    json_key(&w, "recovered");
    json_bool(&w, recovered);
    json_object_end(&w);
    emit(client, "connection_status", buf_str(&json));
    buf_fini(&json);
}

/* {symbols:[all now], unknown:[...], channels:[...]} as the ack and as an event. */
static void say_subscribed(struct sio_client *client, const struct sio_event *e, const char *event,
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
    emit(client, event, buf_str(&json));
    buf_fini(&json);
}

/* ---- what a client asks ---- */

/* A list, or {symbols, max_hz, channels}: read into these. */
struct request {
    struct symbols symbols;
    struct buf channels; /* names with a comma behind each */
    double max_hz;       /* < 0: not said */
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
            return false;
        }
    }
    return true;
}

static bool read_channels(struct request *q, const struct json *list)
{
    struct str name;
    const char *why = NULL;
    if (json_kind(list) != JSON_ARRAY || json_count(list) > CHANNELS_MAX) {
        snprintf(q->why, sizeof(q->why), "channels must be a list of at most %d names",
                 CHANNELS_MAX);
        return false;
    }
    for (size_t i = 0; i < json_count(list); i++) {
        if (!json_get_str(json_at(list, i), &name) || !channel_valid(name, &why) ||
            str_find(name, ',', 0) != SIZE_MAX || str_find(name, '"', 0) != SIZE_MAX ||
            str_find(name, '\\', 0) != SIZE_MAX || str_eq(name, STR("price_updates"))) {
            snprintf(q->why, sizeof(q->why), "%s",
                     why ? why : "no such channel; prices come with symbols");
            return false;
        }
        buf_add_str(&q->channels, name);
        buf_add_char(&q->channels, ',');
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
            if (!read_channels(q, value)) {
                return false;
            }
        } else if (str_eq(key, STR("max_hz"))) {
            if (!json_get_double(value, &q->max_hz) || !hz_valid(q->max_hz)) {
                snprintf(q->why, sizeof(q->why), "max_hz must be a number from 0.001 to 1000");
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
    *q = (struct request){.max_hz = -1};
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
    note_wanted(client->shard, key, true);
    client->keys = mem_resize(client->keys, (client->key_count + 1) * sizeof(*client->keys));
    memmove(client->keys + at + 1, client->keys + at,
            (client->key_count - at) * sizeof(*client->keys));
    client->keys[at] = key;
    client->key_count++;
}

static bool has_channel(const struct sio_client *client, struct str name)
{
    struct str rest = buf_str(&client->channels);
    struct str one;
    while (str_next(&rest, ',', &one)) {
        if (str_eq(one, name)) {
            return true;
        }
    }
    return false;
}

/* Everything the client wants, as it stands in the client. */
static void want_all(struct wanted *w, const struct sio_client *client)
{
    want_symbols(w, client, client->keys, client->key_count);
    want_channels(w, client, buf_str(&client->channels));
}

static void do_subscribe(struct sio_client *client, const struct sio_event *e)
{
    struct api_shard *s = client->shard;
    struct request q;
    struct wanted all = {0}, fresh = {0};
    struct str rest, one;
    if (!read_request(&q, s, e->args)) {
        refuse(client, e, "bad_json", q.why, -1);
        request_fini(&q);
        return;
    }
    if (client->key_count + q.symbols.count > SYMBOLS_MAX) {
        refuse(client, e, "too_many", "This client would have more than 500 symbols.", -1);
        request_fini(&q);
        return;
    }
    client->max_hz = q.max_hz >= 0 ? q.max_hz : client->max_hz;
    for (size_t i = 0; i < q.symbols.count; i++) {
        add_key(client, q.symbols.keys[i]);
    }
    for (rest = buf_str(&q.channels); str_next(&rest, ',', &one);) {
        if (one.len && !has_channel(client, one) && client->channel_count < CHANNELS_MAX) {
            buf_add_str(&client->channels, one);
            buf_add_char(&client->channels, ',');
            client->channel_count++;
        }
    }
    want_all(&all, client);
    if (!join(client, &all)) {
        refuse(client, e, "too_many", "This client has as many subscriptions as it may.", -1);
    } else {
        say_subscribed(client, e, "subscribed", buf_str(&q.symbols.unknown));
        want_symbols(&fresh, client, q.symbols.keys, q.symbols.count);
        want_channels(&fresh, client, buf_str(&q.channels));
        give_first(client, &fresh, NULL);
        remember(client, false);
    }
    buf_fini(&all.names);
    buf_fini(&fresh.names);
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

static void leave_channel(struct sio_client *client, struct str name)
{
    /* Not subscribed is what was wanted. */
    (void)!fanout_unsubscribe(client->shard->fanout, &client->session.member, name);
}

static void drop_keys(struct sio_client *client, const uint32_t *keys, size_t count)
{
    struct fanout *f = client->shard->fanout;
    struct wanted w = {0};
    size_t kept = 0;
    want_symbols(&w, client, keys, count);
    for (size_t i = 2; i < w.count; i++) { /* behind prices and mood: the signals */
        leave_channel(client, w.subs[i].channel);
    }
    for (size_t i = 0; i < client->key_count; i++) {
        bool gone = false;
        for (size_t k = 0; k < count && !gone; k++) {
            gone = keys[k] == client->keys[i];
        }
        if (gone) {
            note_wanted(client->shard, client->keys[i], false);
        } else {
            client->keys[kept++] = client->keys[i];
        }
    }
    client->key_count = kept;
    (void)!fanout_sub_keys(f, &client->session.member, STR("price_updates"), keys, count, false);
    if (kept == 0 && !has_channel(client, STR("sentiment_update"))) {
        leave_channel(client, STR("sentiment_update"));
    }
    buf_fini(&w.names);
}

static void do_unsubscribe(struct sio_client *client, const struct sio_event *e)
{
    struct request q;
    struct str rest, one;
    if (!read_request(&q, client->shard, e->args)) {
        refuse(client, e, "bad_json", q.why, -1);
        request_fini(&q);
        return;
    }
    if (q.symbols.count) {
        drop_keys(client, q.symbols.keys, q.symbols.count);
    }
    for (rest = buf_str(&q.channels); str_next(&rest, ',', &one);) {
        if (one.len && has_channel(client, one)) {
            drop_channel(client, one);
            leave_channel(client, one);
        }
    }
    say_subscribed(client, e, "unsubscribed", buf_str(&q.symbols.unknown));
    give_way(client);
    remember(client, false);
    request_fini(&q);
}

static void do_stats(struct sio_client *client, const struct sio_event *e)
{
    struct buf json = {0};
    struct json_writer w;
    const struct member *m = &client->session.member;
    uint64_t lag_us = fanout_member_lag_us(m);
    json_begin(&w, &json);
    json_object(&w);
    json_key(&w, "pending_bytes");
    json_i64(&w, (int64_t)sio_client_pending(client));
    json_key(&w, "conflated");
    json_i64(&w, m->conflated);
    json_key(&w, "gaps");
    json_i64(&w, m->gaps);
    json_key(&w, "subscriptions");
    json_i64(&w, (int64_t)fanout_sub_count(m));
    json_key(&w, "transport");
    json_text(&w, client->form == FORM_SIO_PACKETS ? "polling" : "websocket");
    json_key(&w, "lag_ms");
    if (lag_us) {
        json_decimal(&w, (double)lag_us / 1000.0, 3);
    } else {
        json_null(&w);
    }
    json_key(&w, "timestamp");
    json_time(&w, shard_wall_ms(client->shard));
    json_object_end(&w);
    emit(client, "stats", buf_str(&json));
    answer(client, e, buf_str(&json));
    buf_fini(&json);
}

static const struct {
    const char *name;
    void (*run)(struct sio_client *client, const struct sio_event *e);
} events[] = {
    {"subscribe", do_subscribe},
    {"unsubscribe", do_unsubscribe},
    {"stats", do_stats},
};

static void on_event(void *self, struct sio_socket *so, const struct sio_event *e)
{
    struct api_shard *s = self;
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

/* ---- coming and going ---- */

static void make_pid(char out[36])
{
    uint8_t bytes[16];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        out[0] = '\0'; /* then it can't be resumed */
        return;
    }
    for (size_t i = 0; i < sizeof(bytes); i++) {
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    }
}

static void accept_new(struct sio_client *client)
{
    struct sio_socket *so = socket_of(client);
    if (engine_session_version(sio_session(so)) == 4) {
        make_pid(client->pid);
    }
    sio_accept(so, (struct str){0}, str_of(client->pid));
    say_status(client, false);
    remember(client, false);
}

/* The state of before, and what was missed since `offset`; false: it can't all be given. */
static bool resume(struct sio_client *client, struct sio_state *state, struct str offset)
{
    struct fanout *f = client->shard->fanout;
    struct fanout_resume result;
    struct wanted w = {0};
    struct buf missed = {0};
    shard_reach(client->shard, offset);
    client->max_hz = state->max_hz;
    client->keys = state->keys;
    client->key_count = state->key_count;
    state->keys = NULL;
    for (size_t i = 0; i < client->key_count; i++) {
        note_wanted(client->shard, client->keys[i], true);
    }
    client->session.authorized = state->authorized;
    buf_add_str(&client->channels, str_of(state->channels));
    client->form = form_now(sio_session(socket_of(client)), &client->session.member.stream);
    want_all(&w, client);
    (void)fanout_collect(f, w.subs, w.count, &offset, false, client->form, &missed, &result);
    if (result.recovered) {
        if (missed.len) {
            sio_client_write(client, buf_str(&missed), false);
        }
        memcpy(client->pid, state->pid, sizeof(client->pid));
        sio_accept(socket_of(client), str_of(state->sid), str_of(client->pid));
        say_status(client, true);
        (void)join(client, &w); /* it had as many before */
        give_way(client);
        remember(client, false);
        metric_add(&resumed_total, 1);
    } else {
        for (size_t i = 0; i < client->key_count; i++) {
            note_wanted(client->shard, client->keys[i], false);
        }
        mem_free(client->keys);
        client->keys = NULL;
        client->key_count = 0;
        buf_clear(&client->channels);
    }
    buf_fini(&missed);
    buf_fini(&w.names);
    return result.recovered;
}

void letter_sio_recalled(void *self, void *owned_state, uint64_t ticket)
{
    struct api_shard *s = self;
    struct sio_state *state = owned_state;
    list_each (it, &s->sio_waiting) {
        struct sio_client *client = containerof(it, struct sio_client, waiting);
        if (client->asked != ticket) {
            continue;
        }
        struct buf offset = {0};
        list_remove(&client->waiting);
        buf_add_str(&offset, buf_str(&client->channels)); /* where it waited */
        buf_clear(&client->channels);
        if (!state || !resume(client, state, buf_str(&offset))) {
            accept_new(client);
        }
        buf_fini(&offset);
        break;
    }
    sio_state_free(state);
}

static void ask_memory(struct sio_client *client, const struct sio_connect *info)
{
    struct api_shard *s = client->shard;
    struct sio_question *q = mem_zero(sizeof(*q));
    q->shard = s;
    snprintf(q->pid, sizeof(q->pid), "%.*s", STR_ARG(info->pid));
    client->asked = ++s->next_ticket;
    if (!mailbox_post(s->opts.main_mail, letter_sio_recall, s->sio_memory, q, client->asked)) {
        mem_free(q);
        accept_new(client);
        return;
    }
    buf_add_str(&client->channels, info->offset); /* nothing else is in there yet */
    list_push(&s->sio_waiting, &client->waiting);
}

/* A token in `auth` must be right where one is set; none is fine, everything here is public. */
static enum token_check token_of(const struct api_shard *s, struct str auth)
{
    struct json *root = NULL;
    char problem[JSON_ERROR_LEN];
    struct str given;
    enum token_check result = TOKEN_NONE;
    if (json_parse(auth, &root, problem) == OK && json_get_str(json_get(root, "token"), &given)) {
        const char *token = s->opts.settings->token;
        result = token && str_eq_secret(given, str_of(token)) ? TOKEN_RIGHT : TOKEN_WRONG;
    }
    json_free(root);
    return result;
}

static void on_connect(void *self, struct sio_socket *so, const struct sio_connect *info)
{
    struct api_shard *s = self;
    struct sio_client *client = client_of(so);
    if (!str_eq(info->nsp, STR("/"))) {
        sio_refuse(so, STR("Invalid namespace"), (struct str){0});
        return;
    }
    enum token_check token = token_of(s, info->auth);
    if (token == TOKEN_WRONG) {
        sio_refuse(so, STR("This token is not known here."), STR("{\"code\":\"unauthorized\"}"));
        return;
    }
    client->shard = s;
    client->session.kind = SESSION_SIO;
    client->session.authorized = token == TOKEN_RIGHT;
    client->form = form_now(sio_session(so), &client->session.member.stream);
    metric_add(&clients, 1);
    if (info->pid.len && info->pid.len < sizeof(client->pid) && info->offset.len &&
        info->offset.len <= CURSOR_LEN) {
        ask_memory(client, info);
    } else {
        accept_new(client);
    }
}

static void on_closed(void *self, struct sio_socket *so, const char *why)
{
    struct api_shard *s = self;
    struct sio_client *client = client_of(so);
    (void)why;
    if (!client->shard) {
        return; /* it was refused */
    }
    metric_add(&clients, -1);
    list_remove(&client->waiting);
    fanout_leave(s->fanout, &client->session.member);
    remember(client, true);
    for (size_t i = 0; i < client->key_count; i++) {
        note_wanted(s, client->keys[i], false);
    }
    mem_free(client->keys);
    buf_fini(&client->channels);
    client->keys = NULL;
    client->shard = NULL;
}

/* The transport changed: the same subscriptions in another form. What was due goes out in the old
 * one first. */
static void on_transport(void *self, struct engine_session *session)
{
    struct api_shard *s = self;
    struct sio_socket *so = sio_find(session, STR("/"));
    if (!so || client_of(so)->session.member.group == NULL) {
        return;
    }
    struct sio_client *client = client_of(so);
    struct stream *stream = NULL;
    enum frame_form form = form_now(session, &stream);
    struct wanted w = {0};
    want_all(&w, client);
    client->session.member.stream = stream;
    (void)!fanout_join(s->fanout, &client->session.member, form, w.subs, w.count);
    client->form = form;
    give_way(client);
    buf_fini(&w.names);
}

static bool on_allow(void *self, struct conn *c, const struct http_request *r,
                     struct engine_session *session, const char **message)
{
    struct api_shard *s = self;
    (void)session;
    if (!origin_allowed(s->opts.settings, r, conn_is_tls(c), NULL)) {
        *message = "This Origin is not allowed; name it in COINCAST_ORIGINS.";
        return false;
    }
    return true;
}

static void on_cors(void *self, struct conn *c, const struct http_request *r, struct buf *lines)
{
    struct api_shard *s = self;
    (void)origin_allowed(s->opts.settings, r, conn_is_tls(c), lines);
    if (lines->len) {
        buf_add_lit(lines, "Access-Control-Allow-Credentials: true\r\n");
    }
}

/* ---- sessions of other shards ---- */

void letter_adopt(void *self, void *owned_parcel, uint64_t number)
{
    struct api_shard *s = self;
    (void)number;
    net_adopt(s->net, owned_parcel);
}

struct move {
    struct api_shard *to;
    struct mailbox *mail;
};

static void on_parcel(void *self, struct net_parcel *owned_parcel)
{
    struct move *m = self;
    if (!mailbox_post(m->mail, letter_adopt, m->to, owned_parcel, 0)) {
        net_parcel_free(owned_parcel); /* the client polls again */
    }
    mem_free(m);
}

static void on_elsewhere(void *self, struct conn *c, const struct http_request *r, struct str body,
                         unsigned shard)
{
    struct api_shard *s = self;
    struct mailbox *mail = NULL;
    struct api_shard *to = api_main_shard_at(s->opts.main, shard, &mail);
    if (!to) {
        reply_problem(c, 400, "Bad Request", "Session ID unknown", (struct str){0});
        return;
    }
    struct move *m = mem_zero(sizeof(*m));
    *m = (struct move){.to = to, .mail = mail};
    conn_hand_over(c, r, body, on_parcel, m);
}

static const struct sio_handler handler = {
    .allow = on_allow,
    .cors = on_cors,
    .elsewhere = on_elsewhere,
    .connect = on_connect,
    .event = on_event,
    .closed = on_closed,
    .transport = on_transport,
    .drained = on_drained,
};

/* ---- the shard's part ---- */

struct sio_server *sio_shard_new(struct api_shard *s, unsigned index, const struct net_opts *net)
{
    metric_register(&clients);
    metric_register(&resumed_total);
    metric_register(&events_total);
    list_init(&s->sio_waiting);
    s->sio_memory = api_main_sio_memory(s->opts.main);
    return sio_new(&(struct sio_opts){
        .engine = {.loop = s->loop,
                   .shard = index,
                   .ping_interval_ms = net->ping_interval_ms,
                   .ping_timeout_ms = net->ping_timeout_ms,
                   .max_sessions = net->max_conns,
                   .allow_v3 = true},
        .handler = &handler,
        .self = s,
        .user_bytes = sizeof(struct sio_client),
    });
}

void sio_shard_request(struct api_shard *s, struct conn *c, const struct http_request *r,
                       struct str body)
{
    engine_request(sio_engine(s->sio), c, &session_of(c)->link, r, body);
}

static void drain_one(void *self, struct engine_session *session)
{
    struct api_shard *s = self;
    struct sio_socket *so = sio_find(session, STR("/"));
    if (so) {
        struct buf json = {0};
        char time[CLOCK_RFC3339_LEN + 1];
        clock_format_rfc3339(shard_wall_ms(s), time);
        buf_printf(&json, "{\"reconnect_after_ms\":%u,\"timestamp\":\"%s\"}", shard_spread_ms(s),
                   time);
        emit(client_of(so), "server_shutdown", buf_str(&json));
        buf_fini(&json);
    }
    engine_close(session, WS_CLOSE_GOING_AWAY, "server shuts down");
}

void sio_shard_drain(struct api_shard *s)
{
    engine_each(sio_engine(s->sio), drain_one, s);
}
