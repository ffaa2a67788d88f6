package kerneltest

import (
	"errors"
	"fmt"
	"go/parser"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels"
	"emdiff/kernels/ref"
)

func TestTheSuiteCoversEveryOp(t *testing.T) {
	set, memory := reflect.TypeFor[kernels.Set](), reflect.TypeFor[kernels.Memory]()
	want := []string{}
	for m := range set.Methods() {
		if _, ok := memory.MethodByName(m.Name); !ok && m.Name != "Name" && m.Name != "Supports" {
			want = append(want, m.Name)
		}
	}
	assert.ElementsMatch(t, want, Ops())
}

func TestEveryCaseIsValidAndReplaysFromItsLiteral(t *testing.T) {
	for _, op := range Ops() {
		seen := map[string]bool{}
		for _, c := range Cases(op) {
			require.NoError(t, c.Params.(params).Validate(), "%s", c)
			_, err := parser.ParseExpr(c.String())
			require.NoError(t, err, "%s", c)
			seen[c.String()] = true
		}
		assert.Greater(t, len(seen), 10, "%s has too few different cases", op)
	}
	c := Case{Op: "SiLU", Params: kernels.Elementwise{Len: 3}}
	assert.Equal(t, `kerneltest.Case{Op:"SiLU", Params:kernels.Elementwise{Len:3, Accumulate:false}, Without:[]string(nil), InPlace:"", Data:""}`, c.String())
}

// elementwise lists the inputs that may be the destination.
var elementwise = map[string][]string{
	"Conv2D": {"Residual"}, "Linear": {"Residual"}, "SiLU": {"x"}, "SiLUGrad": {"dy", "x"}, "Add": {"a", "b"}, "Clamp": {"x"}, "ClampGrad": {"dy", "x"},
	"ScaleImages": {"x", "z"}, "Dropout": {"x"}, "Update": {"x", "d", "e"}, "Gain": {"x"}, "GaussianPosterior": {"z", "y"},
}

func TestTheTableHasEveryVariantSomewhere(t *testing.T) {
	for _, op := range Ops() {
		o := table[op]
		without, inPlace, accumulate := map[string]bool{}, map[string]bool{}, false
		for _, c := range o.cases {
			for _, name := range c.Without {
				without[name] = true
			}
			inPlace[c.InPlace] = true
			for _, a := range o.destinations(c) {
				accumulate = accumulate || a.role == update
			}
		}
		for _, names := range o.without {
			for _, name := range names {
				assert.True(t, without[name], "%s is never left out of %s", name, op)
			}
		}
		for _, name := range elementwise[op] {
			assert.True(t, inPlace[name], "%s never works in place on %s", op, name)
		}
		f, has := reflect.TypeOf(o.cases[0].Params).FieldByName("Accumulate")
		overwrites := op == "Fill" || op == "Cast" || op == "Clamp" || op == "Conv2D" || op == "Linear" || op == "GroupNorm" || op == "GaussianPosterior"
		if has && !overwrites {
			assert.True(t, accumulate, "%s never accumulates although it has %s", op, f.Name)
		}
	}
}

func TestAnyBytesMakeAValidCase(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 20000 {
		b := make([]byte, r.IntN(30))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		c := thrown(b)
		require.NoError(t, c.Params.(params).Validate(), "%v: %s", b, c)
		require.Less(t, c.Cost().FLOPs, 2e7, "%v: %s", b, c)
	}
}

func TestOnlyTheNormOfABadGradientMayBeNotFinite(t *testing.T) {
	for _, op := range Ops() {
		for _, c := range Cases(op) {
			e, err := expect(c)
			require.NoError(t, err)
			for _, a := range e.destinations(c) {
				for i := range a.count() {
					if !a.exact && !finite(e.want[a.name][a.at(i)]) {
						require.True(t, op == "GradNorm" && c.Data == NotFinite && i < 2, "%s is not finite in %s", a.element(i), c)
					}
				}
			}
		}
	}
}

