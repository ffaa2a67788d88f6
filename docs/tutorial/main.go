// Command tutorial makes the corrupted images of docs/tutorial.md and scores their restoration. The clean images are never
// written: score makes them anew.
package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"

	"emdiff/emdiff/data"
	"emdiff/emdiff/metric"
)

// The camera of both examples: its 16-bit files have black at 16384 and white at 49152, so that noise is not clipped.
var camera = data.Affine{Scale: 16384, Offset: 32768}

// example is a kind of corrupted images.
type example struct {
	name    string
	sigma   float64 // of the noise, black -1, white 1
	format  data.Format
	clean   func() (*data.Set, error)
	tile    int // distance of the tiles that emdiff-restore would use; 0 for images of one tile
	pattern string
}

var examples = []example{
	{"clothes", 0.2, data.PNG, clothes, 0, "%03d.png"},
	{"frames", 0.15, data.TIFF, frames, 16, "frame-%d.tiff"},
}

const usage = `usage: go run ./docs/tutorial make|score clothes|frames DIR

  make clothes DIR   500 noisy pictures of clothes, 28x28, 16-bit PNG, into DIR/measured
  make frames DIR    4 noisy frames as of a microscope, 512x512, 16-bit TIFF, into DIR/measured
  score NAME DIR     compare DIR/measured and DIR/restored with the clean images`

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "tutorial:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) == 3 {
		for _, e := range examples {
			if e.name == args[1] && args[0] == "make" {
				return e.make(filepath.Join(args[2], "measured"))
			}
			if e.name == args[1] && args[0] == "score" {
				return e.score(args[2], out)
			}
		}
	}
	return errors.New(usage)
}

// make writes the corrupted images.
func (e example) make(dir string) error {
	clean, err := e.clean()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	noise := rand.New(rand.NewPCG(2024, 11))
	for i := range clean.Len() {
		y := clean.Image(i)
		for j := range y {
			y[j] += float32(e.sigma * noise.NormFloat64())
		}
		if err := e.write(filepath.Join(dir, fmt.Sprintf(e.pattern, i)), y, clean); err != nil {
			return err
		}
	}
	return nil
}

func (e example) write(path string, y []float32, s *data.Set) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return data.Export(f, y, s.H, s.W, s.C, data.Origin{Format: e.format, BitDepth: 16, Affine: camera})
}

// score compares what was measured and what was restored with the truth.
func (e example) score(dir string, out io.Writer) error {
	clean, err := e.clean()
	if err != nil {
		return err
	}
	for _, folder := range []string{"measured", "restored"} {
		images := make([]float32, 0, len(clean.Pixels))
		for i := range clean.Len() {
			s, err := data.OpenOptions{Range: "16384,49152"}.Open(filepath.Join(dir, folder, fmt.Sprintf(e.pattern, i)))
			if err != nil {
				return err
			}
			images = append(images, s.Pixels...)
		}
		fmt.Fprintf(out, "%-9s PSNR %6.2f dB, mean of %d images\n", folder, metric.MeanPSNR(images, clean.Pixels, clean.ImageLen()), clean.Len())
		if e.tile > 0 {
			fmt.Fprintf(out, "%-9s steps of the error across the borders of tiles: %.3f of those elsewhere\n", folder, seams(images, clean, e.tile))
		}
	}
	return nil
}

// seams is the mean step of the error between neighbouring rows and columns where tiles begin, over that elsewhere: 1
// without seams.
func seams(images []float32, clean *data.Set, tile int) float64 {
	var border, inside float64
	var borders, insides int
	w := clean.W
	for i := range images {
		y, x := i/w%clean.H, i%w
		for _, step := range []struct{ at, back int }{{y, w}, {x, 1}} {
			if step.at == 0 {
				continue
			}
			d := math.Abs(float64(images[i] - clean.Pixels[i] - images[i-step.back] + clean.Pixels[i-step.back]))
			if step.at%tile == 0 {
				border, borders = border+d, borders+1
			} else {
				inside, insides = inside+d, insides+1
			}
		}
	}
	return border / float64(borders) / (inside / float64(insides))
}

// clothes are embedded images of Fashion-MNIST.
func clothes() (*data.Set, error) {
	s, err := data.Embedded()
	if err != nil {
		return nil, err
	}
	ids := make([]int, 500)
	for i := range ids {
		ids[i] = i
	}
	return s.Subset(ids), nil
}

// frames are dark fields with cells, bright discs with a brighter nucleus, and thin curved fibres.
func frames() (*data.Set, error) {
	const side, count = 512, 4
	s := &data.Set{Name: "frames", Source: "made by docs/tutorial", H: side, W: side, C: 1, Pixels: make([]float32, count*side*side)}
	for i := range s.Pixels {
		s.Pixels[i] = -0.9
	}
	r := rand.New(rand.NewPCG(7, 8))
	for i := range count {
		image := s.Image(i)
		// spot brightens the surroundings of a point with a soft edge.
		spot := func(cy, cx, radius, soft, amount float64) {
			reach := radius + 4*soft
			for y := max(0, int(cy-reach)); y < min(side, int(cy+reach)+1); y++ {
				for x := max(0, int(cx-reach)); x < min(side, int(cx+reach)+1); x++ {
					d := math.Hypot(float64(y)-cy, float64(x)-cx)
					v := -0.9 + amount/(1+math.Exp((d-radius)/soft))
					image[y*side+x] = max(image[y*side+x], float32(v))
				}
			}
		}
		for range 60 {
			y, x, radius, bright := side*r.Float64(), side*r.Float64(), 8+12*r.Float64(), 0.5+0.5*r.Float64()
			spot(y, x, radius, 1.2, bright)
			spot(y+4*r.NormFloat64(), x+4*r.NormFloat64(), radius/3, 0.8, bright+0.7)
		}
		for range 25 {
			y, x, angle, bright := side*r.Float64(), side*r.Float64(), 2*math.Pi*r.Float64(), 0.6+0.8*r.Float64()
			for range 150 {
				spot(y, x, 1, 0.5, bright)
				y, x, angle = y+math.Sin(angle), x+math.Cos(angle), angle+0.06*r.NormFloat64()
			}
		}
	}
	return s, nil
}
