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
// Ladder (thread instructions per multiply-add of the forward pass, counted by the emulator; one head, 128 tokens)
//   anytensor  0.32 (tf32, 256 channels): scalar fetches, one step at a time: any number of channels and any strides
//   tensor64   0.42 (tf32), 0.33 (bf16) at 64 channels; 2.1 and 1.9 at 8, most of it softmax: up to 64 channels, a multiple of eight; the
//              squares of a result are eight channels each, so that narrow heads waste none
//   tensor256  0.25 (tf32), 0.19 (bf16) at 256 channels: loads of 128 bits for the right factor of the result, two steps per turn of the
//              inner loop. Further channels are further blocks, which compute the scores again.
//   tensor3    0.46 (f32, 256 channels): float32 from three TF32 products, two words per value. Its sums are not bit for bit those of the
//              ordinary cores, so it runs when asked for.
#include "attention.cuh"
#include "tensor.cuh"

typedef float float2 __attribute__((ext_vector_type(2)));

const int SLOTS = 4;  // of 16 bytes, per thread and operand: 64 x 64 values

// Addresses in shared memory are 32 bits wide here: pointers take two registers each, and their offsets an instruction.
DEVICE u32 shared_address(const void* p) { return (u32)(u64)(const __attribute__((address_space(3))) void*)p; }
template <int OFFSET> DEVICE void load_pair(u32& a, u32& b, u32 address) {
  asm volatile("ld.shared.v2.u32 {%0, %1}, [%2+%3];" : "=r"(a), "=r"(b) : "r"(address), "n"(OFFSET) : "memory");
}
template <int OFFSET> DEVICE void load_word(u32& a, u32 address) {
  asm volatile("ld.shared.u32 %0, [%1+%2];" : "=r"(a) : "r"(address), "n"(OFFSET) : "memory");
}
template <int OFFSET> DEVICE void load_four(u32& a, u32& b, u32& c, u32& d, u32 address) {
  asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4+%5];" : "=r"(a), "=r"(b), "=r"(c), "=r"(d) : "r"(address), "n"(OFFSET) : "memory");
}
template <int OFFSET> DEVICE float4 load_quad(u32 address) {
  float a, b, c, d;
  asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4+%5];" : "=f"(a), "=f"(b), "=f"(c), "=f"(d) : "r"(address), "n"(OFFSET) : "memory");
  return float4{a, b, c, d};
}

// copy_quad starts a copy of 16 bytes to shared memory, of zeros if the source is not there; its address is free then.
template <int OFFSET> DEVICE void copy_quad(u32 to, const float* from, bool there) {
  u64 source = (u64)(const __attribute__((address_space(1))) float*)from;
  asm volatile("cp.async.cg.shared.global [%0+%3], [%1], 16, %2;" ::"r"(to), "l"(source), "r"(there ? 16 : 0), "n"(OFFSET) : "memory");
}
DEVICE void wait_all_copies() { asm volatile("cp.async.wait_group %0;" ::"n"(0) : "memory"); }

