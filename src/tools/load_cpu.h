/* load_cpu: CPU time that processes on this machine used, from the scheduler's own accounts in
 * nanoseconds (/proc/PID/task/N/schedstat, all threads). A kernel thread such as ksoftirqd counts
 * like any process: on loopback it does part of the server's work. SPDX-License-Identifier: MIT */
#ifndef TOOLS_LOAD_CPU_H
#define TOOLS_LOAD_CPU_H
#include "base/err.h"
#include "base/str.h"

#define LOAD_CPU_MAX 8

struct load_cpu {
    uint32_t pids[LOAD_CPU_MAX];
    size_t count;
};

/* Reads "12,34". ERR_SYNTAX, ERR_LIMIT. */
enum err load_cpu_parse(struct str list, struct load_cpu *out) MUST_CHECK;
/* Sum over all of them since they started; ERR_NOT_FOUND when one is gone. */
enum err load_cpu_read(const struct load_cpu *cpu, uint64_t *ns) MUST_CHECK;

#endif
