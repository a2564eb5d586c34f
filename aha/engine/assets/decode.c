/* What one decoding step on a CPU does between its matrix products; native.py loads it.

   Arrays are float32 and dense, sizes are int64. A vector is 16 floats whatever the machine's
   width: the compiler splits it. Work on 8 rows at a time keeps 8 accumulators in registers while
   the shared prefix streams through; a row's own keys and values are read once. (Fetching the next
   row's ahead of time changed nothing: the processor does it.) */

#include <math.h>
#include <stdint.h>
#include <string.h>

#define LANES 16
#define ROWS 8

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

static inline vec load(const float *from) { return *(const vec *)from; }
static inline void store(float *to, vec x) { *(vec *)to = x; }
static inline vec splat(float x) { return x - (vec){0}; }

static inline vec largest(vec a, vec b) {
    ivec mask = a > b;
    return (vec)(((ivec)a & mask) | ((ivec)b & ~mask));
}

static inline float sum(vec x) {
    float total = 0;
    for (int i = 0; i < LANES; i++) total += x[i];
    return total;
}

static inline float maximum(vec x) {
    float top = x[0];
    for (int i = 1; i < LANES; i++) top = x[i] > top ? x[i] : top;
    return top;
}

/* e^x for x <= 0 to 1e-7 of its value; 0 below -87, where it is under 1.7e-38.
   x = n ln 2 + r; e^r by a polynomial, 2^n by the exponent bits. */
