/* link: a client's byte connection, plain or TLS, that takes everything it is given to send: what
 * the socket does not take waits here. Idle, a plain link owns no buffer. Belongs to the loop's
 * thread. SPDX-License-Identifier: MIT */
#ifndef TOOLS_LINK_H
#define TOOLS_LINK_H
#include "base/buf.h"
#include "base/loop.h"
#include "net/out.h"
#include "net/tls.h"

struct link;
struct link_ops {
    /* Ready for link_send(): with TLS, the handshake is done. */
    void (*open)(struct link *l);
    /* Plain bytes, gone after the call. The link may be closed inside. */
    void (*data)(struct link *l, char *bytes, size_t len);
    /* It never opened, or it broke or was ended by the other side; the owner closes. */
    void (*broken)(struct link *l, const char *why);
    /* link_close() is complete; the memory is the owner's again. */
    void (*closed)(struct link *l);
};

/* What links of one kind share; zeroed is plain. */
struct link_kind {
    struct tls_context *tls; /* owned; NULL: plain */
    struct out_pool pool;
};
/* `ca_file` NULL: the server's certificate is not checked. */
enum err link_kind_tls(struct link_kind *kind, const char *ca_file, struct buf *error) MUST_CHECK;
void link_kind_fini(struct link_kind *kind);

struct link {
    struct stream stream;
    /* private */
    const struct link_ops *ops;
    struct loop *loop;
    struct link_kind *kind;
    struct tls_session *tls;
    struct buf rest;
    bool up, closing;
};

/* Ends in open() or broken(). On failure nothing was begun. */
enum err link_connect(struct link *l, struct loop *loop, struct link_kind *kind,
                      const struct sockaddr *addr, socklen_t addr_len,
                      const struct link_ops *ops) MUST_CHECK;
/* False when it is broken or too much waits: broken() is not called for that. */
bool link_send(struct link *l, struct str bytes) MUST_CHECK;
/* Stops reading. */
void link_pause(struct link *l);
/* Resets the connection; ends in closed(). Once. */
void link_close(struct link *l);

#endif
