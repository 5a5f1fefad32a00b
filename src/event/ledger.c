// ledger.c - one row of event.def is one field, one line of JSON, one term of every sum
#include "event/ledger.h"

#include <cjson/cJSON.h>

// The second column of event.def, as a number that fits a table.
#define IS_COUNT  1
#define IS_AMOUNT 0

static const struct ley_event events[] = {
#define LEY_EVENT(name, kind, meaning)                                                             \
    {#name, meaning, IS_##kind, offsetof(struct ley_ledger, name)},
#include "event/event.def"
#undef LEY_EVENT
};

enum { N_EVENTS = sizeof events / sizeof events[0] };

const struct ley_event *ley_events(int *n_events) {
    *n_events = N_EVENTS;
    return events;
}

static const void *field_of(const struct ley_ledger *ledger, const struct ley_event *event) {
    return (const char *)ledger + event->offset;
}

// Counts above 2^53 would be rounded here; no run gets there.
double ley_ledger_value(const struct ley_ledger *ledger, const struct ley_event *event) {
    const void *field = field_of(ledger, event);
    return event->is_count ? (double)*(const uint64_t *)field : *(const double *)field;
}

// Counts are 64 bits and cannot overflow; amounts are doubles, whose sums depend on the order.
void ley_ledger_add(struct ley_ledger *total, const struct ley_ledger *part) {
#define LEY_EVENT(name, kind, meaning) total->name += part->name;
#include "event/event.def"
#undef LEY_EVENT
}

void ley_ledger_add_growth(struct ley_ledger *total, const struct ley_ledger *after,
                           const struct ley_ledger *before) {
#define LEY_EVENT(name, kind, meaning) total->name += after->name - before->name;
#include "event/event.def"
#undef LEY_EVENT
}

// As doubles: exact up to 2^53 events.
struct cJSON *ley_ledger_json(const struct ley_ledger *ledger) {
    struct cJSON *object = cJSON_CreateObject();
    for (int i = 0; i < N_EVENTS; i++) {
        cJSON_AddNumberToObject(object, events[i].name, ley_ledger_value(ledger, &events[i]));
    }
    return object;
}
