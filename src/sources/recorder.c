/* SPDX-License-Identifier: MIT */
#include "sources/recorder.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/metrics.h"
#include "wire/tape.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Gathered this much in one turn, it is written at once. */
#define GATHER_BYTES ((size_t)1 << 20)

static struct metric items_total =
    METRIC_COUNTER("coincast_recorded_items_total", "Upstream items written to the recording.");

struct recorder {
    struct loop *loop;
    struct defer flush;
    struct buf gathered;
    uint64_t gathered_items, items;
    int fd;
    char reason[160]; /* "" while well */
};

/* Length of the file up to and with its last newline. */
static off_t whole_length(int fd, off_t size)
{
    char block[4096];
    while (size > 0) {
        size_t len = min_size((size_t)size, sizeof(block));
        ssize_t got = pread(fd, block, len, size - (off_t)len);
        if (got != (ssize_t)len) {
            return -1;
        }
        for (size_t i = len; i-- > 0;) {
            if (block[i] == '\n') {
                return size - (off_t)len + (off_t)i + 1;
            }
        }
        size -= (off_t)len;
    }
    return 0;
}

/* Removes a cut line at the end. ERR_SYNTAX: the file holds something else than a recording, which
 * is left alone. */
static enum err cut_tail(int fd, const char *path)
{
    static const char head[] = "{\"v\":";
    char begin[sizeof(head) - 1];
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return ERR_IO;
    }
    if (!S_ISREG(st.st_mode) || st.st_size == 0) {
        return OK; /* a pipe or device has no tail */
    }
    ssize_t got = pread(fd, begin, sizeof(begin), 0);
    if (got < 0 || memcmp(begin, head, (size_t)got) != 0) {
        return got < 0 ? ERR_IO : ERR_SYNTAX;
    }
    off_t whole = whole_length(fd, st.st_size);
    if (whole < 0) {
        return ERR_IO;
    }
    if (whole < st.st_size) {
        log_warn("recorder", "removed a cut line at the end", "file=%s bytes=%lld",
                 log_quote(str_of(path)), (long long)(st.st_size - whole));
        return ftruncate(fd, whole) == 0 ? OK : ERR_IO;
    }
    return OK;
}

enum err recorder_open(struct loop *l, const char *path, struct recorder **out, struct buf *error)
{
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    enum err e = fd < 0 ? err_from_errno(errno) : cut_tail(fd, path);
    if (e != OK) {
        buf_printf(error, "cannot record to %s: %s", path,
                   e == ERR_SYNTAX ? "the file holds something else than a recording"
                                   : strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return e;
    }
    struct recorder *r = mem_zero(sizeof(*r));
    r->loop = l;
    r->fd = fd;
    *out = r;
    return OK;
}

static void refuse(struct recorder *r, int errnum)
{
    snprintf(r->reason, sizeof(r->reason), "recording stopped: %s", strerror(errnum));
    log_error("recorder", "recording stopped", "error=%s", log_quote(str_of(strerror(errnum))));
}

/* All or, when the disk is full in the middle, nothing of what was gathered. */
static void write_out(void *self)
{
    struct recorder *r = self;
    size_t done = 0;
    off_t start = lseek(r->fd, 0, SEEK_END);
    while (done < r->gathered.len && !r->reason[0]) {
        ssize_t n = write(r->fd, r->gathered.ptr + done, r->gathered.len - done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            int e = errno;
            if (done > 0 && start >= 0 && ftruncate(r->fd, start) != 0) {
                log_error("recorder", "a cut line stays in the recording", "errno=%d", errno);
            }
            refuse(r, e);
            break;
        }
        done += (size_t)n;
    }
    if (!r->reason[0]) {
        r->items += r->gathered_items;
        metric_add(&items_total, (int64_t)r->gathered_items);
    }
    r->gathered_items = 0;
    buf_clear(&r->gathered);
}

void recorder_close(struct recorder *r)
{
    if (!r) {
        return;
    }
    loop_undefer(&r->flush);
    write_out(r);
    close(r->fd);
    buf_fini(&r->gathered);
    mem_free(r);
}

void recorder_add(struct recorder *r, const struct record *item)
{
    if (!r || r->reason[0]) {
        return;
    }
    size_t before = r->gathered.len;
    record_write(&r->gathered, item);
    if (r->gathered.len - before > TAPE_LINE_MAX) {
        r->gathered.len = before;
        log_warn("recorder", "an item is too large for the recording", "source=%.*s bytes=%zu",
                 STR_ARG(item->source), item->body.len);
        return;
    }
    r->gathered_items++;
    if (r->gathered.len >= GATHER_BYTES) {
        write_out(r);
    } else {
        loop_defer(r->loop, &r->flush, write_out, r);
    }
}

bool recorder_healthy(const struct recorder *r, const char **reason)
{
    *reason = r ? r->reason : "";
    return !r || !r->reason[0];
}

uint64_t recorder_items(const struct recorder *r)
{
    return r ? r->items : 0;
}
