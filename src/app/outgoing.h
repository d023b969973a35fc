/* outgoing: the settings of connections to providers and exchanges, looked at before the first is
 * made, and told to people without the proxy's user and password. SPDX-License-Identifier: MIT */
#ifndef APP_OUTGOING_H
#define APP_OUTGOING_H
#include "app/options.h"
#include "base/err.h"

/* Reads COINCAST_CA_FILE; `error` gets the sentence. Keeps what proxies' URLs hold of users and
 * passwords out of the log from now on. */
enum err outgoing_check(const struct options *o, struct buf *error) MUST_CHECK;
/* Appends which certificates are trusted, and which proxy is between and where that comes from. */
void outgoing_text(const struct options *o, struct buf *out);
/* A line in the log when something is between, or other certificates are trusted. */
void outgoing_log(const struct options *o);

#endif
