// training.h - what train and adapt share: options, data, a run with its log and progress line.
#pragma once
#include "language.h"

struct training_options {
    const char *data, *cache, *log, *recompute, *gradient;
    int tokens, ctx, batch, pass, parts, warm_up, validate_every, n_validation, seed;
    double rate, last_rate, average, norm, decay, minutes, validation_part;
    bool resume, joins_lines;
};

#define TRAINING_DEFAULTS                                                                          \
    {                                                                                              \
        .tokens = 1000000, .ctx = 256, .batch = 16, .pass = 4, .parts = 1, .warm_up = -1,          \
        .validate_every = 50, .n_validation = 16, .last_rate = -1, .norm = 1, .decay = 0.1,        \
        .minutes = 10, .validation_part = 0.02, .recompute = "auto", .gradient = "linear"          \
    }

// Rows for a command's option table; `o` is a struct training_options.
#define TRAINING_ROWS(o)                                                                           \
    {"data",    'f',         OPTION_TEXT,                                                          \
     &(o).data, "FILE|self", "text, .jsonl or .xz to learn from; self: sampled by the model"},     \
        {"cache",    0,      OPTION_TEXT,                                                          \
         &(o).cache, "FILE", "where its tokens are kept (self: OUT.tokens)"},                      \
        {"join-lines", 0, OPTION_FLAG, &(o).joins_lines, NULL, "the text has wrapped lines"},      \
        {"tokens", 'n', OPTION_INT, &(o).tokens, "N", "tokens to learn from (1000000)"},           \
        {"ctx", 'c', OPTION_INT, &(o).ctx, "T", "tokens of a window (256)"},                       \
        {"batch", 'b', OPTION_INT, &(o).batch, "B", "windows of a step (16)"},                     \
        {"pass", 0, OPTION_INT, &(o).pass, "B", "windows at a time, for less memory (4)"},         \
        {"parts",                                                                                  \
         0,                                                                                        \
         OPTION_INT,                                                                               \
         &(o).parts,                                                                               \
         "N",                                                                                      \
         "every second pass reads windows in N parts, each alone: short contexts too (1)"},        \
        {"recompute",                                                                              \
         0,                                                                                        \
         OPTION_TEXT,                                                                              \
         &(o).recompute,                                                                           \
         "WHEN",                                                                                   \
         "layers on the way back: always, never, auto: to fit in a quarter of memory (auto)"},     \
        {"gradient",  0,                                                                           \
         OPTION_TEXT, &(o).gradient,                                                               \
         "CELL",      "cells in gradients: linear, as published, or law: as they are (linear)"},   \
        {"lr", 0, OPTION_REAL, &(o).rate, "X", "highest learning rate"},                           \
        {"last-lr", 0, OPTION_REAL, &(o).last_rate, "X", "rate at the end (a tenth of --lr)"},     \
        {"average",                                                                                \
         0,                                                                                        \
         OPTION_REAL,                                                                              \
         &(o).average,                                                                             \
         "X",                                                                                      \
         "decay of a mean of the weights, which is what is validated and written, 0: none (0)"},   \
        {"warm-up", 0, OPTION_INT, &(o).warm_up, "N", "steps of rising rate (2 % of all)"},        \
        {"clip", 0, OPTION_REAL, &(o).norm, "X", "largest norm of gradients, 0: any (1)"},         \
        {"decay", 0, OPTION_REAL, &(o).decay, "X", "weight decay of matrices (0.1)"},              \
        {"validate", 0, OPTION_INT, &(o).validate_every, "N", "steps between validations (50)"},   \
        {"validation", 0, OPTION_INT, &(o).n_validation, "N", "windows of one at most (16)"},      \
        {"held-out", 0, OPTION_REAL, &(o).validation_part, "X", "part of the data for it (0.02)"}, \
        {"seed", 's', OPTION_INT, &(o).seed, "S", "seed of all that is random (0)"},               \
        {"checkpoint", 0, OPTION_REAL, &(o).minutes, "X", "minutes between checkpoints (10)"},     \
        {"resume", 0, OPTION_FLAG, &(o).resume, NULL, "go on where a run to OUT stopped"}, {       \
        "log", 0, OPTION_TEXT, &(o).log, "FILE", "a line of JSON for each step"                    \
    }

struct training {
    const struct training_options *options;
    const char *command, *out; // for messages and names of files
    // what the first line of the log says, besides the options
    const struct invocation *invocation;
    const struct language_options *language;
    uint64_t teacher; // fingerprint of a teacher that is not the model itself; 0: none
    struct ley_dataset dataset;
    struct ley_windows windows;
    // of the stage that runs
    const char *stage;
    struct ley_log *log;
    double begin_s; // of the clock
    int64_t begin_tokens;
    double first_cost, last_cost; // of validations; NAN: none yet
    bool is_line_open;            // a progress line waits for its end
};

// Ranges of the options; LEY_E_ARGUMENT and what is wrong.
enum ley_status training_check(const struct training_options *options, const char *out);

// Opens or makes the data: text of --data, or sampled by `language`, which must be digital then.
enum ley_status training_open_data(struct training *training, struct language *language,
                                   struct ley_model_file *vocab_file);

// A vocabulary to learn.
struct vocab_request {
    const char *data, *out; // a text as of text.h; the tokenizer.json to write
    bool joins_lines;
    int n_tokens, min_count;
};

// Learns it and writes it; `made` tells its number of tokens (n_tokens) and merges.
enum ley_status training_learn_vocab(struct ley_vocab_report *report, struct ley_vocab *made,
                                     const struct vocab_request *request);

// A zeroed struct is accepted.
void training_close(struct training *training);

// The checkpoint of a stage of this run: OUT.STAGE.ckpt.
void training_checkpoint(char path[1100], const struct training *training, const char *stage);

// True when a stage has left a checkpoint.
bool training_has_checkpoint(const struct training *training, const char *stage);

// Fails when a run to the same OUT has left checkpoints of one of these stages and --resume is not
// given; begins the log anew when it is not.
enum ley_status training_begin(const struct training *training, const char *const *stages,
                               int n_stages);

// Runs a stage over n_tokens at the highest rate `rate`, from its checkpoint where --resume finds
// one. Prints its first and last validation.
enum ley_status training_run(struct training *training, struct ley_net *net,
                             const struct ley_objective *objective, const char *stage,
                             int64_t n_tokens, double rate);

// Writes a model file with what it was updated with: matrices of `type` (f32, f16, bf16),
// vocabulary of `vocab_file`.
enum ley_status training_write_model(const char *out, struct ley_model_file *file,
                                     struct ley_model_file *vocab_file, const char *type);

// Removes the checkpoints of stages, once the result is written.
void training_clean(const struct training *training, const char *const *stages, int n_stages);

// Time and peak memory, at the end.
void training_print_end(double begin_s);
