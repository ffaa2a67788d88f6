// Convolution as an implicit GEMM, whatever multiplies the tiles: the shape, where pixels and taps meet, the operands that a thread
// fetches and the destinations of its sums.
#pragma once
#include "dev.cuh"

struct Conv {
  int pixels;                      // rows of the product: output pixels, or input pixels for inputgrad
  int h, w, cin, cout, kh, kw;     // of x and of the kernel
  int stride, top, left, oh, ow;   // padding above and to the left; y is oh x ow
  int xs, ys;                      // floats per pixel of x and y
  int step_a, step_b, step_c;      // a tile's depth in the digits of k that the walk along k counts in: see Odometer
};
#define CONV_PARAMS \
  int pixels, int h, int w, int cin, int cout, int kh, int kw, int stride, int top, int left, int oh, int ow, int xs, int ys, int step_a, \
      int step_b, int step_c
#define CONV Conv{pixels, h, w, cin, cout, kh, kw, stride, top, left, oh, ow, xs, ys, step_a, step_b, step_c}

// Epilogue: y = act(z + bias[o] + image_bias[m / image_pixels][o] + residual[m,o]).
struct Epilogue {
  const float *bias, *image_bias, *residual;
  int residual_stride, image_pixels, act;

  // finish completes four neighbours o of output pixel m, of which `count` exist.
  template <int V> METHOD float4 finish(float4 z, const Conv& p, int m, int o, int count) const {
    if (bias) z += get4<V>(bias + o, count);
    if (image_bias) z += get4<V>(image_bias + (i64)(m / image_pixels) * p.cout + o, count);
    if (residual) z += get4<V>(residual + (i64)m * residual_stride + o, count);
    if (act) {
#pragma unroll
      for (int e = 0; e < 4; e++) z[e] = silu(z[e]);
    }
    return z;
  }
};
#define EPILOGUE_PARAMS \
  const float *bias, const float *image_bias, const float *residual, int residual_stride, int image_pixels, int act
#define EPILOGUE Epilogue{bias, image_bias, residual, residual_stride, image_pixels, act}

// Place is a pixel of a batch of images of height h and width w.
struct Place {
  int n, i, j;
};
DEVICE Place place(int m, int h, int w) {
  int row = m / w, n = row / h;
  return {n, row - n * h, m - row * w};
}

// Taps maps a pixel of one image and a tap to the pixel of the other that it multiplies, or -1.

struct ToInput {  // from an output pixel to x
  static METHOD int channels(const Conv& p) { return p.cin; }
  static METHOD int stride(const Conv& p) { return p.xs; }
  static METHOD Place start(const Conv& p, int m) {
    Place q = place(m, p.oh, p.ow);
    return {q.n, q.i * p.stride - p.top, q.j * p.stride - p.left};
  }
  static METHOD int pixel(const Conv& p, Place q, int a, int b) {
    int i = q.i + a, j = q.j + b;
    return i >= 0 && i < p.h && j >= 0 && j < p.w ? (q.n * p.h + i) * p.w + j : -1;
  }
};

struct ToOutput {  // from an input pixel to dy
  static METHOD int channels(const Conv& p) { return p.cout; }
  static METHOD int stride(const Conv& p) { return p.ys; }
  static METHOD Place start(const Conv& p, int m) {
    Place q = place(m, p.h, p.w);
    return {q.n, q.i + p.top, q.j + p.left};
  }
  static METHOD int pixel(const Conv& p, Place q, int a, int b) {
    int i = q.i - a, j = q.j - b;
    if (p.stride > 1) {
      int u = i / p.stride, v = j / p.stride;
      if (u * p.stride != i || v * p.stride != j) return -1;
      i = u;
      j = v;
    }
    return i >= 0 && i < p.oh && j >= 0 && j < p.ow ? (q.n * p.oh + i) * p.ow + j : -1;
  }
};

// Operands of the implicit GEMM. Walk says which four values of a tile a thread fetches: i() and k() of the first, along k or along the
// tile's width as the operand is contiguous, and the tile's WIDTH and DEPTH.

