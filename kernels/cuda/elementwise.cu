// Elementwise ops on flat arrays.
//
// Ladder (thread instructions per SiLU, counted by the emulator)
//   naive  34  one element per thread
//   vec4   21  four neighbours per thread: a quarter of the threads and one 128-bit access per operand, so that a warp moves 512 bytes
//          per request; the up to three elements of the tail are done one by one by the last thread. The formula is the same, so both
//          rungs give the same bits.
#include "dev.cuh"

const int THREADS = 256;

// An op is a functor with the number of arrays it reads; s and t are its scalars.
struct SiLU {
  static const int reads = 1;
  METHOD float operator()(float a, float, float, float) { return silu(a); }
};
struct SiLUGrad {  // a = dy, b = x
  static const int reads = 2;
  METHOD float operator()(float a, float b, float, float) { return a * silu_slope(b); }
};
struct Add {
  static const int reads = 2;
  METHOD float operator()(float a, float b, float, float) { return a + b; }
};
struct Scale {  // Axpy: accumulated
  static const int reads = 1;
  METHOD float operator()(float a, float, float s, float) { return s * a; }
};
struct Fill {
  static const int reads = 0;
  METHOD float operator()(float, float, float s, float) { return s; }
};
struct Copy {
  static const int reads = 1;
  METHOD float operator()(float a, float, float, float) { return a; }
};
struct Clamp {
  static const int reads = 1;
  METHOD float operator()(float a, float, float s, float t) { return a < s ? s : a > t ? t : a; }
};
struct ClampGrad {  // a = dy, b = x
  static const int reads = 2;
  METHOD float operator()(float a, float b, float s, float t) { return s <= b && b <= t ? a : 0; }
};

template <class Op> DEVICE void one(float* y, const float* a, const float* b, float s, float t, int i, int accumulate) {
  put(y + i, Op()(Op::reads > 0 ? a[i] : 0, Op::reads > 1 ? b[i] : 0, s, t), accumulate);
}

template <class Op> DEVICE void naive(float* y, const float* a, const float* b, float s, float t, int n, int accumulate) {
  int i = index_x(THREADS);
  if (i < n) one<Op>(y, a, b, s, t, i, accumulate);
}

template <class Op> DEVICE void vec4(float* y, const float* a, const float* b, float s, float t, int n, int accumulate) {
  int i = 4 * index_x(THREADS);
  if (i + 4 <= n) {
    float4 u = 0, v = 0, r;
    if (Op::reads > 0) u = load4(a + i);
    if (Op::reads > 1) v = load4(b + i);
    for (int k = 0; k < 4; k++) r[k] = Op()(u[k], v[k], s, t);
    put4(y + i, r, accumulate);
  } else {
    for (; i < n; i++) one<Op>(y, a, b, s, t, i, accumulate);
  }
}

#define ELEMENTWISE(name, Op)                                                                                             \
  KERNEL(THREADS) name##_f32_naive(float* y, const float* a, const float* b, float s, float t, int n, int accumulate) {  \
    naive<Op>(y, a, b, s, t, n, accumulate);                                                                              \
  }                                                                                                                       \
  KERNEL(THREADS) name##_f32_vec4(float* y, const float* a, const float* b, float s, float t, int n, int accumulate) {   \
    vec4<Op>(y, a, b, s, t, n, accumulate);                                                                               \
  }

ELEMENTWISE(silu_forward, SiLU)
ELEMENTWISE(silu_grad, SiLUGrad)
ELEMENTWISE(add_forward, Add)
ELEMENTWISE(axpy_forward, Scale)
ELEMENTWISE(fill_forward, Fill)
ELEMENTWISE(copy_forward, Copy)
ELEMENTWISE(clamp_forward, Clamp)
ELEMENTWISE(clamp_grad, ClampGrad)

// Casts round to nearest even; a NaN stays a quiet NaN. One element per thread: they run once per checkpoint.

DEVICE u16 to_bf16(float x) {
  u32 b = bits(x);
  if (x != x) return (u16)(b >> 16 | 0x40);
  return (u16)((b + 0x7fff + (b >> 16 & 1)) >> 16);
}

DEVICE u16 to_f16(float x) {
  u16 h;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(x));
  return h;
}

DEVICE float from_f16(u16 h) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(h));
  return x;
}

KERNEL(THREADS) cast_forward_bf16_naive(u16* y, const float* x, int n) {
  int i = index_x(THREADS);
  if (i < n) y[i] = to_bf16(x[i]);
}

KERNEL(THREADS) cast_forward_f16_naive(u16* y, const float* x, int n) {
  int i = index_x(THREADS);
  if (i < n) y[i] = to_f16(x[i]);
}

KERNEL(THREADS) cast_back_bf16_naive(float* y, const u16* x, int n) {
  int i = index_x(THREADS);
  if (i < n) y[i] = from_bits((u32)x[i] << 16);
}

KERNEL(THREADS) cast_back_f16_naive(float* y, const u16* x, int n) {
  int i = index_x(THREADS);
  if (i < n) y[i] = from_f16(x[i]);
}
