/* `coincast serve`: reads the settings, has everything built, runs, and takes it apart in the
 * reverse order. SPDX-License-Identifier: MIT */
#include "app/app.h"
#include "app/server_in.h"
#include "base/log.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

/* ---- signals: the handler notes and wakes, the loop acts ---- */

static volatile sig_atomic_t signals_seen;
static struct loop *signal_loop;

static void on_signal(int number)
{
    (void)number;
    if (++signals_seen > 1) {
        _exit(1); /* asked twice: at once */
    }
    loop_wake(signal_loop);
}

static void begin_shutdown(struct server *s)
{
    s->draining = true;
    if (s->replay) {
        replay_stop(s->replay);
    }
    log_info("serve", "shutting down", "drain_ms=%lld", (long long)s->options.drain_ms);
    shards_drain(s->shards, (uint32_t)s->options.drain_ms);
}

static void look_for_signal(void *self)
{
    struct server *s = self;
    if (signals_seen && !s->draining) {
        begin_shutdown(s);
    }
}

static void catch_signals(struct server *s)
{
    struct sigaction act = {.sa_handler = on_signal};
    signal_loop = s->loop;
    loop_add_collect(s->loop, &s->signal_hook, look_for_signal, s);
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGINT, &act, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* ---- life ---- */

static void close_all(struct server *s)
{
    publish_log_close(s->publish_log);
    s->publish_log = NULL; /* health is still asked for it below */
    markets_stop(s->markets);
    feed_stop(s->feed); /* answers refreshes under way: before those who asked are gone */
    api_main_free(s->api);
    if (s->loop) {
        timer_stop(s->loop, &s->demand_timer);
    }
    shards_free(s->shards);
    hub_free(s->hub);
    mailbox_free(s->mail);
    tls_context_free(s->tls);
    keep_stop(&s->keep);
    cache_free(s->cache);
    redis_free(s->redis);
    recorder_close(s->recorder);
    if (s->db) {
        db_close(s->db);
    }
    feed_free(s->feed);
    markets_free(s->markets);
    replay_free(s->replay);
    if (s->pool) {
        work_pool_free(s->pool);
    }
    loop_free(s->loop);
    conf_free(s->conf);
}

static void say_hello(const struct server *s, uint16_t port)
{
    static const char *const kinds[] = {"live", "demo", "auto", "none", "replay"};
    const char *reason = shards_io_reason(s->shards);
    log_info("serve", "ready", "url=%s://localhost:%u source=%s io=%s%s%s version=%s",
             s->tls ? "https" : "http", port, kinds[s->kind], shards_io_name(s->shards),
             reason[0] ? " io_reason=" : "", reason[0] ? log_quote(str_of(reason)) : "",
             COINCAST_VERSION);
    if (s->kind == SOURCE_DEMO) {
        log_warn("serve", "ALL DATA IS SIMULATED", "source=demo");
    } else if (s->kind == SOURCE_REPLAY) {
        log_warn("serve", "ALL DATA IS RECORDED", "file=%s speed=%s", log_quote(s->replay_file),
                 s->options.speed);
    }
}

static enum err run(struct server *s, struct buf *error)
{
    uint16_t port = 0;
    enum err e = server_build(s, &port, error);
    if (e != OK) {
        return e;
    }
    catch_signals(s);
    if ((e = server_start(s, error)) != OK) {
        return e;
    }
    say_hello(s, port);
    if (s->replay) {
        markets_use_replay(s->markets);
        replay_run(s->replay);
    } else {
        loop_run(s->loop);
    }
    log_info("serve", "stopped", "uptime_s=%lld",
             (long long)((loop_wall_ms(s->loop) - s->started_ms) / 1000));
    return OK;
}

static void seed_hashes(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    str_hash_seed((uint64_t)t.tv_nsec * 0x9E3779B97F4A7C15U ^ (uint64_t)t.tv_sec ^
                  (uint64_t)(uintptr_t)&t);
}

static void say_foreign(const struct conf *c)
{
    const char *const *names = NULL;
    size_t count = conf_foreign(c, &names);
    for (size_t i = 0; i < count; i++) {
        log_info("serve", "a variable that this version makes no use of", "name=%s", names[i]);
    }
}

static int help(void)
{
    struct buf out = {0};
    buf_add_lit(&out, "usage: coincast serve [--SETTING VALUE] ...\n\n"
                      "Settings: flag, environment, .env, default, in this order.\n\n");
    conf_write_help(option_rows, option_count, &out);
    fwrite(out.ptr, 1, out.len, stdout);
    buf_fini(&out);
    return 0;
}

/* What no single setting can say of itself. */
static bool settings_agree(const struct options *o, struct buf *error)
{
    if (!o->tls_cert == !o->tls_key) {
        return true;
    }
    buf_printf(error, "%s=%s: %s must be set, too; a certificate and its key go together",
               o->tls_cert ? "COINCAST_TLS_CERT" : "COINCAST_TLS_KEY",
               o->tls_cert ? o->tls_cert : o->tls_key,
               o->tls_cert ? "COINCAST_TLS_KEY" : "COINCAST_TLS_CERT");
    return false;
}

int app_serve(int argc, char **argv)
{
    struct server s = {0};
    struct buf error = {0};
    struct conf_inputs in = {
        .argc = argc, .argv = argv, .env = environ, .env_file = ".env", .foreign = option_foreign};
    char **words = NULL;
    int code = 0;
    seed_hashes();
    if (conf_load(option_rows, option_count, &s.options, &in, &s.conf, &error) != OK) {
        fprintf(stderr, "coincast: %s\n", buf_text(&error));
        code = 2;
    } else if (conf_help_wanted(s.conf)) {
        code = help();
    } else if (conf_args(s.conf, &words) > 0) {
        fprintf(stderr,
                "coincast: serve takes settings only, not \"%s\"; see coincast serve "
                "--help\n",
                words[0]);
        code = 2;
    } else if (!settings_agree(&s.options, &error)) {
        fprintf(stderr, "coincast: %s\n", buf_text(&error));
        code = 2;
    } else {
        if (log_configure(str_of(s.options.log)) != OK) {
            log_warn("serve", "the log setting was checked but not taken", "log=%s", s.options.log);
        }
        say_foreign(s.conf);
        log_add_secret(str_of(s.options.taapi_secret));
        log_add_secret(str_of(s.options.coingecko_key));
        log_add_secret(str_of(s.options.api_token));
        if (run(&s, &error) != OK) {
            fprintf(stderr, "coincast: %s\n", buf_text(&error));
            code = 1;
        }
    }
    close_all(&s);
    buf_fini(&error);
    return code;
}
