/* SPDX-License-Identifier: MIT */
#include "tools/player.h"

#include "base/alloc.h"
#include "base/json.h"
#include "tools/frames.h"

#define AT_ONCE 256 /* frames in one go, so that others get their turn */

struct playback {
    const struct player *player;
    enum venue venue;
    void *conn;
    bool wraps;      /* Binance: /stream */
    struct buf keys; /* what is subscribed, each "\nkey\n" */
    bool plays;
    uint64_t began_ms;
    size_t next;
    struct timer timer;
    bool inside, gone; /* a call that holds it; closed meanwhile */
};

/* ---- playing ---- */

static bool is_wanted(const struct playback *b, struct str key)
{
    struct str keys = buf_str(&b->keys);
    if (key.len == 0) {
        return true;
    }
    for (size_t at = str_find_str(keys, key); at != SIZE_MAX;) {
        if (keys.ptr[at - 1] == '\n' && keys.ptr[at + key.len] == '\n') {
            return true;
        }
        size_t more = str_find_str(str_from(keys, at + 1), key);
        at = more == SIZE_MAX ? SIZE_MAX : at + 1 + more;
    }
    return false;
}

/* A frame of the combined address, for a client of the raw one. */
static struct str unwrapped(struct str text)
{
    size_t at = str_find_str(text, STR("\"data\":"));
    return str_starts(text, STR("{\"stream\":")) && at != SIZE_MAX && str_ends(text, STR("}"))
               ? str_sub(text, at + 7, text.len - at - 8)
               : text;
}

static uint64_t due_ms(const struct playback *b, const struct reel_frame *f)
{
    double speed = b->player->speed;
    return b->began_ms + (speed > 0 ? (uint64_t)((double)f->at_ns / 1e6 / speed) : 0);
}

static void on_due(void *self)
{
    struct playback *b = self;
    const struct reel *r = b->player->reel;
    struct loop *l = b->player->loop;
    size_t sent = 0;
    b->inside = true;
    while (!b->gone && b->next < r->count[b->venue] && sent < AT_ONCE) {
        const struct reel_frame *f = &r->frames[b->venue][b->next];
        if (due_ms(b, f) > loop_now_ms(l)) {
            break;
        }
        b->next++;
        if (is_wanted(b, f->key)) {
            bool raw = b->venue == VENUE_BINANCE && !b->wraps;
            b->player->ops->send(b->conn, raw ? unwrapped(f->text) : f->text);
            sent++;
        }
    }
    b->inside = false;
    if (b->gone) {
        player_close(b);
    } else if (b->next < r->count[b->venue]) {
        uint64_t due = due_ms(b, &r->frames[b->venue][b->next]);
        timer_start(l, &b->timer, due, on_due, b);
    }
}

static void add_key(struct playback *b, struct str channel, struct str symbol)
{
    buf_add_str(&b->keys, b->keys.len ? STR("") : STR("\n"));
    buf_add_str(&b->keys, channel);
    buf_add_str(&b->keys, symbol.len ? STR(" ") : STR(""));
    buf_add_str(&b->keys, symbol);
    buf_add_char(&b->keys, '\n');
    if (!b->plays) {
        b->plays = true;
        b->began_ms = loop_now_ms(b->player->loop);
        timer_start(b->player->loop, &b->timer, b->began_ms, on_due, b);
    }
}

static void send_text(struct playback *b, struct buf *text)
{
    b->player->ops->send(b->conn, buf_str(text));
    buf_fini(text);
}

/* ---- what clients say ---- */

static struct str text_at(const struct json *list, size_t i)
{
    struct str s = STR("");
    (void)json_get_str(json_at(list, i), &s);
    return s;
}

static void take_binance(struct playback *b, const struct json *root)
{
    const struct json *params = json_get(root, "params");
    struct str method = STR("");
    struct buf text = {0};
    int64_t id = 0;
    (void)json_get_str(json_get(root, "method"), &method);
    for (size_t i = 0; str_eq(method, STR("SUBSCRIBE")) && i < json_count(params); i++) {
        add_key(b, text_at(params, i), STR(""));
    }
    (void)json_get_i64(json_get(root, "id"), &id);
    buf_printf(&text, "{\"result\":null,\"id\":%lld}", (long long)id);
    send_text(b, &text);
}

