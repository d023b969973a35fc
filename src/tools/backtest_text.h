/* backtest_text: a backtest for people and for programs. SPDX-License-Identifier: MIT */
#ifndef TOOLS_BACKTEST_TEXT_H
#define TOOLS_BACKTEST_TEXT_H
#include "base/json.h"
#include "tools/backtest.h"

/* An object with `name` and `interval`; unknown figures are null. */
void backtest_json(struct json_writer *w, struct str name, const struct series *s,
                   const struct backtest *b);
/* The same as lines. */
void backtest_table(struct buf *out, struct str name, const struct series *s,
                    const struct backtest *b);
/* The sentence that stands under each: no promise, no advice. */
extern const char backtest_caution[];

#endif
