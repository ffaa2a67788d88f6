package kernels

import "fmt"

// Precision says how the products of a convolution, linear layer, matrix product or attention are formed. Accumulation is float32.
type Precision uint8

// The precisions. Sets that have no kernel for one panic: precision never falls back silently (see Set.Supports).
const (
	PrecisionF32  Precision = iota // float32 products
	PrecisionTF32                  // operands rounded to 10 bits of mantissa
	PrecisionBF16                  // operands rounded to bfloat16
)

// String returns the name used in flags and benchmark names.
func (p Precision) String() string {
	return [...]string{"f32", "tf32", "bf16"}[p]
}

// Act is the activation of an epilogue.
type Act uint8

// The activations.
const (
	ActNone Act = iota
	ActSiLU     // z * sigmoid(z)
)

// Epilogue is what a convolution or linear layer does to its sum z before storing it:
//
//	y = act(z + Bias[c] + ImageBias[n][c] + Residual)
type Epilogue struct {
	Bias           Buffer // [Cout], or nil
	ImageBias      Buffer // [N][Cout] (for Linear N = Rows), or nil: the time embedding of a U-Net block
	Residual       Buffer // shape of y, or nil; may be y itself
	ResidualStride int    // floats per pixel of Residual; 0 = contiguous
	Act            Act
}

// Conv is a 2-D convolution (cross-correlation, as in every deep-learning library) on NHWC data:
//
//	y[n,i,j,o] = sum over a,b,c of x[n, i*Stride+a-PadTop, j*Stride+b-PadLeft, c] * w[a,b,c,o]
//
// with zeros outside x. The gradients use the same struct: H, W, Cin describe x, OutH, OutW, Cout describe y.
type Conv struct {
	N, H, W, Cin, Cout int
	KH, KW, Stride     int
	PadTop, PadBottom  int
	PadLeft, PadRight  int
	XStride, YStride   int // floats per pixel of x (dx) and y (dy); 0 = contiguous
	Precision          Precision
	// Accumulate adds to the destination instead of overwriting it (gradients only; Conv2D uses Epilogue.Residual).
	Accumulate bool
	// WeightVersion identifies the values in w: an implementation may keep a packed copy of w for as long as it sees
	// the same buffer and version. 0 = unknown, never cached.
	WeightVersion uint64
}

// OutH is the height of y.
func (p Conv) OutH() int { return (p.H+p.PadTop+p.PadBottom-p.KH)/p.Stride + 1 }

// OutW is the width of y.
func (p Conv) OutW() int { return (p.W+p.PadLeft+p.PadRight-p.KW)/p.Stride + 1 }

// Validate reports the first impossible parameter.
func (p Conv) Validate() error {
	if err := firstError(
		positive("N", p.N, "H", p.H, "W", p.W, "Cin", p.Cin, "Cout", p.Cout, "KH", p.KH, "KW", p.KW, "Stride", p.Stride),
		checkStride("XStride", p.XStride, p.Cin), checkStride("YStride", p.YStride, p.Cout)); err != nil {
		return err
	}
	if min(p.PadTop, p.PadBottom, p.PadLeft, p.PadRight) < 0 {
		return fmt.Errorf("padding %d,%d,%d,%d must not be negative", p.PadTop, p.PadBottom, p.PadLeft, p.PadRight)
	}
	if p.H+p.PadTop+p.PadBottom < p.KH || p.W+p.PadLeft+p.PadRight < p.KW {
		return fmt.Errorf("a %dx%d kernel does not fit the padded %dx%d image", p.KH, p.KW, p.H+p.PadTop+p.PadBottom, p.W+p.PadLeft+p.PadRight)
	}
	return nil
}

// Cost is that of the direct algorithm; the same for the forward pass and for each gradient.
func (p Conv) Cost() Cost {
	y := p.N * p.OutH() * p.OutW() * p.Cout
	w := p.KH * p.KW * p.Cin * p.Cout
	return floats(2*float64(y)*float64(p.KH*p.KW*p.Cin), p.N*p.H*p.W*p.Cin+w+y)
}

// XLen, YLen and WLen are the floats that x, y and w span.
func (p Conv) XLen() int { return span(p.N*p.H*p.W, p.Cin, p.XStride) }
func (p Conv) YLen() int { return span(p.N*p.OutH()*p.OutW(), p.Cout, p.YStride) }
func (p Conv) WLen() int { return p.KH * p.KW * p.Cin * p.Cout }

// Linear is y[r] = x[r] * w for every row r: w is [K][M].
type Linear struct {
	Rows, K, M       int
	XStride, YStride int // floats per row of x (dx) and y (dy); 0 = contiguous
	Precision        Precision
	Accumulate       bool   // as in Conv
	WeightVersion    uint64 // as in Conv
}

// Validate reports the first impossible parameter.
func (p Linear) Validate() error {
	return firstError(positive("Rows", p.Rows, "K", p.K, "M", p.M),
		checkStride("XStride", p.XStride, p.K), checkStride("YStride", p.YStride, p.M))
}

// Cost is that of the forward pass and of each gradient.
func (p Linear) Cost() Cost {
	return floats(2*float64(p.Rows)*float64(p.K)*float64(p.M), p.Rows*p.K+p.K*p.M+p.Rows*p.M)
}

// Conv returns the 1x1 convolution that computes the same thing: each row is an image of one pixel.
func (p Linear) Conv() Conv {
	return Conv{N: p.Rows, H: 1, W: 1, Cin: p.K, Cout: p.M, KH: 1, KW: 1, Stride: 1, XStride: p.XStride, YStride: p.YStride,
		Precision: p.Precision, Accumulate: p.Accumulate, WeightVersion: p.WeightVersion}
}

// MatMul is a batch of small products: for each b
//
//	C[b] = Alpha * op(A[b]) * op(B[b])    (+ C[b] when Accumulate)
//
// op(A) is M x K and op(B) is K x N, row-major and contiguous; TransA means that A is stored K x M, TransB that B is
// stored N x K. A batch stride of 0 repeats one matrix for the whole batch.
type MatMul struct {
	Batch, M, N, K            int
	TransA, TransB            bool
	StrideA, StrideB, StrideC int // floats from one matrix to the next
	Alpha                     float32
	Accumulate                bool
	Precision                 Precision
}

// Validate reports the first impossible parameter.
func (p MatMul) Validate() error {
	if err := positive("Batch", p.Batch, "M", p.M, "N", p.N, "K", p.K); err != nil {
		return err
	}
	if p.StrideA < 0 || p.StrideB < 0 || (p.Batch > 1 && p.StrideC < p.M*p.N) {
		return fmt.Errorf("batch strides %d, %d, %d make the results overlap or are negative", p.StrideA, p.StrideB, p.StrideC)
	}
	return nil
}

// Cost counts repeated operands once.
func (p MatMul) Cost() Cost {
	a, b := p.M*p.K, p.K*p.N
	if p.StrideA != 0 {
		a *= p.Batch
	}
	if p.StrideB != 0 {
		b *= p.Batch
	}
	return floats(2*float64(p.Batch)*float64(p.M)*float64(p.N)*float64(p.K), a+b+p.Batch*p.M*p.N)
}
