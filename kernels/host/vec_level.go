package host

import "emdiff/kernels"

// vectorKernels are the row kernels of one level. Destinations set the length and may be one of the sources of the same
// length, unless a comment says otherwise. Elementwise kernels give a value the same bits wherever it lies in a slice;
// reductions add in an order that depends on the length alone.
type vectorKernels struct {
	// past holds those kernels that have a twin writing past the caches, and stream, which copies that way; the destinations
	// lie on a cache line and rows are multiples of 16 long. Nil where a level has none. See storing.
	past   *vectorKernels
	stream func(dst, src []float32)

	silu       func(dst, src []float32)                                 // src sigmoid(src)
	weigh      func(x []float32, scale, shift float32) float32          // x = exp(scale x - shift), at least exp(-87), and their sum
	dscores    func(dst, w []float32, rowSum, scale float32)            // scale w (dst - rowSum)
	maximum    func(x []float32) float32                                // largest value; x is not empty
	scale      func(dst, src []float32, alpha float32)                  // alpha src
	triple     func(dst, src []float32)                                 // dst[3i], dst[3i+1], dst[3i+2] = src[i]; len(dst) a multiple of 3 tripleRun
	clamp      func(dst, src []float32, lo, hi float32)                 // NaN stays NaN
	add        func(dst, a, b []float32)                                // a + b
	mul        func(dst, a, b []float32)                                // a b
	addScaled  func(dst, a, b []float32, alpha float32)                 // a + alpha b
	combine    func(dst, a, b []float32, alpha, beta float32)           // alpha a + beta b
	difference func(dst, a, b []float32, alpha float32)                 // alpha (a - b)
	siluGrad   func(dst, dy, x []float32)                               // dy SiLU'(x)
	clampGrad  func(dst, dy, x []float32, lo, hi float32)               // dy where lo <= x <= hi, else 0
	dropout    func(dst, x, u []float32, rate, alpha float32)           // alpha x where u >= rate, else 0
	posterior  func(dst, z, y, gain, w []float32, k, noise float32)     // (gain k y + z) q + noise sqrt(q) w, q = 1/(1 + k gain^2)
	adam       func(w, m, v, ema, g []float32, c *adamCoefficients)     // one step, in place
	fir        func(dst, src, taps []float32, step int)                 // dst[i] = sum of taps[k] src[i + k step]; no overlap
	dot        func(a, b []float32) float32                             // sum of a b
	distance   func(a, b []float32) float32                             // sum of (a - b)^2
	sum        func(x []float32) float32                                // sum of x
	squares    func(x []float32) float64                                // sum of x^2, in float64
	sumRows    func(dst, x []float32, rows, stride int)                 // dst[c] = sum over r of x[r stride + c]
	moments    func(sum, squares, pivot, x []float32, rows, stride int) // adds the sums over rows of d and d^2, d = x - pivot[c]

	// Rows of len(mean) channels, with f the identity or SiLU; ahead is the distance in floats from x (or dy) to what is
	// read after the image, which the kernels that write past the caches ask for:
	//	norm      y = f(d a + b),  d = x - mean
	//	normSums  s1 += du, s2 += du d,  du = dy f'(d a + b)
	//	normKeep  normSums, and stores du at the stride of x
	//	normDx    dx = a du + q d + r at the stride of x; dx may be dy
	norm, normSiLU         func(y, x []float32, rows, yStride, xStride int, mean, a, b []float32, ahead int)
	normSums, normSumsSiLU func(s1, s2, dy, x []float32, rows, dyStride, xStride int, mean, a, b []float32)
	normKeepSiLU           func(s1, s2, du, dy, x []float32, rows, dyStride, xStride int, mean, a, b []float32)
	normDx, normDxSiLU     func(dx, dy, x []float32, rows, dyStride, xStride int, mean, a, b, q, r []float32, aheadDY, aheadX int)

	// The numbers of consecutive Philox blocks; len(dst) is a positive multiple of philoxRun.
	uniforms, normals func(dst []float32, s *philoxState)

	// A src + B d + C e + Noise w with the normals w of consecutive blocks; d and e may be nil.
	update func(dst, src, d, e []float32, c *updateCoefficients, s *philoxState)
}

// updateCoefficients are the factors of kernels.Update, in the order the assembly reads them.
type updateCoefficients struct{ A, B, C, Noise float32 }

// adamCoefficients are the factors of kernels.AdamW, in the order the assembly reads them:
//
//	g *= Clip;  m = Beta1 m + Rest1 g;  v = Beta2 v + Rest2 g^2
//	w -= Decay w + Step m/(sqrt(v Unbias2) + Eps);  ema = EMA ema + RestEMA w
type adamCoefficients struct {
	Clip, Beta1, Rest1, Beta2, Rest2, Unbias2, Eps, Decay, Step, EMA, RestEMA float32
}

// tripleRun is the number of values that triple takes at a time.
const tripleRun = 16

// philoxRun is the number of values the generators produce at a time, at every level.
const philoxRun = 64

// philoxState is the position of a run of blocks: the round keys and the counter, in the order the assembly reads them.
type philoxState struct {
	keys                       [10][2]uint32
	block, image, step, stream uint32
}

func newPhiloxState(r kernels.Random) (s philoxState) {
	k0, k1 := uint32(r.Seed), uint32(r.Seed>>32)
	for i := range s.keys {
		s.keys[i] = [2]uint32{k0, k1}
		k0 += kernels.PhiloxW0
		k1 += kernels.PhiloxW1
	}
	s.step, s.stream = r.Step, r.Stream
	return s
}

// The exponential of every level: exp(r) = 1 + r + r^2 (c0 + c1 r + ...) for |r| <= ln(2)/2 is a minimax fit with relative
// error below 2^-28. ln 2 is split so that n expLn2Hi is exact.
const (
	expLn2Hi  = float32(0.693359375)
	expLn2Lo  = float32(-2.12194440e-4)
	expLow    = float32(-87)  // exp stays normal
	siluLow   = float32(-104) // exp(104) is infinite: SiLU is -0 from here on
	slopeHigh = float32(104)  // SiLU' is 1 from here on
)

var expCoef = [5]float32{0.49999994, 0.166665211, 0.041668389, 0.00836874545, 0.00138145406}
