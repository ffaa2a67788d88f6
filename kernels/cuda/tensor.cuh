// The tile engine of products on tensor cores (sm_80): operands rounded to TF32 or bfloat16, or split into two TF32 values for float32
// accuracy; sums in float32.
//
// A block of THREADS threads multiplies a 128 x 16 tile by a 16 x 128 tile per step; its 8 warps have 64 x 32 sums each, as 4 x 4 squares
// of mma.sync.m16n8, or 16 x 128 of a product of few columns (see Layout). At the edges of the product a block leaves out the squares that
// are not there; every warp has as many of them, so that none waits for another. Operands are fetched as float32 while the steps before are multiplied, and rounded once, on their way to the tile in
// shared memory, not at every use. A word of the tile holds one TF32 value or two bfloat16 values, neighbours along k, so one mma consumes
// 8 words along k for either type, and the fragments of both have the same shape.
//
// Two ways to fetch: into registers, one step ahead (multiply); or with cp.async, STAGES - 1 steps ahead (multiply_async), into slots of
// shared memory that belong to the thread that fetches: it waits for its own copies only, and no register is held while they fly.
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

// A type says how values become words: put_k stores four neighbours along k, put_i four neighbours across of k (first) and k + 1 (second),
// whose rows are `pitch` words apart; multiply does one mma for each term it needs, multiply_half where only the first eight of 16 terms
// along k are there. TILES tiles of `size` words follow each other.

DEVICE u32 tf32(float x) {
  u32 w;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(w) : "f"(x));
  return w;
}
DEVICE uint4 tf32(float4 v) { return uint4{tf32(v[0]), tf32(v[1]), tf32(v[2]), tf32(v[3])}; }

DEVICE void mma_tf32(Sums& s, const u32 (&a)[4], const u32 (&b)[2]) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(s.c[0]), "+f"(s.c[1]), "+f"(s.c[2]), "+f"(s.c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

struct TF32 {
  static const int WORDS = DEPTH, TILES = 1;  // WORDS along k of a tile
  static METHOD int word(int k) { return k; }
  static METHOD void put_k(u32* p, float4 v, int) { *(uint4*)p = tf32(v); }
  static METHOD void put_i(u32* p, int pitch, float4 first, float4 second, int size) {
    put_k(p, first, size);
    put_k(p + pitch, second, size);
  }
  static METHOD void multiply(Sums& s, const u32 (&a)[1][4], const u32 (&b)[1][2]) { mma_tf32(s, a[0], b[0]); }
  static METHOD void multiply_half(Sums& s, const u32 (&a)[1][4], const u32 (&b)[1][2]) { multiply(s, a, b); }
};

// TF32x3 keeps what rounding took away as a second TF32 value, 22 bits of mantissa in all, and adds three of the four products.
struct TF32x3 {
  static const int WORDS = DEPTH, TILES = 2;
  static METHOD int word(int k) { return k; }
  static METHOD void put_k(u32* p, float4 v, int size) {
    uint4 high = tf32(v);
    float4 rest = {v[0] - from_bits(high[0]), v[1] - from_bits(high[1]), v[2] - from_bits(high[2]), v[3] - from_bits(high[3])};
    *(uint4*)p = high;
    *(uint4*)(p + size) = tf32(rest);
  }
  static METHOD void put_i(u32* p, int pitch, float4 first, float4 second, int size) {
    put_k(p, first, size);
    put_k(p + pitch, second, size);
  }
  static METHOD void multiply(Sums& s, const u32 (&a)[2][4], const u32 (&b)[2][2]) {
    mma_tf32(s, a[1], b[0]);
    mma_tf32(s, a[0], b[1]);
    mma_tf32(s, a[0], b[0]);
  }
  static METHOD void multiply_half(Sums& s, const u32 (&a)[2][4], const u32 (&b)[2][2]) { multiply(s, a, b); }
};

struct BF16 {
  static const int WORDS = DEPTH / 2, TILES = 1;
  static METHOD int word(int k) { return k / 2; }
  // pack rounds two values; the first goes to the low half.
  static METHOD u32 pack(float first, float second) {
    u32 w;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(w) : "f"(second), "f"(first));
    return w;
  }
  static METHOD void put_k(u32* p, float4 v, int) { *(uint2*)p = uint2{pack(v[0], v[1]), pack(v[2], v[3])}; }
  static METHOD void put_i(u32* p, int, float4 first, float4 second, int) {
    *(uint4*)p = uint4{pack(first[0], second[0]), pack(first[1], second[1]), pack(first[2], second[2]), pack(first[3], second[3])};
  }
  static METHOD void multiply(Sums& s, const u32 (&a)[1][4], const u32 (&b)[1][2]) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(s.c[0]), "+f"(s.c[1]), "+f"(s.c[2]), "+f"(s.c[3])
        : "r"(a[0][0]), "r"(a[0][1]), "r"(a[0][2]), "r"(a[0][3]), "r"(b[0][0]), "r"(b[0][1]));
  }
  static METHOD void multiply_half(Sums& s, const u32 (&a)[1][4], const u32 (&b)[1][2]) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
        : "+f"(s.c[0]), "+f"(s.c[1]), "+f"(s.c[2]), "+f"(s.c[3])
        : "r"(a[0][0]), "r"(a[0][1]), "r"(b[0][0]));
  }
};

