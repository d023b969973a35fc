/* SPDX-License-Identifier: MIT */
#include "tests/lib/test.h"

#include "wire/record.h"

static void assert_same(const struct record *a, const struct record *b)
{
    assert_true(a->time_ns == b->time_ns);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->header_count, b->header_count);
    assert_true(str_eq(a->source, b->source) && str_eq(a->url, b->url));
    assert_true(str_eq(a->body, b->body));
    assert_true(str_eq(a->purpose, b->purpose) && str_eq(a->error, b->error));
    for (size_t i = 0; i < a->header_count; i++) {
        assert_true(str_eq(a->headers[i].name, b->headers[i].name));
        assert_true(str_eq(a->headers[i].value, b->headers[i].value));
    }
}

static void check_round_trip(const struct record *r)
{
    struct buf line = {0}, scratch = {0};
    struct record back;
    record_write(&line, r);
    assert_true(line.len > 0 && line.ptr[line.len - 1] == '\n');
    assert_true(str_find(buf_str(&line), '\n', 0) == line.len - 1); /* one line */
    /* An exact copy, so that a read past its end is seen. */
    size_t len = line.len - 1;
    char *exact = malloc(len);
    memcpy(exact, line.ptr, len);
    assert_ok(record_read(str_make(exact, len), &back, &scratch));
    assert_same(&back, r);
    /* Cut anywhere it is no item. */
    for (size_t cut = 0; cut < len; cut++) {
        char *part = malloc(cut ? cut : 1);
        memcpy(part, line.ptr, cut);
        assert_err(record_read(str_make(part, cut), &back, &scratch), ERR_SYNTAX);
        free(part);
    }
    free(exact);
    buf_fini(&line);
    buf_fini(&scratch);
}

TEST(what_was_written_is_read_back_and_no_part_of_it_is)
{
    const struct record http = {
        .time_ns = 1780753800123456789,
        .source = STR("coingecko"),
        .kind = RECORD_HTTP,
        .url = STR("https://api.coingecko.com/api/v3/global"),
        .status = 200,
        .headers = {{STR("etag"), STR("W/\"1a2b\"")}, {STR("date"), STR("Tue, 18 May 2021")}},
        .header_count = 2,
        .body = STR("{\n \"a\": \"\\u00e9 \xc3\xa9\",\t\"b\":1}"),
    };
    const struct record binary = {
        .time_ns = 1, .source = STR("x"), .kind = RECORD_WS_TEXT, .body = STR("\xff\x00\x80z")};
    const struct record closed = {
        .time_ns = 2, .source = STR("kraken"), .kind = RECORD_WS_CLOSE, .status = 1006};
    const struct record failed = {.time_ns = 3,
                                  .source = STR("binance"),
                                  .kind = RECORD_HTTP,
                                  .url = STR("https://h/x"),
                                  .purpose = STR("trades BTCUSDT 5 8"),
                                  .error = STR("timeout")};
    check_round_trip(&http);
    check_round_trip(&failed);
    check_round_trip(&binary);
    check_round_trip(&closed);
}

TEST(base64_of_every_length_comes_back)
{
    char bytes[12];
    memset(bytes, 0xfe, sizeof(bytes));
    for (size_t len = 1; len < sizeof(bytes); len++) {
        const struct record r = {
            .time_ns = 1, .source = STR("x"), .kind = RECORD_WS_TEXT, .body = str_make(bytes, len)};
        check_round_trip(&r);
    }
}

TEST(order_of_members_and_unknown_ones_do_not_matter)
{
    struct record r;
    struct buf scratch = {0};
    assert_ok(record_read(STR("{\"body\":\"b\",\"kind\":\"ws_text\",\"later\":[{}],\"t\":5,"
                              "\"source\":\"s\",\"v\":1}"),
                          &r, &scratch));
    assert_str(r.body, "b");
    assert_int_equal(r.kind, RECORD_WS_TEXT);
    buf_fini(&scratch);
}

TEST(what_is_no_item_is_refused)
{
    static const struct {
        const char *line;
        enum err expected;
    } cases[] = {
        {"", ERR_SYNTAX},
        {"[]", ERR_SYNTAX},
        {"{}", ERR_SYNTAX},
        {"{\"v\":2,\"t\":5,\"source\":\"s\",\"kind\":\"http\"}", ERR_UNSUPPORTED},
        {"{\"v\":1,\"source\":\"s\",\"kind\":\"http\"}", ERR_SYNTAX},
        {"{\"v\":1,\"t\":5,\"kind\":\"http\"}", ERR_SYNTAX},
        {"{\"v\":1,\"t\":5,\"source\":\"s\"}", ERR_SYNTAX},
        {"{\"v\":1,\"t\":5,\"source\":\"s\",\"kind\":\"smoke\"}", ERR_SYNTAX},
        {"{\"v\":1,\"t\":5.5,\"source\":\"s\",\"kind\":\"http\"}", ERR_SYNTAX},
        {"{\"v\":1,\"t\":\"5\",\"source\":\"s\",\"kind\":\"http\"}", ERR_SYNTAX},
        {"{\"v\":1,\"t\":5,\"source\":\"s\",\"kind\":\"http\",\"status\":-1}", ERR_SYNTAX},
        {"{\"v\":1,\"t\":5,\"source\":\"s\",\"kind\":\"http\",\"for\":7}", ERR_SYNTAX},
        {"{\"v\":1,\"t\":5,\"source\":\"s\",\"kind\":\"http\",\"error\":null}", ERR_SYNTAX},
        {"{\"v\":1,\"t\":5,\"source\":\"s\",\"kind\":\"http\",\"headers\":[[\"a\"]]}", ERR_SYNTAX},
        {"{\"v\":1,\"t\":5,\"source\":\"s\",\"kind\":\"http\",\"body64\":\"A\"}", ERR_SYNTAX},
        {"{\"v\":1,\"t\":5,\"source\":\"s\",\"kind\":\"http\",\"body64\":\"A=AA\"}", ERR_SYNTAX},
        {"{\"v\":1,\"t\":5,\"source\":\"s\",\"kind\":\"http\"} x", ERR_SYNTAX},
    };
    struct record r;
    struct buf scratch = {0};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        test_case(cases[i].line);
        assert_err(record_read(str_of(cases[i].line), &r, &scratch), cases[i].expected);
    }
    test_case(NULL);
    buf_fini(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read_back_and_no_part_of_it_is),
        cmocka_unit_test(base64_of_every_length_comes_back),
        cmocka_unit_test(order_of_members_and_unknown_ones_do_not_matter),
        cmocka_unit_test(what_is_no_item_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
