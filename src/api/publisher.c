/* The main half: market -> hub, posts -> hub, ready answers -> shards.
 * SPDX-License-Identifier: MIT */
#include "api/main_in.h"
#include "api/messages.h"
#include "api/sio.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/metrics.h"

enum { ANSWERS_MS = 1000, CHANGED_MS = 50 };

static struct metric published_total =
    METRIC_COUNTER("coincast_published_total", "Messages published on all channels.");

struct waiting {
    struct list node;
    struct api_main *main;
    struct api_shard *shard;
    uint64_t ticket;
};

void main_count_published(int64_t n)
{
    metric_add(&published_total, n);
}

/* ---- ready answers ---- */

static void make_summary_reply(struct answers *a)
{
    struct buf headers = {0};
    buf_printf(&headers, "Cache-Control: no-cache\r\nETag: %s\r\n", a->summary_etag);
    a->summary_head_len =
        http_reply_bytes(&a->summary_reply, &(struct http_reply){
                                                .status = 200,
                                                .content_type = STR("application/json"),
                                                .headers = buf_str(&headers),
                                                .body = buf_str(&a->summary),
                                            });
    buf_fini(&headers);
}

static void make_missing(struct answers *a, const struct summary *s)
{
    for (int f = 0; f < FIELD_COUNT; f++) {
        if (!s->fields[f].known) {
            buf_printf(&a->missing, "%s%s (%s)", a->missing.len ? ", " : "",
                       summary_field_name((enum summary_field)f), s->fields[f].reason);
        }
    }
}

static void make_health(struct api_main *a, struct answers *out)
{
    static const char *const texts[] = {"ok", "degraded", "down"};
    struct buf components = {0};
    struct json_writer w;
    json_begin(&w, &components);
    json_array(&w);
    int worst = a->opts.health(a->opts.self, &w);
    json_array_end(&w);
    json_begin(&w, &out->health);
    json_object(&w);
    json_key(&w, "status");
    json_text(&w, texts[worst]);
    json_key(&w, "mode");
    json_text(&w, market_mode_text(a->opts.summary->mode));
    json_key(&w, "io");
    json_text(&w, a->opts.io_name);
    json_key(&w, "version");
    json_text(&w, a->opts.settings->version);
    json_key(&w, "timestamp");
    json_time(&w, loop_wall_ms(a->opts.loop));
    json_key(&w, "components");
    json_raw(&w, buf_str(&components));
    json_object_end(&w);
    buf_fini(&components);
}

static struct answers *make_answers(struct api_main *a)
{
    const struct summary *s = a->opts.summary;
    struct answers *out = answers_new();
    int64_t now = loop_wall_ms(a->opts.loop);
    message_summary(&out->summary, s, now, (struct str){0});
    message_summary_etag(s, now, false, out->summary_etag);
    if (s->last_updated_ms) {
        char cursor[CURSOR_LEN + 1];
        hub_cursor(a->opts.hub, hub_next_seq(a->opts.hub) - 1, cursor);
        message_dashboard(&out->dashboard, s, now, "scheduled_update", cursor);
        message_btc_price(&out->btc_price, s, now, cursor);
    }
    make_summary_reply(out);
    out->mode = market_mode_text(s->mode);
    out->ready = summary_complete(s);
    make_missing(out, s);
    make_health(a, out);
    out->catalogue = catalogue_ref(markets_catalogue(&a->markets));
    out->exchange_lag_ms = markets_exchange_lag(a);
    out->btc_as_of_ms = s->fields[FIELD_BTC_PRICE].known ? s->fields[FIELD_BTC_PRICE].as_of_ms : 0;
    return out;
}

static void post_answers(struct api_main *a)
{
    struct answers *answers = make_answers(a);
    for (size_t i = 0; i < a->shard_count; i++) {
        /* A full mailbox only delays this to the next second. */
        if (!mailbox_post(a->shards[i].mail, letter_answers, a->shards[i].shard,
                          answers_ref(answers), 0)) {
            answers_unref(answers);
        }
    }
    if (a->opts.keep && a->shown_version != a->opts.summary->version &&
        a->opts.summary->last_updated_ms) {
        a->opts.keep(a->opts.self, buf_str(&answers->summary));
    }
    a->shown_version = a->opts.summary->version;
    answers_unref(answers);
}

static void answers_due(void *self)
{
    struct api_main *a = self;
    post_answers(a);
    timer_start(a->opts.loop, &a->answers_timer, loop_now_ms(a->opts.loop) + ANSWERS_MS,
                answers_due, a);
}

/* ---- scheduled messages ---- */

static void publish(struct api_main *a, const struct channel_info *channel, struct buf *payload)
{
    hub_publish(a->opts.hub, channel, 0, buf_str(payload));
    metric_add(&published_total, 1);
    buf_fini(payload);
}

