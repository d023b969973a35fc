/* options: all settings of the server as one struct and one table of rows.
 * SPDX-License-Identifier: MIT */
#ifndef APP_OPTIONS_H
#define APP_OPTIONS_H
#include "base/conf.h"
#include "market/market.h"
#include "sources/outward.h"
#include "sources/source.h"

enum source_kind { SOURCE_LIVE, SOURCE_DEMO, SOURCE_AUTO, SOURCE_NONE, SOURCE_REPLAY };

struct options {
    char *listen;
    int64_t shards;
    int io; /* enum io_kind */
    char *data_dir;
    char *source; /* live, demo, auto, none, replay:FILE */
    char *speed;  /* of a replay: a number, or max */
    char *symbols;
    int profile;       /* enum sources_profile */
    char *record;      /* file */
    char *publish_log; /* file */
    char *redis_url;
    char *taapi_secret, *coingecko_key;
    char *url[PROVIDER_COUNT];
    char *ws_url[MARKET_VENUES];
    int64_t per_minute[PROVIDER_COUNT], per_month[PROVIDER_COUNT];
    int64_t price_ttl_ms, summary_ttl_ms;
    char *api_token;
    char *origins;
    char *tls_cert, *tls_key;
    struct outward outward;
    int64_t drain_ms;
    int64_t seed;
    bool limit_loopback;
    bool trusted_proxy;
    int64_t max_conns, max_conns_per_ip, requests_per_s, commands_per_s, max_subscriptions;
    int64_t max_pending, max_body, max_message;
    int64_t ping_interval_ms, ping_timeout_ms;
    bool deflate;
    int64_t history_count, history_bytes, history_ms;
    char *log;
    char *fixtures;
};

extern const struct conf_row option_rows[];
extern const size_t option_count;
/* Variables of the family that mean nothing to the server: conf_inputs.foreign. */
extern const char *const option_foreign[];

/* What a source setting says; false when it is none of those. `file` (may be NULL) gets what is
 * behind "replay:". */
bool source_parse(struct str text, enum source_kind *out, struct str *file);
/* "max" is 0. ERR_SYNTAX: neither that nor a number above 0. */
enum err speed_parse(struct str text, double *out) MUST_CHECK;

#endif
