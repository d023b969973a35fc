/* bollinger: bands of `width` POPULATION deviations around the simple mean (Bollinger; usual: 20,
 * 2). Pure; errors as in average.h. SPDX-License-Identifier: MIT */
#ifndef QUANT_BOLLINGER_H
#define QUANT_BOLLINGER_H
#include "quant/average.h"

struct bollinger {
    struct sma mean;
    double width;
    /* private */
    double last;
};
struct bollinger_value {
    double lower, middle, upper;
};

void bollinger_init(struct bollinger *b, uint32_t period, double width);
enum err bollinger_add(struct bollinger *b, double close) MUST_CHECK;
enum indicator_gap bollinger_value(const struct bollinger *b, struct bollinger_value *out);
/* %B = (close - lower) / (upper - lower); no movement: the bands lie on each other. */
enum indicator_gap bollinger_percent_b(const struct bollinger *b, double *out);
/* 20, 2. */
enum indicator_gap bollinger_of(const double *closes, size_t count, struct bollinger_value *out);
enum indicator_gap bollinger_percent_b_of(const double *closes, size_t count, double *out);

#endif
