/* Which instruments are wanted of a venue. A row stays for good once it was made: its last trade id
 * is what a later subscription goes on from. SPDX-License-Identifier: MIT */
#include "base/alloc.h"
#include "base/log.h"
#include "sources/feed.h"

#define ROWS_MAX 5000

struct feed_row *feed_row_find(struct venue_feed *vf, struct str instrument)
{
    return map_get(&vf->by_instrument, instrument);
}

static bool is_listed(const struct venue_feed *vf, uint32_t symbol)
{
    return !vf->list_known ||
           map_get(&vf->offered, str_of(market_symbol(vf->owner->opts.market, symbol)));
}

static struct feed_row *add_row(struct venue_feed *vf, struct str instrument, uint32_t symbol,
                                bool usdt)
{
    size_t slot = vf->row_count / vf->venue->rows_a_connection;
    if (vf->row_count >= ROWS_MAX || slot >= FEED_SLOTS_MAX) {
        log_warn("feeds", "more instruments than can be watched", "venue=%s instrument=%s",
                 venue_name(vf->venue->id), log_quote(instrument));
        return NULL;
    }
    struct feed_row *row = mem_zero(sizeof(*row));
    row->instrument = mem_copy_text(instrument.ptr, instrument.len);
    row->symbol = symbol;
    row->index = vf->row_count;
    row->usdt = usdt;
    row->listed = is_listed(vf, symbol);
    row->slot = (uint16_t)slot;
    if (map_put(&vf->by_instrument, instrument, row) != OK) {
        mem_free(row->instrument);
        mem_free(row);
        return NULL;
    }
    if (vf->row_count == vf->row_cap) {
        vf->row_cap = vf->row_cap ? vf->row_cap * 2 : 64;
        vf->rows = mem_resize(vf->rows, vf->row_cap * sizeof(struct feed_row *));
    }
    vf->rows[vf->row_count++] = row;
    vf->slot_count = max_size(vf->slot_count, slot + 1);
    return row;
}

struct feed_row *feed_row_of(struct venue_feed *vf, uint32_t symbol)
{
    struct buf name = {0};
    struct feed_row *row = NULL;
    struct str text = str_of(market_symbol(vf->owner->opts.market, symbol));
    if (exchange_instrument(vf->venue->id, text, &name)) {
        row = feed_row_find(vf, buf_str(&name));
        row = row ? row : add_row(vf, buf_str(&name), symbol, vf->venue->id == VENUE_BINANCE);
    }
    buf_fini(&name);
    return row;
}

struct feed_row *feed_row_adopt(struct venue_feed *vf, struct str instrument)
{
    struct str symbol;
    enum quote_unit quote;
    uint32_t id;
    if (!exchange_split(vf->venue->id, instrument, &symbol, &quote) ||
        market_add_symbol(vf->owner->opts.market, exchange_symbol_of(vf->venue->id, symbol), &id) !=
            OK) {
        return NULL;
    }
    return add_row(vf, instrument, id, quote == QUOTE_USDT);
}

bool feed_row_due(const struct feed_row *row)
{
    return row->wanted && row->listed && !row->refused;
}

/* What was refused may be there now. */
void feed_rows_relist(struct venue_feed *vf)
{
    for (size_t i = 0; i < vf->row_count; i++) {
        vf->rows[i]->refused = false;
        vf->rows[i]->listed = is_listed(vf, vf->rows[i]->symbol);
    }
}

void feed_row_refuse(struct venue_feed *vf, struct feed_row *row, struct str text)
{
    row->refused = true;
    log_warn("feeds", "an instrument was refused", "venue=%s instrument=%s why=%s",
             venue_name(vf->venue->id), row->instrument, log_quote(text));
    vf->owner->opts.down(vf->owner->opts.self, (enum market_venue)vf->venue->id, row->symbol,
                         "not offered there");
}

void feed_rows_free(struct venue_feed *vf)
{
    for (size_t i = 0; i < vf->row_count; i++) {
        mem_free(vf->rows[i]->instrument);
        mem_free(vf->rows[i]);
    }
    mem_free(vf->rows);
    map_fini(&vf->by_instrument);
}
