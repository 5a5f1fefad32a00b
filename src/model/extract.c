// extract.c - changes of matrices between two models, as thin factors or as they are
#include "model/extract.h"

#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "model/adapter_impl.h"
#include "model/low_rank.h"

// ---- two models of one shape

// True when a weight of one has the same place and meaning in the other.
static bool have_same_shape(const struct ley_model_config *a, const struct ley_model_config *b) {
    return a->family == b->family && a->activation == b->activation && a->n_layers == b->n_layers &&
           a->d_model == b->d_model && a->n_heads == b->n_heads && a->n_kv_heads == b->n_kv_heads &&
           a->head_dim == b->head_dim && a->d_ff == b->d_ff && a->n_vocab == b->n_vocab &&
           a->rope_dim == b->rope_dim;
}

enum ley_status ley_graft_set(struct ley_graft *graft, const struct ley_model_file *base,
                              const struct ley_model_file *trained) {
    const struct ley_model_config *config = ley_model_file_config(base);
    const struct ley_model_config *other = ley_model_file_config(trained);
    if (!have_same_shape(config, other)) {
        return ley_fail(LEY_E_ARGUMENT,
                        "the two models must be of one shape: layers, width, heads, feed-forward "
                        "width, tokens are %d, %d, %d, %d, %d in the trained one, %d, %d, %d, %d, "
                        "%d in the other",
                        other->n_layers, other->d_model, other->n_heads, other->d_ff,
                        other->n_vocab, config->n_layers, config->d_model, config->n_heads,
                        config->d_ff, config->n_vocab);
    }
    if (config->rope_layout != other->rope_layout) {
        return ley_fail(LEY_E_ARGUMENT, "one model is a GGUF file, the other a folder: leyden "
                                        "convert makes both the same");
    }
    *graft =
        (struct ley_graft){ley_model_file_source(base), ley_model_file_source(trained), *config};
    return LEY_OK;
}

static bool is_taken(const struct ley_graft *graft, enum ley_weight weight) {
    struct ley_weight_info info = ley_weight_info(&graft->config, weight);
    return info.is_per_layer && info.is_matrix;
}

static const struct ley_weight_source *source_of(const struct ley_graft *graft,
                                                 enum ley_weight weight) {
    return is_taken(graft, weight) ? &graft->trained : &graft->base;
}

static bool has(void *context, enum ley_weight weight, int layer) {
    const struct ley_weight_source *source = source_of(context, weight);
    return source->has(source->context, weight, layer);
}

static enum ley_status read_rows(void *context, float *out, enum ley_weight weight, int layer,
                                 int64_t first_row, int64_t n_rows) {
    const struct ley_weight_source *source = source_of(context, weight);
    return source->read(source->context, out, weight, layer, first_row, n_rows);
}

struct ley_weight_source ley_graft_source(struct ley_graft *graft) {
    return (struct ley_weight_source){graft, has, read_rows};
}

// ---- changes

struct extraction {
    struct ley_graft graft;
    int rank;
    struct ley_lora *lora; // [layer * LEY_N_WEIGHTS + weight], factors owned
    struct scaler_keys keys;
    float *rows, *before; // room for the largest weight, or a part of it
    size_t n_room;
    double kept, total;          // squares of the changes of matrices
    double left_behind, weights; // squares of all other changes, and of those weights
};

// A million values at a time: embeddings are larger than all else.
static const int64_t part_values = (int64_t)1 << 20;

static bool both_have(const struct ley_graft *graft, enum ley_weight weight, int layer) {
    return graft->base.has(graft->base.context, weight, layer) &&
           graft->trained.has(graft->trained.context, weight, layer);
}

// rows <- what the trained weight is more than the other; `before` keeps that one.
static enum ley_status read_change(struct extraction *e, enum ley_weight weight, int layer,
                                   int64_t first_row, int64_t n_rows) {
    const struct ley_weight_source *base = &e->graft.base, *trained = &e->graft.trained;
    size_t n = (size_t)(n_rows * ley_weight_info(&e->graft.config, weight).n_columns);
    LEY_TRY(base->read(base->context, e->before, weight, layer, first_row, n_rows));
    LEY_TRY(trained->read(trained->context, e->rows, weight, layer, first_row, n_rows));
    for (size_t i = 0; i < n; i++) {
        e->rows[i] -= e->before[i];
    }
    return LEY_OK;
}

// A change of nothing but zeros takes no place in an adapter.
static enum ley_status factor(struct extraction *e, enum ley_weight weight, int layer) {
    const struct ley_weight_info info = ley_weight_info(&e->graft.config, weight);
    const size_t n_a = (size_t)(e->rank * info.n_columns), n_b = (size_t)(e->rank * info.n_rows);
    struct ley_low_rank done;
    LEY_TRY(read_change(e, weight, layer, 0, info.n_rows));
    float *a = ley_alloc(n_a + n_b, sizeof *a);
    if (!a) {
        return ley_fail_memory("a change", n_a + n_b, sizeof *a);
    }
    enum ley_status status =
        ley_low_rank(&done, a, a + n_a, e->rows, info.n_rows, info.n_columns, e->rank);
    if (status != LEY_OK || done.total == 0) {
        ley_free(a);
        return status;
    }
    e->lora[layer * LEY_N_WEIGHTS + (int)weight] = (struct ley_lora){.a = a,
                                                                     .b = a + n_a,
                                                                     .n_rows = info.n_rows,
                                                                     .n_columns = info.n_columns,
                                                                     .rank = e->rank,
                                                                     .scale = 1};
    e->kept += done.kept;
    e->total += done.total;
    return LEY_OK;
}

