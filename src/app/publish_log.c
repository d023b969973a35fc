/* SPDX-License-Identifier: MIT */
#include "app/publish_log.h"

#include "base/alloc.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define WRITE_AFTER_MS 100
/* Gathered this much, it is written at once. */
#define GATHER_BYTES ((size_t)256 << 10)

struct publish_log {
    struct hub *hub;
    struct buf gathered;
    int fd;
    int timer_fd; /* real time, which timers of a loop with a virtual clock do not know */
    struct watch timer;
    char reason[160]; /* "" while well */
};

static void write_out(struct publish_log *p)
{
    for (size_t done = 0; done < p->gathered.len && !p->reason[0];) {
        ssize_t n = write(p->fd, p->gathered.ptr + done, p->gathered.len - done);
        if (n >= 0) {
            done += (size_t)n;
        } else if (errno != EINTR) {
            snprintf(p->reason, sizeof(p->reason), "publish log stopped: %s", strerror(errno));
            log_error("publish_log", "stopped", "error=%s", log_quote(str_of(strerror(errno))));
        }
    }
    buf_clear(&p->gathered);
}

static void on_timer(void *self, unsigned events)
{
    struct publish_log *p = self;
    uint64_t count = 0;
    (void)events;
    if (read(p->timer_fd, &count, sizeof(count)) == sizeof(count)) {
        write_out(p);
    }
}

static void arm(struct publish_log *p)
{
    const struct itimerspec in = {.it_value.tv_nsec = WRITE_AFTER_MS * 1000000L};
    if (timerfd_settime(p->timer_fd, 0, &in, NULL) < 0) {
        write_out(p);
    }
}

/* Our own messages without the members `age_s`, which say when a message was made, not what of. */
static void add_ageless(struct buf *out, struct str payload)
{
    const struct str age = STR(",\"age_s\":");
    for (size_t at = str_find_str(payload, age); at != SIZE_MAX; at = str_find_str(payload, age)) {
        size_t end = at + age.len;
        while (end < payload.len && payload.ptr[end] != ',' && payload.ptr[end] != '}') {
            end++;
        }
        buf_add_str(out, str_sub(payload, 0, at));
        payload = str_from(payload, end);
    }
    buf_add_str(out, payload);
}

static void on_message(void *self, const struct frame *f, struct str cursor)
{
    struct publish_log *p = self;
    bool is_first = p->gathered.len == 0;
    if (p->reason[0]) {
        return;
    }
    buf_add_str(&p->gathered, cursor);
    buf_add_char(&p->gathered, ' ');
    buf_add_str(&p->gathered, str_of(f->channel->name));
    buf_add_char(&p->gathered, ' ');
    size_t from = p->gathered.len;
    if (str_starts(str_of(f->channel->name), STR("app:"))) {
        buf_add_str(&p->gathered, frame_payload(f));
    } else {
        add_ageless(&p->gathered, frame_payload(f));
    }
    for (size_t i = from; i < p->gathered.len; i++) {
        char *c = &p->gathered.ptr[i];
        *c = *c == '\n' || *c == '\r' ? ' ' : *c;
    }
    buf_add_char(&p->gathered, '\n');
    if (p->gathered.len >= GATHER_BYTES) {
        write_out(p);
    } else if (is_first) {
        arm(p);
    }
}

enum err publish_log_open(struct loop *l, struct hub *h, const char *path, struct publish_log **out,
                          struct buf *error)
{
    struct publish_log *p = mem_zero(sizeof(*p));
    enum err e = OK;
    p->timer_fd = -1;
    p->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (p->fd < 0) {
        e = err_from_errno(errno);
        buf_printf(error, "cannot write the publish log to %s: %s", path, strerror(errno));
        goto fail;
    }
    p->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    e = p->timer_fd < 0 ? err_from_errno(errno)
                        : watch_start(l, &p->timer, p->timer_fd, WATCH_READ, on_timer, p);
    if (e != OK) {
        buf_printf(error, "cannot write the publish log: no timer (%s)", err_text(e));
        goto fail;
    }
    p->hub = h;
    hub_tap(h, on_message, p);
    *out = p;
    return OK;
fail:
    publish_log_close(p);
    return e;
}

void publish_log_close(struct publish_log *p)
{
    if (!p) {
        return;
    }
    if (p->hub) {
        hub_tap(p->hub, NULL, NULL);
        write_out(p);
    }
    watch_stop(&p->timer);
    if (p->timer_fd >= 0) {
        close(p->timer_fd);
    }
    if (p->fd >= 0) {
        close(p->fd);
    }
    buf_fini(&p->gathered);
    mem_free(p);
}

bool publish_log_healthy(const struct publish_log *p, const char **reason)
{
    *reason = p ? p->reason : "";
    return !p || !p->reason[0];
}
