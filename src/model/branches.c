// branches.c - attention of many sequences that share beginnings, in one pass over their rows
//
// Dense layers see rows and no sequences. Attention takes a branch at a time: keys and values of
// its ancestors and its own, side by side in one piece, and queries of its own tokens only. Threads
// share the branches where there are many, and the heads of each where there are few.
#include <omp.h>
#include <string.h>

#include "core/memory.h"
#include "event/ledger.h"
#include "model/branches_impl.h"

// Rows, starts and positions of all branches.
static void place(struct ley_branches *made) {
    int64_t row = 0;
    for (int64_t i = 0; i < made->n; i++) {
        int64_t parent = made->branch[i].parent, n = made->branch[i].n_tokens;
        made->row[i] = row;
        made->start[i] = parent < 0 ? 0 : made->start[parent] + made->branch[parent].n_tokens;
        for (int64_t t = 0; t < n; t++) {
            made->position[row + t] = made->start[i] + t;
        }
        row += n;
        int64_t end = made->start[i] + n;
        made->longest = end > made->longest ? end : made->longest;
    }
}

// What attention needs, when the longest branch is known.
static enum ley_status reserve(struct ley_branches *made, const struct ley_model *model) {
    const struct ley_model_config *config = &model->config;
    size_t n_threads = (size_t)made->n_threads, longest = (size_t)made->longest;
    const struct ley_softmax_shape shape = ley_model_softmax(model);
    bool is_analog = model->layer[0].attention != NULL;
    made->piece.n = is_analog ? 0 : ley_softmax_scratch_size(&shape, made->longest);
    made->piece.piece = ley_alloc(n_threads, (size_t)made->piece.n * sizeof(float));
    made->kv = ley_alloc(n_threads * longest, 2 * (size_t)ley_width_k(config) * sizeof(float));
    made->work = ley_alloc(n_threads, sizeof(struct ley_attention_work *));
    made->n_heads = config->n_kv_heads + config->n_heads;
    made->ledger = ley_alloc((size_t)made->n, sizeof *made->ledger);
    made->head_ledger = ley_alloc((size_t)(made->n * made->n_heads), sizeof *made->head_ledger);
    if (!made->piece.piece || !made->kv || !made->work || !made->ledger || !made->head_ledger) {
        return ley_fail_memory("branches", n_threads * longest, sizeof(float));
    }
    for (int i = 0; is_analog && i < made->n_threads; i++) {
        LEY_TRY(ley_attention_work_create(&made->work[i]));
    }
    return LEY_OK;
}

enum ley_status ley_branches_create(struct ley_branches **branches, const struct ley_model *model,
                                    const struct ley_branch *branch, int64_t n, int64_t n_rows) {
    struct ley_branches *made = ley_alloc(1, sizeof *made);
    *branches = made;
    if (!made) {
        return ley_fail_memory("branches", 1, sizeof *made);
    }
    *made = (struct ley_branches){.branch = branch, .n = n, .n_threads = omp_get_max_threads()};
    made->row = ley_alloc((size_t)n, sizeof *made->row);
    made->start = ley_alloc((size_t)n, sizeof *made->start);
    made->position = ley_alloc((size_t)n_rows, sizeof *made->position);
    enum ley_status status = LEY_OK;
    if (!made->row || !made->start || !made->position) {
        status = ley_fail_memory("branches", (size_t)n_rows, sizeof *made->position);
    } else {
        place(made);
        status = reserve(made, model);
    }
    if (status != LEY_OK) {
        ley_branches_destroy(made);
        *branches = NULL;
    }
    return status;
}

void ley_branches_destroy(struct ley_branches *branches) {
    if (!branches) {
        return;
    }
    for (int i = 0; branches->work && i < branches->n_threads; i++) {
        ley_attention_work_destroy(branches->work[i]);
    }
    ley_free(branches->row);
    ley_free(branches->start);
    ley_free(branches->position);
    ley_free(branches->piece.piece);
    ley_free(branches->kv);
    ley_free(branches->work);
    ley_free(branches->ledger);
    ley_free(branches->head_ledger);
    ley_free(branches);
}

// The layer's rows and one branch of them.
struct part {
    const struct ley_branches_call *call;
    const struct ley_branches *branches;
    int64_t i, n_keys;
    const float *q, *kv; // first query; keys of token 0, values width_k behind them
    int64_t kv_stride;
    float *out;
};

