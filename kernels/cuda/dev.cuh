// The device header: what CUDA's own headers would provide, and no more. Every intrinsic sits behind a function of this
// file, so that a .cu file reads the same whatever compiles it.
//
// Arithmetic is IEEE unless a name says approx: the compiler runs with -ffp-contract=off, a fused multiply-add is written
// fma(a, b, c), and so a kernel computes the same bits wherever it runs.
#pragma once

#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __launch_bounds__(threads, blocks) __attribute__((launch_bounds(threads, blocks)))
#define DEVICE static __device__ inline __attribute__((always_inline))
#define METHOD __device__ inline __attribute__((always_inline))
// The second number is how many blocks must fit a multiprocessor: it caps the registers.
#define KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads, 1)
#define KERNEL_PAIR(threads) extern "C" __global__ void __launch_bounds__(threads, 2)

typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned long long u64;
typedef long long i64;
// An extended vector stays one 128-bit access; a struct of four floats would be split.
typedef float float4 __attribute__((ext_vector_type(4)));

const int WARP = 32;
const u32 ALL_LANES = 0xffffffff;

DEVICE int thread_x() { return __nvvm_read_ptx_sreg_tid_x(); }
DEVICE int block_x() { return __nvvm_read_ptx_sreg_ctaid_x(); }
DEVICE int block_y() { return __nvvm_read_ptx_sreg_ctaid_y(); }
DEVICE int block_z() { return __nvvm_read_ptx_sreg_ctaid_z(); }
DEVICE int blocks_x() { return __nvvm_read_ptx_sreg_nctaid_x(); }

// index_x is the thread's number in the whole grid; threads is the size of a block.
DEVICE int index_x(int threads) { return block_x() * threads + thread_x(); }

DEVICE void barrier() { __syncthreads(); }

DEVICE float shuffle_xor(float v, int lanes) { return __nvvm_shfl_sync_bfly_f32(ALL_LANES, v, lanes, WARP - 1); }

DEVICE float fma(float a, float b, float c) { return __nvvm_fma_rn_f(a, b, c); }
DEVICE float square_root(float x) { return __nvvm_sqrt_rn_f(x); }
DEVICE float reciprocal_approx(float x) { return __nvvm_rcp_approx_ftz_f(x); }
DEVICE float exp2_approx(float x) { return __nvvm_ex2_approx_ftz_f(x); }

DEVICE u32 bits(float x) { return __builtin_bit_cast(u32, x); }
DEVICE float from_bits(u32 x) { return __builtin_bit_cast(float, x); }

DEVICE int min(int a, int b) { return a < b ? a : b; }
DEVICE int max(int a, int b) { return a > b ? a : b; }
DEVICE float max(float a, float b) { return a > b ? a : b; }

DEVICE float4 load4(const float* p) { return *(const float4*)p; }
DEVICE void store4(float* p, float4 v) { *(float4*)p = v; }

// load_shared4 is load4 from shared memory as one access for certain: the compiler splits some that it could leave whole.
DEVICE float4 load_shared4(const void* p) {
  u32 address = (u32)(u64)(const __attribute__((address_space(3))) void*)p;
  float a, b, c, d;
  asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(a), "=f"(b), "=f"(c), "=f"(d) : "r"(address) : "memory");
  return float4{a, b, c, d};
}

// element is v[k] without the detour through memory that an index unknown to the compiler would take.
DEVICE float element(float4 v, int k) { return k < 2 ? (k == 0 ? v[0] : v[1]) : (k == 2 ? v[2] : v[3]); }

// put stores v, or adds it to what is there.
DEVICE void put(float* p, float v, int accumulate) { *p = accumulate ? *p + v : v; }
DEVICE void put4(float* p, float4 v, int accumulate) { store4(p, accumulate ? load4(p) + v : v); }

