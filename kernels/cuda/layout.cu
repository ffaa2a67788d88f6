// Ops that move values: resize, shuffle, concat and split, gather; and the time embedding.
//
// Ladder
//   naive  one element per thread
//   vec4   four neighbouring channels per thread with 128-bit accesses, where channels, strides and offsets are multiples of four. The
//          shuffles have no vec4 rung: one side of theirs is strided by R*R channels whatever the other does.
#include "dev.cuh"

const int THREADS = 256;

// V consecutive floats as one value.
template <int V> struct Vector;
template <> struct Vector<1> {
  typedef float type;
  static METHOD float load(const float* p) { return *p; }
  static METHOD void put(float* p, float v, int accumulate) { ::put(p, v, accumulate); }
};
template <> struct Vector<4> {
  typedef float4 type;
  static METHOD float4 load(const float* p) { return load4(p); }
  static METHOD void put(float* p, float4 v, int accumulate) { put4(p, v, accumulate); }
};

// Site is the channel and pixel of value i of a small image of a resize, and the first pixel of its 2x2 block in the large one.
struct Site {
  int c, pixel, corner;
};
DEVICE Site site(int i, int w, int c) {
  int pixel = i / c, row = pixel / w;
  return {i - pixel * c, pixel, row * 4 * w + 2 * (pixel - row * w)};
}

template <int V> DEVICE void upsample(float* y, const float* x, int values, int w, int c, int xs, int ys, int accumulate) {
  int i = V * index_x(THREADS);
  if (i >= values) return;
  Site s = site(i, w, c);
  typename Vector<V>::type v = Vector<V>::load(x + (i64)s.pixel * xs + s.c);
  float* p = y + (i64)s.corner * ys + s.c;
  Vector<V>::put(p, v, accumulate);
  Vector<V>::put(p + ys, v, accumulate);
  Vector<V>::put(p + (i64)2 * w * ys, v, accumulate);
  Vector<V>::put(p + (i64)(2 * w + 1) * ys, v, accumulate);
}

template <int V> DEVICE void upsample_grad(float* dx, const float* dy, int values, int w, int c, int xs, int ys, int accumulate) {
  int i = V * index_x(THREADS);
  if (i >= values) return;
  Site s = site(i, w, c);
  const float* p = dy + (i64)s.corner * ys + s.c;
  typename Vector<V>::type sum = (Vector<V>::load(p) + Vector<V>::load(p + ys)) +
                                 (Vector<V>::load(p + (i64)2 * w * ys) + Vector<V>::load(p + (i64)(2 * w + 1) * ys));
  Vector<V>::put(dx + (i64)s.pixel * xs + s.c, sum, accumulate);
}

template <int V>
DEVICE void copy_channels(float* y, const float* x, int values, int c, int xs, int ys, int xo, int yo, int accumulate) {
  int i = V * index_x(THREADS);
  if (i >= values) return;
  int row = i / c, k = i - row * c;
  Vector<V>::put(y + (i64)row * ys + yo + k, Vector<V>::load(x + (i64)row * xs + xo + k), accumulate);
}

template <int V> DEVICE void gather(float* y, const float* x, const int* ids, int values, int len, int accumulate) {
  int i = V * index_x(THREADS);
  if (i >= values) return;
  int n = i / len;
  Vector<V>::put(y + i, Vector<V>::load(x + (i64)ids[n] * len + (i - n * len)), accumulate);
}

#define RUNG(variant, V)                                                                                                                           \
  KERNEL(THREADS) upsample2x_forward_f32_##variant(float* y, const float* x, int values, int w, int c, int xs, int ys, int accumulate) {          \
    upsample<V>(y, x, values, w, c, xs, ys, accumulate);                                                                                           \
  }                                                                                                                                                \
  KERNEL(THREADS) upsample2x_grad_f32_##variant(float* dx, const float* dy, int values, int w, int c, int xs, int ys, int accumulate) {           \
    upsample_grad<V>(dx, dy, values, w, c, xs, ys, accumulate);                                                                                    \
  }                                                                                                                                                \
  KERNEL(THREADS) copychannels_forward_f32_##variant(float* y, const float* x, int values, int c, int xs, int ys, int xo, int yo, int accumulate) { \
    copy_channels<V>(y, x, values, c, xs, ys, xo, yo, accumulate);                                                                                 \
  }                                                                                                                                                \
  KERNEL(THREADS) gather_forward_f32_##variant(float* y, const float* x, const int* ids, int values, int len, int accumulate) {                   \
    gather<V>(y, x, ids, values, len, accumulate);                                                                                                 \
  }

RUNG(naive, 1)
RUNG(vec4, 4)

// large_index is where value i of a small image h x w (channels c*r*r) lies in the large image.
DEVICE i64 large_index(int i, int h, int w, int c, int r) {
  int channels = c * r * r, pixel = i / channels, k = i - pixel * channels;
  int row = pixel / w, column = pixel - row * w, n = row / h;
  int channel = k / (r * r), dy = k / r % r, dx = k % r;
  return (((i64)n * h * r + (row - n * h) * r + dy) * w * r + column * r + dx) * c + channel;
}

KERNEL(THREADS) pixelunshuffle_forward_f32_naive(float* y, const float* x, int values, int h, int w, int c, int r) {
  int i = index_x(THREADS);
  if (i < values) y[i] = x[large_index(i, h, w, c, r)];
}

KERNEL(THREADS) pixelshuffle_forward_f32_naive(float* y, const float* x, int values, int h, int w, int c, int r) {
  int i = index_x(THREADS);
  if (i < values) y[large_index(i, h, w, c, r)] = x[i];
}

// Frequency i is exp(rate i), rate = -ln(MaxPeriod) / (half - FreqShift). The angle is kept in float64: at t = 1000 an ulp of a float32
// frequency would already move it by 6e-5.
KERNEL(THREADS) timeembedding_forward_f32_naive(float* y, const float* t, int n, int half, double rate, int cos_first) {
  int i = index_x(THREADS);
  if (i >= n * half) return;
  int image = i / half, k = i - image * half;
  Pair p = sine_cosine((double)t[image] * exponential(rate * (double)k));
  float* row = y + (i64)image * 2 * half + k;
  row[0] = cos_first ? p.second : p.first;
  row[half] = cos_first ? p.first : p.second;
}
