// datadir.h - where Leyden's own data files (presets, cell tables) are.
#pragma once
#include <stddef.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

// Finds data file `name` ("hardware/paper.yaml"): first in the folder that the environment
// variable LEYDEN_CONFIG_DIR names, then in share/leyden beside the folder of the library.
// Fails with LEY_E_IO and the places searched.
LEY_MUST_CHECK enum ley_status ley_data_path(char *path, size_t n_path, const char *name);

#ifdef __cplusplus
}
#endif
