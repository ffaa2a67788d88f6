package kernels

// Memory is the part of a Set that owns buffers. Copies are ordered with the ops: Upload sees all earlier ops finished
// with the buffer, Download waits for the ops that write it.
type Memory interface {
	// Alloc returns a zeroed buffer of n elements, aligned to SliceAlign.
	Alloc(d DType, n int) Buffer
	// Free returns a buffer made by Alloc; using it or its slices afterwards is a mistake.
	Free(b Buffer)
	// Upload copies len(src) float32 values to the start of dst.
	Upload(dst Buffer, src []float32)
	// UploadInts copies len(src) int32 values to the start of dst.
	UploadInts(dst Buffer, src []int32)
	// Download copies the first len(dst) float32 values of src.
	Download(dst []float32, src Buffer)
	// Sync waits for everything queued and returns the first failure since the Set was opened; it stays failed.
	Sync() error
	// Close frees everything.
	Close() error
}

// Set is one implementation of the op set on one device, with one in-order queue: ops may return before they are done,
// and take effect in the order of the calls. A Set is not safe for concurrent use. The parameter structs hold formulas,
// shapes and costs.
type Set interface {
	Memory

	// Name identifies the implementation and level, for example "host/avx512".
	Name() string
	// Supports reports whether products of this precision have a kernel.
	Supports(p Precision) bool

	// Conv2D computes y = act(conv(x, w) + ...); see Conv and Epilogue.
	Conv2D(y, x, w Buffer, e Epilogue, p Conv)
	// Conv2DInputGrad computes dx, the adjoint of Conv2D in x (no epilogue) applied to dy.
	Conv2DInputGrad(dx, dy, w Buffer, p Conv)
	// Conv2DWeightGrad computes dw, the adjoint of Conv2D in w applied to dy.
	Conv2DWeightGrad(dw, x, dy Buffer, p Conv)
	// Linear computes y = act(x w + ...), w [K][M]; see Linear and Epilogue.
	Linear(y, x, w Buffer, e Epilogue, p Linear)
	// LinearInputGrad computes dx = dy w^T.
	LinearInputGrad(dx, dy, w Buffer, p Linear)
	// LinearWeightGrad computes dw = x^T dy.
	LinearWeightGrad(dw, x, dy Buffer, p Linear)
	// MatMul computes a batch of small products c = alpha op(a) op(b).
	MatMul(c, a, b Buffer, p MatMul)

	// GroupNorm computes y and saves mean and rstd [N][Groups]; scaleShift [N][2C] may be nil.
	GroupNorm(y, x, gamma, beta, scaleShift, mean, rstd Buffer, p GroupNorm)
	// GroupNormGrad computes dx, dgamma [C], dbeta [C] and dscaleShift [N][2C] from dy; a nil destination is skipped.
	GroupNormGrad(dx, dgamma, dbeta, dscaleShift, dy, x, gamma, beta, scaleShift, mean, rstd Buffer, p GroupNorm)
	// Attention computes o and saves lse [N][Heads][T].
	Attention(o, q, k, v, lse Buffer, p Attention)
	// AttentionGrad computes dq, dk and dv from do, recomputing the scores.
	AttentionGrad(dq, dk, dv, do, q, k, v, o, lse Buffer, p Attention)

	// SiLU computes y = x sigmoid(x).
	SiLU(y, x Buffer, p Elementwise)
	// SiLUGrad computes dx = dy SiLU'(x).
	SiLUGrad(dx, dy, x Buffer, p Elementwise)
	// Add computes y = a + b.
	Add(y, a, b Buffer, p Elementwise)
	// Axpy computes y += alpha x.
	Axpy(y, x Buffer, alpha float32, p Elementwise)
	// Fill sets y to value.
	Fill(y Buffer, value float32, p Elementwise)
	// Copy computes y = x.
	Copy(y, x Buffer, p Elementwise)
	// Clamp limits x to [Lo, Hi].
	Clamp(y, x Buffer, p Clamp)
	// ClampGrad passes dy where x lies in [Lo, Hi].
	ClampGrad(dx, dy, x Buffer, p Clamp)
	// Cast converts between F32 and the 16-bit types, rounding to nearest even.
	Cast(y, x Buffer, p Elementwise)

	// ScaleImages computes y[n] = a[n] x[n] + b[n] z[n], a and b [N]; b and z may both be nil.
	ScaleImages(y, a, x, b, z Buffer, p PerImage)
	// Dot computes out[n] = sum of a[n] b[n].
	Dot(out, a, b Buffer, p PerImage)
	// Sum computes out[n] = sum of x[n].
	Sum(out, x Buffer, p PerImage)
	// SquaredError computes loss[n] = weight[n] |x[n]-ref[n]|^2 and dx = 2 weight[n] (x-ref); dx may be nil.
	SquaredError(loss, dx, x, ref, weight Buffer, p PerImage)
	// SumRows adds rows; see SumRows.
	SumRows(y, x Buffer, p SumRows)

	// Upsample2x repeats every pixel of x in a 2x2 block of y.
	Upsample2x(y, x Buffer, p Resize)
	// Upsample2xGrad sums the 2x2 blocks of dy.
	Upsample2xGrad(dx, dy Buffer, p Resize)
	// PixelUnshuffle moves blocks of the large image x into the channels of y.
	PixelUnshuffle(y, x Buffer, p Shuffle)
	// PixelShuffle is its inverse and adjoint: x is small, y is large.
	PixelShuffle(y, x Buffer, p Shuffle)
	// CopyChannels copies a range of channels; see Channels.
	CopyChannels(y, x Buffer, p Channels)
	// Gather copies row ids[n] of x to row n of y, rows of p.Len floats; x holds rows rows.
	Gather(y, x, ids Buffer, rows int, p PerImage)
	// TimeEmbedding computes y [N][Dim] from t [N].
	TimeEmbedding(y, t Buffer, p TimeEmbedding)

	// Dropout zeroes random values; ids [N] (I32) or nil.
	Dropout(y, x, ids Buffer, p Dropout)
	// Normal fills y with standard normals; ids [N] (I32) or nil.
	Normal(y, ids Buffer, p Draw)
	// Uniform fills y with uniforms in (0, 1); ids [N] (I32) or nil.
	Uniform(y, ids Buffer, p Draw)
	// Update is the step of every sampler; see Update. d, e, scale [N] and ids may be nil.
	Update(y, x, d, e, scale, ids Buffer, p Update)

	// GradNorm computes out [3] from the flat gradient g; see GradNorm.
	GradNorm(out, g Buffer, p GradNorm)
	// AdamW updates w, m, v and ema from g and norm [3], the output of GradNorm.
	AdamW(w, m, v, ema, g, norm Buffer, p AdamW)

	// Gain computes y = gain x; a mask is its own adjoint.
	Gain(y, x, gain Buffer, p Gain)
	// GaussianPosterior draws x given z and y; gain and ids may be nil.
	GaussianPosterior(x, z, y, gain, ids Buffer, p GaussianPosterior)
	// Blur computes y from x with taps [K].
	Blur(y, x, taps Buffer, p Blur)
	// BlurAdjoint computes the transpose of Blur.
	BlurAdjoint(y, x, taps Buffer, p Blur)
}
