/* SPDX-License-Identifier: MIT */
#include "sources/judge.h"

void saved_clear(struct saved_reading *saved)
{
    buf_fini(&saved->etag);
    buf_fini(&saved->body);
}

struct str saved_etag(const struct saved_reading *saved)
{
    return buf_str(&saved->etag);
}

/* The status stands against the answer, whatever its body holds. `e` and `why` are the body's own
 * verdict: its words are kept when it had some. */
static enum err judge_status(const struct provider *provider, const struct fetch_answer *a,
                             enum err e, struct buf *why)
{
    const char *title = provider->title;
    /* With a secret it is the secret that is refused: asking again would not help. */
    enum err refused = provider->wants_secret ? ERR_DENIED : ERR_UNAVAILABLE;
    /* A page of HTML from a gateway says less than its status does. */
    if (e == OK || e == ERR_SYNTAX || e == ERR_RANGE || e == ERR_NOT_FOUND) {
        bool words = e == ERR_NOT_FOUND && a->status == 404;
        if (!words) {
            buf_clear(why);
            buf_printf(why, "%s answered with HTTP status %d", title, a->status);
            e = ERR_UNAVAILABLE;
        }
    } else {
        buf_printf(why, " (HTTP status %d)", a->status);
    }
    switch (a->status) {
    case 418:
    case 429:
        return ERR_LIMIT;
    case 401:
        return refused;
    case 403:
        return e == ERR_LIMIT ? e : read_kind(a->body, refused);
    case 451:
        buf_clear(why);
        buf_printf(why, "%s is blocked in this region (HTTP status 451)", title);
        return refused;
    default:
        return e;
    }
}

static void save(struct saved_reading *saved, const struct fetch_answer *a)
{
    buf_clear(&saved->etag);
    buf_clear(&saved->body);
    if (a->etag.len > 0) {
        buf_add_str(&saved->etag, a->etag);
        buf_add_str(&saved->body, a->body);
    }
}

enum err judge_answer(const struct endpoint *row, const struct fetch_answer *a,
                      struct saved_reading *saved, struct reading *out, struct buf *why)
{
    const char *title = provider_row(row->provider)->title;
    reading_clear(out);
    if (a->err != OK) {
        buf_printf(why, "%s: %s", title, a->why);
        /* ERR_LIMIT and ERR_DENIED are words of the provider; what the transfer met is neither. */
        return a->err == ERR_TIMEOUT ? ERR_TIMEOUT : ERR_IO;
    }
    if (a->status == 304 && saved->etag.len > 0) {
        return row->parse(buf_str(&saved->body), out, why);
    }
    enum err e = row->parse(a->body, out, why);
    if (a->status != 200) {
        e = judge_status(provider_row(row->provider), a, e, why);
        reading_clear(out);
        return e;
    }
    if (e == OK) {
        save(saved, a);
    } else {
        reading_clear(out);
    }
    return e;
}

void endpoint_url(const struct endpoint *row, struct str base, struct str secret, struct buf *out)
{
    struct str path = str_of(row->path);
    struct str mark = STR("{secret}");
    size_t at = str_find_str(path, mark);
    buf_add_str(out, base);
    if (at == SIZE_MAX) {
        buf_add_str(out, path);
        return;
    }
    buf_add_str(out, str_sub(path, 0, at));
    fetch_escape(out, secret);
    buf_add_str(out, str_from(path, at + mark.len));
}
