/* Socket.IO clients: coming, going, transports. SPDX-License-Identifier: MIT */
#include "api/sio.h"

#include "api/sio_in.h"
#include "base/alloc.h"
#include "base/metrics.h"

#include <sys/random.h>

static struct metric clients =
    METRIC_GAUGE("coincast_socketio_clients", "Socket.IO clients connected now.");
static struct metric resumed_total = METRIC_COUNTER("coincast_socketio_resumed_total",
                                                    "Socket.IO clients that got what they missed.");

/* ---- the fan-out's way to a client ---- */

void sio_client_write(struct sio_client *client, struct str bytes, bool now)
{
    struct engine_session *session = sio_session(socket_of(client));
    struct conn *c = engine_session_conn(session);
    if (client->form == FORM_SIO_PACKETS) {
        engine_write_packets(session, str_from(bytes, 1)); /* without the first separator */
    } else if (c && now) {
        conn_write_now(c, bytes);
    } else if (c) {
        conn_write(c, bytes);
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

/* ---- coming and going ---- */

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

static void take_state(struct sio_client *client, struct sio_state *state)
{
    client->max_hz = state->max_hz;
    client->keys = state->keys;
    client->key_count = state->key_count;
    state->keys = NULL;
    buf_add_str(&client->channels, str_of(state->channels));
    for (const char *at = state->channels; *at; at++) {
        client->channel_count += *at == ',';
    }
    client->form = form_now(sio_session(socket_of(client)), &client->session.member.stream);
}

static void forget_state(struct sio_client *client)
{
    mem_free(client->keys);
    client->keys = NULL;
    client->key_count = client->channel_count = 0;
    client->max_hz = 0;
    buf_clear(&client->channels);
}

/* What was missed goes in front of the welcome, as the reference does it; more than may be kept for
 * a client follows in helpings, as its transport takes them. */
static void welcome_back(struct sio_client *client, const struct sio_state *state,
                         const struct wanted *w, struct str missed, const struct str *offset)
{
    bool at_once = missed.len <= CATCH_UP_AT_ONCE;
    if (missed.len && at_once) {
        sio_client_write(client, missed, false);
    }
    memcpy(client->pid, state->pid, sizeof(client->pid));
    client->session.authorized = client->session.authorized || state->authorized;
    sio_accept(socket_of(client), str_of(state->sid), str_of(client->pid));
    say_status(client, true);
    (void)sio_join(client, w); /* it had as many before */
    give_way(client);
    if (!at_once && !client->over) {
        fanout_replay(client->shard->fanout, &client->session.member, w->subs, w->count, offset);
    }
    remember(client, false);
    metric_add(&resumed_total, 1);
}

/* The state of before, and what was missed since `offset`; false: it can't all be given. */
static bool resume(struct sio_client *client, struct sio_state *state, struct str offset)
{
    struct fanout_resume result;
    struct wanted w = {0};
    struct buf missed = {0};
    shard_reach(client->shard, offset);
    if (client->over) {
        return true;
    }
    take_state(client, state);
    want_all(&w, client);
    (void)fanout_collect(client->shard->fanout, w.subs, w.count, &offset, false, client->form,
                         &missed, &result);
    if (result.recovered) {
        welcome_back(client, state, &w, buf_str(&missed), &offset);
    } else {
        forget_state(client);
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
    client->owner = (uint64_t)s->opts.index << 48 | ++s->sio_clients;
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
    client->over = true;
    list_remove(&client->waiting);
    session_leave(s, &client->session);
    remember(client, true);
    mem_free(client->keys);
    buf_fini(&client->channels);
    client->keys = NULL;
    client->key_count = client->channel_count = 0;
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
    client->form = form; /* also of who left over it: nothing more is written */
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
    if (lines->len && origin_named(s->opts.settings, r)) {
        buf_add_lit(lines, "Access-Control-Allow-Credentials: true\r\n");
    }
    if (lines->len && r->method == HTTP_OPTIONS) {
        buf_add_lit(lines, "Access-Control-Allow-Methods: GET, POST\r\n"
                           "Access-Control-Allow-Headers: Authorization, Content-Type\r\n"
                           "Access-Control-Max-Age: 600\r\n");
    }
}

/* ---- sessions of other shards ---- */

void letter_adopt(void *self, void *owned_parcel, uint64_t number)
{
    struct api_shard *s = self;
    (void)number;
    if (s->finished) {
        net_parcel_free(owned_parcel); /* its session is gone, and nobody would serve the conn */
    } else {
        net_adopt(s->net, owned_parcel);
    }
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
        engine_refuse_sid(sio_engine(s->sio), c, r);
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
    .event = sio_event_came,
    .closed = on_closed,
    .transport = on_transport,
    .drained = on_drained,
};
/* ---- the shard's part ---- */

struct sio_server *sio_shard_new(struct api_shard *s, unsigned index, const struct net_opts *net)
{
    metric_register(&clients);
    metric_register(&resumed_total);
    list_init(&s->sio_waiting);
    s->sio_memory = api_main_sio_memory(s->opts.main);
    return sio_new(&(struct sio_opts){
        .engine = {.loop = s->loop,
                   .shard = index,
                   .ping_interval_ms = net->ping_interval_ms,
                   .ping_timeout_ms = net->ping_timeout_ms,
                   .max_payload = min_size(ENGINE_MAX_PAYLOAD,
                                           net->max_body ? net->max_body : ENGINE_MAX_PAYLOAD),
                   .max_sessions = net->max_conns,
                   .max_per_peer = net->max_conns_per_ip,
                   .sessions_of = s->opts.sessions_of,
                   .limit_loopback = net->limit_loopback,
                   .allow_v3 = true},
        .handler = &handler,
        .self = s,
        .user_bytes = sizeof(struct sio_client),
    });
}

static bool has_sid(const struct http_request *r)
{
    struct buf sid = {0};
    bool has = http_query(r->query, STR("sid"), &sid) == OK;
    buf_fini(&sid);
    return has;
}

/* Who opens a session is turned away at the end, and held to the rate of requests; what follows of
 * it is not: there are as many sessions as the address may have. */
void sio_shard_request(struct api_shard *s, struct conn *c, const struct http_request *r,
                       struct str body)
{
    session_use(s, session_of(c), USE_ENGINE);
    if ((s->draining || rate_holds(s, c)) && r->method != HTTP_OPTIONS && !has_sid(r)) {
        if (s->draining) {
            refuse_draining(c);
            return;
        }
        if (refuse_over_rate(s, c, r)) {
            return;
        }
    }
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