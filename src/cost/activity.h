// activity.h - events of one query head and token, as numbers that prices multiply.
//
// Either counted (a ledger divided by the heads and tokens it covers) or expected: the mean over
// uniform random codes on a full ring, computed from the laws of the chip without simulating it
// (M32). That is the reference workload of published numbers.
#pragma once
#include "array/hardware.h"
#include "event/ledger.h"

#ifdef __cplusplus
extern "C" {
#endif

// Every event of event.def as a real number.
struct ley_activity {
#define LEY_EVENT(name, kind, meaning) double name;
#include "event/event.def"
#undef LEY_EVENT
};

// Events of a ledger that covers n things (heads times tokens, or 1), for one of them.
struct ley_activity ley_activity_of(const struct ley_ledger *ledger, double n);

// One event by its row of ley_events().
double ley_activity_value(const struct ley_activity *activity, int event);
void ley_activity_set(struct ley_activity *activity, int event, double value); // likewise

// Expected events of one query head and token: codes of q, k and v uniform and independent, every
// column that the window sees written once a token period. Query heads of a group share the write.
// A converter without steps counts as one of 256.
void ley_activity_uniform(struct ley_activity *activity, const struct ley_hardware *hardware,
                          const struct ley_cell *cell, int head_dim, int n_queries_per_bank);

#ifdef __cplusplus
}
#endif
