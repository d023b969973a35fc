/* SPDX-License-Identifier: MIT */
#include "hub/table.h"

#include "base/alloc.h"

/* Beyond that many bytes nothing more is kept for others. */
enum { MEMO_BYTES = 1 << 20, MEMO_SLOTS = 1024 };

struct table *table_new(void)
{
    return mem_zero(sizeof(struct table));
}

void table_reset(struct table *t)
{
    for (size_t i = 0; i < t->cap; i++) {
        frame_unref(t->rows[i].frame);
        t->rows[i] = (struct row){0};
    }
    t->top_seq = 0;
}

void table_free(struct table *t)
{
    if (t) {
        table_reset(t);
        for (size_t i = 0; i < t->cap; i++) {
            mem_free(t->wants[i].of);
        }
        mem_free(t->all.of);
        mem_free(t->wants);
        mem_free(t->rows);
        mem_free(t);
    }
}

void table_reserve(struct table *t, uint32_t key)
{
    if (key < t->cap) {
        return;
    }
    size_t cap = max_size(key + 1, t->cap * 2);
    t->rows = mem_resize(t->rows, cap * sizeof(*t->rows));
    t->wants = mem_resize(t->wants, cap * sizeof(*t->wants));
    memset(t->rows + t->cap, 0, (cap - t->cap) * sizeof(*t->rows));
    memset(t->wants + t->cap, 0, (cap - t->cap) * sizeof(*t->wants));
    t->cap = cap;
}

void table_apply(struct table *t, struct frame *f)
{
    for (uint32_t i = 0; i < f->rows->count; i++) {
        uint32_t key = f->rows->rows[i].key;
        table_reserve(t, key);
        frame_unref(t->rows[key].frame);
        t->rows[key] = (struct row){.frame = frame_ref(f), .at = i};
    }
    t->top_seq = f->seq;
}

uint64_t row_seq(const struct row *r)
{
    return r->frame ? r->frame->seq : 0;
}

void picks_add(struct picks *p, const struct row *r)
{
    if (p->count == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 64;
        p->rows = mem_resize(p->rows, p->cap * sizeof(*p->rows));
    }
    p->rows[p->count++] = r;
}

void picks_fini(struct picks *p)
{
    mem_free(p->rows);
    *p = (struct picks){0};
}

/* ---- what was written before ---- */

struct memo_slot {
    uint64_t hash; /* 0: empty */
    size_t at, len;
    /* a copy of what was asked, in `bytes`: form, late, and the places of the rows */
    size_t asked_at, asked_len;
};

void memo_fini(struct memo *m)
{
    mem_free(m->slots);
    buf_fini(&m->bytes);
    buf_fini(&m->json);
}

static void memo_begin(struct memo *m, const struct table *t)
{
    if (m->table == t && m->top_seq == t->top_seq && m->slots) {
        return;
    }
    if (!m->slots) {
        m->slots = mem_array(MEMO_SLOTS, sizeof(*m->slots));
    } else if (m->count) {
        memset(m->slots, 0, MEMO_SLOTS * sizeof(*m->slots));
    }
    m->table = t;
    m->top_seq = t->top_seq;
    m->count = 0;
    buf_clear(&m->bytes);
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash ^ (hash >> 29);
}

static uint64_t asked_hash(const struct table_message *m)
{
    uint64_t hash = mix(m->seq, (uint64_t)m->form << 1 | m->late);
    for (size_t i = 0; i < m->picks->count; i++) {
        hash = mix(hash, (uint64_t)(m->picks->rows[i] - m->table->rows));
    }
    return hash ? hash : 1;
}

static bool is_same(const struct memo *memo, const struct memo_slot *s,
                    const struct table_message *m)
{
    struct {
        uint64_t seq;
        uint32_t form, late;
    } head = {m->seq, m->form, m->late};
    const char *asked = memo->bytes.ptr + s->asked_at;
    size_t rows_len = m->picks->count * sizeof(*m->picks->rows);
    return s->asked_len == sizeof(head) + rows_len && memcmp(asked, &head, sizeof(head)) == 0 &&
           memcmp(asked + sizeof(head), m->picks->rows, rows_len) == 0;
}

/* The slot of what was asked, or the empty one for it. */
static struct memo_slot *memo_find(struct memo *memo, const struct table_message *m, uint64_t hash)
{
    size_t at = hash % MEMO_SLOTS;
    while (memo->slots[at].hash &&
           (memo->slots[at].hash != hash || !is_same(memo, &memo->slots[at], m))) {
        at = (at + 1) % MEMO_SLOTS;
    }
    return &memo->slots[at];
}

static void memo_keep(struct memo *memo, struct memo_slot *s, uint64_t hash,
                      const struct table_message *m, struct str written)
{
    struct {
        uint64_t seq;
        uint32_t form, late;
    } head = {m->seq, m->form, m->late};
    if (memo->count >= MEMO_SLOTS / 2 || memo->bytes.len + written.len > MEMO_BYTES) {
        return;
    }
    memo->count++;
    *s = (struct memo_slot){.hash = hash, .asked_at = memo->bytes.len};
    buf_add(&memo->bytes, &head, sizeof(head));
    buf_add(&memo->bytes, m->picks->rows, m->picks->count * sizeof(*m->picks->rows));
    s->asked_len = memo->bytes.len - s->asked_at;
    s->at = memo->bytes.len;
    s->len = written.len;
    buf_add_str(&memo->bytes, written);
}

