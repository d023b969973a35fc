/* replay: plays tapes (wire/tape.h) into the loop of the main thread under a virtual clock, so that
 * the same files give the same callbacks at the same virtual times in the same order, at any speed.
 *
 * It owns the sequence of events. The next event is the earlier of the next timer of the loop and
 * the next item; a timer at the same time goes first. The clock is set exactly to it, the loop
 * takes a turn, and turns go on until nothing deferred and no due timer is left. At a speed the
 * turn before waits in real time until the event is due; what comes from other threads and sockets
 * meanwhile is served and moves no virtual time. At no speed limit nothing waits.
 *
 *     real     |--wait--|turn|----wait----|turn|wait|turn|      the same three events
 *     virtual  t0        t1                t2        t3         at any length of the waits
 *
 * An item without a time goes right behind the one before it; a time that runs backwards counts as
 * that of the one before. After the last item the clock is released: time runs on as the machine's.
 * Main thread. SPDX-License-Identifier: MIT */
#ifndef SOURCES_REPLAY_H
#define SOURCES_REPLAY_H
#include "base/loop.h"
#include "wire/tape.h"

struct replay;

struct replay_opts {
    struct loop *loop;
    struct clock *clock; /* the loop's, virtual */
    const char *paths;   /* files separated by commas, played one after the other */
    double speed;        /* virtual seconds a real second; 0: as fast as it goes */
    void *self;
    /* In a turn of the loop, before its timers and deferred work; the clock stands at the item. */
    void (*item)(void *self, const struct tape_item *item);
    /* The time an item without one tells in itself, Unix nanoseconds; 0: none. May be NULL; asked
     * inside replay_open() too. */
    int64_t (*event_time)(void *self, const struct tape_item *item);
    /* The last item was played and the clock released. May be NULL. */
    void (*ended)(void *self);
};

/* Sets the wall clock to the time of the first item that has one (within the first 10,000; when
 * there is none it stays). Complaints about the files go to the log. On failure `error` says what
 * and why. */
enum err replay_open(const struct replay_opts *opts, struct replay **out,
                     struct buf *error) MUST_CHECK;
void replay_free(struct replay *r);
/* In the place of loop_run(): until loop_stop(), also after the last item. */
void replay_run(struct replay *r);
/* Plays no further and releases the clock, without `ended`: for a drain at the end. */
void replay_stop(struct replay *r);

struct replay_stats {
    uint64_t items;     /* played */
    uint64_t left_out;  /* lines and ends of files that could not be read */
    uint64_t backwards; /* items whose time was before that of the one before */
    bool ended;         /* nothing more will be played */
};
void replay_stats(const struct replay *r, struct replay_stats *out);

#endif
