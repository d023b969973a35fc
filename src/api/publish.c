/* POST /api/v1/publish: sends what was posted to the main half as slices of one copied text, so
 * that `data` reaches subscribers byte for byte. SPDX-License-Identifier: MIT */
#include "api/session.h"
#include "base/alloc.h"

void route_publish(struct api_shard *s, struct conn *c, const struct http_request *r,
                   struct str body)
{
    switch (check_token(s->opts.settings, r)) {
    case TOKEN_NONE:
        reply_problem(c, 401, "Unauthorized",
                      "Publishing needs the header Authorization: Bearer TOKEN.",
                      STR("WWW-Authenticate: Bearer\r\n"));
        return;
    case TOKEN_WRONG:
        if (s->opts.settings->token) {
            reply_problem(c, 401, "Unauthorized", "This token is not known here.",
                          STR("WWW-Authenticate: Bearer error=\"invalid_token\"\r\n"));
        } else {
            reply_problem(c, 403, "Forbidden",
                          "Publishing is off: the server was started without COINCAST_API_TOKEN.",
                          (struct str){0});
        }
        return;
    case TOKEN_RIGHT:
        break;
    }
    char why[POST_PROBLEM_LEN];
    struct post *p = mem_zero(sizeof(*p));
    if (post_read(p, body, why) != OK) {
        reply_problem(c, 422, "Unprocessable Content", why, (struct str){0});
        post_free(p);
        return;
    }
    p->shard = s;
    p->ticket = session_wait(s, c);
    if (!mailbox_post(s->opts.main_mail, letter_publish, s->opts.main, p, 0)) {
        session_wait_over(c);
        reply_problem(c, 503, "Service Unavailable",
                      "The server is taking as many messages as it can; try again in a second.",
                      STR("Retry-After: 1\r\n"));
        post_free(p);
    }
}

void letter_published(void *self, void *owned_published, uint64_t ticket)
{
    struct api_shard *s = self;
    struct published *done = owned_published;
    struct conn *c = session_answered(s, ticket);
    if (c && done->problem) {
        reply_problem(c, done->status, "Service Unavailable", done->problem, (struct str){0});
    } else if (c) {
        char text[96];
        int n = snprintf(text, sizeof(text), "{\"accepted\":%zu,\"cursor\":\"%s\"}", done->accepted,
                         done->cursor);
        send_reply(c, &(struct http_reply){.status = 200,
                                           .content_type = STR("application/json"),
                                           .headers = STR("Cache-Control: no-store\r\n"),
                                           .body = str_make(text, (size_t)n)});
    }
    mem_free(done);
}
