// The kernels for 64-bit ARM, where every CPU has NEON. 8 × 12 results fill 24 of 32 registers.
#include "Kernels.h"

#if defined(__aarch64__)

#define KERNEL_SET vector_kernels_neon
#define KERNEL_NAME "neon"
#define TILE_ROWS 8
#define TILE_VECTORS 3
#define TILE_LANES 4
#define load_tail(p, n)                                                                        \
    ({                                                                                         \
        float tail[8] __attribute__((aligned(32))) = {0};                                      \
        for (size_t t = 0; t < (n); ++t) memcpy(&tail[t], (const char *)(p) + 4 * t, 4);       \
        *(const float8 *)tail;                                                                 \
    })
#include "KernelsVector.h"

#endif
