/* What a layer does to each row between its matrix products, forward and backward, and the
   log-probs of sampled tokens. Arrays are float32 and dense, sizes int64. */

#include "rounding.h"
#include "vector.h"


/* out = x * scale * weight with scale = 1 / rms(x), which is kept; width a multiple of LANES. */
void norm_forward(int64_t rows, int64_t width, const float *x, const float *weight, float eps,
                  float *out, float *scale) {
    for (int64_t r = 0; r < rows; r++, x += width, out += width) {
        vec total = {0};
        for (int64_t i = 0; i < width; i += LANES) total += load(x + i) * load(x + i);
        scale[r] = 1.0f / sqrtf(sum(total) / (float)width + eps);
        for (int64_t i = 0; i < width; i += LANES)
            store(out + i, load(x + i) * scale[r] * load(weight + i));
    }
}

/* Gradient of x, and of the weight, which is added up. `passed`: what reaches x past the norm, or
   nothing; with y = grad * weight it is (y - x scale^2 mean(x y)) scale + passed. */
void norm_backward(int64_t rows, int64_t width, const float *x, const float *weight,
                   const float *scale, const float *grad, const float *passed, float *grad_x,
                   float *grad_weight) {
    for (int64_t r = 0; r < rows; r++, x += width, grad += width, grad_x += width) {
        vec total = {0};
        for (int64_t i = 0; i < width; i += LANES)
            total += load(x + i) * load(grad + i) * load(weight + i);
        const float share = sum(total) / (float)width * scale[r] * scale[r];
        for (int64_t i = 0; i < width; i += LANES) {
            const vec turned = load(grad + i) * scale[r];
            vec to = turned * load(weight + i) - load(x + i) * (share * scale[r]);
            if (passed) to += load(passed + r * width + i);
            store(grad_x + i, to);
            store(grad_weight + i, load(grad_weight + i) + turned * load(x + i));
        }
    }
}

INLINE vec sigmoid(vec x) {
    const vec e = exponential(-largest(x, -x)); /* of -|x|: never overflows */
    return choose(x > splat(0.0f), splat(1.0f), e) / (splat(1.0f) + e);
}

/* out [rows][width] = silu(gate) * up for x [rows][gate | up], each of `width` */
void swiglu_forward(int64_t rows, int64_t width, const float *x, float *out) {
    for (int64_t r = 0; r < rows; r++, x += 2 * width, out += width)
        for (int64_t i = 0; i < width; i += LANES) {
            const vec gate = load(x + i);
            store(out + i, gate * sigmoid(gate) * load(x + width + i));
        }
}

/* d silu(g) / dg = s (1 + g (1 - s)) with s = sigmoid(g) */
void swiglu_backward(int64_t rows, int64_t width, const float *x, const float *grad,
                     float *grad_x) {
    for (int64_t r = 0; r < rows; r++, x += 2 * width, grad_x += 2 * width, grad += width)
        for (int64_t i = 0; i < width; i += LANES) {
            const vec gate = load(x + i), up = load(x + width + i), to = load(grad + i);
            const vec s = sigmoid(gate);
            store(grad_x + i, to * up * s * (splat(1.0f) + gate * (splat(1.0f) - s)));
            store(grad_x + width + i, to * gate * s);
        }
}

/* Take the rounding of the logits, hidden [rows][width] times weight [vocab][width], out of the
   log-probs of tokens. */
void correct_logprobs(int64_t rows, int64_t vocab, int64_t width, float temperature,
                      const float *hidden, const float *weight, const float *logits,
                      const int64_t *tokens, float *logprobs) {
    for (int64_t r = 0; r < rows; r++)
        logprobs[r] = corrected(logprobs[r], tokens[r], vocab, width, temperature,
                                hidden + r * width, weight, logits + r * vocab);
}

/* Log-prob of one token a row and the entropy, in nats, of softmax(logits / temperature).
   A logit of -inf has no probability and adds nothing. */
void logprobs_forward(int64_t rows, int64_t vocab, float temperature, const float *logits,
                      const int64_t *tokens, float *logprobs, float *entropies, float *peaks,
                      float *shares) {
    const int64_t body = vocab / LANES * LANES, rest = vocab - body;
    const float slope = 1.0f / temperature;
    for (int64_t r = 0; r < rows; r++, logits += vocab) {
        const vec last = load_part(logits + body, rest, -INFINITY);
        vec top = last, total = {0}, moment = {0};
        for (int64_t i = 0; i < body; i += LANES) top = largest(top, load(logits + i));
        const float peak = maximum(top);
        for (int64_t i = 0; i < vocab; i += LANES) {
            const vec z = ((i < body ? load(logits + i) : last) - peak) * slope;
            const vec e = exponential(z);
            total += e;
            moment += e * largest(z, splat(-87.0f));
        }
        const float mass = sum(total), log_mass = logf(mass);
        logprobs[r] = (logits[tokens[r]] - peak) * slope - log_mass;
        entropies[r] = log_mass - sum(moment) / mass;
        peaks[r] = peak;
        shares[r] = 1.0f / mass;
    }
}

/* Logits in place to their gradient: (onehot - p) * grad / temperature. */
void logprobs_backward(int64_t rows, int64_t vocab, float temperature, float *logits,
                       const int64_t *tokens, const float *peaks, const float *shares,
                       const float *grad) {
    const int64_t body = vocab / LANES * LANES;
    const float slope = 1.0f / temperature;
    for (int64_t r = 0; r < rows; r++, logits += vocab) {
        const float to = grad[r] * slope, scale = -to * shares[r];
        for (int64_t i = 0; i < body; i += LANES)
            store(logits + i, exponential((load(logits + i) - peaks[r]) * slope) * scale);
        if (body < vocab) {
            const vec z = (load_part(logits + body, vocab - body, -INFINITY) - peaks[r]) * slope;
            store_part(logits + body, vocab - body, exponential(z) * scale);
        }
        logits[tokens[r]] += to;
    }
}
