// The tile engine of products on tensor cores (sm_80): operands rounded to TF32 or bfloat16, sums in float32.
//
// A block of THREADS threads multiplies a 128 x 16 tile by a 16 x 128 tile per step; its 8 warps have 64 x 32 sums each, as 4 x 4 squares
// of mma.sync.m16n8. Operands are fetched as float32 into registers while the step before is multiplied, and rounded once, on their way
// to shared memory, not at every use. A word of shared memory holds one TF32 value or two bfloat16 values, neighbours along k, so one
// mma consumes 8 words along k for either type, and the fragments of both have the same shape.
#pragma once
#include "dev.cuh"

const int THREADS = 256;

typedef u32 uint4 __attribute__((ext_vector_type(4)));
typedef u32 uint2 __attribute__((ext_vector_type(2)));

const int WIDTH = 128, DEPTH = 16;  // of a tile, in values

// Sums are the four results of a lane in a 16 x 8 square: row lane/4 and row lane/4 + 8, columns 2*(lane%4) and the next.
struct Sums {
  float c[4];
};

struct TF32 {
  static const int WORDS = DEPTH;  // along k of a tile
  static METHOD u32 round(float x) {
    u32 w;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(w) : "f"(x));
    return w;
  }
  static METHOD void multiply(Sums& s, const u32 (&a)[4], const u32 (&b)[2]) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(s.c[0]), "+f"(s.c[1]), "+f"(s.c[2]), "+f"(s.c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
};

struct BF16 {
  static const int WORDS = DEPTH / 2;
  // round packs two values, the first in the low half.
  static METHOD u32 round(float first, float second) {
    u32 w;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(w) : "f"(second), "f"(first));
    return w;
  }
  static METHOD void multiply(Sums& s, const u32 (&a)[4], const u32 (&b)[2]) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(s.c[0]), "+f"(s.c[1]), "+f"(s.c[2]), "+f"(s.c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
};

// A thread fetches two times four values of a tile: parts 0 and 1. AlongK and AlongI say which, and how they are stored.

// Operand contiguous along k: four k of row i, and of row i + 64. A row of words is contiguous in shared memory; its groups of four words
// are swapped by row, so that both the stores and the fragments of a warp touch all 32 banks.
template <class T, int PART = 0> struct AlongK {
  static const int WIDTH = ::WIDTH, DEPTH = ::DEPTH, SIZE = WIDTH * T::WORDS;
  static METHOD int i() { return thread_x() / 4 + 64 * PART; }
  static METHOD int k() { return thread_x() % 4 * 4; }
  static METHOD int at(int i, int word) {
    const int rows = 32 / T::WORDS, groups = T::WORDS / 4;
    return i * T::WORDS + ((word / 4 ^ i / rows % groups) * 4 | word % 4);
  }
  static METHOD void store(u32* tile, float4 first, float4 second);
};
template <> METHOD void AlongK<TF32>::store(u32* tile, float4 first, float4 second) {
  *(uint4*)(tile + at(i(), k())) = uint4{TF32::round(first[0]), TF32::round(first[1]), TF32::round(first[2]), TF32::round(first[3])};
  *(uint4*)(tile + at(i() + 64, k())) = uint4{TF32::round(second[0]), TF32::round(second[1]), TF32::round(second[2]), TF32::round(second[3])};
}
template <> METHOD void AlongK<BF16>::store(u32* tile, float4 first, float4 second) {
  *(uint2*)(tile + at(i(), k() / 2)) = uint2{BF16::round(first[0], first[1]), BF16::round(first[2], first[3])};
  *(uint2*)(tile + at(i() + 64, k() / 2)) = uint2{BF16::round(second[0], second[1]), BF16::round(second[2], second[3])};
}

