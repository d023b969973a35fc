/* app: the subcommands of the server itself. Each takes the words behind its own name, as the tools
 * do (tools/tools.h). SPDX-License-Identifier: MIT */
#ifndef APP_APP_H
#define APP_APP_H

#define COINCAST_VERSION "0.1.0"

/* `coincast serve` */
int app_serve(int argc, char **argv);
/* `coincast check`: settings with their origin; tries every provider, Redis and the database. */
int app_check(int argc, char **argv);

#endif
