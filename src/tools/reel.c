/* SPDX-License-Identifier: MIT */
#include "tools/reel.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "wire/gzip.h"
#include "wire/tape.h"

#include <errno.h>
#include <stdio.h>

#define PIECE ((size_t)64 << 10)
#define MAX_TEXT ((size_t)1 << 30)

/* The text of a member `"name":"text"`, by searching; empty: none. */
static struct str member(struct str frame, const char *mark)
{
    size_t at = str_find_str(frame, str_of(mark));
    if (at == SIZE_MAX) {
        return STR("");
    }
    size_t from = at + strlen(mark), end = str_find(frame, '"', from);
    return end == SIZE_MAX ? STR("") : str_sub(frame, from, end - from);
}

struct str reel_coinbase_channel(struct str name)
{
    static const struct {
        const char *name, *channel;
    } names[] = {
        {"match", "matches"},       {"last_match", "matches"},  {"l2update", "level2"},
        {"snapshot", "level2"},     {"level2_batch", "level2"}, {"level2_50", "level2"},
        {"ticker_batch", "ticker"}, {"ticker_1000", "ticker"},  {"l2_data", "level2"},
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq(name, str_of(names[i].name))) {
            return str_of(names[i].channel);
        }
    }
    return name;
}

/* Writes the key; false: it was an answer to a subscription, which a player gives itself. */
static bool add_key(enum tape_venue v, struct str frame, struct buf *key)
{
    struct str channel = member(frame, "\"channel\":\"");
    switch (v) {
    case TAPE_VENUE_UNKNOWN:
        return false;
    case TAPE_VENUE_BINANCE:
        buf_add_str(key, member(frame, "\"stream\":\""));
        return str_find_str(frame, STR("\"result\":")) == SIZE_MAX;
    case TAPE_VENUE_COINBASE:
        buf_add_str(key, reel_coinbase_channel(member(frame, "\"type\":\"")));
        buf_add_char(key, ' ');
        buf_add_str(key, member(frame, "\"product_id\":\""));
        return !str_starts(buf_str(key), STR("subscriptions ")) &&
               !str_starts(buf_str(key), STR("error "));
    case TAPE_VENUE_COINBASE_ADVANCED:
        buf_add_str(key, reel_coinbase_channel(channel));
        return !str_eq(channel, STR("subscriptions"));
    case TAPE_VENUE_KRAKEN:
        if (!str_eq(channel, STR("heartbeat"))) {
            buf_add_str(key, channel);
            buf_add_char(key, ' ');
            buf_add_str(key, member(frame, "\"symbol\":\""));
        }
        return channel.len > 0 && !str_eq(channel, STR("status")) &&
               str_find_str(frame, STR("\"method\":")) == SIZE_MAX;
    }
    return false;
}

static enum venue venue_of_tape(enum tape_venue v)
{
    return v == TAPE_VENUE_BINANCE  ? VENUE_BINANCE
           : v == TAPE_VENUE_KRAKEN ? VENUE_KRAKEN
                                    : VENUE_COINBASE;
}

/* The time a frame tells of itself; 0: none. */
static int64_t own_time_ns(struct str frame)
{
    static const char *const marks[] = {"\"timestamp\":\"", "\"time\":\""};
    for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
        struct str text = member(frame, marks[i]);
        int64_t ms;
        if (text.len && clock_parse_rfc3339(text, &ms) == OK) {
            return ms * 1000000;
        }
    }
    return 0;
}

/* While it is read, a frame's slices are offsets into the text, which still moves. */
static void add_frame(struct reel *r, const struct tape_item *item, int64_t first_ns[VENUE_COUNT])
{
    struct buf key = {0};
    enum venue v = venue_of_tape(item->venue);
    if (item->kind == TAPE_TEXT && add_key(item->venue, item->frame, &key)) {
        size_t n = r->count[v];
        int64_t at = item->time_ns ? item->time_ns : own_time_ns(item->frame);
        int64_t before = n ? r->frames[v][n - 1].at_ns : 0;
        if (at && !first_ns[v]) {
            first_ns[v] = at;
        }
        at = at ? at - first_ns[v] : before;
        if (n == r->room[v]) {
            r->room[v] = n ? n * 2 : 1024;
            r->frames[v] = mem_resize(r->frames[v], r->room[v] * sizeof(struct reel_frame));
        }
        r->frames[v][r->count[v]++] =
            (struct reel_frame){.at_ns = at < before ? before : at,
                                .text = {.ptr = NULL, .len = item->frame.len},
                                .key = {.ptr = NULL, .len = key.len}};
        buf_add_str(&r->text, item->frame);
        buf_add_str(&r->text, buf_str(&key));
    }
    buf_fini(&key);
}

