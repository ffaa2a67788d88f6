package kerneltest

import (
	"fmt"
	"math"
	"sync"

	"emdiff/kernels"
	"emdiff/kernels/ref"
)

// Check runs one case and returns an error that describes the first violation: an error above the budget (the worst
// element is named), a bit that is not the determined one, or memory written that is not the op's to write.
//
// The budget of an output is k max|naive - exact| + 2 ulp(max|exact|), k = 3 for gradients and 2 otherwise: exact is
// ref.Float64, naive ref.Naive, and ulp the spacing of float32. The maxima run over the output; one of fewer than 64
// independent values is drawn repeatedly until there are 64, because a few errors may be small by luck.
func Check(s kernels.Set, c Case) error {
	_, err := Worst(s, c)
	return err
}

// Worst is Check, and tells how much of its budget the worst element uses: more than 1 is an error.
func Worst(s kernels.Set, c Case) (share float64, err error) {
	e, err := expect(c)
	if err != nil {
		return 0, err
	}
	return e.check(s)
}

// CheckBatch returns an error unless every image of a batch comes out bit for bit as it does alone. It holds for every
// op whose arguments are divided by image, and trivially for the others.
func CheckBatch(s kernels.Set, c Case) error {
	e, err := expect(c)
	if err != nil {
		return err
	}
	return e.checkBatch(s)
}

// CheckSame returns an error unless two Sets compute a case bit for bit alike.
func CheckSame(s, t kernels.Set, c Case) error {
	e, err := expect(c)
	if err != nil {
		return err
	}
	return e.checkSame(s, t)
}

// Run executes a case and leaves its results unjudged: for counting and timing. The error says that the call failed, or
// wrote what is not its to write.
func Run(s kernels.Set, c Case) error {
	o, ok := table[c.Op]
	if !ok {
		return fmt.Errorf("kerneltest: there is no op %q", c.Op)
	}
	_, err := execute(s, o, c, o.data(c, 0))
	return err
}

// expectation is what the oracle knows about a case.
type expectation struct {
	op
	Case
	in     data
	want   result
	limits map[string][]limit // per output, per part
}

// limit is the budget of one part of an output.
type limit struct {
	naive, scale float64 // largest naive error, largest exact value
	factor       float64
}

func (l limit) budget() float64 { return l.factor*l.naive + 2*ulp(l.scale) }

// ulp is the spacing of float32 at x.
func ulp(x float64) float64 {
	v := float32(math.Abs(x))
	return float64(math.Nextafter32(v, float32(math.Inf(1))) - v)
}

// Implementations tested in one process share what the oracle worked out.
var expectations sync.Map

func expect(c Case) (*expectation, error) {
	key := c.String()
	if e, ok := expectations.Load(key); ok {
		return e.(*expectation), nil
	}
	e, err := newExpectation(c)
	if err == nil {
		expectations.Store(key, e)
	}
	return e, err
}

const fewestValues = 64 // independent ones that the largest naive error is taken over

// newExpectation runs the oracle and the naive Set.
func newExpectation(c Case) (*expectation, error) {
	o, ok := table[c.Op]
	if !ok {
		return nil, fmt.Errorf("kerneltest: there is no op %q", c.Op)
	}
	e := &expectation{op: o, Case: c, in: o.data(c, 0), limits: map[string][]limit{}}
	replicas := e.prepareLimits()
	exact, naive := ref.Float64(), ref.Naive()
	for replica := range replicas {
		in := e.in
		if replica > 0 {
			in = o.data(c, replica)
		}
		want, err := execute(exact, o, c, in)
		if err != nil {
			return nil, e.failed(exact, err)
		}
		rounded, err := execute(naive, o, c, in)
		if err != nil {
			return nil, e.failed(naive, err)
		}
		if replica == 0 {
			e.want = want
		}
		for _, a := range o.destinations(c) {
			e.widen(a, rounded[a.name], want[a.name])
		}
	}
	return e, nil
}

// prepareLimits makes an empty limit for every part of every output and returns how many draws fill them.
func (e *expectation) prepareLimits() (replicas int) {
	factor := 2.0
	if e.gradient {
		factor = 3
	}
	replicas = 1
	for _, a := range e.destinations(e.Case) {
		parts := max(a.parts, 1)
		e.limits[a.name] = make([]limit, parts)
		for i := range parts {
			e.limits[a.name][i].factor = factor
		}
		values := a.count()
		if a.independent > 0 {
			values = a.independent
		}
		replicas = max(replicas, (fewestValues*parts+values-1)/values)
	}
	return replicas
}

