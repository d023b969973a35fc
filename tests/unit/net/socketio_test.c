/* Namespaces, events, acks and the end of clients that break the rules.
 * SPDX-License-Identifier: MIT */
#include "net/socketio.h"
#include "tests/unit/net/engine_rig.h"

struct sio_rig {
    struct engine_rig *er;
    struct sio_server *server;
    struct engine *echo; /* of the rig, not used here */
    struct sio_socket *asked;
    struct buf heard; /* a line for each call */
};

static void on_connect(void *self, struct sio_socket *so, const struct sio_connect *info)
{
    struct sio_rig *sr = self;
    (void)buf_printf(&sr->heard, "connect %.*s %.*s", STR_ARG(info->nsp), STR_ARG(info->auth));
    if (info->pid.len) {
        (void)buf_printf(&sr->heard, " pid=%.*s offset=%.*s", STR_ARG(info->pid),
                         STR_ARG(info->offset));
    }
    (void)buf_add_char(&sr->heard, '\n');
    if (str_eq(info->nsp, STR("/later"))) {
        sr->asked = so;
    } else if (str_eq(info->nsp, STR("/data"))) {
        sio_refuse(so, STR("no"), STR("{\"code\":7}"));
    } else if (!str_eq(info->nsp, STR("/")) && !str_eq(info->nsp, STR("/custom"))) {
        sio_refuse(so, STR("Invalid namespace"), (struct str){0});
    } else if (info->pid.len) {
        sio_emit(so, STR("[\"missed\",1]"), NULL, 0);
        sio_accept(so, STR("old"), info->pid);
    } else {
        sio_accept(so, (struct str){0}, (struct str){0});
    }
}

static void on_event(void *self, struct sio_socket *so, const struct sio_event *event)
{
    struct sio_rig *sr = self;
    (void)buf_printf(&sr->heard, "event %.*s %.*s %.*s", STR_ARG(sio_nsp(so)), STR_ARG(event->name),
                     STR_ARG(event->args));
    for (size_t i = 0; i < event->attachment_count; i++) {
        (void)buf_printf(&sr->heard, " <%.*s>", STR_ARG(event->attachments[i]));
    }
    (void)buf_add_char(&sr->heard, '\n');
    if (str_eq(event->name, STR("leave"))) {
        sio_disconnect(so);
    } else if (str_eq(event->name, STR("end"))) {
        engine_close(sio_session(so), 4000, "ended");
    } else if (event->ack.len) {
        sio_ack(so, event->ack, STR("[1]"), event->attachments, event->attachment_count);
    }
}

static void on_closed(void *self, struct sio_socket *so, const char *why)
{
    struct sio_rig *sr = self;
    assert_false(sio_is_joined(so));
    (void)buf_printf(&sr->heard, "closed %.*s %s\n", STR_ARG(sio_nsp(so)), why);
}

static const struct sio_handler handler = {
    .cors = erig_cors,
    .connect = on_connect,
    .event = on_event,
    .closed = on_closed,
};

static struct sio_rig *sio_rig_new(void **state, bool is_virtual)
{
    struct engine_rig *er = erig_new(rig_io(state), is_virtual, (struct engine_opts){0});
    struct sio_rig *sr = mem_zero(sizeof(*sr));
    sr->er = er;
    sr->echo = er->engine;
    sr->server = sio_new(&(struct sio_opts){.engine = {.loop = er->rig.loop,
                                                       .ping_interval_ms = 25000,
                                                       .max_payload = 250,
                                                       .allow_v3 = true},
                                            .handler = &handler,
                                            .self = sr,
                                            .connect_timeout_ms = 1000});
    er->engine = sio_engine(sr->server);
    return sr;
}

static void sio_rig_free(struct sio_rig *sr)
{
    engine_close_all(sio_engine(sr->server));
    net_close_all(sr->er->rig.server);
    rig_wait_conns(&sr->er->rig, 0);
    sio_free(sr->server);
    sr->er->engine = sr->echo;
    erig_free(sr->er);
    buf_fini(&sr->heard);
    mem_free(sr);
}

