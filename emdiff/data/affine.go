package data

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Affine relates the values that a file stores to the scale [-1, 1] of a [Set]:
//
//	stored = Offset + Scale*x        x = (stored - Offset) / Scale
//
// Offset is therefore the stored value of mid-grey and Scale half the range, both in units of the
// file; the map of 8-bit files is {127.5, 127.5}. Scale is positive.
type Affine struct {
	Scale  float64 `json:"scale"`
	Offset float64 `json:"offset"`
}

// spanning is the map that takes lo to -1 and hi to 1.
func spanning(lo, hi float64) Affine {
	half := hi/2 - lo/2 // halved first: the difference of two finite values may not be finite
	return Affine{Scale: half, Offset: lo + half}
}

// resolves reports whether the range is wide enough beside its offset for the map to be exact in
// float32: the offset is rounded by 2^-53 of its size, which moves x by at most 2^-25.
func (a Affine) resolves() bool { return a.Scale > 0 && a.Scale >= math.Abs(a.Offset)*0x1p-28 }

// Apply maps a stored value to the scale of a set.
func (a Affine) Apply(stored float64) float32 { return float32((stored - a.Offset) / a.Scale) }

// Invert maps a value of a set back to the units of the file.
func (a Affine) Invert(x float32) float64 { return a.Offset + a.Scale*float64(x) }

// byteAffine is the map of 8-bit images over their whole range, and of every format that has no
// other.
var byteAffine = spanning(0, math.MaxUint8)

// valueRange is a parsed [OpenOptions.Range].
type valueRange struct {
	kind   rangeKind
	lo, hi float64 // stored values, or percentiles
}

type rangeKind int

const (
	rangeAuto rangeKind = iota
	rangeFixed
	rangePercentile
)

const percentilePrefix = "percentile:"

// parseRange reads the syntax that [OpenOptions.Range] documents.
func parseRange(text string) (valueRange, error) {
	if text == "" || text == "auto" {
		return valueRange{}, nil
	}
	refuse := func(wrong string) (valueRange, error) {
		return valueRange{}, &Error{
			Path:   "--range " + strconv.Quote(text),
			Wrong:  wrong,
			Remedy: `give "auto", "lo,hi" in the units of the file, or "percentile:lo,hi"`,
		}
	}
	r := valueRange{kind: rangeFixed}
	bounds, isPercentile := strings.CutPrefix(text, percentilePrefix)
	if isPercentile {
		r.kind = rangePercentile
	}
	lo, hi, found := strings.Cut(bounds, ",")
	var errLo, errHi error
	r.lo, errLo = strconv.ParseFloat(strings.TrimSpace(lo), 64)
	r.hi, errHi = strconv.ParseFloat(strings.TrimSpace(hi), 64)
	switch {
	case !found || errLo != nil || errHi != nil:
		return refuse("is no range of values")
	case !spanning(r.lo, r.hi).resolves() || math.IsInf(r.lo, 0) || math.IsInf(r.hi, 0): // NaN fails the first
		return refuse("must run from a finite value to a clearly larger one")
	case isPercentile && (r.lo < 0 || r.hi > 100):
		return refuse("has percentiles outside 0 to 100")
	}
	return r, nil
}

// affine chooses the map of one image.
func (r valueRange) affine(st *stored, path string) (Affine, error) {
	if r.kind == rangeAuto && !st.isFloat() {
		return spanning(0, float64(uint(1)<<st.depth-1)), nil
	}
	least, most := slices.Min(st.values), slices.Max(st.values)
	switch r.kind {
	case rangeFixed:
		// Noise may leave the range; values two half-ranges outside it mean another unit.
		a := spanning(r.lo, r.hi)
		if far := 3 * a.Scale; least < a.Offset-far || most > a.Offset+far {
			return a, &Error{
				Path:   path,
				Wrong:  fmt.Sprintf("holds values from %g to %g, far outside the range %g,%g", least, most, r.lo, r.hi),
				Remedy: "give the range of its values with --range lo,hi",
			}
		}
		return a, nil
	case rangePercentile:
		sorted := slices.Sorted(slices.Values(st.values))
		lo, hi := percentile(sorted, r.lo), percentile(sorted, r.hi)
		a := spanning(lo, hi)
		if !a.resolves() {
			return a, &Error{
				Path:   path,
				Wrong:  fmt.Sprintf("has all but the same value, %g, at percentiles %g and %g", lo, r.lo, r.hi),
				Remedy: "give a fixed range with --range lo,hi, or leave the file out",
			}
		}
		return a, nil
	}
	return Affine{}, &Error{
		Path:   path,
		Wrong:  fmt.Sprintf("holds floating-point values (%g to %g), whose full range no file states", least, most),
		Remedy: "say which values are black and white with --range lo,hi, or --range percentile:lo,hi for each image its own",
	}
}

// percentile interpolates linearly between the two values nearest to rank p/100*(n-1).
func percentile(sorted []float64, p float64) float64 {
	rank := p / 100 * float64(len(sorted)-1)
	below := int(rank)
	if below == len(sorted)-1 {
		return sorted[below]
	}
	part := rank - float64(below)
	return (1-part)*sorted[below] + part*sorted[below+1]
}
