/* fetch_curl: HTTP GETs by libcurl on our loop (curl_loop.h). A job that is cancelled from a `done`
 * is safe at any time. SPDX-License-Identifier: MIT */
#include "sources/fetch.h"

#include "base/alloc.h"
#include "sources/curl_dial.h"
#include "wire/http1.h"

struct curl_fetch {
    struct fetch base;
    struct curl_loop curl;
    const struct outward *outward;
    struct list jobs;
};

struct fetch_job {
    struct list node;
    struct curl_fetch *owner;
    CURL *easy;
    struct curl_slist *headers;
    fetch_done_fn done;
    void *self;
    uint32_t max_bytes;
    bool too_large, proxied;
    uint64_t began_us;
    struct buf body, etag, retry_after, upstream, date, content_type, used_weight;
};

static void job_free(struct fetch_job *job)
{
    struct buf *bufs[] = {&job->body, &job->etag,         &job->retry_after, &job->upstream,
                          &job->date, &job->content_type, &job->used_weight};
    list_remove(&job->node);
    if (job->easy) {
        curl_multi_remove_handle(job->owner->curl.multi, job->easy);
        curl_easy_cleanup(job->easy);
    }
    curl_slist_free_all(job->headers);
    for (size_t i = 0; i < ARRAY_LEN(bufs); i++) {
        buf_fini(bufs[i]);
    }
    mem_free(job);
}

static enum err err_of(const struct fetch_job *job, CURLcode code)
{
    if (job->too_large) {
        return ERR_LIMIT;
    }
    switch (code) {
    case CURLE_OK:
        return OK;
    case CURLE_OPERATION_TIMEDOUT:
        return ERR_TIMEOUT;
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
        return ERR_REFUSED;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return ERR_NOT_FOUND;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return ERR_TLS;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        return ERR_UNSUPPORTED;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        return ERR_CLOSED;
    default:
        return ERR_IO;
    }
}

static void finish(struct fetch_job *job, CURLcode code)
{
    struct fetch_answer a = {
        .err = err_of(job, code),
        .body = buf_str(&job->body),
        .etag = buf_str(&job->etag),
        .retry_after = buf_str(&job->retry_after),
        .upstream = buf_str(&job->upstream),
        .date = buf_str(&job->date),
        .content_type = buf_str(&job->content_type),
        .used_weight = buf_str(&job->used_weight),
        .took_us = loop_exact_us(job->owner->curl.loop) - job->began_us,
    };
    long status = 0;
    char room[128];
    curl_easy_getinfo(job->easy, CURLINFO_RESPONSE_CODE, &status);
    a.status = (int)status;
    a.why = curl_dial_why(job->easy, job->too_large ? CURLE_OK : code, job->proxied, room,
                          sizeof(room));
    if (!a.why[0]) {
        a.why = job->proxied && a.err == ERR_TIMEOUT
                    ? "no complete answer by way of the proxy within 10 s"
                    : fetch_why(a.err);
    }
    list_remove(&job->node); /* cancel of this job from inside `done` finds it ended */
    job->done(job->self, &a);
    job_free(job);
}

static void on_done(void *self, CURL *easy, CURLcode code)
{
    (void)self;
    struct fetch_job *job = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&job);
    finish(job, code);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *self)
{
    struct fetch_job *job = self;
    size_t len = size * count;
    if (len > job->max_bytes - job->body.len) {
        job->too_large = true;
        return 0; /* ends the transfer */
    }
    buf_add(&job->body, bytes, len);
    return len;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *self)
{
    struct fetch_job *job = self;
    struct str line = str_make(bytes, size * count);
    const struct {
        struct str name;
        struct buf *value;
    } wanted[] = {
        {STR("etag"), &job->etag},
        {STR("retry-after"), &job->retry_after},
        {STR("x-coincast-upstream"), &job->upstream},
        {STR("date"), &job->date},
        {STR("content-type"), &job->content_type},
        {STR("x-mbx-used-weight-1m"), &job->used_weight},
    };
    while (line.len > 0 && (line.ptr[line.len - 1] == '\r' || line.ptr[line.len - 1] == '\n')) {
        line.len--;
    }
    size_t colon = str_find(line, ':', 0);
    if (colon == SIZE_MAX) {
        return size * count;
    }
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        if (str_eq_nocase(str_sub(line, 0, colon), wanted[i].name)) {
            buf_clear(wanted[i].value);
            buf_add_str(wanted[i].value, str_trim(str_from(line, colon + 1)));
        }
    }
    return size * count;
}

