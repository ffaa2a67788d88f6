// Convolution and its gradients on tensor cores: the implicit GEMM of conv.cuh on the engine of tensor.cuh. See conv.cu for the sums.
//
// Ladder (thread instructions per multiply-add of the forward pass of 16x16 pixels, 32 to 128 channels, 3x3, counted by the emulator)
//   anytensor  scalar fetches into registers: any channel counts and strides
//   tensor     0.29 (tf32), 0.24 (bf16): cp.async of 128 bits in three stages, at most 128 registers instead of 160 and more, so that two
//              blocks share a multiprocessor: channels and strides are multiples of four. Same sums, same bits.
//   tensorfew  the same transposed, for few pixels: 8 rows of a linear layer execute 1.00 x its FLOPs (16 x in a tile of 128) and read
//              the weights once
//   tensor3    0.45: float32 from three TF32 products (f32): two tiles per operand, three mma per term. Its sums are not bit for bit those of the
//              ordinary cores, so it runs when asked for, never by the table.
// Blocks leave out the squares beyond the edges: FLOPs within 1.06 x the cost in every direction, as in conv.cu.
#include "conv.cuh"
#include "tensor.cuh"

// run multiplies with the engine for V-float fetches.
template <class T, int V, class A, class B, class Output> DEVICE void run(A a, B b, int depth, int rows, int columns, const Output& out) {
  Tile tile(block_x(), block_y(), rows, columns);
  if constexpr (V == 4) {
    multiply_async<T, Wide>(a, b, depth, tile, out);
  } else {
    multiply<T, Wide>(a, b, depth, tile, out);
  }
}

template <class T, int V> DEVICE void forward(float* y, const float* x, const float* w, const Conv& p, const Epilogue& epilogue) {
  int row = block_x() * WIDTH, column = block_y() * WIDTH;
  run<T, V>(parts(Im2Col<AlongK<T, 0>, V, ToInput>(p, x, row), Im2Col<AlongK<T, 1>, V, ToInput>(p, x, row)),
            parts(Weights<AlongI<T, 0>, V>(p, w, column), Weights<AlongI<T, 1>, V>(p, w, column)), p.kh * p.kw * p.cin, p.pixels, p.cout,
            ForwardOutput<V>{y, p, epilogue});
}

template <class T, int V> DEVICE void inputgrad(float* dx, const float* dy, const float* w, const Conv& p, int accumulate) {
  int row = block_x() * WIDTH, column = block_y() * WIDTH;
  Phase phase(p, DEPTH);
  if (row >= phase.p.pixels) return;
  run<T, V>(parts(Im2Col<AlongK<T, 0>, V, ToOutput>(phase.p, dy, row), Im2Col<AlongK<T, 1>, V, ToOutput>(phase.p, dy, row)),
            parts(WeightsByOutput<AlongK<T, 0>, V>(p, phase, w, column), WeightsByOutput<AlongK<T, 1>, V>(p, phase, w, column)), phase.depth(),
            phase.p.pixels, p.cin, InputGradOutput<V>{dx, p, phase, accumulate});
}

template <class T, int V> DEVICE void weightgrad(float* dw, const float* x, const float* dy, const Conv& p, int length, int accumulate) {
  int row = block_x() * WIDTH, column = block_y() * WIDTH;
  Chunk chunk(p, length);
  run<T, V>(parts(Patches<AlongI<T, 0>, V>(p, x, chunk, row), Patches<AlongI<T, 1>, V>(p, x, chunk, row)),
            parts(Cotangents<AlongI<T, 0>, V>(p, dy, chunk, column), Cotangents<AlongI<T, 1>, V>(p, dy, chunk, column)),
            chunk.last - chunk.first, p.kh * p.kw * p.cin, p.cout, WeightGradOutput<V>{dw, p, accumulate});
}

// The products transposed: the operand of weights, of which there are many, goes where the engine takes its 128 rows from, and the few
// pixels where it can leave out columns by eight.

