// The kernels in plain C: the reference for the other sets, and the fallback for CPUs that can run no other set.
#include "Codes.h"

#pragma STDC FP_CONTRACT OFF

enum { lane_count = 16, tile_rows = 4, tile_columns = 8 };

static float element(const char *row, size_t index) {
    float value;
    memcpy(&value, row + index * sizeof value, sizeof value);  // a row may have any alignment
    return value;
}

static double sum_of_lanes(double *lanes) {
    for (size_t half = lane_count / 2; half > 0; half /= 2) {
        for (size_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
    }
    return lanes[0];
}

static void dot(
    const double *query, size_t dimension, const void *rows, size_t count, size_t stride, double *sums
) {
    const char *row = rows;
    for (size_t i = 0; i < count; ++i, row += stride) {
        double lanes[lane_count] = {0};
        for (size_t j = 0; j < dimension; ++j) lanes[j % lane_count] += query[j] * (double)element(row, j);
        sums[i] = sum_of_lanes(lanes);
    }
}

static void dot_and_square(
    const double *query, size_t dimension, const void *rows, size_t count, size_t stride, double *sums, double *squares
) {
    const char *row = rows;
    for (size_t i = 0; i < count; ++i, row += stride) {
        double products[lane_count] = {0};
        double selves[lane_count] = {0};
        for (size_t j = 0; j < dimension; ++j) {
            double value = element(row, j);
            products[j % lane_count] += query[j] * value;
            selves[j % lane_count] += value * value;
        }
        sums[i] = sum_of_lanes(products);
        squares[i] = sum_of_lanes(selves);
    }
}

static void squared_distance(
    const double *query, size_t dimension, const void *rows, size_t count, size_t stride, double *sums
) {
    const char *row = rows;
    for (size_t i = 0; i < count; ++i, row += stride) {
        double lanes[lane_count] = {0};
        for (size_t j = 0; j < dimension; ++j) {
            double difference = query[j] - (double)element(row, j);
            double square = difference * difference;
            lanes[j % lane_count] += square;
        }
        sums[i] = sum_of_lanes(lanes);
    }
}

// Tests each slot once, with its own terms.
static size_t scan(
    const code_queries *queries, const code_slab *slab, code_vectors vectors, size_t *first, size_t end, code_hit *hits,
    size_t hits_max
) {
    size_t hit_count = 0;
    size_t block = *first;
    const size_t room = code_slots_in_block * queries->count;
    for (; block < end && hit_count + room <= hits_max; ++block) {
        const uint8_t *codes = block_of(slab, block);
        for (size_t query = 0; query < queries->count; ++query) {
            for (size_t place = 0; place < code_slots_in_block; ++place) {
                int32_t sum = queries->starts[query];
                for (size_t group = 0; group < slab->groups; ++group) {
                    const int8_t *left = queries->codes + (group * code_queries_max + query) * 4;
                    const uint8_t *right = codes + group * 64 + place * 4;
                    for (size_t i = 0; i < 4; ++i) sum += left[i] * right[i];
                }
                size_t slot = block * code_slots_in_block + place;
                float scale;
                memcpy(&scale, scales_of(slab, block) + place * 4, sizeof scale);
                float bound = (float)sum * scale
                    + (queries->norm_factors[query] * slab->norms[slot]
                       + (queries->error_factors[query] * slab->errors[slot]
                          + queries->offset_factors[query] * slab->offsets[slot]));
                if (bound < queries->thresholds[query] || slab->offsets[slot] == -INFINITY) continue;
                prefetch_vector(vectors, slot);
                hits[hit_count++] = (code_hit){(uint32_t)slot, (uint32_t)query};
            }
        }
    }
    *first = block;
    return hit_count;
}

static code_terms encode(
    const void *vector, size_t dimension, code_form form, const code_slab *slab, size_t slot
) {
    return encode_slot(vector, dimension, form, slab, slot);
}

static void multiply_tile(
    size_t depth, const float *a, size_t a_row_stride, size_t a_depth_stride, const float *b, float *c,
    size_t c_row_stride
) {
    float sums[tile_rows][tile_columns] = {{0}};
    for (size_t k = 0; k < depth; ++k, a += a_depth_stride, b += tile_columns) {
        for (size_t i = 0; i < tile_rows; ++i) {
            for (size_t j = 0; j < tile_columns; ++j) sums[i][j] += a[i * a_row_stride] * b[j];
        }
    }
    for (size_t i = 0; i < tile_rows; ++i) {
        for (size_t j = 0; j < tile_columns; ++j) c[i * c_row_stride + j] += sums[i][j];
    }
}

static float exponentiate(float *values, size_t count, float shift) { return exponentiate_all(values, count, shift); }

const vector_kernels vector_kernels_scalar = {
    .name = "scalar",
    .dot = dot,
    .dot_and_square = dot_and_square,
    .squared_distance = squared_distance,
    .query_code_max = 127,
    .scan = scan,
    .encode = encode,
    .tile_rows = tile_rows,
    .tile_columns = tile_columns,
    .multiply_tile = multiply_tile,
    .exponentiate = exponentiate,
};
