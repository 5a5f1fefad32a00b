// cmd_chat.c - leyden chat: a conversation in the model's own chat format
//
// The whole conversation is formatted at each turn; only what is new is fed to the model, so the
// banks keep what they hold. Where formatting changes what was said before, the session starts
// anew.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "commands.h"

static const struct command command = {
    "chat", "chat -m MODEL [--hw PRESET|FILE|digital] [--system TEXT] [OPTION]...",
    "Talks with a chat model. Type a line; an empty line or Ctrl-D ends, Ctrl-C stops an answer.",
    ""};

enum { MAX_TURNS = 256, MAX_LINE = 16384 };

// What the options say.
struct options {
    struct language_options language;
    const char *system;
    struct sampling_options sampling;
    int n_predict, n_ctx;
};

// One conversation: everything it holds is released at its end, however it ends.
struct talk {
    const struct options *options;
    struct language language;
    struct ley_chat *chat;
    struct ley_session *session;
    struct ley_sampler *sampler;
    float *logits;
    int32_t *fed; // [n_ctx] tokens the session holds
    struct ley_chat_turn turn[MAX_TURNS];
    int n_turns;
};

// A token that the model lacks has no text.
static struct ley_string text_of(const struct ley_tokenizer *tokenizer, int32_t id) {
    return id < 0 ? (struct ley_string){NULL, 0} : ley_tokenizer_bytes(tokenizer, id);
}

// Fails for a model without a known chat template before anything is typed.
static enum ley_status prepare(struct talk *talk) {
    const struct options *o = talk->options;
    const struct ley_tokenizer *tokenizer = talk->language.tokenizer;
    const struct ley_model_config *config = ley_model_config(talk->language.model);
    struct ley_vocab vocab;
    LEY_TRY(ley_model_file_vocab(talk->language.file, &vocab));
    LEY_TRY(ley_chat_create(&talk->chat, vocab.chat_template,
                            text_of(tokenizer, ley_tokenizer_bos(tokenizer)),
                            text_of(tokenizer, ley_tokenizer_eos(tokenizer))));
    LEY_TRY(language_sampler(&talk->sampler, &talk->language, &o->sampling));
    LEY_TRY(ley_session_create(&talk->session, talk->language.model, 1, o->n_ctx));
    talk->logits = ley_alloc((size_t)config->n_vocab, sizeof *talk->logits);
    talk->fed = ley_alloc((size_t)o->n_ctx, sizeof *talk->fed);
    return talk->logits && talk->fed ? LEY_OK
                                     : ley_fail_memory("the conversation", (size_t)o->n_ctx, 4);
}

// Turns own copies of their texts, freed by release.
static enum ley_status add_turn(struct talk *talk, enum ley_chat_role role, const char *text) {
    char *copy = ley_alloc(strlen(text) + 1, 1);
    if (!copy || talk->n_turns == MAX_TURNS) {
        ley_free(copy);
        return ley_fail(LEY_E_ARGUMENT, "the conversation is longer than %d turns", MAX_TURNS);
    }
    strcpy(copy, text);
    talk->turn[talk->n_turns++] = (struct ley_chat_turn){role, copy};
    return LEY_OK;
}

// The only place that feeds: `fed` and the session never disagree.
static enum ley_status feed(struct talk *talk, const int32_t *token, int64_t n) {
    struct ley_progress quiet = session_quiet_progress();
    const struct ley_feed how = {.logits = LEY_LOGITS_LAST, .progress = &quiet};
    int64_t n_fed = ley_session_n_tokens(talk->session);
    if (n_fed + n > talk->options->n_ctx) {
        return ley_fail(LEY_E_ARGUMENT, "the conversation is longer than --ctx %d tokens",
                        talk->options->n_ctx);
    }
    LEY_TRY(ley_session_feed(talk->logits, talk->session, token, n, &how));
    memcpy(talk->fed + n_fed, token, (size_t)n * sizeof *token);
    return LEY_OK;
}

// Feeds what the session does not hold yet of the conversation so far.
static enum ley_status feed_turns(struct talk *talk) {
    char *text;
    size_t n_bytes;
    struct ley_tokens tokens = {0};
    LEY_TRY(ley_chat_format(&text, &n_bytes, talk->chat, talk->turn, talk->n_turns, true));
    enum ley_status status =
        ley_tokenizer_encode(&tokens, talk->language.tokenizer, text, n_bytes, LEY_PARSE_SPECIAL);
    ley_free(text);
    LEY_TRY(status);
    size_t n_fed = (size_t)ley_session_n_tokens(talk->session);
    // The logits of the last fed token are needed, so at least one token has to be new.
    if (n_fed >= tokens.n || memcmp(talk->fed, tokens.id, n_fed * sizeof *tokens.id) != 0) {
        ley_session_reset(talk->session);
        n_fed = 0;
    }
    status = feed(talk, tokens.id + n_fed, (int64_t)(tokens.n - n_fed));
    ley_tokens_destroy(&tokens);
    return status;
}

