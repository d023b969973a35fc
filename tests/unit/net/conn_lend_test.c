/* Lent bytes: they reach everybody, in order with whatever else is written, and what a socket does
 * not take is kept. SPDX-License-Identifier: MIT */
#include "tests/unit/net/tls_rig.h"

enum { PEERS = 20 };

struct world {
    struct tls_context *tls;
    struct rig *rig;
    size_t count;
    struct peer peers[PEERS];
    struct conn *conns[PEERS];
    struct buf in[PEERS]; /* what the peers have got */
};

static struct world *world_new(void **state, size_t peers)
{
    struct world *w = mem_zero(sizeof(*w));
    w->tls = make_context();
    w->rig = rig_new(rig_io(state), false, (struct net_opts){.tls = w->tls});
    for (; w->count < peers; w->count++) {
        w->peers[w->count] = peer_new(w->rig);
        upgrade(w->rig, &w->peers[w->count]);
        w->conns[w->count] = w->rig->last;
    }
    return w;
}

static void world_free(struct world *w)
{
    for (size_t i = 0; i < w->count; i++) {
        peer_free(&w->peers[i]);
        buf_fini(&w->in[i]);
    }
    rig_wait_conns(w->rig, 0);
    rig_free(w->rig);
    tls_context_free(w->tls);
    mem_free(w);
}

static void assert_gets(struct world *w, size_t peer, const char *text)
{
    assert_true(peer_wait(w->rig, &w->peers[peer], &w->in[peer], strlen(text)));
    assert_string_equal(buf_text(&w->in[peer]), text);
    buf_clear(&w->in[peer]);
}

static void what_is_lent_reaches_everybody(void **state)
{
    struct world *w = world_new(state, PEERS);
    char text[32];
    for (int round = 0; round < 30; round++) {
        snprintf(text, sizeof(text), "round %d", round);
        for (size_t i = 0; i < PEERS; i++) {
            conn_lend(w->conns[i], str_of(text));
        }
        assert_true(net_flush(w->rig->server)); /* nobody has anything waiting */
        snprintf(text, sizeof(text), "is gone");
        for (size_t i = 0; i < PEERS; i++) {
            char expected[32];
            snprintf(expected, sizeof(expected), "round %d", round);
            assert_int_equal(conn_pending(w->conns[i]), 0);
            assert_gets(w, i, expected);
        }
    }
    assert_true(net_flush(w->rig->server)); /* nothing to do */
    assert_int_equal(w->rig->congested, 0);
    world_free(w);
}

static void nothing_overtakes_what_is_lent(void **state)
{
    struct world *w = world_new(state, 1);
    struct conn *c = w->conns[0];
    char large[600];
    memset(large, 'x', sizeof(large));
    large[sizeof(large) - 1] = '\0';
    conn_lend(c, STR("a"));
    conn_lend(c, STR("b")); /* it has one: this is written */
    conn_write(c, STR("c"));
    assert_false(net_flush(w->rig->server));
    assert_gets(w, 0, "abc");
    conn_lend(c, STR("d"));
    conn_write_now(c, STR("e"));
    assert_gets(w, 0, "de");
    conn_write(c, STR("f"));
    conn_lend(c, STR("g"));
    assert_false(net_flush(w->rig->server));
    assert_gets(w, 0, "fg");
    conn_lend(c, str_of(large)); /* too long for one record: this is written */
    assert_false(net_flush(w->rig->server));
    assert_gets(w, 0, large);
    conn_lend(c, STR("h")); /* and from large records back to small ones */
    assert_true(net_flush(w->rig->server));
    assert_gets(w, 0, "h");
    world_free(w);
}

static void who_leaves_before_the_flush_harms_nobody(void **state)
{
    struct world *w = world_new(state, 3);
    for (size_t i = 0; i < 3; i++) {
        conn_lend(w->conns[i], STR("to all"));
    }
    conn_abort(w->conns[1]);
    assert_false(net_flush(w->rig->server));
    assert_gets(w, 0, "to all");
    assert_gets(w, 2, "to all");
    assert_false(peer_wait(w->rig, &w->peers[1], &w->in[1], 1));
    world_free(w);
}

/* What a full socket did not take comes in order when there is room again; others are not held up.
 */
static void the_rest_waits_for_a_reader_that_stops(void **state)
{
    struct world *w = world_new(state, 2);
    struct buf all = {0};
    char text[401];
    for (int i = 0; i < 100000 && !w->rig->congested; i++) {
        snprintf(text, sizeof(text), "%-399d\n", i);
        conn_lend(w->conns[0], str_of(text));
        bool sent = net_flush(w->rig->server);
        assert_true(sent != (conn_pending(w->conns[0]) > 0));
        (void)buf_add_str(&all, str_of(text));
    }
    assert_int_equal(w->rig->congested, 1);
    conn_lend(w->conns[0], STR("more"));
    conn_lend(w->conns[1], STR("other"));
    assert_false(net_flush(w->rig->server));
    (void)buf_add_str(&all, STR("more"));
    assert_gets(w, 1, "other");
    assert_true(peer_wait(w->rig, &w->peers[0], &w->in[0], all.len));
    assert_true(str_eq(buf_str(&w->in[0]), buf_str(&all)));
    assert_true(rig_wait_count(w->rig, &w->rig->drained, 1));
    buf_clear(&w->in[0]);
    conn_lend(w->conns[0], STR("well again"));
    assert_true(net_flush(w->rig->server));
    assert_gets(w, 0, "well again");
    assert_int_equal(w->rig->congested, 1);
    buf_fini(&all);
    world_free(w);
}

static void a_conn_without_tls_is_written_to(void **state)
{
    struct rig *rig = rig_new(rig_io(state), false, (struct net_opts){0});
    struct buf in = {0};
    int fd = rig_connect(rig);
    rig_say(fd, UPGRADE);
    assert_true(rig_wait_len(rig, fd, &in, 129));
    conn_lend(rig->last, STR("plain"));
    assert_false(net_flush(rig->server));
    assert_true(rig_wait_text(rig, fd, &in, "\r\n\r\nplain"));
    close(fd);
    buf_fini(&in);
    rig_wait_conns(rig, 0);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(what_is_lent_reaches_everybody),
        BOTH(nothing_overtakes_what_is_lent),
        BOTH(who_leaves_before_the_flush_harms_nobody),
        BOTH(the_rest_waits_for_a_reader_that_stops),
        BOTH(a_conn_without_tls_is_written_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
