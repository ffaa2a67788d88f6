// What a CUDA source finds when it is compiled as C++ for the host: vectors, the compiler's builtins, and the instructions that the sources
// write as inline PTX, each under the name that the translation gives its text (simt_build_test.go): everything but letters and digits
// becomes an underscore. A source is included into an unnamed namespace after this file.
//
// Arithmetic is the host's IEEE arithmetic. An approx instruction is the C library's float64 function rounded once.
#pragma once
#include <math.h>
#include <string.h>

#include <utility>
#include <vector>

namespace simt {

typedef unsigned int u32;
typedef unsigned long long u64;

// Vector stands for an extended vector: one value in all places, or N values.
template <class T, int N> struct alignas(sizeof(T) * N) Vector {
  T v[N];
  Vector() = default;
  Vector(T all) {
    for (T& x : v) x = all;
  }
  template <class... Rest> Vector(T first, T second, Rest... rest) : v{first, second, T(rest)...} { static_assert(sizeof...(rest) + 2 == N); }
  T& operator[](int i) { return v[i]; }
  T operator[](int i) const { return v[i]; }
  friend Vector operator+(Vector a, Vector b) { return a += b; }
  friend Vector operator-(Vector a, Vector b) {
    for (int i = 0; i < N; i++) a.v[i] = a.v[i] - b.v[i];
    return a;
  }
  friend Vector operator*(Vector a, Vector b) {
    for (int i = 0; i < N; i++) a.v[i] = a.v[i] * b.v[i];
    return a;
  }
  friend Vector operator/(Vector a, Vector b) {
    for (int i = 0; i < N; i++) a.v[i] = a.v[i] / b.v[i];
    return a;
  }
  Vector& operator+=(Vector b) {
    for (int i = 0; i < N; i++) v[i] = v[i] + b.v[i];
    return *this;
  }
};

// Copy is a cp.async in flight: it happens when its group is waited for, as late as it may.
struct Copy {
  char* to;
  const char* from;
  u32 bytes;  // that are read; the rest of the 16 become zeros
};

// Together is an instruction that all lanes of a warp execute as one.
enum Together { SHUFFLE_XOR, MMA_TF32, MMA_BF16 };

// Thread is a running thread of the block. A fiber of its own executes it.
struct Thread {
  int number;  // in the block
  Together together;
  u32 operand[6];  // of A, then of B; or of a shuffle: the value and the lanes to cross
  float sum[4];    // C and then D; or the value that a shuffle gives
  std::vector<Copy> copies;
  std::vector<size_t> groups;  // ends in copies of those committed
};

extern Thread* self;
extern int block[3], grid[3];

void barrier();
// meet runs self->together when all lanes have come to it.
void meet(Together what);
void* dynamic_shared();
void wait_copies(size_t in_flight);

inline float ftz(float x) { return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x; }

// mma hands the lane's part of A, then of B, to an instruction of the warp; c is its part of C, and of D when it returns.
inline void mma(Together what, float& c0, float& c1, float& c2, float& c3, const u32 (&operand)[6]) {
  memcpy(self->operand, operand, sizeof operand);
  float c[4] = {c0, c1, c2, c3};
  memcpy(self->sum, c, sizeof c);
  meet(what);
  c0 = self->sum[0], c1 = self->sum[1], c2 = self->sum[2], c3 = self->sum[3];
}

// Kernel is an entry of the sources.
struct Kernel {
  const char* name;
  void (*function)();
  void (*call)(void (*)(), const u64*);
  std::vector<size_t> sizes;  // of its parameters

  template <class... P> Kernel(const char* name, void (*f)(P...)) : name(name), function((void (*)())f), call(apply<P...>), sizes{sizeof(P)...} { list(this); }
  template <class... P> static void apply(void (*f)(), const u64* slots) { unpack(((void (*)(P...))f), slots, std::index_sequence_for<P...>()); }
  template <class... P, size_t... I> static void unpack(void (*f)(P...), const u64* slots, std::index_sequence<I...>) { f(from_slot<P>(slots[I])...); }
  template <class P> static P from_slot(u64 slot) {
    P p;
    memcpy(&p, &slot, sizeof p);
    return p;
  }
  static void list(Kernel*);
};
}  // namespace simt

inline int __nvvm_read_ptx_sreg_tid_x() { return simt::self->number; }
inline int __nvvm_read_ptx_sreg_ctaid_x() { return simt::block[0]; }
inline int __nvvm_read_ptx_sreg_ctaid_y() { return simt::block[1]; }
inline int __nvvm_read_ptx_sreg_ctaid_z() { return simt::block[2]; }
inline int __nvvm_read_ptx_sreg_nctaid_x() { return simt::grid[0]; }
inline void __syncthreads() { simt::barrier(); }

// All lanes take part (mask) and trade within the whole warp (clamp): the sources do nothing else.
inline float __nvvm_shfl_sync_bfly_f32(simt::u32, float v, int lanes, int) {
  memcpy(simt::self->operand, &v, sizeof v);
  simt::self->operand[1] = lanes;
  simt::meet(simt::SHUFFLE_XOR);
  return simt::self->sum[0];
}

