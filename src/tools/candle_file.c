/* SPDX-License-Identifier: MIT */
#include "tools/candle_file.h"

#include <errno.h>
#include <sys/stat.h>

static enum err read_text(const char *path, struct buf *out, struct buf *error)
{
    struct stat st;
    FILE *f = fopen(path, "rbe");
    if (!f || fstat(fileno(f), &st) != 0 || S_ISDIR(st.st_mode)) {
        int code = f && S_ISDIR(st.st_mode) ? EISDIR : errno;
        buf_printf(error, "%s: cannot be read: %s", path, strerror(code));
        if (f) {
            fclose(f);
        }
        return err_from_errno(code);
    }
    size_t got = 0;
    do {
        out->len += got;
        if (!buf_reserve(out, 1 << 16)) {
            fclose(f);
            buf_printf(error, "%s: larger than %zu MiB", path, CANDLE_FILE_MAX >> 20);
            return ERR_LIMIT;
        }
        got = fread(out->ptr + out->len, 1, 1 << 16, f);
    } while (got > 0);
    bool good = !ferror(f);
    fclose(f);
    if (!good) {
        buf_printf(error, "%s: cannot be read to its end", path);
        return ERR_IO;
    }
    return OK;
}

enum err candle_file_read(const char *path, struct series *out, struct buf *error)
{
    struct buf text, why = {0};
    buf_init(&text, CANDLE_FILE_MAX);
    enum err e = read_text(path, &text, error);
    if (e == OK) {
        e = series_read(out, buf_str(&text), &why);
        if (e != OK) {
            buf_printf(error, "%s: %s", path, buf_text(&why));
        } else if (out->bad > 0) {
            struct str first = {0}, notes = buf_str(&out->notes);
            str_next(&notes, '\n', &first);
            buf_printf(error, "%s: %.*s", path, STR_ARG(first));
            if (out->bad > 1) {
                buf_printf(error, " (and %zu more rows)", out->bad - 1);
            }
            series_fini(out);
            e = ERR_SYNTAX;
        }
    }
    buf_fini(&why);
    buf_fini(&text);
    return e;
}

struct str candle_file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct str name = str_of(slash ? slash + 1 : path);
    return str_ends(name, STR(".csv")) ? str_sub(name, 0, name.len - 4) : name;
}
