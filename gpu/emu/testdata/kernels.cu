// Well-formed kernels the emulator must run to the right answer with every check on. The PTX beside this file was made by
//   clang-19 -x cuda --cuda-device-only -S --cuda-gpu-arch=sm_80 --cuda-feature=+ptx70 -nocudainc -nocudalib -O3 -std=c++17 kernels.cu -o kernels.ptx
#include "dev.cuh"

// y[i] = a*x[i] + z[i], one thread per element.
KERNEL vector_axpy_f32(float *y, const float *x, const float *z, float a, int n) {
  int i = bid() * bdim() + tid();
  if (i < n) y[i] = a * x[i] + z[i];
}

// C[M,N] = A[M,K] B[K,N]; 64x64 tile per block of 256 threads, 4x4 per thread, K step 16, 128-bit loads; M, N % 64 == 0, K % 16 == 0.
KERNEL __launch_bounds__(256) sgemm_f32_tiled(float *C, const float *A, const float *B, int M, int N, int K) {
  __shared__ __attribute__((aligned(16))) float As[16][64 + 4], Bs[16][64];
  int t = tid(), tx = t % 16, ty = t / 16;
  const float *a = A + (bidy() * 64 + t / 4) * K + (t % 4) * 4;
  const float *b = B + (t / 16) * N + bid() * 64 + (t % 16) * 4;
  float acc[4][4] = {};
  for (int k0 = 0; k0 < K; k0 += 16) {
    float4 av = *(const float4 *)a, bv = *(const float4 *)b;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 4; i++) As[(t % 4) * 4 + i][t / 4] = av[i];
    *(float4 *)&Bs[t / 16][(t % 16) * 4] = bv;
    __syncthreads();
#pragma unroll
    for (int k = 0; k < 16; k++) {
      float4 x = lds128(&As[k][ty * 4]), y = lds128(&Bs[k][tx * 4]);
#pragma unroll
      for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) acc[i][j] = __nvvm_fma_rn_f(x[i], y[j], acc[i][j]);
    }
    a += 16;
    b += 16 * N;
  }
#pragma unroll
  for (int i = 0; i < 4; i++) {
    float4 v = {acc[i][0], acc[i][1], acc[i][2], acc[i][3]};
    *(float4 *)&C[(bidy() * 64 + ty * 4 + i) * N + bid() * 64 + tx * 4] = v;
  }
}

FN float warp_sum(float v) {
#pragma unroll
  for (int o = 16; o > 0; o >>= 1) v += __nvvm_shfl_sync_bfly_f32(~0u, v, o, 31);
  return v;
}
FN float warp_max(float v) {
#pragma unroll
  for (int o = 16; o > 0; o >>= 1) v = __nvvm_fmax_f(v, __nvvm_shfl_sync_bfly_f32(~0u, v, o, 31));
  return v;
}

// out[b] = sum over x of block b's share; block of 256.
KERNEL reduce_sum_f32(float *out, const float *x, int n) {
  __shared__ float part[8];
  float s = 0;
  for (int i = bid() * 256 + tid(); i < n; i += gdim() * 256) s += x[i];
  s = warp_sum(s);
  if (tid() % 32 == 0) part[tid() / 32] = s;
  __syncthreads();
  if (tid() < 32) {
    s = warp_sum(tid() < 8 ? part[tid()] : 0);
    if (tid() == 0) out[bid()] = s;
  }
}

// y[r,:] = softmax(x[r,:]); one warp per row.
KERNEL softmax_f32_rows(float *y, const float *x, int cols) {
  const float *row = x + bid() * cols;
  float m = -__builtin_huge_valf();
  for (int i = tid(); i < cols; i += 32) m = __nvvm_fmax_f(m, row[i]);
  m = warp_max(m);
  float s = 0;
  for (int i = tid(); i < cols; i += 32) s += ex2((row[i] - m) * 1.4426950408889634f);
  s = warp_sum(s);
  for (int i = tid(); i < cols; i += 32) y[bid() * cols + i] = ex2((row[i] - m) * 1.4426950408889634f) / s;
}

// hist[x[i] % 16]++ through shared then global atomics.
KERNEL histogram_u32_atomic(u32 *hist, const u32 *x, int n) {
  __shared__ u32 h[16];
  if (tid() < 16) h[tid()] = 0;
  __syncthreads();
  for (int i = bid() * bdim() + tid(); i < n; i += gdim() * bdim()) __nvvm_atom_add_gen_i((int *)&h[x[i] % 16], 1);
  __syncthreads();
  if (tid() < 16) asm volatile("red.global.add.u32 [%0], %1;" ::"l"(hist + tid()), "r"(h[tid()]) : "memory");
}

