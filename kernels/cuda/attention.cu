// Attention, softmax(scale q k^T) v per image and head, and its gradients. The T x T matrix is never stored: the forward pass keeps the
// log of every row's sum of exponentials (lse), from which the gradients recompute the weights.
//
// Ladder
//   naive  one block per query (forward, dq) or per key (dk, dv). It walks over the other tokens SLAB at a time, one dot product per
//          thread, and then each thread gathers the slab's contribution to a few channels. The softmax is online: a running maximum and
//          sum, by which what was gathered before is rescaled.
//
// Sums run over the tokens in an order that depends on T alone.
#include "dev.cuh"

const int THREADS = 128, SLAB = THREADS;

// Heads is the layout of q, k, v, o: [N][T] tokens, a stride apart, of heads*dim channels. Grid x is (n*heads + head)*t + token.
struct Heads {
  int t, heads, dim, in, out;  // tokens, heads, channels per head, stride of q, k, v, and of o
  float scale;
};
#define HEADS_PARAMS int t, int heads, int dim, int in, int out, float scale
#define HEADS Heads{t, heads, dim, in, out, scale}

struct Token {
  int n, head, i;
  METHOD Token(const Heads& p) {
    int row = block_x() / p.t;
    i = block_x() - row * p.t;
    n = row / p.heads;
    head = row - n * p.heads;
  }
  // first is where token j of the same image and head starts in a tensor with the given stride.
  METHOD i64 first(const Heads& p, int j, int stride) const { return ((i64)n * p.t + j) * stride + head * p.dim; }
};

DEVICE float dot(const float* a, const float* b, int dim) {
  float sum = 0;
  for (int c = 0; c < dim; c++) sum = fma(a[c], b[c], sum);
  return sum;
}

// fetch copies one token's channels to shared memory.
DEVICE void fetch(float* to, const float* from, int dim) {
  for (int c = thread_x(); c < dim; c += THREADS) to[c] = from[c];
}

// Dynamic shared memory: 2*dim floats, the query and the result so far.
KERNEL(THREADS) attention_forward_f32_naive(float* o, float* lse, const float* q, const float* k, const float* v, HEADS_PARAMS) {
  extern __shared__ float dynamic[];
  __shared__ float room[THREADS / WARP], weight[SLAB];
  Heads p = HEADS;
  Token token(p);
  float *query = dynamic, *sum = dynamic + dim;
  fetch(query, q + token.first(p, token.i, in), dim);
  for (int c = thread_x(); c < dim; c += THREADS) sum[c] = 0;
  barrier();
  float largest = -3.4e38f, total = 0;
  for (int start = 0; start < t; start += SLAB) {
    int j = start + thread_x(), count = min(SLAB, t - start);
    float score = j < t ? scale * dot(query, k + token.first(p, j, in), dim) : -3.4e38f;
    float before = largest;
    largest = max(largest, block_max<THREADS>(score, room));
    float w = j < t ? exponential(score - largest) : 0, fade = exponential(before - largest);
    weight[thread_x()] = w;
    total = fma(total, fade, block_sum<THREADS>(w, room));  // its barriers also publish weight
    for (int c = thread_x(); c < dim; c += THREADS) {
      float z = fade * sum[c];
      for (int s = 0; s < count; s++) z = fma(weight[s], v[token.first(p, start + s, in) + c], z);
      sum[c] = z;
    }
    barrier();
  }
  for (int c = thread_x(); c < dim; c += THREADS) o[token.first(p, token.i, out) + c] = sum[c] / total;
  if (thread_x() == 0) lse[block_x()] = largest + logarithm(total);
}

// delta[n][head][i] = sum over c of do * o: what the softmax's normalisation takes from the cotangent of a row's scores. One token per
// thread.
KERNEL(THREADS) attention_delta_f32_naive(float* delta, const float* dout, const float* o, int rows, int t, int heads, int dim, int out) {
  int r = index_x(THREADS);
  if (r >= rows) return;
  int image = r / (heads * t), head = r / t % heads, i = r % t;
  i64 first = ((i64)image * t + i) * out + head * dim;
  delta[r] = dot(dout + first, o + first, dim);
}