static void add_header(struct fetch_job *job, const char *name, struct str value)
{
    struct buf line = {0};
    /* A line break in a value would be a header of its own. */
    for (size_t i = 0; i < value.len; i++) {
        if ((unsigned char)value.ptr[i] < 0x20) {
            return;
        }
    }
    buf_printf(&line, "%s%.*s", name, STR_ARG(value));
    struct curl_slist *longer = curl_slist_append(job->headers, buf_text(&line));
    job->headers = longer ? longer : job->headers;
    buf_fini(&line);
}

static void set_options(struct fetch_job *job, struct str url)
{
    CURL *e = job->easy;
    struct buf text = {0};
    struct http_url parts = {0};
    if (http_parse_url(url, &parts) != OK) {
        parts = (struct http_url){0}; /* curl says what it thinks of it */
    }
    job->proxied = curl_dial_set(e, job->owner->outward, parts.scheme, parts.host);
    buf_add_str(&text, url);
    curl_easy_setopt(e, CURLOPT_URL, buf_text(&text)); /* copied, as all texts but header lists */
    buf_fini(&text);
    curl_easy_setopt(e, CURLOPT_PRIVATE, job);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)FETCH_TIMEOUT_MS);
    curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, job->headers);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, job);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, job);
}

static struct fetch_job *start(struct fetch *base, const struct fetch_request *r,
                               fetch_done_fn done, void *self)
{
    struct curl_fetch *f = containerof(base, struct curl_fetch, base);
    struct fetch_job *job = mem_zero(sizeof(*job));
    job->owner = f;
    job->done = done;
    job->self = self;
    job->max_bytes = r->max_bytes;
    job->began_us = loop_exact_us(f->curl.loop);
    list_push(&f->jobs, &job->node);
    job->easy = curl_easy_init();
    if (!job->easy) {
        abort(); /* out of memory */
    }
    add_header(job, "Accept: ", STR("application/json"));
    if (r->etag.len > 0) {
        add_header(job, "If-None-Match: ", r->etag);
    }
    if (r->header.len > 0) {
        add_header(job, "", r->header);
    }
    set_options(job, r->url);
    curl_multi_add_handle(f->curl.multi, job->easy);
    return job;
}

static void cancel(struct fetch *base, struct fetch_job *job)
{
    (void)base;
    if (list_linked(&job->node)) {
        job_free(job);
    }
}

static void fetch_free(struct fetch *base)
{
    struct curl_fetch *f = containerof(base, struct curl_fetch, base);
    list_each (node, &f->jobs) {
        job_free(containerof(node, struct fetch_job, node));
    }
    curl_loop_fini(&f->curl);
    mem_free(f);
}

enum err fetch_curl_new(struct loop *l, const struct outward *outward, struct fetch **out)
{
    static const struct fetch_ops ops = {.start = start, .cancel = cancel, .free = fetch_free};
    struct curl_fetch *f = mem_zero(sizeof(*f));
    enum err e = curl_loop_init(&f->curl, l, on_done, f);
    if (e != OK) {
        mem_free(f);
        return e;
    }
    f->base.ops = &ops;
    f->outward = outward;
    list_init(&f->jobs);
    curl_multi_setopt(f->curl.multi, CURLMOPT_MAX_HOST_CONNECTIONS, 2L);
    *out = &f->base;
    return OK;
}
