/* budget: see the header. Each completion under way is an `op` in a list, so that one that belongs
 * to an older mode or month is told apart by its generation. SPDX-License-Identifier: MIT */
#include "sources/budget.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/list.h"

#include <assert.h>

#define MINUTE_MS 60000
/* Send times are stamped a little before the bytes leave; the margin keeps the receiver's minute
 * whole when the network hands over the second request faster than the first. */
#define MARGIN_MS 500
#define LOADING_WAIT_MS 50
/* What can be done without looks again after this when the minute is half used. */
#define SPARE_WAIT_MS 10000
/* So many of the newest send times are written down: those that can still count after a restart. */
#define STAMPS_KEPT 128

struct op {
    struct list node;
    struct budget *budget;
    uint32_t ticket;
    uint32_t generation;
};

struct budget {
    struct budget_opts opts;
    char mode[16];
    char month[8]; /* "2026-11"; "" before the first load */
    uint32_t generation;
    unsigned loading; /* reads under way */
    bool durable;
    uint64_t month_used;
    /* The newest send times, monotonic; may be negative after a restart. */
    int64_t *stamps;
    size_t cap, count, newest;
    int64_t loaded_at_ms;   /* monotonic, when the last load began */
    int64_t loaded_wall_ms; /* wall time at that moment */
    struct list ops;
};

static void month_of(int64_t wall_ms, char out[8])
{
    char text[CLOCK_RFC3339_LEN + 1];
    clock_format_rfc3339(wall_ms, text);
    memcpy(out, text, 7);
    out[7] = '\0';
}

/* The first moment of the month after the one of `wall_ms`. */
static int64_t next_month_ms(int64_t wall_ms)
{
    char text[CLOCK_RFC3339_LEN + 1], next[CLOCK_RFC3339_LEN + 1];
    uint64_t year = 0, month = 0;
    int64_t at_ms = wall_ms;
    clock_format_rfc3339(wall_ms, text);
    if (str_to_u64(str_make(text, 4), &year) != OK || str_to_u64(str_make(text + 5, 2), &month)) {
        return wall_ms;
    }
    snprintf(next, sizeof(next), "%04u-%02u-01T00:00:00.000Z",
             (unsigned)(month == 12 ? year + 1 : year) % 10000, (unsigned)(month % 12 + 1) % 100);
    return clock_parse_rfc3339(str_of(next), &at_ms) == OK ? at_ms : wall_ms;
}

static struct op *op_new(struct budget *b, uint32_t ticket)
{
    struct op *op = mem_zero(sizeof(*op));
    op->budget = b;
    op->ticket = ticket;
    op->generation = b->generation;
    list_push(&b->ops, &op->node);
    return op;
}

static void op_free(struct op *op)
{
    list_remove(&op->node);
    mem_free(op);
}

static void counter_name(const struct budget *b, const char *mode, struct buf *out)
{
    buf_printf(out, "budget:%s:%s:%s", mode, b->opts.name, b->month);
}

static void stamps_name(const struct budget *b, struct buf *out)
{
    buf_printf(out, "budget:%s:%s:sent", b->mode, b->opts.name);
}

static void add_stamp(struct budget *b, int64_t at_ms)
{
    b->newest = (b->newest + 1) % b->cap;
    b->stamps[b->newest] = at_ms;
    b->count = min_size(b->count + 1, b->cap);
}

/* The n-th newest send time, n < count. */
static int64_t stamp_at(const struct budget *b, size_t n)
{
    return b->stamps[(b->newest + b->cap - n) % b->cap];
}

static void load_ended(struct budget *b, struct op *op, enum err e)
{
    bool current = op->generation == b->generation;
    op_free(op);
    if (!current) {
        return;
    }
    if (e != OK && e != ERR_NOT_FOUND) {
        b->durable = false;
    }
    b->loading--;
    if (b->loading == 0 && b->opts.loaded) {
        b->opts.loaded(b->opts.self);
    }
}

static void month_loaded(void *arg, enum err e, int64_t value)
{
    struct op *op = arg;
    struct budget *b = op->budget;
    if (op->generation == b->generation && e == OK && value > 0) {
        b->month_used += (uint64_t)value;
    }
    load_ended(b, op, e);
}

