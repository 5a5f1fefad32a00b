// test_ledger.c - the list of events: sums, names, JSON
#include <cjson/cJSON.h>
#include <string.h>

#include "support/support.h"

static void test_sum_of_parts(void **state) {
    (void)state;
    int n;
    const struct ley_event *events = ley_events(&n);
    struct ley_ledger a = {.queries = 2, .k_charge_c = 0.5}, b = {.queries = 3, .k_charge_c = 0.25};
    struct ley_ledger total = {0};
    ley_ledger_add(&total, &a);
    ley_ledger_add(&total, &b);
    for (int i = 0; i < n; i++) {
        assert_true(ley_ledger_value(&total, &events[i]) ==
                    ley_ledger_value(&a, &events[i]) + ley_ledger_value(&b, &events[i]));
    }
    assert_int_equal(total.queries, 5);
}

static void test_names_carry_units(void **state) {
    (void)state;
    int n;
    const struct ley_event *events = ley_events(&n);
    for (int i = 0; i < n; i++) {
        const char *name = events[i].name, *end = name + strlen(name) - 2;
        bool has_unit = strcmp(end, "_s") == 0 || strcmp(end, "_c") == 0;
        assert_true(events[i].is_count || has_unit);
        assert_true(strlen(events[i].meaning) > 10);
    }
}

static void test_json(void **state) {
    (void)state;
    struct ley_ledger ledger = {.cells_written = 123456789012, .v_charge_c = 1e-12 / 3};
    struct cJSON *object = ley_ledger_json(&ledger);
    char *text = cJSON_Print(object);
    struct cJSON *back = cJSON_Parse(text);
    int n;
    ley_events(&n);
    assert_int_equal(cJSON_GetArraySize(back), n);
    assert_true(cJSON_GetObjectItem(back, "cells_written")->valuedouble == 123456789012.0);
    assert_true(cJSON_GetObjectItem(back, "v_charge_c")->valuedouble == 1e-12 / 3);
    cJSON_free(text);
    cJSON_Delete(object);
    cJSON_Delete(back);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sum_of_parts),
        cmocka_unit_test(test_names_carry_units),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
