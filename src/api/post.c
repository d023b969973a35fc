/* SPDX-License-Identifier: MIT */
#include "api/letters.h"
#include "api/session.h"
#include "base/alloc.h"
#include "wire/scan.h"

enum { MAX_MESSAGES = 10000, MAX_DATA = 1 << 20 };

static bool read_item(struct scan *s, struct post_item *item, size_t index, char *why)
{
    struct str key;
    struct str raw;
    const char *reason = NULL;
    *item = (struct post_item){0};
    if (!scan_object(s)) {
        snprintf(why, POST_PROBLEM_LEN,
                 "Message %zu is no object; send {\"channel\":\"app:name\",\"data\":...}.", index);
        return false;
    }
    while (scan_key(s, &key)) {
        if (scan_string_is(key, STR("channel"))) {
            if (!scan_string(s, &item->channel)) {
                snprintf(why, POST_PROBLEM_LEN, "Message %zu: channel must be a string.", index);
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
        snprintf(why, POST_PROBLEM_LEN,
                 "Message %zu: channel must be \"app:\" and 1 to 100 of A-Z a-z 0-9 . _ : -.",
                 index);
        return false;
    }
    if (!item->data.len) {
        snprintf(why, POST_PROBLEM_LEN, "Message %zu has no data; any JSON value will do.", index);
        return false;
    }
    if (item->data.len > MAX_DATA) {
        snprintf(why, POST_PROBLEM_LEN, "Message %zu: data is over %d bytes.", index, MAX_DATA);
        return false;
    }
    return true;
}

enum err post_read(struct post *p, struct str text, char why[POST_PROBLEM_LEN])
{
    struct scan s;
    size_t cap = 1;
    p->text = mem_copy_text(text.ptr, text.len);
    scan_begin(&s, str_make(p->text, text.len));
    p->items = mem_array(cap, sizeof(*p->items));
    if (scan_peek(&s) == SCAN_ARRAY && scan_array(&s)) {
        while (scan_item(&s)) {
            if (p->count == MAX_MESSAGES) {
                snprintf(why, POST_PROBLEM_LEN, "A list may hold at most %d messages.",
                         MAX_MESSAGES);
                return ERR_SYNTAX;
            }
            if (p->count == cap) {
                cap *= 4;
                p->items = mem_resize(p->items, cap * sizeof(*p->items));
            }
            if (!read_item(&s, &p->items[p->count], p->count, why)) {
                return ERR_SYNTAX;
            }
            p->count++;
        }
    } else if (scan_peek(&s) == SCAN_OBJECT) {
        if (!read_item(&s, &p->items[0], 0, why)) {
            return ERR_SYNTAX;
        }
        p->count = 1;
    } else if (!s.error) {
        snprintf(why, POST_PROBLEM_LEN,
                 "The body must be {\"channel\":...,\"data\":...} or a list of them.");
        return ERR_SYNTAX;
    }
    if (scan_end(&s) != OK) {
        snprintf(why, POST_PROBLEM_LEN, "The body is not JSON: %s at byte %zu.",
                 s.error ? s.error : "something follows the document", (size_t)(s.at - s.start));
        return ERR_SYNTAX;
    }
    return OK;
}

void post_free(struct post *p)
{
    mem_free(p->text);
    mem_free(p->items);
    mem_free(p);
}