static inline vec exponential(vec x) {
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

/* scores[r][t] = query[r] . key t, for ROWS queries and keys stored [width][stride] */
static void scores_of_prefix(const float *query, const float *keys, int64_t width, int64_t stride,
                             float *scores, int64_t line) {
    for (int64_t t = 0; t < stride; t += LANES) {
        vec total[ROWS] = {{0}};
        for (int64_t i = 0; i < width; i++) {
            vec key = load(keys + i * stride + t);
            for (int r = 0; r < ROWS; r++) total[r] += query[r * width + i] * key;
        }
        for (int r = 0; r < ROWS; r++) store(scores + r * line + t, total[r]);
    }
}

/* out[r] += sum over t of weights[r][t] * value t, for ROWS rows */
static void values_of_prefix(const float *weights, int64_t line, const float *values,
                             int64_t tokens, int64_t width, float *out) {
    for (int64_t c = 0; c < width; c += LANES) {
        vec total[ROWS];
        for (int r = 0; r < ROWS; r++) total[r] = load(out + r * width + c);
        for (int64_t t = 0; t < tokens; t++) {
            vec value = load(values + t * width + c);
            for (int r = 0; r < ROWS; r++) total[r] += weights[r * line + t] * value;
        }
        for (int r = 0; r < ROWS; r++) store(out + r * width + c, total[r]);
    }
}

/* Scores of one query against keys stored [tokens / LANES][width][LANES] */
static void scores_of_row(const float *query, const float *keys, int64_t tokens, int64_t width,
                          float *scores) {
    for (int64_t t = 0; t < tokens; t += LANES) {
        vec a = {0}, b = {0}, c = {0}, d = {0};
        const float *key = keys + t * width;
        for (int64_t i = 0; i < width; i += 4) {
            a += query[i] * load(key + i * LANES);
            b += query[i + 1] * load(key + (i + 1) * LANES);
            c += query[i + 2] * load(key + (i + 2) * LANES);
            d += query[i + 3] * load(key + (i + 3) * LANES);
        }
        store(scores + t, (a + b) + (c + d));
    }
}

/* out += sum over t of weights[t] * value t */
static void values_of_row(const float *weights, const float *values, int64_t tokens, int64_t width,
                          float *out) {
    for (int64_t column = 0; column < width; column += LANES) {
        vec total[4] = {load(out + column)};
        const float *value = values + column;
        int64_t t = 0;
        for (; t + 4 <= tokens; t += 4)
            for (int k = 0; k < 4; k++) total[k] += weights[t + k] * load(value + (t + k) * width);
        for (; t < tokens; t++) total[0] += weights[t] * load(value + t * width);
        store(out + column, (total[0] + total[1]) + (total[2] + total[3]));
    }
}

/* -inf for the first `gone` of a segment's tokens and for its padding to whole vectors. */
static void mask(float *scores, int64_t tokens, int64_t gone) {
    if (gone > tokens) gone = tokens;
    for (int64_t t = 0; t < gone; t++) scores[t] = -INFINITY;
    for (int64_t t = tokens; t % LANES; t++) scores[t] = -INFINITY;
}

/* In place to e^(score - max) / sum, over whole vectors. -inf counts for nothing. */
static void softmax(float *scores, int64_t tokens) {
    vec top = splat(-INFINITY), total = {0};
    for (int64_t t = 0; t < tokens; t += LANES) top = largest(top, load(scores + t));
    top = splat(maximum(top));
    for (int64_t t = 0; t < tokens; t += LANES) {
        vec e = exponential(load(scores + t) - top);
        store(scores + t, e);
        total += e;
    }
    const vec share = splat(1.0f / sum(total));
    for (int64_t t = 0; t < tokens; t += LANES) store(scores + t, load(scores + t) * share);
}

static inline int64_t whole(int64_t tokens) { return (tokens + LANES - 1) / LANES * LANES; }

/* Turn the pairs (x[2i], x[2i + 1]) by the angles whose cos and sin are side by side. */
static inline void rotate(const float *x, const float *turn, int64_t width, float scale,
                          float *to, int64_t step) {
    for (int64_t i = 0; i < width; i += 2) {
        to[i * step] = (x[i] * turn[i] - x[i + 1] * turn[i + 1]) * scale;
        to[(i + 1) * step] = (x[i] * turn[i + 1] + x[i + 1] * turn[i]) * scale;
    }
}

struct shape {
    int64_t rows, groups, group, width; /* query heads = key heads (groups) * queries a head */
    int64_t prefix, prompt, capacity;   /* tokens: of all rows, of the longest prompt, of a row */
    int64_t window;                     /* tokens seen; 0 sees everything */
};

struct arrays {
    const float *qkv;              /* [rows][heads + 2 groups][width], pairs side by side */
    const float *turn;             /* [rows][width], cos and sin side by side */
    const float *prefix_keys;      /* [groups][width][whole(prefix)] */
    const float *prefix_values;    /* [groups][prefix][width] */
    const float *const *prompt_keys;   /* of a row: [groups][stride / LANES][width][LANES] */
    const float *const *prompt_values; /* of a row: [groups][stride][width] */
    const int64_t *prompt_tokens;  /* of a row: its prompt's tokens after the prefix */
    const int64_t *prompt_stride;  /* of a row: tokens that its prompt has room for, whole() */
    const int64_t *positions;      /* a row: tokens it holds after the prefix, prompt included */
    float *keys;                   /* [rows][groups][capacity / LANES][width][LANES] */
    float *values;                 /* [rows][groups][capacity][width] */
    float *out;                    /* [rows][heads][width] */
    float *scratch;                /* ROWS * (heads * width + group * (width + scores a query)) */
};

/* One token of every row: rotate, append to the cache, attend to the prefix that all rows share, to
   the prompt that some rows share, and to the row's own tokens. */
void attend(const struct shape *shape, const struct arrays *a) {
    const int64_t groups = shape->groups, group = shape->group, width = shape->width;
    const int64_t prefix = shape->prefix, capacity = shape->capacity, heads = groups * group;
    const int64_t line = whole(prefix) + whole(shape->prompt) + capacity, chunk = capacity * width;
    const int64_t block = ROWS * group * width;
    const float scale = 1.0f / sqrtf((float)width);
    float *query = a->scratch, *scores = query + groups * block;
    float *mixed = scores + ROWS * group * line;

    for (int64_t first = 0; first < shape->rows; first += ROWS) {
        const int64_t count = shape->rows - first < ROWS ? shape->rows - first : ROWS;
        memset(query, 0, sizeof(float) * groups * block);
        for (int64_t r = 0; r < count; r++) {
            const int64_t row = first + r, t = a->positions[row] - a->prompt_tokens[row];
            const float *x = a->qkv + row * (heads + 2 * groups) * width;
            const float *angle = a->turn + row * width;
            for (int64_t g = 0; g < groups; g++) {
                for (int64_t j = 0; j < group; j++)
                    rotate(x + (g * group + j) * width, angle, width, scale,
                           query + g * block + (r * group + j) * width, 1);
                float *key = a->keys + (row * groups + g) * chunk + t / LANES * LANES * width;
                rotate(x + (heads + g) * width, angle, width, 1.0f, key + t % LANES, LANES);
                memcpy(a->values + (row * groups + g) * chunk + t * width,
                       x + (heads + groups + g) * width, sizeof(float) * width);
            }
        }
        for (int64_t g = 0; g < groups; g++) {
            const float *asked = query + g * block;
            memset(mixed, 0, sizeof(float) * block);
            for (int64_t j = 0; prefix && j < group; j++)
                scores_of_prefix(asked + j * ROWS * width,
                                 a->prefix_keys + g * width * whole(prefix), width, whole(prefix),
                                 scores + j * ROWS * line, line);
            for (int64_t r = 0; r < count; r++) {
                const int64_t row = first + r, prompt = a->prompt_tokens[row];
                const int64_t own = a->positions[row] - prompt + 1;
                const int64_t gone = shape->window ? prefix + prompt + own - shape->window : 0;
                const int64_t at = (row * groups + g) * chunk;
                const int64_t skip = g * a->prompt_stride[row] * width;
                const float *prompt_keys = a->prompt_keys[row] + skip;
                const float *prompt_values = a->prompt_values[row] + skip;
                for (int64_t j = 0; j < group; j++) {
                    const float *wanted = asked + (r * group + j) * width;
                    float *mix = mixed + (r * group + j) * width;
                    float *head = scores + (r * group + j) * line;
                    float *of_prompt = head + whole(prefix), *of_row = of_prompt + whole(prompt);
                    scores_of_row(wanted, prompt_keys, prompt, width, of_prompt);
                    scores_of_row(wanted, a->keys + at, own, width, of_row);
                    mask(head, prefix, gone);
                    mask(of_prompt, prompt, gone - prefix);
                    mask(of_row, own, gone - prefix - prompt);
                    softmax(head, whole(prefix) + whole(prompt) + whole(own));
                    values_of_row(of_prompt, prompt_values, prompt, width, mix);
                    values_of_row(of_row, a->values + at, own, width, mix);
                }
            }
            for (int64_t j = 0; prefix && j < group; j++)
                values_of_prefix(scores + j * ROWS * line, line,
                                 a->prefix_values + g * prefix * width, prefix, width,
                                 mixed + j * ROWS * width);
            for (int64_t r = 0; r < count; r++)
                memcpy(a->out + ((first + r) * heads + g * group) * width,
                       mixed + r * group * width, sizeof(float) * group * width);
        }
    }
}

/* out = x / rms(x) * weight for x [rows][width], width a multiple of LANES */
void rms_norm(int64_t rows, int64_t width, const float *x, const float *weight, float eps,
              float *out) {
    for (int64_t r = 0; r < rows; r++, x += width, out += width) {
        vec total = {0};
        for (int64_t i = 0; i < width; i += LANES) total += load(x + i) * load(x + i);
        const vec share = splat(1.0f / sqrtf(sum(total) / (float)width + eps));
        for (int64_t i = 0; i < width; i += LANES)
            store(out + i, load(x + i) * share * load(weight + i));
    }
}

#define SPAN 64

/* One token a row by the inverse of the cumulative distribution, as sampling.py has it.
   logits [rows][vocab]; uniform in [0, 1); logprob under the whole distribution.
   scratch: whole(vocab) + vocab / SPAN + 2 floats. */
void sample(int64_t rows, int64_t vocab, float temperature, const float *logits,
            const double *uniform, int64_t *tokens, float *logprobs, float *scratch) {
    float *weight = scratch, *spans = scratch + whole(vocab);
    const vec share = splat(1.0f / temperature);
    const int64_t body = vocab / LANES * LANES, num_spans = (vocab + SPAN - 1) / SPAN;
    for (int64_t row = 0; row < rows; row++, logits += vocab) {
        vec top = splat(-INFINITY);
        for (int64_t i = 0; i < body; i += LANES) top = largest(top, load(logits + i));
        float most = maximum(top);
        for (int64_t i = body; i < vocab; i++) most = logits[i] > most ? logits[i] : most;
        const vec peak = splat(most);
        for (int64_t i = 0; i < body; i += LANES)
            store(weight + i, exponential((load(logits + i) - peak) * share));
        if (body < vocab) {
            vec rest = splat(-INFINITY);
            for (int64_t i = body; i < vocab; i++) rest[i - body] = (logits[i] - most) / temperature;
            store(weight + body, exponential(rest));
        }
        double total = 0;
        for (int64_t s = 0; s < num_spans; s++) {
            vec part = {0};
            const int64_t end = (s + 1) * SPAN < vocab ? (s + 1) * SPAN : vocab;
            for (int64_t i = s * SPAN; i + LANES <= end; i += LANES) part += load(weight + i);
            spans[s] = sum(part);
            for (int64_t i = end / LANES * LANES; i < end; i++) spans[s] += weight[i];
            total += spans[s];
        }
        double left = uniform[row] * total;
        int64_t s = 0;
        while (s + 1 < num_spans && left >= spans[s]) left -= spans[s++];
        const int64_t end = (s + 1) * SPAN < vocab ? (s + 1) * SPAN : vocab;
        int64_t token = s * SPAN;
        while (token + 1 < end && left >= weight[token]) left -= weight[token++];
        tokens[row] = token;
        logprobs[row] = (logits[token] - most) / temperature - logf((float)total);
    }
}
