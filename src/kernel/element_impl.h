// element_impl.h - the element-wise kernels of one instruction set.
//
// element.c is compiled once for each, with the compiler's flags for it; loops are written so that
// the compiler turns them into vectors. LEY_KERNEL_ISA is the suffix of the names it defines.
#pragma once
#include "kernel/kernel.h"

#define LEY_JOIN2(a, b) a##_##b
#define LEY_JOIN(a, b)  LEY_JOIN2(a, b)

// What each instruction set defines: all slots but dot and product in element.c, these two in files
// of their own.
#define LEY_DECLARE(isa)                                                                           \
    void ley_dot_##isa(const struct ley_dot *dot);                                                 \
    void ley_score_##isa(const struct ley_score *score);                                           \
    int64_t ley_magnitude_##isa(const struct ley_magnitude *magnitude);                            \
    void ley_count_##isa(const struct ley_count *count);                                           \
    void ley_encode_##isa(const struct ley_encode *encode);                                        \
    void ley_powers_##isa(const struct ley_powers *powers);                                        \
    double ley_weigh_pulses_##isa(const struct ley_weigh_pulses *weigh);                           \
    void ley_product_##isa(const struct ley_product *product);                                     \
    void ley_pair_gradient_##isa(const struct ley_pair_gradient *gradient);                        \
    void ley_turn_##isa(const struct ley_turn *turn);

LEY_DECLARE(scalar)
LEY_DECLARE(avx2)
LEY_DECLARE(avx512)
void ley_dot_amx(const struct ley_dot *dot);
void ley_score_fast_avx512(const struct ley_score *score);
void ley_turn_fast_avx512(const struct ley_turn *turn);
void ley_pair_gradient_fast_avx512(const struct ley_pair_gradient *gradient);
