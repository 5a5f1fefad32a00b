// convert.c - weights from any model file, encoded again
//
// A head's q and k may be stored with the values that rotate together side by side (GGUF: 2i, 2i +
// 1) or half the rotary width apart (Hugging Face: i, i + n / 2). Any order common to q and k gives
// the same attention, so changing between the two is a permutation of rows within each head.
#include "model/convert_impl.h"

#include <string.h>

#include "core/memory.h"

// Bounds the memory of a conversion at 64 MB of float32, however large the model.
static const int64_t chunk_values = (int64_t)1 << 24; // read at a time

// Everything in it is borrowed from the file, which must live longer.
struct convert_input convert_input(const struct ley_model_file *file, enum ley_rope_layout layout) {
    return (struct convert_input){ley_model_file_config(file), ley_model_file_source(file), layout};
}

// Vectors and learned positions stay float32: they are small, and norms and biases suffer most from
// rounding. A row that is no whole number of blocks cannot be quantised and becomes F16.
const struct ley_block_type *convert_type(const struct convert_input *input, enum ley_weight weight,
                                          const struct ley_block_type *type) {
    struct ley_weight_info info = ley_weight_info(input->config, weight);
    if (info.n_rows == 1 || weight == LEY_WEIGHT_POSITION_EMBEDDING) {
        return ley_block_type(LEY_BLOCK_F32);
    }
    return info.n_columns % type->n_weights == 0 ? type : ley_block_type(LEY_BLOCK_F16);
}

// Row of a head (width n rotates) that goes to row r when the order changes to `layout`.
static int64_t origin_of(int64_t r, int64_t n, enum ley_rope_layout layout) {
    if (r >= n) {
        return r;
    }
    return layout == LEY_ROPE_PAIRS ? r / 2 + r % 2 * (n / 2) : 2 * (r % (n / 2)) + r / (n / 2);
}

// Only q, k and their biases rotate; v never does, and gpt2 not at all.
static bool is_reordered(const struct convert_input *input, enum ley_weight weight) {
    bool rotates = weight == LEY_WEIGHT_ATTN_Q || weight == LEY_WEIGHT_ATTN_K ||
                   weight == LEY_WEIGHT_ATTN_Q_BIAS || weight == LEY_WEIGHT_ATTN_K_BIAS;
    return rotates && input->config->family == LEY_FAMILY_LLAMA &&
           input->config->rope_layout != input->layout;
}

// Reorders the rows of whole heads in place; `head` is room for one.
static void reorder(float *rows, float *head, int64_t n_heads, int64_t n_columns,
                    const struct convert_input *input) {
    const int64_t D = input->config->head_dim;
    const size_t row_bytes = (size_t)n_columns * sizeof *rows;
    for (int64_t h = 0; h < n_heads; h++, rows += D * n_columns) {
        memcpy(head, rows, (size_t)D * row_bytes);
        for (int64_t r = 0; r < D; r++) {
            int64_t from = origin_of(r, input->config->rope_dim, input->layout);
            memcpy(rows + r * n_columns, head + from * n_columns, row_bytes);
        }
    }
}

void convert_rows(float *rows, float *head, int64_t n_rows, int64_t n_columns,
                  const struct convert_input *input, enum ley_weight weight) {
    if (is_reordered(input, weight)) {
        reorder(rows, head, n_rows / input->config->head_dim, n_columns, input);
    }
}

// The weight in chunks of whole heads, or of any rows where nothing is reordered. A bias counts as
// a column: one value a row.
static enum ley_status encode(uint8_t *blocks, float *rows, int64_t n_chunk,
                              const struct ley_block_type *type, const struct convert_input *input,
                              enum ley_weight weight, int layer) {
    struct ley_weight_info info = ley_weight_info(input->config, weight);
    const int64_t D = input->config->head_dim;
    bool is_vector = info.n_rows == 1;
    for (int64_t first = 0; first < info.n_rows; first += n_chunk) {
        int64_t n = info.n_rows - first < n_chunk ? info.n_rows - first : n_chunk;
        LEY_TRY(input->source.read(input->source.context, rows, weight, layer, first, n));
        if (is_reordered(input, weight)) {
            int64_t n_heads = (is_vector ? info.n_columns : n) / D;
            float *head = rows + (is_vector ? 1 : n_chunk) * info.n_columns;
            reorder(rows, head, n_heads, is_vector ? 1 : info.n_columns, input);
        }
        int64_t n_blocks = n * info.n_columns / type->n_weights;
        ley_blocks_encode(blocks, type, rows, n_blocks);
        blocks += n_blocks * type->n_bytes;
    }
    return LEY_OK;
}

// Chunks are whole heads, because reordering is within a head; at least one head, however wide.
enum ley_status convert_weight(uint8_t *blocks, const struct ley_block_type *type,
                               const struct convert_input *input, enum ley_weight weight,
                               int layer) {
    struct ley_weight_info info = ley_weight_info(input->config, weight);
    const int64_t D = input->config->head_dim;
    int64_t n_chunk = chunk_values / info.n_columns / D * D;
    n_chunk = n_chunk < D ? D : n_chunk;
    n_chunk = n_chunk > info.n_rows ? info.n_rows : n_chunk;
    size_t n_values = (size_t)((n_chunk + D) * info.n_columns); // a head more, to reorder
    float *rows = ley_alloc(n_values, sizeof *rows);
    if (!rows) {
        return ley_fail_memory("weights to convert", n_values, sizeof *rows);
    }
    enum ley_status status = encode(blocks, rows, n_chunk, type, input, weight, layer);
    ley_free(rows);
    return status;
}
