/* One decoding step on a CPU, from the drawn tokens to the next hidden states, and many steps in
   one call; native.py loads it. Names that others see begin with aha_ (a C library has a `step`). Arrays are float32 and dense, sizes are int64. What a row gets
   never depends on the rows beside it. */

#include "attention.h"
#include "../../model/assets/rounding.h"

struct layer {
    const float *norm, *qkv, *qkv_bias, *query_norm, *key_norm, *out, *out_bias;
    const float *mlp_norm, *gate_up, *gate_up_bias, *down, *down_bias; /* matrices as aha_pack() */
    int64_t window, rotates;
    struct arrays cache;           /* its qkv, turn, positions, out and scratch are set here */
};

struct model {
    int64_t num_layers, hidden, middle, vocab;
    double eps;
    const float *embedding;        /* [vocab][hidden] */
    const float *norm, *head;
    const float *head_rows;        /* the same matrix as it is, [vocab][hidden] */
    struct layer *layers;
};

struct batch {
    struct shape shape;
    const float *turns;            /* [position in the text][width], cos and sin side by side */
    int64_t *last, *position;      /* of a row: drawn token, tokens it holds after the prefix */
    float *states;                 /* [rows][hidden] after the final norm */
    float *workspace;              /* aha_workspace_room() */
    /* what follows serves aha_draw() and may be null otherwise */
    uint8_t *active;               /* of a row: it is drawn for, and has not ended */
    const int64_t *limit;
    const uint64_t *key;
    int64_t *num_new;
    int64_t *tokens;               /* [rows][room] */
    float *logprobs;               /* [rows][room] */
    int64_t room;
    const uint8_t *ends;           /* [vocab]: 1 for tokens that end a row, 2 for those that may */
    double temperature;
};

/* out = x / rms(x) * weight for x [rows][width], width a multiple of LANES */
void aha_rms_norm(int64_t rows, int64_t width, const float *x, const float *weight, float eps,
              float *out) {
    for (int64_t r = 0; r < rows; r++, x += width, out += width) {
        vec total = {0};
        for (int64_t i = 0; i < width; i += WIDE) total += load(x + i) * load(x + i);
        const vec share = splat(1.0f / sqrtf(sum(total) / (float)width + eps));
        for (int64_t i = 0; i < width; i += WIDE)
            store(out + i, load(x + i) * share * load(weight + i));
    }
}

/* out = silu(gate) * up for x [rows][2][middle] */
static void gated(int64_t rows, int64_t middle, const float *x, float *out) {
    for (int64_t r = 0; r < rows; r++, x += 2 * middle, out += middle)
        for (int64_t i = 0; i < middle; i += WIDE) {
            const vec gate = load(x + i), magnitude = largest(gate, -gate);
            const vec e = exponential(-magnitude); /* never above 1 */
            const ivec negative = gate < splat(0.0f);
            const vec above = (vec)(((ivec)e & negative) | ((ivec)splat(1.0f) & ~negative));
            store(out + i, gate * above / (splat(1.0f) + e) * load(x + middle + i));
        }
}

#define SPAN 64

/* One token by the inverse of the cumulative distribution, as sampling.py has it. uniform in
   [0, 1); logprob under the whole distribution. scratch: 2 * vocab + 2 * LANES floats. */
