/* SPDX-License-Identifier: MIT */
#include "hub/rows.h"

#include "base/alloc.h"
#include "base/json.h"

#include <assert.h>

struct field {
    char *text; /* owned; NULL: never known */
    uint32_t len, cap;
    uint64_t changed_seq;
};

struct row {
    char *name; /* owned, as JSON with its quotes; NULL: no such row yet */
    struct field *fields;
    bool due; /* in the frame that is being made */
};

struct rows {
    const struct channel_info *channel;
    struct row *of; /* by key */
    size_t cap;
    uint32_t *due; /* keys of the frame that is being made */
    size_t due_count, due_cap;
    bool resend;
};

struct rows *rows_new(const struct channel_info *channel)
{
    struct rows *r = mem_zero(sizeof(*r));
    r->channel = channel;
    return r;
}

const struct channel_info *rows_channel(const struct rows *r)
{
    return r->channel;
}

void rows_reset(struct rows *r)
{
    for (size_t k = 0; k < r->cap; k++) {
        for (size_t i = 0; r->of[k].fields && i < r->channel->field_count; i++) {
            mem_free(r->of[k].fields[i].text);
        }
        mem_free(r->of[k].fields);
        mem_free(r->of[k].name);
        r->of[k] = (struct row){0};
    }
    r->resend = false;
}

void rows_free(struct rows *r)
{
    if (r) {
        rows_reset(r);
        mem_free(r->of);
        mem_free(r->due);
        mem_free(r);
    }
}

void rows_resend(struct rows *r)
{
    r->resend = true;
}

static struct row *row_of(struct rows *r, const struct hub_row *given)
{
    assert(given->key <= TABLE_KEY_MAX);
    if (given->key >= r->cap) {
        size_t cap = max_size(given->key + 1, r->cap * 2);
        r->of = mem_resize(r->of, cap * sizeof(*r->of));
        memset(r->of + r->cap, 0, (cap - r->cap) * sizeof(*r->of));
        r->cap = cap;
    }
    struct row *row = &r->of[given->key];
    if (!row->name) {
        struct buf name = {0};
        json_escape(&name, given->name);
        row->name = mem_copy_text(name.ptr, name.len);
        row->fields = mem_array(max_size(r->channel->field_count, 1), sizeof(*row->fields));
        buf_fini(&name);
    }
    return row;
}

static void set_due(struct rows *r, uint32_t key)
{
    if (r->of[key].due) {
        return;
    }
    if (r->due_count == r->due_cap) {
        r->due_cap = r->due_cap ? r->due_cap * 2 : 16;
        r->due = mem_resize(r->due, r->due_cap * sizeof(*r->due));
    }
    r->of[key].due = true;
    r->due[r->due_count++] = key;
}

/* Whether it is another text now. One that was known and is not any more is null. */
static bool set_field(struct field *f, struct str value, uint64_t seq)
{
    if (value.len == 0) {
        if (!f->text) {
            return false;
        }
        value = STR("null");
    }
    if (f->text && str_eq(str_make(f->text, f->len), value)) {
        return false;
    }
    if (f->cap < value.len) {
        f->cap = (uint32_t)value.len + 8;
        f->text = mem_resize(f->text, f->cap);
    }
    memcpy(f->text, value.ptr, value.len);
    f->len = (uint32_t)value.len;
    f->changed_seq = seq;
    return true;
}

static void take_values(struct rows *r, const struct hub_row *given, uint64_t seq)
{
    struct row *row = row_of(r, given);
    bool changed = false;
    for (size_t i = 0; i < r->channel->field_count; i++) {
        changed = set_field(&row->fields[i], given->values[i], seq) || changed;
    }
    if (changed) {
        set_due(r, given->key);
    }
}

static void set_all_due(struct rows *r, uint64_t seq)
{
    for (size_t k = 0; k < r->cap; k++) {
        const struct row *row = &r->of[k];
        bool known = false;
        for (size_t i = 0; row->name && i < r->channel->field_count; i++) {
            if (row->fields[i].text) {
                row->fields[i].changed_seq = seq;
                known = true;
            }
        }
        if (known) {
            set_due(r, (uint32_t)k);
        }
    }
    r->resend = false;
}

