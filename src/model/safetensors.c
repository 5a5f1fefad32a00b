// safetensors.c - reading a safetensors container and the index of a sharded model
//
// Layout: length of the header (8 bytes, little endian), a JSON object {name: {"dtype", "shape",
// "data_offsets": [begin, end]}} with an optional "__metadata__", then the data, from whose start
// the offsets count. Before the header becomes a tree, one pass over its characters refuses nesting
// deeper than real headers have and a tree of more than about 8 times the file. Tables are sized by
// counted members; lookups are O(log n).
#include "model/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "model/hf_json_impl.h"

// NODE_BYTES: memory for an item of the header, with its texts and its share of the table.
enum { MAX_DEPTH = 3, MAX_NAME = 1024, MAX_FILES = 4096, NODE_BYTES = 128, ENTRY_BYTES = 48 };
static const size_t max_header_bytes = 100000000; // as the reference reader

// The data of one file, and its name for messages.
struct container {
    const uint8_t *data; // after the header
    size_t n_data;
    const char *name; // of the file
};

// About the file as a whole.
static enum ley_status bad(const char *name, const char *what) {
    return ley_fail(LEY_E_FORMAT, "%s: %s", name, what);
}

// Names come from the file and may be long: cut.
static enum ley_status bad_tensor(const char *name, const char *tensor, const char *what) {
    return ley_fail(LEY_E_FORMAT, "%s: tensor %.100s %s", name, tensor, what);
}

// ---- header

// Refuses what would make a deep or a large tree of little text.
static enum ley_status check_outline(struct ley_string text, size_t n_file, const char *name) {
    size_t n_nodes = 0;
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.text[i];
        if (in_string) {
            // An escaped character is skipped, so that \" does not end the string.
            i += c == '\\';
            in_string = c != '"';
            continue;
        }
        in_string = c == '"';
        // Commas and openings are at least as many as nodes, up to a constant.
        n_nodes += c == ',' || c == '[' || c == '{';
        depth += (c == '[' || c == '{') - (c == ']' || c == '}');
        if (depth > MAX_DEPTH) {
            return bad(name, "the header is nested deeper than that of any safetensors file");
        }
    }
    if (n_nodes > n_file / (NODE_BYTES / 8) + 64) {
        return bad(name, "the header has far more items than a safetensors file of this size");
    }
    return LEY_OK;
}

// Text behind the object is refused: some other reader might see it differently.
static enum ley_status parse_header(struct cJSON **header, struct ley_string text,
                                    const char *name) {
    const char *end = NULL;
    struct cJSON *root = cJSON_ParseWithLengthOpts(text.text, text.n, &end, 0);
    size_t n_read = root && end ? (size_t)(end - text.text) : 0;
    // Trailing spaces are padding.
    while (n_read < text.n && strchr(" \t\r\n", text.text[n_read])) {
        n_read++;
    }
    if (!cJSON_IsObject(root) || n_read != text.n) {
        cJSON_Delete(root);
        return bad(name, "the header is not a JSON object");
    }
    *header = root;
    return LEY_OK;
}

// Cuts the file into header and data.
static enum ley_status take_header(struct cJSON **header, struct container *container,
                                   const uint8_t *bytes, size_t n_bytes) {
    uint64_t n = 0;
    if (n_bytes < 8) {
        return bad(container->name, "no safetensors file, or truncated");
    }
    for (int i = 7; i >= 0; i--) {
        n = n << 8 | bytes[i];
    }
    // Before anything of the header is looked at.
    if (n > n_bytes - 8 || n > max_header_bytes) {
        return bad(container->name, "no safetensors file, or truncated: its header is longer than "
                                    "the file (or 100 MB)");
    }
    struct ley_string text = {(const char *)bytes + 8, (size_t)n};
    if (n < 2 || text.text[0] != '{' || memchr(text.text, '\0', text.n)) {
        return bad(container->name, "no safetensors file: its header is not a JSON object");
    }
    container->data = bytes + 8 + n;
    container->n_data = n_bytes - 8 - (size_t)n;
    LEY_TRY(check_outline(text, n_bytes, container->name));
    return parse_header(header, text, container->name);
}

// ---- tensors

