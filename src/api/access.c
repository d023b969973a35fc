/* Who may ask: origin, host, token. SPDX-License-Identifier: MIT */
#include "api/session.h"
#include "base/throttle.h"

/* "http://host[:port]" against the request's own Host. */
static bool same_origin(struct str origin, struct str host, bool tls)
{
    struct str scheme = tls ? STR("https://") : STR("http://");
    return str_starts(origin, scheme) && host.len &&
           str_eq_nocase(str_from(origin, scheme.len), host);
}

static bool listed(const char *origins, struct str origin)
{
    struct str rest = str_of(origins);
    struct str one;
    while (str_next(&rest, ',', &one)) {
        if (str_eq_nocase(str_trim(one), origin)) {
            return true;
        }
    }
    return false;
}

bool origin_named(const struct api_settings *settings, const struct http_request *r)
{
    return listed(settings->origins, http_request_header(r, STR("Origin")));
}

bool origin_allowed(const struct api_settings *settings, const struct http_request *r, bool tls,
                    struct buf *cors)
{
    struct str origin = http_request_header(r, STR("Origin"));
    if (!origin.ptr || same_origin(origin, r->host, tls)) {
        return true;
    }
    if (str_eq(origin, STR("null")) ||
        (!listed(settings->origins, origin) && !listed(settings->origins, STR("*")))) {
        return false;
    }
    if (cors) {
        buf_add_lit(cors, "Access-Control-Allow-Origin: ");
        buf_add_str(cors, origin);
        buf_add_lit(cors, "\r\nVary: Origin\r\n");
    }
    return true;
}

/* "127." and three more numbers: a name may begin like that, too. */
static bool is_loopback_number(struct str host)
{
    size_t dots = 0;
    for (size_t i = 0; i < host.len; i++) {
        dots += host.ptr[i] == '.';
        if (host.ptr[i] != '.' && (host.ptr[i] < '0' || host.ptr[i] > '9')) {
            return false;
        }
    }
    return dots == 3 && str_starts(host, STR("127."));
}

bool host_allowed(const struct api_settings *settings, const struct http_request *r)
{
    struct str host = r->host;
    if (!settings->loopback_only || !host.ptr) {
        return true;
    }
    if (host.len && host.ptr[0] == '[') {
        return str_eq(host, STR("[::1]")) || str_starts(host, STR("[::1]:"));
    }
    size_t colon = str_find(host, ':', 0);
    host = str_sub(host, 0, colon == SIZE_MAX ? host.len : colon);
    return str_eq_nocase(host, STR("localhost")) || is_loopback_number(host) ||
           str_ends(host, STR(".localhost"));
}

enum token_check check_token(const struct api_settings *settings, const struct http_request *r)
{
    struct str given = http_request_header(r, STR("Authorization"));
    if (!given.ptr || given.len < 7 || !str_eq_nocase(str_sub(given, 0, 7), STR("Bearer "))) {
        return TOKEN_NONE;
    }
    given = str_trim(str_from(given, 7));
    if (!settings->token || !str_eq_secret(given, str_of(settings->token))) {
        return TOKEN_WRONG;
    }
    return TOKEN_RIGHT;
}

bool rate_holds(const struct api_shard *s, const struct conn *c)
{
    const struct api_settings *o = s->opts.settings;
    return s->opts.requests && (!conn_peer_is_loopback(c) || o->limit_loopback || o->trusted_proxy);
}

/* Who asks: the peer, or whom the proxy that is trusted speaks for. */
static struct str asker(const struct api_shard *s, const struct conn *c,
                        const struct http_request *r, uint8_t peer[16], bool *loopback)
{
    struct str key = {0};
    if (s->opts.settings->trusted_proxy) {
        struct buf all = {0};
        if (http_request_header_all(r, STR("X-Forwarded-For"), &all)) {
            key = net_forwarded_key(buf_str(&all), peer, loopback);
        }
        buf_fini(&all);
    }
    if (!key.len) {
        key = conn_peer_key(c);
        *loopback = conn_peer_is_loopback(c);
    }
    return key;
}

bool rate_allows(struct api_shard *s, struct conn *c, const struct http_request *r,
                 unsigned *retry_s)
{
    const struct api_settings *o = s->opts.settings;
    struct session *session = session_of(c);
    uint8_t peer[16];
    bool loopback = false;
    uint64_t wait_us = 0;
    struct str key = asker(s, c, r, peer, &loopback);
    if (loopback && !o->limit_loopback) {
        return true;
    }
    if (throttle_take(s->opts.requests, key, loop_now_us(s->loop), &wait_us)) {
        /* Guessing tokens is held to the rate; publishing with the right one is not. */
        session->publishes = session->publishes || check_token(o, r) == TOKEN_RIGHT;
        return true;
    }
    *retry_s = (unsigned)((wait_us + 999999) / 1000000);
    return session->publishes && check_token(o, r) == TOKEN_RIGHT;
}
