// Attention, softmax(scale q k^T) v per image and head, and its gradients. The T x T matrix is never stored: the forward pass keeps the
// log of every row's sum of exponentials (lse), from which the gradients recompute the weights.
//
// Ladder (thread instructions per multiply-add of the forward pass of 128 tokens, counted by the emulator)
//   naive    6.7 at 64 channels per head: one block per query (forward, dq) or per key (dk, dv). It walks over the other tokens SLAB at a
//            time, one dot product per thread, and then each thread gathers the slab's contribution to a few channels. The softmax is
//            online: a running maximum and sum, by which what was gathered before is rescaled.
//   tile64   1.9 at 64: one block per 64 queries (or keys). It walks over the other tokens 64 at a time: a 64 x 64 tile of scores in
//            registers, 4 x 4 per thread, from operands staged in shared memory; the tile of weights goes through shared memory and
//            multiplies 64 channels of the values. Every value fetched is used 64 times; no bank conflicts; narrow heads share the threads
//            of a row among tokens. 128-bit accesses if channels and strides are multiples of four (tile64), scalar ones if not (any64).
//   tile256  1.5 at 256: the sums of all channels stay in registers, up to 256 of them, so that the scores of wide heads are computed once
//            (any256: scalar accesses); by blocks of 64 channels each, they took 2.6 times the multiply-adds. More channels are more
//            blocks (grid y).
//
// Sums run over the tokens in an order that depends on T alone.
#include "attention.cuh"

const int THREADS = 128, SLAB = THREADS;

// Token is a block's token: grid x is (n*heads + head)*t + token.
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
#pragma unroll 4
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
#pragma unroll 4
      for (int s = 0; s < count; s++) z = fma(weight[s], v[token.first(p, start + s, in) + c], z);
      sum[c] = z;
    }
    barrier();
  }
  for (int c = thread_x(); c < dim; c += THREADS) o[token.first(p, token.i, out) + c] = sum[c] / total;
  if (thread_x() == 0) lse[block_x()] = largest + logarithm(total);
}