// Tolerances that tell nothing apart would let everything pass: no budget may exceed a thousandth of the data, except
// where the case exists because float32 suffers, or rounds its operands to fewer bits.
func TestBudgetsAreTight(t *testing.T) {
	for _, op := range Ops() {
		for _, c := range Cases(op) {
			e, err := expect(c)
			require.NoError(t, err)
			if c.Data != Normal || precision(c) != kernels.PrecisionF32 {
				continue
			}
			for name, parts := range e.limits {
				for _, l := range parts {
					assert.LessOrEqual(t, l.budget(), 1e-3*l.scale+1e-30, "%s of %s: naive %g, scale %g", name, c, l.naive, l.scale)
				}
			}
		}
	}
}

// buggy is the oracle with one planted bug.
type buggy struct {
	kernels.Set
	silu  func(s kernels.Set, y, x kernels.Buffer, p kernels.Elementwise)
	conv  func(s kernels.Set, y, x, w kernels.Buffer, e kernels.Epilogue, p kernels.Conv)
	dots  func(s kernels.Set, out, a, b kernels.Buffer, p kernels.PerImage)
	draws func(s kernels.Set, y, ids kernels.Buffer, p kernels.Draw)
	norm  func(s kernels.Set, rstd, x kernels.Buffer, p kernels.GroupNorm)
	sync  error
}

func (b buggy) SiLU(y, x kernels.Buffer, p kernels.Elementwise) {
	if b.silu == nil {
		b.Set.SiLU(y, x, p)
		return
	}
	b.silu(b.Set, y, x, p)
}

func (b buggy) Conv2D(y, x, w kernels.Buffer, e kernels.Epilogue, p kernels.Conv) {
	if b.conv == nil {
		b.Set.Conv2D(y, x, w, e, p)
		return
	}
	b.conv(b.Set, y, x, w, e, p)
}

// GroupNorm lets norm spoil rstd.
func (b buggy) GroupNorm(y, x, gamma, beta, scaleShift, mean, rstd kernels.Buffer, p kernels.GroupNorm) {
	b.Set.GroupNorm(y, x, gamma, beta, scaleShift, mean, rstd, p)
	b.norm(b.Set, rstd, x, p)
}

func (b buggy) Dot(out, x, y kernels.Buffer, p kernels.PerImage) { b.dots(b.Set, out, x, y, p) }

func (b buggy) Normal(y, ids kernels.Buffer, p kernels.Draw) { b.draws(b.Set, y, ids, p) }

func (b buggy) Sync() error { return errors.Join(b.sync, b.Set.Sync()) }

// poke adds to one element of a buffer.
func poke(s kernels.Set, b kernels.Buffer, i int, by float32) {
	v := read(s, b)
	v[i] += by
	s.Upload(b, v)
}

