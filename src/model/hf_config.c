// hf_config.c - config.json of gpt2 and llama models
//
// A key that is absent or null takes the default of the transformers library where that is safe
// (never for sizes of weights). Settings that would change the arithmetic in a way that is not
// simulated are refused, not ignored.
#include "model/hf_config_impl.h"

#include <math.h>
#include <string.h>

#include "core/file.h"
#include "core/memory.h"

#include "model/hf_json_impl.h"

static const double pi = 3.14159265358979323846;

// null counts as absent: transformers writes it for "the default".
static bool is_given(const struct cJSON *object, const char *key) {
    const struct cJSON *item = hf_json_get(object, key);
    return item && !cJSON_IsNull(item);
}

// A whole number; `otherwise` when absent, and 0 for that: the key is needed.
static enum ley_status read_size(int *size, const struct cJSON *object, const char *key,
                                 int otherwise) {
    // hf_json_id gives -1 for what is no whole number, which fails as too small.
    int32_t given = hf_json_id(hf_json_get(object, key));
    bool is_absent = !is_given(object, key);
    if (is_absent ? otherwise == 0 : given < 1) {
        return ley_fail(LEY_E_FORMAT, "config.json: %s is missing, or no whole number above 0",
                        key);
    }
    *size = is_absent ? otherwise : given;
    return LEY_OK;
}

// A number above 0; `otherwise` when absent, and 0 for that: the key is needed.
static enum ley_status read_number(double *x, const struct cJSON *object, const char *key,
                                   double otherwise) {
    const struct cJSON *item = hf_json_get(object, key);
    *x = is_given(object, key) ? (cJSON_IsNumber(item) ? item->valuedouble : -1) : otherwise;
    if (!(*x > 0 && *x < HUGE_VAL)) {
        return ley_fail(LEY_E_FORMAT, "config.json: %s is missing, or no number above 0", key);
    }
    return LEY_OK;
}

// Flags that must have one value (the default), because the model code knows no other.
struct fixed_flag {
    const char *key;
    bool value;
};

// Names the first flag that differs, with the value that was given.
static enum ley_status check_flags(const struct cJSON *root, const struct fixed_flag *flag, int n) {
    for (int i = 0; i < n; i++) {
        if (hf_json_flag(root, flag[i].key, flag[i].value) != flag[i].value) {
            return ley_fail(LEY_E_FORMAT, "config.json: %s = %s is not supported", flag[i].key,
                            flag[i].value ? "false" : "true");
        }
    }
    return LEY_OK;
}

// ---- rotary positions

// Leaves `scaling` zeroed (HF_ROPE_PLAIN) for "default" and where there is no object at all. Older
// files say "type", newer ones "rope_type".
static enum ley_status read_scaling(struct hf_rope_scaling *scaling, const struct cJSON *rope) {
    const char *type = hf_json_text(rope, "rope_type");
    // Both spellings; the newer one wins.
    type = type[0] != '\0' ? type : hf_json_text(rope, "type");
    if (type[0] == '\0' || strcmp(type, "default") == 0) {
        return LEY_OK;
    }
    bool is_llama3 = strcmp(type, "llama3") == 0;
    if (!is_llama3 && strcmp(type, "linear") != 0) {
        return ley_fail(LEY_E_FORMAT,
                        "config.json: rope scaling '%.40s' is not supported; default, linear and "
                        "llama3 are",
                        type);
    }
    scaling->kind = is_llama3 ? HF_ROPE_LLAMA3 : HF_ROPE_LINEAR;
    LEY_TRY(read_number(&scaling->factor, rope, "factor", 0));
    if (!(scaling->factor >= 1 && scaling->factor <= 1e6)) {
        return ley_fail(LEY_E_FORMAT, "config.json: rope scaling by %g, must be 1..1000000",
                        scaling->factor);
    }
    if (!is_llama3) {
        return LEY_OK;
    }
    // The three that only llama3 has.
    LEY_TRY(read_number(&scaling->low_factor, rope, "low_freq_factor", 0));
    LEY_TRY(read_number(&scaling->high_factor, rope, "high_freq_factor", 0));
    LEY_TRY(read_number(&scaling->old_context, rope, "original_max_position_embeddings", 0));
    if (!(scaling->high_factor > scaling->low_factor)) {
        return ley_fail(LEY_E_FORMAT,
                        "config.json: high_freq_factor is %g, must be above low_freq_factor (%g)",
                        scaling->high_factor, scaling->low_factor);
    }
    return LEY_OK;
}

