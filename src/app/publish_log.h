/* publish_log: appends every published message to a file, one line each:
 *
 *     <cursor> <channel> <payload>\n
 *
 * in the order in which the hub counted them. Our own messages are written without ages (`age_s`);
 * of what others publish nothing is left out. Line breaks between the tokens of a payload (what
 * others publish keeps its bytes) become blanks, so that a message is one line. Two replays of the
 * same files write the same bytes; close it when the replay ends, for time is real from then on.
 *
 * Lines are written 100 ms of real time after the first of them at the latest, whatever the loop's
 * clock does. When the disk refuses, it stops, loudly; nothing else does. Main thread.
 * SPDX-License-Identifier: MIT */
#ifndef APP_PUBLISH_LOG_H
#define APP_PUBLISH_LOG_H
#include "base/loop.h"
#include "hub/hub.h"

struct publish_log;
/* Appends to `path`, made when missing (readable by the owner only), and taps the hub. On failure
 * `error` says what and why. Blocks: call at start. */
enum err publish_log_open(struct loop *l, struct hub *h, const char *path, struct publish_log **out,
                          struct buf *error) MUST_CHECK;
/* Writes what is gathered and leaves the hub; before both of them go. NULL is fine. */
void publish_log_close(struct publish_log *p);
/* False when the disk refused; `reason` says why. NULL is well. */
bool publish_log_healthy(const struct publish_log *p, const char **reason);

#endif
