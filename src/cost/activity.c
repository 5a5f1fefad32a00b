// activity.c - expected events of uniform random codes (M32)
//
// S of a column is a sum of head_dim independent terms q f(u), A of a row and tile one of as many
// terms phi f(w) as the tile has columns. Their exact first four (S) or two (A) moments follow from
// the levels; expectations of clips and counts are taken over the normal density, for S with its
// Edgeworth correction, by the midpoint rule. Neglected: that columns of a tile share q, which
// correlates their phi. O(ages * points); at most 1024 ages are looked at, evenly spaced.
#include "cost/activity.h"

#include <math.h>
#include <string.h>

#include "array/retention.h"
#include "core/assert.h"

enum { N_POINTS = 1200, MAX_AGES = 1024, N_CONTINUOUS = 256 };
static const double reach = 7; // standard deviations to either side

// Counts are whole, amounts real: both are divided.
struct ley_activity ley_activity_of(const struct ley_ledger *ledger, double n) {
    struct ley_activity activity;
    int n_events;
    const struct ley_event *events = ley_events(&n_events);
    LEY_ASSERT(n > 0);
    for (int i = 0; i < n_events; i++) {
        ley_activity_set(&activity, i, ley_ledger_value(ledger, &events[i]) / n);
    }
    return activity;
}

#define LEY_EVENT(name, kind, meaning) +1
_Static_assert(sizeof(struct ley_activity) == (0
#include "event/event.def"
                                               ) * sizeof(double),
               "an array of doubles in the order of event.def");
#undef LEY_EVENT

// By place: see above.
double ley_activity_value(const struct ley_activity *activity, int event) {
    return ((const double *)activity)[event];
}

// For code that walks over events.
void ley_activity_set(struct ley_activity *activity, int event, double value) {
    ((double *)activity)[event] = value;
}

// Mean powers of one factor over its levels.
struct moments {
    double m[5]; // of x^0 .. x^4
    double size; // of |x|
};

// Pulses: k / (n - 1).
static struct moments pulse_moments(int n_levels) {
    struct moments q = {{0}, 0};
    int n = n_levels ? n_levels : N_CONTINUOUS;
    for (int k = 0; k < n; k++) {
        double x = (double)k / (n - 1), power = 1;
        for (int i = 0; i < 5; i++, power *= x) {
            q.m[i] += power / n;
        }
    }
    q.size = q.m[1];
    return q;
}

// Currents of written levels at one age, in units of i_sat.
static struct moments current_moments(const struct ley_cell *cell,
                                      const struct ley_hardware *hardware, double age_s) {
    struct moments f = {{0}, 0};
    int n = hardware->converter.kv_levels ? hardware->converter.kv_levels : N_CONTINUOUS;
    struct ley_decay decay = ley_cell_decay(cell, age_s);
    for (int k = 0; k < n; k++) {
        double u_v = ley_cell_write(cell, k * hardware->cell.v_dd_v / (n - 1));
        double i_a = ley_cell_current(cell, u_v * decay.u_scale) * decay.i_scale, power = 1;
        for (int i = 0; i < 5; i++, power *= i_a * 1e6) { // in uA: fourth powers stay readable
            f.m[i] += power / n;
        }
        f.size += fabs(i_a) * 1e6 / n;
    }
    return f;
}

// Distribution of a sum: mean, deviation, skewness and excess.
struct normal {
    double mean, sd, skew, excess;
};

// Cumulants of a product of independent factors, times n.
static struct normal sum_of_products(const struct moments *a, const struct moments *b, int n) {
    double m[5], c[5];
    for (int i = 0; i < 5; i++) {
        m[i] = a->m[i] * b->m[i];
    }
    c[2] = m[2] - m[1] * m[1];
    c[3] = m[3] - 3 * m[1] * m[2] + 2 * m[1] * m[1] * m[1];
    c[4] = m[4] - 4 * m[3] * m[1] - 3 * m[2] * m[2] + 12 * m[2] * m[1] * m[1] -
           6 * m[1] * m[1] * m[1] * m[1];
    double sd = sqrt(c[2] * n);
    bool is_spread = sd > 0;
    return (struct normal){n * m[1], sd, is_spread ? n * c[3] / (sd * sd * sd) : 0,
                           is_spread ? n * c[4] / (sd * sd * sd * sd) : 0};
}

