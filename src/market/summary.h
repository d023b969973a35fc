/* summary: the six dashboard numbers, each with where it came from, how old it is and whether it
 * can be trusted. A field that fails keeps its last good value and is marked stale with the reason.
 *
 * Pure state: no clock, no I/O; times are arguments (Unix milliseconds). Belongs to the main
 * thread. Rows, sources and stale times are those of the table in contracts 3.
 * SPDX-License-Identifier: MIT */
#ifndef MARKET_SUMMARY_H
#define MARKET_SUMMARY_H
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum summary_field {
    FIELD_BTC_PRICE,
    FIELD_BTC_CHANGE_24H,
    FIELD_MARKET_CAP,
    FIELD_VOLUME_24H,
    FIELD_FEAR_GREED,
    FIELD_RSI_14,
    FIELD_COUNT,
};

/* Where data comes from; said in every message. Order matters: replay and demo never turn live. */
enum market_mode { MODE_LIVE, MODE_DEMO, MODE_REPLAY };
const char *market_mode_text(enum market_mode m);

/* "btc_price", ... as on the wire. */
const char *summary_field_name(enum summary_field f);
/* How long a value of the field counts as fresh, milliseconds. */
int64_t summary_stale_after_ms(enum summary_field f);

#define SUMMARY_REASON_LEN 160
#define SUMMARY_PROVIDER_LEN 32
struct summary_value {
    bool known;
    double value;     /* USD, percent, index or RSI as the field's unit is; finite */
    int64_t as_of_ms; /* the provider's own time where it gives one, else receipt */
    int64_t received_ms;
    char provider[SUMMARY_PROVIDER_LEN]; /* "binance", "coingecko", ... */
    char method[24]; /* "ticker_24h", "global", "computed", ...; "" when there is nothing to say */
    int closes;      /* of a computed RSI; 0 else */
    bool failed;     /* the last fetch for it failed or was implausible */
    char reason[SUMMARY_REASON_LEN]; /* why stale or unknown, a sentence for people; "" when well */
};

struct summary {
    enum market_mode mode;
    struct summary_value fields[FIELD_COUNT];
    int64_t last_updated_ms; /* newest received_ms of all fields; 0: nothing known yet */
    uint64_t version;        /* rises with every change of a value or of a mark */
    uint64_t rejected;       /* implausible values so far */
    /* private */
    struct {
        double value;
        int64_t at_ms;
        char provider[SUMMARY_PROVIDER_LEN];
    } suspects[FIELD_COUNT];
};

/* All unknown, each with the reason "not fetched yet". */
void summary_init(struct summary *s, enum market_mode mode);
/* Forgets all values (a change of mode must not mix data). */
void summary_set_mode(struct summary *s, enum market_mode mode);

struct summary_report {
    enum summary_field field;
    double value;
    int64_t as_of_ms;
    const char *provider;
    const char *method; /* may be NULL */
    int closes;
};
/* Takes a value. ERR_RANGE: implausible (<= 0 where that can't be, not finite, outside the field's
 * range, or more than 50 % from the last good value within a minute unless a second source agrees);
 * the last good value stays and is marked with the reason. */
enum err summary_apply(struct summary *s, const struct summary_report *r, int64_t now_ms);
/* A fetch for the field failed: keeps the value, marks it. */
void summary_fail(struct summary *s, enum summary_field f, const char *reason);
/* Stale now: unknown, failed, or older than its row allows. */
bool summary_is_stale(const struct summary *s, enum summary_field f, int64_t now_ms);
/* Every field has been known once. */
bool summary_complete(const struct summary *s);

#endif
