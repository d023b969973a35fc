/* SPDX-License-Identifier: MIT */
#include "sources/replay.h"

#include "base/alloc.h"
#include "base/log.h"
#include "wire/tape_files.h"

#include <assert.h>

#define LOOK_AHEAD_ITEMS 10000
#define MAX_WAIT_MS 60000
/* Turns in one instant before it goes on all the same: work that defers itself again and again. */
#define SETTLE_TURNS 1000

struct replay {
    struct replay_opts opts;
    struct tape_files *files;
    struct collect_hook hook;
    struct tape_item item; /* the next one, if `has_item` */
    bool has_item;
    bool due;         /* to be given out in the turn under way */
    uint64_t item_us; /* monotonic virtual time of `item`, never before that of the one before */
    /* Where both clocks met first: virtual = first_mono_us + (Unix time - first_wall_us). */
    uint64_t first_mono_us;
    int64_t first_wall_us;
    uint64_t real_start_us, virtual_start_us; /* when replay_run() began */
    struct replay_stats stats;
};

static int64_t time_of(const struct replay_opts *o, const struct tape_item *item)
{
    if (item->time_ns != 0 || !o->event_time) {
        return item->time_ns / 1000;
    }
    return o->event_time(o->self, item) / 1000;
}

/* Unix microseconds of the first item that has a time; 0: none found. */
static enum err find_first_time(const struct replay_opts *o, int64_t *out, struct buf *error)
{
    struct tape_files *files;
    struct tape_item item;
    enum err e = tape_files_open(str_of(o->paths), &files, error);
    if (e != OK) {
        return e;
    }
    *out = 0;
    for (size_t i = 0; i < LOOK_AHEAD_ITEMS && *out == 0 && e != ERR_NOT_FOUND; i++) {
        e = tape_files_next(files, &item);
        *out = e == OK ? time_of(o, &item) : 0;
    }
    tape_files_free(files);
    return OK;
}

static void give_out(void *self)
{
    struct replay *r = self;
    if (r->due) {
        r->due = false;
        r->has_item = false;
        r->stats.items++;
        r->opts.item(r->opts.self, &r->item);
    }
}

enum err replay_open(const struct replay_opts *opts, struct replay **out, struct buf *error)
{
    struct tape_files *files;
    int64_t first_us = 0;
    assert(opts->clock->is_virtual && loop_clock(opts->loop) == opts->clock && opts->speed >= 0);
    enum err e = find_first_time(opts, &first_us, error);
    e = e == OK ? tape_files_open(str_of(opts->paths), &files, error) : e;
    if (e != OK) {
        return e;
    }
    if (first_us != 0) {
        clock_set_wall_us(opts->clock, first_us);
    }
    struct replay *r = mem_zero(sizeof(*r));
    r->opts = *opts;
    r->files = files;
    r->first_mono_us = clock_mono_us(opts->clock);
    r->first_wall_us = clock_wall_us(opts->clock);
    r->item_us = r->first_mono_us;
    loop_add_collect(opts->loop, &r->hook, give_out, r);
    *out = r;
    return OK;
}

void replay_free(struct replay *r)
{
    if (r) {
        loop_remove_collect(&r->hook);
        tape_files_free(r->files);
        mem_free(r);
    }
}

void replay_stats(const struct replay *r, struct replay_stats *out)
{
    *out = r->stats;
}

/* ---- the sequence of events ---- */

static void place_item(struct replay *r)
{
    int64_t wall_us = time_of(&r->opts, &r->item);
    int64_t since_us = 0;
    if (wall_us == 0) {
        return; /* right behind the one before */
    }
    bool fits = !__builtin_sub_overflow(wall_us, r->first_wall_us, &since_us) && since_us >= 0;
    uint64_t at_us = fits ? r->first_mono_us + (uint64_t)since_us : 0;
    if (at_us < r->item_us) {
        r->stats.backwards++;
        return;
    }
    r->item_us = at_us;
}

/* False: there are no more. */
static bool fetch_item(struct replay *r)
{
    while (!r->has_item) {
        enum err e = tape_files_next(r->files, &r->item);
        if (e == ERR_NOT_FOUND) {
            return false;
        }
        r->stats.left_out = tape_files_left_out(r->files);
        if (e != OK) {
            log_warn("replay", "left out", "what=%s", log_quote(tape_files_complaint(r->files)));
            continue;
        }
        r->has_item = true;
        place_item(r);
    }
    return true;
}

/* Waits in real time for the event at `at_us`: true when it is due, to the millisecond. */
static bool is_due(struct replay *r, uint64_t at_us)
{
    if (r->opts.speed == 0 || at_us <= r->virtual_start_us) {
        return true;
    }
    double real_us = (double)(at_us - r->virtual_start_us) / r->opts.speed;
    double passed_us = (double)(clock_mono_us(clock_real()) - r->real_start_us);
    double wait_ms = (real_us - passed_us) / 1000;
    if (wait_ms < 1) {
        return true;
    }
    loop_turn_real(r->opts.loop, wait_ms < MAX_WAIT_MS ? (int)wait_ms : MAX_WAIT_MS);
    return false;
}

/* All that belongs to this instant happens in it, whether or not there is time before the next. */
static void settle(struct loop *l)
{
    for (int i = 0; i < SETTLE_TURNS && loop_has_work(l); i++) {
        loop_turn(l, 0);
    }
}

static void step(struct replay *r)
{
    struct loop *l = r->opts.loop;
    if (!fetch_item(r)) {
        replay_stop(r);
        if (r->opts.ended) {
            r->opts.ended(r->opts.self);
        }
        return;
    }
    uint64_t timer_ms = loop_next_timer_ms(l);
    uint64_t timer_us = timer_ms < UINT64_MAX / 1000 ? timer_ms * 1000 : UINT64_MAX;
    bool is_timer = timer_us <= r->item_us;
    uint64_t at_us = is_timer ? timer_us : r->item_us;
    /* What happened while waiting may have set an earlier timer: the caller looks again. */
    if (!is_due(r, at_us)) {
        return;
    }
    uint64_t now_us = clock_mono_us(r->opts.clock);
    if (at_us > now_us) {
        clock_advance_us(r->opts.clock, at_us - now_us);
    }
    r->due = !is_timer;
    loop_turn(l, 0);
    settle(l);
}

void replay_stop(struct replay *r)
{
    r->stats.ended = true;
    clock_release(r->opts.clock);
}

void replay_run(struct replay *r)
{
    r->real_start_us = clock_mono_us(clock_real());
    r->virtual_start_us = clock_mono_us(r->opts.clock);
    while (!r->stats.ended && !loop_stopping(r->opts.loop)) {
        step(r);
    }
    loop_run(r->opts.loop);
}
