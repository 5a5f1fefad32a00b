// read_model.h - all weights of an open model, as fuzz targets look at them
#pragma once
#include <stdlib.h>

#include "leyden.h"

// Reads every weight row by row; a weight that is there must be readable.
static inline void read_model(struct ley_model_file *file) {
    struct ley_weight_source source = ley_model_file_source(file);
    const struct ley_model_config *config = ley_model_file_config(file);
    for (int w = 0; w < LEY_N_WEIGHTS; w++) {
        enum ley_weight weight = (enum ley_weight)w;
        struct ley_weight_info info = ley_weight_info(config, weight);
        for (int layer = 0; layer < (info.is_per_layer ? config->n_layers : 1); layer++) {
            float *row = ley_alloc((size_t)info.n_columns, sizeof *row);
            for (int64_t r = 0; row && source.has(source.context, weight, layer) && r < info.n_rows;
                 r++) {
                if (source.read(source.context, row, weight, layer, r, 1) != LEY_OK) {
                    abort();
                }
            }
            ley_free(row);
        }
    }
}
