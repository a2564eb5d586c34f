/* Products of queries and keys, summed in float64 and rounded once.

   Attention scores reach 150 in trained models: their float32 sums, in whatever order, differ by
   1e-5 and more, and the softmax hands that on to log-probs whole. LANES keys at a time lie
   side by side, so that a key's float64 copy serves several queries. */

#ifndef AHA_EXACT_H
#define AHA_EXACT_H

#include "vector.h"

#define EIGHT 8
typedef float eight_floats __attribute__((vector_size(4 * EIGHT), aligned(4), may_alias));
typedef double eight __attribute__((vector_size(8 * EIGHT)));

/* scores[r][0 .. LANES - 1] of `rows` queries, `stride` floats apart; float i of key t is
   keys[i * line + t] */
INLINE void exact_block(const int rows, const float *query, int64_t stride, const float *keys,
                        int64_t line, int64_t width, float *scores, int64_t pitch) {
    eight total[4][2] = {{{0}}};
    for (int64_t i = 0; i < width; i++, keys += line) {
        const eight low = __builtin_convertvector(*(const eight_floats *)keys, eight);
        const eight high = __builtin_convertvector(*(const eight_floats *)(keys + EIGHT), eight);
        for (int r = 0; r < rows; r++) {
            total[r][0] += query[r * stride + i] * low;
            total[r][1] += query[r * stride + i] * high;
        }
    }
    for (int r = 0; r < rows; r++)
        for (int half = 0; half < 2; half++)
            *(eight_floats *)(scores + r * pitch + half * EIGHT) =
                __builtin_convertvector(total[r][half], eight_floats);
}

/* The scores of any number of queries against the keys 0 .. count - 1, in whole LANES; `block`
   floats lie between one LANES of keys and the next. */
static void exact_scores(int64_t rows, const float *query, int64_t stride, const float *keys,
                         int64_t line, int64_t block, int64_t width, int64_t count, float *scores,
                         int64_t pitch) {
    for (; rows >= 4; rows -= 4, query += 4 * stride, scores += 4 * pitch)
        for (int64_t t = 0; t < count; t += LANES)
            exact_block(4, query, stride, keys + t / LANES * block, line, width, scores + t, pitch);
    for (; rows > 0; rows--, query += stride, scores += pitch)
        for (int64_t t = 0; t < count; t += LANES)
            exact_block(1, query, stride, keys + t / LANES * block, line, width, scores + t, pitch);
}

#endif
