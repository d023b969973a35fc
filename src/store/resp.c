/* SPDX-License-Identifier: MIT */
#include "store/resp.h"

#include "base/alloc.h"

#include <hiredis/hiredis.h>

struct resp {
    redisReader *reader;
    redisReplyObjectFunctions functions;
    redisReply *given; /* the last answer handed out, owned */
    size_t max_bytes;
};

static void *refuse_array(const redisReadTask *task UNUSED, int count UNUSED)
{
    return NULL;
}

struct resp *resp_new(size_t max_bytes)
{
    struct resp *r = mem_zero(sizeof(*r));
    r->max_bytes = max_bytes;
    r->reader = redisReaderCreate();
    if (!r->reader) {
        abort(); /* memory is gone */
    }
    r->functions = *r->reader->fn;
    r->functions.createArray = refuse_array;
    r->reader->fn = &r->functions;
    return r;
}

static void drop_given(struct resp *r)
{
    if (r->given) {
        freeReplyObject(r->given);
        r->given = NULL;
    }
}

void resp_free(struct resp *r)
{
    if (r) {
        drop_given(r);
        redisReaderFree(r->reader);
        mem_free(r);
    }
}

enum err resp_feed(struct resp *r, struct str bytes)
{
    if (r->reader->len - r->reader->pos + bytes.len > r->max_bytes) {
        return ERR_LIMIT;
    }
    return redisReaderFeed(r->reader, bytes.ptr, bytes.len) == REDIS_OK ? OK : ERR_PROTOCOL;
}

enum err resp_next(struct resp *r, struct resp_reply *out, const char **why)
{
    void *object = NULL;
    drop_given(r);
    if (redisReaderGetReply(r->reader, &object) != REDIS_OK) {
        /* What looks like missing memory to the reader is the array that we refused. */
        bool array = r->reader->err == REDIS_ERR_OOM;
        *why = array ? "an array, which nobody asked for" : r->reader->errstr;
        return ERR_PROTOCOL;
    }
    if (!object) {
        return ERR_MORE;
    }
    r->given = object;
    struct resp_reply reply = {.text = str_make(r->given->str, r->given->len)};
    switch (r->given->type) {
    case REDIS_REPLY_STRING:
        reply.kind = RESP_TEXT;
        break;
    case REDIS_REPLY_STATUS:
        reply.kind = RESP_STATUS;
        break;
    case REDIS_REPLY_ERROR:
        reply.kind = RESP_ERROR;
        break;
    case REDIS_REPLY_INTEGER:
        reply = (struct resp_reply){.kind = RESP_INTEGER, .integer = r->given->integer};
        break;
    case REDIS_REPLY_NIL:
        reply = (struct resp_reply){.kind = RESP_NIL};
        break;
    default:
        *why = "an answer of an unknown kind";
        return ERR_PROTOCOL;
    }
    *out = reply;
    return OK;
}

bool resp_command(struct buf *out, const struct str *words, size_t count)
{
    size_t before = out->len;
    buf_add_char(out, '*');
    buf_add_u64(out, count);
    buf_add_lit(out, "\r\n");
    for (size_t i = 0; i < count; i++) {
        buf_add_char(out, '$');
        buf_add_u64(out, words[i].len);
        buf_add_lit(out, "\r\n");
        buf_add_str(out, words[i]);
        buf_add_lit(out, "\r\n");
    }
    if (out->failed) {
        out->failed = false;
        out->len = before;
        return false;
    }
    return true;
}
