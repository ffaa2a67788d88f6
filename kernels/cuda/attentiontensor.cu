// Attention and its gradients on tensor cores (sm_80), in the types of tensor.cuh. See attention.cu for the sums.
//
// A block of 8 warps takes 64 tokens, its rows, and walks over the other tokens, its columns, 64 at a time. The scores of a tile are a
// product over the channels, 64 per step: warp w has 16 rows (w % 4) and 32 columns (half w / 4). The weights that come of them are rounded
// into a tile of shared memory and multiply the columns' tokens, 64 channels per step: a warp has its 16 rows and half the channels, and
// the sums of all channels stay in registers, so that no score is computed twice. The operands of the next step fly to the thread's own
// slots with cp.async while this one is multiplied; they are rounded once, on their way to the tile.
//
// Tiles hold words, as those of tensor.cuh, in two layouts: Across, [token][word of channels], for both factors of the scores and for the
// weights ([row][word of columns]); Along, [word of tokens][channel]. The order of k within an mma is free if both factors agree, so a lane
// takes words 2t and 2t + 1 where the instruction has t and t + 4: one 64-bit load. Which of a result's columns is which is free, too:
// four neighbouring channels of a lane, one 128-bit load, are four squares of eight columns. Nothing has bank conflicts.
//
// Ladder (thread instructions per multiply-add of the forward pass of 128 tokens, one head, counted by the emulator)
//   anytensor  scalar fetches: any number of channels and any strides
//   tensor64   up to 64 channels, a multiple of eight; the squares of a result are eight channels each, and none is wasted on narrow heads
//   tensor256  up to 256 channels (more are further blocks, which compute the scores again)
//   tensor3    float32 from three TF32 products (f32). Its sums are not those of the ordinary cores, so it runs when asked for.
#include "attention.cuh"
#include "tensor.cuh"

typedef float float2 __attribute__((ext_vector_type(2)));

const int SLOTS = 4;  // of 16 bytes, per thread and operand: 64 x 64 values

// load_pair is one 64-bit load from shared memory, for certain (see load_shared4).
DEVICE void load_pair(u32& a, u32& b, const u32* p) {
  u32 address = (u32)(u64)(const __attribute__((address_space(3))) void*)p;
  asm volatile("ld.shared.v2.u32 {%0, %1}, [%2];" : "=r"(a), "=r"(b) : "r"(address) : "memory");
}

DEVICE void wait_all_copies() { asm volatile("cp.async.wait_group %0;" ::"n"(0) : "memory"); }

// Source is where four neighbours of an operand lie, if they exist.
struct Source {
  const float* p;
  bool there;
};

// Tile is the shape of the tiles of a type.
template <class T> struct Tile {
  static const bool PAIRS = T::WORDS < DEPTH;                                    // two values per word
  static const int WORDS = SIDE * T::WORDS / DEPTH, STEP = 8 * SIDE / WORDS;     // words of SIDE values; values of an mma's depth
  static const int ACROSS = WORDS + 8, ALONG = SIDE + 4, SIZE = SIDE * ACROSS;   // pitches; words of either layout
  static METHOD int words(int values) { return (values + STEP - 1) / STEP * 8; }  // of whole mmas
  // row is that of a column's token in a tile Across, and column its inverse: of column 2t + e in square q of eight rows. With two values
  // per word, a lane's columns of two squares are four neighbours, so that it stores their weights as two words.
  static METHOD int row(int token) { return PAIRS ? token / 16 * 16 + token / 2 % 2 * 8 + token / 4 % 4 * 2 + token % 2 : token; }
  static METHOD int column(int q, int t, int e) { return PAIRS ? q / 2 * 16 + t * 4 + q % 2 * 2 + e : q * 8 + t * 2 + e; }
};

// Spot is the lane's place: of its first row and its first row of columns, and where its words start.
struct Spot {
  int row, half, lane, t;
  METHOD Spot() {
    int warp = thread_x() / WARP;
    lane = thread_x() % WARP / 4;
    t = thread_x() % 4;
    row = warp % 4 * 16 + lane;
    half = warp / 4;
  }
};

