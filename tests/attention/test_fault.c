// test_fault.c - out of memory at every allocation in turn: one clear status, nothing leaked
//
// This program brings its own ley_alloc and ley_free, which take the place of the library's when it
// is linked as a shared object (ELF symbol interposition).
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

static int n_allocations, failing_allocation;
static int n_live;

void *ley_alloc(size_t n_items, size_t item_bytes) {
    if (++n_allocations == failing_allocation) {
        return NULL;
    }
    size_t n_bytes = (n_items * item_bytes + 127) / 64 * 64;
    void *block = aligned_alloc(64, n_bytes);
    memset(block, 0, n_bytes);
    n_live++;
    return block;
}

void ley_free(void *block) {
    n_live -= block != NULL;
    free(block);
}

enum ley_status ley_fail_memory(const char *what, size_t n_items, size_t item_bytes) {
    return ley_fail(LEY_E_MEMORY, "out of memory: %s (%zu x %zu)", what, n_items, item_bytes);
}

static enum ley_status run_everything(void) {
    static double q[2 * 6 * 4], kv[6 * 4], out[2 * 6 * 4];
    struct ley_hardware hardware;
    struct ley_attention *attention;
    struct ley_stream *stream;
    struct ley_ledger ledger = {0};
    LEY_TRY(ley_hardware_load(&hardware, "cmos"));
    LEY_TRY(ley_attention_create(&attention, &hardware, &(struct ley_attention_shape){2, 1, 4}));
    enum ley_status status =
        ley_attention_forward(out, attention, q, kv, kv, 1, 6, NULL, &ledger, NULL);
    if (status == LEY_OK) {
        status = ley_stream_create(&stream, attention, 2);
        if (status == LEY_OK) {
            ley_stream_destroy(stream);
        }
    }
    ley_attention_destroy(attention);
    return status;
}

static void test_every_allocation_may_fail(void **state) {
    (void)state;
    failing_allocation = 0;
    n_allocations = 0;
    ASSERT_OK(run_everything());
    assert_int_equal(n_live, 0);
    int n = n_allocations;
    assert_true(n > 10); // the library really calls this ley_alloc
    for (int i = 1; i <= n; i++) {
        failing_allocation = i;
        n_allocations = 0;
        assert_int_equal(run_everything(), LEY_E_MEMORY);
        assert_int_equal(n_live, 0);
    }
}

// Set-up may allocate; steps may not.
static void test_steps_do_not_allocate(void **state) {
    (void)state;
    static double q[8], kv[4], out[8];
    struct ley_hardware hardware;
    struct ley_attention *attention;
    struct ley_stream *stream;
    failing_allocation = 0;
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    ASSERT_OK(ley_attention_create(&attention, &hardware, &(struct ley_attention_shape){2, 1, 4}));
    ASSERT_OK(ley_stream_create(&stream, attention, 1));
    n_allocations = 0;
    for (int t = 0; t < 100; t++) {
        ley_stream_step(out, stream, q, kv, kv, t * 1e-6, NULL, NULL);
    }
    assert_int_equal(n_allocations, 0);
    ley_stream_destroy(stream);
    ley_attention_destroy(attention);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_steps_do_not_allocate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
