/* SPDX-License-Identifier: MIT */
#include "sources/budget_db.h"

static void counter_add(void *self, struct str name, int64_t delta, budget_done_fn done, void *arg)
{
    db_counter_add(self, name, delta, done, arg);
}

static void counter_get(void *self, struct str name, budget_done_fn done, void *arg)
{
    db_counter_get(self, name, done, arg);
}

static void text_put(void *self, struct str key, struct str value, budget_done_fn done, void *arg)
{
    db_value_put(self, key, value, done, arg);
}

static void text_get(void *self, struct str key, budget_text_fn done, void *arg)
{
    db_value_get(self, key, done, arg);
}

struct budget_store budget_store_db(struct db *d)
{
    return (struct budget_store){d, counter_add, counter_get, text_put, text_get};
}
