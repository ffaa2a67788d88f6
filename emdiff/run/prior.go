package run

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"emdiff/emdiff/data"
	"emdiff/emdiff/diffusion"
	"emdiff/emdiff/learn"
	"emdiff/kernels"
	"emdiff/nn"
)

// weightsName is the file of a run folder that holds the prior.
const weightsName = "weights.safetensors"

// maxSide bounds the height and width that a file may ask for, as package data does.
const maxSide = 1 << 14

// Entries of that file's metadata, beside the network's own.
const (
	settingsKey = "emdiff_settings" // the run's settings as TOML
	sizeKey     = "emdiff_size"     // "28x28": height and width of the images
)

// writeWeights leaves the averaged weights, the prior itself, in the run folder.
func writeWeights(folder *Folder, u *nn.UNet, settings Settings, h, w int) error {
	text, err := settings.TOML()
	if err != nil {
		return err
	}
	metadata := map[string]string{settingsKey: string(bytes.TrimSpace(text)), sizeKey: fmt.Sprintf("%dx%d", h, w)}
	return WriteFile(folder.Path(weightsName), func(out io.Writer) error { return u.WriteWeights(out, nn.EMA, metadata) })
}

// prior is a learned prior on a Set, and the settings it was learned with.
type prior struct {
	path     string // of its weights
	settings Settings
	h, w, c  int
	network  *diffusion.Network
}

// openPrior reads the prior of a run folder, or of one weights file.
func openPrior(set kernels.Set, path string) (*prior, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be opened: %w: give a run folder or its %s", path, cause(err), weightsName)
	}
	p := &prior{path: path}
	if info.IsDir() {
		p.path = filepath.Join(path, weightsName)
		if _, err := os.Stat(p.path); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s holds no %s: give a run folder whose first round is done", path, weightsName)
		}
	}
	return p, nn.ReadFile(p.path, func(f *nn.Safetensors) error { return p.read(set, f) })
}

// anyCamera stands for whatever measured the images that a prior was learned from.
var anyCamera = learn.Camera{Masks: []float32{}, Kernel: &data.Kernel{}}

// read makes the network from the file; its errors need the file's name.
func (p *prior) read(set kernels.Set, f *nn.Safetensors) error {
	text, ok := f.Metadata[settingsKey]
	if !ok {
		return fmt.Errorf("the file has no settings in its metadata: give the %s of a run folder", weightsName)
	}
	if err := decode("its settings", []byte(text), &p.settings); err != nil {
		return err
	}
	if err := p.settings.Validate(anyCamera); err != nil {
		return fmt.Errorf("its settings: %w", err)
	}
	config, err := nn.StoredConfig(f)
	if err != nil {
		return err
	}
	p.h, p.w, p.c = config.ImageSize, config.ImageSize, config.OutChannels
	if size, ok := f.Metadata[sizeKey]; ok {
		if _, err := fmt.Sscanf(size, "%dx%d", &p.h, &p.w); err != nil || min(p.h, p.w) < 1 || max(p.h, p.w) > maxSide {
			return fmt.Errorf("its metadata has %s = %q, which is no size: write the file anew", sizeKey, size)
		}
	}
	if err := config.CheckSize(p.h, p.w); err != nil {
		return err
	}
	if err := checkPriorMemory(set, config); err != nil {
		return err
	}
	unet, err := nn.NewUNet(set, config)
	if err != nil {
		return err
	}
	if err := unet.ReadWeights(f); err != nil {
		unet.Close()
		return err
	}
	p.network = diffusion.NewNetwork(set, unet, p.settings.Prior.Precond(), p.h, p.w, p.c)
	return nil
}

func (p *prior) close() {
	p.network.Close()
	p.network.UNet.Close()
}