// widen takes the naive errors of one draw into the limits.
func (e *expectation) widen(a arg, naive, exact []float64) {
	for i := range a.count() {
		w := exact[a.at(i)]
		if d := math.Abs(naive[a.at(i)] - w); finite(w) && finite(d) {
			l := &e.limits[a.name][a.part(i)]
			l.naive, l.scale = max(l.naive, d), max(l.scale, math.Abs(w))
		}
	}
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// failed names the Set and adds what it takes to see the failure again.
func (e *expectation) failed(s kernels.Set, err error) error {
	return fmt.Errorf("%s: %s %w\n\treplay: kerneltest.Check(set, %s)", s.Name(), e.Op, err, e.Case)
}

// check returns the largest share of its budget that an element uses.
func (e *expectation) check(s kernels.Set) (share float64, err error) {
	got, err := execute(s, e.op, e.Case, e.in)
	if err != nil {
		return 0, e.failed(s, err)
	}
	for _, a := range e.destinations(e.Case) {
		worst, err := e.compare(a, got[a.name])
		share = max(share, worst)
		if err != nil {
			return share, e.failed(s, err)
		}
	}
	return share, nil
}

// compare returns the largest share of the budget that an element of an output uses, and an error that names the element if the share
// is more than 1.
func (e *expectation) compare(a arg, got []float64) (worst float64, err error) {
	element := -1
	for i := range a.count() {
		g, w := got[a.at(i)], e.want[a.name][a.at(i)]
		if a.exact {
			if r := float64(float32(w)); g != r && !(g != g && r != r) {
				return worst, fmt.Errorf("%s is %v, want exactly %v", a.element(i), g, r)
			}
			continue
		}
		if a.zeros && (g == 0) != (w == 0) {
			return worst, fmt.Errorf("%s is %v, want %v: one of them is zero", a.element(i), g, w)
		}
		if !finite(w) {
			continue // the norm of a gradient that is not finite: only its flag means something
		}
		over := math.Abs(g-w) / e.limits[a.name][a.part(i)].budget()
		if over != over {
			return worst, fmt.Errorf("%s is %v, want %v", a.element(i), g, w)
		}
		if over > worst {
			worst, element = over, i
		}
	}
	if worst <= 1 {
		return worst, nil
	}
	g, w, l := got[a.at(element)], e.want[a.name][a.at(element)], e.limits[a.name][a.part(element)]
	return worst, fmt.Errorf("%s is %v, want %v: the error %.3g is %.3g times its budget %.3g (%g x naive error %.3g + 2 ulp of scale %.3g)",
		a.element(element), g, w, math.Abs(g-w), worst, l.budget(), l.factor, l.naive, l.scale)
}

// element names element i of an output.
func (a arg) element(i int) string {
	if a.rows == 1 || a.cols == 1 {
		return fmt.Sprintf("%s[%d]", a.name, a.at(i))
	}
	return fmt.Sprintf("%s[%d] (row %d, column %d)", a.name, a.at(i), i/a.cols, i%a.cols)
}

// sameBits compares an output of two runs.
func (a arg) sameBits(got, want []float64) error {
	for i := range a.count() {
		if g, w := got[a.at(i)], want[a.at(i)]; math.Float64bits(g) != math.Float64bits(w) {
			return fmt.Errorf("%s is %v in one and %v in the other", a.element(i), g, w)
		}
	}
	return nil
}

func (e *expectation) checkBatch(s kernels.Set) error {
	images := e.images(e.Case)
	if images == 1 {
		return nil
	}
	whole, err := execute(s, e.op, e.Case, e.in)
	if err != nil {
		return e.failed(s, err)
	}
	for n := range images {
		if n > 1 && n != images/2 && n != images-1 {
			continue // the first two, one in the middle and the last
		}
		alone := e.image(e.Case, n)
		args, in := e.present(alone), data{}
		for i, a := range e.present(e.Case) {
			in[a.name] = e.in[a.name].image(a, args[i], n, images)
		}
		single, err := execute(s, e.op, alone, in)
		if err != nil {
			return e.failed(s, err)
		}
		for i, a := range e.present(e.Case) {
			if !a.written() || !a.perImage {
				continue
			}
			start, end := imageRange(a, args[i], n, images)
			if err := args[i].sameBits(whole[a.name][start:end], single[a.name]); err != nil {
				return e.failed(s, fmt.Errorf("in a batch of %d computes image %d otherwise than alone: %w", images, n, err))
			}
		}
	}
	return nil
}

func (e *expectation) checkSame(s, t kernels.Set) error {
	a, err := execute(s, e.op, e.Case, e.in)
	if err != nil {
		return e.failed(s, err)
	}
	b, err := execute(t, e.op, e.Case, e.in)
	if err != nil {
		return e.failed(t, err)
	}
	for _, x := range e.destinations(e.Case) {
		if err := x.sameBits(a[x.name], b[x.name]); err != nil {
			return e.failed(s, fmt.Errorf("differs between two sets: %w", err))
		}
	}
	return nil
}
