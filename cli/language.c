// language.c - opening a model for a command
#include "language.h"

#include <cjson/cJSON.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cost_study.h"
#include "model/calibration_text.h"

// More is not better: the output is not normalised by the length of the context, so that scalers of
// longer texts fit worse (MODEL.md, M20).
enum { CALIBRATION_TOKENS = 128 };

// Monotonic: a clock that is set back must not make a run look fast.
double clock_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// The spelling of --dtype.
enum ley_status language_dtype(enum ley_nn_dtype *dtype, const char *name) {
    if (strcmp(name, "auto") == 0) {
        *dtype = LEY_NN_AUTO;
    } else if (strcmp(name, "f32") == 0) {
        *dtype = LEY_NN_F32;
    } else if (strcmp(name, "bf16") == 0) {
        *dtype = LEY_NN_BF16;
    } else {
        return ley_fail(LEY_E_ARGUMENT, "--dtype is '%s', must be auto, f32 or bf16", name);
    }
    return LEY_OK;
}

enum ley_status language_forms(struct language_forms *forms, const char *keys,
                               const char *outputs) {
    *forms =
        (struct language_forms){strcmp(keys, "centred") == 0, strcmp(outputs, "normalised") == 0};
    if (!forms->centres_keys && strcmp(keys, "plain") != 0) {
        return ley_fail(LEY_E_ARGUMENT, "--keys is '%s', must be plain or centred", keys);
    }
    if (!forms->normalises_outputs && strcmp(outputs, "plain") != 0) {
        return ley_fail(LEY_E_ARGUMENT, "--outputs is '%s', must be plain or normalised", outputs);
    }
    return LEY_OK;
}

// The tokenizer copies what it needs, so the vocabulary may go with the file later.
static enum ley_status load_tokenizer(struct language *language) {
    struct ley_vocab vocab;
    LEY_TRY(ley_model_file_vocab(language->file, &vocab));
    return ley_tokenizer_create(&language->tokenizer, &vocab);
}

// An adapter belongs to a model that the user knows.
void language_choose(struct language_options *options) {
    if (!options->model && !options->adapter) {
        bool is_digital = strcmp(options->hw.name, "digital") == 0;
        options->model = is_digital ? "small" : "small-paper";
        fprintf(stderr, "note: no -m MODEL: the small one that comes with Leyden (-m %s)\n",
                options->model);
    }
}

// Options are checked before the file is opened, the file before weights are packed.
enum ley_status language_load(struct language *language, const struct language_options *options) {
    enum ley_nn_dtype dtype = LEY_NN_AUTO;
    double start_s = clock_s();
    if (!options->model) {
        return ley_fail(LEY_E_ARGUMENT,
                        "-m MODEL is missing: a GGUF file or a Hugging Face folder");
    }
    if (options->threads < 0 || options->threads > 4096) {
        return ley_fail(LEY_E_ARGUMENT, "--threads is %d, must be 1..4096", options->threads);
    }
    if (options->threads > 0) {
        omp_set_num_threads(options->threads);
    }
    LEY_TRY(language_dtype(&dtype, options->dtype));
    LEY_TRY(ley_model_file_open(&language->file, options->model));
    if (options->adapter) {
        LEY_TRY(ley_model_file_apply(language->file, options->adapter));
    }
    LEY_TRY(load_tokenizer(language));
    struct ley_weight_source source = ley_model_file_source(language->file);
    LEY_TRY(
        ley_model_create(&language->model, ley_model_file_config(language->file), &source, dtype));
    language->is_digital = true;
    language->scaler_origin = "none";
    language->load_s = clock_s() - start_s;
    return LEY_OK;
}

