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

struct ToOutput {  // from an input pixel of a convolution of stride 1 to dy
  static METHOD int channels(const Conv& p) { return p.cout; }
  static METHOD int stride(const Conv& p) { return p.ys; }
  static METHOD Place start(const Conv& p, int m) {
    Place q = place(m, p.h, p.w);
    return {q.n, q.i + p.top, q.j + p.left};
  }
  static METHOD int pixel(const Conv& p, Place q, int a, int b) {
    int i = q.i - a, j = q.j - b;
    return i >= 0 && i < p.oh && j >= 0 && j < p.ow ? (q.n * p.oh + i) * p.ow + j : -1;
  }
};

// Phase is what a block of inputgrad works on. Where the stride is s, a pixel (i, j) of x meets only the taps (a, b) with a = i + top and
// b = j + left, modulo s: s*s phases (grid z), each of which is a convolution of stride 1 with every s-th pixel and every s-th tap. So
// nothing is multiplied by zeros between the pixels of dy.
struct Phase {
  Conv p;          // that convolution
  int a, b, i, j;  // its first tap and its first pixel, of those of the whole
  METHOD Phase(const Conv& whole, int depth) : p(whole), a(0), b(0), i(0), j(0) {
    int s = whole.stride;
    if (s == 1) return;
    a = block_z() / s, b = block_z() - a * s;
    i = first(a - whole.top, s), j = first(b - whole.left, s);
    p.top = (i + whole.top) / s, p.left = (j + whole.left) / s;
    p.h = count(i, whole.h, s), p.w = count(j, whole.w, s);
    p.kh = count(a, whole.kh, s), p.kw = count(b, whole.kw, s);
    p.pixels = whole.pixels / (whole.h * whole.w) * p.h * p.w;
    if (p.kw == 0) p.kh = 0, p.kw = 1;  // no taps
    int taps = depth / p.cout;
    p.step_a = taps / p.kw, p.step_b = taps - p.step_a * p.kw, p.step_c = depth - taps * p.cout;
  }
  // first is the least number from 0 on that is v modulo s.
  static METHOD int first(int v, int s) {
    v %= s;
    return v < 0 ? v + s : v;
  }
  static METHOD int count(int first, int n, int s) { return first < n ? (n - first + s - 1) / s : 0; }
  METHOD int depth() const { return p.kh * p.kw * p.cout; }
  // tap and pixel are those of the whole that a tap and pixel m of the phase are.
  METHOD int tap(int u, int v, int kw) const { return (a + u * p.stride) * kw + b + v * p.stride; }
  METHOD int pixel(const Conv& whole, int m) const {
    if (p.stride == 1) return m;
    Place q = place(m, p.h, p.w);
    return (q.n * whole.h + i + q.i * p.stride) * whole.w + j + q.j * p.stride;
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

  METHOD Im2Col(const Conv& p, const float* base, int first) : p(p), base(base), k(Walk::k(), p.kw, Map::channels(p)) {
    int m = first + Walk::i();
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
  METHOD Weights(const Conv& p, const float* w, int first) : p(p), k(Walk::k()) {
    int o = first + Walk::i();
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

// WeightsByOutput is the B operand of inputgrad: k = (a, b, o), column c: contiguous along k. A thread stays in its column, so it moves
// to other weights only when its tap changes.
template <class Walk, int V> struct WeightsByOutput {
  typedef Walk Order;
  const Conv& whole;
  const Phase& phase;
  const float* w;
  int c, row;  // of weights, of all taps and channels; -1 if there is none
  Odometer k;
  METHOD WeightsByOutput(const Conv& whole, const Phase& phase, const float* w, int first)
      : whole(whole), phase(phase), w(w), c(first + Walk::i()), k(Walk::k(), phase.p.kw, whole.cout) {
    find();
  }
  METHOD void find() { row = c < whole.cin && k.a < phase.p.kh ? phase.tap(k.a, k.b, whole.kw) * whole.cin + c : -1; }
  METHOD const float* at() const { return w + (i64)row * whole.cout + k.c; }
  METHOD void next() {
    int a = k.a, b = k.b;
    k.advance(phase.p.step_a, phase.p.step_b, phase.p.step_c, phase.p.kw, whole.cout);
    if (k.a != a || k.b != b) find();
  }
  METHOD Source source() const { return {at(), row >= 0}; }
  METHOD float4 get() const {
    if (V == 4) return fetch(source());
    float4 v = 0;
    WeightsByOutput s = *this;  // four consecutive k may belong to different taps
#pragma unroll
    for (int e = 0; e < 4; e++) {
      if (s.row >= 0) v[e] = *s.at();
      s.k.increment(phase.p.kw, whole.cout);
      if (s.k.c == 0) s.find();
    }
    return v;
  }
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
  METHOD Patches(const Conv& p, const float* x, Chunk chunk, int first)
      : p(p), x(x), m(chunk.first + Walk::k()), last(chunk.last), pixel(m, p.oh, p.ow) {
    for (int e = 0; e < TAPS; e++) {
      int r = first + Walk::i() + e, tap = r / p.cin;
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
  METHOD Cotangents(const Conv& p, const float* dy, Chunk chunk, int first) : p(p), m(chunk.first + Walk::k()), last(chunk.last) {
    int o = first + Walk::i();
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

// Destinations of the implicit GEMM take four neighbouring sums of one row, or the first `most` of them if V = 1.

template <int V> struct ForwardOutput {
  float* y;
  const Conv& p;
  Epilogue epilogue;
  METHOD void operator()(int m, int o, float4 z, int most = 4) const {
    int count = min(p.cout - o, most);
    if (m < p.pixels && count > 0) write4<V>(y + (i64)m * p.ys + o, epilogue.template finish<V>(z, p, m, o, count), count, 0);
  }
};

template <int V> struct InputGradOutput {
  float* dx;
  const Conv& whole;
  const Phase& phase;
  int accumulate;
  METHOD void operator()(int m, int c, float4 z, int most = 4) const {
    if (m < phase.p.pixels) write4<V>(dx + (i64)phase.pixel(whole, m) * whole.xs + c, z, min(whole.cin - c, most), accumulate);
  }
};

template <int V> struct WeightGradOutput {  // of the block's chunk
  float* dw;
  const Conv& p;
  int accumulate;
  METHOD void operator()(int r, int o, float4 z, int most = 4) const {
    int rows = p.kh * p.kw * p.cin;
    if (r < rows) write4<V>(dw + ((i64)block_z() * rows + r) * p.cout + o, z, min(p.cout - o, most), accumulate);
  }
};

// Transposed takes four neighbouring sums of one column.
template <class Output> struct Transposed {
  Output out;
  METHOD void operator()(int column, int row, float4 z) const {
#pragma unroll
    for (int e = 0; e < 4; e++) out(row + e, column, float4{z[e], 0, 0, 0}, 1);
  }
};
