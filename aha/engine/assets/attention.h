/* Attention of one token a row to the prefix that all rows share, to the prompt that some rows
   share, and to the row's own tokens. */

#ifndef AHA_ATTENTION_H
#define AHA_ATTENTION_H

#include "matmul.h"
#include "../../model/assets/exact.h"

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
    float *scratch;                /* aha_attend_room() */
};

static int64_t scores_line(const struct shape *s) {
    return whole(s->prefix) + whole(s->prompt) + s->capacity;
}

/* Floats of scratch: queries of TILE rows, and of one group their scores and results. */
int64_t aha_attend_room(const struct shape *s) {
    const int64_t heads = s->groups * s->group;
    return TILE * (heads * s->width + s->group * (s->width + scores_line(s)));
}

/* out += sum over t of weights[t] * value t, for `columns` vectors of the values */
INLINE void mix(const int columns, const float *weights, const float *value, int64_t tokens,
                int64_t width, float *out) {
    vec total[4][2] = {{{0}}};
    int64_t t = 0;
    for (; t + 4 <= tokens; t += 4)
        for (int k = 0; k < 4; k++)
            for (int j = 0; j < columns; j++)
                total[k][j] += weights[t + k] * load(value + (t + k) * width + j * WIDE);
    for (; t < tokens; t++)
        for (int j = 0; j < columns; j++)
            total[0][j] += weights[t] * load(value + t * width + j * WIDE);
    for (int j = 0; j < columns; j++) {
        vec all = (total[0][j] + total[1][j]) + (total[2][j] + total[3][j]);
        store(out + j * WIDE, load(out + j * WIDE) + all);
    }
}

static void values_of_row(const float *weights, const float *values, int64_t tokens, int64_t width,
                          float *out) {
    int64_t c = 0;
    for (; c + 2 * WIDE <= width; c += 2 * WIDE)
        mix(2, weights, values + c, tokens, width, out + c);
    if (c < width) mix(1, weights, values + c, tokens, width, out + c);
}

/* -inf for the first `gone` of a segment's tokens and for its padding to whole vectors. */
static void mask(float *scores, int64_t tokens, int64_t gone) {
    gone = least(gone, tokens);
    for (int64_t t = 0; t < gone; t++) scores[t] = -INFINITY;
    for (int64_t t = tokens; t % LANES; t++) scores[t] = -INFINITY;
}

/* In place to e^(score - max) / sum, over whole vectors. -inf counts for nothing. */
static void softmax(float *scores, int64_t tokens) {
    vec top = splat(-INFINITY), total = {0};
    for (int64_t t = 0; t < tokens; t += WIDE) top = largest(top, load(scores + t));
    top = splat(maximum(top));
    for (int64_t t = 0; t < tokens; t += WIDE) {
        vec e = exponential(load(scores + t) - top);
        store(scores + t, e);
        total += e;
    }
    const vec share = splat(1.0f / sum(total));
    for (int64_t t = 0; t < tokens; t += WIDE) store(scores + t, load(scores + t) * share);
}

/* Turn the pairs (x[2i], x[2i + 1]) by the angles whose cos and sin are side by side. */
static void rotate(const float *x, const float *turn, int64_t width, float scale,
                   float *restrict to) {
    for (int64_t i = 0; i < width; i += 2) {
        to[i] = (x[i] * turn[i] - x[i + 1] * turn[i + 1]) * scale;
        to[i + 1] = (x[i] * turn[i + 1] + x[i + 1] * turn[i]) * scale;
    }
}

/* The new token of a row: its queries to `query` [groups][TILE][group][width], scaled, its key and
   value to the cache. */
