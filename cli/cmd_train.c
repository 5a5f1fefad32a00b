// cmd_train.c - leyden train: a model learns to predict a text, digitally or on a chip
//
// All weights learn, and on a chip the scalers too. What is written is a whole model.
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "training.h"

static const struct command command = {
    "train", "train -m MODEL|--config FILE [--tokenizer FILE] --data FILE -o OUT.gguf [OPTION]...",
    "Trains all weights of a model, or a new one, on a text, digitally or with the attention of a\n"
    "chip, and writes it as a GGUF file.",
    "A new model has the shape of a Hugging Face config.json and the tokenizer of another model "
    "or\n"
    "of a tokenizer.json; without one, a vocabulary of vocab_size tokens is learned from the text\n"
    "first and kept in OUT.tokenizer.json (leyden vocab).\n"
    "Ctrl-C saves; --resume goes on and gives the same bits as a run that was never stopped.\n"
    "A text of several documents has <|endoftext|> between them; .jsonl has one a line."};

struct options {
    struct invocation invocation;
    struct language_options language;
    struct training_options training;
    const char *out, *config, *tokenizer, *type;
};

struct train {
    const struct options *options;
    struct language language;
    struct ley_model_file *vocab_file; // the file, or the one that gives the tokenizer
    struct ley_fresh fresh;            // a new model
    struct training training;
    struct ley_net *net;
    bool is_analog;
};

static enum ley_status check(const struct options *o) {
    enum ley_nn_dtype dtype;
    const struct ley_block_type *type;
    if ((o->language.model != NULL) == (o->config != NULL)) {
        return ley_fail(LEY_E_ARGUMENT, "give -m MODEL to go on with, or --config FILE");
    }
    if (!o->config && o->tokenizer) {
        return ley_fail(LEY_E_ARGUMENT, "--tokenizer is for a new model: --config is missing");
    }
    if (o->config && o->training.data && strcmp(o->training.data, "self") == 0) {
        return ley_fail(LEY_E_ARGUMENT, "--data self needs a model that can write");
    }
    LEY_TRY(language_dtype(&dtype, o->language.dtype));
    LEY_TRY(session_type(&type, o->type, false));
    return training_check(&o->training, o->out);
}

// The tokenizer of a new model: the one that is given, or one that is learned now. A run that goes
// on finds what it learned before.
static enum ley_status open_tokenizer(struct train *train) {
    const struct options *o = train->options;
    char path[1100];
    struct ley_vocab_report report;
    struct ley_vocab made;
    const struct vocab_request request = {.data = o->training.data,
                                          .out = path,
                                          .joins_lines = o->training.joins_lines,
                                          .n_tokens = train->fresh.config.n_vocab,
                                          .min_count = 2};
    if (o->tokenizer) {
        return ley_model_file_open_vocab(&train->vocab_file, o->tokenizer);
    }
    snprintf(path, sizeof path, "%s.tokenizer.json", o->out);
    if (!o->training.resume || !ley_file_exists(path)) {
        LEY_TRY(training_learn_vocab(&report, &made, &request));
        printf("vocabulary %s: %d tokens, %.3f bytes each in the text\n", path, made.n_tokens,
               (double)report.n_bytes / (double)report.n_tokens);
    }
    return ley_model_file_open_vocab(&train->vocab_file, path);
}

// The shape of a new model; its vocabulary must hold the tokenizer's.
static enum ley_status make_new(struct train *train) {
    const struct options *o = train->options;
    struct ley_vocab vocab;
    struct language *language = &train->language;
    LEY_TRY(ley_model_config_load(&train->fresh.config, &train->fresh.is_tied, o->config));
    train->fresh.seed = (uint64_t)o->training.seed;
    LEY_TRY(open_tokenizer(train));
    LEY_TRY(ley_model_file_vocab(train->vocab_file, &vocab));
    if (vocab.n_tokens > train->fresh.config.n_vocab) {
        return ley_fail(LEY_E_ARGUMENT, "%s: vocab_size is %d, the tokenizer has %d tokens",
                        o->config, train->fresh.config.n_vocab, vocab.n_tokens);
    }
    LEY_TRY(ley_tokenizer_create(&language->tokenizer, &vocab));
    const struct ley_model_update update = {.weights = ley_fresh_source(&train->fresh)};
    return ley_model_file_make(&language->file, &train->fresh.config, &update);
}

static enum ley_status open_model(struct train *train) {
    const struct options *o = train->options;
    if (o->config) {
        if (o->language.threads > 0) {
            omp_set_num_threads(o->language.threads);
        }
        return make_new(train);
    }
    LEY_TRY(language_load(&train->language, &o->language));
    train->vocab_file = train->language.file;
    return LEY_OK;
}

// Room for eight tensors a layer.
static enum ley_status create_net(struct train *train) {
    const struct ley_model_config *config = ley_model_file_config(train->language.file);
    const struct ley_weight_source source = ley_model_file_source(train->language.file);
    int n = train->is_analog ? config->n_layers * LEY_SCALER_TENSORS : 0;
    enum ley_nn_dtype dtype;
    LEY_TRY(language_dtype(&dtype, train->options->language.dtype));
    struct ley_parameter *extra = ley_alloc((size_t)n, sizeof *extra);
    if (!extra) {
        return ley_fail_memory("scalers", (size_t)n, sizeof *extra);
    }
    if (train->is_analog) {
        ley_scaler_parameters(extra, config);
    }
    for (int i = 0; i < n; i++) {
        extra[i].decays = false;
    }
    enum ley_status status = ley_net_create(&train->net, config, &source, dtype, extra, n);
    ley_free(extra);
    return status;
}

