// test_dataset.c - documents from four kinds of files, tokens and their cache, windows in order
#include <lzma.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "support/support.h"

static const struct ley_text_options PLAIN = {false}, JOINED = {true};

static const char *in_folder(const char *name) {
    static char path[2][160];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", test_folder, name);
    return path[turn];
}

static void put(const char *name, const char *text) {
    ASSERT_OK(ley_file_write(in_folder(name), text, strlen(text)));
}

// The same, compressed, as two streams one after another.
static void put_packed(const char *name, const char *text) {
    uint8_t out[4096];
    size_t n = strlen(text), n_out = 0;
    for (int half = 0; half < 2; half++) {
        const uint8_t *from = (const uint8_t *)text + (half ? n / 2 : 0);
        assert_int_equal(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, NULL, from,
                                                 half ? n - n / 2 : n / 2, out, &n_out, sizeof out),
                         LZMA_OK);
    }
    ASSERT_OK(ley_file_write(in_folder(name), (const char *)out, n_out));
}

static void check_texts(const char *name, const struct ley_text_options *options, size_t n,
                        const char *const *want) {
    struct ley_texts texts;
    ASSERT_OK(ley_texts_load(&texts, in_folder(name), options));
    assert_int_equal(texts.n, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(texts.document[i].n, strlen(want[i]));
        assert_memory_equal(texts.document[i].text, want[i], strlen(want[i]));
    }
    ley_texts_destroy(&texts);
}

static void test_plain_text(void **state) {
    (void)state;
    const char *text = "\nOne line\r\nand another.\n\nNew\nparagraph.\n<|endoftext|>\n\nTwo <|end\n"
                       "<|endoftext|>\n<|endoftext|>";
    const char *plain[] = {"One line\nand another.\n\nNew\nparagraph.", "Two <|end"};
    const char *joined[] = {"One line and another.\n\nNew paragraph.", "Two <|end"};
    put("a.txt", text);
    put_packed("a.txt.xz", text);
    check_texts("a.txt", &PLAIN, 2, plain);
    check_texts("a.txt", &JOINED, 2, joined);
    check_texts("a.txt.xz", &JOINED, 2, joined);
}

static void test_lines_of_json(void **state) {
    (void)state;
    const char *text =
        "{\"text\": \"a\\nb \\u00e9\"}\n\n{\"id\": 3, \"text\": \"second\"}\r\n{\"text\":"
        "\"\"}";
    const char *want[] = {"a\nb \xc3\xa9", "second"};
    put("a.jsonl", text);
    put_packed("a.jsonl.xz", text);
    check_texts("a.jsonl", &JOINED, 2, want);
    check_texts("a.jsonl.xz", &PLAIN, 2, want);
}

static void test_wrong_files(void **state) {
    (void)state;
    struct ley_texts texts;
    char *bytes, long_text[3000];
    size_t n;
    put("b.jsonl", "{\"text\": \"x\"}\n{\"txt\": 1}\n");
    ASSERT_FAILS(ley_texts_load(&texts, in_folder("b.jsonl"), &PLAIN), LEY_E_FORMAT, "line 2");
    put("b.txt", "\n\n<|endoftext|>\n");
    ASSERT_FAILS(ley_texts_load(&texts, in_folder("b.txt"), &PLAIN), LEY_E_FORMAT, "no text");
    put("b.txt.xz", "this is not xz");
    ASSERT_FAILS(ley_texts_load(&texts, in_folder("b.txt.xz"), &PLAIN), LEY_E_FORMAT, "xz");
    memset(long_text, 'x', sizeof long_text - 1); // grows beyond the first guess
    long_text[sizeof long_text - 1] = 0;
    put_packed("c.txt.xz", long_text);
    const char *want[] = {long_text};
    check_texts("c.txt.xz", &PLAIN, 1, want);
    ASSERT_OK(ley_file_read(&bytes, &n, in_folder("c.txt.xz"), 1 << 20));
    for (size_t cut = 1; cut < n; cut += 3) {
        ASSERT_OK(ley_file_write(in_folder("d.txt.xz"), bytes, cut));
        enum ley_status status = ley_texts_load(&texts, in_folder("d.txt.xz"), &PLAIN);
        assert_true(status == LEY_E_FORMAT || status == LEY_OK); // between the streams it is whole
        ley_texts_destroy(&texts);
    }
    ley_free(bytes);
    ASSERT_FAILS(ley_texts_load(&texts, in_folder("none"), &PLAIN), LEY_E_IO, "No such file");
}

// A vocabulary of bytes "a" to "z", space as G-dot, and an end: a token is a letter.
struct letters {
    char text[28][8];
    struct ley_string token[28];
    struct ley_vocab vocab;
    struct ley_tokenizer *tokenizer;
};