// Keys and values of a branch with its ancestors, in the order of positions; in place where there
// are no ancestors.
static void gather(struct part *part, float *room) {
    const struct ley_branches *all = part->branches;
    int64_t stride = part->call->stride, width = 2 * part->call->width_k;
    const float *rows = part->call->qkv + part->call->width_q;
    part->kv = rows + all->row[part->i] * stride;
    part->kv_stride = stride;
    if (all->branch[part->i].parent < 0) {
        return;
    }
    for (int64_t i = part->i; i >= 0; i = all->branch[i].parent) {
        for (int64_t t = 0; t < all->branch[i].n_tokens; t++) {
            memcpy(room + (all->start[i] + t) * width, rows + (all->row[i] + t) * stride,
                   (size_t)width * sizeof *room);
        }
    }
    part->kv = room;
    part->kv_stride = width;
}

// As a session would for tokens start .. n_keys - 1 of a sequence of its own.
static void attend_digital(const struct part *part, const struct ley_softmax_scratch *scratch) {
    const struct ley_branches_call *call = part->call;
    struct ley_softmax_shape shape = ley_model_softmax(call->model);
    shape.q_stride = call->stride;
    const struct ley_kv_rows rows = {part->kv, part->kv + call->width_k, part->kv_stride,
                                     part->n_keys};
    int64_t start = part->branches->start[part->i];
    ley_softmax_forward(part->out, &shape, part->q, &rows, start, part->n_keys - start, scratch);
}

// Ledgers of the heads of a branch.
static struct ley_ledger *heads_of(const struct ley_branches *branches, int64_t i) {
    return &branches->head_ledger[i * branches->n_heads];
}

static enum ley_status attend_analog(const struct part *part, struct ley_attention_work *work) {
    const struct ley_branches_call *all = part->call;
    int64_t head_dim = all->model->config.head_dim;
    const float *k = part->kv, *v = k + all->width_k;
    const struct ley_attention_call call = {
        .q = {.f32 = part->q, .head = head_dim, .token = all->stride},
        .k = {.f32 = k, .head = head_dim, .token = part->kv_stride},
        .v = {.f32 = v, .head = head_dim, .token = part->kv_stride},
        .out = {.f32 = part->out, .head = head_dim, .token = all->width_q},
        .n_batch = 1,
        .n_tokens = part->n_keys,
        .first = part->branches->start[part->i],
        .ledger = all->ledger ? &part->branches->ledger[part->i] : NULL,
        .head_ledger = all->head_ledger ? heads_of(part->branches, part->i) : NULL,
        .work = work,
    };
    return ley_attention_forward(all->attention, &call);
}

// Works with the memory of thread `thread`.
static enum ley_status attend_one(const struct ley_branches_call *call,
                                  const struct ley_branches *branches, int64_t i, int thread) {
    struct part part = {
        .call = call,
        .branches = branches,
        .i = i,
        .n_keys = branches->start[i] + branches->branch[i].n_tokens,
        .q = call->qkv + branches->row[i] * call->stride,
        .out = call->out + branches->row[i] * call->width_q,
    };
    gather(&part, branches->kv + (int64_t)thread * branches->longest * 2 * call->width_k);
    const struct ley_softmax_scratch *all = &branches->piece;
    const struct ley_softmax_scratch scratch = {all->piece + thread * all->n, all->n};
    if (call->attention) {
        branches->ledger[i] = (struct ley_ledger){0};
        memset(heads_of(branches, i), 0, (size_t)branches->n_heads * sizeof(struct ley_ledger));
        return attend_analog(&part, branches->work[thread]);
    }
    attend_digital(&part, &scratch);
    return LEY_OK;
}

// In the order of branches, whoever did them.
static void add_ledgers(const struct ley_branches *branches, const struct ley_branches_call *call) {
    for (int64_t i = 0; call->ledger && i < branches->n; i++) {
        ley_ledger_add(call->ledger, &branches->ledger[i]);
    }
    for (int64_t i = 0; call->head_ledger && i < branches->n * branches->n_heads; i++) {
        ley_ledger_add(&call->head_ledger[i % branches->n_heads], &branches->head_ledger[i]);
    }
}

// A failure's text belongs to the thread that failed, so it is told anew: only memory can lack.
enum ley_status ley_branches_attend(struct ley_branches *branches,
                                    const struct ley_branches_call *call) {
    enum { WORTH_THREADS = 8 }; // branches a thread, else heads are shared
    bool has_failed = false;
#pragma omp parallel for schedule(dynamic) if (branches->n >= WORTH_THREADS * branches->n_threads)
    for (int64_t i = 0; i < branches->n; i++) {
        if (attend_one(call, branches, i, omp_get_thread_num()) != LEY_OK) {
#pragma omp atomic write
            has_failed = true;
        }
    }
    if (has_failed) {
        return ley_fail(LEY_E_MEMORY, "out of memory in the attention of %lld branches",
                        (long long)branches->n);
    }
    add_ledgers(branches, call);
    return LEY_OK;
}
