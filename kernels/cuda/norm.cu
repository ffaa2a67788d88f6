// Group norm with per-channel affine map, optional per-image scale and shift, optional SiLU, and its gradients.
//
// Ladder (sectors fetched and written over the least bytes of a forward pass of 32x32 pixels, 128 channels, 32 groups, counted by the emulator)
//   naive     4.3 x  one block per image and group; the group is read three times from global memory: mean, variance, result. The gradient reads
//             x and dy once for the sums of every channel and once more for dx.
//   resident  2.3 x  the group is read once, into dynamic shared memory (forward: its values; gradient: xhat and dz), and the other passes run
//             there. The launcher takes it for groups that fit.
//   vec4      1.03 x resident with 128-bit accesses: a thread keeps to four channels, so that their affine map stays in registers, and groups of
//             four channels share a block in pairs, so that every sector that is fetched is used whole. The affine map comes through shared
//             memory, once per block.
//   odd       vec4 for pairs of groups whose channels do not divide a warp, the 12 of each of 32 groups of 384: sums go through shared memory
//             instead of shuffles. 1.0 x, where resident takes 1.9 x and naive, for the groups of 32x32 pixels, 3.3 x.
//   reread4   vec4 for groups that do not fit: the passes read global memory again.
//
// Sums are taken in two levels, per thread and then over the block, in an order that depends on the group's size alone. The variance is
// that of the differences from the mean, never a difference of squares.
#include "dev.cuh"

const int THREADS = 256;

struct Norm {
  int hw, c, width;  // pixels, channels, channels per group
  int xs, ys;        // floats per pixel of x and y
  const float *gamma, *beta, *scale_shift;

  // The affine map of channel k of image n: z = (xhat*gamma + beta)*scale + shift.
  METHOD float scale(int n, int k) const { return scale_shift ? 1 + scale_shift[(i64)n * 2 * c + k] : 1; }
  METHOD float shift(int n, int k) const { return scale_shift ? scale_shift[(i64)n * 2 * c + c + k] : 0; }
  METHOD float affine(float xhat, int n, int k) const {
    float t = fma(xhat, gamma[k], beta[k]);
    return scale_shift ? fma(t, scale(n, k), shift(n, k)) : t;
  }
};
#define NORM_PARAMS int hw, int c, int width, int xs, int ys, const float *gamma, const float *beta, const float *scale_shift
#define NORM Norm{hw, c, width, xs, ys, gamma, beta, scale_shift}

// Group is the block's group of one image: grid x is n*groups + g. Value i of a group is pixel i / width, channel i % width.
struct Group {
  int n, first, size;
  METHOD Group(const Norm& p) {
    int groups = p.c / p.width;
    n = block_x() / groups;
    first = (block_x() - n * groups) * p.width;
    size = p.hw * p.width;
  }
};

// at is where channel k of a pixel of the group lies in a tensor with the given stride.
DEVICE i64 at(const Norm& p, const Group& g, int pixel, int k, int stride) { return ((i64)g.n * p.hw + pixel) * stride + g.first + k; }

// each_value calls f(i, pixel, k) for the thread's share of the values i = pixel*width + k of a group, without a division per value.
template <class F> DEVICE void each_value(const Norm& p, const Group& g, F f) {
  int pixel = thread_x() / p.width, k = thread_x() - pixel * p.width;
  int pixels = THREADS / p.width, rest = THREADS - pixels * p.width;
  for (int i = thread_x(); i < g.size; i += THREADS) {
    f(i, pixel, k);
    pixel += pixels;
    k += rest;
    if (k >= p.width) k -= p.width, pixel++;
  }
}

// normalize runs the three passes over a source that gives a value of the group.
template <class Source> DEVICE void normalize(float* y, float* mean, float* rstd, const Norm& p, const Group& g, float eps, int act, Source source) {
  __shared__ float room[THREADS / WARP];
  float sum = 0, squares = 0;
  each_value(p, g, [&](int i, int pixel, int k) { sum += source(i, pixel, k); });
  float m = block_sum<THREADS>(sum, room) / (float)g.size;
  each_value(p, g, [&](int i, int pixel, int k) {
    float d = source(i, pixel, k) - m;
    squares = fma(d, d, squares);
  });
  float inverse = 1 / square_root(block_sum<THREADS>(squares, room) / (float)g.size + eps);
  each_value(p, g, [&](int i, int pixel, int k) {
    float z = p.affine((source(i, pixel, k) - m) * inverse, g.n, g.first + k);
    y[at(p, g, pixel, k, p.ys)] = act ? silu(z) : z;
  });
  if (thread_x() == 0) {
    mean[block_x()] = m;
    rstd[block_x()] = inverse;
  }
}

