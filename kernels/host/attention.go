package host

import (
	"math"

	"emdiff/kernels"
)

// heads is what the attention jobs share: one image's head is one independent problem of T queries and keys of HeadDim
// channels, and the scores of a block of queries with a block of keys are all that is ever stored of T x T.
type heads struct {
	s       *Set
	p       kernels.Attention
	in, out int     // floats per token of q, k, v and of o
	queries []int64 // byte offsets of the tokens of q in a block
	grads   []int64 // byte offsets of the tokens of do in a block
	scores  []int64 // byte offsets of the rows of a block of scores
	panels  matrixSizes
}

// matrixSizes are the floats of the packed matrices of one head.
type matrixSizes struct{ byKey, byChannel int }

// The size of a block of scores: rows a multiple of every tile's rows, keys of every panel's columns.
const (
	queryBlock = 48
	keyBlock   = 128
)

func (h *heads) start(p kernels.Attention) {
	h.p = p
	h.in, h.out = or(p.QKVStride, p.Channels()), or(p.OStride, p.Channels())
	h.queries = stepped(h.queries, queryBlock, h.in)
	h.grads = stepped(h.grads, queryBlock, h.out)
	h.scores = stepped(h.scores, queryBlock, keyBlock)
	m := &h.s.level.matrix
	h.panels = matrixSizes{m.packedLen(p.HeadDim, p.T), m.packedLen(p.T, p.HeadDim)}
}

// count is the number of problems, blocks the number of query blocks of each.
func (h *heads) count() int  { return h.p.N * h.p.Heads }
func (h *heads) blocks() int { return (h.p.T + queryBlock - 1) / queryBlock }

// base is the place of token t of problem i in a tensor with the given floats per token.
func (h *heads) base(i, t, stride int) int {
	return (i/h.p.Heads*h.p.T+t)*stride + i%h.p.Heads*h.p.HeadDim
}

// asColumns and asRows are the two ways to pack the tokens of a tensor: [HeadDim][T] and [T][HeadDim].
func (h *heads) asColumns(x []float32, stride int) matrix {
	return matrix{data: x, depth: h.p.HeadDim, cols: h.p.T, kStride: 1, jStride: stride, scale: 1}
}

func (h *heads) asRows(x []float32, stride int) matrix {
	return matrix{data: x, depth: h.p.T, cols: h.p.HeadDim, kStride: stride, jStride: 1, scale: 1}
}

// packHeads packs the keys and values of every problem, one per part.
type packHeads struct {
	s          *Set
	heads      *heads
	keys, vals matrix
	packed     []float32 // [problem][keys as columns, values as rows]
}

func (j *packHeads) part(_, i int) {
	h, m := j.heads, &j.s.level.matrix
	dst := j.packed[i*(h.panels.byKey+h.panels.byChannel):]
	packAll(m, dst, &j.keys, h.base(i, 0, h.in))
	packAll(m, dst[h.panels.byKey:], &j.vals, h.base(i, 0, h.in))
}

// attend is the forward job: one part is a block of queries of one problem. It passes over the blocks of keys with a
// running maximum and sum of exponentials per query (Milakov & Gimelshein 2018; Dao et al. 2022).
type attend struct {
	heads
	o, q, lse []float32
	packed    []float32
}

// Attention computes o and lse.
func (s *Set) Attention(o, q, k, v, lse kernels.Buffer, p kernels.Attention) {
	j := &s.attend
	j.start(p)
	j.o, j.q, j.lse = f32(o), f32(q), f32(lse)
	j.packed = s.shared.floats(j.count() * (j.panels.byKey + j.panels.byChannel))
	s.packHeads = packHeads{s: s, heads: &j.heads, keys: j.asColumns(f32(k), j.in), vals: j.asRows(f32(v), j.in), packed: j.packed}
	s.pool.run(j.count(), &s.packHeads)
	s.pool.run(j.count()*j.blocks(), j)
	s.packHeads = packHeads{s: s}
	j.o, j.q, j.lse, j.packed = nil, nil, nil, nil
}

