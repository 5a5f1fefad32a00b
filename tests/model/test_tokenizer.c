// test_tokenizer.c - ids equal to the reference tokenizers' on nasty strings, exact round trips
//
// Goldens: tests/golden/tokenizer, made by tools/make_tokenizer_goldens.py with the tokenizers and
// sentencepiece packages. Vocabularies that are not committed are looked for and skipped aloud.
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "support/support.h"

static struct ley_tokenizer *load_tokenizer(const char *folder, int pre) {
    struct ley_hf_vocab *hf;
    struct ley_tokenizer *tokenizer;
    ASSERT_OK(ley_hf_vocab_load(&hf, folder));
    struct ley_vocab vocab = *ley_hf_vocab_get(hf);
    vocab.pre = pre >= 0 ? (enum ley_pre_tokenizer)pre : vocab.pre;
    ASSERT_OK(ley_tokenizer_create(&tokenizer, &vocab));
    ley_hf_vocab_destroy(hf);
    return tokenizer;
}

static bool is_equal(const struct ley_tokens *tokens, const struct cJSON *want) {
    bool equal = tokens->n == (size_t)cJSON_GetArraySize(want);
    const struct cJSON *id = want->child;
    for (size_t i = 0; equal && i < tokens->n; i++, id = id->next) {
        equal = tokens->id[i] == id->valueint;
    }
    return equal;
}

// One string: the ids are the reference's, and decode to the string unless bytes were lost.
static bool check_string(const struct ley_tokenizer *tokenizer, const char *hex,
                         const struct cJSON *want, unsigned flags, bool returns) {
    char text[LONGEST_GOLDEN], *back;
    size_t n = unhex(text, hex), n_back;
    struct ley_tokens tokens;
    ASSERT_OK(ley_tokenizer_encode(&tokens, tokenizer, text, n, flags));
    bool good = is_equal(&tokens, want);
    ASSERT_OK(ley_tokenizer_decode(&back, &n_back, tokenizer, tokens.id, tokens.n, true));
    if (returns && tokens.n_lost == 0) {
        good = good && n_back == n && memcmp(back, text, n) == 0;
    }
    if (!good) {
        print_error("differs: '%.*s' (hex %.60s):", (int)n, text, hex);
        for (size_t i = 0; i < tokens.n && i < 20; i++) {
            print_error(" %d", tokens.id[i]);
        }
        char *expected = cJSON_PrintUnformatted(want);
        print_error(" want %.120s\n", expected);
        free(expected);
    }
    ley_free(back);
    ley_tokens_destroy(&tokens);
    return good;
}

// All strings of strings.json against the answers in golden[key].
static void check_goldens(const struct ley_tokenizer *tokenizer, const char *golden,
                          const char *key, unsigned flags) {
    struct cJSON *strings = load_tokenizer_golden("strings.json"),
                 *answers = load_tokenizer_golden(golden);
    const struct cJSON *string = cJSON_GetObjectItem(strings, "strings")->child;
    const struct cJSON *special = cJSON_GetObjectItem(strings, "special")->child, *want;
    int n = 0, n_wrong = 0;
    cJSON_ArrayForEach(want, cJSON_GetObjectItem(answers, key)) {
        assert_non_null(string);
        bool has_space_mark = strstr(string->valuestring, "e29681") != NULL; // U+2581 becomes space
        n_wrong += !check_string(tokenizer, string->valuestring, want, flags, !has_space_mark);
        n++;
        string = string->next ? string->next : special;
        special = string == special ? NULL : special;
    }
    print_message("%s: %d of %d strings equal\n", golden, n - n_wrong, n);
    assert_int_equal(n_wrong, 0);
    assert_true(n > 100);
    cJSON_Delete(strings);
    cJSON_Delete(answers);
}

static void test_byte_bpe_goldens(void **state) {
    (void)state;
    static const struct {
        enum ley_pre_tokenizer pre;
        const char *key;
    } each[] = {{LEY_PRE_GPT2, "gpt2"},
                {LEY_PRE_SMOLLM, "smollm"},
                {LEY_PRE_LLAMA3, "llama3"},
                {LEY_PRE_NONE, "none"}};
    for (size_t i = 0; i < 4; i++) {
        struct ley_tokenizer *tokenizer =
            load_tokenizer(source_path("tests/golden/tokenizer/tiny_bpe"), (int)each[i].pre);
        check_goldens(tokenizer, "tiny_bpe.json", each[i].key, LEY_PARSE_SPECIAL);
        ley_tokenizer_destroy(tokenizer);
    }
}