// A thread fetches two times four values of a tile: parts 0 and 1. AlongK and AlongI say which, and where they are stored.

// Operand contiguous along k: four k of row i, and of row i + 64. A row of words is contiguous in shared memory; its groups of four words
// are swapped by row, so that both the stores and the fragments of a warp touch all 32 banks.
template <class T, int PART = 0> struct AlongK {
  static const int WIDTH = ::WIDTH, DEPTH = ::DEPTH, SIZE = WIDTH * T::WORDS, EIGHT = 8 * T::WORDS;  // EIGHT: words between i and i + 8
  static METHOD int i() { return thread_x() / 4 + 64 * PART; }
  static METHOD int k() { return thread_x() % 4 * 4; }
  static METHOD int at(int i, int word) {
    const int rows = 32 / T::WORDS, groups = T::WORDS / 4;
    return i * T::WORDS + ((word / 4 ^ i / rows % groups) * 4 | word % 4);
  }
  static METHOD void store(u32* tile, float4 first, float4 second) {
    T::put_k(tile + at(i(), T::word(k())), first, SIZE);
    T::put_k(tile + at(i() + 64, T::word(k())), second, SIZE);
  }
};

// Operand contiguous along the tile's width: four neighbours of k, and of k + 1, which share words of bfloat16. Rows of words of one k are
// 8 words longer than the tile is wide, so that the fragments of a warp touch all 32 banks.
template <class T, int PART = 0> struct AlongI {
  static const int WIDTH = ::WIDTH, DEPTH = ::DEPTH, PITCH = WIDTH + 8, SIZE = PITCH * T::WORDS, EIGHT = 8;
  static METHOD int i() { return thread_x() % 32 * 4; }
  static METHOD int k() { return thread_x() / 32 * 2 + PART; }
  static METHOD int at(int i, int word) { return word * PITCH + i; }
  static METHOD void store(u32* tile, float4 first, float4 second) { T::put_i(tile + at(i(), T::word(k())), PITCH, first, second, SIZE); }
};

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

// Layout says which squares of 16 x 8 sums a warp has: ROWS x COLUMNS of them, STEP_ROW rows and STEP_COLUMN columns apart. Wide fetches
// 24 words of fragments for 16 squares and leaves out rows and columns of the tile by 32; Tall leaves out columns by eight.
template <int WARP_ROWS> struct Layout {
  static const int WARP_COLUMNS = THREADS / WARP / WARP_ROWS;
  static const int STEP_ROW = 16 * WARP_ROWS, STEP_COLUMN = 8 * WARP_COLUMNS, ROWS = WIDTH / STEP_ROW, COLUMNS = WIDTH / STEP_COLUMN;
};
typedef Layout<2> Wide;
typedef Layout<8> Tall;

