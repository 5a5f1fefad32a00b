// scaler_file.c - scalers from the .npy files of a training run
//
// Any shape with one element per head is accepted: the authors store (1, heads, 1, 1).
#include <stdio.h>

#include "attention/scaler.h"
#include "tensor/npy.h"

// On failure the tensor may hold data: the caller destroys it either way.
static enum ley_status load_one(struct ley_tensor *tensor, int n_heads, const char *folder,
                                const char *signal, char which) {
    char path[1024];
    if ((size_t)snprintf(path, sizeof path, "%s/scaler_%s_%c.npy", folder, signal, which) >=
        sizeof path) {
        return ley_fail(LEY_E_ARGUMENT, "the name of the scaler folder is too long");
    }
    LEY_TRY(ley_npy_load(tensor, path));
    if (ley_tensor_count(tensor) != n_heads) {
        return ley_fail(LEY_E_SHAPE, "%s holds %lld values; %d heads need one each", path,
                        (long long)ley_tensor_count(tensor), n_heads);
    }
    return ley_tensor_check_finite(tensor, path);
}

// Both letters, then the pairs; scaler[n_heads] is written only when all is well.
static enum ley_status load_signal(struct ley_scaler *scaler, int n_heads, const char *folder,
                                   enum ley_signal signal) {
    struct ley_tensor a = {.data = NULL}, b = {.data = NULL};
    enum ley_status status = load_one(&a, n_heads, folder, ley_signal_name(signal), 'a');
    if (status == LEY_OK) {
        status = load_one(&b, n_heads, folder, ley_signal_name(signal), 'b');
    }
    for (int h = 0; status == LEY_OK && h < n_heads; h++) {
        scaler[h] = (struct ley_scaler){ley_tensor_get(&a, h), ley_tensor_get(&b, h)};
    }
    ley_tensor_destroy(&a);
    ley_tensor_destroy(&b);
    return status;
}

// The scalers of signals read before a failure are overwritten already.
enum ley_status ley_scalers_load(struct ley_scaler *scaler[LEY_N_SIGNALS],
                                 const int n_heads[LEY_N_SIGNALS], const char *folder) {
    for (int signal = 0; signal < LEY_N_SIGNALS; signal++) {
        LEY_TRY(load_signal(scaler[signal], n_heads[signal], folder, (enum ley_signal)signal));
    }
    return LEY_OK;
}
