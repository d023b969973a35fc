/* A line is put together without a lock, then masked, counted and written under one. Each line goes
 * out in one write(), so lines of several threads or processes don't mix.
 * SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <assert.h>
#include <pthread.h>
#include <stdarg.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/json.h"

enum {
    PAIRS_MAX = 65536,
    SECRETS_MAX = 64,
    SECRET_MIN_LEN = 4,
    /* rate */
    KINDS_MAX = 128,
    BURST = 20,
    WINDOW_MS = 10000,
    /* log_quote */
    QUOTES = 8,
    QUOTE_LEN = 256,
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static enum log_level lowest = LOG_INFO; /* atomic */
static bool as_json;                     /* atomic */
static struct clock *time_source;        /* atomic; NULL: the machine's */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The forms a secret may take in a line: as it is, inside a quoted value, inside a URL. */
static struct {
    char *text;
    size_t len;
} secrets[SECRETS_MAX];
static size_t secret_count;

/* A (component, message) that was written lately, and how often in its window. */
struct kind {
    char component[32];
    char message[96];
    uint64_t hash;
    uint64_t window_ms; /* when it began */
    uint64_t suppressed;
    unsigned written;
    enum log_level level;
};
static struct kind kinds[KINDS_MAX];

enum err log_configure(struct str setting)
{
    bool json = str_ends(setting, STR(",json"));
    struct str name = json ? str_sub(setting, 0, setting.len - 5) : setting;
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
        if (str_eq(name, str_of(level_names[i]))) {
            __atomic_store_n(&lowest, (enum log_level)i, __ATOMIC_RELAXED);
            __atomic_store_n(&as_json, json, __ATOMIC_RELAXED);
            return OK;
        }
    }
    return ERR_SYNTAX;
}

void log_set_clock(struct clock *c)
{
    __atomic_store_n(&time_source, c, __ATOMIC_RELEASE);
}

static struct clock *now_from(void)
{
    struct clock *c = __atomic_load_n(&time_source, __ATOMIC_ACQUIRE);
    return c ? c : clock_real();
}

bool log_enabled(enum log_level level)
{
    return level >= __atomic_load_n(&lowest, __ATOMIC_RELAXED);
}

/* ---- secrets ---- */

static void add_form(struct str form)
{
    for (size_t i = 0; i < secret_count; i++) {
        if (str_eq(str_make(secrets[i].text, secrets[i].len), form)) {
            return;
        }
    }
    if (secret_count == SECRETS_MAX) {
        return;
    }
    /* Longest first: a secret that holds another one must not leave its rest behind. */
    size_t at = secret_count++;
    while (at > 0 && secrets[at - 1].len < form.len) {
        secrets[at] = secrets[at - 1];
        at--;
    }
    secrets[at].text = mem_copy_text(form.ptr, form.len);
    secrets[at].len = form.len;
}

static void percent_encode(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            buf_add_char(out, (char)c);
        } else {
            buf_printf(out, "%%%02X", c);
        }
    }
}

void log_add_secret(struct str secret)
{
    struct buf form = {0};
    if (secret.len < SECRET_MIN_LEN) {
        return;
    }
    pthread_mutex_lock(&lock);
    add_form(secret);
    json_escape(&form, secret);
    add_form(str_sub(buf_str(&form), 1, form.len - 2));
    buf_clear(&form);
    percent_encode(&form, secret);
    add_form(buf_str(&form));
    pthread_mutex_unlock(&lock);
    buf_fini(&form);
}

/* `s` with every secret as "***"; under the lock. */
static void add_masked(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.len;) {
        size_t hidden = 0;
        for (size_t k = 0; k < secret_count && !hidden; k++) {
            struct str secret = str_make(secrets[k].text, secrets[k].len);
            hidden = str_starts(str_from(s, i), secret) ? secret.len : 0;
        }
        if (hidden) {
            buf_add_lit(out, "***");
            i += hidden;
        } else {
            buf_add_char(out, s.ptr[i++]);
        }
    }
}

/* ---- values ---- */

static bool needs_quotes(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c <= ' ' || c >= 0x7F || c == '"' || c == '\\' || c == '=') {
            return true;
        }
    }
    return s.len == 0;
}

