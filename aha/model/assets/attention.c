/* Causal attention of rows behind a prefix that they share, with the rotation, and its gradient.

   A token's queries, keys and values lie side by side as the projection wrote them, before the
   rotation: [groups * group + 2 groups][width], in that order. For one key head at a time the keys
   are turned and, like the values, laid out: those of the prefix once, those of a row behind them.
   All else are products of 8 rows with 32 columns, whose 16 accumulators stay in registers.
   The query at place i of its row sees the keys 0 .. prefix + i, or only the last `window` of them.

   Arrays are float32 and dense, sizes int64; `width` is a multiple of LANES. */

#include "exact.h"

#define ROWS 8
#define BLOCK 32 /* queries whose scores the backward pass holds at once */

struct heads {
    int64_t rows, tokens, prefix; /* tokens of a row, of the prefix */
    int64_t groups, group, width; /* key heads, queries a key head, floats a head */
    int64_t window;               /* 0: no limit */
    const float *own, *shared;    /* projections of [rows][tokens] and of [prefix] */
    const float *cosine, *sine;   /* [prefix + tokens][width / 2]; null: no rotation */
};

/* What one key head needs: for all keys, then for all queries of a row. */
struct layout {
    float *keys, *values;           /* [keys][width] */
    float *key_columns, *value_columns; /* [width][line] */
    float *queries, *grads;         /* [queries][width]; queries are turned and scaled */
    float *weights, *grad_weights;  /* [BLOCK][line] */
    float *mixed;                   /* [ROWS][width] */
    float *grad_keys, *grad_values; /* [keys][width] */
    int64_t line;
};

static int64_t num_keys(const struct heads *h) { return h->prefix + h->tokens; }

/* Floats of scratch memory that a call wants. */
int64_t attention_scratch(const struct heads *h) {
    const int64_t line = whole(num_keys(h), 2 * LANES) + LANES, keys = whole(num_keys(h), ROWS);
    const int64_t queries = whole(h->tokens, ROWS);
    return h->width * (4 * keys + 2 * line + 2 * queries + ROWS) + 2 * BLOCK * line;
}

static struct layout lay_out(const struct heads *h, float *scratch) {
    struct layout l = {.line = whole(num_keys(h), 2 * LANES) + LANES};
    const int64_t keys = whole(num_keys(h), ROWS) * h->width, columns = l.line * h->width;
    const int64_t queries = whole(h->tokens, ROWS) * h->width;
    memset(scratch, 0, sizeof(float) * attention_scratch(h));
    l.keys = scratch;
    l.values = l.keys + keys;
    l.grad_keys = l.values + keys;
    l.grad_values = l.grad_keys + keys;
    l.key_columns = l.grad_values + keys;
    l.value_columns = l.key_columns + columns;
    l.queries = l.value_columns + columns;
    l.grads = l.queries + queries;
    l.mixed = l.grads + queries;
    l.weights = l.mixed + ROWS * h->width;
    l.grad_weights = l.weights + BLOCK * l.line;
    return l;
}

/* c[ROWS][vecs] = or += the sum over i < depth of a[r * row + i * step] * b[i * line][vecs] */
INLINE void tile(const int vecs, int64_t depth, const float *a, int64_t row, int64_t step,
                 const float *b, int64_t line, float *c, int64_t pitch, int adds) {
    vec total[ROWS][2];
    for (int r = 0; r < ROWS; r++)
        for (int v = 0; v < vecs; v++)
            total[r][v] = adds ? load(c + r * pitch + v * LANES) : (vec){0};
    for (int64_t i = 0; i < depth; i++, a += step, b += line) {
        vec right[2];
        for (int v = 0; v < vecs; v++) right[v] = load(b + v * LANES);
        for (int r = 0; r < ROWS; r++)
            for (int v = 0; v < vecs; v++) total[r][v] += a[r * row] * right[v];
    }
    for (int r = 0; r < ROWS; r++)
        for (int v = 0; v < vecs; v++) store(c + r * pitch + v * LANES, total[r][v]);
}

/* The same for any number of columns, a multiple of LANES. */
static void product(int64_t depth, const float *a, int64_t row, int64_t step, const float *b,
                    int64_t line, float *c, int64_t pitch, int64_t columns, int adds) {
    int64_t j = 0;
    for (; j + 2 * LANES <= columns; j += 2 * LANES)
        tile(2, depth, a, row, step, b + j, line, c + j, pitch, adds);
    if (j < columns) tile(1, depth, a, row, step, b + j, line, c + j, pitch, adds);
}

/* Turn the pairs (i, i + width / 2) by the angles of a position, or back (way = -1), and scale. */
static void turn(const struct heads *h, const float *x, int64_t position, float way, float scale,
                 float *to) {
    const int64_t half = h->width / 2;
    const float *cosine = h->cosine + position * half, *sine = h->sine + position * half;
    if (!h->cosine) {
        for (int64_t i = 0; i < h->width; i++) to[i] = x[i] * scale;
        return;
    }
    for (int64_t i = 0; i < half; i++) {
        const float first = x[i], second = x[i + half], s = sine[i] * way;
        to[i] = (first * cosine[i] - second * s) * scale;
        to[i + half] = (second * cosine[i] + first * s) * scale;
    }
}