// Tiles is the shared memory of a block: dynamic, slots for two operands, then three tiles.
template <class T, int V, int W> struct Tiles {
  typedef Tile<T> Shape;
  static const int SIZE = T::TILES * Shape::SIZE;
  // Channels of a step that are fetched: whole mmas along k, whole squares of the result.
  static const int WHOLE = W == 4 ? 32 : 16;
  float4* slots;
  u32 *rows, *columns, *weights;
  int t, dim;
  METHOD Tiles(const Heads& p) : t(p.t), dim(p.dim) {
    extern __shared__ float4 dynamic4[];
    slots = dynamic4 + thread_x();
    rows = (u32*)(dynamic4 + 2 * SLOTS * THREADS);
    columns = rows + SIZE;
    weights = columns + SIZE;
  }

  // channel is the thread's first of the step's; it fetches those of tokens `token(pass)` of a side.
  static METHOD int channel() { return thread_x() % 16 * 4; }
  static METHOD int across(int pass) { return thread_x() / 16 + 16 * pass; }
  static METHOD int along(int pass) { return thread_x() / 16 * 2 + pass / 2 * 32 + pass % 2; }
  METHOD bool fetches(int from) const { return channel() < (min(SIDE, dim - from) + WHOLE - 1) / WHOLE * WHOLE; }

  METHOD void fetch(float4* slot, Side s, int token, int from) const {
    int c = from + channel();
    bool there = s.first + token < t && c < dim;
    copy_async(slot, Source{s.base + (there ? (s.first + token) * s.stride + c : 0), there});  // 32 bits: fewer registers
  }
  METHOD float4 arrived(const float4* slot, Side s, int token, int from) const {
    if (V == 4) return load_shared4(slot);
    int c = from + channel();
    float4 v = 0;
    if (s.first + token < t) v = get4<V>(s.base + ((s.first + token) * s.stride + c), dim - c);
    return v;
  }

  // start_scores and start_values begin to fetch 64 channels, from `from` on, of both factors of the scores, and of the tokens that
  // weights multiply.
  METHOD void start_scores(Side row, Side column, int from) const {
    if (V != 4) return;
    if (fetches(from)) {
#pragma unroll
      for (int pass = 0; pass < SLOTS; pass++) {
        fetch(slots + pass * THREADS, row, across(pass), from);
        fetch(slots + (SLOTS + pass) * THREADS, column, across(pass), from);
      }
    }
    commit_copies();
  }
  METHOD void start_values(Side s, int from) const {
    if (V != 4) return;
    if (fetches(from)) {
#pragma unroll
      for (int pass = 0; pass < SLOTS; pass++) fetch(slots + pass * THREADS, s, along(pass), from);
    }
    commit_copies();
  }

  // arrive_scores and arrive_values put what was started into the tiles.
  METHOD void arrive_scores(Side row, Side column, int from) const {
    if (V == 4) wait_all_copies();
    if (!fetches(from)) return;
    int word = T::word(channel());
#pragma unroll
    for (int pass = 0; pass < SLOTS; pass++) {
      int token = across(pass);
      T::put_k(rows + token * Shape::ACROSS + word, arrived(slots + pass * THREADS, row, token, from), Shape::SIZE);
      T::put_k(columns + Shape::row(token) * Shape::ACROSS + word, arrived(slots + (SLOTS + pass) * THREADS, column, token, from), Shape::SIZE);
    }
  }
  METHOD void arrive_values(Side s, int from) const {
    if (V == 4) wait_all_copies();
    if (!fetches(from)) return;
#pragma unroll
    for (int pass = 0; pass < SLOTS; pass += 2) {
      int token = along(pass);
      float4 first = arrived(slots + pass * THREADS, s, token, from), second = arrived(slots + (pass + 1) * THREADS, s, token + 1, from);
      T::put_i(columns + T::word(token) * Shape::ALONG + channel(), Shape::ALONG, first, second, Shape::SIZE);
    }
  }

  // left loads the lane's fragment of a left factor, a tile Across.
  static METHOD void left(u32 (&u)[T::TILES][4], const u32* tile, Spot at, int w) {
#pragma unroll
    for (int i = 0; i < T::TILES; i++) {
      const u32* x = tile + i * Shape::SIZE + at.row * Shape::ACROSS + w + 2 * at.t;
      load_pair(u[i][0], u[i][2], x);
      load_pair(u[i][1], u[i][3], x + 8 * Shape::ACROSS);
    }
  }

  // multiply_scores adds the products of the step's channels to the warp's 16 x 32 scores.
  METHOD void multiply_scores(Sums (&sum)[4], Spot at, int from) const {
    int words = Shape::words(min(SIDE, dim - from));
    for (int w = 0; w < words; w += 8) {
      u32 u[T::TILES][4], v[T::TILES][2];
      left(u, rows, at, w);
#pragma unroll
      for (int q = 0; q < 4; q++) {
#pragma unroll
        for (int i = 0; i < T::TILES; i++) load_pair(v[i][0], v[i][1], columns + i * Shape::SIZE + (at.half * 32 + q * 8 + at.lane) * Shape::ACROSS + w + 2 * at.t);
        T::multiply(sum[q], u, v);
      }
    }
  }

  // scores is all steps of the product of two sides; what follows them is started by `next` while the last is multiplied.
  template <class Next> METHOD void scores(Sums (&sum)[4], Side row, Side column, Spot at, const Next& next) const {
    for (int from = 0; from < dim; from += SIDE) {
      arrive_scores(row, column, from);
      barrier();
      if (from + SIDE < dim) {
        start_scores(row, column, from + SIDE);
      } else {
        next();
      }
      multiply_scores(sum, at, from);
      if (from + SIDE < dim) barrier();
    }
  }

  // put_weights stores the warp's part of a tile of weights.
  static METHOD void put_weights(u32* tile, const Sums (&w)[4], Spot at) {
    u32* p = tile + at.row * Shape::ACROSS + T::word(at.half * 32) + 2 * at.t;
#pragma unroll
    for (int q = 0; q < 4; q++) {
      if (!Shape::PAIRS) {
        __attribute__((aligned(16))) u32 words[4 * T::TILES];
        T::put_k(words, float4{w[q].c[0], w[q].c[1], w[q].c[2], w[q].c[3]}, 4);
#pragma unroll
        for (int i = 0; i < T::TILES; i++) {
          *(uint2*)(p + i * Shape::SIZE + 8 * q) = uint2{words[4 * i], words[4 * i + 1]};
          *(uint2*)(p + i * Shape::SIZE + 8 * q + 8 * Shape::ACROSS) = uint2{words[4 * i + 2], words[4 * i + 3]};
        }
      } else if (q % 2 == 0) {
        T::put_k(p + 4 * q, float4{w[q].c[0], w[q].c[1], w[q + 1].c[0], w[q + 1].c[1]}, Shape::SIZE);
        T::put_k(p + 4 * q + 8 * Shape::ACROSS, float4{w[q].c[2], w[q].c[3], w[q + 1].c[2], w[q + 1].c[3]}, Shape::SIZE);
      }
    }
  }

  // multiply_values adds the weighted tokens, of which `count` exist, to the warp's 16 rows of half the channels.
  METHOD void multiply_values(Sums (&sum)[4], const u32* tile, Spot at, int count, int from) const {
    int words = Shape::words(min(SIDE, count)), channels = dim - from;
    if (W == 4 && at.half * 32 >= channels) return;
    for (int w = 0; w < words; w += 8) {
      u32 u[T::TILES][4], v[4][T::TILES][2];
      left(u, tile, at, w);
      const u32* x = columns + (w + 2 * at.t) * Shape::ALONG;
      if (W == 4) {
#pragma unroll
        for (int i = 0; i < T::TILES; i++) {
          float4 first = load_shared4(x + i * Shape::SIZE + at.half * 32 + at.lane * 4), second = load_shared4(x + i * Shape::SIZE + Shape::ALONG + at.half * 32 + at.lane * 4);
#pragma unroll
          for (int q = 0; q < 4; q++) v[q][i][0] = bits(first[q]), v[q][i][1] = bits(second[q]);
        }
#pragma unroll
        for (int q = 0; q < 4; q++) T::multiply(sum[q], u, v[q]);
      } else {
#pragma unroll
        for (int q = 0; q < 4; q++) {
          int square = 2 * q + at.half;
          if (8 * square >= channels) break;
#pragma unroll
          for (int i = 0; i < T::TILES; i++) v[q][i][0] = x[i * Shape::SIZE + 8 * square + at.lane], v[q][i][1] = x[i * Shape::SIZE + Shape::ALONG + 8 * square + at.lane];
          T::multiply(sum[q], u, v[q]);
        }
      }
    }
  }

  // values is all steps of the product of a tile of weights with a side's tokens, whose first step has been started.
  template <int GROUPS, class Next> METHOD void values(Sums (&sum)[GROUPS][4], const u32* tile, Side s, Spot at, int first, const Next& next) const {
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
      int from = first + g * SIDE;
      if (from < dim) {
        arrive_values(s, from);
        barrier();
        if (g + 1 < GROUPS && from + SIDE < dim) {
          start_values(s, from + SIDE);
        } else {
          next();
        }
        multiply_values(sum[g], tile, at, t - s.first, from);
        barrier();
      }
    }
  }

  // put writes the block's rows of a result.
  template <int GROUPS> METHOD void put(float* to, int stride, int row, Spot at, const Sums (&sum)[GROUPS][4], float upper, float lower, int first) const {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      int token = row + at.row + 8 * half;
      if (token >= t) continue;
      float scale = half == 0 ? upper : lower;
#pragma unroll
      for (int g = 0; g < GROUPS; g++) {
        const Sums(&s)[4] = sum[g];
#pragma unroll
        for (int q = 0; q < (W == 4 ? 2 : 4); q++) {
          int c = first + g * SIDE + (W == 4 ? at.half * 32 + at.t * 8 + q * 4 : (2 * q + at.half) * 8 + at.t * 2), e = 2 * half + (W == 4 ? q : 0);
          float* p = to + (i64)token * stride + c;
          if (W == 4) {
            write4<V>(p, scale * float4{s[0].c[e], s[1].c[e], s[2].c[e], s[3].c[e]}, dim - c, 0);
          } else if (c < dim) {
            *(float2*)p = scale * float2{s[q].c[e], s[q].c[e + 1]};
          }
        }
      }
    }
  }
};