KERNEL(THREADS) groupnorm_forward_f32_naive(float* y, const float* x, float* mean, float* rstd, NORM_PARAMS, float eps, int act) {
  Norm p = NORM;
  Group g(p);
  normalize(y, mean, rstd, p, g, eps, act, [&](int, int pixel, int k) { return x[at(p, g, pixel, k, p.xs)]; });
}

// Dynamic shared memory: one float per value of the group.
KERNEL(THREADS) groupnorm_forward_f32_resident(float* y, const float* x, float* mean, float* rstd, NORM_PARAMS, float eps, int act) {
  extern __shared__ float dynamic[];
  Norm p = NORM;
  Group g(p);
  // A thread reads back only what it stored itself: no barrier needed.
  each_value(p, g, [&](int i, int pixel, int k) { dynamic[i] = x[at(p, g, pixel, k, p.xs)]; });
  normalize(y, mean, rstd, p, g, eps, act, [&](int i, int, int) { return dynamic[i]; });
}

// Gradient. With dz the cotangent of z (dy, times SiLU' if there is one), everything follows from two sums over the pixels of each image
// and channel, p1 = sum dz and p2 = sum dz xhat:
//
//   dxhat sums over a group:  s1 = sum_c slope p1,  s2 = sum_c slope p2,  slope = gamma scale
//   dx     = rstd (dz slope - s1/size - xhat s2/size)
//   dbeta  = sum_n scale p1,  dgamma = sum_n scale p2
//   dscale = gamma p2 + beta p1,  dshift = p1
//
// sums is [N][2][C].

struct Gradient {
  float xhat, dz;
};

DEVICE Gradient gradient(const Norm& p, int n, int k, float x, float dy, float mean, float rstd, int act) {
  float xhat = (x - mean) * rstd;
  if (act) dy = dy * silu_slope(p.affine(xhat, n, k));
  return {xhat, dy};
}

// channel_sums adds up dz and dz*xhat of every channel of the group into sums and returns the block-wide s1 and s2. Threads are laid out
// as rows of `lanes` channels; the rows are added in order.
template <class Source> DEVICE Pair channel_sums(float* sums, const Norm& p, const Group& g, Source source) {
  __shared__ float part[2][THREADS];
  __shared__ float room[THREADS / WARP];
  int lanes = min(p.width, THREADS), rows = THREADS / lanes;
  int lane = thread_x() % lanes, row = thread_x() / lanes;
  float s1 = 0, s2 = 0;
  for (int start = 0; start < p.width; start += lanes) {
    int k = start + lane;
    float p1 = 0, p2 = 0;
    if (row < rows && k < p.width) {
      for (int pixel = row; pixel < p.hw; pixel += rows) {
        Gradient d = source(pixel * p.width + k, pixel, k);
        p1 += d.dz;
        p2 = fma(d.dz, d.xhat, p2);
      }
    }
    barrier();
    part[0][thread_x()] = p1;
    part[1][thread_x()] = p2;
    barrier();
    if (row == 0 && k < p.width) {
      p1 = 0;
      p2 = 0;
      for (int r = 0; r < rows; r++) {
        p1 += part[0][r * lanes + lane];
        p2 += part[1][r * lanes + lane];
      }
      float* out = sums + (i64)g.n * 2 * p.c + g.first + k;
      out[0] = p1;
      out[p.c] = p2;
      float slope = p.gamma[g.first + k] * p.scale(g.n, g.first + k);
      s1 = fma(slope, p1, s1);
      s2 = fma(slope, p2, s2);
    }
  }
  s1 = block_sum<THREADS>(s1, room);
  return {s1, block_sum<THREADS>(s2, room)};
}

template <class Source>
DEVICE void input_gradient(float* dx, const Norm& p, const Group& g, Pair s, float rstd, int accumulate, Source source) {
  float s1 = s.first / (float)g.size, s2 = s.second / (float)g.size;
  each_value(p, g, [&](int i, int pixel, int k) {
    Gradient d = source(i, pixel, k);
    float slope = p.gamma[g.first + k] * p.scale(g.n, g.first + k);
    put(dx + at(p, g, pixel, k, p.xs), rstd * (d.dz * slope - s1 - d.xhat * s2), accumulate);
  });
}

