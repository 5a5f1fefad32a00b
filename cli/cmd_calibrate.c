// cmd_calibrate.c - leyden calibrate: scalers for a model on a chip, kept in a model file
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "language.h"

static const struct command command = {
    "calibrate", "calibrate -m MODEL -o OUT.gguf [--hw PRESET|FILE] [-f TEXT] [OPTION]...",
    "Places every head's signals in the ranges of the chip, without training, and writes a copy "
    "of\n"
    "the model with these scalers and the hardware under leyden.* keys, which others ignore.",
    ""};

struct options {
    struct language_options language;
    const char *out, *file, *keys, *outputs;
    int n_tokens;
};

// The file keeps the whole hardware, not its name: presets may change.
static enum ley_status save(const struct language *language, const struct options *o) {
    char *hardware;
    LEY_TRY(language_describe(&hardware, &language->hardware));
    enum ley_status status = ley_model_file_save_scalers(o->out, language->file, &language->scalers,
                                                         hardware, "calibrated");
    ley_free(hardware);
    return status;
}

// What can be refused cheaply comes before loading the model, which takes longest.
static enum ley_status calibrate(struct language *language, const struct options *o) {
    char *text = NULL;
    size_t n;
    struct language_forms forms;
    struct ley_calibration_report report;
    if (!o->out) {
        return ley_fail(LEY_E_ARGUMENT, "-o OUT.gguf is missing");
    }
    LEY_TRY(language_forms(&forms, o->keys, o->outputs));
    // Analog hardware is needed even though the model runs digitally: it is calibrated for that
    // chip.
    LEY_TRY(session_hardware(&language->hardware, &o->language.hw));
    if (o->file) {
        LEY_TRY(ley_file_read(&text, &n, o->file, (size_t)1 << 26));
    }
    enum ley_status status = language_load(language, &o->language);
    if (status == LEY_OK) {
        status = language_calibrate(language, &report, text, o->n_tokens, &forms);
    }
    ley_free(text);
    LEY_TRY(status);
    LEY_TRY(save(language, o));
    printf("calibrated %d layers for %s in %.1f s\n"
           "unexplained variance of attention outputs: mean %.3f, worst %.3f (layer %d, head %d)\n"
           "written    %s\n",
           ley_model_config(language->model)->n_layers, o->language.hw.name, language->calibrate_s,
           report.unexplained, report.worst_unexplained, report.worst_layer, report.worst_head,
           o->out);
    return LEY_OK;
}

// Some hundred tokens are enough for a standard deviation (calibrate.h).
int cmd_calibrate(int argc, char **argv) {
    struct options o = {
        .language = LANGUAGE_DEFAULTS, .keys = "plain", .outputs = "plain", .n_tokens = 128};
    struct language_options *l = &o.language;
    const struct option_row rows[] = {
        LANGUAGE_ROWS(*l),
        {"out", 'o', OPTION_TEXT, &o.out, "FILE", "the model file to write"},
        {"file", 'f', OPTION_TEXT, &o.file, "FILE", "text to calibrate on (default: built in)"},
        {"tokens", 'n', OPTION_INT, &o.n_tokens, "N", "tokens of it at most (128)"},
        {"keys", 0, OPTION_TEXT, &o.keys, "FORM", "plain, or centred: without their mean (plain)"},
        {"outputs", 0, OPTION_TEXT, &o.outputs, "FORM", "plain, or normalised by scores (plain)"},
    };
    int result = options_parse(argc, argv, &command, rows, sizeof rows / sizeof rows[0], NULL);
    if (result != 0) {
        return result == 1 ? EXIT_OK : result;
    }
    session_catch_interrupts();
    struct language language = {0};
    enum ley_status status = calibrate(&language, &o);
    result = status == LEY_OK ? EXIT_OK : session_fail("calibrate", status);
    language_close(&language);
    return result;
}
