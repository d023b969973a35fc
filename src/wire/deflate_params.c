/* The negotiation of permessage-deflate (RFC 7692, 7.1). zlib makes no raw streams with windows of
 * 8 bits, so an offer that asks us for one is declined; the peer may use 8, as inflating with a
 * larger window than the sender's is always right. SPDX-License-Identifier: MIT */
#include "wire/deflate.h"

#include <assert.h>

#define MIN_WINDOW 8
#define MIN_OUR_WINDOW 9
#define MAX_WINDOW 15

/* ---- the header's grammar (RFC 6455, 9.1; RFC 9110, 5.6) ---- */

struct cursor {
    struct str text;
    size_t at;
};

static void skip_blanks(struct cursor *c)
{
    while (c->at < c->text.len && (c->text.ptr[c->at] == ' ' || c->text.ptr[c->at] == '\t')) {
        c->at++;
    }
}

static bool take(struct cursor *c, char wanted)
{
    skip_blanks(c);
    if (c->at < c->text.len && c->text.ptr[c->at] == wanted) {
        c->at++;
        return true;
    }
    return false;
}

static bool at_end(struct cursor *c)
{
    skip_blanks(c);
    return c->at == c->text.len;
}

static bool is_token_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c && c != '"' && strchr("!#$%&'*+-.^_`|~", c));
}

static bool take_token(struct cursor *c, struct str *out)
{
    skip_blanks(c);
    size_t from = c->at;
    while (c->at < c->text.len && is_token_char(c->text.ptr[c->at])) {
        c->at++;
    }
    *out = str_sub(c->text, from, c->at - from);
    return c->at > from;
}

/* A token, bare or in quotes (whose content must be a token too). */
static bool take_value(struct cursor *c, struct str *out)
{
    if (!take(c, '"')) {
        return take_token(c, out);
    }
    size_t from = c->at;
    while (c->at < c->text.len && is_token_char(c->text.ptr[c->at])) {
        c->at++;
    }
    *out = str_sub(c->text, from, c->at - from);
    bool closed = c->at < c->text.len && c->text.ptr[c->at] == '"';
    c->at += closed;
    return closed && out->len > 0;
}

/* ---- one extension with its parameters ---- */

struct offer {
    bool is_deflate, acceptable;
    bool server_no_takeover, client_no_takeover, has_server_bits, has_client_bits;
    uint8_t server_bits; /* 0: none said */
    uint8_t client_bits; /* 0: named without a value */
};

/* "8" to "15", without leading zeros; 0: not such a number. */
static uint8_t window_bits(struct str value)
{
    uint64_t bits = 0;
    if (value.len == 0 || value.len > 2 || value.ptr[0] == '0' || str_to_u64(value, &bits) != OK ||
        bits < MIN_WINDOW || bits > MAX_WINDOW) {
        return 0;
    }
    return (uint8_t)bits;
}

/* Sets a flag that may be set once, by a parameter without value. */
static bool set_once(bool *flag, bool has_value)
{
    bool fine = !*flag && !has_value;
    *flag = true;
    return fine;
}

/* False: the offer must be declined (RFC 7692, 7.1: unknown, doubled or invalid parameter). */
static bool note_parameter(struct offer *o, struct str name, struct str value)
{
    bool has_value = value.ptr != NULL;
    if (str_eq_nocase(name, STR("server_no_context_takeover"))) {
        return set_once(&o->server_no_takeover, has_value);
    }
    if (str_eq_nocase(name, STR("client_no_context_takeover"))) {
        return set_once(&o->client_no_takeover, has_value);
    }
    if (str_eq_nocase(name, STR("server_max_window_bits"))) {
        bool fine = set_once(&o->has_server_bits, false);
        o->server_bits = window_bits(value);
        return fine && o->server_bits;
    }
    if (str_eq_nocase(name, STR("client_max_window_bits"))) {
        bool fine = set_once(&o->has_client_bits, false);
        o->client_bits = has_value ? window_bits(value) : 0;
        return fine && (!has_value || o->client_bits);
    }
    return false;
}

