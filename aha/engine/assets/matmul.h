/* Matrix products with packed weights: an output is the same bits however many rows there are. */

#ifndef AHA_MATMUL_H
#define AHA_MATMUL_H

#include "vector.h"

/* TILE rows and TWO vectors of columns: as many accumulators as the registers hold. */
#if WIDE == 16
#define TILE 8
#else
#define TILE 6
#endif
#define TWO 2
/* Products that are summed one after the other; these sums are then summed. */
#define CHUNK 128

/* weight [outputs][inputs] to panels of TWO vectors of outputs, [inputs][TWO * WIDE] each; the
   last panel is narrower when the vectors of outputs are odd; missing outputs are 0 */
void aha_pack(int64_t outputs, int64_t inputs, const float *weight, float *packed) {
    for (int64_t c = 0; c < whole(outputs); c += TWO * WIDE) {
        const int64_t span = least(whole(outputs) - c, TWO * WIDE);
        for (int64_t i = 0; i < inputs; i++)
            for (int64_t j = 0; j < span; j++)
                *packed++ = c + j < outputs ? weight[(c + j) * inputs + i] : 0.0f;
    }
}

/* sums[r] = x[r] @ panel: `inputs` lines of a panel that lie `step` apart, TILE rows. The compiler
   keeps all of it in registers only where this loop stands alone: 260 instead of 230 GFLOP/s. */
#define PRODUCTS(name, vectors)                                                                    \
    static __attribute__((noinline)) void name(int64_t inputs, const float *const *rows,           \
                                               const float *panel, int64_t step, vec *sums) {      \
        const float *x[TILE];                                                                      \
        vec total[TILE][vectors];                                                                  \
        for (int r = 0; r < TILE; r++) {                                                           \
            x[r] = rows[r];                                                                        \
            for (int j = 0; j < vectors; j++) total[r][j] = (vec){0};                              \
        }                                                                                          \
        for (int64_t i = 0; i < inputs; i++, panel += step) {                                      \
            vec line[vectors];                                                                     \
            for (int j = 0; j < vectors; j++) line[j] = load(panel + j * WIDE);                    \
            for (int r = 0; r < TILE; r++)                                                         \
                for (int j = 0; j < vectors; j++) total[r][j] += x[r][i] * line[j];                \
        }                                                                                          \
        for (int r = 0; r < TILE; r++)                                                             \
            for (int j = 0; j < vectors; j++) sums[r * vectors + j] = total[r][j];                 \
    }
PRODUCTS(one, 1)
PRODUCTS(two, 2)

/* out[r] = x[r] @ panel (or that and bias, or added to out) for up to TILE rows, one panel. */
static void tile(int vectors, int64_t rows, int64_t inputs, const float *x, int64_t stride,
                 const float *panel, int64_t step, const float *bias, int adds, float *out,
                 int64_t line) {
    const float *row[TILE];
    vec sums[TILE * TWO];
    /* those past the last repeat it and are dropped */
    for (int r = 0; r < TILE; r++) row[r] = x + least(r, rows - 1) * stride;
    for (int64_t start = 0; start < inputs; start += CHUNK) {
        (vectors == TWO ? two : one)(least(inputs - start, CHUNK), row, panel + start * step, step,
                                     sums);
        for (int r = 0; r < least(rows, TILE); r++)
            for (int j = 0; j < vectors; j++) {
                float *to = out + r * line + j * WIDE;
                vec total = sums[r * vectors + j];
                if (start || adds) total += load(to);
                if (!start && bias) total += load(bias + j * WIDE);
                store(to, total);
            }
        for (int r = 0; r < TILE; r++) row[r] += CHUNK;
    }
}

/* out[r] = x[r] @ weight.T + bias, or that added to out; out has whole(outputs) columns */
static void multiply(int64_t rows, int64_t inputs, int64_t outputs, const float *x,
                     const float *packed, const float *bias, int adds, float *out) {
    const int64_t line = whole(outputs);
    for (int64_t c = 0; c < line; c += TWO * WIDE) {
        const int vectors = line - c < TWO * WIDE ? 1 : TWO;
        for (int64_t r = 0; r < rows; r += TILE)
            tile(vectors, rows - r, inputs, x + r * inputs, inputs, packed + c * inputs,
                 vectors * WIDE, bias ? bias + c : 0, adds, out + r * line + c, line);
    }
}

/* out[r] = or += x[r] @ matrix for up to TILE rows and a matrix that is not packed */
static void multiply_plain(int64_t rows, int64_t inputs, int64_t outputs, const float *x,
                           int64_t stride, const float *matrix, int adds, float *out,
                           int64_t line) {
    for (int64_t c = 0; c < outputs; c += TWO * WIDE)
        tile(outputs - c < TWO * WIDE ? 1 : TWO, rows, inputs, x, stride, matrix + c, outputs, 0,
             adds, out + c, line);
}

#endif
