//go:build !cuda

package device

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTheBuildWithoutCUDASaysSo(t *testing.T) {
	_, err := Open("cuda", 0)
	assert.EqualError(t, err, "--device cuda: this build has no CUDA driver: make cuda puts one that has it into bin/cuda")
}
