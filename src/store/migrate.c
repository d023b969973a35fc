/* SPDX-License-Identifier: MIT */
#include "store/migrate.h"

#include "base/base.h"

#include <assert.h>

static const struct migration steps[] = {
    {"counters and named texts",
     "CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
     "CREATE TABLE texts (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;"},
    {"candles",
     "CREATE TABLE candles (interval TEXT NOT NULL, symbol TEXT NOT NULL, open_ms INTEGER NOT NULL,"
     " venue TEXT NOT NULL, open TEXT NOT NULL, high TEXT NOT NULL, low TEXT NOT NULL,"
     " close TEXT NOT NULL, volume TEXT NOT NULL, quote_volume REAL, taker_buy REAL,"
     " trades INTEGER NOT NULL, flags INTEGER NOT NULL,"
     " PRIMARY KEY (interval, symbol, open_ms)) STRICT, WITHOUT ROWID;"},
};

int migrate_version(void)
{
    return (int)ARRAY_LEN(steps);
}

const struct migration *migrate_step(int version)
{
    assert(version >= 1 && version <= migrate_version());
    return &steps[version - 1];
}
