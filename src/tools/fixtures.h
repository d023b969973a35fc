/* fixtures: a folder of recorded HTTP answers, NAME.json or NAME.json.gz with NAME.meta.json, read
 * once and whole. Bodies, and the header lines that mean something, are kept as recorded; nothing
 * is made up, values keep their own times. SPDX-License-Identifier: MIT */
#ifndef TOOLS_FIXTURES_H
#define TOOLS_FIXTURES_H
#include "tools/answer.h"

struct fixture;
struct fixtures;

/* Reads all recordings in `folder` and the folders in it. On failure `error` gets the sentence. */
enum err fixtures_open(const char *folder, struct fixtures **out, struct buf *error) MUST_CHECK;
void fixtures_free(struct fixtures *f);
size_t fixtures_count(const struct fixtures *f);

/* One recording from memory; for tests. ERR_SYNTAX: the description is not one. Copies both. */
enum err fixtures_add(struct fixtures *f, struct str name, struct str meta,
                      struct str body) MUST_CHECK;
struct fixtures *fixtures_new(void);

/* The recording that answers a request best: of the same path (a part like {id} stands for any),
 * the most equal query parameters, then answers before errors, then what was recorded before what
 * is an example of a documentation, then the fewest parameters of its own, then by name. NULL: none
 * has the path. */
const struct fixture *fixtures_choose(const struct fixtures *f, struct str path, struct str query);
struct str fixture_name(const struct fixture *f);
/* Writes it; 304 when the asker has the recorded ETag. */
void fixture_answer(const struct fixture *f, struct str if_none_match, struct answer *a);

#endif