// Lane is the thread's part of its warp's sums.
template <class L> struct Lane {
  int row, column, word;      // of the lane's first fragments of A and B
  int rows, columns;          // squares that are there
  // What is left of the product from the tile on.
  METHOD Lane(int rows_left, int columns_left) {
    int lane = thread_x() % WARP, warp = thread_x() / WARP;
    row = warp / L::WARP_COLUMNS * 16 + lane / 4;
    column = warp % L::WARP_COLUMNS * 8 + lane / 4;
    word = lane % 4;
    rows = min((rows_left + L::STEP_ROW - 1) / L::STEP_ROW, L::ROWS);
    columns = min((columns_left + L::STEP_COLUMN - 1) / L::STEP_COLUMN, L::COLUMNS);
  }
};

// Fragments is where the lane's words of a tile begin, four along k for each group: those of other squares are at fixed distances, since the
// swapping of groups repeats every eight rows.
template <class T> struct Fragments {
  const u32* group[T::WORDS / 4];
  template <class Order> static METHOD Fragments of(const u32* tile, int i, int word) {
    Fragments f;
#pragma unroll
    for (int g = 0; g < T::WORDS / 4; g++) f.group[g] = tile + Order::at(i, 4 * g + word);
    return f;
  }
};

template <class T, class L> struct Products {
  typedef Sums All[L::ROWS][L::COLUMNS];

  template <class A> static METHOD void load_a(u32 (&u)[T::TILES][4], const Fragments<T>& a, int r, int w) {
#pragma unroll
    for (int t = 0; t < T::TILES; t++) {
      int upper = t * A::SIZE + r * L::STEP_ROW / 8 * A::EIGHT, lower = upper + A::EIGHT;
      u[t][0] = a.group[w / 4][upper];
      u[t][1] = a.group[w / 4][lower];
      u[t][2] = a.group[w / 4 + 1][upper];
      u[t][3] = a.group[w / 4 + 1][lower];
    }
  }
  template <class B> static METHOD void load_b(u32 (&v)[T::TILES][2], const Fragments<T>& b, int q, int w) {
#pragma unroll
    for (int t = 0; t < T::TILES; t++) {
      int at = t * B::SIZE + q * L::STEP_COLUMN / 8 * B::EIGHT;
      v[t][0] = b.group[w / 4][at];
      v[t][1] = b.group[w / 4 + 1][at];
    }
  }

  // add adds the product of two tiles, of which `left` terms along k are there, to the squares of the first COLUMNS columns; ALL says
  // that all rows are there.
  template <class A, class B, int COLUMNS, bool ALL> static METHOD void add(All& sum, const Fragments<T>& a, const Fragments<T>& b, const Lane<L>& lane, int left) {
#pragma unroll
    for (int w = 0; w < T::WORDS; w += 8) {
      if (w > 0 && left <= 8) break;
      u32 u[L::ROWS][T::TILES][4], v[COLUMNS][T::TILES][2];
#pragma unroll
      for (int q = 0; q < COLUMNS; q++) load_b<B>(v[q], b, q, w);
#pragma unroll
      for (int r = 0; r < L::ROWS; r++) {
        if (ALL) load_a<A>(u[r], a, r, w);
      }
#pragma unroll
      for (int r = 0; r < L::ROWS; r++) {
        if (!ALL && r >= lane.rows) break;
        if (!ALL) load_a<A>(u[r], a, r, w);
#pragma unroll
        for (int q = 0; q < COLUMNS; q++) T::multiply(sum[r][q], u[r], v[q]);
      }
    }
  }

  // add_each does so for any number of squares; HALF: at most eight terms are there.
  template <class A, class B, bool HALF> static METHOD void add_each(All& sum, const Fragments<T>& a, const Fragments<T>& b, const Lane<L>& lane, int left) {
#pragma unroll
    for (int w = 0; w < T::WORDS; w += 8) {
      if (w > 0 && left <= 8) break;
      u32 u[L::ROWS][T::TILES][4], v[T::TILES][2];
#pragma unroll
      for (int r = 0; r < L::ROWS; r++) load_a<A>(u[r], a, r, w);
#pragma unroll
      for (int q = 0; q < L::COLUMNS; q++) {
        if (q >= lane.columns) continue;
        load_b<B>(v, b, q, w);
#pragma unroll
        for (int r = 0; r < L::ROWS; r++) {
          if (L::ROWS > 1 && r >= lane.rows) break;
          if (HALF) {
            T::multiply_half(sum[r][q], u[r], v);
          } else {
            T::multiply(sum[r][q], u[r], v);
          }
        }
      }
    }
  }

  template <class A, class B> static METHOD void add(All& sum, const u32* a_tile, const u32* b_tile, const Lane<L>& lane, int left) {
    Fragments<T> a = Fragments<T>::template of<A>(a_tile, lane.row, lane.word), b = Fragments<T>::template of<B>(b_tile, lane.column, lane.word);
    if (T::WORDS == 8 && left <= 8) {
      add_each<A, B, true>(sum, a, b, lane, left);
    } else if constexpr (L::ROWS == 1) {
      add_each<A, B, false>(sum, a, b, lane, left);
    } else if (lane.rows == L::ROWS) {
      if (lane.columns == 4) {
        add<A, B, 4, true>(sum, a, b, lane, left);
      } else if (lane.columns == 3) {
        add<A, B, 3, true>(sum, a, b, lane, left);
      } else if (lane.columns == 2) {
        add<A, B, 2, true>(sum, a, b, lane, left);
      } else {
        add<A, B, 1, true>(sum, a, b, lane, left);
      }
    } else if (lane.columns == 4) {
      add<A, B, 4, false>(sum, a, b, lane, left);
    } else {
      add_each<A, B, false>(sum, a, b, lane, left);
    }
  }
};

