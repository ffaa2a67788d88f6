package cuda

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"emdiff/gpu"
	"emdiff/kernels"
)

// Options configure a Set.
type Options struct {
	// Rung takes this variant ("naive", "tile64", ...) wherever an op has it and the shape allows it; "" leaves the choice to the table.
	Rung string
	// Table chooses the variants of convolutions and linear layers by shape; nil leaves the choice to the built-in table.
	Table *Table
	// Sync waits for the device after every launch, so that a fault is reported with the launch that caused it. The environment variable
	// EMDIFF_SYNC=1 does the same.
	Sync bool
	// OnLaunch, if set, is told the name of every kernel before it is looked up and launched.
	OnLaunch func(kernel string)
}

// set implements kernels.Set over a driver, on one stream.
type set struct {
	driver  gpu.Driver
	pool    *gpu.Pool
	stream  gpu.Stream
	staging staging
	options Options
	tuned   map[Shape]string // rungs of Options.Table

	modules   map[string]gpu.Module // by PTX file
	functions map[string]gpu.Function
	permitted map[string]int // bytes of dynamic shared memory that a kernel has been allowed

	err    error    // first failure; everything after it does nothing
	recent []string // launches since the last Sync that went well, the last of them
}

// New returns the op set on an open device. It owns the driver from then on: Close closes it.
func New(driver gpu.Driver, o Options) (kernels.Set, error) {
	if sm := driver.Properties().SM(); sm < 70 {
		return nil, fmt.Errorf("cuda: %s has compute capability %d.%d, the kernels need 7.0 (Volta) or newer", driver.Properties().Name, sm/10, sm%10)
	}
	tuned, err := o.Table.choices(driver.Properties())
	if err != nil {
		return nil, fmt.Errorf("cuda: %w", err)
	}
	stream, err := driver.NewStream()
	if err != nil {
		return nil, fmt.Errorf("cuda: %w", err)
	}
	o.Sync = o.Sync || os.Getenv("EMDIFF_SYNC") == "1"
	s := &set{driver: driver, pool: gpu.NewPool(driver), stream: stream, options: o, tuned: tuned,
		modules: map[string]gpu.Module{}, functions: map[string]gpu.Function{}, permitted: map[string]int{}}
	if err := s.staging.open(driver); err != nil {
		return nil, fmt.Errorf("cuda: %w", err)
	}
	return kernels.Checked(s), nil
}

// Name is "cuda" with the driver behind it.
func (s *set) Name() string {
	name, _, _ := strings.Cut(s.driver.Properties().Driver, " ")
	if name == "cuda" {
		return "cuda"
	}
	return "cuda/" + name
}

// Supports reports whether products of this precision have a kernel: the reduced ones run on the tensor cores of Ampere and newer.
func (s *set) Supports(p kernels.Precision) bool {
	return p == kernels.PrecisionF32 || s.driver.Properties().SM() >= 80 && productVariants[p] != nil
}

// fail makes err the failure of the Set, if it is the first.
func (s *set) fail(err error) {
	if s.err != nil {
		return
	}
	s.err = fmt.Errorf("cuda: %w", err)
	if len(s.recent) > 0 {
		s.err = fmt.Errorf("%w (launches since the last good Sync: %s)", s.err, strings.Join(s.recent, ", "))
	}
}

func (s *set) Sync() error {
	if s.err == nil {
		if err := s.stream.Sync(); err != nil {
			s.fail(err)
		} else {
			s.recent = s.recent[:0]
		}
	}
	return s.err
}

func (s *set) Close() error {
	errs := []error{s.staging.close(s.driver), s.pool.Trim()}
	for _, m := range s.modules {
		errs = append(errs, m.Unload())
	}
	errs = append(errs, s.stream.Close(), s.driver.Close())
	if s.err != nil {
		return nil // Sync has told; after a fault the device refuses the rest
	}
	return errors.Join(errs...)
}
