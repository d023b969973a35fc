/* SPDX-License-Identifier: MIT */
#include "sources/source.h"

#include <assert.h>

const struct provider *provider_row(enum provider_id id)
{
    static const struct provider *const rows[PROVIDER_COUNT] = {
        [PROVIDER_COINGECKO] = &coingecko_provider, [PROVIDER_ALTERNATIVE] = &alternative_provider,
        [PROVIDER_TAAPI] = &taapi_provider,         [PROVIDER_BINANCE] = &binance_provider,
        [PROVIDER_COINBASE] = &coinbase_provider,   [PROVIDER_KRAKEN] = &kraken_provider,
    };
    assert(id < PROVIDER_COUNT);
    return rows[id];
}

const struct endpoint *endpoint_row(enum endpoint_id id)
{
    static const struct endpoint *const rows[ENDPOINT_COUNT] = {
        [EP_BINANCE_TICKER] = &binance_ticker,
        [EP_COINBASE_STATS] = &coinbase_stats,
        [EP_KRAKEN_TICKER] = &kraken_ticker,
        [EP_COINGECKO_PRICE] = &coingecko_price,
        [EP_COINGECKO_GLOBAL] = &coingecko_global,
        [EP_ALTERNATIVE_FNG] = &alternative_fng,
        [EP_TAAPI_RSI] = &taapi_rsi,
        [EP_BINANCE_DAILY] = &binance_daily,
        [EP_COINBASE_DAILY] = &coinbase_daily,
        [EP_KRAKEN_DAILY] = &kraken_daily,
        [EP_COINGECKO_MARKETS] = &coingecko_markets,
        [EP_COINGECKO_TRENDING] = &coingecko_trending,
    };
    assert(id < ENDPOINT_COUNT);
    return rows[id];
}
