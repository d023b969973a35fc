/* SPDX-License-Identifier: MIT */
#include "wire/tape.h"

#include "base/alloc.h"
#include "wire/scan.h"

struct tape_reader {
    struct buf bytes; /* fed and not given out: [at, len) */
    size_t at;
    size_t looked; /* no newline in [at, looked) */
    bool skipping; /* inside a line that is too long */
    bool ended;
    enum tape_form form;
    enum tape_venue venue; /* of the last item that told */
    uint64_t line, bad;
    size_t cut;
    const char *why;
    struct buf scratch;
    struct record record;
};

struct tape_reader *tape_new(void)
{
    struct tape_reader *t = mem_zero(sizeof(*t));
    t->why = "";
    return t;
}

void tape_free(struct tape_reader *t)
{
    if (t) {
        buf_fini(&t->bytes);
        buf_fini(&t->scratch);
        mem_free(t);
    }
}

enum tape_form tape_form(const struct tape_reader *t)
{
    return t->form;
}

const char *tape_form_text(enum tape_form f)
{
    switch (f) {
    case TAPE_UNKNOWN:
        return "unknown";
    case TAPE_RECORDING:
        return "recording";
    case TAPE_STAMPED:
        return "stamped frames";
    case TAPE_SESSION:
        return "session";
    case TAPE_LABELLED:
        return "labelled frames";
    case TAPE_BARE:
        return "bare frames";
    }
    return "";
}

uint64_t tape_line(const struct tape_reader *t)
{
    return t->line;
}

const char *tape_why(const struct tape_reader *t)
{
    return t->why;
}

uint64_t tape_bad_lines(const struct tape_reader *t)
{
    return t->bad;
}

size_t tape_cut_bytes(const struct tape_reader *t)
{
    return t->cut;
}

/* ---- bytes and lines ---- */

void tape_feed(struct tape_reader *t, struct str bytes)
{
    buf_drop(&t->bytes, t->at);
    t->looked -= t->at;
    t->at = 0;
    if (!buf_add_str(&t->bytes, bytes)) {
        fprintf(stderr, "coincast: a tape was fed without being read\n");
        abort();
    }
}

void tape_end(struct tape_reader *t)
{
    t->ended = true;
}

static enum err refuse(struct tape_reader *t, enum err e, const char *why)
{
    t->bad++;
    t->why = why;
    return e;
}

/* The next whole line, without its newline or a carriage return before it. ERR_LIMIT: its end was
 * reached, but it was too long. */
static enum err next_line(struct tape_reader *t, struct str *out)
{
    struct str all = buf_str(&t->bytes);
    size_t end = str_find(all, '\n', t->looked);
    bool skipped = t->skipping;
    if (end == SIZE_MAX) {
        t->looked = all.len;
        if (t->skipping || all.len - t->at > TAPE_LINE_MAX) {
            t->cut += all.len - t->at;
            t->skipping = true;
            t->at = all.len;
        }
        return ERR_MORE;
    }
    *out = str_sub(all, t->at, end - t->at);
    t->at = t->looked = end + 1;
    t->line++;
    t->skipping = false;
    if (skipped || out->len > TAPE_LINE_MAX) {
        t->cut = 0;
        return refuse(t, ERR_LIMIT, "the line is too long");
    }
    if (str_ends(*out, STR("\r"))) {
        out->len--;
    }
    return OK;
}

/* ---- the forms ---- */

static enum tape_venue learn(struct tape_reader *t, enum tape_venue v)
{
    t->venue = v != TAPE_VENUE_UNKNOWN ? v : t->venue;
    return t->venue;
}

static enum tape_venue venue_of_source(struct str source)
{
    for (int v = TAPE_VENUE_BINANCE; v <= TAPE_VENUE_KRAKEN; v++) {
        if (str_eq(source, str_of(tape_venue_text((enum tape_venue)v)))) {
            return (enum tape_venue)v;
        }
    }
    return TAPE_VENUE_UNKNOWN;
}

static enum err take_recording(struct tape_reader *t, struct str line, struct tape_item *out)
{
    static const enum tape_kind kinds[RECORD_KIND_COUNT] = {
        [RECORD_HTTP] = TAPE_HTTP,
        [RECORD_WS_OPEN] = TAPE_OPEN,
        [RECORD_WS_TEXT] = TAPE_TEXT,
        [RECORD_WS_CLOSE] = TAPE_CLOSE,
    };
    enum err e = record_read(line, &t->record, &t->scratch);
    if (e != OK) {
        return refuse(t, e,
                      e == ERR_UNSUPPORTED ? "it is of a later version of the format"
                                           : "it is not an item of a recording");
    }
    *out = (struct tape_item){
        .kind = kinds[t->record.kind],
        .time_ns = t->record.time_ns,
        .source = t->record.source,
        .venue = venue_of_source(t->record.source),
        .url = t->record.url,
        .frame = t->record.body,
        .status = t->record.status,
        .record = &t->record,
    };
    return OK;
}

