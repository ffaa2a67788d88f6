// Convolution and its gradients on tensor cores: the implicit GEMM of conv.cuh on the engine of tensor.cuh. See conv.cu for the sums.
//
// Ladder (thread instructions per multiply-add of the forward pass of 16x16 pixels, 32 to 128 channels, 3x3, counted by the emulator)
//   anytensor  scalar fetches into registers: any channel counts and strides
//   tensor     0.31 (tf32), 0.25 (bf16): cp.async of 128 bits in three stages, at most 128 registers instead of 160 and more, so that two
//              blocks share a multiprocessor: channels and strides are multiples of four. Same sums, same bits.
//   tensor3    0.48: float32 from three TF32 products (f32): two tiles per operand, three mma per term. Its sums are not bit for bit those of the
//              ordinary cores, so it runs when asked for, never by the table.
#include "conv.cuh"
#include "tensor.cuh"

DEVICE int steps(int depth) { return (depth + DEPTH - 1) / DEPTH; }

// run multiplies with the engine for V-float fetches.
template <class T, int V, class A, class B, class Output> DEVICE void run(A a, B b, int depth, const Output& out) {
  if constexpr (V == 4) {
    multiply_async<T>(a, b, steps(depth), out);
  } else {
    multiply<T>(a, b, steps(depth), out);
  }
}

template <class T, int V> DEVICE void forward(float* y, const float* x, const float* w, const Conv& p, const Epilogue& epilogue) {
  run<T, V>(parts(Im2Col<AlongK<T, 0>, V, ToInput>(p, x), Im2Col<AlongK<T, 1>, V, ToInput>(p, x)),
              parts(Weights<AlongI<T, 0>, V>(p, w), Weights<AlongI<T, 1>, V>(p, w)), p.kh * p.kw * p.cin, ForwardOutput<V>{y, p, epilogue});
}

template <class T, int V> DEVICE void inputgrad(float* dx, const float* dy, const float* w, const Conv& p, int accumulate) {
  run<T, V>(parts(Im2Col<AlongK<T, 0>, V, ToOutput>(p, dy), Im2Col<AlongK<T, 1>, V, ToOutput>(p, dy)),
              parts(WeightsByOutput<AlongK<T, 0>, V>(p, w), WeightsByOutput<AlongK<T, 1>, V>(p, w)), p.kh * p.kw * p.cout,
              InputGradOutput<V>{dx, p, accumulate});
}

template <class T, int V> DEVICE void weightgrad(float* dw, const float* x, const float* dy, const Conv& p, int length, int accumulate) {
  Chunk chunk(p, length);
  run<T, V>(parts(Patches<AlongI<T, 0>, V>(p, x, chunk), Patches<AlongI<T, 1>, V>(p, x, chunk)),
              parts(Cotangents<AlongI<T, 0>, V>(p, dy, chunk), Cotangents<AlongI<T, 1>, V>(p, dy, chunk)), chunk.last - chunk.first,
              WeightGradOutput<V>{dw, p, accumulate});
}

// Grid: tiles of rows on x, tiles of columns on y, chunks of output pixels on z.
#define RUNG(KERNEL, type, T, variant, V)                                                                                                      \
  KERNEL(THREADS) conv2d_forward_##type##_##variant(float* y, const float* x, const float* weights, CONV_PARAMS, EPILOGUE_PARAMS) {       \
    forward<T, V>(y, x, weights, CONV, EPILOGUE);                                                                                          \
  }                                                                                                                                        \
  KERNEL(THREADS) conv2d_inputgrad_##type##_##variant(float* dx, const float* dy, const float* weights, CONV_PARAMS, int accumulate) {    \
    inputgrad<T, V>(dx, dy, weights, CONV, accumulate);                                                                                    \
  }                                                                                                                                        \
  KERNEL(THREADS)                                                                                                                          \
  conv2d_weightgrad_##type##_##variant(float* dw, const float* x, const float* dy, CONV_PARAMS, int chunk, int accumulate) {              \
    weightgrad<T, V>(dw, x, dy, CONV, chunk, accumulate);                                                                                  \
  }

RUNG(KERNEL, tf32, TF32, anytensor, 1)
RUNG(KERNEL_PAIR, tf32, TF32, tensor, 4)
RUNG(KERNEL, bf16, BF16, anytensor, 1)
RUNG(KERNEL_PAIR, bf16, BF16, tensor, 4)
RUNG(KERNEL, f32, TF32x3, tensor3, 4)
