/* mailbox: bounded messages from any thread to one loop, with one wake-up a batch.
 *
 * A letter is a function, its argument and one number. Letters of one sender arrive in order. A
 * full mailbox refuses: the sender counts and says what it dropped. The receiver runs letters in
 * the collect phase of a turn. SPDX-License-Identifier: MIT */
#ifndef BASE_MAILBOX_H
#define BASE_MAILBOX_H
#include "base/loop.h"

struct mailbox;
typedef void (*letter_fn)(void *self, void *owned_arg, uint64_t number);

/* A mailbox that is emptied on `l`'s thread. `capacity` letters at most. */
struct mailbox *mailbox_new(struct loop *l, size_t capacity);
/* Letters still inside are not run. Only after all senders have stopped. */
void mailbox_free(struct mailbox *m);
/* Any thread. False: full, nothing was queued and `arg` stays the caller's. */
bool mailbox_post(struct mailbox *m, letter_fn fn, void *self, void *owned_arg,
                  uint64_t number) MUST_CHECK;
/* Runs what waits now instead of at the next collect phase. The receiver's thread; from inside a
 * letter the rest of its batch comes first. */
void mailbox_take(struct mailbox *m);
/* Letters waiting now; refused since the start. */
size_t mailbox_depth(const struct mailbox *m);
uint64_t mailbox_refused(const struct mailbox *m);

#endif