static int64_t draw(int64_t vocab, float temperature, const float *logits, double uniform,
                    float *logprob, float *weight) {
    float *spans = weight + whole(vocab);
    const vec share = splat(1.0f / temperature);
    const int64_t body = vocab / WIDE * WIDE, num_spans = (vocab + SPAN - 1) / SPAN;
    vec top = splat(-INFINITY);
    for (int64_t i = 0; i < body; i += WIDE) top = largest(top, load(logits + i));
    float most = maximum(top);
    for (int64_t i = body; i < vocab; i++) most = logits[i] > most ? logits[i] : most;
    const vec peak = splat(most);
    for (int64_t i = 0; i < body; i += WIDE)
        store(weight + i, exponential((load(logits + i) - peak) * share));
    if (body < vocab) {
        vec rest = splat(-INFINITY);
        for (int64_t i = body; i < vocab; i++) rest[i - body] = (logits[i] - most) / temperature;
        store(weight + body, exponential(rest));
    }
    double total = 0;
    for (int64_t s = 0; s < num_spans; s++) {
        vec part = {0};
        const int64_t end = least((s + 1) * SPAN, vocab);
        for (int64_t i = s * SPAN; i + WIDE <= end; i += WIDE) part += load(weight + i);
        spans[s] = sum(part);
        for (int64_t i = end / WIDE * WIDE; i < end; i++) spans[s] += weight[i];
        total += spans[s];
    }
    double left = uniform * total;
    int64_t s = 0;
    while (s + 1 < num_spans && left >= spans[s]) left -= spans[s++];
    const int64_t end = least((s + 1) * SPAN, vocab);
    int64_t token = s * SPAN;
    while (token + 1 < end && left >= weight[token]) left -= weight[token++];
    *logprob = (logits[token] - most) / temperature - logf((float)total);
    return token;
}

/* A token of each row of logits [rows][vocab]. */
void aha_sample(int64_t rows, int64_t vocab, float temperature, const float *logits,
            const double *uniform, int64_t *tokens, float *logprobs, float *scratch) {
    for (int64_t r = 0; r < rows; r++)
        tokens[r] = draw(vocab, temperature, logits + r * vocab, uniform[r], logprobs + r, scratch);
}