// select is which ? a : b, as one instruction: a branch around the shuffles below would part the warp.
DEVICE float select(int which, float a, float b) {
  float v;
  asm("{ .reg .pred p; setp.ne.s32 p, %1, 0; selp.f32 %0, %2, %3, p; }" : "=f"(v) : "r"(which), "f"(a), "f"(b));
  return v;
}

// finish gives out(row, column, four neighbouring sums) all that the thread has. Neighbouring lanes first trade halves, so that the even
// one has four columns of the upper row and the odd one of the lower; all trades come before all writes, which part the warp.
template <class L, class Output> DEVICE void finish(Sums (&sum)[L::ROWS][L::COLUMNS], const Lane<L>& lane, int row, int column, const Output& out) {
  int odd = thread_x() % 2;
  row += lane.row + 8 * odd;
  column += lane.column - thread_x() % WARP / 4 + lane.word / 2 * 4;
  float4 z[L::ROWS][L::COLUMNS];
#pragma unroll
  for (int r = 0; r < L::ROWS; r++) {
#pragma unroll
    for (int q = 0; q < L::COLUMNS; q++) {
      if (L::ROWS == 1 && q >= lane.columns) continue;
      const float* c = sum[r][q].c;
      float given0 = shuffle_xor(select(odd, c[0], c[2]), 1), given1 = shuffle_xor(select(odd, c[1], c[3]), 1);
      z[r][q] = float4{select(odd, given0, c[0]), select(odd, given1, c[1]), select(odd, c[2], given0), select(odd, c[3], given1)};
    }
  }
#pragma unroll
  for (int r = 0; r < L::ROWS; r++) {
#pragma unroll
    for (int q = 0; q < L::COLUMNS; q++) {
      if (L::ROWS == 1 && q >= lane.columns) continue;
      out(row + L::STEP_ROW * r, column + L::STEP_COLUMN * q, z[r][q]);
    }
  }
}

// Place of a tile in a product of rows x columns.
struct Tile {
  int row, column, rows, columns;
  METHOD Tile(int block_row, int block_column, int rows, int columns)
      : row(block_row * WIDTH), column(block_column * WIDTH), rows(rows), columns(columns) {}
};

