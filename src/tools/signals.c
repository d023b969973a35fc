/* SPDX-License-Identifier: MIT */
#include "tools/signals.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

int signals_open(const int *numbers)
{
    sigset_t set;
    sigemptyset(&set);
    for (; *numbers; numbers++) {
        sigaddset(&set, *numbers);
    }
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
        return -1;
    }
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

uint32_t signals_next(int fd)
{
    struct signalfd_siginfo info;
    return read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info) ? info.ssi_signo : 0;
}
