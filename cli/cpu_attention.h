// cpu_attention.h - decode attention of this machine, measured now.
#pragma once
#include "leyden.h"

// Times softmax attention of one token on a full window, one layer, float32 cache, batch 1, and
// reads the energy of the package meanwhile where the system lets it be read (RAPL); attention_j
// is 0 where not. A cache above 1 GB is not measured: attention_s stays 0. `source` receives how it
// was measured, and why energy is missing.
enum ley_status cpu_attention_measure(struct ley_cost_measured *measured, char *source,
                                      size_t n_source, const struct ley_cost_shape *shape,
                                      int window);
