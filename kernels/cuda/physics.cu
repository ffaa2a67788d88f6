// Forward operators and the exact posterior of the diagonal ones.
//
// Ladder
//   naive   gain, posterior: one element per thread. blur: K*K products per element, straight from global memory.
//   vec4    gain, posterior: four elements and, for the posterior, one Philox block per thread. Gains that all channels of a pixel share come
//           through shared memory, so that they are fetched once, in whole sectors: 1.00 x the least bytes instead of 1.50 x and 1.37 x.
//   shared  blur and its adjoint in one pass: a tile of TILE x TILE pixels with its halo is read once into shared memory, summed along
//           rows, then along columns: 2K products per element instead of K*K.
//           Padded rows: no bank conflicts, of 320 and, of the adjoint, 280 for an image of 32 x 32 x 3 and 9 taps.
#include "dev.cuh"

const int THREADS = 256;

// Gains tells where gain values lie: [GainN][HW][GainC].
struct Gains {
  int hw, c, gain_n, gain_c;
  // at is the gain of element e of image n.
  METHOD float at(const float* gain, int n, int e) const {
    int pixel = gain_c == c ? e : e / c;
    return gain[(i64)(gain_n == 1 ? 0 : n) * hw * gain_c + pixel];
  }
};

KERNEL(THREADS) gain_forward_f32_naive(float* y, const float* x, const float* gain, int n, int hw, int c, int gain_n, int gain_c, int accumulate) {
  int i = index_x(THREADS), len = hw * c;
  if (i >= n * len) return;
  int image = i / len;
  put(y + i, Gains{hw, c, gain_n, gain_c}.at(gain, image, i - image * len) * x[i], accumulate);
}

// A block of the vec4 rung has BLOCK elements, whose gains are those of at most SHARED pixels if channels share them.
const int BLOCK = 4 * THREADS, SHARED = BLOCK / 2 + 2;

// Quad fetches the gains of four elements of one image: from room, where the block's are staged, if channels share them.
struct Quad {
  Gains gains;
  int first;  // the block's first pixel, counted over all images

  METHOD Quad(float* room, const float* gain, int n, Gains gains) : gains(gains), first(BLOCK * block_x() / gains.c) {
    if (!gain || gains.gain_c == gains.c) return;
    int last = (min(BLOCK * (block_x() + 1), n * gains.hw * gains.c) - 1) / gains.c;
    for (int q = first + thread_x(); q <= last; q += THREADS) room[q - first] = gain[gains.gain_n == 1 ? q % gains.hw : q];
    barrier();
  }
  // at is for elements i, i+1, i+2 and i+3, counted over all images, of which i is element e of its image.
  METHOD float4 at(const float* room, const float* gain, int i, int e) const {
    if (gains.gain_c == gains.c) return load4(gain + (gains.gain_n == 1 ? e : i));
    float4 v;
    for (int k = 0; k < 4; k++) v[k] = room[(i + k) / gains.c - first];
    return v;
  }
};

KERNEL(THREADS) gain_forward_f32_vec4(float* y, const float* x, const float* gain, int n, int hw, int c, int gain_n, int gain_c, int accumulate) {
  __shared__ float room[SHARED];
  Quad quad(room, gain, n, Gains{hw, c, gain_n, gain_c});
  int i = 4 * index_x(THREADS), len = hw * c;
  if (i >= n * len) return;
  put4(y + i, quad.at(room, gain, i, i % len) * load4(x + i), accumulate);
}

// Posterior is the draw of one element; likelihood = 1/sigma_y^2, prior = 1/r^2.
struct Posterior {
  float likelihood, prior, temperature;
  METHOD float draw(float z, float y, float a, float w) const {
    float variance = 1 / fma(a * a, likelihood, prior);
    float mean = variance * fma(a * y, likelihood, z * prior);
    return fma(temperature * square_root(variance), w, mean);
  }
};

