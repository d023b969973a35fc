/* load: a load test of one server: opens clients, publishes, counts what arrives where and how
 * late.
 *
 *     connect -> subscribe -> settle -> warm -> measure -> drain -> close
 *
 * Publishing is a closed loop (a burst, and the next when all clients have all of it), or a fixed
 * rate whose latencies count from when each message was due, however late it left. One thread, one
 * loop. SPDX-License-Identifier: MIT */
#ifndef TOOLS_LOAD_H
#define TOOLS_LOAD_H
#include "base/loop.h"
#include "tools/histogram.h"
#include "tools/load_client.h"
#include "tools/load_cpu.h"

/* How far measuring is. */
struct load_tick {
    uint64_t us; /* monotonic */
    uint64_t deliveries;
    uint64_t cpu_ns; /* of the processes of `cpu`, since they started */
};

struct load_opts {
    struct str url, channel, token;
    const char *ca_file; /* for wss://; NULL: the certificate is not checked */
    enum load_protocol protocol;
    bool deflate;
    uint32_t clients;
    uint32_t window;      /* connects and subscriptions under way at a time */
    uint32_t burst;       /* messages of one request; 0: nothing is published */
    uint32_t rate;        /* messages a second; 0: closed loop */
    uint32_t size;        /* bytes of data in a message */
    uint32_t duration_ms; /* of measuring */
    uint32_t warmup_ms, settle_ms;
    uint32_t stall_pct;  /* clients that stop reading before the first message */
    uint32_t churn;      /* connections closed and opened anew, a second */
    struct load_cpu cpu; /* processes whose CPU time is counted */
    /* Called once when all clients have subscribed; may be NULL. */
    void (*ready)(void *self);
    /* Called every tick_ms while measuring; 0: never. */
    void (*tick)(void *self, const struct load_tick *now);
    uint32_t tick_ms;
    void *self;
};

/* CPU times are 0 when opts.cpu names no process. */
struct load_result {
    uint32_t clients; /* that were there when measuring began */
    uint32_t refused; /* never became ready */
    uint32_t lost;    /* ended without being asked to, later */
    const char *first_loss;
    uint64_t connect_us, connect_cpu_ns; /* until all were upgraded */
    uint64_t subscribe_us, subscribe_cpu_ns;
    uint32_t readers; /* clients that are not stalled */
    uint64_t published, posts;
    uint64_t deliveries; /* to readers, of messages published while measuring */
    uint64_t missing, repeated, unfinished;
    uint64_t churned;
    uint64_t measure_us, measure_cpu_ns;
    uint64_t bytes, other_frames;
    uint64_t refused_deflate;
    struct histogram latency_us; /* due (or sent) until received, every delivery */
    struct histogram round_us;   /* closed loop: sent until the last client had it */
};

/* Runs the whole test. On failure `error` says why in a sentence. A loop_stop() ends it early: with
 * the result until then, or with ERR_UNAVAILABLE when measuring had not begun. */
enum err load_run(struct loop *loop, const struct load_opts *opts, struct load_result *out,
                  struct buf *error) MUST_CHECK;

#endif
