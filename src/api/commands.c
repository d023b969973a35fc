/* What a WebSocket client may say, a function a command. SPDX-License-Identifier: MIT */
#include "api/command.h"
#include "api/session.h"
#include "base/alloc.h"
#include "base/metrics.h"
#include "wire/scan.h"

#include <math.h>

static struct metric commands_total =
    METRIC_COUNTER("coincast_client_commands_total", "Commands received from WebSocket clients.");
static struct metric errors_total =
    METRIC_COUNTER("coincast_client_errors_total", "Commands answered with an error.");

void send_error(struct api_shard *s, struct conn *c, const struct error_text *e)
{
    struct buf json = {0};
    metric_add(&errors_total, 1);
    message_error(&json, e, shard_wall_ms(s));
    session_send(c, buf_str(&json));
    buf_fini(&json);
}

/* ---- the commands ---- */

void open_reply(struct json_writer *w, struct buf *json, const char *type,
                const struct command *cmd)
{
    json_begin(w, json);
    json_object(w);
    json_key(w, "type");
    json_text(w, type);
    if (cmd->id.len) {
        json_key(w, "id");
        json_raw(w, cmd->id);
    }
}

void close_reply(struct api_shard *s, struct conn *c, struct json_writer *w, struct buf *json)
{
    json_key(w, "timestamp");
    json_time(w, shard_wall_ms(s));
    json_object_end(w);
    session_send(c, buf_str(json));
    buf_fini(json);
}

static void do_ping(struct api_shard *s, struct conn *c, const struct command *cmd)
{
    struct buf json = {0};
    struct json_writer w;
    open_reply(&w, &json, "pong", cmd);
    json_key(&w, "echo");
    if (cmd->timestamp.len) {
        json_raw(&w, cmd->timestamp);
    } else {
        json_null(&w);
    }
    close_reply(s, c, &w, &json);
}

static void do_request_update(struct api_shard *s, struct conn *c, const struct command *cmd)
{
    if (session_of(c)->ticket) {
        return; /* one is under way already; its answer serves both */
    }
    uint64_t ticket = session_wait(s, c);
    if (!mailbox_post(s->opts.main_mail, letter_refresh, s->opts.main, s, ticket)) {
        session_wait_over(c);
        send_error(s, c,
                   &(struct error_text){.code = "unavailable",
                                        .message = "The server is too busy to fetch now.",
                                        .retry_after_s = 1,
                                        .id = cmd->id});
    }
}

static void do_auth(struct api_shard *s, struct conn *c, const struct command *cmd)
{
    const char *token = s->opts.settings->token;
    struct buf given = {0};
    bool right = scan_unescape(cmd->token, &given) == OK && token &&
                 str_eq_secret(buf_str(&given), str_of(token));
    buf_fini(&given);
    if (!right) {
        send_error(s, c,
                   &(struct error_text){.code = "unauthorized",
                                        .message = "This token is not known here.",
                                        .retry_after_s = -1,
                                        .id = cmd->id});
        return;
    }
    session_of(c)->authorized = true;
    struct buf json = {0};
    struct json_writer w;
    open_reply(&w, &json, "authenticated", cmd);
    close_reply(s, c, &w, &json);
}

/* From upstream's bytes to this client's socket, and from the exchange to us: null while nothing
 * that came from upstream was sent. */
static void write_lags(struct api_shard *s, const struct member *m, struct json_writer *w)
{
    uint64_t lag_us = fanout_member_lag_us(m);
    int64_t exchange_ms = shard_answers(s)->exchange_lag_ms;
    json_key(w, "lag_ms");
    json_decimal(w, lag_us ? (double)lag_us / 1000.0 : NAN, 3);
    json_key(w, "exchange_lag_ms");
    if (exchange_ms != LAG_UNKNOWN) {
        json_i64(w, exchange_ms);
    } else {
        json_null(w);
    }
}

void write_stats(struct api_shard *s, const struct session *session, size_t pending,
                 uint32_t rtt_us, struct json_writer *w)
{
    const struct member *m = &session->member;
    json_key(w, "pending_bytes");
    json_i64(w, (int64_t)pending);
    json_key(w, "conflated");
    json_i64(w, m->conflated);
    json_key(w, "gaps");
    json_i64(w, m->gaps);
    json_key(w, "dropped");
    json_i64(w, m->gaps);
    json_key(w, "subscriptions");
    json_i64(w, (int64_t)fanout_sub_count(m));
    json_key(w, "round_trip_ms");
    json_decimal(w, rtt_us ? rtt_us / 1000.0 : NAN, 3);
    write_lags(s, m, w);
}

static void do_stats(struct api_shard *s, struct conn *c, const struct command *cmd)
{
    struct buf json = {0};
    struct json_writer w;
    open_reply(&w, &json, "stats", cmd);
    json_key(&w, "data");
    json_object(&w);
    write_stats(s, session_of(c), conn_pending(c), conn_rtt_us(c), &w);
    json_key(&w, "deflate");
    json_bool(&w, conn_takes_deflate(c));
    json_object_end(&w);
    close_reply(s, c, &w, &json);
}

static const struct {
    const char *type;
    void (*run)(struct api_shard *s, struct conn *c, const struct command *cmd);
} commands[] = {
    {"ping", do_ping},   {"subscribe", ws_subscribe},
    {"stats", do_stats}, {"unsubscribe", ws_unsubscribe},
    {"auth", do_auth},   {"request_update", do_request_update},
};

void run_command(struct api_shard *s, struct conn *c, struct str text)
{
    struct command cmd;
    int64_t retry_s = 0;
    char sentence[COMMAND_PROBLEM_LEN];
    metric_add(&commands_total, 1);
    if (!session_take_token(s, session_of(c), conn_peer_is_loopback(c), &retry_s)) {
        send_error(s, c,
                   &(struct error_text){.code = "rate_limited",
                                        .message = "Too many commands; slow down.",
                                        .retry_after_s = retry_s});
        return;
    }
    if (command_read(text, &cmd, sentence) != OK) {
        send_error(s, c,
                   &(struct error_text){
                       .code = "bad_json", .message = sentence, .retry_after_s = -1, .id = cmd.id});
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (scan_string_is(cmd.type, str_of(commands[i].type))) {
            commands[i].run(s, c, &cmd);
            return;
        }
    }
    send_error(s, c,
               &(struct error_text){.code = "unknown_type",
                                    .message =
                                        "Unknown type; there are ping, request_update, subscribe, "
                                        "unsubscribe, auth and stats.",
                                    .retry_after_s = -1,
                                    .id = cmd.id});
}
