// The kernels for x86-64 with AVX-512. 8 × 48 results fill 24 of 32 registers.
#include "Kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(                                                                   \
    __attribute__((target("avx2,fma,avx512f,avx512vl,avx512dq,avx512bw"))), apply_to = function)

#define KERNEL_SET vector_kernels_avx512
#define KERNEL_NAME "avx512"
#define TILE_ROWS 8
#define TILE_VECTORS 3
#define TILE_LANES 16
#define load_tail(p, n) ((float8)_mm256_maskz_loadu_ps((__mmask8)((1u << (n)) - 1), (p)))
#include "KernelsVector.h"

#pragma clang attribute pop
#endif
