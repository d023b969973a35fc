/* curl_dial: what all outgoing connections have in common, whatever is spoken on them: certificates
 * are verified and names checked, the proxy is chosen (outward.h), and what went wrong is said in
 * words that name it and hold no secret. Main thread. SPDX-License-Identifier: MIT */
#ifndef SOURCES_CURL_DIAL_H
#define SOURCES_CURL_DIAL_H
#include "base/err.h"
#include "sources/curl_loop.h"
#include "sources/outward.h"

/* Sets the options; `o` NULL: the system's certificates, the environment's proxy. Gives whether a
 * proxy is between. `host` without brackets. */
bool curl_dial_set(CURL *easy, const struct outward *o, struct str scheme, struct str host);
/* A handle that ended before anything came over it: a sentence, "" for none of dialling. Borrowed
 * from a static or from `room`. */
const char *curl_dial_why(CURL *easy, CURLcode code, bool proxied, char *room, size_t room_len);

#endif