template <class T> DEVICE void forward_few(float* y, const float* x, const float* w, const Conv& p, const Epilogue& epilogue) {
  int row = block_x() * WIDTH, column = block_y() * WIDTH;
  multiply_async<T, Tall>(parts(Weights<AlongI<T, 0>, 4>(p, w, column), Weights<AlongI<T, 1>, 4>(p, w, column)),
                          parts(Im2Col<AlongK<T, 0>, 4, ToInput>(p, x, row), Im2Col<AlongK<T, 1>, 4, ToInput>(p, x, row)), p.kh * p.kw * p.cin,
                          Tile(block_y(), block_x(), p.cout, p.pixels), Transposed<ForwardOutput<1>>{{y, p, epilogue}});
}

template <class T> DEVICE void inputgrad_few(float* dx, const float* dy, const float* w, const Conv& p, int accumulate) {
  int row = block_x() * WIDTH, column = block_y() * WIDTH;
  Phase phase(p, DEPTH);
  if (row >= phase.p.pixels) return;
  multiply_async<T, Tall>(parts(WeightsByOutput<AlongK<T, 0>, 4>(p, phase, w, column), WeightsByOutput<AlongK<T, 1>, 4>(p, phase, w, column)),
                          parts(Im2Col<AlongK<T, 0>, 4, ToOutput>(phase.p, dy, row), Im2Col<AlongK<T, 1>, 4, ToOutput>(phase.p, dy, row)), phase.depth(),
                          Tile(block_y(), block_x(), p.cin, phase.p.pixels), Transposed<InputGradOutput<1>>{{dx, p, phase, accumulate}});
}

template <class T> DEVICE void weightgrad_few(float* dw, const float* x, const float* dy, const Conv& p, int length, int accumulate) {
  int row = block_x() * WIDTH, column = block_y() * WIDTH;
  Chunk chunk(p, length);
  multiply_async<T, Tall>(parts(Cotangents<AlongI<T, 0>, 4>(p, dy, chunk, column), Cotangents<AlongI<T, 1>, 4>(p, dy, chunk, column)),
                          parts(Patches<AlongI<T, 0>, 4>(p, x, chunk, row), Patches<AlongI<T, 1>, 4>(p, x, chunk, row)), chunk.last - chunk.first,
                          Tile(block_y(), block_x(), p.cout, p.kh * p.kw * p.cin), Transposed<WeightGradOutput<1>>{{dw, p, accumulate}});
}

// Grid: tiles of rows on x, tiles of columns on y; on z the phases of the input gradient, the chunks of output pixels of the weight gradient.
#define RUNG(KERNEL, type, variant, forward, inputgrad, weightgrad)                                                                        \
  KERNEL(THREADS) conv2d_forward_##type##_##variant(float* y, const float* x, const float* weights, CONV_PARAMS, EPILOGUE_PARAMS) {       \
    forward(y, x, weights, CONV, EPILOGUE);                                                                                                \
  }                                                                                                                                        \
  KERNEL(THREADS) conv2d_inputgrad_##type##_##variant(float* dx, const float* dy, const float* weights, CONV_PARAMS, int accumulate) {    \
    inputgrad(dx, dy, weights, CONV, accumulate);                                                                                          \
  }                                                                                                                                        \
  KERNEL(THREADS)                                                                                                                          \
  conv2d_weightgrad_##type##_##variant(float* dw, const float* x, const float* dy, CONV_PARAMS, int chunk, int accumulate) {              \
    weightgrad(dw, x, dy, CONV, chunk, accumulate);                                                                                        \
  }
#define TILES(KERNEL, type, T, variant, V) RUNG(KERNEL, type, variant, (forward<T, V>), (inputgrad<T, V>), (weightgrad<T, V>))
#define FEW(type, T, variant) RUNG(KERNEL, type, variant, forward_few<T>, inputgrad_few<T>, weightgrad_few<T>)

TILES(KERNEL, tf32, TF32, anytensor, 1)
TILES(KERNEL_PAIR, tf32, TF32, tensor, 4)
FEW(tf32, TF32, tensorfew)
TILES(KERNEL, bf16, BF16, anytensor, 1)
TILES(KERNEL_PAIR, bf16, BF16, tensor, 4)
FEW(bf16, BF16, tensorfew)
TILES(KERNEL, f32, TF32x3, tensor3, 4)
