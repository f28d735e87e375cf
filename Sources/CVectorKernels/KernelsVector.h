// The body of every vector set, written with the compiler's own vector types. Each set's file includes this text and
// compiles it for its own instructions. It first defines
//     KERNEL_SET               the name of the table to define
//     KERNEL_NAME              its name as a string
//     TILE_ROWS, TILE_VECTORS  the size of a tile of a matrix product, which must fit in the registers
//     TILE_LANES               the number of float32 in one register
//     load_tail(p, n)          loads n float32 (0 to 8) from p, then zeros; reads nothing after them
// and the macros that KernelsCodes.h needs.

typedef float float8 __attribute__((vector_size(32)));
typedef double double8 __attribute__((vector_size(64)));
typedef double double4 __attribute__((vector_size(32)));
typedef double double2 __attribute__((vector_size(16)));
typedef float float8_unaligned __attribute__((vector_size(32), aligned(1), may_alias));
typedef double double8_unaligned __attribute__((vector_size(64), aligned(8)));
typedef float tile_vector __attribute__((vector_size(4 * TILE_LANES)));
typedef float tile_vector_unaligned __attribute__((vector_size(4 * TILE_LANES), aligned(4)));

enum { tile_rows = TILE_ROWS, tile_vectors = TILE_VECTORS, tile_columns = TILE_VECTORS * TILE_LANES };

#define load8(p) __builtin_convertvector(*(const float8_unaligned *)(p), double8)
#define load8_tail(p, n) __builtin_convertvector(load_tail(p, n), double8)
#define query8(p) (*(const double8_unaligned *)(p))

// Adds the 16 lanes of two vectors pairwise, in the order that CVectorKernels.h defines.
#define sum_of_lanes(low, high, into)                                     \
    do {                                                                  \
        double8 eight = (low) + (high);                                   \
        double4 four = __builtin_shufflevector(eight, eight, 0, 1, 2, 3)  \
            + __builtin_shufflevector(eight, eight, 4, 5, 6, 7);          \
        double2 two = __builtin_shufflevector(four, four, 0, 1)           \
            + __builtin_shufflevector(four, four, 2, 3);                  \
        (into) = two[0] + two[1];                                         \
    } while (0)

// Calls ACCUMULATE(low or high, eight numbers of the row, eight of the query) for all numbers of a row. A partial last
// group is filled with zeros on both sides, which add +0 to a lane. That changes nothing, because a lane that began at
// +0 is never −0.
#define along_row(row, query, dimension, ACCUMULATE)                                              \
    do {                                                                                          \
        size_t j = 0;                                                                             \
        for (; j + 16 <= (dimension); j += 16) {                                                  \
            ACCUMULATE(low, load8((row) + 4 * j), query8((query) + j));                           \
            ACCUMULATE(high, load8((row) + 4 * j + 32), query8((query) + j + 8));                 \
        }                                                                                         \
        size_t rest = (dimension) - j;                                                            \
        if (rest > 8) {                                                                           \
            ACCUMULATE(low, load8((row) + 4 * j), query8((query) + j));                           \
            ACCUMULATE(high, load8_tail((row) + 4 * j + 32, rest - 8), query8((query) + j + 8));  \
        } else if (rest > 0) {                                                                    \
            ACCUMULATE(low, load8_tail((row) + 4 * j, rest), query8((query) + j));                \
        }                                                                                         \
    } while (0)

static void dot(
    const double *query, size_t dimension, const void *rows, size_t count, size_t stride, double *sums
) {
#define ACCUMULATE(lanes, values, queries) lanes += (values) * (queries)
    const char *row = rows;
    for (size_t i = 0; i < count; ++i, row += stride) {
        double8 low = {0}, high = {0};
        along_row(row, query, dimension, ACCUMULATE);
        sum_of_lanes(low, high, sums[i]);
    }
#undef ACCUMULATE
}

static void dot_and_square(
    const double *query, size_t dimension, const void *rows, size_t count, size_t stride, double *sums, double *squares
) {
#define ACCUMULATE(lanes, values, queries)  \
    do {                                    \
        double8 y = (values);               \
        lanes += y * (queries);             \
        lanes##_square += y * y;            \
    } while (0)
    const char *row = rows;
    for (size_t i = 0; i < count; ++i, row += stride) {
        double8 low = {0}, high = {0}, low_square = {0}, high_square = {0};
        along_row(row, query, dimension, ACCUMULATE);
        sum_of_lanes(low, high, sums[i]);
        sum_of_lanes(low_square, high_square, squares[i]);
    }
#undef ACCUMULATE
}

static void squared_distance(
    const double *query, size_t dimension, const void *rows, size_t count, size_t stride, double *sums
) {
#pragma clang fp contract(off)
#define ACCUMULATE(lanes, values, queries)          \
    do {                                            \
        double8 difference = (queries) - (values);  \
        double8 square = difference * difference;   \
        lanes += square;                            \
    } while (0)
    const char *row = rows;
    for (size_t i = 0; i < count; ++i, row += stride) {
        double8 low = {0}, high = {0};
        along_row(row, query, dimension, ACCUMULATE);
        sum_of_lanes(low, high, sums[i]);
    }
#undef ACCUMULATE
}

static void multiply_tile(
    size_t depth, const float *a, size_t a_row_stride, size_t a_depth_stride, const float *b, float *c,
    size_t c_row_stride
) {
    tile_vector sums[tile_rows][tile_vectors];
#pragma clang loop unroll(full)
    for (size_t i = 0; i < tile_rows; ++i) {
#pragma clang loop unroll(full)
        for (size_t j = 0; j < tile_vectors; ++j) sums[i][j] = (tile_vector){0};
    }
    for (size_t k = 0; k < depth; ++k, a += a_depth_stride, b += tile_columns) {
        tile_vector columns[tile_vectors];
#pragma clang loop unroll(full)
        for (size_t j = 0; j < tile_vectors; ++j) {
            columns[j] = *(const tile_vector_unaligned *)(b + j * TILE_LANES);
        }
#pragma clang loop unroll(full)
        for (size_t i = 0; i < tile_rows; ++i) {
            float factor = a[i * a_row_stride];
#pragma clang loop unroll(full)
            for (size_t j = 0; j < tile_vectors; ++j) sums[i][j] += factor * columns[j];
        }
    }
#pragma clang loop unroll(full)
    for (size_t i = 0; i < tile_rows; ++i) {
#pragma clang loop unroll(full)
        for (size_t j = 0; j < tile_vectors; ++j) {
            *(tile_vector_unaligned *)(c + i * c_row_stride + j * TILE_LANES) += sums[i][j];
        }
    }
}

static float exponentiate(float *values, size_t count, float shift) { return exponentiate_all(values, count, shift); }

// Must come after all functions above, because it forbids contractions from here on.
#include "KernelsCodes.h"

const vector_kernels KERNEL_SET = {
    .name = KERNEL_NAME,
    .dot = dot,
    .dot_and_square = dot_and_square,
    .squared_distance = squared_distance,
    .query_code_max = QUERY_CODE_MAX,
    .scan = scan,
    .encode = encode,
    .tile_rows = tile_rows,
    .tile_columns = tile_columns,
    .multiply_tile = multiply_tile,
    .exponentiate = exponentiate,
};
