// low_rank.h - a matrix as the product of two thin ones: its largest singular values.
//
// Subspace iteration from a random start (Halko, Martinsson & Tropp, "Finding structure with
// randomness", SIAM Review 2011, algorithm 4.4), then one-sided Jacobi rotations in the subspace.
// Sums are of double precision in a fixed order: the same bits for any number of threads.
#pragma once
#include <stdint.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

// How much of a matrix its factors hold: sums of squares of all values.
struct ley_low_rank {
    double total, kept; // of the matrix; of b a. 0 <= kept <= total but for rounding
};

// matrix (n_rows, n_columns) ~ b (n_rows, rank) a (rank, n_columns), rank 1..; both have the same
// share of each singular value. Ranks beyond those of the matrix are zero. LEY_E_MEMORY.
LEY_MUST_CHECK enum ley_status ley_low_rank(struct ley_low_rank *done, float *a, float *b,
                                            const float *matrix, int64_t n_rows, int64_t n_columns,
                                            int rank);

#ifdef __cplusplus
}
#endif