// dx may be null.
KERNEL(THREADS)
groupnorm_grad_f32_naive(float* dx, float* sums, const float* dy, const float* x, const float* mean, const float* rstd, NORM_PARAMS, int act, int accumulate) {
  Norm p = NORM;
  Group g(p);
  float m = mean[block_x()], inverse = rstd[block_x()];
  auto source = [&](int, int pixel, int k) {
    return gradient(p, g.n, g.first + k, x[at(p, g, pixel, k, p.xs)], dy[at(p, g, pixel, k, p.ys)], m, inverse, act);
  };
  Pair s = channel_sums(sums, p, g, source);
  if (dx) input_gradient(dx, p, g, s, inverse, accumulate, source);
}

// Dynamic shared memory: two floats per value of the group, xhat and then dz.
KERNEL(THREADS)
groupnorm_grad_f32_resident(float* dx, float* sums, const float* dy, const float* x, const float* mean, const float* rstd, NORM_PARAMS, int act, int accumulate) {
  extern __shared__ float dynamic[];
  Norm p = NORM;
  Group g(p);
  float *xhat = dynamic, *dz = dynamic + g.size, m = mean[block_x()], inverse = rstd[block_x()];
  each_value(p, g, [&](int i, int pixel, int k) {
    Gradient d = gradient(p, g.n, g.first + k, x[at(p, g, pixel, k, p.xs)], dy[at(p, g, pixel, k, p.ys)], m, inverse, act);
    xhat[i] = d.xhat;
    dz[i] = d.dz;
  });
  barrier();
  auto source = [&](int i, int, int) { return Gradient{xhat[i], dz[i]}; };
  Pair s = channel_sums(sums, p, g, source);
  if (dx) input_gradient(dx, p, g, s, inverse, accumulate, source);
}

// dgamma and dbeta over the images in order, one channel per thread.
KERNEL(THREADS)
groupnorm_paramgrad_f32_naive(float* dgamma, float* dbeta, const float* sums, const float* scale_shift, int n, int c, int accumulate) {
  int k = index_x(THREADS);
  if (k >= c) return;
  float dg = 0, db = 0;
  for (int i = 0; i < n; i++) {
    float scale = scale_shift ? 1 + scale_shift[(i64)i * 2 * c + k] : 1;
    db = fma(scale, sums[(i64)i * 2 * c + k], db);
    dg = fma(scale, sums[(i64)i * 2 * c + c + k], dg);
  }
  put(dgamma + k, dg, accumulate);
  put(dbeta + k, db, accumulate);
}

KERNEL(THREADS)
groupnorm_scaleshiftgrad_f32_naive(float* dscale_shift, const float* sums, const float* gamma, const float* beta, int n, int c, int accumulate) {
  int i = index_x(THREADS);
  if (i >= n * c) return;
  int image = i / c, k = i - image * c;
  i64 row = (i64)image * 2 * c + k;
  float p1 = sums[row], p2 = sums[row + c];
  put(dscale_shift + row, fma(gamma[k], p2, beta[k] * p1), accumulate);
  put(dscale_shift + row + c, p1, accumulate);
}

// The vec4 rungs. A block covers P groups of `width` channels, columns = P*width/4 threads wide; a thread has four channels of every rows-th
// pixel. Columns are a power of two up to 32, and P = 2 needs width = 4: a thread's group is then the parity of its lane. Where ODD they
// are any number up to 32; the threads beyond the last whole row of columns have nothing to do.
template <int P, bool ODD> struct Quads {
  const Norm& p;
  int n, group, own, first, columns, column, row, rows, size;
  METHOD Quads(const Norm& p) : p(p) {
    int blocks = p.c / (p.width * P);
    n = block_x() / blocks;
    int block = block_x() - n * blocks;
    columns = P * p.width / 4;
    column = thread_x() % columns;
    row = thread_x() / columns;
    rows = THREADS / columns;
    first = block * P * p.width + 4 * column;
    own = ODD ? column / (columns / P) : P > 1 ? thread_x() % P : 0;
    group = n * blocks * P + block * P + own;
    size = p.hw * p.width;
  }
  METHOD bool active() const { return !ODD || row < rows; }
  METHOD i64 at(int pixel, int stride) const { return ((i64)n * p.hw + pixel) * stride + first; }
  METHOD float4 scale() const {
    float4 v = 1;
    if (p.scale_shift) v += load4(p.scale_shift + (i64)n * 2 * p.c + first);
    return v;
  }
  METHOD float4 shift() const {
    float4 v = 0;
    if (p.scale_shift) v = load4(p.scale_shift + (i64)n * 2 * p.c + p.c + first);
    return v;
  }
  // leads is for the threads of the first row, one per column.
  METHOD bool leads() const { return thread_x() < columns; }
  // speaks is for one thread per group.
  METHOD bool speaks() const { return ODD ? row == 0 && column % (columns / P) == 0 : thread_x() < P; }
  // each calls f(round, pixel) for the thread's pixels. All threads make the same rounds, so that warps stay together.
  template <class F> METHOD void each(F f) const {
    int round = 0;
    for (int start = 0; start < p.hw; start += rows, round++) {
      if (active() && start + row < p.hw) f(round, start + row);
    }
  }
};

