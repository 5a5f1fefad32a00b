// adapt_teacher.c - whom leyden adapt learns from: the model's own digital self, or --teacher
#include <string.h>

#include "adapt.h"

struct language *adapt_teacher(struct adapt *adapt) {
    return adapt->teacher.model ? &adapt->teacher : &adapt->language;
}

// Its distributions are over the same tokens.
static enum ley_status compare_vocabularies(const struct adapt *adapt) {
    const char *path = adapt->options->teacher;
    struct ley_vocab own, other;
    LEY_TRY(ley_model_file_vocab(adapt->language.file, &own));
    LEY_TRY(ley_model_file_vocab(adapt->teacher.file, &other));
    int32_t n = ley_model_config(adapt->language.model)->n_vocab;
    int32_t n_other = ley_model_config(adapt->teacher.model)->n_vocab;
    if (n_other != n) {
        return ley_fail(LEY_E_ARGUMENT,
                        "--teacher %s has a vocabulary of %d, the model one of %d: it must be the "
                        "same",
                        path, (int)n_other, (int)n);
    }
    for (int32_t i = 0; i < own.n_tokens || i < other.n_tokens; i++) {
        if (i >= own.n_tokens || i >= other.n_tokens || own.token[i].n != other.token[i].n ||
            memcmp(own.token[i].text, other.token[i].text, own.token[i].n) != 0) {
            return ley_fail(LEY_E_ARGUMENT,
                            "--teacher %s has another vocabulary than the model, from token %d on",
                            path, (int)i);
        }
    }
    return LEY_OK;
}

// Where states inside are compared, layer by layer, not only what comes out.
static enum ley_status compare_shapes(const struct adapt *adapt) {
    const struct ley_model_config *own = ley_model_config(adapt->language.model);
    const struct ley_model_config *other = ley_model_config(adapt->teacher.model);
    bool sees_inside = adapt->has[TRANSFER] || (adapt->has[DISTIL] && adapt->options->hidden > 0);
    return !sees_inside || (own->n_layers == other->n_layers && own->d_model == other->d_model)
               ? LEY_OK
               : ley_fail(LEY_E_ARGUMENT,
                          "--teacher %s has %d layers of width %d, the model %d of %d: it can "
                          "teach --method distil without --hidden",
                          adapt->options->teacher, other->n_layers, other->d_model, own->n_layers,
                          own->d_model);
}

enum ley_status adapt_open_teacher(struct adapt *adapt) {
    struct language_options options = adapt->options->language;
    if (!adapt->options->teacher) {
        return LEY_OK;
    }
    if (!adapt->has[TRANSFER] && adapt->options->divergence == 0 && adapt->options->hidden == 0) {
        return ley_fail(LEY_E_ARGUMENT, "--teacher has nothing to teach: give it a weight (--kl)");
    }
    options.model = adapt->options->teacher;
    options.adapter = NULL;
    LEY_TRY(language_load(&adapt->teacher, &options));
    LEY_TRY(compare_vocabularies(adapt));
    LEY_TRY(compare_shapes(adapt));
    const struct ley_weight_source source = ley_model_file_source(adapt->teacher.file);
    return ley_weights_fingerprint(&adapt->training.teacher, ley_model_config(adapt->teacher.model),
                                   &source);
}
