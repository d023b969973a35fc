/* Packets of a session, in and out: what they mean, and what is held until a poll fetches it.
 * SPDX-License-Identifier: MIT */
#include "base/metrics.h"
#include "net/engine_session.h"

static struct metric ignored = METRIC_COUNTER("coincast_engine_ignored_packets_total",
                                              "Engine.IO packets that had no meaning then.");

/* ---- held for a poll ---- */

static size_t held_bytes(const struct engine_session *s)
{
    return s->held.len - s->held_at;
}

bool engine_has_held(const struct engine_session *s)
{
    return held_bytes(s) > 0;
}

bool engine_next_held(struct engine_session *s, size_t *at, bool *binary, struct str *bytes)
{
    struct engine_record record;
    if (*at >= s->held.len) {
        return false;
    }
    memcpy(&record, s->held.ptr + *at, sizeof(record));
    *binary = record.binary;
    *bytes = str_make(s->held.ptr + *at + sizeof(record), record.len);
    *at += sizeof(record) + record.len;
    return true;
}

void engine_drop_held(struct engine_session *s, size_t at)
{
    s->held_at = at;
    if (at == s->held.len) {
        buf_fini(&s->held);
        s->held = (struct buf){0};
        s->held_at = 0;
    }
}

size_t engine_session_pending(const struct engine_session *s)
{
    return held_bytes(s) + (s->state == ENGINE_WS ? conn_pending(s->ws) : 0);
}

static void too_slow(struct engine_session *s)
{
    engine_end(s, ENGINE_TOO_SLOW, "1", WS_CLOSE_POLICY, "too slow");
}

static void hold(struct engine_session *s, bool binary, struct str prefix, struct str bytes)
{
    struct engine_record record = {.len = (uint32_t)(prefix.len + bytes.len), .binary = binary};
    if (held_bytes(s) + sizeof(record) + record.len > s->engine->opts.max_pending) {
        too_slow(s);
        return;
    }
    if (s->held_at > s->held.len / 2) {
        buf_drop(&s->held, s->held_at);
        s->held_at = 0;
    }
    (void)buf_add(&s->held, &record, sizeof(record));
    (void)buf_add_str(&s->held, prefix);
    (void)buf_add_str(&s->held, bytes);
    if (s->poll) {
        engine_mark_due(s);
    }
}

/* ---- out ---- */

/* Sends a packet that is text with its type digit. */
static void send_packet(struct engine_session *s, struct str packet)
{
    if (s->state == ENGINE_WS) {
        engine_ws_send(s, false, packet);
    } else {
        hold(s, false, (struct str){0}, packet);
    }
}

void engine_send(struct engine_session *s, bool binary, struct str data)
{
    if (!engine_session_is_open(s)) {
        return;
    }
    struct str prefix = binary ? (struct str){0} : STR("4");
    if (s->state != ENGINE_WS) {
        hold(s, binary, prefix, data);
        return;
    }
    if (binary) {
        engine_ws_send(s, true, data);
    } else {
        struct buf *packet = &s->engine->scratch;
        buf_clear(packet);
        (void)buf_add_str(packet, prefix);
        (void)buf_add_str(packet, data);
        engine_ws_send(s, false, buf_str(packet));
    }
    if (engine_session_is_open(s) && engine_session_pending(s) > s->engine->opts.max_pending) {
        too_slow(s);
    }
}

void engine_write_packets(struct engine_session *s, struct str packets)
{
    struct str packet;
    while (str_next(&packets, EIO_SEPARATOR, &packet)) {
        if (engine_session_is_open(s)) {
            send_packet(s, packet);
        }
    }
    if (s->state == ENGINE_WS && engine_session_pending(s) > s->engine->opts.max_pending) {
        too_slow(s);
    }
}

/* ---- pings ---- */

/* The client's time to answer counts from when the ping was due, so that it ends when the client
 * expects it; but a server that was held up itself must not take that out on its clients. */
void engine_ping(struct engine_session *s, uint64_t now)
{
    uint32_t timeout_ms = s->engine->opts.ping_timeout_ms;
    uint64_t from_ms = now - s->ping_at_ms < timeout_ms / 2 ? s->ping_at_ms : now;
    s->dead_at_ms = from_ms + timeout_ms;
    s->ping_at_ms = ENGINE_NEVER;
    s->pinged_us = loop_exact_us(s->engine->opts.loop);
    send_packet(s, STR("2"));
}

static void on_pong(struct engine_session *s)
{
    if (s->version != 4 || s->ping_at_ms != ENGINE_NEVER) {
        metric_add(&ignored, 1);
        return;
    }
    uint64_t rtt_us = loop_exact_us(s->engine->opts.loop) - s->pinged_us;
    s->rtt_us = rtt_us == 0 ? 1 : rtt_us < UINT32_MAX ? (uint32_t)rtt_us : UINT32_MAX;
    s->ping_at_ms = loop_now_ms(s->engine->opts.loop) + s->engine->opts.ping_interval_ms;
    s->dead_at_ms = ENGINE_NEVER;
    engine_arm(s);
}

/* Clients ping in revision 3 only. */
static void on_ping(struct engine_session *s, struct str data)
{
    const struct engine_opts *o = &s->engine->opts;
    if (s->version == 4) {
        engine_end(s, ENGINE_PARSE_ERROR, "1", WS_CLOSE_PROTOCOL, "pings are the server's");
        return;
    }
    s->dead_at_ms = loop_now_ms(s->engine->opts.loop) + o->ping_interval_ms + o->ping_timeout_ms;
    engine_arm(s);
    struct buf pong = {0};
    (void)buf_add_char(&pong, '3');
    (void)buf_add_str(&pong, data);
    send_packet(s, buf_str(&pong));
    buf_fini(&pong);
}

/* ---- in ---- */

bool engine_packet(struct engine_session *s, const struct eio_packet *p)
{
    switch (p->type) {
    case EIO_MESSAGE:
        s->engine->opts.handler->message(s->engine->opts.self, s, p->binary, p->data);
        break;
    case EIO_PING:
        on_ping(s, p->data);
        break;
    case EIO_PONG:
        on_pong(s);
        break;
    case EIO_CLOSE:
        engine_leave(s);
        break;
    case EIO_OPEN:
    case EIO_UPGRADE:
    case EIO_NOOP:
        metric_add(&ignored, 1);
        break;
    }
    return engine_session_is_open(s);
}
