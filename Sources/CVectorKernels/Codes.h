// The code for reading and writing codes that all sets share. Each set compiles the encoder for its own instructions.
#pragma once

#include "Kernels.h"

#include <float.h>
#include <math.h>

// One sum for each slot of a block.
typedef int32_t sums16 __attribute__((vector_size(64)));

static inline uint8_t *block_of(const code_slab *slab, size_t block) {
    return slab->blocks + block * (slab->groups + 1) * 64;
}

// The scales of the block's 16 slots, four bytes each.
static inline uint8_t *scales_of(const code_slab *slab, size_t block) {
    return block_of(slab, block) + slab->groups * 64;
}

// How far ahead a scan prefetches, in bytes. Measured with eight queries over a million slots of 64 dimensions: 3.1 ms
// at 1 to 8 KiB, and 3.5 ms from 64 KiB on. Prefetching into the second-level cache only took 5.5 ms.
enum { code_prefetch_bytes = 4096 };

static inline __attribute__((always_inline)) void prefetch_codes(const uint8_t *codes) {
    // The address may be past the end of the slab: a prefetch of an invalid address does nothing.
    __builtin_prefetch((const void *)((uintptr_t)codes + code_prefetch_bytes), 0, 3);
}

// The rows of a block's slots arrive while the terms of the slots are waited for.
static inline void prefetch_rows(code_vectors vectors, size_t block) {
    if (vectors.rows == NULL) return;
    __builtin_prefetch(vectors.rows + (block * code_slots_in_block - vectors.first_slot), 0, 3);
}

// A vector is scored after its range of blocks is scanned. Its first cache lines have arrived when it is read. This
// takes the slot's number as the row's, which is nearly always right, because waiting for `rows` would stop the scan.
static inline void prefetch_vector(code_vectors vectors, size_t slot) {
    if (vectors.rows == NULL) return;
    uintptr_t address = vectors.first + (slot - vectors.first_slot) * vectors.stride;
    for (size_t offset = 0; offset < vectors.stride && offset < 512; offset += 64) {
        __builtin_prefetch((const void *)(address + offset), 0, 3);
    }
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

// Loads the next numbers of a vector, at most 16 of them, and fills the other lanes with zeros.
static inline __attribute__((always_inline)) void load_lanes(const char *vector, size_t count, float *values) {
    if (count >= encode_lanes) {
        memcpy(values, vector, encode_lanes * sizeof(float));
    } else {
        memset(values, 0, encode_lanes * sizeof(float));
        memcpy(values, vector, count * sizeof(float));
    }
}

// Computes in float64 and in 16 lanes, which the compiler vectorizes. The bound holds for any choice of codes, because
// the error is measured from the chosen codes.
static inline __attribute__((always_inline)) code_terms encode_slot(
    const void *vector, size_t dimension, code_form form, const code_slab *slab, size_t slot
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
    size_t block = slot / code_slots_in_block, place = slot % code_slots_in_block;
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

    // 2^-30 is far more than the rounding error of these float64 sums of squares.
    const double up = 1 + 0x1p-30;
    double square_of_decoded = sum_over_lanes(norms);
    return (code_terms){
        // The vector may be so long that sum·scale overflows, in either direction. The infinite norm makes its slot a
        // hit.
        .norm = square_of_decoded < 0x1p200 ? rounded_up(sqrt(square_of_decoded) * up) : INFINITY,
        .error = rounded_up(fmax(sqrt(sum_over_lanes(errors)) * up, 0x1p-120)),
        .offset = form == code_offset ? rounded_up(-0.5 * square * (1 - 0x1p-18)) : 0,
    };
}
