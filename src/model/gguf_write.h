// gguf_write.h - writing a GGUF container (version 3), all or nothing.
//
// Pairs are collected first, then everything is written in one call: under a temporary name,
// renamed at the end.
#pragma once
#include "model/gguf.h"

#ifdef __cplusplus
extern "C" {
#endif

// Metadata under construction.
struct ley_gguf_builder;

LEY_MUST_CHECK enum ley_status ley_gguf_builder_create(struct ley_gguf_builder **builder);

// NULL is accepted.
void ley_gguf_builder_destroy(struct ley_gguf_builder *builder);

// Each adds one pair, copying what it is given; a key added twice is a broken contract. Failures
// (memory) are kept and reported by ley_gguf_write.
void ley_gguf_add_pair(struct ley_gguf_builder *builder, const struct ley_gguf_pair *pair);
void ley_gguf_add_u32(struct ley_gguf_builder *builder, const char *key, uint32_t value);
void ley_gguf_add_f32(struct ley_gguf_builder *builder, const char *key, float value);
void ley_gguf_add_bool(struct ley_gguf_builder *builder, const char *key, bool value);
void ley_gguf_add_string(struct ley_gguf_builder *builder, const char *key,
                         struct ley_string value);
void ley_gguf_add_f32_array(struct ley_gguf_builder *builder, const char *key, const float *values,
                            size_t n);
void ley_gguf_add_i32_array(struct ley_gguf_builder *builder, const char *key,
                            const int32_t *values, size_t n);
void ley_gguf_add_strings(struct ley_gguf_builder *builder, const char *key,
                          const struct ley_string *values, size_t n);

// Gives the bytes of a tensor whose `data` is NULL: tensor->n_bytes of them, into `bytes`.
struct ley_gguf_content {
    enum ley_status (*fill)(void *context, uint8_t *bytes, const struct ley_gguf_tensor *tensor);
    void *context;
};

// Writes pairs and tensors. Of a tensor, name, type, n_dims, dim, n_bytes and data count; where
// data is NULL, `content` gives them (it may be NULL when all have data).
LEY_MUST_CHECK enum ley_status ley_gguf_write(const char *path,
                                              const struct ley_gguf_builder *builder,
                                              const struct ley_gguf_tensor *tensors,
                                              size_t n_tensors,
                                              const struct ley_gguf_content *content);

#ifdef __cplusplus
}
#endif