// ---- SentencePiece: the small vocabulary as a GGUF file would give it

struct spm {
    struct cJSON *root;
    struct ley_string *token;
    float *score;
    int8_t *type;
    struct ley_vocab vocab;
};

static void load_spm(struct spm *spm) {
    spm->root = load_tokenizer_golden("tiny_spm_vocab.json");
    const struct cJSON *token = cJSON_GetObjectItem(spm->root, "token");
    const struct cJSON *score = cJSON_GetObjectItem(spm->root, "score")->child;
    const struct cJSON *type = cJSON_GetObjectItem(spm->root, "type")->child;
    int n = cJSON_GetArraySize(token), i = 0;
    spm->token = ley_alloc((size_t)n, sizeof *spm->token);
    spm->score = ley_alloc((size_t)n, sizeof *spm->score);
    spm->type = ley_alloc((size_t)n, 1);
    for (token = token->child; token; token = token->next, i++) {
        spm->token[i] = (struct ley_string){token->valuestring, strlen(token->valuestring)};
        spm->score[i] = (float)score->valuedouble;
        spm->type[i] = (int8_t)type->valueint;
        score = score->next;
        type = type->next;
    }
    spm->vocab = (struct ley_vocab){.kind = LEY_VOCAB_SPM_BPE,
                                    .n_tokens = n,
                                    .token = spm->token,
                                    .type = spm->type,
                                    .score = spm->score,
                                    .bos = 1,
                                    .eos = 2,
                                    .unknown = 0,
                                    .adds_bos = true,
                                    .adds_space_prefix = true};
}

static void free_spm(struct spm *spm) {
    ley_free(spm->token);
    ley_free(spm->score);
    ley_free(spm->type);
    cJSON_Delete(spm->root);
}

static struct ley_tokenizer *make_spm(void) {
    struct spm spm;
    struct ley_tokenizer *tokenizer;
    load_spm(&spm);
    ASSERT_OK(ley_tokenizer_create(&tokenizer, &spm.vocab));
    free_spm(&spm);
    return tokenizer;
}

static void test_spm_goldens(void **state) {
    (void)state;
    struct ley_tokenizer *tokenizer = make_spm();
    check_goldens(tokenizer, "tiny_spm.json", "spm", 0);
    ley_tokenizer_destroy(tokenizer);
}

// ---- vocabularies outside the project

// The tokenizer in folder `name` of the folder that `variable` names; NULL after saying that it is
// not there.
static struct ley_tokenizer *load_external(const char *variable, const char *otherwise,
                                           const char *name) {
    char path[1024];
    struct stat info;
    const char *folder = getenv(variable);
    snprintf(path, sizeof path, "%s/%s", folder ? folder : source_path(otherwise), name);
    if (stat(path, &info) != 0) {
        print_message("SKIPPED: no vocabulary in %s (set %s)\n", path, variable);
        return NULL;
    }
    return load_tokenizer(path, -1);
}

static void test_gpt2_goldens(void **state) {
    (void)state;
    struct ley_tokenizer *tokenizer = load_external("LEYDEN_DATA", "../shared/data", "bpe_gpt2");
    if (tokenizer) {
        check_goldens(tokenizer, "gpt2.json", "gpt2", LEY_PARSE_SPECIAL);
    }
    ley_tokenizer_destroy(tokenizer);
}