// get4 fetches four neighbours of which the first `count` exist: V = 4, all or none.
template <int V> DEVICE float4 get4(const float* p, int count) {
  float4 v = 0;
  if (V == 4) {
    if (count > 0) v = load4(p);
  } else {
#pragma unroll
    for (int e = 0; e < 4; e++) {
      if (e < count) v[e] = p[e];
    }
  }
  return v;
}

// write4 stores the first `count` of four values, V = 4: all or none.
template <int V> DEVICE void write4(float* p, float4 v, int count, int accumulate) {
  if (V == 4) {
    if (count > 0) put4(p, v, accumulate);
  } else {
#pragma unroll
    for (int e = 0; e < 4; e++) {
      if (e < count) put(p + e, v[e], accumulate);
    }
  }
}

// exponential is exp(x) to about 2 ulp plus that of ex2.approx: x log2(e) is carried as a rounded product and its error. Results
// below 2^-126 are 0. NaN stays NaN.
DEVICE float exponential(float x) {
  const float log2e = 1.44269504f, log2e_rest = 1.925963e-8f, ln2 = 0.69314718f;
  x = x > 128 ? 128 : x;
  x = x < -128 ? -128 : x;
  float high = x * log2e;
  float low = fma(x, log2e_rest, fma(x, log2e, -high));
  return exp2_approx(high) * fma(low, ln2, 1);
}

DEVICE float sigmoid(float x) { return reciprocal_approx(1 + exponential(-x)); }
DEVICE float silu(float x) { return x * sigmoid(x); }

// silu_slope is the derivative of x sigmoid(x).
DEVICE float silu_slope(float x) {
  float q = sigmoid(x);
  return q * fma(x, 1 - q, 1);
}

// horner is c0 + c1 t + c2 t^2 + c3 t^3, unfused.
DEVICE float horner(float t, float c0, float c1, float c2, float c3) { return ((c3 * t + c2) * t + c1) * t + c0; }

// logarithm is kernels.NormalLog, bit for bit: the natural logarithm of a positive normal number.
DEVICE float logarithm(float u) {
  u32 b = bits(u);
  int e = (int)(b >> 23) - 127;
  float m = from_bits((b & 0x7fffff) | 0x3f800000);
  if (m >= 1.4142135623730951f) {
    m = m * 0.5f;
    e++;
  }
  float s = (m - 1) / (m + 1);
  float t = s * s;
  float p = horner(t, 1.0f / 3, 1.0f / 5, 1.0f / 7, 1.0f / 9) * t + 1;
  return (2 * s) * p + (float)e * 0.6931471805599453f;
}

struct Pair {
  float first, second;
};

// sine_cosine_quarter rotates sin and cos of a, |a| <= pi/4, by quadrant quarter turns.
DEVICE Pair sine_cosine_quarter(float a, u32 quadrant) {
  float t = a * a;
  float s = a * (horner(t, -1.0f / 6, 1.0f / 120, -1.0f / 5040, 1.0f / 362880) * t + 1);
  float c = horner(t, -1.0f / 2, 1.0f / 24, -1.0f / 720, 1.0f / 40320) * t + 1;
  float sine = quadrant & 1 ? c : s, cosine = quadrant & 1 ? s : c;
  return {quadrant & 2 ? -sine : sine, (quadrant + 1) & 2 ? -cosine : cosine};
}

DEVICE double fma(double a, double b, double c) { return __nvvm_fma_rn_d(a, b, c); }

// sine_cosine is sin and cos of x for |x| < 2^31, to about 1e-7: the multiple of pi/2 is taken out in float64, in two parts.
DEVICE Pair sine_cosine(double x) {
  double k = __nvvm_floor_d(fma(x, 0.63661977236758134, 0.5));
  double a = fma(-k, 6.123233995736766e-17, fma(-k, 1.5707963267948966, x));
  return sine_cosine_quarter((float)a, (u32)(int)k & 3);
}

