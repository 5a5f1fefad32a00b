// cmd_run.c - leyden run: a prompt continued on the simulated chip, or digitally
//
// The prompt is computed in parallel, then token by token through the banks; text is printed as it
// comes. stdout holds the text (or JSON) alone; the account goes to stderr.
#include <cjson/cJSON.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "commands.h"
#include "trace_files.h"

static const struct command command = {
    "run", "run [-m MODEL] -p PROMPT|-f FILE [-n N] [--hw PRESET|FILE|digital] [OPTION]...",
    "Continues a text with a language model whose attention is computed in gain cells.",
    "Without -m: the small model that comes with Leyden, which knows old books.\n"
    "Without scalers in the model file they are calibrated first, on a built-in text; the text "
    "then\n"
    "is as good as mapping without training can be, which is poor. leyden calibrate -m MODEL -o "
    "OUT\n"
    "keeps them."};

// What the options say.
struct options {
    struct invocation invocation;
    struct language_options language;
    struct trace_options trace;
    const char *prompt, *file;
    struct sampling_options sampling;
    struct text_list technology;
    int n_predict;
    bool json, no_special;
};

// One run: what is read, what is said, what is measured.
struct run {
    const struct options *options;
    struct language language;
    struct ley_tokens prompt;
    struct ley_session *session;
    struct ley_sampler *sampler;
    struct run_ledgers ledgers; // empty when digital
    struct trace_files *trace;  // NULL: none
    float *logits;
    char *text; // generated so far
    size_t n_text, text_room;
    struct account account;
    struct run_cost cost;
};

// bos is added and <|...|> marks are parsed unless --no-special asks for the bare text.
static enum ley_status read_prompt(struct run *run) {
    const struct options *o = run->options;
    // Exactly one of the two.
    if ((o->prompt != NULL) == (o->file != NULL)) {
        return ley_fail(LEY_E_ARGUMENT, "give the prompt by -p TEXT or by -f FILE");
    }
    char *text = NULL;
    size_t n = o->prompt ? strlen(o->prompt) : 0;
    if (o->file) {
        LEY_TRY(ley_file_read(&text, &n, o->file, (size_t)1 << 26));
    }
    enum ley_status status =
        // An empty text may still be a prompt: bos alone.
        ley_tokenizer_encode(&run->prompt, run->language.tokenizer, text ? text : o->prompt, n,
                             o->no_special ? 0 : LEY_ADD_SPECIAL | LEY_PARSE_SPECIAL);
    ley_free(text);
    if (status == LEY_OK && run->prompt.n == 0) {
        status = ley_fail(LEY_E_ARGUMENT, "the prompt is empty");
    }
    return status;
}

// Makes room for n more bytes of text, and a zero after them.
static enum ley_status grow_text(struct run *run, size_t n) {
    if (run->n_text + n + 1 <= run->text_room) {
        return LEY_OK;
    }
    size_t room = 2 * (run->n_text + n) + 4096;
    char *larger = ley_alloc(room, 1);
    if (!larger) {
        return ley_fail_memory("the text", room, 1);
    }
    if (run->n_text > 0) {
        memcpy(larger, run->text, run->n_text);
    }
    ley_free(run->text);
    run->text = larger;
    run->text_room = room;
    return LEY_OK;
}

// Everything sized by the prompt; -n bounds the rest, so nothing grows while running.
static enum ley_status prepare(struct run *run) {
    const struct options *o = run->options;
    int64_t n_most = (int64_t)run->prompt.n + o->n_predict;
    // Sampler, session and trace check their own options, before any token is computed.
    LEY_TRY(run_cost_open(&run->cost, &o->technology, &run->language));
    LEY_TRY(language_sampler(&run->sampler, &run->language, &o->sampling));
    LEY_TRY(ley_session_create(&run->session, run->language.model, 1, n_most));
    struct trace_options trace = o->trace;
    trace.hw = o->language.hw.name;
    LEY_TRY(trace_files_create(&run->trace, &trace, &run->language, n_most));
    size_t n_vocab = (size_t)ley_model_config(run->language.model)->n_vocab;
    run->logits = ley_alloc(n_vocab, sizeof *run->logits);
    if (!run->logits) {
        return ley_fail_memory("the run", n_vocab, sizeof *run->logits);
    }
    if (!run->language.is_digital) {
        LEY_TRY(run_ledgers_create(&run->ledgers, &run->language));
    }
    // say() adds 63 bytes a token at most, and ley_alloc zeroes: the text stays terminated.
    return grow_text(run, 0);
}

