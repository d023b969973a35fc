/* check_text: what `coincast check` prints, line by line. Pure. SPDX-License-Identifier: MIT */
#ifndef APP_CHECK_TEXT_H
#define APP_CHECK_TEXT_H
#include "base/conf.h"
#include "sources/source.h"

enum check_mark { CHECK_OK, CHECK_FAIL, CHECK_SKIP };

/* "ok   binance        btc_price 91234.5 (84 ms)"; a `took_ms` below 0 is left out. */
void check_text_line(enum check_mark mark, const char *name, struct str detail, int64_t took_ms,
                     struct buf *out);
/* A line a setting: name, origin, value; `all`: also those that are at their default. Gives how
 * many. */
size_t check_text_settings(const struct conf *c, const struct conf_row *rows, size_t count,
                           const void *settings, bool all, struct buf *out);
/* "btc_price 91234.5, btc_change_24h -1.2": what an answer said, rounded for people; of candles how
 * many. */
void check_text_reading(const struct reading *r, struct buf *out);

#endif
