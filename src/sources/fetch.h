/* fetch: one HTTP GET, behind a function table, so that tests script the answers and libcurl
 * appears in one file only.
 *
 * start() never calls back from inside itself; every start ends in exactly one `done`, unless it
 * was cancelled. A request has 10 s in all and a ceiling for the inflated body. TLS is verified;
 * only http:// and https:// exist; redirects are not followed (an API that moved is an answer worth
 * reading). Certificates and proxies: outward.h. One flight per URL is the caller's part: an end
 * point of the scheduler has one URL and one flight. Main thread. SPDX-License-Identifier: MIT */
#ifndef SOURCES_FETCH_H
#define SOURCES_FETCH_H
#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/str.h"
#include "sources/outward.h"

#define FETCH_TIMEOUT_MS 10000

struct fetch_request {
    struct str url;
    struct str etag; /* sent as If-None-Match; empty: none */
    /* One more header line, "x-cg-demo-api-key: …"; empty: none. */
    struct str header;
    uint32_t max_bytes;
};

/* What came back. Everything is borrowed for the time of the call. */
struct fetch_answer {
    enum err err; /* OK: there is a status; ERR_TIMEOUT, ERR_LIMIT (too large), ERR_TLS, ERR_IO… */
    const char *why; /* when not OK, a sentence without secrets; never NULL */
    int status;      /* 304 is one */
    struct str body;
    /* Values of the headers that matter; empty: absent. */
    struct str etag, retry_after, upstream, date, content_type;
    struct str used_weight; /* X-MBX-USED-WEIGHT-1M */
    uint64_t took_us;
};

typedef void (*fetch_done_fn)(void *self, const struct fetch_answer *answer);

struct fetch;
struct fetch_job;
struct fetch_ops {
    struct fetch_job *(*start)(struct fetch *f, const struct fetch_request *request,
                               fetch_done_fn done, void *self);
    /* `done` will not come. */
    void (*cancel)(struct fetch *f, struct fetch_job *job);
    /* Cancels what is under way. Not from inside a `done`. */
    void (*free)(struct fetch *f);
};
struct fetch {
    const struct fetch_ops *ops;
};

/* The real one, by libcurl on `l`. `outward` outlives it; NULL: the system's certificates, the
 * environment's proxy. */
enum err fetch_curl_new(struct loop *l, const struct outward *outward,
                        struct fetch **out) MUST_CHECK;

/* Why there was no answer, a sentence without secrets (curl's own text may quote the URL) where
 * nothing more exact is known; "" for OK. */
const char *fetch_why(enum err e);
/* The same in a word for recordings ("timeout"; "" for OK), and back (ERR_IO for what is no such
 * word). Errors without a word of their own are "failed". */
const char *fetch_error_word(enum err e);
enum err fetch_error_of_word(struct str word);

/* Retry-After (RFC 9110 10.2.3): seconds or a date; milliseconds from `now_wall_ms`, 0 when it is
 * absent, unreadable, nothing or past. */
uint64_t fetch_retry_after_ms(struct str value, int64_t now_wall_ms);
/* Appends `text` percent-encoded for a query (RFC 3986: all but unreserved characters). */
void fetch_escape(struct buf *out, struct str text);
/* Appends `url` with the values of query parameters that carry keys ("secret", "apikey", "token",
 * "x_cg_demo_api_key", "x_cg_pro_api_key", "key") and with userinfo replaced by "***". */
void fetch_mask_url(struct buf *out, struct str url);

#endif
