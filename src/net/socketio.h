/* socketio: a Socket.IO server over the sessions of an engine: namespaces, events, acks, binary
 * attachments. Revision 5 for sessions of Engine.IO 4, revision 4 (socket.io 2.x: connected to "/"
 * at once) for those of 3.
 *
 * A *socket* is one client in one namespace. Rules that a client breaks end its whole session
 * (engine_close() with 1002). JSON goes in and out as text, never written anew. Everything belongs
 * to the thread of the engine's loop. SPDX-License-Identifier: MIT */
#ifndef NET_SOCKETIO_H
#define NET_SOCKETIO_H
#include "net/engine.h"
#include "wire/socketio.h"

#define SIO_SID_LEN 20
#define SIO_MAX_JOINED 32 /* namespaces of one client */

struct sio_server;
struct sio_socket;

/* What a client says when it connects; slices live during the call. */
struct sio_connect {
    struct str nsp;
    struct str auth;  /* a JSON object; "{}" when it gave none */
    struct str query; /* revision 4: of the namespace, or of the handshake for "/"; not decoded */
    /* What it says to resume, raw strings of auth; empty: nothing. */
    struct str pid, offset;
};

struct sio_event {
    bool name_is_number;
    struct str name; /* raw: escapes not resolved */
    struct str args; /* JSON values with the commas between them; may be empty */
    struct str ack;  /* for sio_ack(); empty: none is wanted */
    const struct str *attachments;
    size_t attachment_count;
};

struct sio_handler {
    /* As in struct engine_handler. */
    bool (*allow)(void *self, struct conn *c, const struct http_request *r,
                  struct engine_session *s, const char **message);
    void (*cors)(void *self, struct conn *c, const struct http_request *r, struct buf *lines);
    void (*elsewhere)(void *self, struct conn *c, const struct http_request *r, struct str body,
                      unsigned shard);
    /* A client wants into a namespace. Answer with sio_accept() or sio_refuse(), now or later; what
     * is emitted before (missed events) goes out before the answer. */
    void (*connect)(void *self, struct sio_socket *so, const struct sio_connect *info);
    void (*event)(void *self, struct sio_socket *so, const struct sio_event *event);
    /* The socket is over: the client left the namespace or its session ended. Called for all that
     * `connect` was called for and that were not refused; comes from inside whatever call ended
     * it. The socket may be asked until the turn's end, then it is freed. */
    void (*closed)(void *self, struct sio_socket *so, const char *why);
    /* As in struct engine_handler; may be NULL. */
    void (*transport)(void *self, struct engine_session *s);
    void (*drained)(void *self, struct engine_session *s);
};

struct sio_opts {
    /* Without handler, self and user_bytes. An event and its attachments together are no larger
     * than max_payload. */
    struct engine_opts engine;
    const struct sio_handler *handler;
    void *self;
    size_t user_bytes;           /* behind every socket, zeroed */
    uint32_t connect_timeout_ms; /* without a namespace that long: closed; 0: 45 s */
};

struct sio_server *sio_new(const struct sio_opts *opts);
/* After engine_close_all(). */
void sio_free(struct sio_server *s);
/* For engine_request() and the like. */
struct engine *sio_engine(struct sio_server *s);

/* ---- a socket ---- */

/* Lets the client in. `sid`: empty for a new one, else that of the socket which is resumed. `pid`:
 * the owner's secret for resuming, JSON-safe text; empty: none is told. */
void sio_accept(struct sio_socket *so, struct str sid, struct str pid);
/* Says no, with `message` (JSON-safe text) and `data` (JSON; empty: none). The socket is over,
 * `closed` is not called. */
void sio_refuse(struct sio_socket *so, struct str message, struct str data);
/* An event: a JSON array with the name first, and binary messages for its placeholders. */
void sio_emit(struct sio_socket *so, struct str json, const struct str *attachments, size_t count);
/* Answers an event that wanted it; `json` is an array. At most once for each: the owner's care. */
void sio_ack(struct sio_socket *so, struct str ack, struct str json, const struct str *attachments,
             size_t count);
/* Leaves the namespace; the session stays. `closed` is called. */
void sio_disconnect(struct sio_socket *so);

void *sio_user(struct sio_socket *so);
struct sio_socket *sio_of_user(void *user);
struct engine_session *sio_session(struct sio_socket *so);
struct str sio_nsp(const struct sio_socket *so);
/* The public id, which the client knows it by. */
struct str sio_sid(const struct sio_socket *so);
/* Accepted and not over. */
bool sio_is_joined(const struct sio_socket *so);
/* The joined socket of that namespace; NULL when there is none. */
struct sio_socket *sio_find(struct engine_session *s, struct str nsp);

#endif
