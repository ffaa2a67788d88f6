// Kernels with one planted bug each. Every one must be refused by exactly the check its name says. Compiled like kernels.cu.
#include "dev.cuh"

KERNEL bug_global_off_by_one(float *y, int n) {
  int i = bid() * bdim() + tid();
  if (i <= n) y[i] = 1;
}

KERNEL bug_missing_barrier(float *y, const float *x) {
  __shared__ float s[64];
  s[tid()] = x[tid()];
  y[tid()] = s[63 - tid()];
}

KERNEL bug_missing_syncwarp(float *y, const float *x) {
  __shared__ float s[32];
  s[tid()] = x[tid()];
  y[tid()] = s[31 - tid()];
}

KERNEL fixed_syncwarp(float *y, const float *x) {
  __shared__ float s[32];
  s[tid()] = x[tid()];
  __nvvm_bar_warp_sync(~0u);
  y[tid()] = s[31 - tid()];
}

KERNEL bug_missing_cpasync_wait(float *y, const float *x) {
  __shared__ __attribute__((aligned(16))) float s[128];
  cp_async16(&s[tid() * 4], x + tid() * 4);
  cp_commit();
  __syncthreads();
  y[tid()] = s[tid()];
}

KERNEL bug_two_blocks_write(float *y) {
  if (tid() == 0) y[0] = bid();
}

KERNEL bug_uninitialised_shared(float *y) {
  __shared__ float s[64];
  if (tid() < 32) s[tid()] = tid();
  __syncthreads();
  y[tid()] = s[tid()];
}

KERNEL bug_misaligned_vector(float *y, const float *x) {
  *(float4 *)(y + tid() * 4) = *(const float4 *)(x + 1 + tid() * 4);
}

KERNEL bug_divergent_barrier(float *y) {
  if (tid() < 16) __syncthreads();
  y[tid()] = 1;
}

KERNEL scale_f32(float *y, float a) { y[tid()] *= a; }

KERNEL fill_f32(float *y, float a) { y[tid()] = a; }
