/* SPDX-License-Identifier: MIT */
#include "market/candles.h"

#include <assert.h>

static const struct {
    const char *name;
    int64_t ms;
} rows[INTERVALS] = {
    [INTERVAL_1M] = {"1m", 60000},    [INTERVAL_5M] = {"5m", 300000},
    [INTERVAL_15M] = {"15m", 900000}, [INTERVAL_1H] = {"1h", 3600000},
    [INTERVAL_4H] = {"4h", 14400000}, [INTERVAL_1D] = {"1d", 86400000},
};

const char *interval_name(enum interval i)
{
    assert(i < INTERVALS);
    return rows[i].name;
}

int64_t interval_ms(enum interval i)
{
    assert(i < INTERVALS);
    return rows[i].ms;
}

enum interval interval_of(struct str name)
{
    for (unsigned i = 0; i < INTERVALS; i++) {
        if (str_eq(name, str_of(rows[i].name))) {
            return (enum interval)i;
        }
    }
    return INTERVALS;
}
