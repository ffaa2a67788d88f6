// Batches of small matrix products, c = alpha op(a) op(b): the singular basis of a blur, small dense algebra.
//
// Ladder
//   naive  one result per thread
//   any64  the tile engine of gemm.cuh, Q = 1, scalar loads along whichever axis is contiguous; one kernel per way of transposing
#include "gemm.cuh"

// Op(A) is m x k with element (i, k) at i*row + k*column; exactly one of the two strides is 1.
KERNEL(THREADS)
matmul_forward_f32_naive(float* c, const float* a, const float* b, int m, int n, int depth, int a_row, int a_column, int b_row, int b_column,
                         i64 stride_a, i64 stride_b, i64 stride_c, float alpha, int accumulate) {
  int t = index_x(THREADS);
  if (t >= m * n) return;
  int i = t / n, j = t - i * n;
  const float *u = a + block_z() * stride_a + (i64)i * a_row, *v = b + block_z() * stride_b + (i64)j * b_column;
  float sum = 0;
  for (int k = 0; k < depth; k++) sum = fma(u[(i64)k * a_column], v[(i64)k * b_row], sum);
  put(c + block_z() * stride_c + t, alpha * sum, accumulate);
}

// Operand walks along k over a matrix of which `width` rows (of op(A)) or columns (of op(B)) exist; element (i, k) lies at
// i*along_i + k*along_k, and Walk says which of the two strides is 1.
template <class Walk> struct Operand {
  typedef Walk Order;
  const float* p;
  int i, k, width, depth, along_i, along_k;
  METHOD Operand(const float* p, int tile, int width, int depth, int along_i, int along_k)
      : p(p), i(tile * Tile<1>::WIDTH + Walk::i()), k(Walk::k()), width(width), depth(depth), along_i(along_i), along_k(along_k) {}
  METHOD void next() { k += Tile<1>::DEPTH; }
  METHOD float4 get();
};
template <> METHOD float4 Operand<AlongK<1>>::get() {
  float4 v = 0;
#pragma unroll
  for (int e = 0; e < 4; e++) {
    if (i < width && k + e < depth) v[e] = p[(i64)i * along_i + (k + e)];
  }
  return v;
}
template <> METHOD float4 Operand<AlongI<1>>::get() {
  float4 v = 0;
#pragma unroll
  for (int e = 0; e < 4; e++) {
    if (i + e < width && k < depth) v[e] = p[(i64)k * along_k + (i + e)];
  }
  return v;
}

template <class WalkA, class WalkB>
DEVICE void product(float* c, const float* a, const float* b, int m, int n, int depth, int a_row, int a_column, int b_row, int b_column, i64 stride_a,
                    i64 stride_b, i64 stride_c, float alpha, int accumulate) {
  float4 sum[4][1] = {};
  multiply<1>(Operand<WalkA>(a + block_z() * stride_a, block_x(), m, depth, a_row, a_column),
              Operand<WalkB>(b + block_z() * stride_b, block_y(), n, depth, b_column, b_row), (depth + Tile<1>::DEPTH - 1) / Tile<1>::DEPTH, sum);
  c += block_z() * stride_c;
  each_row<1>(sum, [&](int row, int column, float4 z) {
    int i = block_x() * Tile<1>::WIDTH + row, j = block_y() * Tile<1>::WIDTH + column;
#pragma unroll
    for (int e = 0; e < 4; e++) {
      if (i < m && j + e < n) put(c + (i64)i * n + j + e, alpha * z[e], accumulate);
    }
  });
}

// nn, nt, tn, tt: whether a and b are transposed.
#define RUNG(variant, WalkA, WalkB)                                                                                                              \
  KERNEL(THREADS)                                                                                                                                \
  matmul_forward_f32_any64##variant(float* c, const float* a, const float* b, int m, int n, int depth, int a_row, int a_column, int b_row,      \
                                    int b_column, i64 stride_a, i64 stride_b, i64 stride_c, float alpha, int accumulate) {                      \
    product<WalkA, WalkB>(c, a, b, m, n, depth, a_row, a_column, b_row, b_column, stride_a, stride_b, stride_c, alpha, accumulate);              \
  }

RUNG(nn, AlongK<1>, AlongI<1>)
RUNG(nt, AlongK<1>, AlongK<1>)
RUNG(tn, AlongI<1>, AlongI<1>)
RUNG(tt, AlongI<1>, AlongK<1>)
