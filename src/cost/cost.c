// cost.c - puts all figures in their order: given ones, then what follows from them
//
// Formulas whose number does not vary are rows of figure.def; those made here are of retention
// (for each token period) and of rivals (for each device, number format and batch).
#include "cost/cost.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "array/retention.h"
#include "core/assert.h"

// Text of a key or formula made of a pattern.
struct text {
    char at[256];
};

static struct text make(const char *pattern, ...) __attribute__((format(printf, 1, 2)));

// A text that does not fit is a mistake in this file.
static struct text make(const char *pattern, ...) {
    struct text text;
    va_list arguments;
    va_start(arguments, pattern);
    int n = vsnprintf(text.at, sizeof text.at, pattern, arguments);
    va_end(arguments);
    LEY_ASSERT(n >= 0 && (size_t)n < sizeof text.at);
    return text;
}

// A given number without a range.
static void give(struct ley_figures *figures, const char *key, const char *unit, double value,
                 const char *source) {
    ley_figures_give(figures, key, unit, value, value, value, source);
}

// Sizes of the model; those of layers beyond attention only where they are known.
static void give_shape(struct ley_figures *figures, const struct ley_cost_shape *shape) {
    const struct {
        const char *key;
        int value;
    } rows[] = {
        {"shape.n_layers", shape->n_layers},     {"shape.n_heads", shape->n_heads},
        {"shape.n_kv_heads", shape->n_kv_heads}, {"shape.head_dim", shape->head_dim},
        {"shape.d_model", shape->d_model},       {"shape.d_ff", shape->d_ff},
        {"shape.n_vocab", shape->n_vocab},       {"shape.mlp_matrices", shape->mlp_matrices},
    };
    int n_rows = shape->d_model > 0 ? 8 : 4;
    for (int i = 0; i < n_rows; i++) {
        give(figures, rows[i].key, "", rows[i].value, "the model");
    }
}

// What formulas need of the chip; the ring as it is, not 0.
static void give_hardware(struct ley_figures *figures, const struct ley_hardware *hardware) {
    const struct ley_param_table *table = ley_hardware_params();
    for (int i = 0; i < table->n_rows; i++) {
        const struct ley_param *row = &table->rows[i];
        bool is_time = strncmp(row->key, "time.", 5) == 0;
        bool is_size = strncmp(row->key, "array.", 6) == 0 && row->type == LEY_PARAM_INT;
        if (strcmp(row->key, "array.ring") == 0) {
            give(figures, row->key, "", ley_hardware_ring(hardware),
                 "hardware: columns of the ring, the window unless array.ring says more (M15)");
        } else if (is_time || is_size) {
            struct text source = make("hardware: %s (%s)", row->doc, row->source);
            give(figures, row->key, row->unit, ley_param_number(row, hardware), source.at);
        }
    }
}

// A table of numbers with their ranges; `prefix` goes before the keys.
static void give_table(struct ley_figures *figures, const char *prefix,
                       const struct ley_param_table *table, const void *spec,
                       const struct ley_param_note *notes) {
    for (int i = 0; i < table->n_rows; i++) {
        const struct ley_param *row = &table->rows[i];
        double value = ley_param_number(row, spec);
        bool has_note = notes[i].source[0];
        struct text key = make("%s%s", prefix, row->key);
        struct text source =
            make("%.90s: %.160s", row->doc, has_note ? notes[i].source : "default");
        ley_figures_give(figures, key.at, row->unit, value, has_note ? notes[i].low : value,
                         has_note ? notes[i].high : value, source.at);
    }
}

// Events, then the product of each with its price, then the sums of parts (M30).
static void price_events(struct ley_figures *figures, const struct ley_activity *activity,
                         const char *source) {
    static const struct {
        const char *part, *meaning;
    } parts[] = {
        {"qk", "M30, S3.4: arrays of K and their converters"},
        {"av", "M30, S3.4: arrays of V and their converters"},
        {"digital", "M30, S3.4: digital control, counters, adders, scalers"},
        {"dac", "M30, S3.4: DACs of q, k and v, and writing"},
    };
    int n_events, n_prices;
    const struct ley_event *events = ley_events(&n_events);
    const struct ley_price *prices = ley_prices(&n_prices);
    for (int i = 0; i < n_events; i++) {
        struct text key = make("events.%s", events[i].name);
        struct text from = make("%.90s: %.160s", events[i].meaning, source);
        const char *unit = events[i].is_count ? "" : strstr(events[i].name, "_s") ? "s" : "C";
        give(figures, key.at, unit, ley_activity_value(activity, i), from.at);
    }
    for (int part = 0; part < 4; part++) {
        struct text sum = {""};
        for (int i = 0; i < n_prices; i++) {
            const struct ley_price *price = &prices[i];
            if (strcmp(price->part, parts[part].part) == 0) {
                struct text key = make("energy.%s", price->item);
                struct text product = make("events.%s * price.%s", price->event, price->field);
                struct text meaning = make("%s: %s", price->source, price->doc);
                ley_figures_derive(figures, key.at, "J", product.at, meaning.at);
                sum = make("%.150s%s%s", sum.at, *sum.at ? " + " : "", key.at);
            }
        }
        ley_figures_derive(figures, make("energy.%s", parts[part].part).at, "J", sum.at,
                           parts[part].meaning);
    }
}