func (j *attend) part(worker, i int) {
	m, vec, w, p := &j.s.level.matrix, &j.s.level.vector, &j.s.workers[worker], &j.p
	head, first := i/j.blocks(), i%j.blocks()*queryBlock
	rows := min(queryBlock, p.T-first)
	packed := j.packed[head*(j.panels.byKey+j.panels.byChannel):]
	vals := packed[j.panels.byKey:]

	d := p.HeadDim
	scratch := j.s.private[worker].floats(queryBlock*keyBlock + queryBlock*d)
	scores, acc := scratch[:queryBlock*keyBlock], scratch[queryBlock*keyBlock:]
	var largest, sum [queryBlock]float32
	for key := 0; key < p.T; key += keyBlock {
		keys := min(keyBlock, p.T-key)
		w.multiply(m, dense{
			y: scores, yStride: keyBlock, a: at(j.q, j.base(head, first, j.in)), offsets: j.queries, rows: rows,
			depth: d, b: packed[d*key:], packedDepth: d, cols: keys,
		})
		for r := range rows {
			row := scores[r*keyBlock:][:keys]
			if p.Scale < 0 {
				vec.scale(row, row, -1)
			}
			scale := max(p.Scale, -p.Scale)
			top := scale * vec.maximum(row)
			if key > 0 {
				top = max(top, largest[r])
				shrink := float32(math.Exp(float64(largest[r] - top)))
				sum[r] *= shrink
				vec.scale(acc[r*d:][:d], acc[r*d:][:d], shrink)
			}
			largest[r] = top
			sum[r] += vec.weigh(row, scale, top)
		}
		w.multiply(m, dense{
			y: acc, yStride: d, accumulate: key > 0, a: at(scores, 0), offsets: j.scores, rows: rows,
			depth: keys, b: vals, first: key, packedDepth: p.T, cols: d,
		})
	}
	for r := range rows {
		vec.scale(j.o[j.base(head, first+r, j.out):][:d], acc[r*d:][:d], 1/sum[r])
		j.lse[head*p.T+first+r] = float32(float64(largest[r]) + math.Log(float64(sum[r])))
	}
}

// attendBack is the backward job: one part is one problem. For every block of scores it recomputes the weights
// w = exp(Scale q k^T - lse) and the cotangent of the scores ds = w * (do v^T - rowsum(do * o)), and adds
//
//	dq += Scale ds k,  dk += Scale ds^T q,  dv += w^T do
type attendBack struct {
	heads
	dq, dk, dv           []float32
	q, do, o, lse        []float32
	keys, vals           matrix // as columns, for the scores and for do v^T
	keyRows, qRows, grad matrix // as rows, for dq, dk and dv
	results              matrix // a block of o as columns, for do o^T
}

// AttentionGrad computes dq, dk and dv.
func (s *Set) AttentionGrad(dq, dk, dv, do, q, k, v, o, lse kernels.Buffer, p kernels.Attention) {
	j := &s.attendBack
	j.start(p)
	j.dq, j.dk, j.dv = f32(dq), f32(dk), f32(dv)
	j.q, j.do, j.o, j.lse = f32(q), f32(do), f32(o), f32(lse)
	j.keys, j.vals = j.asColumns(f32(k), j.in), j.asColumns(f32(v), j.in)
	j.keyRows, j.qRows = j.asRows(f32(k), j.in), j.asRows(j.q, j.in)
	j.grad = j.asRows(j.do, j.out)
	j.results = j.asColumns(j.o, j.out)
	s.pool.run(j.count(), j)
	*j = attendBack{heads: j.heads}
}

