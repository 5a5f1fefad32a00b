// test_netlist.c - what Leyden reads of a user's subcircuit, and what it says of mistakes
#include "support/support.h"

#include <string.h>

static const char *const ports[] = {"in", "out", NULL};

static enum ley_status read_text(struct ley_netlist *netlist, const char *text) {
    return ley_netlist_read(netlist, text, strlen(text), "t.cir", "part", ports);
}

// Comments, continuation lines and the order of ports are the user's.
static const char good[] = "* a part\n"
                           ".param a = 2.5   ; fit 1 4 V what it is\n"
                           ".param b = 7\n"
                           ".SUBCKT part out\n+ In gain=3\n"
                           "r1 in out 1k\n.ends\n";

static void test_values_change_in_place(void **state) {
    (void)state;
    struct ley_netlist netlist;
    struct ley_markup text = {0};
    ASSERT_OK(read_text(&netlist, good));
    assert_int_equal(netlist.n_params, 1);
    assert_string_equal(netlist.param[0].name, "a");
    assert_string_equal(netlist.param[0].meaning, "what it is");
    assert_true(netlist.param[0].value == 2.5);
    netlist.param[0].value = 3.125;
    ley_netlist_print(&text, &netlist);
    ASSERT_OK(ley_markup_check(&text));
    assert_non_null(strstr(text.text, ".param a = 3.125 ; fit 1 4 V what it is\n.param b = 7\n"));
    struct ley_netlist again;
    ASSERT_OK(read_text(&again, text.text));
    assert_true(again.param[0].value == 3.125);
    ley_netlist_destroy(&again);
    ley_markup_destroy(&text);
    ley_netlist_destroy(&netlist);
}

static void test_instances_follow_the_file(void **state) {
    (void)state;
    struct ley_netlist netlist;
    struct ley_markup text = {0};
    const char *const node[] = {"n1", "n2"}; // in, out
    ASSERT_OK(read_text(&netlist, good));
    ley_netlist_instance(&text, &netlist, "x7", ports, node);
    assert_string_equal(text.text, "x7 n2 n1 part\n");
    ley_markup_destroy(&text);
    ley_netlist_destroy(&netlist);
}

static void test_mistakes(void **state) {
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"r1 a b 1\n", "no subcircuit; want .subckt part in out"},
        {".subckt part in\n", "lacks the port out"},
        {".subckt part in out more\n", "has 3 ports"},
        {".subckt part in out\n.tran 1n 1u\n", "t.cir:2: .tran"},
        {".param a = x ; fit 1 4 V m\n.subckt part in out\n", "t.cir:1: a: want a plain number"},
        {".param a = 350 ; fit 0.1 0.6 V threshold\n", "a = 350 is outside its range 0.1 .. 0.6 V"},
        {".param a = 1 ; fit 4 1 V m\n", "want a plain number, then ; fit LOW HIGH"},
        {".param = 1 ; fit 1 4 V m\n", "want .param NAME"},
    };
    struct ley_netlist netlist;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ASSERT_FAILS(read_text(&netlist, cases[i].text), LEY_E_FORMAT, cases[i].part);
    }
    ASSERT_FAILS(ley_netlist_read(&netlist, "a\0b", 3, "t.cir", "part", ports), LEY_E_FORMAT,
                 "not a text file");
    ASSERT_FAILS(ley_cell_netlist_load(&netlist, "/nowhere.cir"), LEY_E_IO, "/nowhere.cir");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_change_in_place),
        cmocka_unit_test(test_instances_follow_the_file),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