// Odometer counts in three digits, the fast one c below nc, b below nb. Limits and steps are kernel parameters, which cost no register.
struct Odometer {
  int a, b, c;
  METHOD Odometer(int v, int nb, int nc) {
    int rest = v / nc;
    c = v - rest * nc;
    a = rest / nb;
    b = rest - a * nb;
  }
  // advance moves on by a step that is given in digits.
  METHOD void advance(int da, int db, int dc, int nb, int nc) {
    a += da, b += db, c += dc;
    if (c >= nc) c -= nc, b++;
    if (b >= nb) b -= nb, a++;
  }
  METHOD void increment(int nb, int nc) {
    if (++c < nc) return;
    c = 0;
    if (++b == nb) b = 0, a++;
  }
};

// Source is where four neighbours of an operand lie, if they exist; only 128-bit fetches (V = 4) have one.
struct Source {
  const float* p;
  bool there;
};
DEVICE float4 fetch(Source s) {
  float4 v = 0;
  if (s.there) v = load4(s.p);
  return v;
}

// Im2Col is the A operand of forward (Map = ToInput) and inputgrad (ToOutput): row m, k = (a, b, channel), contiguous along k. A thread
// stays in its row, so it finds a pixel only when its tap changes.
template <class Walk, int V, class Map> struct Im2Col {
  typedef Walk Order;
  const Conv& p;
  const float* base;
  int pixel;  // -1 where the tap falls on padding
  Place q;
  Odometer k;
  bool valid;

  METHOD Im2Col(const Conv& p, const float* base) : p(p), base(base), k(Walk::k(), p.kw, Map::channels(p)) {
    int m = block_x() * Walk::WIDTH + Walk::i();
    valid = m < p.pixels;
    q = Map::start(p, valid ? m : 0);
    find();
  }
  METHOD void find() { pixel = valid && k.a < p.kh ? Map::pixel(p, q, k.a, k.b) : -1; }
  METHOD const float* at() const { return base + (i64)pixel * Map::stride(p) + k.c; }
  METHOD void next() {
    int a = k.a, b = k.b;
    k.advance(p.step_a, p.step_b, p.step_c, p.kw, Map::channels(p));
    if (k.a != a || k.b != b) find();
  }
  METHOD Source source() const { return {at(), pixel >= 0}; }
  METHOD float4 get() const {
    if (V == 4) return fetch(source());
    float4 v = 0;
    Im2Col s = *this;  // four consecutive k may belong to different taps
#pragma unroll
    for (int e = 0; e < 4; e++) {
      if (s.pixel >= 0) v[e] = *s.at();
      s.k.increment(p.kw, Map::channels(p));
      if (s.k.c == 0) s.find();
    }
    return v;
  }
};

// Weights is the B operand of forward: row k, column o, contiguous along o.
template <class Walk, int V> struct Weights {
  typedef Walk Order;
  const Conv& p;
  const float* at;
  int k, count;
  METHOD Weights(const Conv& p, const float* w) : p(p), k(Walk::k()) {
    int o = block_y() * Walk::WIDTH + Walk::i();
    count = p.cout - o;
    at = w + (i64)k * p.cout + o;
  }
  METHOD void next() {
    k += Walk::DEPTH;
    at += (i64)Walk::DEPTH * p.cout;
  }
  METHOD int width() const { return k < p.kh * p.kw * p.cin ? count : 0; }
  METHOD Source source() const { return {at, width() > 0}; }
  METHOD float4 get() const { return get4<V>(at, width()); }
};

// WeightsByOutput is the B operand of inputgrad: k = (tap, o), column c: contiguous along k.
template <class Walk, int V> struct WeightsByOutput {
  typedef Walk Order;
  const Conv& p;
  const float* w;
  int c;
  Odometer k;  // b is the tap; a stays 0 until the taps are over
  METHOD WeightsByOutput(const Conv& p, const float* w) : p(p), w(w), c(block_y() * Walk::WIDTH + Walk::i()), k(Walk::k(), p.kh * p.kw, p.cout) {}
  METHOD void next() { k.advance(0, p.step_a * p.kw + p.step_b, p.step_c, p.kh * p.kw, p.cout); }
  METHOD Source source() const { return {at(k), c < p.cin && k.a == 0}; }
  METHOD float4 get() const {
    if (V == 4) return fetch(source());
    float4 v = 0;
    Odometer s = k;
#pragma unroll
    for (int e = 0; e < 4; e++) {
      if (c < p.cin && s.a == 0) v[e] = *at(s);
      s.increment(p.kh * p.kw, p.cout);
    }
    return v;
  }
  METHOD const float* at(const Odometer& k) const { return w + ((i64)k.b * p.cin + c) * p.cout + k.c; }
};

