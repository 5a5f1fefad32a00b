// chat.c - the known chat templates, one writing function each
//
// A function writes into a sink that counts when it has no buffer, so each conversation is written
// twice: to learn its length, then for good. ChatML templates may begin a conversation without a
// system turn with one of their own; its text is taken out of the template.
#include "model/chat.h"

#include <string.h>

#include "core/memory.h"

// The texts point into `pool`, which the chat owns; n = 0 where the model has no such token.
struct ley_chat {
    enum ley_chat_style style;
    struct ley_string bos, eos, default_system;
    char *pool;
};

// Written twice, see above: first with out = NULL to learn n, then into n + 1 zeroed bytes.
struct sink {
    char *out; // NULL: count only
    size_t n;
};

static const char *const role_names[] = {"system", "user", "assistant"}; // ORDER ley_chat_role

// The one place where a text meets the buffer; counting and writing cannot differ.
static void put_string(struct sink *sink, struct ley_string text) {
    if (sink->out && text.n > 0) {
        memcpy(sink->out + sink->n, text.text, text.n);
    }
    sink->n += text.n;
}

// Literals of the templates.
static void put(struct sink *sink, const char *text) {
    put_string(sink, (struct ley_string){text, strlen(text)});
}

// As Jinja's trim and Python's strip do for ASCII.
static void put_trimmed(struct sink *sink, const char *text, bool also_before) {
    static const char spaces[] = " \t\n\v\f\r\x1c\x1d\x1e\x1f";
    text += also_before ? strspn(text, spaces) : 0;
    size_t n = strlen(text);
    while (n > 0 && strchr(spaces, text[n - 1])) {
        n--;
    }
    put_string(sink, (struct ley_string){text, n});
}

// ---- styles

// <|im_start|>role, a line end, the text as it is, <|im_end|>, a line end.
static void write_chatml(struct sink *sink, const struct ley_chat *chat,
                         const struct ley_chat_turn *turn, int n_turns, bool asks) {
    // Where the conversation begins without one.
    if (n_turns > 0 && turn[0].role != LEY_CHAT_SYSTEM && chat->default_system.n > 0) {
        put(sink, "<|im_start|>system\n");
        put_string(sink, chat->default_system);
        put(sink, "<|im_end|>\n");
    }
    for (int i = 0; i < n_turns; i++) {
        put(sink, "<|im_start|>");
        put(sink, role_names[turn[i].role]);
        put(sink, "\n");
        put(sink, turn[i].text);
        put(sink, "<|im_end|>\n");
    }
    put(sink, asks ? "<|im_start|>assistant\n" : "");
}

// Like ChatML with other marks; the text is trimmed, and bos begins the first turn.
static void write_llama3(struct sink *sink, const struct ley_chat *chat,
                         const struct ley_chat_turn *turn, int n_turns, bool asks) {
    for (int i = 0; i < n_turns; i++) {
        put_string(sink, i == 0 ? chat->bos : (struct ley_string){"", 0});
        put(sink, "<|start_header_id|>");
        put(sink, role_names[turn[i].role]);
        put(sink, "<|end_header_id|>\n\n");
        put_trimmed(sink, turn[i].text, true);
        put(sink, "<|eot_id|>");
    }
    put(sink, asks ? "<|start_header_id|>assistant<|end_header_id|>\n\n" : "");
}

// The role as a mark of its own, and eos after every text.
static void write_zephyr(struct sink *sink, const struct ley_chat *chat,
                         const struct ley_chat_turn *turn, int n_turns, bool asks) {
    for (int i = 0; i < n_turns; i++) {
        put(sink, "<|");
        put(sink, role_names[turn[i].role]);
        put(sink, "|>\n");
        put(sink, turn[i].text);
        put_string(sink, chat->eos);
        put(sink, "\n");
    }
    put(sink, asks ? "<|assistant|>\n" : "");
}

