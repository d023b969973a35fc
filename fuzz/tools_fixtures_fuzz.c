/* A description of a recording (first line), a path (second), a query (third): reading and
 * choosing. SPDX-License-Identifier: MIT */
#include "tools/fixtures.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_make((const char *)data, size);
    struct str meta = STR(""), path = STR(""), query = STR("");
    (void)str_next(&rest, '\n', &meta);
    (void)str_next(&rest, '\n', &path);
    (void)str_next(&rest, '\n', &query);
    struct fixtures *f = fixtures_new();
    enum err e = fixtures_add(f, STR("fuzzed"), meta, STR("{}"));
    if (fixtures_count(f) != (e == OK ? 1u : 0u)) {
        abort();
    }
    const struct fixture *x = fixtures_choose(f, path, query);
    if (x) {
        struct answer a;
        answer_init(&a);
        fixture_answer(x, query, &a);
        if (str_find_str(buf_str(&a.headers), STR("\r\n\r\n")) != SIZE_MAX) {
            abort(); /* a recording must not end the head */
        }
        answer_fini(&a);
    }
    fixtures_free(f);
    return 0;
}