static enum err take_message(struct tape_reader *t, int64_t time_ns, struct str frame,
                             struct tape_item *out)
{
    *out = (struct tape_item){
        .kind = TAPE_TEXT,
        .time_ns = time_ns,
        .venue = learn(t, tape_venue_of_frame(frame)),
        .frame = frame,
    };
    out->source = str_of(tape_venue_text(out->venue));
    return OK;
}

static enum err take_stamped(struct tape_reader *t, struct str line, struct tape_item *out)
{
    int64_t time_ns = 0;
    size_t gap = str_find(line, ' ', 0);
    if (gap == SIZE_MAX || str_to_i64(str_sub(line, 0, gap), &time_ns) != OK || time_ns <= 0) {
        return refuse(t, ERR_SYNTAX, "it does not begin with a time in nanoseconds");
    }
    struct str frame = str_from(line, gap + 1);
    if (frame.len == 0) {
        return refuse(t, ERR_SYNTAX, "there is no frame behind the time");
    }
    return take_message(t, time_ns, frame, out);
}

/* Whether it is one JSON object and nothing else. */
static bool is_object(struct str line)
{
    struct scan s;
    scan_begin(&s, line);
    return scan_peek(&s) == SCAN_OBJECT && scan_skip(&s, NULL) && scan_end(&s) == OK;
}

static enum err take_bare(struct tape_reader *t, struct str line, struct tape_item *out)
{
    if (!is_object(line)) {
        return refuse(t, ERR_SYNTAX, "it is not a JSON object");
    }
    return take_message(t, 0, line, out);
}

/* Seconds with a fraction, as exact digits: what is finer than a nanosecond is dropped. */
static bool seconds_to_ns(struct str digits, int64_t *out)
{
    size_t point = str_find(digits, '.', 0);
    struct str fraction = point == SIZE_MAX ? (struct str){0} : str_from(digits, point + 1);
    int64_t seconds = 0;
    int64_t ns = 0;
    if (str_to_i64(str_sub(digits, 0, point), &seconds) != OK || seconds <= 0 ||
        seconds >= INT64_MAX / 1000000000) {
        return false;
    }
    for (size_t i = 0; i < 9; i++) {
        char c = i < fraction.len ? fraction.ptr[i] : '0';
        if (c < '0' || c > '9') {
            return false;
        }
        ns = ns * 10 + (c - '0');
    }
    *out = seconds * 1000000000 + ns;
    return true;
}

struct session_line {
    struct str what, address, connection, data; /* raw */
    int64_t time_ns;
    bool has_data;
};

static bool read_session(struct str line, struct session_line *out)
{
    struct scan s;
    struct str key, digits;
    bool well = true;
    scan_begin(&s, line);
    if (!scan_object(&s)) {
        return false;
    }
    while (well && scan_key(&s, &key)) {
        if (str_eq(key, STR("t"))) {
            well = scan_string(&s, &out->what);
        } else if (str_eq(key, STR("ts"))) {
            well = scan_number(&s, &digits) && seconds_to_ns(digits, &out->time_ns);
        } else if (str_eq(key, STR("addr"))) {
            well = scan_string(&s, &out->address);
        } else if (str_eq(key, STR("conn"))) {
            well = scan_string(&s, &out->connection);
        } else if (str_eq(key, STR("data"))) {
            well = out->has_data = scan_string(&s, &out->data);
        }
    }
    return well && scan_end(&s) == OK && out->time_ns != 0;
}

/* `scratch` has room for the whole line, so it does not move. */
static bool resolve(struct tape_reader *t, struct str raw, struct str *out)
{
    size_t from = t->scratch.len;
    if (str_find(raw, '\\', 0) == SIZE_MAX) {
        *out = raw;
        return true;
    }
    if (scan_unescape(raw, &t->scratch) != OK) {
        return false;
    }
    *out = str_make(t->scratch.ptr + from, t->scratch.len - from);
    return true;
}

