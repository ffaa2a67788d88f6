// Draws of the Philox family, dropout, and the update that every sampler makes.
//
// Ladder (thread instructions per element of the update, counted by the emulator)
//   naive  319 one element per thread, which throws three quarters of its Philox block away: four times the integer work
//   vec4   85  one Philox block, four elements, per thread; 128-bit accesses where an image is a multiple of four long, so that every image
//          starts on a 16-byte boundary. Same draws, same formula, same bits.
#include "dev.cuh"

const int THREADS = 256;

// A map turns element e of image n into its new value, given the four draws of its block.
struct Normal {
  Family f;
  static const int reads = 0;
  METHOD bool draws() const { return true; }
  METHOD float4 draw(u32 id, u32 block) const { return normals(f, id, block); }
  METHOD float operator()(float, float, float, float, float w) const { return w; }
};
struct Uniform {
  Family f;
  static const int reads = 0;
  METHOD bool draws() const { return true; }
  METHOD float4 draw(u32 id, u32 block) const { return uniforms(f, id, block); }
  METHOD float operator()(float, float, float, float, float w) const { return w; }
};
struct Dropout {
  Family f;
  float rate;
  static const int reads = 1;
  METHOD bool draws() const { return true; }
  METHOD float4 draw(u32 id, u32 block) const { return uniforms(f, id, block); }
  METHOD float operator()(float x, float, float, float, float w) const { return w >= rate ? x * (1 / (1 - rate)) : 0; }
};
struct Update {  // y = a x + b d + c scale e + noise w
  Family f;
  float a, b, c, noise;
  static const int reads = 3;
  METHOD bool draws() const { return noise > 0; }
  METHOD float4 draw(u32 id, u32 block) const { return normals(f, id, block); }
  METHOD float operator()(float x, float d, float e, float scale, float w) const {
    return fma(noise, w, fma(c * scale, e, fma(b, d, a * x)));
  }
};

// naive and vec4 run a map over the n images of len elements; null inputs count as 0, a null scale as 1.
template <class Map>
DEVICE void naive(Map map, float* y, const float* x, const float* d, const float* e, const float* scale, const int* ids, u32 first, int n, int len) {
  int i = index_x(THREADS);
  if (i >= n * len) return;
  int image = i / len, k = i - image * len;
  float w = 0;
  if (map.draws()) w = element(map.draw(image_id(ids, first, image), k / 4), k % 4);
  float s = scale ? scale[image] : 1;
  y[i] = map(Map::reads > 0 ? x[i] : 0, d ? d[i] : 0, e ? e[i] : 0, s, w);
}

template <class Map>
DEVICE void vec4(Map map, float* y, const float* x, const float* d, const float* e, const float* scale, const int* ids, u32 first, int n, int len) {
  int blocks = (len + 3) / 4, i = index_x(THREADS);
  if (i >= n * blocks) return;
  int image = i / blocks, block = i - image * blocks, at = image * len + 4 * block;
  float4 w = 0, u = 0, v = 0, t = 0, r;
  if (map.draws()) w = map.draw(image_id(ids, first, image), block);
  float s = scale ? scale[image] : 1;
  if (len % 4 == 0) {
    if (Map::reads > 0) u = load4(x + at);
    if (Map::reads > 1 && d) v = load4(d + at);
    if (Map::reads > 1 && e) t = load4(e + at);
    for (int k = 0; k < 4; k++) r[k] = map(u[k], v[k], t[k], s, w[k]);
    store4(y + at, r);
    return;
  }
#pragma unroll
  for (int k = 0; k < 4; k++) {
    if (4 * block + k >= len) continue;
    y[at + k] = map(Map::reads > 0 ? x[at + k] : 0, Map::reads > 1 && d ? d[at + k] : 0, Map::reads > 1 && e ? e[at + k] : 0, s, w[k]);
  }
}

#define DRAW(name, Map)                                                                                      \
  KERNEL(THREADS) name##_f32_naive(float* y, const int* ids, u32 first, int n, int len, FAMILY_PARAMS) {    \
    naive(Map{FAMILY}, y, 0, 0, 0, 0, ids, first, n, len);                                                   \
  }                                                                                                          \
  KERNEL(THREADS) name##_f32_vec4(float* y, const int* ids, u32 first, int n, int len, FAMILY_PARAMS) {     \
    vec4(Map{FAMILY}, y, 0, 0, 0, 0, ids, first, n, len);                                                    \
  }

DRAW(normal_forward, Normal)
DRAW(uniform_forward, Uniform)

#define DROPOUT(variant)                                                                                                                       \
  KERNEL(THREADS) dropout_forward_f32_##variant(float* y, const float* x, const int* ids, u32 first, int n, int len, float rate, FAMILY_PARAMS) { \
    variant(Dropout{FAMILY, rate}, y, x, 0, 0, 0, ids, first, n, len);                                                                         \
  }

DROPOUT(naive)
DROPOUT(vec4)

#define UPDATE(variant)                                                                                                                  \
  KERNEL(THREADS) update_forward_f32_##variant(float* y, const float* x, const float* d, const float* e, const float* scale, const int* ids, \
                                               u32 first, int n, int len, float a, float b, float c, float noise, FAMILY_PARAMS) {        \
    variant(Update{FAMILY, a, b, c, noise}, y, x, d, e, scale, ids, first, n, len);                                                      \
  }

UPDATE(naive)
UPDATE(vec4)
