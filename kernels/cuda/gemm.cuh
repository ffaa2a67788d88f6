// The tile engine of every product on the ordinary cores: a block of THREADS threads multiplies an A tile of ROWS x DEPTH by a B tile of
// DEPTH x COLUMNS per step, and every thread keeps a few rows of one or two times four neighbouring sums in registers.
//
//   W = 128   128 x 128 tiles, depth 8, 8 x 8 sums per thread: 512 fused multiply-adds for 32 shared loads of 128 bits per 8 steps of k
//   W = 64    64 x 64 tiles, depth 16, 4 x 4 sums
//   W = 32    32 x 32 tiles, depth 32, 1 x 4 sums: for products of few rows, which take as long as their operand of many
//
// What whole tiles leave of the rows and of the columns is cut into tiles of half and of a quarter of W (64 = 32 + 32), in the same launch: a
// product of 288 rows is two tiles of 128 and one of 32, and no block multiplies zeros to fill a tile.
//
// Both tiles of a step hold at most 1024 floats, one 128-bit load per thread each. The next step's tiles are fetched into registers while
// this one is multiplied, and stored to the other half of the double buffer, so one barrier per step is enough. Sums run over k in
// ascending order in one chain of fused multiply-adds: the result does not depend on the tiles.
#pragma once
#include "dev.cuh"

const int THREADS = 256;

typedef float float2 __attribute__((ext_vector_type(2)));

template <int N> struct Number {
  static const int VALUE = N;
};

// Span is the part of `n` rows or columns that block number `block` of the grid has: size W, W / 2 or W / 4, of which the last may reach
// beyond n; 0 if there is none. Parts are as small as `least` at the end. blocks in variants.go counts them.
struct Span {
  int first, size;
};
template <int W> DEVICE Span span(int block, int n, int least) {
  int whole = (n + least - 1) / least * least, full = whole / W, rest = whole - full * W;
  if (block < full) return {block * W, W};
  int piece = block - full, half = rest > W / 2 ? W / 2 : rest;
  return piece == 0 ? Span{full * W, half} : Span{full * W + half, piece == 1 ? rest - half : 0};
}

// Tile is the shared memory of one operand: rows of `width` values for every k. Every four k it is skewed by SKEW floats, so that a warp
// that stores four consecutive k of several rows, as an operand contiguous along k does, hits 32 different banks.
template <int WIDTH_, int DEPTH_> struct Tile {
  static const int WIDTH = WIDTH_, DEPTH = DEPTH_, SKEW = 32 / (DEPTH / 4), SIZE = WIDTH * DEPTH + DEPTH / 4 * SKEW;
  static METHOD int at(int k, int i) { return k * WIDTH + k / 4 * SKEW + i; }
  // fetches reports whether the thread has a part in filling it.
  static METHOD bool fetches() { return WIDTH * DEPTH == 4 * THREADS || thread_x() < WIDTH * DEPTH / 4; }
};

// AlongK and AlongI say which four values of a tile the thread fetches and how it stores them.

template <class T> struct AlongK : T {  // operand contiguous along k: four k of one row
  static METHOD int i() { return thread_x() / (T::DEPTH / 4); }
  static METHOD int k() { return thread_x() % (T::DEPTH / 4) * 4; }
  static METHOD void store(float* tile, float4 v) {
    for (int e = 0; e < 4; e++) tile[T::at(k() + e, i())] = v[e];
  }
};

template <class T> struct AlongI : T {  // operand contiguous along the tile's width: four neighbours of one k
  static METHOD int i() { return thread_x() % (T::WIDTH / 4) * 4; }
  static METHOD int k() { return thread_x() / (T::WIDTH / 4); }
  static METHOD void store(float* tile, float4 v) { store4(tile + T::at(k(), i()), v); }
};

template <bool ALONG_K, class T> struct Walk {
  typedef AlongK<T> Type;
};
template <class T> struct Walk<false, T> {
  typedef AlongI<T> Type;
};

// Shape is that of a tile of sums. Lanes are 4 x 8 in a warp; a lane has squares of GROUP rows and four columns. Those of a thread are
// 4 GROUP rows and 32 columns apart, so that each phase of a shared load reads 128 contiguous bytes or one value for all. A tile of eight or 16
// rows leaves warps without sums.
template <int ROWS, int COLUMNS, int DEPTH_> struct Shape {
  static const int DEPTH = DEPTH_;
  typedef Tile<(ROWS < 32 ? 32 : ROWS), DEPTH> A;
  typedef Tile<COLUMNS, DEPTH> B;
  static const int SQUARES = COLUMNS == 128 ? 2 : 1;  // along a row
  static const int WARP_COLUMNS = COLUMNS / 32 / SQUARES, MOST = THREADS / WARP / WARP_COLUMNS, WARP_ROWS = 4 * MOST > ROWS ? ROWS / 4 : MOST;
  static const int SUMS = ROWS / WARP_ROWS / 4, GROUP = SUMS < 4 ? SUMS : 4;  // rows of a thread, and neighbours among them
  static METHOD int row(int square) {
    return thread_x() / WARP / WARP_COLUMNS * 4 * SUMS + square * 4 * GROUP + thread_x() % WARP / 8 * GROUP;
  }
  static METHOD int column(int square) { return thread_x() / WARP % WARP_COLUMNS * 32 * SQUARES + square * 32 + thread_x() % 8 * 4; }
  static METHOD bool sums() { return WARP_ROWS * WARP_COLUMNS * WARP == THREADS || thread_x() < WARP_ROWS * WARP_COLUMNS * WARP; }
};

