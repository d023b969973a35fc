/* fetch_curl: libcurl's multi socket interface on our loop: curl says which fds and which time-out
 * it waits for, the loop says when they are ready. The one gate to curl.
 *
 * curl must not be entered again from its own callbacks, so answers are collected in check_done()
 * after the action, and a job that is cancelled from a `done` is safe at any time.
 * SPDX-License-Identifier: MIT */
#include "sources/fetch.h"

#include "base/alloc.h"

#include <assert.h>
#include <curl/curl.h>

struct socket_watch {
    struct list node;
    struct watch watch;
    struct curl_fetch *owner;
};

struct curl_fetch {
    struct fetch base;
    struct loop *loop;
    CURLM *multi;
    struct timer timer;
    struct list jobs, sockets;
    struct defer kick; /* looks for jobs that curl ended inside another call */
};

struct fetch_job {
    struct list node;
    struct curl_fetch *owner;
    CURL *easy;
    struct curl_slist *headers;
    fetch_done_fn done;
    void *self;
    uint32_t max_bytes;
    bool too_large;
    uint64_t began_us;
    struct buf body, etag, retry_after, upstream, date, content_type;
    char error[CURL_ERROR_SIZE];
};

static void job_free(struct fetch_job *job)
{
    struct buf *bufs[] = {&job->body,     &job->etag, &job->retry_after,
                          &job->upstream, &job->date, &job->content_type};
    list_remove(&job->node);
    if (job->easy) {
        curl_multi_remove_handle(job->owner->multi, job->easy);
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

/* curl's own error text may quote the URL; these sentences don't. */
static const char *why_of(enum err e)
{
    switch (e) {
    case OK:
        return "";
    case ERR_LIMIT:
        return "the answer is larger than it may be";
    case ERR_TIMEOUT:
        return "no complete answer within 10 s";
    case ERR_REFUSED:
        return "the connection was refused";
    case ERR_NOT_FOUND:
        return "the host name is not known";
    case ERR_TLS:
        return "the secure connection failed or its certificate is not trusted";
    case ERR_UNSUPPORTED:
        return "the address is not an http:// or https:// one";
    case ERR_CLOSED:
        return "the connection was closed before the answer was complete";
    default:
        return "the transfer failed";
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
        .took_us = loop_exact_us(job->owner->loop) - job->began_us,
    };
    long status = 0;
    curl_easy_getinfo(job->easy, CURLINFO_RESPONSE_CODE, &status);
    a.status = (int)status;
    a.why = why_of(a.err);
    list_remove(&job->node); /* cancel of this job from inside `done` finds it ended */
    job->done(job->self, &a);
    job_free(job);
}

static void check_done(struct curl_fetch *f)
{
    int left = 0;
    for (CURLMsg *msg = curl_multi_info_read(f->multi, &left); msg;
         msg = curl_multi_info_read(f->multi, &left)) {
        if (msg->msg == CURLMSG_DONE) {
            struct fetch_job *job = NULL;
            CURLcode code = msg->data.result;
            curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&job);
            finish(job, code);
        }
    }
}

static void on_kick(void *self)
{
    check_done(self);
}

static void act(struct curl_fetch *f, curl_socket_t fd, int mask)
{
    int running = 0;
    curl_multi_socket_action(f->multi, fd, mask, &running);
    loop_defer(f->loop, &f->kick, on_kick, f);
}

static void on_timer(void *self)
{
    act(self, CURL_SOCKET_TIMEOUT, 0);
}

static int want_timer(CURLM *multi, long wait_ms, void *self)
{
    (void)multi;
    struct curl_fetch *f = self;
    if (wait_ms < 0) {
        timer_stop(f->loop, &f->timer);
    } else {
        timer_start(f->loop, &f->timer, loop_now_ms(f->loop) + (uint64_t)wait_ms, on_timer, f);
    }
    return 0;
}

static void on_ready(void *self, unsigned events)
{
    struct socket_watch *sw = self;
    int mask = (events & WATCH_READ ? CURL_CSELECT_IN : 0) |
               (events & WATCH_WRITE ? CURL_CSELECT_OUT : 0) |
               (events & WATCH_ERROR ? CURL_CSELECT_ERR : 0);
    act(sw->owner, sw->watch.fd, mask);
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *self, void *socket_self)
{
    (void)easy;
    struct curl_fetch *f = self;
    struct socket_watch *sw = socket_self;
    if (what == CURL_POLL_REMOVE) {
        if (sw) {
            curl_multi_assign(f->multi, fd, NULL);
            watch_stop(&sw->watch);
            list_remove(&sw->node);
            mem_free(sw);
        }
        return 0;
    }
    unsigned events =
        (what & CURL_POLL_IN ? WATCH_READ : 0u) | (what & CURL_POLL_OUT ? WATCH_WRITE : 0u);
    if (sw) {
        watch_set(&sw->watch, events);
        return 0;
    }
    sw = mem_zero(sizeof(*sw));
    sw->owner = f;
    if (watch_start(f->loop, &sw->watch, fd, events, on_ready, sw) != OK) {
        mem_free(sw);
        return -1;
    }
    list_push(&f->sockets, &sw->node);
    curl_multi_assign(f->multi, fd, sw);
    return 0;
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

static void set_options(struct fetch_job *job, const char *url)
{
    CURL *e = job->easy;
    curl_easy_setopt(e, CURLOPT_URL, url);
    curl_easy_setopt(e, CURLOPT_PRIVATE, job);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, job->error);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L); /* no waiting for a name that does not resolve */
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)FETCH_TIMEOUT_MS);
    curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(e, CURLOPT_USERAGENT, "coincast");
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
    struct buf url = {0};
    job->owner = f;
    job->done = done;
    job->self = self;
    job->max_bytes = r->max_bytes;
    job->began_us = loop_exact_us(f->loop);
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
    buf_add_str(&url, r->url);
    set_options(job, buf_text(&url)); /* curl copies texts, but for the header list */
    buf_fini(&url);
    curl_multi_add_handle(f->multi, job->easy);
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
    timer_stop(f->loop, &f->timer);
    loop_undefer(&f->kick);
    curl_multi_cleanup(f->multi); /* takes its sockets down through want_socket() */
    list_each (node, &f->sockets) {
        struct socket_watch *sw = containerof(node, struct socket_watch, node);
        watch_stop(&sw->watch);
        mem_free(sw);
    }
    mem_free(f);
}

enum err fetch_curl_new(struct loop *l, struct fetch **out)
{
    static const struct fetch_ops ops = {.start = start, .cancel = cancel, .free = fetch_free};
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return ERR_UNAVAILABLE;
    }
    struct curl_fetch *f = mem_zero(sizeof(*f));
    f->base.ops = &ops;
    f->loop = l;
    list_init(&f->jobs);
    list_init(&f->sockets);
    f->multi = curl_multi_init();
    if (!f->multi) {
        abort(); /* out of memory */
    }
    curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
    curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f);
    curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, want_timer);
    curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, f);
    curl_multi_setopt(f->multi, CURLMOPT_MAX_HOST_CONNECTIONS, 2L);
    *out = &f->base;
    return OK;
}