/* Wall-clock send times, oldest first, comma between. */
static void stamps_loaded(void *arg, enum err e, struct str value)
{
    struct op *op = arg;
    struct budget *b = op->budget;
    struct str part;
    while (op->generation == b->generation && e == OK && str_next(&value, ',', &part)) {
        int64_t wall_ms = 0;
        if (str_to_i64(part, &wall_ms) == OK && wall_ms >= 0) {
            /* A time ahead of the clock (it was set back) counts as now: rather wait than overrun.
             */
            int64_t age_ms = b->loaded_wall_ms - wall_ms;
            add_stamp(b, b->loaded_at_ms - (age_ms > 0 ? age_ms : 0));
        }
    }
    load_ended(b, op, e);
}

/* Loads what the mode has used in the month of `wall_ms`; after a start or a change of mode also
 * the send times of the last minute. */
static void load(struct budget *b, uint64_t now_ms, int64_t wall_ms, bool stamps_too)
{
    struct buf name = {0};
    b->generation++;
    b->loading = 0;
    b->month_used = 0;
    b->loaded_at_ms = (int64_t)now_ms;
    b->loaded_wall_ms = wall_ms;
    month_of(wall_ms, b->month);
    const struct budget_store *store = b->opts.store;
    if (!store) {
        return;
    }
    b->loading = stamps_too ? 2 : 1;
    if (stamps_too) {
        stamps_name(b, &name);
        store->text_get(store->self, buf_str(&name), stamps_loaded, op_new(b, 0));
        buf_clear(&name);
    }
    counter_name(b, b->mode, &name);
    store->counter_get(store->self, buf_str(&name), month_loaded, op_new(b, 0));
    buf_fini(&name);
}

static void written(void *arg, enum err e, int64_t value)
{
    (void)value;
    struct op *op = arg;
    struct budget *b = op->budget;
    uint32_t ticket = op->ticket;
    op_free(op);
    b->durable = e == OK;
    if (ticket) {
        b->opts.taken(b->opts.self, ticket, e);
    }
}

struct budget *budget_new(const struct budget_opts *opts, const char *mode, uint64_t now_ms,
                          int64_t wall_ms)
{
    assert(opts->per_minute >= 1 && opts->per_minute <= BUDGET_MAX_PER_MINUTE);
    assert(!opts->store || opts->taken);
    struct budget *b = mem_zero(sizeof(*b));
    b->opts = *opts;
    b->cap = opts->per_minute;
    b->stamps = mem_array(b->cap, sizeof(*b->stamps));
    b->durable = true;
    list_init(&b->ops);
    snprintf(b->mode, sizeof(b->mode), "%s", mode);
    load(b, now_ms, wall_ms, true);
    return b;
}

void budget_free(struct budget *b)
{
    if (!b) {
        return;
    }
    list_each (node, &b->ops) {
        op_free(containerof(node, struct op, node));
    }
    mem_free(b->stamps);
    mem_free(b);
}

void budget_set_mode(struct budget *b, const char *mode, uint64_t now_ms, int64_t wall_ms)
{
    if (strcmp(b->mode, mode) == 0) {
        return;
    }
    /* The last minute's send times stay: this process did send them, whatever they are called. */
    snprintf(b->mode, sizeof(b->mode), "%s", mode);
    load(b, now_ms, wall_ms, false);
}

uint64_t budget_wait_ms(struct budget *b, uint64_t now_ms, int64_t wall_ms)
{
    char month[8];
    month_of(wall_ms, month);
    if (strcmp(month, b->month) != 0) {
        load(b, now_ms, wall_ms, false);
    }
    if (b->loading > 0) {
        return LOADING_WAIT_MS;
    }
    if (b->opts.per_month > 0 && b->month_used >= b->opts.per_month) {
        int64_t left_ms = next_month_ms(wall_ms) - wall_ms;
        return left_ms > 0 ? (uint64_t)left_ms : 1;
    }
    if (b->count < b->cap) {
        return 0;
    }
    int64_t free_ms = stamp_at(b, b->cap - 1) + MINUTE_MS + MARGIN_MS;
    return free_ms > (int64_t)now_ms ? (uint64_t)(free_ms - (int64_t)now_ms) : 0;
}

