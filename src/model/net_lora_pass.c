// net_lora_pass.c - gradients of low-rank changes, by products of low rank
//
// With W_eff = W + s B A, the gradient dW of W_eff is never made: with U = s x A^T and H = s dy B,
//     dB += dy^T U,   dA += H^T x
// Changes of one stack share its x and dy: U and H of all are one product each, made by layers
// whose weights are s A, and s B in blocks along the diagonal.
#include <string.h>

#include "core/assert.h"
#include "core/memory.h"
#include "model/net_impl.h"

static struct ley_low_rank *low_rank_of(const struct ley_net *net, const struct ley_stack *stack) {
    return net->lora.stack && stack->kind != LEY_STACK_OUTPUT
               ? &net->lora.stack[stack->layer * LEY_N_STACKS + (int)stack->kind]
               : NULL;
}

static int64_t rows_of(const struct ley_net *net, enum ley_weight weight) {
    return ley_weight_info(&net->parameters.config, weight).n_rows;
}

static int64_t outputs_of(const struct ley_net *net, const struct ley_stack *stack) {
    int64_t n_out = 0;
    for (int i = 0; i < stack->n; i++) {
        n_out += rows_of(net, stack->weight[i]);
    }
    return n_out;
}

static int changes_of(const struct ley_net *net, const struct ley_stack *stack) {
    int n = 0;
    for (int i = 0; i < stack->n; i++) {
        n += ley_net_change(net, stack->weight[i], stack->layer) != NULL;
    }
    return n;
}

static enum ley_status create(struct ley_net *net, const struct ley_stack *stack) {
    struct ley_low_rank *low = low_rank_of(net, stack);
    int n_in = (int)ley_weight_info(&net->parameters.config, stack->weight[0]).n_columns;
    low->n = changes_of(net, stack);
    if (low->n == 0) {
        return LEY_OK;
    }
    int width = low->n * net->lora.spec.rank, n_out = (int)outputs_of(net, stack);
    LEY_TRY(ley_linear_create(&low->down, net->model->engine, n_in, width, false));
    return ley_linear_create(&low->up, net->model->engine, n_out, width, false);
}

enum ley_status ley_low_rank_create(struct ley_net *net) {
    int n_layers = net->parameters.config.n_layers;
    size_t n = (size_t)n_layers * LEY_N_STACKS;
    ley_low_rank_destroy(net);
    net->lora.stack = ley_alloc(n, sizeof *net->lora.stack);
    if (!net->lora.stack) {
        return ley_fail_memory("changes of layers", n, sizeof *net->lora.stack);
    }
    for (int l = 0; l < n_layers; l++) {
        for (int kind = 0; kind < LEY_STACK_OUTPUT; kind++) {
            const struct ley_stack stack = ley_net_stack(net, (enum ley_net_stack)kind, l);
            LEY_TRY(create(net, &stack));
        }
    }
    return LEY_OK;
}

void ley_low_rank_destroy(struct ley_net *net) {
    int n = net->lora.stack ? net->parameters.config.n_layers * LEY_N_STACKS : 0;
    for (int i = 0; i < n; i++) {
        ley_linear_destroy(net->lora.stack[i].down);
        ley_linear_destroy(net->lora.stack[i].up);
    }
    ley_free(net->lora.stack);
    net->lora.stack = NULL;
}

int64_t ley_low_rank_width(const struct ley_net *net) {
    int most = 0;
    for (int kind = 0; net->lora.stack && kind < LEY_STACK_OUTPUT; kind++) {
        int n = net->lora.stack[kind].n; // layers are alike
        most = n > most ? n : most;
    }
    return (int64_t)most * net->lora.spec.rank;
}

// Rows of s B of change i, the whole width of the stack: zero but in its own columns.
static void pack_up(struct ley_net *net, const struct ley_low_rank *low,
                    const struct ley_lora *lora, int i, int64_t first) {
    int64_t width = (int64_t)low->n * lora->rank;
    float *rows = net->lora.scratch;
    memset(rows, 0, (size_t)(lora->n_rows * width) * sizeof *rows);
    for (int64_t r = 0; r < lora->n_rows; r++) {
        for (int j = 0; j < lora->rank; j++) {
            rows[r * width + i * lora->rank + j] = lora->scale * lora->b[r * lora->rank + j];
        }
    }
    ley_linear_load_columns(low->up, rows, first, lora->n_rows);
}

