// cmd_convert.c - leyden convert: model files between formats and number types
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "session.h"

static const struct command command = {
    "convert", "convert MODEL -o OUT.gguf|OUT/ [--type f32|f16|bf16|q8_0] [--adapter FILE]",
    "Writes a model anew: a GGUF file, or, where OUT ends in '/', a Hugging Face folder with\n"
    "config.json and model.safetensors. Norms, biases and learned positions stay float32.",
    "A GGUF file is written with the tokenizer and what Leyden keeps with the model; a folder\n"
    "without both.\n"};

// As given; `type` has a default, the others are needed.
struct options {
    const char *model, *out, *type, *adapter;
};

// The tokenizer of the input when it can be read; says why not otherwise.
static const struct ley_vocab *find_vocab(struct ley_vocab *vocab, struct ley_model_file *file) {
    if (ley_model_file_vocab(file, vocab) == LEY_OK) {
        return vocab;
    }
    fprintf(stderr, "leyden convert: the tokenizer is not converted: %s\n", ley_error_text());
    return NULL;
}

// The input is open until the output is complete: weights are read as they are written.
static enum ley_status convert(const struct options *o) {
    struct ley_model_file *file;
    struct ley_conversion done = {0};
    struct ley_vocab vocab;
    const struct ley_block_type *type = NULL;
    // The slash decides the format of the output; the input's is seen when it is opened.
    bool to_folder = o->out[strlen(o->out) - 1] == '/';
    LEY_TRY(session_type(&type, o->type, !to_folder)); // folders hold no blocks
    LEY_TRY(ley_model_file_open(&file, o->model));
    enum ley_status status = o->adapter ? ley_model_file_apply(file, o->adapter) : LEY_OK;
    if (status == LEY_OK) {
        status = to_folder
                     ? ley_model_convert_folder(&done, o->out, file, type)
                     : ley_model_convert_gguf(&done, o->out, file, type, find_vocab(&vocab, file));
    }
    ley_model_file_close(file);
    LEY_TRY(status);
    printf("written %s: %d tensors, %.1f MB, matrices as %s\n", o->out, done.n_tensors,
           (double)done.n_bytes / 1e6, type->name);
    // Said because a file asked for in q8_0 is then not all of it.
    if (done.n_kept_wider > 0) {
        printf("%d matrices are F16: their rows are no whole number of blocks\n",
               done.n_kept_wider);
    }
    if (!done.has_vocab) {
        printf("without a tokenizer%s\n", to_folder ? ": copy tokenizer.json beside it" : "");
    }
    return LEY_OK;
}

// The input is positional: a conversion reads as "from - to".
int cmd_convert(int argc, char **argv) {
    struct options o = {.type = "bf16"};
    struct text_list models = {0};
    const struct option_row rows[] = {
        {"out", 'o', OPTION_TEXT, &o.out, "OUT", "GGUF file, or folder (ending in /), to write"},
        {"type", 0, OPTION_TEXT, &o.type, "TYPE", "f32, f16, bf16 or q8_0 for matrices (bf16)"},
        {"adapter", 0, OPTION_TEXT, &o.adapter, "FILE", "merge what leyden adapt learned"},
    };
    int result = options_parse(argc, argv, &command, rows, 3, &models);
    if (result != 0) {
        return result == 1 ? EXIT_OK : result;
    }
    if (models.n != 1 || !o.out || !*o.out) {
        fprintf(stderr, "leyden convert: give one model and -o OUT (leyden convert --help)\n");
        return EXIT_USAGE;
    }
    o.model = models.text[0];
    enum ley_status status = convert(&o);
    return status == LEY_OK ? EXIT_OK : session_fail("convert", status);
}
