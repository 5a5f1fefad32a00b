// hf_config_impl.h - config.json of a Hugging Face folder. Private to this folder.
#pragma once
#include <stdbool.h>

#include "model/config.h"
#include "model/vocab.h"

enum hf_rope_kind { HF_ROPE_PLAIN, HF_ROPE_LINEAR, HF_ROPE_LLAMA3 };

// How the frequencies of rotary positions are scaled for longer contexts.
struct hf_rope_scaling {
    enum hf_rope_kind kind;
    // all frequencies are divided by it (linear), or those of long wavelengths (llama3)
    double factor;
    // bounds in turns over the old context, and that context in tokens
    double low_factor, high_factor, old_context; // HF_ROPE_LLAMA3
};

enum hf_tie { HF_TIE_UNSAID, HF_TIED, HF_UNTIED };

struct hf_config {
    struct ley_model_config model; // without its name
    enum hf_tie tie;               // whether the output matrix is the token embedding
    bool has_attention_bias;       // llama: q, k, v and output have biases
    struct hf_rope_scaling scaling;
};

// Reads config.json and checks everything in it. LEY_E_FORMAT and what is wrong or not supported.
LEY_MUST_CHECK enum ley_status hf_config_read(struct hf_config *config, struct ley_string text);

// factor[rope_dim / 2] <- divisors of the rotary frequencies.
void hf_config_rope_factors(float *factor, const struct hf_config *config);
