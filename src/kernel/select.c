// select.c - which instruction sets this machine has
//
// A table is offered when both the CPU and the operating system have what it needs; AMX also needs
// a permission that Linux gives a process on request.
#define _DEFAULT_SOURCE // syscall
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/element_impl.h"

#ifdef LEY_VECTORS
#include <cpuid.h>
#endif

// The slots of one instruction set: dot, then score, turn and pair_gradient, may be others' than
// the rest, which are element.c's.
#define LEY_TABLE(level, dot_isa, by_hand, isa_name)                                               \
    [level] = {                                                                                    \
        .isa = level,                                                                              \
        .dot = ley_dot_##dot_isa,                                                                  \
        .score = ley_score_##by_hand,                                                              \
        .magnitude = ley_magnitude_##isa_name,                                                     \
        .count = ley_count_##isa_name,                                                             \
        .encode = ley_encode_##isa_name,                                                           \
        .powers = ley_powers_##isa_name,                                                           \
        .weigh_pulses = ley_weigh_pulses_##isa_name,                                               \
        .product = ley_product_##isa_name,                                                         \
        .pair_gradient = ley_pair_gradient_##by_hand,                                              \
        .turn = ley_turn_##by_hand,                                                                \
    }

// ORDER ley_isa. LEY_VECTORS: the build has the others.
static const struct ley_kernels tables[LEY_N_ISAS] = {
    LEY_TABLE(LEY_ISA_SCALAR, scalar, scalar, scalar),
#ifdef LEY_VECTORS
    LEY_TABLE(LEY_ISA_AVX2, avx2, avx2, avx2),
    LEY_TABLE(LEY_ISA_AVX512, avx512, fast_avx512, avx512),
    LEY_TABLE(LEY_ISA_AMX, amx, fast_avx512, avx512),
#endif
};

// ORDER ley_isa
static const char *const names[LEY_N_ISAS] = {"scalar", "avx2", "avx512", "amx"};

const char *ley_isa_name(enum ley_isa isa) {
    return names[isa];
}

bool ley_isa_find(enum ley_isa *isa, const char *name) {
    for (int i = 0; i < LEY_N_ISAS; i++) {
        if (strcmp(name, names[i]) == 0) {
            *isa = (enum ley_isa)i;
            return true;
        }
    }
    return false;
}

#ifdef LEY_VECTORS
// Leaf 7 says what the CPU has (EDX bits 24 and 25: tiles, int8), Linux whether we may use tiles:
// ARCH_REQ_XCOMP_PERM for state component 18, the tile data. Asking again is harmless.
static bool has_amx(void) {
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 24 & 3) == 3 &&
           syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

// The compiler's own test looks at the operating system's state (XCR0) too.
static bool has(enum ley_isa isa) {
    switch (isa) {
    case LEY_ISA_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case LEY_ISA_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("fma");
    case LEY_ISA_AMX:
        return has(LEY_ISA_AVX512) && has_amx();
    default:
        return true;
    }
}
#else
// Plain loops run everywhere.
static bool has(enum ley_isa isa) {
    return isa == LEY_ISA_SCALAR;
}
#endif

const struct ley_kernels *ley_kernels_get(enum ley_isa isa) {
    return has(isa) ? &tables[isa] : NULL;
}

// Scalar is always there.
const struct ley_kernels *ley_kernels_best(enum ley_isa cap) {
    enum ley_isa isa = cap;
    while (!has(isa)) {
        isa = (enum ley_isa)(isa - 1);
    }
    return &tables[isa];
}

// A name that does not exist is told by the command; here it caps nothing.
const struct ley_kernels *ley_kernels_select(void) {
    enum ley_isa cap = LEY_ISA_AMX;
    const char *name = getenv("LEYDEN_ISA");
    if (name) {
        ley_isa_find(&cap, name);
    }
    return ley_kernels_best(cap);
}
