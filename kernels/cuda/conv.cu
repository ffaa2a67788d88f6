// Convolution on NHWC and its gradients; a linear layer is the 1x1 case.
//
//   forward     y[m,o]     = sum over k = (a,b,c) of x[pixel(m,a,b), c] w[k,o]
//   inputgrad   dx[m,c]    = sum over k = (a,b,o) of dy[pixel(m,a,b), o] w[a,b,c,o]
//   weightgrad  dw[r,o]    = sum over output pixels m of x[pixel(m,a,b), c] dy[m,o],  r = (a,b,c)
//
// Ladder (thread instructions per multiply-add, and 32-byte sectors fetched over the least bytes, of the forward pass of 16x16 pixels,
// 128 to 128 channels, 3x3, counted by the emulator)
//   naive   4.51, 203 x   one output value per thread, operands straight from global memory: two loads per multiply-add
//   any64   1.60, 21 x    implicit GEMM with the tile engine of gemm.cuh, W = 64: the im2col matrix exists only as the addresses that a
//                         thread computes for the tile it fetches. Scalar loads: any channel counts and strides.
//   x64, y64              128-bit loads on one side: for images of three channels at the ends of a network
//   tile64  1.46, 5.3 x   the same with 128-bit loads: channels and strides are multiples of four
//   tile128 1.23, 2.7 x   the same with W = 128: twice the arithmetic per shared load, for images of many pixels and channels
//   tile32                the same with W = 32: for the pixels of a few rows of a linear layer, or of the deepest level of a U-Net. 8 rows of a linear
//                         layer execute 1.00 x its FLOPs, in a tile of 64 rows 8.0 x, and read the weights once.
// Tiles are cut to what is there, so the FLOPs of every direction are within 1.05 x its cost for channels that are multiples of 32 and
// 245 pixels or more: 288 rows of weights were 1.33 x in tiles of 128, an input gradient of stride 2 was 4 x before it had phases.
// No rung has bank conflicts; tile128 takes 139 to 167 registers, tile64 and tile32 up to 105, none spills (ptxas 12.4).
//
// The forward pass and the input gradient add in the same order, k ascending, on every rung: their bits agree. The weight gradient is
// split over chunks of output pixels (grid z) whose length depends on the layer alone, and the partial sums are added in order.
#include "conv.cuh"
#include "gemm.cuh"

// Naive rung.

KERNEL(THREADS) conv2d_forward_f32_naive(float* y, const float* x, const float* weights, CONV_PARAMS, EPILOGUE_PARAMS) {
  Conv p = CONV;
  int t = index_x(THREADS);
  if (t >= pixels * cout) return;
  int m = t / cout, o = t - m * cout;
  Place q = ToInput::start(p, m);
  float z = 0;
  for (int a = 0; a < kh; a++) {
    for (int b = 0; b < kw; b++) {
      int pixel = ToInput::pixel(p, q, a, b);
      if (pixel < 0) continue;
      const float *u = x + (i64)pixel * xs, *v = weights + (i64)(a * kw + b) * cin * cout + o;
      for (int c = 0; c < cin; c++) z = fma(u[c], v[(i64)c * cout], z);
    }
  }
  y[(i64)m * ys + o] = EPILOGUE.finish<1>(float4{z, 0, 0, 0}, p, m, o, 1)[0];
}

KERNEL(THREADS) conv2d_inputgrad_f32_naive(float* dx, const float* dy, const float* weights, CONV_PARAMS, int accumulate) {
  Conv p = CONV;
  int t = index_x(THREADS);
  if (t >= pixels * cin) return;
  int m = t / cin, c = t - m * cin;
  Place q = ToOutput::start(p, m);
  float z = 0;
  for (int a = 0; a < kh; a++) {
    for (int b = 0; b < kw; b++) {
      int i = (q.i - a) / stride, j = (q.j - b) / stride;
      if (i * stride != q.i - a || j * stride != q.j - b || i < 0 || i >= oh || j < 0 || j >= ow) continue;
      const float *u = dy + (i64)((q.n * oh + i) * ow + j) * ys, *v = weights + ((i64)(a * kw + b) * cin + c) * cout;
      for (int o = 0; o < cout; o++) z = fma(u[o], v[o], z);
    }
  }
  put(dx + (i64)m * xs + c, z, accumulate);
}

