/* tools: the subcommands beside the server. Each takes the words behind its own name (`argv[0]` is
 * the first of them) and gives the exit code; 2 is wrong usage, said in one line on standard error.
 * SPDX-License-Identifier: MIT */
#ifndef TOOLS_TOOLS_H
#define TOOLS_TOOLS_H

/* `coincast load`: many WebSocket clients and a publisher, with counts and latencies. */
int tool_load(int argc, char **argv);

/* `coincast upstream`: the stand-in for all providers, until SIGTERM (exit code 0). */
int tool_upstream(int argc, char **argv);
/* `coincast watch`: live numbers of a server in a terminal. */
int tool_watch(int argc, char **argv);
/* `coincast conformance`: a server for public protocol test suites, until SIGTERM. */
int tool_conformance(int argc, char **argv);
/* `coincast analyse`: indicators and statistics of a candle file as JSON. */
int tool_analyse(int argc, char **argv);
/* `coincast backtest`: what following the signal would have brought on candle files. */
int tool_backtest(int argc, char **argv);
/* `coincast candles`: the trades of a recording or tape as candles, in CSV. */
int tool_candles(int argc, char **argv);

#endif
