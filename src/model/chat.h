// chat.h - a conversation as the one text that a chat model was trained to continue.
//
// Chat templates are programs in the Jinja language. Leyden does not run them: it recognises the
// common ones by the marks they write, and writes the same text as they do.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "core/status.h"
#include "model/vocab.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ley_chat_role {
    LEY_CHAT_SYSTEM,
    LEY_CHAT_USER,
    LEY_CHAT_ASSISTANT,
};

struct ley_chat_turn {
    enum ley_chat_role role;
    const char *text;
};

enum ley_chat_style {
    LEY_CHAT_CHATML, // <|im_start|>user ... <|im_end|>
    LEY_CHAT_LLAMA2, // [INST] ... [/INST]
    LEY_CHAT_LLAMA3, // <|start_header_id|>user<|end_header_id|> ... <|eot_id|>
    LEY_CHAT_ZEPHYR, // <|user|> ... </s>
};

struct ley_chat;

// Recognises a template (the text in a model file). `bos` and `eos` are the texts of these tokens,
// n = 0 where there is none; all are copied. Fails, naming the known styles, when the template is
// none of them.
LEY_MUST_CHECK enum ley_status ley_chat_create(struct ley_chat **out,
                                               struct ley_string template_text,
                                               struct ley_string bos, struct ley_string eos);

// NULL is accepted.
void ley_chat_destroy(struct ley_chat *chat);

// What was recognised.
enum ley_chat_style ley_chat_style(const struct ley_chat *chat);

// text <- the conversation in a new block (ley_free it), zero-terminated. With `asks` it ends where
// the assistant's answer begins. Encode it with LEY_PARSE_SPECIAL and without LEY_ADD_SPECIAL: it
// holds its special tokens. Fails where the style's template refuses the order of roles.
LEY_MUST_CHECK enum ley_status ley_chat_format(char **text, size_t *n_bytes,
                                               const struct ley_chat *chat,
                                               const struct ley_chat_turn *turn, int n_turns,
                                               bool asks);

#ifdef __cplusplus
}
#endif
