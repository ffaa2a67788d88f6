package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"emdiff/emdiff/data"
)

// streamRestore is the random stream of Restore: it makes the seeds of images.
const streamRestore uint32 = 0x72756e01

// restoreRecord is the contents of restore.json.
type restoreRecord struct {
	Program Program        `json:"program"`
	Device  Device         `json:"device"`
	Prior   string         `json:"prior"`
	Task    string         `json:"task"`
	Sigma   float64        `json:"sigma"` // black -1, white 1
	Sampler string         `json:"sampler"`
	Steps   int            `json:"steps"`
	Draws   int            `json:"draws"`
	Seed    uint64         `json:"seed"`
	Files   []restoredFile `json:"files"`
}

// restoredFile is one image of restore.json. Paths lie within the folder of inputs and of outputs.
type restoredFile struct {
	Input  string `json:"input"`
	Output string `json:"output"`
	Height int    `json:"height"`
	Width  int    `json:"width"`
	// Misfit is |A x - y|^2 of the draws over what the noise alone makes of it: 1 is right.
	Misfit float64 `json:"misfit"`
	// Spread is the root mean square of the standard deviation, black -1, white 1.
	Spread float64     `json:"spread"`
	Affine data.Affine `json:"affine"` // from [-1, 1] to the values of the file
	// StdWhite is the standard deviation, in units of the file, that is white in the picture of it.
	StdWhite float64 `json:"std_white"`
}

// outputNames are the files of one image, within the folder of outputs.
type outputNames struct {
	mean, stdPicture, stdArray string
	draws                      []string
}

// outputs names the files of image i, and refuses those that another image has or, unless they may be overwritten, that exist.
func (r *restorer) outputs(images *data.Set, i int, name string) (outputNames, error) {
	stem := withoutExtension(name)
	if base, _, many := strings.Cut(name, "#"); many {
		stem = fmt.Sprintf("%s-%05d", withoutExtension(base), images.Origin(i).Index)
	}
	origin := images.Origin(i)
	extension := path.Ext(strings.SplitN(name, "#", 2)[0])
	if usual := "." + string(origin.Written()); !strings.HasPrefix(strings.ToLower(extension), usual[:4]) { // .tif may stay
		extension = usual
	}
	names := outputNames{mean: stem + extension, stdPicture: stem + "-std.png", stdArray: stem + "-std.npy"}
	if r.o.SaveDraws {
		for k := range r.o.Draws {
			names.draws = append(names.draws, fmt.Sprintf("%s-draw-%d%s", stem, k+1, extension))
		}
	}
	for _, file := range names.all() {
		if other, taken := r.written[file]; taken {
			return names, fmt.Errorf("%s and %s would both be restored as %s: rename one of them", other, name, file)
		}
		r.written[file] = name
		_, err := os.Lstat(r.path(file))
		if err == nil && !r.o.Overwrite {
			return names, fmt.Errorf("%s exists already: give another --out, or --overwrite", r.path(file))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return names, fmt.Errorf("%s cannot be written: %w: give another --out", r.path(file), cause(err))
		}
	}
	return names, nil
}

func (n outputNames) all() []string {
	return slices.Concat([]string{n.mean, n.stdPicture, n.stdArray}, n.draws)
}

// stdWhite is the standard deviation in units of the file that the picture shows as white: the largest.
func (n outputNames) stdWhite(std []float32, origin data.Origin) float64 {
	return float64(slices.Max(std)) * origin.Affine.Scale
}

func (r *restorer) path(name string) string { return filepath.Join(r.o.Out, filepath.FromSlash(name)) }

// write leaves the files of image i.
func (r *restorer) write(images *data.Set, i int, names outputNames, draws, mean, std []float32) error {
	if err := os.MkdirAll(filepath.Dir(r.path(names.mean)), 0o777); err != nil {
		return fmt.Errorf("%s cannot be made: %w: give another --out", filepath.Dir(r.path(names.mean)), cause(err))
	}
	origin := images.Origin(i)
	export := func(name string, pixels []float32, o data.Origin) error {
		return WriteFile(r.path(name), func(w io.Writer) error { return data.Export(w, pixels, images.H, images.W, images.C, o) })
	}
	for k, name := range names.draws {
		if err := export(name, draws[k*len(mean):(k+1)*len(mean)], origin); err != nil {
			return err
		}
	}
	units := data.Origin{Path: names.stdArray, Format: data.NPY, BitDepth: 32, Affine: data.Affine{Scale: origin.Affine.Scale}}
	if err := export(names.stdArray, std, units); err != nil {
		return err
	}
	white := max(float64(slices.Max(std)), 1e-12)
	picture := data.Origin{Path: names.stdPicture, Format: data.PNG, BitDepth: 8, Affine: data.Affine{Scale: 255 / white}}
	if err := export(names.stdPicture, std, picture); err != nil {
		return err
	}
	return export(names.mean, mean, origin) // last: where it is, all are
}

// writeRecord leaves restore.json.
func (r *restorer) writeRecord() error {
	record := r.record
	record.Program, record.Device, record.Prior = ThisProgram(), r.o.Device, r.prior.path
	record.Task, record.Sigma, record.Sampler, record.Steps = r.task.Name, r.task.Sigma, r.sampler.Sampler, r.sampler.Steps
	record.Draws, record.Seed = r.o.Draws, r.o.Seed
	return WriteFile(r.path("restore.json"), func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(record)
	})
}
