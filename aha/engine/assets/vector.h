/* Vectors as wide as the machine's registers: of wider ones the compiler makes slow code (2 GFLOP/s
   of 16 floats on AVX2). Memory is laid out in groups of LANES floats whatever their width. */

#ifndef AHA_VECTOR_H
#define AHA_VECTOR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define WIDE 16
#elif defined(__AVX__)
#define WIDE 8
#else
#define WIDE 4
#endif
#define LANES 16
#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(4 * WIDE), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * WIDE), aligned(4), may_alias));

INLINE vec load(const float *from) { return *(const vec *)from; }
INLINE void store(float *to, vec x) { *(vec *)to = x; }
INLINE vec splat(float x) { return x - (vec){0}; }
INLINE int64_t whole(int64_t count) { return (count + LANES - 1) / LANES * LANES; }
INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

INLINE vec largest(vec a, vec b) {
    ivec mask = a > b;
    return (vec)(((ivec)a & mask) | ((ivec)b & ~mask));
}

INLINE float sum(vec x) {
    float total = 0;
    for (int i = 0; i < WIDE; i++) total += x[i];
    return total;
}

INLINE float maximum(vec x) {
    for (int n = WIDE / 2; n; n /= 2)
        for (int i = 0; i < n; i++) x[i] = x[i] > x[i + n] ? x[i] : x[i + n];
    return x[0];
}

/* e^x for x <= 0 to 1e-7 of its value; 0 below -87, where it is under 1.7e-38.
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
