/* SPDX-License-Identifier: MIT */
#include "tools/load_cpu.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

enum err load_cpu_parse(struct str list, struct load_cpu *out)
{
    struct load_cpu cpu = {0};
    struct str part;
    while (str_next(&list, ',', &part)) {
        uint64_t pid;
        if (str_to_u64(part, &pid) != OK || pid == 0 || pid > INT32_MAX) {
            return ERR_SYNTAX;
        }
        if (cpu.count == LOAD_CPU_MAX) {
            return ERR_LIMIT;
        }
        cpu.pids[cpu.count++] = (uint32_t)pid;
    }
    *out = cpu;
    return OK;
}

/* The first number of a thread's schedstat; false when the thread is gone. */
static bool thread_ns(int tasks, const char *thread, uint64_t *ns)
{
    char path[280], text[64];
    snprintf(path, sizeof path, "%s/schedstat", thread);
    int fd = openat(tasks, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    struct str rest = str_make(text, n < 0 ? 0 : (size_t)n), first;
    return str_next(&rest, ' ', &first) && str_to_u64(first, ns) == OK;
}

static enum err process_ns(uint32_t pid, uint64_t *ns)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%u/task", pid);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return ERR_NOT_FOUND;
    }
    uint64_t sum = 0, one;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] != '.' && thread_ns(dirfd(dir), entry->d_name, &one)) {
            sum += one;
        }
    }
    closedir(dir);
    *ns = sum;
    return OK;
}

enum err load_cpu_read(const struct load_cpu *cpu, uint64_t *ns)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < cpu->count; i++) {
        uint64_t one;
        enum err e = process_ns(cpu->pids[i], &one);
        if (e != OK) {
            return e;
        }
        sum += one;
    }
    *ns = sum;
    return OK;
}
