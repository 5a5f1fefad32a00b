// test_param.c - parameter tables: parsing, bounds, YAML, round trip
#include <stddef.h>
#include <string.h>

#include "support/support.h"

struct spec {
    double tau_s;
    int n_levels, law;
    char file[LEY_PATH_BYTES];
};

static const struct ley_param rows[] = {
    {"cell.tau_s", LEY_PARAM_REAL, offsetof(struct spec, tau_s), "5e-3", 1e-9, 1e9, NULL, "s", "",
     ""},
    {"cell.law", LEY_PARAM_ENUM, offsetof(struct spec, law), "cubic", 0, 0, "linear|cubic", "", "",
     ""},
    {"dac.levels", LEY_PARAM_INT, offsetof(struct spec, n_levels), "8", 0, 256, NULL, "", "", ""},
    {"dac.file", LEY_PARAM_PATH, offsetof(struct spec, file), "a.csv", 0, 0, NULL, "", "", ""},
};
static const struct ley_param_table table = {rows, 4};

static struct spec defaults(void) {
    struct spec spec;
    memset(&spec, 0, sizeof spec);
    ley_params_init(&table, &spec);
    return spec;
}

static void test_defaults_and_set(void **state) {
    (void)state;
    struct spec spec = defaults();
    assert_true(spec.tau_s == 5e-3 && spec.law == 1 && spec.n_levels == 8);
    assert_string_equal(spec.file, "a.csv");
    ASSERT_OK(ley_params_set_pair(&table, &spec, "cell.tau_s=0.25"));
    ASSERT_OK(ley_params_set(&table, &spec, "cell.law", "linear"));
    ASSERT_OK(ley_params_set_pair(&table, &spec, "dac.file=b=c.csv"));
    assert_true(spec.tau_s == 0.25 && spec.law == 0);
    assert_string_equal(spec.file, "b=c.csv");
}

static void test_set_refuses(void **state) {
    (void)state;
    struct spec spec = defaults(), before = spec;
    ASSERT_FAILS(ley_params_set_pair(&table, &spec, "cell.tau=1"), LEY_E_ARGUMENT, "'cell.tau_s'");
    ASSERT_FAILS(ley_params_set_pair(&table, &spec, "dac.level=1"), LEY_E_ARGUMENT, "'dac.levels'");
    ASSERT_FAILS(ley_params_set_pair(&table, &spec, "cell.tau_s"), LEY_E_ARGUMENT, "key=value");
    ASSERT_FAILS(ley_params_set_pair(&table, &spec, "cell.tau_s=5 ms"), LEY_E_ARGUMENT, "a number");
    ASSERT_FAILS(ley_params_set_pair(&table, &spec, "cell.tau_s=nan"), LEY_E_ARGUMENT, "a number");
    ASSERT_FAILS(ley_params_set_pair(&table, &spec, "cell.tau_s=inf"), LEY_E_ARGUMENT,
                 "1e-09..1e+09 s");
    ASSERT_FAILS(ley_params_set_pair(&table, &spec, "dac.levels=2.5"), LEY_E_ARGUMENT,
                 "whole number");
    ASSERT_FAILS(ley_params_set_pair(&table, &spec, "cell.law=cubi"), LEY_E_ARGUMENT,
                 "linear|cubic");
    assert_memory_equal(&spec, &before, sizeof spec);
}

static enum ley_status read_yaml(struct spec *spec, const char *text) {
    return ley_params_read_yaml(&table, spec, text, strlen(text), "x.yaml");
}

static void test_yaml(void **state) {
    (void)state;
    struct spec spec = defaults();
    ASSERT_OK(
        read_yaml(&spec, "description: words\ncell: {tau_s: 1e-3}\ndac:\n  levels: 4 # bits\n"));
    assert_true(spec.tau_s == 1e-3 && spec.n_levels == 4);
}

static void test_yaml_refuses(void **state) {
    (void)state;
    struct spec spec = defaults();
    ASSERT_FAILS(read_yaml(&spec, ""), LEY_E_FORMAT, "empty");
    ASSERT_FAILS(read_yaml(&spec, "- a\n"), LEY_E_FORMAT, "map of parameters");
    ASSERT_FAILS(read_yaml(&spec, "cell:\n  tau_s: 1\n  tau_s: 2\n"), LEY_E_FORMAT,
                 "x.yaml:3: 'cell.tau_s' is given twice");
    ASSERT_FAILS(read_yaml(&spec, "cell:\n  tau: 1\n"), LEY_E_ARGUMENT,
                 "x.yaml:2: unknown parameter 'cell.tau'");
    ASSERT_FAILS(read_yaml(&spec, "cell:\n  tau_s: [1]\n"), LEY_E_FORMAT, "no lists");
    ASSERT_FAILS(read_yaml(&spec, "a: &x {tau_s: 1}\ncell: *x\n"), LEY_E_FORMAT, "aliases");
    ASSERT_FAILS(read_yaml(&spec, "cell: {tau_s: 1"), LEY_E_FORMAT, "x.yaml:");
    ASSERT_FAILS(read_yaml(&spec, "cell: {tau_s: 1}\n---\ncell: {}\n"), LEY_E_FORMAT,
                 "one document");
}

static void test_yaml_round_trip(void **state) {
    (void)state;
    struct spec spec = defaults(), back = defaults();
    ASSERT_OK(ley_params_set_pair(&table, &spec, "cell.tau_s=0.1234567890123456789"));
    ASSERT_OK(ley_params_set_pair(&table, &spec, "dac.levels=77"));
    char text[1024] = "";
    FILE *file = fmemopen(text, sizeof text, "w");
    ley_params_print_yaml(file, &table, &spec);
    fclose(file);
    ASSERT_OK(read_yaml(&back, text));
    assert_memory_equal(&back, &spec, sizeof spec);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_and_set),
        cmocka_unit_test(test_set_refuses),
        cmocka_unit_test(test_yaml),
        cmocka_unit_test(test_yaml_refuses),
        cmocka_unit_test(test_yaml_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
