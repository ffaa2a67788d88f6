package gpu

import (
	"fmt"
	"sort"
	"strings"
	"sync"
)

// Candidate is what Probe found out about one driver.
type Candidate struct {
	Name   string
	Device Properties // of the device it would use; zero if it cannot
	Err    error      // why it cannot be used; nil if it can
}

// Usable reports whether Open would work.
func (c Candidate) Usable() bool { return c.Err == nil }

// String returns one line: name, then the device or the reason why not.
func (c Candidate) String() string {
	if c.Err != nil {
		return c.Name + ": not usable: " + c.Err.Error()
	}
	return fmt.Sprintf("%s: %s, compute capability %d.%d, %s", c.Name, c.Device.Name, c.Device.Major, c.Device.Minor, Bytes(c.Device.TotalMemory))
}

var registry = struct {
	sync.Mutex
	open map[string]func() (Driver, error)
}{open: map[string]func() (Driver, error){}}

// Register adds a driver under a name. A driver package calls it from init; a second driver of the same name is a programmer error.
func Register(name string, open func() (Driver, error)) {
	registry.Lock()
	defer registry.Unlock()
	if _, taken := registry.open[name]; taken {
		panic("gpu: driver " + name + " registered twice")
	}
	registry.open[name] = open
}

// Probe opens and closes every registered driver and says which are usable and why the others are not, in order of their names.
func Probe() []Candidate {
	var out []Candidate
	for _, name := range names() {
		c := Candidate{Name: name}
		d, err := Open(name)
		if err == nil {
			c.Device = d.Properties()
			err = d.Close()
		}
		c.Err = err
		out = append(out, c)
	}
	return out
}

// Open opens the named driver.
func Open(name string) (Driver, error) {
	registry.Lock()
	open := registry.open[name]
	registry.Unlock()
	if open == nil {
		return nil, &Error{Op: "open", Kernel: name, Detail: "no such driver in this program", Remedy: "built in: " + strings.Join(names(), ", ")}
	}
	return open()
}

func names() []string {
	registry.Lock()
	defer registry.Unlock()
	var out []string
	for name := range registry.open {
		out = append(out, name)
	}
	sort.Strings(out)
	return out
}
