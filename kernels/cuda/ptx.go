package cuda

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"sync"
)

//go:embed ptx/*.ptx
var ptxFiles embed.FS

// PTX returns the embedded PTX files: op.target.ptx, in the root.
func PTX() fs.FS {
	files, err := fs.Sub(ptxFiles, "ptx")
	if err != nil {
		panic(fmt.Sprintf("cuda: %v", err)) // the folder is embedded
	}
	return files
}

// ptxText returns an embedded PTX file.
func ptxText(file string) []byte {
	text, err := ptxFiles.ReadFile("ptx/" + file)
	if err != nil {
		panic(fmt.Sprintf("cuda: %v", err)) // the names come from the same embedded folder
	}
	return text
}

var entry = regexp.MustCompile(`(?m)^\.visible \.entry (\w+)\(`)

// kernelFiles says which PTX file holds each kernel.
var kernelFiles = sync.OnceValue(func() map[string]string {
	files, err := ptxFiles.ReadDir("ptx")
	if err != nil {
		panic(fmt.Sprintf("cuda: %v", err))
	}
	index := map[string]string{}
	for _, f := range files {
		for _, m := range entry.FindAllSubmatch(ptxText(f.Name()), -1) {
			index[string(m[1])] = f.Name()
		}
	}
	return index
})

// Kernels lists the names of the kernels in the embedded PTX.
func Kernels() []string { return slices.Sorted(maps.Keys(kernelFiles())) }
