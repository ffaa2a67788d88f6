// Kernels of the driver conformance suite; no header, so that the suite stands alone. The PTX beside this file was made by
//   clang-19 -x cuda --cuda-device-only -S --cuda-gpu-arch=sm_70 --cuda-feature=+ptx70 -nocudainc -nocudalib -O3 -std=c++17 suite.cu -o suite.ptx
#define KERNEL extern "C" __attribute__((global)) void

static __attribute__((device)) int index() {
  return __nvvm_read_ptx_sreg_ctaid_x() * __nvvm_read_ptx_sreg_ntid_x() + __nvvm_read_ptx_sreg_tid_x();
}

// y[i] = a*x[i] + b, n threads.
KERNEL affine_f32(float *y, const float *x, float a, float b, int n) {
  int i = index();
  if (i < n) y[i] = a * x[i] + b;
}

// out[0..] = the bits of every kind of argument, one thread.
KERNEL arguments(unsigned long long *out, int i32, unsigned u32, long long i64, unsigned long long u64, float f32, double f64) {
  out[0] = (long long)i32;
  out[1] = u32;
  out[2] = i64;
  out[3] = u64;
  out[4] = __builtin_bit_cast(unsigned, f32);
  out[5] = __builtin_bit_cast(unsigned long long, f64);
}

// out = {grid, block, sums of all block and thread indices}, atomically.
KERNEL geometry(unsigned *out) {
  const int v[12] = {
      __nvvm_read_ptx_sreg_nctaid_x(), __nvvm_read_ptx_sreg_nctaid_y(), __nvvm_read_ptx_sreg_nctaid_z(),
      __nvvm_read_ptx_sreg_ntid_x(),   __nvvm_read_ptx_sreg_ntid_y(),   __nvvm_read_ptx_sreg_ntid_z(),
      __nvvm_read_ptx_sreg_ctaid_x(),  __nvvm_read_ptx_sreg_ctaid_y(),  __nvvm_read_ptx_sreg_ctaid_z(),
      __nvvm_read_ptx_sreg_tid_x(),    __nvvm_read_ptx_sreg_tid_y(),    __nvvm_read_ptx_sreg_tid_z()};
#pragma unroll
  for (int k = 0; k < 12; k++) __nvvm_atom_add_gen_i((int *)&out[k], v[k]);
}

// y = x reversed within the block, through dynamic shared memory.
extern __attribute__((shared)) float dynamic[];
KERNEL reverse_f32(float *y, const float *x) {
  int t = __nvvm_read_ptx_sreg_tid_x(), n = __nvvm_read_ptx_sreg_ntid_x();
  dynamic[t] = x[index()];
  __syncthreads();
  y[index()] = dynamic[n - 1 - t];
}

KERNEL __attribute__((launch_bounds(64))) bounded(float *y) { y[index()] = 1; }

// Stops the device.
KERNEL fault() { __builtin_trap(); }
