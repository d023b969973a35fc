/* sio_in: what the files of the Socket.IO half share: sio.c (coming, going, transports),
 * sio_subscriptions.c (what a client is subscribed to) and sio_events.c (what it asks).
 * SPDX-License-Identifier: MIT */
#ifndef API_SIO_IN_H
#define API_SIO_IN_H
#include "api/sio.h"

/* Limits of a client: these, and SYMBOLS_MAX symbols; each symbol brings a subscription of its
 * signals. */
enum { SIO_CHANNELS_MAX = 50, SIO_SUBS_MAX = 600 };

static inline struct sio_client *client_of(struct sio_socket *so)
{
    return sio_user(so);
}

static inline struct sio_socket *socket_of(struct sio_client *client)
{
    return sio_of_user(client);
}

/* ---- sio_subscriptions.c ---- */

/* Subscriptions for the fan-out, with the texts they point into. */
struct wanted {
    struct fanout_sub subs[SIO_SUBS_MAX];
    size_t count;
    struct buf names;
};
/* Symbols bring their prices and signals, and the mood of the market (requirement D2): in this
 * order, the signals last. `keys` are borrowed. */
void want_symbols(struct wanted *w, const struct sio_client *client, const uint32_t *keys,
                  size_t count);
void want_channels(struct wanted *w, const struct sio_client *client, struct str names);
/* Everything the client wants, as it stands in the client. */
void want_all(struct wanted *w, const struct sio_client *client);
/* The form of the client's transport now, and its stream (NULL: bytes go through the session). */
enum frame_form form_now(struct engine_session *session, struct stream **stream);
/* Into the fan-out with these, in the form of now; false: too many. (Of who is over by it, true.)
 */
bool sio_join(struct sio_client *client, const struct wanted *w);
/* Writes what the fan-out has of these for who just came. */
void give_first(struct sio_client *client, const struct wanted *w);
/* Nothing may be done any more for who is over: any write can end a client. */
bool sio_is_over(const struct sio_client *client);
/* It wants the candles of those of the names that are candle channels; or no longer. */
void sio_want_candles(struct sio_client *client, struct str names, bool on);
/* Prices and candles as the client stands. */
void sio_want_feeds(struct sio_client *client);
/* Own words (acks, events) go out at once; what the fan-out has for the client comes after them. */
void give_way(struct sio_client *client);
/* Tells the main half, for the day the client comes back. */
void remember(struct sio_client *client, bool gone);
/* NULL: unknown. */
const char *name_of_key(const struct api_shard *s, uint32_t key);

/* ---- sio_events.c ---- */

void sio_event_came(void *shard, struct sio_socket *so, const struct sio_event *e);
void emit(struct sio_client *client, const char *event, struct str json);

#endif
