/* SPDX-License-Identifier: MIT */
#include "sources/count.h"

#include "base/metrics.h"

#define BY_PROVIDER(kind, name, help)                                                              \
    {                                                                                              \
        [PROVIDER_COINGECKO] = METRIC_LABELLED(kind, name, help, "provider=\"coingecko\""),        \
        [PROVIDER_ALTERNATIVE] = METRIC_LABELLED(kind, name, help, "provider=\"alternative.me\""), \
        [PROVIDER_TAAPI] = METRIC_LABELLED(kind, name, help, "provider=\"taapi\""),                \
        [PROVIDER_BINANCE] = METRIC_LABELLED(kind, name, help, "provider=\"binance\""),            \
        [PROVIDER_COINBASE] = METRIC_LABELLED(kind, name, help, "provider=\"coinbase\""),          \
        [PROVIDER_KRAKEN] = METRIC_LABELLED(kind, name, help, "provider=\"kraken\""),              \
    }

static struct metric fetches_ok[PROVIDER_COUNT] =
    BY_PROVIDER(METRIC_KIND_COUNTER, "coincast_source_fetches_ok_total",
                "Requests to a provider that were answered well.");
static struct metric fetches_failed[PROVIDER_COUNT] =
    BY_PROVIDER(METRIC_KIND_COUNTER, "coincast_source_fetches_failed_total",
                "Requests to a provider that failed.");
static struct metric rejected[PROVIDER_COUNT] = BY_PROVIDER(
    METRIC_KIND_COUNTER, "coincast_source_rejected_values_total", "Values refused as implausible.");
static struct metric in_a_row[PROVIDER_COUNT] = BY_PROVIDER(
    METRIC_KIND_GAUGE, "coincast_source_consecutive_failures", "Failures of a provider in a row.");
static struct metric shut_now[PROVIDER_COUNT] =
    BY_PROVIDER(METRIC_KIND_GAUGE, "coincast_source_breaker_open",
                "1 while a provider is not asked after failures.");
static struct metric seconds =
    METRIC_HISTOGRAM("coincast_source_fetch_seconds", "Time from a request to its answer.", 1e-6);

void count_fetch(enum provider_id id, bool well, uint64_t took_us)
{
    metric_add(well ? &fetches_ok[id] : &fetches_failed[id], 1);
    metric_observe(&seconds, took_us);
}

void count_rejected(enum provider_id id)
{
    metric_add(&rejected[id], 1);
}

void count_host(enum provider_id id, uint32_t failures, bool shut)
{
    metric_set(&in_a_row[id], failures);
    metric_set(&shut_now[id], shut ? 1 : 0);
}
