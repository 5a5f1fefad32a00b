// test_vocab_train.c - a vocabulary learned from text: merges equal to those of the tokenizers
// package, and to counting everything anew for each merge; the file; want of memory
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "support/counting_alloc.h"
#include "support/support.h"

enum { MOST_TEXTS = 256, ROOM = 1 << 16 };

// Documents of a test.
struct texts {
    struct ley_string document[MOST_TEXTS];
    size_t n, used;
    char room[ROOM];
};

static void add_text(struct texts *texts, const char *text, size_t n) {
    assert_true(texts->n < MOST_TEXTS && texts->used + n <= ROOM);
    memcpy(texts->room + texts->used, text, n);
    texts->document[texts->n++] = (struct ley_string){texts->room + texts->used, n};
    texts->used += n;
}

// The strings of the tokenizers' goldens.
static void load_strings(struct texts *texts) {
    struct cJSON *root = load_tokenizer_golden("strings.json"), *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(root, "strings")) {
        char text[LONGEST_GOLDEN];
        add_text(texts, text, unhex(text, item->valuestring));
    }
    cJSON_Delete(root);
}

static void assert_string(struct ley_string got, const char *want) {
    assert_int_equal(got.n, strlen(want));
    assert_memory_equal(got.text, want, got.n);
}

static void test_merges_of_tokenizers(void **state) {
    (void)state;
    static struct texts texts;
    struct cJSON *golden = load_tokenizer_golden("trained.json"), *item;
    struct ley_new_vocab *made;
    struct ley_vocab_report report;
    const struct ley_vocab_options options = {.n_tokens = 700, .min_count = 2};
    load_strings(&texts);
    ASSERT_OK(ley_vocab_train(&made, &report, texts.document, texts.n, &options));
    const struct ley_vocab *vocab = ley_new_vocab_get(made);
    int n = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(golden, "merges")) {
        assert_true(n < vocab->n_merges);
        assert_string(vocab->merge[n++], item->valuestring);
    }
    assert_int_equal(n, vocab->n_merges);
    n = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(golden, "vocab")) {
        assert_in_range(item->valueint, 0, vocab->n_tokens - 1);
        assert_string(vocab->token[item->valueint], item->string);
        n++;
    }
    assert_int_equal(n, vocab->n_tokens);
    ley_new_vocab_destroy(made);
    cJSON_Delete(golden);
}

// ---- the same by counting anew

struct naive {
    int symbol[MOST_TEXTS][64];
    int length[MOST_TEXTS];
    int n;
};

// The commonest pair, of equal ones the least; its count.
static int commonest(const struct naive *naive, int pair[2]) {
    static int count[400][400];
    memset(count, 0, sizeof count);
    int best = 0;
    for (int w = 0; w < naive->n; w++) {
        for (int i = 0; i + 1 < naive->length[w]; i++) {
            count[naive->symbol[w][i]][naive->symbol[w][i + 1]]++;
        }
    }
    for (int a = 0; a < 400; a++) {
        for (int b = 0; b < 400; b++) {
            if (count[a][b] > best) {
                best = count[a][b];
                pair[0] = a;
                pair[1] = b;
            }
        }
    }
    return best;
}

static void join_everywhere(struct naive *naive, const int pair[2], int id) {
    for (int w = 0; w < naive->n; w++) {
        int to = 0, *symbol = naive->symbol[w];
        for (int i = 0; i < naive->length[w]; i++) {
            bool joins =
                i + 1 < naive->length[w] && symbol[i] == pair[0] && symbol[i + 1] == pair[1];
            symbol[to++] = joins ? id : symbol[i];
            i += joins;
        }
        naive->length[w] = to;
    }
}

static int find_token(const struct ley_vocab *vocab, struct ley_string left,
                      struct ley_string right) {
    for (int id = 0; id < vocab->n_tokens; id++) {
        struct ley_string token = vocab->token[id];
        if (token.n == left.n + right.n && memcmp(token.text, left.text, left.n) == 0 &&
            memcmp(token.text + left.n, right.text, right.n) == 0) {
            return id;
        }
    }
    fail_msg("a merge makes no token");
    return -1;
}

