/* SPDX-License-Identifier: MIT */
#include "tools/control.h"

#include "base/alloc.h"
#include "tools/answer.h"

#define MAX_TARGETS 64
#define MAX_LATENCY_MS 600000

static const struct provider_name {
    const char *name;
    enum provider provider;
} providers[] = {
    {"coingecko", PROVIDER_COINGECKO}, {"alternative", PROVIDER_ALTERNATIVE},
    {"taapi", PROVIDER_TAAPI},         {"binance", PROVIDER_BINANCE},
    {"coinbase", PROVIDER_COINBASE},   {"kraken", PROVIDER_KRAKEN},
};

static const struct fault_name {
    const char *name;
    enum fault fault;
} faults[] = {
    {"none", FAULT_NONE},     {"latency", FAULT_LATENCY},   {"429", FAULT_429},
    {"5xx", FAULT_5XX},       {"garbage", FAULT_GARBAGE},   {"half", FAULT_HALF},
    {"cut", FAULT_CUT},       {"silence", FAULT_SILENCE},   {"drop", FAULT_CUT},
    {"stall", FAULT_SILENCE}, {"skip", FAULT_SKIP},         {"double", FAULT_DOUBLE},
    {"skew", FAULT_SKEW},     {"shutdown", FAULT_SHUTDOWN}, {"refuse", FAULT_REFUSE},
};
#define MAX_SKEW_MS 86400000

struct control {
    struct fault_setting points[MAX_TARGETS];
    struct fault_setting of_provider[ARRAY_LEN(providers)];
    struct fault_setting of_all;
    uint64_t asked[MAX_TARGETS], hurt[MAX_TARGETS];
    uint64_t unknown; /* requests for paths nobody has */
};

const char *fault_text(enum fault f)
{
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        if (faults[i].fault == f) {
            return faults[i].name;
        }
    }
    return "none";
}

struct control *control_new(void)
{
    return mem_zero(sizeof(struct control));
}

void control_free(struct control *c)
{
    mem_free(c);
}

/* ---- setting ---- */

/* Names are told apart without case, and "coins_markets" is "coins/markets". */
static bool same_name(struct str a, struct str b)
{
    bool same = a.len == b.len;
    for (size_t i = 0; same && i < a.len; i++) {
        char x = a.ptr[i] == '_' ? '/' : a.ptr[i], y = b.ptr[i] == '_' ? '/' : b.ptr[i];
        same = str_eq_nocase(str_make(&x, 1), str_make(&y, 1));
    }
    return same;
}

/* Where that target's setting stands; NULL: there is no such target. */
static struct fault_setting *find(struct control *c, struct str target)
{
    if (str_eq(target, STR("*"))) {
        return &c->of_all;
    }
    for (size_t i = 0; i < ARRAY_LEN(providers); i++) {
        if (same_name(target, str_of(providers[i].name))) {
            return &c->of_provider[i];
        }
    }
    for (size_t i = 0; i < answer_target_count() && i < MAX_TARGETS; i++) {
        if (same_name(target, str_of(answer_target_name(i)))) {
            return &c->points[i];
        }
    }
    return NULL;
}

static bool is_ws(const struct control *c, const struct fault_setting *place)
{
    for (size_t i = 0; i < answer_target_count() && i < MAX_TARGETS; i++) {
        if (place == &c->points[i]) {
            return answer_target_is_ws(i);
        }
    }
    return false;
}

static void list_targets(struct buf *error)
{
    buf_add_lit(error, "target must be *, a provider (");
    for (size_t i = 0; i < ARRAY_LEN(providers); i++) {
        buf_printf(error, "%s%s", i ? ", " : "", providers[i].name);
    }
    buf_add_lit(error, ") or one of: ");
    for (size_t i = 0; i < answer_target_count(); i++) {
        buf_printf(error, "%s%s", i ? ", " : "", answer_target_name(i));
    }
}