// TileShape is the shape of the tiles of a type.
template <class T> struct TileShape {
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
  typedef TileShape<T> Shape;
  static const int SIZE = T::TILES * Shape::SIZE, PITCH = 4 * Shape::ACROSS;
  // Channels of a step that are fetched: whole mmas along k, whole squares of the result.
  static const int WHOLE = W == 4 ? 32 : 16;
  // Bytes from a thread's slot to the next.
  static const int SLOT = 16 * THREADS;
  u32* rows;  // and columns and weights
  u32 slots;
  int t, dim;
  METHOD Tiles(const Heads& p) : t(p.t), dim(p.dim) {
    extern __shared__ float4 dynamic4[];
    slots = shared_address(dynamic4 + thread_x());
    rows = (u32*)(dynamic4 + 2 * SLOTS * THREADS);
  }
  METHOD u32* columns() const { return rows + SIZE; }
  METHOD u32* weights() const { return rows + 2 * SIZE; }

  // The thread fetches four channels of a step, the first of them channel(), of tokens across() + 16 * pass in the layout Across, of tokens
  // along(), the next, and 32 further on, in the layout Along.
  static METHOD int channel() { return thread_x() % 16 * 4; }
  static METHOD int across() { return thread_x() / 16; }
  static METHOD int along() { return thread_x() / 16 * 2; }
  METHOD bool fetches(int from) const { return channel() < (min(SIDE, dim - from) + WHOLE - 1) / WHOLE * WHOLE; }

  // Fetch walks over the tokens of a side that the thread fetches.
  struct Fetch {
    const float* p;
    int stride, left, channels;  // tokens from this one on, channels from the thread's on
    METHOD Fetch(const Tiles& tiles, Side s, int token, int from)
        : p(s.base + ((s.first + token) * s.stride + from + channel())), stride(s.stride), left(tiles.t - s.first - token), channels(tiles.dim - from - channel()) {
      if (channels <= 0) left = 0;
    }
    // start and arrived are the quad `tokens` further on, whose slot is OFFSET bytes further on.
    template <int OFFSET> METHOD void start(u32 slot, int tokens) const { copy_quad<OFFSET>(slot, p + tokens * stride, tokens < left); }
    template <int OFFSET> METHOD float4 arrived(u32 slot, int tokens) const {
      if (V == 4) return load_quad<OFFSET>(slot);
      return tokens < left ? get4<1>(p + tokens * stride, channels) : float4(0);
    }
  };

  // start_scores and start_values begin to fetch 64 channels, from `from` on, of both factors of the scores, and of the tokens that
  // weights multiply.
  METHOD void start_scores(Side row, Side column, int from) const {
    if (V != 4) return;
    if (fetches(from)) {
      Fetch a(*this, row, across(), from), b(*this, column, across(), from);
      a.template start<0>(slots, 0);
      a.template start<SLOT>(slots, 16);
      a.template start<2 * SLOT>(slots, 32);
      a.template start<3 * SLOT>(slots, 48);
      b.template start<4 * SLOT>(slots, 0);
      b.template start<5 * SLOT>(slots, 16);
      b.template start<6 * SLOT>(slots, 32);
      b.template start<7 * SLOT>(slots, 48);
    }
    commit_copies();
  }
  METHOD void start_values(Side s, int from) const {
    if (V != 4) return;
    if (fetches(from)) {
      Fetch a(*this, s, along(), from);
      a.template start<0>(slots, 0);
      a.template start<SLOT>(slots, 1);
      a.template start<2 * SLOT>(slots, 32);
      a.template start<3 * SLOT>(slots, 33);
    }
    commit_copies();
  }

  // arrive_scores and arrive_values put what was started into the tiles.
  METHOD void arrive_scores(Side row, Side column, int from) const {
    if (V == 4) wait_all_copies();
    if (!fetches(from)) return;
    Fetch a(*this, row, across(), from), b(*this, column, across(), from);
    u32 *x = rows + across() * Shape::ACROSS + T::word(channel()), *y = columns() + Shape::row(across()) * Shape::ACROSS + T::word(channel());
    const int step = 16 * Shape::ACROSS;
    T::put_k(x, a.template arrived<0>(slots, 0), Shape::SIZE);
    T::put_k(x + step, a.template arrived<SLOT>(slots, 16), Shape::SIZE);
    T::put_k(x + 2 * step, a.template arrived<2 * SLOT>(slots, 32), Shape::SIZE);
    T::put_k(x + 3 * step, a.template arrived<3 * SLOT>(slots, 48), Shape::SIZE);
    T::put_k(y, b.template arrived<4 * SLOT>(slots, 0), Shape::SIZE);
    T::put_k(y + step, b.template arrived<5 * SLOT>(slots, 16), Shape::SIZE);
    T::put_k(y + 2 * step, b.template arrived<6 * SLOT>(slots, 32), Shape::SIZE);
    T::put_k(y + 3 * step, b.template arrived<7 * SLOT>(slots, 48), Shape::SIZE);
  }
  METHOD void arrive_values(Side s, int from) const {
    if (V == 4) wait_all_copies();
    if (!fetches(from)) return;
    Fetch a(*this, s, along(), from);
    u32* x = columns() + T::word(along()) * Shape::ALONG + channel();
    T::put_i(x, Shape::ALONG, a.template arrived<0>(slots, 0), a.template arrived<SLOT>(slots, 1), Shape::SIZE);
    T::put_i(x + T::word(32) * Shape::ALONG, Shape::ALONG, a.template arrived<2 * SLOT>(slots, 32), a.template arrived<3 * SLOT>(slots, 33), Shape::SIZE);
  }

  // left loads the lane's fragment of a left factor, a tile Across, OFFSET bytes on; right<Q> that of square Q of a right factor of the scores.
  template <int OFFSET> static METHOD void left(u32 (&u)[T::TILES][4], u32 x) {
    load_pair<OFFSET>(u[0][0], u[0][2], x);
    load_pair<OFFSET + 8 * PITCH>(u[0][1], u[0][3], x);
    if constexpr (T::TILES == 2) {
      load_pair<OFFSET + 4 * Shape::SIZE>(u[1][0], u[1][2], x);
      load_pair<OFFSET + 4 * Shape::SIZE + 8 * PITCH>(u[1][1], u[1][3], x);
    }
  }
  template <int Q, int OFFSET> static METHOD void right(u32 (&v)[T::TILES][2], u32 y) {
    load_pair<OFFSET + 8 * Q * PITCH>(v[0][0], v[0][1], y);
    if constexpr (T::TILES == 2) load_pair<OFFSET + 4 * Shape::SIZE + 8 * Q * PITCH>(v[1][0], v[1][1], y);
  }

  // walk takes steps over `words` of the left factor at x, eight words each: two per turn, but in narrow rungs, whose registers are half as
  // many.
  template <class Steps> static METHOD void walk(u32 x, int words, Steps steps) {
    const int TURN = W == 4 ? 2 : 1;
    u32 end = x + 4 * words;
    for (; x + 32 * (TURN - 1) < end; x += 32 * TURN) {
      steps.template step<0>(x);
      if constexpr (TURN == 2) steps.template step<1>(x);
      steps.next(TURN);
    }
    if (TURN == 2 && x < end) steps.template step<0>(x);
  }

  // Scores adds the products of eight words of channels to the warp's 16 x 32 scores.
  struct Scores {
    Sums (&sum)[4];
    u32 y;
    template <int HALF> METHOD void step(u32 x) {
      u32 u[T::TILES][4], v[4][T::TILES][2];
      left<32 * HALF>(u, x);
      right<0, 32 * HALF>(v[0], y);
      right<1, 32 * HALF>(v[1], y);
      right<2, 32 * HALF>(v[2], y);
      right<3, 32 * HALF>(v[3], y);
#pragma unroll
      for (int q = 0; q < 4; q++) T::multiply(sum[q], u, v[q]);
    }
    METHOD void next(int steps) { y += 32 * steps; }
  };
  METHOD void multiply_scores(Sums (&sum)[4], Spot at, int from) const {
    u32 x = shared_address(rows) + at.row * PITCH + 8 * at.t, y = shared_address(columns()) + (at.half * 32 + at.lane) * PITCH + 8 * at.t;
    walk(x, Shape::words(min(SIDE, dim - from)), Scores{sum, y});
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

  // Values adds eight words of weighted tokens to the warp's 16 rows of half the channels: 32 that are neighbours, of which a lane has four,
  // or every other square of eight.
  struct Values {
    static const int ROW = 4 * Shape::ALONG;  // bytes
    Sums (&sum)[4];
    u32 y;
    int channels;  // from the warp's first on
    template <int HALF> METHOD void step(u32 x) {
      u32 u[T::TILES][4], v[4][T::TILES][2];
      left<32 * HALF>(u, x);
      if constexpr (W == 4) {
        load_four<8 * HALF * ROW>(v[0][0][0], v[1][0][0], v[2][0][0], v[3][0][0], y);
        load_four<8 * HALF * ROW + ROW>(v[0][0][1], v[1][0][1], v[2][0][1], v[3][0][1], y);
        if constexpr (T::TILES == 2) {
          load_four<8 * HALF * ROW + 4 * Shape::SIZE>(v[0][1][0], v[1][1][0], v[2][1][0], v[3][1][0], y);
          load_four<8 * HALF * ROW + 4 * Shape::SIZE + ROW>(v[0][1][1], v[1][1][1], v[2][1][1], v[3][1][1], y);
        }
#pragma unroll
        for (int q = 0; q < 4; q++) T::multiply(sum[q], u, v[q]);
      } else {
        square<0, 8 * HALF * ROW>(u);
        if (channels > 16) square<1, 8 * HALF * ROW>(u);
        if (channels > 32) square<2, 8 * HALF * ROW>(u);
        if (channels > 48) square<3, 8 * HALF * ROW>(u);
      }
    }
    template <int Q, int OFFSET> METHOD void square(const u32 (&u)[1][4]) {
      u32 v[1][2];
      load_word<OFFSET + 64 * Q>(v[0][0], y);
      load_word<OFFSET + 64 * Q + ROW>(v[0][1], y);
      T::multiply(sum[Q], u, v);
    }
    METHOD void next(int steps) { y += 8 * steps * ROW; }
  };
  METHOD void multiply_values(Sums (&sum)[4], const u32* tile, Spot at, int count, int from) const {
    int channels = dim - from - at.half * (W == 4 ? 32 : 8);
    if (channels <= 0) return;
    u32 x = shared_address(tile) + at.row * PITCH + 8 * at.t;
    u32 y = shared_address(columns()) + 2 * at.t * Values::ROW + 4 * (W == 4 ? at.half * 32 + at.lane * 4 : at.half * 8 + at.lane);
    walk(x, Shape::words(min(SIDE, count)), Values{sum, y, channels});
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
          float* p = to + (token * stride + c);
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
        bool there = first + spot.half * 32 + TileShape<T>::column(i, spot.t, e % 2) < p.t;
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
    tiles.put_weights(tiles.weights(), s, spot);
    tiles.template values<GROUPS>(out, tiles.weights(), tokens, spot, at.from, [&] {
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
    const int SQUARES = QUERY_ROWS ? 1 : 4;  // whose queries differ
    float shift[SQUARES][2], taken[SQUARES][2];
#pragma unroll
    for (int i = 0; i < SQUARES; i++) {
#pragma unroll
      for (int e = 0; e < 2; e++) {
        int n = query + (QUERY_ROWS ? spot.row + 8 * e : spot.half * 32 + TileShape<T>::column(i, spot.t, e));
        shift[i][e] = n < t ? -Power<T>::scale(lse[n]) : LOWEST;  // weight 0
        taken[i][e] = n < t ? delta[n] : 0;
      }
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
      for (int e = 0; e < 4; e++) {
        int j = key + (QUERY_ROWS ? spot.half * 32 + TileShape<T>::column(i, spot.t, e % 2) : spot.row + e / 2 * 8);
        int square = QUERY_ROWS ? 0 : i, n = QUERY_ROWS ? e / 2 : e % 2;
        float w = Power<T>::raise(fma(scale, s[i].c[e], shift[square][n]));
        w = j < t ? w : 0;
        s[i].c[e] = w;
        d[i].c[e] = w * (d[i].c[e] - taken[square][n]);
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
    tiles.put_weights(tiles.weights(), d, spot);
    barrier();
    tiles.template values<GROUPS>(sum, tiles.weights(), keys, spot, at.from, [&] {
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
    tiles.put_weights(tiles.weights(), s, spot);
    barrier();  // the rows' tile, too, may be overwritten
    tiles.put_weights(tiles.rows, d, spot);
    tiles.template values<GROUPS>(value_sum, tiles.weights(), cotangents, spot, at.from, [&] { tiles.start_values(queries, at.from); });
    tiles.template values<GROUPS>(key_sum, tiles.rows, queries, spot, at.from, [&] {
      if (first + SIDE < p.t) tiles.start_scores(keys, Side{q + in, p.in, first + SIDE}, 0);
    });
  }
  tiles.template put<GROUPS>(dk + in, p.in, at.first, spot, key_sum, p.scale, p.scale, at.from);
  tiles.template put<GROUPS>(dv + in, p.in, at.first, spot, value_sum, 1, 1, at.from);
}

#define RUNG(KERNEL, GRAD_KERNEL, type, T, variant, V, GROUPS, W)                                                                                 \
  KERNEL(THREADS) attention_forward_##type##_##variant(float* o, float* lse, const float* q, const float* k, const float* v, HEADS_PARAMS) {      \
    forward<T, V, GROUPS, W>(o, lse, q, k, v, HEADS);                                                                                             \
  }                                                                                                                                               \
  GRAD_KERNEL(THREADS)                                                                                                                            \
  attention_querygrad_##type##_##variant(float* dq, const float* dout, const float* q, const float* k, const float* v, const float* lse,          \
                                         const float* delta, HEADS_PARAMS) {                                                                      \
    query_gradient<T, V, GROUPS, W>(dq, dout, q, k, v, lse, delta, HEADS);                                                                        \
  }                                                                                                                                               \
  GRAD_KERNEL(THREADS)                                                                                                                            \
  attention_keygrad_##type##_##variant(float* dk, float* dv, const float* dout, const float* q, const float* k, const float* v, const float* lse, \
                                       const float* delta, HEADS_PARAMS) {                                                                        \
    key_gradient<T, V, GROUPS, W>(dk, dv, dout, q, k, v, lse, delta, HEADS);                                                                      \
  }
// Two blocks share a multiprocessor in the narrow rung, but not in its gradients, which have no room in half the registers.
#define RUNGS(type, T)                                            \
  RUNG(KERNEL, KERNEL, type, T, anytensor, 1, 4, 4)               \
  RUNG(KERNEL_PAIR, KERNEL, type, T, tensor64, 4, 1, 1)           \
  RUNG(KERNEL, KERNEL, type, T, tensor256, 4, 4, 4)

RUNGS(tf32, TF32)
RUNGS(bf16, BF16)
RUNG(KERNEL, KERNEL, f32, TF32x3, tensor3, 4, 4, 4)

KERNEL(THREADS) attention_delta_tf32_naive(DELTA_PARAMS) {
  token_delta(delta, dout, o, rows, t, heads, dim, out, THREADS, [](float g) { return from_bits(tf32(g)); });
}
KERNEL(THREADS) attention_delta_bf16_naive(DELTA_PARAMS) {
  token_delta(delta, dout, o, rows, t, heads, dim, out, THREADS, [](float g) { return from_bits(BF16::pack(0, g)); });
}
