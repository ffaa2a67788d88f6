package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"emdiff/emdiff/run"
	"emdiff/kernels"
	"emdiff/nn"
)

// The files of an export.
const (
	networkFile = "network.json"
	weightsFile = "weights.safetensors"
	caseFile    = "case.safetensors"
)

// write makes one file of an export.
func write(dir, file string, content func(io.Writer) error) error {
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = run.WriteFile(filepath.Join(dir, file), content)
	}
	if err != nil {
		return fmt.Errorf("-export %s: %w", dir, err)
	}
	return nil
}

// writeCase writes the inputs and results of a case.
func writeCase(dir string, tensors []nn.TensorSource) error {
	return write(dir, caseFile, func(w io.Writer) error { return nn.WriteSafetensors(w, tensors, nil) })
}

// stored is a tensor for a file, downloaded when it is written.
func stored(set kernels.Set, name string, b kernels.Buffer, shape ...int) nn.TensorSource {
	return nn.TensorSource{Entry: nn.Entry{Name: name, Shape: shape}, Values: func() ([]float32, error) {
		values := make([]float32, b.Len())
		set.Download(values, b)
		return values, set.Sync()
	}}
}
