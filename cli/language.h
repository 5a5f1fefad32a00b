// language.h - a language model opened for a command: file, tokenizer, weights, attention.
#pragma once
#include "session.h"

// How commands choose a model and what its attention runs on.
struct language_options {
    const char *model;          // -m
    const char *adapter;        // NULL: none
    struct hardware_options hw; // "digital", or a preset or file
    const char *dtype;          // auto, f32, bf16
    int window;                 // -1: of the hardware; digital: all
    int threads;                // 0: all
};

#define LANGUAGE_DEFAULTS                                                                          \
    { .hw = {.name = "paper"}, .dtype = "auto", .window = -1 }

// Rows for a command's option table; `o` is a struct language_options.
#define LANGUAGE_ROWS(o)                                                                           \
    {"model", 'm', OPTION_TEXT, &(o).model, "MODEL", "GGUF file, folder, or small"},               \
        {"adapter", 0, OPTION_TEXT, &(o).adapter, "FILE", "what leyden adapt learned for it"},     \
        {"hw", 0, OPTION_TEXT, &(o).hw.name, "PRESET|FILE", "hardware, or digital (softmax)"},     \
        {"set", 0, OPTION_REPEAT, &(o).hw.set, "KEY=VALUE", "override a hardware parameter"},      \
        {"window", 0, OPTION_INT, &(o).window, "M", "tokens that a query sees"},                   \
        {"dtype", 0, OPTION_TEXT, &(o).dtype, "TYPE", "dense layers in auto, f32 or bf16 (auto)"}, \
    {                                                                                              \
        "threads", 't', OPTION_INT, &(o).threads, "N", "threads (default: all cores)"              \
    }

enum { N_LANGUAGE_ROWS = 7 };

// How commands choose the next token.
struct sampling_options {
    double temperature, top_p;
    int top_k, seed;
};

#define SAMPLING_DEFAULTS                                                                          \
    { .temperature = 0.8, .top_p = 0.95, .top_k = 40 }

// Rows for a command's option table; `o` is a struct sampling_options.
#define SAMPLING_ROWS(o)                                                                           \
    {"temp", 0, OPTION_REAL, &(o).temperature, "T", "temperature, 0: the likeliest token (0.8)"},  \
        {"top-k", 0, OPTION_INT, &(o).top_k, "K", "choose among the K likeliest, 0: all (40)"},    \
        {"top-p", 0, OPTION_REAL, &(o).top_p, "P", "choose among the likeliest P of 1 (0.95)"}, {  \
        "seed", 's', OPTION_INT, &(o).seed, "S", "seed of the choices (0)"                         \
    }

struct language {
    // open as long as the language: scaler_origin points into it
    struct ley_model_file *file;
    struct ley_tokenizer *tokenizer;
    struct ley_model *model;
    bool is_digital;
    struct ley_hardware hardware;  // when analog
    struct ley_scaler_set scalers; // when analog
    const char *scaler_origin;     // how they came about; digital: "none"
    // wall time of the steps before the run
    double load_s, calibrate_s;
};

// Opens the model and sets its attention. Analog attention takes the scalers of the file; where it
// holds none they are calibrated on a built-in text, with a note on stderr.
enum ley_status language_open(struct language *language, const struct language_options *options);

// Where no model is named: the small one that comes with Leyden, digital or as it was adapted to
// `paper`; says so on stderr.
void language_choose(struct language_options *options);

// Opens file, tokenizer and weights only: attention is digital.
enum ley_status language_load(struct language *language, const struct language_options *options);

// A sampler for the model's vocabulary; destroy it with ley_sampler_destroy.
enum ley_status language_sampler(struct ley_sampler **sampler, const struct language *language,
                                 const struct sampling_options *options);

// A zeroed struct is accepted.
void language_close(struct language *language);

// Sets digital or analog attention by name, as language_open does.
enum ley_status language_set_hardware(struct language *language,
                                      const struct language_options *options);

// The hardware of --hw, --set and --window, which is not digital.
enum ley_status language_hardware(struct ley_hardware *hardware,
                                  const struct language_options *options);

// What the signals of a chip are calibrated as.
struct language_forms {
    bool centres_keys;       // M25
    bool normalises_outputs; // M29
};

// Calibrates on `text` (or on a built-in one when NULL) for language->hardware into
// language->scalers; n_tokens at most.
enum ley_status language_calibrate(struct language *language, struct ley_calibration_report *report,
                                   const char *text, int64_t n_tokens,
                                   const struct language_forms *forms);

// The spelling of --keys, plain or centred, and of --outputs, plain or normalised.
enum ley_status language_forms(struct language_forms *forms, const char *keys, const char *outputs);

// The spelling of --dtype.
enum ley_status language_dtype(enum ley_nn_dtype *dtype, const char *name);

// The complete hardware as YAML text (ley_free it).
enum ley_status language_describe(char **text, const struct ley_hardware *hardware);

// The hardware that the scalers of a file were made for; *has_one false: the file names none.
enum ley_status language_file_hardware(struct ley_hardware *hardware, bool *has_one,
                                       const struct ley_model_file *file);

// Adds the model's name, when it has one, to a result; or its shape.
void language_add_name(struct cJSON *root, const struct language *language);
void language_add_shape(struct cJSON *root, const struct language *language);

// Sum over layers of ledgers[n_layers].
struct ley_ledger language_total(const struct language *language, const struct ley_ledger *ledgers);

// Seconds of a clock that only moves forward.
double clock_s(void);
