/* Letters that take the rest in while one of them runs: order, and memory that stays good.
 * SPDX-License-Identifier: MIT */
#include "base/mailbox.h"

#include "base/loop.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { LETTERS = 200 };

struct inbox {
    struct loop *loop;
    struct mailbox *mail;
    uint64_t got[3 * LETTERS];
    size_t count;
};

static void note(void *self, void *owned_arg, uint64_t number)
{
    struct inbox *in = self;
    (void)owned_arg;
    in->got[in->count++] = number;
}

/* Notes itself, then posts more than the array of its batch holds, then takes in what is there. */
static void take_inside(void *self, void *owned_arg, uint64_t number)
{
    struct inbox *in = self;
    note(self, owned_arg, number);
    for (uint64_t i = 0; i < LETTERS; i++) {
        assert_true(mailbox_post(in->mail, note, in, NULL, 1000 + i));
    }
    mailbox_take(in->mail);
    for (uint64_t i = 0; i < LETTERS; i++) {
        assert_true(mailbox_post(in->mail, note, in, NULL, 2000 + i));
    }
}

static void letters_taken_in_by_a_letter_keep_their_order(void **state)
{
    struct inbox in = {0};
    (void)state;
    assert_int_equal(loop_new(&(struct loop_opts){.io = IO_EPOLL}, &in.loop), OK);
    in.mail = mailbox_new(in.loop, 4096);
    assert_true(mailbox_post(in.mail, note, &in, NULL, 1));
    assert_true(mailbox_post(in.mail, take_inside, &in, NULL, 2));
    for (uint64_t i = 3; i < 10; i++) {
        assert_true(mailbox_post(in.mail, note, &in, NULL, i));
    }
    loop_turn(in.loop, 0);
    loop_turn(in.loop, 0);
    assert_int_equal(in.count, 9 + 2 * LETTERS);
    for (size_t i = 0; i < 9; i++) {
        assert_int_equal(in.got[i], i + 1);
    }
    for (size_t i = 0; i < LETTERS; i++) {
        assert_int_equal(in.got[9 + i], 1000 + i);
        assert_int_equal(in.got[9 + LETTERS + i], 2000 + i);
    }
    mailbox_free(in.mail);
    loop_free(in.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_taken_in_by_a_letter_keep_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
