/* Who is at the other end: addresses as bytes, what counts as one client, and how many conns each
 * has. SPDX-License-Identifier: MIT */
#include "base/tally.h"
#include "net/conn.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

void peer_of_address(const struct sockaddr *addr, uint8_t out[16])
{
    memset(out, 0, 16);
    if (addr->sa_family == AF_INET) {
        memcpy(out, mapped, sizeof(mapped));
        memcpy(out + 12, &((const struct sockaddr_in *)(const void *)addr)->sin_addr, 4);
    } else if (addr->sa_family == AF_INET6) {
        memcpy(out, &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr, 16);
    }
}

bool peer_is_loopback(const uint8_t peer[16])
{
    static const uint8_t v6[16] = {[15] = 1};
    return (!memcmp(peer, mapped, sizeof(mapped)) && peer[12] == 127) || !memcmp(peer, v6, 16);
}

/* What counts as one client: an IPv4 address, or the /64 an IPv6 customer gets. */
static struct str peer_key(const uint8_t peer[16])
{
    return str_make((const char *)peer, memcmp(peer, mapped, sizeof(mapped)) ? 8 : 16);
}

struct str conn_peer_key(const struct conn *c)
{
    return peer_key(c->peer);
}

/* ---- how many ---- */

bool peer_count(struct net_server *s, const uint8_t peer[16], size_t most, uint32_t *flags)
{
    bool loopback = peer_is_loopback(peer);
    bool counts = s->opts.max_conns_per_ip && (!loopback || s->opts.limit_loopback);
    bool fits = counts && tally_add(s->conns_of, peer_key(peer), most);
    *flags = (loopback ? CF_LOOPBACK : 0) | (fits ? CF_COUNTED : 0);
    return fits || !counts;
}

void peer_uncount(struct net_server *s, const uint8_t peer[16], uint32_t flags)
{
    if (flags & CF_COUNTED) {
        tally_remove(s->conns_of, peer_key(peer));
    }
}

/* ---- behind a proxy ---- */

/* "192.0.2.1", "192.0.2.1:4711", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:4711". */
static bool read_address(struct str text, uint8_t out[16])
{
    char name[INET6_ADDRSTRLEN];
    uint8_t v4[4];
    if (text.len && text.ptr[0] == '[') {
        text = str_sub(text, 1, str_find(text, ']', 1) - 1);
    } else if (str_find(text, '.', 0) != SIZE_MAX && str_find(text, ':', 0) != SIZE_MAX &&
               str_find(text, ':', 0) > str_find(text, '.', 0)) {
        text = str_sub(text, 0, str_find(text, ':', 0));
    }
    if (text.len == 0 || text.len >= sizeof(name)) {
        return false;
    }
    memcpy(name, text.ptr, text.len);
    name[text.len] = '\0';
    if (inet_pton(AF_INET, name, v4) == 1) {
        memcpy(out, mapped, sizeof(mapped));
        memcpy(out + 12, v4, sizeof(v4));
        return true;
    }
    return inet_pton(AF_INET6, name, out) == 1;
}

struct str net_forwarded_key(struct str forwarded_for, uint8_t peer[16], bool *loopback)
{
    size_t from = forwarded_for.len;
    while (from > 0 && forwarded_for.ptr[from - 1] != ',') {
        from--;
    }
    if (!read_address(str_trim(str_from(forwarded_for, from)), peer)) {
        return (struct str){0};
    }
    *loopback = peer_is_loopback(peer);
    return peer_key(peer);
}