// Norms, biases, embeddings: only how much they changed.
static enum ley_status look_at(struct extraction *e, enum ley_weight weight, int layer) {
    const struct ley_weight_info info = ley_weight_info(&e->graft.config, weight);
    int64_t n_part = part_values / info.n_columns;
    n_part = n_part < 1 ? 1 : n_part;
    for (int64_t first = 0; first < info.n_rows; first += n_part) {
        int64_t n = info.n_rows - first < n_part ? info.n_rows - first : n_part;
        LEY_TRY(read_change(e, weight, layer, first, n));
        for (int64_t i = 0; i < n * info.n_columns; i++) {
            e->left_behind += (double)e->rows[i] * (double)e->rows[i];
            e->weights += (double)e->before[i] * (double)e->before[i];
        }
    }
    return LEY_OK;
}

static enum ley_status take(struct extraction *e, enum ley_weight weight, int layer) {
    struct ley_weight_info info = ley_weight_info(&e->graft.config, weight);
    if (!both_have(&e->graft, weight, layer) || (!info.is_per_layer && layer > 0)) {
        return LEY_OK;
    }
    return is_taken(&e->graft, weight) ? factor(e, weight, layer) : look_at(e, weight, layer);
}

static enum ley_status take_all(struct extraction *e, struct ley_progress progress) {
    int n = e->graft.config.n_layers * LEY_N_WEIGHTS;
    for (int i = 0; i < n; i++) {
        LEY_TRY(take(e, (enum ley_weight)(i % LEY_N_WEIGHTS), i / LEY_N_WEIGHTS));
        if (!progress.report(progress.context, i + 1, n)) {
            return ley_fail(LEY_E_INTERRUPTED, "interrupted; nothing was written");
        }
    }
    return LEY_OK;
}

// Whole matrices of layers, and parts of what is larger.
static enum ley_status make_room(struct extraction *e) {
    e->n_room = (size_t)part_values;
    for (int w = 0; w < LEY_N_WEIGHTS; w++) {
        struct ley_weight_info info = ley_weight_info(&e->graft.config, (enum ley_weight)w);
        size_t n = (size_t)(info.is_per_layer ? info.n_rows * info.n_columns : info.n_columns);
        e->n_room = n > e->n_room ? n : e->n_room;
    }
    e->lora = ley_alloc((size_t)e->graft.config.n_layers * LEY_N_WEIGHTS, sizeof *e->lora);
    e->rows = ley_alloc(e->n_room, sizeof *e->rows);
    e->before = ley_alloc(e->n_room, sizeof *e->before);
    return e->lora && e->rows && e->before ? LEY_OK
                                           : ley_fail_memory("changes", e->n_room, sizeof *e->rows);
}

static enum ley_status take_keys(struct extraction *e, const struct ley_model_file *trained) {
    const char *origin = ley_model_file_scaler_origin(trained);
    bool has_scalers;
    LEY_TRY(ley_model_file_scalers(trained, &e->keys.set, &has_scalers));
    e->keys.hardware = ley_model_file_hardware(trained);
    e->keys.origin = (struct ley_string){origin, strlen(origin)};
    return LEY_OK;
}

// ---- the file

static struct ley_lora lora_of(const void *context, enum ley_weight weight, int layer) {
    const struct extraction *e = context;
    return e->lora[layer * LEY_N_WEIGHTS + (int)weight];
}

static void describe(struct ley_extraction *done, const struct extraction *e) {
    *done = (struct ley_extraction){.kept = e->total > 0 ? e->kept / e->total : 1};
    if (e->weights > 0) {
        done->left_behind = sqrt(e->left_behind / e->weights);
    }
    for (int i = 0; i < e->graft.config.n_layers * LEY_N_WEIGHTS; i++) {
        done->n_changes += e->lora[i].a != NULL;
    }
}

static void destroy(struct extraction *e) {
    for (int i = 0; e->lora && i < e->graft.config.n_layers * LEY_N_WEIGHTS; i++) {
        ley_free((float *)(uintptr_t)e->lora[i].a);
    }
    ley_free(e->lora);
    ley_free(e->rows);
    ley_free(e->before);
    ley_scaler_set_destroy(&e->keys.set);
}

enum ley_status ley_adapter_extract(struct ley_extraction *done, const char *path,
                                    const struct ley_model_file *base,
                                    const struct ley_model_file *trained, int rank,
                                    const struct ley_block_type *type,
                                    struct ley_progress progress) {
    struct extraction e = {.rank = rank};
    LEY_TRY(ley_graft_set(&e.graft, base, trained));
    enum ley_status status = make_room(&e);
    status = status == LEY_OK ? take_keys(&e, trained) : status;
    status = status == LEY_OK ? take_all(&e, progress) : status;
    if (status == LEY_OK) {
        const struct adapter_content content = {
            .config = &e.graft.config,
            .lora_of = lora_of,
            .context = &e,
            .alpha = rank,
            .keys = &e.keys,
            .type = type,
        };
        describe(done, &e);
        status = adapter_write(path, &content);
    }
    destroy(&e);
    return status;
}