/* `s` as one value, cut so that its written form fits `max` bytes. */
static void add_value(struct buf *out, struct str s, size_t max)
{
    struct buf quoted = {0};
    bool cut = false;
    if (!needs_quotes(s) && s.len <= max) {
        buf_add_str(out, s);
        return;
    }
    for (;;) {
        buf_clear(&quoted);
        json_escape(&quoted, s);
        if (quoted.len + (cut ? 3 : 0) <= max) {
            break;
        }
        cut = true;
        size_t excess = quoted.len + 3 - max;
        /* A byte grows to six at most, so this ends after a few rounds and never cuts too short. */
        s.len -= max_size(1, min_size(s.len, excess) / 6);
        while (s.len && ((unsigned char)s.ptr[s.len] & 0xC0) == 0x80) {
            s.len--; /* not within a UTF-8 sequence */
        }
    }
    if (cut) {
        quoted.len--;
        buf_add_lit(&quoted, "...\"");
    }
    buf_add_str(out, buf_str(&quoted));
    buf_fini(&quoted);
}

const char *log_quote(struct str s)
{
    static _Thread_local char texts[QUOTES][QUOTE_LEN];
    static _Thread_local unsigned turn;
    char *text = texts[turn++ % QUOTES];
    struct buf masked = {0};
    struct buf value = {0};
    /* Before the cut: half a secret would no longer be found in the line. */
    pthread_mutex_lock(&lock);
    add_masked(&masked, s);
    pthread_mutex_unlock(&lock);
    add_value(&value, buf_str(&masked), QUOTE_LEN - 1);
    memcpy(text, buf_text(&value), value.len + 1);
    buf_fini(&masked);
    buf_fini(&value);
    return text;
}

/* ---- lines ---- */

/* Cuts the next key=value off `*rest`; a quoted value keeps its quotes. */
static bool next_pair(struct str *rest, struct str *key, struct str *value)
{
    while (rest->len && rest->ptr[0] == ' ') {
        *rest = str_from(*rest, 1);
    }
    if (!rest->len) {
        return false;
    }
    size_t end = 0;
    bool quoted = false;
    for (; end < rest->len && (quoted || rest->ptr[end] != ' '); end++) {
        if (rest->ptr[end] == '\\' && quoted && end + 1 < rest->len) {
            end++;
        } else if (rest->ptr[end] == '"') {
            quoted = !quoted;
        }
    }
    struct str pair = str_sub(*rest, 0, end);
    *rest = str_from(*rest, end);
    size_t equals = str_find(pair, '=', 0);
    *key = equals == SIZE_MAX ? STR("note") : str_sub(pair, 0, equals);
    *value = equals == SIZE_MAX ? pair : str_from(pair, equals + 1);
    return true;
}

/* Whether `s` is a JSON string as it stands. */
static bool is_json_string(struct str s)
{
    if (s.len < 2 || s.ptr[0] != '"' || !str_ends(s, STR("\""))) {
        return false;
    }
    struct json *parsed = NULL;
    bool good = json_parse(s, &parsed, NULL) == OK;
    json_free(parsed);
    return good;
}

static void add_json_pairs(struct json_writer *w, struct str pairs)
{
    struct str key, value;
    while (next_pair(&pairs, &key, &value)) {
        char name[64];
        double number = 0;
        snprintf(name, sizeof(name), "%.*s", STR_ARG(key));
        json_key(w, name);
        if (is_json_string(value) || str_to_double(value, &number) == OK ||
            str_eq(value, STR("true")) || str_eq(value, STR("false"))) {
            json_raw(w, value);
        } else {
            json_str(w, value);
        }
    }
}

/* Control bytes that came in through a plain %s, so that no value can begin a line of its own. */
static void add_without_controls(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c < ' ' || c == 0x7F) {
            buf_printf(out, "\\x%02x", c);
        } else {
            buf_add_char(out, (char)c);
        }
    }
}

