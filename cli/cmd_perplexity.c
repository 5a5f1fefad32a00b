// cmd_perplexity.c - leyden perplexity: how well a model predicts a text, on a chip or digitally
//
// The text is cut into windows of --ctx tokens, one after another; each is predicted from its own
// beginning, so every window gives ctx - 1 predictions. The error is that of the mean over tokens.
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "commands.h"

static const struct command command = {
    "perplexity",
    "perplexity [-m MODEL] -f FILE [--hw PRESET|FILE|digital] [--ctx N] [--chunks N] [OPTION]...",
    "Perplexity of a text file, in windows of --ctx tokens, each predicted from its own beginning.",
    ""};

// What the options say.
struct options {
    struct invocation invocation;
    struct language_options language;
    const char *file;
    struct text_list technology;
    int n_ctx, n_chunks;
    bool json;
};

enum { N_PLACES = 21 }; // --ctx is at most 2^20

// Sums over the windows done; means are taken at the end.
struct result {
    int64_t n_chunks, n_predictions;
    double sum, sum_square; // of negative log-likelihoods
    double elapsed_s;
    struct run_ledgers ledgers; // of all windows; empty when digital
    struct run_cost cost;
    // losses by the tokens that stand before in a window: 2^i .. 2^(i + 1) - 1
    int64_t n_at[N_PLACES];
    double sum_at[N_PLACES];
    uint64_t file_hash; // of the text
};

// There is at least one prediction: a window has two tokens or more.
static double mean_of(const struct result *result) {
    return result->sum / (double)result->n_predictions;
}

// Standard error of the perplexity: exp(mean) times that of the mean.
// Predictions count as independent: an estimate, as neighbours in a text are not.
static double error_of(const struct result *result) {
    double n = (double)result->n_predictions, mean = mean_of(result);
    double variance = result->sum_square / n - mean * mean;
    return n > 1 && variance > 0 ? exp(mean) * sqrt(variance / (n - 1)) : 0;
}

// Adds the loss of a prediction made from n_before tokens.
static void note_place(struct result *result, int n_before, double nll) {
    int place = 0;
    for (; n_before > 1; n_before /= 2) {
        place++;
    }
    result->n_at[place]++;
    result->sum_at[place] += nll;
}

// Token i + 1 is the target of token i, so a window of n_ctx gives n_ctx - 1 losses.
static enum ley_status run_chunk(struct result *result, struct language *language,
                                 struct ley_session *session, const int32_t *tokens, int n_ctx) {
    int n = n_ctx - 1;
    double *nll = ley_alloc((size_t)n, sizeof *nll), mean;
    struct run_ledgers ledgers = {0};
    struct ley_progress progress = session_quiet_progress();
    enum ley_status status = nll ? LEY_OK : ley_fail_memory("a window", (size_t)n, sizeof *nll);
    if (status == LEY_OK && !language->is_digital) {
        status = run_ledgers_create(&ledgers, language);
    }
    if (status == LEY_OK) {
        const struct ley_feed feed = {
            .ledger = ledgers.layer, .head_ledger = ledgers.head, .progress = &progress};
        status = ley_session_loss(&mean, nll, session, tokens, tokens + 1, n, &feed);
    }
    for (int i = 0; status == LEY_OK && i < n; i++) {
        result->sum += nll[i];
        result->sum_square += nll[i] * nll[i];
        result->n_predictions++;
        note_place(result, i + 1, nll[i]);
    }
    if (status == LEY_OK && ledgers.layer) {
        run_ledgers_add(&result->ledgers, &ledgers, language);
    }
    run_ledgers_destroy(&ledgers);
    ley_free(nll);
    return status;
}

// Windows do not overlap; what is left at the end of the text is not used.
static enum ley_status run_chunks(struct result *result, struct language *language,
                                  const struct ley_tokens *tokens, const struct options *o) {
    int64_t n_chunks = (int64_t)tokens->n / o->n_ctx;
    if (o->n_chunks > 0 && o->n_chunks < n_chunks) {
        n_chunks = o->n_chunks;
    }
    if (n_chunks == 0) {
        return ley_fail(LEY_E_ARGUMENT,
                        "%s has %zu tokens, less than one window of %d; lower --ctx", o->file,
                        tokens->n, o->n_ctx);
    }
    struct ley_session *session;
    LEY_TRY(ley_session_create(&session, language->model, 1, o->n_ctx));
    double start_s = clock_s();
    enum ley_status status = LEY_OK;
    for (int64_t i = 0; status == LEY_OK && i < n_chunks; i++) {
        status = run_chunk(result, language, session, tokens->id + i * o->n_ctx, o->n_ctx);
        if (status == LEY_OK) {
            result->n_chunks++;
            fprintf(stderr, "%s[%lld]%.4f", i ? "," : "", (long long)(i + 1), exp(mean_of(result)));
            fflush(stderr);
        }
    }
    fprintf(stderr, "\n");
    result->elapsed_s = clock_s() - start_s;
    ley_session_destroy(session);
    // Stopped by Ctrl-C: what was measured by then is a result.
    return status == LEY_E_INTERRUPTED && result->n_chunks > 0 ? LEY_OK : status;
}

// Predictions count as the prompt: each token is written and read once.
static struct account account_of(struct result *result, const struct language *language,
                                 const struct options *o) {
    struct account account = {.n_prompt = result->n_predictions,
                              .prompt_s = result->elapsed_s,
                              .n_tokens = o->n_ctx - 1,
                              .cost = &result->cost,
                              .ledgers = &result->ledgers};
    if (!language->is_digital) {
        run_ledgers_sum(&result->ledgers, language);
    }
    return account;
}