// Adds n whole characters, which stand at the end of the text already, and prints them.
static void show(struct run *run, size_t n) {
    if (!run->options->json) {
        fwrite(run->text + run->n_text, 1, n, stdout);
        fflush(stdout);
    }
    run->n_text += n;
    run->text[run->n_text] = '\0';
}

// Says a token; a character cut in two waits for its rest.
static enum ley_status say(struct run *run, struct ley_utf8_hold *hold, int32_t token) {
    struct ley_string bytes = ley_tokenizer_bytes(run->language.tokenizer, token);
    LEY_TRY(grow_text(run, bytes.n + sizeof hold->byte));
    show(run, ley_utf8_hold_write(run->text + run->n_text, hold, bytes.text, bytes.n));
    return LEY_OK;
}

// Says what still waits at the end: the beginning of a character that never came.
static enum ley_status say_rest(struct run *run, const struct ley_utf8_hold *hold) {
    LEY_TRY(grow_text(run, hold->n));
    memcpy(run->text + run->n_text, hold->byte, hold->n);
    show(run, hold->n);
    return LEY_OK;
}

// The same ledger and trace for prompt and continuation.
static enum ley_status feed(struct run *run, const int32_t *token, int64_t n,
                            const struct ley_progress *progress) {
    const struct ley_feed feed = {.logits = LEY_LOGITS_LAST,
                                  .ledger = run->ledgers.layer,
                                  .head_ledger = run->ledgers.head,
                                  .trace = trace_files_arrays(run->trace),
                                  .observer = trace_files_observer(run->trace),
                                  .progress = progress};
    LEY_TRY(ley_session_feed(run->logits, run->session, token, n, &feed));
    if (run->ledgers.layer) {
        struct ley_ledger total = language_total(&run->language, run->ledgers.layer);
        run_cost_note(&run->cost, &total, n == 1 && run->account.n_generated > 0);
    }
    return LEY_OK;
}

// The draw at a position depends on its index, not on the draws before (sampling.h).
static enum ley_status generate(struct run *run) {
    const struct options *o = run->options;
    struct ley_progress quiet = session_quiet_progress();
    struct ley_utf8_hold hold = {.n = 0};
    double start_s = clock_s();
    for (int i = 0; i < o->n_predict; i++) {
        int32_t token = ley_sampler_pick(run->sampler, run->logits, run->prompt.n + (uint64_t)i);
        if (token < 0) {
            return ley_fail(LEY_E_FORMAT, "the model gives no usable logits (not a number)");
        }
        if (ley_tokenizer_is_end(run->language.tokenizer, token)) {
            break;
        }
        LEY_TRY(say(run, &hold, token));
        run->account.n_generated++;
        // The last token is only said: nobody asks what follows it.
        if (i + 1 < o->n_predict) {
            LEY_TRY(feed(run, &token, 1, &quiet));
        }
        run->account.generate_s = clock_s() - start_s;
    }
    return say_rest(run, &hold);
}

// The prompt is echoed as it was typed, not as its tokens decode.
static enum ley_status run_model(struct run *run) {
    struct ley_progress progress = session_progress("prompt, layers");
    LEY_TRY(ley_session_reserve(run->session, (int64_t)run->prompt.n));
    double start_s = clock_s();
    run->account.n_prompt = (int64_t)run->prompt.n;
    LEY_TRY(feed(run, run->prompt.id, (int64_t)run->prompt.n, &progress));
    run->account.prompt_s = clock_s() - start_s;
    if (!run->options->json && run->options->prompt) {
        printf("%s", run->options->prompt);
    }
    enum ley_status status = generate(run);
    return status == LEY_E_INTERRUPTED ? LEY_OK : status; // what was said is kept
}

