/* SPDX-License-Identifier: MIT */
#include "store/resolve.h"

#include "base/alloc.h"

#include <netdb.h>

struct resolve {
    char *host;
    char port[8];
    struct addrinfo hints;
    struct gaicb request;
    bool asked; /* getaddrinfo_a() knows of the request */
    int result; /* of the resolver; EAI_INPROGRESS meanwhile */
    struct resolve *next_orphan;
};

/* Requests whose owner is gone while a thread of the resolver still writes into them. They can't be
 * freed before it is done; each later call looks whether it is. */
static struct resolve *orphans;

static void release(struct resolve *r)
{
    if (r->request.ar_result) {
        freeaddrinfo(r->request.ar_result);
    }
    mem_free(r->host);
    mem_free(r);
}

static void reap_orphans(void)
{
    struct resolve **at = &orphans;
    while (*at) {
        struct resolve *r = *at;
        if (gai_error(&r->request) == EAI_INPROGRESS) {
            at = &r->next_orphan;
            continue;
        }
        *at = r->next_orphan;
        release(r);
    }
}

struct resolve *resolve_new(const char *host, uint16_t port)
{
    reap_orphans();
    struct resolve *r = mem_zero(sizeof(*r));
    r->host = mem_copy_text(host, strlen(host));
    snprintf(r->port, sizeof(r->port), "%u", port);
    r->hints = (struct addrinfo){.ai_family = AF_UNSPEC,
                                 .ai_socktype = SOCK_STREAM,
                                 .ai_flags = AI_NUMERICSERV | AI_NUMERICHOST};
    r->result = getaddrinfo(r->host, r->port, &r->hints, &r->request.ar_result);
    if (r->result != EAI_NONAME) {
        return r;
    }
    r->hints.ai_flags = AI_NUMERICSERV;
    r->request = (struct gaicb){
        .ar_name = r->host, .ar_service = r->port, .ar_request = &r->hints, .ar_result = NULL};
    struct gaicb *list[] = {&r->request};
    r->result = getaddrinfo_a(GAI_NOWAIT, list, 1, NULL);
    if (r->result == 0) {
        r->asked = true;
        r->result = EAI_INPROGRESS;
    }
    return r;
}

enum err resolve_poll(struct resolve *r, struct resolve_addr *out, size_t max, size_t *count,
                      const char **reason)
{
    if (r->result == EAI_INPROGRESS) {
        r->result = gai_error(&r->request);
    }
    if (r->result == EAI_INPROGRESS) {
        return ERR_MORE;
    }
    size_t n = 0;
    for (struct addrinfo *a = r->result == 0 ? r->request.ar_result : NULL; a && n < max;
         a = a->ai_next) {
        if (a->ai_addrlen <= sizeof(out[n].addr)) {
            memcpy(&out[n].addr, a->ai_addr, a->ai_addrlen);
            out[n++].len = a->ai_addrlen;
        }
    }
    if (n == 0) {
        *reason = r->result ? gai_strerror(r->result) : "the name has no address";
        return ERR_NOT_FOUND;
    }
    *count = n;
    return OK;
}

void resolve_free(struct resolve *r)
{
    if (!r) {
        return;
    }
    if (r->asked && gai_error(&r->request) == EAI_INPROGRESS &&
        gai_cancel(&r->request) == EAI_NOTCANCELED) {
        r->next_orphan = orphans;
        orphans = r;
        return;
    }
    release(r);
}