static bool hears(struct sio_rig *sr, int fd, struct buf *in, const char *text)
{
    return rig_wait_text(&sr->er->rig, fd, in, text);
}

/* A client by WebSocket, connected to "/". */
static int join(struct sio_rig *sr, struct buf *in)
{
    int fd = erig_ws(sr->er, PATH4 "websocket");
    erig_text(fd, "40");
    assert_true(hears(sr, fd, in, "40{\"sid\":\""));
    buf_clear(in);
    return fd;
}

static void end(struct sio_rig *sr, int fd, struct buf *in)
{
    close(fd);
    buf_fini(in);
    sio_rig_free(sr);
}

static void a_client_joins_talks_and_leaves(void **state)
{
    struct sio_rig *sr = sio_rig_new(state, false);
    struct buf in = {0};
    int fd = join(sr, &in);
    erig_text(fd, "40/custom,{\"token\":\"abc\"}");
    assert_true(hears(sr, fd, &in, "40/custom,{\"sid\":\""));
    erig_text(fd, "42[\"a\",1, {}]");
    erig_text(fd, "42/custom,12[\"b\"]");
    assert_true(hears(sr, fd, &in, "43/custom,12[1]"));
    erig_text(fd, "4312[]"); /* an ack that nobody waits for */
    erig_text(fd, "41/custom");
    erig_text(fd, "42[7]");
    erig_text(fd, "42[\"leave\"]");
    assert_true(hears(sr, fd, &in,
                      "\x81\x02"
                      "41"));
    erig_text(fd, "40"); /* and back */
    assert_true(hears(sr, fd, &in, "40{\"sid\":\""));
    erig_text(fd, "42[\"end\"]");
    assert_true(hears(sr, fd, &in, "ended"));
    assert_string_equal(buf_text(&sr->heard), "connect / {}\n"
                                              "connect /custom {\"token\":\"abc\"}\n"
                                              "event / a 1, {}\n"
                                              "event /custom b \n"
                                              "closed /custom client namespace disconnect\n"
                                              "event / 7 \n"
                                              "event / leave \n"
                                              "closed / server namespace disconnect\n"
                                              "connect / {}\n"
                                              "event / end \n"
                                              "closed / forced close\n");
    end(sr, fd, &in);
}

static void attachments_are_put_together(void **state)
{
    struct sio_rig *sr = sio_rig_new(state, false);
    struct buf in = {0};
    int fd = join(sr, &in);
    erig_text(fd,
              "452-5[\"m\",{\"_placeholder\":true,\"num\":1},{\"_placeholder\":true,\"num\":0}]");
    erig_frame(fd, true, STR("first"));
    erig_frame(fd, true, STR(""));
    assert_true(hears(sr, fd, &in, "462-5[1]"));
    assert_true(hears(sr, fd, &in,
                      "\x82\x05"
                      "first\x82"));
    erig_text(fd, "450-[\"none\"]");
    erig_text(fd, "452-[\"half\"]");
    erig_frame(fd, true, STR("lost"));
    close(fd);
    rig_wait_conns(&sr->er->rig, 0);
    assert_int_equal(rig_count(&sr->heard, "event / none \n"), 1);
    assert_int_equal(rig_count(&sr->heard, "{\"_placeholder\":true,\"num\":0} <first> <>\n"), 1);
    assert_int_equal(rig_count(&sr->heard, "half"), 0);
    buf_fini(&in);
    sio_rig_free(sr);
}

