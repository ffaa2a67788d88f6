package nn

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"emdiff/kernels"
	"emdiff/kernels/ref"
)

// file makes a safetensors file from its parts.
func file(header string, data ...byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func parse(b []byte) (*Safetensors, error) {
	return ReadSafetensors(bytes.NewReader(b), int64(len(b)))
}

func source(name string, values []float32, shape ...int) TensorSource {
	return TensorSource{Entry{name, shape}, func() ([]float32, error) { return values, nil }}
}

func TestSafetensorsComeBackAsWritten(t *testing.T) {
	long := normals(1, 40000)
	var b bytes.Buffer
	require.NoError(t, WriteSafetensors(&b, []TensorSource{source("second", long, 200, 200), source("first", []float32{-2}), source("none", nil, 0, 3)},
		map[string]string{"note": "quotes \" and µ"}))
	f, err := parse(b.Bytes())
	require.NoError(t, err)
	assert.Equal(t, "quotes \" and µ", f.Metadata["note"])
	assert.Zero(t, f.data%8, "values are aligned")
	second, ok := f.Lookup("second")
	require.True(t, ok)
	assert.Equal(t, []int{200, 200}, second.Shape)
	got, err := f.Read(second)
	require.NoError(t, err)
	assert.Equal(t, long, got)
	first, _ := f.Lookup("first")
	got, err = f.Read(first)
	require.NoError(t, err)
	assert.Equal(t, []float32{-2}, got)
	_, ok = f.Lookup("third")
	assert.False(t, ok)
}

func TestWritingRejectsWhatCannotBeRead(t *testing.T) {
	var b bytes.Buffer
	assert.ErrorContains(t, WriteSafetensors(&b, []TensorSource{source("a", nil, 0), source("a", nil, 0)}, nil), `two tensors are called "a"`)
	assert.ErrorContains(t, WriteSafetensors(&b, []TensorSource{source("a", nil, 2)}, nil), "tensor a has 0 values")
	broken := errors.New("broken")
	failing := TensorSource{Entry{"a", []int{1}}, func() ([]float32, error) { return nil, broken }}
	assert.ErrorIs(t, WriteSafetensors(&b, []TensorSource{failing}, nil), broken)
	good := []TensorSource{source("a", []float32{1, 2}, 2)}
	b.Reset()
	require.NoError(t, WriteSafetensors(&b, good, nil))
	for limit := range b.Len() { // a writer that fails at any byte
		assert.Error(t, WriteSafetensors(&limitedWriter{left: limit}, good, nil), limit)
	}
}

type limitedWriter struct{ left int }

func (w *limitedWriter) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		return 0, errors.New("full")
	}
	return len(b), nil
}

func TestDamagedFilesAreRefusedWithAReason(t *testing.T) {
	entry := func(dtype, shape string, from, to int) string {
		return fmt.Sprintf(`{"w":{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}}`, dtype, shape, from, to)
	}
	for reason, b := range map[string][]byte{
		"too short":                       {1, 2, 3},
		"does not fit a file of 12":       append(binary.LittleEndian.AppendUint64(nil, math.MaxUint64), "{} a"...),
		"does not fit a file of 16":       append(binary.LittleEndian.AppendUint64(nil, 1), "{}      "...),
		"not a JSON object":               file(`[1, 2]`),
		"the metadata is not":             file(`{"__metadata__":{"a":1}}`),
		"entry for tensor w":              file(`{"w":{"dtype":1}}`),
		"unknown type \"F31\"":            file(entry("F31", "[1]", 0, 4), 0, 0, 0, 0),
		"impossible data offsets":         file(entry("F32", "[1]", 4, 0), 0, 0, 0, 0),
		"impossible shape":                file(entry("F32", "[-1]", 0, 4), 0, 0, 0, 0),
		"impossible shape [2147483647":    file(entry("F32", "[2147483647, 2147483647, 2147483647]", 0, 4), 0, 0, 0, 0),
		"needs 8 bytes":                   file(entry("F32", "[2]", 0, 4), 0, 0, 0, 0),
		"starts at byte 4 of the data":    file(entry("F32", "[1]", 4, 8), 0, 0, 0, 0, 0, 0, 0, 0),
		"take 4 bytes and the file has 5": file(entry("F32", "[1]", 0, 4), 0, 0, 0, 0, 0),
		"take 4 bytes and the file has 3": file(entry("F32", "[1]", 0, 4), 0, 0, 0),
	} {
		_, err := parse(b)
		assert.ErrorContains(t, err, reason)
	}
	f, err := parse(file(entry("I32", "[1]", 0, 4), 0, 0, 0, 0))
	require.NoError(t, err)
	_, err = f.Read(f.Tensors[0])
	assert.ErrorContains(t, err, "tensor w has type I32, want F32, F16 or BF16")
}