KERNEL(THREADS) attention_delta_f32_naive(DELTA_PARAMS) {
  token_delta(delta, dout, o, rows, t, heads, dim, out, THREADS, [](float g) { return g; });
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
#pragma unroll 4
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
#pragma unroll 4
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

// Tiled rungs: 256 threads, tx = thread % 16 and ty = thread / 16, which owns rows 4 ty ... 4 ty + 3 and columns 4 tx ... 4 tx + 3.

const int TILED = 256;
const int STAGE = SIDE * SIDE + SIDE / 4 * 8;  // floats of a staged tile

// Two layouts of a tile [k][i]: skewed by 8 floats every four k for operands stored four k at a time, by 4 floats for weights, which a
// thread stores four rows at a time. Both keep stores and loads free of bank conflicts.
DEVICE int staged(int k, int i) { return k * SIDE + k / 4 * 8 + i; }
DEVICE int weighted(int k, int i) { return k * SIDE + k / 4 * 4 + i; }

DEVICE int tx() { return thread_x() % 16; }
DEVICE int ty() { return thread_x() / 16; }

// stage_across fills tile [channel][token] with channels from..from+63 of the tokens; what does not exist is 0.
template <int V> DEVICE void stage_across(float* tile, Side s, const Heads& p, int from) {
  int token = thread_x() / 4;
  for (int pass = 0; pass < SIDE; pass += 16) {
    int k = pass + thread_x() % 4 * 4, c = from + k;
    float4 v = 0;
    if (s.first + token < p.t && c < p.dim) v = get4<V>(s.base + ((s.first + token) * s.stride + c), p.dim - c);
    for (int e = 0; e < 4; e++) tile[staged(k + e, token)] = v[e];
  }
}

// Square is the thread's 4 x 4 part of a tile: its rows.
struct Square {
  float4 row[4];
};

// Columns is how the 16 threads of a row share the channels of a result: `groups` of four channels, a power of two, and what is left of
// the 16 splits the tokens, so that narrow heads (8 channels are usual) waste no arithmetic. Every split adds up its own 4*groups tokens of
// each tile; reduce adds the splits at the end.
struct Columns {
  int groups, channel, split;
  METHOD Columns(int channels) : groups(1) {
    while (groups < 16 && 4 * groups < channels) groups *= 2;
    channel = tx() % groups * 4;
    split = tx() / groups;
  }
  METHOD int tokens() const { return 4 * groups; }
  // at is where a token's channels start in a tile [token][channel], skewed by one row per split.
  METHOD int at(int token) const { return (token + token / tokens()) * tokens(); }
  METHOD void reduce(Square& s) const {
    for (int lanes = groups; lanes < 16; lanes *= 2) {
#pragma unroll
      for (int r = 0; r < 4; r++) {
#pragma unroll
        for (int e = 0; e < 4; e++) s.row[r][e] += shuffle_xor(s.row[r][e], lanes);
      }
    }
  }
};

// stage_along fills tile [token][channel].
template <int V> DEVICE void stage_along(float* tile, Side s, const Heads& p, int from, Columns columns) {
  for (int i = thread_x(); i < SIDE * columns.groups; i += TILED) {
    int token = i / columns.groups, k = i % columns.groups * 4, c = from + k;
    float4 v = 0;
    if (s.first + token < p.t && c < p.dim) v = get4<V>(s.base + ((s.first + token) * s.stride + c), p.dim - c);
    store4(tile + columns.at(token) + k, v);
  }
}

DEVICE void add_outer(Square& s, float4 rows, float4 columns) {
#pragma unroll
  for (int r = 0; r < 4; r++) {
#pragma unroll
    for (int e = 0; e < 4; e++) s.row[r][e] = fma(rows[r], columns[e], s.row[r][e]);
  }
}

// products is the dot products of 64 tokens of one tensor (rows) with 64 of another (columns).
template <int V> DEVICE Square products(float* a, float* b, Side rows, Side columns, const Heads& p) {
  Square s = {};
  for (int from = 0; from < p.dim; from += SIDE) {
    barrier();  // the tiles may still be read
    stage_across<V>(a, rows, p, from);
    stage_across<V>(b, columns, p, from);
    barrier();
    int count = min(SIDE, p.dim - from);
    for (int k = 0; k < count; k += 4) {  // up to three channels of zeros at the end
#pragma unroll
      for (int e = 0; e < 4; e++) add_outer(s, load_shared4(a + staged(k, 4 * ty()) + e * SIDE), load_shared4(b + staged(k, 4 * tx()) + e * SIDE));
    }
  }
  return s;
}

// gather adds to out (rows of the square x 64 channels) the tokens' channels, each weighted by its column of the square.
template <int V> DEVICE void gather(Square& out, float* a, float* b, const Square& weights, Side tokens, const Heads& p, int from, Columns columns) {
  barrier();
#pragma unroll
  for (int e = 0; e < 4; e++) {
    float4 column = {weights.row[0][e], weights.row[1][e], weights.row[2][e], weights.row[3][e]};
    store4(a + weighted(4 * tx() + e, 4 * ty()), column);
  }
  stage_along<V>(b, tokens, p, from, columns);
  barrier();
  int first = columns.split * columns.tokens(), count = min(columns.tokens(), p.t - tokens.first);
  const float *weight = a + weighted(first, 4 * ty()), *value = b + columns.at(first) + columns.channel;
  for (int k = 0; k < count; k += 4) {  // tokens that do not exist have weight zero
#pragma unroll
    for (int e = 0; e < 4; e++) add_outer(out, load_shared4(weight + weighted(k, 0) + e * SIDE), load_shared4(value + (k + e) * columns.tokens()));
  }
}

// put_rows writes the square's rows, once reduced.
template <int V> DEVICE void put_rows(float* to, int stride, int first, const Square& s, float scale, const Heads& p, int from, Columns columns) {
  int c = from + columns.channel;
  for (int r = 0; r < 4; r++) {
    int token = first + 4 * ty() + r;
    if (token < p.t && c < p.dim && columns.split == 0) write4<V>(to + (token * stride + c), scale * s.row[r], p.dim - c, 0);
  }
}

// Sums and maxima over the 16 threads of a row of squares, which are half a warp.
DEVICE float row_sum(float v) {
  for (int lanes = 8; lanes > 0; lanes /= 2) v += shuffle_xor(v, lanes);
  return v;
}
DEVICE float row_max(float v) {
  for (int lanes = 8; lanes > 0; lanes /= 2) v = max(v, shuffle_xor(v, lanes));
  return v;
}

// Results is the rows of the block's result: GROUPS squares of 64 channels each, those that exist. Of several, the last is as wide as the
// others, whatever channels exist: how it would be shared takes registers that the gradient of keys does not have.
template <int GROUPS> struct Results {
  Square group[GROUPS];
  METHOD Results() : group() {}
  template <class Visit> METHOD void each(const Heads& p, int from, const Visit& visit) {
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
      if (from + g * SIDE < p.dim) visit(group[g], from + g * SIDE, Columns(GROUPS > 1 ? SIDE : p.dim - from));
    }
  }
  // add is gather for all channels.
  template <int V> METHOD void add(float* a, float* b, const Square& weights, Side tokens, const Heads& p, int from) {
    each(p, from, [&](Square& out, int channels, Columns columns) { gather<V>(out, a, b, weights, tokens, p, channels, columns); });
  }
  template <int V> METHOD void put(float* to, int stride, int first, float scale, const Heads& p, int from) {
    each(p, from, [&](Square& out, int channels, Columns columns) {
      columns.reduce(out);
      put_rows<V>(to, stride, first, out, scale, p, channels, columns);
    });
  }
};