// Rows of figure.def.
static void derive_rows(struct ley_figures *figures, bool has_whole) {
    enum { BASE, WHOLE };
    static const struct {
        int section;
        const char *key, *unit, *formula, *source;
    } rows[] = {
#define LEY_FIGURE(section, key, unit, formula, source) {section, key, unit, formula, source},
#include "cost/figure.def"
#undef LEY_FIGURE
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].section == BASE || has_whole) {
            ley_figures_derive(figures, rows[i].key, rows[i].unit, rows[i].formula, rows[i].source);
        }
    }
}

// ---- retention (M35)

static const char error_source[] = "M35: largest move of a level's read current by the oldest "
                                   "token's age, in halves of the step to the next level; "
                                   "1: the level is lost";

// One policy at one token period; its columns a token are a formula.
static void derive_policy(struct ley_figures *figures, const char *period, const char *policy,
                          const char *columns, const char *source) {
    struct text stem = make("refresh.%s.%s", period, policy);
    ley_figures_derive(figures, make("%s.columns_per_token", stem.at).at, "", columns, source);
    ley_figures_derive(
        figures, make("%s.energy_per_token_j", stem.at).at, "J",
        make("shape.n_layers * shape.n_kv_heads * %s.columns_per_token * refresh.column_j", stem.at)
            .at,
        "M35: extra energy, banks of all layers");
    ley_figures_derive(figures, make("%s.energy_share", stem.at).at, "",
                       make("%s.energy_per_token_j / energy_per_token_j", stem.at).at,
                       "M35: of the energy of attention");
    ley_figures_derive(figures, make("%s.busy_share", stem.at).at, "",
                       make("(latency_per_layer_s + %s.columns_per_token * refresh.column_s) / "
                            "retention.%s.period_s",
                            stem.at, period)
                           .at,
                       "M35: of the token period that a bank is busy; above 1 it is impossible");
}

// Whether the window holds at a token period, and what each policy takes.
static void derive_period(struct ley_figures *figures, const struct ley_cost_input *input,
                          const char *period, const char *formula, const char *source) {
    struct text stem = make("retention.%s", period);
    struct text seconds = make("%s.period_s", stem.at), oldest = make("%s.oldest_age_s", stem.at);
    ley_figures_derive(figures, seconds.at, "s", formula, source);
    ley_figures_derive(figures, oldest.at, "s", make("(array.window - 1) * %s", seconds.at).at,
                       "age of the oldest token in the window when it is read");
    double age_s = ley_figures_value(figures, oldest.at);
    give(figures, make("%s.error_half_levels", stem.at).at, "",
         ley_retention_error(input->hardware, input->cell, age_s), error_source);
    give(figures, make("%s.current_error", stem.at).at, "",
         ley_retention_miss(input->hardware, input->cell, age_s),
         "M35: move of the oldest token's read currents by their size, over all levels");
    ley_figures_derive(figures, make("%s.hold_tokens", stem.at).at, "",
                       make("floor(retention.hold_s / %s)", seconds.at).at,
                       "M35: oldest age in tokens at which no level is lost");
    ley_figures_derive(figures, make("refresh.%s.every.oldest_age_s", period).at, "s",
                       make("min(refresh.tokens, array.window - 1) * %s", seconds.at).at,
                       "age at which a column is rewritten, or leaves the window");
    give(figures, make("refresh.%s.every.error_half_levels", period).at, "",
         ley_retention_error(
             input->hardware, input->cell,
             ley_figures_value(figures, make("refresh.%s.every.oldest_age_s", period).at)),
         error_source);
    derive_policy(figures, period, "every", "floor((array.window - 1) / refresh.tokens)",
                  "M35: rewrites of a column before it leaves the window, each R tokens");
    // Columns are rewritten when a token comes; levels lost within one period would need more.
    struct text hold = make("%s.hold_tokens", stem.at);
    bool is_whole = ley_figures_value(figures, hold.at) >= 1;
    derive_policy(figures, period, "on_error",
                  is_whole ? make("floor((array.window - 1) / %s)", hold.at).at
                           : make("floor(%s / retention.hold_s)", oldest.at).at,
                  "M35: rewrites of a column before it leaves the window, each when a level is "
                  "about to be lost");
}