/* ---- writing ---- */

static const struct frame_row *row_in(const struct row *r)
{
    return &r->frame->rows->rows[r->at];
}

static const struct frame *newest(const struct picks *p)
{
    const struct frame *f = p->rows[0]->frame;
    for (size_t i = 1; i < p->count; i++) {
        f = p->rows[i]->frame->seq > f->seq ? p->rows[i]->frame : f;
    }
    return f;
}

static void write_cursor(const struct table_message *m, const char *name, uint64_t seq,
                         struct buf *json)
{
    buf_add_str(json, str_of(name));
    buf_add_str(json, m->epoch);
    buf_add_char(json, '-');
    buf_add_u64(json, seq);
    buf_add_char(json, '"');
}

/* Gives where the data stands. */
static struct str write_full(const struct table_message *m, struct buf *json)
{
    const struct frame *last = newest(m->picks);
    const struct frame_rows *lists = last->rows;
    buf_add_lit(json, "{\"type\":\"");
    buf_add_str(json, str_of(m->channel->type));
    buf_add_lit(json, "\",\"data\":");
    size_t from = json->len;
    for (size_t i = 0; i < m->picks->count; i++) {
        const struct row *r = m->picks->rows[i];
        buf_add_char(json, i ? ',' : '{');
        buf_add(json, r->frame->payload + row_in(r)->at, row_in(r)->len);
    }
    buf_add_char(json, '}');
    size_t to = json->len;
    buf_add(json, last->payload + lists->tail_at, lists->tail_len);
    write_cursor(m, ",\"cursor\":\"", m->seq, json);
    buf_add_char(json, '}');
    return str_make(json->ptr + from, to - from);
}

static void write_changes(const struct table_message *m, const struct row *r, struct buf *json)
{
    const struct frame_rows *lists = r->frame->rows;
    const struct frame_field *fields = &lists->fields[(size_t)r->at * lists->field_count];
    bool first = true;
    buf_add(json, r->frame->payload + row_in(r)->at, row_in(r)->name_len);
    buf_add_lit(json, ":{");
    for (uint32_t i = 0; i < lists->field_count; i++) {
        if (fields[i].changed_seq > m->base) {
            buf_add_str(json, first ? STR("\"") : STR(",\""));
            buf_add_str(json, str_of(m->channel->fields[i]));
            buf_add_lit(json, "\":");
            buf_add(json, r->frame->payload + fields[i].at, fields[i].len);
            first = false;
        }
    }
    buf_add_char(json, '}');
}

/* Mode and time of sending are left out: the one only changes with the epoch, which begins with
 * full messages, and the rows have times of their own. They would be a third of most deltas. */
static struct str write_delta(const struct table_message *m, struct buf *json)
{
    buf_add_lit(json, "{\"type\":\"");
    buf_add_str(json, str_of(m->channel->type));
    buf_add_lit(json, "\",\"channel\":\"");
    buf_add_str(json, str_of(m->channel->name));
    write_cursor(m, "\",\"delta\":true,\"base\":\"", m->base, json);
    buf_add_lit(json, ",\"data\":");
    size_t from = json->len;
    for (size_t i = 0; i < m->picks->count; i++) {
        buf_add_char(json, i ? ',' : '{');
        write_changes(m, m->picks->rows[i], json);
    }
    buf_add_char(json, '}');
    size_t to = json->len;
    write_cursor(m, ",\"cursor\":\"", m->seq, json);
    buf_add_char(json, '}');
    return str_make(json->ptr + from, to - from);
}

static void write_new(const struct table_message *m, struct deflater *deflater, struct buf *json,
                      struct buf *out)
{
    struct frame_text t = {.type = str_of(m->channel->type),
                           .event = str_of(m->channel->event),
                           .seq = m->seq,
                           .deflate_min = m->delta ? FRAME_DEFLATE_MIN_DELTA : FRAME_DEFLATE_MIN};
    buf_clear(json);
    t.data = m->delta ? write_delta(m, json) : write_full(m, json);
    t.json = buf_str(json);
    frame_append_message(m->form, &t, m->late ? (struct str){0} : m->epoch, deflater, out);
}

/* The message as it was published: shared by all shards, packed once. */
static struct frame *whole_frame(const struct table_message *m)
{
    struct frame *f = m->picks->rows[0]->frame;
    if (m->delta || m->seq != f->seq || m->picks->count != f->rows->count) {
        return NULL;
    }
    for (size_t i = 1; i < m->picks->count; i++) {
        if (m->picks->rows[i]->frame != f) {
            return NULL;
        }
    }
    return f;
}

void table_write(const struct table_message *m, struct deflater *deflater, struct memo *memo,
                 struct buf *out)
{
    struct frame *whole = whole_frame(m);
    if (whole) {
        frame_append(whole, m->form, m->late ? (struct str){0} : m->epoch, deflater, out);
        return;
    }
    if (m->delta || m->form == FORM_POLL) { /* hardly ever twice the same */
        write_new(m, deflater, &memo->json, out);
        return;
    }
    memo_begin(memo, m->table);
    uint64_t hash = asked_hash(m);
    struct memo_slot *s = memo_find(memo, m, hash);
    if (s->hash) {
        buf_add(out, memo->bytes.ptr + s->at, s->len);
        return;
    }
    size_t start = out->len;
    write_new(m, deflater, &memo->json, out);
    memo_keep(memo, s, hash, m, str_from(buf_str(out), start));
}
