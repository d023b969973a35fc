/* SPDX-License-Identifier: MIT */
#include "app/options.h"

#include "base/log.h"

#include <ctype.h>

enum { SYMBOLS_MAX = 1000 };

bool source_parse(struct str text, enum source_kind *out, struct str *file)
{
    static const char *const names[] = {"live", "demo", "auto", "none"};
    if (str_starts(text, STR("replay:")) && text.len > 7) {
        *out = SOURCE_REPLAY;
        if (file) {
            *file = str_from(text, 7);
        }
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq(text, str_of(names[i]))) {
            *out = (enum source_kind)i;
            return true;
        }
    }
    return false;
}

static bool check_source(struct str value, struct buf *why)
{
    enum source_kind kind;
    if (source_parse(value, &kind, NULL)) {
        return true;
    }
    buf_add_lit(why, "one of live, demo, auto, none, replay:FILE");
    return false;
}

enum err speed_parse(struct str text, double *out)
{
    if (str_eq(text, STR("max"))) {
        *out = 0;
        return OK;
    }
    return str_to_double(text, out) == OK && *out > 0 && *out <= 1e9 ? OK : ERR_SYNTAX;
}

static bool check_speed(struct str value, struct buf *why)
{
    double speed = 0;
    if (speed_parse(value, &speed) == OK) {
        return true;
    }
    buf_add_lit(why, "a number above 0 (1: as recorded, 100: a hundred times as fast), or max");
    return false;
}

/* Letters and digits in either case, 1 to 15, separated by commas. */
static bool check_symbols(struct str value, struct buf *why)
{
    struct str rest = value;
    struct str one;
    size_t count = 0;
    while (str_next(&rest, ',', &one)) {
        one = str_trim(one);
        bool good = one.len >= 1 && one.len <= MARKET_SYMBOL_LEN;
        for (size_t i = 0; i < one.len; i++) {
            good = good && isalnum((unsigned char)one.ptr[i]);
        }
        if (!good || ++count > SYMBOLS_MAX) {
            buf_add_lit(why, "up to 1000 symbols such as BTC,ETH,SOL");
            return false;
        }
    }
    return true;
}

static bool check_log(struct str value, struct buf *why)
{
    if (log_configure(value) == OK) {
        return true;
    }
    buf_add_lit(why, "debug, info, warn or error, with \",json\" behind for JSON lines");
    return false;
}

static bool check_origins(struct str value, struct buf *why)
{
    struct str rest = value;
    struct str one;
    while (str_next(&rest, ',', &one)) {
        one = str_trim(one);
        if (!str_eq(one, STR("*")) && !str_starts(one, STR("http://")) &&
            !str_starts(one, STR("https://"))) {
            buf_add_lit(why, "origins such as https://example.org, separated by commas");
            return false;
        }
    }
    return true;
}

#define AT(field) .offset = offsetof(struct options, field)
#define INT_ROW(n, f, dflt, lo, hi, u, h)                                                         \
    {                                                                                             \
        .name = (n), .type = CONF_INT, .fallback = (dflt), .min = (lo), .max = (hi), .unit = (u), \
        .help = (h), AT(f)                                                                        \
    }
#define PROVIDER_ROWS(NAME, title, id, minute, month)                                      \
    {.name = "COINCAST_" NAME "_URL",                                                      \
     .type = CONF_URL,                                                                     \
     .choices = "http|https",                                                              \
     .help = "Base URL of " title "; unset: the public one.",                              \
     AT(url[id])},                                                                         \
        INT_ROW("COINCAST_" NAME "_PER_MINUTE", per_minute[id], minute, 1, 100000, NULL,   \
                "Most requests to " title " in any minute."),                              \
        INT_ROW("COINCAST_" NAME "_PER_MONTH", per_month[id], month, -1, 1000000000, NULL, \
                "Most requests to " title " in a month; -1: no limit.")

#define WS_ROW(NAME, title, venue)                                                        \
    {                                                                                     \
        .name = "COINCAST_" NAME "_WS_URL", .type = CONF_URL, .choices = "ws|wss",        \
        .help = "URL of the feed of " title "; unset: the public one.", AT(ws_url[venue]) \
    }

