/* tape_files: the items of several files, one after the other as if they were one; gzip or plain,
 * each of its own form (wire/tape.h). Reads block; at most one piece and one line are in memory.
 * SPDX-License-Identifier: MIT */
#ifndef WIRE_TAPE_FILES_H
#define WIRE_TAPE_FILES_H
#include "wire/tape.h"

#define TAPE_FILES_MAX 64

struct tape_files;
/* `paths`: names separated by commas (so a name has none), copied. All must be there and readable;
 * else, or with none or too many, `error` says which. */
enum err tape_files_open(struct str paths, struct tape_files **out, struct buf *error) MUST_CHECK;
void tape_files_free(struct tape_files *f);
/* OK: an item; its slices live until the next call. ERR_NOT_FOUND: that was all. Anything else: a
 * line or the rest of a file is left out, tape_files_complaint() says why; call again. */
enum err tape_files_next(struct tape_files *f, struct tape_item *out) MUST_CHECK;
/* "FILE line 12: it is not a JSON object"; lives until the next call of tape_files_next(). */
struct str tape_files_complaint(const struct tape_files *f);
/* How often there was one, over all files. */
uint64_t tape_files_left_out(const struct tape_files *f);

#endif
