// Batches of small matrix products, c = alpha op(a) op(b): the singular basis of a blur, small dense algebra.
//
// Ladder
//   naive  one result per thread
//   any64  the tile engine of gemm.cuh, W = 64, scalar loads along whichever axis is contiguous; one kernel per way of transposing
#include "gemm.cuh"
#include "matmul.cuh"

// Op(A) is m x k with element (i, k) at i*row + k*column; exactly one of the two strides is 1.
KERNEL(THREADS) matmul_forward_f32_naive(MATMUL_PARAMS) {
  int t = index_x(THREADS);
  if (t >= m * n) return;
  int i = t / n, j = t - i * n;
  const float *u = a + block_z() * stride_a + (i64)i * a_row, *v = b + block_z() * stride_b + (i64)j * b_column;
  float sum = 0;
  for (int k = 0; k < depth; k++) sum = fma(u[(i64)k * a_column], v[(i64)k * b_row], sum);
  put(c + block_z() * stride_c + t, alpha * sum, accumulate);
}

template <bool A_ALONG_K, bool B_ALONG_K> DEVICE void product(MATMUL_PARAMS) {
  tiles<64>(m, n, [&](auto shape, float* a_tile, float* b_tile, int row, int column) __attribute__((always_inline)) {
    typedef decltype(shape) S;
    typedef typename Walk<A_ALONG_K, typename S::A>::Type WalkA;
    typedef typename Walk<B_ALONG_K, typename S::B>::Type WalkB;
    multiply<S>(a_tile, b_tile, Operand<WalkA, A_ALONG_K>(a + block_z() * stride_a, row, m, depth, a_row, a_column),
                Operand<WalkB, B_ALONG_K>(b + block_z() * stride_b, column, n, depth, b_column, b_row), depth, row, column,
                MatMulOutput{c + block_z() * stride_c, m, n, alpha, accumulate});
  });
}

// nn, nt, tn, tt: whether a and b are transposed.
#define RUNG(variant, A_ALONG_K, B_ALONG_K)                                                                                                    \
  KERNEL(THREADS) matmul_forward_f32_any64##variant(MATMUL_PARAMS) {                                                                           \
    product<A_ALONG_K, B_ALONG_K>(c, a, b, m, n, depth, a_row, a_column, b_row, b_column, stride_a, stride_b, stride_c, alpha, accumulate);    \
  }

RUNG(nn, true, false)
RUNG(nt, true, true)
RUNG(tn, false, false)
RUNG(tt, false, true)
