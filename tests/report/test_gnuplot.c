// test_gnuplot.c - drawings cleaned so that many fit into one page; what a missing program says
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/gnuplot.h"
#include "support/support.h"

static void test_drawings_are_cleaned(void **state) {
    (void)state;
    static const char svg[] =
        "<?xml version=\"1.0\"?>\n<!-- a > b -->\n<svg \n viewBox=\"0 0 5 5\"\n "
        "xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink='http://x'>\n<title>Gnuplot</title>\n"
        "<desc>no</desc><defs>\n\t<circle id='gpDot' r='0.5'/>\n</defs>"
        "<use xlink:href='#gpDot' color='black'/>\n"
        "<polygon fill = 'rgb(  3,   1,   2)' points = '1,2'/>"
        "<path stroke='rgb(  0,   0,   0)' fill='url(#hatch)' d='a\"b'/>"
        "<path stroke='rgb(  9,   1,   2)'/><text>a &lt; b</text></svg>\n";
    struct ley_markup out = {0};
    ley_plot_clean(&out, svg, sizeof svg - 1, "p7", "a \"label\"");
    assert_string_equal(
        out.text, "<svg role=\"img\" aria-label=\"a &quot;label&quot;\" viewBox=\"0 0 5 5\"><defs>"
                  "<circle id=\"p7-gpDot\" r=\"0.5\"/></defs>"
                  "<use href=\"#p7-gpDot\" color=\"currentColor\"/>"
                  "<polygon fill=\"var(--c3)\" points=\"1,2\"/>"
                  "<path stroke=\"currentColor\" fill=\"url(#p7-hatch)\" d=\"a&quot;b\"/>"
                  "<path stroke=\"rgb(  9,   1,   2)\"/><text>a &lt; b</text></svg>");
    ley_markup_destroy(&out);
}

// Whatever is cut off must end the cleaning, not run past the end.
static void test_cut_drawings_end(void **state) {
    (void)state;
    static const char svg[] = "<svg a='1' xmlns='x'><!-- c --><g id = 'u' b=\"url(#v)\"/> t </svg>";
    for (size_t n = 0; n < sizeof svg; n++) {
        char text[sizeof svg];
        struct ley_markup out = {0};
        memcpy(text, svg, n);
        text[n] = '\0';
        ley_plot_clean(&out, text, n, "p1", "");
        ASSERT_OK(ley_markup_check(&out));
        ley_markup_destroy(&out);
    }
}

static void test_texts_cannot_leave_their_quotes(void **state) {
    (void)state;
    struct ley_markup script = {0};
    ley_plot_text(&script, "it's\n`date`\xff", 100);
    assert_string_equal(script.text, "'it''s?`date`?'");
    ley_markup_destroy(&script);
    ley_plot_text(&script, "\xc3\xa9\xc3\xa9\xc3\xa9", 2);
    assert_string_equal(script.text, "'\xc3\xa9\xc3\xa9'");
    ley_markup_destroy(&script);
}

static void test_a_plot_is_drawn(void **state) {
    (void)state;
    struct ley_markup out = {0};
    char version[64];
    ley_plot_version(version, sizeof version);
    if (!*version) {
        printf("SKIPPED: gnuplot is not installed\n");
        return;
    }
    assert_non_null(strstr(version, "gnuplot"));
    ASSERT_OK(ley_plot_draw(&out, "plot sin(x) lc rgb '#020102' t 'a_b < c & d'\n", 300, 200, "p1",
                            "a sine"));
    assert_memory_equal(out.text, "<svg", 4);
    assert_non_null(strstr(out.text, "var(--c2)"));
    assert_non_null(strstr(out.text, "a_b &lt; c &amp; d"));
    assert_null(strstr(out.text, "http"));
    ley_markup_destroy(&out);
    ASSERT_FAILS(ley_plot_draw(&out, "plot nothing\n", 300, 200, "p1", "x"), LEY_E_RESULT,
                 "undefined variable");
    assert_int_equal(out.n, 0);
    ley_markup_destroy(&out);
}

static void test_a_missing_program_is_told(void **state) {
    (void)state;
    struct ley_markup out = {0};
    char path[4096], version[64] = "x";
    snprintf(path, sizeof path, "%s", getenv("PATH"));
    assert_int_equal(setenv("PATH", "/nonexistent", 1), 0);
    ASSERT_FAILS(ley_plot_draw(&out, "plot x\n", 300, 200, "p1", "x"), LEY_E_MISSING,
                 "install the package gnuplot");
    ley_plot_version(version, sizeof version);
    assert_string_equal(version, "");
    assert_int_equal(setenv("PATH", path, 1), 0);
    ley_markup_destroy(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drawings_are_cleaned),
        cmocka_unit_test(test_cut_drawings_end),
        cmocka_unit_test(test_texts_cannot_leave_their_quotes),
        cmocka_unit_test(test_a_plot_is_drawn),
        cmocka_unit_test(test_a_missing_program_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
