// cmd_tokenize.c - leyden tokenize: text to the tokens of a model, and back
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "session.h"

static const struct command command = {
    "tokenize", "tokenize -m MODEL (-p TEXT|-f FILE) [--ids|--json] [--no-special] [--decode]",
    "Shows the tokens of a text as the model will see them: position, id, text. MODEL is a folder\n"
    "with tokenizer.json, or vocab.json and merges.txt, or encoder.json and vocab.bpe.",
    "Control characters show as \\n, \\t or \\xNN. With --decode the input holds token ids,\n"
    "separated by anything that is no digit, and the output is exactly the bytes they stand for."};

// What the options say; exactly one of text and file is given.
struct request {
    const char *model, *text, *file;
    bool ids, json, plain, decodes;
};

struct input {
    char *bytes; // ley_free
    size_t n;
};

// More is no text that anybody looks at token by token.
static const size_t max_input_bytes = (size_t)1 << 30;

// The one place that knows what kinds of model hold a vocabulary.
static enum ley_status load_tokenizer(struct ley_tokenizer **tokenizer, const char *model) {
    struct ley_model_file *file;
    struct ley_vocab vocab;
    *tokenizer = NULL;
    // Only the vocabulary is read: a tokenizer needs no weights.
    LEY_TRY(ley_model_file_open_vocab(&file, model));
    enum ley_status status = ley_model_file_vocab(file, &vocab);
    if (status == LEY_OK) {
        status = ley_tokenizer_create(tokenizer, &vocab);
    }
    ley_model_file_close(file);
    return status == LEY_OK ? LEY_OK : ley_fail_within(status, model);
}

// Reads standard input to its end.
// The size is unknown, so the block doubles; the bound is checked before it is used.
static enum ley_status read_stdin(struct input *input) {
    size_t capacity = 0, n_read = 0;
    do {
        input->n += n_read;
        if (input->n == capacity) {
            capacity = 2 * capacity + 65536;
            char *larger = ley_alloc(capacity, 1);
            if (!larger || capacity > max_input_bytes) {
                ley_free(larger);
                return ley_fail_memory("input", capacity, 1);
            }
            // memcpy wants a pointer even for nothing.
            memcpy(larger, input->bytes ? input->bytes : "", input->n);
            ley_free(input->bytes);
            input->bytes = larger;
        }
        n_read = fread(input->bytes + input->n, 1, capacity - input->n, stdin);
    } while (n_read > 0);
    return ferror(stdin) ? ley_fail(LEY_E_IO, "standard input: %s", strerror(errno)) : LEY_OK;
}

// The text from where the options say; zero bytes are text like others.
static enum ley_status read_input(struct input *input, const struct request *request) {
    if (request->text) {
        input->n = strlen(request->text);
        input->bytes = ley_alloc(input->n + 1, 1);
        if (!input->bytes) {
            return ley_fail_memory("input", input->n, 1);
        }
        memcpy(input->bytes, request->text, input->n);
        return LEY_OK;
    }
    if (strcmp(request->file, "-") == 0) {
        return read_stdin(input);
    }
    return ley_file_read(&input->bytes, &input->n, request->file, max_input_bytes);
}

// ---- text to tokens

// One line per token, or all ids on one line.
static void print_list(const struct ley_tokens *tokens, const struct ley_tokenizer *tokenizer,
                       bool only_ids) {
    for (size_t i = 0; i < tokens->n; i++) {
        char text[256];
        if (only_ids) {
            printf(i > 0 ? " %d" : "%d", tokens->id[i]);
        } else {
            ley_tokenizer_print(text, sizeof text, tokenizer, tokens->id[i]);
            printf("%6zu %7d  \"%s\"\n", i, tokens->id[i], text);
        }
    }
    printf(only_ids ? "\n" : "");
}

// Texts are shown as in the list, because JSON cannot hold parts of characters.
static enum ley_status print_json(const struct ley_tokens *tokens,
                                  const struct ley_tokenizer *tokenizer, size_t n_bytes) {
    struct cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "n_bytes", (double)n_bytes);
    cJSON_AddNumberToObject(root, "n_lost_bytes", (double)tokens->n_lost);
    cJSON_AddNumberToObject(root, "n_tokens", (double)tokens->n);
    struct cJSON *list = cJSON_AddArrayToObject(root, "tokens");
    for (size_t i = 0; i < tokens->n; i++) {
        char text[256];
        struct cJSON *row = cJSON_CreateObject();
        ley_tokenizer_print(text, sizeof text, tokenizer, tokens->id[i]);
        cJSON_AddNumberToObject(row, "id", tokens->id[i]);
        cJSON_AddStringToObject(row, "text", text);
        cJSON_AddItemToArray(list, row);
    }
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    if (!text) {
        return ley_fail_memory("JSON text", tokens->n, 1);
    }
    printf("%s\n", text);
    free(text);
    return LEY_OK;
}