// Grid z is the chunk of output pixels; dw is then the partial sums [chunk][kh*kw*cin*cout].
KERNEL(THREADS) conv2d_weightgrad_f32_naive(float* dw, const float* x, const float* dy, CONV_PARAMS, int chunk, int accumulate) {
  Conv p = CONV;
  int t = index_x(THREADS), size = kh * kw * cin * cout;
  if (t >= size) return;
  int r = t / cout, o = t - r * cout, tap = r / cin, c = r - tap * cin, a = tap / kw, b = tap - a * kw;
  int first = block_z() * chunk, last = min(first + chunk, pixels);
  float z = 0;
  for (int m = first; m < last; m++) {
    int pixel = ToInput::pixel(p, ToInput::start(p, m), a, b);
    if (pixel >= 0) z = fma(x[(i64)pixel * xs + c], dy[(i64)m * ys + o], z);
  }
  put(dw + (i64)block_z() * size + t, z, accumulate);
}

KERNEL(THREADS) conv2d_weightgrad_f32_reduce(float* dw, const float* parts, int size, int chunks, int accumulate) {
  int i = index_x(THREADS);
  if (i >= size) return;
  float z = 0;
  for (int s = 0; s < chunks; s++) z += parts[(i64)s * size + i];
  put(dw + i, z, accumulate);
}

// Tiled rungs.

template <int W, int VX, int VY> DEVICE void forward(float* y, const float* x, const float* w, const Conv& p, const Epilogue& epilogue) {
  tiles<W>(p.pixels, p.cout, [&](auto shape, float* a_tile, float* b_tile, int row, int column) __attribute__((always_inline)) {
    typedef decltype(shape) S;
    multiply<S>(a_tile, b_tile, Im2Col<AlongK<typename S::A>, VX, ToInput>(p, x, row), Weights<AlongI<typename S::B>, VY>(p, w, column),
                p.kh * p.kw * p.cin, row, column, ForwardOutput<VY>{y, p, epilogue});
  });
}

template <int W, int VX, int VY> DEVICE void inputgrad(float* dx, const float* dy, const float* w, const Conv& p, int accumulate) {
  Phase phase(p, 1024 / W);
  tiles<W>(phase.p.pixels, p.cin, [&](auto shape, float* a_tile, float* b_tile, int row, int column) __attribute__((always_inline)) {
    typedef decltype(shape) S;
    multiply<S>(a_tile, b_tile, Im2Col<AlongK<typename S::A>, VY, ToOutput>(phase.p, dy, row),
                WeightsByOutput<AlongK<typename S::B>, VY>(p, phase, w, column), phase.depth(), row, column,
                InputGradOutput<VX>{dx, p, phase, accumulate});
  });
}

template <int W, int VX, int VY> DEVICE void weightgrad(float* dw, const float* x, const float* dy, const Conv& p, int length, int accumulate) {
  Chunk chunk(p, length);
  tiles<W>(p.kh * p.kw * p.cin, p.cout, [&](auto shape, float* a_tile, float* b_tile, int row, int column) __attribute__((always_inline)) {
    typedef decltype(shape) S;
    multiply<S>(a_tile, b_tile, Patches<AlongI<typename S::A>, VX>(p, x, chunk, row), Cotangents<AlongI<typename S::B>, VY>(p, dy, chunk, column),
                chunk.last - chunk.first, row, column, WeightGradOutput<VY>{dw, p, accumulate});
  });
}

// Grid: tiles of rows on x, tiles of columns on y; on z the phases of the input gradient, the chunks of output pixels of the weight gradient.
#define RUNG(variant, W, VX, VY)                                                                                                     \
  KERNEL(THREADS) conv2d_forward_f32_##variant(float* y, const float* x, const float* weights, CONV_PARAMS, EPILOGUE_PARAMS) {      \
    forward<W, VX, VY>(y, x, weights, CONV, EPILOGUE);                                                                               \
  }                                                                                                                                  \
  KERNEL(THREADS) conv2d_inputgrad_f32_##variant(float* dx, const float* dy, const float* weights, CONV_PARAMS, int accumulate) {   \
    inputgrad<W, VX, VY>(dx, dy, weights, CONV, accumulate);                                                                         \
  }                                                                                                                                  \
  KERNEL(THREADS) conv2d_weightgrad_f32_##variant(float* dw, const float* x, const float* dy, CONV_PARAMS, int chunk, int accumulate) { \
    weightgrad<W, VX, VY>(dw, x, dy, CONV, chunk, accumulate);                                                                       \
  }

// VX and VY: floats per access to the channels of x and of y.
RUNG(any64, 64, 1, 1)
RUNG(x64, 64, 4, 1)
RUNG(y64, 64, 1, 4)
RUNG(tile64, 64, 4, 4)
RUNG(tile32, 32, 4, 4)
RUNG(tile128, 128, 4, 4)