/* A whole number within bounds, when it is there. */
static bool read_number(const struct json *v, int64_t min, int64_t max, int64_t *out)
{
    int64_t value;
    if (json_kind(v) == JSON_NULL) {
        return true;
    }
    if (!json_get_i64(v, &value) || value < min || value > max) {
        return false;
    }
    *out = value;
    return true;
}

static bool is_of_ws(const char *name)
{
    static const char *const of_ws[] = {"drop", "stall",    "skip",  "double",
                                        "skew", "shutdown", "refuse"};
    for (size_t i = 0; i < ARRAY_LEN(of_ws); i++) {
        if (strcmp(name, of_ws[i]) == 0) {
            return true;
        }
    }
    return false;
}

static enum err read_setting(const struct json *root, bool is_ws, struct fault_setting *s,
                             struct buf *error)
{
    struct str name;
    size_t i = 0;
    if (!json_get_str(json_get(root, "fault"), &name)) {
        name = STR("");
    }
    while (i < ARRAY_LEN(faults) && !str_eq(name, str_of(faults[i].name))) {
        i++;
    }
    if (i == ARRAY_LEN(faults) || (is_of_ws(faults[i].name) && !is_ws)) {
        buf_add_lit(error, "fault must be latency, 429, 5xx, garbage, half, cut, silence or none, "
                           "and of a WebSocket (binance/ws) also drop, stall, skip, double, skew, "
                           "shutdown or refuse");
        return ERR_RANGE;
    }
    *s = (struct fault_setting){.fault = faults[i].fault, .value = -1, .times = -1};
    bool is_status = s->fault == FAULT_5XX;
    if (s->fault == FAULT_SKEW) {
        if (!json_get_i64(json_get(root, "value"), &s->value) || s->value < -MAX_SKEW_MS ||
            s->value > MAX_SKEW_MS) {
            buf_add_lit(error, "skew needs value, in milliseconds, a day at most");
            return ERR_RANGE;
        }
    } else if (!read_number(json_get(root, "value"), is_status ? 500 : 0,
                            is_status ? 599 : MAX_LATENCY_MS, &s->value)) {
        buf_add_str(error, is_status ? STR("value must be a status from 500 to 599")
                                     : STR("value must be a whole number from 0 to 600000"));
        return ERR_RANGE;
    }
    if (s->fault == FAULT_LATENCY && s->value < 0) {
        buf_add_lit(error, "latency needs value, in milliseconds");
        return ERR_RANGE;
    }
    if (!read_number(json_get(root, "times"), 0, INT64_MAX, &s->times)) {
        buf_add_lit(error, "times must be a whole number; without it the fault stays");
        return ERR_RANGE;
    }
    if (s->times == 0) {
        s->fault = FAULT_NONE;
    }
    return OK;
}

enum err control_set(struct control *c, struct str json, struct buf *error)
{
    struct json *root = NULL;
    char why[JSON_ERROR_LEN] = "";
    struct str target = STR("");
    struct fault_setting setting;
    enum err e = json_parse(json, &root, why);
    if (e != OK || json_kind(root) != JSON_OBJECT) {
        buf_printf(error, "expected a JSON object {target, fault, value, times}%s%s",
                   why[0] ? ": " : "", why);
        json_free(root);
        return ERR_SYNTAX;
    }
    (void)json_get_str(json_get(root, "target"), &target);
    struct fault_setting *place = find(c, target);
    if (!place) {
        list_targets(error);
        e = ERR_RANGE;
    } else {
        e = read_setting(root, is_ws(c, place), &setting, error);
    }
    if (e == OK) {
        *place = setting;
    }
    json_free(root);
    return e;
}

/* ---- using ---- */

static bool take(struct fault_setting *s, struct fault_setting *out)
{
    if (s->fault == FAULT_NONE) {
        return false;
    }
    *out = *s;
    if (s->times > 0 && --s->times == 0) {
        s->fault = FAULT_NONE;
    }
    return true;
}