// Operand contiguous along the tile's width: four neighbours of k, and of k + 1, which share words of bfloat16. Rows of words of one k are
// 8 words longer than the tile is wide, so that the fragments of a warp touch all 32 banks.
template <class T, int PART = 0> struct AlongI {
  static const int WIDTH = ::WIDTH, DEPTH = ::DEPTH, PITCH = WIDTH + 8, SIZE = PITCH * T::WORDS;
  static METHOD int i() { return thread_x() % 32 * 4; }
  static METHOD int k() { return thread_x() / 32 * 2 + PART; }
  static METHOD int at(int i, int word) { return word * PITCH + i; }
  static METHOD void store(u32* tile, float4 first, float4 second);
};
template <> METHOD void AlongI<TF32>::store(u32* tile, float4 first, float4 second) {
  *(uint4*)(tile + at(i(), k())) = uint4{TF32::round(first[0]), TF32::round(first[1]), TF32::round(first[2]), TF32::round(first[3])};
  *(uint4*)(tile + at(i(), k() + 1)) = uint4{TF32::round(second[0]), TF32::round(second[1]), TF32::round(second[2]), TF32::round(second[3])};
}
template <> METHOD void AlongI<BF16>::store(u32* tile, float4 first, float4 second) {
  *(uint4*)(tile + at(i(), k() / 2)) = uint4{BF16::round(first[0], second[0]), BF16::round(first[1], second[1]), BF16::round(first[2], second[2]),
                                             BF16::round(first[3], second[3])};
}

// Parts is an operand as both parts of a thread.
template <class First, class Second> struct Parts {
  typedef typename First::Order Order;
  First first;
  Second second;
  METHOD void next() {
    first.next();
    second.next();
  }
};
template <class First, class Second> DEVICE Parts<First, Second> parts(First first, Second second) { return {first, second}; }

// multiply gives out(row, column, four neighbouring sums) every part of the product of `steps` tiles that the thread has.
template <class T, class A, class B, class Output> DEVICE void multiply(A a, B b, int steps, const Output& out) {
  __shared__ __attribute__((aligned(16))) u32 a_tile[2][A::Order::SIZE], b_tile[2][B::Order::SIZE];
  int lane = thread_x() % WARP, warp = thread_x() / WARP;
  int row = warp / 4 * 64 + lane / 4, column = warp % 4 * 32 + lane / 4, word = lane % 4;
  Sums sum[4][4] = {};
  A::Order::store(a_tile[0], a.first.get(), a.second.get());
  B::Order::store(b_tile[0], b.first.get(), b.second.get());
  barrier();
  for (int step = 0; step < steps; step++) {
    int now = step % 2;
    bool more = step + 1 < steps;
    float4 a_first = 0, a_second = 0, b_first = 0, b_second = 0;
    if (more) {
      a.next();
      b.next();
      a_first = a.first.get();
      a_second = a.second.get();
      b_first = b.first.get();
      b_second = b.second.get();
    }
#pragma unroll
    for (int w = 0; w < T::WORDS; w += 8) {
      u32 u[4][4], v[4][2];
#pragma unroll
      for (int q = 0; q < 4; q++) {
        u[q][0] = a_tile[now][A::Order::at(row + 16 * q, w + word)];
        u[q][1] = a_tile[now][A::Order::at(row + 16 * q + 8, w + word)];
        u[q][2] = a_tile[now][A::Order::at(row + 16 * q, w + 4 + word)];
        u[q][3] = a_tile[now][A::Order::at(row + 16 * q + 8, w + 4 + word)];
        v[q][0] = b_tile[now][B::Order::at(column + 8 * q, w + word)];
        v[q][1] = b_tile[now][B::Order::at(column + 8 * q, w + 4 + word)];
      }
#pragma unroll
      for (int r = 0; r < 4; r++) {
#pragma unroll
        for (int q = 0; q < 4; q++) T::multiply(sum[r][q], u[r], v[q]);
      }
    }
    if (more) {
      A::Order::store(a_tile[1 - now], a_first, a_second);
      B::Order::store(b_tile[1 - now], b_first, b_second);
    }
    barrier();
  }
  // Neighbouring lanes trade halves, so that the even one has four columns of the upper row and the odd one of the lower.
  int odd = lane % 2;
#pragma unroll
  for (int r = 0; r < 4; r++) {
#pragma unroll
    for (int q = 0; q < 4; q++) {
      const float* c = sum[r][q].c;
      float given0 = shuffle_xor(odd ? c[0] : c[2], 1), given1 = shuffle_xor(odd ? c[1] : c[3], 1);
      float4 z = odd ? float4{given0, given1, c[2], c[3]} : float4{c[0], c[1], given0, given1};
      out(block_x() * WIDTH + row + 16 * r + 8 * odd, block_y() * WIDTH + warp % 4 * 32 + 8 * q + lane % 4 / 2 * 4, z);
    }
  }
}
