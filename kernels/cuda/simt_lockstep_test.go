//go:build simt

package cuda_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"emdiff/gpu"

	"github.com/stretchr/testify/require"
)

const (
	pageSize    = 4096 // PAGE of simt.cpp
	sharedBytes = 1 << 28
	guardByte   = 0xA5 // around buffers, in the pages that they do not fill
)

// hostDevice is a running host build and the file whose pages it finds its buffers in.
type hostDevice struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	memory  []byte // of the file
}

func startHost(t *testing.T, program string) *hostDevice {
	file, err := os.Create(filepath.Join(t.TempDir(), "memory"))
	require.NoError(t, err)
	defer file.Close()
	require.NoError(t, file.Truncate(sharedBytes))
	h := &hostDevice{command: exec.Command(program)}
	h.memory, err = syscall.Mmap(int(file.Fd()), 0, sharedBytes, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	require.NoError(t, err)
	h.command.ExtraFiles = []*os.File{file}
	h.command.Stderr = os.Stderr
	h.in, err = h.command.StdinPipe()
	require.NoError(t, err)
	out, err := h.command.StdoutPipe()
	require.NoError(t, err)
	h.out = bufio.NewReader(out)
	require.NoError(t, h.command.Start())
	t.Cleanup(func() {
		h.in.Close()
		h.command.Wait() // its end has been judged by what it answered
		syscall.Munmap(h.memory)
	})
	return h
}

// do sends a command and waits for the answer.
func (h *hostDevice) do(command string) error {
	if _, err := io.WriteString(h.in, command+"\n"); err != nil {
		return fmt.Errorf("the host build has ended: %w", err)
	}
	answer, err := h.out.ReadString('\n')
	if err != nil {
		return fmt.Errorf("the host build has ended: %w", err)
	}
	if answer = strings.TrimSpace(answer); answer != "ok" {
		return fmt.Errorf("host build: %s", answer)
	}
	return nil
}

// comparison is what is known of a kernel.
type comparison struct {
	launches  int
	values    int    // words that a launch changed
	different int    // of them, those that the two have different bits for
	ulp       uint64 // the furthest of those apart
	worst     string // where that is
}

// judge returns an error if the two disagree by more than they may: approximate says that the kernel uses an approx instruction.
func (k *comparison) judge(approximate bool) error {
	allowed := uint64(0)
	if approximate {
		allowed = approxULP
	}
	switch {
	case k.values == 0:
		return errors.New("no launch changed anything that could be compared")
	case k.ulp > allowed:
		return fmt.Errorf("%d of %d values differ, by up to %d ulp where %d are allowed: %s", k.different, k.values, k.ulp, allowed, k.worst)
	}
	return nil
}

// lockstep is a device that runs every launch twice, on the driver inside and on the host build, from the same contents of memory, and
// compares all that the kernel can reach. The driver's results are those that stay.
type lockstep struct {
	gpu.Driver
	host        *hostDevice
	mu          sync.Mutex
	live        []gpu.Buffer
	comparisons map[string]*comparison
}

func newLockstep(inner gpu.Driver, host *hostDevice) *lockstep {
	return &lockstep{Driver: inner, host: host, comparisons: map[string]*comparison{}}
}

// of is what is known of a kernel.
func (d *lockstep) of(kernel string) *comparison {
	if d.comparisons[kernel] == nil {
		d.comparisons[kernel] = &comparison{}
	}
	return d.comparisons[kernel]
}

func (d *lockstep) Alloc(size int64) (gpu.Buffer, error) {
	b, err := d.Driver.Alloc(size)
	if err == nil {
		d.live = append(d.live, b)
	}
	return b, err
}

func (d *lockstep) Free(b gpu.Buffer) error {
	d.live = slices.DeleteFunc(d.live, func(l gpu.Buffer) bool { return l.ID == b.ID })
	return d.Driver.Free(b)
}

func (d *lockstep) LoadModule(name string, ptx []byte) (gpu.Module, error) {
	m, err := d.Driver.LoadModule(name, ptx)
	return lockstepModule{m, d}, err
}

type lockstepModule struct {
	gpu.Module
	d *lockstep
}

func (m lockstepModule) Function(name string) (gpu.Function, error) {
	f, err := m.Module.Function(name)
	return lockstepFunction{f, m.d}, err
}

type lockstepFunction struct {
	gpu.Function
	d *lockstep
}

// shadow is a buffer in the memory of the host build.
type shadow struct {
	gpu.Buffer
	offset int64  // of its first page in the file
	page   []byte // all its pages
	host   []byte // the buffer's part of them
	before []byte
}

// reachable is the allocations that the arguments point into: a kernel has no other pointers.
func (d *lockstep) reachable(args []gpu.Arg) (found []gpu.Buffer) {
	for _, a := range args {
		for _, b := range d.live {
			inside := a.Size() == 8 && a.Slot() >= uint64(b.Ptr) && a.Slot() < uint64(b.Ptr)+uint64(b.Size)
			if inside && !slices.Contains(found, b) {
				found = append(found, b)
			}
		}
	}
	return found
}

// place copies buffers to the file, and surrounds them with guards.
func (d *lockstep) place(buffers []gpu.Buffer) (shadows []shadow, err error) {
	end := int64(0)
	for _, b := range buffers {
		skip := int64(b.Ptr) % pageSize
		length := (skip + b.Size + pageSize - 1) / pageSize * pageSize
		if end+length > sharedBytes {
			return nil, fmt.Errorf("the buffers of the launch take more than %d bytes", sharedBytes)
		}
		s := shadow{Buffer: b, offset: end, page: d.host.memory[end : end+length], before: make([]byte, b.Size)}
		s.host = s.page[skip : skip+b.Size]
		for i := range s.page[:skip] {
			s.page[i] = guardByte
		}
		for i := skip + b.Size; i < length; i++ {
			s.page[i] = guardByte
		}
		if err := d.Driver.CopyDtoH(s.before, b); err != nil {
			return nil, err
		}
		copy(s.host, s.before)
		shadows = append(shadows, s)
		end += length
	}
	return shadows, nil
}

func (f lockstepFunction) Launch(c gpu.LaunchConfig) error {
	d := f.d
	d.mu.Lock()
	defer d.mu.Unlock()
	shadows, err := d.place(d.reachable(c.Args))
	if err != nil {
		return err
	}
	command := fmt.Sprintf("launch %s %d %d %d %d %d %d", f.Name(), c.Grid[0], c.Grid[1], c.Grid[2], c.Threads(), c.SharedBytes, len(shadows))
	for _, s := range shadows {
		command += fmt.Sprintf(" %d %d %d", s.Ptr, s.Size, s.offset)
	}
	command += fmt.Sprintf(" %d", len(c.Args))
	for _, a := range c.Args {
		command += fmt.Sprintf(" %d", a.Slot())
	}
	answer := make(chan error, 1)
	go func() { answer <- d.host.do(command) }()
	err = f.Function.Launch(c)
	if hostErr := <-answer; hostErr != nil {
		return hostErr
	}
	if err != nil {
		return err
	}
	k := d.of(f.Name())
	k.launches++
	for _, s := range shadows {
		after := make([]byte, s.Size)
		if err := d.Driver.CopyDtoH(after, s.Buffer); err != nil {
			return err
		}
		k.compare(s.before, after, s.host, strings.HasPrefix(f.Name(), "cast_forward"))
		if err := s.guarded(); err != nil {
			return err
		}
	}
	return nil
}

// guarded returns an error if the host build wrote beside the buffer.
func (s shadow) guarded() error {
	skip := int64(s.Ptr) % pageSize
	for i, b := range s.page {
		if at := int64(i) - skip; (at < 0 || at >= s.Size) && b != guardByte {
			return fmt.Errorf("the host build writes to byte %d of a buffer of %d", at, s.Size)
		}
	}
	return nil
}

// compare counts the words that the launch changed. A NaN is a NaN whatever its payload, unless the words are pairs of 16-bit values.
func (k *comparison) compare(before, device, host []byte, pairs bool) {
	if len(device)%4 != 0 {
		panic("a buffer ends within a word")
	}
	if bytes.Equal(before, device) && bytes.Equal(before, host) {
		return
	}
	for i := 0; i < len(device); i += 4 {
		b, x, y := binary.LittleEndian.Uint32(before[i:]), binary.LittleEndian.Uint32(device[i:]), binary.LittleEndian.Uint32(host[i:])
		if x == b && y == b {
			continue
		}
		k.values++
		if x == y || !pairs && isNaN(x) && isNaN(y) {
			continue
		}
		k.different++
		if ulp := apart(x, y); ulp > k.ulp {
			k.ulp = ulp
			k.worst = fmt.Sprintf("word %d of %d, %#08x before, is %#08x (%g) by the PTX and %#08x (%g) by the host build", i/4, len(device)/4, b,
				x, math.Float32frombits(x), y, math.Float32frombits(y))
		}
	}
}

func isNaN(w uint32) bool { return w&0x7fffffff > 0x7f800000 }

// apart is how many floats lie between two, plus one; of a NaN and a number, more than anything else.
func apart(x, y uint32) uint64 {
	if isNaN(x) != isNaN(y) {
		return math.MaxInt32
	}
	a, b := ordered(x), ordered(y)
	return uint64(max(a-b, b-a))
}

// ordered numbers the floats; the two zeros are one apart.
func ordered(w uint32) int64 {
	if w>>31 != 0 {
		return -1 - int64(w&0x7fffffff)
	}
	return int64(w)
}
