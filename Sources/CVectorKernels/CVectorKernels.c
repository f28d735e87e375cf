// Chooses the set of kernels for this CPU, and turns the sums of a set into scores.
#include "Codes.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#pragma STDC FP_CONTRACT OFF

// A score that is missing in a switch is an error, as in Swift.
#pragma clang diagnostic error "-Wswitch"

// The sets that this CPU can run: best first, the scalar one last, then a null. x86-64 has the most sets, three.
enum { sets_max = 3 };
static const vector_kernels *available[sets_max + 1];
static const vector_kernels *current;
static pthread_once_t chosen = PTHREAD_ONCE_INIT;

static const vector_kernels *find(const char *name) {
    for (size_t i = 0; available[i]; ++i) {
        if (strcmp(available[i]->name, name) == 0) return available[i];
    }
    return NULL;
}

#if defined(__aarch64__)
static bool has_dot_products(void) {
#if defined(__linux__)
    return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#else
    return true;  // every Mac has them
#endif
}
#endif

static void choose(void) {
    size_t count = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512vnni");
    if (has_avx512) available[count++] = &vector_kernels_avx512;
    if (has_avx2) available[count++] = &vector_kernels_avx2;
#elif defined(__aarch64__)
    if (has_dot_products()) available[count++] = &vector_kernels_neon;
#endif
    available[count++] = &vector_kernels_scalar;
    available[count] = NULL;

    const char *forced = getenv("LOGQD_KERNEL");
    const vector_kernels *found = forced ? find(forced) : NULL;
    current = found ? found : available[0];
}

const vector_kernels *vector_kernels_current(void) {
    pthread_once(&chosen, choose);
    return current;
}

const char *vector_kernels_name(void) { return vector_kernels_current()->name; }

const vector_kernels *vector_kernels_named(const char *name) {
    pthread_once(&chosen, choose);
    return find(name);
}

static void cosine_scores(
    const vector_kernels *kernels, const double *query, size_t dimension, double query_norm,
    const char *rows, size_t count, size_t stride, double *scores
) {
    double squares[64];  // 64 rows at a time, so that these fit on the stack
    while (count > 0) {
        size_t block = count < 64 ? count : 64;
        kernels->dot_and_square(query, dimension, rows, block, stride, scores, squares);
        for (size_t i = 0; i < block; ++i) {
            double norms = query_norm * sqrt(squares[i]);
            scores[i] = norms > 0 ? scores[i] / norms : 0;
        }
        rows += block * stride;
        scores += block;
        count -= block;
    }
}

void vector_kernels_scores(
    const vector_kernels *kernels, vector_score score, const double *query, size_t dimension, double query_norm,
    const void *rows, size_t count, size_t stride, double *scores
) {
    switch (score) {
    case vector_score_dot:
        kernels->dot(query, dimension, rows, count, stride, scores);
        break;
    case vector_score_cosine:
        cosine_scores(kernels, query, dimension, query_norm, rows, count, stride, scores);
        break;
    case vector_score_l2:
        kernels->squared_distance(query, dimension, rows, count, stride, scores);
        for (size_t i = 0; i < count; ++i) scores[i] = 0 - scores[i];
        break;
    }
}

// Sets the bounds of the block that contains `slot`: the largest value of each term among its 16 slots.
static void set_bounds(const code_slab *slab, size_t slot) {
    size_t block = slot / code_slots_in_block;
    code_terms bounds = {.norm = 0, .error = 0, .offset = -INFINITY};
    for (size_t i = block * code_slots_in_block; i < (block + 1) * code_slots_in_block; ++i) {
        if (slab->norms[i] > bounds.norm) bounds.norm = slab->norms[i];
        if (slab->errors[i] > bounds.error) bounds.error = slab->errors[i];
        if (slab->offsets[i] > bounds.offset) bounds.offset = slab->offsets[i];
    }
    slab->bounds[block] = bounds;
}

static void set_terms(const code_slab *slab, size_t slot, code_terms terms) {
    slab->norms[slot] = terms.norm;
    slab->errors[slot] = terms.error;
    slab->offsets[slot] = terms.offset;
}

static const code_terms empty_terms = {.norm = 0, .error = 0, .offset = -INFINITY};

void vector_kernels_encode(
    const vector_kernels *kernels, const void *vector, size_t dimension, code_form form, const code_slab *slab,
    size_t slot
) {
    set_terms(slab, slot, kernels->encode(vector, dimension, form, slab, slot));
    set_bounds(slab, slot);
}

void code_slab_clear_slot(const code_slab *slab, size_t slot) {
    set_terms(slab, slot, empty_terms);
    memset(scales_of(slab, slot / code_slots_in_block) + slot % code_slots_in_block * 4, 0, sizeof(float));
    set_bounds(slab, slot);
}

typedef float floats4 __attribute__((vector_size(16)));
typedef float floats4_unaligned __attribute__((vector_size(16), aligned(4), may_alias));

static floats4 larger(floats4 left, floats4 right) {
    typedef int32_t flags4 __attribute__((vector_size(16)));
    flags4 is_left = left > right;
    return (floats4)((is_left & (flags4)left) | (~is_left & (flags4)right));
}

void code_slab_add(
    const code_slab *slab, size_t first, size_t end, const float *addends, float factor, float *offsets,
    code_terms *bounds
) {
    const float *own = slab->offsets + first * code_slots_in_block;
    for (size_t block = first; block < end; ++block) {
        floats4 largest = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
        for (size_t i = 0; i < code_slots_in_block; i += 4) {
            floats4 sums = *(const floats4_unaligned *)own + factor * *(const floats4_unaligned *)addends;
            *(floats4_unaligned *)offsets = sums;
            largest = larger(largest, sums);
            own += 4;
            addends += 4;
            offsets += 4;
        }
        code_terms terms = slab->bounds[block];
        terms.offset = largest[0];
        for (size_t i = 1; i < 4; ++i) terms.offset = largest[i] > terms.offset ? largest[i] : terms.offset;
        *bounds++ = terms;
    }
}

void code_slab_clear(const code_slab *slab, size_t first, size_t count) {
    for (size_t slot = first; slot < first + count; ++slot) set_terms(slab, slot, empty_terms);
    for (size_t slot = first; slot < first + count; slot += code_slots_in_block) set_bounds(slab, slot);
}
