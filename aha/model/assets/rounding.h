/* Log-probs as if the float32 product of hidden states and output matrix had been made in float64.
   The engine and the trainer sum in different orders, and logits reach 30, where a float32 sum is off
   by several 1e-6: without this the importance ratio of the first update is off by 1e-5. */

#ifndef AHA_ROUNDING_H
#define AHA_ROUNDING_H

#include <math.h>
#include <stdint.h>

#define LIKELY_ENOUGH 1e-2     /* of less likely tokens the rounding does not show */
#define LOGITS_AT_ONCE 16

/* hidden . weight in float64, less the float32 logit that a product gave: what its rounding lost. */
static double lost(const float *hidden, const float *weight, int64_t width, float logit) {
    double total[LOGITS_AT_ONCE] = {0}, result = -(double)logit;
    const int64_t body = width / LOGITS_AT_ONCE * LOGITS_AT_ONCE;
    for (int64_t i = 0; i < body; i += LOGITS_AT_ONCE)
        for (int k = 0; k < LOGITS_AT_ONCE; k++)
            total[k] += (double)hidden[i + k] * weight[i + k];
    for (int64_t i = body; i < width; i++) result += (double)hidden[i] * weight[i];
    for (int k = 0; k < LOGITS_AT_ONCE; k++) result += total[k];
    return result;
}

/* The log-prob of a token with the rounding of the logits taken out, to first order: only the
   token's own logit and those of likely tokens count; these are made again in float64. */
static double corrected(double logprob, int64_t token, int64_t vocab, int64_t width,
                        double temperature, const float *hidden, const float *weight,
                        const float *logits) {
    const double base = logprob - (double)logits[token] / temperature; /* log p = logit / t + base */
    const float bound = (float)((log(LIKELY_ENOUGH) - base) * temperature);
    double error = lost(hidden, weight + token * width, width, logits[token]);
    for (int64_t i = 0; i < vocab; i += LOGITS_AT_ONCE) {
        const int64_t end = i + LOGITS_AT_ONCE < vocab ? i + LOGITS_AT_ONCE : vocab;
        int32_t some = 0;
        for (int64_t v = i; v < end; v++) some |= logits[v] > bound;
        for (int64_t v = i; some && v < end; v++)
            if (logits[v] > bound)
                error -= exp((double)logits[v] / temperature + base) *
                         lost(hidden, weight + v * width, width, logits[v]);
    }
    return logprob + error / temperature;
}

#endif
