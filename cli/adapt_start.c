// adapt_start.c - scalers that leyden adapt starts from, and its method match
#include <stdio.h>
#include <string.h>

#include "adapt.h"

// ---- from a file, or calibrated

static enum ley_status put_on(struct adapt *adapt, const struct ley_hardware *hardware) {
    const struct ley_scaler_set *set = &adapt->language.scalers;
    LEY_TRY(ley_net_set_analog(adapt->net, hardware));
    for (int l = 0; l < set->n_layers; l++) {
        ley_scaler_set_apply(set, ley_model_attention(ley_net_model(adapt->net), l), l);
    }
    ley_net_take_scalers(adapt->net);
    return LEY_OK;
}

// A slope of zero would stay: steps are shares of it. A head whose output said nothing starts with
// a small one.
static void wake_outputs(struct ley_scaler_set *set) {
    for (int l = 0; l < set->n_layers; l++) {
        struct ley_scaler *scaler = ley_scaler_set_at(set, LEY_SIGNAL_OUTPUT, l);
        double most = 0;
        for (int h = 0; h < set->shape.n_query_heads; h++) {
            most = scaler[h].a > most ? scaler[h].a : most;
        }
        for (int h = 0; h < set->shape.n_query_heads; h++) {
            scaler[h].a = scaler[h].a > 0.05 * most ? scaler[h].a : 0.05 * most;
        }
    }
}

// Changes of the adapter first: scalers fit the weights they were found with.
static enum ley_status set_start(struct adapt *adapt, struct ley_hardware *made_for,
                                 bool *has_hardware) {
    struct language *language = &adapt->language;
    const struct ley_model_file *file = adapt->start ? adapt->start : language->file;
    bool has_scalers;
    struct ley_calibration_report report;
    if (adapt->lora.rank) {
        LEY_TRY(ley_net_set_lora(adapt->net, &adapt->lora));
    }
    if (adapt->adapter && (adapt->lora.rank || ley_adapter_n_changes(adapt->adapter) > 0)) {
        LEY_TRY(ley_adapter_give(adapt->net, adapt->adapter));
    }
    LEY_TRY(ley_net_pack(adapt->net));
    LEY_TRY(ley_model_file_scalers(file, &language->scalers, &has_scalers));
    LEY_TRY(language_file_hardware(made_for, has_hardware, file));
    *has_hardware = *has_hardware && has_scalers;
    if (has_scalers && adapt->forms.normalises_outputs && !language->scalers.normalises_outputs) {
        return ley_fail(LEY_E_ARGUMENT,
                        "--outputs normalised: the model or adapter has scalers for "
                        "plain outputs already; start from one without");
    }
    if (!has_scalers) {
        LEY_TRY(language_calibrate(language, &report, NULL, 128, &adapt->forms));
        // Slopes of normalised outputs say how much has to be open, not how much is said.
        if (!language->scalers.normalises_outputs) {
            wake_outputs(&language->scalers);
        }
        printf("calibrated in %.1f s: %.0f %% of the variance of attention unexplained\n",
               language->calibrate_s, 100 * report.unexplained);
    }
    return LEY_OK;
}

// ---- match

// One pass of training windows, from window `number` on.
static void read_windows(struct adapt *adapt, int32_t *tokens, int32_t *next, int64_t n,
                         int64_t number) {
    int64_t T = adapt->training.windows.n_context;
    for (int64_t b = 0; b < n; b++) {
        ley_windows_train(tokens + b * T, next + b * T, &adapt->training.windows, number + b);
    }
}

// M23: targets are the mean over some batches on the chip of before, then matched on one batch.
static enum ley_status match_on(struct adapt *adapt, struct ley_scaler_set *target,
                                struct ley_scaler_set *seen, int32_t *tokens, int64_t n_windows) {
    enum { BATCHES = 4 };
    int64_t T = adapt->training.windows.n_context;
    const struct ley_match_batch batch = {tokens, tokens + n_windows * T, n_windows, T};
    struct ley_model *model = ley_net_model(adapt->net);
    struct ley_match_result result;
    struct ley_session *session;
    double loss;
    LEY_TRY(ley_session_create(&session, model, n_windows, T));
    enum ley_status status = LEY_OK;
    for (int i = 0; status == LEY_OK && i < BATCHES; i++) {
        read_windows(adapt, tokens, tokens + n_windows * T, n_windows, i * n_windows);
        status = ley_model_distributions(seen, &loss, session, &batch);
        ley_match_average(target, seen, 1.0 / (i + 1));
    }
    ley_session_destroy(session);
    LEY_TRY(status);
    LEY_TRY(ley_net_set_analog(adapt->net, &adapt->language.hardware));
    LEY_TRY(ley_model_match(&result, model, target, &batch, NULL, NULL));
    ley_net_take_scalers(adapt->net);
    printf("match      %d iterations, loss %.4f before, %.4f, then %.4f%s\n", result.n_iterations,
           loss, result.first_loss, result.last_loss,
           result.is_matched ? "" : " (not all within the tolerance)");
    return LEY_OK;
}

static enum ley_status match(struct adapt *adapt) {
    struct ley_scaler_set target = {0}, seen = {0};
    const struct ley_scaler_set *like = &adapt->language.scalers;
    int64_t n_windows = adapt->options->training.pass, T = adapt->training.windows.n_context;
    int32_t *tokens = ley_alloc((size_t)(2 * n_windows * T), sizeof *tokens);
    enum ley_status status =
        tokens ? LEY_OK : ley_fail_memory("windows", (size_t)(2 * n_windows * T), sizeof *tokens);
    if (status == LEY_OK) {
        status = ley_scaler_set_create(&target, like->n_layers, &like->shape);
    }
    if (status == LEY_OK) {
        status = ley_scaler_set_create(&seen, like->n_layers, &like->shape);
    }
    if (status == LEY_OK) {
        status = match_on(adapt, &target, &seen, tokens, n_windows);
    }
    ley_scaler_set_destroy(&target);
    ley_scaler_set_destroy(&seen);
    ley_free(tokens);
    return status;
}

enum ley_status adapt_start(struct adapt *adapt) {
    struct ley_hardware made_for;
    bool has_hardware = false;
    LEY_TRY(set_start(adapt, &made_for, &has_hardware));
    if (!adapt->has[MATCH]) {
        return put_on(adapt, &adapt->language.hardware);
    }
    if (!has_hardware) {
        return ley_fail(LEY_E_ARGUMENT, "--method match needs a model with scalers of another "
                                        "chip: leyden adapt --hw paper-linear makes one");
    }
    if (adapt->language.scalers.normalises_outputs) {
        return ley_fail(LEY_E_ARGUMENT, "--method match is for plain outputs; these are normalised "
                                        "(leyden calibrate --outputs plain makes others)");
    }
    LEY_TRY(put_on(adapt, &made_for));
    return match(adapt);
}