// Prompts that the real GPT-2 124M was run with, and the ids it was given.
static void test_gpt2_prompts(void **state) {
    (void)state;
    struct ley_tokenizer *tokenizer = load_external("LEYDEN_DATA", "../shared/data", "bpe_gpt2");
    struct cJSON *prompts = load_tokenizer_golden("gpt2_prompts.json");
    const struct cJSON *item;
    cJSON_ArrayForEach(item, prompts) {
        if (!tokenizer) {
            break; // it was said
        }
        struct ley_tokens tokens;
        const char *text = cJSON_GetObjectItem(item, "prompt")->valuestring;
        ASSERT_OK(ley_tokenizer_encode(&tokens, tokenizer, text, strlen(text), LEY_ADD_SPECIAL));
        assert_true(is_equal(&tokens, cJSON_GetObjectItem(item, "ids")));
        ley_tokens_destroy(&tokens);
    }
    cJSON_Delete(prompts);
    ley_tokenizer_destroy(tokenizer);
}

static void test_tinystories_goldens(void **state) {
    (void)state;
    struct ley_tokenizer *tokenizer =
        load_external("LEYDEN_DATA", "../shared/data", "models/tinystories656K");
    if (tokenizer) {
        check_goldens(tokenizer, "tinystories656K.json", "spm", 0);
    }
    ley_tokenizer_destroy(tokenizer);
}

// The folder is made by make_tokenizer_goldens.py --smollm-folder.
static void test_smollm2_goldens(void **state) {
    (void)state;
    struct ley_tokenizer *tokenizer = load_external("LEYDEN_SMOLLM2", "../shared/none", ".");
    if (tokenizer) {
        check_goldens(tokenizer, "smollm2.json", "smollm", LEY_PARSE_SPECIAL);
    }
    ley_tokenizer_destroy(tokenizer);
}

// ---- properties

static void check_round_trip(const struct ley_tokenizer *tokenizer, const char *text, size_t n) {
    struct ley_tokens tokens;
    char *back;
    size_t n_back;
    ASSERT_OK(ley_tokenizer_encode(&tokens, tokenizer, text, n, 0));
    ASSERT_OK(ley_tokenizer_decode(&back, &n_back, tokenizer, tokens.id, tokens.n, true));
    assert_int_equal(tokens.n_lost, 0);
    assert_int_equal(n_back, n);
    assert_memory_equal(back, text, n);
    ley_free(back);
    ley_tokens_destroy(&tokens);
}

// Random bytes of three kinds: any, letters and spaces, broken UTF-8.
static void test_round_trip_random_bytes(void **state) {
    (void)state;
    struct ley_tokenizer *each[] = {
        make_spm(), load_tokenizer(source_path("tests/golden/tokenizer/tiny_bpe"), LEY_PRE_GPT2),
        load_tokenizer(source_path("tests/golden/tokenizer/tiny_bpe"), LEY_PRE_SMOLLM),
        load_tokenizer(source_path("tests/golden/tokenizer/tiny_bpe"), LEY_PRE_LLAMA3),
        load_tokenizer(source_path("tests/golden/tokenizer/tiny_bpe"), LEY_PRE_NONE)};
    static const char *const alphabets[] = {"the quick '1\n  \t", "a\xe2\x82\xac\xc3\xa9\xf0\x9f "};
    for (uint64_t round = 0; round < 900; round++) {
        char text[200];
        size_t n = (size_t)random_between(round, 1000, 0, 200);
        for (size_t i = 0; i < n; i++) {
            int any = (int)random_between(round, i, 0, 256);
            const char *alphabet = round % 3 == 0 ? NULL : alphabets[round % 3 - 1];
            text[i] = (char)(alphabet ? alphabet[(size_t)any % strlen(alphabet)] : any);
        }
        for (size_t k = 0; k < sizeof each / sizeof each[0]; k++) {
            check_round_trip(each[k], text, n);
        }
    }
    for (size_t k = 0; k < sizeof each / sizeof each[0]; k++) {
        ley_tokenizer_destroy(each[k]);
    }
}

