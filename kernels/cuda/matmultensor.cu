// Batches of small matrix products on tensor cores: the operands of matmul.cuh on the engine of tensor.cuh.
//
// Ladder
//   anytensor  scalar fetches along whichever axis is contiguous; one kernel per way of transposing
#include "matmul.cuh"
#include "tensor.cuh"

template <class T, template <class, int> class WalkA, bool A_ALONG_K, template <class, int> class WalkB, bool B_ALONG_K>
DEVICE void product(MATMUL_PARAMS) {
  a += block_z() * stride_a;
  b += block_z() * stride_b;
  int row = block_x() * WIDTH, column = block_y() * WIDTH;
  multiply<T, Wide>(parts(Operand<WalkA<T, 0>, A_ALONG_K>(a, row, m, depth, a_row, a_column), Operand<WalkA<T, 1>, A_ALONG_K>(a, row, m, depth, a_row, a_column)),
                    parts(Operand<WalkB<T, 0>, B_ALONG_K>(b, column, n, depth, b_column, b_row), Operand<WalkB<T, 1>, B_ALONG_K>(b, column, n, depth, b_column, b_row)),
                    depth, Tile(block_x(), block_y(), m, n), MatMulOutput{c + block_z() * stride_c, m, n, alpha, accumulate});
}

// nn, nt, tn, tt: whether a and b are transposed.
#define RUNG(type, T, variant, WalkA, A_ALONG_K, WalkB, B_ALONG_K)                                                                                 \
  KERNEL(THREADS) matmul_forward_##type##_anytensor##variant(MATMUL_PARAMS) {                                                                      \
    product<T, WalkA, A_ALONG_K, WalkB, B_ALONG_K>(c, a, b, m, n, depth, a_row, a_column, b_row, b_column, stride_a, stride_b, stride_c, alpha, accumulate); \
  }
#define RUNGS(type, T)                               \
  RUNG(type, T, nn, AlongK, true, AlongI, false)     \
  RUNG(type, T, nt, AlongK, true, AlongK, true)      \
  RUNG(type, T, tn, AlongI, false, AlongI, false)    \
  RUNG(type, T, tt, AlongI, false, AlongK, true)

RUNGS(tf32, TF32)
RUNGS(bf16, BF16)
