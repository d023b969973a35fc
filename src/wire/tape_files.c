/* SPDX-License-Identifier: MIT */
#include "wire/tape_files.h"

#include "base/alloc.h"
#include "wire/gzip.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES ((size_t)256 << 10)
#define COMPLAINT_MAX 1024

struct tape_files {
    char *paths[TAPE_FILES_MAX]; /* owned */
    size_t count, at;            /* `at` is the file being read, or to be opened */
    FILE *file;                  /* NULL: between files */
    bool drained;                /* the reader of this file has been told the end */
    struct gunzip *gunzip;
    struct tape_reader *reader;
    char *piece; /* PIECE_BYTES; `rest` is what of it is not unpacked */
    struct str rest;
    struct buf plain;
    struct buf complaint;
    uint64_t left_out;
};

/* ---- opening ---- */

static bool is_readable(const char *path, struct buf *error)
{
    struct stat st;
    if (stat(path, &st) < 0 || access(path, R_OK) < 0) {
        buf_printf(error, "cannot read %s: %s", path, strerror(errno));
        return false;
    }
    if (S_ISDIR(st.st_mode)) {
        buf_printf(error, "cannot read %s: it is a folder", path);
        return false;
    }
    return true;
}

enum err tape_files_open(struct str paths, struct tape_files **out, struct buf *error)
{
    struct tape_files *f = mem_zero(sizeof(*f));
    struct str path;
    enum err e = OK;
    while (e == OK && str_next(&paths, ',', &path)) {
        if (f->count == TAPE_FILES_MAX) {
            buf_printf(error, "more than %d files", TAPE_FILES_MAX);
            e = ERR_LIMIT;
        } else {
            f->paths[f->count] = mem_copy_text(path.ptr, path.len);
            e = is_readable(f->paths[f->count++], error) ? OK : ERR_NOT_FOUND;
        }
    }
    if (e == OK && f->count == 0) {
        buf_add_lit(error, "no file is named");
        e = ERR_NOT_FOUND;
    }
    if (e != OK) {
        tape_files_free(f);
        return e;
    }
    buf_init(&f->complaint, COMPLAINT_MAX);
    f->piece = mem_alloc(PIECE_BYTES);
    *out = f;
    return OK;
}

static void close_file(struct tape_files *f)
{
    if (f->file) {
        fclose(f->file);
        gunzip_free(f->gunzip);
        tape_free(f->reader);
        f->file = NULL;
        f->at++;
    }
}

void tape_files_free(struct tape_files *f)
{
    if (!f) {
        return;
    }
    close_file(f);
    for (size_t i = 0; i < f->count; i++) {
        mem_free(f->paths[i]);
    }
    mem_free(f->piece);
    buf_fini(&f->plain);
    buf_fini(&f->complaint);
    mem_free(f);
}

struct str tape_files_complaint(const struct tape_files *f)
{
    return buf_str(&f->complaint);
}

uint64_t tape_files_left_out(const struct tape_files *f)
{
    return f->left_out;
}

/* ---- reading ---- */

static enum err complain(struct tape_files *f, enum err e, const char *why)
{
    f->left_out++;
    buf_clear(&f->complaint);
    buf_printf(&f->complaint, "%s%s", f->paths[f->at], why);
    return e;
}

static enum err open_file(struct tape_files *f)
{
    f->file = fopen(f->paths[f->at], "rbe");
    if (!f->file) {
        enum err e = complain(f, err_from_errno(errno), " could be read before and cannot now");
        f->at++;
        return e;
    }
    setvbuf(f->file, NULL, _IONBF, 0);
    f->gunzip = gunzip_new();
    f->reader = tape_new();
    f->rest = (struct str){0};
    f->drained = false;
    return OK;
}

/* The file is over: what remains in the reader may be a line that was cut off. */
static enum err end_file(struct tape_files *f, enum err e, const char *why)
{
    f->drained = true;
    tape_end(f->reader);
    return e == OK ? OK : complain(f, e, why);
}

/* Gives the reader more bytes, or ends it. */
static enum err feed(struct tape_files *f)
{
    if (f->rest.len == 0) {
        size_t n = fread(f->piece, 1, PIECE_BYTES, f->file);
        if (n == 0 && ferror(f->file)) {
            return end_file(f, ERR_IO, ": reading failed, the rest is left out");
        }
        if (n == 0) {
            return end_file(f, gunzip_end(f->gunzip),
                            ": the compressed data is cut off, so its end is missing");
        }
        f->rest = str_make(f->piece, n);
    }
    buf_clear(&f->plain);
    enum err e = gunzip_some(f->gunzip, &f->rest, &f->plain, PIECE_BYTES);
    tape_feed(f->reader, buf_str(&f->plain));
    if (e != OK && e != ERR_MORE) {
        return end_file(f, e, ": the compressed data is damaged, the rest is left out");
    }
    return OK;
}

static enum err next_of_file(struct tape_files *f, struct tape_item *out)
{
    for (;;) {
        char why[256];
        enum err e = tape_next(f->reader, out);
        if (e == OK) {
            return OK;
        }
        if (e != ERR_MORE) {
            snprintf(why, sizeof(why), " line %llu: %s", (unsigned long long)tape_line(f->reader),
                     tape_why(f->reader));
            return complain(f, e, why);
        }
        if (f->drained) {
            return ERR_NOT_FOUND;
        }
        e = feed(f);
        if (e != OK) {
            return e;
        }
    }
}

/* Closes the file; tells of a last line without an end. */
static enum err finish_file(struct tape_files *f)
{
    char why[128];
    size_t cut = tape_cut_bytes(f->reader);
    enum err e = OK;
    if (cut > 0) {
        snprintf(why, sizeof(why), ": %zu bytes behind the last line end are left out", cut);
        e = complain(f, ERR_SYNTAX, why);
    }
    close_file(f);
    return e;
}

enum err tape_files_next(struct tape_files *f, struct tape_item *out)
{
    while (f->at < f->count) {
        enum err e = f->file ? OK : open_file(f);
        if (e == OK) {
            e = next_of_file(f, out);
            if (e != ERR_NOT_FOUND) {
                return e;
            }
            e = finish_file(f);
        }
        if (e != OK) {
            return e;
        }
    }
    return ERR_NOT_FOUND;
}