func (j *attendBack) part(worker, i int) {
	m, vec, w, p := &j.s.level.matrix, &j.s.level.vector, &j.s.workers[worker], &j.p
	byKey, byChannel, d := j.panels.byKey, j.panels.byChannel, p.HeadDim
	const block = queryBlock * keyBlock
	results := m.packedLen(d, queryBlock)
	scratch := j.s.private[worker].floats(2*block + results + 2*byKey + 3*byChannel)
	weights, dscores, packed := scratch[:block], scratch[block:2*block], scratch[2*block+results:]
	columns := scratch[2*block:][:results]
	keys, vals := packed[:byKey], packed[byKey:2*byKey]
	packed = packed[2*byKey:]
	keyRows, qRows, grad := packed[:byChannel], packed[byChannel:2*byChannel], packed[2*byChannel:]
	packAll(m, keys, &j.keys, j.base(i, 0, j.in))
	packAll(m, vals, &j.vals, j.base(i, 0, j.in))
	packAll(m, keyRows, &j.keyRows, j.base(i, 0, j.in))
	packAll(m, qRows, &j.qRows, j.base(i, 0, j.in))
	packAll(m, grad, &j.grad, j.base(i, 0, j.out))

	for first := 0; first < p.T; first += queryBlock {
		rows := min(queryBlock, p.T-first)
		rowSums := j.rowSums(w, columns, dscores, i, first, rows)
		for key := 0; key < p.T; key += keyBlock {
			n := min(keyBlock, p.T-key)
			w.multiply(m, dense{
				y: weights, yStride: keyBlock, a: at(j.q, j.base(i, first, j.in)), offsets: j.queries, rows: rows,
				depth: d, b: keys[d*key:], packedDepth: d, cols: n,
			})
			w.multiply(m, dense{
				y: dscores, yStride: keyBlock, a: at(j.do, j.base(i, first, j.out)), offsets: j.grads, rows: rows,
				depth: d, b: vals[d*key:], packedDepth: d, cols: n,
			})
			for r := range rows {
				weight, ds := weights[r*keyBlock:][:n], dscores[r*keyBlock:][:n]
				vec.weigh(weight, p.Scale, j.lse[i*p.T+first+r])
				vec.dscores(ds, weight, rowSums[r], p.Scale)
			}
			w.multiply(m, dense{
				y: j.dq[j.base(i, first, j.in):], yStride: j.in, accumulate: key > 0, a: at(dscores, 0), offsets: j.scores, rows: rows,
				depth: n, b: keyRows, first: key, packedDepth: p.T, cols: d,
			})
			w.multiplyTransposed(m, dense{
				y: j.dk[j.base(i, key, j.in):], yStride: j.in, accumulate: first > 0, a: at(dscores, 0), offsets: j.scores, rows: n,
				depth: rows, b: qRows, first: first, packedDepth: p.T, cols: d,
			})
			w.multiplyTransposed(m, dense{
				y: j.dv[j.base(i, key, j.in):], yStride: j.in, accumulate: first > 0, a: at(weights, 0), offsets: j.scores, rows: n,
				depth: rows, b: grad, first: first, packedDepth: p.T, cols: d,
			})
		}
	}
}

// rowSums computes do . o for a block of queries by the same kernel that computes do v^T: where one weight is 1 and
// o = v, as for saturated scores, the two must cancel to the last bit. It is the diagonal of a block of do o^T.
func (j *attendBack) rowSums(w *matrixWorker, columns, products []float32, i, first, rows int) (sums [queryBlock]float32) {
	m := &j.s.level.matrix
	src := j.results
	src.cols = rows
	packAll(m, columns, &src, j.base(i, first, j.out))
	w.multiply(m, dense{
		y: products, yStride: keyBlock, a: at(j.do, j.base(i, first, j.out)), offsets: j.grads, rows: rows,
		depth: j.p.HeadDim, b: columns, packedDepth: j.p.HeadDim, cols: rows,
	})
	for r := range rows {
		sums[r] = products[r*keyBlock+r]
	}
	return sums
}
