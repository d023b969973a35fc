/* SPDX-License-Identifier: MIT */
#include "app/outgoing.h"

#include "base/log.h"
#include "net/tls.h"

/* The host of no provider: what is said of it holds for all that nothing exempts. */
#define SOME_HOST STR("provider.invalid")

/* The proxy to nearly all, or else, which gives `*only`, that for plain addresses. */
static struct outward_proxy usual_proxy(const struct options *o, const char **only)
{
    struct outward_proxy p = outward_proxy_of(&o->outward, getenv, STR("https"), SOME_HOST);
    *only = "";
    if (!p.url) {
        p = outward_proxy_of(&o->outward, getenv, STR("http"), SOME_HOST);
        *only = " for http:// and ws:// only";
    }
    return p;
}

static void hide(const char *url)
{
    struct str secret = outward_proxy_secret(str_of(url ? url : ""));
    size_t colon = str_find(secret, ':', 0);
    if (secret.len > 0) {
        log_add_secret(secret);
    }
    if (colon != SIZE_MAX) {
        log_add_secret(str_from(secret, colon + 1));
    }
}

enum err outgoing_check(const struct options *o, struct buf *error)
{
    static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy",
                                        "ALL_PROXY"};
    struct tls_context *tls = NULL;
    hide(o->outward.proxy);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        hide(getenv(names[i]));
    }
    if (!o->outward.ca_file) {
        return OK;
    }
    struct buf why = {0};
    enum err e = tls_context_new_client(o->outward.ca_file, &tls, &why);
    if (e == OK) {
        tls_context_free(tls);
    } else {
        buf_printf(error, "COINCAST_CA_FILE: %s", buf_text(&why));
    }
    buf_fini(&why);
    return e;
}

void outgoing_text(const struct options *o, struct buf *out)
{
    const char *only = "";
    const struct outward_proxy proxy = usual_proxy(o, &only);
    const char *exempt = getenv("no_proxy");
    exempt = exempt && exempt[0] ? exempt : getenv("NO_PROXY");
    if (o->outward.ca_file) {
        buf_printf(out, "certificates of %s", o->outward.ca_file);
    } else {
        buf_add_lit(out, "the system's certificates");
    }
    if (!proxy.url) {
        buf_add_lit(out, ", no proxy");
        return;
    }
    buf_add_lit(out, ", proxy ");
    outward_mask_proxy(out, str_of(proxy.url));
    buf_printf(out, " of %s%s", proxy.from, only);
    if (exempt && exempt[0]) {
        buf_printf(out, ", but not for %s", exempt);
    }
}

void outgoing_log(const struct options *o)
{
    struct buf text = {0};
    const char *only = "";
    if (o->outward.ca_file || usual_proxy(o, &only).url) {
        outgoing_text(o, &text);
        log_info("serve", "connections to providers", "by=%s", log_quote(buf_str(&text)));
    }
    buf_fini(&text);
}