/* The finalizer of splitmix64, and the number of a row's key and position: as in sampling.py */
static uint64_t mixed_bits(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static double uniform_number(uint64_t key, int64_t position) {
    const uint64_t word = mixed_bits(key + ((uint64_t)position + 1) * 0x9E3779B97F4A7C15u);
    return (double)(word >> 11) * 0x1p-53;
}

/* Rows whose logits are held at once: few enough to stay in the cache. */
#define LOGIT_ROWS 32

/* Floats of workspace for a step and for drawing, which do not overlap in time. */
int64_t aha_workspace_room(const struct model *m, const struct batch *b) {
    const struct shape *s = &b->shape;
    const int64_t heads = s->groups * s->group, wide = (heads + 2 * s->groups) * s->width;
    const int64_t a_row = 2 * m->hidden + wide + heads * s->width + 3 * m->middle + 2 * s->width;
    const int64_t step = s->rows * (a_row + 2) + aha_attend_room(s);
    const int64_t drawing = LOGIT_ROWS * whole(m->vocab) + 2 * m->vocab + 2 * LANES;
    return step > drawing ? step : drawing;
}

/* Logits [rows][whole(vocab)] of final hidden states */
void aha_logits(const struct model *m, int64_t rows, const float *states, float *out) {
    multiply(rows, m->hidden, m->vocab, states, m->head, 0, 0, out);
}

/* Append every row's last token and compute its next hidden state. */
void aha_step(const struct model *m, const struct batch *b) {
    struct shape shape = b->shape;
    const int64_t rows = shape.rows, hidden = m->hidden, width = shape.width;
    const int64_t heads = shape.groups * shape.group, wide = (heads + 2 * shape.groups) * width;
    int64_t *position = (int64_t *)b->workspace;
    float *x = (float *)(position + rows), *normed = x + rows * hidden;
    float *qkv = normed + rows * hidden, *attended = qkv + rows * wide;
    float *gate_up = attended + rows * heads * width, *middle = gate_up + rows * 2 * m->middle;
    float *turn = middle + rows * m->middle, *straight = turn + rows * width;
    const int64_t *prompt = m->layers->cache.prompt_tokens;
    for (int64_t r = 0; r < rows; r++) { /* a free slot may hold less than its last prompt */
        position[r] = b->position[r] > prompt[r] ? b->position[r] : prompt[r];
        memcpy(turn + r * width, b->turns + (shape.prefix + position[r]) * width, 4 * width);
        memcpy(x + r * hidden, m->embedding + b->last[r] * hidden, 4 * hidden);
        for (int64_t i = 0; i < width; i++) straight[r * width + i] = i % 2 ? 0.0f : 1.0f;
    }
    for (struct layer *l = m->layers; l < m->layers + m->num_layers; l++) {
        struct arrays cache = l->cache;
        shape.window = l->window;
        cache.qkv = qkv, cache.turn = l->rotates ? turn : straight, cache.positions = position;
        cache.out = attended, cache.scratch = straight + rows * width;
        aha_rms_norm(rows, hidden, x, l->norm, m->eps, normed);
        multiply(rows, hidden, wide, normed, l->qkv, l->qkv_bias, 0, qkv);
        for (int64_t r = 0; l->query_norm && r < rows; r++) {
            float *query = qkv + r * wide, *key = query + heads * width;
            aha_rms_norm(heads, width, query, l->query_norm, m->eps, query);
            aha_rms_norm(shape.groups, width, key, l->key_norm, m->eps, key);
        }
        aha_attend(&shape, &cache);
        multiply(rows, heads * width, hidden, attended, l->out, l->out_bias, 1, x);
        aha_rms_norm(rows, hidden, x, l->mlp_norm, m->eps, normed);
        multiply(rows, hidden, 2 * m->middle, normed, l->gate_up, l->gate_up_bias, 0, gate_up);
        gated(rows, m->middle, gate_up, middle);
        multiply(rows, m->middle, hidden, middle, l->down, l->down_bias, 1, x);
    }
    aha_rms_norm(rows, hidden, x, m->norm, m->eps, b->states);
    for (int64_t r = 0; b->active && r < rows; r++) b->position[r] += b->active[r];
}

/* Draw the next token of every active row and end some. Returns how many ended, more than all rows
   where the caller has to look at one, or -1 where a log-prob is not finite. */
static int64_t draw_rows(const struct model *m, const struct batch *b) {
    float *values = b->workspace, *scratch = values + LOGIT_ROWS * whole(m->vocab);
    int64_t ended = 0, broken = 0;
    for (int64_t first = 0; first < b->shape.rows; first += LOGIT_ROWS) {
        const int64_t count = least(b->shape.rows - first, LOGIT_ROWS);
        aha_logits(m, count, b->states + first * m->hidden, values);
        for (int64_t r = first; r < first + count; r++) {
            if (!b->active[r]) continue;
            const int64_t at = r * b->room + b->num_new[r];
            const double uniform = uniform_number(b->key[r], b->num_new[r]);
            const int64_t token = draw(m->vocab, b->temperature,
                                       values + (r - first) * whole(m->vocab), uniform,
                                       b->logprobs + at, scratch);
            b->logprobs[at] = corrected(b->logprobs[at], token, m->vocab, m->hidden, b->temperature,
                                        b->states + r * m->hidden, m->head_rows,
                                        values + (r - first) * whole(m->vocab));
            b->last[r] = b->tokens[at] = token;
            b->num_new[r]++;
            broken |= !isfinite(b->logprobs[at]);
            b->active[r] = b->ends[token] != 1 && b->num_new[r] < b->limit[r];
            ended += b->ends[token] == 2 ? b->shape.rows + 1 : !b->active[r];
        }
    }
    return broken ? -1 : ended;
}

/* Draw and advance in turn, until after a draw `enough` rows have ended, or one has to be looked
   at, or `steps` tokens of each row are drawn. Returns the number of draws, negative where a
   log-prob is not finite. */
int64_t aha_draw(const struct model *m, const struct batch *b, int64_t enough, int64_t steps) {
    int64_t ended = 0;
    for (int64_t drawn = 1;; drawn++) {
        const int64_t now = draw_rows(m, b);
        ended += now;
        if (now < 0) return -drawn;
        if (ended >= enough || drawn == steps) return drawn;
        aha_step(m, b);
    }
}