static void enter(const struct shape *s, const struct arrays *a, int64_t row, float *query) {
    const int64_t width = s->width, heads = s->groups * s->group, chunk = s->capacity * width;
    const int64_t t = a->positions[row] - a->prompt_tokens[row];
    const float *x = a->qkv + row * (heads + 2 * s->groups) * width;
    const float *turn = a->turn + row * width, scale = 1.0f / sqrtf((float)width);
    for (int64_t g = 0; g < s->groups; g++) {
        float *to = query + (g * TILE + row % TILE) * s->group * width;
        for (int64_t j = 0; j < s->group; j++)
            rotate(x + (g * s->group + j) * width, turn, width, scale, to + j * width);
        const int64_t at = (row * s->groups + g) * chunk;
        float turned[width], *key = a->keys + at + t / LANES * LANES * width + t % LANES;
        rotate(x + (heads + g) * width, turn, width, 1.0f, turned);
        for (int64_t i = 0; i < width; i++) key[i * LANES] = turned[i];
        memcpy(a->values + at + t * width, x + (heads + s->groups + g) * width,
               sizeof(float) * width);
    }
}

/* Scores of a group's queries against keys stored [tokens / LANES][width][LANES] */
static void score(const struct shape *s, const float *query, const float *keys, int64_t tokens,
                  float *scores) {
    exact_scores(s->group, query, s->width, keys, LANES, LANES * s->width, s->width, tokens, scores,
                 scores_line(s));
}

/* One row's queries of a group against its prompt and its own tokens; the scores against the
   prefix are there, the sum over the prefix comes later. */
static void attend_alone(const struct shape *s, const struct arrays *a, int64_t row, int64_t g,
                         const float *query, float *scores, float *mixed) {
    const int64_t width = s->width, prefix = s->prefix, prompt = a->prompt_tokens[row];
    const int64_t own = a->positions[row] - prompt + 1, line = scores_line(s);
    const int64_t gone = s->window ? prefix + prompt + own - s->window : 0;
    const int64_t at = (row * s->groups + g) * s->capacity * width;
    const int64_t skip = g * a->prompt_stride[row] * width;
    score(s, query, a->prompt_keys[row] + skip, prompt, scores + whole(prefix));
    score(s, query, a->keys + at, own, scores + whole(prefix) + whole(prompt));
    for (int64_t j = 0; j < s->group; j++, mixed += width, scores += line) {
        float *of_prompt = scores + whole(prefix), *of_row = of_prompt + whole(prompt);
        mask(scores, prefix, gone);
        mask(of_prompt, prompt, gone - prefix);
        mask(of_row, own, gone - prefix - prompt);
        softmax(scores, whole(prefix) + whole(prompt) + whole(own));
        memset(mixed, 0, sizeof(float) * width);
        values_of_row(of_prompt, a->prompt_values[row] + skip, prompt, width, mixed);
        values_of_row(of_row, a->values + at, own, width, mixed);
    }
}

/* One token of every row: rotate, append to the cache, attend. */
void aha_attend(const struct shape *s, const struct arrays *a) {
    const int64_t width = s->width, line = scores_line(s), heads = s->groups * s->group;
    const int64_t block = TILE * s->group * width, stride = s->group * width;
    float *query = a->scratch, *scores = query + s->groups * block;
    float *mixed = scores + TILE * s->group * line;
    for (int64_t first = 0; first < s->rows; first += TILE) {
        const int64_t count = least(s->rows - first, TILE);
        for (int64_t r = 0; r < count; r++) enter(s, a, first + r, query);
        for (int64_t g = 0; g < s->groups; g++) {
            const float *asked = query + g * block;
            for (int64_t j = 0; s->prefix && j < s->group; j++)
                exact_scores(count, asked + j * width, stride,
                             a->prefix_keys + g * width * whole(s->prefix), whole(s->prefix), LANES,
                             width, whole(s->prefix), scores + j * line, s->group * line);
            for (int64_t r = 0; r < count; r++)
                attend_alone(s, a, first + r, g, asked + r * stride,
                             scores + r * s->group * line, mixed + r * stride);
            for (int64_t j = 0; s->prefix && j < s->group; j++)
                multiply_plain(count, s->prefix, width, scores + j * line, s->group * line,
                               a->prefix_values + g * s->prefix * width, 1, mixed + j * width,
                               stride);
            for (int64_t r = 0; r < count; r++)
                memcpy(a->out + ((first + r) * heads + g * s->group) * width, mixed + r * stride,
                       sizeof(float) * stride);
        }
    }
}

#endif
