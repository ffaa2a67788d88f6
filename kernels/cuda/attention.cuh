// What the kernels of attention share: the layout of the operands, and where a block's tile of tokens lies in them.
#pragma once
#include "dev.cuh"

// Heads is the layout of q, k, v, o: [N][T] tokens, a stride apart, of heads*dim channels.
struct Heads {
  int t, heads, dim, in, out;  // tokens, heads, channels per head, stride of q, k, v, and of o
  float scale;
};
#define HEADS_PARAMS int t, int heads, int dim, int in, int out, float scale
#define HEADS Heads{t, heads, dim, in, out, scale}

const int SIDE = 64;  // tokens and channels of a tile

// Side is SIDE tokens of a tensor: where the image and head start, the stride, the first token. Offsets within an image are 32 bits wide.
struct Side {
  const float* base;
  int stride, first;
};

// Tokens is the block's SIDE tokens: grid x is (n*heads + head)*tiles + tile. Grid y is GROUPS*SIDE channels of the result: all of them,
// for scores are computed again for every other.
template <int GROUPS> struct Tokens {
  int n, head, first, from;
  i64 row;  // of lse and delta
  METHOD Tokens(const Heads& p) {
    int tiles = (p.t + SIDE - 1) / SIDE, pair = block_x() / tiles;
    first = (block_x() - pair * tiles) * SIDE;
    n = pair / p.heads;
    head = pair - n * p.heads;
    from = block_y() * GROUPS * SIDE;
    row = (i64)pair * p.t;
  }
  METHOD i64 start(const Heads& p, int stride) const { return (i64)n * p.t * stride + head * p.dim; }
};

// delta of a token is the sum over channels of do * o: what the softmax's normalisation takes from the cotangent of a row's scores. One
// token per thread; grad rounds do as the products of the gradient do.
template <class Round> DEVICE void token_delta(float* delta, const float* dout, const float* o, int rows, int t, int heads, int dim, int out, int threads, Round grad) {
  int r = index_x(threads);
  if (r >= rows) return;
  int image = r / (heads * t), head = r / t % heads, i = r % t;
  i64 first = ((i64)image * t + i) * out + head * dim;
  float sum = 0;
  for (int c = 0; c < dim; c++) sum = fma(grad(dout[first + c]), o[first + c], sum);
  delta[r] = sum;
}
#define DELTA_PARAMS float *delta, const float *dout, const float *o, int rows, int t, int heads, int dim, int out
