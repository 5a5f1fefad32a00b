// test_scores.c - benchmark results of several files become columns
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/scores.h"
#include "support/support.h"

// A result file with one run; `config` with its comma, or "".
#define FILE_OF(hw, config, results)                                                               \
    "{\"model\":\"m\",\"is_complete\":true,\"runs\":[{\"hw\":\"" hw "\"," config                   \
    "\"results\":{" results "}}]}"
#define ADAPTED(file) "\"scalers\":\"adapted\",\"config\":{\"adapter\":\"" file "\"},"

static void add(struct ley_report *report, const char *text) {
    ASSERT_OK(ley_report_add(report, "r.json", text, strlen(text)));
}

static double accuracy(const struct ley_scores *column, const char *task) {
    return ley_json_number(ley_score_task(column, task), "acc,none");
}

static void test_files_of_one_kind_make_one_column(void **state) {
    (void)state;
    struct ley_report report = {0};
    struct ley_scores_table got;
    add(&report, FILE_OF("paper", ADAPTED("a"), "\"piqa\":{\"acc,none\":0.5}"));
    add(&report, FILE_OF("digital", "", "\"piqa\":{\"acc,none\":0.75}"));
    add(&report, FILE_OF("digital", "\"n-samples\":{\"wikitext\":{\"effective\":62}},",
                         "\"wikitext\":{\"word_perplexity,none\":38},"
                         "\"piqa\":{\"acc,none\":0.75}"));
    ley_gather_scores(&got, &report);
    assert_int_equal(got.n_columns, 2);
    assert_int_equal(got.n_left_out, 0);
    assert_int_equal(got.n_from, 3);
    assert_string_equal(got.column[0].name, "digital"); // first, wherever it stood
    assert_string_equal(got.column[1].name, "paper, adapted");
    assert_int_equal(got.column[0].n_runs, 2);
    assert_true(accuracy(&got.column[0], "piqa") == 0.75);
    assert_true(accuracy(&got.column[1], "piqa") == 0.5);
    assert_true(ley_score_items(&got.column[0], "wikitext") == 62);
    assert_true(isnan(ley_score_items(&got.column[0], "piqa")));
    assert_null(ley_score_task(&got.column[1], "wikitext"));
    ley_report_destroy(&report);
}

static void test_what_contradicts_stays_apart(void **state) {
    (void)state;
    struct ley_report report = {0};
    struct ley_scores_table got;
    add(&report, FILE_OF("paper", ADAPTED("a"), "\"piqa\":{\"acc,none\":0.5}"));
    add(&report,
        FILE_OF("paper", ADAPTED("a"), "\"piqa\":{\"acc,none\":0.25}")); // fewer items, say
    add(&report, FILE_OF("paper", ADAPTED("b"), "\"arc_easy\":{\"acc,none\":0.25}"));
    ley_gather_scores(&got, &report);
    assert_int_equal(got.n_columns, 3);
    assert_true(accuracy(&got.column[0], "piqa") == 0.5);
    assert_true(accuracy(&got.column[1], "piqa") == 0.25);
    assert_true(accuracy(&got.column[2], "arc_easy") == 0.25);
    assert_null(ley_score_task(&got.column[0], "arc_easy"));
    ley_report_destroy(&report);
}

static void test_what_does_not_fit_is_counted(void **state) {
    (void)state;
    struct ley_report report = {0};
    struct ley_scores_table got;
    for (int i = 0; i < LEY_MAX_SCORES + 2; i++) {
        char text[256];
        snprintf(text, sizeof text, FILE_OF("hw%d", "", "\"piqa\":{\"acc,none\":0.%d}"), i, i + 1);
        add(&report, text);
    }
    ley_gather_scores(&got, &report);
    assert_int_equal(got.n_columns, LEY_MAX_SCORES);
    assert_int_equal(got.n_left_out, 2);
    assert_int_equal(got.n_from, LEY_MAX_SCORES + 2);
    assert_string_equal(got.column[LEY_MAX_SCORES - 1].name, "hw7");
    ley_report_destroy(&report);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_of_one_kind_make_one_column),
        cmocka_unit_test(test_what_contradicts_stays_apart),
        cmocka_unit_test(test_what_does_not_fit_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
