// Device header of the emulator's test kernels: the few names of CUDA C++ they use, over clang's NVPTX built-ins.
#pragma once

#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __launch_bounds__(n) __attribute__((launch_bounds(n)))
#define KERNEL extern "C" __global__ void
#define FN static __device__ __attribute__((always_inline)) inline

typedef unsigned u32;
typedef unsigned long long u64;
typedef unsigned short u16;
typedef float float4 __attribute__((ext_vector_type(4)));
typedef u32 uint4 __attribute__((ext_vector_type(4)));

FN int tid() { return __nvvm_read_ptx_sreg_tid_x(); }
FN int tidy() { return __nvvm_read_ptx_sreg_tid_y(); }
FN int bid() { return __nvvm_read_ptx_sreg_ctaid_x(); }
FN int bidy() { return __nvvm_read_ptx_sreg_ctaid_y(); }
FN int bdim() { return __nvvm_read_ptx_sreg_ntid_x(); }
FN int gdim() { return __nvvm_read_ptx_sreg_nctaid_x(); }

FN u32 smem(const void *p) { return (u32)(u64)(__attribute__((address_space(3))) const void *)p; }
FN void cp_async16(void *dst, const void *src) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(smem(dst)), "l"(src) : "memory");
}
// One 128-bit shared load: the optimiser would split a plain vector load into scalars.
FN float4 lds128(const void *p) {
  float4 v;
  asm volatile("ld.shared.v4.f32 {%0,%1,%2,%3}, [%4];" : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "r"(smem(p)) : "memory");
  return v;
}
FN void cp_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N> FN void cp_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }
FN float ex2(float x) { return __nvvm_ex2_approx_ftz_f(x); }
