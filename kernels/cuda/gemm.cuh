// The tile engine of every product on the ordinary cores: a block of THREADS threads multiplies an A tile of ROWS x DEPTH by a B tile of
// DEPTH x COLUMNS per step, and every thread keeps Q x Q squares of 4x4 sums in registers.
//
//   Q = 1   64 x 64 tile, depth 16, 16 sums per thread
//   Q = 2   128 x 128 tile, depth 8, 64 sums per thread: 512 fused multiply-adds for 32 shared loads of 128 bits per 8 steps of k
//
// Both tiles of a step hold 1024 floats, one 128-bit load per thread each. The next step's tiles are fetched into registers while this
// one is multiplied, and stored to the other half of the double buffer, so one barrier per step is enough. Sums run over k in ascending
// order in one chain of fused multiply-adds: the result does not depend on Q.
#pragma once
#include "dev.cuh"

const int THREADS = 256;

// Tile is the shared memory of one operand: rows of `width` values for every k. Every four k it is skewed by SKEW floats, so that a warp
// that stores four consecutive k of several rows, as an operand contiguous along k does, hits 32 different banks.
template <int Q> struct Tile {
  static const int WIDTH = 64 * Q, DEPTH = 16 / Q, SKEW = 32 / (DEPTH / 4), SIZE = WIDTH * DEPTH + DEPTH / 4 * SKEW;
  static METHOD int at(int k, int i) { return k * WIDTH + k / 4 * SKEW + i; }
};

// AlongK and AlongI say which four values of a tile the thread fetches and how it stores them.

template <int Q> struct AlongK {  // operand contiguous along k: four k of one row
  static const int WIDTH = Tile<Q>::WIDTH, DEPTH = Tile<Q>::DEPTH;
  static METHOD int i() { return thread_x() / (Tile<Q>::DEPTH / 4); }
  static METHOD int k() { return thread_x() % (Tile<Q>::DEPTH / 4) * 4; }
  static METHOD void store(float* tile, float4 v) {
    for (int e = 0; e < 4; e++) tile[Tile<Q>::at(k() + e, i())] = v[e];
  }
};

template <int Q> struct AlongI {  // operand contiguous along the tile's width: four neighbours of one k
  static const int WIDTH = Tile<Q>::WIDTH, DEPTH = Tile<Q>::DEPTH;
  static METHOD int i() { return thread_x() % (Tile<Q>::WIDTH / 4) * 4; }
  static METHOD int k() { return thread_x() / (Tile<Q>::WIDTH / 4); }
  static METHOD void store(float* tile, float4 v) { store4(tile + Tile<Q>::at(k(), i()), v); }
};

// Where the thread's squares of sums lie in the tile: lanes are 4 x 8 in a warp, warps 4 x 2 in the block, and the squares of a thread are
// 16 rows and 32 columns apart, so that each phase of a shared load reads 128 contiguous bytes or one value for all.
template <int Q> struct Squares {
  static METHOD int row(int square) { return thread_x() / 64 * 16 * Q + square * 16 + thread_x() % 32 / 8 * 4; }
  static METHOD int column(int square) { return thread_x() / 32 % 2 * 32 * Q + square * 32 + thread_x() % 8 * 4; }
};

// multiply gives out(row, column, four neighbouring sums) every part of the product of `steps` tiles that the thread has. A and B fetch
// four values of a tile with get() and move on with next(); their Order is AlongK or AlongI.
template <int Q, class A, class B, class Output> DEVICE void multiply(A a, B b, int steps, const Output& out) {
  float4 sum[4 * Q][Q] = {};
  __shared__ __attribute__((aligned(16))) float a_tile[2][Tile<Q>::SIZE], b_tile[2][Tile<Q>::SIZE];
  A::Order::store(a_tile[0], a.get());
  B::Order::store(b_tile[0], b.get());
  barrier();
  for (int step = 0; step < steps; step++) {
    int now = step % 2;
    bool more = step + 1 < steps;
    float4 a_next = 0, b_next = 0;
    if (more) {
      a.next();
      b.next();
      a_next = a.get();
      b_next = b.get();
    }
#pragma unroll
    for (int k = 0; k < Tile<Q>::DEPTH; k++) {
      float4 u[Q], v[Q];
#pragma unroll
      for (int q = 0; q < Q; q++) {
        u[q] = load4(a_tile[now] + Tile<Q>::at(k, Squares<Q>::row(q)));
        v[q] = load4(b_tile[now] + Tile<Q>::at(k, Squares<Q>::column(q)));
      }
#pragma unroll
      for (int r = 0; r < 4 * Q; r++) {
#pragma unroll
        for (int q = 0; q < Q; q++) {
#pragma unroll
          for (int e = 0; e < 4; e++) sum[r][q][e] = fma(u[r / 4][r % 4], v[q][e], sum[r][q][e]);
        }
      }
    }
    if (more) {
      A::Order::store(a_tile[1 - now], a_next);
      B::Order::store(b_tile[1 - now], b_next);
    }
    barrier();
  }
#pragma unroll
  for (int r = 0; r < 4 * Q; r++) {
#pragma unroll
    for (int q = 0; q < Q; q++)
      out(block_x() * Tile<Q>::WIDTH + Squares<Q>::row(r / 4) + r % 4, block_y() * Tile<Q>::WIDTH + Squares<Q>::column(q), sum[r][q]);
  }
}
