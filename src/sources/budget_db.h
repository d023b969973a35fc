/* budget_db: budgets' counts in the database. SPDX-License-Identifier: MIT */
#ifndef SOURCES_BUDGET_DB_H
#define SOURCES_BUDGET_DB_H
#include "sources/budget.h"
#include "store/db.h"

/* The store of `d`, which it borrows. */
struct budget_store budget_store_db(struct db *d);

#endif
