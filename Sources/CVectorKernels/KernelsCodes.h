// The scan over codes for every vector set: one text, compiled once for each kind of CPU by the file that includes it.
// The includer defines
//   QUERY_CODE_MAX   the largest code of a query
//   sum_products(count, queries, codes, groups, sums)
//                    sets sums[0 ..< count], 16 sums of 32 bits each, to the sums of products of a block's codes
//                    (without their 128) with those of the first `count` queries; count is a constant after inlining
//
// A block is judged twice. First with its largest terms in place of each row's: what a query then still misses is one
// number, to be made up for by sum·scale, and the scales stand in the block. That rules out all but a few blocks in ten
// thousand; for those the terms of each row are fetched, unless they could hardly change anything: errors and norms
// belong to the bound and are small beside the score, so the largest of a block does nearly as well; offsets do not.
//
// The arithmetic of the bound is written with the error of its rounding in mind (see code_queries): no term is
// contracted or reordered, so for the same query codes every set keeps the same rows, but for those between the two
// judgements.

#pragma clang fp contract(off)

typedef float floats16 __attribute__((vector_size(64)));
typedef float floats16_unaligned __attribute__((vector_size(64), aligned(1), may_alias));
typedef float floats8_unaligned __attribute__((vector_size(32), aligned(4)));
typedef bool flags16 __attribute__((ext_vector_type(16)));

// A bit for each lane that is not zero; lanes are 0 or −1.
static inline __attribute__((always_inline)) uint32_t bits_of(const sums16 *lanes) {
    flags16 flags = __builtin_convertvector(*lanes, flags16);
    uint16_t bits;
    memcpy(&bits, &flags, sizeof bits);
    return bits;
}

// For each query what sum·scale must reach in a row of the block if the row is to pass.
static inline __attribute__((always_inline)) void missing_in_block(
    const code_queries *queries, code_terms bounds, float *missing
) {
#define of(field) (*(const floats8_unaligned *)queries->field)
    float8 rest = of(norm_factors) * bounds.norm + (of(error_factors) * bounds.error + of(offset_factors) * bounds.offset);
    float8 all = of(thresholds) - rest;
    memcpy(missing, &all, sizeof all);
#undef of
}

// The rows of a block that pass for one query, as bits.
static inline __attribute__((always_inline)) uint32_t passing_rows(
    const code_queries *queries, size_t query, const code_slab *slab, size_t row, const floats16 *products
) {
#define of(field) (*(const floats16_unaligned *)(slab->field + row))
    floats16 bound = *products
        + (queries->norm_factors[query] * of(norms)
           + (queries->error_factors[query] * of(errors) + queries->offset_factors[query] * of(offsets)));
    sums16 passes = ~(bound < queries->thresholds[query]) & (of(offsets) != -INFINITY);
    return bits_of(&passes);
#undef of
}

static inline __attribute__((always_inline)) size_t scan_with(
    const size_t count, const code_queries *queries, const code_slab *slab, code_vectors vectors, size_t *first,
    size_t end, code_hit *hits, size_t hits_max
) {
    size_t hit_count = 0;
    size_t block = *first;
    const size_t room = code_rows_in_block * count;
    for (; block < end && hit_count + room <= hits_max; ++block) {
        float missing[code_queries_max] __attribute__((aligned(32)));
        missing_in_block(queries, slab->bounds[block], missing);
        sums16 sums[code_queries_max];
        sum_products(count, queries, block_of(slab, block), slab->groups, sums);

        const floats16 scales = *(const floats16_unaligned *)scales_of(slab, block);
        uint32_t rows[code_queries_max];
        uint32_t any = 0;
        for (size_t query = 0; query < count; ++query) {
            // Not "at least": what is no number stays.
            sums16 may_pass = ~(__builtin_convertvector(sums[query], floats16) * scales < missing[query]);
            rows[query] = bits_of(&may_pass);
            any |= rows[query];
        }
        if (__builtin_expect(any == 0, 1)) continue;

        size_t row = block * code_rows_in_block;
        for (size_t query = 0; query < count; ++query) {
            if (rows[query] == 0) continue;
            uint32_t passing = rows[query];
            // An empty row has no scale, so it makes up for nothing that is missing.
            if (slab->has_offsets || !(missing[query] > 0)) {
                floats16 products = __builtin_convertvector(sums[query], floats16) * scales;
                passing &= passing_rows(queries, query, slab, row, &products);
            }
            for (; passing != 0; passing &= passing - 1) {
                size_t hit = row + (size_t)__builtin_ctz(passing);
                prefetch_vector(vectors, hit);
                hits[hit_count++] = (code_hit){(uint32_t)hit, (uint32_t)query};
            }
        }
    }
    *first = block;
    return hit_count;
}

static size_t scan(
    const code_queries *queries, const code_slab *slab, code_vectors vectors, size_t *first, size_t end, code_hit *hits,
    size_t hits_max
) {
    switch (queries->count) {
    case 1: return scan_with(1, queries, slab, vectors, first, end, hits, hits_max);
    case 2: return scan_with(2, queries, slab, vectors, first, end, hits, hits_max);
    case 3: return scan_with(3, queries, slab, vectors, first, end, hits, hits_max);
    case 4: return scan_with(4, queries, slab, vectors, first, end, hits, hits_max);
    case 5: return scan_with(5, queries, slab, vectors, first, end, hits, hits_max);
    case 6: return scan_with(6, queries, slab, vectors, first, end, hits, hits_max);
    case 7: return scan_with(7, queries, slab, vectors, first, end, hits, hits_max);
    default: return scan_with(8, queries, slab, vectors, first, end, hits, hits_max);
    }
}

static code_terms encode(
    const void *vector, size_t dimension, code_form form, const code_slab *slab, size_t row
) {
    return encode_row(vector, dimension, form, slab, row);
}
