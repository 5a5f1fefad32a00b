// cost_study.c - gathers chip, technology, model and events for the figures of leyden cost
#include "cost_study.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cpu_attention.h"

enum { MAX_EVENTS_BYTES = 1 << 26 };

enum ley_status cost_load_technology(struct ley_technology_file *file,
                                     const struct text_list *names) {
    LEY_TRY(ley_technology_init(file));
    for (int i = 0; i < names->n; i++) {
        LEY_TRY(ley_technology_load(file, names->text[i]));
    }
    return LEY_OK;
}

// A gated MLP has a third matrix.
struct ley_cost_shape cost_shape_of(const struct ley_model_config *config) {
    return (struct ley_cost_shape){
        .n_layers = config->n_layers,
        .n_heads = config->n_heads,
        .n_kv_heads = config->n_kv_heads,
        .head_dim = config->head_dim,
        .d_model = config->d_model,
        .d_ff = config->d_ff,
        .n_vocab = config->n_vocab,
        .mlp_matrices = config->activation == LEY_SWIGLU ? 3 : 2,
    };
}

// One list for both directions.
#define SHAPE_FIELDS(X)                                                                            \
    X(n_layers) X(n_heads) X(n_kv_heads) X(head_dim) X(d_model) X(d_ff) X(n_vocab) X(mlp_matrices)

// Keys are the names of the fields.
void cost_shape_add_json(struct cJSON *root, const struct ley_cost_shape *shape) {
#define ADD(field) cJSON_AddNumberToObject(root, #field, shape->field);
    SHAPE_FIELDS(ADD)
#undef ADD
}

