package cuda_test

import (
	"strings"
	"testing"

	"emdiff/gpu/emu"
	"emdiff/kernels"
	"emdiff/kernels/cuda"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// counted runs ops on an emulated device without checks, on zeroed buffers of the given lengths, and returns what the launches did.
func counted(t testing.TB, o cuda.Options, lengths []int, call func(s kernels.Set, b []kernels.Buffer)) []emu.Report {
	var reports []emu.Report
	s, err := cuda.New(emu.New(emu.Options{OnLaunch: func(r emu.Report) { reports = append(reports, r) }}), o)
	require.NoError(t, err)
	defer s.Close()
	b := make([]kernels.Buffer, len(lengths))
	for i, n := range lengths {
		b[i] = s.Alloc(kernels.F32, n)
	}
	call(s, b)
	require.NoError(t, s.Sync())
	require.NotEmpty(t, reports)
	return reports
}

// Whole tiles: 256 output pixels, 1152 and 128 rows of weights.
var countedConv = kernels.Conv{N: 1, H: 16, W: 16, Cin: 32, Cout: 128, KH: 3, KW: 3, Stride: 1, PadTop: 1, PadBottom: 1, PadLeft: 1, PadRight: 1}

func TestProductsHaveNoBankConflictsAndWasteNoArithmetic(t *testing.T) {
	for _, c := range []struct {
		rung      string
		precision kernels.Precision
		most      float64 // thread instructions per multiply-add
	}{
		{"tile64", kernels.PrecisionF32, 1.7},
		{"tile128", kernels.PrecisionF32, 1.4},
		{"tensor", kernels.PrecisionTF32, 0.36},
		{"tensor", kernels.PrecisionBF16, 0.29},
		{"tensor3", kernels.PrecisionF32, 0.6},
	} {
		p := countedConv
		p.Precision = c.precision
		sizes := []int{p.YLen(), p.XLen(), p.WLen()}
		reports := counted(t, cuda.Options{Rung: c.rung}, sizes, func(s kernels.Set, b []kernels.Buffer) {
			s.Conv2D(b[0], b[1], b[2], kernels.Epilogue{}, p)
			s.Conv2DWeightGrad(b[2], b[1], b[0], p)
			p.Cin, p.Cout = p.Cout, p.Cin // the columns of the input gradient fill a tile, too
			s.Conv2DInputGrad(b[0], b[1], b[2], p)
			p.Cin, p.Cout = p.Cout, p.Cin
		})
		for _, r := range reports {
			k := r.Counters
			instructions, flops := 2*float64(k.ThreadInstructions)/p.Cost().FLOPs, float64(k.FLOPs)/p.Cost().FLOPs
			if c.rung == "tensor3" {
				flops /= 3
			}
			t.Logf("%-34s %.3f instructions per multiply-add, %.2f x the FLOPs, %.1f sectors per load, %d registers, %d bytes shared", r.Kernel,
				instructions, flops, k.GlobalLoads.SectorsPerRequest(), r.Registers, r.Shared)
			assert.Zero(t, k.Conflicts(), "%s: bank conflicts", r.Kernel)
			assert.LessOrEqual(t, flops, 1.01, "%s: FLOPs", r.Kernel)
			if strings.Contains(r.Kernel, "weightgrad") {
				continue // of its 288 rows 32 are computed in a narrower tile
			}
			assert.LessOrEqual(t, instructions, c.most, "%s: instructions per multiply-add", r.Kernel)
		}
	}
}

// The most that a convolution may compute beyond its cost, in all directions.
const wasteless = 1.1

// directionsOf runs a convolution and both of its gradients, and returns what each of the products did.
func directionsOf(t *testing.T, rung string, p kernels.Conv) (products []emu.Report) {
	for _, r := range counted(t, cuda.Options{Rung: rung}, []int{p.YLen(), p.XLen(), p.WLen()}, func(s kernels.Set, b []kernels.Buffer) {
		s.Conv2D(b[0], b[1], b[2], kernels.Epilogue{}, p)
		s.Conv2DInputGrad(b[1], b[0], b[2], p)
		s.Conv2DWeightGrad(b[2], b[1], b[0], p)
	}) {
		if !strings.HasSuffix(r.Kernel, "_reduce") {
			products = append(products, r)
		}
	}
	require.Len(t, products, 3)
	return products
}

// Rows and columns are cut into tiles independently of each other, so what holds for each number of channels beside 32 holds for all pairs.
func TestConvolutionsComputeNoMoreThanTheirProduct(t *testing.T) {
	for _, c := range []struct {
		rung      string
		precision kernels.Precision
		count     float64 // products that one of float32 is made of
	}{
		{"tile64", kernels.PrecisionF32, 1},
		{"tile128", kernels.PrecisionF32, 1},
		{"tensor3", kernels.PrecisionF32, 3},
		{"tensor", kernels.PrecisionTF32, 1},
		{"tensor", kernels.PrecisionBF16, 1},
	} {
		worst, kernel, of := 0.0, "", kernels.Conv{}
		measure := func(n, size, cin, cout, k, stride int) {
			p := kernels.Conv{N: n, H: size, W: size, Cin: cin, Cout: cout, KH: k, KW: k, Stride: stride, PadTop: k / 2, PadBottom: k / 2,
				PadLeft: k / 2, PadRight: k / 2, Precision: c.precision}
			for _, r := range directionsOf(t, c.rung, p) {
				flops := float64(r.Counters.FLOPs) / p.Cost().FLOPs / c.count
				assert.Contains(t, r.Kernel, c.rung)
				assert.LessOrEqual(t, flops, wasteless, "%s: FLOPs of %+v", r.Kernel, p)
				assert.Zero(t, r.Counters.Conflicts(), "%s: bank conflicts of %+v", r.Kernel, p)
				if flops > worst {
					worst, kernel, of = flops, r.Kernel, p
				}
			}
		}
		for _, channels := range []int{32, 64, 96, 128, 160, 192, 256, 512} {
			for _, pair := range [][2]int{{channels, 32}, {32, channels}} {
				measure(2, 4, pair[0], pair[1], 3, 1)
				measure(2, 4, pair[0], pair[1], 1, 1)
				if channels == 96 { // strides know nothing of channels
					measure(2, 8, pair[0], pair[1], 3, 2)
					measure(2, 8, pair[0], pair[1], 1, 2)
				}
			}
		}
		for _, images := range []int{5, 12} { // 245 and 588 pixels fill no tile
			measure(images, 7, 32, 32, 3, 1)
		}
		t.Logf("%s: at most %.3f x the FLOPs: %s of %+v", c.precision, worst, kernel, of)
	}
}

// The time embedding of a U-Net has a row per image. Its cost is its weights: they are read once, in whole sectors.
func TestLinearLayersOfFewRowsReadTheirWeightsOnce(t *testing.T) {
	for _, precision := range []kernels.Precision{kernels.PrecisionF32, kernels.PrecisionTF32, kernels.PrecisionBF16} {
		for _, rows := range []int{8, 16, 32} {
			p := kernels.Linear{Rows: rows, K: 128, M: 256, Precision: precision}.Conv()
			for i, r := range directionsOf(t, "", p) {
				k := r.Counters
				flops, bytes := float64(k.FLOPs)/p.Cost().FLOPs, 32*float64(k.GlobalLoads.Sectors+k.GlobalStores.Sectors)/p.Cost().Bytes
				t.Logf("%-34s %2d rows: %.2f x the FLOPs, %.2f x the least bytes, %d blocks, %.1f instructions per multiply-add", r.Kernel, rows, flops, bytes,
					r.Grid[0]*r.Grid[1]*r.Grid[2], 2*float64(k.ThreadInstructions)/p.Cost().FLOPs)
				assert.LessOrEqual(t, flops, wasteless, "%s, %d rows: FLOPs", r.Kernel, rows)
				// Every tile of columns reads the rows, every tile of rows the columns.
				loads := []int{p.WLen() + r.Grid[1]*p.XLen(), p.WLen() + r.Grid[1]*p.YLen(), r.Grid[1]*p.XLen() + r.Grid[0]*p.YLen()}[i]
				assert.Equal(t, int64(4*loads), 32*k.GlobalLoads.Sectors, "%s, %d rows: bytes loaded", r.Kernel, rows)
				assert.Equal(t, int64(4*[]int{p.YLen(), p.XLen(), p.WLen()}[i]), 32*k.GlobalStores.Sectors, "%s, %d rows: bytes stored", r.Kernel, rows)
				assert.Zero(t, k.Conflicts(), "%s, %d rows: bank conflicts", r.Kernel, rows)
			}
		}
	}
}

// Bounds are thread instructions per multiply-add of the products at 256 channels: of the forward pass, of the gradient of the queries and
// of that of keys and values.
func TestAttentionHasNoBankConflictsAndWastesNoArithmetic(t *testing.T) {
	for _, c := range []struct {
		rung      string
		precision kernels.Precision
		most      [3]float64
	}{
		{"", kernels.PrecisionF32, [3]float64{1.75, 1.65, 1.7}},
		{"", kernels.PrecisionTF32, [3]float64{0.28, 0.26, 0.25}},
		{"", kernels.PrecisionBF16, [3]float64{0.2, 0.18, 0.17}},
		{"tensor3", kernels.PrecisionF32, [3]float64{0.5, 0.5, 0.5}},
		{"anytensor", kernels.PrecisionTF32, [3]float64{0.37, 0.35, 0.34}},
	} {
		for _, dim := range []int{8, 32, 64, 128, 256} {
			p := kernels.Attention{N: 1, T: 128, Heads: 1, HeadDim: dim, Scale: 0.125, Precision: c.precision}
			if dim < 256 && c.rung != "" {
				continue // rungs for those who ask, or for what does not fit: wide squares waste narrow heads
			}
			n := p.T * p.Channels()
			for i, r := range counted(t, cuda.Options{Rung: c.rung}, []int{n, n, n, n, n, n, n, n, p.T}, func(s kernels.Set, b []kernels.Buffer) {
				s.Attention(b[0], b[1], b[2], b[3], b[8], p)
				s.AttentionGrad(b[4], b[5], b[6], b[7], b[1], b[2], b[3], b[0], b[8], p)
			}) {
				if strings.HasPrefix(r.Kernel, "attention_delta") {
					continue // no product
				}
				executed, terms := p.HeadDim, 1
				if c.precision == kernels.PrecisionBF16 {
					executed = (dim + 15) / 16 * 16 // channels that an mma adds up
				}
				if c.rung == "tensor3" {
					terms = 3
				}
				k, softmax := r.Counters, float64(20*p.T*p.T) // what exp takes does not shrink with the head
				pairs := []float64{4, 0, 6, 8}[i] * float64(p.T*p.T)
				instructions := 2 * float64(k.ThreadInstructions) / (pairs * float64(dim))
				t.Logf("%-36s %3d channels: %.3f instructions per multiply-add, %.2f x the FLOPs, %.2f x the bytes of the forward pass, %d registers, %d bytes shared",
					r.Kernel, dim, instructions, float64(k.FLOPs)/(pairs*float64(dim)), 32*float64(k.GlobalLoads.Sectors+k.GlobalStores.Sectors)/p.Cost().Bytes,
					r.Registers, r.Shared)
				assert.Zero(t, k.Conflicts(), "%s: bank conflicts", r.Kernel)
				assert.LessOrEqual(t, float64(k.FLOPs), 1.1*pairs*float64(terms*executed)+softmax, "%s: FLOPs", r.Kernel)
				if dim == 256 {
					assert.LessOrEqual(t, instructions, c.most[max(i-1, 0)], "%s: instructions per multiply-add", r.Kernel)
				}
			}
		}
	}
}

// The halo of a tile is what it reads beyond its own pixels: (32/16) tiles of up to 24 x 24 pixels, clipped to the image. A row of 20
// pixels is 240 bytes, not whole sectors.
func TestTheBlurReadsAnImageAndItsHalosOnce(t *testing.T) {
	p := kernels.Blur{N: 1, H: 32, W: 32, C: 3, K: 9}
	n := p.H * p.W * p.C
	for _, r := range counted(t, cuda.Options{}, []int{n, n, 16}, func(s kernels.Set, b []kernels.Buffer) {
		s.Blur(b[0], b[1], b[2], p)
		s.BlurAdjoint(b[0], b[1], b[2], p)
	}) {
		c := r.Counters
		t.Logf("%-34s %.2f x the least bytes, %.2f x the FLOPs, %d bank conflicts", r.Kernel,
			32*float64(c.GlobalLoads.Sectors+c.GlobalStores.Sectors)/p.Cost().Bytes, float64(c.FLOPs)/p.Cost().FLOPs, c.Conflicts())
		assert.Zero(t, c.Conflicts(), "%s: bank conflicts", r.Kernel)
		assert.InDelta(t, 1, 32*float64(c.GlobalStores.Sectors)/float64(4*n), 0.05, "%s writes sectors twice", r.Kernel)
		assert.LessOrEqual(t, 32*float64(c.GlobalLoads.Sectors), 1.35*4*(20.*20*4*3), "%s reads too much", r.Kernel)
	}
}

// Kernels whose cost is memory alone: every request moves whole sectors, and no byte is moved twice.
func TestStreamingKernelsMoveTheLeastBytes(t *testing.T) {
	const n = 1 << 14
	images := kernels.PerImage{N: 4, Len: n / 4}
	lengths := []int{n, n, n, n, n, 64}
	for _, c := range []struct {
		bytes int // loaded and stored
		call  func(s kernels.Set, b []kernels.Buffer)
	}{
		{8 * n, func(s kernels.Set, b []kernels.Buffer) { s.SiLU(b[0], b[1], kernels.Elementwise{Len: n}) }},
		{12 * n, func(s kernels.Set, b []kernels.Buffer) { s.Add(b[0], b[1], b[2], kernels.Elementwise{Len: n}) }},
		{12 * n, func(s kernels.Set, b []kernels.Buffer) { s.Axpy(b[0], b[1], 2, kernels.Elementwise{Len: n}) }},
		{4 * n, func(s kernels.Set, b []kernels.Buffer) { s.Normal(b[0], nil, kernels.Draw{N: 4, Len: n / 4}) }},
		{16 * n, func(s kernels.Set, b []kernels.Buffer) {
			s.Update(b[0], b[1], b[2], b[3], nil, nil, kernels.Update{N: 4, Len: n / 4, A: 1, B: 1, C: 1, Noise: 1})
		}},
		{8 * n, func(s kernels.Set, b []kernels.Buffer) { s.Dot(b[5], b[0], b[1], images) }},
		{36 * n, func(s kernels.Set, b []kernels.Buffer) {
			s.Upload(b[5], []float32{1, 1, 1})
			s.AdamW(b[0], b[1], b[2], b[3], b[4], b[5], kernels.AdamW{Len: n, Eps: 1, Step: 1})
		}},
		{8 * n, func(s kernels.Set, b []kernels.Buffer) {
			s.CopyChannels(b[0], b[1], kernels.Channels{Rows: n / 32, C: 32})
		}},
		{5 * n, func(s kernels.Set, b []kernels.Buffer) {
			s.Upsample2x(b[0], b[1], kernels.Resize{N: 1, H: 8, W: 16, C: 32})
		}},
		{8 * n, func(s kernels.Set, b []kernels.Buffer) {
			s.GroupNorm(b[0], b[1], b[2], b[3], nil, b[4], b[5], kernels.GroupNorm{N: 1, HW: n / 64, C: 64, Groups: 16, Eps: 1})
		}},
	} {
		reports := counted(t, cuda.Options{}, lengths, c.call)
		k := reports[len(reports)-1].Counters
		moved := 32 * float64(k.GlobalLoads.Sectors+k.GlobalStores.Sectors)
		name := reports[len(reports)-1].Kernel
		t.Logf("%-34s %.3f x the least bytes, %.1f and %.1f sectors per request", name, moved/float64(c.bytes), k.GlobalLoads.SectorsPerRequest(), k.GlobalStores.SectorsPerRequest())
		assert.InDelta(t, 1, moved/float64(c.bytes), 0.05, "%s moves more or less than its operands", name)
	}
}