// Megabytes that are one piece: quadratic time would take hours.
static void test_long_pieces_are_fast(void **state) {
    (void)state;
    enum { N = 1 << 20 };
    static const char *const fills[] = {"a", " ", "\n", "the", "9", "\xff", "!", " \n"};
    char *text = ley_alloc(N, 1);
    struct ley_tokenizer *each[] = {
        make_spm(), load_tokenizer(source_path("tests/golden/tokenizer/tiny_bpe"), LEY_PRE_GPT2),
        load_tokenizer(source_path("tests/golden/tokenizer/tiny_bpe"), LEY_PRE_LLAMA3)};
    clock_t start = clock();
    for (size_t f = 0; f < sizeof fills / sizeof fills[0]; f++) {
        size_t length = strlen(fills[f]);
        for (size_t i = 0; i < N; i++) {
            text[i] = fills[f][i % length];
        }
        for (size_t k = 0; k < sizeof each / sizeof each[0]; k++) {
            check_round_trip(each[k], text, N);
        }
    }
    double time_s = (double)(clock() - start) / CLOCKS_PER_SEC;
    print_message("24 texts of 1 MiB in one piece: %.1f s\n", time_s);
    assert_true(time_s < 60); // seconds when it is n log n, also under sanitizers
    for (size_t k = 0; k < sizeof each / sizeof each[0]; k++) {
        ley_tokenizer_destroy(each[k]);
    }
    ley_free(text);
}

// ---- flags, lookups, faults

static void assert_ids(const struct ley_tokenizer *tokenizer, const char *text, unsigned flags,
                       const int32_t *want, size_t n) {
    struct ley_tokens tokens;
    ASSERT_OK(ley_tokenizer_encode(&tokens, tokenizer, text, strlen(text), flags));
    assert_int_equal(tokens.n, n);
    assert_memory_equal(tokens.id, want, n * sizeof *want);
    ley_tokens_destroy(&tokens);
}

// A vocabulary by hand: "ab" may be joined, "abc" is only taken whole, "<x>" and "<xy>" are
// special.
static struct ley_vocab hand_vocab(const struct ley_string **token, const int8_t **type) {
    static const struct ley_string tokens[] = {{"a", 1},   {"b", 1},   {"c", 1},    {"ab", 2},
                                               {"abc", 3}, {"<x>", 3}, {"<xy>", 4}, {"<x>!", 4}};
    static const int8_t types[] = {
        1, 1, 1, 1, 1, LEY_TOKEN_CONTROL, LEY_TOKEN_CONTROL, LEY_TOKEN_USER_DEFINED};
    static const struct ley_string merges[] = {{"a b", 3}};
    *token = tokens;
    *type = types;
    return (struct ley_vocab){.kind = LEY_VOCAB_BYTE_BPE,
                              .pre = LEY_PRE_NONE,
                              .n_tokens = 8,
                              .token = tokens,
                              .type = types,
                              .n_merges = 1,
                              .merge = merges,
                              .bos = 5,
                              .eos = 6,
                              .unknown = -1,
                              .adds_bos = true,
                              .adds_eos = true};
}

static void test_flags(void **state) {
    (void)state;
    const struct ley_string *token;
    const int8_t *type;
    struct ley_tokenizer *tokenizer;
    struct ley_vocab vocab = hand_vocab(&token, &type);
    ASSERT_OK(ley_tokenizer_create(&tokenizer, &vocab));
    assert_ids(tokenizer, "abc", LEY_ADD_SPECIAL, (int32_t[]){5, 3, 2, 6}, 4);
    assert_ids(tokenizer, "", LEY_ADD_SPECIAL, (int32_t[]){5, 6}, 2);
    assert_ids(tokenizer, "a<xy>b<x>c", LEY_PARSE_SPECIAL, (int32_t[]){0, 6, 1, 5, 2}, 5);
    assert_ids(tokenizer, "a<x>!", LEY_PARSE_SPECIAL, (int32_t[]){0, 7}, 2); // the longest
    assert_ids(tokenizer, "a<x>!", 0, (int32_t[]){0, 7}, 2); // user-defined ones always
    struct ley_tokens tokens; // without a token for '<', 'x', '>' these bytes are lost
    ASSERT_OK(ley_tokenizer_encode(&tokens, tokenizer, "a<x>", 4, 0));
    assert_int_equal(tokens.n, 1);
    assert_int_equal(tokens.n_lost, 3);
    ley_tokens_destroy(&tokens);
    ley_tokenizer_destroy(tokenizer);
    vocab.ignores_merges = true;
    ASSERT_OK(ley_tokenizer_create(&tokenizer, &vocab));
    assert_ids(tokenizer, "abc", 0, (int32_t[]){4}, 1);
    ley_tokenizer_destroy(tokenizer);
}