// A system turn goes into the first user turn. The text ends where the answer begins by itself.
static void write_llama2(struct sink *sink, const struct ley_chat *chat,
                         const struct ley_chat_turn *turn, int n_turns, bool asks) {
    // Kept until the first user turn, which takes it in.
    (void)asks;
    const char *system = n_turns > 0 && turn[0].role == LEY_CHAT_SYSTEM ? turn[0].text : NULL;
    for (int i = system ? 1 : 0; i < n_turns; i++) {
        if (turn[i].role == LEY_CHAT_ASSISTANT) {
            put(sink, " ");
            put_trimmed(sink, turn[i].text, true);
            put(sink, " ");
            put_string(sink, chat->eos);
            continue;
        }
        put_string(sink, chat->bos);
        put(sink, "[INST] ");
        if (system) {
            put(sink, "<<SYS>>\n");
            put(sink, system);
            put(sink, "\n<</SYS>>\n\n");
        }
        put_trimmed(sink, turn[i].text, !system); // the template trims system and user text as one
        put(sink, " [/INST]");
        system = NULL;
    }
}

// Llama-2's template raises an exception where roles do not alternate.
static enum ley_status check_order(const struct ley_chat_turn *turn, int n_turns) {
    int first = n_turns > 0 && turn[0].role == LEY_CHAT_SYSTEM;
    for (int i = first; i < n_turns; i++) {
        enum ley_chat_role want = (i - first) % 2 == 0 ? LEY_CHAT_USER : LEY_CHAT_ASSISTANT;
        if (turn[i].role != want) {
            return ley_fail(LEY_E_ARGUMENT,
                            "this model's chat needs turns of user and assistant "
                            "in alternation; turn %d is %s's",
                            i + 1, role_names[turn[i].role]);
        }
    }
    return LEY_OK;
}

// ORDER ley_chat_style: one writer each.
static void write_turns(struct sink *sink, const struct ley_chat *chat,
                        const struct ley_chat_turn *turn, int n_turns, bool asks) {
    static void (*const write[])(struct sink *, const struct ley_chat *,
                                 const struct ley_chat_turn *, int, bool) = {
        [LEY_CHAT_CHATML] = write_chatml,
        [LEY_CHAT_LLAMA2] = write_llama2,
        [LEY_CHAT_LLAMA3] = write_llama3,
        [LEY_CHAT_ZEPHYR] = write_zephyr,
    };
    write[chat->style](sink, chat, turn, n_turns, asks);
}

// The block holds one byte more than the text, zeroed by ley_alloc: the terminator.
enum ley_status ley_chat_format(char **text, size_t *n_bytes, const struct ley_chat *chat,
                                const struct ley_chat_turn *turn, int n_turns, bool asks) {
    *text = NULL;
    if (chat->style == LEY_CHAT_LLAMA2) {
        LEY_TRY(check_order(turn, n_turns));
    }
    // First pass: the length. Second: the text.
    struct sink sink = {.out = NULL};
    write_turns(&sink, chat, turn, n_turns, asks);
    *n_bytes = sink.n;
    *text = ley_alloc(sink.n + 1, 1);
    if (!*text) {
        return ley_fail_memory("conversation", sink.n, 1);
    }
    sink = (struct sink){.out = *text};
    write_turns(&sink, chat, turn, n_turns, asks);
    return LEY_OK;
}

// ---- recognising

// Position after `mark` in text[from..], or NULL.
static const char *after(struct ley_string text, const char *mark) {
    size_t n = strlen(mark);
    for (size_t at = 0; at + n <= text.n; at++) {
        if (memcmp(text.text + at, mark, n) == 0) {
            return text.text + at + n;
        }
    }
    return NULL;
}

