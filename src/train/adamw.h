// adamw.h - the optimiser: Adam with decoupled weight decay, and clipping of gradients.
//
// Moments are float32 blocks of the same layout as the parameters, from the first tensor on that
// trains: where only what was added to a model learns, they are small. Every value depends on
// itself alone, and the norm is summed in a fixed order: nothing depends on the number of threads.
#pragma once
#include "model/parameters.h"

#ifdef __cplusplus
extern "C" {
#endif

// Constants; beta and epsilon as in Adam's paper.
struct ley_adamw_constants {
    double beta1, beta2, epsilon;
    double weight_decay; // of tensors that decay
};

struct ley_adamw {
    struct ley_adamw_constants constants;
    int64_t n_values, n_steps; // values of the parameters; steps done
    int64_t begin;             // place in the parameters of the first of them
    float *first, *second;     // moments [n_values - begin]
    float *average;            // mean of the values of late steps, as long; NULL: none
    double decay;              // of that mean
};

// Moments start at zero. Tensors before the first that trains now must not train later (contract).
LEY_MUST_CHECK enum ley_status ley_adamw_create(struct ley_adamw *adamw,
                                                const struct ley_parameters *parameters,
                                                const struct ley_adamw_constants *constants);

// Frees moments and mean; a zeroed struct is accepted.
void ley_adamw_destroy(struct ley_adamw *adamw);

// From now on a mean of the values is kept, which starts with them: after step n it moves by the
// share 1 - min(decay, (1 + n) / (10 + n)) of its distance to the values. Steps of few tokens are
// noisy; the mean is less so. decay: 0..1, not 1.
LEY_MUST_CHECK enum ley_status ley_adamw_keep_average(struct ley_adamw *adamw,
                                                      const struct ley_parameters *parameters,
                                                      double decay);

// Exchanges the values of what trains with their mean, which must be kept.
void ley_adamw_swap_average(struct ley_adamw *adamw, struct ley_parameters *parameters);

// One step of everything that trains, with gradients times `scale`: with g the scaled gradient,
//     m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2,
//     value = value (1 - rate decay) - rate m' / (sqrt(v') + epsilon),
// m' and v' freed from their start at zero; rate is that of the tensor. A relative tensor takes
// the step on the logarithm of its values: g is the gradient times the value, and the value loses
// the share rate m' / (sqrt(v') + epsilon) of itself, at most half. Gradients stay as they are.
void ley_adamw_step(struct ley_adamw *adamw, struct ley_parameters *parameters, double rate,
                    double scale);

// Euclidean norm of the gradients of all that trains, summed in double. NaN or infinity when any of
// them is.
double ley_gradient_norm(const struct ley_parameters *parameters);

// The factor that brings a norm down to `most`, 1 when it is below: most / (norm + 1e-6), at
// most 1.
double ley_clip_scale(double norm, double most);

// Sets the gradients of all that trains to zero.
void ley_gradient_clear(struct ley_parameters *parameters);

#ifdef __cplusplus
}
#endif
