/* SPDX-License-Identifier: MIT */
#include "sources/offer.h"

#include "sources/count.h"

static void add_implausible(enum provider_id id, const char *what, struct buf *why)
{
    buf_printf(why, "%s%s's %s is implausible", why->len ? "; " : "", provider_row(id)->title,
               what);
    count_rejected(id);
}

static uint32_t offer_fields(const struct sources_opts *o, const struct endpoint *row,
                             uint32_t wanted, const struct reading *r, int closes, int64_t wall_ms,
                             struct buf *why)
{
    uint32_t taken = 0;
    for (int f = 0; f < FIELD_COUNT; f++) {
        if (!(wanted & FIELD_BIT(f))) {
            continue;
        }
        struct summary_report report = {
            .field = (enum summary_field)f,
            .value = r->value[f],
            .as_of_ms = r->as_of_ms ? r->as_of_ms : wall_ms,
            .provider = provider_row(row->provider)->name,
            .method = row->method,
            .closes = closes,
        };
        if (o->value(o->self, &report) == OK) {
            taken |= FIELD_BIT(f);
        } else {
            add_implausible(row->provider, summary_field_name((enum summary_field)f), why);
        }
    }
    return taken;
}

static uint32_t offer_outlook(const struct sources_opts *o, const struct endpoint *row,
                              uint32_t wanted, const struct reading *r, struct buf *why)
{
    uint32_t taken = 0;
    for (int p = 0; p < OUTLOOK_PARTS && o->outlook; p++) {
        if (!(wanted & OUTLOOK_BIT(p))) {
            continue;
        }
        struct outlook_report report = {
            .part = (enum outlook_part)p,
            .values = &r->outlook,
            .as_of_ms = r->as_of_ms,
            .provider = provider_row(row->provider)->name,
            .method = row->method,
        };
        if (o->outlook(o->self, &report) == OK) {
            taken |= OUTLOOK_BIT(p);
        } else {
            add_implausible(row->provider, outlook_part_text(report.part), why);
        }
    }
    return taken;
}

uint32_t offer_reading(const struct sources_opts *o, enum endpoint_id id, uint32_t wanted,
                       const struct reading *r, int closes, int64_t wall_ms, struct buf *why)
{
    const struct endpoint *row = endpoint_row(id);
    wanted &= row->fields & r->fields;
    uint32_t taken = offer_fields(o, row, wanted, r, closes, wall_ms, why);
    return taken | offer_outlook(o, row, wanted, r, why);
}