/* Exchange names `channels`, each alone or with products of its own; Advanced Trade one `channel`.
 */
static void take_coinbase(struct playback *b, const struct json *root)
{
    const struct json *channels = json_get(root, "channels"), *all = json_get(root, "product_ids");
    struct str one = STR("");
    struct buf text = {0};
    buf_add_lit(&text, "{\"type\":\"subscriptions\",\"channels\":[");
    for (size_t i = 0; i < json_count(channels); i++) {
        const struct json *c = json_at(channels, i), *own = json_get(c, "product_ids");
        const struct json *products = own ? own : all;
        struct str name = STR("");
        (void)(json_get_str(c, &name) || json_get_str(json_get(c, "name"), &name));
        buf_add_str(&text, i ? STR(",{\"name\":") : STR("{\"name\":"));
        json_escape(&text, name);
        buf_add_lit(&text, ",\"product_ids\":[");
        for (size_t k = 0; k < json_count(products); k++) {
            buf_add_str(&text, k ? STR(",") : STR(""));
            json_escape(&text, text_at(products, k));
            add_key(b, reel_coinbase_channel(name), text_at(products, k));
        }
        buf_add_lit(&text, "],\"account_ids\":null}");
    }
    buf_add_lit(&text, "]}");
    if (json_get_str(json_get(root, "channel"), &one)) {
        add_key(b, reel_coinbase_channel(one), STR(""));
        buf_fini(&text);
    } else {
        send_text(b, &text);
    }
}

static void take_kraken(struct playback *b, const struct json *root)
{
    const struct json *params = json_get(root, "params"), *symbols = json_get(params, "symbol");
    struct str method = STR(""), channel = STR("");
    int64_t now = loop_wall_ms(b->player->loop);
    (void)json_get_str(json_get(root, "method"), &method);
    (void)json_get_str(json_get(params, "channel"), &channel);
    for (size_t i = 0; i < json_count(symbols); i++) {
        struct buf text = {0};
        buf_add_lit(&text, "{\"method\":");
        json_escape(&text, method);
        buf_add_lit(&text, ",\"result\":{\"channel\":");
        json_escape(&text, channel);
        buf_add_lit(&text, ",\"symbol\":");
        json_escape(&text, text_at(symbols, i));
        buf_add_lit(&text, "},\"success\":true,\"time_in\":\"");
        frame_add_time(&text, now, 0);
        buf_add_lit(&text, "\",\"time_out\":\"");
        frame_add_time(&text, now, 0);
        buf_add_lit(&text, "\"}");
        if (str_eq(method, STR("subscribe"))) {
            add_key(b, channel, text_at(symbols, i));
        }
        send_text(b, &text);
    }
}

struct playback *player_open(const struct player *p, enum venue v, void *conn, struct str path,
                             struct str query)
{
    struct playback *b = mem_zero(sizeof(*b));
    struct str rest = STR(""), name;
    struct buf text = {0};
    b->player = p;
    b->venue = v;
    b->conn = conn;
    b->wraps = str_eq(path, STR("/stream"));
    if (v == VENUE_KRAKEN) {
        frame_kraken_status(&text, 1);
        send_text(b, &text);
    } else if (v == VENUE_BINANCE && str_starts(path, STR("/ws/"))) {
        rest = str_from(path, 4);
    } else if (v == VENUE_BINANCE && str_starts(query, STR("streams="))) {
        rest = str_from(query, 8);
    }
    while (str_next(&rest, '/', &name)) {
        add_key(b, name, STR(""));
    }
    return b;
}

void player_take(struct playback *b, struct str text)
{
    struct json *root = NULL;
    b->inside = true;
    if (json_parse(text, &root, NULL) == OK && json_kind(root) == JSON_OBJECT) {
        switch (b->venue) {
        case VENUE_BINANCE:
            take_binance(b, root);
            break;
        case VENUE_COINBASE:
            take_coinbase(b, root);
            break;
        case VENUE_KRAKEN:
            take_kraken(b, root);
            break;
        case VENUE_COUNT:
            break;
        }
    }
    json_free(root);
    b->inside = false;
    if (b->gone) {
        player_close(b);
    }
}

void player_close(struct playback *b)
{
    timer_stop(b->player->loop, &b->timer);
    if (b->inside) {
        b->gone = true;
        return;
    }
    buf_fini(&b->keys);
    mem_free(b);
}
