/* judge: what an HTTP answer is worth, by its status and its body; and what is kept of a good one
 * for the day the provider answers "not modified". Pure. SPDX-License-Identifier: MIT */
#ifndef SOURCES_JUDGE_H
#define SOURCES_JUDGE_H
#include "sources/fetch.h"
#include "sources/read.h"
#include "sources/source.h"

/* The last good answer of an end point. Zeroed: none. */
struct saved_reading {
    struct buf etag;
    struct buf body; /* kept only when there is an ETag to ask with */
};
void saved_clear(struct saved_reading *saved);
/* To ask with; empty when there is nothing to fall back on. */
struct str saved_etag(const struct saved_reading *saved);

/* OK with `out` filled, or the kind of failure as parse_fn has them, with a sentence in `why`. A
 * 304 is the saved answer again. Keeps a good answer in `saved`. */
enum err judge_answer(const struct endpoint *row, const struct fetch_answer *a,
                      struct saved_reading *saved, struct reading *out, struct buf *why);
/* Base URL and path, with the secret in its place. */
void endpoint_url(const struct endpoint *row, struct str base, struct str secret, struct buf *out);

#endif
