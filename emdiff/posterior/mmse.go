package posterior

import (
	"emdiff/emdiff/physics"
	"emdiff/kernels"
)

// MMSE is the posterior mean of denoising in one call: E[x | y] = D(y, sigma_y), because y is the diffused image at noise
// level sigma_y. It has the best PSNR that a prior can give; it is no draw, and images made so are too smooth to learn
// from.
type MMSE struct {
	set kernels.Set
	op  physics.Operator
}

// NewMMSE needs the denoising operator.
func NewMMSE(set kernels.Set, op physics.Operator) (*MMSE, error) {
	if err := needDenoising("mmse", op); err != nil {
		return nil, err
	}
	return &MMSE{set, op}, nil
}

// Name is "mmse".
func (m *MMSE) Name() string { return "mmse" }

// NFE is 1.
func (m *MMSE) NFE() int { return 1 }

// Sample sets x to the mean.
func (m *MMSE) Sample(x kernels.Buffer, p Problem) error {
	if err := checkDenoising(m.Name(), m.op, p); err != nil {
		return err
	}
	newChain(m.set, m.op, p, m.NFE()).denoise(x, p.Y, p.SigmaY)
	return nil
}

// Close has nothing to free.
func (m *MMSE) Close() {}
