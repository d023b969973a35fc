/* SPDX-License-Identifier: MIT */
#include "tools/load_report.h"

#include "base/json.h"

/* A quotient, or NaN (null in JSON) when there is nothing to divide by. */
static double per(double amount, double count)
{
    return count > 0 ? amount / count : (double)__builtin_nan("");
}

static double cpu_us_per_delivery(const struct load_opts *opts, const struct load_result *r)
{
    bool known = opts->cpu.count > 0;
    return per((double)r->measure_cpu_ns / 1000, known ? (double)r->deliveries : 0);
}

static double connect_cpu_us(const struct load_opts *opts, const struct load_result *r,
                             uint64_t cpu_ns)
{
    return per((double)cpu_ns / 1000, opts->cpu.count > 0 ? (double)r->clients : 0);
}

static void member_count(struct json_writer *w, const char *key, uint64_t value)
{
    json_key(w, key);
    json_i64(w, (int64_t)value);
}

static void member_number(struct json_writer *w, const char *key, double value, int decimals)
{
    json_key(w, key);
    json_decimal(w, value, decimals);
}

static void member_quantiles(struct json_writer *w, const char *key, const struct histogram *h)
{
    static const struct {
        const char *name;
        double share;
    } rows[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}};
    json_key(w, key);
    json_object(w);
    member_count(w, "count", h->count);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t us;
        json_key(w, rows[i].name);
        if (histogram_quantile(h, rows[i].share, &us)) {
            json_i64(w, (int64_t)us);
        } else {
            json_null(w);
        }
    }
    json_object_end(w);
}

void load_report_json(const struct load_opts *opts, const struct load_result *r, struct buf *out)
{
    struct json_writer w;
    double seconds = (double)r->measure_us / 1e6;
    json_begin(&w, out);
    json_object(&w);
    json_key(&w, "event");
    json_text(&w, "result");
    member_count(&w, "clients", r->clients);
    member_count(&w, "readers", r->readers);
    member_count(&w, "refused", r->refused);
    member_count(&w, "lost", r->lost);
    json_key(&w, "first_loss");
    json_text(&w, r->first_loss);
    member_number(&w, "connects_per_s", per(r->clients, (double)r->connect_us / 1e6), 0);
    member_number(&w, "connect_cpu_us", connect_cpu_us(opts, r, r->connect_cpu_ns), 2);
    member_number(&w, "subscribe_cpu_us", connect_cpu_us(opts, r, r->subscribe_cpu_ns), 2);
    member_number(&w, "seconds", seconds, 3);
    member_count(&w, "published", r->published);
    member_count(&w, "posts", r->posts);
    member_count(&w, "deliveries", r->deliveries);
    member_number(&w, "deliveries_per_s", per((double)r->deliveries, seconds), 0);
    member_number(&w, "cpu_us_per_delivery", cpu_us_per_delivery(opts, r), 4);
    member_number(&w, "cpu_share", per((double)r->measure_cpu_ns / 1e9, seconds), 3);
    member_number(&w, "bytes_per_delivery", per((double)r->bytes, (double)r->deliveries), 1);
    member_count(&w, "missing", r->missing);
    member_count(&w, "repeated", r->repeated);
    member_count(&w, "unfinished", r->unfinished);
    member_count(&w, "churned", r->churned);
    member_count(&w, "other_frames", r->other_frames);
    member_count(&w, "refused_deflate", r->refused_deflate);
    member_quantiles(&w, "latency_us", &r->latency_us);
    member_quantiles(&w, "round_us", &r->round_us);
    json_object_end(&w);
}

static void text_quantiles(struct buf *out, const char *what, const struct histogram *h)
{
    uint64_t p50, p99, p999;
    if (histogram_quantile(h, 0.5, &p50) && histogram_quantile(h, 0.99, &p99) &&
        histogram_quantile(h, 0.999, &p999)) {
        buf_printf(out, "%s ms: p50 %.2f, p99 %.2f, p99.9 %.2f, worst %.2f\n", what,
                   (double)p50 / 1000, (double)p99 / 1000, (double)p999 / 1000,
                   (double)h->max / 1000);
    }
}

void load_report_text(const struct load_opts *opts, const struct load_result *r, struct buf *out)
{
    double seconds = (double)r->measure_us / 1e6;
    buf_printf(out, "clients: %u ready, %u refused, %u lost%s%s; %.0f upgrades/s\n", r->clients,
               r->refused, r->lost, r->first_loss != NULL ? ": first because " : "",
               r->first_loss != NULL ? r->first_loss : "",
               per(r->clients, (double)r->connect_us / 1e6));
    if (r->deliveries > 0) {
        buf_printf(out, "deliveries: %llu of %llu messages to %u readers in %.2f s, %.0f/s\n",
                   (unsigned long long)r->deliveries, (unsigned long long)r->published, r->readers,
                   seconds, per((double)r->deliveries, seconds));
    }
    buf_printf(out, "missing %llu, repeated %llu, never arrived %llu, other frames %llu\n",
               (unsigned long long)r->missing, (unsigned long long)r->repeated,
               (unsigned long long)r->unfinished, (unsigned long long)r->other_frames);
    if (r->churned > 0) {
        buf_printf(out, "connections made anew: %llu\n", (unsigned long long)r->churned);
    }
    text_quantiles(out, "latency", &r->latency_us);
    text_quantiles(out, "one round to all", &r->round_us);
    if (opts->cpu.count > 0) {
        buf_printf(out, "server CPU: %.2f us an upgrade, %.2f us a subscription",
                   connect_cpu_us(opts, r, r->connect_cpu_ns),
                   connect_cpu_us(opts, r, r->subscribe_cpu_ns));
        if (r->deliveries > 0) {
            buf_printf(out, ", %.3f us a delivery", cpu_us_per_delivery(opts, r));
        }
        buf_add_char(out, '\n');
    }
}
