// net_analog.h - a net whose attention runs on the chip: its scalers learn beside the weights.
//
// The scalers of every layer are extra tensors of the net's parameters, eight a layer: slopes and
// offsets of q, k, v and output, one value a head. Forward is ley_attention_forward with the
// hardware's own arithmetic; back is ley_attention_backward.
#pragma once
#include "array/hardware.h"
#include "attention/scaler_set.h"
#include "model/net.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { LEY_SCALER_TENSORS = 8 }; // of a layer

// extra[n_layers * LEY_SCALER_TENSORS] <- the scalers as ley_net_create takes them: "SCALER_Q_A.0",
// "SCALER_Q_B.0", .. "SCALER_OUTPUT_B.1". All train and, as in the authors' training, all decay.
void ley_scaler_parameters(struct ley_parameter *extra, const struct ley_model_config *config);

// Puts the attention of a net that was made with these tensors on `hardware`, as
// ley_model_set_analog does with the net's model (no session may be there); the initial scalers go
// to the tensors. ley_net_pack gives changed ones to the model. Takes memory for the work of
// attention, which belongs to the net. On failure attention is as it was.
LEY_MUST_CHECK enum ley_status ley_net_set_analog(struct ley_net *net,
                                                  const struct ley_hardware *hardware);

// Whether gradients of its attention, where that is analog, follow the cells' own law (M22); as it
// is put on a chip they do not.
void ley_net_follow_law(struct ley_net *net, bool follows_law);

// The other way: tensors <- the scalers of ley_model_attention of the net's model, after these were
// loaded or calibrated (rounded to float32, there too).
void ley_net_take_scalers(struct ley_net *net);

// set <- the scalers of the net's model, which is analog; shapes must be equal (contract).
void ley_net_scalers(struct ley_scaler_set *set, const struct ley_net *net);

#ifdef __cplusplus
}
#endif
