// Arithmetic over contiguous vectors, in one set of functions for each kind of CPU.
//
// There are three families. The *scores* decide the answer of a search, so every set computes the same bits. The
// *codes* only rule out slots that cannot be in the answer; their bound holds in every set. The *matrix* functions
// serve a trainer: they are fast, and sets differ by rounding.
//
// A score is summed in float64 in 16 lanes: lane j adds the elements i with i mod 16 == j, in ascending order. Then
// lane j adds lane j + 8, lane j + 4, lane j + 2, lane j + 1. The product of two float32 is exact in float64, so a
// fused multiply-add changes nothing in a dot product. It would change the sum of squared differences, so it is not
// used there.
//
// Pointers to rows need no alignment. Only `vector_kernels_multiply` allocates memory. No function keeps a pointer.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__cplusplus)
extern "C" {
#endif

// ---- Codes
//
// A slot holds a vector y as a scale s and, for each dimension, a code c from -127 to 127: y is near y' = s·c. The
// Cauchy-Schwarz inequality bounds the part that the codes leave out. With x' the decoded query:
//
//     ⟨x, y⟩ ≤ ⟨x', y'⟩ + ‖x − x'‖·‖y'‖ + ‖x‖·‖y − y'‖
//
// The codes of 16 slots form a *block*. Four dimensions form a *group*; zeros fill the last one. A block has 64 bytes
// for each group: four codes of the first slot, four of the second and so on, each code plus 128. One instruction adds
// four products of unsigned and signed bytes to each of 16 sums. So it advances all slots of the block, and nothing is
// summed across lanes. The added 128 raises each sum by 128·Σ(query codes). That is one number for each query, and it
// is subtracted at the start. The scales of the 16 slots follow the last group, so a scan reads memory in sequence.

enum {
    code_slots_in_block = 16,
    code_queries_max = 8,
};

// The numbers of a slot besides its codes and scale. Each is rounded in the direction that widens the bound.
typedef struct code_terms {
    float norm;    // ‖y'‖; infinite from 2^100 on, because products could overflow
    float error;   // ‖y − y'‖, at least 2^-120
    float offset;  // 0; −‖y‖²/2 for l2; −∞ in an empty slot
} code_terms;

// The codes of a range of slots and their terms, one array for each term. The memory belongs to the caller.
typedef struct code_slab {
    size_t groups;                // (dimension + 3) / 4
    uint8_t *_Nonnull blocks;     // for each block: groups × 64 bytes of codes, then 16 float32 scales. A scale is s,
                                  // or 0 if s would underflow; then all codes of the slot are 0
    float *_Nonnull norms;        // one for each slot, as in the next two arrays
    float *_Nonnull errors;
    float *_Nonnull offsets;
    code_terms *_Nonnull bounds;  // for each block, the largest of each term
    bool has_offsets;             // whether offsets may differ between slots that are not empty
} code_slab;

// Where the vectors of the slots' rows are. They are only prefetched, when a slot becomes a hit.
typedef struct code_vectors {
    uintptr_t first;                  // address of the vector of row 0
    size_t stride;                    // bytes from row to row
    const uint16_t *_Nullable rows;   // the row of each slot from `first_slot` on; null: nothing is prefetched
    size_t first_slot;
} code_vectors;

// Up to eight queries that scan the codes together. All numbers of a query are divided by its scale, so a sum of
// products of codes is multiplied only by the slot's scale. A slot is a hit if
//
//     sum·scale + (norm_factor·norm + (error_factor·error + offset_factor·offset)) ≥ threshold
//
// or if the left side is not a number, so an overflow never loses a slot. The factors are inflated to cover the
// rounding of this formula. An empty slot is never a hit.
typedef struct code_queries {
    size_t count;                                  // 1 to 8
    const int8_t *_Nonnull codes;                  // groups × 8 queries × 4; zeros for missing queries
    int32_t starts[code_queries_max];              // −128·Σ codes
    float norm_factors[code_queries_max];
    float error_factors[code_queries_max];
    float offset_factors[code_queries_max];
    float thresholds[code_queries_max];
} code_queries;

// A slot that a query must look at.
typedef struct code_hit {
    uint32_t slot;
    uint32_t query;
} code_hit;

typedef enum {
    code_plain,       // y as it is
    code_normalized,  // y / ‖y‖; a zero vector stays zero
    code_offset,      // y as it is, with the offset −‖y‖²/2
} code_form;

// ----

// One set of functions. `query` has `dimension` numbers, then zeros up to a multiple of 16; a function may read all of
// them. Row i begins `stride` bytes after row i - 1.
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

    // The largest code of a query; less than 127 if larger products would saturate.
    int8_t query_code_max;
    // Scans the blocks from *first to `end`. Stops earlier if `hits` may not have room for the hits of another block
    // (16 × the queries). Then sets *first to the next block to scan, and returns the number of hits. The hits are all
    // slots that the condition above keeps. Without `has_offsets` there are also a few that it keeps only with the
    // block's bounds in place of the slot's terms.
    size_t (*_Nonnull scan)(
        const code_queries *_Nonnull queries, const code_slab *_Nonnull slab, code_vectors vectors,
        size_t *_Nonnull first, size_t end, code_hit *_Nonnull hits, size_t hits_max);
    // Writes the codes and the scale of a vector into the slot, and returns its terms.
    code_terms (*_Nonnull encode)(
        const void *_Nonnull vector, size_t dimension, code_form form, const code_slab *_Nonnull slab, size_t slot);

    // c[tile_rows × tile_columns] += a · b, the innermost part of a matrix product. `a` has two strides, in floats. `b`
    // is packed: tile_columns numbers for each index of the depth.
    size_t tile_rows;
    size_t tile_columns;
    void (*_Nonnull multiply_tile)(
        size_t depth, const float *_Nonnull a, size_t a_row_stride, size_t a_depth_stride,
        const float *_Nonnull b, float *_Nonnull c, size_t c_row_stride);

    // values[i] = exp(values[i] − shift). Returns the sum of the results. Exponents are limited to −87 ... 88.
    float (*_Nonnull exponentiate)(float *_Nonnull values, size_t count, float shift);
} vector_kernels;