// No special tokens: calibration sees plain text. At most n_tokens of it, at least 16.
enum ley_status language_calibrate(struct language *language, struct ley_calibration_report *report,
                                   const char *text, int64_t n_tokens,
                                   const struct language_forms *forms) {
    struct ley_tokens tokens = {0};
    struct ley_progress progress = session_progress("calibrating, layers");
    text = text ? text : ley_calibration_text;
    double start_s = clock_s();
    LEY_TRY(ley_tokenizer_encode(&tokens, language->tokenizer, text, strlen(text), 0));
    if ((int64_t)tokens.n < n_tokens) {
        n_tokens = (int64_t)tokens.n;
    }
    const struct ley_calibration_options options = {tokens.id, n_tokens, forms->centres_keys,
                                                    forms->normalises_outputs, &progress};
    enum ley_status status =
        n_tokens < 16
            ? ley_fail(LEY_E_ARGUMENT, "the calibration text has %lld tokens; give some hundred",
                       (long long)n_tokens)
            : ley_model_calibrate(&language->scalers, report, language->model, &language->hardware,
                                  &options);
    ley_tokens_destroy(&tokens);
    language->calibrate_s = clock_s() - start_s;
    return status;
}

enum ley_status language_file_hardware(struct ley_hardware *hardware, bool *has_one,
                                       const struct ley_model_file *file) {
    struct ley_string text = ley_model_file_hardware(file);
    *has_one = text.n > 0;
    memset(hardware, 0, sizeof *hardware);
    ley_params_init(ley_hardware_params(), hardware);
    return *has_one ? ley_params_read_yaml(ley_hardware_params(), hardware, text.text, text.n,
                                           "leyden.hardware")
                    : LEY_OK;
}

// Scalers fit one chip. Says so when the file's were made for another: names the first parameter
// that differs (where a table lies does not count).
static enum ley_status compare_hardware(const struct language *language) {
    const struct ley_param_table *table = ley_hardware_params();
    struct ley_hardware made_for;
    bool has_one;
    LEY_TRY(language_file_hardware(&made_for, &has_one, language->file));
    for (int i = 0; has_one && i < table->n_rows; i++) {
        char then[LEY_PATH_BYTES], now[LEY_PATH_BYTES];
        ley_param_format(then, sizeof then, &table->rows[i], &made_for);
        ley_param_format(now, sizeof now, &table->rows[i], &language->hardware);
        if (table->rows[i].type != LEY_PARAM_PATH && strcmp(then, now) != 0) {
            fprintf(
                stderr,
                "note: the scalers in the file were made for another hardware (%s was %s, is %s); "
                "leyden calibrate makes fitting ones\n",
                table->rows[i].key, then, now);
            break;
        }
    }
    return LEY_OK;
}

// The file's scalers, or new ones.
static enum ley_status find_scalers(struct language *language) {
    bool has_scalers;
    LEY_TRY(ley_model_file_scalers(language->file, &language->scalers, &has_scalers));
    if (has_scalers) {
        language->scaler_origin = ley_model_file_scaler_origin(language->file);
        return compare_hardware(language);
    }
    const struct language_forms plain = {false, false};
    struct ley_calibration_report report;
    fprintf(stderr,
            "the model file holds no scalers for analog attention: calibrating on a built-in "
            "text (leyden calibrate keeps them). Without adaptation expect poor text.\n");
    LEY_TRY(language_calibrate(language, &report, NULL, CALIBRATION_TOKENS, &plain));
    fprintf(stderr,
            "calibrated in %.1f s; %.0f %% of the variance of attention stays unexplained\n",
            language->calibrate_s, 100 * report.unexplained);
    language->scaler_origin = "calibrated now";
    return LEY_OK;
}

// Scalers first: calibration runs the model while its attention is still digital.
static enum ley_status set_analog(struct language *language) {
    LEY_TRY(find_scalers(language));
    LEY_TRY(ley_model_set_analog(language->model, &language->hardware));
    for (int layer = 0; layer < language->scalers.n_layers; layer++) {
        ley_scaler_set_apply(&language->scalers, ley_model_attention(language->model, layer),
                             layer);
    }
    language->is_digital = false;
    return LEY_OK;
}