static bool take_offer(struct cursor *c, struct offer *o)
{
    struct str name;
    *o = (struct offer){.acceptable = true};
    if (!take_token(c, &name)) {
        return false;
    }
    o->is_deflate = str_eq_nocase(name, STR("permessage-deflate"));
    while (take(c, ';')) {
        struct str parameter;
        struct str value = {0};
        if (!take_token(c, &parameter) || (take(c, '=') && !take_value(c, &value))) {
            return false;
        }
        o->acceptable = o->is_deflate && o->acceptable && note_parameter(o, parameter, value);
    }
    return at_end(c) || take(c, ',');
}

/* ---- negotiation ---- */

static bool accept_offer(const struct offer *o, const struct deflate_policy *policy,
                         struct deflate_params *out)
{
    uint8_t ours = policy->server_window_bits;
    if (!o->is_deflate || !o->acceptable ||
        (o->has_server_bits && o->server_bits < MIN_OUR_WINDOW)) {
        return false;
    }
    if (o->has_server_bits && o->server_bits < ours) {
        if (policy->shared) {
            return false;
        }
        ours = o->server_bits;
    }
    *out = (struct deflate_params){
        .server_no_context_takeover = policy->shared || o->server_no_takeover,
        .client_no_context_takeover = policy->shared || o->client_no_takeover,
        .server_max_window_bits = ours,
        .client_max_window_bits = o->client_bits ? o->client_bits : MAX_WINDOW,
    };
    return true;
}

static void write_response(const struct offer *o, const struct deflate_params *p, struct buf *out)
{
    buf_add_lit(out, "permessage-deflate");
    if (p->server_no_context_takeover) {
        buf_add_lit(out, "; server_no_context_takeover");
    }
    if (p->client_no_context_takeover) {
        buf_add_lit(out, "; client_no_context_takeover");
    }
    if (o->has_server_bits) {
        buf_printf(out, "; server_max_window_bits=%u", p->server_max_window_bits);
    }
    if (o->client_bits) {
        buf_printf(out, "; client_max_window_bits=%u", p->client_max_window_bits);
    }
}

enum err deflate_negotiate(struct str offers, const struct deflate_policy *policy,
                           struct deflate_params *out, struct buf *response)
{
    struct cursor c = {.text = offers};
    struct offer chosen = {0};
    struct deflate_params params;
    bool found = false;
    assert(policy->server_window_bits >= MIN_OUR_WINDOW &&
           policy->server_window_bits <= MAX_WINDOW);
    while (!at_end(&c)) {
        struct offer o;
        if (take(&c, ',')) {
            continue; /* an empty element of the list (RFC 9110, 5.6.1) */
        }
        if (!take_offer(&c, &o)) {
            return ERR_SYNTAX;
        }
        if (!found && accept_offer(&o, policy, &params)) {
            chosen = o;
            found = true;
        }
    }
    if (!found) {
        return ERR_NOT_FOUND;
    }
    *out = params;
    write_response(&chosen, &params, response);
    return response->failed ? ERR_LIMIT : OK;
}

/* Names client_max_window_bits, so the server may ask for a smaller window of ours. */
struct str deflate_offer(void)
{
    return STR("permessage-deflate; client_max_window_bits");
}

enum err deflate_accept(struct str answer, struct deflate_params *out)
{
    struct cursor c = {.text = answer};
    struct offer o;
    if (!take_offer(&c, &o) || !at_end(&c) || !o.is_deflate || !o.acceptable ||
        (answer.len && str_ends(str_trim(answer), STR(",")))) {
        return ERR_PROTOCOL;
    }
    /* The answer's window must be a number, and one that we can compress with. */
    if (o.has_client_bits && o.client_bits < MIN_OUR_WINDOW) {
        return ERR_PROTOCOL;
    }
    *out = (struct deflate_params){
        .server_no_context_takeover = o.server_no_takeover,
        .client_no_context_takeover = o.client_no_takeover,
        .server_max_window_bits = o.server_bits ? o.server_bits : MAX_WINDOW,
        .client_max_window_bits = o.client_bits ? o.client_bits : MAX_WINDOW,
    };
    return OK;
}
