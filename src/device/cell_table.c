// cell_table.c - CSV of a cell sweep to one curve at the read amplitude
//
// Steps: find the columns by name, read the points, sort them by (Vstore, Vin), then cut along Vin
// at the read amplitude. The cut is linear in Vin because sweeps are dense there; along Vstore,
// where levels lie between points, the curve is monotone and smooth (curve.h).
#include "device/cell_table.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/memory.h"

// One sweep of 50 by 51 points has 2550 lines; the bounds are for damaged files.
enum { MAX_POINTS = 1 << 20, MAX_LINE = 512, MAX_COLUMNS = 16 };

static const double largest_value = 1e9;       // volts or microamperes: beyond is no measurement
static const double smallest_spacing_v = 1e-6; // closer points would make absurd slopes

// One point of the sweep: stored voltage [V], read amplitude [V], current [uA].
struct sample {
    double v_store, v_in, i_ua;
};

struct columns {
    int v_store, v_in, i_ua; // position in a line, -1 when absent
};

// The points in the order of the file, after sorting by (v_store, v_in).
struct table {
    struct sample *sample;
    int n;
};

// By stored voltage, then by read amplitude: rows of the grid become runs.
static int compare_samples(const void *a, const void *b) {
    const struct sample *x = a, *y = b;
    if (x->v_store != y->v_store) {
        return x->v_store < y->v_store ? -1 : 1;
    }
    return (x->v_in > y->v_in) - (x->v_in < y->v_in);
}

// Copies the next line without its end into `line`; false when the text is used up or the line is
// too long (then *text is NULL).
static bool next_line(char line[MAX_LINE], const char **text) {
    if (!**text) {
        return false;
    }
    size_t n = strcspn(*text, "\n");
    if (n >= MAX_LINE) {
        *text = NULL;
        return false;
    }
    memcpy(line, *text, n);
    line[n] = '\0';
    if (n > 0 && line[n - 1] == '\r') {
        line[n - 1] = '\0';
    }
    *text += n + ((*text)[n] == '\n');
    return true;
}

// Cuts the header in place. Unknown columns are skipped; of a name given twice the last counts.
static struct columns find_columns(char *header) {
    struct columns columns = {-1, -1, -1};
    int i = 0;
    char *rest = NULL;
    for (char *name = strtok_r(header, ", \t", &rest); name; name = strtok_r(NULL, ", \t", &rest)) {
        int *column = strcmp(name, "Vstore_V") == 0  ? &columns.v_store
                      : strcmp(name, "Vin_V") == 0   ? &columns.v_in
                      : strcmp(name, "Iout_uA") == 0 ? &columns.i_ua
                                                     : NULL;
        if (column) {
            *column = i;
        }
        i++;
    }
    return columns;
}

// All fields of a line have to be numbers, also those of columns that are not used.
static bool parse_sample(struct sample *sample, const char *line, const struct columns *columns,
                         double v_read_v) {
    double value[MAX_COLUMNS];
    int n = 0;
    // Fields until the end of the line; more columns than MAX_COLUMNS are left unread.
    for (const char *at = line; n < MAX_COLUMNS; at++) {
        char *end;
        value[n] = strtod(at, &end);
        if (end == at || !(fabs(value[n]) < largest_value)) { // also refuses NaN
            return false;
        }
        n++;
        at = end + strspn(end, " \t");
        if (*at != ',') {
            if (*at != '\0') {
                return false;
            }
            break;
        }
    }
    if (columns->v_store >= n || columns->v_in >= n || columns->i_ua >= n) {
        return false;
    }
    sample->v_store = value[columns->v_store];
    // Without a Vin_V column the whole table was taken at the read amplitude.
    sample->v_in = columns->v_in >= 0 ? value[columns->v_in] : v_read_v;
    sample->i_ua = value[columns->i_ua];
    return true;
}

// Empty lines and lines that begin with # are skipped.
static enum ley_status read_samples(struct table *table, const char *text, const char *name,
                                    double v_read_v) {
    char line[MAX_LINE];
    int line_number = 1;
    if (!next_line(line, &text)) {
        return ley_fail(LEY_E_FORMAT, "%s: no header line", name);
    }
    struct columns columns = find_columns(line);
    if (columns.v_store < 0 || columns.i_ua < 0 ||
        (columns.v_in > columns.i_ua ? columns.v_in : columns.i_ua) >= MAX_COLUMNS) {
        return ley_fail(LEY_E_FORMAT,
                        "%s:1: the header must name Vstore_V, Iout_uA and, unless all "
                        "points share one read voltage, Vin_V",
                        name);
    }
    while (next_line(line, &text)) {
        line_number++;
        if (line[strspn(line, " \t")] == '\0' || line[0] == '#') {
            continue;
        }
        if (table->n == MAX_POINTS ||
            !parse_sample(&table->sample[table->n], line, &columns, v_read_v)) {
            return ley_fail(LEY_E_FORMAT, "%s:%d: not a line of finite numbers", name, line_number);
        }
        table->n++;
    }
    return text ? LEY_OK : ley_fail(LEY_E_FORMAT, "%s:%d: line too long", name, line_number + 1);
}

