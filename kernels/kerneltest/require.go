package kerneltest

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Required does nothing when err is nil. Otherwise the thing called name ("avx512", "emu", "cuda") cannot be tested here:
// the test fails if the environment variable EMDIFF_REQUIRE, a list separated by commas, names it, and is skipped if not.
func Required(t testing.TB, name string, err error) {
	t.Helper()
	required(t, os.Getenv("EMDIFF_REQUIRE"), name, err)
}

// stopper is the part of testing.TB that required needs.
type stopper interface {
	Helper()
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
}

func required(t stopper, list, name string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	names := strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
	if slices.Contains(names, name) {
		t.Fatalf("EMDIFF_REQUIRE lists %s, but it cannot run: %v", name, err)
	} else {
		t.Skipf("%s cannot run here: %v", name, err)
	}
}
