/* Vectors of 16 floats, whatever the machine's width: the compiler splits them. */

#ifndef AHA_VECTOR_H
#define AHA_VECTOR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define LANES 16
#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

INLINE vec load(const float *from) { return *(const vec *)from; }
INLINE void store(float *to, vec x) { *(vec *)to = x; }
INLINE vec splat(float x) { return x - (vec){0}; }
INLINE int64_t whole(int64_t count, int64_t unit) { return (count + unit - 1) / unit * unit; }
INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

INLINE vec choose(ivec mask, vec yes, vec no) {
    return (vec)(((ivec)yes & mask) | ((ivec)no & ~mask));
}

INLINE vec largest(vec a, vec b) { return choose(a > b, a, b); }

/* The first `count` floats; `fill` in the other lanes. */
INLINE vec load_part(const float *from, int64_t count, float fill) {
    vec x = splat(fill);
    for (int64_t i = 0; i < count; i++) x[i] = from[i];
    return x;
}

INLINE void store_part(float *to, int64_t count, vec x) {
    for (int64_t i = 0; i < count; i++) to[i] = x[i];
}

INLINE float sum(vec x) {
    float total = 0;
    for (int i = 0; i < LANES; i++) total += x[i];
    return total;
}

INLINE float maximum(vec x) {
    float top = x[0];
    for (int i = 1; i < LANES; i++) top = x[i] > top ? x[i] : top;
    return top;
}

INLINE int any(ivec mask) {
    int32_t seen = 0;
    for (int i = 0; i < LANES; i++) seen |= mask[i];
    return seen;
}

/* e^x for x <= 88 to 1e-7 of its value; 0 below -87, where it is under 1.7e-38.
   x = n ln 2 + r; e^r by a polynomial, 2^n by the exponent bits. */
INLINE vec exponential(vec x) {
    const vec round = splat(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer */
    const ivec kept = x >= splat(-87.0f);
    x = largest(x, splat(-87.0f));
    vec n = x * splat(1.44269504f) + round;
    ivec exponent = (ivec)n << 23;
    n -= round;
    vec r = x - n * splat(0.693359375f) - n * splat(-2.12194440e-4f);
    vec p = splat(1.98756915e-4f);
    p = p * r + splat(1.39819995e-3f);
    p = p * r + splat(8.33345191e-3f);
    p = p * r + splat(4.16657959e-2f);
    p = p * r + splat(1.66666655e-1f);
    p = p * r + splat(5.00000012e-1f);
    p = p * r * r + r + splat(1.0f);
    return (vec)(((ivec)p + exponent) & kept);
}

#endif