/* What is kept of an event until it is whole has the same ceiling as a message. */
static void attachments_have_a_ceiling_together(void **state)
{
    static char bytes[100];
    struct sio_rig *sr = sio_rig_new(state, false);
    struct buf in = {0};
    int fd = join(sr, &in);
    erig_text(fd, "453-[\"m\"]");
    erig_frame(fd, true, str_make(bytes, sizeof(bytes)));
    erig_frame(fd, true, str_make(bytes, sizeof(bytes)));
    erig_frame(fd, true, STR("small"));
    erig_text(fd, "452-[\"n\"]");
    erig_frame(fd, true, str_make(bytes, sizeof(bytes)));
    erig_frame(fd, true, str_make(bytes, sizeof(bytes)));
    erig_text(fd, "453-[\"too much\"]");
    erig_frame(fd, true, str_make(bytes, sizeof(bytes)));
    erig_frame(fd, true, str_make(bytes, sizeof(bytes)));
    erig_frame(fd, true, str_make(bytes, sizeof(bytes)));
    assert_true(hears(sr, fd, &in, "attachments too large"));
    assert_int_equal(rig_count(&sr->heard, "event / m"), 1);
    assert_int_equal(rig_count(&sr->heard, "event / n"), 1);
    assert_int_equal(rig_count(&sr->heard, "too much"), 0);
    end(sr, fd, &in);
}

/* socketio.md 2.3, as captured from the reference. */
static void rules_that_are_broken_end_the_session(void **state)
{
    static const char *const bad[] = {
        "4abc",
        "40",
        "42[]",
        "42[\"connect\"]",
        "40null",
        "40\"x\"",
        "41{}",
        "42{}",
        "42abc[\"a\"]",
        "44\"x\"",
        "42/x,[\"a\"]",
        "41/x",
        "42/later,[\"a\"]",
        "4511-[\"a\"]",
        "451-[\"a\",{\"_placeholder\":true,\"num\":1}]",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct sio_rig *sr = sio_rig_new(state, false);
        struct buf in = {0};
        int fd = join(sr, &in);
        erig_text(fd, "40/later");
        erig_text(fd, bad[i]);
        assert_true(hears(sr, fd, &in, "\x03\xea")); /* 1002 */
        assert_int_equal(rig_count(&sr->heard, "closed / forced close\n"), 1);
        assert_int_equal(rig_count(&sr->heard, "closed /later forced close\n"), 1);
        end(sr, fd, &in);
    }
}

static void binary_comes_only_when_it_is_due(void **state)
{
    for (int due = 0; due < 2; due++) {
        struct sio_rig *sr = sio_rig_new(state, false);
        struct buf in = {0};
        int fd = join(sr, &in);
        if (due) {
            erig_text(fd, "451-[\"a\"]");
            erig_text(fd, "42[\"b\"]");
        } else {
            erig_frame(fd, true, STR("x"));
        }
        assert_true(hears(sr, fd, &in, "\x03\xea"));
        end(sr, fd, &in);
    }
}

static void the_first_packet_connects(void **state)
{
    struct sio_rig *sr = sio_rig_new(state, false);
    struct buf in = {0};
    int fd = erig_ws(sr->er, PATH4 "websocket");
    erig_text(fd, "42[\"a\"]");
    assert_true(hears(sr, fd, &in, "\x03\xea"));
    assert_int_equal(sr->heard.len, 0);
    end(sr, fd, &in);
}

static void without_a_namespace_there_is_a_limit_of_time(void **state)
{
    struct sio_rig *sr = sio_rig_new(state, true);
    struct buf in = {0};
    int fd = erig_ws(sr->er, PATH4 "websocket");
    int good = erig_ws(sr->er, PATH4 "websocket");
    erig_text(fd, "40/unknown");
    assert_true(hears(sr, fd, &in, "44/unknown,{\"message\":\"Invalid namespace\"}"));
    erig_text(fd, "40/data");
    assert_true(hears(sr, fd, &in, "44/data,{\"message\":\"no\",\"data\":{\"code\":7}}"));
    erig_text(good, "40");
    rig_pass(&sr->er->rig, 950);
    assert_int_equal(rig_count(&in, "\x88"), 0);
    assert_int_equal(engine_count(sio_engine(sr->server)), 2);
    rig_pass(&sr->er->rig, 50);
    assert_true(hears(sr, fd, &in, "no namespace was joined"));
    assert_int_equal(engine_count(sio_engine(sr->server)), 1);
    close(good);
    end(sr, fd, &in);
}