static void make_letters(struct letters *l) {
    memset(l, 0, sizeof *l);
    for (int i = 0; i < 28; i++) {
        if (i < 26) {
            l->text[i][0] = (char)('a' + i);
        } else {
            strcpy(l->text[i], i == 26 ? "\xc4\xa0" : "<end>");
        }
        l->token[i] = (struct ley_string){l->text[i], strlen(l->text[i])};
    }
    l->vocab = (struct ley_vocab){.kind = LEY_VOCAB_BYTE_BPE,
                                  .pre = LEY_PRE_NONE,
                                  .n_tokens = 28,
                                  .token = l->token,
                                  .bos = -1,
                                  .eos = 27,
                                  .unknown = -1};
    ASSERT_OK(ley_tokenizer_create(&l->tokenizer, &l->vocab));
}

static void open_dataset(struct ley_dataset *dataset, const struct letters *l, bool want_cached) {
    char path[160], cache[160];
    snprintf(path, sizeof path, "%s/t.txt", test_folder);
    snprintf(cache, sizeof cache, "%s/t.tokens", test_folder);
    ASSERT_OK(ley_dataset_create(dataset, path, cache, l->tokenizer, &l->vocab, &JOINED));
    assert_int_equal(dataset->made == NULL, want_cached);
}

static void test_tokens_and_cache(void **state) {
    (void)state;
    const int32_t want[] = {7, 8, 26, 19, 14, 27, 0, 27};
    struct letters l;
    struct ley_dataset dataset;
    make_letters(&l);
    put("t.txt", "hi\nto\n<|endoftext|>\na");
    for (int i = 0; i < 3; i++) {
        open_dataset(&dataset, &l, i > 0);
        assert_int_equal(dataset.n_tokens, 8);
        assert_memory_equal(dataset.token, want, sizeof want);
        ley_dataset_destroy(&dataset);
    }
    l.vocab.eos = 26; // another vocabulary: made anew, then cached
    ley_tokenizer_destroy(l.tokenizer);
    ASSERT_OK(ley_tokenizer_create(&l.tokenizer, &l.vocab));
    open_dataset(&dataset, &l, false);
    assert_int_equal(dataset.token[5], 26);
    ley_dataset_destroy(&dataset);
    open_dataset(&dataset, &l, true);
    ley_dataset_destroy(&dataset);
    put("t.txt", "hi\nto\n<|endoftext|>\nb"); // another text
    open_dataset(&dataset, &l, false);
    ley_dataset_destroy(&dataset);
    char *bytes;
    size_t n;
    ASSERT_OK(ley_file_read(&bytes, &n, in_folder("t.tokens"), 1 << 16));
    for (size_t i = 0; i < n; i += 5) { // cut or out of the vocabulary: made anew
        ASSERT_OK(ley_file_write(in_folder("t.tokens"), bytes, i));
        open_dataset(&dataset, &l, false);
        ley_dataset_destroy(&dataset);
    }
    bytes[n - 2] = 1;
    ASSERT_OK(ley_file_write(in_folder("t.tokens"), bytes, n));
    open_dataset(&dataset, &l, false);
    ley_dataset_destroy(&dataset);
    ley_free(bytes);
    ley_tokenizer_destroy(l.tokenizer);
}

static void test_windows(void **state) {
    (void)state;
    enum { N = 1000, T = 7, WINDOWS = (N - 1) / T, EPOCHS = 3 };
    int32_t token[N], x[T], y[T], order[EPOCHS][WINDOWS];
    int n_equal = 0;
    for (int i = 0; i < N; i++) {
        token[i] = i;
    }
    const struct ley_dataset dataset = {.token = token, .n_tokens = N};
    struct ley_windows windows;
    ASSERT_OK(ley_windows_create(&windows, &dataset, T, 0.1, 42));
    assert_int_equal(windows.n_validation, WINDOWS / 10);
    assert_int_equal(windows.n_train + windows.n_validation, WINDOWS);
    for (int e = 0; e < EPOCHS; e++) {
        bool seen[WINDOWS] = {false};
        for (int i = 0; i < windows.n_train; i++) {
            ley_windows_train(x, y, &windows, e * windows.n_train + i);
            int place = x[0] / T;
            assert_true(x[0] == place * T && x[T - 1] == x[0] + T - 1 && y[T - 1] == x[0] + T);
            assert_false(seen[place] || place >= windows.n_train); // each once an epoch
            seen[place] = true;
            order[e][i] = place;
            n_equal += e > 0 && place == order[e - 1][i];
        }
    }
    assert_true(n_equal < 20); // orders differ: 2 equal places are to be expected
    ley_windows_validation(x, y, &windows, windows.n_validation - 1);
    assert_true(x[0] == (WINDOWS - 1) * T && y[T - 1] == WINDOWS * T);
    ASSERT_FAILS(ley_windows_create(&windows, &dataset, 1000, 0, 1), LEY_E_ARGUMENT, "more text");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_plain_text, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_lines_of_json, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_wrong_files, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_tokens_and_cache, make_folder, remove_folder),
        cmocka_unit_test(test_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