// multiply gives out every part of a tile's product over `depth` terms.
template <class T, class L, class A, class B, class Output> DEVICE void multiply(A a, B b, int depth, Tile tile, const Output& out) {
  __shared__ __attribute__((aligned(16))) u32 a_tile[2][T::TILES * A::Order::SIZE], b_tile[2][T::TILES * B::Order::SIZE];
  Lane<L> lane(tile.rows - tile.row, tile.columns - tile.column);
  Sums sum[L::ROWS][L::COLUMNS] = {};
  A::Order::store(a_tile[0], a.first.get(), a.second.get());
  B::Order::store(b_tile[0], b.first.get(), b.second.get());
  barrier();
  for (int now = 0; depth > 0; depth -= DEPTH, now = 1 - now) {
    bool more = depth > DEPTH;
    float4 a_first = 0, a_second = 0, b_first = 0, b_second = 0;
    if (more) {
      a.next();
      b.next();
      a_first = a.first.get();
      a_second = a.second.get();
      b_first = b.first.get();
      b_second = b.second.get();
    }
    Products<T, L>::template add<typename A::Order, typename B::Order>(sum, a_tile[now], b_tile[now], lane, depth);
    if (more) {
      A::Order::store(a_tile[1 - now], a_first, a_second);
      B::Order::store(b_tile[1 - now], b_first, b_second);
    }
    barrier();
  }
  finish<L>(sum, lane, tile.row, tile.column, out);
}

const int STAGES = 3;

// copy_async starts a copy of 16 bytes to shared memory, of zeros if the source is not there.
template <class Source> DEVICE void copy_async(float4* to, Source from) {
  u32 address = (u32)(u64)(__attribute__((address_space(3))) float4*)to;
  u64 source = (u64)(const __attribute__((address_space(1))) float*)from.p;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(source), "r"(from.there ? 16 : 0) : "memory");
}
DEVICE void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// wait_copies waits until at most STAGES - 2 of the thread's groups of copies are in flight.
DEVICE void wait_copies() { asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory"); }

// multiply_async is multiply with cp.async. Dynamic shared memory: STAGES times four 16-byte slots per thread, then two tiles each of A and
// B.
template <class T, class L, class A, class B, class Output> DEVICE void multiply_async(A a, B b, int depth, Tile tile, const Output& out) {
  extern __shared__ float4 dynamic4[];
  float4* slots = dynamic4 + thread_x();
  const int A_SIZE = T::TILES * A::Order::SIZE, B_SIZE = T::TILES * B::Order::SIZE;
  u32 *a_tile = (u32*)(dynamic4 + STAGES * 4 * THREADS), *b_tile = a_tile + 2 * A_SIZE;
  Lane<L> lane(tile.rows - tile.row, tile.columns - tile.column);
  Sums sum[L::ROWS][L::COLUMNS] = {};
  int wanted = depth;
  auto start = [&](int stage) {
    if (wanted > 0) {
      float4* slot = slots + stage * 4 * THREADS;
      copy_async(slot, a.first.source());
      copy_async(slot + THREADS, a.second.source());
      copy_async(slot + 2 * THREADS, b.first.source());
      copy_async(slot + 3 * THREADS, b.second.source());
      a.next();
      b.next();
    }
    wanted -= DEPTH;
    commit_copies();  // a group of nothing keeps the count
  };
  auto arrive = [&](int stage, int half) {
    wait_copies();
    const float4* slot = slots + stage * 4 * THREADS;
    A::Order::store(a_tile + half * A_SIZE, load_shared4(slot), load_shared4(slot + THREADS));
    B::Order::store(b_tile + half * B_SIZE, load_shared4(slot + 2 * THREADS), load_shared4(slot + 3 * THREADS));
  };
  for (int stage = 0; stage < STAGES - 1; stage++) start(stage);
  arrive(0, 0);
  barrier();
  int stage = 0, now = 0;  // of this step
  for (; depth > 0; depth -= DEPTH, now = 1 - now) {
    int free = stage == 0 ? STAGES - 1 : stage - 1;  // that of the step before
    stage = stage == STAGES - 1 ? 0 : stage + 1;
    start(free);
    Products<T, L>::template add<typename A::Order, typename B::Order>(sum, a_tile + now * A_SIZE, b_tile + now * B_SIZE, lane, depth);
    if (depth > DEPTH) arrive(stage, 1 - now);
    barrier();
  }
  finish<L>(sum, lane, tile.row, tile.column, out);
}