// Power is what softmax weights are powers of: of 2, of scores that are scaled by log2 e, which is exact to about 1e-5 and so far finer
// than the rounding of the weights; or of e, to the last places, for float32.
template <class T> struct Power {
  static const bool TWO = T::TILES == 1;
  static METHOD float scale(float s) { return TWO ? s * 1.44269504f : s; }
  static METHOD float raise(float x) { return TWO ? exp2_approx(x) : exponential(x); }
  // log is the natural logarithm of what raise would give for x.
  static METHOD float log(float x) { return TWO ? x * 0.69314718f : x; }
};

const float LOWEST = -3.4e38f;

// Sums and maxima over the four lanes of a row.
DEVICE float quad_sum(float v) {
  v += shuffle_xor(v, 1);
  return v + shuffle_xor(v, 2);
}
DEVICE float quad_max(float v) {
  v = max(v, shuffle_xor(v, 1));
  return max(v, shuffle_xor(v, 2));
}

template <class T, int V, int GROUPS, int W> DEVICE void forward(float* o, float* lse, const float* q, const float* k, const float* v, const Heads& p) {
  __shared__ float room[2][SIDE];
  Tiles<T, V, W> tiles(p);
  Tokens<GROUPS> at(p);
  Spot spot;
  i64 in = at.start(p, p.in);
  Side queries{q + in, p.in, at.first};
  Sums out[GROUPS][4] = {};
  float largest[2] = {LOWEST, LOWEST}, total[2] = {0, 0}, scale = Power<T>::scale(p.scale);
  tiles.start_scores(queries, Side{k + in, p.in, 0}, 0);
  for (int first = 0; first < p.t; first += SIDE) {
    Side keys{k + in, p.in, first}, tokens{v + in, p.in, first};
    Sums s[4] = {};
    tiles.scores(s, queries, keys, spot, [&] { tiles.start_values(tokens, at.from); });
    float best[2] = {LOWEST, LOWEST};
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
      for (int e = 0; e < 4; e++) {
        bool there = first + spot.half * 32 + Tile<T>::column(i, spot.t, e % 2) < p.t;
        s[i].c[e] = there ? scale * s[i].c[e] : LOWEST;
        best[e / 2] = max(best[e / 2], s[i].c[e]);
      }
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
      best[r] = quad_max(best[r]);
      if (spot.t == 0) room[spot.half][spot.row + 8 * r] = best[r];
    }
    barrier();
#pragma unroll
    for (int r = 0; r < 2; r++) {
      best[r] = max(largest[r], max(best[r], room[1 - spot.half][spot.row + 8 * r]));
      float fade = Power<T>::raise(largest[r] - best[r]);
      largest[r] = best[r];
      total[r] = total[r] * fade;
#pragma unroll
      for (int g = 0; g < GROUPS; g++) {
#pragma unroll
        for (int i = 0; i < 4; i++) out[g][i].c[2 * r] *= fade, out[g][i].c[2 * r + 1] *= fade;
      }
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
      for (int e = 0; e < 4; e++) {
        s[i].c[e] = Power<T>::raise(s[i].c[e] - best[e / 2]);
        total[e / 2] += s[i].c[e];
      }
    }
    tiles.put_weights(tiles.weights, s, spot);
    tiles.template values<GROUPS>(out, tiles.weights, tokens, spot, at.from, [&] {
      if (first + SIDE < p.t) tiles.start_scores(queries, Side{k + in, p.in, first + SIDE}, 0);
    });
  }
