/* SPDX-License-Identifier: MIT */
#include "sources/recorded.h"

#include "sources/host.h"

/* Between an error's word and a sentence that says more than the word's own. */
#define WHY_MARK ": "

/* The headers that the server acts on, and where an answer has them. */
static const struct {
    const char *name;
    size_t offset;
} headers[] = {
    {"etag", offsetof(struct fetch_answer, etag)},
    {"retry-after", offsetof(struct fetch_answer, retry_after)},
    {"x-coincast-upstream", offsetof(struct fetch_answer, upstream)},
    {"date", offsetof(struct fetch_answer, date)},
    {"content-type", offsetof(struct fetch_answer, content_type)},
    {"x-mbx-used-weight-1m", offsetof(struct fetch_answer, used_weight)},
};
_Static_assert(ARRAY_LEN(headers) <= RECORD_HEADERS_MAX, "all of them have room in an item");

void recorded_write(struct recorder *r, const struct clock *clock, const char *source,
                    struct str url, struct str purpose, const struct fetch_answer *a)
{
    struct buf masked = {0};
    if (!r) {
        return;
    }
    struct buf error = {0};
    fetch_mask_url(&masked, url);
    buf_printf(&error, "%s", fetch_error_word(a->err));
    if (a->err != OK && strcmp(a->why, fetch_why(a->err)) != 0) {
        buf_printf(&error, WHY_MARK "%s", a->why);
    }
    struct record item = {
        .time_ns = clock_wall_us(clock) * 1000,
        .source = str_of(source),
        .kind = RECORD_HTTP,
        .url = buf_str(&masked),
        .purpose = purpose,
        .error = buf_str(&error),
    };
    if (a->err == OK) {
        item.status = a->status;
        item.body = a->body;
    }
    for (size_t i = 0; i < ARRAY_LEN(headers) && a->err == OK; i++) {
        const struct str *value = (const void *)((const char *)a + headers[i].offset);
        if (value->len > 0) {
            item.headers[item.header_count].name = str_of(headers[i].name);
            item.headers[item.header_count++].value = *value;
        }
    }
    recorder_add(r, &item);
    buf_fini(&masked);
    buf_fini(&error);
}

bool recorded_read(const struct record *item, struct fetch_answer *out)
{
    if (item->kind != RECORD_HTTP || (item->status == 0) == (item->error.len == 0)) {
        return false;
    }
    static char why[HOST_REASON_LEN];
    size_t word = min_size(str_find_str(item->error, STR(WHY_MARK)), item->error.len);
    *out = (struct fetch_answer){.err = fetch_error_of_word(str_sub(item->error, 0, word)),
                                 .status = item->status,
                                 .body = item->body};
    snprintf(why, sizeof(why), "%.*s", STR_ARG(str_from(item->error, word + strlen(WHY_MARK))));
    out->why = why[0] ? why : fetch_why(out->err);
    for (size_t i = 0; i < item->header_count; i++) {
        for (size_t k = 0; k < ARRAY_LEN(headers); k++) {
            if (str_eq_nocase(item->headers[i].name, str_of(headers[k].name))) {
                *(struct str *)(void *)((char *)out + headers[k].offset) = item->headers[i].value;
            }
        }
    }
    return true;
}
