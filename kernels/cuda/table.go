package cuda

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"emdiff/gpu"
	"emdiff/kernels"
)

// TableFormat is the version of the file of a Table.
const TableFormat = 1

// Table says which rung of its ladder each product takes, as measured on one card. It is keyed on shapes, which know nothing of the
// number of images, so an image is computed alike in every batch.
type Table struct {
	Format int     `json:"format"` // TableFormat
	Card   string  `json:"card"`   // that it was measured on
	Driver string  `json:"driver"` // of that card, with its version
	PTX    string  `json:"ptx"`    // PTXHash of the kernels that were measured
	Unit   string  `json:"unit"`   // of Measured
	Images int     `json:"images"` // of the batches that were measured
	Rungs  []Tuned `json:"rungs"`
}

// Tuned is the rung of one shape.
type Tuned struct {
	Shape
	Rung     string             `json:"rung"`
	Default  string             `json:"default"`  // what is taken without a table
	Measured map[string]float64 `json:"measured"` // by rung, in the unit of the table
}

// Shape is a product as a Table knows it: a convolution in one direction, without its number of images, its padding and its strides in
// memory. A linear layer is the 1x1 convolution of images of one pixel.
type Shape struct {
	Op        string `json:"op"` // Conv2D, Conv2DInputGrad or Conv2DWeightGrad
	Precision string `json:"precision"`
	H         int    `json:"h"`
	W         int    `json:"w"`
	Cin       int    `json:"cin"`
	Cout      int    `json:"cout"`
	KH        int    `json:"kh"`
	KW        int    `json:"kw"`
	Stride    int    `json:"stride"`
}

// ShapeOf is the shape of a convolution in the direction of op.
func ShapeOf(op string, p kernels.Conv) Shape {
	return Shape{op, p.Precision.String(), p.H, p.W, p.Cin, p.Cout, p.KH, p.KW, p.Stride}
}

// of is the shape in another direction.
func (s Shape) of(op string) Shape { s.Op = op; return s }

// String names the shape in a message.
func (s Shape) String() string {
	return fmt.Sprintf("%s %s %dx%d %d->%d, %dx%d, stride %d", s.Op, s.Precision, s.H, s.W, s.Cin, s.Cout, s.KH, s.KW, s.Stride)
}

// directions are the ops that a table knows.
var directions = []string{"Conv2D", "Conv2DInputGrad", "Conv2DWeightGrad"}

// validate reports what is impossible about the row, whatever the card.
func (t Tuned) validate() error {
	if !slices.Contains(directions, t.Op) {
		return fmt.Errorf("there is no op %q: choose from %s", t.Op, strings.Join(directions, ", "))
	}
	if min(t.H, t.W, t.Cin, t.Cout, t.KH, t.KW, t.Stride) < 1 {
		return errors.New("all its sizes must be positive")
	}
	v, err := t.variant()
	if err != nil {
		return err
	}
	if v.x && !fours(t.Cin) || v.y && !fours(t.Cout) {
		return fmt.Errorf("rung %s needs channels that are multiples of four", t.Rung)
	}
	return nil
}

// variant is the row of productVariants that the rung names.
func (t Tuned) variant() (variant, error) {
	for p, table := range productVariants {
		if p.String() != t.Precision {
			continue
		}
		i := slices.IndexFunc(table, func(v variant) bool { return v.name == t.Rung })
		if i < 0 {
			return variant{}, fmt.Errorf("there is no rung %q for %s: choose from %s", t.Rung, t.Precision, strings.Join(rungNames(table), ", "))
		}
		return table[i], nil
	}
	return variant{}, fmt.Errorf("there is no precision %q: choose from f32, tf32, bf16", t.Precision)
}

func rungNames(table []variant) (names []string) {
	for _, v := range table {
		names = append(names, v.name)
	}
	return names
}

// ReadTable reads the file of a table and holds it against the kernels of this program.
func ReadTable(path string) (*Table, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("tuning table: %w: make one with emdiff-ptx tune", err)
	}
	t, err := ParseTable(text)
	if err != nil {
		return nil, fmt.Errorf("tuning table %s: %w", path, err)
	}
	return t, nil
}

// ParseTable is ReadTable for the text of the file.
func ParseTable(text []byte) (*Table, error) {
	const anew = "make it anew with emdiff-ptx tune"
	var version struct{ Format int } // first: the rest of another version may not even parse
	if err := json.Unmarshal(text, &version); err != nil {
		return nil, fmt.Errorf("it is no JSON (%w): %s", err, anew)
	}
	if version.Format != TableFormat {
		return nil, fmt.Errorf("it has format %d and this program knows %d: %s", version.Format, TableFormat, anew)
	}
	t := &Table{}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(t); err != nil {
		return nil, fmt.Errorf("%w: %s", err, anew)
	}
	if t.PTX != PTXHash() {
		return nil, fmt.Errorf("it was measured on other kernels (PTX %.12s, this program has %.12s): %s", t.PTX, PTXHash(), anew)
	}
	seen := map[Shape]bool{}
	for i, r := range t.Rungs {
		if err := r.validate(); err != nil {
			return nil, fmt.Errorf("row %d (%s): %w", i+1, r.Shape, err)
		}
		if seen[r.Shape] {
			return nil, fmt.Errorf("row %d (%s): the shape is there twice", i+1, r.Shape)
		}
		seen[r.Shape] = true
	}
	return t, nil
}

// Write writes the file of the table.
func (t *Table) Write(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(t)
}

// Hash is the same for tables that make the same choices among the same kernels, whatever the card and the times.
func (t *Table) Hash() string {
	rows := make([]string, len(t.Rungs))
	for i, r := range t.Rungs {
		rows[i] = fmt.Sprintf("%s: %s\n", r.Shape, r.Rung)
	}
	slices.Sort(rows)
	sum := sha256.Sum256([]byte(t.PTX + "\n" + strings.Join(rows, "")))
	return hex.EncodeToString(sum[:])
}

// ErrTable is the cause of New's error about a table that the device cannot follow.
var ErrTable = errors.New("a table of another card")

// choices holds the table against the device and indexes it by shape.
func (t *Table) choices(p gpu.Properties) (map[Shape]string, error) {
	if t == nil {
		return nil, nil
	}
	index := map[Shape]string{}
	for _, r := range t.Rungs {
		v, err := r.variant()
		if err != nil {
			return nil, err
		}
		if v.shared > p.MaxSharedOptIn {
			return nil, fmt.Errorf("%w: the tuning table of %s takes rung %s for %s, whose %d bytes of shared memory %s does not have (%d): make a table for this card with emdiff-ptx tune",
				ErrTable, t.Card, r.Rung, r.Shape, v.shared, p.Name, p.MaxSharedOptIn)
		}
		index[r.Shape] = r.Rung
	}
	return index, nil
}

// PTXHash is the SHA-256 of the embedded PTX: the kernels that this program has.
var PTXHash = sync.OnceValue(func() string {
	files, err := fs.Glob(PTX(), "*.ptx")
	if err != nil {
		panic(fmt.Sprintf("cuda: %v", err)) // the pattern is right
	}
	sum := sha256.New()
	for _, file := range files { // in the order of their names
		fmt.Fprintf(sum, "%s\n%s", file, ptxText(file))
	}
	return hex.EncodeToString(sum.Sum(nil))
})
