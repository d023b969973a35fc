/* outward: how connections to the world are made: whose certificates are trusted, and which proxy
 * is between. Pure but for the environment, which is an argument.
 *
 * A proxy is that of the settings, else that of the environment by the names curl documents:
 * https_proxy, HTTPS_PROXY for https:// and wss://; http_proxy for http:// and ws:// (the name in
 * capitals is left out, as curl does: a CGI program may get it from a client); then all_proxy,
 * ALL_PROXY. Hosts of no_proxy, NO_PROXY, and all of loopback, are dialled directly.
 * SPDX-License-Identifier: MIT */
#ifndef SOURCES_OUTWARD_H
#define SOURCES_OUTWARD_H
#include "base/buf.h"
#include "base/str.h"

/* Texts are borrowed for as long as connections are made. */
struct outward {
    const char *ca_file; /* PEM: these and no others are trusted; NULL: the system's */
    const char *proxy;   /* [http|https|socks4|socks4a|socks5|socks5h]://[user:password@]host:port;
                            NULL: as the environment says */
};

/* As getenv(); an empty value counts as none. */
typedef char *(*outward_env_fn)(const char *name);

struct outward_proxy {
    const char *url;  /* borrowed of the settings or the environment; NULL: dialled directly */
    const char *from; /* "COINCAST_PROXY", "https_proxy" ...; NULL with `url` */
};

/* The proxy for a host. `scheme`: http, https, ws or wss; `host` without brackets. */
struct outward_proxy outward_proxy_of(const struct outward *o, outward_env_fn env,
                                      struct str scheme, struct str host);
/* Whether `host` is one of `list`: names and those below them, with or without a dot in front;
 * addresses; networks as 10.0.0.0/8; "*" for all; separated by commas or blanks. */
bool outward_is_exempt(struct str list, struct str host);
/* 127.0.0.0/8, ::1, localhost. */
bool outward_is_loopback(struct str host);
/* Appends a proxy's URL with "***" for user and password. */
void outward_mask_proxy(struct buf *out, struct str url);
/* User and password as they stand in it, for log_add_secret(); empty: none. */
struct str outward_proxy_secret(struct str url);

#endif
