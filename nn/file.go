package nn

import (
	"fmt"
	"os"
)

// ReadFile opens a safetensors file for use; errors of use name the path.
func ReadFile(path string, use func(f *Safetensors) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	f, err := ReadSafetensors(file, info.Size())
	if err == nil {
		err = use(f)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