#pragma unroll
  for (int r = 0; r < 2; r++) {
    total[r] = quad_sum(total[r]);
    if (spot.t == 0) room[spot.half][spot.row + 8 * r] = total[r];
  }
  barrier();
#pragma unroll
  for (int r = 0; r < 2; r++) {
    int row = spot.row + 8 * r;
    total[r] = room[0][row] + room[1][row];
    if (at.first + row < p.t && spot.half == 0 && spot.t == 0 && at.from == 0) lse[at.row + at.first + row] = Power<T>::log(largest[r]) + logarithm(total[r]);
  }
  tiles.template put<GROUPS>(o + at.start(p, p.out), p.out, at.first, spot, out, 1 / total[0], 1 / total[1], at.from);
}

// Weights of a tile, from the products of queries and keys (s) and of do and v (d): softmax weights and the cotangents of the scores,
// weight (dp - delta). QUERY_ROWS says whether the queries are the rows or the columns.
template <class T, bool QUERY_ROWS> struct Weights {
  float scale;
  METHOD Weights(const Heads& p) : scale(Power<T>::scale(p.scale)) {}
  METHOD void weigh(Sums (&s)[4], Sums (&d)[4], Spot spot, const float* lse, const float* delta, int query, int key, int t) const {
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
      for (int e = 0; e < 4; e++) {
        int row = spot.row + e / 2 * 8, column = spot.half * 32 + Tile<T>::column(i, spot.t, e % 2);
        int n = query + (QUERY_ROWS ? row : column), j = key + (QUERY_ROWS ? column : row);
        float w = 0;
        if (n < t && j < t) w = Power<T>::raise(fma(scale, s[i].c[e], -Power<T>::scale(lse[n])));
        s[i].c[e] = w;
        d[i].c[e] = w * (d[i].c[e] - (n < t ? delta[n] : 0));
      }
    }
  }
};

