/* check: what a driver says of what must hold. SPDX-License-Identifier: MIT */
#ifndef FUZZ_CHECK_H
#define FUZZ_CHECK_H
#include <stdlib.h>

#define FUZZ_CHECK(condition) \
    do {                      \
        if (!(condition)) {   \
            abort();          \
        }                     \
    } while (0)

#endif
