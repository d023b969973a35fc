/* recorded: an HTTP answer as an item of a recording, and back. Main thread.
 * SPDX-License-Identifier: MIT */
#ifndef SOURCES_RECORDED_H
#define SOURCES_RECORDED_H
#include "sources/fetch.h"
#include "sources/recorder.h"

/* Records what came of a request, a failure too: `url` as it was asked (its secrets are masked
 * here), `purpose` as struct record has it. No recorder (NULL): nothing. */
void recorded_write(struct recorder *r, const struct clock *clock, const char *source,
                    struct str url, struct str purpose, const struct fetch_answer *a);
/* The answer again; its texts live as long as the item's, `why` until the next call. False: the
 * item is no answer. */
bool recorded_read(const struct record *item, struct fetch_answer *out);

#endif
