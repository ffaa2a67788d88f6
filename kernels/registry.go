package kernels

import (
	"fmt"
	"sort"
)

// Options configure a Set when it is opened.
type Options struct {
	Threads int // worker threads of a CPU implementation; 0 = all cores
}

// Implementation is a Set that may or may not work on this machine.
type Implementation struct {
	Name     string // "host/avx512"
	Priority int    // the usable one with the highest priority is the default of its family
	// Usable returns nil, or why the implementation cannot run here.
	Usable func() error
	Open   func(Options) (Set, error)
}

var implementations = map[string]Implementation{}

// Register makes an implementation known; packages call it from init. A name twice is a mistake.
func Register(i Implementation) {
	if _, ok := implementations[i.Name]; ok {
		panic(fmt.Sprintf("kernels: %s is registered twice", i.Name))
	}
	implementations[i.Name] = i
}

// Implementations lists what is registered, best first.
func Implementations() []Implementation {
	list := make([]Implementation, 0, len(implementations))
	for _, i := range implementations {
		list = append(list, i)
	}
	sort.Slice(list, func(a, b int) bool {
		if list[a].Priority != list[b].Priority {
			return list[a].Priority > list[b].Priority
		}
		return list[a].Name < list[b].Name
	})
	return list
}
