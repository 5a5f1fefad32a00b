// test_items.c - readers of data sets: every form, what is wrong with them, raw WikiText, bzip2
#include <bzlib.h>
#include <stdio.h>
#include <string.h>

#include "support/support.h"

static enum ley_status read_text(struct ley_items *items, const char *task, const char *text) {
    char copy[8192];
    snprintf(copy, sizeof copy, "%s", text);
    return ley_items_read(items, ley_task_named(task), "items.jsonl", copy, strlen(copy), 0);
}

static void assert_pair(const struct ley_items *items, int64_t i, int pair, const char *context,
                        const char *ending) {
    const struct ley_item *item = &items->item[i];
    const struct ley_item_part *part[] = {&item->pair[pair].context, &item->pair[pair].ending};
    const char *want[] = {context, ending};
    for (int k = 0; k < 2; k++) {
        char got[1024];
        snprintf(got, sizeof got, "%.*s", (int)part[k]->n, item->text + part[k]->at);
        assert_string_equal(got, want[k]);
    }
}

// Forms of llama.cpp's data, which are not in the golden items.
static void test_other_forms(void **state) {
    (void)state;
    struct ley_items items;
    ASSERT_OK(read_text(
        &items, "arc_easy",
        "{\"choices\": [\"a\", \"b\\u00e9\"], \"query\": \"Question: Why?\", \"gold\": 1}\n"
        "\n"
        "{\"choices\": [\"c\", \"d\"], \"query\": \"Question: Who?\\nAnswer:\", \"gold\": \"0\"}"));
    assert_int_equal(items.n, 2);
    assert_pair(&items, 0, 1, "Question: Why?\nAnswer:", " b\xc3\xa9");
    assert_int_equal(items.item[0].gold, 1);
    assert_int_equal(items.item[0].pair[1].n_characters, 2); // not bytes
    assert_pair(&items, 1, 0, "Question: Who?\nAnswer:", " c");
    ley_items_destroy(&items);
    ASSERT_OK(read_text(
        &items, "piqa",
        "{\"choices\": [\"a\", \"b\"], \"gold\": 0, \"query\": \"Question: dresser\\n\"}"));
    assert_pair(&items, 0, 0, "Question: dresser\nAnswer:", " a");
    ley_items_destroy(&items);
    ASSERT_OK(read_text(&items, "hellaswag",
                        "{\"choices\": [\"a\", \"b\"], \"gold\": 0, \"query\": \"Skiing: He\"}"));
    assert_pair(&items, 0, 1, "Skiing: He", " b"); // no question
    ley_items_destroy(&items);
    ASSERT_OK(read_text(&items, "winogrande",
                        "{\"context_options\": [\"A so A\", \"A so B\"], \"continuation\": "
                        "\"won.\", \"gold\": 1}"));
    assert_pair(&items, 0, 0, "A so A", " won.");
    assert_pair(&items, 0, 1, "A so B", " won.");
    ley_items_destroy(&items);
    ASSERT_OK(read_text(&items, "lambada_openai",
                        "{\"context\": \"I don't care about\", \"continuation\": \"signs\"}"));
    assert_pair(&items, 0, 0, "I don't care about", " signs");
    ley_items_destroy(&items);
    ASSERT_OK(read_text(&items, "lambada_openai", // as the harness logs samples
                        "{\"doc_id\": 0, \"doc\": {\"text\": \"the last word\"}, \"acc\": 1}"));
    assert_pair(&items, 0, 0, "the last", " word");
    ley_items_destroy(&items);
}

// Six lines an item, as text and as bzip2.
static void test_six_lines(void **state) {
    (void)state;
    static const char text[] = "Skiing: He\n3\na.\nb.\nc.\nd.\nBaking: She\n0\ne\nf\ng\nh\n";
    struct ley_items items;
    char path[200], packed[1024];
    unsigned n = sizeof packed;
    ASSERT_OK(read_text(&items, "hellaswag", text));
    assert_int_equal(items.n, 2);
    assert_int_equal(items.item[0].gold, 3);
    assert_pair(&items, 1, 3, "Baking: She", " h");
    ley_items_destroy(&items);
    assert_int_equal(
        BZ2_bzBuffToBuffCompress(packed, &n, (char *)(uintptr_t)text, sizeof text - 1, 9, 0, 0),
        BZ_OK);
    snprintf(path, sizeof path, "%s/hellaswag_val_full.txt.bz2", test_folder);
    ASSERT_OK(ley_file_write(path, packed, n));
    char found[1024];
    ASSERT_OK(ley_task_find(found, ley_task_named("hellaswag"), test_folder));
    assert_string_equal(found, path);
    ASSERT_OK(ley_items_load(&items, ley_task_named("hellaswag"), path, 1));
    assert_int_equal(items.n, 1);
    assert_true(items.hash == ley_hash(0, packed, n));
    ley_items_destroy(&items);
    ASSERT_OK(ley_file_write(path, packed, n / 2));
    ASSERT_FAILS(ley_items_load(&items, ley_task_named("hellaswag"), path, 0), LEY_E_FORMAT,
                 "damaged or cut bzip2 data");
    ASSERT_FAILS(read_text(&items, "hellaswag", "Skiing: He\n4\na\nb\nc\nd\n"), LEY_E_FORMAT,
                 "line 1: an item is six lines");
    ASSERT_FAILS(read_text(&items, "hellaswag", "Skiing: He\n3\na\nb\nc\nd\nBaking: She\n0\n"),
                 LEY_E_FORMAT, "line 7");
}

