/* The whole market out of its quotes. SPDX-License-Identifier: MIT */
#include "market/market.h"
#include "market/sentiment.h"

#include <math.h>

#define UNCHANGED_PCT SENTIMENT_UNCHANGED_PCT

bool market_is_pegged(const char *symbol)
{
    static const char *const pegged[] = {
        "USDT", "USDC", "DAI",  "FDUSD", "TUSD", "USDP", "USDE", "PYUSD",
        "BUSD", "GUSD", "USDD", "FRAX",  "LUSD", "USDS", "USD1", "RLUSD",
    };
    for (size_t i = 0; i < ARRAY_LEN(pegged); i++) {
        if (strcmp(symbol, pegged[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Keeps the list sorted, the greatest first; of equals the one with the lower id. */
static void rank(struct market_mover *list, size_t *count, struct market_mover m, double sign)
{
    size_t at = *count;
    while (at > 0 && m.change_24h_pct * sign > list[at - 1].change_24h_pct * sign) {
        at--;
    }
    if (at == MARKET_MOVERS) {
        return;
    }
    *count += *count < MARKET_MOVERS;
    memmove(&list[at + 1], &list[at], (*count - 1 - at) * sizeof(*list));
    list[at] = m;
}

static void add_change(struct market_totals *t, uint32_t symbol, double change)
{
    struct market_mover m = {.symbol = symbol, .change_24h_pct = change};
    t->unchanged += fabs(change) < UNCHANGED_PCT;
    t->advancers += change >= UNCHANGED_PCT;
    t->decliners += change <= -UNCHANGED_PCT;
    if (change > 0) {
        rank(t->gainers, &t->gainer_count, m, 1);
    } else if (change < 0) {
        rank(t->losers, &t->loser_count, m, -1);
    }
}

void market_totals(const struct market *m, struct market_totals *out)
{
    *out = (struct market_totals){.volume_24h_usd = NAN};
    for (uint32_t id = 0; id < market_count(m); id++) {
        const struct quote *q = market_quote(m, id);
        if (market_is_pegged(market_symbol(m, id))) {
            continue;
        }
        out->symbols++;
        out->known += q->known;
        if (!q->known || q->stale) {
            continue;
        }
        out->fresh++;
        if (!isnan(q->volume_24h_usd)) {
            out->volume_24h_usd =
                (isnan(out->volume_24h_usd) ? 0 : out->volume_24h_usd) + q->volume_24h_usd;
        }
        if (!isnan(q->change_24h_pct)) {
            add_change(out, id, q->change_24h_pct);
        }
    }
}