// load_rows fetches COUNT neighbours at once.
template <int COUNT> DEVICE void load_rows(float* to, const float* p) {
  if constexpr (COUNT == 4) {
    float4 v = load4(p);
    for (int e = 0; e < 4; e++) to[e] = v[e];
  } else if constexpr (COUNT == 2) {
    float2 v = *(const float2*)p;
    to[0] = v[0], to[1] = v[1];
  } else {
    to[0] = *p;
  }
}

// multiply gives out(row, column, four neighbouring sums) every part of a tile's product over `depth` terms that the thread has; tiles begin
// at row and column. A and B fetch four values of a tile with get() and move on with next(); their Order is AlongK or AlongI.
template <class S, class A, class B, class Output> DEVICE void multiply(float* a_tile, float* b_tile, A a, B b, int depth, int row, int column, const Output& out) {
  const int A_SIZE = S::A::SIZE, B_SIZE = S::B::SIZE, SUMS = S::SUMS, SQUARES = S::SQUARES, GROUP = S::GROUP;
  float4 sum[SUMS][SQUARES] = {};
  auto fill = [&](int half, float4 u, float4 v) {
    if (S::A::fetches()) A::Order::store(a_tile + half * A_SIZE, u);
    if (S::B::fetches()) B::Order::store(b_tile + half * B_SIZE, v);
  };
  float4 a_next = 0, b_next = 0;
  auto fetch = [&] {
    if (S::A::fetches()) a_next = a.get();
    if (S::B::fetches()) b_next = b.get();
  };
  fetch();
  fill(0, a_next, b_next);
  barrier();
  for (int done = 0, now = 0; done < depth; done += S::DEPTH, now = 1 - now) {
    bool more = done + S::DEPTH < depth;
    if (more) {
      a.next();
      b.next();
      fetch();
    }
    if (S::sums()) {
      const float *u_tile = a_tile + now * A_SIZE, *v_tile = b_tile + now * B_SIZE;
#pragma unroll
      for (int eight = 0; eight < S::DEPTH; eight += 8) {
        if (eight > 0 && done + eight >= depth) break;  // a depth of eight does not pay for the tile's
#pragma unroll
        for (int k = eight; k < eight + 8; k++) {
          float u[SUMS];
          float4 v[SQUARES];
#pragma unroll
          for (int r = 0; r < SUMS; r += GROUP) load_rows<GROUP>(u + r, u_tile + S::A::at(k, S::row(r / GROUP)));
#pragma unroll
          for (int q = 0; q < SQUARES; q++) v[q] = load4(v_tile + S::B::at(k, S::column(q)));
#pragma unroll
          for (int r = 0; r < SUMS; r++) {
#pragma unroll
            for (int q = 0; q < SQUARES; q++) {
#pragma unroll
              for (int e = 0; e < 4; e++) sum[r][q][e] = fma(u[r], v[q][e], sum[r][q][e]);
            }
          }
        }
      }
    }
    if (more) fill(1 - now, a_next, b_next);
    barrier();
  }
  if (!S::sums()) return;
#pragma unroll
  for (int r = 0; r < SUMS; r++) {
#pragma unroll
    for (int q = 0; q < SQUARES; q++) out(row + S::row(r / GROUP) + r % GROUP, column + S::column(q), sum[r][q]);
  }
}

// tiles calls body(shape, a_tile, b_tile, first row, first column) for the block's tile of a product of rows x columns: the shape is as large as what
// is left there.
template <int W, class Body> DEVICE void tiles(int rows, int columns, const Body& body) {
  const int DEPTH = 1024 / W;
  __shared__ __attribute__((aligned(16))) float a_tile[2 * Tile<W, DEPTH>::SIZE], b_tile[2 * Tile<W, DEPTH>::SIZE];
  Span r = span<W>(block_x(), rows, W == 32 ? 8 : 32), c = span<W>(block_y(), columns, 32);
  if (r.size == 0 || c.size == 0) return;
  auto narrow = [&](auto height) __attribute__((always_inline)) {
    const int ROWS = decltype(height)::VALUE;
    if constexpr (W > 64) {
      if (c.size == 128) return body(Shape<ROWS, 128, DEPTH>(), a_tile, b_tile, r.first, c.first);
    }
    if constexpr (W > 32) {
      if (c.size == 64) return body(Shape<ROWS, 64, DEPTH>(), a_tile, b_tile, r.first, c.first);
    }
    body(Shape<ROWS, 32, DEPTH>(), a_tile, b_tile, r.first, c.first);
  };
  if (r.size == W) return narrow(Number<W>());
  if constexpr (W != 64) {
    if (r.size == W / 4) return narrow(Number<W / 4>());
  }
  narrow(Number<W / 2>());
}
