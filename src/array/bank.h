// bank.h - the KV cache of one head: a ring of tiles, written and read one token at a time.
//
// Token s goes to column s mod ring; a query sees the last `window` tokens (M15). Every column
// knows when it was written, so it has leaked for exactly that long when it is read (M7, M16).
// Under grouped queries several query heads read one bank, one after another.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "array/hardware.h"
#include "device/cell.h"

struct ley_ledger;
struct ley_read_trace; // array/tile.h

#ifdef __cplusplus
extern "C" {
#endif

struct ley_bank;

// Makes an empty bank. `hardware` (checked by ley_hardware_check) and `cell` are borrowed: both
// must outlive it.
LEY_MUST_CHECK enum ley_status ley_bank_create(struct ley_bank **bank,
                                               const struct ley_hardware *hardware,
                                               const struct ley_cell *cell, int head_dim);

// NULL is accepted.
void ley_bank_destroy(struct ley_bank *bank);

// Forgets all tokens and sets time back to zero.
void ley_bank_reset(struct ley_bank *bank);

// Writes the next token at time t_s: k and v [V], head_dim values each, after their scalers and
// before the DAC. Time never runs backwards (contract). O(head_dim).
void ley_bank_write(struct ley_bank *bank, const double *k_v, const double *v_v, double t_s,
                    struct ley_ledger *ledger);

// Reads with one query at time t_s: q, head_dim values after the scaler and before the DAC.
// sum[head_dim] receives the digital sum over tiles, in units of A_sat. trace, ledger may be NULL.
void ley_bank_read(double *sum, struct ley_bank *bank, const double *q, double t_s,
                   const struct ley_read_trace *trace, struct ley_ledger *ledger);

// Rewrites physical column c, which must have been written, at time t_s: every cell of K and V is
// sensed with the longest pulse and charged anew to the level whose fresh current is nearest
// (M35), which is the one it had unless it leaked too long. The write DAC has steps (contract).
// Counts charge, conversions and writes; tokens are as before.
void ley_bank_refresh(struct ley_bank *bank, int c, double t_s, struct ley_ledger *ledger);

// Tokens written so far.
int64_t ley_bank_n_tokens(const struct ley_bank *bank);

// Columns of the ring.
int ley_bank_ring(const struct ley_bank *bank);

// Token that physical column c (0..ring-1) holds; -1 when it was never written.
int64_t ley_bank_token(const struct ley_bank *bank, int c);

// Age of physical column c at time t_s [s]; the column must have been written.
double ley_bank_age_s(const struct ley_bank *bank, int c, double t_s);

#ifdef __cplusplus
}
#endif
