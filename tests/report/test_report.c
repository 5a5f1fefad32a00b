// test_report.c - results told apart, mixed ones refused, pages well-formed whatever is in them
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/gnuplot.h"
#include "report/report.h"
#include "support/counting_alloc.h"
#include "support/support.h"

static enum ley_status add(struct ley_report *report, const char *name, const char *text) {
    return ley_report_add(report, name, text, strlen(text));
}

#define SHAPE                                                                                      \
    "\"shape\":{\"n_layers\":2,\"n_heads\":4,\"n_kv_heads\":2,\"head_dim\":8,\"d_model\":32}"
#define HARDWARE                                                                                   \
    "\"hardware\":{\"cell.law\":\"cubic\",\"array.window\":16,\"array.arithmetic\":\"auto\","      \
    "\"time.token_period_s\":8e-7,\"time.write_s\":1e-8,\"time.q_pulse_s\":1.5e-8,"                \
    "\"time.phi_pulse_s\":1.5e-8,\"time.output_pulse_s\":1.5e-8,\"time.digital_sum_s\":1e-8}"
#define DIGITAL                                                                                    \
    "{\"perplexity\":33,\"predictions\":7,\"hw\":\"digital\",\"file_hash\":\"aa\",\"ctx\":"        \
    "8," SHAPE                                                                                     \
    ",\"by_position\":[{\"first\":1,\"last\":1,\"nll\":4},{\"first\":2,\"last\":3,\"nll\":3}]}"
#define MAPPED                                                                                     \
    "{\"perplexity\":800,\"predictions\":7,\"hw\":\"paper\",\"scalers\":\"calibrated\","           \
    "\"file_hash\":\"aa\",\"ctx\":8," SHAPE "," HARDWARE ",\"events\":{\"queries\":3}}"

static void test_results_are_told_apart(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum ley_result_kind kind;
    } rows[] = {
        {"{\"codes\":[],\"leakage_of_top_code\":[],\"hardware\":{}}", LEY_RESULT_CELL},
        {"{\"energy_per_head_j\":1,\"baselines\":[],\"breakdown\":{}}", LEY_RESULT_COST},
        {"{\"peak_int8_per_s\":1,\"results\":[],\"isa\":\"avx2\"}", LEY_RESULT_BENCH},
        {DIGITAL, LEY_RESULT_PERPLEXITY},
        {"{\"text\":\"\",\"generated_tokens\":0,\"hw\":\"x\"}", LEY_RESULT_RUN},
        {"{\"trace\":[],\"hardware\":{},\"hw\":\"x\"}", LEY_RESULT_TRACE},
        {"{\"events\":{},\"shape\":{},\"hardware\":{}}", LEY_RESULT_ATTEND},
        {"{\"step\":1,\"kind\":\"train\",\"loss\":2}\n", LEY_RESULT_LOG},
        {"{\"step\":1,\"kind\":\"train\",\"loss\":2}\n{\"step\":2,\"kind\":\"train\",\"loss\":1}\n"
         "{\"step\":3,\"ki",
         LEY_RESULT_LOG}, // a run that was killed
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ley_result result;
        ASSERT_OK(ley_result_read(&result, "r.json", rows[i].text, strlen(rows[i].text)));
        assert_int_equal(result.kind, rows[i].kind);
        ley_result_destroy(&result);
    }
}

static void test_what_is_no_result_is_refused(void **state) {
    (void)state;
    struct ley_report report = {0};
    ASSERT_FAILS(add(&report, "a.json", ""), LEY_E_FORMAT, "a.json is no JSON result");
    ASSERT_FAILS(add(&report, "a.json", "hello\nworld\n"), LEY_E_FORMAT, "a.json is no result");
    ASSERT_FAILS(add(&report, "a.json", "{\"a\":1}"), LEY_E_FORMAT, "a.json is JSON, but not");
    ASSERT_FAILS(add(&report, "a.json", "[1,2]"), LEY_E_FORMAT, "a.json is no JSON result");
    ASSERT_FAILS(add(&report, "a.jsonl", "{\"step\":1,\"kind\":\"train\",\"loss\":2}\nx\n{}\n"),
                 LEY_E_FORMAT, "(line 2)");
    assert_int_equal(report.n_results, 0);
    ley_report_destroy(&report);
}