static void format_line(struct buf *out, enum log_level level, const char *component,
                        const char *message, struct str pairs)
{
    char when[CLOCK_RFC3339_LEN + 1];
    clock_format_rfc3339(clock_wall_ms(now_from()), when);
    if (__atomic_load_n(&as_json, __ATOMIC_RELAXED)) {
        struct json_writer w;
        json_begin(&w, out);
        json_object(&w);
        json_key(&w, "time");
        json_text(&w, when);
        json_key(&w, "level");
        json_text(&w, level_names[level]);
        json_key(&w, "component");
        json_text(&w, component);
        json_key(&w, "message");
        json_text(&w, message);
        add_json_pairs(&w, pairs);
        json_object_end(&w);
        return;
    }
    buf_printf(out, "%s %-5s %s: %s", when, level_names[level], component, message);
    if (pairs.len) {
        buf_add_char(out, ' ');
        add_without_controls(out, pairs);
    }
}

/* Masks and writes one line; under the lock. What stderr does not take is lost: there is no other
 * place to say so. */
static void write_line(struct str line)
{
    struct buf masked = {0};
    add_masked(&masked, line);
    buf_add_char(&masked, '\n');
    for (size_t at = 0; at < masked.len;) {
        ssize_t n = write(STDERR_FILENO, masked.ptr + at, masked.len - at);
        if (n <= 0) {
            break;
        }
        at += (size_t)n;
    }
    buf_fini(&masked);
}

/* ---- rate; all under the lock ---- */

static void say_suppressed(struct kind *k)
{
    char pairs[48];
    struct buf line = {0};
    int n = snprintf(pairs, sizeof(pairs), "suppressed=%llu", (unsigned long long)k->suppressed);
    format_line(&line, k->level, k->component, k->message, str_make(pairs, (size_t)n));
    write_line(buf_str(&line));
    buf_fini(&line);
    k->suppressed = 0;
}

/* Ends the windows that are over, and says what they swallowed. */
static void close_windows(uint64_t now_ms)
{
    for (size_t i = 0; i < KINDS_MAX; i++) {
        struct kind *k = &kinds[i];
        if (k->written && now_ms - k->window_ms >= WINDOW_MS) {
            if (k->suppressed) {
                say_suppressed(k);
            }
            k->written = 0;
        }
    }
}

/* The row of this message; the emptiest one found when all are taken by others, so that a flood of
 * kinds can only make the limit looser, never swallow a new message. */
static struct kind *kind_of(enum log_level level, const char *component, const char *message)
{
    uint64_t hash = str_hash(str_of(component)) * 31 + str_hash(str_of(message));
    struct kind *victim = NULL;
    for (size_t i = 0; i < KINDS_MAX; i++) {
        struct kind *k = &kinds[i];
        if (k->written && k->hash == hash) {
            return k;
        }
        if (!victim || k->written < victim->written) {
            victim = k;
        }
    }
    if (victim->suppressed) {
        say_suppressed(victim);
    }
    *victim = (struct kind){.hash = hash, .level = level};
    snprintf(victim->component, sizeof(victim->component), "%s", component);
    snprintf(victim->message, sizeof(victim->message), "%s", message);
    return victim;
}

static bool allowed(enum log_level level, const char *component, const char *message)
{
    uint64_t now_ms = clock_mono_ms(now_from());
    close_windows(now_ms);
    struct kind *k = kind_of(level, component, message);
    if (k->written == 0) {
        k->window_ms = now_ms;
    }
    if (k->written >= BURST) {
        k->suppressed++;
        return false;
    }
    k->written++;
    return true;
}

void log_write(enum log_level level, const char *component, const char *message, const char *fmt,
               ...)
{
    struct buf pairs = {.max = PAIRS_MAX};
    struct buf line = {0};
    va_list args;
    if (!log_enabled(level)) {
        return;
    }
    va_start(args, fmt);
    if (!buf_vprintf(&pairs, fmt, args)) {
        /* Not cut: half a secret at the end would no longer be found. */
        buf_clear(&pairs);
        buf_add_lit(&pairs, "note=\"pairs too long\"");
    }
    va_end(args);
    format_line(&line, level, component, message, buf_str(&pairs));
    pthread_mutex_lock(&lock);
    if (allowed(level, component, message)) {
        write_line(buf_str(&line));
    }
    pthread_mutex_unlock(&lock);
    buf_fini(&pairs);
    buf_fini(&line);
}