inline float __nvvm_fma_rn_f(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline double __nvvm_fma_rn_d(double a, double b, double c) { return __builtin_fma(a, b, c); }
inline float __nvvm_sqrt_rn_f(float x) { return __builtin_sqrtf(x); }
inline double __nvvm_floor_d(double x) { return __builtin_floor(x); }
inline float __nvvm_rcp_approx_ftz_f(float x) { return simt::ftz((float)(1 / (double)simt::ftz(x))); }
inline float __nvvm_ex2_approx_ftz_f(float x) { return simt::ftz((float)exp2((double)simt::ftz(x))); }

inline void ld_shared_v4_f32_0_1_2_3_4(float& a, float& b, float& c, float& d, simt::u32 address) {
  const float* p = (const float*)(simt::u64)address;
  a = p[0], b = p[1], c = p[2], d = p[3];
}

inline void ld_shared_u32_0_1_2(simt::u32& a, simt::u32 address, int offset) { a = *(const simt::u32*)(simt::u64)(address + offset); }
inline void ld_shared_v2_u32_0_1_2_3(simt::u32& a, simt::u32& b, simt::u32 address, int offset) {
  const simt::u32* p = (const simt::u32*)(simt::u64)(address + offset);
  a = p[0], b = p[1];
}
inline void ld_shared_v4_u32_0_1_2_3_4_5(simt::u32& a, simt::u32& b, simt::u32& c, simt::u32& d, simt::u32 address, int offset) {
  ld_shared_v2_u32_0_1_2_3(a, b, address, offset);
  ld_shared_v2_u32_0_1_2_3(c, d, address, offset + 8);
}
inline void ld_shared_v4_f32_0_1_2_3_4_5(float& a, float& b, float& c, float& d, simt::u32 address, int offset) {
  ld_shared_v4_f32_0_1_2_3_4(a, b, c, d, address + offset);
}

// Rounds to nearest, ties away from zero, to 10 bits of mantissa; the others are zero.
inline void cvt_rna_tf32_f32_0_1(simt::u32& w, float x) {
  memcpy(&w, &x, sizeof w);
  w = x != x ? 0x7fffe000 : isinf(x) ? w : (w + 0x1000) & ~0x1fffu;
}

inline simt::u32 round_bf16(float x) {
  simt::u32 w;
  memcpy(&w, &x, sizeof w);
  return x != x ? 0x7fff : (w + 0x7fff + (w >> 16 & 1)) >> 16;
}
inline void cvt_rn_bf16x2_f32_0_1_2(simt::u32& w, float high, float low) { w = round_bf16(high) << 16 | round_bf16(low); }

inline void cvt_rn_f16_f32_0_1(unsigned short& h, float x) {
  unsigned sign = signbit(x) ? 0x8000 : 0;
  float size = fabsf(x);
  if (x != x) {
    h = 0x7fff;
  } else if (size >= 65520) {  // half a step beyond the largest
    h = sign | 0x7c00;
  } else if (size < 0x1p-14f) {  // subnormal, in steps of 2^-24
    h = sign | (unsigned)rintf(size * 0x1p24f);
  } else {
    simt::u32 w;
    memcpy(&w, &size, sizeof w);
    h = sign | ((w - (112u << 23) + 0xfff + (w >> 13 & 1)) >> 13);
  }
}

inline void cvt_f32_f16_0_1(float& x, unsigned short h) {
  int exponent = h >> 10 & 31, mantissa = h & 0x3ff;
  float size = exponent == 31 ? (mantissa ? NAN : INFINITY) : exponent ? ldexpf(1024 + mantissa, exponent - 25) : ldexpf(mantissa, -24);
  x = h >> 15 ? -size : size;
}

inline void reg_pred_p_setp_ne_s32_p_1_0_selp_f32_0_2_3_p(float& v, int which, float a, float b) { v = which ? a : b; }

inline void mma_sync_aligned_m16n8k8_row_col_f32_tf32_tf32_f32_0_1_2_3_4_5_6_7_8_9_0_1_2_3(float& c0, float& c1, float& c2, float& c3, simt::u32 a0,
                                                                                           simt::u32 a1, simt::u32 a2, simt::u32 a3, simt::u32 b0,
                                                                                           simt::u32 b1) {
  simt::mma(simt::MMA_TF32, c0, c1, c2, c3, {a0, a1, a2, a3, b0, b1});
}

inline void mma_sync_aligned_m16n8k8_row_col_f32_bf16_bf16_f32_0_1_2_3_4_5_6_0_1_2_3(float& c0, float& c1, float& c2, float& c3, simt::u32 a0,
                                                                                  simt::u32 a1, simt::u32 b0) {
  simt::mma(simt::MMA_BF16, c0, c1, c2, c3, {a0, a1, 0, 0, b0, 0});  // zeros for the other half
}
inline void mma_sync_aligned_m16n8k16_row_col_f32_bf16_bf16_f32_0_1_2_3_4_5_6_7_8_9_0_1_2_3(float& c0, float& c1, float& c2, float& c3, simt::u32 a0,
                                                                                            simt::u32 a1, simt::u32 a2, simt::u32 a3, simt::u32 b0,
                                                                                            simt::u32 b1) {
  simt::mma(simt::MMA_BF16, c0, c1, c2, c3, {a0, a1, a2, a3, b0, b1});
}

inline void cp_async_cg_shared_global_0_1_16_2(simt::u32 to, simt::u64 from, int bytes) {
  simt::self->copies.push_back({(char*)(simt::u64)to, (const char*)from, (simt::u32)bytes});
}
inline void cp_async_cg_shared_global_0_3_1_16_2(simt::u32 to, simt::u64 from, int bytes, int offset) {
  cp_async_cg_shared_global_0_1_16_2(to + offset, from, bytes);
}
inline void cp_async_commit_group() { simt::self->groups.push_back(simt::self->copies.size()); }
inline void cp_async_wait_group_0(int in_flight) { simt::wait_copies(in_flight); }
