/* recorder: appends what arrives from upstream to a file, as docs/RECORDING.md describes it.
 *
 * Items are gathered during a turn and written at its end, whole lines at a time, so that kill -9
 * leaves at most one cut line, the last. A file that ends in a cut line (from an earlier run) has
 * it removed when it is opened. When the disk refuses, recording stops, loudly; nothing else does.
 * Main thread. SPDX-License-Identifier: MIT */
#ifndef SOURCES_RECORDER_H
#define SOURCES_RECORDER_H
#include "base/loop.h"
#include "wire/record.h"

struct recorder;

/* Appends to `path`; makes it when missing (readable by the owner only). A file that holds
 * something else is refused and left alone. On failure `error` says what and why. Blocks: call at
 * start. */
enum err recorder_open(struct loop *l, const char *path, struct recorder **out,
                       struct buf *error) MUST_CHECK;
/* Writes what is gathered. */
void recorder_close(struct recorder *r);
/* NULL is fine and records nothing. `item->url` must be masked already. An item whose line no
 * reader would take (TAPE_LINE_MAX) is left out, and said. */
void recorder_add(struct recorder *r, const struct record *item);
/* False when the disk refused; `reason` says why. */
bool recorder_healthy(const struct recorder *r, const char **reason);
/* Items and bytes written since the start. */
uint64_t recorder_items(const struct recorder *r);

#endif