// Relatives are excluded by marks that only they have: Llama-3.1 writes a date, Mistral lists
// tools, Phi-3 ends turns with <|end|>.
static bool recognise(enum ley_chat_style *style, struct ley_string text) {
    static const struct {
        enum ley_chat_style style;
        const char *marks[3];
        const char *never; // a mark of relatives that write something else
    } known[] = {
        {LEY_CHAT_CHATML, {"<|im_start|>", "<|im_end|>", "message"}, "tool_call"},
        {LEY_CHAT_LLAMA3, {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}, "Cutting"},
        {LEY_CHAT_LLAMA2, {"[INST]", "[/INST]", "<<SYS>>"}, "[AVAILABLE_TOOLS]"},
        {LEY_CHAT_ZEPHYR, {"<|user|>", "<|assistant|>", "eos_token"}, "<|end|>"},
    };
    // All marks and not the excluding one; the first style that fits wins.
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (after(text, known[i].marks[0]) && after(text, known[i].marks[1]) &&
            after(text, known[i].marks[2]) && !after(text, known[i].never)) {
            *style = known[i].style;
            return true;
        }
    }
    return false;
}

// Copies a Jinja literal up to <|im_end|>, resolving \n and \'; NULL when it does not end there.
static char *copy_literal(char *out, const char *from, const char *end) {
    const struct ley_string rest = {from, (size_t)(end - from)};
    const char *stop = after(rest, "<|im_end|>");
    if (!stop) {
        return NULL;
    }
    // Only the two escapes that templates use; others lose their backslash.
    for (stop -= strlen("<|im_end|>"); from < stop; from++) {
        bool is_escape = *from == '\\' && from + 1 < stop;
        from += is_escape;
        *out++ = is_escape && *from == 'n' ? '\n' : *from;
    }
    return out;
}

// A default system turn stands in a literal: 'system' is followed by a line end and text.
static char *find_default_system(struct ley_chat *chat, char *at, struct ley_string text) {
    const char *from = after(text, "<|im_start|>system\n");
    // The line end may be a character or an escape, as the literal was written.
    from = from ? from : after(text, "<|im_start|>system\\n");
    char *end =
        from && *from != '\'' && *from != '"' ? copy_literal(at, from, text.text + text.n) : NULL;
    if (!end) {
        return at;
    }
    chat->default_system = (struct ley_string){at, (size_t)(end - at)};
    return end;
}

// Copies to the pool; returns what follows.
static char *copy(struct ley_string *to, char *at, struct ley_string from) {
    if (from.n > 0) {
        memcpy(at, from.text, from.n);
    }
    *to = (struct ley_string){at, from.n};
    return at + from.n;
}

// The pool is long enough for everything: a default system text is shorter than its template.
enum ley_status ley_chat_create(struct ley_chat **out, struct ley_string template_text,
                                struct ley_string bos, struct ley_string eos) {
    enum ley_chat_style style;
    *out = NULL;
    if (template_text.n == 0) {
        return ley_fail(LEY_E_FORMAT, "the model has no chat template: it is not made for chat");
    }
    if (!recognise(&style, template_text)) {
        return ley_fail(LEY_E_FORMAT, "the model's chat template is none of the known ones "
                                      "(ChatML, Llama-2 [INST], Llama-3 headers, Zephyr)");
    }
    struct ley_chat *chat = ley_alloc(1, sizeof *chat);
    char *pool = ley_alloc(template_text.n + bos.n + eos.n + 1, 1);
    if (!chat || !pool) {
        ley_free(chat);
        ley_free(pool);
        return ley_fail_memory("chat template", template_text.n, 1);
    }
    chat->style = style;
    chat->pool = pool;
    char *at = copy(&chat->bos, pool, bos);
    at = copy(&chat->eos, at, eos);
    if (style == LEY_CHAT_CHATML) {
        find_default_system(chat, at, template_text);
    }
    *out = chat;
    return LEY_OK;
}

void ley_chat_destroy(struct ley_chat *chat) {
    if (chat) {
        ley_free(chat->pool);
        ley_free(chat);
    }
}

enum ley_chat_style ley_chat_style(const struct ley_chat *chat) {
    return chat->style;
}
