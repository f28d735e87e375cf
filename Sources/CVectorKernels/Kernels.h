// Declarations that the files of this module share.
#pragma once

#include "CVectorKernels.h"

#include <stdint.h>
#include <string.h>

extern const vector_kernels vector_kernels_scalar;
#if defined(__x86_64__)
extern const vector_kernels vector_kernels_avx2;
extern const vector_kernels vector_kernels_avx512;
#elif defined(__aarch64__)
extern const vector_kernels vector_kernels_neon;
#endif

// e^x for one number. Every set uses the same operations. It has no branches, so the compiler vectorizes loops over it.
//
// x = n·ln 2 + r with |r| ≤ ln 2 / 2. A Taylor polynomial gives e^r, and 2^n is built from its exponent bits.
static inline __attribute__((always_inline)) float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    const float magic = 12582912.0f;  // 1.5·2^23: adding it rounds to an integer
    float shifted = x * 1.44269504f + magic;
    float n = shifted - magic;
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;  // ln 2 in two parts
    float e = 1.0f / 720;
    e = e * r + 1.0f / 120;
    e = e * r + 1.0f / 24;
    e = e * r + 1.0f / 6;
    e = e * r + 0.5f;
    e = e * r + 1.0f;
    e = e * r + 1.0f;
    uint32_t bits = ((uint32_t)(int32_t)n + 127u) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return e * power;
}

// Sets each value to e^(value − shift), and returns the sum of the results. The sum has 16 lanes, so the compiler
// vectorizes it too.
static inline __attribute__((always_inline)) float exponentiate_all(float *values, size_t count, float shift) {
    float lanes[16] = {0};
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        for (size_t lane = 0; lane < 16; ++lane) {
            float e = exponential(values[i + lane] - shift);
            values[i + lane] = e;
            lanes[lane] += e;
        }
    }
    for (; i < count; ++i) {
        values[i] = exponential(values[i] - shift);
        lanes[i % 16] += values[i];
    }
    float sum = 0;
    for (size_t lane = 0; lane < 16; ++lane) sum += lanes[lane];
    return sum;
}