struct fault_setting control_take(struct control *c, size_t target)
{
    struct fault_setting out = {.fault = FAULT_NONE, .value = -1, .times = -1};
    if (target >= answer_target_count() || target >= MAX_TARGETS) {
        c->unknown++;
        (void)take(&c->of_all, &out);
        return out;
    }
    c->asked[target]++;
    bool taken = take(&c->points[target], &out);
    for (size_t i = 0; !taken && i < ARRAY_LEN(providers); i++) {
        taken = providers[i].provider == answer_target_provider(target) &&
                take(&c->of_provider[i], &out);
    }
    if (taken || take(&c->of_all, &out)) {
        c->hurt[target]++;
    }
    return out;
}

/* Where the setting stands that counts for an end point; NULL: nothing is set. */
static struct fault_setting *standing(struct control *c, size_t target)
{
    if (c->points[target].fault != FAULT_NONE) {
        return &c->points[target];
    }
    for (size_t i = 0; i < ARRAY_LEN(providers); i++) {
        if (providers[i].provider == answer_target_provider(target) &&
            c->of_provider[i].fault != FAULT_NONE) {
            return &c->of_provider[i];
        }
    }
    return c->of_all.fault != FAULT_NONE ? &c->of_all : NULL;
}

struct fault_setting control_peek(struct control *c, size_t target)
{
    const struct fault_setting *s = standing(c, target);
    return s ? *s : (struct fault_setting){.fault = FAULT_NONE, .value = -1, .times = -1};
}

void control_use(struct control *c, size_t target)
{
    struct fault_setting *s = standing(c, target), taken;
    if (s && take(s, &taken)) {
        c->hurt[target]++;
    }
}

void control_count(struct control *c, size_t target)
{
    c->asked[target]++;
}

/* ---- showing ---- */

static void write_setting(struct json_writer *w, const char *target, const struct fault_setting *s)
{
    if (s->fault == FAULT_NONE) {
        return;
    }
    json_object(w);
    json_key(w, "target");
    json_text(w, target);
    json_key(w, "fault");
    json_text(w, fault_text(s->fault));
    json_key(w, "value");
    if (s->value < 0 && s->fault != FAULT_SKEW) {
        json_null(w);
    } else {
        json_i64(w, s->value);
    }
    json_key(w, "times");
    if (s->times < 0) {
        json_null(w);
    } else {
        json_i64(w, s->times);
    }
    json_object_end(w);
}

void control_write(const struct control *c, bool recorded, struct buf *out)
{
    struct json_writer w;
    json_begin(&w, out);
    json_object(&w);
    json_key(&w, "answers");
    json_text(&w, recorded ? "recorded" : "simulated");
    json_key(&w, "faults");
    json_array(&w);
    write_setting(&w, "*", &c->of_all);
    for (size_t i = 0; i < ARRAY_LEN(providers); i++) {
        write_setting(&w, providers[i].name, &c->of_provider[i]);
    }
    for (size_t i = 0; i < answer_target_count(); i++) {
        write_setting(&w, answer_target_name(i), &c->points[i]);
    }
    json_array_end(&w);
    json_key(&w, "requests");
    json_object(&w);
    for (size_t i = 0; i < answer_target_count(); i++) {
        json_key(&w, answer_target_name(i));
        json_i64(&w, (int64_t)c->asked[i]);
    }
    json_key(&w, "unknown");
    json_i64(&w, (int64_t)c->unknown);
    json_object_end(&w);
    json_key(&w, "misbehaved");
    json_object(&w);
    for (size_t i = 0; i < answer_target_count(); i++) {
        if (c->hurt[i]) {
            json_key(&w, answer_target_name(i));
            json_i64(&w, (int64_t)c->hurt[i]);
        }
    }
    json_object_end(&w);
    json_object_end(&w);
}
