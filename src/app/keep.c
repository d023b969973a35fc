/* SPDX-License-Identifier: MIT */
#include "app/keep.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

struct str keep_prefix(enum market_mode mode)
{
    switch (mode) {
    case MODE_LIVE:
        break;
    case MODE_DEMO:
        return STR("coincast:demo:");
    case MODE_REPLAY:
        return STR("coincast:replay:");
    }
    return (struct str){0};
}

static bool restore_field(struct summary *s, enum summary_field f, const struct json *root,
                          int64_t now_ms)
{
    const char *name = summary_field_name(f);
    const struct json *source = json_get(json_get(root, "sources"), name);
    struct str provider, as_of;
    struct str method = {0};
    double value = 0;
    int64_t as_of_ms = 0;
    int64_t closes = 0;
    char names[2][SUMMARY_PROVIDER_LEN];
    if (s->fields[f].known || !json_get_double(json_get(root, name), &value) ||
        !json_get_str(json_get(source, "provider"), &provider) ||
        !json_get_str(json_get(source, "as_of"), &as_of) ||
        clock_parse_rfc3339(as_of, &as_of_ms) != OK || as_of_ms > now_ms) {
        return false;
    }
    (void)json_get_str(json_get(source, "method"), &method);
    (void)json_get_i64(json_get(source, "closes"), &closes);
    snprintf(names[0], sizeof(names[0]), "%.*s", STR_ARG(provider));
    snprintf(names[1], sizeof(names[1]), "%.*s", STR_ARG(method));
    struct summary_report r = {.field = f,
                               .value = value,
                               .as_of_ms = as_of_ms,
                               .provider = names[0],
                               .method = method.len ? names[1] : NULL,
                               .closes = (int)closes};
    /* It was received then, not now; and what failed since then has failed. */
    struct summary_value before = s->fields[f];
    if (summary_apply(s, &r, as_of_ms) != OK) {
        return false;
    }
    if (before.failed) {
        summary_fail(s, f, before.reason);
    }
    return true;
}

int keep_restore(struct summary *s, struct str kept, int64_t now_ms)
{
    struct json *root = NULL;
    struct str mode;
    int count = 0;
    if (json_parse(kept, &root, NULL) != OK) {
        return 0;
    }
    if (json_get_str(json_get(root, "mode"), &mode) &&
        str_eq(mode, str_of(market_mode_text(s->mode)))) {
        for (int f = 0; f < FIELD_COUNT; f++) {
            count += restore_field(s, (enum summary_field)f, root, now_ms);
        }
    }
    json_free(root);
    return count;
}

/* ---- when ---- */

static void ask(void *self);

static void end_restoring(struct keep *k)
{
    k->restoring = false;
    timer_stop(k->loop, &k->timer);
    if (k->held.len) {
        cache_put(k->cache, KEEP_KEY, buf_str(&k->held), KEEP_L1_MS, KEEP_L2_MS);
    }
    buf_fini(&k->held);
}

static void answered(void *self, enum err e, struct str kept)
{
    struct keep *k = self;
    uint64_t now_ms = loop_now_ms(k->loop);
    k->asking = false;
    if (k->stopped) {
        return;
    }
    bool later = k->again;
    k->again = false;
    if (e == ERR_UNAVAILABLE) {
        later = !summary_complete(k->summary) && now_ms < k->until_ms;
    }
    if (later) {
        timer_start(k->loop, &k->timer, now_ms + KEEP_ASK_MS, ask, k);
        return;
    }
    int n = e == OK ? keep_restore(k->summary, kept, loop_wall_ms(k->loop)) : 0;
    end_restoring(k);
    if (n) {
        log_info("keep", "numbers kept from before", "fields=%d", n);
        k->restored(k->self);
    }
}

static void ask(void *self)
{
    struct keep *k = self;
    k->asking = true;
    cache_get(k->cache, KEEP_KEY, answered, k);
}

static void begin(struct keep *k)
{
    cache_set_prefix(k->cache, keep_prefix(k->summary->mode));
    buf_fini(&k->held);
    k->restoring = true;
    k->until_ms = loop_now_ms(k->loop) + KEEP_PATIENCE_MS;
    if (k->asking) {
        k->again = true;
    } else {
        ask(k);
    }
}

void keep_start(struct keep *k, struct loop *loop, struct cache *cache, struct summary *summary,
                void (*restored)(void *self), void *self)
{
    *k = (struct keep){
        .loop = loop, .cache = cache, .summary = summary, .restored = restored, .self = self};
    begin(k);
}

void keep_put(struct keep *k, struct str summary)
{
    if (!k->cache) {
        return;
    }
    if (k->restoring) {
        buf_clear(&k->held);
        buf_add_str(&k->held, summary);
    } else {
        cache_put(k->cache, KEEP_KEY, summary, KEEP_L1_MS, KEEP_L2_MS);
    }
}

void keep_mode_changed(struct keep *k)
{
    if (k->cache) {
        begin(k);
    }
}

void keep_stop(struct keep *k)
{
    k->stopped = true;
    if (k->loop) {
        timer_stop(k->loop, &k->timer);
    }
    buf_fini(&k->held);
}
