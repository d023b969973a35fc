/* watch_text: text and numbers in the columns of a terminal, for `coincast watch`. Pure.
 * SPDX-License-Identifier: MIT */
#ifndef TOOLS_WATCH_TEXT_H
#define TOOLS_WATCH_TEXT_H
#include "base/buf.h"

/* Columns a text takes in a terminal: wide characters two, combining ones none. */
size_t watch_columns(struct str text);
/* Appends as much of a text as fits into `columns`, cut with "…" when it does not fit. Control
 * bytes and bad UTF-8 are shown as "?", so that a server cannot move the cursor. */
void watch_add_cut(struct buf *out, struct str text, size_t columns);
/* Blanks, until what was appended since `from` takes that many columns. */
void watch_pad(struct buf *b, size_t from, size_t columns);

/* For people: 1,234,567.80 with decimals by magnitude, and a price with as many as another; 3.399
 * T; ▲ +1.25 %; 67 min; 67 min old (below 0: unknown). */
void watch_add_price(struct buf *out, double price);
void watch_add_like(struct buf *out, double value, double like);
void watch_add_big(struct buf *out, double usd);
void watch_add_change(struct buf *out, double pct);
void watch_add_span(struct buf *out, double seconds);
void watch_add_age(struct buf *out, double age_s);

/* A line under way: cells side by side, never more than `columns` wide. */
struct watch_line {
    struct buf *out;
    size_t columns, used;
    bool color;
};
enum watch_align { WATCH_LEFT, WATCH_RIGHT };
/* A cell of `width` columns in one colour (an ANSI code, or ""); what does not fit is cut. */
void watch_cell(struct watch_line *line, const char *code, struct str text, size_t width,
                enum watch_align align);

#endif
