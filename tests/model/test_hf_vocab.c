// test_hf_vocab.c - the files of a Hugging Face folder, and what is wrong with some
#include <string.h>

#include "support/support.h"

#define BYTE_LEVEL "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}"
#define PREPEND    "{\"type\":\"Prepend\",\"prepend\":\"\xe2\x96\x81\"}"
#define REPLACE    "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\xe2\x96\x81\"}"

static struct ley_string string_of(const char *text) {
    return (struct ley_string){text, text ? strlen(text) : 0};
}

static struct ley_hf_vocab *read_json(const char *tokenizer, const char *config) {
    struct ley_hf_vocab *hf;
    struct ley_hf_files files = {.tokenizer = string_of(tokenizer), .config = string_of(config)};
    ASSERT_OK(ley_hf_vocab_read(&hf, &files));
    return hf;
}

static void assert_refused(const char *tokenizer, const char *part) {
    struct ley_hf_vocab *hf;
    struct ley_hf_files files = {.tokenizer = string_of(tokenizer)};
    ASSERT_FAILS(ley_hf_vocab_read(&hf, &files), LEY_E_FORMAT, part);
    assert_null(hf);
}

static void assert_string(struct ley_string got, const char *want) {
    assert_int_equal(got.n, strlen(want));
    assert_memory_equal(got.text, want, got.n);
}

static void test_hf_byte_level(void **state) {
    (void)state;
    struct ley_hf_vocab *hf = read_json(
        "{" BYTE_LEVEL ",\"added_tokens\":[{\"id\":3,\"content\":\"<e>\",\"special\":true},"
        "{\"id\":5,\"content\":\"zz\",\"special\":false}],\"model\":{\"type\":\"BPE\",\"vocab\":"
        "{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[[\"a\",\"b\"]],\"ignore_merges\":true}}",
        "{\"eos_token_id\":[3,1],\"bos_token_id\":99}");
    const struct ley_vocab *vocab = ley_hf_vocab_get(hf);
    assert_int_equal(vocab->kind, LEY_VOCAB_BYTE_BPE);
    assert_int_equal(vocab->n_tokens, 6);
    assert_string(vocab->token[2], "ab");
    assert_string(vocab->merge[0], "a b");
    assert_int_equal(vocab->type[3], LEY_TOKEN_CONTROL);
    assert_int_equal(vocab->type[4], LEY_TOKEN_UNUSED); // a hole
    assert_int_equal(vocab->type[5], LEY_TOKEN_USER_DEFINED);
    assert_int_equal(vocab->eos, 3);
    assert_int_equal(vocab->bos, -1); // 99 is no token
    assert_true(vocab->ignores_merges);
    ley_hf_vocab_destroy(hf);
}

static void test_hf_sentencepiece(void **state) {
    (void)state;
    struct ley_hf_vocab *hf = read_json(
        "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[" PREPEND "," REPLACE "]},"
        "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
        "\"<s>\"}},{\"Sequence\":{\"id\":\"A\"}}]},\"model\":{\"unk_token\":\"<u>\",\"vocab\":{\"<"
        "u>\""
        ":0,\"<s>\":1,\"<0x0A>\":2,\"a\":3,\"b\":4,\"ab\":5,\"abb\":6},\"merges\":[\"a b\",\"ab "
        "b\"]}}",
        NULL);
    const struct ley_vocab *vocab = ley_hf_vocab_get(hf);
    assert_int_equal(vocab->kind, LEY_VOCAB_SPM_BPE);
    assert_true(vocab->adds_space_prefix && vocab->adds_bos && !vocab->adds_eos);
    assert_int_equal(vocab->bos, 1);
    assert_int_equal(vocab->unknown, 0);
    assert_int_equal(vocab->type[0], LEY_TOKEN_UNKNOWN);
    assert_int_equal(vocab->type[1], LEY_TOKEN_CONTROL);
    assert_int_equal(vocab->type[2], LEY_TOKEN_BYTE);
    assert_true(vocab->score[5] > vocab->score[6] && vocab->score[6] > vocab->score[3]);
    ley_hf_vocab_destroy(hf);
}

