/* metrics: counters, gauges and histograms, declared where they are counted.
 *
 *     static struct metric frames = METRIC_COUNTER("coincast_ws_frames_total", "Frames received.");
 *
 * Counting is a relaxed atomic add and safe from any thread. A metric enters the registry the first
 * time it is touched, or with metric_register(). Labels: a family with one label is an array of
 * metrics that differ in `label` only ("reason=\"idle\"", exactly as it is to be printed).
 * SPDX-License-Identifier: MIT */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H
#include "base/buf.h"

enum metric_kind { METRIC_KIND_COUNTER, METRIC_KIND_GAUGE, METRIC_KIND_HISTOGRAM };

/* Histogram of non-negative integers (microseconds, bytes): 4 sub-buckets a power of two, so a
 * quantile is exact to 12.5 %. */
#define METRIC_BUCKETS 256
struct metric_buckets {
    uint64_t count[METRIC_BUCKETS];
    uint64_t sum;
};

struct metric {
    const char *name;
    const char *help;
    const char *label; /* NULL: none */
    enum metric_kind kind;
    double scale; /* histograms: unit of a sample in the exposed unit (1e-6: us shown as seconds) */
    /* private */
    int64_t value;
    struct metric_buckets *buckets;
    struct metric *next;
    int registered;
};

#define METRIC_COUNTER(n, h)                                  \
    {                                                         \
        .name = (n), .help = (h), .kind = METRIC_KIND_COUNTER \
    }
#define METRIC_GAUGE(n, h)                                  \
    {                                                       \
        .name = (n), .help = (h), .kind = METRIC_KIND_GAUGE \
    }
#define METRIC_HISTOGRAM(n, h, s)                                             \
    {                                                                         \
        .name = (n), .help = (h), .kind = METRIC_KIND_HISTOGRAM, .scale = (s) \
    }
#define METRIC_LABELLED(k, n, h, l)                         \
    {                                                       \
        .name = (n), .help = (h), .label = (l), .kind = (k) \
    }

void metric_register(struct metric *m);
void metric_add(struct metric *m, int64_t delta);
void metric_set(struct metric *m, int64_t value);
int64_t metric_get(const struct metric *m);
/* A sample of a histogram. */
void metric_observe(struct metric *m, uint64_t sample);
/* Quantile q (0..1) of a histogram in samples' units; 0 when empty. */
double metric_quantile(const struct metric *m, double q);
/* All registered metrics as Prometheus text (version 0.0.4), sorted by name. Histograms are written
 * with cumulative buckets at powers of two that are not empty, _sum and _count. */
void metrics_write(struct buf *out);

#endif