// What does not depend on the token period, then each period.
static void derive_retention(struct ley_figures *figures, const struct ley_cost_input *input) {
    give(figures, "retention.hold_s", "s", ley_retention_hold_s(input->hardware, input->cell),
         "M35: age at which the first level has moved by half of the step to the next; bisection");
    give(figures, "refresh.tokens", "", input->refresh_tokens,
         "R of the policy that rewrites every R tokens (--refresh)");
    give(figures, "refresh.sense_charge_c", "C",
         ley_retention_sense_charge_c(input->hardware, input->cell),
         "M35: charge through one cell under the longest pulse, mean over levels");
    ley_figures_derive(figures, "refresh.cell_j", "J",
                       "refresh.sense_charge_c * price.k_charge_j_per_c + "
                       "price.output_conversion_j + price.write_dac_j + price.cell_write_j",
                       "M35 [ours]: read one cell, convert, write it again");
    ley_figures_derive(figures, "refresh.column_j", "J", "2 * shape.head_dim * refresh.cell_j",
                       "M35: K and V of one token");
    ley_figures_derive(
        figures, "refresh.column_s", "s",
        "shape.head_dim * (time.q_pulse_s + time.output_pulse_s) + time.write_s",
        "M35 [ours]: cells of K share a bit line and are read one by one, those of V "
        "meanwhile; then both are written");
    derive_period(figures, input, "given", "time.token_period_s",
                  "the token period that was asked for (time.token_period_s)");
    if (input->shape.d_model > 0) {
        derive_period(figures, input, "network", "max(whole.token_s, time.token_period_s)",
                      "the token period that the whole network allows, if longer (M36)");
    }
}

// ---- rivals (M37)

// Time and energy of attention against the chip's, for one layer and token.
static void derive_gains(struct ley_figures *figures, const char *stem) {
    ley_figures_derive(figures, make("%s.latency_gain", stem).at, "",
                       make("%s.attention_s / latency_per_layer_s", stem).at,
                       "M37: one layer, one token");
    if (ley_figures_find(figures, make("%s.attention_j", stem).at)) {
        ley_figures_derive(figures, make("%s.energy_gain", stem).at, "",
                           make("%s.attention_j / energy_per_layer_j", stem).at,
                           "M37: one layer, one token");
    }
}

// Attention of one layer at the peaks of a device, one number format of the cache.
static void derive_roofline(struct ley_figures *figures, const char *device, const char *format,
                            double n_bytes) {
    struct text stem = make("roofline.%s.%s", device, format);
    give(figures, make("%s.kv_bytes", stem.at).at, "", n_bytes,
         "bytes of a number in the KV cache; scales of groups are not counted");
    ley_figures_derive(
        figures, make("%s.attention_s", stem.at).at, "s",
        make("max(softmax.kv_per_layer * %s.kv_bytes / %s.device.bytes_per_s, "
             "2 * softmax.macs_per_layer / %s.device.flop_per_s)",
             stem.at, device, device)
            .at,
        "M37: memory or FP16 arithmetic at peak, one layer, a token; sequences of a batch share "
        "nothing, so batch 1 and 64 are the same");
    ley_figures_derive(figures, make("%s.attention_j", stem.at).at, "J",
                       make("%s.attention_s * %s.device.power_w", stem.at, device).at,
                       "M37 [ours]: at the full power of the board");
    derive_gains(figures, stem.at);
}