// Each merge is the commonest pair of what the merges before it have left; one that was a merge
// before is joined again and not listed again.
static void follow(struct naive *naive, const struct ley_vocab *vocab) {
    static bool is_listed[400][400];
    memset(is_listed, 0, sizeof is_listed);
    int n = 0, pair[2];
    while (n < vocab->n_merges && commonest(naive, pair) >= 2) {
        struct ley_string left = vocab->token[pair[0]], right = vocab->token[pair[1]];
        if (!is_listed[pair[0]][pair[1]]) {
            struct ley_string merge = vocab->merge[n++];
            assert_int_equal(merge.n, left.n + 1 + right.n);
            assert_memory_equal(merge.text, left.text, left.n);
            assert_memory_equal(merge.text + left.n + 1, right.text, right.n);
            is_listed[pair[0]][pair[1]] = true;
        }
        join_everywhere(naive, pair, find_token(vocab, left, right));
    }
    assert_int_equal(n, vocab->n_merges);
}

// Words of two and three letters, where pairs overlap, ties abound and tokens arise in two ways.
static void test_merges_by_counting_anew(void **state) {
    (void)state;
    static struct texts texts;
    static struct naive naive;
    for (uint64_t seed = 0; seed < 20; seed++) {
        texts.n = texts.used = 0;
        naive.n = 0;
        for (uint64_t w = 0; w < 120; w++) {
            char word[64];
            int n = 1 + (int)random_between(seed, 1000 * w, 0, 24);
            for (int i = 0; i < n; i++) {
                uint64_t place = 1000 * w + (uint64_t)i + 1;
                word[i] = (char)('a' + (int)random_between(seed, place, 0, seed % 2 ? 1.1 : 3));
                naive.symbol[w][i] = word[i] - '!' + 1; // printable bytes are ids 1, 2, ...
            }
            naive.length[naive.n++] = n;
            add_text(&texts, word, (size_t)n);
        }
        struct ley_new_vocab *made;
        struct ley_vocab_report report;
        const struct ley_vocab_options options = {.n_tokens = 380, .min_count = 2};
        ASSERT_OK(ley_vocab_train(&made, &report, texts.document, texts.n, &options));
        assert_int_equal(report.n_pieces, 120);
        follow(&naive, ley_new_vocab_get(made));
        int64_t n_left = 0;
        for (int w = 0; w < naive.n; w++) {
            n_left += naive.length[w];
        }
        assert_int_equal(report.n_tokens, n_left);
        ley_new_vocab_destroy(made);
    }
}

// ---- the file

static size_t count_tokens(const struct ley_vocab *vocab, const struct texts *texts) {
    struct ley_tokenizer *tokenizer;
    size_t n = 0;
    ASSERT_OK(ley_tokenizer_create(&tokenizer, vocab));
    for (size_t i = 0; i < texts->n; i++) {
        struct ley_tokens tokens;
        ASSERT_OK(ley_tokenizer_encode(&tokens, tokenizer, texts->document[i].text,
                                       texts->document[i].n, 0));
        n += tokens.n;
        ley_tokens_destroy(&tokens);
    }
    ley_tokenizer_destroy(tokenizer);
    return n;
}

static void test_file(void **state) {
    (void)state;
    static struct texts texts;
    char path[128];
    struct ley_new_vocab *made;
    struct ley_vocab_report report;
    struct ley_model_file *file;
    struct ley_vocab back;
    const struct ley_vocab_options options = {.n_tokens = 300, .min_count = 1};
    const char *words[] = {"the fox", " the dog", " caf\xc3\xa9 \xf0\x9f\xa6\x8a the",
                           "\xff\xfe the", ""};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        add_text(&texts, words[i], strlen(words[i]));
    }
    ASSERT_OK(ley_vocab_train(&made, &report, texts.document, texts.n, &options));
    const struct ley_vocab *vocab = ley_new_vocab_get(made);
    assert_int_equal(report.n_tokens, count_tokens(vocab, &texts));
    snprintf(path, sizeof path, "%s/any name.json", test_folder);
    ASSERT_OK(ley_hf_vocab_write(path, vocab));
    ASSERT_OK(ley_model_file_open_vocab(&file, path));
    ASSERT_OK(ley_model_file_vocab(file, &back));
    assert_int_equal(back.n_tokens, vocab->n_tokens);
    assert_int_equal(back.n_merges, vocab->n_merges);
    assert_int_equal(back.pre, LEY_PRE_GPT2);
    assert_int_equal(back.eos, 0); // as GPT-2's
    for (int id = 0; id < back.n_tokens; id++) {
        assert_int_equal(back.token[id].n, vocab->token[id].n);
        assert_memory_equal(back.token[id].text, vocab->token[id].text, back.token[id].n);
        assert_int_equal(back.type[id], vocab->type[id]);
    }
    assert_int_equal(count_tokens(&back, &texts), report.n_tokens);
    ley_model_file_close(file);
    ley_new_vocab_destroy(made);
}

