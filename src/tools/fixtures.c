/* SPDX-License-Identifier: MIT */
#include "tools/fixtures.h"

#include "base/alloc.h"
#include "wire/deflate.h"
#include "wire/http1.h"

#include <dirent.h>
#include <sys/stat.h>

#define MAX_FIXTURES 4096
#define MAX_FILE ((size_t)64 << 20)
#define MAX_DEPTH 4

struct fixture {
    char *name;  /* "coingecko/global_20210518" */
    char *path;  /* of its request, without a slash at the end */
    char *query; /* not decoded */
    unsigned status;
    bool is_error, is_example;
    char *etag;
    char *content_type;
    struct buf headers; /* lines to send as they are */
    struct buf body;
};

struct fixtures {
    struct fixture *all;
    size_t count, cap;
};

static void fixture_fini(struct fixture *x)
{
    mem_free(x->name);
    mem_free(x->path);
    mem_free(x->query);
    mem_free(x->etag);
    mem_free(x->content_type);
    buf_fini(&x->headers);
    buf_fini(&x->body);
}

struct fixtures *fixtures_new(void)
{
    return mem_zero(sizeof(struct fixtures));
}

void fixtures_free(struct fixtures *f)
{
    for (size_t i = 0; f && i < f->count; i++) {
        fixture_fini(&f->all[i]);
    }
    if (f) {
        mem_free(f->all);
    }
    mem_free(f);
}

size_t fixtures_count(const struct fixtures *f)
{
    return f->count;
}

struct str fixture_name(const struct fixture *f)
{
    return str_of(f->name);
}

static char *copy(struct str s)
{
    return mem_copy_text(s.ptr ? s.ptr : "", s.len);
}

/* ---- reading ---- */

/* Lines that mean something to a client. Length, coding and connection are the server's; the rest
 * is the recording network's noise. */
static bool header_is_kept(struct str name)
{
    static const char *const kept[] = {"date",        "cache-control", "etag",
                                       "age",         "last-modified", "expires",
                                       "retry-after", "vary",          "cf-cache-status"};
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        if (str_eq_nocase(name, str_of(kept[i]))) {
            return true;
        }
    }
    return name.len > 6 && str_eq_nocase(str_sub(name, 0, 6), STR("x-mbx-"));
}

/* A header value from a file must not begin a line of its own. */
static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

static void read_headers(const struct json *headers, struct fixture *x)
{
    size_t at = 0;
    struct str name, value;
    const struct json *v;
    while (json_each(headers, &at, &name, &v)) {
        if (!json_get_str(v, &value) || !is_plain(name) || !is_plain(value)) {
            continue;
        }
        if (str_eq_nocase(name, STR("content-type")) && !x->content_type) {
            x->content_type = copy(value);
        }
        if (str_eq_nocase(name, STR("etag")) && !x->etag) {
            x->etag = copy(value);
        }
        if (header_is_kept(name)) {
            buf_printf(&x->headers, "%.*s: %.*s\r\n", STR_ARG(name), STR_ARG(value));
        }
    }
}

/* Path and query of the recorded URL; a remark behind a blank is none of it. */
static bool read_url(struct str url, struct fixture *x)
{
    size_t scheme = str_find_str(url, STR("://"));
    if (scheme == SIZE_MAX) {
        return false;
    }
    struct str rest = str_from(url, scheme + 3), part;
    size_t slash = str_find(rest, '/', 0);
    if (slash == SIZE_MAX || !str_next(&rest, ' ', &part)) {
        return false;
    }
    struct str target = str_from(part, slash);
    size_t mark = str_find(target, '?', 0);
    struct str path = mark == SIZE_MAX ? target : str_sub(target, 0, mark);
    if (path.len > 1 && path.ptr[path.len - 1] == '/') {
        path.len--;
    }
    x->path = copy(path);
    x->query = copy(mark == SIZE_MAX ? STR("") : str_from(target, mark + 1));
    return path.len > 0;
}

static bool has_word(struct str text, const char *word)
{
    return str_find_str(text, str_of(word)) != SIZE_MAX;
}

