/* rng: chance that can be asked again. xoshiro256** (Blackman and Vigna), seeded by splitmix64, so
 * the same seed gives the same numbers on every machine. Not for secrets.
 * SPDX-License-Identifier: MIT */
#ifndef TOOLS_RNG_H
#define TOOLS_RNG_H
#include "base/base.h"

struct rng {
    uint64_t state[4];
};

/* Any seed is fine, 0 too. */
void rng_seed(struct rng *r, uint64_t seed);
/* A seed for a thing that is named by numbers: differs in all bits when either number differs. */
uint64_t rng_mix(uint64_t a, uint64_t b);
uint64_t rng_next(struct rng *r);
/* 0 <= x < 1. */
double rng_unit(struct rng *r);
/* About normal with mean 0 and deviation 1, never beyond 3.47: the sum of four even pieces of one
 * draw. Fat tails are the caller's to add. */
double rng_normal(struct rng *r);

#endif