/* Room for the lists in one piece. */
static struct frame_rows *lists_new(size_t count, size_t field_count)
{
    size_t rows_bytes = count * sizeof(struct frame_row);
    size_t fields_bytes = count * field_count * sizeof(struct frame_field);
    struct frame_rows *lists = mem_alloc(sizeof(*lists) + fields_bytes + rows_bytes);
    *lists = (struct frame_rows){.count = (uint32_t)count, .field_count = (uint32_t)field_count};
    lists->fields = (struct frame_field *)(void *)(lists + 1);
    lists->rows = (struct frame_row *)(void *)((char *)(lists + 1) + fields_bytes);
    return lists;
}

static void write_row(const struct rows *r, uint32_t key, struct frame_row *out,
                      struct frame_field *fields, struct buf *text)
{
    const struct row *row = &r->of[key];
    bool first = true;
    *out = (struct frame_row){
        .key = key, .at = (uint32_t)text->len, .name_len = (uint32_t)strlen(row->name)};
    buf_add(text, row->name, out->name_len);
    buf_add_lit(text, ":{");
    for (size_t i = 0; i < r->channel->field_count; i++) {
        const struct field *f = &row->fields[i];
        fields[i] = (struct frame_field){.changed_seq = f->changed_seq};
        if (!f->text) {
            continue;
        }
        buf_add_str(text, first ? STR("\"") : STR(",\""));
        first = false;
        buf_add_str(text, str_of(r->channel->fields[i]));
        buf_add_lit(text, "\":");
        fields[i].at = (uint32_t)text->len;
        fields[i].len = f->len;
        buf_add(text, f->text, f->len);
    }
    buf_add_char(text, '}');
    out->len = (uint32_t)text->len - out->at;
}

static void write_tail(const struct rows_head *head, struct frame_rows *lists, struct buf *text)
{
    char time[CLOCK_RFC3339_LEN + 1];
    clock_format_rfc3339(head->wall_ms, time);
    lists->tail_at = (uint32_t)text->len;
    buf_printf(text, ",\"timestamp\":\"%s\"", time);
    lists->time_len = (uint32_t)text->len - lists->tail_at;
    if (head->mode) {
        buf_printf(text, ",\"mode\":\"%s\"", head->mode);
    }
    lists->tail_len = (uint32_t)text->len - lists->tail_at;
    buf_printf(text, ",\"cursor\":\"%s\"}", head->cursor);
}

static struct frame *make_frame(struct rows *r, const struct rows_head *head)
{
    const struct channel_info *c = r->channel;
    struct frame_rows *lists = lists_new(r->due_count, c->field_count);
    struct buf text = {0};
    buf_printf(&text, "{\"type\":\"%s\",\"data\":", c->type);
    size_t data_at = text.len;
    buf_add_char(&text, '{');
    for (size_t i = 0; i < r->due_count; i++) {
        if (i) {
            buf_add_char(&text, ',');
        }
        write_row(r, r->due[i], &lists->rows[i], &lists->fields[i * c->field_count], &text);
    }
    buf_add_char(&text, '}');
    size_t data_len = text.len - data_at;
    write_tail(head, lists, &text);
    struct frame *f = frame_new(c, 0, head->seq, head->at_ms, buf_str(&text),
                                str_make(text.ptr + data_at, data_len));
    f->rows = lists;
    buf_fini(&text);
    return f;
}

static int by_key(const void *a, const void *b)
{
    uint32_t ka = *(const uint32_t *)a;
    uint32_t kb = *(const uint32_t *)b;
    return ka < kb ? -1 : ka > kb;
}

struct frame *rows_apply(struct rows *r, const struct hub_row *rows, size_t count,
                         const struct rows_head *head)
{
    struct frame *f = NULL;
    for (size_t i = 0; i < count; i++) {
        take_values(r, &rows[i], head->seq);
    }
    if (r->resend) {
        set_all_due(r, head->seq);
    }
    if (r->due_count) {
        qsort(r->due, r->due_count, sizeof(*r->due), by_key);
        f = make_frame(r, head);
    }
    for (size_t i = 0; i < r->due_count; i++) {
        r->of[r->due[i]].due = false;
    }
    r->due_count = 0;
    return f;
}
