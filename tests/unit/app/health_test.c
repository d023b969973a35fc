/* How components of /api/health are written, and what they come to. SPDX-License-Identifier: MIT */
#include "app/health.h"

#include "tests/lib/test.h"

static struct buf out;
static struct json_writer writer;
static struct health_walk walk;

static int setup(void **state)
{
    (void)state;
    buf_clear(&out);
    json_begin(&writer, &out);
    walk = (struct health_walk){.w = &writer};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_fini(&out);
    return 0;
}

static void add(enum health_status status)
{
    health_begin(&walk, "x", status, NULL, 0);
    json_object_end(&writer);
}

TEST(a_component_is_named_first_and_may_say_more)
{
    health_begin(&walk, "kraken", HEALTH_DOWN, "no answer", 1780703999999);
    health_used(&writer, "minute", 3, 60);
    health_used(&writer, "month", 7, 0);
    json_object_end(&writer);
    assert_buf(&out, "{\"name\":\"kraken\",\"status\":\"down\",\"reason\":\"no answer\","
                     "\"since\":\"2026-06-05T23:59:59.999Z\",\"minute\":{\"used\":3,\"limit\":60},"
                     "\"month\":{\"used\":7,\"limit\":null}}");
}

TEST(what_is_not_known_is_null)
{
    json_array(&writer);
    health_write(&walk, "cache", true, NULL, 0);
    health_write(&walk, "bus", false, "", 0);
    json_array_end(&writer);
    assert_buf(&out, "[{\"name\":\"cache\",\"status\":\"ok\",\"reason\":null,\"since\":null},"
                     "{\"name\":\"bus\",\"status\":\"degraded\",\"reason\":null,\"since\":null}]");
}

TEST(nothing_is_well)
{
    assert_int_equal(health_verdict(&walk), 0);
}

TEST(all_must_be_down_for_the_verdict_to_be)
{
    json_array(&writer);
    add(HEALTH_OK);
    assert_int_equal(health_verdict(&walk), 0);
    add(HEALTH_DOWN);
    assert_int_equal(health_verdict(&walk), 1);
    walk = (struct health_walk){.w = &writer};
    add(HEALTH_DEGRADED);
    assert_int_equal(health_verdict(&walk), 1);
    walk = (struct health_walk){.w = &writer};
    add(HEALTH_DOWN);
    add(HEALTH_DOWN);
    assert_int_equal(health_verdict(&walk), 2);
    json_array_end(&writer);
}

#define UNIT(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(a_component_is_named_first_and_may_say_more),
        UNIT(what_is_not_known_is_null),
        UNIT(nothing_is_well),
        UNIT(all_must_be_down_for_the_verdict_to_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
