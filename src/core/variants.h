// variants.h - one source of a loop, compiled for several instruction sets.
//
// Write the loop as LEY_LEAF function NAME_leaf, whose order of operations is fixed in the source
// (products are never fused with sums); LEY_VARIANTS makes NAME, which runs the widest variant that
// this CPU has. The bits are the same, only the time differs.
#pragma once

#define LEY_LEAF static inline __attribute__((always_inline))

#ifdef __x86_64__
#define LEY_AVX512_TARGET "avx512f,avx512bw,avx512vl,avx512dq"
#define LEY_VARIANTS(result, name, parameters, arguments)                                          \
    static result name##_plain parameters {                                                        \
        return name##_leaf arguments;                                                              \
    }                                                                                              \
    __attribute__((target("avx2"))) static result name##_avx2 parameters {                         \
        return name##_leaf arguments;                                                              \
    }                                                                                              \
    __attribute__((target(LEY_AVX512_TARGET))) static result name##_avx512 parameters {            \
        return name##_leaf arguments;                                                              \
    }                                                                                              \
    static result name parameters {                                                                \
        if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&            \
            __builtin_cpu_supports("avx512dq")) {                                                  \
            return name##_avx512 arguments;                                                        \
        }                                                                                          \
        return __builtin_cpu_supports("avx2") ? name##_avx2 arguments : name##_plain arguments;    \
    }
#else
#define LEY_VARIANTS(result, name, parameters, arguments)                                          \
    static result name parameters {                                                                \
        return name##_leaf arguments;                                                              \
    }
#endif
