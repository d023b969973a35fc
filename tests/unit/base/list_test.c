/* SPDX-License-Identifier: MIT */
#include "base/list.h"

#include "tests/lib/test.h"

struct item {
    struct list node;
    char name;
};

static struct list head;
static struct item a, b, c;

static int fresh(void **state)
{
    (void)state;
    list_init(&head);
    a = (struct item){.name = 'a'};
    b = (struct item){.name = 'b'};
    c = (struct item){.name = 'c'};
    return 0;
}

/* The names in the list, after a look that both directions agree. */
static const char *names(struct list *l)
{
    static char text[8];
    size_t len = 0;
    list_each (node, l) {
        assert_ptr_equal(node->next->prev, node);
        assert_ptr_equal(node->prev->next, node);
        text[len++] = containerof(node, struct item, node)->name;
    }
    text[len] = '\0';
    return text;
}

TEST(nodes_come_out_in_the_order_they_went_in)
{
    assert_true(list_empty(&head));
    assert_null(list_pop(&head));
    list_push(&head, &a.node);
    list_push(&head, &c.node);
    list_insert(&a.node, &b.node);
    assert_string_equal(names(&head), "abc");
    assert_false(list_empty(&head));
    assert_ptr_equal(list_pop(&head), &a.node);
    assert_ptr_equal(list_pop(&head), &b.node);
    assert_ptr_equal(list_pop(&head), &c.node);
    assert_true(list_empty(&head));
}

TEST(a_node_knows_whether_it_stands_in_a_list)
{
    assert_false(list_linked(&a.node));
    list_remove(&a.node);
    list_push(&head, &a.node);
    assert_true(list_linked(&a.node));
    list_remove(&a.node);
    assert_false(list_linked(&a.node));
    list_remove(&a.node);
    assert_true(list_empty(&head));
}

TEST(a_zeroed_list_is_empty)
{
    struct list zeroed = {0};
    assert_true(list_empty(&zeroed));
    assert_null(list_pop(&zeroed));
}

TEST(splicing_moves_all_behind)
{
    struct list other;
    list_init(&other);
    list_splice(&head, &other);
    assert_true(list_empty(&head));
    list_push(&head, &a.node);
    list_push(&other, &b.node);
    list_push(&other, &c.node);
    list_splice(&head, &other);
    assert_string_equal(names(&head), "abc");
    assert_true(list_empty(&other));
    list_splice(&other, &head);
    assert_string_equal(names(&other), "abc");
    assert_true(list_empty(&head));
}

TEST(a_walk_survives_the_removal_of_its_node)
{
    struct item *owned[3];
    for (size_t i = 0; i < 3; i++) {
        owned[i] = malloc(sizeof(*owned[i]));
        *owned[i] = (struct item){.name = (char)('x' + i)};
        list_push(&head, &owned[i]->node);
    }
    list_each (node, &head) {
        list_remove(node);
        free(containerof(node, struct item, node));
    }
    assert_true(list_empty(&head));
}

#define UNIT(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(nodes_come_out_in_the_order_they_went_in),
        UNIT(a_node_knows_whether_it_stands_in_a_list),
        UNIT(a_zeroed_list_is_empty),
        UNIT(splicing_moves_all_behind),
        UNIT(a_walk_survives_the_removal_of_its_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