template <int V, int GROUPS> DEVICE void forward(float* o, float* lse, const float* q, const float* k, const float* v, const Heads& p) {
  __shared__ __attribute__((aligned(16))) float a[STAGE], b[STAGE];
  Tokens<GROUPS> at(p);
  i64 in = at.start(p, p.in);
  Results<GROUPS> out;
  float largest[4], total[4];
  for (int r = 0; r < 4; r++) largest[r] = -3.4e38f, total[r] = 0;
  for (int first = 0; first < p.t; first += SIDE) {
    Square s = products<V>(a, b, Side{q + in, p.in, at.first}, Side{k + in, p.in, first}, p);
#pragma unroll
    for (int r = 0; r < 4; r++) {
      float best = -3.4e38f;
      for (int e = 0; e < 4; e++) {
        s.row[r][e] = p.scale * s.row[r][e];
        if (first + 4 * tx() + e < p.t) best = max(best, s.row[r][e]);
      }
      best = max(largest[r], row_max(best));
      float fade = exponential(largest[r] - best);
      for (int e = 0; e < 4; e++) s.row[r][e] = first + 4 * tx() + e < p.t ? exponential(s.row[r][e] - best) : 0;
      largest[r] = best;
      total[r] = fma(total[r], fade, row_sum((s.row[r][0] + s.row[r][1]) + (s.row[r][2] + s.row[r][3])));
#pragma unroll
      for (int g = 0; g < GROUPS; g++) out.group[g].row[r] = out.group[g].row[r] * fade;
    }
    out.template add<V>(a, b, s, Side{v + in, p.in, first}, p, at.from);
  }
#pragma unroll
  for (int r = 0; r < 4; r++) {
#pragma unroll
    for (int g = 0; g < GROUPS; g++) out.group[g].row[r] = out.group[g].row[r] / total[r];
    int token = at.first + 4 * ty() + r;
    if (token < p.t && tx() == 0 && at.from == 0) lse[at.row + token] = largest[r] + logarithm(total[r]);
  }
  out.template put<V>(o + at.start(p, p.out), p.out, at.first, 1, p, at.from);
}

// weigh turns the products of queries and keys into softmax weights: exp(scale s - lse), and those of do and v into the cotangents of the
// scores: weight (dp - delta). QUERY_ROWS says whether the queries are the rows or the columns.
template <bool QUERY_ROWS>
DEVICE void weigh(Square& s, Square& d, const float* lse, const float* delta, int query, int key, const Heads& p) {
  float row_lse[4], row_delta[4];
#pragma unroll
  for (int r = 0; r < 4; r++) {
    int i = query + 4 * (QUERY_ROWS ? ty() : tx()) + r;
    row_lse[r] = i < p.t ? lse[i] : 3.4e38f;  // weight 0
    row_delta[r] = i < p.t ? delta[i] : 0;
  }
#pragma unroll
  for (int r = 0; r < 4; r++) {
#pragma unroll
    for (int e = 0; e < 4; e++) {
      int i = QUERY_ROWS ? r : e, j = key + (QUERY_ROWS ? 4 * tx() + e : 4 * ty() + r);
      float w = exponential(p.scale * s.row[r][e] - row_lse[i]);
      w = j < p.t ? w : 0;
      s.row[r][e] = w;
      d.row[r][e] = w * (d.row[r][e] - row_delta[i]);
    }
  }
}

