/* thread: starting and joining one, with all signals left to the main thread.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H
#include "base/err.h"

struct thread;
/* `name` is shown by the system's tools, at most 15 bytes. */
enum err thread_start(const char *name, void (*fn)(void *self), void *self, struct thread **out)
    __attribute__((warn_unused_result));
/* Waits for its end and frees it. NULL is fine. */
void thread_join(struct thread *t);

#endif
