package ref

import (
	"math"

	"emdiff/kernels"
)

func (s *set[S, A]) Upsample2x(y, x kernels.Buffer, p kernels.Resize) {
	ys, xs := values[S](y), values[S](x)
	eachBlock(p, func(small int, large [4]int) {
		for _, l := range large {
			store(ys, l, A(xs[small]), p.Accumulate)
		}
	})
}

func (s *set[S, A]) Upsample2xGrad(dx, dy kernels.Buffer, p kernels.Resize) {
	dxs, dys := values[S](dx), values[S](dy)
	eachBlock(p, func(small int, large [4]int) {
		var sum A
		for _, l := range large {
			sum += A(dys[l])
		}
		store(dxs, small, sum, p.Accumulate)
	})
}

// eachBlock visits every value of the small image with the four values of the large image above it.
func eachBlock(p kernels.Resize, visit func(small int, large [4]int)) {
	xStride, yStride := stride(p.XStride, p.C), stride(p.YStride, p.C)
	for n := range p.N {
		for i := range p.H {
			for j := range p.W {
				for c := range p.C {
					corner := (n*2*p.H+2*i)*2*p.W + 2*j
					below := corner + 2*p.W
					visit(((n*p.H+i)*p.W+j)*xStride+c, [4]int{
						corner*yStride + c, (corner+1)*yStride + c, below*yStride + c, (below+1)*yStride + c})
				}
			}
		}
	}
}

func (s *set[S, A]) PixelUnshuffle(y, x kernels.Buffer, p kernels.Shuffle) {
	ys, xs := values[S](y), values[S](x)
	eachShuffled(p, func(small, large int) { ys[small] = xs[large] })
}

func (s *set[S, A]) PixelShuffle(y, x kernels.Buffer, p kernels.Shuffle) {
	ys, xs := values[S](y), values[S](x)
	eachShuffled(p, func(small, large int) { ys[large] = xs[small] })
}

// eachShuffled visits every value of the large image with its place in the small one.
func eachShuffled(p kernels.Shuffle, visit func(small, large int)) {
	for n := range p.N {
		for i := range p.H {
			for j := range p.W {
				for c := range p.C {
					pixel := (n*(p.H/p.R)+i/p.R)*(p.W/p.R) + j/p.R
					channel := c*p.R*p.R + i%p.R*p.R + j%p.R
					visit(pixel*p.C*p.R*p.R+channel, ((n*p.H+i)*p.W+j)*p.C+c)
				}
			}
		}
	}
}

func (s *set[S, A]) CopyChannels(y, x kernels.Buffer, p kernels.Channels) {
	ys, xs := values[S](y), values[S](x)
	for r := range p.Rows {
		for c := range p.C {
			store(ys, r*stride(p.YStride, p.C)+p.YOffset+c, A(xs[r*stride(p.XStride, p.C)+p.XOffset+c]), p.Accumulate)
		}
	}
}

func (s *set[S, A]) Gather(y, x, ids kernels.Buffer, rows int, p kernels.PerImage) {
	ys, xs := values[S](y), values[S](x)
	for n, id := range values[int32](ids)[:p.N] {
		for i := range p.Len {
			store(ys, n*p.Len+i, A(xs[int(id)*p.Len+i]), p.Accumulate)
		}
	}
}

func (s *set[S, A]) TimeEmbedding(y, t kernels.Buffer, p kernels.TimeEmbedding) {
	ys, ts := values[S](y), values[S](t)
	half := p.Dim / 2
	for n := range p.N {
		for i := range half {
			frequency := exp(-A(math.Log(float64(p.MaxPeriod))) * A(i) / (A(half) - A(p.FreqShift)))
			first, second := math.Sincos(float64(A(ts[n]) * frequency))
			if p.CosFirst {
				first, second = second, first
			}
			ys[n*p.Dim+i], ys[n*p.Dim+half+i] = S(first), S(second)
		}
	}
}
