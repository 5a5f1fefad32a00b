// cost_study.h - what `leyden cost` is asked about: chip, technology, model, events, rivals.
#pragma once
#include "head_cost.h"
#include "session.h"

// How the command and its user say it.
struct cost_options {
    struct hardware_options
        hw; // name NULL: of the events' file, else paper; --set also sets prices
    struct text_list technology, devices;
    const char *model, *shape, *events;
    int window;
    double token_period_s, refresh_tokens;
    bool is_unmeasured;
};

// Everything that the figures are computed from; plain, so that results can name it.
struct cost_study {
    struct ley_hardware hardware;
    struct ley_cell *cell;
    struct ley_technology_file technology;
    struct ley_cost_shape shape;
    struct ley_device_file device[LEY_MAX_DEVICES];
    int n_devices;
    bool has_events, is_hardware_given;
    struct ley_activity activity; // with has_events
    double *head_j;               // [n_layers * n_heads] of the run; NULL: not known
    struct ley_cost_measured cpu; // attention_s 0: not measured
    char hw_name[256], technology_name[256], shape_name[256], events_source[320], cpu_source[256];
    struct ley_figures *figures;
};

// Reads everything, measures this machine unless told not to, and computes the figures.
enum ley_status cost_study_create(struct cost_study *study, const struct cost_options *options);

// A zeroed study is accepted.
void cost_study_destroy(struct cost_study *study);

// Loads the technologies named, one on top of another; none named: paper.
enum ley_status cost_load_technology(struct ley_technology_file *file,
                                     const struct text_list *names);

// A model as far as its cost goes.
struct ley_cost_shape cost_shape_of(const struct ley_model_config *config);

// The shape as members of a JSON object, and back.
void cost_shape_add_json(struct cJSON *root, const struct ley_cost_shape *shape);
enum ley_status cost_shape_read_json(struct ley_cost_shape *shape, const struct cJSON *root);