// Prints and returns the answer; stops at the end token, at -n tokens or at Ctrl-C.
static enum ley_status answer(struct talk *talk, char *text, size_t n_text) {
    struct ley_utf8_hold hold = {.n = 0};
    size_t n = 0;
    for (int i = 0; i < talk->options->n_predict && !session_is_interrupted(); i++) {
        int64_t position = ley_session_n_tokens(talk->session);
        int32_t token = ley_sampler_pick(talk->sampler, talk->logits, (uint64_t)position);
        // No usable logits end an answer like its end token.
        if (token < 0 || ley_tokenizer_is_end(talk->language.tokenizer, token)) {
            break;
        }
        struct ley_string bytes = ley_tokenizer_bytes(talk->language.tokenizer, token);
        // Room for the bytes, a held character and the terminator.
        if (n + bytes.n + 4 >= n_text) {
            break;
        }
        size_t n_new = ley_utf8_hold_write(text + n, &hold, bytes.text, bytes.n);
        fwrite(text + n, 1, n_new, stdout);
        fflush(stdout);
        n += n_new;
        // The answer is fed as it is made, so the next turn finds it in the banks. Ctrl-C in the
        // middle leaves them half written: the next turn starts anew.
        enum ley_status status = feed(talk, &token, 1);
        if (status == LEY_E_INTERRUPTED) {
            ley_session_reset(talk->session);
            break;
        }
        LEY_TRY(status);
    }
    text[n] = '\0';
    printf("\n");
    return LEY_OK;
}

// Until an empty line or the end of input. The prompt goes to stderr, answers to stdout.
static enum ley_status converse(struct talk *talk) {
    static char line[MAX_LINE], text[MAX_LINE * 4];
    if (talk->options->system) {
        LEY_TRY(add_turn(talk, LEY_CHAT_SYSTEM, talk->options->system));
    }
    for (;;) {
        fprintf(stderr, "> ");
        if (!fgets(line, sizeof line, stdin) || line[strspn(line, " \t\r\n")] == '\0') {
            return LEY_OK;
        }
        line[strcspn(line, "\r\n")] = '\0';
        // Again for every turn: the handler removes itself after one Ctrl-C.
        session_clear_interrupt();
        LEY_TRY(add_turn(talk, LEY_CHAT_USER, line));
        LEY_TRY(feed_turns(talk));
        LEY_TRY(answer(talk, text, sizeof text));
        LEY_TRY(add_turn(talk, LEY_CHAT_ASSISTANT, text));
    }
}

// Also of a talk that failed half way: everything was zeroed.
static void release(struct talk *talk) {
    for (int i = 0; i < talk->n_turns; i++) {
        ley_free((char *)(uintptr_t)talk->turn[i].text);
    }
    ley_chat_destroy(talk->chat);
    ley_sampler_destroy(talk->sampler);
    ley_session_destroy(talk->session);
    ley_free(talk->logits);
    ley_free(talk->fed);
    language_close(&talk->language);
}

// The context bounds the whole conversation; nothing is forgotten to make room.
int cmd_chat(int argc, char **argv) {
    struct options o = {.language = LANGUAGE_DEFAULTS,
                        .n_predict = 256,
                        .n_ctx = 2048,
                        .sampling = SAMPLING_DEFAULTS};
    struct language_options *l = &o.language;
    const struct option_row rows[] = {
        LANGUAGE_ROWS(*l),
        {"system", 0, OPTION_TEXT, &o.system, "TEXT", "system message (default: the template's)"},
        {"n-predict", 'n', OPTION_INT, &o.n_predict, "N", "tokens of an answer at most (256)"},
        {"ctx", 'c', OPTION_INT, &o.n_ctx, "N", "tokens of the conversation at most (2048)"},
        SAMPLING_ROWS(o.sampling),
    };
    int result = options_parse(argc, argv, &command, rows, sizeof rows / sizeof rows[0], NULL);
    if (result != 0) {
        return result == 1 ? EXIT_OK : result;
    }
    if (o.n_ctx < 16 || o.n_ctx > 1 << 20 || o.n_predict < 1) {
        fprintf(stderr, "leyden chat: --ctx must be 16..1048576, -n 1 or more\n");
        return EXIT_USAGE;
    }
    struct talk talk = {.options = &o};
    enum ley_status status = language_open(&talk.language, &o.language);
    if (status == LEY_OK) {
        status = prepare(&talk);
    }
    if (status == LEY_OK) {
        status = converse(&talk);
    }
    result = status == LEY_OK ? EXIT_OK : session_fail("chat", status);
    release(&talk);
    return result;
}