// Chunk is the range of output pixels that a block of weightgrad adds up.
struct Chunk {
  int first, last;
  METHOD Chunk(const Conv& p, int chunk) : first(block_z() * chunk), last(min(first + chunk, p.pixels)) {}
};

// Patches is the A operand of weightgrad: k = output pixel, row r = (a, b, c), contiguous along r.
template <class Walk, int V> struct Patches {
  typedef Walk Order;
  static const int TAPS = V == 4 ? 1 : 4;  // four neighbouring rows share a tap if V = 4
  const Conv& p;
  const float* x;
  int m, last, a[TAPS], b[TAPS], c[TAPS];
  Odometer pixel;  // image, row, column of output pixel m
  METHOD Patches(const Conv& p, const float* x, Chunk chunk)
      : p(p), x(x), m(chunk.first + Walk::k()), last(chunk.last), pixel(m, p.oh, p.ow) {
    for (int e = 0; e < TAPS; e++) {
      int r = block_x() * Walk::WIDTH + Walk::i() + e, tap = r / p.cin;
      c[e] = r - tap * p.cin;
      a[e] = tap / p.kw;  // kh or more: there is no such row
      b[e] = tap - a[e] * p.kw;
    }
  }
  METHOD void next() {
    m += Walk::DEPTH;
    pixel.advance(p.step_a, p.step_b, p.step_c, p.oh, p.ow);
  }
  // find is the pixel of x that row e meets, or -1.
  METHOD int find(int e) const {
    if (a[e] >= p.kh || m >= last) return -1;
    return ToInput::pixel(p, Place{pixel.a, pixel.b * p.stride - p.top, pixel.c * p.stride - p.left}, a[e], b[e]);
  }
  METHOD Source source() const {
    int i = find(0);
    return {x + (i64)i * p.xs + c[0], i >= 0};
  }
  METHOD float4 get() const {
    if (V == 4) return fetch(source());
    float4 v = 0;
#pragma unroll
    for (int e = 0; e < TAPS; e++) {
      int i = find(e);
      if (i >= 0) v[e] = x[(i64)i * p.xs + c[e]];
    }
    return v;
  }
};

// Cotangents is the B operand of weightgrad: k = output pixel, column o, contiguous along o.
template <class Walk, int V> struct Cotangents {
  typedef Walk Order;
  const Conv& p;
  const float* at;
  int m, last, count;
  METHOD Cotangents(const Conv& p, const float* dy, Chunk chunk) : p(p), m(chunk.first + Walk::k()), last(chunk.last) {
    int o = block_y() * Walk::WIDTH + Walk::i();
    count = p.cout - o;
    at = dy + (i64)m * p.ys + o;
  }
  METHOD void next() {
    m += Walk::DEPTH;
    at += (i64)Walk::DEPTH * p.ys;
  }
  METHOD int width() const { return m < last ? count : 0; }
  METHOD Source source() const { return {at, width() > 0}; }
  METHOD float4 get() const { return get4<V>(at, width()); }
};

// Destinations of the implicit GEMM take four neighbouring sums of one row.

template <int V> struct ForwardOutput {
  float* y;
  const Conv& p;
  Epilogue epilogue;
  METHOD void operator()(int m, int o, float4 z) const {
    int count = p.cout - o;
    if (m < p.pixels && count > 0) write4<V>(y + (i64)m * p.ys + o, epilogue.template finish<V>(z, p, m, o, count), count, 0);
  }
};

template <int V> struct InputGradOutput {
  float* dx;
  const Conv& p;
  int accumulate;
  METHOD void operator()(int m, int c, float4 z) const {
    if (m < p.pixels) write4<V>(dx + (i64)m * p.xs + c, z, p.cin - c, accumulate);
  }
};

template <int V> struct WeightGradOutput {  // of the block's chunk
  float* dw;
  const Conv& p;
  int accumulate;
  METHOD void operator()(int r, int o, float4 z) const {
    int rows = p.kh * p.kw * p.cin;
    if (r < rows) write4<V>(dw + ((i64)block_z() * rows + r) * p.cout + o, z, p.cout - o, accumulate);
  }
};
