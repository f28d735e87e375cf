// Arithmetic over contiguous float32, in one set of functions for each kind of CPU.
//
// Two families. The *scores* decide what a search answers, so they are defined down to the bit: every set gives the
// same ones. The *matrix* functions serve a trainer: fast, and equal within rounding.
//
// A score is summed in float64 in 16 lanes: lane j takes the elements i with i mod 16 == j, in ascending order. Then
// lane j takes lane j + 8, lane j + 4, lane j + 2, lane j + 1. The product of two float32 is exact in float64, so a
// fused multiply-add changes nothing in a dot product; for the squares of differences it would, and it is not used.
//
// Pointers to rows need no alignment at all. Nothing here allocates but `vector_kernels_multiply`, and nothing keeps
// a pointer.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#if defined(__cplusplus)
extern "C" {
#endif

// One set of functions. `query` holds `dimension` numbers, padded with zeros to a multiple of 16 (what may be read).
// Row i begins `stride` bytes after row i - 1.
typedef struct vector_kernels {
    const char *_Nonnull name;  // "avx512", "avx2", "neon" or "scalar"

    // sums[i] = Σ query·row
    void (*_Nonnull dot)(
        const double *_Nonnull query, size_t dimension,
        const void *_Nonnull rows, size_t count, size_t stride, double *_Nonnull sums);
    // sums[i] = Σ query·row, squares[i] = Σ row·row
    void (*_Nonnull dot_and_square)(
        const double *_Nonnull query, size_t dimension,
        const void *_Nonnull rows, size_t count, size_t stride, double *_Nonnull sums, double *_Nonnull squares);
    // sums[i] = Σ (query − row)²
    void (*_Nonnull squared_distance)(
        const double *_Nonnull query, size_t dimension,
        const void *_Nonnull rows, size_t count, size_t stride, double *_Nonnull sums);

    // c[tile_rows × tile_columns] += a · b, the innermost block of a matrix product. `a` is addressed by two strides
    // (in floats); `b` is packed: tile_columns numbers for each step of the depth.
    size_t tile_rows;
    size_t tile_columns;
    void (*_Nonnull multiply_tile)(
        size_t depth, const float *_Nonnull a, size_t a_row_stride, size_t a_depth_stride,
        const float *_Nonnull b, float *_Nonnull c, size_t c_row_stride);

    // values[i] = exp(values[i] − shift), and the sum of them. For arguments up to 88; below −87 it stays at e^−87.
    float (*_Nonnull exponentiate)(float *_Nonnull values, size_t count, float shift);
} vector_kernels;

// The best set this CPU has, chosen at the first call. LOGQD_KERNEL=scalar|avx2|avx512|neon forces one; a name this CPU
// cannot run is ignored (`name` tells what runs).
const vector_kernels *_Nonnull vector_kernels_current(void);

// The name of that set.
const char *_Nonnull vector_kernels_name(void);

// The set of this name, or null if this CPU cannot run it.
const vector_kernels *_Nullable vector_kernels_named(const char *_Nonnull name);

// Which score: larger is better in each.
typedef enum {
    vector_score_dot,     // Σ query·row
    vector_score_cosine,  // Σ query·row / (‖query‖·‖row‖), the norms in float64; 0 if either is zero
    vector_score_l2,      // −Σ (query − row)²
} vector_score;

// Scores of `count` rows. `query_norm` = ‖query‖, used by cosine alone.
void vector_kernels_scores(
    const vector_kernels *_Nonnull kernels, vector_score score,
    const double *_Nonnull query, size_t dimension, double query_norm,
    const void *_Nonnull rows, size_t count, size_t stride, double *_Nonnull scores);

// Row-major float32 matrices; each stride is the distance between rows, in floats. `rows` and `columns` are those of
// the result c, `depth` is what is summed over.
typedef enum {
    matrix_a_bt,  // a: rows × depth, b: columns × depth
    matrix_a_b,   // a: rows × depth, b: depth × columns
    matrix_at_b,  // a: depth × rows, b: depth × columns
} matrix_form;

// c = a·b in that form, or c += a·b.
void vector_kernels_multiply(
    const vector_kernels *_Nonnull kernels, matrix_form form, bool adds,
    size_t rows, size_t columns, size_t depth,
    const float *_Nonnull a, size_t a_stride, const float *_Nonnull b, size_t b_stride,
    float *_Nonnull c, size_t c_stride);

#if defined(__cplusplus)
}
#endif