func TestTheSuiteCatchesPlantedBugs(t *testing.T) {
	silu := Case{Op: "SiLU", Params: kernels.Elementwise{Len: 105}}
	inPlace := Case{Op: "SiLU", Params: kernels.Elementwise{Len: 105}, InPlace: "x"}
	accumulate := Case{Op: "SiLU", Params: kernels.Elementwise{Len: 105, Accumulate: true}}
	conv := Case{Op: "Conv2D", Params: Conv2D{Conv: with(padded(3, 4, 4, 5, 6), func(p *kernels.Conv) { p.YStride = 9 })}}
	for _, bug := range []struct {
		name  string
		c     Case
		check func(kernels.Set, Case) error
		set   buggy
		want  string
	}{
		{"one element off by 4 ulp of the scale and naive error", silu, Check, buggy{silu: func(s kernels.Set, y, x kernels.Buffer, p kernels.Elementwise) {
			s.SiLU(y, x, p)
			poke(s, y, 77, 2e-6)
		}}, "y[77] (row 2, column 7)"},
		{"a NaN", silu, Check, buggy{silu: func(s kernels.Set, y, x kernels.Buffer, p kernels.Elementwise) {
			s.SiLU(y, x, p)
			poke(s, y, 3, float32(math.NaN()))
		}}, "y[3] (row 0, column 3) is NaN"},
		{"the last element is forgotten", silu, Check, buggy{silu: func(s kernels.Set, y, x kernels.Buffer, p kernels.Elementwise) {
			p.Len--
			s.SiLU(y, x, p)
		}}, "y[104] (row 2, column 34) is NaN"},
		{"the input is used as workspace", silu, Check, buggy{silu: func(s kernels.Set, y, x kernels.Buffer, p kernels.Elementwise) {
			s.SiLU(y, x, p)
			poke(s, x, 9, 1)
		}}, "writes to x: element 9 of the input"},
		{"not safe in place", inPlace, Check, buggy{silu: func(s kernels.Set, y, x kernels.Buffer, p kernels.Elementwise) {
			s.Fill(y, 0, p)
			s.SiLU(y, x, p)
		}}, "is 0, want"},
		{"accumulates without being asked", silu, Check, buggy{silu: func(s kernels.Set, y, x kernels.Buffer, p kernels.Elementwise) {
			p.Accumulate = true
			s.SiLU(y, x, p)
		}}, "is NaN"},
		{"overwrites what it should add to", accumulate, Check, buggy{silu: func(s kernels.Set, y, x kernels.Buffer, p kernels.Elementwise) {
			p.Accumulate = false
			s.SiLU(y, x, p)
		}}, "times its budget"},
		{"panics", silu, Check, buggy{silu: func(kernels.Set, kernels.Buffer, kernels.Buffer, kernels.Elementwise) { panic("boom") }}, "panics: boom"},
		{"the device fails", silu, Check, buggy{sync: errors.New("launch failed")}, "Sync: launch failed"},
		{"values depend on the place in the array", silu, CheckBatch, buggy{silu: func(s kernels.Set, y, x kernels.Buffer, p kernels.Elementwise) {
			s.SiLU(y, x, p)
			v := read(s, y)
			v[p.Len-1] = math.Nextafter32(v[p.Len-1], 10) // a tail computed by another formula
			s.Upload(y, v)
		}}, "otherwise than alone"},

		{"one image of a batch changes with the batch size", conv, CheckBatch, buggy{conv: func(s kernels.Set, y, x, w kernels.Buffer, e kernels.Epilogue, p kernels.Conv) {
			s.Conv2D(y, x, w, e, p)
			if p.N == 1 {
				v := read(s, y)
				v[5] = math.Nextafter32(v[5], 100)
				s.Upload(y, v)
			}
		}}, "in a batch of 3 computes image 0 otherwise than alone: y[5] (row 0, column 5)"},
		{"writes between the pixels of a strided output", conv, Check, buggy{conv: func(s kernels.Set, y, x, w kernels.Buffer, e kernels.Epilogue, p kernels.Conv) {
			s.Conv2D(y, x, w, e, p)
			poke(s, y, 8, 1)
		}}, "writes to y: element 8, between the pixels"},
		{"ignores the bias", conv, Check, buggy{conv: func(s kernels.Set, y, x, w kernels.Buffer, e kernels.Epilogue, p kernels.Conv) {
			e.Bias = nil
			s.Conv2D(y, x, w, e, p)
		}}, "times its budget"},
		{"pads on the wrong side", Case{Op: "Conv2D", Params: Conv2D{Conv: convShapes[7]}}, Check, buggy{conv: func(s kernels.Set, y, x, w kernels.Buffer, e kernels.Epilogue, p kernels.Conv) {
			p.PadTop, p.PadBottom, p.PadLeft, p.PadRight = 1, 0, 1, 0
			s.Conv2D(y, x, w, e, p)
		}}, "times its budget"},
		{"rounds float32 products to TF32", conv, Check, buggy{conv: func(s kernels.Set, y, x, w kernels.Buffer, e kernels.Epilogue, p kernels.Conv) {
			p.Precision = kernels.PrecisionTF32
			s.Conv2D(y, x, w, e, p)
		}}, "times its budget"},
		{"rounds TF32 products to bfloat16", Case{Op: "Conv2D", Params: Conv2D{Conv: with(padded(2, 8, 8, 16, 32), func(p *kernels.Conv) { p.Precision = kernels.PrecisionTF32 })}}, Check,
			buggy{conv: func(s kernels.Set, y, x, w kernels.Buffer, e kernels.Epilogue, p kernels.Conv) {
				p.Precision = kernels.PrecisionBF16
				s.Conv2D(y, x, w, e, p)
			}}, "times its budget"},

		{"variance as a difference of large numbers", Case{Op: "GroupNorm", Params: kernels.GroupNorm{N: 1, HW: 40, C: 2, Groups: 1, Eps: 1e-5}, Data: Offset}, Check,
			buggy{norm: func(s kernels.Set, rstd, x kernels.Buffer, p kernels.GroupNorm) {
				var sum, squares float32
				for _, v := range read(s, x) {
					sum += v
					squares += v * v
				}
				n := float32(p.HW * p.C)
				s.Upload(rstd, []float32{float32(1 / math.Sqrt(float64(squares/n-(sum/n)*(sum/n)+p.Eps)))})
			}}, "rstd[0]"},

		{"sums across the batch", Case{Op: "Dot", Params: kernels.PerImage{N: 3, Len: 35}}, Check, buggy{dots: func(s kernels.Set, out, a, b kernels.Buffer, p kernels.PerImage) {
			s.Dot(out, a, b, p)
			poke(s, out, 2, 1e-4)
		}}, "out[2]"},
		{"draws one normal an ulp away", Case{Op: "Normal", Params: kernels.Draw{N: 2, Len: 9}}, Check, buggy{draws: func(s kernels.Set, y, ids kernels.Buffer, p kernels.Draw) {
			s.Normal(y, ids, p)
			v := read(s, y)
			v[17] = math.Nextafter32(v[17], 100)
			s.Upload(y, v)
		}}, "want exactly"},
		{"ignores the ids", Case{Op: "Normal", Params: kernels.Draw{N: 2, Len: 9}}, Check, buggy{draws: func(s kernels.Set, y, ids kernels.Buffer, p kernels.Draw) {
			s.Normal(y, nil, p)
		}}, "want exactly"},
		{"ignores the first image", Case{Op: "Normal", Params: kernels.Draw{N: 2, Len: 9, Random: family}, Without: []string{"ids"}}, CheckBatch, buggy{draws: func(s kernels.Set, y, ids kernels.Buffer, p kernels.Draw) {
			p.FirstImage = 0
			s.Normal(y, ids, p)
		}}, "otherwise than alone"},
	} {
		t.Run(bug.name, func(t *testing.T) {
			bug.set.Set = ref.New()
			err := bug.check(bug.set, bug.c)
			require.ErrorContains(t, err, bug.want)
			assert.ErrorContains(t, err, "replay: kerneltest.Check(set, kerneltest.Case{")
		})
	}
}