static void pack_down(struct ley_net *net, const struct ley_low_rank *low,
                      const struct ley_lora *lora, int i) {
    float *rows = net->lora.scratch;
    for (int64_t j = 0; j < lora->rank * lora->n_columns; j++) {
        rows[j] = lora->scale * lora->a[j];
    }
    ley_linear_load(low->down, rows, (int64_t)i * lora->rank, lora->rank);
}

void ley_low_rank_pack(struct ley_net *net, const struct ley_stack *stack) {
    const struct ley_low_rank *low = low_rank_of(net, stack);
    int64_t first = 0;
    for (int i = 0, c = 0; low && i < stack->n; i++) {
        if (ley_net_change(net, stack->weight[i], stack->layer)) {
            const struct ley_lora lora = ley_net_lora_of(net, stack->weight[i], stack->layer);
            pack_down(net, low, &lora, c);
            pack_up(net, low, &lora, c++, first);
        }
        first += rows_of(net, stack->weight[i]);
    }
}

// dB += dy^T U of change c of a stack, from the columns of dy that are its own: made turned, U^T
// dy.
static enum ley_status b_backward(struct ley_net *net, const struct ley_low_rank *low, int c,
                                  const struct ley_parameter *b, const struct ley_rows *dy,
                                  int64_t first, int64_t n_rows) {
    int64_t rank = net->lora.spec.rank, n = b->n_rows;
    float *turned = net->lora.scratch, *db = net->parameters.gradient + b->offset;
    memset(turned, 0, (size_t)(rank * n) * sizeof *turned);
    LEY_TRY(ley_outer_product(turned, net->model->engine, net->a.low + c * rank, low->n * rank, dy,
                              first, n_rows, (int)rank, (int)n));
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < n; r++) {
        for (int64_t j = 0; j < rank; j++) {
            db[r * rank + j] += turned[j * n + r];
        }
    }
    return LEY_OK;
}

// dA += H^T x: one product for all, then each to its tensor.
static enum ley_status a_backward(struct ley_net *net, const struct ley_low_rank *low,
                                  const struct ley_stack *stack, const struct ley_rows *x,
                                  int64_t n_rows) {
    int64_t rank = net->lora.spec.rank, width = low->n * rank, n_in = x->n;
    float *from = net->lora.scratch;
    memset(from, 0, (size_t)(width * n_in) * sizeof *from);
    LEY_TRY(ley_outer_product(from, net->model->engine, net->a.dlow, width, x, 0, n_rows,
                              (int)width, (int)n_in));
    for (int i = 0; i < stack->n; i++) {
        struct ley_parameter *const *change = ley_net_change(net, stack->weight[i], stack->layer);
        if (change) {
            float *to = net->parameters.gradient + change[0]->offset;
            for (int64_t j = 0; change[0]->trains && j < rank * n_in; j++) {
                to[j] += from[j];
            }
            from += rank * n_in;
        }
    }
    return LEY_OK;
}

enum ley_status ley_low_rank_backward(struct ley_net *net, const struct ley_stack *stack,
                                      const struct ley_rows *dy, const float *x, int64_t n_rows) {
    const struct ley_low_rank *low = low_rank_of(net, stack);
    bool trains = false;
    for (int i = 0; low && i < stack->n; i++) {
        trains = trains || ley_net_change_trains(net, stack->weight[i], stack->layer);
    }
    if (!trains) {
        return LEY_OK;
    }
    int n_in = (int)ley_weight_info(&net->parameters.config, stack->weight[0]).n_columns;
    const struct ley_rows rows =
        ley_rows_make(net->model->engine, x, n_rows, n_in, net->a.rows + net->a.n_dy_rows);
    int64_t first = 0;
    ley_linear_forward_rows(net->a.low, low->down, &rows, n_rows);
    ley_linear_forward_rows(net->a.dlow, low->up, dy, n_rows);
    for (int i = 0, c = 0; i < stack->n; i++) {
        struct ley_parameter *const *change = ley_net_change(net, stack->weight[i], stack->layer);
        if (change && change[1]->trains) {
            LEY_TRY(b_backward(net, low, c, change[1], dy, first, n_rows));
        }
        c += change != NULL;
        first += rows_of(net, stack->weight[i]);
    }
    return a_backward(net, low, stack, &rows, n_rows);
}