#define POSTERIOR_PARAMS                                                                                                                 \
  float *x, const float *z, const float *y, const float *gain, const int *ids, u32 first, int n, int hw, int c, int gain_n, int gain_c, \
      float likelihood, float prior, float temperature, FAMILY_PARAMS

KERNEL(THREADS) posterior_forward_f32_naive(POSTERIOR_PARAMS) {
  int i = index_x(THREADS), len = hw * c;
  if (i >= n * len) return;
  int image = i / len, e = i - image * len;
  float w = 0;
  if (temperature > 0) w = element(normals(FAMILY, image_id(ids, first, image), e / 4), e % 4);
  float a = gain ? Gains{hw, c, gain_n, gain_c}.at(gain, image, e) : 1;
  x[i] = Posterior{likelihood, prior, temperature}.draw(z[i], y[i], a, w);
}

KERNEL(THREADS) posterior_forward_f32_vec4(POSTERIOR_PARAMS) {
  __shared__ float room[SHARED];
  Quad quad(room, gain, n, Gains{hw, c, gain_n, gain_c});
  int i = 4 * index_x(THREADS), len = hw * c;
  if (i >= n * len) return;
  int image = i / len, e = i - image * len;
  Posterior posterior{likelihood, prior, temperature};
  float4 w = 0, a = 1, r, z4 = load4(z + i), y4 = load4(y + i);
  if (temperature > 0) w = normals(FAMILY, image_id(ids, first, image), e / 4);
  if (gain) a = quad.at(room, gain, i, e);
  for (int k = 0; k < 4; k++) r[k] = posterior.draw(z4[k], y4[k], a[k], w[k]);
  store4(x + i, r);
}

// The blur along one axis of length n with half-width h, around a source that answers for every position in [0, n).

DEVICE int reflect(int i, int n) {
  if (i < 0) return -i;
  return i >= n ? 2 * (n - 1) - i : i;
}

struct Line {
  static const bool FILLS = true;  // along_filled needs a source that is reflected beyond its edges
  template <class Source> static METHOD float along_filled(const float* taps, int h, int i, int, Source source) {
    float sum = 0;
    for (int a = 0; a <= 2 * h; a++) sum = fma(taps[a], source(i + a - h), sum);
    return sum;
  }
  // along is sum over a of taps[a] source(reflect(i + a - h)).
  template <class Source> static METHOD float along(const float* taps, int h, int i, int n, Source source) {
    float sum = 0;
    for (int a = 0; a <= 2 * h; a++) sum = fma(taps[a], source(reflect(i + a - h, n)), sum);
    return sum;
  }
};

struct AdjointLine {
  static const bool FILLS = false;
  template <class Source> static METHOD float along_filled(const float* taps, int h, int i, int n, Source source) { return along(taps, h, i, n, source); }
  // along gathers from every position whose window reached i directly, or reflected at the first or the last pixel. All of them lie within
  // h of i, like those of Line.
  template <class Source> static METHOD float along(const float* taps, int h, int i, int n, Source source) {
    float sum = 0;
    for (int a = 0; a <= 2 * h; a++) {
      int direct = i - a + h, low = -i - a + h, high = 2 * (n - 1) - i - a + h;
      if (direct >= 0 && direct < n) sum = fma(taps[a], source(direct), sum);
      if (i > 0 && low >= 0 && low < n) sum = fma(taps[a], source(low), sum);
      if (i < n - 1 && high >= 0 && high < n) sum = fma(taps[a], source(high), sum);
    }
    return sum;
  }
};

template <class Axis> DEVICE void blur_naive(float* y, const float* x, const float* taps, int values, int h, int w, int c, int k) {
  int i = index_x(THREADS);
  if (i >= values) return;
  int pixel = i / c, channel = i - pixel * c, row = pixel / w, column = pixel - row * w, n = row / h;
  const float* image = x + (i64)n * h * w * c + channel;
  y[i] = Axis::along(taps, k / 2, row - n * h, h, [&](int r) {
    return Axis::along(taps, k / 2, column, w, [&](int s) { return image[(i64)(r * w + s) * c]; });
  });
}