// Current at one stored voltage: the n samples of `row` differ in Vin only, sorted.
static bool cut_row(double *i_ua, const struct sample *row, int n, double v_read_v) {
    if (v_read_v < row[0].v_in || v_read_v > row[n - 1].v_in) {
        return false;
    }
    // The piece whose right end is at or beyond the amplitude.
    int k = 0;
    while (k < n - 1 && row[k + 1].v_in < v_read_v) {
        k++;
    }
    if (n == 1 || row[k].v_in == v_read_v) {
        *i_ua = row[k].i_ua;
        return true;
    }
    // A point of the grid is met exactly, without rounding in the blend.
    double t = (v_read_v - row[k].v_in) / (row[k + 1].v_in - row[k].v_in);
    *i_ua = t == 1 ? row[k + 1].i_ua : row[k].i_ua + t * (row[k + 1].i_ua - row[k].i_ua);
    return true;
}

// Sorted, a full grid repeats the n_in read amplitudes for every stored voltage.
static enum ley_status check_grid(const struct table *table, int n_in, const char *name) {
    const struct sample *s = table->sample;
    for (int i = 0; i < table->n; i++) {
        // The same amplitudes in each row, one voltage in a row, another in the next.
        bool starts_row = i % n_in == 0;
        if (s[i].v_in != s[i % n_in].v_in || (!starts_row && s[i].v_store != s[i - 1].v_store) ||
            (starts_row && i > 0 && s[i].v_store == s[i - 1].v_store)) {
            return ley_fail(LEY_E_FORMAT,
                            "%s: not a full grid near Vstore_V = %g, Vin_V = %g (a "
                            "point is missing or given twice)",
                            name, s[i].v_store, s[i].v_in);
        }
    }
    return LEY_OK;
}

// The length of the first run gives the grid; check_grid tells whether all runs are alike.
static enum ley_status find_grid(int *n_in, const struct table *table, const char *name) {
    const struct sample *s = table->sample;
    *n_in = 1;
    while (*n_in < table->n && s[*n_in].v_store == s[0].v_store) {
        (*n_in)++;
    }
    int n_store = table->n / *n_in;
    if (n_store < 2 || n_store * *n_in != table->n) {
        return ley_fail(LEY_E_FORMAT, "%s: %d points are no grid of at least two stored voltages",
                        name, table->n);
    }
    return check_grid(table, *n_in, name);
}

// Every row is cut, then a curve goes through the cuts.
static enum ley_status make_curve(struct ley_curve **curve, const struct table *table,
                                  const char *name, double v_read_v) {
    const struct sample *s = table->sample;
    int n_in;
    LEY_TRY(find_grid(&n_in, table, name));
    int n_store = table->n / n_in;
    double *x = ley_alloc((size_t)n_store, 2 * sizeof *x);
    if (!x) {
        return ley_fail_memory("cell table", (size_t)n_store, 2 * sizeof *x);
    }
    // x and y are two halves of one block.
    double *y = x + n_store;
    enum ley_status status = LEY_OK;
    for (int i = 0; i < n_store && status == LEY_OK; i++) {
        const struct sample *row = &s[i * n_in];
        x[i] = row->v_store;
        if (!cut_row(&y[i], row, n_in, v_read_v)) {
            status = ley_fail(LEY_E_ARGUMENT,
                              "%s covers read voltages %g..%g V; cell.v_read_v is "
                              "%g",
                              name, row[0].v_in, row[n_in - 1].v_in, v_read_v);
        }
        y[i] *= 1e-6; // the column is in microamperes
        if (status == LEY_OK && i > 0 && x[i] - x[i - 1] < smallest_spacing_v) {
            status = ley_fail(LEY_E_FORMAT, "%s: Vstore_V = %.9g and %.9g are too close", name,
                              x[i - 1], x[i]);
        }
    }
    if (status == LEY_OK) {
        status = ley_curve_create(curve, x, y, n_store);
    }
    ley_free(x);
    return status;
}

// Every sample takes at least four bytes of text ("0,0\n"), which bounds their number, as
// MAX_POINTS does. Sorted; the caller frees table->sample, also after a failure.
static enum ley_status read_table(struct table *table, const char *text, size_t n_bytes,
                                  const char *name, double v_read_v) {
    *table = (struct table){0};
    if (strnlen(text, n_bytes) != n_bytes) {
        return ley_fail(LEY_E_FORMAT, "%s: not a text file", name);
    }
    size_t n_room = n_bytes / 4 + 1 < MAX_POINTS ? n_bytes / 4 + 1 : MAX_POINTS;
    table->sample = ley_alloc(n_room, sizeof *table->sample);
    if (!table->sample) {
        return ley_fail_memory("cell table", n_room, sizeof *table->sample);
    }
    LEY_TRY(read_samples(table, text, name, v_read_v));
    qsort(table->sample, (size_t)table->n, sizeof *table->sample, compare_samples);
    return LEY_OK;
}

