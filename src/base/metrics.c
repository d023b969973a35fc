/* The registry is a list that only grows at its head, so it needs no lock: a metric is linked once,
 * by compare-and-swap, and never leaves. A histogram's buckets are made at its first sample.
 * SPDX-License-Identifier: MIT */
#include "base/metrics.h"

#include <assert.h>
#include <math.h>

#include "base/alloc.h"
#include "base/json.h"

static struct metric *first;

void metric_register(struct metric *m)
{
    int unregistered = 0;
    if (__atomic_load_n(&m->registered, __ATOMIC_RELAXED) ||
        !__atomic_compare_exchange_n(&m->registered, &unregistered, 1, false, __ATOMIC_RELAXED,
                                     __ATOMIC_RELAXED)) {
        return;
    }
    struct metric *head = __atomic_load_n(&first, __ATOMIC_RELAXED);
    do {
        m->next = head;
    } while (
        !__atomic_compare_exchange_n(&first, &head, m, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

void metric_add(struct metric *m, int64_t delta)
{
    metric_register(m);
    __atomic_fetch_add(&m->value, delta, __ATOMIC_RELAXED);
}

void metric_set(struct metric *m, int64_t value)
{
    metric_register(m);
    __atomic_store_n(&m->value, value, __ATOMIC_RELAXED);
}

int64_t metric_get(const struct metric *m)
{
    return __atomic_load_n(&m->value, __ATOMIC_RELAXED);
}

static struct metric_buckets *buckets_of(const struct metric *m)
{
    return __atomic_load_n(&m->buckets, __ATOMIC_ACQUIRE);
}

static struct metric_buckets *make_buckets(struct metric *m)
{
    struct metric_buckets *mine = mem_zero(sizeof(*mine));
    struct metric_buckets *there = NULL;
    if (__atomic_compare_exchange_n(&m->buckets, &there, mine, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE)) {
        return mine;
    }
    mem_free(mine);
    return there;
}

/* Samples 0 to 3 have a bucket each; above, the two bits behind the leading one choose among the
 * four buckets of a power of two. */
static unsigned bucket_of(uint64_t sample)
{
    if (sample < 4) {
        return (unsigned)sample;
    }
    unsigned exponent = 63U - (unsigned)__builtin_clzll(sample);
    return (exponent - 1) * 4 + (unsigned)((sample >> (exponent - 2)) & 3);
}

static double bucket_middle(unsigned bucket)
{
    if (bucket < 4) {
        return bucket;
    }
    double width = ldexp(1, (int)(bucket / 4) - 1);
    return (4 + bucket % 4) * width + (width - 1) / 2;
}

void metric_observe(struct metric *m, uint64_t sample)
{
    assert(m->kind == METRIC_KIND_HISTOGRAM);
    metric_register(m);
    struct metric_buckets *b = buckets_of(m);
    if (!b) {
        b = make_buckets(m);
    }
    __atomic_fetch_add(&b->count[bucket_of(sample)], 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&b->sum, sample, __ATOMIC_RELAXED);
}

/* A copy that no longer moves, and how many samples it holds. */
static uint64_t snapshot(const struct metric *m, struct metric_buckets *out)
{
    const struct metric_buckets *b = buckets_of(m);
    uint64_t total = 0;
    *out = (struct metric_buckets){0};
    if (!b) {
        return 0;
    }
    for (size_t i = 0; i < METRIC_BUCKETS; i++) {
        out->count[i] = __atomic_load_n(&b->count[i], __ATOMIC_RELAXED);
        total += out->count[i];
    }
    out->sum = __atomic_load_n(&b->sum, __ATOMIC_RELAXED);
    return total;
}

double metric_quantile(const struct metric *m, double q)
{
    struct metric_buckets b;
    uint64_t total = snapshot(m, &b);
    if (total == 0) {
        return 0;
    }
    double rank = ceil(fmin(fmax(q, 0), 1) * (double)total);
    uint64_t wanted = max_u64((uint64_t)rank, 1);
    uint64_t seen = 0;
    unsigned bucket = 0;
    for (; bucket < METRIC_BUCKETS - 1; bucket++) {
        seen += b.count[bucket];
        if (seen >= wanted) {
            break;
        }
    }
    return bucket_middle(bucket);
}

static int by_name_and_label(const void *a, const void *b)
{
    const struct metric *ma = *(const struct metric *const *)a;
    const struct metric *mb = *(const struct metric *const *)b;
    int order = strcmp(ma->name, mb->name);
    return order ? order : str_cmp(str_of(ma->label), str_of(mb->label));
}

/* `help` with the two bytes escaped that the format gives a meaning. */
static void write_head(struct buf *out, const struct metric *m)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    buf_printf(out, "# HELP %s ", m->name);
    for (const char *c = m->help; *c; c++) {
        if (*c == '\\') {
            buf_add_lit(out, "\\\\");
        } else if (*c == '\n') {
            buf_add_lit(out, "\\n");
        } else {
            buf_add_char(out, *c);
        }
    }
    buf_printf(out, "\n# TYPE %s %s\n", m->name, kinds[m->kind]);
}

/* name_suffix{label} without the value. */
static void write_series(struct buf *out, const struct metric *m, const char *suffix)
{
    buf_printf(out, "%s%s", m->name, suffix);
    if (m->label) {
        buf_printf(out, "{%s}", m->label);
    }
    buf_add_char(out, ' ');
}

static void write_bucket_name(struct buf *out, const struct metric *m)
{
    buf_printf(out, "%s_bucket{%s%sle=\"", m->name, m->label ? m->label : "", m->label ? "," : "");
}

/* Samples are integers, so the last one of a power of two is 2^k - 1: that is the exact `le`. */
static void write_histogram(struct buf *out, const struct metric *m)
{
    struct metric_buckets b;
    uint64_t total = snapshot(m, &b);
    double scale = m->scale > 0 ? m->scale : 1;
    uint64_t seen = 0;
    for (unsigned power = 0; power < 64; power++) {
        unsigned from = power < 2 ? power * 2 : power * 4 - 4;
        unsigned to = power < 2 ? from + 2 : from + 4;
        uint64_t here = 0;
        for (unsigned i = from; i < to; i++) {
            here += b.count[i];
        }
        if (here) {
            seen += here;
            write_bucket_name(out, m);
            json_add_double(out, (ldexp(1, (int)power + 1) - 1) * scale);
            buf_printf(out, "\"} %llu\n", (unsigned long long)seen);
        }
    }
    write_bucket_name(out, m);
    buf_printf(out, "+Inf\"} %llu\n", (unsigned long long)total);
    write_series(out, m, "_sum");
    json_add_double(out, (double)b.sum * scale);
    buf_add_char(out, '\n');
    write_series(out, m, "_count");
    buf_add_u64(out, total);
    buf_add_char(out, '\n');
}

void metrics_write(struct buf *out)
{
    struct metric *head = __atomic_load_n(&first, __ATOMIC_ACQUIRE);
    size_t count = 0;
    for (const struct metric *m = head; m; m = m->next) {
        count++;
    }
    struct metric **sorted = mem_array(count, sizeof(*sorted));
    size_t at = 0;
    for (struct metric *m = head; m; m = m->next) {
        sorted[at++] = m;
    }
    qsort(sorted, count, sizeof(*sorted), by_name_and_label);
    for (size_t i = 0; i < count; i++) {
        const struct metric *m = sorted[i];
        if (i == 0 || strcmp(m->name, sorted[i - 1]->name) != 0) {
            write_head(out, m);
        }
        if (m->kind == METRIC_KIND_HISTOGRAM) {
            write_histogram(out, m);
        } else {
            write_series(out, m, "");
            buf_add_i64(out, metric_get(m));
            buf_add_char(out, '\n');
        }
    }
    mem_free(sorted);
}