const int TILE = 16, MAX_TAPS = 17, SIDE = TILE + MAX_TAPS - 1, CHANNELS = 4, PITCH = SIDE * CHANNELS;

// Block: one tile (tiles of a row of tiles on x), up to CHANNELS channels, one image. K <= MAX_TAPS. Channels stay the fastest index, so that
// an image of few channels is read in whole rows. A row of the
// tile with its halo begins where a row without would, in terms of banks, so that a warp that has the end of a row and the begin of the next
// meets 32 of them; Line's halo beyond the image is filled by reflection for the same reason.
template <class Axis> DEVICE void blur_shared(float* y, const float* x, const float* taps, int h, int w, int c, int k, int tiles_w) {
  __shared__ float input[SIDE * PITCH], rows[SIDE * TILE * CHANNELS], weights[MAX_TAPS];
  int half = k / 2, side = TILE + 2 * half, first = block_y() * CHANNELS, channels = min(CHANNELS, c - first);
  int top = block_x() / tiles_w * TILE, left = block_x() % tiles_w * TILE;
  int row_floats = side * channels, pitch = row_floats + ((TILE - side) * channels & 31);
  i64 image = (i64)block_z() * h * w * c + first;
  if (thread_x() < k) weights[thread_x()] = taps[thread_x()];
  int lane = thread_x() % WARP;
  for (int u = thread_x() / WARP; u < side; u += THREADS / WARP) {  // a row to a warp
    int r = top - half + u;
    if (r < 0 || r >= h) continue;
    for (int v = lane; v < row_floats; v += WARP) {
      int s = left - half + v / channels;
      if (s >= 0 && s < w) input[u * pitch + v] = x[image + (i64)(r * w + s) * c + v % channels];
    }
  }
  barrier();
  if (Axis::FILLS) {
    int channel = lane % channels;
    for (int u = thread_x() / WARP; u < side; u += THREADS / WARP) {
      int r = top - half + u, before = lane / channels - half, after = w + lane / channels;  // columns
      float* line = input + u * pitch + (half - left) * channels + channel;
      if (r < 0 || r >= h || lane >= half * channels) continue;
      if (left == 0) line[before * channels] = line[-before * channels];
      if (after < left + TILE + half) line[after * channels] = line[(2 * (w - 1) - after) * channels];
    }
    barrier();
  }
  for (int i = thread_x(); i < side * TILE * channels; i += THREADS) {
    int pixel = i / channels, channel = i % channels, r = pixel / TILE, row = top - half + r, column = left + pixel % TILE;
    if (row >= 0 && row < h && column < w)
      rows[i] = Axis::along_filled(weights, half, column, w, [&](int s) { return input[r * pitch + (s - left + half) * channels + channel]; });
  }
  barrier();
  for (int i = thread_x(); i < TILE * TILE * channels; i += THREADS) {
    int pixel = i / channels, channel = i % channels, row = top + pixel / TILE, column = left + pixel % TILE;
    if (row < h && column < w)
      y[image + (i64)(row * w + column) * c + channel] = Axis::along(weights, half, row, h, [&](int r) {
        return rows[((r - top + half) * TILE + column - left) * channels + channel];
      });
  }
}

#define BLUR(name, Axis)                                                                                                             \
  KERNEL(THREADS) name##_f32_naive(float* y, const float* x, const float* taps, int values, int h, int w, int c, int k) {           \
    blur_naive<Axis>(y, x, taps, values, h, w, c, k);                                                                                \
  }                                                                                                                                  \
  KERNEL(THREADS) name##_f32_shared(float* y, const float* x, const float* taps, int h, int w, int c, int k, int tiles_w) {         \
    blur_shared<Axis>(y, x, taps, h, w, c, k, tiles_w);                                                                              \
  }

BLUR(blur_forward, Line)
BLUR(blur_grad, AdjointLine)