static void test_only_gpt2_is_written(void **state) {
    (void)state;
    const struct ley_vocab vocab = {.kind = LEY_VOCAB_BYTE_BPE, .pre = LEY_PRE_LLAMA3};
    ASSERT_FAILS(ley_hf_vocab_write("x.json", &vocab), LEY_E_ARGUMENT, "only byte-level BPE");
}

// ---- mistakes, interruption, want of memory

static bool stop(void *context, int64_t n_done, int64_t n_total) {
    int *left = context;
    assert_in_range(n_done, 1, n_total);
    return --*left > 0;
}

static void test_stops(void **state) {
    (void)state;
    static struct texts texts;
    struct ley_new_vocab *made;
    struct ley_vocab_report report;
    add_text(&texts, "the fox", 7);
    add_text(&texts, "the fox", 7);
    for (int i = 0; i < 2; i++) {
        int left = 1 + i;
        const struct ley_progress progress = {stop, &left};
        const struct ley_vocab_options options = {.n_tokens = 300,
                                                  .min_count = 1,
                                                  .counting = i == 0 ? &progress : NULL,
                                                  .merging = i == 1 ? &progress : NULL};
        ASSERT_FAILS(ley_vocab_train(&made, &report, texts.document, texts.n, &options),
                     LEY_E_INTERRUPTED, i == 0 ? "14 of 14 bytes" : "259 of 300 tokens");
        assert_null(made);
    }
    const struct ley_vocab_options wrong[] = {{.n_tokens = 256, .min_count = 1},
                                              {.n_tokens = (1 << 20) + 1, .min_count = 1},
                                              {.n_tokens = 300, .min_count = 0}};
    for (int i = 0; i < 3; i++) {
        ASSERT_FAILS(ley_vocab_train(&made, &report, texts.document, texts.n, &wrong[i]),
                     LEY_E_ARGUMENT, "257 to 1048576");
    }
}

// No text at all: the bytes alone.
static void test_nothing(void **state) {
    (void)state;
    struct ley_new_vocab *made;
    struct ley_vocab_report report;
    const struct ley_vocab_options options = {.n_tokens = 300, .min_count = 1};
    ASSERT_OK(ley_vocab_train(&made, &report, NULL, 0, &options));
    assert_int_equal(ley_new_vocab_get(made)->n_tokens, LEY_LEAST_VOCAB);
    assert_int_equal(report.n_tokens, 0);
    ley_new_vocab_destroy(made);
}

static void test_every_allocation_may_fail(void **state) {
    (void)state;
    static struct texts texts;
    struct ley_new_vocab *made;
    struct ley_vocab_report report;
    const struct ley_vocab_options options = {.n_tokens = 300, .min_count = 1};
    add_text(&texts, "the fox and the other fox", 25);
    int64_t n_live = counting.n_live, failing = 0;
    enum ley_status status;
    do {
        counting_reset(++failing, false);
        status = ley_vocab_train(&made, &report, texts.document, texts.n, &options);
        assert_true(status == LEY_OK || (status == LEY_E_MEMORY && !made));
        ley_new_vocab_destroy(made);
        assert_int_equal(counting.n_live, n_live);
    } while (status != LEY_OK);
    counting_reset(0, false);
    assert_true(failing > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merges_of_tokenizers),
        cmocka_unit_test(test_merges_by_counting_anew),
        cmocka_unit_test_setup_teardown(test_file, make_folder, remove_folder),
        cmocka_unit_test(test_only_gpt2_is_written),
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
