// technology.h - what a technology charges: energy of every event, areas, and the digital rest.
//
// Plain numbers, read from YAML by one row each of price.def or technology_params.def. A file
// gives every number with unit, range and source:
//     price:
//       addition_j: {value: 3e-14, unit: J, low: 1e-14, high: 1e-13, source: "who says so"}
// so that results can say where each joule comes from.
#pragma once
#include "core/param.h"

#ifdef __cplusplus
extern "C" {
#endif

// Energy of one event, J in its unit of event.def.
struct ley_price_spec {
#define LEY_PRICE(event, item, part, field, default, low, high, unit, doc, source) double field;
#define LEY_UNPRICED(event, why)
#include "cost/price.def"
#undef LEY_PRICE
#undef LEY_UNPRICED
};

// Square metres of the parts of one head's bank (M34).
struct ley_area_spec {
    double cell_m2, stacked_layers;
    double score_converter_m2, output_converter_m2; // one a column; one a tile and row
    double pulse_dac_m2, write_dac_m2, control_m2;  // one a row; two a row; one a tile
};

// Everything of a token that is not attention (M36).
struct ley_digital_spec {
    double mac_j, macs_per_s;      // multiply-adds
    double byte_j, bytes_per_s;    // memory
    double weight_bytes, kv_bytes; // width of numbers
};

struct ley_technology {
    struct ley_price_spec price;
    struct ley_area_spec area;
    struct ley_digital_spec digital;
};

enum { LEY_MAX_NOTES = 32 };

// A technology with range and source of each number, in the order of the table.
struct ley_technology_file {
    struct ley_technology technology;
    struct ley_param_note note[LEY_MAX_NOTES];
};

// Every parameter of struct ley_technology. Static storage.
const struct ley_param_table *ley_technology_params(void);

// Loads the `paper` technology.
LEY_MUST_CHECK enum ley_status ley_technology_init(struct ley_technology_file *file);

// Overrides what the technology of this name (or path of a .yaml file) states; the rest stays.
LEY_MUST_CHECK enum ley_status ley_technology_load(struct ley_technology_file *file,
                                                   const char *name_or_path);

// Overrides one number by "key=value"; its source is then the command line, its range the value.
LEY_MUST_CHECK enum ley_status ley_technology_set(struct ley_technology_file *file,
                                                  const char *pair);

#ifdef __cplusplus
}
#endif