static enum err take_session(struct tape_reader *t, struct str line, struct tape_item *out)
{
    struct session_line l = {0};
    struct tape_item item = {0};
    buf_clear(&t->scratch);
    if (!read_session(line, &l)) {
        return refuse(t, ERR_SYNTAX, "it is not a line of a session with t and ts");
    }
    bool is_open = str_eq(l.what, STR("connect"));
    bool is_sent = str_eq(l.what, STR("send"));
    if (!is_open && !is_sent && !str_eq(l.what, STR("recv"))) {
        return refuse(t, ERR_SYNTAX, "its t is none of connect, send, recv");
    }
    if (is_open ? l.address.len == 0 : !l.has_data) {
        return refuse(t, ERR_SYNTAX, is_open ? "it has no addr" : "it has no data");
    }
    if (!buf_reserve(&t->scratch, line.len) || !resolve(t, l.address, &item.url) ||
        !resolve(t, l.connection, &item.connection) || !resolve(t, l.data, &item.frame)) {
        return refuse(t, ERR_SYNTAX, "a text in it can't be read");
    }
    item.kind = is_open ? TAPE_OPEN : is_sent ? TAPE_SENT : TAPE_TEXT;
    item.time_ns = l.time_ns;
    enum tape_venue of_frame =
        item.kind == TAPE_TEXT ? tape_venue_of_frame(item.frame) : TAPE_VENUE_UNKNOWN;
    enum tape_venue of_url = tape_venue_of_url(item.url);
    item.venue = learn(t, of_frame != TAPE_VENUE_UNKNOWN ? of_frame : of_url);
    item.source = str_of(tape_venue_text(item.venue));
    *out = item;
    return OK;
}

static enum err take_labelled(struct tape_reader *t, struct str line, struct tape_item *out)
{
    struct scan s;
    struct str key, venue = {0}, data = {0}, frame = {0};
    bool well = true;
    scan_begin(&s, line);
    if (!scan_object(&s)) {
        return refuse(t, ERR_SYNTAX, "it is not a JSON object");
    }
    while (well && scan_key(&s, &key)) {
        if (str_eq(key, STR("venue"))) {
            well = scan_string(&s, &venue);
        } else if (str_eq(key, STR("data"))) {
            well = scan_string(&s, &data);
        }
    }
    buf_clear(&t->scratch);
    if (!well || scan_end(&s) != OK || data.len == 0 || !buf_reserve(&t->scratch, line.len) ||
        !resolve(t, data, &frame)) {
        return refuse(t, ERR_SYNTAX, "it is not a frame as data with its venue");
    }
    t->venue = venue_of_source(venue); /* the frame may say it more exactly */
    return take_message(t, 0, frame, out);
}

/* The form of a line, by its first byte and the names of its members. */
static enum tape_form form_of(struct str line)
{
    struct scan s;
    struct str key;
    bool has_v = false, has_kind = false, has_t = false, has_ts = false;
    bool has_venue = false, has_data = false;
    if (line.ptr[0] >= '0' && line.ptr[0] <= '9') {
        return TAPE_STAMPED;
    }
    scan_begin(&s, line);
    if (!scan_object(&s)) {
        return TAPE_UNKNOWN;
    }
    while (scan_key(&s, &key)) {
        has_v |= str_eq(key, STR("v"));
        has_kind |= str_eq(key, STR("kind"));
        has_t |= str_eq(key, STR("t"));
        has_ts |= str_eq(key, STR("ts"));
        has_venue |= str_eq(key, STR("venue"));
        has_data |= str_eq(key, STR("data"));
    }
    if (scan_end(&s) != OK) {
        return TAPE_UNKNOWN;
    }
    return has_v && has_kind       ? TAPE_RECORDING
           : has_t && has_ts       ? TAPE_SESSION
           : has_venue && has_data ? TAPE_LABELLED
                                   : TAPE_BARE;
}

static enum err take_line(struct tape_reader *t, struct str line, struct tape_item *out)
{
    if (t->form == TAPE_UNKNOWN) {
        t->form = form_of(line);
    }
    switch (t->form) {
    case TAPE_UNKNOWN:
        break;
    case TAPE_RECORDING:
        return take_recording(t, line, out);
    case TAPE_STAMPED:
        return take_stamped(t, line, out);
    case TAPE_SESSION:
        return take_session(t, line, out);
    case TAPE_LABELLED:
        return take_labelled(t, line, out);
    case TAPE_BARE:
        return take_bare(t, line, out);
    }
    return refuse(t, ERR_SYNTAX, "it is of no known form");
}

enum err tape_next(struct tape_reader *t, struct tape_item *out)
{
    struct str line = {0};
    enum err e = OK;
    do {
        e = next_line(t, &line);
    } while (e == OK && line.len == 0);
    if (e == OK) {
        return take_line(t, line, out);
    }
    if (e == ERR_MORE && t->ended && t->at < t->bytes.len) {
        t->cut = t->bytes.len - t->at;
        t->at = t->looked = t->bytes.len;
    }
    return e;
}
