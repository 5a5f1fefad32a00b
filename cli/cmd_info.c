// cmd_info.c - leyden info: everything a person asks of a model file
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "session.h"

static const struct command command = {
    "info", "info FILE|DIR [--json] [--tensors]",
    "Shows what a GGUF file or a Hugging Face folder holds: architecture, sizes, number formats,\n"
    "tokenizer, what it takes to run it, and Leyden's scalers and hardware if it has any. Of an\n"
    "adapter: what it changes, of which model, for which chip.",
    ""};

// The report is made once, as JSON (model_info.c), and printed from there: both forms agree. An
// absent number prints as 0.
static double number(const struct cJSON *object, const char *key) {
    const struct cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

// "" where absent.
static const char *text(const struct cJSON *object, const char *key) {
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return value ? value : "";
}

// False where absent.
static bool flag(const struct cJSON *object, const char *key) {
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, key));
}

// NULL where absent.
static const struct cJSON *member(const struct cJSON *object, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

// Prints a text of the file, whose control characters must not reach a terminal.
static void print_clean(const char *value) {
    for (const char *c = value; *c; c++) {
        putchar((unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c);
    }
}

// Decimal megabytes, as file sizes are usually told.
static double mega(double n_bytes) {
    return n_bytes / 1e6;
}

// One line, largest share first.
static void print_types(const struct cJSON *root) {
    const struct cJSON *row;
    const char *separator = "formats      ";
    cJSON_ArrayForEach(row, member(root, "types")) {
        printf("%s%s %.1f %% (%.0f tensors)", separator, text(row, "type"),
               100 * number(row, "share"), number(row, "tensors"));
        separator = ", ";
    }
    printf("\n");
}

// Sizes as the configuration has them.
static void print_shape(const struct cJSON *root) {
    printf("layers       %.0f, width %.0f, feed-forward %.0f (%s)\n", number(root, "layers"),
           number(root, "width"), number(root, "ff_width"), text(root, "activation"));
    printf("heads        %.0f queries, %.0f keys and values, width %.0f\n", number(root, "heads"),
           number(root, "kv_heads"), number(root, "head_width"));
    printf("vocabulary   %.0f, context %.0f\n", number(root, "vocabulary"),
           number(root, "context"));
    const struct cJSON *rope = member(root, "rope");
    if (rope) {
        printf("positions    rotary, base %g, width %.0f, %s%s\n", number(rope, "base"),
               number(rope, "width"), text(rope, "layout"),
               flag(rope, "has_factors") ? ", scaled" : "");
    } else {
        printf("positions    learned\n");
    }
    printf("norms        epsilon %g\n", number(root, "norm_eps"));
    printf("output       %s\n", flag(root, "is_tied") ? "tied to the embedding" : "own matrix");
}

// Nothing where the model has no such token.
static void print_token(const struct cJSON *tokenizer, const char *key) {
    const struct cJSON *token = member(tokenizer, key);
    if (cJSON_IsObject(token)) {
        printf(", %s %.0f '", key, number(token, "id"));
        print_clean(text(token, "text"));
        printf("'");
    }
}

// A vocabulary that cannot be read is told with its reason.
static void print_tokenizer(const struct cJSON *root) {
    const struct cJSON *t = member(root, "tokenizer");
    if (!cJSON_IsObject(t)) {
        printf("tokenizer    none (%s)\n", text(root, "tokenizer_problem"));
        return;
    }
    printf("tokenizer    %s", text(t, "kind"));
    if (member(t, "pre")) {
        printf(" (%s)", text(t, "pre"));
    }
    printf(", %.0f tokens, %.0f merges\n", number(t, "tokens"), number(t, "merges"));
    printf("special      adds %s%s", flag(t, "adds_bos") ? "bos" : "no bos",
           flag(t, "adds_eos") ? " and eos" : "");
    print_token(t, "bos");
    print_token(t, "eos");
    print_token(t, "unknown");
    printf("\nchat         %s\n", flag(t, "has_chat_template") ? "has a template" : "no template");
}

static void print_leyden(const struct cJSON *root) {
    printf("scalers      ");
    print_clean(text(root, "scalers"));
    printf("\nhardware     %s\n", *text(root, "hardware") ? "stored (--json shows it)" : "none");
}

// Texts of the file go through print_clean; numbers and our own words need not.
static void print_text(const struct cJSON *root) {
    printf("name         ");
    print_clean(text(root, "name"));
    printf("\narchitecture %s (%s)\n", text(root, "architecture"), text(root, "format"));
    printf("parameters   %.0f (%.1f M)\n", number(root, "parameters"),
           number(root, "parameters") / 1e6);
    printf("file         %.1f MB\n", mega(number(root, "file_bytes")));
    print_types(root);
    print_shape(root);
    print_tokenizer(root);
    printf("memory       %.1f MB as bf16, %.1f MB as f32\n", mega(number(root, "bytes_as_bf16")),
           // What the simulator would take, not what the file takes.
           mega(number(root, "bytes_as_f32")));
    printf("KV cache     %.0f bytes a token in f16, %.1f MB for the whole context\n",
           number(root, "kv_bytes_per_token_f16"),
           mega(number(root, "kv_bytes_per_token_f16") * number(root, "context")));
    print_leyden(root);
}

// Matrices and their rank.
static void print_changes(const struct cJSON *root) {
    const struct cJSON *matrix;
    double least = number(root, "least_rank"), most = number(root, "most_rank");
    const char *separator = "";
    printf("%.0f matrices in %.0f layers: ", number(root, "changes"), number(root, "layers"));
    cJSON_ArrayForEach(matrix, member(root, "matrices")) {
        printf("%s", separator);
        print_clean(cJSON_GetStringValue(matrix));
        separator = ", ";
    }
    printf("\nrank         %.0f", least);
    if (most > least) {
        printf(" to %.0f", most);
    }
    printf(", alpha %g, %s\n", number(root, "alpha"), text(root, "type"));
}

// An adapter says less of itself than a model does.
static void print_adapter(const struct cJSON *root) {
    printf("adapter      for ");
    print_clean(*text(root, "for_model") ? text(root, "for_model") : "a model without a name");
    printf(" (");
    print_clean(text(root, "architecture"));
    printf(")\nchanges      ");
    if (number(root, "changes") > 0) {
        print_changes(root);
    } else {
        printf("none: scalers only\n");
    }
    printf("parameters   %.0f (%.1f M)\n", number(root, "parameters"),
           number(root, "parameters") / 1e6);
    printf("file         %.1f MB\n", mega(number(root, "file_bytes")));
    print_leyden(root);
}

// One line for each weight as the model uses it, not for each stored tensor.
static void print_tensors(const struct cJSON *root) {
    const struct cJSON *row;
    printf("\nlayer  weight                    rows  columns  format        bytes\n");
    cJSON_ArrayForEach(row, member(root, "tensors")) {
        if (member(row, "layer")) {
            printf("%5.0f", number(row, "layer"));
        } else {
            printf("    -");
        }
        printf("  %-20s  %8.0f %8.0f  %-6s %12.0f\n", text(row, "weight"), number(row, "rows"),
               number(row, "columns"), text(row, "type"), number(row, "bytes"));
    }
}

// Prints a report and frees it; out of memory is the only failure.
static int show(struct cJSON *root, void (*print)(const struct cJSON *root), bool json) {
    char *printed = root && json ? cJSON_Print(root) : NULL;
    if (!root || (json && !printed)) {
        cJSON_Delete(root);
        return session_fail("info", ley_fail_memory("JSON text", 1, 1));
    }
    if (json) {
        printf("%s\n", printed);
    } else {
        print(root);
    }
    free(printed);
    cJSON_Delete(root);
    return EXIT_OK;
}

// With a list of weights where there is one.
static void print_model(const struct cJSON *root) {
    print_text(root);
    if (member(root, "tensors")) {
        print_tensors(root);
    }
}

// What is no adapter is a model, or tells as one what is wrong with it.
static int inspect(const char *path, bool json, bool tensors) {
    struct cJSON *adapter;
    struct ley_model_file *file;
    if (ley_adapter_json(&adapter, path) == LEY_OK) {
        return show(adapter, print_adapter, json);
    }
    enum ley_status status = ley_model_file_open(&file, path);
    if (status != LEY_OK) {
        return session_fail("info", status);
    }
    int result = show(ley_model_file_json(file, tensors), print_model, json);
    ley_model_file_close(file);
    return result;
}

// A model that cannot be opened is no model: only its tokenizer may be broken and still be shown.
int cmd_info(int argc, char **argv) {
    bool json = false, tensors = false;
    struct text_list paths = {0};
    const struct option_row rows[] = {
        {"json", 0, OPTION_FLAG, &json, NULL, "for machines, with the stored hardware"},
        {"tensors", 0, OPTION_FLAG, &tensors, NULL,
         "every weight of a model: size and number format"},
    };
    int result = options_parse(argc, argv, &command, rows, 2, &paths);
    if (result != 0) {
        return result == 1 ? EXIT_OK : result;
    }
    if (paths.n != 1) {
        fprintf(stderr, "leyden info: give one model, a GGUF file or a Hugging Face folder\n");
        return EXIT_USAGE;
    }
    return inspect(paths.text[0], json, tensors);
}