// rope_theta and rope_scaling of their own, or since version 5 both in rope_parameters.
static enum ley_status read_rope(struct hf_config *config, const struct cJSON *root) {
    const struct cJSON *parameters = hf_json_get(root, "rope_parameters");
    bool is_new = cJSON_IsObject(parameters);
    const struct cJSON *rope = is_new ? parameters : hf_json_get(root, "rope_scaling");
    // Where the base frequency stands depends on the version too.
    const struct cJSON *holder = is_new && is_given(parameters, "rope_theta") ? parameters : root;
    // Versions put the fraction at the root or into the rotary object; the product is 1 only if
    // both are.
    double fraction, sides[] = {1, 1};
    LEY_TRY(read_number(&config->model.rope_base, holder, "rope_theta", 10000));
    LEY_TRY(read_number(&sides[0], root, "partial_rotary_factor", 1));
    LEY_TRY(read_number(&sides[1], rope, "partial_rotary_factor", 1));
    fraction = sides[0] * sides[1];
    if (fraction != 1) {
        return ley_fail(LEY_E_FORMAT, "config.json: partial_rotary_factor = %g is not supported",
                        fraction);
    }
    if (rope && !cJSON_IsNull(rope) && !cJSON_IsObject(rope)) {
        return ley_fail(LEY_E_FORMAT, "config.json: rope_scaling is no object");
    }
    config->model.rope_dim = config->model.head_dim;
    return read_scaling(&config->scaling, rope);
}

// As transformers: wavelengths up to old_context / high_factor stay, those above old_context /
// low_factor are stretched by `factor`, those between in part.
static double llama3_factor(const struct hf_rope_scaling *scaling, double frequency) {
    // Tokens for one turn of this pair.
    double wavelength = 2 * pi / frequency;
    if (wavelength < scaling->old_context / scaling->high_factor) {
        return 1;
    }
    if (wavelength > scaling->old_context / scaling->low_factor) {
        return scaling->factor;
    }
    // 1 at the short end, 0 at the long one.
    double kept = (scaling->old_context / wavelength - scaling->low_factor) /
                  (scaling->high_factor - scaling->low_factor);
    kept = fmin(fmax(kept, 0), 1);
    return 1 / ((1 - kept) / scaling->factor + kept);
}

// At position p, pair i turns by p base^(-2 i / n) / factor[i].
void hf_config_rope_factors(float *factor, const struct hf_config *config) {
    const struct hf_rope_scaling *scaling = &config->scaling;
    int n = config->model.rope_dim;
    for (int i = 0; i < n / 2; i++) {
        // In double, rounded once at the end: factors decide angles at far positions.
        double frequency = pow(config->model.rope_base, -2.0 * i / n);
        double divisor = scaling->kind == HF_ROPE_LLAMA3   ? llama3_factor(scaling, frequency)
                         : scaling->kind == HF_ROPE_LINEAR ? scaling->factor
                                                           : 1;
        factor[i] = (float)divisor;
    }
}

// ---- architectures

// `known` ends the sentence.
static enum ley_status fail_activation(const char *key, const char *given, const char *known) {
    return ley_fail(LEY_E_FORMAT, "config.json: %s '%.40s' is not supported; %s", key, given,
                    known);
}

// Defaults are those of LlamaConfig.
static enum ley_status read_llama(struct hf_config *config, const struct cJSON *root) {
    static const struct fixed_flag flags[] = {{"mlp_bias", false}};
    struct ley_model_config *c = &config->model;
    c->family = LEY_FAMILY_LLAMA;
    c->activation = LEY_SWIGLU;
    c->rope_layout = LEY_ROPE_HALVES;
    LEY_TRY(check_flags(root, flags, sizeof flags / sizeof flags[0]));
    LEY_TRY(read_size(&c->d_model, root, "hidden_size", 0));
    LEY_TRY(read_size(&c->n_layers, root, "num_hidden_layers", 0));
    LEY_TRY(read_size(&c->n_heads, root, "num_attention_heads", 0));
    LEY_TRY(read_size(&c->n_kv_heads, root, "num_key_value_heads", c->n_heads));
    LEY_TRY(read_size(&c->head_dim, root, "head_dim", c->d_model / c->n_heads));
    LEY_TRY(read_size(&c->d_ff, root, "intermediate_size", 0));
    LEY_TRY(read_size(&c->n_vocab, root, "vocab_size", 0));
    LEY_TRY(read_size(&c->n_context, root, "max_position_embeddings", 2048));
    LEY_TRY(read_number(&c->norm_eps, root, "rms_norm_eps", 1e-6));
    // The default is silu, so only another one is an error.
    const char *activation = hf_json_text(root, "hidden_act");
    if (is_given(root, "hidden_act") && strcmp(activation, "silu") != 0) {
        return fail_activation("hidden_act", activation, "silu is");
    }
    config->has_attention_bias = hf_json_flag(root, "attention_bias", false);
    return read_rope(config, root);
}