// dq_i = scale sum over j of w_ij (do_i v_j - delta_i) k_j. Dynamic shared memory: 3*dim floats: q_i, do_i and the sum.
KERNEL(THREADS)
attention_querygrad_f32_naive(float* dq, const float* dout, const float* q, const float* k, const float* v, const float* lse, const float* delta, HEADS_PARAMS) {
  extern __shared__ float dynamic[];
  __shared__ float slope[SLAB];
  Heads p = HEADS;
  Token token(p);
  float *query = dynamic, *cotangent = dynamic + dim, *sum = dynamic + 2 * dim;
  fetch(query, q + token.first(p, token.i, in), dim);
  fetch(cotangent, dout + token.first(p, token.i, out), dim);
  for (int c = thread_x(); c < dim; c += THREADS) sum[c] = 0;
  barrier();
  float row_lse = lse[block_x()], row_delta = delta[block_x()];
  for (int start = 0; start < t; start += SLAB) {
    int j = start + thread_x(), count = min(SLAB, t - start);
    if (j < t) {
      float w = exponential(scale * dot(query, k + token.first(p, j, in), dim) - row_lse);
      slope[thread_x()] = w * (dot(cotangent, v + token.first(p, j, in), dim) - row_delta);
    }
    barrier();
    for (int c = thread_x(); c < dim; c += THREADS) {
      float z = sum[c];
      for (int s = 0; s < count; s++) z = fma(slope[s], k[token.first(p, start + s, in) + c], z);
      sum[c] = z;
    }
    barrier();
  }
  for (int c = thread_x(); c < dim; c += THREADS) dq[token.first(p, token.i, in) + c] = scale * sum[c];
}

// dv_j = sum over i of w_ij do_i, dk_j = scale sum over i of w_ij (do_i v_j - delta_i) q_i. Dynamic shared memory: 4*dim floats: k_j, v_j
// and the sums.
KERNEL(THREADS)
attention_keygrad_f32_naive(float* dk, float* dv, const float* dout, const float* q, const float* k, const float* v, const float* lse, const float* delta,
                            HEADS_PARAMS) {
  extern __shared__ float dynamic[];
  __shared__ float weight[SLAB], slope[SLAB];
  Heads p = HEADS;
  Token token(p);
  float *key = dynamic, *value = dynamic + dim, *key_sum = dynamic + 2 * dim, *value_sum = dynamic + 3 * dim;
  fetch(key, k + token.first(p, token.i, in), dim);
  fetch(value, v + token.first(p, token.i, in), dim);
  for (int c = thread_x(); c < dim; c += THREADS) key_sum[c] = value_sum[c] = 0;
  barrier();
  i64 row = (i64)(token.n * heads + token.head) * t;
  for (int start = 0; start < t; start += SLAB) {
    int i = start + thread_x(), count = min(SLAB, t - start);
    if (i < t) {
      float w = exponential(scale * dot(q + token.first(p, i, in), key, dim) - lse[row + i]);
      weight[thread_x()] = w;
      slope[thread_x()] = w * (dot(dout + token.first(p, i, out), value, dim) - delta[row + i]);
    }
    barrier();
    for (int c = thread_x(); c < dim; c += THREADS) {
      float z = key_sum[c], u = value_sum[c];
      for (int s = 0; s < count; s++) {
        z = fma(slope[s], q[token.first(p, start + s, in) + c], z);
        u = fma(weight[s], dout[token.first(p, start + s, out) + c], u);
      }
      key_sum[c] = z;
      value_sum[c] = u;
    }
    barrier();
  }
  for (int c = thread_x(); c < dim; c += THREADS) {
    dk[token.first(p, token.i, in) + c] = scale * key_sum[c];
    dv[token.first(p, token.i, in) + c] = value_sum[c];
  }
}