// Density of point i of N_POINTS, times its width; *x is its place.
static double point(double *x, const struct normal *law, int i) {
    double width = 2 * reach / N_POINTS, z = -reach + (i + 0.5) * width, z2 = z * z;
    double he3 = z * (z2 - 3), he4 = z2 * z2 - 6 * z2 + 3;
    double he6 = z2 * z2 * z2 - 15 * z2 * z2 + 45 * z2 - 15;
    double bend =
        1 + law->skew / 6 * he3 + law->excess / 24 * he4 + law->skew * law->skew / 72 * he6;
    *x = law->mean + z * law->sd;
    return 0.3989422804014327 * exp(-z2 / 2) * bend * width; // 1 / sqrt(2 pi)
}

// What a HardSigmoid makes of S (M11): E phi, E phi^2, shares of zero and longest pulses.
struct pulses {
    double phi, phi_square, zero, saturated;
};

// M11 over the distribution of S, which is in units of S_sat.
static struct pulses expect_pulses(const struct normal *s) {
    struct pulses p = {0, 0, 0, 0};
    for (int i = 0; i < N_POINTS; i++) {
        double x, weight = point(&x, s, i), phi = x < 0 ? 0 : x > 1 ? 1 : x;
        p.phi += weight * phi;
        p.phi_square += weight * phi * phi;
        p.zero += x <= 0 ? weight : 0;
        p.saturated += x >= 1 ? weight : 0;
    }
    return p;
}

// What a signed converter makes of A (M13): pulse length, counts, share at the end.
static void expect_outputs(struct ley_activity *activity, const struct normal *a, double n,
                           const struct ley_hardware *hardware) {
    const struct ley_converter_spec *spec = &hardware->converter;
    double full = spec->output_levels ? (spec->output_levels - 1) / 2.0 : 0;
    double most = ley_output_code_max(spec);
    for (int i = 0; i < N_POINTS; i++) {
        double x, weight = n * point(&x, a, i), size = fabs(x) > 1 ? 1 : fabs(x);
        double code = rint(size * full);
        activity->output_pulse_time_s += weight * size * hardware->time.output_pulse_s;
        activity->counter_ticks += weight * (code > most ? most : code);
        activity->saturated_outputs += fabs(x) >= 1 ? weight : 0;
    }
}

// Sums over the ages of one tile, per column of it.
struct tile_sums {
    double n, mean, square; // columns; sum of E phi f and of E (phi f)^2, uA
};

// One column of an age, `weight` of which there are: charges of K, pulses, charges of V.
static void add_column(struct ley_activity *activity, struct tile_sums *tile,
                       const struct ley_hardware *hardware, const struct ley_cell *cell,
                       const struct moments *q, double age_s, double head_dim, double weight) {
    const struct ley_time_spec *time = &hardware->time;
    struct moments f = current_moments(cell, hardware, age_s);
    struct normal s = sum_of_products(q, &f, (int)head_dim);
    s.mean *= 1e-6 / hardware->converter.score_i_sat_a;
    s.sd *= 1e-6 / hardware->converter.score_i_sat_a;
    struct pulses p = expect_pulses(&s);
    double k_s = weight * head_dim * q->m[1] * time->q_pulse_s * 1e-6;
    double v_s = weight * head_dim * p.phi * time->phi_pulse_s * 1e-6;
    activity->k_charge_c += k_s * f.size;
    activity->k_net_charge_c += k_s * f.m[1];
    activity->v_charge_c += v_s * f.size;
    activity->v_net_charge_c += v_s * f.m[1];
    activity->phi_line_time_s += weight * p.phi * time->phi_pulse_s;
    activity->zero_scores += weight * p.zero;
    activity->saturated_scores += weight * p.saturated;
    tile->n += weight;
    tile->mean += weight * p.phi * f.m[1];
    tile->square += weight * (p.phi_square * f.m[2] - p.phi * p.phi * f.m[1] * f.m[1]);
}