// The text as it was generated, without the prompt, which stands beside it.
static enum ley_status print_json(const struct run *run) {
    struct cJSON *root = cJSON_CreateObject();
    session_add_origin(root, &run->options->invocation);
    cJSON_AddStringToObject(root, "model", run->options->language.model);
    cJSON_AddStringToObject(root, "hw", run->options->language.hw.name);
    cJSON_AddStringToObject(root, "dtype", ley_nn_dtype_name(ley_model_dtype(run->language.model)));
    cJSON_AddNumberToObject(root, "seed", run->options->sampling.seed);
    if (run->options->prompt) {
        cJSON_AddStringToObject(root, "prompt", run->options->prompt);
    }
    cJSON_AddStringToObject(root, "text", run->text);
    if (run->options->trace.folder) {
        cJSON_AddStringToObject(root, "trace_folder", run->options->trace.folder);
    }
    enum ley_status status = account_add_json(root, &run->account, &run->language);
    if (status != LEY_OK) {
        cJSON_Delete(root);
        return status;
    }
    return session_print_json(root);
}

// After Ctrl-C too: what was measured by then is written.
static enum ley_status finish(struct run *run) {
    run->account.n_tokens = ley_session_n_tokens(run->session);
    if (run->ledgers.layer) {
        run_ledgers_sum(&run->ledgers, &run->language);
        run->account.ledgers = &run->ledgers;
        run->account.cost = &run->cost;
    }
    LEY_TRY(trace_files_write(run->trace, run->account.n_tokens, &run->options->invocation));
    if (run->options->json) {
        return print_json(run);
    }
    printf("\n");
    fflush(stdout);
    account_print(&run->account, &run->language);
    return LEY_OK;
}

// The order of what fails first: hardware and model, prompt, memory.
static enum ley_status run_all(struct run *run) {
    LEY_TRY(language_open(&run->language, &run->options->language));
    LEY_TRY(read_prompt(run));
    LEY_TRY(prepare(run));
    LEY_TRY(run_model(run));
    return finish(run);
}

// Accepts a run that stopped anywhere: everything was zeroed.
static void release(struct run *run) {
    trace_files_destroy(run->trace);
    ley_sampler_destroy(run->sampler);
    ley_session_destroy(run->session);
    ley_tokens_destroy(&run->prompt);
    run_ledgers_destroy(&run->ledgers);
    ley_free(run->logits);
    ley_free(run->text);
    language_close(&run->language);
}

// Defaults of sampling are those of llama.cpp, which users know.
int cmd_run(int argc, char **argv) {
    struct options o = {.invocation = {argc, argv},
                        .language = LANGUAGE_DEFAULTS,
                        .n_predict = 128,
                        .sampling = SAMPLING_DEFAULTS};
    struct language_options *l = &o.language;
    const struct option_row rows[] = {
        LANGUAGE_ROWS(*l),
        {"prompt", 'p', OPTION_TEXT, &o.prompt, "TEXT", "the text to continue"},
        {"file", 'f', OPTION_TEXT, &o.file, "FILE", "the text to continue, from a file"},
        {"n-predict", 'n', OPTION_INT, &o.n_predict, "N", "tokens to generate at most (128)"},
        SAMPLING_ROWS(o.sampling),
        {"tech", 0, OPTION_REPEAT, &o.technology, "NAME|FILE", "prices of events (paper)"},
        {"no-special", 0, OPTION_FLAG, &o.no_special, NULL, "take the prompt literally, no bos"},
        {"trace", 0, OPTION_TEXT, &o.trace.folder, "DIR", "write scores and codes as .npy"},
        {"trace-layers", 0, OPTION_TEXT, &o.trace.layers, "LIST", "layers to trace (0)"},
        {"trace-heads", 0, OPTION_TEXT, &o.trace.heads, "LIST", "query heads to trace (all)"},
        {"json", 0, OPTION_FLAG, &o.json, NULL, "text and account as JSON"},
    };
    int result = options_parse(argc, argv, &command, rows, sizeof rows / sizeof rows[0], NULL);
    if (result != 0) {
        return result == 1 ? EXIT_OK : result;
    }
    if (o.n_predict < 0 || o.n_predict > 1 << 24) {
        fprintf(stderr, "leyden run: -n is %d, must be 0..16777216\n", o.n_predict);
        return EXIT_USAGE;
    }
    language_choose(l);
    session_catch_interrupts();
    struct run run = {.options = &o};
    enum ley_status status = run_all(&run);
    result = status == LEY_OK ? EXIT_OK : session_fail("run", status);
    release(&run);
    return result;
}
