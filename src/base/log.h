/* log: one event, one line: time, level, component, message, key=value pairs (or the same as JSON).
 *
 * Goes to stderr. Any thread. Values with spaces, quotes or control bytes are quoted and escaped,
 * so a line can't be forged. Secrets registered with log_add_secret() are masked wherever they
 * appear. Rate: the same (component, message) is written at most 20 times in 10 s per process, then
 * once "suppressed=n" when it calms down. SPDX-License-Identifier: MIT */
#ifndef BASE_LOG_H
#define BASE_LOG_H
#include "base/clock.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* "debug", "info", "warn", "error", each also with ",json" behind. */
enum err log_configure(struct str setting) MUST_CHECK;
/* The text is masked as "***" in all later lines. Ignored when shorter than 4 bytes. */
void log_add_secret(struct str secret);
bool log_enabled(enum log_level level);
/* Where lines take their time from, for virtual time; borrowed until replaced. NULL: the machine.
 */
void log_set_clock(struct clock *c);

/* `message` is fixed text; what varies goes into the pairs: log_info("coingecko", "fetched",
 * "status=%d bytes=%zu", 200, n). The pairs' format writes key=value separated by single spaces; a
 * value that may hold anything is written through %s of log_quote(). */
void log_write(enum log_level level, const char *component, const char *message, const char *fmt,
               ...) PRINTF_LIKE(4, 5);
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)

/* `s` quoted and escaped for a value, in one of eight buffers a thread (256 bytes, cut with "...").
 */
const char *log_quote(struct str s);

#endif
