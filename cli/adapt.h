// adapt.h - what leyden adapt works on, shared by its parts
#pragma once
#include "commands.h"
#include "training.h"

enum adapt_stage { MATCH, TRANSFER, DISTIL, N_STAGES };
enum adapt_learns { SCALERS, LORA, MATRICES, ALL };

struct adapt_options {
    struct invocation invocation;
    struct language_options language;
    struct training_options training;
    const char *out, *method, *learns, *matrices, *type, *keys, *outputs, *teacher;
    int rank, transfer_tokens;
    double scaler_rate, alpha, cross_entropy, divergence, temperature, hidden, echo;
    bool merge;
};

struct adapt {
    const struct adapt_options *options;
    struct language language;     // its model teaches, digital as it is
    struct language teacher;      // of --teacher, which teaches instead; zero: none
    struct ley_model_file *start; // with the adapter to go on from; NULL: none
    struct ley_adapter *adapter;  // the same
    struct training training;
    struct ley_net *net;
    struct ley_echo echo;      // of --echo; zero: none
    struct ley_lora_spec lora; // rank 0: none
    enum adapt_learns learns;
    struct language_forms forms; // when calibrated here
    bool has[N_STAGES];
};

// Opens --teacher, if there is one, and sees that it can teach.
enum ley_status adapt_open_teacher(struct adapt *adapt);

// Who teaches, and samples --data self.
struct language *adapt_teacher(struct adapt *adapt);

// Puts the net on its chip with scalers to start from: those of the adapter or the file, else
// calibrated ones; with the stage MATCH, matched to the chip that they were made for (M23).
enum ley_status adapt_start(struct adapt *adapt);
