// net_transfer.h - attention learned layer by layer from a teacher (MODEL.md, M27).
//
// The teacher runs once; in every layer the net's attention gets the teacher's input, and is to
// give what the teacher's attention adds to the residual stream, after the output projection. What
// is made smaller is the mean over layers of
//     mean of (net - teacher)^2 / variance of the teacher's,
// so that 1 is as bad as a constant. Layers learn independently, and no feed-forward layer of the
// net is run: only norms, q, k, v, o, scalers before attention get gradients.
#pragma once
#include <stdbool.h>

#include "model/net.h"

#ifdef __cplusplus
extern "C" {
#endif

// *missed <- the cost of a batch (its targets, weights and teacher are not used). With is_backward
// adds the gradient, of the mean over batch->n_counted rows if that is set, to those of the net.
// `teacher` is digital and has the net's shape (contract).
LEY_MUST_CHECK enum ley_status ley_net_transfer(double *missed, struct ley_net *net,
                                                const struct ley_model *teacher,
                                                const struct ley_batch *batch, bool is_backward);

#ifdef __cplusplus
}
#endif