// What is missing is 0, which the check refuses where it matters.
enum ley_status cost_shape_read_json(struct ley_cost_shape *shape, const struct cJSON *root) {
    *shape = (struct ley_cost_shape){0};
#define READ(field)                                                                                \
    const struct cJSON *field = cJSON_GetObjectItem(root, #field);                                 \
    shape->field = cJSON_IsNumber(field) ? field->valueint : 0;
    SHAPE_FIELDS(READ)
#undef READ
    return ley_cost_shape_check(shape);
}

// ---- --set, which serves chip and technology

// Chip and technology share no group of keys, so the group decides.
static bool is_technology_key(const char *pair) {
    return strncmp(pair, "price.", 6) == 0 || strncmp(pair, "area.", 5) == 0 ||
           strncmp(pair, "digital.", 8) == 0;
}

// Files in their order, then --set.
static enum ley_status load_technology(struct cost_study *study, const struct cost_options *o) {
    LEY_TRY(cost_load_technology(&study->technology, &o->technology));
    snprintf(study->technology_name, sizeof study->technology_name, "paper");
    for (int i = 0; i < o->technology.n; i++) {
        size_t n = i ? strlen(study->technology_name) : 0;
        snprintf(study->technology_name + n, sizeof study->technology_name - n, "%s%.100s",
                 i ? " + " : "", o->technology.text[i]);
    }
    for (int i = 0; i < o->hw.set.n; i++) {
        if (is_technology_key(o->hw.set.text[i])) {
            LEY_TRY(ley_technology_set(&study->technology, o->hw.set.text[i]));
        }
    }
    return LEY_OK;
}

// The chip of the options, without the part of --set that is about technology.
static enum ley_status load_hardware(struct cost_study *study, const struct cost_options *o) {
    struct hardware_options hw = o->hw;
    study->is_hardware_given = hw.name || o->window >= 0 || o->token_period_s != 0;
    hw.name = hw.name ? hw.name : "paper";
    hw.set.n = 0;
    for (int i = 0; i < o->hw.set.n; i++) {
        if (!is_technology_key(o->hw.set.text[i])) {
            hw.set.text[hw.set.n++] = o->hw.set.text[i];
            study->is_hardware_given = true;
        }
    }
    snprintf(study->hw_name, sizeof study->hw_name, "%s", hw.name);
    LEY_TRY(session_hardware(&study->hardware, &hw));
    char pair[64];
    if (o->window >= 0) {
        snprintf(pair, sizeof pair, "array.window=%d", o->window);
        LEY_TRY(ley_params_set_pair(ley_hardware_params(), &study->hardware, pair));
    }
    if (o->token_period_s != 0) {
        snprintf(pair, sizeof pair, "time.token_period_s=%.17g", o->token_period_s);
        LEY_TRY(ley_params_set_pair(ley_hardware_params(), &study->hardware, pair));
    }
    return LEY_OK;
}

// ---- events of a run

// Sets every parameter of `hardware` that a result states.
static enum ley_status read_hardware(struct ley_hardware *hardware, const struct cJSON *list,
                                     const char *path) {
    const struct ley_param_table *table = ley_hardware_params();
    const struct cJSON *item;
    memset(hardware, 0, sizeof *hardware);
    ley_params_init(table, hardware);
    cJSON_ArrayForEach(item, list) {
        char value[LEY_PATH_BYTES];
        snprintf(value, sizeof value, "%.17g", item->valuedouble);
        enum ley_status status = ley_params_set(table, hardware, item->string,
                                                cJSON_IsString(item) ? item->valuestring : value);
        if (status != LEY_OK) {
            return ley_fail_within(status, path);
        }
    }
    return LEY_OK;
}

// The chip that was asked for must be that of the events; none asked for: it is.
static enum ley_status match_hardware(struct cost_study *study, const struct cost_options *o,
                                      const struct cJSON *root) {
    struct ley_hardware made_on;
    const struct ley_param_table *table = ley_hardware_params();
    LEY_TRY(read_hardware(&made_on, cJSON_GetObjectItem(root, "hardware"), o->events));
    if (!study->is_hardware_given) {
        study->hardware = made_on;
        const struct cJSON *name = cJSON_GetObjectItem(root, "hw");
        snprintf(study->hw_name, sizeof study->hw_name, "%s",
                 cJSON_IsString(name) ? name->valuestring : o->events);
        return LEY_OK;
    }
    for (int i = 0; i < table->n_rows; i++) {
        char there[LEY_PATH_BYTES], here[LEY_PATH_BYTES];
        ley_param_format(there, sizeof there, &table->rows[i], &made_on);
        ley_param_format(here, sizeof here, &table->rows[i], &study->hardware);
        if (table->rows[i].type != LEY_PARAM_PATH && strcmp(there, here) != 0) {
            return ley_fail(LEY_E_ARGUMENT,
                            "%s was made on another hardware: %s is %s there, %s here", o->events,
                            table->rows[i].key, there, here);
        }
    }
    return LEY_OK;
}

// Likewise the model.
static enum ley_status match_shape(struct cost_study *study, const struct cost_options *o,
                                   const struct cJSON *root) {
    struct ley_cost_shape shape;
    LEY_TRY(cost_shape_read_json(&shape, cJSON_GetObjectItem(root, "shape")));
    bool is_given = o->model || o->shape;
    if (is_given && memcmp(&shape, &study->shape, sizeof shape) != 0) {
        return ley_fail(
            LEY_E_ARGUMENT, "%s is of another model: %d layers of %d heads there, %d of %d here",
            o->events, shape.n_layers, shape.n_heads, study->shape.n_layers, study->shape.n_heads);
    }
    if (!is_given) {
        const struct cJSON *model = cJSON_GetObjectItem(root, "model");
        snprintf(study->shape_name, sizeof study->shape_name, "%s",
                 cJSON_IsString(model) ? model->valuestring : o->events);
    }
    study->shape = shape;
    return LEY_OK;
}

// Events of a query head and token: a run counts its queries itself.
static enum ley_status take_events(struct cost_study *study, const struct cost_options *o,
                                   const struct cJSON *root) {
    const struct cJSON *list = cJSON_GetObjectItem(root, "events");
    const struct cJSON *queries = cJSON_GetObjectItem(list, "queries");
    int n_events;
    const struct ley_event *events = ley_events(&n_events);
    if (!cJSON_IsNumber(queries) || queries->valuedouble < 1 ||
        !cJSON_GetObjectItem(root, "hardware") || !cJSON_GetObjectItem(root, "shape")) {
        return ley_fail(LEY_E_FORMAT,
                        "%s is no result of an analog run (leyden run --json): it lacks events, "
                        "hardware or shape",
                        o->events);
    }
    for (int i = 0; i < n_events; i++) {
        const struct cJSON *event = cJSON_GetObjectItem(list, events[i].name);
        if (!cJSON_IsNumber(event)) {
            return ley_fail(LEY_E_FORMAT, "%s: the events lack %s", o->events, events[i].name);
        }
        ley_activity_set(&study->activity, i, event->valuedouble / queries->valuedouble);
    }
    study->has_events = true;
    snprintf(study->events_source, sizeof study->events_source, "mean of %s", o->events);
    LEY_TRY(match_hardware(study, o, root));
    LEY_TRY(match_shape(study, o, root));
    enum ley_status status = head_cost_read_json(
        &study->head_j, root, &study->shape, &study->activity, &study->technology.technology.price);
    return status == LEY_OK ? LEY_OK : ley_fail_within(status, o->events);
}

// Without --events the figures take expected ones.
static enum ley_status load_events(struct cost_study *study, const struct cost_options *o) {
    char *text;
    size_t n;
    if (!o->events) {
        return LEY_OK;
    }
    LEY_TRY(ley_file_read(&text, &n, o->events, MAX_EVENTS_BYTES));
    struct cJSON *root = cJSON_Parse(text);
    ley_free(text);
    enum ley_status status =
        root ? take_events(study, o, root) : ley_fail(LEY_E_FORMAT, "%s is not JSON", o->events);
    cJSON_Delete(root);
    return status;
}

// ---- model and machine

// Of a model file only the sizes are looked at.
static enum ley_status load_shape(struct cost_study *study, const struct cost_options *o) {
    if (o->model && o->shape) {
        return ley_fail(LEY_E_ARGUMENT, "give the model by -m MODEL or by --shape, not both");
    }
    snprintf(study->shape_name, sizeof study->shape_name, "%s",
             o->model   ? o->model
             : o->shape ? o->shape
                        : "gpt2");
    if (!o->model) {
        return ley_cost_shape_parse(&study->shape, study->shape_name);
    }
    struct ley_model_file *file;
    LEY_TRY(ley_model_file_open(&file, o->model));
    study->shape = cost_shape_of(ley_model_file_config(file));
    ley_model_file_close(file);
    return ley_cost_shape_check(&study->shape);
}

// A device without peaks is there for its measurement, which must be of this layer.
static enum ley_status check_device(const struct cost_study *study, const char *path, int i) {
    const struct ley_device *device = &study->device[i].device;
    const struct ley_cost_shape *shape = &study->shape;
    double n_kv_heads = device->n_kv_heads > 0 ? device->n_kv_heads : device->n_heads;
    for (int before = 0; before < i; before++) {
        if (strcmp(study->device[before].name, study->device[i].name) == 0) {
            return ley_fail(LEY_E_ARGUMENT,
                            "--device %s: there is a device %s already; name the file otherwise",
                            path, study->device[i].name);
        }
    }
    if (!ley_device_has_peaks(&study->device[i]) &&
        (device->n_heads != shape->n_heads || n_kv_heads != shape->n_kv_heads ||
         device->head_dim != shape->head_dim || device->n_tokens != study->hardware.array.window)) {
        return ley_fail(LEY_E_ARGUMENT,
                        "--device %s was measured with %g heads on %g, %g wide, %g tokens; here "
                        "are %d on %d, %d wide, %d tokens",
                        path, device->n_heads, n_kv_heads, device->head_dim, device->n_tokens,
                        shape->n_heads, shape->n_kv_heads, shape->head_dim,
                        study->hardware.array.window);
    }
    return LEY_OK;
}

// Leyden's own, then those that are named.
static enum ley_status load_devices(struct cost_study *study, const struct cost_options *o) {
    LEY_TRY(ley_devices_load(study->device, &study->n_devices));
    for (int i = 0; i < o->devices.n; i++) {
        if (study->n_devices == LEY_MAX_DEVICES) {
            return ley_fail(LEY_E_ARGUMENT, "--device %s is one too many: %d devices at most",
                            o->devices.text[i], LEY_MAX_DEVICES);
        }
        LEY_TRY(ley_device_load(&study->device[study->n_devices], o->devices.text[i]));
        LEY_TRY(check_device(study, o->devices.text[i], study->n_devices++));
    }
    return LEY_OK;
}

// After everything else has been checked.
static enum ley_status measure(struct cost_study *study, const struct cost_options *o) {
    if (o->is_unmeasured) {
        return LEY_OK;
    }
    study->cpu.source = study->cpu_source;
    return cpu_attention_measure(&study->cpu, study->cpu_source, sizeof study->cpu_source,
                                 &study->shape, study->hardware.array.window);
}

// Energies of the run's heads, beside what random codes would take.
static void give_heads(struct cost_study *study) {
    const struct ley_cost_shape *shape = &study->shape;
    struct head_spread spread = head_cost_spread(study->head_j, shape->n_layers * shape->n_heads);
    struct ley_activity uniform;
    ley_activity_uniform(&uniform, &study->hardware, study->cell, shape->head_dim,
                         shape->n_heads / shape->n_kv_heads);
    const struct {
        const char *key, *source;
        double value_j;
    } rows[] = {
        {"heads.mean_j", "mean over heads of all layers", spread.mean_j},
        {"heads.standard_deviation_j", "standard deviation over heads of all layers",
         spread.deviation_j},
        {"heads.least_j", "the head that takes least", spread.least_j},
        {"heads.most_j", "the head that takes most", spread.most_j},
        {"heads.random_codes_j", "M32: uniform random codes on a full ring, same prices",
         ley_energy_of(&uniform, &study->technology.technology.price).total_j},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char source[400];
        snprintf(source, sizeof source, "%s: %s", study->events_source, rows[i].source);
        ley_figures_give(study->figures, rows[i].key, "J", rows[i].value_j, rows[i].value_j,
                         rows[i].value_j, source);
    }
    ley_figures_derive(study->figures, "heads.mean_share", "",
                       "heads.mean_j / heads.random_codes_j", "the run's heads by random codes");
}

// All that is not measured is checked before this machine is kept busy.
enum ley_status cost_study_create(struct cost_study *study, const struct cost_options *o) {
    bool is_given = o->refresh_tokens != -1;
    if (is_given && (!(o->refresh_tokens >= 1 && o->refresh_tokens <= 1e9) ||
                     o->refresh_tokens != floor(o->refresh_tokens))) {
        return ley_fail(LEY_E_ARGUMENT, "--refresh is %g, must be a whole number 1..1e9",
                        o->refresh_tokens);
    }
    LEY_TRY(load_technology(study, o));
    LEY_TRY(load_hardware(study, o));
    LEY_TRY(load_shape(study, o));
    LEY_TRY(load_events(study, o));
    LEY_TRY(ley_hardware_check(&study->hardware, study->shape.n_heads / study->shape.n_kv_heads));
    LEY_TRY(ley_hardware_create_cell(&study->cell, &study->hardware));
    int64_t period;
    LEY_TRY(ley_refresh_period(&period, &study->hardware, study->cell));
    LEY_TRY(load_devices(study, o));
    LEY_TRY(measure(study, o));
    const struct ley_cost_input input = {
        .hardware = &study->hardware,
        .cell = study->cell,
        .technology = &study->technology,
        .shape = study->shape,
        .events = study->has_events ? &study->activity : NULL,
        .events_source = study->events_source,
        .refresh_tokens = is_given ? o->refresh_tokens : study->hardware.array.refresh_tokens,
        .devices = study->device,
        .n_devices = study->n_devices,
        .cpu = study->cpu.attention_s > 0 ? &study->cpu : NULL,
    };
    LEY_TRY(ley_cost_create(&study->figures, &input));
    if (study->head_j) {
        give_heads(study);
    }
    return LEY_OK;
}

void cost_study_destroy(struct cost_study *study) {
    ley_figures_destroy(study->figures);
    ley_free(study->head_j);
    ley_cell_destroy(study->cell);
}