static void test_mixed_results_are_refused(void **state) {
    (void)state;
    struct ley_report report = {0};
    ASSERT_OK(add(&report, "a.json", MAPPED));
    ASSERT_OK(add(&report, "b.json", MAPPED)); // the same bytes: passed over
    ASSERT_OK(add(&report, "c.json", DIGITAL));
    assert_int_equal(report.n_results, 2);
    ASSERT_FAILS(add(&report, "d.json",
                     "{\"text\":\"\",\"generated_tokens\":0,\"hw\":\"x\",\"hardware\":"
                     "{\"cell.law\":\"linear\"}}"),
                 LEY_E_ARGUMENT,
                 "d.json is of another chip than a.json (cell.law is linear, there cubic)");
    ASSERT_FAILS(add(&report, "d.json",
                     "{\"text\":\"\",\"generated_tokens\":0,\"hw\":\"x\",\"shape\":"
                     "{\"n_layers\":12}}"),
                 LEY_E_ARGUMENT,
                 "d.json is of another model than a.json (n_layers is 12, there 2)");
    ASSERT_FAILS(
        add(&report, "d.json",
            "{\"perplexity\":1,\"predictions\":7,\"hw\":\"digital\",\"file_hash\":\"bb\"}"),
        LEY_E_ARGUMENT, "(file_hash is bb, there aa); make a report for each");
    // how the simulator computes is not the chip's business
    ASSERT_OK(add(&report, "e.json",
                  "{\"text\":\"\",\"generated_tokens\":0,\"hw\":\"x\",\"hardware\":"
                  "{\"array.arithmetic\":\"double\",\"cell.law\":\"cubic\"}}"));
    assert_int_equal(report.n_results, 3);
    ley_report_destroy(&report);
}

// ---- pages

enum { MAX_DEPTH = 64 };

// Fails unless tags are closed in their order and attributes are quoted.
static void check_well_formed(const char *html) {
    char open[MAX_DEPTH][16];
    int depth = 0;
    assert_memory_equal(html, "<!DOCTYPE html>", 15);
    for (const char *at = strchr(html + 2, '<'); at; at = strchr(at, '<')) {
        bool is_end = at[1] == '/';
        at += 1 + is_end;
        size_t n = strcspn(at, " />\n");
        assert_in_range(n, 1, 15);
        const char *end = at + n;
        for (; *end && *end != '>'; end++) {
            if (*end == '"') { // an attribute: nothing in it ends a tag
                end = strchr(end + 1, '"');
                assert_non_null(end);
            }
            assert_true(*end != '<' && *end != '\'');
        }
        assert_true(*end == '>');
        if (is_end) {
            assert_true(depth > 0 && strlen(open[depth - 1]) == n);
            assert_memory_equal(open[--depth], at, n);
        } else if (end[-1] != '/') {
            assert_true(depth < MAX_DEPTH);
            snprintf(open[depth++], sizeof open[0], "%.*s", (int)n, at);
        }
        at = end;
    }
    assert_int_equal(depth, 0);
}

static bool has_gnuplot(void) {
    char version[64];
    ley_plot_version(version, sizeof version);
    if (!*version) {
        printf("SKIPPED: gnuplot is not installed\n");
    }
    return *version != '\0';
}

// Writes the page of a report, checks it, destroys the report; the caller frees the page.
static struct ley_markup make_page(struct ley_report *report) {
    struct ley_markup page = {0};
    report->version = "test";
    ASSERT_OK(ley_report_write(&page, report, "a <title>"));
    check_well_formed(page.text);
    static const char *const foreign[] = {
        "http://", "https://", "src=", "<script", "<link", "@import"};
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        assert_null(strstr(page.text, foreign[i]));
    }
    ley_report_destroy(report);
    return page;
}

