// cmd_vocab.c - leyden vocab: a byte-level BPE vocabulary is learned from a text
#include <cjson/cJSON.h>
#include <stdio.h>

#include "commands.h"
#include "training.h"

static const struct command command = {
    "vocab", "vocab --data FILE --size N -o tokenizer.json [--join-lines] [--json]",
    "Learns a byte-level BPE vocabulary from a text, as GPT-2's: the commonest pair of neighbours\n"
    "becomes a token, again and again. Written as a tokenizer.json of Hugging Face.",
    "N counts all tokens: <|endoftext|>, 256 bytes, and those that are learned. Of pairs that are\n"
    "equally common the one of the lower ids is taken first, so a text has one vocabulary.\n"
    "leyden train --config FILE --tokenizer tokenizer.json makes a model that uses it."};

struct options {
    struct vocab_request request;
    bool json;
};

static enum ley_status check(const struct options *o) {
    if (!o->request.data) {
        return ley_fail(LEY_E_ARGUMENT, "--data is missing: a text");
    }
    if (!o->request.out) {
        return ley_fail(LEY_E_ARGUMENT, "-o tokenizer.json is missing");
    }
    if (o->request.n_tokens < LEY_LEAST_VOCAB || o->request.n_tokens > 1 << 20) {
        return ley_fail(LEY_E_ARGUMENT, "--size is %d, must be %d..%d", o->request.n_tokens,
                        LEY_LEAST_VOCAB, 1 << 20);
    }
    if (o->request.min_count < 1) {
        return ley_fail(LEY_E_ARGUMENT, "--min-count is %d, must be 1 or more",
                        o->request.min_count);
    }
    return LEY_OK;
}

static enum ley_status print_json(const struct invocation *invocation,
                                  const struct ley_vocab_report *report,
                                  const struct ley_vocab *made, double seconds) {
    cJSON *root = cJSON_CreateObject();
    session_add_origin(root, invocation);
    cJSON_AddNumberToObject(root, "vocabulary", made->n_tokens);
    cJSON_AddNumberToObject(root, "merges", made->n_merges);
    cJSON_AddNumberToObject(root, "bytes", (double)report->n_bytes);
    cJSON_AddNumberToObject(root, "pieces", (double)report->n_pieces);
    cJSON_AddNumberToObject(root, "words", (double)report->n_words);
    cJSON_AddNumberToObject(root, "tokens", (double)report->n_tokens);
    cJSON_AddNumberToObject(root, "seconds", seconds);
    return session_print_json(root);
}

static enum ley_status learn(const struct options *o, const struct invocation *invocation) {
    struct ley_vocab_report report;
    struct ley_vocab made;
    double begin_s = clock_s();
    LEY_TRY(check(o));
    LEY_TRY(training_learn_vocab(&report, &made, &o->request));
    double seconds = clock_s() - begin_s;
    if (o->json) {
        return print_json(invocation, &report, &made, seconds);
    }
    printf("text       %.1f MB, %lld pieces, %lld different ones\n", (double)report.n_bytes / 1e6,
           (long long)report.n_pieces, (long long)report.n_words);
    printf("written    %s: %d tokens, %d merges, in %.1f s\n", o->request.out, made.n_tokens,
           made.n_merges, seconds);
    printf("the text   %lld tokens, %.3f bytes a token\n", (long long)report.n_tokens,
           (double)report.n_bytes / (double)report.n_tokens);
    if (made.n_tokens < o->request.n_tokens) {
        printf("the text has no more pairs that occur %d times\n", o->request.min_count);
    }
    return LEY_OK;
}

int cmd_vocab(int argc, char **argv) {
    struct options o = {.request = {.n_tokens = 2048, .min_count = 2}};
    const struct invocation invocation = {argc, argv};
    const struct option_row rows[] = {
        {"data", 'f', OPTION_TEXT, &o.request.data, "FILE", "text, .jsonl or .xz to learn from"},
        {"size", 'n', OPTION_INT, &o.request.n_tokens, "N", "tokens of the vocabulary (2048)"},
        {"out", 'o', OPTION_TEXT, &o.request.out, "FILE", "the tokenizer.json to write"},
        {"join-lines", 0, OPTION_FLAG, &o.request.joins_lines, NULL, "the text has wrapped lines"},
        {"min-count", 0, OPTION_INT, &o.request.min_count, "N", "rarer pairs stay apart (2)"},
        {"json", 0, OPTION_FLAG, &o.json, NULL, "print the result as JSON"},
    };
    int result = options_parse(argc, argv, &command, rows, sizeof rows / sizeof rows[0], NULL);
    if (result != 0) {
        return result == 1 ? EXIT_OK : result;
    }
    session_catch_interrupts();
    enum ley_status status = learn(&o, &invocation);
    return status == LEY_OK ? EXIT_OK : session_fail("vocab", status);
}