enum err fixtures_add(struct fixtures *f, struct str name, struct str meta, struct str body)
{
    struct fixture x = {0};
    struct json *root = NULL;
    struct str url, recorded = STR("");
    int64_t status = 0;
    enum err e = json_parse(meta, &root, NULL);
    if (e == OK) {
        const struct json *response = json_get(root, "response");
        (void)json_get_str(json_get(root, "recorded_at"), &recorded);
        x.name = copy(name);
        if (!json_get_str(json_get(json_get(root, "request"), "url"), &url) || !read_url(url, &x) ||
            !json_get_i64(json_get(response, "status"), &status) || status < 200 || status > 599) {
            e = ERR_SYNTAX;
        } else {
            read_headers(json_get(response, "headers"), &x);
        }
    }
    if (e == OK && f->count >= MAX_FIXTURES) {
        e = ERR_LIMIT;
    }
    if (e == OK) {
        x.status = (unsigned)status;
        x.is_error = status >= 400 || has_word(name, "error");
        x.is_example = has_word(recorded, "document");
        buf_add_str(&x.body, body);
        if (f->count == f->cap) {
            f->cap = f->cap ? f->cap * 2 : 64;
            f->all = mem_resize(f->all, f->cap * sizeof(*f->all));
        }
        f->all[f->count++] = x;
    } else {
        fixture_fini(&x);
    }
    json_free(root);
    return e;
}

static enum err read_file(const char *path, struct buf *out)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        return ERR_NOT_FOUND;
    }
    buf_init(out, MAX_FILE);
    bool more = true;
    while (more && buf_reserve(out, 65536)) {
        size_t n = fread(out->ptr + out->len, 1, 65536, file);
        out->len += n;
        more = n > 0;
    }
    bool ok = !out->failed && !ferror(file);
    fclose(file);
    return ok ? OK : ERR_IO;
}

/* The body beside a description: plain, or gzipped. */
static enum err read_body(const char *stem, struct buf *out)
{
    char path[4200];
    struct buf packed = {0};
    snprintf(path, sizeof(path), "%s.json", stem);
    enum err e = read_file(path, out);
    if (e == ERR_NOT_FOUND) {
        snprintf(path, sizeof(path), "%s.json.gz", stem);
        e = read_file(path, &packed);
        if (e == OK) {
            buf_init(out, MAX_FILE);
            e = gzip_inflate(buf_str(&packed), out);
        }
        buf_fini(&packed);
    }
    return e;
}

/* `path` ends in ".meta.json"; `root_len`: the part that is the folder's own. */
static enum err read_one(struct fixtures *f, const char *path, size_t root_len, struct buf *error)
{
    struct buf meta = {0}, body = {0};
    char stem[4096];
    size_t len = strlen(path) - strlen(".meta.json");
    snprintf(stem, sizeof(stem), "%.*s", (int)len, path);
    enum err e = read_file(path, &meta);
    if (e == OK) {
        e = read_body(stem, &body);
    }
    if (e == OK) {
        e = fixtures_add(f, str_of(stem + root_len), buf_str(&meta), buf_str(&body));
    }
    if (e != OK) {
        buf_printf(error, "%s: %s", path, err_text(e));
    }
    buf_fini(&meta);
    buf_fini(&body);
    return e;
}

static enum err read_folder(struct fixtures *f, const char *folder, size_t root_len, int depth,
                            struct buf *error)
{
    DIR *dir = opendir(folder);
    enum err e = OK;
    if (!dir) {
        buf_printf(error, "cannot read the folder %s", folder);
        return ERR_NOT_FOUND;
    }
    for (struct dirent *entry = readdir(dir); entry && e == OK; entry = readdir(dir)) {
        char path[4096];
        struct stat st;
        int n = snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] == '.' || n < 0 || (size_t)n >= sizeof(path) || stat(path, &st) != 0) {
            continue;
        }
        if (S_ISDIR(st.st_mode) && depth < MAX_DEPTH) {
            e = read_folder(f, path, root_len, depth + 1, error);
        } else if (S_ISREG(st.st_mode) && str_ends(str_of(path), STR(".meta.json"))) {
            e = read_one(f, path, root_len, error);
        }
    }
    closedir(dir);
    return e;
}

