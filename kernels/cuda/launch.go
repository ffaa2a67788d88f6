package cuda

import (
	"fmt"
	"math"

	"emdiff/gpu"
	"emdiff/kernels"
)

// THREADS of the .cu files: threads of a block.
const (
	threads          = 256
	attentionThreads = 128
)

// Launches are remembered up to this many.
const remembered = 16

// grid is the shape of a launch.
type grid struct {
	x, y, z int
	block   int // threads
	shared  int // bytes of dynamic shared memory
}

// flat is the grid of a kernel that runs one thread per item.
func flat(items int) grid { return grid{x: ceil(items, threads)} }

// ceil is a/b rounded up.
func ceil(a, b int) int { return (a + b - 1) / b }

// launch queues a kernel. Arguments are buffers (nil is a null pointer), int, int64 (a long long), float32, float64, uint32 and bool.
// Axes that g leaves at 0 are 1, its block is `threads` unless it says otherwise.
func (s *set) launch(kernel string, g grid, args ...any) {
	if s.err != nil {
		return
	}
	if g.block == 0 {
		g.block = threads
	}
	if s.options.OnLaunch != nil {
		s.options.OnLaunch(kernel)
	}
	f, err := s.function(kernel)
	if err != nil {
		s.fail(err)
		return
	}
	if g.shared > s.permitted[kernel] && g.shared+f.Attributes().StaticShared > s.driver.Properties().MaxSharedPerBlock {
		if err := f.SetMaxDynamicShared(g.shared); err != nil {
			s.fail(err)
			return
		}
		s.permitted[kernel] = g.shared
	}
	config := gpu.LaunchConfig{Grid: [3]int{g.x, max(g.y, 1), max(g.z, 1)}, Block: [3]int{g.block, 1, 1}, SharedBytes: g.shared,
		Stream: s.stream, Args: make([]gpu.Arg, len(args))}
	for i, a := range args {
		if config.Args[i], err = argument(a); err != nil {
			s.fail(fmt.Errorf("launch %s: argument %d: %w", kernel, i, err))
			return
		}
	}
	gpu.Push(kernel)
	err = f.Launch(config)
	if err == nil && s.options.Sync {
		err = s.stream.Sync()
	}
	gpu.Pop()
	if err != nil {
		s.fail(fmt.Errorf("launch %s: %w", kernel, err))
		return
	}
	if len(s.recent) == remembered {
		s.recent = append(s.recent[:0], s.recent[1:]...)
	}
	s.recent = append(s.recent, kernel)
}

func argument(a any) (gpu.Arg, error) {
	switch v := a.(type) {
	case nil:
		return gpu.Ptr(gpu.Buffer{}), nil
	case gpu.Buffer:
		return gpu.Ptr(v), nil
	case *buffer:
		return gpu.Ptr(v.mem), nil
	case int:
		if v < math.MinInt32 || v > math.MaxInt32 {
			return gpu.Arg{}, fmt.Errorf("%d does not fit 32 bits: a kernel indexes at most 2^31-1 values, use a smaller batch", v)
		}
		return gpu.I32(int32(v)), nil
	case bool:
		if v {
			return gpu.I32(1), nil
		}
		return gpu.I32(0), nil
	case int64:
		return gpu.I64(v), nil
	case uint32:
		return gpu.U32(v), nil
	case float32:
		return gpu.F32(v), nil
	case float64:
		return gpu.F64(v), nil
	}
	panic(fmt.Sprintf("cuda: a kernel argument of type %T", a))
}

// function returns a kernel, loading its module on first use.
func (s *set) function(kernel string) (gpu.Function, error) {
	if f, ok := s.functions[kernel]; ok {
		return f, nil
	}
	file, ok := kernelFiles()[kernel]
	if !ok {
		return nil, fmt.Errorf("there is no kernel %s", kernel)
	}
	m, ok := s.modules[file]
	if !ok {
		var err error
		if m, err = s.driver.LoadModule(file, ptxText(file)); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		s.modules[file] = m
	}
	f, err := m.Function(kernel)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	s.functions[kernel] = f
	return f, nil
}

// family is the arguments FIRST, ... of a kernel that draws: ids first, FAMILY_PARAMS last.
func family(r kernels.Random) []any {
	return []any{uint32(r.Seed), uint32(r.Seed >> 32), r.Stream, r.Step}
}