// y[i] = x[i] + 1 over tiles of 512 floats, two cp.async stages in flight; block of 128, n % 512 == 0, one block.
KERNEL stream_f32_cpasync(float *y, const float *x, int n) {
  __shared__ __attribute__((aligned(16))) float buf[2][512];
  int t = tid(), tiles = n / 512;
  cp_async16(&buf[0][t * 4], x + t * 4);
  cp_commit();
  for (int i = 0; i < tiles; i++) {
    if (i + 1 < tiles) cp_async16(&buf[(i + 1) & 1][t * 4], x + (i + 1) * 512 + t * 4);
    cp_commit();
    cp_wait<1>();
    __syncthreads();
#pragma unroll
    for (int j = 0; j < 4; j++) y[i * 512 + j * 128 + t] = buf[i & 1][j * 128 + t] + 1;
    __syncthreads();
  }
}

FN void ldmatrix4(u32 (&r)[4], u32 addr) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(addr) : "memory");
}
FN void ldmatrix2t(u32 (&r)[2], u32 addr) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];" : "=r"(r[0]), "=r"(r[1]) : "r"(addr) : "memory");
}

// D[16,8] = A[16,8] B[8,8] in tf32: one warp.
KERNEL mma_tf32_tile(float *D, const float *A, const float *B) {
  int l = tid(), g = l / 4, q = l % 4;
  u32 a[4], b[2];
  float av[4] = {A[g * 8 + q], A[(g + 8) * 8 + q], A[g * 8 + q + 4], A[(g + 8) * 8 + q + 4]};
  float bv[2] = {B[q * 8 + g], B[(q + 4) * 8 + g]};
  for (int i = 0; i < 4; i++) asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(a[i]) : "f"(av[i]));
  for (int i = 0; i < 2; i++) asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(b[i]) : "f"(bv[i]));
  float d[4] = {};
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  D[g * 8 + q * 2] = d[0];
  D[g * 8 + q * 2 + 1] = d[1];
  D[(g + 8) * 8 + q * 2] = d[2];
  D[(g + 8) * 8 + q * 2 + 1] = d[3];
}

#define MMA16(TYPE)                                                                                              \
  __shared__ __attribute__((aligned(16))) u16 As[16][16], Bs[16][8];                                              \
  int l = tid(), g = l / 4, q = l % 4;                                                                           \
  for (int i = l; i < 256; i += 32) As[i / 16][i % 16] = A[i];                                                   \
  for (int i = l; i < 128; i += 32) Bs[i / 8][i % 8] = B[i];                                                     \
  __nvvm_bar_warp_sync(~0u);                                                                                     \
  u32 a[4], b[2];                                                                                                \
  ldmatrix4(a, smem(&As[l % 16][(l / 16) * 8]));                                                                 \
  ldmatrix2t(b, smem(&Bs[l % 16][0]));                                                                           \
  float d[4] = {};                                                                                               \
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." TYPE "." TYPE ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};" \
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                                                  \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                               \
  D[g * 8 + q * 2] = d[0];                                                                                       \
  D[g * 8 + q * 2 + 1] = d[1];                                                                                   \
  D[(g + 8) * 8 + q * 2] = d[2];                                                                                 \
  D[(g + 8) * 8 + q * 2 + 1] = d[3];

// D[16,8] = A[16,16] B[16,8] with operands loaded by ldmatrix: one warp.
KERNEL mma_bf16_tile(float *D, const u16 *A, const u16 *B) { MMA16("bf16") }
KERNEL mma_f16_tile(float *D, const u16 *A, const u16 *B) { MMA16("f16") }

// Odd corners of the integer and conversion repertoire, one result per thread.
KERNEL mixed_ops(u32 *out, const u32 *in, u64 k) {
  int i = tid();
  u32 x = in[i], y = in[i ^ 1];
  u64 w = (u64)x * y + k;
  int s = (int)x >> 3;
  u32 r = (u32)(w >> 32) ^ (u32)w;
  r += (x << 5) | (x >> 27);
  r ^= __builtin_popcount(y) + __builtin_clz(x | 1) * 3u;
  r += x / (y | 1) + x % (y | 1);
  r ^= (u32)(s / 7);
  r += (u32)(w / (k | 1));
  r ^= __builtin_bswap32(x);
  r += __builtin_bitreverse32(y);
  float f = (float)x * 0.5f;
  r ^= (u32)f;
  double d = (double)f * 3.25 + (double)y;
  r += (u32)(long long)d;
  r ^= __nvvm_vote_ballot_sync(~0u, x & 1);
  r += (x > y && (s & 2)) ? 17 : 4;
  int buf[8];
  for (int j = 0; j < 8; j++) buf[j] = in[(i + j) & 31];
  r += buf[x & 7];
  out[i] = r;
}

// Each lane takes a different number of trips and branches.
KERNEL collatz_u32(u32 *steps, const u32 *x) {
  int i = bid() * bdim() + tid();
  u32 n = x[i], c = 0;
  while (n != 1) {
    n = n & 1 ? 3 * n + 1 : n / 2;
    c++;
  }
  steps[i] = c;
}

// y = x through dynamic shared memory, reversed within the block.
extern __shared__ float dynamic[];
KERNEL reverse_f32_dynamic(float *y, const float *x) {
  int t = tid(), n = bdim();
  dynamic[t] = x[bid() * n + t];
  __syncthreads();
  y[bid() * n + t] = dynamic[n - 1 - t];
}
