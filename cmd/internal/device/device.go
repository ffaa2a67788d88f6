// Package device chooses the implementation of the kernels a command runs on, and says why. Together with tests it is
// the only place that knows the implementations by name; everything else sees kernels.Set. It may import the
// implementations (kernels/ref, kernels/host, kernels/cuda) and the GPU drivers.
package device

import (
	"fmt"
	"strings"

	"emdiff/kernels"
	_ "emdiff/kernels/host" // registers host/avx512, host/avx2 and host/portable
)

// Choice is an opened Set and the reasoning behind it.
type Choice struct {
	Set     kernels.Set
	Refused []string // "host/avx512: the processor lacks AVX-512", best first
}

// String is one line for the log.
func (c Choice) String() string {
	if len(c.Refused) == 0 {
		return c.Set.Name()
	}
	return fmt.Sprintf("%s (refused %s)", c.Set.Name(), strings.Join(c.Refused, "; "))
}

// Open returns the best usable implementation of a device: "auto" or "host". threads = 0 uses all cores.
func Open(name string, threads int) (Choice, error) {
	if name != "auto" && name != "host" {
		return Choice{}, fmt.Errorf("--device %s is unknown: use auto or host", name)
	}
	if threads < 0 {
		return Choice{}, fmt.Errorf("--threads %d must not be negative (0 = all cores)", threads)
	}
	var c Choice
	for _, i := range kernels.Implementations() {
		if !strings.HasPrefix(i.Name, "host/") {
			continue
		}
		if err := i.Usable(); err != nil {
			c.Refused = append(c.Refused, fmt.Sprintf("%s: %v", i.Name, err))
			continue
		}
		set, err := i.Open(kernels.Options{Threads: threads})
		if err != nil {
			return c, fmt.Errorf("opening %s: %w", i.Name, err)
		}
		c.Set = set
		return c, nil
	}
	return c, fmt.Errorf("no implementation works here: %s", strings.Join(c.Refused, "; "))
}
