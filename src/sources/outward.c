/* SPDX-License-Identifier: MIT */
#include "sources/outward.h"

#include <arpa/inet.h>

/* ---- addresses ---- */

struct address {
    size_t len; /* 4 or 16; 0: a name */
    uint8_t bytes[16];
};

static struct address address_of(struct str text)
{
    struct address a = {0};
    char host[INET6_ADDRSTRLEN];
    if (text.len >= sizeof(host)) {
        return a;
    }
    snprintf(host, sizeof(host), "%.*s", STR_ARG(text));
    if (inet_pton(AF_INET, host, a.bytes) == 1) {
        a.len = 4;
    } else if (inet_pton(AF_INET6, host, a.bytes) == 1) {
        a.len = 16;
    }
    return a;
}

static bool same_bits(const struct address *a, const struct address *b, uint64_t bits)
{
    if (a->len == 0 || a->len != b->len || bits > a->len * 8) {
        return false;
    }
    size_t whole = (size_t)(bits / 8);
    unsigned rest = (unsigned)(bits % 8);
    return memcmp(a->bytes, b->bytes, whole) == 0 &&
           (rest == 0 || (a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest) == 0);
}

/* ---- who needs none ---- */

static struct str without_brackets(struct str s)
{
    return s.len >= 2 && s.ptr[0] == '[' && s.ptr[s.len - 1] == ']' ? str_sub(s, 1, s.len - 2) : s;
}

/* A name that is the host or a domain it lies in. */
static bool name_covers(struct str name, struct str host)
{
    while (name.len > 0 && name.ptr[0] == '.') {
        name = str_from(name, 1);
    }
    if (name.len == 0 || name.len > host.len) {
        return false;
    }
    struct str tail = str_from(host, host.len - name.len);
    return str_eq_nocase(tail, name) &&
           (tail.len == host.len || host.ptr[host.len - tail.len - 1] == '.');
}

static bool entry_covers(struct str entry, struct str host, const struct address *address)
{
    size_t slash = str_find(entry, '/', 0);
    struct address own =
        address_of(without_brackets(str_sub(entry, 0, min_size(slash, entry.len))));
    uint64_t bits = own.len * 8;
    if (str_eq(entry, STR("*"))) {
        return true;
    }
    if (own.len == 0) {
        return address->len == 0 && name_covers(entry, host);
    }
    if (slash != SIZE_MAX && str_to_u64(str_from(entry, slash + 1), &bits) != OK) {
        return false;
    }
    return same_bits(&own, address, bits);
}

bool outward_is_exempt(struct str list, struct str host)
{
    struct address address = address_of(host);
    while (host.len > 0 && host.ptr[host.len - 1] == '.') {
        host.len--;
    }
    for (size_t at = 0, end = 0; at < list.len; at = end + 1) {
        for (end = at; end < list.len && list.ptr[end] != ',' && list.ptr[end] != ' '; end++) {
        }
        if (end > at && entry_covers(str_sub(list, at, end - at), host, &address)) {
            return true;
        }
    }
    return false;
}

bool outward_is_loopback(struct str host)
{
    return outward_is_exempt(STR("localhost,127.0.0.0/8,::1"), host);
}

/* ---- the choice ---- */

static struct outward_proxy first_of(outward_env_fn env, const char *const *names)
{
    for (; *names; names++) {
        const char *value = env(*names);
        if (value && value[0]) {
            return (struct outward_proxy){.url = value, .from = *names};
        }
    }
    return (struct outward_proxy){0};
}

struct outward_proxy outward_proxy_of(const struct outward *o, outward_env_fn env,
                                      struct str scheme, struct str host)
{
    static const char *const exempt[] = {"no_proxy", "NO_PROXY", NULL};
    static const char *const plain[] = {"http_proxy", "all_proxy", "ALL_PROXY", NULL};
    static const char *const secure[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
                                         NULL};
    bool tls = str_eq(scheme, STR("https")) || str_eq(scheme, STR("wss"));
    const char *list = first_of(env, exempt).url;
    if (outward_is_loopback(host) || (list && outward_is_exempt(str_of(list), host))) {
        return (struct outward_proxy){0};
    }
    if (o && o->proxy && o->proxy[0]) {
        return (struct outward_proxy){.url = o->proxy, .from = "COINCAST_PROXY"};
    }
    return first_of(env, tls ? secure : plain);
}

/* ---- to be shown ---- */

struct str outward_proxy_secret(struct str url)
{
    size_t scheme = str_find_str(url, STR("://"));
    size_t begin = scheme == SIZE_MAX ? 0 : scheme + 3;
    for (size_t i = url.len; i > begin; i--) {
        if (url.ptr[i - 1] == '@') {
            return str_sub(url, begin, i - 1 - begin);
        }
    }
    return (struct str){0};
}

void outward_mask_proxy(struct buf *out, struct str url)
{
    struct str secret = outward_proxy_secret(url);
    if (secret.len == 0) {
        buf_add_str(out, url);
        return;
    }
    buf_add(out, url.ptr, (size_t)(secret.ptr - url.ptr));
    buf_add_lit(out, "***");
    buf_add_str(out, str_from(url, (size_t)(secret.ptr - url.ptr) + secret.len));
}