static void test_mistakes(void **state) {
    (void)state;
    static const struct {
        const char *task, *text, *part;
    } cases[] = {
        {"piqa", "{\"goal\": \"g\", \"sol1\": \"a\", \"label\": 0}",
         "items.jsonl, line 1: member \"sol2\" is missing"},
        {"piqa", "{\"goal\": \"g\", \"sol1\": \"a\", \"sol2\": \"b\", \"label\": 2}",
         "\"label\" is missing or not in 0..1"},
        {"piqa", "{\"sentence\": \"g\"}", "no item of piqa"},
        {"piqa", "{\"goal\": ", "not a JSON object"},
        {"piqa", "goal\n", "no JSON lines; piqa is read from"},
        {"piqa", "", "no JSON lines"},
        {"piqa", "{\"query\": \"q\", \"choices\": [\"one\"], \"gold\": 0}", "fewer than two"},
        {"piqa", "{\"query\": \"q\", \"choices\": [\"one\", 2], \"gold\": 0}",
         "a choice is no text"},
        {"arc_easy",
         "{\"question\": \"q\", \"choices\": {\"text\": [\"a\", \"b\"], \"label\": [\"A\", "
         "\"B\"]}, "
         "\"answerKey\": \"C\"}",
         "answerKey \"C\" is none of the labels"},
        {"winogrande",
         "{\"sentence\": \"no gap\", \"option1\": \"a\", \"option2\": \"b\", \"answer\": \"1\"}",
         "the sentence has no _"},
        {"wikitext", "no heading at all\n", "holds no items of wikitext"},
    };
    struct ley_items items;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ASSERT_FAILS(read_text(&items, cases[i].task, cases[i].text), LEY_E_FORMAT, cases[i].part);
    }
    char path[1024];
    ASSERT_FAILS(ley_task_find(path, ley_task_named("piqa"), test_folder), LEY_E_IO,
                 "Hugging Face: baber/piqa");
}

// Twenty-six choices fit, one more does not.
static void test_many_choices(void **state) {
    (void)state;
    struct ley_items items;
    for (int n = LEY_MOST_CHOICES; n <= LEY_MOST_CHOICES + 1; n++) {
        char text[1024];
        int at = snprintf(text, sizeof text, "{\"query\": \"q\", \"gold\": 1, \"choices\": [\"0\"");
        for (int i = 1; i < n; i++) {
            at += snprintf(text + at, sizeof text - (size_t)at, ", \"%d\"", i);
        }
        snprintf(text + at, sizeof text - (size_t)at, "]}");
        if (n <= LEY_MOST_CHOICES) {
            ASSERT_OK(read_text(&items, "hellaswag", text));
            assert_int_equal(items.item[0].n_pairs, n);
            ley_items_destroy(&items);
        } else {
            ASSERT_FAILS(read_text(&items, "hellaswag", text), LEY_E_FORMAT, "more than 26");
        }
    }
}

// Pages with and without their blank lines are the same, but for those at the ends.
static void test_raw_wikitext(void **state) {
    (void)state;
    static const char whole[] =
        " \n = One = \n \n First page . \n Still the first . \n \n = = Part = = \n \n \n = = = "
        "Small = "
        "= = \n \n Text . \n \n = Two = \n \n Second page ; a = b here . \n";
    static const char bare[] = " = One = \r\n First page . \r\n Still the first . \r\n = = Part = "
                               "= \r\n = = = Small = = = "
                               "\r\n Text . \r\n = Two = \r\n Second page ; a = b here . \r\n";
    struct ley_items items[2];
    ASSERT_OK(read_text(&items[0], "wikitext", whole));
    ASSERT_OK(read_text(&items[1], "wikitext", bare));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(items[i].n, 2);
        assert_pair(&items[i], 0, 0, "",
                    " = One =\n\nFirst page.\nStill the first.\n\n== Part ==\n\n\n=== Small "
                    "===\n\nText.\n");
        assert_int_equal(items[i].item[0].n_bytes, 100);
        assert_int_equal(items[i].item[0].n_words, 26);
        assert_pair(&items[i], 1, 0, "", " = Two =\n\nSecond page; a = b here.\n");
        ley_items_destroy(&items[i]);
    }
    char copy[sizeof bare];
    memcpy(copy, bare, sizeof bare);
    ASSERT_OK(ley_items_read(&items[0], ley_task_named("wikitext"), "w", copy, sizeof bare - 1, 1));
    assert_int_equal(items[0].n, 1);
    ley_items_destroy(&items[0]);
}

static void test_limit(void **state) {
    (void)state;
    struct ley_items items;
    char text[] = "{\"text\": \"a b\"}\n{\"text\": \"c d\"}\n{broken\n";
    ASSERT_OK(ley_items_read(&items, ley_task_named("lambada_openai"), "l", text, strlen(text), 2));
    assert_int_equal(items.n, 2);
    ley_items_destroy(&items);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_forms),
        cmocka_unit_test_setup_teardown(test_six_lines, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_mistakes, make_folder, remove_folder),
        cmocka_unit_test(test_many_choices),
        cmocka_unit_test(test_raw_wikitext),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