// Affine is z = xhat*slope + offset of the four channels of each column, in shared memory.
struct Affine {
  float4 slope[WARP], offset[WARP];
  // fetch is for the threads of the first row; the others may look after a barrier.
  template <class Q> METHOD void fetch(const Norm& p, const Q& q) {
    float4 scale = q.scale();
    slope[thread_x()] = load4(p.gamma + q.first) * scale;
    offset[thread_x()] = load4(p.beta + q.first) * scale + q.shift();
  }
};

DEVICE float across(float4 v) { return (v[0] + v[1]) + (v[2] + v[3]); }

// Room is the floats that group_sum needs.
template <int P, bool ODD> struct Room {
  static const int size = ODD ? THREADS + P : THREADS / WARP * P;
};

// group_sum adds v over the threads of the block that share a group.
template <int P> DEVICE float group_sum(float v, float* room, const Quads<P, false>&) {
  for (int lanes = WARP / 2; lanes >= P; lanes /= 2) v += shuffle_xor(v, lanes);
  barrier();
  if (thread_x() % WARP < P) room[thread_x() / WARP * P + thread_x() % WARP] = v;
  barrier();
  v = 0;
  for (int i = 0; i < THREADS / WARP; i++) v += room[i * P + thread_x() % P];
  return v;
}

// A warp adds up each group.
template <int P> DEVICE float group_sum(float v, float* room, const Quads<P, true>& q) {
  int width = q.columns / P, threads = q.rows * width, warp = thread_x() / WARP, lane = thread_x() % WARP;
  barrier();
  if (q.active()) room[q.own * threads + q.row * width + q.column - q.own * width] = v;
  barrier();
  if (warp < P) {
    v = 0;
    for (int i = lane; i < threads; i += WARP) v += room[warp * threads + i];
    for (int lanes = WARP / 2; lanes > 0; lanes /= 2) v += shuffle_xor(v, lanes);
    if (lane == 0) room[THREADS + warp] = v;
  }
  barrier();
  return room[THREADS + q.own];
}

template <int P, bool RESIDENT, bool ODD>
DEVICE void forward4(float* y, const float* x, float* mean, float* rstd, const Norm& p, float eps, int act) {
  extern __shared__ float4 dynamic4[];
  __shared__ float room[Room<P, ODD>::size];
  __shared__ Affine affine;
  Quads<P, ODD> q(p);
  if (q.leads()) affine.fetch(p, q);
  auto value = [&](int round, int pixel) { return RESIDENT ? dynamic4[round * THREADS + thread_x()] : load4(x + q.at(pixel, p.xs)); };
  float4 sum = 0, squares = 0;
  q.each([&](int round, int pixel) {
    float4 v = load4(x + q.at(pixel, p.xs));
    if (RESIDENT) dynamic4[round * THREADS + thread_x()] = v;
    sum += v;
  });
  float m = group_sum(across(sum), room, q) / (float)q.size;
  q.each([&](int round, int pixel) {
    float4 d = value(round, pixel) - m;
    for (int e = 0; e < 4; e++) squares[e] = fma(d[e], d[e], squares[e]);
  });
  float inverse = 1 / square_root(group_sum(across(squares), room, q) / (float)q.size + eps);
  float4 slope = affine.slope[q.column], offset = affine.offset[q.column];
  q.each([&](int round, int pixel) {
    float4 xhat = (value(round, pixel) - m) * inverse, z;
    for (int e = 0; e < 4; e++) {
      z[e] = fma(xhat[e], slope[e], offset[e]);
      if (act) z[e] = silu(z[e]);
    }
    store4(y + q.at(pixel, p.ys), z);
  });
  if (q.speaks()) {
    mean[q.group] = m;
    rstd[q.group] = inverse;
  }
}

