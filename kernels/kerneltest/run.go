package kerneltest

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"emdiff/kernels"
)

// Option narrows a run; a conformance test of a real implementation needs none.
type Option func(*selection)

type selection struct {
	ops   []string
	flops float64
}

// Only runs the named ops.
func Only(ops ...string) Option { return func(s *selection) { s.ops = ops } }

// Limit leaves out cases that cost more floating-point operations, for implementations that are emulated.
func Limit(flops float64) Option { return func(s *selection) { s.flops = flops } }

func choose(options []Option) *selection {
	s := &selection{ops: Ops()}
	for _, o := range options {
		o(s)
	}
	return s
}

// cases returns the cases of an op that the set has the precision for.
func (s *selection) cases(set kernels.Set, op string) []Case {
	return slices.DeleteFunc(Cases(op), func(c Case) bool {
		return s.flops > 0 && c.Cost().FLOPs > s.flops || !set.Supports(precision(c))
	})
}

// precision returns the Precision field of the case's parameters, if they have one.
func precision(c Case) kernels.Precision {
	if f := reflect.ValueOf(c.Params).FieldByName("Precision"); f.IsValid() {
		return kernels.Precision(f.Uint())
	}
	return kernels.PrecisionF32
}

// RunAll holds an implementation to the contract of kernels.Set: every op within its budget and its memory (Check),
// images independent of their batch (CheckBatch), memory, cached weights, and mistakes that must panic. open is called
// once per subtest and may skip it; RunAll closes what it returns.
func RunAll(t *testing.T, open func(t *testing.T) kernels.Set, options ...Option) {
	selected := choose(options)
	with := func(name string, check func(s kernels.Set) []error) {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			report(t, check(s))
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	for _, op := range selected.ops {
		with(op, func(s kernels.Set) (failures []error) {
			for _, c := range selected.cases(s, op) {
				if err := Check(s, c); err != nil {
					failures = append(failures, err)
				} else if err := CheckBatch(s, c); err != nil {
					failures = append(failures, err)
				}
			}
			return failures
		})
	}
	with("memory", checkMemory)
	with("weight versions", checkWeightVersions)
	with("mistakes", func(s kernels.Set) []error { return checkMistakes(s, selected.ops) })
}

// RunThreads checks that an implementation computes every case bit for bit alike with 1, 2 and 3 threads.
func RunThreads(t *testing.T, open func(threads int) kernels.Set, options ...Option) {
	selected := choose(options)
	one := open(1)
	defer one.Close()
	for _, threads := range []int{2, 3} {
		s := open(threads)
		defer s.Close()
		for _, op := range selected.ops {
			t.Run(fmt.Sprintf("%s/threads=%d", op, threads), func(t *testing.T) {
				failures := []error{}
				for _, c := range selected.cases(one, op) {
					if err := CheckSame(one, s, c); err != nil {
						failures = append(failures, err)
					}
				}
				report(t, failures)
			})
		}
	}
}

// report shows the first failures and counts the rest: one mistake usually breaks many cases.
func report(t *testing.T, failures []error) {
	t.Helper()
	const shown = 3
	for i, err := range failures {
		if i == shown {
			t.Errorf("and %d more", len(failures)-shown)
			return
		}
		t.Error(err)
	}
}
