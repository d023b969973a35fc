/* POST /api/v1/publish: reads one message or a list, and sends it to the main half as slices of one
 * copied text, so that `data` reaches subscribers byte for byte. SPDX-License-Identifier: MIT */
#include "api/session.h"
#include "base/alloc.h"
#include "wire/scan.h"

enum { MAX_MESSAGES = 10000, MAX_DATA = 1 << 20 };

/* What was wrong with a body, as a 422 says it. */
struct refusal {
    char text[200];
};

static bool read_item(struct scan *s, struct post_item *item, size_t index, struct refusal *why)
{
    struct str key;
    struct str raw;
    const char *reason = NULL;
    *item = (struct post_item){0};
    if (!scan_object(s)) {
        snprintf(why->text, sizeof(why->text),
                 "Message %zu is no object; send {\"channel\":\"app:name\",\"data\":...}.", index);
        return false;
    }
    while (scan_key(s, &key)) {
        if (scan_string_is(key, STR("channel"))) {
            if (!scan_string(s, &item->channel)) {
                snprintf(why->text, sizeof(why->text), "Message %zu: channel must be a string.",
                         index);
                return false;
            }
        } else if (scan_string_is(key, STR("data"))) {
            if (scan_skip(s, &raw)) {
                item->data = raw;
            }
        }
    }
    if (s->error) {
        return true; /* the caller reports the syntax */
    }
    if (!channel_valid(item->channel, &reason) || !str_starts(item->channel, STR("app:"))) {
        snprintf(why->text, sizeof(why->text),
                 "Message %zu: channel must be \"app:\" and 1 to 100 of A-Z a-z 0-9 . _ : -.",
                 index);
        return false;
    }
    if (!item->data.len) {
        snprintf(why->text, sizeof(why->text), "Message %zu has no data; any JSON value will do.",
                 index);
        return false;
    }
    if (item->data.len > MAX_DATA) {
        snprintf(why->text, sizeof(why->text), "Message %zu: data is over %d bytes.", index,
                 MAX_DATA);
        return false;
    }
    return true;
}

/* One object, or a list of them. False: `why` says what was wrong. */
static bool read_post(struct post *p, struct str text, struct refusal *why)
{
    struct scan s;
    size_t cap = 1;
    scan_begin(&s, text);
    p->items = mem_array(cap, sizeof(*p->items));
    if (scan_peek(&s) == SCAN_ARRAY && scan_array(&s)) {
        while (scan_item(&s)) {
            if (p->count == MAX_MESSAGES) {
                snprintf(why->text, sizeof(why->text), "A list may hold at most %d messages.",
                         MAX_MESSAGES);
                return false;
            }
            if (p->count == cap) {
                cap *= 4;
                p->items = mem_resize(p->items, cap * sizeof(*p->items));
            }
            if (!read_item(&s, &p->items[p->count], p->count, why)) {
                return false;
            }
            p->count++;
        }
    } else if (scan_peek(&s) == SCAN_OBJECT) {
        if (!read_item(&s, &p->items[0], 0, why)) {
            return false;
        }
        p->count = 1;
    } else if (!s.error) {
        snprintf(why->text, sizeof(why->text),
                 "The body must be {\"channel\":...,\"data\":...} or a list of them.");
        return false;
    }
    if (scan_end(&s) != OK) {
        snprintf(why->text, sizeof(why->text), "The body is not JSON: %s at byte %zu.",
                 s.error ? s.error : "something follows the document", (size_t)(s.at - s.start));
        return false;
    }
    return true;
}

void route_publish(struct api_shard *s, struct conn *c, const struct http_request *r,
                   struct str body)
{
    switch (check_token(s->opts.settings, r)) {
    case TOKEN_NONE:
        reply_problem(c, 401, "Unauthorized",
                      "Publishing needs the header Authorization: Bearer TOKEN.",
                      STR("WWW-Authenticate: Bearer\r\n"));
        return;
    case TOKEN_WRONG:
        if (s->opts.settings->token) {
            reply_problem(c, 401, "Unauthorized", "This token is not known here.",
                          STR("WWW-Authenticate: Bearer error=\"invalid_token\"\r\n"));
        } else {
            reply_problem(c, 403, "Forbidden",
                          "Publishing is off: the server was started without COINCAST_API_TOKEN.",
                          (struct str){0});
        }
        return;
    case TOKEN_RIGHT:
        break;
    }
    struct post *p = mem_zero(sizeof(*p));
    struct refusal why = {{0}};
    p->text = mem_copy_text(body.ptr, body.len);
    if (!read_post(p, str_make(p->text, body.len), &why)) {
        reply_problem(c, 422, "Unprocessable Content", why.text, (struct str){0});
        post_free(p);
        return;
    }
    p->shard = s;
    p->ticket = session_wait(s, c);
    if (!mailbox_post(s->opts.main_mail, letter_publish, s->opts.main, p, 0)) {
        list_remove(&session_of(c)->node);
        session_of(c)->ticket = 0;
        reply_problem(c, 503, "Service Unavailable",
                      "The server is taking as many messages as it can; try again in a second.",
                      STR("Retry-After: 1\r\n"));
        post_free(p);
    }
}

void letter_published(void *self, void *owned_published, uint64_t ticket)
{
    struct api_shard *s = self;
    struct published *done = owned_published;
    list_each (it, &s->waiting) {
        struct session *session = containerof(it, struct session, node);
        if (session->ticket != ticket) {
            continue;
        }
        struct conn *c = conn_of(session);
        list_remove(&session->node);
        session->ticket = 0;
        if (done->problem) {
            reply_problem(c, done->status, "Service Unavailable", done->problem, (struct str){0});
            break;
        }
        char text[96];
        int n = snprintf(text, sizeof(text), "{\"accepted\":%zu,\"cursor\":\"%s\"}", done->accepted,
                         done->cursor);
        conn_reply(c, &(struct http_reply){.status = 200,
                                           .content_type = STR("application/json"),
                                           .headers = STR("Cache-Control: no-store\r\n"),
                                           .body = str_make(text, (size_t)n)});
        break;
    }
    mem_free(done);
}