// leaky is a Set whose SiLU also writes one element at a distance from the start of y, beyond its view.
type leaky struct {
	kernels.Set
	distance int
}

// leakyBuffer is a view that remembers its parent.
type leakyBuffer struct {
	kernels.Buffer
	parent kernels.Buffer
	start  int
}

func (b leakyBuffer) Slice(offset, n int) kernels.Buffer {
	return leakyBuffer{b.Buffer.Slice(offset, n), b.parent, b.start + offset}
}

func (l leaky) Alloc(d kernels.DType, n int) kernels.Buffer {
	b := l.Set.Alloc(d, n)
	return leakyBuffer{b, b, 0}
}

func (l leaky) Upload(dst kernels.Buffer, src []float32) { l.Set.Upload(dst.(leakyBuffer).Buffer, src) }

func (l leaky) Download(dst []float32, src kernels.Buffer) {
	l.Set.Download(dst, src.(leakyBuffer).Buffer)
}

func (l leaky) SiLU(y, x kernels.Buffer, p kernels.Elementwise) {
	view := y.(leakyBuffer)
	l.Set.SiLU(view.Buffer, x.(leakyBuffer).Buffer, p)
	poke(l.Set, view.parent, view.start+l.distance, 1)
}

func TestWritesOutsideTheViewAreNoticed(t *testing.T) {
	c := Case{Op: "SiLU", Params: kernels.Elementwise{Len: 105}}
	for distance, want := range map[int]string{
		105: "writes to y: element 105, 1 past the end changed from",
		110: "writes to y: element 110, 6 past the end",
		-1:  "writes to y: element -1 before the start",
	} {
		assert.ErrorContains(t, Check(leaky{ref.New(), distance}, c), want)
	}
}

func TestTheThreadCheckComparesBits(t *testing.T) {
	c := Case{Op: "SiLU", Params: kernels.Elementwise{Len: 105}}
	nudged := buggy{Set: ref.New(), silu: func(s kernels.Set, y, x kernels.Buffer, p kernels.Elementwise) {
		s.SiLU(y, x, p)
		v := read(s, y)
		v[50] = math.Nextafter32(v[50], 10)
		s.Upload(y, v)
	}}
	require.NoError(t, CheckSame(ref.New(), ref.New(), c))
	require.NoError(t, Check(nudged, c), "an ulp is within the budget")
	require.ErrorContains(t, CheckSame(ref.New(), nudged, c), "differs between two sets: y[50]")
}

