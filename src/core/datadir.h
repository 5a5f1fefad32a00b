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

// Path of a YAML file of one of the folders "hardware", "technology", "device": a known name
// ("paper") is found among Leyden's own data; anything with '/' or ending in .yaml is a path and
// taken as it is. LEY_E_ARGUMENT for an unknown name, with the known ones.
LEY_MUST_CHECK enum ley_status ley_preset_path(char *path, size_t n_path, const char *folder,
                                               const char *name);

// Names of the YAML files of such a folder, in alphabetical order, separated by ", ".
LEY_MUST_CHECK enum ley_status ley_preset_names(char *names, size_t n_names, const char *folder);

#ifdef __cplusplus
}
#endif
