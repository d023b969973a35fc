/* The parser of redis:// URLs: never reads outside the text, never repeats it in the sentence about
 * an error, and what it accepts is bounded and complete. SPDX-License-Identifier: MIT */
#include "store/redis_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct redis_url u;
    struct buf error = {0};
    enum err e = redis_url_parse(str_make((const char *)data, size), &u, &error);
    if (e == OK) {
        bool sound = u.host[0] && strlen(u.host) <= REDIS_URL_HOST_MAX && u.port &&
                     error.len == 0 && (!u.user[0] || u.password[0]);
        if (!sound) {
            abort();
        }
    } else if (error.len == 0) {
        abort();
    }
    buf_fini(&error);
    return 0;
}
