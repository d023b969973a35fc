/* check_run: tries what the server would meet if it were started now, with the code that it would
 * use: the data folder, Redis, the TLS files, and one request to each provider, counted in the same
 * budgets as the server's own. Takes no lock that another instance holds, makes no folder and no
 * database. SPDX-License-Identifier: MIT */
#ifndef APP_CHECK_RUN_H
#define APP_CHECK_RUN_H
#include "app/options.h"

/* Prints a line for each thing on standard output; 0: nothing failed, 1: something did. Blocks for
 * 15 s at most. */
int check_run(const struct options *options);

#endif
