package nn

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Safetensors is an open file of named tensors, https://github.com/huggingface/safetensors: 8 bytes of header length (little
// endian), a JSON header {"name": {"dtype", "shape", "data_offsets"}, ..., "__metadata__": {"key": "text"}}, and the values.
// Only the header is in memory.
type Safetensors struct {
	Metadata map[string]string
	Tensors  []StoredTensor // in the order of the data

	r    io.ReaderAt
	data int64 // offset of the first value in the file
}

// StoredTensor describes one tensor of a file.
type StoredTensor struct {
	Entry
	DType string // "F32", "BF16", ...

	begin, end int64
}

// TensorSource is one tensor to write; Values is called when its turn comes, so that a file need not fit in memory.
type TensorSource struct {
	Entry
	Values func() ([]float32, error)
}

// maxHeader is the format's own limit.
const maxHeader = 100_000_000

var dtypeSizes = map[string]int64{"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1,
	"I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1}

type headerEntry struct {
	DType   string  `json:"dtype"`
	Shape   []int64 `json:"shape"`
	Offsets []int64 `json:"data_offsets"`
}

// WriteSafetensors writes float32 tensors and text metadata.
func WriteSafetensors(w io.Writer, tensors []TensorSource, metadata map[string]string) error {
	header, err := makeHeader(tensors, metadata)
	if err != nil {
		return err
	}
	if err := binary.Write(w, binary.LittleEndian, uint64(len(header))); err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	for _, t := range tensors {
		values, err := t.Values()
		if err != nil {
			return err
		}
		if len(values) != t.Len() {
			return fmt.Errorf("tensor %s has %d values, its shape %v has %d", t.Name, len(values), t.Shape, t.Len())
		}
		if err := writeFloats(w, values); err != nil {
			return err
		}
	}
	return nil
}

// makeHeader lists the tensors in their order, padded with spaces so that the values are aligned to 8 bytes.
func makeHeader(tensors []TensorSource, metadata map[string]string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	field := func(name string, value any) error {
		k, err := json.Marshal(name)
		if err != nil {
			return err
		}
		v, err := json.Marshal(value)
		if err != nil {
			return err
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.Write(k)
		b.WriteByte(':')
		b.Write(v)
		return nil
	}
	if len(metadata) > 0 {
		if err := field("__metadata__", metadata); err != nil {
			return nil, err
		}
	}
	offset := int64(0)
	seen := map[string]bool{"__metadata__": true}
	for _, t := range tensors {
		if seen[t.Name] {
			return nil, fmt.Errorf("two tensors are called %q", t.Name)
		}
		seen[t.Name] = true
		e := headerEntry{DType: "F32", Shape: []int64{}, Offsets: []int64{offset, offset + 4*int64(t.Len())}}
		for _, d := range t.Shape {
			e.Shape = append(e.Shape, int64(d))
		}
		offset = e.Offsets[1]
		if err := field(t.Name, e); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	return b.Bytes(), nil
}

func writeFloats(w io.Writer, values []float32) error {
	const block = 1 << 14
	buf := make([]byte, 0, 4*min(block, len(values)))
	for len(values) > 0 {
		n := min(block, len(values))
		buf = buf[:0]
		for _, v := range values[:n] {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}

// ReadSafetensors reads the header of a file of size bytes and checks it against the size: every tensor lies in the file
// and together they fill it. It never allocates more than a small multiple of the header's actual length.
func ReadSafetensors(r io.ReaderAt, size int64) (*Safetensors, error) {
	if size < 10 {
		return nil, fmt.Errorf("a file of %d bytes is too short for a safetensors file", size)
	}
	var prefix [8]byte
	if _, err := r.ReadAt(prefix[:], 0); err != nil {
		return nil, fmt.Errorf("cannot read the header length: %w", err)
	}
	length := binary.LittleEndian.Uint64(prefix[:])
	if length < 2 || length > maxHeader || int64(length) > size-8 {
		return nil, fmt.Errorf("the header length %d does not fit a file of %d bytes: not a safetensors file, or cut short, give another", length, size)
	}
	header := make([]byte, length)
	if _, err := r.ReadAt(header, 8); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("cannot read the header: %w", err)
	}
	f := &Safetensors{r: r, data: 8 + int64(length)}
	if err := f.parse(header); err != nil {
		return nil, err
	}
	return f, f.checkLayout(size - f.data)
}

func (f *Safetensors) parse(header []byte) error {
	var entries map[string]json.RawMessage
	if err := json.Unmarshal(header, &entries); err != nil {
		return fmt.Errorf("the header is not a JSON object: %w", err)
	}
	for name, raw := range entries {
		if name == "__metadata__" {
			if err := json.Unmarshal(raw, &f.Metadata); err != nil {
				return fmt.Errorf("the metadata is not a table of texts: %w", err)
			}
			continue
		}
		var e headerEntry
		if err := json.Unmarshal(raw, &e); err != nil {
			return fmt.Errorf("the header's entry for tensor %s is malformed: %w", name, err)
		}
		t, err := e.tensor(name)
		if err != nil {
			return err
		}
		f.Tensors = append(f.Tensors, t)
	}
	return nil
}

func (e headerEntry) tensor(name string) (StoredTensor, error) {
	t := StoredTensor{Entry: Entry{Name: name, Shape: make([]int, 0, len(e.Shape))}, DType: e.DType}
	bytes, ok := dtypeSizes[e.DType]
	if !ok {
		return t, fmt.Errorf("tensor %s has the unknown type %q", name, e.DType)
	}
	if len(e.Offsets) != 2 || e.Offsets[0] < 0 || e.Offsets[1] < e.Offsets[0] {
		return t, fmt.Errorf("tensor %s has impossible data offsets %v", name, e.Offsets)
	}
	t.begin, t.end = e.Offsets[0], e.Offsets[1]
	for _, d := range e.Shape {
		if d < 0 || d > math.MaxInt32 || d > 0 && bytes > (1<<50)/d {
			return t, fmt.Errorf("tensor %s has the impossible shape %v", name, e.Shape)
		}
		bytes *= d
		t.Shape = append(t.Shape, int(d))
	}
	if t.end-t.begin != bytes {
		return t, fmt.Errorf("tensor %s of shape %v and type %s needs %d bytes, the header gives it %d", name, e.Shape, e.DType, bytes, t.end-t.begin)
	}
	return t, nil
}

// checkLayout orders the tensors and makes sure that they fill the data exactly, without gaps or overlaps.
func (f *Safetensors) checkLayout(data int64) error {
	slices.SortFunc(f.Tensors, func(a, b StoredTensor) int {
		if a.begin != b.begin {
			return int(min(max(a.begin-b.begin, -1), 1))
		}
		if a.end != b.end {
			return int(min(max(a.end-b.end, -1), 1))
		}
		return strings.Compare(a.Name, b.Name)
	})
	at := int64(0)
	for _, t := range f.Tensors {
		if t.begin != at {
			return fmt.Errorf("tensor %s starts at byte %d of the data, want %d: the file is damaged, give another", t.Name, t.begin, at)
		}
		at = t.end
	}
	if at != data {
		return fmt.Errorf("the tensors take %d bytes and the file has %d: it is cut short or damaged, give another", at, data)
	}
	return nil
}

// Lookup returns the tensor called name.
func (f *Safetensors) Lookup(name string) (StoredTensor, bool) {
	i := slices.IndexFunc(f.Tensors, func(t StoredTensor) bool { return t.Name == name })
	if i < 0 {
		return StoredTensor{}, false
	}
	return f.Tensors[i], true
}

// Read returns the values of a tensor of type F32, F16 or BF16.
func (f *Safetensors) Read(t StoredTensor) ([]float32, error) {
	var decode func(b []byte) float32
	switch t.DType {
	case "F32":
		decode = func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }
	case "F16":
		decode = func(b []byte) float32 { return halfToFloat(binary.LittleEndian.Uint16(b)) }
	case "BF16":
		decode = func(b []byte) float32 { return math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16) }
	default:
		return nil, fmt.Errorf("tensor %s has type %s, want F32, F16 or BF16", t.Name, t.DType)
	}
	size := int(dtypeSizes[t.DType])
	values := make([]float32, t.Len())
	buf := make([]byte, min(1<<16, len(values)*size))
	for i := 0; i < len(values); {
		n := min(len(buf), (len(values)-i)*size)
		if _, err := f.r.ReadAt(buf[:n], f.data+t.begin+int64(i*size)); err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("cannot read tensor %s: %w", t.Name, err)
		}
		for at := 0; at < n; at += size {
			values[i] = decode(buf[at:])
			i++
		}
	}
	return values, nil
}

// halfToFloat converts an IEEE binary16.
func halfToFloat(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exponent, fraction := uint32(h>>10&31), uint32(h&1023)
	switch {
	case exponent == 31:
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	case exponent != 0:
		return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
	}
	v := float32(fraction) * (1.0 / (1 << 24)) // subnormal: exact
	return math.Float32frombits(sign | math.Float32bits(v))
}