void api_main_publish_dashboard(struct api_main *a, const char *source)
{
    struct buf payload = {0};
    char cursor[CURSOR_LEN + 1];
    hub_cursor(a->opts.hub, hub_next_seq(a->opts.hub), cursor);
    message_dashboard(&payload, a->opts.summary, loop_wall_ms(a->opts.loop), source, cursor);
    publish(a, a->dashboard, &payload);
}

static void publish_btc_price(struct api_main *a)
{
    struct buf payload = {0};
    char cursor[CURSOR_LEN + 1];
    hub_cursor(a->opts.hub, hub_next_seq(a->opts.hub), cursor);
    message_btc_price(&payload, a->opts.summary, loop_wall_ms(a->opts.loop), cursor);
    publish(a, a->btc_price, &payload);
}

static void dashboard_due(void *self)
{
    struct api_main *a = self;
    api_main_publish_dashboard(a, "scheduled_update");
    timer_start(a->opts.loop, &a->dashboard_timer,
                loop_now_ms(a->opts.loop) + a->opts.settings->dashboard_ms, dashboard_due, a);
}

static void btc_due(void *self)
{
    struct api_main *a = self;
    publish_btc_price(a);
    timer_start(a->opts.loop, &a->btc_timer,
                loop_now_ms(a->opts.loop) + a->opts.settings->btc_price_ms, btc_due, a);
}

static unsigned known_fields(const struct summary *s)
{
    unsigned known = 0;
    for (unsigned f = 0; f < FIELD_COUNT; f++) {
        known |= s->fields[f].known ? 1U << f : 0U;
    }
    return known;
}

void main_answers_soon(struct api_main *a)
{
    uint64_t soon = loop_now_ms(a->opts.loop) + CHANGED_MS;
    if (timer_active(&a->answers_timer) && a->answers_timer.at_ms > soon) {
        timer_start(a->opts.loop, &a->answers_timer, soon, answers_due, a);
    }
}

void api_main_changed(struct api_main *a)
{
    unsigned known = known_fields(a->opts.summary);
    uint64_t soon = loop_now_ms(a->opts.loop) + CHANGED_MS;
    main_answers_soon(a);
    /* The first value of a field is worth a message of its own: nobody waits 30 s for numbers. */
    if (known & ~a->known) {
        bool price = (known & ~a->known) & (1U << FIELD_BTC_PRICE);
        a->known = known;
        timer_start(a->opts.loop, &a->dashboard_timer, soon, dashboard_due, a);
        if (price) {
            timer_start(a->opts.loop, &a->btc_timer, soon, btc_due, a);
        }
    }
}

void api_main_mode_changed(struct api_main *a)
{
    hub_new_epoch(a->opts.hub);
    a->known = 0;
    markets_again(a);
    api_main_changed(a);
    post_answers(a);
}

/* ---- letters from the shards ---- */

struct mailbox *api_main_mail_of(struct api_main *a, struct api_shard *s)
{
    for (size_t i = 0; i < a->shard_count; i++) {
        if (a->shards[i].shard == s) {
            return a->shards[i].mail;
        }
    }
    return NULL;
}

static void reply_published(struct api_main *a, const struct post *p, struct published *owned)
{
    if (!mailbox_post(api_main_mail_of(a, p->shard), letter_published, p->shard, owned,
                      p->ticket)) {
        log_warn("api", "answer to a publish lost", "reason=\"shard mailbox full\"");
        mem_free(owned);
    }
}

void letter_publish(void *self, void *owned_post, uint64_t number)
{
    struct api_main *a = self;
    struct post *p = owned_post;
    struct published *done = mem_zero(sizeof(*done));
    struct buf payload = {0};
    int64_t now = loop_wall_ms(a->opts.loop);
    char cursor[CURSOR_LEN + 1];
    (void)number;
    for (size_t i = 0; i < p->count; i++) {
        const struct channel_info *channel = NULL;
        if (hub_channel(a->opts.hub, p->items[i].channel, STR("message"), CHANNEL_EVENT,
                        &channel) != OK) {
            done->problem =
                "The server keeps as many channels as it may; publish to an existing one.";
            done->status = 503;
            break;
        }
        buf_clear(&payload);
        hub_cursor(a->opts.hub, hub_next_seq(a->opts.hub), cursor);
        message_custom(&payload, p->items[i].channel, p->items[i].data, now, cursor);
        hub_publish(a->opts.hub, channel, 0, buf_str(&payload));
        done->accepted++;
    }
    metric_add(&published_total, (int64_t)done->accepted);
    hub_cursor(a->opts.hub, hub_next_seq(a->opts.hub) - 1, done->cursor);
    buf_fini(&payload);
    /* First the messages, then the answer: its cursor must not be from a shard's future. */
    hub_flush(a->opts.hub);
    reply_published(a, p, done);
    post_free(p);
}

