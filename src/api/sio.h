/* sio: Socket.IO clients at /socket.io/: the events of contracts 6 over net/socketio, fed by the
 * fan-out like everybody else.
 *
 * A client is a socket in the namespace "/". While its transport is a plain WebSocket the fan-out
 * writes to its stream; while it polls, upgrades or is on TLS the bytes go through its engine
 * session. What it is subscribed to is told to the main half (sio_memory), so that a client that
 * comes back on any shard gets what it missed. Shard thread. SPDX-License-Identifier: MIT */
#ifndef API_SIO_H
#define API_SIO_H
#include "api/session.h"
#include "net/socketio.h"

struct sio_memory;

struct sio_client {
    struct session session; /* first, for the fan-out finds its kind there; kind SESSION_SIO */
    struct api_shard *shard;
    struct list waiting; /* in shard->sio_waiting while the memory is asked */
    uint64_t asked;      /* the ticket of that */
    enum frame_form form;
    double max_hz;
    uint32_t *keys; /* owned; sorted */
    size_t key_count;
    struct buf channels; /* names, each with a comma behind */
    size_t channel_count;
    uint64_t owner; /* number of this client, of those of all shards */
    bool over;      /* it has left: nothing may be done for it any more */
    char pid[36];   /* secret, for resuming; "": not to be resumed */
};

/* The server of a shard; NULL when it can't be made. */
struct sio_server *sio_shard_new(struct api_shard *s, unsigned index, const struct net_opts *net);
/* Everything under /socket.io/ that is no file. */
void sio_shard_request(struct api_shard *s, struct conn *c, const struct http_request *r,
                       struct str body);
/* Tells all clients that the server goes, and lets them go. */
void sio_shard_drain(struct api_shard *s);
/* What fanout_ops do for a client. */
void sio_client_write(struct sio_client *client, struct str bytes, bool now);
size_t sio_client_pending(struct sio_client *client);
void sio_client_broken(struct sio_client *client);
/* A conn of a client is full. */
void sio_shard_congested(struct api_shard *s, struct engine_session *session);

/* ---- what clients were subscribed to, kept by the main half ---- */

#define SIO_REMEMBER_MS 120000
/* Beyond it those who left first are forgotten: they begin anew, and are told so. */
#define SIO_MEMORY_BYTES ((size_t)64 << 20)

/* Owned texts. */
struct sio_state {
    struct list node; /* of the memory: among those who are gone, in that order */
    char pid[36], sid[SIO_SID_LEN + 1];
    double max_hz;
    uint32_t *keys;
    size_t key_count;
    char *channels; /* as in the client; "" none */
    uint64_t owner; /* of the client that told it last */
    bool authorized, gone;
    uint64_t gone_ms; /* loop time of the main half */
};
void sio_state_free(struct sio_state *owned);

struct sio_memory *sio_memory_new(struct loop *l, struct api_main *main);
void sio_memory_free(struct sio_memory *m);
/* NULL: nothing is known of that pid. Borrowed. */
const struct sio_state *sio_memory_find(const struct sio_memory *m, struct str pid);
size_t sio_memory_bytes(const struct sio_memory *m);
struct sio_memory *api_main_sio_memory(struct api_main *a);
/* Another shard and its mailbox; NULL: no such. Fixed once the shards run, so any thread may ask.
 */
struct api_shard *api_main_shard_at(struct api_main *a, unsigned index, struct mailbox **mail);

/* shard -> main; self is the sio_memory. The end of a client whose pid another one has taken over
 * meanwhile is not heeded. */
void letter_sio_state(void *self, void *owned_state, uint64_t number);
struct sio_question {
    struct api_shard *shard;
    char pid[36];
};
void letter_sio_recall(void *self, void *owned_question, uint64_t ticket);
/* main -> shard: the state, or NULL. */
void letter_sio_recalled(void *self, void *owned_state, uint64_t ticket);
/* shard -> shard: a conn whose session lives there. */
void letter_adopt(void *self, void *owned_parcel, uint64_t number);

#endif
