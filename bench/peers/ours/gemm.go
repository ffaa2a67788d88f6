package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"emdiff/kernels"
	"emdiff/nn"
)

// newGEMM is the square of a matrix.
func newGEMM(set kernels.Set, size string) (work, error) {
	n, values, err := square(size)
	if err != nil {
		return work{}, err
	}
	a, c := set.Alloc(kernels.F32, n*n), set.Alloc(kernels.F32, n*n)
	set.Upload(a, values)
	run := func() error {
		set.MatMul(c, a, a, kernels.MatMul{Batch: 1, M: n, N: n, K: n, Alpha: 1})
		return set.Sync()
	}
	return work{run: run, export: func(dir string) error {
		if err := run(); err != nil {
			return err
		}
		product := make([]float32, n*n)
		set.Download(product, c)
		if err := agree(product, gonum(n, values)()); err != nil {
			return err
		}
		return writeCase(dir, []nn.TensorSource{stored(set, "a", a, n, n), stored(set, "c", c, n, n)})
	}}, nil
}

// newGonum is the same by gonum, which uses GOMAXPROCS threads.
func newGonum(size string) (work, error) {
	n, values, err := square(size)
	if err != nil {
		return work{}, err
	}
	product := gonum(n, values)
	return work{run: func() error { product(); return nil }}, nil
}

// gonum returns the function that squares a matrix, into memory of its own.
func gonum(n int, values []float32) func() []float32 {
	a := blas32.General{Rows: n, Cols: n, Stride: n, Data: values}
	c := a
	c.Data = make([]float32, n*n)
	return func() []float32 {
		blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, a, a, 0, c)
		return c.Data
	}
}

// agree holds two products to each other, as bench/peers/torch does.
func agree(a, b []float32) error {
	var largest, worst float64
	for i := range a {
		largest = max(largest, math.Abs(float64(a[i])))
		worst = max(worst, math.Abs(float64(a[i]-b[i])))
	}
	if !(worst < 1e-4*largest) {
		return fmt.Errorf("MatMul and gonum differ by %.2g of the largest value", worst/largest)
	}
	return nil
}

// square returns the values of a matrix of the given size.
func square(size string) (n int, values []float32, err error) {
	n, err = strconv.Atoi(size)
	if err != nil || n < 1 || n > 1<<14 {
		return 0, nil, fmt.Errorf("-case gemm/%s: want a size from 1 to %d", size, 1<<14)
	}
	values = make([]float32, n*n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range values {
		values[i] = float32(r.NormFloat64())
	}
	return n, values, nil
}