// The window after --set, since the option says what a comparison varies.
enum ley_status language_hardware(struct ley_hardware *hardware,
                                  const struct language_options *options) {
    char window[32];
    LEY_TRY(session_hardware(hardware, &options->hw));
    snprintf(window, sizeof window, "%d", options->window);
    return options->window == -1
               ? LEY_OK
               : ley_params_set(ley_hardware_params(), hardware, "array.window", window);
}

// "digital" is no preset: it stands for the softmax reference.
enum ley_status language_set_hardware(struct language *language,
                                      const struct language_options *options) {
    if (strcmp(options->hw.name, "digital") == 0) {
        if (options->hw.set.n > 0) {
            return ley_fail(LEY_E_ARGUMENT, "--set %s: digital attention has no hardware",
                            options->hw.set.text[0]);
        }
        if (options->window != -1 && options->window < 1) {
            return ley_fail(LEY_E_ARGUMENT, "--window is %d, must be 1 or more", options->window);
        }
        ley_model_set_digital(language->model, options->window > 0 ? options->window : 0);
        return LEY_OK;
    }
    LEY_TRY(language_hardware(&language->hardware, options));
    return set_analog(language);
}

// A hardware is loaded twice: once to refuse a wrong name early, once for good.
enum ley_status language_open(struct language *language, const struct language_options *options) {
    if (strcmp(options->hw.name, "digital") != 0) { // a wrong name should not cost a load
        LEY_TRY(session_hardware(&language->hardware, &options->hw));
    }
    LEY_TRY(language_load(language, options));
    return language_set_hardware(language, options);
}

enum ley_status language_sampler(struct ley_sampler **sampler, const struct language *language,
                                 const struct sampling_options *options) {
    const struct ley_sampling sampling = {.temperature = options->temperature,
                                          .top_k = options->top_k,
                                          .top_p = options->top_p,
                                          .seed = (uint64_t)options->seed};
    return ley_sampler_create(sampler, &sampling, ley_model_config(language->model)->n_vocab);
}

// Also of a language that was opened in part: every destroy accepts NULL.
void language_close(struct language *language) {
    ley_model_destroy(language->model);
    ley_tokenizer_destroy(language->tokenizer);
    ley_scaler_set_destroy(&language->scalers);
    ley_model_file_close(language->file);
    memset(language, 0, sizeof *language);
}

// The complete hardware as YAML text (ley_free it).
enum ley_status language_describe(char **text, const struct ley_hardware *hardware) {
    // A fixed room is enough: every parameter is one bounded line.
    enum { N_BYTES = 1 << 14 };
    *text = ley_alloc(N_BYTES, 1);
    FILE *file = *text ? fmemopen(*text, N_BYTES, "w") : NULL;
    if (!file) {
        ley_free(*text);
        return ley_fail_memory("the description of the hardware", N_BYTES, 1);
    }
    ley_params_print_yaml(file, ley_hardware_params(), hardware);
    if (fclose(file) != 0 || strlen(*text) >= N_BYTES - 1) {
        ley_free(*text);
        return ley_fail(LEY_E_ARGUMENT, "the description of the hardware is too long");
    }
    return LEY_OK;
}

void language_add_name(struct cJSON *root, const struct language *language) {
    const struct ley_model_config *config = ley_model_config(language->model);
    if (*config->name) {
        cJSON_AddStringToObject(root, "model_name", config->name);
    }
}

// Two results are of the same model when this is the same.
void language_add_shape(struct cJSON *root, const struct language *language) {
    struct ley_cost_shape shape = cost_shape_of(ley_model_config(language->model));
    cost_shape_add_json(cJSON_AddObjectToObject(root, "shape"), &shape);
}

// In the order of layers, so sums have the same bits in every run.
struct ley_ledger language_total(const struct language *language,
                                 const struct ley_ledger *ledgers) {
    struct ley_ledger total = {0};
    for (int layer = 0; layer < ley_model_config(language->model)->n_layers; layer++) {
        ley_ledger_add(&total, &ledgers[layer]);
    }
    return total;
}