// Text in, tokens out.
static enum ley_status encode(const struct ley_tokenizer *tokenizer, const struct input *input,
                              const struct request *request) {
    struct ley_tokens tokens;
    // Special tokens as a prompt would have them.
    unsigned flags = request->plain ? 0 : LEY_ADD_SPECIAL | LEY_PARSE_SPECIAL;
    LEY_TRY(ley_tokenizer_encode(&tokens, tokenizer, input->bytes, input->n, flags));
    enum ley_status status = LEY_OK;
    if (request->json) {
        status = print_json(&tokens, tokenizer, input->n);
    } else {
        print_list(&tokens, tokenizer, request->ids);
    }
    // A warning, not an error: the model would see the text so too.
    if (tokens.n_lost > 0) {
        fprintf(stderr, "leyden tokenize: %zu bytes have no token in this vocabulary\n",
                tokens.n_lost);
    }
    ley_tokens_destroy(&tokens);
    return status;
}

// ---- tokens to text

// Every run of digits is an id.
static enum ley_status parse_ids(struct ley_tokens *tokens, const struct input *input,
                                 int32_t n_tokens) {
    // A digit and a separator are the least an id takes.
    tokens->id = ley_alloc(input->n / 2 + 1, sizeof *tokens->id);
    if (!tokens->id) {
        return ley_fail_memory("token ids", input->n / 2 + 1, sizeof *tokens->id);
    }
    for (const char *at = input->bytes, *end = at + input->n; at < end;) {
        char *rest = (char *)at + 1;
        if (*at >= '0' && *at <= '9') {
            // More than 19 digits saturate in strtoll and are refused like any other unknown id.
            long long id = strtoll(at, &rest, 10);
            if (id >= n_tokens) {
                return ley_fail(LEY_E_ARGUMENT, "id %lld is not one of the %d tokens", id,
                                n_tokens);
            }
            tokens->id[tokens->n++] = (int32_t)id;
        }
        at = rest;
    }
    return LEY_OK;
}

// Ids in, their bytes out, nothing added.
static enum ley_status decode(const struct ley_tokenizer *tokenizer, const struct input *input,
                              const struct request *request) {
    struct ley_tokens tokens = {.id = NULL};
    char *text = NULL;
    size_t n_bytes = 0;
    enum ley_status status = parse_ids(&tokens, input, ley_tokenizer_count(tokenizer));
    if (status == LEY_OK) {
        // Control tokens are text too here, unless --no-special leaves them out.
        status =
            ley_tokenizer_decode(&text, &n_bytes, tokenizer, tokens.id, tokens.n, !request->plain);
    }
    if (status == LEY_OK) {
        fwrite(text, 1, n_bytes, stdout);
    }
    ley_free(text);
    ley_tokens_destroy(&tokens);
    return status;
}

// Loads the model's vocabulary before the text: its absence is the likelier mistake.
static enum ley_status answer(const struct request *request) {
    struct ley_tokenizer *tokenizer = NULL;
    struct input input = {NULL, 0};
    enum ley_status status = load_tokenizer(&tokenizer, request->model);
    if (status == LEY_OK) {
        status = read_input(&input, request);
    }
    if (status == LEY_OK) {
        status = request->decodes ? decode(tokenizer, &input, request)
                                  : encode(tokenizer, &input, request);
    }
    ley_free(input.bytes);
    ley_tokenizer_destroy(tokenizer);
    return status;
}

// --decode turns the command round: ids in, bytes out.
int cmd_tokenize(int argc, char **argv) {
    struct request request = {.model = NULL};
    const struct option_row rows[] = {
        {"model", 'm', OPTION_TEXT, &request.model, "MODEL",
         "GGUF file or folder with a vocabulary"},
        {"prompt", 'p', OPTION_TEXT, &request.text, "TEXT", "the text itself"},
        {"file", 'f', OPTION_TEXT, &request.file, "FILE", "a file with it (-: standard input)"},
        {"ids", 0, OPTION_FLAG, &request.ids, NULL, "only the ids, on one line"},
        {"json", 0, OPTION_FLAG, &request.json, NULL, "ids and texts as JSON"},
        {"no-special", 0, OPTION_FLAG, &request.plain, NULL,
         "add no bos or eos, and take <|...|> as plain text; decoding: leave them out"},
        {"decode", 0, OPTION_FLAG, &request.decodes, NULL, "the input is ids, the output text"},
    };
    int result = options_parse(argc, argv, &command, rows, sizeof rows / sizeof rows[0], NULL);
    if (result != 0) {
        return result == 1 ? EXIT_OK : result;
    }
    if (!request.model || !request.text == !request.file) {
        fprintf(stderr, "leyden tokenize: give -m MODEL and one of -p TEXT and -f FILE (leyden "
                        "tokenize --help)\n");
        return EXIT_USAGE;
    }
    enum ley_status status = answer(&request);
    return status == LEY_OK ? EXIT_OK : session_fail("tokenize", status);
}
