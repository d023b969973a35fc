/* load_report: the result of a load test as one JSON object on a line, or as lines for people.
 * SPDX-License-Identifier: MIT */
#ifndef TOOLS_LOAD_REPORT_H
#define TOOLS_LOAD_REPORT_H
#include "tools/load.h"

/* Numbers that were not measured are null in JSON and left out of the text. */
void load_report_json(const struct load_opts *opts, const struct load_result *r, struct buf *out);
void load_report_text(const struct load_opts *opts, const struct load_result *r, struct buf *out);

#endif
