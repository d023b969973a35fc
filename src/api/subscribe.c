/* subscribe and unsubscribe of WebSocket clients. SPDX-License-Identifier: MIT */
#include "api/session.h"

/* A subscription as asked for, and as the fan-out takes it. */
struct ask_sub {
    struct channel_name name;
    char canonical[CHANNEL_NAME_MAX];
    struct str channel; /* canonical */
    uint32_t key;       /* of a candle channel's symbol */
    struct symbols symbols;
};

static void refuse(struct api_shard *s, struct conn *c, const struct command *cmd, const char *code,
                   const char *message)
{
    send_error(
        s, c,
        &(struct error_text){.code = code, .message = message, .retry_after_s = -1, .id = cmd->id});
}

static void refuse_unknown(struct api_shard *s, struct conn *c, const struct command *cmd,
                           struct str names)
{
    struct buf text = {0};
    buf_printf(&text, "Unknown here: %.*s. GET /api/v1/assets lists all symbols.", STR_ARG(names));
    refuse(s, c, cmd, "unknown_symbol", buf_text(&text));
    buf_fini(&text);
}

/* Understands channel and symbols; false: refused, the client was told. */
static bool understand(struct api_shard *s, struct conn *c, const struct command *cmd,
                       struct ask_sub *a)
{
    const char *why = NULL;
    const struct catalogue *catalogue = shard_answers(s)->catalogue;
    if (channel_read(cmd->channel, &a->name, &why) != OK) {
        refuse(s, c, cmd, "unknown_channel", why);
        return false;
    }
    a->channel = channel_canonical(cmd->channel, &a->name, a->canonical);
    if (a->name.kind == KIND_CANDLES) {
        const struct catalogue_entry *entry = catalogue_find(catalogue, a->name.symbol);
        if (!entry) {
            refuse_unknown(s, c, cmd, a->name.symbol);
            return false;
        }
        a->key = entry->key;
    }
    if (a->name.kind != KIND_PRICES || !cmd->symbols.ptr) {
        return true;
    }
    if (command_symbols(cmd, catalogue, &a->symbols) != OK) {
        refuse(s, c, cmd, "too_many", "A subscription takes at most 500 different symbols.");
        return false;
    }
    if (a->symbols.count == 0) {
        refuse_unknown(s, c, cmd, buf_str(&a->symbols.unknown));
        return false;
    }
    return true;
}

static int by_number(const void *a, const void *b)
{
    const uint32_t *x = a;
    const uint32_t *y = b;
    return (*x > *y) - (*x < *y);
}

/* The names of keys that stand sorted, in the catalogue's order. */
static void write_symbols(struct json_writer *w, const struct catalogue *c, const uint32_t *keys,
                          size_t count)
{
    json_array(w);
    for (size_t i = 0; c && i < c->count; i++) {
        const struct catalogue_entry *e = &c->entries[i];
        if (bsearch(&e->key, keys, count, sizeof(*keys), by_number)) {
            json_text(w, e->name);
        }
    }
    json_array_end(w);
}

/* "params": what holds now. */
static void write_params(struct api_shard *s, struct session *session, struct json_writer *w,
                         struct str channel, const struct command *cmd)
{
    struct fanout_sub now;
    json_key(w, "params");
    json_object(w);
    if (fanout_sub_of(s->fanout, &session->member, channel, &now)) {
        if (now.key_count) {
            json_key(w, "symbols");
            write_symbols(w, shard_answers(s)->catalogue, now.keys, now.key_count);
        }
        if (cmd->max_hz > 0) {
            json_key(w, "max_hz");
            json_double(w, cmd->max_hz);
        } else if (now.interval_ms) {
            json_key(w, "max_hz");
            json_decimal(w, 1000.0 / now.interval_ms, 3);
        }
        if (now.delta) {
            json_key(w, "delta");
            json_bool(w, true);
        }
    }
    if (cmd->since.ptr) {
        json_key(w, "since");
        json_str(w, cmd->since);
    }
    json_object_end(w);
}

static void write_unknown(struct json_writer *w, const struct symbols *symbols)
{
    if (symbols->unknown_count) {
        json_key(w, "unknown");
        json_array(w);
        json_raw(w, buf_str(&symbols->unknown));
        json_array_end(w);
    }
}