template <int V, int GROUPS>
DEVICE void query_gradient(float* dq, const float* dout, const float* q, const float* k, const float* v, const float* lse, const float* delta, const Heads& p) {
  __shared__ __attribute__((aligned(16))) float a[STAGE], b[STAGE];
  Tokens<GROUPS> at(p);
  i64 in = at.start(p, p.in), out = at.start(p, p.out);
  Results<GROUPS> sum;
  for (int first = 0; first < p.t; first += SIDE) {
    Square s = products<V>(a, b, Side{q + in, p.in, at.first}, Side{k + in, p.in, first}, p);
    Square d = products<V>(a, b, Side{dout + out, p.out, at.first}, Side{v + in, p.in, first}, p);
    weigh<true>(s, d, lse + at.row, delta + at.row, at.first, first, p);
    sum.template add<V>(a, b, d, Side{k + in, p.in, first}, p, at.from);
  }
  sum.template put<V>(dq + in, p.in, at.first, p.scale, p, at.from);
}

template <int V, int GROUPS>
DEVICE void key_gradient(float* dk, float* dv, const float* dout, const float* q, const float* k, const float* v, const float* lse, const float* delta,
                         const Heads& p) {
  __shared__ __attribute__((aligned(16))) float a[STAGE], b[STAGE];
  Tokens<GROUPS> at(p);
  i64 in = at.start(p, p.in), out = at.start(p, p.out);
  Results<GROUPS> key_sum, value_sum;
  for (int first = 0; first < p.t; first += SIDE) {
    Square s = products<V>(a, b, Side{k + in, p.in, at.first}, Side{q + in, p.in, first}, p);
    Square d = products<V>(a, b, Side{v + in, p.in, at.first}, Side{dout + out, p.out, first}, p);
    weigh<false>(s, d, lse + at.row, delta + at.row, first, at.first, p);
    value_sum.template add<V>(a, b, s, Side{dout + out, p.out, first}, p, at.from);
    key_sum.template add<V>(a, b, d, Side{q + in, p.in, first}, p, at.from);
  }
  key_sum.template put<V>(dk + in, p.in, at.first, p.scale, p, at.from);
  value_sum.template put<V>(dv + in, p.in, at.first, 1, p, at.from);
}

#define RUNG(variant, V, GROUPS)                                                                                                                                  \
  KERNEL(TILED) attention_forward_f32_##variant(float* o, float* lse, const float* q, const float* k, const float* v, HEADS_PARAMS) {                    \
    forward<V, GROUPS>(o, lse, q, k, v, HEADS);                                                                                                                   \
  }                                                                                                                                                       \
  KERNEL(TILED)                                                                                                                                           \
  attention_querygrad_f32_##variant(float* dq, const float* dout, const float* q, const float* k, const float* v, const float* lse, const float* delta, \
                                    HEADS_PARAMS) {                                                                                                       \
    query_gradient<V, GROUPS>(dq, dout, q, k, v, lse, delta, HEADS);                                                                                              \
  }                                                                                                                                                       \
  KERNEL(TILED)                                                                                                                                           \
  attention_keygrad_f32_##variant(float* dk, float* dv, const float* dout, const float* q, const float* k, const float* v, const float* lse,            \
                                  const float* delta, HEADS_PARAMS) {                                                                                     \
    key_gradient<V, GROUPS>(dk, dv, dout, q, k, v, lse, delta, HEADS);                                                                                            \
  }

RUNG(any64, 1, 1)
RUNG(tile64, 4, 1)
RUNG(any256, 1, 4)
RUNG(tile256, 4, 4)