// Bytes of a value; 0: unknown spelling.
static size_t dtype_bytes(const char *dtype) {
    static const struct {
        const char *dtype;
        size_t n_bytes;
    } known[] = {{"F32", 4},     {"F16", 2},     {"BF16", 2}, {"F64", 8}, {"I64", 8},
                 {"U64", 8},     {"I32", 4},     {"U32", 4},  {"I16", 2}, {"U16", 2},
                 {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"I8", 1},   {"U8", 1},  {"BOOL", 1}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].dtype, dtype) == 0) {
            return known[i].n_bytes;
        }
    }
    return 0;
}

// A whole number 0..2^53.
static bool to_size(uint64_t *size, const struct cJSON *item) {
    double x = cJSON_IsNumber(item) ? item->valuedouble : -1;
    // 2^53: beyond it a double skips whole numbers.
    if (!(x >= 0 && x <= 0x1p53) || x != (double)(uint64_t)x) {
        return false;
    }
    *size = (uint64_t)x;
    return true;
}

// Dimensions, and their product.
static enum ley_status read_shape(struct ley_safetensor *tensor, uint64_t *n_values,
                                  const struct cJSON *shape, const char *name) {
    const struct cJSON *item;
    uint64_t dim;
    // (1) no dimension counts as one value, (2) each dimension multiplies
    if (!cJSON_IsArray(shape)) {
        return bad_tensor(name, tensor->name, "has no shape");
    }
    for (int i = 0; i < LEY_SAFETENSORS_MAX_DIMS; i++) {
        tensor->dim[i] = 1;
    }
    *n_values = 1;
    cJSON_ArrayForEach(item, shape) {
        if (tensor->n_dims == LEY_SAFETENSORS_MAX_DIMS || !to_size(&dim, item) ||
            __builtin_mul_overflow(*n_values, dim, n_values)) {
            return bad_tensor(name, tensor->name, "has a shape that cannot be");
        }
        tensor->dim[tensor->n_dims++] = (int64_t)dim;
    }
    return LEY_OK;
}

// Where the data lie. For an unknown dtype the size cannot be held against the shape; such a tensor
// is kept, and refused only if the model needs it.
static enum ley_status read_place(struct ley_safetensor *tensor, uint64_t n_values,
                                  const struct cJSON *offsets, const struct container *container) {
    uint64_t begin, end, n_bytes;
    const struct cJSON *first = cJSON_IsArray(offsets) ? offsets->child : NULL;
    if (!first || !first->next || first->next->next || !to_size(&begin, first) ||
        !to_size(&end, first->next)) {
        return bad_tensor(container->name, tensor->name, "has no pair of data_offsets");
    }
    // In this order `end - begin` cannot wrap.
    if (begin > end || end > container->n_data) {
        return bad_tensor(container->name, tensor->name, "lies outside the file (truncated?)");
    }
    size_t value_bytes = dtype_bytes(tensor->dtype);
    if (value_bytes > 0 &&
        (__builtin_mul_overflow(n_values, value_bytes, &n_bytes) || n_bytes != end - begin)) {
        return bad_tensor(container->name, tensor->name, "has more or fewer bytes than its shape");
    }
    tensor->data = container->data + begin;
    tensor->n_bytes = (size_t)(end - begin);
    return LEY_OK;
}

// name and dtype stay texts of the tree, which lives as long as the table.
static enum ley_status read_tensor(struct ley_safetensor *tensor, const struct cJSON *item,
                                   const struct container *container) {
    uint64_t n_values = 0;
    tensor->name = item->string;
    tensor->dtype = hf_json_text(item, "dtype");
    if (tensor->name[0] == '\0' || strlen(tensor->name) > MAX_NAME) {
        return bad(container->name, "a tensor's name is empty or longer than 1024 bytes");
    }
    if (!cJSON_IsObject(item) || tensor->dtype[0] == '\0') {
        return bad_tensor(container->name, tensor->name, "has no dtype");
    }
    // `type` NULL: no format that weights may have.
    bool is_float = strcmp(tensor->dtype, "F32") == 0 || strcmp(tensor->dtype, "F16") == 0 ||
                    strcmp(tensor->dtype, "BF16") == 0;
    tensor->type = is_float ? ley_block_type_named(tensor->dtype) : NULL;
    // Shape first: the place is held against it.
    LEY_TRY(read_shape(tensor, &n_values, hf_json_get(item, "shape"), container->name));
    return read_place(tensor, n_values, hf_json_get(item, "data_offsets"), container);
}

