/* Products of queries and keys, summed well.

   Attention scores reach 150 in trained models. Their float32 sums, in whatever order, differ by
   1e-5 and more, and the softmax hands that on to log-probs whole. So only SHORT products at a time
   are summed in float32, and those sums in float64; four queries share the reading of a key. */

#ifndef AHA_EXACT_H
#define AHA_EXACT_H

#include "vector.h"

#define EIGHT 8
#define SHORT 8
typedef float eight_floats __attribute__((vector_size(4 * EIGHT), aligned(4), may_alias));
typedef float sixteen __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef double eight __attribute__((vector_size(8 * EIGHT)));

/* scores[r][0 .. LANES - 1] of `rows` queries, `stride` floats apart; float i of key t is
   keys[i * line + t]; width is a multiple of SHORT */
INLINE void exact_block(const int rows, const float *query, int64_t stride, const float *keys,
                        int64_t line, int64_t width, float *scores, int64_t pitch) {
    eight total[4][2] = {{{0}}};
    for (int64_t i = 0; i < width; i += SHORT) {
        union {
            sixteen all;
            eight_floats half[2];
        } part[4] = {0};
        for (int j = i; j < i + SHORT; j++, keys += line)
            for (int r = 0; r < rows; r++)
                part[r].all += query[r * stride + j] * *(const sixteen *)keys;
        for (int r = 0; r < rows; r++)
            for (int half = 0; half < 2; half++)
                total[r][half] += __builtin_convertvector(part[r].half[half], eight);
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
