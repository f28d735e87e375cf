// The scan over codes for every vector set: one text, compiled once for each kind of CPU by the file that includes it.
// The includer defines
//   QUERY_CODE_MAX   the largest code of a query
//   sum_products(count, queries, codes, groups, sums)
//                    sets sums[0 ..< count], 16 sums of 32 bits each, to the sums of products of a block's codes
//                    (without their 128) with those of the first `count` queries; count is a constant after inlining
//
// Per block one integer comparison a query decides that none of its rows can pass: a threshold for the sums that holds
// for all rows of the block, from the block's bounds. It is a little too low, for scales differ; the few blocks that
// pass it are looked at row by row, in floating point.
//
// The arithmetic of the bound is written with the error of its rounding in mind (see code_queries): no term is
// contracted or reordered, so every set keeps the same rows, but for those between the two thresholds.

#pragma clang fp contract(off)

typedef float floats16 __attribute__((vector_size(64)));
typedef float floats16_unaligned __attribute__((vector_size(64), aligned(4)));
typedef int32_t ints8 __attribute__((vector_size(32)));
typedef float floats8_unaligned __attribute__((vector_size(32), aligned(4)));
typedef bool flags16 __attribute__((ext_vector_type(16)));

// A bit for each lane that is not zero; lanes are 0 or −1.
static inline __attribute__((always_inline)) uint32_t bits_of(const sums16 *lanes) {
    flags16 flags = __builtin_convertvector(*lanes, flags16);
    uint16_t bits;
    memcpy(&bits, &flags, sizeof bits);
    return bits;
}

// For each query a sum that no row of the block can be below if it is to pass.
static inline __attribute__((always_inline)) void block_thresholds(
    const code_queries *queries, code_terms bounds, int32_t *thresholds
) {
#define of(field) (*(const floats8_unaligned *)queries->field)
    const float8 zero = {0};
    const float8 large = zero + 2147483520.0f;  // the largest float32 that is an int32
    float8 missing = of(thresholds) - of(offset_factors) * bounds.offset - of(norm_factors) * bounds.norm
        - of(error_factors) * bounds.error;
    float8 sum = missing * bounds.scale * 0.999999f;
    sum = __builtin_elementwise_min(__builtin_elementwise_max(sum, zero), large);
    // Nothing missing, or no number: every sum may do.
    ints8 some = missing > 0;
    ints8 integers = (__builtin_convertvector(sum, ints8) & some) | (INT32_MIN & ~some);
    memcpy(thresholds, &integers, sizeof integers);
#undef of
}

// The rows of a block that pass for one query, as bits.
static inline __attribute__((always_inline)) uint32_t passing_rows(
    const code_queries *queries, size_t query, const code_slab *slab, size_t row, const sums16 *sums
) {
#define of(field) (*(const floats16_unaligned *)(slab->field + row))
    floats16 bound = __builtin_convertvector(*sums, floats16) * of(scales)
        + (queries->norm_factors[query] * of(norms)
           + (queries->error_factors[query] * of(errors) + queries->offset_factors[query] * of(offsets)));
    sums16 passes = ~(bound < queries->thresholds[query]) & (of(offsets) != -INFINITY);
    return bits_of(&passes);
#undef of
}

static inline __attribute__((always_inline)) size_t scan_with(
    const size_t count, const code_queries *queries, const code_slab *slab, size_t *first, size_t end, code_hit *hits,
    size_t hits_max
) {
    size_t hit_count = 0;
    size_t block = *first;
    const size_t room = code_rows_in_block * count;
    for (; block < end && hit_count + room <= hits_max; ++block) {
        int32_t thresholds[code_queries_max] __attribute__((aligned(32)));
        block_thresholds(queries, slab->bounds[block], thresholds);
        sums16 sums[code_queries_max];
        sum_products(count, queries, slab->codes + block * slab->groups * 64, slab->groups, sums);

        uint32_t rows[code_queries_max];
        uint32_t any = 0;
        for (size_t query = 0; query < count; ++query) {
            sums16 may_pass = sums[query] >= thresholds[query];
            rows[query] = bits_of(&may_pass);
            any |= rows[query];
        }
        if (__builtin_expect(any == 0, 1)) continue;

        size_t row = block * code_rows_in_block;
        for (size_t query = 0; query < count; ++query) {
            if (rows[query] == 0) continue;
            uint32_t passing = rows[query] & passing_rows(queries, query, slab, row, &sums[query]);
            for (; passing != 0; passing &= passing - 1) {
                hits[hit_count++] = (code_hit){(uint32_t)row + (uint32_t)__builtin_ctz(passing), (uint32_t)query};
            }
        }
    }
    *first = block;
    return hit_count;
}

static size_t scan(
    const code_queries *queries, const code_slab *slab, size_t *first, size_t end, code_hit *hits, size_t hits_max
) {
    switch (queries->count) {
    case 1: return scan_with(1, queries, slab, first, end, hits, hits_max);
    case 2: return scan_with(2, queries, slab, first, end, hits, hits_max);
    case 3: return scan_with(3, queries, slab, first, end, hits, hits_max);
    case 4: return scan_with(4, queries, slab, first, end, hits, hits_max);
    case 5: return scan_with(5, queries, slab, first, end, hits, hits_max);
    case 6: return scan_with(6, queries, slab, first, end, hits, hits_max);
    case 7: return scan_with(7, queries, slab, first, end, hits, hits_max);
    default: return scan_with(8, queries, slab, first, end, hits, hits_max);
    }
}

static code_terms encode(
    const void *vector, size_t dimension, code_form form, const code_slab *slab, size_t row
) {
    return encode_row(vector, dimension, form, slab, row);
}