// For qsort and bsearch.
static int compare_names(const void *a, const void *b) {
    return strcmp(((const struct ley_safetensor *)a)->name,
                  ((const struct ley_safetensor *)b)->name);
}

// By place; empty tensors before one that begins there.
static int compare_data(const void *a, const void *b) {
    const struct ley_safetensor *x = a, *y = b;
    return x->data != y->data ? (x->data > y->data) - (x->data < y->data)
                              : (x->n_bytes > y->n_bytes) - (x->n_bytes < y->n_bytes);
}

// Sorted by place no tensor may reach into the next; then sorted by name no two may be equal.
static enum ley_status check_tensors(struct ley_safetensors *safetensors, const char *name) {
    struct ley_safetensor *t = safetensors->tensor;
    size_t n = safetensors->n_tensors;
    qsort(t, n, sizeof *t, compare_data);
    for (size_t i = 1; i < n; i++) {
        if (t[i - 1].data + t[i - 1].n_bytes > t[i].data) {
            return ley_fail(LEY_E_FORMAT, "%s: tensors %.100s and %.100s overlap", name,
                            t[i - 1].name, t[i].name);
        }
    }
    qsort(t, n, sizeof *t, compare_names);
    for (size_t i = 1; i < n; i++) {
        if (compare_names(&t[i - 1], &t[i]) == 0) {
            return bad_tensor(name, t[i].name, "is given twice");
        }
    }
    return LEY_OK;
}

// Header, table, then the checks that need all tensors at once.
static enum ley_status read_all(struct ley_safetensors *safetensors, struct container *container,
                                const uint8_t *bytes, size_t n_bytes) {
    LEY_TRY(take_header(&safetensors->header, container, bytes, n_bytes));
    size_t most = (size_t)cJSON_GetArraySize(safetensors->header);
    // Each entry has a dtype, a shape and offsets to spell.
    if (most > n_bytes / ENTRY_BYTES + 2) { // {"dtype":"I8","shape":[],"data_offsets":[0,0]}
        return bad(container->name, "the header has more entries than it can describe");
    }
    safetensors->tensor = ley_alloc(most, sizeof *safetensors->tensor);
    if (!safetensors->tensor) {
        return ley_fail_memory(container->name, most, sizeof *safetensors->tensor);
    }
    const struct cJSON *item;
    cJSON_ArrayForEach(item, safetensors->header) {
        if (strcmp(item->string, "__metadata__") != 0) {
            struct ley_safetensor *tensor = &safetensors->tensor[safetensors->n_tensors++];
            LEY_TRY(read_tensor(tensor, item, container));
        }
    }
    return check_tensors(safetensors, container->name);
}

// Nothing is kept of a file that fails: the struct is zeroed again.
enum ley_status ley_safetensors_read(struct ley_safetensors *safetensors, const uint8_t *bytes,
                                     size_t n_bytes, const char *name) {
    struct container container = {.name = name};
    *safetensors = (struct ley_safetensors){.n_tensors = 0};
    enum ley_status status = read_all(safetensors, &container, bytes, n_bytes);
    if (status != LEY_OK) {
        ley_safetensors_destroy(safetensors);
    }
    return status;
}

void ley_safetensors_destroy(struct ley_safetensors *safetensors) {
    ley_free(safetensors->tensor);
    cJSON_Delete(safetensors->header);
    *safetensors = (struct ley_safetensors){.n_tensors = 0};
}

// Binary search by name; the tables were sorted by check_tensors.
const struct ley_safetensor *ley_safetensors_find(const struct ley_safetensors *safetensors,
                                                  const char *name) {
    const struct ley_safetensor wanted = {.name = name};
    return safetensors->n_tensors ? bsearch(&wanted, safetensors->tensor, safetensors->n_tensors,
                                            sizeof wanted, compare_names)
                                  : NULL;
}

// ---- index

