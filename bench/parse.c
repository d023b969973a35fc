/* parse: the limit that the way of a frame through the server is measured against: the frames of
 * tapes parsed by jansson and nothing else, all in memory beforehand. Prints one line of JSON.
 *
 *     parse FILE[,FILE...] [MS]      for so long (1000), in whole passes over all frames
 *
 * SPDX-License-Identifier: MIT */
#include "base/alloc.h"
#include "wire/tape_files.h"

#include <jansson.h>
#include <time.h>

struct frames {
    struct buf bytes;
    size_t *ends;
    size_t count, room;
};

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static bool load(struct frames *f, const char *paths)
{
    struct tape_files *files = NULL;
    struct tape_item item;
    struct buf error = {0};
    if (tape_files_open(str_of(paths), &files, &error) != OK) {
        fprintf(stderr, "parse: %s\n", buf_text(&error));
        buf_fini(&error);
        return false;
    }
    for (enum err e = tape_files_next(files, &item); e != ERR_NOT_FOUND;
         e = tape_files_next(files, &item)) {
        if (e != OK || item.kind != TAPE_TEXT) {
            continue;
        }
        if (f->count == f->room) {
            f->room = f->room ? f->room * 2 : 1024;
            f->ends = mem_resize(f->ends, f->room * sizeof(*f->ends));
        }
        buf_add_str(&f->bytes, item.frame);
        f->ends[f->count++] = f->bytes.len;
    }
    tape_files_free(files);
    return f->count > 0;
}

/* How many were no JSON. */
static size_t parse_all(const struct frames *f)
{
    size_t bad = 0;
    size_t from = 0;
    for (size_t i = 0; i < f->count; i++) {
        json_t *root = json_loadb(f->bytes.ptr + from, f->ends[i] - from, 0, NULL);
        bad += root == NULL;
        json_decref(root);
        from = f->ends[i];
    }
    return bad;
}

int main(int argc, char **argv)
{
    struct frames f = {0};
    uint64_t ms = 1000;
    if (argc < 2 || argc > 3 || (argc == 3 && str_to_u64(str_of(argv[2]), &ms) != OK)) {
        fputs("usage: parse FILE[,FILE...] [MS]\n", stderr);
        return 2;
    }
    if (!load(&f, argv[1])) {
        return 1;
    }
    size_t bad = 0;
    uint64_t parsed = 0;
    uint64_t from = cpu_ns();
    do {
        bad += parse_all(&f);
        parsed += f.count;
    } while (cpu_ns() - from < ms * 1000000);
    uint64_t ns = cpu_ns() - from;
    printf("{\"frames\":%zu,\"bytes\":%zu,\"bad\":%zu,\"ns_each\":%.1f}\n", f.count, f.bytes.len,
           bad, (double)ns / (double)parsed);
    buf_fini(&f.bytes);
    mem_free(f.ends);
    return 0;
}
