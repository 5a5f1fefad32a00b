// ledger.h - counts what happens on the chip, while it happens.
//
// Prices nothing: the cost model multiplies these counts by energies later. A ledger is plain
// data; a function that can count takes a pointer to one and counts nothing when it is NULL.
// Ledgers of parts add up to the ledger of the whole (event.def lists every event).
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cJSON;

struct ley_ledger {
#define LEY_FIELD_COUNT                uint64_t
#define LEY_FIELD_AMOUNT               double
#define LEY_EVENT(name, kind, meaning) LEY_FIELD_##kind name;
#include "event/event.def"
#undef LEY_EVENT
#undef LEY_FIELD_COUNT
#undef LEY_FIELD_AMOUNT
};

// One event of a ledger, for code that walks over all of them.
struct ley_event {
    const char *name;
    const char *meaning;
    int is_count;  // 1: a number of occurrences, 0: an amount in the unit of the name's suffix
    size_t offset; // of the field in struct ley_ledger
};

// All events in the order of event.def; `n_events` receives their number. Static storage.
const struct ley_event *ley_events(int *n_events);

// Value of one event as a double (exact below 2^53).
double ley_ledger_value(const struct ley_ledger *ledger, const struct ley_event *event);

// total += part, event by event.
void ley_ledger_add(struct ley_ledger *total, const struct ley_ledger *part);

// total += after - before: what a ledger has grown by. Amounts are rounded by the subtraction.
void ley_ledger_add_growth(struct ley_ledger *total, const struct ley_ledger *after,
                           const struct ley_ledger *before);

// The events as a JSON object {name: value}; NULL when out of memory. The caller deletes it with
// cJSON_Delete.
struct cJSON *ley_ledger_json(const struct ley_ledger *ledger);

#ifdef __cplusplus
}
#endif
