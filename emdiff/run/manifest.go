package run

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
	"runtime"
	"runtime/debug"
	"time"

	"emdiff/emdiff/data"
	"emdiff/emdiff/learn"
)

// FormatVersion is the version of the layout of run folders. It rises whenever an older program
// could not go on with a folder, or this one not with an older folder.
const FormatVersion = 1

// Manifest says what made a run and from what: enough to know whether two runs compare, and
// whether a resumed run can be bit-identical.
type Manifest struct {
	Format  int       `json:"format"`  // FormatVersion of the writer
	Started time.Time `json:"started"` // of the run, UTC
	Program Program   `json:"program"`
	Machine Machine   `json:"machine"`
	Device  Device    `json:"device"`
	Data    Data      `json:"data"`
	Seed    uint64    `json:"seed"`
}

// Program is the program that wrote a run.
type Program struct {
	Version  string `json:"version"`            // of the main module, "(devel)" for a local build
	Revision string `json:"revision,omitempty"` // of the sources, where the build recorded it
	Modified bool   `json:"modified,omitempty"` // whether the sources differed from Revision
	Go       string `json:"go"`                 // version of the toolchain
}

// Machine is the computer of a run.
type Machine struct {
	OS    string `json:"os"`
	Arch  string `json:"arch"`
	CPU   string `json:"cpu"`   // model name as the system reports it
	Cores int    `json:"cores"` // that the run uses (GOMAXPROCS)
}

// Device is what computes: the caller that chose it fills it in.
type Device struct {
	Name  string `json:"name"`  // host, cuda or emu
	Level string `json:"level"` // of the kernels: results are bit-identical only within one level
	Why   string `json:"why"`   // why this one was chosen and the others were not
	// Tuning is the hash of the table of tuned kernel variants, empty without one.
	Tuning string `json:"tuning,omitempty"`
}

// Data is the image set of a run.
type Data struct {
	Name   string `json:"name"`
	Source string `json:"source"`
	Images int    `json:"images"`
	Height int    `json:"height"`
	Width  int    `json:"width"`
	// Channels is 1 or 3.
	Channels int    `json:"channels"`
	SHA256   string `json:"sha256"` // of the pixels: data.Set.SHA256
	// Camera is the SHA-256 of what the user gave beside measurements: masks, kernel, clean images. Empty without.
	Camera string `json:"camera_sha256,omitempty"`
}

// NewManifest describes a run that starts now, in this process.
func NewManifest(set *data.Set, device Device, seed uint64) Manifest {
	return Manifest{
		Format:  FormatVersion,
		Started: time.Now().UTC().Truncate(time.Second),
		Program: ThisProgram(),
		Machine: Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: cpuModel(), Cores: runtime.GOMAXPROCS(0)},
		Device:  device,
		Data: Data{
			Name: set.Name, Source: set.Source,
			Images: set.Len(), Height: set.H, Width: set.W, Channels: set.C,
			SHA256: set.SHA256(),
		},
		Seed: seed,
	}
}

// cameraHash identifies what came beside the measurements of a run.
func cameraHash(images learn.Images) string {
	sets := []*data.Set{}
	if images.Masks != nil {
		sets = append(sets, &data.Set{H: 1, W: len(images.Masks), C: 1, Pixels: images.Masks})
	}
	if k := images.Kernel; k != nil {
		sets = append(sets, &data.Set{H: k.H, W: k.W, C: 1, Pixels: k.Values})
	}
	if images.Measured && images.Clean != nil {
		sets = append(sets, images.Clean)
	}
	if len(sets) == 0 {
		return ""
	}
	sum := sha256.New()
	for _, s := range sets {
		io.WriteString(sum, s.SHA256())
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// ThisProgram is the running program, from what its build recorded.
func ThisProgram() Program {
	p := Program{Version: "unknown", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return p
	}
	p.Version = info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			p.Revision = s.Value
		case "vcs.modified":
			p.Modified = s.Value == "true"
		}
	}
	return p
}

// String is the one line that --version prints.
func (p Program) String() string {
	text := p.Version
	if p.Revision != "" {
		text += " " + p.Revision
		if p.Modified {
			text += " with changes"
		}
	}
	return text + " (" + p.Go + ")"
}

// Write writes the manifest to the file at path as JSON.
func (m Manifest) Write(path string) error {
	return WriteFile(path, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(m)
	})
}

// ReadManifest reads the manifest at path. A folder of another format version is one sentence that
// says which program can read it.
func ReadManifest(path string) (Manifest, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Manifest{}, fmt.Errorf("%s does not exist: give the folder of a run, or, if the run was stopped before it began, start a new run", path)
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("%s cannot be read: %w: check its permissions", path, cause(err))
	}
	// The version comes first: the rest of another version may not even parse.
	var version struct{ Format int }
	if err := json.Unmarshal(text, &version); err != nil {
		return Manifest{}, damagedManifest(path, err)
	}
	if err := checkFormat(path, version.Format, FormatVersion); err != nil {
		return Manifest{}, err
	}
	var m Manifest
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&m); err != nil {
		return Manifest{}, damagedManifest(path, err)
	}
	return m, nil
}

// checkFormat returns nil only where the format found is the one known.
func checkFormat(path string, found, known int) error {
	switch {
	case found <= 0:
		return damagedManifest(path, errors.New("it has no format version"))
	case found > known:
		return fmt.Errorf("%s has format %d and this program knows %d: use the newer program that wrote it, or start a new run", path, found, known)
	case found < known:
		return fmt.Errorf("%s has format %d and this program knows %d: use the older program that wrote it, or start a new run", path, found, known)
	}
	return nil
}

func damagedManifest(path string, err error) error {
	return fmt.Errorf("%s is no manifest of a run (%w): restore the file, or start a new run", path, err)
}
