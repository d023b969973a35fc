/* SPDX-License-Identifier: MIT */
#include "store/migrate.h"

#include "base/base.h"

#include <assert.h>

static const struct migration steps[] = {
    {"counters and named texts",
     "CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
     "CREATE TABLE texts (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;"},
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