// For the list of file names: pointers to texts.
static int compare_texts(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// By name of the tensor, for qsort and bsearch.
static int compare_entries(const void *a, const void *b) {
    return strcmp(((const struct ley_shard_entry *)a)->tensor,
                  ((const struct ley_shard_entry *)b)->tensor);
}

// No way out of the folder.
static bool is_plain_name(const char *file_name) {
    return file_name[0] != '\0' && file_name[0] != '.' && strlen(file_name) < 256 &&
           !strpbrk(file_name, "/\\");
}

// Both lists have one place for each member of the map; file names still repeat here.
static enum ley_status read_entries(struct ley_shard_index *index, const struct cJSON *map,
                                    const char *name) {
    const struct cJSON *item;
    cJSON_ArrayForEach(item, map) {
        const char *file_name = cJSON_GetStringValue(item);
        if (!file_name || !is_plain_name(file_name)) {
            return ley_fail(LEY_E_FORMAT,
                            "%s: tensor %.100s is said to be in '%.100s', which is no plain file "
                            "name",
                            name, item->string, file_name ? file_name : "");
        }
        index->file_name[index->n_entries] = file_name;
        index->entry[index->n_entries++] = (struct ley_shard_entry){item->string, file_name, 0};
    }
    qsort(index->entry, index->n_entries, sizeof *index->entry, compare_entries);
    for (size_t i = 1; i < index->n_entries; i++) {
        if (compare_entries(&index->entry[i - 1], &index->entry[i]) == 0) {
            return bad_tensor(name, index->entry[i].tensor, "is given twice");
        }
    }
    return LEY_OK;
}

// Each file once, sorted; entries then know theirs by number.
static enum ley_status number_files(struct ley_shard_index *index, const char *name) {
    size_t n = 0;
    qsort(index->file_name, index->n_entries, sizeof *index->file_name, compare_texts);
    for (size_t i = 0; i < index->n_entries; i++) {
        if (n == 0 || strcmp(index->file_name[n - 1], index->file_name[i]) != 0) {
            index->file_name[n++] = index->file_name[i];
        }
    }
    if (n < 1 || n > MAX_FILES) {
        return ley_fail(LEY_E_FORMAT, "%s: names %zu files, must be 1..%d", name, n, MAX_FILES);
    }
    index->n_files = (int)n;
    for (size_t i = 0; i < index->n_entries; i++) {
        const char *const *at = bsearch(&index->entry[i].file_name, index->file_name, n,
                                        sizeof *index->file_name, compare_texts);
        index->entry[i].file = (int)(at - index->file_name);
    }
    return LEY_OK;
}

// Texts of entries and names of files stay those of index->root.
static enum ley_status read_index(struct ley_shard_index *index, struct ley_string text,
                                  const char *name) {
    LEY_TRY(hf_json_parse(&index->root, text, name));
    const struct cJSON *map = hf_json_get(index->root, "weight_map");
    if (!cJSON_IsObject(map)) {
        return bad(name, "no weight_map");
    }
    size_t n = (size_t)cJSON_GetArraySize(map);
    index->file_name = ley_alloc(n, sizeof *index->file_name);
    index->entry = ley_alloc(n, sizeof *index->entry);
    if (!index->file_name || !index->entry) {
        return ley_fail_memory(name, n, sizeof *index->entry);
    }
    LEY_TRY(read_entries(index, map, name));
    return number_files(index, name);
}

// Likewise for an index.
enum ley_status ley_shard_index_read(struct ley_shard_index *index, struct ley_string text,
                                     const char *name) {
    *index = (struct ley_shard_index){.n_files = 0};
    enum ley_status status = read_index(index, text, name);
    if (status != LEY_OK) {
        ley_shard_index_destroy(index);
    }
    return status;
}

void ley_shard_index_destroy(struct ley_shard_index *index) {
    ley_free(index->file_name);
    ley_free(index->entry);
    cJSON_Delete(index->root);
    *index = (struct ley_shard_index){.n_files = 0};
}

// Which file holds it, as a number into file_name; -1 for none.
int ley_shard_index_find(const struct ley_shard_index *index, const char *tensor) {
    const struct ley_shard_entry wanted = {.tensor = tensor};
    const struct ley_shard_entry *found =
        index->n_entries
            ? bsearch(&wanted, index->entry, index->n_entries, sizeof wanted, compare_entries)
            : NULL;
    return found ? found->file : -1;
}
