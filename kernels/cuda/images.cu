// Ops with one coefficient or one result per image, and sums of rows.
//
// Ladder
//   naive  scale: one element per thread. Reductions: one block per image, one element per thread and step.
//   vec4   128-bit accesses where images are a multiple of four long; a reduction keeps four running sums per thread. The choice is made
//          by the length of an image, so an image gives the same bits in every batch.
#include "dev.cuh"

const int THREADS = 256;

KERNEL(THREADS) scaleimages_forward_f32_naive(float* y, const float* a, const float* x, const float* b, const float* z, int n, int len, int accumulate) {
  int i = index_x(THREADS);
  if (i >= n * len) return;
  int image = i / len;
  float v = a[image] * x[i];
  if (b) v = fma(b[image], z[i], v);
  put(y + i, v, accumulate);
}

KERNEL(THREADS) scaleimages_forward_f32_vec4(float* y, const float* a, const float* x, const float* b, const float* z, int n, int len, int accumulate) {
  int i = 4 * index_x(THREADS);
  if (i >= n * len) return;
  int image = i / len;
  float4 v = a[image] * load4(x + i);
  if (b) {
    float4 w = load4(z + i);
    for (int k = 0; k < 4; k++) v[k] = fma(b[image], w[k], v[k]);
  }
  put4(y + i, v, accumulate);
}

// Terms of the reductions: what one element adds.
struct Value {
  METHOD float operator()(float a, float, float sum) const { return sum + a; }
};
struct Product {
  METHOD float operator()(float a, float b, float sum) const { return fma(a, b, sum); }
};
struct SquaredDifference {
  METHOD float operator()(float a, float b, float sum) const { return fma(a - b, a - b, sum); }
};

template <class Term> DEVICE float image_sum(const float* a, const float* b, int len) {
  __shared__ float room[THREADS / WARP];
  float sum = 0;
  for (int i = thread_x(); i < len; i += THREADS) sum = Term()(a[i], b ? b[i] : 0, sum);
  return block_sum<THREADS>(sum, room);
}

template <class Term> DEVICE float image_sum4(const float* a, const float* b, int len) {
  __shared__ float room[THREADS / WARP];
  float4 sum = 0;
  for (int i = 4 * thread_x(); i < len; i += 4 * THREADS) {
    float4 u = load4(a + i), v = 0;
    if (b) v = load4(b + i);
    for (int k = 0; k < 4; k++) sum[k] = Term()(u[k], v[k], sum[k]);
  }
  return block_sum<THREADS>((sum[0] + sum[1]) + (sum[2] + sum[3]), room);
}

// One block per image.
#define REDUCTION(name, Term)                                                                                  \
  KERNEL(THREADS) name##_f32_naive(float* out, const float* a, const float* b, int len, int accumulate) {     \
    i64 at = (i64)block_x() * len;                                                                             \
    float sum = image_sum<Term>(a + at, b ? b + at : 0, len);                                                  \
    if (thread_x() == 0) put(out + block_x(), sum, accumulate);                                                \
  }                                                                                                            \
  KERNEL(THREADS) name##_f32_vec4(float* out, const float* a, const float* b, int len, int accumulate) {      \
    i64 at = (i64)block_x() * len;                                                                             \
    float sum = image_sum4<Term>(a + at, b ? b + at : 0, len);                                                 \
    if (thread_x() == 0) put(out + block_x(), sum, accumulate);                                                \
  }

REDUCTION(sum_forward, Value)
REDUCTION(dot_forward, Product)

// squarederror: loss[n] = weight[n] |x[n]-ref[n]|^2 and dx = 2 weight[n] (x-ref), in one pass; dx may be null.
KERNEL(THREADS) squarederror_forward_f32_naive(float* loss, float* dx, const float* x, const float* ref, const float* weight, int len, int accumulate) {
  __shared__ float room[THREADS / WARP];
  i64 at = (i64)block_x() * len;
  float w = weight[block_x()], sum = 0;
  for (int i = thread_x(); i < len; i += THREADS) {
    float a = x[at + i], b = ref[at + i];
    sum = SquaredDifference()(a, b, sum);
    if (dx) put(dx + at + i, 2 * w * (a - b), accumulate);
  }
  sum = block_sum<THREADS>(sum, room);
  if (thread_x() == 0) put(loss + block_x(), w * sum, accumulate);
}

KERNEL(THREADS) squarederror_forward_f32_vec4(float* loss, float* dx, const float* x, const float* ref, const float* weight, int len, int accumulate) {
  __shared__ float room[THREADS / WARP];
  i64 at = (i64)block_x() * len;
  float w = weight[block_x()];
  float4 sum = 0;
  for (int i = 4 * thread_x(); i < len; i += 4 * THREADS) {
    float4 a = load4(x + at + i), b = load4(ref + at + i);
    for (int k = 0; k < 4; k++) sum[k] = SquaredDifference()(a[k], b[k], sum[k]);
    if (dx) put4(dx + at + i, 2 * w * (a - b), accumulate);
  }
  float total = block_sum<THREADS>((sum[0] + sum[1]) + (sum[2] + sum[3]), room);
  if (thread_x() == 0) put(loss + block_x(), w * total, accumulate);
}

// sumrows: y[g,c] = sum over r of x[g,r,c]. The naive rung gives a column to a thread. The split rung gives 32 columns and `chunk` rows
// to a block of 8 warps, block (columns, chunk, group), and is run again on the partial sums [group][chunk][column] until one chunk is left.
KERNEL(THREADS) sumrows_forward_f32_naive(float* y, const float* x, int groups, int rows, int c, int stride, int accumulate) {
  int i = index_x(THREADS);
  if (i >= groups * c) return;
  int g = i / c;
  const float* p = x + (i64)g * rows * stride + (i - g * c);
  float sum = 0;
  for (int r = 0; r < rows; r++) sum += p[(i64)r * stride];
  put(y + i, sum, accumulate);
}

KERNEL(THREADS) sumrows_forward_f32_split(float* y, const float* x, int rows, int c, int stride, int chunk, int chunks, int accumulate) {
  __shared__ float part[THREADS / WARP][WARP];
  int lane = thread_x() % WARP, warp = thread_x() / WARP;
  int column = block_x() * WARP + lane, g = block_z();
  int first = block_y() * chunk, last = min(first + chunk, rows);
  float sum = 0;
  if (column < c) {
    for (int r = first + warp; r < last; r += THREADS / WARP) sum += x[((i64)g * rows + r) * stride + column];
  }
  part[warp][lane] = sum;
  barrier();
  if (warp > 0 || column >= c) return;
  sum = 0;
  for (int i = 0; i < THREADS / WARP; i++) sum += part[i][lane];
  put(y + ((i64)g * chunks + block_y()) * c + column, sum, accumulate);
}
