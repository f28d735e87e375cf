// What the sets share about codes; encoding is the same steps in each.
#pragma once

#include "Kernels.h"

#include <float.h>
#include <math.h>

// One sum for each row of a block.
typedef int32_t sums16 __attribute__((vector_size(64)));

// Where a block begins.
static inline uint8_t *block_of(const code_slab *slab, size_t block) {
    return slab->blocks + block * (slab->groups + 1) * 64;
}

// The scales of a block's rows, four bytes each.
static inline uint8_t *scales_of(const code_slab *slab, size_t block) {
    return block_of(slab, block) + slab->groups * 64;
}

// A scan asks for the codes this many bytes ahead. Measured over a million rows of 64 dimensions, eight queries: 3.1 ms
// from 1 to 8 KiB ahead, 3.5 from 64 KiB on, and 5.5 if asked into the second cache only.
enum { code_prefetch_bytes = 4096 };

static inline __attribute__((always_inline)) void prefetch_codes(const uint8_t *codes) {
    // The address may lie behind the slab: a prefetch of what is not there does nothing.
    vector_kernels_prefetch((uintptr_t)codes + code_prefetch_bytes, 1);
}

// A hit's vector is scored when the run of blocks is done: by then its first lines are there.
static inline void prefetch_vector(code_vectors vectors, size_t row) {
    vector_kernels_prefetch(vectors.first + row * vectors.stride, vectors.stride < 512 ? vectors.stride : 512);
}

static inline float rounded_up(double value) {
    float nearest = (float)value;
    return (double)nearest < value ? nextafterf(nearest, INFINITY) : nearest;
}

enum { encode_lanes = 16 };

static inline __attribute__((always_inline)) double sum_over_lanes(const double *lanes) {
    double sum = 0;
    for (size_t lane = 0; lane < encode_lanes; ++lane) sum += lanes[lane];
    return sum;
}

// Up to 16 numbers of a vector, zeros behind them.
static inline __attribute__((always_inline)) void load_lanes(const char *vector, size_t count, float *values) {
    if (count >= encode_lanes) {
        memcpy(values, vector, encode_lanes * sizeof(float));
    } else {
        memset(values, 0, encode_lanes * sizeof(float));
        memcpy(values, vector, count * sizeof(float));
    }
}

// All in float64, 16 lanes at a time, so that a compiler makes vectors of it. The codes may be any: the error is
// measured from those that were taken.
static inline __attribute__((always_inline)) code_terms encode_row(
    const void *vector, size_t dimension, code_form form, const code_slab *slab, size_t row
) {
    float values[encode_lanes];
    double squares[encode_lanes] = {0};
    double largest[encode_lanes] = {0};
    for (size_t i = 0; i < dimension; i += encode_lanes) {
        load_lanes((const char *)vector + i * sizeof(float), dimension - i, values);
        for (size_t lane = 0; lane < encode_lanes; ++lane) {
            double value = values[lane];
            double magnitude = __builtin_fabs(value);
            squares[lane] += value * value;
            largest[lane] = largest[lane] > magnitude ? largest[lane] : magnitude;
        }
    }
    double square = sum_over_lanes(squares);
    double maximum = 0;
    for (size_t lane = 0; lane < encode_lanes; ++lane) maximum = largest[lane] > maximum ? largest[lane] : maximum;

    double factor = form == code_normalized && square > 0 ? 1 / sqrt(square) : 1;
    float scale = (float)(maximum * factor / 127);
    if (!(scale >= FLT_MIN)) scale = 0;
    double inverse = scale > 0 ? factor / (double)scale : 0;

    double norms[encode_lanes] = {0};
    double errors[encode_lanes] = {0};
    size_t block = row / code_rows_in_block, place = row % code_rows_in_block;
    uint8_t *codes = block_of(slab, block) + place * 4;
    for (size_t i = 0; i < dimension; i += encode_lanes) {
        load_lanes((const char *)vector + i * sizeof(float), dimension - i, values);
        uint8_t shifted[encode_lanes];
        for (size_t lane = 0; lane < encode_lanes; ++lane) {
            double code = __builtin_rint((double)values[lane] * inverse);
            code = code > 127 ? 127 : code;
            code = code < -127 ? -127 : code;
            double decoded = (double)scale * code;
            double error = (double)values[lane] * factor - decoded;
            norms[lane] += decoded * decoded;
            errors[lane] += error * error;
            shifted[lane] = (uint8_t)((int32_t)code + 128);
        }
        size_t group = i / 4;
        for (size_t k = 0; k < encode_lanes / 4 && group + k < slab->groups; ++k) {
            memcpy(codes + (group + k) * 64, shifted + 4 * k, 4);
        }
    }

    memcpy(scales_of(slab, block) + place * 4, &scale, sizeof scale);

    // Sums of squares in float64: 2^-30 is far more than their rounding.
    const double up = 1 + 0x1p-30;
    double square_of_decoded = sum_over_lanes(norms);
    return (code_terms){
        // So long that sum·scale could overflow, downwards too: an infinite bound keeps the row.
        .norm = square_of_decoded < 0x1p200 ? rounded_up(sqrt(square_of_decoded) * up) : INFINITY,
        .error = rounded_up(fmax(sqrt(sum_over_lanes(errors)) * up, 0x1p-120)),
        .offset = form == code_offset ? rounded_up(-0.5 * square * (1 - 0x1p-18)) : 0,
    };
}
