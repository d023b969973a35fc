/* answer_coingecko: what CoinGecko's end points share. SPDX-License-Identifier: MIT */
#ifndef TOOLS_ANSWER_COINGECKO_H
#define TOOLS_ANSWER_COINGECKO_H
#include "tools/answer.h"

/* Answers are as of the last whole piece of time: prices, and everything else. */
#define COINGECKO_CACHE_MS INT64_C(60000)
#define COINGECKO_SLOW_CACHE_MS INT64_C(600000)

/* A currency an answer may be in. */
struct coingecko_currency {
    const char *code;
    double usd; /* its value; 0: the price of that coin */
};

/* NULL: not known. */
const struct coingecko_currency *coingecko_find_currency(struct str code);
double coingecko_usd_of(struct simulator *s, const struct coingecko_currency *y, int64_t at_ms);
/* As shown there: whole dollars from 1,000 on, cents from 1 on, six digits below. */
double coingecko_shown(double price);
void coingecko_number(struct json_writer *w, const char *key, double value);
/* Which symbols the lists ids, symbols and names ask for; all, when no list is given and
 * `all_without`. False: no list was given. */
bool coingecko_choose(const struct answer_call *c, bool chosen[SIM_NAMED], bool all_without);
/* Adds the cache's header lines, and turns the answer into 304 when the asker has it already. */
void coingecko_finish(const struct answer_call *c, int64_t as_of_ms);

#endif