/* What stood in which order: the venue of each frame. */
struct order {
    struct buf venues; /* a byte a frame */
};

static void drain(struct reel *r, struct tape_reader *tape, int64_t first_ns[VENUE_COUNT],
                  struct order *o)
{
    struct tape_item item;
    enum err e;
    while ((e = tape_next(tape, &item)) != ERR_MORE) {
        if (e == OK) { /* a bad line is left out */
            enum venue v = venue_of_tape(item.venue);
            size_t before = r->count[v];
            add_frame(r, &item, first_ns);
            if (r->count[v] > before) {
                buf_add_char(&o->venues, (char)v);
            }
        }
    }
}

static void set_slices(struct reel *r, const struct order *o)
{
    size_t at = 0, next[VENUE_COUNT] = {0};
    for (size_t i = 0; i < o->venues.len; i++) {
        size_t v = (size_t)o->venues.ptr[i];
        struct reel_frame *f = &r->frames[v][next[v]++];
        f->text.ptr = r->text.ptr + at;
        f->key.ptr = r->text.ptr + at + f->text.len;
        at += f->text.len + f->key.len;
    }
}

static enum err read_all(struct reel *r, FILE *in)
{
    struct gunzip *g = gunzip_new();
    struct tape_reader *tape = tape_new();
    struct order o = {0};
    struct buf plain = {0};
    int64_t first_ns[VENUE_COUNT] = {0};
    char piece[PIECE];
    size_t n;
    enum err e = OK;
    while (e == OK && (n = fread(piece, 1, sizeof(piece), in)) > 0) {
        struct str rest = str_make(piece, n);
        do {
            buf_clear(&plain);
            e = gunzip_some(g, &rest, &plain, PIECE);
            tape_feed(tape, buf_str(&plain));
            drain(r, tape, first_ns, &o);
        } while (e == OK);
        e = e == ERR_MORE ? OK : e;
    }
    /* A compressed file that is damaged or cut off is played as far as it is whole. */
    e = e == ERR_SYNTAX ? OK : e;
    e = e == OK && ferror(in) ? ERR_IO : e;
    tape_end(tape);
    drain(r, tape, first_ns, &o);
    e = e == OK && r->text.failed ? ERR_LIMIT : e;
    set_slices(r, &o);
    buf_fini(&o.venues);
    buf_fini(&plain);
    tape_free(tape);
    gunzip_free(g);
    return e;
}

enum err reel_open(const char *file, struct reel **out, struct buf *error)
{
    FILE *in = fopen(file, "rbe");
    if (!in) {
        buf_printf(error, "cannot read %s: %s", file, strerror(errno));
        return ERR_NOT_FOUND;
    }
    struct reel *r = mem_zero(sizeof(*r));
    buf_init(&r->text, MAX_TEXT);
    enum err e = read_all(r, in);
    (void)fclose(in);
    if (e == OK &&
        r->count[VENUE_BINANCE] + r->count[VENUE_COINBASE] + r->count[VENUE_KRAKEN] == 0) {
        e = ERR_SYNTAX;
    }
    if (e != OK) {
        buf_printf(error, "%s: %s", file,
                   e == ERR_SYNTAX ? "no capture of an exchange's WebSocket" : err_text(e));
        reel_free(r);
        return e;
    }
    *out = r;
    return OK;
}

void reel_free(struct reel *r)
{
    for (size_t v = 0; r && v < VENUE_COUNT; v++) {
        mem_free(r->frames[v]);
    }
    if (r) {
        buf_fini(&r->text);
    }
    mem_free(r);
}
