// The scan over codes for every vector set. Each set's file includes this text and compiles it for its own
// instructions. It first defines
//     QUERY_CODE_MAX   the largest code of a query
//     sum_products(count, queries, codes, groups, sums)
//                      sets sums[q], for each q < count, to 16 sums of 32 bits: Σ (code − 128)·(code of query q) for
//                      each slot of the block; `count` is a constant after inlining
//
// A block is tested twice. The first test uses the block's bounds in place of each slot's terms. So a query needs only
// one number for the whole block: the least sum·scale that passes. This test rules out all but a few blocks in ten
// thousand. For the others, the second test reads the terms of each slot. It is skipped if the slab has no offsets and
// the least sum·scale is above 0: norms and errors change the bound only a little.
//
// No term of the bound is contracted or reordered, because its factors cover the rounding error of exactly this formula
// (see code_queries). So with the same query codes every set finds the same hits. The only exceptions are slots that
// pass the first test and would fail the second.

#pragma clang fp contract(off)

typedef float floats16 __attribute__((vector_size(64)));
typedef float floats16_unaligned __attribute__((vector_size(64), aligned(1), may_alias));
typedef float floats8_unaligned __attribute__((vector_size(32), aligned(4)));
typedef bool flags16 __attribute__((ext_vector_type(16)));

// One bit for each lane that is not zero; lanes are 0 or −1.
static inline __attribute__((always_inline)) uint32_t bits_of(const sums16 *lanes) {
    flags16 flags = __builtin_convertvector(*lanes, flags16);
    uint16_t bits;
    memcpy(&bits, &flags, sizeof bits);
    return bits;
}

// For each query, the least sum·scale with which a slot of the block can pass.
static inline __attribute__((always_inline)) void missing_in_block(
    const code_queries *queries, code_terms bounds, float *missing
) {
#define of(field) (*(const floats8_unaligned *)queries->field)
    float8 rest =
        of(norm_factors) * bounds.norm + (of(error_factors) * bounds.error + of(offset_factors) * bounds.offset);
    float8 all = of(thresholds) - rest;
    memcpy(missing, &all, sizeof all);
#undef of
}

// A bit for each of the 16 slots from `slot` on: whether it passes for one query.
static inline __attribute__((always_inline)) uint32_t passing_slots(
    const code_queries *queries, size_t query, const code_slab *slab, size_t slot, const floats16 *products
) {
#define of(field) (*(const floats16_unaligned *)(slab->field + slot))
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
    const size_t room = code_slots_in_block * count;
    for (; block < end && hit_count + room <= hits_max; ++block) {
        float missing[code_queries_max] __attribute__((aligned(32)));
        missing_in_block(queries, slab->bounds[block], missing);
        sums16 sums[code_queries_max];
        sum_products(count, queries, block_of(slab, block), slab->groups, sums);

        const floats16 scales = *(const floats16_unaligned *)scales_of(slab, block);
        uint32_t candidates[code_queries_max];
        uint32_t any = 0;
        for (size_t query = 0; query < count; ++query) {
            // Written as "not less than", because a slot is a hit if the product is not a number.
            sums16 may_pass = ~(__builtin_convertvector(sums[query], floats16) * scales < missing[query]);
            candidates[query] = bits_of(&may_pass);
            any |= candidates[query];
        }
        if (__builtin_expect(any == 0, 1)) continue;
        prefetch_rows(vectors, block);

        size_t first_slot = block * code_slots_in_block;
        for (size_t query = 0; query < count; ++query) {
            if (candidates[query] == 0) continue;
            uint32_t passing = candidates[query];
            // An empty slot has scale 0, so it has failed the first test if anything is missing.
            if (slab->has_offsets || !(missing[query] > 0)) {
                floats16 products = __builtin_convertvector(sums[query], floats16) * scales;
                passing &= passing_slots(queries, query, slab, first_slot, &products);
            }
            for (; passing != 0; passing &= passing - 1) {
                size_t hit = first_slot + (size_t)__builtin_ctz(passing);
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
    const void *vector, size_t dimension, code_form form, const code_slab *slab, size_t slot
) {
    return encode_slot(vector, dimension, form, slab, slot);
}