enum ley_status ley_cell_table_read(struct ley_curve **curve, const char *text, size_t n_bytes,
                                    const char *name, double v_read_v) {
    struct table table;
    *curve = NULL;
    enum ley_status status = read_table(&table, text, n_bytes, name, v_read_v);
    if (status == LEY_OK) {
        status = make_curve(curve, &table, name, v_read_v);
    }
    ley_free(table.sample);
    return status;
}

// A table of the largest size takes some tens of megabytes of text.
static const size_t largest_file = (size_t)1 << 26;

enum ley_status ley_cell_table_load(struct ley_curve **curve, const char *path, double v_read_v) {
    char *text;
    size_t n_bytes;
    *curve = NULL;
    LEY_TRY(ley_file_read(&text, &n_bytes, path, largest_file));
    enum ley_status status = ley_cell_table_read(curve, text, n_bytes, path, v_read_v);
    ley_free(text);
    return status;
}

// One block holds both axes and the currents.
enum ley_status ley_cell_grid_create(struct ley_cell_grid *grid, int n_store, int n_in) {
    size_t n = (size_t)n_store + (size_t)n_in + (size_t)n_store * (size_t)n_in;
    *grid = (struct ley_cell_grid){0};
    double *block = ley_alloc(n, sizeof *block);
    if (!block) {
        return ley_fail_memory("cell table", n, sizeof *block);
    }
    *grid = (struct ley_cell_grid){n_store, n_in, block, block + n_store, block + n_store + n_in};
    return LEY_OK;
}

enum ley_status ley_cell_grid_copy(struct ley_cell_grid *grid, const struct ley_cell_grid *from) {
    LEY_TRY(ley_cell_grid_create(grid, from->n_store, from->n_in));
    size_t n = (size_t)(from->n_store + from->n_in + from->n_store * from->n_in);
    memcpy(grid->v_store_v, from->v_store_v, n * sizeof *from->v_store_v);
    return LEY_OK;
}

void ley_cell_grid_destroy(struct ley_cell_grid *grid) {
    ley_free(grid->v_store_v);
    *grid = (struct ley_cell_grid){0};
}

// The sorted table as two axes and a matrix.
static enum ley_status make_grid(struct ley_cell_grid *grid, const struct table *table,
                                 const char *name) {
    const struct sample *s = table->sample;
    int n_in;
    LEY_TRY(find_grid(&n_in, table, name));
    LEY_TRY(ley_cell_grid_create(grid, table->n / n_in, n_in));
    for (int m = 0; m < n_in; m++) {
        grid->v_in_v[m] = s[m].v_in;
    }
    for (int i = 0; i < table->n; i++) {
        grid->v_store_v[i / n_in] = s[i].v_store;
        grid->i_a[i] = 1e-6 * s[i].i_ua;
    }
    return LEY_OK;
}

enum ley_status ley_cell_grid_load(struct ley_cell_grid *grid, const char *path, double v_read_v) {
    char *text;
    size_t n_bytes;
    struct table table;
    *grid = (struct ley_cell_grid){0};
    LEY_TRY(ley_file_read(&text, &n_bytes, path, largest_file));
    enum ley_status status = read_table(&table, text, n_bytes, path, v_read_v);
    if (status == LEY_OK) {
        status = make_grid(grid, &table, path);
    }
    ley_free(table.sample);
    ley_free(text);
    return status;
}

// Through samples, so that there is one cut.
enum ley_status ley_cell_grid_cut(struct ley_curve **curve, const struct ley_cell_grid *grid,
                                  double v_read_v) {
    struct table table = {.n = grid->n_store * grid->n_in};
    *curve = NULL;
    table.sample = ley_alloc((size_t)table.n, sizeof *table.sample);
    if (!table.sample) {
        return ley_fail_memory("cell table", (size_t)table.n, sizeof *table.sample);
    }
    for (int i = 0; i < table.n; i++) {
        table.sample[i] = (struct sample){grid->v_store_v[i / grid->n_in],
                                          grid->v_in_v[i % grid->n_in], 1e6 * grid->i_a[i]};
    }
    enum ley_status status = make_curve(curve, &table, "cell table", v_read_v);
    ley_free(table.sample);
    return status;
}

// Lines are short and their number known: 64 bytes hold three numbers of nine digits.
enum ley_status ley_cell_grid_save(const struct ley_cell_grid *grid, const char *path) {
    size_t n = 64 * ((size_t)grid->n_store * (size_t)grid->n_in + 1);
    char *text = ley_alloc(n, 1);
    if (!text) {
        return ley_fail_memory("cell table", n, 1);
    }
    size_t at = (size_t)snprintf(text, n, "Vstore_V,Vin_V,Iout_uA\n");
    for (int i = 0; i < grid->n_store * grid->n_in; i++) {
        at +=
            (size_t)snprintf(text + at, n - at, "%.9g,%.9g,%.9g\n", grid->v_store_v[i / grid->n_in],
                             grid->v_in_v[i % grid->n_in], 1e6 * grid->i_a[i]);
    }
    enum ley_status status = ley_file_write(path, text, at);
    ley_free(text);
    return status;
}