// What follows from shapes alone.
static void count_plain(struct ley_activity *activity, const struct ley_hardware *hardware,
                        double head_dim, double n_queries, double mean_pulse) {
    double n_live = hardware->array.window;
    double n_tiles = ceil(n_live / hardware->array.n_columns);
    double n_stacked = ceil(head_dim / hardware->array.n_rows);
    activity->scaler_operations = 2 * head_dim + 2 * head_dim / n_queries;
    activity->columns_written = 1 / n_queries;
    activity->cells_written = 2 * head_dim / n_queries;
    activity->write_dac_conversions = 2 * head_dim / n_queries;
    activity->queries = 1;
    activity->pulse_dac_conversions = head_dim;
    activity->tiles_read = n_tiles * n_stacked;
    activity->q_line_time_s = n_tiles * head_dim * mean_pulse * hardware->time.q_pulse_s;
    activity->k_cell_reads = n_live * head_dim;
    activity->v_cell_reads = n_live * head_dim;
    activity->score_conversions = n_live;
    activity->output_conversions = n_tiles * head_dim;
    activity->digital_additions = n_tiles * head_dim;
}

// M35: columns that a bank rewrites a token, each shared by the queries of a group.
static void add_refresh(struct ley_activity *activity, const struct ley_hardware *hardware,
                        const struct ley_cell *cell, int64_t period, double n_cells) {
    double n = n_cells * (double)ley_refresh_count(period, hardware, hardware->array.window - 1);
    struct moments f =
        current_moments(cell, hardware, (double)period * hardware->time.token_period_s);
    activity->k_charge_c += n * f.size * 1e-6 * hardware->time.q_pulse_s;
    activity->v_charge_c += n * f.size * 1e-6 * hardware->time.q_pulse_s;
    activity->output_conversions += 2 * n;
    activity->write_dac_conversions += 2 * n;
    activity->cells_written += 2 * n;
}

// M32. Tiles are taken in the order of age: the newest 64 tokens, the next 64 ...
void ley_activity_uniform(struct ley_activity *activity, const struct ley_hardware *hardware,
                          const struct ley_cell *cell, int head_dim, int n_queries_per_bank) {
    int window = hardware->array.window, n_ages = window < MAX_AGES ? window : MAX_AGES;
    double weight = (double)window / n_ages, to_units = 1e-6 / hardware->converter.output_i_sat_a;
    struct moments q = pulse_moments(hardware->converter.q_levels);
    struct tile_sums tile = {0, 0, 0};
    int64_t period;
    if (ley_refresh_period(&period, hardware, cell) != LEY_OK) {
        period = 0; // such a chip is refused elsewhere
    }
    memset(activity, 0, sizeof *activity);
    count_plain(activity, hardware, head_dim, n_queries_per_bank, q.m[1]);
    if (period > 0) {
        add_refresh(activity, hardware, cell, period, (double)head_dim / n_queries_per_bank);
    }
    for (int i = 0; i < n_ages; i++) {
        double lag = (i + 0.5) * weight - 0.5;
        double age_s =
            (period > 0 ? fmod(lag, (double)period) : lag) * hardware->time.token_period_s;
        add_column(activity, &tile, hardware, cell, &q, age_s, head_dim, weight);
        // A tile is full, or the window ends; an age may stand for several tiles.
        double n_columns = hardware->array.n_columns;
        if (tile.n + weight / 2 > n_columns || i + 1 == n_ages) {
            double n_tiles = weight > n_columns ? tile.n / n_columns : 1;
            const struct normal a = {tile.mean / n_tiles * to_units,
                                     sqrt(tile.square / n_tiles) * to_units, 0, 0};
            expect_outputs(activity, &a, n_tiles * head_dim, hardware);
            tile = (struct tile_sums){0, 0, 0};
        }
    }
}
