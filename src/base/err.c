/* SPDX-License-Identifier: MIT */
#include "base/err.h"

#include <errno.h>

const char *err_text(enum err e)
{
    switch (e) {
#define X(code, text) \
    case code:        \
        return text;
        ERR_TABLE(X)
#undef X
    }
    return "unknown error";
}

enum err err_from_errno(int errnum)
{
    switch (errnum) {
    case 0:
        return OK;
    case ENOENT:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_EXISTS;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    case EADDRINUSE:
    case EBUSY:
        return ERR_BUSY;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return ERR_REFUSED;
    case ECONNRESET:
    case EPIPE:
        return ERR_CLOSED;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOSPC:
        return ERR_LIMIT;
    case ENOSYS:
    case EOPNOTSUPP:
        return ERR_UNSUPPORTED;
    default:
        return ERR_IO;
    }
}
