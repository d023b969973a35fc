/* summary: a value is taken or refused here and nowhere else, so that no source can put nonsense on
 * a screen. The jump rule (contracts 3) knows one suspect a field: the refused value that waits for
 * a second opinion.
 *
 *   report ──in range?──no──> refused
 *      │yes
 *      ├─ no jump, or the last good value is older than a minute ──> taken, suspect forgotten
 *      └─ jump ── another source said so lately, or this one says so still after a minute ──> taken
 *              └─ else refused, becomes the suspect
 * SPDX-License-Identifier: MIT */
#include "market/summary.h"

#include <assert.h>
#include <math.h>

#define MINUTE_MS ((int64_t)60 * 1000)
#define HOUR_MS (60 * MINUTE_MS)
#define JUMP_SHARE 0.5       /* of the last good value */
#define AGREEMENT_SHARE 0.05 /* of the suspect */
/* A second opinion counts this long: two rounds of the slowest fail-over. */
#define SUSPECT_LIFE_MS (3 * MINUTE_MS)

struct field_row {
    const char *name;
    int64_t stale_after_ms;
    double above, below; /* exclusive bounds of what can be */
    bool jumps;          /* the 50 % rule makes sense for it */
};

/* An index or a percentage may double within a minute of nothing; an amount may not. */
static const struct field_row rows[FIELD_COUNT] = {
    [FIELD_BTC_PRICE] = {"btc_price", 60 * 1000, 0, 1e12, true},
    [FIELD_BTC_CHANGE_24H] = {"btc_change_24h", 60 * 1000, -100, 10000, false},
    [FIELD_MARKET_CAP] = {"market_cap", 30 * MINUTE_MS, 0, 1e18, true},
    [FIELD_VOLUME_24H] = {"volume_24h", 30 * MINUTE_MS, 0, 1e18, true},
    [FIELD_FEAR_GREED] = {"fear_greed_index", 26 * HOUR_MS, -0.5, 100.5, false},
    [FIELD_RSI_14] = {"rsi_14", 26 * HOUR_MS, -1e-9, 100 + 1e-9, false},
};

const char *market_mode_text(enum market_mode m)
{
    switch (m) {
    case MODE_LIVE:
        return "live";
    case MODE_DEMO:
        return "demo";
    case MODE_REPLAY:
        return "replay";
    }
    return "live";
}

const char *summary_field_name(enum summary_field f)
{
    assert(f < FIELD_COUNT);
    return rows[f].name;
}

int64_t summary_stale_after_ms(enum summary_field f)
{
    assert(f < FIELD_COUNT);
    return rows[f].stale_after_ms;
}

static void set_text(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text ? text : "");
}

void summary_init(struct summary *s, enum market_mode mode)
{
    *s = (struct summary){.mode = mode};
    for (int f = 0; f < FIELD_COUNT; f++) {
        set_text(s->fields[f].reason, SUMMARY_REASON_LEN, "not fetched yet");
    }
}

void summary_set_mode(struct summary *s, enum market_mode mode)
{
    uint64_t version = s->version, rejected = s->rejected;
    summary_init(s, mode);
    s->version = version + 1;
    s->rejected = rejected;
}

static bool near(double a, double b, double share)
{
    return fabs(a - b) <= share * fabs(b);
}

/* Whether a jump is to be believed: a second source agrees with the suspect, or the same source
 * still says so after a minute. */
static bool confirmed(const struct summary *s, const struct summary_report *r, int64_t now_ms)
{
    const double value = s->suspects[r->field].value;
    const char *provider = s->suspects[r->field].provider;
    int64_t waited_ms = now_ms - s->suspects[r->field].at_ms;
    if (!provider[0] || waited_ms > SUSPECT_LIFE_MS || !near(r->value, value, AGREEMENT_SHARE)) {
        return false;
    }
    return strcmp(provider, r->provider) != 0 || waited_ms >= MINUTE_MS;
}

/* Remembers the refused value; one that repeats keeps the time it was first seen. */
static void suspect(struct summary *s, const struct summary_report *r, int64_t now_ms)
{
    bool repeats = strcmp(s->suspects[r->field].provider, r->provider) == 0 &&
                   near(r->value, s->suspects[r->field].value, AGREEMENT_SHARE) &&
                   now_ms - s->suspects[r->field].at_ms <= SUSPECT_LIFE_MS;
    if (!repeats) {
        s->suspects[r->field].value = r->value;
        s->suspects[r->field].at_ms = now_ms;
        set_text(s->suspects[r->field].provider, SUMMARY_PROVIDER_LEN, r->provider);
    }
}

static enum err refuse(struct summary *s, const struct summary_report *r, const char *what)
{
    char reason[SUMMARY_REASON_LEN];
    snprintf(reason, sizeof(reason), "%s said %g: %s", r->provider, r->value, what);
    s->rejected++;
    s->version++;
    s->fields[r->field].failed = true;
    set_text(s->fields[r->field].reason, SUMMARY_REASON_LEN, reason);
    return ERR_RANGE;
}

enum err summary_apply(struct summary *s, const struct summary_report *r, int64_t now_ms)
{
    assert(r->field < FIELD_COUNT && r->provider);
    const struct field_row *row = &rows[r->field];
    struct summary_value *v = &s->fields[r->field];
    if (!isfinite(r->value) || r->value <= row->above || r->value >= row->below) {
        return refuse(s, r, "that cannot be");
    }
    bool jump = row->jumps && v->known && now_ms - v->received_ms <= MINUTE_MS &&
                !near(r->value, v->value, JUMP_SHARE);
    if (jump && !confirmed(s, r, now_ms)) {
        suspect(s, r, now_ms);
        return refuse(s, r, "more than 50 % off within a minute, and no second source agrees");
    }
    s->suspects[r->field].provider[0] = '\0';
    *v = (struct summary_value){
        .known = true,
        .value = r->value,
        .as_of_ms = r->as_of_ms,
        .received_ms = now_ms,
        .closes = r->closes,
    };
    set_text(v->provider, sizeof(v->provider), r->provider);
    set_text(v->method, sizeof(v->method), r->method);
    s->last_updated_ms = now_ms > s->last_updated_ms ? now_ms : s->last_updated_ms;
    s->version++;
    return OK;
}

void summary_fail(struct summary *s, enum summary_field f, const char *reason)
{
    assert(f < FIELD_COUNT);
    struct summary_value *v = &s->fields[f];
    if (v->failed && strncmp(v->reason, reason, SUMMARY_REASON_LEN - 1) == 0) {
        return;
    }
    v->failed = true;
    set_text(v->reason, SUMMARY_REASON_LEN, reason);
    s->version++;
}

bool summary_is_stale(const struct summary *s, enum summary_field f, int64_t now_ms)
{
    assert(f < FIELD_COUNT);
    const struct summary_value *v = &s->fields[f];
    /* A provider's clock may run ahead of ours: what we got long ago is old whatever it says. */
    int64_t since_ms = v->as_of_ms < v->received_ms ? v->as_of_ms : v->received_ms;
    return !v->known || v->failed || now_ms - since_ms > rows[f].stale_after_ms;
}

bool summary_complete(const struct summary *s)
{
    for (int f = 0; f < FIELD_COUNT; f++) {
        if (!s->fields[f].known) {
            return false;
        }
    }
    return true;
}