static void reply_subscribed(struct api_shard *s, struct conn *c, const struct command *cmd,
                             const struct ask_sub *a, const struct fanout_resume *resume,
                             const char *cursor)
{
    struct buf json = {0};
    struct json_writer w;
    open_reply(&w, &json, "subscribed", cmd);
    json_key(&w, "channel");
    json_str(&w, a->channel);
    write_params(s, session_of(c), &w, a->channel, cmd);
    write_unknown(&w, &a->symbols);
    json_key(&w, "cursor");
    json_text(&w, cursor);
    json_key(&w, "recovered");
    json_bool(&w, resume->recovered);
    json_key(&w, "reset");
    json_bool(&w, resume->reset);
    close_reply(s, c, &w, &json);
}

/* Sends what replies to commands of the same turn wait in the conn: the fan-out would take them for
 * a full socket, and stall the member for a moment. False: it is closing. */
static bool sent_before(struct conn *c)
{
    if (conn_pending(c)) {
        conn_write_now(c, (struct str){0});
    }
    return !conn_is_closing(c);
}

static void subscribe(struct api_shard *s, struct conn *c, const struct command *cmd,
                      const struct ask_sub *a)
{
    struct session *session = session_of(c);
    enum frame_form form = (enum frame_form)session->form;
    const struct str *since = cmd->since.ptr ? &cmd->since : NULL;
    struct buf first = {0};
    char cursor[CURSOR_LEN + 1];
    struct fanout_sub sub = {
        .channel = a->channel,
        .interval_ms = interval_of_hz(cmd->max_hz),
        .keys = a->symbols.keys,
        .key_count = a->symbols.count,
        .delta = a->name.kind == KIND_PRICES && cmd->delta,
    };
    shard_reach(s, cmd->since);
    if (!sent_before(c)) {
        return;
    }
    struct fanout_resume resume = fanout_catch_up(s->fanout, &sub, since, form, &first);
    fanout_cursor_text(s->fanout, cursor);
    if (fanout_subscribe(s->fanout, &session->member, form, &sub) != OK) {
        refuse(s, c, cmd, "too_many",
               "This client has as many subscriptions as it may; unsubscribe from one first.");
    } else {
        if (a->name.kind == KIND_PRICES) {
            session_want_prices(s, session, a->symbols.keys, a->symbols.count);
        } else if (a->name.kind == KIND_CANDLES) {
            session_want_candles(s, session, a->key, a->name.interval, true);
        }
        reply_subscribed(s, c, cmd, a, &resume, cursor);
        if (!send_standard(s, c, a->channel)) {
            catch_up(s, c, &sub, 1, since, buf_str(&first));
        }
    }
    buf_fini(&first);
}

void ws_subscribe(struct api_shard *s, struct conn *c, const struct command *cmd)
{
    struct ask_sub a = {0};
    if (understand(s, c, cmd, &a)) {
        subscribe(s, c, cmd, &a);
    }
    symbols_fini(&a.symbols);
}

/* From the whole channel, or from some of its symbols. */
static enum err unsubscribe(struct api_shard *s, struct session *session, const struct ask_sub *a)
{
    struct fanout_sub left = {0};
    enum err e = a->symbols.count ? fanout_sub_keys(s->fanout, &session->member, a->channel,
                                                    a->symbols.keys, a->symbols.count, false)
                                  : fanout_unsubscribe(s->fanout, &session->member, a->channel);
    if (e == OK && a->name.kind == KIND_PRICES) {
        (void)fanout_sub_of(s->fanout, &session->member, a->channel, &left);
        session_want_prices(s, session, left.keys, left.key_count);
    } else if (e == OK && a->name.kind == KIND_CANDLES) {
        session_want_candles(s, session, a->key, a->name.interval, false);
    }
    return e;
}

void ws_unsubscribe(struct api_shard *s, struct conn *c, const struct command *cmd)
{
    struct ask_sub a = {0};
    if (understand(s, c, cmd, &a) && sent_before(c)) {
        struct buf json = {0};
        struct json_writer w;
        switch (unsubscribe(s, session_of(c), &a)) {
        case OK:
            open_reply(&w, &json, "unsubscribed", cmd);
            json_key(&w, "channel");
            json_str(&w, a.channel);
            if (a.symbols.count) {
                write_params(s, session_of(c), &w, a.channel, &(struct command){0});
                write_unknown(&w, &a.symbols);
            }
            close_reply(s, c, &w, &json);
            break;
        case ERR_UNSUPPORTED:
            refuse(s, c, cmd, "unknown_symbol",
                   "This subscription is to all symbols; subscribe again with those you want.");
            break;
        default:
            refuse(s, c, cmd, "unknown_channel", "This client is not subscribed to that channel.");
        }
    }
    symbols_fini(&a.symbols);
}