static void test_lookups(void **state) {
    (void)state;
    const struct ley_string *token;
    const int8_t *type;
    struct ley_tokenizer *tokenizer;
    struct ley_vocab vocab = hand_vocab(&token, &type);
    ASSERT_OK(ley_tokenizer_create(&tokenizer, &vocab));
    assert_int_equal(ley_tokenizer_count(tokenizer), 8);
    assert_int_equal(ley_tokenizer_bos(tokenizer), 5);
    assert_int_equal(ley_tokenizer_eos(tokenizer), 6);
    assert_int_equal(ley_tokenizer_find(tokenizer, "<x>"), 5);
    assert_int_equal(ley_tokenizer_find(tokenizer, "none"), -1);
    assert_int_equal(ley_tokenizer_bytes(tokenizer, 4).n, 3);
    assert_int_equal(ley_tokenizer_bytes(tokenizer, 8).n, 0);
    assert_int_equal(ley_tokenizer_bytes(tokenizer, -1).n, 0);
    assert_true(ley_tokenizer_is_end(tokenizer, 6));
    assert_false(ley_tokenizer_is_end(tokenizer, 5));
    assert_int_equal(ley_tokenizer_type(tokenizer, 7), LEY_TOKEN_USER_DEFINED);
    ley_tokenizer_destroy(tokenizer);
}

static void test_print(void **state) {
    (void)state;
    static const struct ley_string tokens[] = {{"\xc4\x8a\xc4\x89\xc4\x80\xc2\xa9", 8}};
    struct ley_vocab vocab = {.kind = LEY_VOCAB_BYTE_BPE,
                              .pre = LEY_PRE_NONE,
                              .n_tokens = 1,
                              .token = tokens,
                              .bos = -1,
                              .eos = -1,
                              .unknown = -1};
    struct ley_tokenizer *tokenizer;
    char text[64];
    ASSERT_OK(ley_tokenizer_create(&tokenizer, &vocab));
    ley_tokenizer_print(text, sizeof text, tokenizer, 0);
    assert_string_equal(text, "\\n\\t\\x00\\xA9");
    ley_tokenizer_print(text, 6, tokenizer, 0);
    assert_string_equal(text, "\\n");
    ley_tokenizer_destroy(tokenizer);
}

static void test_contradictions(void **state) {
    (void)state;
    const struct ley_string *token;
    const int8_t *type;
    struct ley_tokenizer *tokenizer;
    struct ley_vocab vocab = hand_vocab(&token, &type);
    const struct ley_string wrong[] = {{"a c", 3}};
    vocab.merge = wrong;
    ASSERT_FAILS(ley_tokenizer_create(&tokenizer, &vocab), LEY_E_FORMAT, "the whole is not");
    assert_null(tokenizer);
    const struct ley_string unpaired[] = {{"ab", 2}};
    vocab.merge = unpaired;
    ASSERT_FAILS(ley_tokenizer_create(&tokenizer, &vocab), LEY_E_FORMAT, "not two tokens");
    vocab = hand_vocab(&token, &type);
    vocab.eos = 8;
    ASSERT_FAILS(ley_tokenizer_create(&tokenizer, &vocab), LEY_E_FORMAT, "special token 8");
    vocab = hand_vocab(&token, &type);
    vocab.kind = LEY_VOCAB_SPM_BPE;
    vocab.n_merges = 0;
    ASSERT_FAILS(ley_tokenizer_create(&tokenizer, &vocab), LEY_E_FORMAT, "scores or merges");
    vocab.n_tokens = 0;
    ASSERT_FAILS(ley_tokenizer_create(&tokenizer, &vocab), LEY_E_FORMAT, "no tokens");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_byte_bpe_goldens),
        cmocka_unit_test(test_spm_goldens),
        cmocka_unit_test(test_gpt2_goldens),
        cmocka_unit_test(test_gpt2_prompts),
        cmocka_unit_test(test_tinystories_goldens),
        cmocka_unit_test(test_smollm2_goldens),
        cmocka_unit_test(test_round_trip_random_bytes),
        cmocka_unit_test(test_long_pieces_are_fast),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_lookups),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_contradictions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