static void test_a_page_shows_what_is_there(void **state) {
    (void)state;
    if (!has_gnuplot()) {
        return;
    }
    struct ley_report report = {0};
    ASSERT_OK(add(&report, "digital.json", DIGITAL));
    ASSERT_OK(add(&report, "mapped.json", MAPPED));
    ASSERT_OK(add(&report, "log.jsonl",
                  "{\"step\":1,\"kind\":\"train\",\"loss\":2,\"rate\":1}\n"
                  "{\"step\":2,\"kind\":\"train\",\"loss\":1,\"rate\":2}\n"
                  "{\"step\":2,\"kind\":\"validation\",\"loss\":1.5}\n"));
    struct ley_markup page = make_page(&report);
    static const char *const wanted[] = {
        "a &lt;title&gt;", "id=\"quality\"",          "id=\"training\"",   "id=\"timing\"",
        "id=\"events\"",   "id=\"sources\"",          "href=\"#quality\"", "mapped.json",
        "id=\"p1-",        "leyden perplexity --json"};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        assert_non_null(strstr(page.text, wanted[i]));
    }
    assert_null(strstr(page.text, "id=\"cell\""));
    assert_null(strstr(page.text, "id=\"rivals\""));
    ley_markup_destroy(&page);
}

// Two files of one evaluation: a column each, bars for both, a mean only where every task was run.
static void test_benchmark_tasks_stand_side_by_side(void **state) {
    (void)state;
    if (!has_gnuplot()) {
        return;
    }
    struct ley_report report = {0};
    ASSERT_OK(
        add(&report, "a.json",
            "{\"model\":\"m\",\"is_complete\":true,\"runs\":[{\"hw\":\"digital\",\"results\":{"
            "\"piqa\":{\"acc,none\":0.5,\"acc_stderr,none\":0.125},"
            "\"arc_easy\":{\"acc,none\":0.25,\"acc_norm,none\":0.375}}}]}"));
    ASSERT_OK(
        add(&report, "b.json",
            "{\"model\":\"m\",\"is_complete\":true,\"runs\":[{\"hw\":\"p\\u00e9 '<|\",\"scalers\":"
            "\"adapted\",\"results\":{\"piqa\":{\"acc,none\":0.75}},\"n-samples\":{\"piqa\":"
            "{\"effective\":7}},\"divergence\":{\"by_position\":["
            "{\"first\":1,\"last\":1,\"kl\":2},{\"first\":2,\"last\":3,\"kl\":1}]}}]}"));
    struct ley_markup page = make_page(&report);
    static const char *const wanted[] = {
        "accuracy by task",
        "divergence by place",
        "<th class=\"n\">digital</th><th class=\"n\">p      , adapted</th>",
        "<td class=\"n\">50 \xc2\xb1 12</td><td class=\"n\">75</td>",
        "<td class=\"n\">37.5</td><td class=\"n\">\xe2\x80\x93</td>",
        "<td class=\"n\">\xe2\x80\x93</td><td class=\"n\">7</td>",
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        assert_non_null(strstr(page.text, wanted[i]));
    }
    ley_markup_destroy(&page);
}

// More hardwares than a table has columns: the page says how many it does not show.
static void test_a_page_says_what_it_leaves_out(void **state) {
    (void)state;
    if (!has_gnuplot()) {
        return;
    }
    struct ley_report report = {0};
    struct ley_markup text = {0};
    ley_markup_format(&text, "{\"model\":\"m\",\"is_complete\":true,\"runs\":[");
    for (int i = 0; i < 11; i++) {
        ley_markup_format(&text, "%s{\"hw\":\"h%d\",\"results\":{\"piqa\":{\"acc,none\":0.5}}}",
                          i ? "," : "", i);
    }
    ley_markup_format(&text, "]}");
    ASSERT_OK(add(&report, "many.json", text.text));
    ley_markup_destroy(&text);
    struct ley_markup page = make_page(&report);
    assert_non_null(strstr(page.text, "Left out: runs 3, tasks 0"));
    assert_non_null(strstr(page.text, ">h7</th>"));
    assert_null(strstr(page.text, ">h8</th>"));
    ley_markup_destroy(&page);
}