func TestReadFailuresAreReported(t *testing.T) {
	whole := file(`{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, make([]byte, 8)...)
	f, err := parse(whole)
	require.NoError(t, err)
	for _, limit := range []int{4, 20, len(whole) - 4} {
		r := &brokenReader{whole, limit}
		if limit < len(whole)-8 {
			_, err := ReadSafetensors(r, int64(len(whole)))
			assert.ErrorContains(t, err, "cannot read the header")
			continue
		}
		f.r = r
		_, err := f.Read(f.Tensors[0])
		assert.ErrorContains(t, err, "cannot read tensor w")
	}
}

// brokenReader fails at byte limit.
type brokenReader struct {
	b     []byte
	limit int
}

func (r *brokenReader) ReadAt(b []byte, off int64) (int, error) {
	if int(off)+len(b) > r.limit {
		return 0, errors.New("bad sector")
	}
	return copy(b, r.b[off:]), nil
}

func TestSixteenBitTypesConvertAsTheKernelsDo(t *testing.T) {
	set := ref.New()
	data := make([]byte, 0, 2<<16)
	for i := range 1 << 16 {
		data = binary.LittleEndian.AppendUint16(data, uint16(i))
	}
	for dtype, kind := range map[string]kernels.DType{"F16": kernels.F16, "BF16": kernels.BF16} {
		f, err := parse(file(fmt.Sprintf(`{"w":{"dtype":%q,"shape":[65536],"data_offsets":[0,131072]}}`, dtype), data...))
		require.NoError(t, err)
		got, err := f.Read(f.Tensors[0])
		require.NoError(t, err)
		// Every finite value survives the trip through the kernel's rounding and back: the conversion is exact.
		single, half := set.Alloc(kernels.F32, len(got)), set.Alloc(kind, len(got))
		set.Upload(single, got)
		set.Cast(half, single, kernels.Elementwise{Len: len(got)})
		set.Cast(single, half, kernels.Elementwise{Len: len(got)})
		back := make([]float32, len(got))
		set.Download(back, single)
		seen := map[float32]bool{}
		for i, v := range got {
			if v == v {
				assert.Equal(t, v, back[i], "%s %#x", dtype, i)
				seen[v] = true
			}
		}
		nan := map[string]int{"F16": 2 * 1023, "BF16": 2 * 127}[dtype]
		assert.Len(t, seen, 1<<16-nan-1, "%s: all distinct but the two zeros", dtype)
	}
	f, err := parse(file(`{"w":{"dtype":"F16","shape":[4],"data_offsets":[0,8]}}`, 0, 0x3c, 1, 0, 0xff, 0x7b, 0, 0xfc))
	require.NoError(t, err)
	got, err := f.Read(f.Tensors[0])
	require.NoError(t, err)
	assert.Equal(t, []float32{1, 1.0 / (1 << 24), 65504, float32(math.Inf(-1))}, got)
}

func FuzzReadSafetensors(f *testing.F) {
	f.Add(file(`{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 0, 0, 128, 63))
	f.Add(file(`{"a":{"dtype":"BF16","shape":[1,2],"data_offsets":[2,6]},"b":{"dtype":"F16","shape":[],"data_offsets":[0,2]}}`, 1, 2, 3, 4, 5, 6))
	f.Add(file(`{"__metadata__":{"format":"pt"}}`))
	f.Add([]byte("not a file at all"))
	var entries strings.Builder
	for i := range 500 { // as much map as a short header can ask for
		fmt.Fprintf(&entries, `,"%d":0`, i)
	}
	f.Add(file("{" + entries.String()[1:] + "}"))
	f.Add(file(`{"__metadata__":{` + strings.ReplaceAll(entries.String()[1:], ":0", `:""`) + "}}"))
	f.Add(binary.LittleEndian.AppendUint64(nil, maxHeader))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := totalAlloc()
		defer func() { // a header of many entries costs 30 bytes a byte, a value 4
			if took := totalAlloc() - before; took > uint64(1<<16+64*len(b)) {
				t.Fatalf("reading %d bytes took %d of memory", len(b), took)
			}
		}()
		s, err := parse(b)
		if err != nil {
			return
		}
		total := 0
		for _, tensor := range s.Tensors {
			values, err := s.Read(tensor)
			if err == nil {
				total += len(values)
			}
		}
		if 2*total > len(b) {
			t.Fatalf("%d values from %d bytes", total, len(b))
		}
	})
}

// totalAlloc is all that was ever allocated, garbage included.
func totalAlloc() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
