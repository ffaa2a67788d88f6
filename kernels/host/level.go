package host

import (
	"fmt"
	"os"
	"runtime"
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

// levels lists all levels of this architecture, lowest first, usable or not.
func levels() []level {
	return append([]level{{"portable", 10, func() error { return nil }, portableMatrix, portableVector}}, vectorLevels()...)
}

// levelNames is a list for messages: "portable, avx2 or avx512".
func levelNames() string {
	text := ""
	for i, l := range levels() {
		switch {
		case i > 0 && i == len(levels())-1:
			text += " or "
		case i > 0:
			text += ", "
		}
		text += l.name
	}
	return text
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
			return fmt.Errorf("%s=%s names no level on %s: use %s, or unset it", cpuVariable, held, runtime.GOARCH, levelNames())
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
	return level{}, fmt.Errorf("host has no level %q on %s: use %s", name, runtime.GOARCH, levelNames())
}