// The whole token at the peaks of a device: a batch fetches weights once.
static void derive_token(struct ley_figures *figures, const char *device, const char *format,
                         int n_batch) {
    struct text line = make("roofline.%s.%s", device, format);
    struct text stem = make("%s.b%d", line.at, n_batch);
    ley_figures_derive(
        figures, make("%s.memory_s", stem.at).at, "s",
        make("(2 * macs.total / %d + shape.n_layers * softmax.kv_per_layer * %s.kv_bytes) / "
             "%s.device.bytes_per_s",
             n_batch, line.at, device)
            .at,
        "M37: FP16 weights once for the batch, and the cache, by a token");
    ley_figures_derive(
        figures, make("%s.arithmetic_s", stem.at).at, "s",
        make("2 * (macs.total + shape.n_layers * softmax.macs_per_layer) / %s.device.flop_per_s",
             device)
            .at,
        "M37: by a token");
    ley_figures_derive(figures, make("%s.token_s", stem.at).at, "s",
                       make("max(%s.memory_s, %s.arithmetic_s)", stem.at, stem.at).at,
                       "M37: the slower of the two, by a token; a step takes this times the batch");
    ley_figures_derive(figures, make("%s.token_j", stem.at).at, "J",
                       make("%s.token_s * %s.device.power_w", stem.at, device).at,
                       "M37 [ours]: at the full power of the board");
    ley_figures_derive(figures, make("%s.token_latency_gain", stem.at).at, "",
                       make("%s.token_s / whole.token_s", stem.at).at, "M37: the whole token");
    ley_figures_derive(figures, make("%s.token_energy_gain", stem.at).at, "",
                       make("%s.token_j / whole.token_j", stem.at).at, "M37: the whole token");
}

// What its makers or others measured, when it was measured for this layer.
static void give_measured(struct ley_figures *figures, const struct ley_cost_input *input,
                          const struct ley_device_file *file) {
    const struct ley_device *device = &file->device;
    double n_kv_heads = device->n_kv_heads > 0 ? device->n_kv_heads : device->n_heads;
    bool is_same = device->n_heads == input->shape.n_heads &&
                   n_kv_heads == input->shape.n_kv_heads &&
                   device->head_dim == input->shape.head_dim &&
                   device->n_tokens == input->hardware->array.window;
    if (!is_same || device->attention_s == 0) {
        return;
    }
    struct text stem = make("measured.%s", file->name);
    ley_figures_derive(figures, make("%s.attention_s", stem.at).at, "s",
                       make("%s.measured.attention_s", file->name).at,
                       "M37: one layer, one token of a batch");
    if (device->attention_j > 0) {
        ley_figures_derive(figures, make("%s.attention_j", stem.at).at, "J",
                           make("%s.measured.attention_j", file->name).at,
                           "M37: one layer, one token of a batch");
    }
    derive_gains(figures, stem.at);
}

// Devices in the order of their files, each with what was measured before its peaks.
static void derive_rivals(struct ley_figures *figures, const struct ley_cost_input *input) {
    static const struct {
        const char *name;
        double n_bytes;
    } formats[] = {{"fp16", 2}, {"int8", 1}, {"int4", 0.5}};
    for (int i = 0; i < input->n_devices; i++) {
        const struct ley_device_file *file = &input->devices[i];
        give_table(figures, make("%s.", file->name).at, ley_device_params(), &file->device,
                   file->note);
        give_measured(figures, input, file);
        for (int f = 0; f < 3 && ley_device_has_peaks(file); f++) {
            derive_roofline(figures, file->name, formats[f].name, formats[f].n_bytes);
            for (int b = 0; input->shape.d_model > 0 && b < 2; b++) {
                derive_token(figures, file->name, formats[f].name, b ? 64 : 1);
            }
        }
    }
    if (input->cpu) {
        give(figures, "measured.cpu.attention_s", "s", input->cpu->attention_s, input->cpu->source);
        if (input->cpu->attention_j > 0) {
            give(figures, "measured.cpu.attention_j", "J", input->cpu->attention_j,
                 input->cpu->source);
        }
        derive_gains(figures, "measured.cpu");
    }
}

// The order is that of dependence: a formula sees only what was added before it.
enum ley_status ley_cost_create(struct ley_figures **figures, const struct ley_cost_input *input) {
    struct ley_activity activity;
    const struct ley_cost_shape *shape = &input->shape;
    LEY_TRY(ley_figures_create(figures));
    if (input->events) {
        activity = *input->events;
    } else {
        ley_activity_uniform(&activity, input->hardware, input->cell, shape->head_dim,
                             shape->n_heads / shape->n_kv_heads);
    }
    give_shape(*figures, shape);
    give_hardware(*figures, input->hardware);
    give_table(*figures, "", ley_technology_params(), &input->technology->technology,
               input->technology->note);
    price_events(*figures, &activity,
                 input->events ? input->events_source
                               : "expected of uniform random codes on a full ring (M32)");
    derive_rows(*figures, shape->d_model > 0);
    derive_retention(*figures, input);
    derive_rivals(*figures, input);
    return LEY_OK;
}
