/* waited: how long this program was ready to run and its core was another's. On a machine that does
 * nothing else it is next to nothing; else latencies tell of the machine. Linux.
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_WAITED_H
#define BENCH_WAITED_H
#include <stdio.h>

/* Milliseconds since the program began; below 0: the kernel does not say. */
static inline double waited_ms(void)
{
    unsigned long long ran = 0, waited = 0;
    FILE *f = fopen("/proc/self/schedstat", "r");
    if (f == NULL) {
        return -1;
    }
    int n = fscanf(f, "%llu %llu", &ran, &waited);
    fclose(f);
    return n == 2 ? (double)waited / 1e6 : -1;
}

#endif