// exponential is exp(x) in float64 for |x| < 700, to about 1e-16 relative: 2^k times the Taylor series of the rest, |rest| <= ln 2 / 2.
DEVICE double exponential(double x) {
  double k = __nvvm_floor_d(fma(x, 1.4426950408889634, 0.5));
  double rest = fma(-k, 2.3190468138462996e-17, fma(-k, 0.69314718055994529, x));
  double sum = 1;
#pragma unroll
  for (int n = 14; n > 0; n--) sum = fma(sum * rest, 1.0 / n, 1.0);
  return sum * __builtin_bit_cast(double, (u64)(1023 + (int)k) << 52);
}

// The random numbers of kernels/philox.go.

// Family names a family of draws: kernels.Random without its first image.
struct Family {
  u32 seed_low, seed_high, stream, step;
};
#define FAMILY_PARAMS u32 seed_low, u32 seed_high, u32 stream, u32 step
#define FAMILY Family{seed_low, seed_high, stream, step}

struct Block {
  u32 w[4];
};

DEVICE u32 multiply_high(u32 a, u32 b) { return (u32)((u64)a * b >> 32); }

// philox is block number block of the image with the given id.
DEVICE Block philox(Family f, u32 image, u32 block) {
  u32 c0 = block, c1 = image, c2 = f.step, c3 = f.stream, k0 = f.seed_low, k1 = f.seed_high;
  for (int round = 0; round < 10; round++) {
    u32 high0 = multiply_high(0xD2511F53, c0), low0 = 0xD2511F53 * c0;
    u32 high1 = multiply_high(0xCD9E8D57, c2), low1 = 0xCD9E8D57 * c2;
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return {c0, c1, c2, c3};
}

DEVICE float uniform(u32 b) { return ((float)(b >> 9) + 0.5f) * (1.0f / (1 << 23)); }

DEVICE float4 uniforms(Family f, u32 image, u32 block) {
  Block b = philox(f, image, block);
  return float4{uniform(b.w[0]), uniform(b.w[1]), uniform(b.w[2]), uniform(b.w[3])};
}

// box_muller is sqrt(-2 ln u) (cos, sin)(2 pi v) with u from word a and v from word b.
DEVICE Pair box_muller(u32 a, u32 b) {
  float r = square_root(-2 * logarithm(uniform(a)));
  u32 k = (b >> 8) + (1 << 21);
  float angle = (float)((int)(k & ((1 << 22) - 1)) - (1 << 21)) * (1.5707963267948966f / (1 << 22));
  Pair p = sine_cosine_quarter(angle, k >> 22 & 3);
  return {r * p.second, r * p.first};
}

DEVICE float4 normals(Family f, u32 image, u32 block) {
  Block b = philox(f, image, block);
  Pair p = box_muller(b.w[0], b.w[1]), q = box_muller(b.w[2], b.w[3]);
  return float4{p.first, p.second, q.first, q.second};
}

// image_id is the id of image n of a batch; ids may be null.
DEVICE u32 image_id(const int* ids, u32 first, int n) { return ids ? (u32)ids[n] : first + n; }

// Reductions over a block of a fixed number of threads; every thread gets the result. The order of the additions depends on nothing
// but that number. room holds one float per warp.

template <int THREADS> DEVICE float block_sum(float v, float* room) {
  for (int lanes = WARP / 2; lanes > 0; lanes /= 2) v += shuffle_xor(v, lanes);
  barrier();  // room may still be read from the reduction before
  if (thread_x() % WARP == 0) room[thread_x() / WARP] = v;
  barrier();
  v = 0;
  for (int i = 0; i < THREADS / WARP; i++) v += room[i];
  return v;
}

template <int THREADS> DEVICE float block_max(float v, float* room) {
  for (int lanes = WARP / 2; lanes > 0; lanes /= 2) v = max(v, shuffle_xor(v, lanes));
  barrier();
  if (thread_x() % WARP == 0) room[thread_x() / WARP] = v;
  barrier();
  v = room[0];
  for (int i = 1; i < THREADS / WARP; i++) v = max(v, room[i]);
  return v;
}