// A fingerprint of the text, to tell that results belong together.
static void add_hash(struct cJSON *root, uint64_t hash) {
    char text[20];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
    cJSON_AddStringToObject(root, "file_hash", text);
}

// Mean losses by place in the window.
static void add_positions(struct cJSON *root, const struct result *result, int n_ctx) {
    struct cJSON *list = cJSON_AddArrayToObject(root, "by_position");
    for (int i = 0; i < N_PLACES && result->n_at[i] > 0; i++) {
        int last = (2 << i) - 1;
        struct cJSON *row = cJSON_CreateObject();
        cJSON_AddNumberToObject(row, "first", 1 << i);
        cJSON_AddNumberToObject(row, "last", last < n_ctx ? last : n_ctx - 1);
        cJSON_AddNumberToObject(row, "predictions", (double)result->n_at[i]);
        cJSON_AddNumberToObject(row, "nll", result->sum_at[i] / (double)result->n_at[i]);
        cJSON_AddItemToArray(list, row);
    }
}

// The same numbers as the text, with all digits.
static enum ley_status print_json(struct result *result, const struct language *language,
                                  const struct options *o) {
    struct account account = account_of(result, language, o);
    struct cJSON *root = cJSON_CreateObject();
    session_add_origin(root, &o->invocation);
    cJSON_AddStringToObject(root, "model", o->language.model);
    cJSON_AddStringToObject(root, "hw", o->language.hw.name);
    cJSON_AddStringToObject(root, "dtype", ley_nn_dtype_name(ley_model_dtype(language->model)));
    cJSON_AddStringToObject(root, "file", o->file);
    add_hash(root, result->file_hash);
    cJSON_AddNumberToObject(root, "ctx", o->n_ctx);
    cJSON_AddNumberToObject(root, "chunks", (double)result->n_chunks);
    cJSON_AddNumberToObject(root, "predictions", (double)result->n_predictions);
    cJSON_AddNumberToObject(root, "nll", mean_of(result));
    cJSON_AddNumberToObject(root, "perplexity", exp(mean_of(result)));
    cJSON_AddNumberToObject(root, "perplexity_stderr", error_of(result));
    add_positions(root, result, o->n_ctx);
    enum ley_status status = account_add_json(root, &account, language);
    if (status != LEY_OK) {
        cJSON_Delete(root);
        return status;
    }
    return session_print_json(root);
}

// For people, the perplexity on stdout.
static void print_text(struct result *result, const struct language *language,
                       const struct options *o) {
    struct account account = account_of(result, language, o);
    printf("PPL = %.4f +- %.4f (%lld windows of %d tokens, %s)\n", exp(mean_of(result)),
           error_of(result), (long long)result->n_chunks, o->n_ctx, o->language.hw.name);
    fflush(stdout);
    account_print(&account, language);
}

// Prices, and ledgers for layers and heads; digital attention has neither.
static enum ley_status prepare(struct result *result, struct language *language,
                               const struct options *o) {
    LEY_TRY(run_cost_open(&result->cost, &o->technology, language));
    return language->is_digital ? LEY_OK : run_ledgers_create(&result->ledgers, language);
}

// No bos, no special tokens: the text is a text.
static enum ley_status measure(struct result *result, struct language *language,
                               const struct options *o) {
    char *text;
    size_t n;
    struct ley_tokens tokens = {0};
    if (!o->file) {
        return ley_fail(LEY_E_ARGUMENT, "-f FILE is missing");
    }
    LEY_TRY(ley_file_read(&text, &n, o->file, (size_t)1 << 31));
    result->file_hash = ley_hash(0, text, n);
    enum ley_status status = language_open(language, &o->language);
    if (status == LEY_OK) {
        status = prepare(result, language, o);
    }
    if (status == LEY_OK) {
        status = ley_tokenizer_encode(&tokens, language->tokenizer, text, n, 0);
    }
    ley_free(text);
    if (status == LEY_OK) {
        status = run_chunks(result, language, &tokens, o);
    }
    ley_tokens_destroy(&tokens);
    LEY_TRY(status);
    if (o->json) {
        return print_json(result, language, o);
    }
    print_text(result, language, o);
    return LEY_OK;
}

// 1024 tokens a window by default: the whole context of gpt2.
int cmd_perplexity(int argc, char **argv) {
    struct options o = {.invocation = {argc, argv}, .language = LANGUAGE_DEFAULTS, .n_ctx = 1024};
    struct language_options *l = &o.language;
    const struct option_row rows[] = {
        LANGUAGE_ROWS(*l),
        {"file", 'f', OPTION_TEXT, &o.file, "FILE", "the text"},
        {"ctx", 'c', OPTION_INT, &o.n_ctx, "N", "tokens of a window (1024)"},
        {"chunks", 0, OPTION_INT, &o.n_chunks, "N", "windows at most, 0: all (0)"},
        {"tech", 0, OPTION_REPEAT, &o.technology, "NAME|FILE", "prices of events (paper)"},
        {"json", 0, OPTION_FLAG, &o.json, NULL, "result as JSON"},
    };
    int result = options_parse(argc, argv, &command, rows, sizeof rows / sizeof rows[0], NULL);
    if (result != 0) {
        return result == 1 ? EXIT_OK : result;
    }
    if (o.n_ctx < 2 || o.n_ctx > 1 << 20 || o.n_chunks < 0) {
        fprintf(stderr, "leyden perplexity: --ctx must be 2..1048576, --chunks 0 or more\n");
        return EXIT_USAGE;
    }
    language_choose(l);
    session_catch_interrupts();
    struct language language = {0};
    struct result sums = {0};
    enum ley_status status = measure(&sums, &language, &o);
    result = status == LEY_OK ? EXIT_OK : session_fail("perplexity", status);
    run_ledgers_destroy(&sums.ledgers);
    language_close(&language);
    return result;
}
