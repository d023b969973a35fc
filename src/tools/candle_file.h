/* candle_file: a candle file of the command line as a series, or one line that says why not.
 * SPDX-License-Identifier: MIT */
#ifndef TOOLS_CANDLE_FILE_H
#define TOOLS_CANDLE_FILE_H
#include "market/series.h"

#define CANDLE_FILE_MAX ((size_t)512 << 20)

/* Reads `path` whole. A row that is no candle fails it (ERR_SYNTAX, the line in `error`): figures
 * over a file with holes punched by errors would look as good as others. Order, doubles and missing
 * candles do not; they are in the series' notes. */
enum err candle_file_read(const char *path, struct series *out, struct buf *error) MUST_CHECK;
/* The name without folders and ".csv". */
struct str candle_file_name(const char *path);

#endif
