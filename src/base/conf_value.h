/* conf_value: one setting's text, checked against its row. Pure: nothing is read but the arguments.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_CONF_VALUE_H
#define BASE_CONF_VALUE_H
#include "base/conf.h"

/* `raw` as the row's type takes it: CONF_LIST loses its blanks, the others are as they came.
 * Appends the accepted text to `text` and puts a number, truth or choice into `*number`. False:
 * `why` holds what would be right ("must be ..."). An empty `raw` is an unset text or list, and
 * wrong otherwise. */
bool conf_value_read(const struct conf_row *row, struct str raw, struct buf *text, int64_t *number,
                     struct buf *why) MUST_CHECK;
/* What the row takes, for people: "a whole number from 1 to 64", "auto, uring or epoll". */
void conf_value_describe(const struct conf_row *row, struct buf *out);
/* The part of "a|b|c" at `index`; empty beyond the last. */
struct str conf_value_choice(const char *choices, int64_t index);
/* The flag of a row, "listen" of COINCAST_LISTEN; empty when it has none (secrets). */
void conf_value_flag(const struct conf_row *row, struct buf *out);

#endif
