// energy.c - one row of price.def is one product and one term of one part
#include "cost/energy.h"

#include <string.h>

static const struct ley_price prices[] = {
#define LEY_PRICE(event, item, part, field, default, low, high, unit, doc, source)                 \
    {#event, #item, #part, #field, doc, source, offsetof(struct ley_energy, item##_j)},
#define LEY_UNPRICED(event, why)
#include "cost/price.def"
#undef LEY_PRICE
#undef LEY_UNPRICED
};

const struct ley_price *ley_prices(int *n_prices) {
    *n_prices = sizeof prices / sizeof prices[0];
    return prices;
}

// A dozen names: a linear search.
const char *ley_unpriced_why(const char *event) {
    static const char *const unpriced[][2] = {
#define LEY_PRICE(event, item, part, field, default, low, high, unit, doc, source)
#define LEY_UNPRICED(event, why) {#event, why},
#include "cost/price.def"
#undef LEY_PRICE
#undef LEY_UNPRICED
    };
    for (size_t i = 0; i < sizeof unpriced / sizeof unpriced[0]; i++) {
        if (strcmp(unpriced[i][0], event) == 0) {
            return unpriced[i][1];
        }
    }
    return NULL;
}

// M30
struct ley_energy ley_energy_of(const struct ley_activity *activity,
                                const struct ley_price_spec *price) {
    struct ley_energy energy = {0};
#define LEY_PRICE(event, item, part, field, default, low, high, unit, doc, source)                 \
    energy.item##_j = activity->event * price->field;                                              \
    energy.part##_j += energy.item##_j;
#define LEY_UNPRICED(event, why)
#include "cost/price.def"
#undef LEY_PRICE
#undef LEY_UNPRICED
    energy.total_j = energy.qk_j + energy.av_j + energy.digital_j + energy.dac_j;
    return energy;
}

struct ley_energy ley_energy_of_ledger(const struct ley_ledger *ledger,
                                       const struct ley_price_spec *price) {
    struct ley_activity activity = ley_activity_of(ledger, 1);
    return ley_energy_of(&activity, price);
}