template <class T, int V, int GROUPS, int W>
DEVICE void query_gradient(float* dq, const float* dout, const float* q, const float* k, const float* v, const float* lse, const float* delta, const Heads& p) {
  Tiles<T, V, W> tiles(p);
  Tokens<GROUPS> at(p);
  Spot spot;
  Weights<T, true> weights(p);
  i64 in = at.start(p, p.in), out = at.start(p, p.out);
  Side queries{q + in, p.in, at.first}, cotangents{dout + out, p.out, at.first};
  Sums sum[GROUPS][4] = {};
  tiles.start_scores(queries, Side{k + in, p.in, 0}, 0);
  for (int first = 0; first < p.t; first += SIDE) {
    Side keys{k + in, p.in, first}, tokens{v + in, p.in, first};
    Sums s[4] = {}, d[4] = {};
    tiles.scores(s, queries, keys, spot, [&] { tiles.start_scores(cotangents, tokens, 0); });
    barrier();
    tiles.scores(d, cotangents, tokens, spot, [&] { tiles.start_values(keys, at.from); });
    weights.weigh(s, d, spot, lse + at.row, delta + at.row, at.first, first, p.t);
    tiles.put_weights(tiles.weights, d, spot);
    barrier();
    tiles.template values<GROUPS>(sum, tiles.weights, keys, spot, at.from, [&] {
      if (first + SIDE < p.t) tiles.start_scores(queries, Side{k + in, p.in, first + SIDE}, 0);
    });
  }
  tiles.template put<GROUPS>(dq + in, p.in, at.first, spot, sum, p.scale, p.scale, at.from);
}

