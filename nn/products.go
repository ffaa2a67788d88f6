package nn

import (
	"slices"

	"emdiff/kernels"
)

// Product is a call of a convolution or a linear layer in one direction.
type Product struct {
	Op     string // the method of kernels.Set
	Params any    // kernels.Conv or kernels.Linear
}

// Products lists the products of a training step and of a denoiser's vector-Jacobian product on n images of c.ImageSize, each once, in
// the order in which they first come. It computes nothing.
func (c UNetConfig) Products(n int) ([]Product, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	list := &productSet{}
	checked := kernels.Checked(list)
	u, err := NewUNet(checked, c)
	if err != nil {
		return nil, err
	}
	tape := newDryTape(checked, Differentiate)
	x := tape.NewTensor(n, c.ImageSize, c.ImageSize, c.InChannels)
	y := u.Forward(tape, x, tape.NewTensor(n, 1, 1, 1))
	dy := tape.NewTensor(n, c.ImageSize, c.ImageSize, c.OutChannels)
	tape.Backward(y, dy)
	tape.VJP(y, dy, x)
	return list.products, nil
}

// productSet is a drySet that lists the products.
type productSet struct {
	drySet
	products []Product
}

func (s *productSet) list(op string, params any) {
	if p := (Product{op, params}); !slices.Contains(s.products, p) {
		s.products = append(s.products, p)
	}
}

func (s *productSet) conv(op string, p kernels.Conv) {
	p.WeightVersion = 0 // which weights they are does not matter
	s.list(op, p)
}

func (s *productSet) linear(op string, p kernels.Linear) {
	p.WeightVersion = 0
	s.list(op, p)
}

func (s *productSet) Conv2D(_, _, _ buf, _ kernels.Epilogue, p kernels.Conv) { s.conv("Conv2D", p) }
func (s *productSet) Conv2DInputGrad(_, _, _ buf, p kernels.Conv)            { s.conv("Conv2DInputGrad", p) }
func (s *productSet) Conv2DWeightGrad(_, _, _ buf, p kernels.Conv)           { s.conv("Conv2DWeightGrad", p) }
func (s *productSet) Linear(_, _, _ buf, _ kernels.Epilogue, p kernels.Linear) {
	s.linear("Linear", p)
}
func (s *productSet) LinearInputGrad(_, _, _ buf, p kernels.Linear) { s.linear("LinearInputGrad", p) }
func (s *productSet) LinearWeightGrad(_, _, _ buf, p kernels.Linear) {
	s.linear("LinearWeightGrad", p)
}
