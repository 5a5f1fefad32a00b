// energy.h - a ledger priced: each event times its price, in the four published groups (M30).
#pragma once
#include "cost/activity.h"
#include "cost/technology.h"

#ifdef __cplusplus
extern "C" {
#endif

// Joules, for whatever the activity covers. Parts are the sums of their items (price.def).
struct ley_energy {
#define LEY_PRICE(event, item, part, field, default, low, high, unit, doc, source) double item##_j;
#define LEY_UNPRICED(event, why)
#include "cost/price.def"
#undef LEY_PRICE
#undef LEY_UNPRICED
    double qk_j, av_j, digital_j, dac_j; // S3.4: K, V with converters; control; DACs and writing
    double total_j;
};

// Prices events. Totals are sums of parts, parts of items, in the order of price.def.
struct ley_energy ley_energy_of(const struct ley_activity *activity,
                                const struct ley_price_spec *price);

// The same of a ledger as it stands.
struct ley_energy ley_energy_of_ledger(const struct ley_ledger *ledger,
                                       const struct ley_price_spec *price);

// One priced event, for code that walks over all of them.
struct ley_price {
    const char *event, *item, *part, *field; // "k_charge_c", "k_cells", "qk", "k_charge_j_per_c"
    const char *doc, *source;
    size_t offset; // of the item in struct ley_energy
};

// All rows of price.def; `n_prices` receives their number. Static storage.
const struct ley_price *ley_prices(int *n_prices);

// Why an event has no price of its own; NULL when it has one.
const char *ley_unpriced_why(const char *event);

#ifdef __cplusplus
}
#endif