template <class T, int V, int GROUPS, int W>
DEVICE void key_gradient(float* dk, float* dv, const float* dout, const float* q, const float* k, const float* v, const float* lse, const float* delta,
                         const Heads& p) {
  Tiles<T, V, W> tiles(p);
  Tokens<GROUPS> at(p);
  Spot spot;
  Weights<T, false> weights(p);
  i64 in = at.start(p, p.in), out = at.start(p, p.out);
  Side keys{k + in, p.in, at.first}, tokens{v + in, p.in, at.first};
  Sums key_sum[GROUPS][4] = {}, value_sum[GROUPS][4] = {};
  tiles.start_scores(keys, Side{q + in, p.in, 0}, 0);
  for (int first = 0; first < p.t; first += SIDE) {
    Side queries{q + in, p.in, first}, cotangents{dout + out, p.out, first};
    Sums s[4] = {}, d[4] = {};
    tiles.scores(s, keys, queries, spot, [&] { tiles.start_scores(tokens, cotangents, 0); });
    barrier();
    tiles.scores(d, tokens, cotangents, spot, [&] { tiles.start_values(cotangents, at.from); });
    weights.weigh(s, d, spot, lse + at.row, delta + at.row, first, at.first, p.t);
    tiles.put_weights(tiles.weights, s, spot);
    barrier();  // the rows' tile, too, may be overwritten
    tiles.put_weights(tiles.rows, d, spot);
    tiles.template values<GROUPS>(value_sum, tiles.weights, cotangents, spot, at.from, [&] { tiles.start_values(queries, at.from); });
    tiles.template values<GROUPS>(key_sum, tiles.rows, queries, spot, at.from, [&] {
      if (first + SIDE < p.t) tiles.start_scores(keys, Side{q + in, p.in, first + SIDE}, 0);
    });
  }
  tiles.template put<GROUPS>(dk + in, p.in, at.first, spot, key_sum, p.scale, p.scale, at.from);
  tiles.template put<GROUPS>(dv + in, p.in, at.first, spot, value_sum, 1, 1, at.from);
}

#define RUNG(KERNEL, type, T, variant, V, GROUPS, W)                                                                                                            \
  KERNEL(THREADS) attention_forward_##type##_##variant(float* o, float* lse, const float* q, const float* k, const float* v, HEADS_PARAMS) {             \
    forward<T, V, GROUPS, W>(o, lse, q, k, v, HEADS);                                                                                                    \
  }                                                                                                                                                      \
  KERNEL(THREADS)                                                                                                                                        \
  attention_querygrad_##type##_##variant(float* dq, const float* dout, const float* q, const float* k, const float* v, const float* lse,                \
                                         const float* delta, HEADS_PARAMS) {                                                                             \
    query_gradient<T, V, GROUPS, W>(dq, dout, q, k, v, lse, delta, HEADS);                                                                               \
  }                                                                                                                                                      \
  KERNEL(THREADS)                                                                                                                                        \
  attention_keygrad_##type##_##variant(float* dk, float* dv, const float* dout, const float* q, const float* k, const float* v, const float* lse,       \
                                       const float* delta, HEADS_PARAMS) {                                                                               \
    key_gradient<T, V, GROUPS, W>(dk, dv, dout, q, k, v, lse, delta, HEADS);                                                                             \
  }
#define RUNGS(type, T)                      \
  RUNG(KERNEL, type, T, anytensor, 1, 4, 4) \
  RUNG(KERNEL_PAIR, type, T, tensor64, 4, 1, 1)  \
  RUNG(KERNEL, type, T, tensor256, 4, 4, 4)

RUNGS(tf32, TF32)
RUNGS(bf16, BF16)
RUNG(KERNEL, f32, TF32x3, tensor3, 4, 4, 4)

KERNEL(THREADS) attention_delta_tf32_naive(DELTA_PARAMS) {
  token_delta(delta, dout, o, rows, t, heads, dim, out, THREADS, [](float g) { return from_bits(tf32(g)); });
}
KERNEL(THREADS) attention_delta_bf16_naive(DELTA_PARAMS) {
  token_delta(delta, dout, o, rows, t, heads, dim, out, THREADS, [](float g) { return from_bits(BF16::pack(0, g)); });
}
