// adapter_write.c - low-rank changes and scalers as an adapter file; those that a net has learned
#include <stdio.h>
#include <string.h>

#include "core/assert.h"
#include "core/memory.h"
#include "model/adapter_impl.h"
#include "model/convert_impl.h"
#include "model/net_analog.h"
#include "model/net_impl.h"

// One tensor to come: A or B of a change.
struct item {
    enum ley_weight weight;
    int layer;
    char letter, name[ADAPTER_NAME_BYTES];
};

// The writer's list and beside it where each comes from: same index, same length.
struct plan {
    const struct adapter_content *content;
    struct item *item;
    struct ley_gguf_tensor *tensor;
    size_t n;
};

static struct ley_lora lora_of(const struct plan *plan, enum ley_weight weight, int layer) {
    return plan->content->lora_of(plan->content->context, weight, layer);
}

static enum ley_status add_item(struct plan *plan, const struct ley_lora *lora,
                                enum ley_weight weight, int layer, char letter) {
    const struct ley_block_type *type = plan->content->type;
    struct item *item = &plan->item[plan->n];
    struct ley_gguf_tensor *tensor = &plan->tensor[plan->n++];
    *item = (struct item){.weight = weight, .layer = layer, .letter = letter};
    bool is_named = adapter_name(item->name, weight, layer, letter);
    LEY_ASSERT(is_named);
    *tensor = (struct ley_gguf_tensor){
        .name = {item->name, strlen(item->name)},
        .type = type,
        .n_dims = 2,
        .dim = {letter == 'a' ? lora->n_columns : lora->rank,
                letter == 'a' ? lora->rank : lora->n_rows, 1, 1},
    };
    tensor->n_bytes =
        (size_t)(tensor->dim[0] * tensor->dim[1] / type->n_weights) * (size_t)type->n_bytes;
    return tensor->dim[0] % type->n_weights == 0
               ? LEY_OK
               : ley_fail(LEY_E_ARGUMENT,
                          "an adapter of rank %d for matrices of %lld columns cannot be %s: both "
                          "must be multiples of %d",
                          lora->rank, (long long)lora->n_columns, type->name, type->n_weights);
}

static enum ley_status make_plan(struct plan *plan) {
    size_t n_places = (size_t)plan->content->config->n_layers * LEY_N_WEIGHTS;
    plan->item = ley_alloc(2 * n_places, sizeof *plan->item);
    plan->tensor = ley_alloc(2 * n_places, sizeof *plan->tensor);
    if (!plan->item || !plan->tensor) {
        return ley_fail_memory("list of tensors", 2 * n_places, sizeof *plan->item);
    }
    for (size_t i = 0; i < n_places; i++) {
        enum ley_weight weight = (enum ley_weight)(i % LEY_N_WEIGHTS);
        int layer = (int)(i / LEY_N_WEIGHTS);
        const struct ley_lora lora = lora_of(plan, weight, layer);
        if (lora.a) {
            LEY_TRY(add_item(plan, &lora, weight, layer, 'a'));
            LEY_TRY(add_item(plan, &lora, weight, layer, 'b'));
        }
    }
    return LEY_OK;
}

// Rows of B in the order of GGUF files; A as it is.
static enum ley_status fill(void *context, uint8_t *bytes, const struct ley_gguf_tensor *tensor) {
    const struct plan *plan = context;
    const struct item *item = &plan->item[tensor - plan->tensor];
    const struct ley_model_config *config = plan->content->config;
    const struct ley_lora lora = lora_of(plan, item->weight, item->layer);
    const struct convert_input input = {.config = config, .layout = LEY_ROPE_PAIRS};
    size_t n = (size_t)(tensor->dim[0] * tensor->dim[1]);
    size_t n_head = (size_t)(config->head_dim * lora.rank);
    float *rows = ley_alloc(n + n_head, sizeof *rows);
    if (!rows) {
        return ley_fail_memory("a tensor", n, sizeof *rows);
    }
    memcpy(rows, item->letter == 'a' ? lora.a : lora.b, n * sizeof *rows);
    if (item->letter == 'b') {
        convert_rows(rows, rows + n, lora.n_rows, lora.rank, &input, item->weight);
    }
    ley_blocks_encode(bytes, tensor->type, rows, (int64_t)n / tensor->type->n_weights);
    ley_free(rows);
    return LEY_OK;
}

static void add_text(struct ley_gguf_builder *builder, const char *key, const char *text) {
    ley_gguf_add_string(builder, key, (struct ley_string){text, strlen(text)});
}

static enum ley_status write_all(const char *path, struct plan *plan,
                                 struct ley_gguf_builder *builder) {
    const struct adapter_content *content = plan->content;
    const struct ley_model_config *config = content->config;
    add_text(builder, "general.type", "adapter");
    add_text(builder, "general.architecture", config->family == LEY_FAMILY_GPT2 ? "gpt2" : "llama");
    if (config->name[0]) {
        add_text(builder, "general.base_model.0.name", config->name);
    }
    add_text(builder, "adapter.type", "lora");
    ley_gguf_add_f32(builder, "adapter.lora.alpha", (float)content->alpha);
    if (content->keys->set.n_layers > 0) {
        LEY_TRY(scaler_keys_add(builder, content->keys));
    }
    LEY_TRY(make_plan(plan));
    return ley_gguf_write(path, builder, plan->tensor, plan->n,
                          &(struct ley_gguf_content){fill, plan});
}

enum ley_status adapter_write(const char *path, const struct adapter_content *content) {
    struct plan plan = {.content = content};
    struct ley_gguf_builder *builder;
    LEY_TRY(ley_gguf_builder_create(&builder));
    enum ley_status status = write_all(path, &plan, builder);
    ley_free(plan.item);
    ley_free(plan.tensor);
    ley_gguf_builder_destroy(builder);
    return status;
}

static struct ley_lora change_of_net(const void *net, enum ley_weight weight, int layer) {
    return ley_net_lora_of(net, weight, layer);
}

// Scalers are those of the net's model, as packed last.
enum ley_status ley_adapter_save(const char *path, struct ley_net *net,
                                 const struct ley_adapter_facts *facts) {
    const struct ley_model *model = net->model;
    struct scaler_keys keys = {.set = {.n_layers = 0}};
    if (model->layer[0].attention) {
        keys.hardware = (struct ley_string){facts->hardware, strlen(facts->hardware)};
        keys.origin = (struct ley_string){facts->origin, strlen(facts->origin)};
        LEY_TRY(ley_scaler_set_create(&keys.set, model->config.n_layers,
                                      &model->layer[0].attention->shape));
        ley_net_scalers(&keys.set, net);
    }
    const struct adapter_content content = {
        .config = &net->parameters.config,
        .lora_of = change_of_net,
        .context = net,
        .alpha = net->lora.spec.alpha,
        .keys = &keys,
        .type = facts->type,
    };
    enum ley_status status = adapter_write(path, &content);
    ley_scaler_set_destroy(&keys.set);
    return status;
}
