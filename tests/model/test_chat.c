// test_chat.c - conversations equal to what transformers renders from the templates
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

enum { MAX_TURNS = 8 };

static struct ley_string string_of(const char *text) {
    return (struct ley_string){text, strlen(text)};
}

static struct cJSON *load(const char *path) {
    char *text;
    size_t n;
    ASSERT_OK(ley_file_read(&text, &n, source_path(path), 1 << 20));
    struct cJSON *root = cJSON_ParseWithLength(text, n);
    assert_non_null(root);
    ley_free(text);
    return root;
}

static int read_turns(struct ley_chat_turn turn[MAX_TURNS], const struct cJSON *conversation) {
    int n = 0;
    const struct cJSON *item;
    cJSON_ArrayForEach(item, conversation) {
        const char *role = cJSON_GetObjectItem(item, "role")->valuestring;
        turn[n].role = role[0] == 's' ? LEY_CHAT_SYSTEM
                       : role[0] == 'u' ? LEY_CHAT_USER : LEY_CHAT_ASSISTANT;
        turn[n++].text = cJSON_GetObjectItem(item, "content")->valuestring;
    }
    return n;
}

static void test_chat_goldens(void **state) {
    (void)state;
    struct cJSON *templates = load("tests/golden/tokenizer/chat_templates.json");
    struct cJSON *golden = load("tests/golden/tokenizer/chat.json");
    const struct cJSON *answers;
    int n_compared = 0;
    cJSON_ArrayForEach(answers, cJSON_GetObjectItem(golden, "answers")) {
        struct ley_chat *chat;
        const char *text = cJSON_GetObjectItem(templates, answers->string)->valuestring;
        ASSERT_OK(ley_chat_create(&chat, string_of(text), string_of("<s>"), string_of("</s>")));
        const struct cJSON *want, *conversation = cJSON_GetObjectItem(golden, "conversations")->child;
        cJSON_ArrayForEach(want, answers) {
            struct ley_chat_turn turn[MAX_TURNS];
            char *got;
            size_t n_got;
            int n = read_turns(turn, conversation);
            ASSERT_OK(ley_chat_format(&got, &n_got, chat, turn, n, true));
            assert_string_equal(got, want->valuestring);
            assert_int_equal(n_got, strlen(got));
            ley_free(got);
            conversation = conversation->next;
            n_compared++;
        }
        ley_chat_destroy(chat);
    }
    assert_int_equal(n_compared, 20);
    cJSON_Delete(templates);
    cJSON_Delete(golden);
}

// The default system turn may be written with \n in the Jinja text; its absence is no turn.
static void test_chat_default_system(void **state) {
    (void)state;
    static const char escaped[] = "{{ '<|im_start|>system\\nDon\\'t panic.<|im_end|>\\n' }} message";
    struct ley_chat *chat;
    struct ley_chat_turn turn = {LEY_CHAT_USER, "Hi"};
    char *got;
    size_t n;
    ASSERT_OK(ley_chat_create(&chat, string_of(escaped), string_of(""), string_of("")));
    assert_int_equal(ley_chat_style(chat), LEY_CHAT_CHATML);
    ASSERT_OK(ley_chat_format(&got, &n, chat, &turn, 1, false));
    assert_string_equal(got, "<|im_start|>system\nDon't panic.<|im_end|>\n"
                             "<|im_start|>user\nHi<|im_end|>\n");
    ley_free(got);
    ley_chat_destroy(chat);
}

static void test_chat_refusals(void **state) {
    (void)state;
    struct ley_chat *chat;
    struct ley_string none = {NULL, 0};
    ASSERT_FAILS(ley_chat_create(&chat, none, none, none), LEY_E_FORMAT, "no chat template");
    assert_null(chat);
    ASSERT_FAILS(ley_chat_create(&chat, string_of("{{ messages }}"), none, none), LEY_E_FORMAT,
                 "none of the known ones");
    ASSERT_OK(ley_chat_create(&chat, string_of("[INST] <<SYS>> [/INST]"), none, none));
    struct ley_chat_turn turn[] = {{LEY_CHAT_USER, "a"}, {LEY_CHAT_USER, "b"}};
    char *got;
    size_t n;
    ASSERT_FAILS(ley_chat_format(&got, &n, chat, turn, 2, true), LEY_E_ARGUMENT, "turn 2 is user's");
    ley_chat_destroy(chat);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chat_goldens),
        cmocka_unit_test(test_chat_default_system),
        cmocka_unit_test(test_chat_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