/* How long until the share of the month that has passed allows what was used: a fiftieth of the
 * limit is there to begin with, and a fiftieth is left at the end. */
static uint64_t pace_wait_ms(const struct budget *b, int64_t wall_ms)
{
    char first[CLOCK_RFC3339_LEN + 1];
    int64_t begin_ms = wall_ms;
    snprintf(first, sizeof(first), "%.7s-01T00:00:00.000Z", b->month);
    if (b->opts.per_month == 0 || clock_parse_rfc3339(str_of(first), &begin_ms) != OK) {
        return 0;
    }
    double limit = (double)b->opts.per_month,
           length_ms = (double)(next_month_ms(wall_ms) - begin_ms);
    double even_ms = ((double)b->month_used / limit - 0.02) / 0.96 * length_ms;
    double wait_ms = even_ms - (double)(wall_ms - begin_ms);
    return wait_ms > 0 ? (uint64_t)wait_ms + 1 : 0;
}

uint64_t budget_spare_wait_ms(struct budget *b, uint64_t now_ms, int64_t wall_ms)
{
    uint64_t wait_ms = budget_wait_ms(b, now_ms, wall_ms);
    if (wait_ms > 0) {
        return wait_ms;
    }
    if (2 * budget_minute_used(b, now_ms) > b->opts.per_minute) {
        return SPARE_WAIT_MS;
    }
    return pace_wait_ms(b, wall_ms);
}

/* The send times that still count, oldest first. */
static void write_stamps(const struct budget *b, uint64_t now_ms, int64_t wall_ms, struct buf *out)
{
    for (size_t n = min_size(b->count, STAMPS_KEPT); n-- > 0;) {
        int64_t age_ms = (int64_t)now_ms - stamp_at(b, n);
        if (age_ms < MINUTE_MS + MARGIN_MS) {
            buf_printf(out, "%s%lld", out->len ? "," : "", (long long)(wall_ms - age_ms));
        }
    }
}

bool budget_take(struct budget *b, uint32_t ticket, uint64_t now_ms, int64_t wall_ms)
{
    assert(budget_wait_ms(b, now_ms, wall_ms) == 0 && ticket != 0);
    add_stamp(b, (int64_t)now_ms);
    b->month_used++;
    const struct budget_store *store = b->opts.store;
    if (!store) {
        return true;
    }
    struct buf name = {0}, stamps = {0};
    stamps_name(b, &name);
    write_stamps(b, now_ms, wall_ms, &stamps);
    store->text_put(store->self, buf_str(&name), buf_str(&stamps), written, op_new(b, 0));
    buf_clear(&name);
    counter_name(b, b->mode, &name);
    store->counter_add(store->self, buf_str(&name), 1, written, op_new(b, ticket));
    buf_fini(&stamps);
    buf_fini(&name);
    return false;
}

void budget_give_back(struct budget *b, const char *mode, int64_t wall_ms)
{
    const struct budget_store *store = b->opts.store;
    struct buf name = {0};
    char month[8];
    month_of(wall_ms, month);
    if (!store || strcmp(month, b->month) != 0 || strcmp(mode, b->mode) == 0) {
        return;
    }
    counter_name(b, mode, &name);
    store->counter_add(store->self, buf_str(&name), -1, written, op_new(b, 0));
    buf_clear(&name);
    counter_name(b, b->mode, &name);
    b->month_used++;
    store->counter_add(store->self, buf_str(&name), 1, written, op_new(b, 0));
    buf_fini(&name);
}

uint32_t budget_minute_used(const struct budget *b, uint64_t now_ms)
{
    uint32_t used = 0;
    while (used < b->count && (int64_t)now_ms - stamp_at(b, used) < MINUTE_MS) {
        used++;
    }
    return used;
}

uint64_t budget_month_used(const struct budget *b)
{
    return b->month_used;
}

uint32_t budget_per_minute(const struct budget *b)
{
    return b->opts.per_minute;
}

uint64_t budget_per_month(const struct budget *b)
{
    return b->opts.per_month;
}

bool budget_idle(const struct budget *b)
{
    return list_empty(&b->ops);
}

bool budget_durable(const struct budget *b)
{
    return b->durable;
}
