/* SPDX-License-Identifier: MIT */
#include "base/metrics.h"
#include "sources/feed.h"

#define BY_VENUE(kind, name, help)                                                     \
    {                                                                                  \
        [VENUE_BINANCE] = METRIC_LABELLED(kind, name, help, "provider=\"binance\""),   \
        [VENUE_COINBASE] = METRIC_LABELLED(kind, name, help, "provider=\"coinbase\""), \
        [VENUE_KRAKEN] = METRIC_LABELLED(kind, name, help, "provider=\"kraken\""),     \
    }
static struct metric frames[VENUE_COUNT] = BY_VENUE(
    METRIC_KIND_COUNTER, "coincast_feed_frames_total", "Messages received from an exchange.");
static struct metric ticks[VENUE_COUNT] =
    BY_VENUE(METRIC_KIND_COUNTER, "coincast_feed_ticks_total", "Prices and trades made of them.");
static struct metric ignored[VENUE_COUNT] =
    BY_VENUE(METRIC_KIND_COUNTER, "coincast_feed_ignored_total",
             "Messages that are understood and of no use.");
static struct metric rejected[VENUE_COUNT] =
    BY_VENUE(METRIC_KIND_COUNTER, "coincast_feed_rejected_total",
             "Messages that were not what they should be.");
static struct metric gaps[VENUE_COUNT] =
    BY_VENUE(METRIC_KIND_COUNTER, "coincast_feed_gaps_total", "Holes in trade ids.");
static struct metric repaired[VENUE_COUNT] =
    BY_VENUE(METRIC_KIND_COUNTER, "coincast_feed_repaired_trades_total",
             "Missed trades that were fetched afterwards.");
static struct metric doubled[VENUE_COUNT] =
    BY_VENUE(METRIC_KIND_COUNTER, "coincast_feed_doubled_trades_total",
             "Trades dropped because they came before.");
static struct metric reconnects[VENUE_COUNT] =
    BY_VENUE(METRIC_KIND_COUNTER, "coincast_feed_reconnects_total",
             "Connections that ended and were not meant to.");
static struct metric turnovers[VENUE_COUNT] = BY_VENUE(
    METRIC_KIND_COUNTER, "coincast_feed_turnovers_total", "Connections replaced before their end.");
static struct metric lag[VENUE_COUNT] =
    BY_VENUE(METRIC_KIND_GAUGE, "coincast_feed_lag_ms",
             "Receipt less the exchange's time of the newest message; negative when our clock is "
             "behind.");

void feed_count(struct venue_feed *vf, enum feed_count what)
{
    static struct metric *const counters[FEED_COUNTS] = {
        [FEED_FRAMES] = frames,       [FEED_TICKS] = ticks,
        [FEED_IGNORED] = ignored,     [FEED_REJECTED] = rejected,
        [FEED_GAPS] = gaps,           [FEED_REPAIRED] = repaired,
        [FEED_DOUBLED] = doubled,     [FEED_RECONNECTS] = reconnects,
        [FEED_TURNOVERS] = turnovers,
    };
    uint64_t *const own[FEED_COUNTS] = {
        [FEED_FRAMES] = &vf->frames,       [FEED_TICKS] = &vf->ticks,
        [FEED_IGNORED] = &vf->ignored,     [FEED_REJECTED] = &vf->rejected,
        [FEED_GAPS] = &vf->gaps,           [FEED_REPAIRED] = &vf->repaired,
        [FEED_DOUBLED] = &vf->doubled,     [FEED_RECONNECTS] = &vf->reconnects,
        [FEED_TURNOVERS] = &vf->turnovers,
    };
    ++*own[what];
    metric_add(&counters[what][vf->venue->id], 1);
}

void feed_count_lag(struct venue_feed *vf, int64_t lag_ms)
{
    vf->lag_ms = lag_ms;
    vf->has_lag = true;
    metric_set(&lag[vf->venue->id], lag_ms);
}