// Scalers of the file, or calibrated; of a new model, initial ones: it has nothing to fit yet.
static enum ley_status set_chip(struct train *train) {
    struct language *language = &train->language;
    bool has_scalers;
    struct ley_calibration_report report;
    const struct language_forms plain = {false, false};
    if (!train->is_analog) {
        int window = train->options->language.window;
        ley_model_set_digital(ley_net_model(train->net), window > 0 ? window : 0);
        return LEY_OK;
    }
    LEY_TRY(ley_model_file_scalers(language->file, &language->scalers, &has_scalers));
    if (!has_scalers && !train->options->config) {
        LEY_TRY(language_calibrate(language, &report, NULL, 128, &plain));
        has_scalers = true;
    }
    LEY_TRY(ley_net_set_analog(train->net, &language->hardware));
    for (int l = 0; has_scalers && l < language->scalers.n_layers; l++) {
        ley_scaler_set_apply(&language->scalers, ley_model_attention(ley_net_model(train->net), l),
                             l);
    }
    ley_net_take_scalers(train->net);
    return LEY_OK;
}

// What a run wrote takes the place of the file's.
static enum ley_status save(struct train *train) {
    const struct options *o = train->options;
    const struct ley_model_config *config = ley_model_file_config(train->language.file);
    struct ley_scaler_set set = {0};
    char *hardware = NULL;
    struct ley_model_update update = {.weights = ley_net_weights(train->net), .origin = "adapted"};
    if (train->is_analog) {
        LEY_TRY(language_describe(&hardware, &train->language.hardware));
        update.hardware = (struct ley_string){hardware, strlen(hardware)};
        enum ley_status status = ley_scaler_set_create(
            &set, config->n_layers, &ley_model_attention(ley_net_model(train->net), 0)->shape);
        if (status != LEY_OK) {
            ley_free(hardware);
            return status;
        }
        ley_net_scalers(&set, train->net);
        update.scalers = &set;
    }
    ley_model_file_update(train->language.file, &update);
    enum ley_status status =
        training_write_model(o->out, train->language.file, train->vocab_file, o->type);
    ley_scaler_set_destroy(&set);
    ley_free(hardware);
    return status;
}

static enum ley_status train_model(struct train *train) {
    static const char *const stages[] = {"train"};
    const struct options *o = train->options;
    struct ley_net_objective objective = {.net = NULL};
    LEY_TRY(check(o));
    train->is_analog = strcmp(o->language.hw.name, "digital") != 0;
    if (train->is_analog) {
        LEY_TRY(language_hardware(&train->language.hardware, &o->language));
    }
    train->training = (struct training){.options = &o->training,
                                        .command = "train",
                                        .out = o->out,
                                        .invocation = &o->invocation,
                                        .language = &o->language};
    LEY_TRY(training_begin(&train->training, stages, 1));
    LEY_TRY(open_model(train));
    LEY_TRY(training_open_data(&train->training, &train->language, train->vocab_file));
    LEY_TRY(create_net(train));
    LEY_TRY(set_chip(train));
    ley_model_destroy(train->language.model); // what learns is the net's
    train->language.model = NULL;
    objective.net = train->net;
    const struct ley_objective learned = ley_net_objective(&objective);
    LEY_TRY(training_run(&train->training, train->net, &learned, "train", o->training.tokens,
                         o->training.rate > 0 ? o->training.rate : 6e-4));
    LEY_TRY(save(train));
    training_clean(&train->training, stages, 1);
    return LEY_OK;
}

static void release(struct train *train) {
    bool is_own = train->vocab_file && train->vocab_file != train->language.file;
    training_close(&train->training);
    ley_net_destroy(train->net);
    if (is_own) {
        ley_model_file_close(train->vocab_file);
    }
    language_close(&train->language);
}

// Digital by default: a chip is named by --hw.
int cmd_train(int argc, char **argv) {
    struct options o = {.invocation = {argc, argv},
                        .language = LANGUAGE_DEFAULTS,
                        .training = TRAINING_DEFAULTS,
                        .type = "bf16"};
    struct language_options *l = &o.language;
    const struct option_row rows[] = {
        LANGUAGE_ROWS(*l),
        {"out", 'o', OPTION_TEXT, &o.out, "FILE", "the model file to write"},
        {"config", 0, OPTION_TEXT, &o.config, "FILE", "a new model: its config.json"},
        {"tokenizer", 0, OPTION_TEXT, &o.tokenizer, "FILE",
         "of a new model: a model, or tokenizer.json"},
        {"type", 0, OPTION_TEXT, &o.type, "TYPE", "of the written matrices: f32, f16, bf16 (bf16)"},
        TRAINING_ROWS(o.training),
    };
    l->hw.name = "digital";
    int result = options_parse(argc, argv, &command, rows, sizeof rows / sizeof rows[0], NULL);
    if (result != 0) {
        return result == 1 ? EXIT_OK : result;
    }
    session_catch_interrupts();
    struct train train = {.options = &o};
    double begin_s = clock_s();
    enum ley_status status = train_model(&train);
    result = status == LEY_OK ? EXIT_OK : session_fail("train", status);
    if (status == LEY_OK) {
        training_print_end(begin_s);
    }
    release(&train);
    return result;
}