static void test_hostile_texts_stay_texts(void **state) {
    (void)state;
    if (!has_gnuplot()) {
        return;
    }
    struct ley_report report = {0};
    ASSERT_OK(
        add(&report, "<script>.json",
            "{\"text\":\"</pre><script>alert(1)</script>\",\"generated_tokens\":1,"
            "\"hw\":\"'\\\"`touch x`\",\"command\":\"leyden <img src=x>\",\"prompt\":\"\\u0001\","
            "\"hardware\":{\"<b>\":\"</td>\"}}"));
    ASSERT_OK(add(&report, "cost.json",
                  "{\"energy_per_head_j\":1,\"energy_per_layer_j\":1,\"baselines\":[{\"name\":"
                  "\"a'`touch x`\\n<svg>\",\"attention_j\":2,\"energy_gain\":2}],\"breakdown\":"
                  "{\"energy_j\":{\"<x> ' ` \":1,\"qk\":2}}}"));
    struct ley_markup page = {0};
    ASSERT_OK(ley_report_write(&page, &report, "t"));
    check_well_formed(page.text);
    assert_null(strstr(page.text, "<script"));
    assert_null(strstr(page.text, "<img"));
    assert_false(ley_file_exists("x"));
    ley_report_destroy(&report);
    ley_markup_destroy(&page);
}

// Members of the wrong kind are as good as absent.
static void test_wrong_types_show_as_absent(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{\"codes\":1,\"leakage_of_top_code\":{\"a\":1},\"hardware\":[1,2]}",
        "{\"energy_per_head_j\":\"x\",\"baselines\":{\"a\":1},\"breakdown\":{\"energy_j\":[1]}}",
        "{\"peak_int8_per_s\":[],\"results\":[1,[],\"x\"],\"isa\":1}",
        ("{\"runs\":[{\"results\":{\"a\":{\"acc,none\":1,\"b\":2},\"c\":[1],\"d\":3}},7],"
         "\"is_complete\":1,\"model\":2}"),
        "{\"runs\":3,\"is_complete\":{},\"model\":[]}",
        "{\"perplexity\":\"x\",\"predictions\":{},\"hw\":1,\"events\":[1],\"by_position\":3}",
        "{\"text\":1,\"generated_tokens\":\"x\",\"hw\":[],\"prompt\":{},\"events\":{\"a\":\"b\"}}",
        "{\"trace\":[1,{\"score\":1,\"by_age\":2}],\"hardware\":3,\"hw\":4}",
        "{\"events\":1,\"shape\":2,\"hardware\":\"x\"}",
        "{\"step\":\"a\",\"kind\":1,\"loss\":[]}\n",
    };
    for (size_t i = 0; has_gnuplot() && i < sizeof texts / sizeof texts[0]; i++) {
        struct ley_report report = {0};
        ASSERT_OK(add(&report, "r.json", texts[i]));
        struct ley_markup page = {0};
        enum ley_status status = ley_report_write(&page, &report, "t");
        if (status == LEY_OK) {
            check_well_formed(page.text);
        } else { // a plot with nothing in it
            assert_int_equal(status, LEY_E_RESULT);
        }
        ley_report_destroy(&report);
        ley_markup_destroy(&page);
    }
}

static void test_memory_that_runs_out_is_told(void **state) {
    (void)state;
    bool is_done = !has_gnuplot();
    for (int64_t first = 1; !is_done; first++) {
        struct ley_report report = {0};
        struct ley_markup page = {0};
        ASSERT_OK(add(&report, "digital.json", DIGITAL));
        counting_reset(first, true);
        enum ley_status status = ley_report_write(&page, &report, "t");
        is_done = counting.n_calls < first;
        assert_int_equal(status, is_done ? LEY_OK : LEY_E_MEMORY);
        counting_reset(0, false);
        ley_report_destroy(&report);
        ley_markup_destroy(&page);
        assert_int_equal(counting.n_live, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results_are_told_apart),
        cmocka_unit_test(test_what_is_no_result_is_refused),
        cmocka_unit_test(test_mixed_results_are_refused),
        cmocka_unit_test(test_a_page_shows_what_is_there),
        cmocka_unit_test(test_benchmark_tasks_stand_side_by_side),
        cmocka_unit_test(test_a_page_says_what_it_leaves_out),
        cmocka_unit_test(test_hostile_texts_stay_texts),
        cmocka_unit_test(test_wrong_types_show_as_absent),
        cmocka_unit_test(test_memory_that_runs_out_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