static int64_t pitch_of(const struct heads *h) { return (h->groups * (h->group + 2)) * h->width; }
static int64_t key_of(const struct heads *h, int64_t g) {
    return (h->groups * h->group + g) * h->width;
}

/* Keys and values of `count` tokens from position `first` on. */
static void lay_keys(const struct heads *h, struct layout *l, const float *tokens, int64_t count,
                     int64_t first, int64_t g) {
    const int64_t width = h->width, values = h->groups * width;
    for (int64_t t = first; t < first + count; t++, tokens += pitch_of(h)) {
        const float *key = tokens + key_of(h, g), *value = key + values;
        turn(h, key, t, 1.0f, 1.0f, l->keys + t * width);
        memcpy(l->values + t * width, value, sizeof(float) * width);
    }
}

/* columns[i][t] = rows[t][i] for the tokens first .. end - 1 */
static void transpose(const float *rows, int64_t first, int64_t end, int64_t width, float *columns,
                      int64_t line) {
    for (int64_t t = first; t < end; t++)
        for (int64_t i = 0; i < width; i++) columns[i * line + t] = rows[t * width + i];
}

static void lay_queries(const struct heads *h, struct layout *l, const float *tokens, int64_t head) {
    const float scale = 1.0f / sqrtf((float)h->width);
    for (int64_t t = 0; t < h->tokens; t++)
        turn(h, tokens + t * pitch_of(h) + head * h->width, h->prefix + t, 1.0f, scale,
             l->queries + t * h->width);
}

/* -inf on the keys that query i does not see, among the first `count`. */
static void mask(const struct heads *h, float *scores, int64_t i, int64_t count) {
    const int64_t end = least(h->prefix + i + 1, num_keys(h));
    const int64_t start = h->window ? most(0, end - h->window) : 0;
    for (int64_t t = 0; t < start; t++) scores[t] = -INFINITY;
    for (int64_t t = end; t < count; t++) scores[t] = -INFINITY;
}

/* In place to e^(score - peak) * share, where peak is their maximum and share 1 / their sum. */
static void softmax(float *scores, int64_t count, float *peak, float *share) {
    vec top = splat(-INFINITY), total = {0};
    for (int64_t t = 0; t < count; t += LANES) top = largest(top, load(scores + t));
    *peak = maximum(top);
    for (int64_t t = 0; t < count; t += LANES) {
        const vec e = exponential(load(scores + t) - *peak);
        store(scores + t, e);
        total += e;
    }
    *share = 1.0f / sum(total);
    for (int64_t t = 0; t < count; t += LANES) store(scores + t, load(scores + t) * *share);
}

/* Scores to weights p, and in `grad` their gradient to that of the scores: p (g - sum p g). */
static void softmax_backward(float *scores, float *grad, int64_t count, float peak, float share) {
    vec total = {0};
    for (int64_t t = 0; t < count; t += LANES) {
        const vec p = exponential(load(scores + t) - peak) * share;
        store(scores + t, p);
        total += p * load(grad + t);
    }
    const float mean = sum(total);
    for (int64_t t = 0; t < count; t += LANES)
        store(grad + t, load(scores + t) * (load(grad + t) - mean));
}

/* out [rows][tokens][heads][width]; peaks and shares [rows][heads][tokens] are kept */
void attention_forward(const struct heads *h, float *out, float *peaks, float *shares,
                       float *scratch) {
    struct layout l = lay_out(h, scratch);
    const int64_t width = h->width, keys = num_keys(h), num_heads = h->groups * h->group;
    for (int64_t g = 0; g < h->groups; g++) {
        lay_keys(h, &l, h->shared, h->prefix, 0, g);
        transpose(l.keys, 0, h->prefix, width, l.key_columns, l.line);
        for (int64_t row = 0; row < h->rows; row++) {
            const float *tokens = h->own + row * h->tokens * pitch_of(h);
            lay_keys(h, &l, tokens, h->tokens, h->prefix, g);
            transpose(l.keys, h->prefix, keys, width, l.key_columns, l.line);
            for (int64_t head = g * h->group; head < (g + 1) * h->group; head++) {
                const int64_t kept = (row * num_heads + head) * h->tokens;
                lay_queries(h, &l, tokens, head);
                for (int64_t i = 0; i < h->tokens; i += ROWS) {
                    const int64_t seen = least(h->prefix + i + ROWS, keys);
                    const int64_t count = whole(seen, LANES), num = least(ROWS, h->tokens - i);
                    exact_scores(num, l.queries + i * width, width, l.key_columns, l.line, LANES,
                                 width, count, l.weights, l.line);
                    for (int64_t r = 0; r < num; r++) {
                        float *scores = l.weights + r * l.line;
                        mask(h, scores, i + r, count);
                        softmax(scores, count, peaks + kept + i + r, shares + kept + i + r);
                    }
                    product(seen, l.weights, l.line, 1, l.values, width, l.mixed, width, width, 0);
                    for (int64_t r = 0; r < num; r++)
                        memcpy(out + ((row * h->tokens + i + r) * num_heads + head) * width,
                               l.mixed + r * width, sizeof(float) * width);
                }
            }
        }
    }
}

