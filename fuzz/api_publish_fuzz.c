/* A publish body: what is taken is JSON for a channel of one's own, in slices of the copy.
 * SPDX-License-Identifier: MIT */
#include "api/letters.h"
#include "api/wishes.h"
#include "base/alloc.h"
#include "wire/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool fine)
{
    if (!fine) {
        abort();
    }
}

static void check_item(const struct post *p, size_t size, const struct post_item *item)
{
    struct scan s;
    const char *why = NULL;
    check(item->data.ptr >= p->text && item->data.ptr + item->data.len <= p->text + size);
    scan_begin(&s, item->data);
    check(scan_skip(&s, NULL) && scan_end(&s) == OK);
    check(channel_valid(item->channel, &why) && str_starts(item->channel, STR("app:")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct post *p = mem_zero(sizeof(*p));
    char why[POST_PROBLEM_LEN] = "";
    enum err e = post_read(p, str_make((const char *)data, size), why);
    check((e == OK) == (why[0] == '\0'));
    for (size_t i = 0; e == OK && i < p->count; i++) {
        check_item(p, size, &p->items[i]);
    }
    post_free(p);
    return 0;
}
