// test_markup.c - text that shows as it is, quantities, tables
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/page.h"
#include "report/result.h"
#include "support/support.h"

// Fails unless the text is `want`; destroys the markup.
static void expect(struct ley_markup *markup, const char *want) {
    assert_string_equal(markup->n ? markup->text : "", want);
    assert_int_equal(markup->n, strlen(want));
    ley_markup_destroy(markup);
}

static void test_text_is_escaped(void **state) {
    (void)state;
    struct ley_markup markup = {0};
    ley_markup_escape(&markup, "<a href=\"x\">'&\xc3\xa9\n");
    expect(&markup, "&lt;a href=&quot;x&quot;&gt;&#39;&amp;\xc3\xa9\n");
    ley_markup_escape(&markup, "a\x01"
                               "b\xff\xc3"
                               "c\x7f");
    expect(&markup, "a\xef\xbf\xbd"
                    "b\xef\xbf\xbd\xef\xbf\xbd"
                    "c\xef\xbf\xbd");
    ley_markup_escape(&markup, "");
    expect(&markup, "");
}

static void test_long_lines_are_whole(void **state) {
    (void)state;
    struct ley_markup markup = {0};
    for (int i = 0; i < 3000; i++) {
        ley_markup_format(&markup, "%0500d", i);
    }
    ASSERT_OK(ley_markup_check(&markup));
    assert_int_equal(markup.n, 1500000);
    assert_int_equal(strlen(markup.text), markup.n);
    assert_memory_equal(markup.text + 1499996, "2999", 4);
    ley_markup_destroy(&markup);
}

static void test_quantities_have_the_prefix_that_suits(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *unit, *want;
    } rows[] = {
        {6.15e-9, "J", "6.15 nJ"},
        {999.95e-9, "s", "1 \xc2\xb5s"},
        {0, "J", "0 J"},
        {-3e-6, "C",
         "-3 \xc2\xb5"
         "C"},
        {123456, "", "1.235e+05"},
        {5e-7, "m2", "0.5 mm\xc2\xb2"},
        {1e-12, "m2", "1 \xc2\xb5m\xc2\xb2"},
        {NAN, "J", "&#8211;"},
        {INFINITY, "", "&#8211;"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ley_markup markup = {0};
        ley_markup_quantity(&markup, rows[i].value, rows[i].unit);
        expect(&markup, rows[i].want);
    }
}

static void test_tables_align_numbers(void **state) {
    (void)state;
    struct ley_page page = {0};
    ley_page_table(&page, "name|#value");
    ley_page_row(&page);
    ley_page_cell(&page, "<b>");
    ley_page_cell_number(&page, "%.1f", 2.5);
    ley_page_row_end(&page);
    ley_page_row(&page);
    ley_page_cell_number(&page, "%.1f", NAN);
    ley_page_row_end(&page);
    ley_page_table_end(&page);
    assert_non_null(strstr(page.text.text, "<th>name</th><th class=\"n\">value</th></tr>"));
    assert_non_null(strstr(page.text.text, "<td>&lt;b&gt;</td><td class=\"n\">2.5</td></tr>"));
    assert_non_null(strstr(page.text.text, "<td class=\"n\">\xe2\x80\x93</td>"));
    ley_page_destroy(&page);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_is_escaped),
        cmocka_unit_test(test_long_lines_are_whole),
        cmocka_unit_test(test_quantities_have_the_prefix_that_suits),
        cmocka_unit_test(test_tables_align_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