/* One head of one row: adds to the gradients of keys and values, writes that of the queries. */
static void head_backward(const struct heads *h, struct layout *l, const float *peaks,
                          const float *shares, float *grad_queries) {
    const int64_t width = h->width, line = l->line, keys = num_keys(h);
    const float scale = 1.0f / sqrtf((float)width);
    for (int64_t block = 0; block < h->tokens; block += BLOCK) {
        const int64_t end = least(block + BLOCK, whole(h->tokens, ROWS));
        for (int64_t i = block; i < end; i += ROWS) {
            const int64_t seen = least(h->prefix + i + ROWS, keys), count = whole(seen, LANES);
            float *weights = l->weights + (i - block) * line;
            float *grads = l->grad_weights + (i - block) * line;
            exact_scores(ROWS, l->queries + i * width, width, l->key_columns, line, LANES, width,
                         count, weights, line);
            product(width, l->grads + i * width, width, 1, l->value_columns, line, grads, line,
                    count, 0);
            for (int64_t r = 0; r < ROWS; r++) {
                const int64_t query = least(i + r, h->tokens - 1); /* padding has no gradient */
                mask(h, weights + r * line, query, count);
                softmax_backward(weights + r * line, grads + r * line, count, peaks[query],
                                 shares[query]);
            }
            product(seen, grads, line, 1, l->keys, width, l->mixed, width, width, 0);
            for (int64_t r = 0; r < least(ROWS, h->tokens - i); r++)
                turn(h, l->mixed + r * width, h->prefix + i + r, -1.0f, scale,
                     grad_queries + (i + r) * pitch_of(h));
        }
        for (int64_t t = 0; t < least(h->prefix + end, keys); t += ROWS) {
            const int64_t first = most(0, t - h->prefix - block) / ROWS * ROWS;
            const int64_t depth = end - block - first, at = (block + first) * width;
            const int64_t corner = first * line + t;
            product(depth, l->weights + corner, 1, line, l->grads + at, width,
                    l->grad_values + t * width, width, width, 1);
            product(depth, l->grad_weights + corner, 1, line, l->queries + at, width,
                    l->grad_keys + t * width, width, width, 1);
        }
    }
}

/* Turn back and write the gradients of the keys and values from position `first` on. */
static void hand_back(const struct heads *h, struct layout *l, float *tokens, int64_t count,
                      int64_t first, int64_t g) {
    const int64_t width = h->width, values = h->groups * width;
    for (int64_t t = first; t < first + count; t++, tokens += pitch_of(h)) {
        float *key = tokens + key_of(h, g);
        turn(h, l->grad_keys + t * width, t, -1.0f, 1.0f, key);
        memcpy(key + values, l->grad_values + t * width, sizeof(float) * width);
    }
}

/* Gradients of both projections from that of `out`; those of the prefix's queries stay as they are. */
void attention_backward(const struct heads *h, const float *grad, const float *peaks,
                        const float *shares, float *grad_own, float *grad_shared, float *scratch) {
    struct layout l = lay_out(h, scratch);
    const int64_t width = h->width, keys = num_keys(h), num_heads = h->groups * h->group;
    const int64_t held = whole(keys, ROWS) * width, before = h->prefix * width;
    for (int64_t g = 0; g < h->groups; g++) {
        memset(l.grad_keys, 0, sizeof(float) * before);
        memset(l.grad_values, 0, sizeof(float) * before);
        lay_keys(h, &l, h->shared, h->prefix, 0, g);
        transpose(l.keys, 0, h->prefix, width, l.key_columns, l.line);
        transpose(l.values, 0, h->prefix, width, l.value_columns, l.line);
        for (int64_t row = 0; row < h->rows; row++) {
            const int64_t start = row * h->tokens * pitch_of(h);
            lay_keys(h, &l, h->own + start, h->tokens, h->prefix, g);
            transpose(l.keys, h->prefix, keys, width, l.key_columns, l.line);
            transpose(l.values, h->prefix, keys, width, l.value_columns, l.line);
            memset(l.grad_keys + before, 0, sizeof(float) * (held - before));
            memset(l.grad_values + before, 0, sizeof(float) * (held - before));
            for (int64_t head = g * h->group; head < (g + 1) * h->group; head++) {
                const int64_t kept = (row * num_heads + head) * h->tokens;
                lay_queries(h, &l, h->own + start, head);
                for (int64_t t = 0; t < h->tokens; t++)
                    memcpy(l.grads + t * width,
                           grad + ((row * h->tokens + t) * num_heads + head) * width,
                           sizeof(float) * width);
                head_backward(h, &l, peaks + kept, shares + kept, grad_own + start + head * width);
            }
            hand_back(h, &l, grad_own + start, h->tokens, h->prefix, g);
        }
        hand_back(h, &l, grad_shared, h->prefix, 0, g);
    }
}
