package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"emdiff/kernels"
	"emdiff/kernels/kerneltest"
)

// product is a convolution in one direction on its arrays. A linear layer is a convolution of single pixels.
type product struct {
	timed
	conv         kernels.Conv
	x, w, y      kernels.Buffer
	xs, ws, ys   []float32 // what they held before the first call
	e            kernels.Epilogue
	bias, add    []float32
	perImage     []float32
	result       kernels.Buffer
	run          func()
	resultStride int // between the pixels, or rows, of the result
	resultWidth  int // values of each
}

// place puts the operands of a product into memory.
func place(s kernels.Set, t timed) *product {
	r := rand.New(rand.NewPCG(1, 2))
	p := &product{timed: t}
	stride := 0
	switch q := t.Params.(type) {
	case kerneltest.Conv2D:
		p.conv, stride = q.Conv, q.ResidualStride
	case kerneltest.Linear:
		p.conv, stride = q.Linear.Conv(), q.ResidualStride
	case kernels.Conv:
		p.conv = q
	case kernels.Linear:
		p.conv = q.Conv()
	}
	c := p.conv
	p.x, p.xs = upload(s, r, c.XLen())
	p.w, p.ws = upload(s, r, c.WLen())
	p.y, p.ys = upload(s, r, c.YLen())
	if t.Op == "Conv2D" || t.Op == "Linear" {
		optional := func(name string, n int) (b kernels.Buffer, v []float32) {
			if !slices.Contains(t.Without, name) {
				b, v = upload(s, r, n)
			}
			return b, v
		}
		p.e.ResidualStride = stride
		p.e.Bias, p.bias = optional("Bias", c.Cout)
		p.e.ImageBias, p.perImage = optional("ImageBias", c.N*c.Cout)
		p.e.Residual, p.add = optional("Residual", c.N*c.OutH()*c.OutW()*max(c.Cout, stride))
	}
	xStride, yStride := max(c.XStride, c.Cin), max(c.YStride, c.Cout)
	switch t.Op {
	case "Conv2D":
		p.run = func() { s.Conv2D(p.y, p.x, p.w, p.e, c) }
	case "Conv2DInputGrad":
		p.run = func() { s.Conv2DInputGrad(p.x, p.y, p.w, c) }
	case "Conv2DWeightGrad":
		p.run = func() { s.Conv2DWeightGrad(p.w, p.x, p.y, c) }
	case "Linear":
		l := t.Params.(kerneltest.Linear).Linear
		p.run = func() { s.Linear(p.y, p.x, p.w, p.e, l) }
	case "LinearInputGrad":
		l := t.Params.(kernels.Linear)
		p.run = func() { s.LinearInputGrad(p.x, p.y, p.w, l) }
	case "LinearWeightGrad":
		l := t.Params.(kernels.Linear)
		p.run = func() { s.LinearWeightGrad(p.w, p.x, p.y, l) }
	}
	switch t.Op {
	case "Conv2D", "Linear":
		p.result, p.resultWidth, p.resultStride = p.y, c.Cout, yStride
	case "Conv2DInputGrad", "LinearInputGrad":
		p.result, p.resultWidth, p.resultStride = p.x, c.Cin, xStride
	default:
		p.result, p.resultWidth, p.resultStride = p.w, c.Cout, c.Cout
	}
	return p
}

// terms calls f with the factors of every product of value column of row (a pixel, or a row of the weights) of the result.
func (p *product) terms(row, column int, f func(a, b float32)) {
	c := p.conv
	xStride, yStride := max(c.XStride, c.Cin), max(c.YStride, c.Cout)
	switch p.Op {
	case "Conv2D", "Linear":
		eachTap(c, func(from, to, tap int) {
			if to == row {
				for i := range c.Cin {
					f(p.xs[from*xStride+i], p.ws[(tap*c.Cin+i)*c.Cout+column])
				}
			}
		})
		if p.bias != nil {
			f(p.bias[column], 1)
		}
		if p.perImage != nil {
			f(p.perImage[row/(c.OutH()*c.OutW())*c.Cout+column], 1)
		}
		if p.add != nil {
			f(p.add[row*max(c.Cout, p.e.ResidualStride)+column], 1)
		}
	case "Conv2DInputGrad", "LinearInputGrad":
		eachTap(c, func(from, to, tap int) {
			if from == row {
				for o := range c.Cout {
					f(p.ys[to*yStride+o], p.ws[(tap*c.Cin+column)*c.Cout+o])
				}
			}
		})
		if c.Accumulate {
			f(p.xs[row*xStride+column], 1)
		}
	default:
		eachTap(c, func(from, to, tap int) {
			if tap == row/c.Cin {
				f(p.xs[from*xStride+row%c.Cin], p.ys[to*yStride+column])
			}
		})
		if c.Accumulate {
			f(p.ws[row*c.Cout+column], 1)
		}
	}
}

// eachTap calls f with the pixel of x, the pixel of y and the tap of every product of the convolution.
func eachTap(p kernels.Conv, f func(from, to, tap int)) {
	for n := range p.N {
		for i := range p.OutH() {
			for j := range p.OutW() {
				for a := range p.KH {
					for b := range p.KW {
						r, c := i*p.Stride+a-p.PadTop, j*p.Stride+b-p.PadLeft
						if r >= 0 && r < p.H && c >= 0 && c < p.W {
							f((n*p.H+r)*p.W+c, (n*p.OutH()+i)*p.OutW()+j, a*p.KW+b)
						}
					}
				}
			}
		}
	}
}

// check compares values of the result of the first call with their sums in float64. A float32 sum of n products in any order
// is off by at most n 2^-24 times the sum of their magnitudes (Higham 2002, section 3.1), and as rounding
// errors have random signs, by 8 root(n) in place of n but for a negligible chance (Ipsen & Zhou, arXiv:1906.10465).
func (p *product) check(tb testing.TB, s kernels.Set) {
	tb.Helper()
	got := make([]float32, p.result.Len())
	s.Download(got, p.result)
	rows := (len(got)-p.resultWidth)/p.resultStride + 1
	r := rand.New(rand.NewPCG(3, 4))
	for range 4 {
		row, column := r.IntN(rows), r.IntN(p.resultWidth)
		var sum, magnitude, n float64
		p.terms(row, column, func(a, b float32) {
			sum += float64(a) * float64(b)
			magnitude += math.Abs(float64(a) * float64(b))
			n++
		})
		if v := got[row*p.resultStride+column]; !(math.Abs(float64(v)-sum) <= min(n+1, 8*math.Sqrt(n))*0x1p-24*magnitude) {
			tb.Fatalf("%s %s: value %d of row %d is %g, want %g", p.Op, p.label(), column, row, v, sum)
		}
	}
}

func upload(s kernels.Set, r *rand.Rand, n int) (kernels.Buffer, []float32) {
	values := make([]float32, n)
	for i := range values {
		values[i] = 2*r.Float32() - 1
	}
	b := s.Alloc(kernels.F32, n)
	s.Upload(b, values)
	return b, values
}

func benchmarkProduct(b *testing.B, level string, s kernels.Set, t timed) {
	p := place(s, t)
	p.run()
	p.check(b, s)
	measure(b, level, t.Work(), p.run)
}