static void refresh_done(void *self, bool refreshed, const char *reason)
{
    struct waiting *w = self;
    struct api_main *a = w->main;
    char cursor[CURSOR_LEN + 1];
    list_remove(&w->node);
    struct refreshed *r = mem_zero(sizeof(*r));
    r->answers = make_answers(a);
    r->refreshed = refreshed;
    if (!refreshed) {
        hub_cursor(a->opts.hub, hub_next_seq(a->opts.hub) - 1, cursor);
        message_dashboard(&r->message, a->opts.summary, loop_wall_ms(a->opts.loop), "force_update",
                          cursor);
    }
    snprintf(r->reason, sizeof(r->reason), "%s", reason ? reason : "");
    if (!mailbox_post(api_main_mail_of(a, w->shard), letter_refreshed, w->shard, r, w->ticket)) {
        answers_unref(r->answers);
        buf_fini(&r->message);
        mem_free(r);
    }
    mem_free(w);
    if (refreshed && list_empty(&a->waiting)) { /* however many asked, everyone gets one message */
        api_main_publish_dashboard(a, "force_update");
        post_answers(a);
    }
}

void letter_refresh(void *self, void *shard, uint64_t ticket)
{
    struct api_main *a = self;
    struct waiting *w = mem_zero(sizeof(*w));
    *w = (struct waiting){.main = a, .shard = shard, .ticket = ticket};
    list_push(&a->waiting, &w->node);
    if (a->opts.refresh) {
        a->opts.refresh(a->opts.self, refresh_done, w);
    } else {
        refresh_done(w, false, "this server runs without sources");
    }
}

void letter_demand(void *self, void *unused, uint64_t number)
{
    struct api_main *a = self;
    (void)unused;
    (void)number;
    if (a->opts.demand) {
        a->opts.demand(a->opts.self);
    }
}

/* ---- life ---- */

struct sio_memory *api_main_sio_memory(struct api_main *a)
{
    return a->sio;
}

struct api_shard *api_main_shard_at(struct api_main *a, unsigned index, struct mailbox **mail)
{
    if (index >= a->shard_count) {
        return NULL;
    }
    *mail = a->shards[index].mail;
    return a->shards[index].shard;
}

struct api_main *api_main_new(const struct api_main_opts *opts)
{
    struct api_main *a = mem_zero(sizeof(*a));
    a->opts = *opts;
    list_init(&a->waiting);
    list_init(&a->asked);
    if (hub_channel(opts->hub, STR("dashboard_update"), STR("dashboard_update"), CHANNEL_STATE,
                    &a->dashboard) != OK ||
        hub_channel(opts->hub, STR("btc_price_update"), STR("btc_price_update"), CHANNEL_STATE,
                    &a->btc_price) != OK ||
        markets_init(a) != OK) {
        markets_fini(a);
        mem_free(a);
        return NULL;
    }
    a->sio = sio_memory_new(opts->loop, a);
    return a;
}

void api_main_free(struct api_main *a)
{
    if (!a) {
        return;
    }
    timer_stop(a->opts.loop, &a->answers_timer);
    timer_stop(a->opts.loop, &a->dashboard_timer);
    timer_stop(a->opts.loop, &a->btc_timer);
    markets_fini(a);
    sio_memory_free(a->sio);
    for (struct list *node = list_pop(&a->waiting); node; node = list_pop(&a->waiting)) {
        mem_free(containerof(node, struct waiting, node));
    }
    for (struct list *node = list_pop(&a->asked); node; node = list_pop(&a->asked)) {
        ask_free(containerof(node, struct ask, node));
    }
    mem_free(a);
}

void api_main_add_shard(struct api_main *a, struct api_shard *s, struct mailbox *mail)
{
    if (a->shard_count < MAX_SHARDS) {
        a->shards[a->shard_count].shard = s;
        a->shards[a->shard_count].mail = mail;
        a->shard_count++;
        hub_add_shard(a->opts.hub, api_shard_fanout(s), mail);
    }
}

void api_main_set_io(struct api_main *a, const char *io_name)
{
    a->opts.io_name = io_name;
}

void api_main_start(struct api_main *a)
{
    answers_due(a);
    if (a->opts.settings->sources) {
        uint64_t now = loop_now_ms(a->opts.loop);
        timer_start(a->opts.loop, &a->dashboard_timer, now + a->opts.settings->dashboard_ms,
                    dashboard_due, a);
        timer_start(a->opts.loop, &a->btc_timer, now + a->opts.settings->btc_price_ms, btc_due, a);
        markets_start(a);
    }
}
