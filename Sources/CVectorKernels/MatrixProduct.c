// Products of small float32 matrices, computed tile by tile with the kernels of one set.
//
// b is packed into panels that are as wide as a tile, with zeros after the last column, and at most `depth_block` deep.
// So a panel stays in the first-level cache while it is multiplied by all rows of a. a is not packed in either layout,
// because a tile broadcasts single numbers of it. A tile that crosses an edge of c is computed in a small buffer.
#include "Kernels.h"

#include <stdlib.h>

enum {
    depth_block = 256,
    tile_rows_max = 8,
    tile_columns_max = 48,
};

typedef struct {
    size_t row, column;  // the distance between neighbours along each index, in floats
} strides;

// panels[p][k][j] = b[k, p·width + j]
static void pack(
    const float *b, strides by, size_t depth, size_t columns, size_t width, float *panels
) {
    for (size_t first = 0; first < columns; first += width) {
        size_t present = columns - first < width ? columns - first : width;
        if (by.column == 1) {
            for (size_t k = 0; k < depth; ++k) {
                memcpy(panels + k * width, b + k * by.row + first, present * sizeof(float));
                memset(panels + k * width + present, 0, (width - present) * sizeof(float));
            }
        } else {
            for (size_t j = 0; j < width; ++j) {
                const float *column = b + (first + j) * by.column;
                for (size_t k = 0; k < depth; ++k) panels[k * width + j] = j < present ? column[k * by.row] : 0;
            }
        }
        panels += depth * width;
    }
}

// Computes a tile that crosses an edge of c. Rows that a does not have count as zeros, and only numbers inside c
// change.
static void multiply_edge(
    const vector_kernels *kernels, size_t rows, size_t columns, size_t depth, const float *a, strides ay,
    const float *panel, float *c, size_t c_stride
) {
    float block[tile_rows_max * depth_block];
    float result[tile_rows_max * tile_columns_max] = {0};
    if (rows < kernels->tile_rows) {
        memset(block, 0, depth * kernels->tile_rows * sizeof(float));
        for (size_t k = 0; k < depth; ++k) {
            for (size_t i = 0; i < rows; ++i) block[k * kernels->tile_rows + i] = a[i * ay.row + k * ay.column];
        }
        a = block;
        ay = (strides){.row = 1, .column = kernels->tile_rows};
    }
    kernels->multiply_tile(depth, a, ay.row, ay.column, panel, result, kernels->tile_columns);
    for (size_t i = 0; i < rows; ++i) {
        for (size_t j = 0; j < columns; ++j) c[i * c_stride + j] += result[i * kernels->tile_columns + j];
    }
}

// c += a·b for one block of the depth. `panels` is the packed b.
static void multiply_packed(
    const vector_kernels *kernels, size_t rows, size_t columns, size_t depth, const float *a, strides ay,
    const float *panels, float *c, size_t c_stride
) {
    const size_t height = kernels->tile_rows, width = kernels->tile_columns;
    for (size_t j = 0; j < columns; j += width, panels += depth * width) {
        size_t wide = columns - j < width ? columns - j : width;
        for (size_t i = 0; i < rows; i += height) {
            size_t high = rows - i < height ? rows - i : height;
            const float *from = a + i * ay.row;
            float *into = c + i * c_stride + j;
            if (high == height && wide == width) {
                kernels->multiply_tile(depth, from, ay.row, ay.column, panels, into, c_stride);
            } else {
                multiply_edge(kernels, high, wide, depth, from, ay, panels, into, c_stride);
            }
        }
    }
}

void vector_kernels_multiply(
    const vector_kernels *kernels, matrix_form form, bool adds, size_t rows, size_t columns, size_t depth,
    const float *a, size_t a_stride, const float *b, size_t b_stride, float *c, size_t c_stride
) {
    if (!adds) {
        for (size_t i = 0; i < rows; ++i) memset(c + i * c_stride, 0, columns * sizeof(float));
    }
    if (rows == 0 || columns == 0 || depth == 0) return;

    strides ay = form == matrix_at_b ? (strides){1, a_stride} : (strides){a_stride, 1};
    strides by = form == matrix_a_bt ? (strides){1, b_stride} : (strides){b_stride, 1};
    size_t width = kernels->tile_columns;
    size_t deep = depth < depth_block ? depth : depth_block;
    float *panels = malloc((columns + width - 1) / width * width * deep * sizeof(float));
    if (!panels) abort();
    for (size_t k = 0; k < depth; k += depth_block) {
        size_t block = depth - k < depth_block ? depth - k : depth_block;
        pack(b + k * by.row, by, block, columns, width, panels);
        multiply_packed(kernels, rows, columns, block, a + k * ay.column, ay, panels, c, c_stride);
    }
    free(panels);
}