static void the_answer_may_come_later_and_missed_events_before_it(void **state)
{
    struct sio_rig *sr = sio_rig_new(state, false);
    struct buf in = {0};
    int fd = erig_ws(sr->er, PATH4 "websocket");
    erig_text(fd, "40{\"pid\":\"p1\",\"x\":[1],\"offset\":\"o1\"}");
    assert_true(hears(sr, fd, &in,
                      "42[\"missed\",1]\x81\x1a"
                      "40{\"sid\":\"old\",\"pid\":\"p1\"}"));
    assert_int_equal(rig_count(&sr->heard, " pid=p1 offset=o1\n"), 1);
    buf_clear(&in);
    erig_text(fd, "40/later,");
    for (int i = 0; i < RIG_TURNS && !sr->asked; i++) {
        rig_turn(&sr->er->rig);
    }
    assert_null(sio_find(sio_session(sr->asked), STR("/later")));
    sio_ack(sr->asked, STR("1"), STR("[]"), NULL, 0); /* not joined: nothing goes */
    sio_accept(sr->asked, (struct str){0}, STR("p2"));
    sio_accept(sr->asked, (struct str){0}, STR("p3")); /* once only */
    sio_refuse(sr->asked, STR("x"), (struct str){0});
    assert_true(hears(sr, fd, &in, "\"pid\":\"p2\"}"));
    assert_ptr_equal(sio_find(sio_session(sr->asked), STR("/later")), sr->asked);
    assert_int_equal(sio_sid(sr->asked).len, SIO_SID_LEN);
    assert_int_equal(rig_count(&in, "\"p3\""), 0); /* a sid may hold a p3 */
    assert_int_equal(rig_count(&in, "43/"), 0);
    end(sr, fd, &in);
}

static void namespaces_of_a_client_are_limited(void **state)
{
    struct sio_rig *sr = sio_rig_new(state, false);
    struct buf in = {0};
    int fd = join(sr, &in);
    for (int i = 0; i < 40; i++) { /* refused ones do not count */
        erig_text(fd, "40/none,");
    }
    erig_text(fd, "42[\"a\"]");
    for (int i = 0; i < RIG_TURNS && !rig_count(&sr->heard, "event / a"); i++) {
        rig_turn(&sr->er->rig);
    }
    assert_int_equal(rig_count(&sr->heard, "connect /none"), 40);
    assert_int_equal(rig_count(&sr->heard, "event / a"), 1);
    end(sr, fd, &in);
}

static void clients_of_revision_4_are_in_at_once(void **state)
{
    struct sio_rig *sr = sio_rig_new(state, false);
    struct buf in = {0};
    int fd = erig_ws(sr->er, "/socket.io/?EIO=3&transport=websocket");
    assert_true(hears(sr, fd, &in,
                      "\x81\x02"
                      "40"));
    erig_text(fd, "40/zz?token=1,");
    assert_true(hears(sr, fd, &in, "44/zz,\"Invalid namespace\""));
    erig_text(fd, "40/custom?token=1,");
    assert_true(hears(sr, fd, &in,
                      "\x81\x0a"
                      "40/custom,"));
    erig_text(fd, "421[\"a\"]");
    assert_true(hears(sr, fd, &in, "431[1]"));
    erig_text(fd, "451-2[\"b\",{\"_placeholder\":true,\"num\":0}]");
    erig_frame(fd, true, STR("\x04xy"));
    assert_true(hears(sr, fd, &in, "461-2[1]"));
    assert_true(hears(sr, fd, &in, "\x82\x03\x04xy"));
    assert_int_equal(rig_count(&sr->heard, "<xy>\n"), 1);
    end(sr, fd, &in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_client_joins_talks_and_leaves),
        BOTH(attachments_are_put_together),
        BOTH(attachments_have_a_ceiling_together),
        BOTH(rules_that_are_broken_end_the_session),
        BOTH(binary_comes_only_when_it_is_due),
        BOTH(the_first_packet_connects),
        BOTH(without_a_namespace_there_is_a_limit_of_time),
        BOTH(the_answer_may_come_later_and_missed_events_before_it),
        BOTH(namespaces_of_a_client_are_limited),
        BOTH(clients_of_revision_4_are_in_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
