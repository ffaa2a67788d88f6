package host

import (
	"errors"
	"fmt"
	"os"
)

// level is one implementation of the inner loops. All levels share the code around them.
type level struct {
	name     string
	priority int
	missing  func() error // nil, or what the processor lacks
	matrix   matrixKernels
	vector   vectorKernels
}

// cpuVariable names the environment variable that holds the level down.
const cpuVariable = "EMDIFF_CPU"

// levels lists all levels, lowest first, usable or not.
func levels() []level {
	return []level{
		{"portable", 10, func() error { return nil }, portableMatrix, portableVector},
		{"avx2", 20, missingAVX2, avx2Matrix, avx2Vector},
		{"avx512", 30, missingAVX512, avx512Matrix, avx512Vector},
	}
}

// usable returns nil, or one sentence that says why the level cannot be used here.
func (l level) usable() error {
	if held := os.Getenv(cpuVariable); held != "" {
		limit := 0
		for _, other := range levels() {
			if other.name == held {
				limit = other.priority
			}
		}
		if limit == 0 {
			return fmt.Errorf("%s=%s names no level: use portable, avx2 or avx512, or unset it", cpuVariable, held)
		}
		if l.priority > limit {
			return fmt.Errorf("host/%s is held down by %s=%s", l.name, cpuVariable, held)
		}
	}
	if err := l.missing(); err != nil {
		return fmt.Errorf("host/%s: %w", l.name, err)
	}
	return nil
}

func findLevel(name string) (level, error) {
	for _, l := range levels() {
		if l.name == name {
			return l, l.usable()
		}
	}
	return level{}, fmt.Errorf("host has no level %q: use portable, avx2 or avx512", name)
}

// lacking turns a feature test into an error.
func lacking(has bool, what string) error {
	if has {
		return nil
	}
	return errors.New("this processor has no " + what)
}
