/* letters: what the halves of the api ask each other for. A request names its client by the shard
 * and a ticket; the ticket is looked up when the answer arrives. SPDX-License-Identifier: MIT */
#ifndef API_LETTERS_H
#define API_LETTERS_H
#include "api/answers.h"
#include "api/api.h"
#include "base/list.h"

/* Messages to publish, slices into one owned text. */
struct post_item {
    struct str channel, data;
};
struct post {
    struct api_shard *shard;
    uint64_t ticket;
    char *text;              /* owned */
    struct post_item *items; /* owned */
    size_t count;
};
#define POST_PROBLEM_LEN 200
/* Reads a body, one object or a list of them, into a zeroed post (without shard and ticket); free
 * it in either case. ERR_SYNTAX: `why` is the sentence of the 422. */
enum err post_read(struct post *p, struct str body, char why[POST_PROBLEM_LEN]) MUST_CHECK;
void post_free(struct post *p);

/* shard -> main (run on the main thread; self is the api_main) */
void letter_publish(void *self, void *owned_post, uint64_t number);
void letter_refresh(void *self, void *shard, uint64_t ticket); /* ticket 0: nobody waits */
void letter_demand(void *self, void *unused, uint64_t number);
/* The first member of that shard wants prices or candles of a symbol, or the last one no
 * longer does. */
enum { WANT_PRICE = INTERVALS, WANT_SLOTS };
struct want_id {
    uint32_t key;  /* of the catalogue */
    uint32_t slot; /* an interval: its candles; WANT_PRICE */
    bool on;
};
static inline uint64_t want_number(struct want_id w)
{
    return ((uint64_t)w.key * WANT_SLOTS + w.slot) * 2 + w.on;
}
static inline struct want_id want_of_number(uint64_t number)
{
    return (struct want_id){.key = (uint32_t)(number / 2 / WANT_SLOTS),
                            .slot = (uint32_t)(number / 2 % WANT_SLOTS),
                            .on = number & 1};
}
void letter_want(void *self, void *unused, uint64_t number);

/* A question that only the main half can answer; it comes back as the answer. */
enum ask_kind { ASK_ASSET, ASK_CANDLES, ASK_INDICATORS, ASK_SIGNALS };
struct ask {
    struct list node; /* among those that wait for the database */
    struct api_main *main;
    struct api_shard *shard;
    uint64_t ticket;
    enum ask_kind kind;
    uint32_t key; /* of the catalogue; of ASK_SIGNALS: keys */
    enum interval interval;
    int64_t from_ms, to_ms; /* [from, to); INT64_MIN and INT64_MAX: open */
    size_t limit;
    uint32_t *keys; /* owned; NULL: all */
    size_t key_count;
    char *if_none_match; /* owned; NULL: none */
    /* the answer */
    unsigned status; /* 200 or that of a problem */
    struct buf body; /* or the sentence of the problem */
    uint64_t etag;   /* over what a reader would call the content */
};
void ask_free(struct ask *q);
void letter_ask(void *self, void *owned_ask, uint64_t number);

/* main -> shard (self is the api_shard) */
void letter_asked(void *self, void *owned_ask, uint64_t ticket);
void letter_answers(void *self, void *owned_answers, uint64_t number);
struct published {
    size_t accepted;
    char cursor[CURSOR_LEN + 1];
    const char *problem; /* NULL: done; else the sentence of a 422/503 */
    unsigned status;
};
void letter_published(void *self, void *owned_published, uint64_t ticket);
struct refreshed {
    struct answers *answers;
    struct buf message; /* a dashboard_update for the one who asked, when nothing was fetched */
    bool refreshed;
    char reason[160];
};
void letter_refreshed(void *self, void *owned_refreshed, uint64_t ticket);

/* The mailbox of a shard, as the main half knows it. */
struct mailbox *api_main_mail_of(struct api_main *a, struct api_shard *s);

#endif
