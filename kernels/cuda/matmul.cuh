// Batches of products of small matrices, whatever multiplies the tiles: the operands and the destination.
#pragma once
#include "dev.cuh"

#define MATMUL_PARAMS                                                                                                                      \
  float *c, const float *a, const float *b, int m, int n, int depth, int a_row, int a_column, int b_row, int b_column, i64 stride_a, i64 stride_b, \
      i64 stride_c, float alpha, int accumulate

// Operand walks along k over a matrix of which `width` rows (of op(A)) or columns (of op(B)) exist. Element (i, k) lies at
// i*along_i + k*along_k; Walk says which of the two strides is 1.
template <class Walk, bool ALONG_K> struct Operand {
  typedef Walk Order;
  const float* p;
  int i, k, width, depth, along_i, along_k;
  METHOD Operand(const float* p, int first, int width, int depth, int along_i, int along_k)
      : p(p), i(first + Walk::i()), k(Walk::k()), width(width), depth(depth), along_i(along_i), along_k(along_k) {}
  METHOD void next() { k += Walk::DEPTH; }
  METHOD float4 get() {
    float4 v = 0;
#pragma unroll
    for (int e = 0; e < 4; e++) {
      int row = ALONG_K ? i : i + e, column = ALONG_K ? k + e : k;
      if (row < width && column < depth) v[e] = p[ALONG_K ? (i64)row * along_i + column : (i64)column * along_k + row];
    }
    return v;
  }
};

struct MatMulOutput {
  float* c;
  int m, n;
  float alpha;
  int accumulate;
  METHOD void operator()(int i, int j, float4 z) const {
#pragma unroll
    for (int e = 0; e < 4; e++) {
      if (i < m && j + e < n) put(c + (i64)i * n + j + e, alpha * z[e], accumulate);
    }
  }
};
