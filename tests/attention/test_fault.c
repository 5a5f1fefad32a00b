// test_fault.c - out of memory at every allocation in turn: one clear status, nothing leaked
#include <omp.h>

#include "support/counting_alloc.h"
#include "support/support.h"

static enum ley_status run_backward(const struct ley_attention *attention,
                                    const struct ley_attention_call *call, const double *dout) {
    static double dq[2 * 6 * 4], dk[6 * 4], dv[6 * 4];
    const struct ley_attention_gradient gradient = {
        .dout = ley_heads_packed(dout, 2, 6, 4),
        .dq = ley_heads_packed_out(dq, 2, 6, 4),
        .dk = ley_heads_packed_out(dk, 1, 6, 4),
        .dv = ley_heads_packed_out(dv, 1, 6, 4),
    };
    return ley_attention_backward(&gradient, attention, call);
}

static enum ley_status run_everything(void) {
    static double q[2 * 6 * 4], kv[6 * 4], out[2 * 6 * 4];
    struct ley_hardware hardware;
    struct ley_attention *attention;
    struct ley_stream *stream;
    struct ley_ledger ledger = {0};
    LEY_TRY(ley_hardware_load(&hardware, "cmos"));
    LEY_TRY(ley_attention_create(&attention, &hardware, &(struct ley_attention_shape){2, 1, 4}));
    struct ley_attention_call call = packed_call(out, q, kv, kv, &attention->shape, 1, 6);
    call.ledger = &ledger;
    enum ley_status status = ley_attention_forward(attention, &call);
    if (status == LEY_OK) {
        status = run_backward(attention, &call, out);
    }
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
    counting_reset(0, false);
    ASSERT_OK(run_everything());
    assert_int_equal(counting.n_live, 0);
    int64_t n = counting.n_calls;
    assert_true(n > 10); // the library really calls this ley_alloc
    for (int64_t i = 1; i <= n; i++) {
        counting_reset(i, false);
        assert_int_equal(run_everything(), LEY_E_MEMORY);
        assert_int_equal(counting.n_live, 0);
    }
}

// Bytes that the gradients of T tokens ask for, on one thread.
static size_t backward_bytes(int64_t n_tokens) {
    struct ley_hardware hardware;
    struct ley_attention *attention;
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    ASSERT_OK(ley_attention_create(&attention, &hardware, &(struct ley_attention_shape){1, 1, 2}));
    size_t n = (size_t)n_tokens * 2;
    double *x = ley_alloc(5 * n, sizeof *x); // zeros: q, k and v, dout; then the gradients
    const struct ley_attention_call call =
        packed_call(NULL, x, x, x, &attention->shape, 1, n_tokens);
    const struct ley_attention_gradient gradient = {
        .dout = ley_heads_packed(x + n, 1, n_tokens, 2),
        .dq = ley_heads_packed_out(x + 2 * n, 1, n_tokens, 2),
        .dk = ley_heads_packed_out(x + 3 * n, 1, n_tokens, 2),
        .dv = ley_heads_packed_out(x + 4 * n, 1, n_tokens, 2),
    };
    omp_set_num_threads(1);
    counting_reset(0, false);
    ASSERT_OK(ley_attention_backward(&gradient, attention, &call));
    size_t n_bytes = counting.n_bytes;
    ley_free(x);
    ley_attention_destroy(attention);
    return n_bytes;
}

// No array (T, T): twice the tokens, twice the memory at most.
static void test_backward_memory_is_linear(void **state) {
    (void)state;
    size_t one = backward_bytes(600), two = backward_bytes(1200);
    assert_true(two <= 2 * one && one < 600 * 2 * 12 * sizeof(double));
}

// Set-up may allocate; steps may not.
static void test_steps_do_not_allocate(void **state) {
    (void)state;
    static double q[8], kv[4], out[8];
    struct ley_hardware hardware;
    struct ley_attention *attention;
    struct ley_stream *stream;
    counting_reset(0, false);
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    ASSERT_OK(ley_attention_create(&attention, &hardware, &(struct ley_attention_shape){2, 1, 4}));
    ASSERT_OK(ley_stream_create(&stream, attention, 1));
    struct ley_attention_call call = packed_call(out, q, kv, kv, &attention->shape, 1, 1);
    counting_reset(0, false);
    for (int t = 0; t < 100; t++) {
        ley_stream_step(stream, &call, t * 1e-6);
    }
    assert_int_equal(counting.n_calls, 0);
    ley_stream_destroy(stream);
    ley_attention_destroy(attention);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_backward_memory_is_linear),
        cmocka_unit_test(test_steps_do_not_allocate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
