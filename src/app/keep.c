/* SPDX-License-Identifier: MIT */
#include "app/keep.h"

#include "base/clock.h"
#include "base/json.h"

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
    return summary_apply(s, &r, now_ms) == OK;
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
