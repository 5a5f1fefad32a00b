// oracle.h - cases of the authors' classes (see tests/golden/README.md) as hardware and attention.
#pragma once
#include <cjson/cJSON.h>

#include "support/support.h"

// A number of the case's meta.json.
double oracle_number(const struct cJSON *meta, const char *key);

// The chip on which `model` ("linear", "dram", "nlx3", ...) ran n_tokens tokens. The authors group
// keys into tiles by absolute position: that is a ring that holds them all.
struct ley_hardware oracle_hardware(const struct cJSON *meta, const char *model, int64_t n_tokens);

// Attention of one head per key-value head on that chip, with the scalers in `folder`.
struct ley_attention *oracle_attention(const struct ley_hardware *hardware, int n_heads,
                                       int head_dim, const char *folder);

// Calls `check` with the path of every case in `folder`; returns how many there were.
int oracle_for_each(const char *folder, void (*check)(const char *folder));
