// Arithmetic over contiguous vectors, in one set of functions for each kind of CPU.
//
// Three families. The *scores* decide what a search answers, so they are defined down to the bit: every set gives the
// same ones. The *codes* only rule out what cannot be an answer, by a bound that holds on every set. The *matrix*
// functions serve a trainer: fast, and equal within rounding.
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
#include <stdint.h>

#if defined(__cplusplus)
extern "C" {
#endif

// ---- Codes
//
// A row y is kept as one code c from -127 to 127 for each dimension, and a scale s: y is near y' = s·c. What the codes
// leave out is bounded by Cauchy and Schwarz. With x' the decoded query, x = (x − x') + x':
//
//     ⟨x, y⟩ ≤ ⟨x', y'⟩ + ‖x − x'‖·‖y'‖ + ‖x‖·‖y − y'‖
//
// The codes of 16 rows make a *block*: for every four dimensions (a *group*, the last filled up with zeros) 64 bytes,
// four codes of the first row, four of the second and so on, each code plus 128. So one instruction that adds four
// products of unsigned and signed bytes to each of 16 sums advances all rows of the block, and nothing is summed across
// lanes. The 128 that is too much of every code adds 128·Σ(query codes) to each sum: one number a query, taken off
// at the start. Behind the last group stand the scales of the 16 rows, where the scan comes by anyway.

enum {
    code_rows_in_block = 16,
    code_queries_max = 8,
};

// What a row needs beside its codes and scale. Whatever widens the bound is rounded up.
typedef struct code_terms {
    float norm;    // ‖y'‖; infinite from 2^100 on, where products might overflow
    float error;   // ‖y − y'‖, at least 2^-120
    float offset;  // 0; −‖y‖²/2 for l2; −∞ in an empty slot
} code_terms;

// The codes of a run of rows and their terms, each term in an array of its own. Over memory of the caller.
typedef struct code_slab {
    size_t groups;                // (dimension + 3) / 4
    uint8_t *_Nonnull blocks;     // for each block groups × 64 bytes of codes, then 16 float32 scales: s, or 0 if it
                                  // would underflow, and then all codes of the row are 0
    float *_Nonnull norms;        // one for each row, like the next two
    float *_Nonnull errors;
    float *_Nonnull offsets;
    code_terms *_Nonnull bounds;  // the largest of each term in a block
    bool has_offsets;             // whether offsets tell rows apart that are not empty
} code_slab;

// The vectors of the slab's rows. They are only asked for ahead of time, when a row becomes a hit.
typedef struct code_vectors {
    uintptr_t first;  // address of row 0's; that row need not exist
    size_t stride;    // bytes from row to row
} code_vectors;

// Up to eight queries that go through the codes together. Everything is divided by the query's own scale, so the sum
// of products of codes needs only the row's scale. A row stays if
//
//     sum·scale + (norm_factor·norm + (error_factor·error + offset_factor·offset)) ≥ threshold
//
// or if that is no number: an overflow never loses a row. The factors are inflated for the rounding of this formula.
typedef struct code_queries {
    size_t count;                                  // 1 to 8
    const int8_t *_Nonnull codes;                  // groups × 8 queries × 4, zeros for queries that there are not
    int32_t starts[code_queries_max];              // −128·Σ codes
    float norm_factors[code_queries_max];
    float error_factors[code_queries_max];
    float offset_factors[code_queries_max];
    float thresholds[code_queries_max];
} code_queries;

// A row that a query has to look at.
typedef struct code_hit {
    uint32_t row;
    uint32_t query;
} code_hit;

typedef enum {
    code_plain,       // y as it is
    code_normalized,  // y / ‖y‖; zeros stay zeros
    code_offset,      // y as it is, with the offset −‖y‖²/2
} code_form;

// ----

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

    // The largest code of a query; less than 127 where larger products would saturate.
    int8_t query_code_max;
    // Goes through the blocks from *first until `end`, or until there might not be room in `hits` for those of one more
    // block (16 × the queries); *first is then the block to go on with. Returns the number of hits: all rows for which
    // the condition above holds, and where no offsets tell rows apart a few for which it holds with the block's bounds.
    size_t (*_Nonnull scan)(
        const code_queries *_Nonnull queries, const code_slab *_Nonnull slab, code_vectors vectors,
        size_t *_Nonnull first, size_t end, code_hit *_Nonnull hits, size_t hits_max);
    // Writes codes and scale of a vector to the place of `row` and returns its terms.
    code_terms (*_Nonnull encode)(
        const void *_Nonnull vector, size_t dimension, code_form form, const code_slab *_Nonnull slab, size_t row);

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

// Encodes `vector` as the slab's row `row`, terms and bounds included.
void vector_kernels_encode(
    const vector_kernels *_Nonnull kernels, const void *_Nonnull vector, size_t dimension, code_form form,
    const code_slab *_Nonnull slab, size_t row);

// Makes `count` rows from `first` empty, both multiples of 16: no query ever has to look at them. Their blocks must be
// zeros, as fresh memory is, and are not touched.
void code_slab_clear(const code_slab *_Nonnull slab, size_t first, size_t count);

// Makes one row empty.
void code_slab_clear_row(const code_slab *_Nonnull slab, size_t row);

// For queries by scores to which something is added, another number for each row, that stands in no slab. It is written
// beside the slab for the blocks from `first` until `end`, and a scan of these gets a copy of the slab in which `offsets`
// and `bounds` are what is written here; `addends`, `offsets` and `bounds` begin with the first of these blocks.
//
//     offset = the slab's own + factor·addend
//
// An empty row stays empty.
void code_slab_add(
    const code_slab *_Nonnull slab, size_t first, size_t end, const float *_Nonnull addends, float factor,
    float *_Nonnull offsets, code_terms *_Nonnull bounds);

// Asks for memory that will be read soon. The address may be any.
static inline void vector_kernels_prefetch(uintptr_t address, size_t byte_count) {
    for (size_t offset = 0; offset < byte_count; offset += 64) {
        __builtin_prefetch((const void *)(address + offset), 0, 3);
    }
}

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
