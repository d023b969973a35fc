/* What Socket.IO clients are subscribed to. SPDX-License-Identifier: MIT */
#include "api/catalogue.h"
#include "api/command.h"
#include "api/sio_in.h"
#include "base/alloc.h"

enum { REPEAT_MS = 2000, NAME_MAX_LEN = 64 };

bool sio_is_over(const struct sio_client *client)
{
    return client->over;
}

void give_way(struct sio_client *client)
{
    if (client->over) {
        return;
    }
    struct conn *c = engine_session_conn(sio_session(socket_of(client)));
    if (c) {
        conn_write_now(c, (struct str){0}); /* what is left after that owes a `drained` */
    }
    if (client->over) {
        return;
    }
    if (sio_client_pending(client) > 0) {
        fanout_stall(client->shard->fanout, &client->session.member);
    } else { /* e.g. it waited for a poll, and is a WebSocket now */
        fanout_drained(client->shard->fanout, &client->session.member);
    }
}

enum frame_form form_now(struct engine_session *session, struct stream **stream)
{
    struct conn *c = engine_session_conn(session);
    *stream = c ? conn_stream(c) : NULL;
    if (!c) {
        return FORM_SIO_PACKETS;
    }
    return conn_takes_deflate(c) ? FORM_SIO_WS_DEFLATE : FORM_SIO_WS;
}

static void want(struct wanted *w, struct str channel, uint32_t interval_ms)
{
    if (w->count < SIO_SUBS_MAX) {
        w->subs[w->count++] =
            (struct fanout_sub){.channel = channel, .interval_ms = interval_ms, .unlimited = true};
    }
}

const char *name_of_key(const struct api_shard *s, uint32_t key)
{
    const struct catalogue_entry *e = catalogue_of_key(s->answers->catalogue, key);
    return e ? e->name : NULL;
}

void want_symbols(struct wanted *w, const struct sio_client *client, const uint32_t *keys,
                  size_t count)
{
    if (count == 0) {
        return;
    }
    w->subs[w->count++] = (struct fanout_sub){.channel = STR("price_updates"),
                                              .interval_ms = interval_of_hz(client->max_hz),
                                              .keys = keys,
                                              .key_count = count,
                                              .repeat_ms = REPEAT_MS,
                                              .unlimited = true};
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

void want_channels(struct wanted *w, const struct sio_client *client, struct str names)
{
    struct str one;
    while (str_next(&names, ',', &one)) {
        if (one.len) {
            want(w, one, interval_of_hz(client->max_hz));
        }
    }
}

void want_all(struct wanted *w, const struct sio_client *client)
{
    want_symbols(w, client, client->keys, client->key_count);
    want_channels(w, client, buf_str(&client->channels));
}

void remember(struct sio_client *client, bool gone)
{
    struct api_shard *s = client->shard;
    if (!client->pid[0] || s->draining || (client->over && !gone)) {
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
    state->owner = client->owner;
    state->gone = gone;
    if (!mailbox_post(s->opts.main_mail, letter_sio_state, s->sio_memory, state, 0)) {
        sio_state_free(state);
    }
}

void give_first(struct sio_client *client, const struct wanted *w)
{
    struct fanout_resume resume;
    struct buf first = {0};
    if (client->over) {
        return;
    }
    (void)fanout_collect(client->shard->fanout, w->subs, w->count, NULL, true, client->form, &first,
                         &resume);
    if (first.len) {
        sio_client_write(client, buf_str(&first), false);
    }
    buf_fini(&first);
    give_way(client);
}

bool sio_join(struct sio_client *client, const struct wanted *w)
{
    struct engine_session *session = sio_session(socket_of(client));
    if (w->count == 0 || client->over) {
        return true;
    }
    client->form = form_now(session, &client->session.member.stream);
    if (fanout_join(client->shard->fanout, &client->session.member, client->form, w->subs,
                    w->count) != OK) {
        return client->over;
    }
    sio_want_feeds(client);
    return true;
}

void sio_want_candles(struct sio_client *client, struct str names, bool on)
{
    struct api_shard *s = client->shard;
    struct str one;
    while (!client->over && str_next(&names, ',', &one)) {
        struct channel_name name;
        if (channel_read(one, &name, NULL) != OK || name.kind != KIND_CANDLES) {
            continue;
        }
        const struct catalogue_entry *e = catalogue_find(s->answers->catalogue, name.symbol);
        if (e) {
            session_want_candles(s, &client->session, e->key, name.interval, on);
        }
    }
}

void sio_want_feeds(struct sio_client *client)
{
    if (!client->over) {
        session_want_prices(client->shard, &client->session, client->keys, client->key_count);
        sio_want_candles(client, buf_str(&client->channels), true);
    }
}