const struct conf_row option_rows[] = {
    {.name = "COINCAST_LISTEN",
     .type = CONF_ADDR,
     .fallback = "127.0.0.1:8000",
     .help = "Address to serve on.",
     AT(listen)},
    {.name = "COINCAST_SOURCE",
     .type = CONF_TEXT,
     .fallback = "live",
     .check = check_source,
     .help =
         "Where data comes from: live, demo (simulated), auto (live if it can, else demo), none "
         "(a plain hub), replay:FILE (a recording; several files separated by commas).",
     AT(source)},
    {.name = "COINCAST_SPEED",
     .type = CONF_TEXT,
     .fallback = "1",
     .check = check_speed,
     .help = "How fast a replay runs: 1 as recorded, 100 a hundred times as fast, max.",
     AT(speed)},
    {.name = "COINCAST_SYMBOLS",
     .type = CONF_TEXT,
     .fallback = "BTC,ETH,XRP,BNB,SOL,TRX,DOGE,ADA,BCH,LINK,XLM,LTC,AVAX,SUI,HBAR,TON,SHIB,DOT,UNI,"
                 "NEAR",
     .check = check_symbols,
     .help = "Symbols whose prices are always followed; clients may ask for further ones.",
     AT(symbols)},
    {.name = "COINCAST_PROFILE",
     .type = CONF_CHOICE,
     .fallback = "islands",
     .choices = "islands|redis|classic",
     .help = "Set of intervals: islands (30 s and 10 s), redis (5 min), classic (10 min).",
     AT(profile)},
    {.name = "COINCAST_DATA_DIR",
     .type = CONF_TEXT,
     .fallback = "./data",
     .help = "Folder for the database; made when missing.",
     AT(data_dir)},
    INT_ROW("COINCAST_SHARDS", shards, "0", 0, 64, NULL,
            "I/O threads; 0: one less than there are cores, at least 1."),
    {.name = "COINCAST_IO",
     .type = CONF_CHOICE,
     .fallback = "auto",
     .choices = "auto|uring|epoll",
     .help = "How sockets are driven; auto takes io_uring where the kernel lets it.",
     AT(io)},
    {.name = "REDIS_URL",
     .type = CONF_URL,
     .choices = "redis",
     .bare = true,
     .secret = true,
     .help = "Second cache level, redis://[user:password@]host[:port][/db]; unset: none.",
     AT(redis_url)},
    {.name = "TAAPI_SECRET",
     .type = CONF_TEXT,
     .bare = true,
     .secret = true,
     .help = "TAAPI.io secret; unset: RSI-14 is computed from daily candles.",
     AT(taapi_secret)},
    {.name = "COINGECKO_API_KEY",
     .type = CONF_TEXT,
     .bare = true,
     .secret = true,
     .help = "CoinGecko demo key; unset: keyless.",
     AT(coingecko_key)},
    {.name = "COINCAST_API_TOKEN",
     .type = CONF_TEXT,
     .secret = true,
     .help = "Token that may publish; unset: publishing is off.",
     AT(api_token)},
    {.name = "COINCAST_ORIGINS",
     .type = CONF_LIST,
     .check = check_origins,
     .help = "Origins of browsers that may connect besides our own pages.",
     AT(origins)},
    {.name = "COINCAST_TLS_CERT",
     .type = CONF_TEXT,
     .help = "PEM file with the certificate chain.",
     AT(tls_cert)},
    {.name = "COINCAST_TLS_KEY",
     .type = CONF_TEXT,
     .help = "PEM file with the private key.",
     AT(tls_key)},
    {.name = "COINCAST_TRUSTED_PROXY",
     .type = CONF_BOOL,
     .fallback = "0",
     .help = "A proxy in front does TLS and access; no warning about listening openly.",
     AT(trusted_proxy)},
    {.name = "COINCAST_CA_FILE",
     .type = CONF_TEXT,
     .help =
         "PEM file: providers and exchanges must show a certificate issued by one of these; unset: "
         "the system's.",
     AT(outward.ca_file)},
    {.name = "COINCAST_PROXY",
     .type = CONF_URL,
     .choices = "http|https|socks4|socks4a|socks5|socks5h",
     .secret = true,
     .help = "Proxy to providers and exchanges, scheme://[user:password@]host:port; unset: as "
             "https_proxy, http_proxy and all_proxy say. NO_PROXY and loopback go without.",
     AT(outward.proxy)},
    {.name = "COINCAST_RECORD",
     .type = CONF_TEXT,
     .help = "File to which upstream traffic is appended.",
     AT(record)},
    {.name = "COINCAST_PUBLISH_LOG",
     .type = CONF_TEXT,
     .help = "File to which every published message is appended: cursor, channel, payload.",
     AT(publish_log)},
    PROVIDER_ROWS("COINGECKO", "CoinGecko", PROVIDER_COINGECKO, "10", "10000"),
    PROVIDER_ROWS("ALTERNATIVE", "Alternative.me", PROVIDER_ALTERNATIVE, "10", "-1"),
    PROVIDER_ROWS("TAAPI", "TAAPI", PROVIDER_TAAPI, "4", "-1"),
    PROVIDER_ROWS("BINANCE", "Binance", PROVIDER_BINANCE, "60", "-1"),
    PROVIDER_ROWS("COINBASE", "Coinbase Exchange", PROVIDER_COINBASE, "60", "-1"),
    PROVIDER_ROWS("KRAKEN", "Kraken", PROVIDER_KRAKEN, "30", "-1"),
    WS_ROW("BINANCE", "Binance", MARKET_BINANCE),
    WS_ROW("COINBASE", "Coinbase Exchange", MARKET_COINBASE),
    WS_ROW("KRAKEN", "Kraken", MARKET_KRAKEN),
    INT_ROW("COINCAST_PRICE_TTL_MS", price_ttl_ms, "3000", 0, 3600000, "ms",
            "A price younger than this is used again, also by a forced refresh."),
    INT_ROW("COINCAST_SUMMARY_TTL_MS", summary_ttl_ms, "30000", 0, 3600000, "ms",
            "Other numbers younger than this are used again."),
    INT_ROW("COINCAST_MAX_CONNS", max_conns, "0", 0, 10000000, NULL,
            "Most connections at a time; 0: what the open-files limit allows."),
    INT_ROW("COINCAST_MAX_CONNS_PER_IP", max_conns_per_ip, "200", 0, 1000000, NULL,
            "Most connections, and Socket.IO sessions, of one address; 0: no limit."),
    INT_ROW("COINCAST_REQUESTS_PER_SECOND", requests_per_s, "100", 0, 100000, NULL,
            "HTTP requests that an address may make a second, and twice that at once; 0: no "
            "limit."),
    INT_ROW("COINCAST_COMMANDS_PER_SECOND", commands_per_s, "50", 0, 10000, NULL,
            "Commands a WebSocket client may send a second; 0: no limit."),
    INT_ROW("COINCAST_MAX_SUBSCRIPTIONS", max_subscriptions, "100", 1, 10000, NULL,
            "Subscriptions of one client."),
    {.name = "COINCAST_LIMIT_LOOPBACK",
     .type = CONF_BOOL,
     .fallback = "0",
     .help = "Peers on loopback are held to the per-address limits too.",
     AT(limit_loopback)},
    INT_ROW("COINCAST_MAX_PENDING", max_pending, "8388608", 4096, 1073741824, "bytes",
            "Bytes that may wait in memory for one slow client before it is cut."),
    INT_ROW("COINCAST_MAX_BODY", max_body, "16777216", 1024, 1073741824, "bytes",
            "Largest request body."),
    INT_ROW("COINCAST_MAX_MESSAGE", max_message, "65536", 128, 67108864, "bytes",
            "Largest text from a WebSocket client."),
    INT_ROW("COINCAST_PING_INTERVAL_MS", ping_interval_ms, "25000", 100, 3600000, "ms",
            "How often WebSocket clients are pinged."),
    INT_ROW("COINCAST_PING_TIMEOUT_MS", ping_timeout_ms, "20000", 100, 3600000, "ms",
            "A client that says nothing for this long after a ping is gone."),
    {.name = "COINCAST_DEFLATE",
     .type = CONF_BOOL,
     .fallback = "1",
     .help = "permessage-deflate for clients that offer it.",
     AT(deflate)},
    INT_ROW("COINCAST_HISTORY_COUNT", history_count, "10000", 1, 10000000, NULL,
            "Messages kept of each event channel."),
    INT_ROW("COINCAST_HISTORY_BYTES", history_bytes, "4194304", 1024, 1073741824, "bytes",
            "Bytes kept of each event channel."),
    INT_ROW("COINCAST_HISTORY_MS", history_ms, "600000", 1000, 86400000, "ms",
            "How long messages of event channels are kept."),
    INT_ROW("COINCAST_DRAIN_MS", drain_ms, "3000", 0, 600000, "ms",
            "How long a shutdown waits for clients."),
    INT_ROW("COINCAST_SEED", seed, "1", 0, INT64_MAX, NULL, "Seed of the simulated market."),
    {.name = "COINCAST_LOG",
     .type = CONF_TEXT,
     .fallback = "info",
     .check = check_log,
     .help = "Least level that is logged, and form: info, or info,json.",
     AT(log)},
    {.name = "COINCAST_FIXTURES",
     .type = CONF_TEXT,
     .help = "Folder of recorded answers; only tests use it.",
     AT(fixtures)},
};
const size_t option_count = ARRAY_LEN(option_rows);

/* The tests' own, and those of the wider design that this version has no part for: a deployment
 * that sets them is not wrong, but is told that they do nothing. */
const char *const option_foreign[] = {
    "COINCAST_BIN",
    "COINCAST_TOKEN_SECRET",
    "DATABASE_URL",
    NULL,
};