template <int P, bool RESIDENT, bool ODD>
DEVICE void grad4(float* dx, float* sums, const float* dy, const float* x, const float* mean, const float* rstd, const Norm& p, int act, int accumulate) {
  extern __shared__ float4 dynamic4[];  // xhat and dz of a thread's slot
  __shared__ float4 part[2][THREADS];
  __shared__ float room[Room<P, ODD>::size];
  __shared__ Affine affine;
  __shared__ float statistics[2][WARP];
  Quads<P, ODD> q(p);
  if (q.leads()) {
    affine.fetch(p, q);
    statistics[0][thread_x()] = mean[q.group];
    statistics[1][thread_x()] = rstd[q.group];
  }
  barrier();
  float m = statistics[0][q.column], inverse = statistics[1][q.column];
  float4 slope = affine.slope[q.column], offset = affine.offset[q.column];
  auto derive = [&](int pixel, float4& xhat, float4& dz) {
    xhat = (load4(x + q.at(pixel, p.xs)) - m) * inverse;
    dz = load4(dy + q.at(pixel, p.ys));
    if (!act) return;
    for (int e = 0; e < 4; e++) dz[e] = dz[e] * silu_slope(fma(xhat[e], slope[e], offset[e]));
  };
  float4 p1 = 0, p2 = 0;
  q.each([&](int round, int pixel) {
    float4 xhat, dz;
    derive(pixel, xhat, dz);
    if (RESIDENT) {
      dynamic4[2 * round * THREADS + thread_x()] = xhat;
      dynamic4[(2 * round + 1) * THREADS + thread_x()] = dz;
    }
    p1 += dz;
    for (int e = 0; e < 4; e++) p2[e] = fma(dz[e], xhat[e], p2[e]);
  });
  if (!ODD) {
    for (int lanes = WARP / 2; lanes >= q.columns; lanes /= 2) {
      for (int e = 0; e < 4; e++) {
        p1[e] += shuffle_xor(p1[e], lanes);
        p2[e] += shuffle_xor(p2[e], lanes);
      }
    }
  }
  part[0][thread_x()] = p1;
  part[1][thread_x()] = p2;
  barrier();
  float s1 = 0, s2 = 0;
  if (q.leads()) {
    p1 = p2 = 0;
    int step = ODD ? q.columns : WARP, count = ODD ? q.rows : THREADS / WARP;
    for (int i = 0; i < count; i++) {
      p1 += part[0][i * step + thread_x()];
      p2 += part[1][i * step + thread_x()];
    }
    float* out = sums + (i64)q.n * 2 * p.c + q.first;
    store4(out, p1);
    store4(out + p.c, p2);
    s1 = across(slope * p1);
    s2 = across(slope * p2);
  }
  s1 = group_sum(s1, room, q) / (float)q.size;
  s2 = group_sum(s2, room, q) / (float)q.size;
  if (!dx) return;
  q.each([&](int round, int pixel) {
    float4 xhat, dz;
    if (RESIDENT) {
      xhat = dynamic4[2 * round * THREADS + thread_x()];
      dz = dynamic4[(2 * round + 1) * THREADS + thread_x()];
    } else {
      derive(pixel, xhat, dz);
    }
    put4(dx + q.at(pixel, p.xs), inverse * (dz * slope - s1 - xhat * s2), accumulate);
  });
}

// Grid x: images times blocks of P groups. Dynamic shared memory of the resident ones: the values of the block's groups, rounded up to
// whole rounds of THREADS slots; twice that for the gradient.
#define QUADS(variant, P, RESIDENT, ODD)                                                                                                               \
  KERNEL(THREADS) groupnorm_forward_f32_##variant(float* y, const float* x, float* mean, float* rstd, NORM_PARAMS, float eps, int act) {          \
    forward4<P, RESIDENT, ODD>(y, x, mean, rstd, NORM, eps, act);                                                                                       \
  }                                                                                                                                                \
  KERNEL(THREADS)                                                                                                                                  \
  groupnorm_grad_f32_##variant(float* dx, float* sums, const float* dy, const float* x, const float* mean, const float* rstd, NORM_PARAMS, int act, \
                               int accumulate) {                                                                                                   \
    grad4<P, RESIDENT, ODD>(dx, sums, dy, x, mean, rstd, NORM, act, accumulate);                                                                        \
  }

QUADS(vec4, 1, true, false)
QUADS(reread4, 1, false, false)
QUADS(pairvec4, 2, true, false)
QUADS(pairreread4, 2, false, false)
QUADS(oddvec4, 2, true, true)
QUADS(oddreread4, 2, false, true)