static void test_hf_vocab_and_merges(void **state) {
    (void)state;
    struct ley_hf_vocab *hf;
    struct ley_hf_files files = {
        .vocab = string_of("{\"a\":0,\"b\":1,\"ab\":2,\"<|endoftext|>\":3}"),
        .merges = string_of("#version: 0.2\r\na b\r\n\r\n"),
        .tokenizer_config = string_of("{\"add_bos_token\":true,\"bos_token\":{\"content\":\"b\"},"
                                      "\"chat_template\":[{\"name\":\"tool\",\"template\":\"x\"},"
                                      "{\"name\":\"default\",\"template\":\"hello\"}]}")};
    ASSERT_OK(ley_hf_vocab_read(&hf, &files));
    const struct ley_vocab *vocab = ley_hf_vocab_get(hf);
    assert_int_equal(vocab->n_merges, 1);
    assert_string(vocab->merge[0], "a b");
    assert_int_equal(vocab->bos, 1);
    assert_int_equal(vocab->eos, 3);
    assert_true(vocab->adds_bos);
    assert_string(vocab->chat_template, "hello");
    ley_hf_vocab_destroy(hf);
}

static void test_hf_recipes(void **state) {
    (void)state;
    static const char model[] = "\"model\":{\"vocab\":{\"a\":0}}}";
    static const struct {
        const char *parts;
        enum ley_pre_tokenizer pre;
    } known[] = {
        {BYTE_LEVEL, LEY_PRE_GPT2},
        {"\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\","
         "\"individual_digits\":true},{\"type\":\"ByteLevel\",\"add_prefix_space\":false}]}",
         LEY_PRE_SMOLLM},
        {"\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","
         "\"behavior\":"
         "\"Isolated\",\"pattern\":{\"Regex\":\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}"
         "\\\\p{N}]?"
         "\\\\p{L}+|\\\\p{N}{1,3}| "
         "?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)"
         "|\\\\s+\"}},{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}]}",
         LEY_PRE_LLAMA3},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        char text[2048];
        snprintf(text, sizeof text, "{%s,%s", known[i].parts, model);
        struct ley_hf_vocab *hf = read_json(text, NULL);
        assert_int_equal(ley_hf_vocab_get(hf)->pre, known[i].pre);
        ley_hf_vocab_destroy(hf);
    }
}

static void test_hf_refusals(void **state) {
    (void)state;
    assert_refused("[]", "not a JSON object");
    assert_refused("{\"model\":", "not a JSON object");
    char dense[1024] = "{\"a\":[1";
    for (size_t n = strlen(dense); n < 1000; n += 2) {
        memcpy(dense + n, ",1", 3);
    }
    assert_refused(strcat(dense, "]}"), "not a JSON object"); // its tree would be 50 times larger
    assert_refused("{\"model\":{\"type\":\"Unigram\"}}", "'Unigram'; BPE is known");
    assert_refused("{\"model\":{\"vocab\":{\"a\":0}}}", "is not known");
    assert_refused("{\"pre_tokenizer\":{\"type\":\"Whitespace\"},\"model\":{}}",
                   "'Whitespace' is not");
    assert_refused("{" BYTE_LEVEL ",\"model\":{}}", "not an object of tokens");
    assert_refused("{" BYTE_LEVEL ",\"model\":{\"vocab\":{}}}", "has 0 tokens");
    assert_refused("{" BYTE_LEVEL ",\"model\":{\"vocab\":{\"a\":-1}}}", "token 'a' no id");
    assert_refused("{" BYTE_LEVEL ",\"model\":{\"vocab\":{\"a\":1e9}}}",
                   "largest id is 1000000000");
    assert_refused("{" BYTE_LEVEL ",\"model\":{\"vocab\":{\"a\":0,\"b\":0}}}", "two tokens");
    assert_refused("{" BYTE_LEVEL ",\"model\":{\"vocab\":{\"a\":0},\"merges\":[1]}}",
                   "merge 0 is not");
    assert_refused("{" BYTE_LEVEL ",\"model\":{\"vocab\":{\"a\":0}},\"added_tokens\":[{\"id\":1}]}",
                   "lacks its id or content");
}

static void test_hf_folders(void **state) {
    (void)state;
    struct ley_hf_vocab *hf;
    ASSERT_OK(ley_hf_vocab_load(&hf, source_path("tests/golden/tokenizer/tiny_bpe")));
    assert_int_equal(ley_hf_vocab_get(hf)->n_tokens, 400);
    ley_hf_vocab_destroy(hf);
    ASSERT_FAILS(ley_hf_vocab_load(&hf, source_path("tests/golden")), LEY_E_IO,
                 "no tokenizer.json");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hf_byte_level),       cmocka_unit_test(test_hf_sentencepiece),
        cmocka_unit_test(test_hf_vocab_and_merges), cmocka_unit_test(test_hf_recipes),
        cmocka_unit_test(test_hf_refusals),         cmocka_unit_test(test_hf_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