// Defaults are those of GPT2Config. Sizes first: head_dim divides by what was just checked.
static enum ley_status read_gpt2(struct hf_config *config, const struct cJSON *root) {
    static const struct fixed_flag flags[] = {{"scale_attn_weights", true},
                                              {"scale_attn_by_inverse_layer_idx", false},
                                              {"add_cross_attention", false}};
    struct ley_model_config *c = &config->model;
    c->family = LEY_FAMILY_GPT2;
    config->tie = config->tie == HF_TIE_UNSAID ? HF_TIED : config->tie; // the family's default
    LEY_TRY(check_flags(root, flags, sizeof flags / sizeof flags[0]));
    LEY_TRY(read_size(&c->d_model, root, "n_embd", 0));
    LEY_TRY(read_size(&c->n_layers, root, "n_layer", 0));
    LEY_TRY(read_size(&c->n_heads, root, "n_head", 0));
    if (c->d_model % c->n_heads != 0) {
        return ley_fail(LEY_E_FORMAT, "config.json: n_embd (%d) is no multiple of n_head (%d)",
                        c->d_model, c->n_heads);
    }
    c->n_kv_heads = c->n_heads;
    c->head_dim = c->d_model / c->n_heads;
    // n_inner null means four times the width; the bound keeps that product within an int.
    LEY_TRY(read_size(&c->d_ff, root, "n_inner", c->d_model < 1 << 20 ? 4 * c->d_model : 1 << 22));
    LEY_TRY(read_size(&c->n_vocab, root, "vocab_size", 0));
    LEY_TRY(read_size(&c->n_context, root, is_given(root, "n_positions") ? "n_positions" : "n_ctx",
                      1024));
    LEY_TRY(read_number(&c->norm_eps, root, "layer_norm_epsilon", 1e-5));
    const char *activation = hf_json_text(root, "activation_function");
    if (!is_given(root, "activation_function") || strcmp(activation, "gelu_new") == 0 ||
        strcmp(activation, "gelu_pytorch_tanh") == 0) {
        c->activation = LEY_GELU_TANH;
    } else if (strcmp(activation, "gelu") == 0) {
        c->activation = LEY_GELU_ERF;
    } else {
        return fail_activation("activation_function", activation,
                               "gelu_new, gelu_pytorch_tanh and gelu are");
    }
    return LEY_OK;
}

// The family by model_type, or by the first of `architectures` where that is absent.
static enum ley_status read_family(struct hf_config *config, const struct cJSON *root) {
    const char *type = hf_json_text(root, "model_type"), *class_name = type;
    const struct cJSON *classes = hf_json_get(root, "architectures");
    if (type[0] == '\0' && cJSON_IsArray(classes) && cJSON_IsString(classes->child)) {
        class_name = classes->child->valuestring;
        type = strncmp(class_name, "Llama", 5) == 0  ? "llama"
               : strncmp(class_name, "GPT2", 4) == 0 ? "gpt2"
                                                     : "";
    }
    if (strcmp(type, "llama") == 0) {
        return read_llama(config, root);
    }
    if (strcmp(type, "gpt2") == 0) {
        return read_gpt2(config, root);
    }
    return ley_fail(LEY_E_FORMAT,
                    "config.json: architecture '%.60s' is not supported; gpt2 and llama are",
                    class_name);
}

// The file's name has no place here: the caller adds it.
static enum ley_status read_config(struct hf_config *config, const struct cJSON *root) {
    if (is_given(root, "quantization_config")) {
        return ley_fail(LEY_E_FORMAT,
                        "config.json: quantised weights (quantization_config) are not "
                        "supported in a folder; take the F32, F16 or BF16 model, or a GGUF file");
    }
    if (is_given(root, "tie_word_embeddings")) {
        config->tie = hf_json_flag(root, "tie_word_embeddings", false) ? HF_TIED : HF_UNTIED;
    }
    LEY_TRY(read_family(config, root));
    enum ley_status status = ley_model_config_check(&config->model);
    return status == LEY_OK ? LEY_OK : ley_fail_within(status, "config.json");
}

// The result holds no pointer into the tree, which is freed.
enum ley_status hf_config_read(struct hf_config *config, struct ley_string text) {
    struct cJSON *root;
    *config = (struct hf_config){.tie = HF_TIE_UNSAID};
    LEY_TRY(hf_json_parse(&root, text, "config.json"));
    enum ley_status status = read_config(config, root);
    cJSON_Delete(root);
    return status;
}

// What the file does not say is tied, as in most small models.
enum ley_status ley_model_config_load(struct ley_model_config *config, bool *is_tied,
                                      const char *path) {
    struct hf_config read;
    char *text;
    size_t n;
    LEY_TRY(ley_file_read(&text, &n, path, (size_t)1 << 20));
    enum ley_status status = hf_config_read(&read, (struct ley_string){text, n});
    ley_free(text);
    if (status == LEY_OK && read.scaling.kind != HF_ROPE_PLAIN) {
        status = ley_fail(LEY_E_FORMAT, "a new model has no rope_scaling");
    }
    if (status != LEY_OK) {
        return ley_fail_within(status, path);
    }
    *config = read.model;
    *is_tied = read.tie != HF_UNTIED;
    return ley_model_config_check(config);
}
