// one_head.c - a KV cache of one head in gain cells: write three tokens, read with a query
//
// Build against an installed Leyden:  cmake -S . -B build -DCMAKE_PREFIX_PATH=... && cmake --build
// build or:  cc one_head.c $(pkg-config --cflags --libs leyden) -o one_head
#include <stdio.h>

#include <leyden.h>

static enum ley_status run(void) {
    enum { D = 4 };
    // After the scalers: k and v in volts (0..0.9), q as a fraction of the pulse (0..1).
    const double k[3][D] = {{0.9, 0.9, 0.1, 0.1}, {0.1, 0.1, 0.9, 0.9}, {0.5, 0.9, 0.5, 0.1}};
    const double v[3][D] = {{0.9, 0.5, 0.5, 0.5}, {0.5, 0.9, 0.5, 0.5}, {0.5, 0.5, 0.9, 0.5}};
    const double q[D] = {1, 1, 0, 0};

    struct ley_hardware hardware;
    struct ley_cell *cell;
    struct ley_bank *bank;
    struct ley_ledger ledger = {0};
    LEY_TRY(ley_hardware_load(&hardware, "paper"));
    LEY_TRY(ley_hardware_check(&hardware, 1));
    LEY_TRY(ley_hardware_create_cell(&cell, &hardware));
    enum ley_status status = ley_bank_create(&bank, &hardware, cell, D);
    if (status == LEY_OK) {
        for (int t = 0; t < 3; t++) {
            double y[D], t_s = t * hardware.time.token_period_s;
            ley_bank_write(bank, k[t], v[t], t_s, &ledger);
            ley_bank_read(y, bank, q, t_s, NULL, &ledger);
            printf("token %d: y = %+.4f %+.4f %+.4f %+.4f\n", t, y[0], y[1], y[2], y[3]);
        }
        printf("%llu cells written, %.3g pC through K\n", (unsigned long long)ledger.cells_written,
               1e12 * ledger.k_charge_c);
    }
    ley_bank_destroy(bank);
    ley_cell_destroy(cell);
    return status;
}

int main(void) {
    if (run() != LEY_OK) {
        fprintf(stderr, "one_head: %s\n", ley_error_text());
        return 2;
    }
    return 0;
}
