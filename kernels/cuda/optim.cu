// The optimiser: the norm of a flat gradient, and AdamW with the moving average of the weights over all parameters at once.
//
// Ladder
//   naive  gradnorm in one block; adamw with one weight per thread
//   vec4   gradnorm: one block per CHUNK values, then one block over the partial results, in an order that depends on the length alone;
//          adamw: four weights per thread, five 128-bit loads and four stores, one launch for the whole arena
#include "dev.cuh"

const int THREADS = 256;

DEVICE float is_finite(float x) { return (bits(x) & 0x7f800000) != 0x7f800000 ? 1 : 0; }

// finish writes [norm, clip coefficient, finite flag]; bad counts what is not finite.
DEVICE void finish(float* out, float squares, float bad, float max_norm) {
  float norm = square_root(squares), clip = 1;
  if (max_norm > 0) {
    clip = max_norm / norm;
    clip = clip > 1 ? 1 : clip;
  }
  out[0] = norm;
  out[1] = clip;
  out[2] = bad > 0 ? 0 : 1;
}

KERNEL(THREADS) gradnorm_forward_f32_naive(float* out, const float* g, int n, float max_norm) {
  __shared__ float room[THREADS / WARP];
  float squares = 0, bad = 0;
  for (int i = thread_x(); i < n; i += THREADS) {
    squares = fma(g[i], g[i], squares);
    bad += 1 - is_finite(g[i]);
  }
  squares = block_sum<THREADS>(squares, room);
  bad = block_sum<THREADS>(bad, room);
  if (thread_x() == 0) finish(out, squares, bad, max_norm);
}

const int CHUNK = 64 * THREADS;

// parts [blocks][2] receives the sum of squares and the count of values that are not finite of every chunk.
KERNEL(THREADS) gradnorm_partial_f32_vec4(float* parts, const float* g, int n) {
  __shared__ float room[THREADS / WARP];
  i64 first = (i64)block_x() * CHUNK;
  float4 sum = 0;
  float bad = 0;
  for (int step = 4 * thread_x(); step < CHUNK; step += 4 * THREADS) {
    i64 i = first + step;
    float4 v = 0;
    if (i + 4 <= n) {
      v = load4(g + i);
    } else {
      for (int k = 0; k < 4; k++) v[k] = i + k < n ? g[i + k] : 0;
    }
    for (int k = 0; k < 4; k++) {
      sum[k] = fma(v[k], v[k], sum[k]);
      bad += 1 - is_finite(v[k]);
    }
  }
  float squares = block_sum<THREADS>((sum[0] + sum[1]) + (sum[2] + sum[3]), room);
  bad = block_sum<THREADS>(bad, room);
  if (thread_x() == 0) {
    parts[2 * block_x()] = squares;
    parts[2 * block_x() + 1] = bad;
  }
}

KERNEL(THREADS) gradnorm_finish_f32_vec4(float* out, const float* parts, int count, float max_norm) {
  __shared__ float room[THREADS / WARP];
  float squares = 0, bad = 0;
  for (int i = thread_x(); i < count; i += THREADS) {
    squares += parts[2 * i];
    bad += parts[2 * i + 1];
  }
  squares = block_sum<THREADS>(squares, room);
  bad = block_sum<THREADS>(bad, room);
  if (thread_x() == 0) finish(out, squares, bad, max_norm);
}

struct Adam {
  float clip, lr, beta1, beta2, eps, weight_decay, ema_decay, step_size, bias2;  // step_size = lr/(1-beta1^t), bias2 = 1-beta2^t
};

struct State {
  float w, m, v, ema;
};

DEVICE State step(Adam p, State s, float g) {
  g = p.clip * g;
  s.m = p.beta1 * s.m + (1 - p.beta1) * g;
  s.v = p.beta2 * s.v + (1 - p.beta2) * g * g;
  s.w = s.w - p.lr * p.weight_decay * s.w;
  s.w = s.w - p.step_size * s.m / (square_root(s.v / p.bias2) + p.eps);
  s.ema = p.ema_decay * s.ema + (1 - p.ema_decay) * s.w;
  return s;
}

DEVICE void one(Adam p, float* w, float* m, float* v, float* ema, const float* g, int i) {
  State s = step(p, State{w[i], m[i], v[i], ema[i]}, g[i]);
  w[i] = s.w;
  m[i] = s.m;
  v[i] = s.v;
  ema[i] = s.ema;
}

#define ADAM_PARAMS                                                                                                                   \
  float *w, float *m, float *v, float *ema, const float *g, const float *norm, int n, float lr, float beta1, float beta2, float eps, \
      float weight_decay, float ema_decay, float step_size, float bias2
#define ADAM Adam{norm[1], lr, beta1, beta2, eps, weight_decay, ema_decay, step_size, bias2}

KERNEL(THREADS) adamw_forward_f32_naive(ADAM_PARAMS) {
  int i = index_x(THREADS);
  if (i < n && norm[2] != 0) one(ADAM, w, m, v, ema, g, i);
}

KERNEL(THREADS) adamw_forward_f32_vec4(ADAM_PARAMS) {
  int i = 4 * index_x(THREADS);
  if (i >= n || norm[2] == 0) return;
  Adam p = ADAM;
  if (i + 4 > n) {
    for (; i < n; i++) one(p, w, m, v, ema, g, i);
    return;
  }
  float4 w4 = load4(w + i), m4 = load4(m + i), v4 = load4(v + i), e4 = load4(ema + i), g4 = load4(g + i);
  for (int k = 0; k < 4; k++) {
    State s = step(p, State{w4[k], m4[k], v4[k], e4[k]}, g4[k]);
    w4[k] = s.w;
    m4[k] = s.m;
    v4[k] = s.v;
    e4[k] = s.ema;
  }
  store4(w + i, w4);
  store4(m + i, m4);
  store4(v + i, v4);
  store4(ema + i, e4);
}
