package gpu

import "fmt"

// DevicePtr is an address in device memory. Zero is never valid.
type DevicePtr uint64

// Buffer is a piece of device memory: an allocation or a part of one. It is a plain value; copying it copies no memory.
type Buffer struct {
	Ptr  DevicePtr // first byte
	Size int64     // bytes
	ID   uint64    // allocation it belongs to; the same for all its parts
}

// Slice returns the part of b that starts at byte offset and is size bytes long. It panics when the part does not lie in b.
func (b Buffer) Slice(offset, size int64) Buffer {
	if offset < 0 || size < 0 || offset > b.Size-size {
		panic(fmt.Sprintf("gpu: slice [%d, %d+%d) of a buffer of %d bytes", offset, offset, size, b.Size))
	}
	return Buffer{Ptr: b.Ptr + DevicePtr(offset), Size: size, ID: b.ID}
}

// Properties describes the device a Driver has opened.
type Properties struct {
	Name                string // as the vendor calls it
	Driver              string // "emu" or "cuda", with its version
	Ordinal             int    // position of the device among those the driver sees
	Major, Minor        int    // compute capability
	SMs                 int    // streaming multiprocessors
	WarpSize            int    // lanes
	MaxThreadsPerBlock  int
	MaxSharedPerBlock   int   // bytes of shared memory a block may have without asking
	MaxSharedOptIn      int   // bytes after Function.SetMaxDynamicShared
	TotalMemory         int64 // bytes
	MaxGridX, MaxGridYZ int   // blocks
}

// SM returns the compute capability as PTX targets write it: 80 for 8.0.
func (p Properties) SM() int { return p.Major*10 + p.Minor }

// Driver is one open device. Its methods may be called from any goroutine.
type Driver interface {
	Properties() Properties

	// Alloc reserves size bytes (> 0) aligned to 256, contents undefined. The error wraps ErrOutOfMemory when there is no room.
	Alloc(size int64) (Buffer, error)
	// Free returns an allocation (not a part of one).
	Free(Buffer) error
	// AllocPinned returns page-locked host memory, the only kind that async copies accept.
	AllocPinned(size int) ([]byte, error)
	FreePinned([]byte) error

	// LoadModule compiles PTX text. The name appears in errors.
	LoadModule(name string, ptx []byte) (Module, error)
	NewStream() (Stream, error)
	NewEvent() (Event, error)

	// The synchronous copies wait for all work of the device first, and are done when they return. Lengths must agree.
	CopyHtoD(dst Buffer, src []byte) error
	CopyDtoH(dst []byte, src Buffer) error
	CopyDtoD(dst, src Buffer) error

	// The async copies run in order on the stream; host memory must be pinned and must not be touched before the stream has
	// been synchronised. Fill sets every byte.
	CopyHtoDAsync(dst Buffer, src []byte, on Stream) error
	CopyDtoHAsync(dst []byte, src Buffer, on Stream) error
	CopyDtoDAsync(dst, src Buffer, on Stream) error
	FillAsync(dst Buffer, value byte, on Stream) error

	// Sync waits for all streams and returns the first device fault since the driver was opened.
	Sync() error
	// Close gives everything back. The driver is unusable afterwards.
	Close() error
}

// Stream is a queue of device work that runs in order.
type Stream interface {
	// Sync waits for all work queued so far and returns the device's sticky fault, if any.
	Sync() error
	// Wait makes later work of this stream start after the point the event has recorded.
	Wait(Event) error
	Close() error
}

// Event marks a point in a stream.
type Event interface {
	// Record moves the event to the current end of the stream.
	Record(Stream) error
	// Sync waits until the recorded point is reached.
	Sync() error
	// Elapsed returns the milliseconds from start's point to this one. Both must have been recorded and reached.
	Elapsed(start Event) (float64, error)
	Close() error
}

// Module is loaded PTX.
type Module interface {
	// Function looks an entry up by its PTX name.
	Function(name string) (Function, error)
	Unload() error
}

// FunctionAttributes says what a kernel needs.
type FunctionAttributes struct {
	StaticShared int // bytes of shared memory it declares
	MaxThreads   int // most threads per block
	Local        int // bytes of local memory per thread
	// ParamBytes is the size of each parameter; nil if the driver cannot tell.
	ParamBytes []int
}

// Function is a kernel.
type Function interface {
	Name() string
	Attributes() FunctionAttributes
	// SetMaxDynamicShared allows launches with up to size bytes of dynamic shared memory; needed above Properties.MaxSharedPerBlock.
	SetMaxDynamicShared(size int) error
	// Launch queues the kernel. A configuration the device cannot run is an error at once; a fault during the run may be returned
	// here or by any later call.
	Launch(LaunchConfig) error
}

// LaunchConfig is one kernel launch.
type LaunchConfig struct {
	Grid, Block [3]int // blocks, threads per block; x, y, z; each at least 1
	SharedBytes int    // dynamic shared memory per block
	Stream      Stream
	Args        []Arg // in the kernel's order
}

// Blocks returns the number of blocks of the grid.
func (c LaunchConfig) Blocks() int { return c.Grid[0] * c.Grid[1] * c.Grid[2] }

// Threads returns the number of threads of a block.
func (c LaunchConfig) Threads() int { return c.Block[0] * c.Block[1] * c.Block[2] }

// Validate checks the shape of a launch of kernel against the device and the kernel's attributes; dynamicLimit is the dynamic
// shared memory it may use.
func (c LaunchConfig) Validate(kernel string, p Properties, a FunctionAttributes, dynamicLimit int) error {
	bad := func(remedy, format string, args ...any) error {
		return &Error{Op: "launch", Kernel: kernel, Detail: fmt.Sprintf(format, args...), Remedy: remedy}
	}
	for i, axis := range []string{"x", "y", "z"} {
		if c.Grid[i] < 1 || c.Block[i] < 1 {
			return bad("give every axis at least 1", "grid %v, block %v: axis %s is empty", c.Grid, c.Block, axis)
		}
	}
	if c.Grid[0] > p.MaxGridX || c.Grid[1] > p.MaxGridYZ || c.Grid[2] > p.MaxGridYZ {
		return bad("put the long axis on x", "grid %v is larger than the device's %d x %d x %d", c.Grid, p.MaxGridX, p.MaxGridYZ, p.MaxGridYZ)
	}
	if limit := min(a.MaxThreads, p.MaxThreadsPerBlock); c.Threads() > limit {
		return bad("use smaller blocks", "block %v has %d threads, the kernel allows %d", c.Block, c.Threads(), limit)
	}
	if c.SharedBytes < 0 || c.SharedBytes > dynamicLimit {
		return bad("call SetMaxDynamicShared first, or use a smaller tile",
			"%d bytes of dynamic shared memory, the kernel may use %d", c.SharedBytes, dynamicLimit)
	}
	if c.Stream == nil {
		return bad("set LaunchConfig.Stream", "no stream")
	}
	return nil
}
