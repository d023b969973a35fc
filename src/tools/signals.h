/* signals: signals as events of a tool's loop. SPDX-License-Identifier: MIT */
#ifndef TOOLS_SIGNALS_H
#define TOOLS_SIGNALS_H
#include <stdint.h>

/* Blocks these signals of the process (a list that ends with 0) and gives a file that is readable
 * when one came, for a watch; -1 with errno. The caller closes it. Before any other thread. */
int signals_open(const int *numbers);
/* Takes the next signal off; 0: there is none. */
uint32_t signals_next(int fd);

#endif