// The best set that this CPU can run, chosen at the first call. LOGQD_KERNEL=scalar|avx2|avx512|neon forces a set. The
// variable is ignored if this CPU cannot run that set; `vector_kernels_name` tells which one runs.
const vector_kernels *_Nonnull vector_kernels_current(void);

// The name of the set that `vector_kernels_current` returns.
const char *_Nonnull vector_kernels_name(void);

// The set with this name, or null if there is none that this CPU can run.
const vector_kernels *_Nullable vector_kernels_named(const char *_Nonnull name);

// The kind of score. A larger score is always better.
typedef enum {
    vector_score_dot,     // Σ query·row
    vector_score_cosine,  // Σ query·row / (‖query‖·‖row‖), norms in float64; 0 if either norm is zero
    vector_score_l2,      // −Σ (query − row)²
} vector_score;

// Scores of `count` rows. `query_norm` = ‖query‖, which only cosine uses.
void vector_kernels_scores(
    const vector_kernels *_Nonnull kernels, vector_score score,
    const double *_Nonnull query, size_t dimension, double query_norm,
    const void *_Nonnull rows, size_t count, size_t stride, double *_Nonnull scores);

// Encodes `vector` into a slot: codes, scale, terms and the block's bounds.
void vector_kernels_encode(
    const vector_kernels *_Nonnull kernels, const void *_Nonnull vector, size_t dimension, code_form form,
    const code_slab *_Nonnull slab, size_t slot);

// Empties `count` slots from `first` on; both are multiples of 16. An empty slot is never a hit. The codes and scales
// must be zero already, as in fresh memory: this function does not touch them.
void code_slab_clear(const code_slab *_Nonnull slab, size_t first, size_t count);

// Empties one slot.
void code_slab_clear_slot(const code_slab *_Nonnull slab, size_t slot);

// Adds a number to the offset of each slot in the blocks from `first` to `end`. This serves queries that rank by a
// score plus a number that no slab holds. The results are written outside the slab. To scan these blocks, the caller
// copies the slab and points its `offsets` and `bounds` at the results. `addends`, `offsets` and `bounds` begin at
// block `first`.
//
//     offset = the slab's own + factor·addend
//
// An empty slot stays empty.
void code_slab_add(
    const code_slab *_Nonnull slab, size_t first, size_t end, const float *_Nonnull addends, float factor,
    float *_Nonnull offsets, code_terms *_Nonnull bounds);

// The operands of a matrix product: row-major float32. A stride is the distance between rows, in floats. `rows` and
// `columns` are those of the result c, and each sum has `depth` terms.
typedef enum {
    matrix_a_bt,  // a: rows × depth, b: columns × depth
    matrix_a_b,   // a: rows × depth, b: depth × columns
    matrix_at_b,  // a: depth × rows, b: depth × columns
} matrix_form;

// c = a·b in the given form, or c += a·b if `adds`.
void vector_kernels_multiply(
    const vector_kernels *_Nonnull kernels, matrix_form form, bool adds,
    size_t rows, size_t columns, size_t depth,
    const float *_Nonnull a, size_t a_stride, const float *_Nonnull b, size_t b_stride,
    float *_Nonnull c, size_t c_stride);

#if defined(__cplusplus)
}
#endif