enum err fixtures_open(const char *folder, struct fixtures **out, struct buf *error)
{
    struct fixtures *f = fixtures_new();
    enum err e = read_folder(f, folder, strlen(folder) + 1, 0, error);
    if (e == OK && f->count == 0) {
        buf_printf(error, "no recorded answer (NAME.meta.json) stands in %s", folder);
        e = ERR_NOT_FOUND;
    }
    if (e != OK) {
        fixtures_free(f);
        return e;
    }
    *out = f;
    return OK;
}

/* ---- choosing ---- */

enum { PATH_OTHER, PATH_PATTERN, PATH_SAME };

static int path_match(struct str recorded, struct str asked)
{
    struct str want, have;
    int match = PATH_SAME;
    while (str_next(&recorded, '/', &want)) {
        if (!str_next(&asked, '/', &have)) {
            return PATH_OTHER;
        }
        if (want.len > 2 && want.ptr[0] == '{' && have.len > 0) {
            match = PATH_PATTERN;
        } else if (!str_eq(want, have)) {
            return PATH_OTHER;
        }
    }
    return asked.len == 0 ? match : PATH_OTHER;
}

struct score {
    int path;
    size_t equal, unequal;
    bool is_error, is_example;
};

/* Counts the recorded parameters that the request has with the same value, decoded. */
static void compare_queries(struct str recorded, struct str asked, struct score *s)
{
    struct str pair;
    struct buf name = {0}, want = {0}, have = {0};
    while (str_next(&recorded, '&', &pair)) {
        size_t mark = str_find(pair, '=', 0);
        struct str key = mark == SIZE_MAX ? pair : str_sub(pair, 0, mark);
        struct str value = mark == SIZE_MAX ? STR("") : str_from(pair, mark + 1);
        buf_clear(&name);
        buf_clear(&want);
        buf_clear(&have);
        if (http_decode(key, true, &name) == OK && http_decode(value, true, &want) == OK &&
            http_query(asked, buf_str(&name), &have) == OK &&
            str_eq(buf_str(&want), buf_str(&have))) {
            s->equal++;
        } else {
            s->unequal++;
        }
    }
    buf_fini(&name);
    buf_fini(&want);
    buf_fini(&have);
}

static bool is_better(const struct score *a, const struct fixture *x, const struct score *b,
                      const struct fixture *y)
{
    if (a->path != b->path) {
        return a->path > b->path;
    }
    if (a->equal != b->equal) {
        return a->equal > b->equal;
    }
    if (a->is_error != b->is_error) {
        return b->is_error;
    }
    if (a->is_example != b->is_example) {
        return b->is_example;
    }
    if (a->unequal != b->unequal) {
        return a->unequal < b->unequal;
    }
    return strcmp(x->name, y->name) < 0;
}

const struct fixture *fixtures_choose(const struct fixtures *f, struct str path, struct str query)
{
    const struct fixture *best = NULL;
    struct score best_score = {0};
    if (path.len > 1 && path.ptr[path.len - 1] == '/') {
        path.len--;
    }
    for (size_t i = 0; i < f->count; i++) {
        const struct fixture *x = &f->all[i];
        struct score s = {.path = path_match(str_of(x->path), path),
                          .is_error = x->is_error,
                          .is_example = x->is_example};
        if (s.path == PATH_OTHER) {
            continue;
        }
        compare_queries(str_of(x->query), query, &s);
        if (!best || is_better(&s, x, &best_score, best)) {
            best = x;
            best_score = s;
        }
    }
    return best;
}

void fixture_answer(const struct fixture *f, struct str if_none_match, struct answer *a)
{
    a->status = f->status;
    if (f->content_type) {
        a->content_type = f->content_type;
    }
    buf_add_str(&a->headers, buf_str(&f->headers));
    if (f->etag && if_none_match.len > 0 &&
        str_find_str(if_none_match, str_of(f->etag)) != SIZE_MAX) {
        a->status = 304;
        return;
    }
    buf_add_str(&a->body, buf_str(&f->body));
}
