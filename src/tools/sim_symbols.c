/* The coins of the simulated market: real ones by name, and 500 that nobody could take for real.
 * SPDX-License-Identifier: MIT */
#include "tools/simulator.h"

#include <assert.h>

/* A generated coin by its three digits: its price runs over seven orders of magnitude, its market
 * value falls with its number. */
#define NUMBER(h, t, o) ((h)*100 + (t)*10 + (o))
#define UNIT(n) ((n) % 3 == 0 ? 1.0 : (n) % 3 == 1 ? 1e2 : 1e4)
#define PRICE(n) ((1 + (n)*613 % 997) / UNIT(n))
#define COIN(h, t, o)                                                                            \
    {                                                                                            \
        "S" #h #t #o, "simulated-" #h #t #o, "Simulated " #h #t #o, "S" #h #t #o "USD",          \
            (NUMBER(h, t, o) % 3 == 0   ? 3                                                      \
             : NUMBER(h, t, o) % 3 == 1 ? 5                                                      \
                                        : 7),                                                    \
            PRICE(NUMBER(h, t, o)), 2e9 / (1 + NUMBER(h, t, o)) / PRICE(NUMBER(h, t, o)), 0,     \
            0.8 + NUMBER(h, t, o) * 37 % 100 / 100.0, 0.02 + NUMBER(h, t, o) * 53 % 30 / 1000.0, \
            0.03 + NUMBER(h, t, o) % 7 / 100.0                                                   \
    }
#define COINS_10(h, t)                                                                        \
    COIN(h, t, 0), COIN(h, t, 1), COIN(h, t, 2), COIN(h, t, 3), COIN(h, t, 4), COIN(h, t, 5), \
        COIN(h, t, 6), COIN(h, t, 7), COIN(h, t, 8), COIN(h, t, 9)
#define COINS_100(h)                                                                \
    COINS_10(h, 0), COINS_10(h, 1), COINS_10(h, 2), COINS_10(h, 3), COINS_10(h, 4), \
        COINS_10(h, 5), COINS_10(h, 6), COINS_10(h, 7), COINS_10(h, 8), COINS_10(h, 9)

/* Rounded market facts of 2026; only their order of magnitude matters. */
static const struct sim_symbol symbols[SIM_SYMBOLS] = {
    {"BTC", "bitcoin", "Bitcoin", "XXBTZUSD", 2, 68000, 19.98e6, 21e6, 1.00, 0.004, 0.024},
    {"ETH", "ethereum", "Ethereum", "XETHZUSD", 2, 2300, 120.7e6, 0, 1.20, 0.012, 0.055},
    {"USDT", "tether", "Tether", "USDTZUSD", 4, 1, 185e9, 0, 0, 0.00012, 0.40},
    {"BNB", "binancecoin", "BNB", "BNBUSD", 2, 640, 139e6, 200e6, 0.85, 0.011, 0.016},
    {"XRP", "ripple", "XRP", "XXRPZUSD", 4, 1.45, 59.8e9, 100e9, 1.15, 0.018, 0.030},
    {"USDC", "usd-coin", "USDC", "USDCUSD", 4, 1, 75e9, 0, 0, 0.00008, 0.15},
    {"SOL", "solana", "Solana", "SOLUSD", 2, 92, 560e6, 0, 1.45, 0.019, 0.050},
    {"TRX", "tron", "TRON", "TRXUSD", 4, 0.29, 94.7e9, 0, 0.45, 0.013, 0.022},
    {"DOGE", "dogecoin", "Dogecoin", "XDGUSD", 5, 0.105, 151e9, 0, 1.40, 0.024, 0.065},
    {"ADA", "cardano", "Cardano", "ADAUSD", 4, 0.29, 36.6e9, 45e9, 1.30, 0.020, 0.040},
    {"BCH", "bitcoin-cash", "Bitcoin Cash", "BCHUSD", 1, 470, 19.96e6, 21e6, 0.95, 0.021, 0.040},
    {"LINK", "chainlink", "Chainlink", "LINKUSD", 3, 9.5, 708e6, 1e9, 1.35, 0.021, 0.055},
    {"XLM", "stellar", "Stellar", "XXLMZUSD", 4, 0.168, 32.4e9, 50e9, 1.15, 0.021, 0.030},
    {"LTC", "litecoin", "Litecoin", "XLTCZUSD", 2, 57, 76.7e6, 84e6, 1.00, 0.019, 0.070},
    {"AVAX", "avalanche-2", "Avalanche", "AVAXUSD", 2, 9.6, 432e6, 720e6, 1.45, 0.022, 0.060},
    {"SUI", "sui", "Sui", "SUIUSD", 4, 1.02, 3.9e9, 10e9, 1.55, 0.027, 0.110},
    {"HBAR", "hedera-hashgraph", "Hedera", "HBARUSD", 5, 0.092, 42.9e9, 50e9, 1.30, 0.025, 0.050},
    {"TON", "the-open-network", "Toncoin", "TONUSD", 3, 1.31, 2.45e9, 0, 0.95, 0.021, 0.030},
    {"SHIB", "shiba-inu", "Shiba Inu", "SHIBUSD", 8, 0.0000061, 589e12, 0, 1.35, 0.024, 0.040},
    {"DOT", "polkadot", "Polkadot", "DOTUSD", 3, 1.52, 1.66e9, 2.1e9, 1.35, 0.022, 0.070},
    {"UNI", "uniswap", "Uniswap", "UNIUSD", 3, 3.7, 634e6, 1e9, 1.40, 0.026, 0.080},
    {"NEAR", "near", "NEAR Protocol", "NEARUSD", 3, 1.35, 1.28e9, 0, 1.45, 0.026, 0.100},
    {"AAVE", "aave", "Aave", "AAVEUSD", 2, 112, 15.2e6, 16e6, 1.40, 0.025, 0.120},
    {"POL", "polygon-ecosystem-token", "POL (ex-MATIC)", "POLUSD", 4, 0.098, 10.6e9, 0, 1.35, 0.026,
     0.080},
    {"ATOM", "cosmos", "Cosmos Hub", "ATOMUSD", 3, 1.85, 490e6, 0, 1.25, 0.023, 0.060},
    COINS_100(0),
    COINS_100(1),
    COINS_100(2),
    COINS_100(3),
    COINS_100(4),
};

size_t sim_symbol_count(void)
{
    return SIM_SYMBOLS;
}

const struct sim_symbol *sim_symbol_at(size_t index)
{
    assert(index < SIM_SYMBOLS);
    return &symbols[index];
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

size_t sim_find_symbol(struct str symbol)
{
    if (symbol.len == 4 && (symbol.ptr[0] == 'S' || symbol.ptr[0] == 's') &&
        is_digit(symbol.ptr[1]) && is_digit(symbol.ptr[2]) && is_digit(symbol.ptr[3])) {
        size_t number = (size_t)(symbol.ptr[1] - '0') * 100 + (size_t)(symbol.ptr[2] - '0') * 10 +
                        (size_t)(symbol.ptr[3] - '0');
        return SIM_NAMED + number < SIM_SYMBOLS ? SIM_NAMED + number : SIZE_MAX;
    }
    for (size_t i = 0; i < SIM_NAMED; i++) {
        if (str_eq_nocase(symbol, str_of(symbols[i].symbol))) {
            return i;
        }
    }
    return SIZE_MAX;
}

size_t sim_find_id(struct str id)
{
    for (size_t i = 0; i < SIM_SYMBOLS; i++) {
        if (str_eq_nocase(id, str_of(symbols[i].id))) {
            return i;
        }
    }
    return SIZE_MAX;
}