func TestAnUnknownOpIsAnError(t *testing.T) {
	require.ErrorContains(t, Check(ref.New(), Case{Op: "Conv3D"}), `there is no op "Conv3D"`)
}

// caching keeps packed weights by the key that a bug makes too short.
type caching struct {
	kernels.Set
	key    func(w kernels.Buffer, version uint64) string
	packed map[string]kernels.Buffer
}

func (c caching) Conv2D(y, x, w kernels.Buffer, e kernels.Epilogue, p kernels.Conv) {
	if p.WeightVersion != 0 {
		k := c.key(w, p.WeightVersion)
		if c.packed[k] == nil {
			c.packed[k] = c.Alloc(kernels.F32, w.Len())
			c.Copy(c.packed[k], w, kernels.Elementwise{Len: w.Len()})
		}
		w = c.packed[k]
	}
	c.Set.Conv2D(y, x, w, e, p)
}

func TestStaleWeightsAreNoticed(t *testing.T) {
	for name, key := range map[string]func(w kernels.Buffer, version uint64) string{
		"version alone": func(_ kernels.Buffer, version uint64) string { return fmt.Sprint(version) },
		"length alone":  func(w kernels.Buffer, _ uint64) string { return fmt.Sprint(w.Len()) },
	} {
		t.Run(name, func(t *testing.T) {
			assert.NotEmpty(t, checkWeightVersions(caching{ref.New(), key, map[string]kernels.Buffer{}}))
		})
	}
	unique := 0
	assert.Empty(t, checkWeightVersions(caching{ref.New(), func(kernels.Buffer, uint64) string { unique++; return fmt.Sprint(unique) }, map[string]kernels.Buffer{}}))
}

// dirtyMemory hands out memory that is not zero.
type dirtyMemory struct{ kernels.Set }

func (d dirtyMemory) Alloc(t kernels.DType, n int) kernels.Buffer {
	b := d.Set.Alloc(t, n)
	if t == kernels.F32 {
		d.Set.Fill(b, 1, kernels.Elementwise{Len: n})
	}
	return b
}

func TestDirtyMemoryIsNoticed(t *testing.T) {
	assert.Empty(t, checkMemory(ref.New()))
	assert.NotEmpty(t, checkMemory(dirtyMemory{ref.New()}))
}

func TestUncheckedSetsAreNoticed(t *testing.T) {
	failures := checkMistakes(kernels.Unwrap(ref.New()), Ops())
	require.Len(t, failures, 1)
	assert.ErrorContains(t, failures[0], "not wrapped in kernels.Checked")
}

type fakeTest struct{ failed, skipped string }

func (f *fakeTest) Helper()                           {}
func (f *fakeTest) Fatalf(format string, args ...any) { f.failed = fmt.Sprintf(format, args...) }
func (f *fakeTest) Skipf(format string, args ...any)  { f.skipped = fmt.Sprintf(format, args...) }

func TestWhatIsRequiredMustRun(t *testing.T) {
	missing := errors.New("no AVX-512")
	for _, c := range []struct {
		list    string
		err     error
		outcome string
	}{
		{"", nil, "runs"},
		{"avx512", nil, "runs"},
		{"", missing, "skips"},
		{"avx2,emu", missing, "skips"},
		{"avx512f", missing, "skips"},
		{"avx512", missing, "fails"},
		{"avx2,avx512,emu", missing, "fails"},
		{"avx2, avx512", missing, "fails"},
	} {
		fake := &fakeTest{}
		required(fake, c.list, "avx512", c.err)
		switch c.outcome {
		case "runs":
			assert.Equal(t, fakeTest{}, *fake, "%q", c.list)
		case "skips":
			assert.Contains(t, fake.skipped, "no AVX-512", "%q", c.list)
			assert.Empty(t, fake.failed)
		case "fails":
			assert.Contains(t, fake.failed, "no AVX-512", "%q", c.list)
			assert.Empty(t, fake.skipped)
		}
	}
}
